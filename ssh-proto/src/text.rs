//! Text of the peer: kept raw, displayed escaped (RFC 4251 section 9.2).

use core::fmt::{self, Write};

use bytes::Bytes;

use crate::limits::MAX_PEER_TEXT;

/// Text of the peer, at most 1 KiB of it. `Display` escapes what could steer a terminal.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerText(Bytes);

impl PeerText {
    /// Keeps the beginning of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let kept = bytes.get(..bytes.len().min(MAX_PEER_TEXT)).unwrap_or(bytes);
        Self(Bytes::copy_from_slice(kept))
    }

    /// The bytes as they came. Never write them to a terminal.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

impl fmt::Debug for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// The longest start of `text` that has no more than `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    (0..=most)
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

/// Shows peer text: line feeds and tabs stay, other controls and bidirectional overrides are escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let mut chars = chunk.valid().chars().peekable();
            while let Some(c) = chars.next() {
                match c {
                    '\n' | '\t' => f.write_char(c)?,
                    '\r' if chars.peek() == Some(&'\n') => {}
                    c if c.is_control() || steers_direction(c) => {
                        write!(f, "{}", c.escape_unicode())?;
                    }
                    c => f.write_char(c)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

const fn steers_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
