//! What files of lines with keys have in common: numbered lines, options with quoted values, and what can be wrong with a line (sshd(8), ssh-keygen(1)).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{KeyFileError, PublicKeyLine};
use crate::crypto::PublicKey;
use crate::limits::{MAX_KEY_LIST, MAX_KEY_LIST_LINES, MAX_LINE_ERRORS};
use crate::text::cut;

/// A line that was left out, of a file whose other lines are good. Counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Which line of the file.
    pub line: usize,
    /// What is wrong with it.
    pub problem: LineProblem,
}

/// What is wrong with a line. Names from the file are cut, and are escaped on display.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineProblem {
    /// It is longer than its bound in [`limits`](crate::limits).
    TooLong,
    /// It has too few fields.
    MissingField,
    /// Its key.
    Key(KeyFileError),
    /// Its key is a certificate, which no line can name: it is the key of an authority that stands there.
    Certificate,
    /// A marker that is not known, or a second one.
    Marker(String),
    /// A hashed host name that is malformed.
    HostHash,
    /// Host names or principals that have characters other than printable ASCII.
    Names,
    /// A control character among the options.
    ControlCharacter,
    /// A quote is not closed.
    UnclosedQuote,
    /// An option that is not known: it might restrict the key.
    UnknownOption(String),
    /// An option whose value is malformed, is missing or does not go with the other options.
    OptionValue(String),
    /// An option that can be there only once.
    RepeatedOption(String),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the line is too long"),
            Self::MissingField => f.write_str("a field is missing"),
            Self::Key(error) => write!(f, "{error}"),
            Self::Certificate => f.write_str("a certificate in place of a key"),
            Self::Marker(name) => write!(f, "marker {name:?} is not understood here"),
            Self::HostHash => f.write_str("malformed hashed host name"),
            Self::Names => f.write_str("malformed names"),
            Self::ControlCharacter => f.write_str("control character in the options"),
            Self::UnclosedQuote => f.write_str("a quote is not closed"),
            Self::UnknownOption(name) => write!(f, "option {name:?} is not understood"),
            Self::OptionValue(name) => write!(f, "option {name:?} has a wrong value, or none"),
            Self::RepeatedOption(name) => write!(f, "option {name:?} is there twice"),
        }
    }
}

impl core::error::Error for LineError {}
impl core::error::Error for LineProblem {}

impl From<KeyFileError> for LineProblem {
    fn from(error: KeyFileError) -> Self {
        Self::Key(error)
    }
}

/// What to show of a name in the file.
pub(super) fn shown(name: &[u8]) -> String {
    cut(&String::from_utf8_lossy(name), 64).to_owned()
}

/// Parses each line of a file that is neither empty nor a comment, and collects what comes of it.
///
/// Refuses the whole only where it is longer than a file can be.
pub(super) fn parse_lines<T>(
    text: &[u8],
    mut parse: impl FnMut(usize, &[u8]) -> Result<T, LineProblem>,
) -> Result<(Vec<T>, Vec<LineError>), KeyFileError> {
    if text.len() > MAX_KEY_LIST {
        return Err(KeyFileError::TooLong);
    }
    let (mut parsed, mut errors) = (Vec::new(), Vec::new());
    for (line, content) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let content = content.trim_ascii();
        if is_blank(content) {
            continue;
        }
        match parse(line, content) {
            Ok(_) if parsed.len() == MAX_KEY_LIST_LINES => return Err(KeyFileError::TooLong),
            Ok(value) => parsed.push(value),
            Err(problem) if errors.len() < MAX_LINE_ERRORS => {
                errors.push(LineError { line, problem });
            }
            Err(_) => {}
        }
    }
    Ok((parsed, errors))
}

/// Whether a line without its outer blanks says nothing.
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"#")
}

/// Splits at the first blank.
pub(super) fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = line.iter().position(is_blank).unwrap_or(line.len());
    let (field, rest) = line.split_at(end);
    (field, rest.trim_ascii_start())
}

/// A key that is not a certificate. One that is would be found as if somebody had checked it.
pub(super) fn plain_key(line: &[u8]) -> Result<PublicKeyLine, LineProblem> {
    let line = PublicKeyLine::parse(line)?;
    match is_certificate(&line.key) {
        true => Err(LineProblem::Certificate),
        false => Ok(line),
    }
}

pub(super) fn is_certificate(key: &PublicKey) -> bool {
    let key_type = key.key_type();
    key_type.contains("-cert-v0") || key_type.ends_with("-cert")
}

/// Reads what stands before a key, if anything does, and the key: options between commas.
pub(super) fn options_and_key<T: Default>(
    line: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, LineProblem>,
) -> Result<(T, PublicKeyLine), LineProblem> {
    let bare = match plain_key(line) {
        Ok(key) => return Ok((T::default(), key)),
        Err(problem) => problem,
    };
    let (options, rest) = split_options(line)?;
    match (parse(options), plain_key(rest)) {
        (Ok(options), Ok(key)) => Ok((options, key)),
        // What stands there are no options but a damaged key.
        (Err(LineProblem::UnknownOption(_)), Err(_)) => Err(bare),
        (Err(problem), _) | (Ok(_), Err(problem)) => Err(problem),
    }
}

/// Splits at the first blank that is not quoted.
fn split_options(line: &[u8]) -> Result<(&[u8], &[u8]), LineProblem> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b' ' | b'\t' if !quoted => {
                let (options, rest) = line.split_at(at);
                return Ok((options, rest.trim_ascii_start()));
            }
            byte if byte.is_ascii_control() && *byte != b'\t' => {
                return Err(LineProblem::ControlCharacter);
            }
            _ => {}
        }
        // As OpenSSH has it, a backslash stands for itself anywhere else, before a backslash too.
        escaped = *byte == b'\\';
    }
    Err(match quoted {
        true => LineProblem::UnclosedQuote,
        false => LineProblem::MissingField,
    })
}

/// The options that commas part: names in lower case, with their values where they have one.
pub(super) struct Options<'a> {
    /// What is not read yet; an option has to follow where it is there.
    rest: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text) }
    }
}

/// The name of an option, and its value where it has one.
pub(super) type KeyOption = (String, Option<Vec<u8>>);

impl Iterator for Options<'_> {
    type Item = Result<KeyOption, LineProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'='))
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let shown = shown(name);
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let (value, rest) = match rest.strip_prefix(b"=").map(unquote) {
            Some(Some((value, rest))) => (Some(value), rest),
            Some(None) => return Some(Err(LineProblem::OptionValue(shown))),
            None => (None, rest),
        };
        self.rest = match rest {
            [] => None,
            [b',', behind @ ..] => Some(behind),
            _ => return Some(Err(LineProblem::OptionValue(shown))),
        };
        Some(Ok((name, value)))
    }
}

/// A value in quotes, in which `\"` is a quote; and what follows it.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut value = Vec::new();
    loop {
        rest = match rest {
            [] => return None,
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', b'"', behind @ ..] => {
                value.push(b'"');
                behind
            }
            [byte, behind @ ..] => {
                value.push(*byte);
                behind
            }
        };
    }
}

/// Sets what can be set only once.
pub(super) fn set_once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), LineProblem> {
    match slot {
        Some(_) => Err(LineProblem::RepeatedOption(name.to_owned())),
        None => {
            *slot = Some(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::*;

    fn options(text: &str) -> Result<Vec<KeyOption>, LineProblem> {
        Options::new(text.as_bytes()).collect()
    }

    #[test]
    fn options_are_split_and_unquoted() {
        let value = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            options(r#"A,b="",c="x,\"y\\z",D"#),
            Ok(vec![
                ("a".into(), None),
                ("b".into(), value("")),
                ("c".into(), value(r#"x,"y\\z"#)),
                ("d".into(), None),
            ])
        );
        for text in ["a=", "a=b", "a=\"b", "a=\"b\"c", "a=\"b\" ", "a=\"\\\""] {
            assert_eq!(options(text), Err(LineProblem::OptionValue("a".into())));
        }
        // Whoever knows the names refuses the empty one.
        assert_eq!(
            options("a,"),
            Ok(vec![("a".into(), None), (String::new(), None)])
        );
    }

    #[test]
    fn m7_quotes_keep_options_together() {
        let split = |text: &'static str| split_options(text.as_bytes());
        assert_eq!(
            split(r#"a="b \" c" d"#),
            Ok((&br#"a="b \" c""#[..], &b"d"[..]))
        );
        assert_eq!(
            split(r#"a="\\" b" c"#),
            Ok((&br#"a="\\" b""#[..], &b"c"[..]))
        );
        assert_eq!(split("a=\"b c"), Err(LineProblem::UnclosedQuote));
        assert_eq!(split("abc"), Err(LineProblem::MissingField));
        for control in ["a=\"\r\" k", "a\0 k", "a=\"\u{1b}[2J\" k", "a\u{7f} k"] {
            assert_eq!(split(control), Err(LineProblem::ControlCharacter));
        }
        assert!(split("a=\"b\tc\" k").is_ok());
    }

    /// M12: what a diagnostic shows of the file can steer no terminal.
    #[test]
    fn m12_diagnostics_are_escaped() {
        let error = LineError {
            line: 3,
            problem: LineProblem::UnknownOption(shown(b"\x1b[2J\n\xff")),
        };
        let text = error.to_string();
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        assert!(text.starts_with("line 3: "));
        assert_eq!(shown(&[b'x'; 100]).len(), 64);
    }

    #[test]
    fn files_and_diagnostics_are_bounded() {
        let bad = b"x\n".repeat(MAX_LINE_ERRORS + 5);
        let parse = |_: usize, _: &[u8]| Err::<(), _>(LineProblem::MissingField);
        let (parsed, errors) = parse_lines(&bad, parse).unwrap();
        assert_eq!((parsed.len(), errors.len()), (0, MAX_LINE_ERRORS));
        assert_eq!(errors.last().unwrap().line, MAX_LINE_ERRORS);
        let many = b"x\n".repeat(MAX_KEY_LIST_LINES + 1);
        assert_eq!(
            parse_lines(&many, |_, _| Ok(())),
            Err(KeyFileError::TooLong)
        );
        assert!(parse_lines(&many[2..], |_, _| Ok(())).is_ok());
    }
}
