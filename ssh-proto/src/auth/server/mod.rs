//! The server's side of authentication (RFC 4252): checks what a request can be checked for, and asks the application about the rest.

#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::signed::signed_data;
use super::{
    AuthStep, Authenticated, MethodSet, Password, Restrictions, SSH_CONNECTION, SSH_USERAUTH,
    find_algorithm, number_of, unexpected,
};
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm};
use crate::error::{ApiMisuse, Error, Limit, PeerIncompatible, PeerMisbehaved};
use crate::limits::{Limits, MAX_AUTH_TEXT, MAX_PASSWORD};
use crate::wire::auth::{
    AuthMethod as WireMethod, PasswordAuth, PublicKeyAuth, UserauthBanner, UserauthFailure,
    UserauthPasswdChangereq, UserauthPkOk, UserauthRequest, UserauthSuccess,
};
use crate::wire::decode;
use crate::wire::number;
use crate::wire::outbox::Outbox;
use crate::wire::transport::{ServiceAccept, ServiceRequest};

/// A client's attempt to authenticate, for a server's application to decide on.
#[non_exhaustive]
#[derive(Debug)]
pub enum AuthMethod {
    /// `none` (RFC 4252 section 5.2): to be accepted only if the user needs no authentication.
    None,
    /// `password` (RFC 4252 section 8).
    Password(Password),
    /// `password` with a new one, after the application asked for the change.
    PasswordChange {
        /// The password to be replaced, still to be checked.
        old: Password,
        /// Its replacement.
        new: Password,
    },
    /// `publickey` (RFC 4252 section 7): the client proved in this request that it has the key.
    /// What is left to decide is whether the key may log in as the user.
    PublicKey {
        /// The proven key.
        key: PublicKey,
        /// The algorithm of the proof.
        algorithm: &'static str,
    },
}

/// What the application has to decide. The connection pauses until it has.
#[derive(Debug)]
pub(crate) enum ServerAsk {
    /// Whether a signature by this key would help. Nothing is proven; answered by
    /// [`Server::answer_query`].
    KeyQuery {
        user: String,
        algorithm: &'static str,
        key: PublicKey,
    },
    /// Whether this authenticates the user.
    Request { user: String, method: AuthMethod },
}

/// The server's state.
pub(crate) struct Server {
    session_id: Bytes,
    accepted: Vec<&'static dyn SignatureAlgorithm>,
    /// The methods that can continue.
    methods: MethodSet,
    withholds_failures: bool,
    max_failures: u32,
    max_requests: u32,
    max_queries: u32,
    max_user_name: usize,

    state: State,
    /// The user of the first request; it may not change.
    user: Option<Vec<u8>>,
    /// `SERVICE_REQUEST` and `USERAUTH_REQUEST`.
    requests: u32,
    failures: u32,
    queries: u32,
    /// Whether the application asked for a new password.
    change_asked: bool,
    /// Whether anything succeeded so far, and with which keys.
    partial_success: bool,
    used_keys: Vec<PublicKey>,
}

enum State {
    /// No service was requested.
    Initial,
    /// A request may come.
    Ready,
    /// A query awaits its answer.
    Query {
        algorithm: &'static str,
        key: PublicKey,
    },
    /// A request awaits its answer.
    Request { attempt: Attempt, counted: bool },
    /// A `USERAUTH_FAILURE` awaits its time.
    Withheld,
    /// The client is authenticated, or has failed too often.
    Done,
}

/// What is being decided on, as far as the answer needs it.
enum Attempt {
    None,
    Password,
    PasswordChange,
    PublicKey(PublicKey),
}

/// What a look at a request led to.
enum Checked {
    /// It fails without a question.
    Fail,
    Query(&'static str, PublicKey),
    Ask(Attempt, AuthMethod),
}

impl Server {
    pub(crate) fn new(
        session_id: Bytes,
        limits: &Limits,
        accepted: Vec<&'static dyn SignatureAlgorithm>,
        methods: MethodSet,
        withhold_failures: bool,
    ) -> Self {
        Self {
            session_id,
            accepted,
            methods,
            withholds_failures: withhold_failures,
            max_failures: limits.auth_failures,
            max_requests: limits.auth_requests,
            max_queries: limits.key_queries,
            max_user_name: limits.user_name,
            state: State::Initial,
            user: None,
            requests: 0,
            failures: 0,
            queries: 0,
            change_asked: false,
            partial_success: false,
            used_keys: Vec::new(),
        }
    }

    /// Takes a message of number 5 or 50 to 79. A question pauses the connection until it is
    /// answered; so does a withheld failure.
    pub(crate) fn handle(
        &mut self,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<Option<ServerAsk>, Error> {
        let number = number_of(payload)?;
        match (&self.state, number) {
            (State::Query { .. } | State::Request { .. } | State::Withheld, _) => Err(
                Error::Internal("authentication message delivered while paused"),
            ),
            (State::Initial | State::Ready, number::SERVICE_REQUEST) => {
                self.service_request(decode(payload)?, out)?;
                Ok(None)
            }
            (State::Ready, number::USERAUTH_REQUEST) => self.request(decode(payload)?, out),
            _ => Err(unexpected(number)),
        }
    }

    fn service_request(
        &mut self,
        request: ServiceRequest<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        match request.service {
            SSH_USERAUTH => {
                self.count_request()?;
                self.state = State::Ready;
                out.push(&ServiceAccept {
                    service: SSH_USERAUTH,
                });
                Ok(())
            }
            SSH_CONNECTION => Err(unexpected(number::SERVICE_REQUEST)),
            _ => Err(Error::PeerIncompatible(PeerIncompatible::UnknownService)),
        }
    }

    fn request(
        &mut self,
        request: UserauthRequest<'_>,
        out: &mut Outbox,
    ) -> Result<Option<ServerAsk>, Error> {
        self.count_request()?;
        let is_first = self.user.is_none();
        self.check_identity(&request)?;
        let is_query = matches!(
            request.method,
            WireMethod::PublicKey(PublicKeyAuth {
                signature: None,
                ..
            })
        );
        if is_query {
            self.queries = self.queries.saturating_add(1);
            if self.queries > self.max_queries {
                return Err(Limit::KeyQueries.into());
            }
        }
        // As in OpenSSH, a client that begins by asking for the methods has not failed yet. A
        // query is no attempt: it has a bound of its own.
        let counted = !(is_query || is_first && request.method == WireMethod::None(()));

        let user = match core::str::from_utf8(request.user) {
            Ok(user) if !user.chars().any(char::is_control) => user,
            _ => {
                self.fail(counted, out)?;
                return Ok(None);
            }
        };
        Ok(match self.check(user, &request.method) {
            Checked::Fail => {
                self.fail(counted, out)?;
                None
            }
            Checked::Query(algorithm, key) => {
                self.state = State::Query {
                    algorithm,
                    key: key.clone(),
                };
                Some(ServerAsk::KeyQuery {
                    user: user.to_owned(),
                    algorithm,
                    key,
                })
            }
            Checked::Ask(attempt, method) => {
                self.state = State::Request { attempt, counted };
                Some(ServerAsk::Request {
                    user: user.to_owned(),
                    method,
                })
            }
        })
    }

    fn count_request(&mut self) -> Result<(), Error> {
        self.requests = self.requests.saturating_add(1);
        if self.requests > self.max_requests {
            return Err(Limit::AuthRequests.into());
        }
        Ok(())
    }

    /// RFC 4252 section 5: who changes user or service starts anew; as OpenSSH, we end instead,
    /// so that nothing proven by one user is ever carried to another.
    fn check_identity(&mut self, request: &UserauthRequest<'_>) -> Result<(), Error> {
        if request.user.len() > self.max_user_name {
            return Err(Limit::UserName.into());
        }
        match &self.user {
            Some(user) if user != request.user || request.service != SSH_CONNECTION => {
                Err(PeerMisbehaved::AuthIdentityChanged.into())
            }
            Some(_) => Ok(()),
            None if request.service != SSH_CONNECTION => {
                Err(Error::PeerIncompatible(PeerIncompatible::UnknownService))
            }
            None => {
                self.user = Some(request.user.to_vec());
                Ok(())
            }
        }
    }

    /// Everything that can be decided without the application, and without regard to who the user
    /// is: what is left costs the same for users that exist and those that do not.
    fn check(&self, user: &str, method: &WireMethod<'_>) -> Checked {
        match method {
            WireMethod::None(()) if !self.partial_success => {
                Checked::Ask(Attempt::None, AuthMethod::None)
            }
            WireMethod::PublicKey(request) if self.methods.contains(MethodSet::PUBLICKEY) => self
                .check_public_key(user, request)
                .unwrap_or(Checked::Fail),
            WireMethod::Password(request) if self.methods.contains(MethodSet::PASSWORD) => {
                self.check_password(request)
            }
            _ => Checked::Fail,
        }
    }

    fn check_public_key(&self, user: &str, request: &PublicKeyAuth<'_>) -> Option<Checked> {
        let key = PublicKey::from_blob(Bytes::copy_from_slice(request.key)).ok()?;
        let algorithm = find_algorithm(&self.accepted, request.algorithm, key.key_type())?;
        if self.used_keys.contains(&key) {
            return None;
        }
        let Some(signature) = request.signature else {
            return Some(Checked::Query(algorithm.name(), key));
        };
        let signature = Signature::from_encoded(Bytes::copy_from_slice(signature)).ok()?;
        if signature.algorithm() != algorithm.name() {
            return None;
        }
        let message = signed_data(&self.session_id, user.as_bytes(), algorithm.name(), &key);
        algorithm.verify(&key, &message, &signature).ok()?;
        Some(Checked::Ask(
            Attempt::PublicKey(key.clone()),
            AuthMethod::PublicKey {
                key,
                algorithm: algorithm.name(),
            },
        ))
    }

    fn check_password(&self, request: &PasswordAuth<'_>) -> Checked {
        let too_long = |password: &[u8]| password.len() > MAX_PASSWORD;
        match request.new_password {
            _ if too_long(request.password) => Checked::Fail,
            None => Checked::Ask(
                Attempt::Password,
                AuthMethod::Password(Password::new(request.password)),
            ),
            Some(new) if self.change_asked && !too_long(new) => Checked::Ask(
                Attempt::PasswordChange,
                AuthMethod::PasswordChange {
                    old: Password::new(request.password),
                    new: Password::new(new),
                },
            ),
            Some(_) => Checked::Fail,
        }
    }

    /// Answers a query: `USERAUTH_PK_OK` or `USERAUTH_FAILURE`.
    pub(crate) fn answer_query(&mut self, usable: bool, out: &mut Outbox) -> Result<(), Error> {
        let State::Query { algorithm, key } = &self.state else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if !usable {
            return self.fail(false, out);
        }
        out.push(&UserauthPkOk {
            algorithm: algorithm.as_bytes(),
            key: key.as_blob(),
        });
        self.state = State::Ready;
        Ok(())
    }

    /// Accepts a request: `USERAUTH_SUCCESS`, and the proof.
    ///
    /// A password that was to be changed does not succeed by itself any more (RFC 4252 section 8).
    pub(crate) fn accept(&mut self, out: &mut Outbox) -> Result<Authenticated, Error> {
        let attempt = self.acceptable()?;
        let (method, key) = match attempt {
            Attempt::None => ("none", None),
            Attempt::Password | Attempt::PasswordChange => ("password", None),
            Attempt::PublicKey(key) => ("publickey", Some(key.clone())),
        };
        // Only a name that is text gets as far as a request.
        let user = self
            .user
            .as_deref()
            .and_then(|user| core::str::from_utf8(user).ok())
            .ok_or(Error::Internal("accepted request has no user"))?
            .to_owned();
        self.state = State::Done;
        out.push(&UserauthSuccess {});
        let steps = alloc::vec![AuthStep { method, key }];
        Ok(Authenticated::new(user, steps, Restrictions::default()))
    }

    /// Accepts a request as one step of several: `USERAUTH_FAILURE` with partial success, and the
    /// methods that remain.
    pub(crate) fn accept_partial(
        &mut self,
        remaining: MethodSet,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Attempt::PublicKey(key) = self.acceptable()? {
            let key = key.clone();
            self.used_keys.push(key);
        }
        self.partial_success = true;
        self.methods = remaining;
        self.state = State::Ready;
        out.push(&UserauthFailure {
            methods: remaining.to_name_list(),
            partial_success: true,
        });
        Ok(())
    }

    fn acceptable(&self) -> Result<&Attempt, ApiMisuse> {
        match &self.state {
            State::Request {
                attempt: Attempt::Password,
                ..
            } if self.change_asked => Err(ApiMisuse::WrongAnswer),
            State::Request { attempt, .. } => Ok(attempt),
            _ => Err(ApiMisuse::WrongAnswer),
        }
    }

    /// Rejects a request: `USERAUTH_FAILURE`. `methods` replaces the set that can continue.
    ///
    /// `LimitExceeded(AuthFailures)` if it was one too many; nothing is sent then.
    pub(crate) fn reject(
        &mut self,
        methods: Option<MethodSet>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let State::Request { counted, .. } = self.state else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if let Some(methods) = methods {
            self.methods = methods;
        }
        self.fail(counted, out)
    }

    /// Answers a password, or a change of it, with the demand for another one.
    pub(crate) fn request_password_change(
        &mut self,
        prompt: &str,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let State::Request {
            attempt: Attempt::Password | Attempt::PasswordChange,
            ..
        } = self.state
        else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if prompt.len() > MAX_AUTH_TEXT {
            return Err(ApiMisuse::InvalidText.into());
        }
        self.change_asked = true;
        self.state = State::Ready;
        out.push(&UserauthPasswdChangereq {
            prompt: prompt.as_bytes(),
            language: b"",
        });
        Ok(())
    }

    fn fail(&mut self, counted: bool, out: &mut Outbox) -> Result<(), Error> {
        if counted {
            self.failures = self.failures.saturating_add(1);
            if self.failures >= self.max_failures {
                self.state = State::Done;
                return Err(Limit::AuthFailures.into());
            }
        }
        self.state = State::Withheld;
        if !self.withholds_failures {
            self.release_failure(out);
        }
        Ok(())
    }

    /// Whether a `USERAUTH_FAILURE` waits for [`Self::release_failure`].
    pub(crate) fn has_withheld_failure(&self) -> bool {
        matches!(self.state, State::Withheld)
    }

    /// Sends the failure that was withheld, if there is one.
    pub(crate) fn release_failure(&mut self, out: &mut Outbox) {
        if self.has_withheld_failure() {
            self.state = State::Ready;
            out.push(&UserauthFailure {
                methods: self.methods.to_name_list(),
                partial_success: false,
            });
        }
    }

    /// Sends a banner (RFC 4252 section 5.4), from the start of authentication until it succeeds.
    pub(crate) fn banner(&mut self, text: &str, out: &mut Outbox) -> Result<(), ApiMisuse> {
        if matches!(self.state, State::Initial | State::Done) {
            return Err(ApiMisuse::WrongAnswer);
        }
        if text.len() > MAX_AUTH_TEXT {
            return Err(ApiMisuse::InvalidText);
        }
        out.push(&UserauthBanner {
            message: text.as_bytes(),
            language: b"",
        });
        Ok(())
    }
}
