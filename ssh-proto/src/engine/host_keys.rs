//! Host keys beside the one of the key exchange: announcing them, proving that they are held, and checking such proofs (OpenSSH PROTOCOL section 2.5, draft-miller-sshm-hostkey-update).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};

use super::event::Event;
use super::side::Side;
use super::token::{SignRequest, Ticket};
use super::{Core, Question};
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm, has_accepted_size};
use crate::error::ApiMisuse;
use crate::limits::MAX_HOST_KEY_PROOFS;
use crate::mux::{ChannelError, GlobalRequest, MuxEvent, RequestId, RequestKey};
use crate::transport::HostKey;
use crate::wire::{Reader, put_string};

/// Why a server has not proved the host keys that it was asked about. The connection goes on.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKeyProofError {
    /// It refused.
    Refused,
    /// It did not answer with one signature for each key.
    Malformed,
    /// Its signature for this key is wrong, or of a wrong kind; those for other keys are not
    /// taken either.
    BadSignature(PublicKey),
}

impl fmt::Display for HostKeyProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("the server refused to prove its host keys"),
            Self::Malformed => f.write_str("the proof of host keys is malformed"),
            Self::BadSignature(key) => write!(f, "wrong proof of a {} host key", key.key_type()),
        }
    }
}

impl core::error::Error for HostKeyProofError {}

/// What a client is told of its server's host keys.
pub enum HostKeyNews {
    Announced(Vec<PublicKey>),
    Proved(Result<Vec<PublicKey>, HostKeyProofError>),
}

/// Host keys under discussion.
#[derive(Default)]
pub(super) struct HostKeys {
    /// The name in the signature of the latest key exchange.
    negotiated: &'static str,
    /// Server: signatures that were asked for.
    signatures: usize,
    /// Server: proofs that wait for keys that are held elsewhere.
    proofs: Vec<Proof>,
    /// Client: what was asked to be proved. Replies come in this order.
    asked: VecDeque<(RequestId, Vec<PublicKey>)>,
}

/// A proof in the making.
pub(super) struct Proof {
    request: RequestKey,
    /// What is yet to sign, in the order asked.
    missing: VecDeque<(HostKey, &'static dyn SignatureAlgorithm)>,
    /// The signatures so far.
    body: BytesMut,
}

impl HostKeys {
    /// Gives up the proof that was to answer this request.
    pub(super) fn forget_proof(&mut self, request: RequestKey) {
        self.proofs.retain(|proof| proof.request != request);
    }
}

impl<S: Side> Core<S> {
    /// Notes the host key algorithm of a key exchange.
    pub(super) fn note_host_key_algorithm(&mut self, name: &'static str) {
        let mut offered = self.settings.transport.offer.host_keys.iter();
        let algorithm = offered.find(|a| a.name() == name);
        self.host_keys.negotiated = algorithm.map_or(name, |a| a.signature_name());
    }

    /// The algorithm for signatures by a plain host key, since certificates are neither announced
    /// nor proved: that of the key exchange where it fits, so that
    /// both sides mean the same kind of RSA signature, else the one that we prefer.
    fn host_key_algorithm(
        &self,
        key_type: &str,
        admits: impl Fn(&str) -> bool,
    ) -> Option<&'static dyn SignatureAlgorithm> {
        let offered = &self.settings.transport.offer.host_keys;
        let fits = |a: &&&'static dyn SignatureAlgorithm| {
            a.key_type() == key_type && a.signature_name() == a.name() && admits(a.name())
        };
        let negotiated = offered
            .iter()
            .filter(fits)
            .find(|a| a.name() == self.host_keys.negotiated);
        negotiated.or_else(|| offered.iter().find(fits)).copied()
    }

    fn signing_algorithm(&self, key: &HostKey) -> Option<&'static dyn SignatureAlgorithm> {
        self.host_key_algorithm(key.public_key().key_type(), |name| {
            key.algorithms().contains(&name)
        })
    }

    /// What a proof signs.
    fn proof_message(&self, key: &PublicKey) -> Option<Bytes> {
        let session_id = self.session_id()?;
        let mut message = BytesMut::new();
        put_string(&mut message, b"hostkeys-prove-00@openssh.com");
        put_string(&mut message, session_id.as_bytes());
        put_string(&mut message, key.as_blob());
        Some(message.freeze())
    }

    /// Takes what is about host keys out of the events of the channels; everything else comes
    /// back.
    pub(super) fn take_host_key_event(
        &mut self,
        event: MuxEvent,
    ) -> Result<Option<S::Event>, MuxEvent> {
        match event {
            MuxEvent::GlobalRequest {
                key,
                request: GlobalRequest::HostKeys(blobs),
                ..
            } => Ok(self.host_keys_announced(key, blobs)),
            MuxEvent::GlobalRequest {
                key,
                request: GlobalRequest::HostKeysProve(blobs),
                want_reply,
            } => Ok(match want_reply && self.is_open() {
                true => self.prove(key, &blobs),
                false => None,
            }),
            MuxEvent::GlobalReply { request, result } if self.awaits_proof(request) => {
                let asked = self.host_keys.asked.pop_front();
                let keys = asked.map_or_else(Vec::new, |(_, keys)| keys);
                let proved = self.check_proof(keys, result.map(|reply| reply.body().clone()));
                Ok(S::host_key_news(HostKeyNews::Proved(proved)))
            }
            event => Err(event),
        }
    }

    fn awaits_proof(&self, reply_to: RequestId) -> bool {
        let asked = self.host_keys.asked.front();
        asked.is_some_and(|(request, _)| *request == reply_to)
    }

    fn answer_global(&mut self, request: RequestKey, result: Result<&[u8], ()>) {
        if let Some(mux) = &mut self.mux
            && let Err(ChannelError::TooLong) = mux.answer_global(request, result, &mut self.outbox)
        {
            // A request that has lapsed needs no answer.
            let _ = mux.answer_global(request, Err(()), &mut self.outbox);
        }
    }

    // Server.

    /// Tells the client which host keys there are.
    pub(super) fn announce_host_keys(&mut self) {
        let keys = &self.settings.transport.host_keys;
        let blobs: Vec<_> = keys
            .iter()
            .filter(|key| self.signing_algorithm(key).is_some())
            .map(|key| Bytes::copy_from_slice(key.public_key().as_blob()))
            .collect();
        if let Some(mux) = &mut self.mux
            && self.settings.announce_host_keys
            && !blobs.is_empty()
        {
            let request = GlobalRequest::HostKeys(blobs);
            // Keys that do not fit into one message stay unannounced.
            let _ = mux.global_request(&request, false, &mut self.outbox);
        }
    }

    /// The client wants proofs. Only keys of our own sign, and only so often.
    fn prove(&mut self, request: RequestKey, blobs: &[Bytes]) -> Option<S::Event> {
        let signatures = self.host_keys.signatures.saturating_add(blobs.len());
        let missing = match signatures <= MAX_HOST_KEY_PROOFS {
            true => self.keys_to_prove(blobs),
            false => None,
        };
        let Some(missing) = missing else {
            self.answer_global(request, Err(()));
            return None;
        };
        self.host_keys.signatures = signatures;
        self.go_on_proving(Proof {
            request,
            missing,
            body: BytesMut::new(),
        })
    }

    fn keys_to_prove(
        &self,
        blobs: &[Bytes],
    ) -> Option<VecDeque<(HostKey, &'static dyn SignatureAlgorithm)>> {
        let keys = &self.settings.transport.host_keys;
        let own = |blob: &Bytes| {
            let key = keys.iter().find(|k| k.public_key().as_blob() == blob)?;
            Some((key.clone(), self.signing_algorithm(key)?))
        };
        blobs.iter().map(own).collect()
    }

    /// Signs with keys in memory, up to one that is held elsewhere, or to the end.
    fn go_on_proving(&mut self, mut proof: Proof) -> Option<S::Event> {
        while let Some((key, algorithm)) = proof.missing.front() {
            let message = self.proof_message(key.public_key())?;
            match key {
                HostKey::Local(key) => match key.sign(algorithm.name(), &message) {
                    Ok(signature) => {
                        put_string(&mut proof.body, signature.as_encoded());
                        proof.missing.pop_front();
                    }
                    Err(_) => {
                        self.answer_global(proof.request, Err(()));
                        return None;
                    }
                },
                HostKey::Remote { key, .. } => {
                    let (ticket, stub) = Ticket::new(&self.desk);
                    self.questions.push((Question::Proof(proof.request), stub));
                    let event = Event::Sign(SignRequest {
                        ticket,
                        key: key.clone(),
                        algorithm: algorithm.signature_name(),
                        message,
                    });
                    self.host_keys.proofs.push(proof);
                    return Some(event.into());
                }
            }
        }
        self.answer_global(proof.request, Ok(&proof.body));
        None
    }

    /// The proof for which this signature is wanted, if it is for one.
    pub(super) fn take_proof(&mut self, ticket: &Ticket) -> Option<Proof> {
        let at = self.questions.iter().position(|(question, stub)| {
            matches!(question, Question::Proof(_)) && ticket.is_of(stub)
        })?;
        let (Question::Proof(request), _) = self.questions.swap_remove(at) else {
            return None;
        };
        let proofs = &mut self.host_keys.proofs;
        let at = proofs.iter().position(|proof| proof.request == request)?;
        Some(proofs.swap_remove(at))
    }

    /// Takes the signature for which a proof waited.
    pub(super) fn provide_proof(
        &mut self,
        mut proof: Proof,
        request: SignRequest,
        signature: &Signature,
    ) -> Result<(), ApiMisuse> {
        let SignRequest {
            ticket,
            key,
            message,
            ..
        } = request;
        ticket.redeem(&self.desk)?;
        let verifies = proof
            .missing
            .front()
            .is_some_and(|(_, algorithm)| algorithm.verify(&key, &message, signature).is_ok());
        if verifies {
            proof.missing.pop_front();
            put_string(&mut proof.body, signature.as_encoded());
        }
        // A signature that does not verify is asked for anew.
        let event = self.go_on_proving(proof);
        self.events.extend(event);
        match verifies {
            true => Ok(()),
            false => Err(ApiMisuse::InvalidSignature),
        }
    }

    /// The application declines the signature for which a proof waited.
    pub(super) fn decline_proof(
        &mut self,
        proof: &Proof,
        request: SignRequest,
    ) -> Result<(), ApiMisuse> {
        request.ticket.redeem(&self.desk)?;
        self.answer_global(proof.request, Err(()));
        Ok(())
    }

    // Client.

    /// What the server claims to hold. Keys that nothing here could verify are left out.
    fn host_keys_announced(&mut self, request: RequestKey, blobs: Vec<Bytes>) -> Option<S::Event> {
        self.answer_global(request, Ok(&[]));
        let mut keys = Vec::new();
        for key in blobs.into_iter().map(PublicKey::from_blob) {
            if let Ok(key) = key
                && key.is_well_formed()
                && self.host_key_algorithm(key.key_type(), |_| true).is_some()
                && has_accepted_size(&key, self.settings.transport.min_rsa_bits)
                && !keys.contains(&key)
            {
                keys.push(key);
            }
        }
        match keys.is_empty() {
            true => None,
            false => S::host_key_news(HostKeyNews::Announced(keys)),
        }
    }

    /// Asks the server to prove these.
    pub(crate) fn prove_host_keys(&mut self, keys: &[PublicKey]) -> Result<(), ChannelError> {
        let is_known =
            |key: &PublicKey| self.host_key_algorithm(key.key_type(), |_| true).is_some();
        if !keys.iter().all(is_known) {
            return Err(ChannelError::Invalid);
        }
        let blobs = keys.iter().map(|key| Bytes::copy_from_slice(key.as_blob()));
        let request = GlobalRequest::HostKeysProve(blobs.collect());
        if let Some(id) = self.global_request(&request, true)? {
            self.host_keys.asked.push_back((id, keys.to_vec()));
        }
        Ok(())
    }

    /// The keys, if the reply proves every one of them.
    fn check_proof(
        &self,
        keys: Vec<PublicKey>,
        reply: Result<Bytes, ()>,
    ) -> Result<Vec<PublicKey>, HostKeyProofError> {
        let reply = reply.map_err(|()| HostKeyProofError::Refused)?;
        let mut reader = Reader::new(&reply);
        let mut signatures = Vec::with_capacity(keys.len());
        for _ in &keys {
            let signature = reader.string().map_err(|_| HostKeyProofError::Malformed)?;
            signatures.push(signature);
        }
        if reader.remaining() > 0 {
            return Err(HostKeyProofError::Malformed);
        }
        let forged = keys
            .iter()
            .zip(signatures)
            .find(|(key, signature)| !self.proves(key, signature));
        match forged {
            Some((key, _)) => Err(HostKeyProofError::BadSignature(key.clone())),
            None => Ok(keys),
        }
    }

    fn proves(&self, key: &PublicKey, signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_encoded(Bytes::copy_from_slice(signature)) else {
            return false;
        };
        let offered = &self.settings.transport.offer.host_keys;
        let negotiated = offered
            .iter()
            .find(|a| a.name() == self.host_keys.negotiated && a.key_type() == key.key_type());
        let algorithm = match negotiated {
            Some(negotiated) => Some(*negotiated).filter(|a| a.name() == signature.algorithm()),
            None => self.host_key_algorithm(key.key_type(), |name| name == signature.algorithm()),
        };
        algorithm
            .zip(self.proof_message(key))
            .is_some_and(|(algorithm, message)| algorithm.verify(key, &message, &signature).is_ok())
    }
}
