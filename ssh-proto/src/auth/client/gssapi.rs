//! `gssapi-with-mic` (RFC 4462 section 3): the tokens of a mechanism that the application drives.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Attempt, Client, ClientAsk, GssapiAsk, State, count_round};
use crate::auth::is_oid;
use crate::auth::signed::gssapi_mic_data;
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::limits::{MAX_AUTH_TEXT, MAX_PROMPTS};
use crate::text::PeerText;
use crate::wire::auth::{
    AuthMethod as WireMethod, GssapiAuth, UserauthGssapiError, UserauthGssapiErrtok,
    UserauthGssapiExchangeComplete, UserauthGssapiMic, UserauthGssapiResponse, UserauthGssapiToken,
};
use crate::wire::outbox::Outbox;
use crate::wire::{decode, number};

/// What the server's side of `gssapi-with-mic` says (RFC 4462 sections 3.3 and 3.4).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GssapiStep {
    /// The mechanism that the server chose, its OID in DER: one of those that were offered. The
    /// context is to be begun.
    Selected(Bytes),
    /// A token for the context.
    Token(Bytes),
}

/// Why the mechanism failed at the server; its refusal follows (RFC 4462 sections 3.8 and 3.9).
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GssapiError {
    /// The status, and what the server says of it.
    Status {
        /// The major status.
        major: u32,
        /// The minor status, of the mechanism.
        minor: u32,
        /// Text for the user.
        message: PeerText,
    },
    /// An error token: the context, if it is handed to it, knows the status.
    Token(Bytes),
}

/// How far an attempt has come.
pub(super) struct Gssapi {
    rounds: u32,
    stage: Stage,
}

enum Stage {
    /// The server is to choose one of these.
    Offered(Vec<Bytes>),
    /// Tokens go to and fro.
    Exchange,
    /// The context is complete; the server judges.
    Complete,
}

impl Gssapi {
    /// Whether the server has been shown a context that is complete.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Complete)
    }
}

impl Client {
    /// Offers mechanisms, in order of preference. `InvalidText` if there is none, there are too
    /// many, or one is not an OID in DER.
    pub(crate) fn gssapi(
        &mut self,
        mechanisms: &[&[u8]],
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.expect_turn()?;
        let count = 1..=MAX_PROMPTS;
        if !count.contains(&mechanisms.len()) || !mechanisms.iter().all(|oid| is_oid(oid)) {
            return Err(ApiMisuse::InvalidText);
        }
        let oids = mechanisms.to_vec();
        out.push(&self.request(WireMethod::GssapiWithMic(GssapiAuth { oids })));
        let offered = mechanisms.iter().map(|oid| Bytes::copy_from_slice(oid));
        self.state = State::Sent(Attempt::Gssapi(Gssapi {
            rounds: 0,
            stage: Stage::Offered(offered.collect()),
        }));
        Ok(())
    }

    /// Takes a message of the method.
    pub(super) fn gssapi_reply(&mut self, number: u8, payload: &[u8]) -> Result<ClientAsk, Error> {
        let State::Sent(Attempt::Gssapi(context)) = &mut self.state else {
            return Err(PeerMisbehaved::UnsolicitedAuthReply.into());
        };
        count_round(&mut context.rounds)?;
        let step = match (&context.stage, number) {
            (Stage::Offered(offered), number::USERAUTH_GSSAPI_RESPONSE) => {
                let UserauthGssapiResponse { oid } = decode(payload)?;
                let chosen = offered.iter().find(|offered| *offered == oid);
                let chosen = chosen.ok_or(PeerMisbehaved::MechanismNotOffered)?;
                GssapiStep::Selected(chosen.clone())
            }
            (Stage::Exchange, number::USERAUTH_GSSAPI_TOKEN) => {
                let UserauthGssapiToken { token } = decode(payload)?;
                GssapiStep::Token(Bytes::copy_from_slice(token))
            }
            (_, number::USERAUTH_GSSAPI_ERROR) => {
                let error: UserauthGssapiError<'_> = decode(payload)?;
                return Ok(ClientAsk::GssapiError(GssapiError::Status {
                    major: error.major,
                    minor: error.minor,
                    message: PeerText::new(error.message),
                }));
            }
            (Stage::Exchange | Stage::Complete, number::USERAUTH_GSSAPI_ERRTOK) => {
                let UserauthGssapiErrtok { token } = decode(payload)?;
                let token = Bytes::copy_from_slice(token);
                return Ok(ClientAsk::GssapiError(GssapiError::Token(token)));
            }
            _ => return Err(PeerMisbehaved::UnsolicitedAuthReply.into()),
        };
        let rounds = context.rounds;
        self.state = State::Gssapi(Gssapi {
            rounds,
            stage: Stage::Exchange,
        });
        let mic_message = gssapi_mic_data(&self.session_id, self.user.as_bytes()).into();
        Ok(ClientAsk::Gssapi(GssapiAsk { step, mic_message }))
    }

    /// Answers [`ClientAsk::Gssapi`] with a token of a context that is not complete.
    /// `InvalidText` if it is too long; the question then stays.
    pub(crate) fn gssapi_token(&mut self, token: &[u8], out: &mut Outbox) -> Result<(), ApiMisuse> {
        let rounds = self.expect_gssapi(&[token])?;
        out.push(&UserauthGssapiToken { token });
        self.state = State::Sent(Attempt::Gssapi(Gssapi {
            rounds,
            stage: Stage::Exchange,
        }));
        Ok(())
    }

    /// Answers [`ClientAsk::Gssapi`]: the context is complete, with its last token if there is
    /// one, and the MIC unless it has no integrity. `InvalidText` if either is too long; the
    /// question then stays.
    pub(crate) fn gssapi_finish(
        &mut self,
        token: Option<&[u8]>,
        mic: Option<&[u8]>,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let both = [token.unwrap_or_default(), mic.unwrap_or_default()];
        let rounds = self.expect_gssapi(&both)?;
        if let Some(token) = token {
            out.push(&UserauthGssapiToken { token });
        }
        match mic {
            Some(mic) => out.push(&UserauthGssapiMic { mic }),
            None => out.push(&UserauthGssapiExchangeComplete {}),
        }
        self.state = State::Sent(Attempt::Gssapi(Gssapi {
            rounds,
            stage: Stage::Complete,
        }));
        Ok(())
    }

    /// Answers [`ClientAsk::Gssapi`]: the context failed. The server is told by an error token,
    /// if there is one, and awaited no more. `InvalidText` if it is too long; the question then
    /// stays.
    pub(crate) fn gssapi_fail(
        &mut self,
        error_token: Option<&[u8]>,
        out: &mut Outbox,
    ) -> Result<ClientAsk, ApiMisuse> {
        self.expect_gssapi(&[error_token.unwrap_or_default()])?;
        if let Some(token) = error_token {
            out.push(&UserauthGssapiErrtok { token });
        }
        self.abandon()
    }

    /// The rounds so far, if the application is asked and these are short enough to be sent.
    fn expect_gssapi(&self, tokens: &[&[u8]]) -> Result<u32, ApiMisuse> {
        let State::Gssapi(context) = &self.state else {
            return Err(ApiMisuse::WrongAnswer);
        };
        match tokens.iter().all(|token| token.len() <= MAX_AUTH_TEXT) {
            true => Ok(context.rounds),
            false => Err(ApiMisuse::InvalidText),
        }
    }
}
