//! Public keys in files of RFC 4716, as `ssh-keygen -e`, PuTTY and ssh.com write them.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use super::container::unexpected;
use super::public::PublicKeyLine;
use super::{Comment, Damage, KeyFileError, armor};
use crate::crypto::PublicKey;
use crate::error::DecodeError;
use crate::limits::MAX_KEY_LINE;

const BEGIN: &str = "---- BEGIN SSH2 PUBLIC KEY ----";
const END: &str = "---- END SSH2 PUBLIC KEY ----";

/// What ssh-keygen writes of a comment at most: with it, a line has no more than the 72 bytes of section 3.1.
const MAX_COMMENT: usize = 60;
/// The width of ssh-keygen's lines of base64.
const BASE64_LINE: usize = 70;
/// The longest name and value of a header (section 3.3).
const MAX_TAG: usize = 64;
const MAX_VALUE: usize = 1024;

impl PublicKeyLine {
    /// Reads a public key file of RFC 4716. Of its headers only `Comment` is kept.
    ///
    /// # Errors
    /// `TooLong` above 64 KiB or a 16 KiB key, `NotAKeyFile` or `UnsupportedContainer` for other
    /// files, otherwise `Damaged`.
    pub fn from_rfc4716(file: &[u8]) -> Result<Self, KeyFileError> {
        if file.len() > MAX_KEY_LINE {
            return Err(KeyFileError::TooLong);
        }
        let mut lines = file
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end);
        if lines.next() != Some(BEGIN.as_bytes()) {
            return Err(match unexpected(file) {
                KeyFileError::UnsupportedContainer(super::Container::Rfc4716) => {
                    Damage::Armor.into()
                }
                other => other,
            });
        }
        let mut comment = Comment::default();
        let mut text = Vec::new();
        loop {
            let line = lines.next().ok_or(Damage::Armor)?;
            if line == END.as_bytes() {
                break;
            }
            if line.starts_with(b"----") {
                return Err(Damage::Armor.into());
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                text.extend_from_slice(line);
                continue;
            };
            let (tag, value) = line.split_at(colon);
            if !text.is_empty() || tag.len() > MAX_TAG {
                return Err(Damage::Header.into());
            }
            let mut value = value.get(1..).unwrap_or_default().to_vec();
            while value.ends_with(b"\\") {
                value.pop();
                value.extend_from_slice(lines.next().ok_or(Damage::Armor)?);
            }
            if value.len() > MAX_VALUE {
                return Err(Damage::Header.into());
            }
            if tag.eq_ignore_ascii_case(b"Comment") {
                comment = Comment::new(unquoted(value.trim_ascii()));
            }
        }
        if lines.any(|line| !line.is_empty()) {
            return Err(Damage::Armor.into());
        }
        let blob = armor::base64(&text)?;
        let key = PublicKey::from_blob(blob.to_vec()).map_err(|error| match error {
            DecodeError::TooMany => KeyFileError::TooLong,
            _ => Damage::PublicKey.into(),
        })?;
        if !key.is_well_formed() {
            return Err(Damage::PublicKey.into());
        }
        Ok(Self { key, comment })
    }

    /// Writes a public key file of RFC 4716. A comment that does not fit into its line is cut, as
    /// by ssh-keygen: PuTTY does not read on in the next.
    ///
    /// # Errors
    /// `BadComment` if it is not UTF-8 or has control characters.
    pub fn to_rfc4716(&self) -> Result<String, KeyFileError> {
        let comment = core::str::from_utf8(self.comment.as_bytes())
            .ok()
            .filter(|comment| !comment.chars().any(char::is_control))
            .ok_or(KeyFileError::BadComment)?;
        let mut file = String::from(BEGIN);
        file.push('\n');
        if !comment.is_empty() {
            file.push_str("Comment: \"");
            let ends = comment
                .char_indices()
                .map(|(at, letter)| at + letter.len_utf8());
            let end = ends.take_while(|end| *end <= MAX_COMMENT).last();
            file.push_str(comment.get(..end.unwrap_or(0)).unwrap_or_default());
            file.push_str("\"\n");
        }
        let text = Base64::encode_string(self.key.as_blob());
        for line in text.as_bytes().chunks(BASE64_LINE) {
            file.extend(line.iter().map(|byte| char::from(*byte)));
            file.push('\n');
        }
        file.push_str(END);
        file.push('\n');
        Ok(file)
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::keys::Container;

    const LINE_OF_KEY: &str = include_str!("testdata/containers/ed25519.pub");
    const SSH_KEYGEN: &str = include_str!("testdata/containers/ed25519.rfc4716");
    const PUTTYGEN: &str = include_str!("testdata/containers/ed25519.rfc4716_puttygen");

    fn read(file: &str) -> Result<PublicKeyLine, KeyFileError> {
        PublicKeyLine::from_rfc4716(file.as_bytes())
    }

    fn with_comment(comment: &str) -> PublicKeyLine {
        let line = PublicKeyLine::parse(LINE_OF_KEY.as_bytes()).unwrap();
        let comment = Comment::new(comment);
        PublicKeyLine { comment, ..line }
    }

    #[test]
    fn files_of_ssh_keygen_and_puttygen_are_read() {
        let comment = "256-bit ED25519, converted by test@example from OpenSSH";
        for (file, comment) in [(SSH_KEYGEN, comment), (PUTTYGEN, "ed25519 of PuTTY")] {
            assert_eq!(read(file), Ok(with_comment(comment)));
            let file = file.replace('\n', "\r\n");
            assert_eq!(read(&file), Ok(with_comment(comment)));
        }
        assert_eq!(
            with_comment(comment).to_rfc4716().as_deref(),
            Ok(SSH_KEYGEN),
            "byte for byte"
        );
    }

    /// The headers of RFC 4716 section 3.6, around another key.
    #[test]
    fn headers_may_go_on_in_the_next_line() {
        let body = SSH_KEYGEN.lines().nth(2).unwrap();
        for (headers, comment) in [
            ("", ""),
            ("Subject: me\nx-more: a:b\\\nc:d\n", ""),
            (
                "Comment: This is my public key for use on \\\nservers which I don't like.\n",
                "This is my public key for use on servers which I don't like.",
            ),
            (
                "comment: \"1024-bit rsa, \\\n\\\nmore\"\n",
                "1024-bit rsa, more",
            ),
            ("COMMENT:\"\n", "\""),
        ] {
            let file = format!("{BEGIN}\n{headers}{body}\n{END}\n");
            assert_eq!(read(&file), Ok(with_comment(comment)), "{headers}");
        }
    }

    #[test]
    fn what_is_written_is_read_in_lines_of_72_bytes() {
        for (comment, kept) in [
            ("", ""),
            ("a", "a"),
            ("a \"b\" \\", "a \"b\" \\"),
            (&"\\".repeat(60), &*"\\".repeat(60)),
            (&"x".repeat(61), &"x".repeat(60)),
            (
                &format!("x{}", "ä".repeat(500)),
                &format!("x{}", "ä".repeat(29)),
            ),
        ] {
            let file = with_comment(comment).to_rfc4716().unwrap();
            assert!(file.lines().all(|line| line.len() <= 72), "{file}");
            assert_eq!(read(&file), Ok(with_comment(kept)));
        }
        for comment in ["a\nb", "a\x1b", "\u{9b}"] {
            let written = with_comment(comment).to_rfc4716();
            assert_eq!(written, Err(KeyFileError::BadComment));
        }
    }

    #[test]
    fn m1_every_cut_is_refused() {
        for file in [SSH_KEYGEN, PUTTYGEN] {
            for cut in 0..file.len() - 1 {
                assert!(read(&file[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn m1_damaged_files_are_refused() {
        let armor = Err(Damage::Armor.into());
        let header = Err(Damage::Header.into());
        assert_eq!(read(&format!("{SSH_KEYGEN}{SSH_KEYGEN}")), armor);
        assert_eq!(read(&format!("{SSH_KEYGEN}text")), armor);
        assert_eq!(read(&SSH_KEYGEN.replace(END, BEGIN)), armor);
        assert_eq!(read(&SSH_KEYGEN.replace(BEGIN, &BEGIN[..28])), armor);
        assert_eq!(
            read(&format!("\u{feff}{SSH_KEYGEN}")),
            Err(KeyFileError::NotAKeyFile)
        );
        assert_eq!(read(""), Err(KeyFileError::NotAKeyFile));
        assert_eq!(
            read("-----BEGIN RSA PRIVATE KEY-----\n"),
            Err(KeyFileError::UnsupportedContainer(Container::Pkcs1))
        );
        let tag = "x".repeat(MAX_TAG + 1);
        assert_eq!(read(&SSH_KEYGEN.replace("Comment", &tag)), header);
        let value = "x".repeat(MAX_VALUE);
        assert_eq!(read(&SSH_KEYGEN.replace("converted", &value)), header);
        assert_eq!(
            read(&SSH_KEYGEN.replace(END, &format!("a: b\n{END}"))),
            header
        );
        assert_eq!(
            read(&SSH_KEYGEN.replace("AAAAC3", "AAAA?3")),
            Err(Damage::Base64.into())
        );
        assert_eq!(
            read(&SSH_KEYGEN.replace("AAAAC3", "AAAAD3")),
            Err(Damage::PublicKey.into())
        );
        let long = SSH_KEYGEN.replace(END, &"\n".repeat(MAX_KEY_LINE));
        assert_eq!(read(&long), Err(KeyFileError::TooLong));
    }
}
