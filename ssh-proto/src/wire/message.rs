//! What a message and its fields have in common, and the macro that declares messages as the RFCs list them.

use core::fmt;

use bytes::{BufMut, BytesMut};

use super::types::{Mpint, NameList, Reader, put_mpint, put_string};
use crate::error::{DecodeError, Error};

/// A value that can stand in a message.
pub trait Field<'a>: Sized {
    /// Takes the value from a payload.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Appends the value.
    fn encode(&self, out: &mut BytesMut);
}

/// A message: its number, then its fields.
pub trait Message<'a>: Field<'a> {
    /// The message number (RFC 4250 section 4.1.2).
    const NUMBER: u8;

    /// Decodes a whole payload.
    ///
    /// # Errors
    /// `WrongNumber` for another message, `TrailingBytes` for a payload that is too long,
    /// otherwise what is wrong with the fields.
    fn from_payload(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != Self::NUMBER {
            return Err(DecodeError::WrongNumber);
        }
        let message = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(message)
    }

    /// Appends number and fields.
    fn to_payload(&self, out: &mut BytesMut) {
        out.put_u8(Self::NUMBER);
        self.encode(out);
    }
}

/// Decodes a payload of the peer; the error is the one that ends the connection.
pub(crate) fn decode<'a, M: Message<'a>>(payload: &'a [u8]) -> Result<M, Error> {
    M::from_payload(payload).map_err(|error| Error::InvalidMessage {
        number: M::NUMBER,
        error,
    })
}

impl<'a> Field<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.bool()
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

impl<'a> Field<'a> for u8 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u8()
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(*self);
    }
}

impl<'a> Field<'a> for u32 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u32()
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(*self);
    }
}

impl<'a> Field<'a> for u64 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.u64()
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u64(*self);
    }
}

impl<'a, const N: usize> Field<'a> for [u8; N] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array()
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self);
    }
}

/// A `string`, raw.
impl<'a> Field<'a> for &'a [u8] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string()
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self);
    }
}

impl<'a> Field<'a> for NameList<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::parse(reader.string()?)
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.as_str().as_bytes());
    }
}

impl<'a> Field<'a> for Mpint<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::from_twos_complement(reader.string()?)
    }

    fn encode(&self, out: &mut BytesMut) {
        put_mpint(out, self.magnitude());
    }
}

/// Declares structs whose fields stand on the wire in the order written, and gives those with a
/// number `Message`. `Debug` shows a field marked `=> by_length` by its length alone.
macro_rules! wire_struct {
    ($(
        $(#[$meta:meta])*
        $name:ident $(<$life:lifetime>)? $(= $number:expr)? ; {
            $($(#[$field_meta:meta])* $field:ident: $type:ty $(=> $shown:ident)?,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        $crate::wire::show::shown_struct!($name [$($life)?] { $($field $(=> $shown)?,)* });
        wire_struct!(@field $name [$($life)?] { $($field: $type,)* });
        wire_struct!(@message $name [$($life)?] [$($number)?]);
    )*};
    (@field $name:ident [] { $($field:ident: $type:ty,)* }) => {
        impl<'a> $crate::wire::Field<'a> for $name {
            wire_struct!(@body { $($field: $type,)* });
        }
    };
    (@field $name:ident [$life:lifetime] { $($field:ident: $type:ty,)* }) => {
        impl<$life> $crate::wire::Field<$life> for $name<$life> {
            wire_struct!(@body_with $life { $($field: $type,)* });
        }
    };
    (@body { $($field:ident: $type:ty,)* }) => {
        wire_struct!(@body_with 'a { $($field: $type,)* });
    };
    (@body_with $life:lifetime { $($field:ident: $type:ty,)* }) => {
        fn decode(
            reader: &mut $crate::wire::Reader<$life>,
        ) -> Result<Self, $crate::error::DecodeError> {
            let _ = &reader;
            $(let $field = <$type as $crate::wire::Field<$life>>::decode(reader)?;)*
            Ok(Self { $($field,)* })
        }

        fn encode(&self, out: &mut bytes::BytesMut) {
            let _ = &out;
            $(<$type as $crate::wire::Field<'_>>::encode(&self.$field, out);)*
        }
    };
    (@message $name:ident [$($life:lifetime)?] []) => {};
    (@message $name:ident [] [$number:expr]) => {
        impl<'a> $crate::wire::Message<'a> for $name {
            const NUMBER: u8 = $number;
        }
    };
    (@message $name:ident [$life:lifetime] [$number:expr]) => {
        impl<$life> $crate::wire::Message<$life> for $name<$life> {
            const NUMBER: u8 = $number;
        }
    };
}

#[cfg(feature = "agent")]
pub(crate) use wire_struct;

/// What is left of a payload: the body of a request or channel type that is not known here.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Rest<'a>(pub &'a [u8]);

/// What is not known may hold a secret.
impl fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rest({} bytes)", self.0.len())
    }
}

impl<'a> Field<'a> for Rest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest()))
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(self.0);
    }
}

/// Declares an enum of named bodies: the name travels apart from the body, and an unknown name
/// keeps its body raw.
macro_rules! wire_kinds {
    (
        $(#[$meta:meta])*
        $kinds:ident {
            $($(#[$kind_meta:meta])* $name:literal => $kind:ident($body:ty),)*
        }
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        #[derive(Clone, PartialEq, Eq)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        pub enum $kinds<'a> {
            $($(#[$kind_meta])* $kind($body),)*
            /// A name that is not known here, with its body raw.
            Unknown {
                /// The name.
                name: &'a [u8],
                /// Everything behind the common fields.
                body: &'a [u8],
            },
        }

        /// The body of a name that is not known may hold a secret: its length is shown.
        impl core::fmt::Debug for $kinds<'_> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                use $crate::wire::show::{ByLength, Shown};
                match self {
                    $(Self::$kind(body) => {
                        f.debug_tuple(stringify!($kind)).field(&Shown(body)).finish()
                    })*
                    Self::Unknown { name, body } => f
                        .debug_struct("Unknown")
                        .field("name", &Shown(name))
                        .field("body", &ByLength(body))
                        .finish(),
                }
            }
        }

        $crate::wire::show::show_as_debug!($kinds<'_>);

        impl<'a> $kinds<'a> {
            /// The name on the wire.
            pub fn name(&self) -> &'a [u8] {
                match self {
                    $(Self::$kind(_) => $name.as_bytes(),)*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// Whether this is an `Unknown` that bears a known name, which does not survive the wire.
            pub fn is_disguised(&self) -> bool {
                match self {
                    Self::Unknown { name, .. } => false $(|| *name == $name.as_bytes())*,
                    _ => false,
                }
            }

            pub(super) fn decode_body(
                name: &'a [u8],
                reader: &mut $crate::wire::Reader<'a>,
            ) -> Result<Self, $crate::error::DecodeError> {
                $(if name == $name.as_bytes() {
                    return <$body as $crate::wire::Field<'a>>::decode(reader).map(Self::$kind);
                })*
                Ok(Self::Unknown { name, body: reader.rest() })
            }

            pub(super) fn encode_body(&self, out: &mut bytes::BytesMut) {
                match self {
                    $(Self::$kind(body) => $crate::wire::Field::encode(body, out),)*
                    Self::Unknown { body, .. } => bytes::BufMut::put_slice(out, body),
                }
            }
        }
    };
}

/// No body.
impl<'a> Field<'a> for () {
    fn decode(_: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(())
    }

    fn encode(&self, _: &mut BytesMut) {}
}

/// Strings up to the end of the payload.
impl<'a> Field<'a> for alloc::vec::Vec<&'a [u8]> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut strings = Self::new();
        while reader.remaining() > 0 {
            strings.push(reader.string()?);
        }
        Ok(strings)
    }

    fn encode(&self, out: &mut BytesMut) {
        for string in self {
            put_string(out, string);
        }
    }
}
