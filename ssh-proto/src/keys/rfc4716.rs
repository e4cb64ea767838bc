//! Public keys in files of RFC 4716, as `ssh-keygen -e`, PuTTY and ssh.com write them.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use super::container::unexpected;
use super::public::PublicKeyLine;
use super::{Comment, Damage, KeyFileError, armor};
use crate::crypto::PublicKey;
use crate::error::DecodeError;
use crate::limits::{MAX_KEY_COMMENT, MAX_KEY_LINE};

const BEGIN: &str = "---- BEGIN SSH2 PUBLIC KEY ----";
const END: &str = "---- END SSH2 PUBLIC KEY ----";

/// The longest line (section 3.1).
const LINE: usize = 72;
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

    /// Writes a public key file of RFC 4716.
    ///
    /// # Errors
    /// `BadComment` if it is not UTF-8, too long or has control characters.
    pub fn to_rfc4716(&self) -> Result<String, KeyFileError> {
        let comment = core::str::from_utf8(self.comment.as_bytes())
            .ok()
            .filter(|comment| comment.len() < MAX_KEY_COMMENT.min(MAX_VALUE) - 3)
            .filter(|comment| !comment.chars().any(char::is_control))
            .ok_or(KeyFileError::BadComment)?;
        let mut file = String::from(BEGIN);
        file.push('\n');
        if !comment.is_empty() {
            let mut line = String::from("Comment: \"");
            for letter in comment.chars().chain(['"']) {
                // Room for the backslash.
                if line.len() + letter.len_utf8() >= LINE {
                    file.push_str(&line);
                    file.push_str("\\\n");
                    line.clear();
                }
                line.push(letter);
            }
            file.push_str(&line);
            file.push('\n');
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
