//! Public key lines, `type base64 comment`, as in `.pub` files (RFC 4253 section 6.6 in sshd(8)'s text form).

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;
use core::str::FromStr;

use base64ct::{Base64, Base64Unpadded, Encoding};

use super::container::unexpected;
use super::{Damage, KeyFileError};
use crate::crypto::{Fingerprint, PublicKey};
use crate::error::DecodeError;
use crate::limits::{MAX_KEY_COMMENT, MAX_KEY_LINE};
use crate::wire::Reader;

/// The comment of a key: any bytes, most often `user@host`.
///
/// It comes from outside, so it displays on one line: control and invisible characters and bytes
/// that are not UTF-8 appear as escapes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Comment(Vec<u8>);

impl Comment {
    /// A comment of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes as they stand in the file.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether OpenSSH would read it back from a key file: no control characters, at most 1 KiB.
    pub(super) fn is_writable(&self) -> bool {
        self.0.len() <= MAX_KEY_COMMENT && !self.0.iter().any(u8::is_ascii_control)
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                match letter {
                    // As they are, or the comments of Windows domains would change.
                    '\\' | '\'' | '"' => f.write_char(letter)?,
                    _ => write!(f, "{}", letter.escape_debug())?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comment({self})")
    }
}

/// One public key line. Displays as it is written to a `.pub` file, without the line end.
///
/// The lines of `authorized_keys` and `known_hosts` end in one, behind their options or hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeyLine {
    /// The key, of any type.
    pub key: PublicKey,
    /// What follows the key; empty if nothing does.
    pub comment: Comment,
}

impl PublicKeyLine {
    /// Reads one line, with or without its line end. Fields are separated by spaces or tabs.
    ///
    /// # Errors
    /// `TooLong` above 64 KiB or a 16 KiB key, `NotAKeyFile` for less than two fields,
    /// `UnsupportedContainer`, otherwise `Damaged`: `TypeMismatch` if the key is of another type
    /// than the line names.
    pub fn parse(line: &[u8]) -> Result<Self, KeyFileError> {
        if line.len() > MAX_KEY_LINE {
            return Err(KeyFileError::TooLong);
        }
        let line = line.trim_ascii();
        let (key_type, rest) = split_field(line);
        let (text, comment) = split_field(rest);
        if text.is_empty() || line.starts_with(b"----") {
            return Err(unexpected(line));
        }
        if line.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
            return Err(Damage::Line.into());
        }
        let mut blob = vec![0; text.len().div_ceil(4).saturating_mul(3)];
        let len = Base64::decode(text, &mut blob)
            .map_err(|_| Damage::Base64)?
            .len();
        blob.truncate(len);
        let key = PublicKey::from_blob(blob).map_err(|error| match error {
            DecodeError::TooMany => KeyFileError::TooLong,
            _ => Damage::PublicKey.into(),
        })?;
        if key.key_type().as_bytes() != key_type {
            return Err(Damage::TypeMismatch.into());
        }
        if !is_whole(&key).unwrap_or(false) {
            return Err(Damage::PublicKey.into());
        }
        Ok(Self {
            key,
            comment: Comment::new(comment),
        })
    }
}

/// Whether a key of a type that we know has all its bytes: a cut line may still be good base64.
fn is_whole(key: &PublicKey) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    let whole = match reader.string()? {
        b"ssh-ed25519" => reader.string()?.len() == 32,
        b"ecdsa-sha2-nistp256" => {
            reader.string()? == b"nistp256"
                && matches!(reader.string()?, [4, xy @ ..] if xy.len() == 64)
        }
        _ => return Ok(true),
    };
    Ok(whole && reader.finish().is_ok())
}

fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = line.iter().position(is_blank).unwrap_or(line.len());
    let (field, rest) = line.split_at(end);
    (field, rest.trim_ascii_start())
}

impl fmt::Display for PublicKeyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Base64::encode_string(self.key.as_blob());
        write!(f, "{} {text}", self.key.key_type())?;
        if self.comment.as_bytes().is_empty() {
            return Ok(());
        }
        write!(f, " {}", self.comment)
    }
}

impl FromStr for Fingerprint {
    type Err = DecodeError;

    /// Reads what `ssh-keygen -l` prints: `SHA256:` and unpadded base64.
    ///
    /// # Errors
    /// `BadText` for anything else.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let text = text.strip_prefix("SHA256:").ok_or(DecodeError::BadText)?;
        let mut bytes = [0; 32];
        match Base64Unpadded::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(bytes)),
            _ => Err(DecodeError::BadText),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::keys::Container;
    use crate::limits::MAX_KEY_BLOB;

    const ED25519: &str = include_str!("testdata/ed25519.pub");
    const ECDSA: &str = include_str!("testdata/ecdsa.pub");

    fn error(line: impl AsRef<[u8]>) -> KeyFileError {
        PublicKeyLine::parse(line.as_ref()).unwrap_err()
    }

    #[test]
    fn lines_of_ssh_keygen_are_read_and_written() {
        for (file, key_type, comment) in [
            (ED25519, "ssh-ed25519", "throwaway@example"),
            (ECDSA, "ecdsa-sha2-nistp256", "throwaway ecdsa"),
        ] {
            let line = PublicKeyLine::parse(file.as_bytes()).unwrap();
            assert_eq!(line.key.key_type(), key_type);
            assert_eq!(line.comment.as_bytes(), comment.as_bytes());
            assert_eq!(line.to_string(), file.trim_end());
        }
    }

    #[test]
    fn separators_and_comments_vary() {
        let whole = PublicKeyLine::parse(ED25519.as_bytes()).unwrap();
        let text = ED25519.split(' ').nth(1).unwrap();
        for (line, comment) in [
            (alloc::format!("ssh-ed25519 {text}"), ""),
            (alloc::format!(" ssh-ed25519\t {text} \r\n"), ""),
            (alloc::format!("ssh-ed25519 {text}  a  b "), "a  b"),
        ] {
            let line = PublicKeyLine::parse(line.as_bytes()).unwrap();
            assert_eq!(line.key, whole.key);
            assert_eq!(line.comment.as_bytes(), comment.as_bytes());
        }
        let bare = PublicKeyLine {
            comment: Comment::default(),
            ..whole
        };
        assert_eq!(bare.to_string(), alloc::format!("ssh-ed25519 {text}"));
    }

    #[test]
    fn m5_a_type_that_is_not_that_of_the_key_is_refused() {
        let swapped = ED25519.replacen("ssh-ed25519", "ssh-rsa", 1);
        assert_eq!(error(swapped), Damage::TypeMismatch.into());
        let longer = ED25519.replacen("ssh-ed25519", "ssh-ed255190", 1);
        assert_eq!(error(longer), Damage::TypeMismatch.into());
    }

    #[test]
    fn m1_bad_lines_are_refused() {
        for line in ["", " ", "\n", "ssh-ed25519", "ssh-ed25519 ", "\u{feff}"] {
            assert_eq!(error(line), KeyFileError::NotAKeyFile, "{line:?}");
        }
        assert_eq!(error("ssh-ed25519 AAA_"), Damage::Base64.into());
        assert_eq!(error("ssh-ed25519 AAAA"), Damage::PublicKey.into());
        assert_eq!(error([ED25519, ECDSA].concat()), Damage::Line.into());
        assert_eq!(error(ED25519.replace('@', "\0")), Damage::Line.into());
        assert_eq!(
            error(alloc::format!("\u{feff}{ED25519}")),
            Damage::TypeMismatch.into()
        );
        assert_eq!(
            error("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA"),
            KeyFileError::UnsupportedContainer(Container::Rfc4716)
        );
        assert_eq!(
            error(include_bytes!("testdata/ed25519")),
            KeyFileError::UnsupportedContainer(Container::OpenSsh)
        );
        let key = ED25519.rsplit_once(' ').unwrap().0;
        for cut in 0..key.len() {
            assert!(PublicKeyLine::parse(&key.as_bytes()[..cut]).is_err());
        }
    }

    #[test]
    fn m1_the_longest_line_and_key() {
        let mut line = String::from(ED25519.trim_end());
        line.extend(core::iter::repeat_n('x', MAX_KEY_LINE - line.len()));
        assert!(PublicKeyLine::parse(line.as_bytes()).is_ok());
        line.push('x');
        assert_eq!(error(line), KeyFileError::TooLong);
        let mut blob = b"\0\0\0\x01x".to_vec();
        blob.resize(MAX_KEY_BLOB + 1, 0);
        let line = alloc::format!("x {}", Base64::encode_string(&blob));
        assert_eq!(error(line), KeyFileError::TooLong);
    }

    /// M12: nothing of a comment reaches a terminal or a line of a file as a control character.
    #[test]
    fn m12_comments_are_escaped_on_display() {
        let shown = |bytes: &[u8]| Comment::new(bytes).to_string();
        assert_eq!(
            shown("DOM\\jürgen's \"key\"".as_bytes()),
            "DOM\\jürgen's \"key\""
        );
        assert_eq!(shown(b"a\x1b[2J\nb\rc\0"), "a\\u{1b}[2J\\nb\\rc\\0");
        assert_eq!(shown("\u{202e}\u{9b}".as_bytes()), "\\u{202e}\\u{9b}");
        assert_eq!(shown(b"j\xfcrgen"), "j\\xfcrgen");
        let key = PublicKey::ed25519(&[1; 32]);
        let line = PublicKeyLine {
            key,
            comment: Comment::new("x\nssh-ed25519 AAAA"),
        };
        assert_eq!(line.to_string().lines().count(), 1);
    }

    #[test]
    fn fingerprints_are_read() {
        const TEXT: &str = "SHA256:v+h+H2vmDxViCsTwyvERIzMrmRFqks61feua+v2gIns";
        let fingerprint: Fingerprint = TEXT.parse().unwrap();
        assert_eq!(fingerprint.to_string(), TEXT);
        for bad in [
            "",
            "SHA256:",
            &TEXT[7..],
            &TEXT[..TEXT.len() - 1],
            &alloc::format!("{TEXT}="),
            &alloc::format!("{TEXT}A"),
            &TEXT.replace("SHA256", "MD5"),
        ] {
            assert_eq!(
                bad.parse::<Fingerprint>(),
                Err(DecodeError::BadText),
                "{bad}"
            );
        }
    }

    /// What `ssh-keygen -lf` of OpenSSH 9.2 printed for the test keys.
    #[cfg(feature = "rustcrypto")]
    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        use sha2::Digest;

        use crate::crypto::{HashAlgorithm, HashOutput};

        struct Sha256;
        impl HashAlgorithm for Sha256 {
            fn output_len(&self) -> usize {
                32
            }
            fn hash(&self, parts: &[&[u8]]) -> HashOutput {
                HashOutput::new(&sha2::Sha256::digest(parts.concat()))
            }
        }
        for (file, fingerprint) in [
            (
                ED25519,
                "SHA256:v+h+H2vmDxViCsTwyvERIzMrmRFqks61feua+v2gIns",
            ),
            (ECDSA, "SHA256:EmLho3vrdjb5KnBTVy5vbQbHhzm3/K3CpUAg1GAEIGU"),
        ] {
            let line = PublicKeyLine::parse(file.as_bytes()).unwrap();
            assert_eq!(line.key.fingerprint(&Sha256), fingerprint.parse().unwrap());
        }
    }
}
