//! The client's side of authentication (RFC 4252): one attempt at a time, as the application chooses, and only replies that answer it.

mod gssapi;
mod hostbased;
mod keyboard_interactive;
mod password;
mod publickey;
mod signing;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;

use self::gssapi::Gssapi;
pub use self::gssapi::{GssapiError, GssapiStep};
use self::keyboard_interactive::Dialog;
use self::publickey::Query;
use self::signing::Signing;
use super::{
    AuthStep, Authenticated, Banner, Prompts, Restrictions, SSH_CONNECTION, SSH_USERAUTH,
    number_of, unexpected,
};
use crate::crypto::{PublicKey, SignatureAlgorithm};
use crate::error::{ApiMisuse, Error, Limit, PeerIncompatible, PeerMisbehaved};
use crate::limits::{Limits, MAX_AUTH_ROUNDS, MAX_PEER_TEXT};
use crate::text::Escaped;
use crate::wire::auth::{
    AuthMethod as WireMethod, UserauthBanner, UserauthFailure, UserauthGssapiError,
    UserauthGssapiErrtok, UserauthGssapiResponse, UserauthGssapiToken, UserauthInfoRequest,
    UserauthRequest, UserauthSuccess,
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
    /// [`Client::provide_signature`] or [`Client::abandon`].
    Sign {
        key: PublicKey,
        algorithm: &'static str,
        message: Vec<u8>,
    },
    /// Prompts to answer by [`Client::answer_prompts`] or [`Client::abandon`].
    Prompts(Prompts),
    /// A step of a mechanism, answered by [`Client::gssapi_token`], [`Client::gssapi_finish`] or
    /// [`Client::gssapi_fail`].
    Gssapi(GssapiAsk),
    /// What the server's mechanism says of its failure. Asks for nothing.
    GssapiError(GssapiError),
    /// Text to show. Asks for nothing.
    Banner(Banner),
    /// The end of it.
    Authenticated(Authenticated),
}

/// A step of `gssapi-with-mic` for the application's mechanism.
#[derive(Debug, Clone)]
pub(crate) struct GssapiAsk {
    pub(crate) step: GssapiStep,
    /// What the MIC is to cover.
    pub(crate) mic_message: Bytes,
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
    user_name_limit: usize,
    signatures: Vec<&'static dyn SignatureAlgorithm>,
    /// Those of our algorithms that the server says it accepts.
    announced: Vec<&'static str>,
    /// The host key of the first key exchange.
    host_key: PublicKey,
    /// The server takes `publickey-hostbound-v00@openssh.com`.
    hostbound: bool,
    refuse_trivial_success: bool,
    max_failures: u32,
    banner_budget: usize,
    state: State,
    abandoned: Option<Abandoned>,
    failures: u32,
    methods: Option<Vec<String>>,
    /// What has succeeded, while more is needed.
    steps: Vec<AuthStep>,
    /// One of them took a proof.
    proven: bool,
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
    Sign(Signing),
    /// The application is to answer so many prompts.
    Prompts(Dialog, usize),
    /// The application's mechanism is to take a step.
    Gssapi(Gssapi),
    /// Authenticated.
    Done,
}

enum Attempt {
    None,
    Password,
    Query(Query),
    PublicKey(PublicKey),
    KeyboardInteractive(Dialog),
    Hostbased(PublicKey),
    Gssapi(Gssapi),
}

impl Attempt {
    /// The method, as RFC 4252 names it, and the key that it proves.
    ///
    /// `None` where the server can have no reason to be content: a query can be answered, not
    /// granted, and a context that is not complete shows nothing.
    fn credit(&self) -> Option<(&'static str, Option<&PublicKey>)> {
        Some(match self {
            Self::None => ("none", None),
            Self::Password => ("password", None),
            Self::PublicKey(key) => ("publickey", Some(key)),
            Self::KeyboardInteractive(_) => ("keyboard-interactive", None),
            Self::Hostbased(key) => ("hostbased", Some(key)),
            Self::Gssapi(context) if context.is_complete() => ("gssapi-with-mic", None),
            Self::Query(_) | Self::Gssapi(_) => return None,
        })
    }

    /// Whether it shows the server nothing that only the user has (CVE-2021-36367, -36368, -36369).
    fn is_trivial(&self) -> bool {
        match self {
            Self::None => true,
            Self::KeyboardInteractive(dialog) => !dialog.has_answered(),
            _ => false,
        }
    }
}

/// A method of several messages that the application left while the server awaited the next.
#[derive(Clone, Copy)]
enum Abandoned {
    KeyboardInteractive,
    Gssapi,
}

impl Client {
    /// `user` is within [`Limits::user_name`]; `signatures` are what the provider has, `host_key`
    /// what the server showed in the first key exchange.
    pub(crate) fn new(
        session_id: Bytes,
        host_key: PublicKey,
        user: &str,
        limits: &Limits,
        signatures: Vec<&'static dyn SignatureAlgorithm>,
        refuse_trivial_success: bool,
    ) -> Self {
        Self {
            session_id,
            user: user.to_owned(),
            user_name_limit: limits.user_name,
            signatures,
            announced: Vec::new(),
            host_key,
            hostbound: false,
            refuse_trivial_success,
            max_failures: limits.client_auth_failures,
            banner_budget: limits.banner_bytes,
            state: State::Initial,
            abandoned: None,
            failures: 0,
            methods: None,
            steps: Vec::new(),
            proven: false,
        }
    }

    /// Requests the service; the first turn follows when it is granted.
    pub(crate) fn start(&mut self, out: &mut Outbox) {
        self.state = State::ServiceRequested;
        out.push(&ServiceRequest {
            service: SSH_USERAUTH,
        });
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
            60..=79 if self.take_late(payload) => Ok(None),
            number @ 60..=79 => self.method_reply(number, payload).map(Some),
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
        // What proves nothing is no part of success.
        let outcome = match attempt.credit() {
            Some((method, key)) if failure.partial_success => {
                self.proven |= !attempt.is_trivial();
                let key = key.cloned();
                self.steps.push(AuthStep { method, key });
                AuthOutcome::PartialSuccess
            }
            _ => AuthOutcome::Failed,
        };
        self.count_failure()?;
        self.methods = Some(failure.methods.iter().map(str::to_owned).collect());
        Ok(self.turn(outcome))
    }

    fn success(&mut self) -> Result<ClientAsk, Error> {
        let State::Sent(attempt) = &self.state else {
            return Err(PeerMisbehaved::UnsolicitedAuthReply.into());
        };
        let (method, key) = attempt
            .credit()
            .ok_or(PeerMisbehaved::UnsolicitedAuthReply)?;
        if self.refuse_trivial_success && !self.proven && attempt.is_trivial() {
            return Err(Error::PeerIncompatible(PeerIncompatible::TrivialSuccess));
        }
        let key = key.cloned();
        self.state = State::Done;
        let mut steps = core::mem::take(&mut self.steps);
        steps.push(AuthStep { method, key });
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

    /// Numbers from 60 on mean what the attempt makes them mean.
    fn method_reply(&mut self, number: u8, payload: &[u8]) -> Result<ClientAsk, Error> {
        match (&self.state, number) {
            (State::Sent(Attempt::Query(_)), number::USERAUTH_PK_OK) => {
                self.pk_ok(decode(payload)?)
            }
            (State::Sent(Attempt::Password), number::USERAUTH_PASSWD_CHANGEREQ) => {
                self.password_change_required(decode(payload)?)
            }
            (State::Sent(Attempt::KeyboardInteractive(_)), number::USERAUTH_INFO_REQUEST) => {
                self.info_request(decode(payload)?)
            }
            (State::Sent(Attempt::Gssapi(_)), _) => self.gssapi_reply(number, payload),
            _ => Err(PeerMisbehaved::UnsolicitedAuthReply.into()),
        }
    }

    /// Whether this is a message of the method that the application left, sent before the server
    /// knew: one is let pass. `USERAUTH_FAILURE` names no method, so it is always taken for the
    /// reply to the latest request.
    fn take_late(&mut self, payload: &[u8]) -> bool {
        // No two messages of the same number decode from the same bytes.
        let is_late = match (self.abandoned, &self.state) {
            (Some(Abandoned::KeyboardInteractive), State::Sent(attempt)) => {
                !matches!(attempt, Attempt::KeyboardInteractive(_))
                    && decode::<UserauthInfoRequest<'_>>(payload).is_ok()
            }
            (Some(Abandoned::Gssapi), State::Sent(attempt)) => {
                !matches!(attempt, Attempt::Gssapi(_))
                    && (decode::<UserauthGssapiResponse<'_>>(payload).is_ok()
                        || decode::<UserauthGssapiToken<'_>>(payload).is_ok()
                        || decode::<UserauthGssapiError<'_>>(payload).is_ok()
                        || decode::<UserauthGssapiErrtok<'_>>(payload).is_ok())
            }
            _ => false,
        };
        if is_late {
            self.abandoned = None;
        }
        is_late
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

    /// Leaves the attempt about which the application is asked: it has failed, and it is the
    /// application's turn. The server is told nothing; the next request tells it (RFC 4252
    /// section 5).
    pub(crate) fn abandon(&mut self) -> Result<ClientAsk, ApiMisuse> {
        self.abandoned = match self.state {
            State::Sign(_) => None,
            State::Prompts(..) => Some(Abandoned::KeyboardInteractive),
            State::Gssapi(_) => Some(Abandoned::Gssapi),
            _ => return Err(ApiMisuse::WrongAnswer),
        };
        Ok(self.turn(AuthOutcome::Failed))
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

/// Counts a message of the server within one attempt.
fn count_round(rounds: &mut u32) -> Result<(), Error> {
    *rounds = rounds.saturating_add(1);
    match *rounds > MAX_AUTH_ROUNDS {
        true => Err(Limit::AuthRounds.into()),
        false => Ok(()),
    }
}

/// Text of the server, cut and with control characters escaped.
fn shown(text: &[u8]) -> String {
    Escaped(text.get(..MAX_PEER_TEXT).unwrap_or(text)).to_string()
}
