//! The server's `gssapi-with-mic` (RFC 4462 section 3): tokens pass through, in the order that the method has; what they mean is the application's to know.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::{Attempt, AuthMethod, Awaited, Checked, Server, ServerAsk, State};
use crate::auth::signed::gssapi_mic_data;
use crate::auth::{Restrictions, is_oid, unexpected};
use crate::error::{ApiMisuse, Error};
use crate::limits::{MAX_AUTH_ROUNDS, MAX_AUTH_TEXT};
use crate::wire::auth::{
    GssapiAuth, UserauthGssapiError, UserauthGssapiErrtok, UserauthGssapiExchangeComplete,
    UserauthGssapiMic, UserauthGssapiResponse, UserauthGssapiToken,
};
use crate::wire::outbox::Outbox;
use crate::wire::{decode, number};

/// What a client says in the course of `gssapi-with-mic` (RFC 4462 section 3).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerGssapi {
    /// The mechanisms that it offers, whole OIDs in DER (section 3.2), in its order of preference;
    /// answered by `select_gssapi_mechanism`.
    Mechanisms(Vec<Bytes>),
    /// A token to accept the security context with (section 3.4); answered by `gssapi_token`,
    /// `gssapi_established` or `gssapi_error`.
    Token(Bytes),
    /// The client's mechanism failed, and this says how (section 3.9). To be rejected; the client
    /// is not told, since it has gone on already.
    ErrorToken(Bytes),
    /// The context is established, and the client proves with it that it is in this session
    /// (section 3.5). To be accepted only if the mechanism finds `mic` to be one of `message`, and
    /// the name that the context authenticates may log in as the user.
    Mic {
        /// The MIC.
        mic: Bytes,
        /// What it covers.
        message: Bytes,
    },
    /// As `Mic`, but nothing ties the context to this session (section 3.6). To be rejected if the
    /// context has integrity protection, and else best, too.
    Complete,
}

/// What of the method is being decided on.
pub(super) enum Asked {
    Mechanisms(Vec<Bytes>),
    Token {
        rounds: u32,
    },
    ErrorToken,
    /// `Mic` or `Complete`.
    Proof,
}

/// The method begins.
pub(super) fn check(request: &GssapiAuth<'_>) -> Checked {
    let oids: Vec<Bytes> = request
        .oids
        .iter()
        .filter(|oid| is_oid(oid))
        .map(|oid| Bytes::copy_from_slice(oid))
        .collect();
    if oids.is_empty() {
        return Checked::Fail;
    }
    Checked::Ask(
        Attempt::Gssapi(Asked::Mechanisms(oids.clone())),
        AuthMethod::Gssapi(ServerGssapi::Mechanisms(oids)),
    )
}

impl Server {
    /// Takes what the client says while the context is not established.
    pub(super) fn gssapi_message(
        &mut self,
        number: u8,
        payload: &[u8],
        awaited: Awaited,
        restrictions: Restrictions,
    ) -> Result<ServerAsk, Error> {
        let (asked, said) = match (awaited, number) {
            (Awaited::GssapiToken { rounds }, number::USERAUTH_GSSAPI_TOKEN) => {
                let UserauthGssapiToken { token } = decode(payload)?;
                let token = Bytes::copy_from_slice(token);
                (Asked::Token { rounds }, ServerGssapi::Token(token))
            }
            // Our last token may be what its mechanism fails at.
            (_, number::USERAUTH_GSSAPI_ERRTOK) => {
                let UserauthGssapiErrtok { token } = decode(payload)?;
                let token = Bytes::copy_from_slice(token);
                (Asked::ErrorToken, ServerGssapi::ErrorToken(token))
            }
            (Awaited::GssapiProof, number::USERAUTH_GSSAPI_MIC) => {
                let UserauthGssapiMic { mic } = decode(payload)?;
                let user = self.user.as_deref().unwrap_or_default();
                let said = ServerGssapi::Mic {
                    mic: Bytes::copy_from_slice(mic),
                    message: gssapi_mic_data(&self.session_id, user).into(),
                };
                (Asked::Proof, said)
            }
            (Awaited::GssapiProof, number::USERAUTH_GSSAPI_EXCHANGE_COMPLETE) => {
                let UserauthGssapiExchangeComplete {} = decode(payload)?;
                (Asked::Proof, ServerGssapi::Complete)
            }
            _ => return Err(unexpected(number)),
        };
        self.ask_on(
            Attempt::Gssapi(asked),
            AuthMethod::Gssapi(said),
            restrictions,
        )
    }

    /// Answers the offer with the mechanism to use, one of those offered.
    pub(crate) fn select_mechanism(&mut self, oid: &[u8], out: &mut Outbox) -> Result<(), Error> {
        match &self.state {
            State::Request {
                attempt: Attempt::Gssapi(Asked::Mechanisms(offered)),
                ..
            } if offered.iter().any(|offered| offered == oid) => {}
            _ => return Err(ApiMisuse::WrongAnswer.into()),
        }
        self.await_next(Awaited::GssapiToken { rounds: 0 });
        out.push(&UserauthGssapiResponse { oid });
        Ok(())
    }

    /// Answers a token with another; the context is not established yet.
    pub(crate) fn continue_context(&mut self, token: &[u8], out: &mut Outbox) -> Result<(), Error> {
        let rounds = self.token_rounds()?;
        if rounds >= MAX_AUTH_ROUNDS {
            return Err(ApiMisuse::WrongAnswer.into());
        }
        check_token(Some(token))?;
        let rounds = rounds.saturating_add(1);
        self.await_next(Awaited::GssapiToken { rounds });
        out.push(&UserauthGssapiToken { token });
        Ok(())
    }

    /// Answers a token with the last one, if there is one: the context is established.
    pub(crate) fn context_established(
        &mut self,
        token: Option<&[u8]>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.token_rounds()?;
        check_token(token)?;
        self.await_next(Awaited::GssapiProof);
        if let Some(token) = token {
            out.push(&UserauthGssapiToken { token });
        }
        Ok(())
    }

    /// Answers a token with what is wrong about it, and the failure of the attempt.
    pub(crate) fn context_failed(
        &mut self,
        (major, minor): (u32, u32),
        message: &str,
        error_token: Option<&[u8]>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.token_rounds()?;
        check_token(Some(message.as_bytes()))?;
        check_token(error_token)?;
        out.push(&UserauthGssapiError {
            major,
            minor,
            message: message.as_bytes(),
            language: b"",
        });
        if let Some(token) = error_token {
            out.push(&UserauthGssapiErrtok { token });
        }
        self.fail(true, out)
    }

    /// How often a token was answered with another.
    fn token_rounds(&self) -> Result<u32, ApiMisuse> {
        match self.state {
            State::Request {
                attempt: Attempt::Gssapi(Asked::Token { rounds }),
                ..
            } => Ok(rounds),
            _ => Err(ApiMisuse::WrongAnswer),
        }
    }

    fn await_next(&mut self, awaited: Awaited) {
        if let State::Request { restrictions, .. } = &mut self.state {
            let restrictions = mem::take(restrictions);
            self.state = State::Exchange {
                awaited,
                restrictions,
            };
        }
    }
}

fn check_token(token: Option<&[u8]>) -> Result<(), ApiMisuse> {
    match token {
        Some(token) if token.len() > MAX_AUTH_TEXT => Err(ApiMisuse::InvalidText),
        _ => Ok(()),
    }
}
