//! The allowed signers file: whose signatures of files and messages count, for what and when (ssh-keygen(1), ALLOWED SIGNERS).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::line::{
    LineError, LineProblem, Options, options_and_key, parse_lines, set_once, shown, split_field,
};
use super::pattern::{Letters, list_matches};
use super::{FileTime, KeyFileError, WallClock};
use crate::crypto::{Certificate, CertificateCheck, CryptoProvider, PublicKey};
use crate::limits::{MAX_KEY_LINE, MAX_PRINCIPAL, MAX_SIGNATURE_NAMESPACE};

/// A line: names of signers, and a key by which they may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigner {
    principals: String,
    options: SignerOptions,
    key: PublicKey,
    line: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SignerOptions {
    cert_authority: bool,
    namespaces: Option<String>,
    valid_after: Option<FileTime>,
    valid_before: Option<FileTime>,
}

/// Why nobody of that name may sign with that key, there and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignerRefusal {
    /// No line has both the name and the key.
    Unknown,
    /// The key is not good for the namespace.
    Namespace,
    /// The key is not good yet.
    NotYetValid,
    /// The key is not good any more.
    Expired,
    /// The authority is good for it all, and the certificate does not hold: see
    /// [`Certificate::verify`].
    Certificate,
}

impl fmt::Display for SignerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such signer with this key",
            Self::Namespace => "the key is not good for the namespace",
            Self::NotYetValid => "the key is not good yet",
            Self::Expired => "the key has expired",
            Self::Certificate => "the certificate of the key does not hold",
        })
    }
}

impl core::error::Error for SignerRefusal {}

impl AllowedSigner {
    fn parse(number: usize, line: &[u8]) -> Result<Self, LineProblem> {
        if line.len() > MAX_KEY_LINE {
            return Err(LineProblem::TooLong);
        }
        let (names, rest) = match line {
            [b'"', quoted @ ..] => {
                let end = quoted.iter().position(|byte| *byte == b'"');
                let (names, rest) = quoted.split_at(end.ok_or(LineProblem::UnclosedQuote)?);
                let rest = rest.strip_prefix(b"\"").unwrap_or_default();
                match rest {
                    [] | [b' ' | b'\t', ..] => (names, rest.trim_ascii_start()),
                    _ => return Err(LineProblem::Names),
                }
            }
            _ => split_field(line),
        };
        let names = core::str::from_utf8(names).map_err(|_| LineProblem::Names)?;
        if names.is_empty() || names.contains(|letter: char| letter.is_control() || letter == '"') {
            return Err(LineProblem::Names);
        }
        if rest.is_empty() {
            return Err(LineProblem::MissingField);
        }
        let (options, key) = options_and_key(rest, SignerOptions::parse)?;
        Ok(Self {
            principals: names.into(),
            options,
            key: key.key,
            line: number,
        })
    }

    /// The key, or that of an authority.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The names, patterns between commas.
    pub fn principals(&self) -> &str {
        &self.principals
    }

    /// Whether the key is that of an authority whose certificates count (`cert-authority`).
    pub const fn is_authority(&self) -> bool {
        self.options.cert_authority
    }

    /// Where it stands, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    fn names(&self, principal: &str) -> bool {
        principal.len() <= MAX_PRINCIPAL && is_listed(&self.principals, principal)
    }

    /// Whether it counts for this namespace and now, whoever signs.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, namespace: &str, now: WallClock) -> Result<(), SignerRefusal> {
        let listed = |list: &String| {
            namespace.len() <= MAX_SIGNATURE_NAMESPACE && is_listed(list, namespace)
        };
        let SignerOptions {
            namespaces,
            valid_after,
            valid_before,
            ..
        } = &self.options;
        if !namespaces.as_ref().is_none_or(listed) {
            return Err(SignerRefusal::Namespace);
        }
        if valid_after.is_some_and(|start| !start.is_reached(now)) {
            return Err(SignerRefusal::NotYetValid);
        }
        match valid_before {
            Some(end) if end.is_reached(now) => Err(SignerRefusal::Expired),
            _ => Ok(()),
        }
    }
}

fn is_listed(patterns: &str, text: &str) -> bool {
    list_matches(patterns.as_bytes(), text.as_bytes(), Letters::Exact)
}

impl SignerOptions {
    fn parse(text: &[u8]) -> Result<Self, LineProblem> {
        let mut options = Self::default();
        for option in Options::new(text) {
            let (name, value) = option?;
            let wrong = || LineProblem::OptionValue(name.clone());
            match (&*name, value) {
                ("cert-authority", None) => options.cert_authority = true,
                ("namespaces", Some(value)) => {
                    let list = String::from_utf8(value).map_err(|_| wrong())?;
                    set_once(&mut options.namespaces, &name, list)?;
                }
                ("valid-after", Some(value)) => {
                    let start = FileTime::parse(&value).ok_or_else(wrong)?;
                    set_once(&mut options.valid_after, &name, start)?;
                }
                ("valid-before", Some(value)) => {
                    let end = FileTime::parse(&value).ok_or_else(wrong)?;
                    set_once(&mut options.valid_before, &name, end)?;
                }
                _ => return Err(LineProblem::UnknownOption(shown(name.as_bytes()))),
            }
        }
        Ok(options)
    }
}

/// An allowed signers file, as `ssh-keygen -Y verify` and git take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<AllowedSigner>,
}

impl AllowedSigners {
    /// Reads a file. Lines that are not understood are left out and reported, the first
    /// [`MAX_LINE_ERRORS`](crate::limits::MAX_LINE_ERRORS) of them; nobody may sign by them.
    ///
    /// # Errors
    /// `TooLong` above 64 MiB or 131072 lines with keys.
    pub fn parse(text: &[u8]) -> Result<(Self, Vec<LineError>), KeyFileError> {
        let (signers, errors) = parse_lines(text, AllowedSigner::parse)?;
        Ok((Self { signers }, errors))
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = &AllowedSigner> {
        self.signers.iter()
    }

    /// Whether somebody of this name may sign with this plain key for the namespace; asked with
    /// the key that [`SshSig::verify`](super::SshSig::verify) returned. `now` is when the
    /// signature was made, if that is known from elsewhere. A certificate is no key here: ask
    /// [`Self::check_certificate`].
    ///
    /// # Errors
    /// Why not; what the last line with the name and the key says.
    pub fn check(
        &self,
        principal: &str,
        namespace: &str,
        key: &PublicKey,
        now: WallClock,
    ) -> Result<&AllowedSigner, SignerRefusal> {
        let mut refusal = SignerRefusal::Unknown;
        for signer in self.with_key(key).filter(|signer| signer.names(principal)) {
            match signer.admits(namespace, now) {
                Ok(()) => return Ok(signer),
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// The lines with this plain key, for those who want to know who may have signed
    /// (`ssh-keygen -Y find-principals`).
    pub fn with_key(&self, key: &PublicKey) -> impl Iterator<Item = &AllowedSigner> {
        self.iter()
            .filter(move |signer| !signer.is_authority() && signer.key == *key)
    }

    /// Whether somebody of this name may sign by this certificate for the namespace: a line has
    /// both the name and, as `cert-authority`, the key of its authority, and the certificate holds
    /// for that name then, as that of a user. One that is bound to addresses does not: a file comes
    /// from nowhere. Asked with what [`SshSig::verify`](super::SshSig::verify) returned, and with
    /// lists of what is revoked looked at before.
    ///
    /// # Errors
    /// Why not; what the last line with the name and the authority says.
    pub fn check_certificate(
        &self,
        principal: &str,
        namespace: &str,
        certificate: &Certificate,
        now: WallClock,
        provider: &CryptoProvider,
    ) -> Result<&AllowedSigner, SignerRefusal> {
        let authority = certificate.signature_key();
        let mut refusal = SignerRefusal::Unknown;
        for signer in self.iter() {
            if !(signer.is_authority() && signer.key == *authority && signer.names(principal)) {
                continue;
            }
            refusal = match signer.admits(namespace, now) {
                Ok(()) => {
                    let (principals, authorities) = ([principal], [authority.clone()]);
                    let check = CertificateCheck::user(&principals, now.unix, &authorities);
                    return match certificate.verify(&check, provider) {
                        Ok(_) => Ok(signer),
                        // No other line makes it a better one.
                        Err(_) => Err(SignerRefusal::Certificate),
                    };
                }
                Err(reason) => reason,
            };
        }
        Err(refusal)
    }

    /// The authorities whose certificates let somebody of this name sign for the namespace now.
    /// The certificate has to be checked for the name as well, as [`Self::check_certificate`] does.
    pub fn authorities(
        &self,
        principal: &str,
        namespace: &str,
        now: WallClock,
    ) -> impl Iterator<Item = &PublicKey> {
        self.iter()
            .filter(move |signer| {
                signer.is_authority()
                    && signer.names(principal)
                    && signer.admits(namespace, now).is_ok()
            })
            .map(AllowedSigner::key)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::keys::Damage;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHSfyLEsMeNY4K/mHzzbfwPXDunYBSH8kmY+R1emwspx";

    fn key() -> PublicKey {
        crate::keys::PublicKeyLine::parse(KEY.as_bytes())
            .unwrap()
            .key
    }

    fn now() -> WallClock {
        // 2024-02-29
        WallClock::utc(1_709_164_800)
    }

    fn signers(text: &str) -> AllowedSigners {
        let (signers, errors) = AllowedSigners::parse(text.as_bytes()).unwrap();
        assert_eq!(errors, []);
        signers
    }

    #[test]
    fn m8_names_namespaces_and_times() {
        use SignerRefusal::{Expired, Namespace, NotYetValid, Unknown};
        for (line, principal, expected) in [
            ("me@example", "me@example", None),
            ("me@example", "ME@example", Some(Unknown)),
            ("me@example", "you@example", Some(Unknown)),
            (
                "me@example,you@example",
                "me@example,you@example",
                Some(Unknown),
            ),
            ("*@example,!you@example", "you@example", Some(Unknown)),
            ("*@example,!you@example", "me@example", None),
            ("\"my name\"", "my name", None),
            ("*", "", None),
            ("me namespaces=\"git,f*\"", "me", None),
            ("me namespaces=\"git,*,!file\"", "me", Some(Namespace)),
            ("me namespaces=\"FILE\"", "me", Some(Namespace)),
            ("me namespaces=\"\"", "me", Some(Namespace)),
            ("me Valid-After=\"20240229Z\"", "me", None),
            (
                "me valid-after=\"20240229000001Z\"",
                "me",
                Some(NotYetValid),
            ),
            ("me valid-before=\"20240229Z\"", "me", Some(Expired)),
            (
                "me valid-before=\"20240229000001Z\",namespaces=\"file\"",
                "me",
                None,
            ),
            (
                "me valid-after=\"20250101\",valid-before=\"20240101\"",
                "me",
                Some(NotYetValid),
            ),
            ("me cert-authority", "me", Some(Unknown)),
        ] {
            let signers = signers(&format!("# x\n\n{line} {KEY} comment\r\n"));
            let found = signers.check(principal, "file", &key(), now());
            assert_eq!(found.err(), expected, "{line}");
            if let Ok(signer) = found {
                assert_eq!(signer.line(), 3);
            }
            let other = PublicKey::ed25519(&[1; 32]);
            assert_eq!(
                signers.check(principal, "file", &other, now()),
                Err(Unknown)
            );
        }
    }

    #[test]
    fn several_lines_and_authorities() {
        let text = format!(
            "me namespaces=\"git\" {KEY}\nme {KEY}\n* cert-authority,namespaces=\"file\" {KEY}\n"
        );
        let signers = signers(&text);
        let line = |principal, namespace| {
            signers
                .check(principal, namespace, &key(), now())
                .map(AllowedSigner::line)
        };
        assert_eq!((line("me", "git"), line("me", "file")), (Ok(1), Ok(2)));
        assert_eq!(signers.with_key(&key()).count(), 2);
        assert_eq!(signers.authorities("you", "file", now()).count(), 1);
        assert_eq!(signers.authorities("you", "git", now()).count(), 0);
        let long = "n".repeat(MAX_PRINCIPAL + 1);
        assert_eq!(signers.authorities(&long, "file", now()).count(), 0);
    }

    #[test]
    fn m7_lines_that_are_not_understood_let_nobody_sign() {
        let certificate = include_str!("testdata/ecdsa-cert.pub").trim_end();
        let value = |name: &str| LineProblem::OptionValue(name.into());
        for (line, problem) in [
            ("me".into(), LineProblem::MissingField),
            (KEY.into(), LineProblem::MissingField),
            (
                format!("me restrict {KEY}"),
                LineProblem::UnknownOption("restrict".into()),
            ),
            (
                format!("me namespaces {KEY}"),
                LineProblem::UnknownOption("namespaces".into()),
            ),
            (
                format!("me cert-authority=\"\" {KEY}"),
                LineProblem::UnknownOption("cert-authority".into()),
            ),
            (
                format!("me namespaces=\"a\",namespaces=\"b\" {KEY}"),
                LineProblem::RepeatedOption("namespaces".into()),
            ),
            (format!("me valid-after=\"\" {KEY}"), value("valid-after")),
            (
                format!("me valid-before=\"never\" {KEY}"),
                value("valid-before"),
            ),
            (
                format!("me valid-before=20240101 {KEY}"),
                value("valid-before"),
            ),
            (
                format!("me namespaces=\"a {KEY}"),
                LineProblem::UnclosedQuote,
            ),
            (format!("\"me {KEY}"), LineProblem::UnclosedQuote),
            (format!("\"me\"x {KEY}"), LineProblem::Names),
            (format!("\"\" {KEY}"), LineProblem::Names),
            (format!("a\"b {KEY}"), LineProblem::Names),
            (format!("a\u{1b} {KEY}"), LineProblem::Names),
            (format!("me {certificate}"), LineProblem::Certificate),
            (
                format!("me {}", KEY.replace("ssh-ed25519", "ssh-rsa")),
                LineProblem::Key(Damage::TypeMismatch.into()),
            ),
        ] {
            let (signers, errors) = AllowedSigners::parse(line.as_bytes()).unwrap();
            assert_eq!(signers.iter().count(), 0, "{line}");
            assert_eq!(errors, [LineError { line: 1, problem }], "{line}");
        }
    }
}
