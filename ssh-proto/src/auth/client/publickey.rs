//! `publickey` (RFC 4252 section 7), and `publickey-hostbound-v00@openssh.com` in its place (OpenSSH PROTOCOL section 3.1): queries and proofs.

use super::signing::{Purpose, Signing};
use super::{Attempt, AuthOutcome, Client, ClientAsk, State};
use crate::crypto::{PublicKey, SignatureAlgorithm, SigningKey};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::wire::auth::{
    AuthMethod as WireMethod, PublicKeyAuth, PublicKeyHostboundAuth, UserauthPkOk, UserauthRequest,
};
use crate::wire::outbox::Outbox;

/// Whether the server would take a key.
#[derive(Clone)]
pub(super) struct Query {
    algorithm: &'static dyn SignatureAlgorithm,
    key: PublicKey,
    /// Whether to ask for the signature at once if the key is usable.
    sign: bool,
}

impl Client {
    /// The server takes `publickey-hostbound-v00@openssh.com`: it is used from now on.
    pub(crate) fn set_hostbound(&mut self) {
        self.hostbound = true;
    }

    /// Tries a key that signs at once. `ApiMisuse(UnsupportedKey)` if it shares no algorithm with
    /// the provider, `Crypto` if it does not sign.
    pub(crate) fn publickey(
        &mut self,
        key: &dyn SigningKey,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.expect_turn()?;
        self.sign_and_send(key, Purpose::PublicKey, out)
    }

    /// Tries a key that signs elsewhere: a query first, and [`ClientAsk::Sign`] only if the
    /// server would take the key. `UnsupportedKey` if the provider has no algorithm for it.
    pub(crate) fn publickey_remote(
        &mut self,
        key: &PublicKey,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.query(key, true, out)
    }

    /// Asks whether a key is usable; ends in a turn with [`AuthOutcome::KeyUsable`] or `Failed`.
    /// `UnsupportedKey` if the provider has no algorithm for it.
    pub(crate) fn query_publickey(
        &mut self,
        key: &PublicKey,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.query(key, false, out)
    }

    fn query(&mut self, key: &PublicKey, sign: bool, out: &mut Outbox) -> Result<(), ApiMisuse> {
        self.expect_turn()?;
        let query = Query {
            algorithm: self.algorithm_for(key)?,
            key: key.clone(),
            sign,
        };
        out.push(&self.publickey_request(query.algorithm, key, None));
        self.state = State::Sent(Attempt::Query(query));
        Ok(())
    }

    /// The server would take the key.
    pub(super) fn pk_ok(&mut self, reply: UserauthPkOk<'_>) -> Result<ClientAsk, Error> {
        let State::Sent(Attempt::Query(query)) = &self.state else {
            return Err(PeerMisbehaved::UnsolicitedAuthReply.into());
        };
        let Query {
            algorithm,
            key,
            sign,
        } = query.clone();
        if reply.algorithm != algorithm.name().as_bytes() || reply.key != key.as_blob() {
            return Err(PeerMisbehaved::MismatchedPkOk.into());
        }
        if !sign {
            return Ok(self.turn(AuthOutcome::KeyUsable(key)));
        }
        Ok(self.ask_to_sign(Signing {
            algorithm,
            key,
            purpose: Purpose::PublicKey,
        }))
    }

    pub(super) fn publickey_request<'a>(
        &'a self,
        algorithm: &'static dyn SignatureAlgorithm,
        key: &'a PublicKey,
        signature: Option<&'a [u8]>,
    ) -> UserauthRequest<'a> {
        let (algorithm, key) = (algorithm.name().as_bytes(), key.as_blob());
        self.request(match self.hostbound {
            true => WireMethod::PublicKeyHostbound(PublicKeyHostboundAuth {
                algorithm,
                key,
                host_key: self.host_key.as_blob(),
                signature,
            }),
            false => WireMethod::PublicKey(PublicKeyAuth {
                algorithm,
                key,
                signature,
            }),
        })
    }
}
