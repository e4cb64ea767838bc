//! What a server does with the client's values (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4).

use core::mem;

use bytes::Bytes;

use super::derive::Transcript;
use super::negotiate::Agreement;
use super::values::{self, Reply};
use super::{Idents, Kex, KexAsk, KexItem, Secrets, State, Step, kex_error, unexpected};
use crate::crypto::{SecureRandom, Signature};
use crate::error::{ApiMisuse, Error};

impl Kex {
    /// Server: which group the client wants. Answers with one.
    pub(crate) fn handle_gex_request(
        &mut self,
        payload: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<(), Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(unexpected(payload));
        };
        let gex = values::choose_group(&self.config.moduli, payload, random)?;
        let message = values::group_message(&gex);
        self.lane.push_back(KexItem::Payload(message));
        exchange.gex = Some(gex);
        exchange.step = Step::Init;
        Ok(())
    }

    /// Server: the client's ephemeral key. Answers it, or asks for a signature, or, where the
    /// config wants that of a first exchange, whether to answer at all.
    pub(crate) fn handle_init(
        &mut self,
        payload: &[u8],
        idents: Idents<'_>,
        random: &mut dyn SecureRandom,
    ) -> Result<Option<KexAsk>, Error> {
        let is_first = self.is_first();
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(unexpected(payload));
        };
        let public = exchange.values()?.read_init(payload)?;
        if self.config.ask_before_kex && is_first {
            let public = Bytes::copy_from_slice(public);
            exchange.step = Step::Admission { public };
            let kex = exchange.agreement.kex.name();
            return Ok(Some(KexAsk::Admission { kex }));
        }
        self.respond(public, idents, random)
    }

    /// Server: the application lets the client in.
    pub(crate) fn admit(
        &mut self,
        idents: Idents<'_>,
        random: &mut dyn SecureRandom,
    ) -> Result<Option<KexAsk>, Error> {
        let step = match &mut self.state {
            State::Exchanging(exchange) => mem::replace(&mut exchange.step, Step::Init),
            _ => Step::Init,
        };
        match step {
            Step::Admission { public } => self.respond(&public, idents, random),
            _ => Err(Error::Internal("a client admitted outside of its step")),
        }
    }

    /// Server: what the client's ephemeral key leads to.
    fn respond(
        &mut self,
        client_public: &[u8],
        idents: Idents<'_>,
        random: &mut dyn SecureRandom,
    ) -> Result<Option<KexAsk>, Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(Error::Internal("a value answered outside of its exchange"));
        };
        let values = exchange.values()?;
        let Agreement {
            kex,
            host_key: algorithm,
            ..
        } = exchange.agreement;
        let response = kex
            .respond(values.group(), client_public, random)
            .map_err(kex_error)?;
        let key = self
            .config
            .host_key_for(algorithm.name())
            .ok_or(Error::Internal(
                "offered a host key algorithm without a key",
            ))?;
        let hash = Transcript {
            client_ident: idents.theirs,
            server_ident: idents.ours,
            client_init: &exchange.client_init,
            server_init: &exchange.server_init,
            host_key: key.public_key().as_blob(),
            values: &values.hashed(client_public, &response.public),
        }
        .hash(kex.hash(), &response.secret);
        let secrets = Secrets {
            secret: response.secret,
            hash,
            host_key: key.public_key().clone(),
        };
        let public = Bytes::from(response.public);
        match key.signing_key() {
            Some(local) => {
                let signature = local.sign(algorithm.name(), secrets.hash.as_ref())?;
                self.send_reply(secrets, &public, &signature)?;
                Ok(None)
            }
            None => {
                let ask = KexAsk::Sign {
                    key: secrets.host_key.clone(),
                    algorithm: algorithm.signature_name(),
                    message: Bytes::copy_from_slice(secrets.hash.as_ref()),
                };
                exchange.step = Step::Signature { secrets, public };
                Ok(Some(ask))
            }
        }
    }

    /// Server: the signature that was asked for.
    pub(crate) fn provide_signature(&mut self, signature: &Signature) -> Result<(), Error> {
        let State::Exchanging(exchange) = &mut self.state else {
            return Err(ApiMisuse::StaleToken.into());
        };
        let Step::Signature { secrets, .. } = &exchange.step else {
            return Err(ApiMisuse::StaleToken.into());
        };
        exchange
            .agreement
            .host_key
            .verify(&secrets.host_key, secrets.hash.as_ref(), signature)
            .map_err(|_| ApiMisuse::InvalidSignature)?;
        let Step::Signature { secrets, public } = mem::replace(&mut exchange.step, Step::Init)
        else {
            return Err(ApiMisuse::StaleToken.into());
        };
        self.send_reply(secrets, &public, signature)
    }

    fn send_reply(
        &mut self,
        secrets: Secrets,
        public: &[u8],
        signature: &Signature,
    ) -> Result<(), Error> {
        let State::Exchanging(exchange) = &self.state else {
            return Err(Error::Internal("no exchange to complete"));
        };
        let message = exchange.values()?.reply(&Reply {
            host_key: secrets.host_key.as_blob(),
            public,
            signature: signature.as_encoded(),
        });
        self.lane.push_back(KexItem::Payload(message));
        self.send_newkeys(secrets, signature.clone())
    }
}
