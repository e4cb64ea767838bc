//! Text that a server shows before authentication (RFC 4252 sections 5.4 and 8): kept raw, displayed escaped (RFC 4251 section 9.2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::limits::MAX_NAME;
use crate::text::Escaped;
use crate::wire::auth::UserauthBanner;

/// A banner of the server (RFC 4252 section 5.4).
///
/// It comes from a host that is authenticated but need not be trusted: show it as what the
/// server says, and through [`display`](Self::display).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    text: Vec<u8>,
    language: String,
}

impl Banner {
    pub(super) fn new(message: &UserauthBanner<'_>) -> Self {
        let language = match core::str::from_utf8(message.language) {
            Ok(tag) if tag.len() <= MAX_NAME && tag.bytes().all(|b| b.is_ascii_graphic()) => tag,
            _ => "",
        };
        Self {
            text: message.message.to_vec(),
            language: language.to_owned(),
        }
    }

    /// The text as sent, to log or to transcode. Never write it to a terminal.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text with everything escaped that could steer a terminal or reorder the line.
    pub fn display(&self) -> impl fmt::Display {
        Escaped(&self.text)
    }

    /// The language tag (RFC 3066); mostly empty.
    pub fn language(&self) -> &str {
        &self.language
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn g23_banner_displays_escaped() {
        let banner = Banner::new(&UserauthBanner {
            message: b"Hi\r\n\tthere\x1b[2J\r\x07\xff\xe2\x80\xae \xc2\x9b \xc3\xa9",
            language: b"en",
        });
        assert_eq!(
            banner.display().to_string(),
            "Hi\n\tthere\\u{1b}[2J\\u{d}\\u{7}\u{fffd}\\u{202e} \\u{9b} é"
        );
        assert_eq!(banner.language(), "en");
        assert!(banner.as_bytes().contains(&0x1b));
    }

    #[test]
    fn g23_language_is_a_tag_or_nothing() {
        for bad in [&b"\x1b[2J"[..], b"\xff", &[b'x'; 65]] {
            let banner = Banner::new(&UserauthBanner {
                message: b"",
                language: bad,
            });
            assert_eq!(banner.language(), "");
        }
    }
}
