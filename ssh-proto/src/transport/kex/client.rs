//! What a client does with the server's values (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4).

use core::mem;

use bytes::Bytes;

use super::derive::Transcript;
use super::negotiate::Agreement;
use super::{
    Exchange, Idents, Kex, KexAsk, KexItem, Secrets, State, Step, kex_error, unexpected, values,
};
use crate::crypto::{PublicKey, SecureRandom, Signature, refused_rsa_bits};
use crate::error::{ApiMisuse, CryptoError, Error, PeerIncompatible, PeerMisbehaved};

impl Exchange {
    /// Client: makes an ephemeral key, and the message that carries it.
    pub(super) fn start(&mut self, random: &mut dyn SecureRandom) -> Result<Bytes, Error> {
        let values = self.values()?;
        let ephemeral = self
            .agreement
            .kex
            .start(values.group(), random)
            .map_err(kex_error)?;
        let message = values.init(ephemeral.public());
        self.step = Step::Reply(ephemeral);
        Ok(message)
    }
}

impl Kex {
    /// Client: the server's group. Makes an ephemeral key in it.
    pub(crate) fn handle_gex_group(
        &mut self,
        payload: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<(), Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(unexpected(payload));
        };
        let Step::GexGroup(request) = &exchange.step else {
            return Err(unexpected(payload));
        };
        exchange.gex = Some(values::read_group(request.clone(), payload)?);
        let message = exchange.start(random)?;
        self.lane.push_back(KexItem::Payload(message));
        Ok(())
    }

    /// Client: the server's reply. Verifies range, then signature, then asks for the verdict
    /// unless the key is the one accepted before.
    pub(crate) fn handle_reply(
        &mut self,
        payload: &[u8],
        idents: Idents<'_>,
    ) -> Result<Option<KexAsk>, Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(unexpected(payload));
        };
        let Step::Reply(ephemeral) = mem::replace(&mut exchange.step, Step::Init) else {
            return Err(unexpected(payload));
        };
        let values = exchange.values()?;
        let message = values.read_reply(payload)?;
        let Agreement {
            kex,
            host_key: algorithm,
            ..
        } = exchange.agreement;
        let host_key = PublicKey::from_blob(Bytes::copy_from_slice(message.host_key))
            .map_err(|_| PeerMisbehaved::BadHostKey)?;
        if host_key.key_type() != algorithm.key_type() {
            return Err(PeerMisbehaved::BadHostKey.into());
        }
        if let Some(bits) = refused_rsa_bits(&host_key, self.config.min_rsa_bits) {
            return Err(Error::PeerIncompatible(PeerIncompatible::HostKeySize(bits)));
        }
        let signature = Signature::from_encoded(Bytes::copy_from_slice(message.signature))
            .map_err(|_| PeerMisbehaved::BadHostKeySignature)?;
        if signature.algorithm() != algorithm.signature_name() {
            return Err(PeerMisbehaved::BadHostKeySignature.into());
        }
        let client_public = Bytes::copy_from_slice(ephemeral.public());
        let secret = ephemeral.complete(message.public).map_err(kex_error)?;
        let hash = Transcript {
            client_ident: idents.ours,
            server_ident: idents.theirs,
            client_init: &exchange.client_init,
            server_init: &exchange.server_init,
            host_key: host_key.as_blob(),
            values: &values.hashed(&client_public, message.public),
        }
        .hash(kex.hash(), &secret);
        algorithm
            .verify(&host_key, hash.as_ref(), &signature)
            .map_err(|error| match error {
                CryptoError::InvalidKey => PeerMisbehaved::BadHostKey,
                _ => PeerMisbehaved::BadHostKeySignature,
            })?;
        let secrets = Secrets {
            secret,
            hash,
            host_key,
        };
        if self.host_key.as_ref() == Some(&secrets.host_key) {
            self.send_newkeys(secrets, signature)?;
            return Ok(None);
        }
        let ask = KexAsk::HostKey {
            key: secrets.host_key.clone(),
            algorithm: algorithm.name(),
            previous: self.host_key.clone(),
        };
        exchange.step = Step::HostKey { secrets, signature };
        Ok(Some(ask))
    }

    /// Client: the application accepted the host key.
    pub(crate) fn accept_host_key(&mut self) -> Result<(), Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(ApiMisuse::StaleToken.into());
        };
        match mem::replace(&mut exchange.step, Step::Init) {
            Step::HostKey { secrets, signature } => self.send_newkeys(secrets, signature),
            _ => Err(Error::Internal("host key accepted outside of its step")),
        }
    }
}
