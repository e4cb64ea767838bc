//! The prompts of `keyboard-interactive` (RFC 4256 section 3.2): what a server asks and a client shows.

use alloc::string::String;
use alloc::vec::Vec;

/// One prompt (RFC 4256 section 3.2).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The text to show before the answer.
    pub text: String,
    /// Whether the answer may be shown as it is typed.
    pub echo: bool,
}

impl Prompt {
    /// A prompt, for a server to send.
    pub fn new(text: impl Into<String>, echo: bool) -> Self {
        Self {
            text: text.into(),
            echo,
        }
    }
}

/// What a server asks in one round of `keyboard-interactive` (RFC 4256 section 3.2).
///
/// A server makes one to send it as it is. A client receives one, with control characters escaped
/// and each text cut at 1024 bytes of the server's: it is what the server says, so show it as such.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    /// A title; may be empty.
    pub name: String,
    /// Text to show above the prompts; may be empty, may have several lines.
    pub instruction: String,
    /// The prompts, at most 100; there may be none.
    pub prompts: Vec<Prompt>,
}

impl Prompts {
    /// A round of prompts, for a server to send.
    pub fn new(
        name: impl Into<String>,
        instruction: impl Into<String>,
        prompts: impl Into<Vec<Prompt>>,
    ) -> Self {
        Self {
            name: name.into(),
            instruction: instruction.into(),
            prompts: prompts.into(),
        }
    }
}
