//! The server's `publickey` (RFC 4252 section 7) and its host-bound form (OpenSSH PROTOCOL section 3.1): what can be said of a key before its signature is verified, and the verification.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Attempt, AuthMethod, Checked, Server};
use crate::auth::signed::{hostbound_signed_data, signed_data};
use crate::auth::{Restrictions, find_algorithm};
use crate::crypto::{
    CertificateKind, PublicKey, SecurityKeyUse, Signature, SignatureAlgorithm, has_accepted_size,
};
use crate::error::ApiMisuse;
use crate::wire::auth::{PublicKeyAuth, PublicKeyHostboundAuth};

/// A signature that is well-formed, by a key and an algorithm that we take. Whether it is right
/// costs arithmetic to find out.
pub(super) struct Claim {
    pub(super) algorithm: &'static dyn SignatureAlgorithm,
    pub(super) key: PublicKey,
    pub(super) signature: Signature,
    pub(super) message: Vec<u8>,
    pub(super) signer: Signer,
}

/// A key whose signature was verified.
pub(super) struct Proof {
    pub(super) key: PublicKey,
    /// Of a security key.
    pub(super) usage: Option<SecurityKeyUse>,
    /// Nobody touched it, and the application has not said that this will do.
    pub(super) touch_is_due: bool,
    /// What a certificate allows by its own word, so that no application can forget to ask.
    pub(super) restrictions: Restrictions,
}

/// Whose key it is.
pub(super) enum Signer {
    User,
    Host {
        client_host: String,
        client_user: String,
    },
}

impl Claim {
    /// What there is to decide on if the signature is right.
    pub(super) fn verify(self) -> Option<(Attempt, AuthMethod)> {
        let Self {
            algorithm,
            key,
            signature,
            message,
            signer,
        } = self;
        algorithm.verify(&key, &message, &signature).ok()?;
        let usage = signature.security_key();
        let is_security_key = key.key_type().starts_with("sk-");
        let restrictions = match (&signer, key.certificate()) {
            (Signer::User, Some(certificate)) => {
                let rights = certificate.stated_rights().ok()?;
                let is_verified = usage.is_some_and(|usage| usage.user_verified);
                // As in OpenSSH, other keys cannot ask for a PIN, and need not.
                if rights.verify_required() && is_security_key && !is_verified {
                    return None;
                }
                Restrictions::from(&rights)
            }
            _ => Restrictions::default(),
        };
        let proof = Proof {
            key: key.clone(),
            usage,
            touch_is_due: match usage {
                Some(usage) => !usage.user_present,
                None => is_security_key,
            },
            restrictions,
        };
        let algorithm = algorithm.name();
        Some(match signer {
            Signer::User => (
                Attempt::PublicKey(proof),
                AuthMethod::PublicKey { key, algorithm },
            ),
            Signer::Host {
                client_host,
                client_user,
            } => (
                Attempt::HostBased(proof),
                AuthMethod::HostBased {
                    key,
                    algorithm,
                    client_host,
                    client_user,
                },
            ),
        })
    }
}

impl Server {
    /// Takes keys by these algorithms alone from the next request on, once; what is taken then.
    pub(crate) fn narrow(
        &mut self,
        names: &[&str],
    ) -> Result<Vec<&'static dyn SignatureAlgorithm>, ApiMisuse> {
        if self.user.is_none() || self.narrowed {
            return Err(ApiMisuse::WrongAnswer);
        }
        let accepted = |name: &&str| self.accepted.iter().copied().find(|a| a.name() == *name);
        self.accepted = names
            .iter()
            .map(accepted)
            .collect::<Option<_>>()
            .ok_or(ApiMisuse::UnsupportedKey)?;
        self.narrowed = true;
        Ok(self.accepted.clone())
    }

    /// Looks at a key; `bound` where the signature covers the host key too.
    pub(super) fn check_public_key(
        &self,
        user: &str,
        request: &PublicKeyAuth<'_>,
        bound: bool,
    ) -> Option<Checked> {
        let kind = CertificateKind::User;
        let (algorithm, key) = self.check_key(request.algorithm, request.key, kind)?;
        let name = algorithm.name();
        let Some(signature) = request.signature else {
            return Some(Checked::Query(name, key));
        };
        let signature = check_signature(algorithm, signature)?;
        let (session_id, user) = (&self.session_id, user.as_bytes());
        let message = match bound {
            false => signed_data(session_id, user, name, &key),
            true => hostbound_signed_data(session_id, user, name, &key, &self.host_key),
        };
        Some(Checked::Verify(Claim {
            algorithm,
            key,
            signature,
            message,
            signer: Signer::User,
        }))
    }

    /// As [`Self::check_public_key`], for a client that says which server it means.
    pub(super) fn check_hostbound(
        &self,
        user: &str,
        request: &PublicKeyHostboundAuth<'_>,
    ) -> Option<Checked> {
        let PublicKeyHostboundAuth {
            algorithm,
            key,
            host_key,
            signature,
        } = *request;
        if host_key != self.host_key.as_blob() {
            return None;
        }
        let request = PublicKeyAuth {
            algorithm,
            key,
            signature,
        };
        self.check_public_key(user, &request, true)
    }

    /// A key that can be read, fits its algorithm and has not proven a step already; a certificate
    /// is to be of this kind, and to have no critical option that nobody here would enforce. Only
    /// where the algorithm is one that we take is the key looked at.
    pub(super) fn check_key(
        &self,
        algorithm: &[u8],
        blob: &[u8],
        kind: CertificateKind,
    ) -> Option<(&'static dyn SignatureAlgorithm, PublicKey)> {
        if !self
            .accepted
            .iter()
            .any(|a| a.name().as_bytes() == algorithm)
        {
            return None;
        }
        let key = PublicKey::from_blob(Bytes::copy_from_slice(blob)).ok()?;
        let algorithm = find_algorithm(&self.accepted, algorithm, key.key_type())?;
        if !key.is_well_formed() {
            return None;
        }
        let certificate = key.certificate();
        if certificate.is_some_and(|it| it.kind() != kind || it.stated_rights().is_err()) {
            return None;
        }
        // A key and its certificates are one key, as in OpenSSH.
        let plain = plain_key(&key);
        let mut used = self.steps.iter().filter_map(|step| step.key.as_ref());
        let is_used = used.any(|used| plain_key(used) == plain);
        let is_accepted = !is_used && has_accepted_size(&key, self.min_rsa_bits);
        is_accepted.then_some((algorithm, key))
    }
}

/// The key that signs.
fn plain_key(key: &PublicKey) -> PublicKey {
    let certificate = key.certificate();
    certificate.map_or_else(|| key.clone(), |it| it.public_key().clone())
}

/// A signature in the format of its algorithm.
pub(super) fn check_signature(
    algorithm: &dyn SignatureAlgorithm,
    signature: &[u8],
) -> Option<Signature> {
    let signature = Signature::from_encoded(Bytes::copy_from_slice(signature)).ok()?;
    (signature.algorithm() == algorithm.signature_name()).then_some(signature)
}
