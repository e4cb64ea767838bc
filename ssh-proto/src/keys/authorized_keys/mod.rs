//! The authorized_keys file: which keys let a user in, and on which terms (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

mod options;
mod source;

use alloc::vec::Vec;

pub use self::options::{KeyOptions, KeyRefusal, PermittedPlace, TunnelDevice};
pub use self::source::SourceList;
use super::line::{LineError, LineProblem, is_blank, options_and_key, parse_lines};
use super::{Comment, KeyFileError};
use crate::crypto::PublicKey;
use crate::limits::MAX_KEY_LINE;

/// A line of an authorized_keys file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizedKey {
    /// The key of the user, or of an authority if the options say so. Never a certificate.
    pub key: PublicKey,
    /// On which terms.
    pub options: KeyOptions,
    /// What follows the key.
    pub comment: Comment,
    /// Where it stands, from 1.
    pub line: usize,
}

impl AuthorizedKey {
    /// Reads one line of a file that is not held in memory as a whole; `None` if it is empty or a
    /// comment. `number` is only kept.
    ///
    /// # Errors
    /// What is wrong with it. A line that has an option which is not known, or anything else that
    /// is not understood, lets nobody in.
    pub fn parse(number: usize, line: &[u8]) -> Result<Option<Self>, LineProblem> {
        let content = line.trim_ascii();
        match is_blank(content) {
            true => Ok(None),
            false => Self::parse_content(number, content).map(Some),
        }
    }

    fn parse_content(number: usize, line: &[u8]) -> Result<Self, LineProblem> {
        if line.len() > MAX_KEY_LINE {
            return Err(LineProblem::TooLong);
        }
        let (options, key) = options_and_key(line, KeyOptions::parse)?;
        Ok(Self {
            key: key.key,
            options,
            comment: key.comment,
            line: number,
        })
    }
}

/// An authorized_keys file. A server's application reads the one of the user who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedKeys {
    keys: Vec<AuthorizedKey>,
}

impl AuthorizedKeys {
    /// Reads a file. Lines that are not understood are left out whole and reported, the first
    /// [`MAX_LINE_ERRORS`](crate::limits::MAX_LINE_ERRORS) of them; they let nobody in.
    ///
    /// # Errors
    /// `TooLong` above 64 MiB or 131072 lines with keys; [`AuthorizedKey::parse`] reads any number.
    pub fn parse(text: &[u8]) -> Result<(Self, Vec<LineError>), KeyFileError> {
        let (keys, errors) = parse_lines(text, AuthorizedKey::parse_content)?;
        Ok((Self { keys }, errors))
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizedKey> {
        self.keys.iter()
    }

    /// The lines that authorize this plain key, in order. The first one that
    /// [admits](KeyOptions::admits) the login counts, and its options alone.
    pub fn find(&self, key: &PublicKey) -> impl Iterator<Item = &AuthorizedKey> {
        self.with_key(key, false)
    }

    /// The lines that authorize the certificates of an authority (`cert-authority`), as above.
    pub fn find_authority(&self, authority: &PublicKey) -> impl Iterator<Item = &AuthorizedKey> {
        self.with_key(authority, true)
    }

    fn with_key(
        &self,
        key: &PublicKey,
        is_authority: bool,
    ) -> impl Iterator<Item = &AuthorizedKey> {
        self.iter()
            .filter(move |line| line.options.cert_authority == is_authority && line.key == *key)
    }
}

#[cfg(test)]
mod tests;
