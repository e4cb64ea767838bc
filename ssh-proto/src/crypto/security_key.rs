//! Security keys (FIDO, OpenSSH PROTOCOL.u2f): what a private key file of one holds, and what its signatures say of the person who was there.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::Signature;
use crate::error::DecodeError;
use crate::wire::Reader;

/// `sk-ssh-ed25519@openssh.com`
pub(crate) const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
/// `sk-ecdsa-sha2-nistp256@openssh.com`
pub(crate) const SK_ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
/// `webauthn-sk-ecdsa-sha2-nistp256@openssh.com`
pub(crate) const WEBAUTHN_SK_ECDSA: &str = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;
/// The bits that say whether a credential is backed up are no concern of ours.
const BACKUP: u8 = 1 << 3 | 1 << 4;

/// What is stored of the private half of a security key: the key itself is in the hardware, which
/// finds it by the handle.
#[derive(Clone)]
pub struct SecurityKeyHandle {
    /// The application that the key is for, mostly `ssh:`.
    pub application: String,
    /// What the key was made to ask for: bit 0 for a touch, bit 2 for a PIN or fingerprint.
    pub flags: u8,
    /// The handle. Whoever holds it can ask the hardware to sign.
    pub key_handle: Zeroizing<Vec<u8>>,
    /// For later use; empty so far.
    pub reserved: Vec<u8>,
}

/// What a verified signature of a security key says of the person at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecurityKeyUse {
    /// Somebody touched the key.
    pub user_present: bool,
    /// The key knew them: by PIN or fingerprint.
    pub user_verified: bool,
    /// Counts the signatures of the key, or stays at zero; one that falls hints at a copy.
    pub counter: u32,
}

impl SecurityKeyUse {
    /// From flags and counter, if the flags are such as a signature with or without extensions has.
    fn new(flags: u8, counter: u32, is_extended: bool) -> Option<Self> {
        const KNOWN: u8 = USER_PRESENT | USER_VERIFIED | BACKUP | EXTENDED;
        // Attested data only comes when a key is made.
        let fits = flags & (ATTESTED | !KNOWN) == 0 && (flags & EXTENDED != 0) == is_extended;
        fits.then_some(Self {
            user_present: flags & USER_PRESENT != 0,
            user_verified: flags & USER_VERIFIED != 0,
            counter,
        })
    }
}

/// The parts of a signature of a security key.
#[cfg_attr(
    not(feature = "rustcrypto"),
    allow(dead_code, reason = "for providers")
)]
pub(crate) struct SecurityKeySignature<'a> {
    /// The signature of the curve.
    pub(crate) inner: &'a [u8],
    /// Flags and counter, as they are signed.
    pub(crate) signed: &'a [u8],
    pub(crate) usage: SecurityKeyUse,
    pub(crate) webauthn: Option<Webauthn<'a>>,
}

/// What a browser adds.
#[cfg_attr(
    not(feature = "rustcrypto"),
    allow(dead_code, reason = "for providers")
)]
pub(crate) struct Webauthn<'a> {
    pub(crate) origin: &'a [u8],
    pub(crate) client_data: &'a [u8],
    /// CBOR that the hardware signed along.
    pub(crate) extensions: &'a [u8],
}

impl<'a> SecurityKeySignature<'a> {
    /// Reads a signature whose name is that of an algorithm for security keys.
    pub(crate) fn parse(signature: &'a Signature) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(signature.as_encoded());
        let is_webauthn = match reader.string()? {
            name if name == WEBAUTHN_SK_ECDSA.as_bytes() => true,
            name if name == SK_ECDSA.as_bytes() || name == SK_ED25519.as_bytes() => false,
            _ => return Err(DecodeError::BadText),
        };
        let inner = reader.string()?;
        let signed = reader.bytes(5)?;
        let webauthn = if is_webauthn {
            Some(Webauthn {
                origin: reader.string()?,
                client_data: reader.string()?,
                extensions: reader.string()?,
            })
        } else {
            None
        };
        reader.finish()?;
        let is_extended = webauthn.as_ref().is_some_and(|w| !w.extensions.is_empty());
        let mut fields = Reader::new(signed);
        let usage = SecurityKeyUse::new(fields.u8()?, fields.u32()?, is_extended);
        Ok(Self {
            inner,
            signed,
            usage: usage.ok_or(DecodeError::OutOfRange)?,
            webauthn,
        })
    }
}

impl Signature {
    /// What the signature of a security key says of the person at it; `None` for other algorithms,
    /// and where it is malformed. It is worth as much as the signature: to be asked once that has
    /// been verified.
    pub fn security_key(&self) -> Option<SecurityKeyUse> {
        let parsed = SecurityKeySignature::parse(self).ok()?;
        Some(parsed.usage)
    }
}
