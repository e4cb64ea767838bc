//! The text around a private key: `BEGIN` and `END` lines and base64 between them (PROTOCOL.key section 1, RFC 7468).

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::container::unexpected;
use super::{Damage, KeyFileError};
use crate::error::CryptoError;
use crate::limits::MAX_KEY_FILE;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// The width of ssh-keygen's lines.
const LINE: usize = 70;

/// Takes the armor off. White space at line ends and empty lines mean nothing.
pub(super) fn decode(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let armored = open(file, "OPENSSH PRIVATE KEY")?;
    match armored.headers.is_empty() {
        true => Ok(armored.blob),
        false => Err(Damage::Armor.into()),
    }
}

/// What stands between the lines that begin and end a file.
pub(super) struct Armored<'f> {
    /// Header lines, which end in an empty one (RFC 1421 section 4.4).
    pub(super) headers: Vec<&'f [u8]>,
    pub(super) blob: Zeroizing<Vec<u8>>,
}

/// Takes the armor of this label off.
pub(super) fn open<'f>(file: &'f [u8], label: &str) -> Result<Armored<'f>, KeyFileError> {
    if file.len() > MAX_KEY_FILE {
        return Err(KeyFileError::TooLong);
    }
    let begin = format!("-----BEGIN {label}");
    let end = format!("-----END {label}-----");
    let mut lines = file
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let first = lines.next().unwrap_or_default();
    match first.strip_prefix(begin.as_bytes()) {
        Some(b"-----") => {}
        Some(_) => return Err(Damage::Armor.into()),
        None => return Err(unexpected(file)),
    }
    let mut lines = lines.peekable();
    let mut headers = Vec::new();
    while let Some(header) = lines.next_if(|line| line.contains(&b':')) {
        headers.push(header);
    }
    if !headers.is_empty() && lines.next().is_none_or(|line| !line.is_empty()) {
        return Err(Damage::Armor.into());
    }
    // Sized once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    loop {
        match lines.next() {
            None => return Err(Damage::Armor.into()),
            Some(line) if line == end.as_bytes() => break,
            Some(line) if line.starts_with(b"-----") => return Err(Damage::Armor.into()),
            Some(line) => text.extend_from_slice(line),
        }
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(Damage::Armor.into());
    }
    let blob = base64(&text)?;
    Ok(Armored { headers, blob })
}

/// Decodes base64 that has no white space.
pub(super) fn base64(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut blob = Zeroizing::new(vec![0; text.len().div_ceil(4).saturating_mul(3)]);
    let len = Base64::decode(text, &mut blob)
        .map_err(|_| Damage::Base64)?
        .len();
    blob.truncate(len);
    Ok(blob)
}

/// Decodes hexadecimal digits.
#[cfg(any(feature = "pem", feature = "ppk"))]
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    text.chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
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
    fn m1_headers_end_in_an_empty_line() {
        let open = |text: &str| {
            let file = format!("{BEGIN}\n{text}\n{END}\n");
            let armored = open(file.as_bytes(), "OPENSSH PRIVATE KEY")?;
            Ok((armored.headers.len(), armored.blob.len()))
        };
        let armor = Err(KeyFileError::Damaged(Damage::Armor));
        assert_eq!(open(&format!("a: b\r\nc: d\r\n\r\n{BODY}")), Ok((2, 15)));
        assert_eq!(open(&format!("a: b\n{BODY}")), armor);
        assert_eq!(open("a: b"), armor);
        assert_eq!(
            open(&format!("{BODY}\na: b\n")),
            Err(KeyFileError::Damaged(Damage::Base64))
        );
        assert_eq!(
            damage(&format!("{BEGIN}\na: b\n\n{BODY}\n{END}\n")),
            KeyFileError::Damaged(Damage::Armor),
            "OpenSSH has none"
        );
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
}
