//! Extension negotiation (RFC 8308) and OpenSSH's `ping@openssh.com`.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::show::shown_struct;
use super::types::{Reader, put_string};
use super::{Field, Message, number};
use crate::error::DecodeError;
use crate::limits::MAX_EXT_INFO_ENTRIES;

/// Extensions of the sender (RFC 8308 section 2.3), in order: name and value.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ExtInfo<'a> {
    /// Name and value of each extension.
    pub extensions: Vec<(&'a [u8], &'a [u8])>,
}

shown_struct!(ExtInfo ['a] { extensions, });

impl<'a> ExtInfo<'a> {
    /// The value of the first extension of this name.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.extensions
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| *value)
    }
}

impl<'a> Field<'a> for ExtInfo<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::try_from(reader.u32()?).map_err(|_| DecodeError::TooMany)?;
        if count > MAX_EXT_INFO_ENTRIES {
            return Err(DecodeError::TooMany);
        }
        let mut extensions = Vec::new();
        for _ in 0..count {
            extensions.push((reader.string()?, reader.string()?));
        }
        Ok(Self { extensions })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(u32::try_from(self.extensions.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.extensions {
            put_string(out, name);
            put_string(out, value);
        }
    }
}

impl<'a> Message<'a> for ExtInfo<'a> {
    const NUMBER: u8 = number::EXT_INFO;
}

wire_struct! {
    /// Asks for a [`Pong`] with the same data (OpenSSH PROTOCOL section 1.8).
    Ping<'a> = number::PING; {
        /// Anything.
        data: &'a [u8] => by_length,
    }

    /// The answer to [`Ping`].
    Pong<'a> = number::PONG; {
        /// The data of the ping.
        data: &'a [u8] => by_length,
    }
}
