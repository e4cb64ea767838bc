//! The text around an OpenSSH private key: `BEGIN` and `END` lines and base64 between them (PROTOCOL.key section 1).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{Damage, KeyFileError, foreign_container};
use crate::error::CryptoError;
use crate::limits::MAX_KEY_FILE;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// The width of ssh-keygen's lines.
const LINE: usize = 70;

/// Takes the armor off. White space at line ends and empty lines mean nothing.
pub(super) fn decode(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    if file.len() > MAX_KEY_FILE {
        return Err(KeyFileError::TooLong);
    }
    let mut lines = file
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let first = lines.next().unwrap_or_default();
    if first != BEGIN.as_bytes() {
        return Err(
            if first.starts_with(BEGIN.trim_end_matches('-').as_bytes()) {
                Damage::Armor.into()
            } else {
                foreign_container(file)
            },
        );
    }
    // Sized once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    loop {
        match lines.next() {
            None => return Err(Damage::Armor.into()),
            Some(line) if line == END.as_bytes() => break,
            Some(line) if line == BEGIN.as_bytes() => return Err(Damage::Armor.into()),
            Some(line) => text.extend_from_slice(line),
        }
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(Damage::Armor.into());
    }
    let mut blob = Zeroizing::new(vec![0; text.len().div_ceil(4).saturating_mul(3)]);
    let len = Base64::decode(&text[..], &mut blob)
        .map_err(|_| Damage::Base64)?
        .len();
    blob.truncate(len);
    Ok(blob)
}

/// Puts the armor on.
pub(super) fn encode(blob: &[u8]) -> Result<Zeroizing<String>, KeyFileError> {
    let mut text = Zeroizing::new(vec![0; Base64::encoded_len(blob)]);
    let text = Base64::encode(blob, &mut text)
        .map_err(|_| KeyFileError::Crypto(CryptoError::Failed))?
        .as_bytes();
    let lines = text.len() / LINE + 1;
    let mut file = Zeroizing::new(String::with_capacity(
        BEGIN.len() + END.len() + 2 + text.len() + lines,
    ));
    file.push_str(BEGIN);
    file.push('\n');
    for line in text.chunks(LINE) {
        file.extend(line.iter().map(|byte| char::from(*byte)));
        file.push('\n');
    }
    file.push_str(END);
    file.push('\n');
    Ok(file)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    const BODY: &str = "b3BlbnNzaC1rZXktdjEA";

    fn damage(file: &str) -> KeyFileError {
        decode(file.as_bytes()).unwrap_err()
    }

    #[test]
    fn m1_line_ends_and_trailing_white_space_mean_nothing() {
        for end in ["\n", "\r\n", " \t\r\n", "\n\n"] {
            let file = format!("{BEGIN}{end}{BODY}{end}{END}{end}");
            assert_eq!(decode(file.as_bytes()).unwrap()[..], *b"openssh-key-v1\0");
        }
        let file = format!("{BEGIN}\n{BODY}\n{END}");
        assert!(decode(file.as_bytes()).is_ok(), "no line end at the end");
    }

    #[test]
    fn m1_damaged_armor_is_refused() {
        let armor = KeyFileError::Damaged(Damage::Armor);
        let whole = format!("{BEGIN}\n{BODY}\n{END}\n");
        assert_eq!(damage(&format!("{BEGIN}\n{whole}{END}\n")), armor, "nested");
        assert_eq!(damage(&format!("{whole}{whole}")), armor, "twice");
        assert_eq!(damage(&format!("{whole}text")), armor);
        assert_eq!(damage(&format!("{BEGIN}\n{BODY}\n")), armor);
        assert_eq!(damage(&format!("{BEGIN}-\n{BODY}\n{END}\n")), armor);
        assert_eq!(damage(&format!("{BEGIN}{BODY}{END}")), armor, "one line");
        for not_a_file in ["", "\n", &format!("\u{feff}{whole}"), &format!(" {whole}")] {
            assert_eq!(damage(not_a_file), KeyFileError::NotAKeyFile);
        }
    }

    #[test]
    fn m1_bad_base64_is_refused() {
        for body in [
            "b3Bl bnNz",
            "b3B=bnNz",
            "b3Blb",
            "b3Bl====",
            "b3Blbm-_",
            "b3Blb4==",
            "\0",
        ] {
            assert_eq!(
                damage(&format!("{BEGIN}\n{body}\n{END}\n")),
                KeyFileError::Damaged(Damage::Base64),
                "{body:?}"
            );
        }
    }

    #[test]
    fn m1_the_longest_file() {
        let mut file = format!("{BEGIN}\n{BODY}\n{END}").into_bytes();
        file.resize(MAX_KEY_FILE, b'\n');
        assert!(decode(&file).is_ok());
        file.push(b'\n');
        assert_eq!(decode(&file), Err(KeyFileError::TooLong));
    }

    #[test]
    fn other_formats_are_named() {
        for (file, name) in [
            ("-----BEGIN PRIVATE KEY-----\nMC4=\n", "PKCS#8"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                "PKCS#8 (encrypted)",
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\n", "PEM (PKCS#1)"),
            ("-----BEGIN CERTIFICATE-----\n", "PEM"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\r\n", "PuTTY PPK"),
            (
                "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
                "SSH2 (RFC 4716)",
            ),
        ] {
            assert_eq!(damage(file), KeyFileError::UnsupportedContainer(name));
        }
    }
}
