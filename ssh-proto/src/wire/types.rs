//! The data types of RFC 4251 section 5: reading and writing them.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::limits::{MAX_MPINT, MAX_NAME, MAX_NAMES};

/// A cursor over a payload. Every read is checked; nothing is reserved by a claimed length.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// There may be a password among the bytes.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} bytes)", self.rest.len())
    }
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// `Truncated`, as for all that follow.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a fixed number of bytes.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Takes a `byte`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a `uint32`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a `uint64`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes a `boolean`; every value but zero is true.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.u8().map(|byte| byte != 0)
    }

    /// Takes a `string`.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).map_err(|_| DecodeError::Truncated)?)
    }

    /// Takes a `string` that must be UTF-8.
    ///
    /// # Errors
    /// `Truncated`, `BadText`.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.string()?).map_err(|_| DecodeError::BadText)
    }

    /// Takes everything that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `TrailingBytes` if anything is left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(DecodeError::TrailingBytes),
        }
    }
}

/// Appends a `string`.
pub fn put_string(out: &mut BytesMut, bytes: &[u8]) {
    // Whole packets are bounded far below 4 GiB; a longer string could not be sent anyway.
    out.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.put_slice(bytes);
}

/// Appends a non-negative `mpint` from its big-endian magnitude.
pub fn put_mpint(out: &mut BytesMut, magnitude: &[u8]) {
    let digits = strip_zeros(magnitude);
    let pad = digits.first().is_some_and(|byte| byte & 0x80 != 0);
    let len = digits.len().saturating_add(usize::from(pad));
    out.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    if pad {
        out.put_u8(0);
    }
    out.put_slice(digits);
}

fn strip_zeros(magnitude: &[u8]) -> &[u8] {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    magnitude.get(zeros..).unwrap_or_default()
}

/// A non-negative `mpint` (RFC 4251 section 5), as a big-endian magnitude without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mpint<'a>(&'a [u8]);

impl fmt::Debug for Mpint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mpint({} bytes)", self.0.len())
    }
}

impl<'a> Mpint<'a> {
    /// From a big-endian magnitude, with or without leading zeros.
    pub fn from_magnitude(magnitude: &'a [u8]) -> Self {
        Self(strip_zeros(magnitude))
    }

    /// From the content of the `string` that carries it.
    ///
    /// # Errors
    /// `BadMpint` if it is negative, not minimal, or longer than 16384 bits.
    pub fn from_twos_complement(content: &'a [u8]) -> Result<Self, DecodeError> {
        if content.len() > MAX_MPINT {
            return Err(DecodeError::BadMpint);
        }
        match content {
            [] => Ok(Self(&[])),
            [0] => Err(DecodeError::BadMpint),
            [0, next, ..] if next & 0x80 == 0 => Err(DecodeError::BadMpint),
            [0, digits @ ..] => Ok(Self(digits)),
            [first, ..] if first & 0x80 != 0 => Err(DecodeError::BadMpint),
            digits => Ok(Self(digits)),
        }
    }

    /// The big-endian magnitude, without leading zeros; empty for zero.
    pub const fn magnitude(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Mpint<'a> {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let bytes = <&[u8]>::arbitrary(u)?;
        Ok(Self::from_magnitude(
            bytes
                .get(..bytes.len().min(MAX_MPINT - 1))
                .unwrap_or_default(),
        ))
    }
}

/// A `name-list` whose grammar has been checked (RFC 4251 sections 5 and 6).
///
/// One trailing comma is tolerated, since some peers send it; it never yields an empty name, and
/// it is kept, so that the list encodes to the bytes it was decoded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameList<'a>(Cow<'a, str>);

impl<'a> NameList<'a> {
    /// The empty list.
    pub const EMPTY: Self = Self(Cow::Borrowed(""));

    /// Checks the content of the `string` that carries the list.
    ///
    /// # Errors
    /// `BadNameList` for an empty or overlong name or a character outside printable US-ASCII,
    /// `TooMany` above 256 names.
    pub fn parse(content: &'a [u8]) -> Result<Self, DecodeError> {
        let text = core::str::from_utf8(content).map_err(|_| DecodeError::BadNameList)?;
        let mut count = 0usize;
        let list = text.strip_suffix(',').unwrap_or(text);
        if list.is_empty() {
            return match text {
                "" => Ok(Self::EMPTY),
                _ => Err(DecodeError::BadNameList),
            };
        }
        for name in list.split(',') {
            count = count.saturating_add(1);
            if count > MAX_NAMES {
                return Err(DecodeError::TooMany);
            }
            if name.is_empty()
                || name.len() > MAX_NAME
                || !name.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(DecodeError::BadNameList);
            }
        }
        Ok(Self(Cow::Borrowed(text)))
    }

    /// Joins names of our own.
    pub fn from_names<'n>(names: impl IntoIterator<Item = &'n str>) -> NameList<'static> {
        let mut joined = String::new();
        for name in names {
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(name);
        }
        NameList(Cow::Owned(joined))
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// The first name.
    pub fn first(&self) -> Option<&str> {
        self.iter().next()
    }

    /// Whether the list has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|candidate| candidate == name)
    }

    /// The list as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> NameList<'static> {
        NameList(Cow::Owned(self.0.into_owned()))
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for NameList<'a> {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut joined = String::new();
        for i in 0..u.int_in_range(0..=8)? {
            if i > 0 {
                joined.push(',');
            }
            for _ in 0..u.int_in_range(1..=12)? {
                let letter = u.int_in_range(b'!'..=b'~')?;
                joined.push(if letter == b',' {
                    '-'
                } else {
                    char::from(letter)
                });
            }
        }
        Ok(Self(Cow::Owned(joined)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// B15: mpints are non-negative, minimal and bounded.
    #[test]
    fn b15_mpint_grammar() {
        let parse = |content| Mpint::from_twos_complement(content).map(Mpint::magnitude);
        assert_eq!(parse(&[]), Ok(&[][..]));
        assert_eq!(parse(&[0x7f]), Ok(&[0x7f][..]));
        assert_eq!(parse(&[0, 0x80]), Ok(&[0x80][..]));
        for bad in [&[0x80][..], &[0], &[0, 0x7f], &[0, 0, 0x80], &[0xff, 1]] {
            assert_eq!(parse(bad), Err(DecodeError::BadMpint), "{bad:?}");
        }
        let longest = [&[0, 0x80][..], &[0; 2047]].concat();
        assert!(parse(&longest).is_ok());
        assert_eq!(
            parse(&[&[1][..], &[0; 2049]].concat()),
            Err(DecodeError::BadMpint)
        );
    }

    #[test]
    fn mpints_encode_as_rfc_4251_shows() {
        let encode = |magnitude: &[u8]| {
            let mut out = BytesMut::new();
            put_mpint(&mut out, magnitude);
            out.to_vec()
        };
        assert_eq!(encode(&[]), [0, 0, 0, 0]);
        assert_eq!(encode(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(
            encode(&[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]),
            [0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]
        );
        assert_eq!(encode(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
    }

    /// B15, E4: name-lists.
    #[test]
    fn b15_e4_name_list_grammar() {
        let parse = |content: &'static [u8]| NameList::parse(content);
        assert_eq!(parse(b"").unwrap().iter().count(), 0);
        assert_eq!(
            parse(b"a,b@x").unwrap().iter().collect::<Vec<_>>(),
            ["a", "b@x"]
        );
        assert_eq!(
            parse(b"a,b,").unwrap().iter().collect::<Vec<_>>(),
            ["a", "b"]
        );
        for bad in [
            &b","[..],
            b",a",
            b"a,,b",
            b"a,,",
            b"a b",
            b"a\0",
            b"\xc3\xa4",
            b"a\x7f",
        ] {
            assert_eq!(parse(bad), Err(DecodeError::BadNameList), "{bad:?}");
        }
        let name = vec![b'x'; 64];
        assert!(NameList::parse(&name).is_ok());
        let name = vec![b'x'; 65];
        assert_eq!(NameList::parse(&name), Err(DecodeError::BadNameList));
        let names = NameList::from_names(core::iter::repeat_n("x", 256));
        assert!(NameList::parse(names.as_str().as_bytes()).is_ok());
        let names = NameList::from_names(core::iter::repeat_n("x", 257));
        assert_eq!(
            NameList::parse(names.as_str().as_bytes()),
            Err(DecodeError::TooMany)
        );
    }

    /// B15: every non-zero byte is TRUE.
    #[test]
    fn b15_booleans() {
        for byte in 0..=255u8 {
            assert_eq!(Reader::new(&[byte]).bool(), Ok(byte != 0));
        }
    }

    /// B14: a length at its edges reserves and reads nothing.
    #[test]
    fn b14_string_lengths() {
        for bad in [
            &[0, 0, 0, 1][..],
            &[0xff, 0xff, 0xff, 0xff, 1],
            &[0, 0, 0],
            &[],
        ] {
            assert_eq!(Reader::new(bad).string(), Err(DecodeError::Truncated));
        }
        let mut reader = Reader::new(&[0, 0, 0, 1, 7, 8]);
        assert_eq!(reader.string(), Ok(&[7][..]));
        assert_eq!(reader.finish(), Err(DecodeError::TrailingBytes));
    }
}
