//! A password as a value (RFC 4252 section 8): wiped, redacted, compared in constant time.

use alloc::vec::Vec;
use core::fmt;
use core::iter;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password. Wiped on drop, absent from debug output, and not comparable with `==`.
///
/// A client makes one to answer its turn; a server receives one in a request.
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes a password: text, or bytes where a system has passwords that are not UTF-8.
    ///
    /// A `String` or `Vec` is taken over and wiped later; of a slice, the caller keeps the original.
    pub fn new(password: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// The password as sent. RFC 4252 wants UTF-8, but no peer can be relied upon for that.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The password as text, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(&self.0).ok()
    }

    /// Compares with the right password, in a time that depends on the length of this one alone.
    ///
    /// For tests and fixed passwords; stored ones are to be hashed with a slow hash.
    pub fn matches(&self, expected: &[u8]) -> bool {
        let padded = expected.iter().chain(iter::repeat(&0));
        let mut equal = self.0.len().ct_eq(&expected.len());
        for (byte, expected) in self.0.iter().zip(padded) {
            equal &= byte.ct_eq(expected);
        }
        equal.into()
    }
}

/// Lengths up to which, and to multiples of which, a secret looks the same.
const STEP: usize = 64;

/// What can be hidden of several secrets together: with the alignment of any cipher it fits into
/// the padding of a packet.
const MOST_HIDDEN: usize = 3 * STEP;

/// The padding that hides how long these secrets are: each is as good as 64 bytes long, or a
/// multiple. More than a packet can be padded by is hidden as a multiple of 192 bytes of all.
pub(super) fn hiding_padding(lengths: impl IntoIterator<Item = usize>) -> u8 {
    let (mut hidden, mut total) = (0_usize, 0_usize);
    for length in lengths {
        let shown = length.max(1).next_multiple_of(STEP);
        hidden = hidden.saturating_add(shown.saturating_sub(length));
        total = total.saturating_add(length);
    }
    if hidden > MOST_HIDDEN {
        hidden = total.next_multiple_of(MOST_HIDDEN).saturating_sub(total);
    }
    u8::try_from(hidden).unwrap_or(u8::MAX)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn only_the_same_bytes_match() {
        let password = Password::new("secret");
        assert!(password.matches(b"secret"));
        for wrong in [&b""[..], b"secre", b"secret\0", b"secrets", b"Secret"] {
            assert!(!password.matches(wrong), "{wrong:?}");
        }
        assert!(Password::new("").matches(b""));
        assert!(!Password::new("").matches(b"x"));
        assert!(!Password::new([0]).matches(b""));
    }

    #[test]
    fn o6_lengths_are_hidden_in_steps() {
        let shown = |lengths: &[usize]| {
            let padding = hiding_padding(lengths.iter().copied());
            lengths.iter().sum::<usize>() + usize::from(padding)
        };
        for length in 0..=1024_usize {
            let step = length.max(1).next_multiple_of(64);
            assert_eq!(shown(&[length]), step);
            assert_eq!(shown(&[length, 3]), step + 64);
            assert_eq!(shown(&[0, length, 64]), step + 128);
        }
        assert_eq!(shown(&[]), 0);
        // More than padding can hide one by one.
        assert_eq!(shown(&[1, 2, 3, 4]), 192);
        assert_eq!(shown(&[8; 100]), 960);
        assert_eq!(shown(&[64; 100]), 6400, "nothing to hide");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Password::new("secret")), "Password(..)");
    }

    #[test]
    fn bytes_need_not_be_text() {
        assert_eq!(Password::new([0xff]).as_str(), None);
        assert_eq!(Password::new([0xff]).as_bytes(), [0xff]);
        assert_eq!(Password::new("é").as_str(), Some("é"));
    }
}
