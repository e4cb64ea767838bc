//! Signatures of user and client host keys (RFC 4252 sections 7 and 9): made at once or elsewhere, verified, and sent with their request.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Attempt, Client, ClientAsk, State};
use crate::auth::find_algorithm;
use crate::auth::signed::{hostbased_signed_data, hostbound_signed_data, signed_data};
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::{ApiMisuse, CryptoError, Error};
use crate::wire::auth::{AuthMethod as WireMethod, HostbasedAuth};
use crate::wire::outbox::Outbox;

/// A signature that is wanted.
pub(super) struct Signing {
    pub(super) algorithm: &'static dyn SignatureAlgorithm,
    pub(super) key: PublicKey,
    pub(super) purpose: Purpose,
}

/// What a signature is for.
pub(super) enum Purpose {
    /// `publickey`, bound to the server's host key where the server takes that.
    PublicKey,
    /// `hostbased`, for this host and the user's name there.
    Hostbased {
        client_host: String,
        client_user: String,
    },
}

impl Client {
    /// Takes the value of `server-sig-algs` (RFC 8308 section 3.1), the latest one if there are
    /// several. What it lacks is still tried, as in OpenSSH: it only decides between algorithms
    /// of one key type.
    pub(crate) fn set_server_sig_algs(&mut self, names: &[u8]) {
        self.announced = self
            .signatures
            .iter()
            .filter(|ours| {
                // Servers name what keys sign with: OpenSSH leaves certificates out.
                let known = [ours.name().as_bytes(), ours.signature_name().as_bytes()];
                names
                    .split(|b| *b == b',')
                    .any(|name| known.contains(&name))
            })
            .map(|algorithm| algorithm.name())
            .collect();
    }

    /// The algorithm that this key would sign with: of those for its type, the first that the
    /// server announced, otherwise the first.
    pub(super) fn algorithm_for(
        &self,
        key: &PublicKey,
    ) -> Result<&'static dyn SignatureAlgorithm, ApiMisuse> {
        let ours = self.signatures.iter().copied();
        self.choose(ours.filter(|a| a.key_type() == key.key_type()))
    }

    fn choose(
        &self,
        mut candidates: impl Iterator<Item = &'static dyn SignatureAlgorithm> + Clone,
    ) -> Result<&'static dyn SignatureAlgorithm, ApiMisuse> {
        candidates
            .clone()
            .find(|a| self.announced.contains(&a.name()))
            .or_else(|| candidates.next())
            .ok_or(ApiMisuse::UnsupportedKey)
    }

    /// Signs with a key in memory, and sends. `ApiMisuse(UnsupportedKey)` if it shares no
    /// algorithm with the provider, `Crypto` if it does not sign.
    pub(super) fn sign_and_send(
        &mut self,
        key: &dyn SigningKey,
        purpose: Purpose,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let public = key.public_key();
        let candidates = key.algorithms().iter().filter_map(|name| {
            find_algorithm(&self.signatures, name.as_bytes(), public.key_type())
        });
        let signing = Signing {
            algorithm: self.choose(candidates)?,
            key: public.clone(),
            purpose,
        };
        let name = signing.algorithm.name();
        let signature = key.sign(name, &self.message(&signing))?;
        if signature.algorithm() != signing.algorithm.signature_name() {
            return Err(CryptoError::InvalidSignature.into());
        }
        self.send_signed(&signing, &signature, out);
        Ok(())
    }

    /// Asks for a signature by a key that lives elsewhere.
    pub(super) fn ask_to_sign(&mut self, signing: Signing) -> ClientAsk {
        let ask = ClientAsk::Sign {
            key: signing.key.clone(),
            algorithm: signing.algorithm.signature_name(),
            message: self.message(&signing),
        };
        self.state = State::Sign(signing);
        ask
    }

    /// Answers [`ClientAsk::Sign`]. `InvalidSignature` if the signature does not verify; the
    /// question then stays.
    pub(crate) fn provide_signature(
        &mut self,
        signature: &Signature,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let State::Sign(signing) = &self.state else {
            return Err(ApiMisuse::WrongAnswer);
        };
        let Signing { algorithm, key, .. } = signing;
        if signature.algorithm() != algorithm.signature_name() {
            return Err(ApiMisuse::InvalidSignature);
        }
        algorithm
            .verify(key, &self.message(signing), signature)
            .map_err(|_| ApiMisuse::InvalidSignature)?;
        if let State::Sign(signing) = core::mem::replace(&mut self.state, State::Turn) {
            self.send_signed(&signing, signature, out);
        }
        Ok(())
    }

    /// The bytes to sign.
    fn message(&self, signing: &Signing) -> Vec<u8> {
        let (session_id, user) = (&self.session_id, self.user.as_bytes());
        let (algorithm, key) = (signing.algorithm.name(), &signing.key);
        match &signing.purpose {
            Purpose::PublicKey if self.hostbound => {
                hostbound_signed_data(session_id, user, algorithm, key, &self.host_key)
            }
            Purpose::PublicKey => signed_data(session_id, user, algorithm, key),
            Purpose::Hostbased {
                client_host,
                client_user,
            } => hostbased_signed_data(
                session_id,
                user,
                algorithm,
                key,
                client_host.as_bytes(),
                client_user.as_bytes(),
            ),
        }
    }

    fn send_signed(&mut self, signing: &Signing, signature: &Signature, out: &mut Outbox) {
        let signature = signature.as_encoded();
        let Signing { algorithm, key, .. } = signing;
        self.state = State::Sent(match &signing.purpose {
            Purpose::PublicKey => {
                out.push(&self.publickey_request(*algorithm, key, Some(signature)));
                Attempt::PublicKey(key.clone())
            }
            Purpose::Hostbased {
                client_host,
                client_user,
            } => {
                out.push(&self.request(WireMethod::Hostbased(HostbasedAuth {
                    algorithm: algorithm.name().as_bytes(),
                    key: key.as_blob(),
                    client_host: client_host.as_bytes(),
                    client_user: client_user.as_bytes(),
                    signature,
                })));
                Attempt::Hostbased(key.clone())
            }
        });
    }
}
