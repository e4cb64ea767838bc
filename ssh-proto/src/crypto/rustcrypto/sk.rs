//! `sk-ssh-ed25519@openssh.com` and `sk-ecdsa-sha2-nistp256@openssh.com`, plain and as browsers sign: verification (OpenSSH PROTOCOL.u2f).

use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use p256::NistP256;
use sha2::{Digest as _, Sha256};

use super::nistp::parse_point;
use super::{ecdsa, ed25519};
use crate::crypto::security_key::{
    SK_ECDSA, SK_ED25519, SecurityKeySignature, WEBAUTHN_SK_ECDSA, Webauthn,
};
use crate::crypto::{EcdsaCurve, PublicKey, Signature, SignatureAlgorithm};
use crate::error::{CryptoError, DecodeError};
use crate::wire::Reader;

pub(super) static SK_SSH_ED25519: SkSshEd25519 = SkSshEd25519;
pub(super) static SK_ECDSA_SHA2_NISTP256: SkEcdsaSha2 = SkEcdsaSha2(SK_ECDSA);
pub(super) static WEBAUTHN_SK_ECDSA_SHA2_NISTP256: SkEcdsaSha2 = SkEcdsaSha2(WEBAUTHN_SK_ECDSA);

pub(super) struct SkSshEd25519;

/// Under the name of what the hardware signs, or of what the browser makes of it.
pub(super) struct SkEcdsaSha2(&'static str);

impl SignatureAlgorithm for SkSshEd25519 {
    fn name(&self) -> &'static str {
        SK_ED25519
    }

    fn key_type(&self) -> &'static str {
        SK_ED25519
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let (public, application) = read_ed25519(key).map_err(|_| CryptoError::InvalidKey)?;
        let key = ed25519::parse_key(public).ok_or(CryptoError::InvalidKey)?;
        let signature = parse(signature, SK_ED25519)?;
        let signed = signed_data(application, &signature, message)?;
        ed25519::verify(&key, &signed, signature.inner)
    }
}

impl SignatureAlgorithm for SkEcdsaSha2 {
    fn name(&self) -> &'static str {
        self.0
    }

    fn key_type(&self) -> &'static str {
        SK_ECDSA
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        let (point, application) = read_ecdsa(key).map_err(|_| CryptoError::InvalidKey)?;
        let key = parse_point::<NistP256>(point).ok_or(CryptoError::InvalidKey)?;
        let signature = parse(signature, self.0)?;
        let signed = signed_data(application, &signature, message)?;
        ecdsa::verify(&key.into(), &signed, signature.inner)
    }
}

fn read_ed25519(key: &PublicKey) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != SK_ED25519.as_bytes() {
        return Err(DecodeError::BadText);
    }
    let fields = (reader.string()?, reader.string()?);
    reader.finish()?;
    Ok(fields)
}

fn read_ecdsa(key: &PublicKey) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    if reader.string()? != SK_ECDSA.as_bytes()
        || reader.string()? != EcdsaCurve::Nistp256.name().as_bytes()
    {
        return Err(DecodeError::BadText);
    }
    let fields = (reader.string()?, reader.string()?);
    reader.finish()?;
    Ok(fields)
}

fn parse<'s>(
    signature: &'s Signature,
    algorithm: &str,
) -> Result<SecurityKeySignature<'s>, CryptoError> {
    SecurityKeySignature::parse(signature)
        .ok()
        .filter(|_| signature.algorithm() == algorithm)
        .ok_or(CryptoError::InvalidSignature)
}

/// What the hardware signs: it sees digests of the application and of the message, or of what a
/// browser made of the message.
fn signed_data(
    application: &[u8],
    signature: &SecurityKeySignature<'_>,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let mut data = Vec::with_capacity(128);
    data.extend_from_slice(&Sha256::digest(application));
    data.extend_from_slice(signature.signed);
    match &signature.webauthn {
        None => data.extend_from_slice(&Sha256::digest(message)),
        Some(webauthn) => {
            check_client_data(webauthn, message)?;
            data.extend_from_slice(webauthn.extensions);
            data.extend_from_slice(&Sha256::digest(webauthn.client_data));
        }
    }
    Ok(data)
}

/// The JSON of the browser has to begin with the message as its challenge, and the origin.
fn check_client_data(webauthn: &Webauthn<'_>, message: &[u8]) -> Result<(), CryptoError> {
    let challenge = Base64UrlUnpadded::encode_string(message);
    let rest = [
        &b"{\"type\":\"webauthn.get\",\"challenge\":\""[..],
        challenge.as_bytes(),
        b"\",\"origin\":\"",
        webauthn.origin,
        b"\"",
    ]
    .into_iter()
    .try_fold(webauthn.client_data, <[u8]>::strip_prefix);
    // A quote would end the text early, and let the origin go on with fields of its own.
    match rest {
        Some(_) if !webauthn.origin.contains(&b'"') => Ok(()),
        _ => Err(CryptoError::InvalidSignature),
    }
}

#[cfg(test)]
mod tests;
