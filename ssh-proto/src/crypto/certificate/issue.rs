//! Issuing certificates: what an authority does (draft-ietf-sshm-cert section 2).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Certificate, CertificateKind, TYPES, option, source};
use crate::crypto::{PublicKey, SecureRandom, SigningKey};
use crate::error::{CryptoError, DecodeError, RandomFailed};
use crate::wire::{Reader, put_string};

/// Collects what a certificate is to say, for an authority to sign.
///
/// It begins without principals, which must be added, without an end of its validity, and without
/// any right.
#[derive(Debug, Clone)]
pub struct CertificateBuilder {
    public_key: PublicKey,
    kind: CertificateKind,
    key_id: String,
    serial: u64,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical_options: BTreeMap<String, Bytes>,
    extensions: BTreeMap<String, Bytes>,
}

/// Why a certificate was not issued.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// It would be good for nobody.
    NoPrincipals,
    /// It would never be valid.
    NeverValid,
    /// A list of addresses is malformed, or empty.
    BadSourceAddress,
    /// Critical options mean nothing for hosts: nobody would accept the certificate.
    CriticalOptionForHost,
    /// It would not be read: a key is of a type that cannot be certified or cannot certify, or
    /// a text has a NUL, or something is too long.
    Malformed(DecodeError),
    /// The authority's key does not sign, or randomness fails.
    Crypto(CryptoError),
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrincipals => {
                f.write_str("a certificate without principals is good for nobody")
            }
            Self::NeverValid => f.write_str("the certificate would never be valid"),
            Self::BadSourceAddress => f.write_str("malformed list of addresses"),
            Self::CriticalOptionForHost => {
                f.write_str("a certificate of a host has no critical options")
            }
            Self::Malformed(error) => write!(f, "the certificate would be malformed: {error}"),
            Self::Crypto(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for IssueError {}

impl From<DecodeError> for IssueError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<CryptoError> for IssueError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<RandomFailed> for IssueError {
    fn from(error: RandomFailed) -> Self {
        Self::Crypto(error.into())
    }
}

impl CertificateBuilder {
    /// A certificate for a user's key. `key_id` names it in the logs of servers.
    pub fn user(key: PublicKey, key_id: impl Into<String>) -> Self {
        Self::new(CertificateKind::User, key, key_id.into())
    }

    /// A certificate for a host's key. Its principals are names of the host, or patterns.
    pub fn host(key: PublicKey, key_id: impl Into<String>) -> Self {
        Self::new(CertificateKind::Host, key, key_id.into())
    }

    fn new(kind: CertificateKind, public_key: PublicKey, key_id: String) -> Self {
        Self {
            public_key,
            kind,
            key_id,
            serial: 0,
            principals: Vec::new(),
            valid_after: 0,
            valid_before: u64::MAX,
            critical_options: BTreeMap::new(),
            extensions: BTreeMap::new(),
        }
    }

    /// The number by which the certificate can be revoked. Default 0, which is no number.
    pub fn serial(mut self, serial: u64) -> Self {
        self.serial = serial;
        self
    }

    /// Adds a user or a host name that the certificate is good for.
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.principals.push(name.into());
        self
    }

    /// From which second on and until before which one it is valid, since 1970 (UTC). Default always.
    pub fn valid(mut self, after: u64, before: u64) -> Self {
        self.valid_after = after;
        self.valid_before = before;
        self
    }

    /// Runs this command whatever the client asks for (`force-command`).
    pub fn force_command(self, command: &[u8]) -> Self {
        self.critical_option(option::FORCE_COMMAND, string(command))
    }

    /// Binds it to addresses and networks in CIDR notation, with commas (`source-address`).
    pub fn source_address(self, list: &str) -> Self {
        self.critical_option(option::SOURCE_ADDRESS, string(list.as_bytes()))
    }

    /// Asks that a security key verifies its user (`verify-required`).
    pub fn verify_required(self) -> Self {
        self.critical_option(option::VERIFY_REQUIRED, Bytes::new())
    }

    /// Grants a right by its name, such as `permit-pty`, or makes another extension without data.
    pub fn permit(self, name: &str) -> Self {
        self.extension(name, Bytes::new())
    }

    /// Grants what `ssh-keygen` grants unless told otherwise: forwarding of X11, agent and ports, a
    /// terminal, and `~/.ssh/rc`.
    pub fn permit_all(self) -> Self {
        self.permit(option::PERMIT_X11_FORWARDING)
            .permit(option::PERMIT_AGENT_FORWARDING)
            .permit(option::PERMIT_PORT_FORWARDING)
            .permit(option::PERMIT_PTY)
            .permit(option::PERMIT_USER_RC)
    }

    /// Adds a critical option with its encoded data, or replaces the one of this name. Who does not
    /// know it refuses the certificate.
    pub fn critical_option(mut self, name: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.critical_options.insert(name.into(), data.into());
        self
    }

    /// Adds an extension with its encoded data, or replaces the one of this name.
    pub fn extension(mut self, name: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.extensions.insert(name.into(), data.into());
        self
    }

    /// Has the authority sign, by one of the algorithms of its key. For RSA keys that is
    /// `rsa-sha2-512` or `rsa-sha2-256`; certificates by `ssh-rsa` are refused everywhere.
    ///
    /// # Errors
    /// Why there is no certificate.
    pub fn sign(
        &self,
        authority: &dyn SigningKey,
        algorithm: &str,
        random: &mut dyn SecureRandom,
    ) -> Result<Certificate, IssueError> {
        self.check()?;
        let (_, certified, _) = TYPES
            .into_iter()
            .find(|(plain, ..)| *plain == self.public_key.key_type())
            .ok_or(DecodeError::BadText)?;
        let mut nonce = [0; 32];
        random.fill(&mut nonce)?;
        let mut plain = Reader::new(self.public_key.as_blob());
        plain.string()?;

        let mut out = BytesMut::new();
        put_string(&mut out, certified.as_bytes());
        put_string(&mut out, &nonce);
        out.put_slice(plain.rest());
        out.put_u64(self.serial);
        out.put_u32(match self.kind {
            CertificateKind::User => 1,
            CertificateKind::Host => 2,
        });
        put_string(&mut out, self.key_id.as_bytes());
        let mut principals = BytesMut::new();
        for name in &self.principals {
            put_string(&mut principals, name.as_bytes());
        }
        put_string(&mut out, &principals);
        out.put_u64(self.valid_after);
        out.put_u64(self.valid_before);
        put_string(&mut out, &encode(&self.critical_options));
        put_string(&mut out, &encode(&self.extensions));
        put_string(&mut out, b"");
        put_string(&mut out, authority.public_key().as_blob());
        let signature = authority.sign(algorithm, &out)?;
        if signature.algorithm() != algorithm {
            return Err(CryptoError::InvalidSignature.into());
        }
        put_string(&mut out, signature.as_encoded());
        Ok(Certificate::from_public_key(&PublicKey::from_blob(out)?)?)
    }

    /// Whether somebody could ever accept it.
    fn check(&self) -> Result<(), IssueError> {
        if self.principals.is_empty() {
            return Err(IssueError::NoPrincipals);
        }
        if self.valid_after >= self.valid_before {
            return Err(IssueError::NeverValid);
        }
        if self.kind == CertificateKind::Host && !self.critical_options.is_empty() {
            return Err(IssueError::CriticalOptionForHost);
        }
        if let Some(data) = self.critical_options.get(option::SOURCE_ADDRESS) {
            let list = Reader::new(data).text()?;
            source::is_list(list)
                .then_some(())
                .ok_or(IssueError::BadSourceAddress)?;
        }
        Ok(())
    }
}

fn string(value: &[u8]) -> Bytes {
    let mut data = BytesMut::new();
    put_string(&mut data, value);
    data.freeze()
}

/// In the order of their names.
fn encode(options: &BTreeMap<String, Bytes>) -> BytesMut {
    let mut out = BytesMut::new();
    for (name, data) in options {
        put_string(&mut out, name.as_bytes());
        put_string(&mut out, data);
    }
    out
}
