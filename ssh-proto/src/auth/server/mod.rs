//! The server's side of authentication (RFC 4252): checks what a request can be checked for, and asks the application about the rest.

mod answers;
mod gssapi;
mod hostbased;
mod keyboard_interactive;
mod password;
mod publickey;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

pub use self::gssapi::ServerGssapi;
use self::publickey::{Claim, Proof};
use super::{
    AuthStep, MethodSet, Password, Restrictions, SSH_CONNECTION, SSH_USERAUTH, number_of,
    unexpected,
};
use crate::crypto::{PublicKey, SecurityKeyUse, SignatureAlgorithm};
use crate::error::{ApiMisuse, Error, Limit, PeerIncompatible, PeerMisbehaved};
use crate::limits::{Limits, MAX_AUTH_TEXT};
use crate::wire::auth::{
    AuthMethod as WireMethod, PublicKeyAuth, PublicKeyHostboundAuth, UserauthBanner,
    UserauthFailure, UserauthRequest,
};
use crate::wire::decode;
use crate::wire::number;
use crate::wire::outbox::Outbox;
use crate::wire::transport::{ServiceAccept, ServiceRequest};

/// A client's attempt to authenticate, or a step of one, for a server's application to decide on.
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
    /// `keyboard-interactive` (RFC 4256) begins; answered by `prompt_auth`. To be accepted only
    /// after a round, which may be one without prompts.
    KeyboardInteractive {
        /// What the client would like to be asked about, with control characters escaped; mostly
        /// empty.
        submethods: String,
    },
    /// The answers to the prompts of the last `prompt_auth`, as many as there were.
    KeyboardInteractiveResponses(Vec<Password>),
    /// `hostbased` (RFC 4252 section 9): the client's host proved in this request that it has the
    /// key. What is left to decide is whether the key is that of `client_host`, whether the client
    /// connects from there, and whether `client_user` of that host may log in as the user.
    HostBased {
        /// The proven key.
        key: PublicKey,
        /// The algorithm of the proof.
        algorithm: &'static str,
        /// The host that it says it is, often with a dot at its end; printable, and nothing but a
        /// claim.
        client_host: String,
        /// The user's name on that host, which vouches for it; printable.
        client_user: String,
    },
    /// `gssapi-with-mic` (RFC 4462 section 3). To be accepted at its last step only.
    Gssapi(ServerGssapi),
}

impl AuthMethod {
    /// The key that was proven, or the certificate that it was presented by.
    pub fn key(&self) -> Option<&PublicKey> {
        match self {
            Self::PublicKey { key, .. } | Self::HostBased { key, .. } => Some(key),
            _ => None,
        }
    }
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
    /// Whether to verify a signature by this key; answered by [`Server::verify`] or
    /// [`Server::refuse`].
    Unverified {
        user: String,
        algorithm: &'static str,
        key: PublicKey,
    },
    /// Whether this authenticates the user.
    Request {
        user: String,
        method: AuthMethod,
        security_key: Option<SecurityKeyUse>,
    },
}

/// What was tried, for the summary of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LoginTrace {
    /// Requests that could have succeeded: neither key queries nor a `none` that came first.
    pub(crate) attempts: u32,
    /// Whether the application said that it does not know the user.
    pub(crate) unknown_user: bool,
}

/// The server's state.
pub(crate) struct Server {
    session_id: Bytes,
    /// Of the first key exchange.
    host_key: PublicKey,
    accepted: Vec<&'static dyn SignatureAlgorithm>,
    /// The application has narrowed those.
    narrowed: bool,
    /// The methods that can continue.
    methods: MethodSet,
    withholds_failures: bool,
    asks_before_verifying: bool,
    min_rsa_bits: usize,
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
    trace: LoginTrace,
    /// The application asked for a new password; what restricts the change.
    change: Option<Restrictions>,
    /// What succeeded so far, and what its answers allow.
    steps: Vec<AuthStep>,
    restrictions: Restrictions,
}

/// What differs between servers.
pub(crate) struct Policy {
    pub(crate) methods: MethodSet,
    /// Whether failures wait for [`Server::release_failure`].
    pub(crate) withhold_failures: bool,
    /// Whether [`ServerAsk::Unverified`] comes before each signature is verified.
    pub(crate) ask_before_verifying: bool,
    /// The shortest RSA key that is looked at.
    pub(crate) min_rsa_bits: usize,
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
    /// A signature awaits leave to be verified.
    Unverified(Box<Claim>),
    /// A request, or a step of one, awaits its answer.
    Request {
        attempt: Attempt,
        counted: bool,
        /// Those of this attempt's answers so far.
        restrictions: Restrictions,
    },
    /// A message that goes on with a method is due. A new request gives the method up.
    Exchange {
        awaited: Awaited,
        restrictions: Restrictions,
    },
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
    PublicKey(Proof),
    HostBased(Proof),
    KeyboardInteractive {
        /// Of prompts, that were answered.
        rounds: u32,
    },
    Gssapi(gssapi::Asked),
}

impl Attempt {
    /// What is proven if the application accepts; `None` where it is too early for that, or a
    /// security key was not touched.
    fn step(&self) -> Option<AuthStep> {
        let (method, key) = match self {
            Self::None => ("none", None),
            Self::Password | Self::PasswordChange => ("password", None),
            Self::PublicKey(proof) | Self::HostBased(proof) if proof.touch_is_due => return None,
            Self::PublicKey(proof) => ("publickey", Some(proof.key.clone())),
            Self::HostBased(proof) => ("hostbased", Some(proof.key.clone())),
            Self::KeyboardInteractive { rounds: 0 } => return None,
            Self::KeyboardInteractive { .. } => ("keyboard-interactive", None),
            Self::Gssapi(gssapi::Asked::Proof) => ("gssapi-with-mic", None),
            Self::Gssapi(_) => return None,
        };
        Some(AuthStep { method, key })
    }
}

/// What a method that takes several messages goes on with.
enum Awaited {
    /// `USERAUTH_INFO_RESPONSE` to so many prompts, the last of so many rounds.
    Responses { prompts: usize, rounds: u32 },
    /// `USERAUTH_GSSAPI_TOKEN`, after so many that were answered.
    GssapiToken { rounds: u32 },
    /// `USERAUTH_GSSAPI_MIC` or `USERAUTH_GSSAPI_EXCHANGE_COMPLETE`.
    GssapiProof,
}

/// What a look at a request led to.
enum Checked {
    /// It fails without a question.
    Fail,
    Query(&'static str, PublicKey),
    Verify(Claim),
    Ask(Attempt, AuthMethod),
}

impl Server {
    pub(crate) fn new(
        session_id: Bytes,
        host_key: PublicKey,
        limits: &Limits,
        accepted: Vec<&'static dyn SignatureAlgorithm>,
        policy: Policy,
    ) -> Self {
        Self {
            session_id,
            host_key,
            accepted,
            narrowed: false,
            methods: policy.methods,
            withholds_failures: policy.withhold_failures,
            asks_before_verifying: policy.ask_before_verifying,
            min_rsa_bits: policy.min_rsa_bits,
            max_failures: limits.auth_failures,
            max_requests: limits.auth_requests,
            max_queries: limits.key_queries,
            max_user_name: limits.user_name,
            state: State::Initial,
            user: None,
            requests: 0,
            failures: 0,
            queries: 0,
            trace: LoginTrace::default(),
            change: None,
            steps: Vec::new(),
            restrictions: Restrictions::default(),
        }
    }

    /// What was tried so far.
    pub(crate) fn trace(&self) -> LoginTrace {
        self.trace
    }

    /// Takes a message of number 5 or 50 to 79. A question pauses the connection until it is
    /// answered; so does a withheld failure.
    pub(crate) fn handle(
        &mut self,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<Option<ServerAsk>, Error> {
        let number = number_of(payload)?;
        match (&mut self.state, number) {
            (
                State::Query { .. }
                | State::Unverified(_)
                | State::Request { .. }
                | State::Withheld,
                _,
            ) => Err(Error::Internal(
                "authentication message delivered while paused",
            )),
            (State::Initial | State::Ready | State::Exchange { .. }, number::SERVICE_REQUEST) => {
                self.service_request(decode(payload)?, out)?;
                Ok(None)
            }
            (State::Ready | State::Exchange { .. }, number::USERAUTH_REQUEST) => {
                self.request(decode(payload)?, out)
            }
            (State::Exchange { .. }, _) => self.go_on(number, payload, out),
            _ => Err(unexpected(number)),
        }
    }

    /// Goes on with a method that takes several messages.
    fn go_on(
        &mut self,
        number: u8,
        payload: &[u8],
        out: &mut Outbox,
    ) -> Result<Option<ServerAsk>, Error> {
        let State::Exchange {
            awaited,
            restrictions,
        } = mem::replace(&mut self.state, State::Ready)
        else {
            return Err(unexpected(number));
        };
        match (awaited, number) {
            (Awaited::Responses { prompts, rounds }, number::USERAUTH_INFO_RESPONSE) => {
                self.info_response(payload, prompts, rounds, restrictions, out)
            }
            (Awaited::Responses { .. }, _) => Err(unexpected(number)),
            (awaited, _) => self
                .gssapi_message(number, payload, awaited, restrictions)
                .map(Some),
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
                if matches!(self.state, State::Initial) {
                    self.state = State::Ready;
                }
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
        self.give_up_exchange()?;
        let is_query = matches!(
            request.method,
            WireMethod::PublicKey(PublicKeyAuth {
                signature: None,
                ..
            }) | WireMethod::PublicKeyHostbound(PublicKeyHostboundAuth {
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
        self.trace.attempts = self.trace.attempts.saturating_add(counted.into());

        let checked = match printable(request.user) {
            Some(user) => self.check(user, &request.method),
            None => Checked::Fail,
        };
        match checked {
            Checked::Fail => {
                self.fail(counted, out)?;
                Ok(None)
            }
            Checked::Query(algorithm, key) => {
                self.state = State::Query {
                    algorithm,
                    key: key.clone(),
                };
                Ok(Some(ServerAsk::KeyQuery {
                    user: self.user_name()?,
                    algorithm,
                    key,
                }))
            }
            Checked::Verify(claim) if self.asks_before_verifying => {
                let ask = ServerAsk::Unverified {
                    user: self.user_name()?,
                    algorithm: claim.algorithm.name(),
                    key: claim.key.clone(),
                };
                self.state = State::Unverified(Box::new(claim));
                Ok(Some(ask))
            }
            Checked::Verify(claim) => self.judge(claim, out),
            Checked::Ask(attempt, method) => self.ask(attempt, method, counted).map(Some),
        }
    }

    /// Verifies a signature, and asks about what it proves.
    fn judge(&mut self, claim: Claim, out: &mut Outbox) -> Result<Option<ServerAsk>, Error> {
        match claim.verify() {
            Some((attempt, method)) => self.ask(attempt, method, true).map(Some),
            None => {
                self.fail(true, out)?;
                Ok(None)
            }
        }
    }

    fn ask(
        &mut self,
        attempt: Attempt,
        method: AuthMethod,
        counted: bool,
    ) -> Result<ServerAsk, Error> {
        let user = self.user_name()?;
        let (security_key, restrictions) = match &attempt {
            Attempt::PublicKey(proof) | Attempt::HostBased(proof) => {
                (proof.usage, proof.restrictions.clone())
            }
            // A change goes on with the password that it replaces.
            Attempt::PasswordChange => (None, self.change.clone().unwrap_or_default()),
            _ => (None, Restrictions::default()),
        };
        self.state = State::Request {
            attempt,
            counted,
            restrictions,
        };
        Ok(ServerAsk::Request {
            user,
            method,
            security_key,
        })
    }

    /// As [`Self::ask`], about a further step of an attempt.
    fn ask_on(
        &mut self,
        attempt: Attempt,
        method: AuthMethod,
        restrictions: Restrictions,
    ) -> Result<ServerAsk, Error> {
        let ask = self.ask(attempt, method, true)?;
        self.restrict(&restrictions);
        Ok(ask)
    }

    /// The user of the request that is asked about, whose name is text.
    fn user_name(&self) -> Result<String, Error> {
        self.user
            .as_deref()
            .and_then(printable)
            .map(str::to_owned)
            .ok_or(Error::Internal("a request without a user is asked about"))
    }

    /// A method that was not finished is over, and has failed. Nothing says so (RFC 4252 section 5).
    fn give_up_exchange(&mut self) -> Result<(), Error> {
        match self.state {
            State::Exchange { .. } => {
                self.state = State::Ready;
                self.count_failure()
            }
            _ => Ok(()),
        }
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
        let needed = match method {
            WireMethod::None(()) if self.steps.is_empty() => MethodSet::EMPTY,
            WireMethod::None(()) | WireMethod::Unknown { .. } => return Checked::Fail,
            WireMethod::PublicKey(_) | WireMethod::PublicKeyHostbound(_) => MethodSet::PUBLICKEY,
            WireMethod::Password(_) => MethodSet::PASSWORD,
            WireMethod::KeyboardInteractive(_) => MethodSet::KEYBOARD_INTERACTIVE,
            WireMethod::Hostbased(_) => MethodSet::HOSTBASED,
            WireMethod::GssapiWithMic(_) => MethodSet::GSSAPI_WITH_MIC,
        };
        if !self.methods.contains(needed) {
            return Checked::Fail;
        }
        let checked = match method {
            WireMethod::None(()) => Some(Checked::Ask(Attempt::None, AuthMethod::None)),
            WireMethod::PublicKey(request) => self.check_public_key(user, request, false),
            WireMethod::PublicKeyHostbound(request) => self.check_hostbound(user, request),
            WireMethod::Password(request) => Some(self.check_password(request)),
            WireMethod::KeyboardInteractive(request) => Some(keyboard_interactive::check(request)),
            WireMethod::Hostbased(request) => self.check_hostbased(user, request),
            WireMethod::GssapiWithMic(request) => Some(gssapi::check(request)),
            WireMethod::Unknown { .. } => None,
        };
        checked.unwrap_or(Checked::Fail)
    }

    fn fail(&mut self, counted: bool, out: &mut Outbox) -> Result<(), Error> {
        if counted {
            self.count_failure()?;
        }
        self.state = State::Withheld;
        if !self.withholds_failures {
            self.release_failure(out);
        }
        Ok(())
    }

    fn count_failure(&mut self) -> Result<(), Error> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.max_failures {
            self.state = State::Done;
            return Err(Limit::AuthFailures.into());
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

/// A name that is text without control characters.
fn printable(name: &[u8]) -> Option<&str> {
    core::str::from_utf8(name)
        .ok()
        .filter(|name| !name.chars().any(char::is_control))
}
