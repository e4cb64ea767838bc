//! The client's side of authentication (RFC 4252): one attempt at a time, as the application chooses, and only replies that answer it.

#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use super::signed::signed_data;
use super::{
    AuthStep, Authenticated, Banner, Password, Restrictions, SSH_CONNECTION, SSH_USERAUTH,
    find_algorithm, number_of, unexpected,
};
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::{ApiMisuse, CryptoError, Error, Limit, PeerMisbehaved};
use crate::limits::{Limits, MAX_PASSWORD, MAX_PEER_TEXT};
use crate::text::Escaped;
use crate::wire::auth::{
    AuthMethod as WireMethod, PasswordAuth, PublicKeyAuth, UserauthBanner, UserauthFailure,
    UserauthPasswdChangereq, UserauthPkOk, UserauthRequest, UserauthSuccess,
};
use crate::wire::decode;
use crate::wire::number;
use crate::wire::outbox::Outbox;
use crate::wire::transport::{ServiceAccept, ServiceRequest};

/// How a client's last attempt ended, so that the application can choose the next.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthOutcome {
    /// Nothing was tried yet.
    Start,
    /// The attempt failed.
    Failed,
    /// The attempt succeeded, but the server wants another besides.
    PartialSuccess,
    /// The server would take a signature by this key.
    KeyUsable(PublicKey),
    /// The password has to be changed; nothing else about it is known to be right.
    PasswordChangeRequired {
        /// What the server says about it, with control characters escaped, at most 1024 bytes of
        /// the server's.
        prompt: String,
    },
}

/// What the application has to answer, or to know.
#[derive(Debug)]
pub(crate) enum ClientAsk {
    /// The next attempt is to be chosen.
    Turn(Turn),
    /// A key that lives elsewhere has to sign `message`; answered by
    /// [`Client::provide_signature`] or [`Client::decline_signature`].
    Sign {
        key: PublicKey,
        algorithm: &'static str,
        message: Vec<u8>,
    },
    /// Text to show. Asks for nothing.
    Banner(Banner),
    /// The end of it.
    Authenticated(Authenticated),
}

/// The client's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// How the last attempt ended.
    pub(crate) outcome: AuthOutcome,
    /// The methods that can continue, from the last `USERAUTH_FAILURE`; `None` before the first.
    pub(crate) methods: Option<Vec<String>>,
}

/// The client's state.
pub(crate) struct Client {
    session_id: Bytes,
    user: String,
    signatures: Vec<&'static dyn SignatureAlgorithm>,
    /// Those of our algorithms that the server says it accepts.
    announced: Vec<&'static str>,
    max_failures: u32,
    banner_budget: usize,
    state: State,
    failures: u32,
    methods: Option<Vec<String>>,
}

enum State {
    /// Before [`Client::start`].
    Initial,
    /// `SERVICE_ACCEPT` is due.
    ServiceRequested,
    /// The application is to choose.
    Turn,
    /// A reply to this is due.
    Sent(Attempt),
    /// The application is to sign.
    Sign {
        algorithm: &'static dyn SignatureAlgorithm,
        key: PublicKey,
    },
    /// Authenticated.
    Done,
}

enum Attempt {
    None,
    Password,
    Query {
        algorithm: &'static dyn SignatureAlgorithm,
        key: PublicKey,
        /// Whether to ask for the signature at once if the key is usable.
        sign: bool,
    },
    PublicKey(PublicKey),
}

impl Client {
    /// `user` is within [`Limits::user_name`]; `signatures` are what the provider has.
    pub(crate) fn new(
        session_id: Bytes,
        user: &str,
        limits: &Limits,
        signatures: Vec<&'static dyn SignatureAlgorithm>,
    ) -> Self {
        Self {
            session_id,
            user: user.to_owned(),
            signatures,
            announced: Vec::new(),
            max_failures: limits.client_auth_failures,
            banner_budget: limits.banner_bytes,
            state: State::Initial,
            failures: 0,
            methods: None,
        }
    }

    /// Requests the service; the first turn follows when it is granted.
    pub(crate) fn start(&mut self, out: &mut Outbox) {
        self.state = State::ServiceRequested;
        out.push(&ServiceRequest {
            service: SSH_USERAUTH,
        });
    }

    /// Takes the value of `server-sig-algs` (RFC 8308 section 3.1), the latest one if there are
    /// several. What it lacks is still tried, as in OpenSSH: it only decides between algorithms
    /// of one key type.
    pub(crate) fn set_server_sig_algs(&mut self, names: &[u8]) {
        self.announced = self
            .signatures
            .iter()
            .map(|algorithm| algorithm.name())
            .filter(|ours| names.split(|b| *b == b',').any(|n| n == ours.as_bytes()))
            .collect();
    }

    /// Takes a message of number 6, 51 to 53 or 60 to 79.
    pub(crate) fn handle(&mut self, payload: &[u8]) -> Result<Option<ClientAsk>, Error> {
        match number_of(payload)? {
            number::SERVICE_ACCEPT => self.service_accept(decode(payload)?).map(Some),
            number::USERAUTH_FAILURE => self.failure(decode(payload)?).map(Some),
            number::USERAUTH_SUCCESS => {
                let UserauthSuccess {} = decode(payload)?;
                self.success().map(Some)
            }
            number::USERAUTH_BANNER => self.banner(payload).map(Some),
            number::USERAUTH_PK_OK => self.method_reply(payload).map(Some),
            61..=79 => Err(PeerMisbehaved::UnsolicitedAuthReply.into()),
            number => Err(unexpected(number)),
        }
    }

    fn service_accept(&mut self, accept: ServiceAccept<'_>) -> Result<ClientAsk, Error> {
        match self.state {
            State::ServiceRequested if accept.service == SSH_USERAUTH => {
                Ok(self.turn(AuthOutcome::Start))
            }
            _ => Err(unexpected(number::SERVICE_ACCEPT)),
        }
    }

    fn failure(&mut self, failure: UserauthFailure<'_>) -> Result<ClientAsk, Error> {
        let State::Sent(attempt) = &self.state else {
            return Err(PeerMisbehaved::UnsolicitedAuthReply.into());
        };
        // A query proves nothing that could be a part of success.
        let outcome = match attempt {
            Attempt::Query { .. } => AuthOutcome::Failed,
            _ if failure.partial_success => AuthOutcome::PartialSuccess,
            _ => AuthOutcome::Failed,
        };
        self.count_failure()?;
        self.methods = Some(failure.methods.iter().map(str::to_owned).collect());
        Ok(self.turn(outcome))
    }

    fn success(&mut self) -> Result<ClientAsk, Error> {
        let (method, key) = match &self.state {
            State::Sent(Attempt::None) => ("none", None),
            State::Sent(Attempt::Password) => ("password", None),
            State::Sent(Attempt::PublicKey(key)) => ("publickey", Some(key.clone())),
            // A query can only be answered, not granted.
            _ => return Err(PeerMisbehaved::UnsolicitedAuthReply.into()),
        };
        self.state = State::Done;
        let steps = alloc::vec![AuthStep { method, key }];
        Ok(ClientAsk::Authenticated(Authenticated::new(
            self.user.clone(),
            steps,
            Restrictions::default(),
        )))
    }

    fn banner(&mut self, payload: &[u8]) -> Result<ClientAsk, Error> {
        if matches!(
            self.state,
            State::Initial | State::ServiceRequested | State::Done
        ) {
            return Err(unexpected(number::USERAUTH_BANNER));
        }
        // The whole message counts, so that empty ones come to an end too.
        self.banner_budget = self
            .banner_budget
            .checked_sub(payload.len())
            .ok_or(Limit::Banner)?;
        Ok(ClientAsk::Banner(Banner::new(
            &decode::<UserauthBanner<'_>>(payload)?,
        )))
    }

    /// Number 60 means what the attempt makes it mean.
    fn method_reply(&mut self, payload: &[u8]) -> Result<ClientAsk, Error> {
        match &self.state {
            State::Sent(Attempt::Query {
                algorithm,
                key,
                sign,
            }) => {
                let reply: UserauthPkOk<'_> = decode(payload)?;
                if reply.algorithm != algorithm.name().as_bytes() || reply.key != key.as_blob() {
                    return Err(PeerMisbehaved::MismatchedPkOk.into());
                }
                let (algorithm, key) = (*algorithm, key.clone());
                if !*sign {
                    return Ok(self.turn(AuthOutcome::KeyUsable(key)));
                }
                let message = self.message(algorithm, &key);
                self.state = State::Sign {
                    algorithm,
                    key: key.clone(),
                };
                Ok(ClientAsk::Sign {
                    key,
                    algorithm: algorithm.name(),
                    message,
                })
            }
            State::Sent(Attempt::Password) => {
                let demand: UserauthPasswdChangereq<'_> = decode(payload)?;
                let shown = demand.prompt.get(..MAX_PEER_TEXT).unwrap_or(demand.prompt);
                // Counted, so that a server cannot ask for ever.
                self.count_failure()?;
                Ok(self.turn(AuthOutcome::PasswordChangeRequired {
                    prompt: Escaped(shown).to_string(),
                }))
            }
            _ => Err(PeerMisbehaved::UnsolicitedAuthReply.into()),
        }
    }

    fn count_failure(&mut self) -> Result<(), Error> {
        self.failures = self.failures.saturating_add(1);
        if self.failures > self.max_failures {
            return Err(Limit::AuthFailures.into());
        }
        Ok(())
    }

    fn turn(&mut self, outcome: AuthOutcome) -> ClientAsk {
        self.state = State::Turn;
        ClientAsk::Turn(Turn {
            outcome,
            methods: self.methods.clone(),
        })
    }

    /// Tries `none`: where it fails, the failure lists the methods.
    ///
    /// As all answers to a turn, `WrongAnswer` out of turn; whatever the error, the turn stays.
    pub(crate) fn none(&mut self, out: &mut Outbox) -> Result<(), ApiMisuse> {
        self.expect_turn()?;
        out.push(&self.request(WireMethod::None(())));
        self.state = State::Sent(Attempt::None);
        Ok(())
    }

    /// Tries a password. `InvalidText` above 1024 bytes.
    pub(crate) fn password(
        &mut self,
        password: &Password,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.send_password(password, None, out)
    }

    /// Changes the password, as the server demanded. `InvalidText` above 1024 bytes.
    pub(crate) fn change_password(
        &mut self,
        old: &Password,
        new: &Password,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.send_password(old, Some(new), out)
    }

    fn send_password(
        &mut self,
        password: &Password,
        new_password: Option<&Password>,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        /// Upper bound of everything but user and passwords.
        const FRAMING: usize = 64;
        self.expect_turn()?;
        let password = password.as_bytes();
        let new_password = new_password.map(Password::as_bytes);
        let new_len = new_password.map_or(0, <[u8]>::len);
        if password.len() > MAX_PASSWORD || new_len > MAX_PASSWORD {
            return Err(ApiMisuse::InvalidText);
        }
        let request = self.request(WireMethod::Password(PasswordAuth {
            password,
            new_password,
        }));
        let size_hint = FRAMING + self.user.len() + password.len() + new_len;
        out.push_secret(&request, size_hint);
        self.state = State::Sent(Attempt::Password);
        Ok(())
    }

    /// The algorithm that this key would sign with: of those for its type, the first that the
    /// server announced, otherwise the first.
    pub(crate) fn algorithm_for(&self, key: &PublicKey) -> Result<&'static str, ApiMisuse> {
        let ours = self.signatures.iter().copied();
        self.choose(ours.filter(|a| a.key_type() == key.key_type()))
            .map(SignatureAlgorithm::name)
            .ok_or(ApiMisuse::UnsupportedKey)
    }

    fn choose(
        &self,
        mut candidates: impl Iterator<Item = &'static dyn SignatureAlgorithm> + Clone,
    ) -> Option<&'static dyn SignatureAlgorithm> {
        candidates
            .clone()
            .find(|a| self.announced.contains(&a.name()))
            .or_else(|| candidates.next())
    }

    /// Asks whether a key is usable; ends in a turn with [`AuthOutcome::KeyUsable`] or `Failed`.
    /// `UnsupportedKey` if the provider lacks the algorithm or it is not one for this key.
    pub(crate) fn query_publickey(
        &mut self,
        key: &PublicKey,
        algorithm: &str,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.query(key, algorithm, false, out)
    }

    /// Tries a key that signs elsewhere: a query first, and [`ClientAsk::Sign`] only if the
    /// server would take the key. `UnsupportedKey` if the provider has no algorithm for it.
    pub(crate) fn publickey_remote(
        &mut self,
        key: &PublicKey,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.query(key, self.algorithm_for(key)?, true, out)
    }

    fn query(
        &mut self,
        key: &PublicKey,
        algorithm: &str,
        sign: bool,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.expect_turn()?;
        let algorithm = find_algorithm(&self.signatures, algorithm.as_bytes(), key.key_type())
            .ok_or(ApiMisuse::UnsupportedKey)?;
        self.send_publickey(algorithm, key, None, out);
        self.state = State::Sent(Attempt::Query {
            algorithm,
            key: key.clone(),
            sign,
        });
        Ok(())
    }

    /// Tries a key that signs at once. `ApiMisuse(UnsupportedKey)` if it shares no algorithm with
    /// the provider, `Crypto` if it does not sign.
    pub(crate) fn publickey(
        &mut self,
        key: &dyn SigningKey,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.expect_turn()?;
        let public = key.public_key();
        let candidates = key.algorithms().iter().filter_map(|name| {
            find_algorithm(&self.signatures, name.as_bytes(), public.key_type())
        });
        let algorithm = self.choose(candidates).ok_or(ApiMisuse::UnsupportedKey)?;
        let signature = key.sign(algorithm.name(), &self.message(algorithm, public))?;
        if signature.algorithm() != algorithm.name() {
            return Err(CryptoError::InvalidSignature.into());
        }
        self.send_signature(algorithm, public.clone(), &signature, out);
        Ok(())
    }

    /// Answers [`ClientAsk::Sign`]. `InvalidSignature` if the signature does not verify; the
    /// question then stays.
    pub(crate) fn provide_signature(
        &mut self,
        signature: &Signature,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let State::Sign { algorithm, key } = &self.state else {
            return Err(ApiMisuse::WrongAnswer);
        };
        let (algorithm, key) = (*algorithm, key.clone());
        if signature.algorithm() != algorithm.name() {
            return Err(ApiMisuse::InvalidSignature);
        }
        algorithm
            .verify(&key, &self.message(algorithm, &key), signature)
            .map_err(|_| ApiMisuse::InvalidSignature)?;
        self.send_signature(algorithm, key, signature, out);
        Ok(())
    }

    /// Answers [`ClientAsk::Sign`] with no signature: the attempt has failed, and it is the
    /// application's turn. The server is told nothing and awaits nothing.
    pub(crate) fn decline_signature(&mut self) -> Result<ClientAsk, ApiMisuse> {
        match self.state {
            State::Sign { .. } => Ok(self.turn(AuthOutcome::Failed)),
            _ => Err(ApiMisuse::WrongAnswer),
        }
    }

    fn send_signature(
        &mut self,
        algorithm: &'static dyn SignatureAlgorithm,
        key: PublicKey,
        signature: &Signature,
        out: &mut Outbox,
    ) {
        self.send_publickey(algorithm, &key, Some(signature.as_encoded()), out);
        self.state = State::Sent(Attempt::PublicKey(key));
    }

    fn send_publickey(
        &self,
        algorithm: &'static dyn SignatureAlgorithm,
        key: &PublicKey,
        signature: Option<&[u8]>,
        out: &mut Outbox,
    ) {
        out.push(&self.request(WireMethod::PublicKey(PublicKeyAuth {
            algorithm: algorithm.name().as_bytes(),
            key: key.as_blob(),
            signature,
        })));
    }

    fn message(&self, algorithm: &dyn SignatureAlgorithm, key: &PublicKey) -> Vec<u8> {
        signed_data(
            &self.session_id,
            self.user.as_bytes(),
            algorithm.name(),
            key,
        )
    }

    fn request<'a>(&'a self, method: WireMethod<'a>) -> UserauthRequest<'a> {
        UserauthRequest {
            user: self.user.as_bytes(),
            service: SSH_CONNECTION,
            method,
        }
    }

    const fn expect_turn(&self) -> Result<(), ApiMisuse> {
        match self.state {
            State::Turn => Ok(()),
            _ => Err(ApiMisuse::WrongAnswer),
        }
    }
}
