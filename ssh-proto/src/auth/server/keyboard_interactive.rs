//! The server's `keyboard-interactive` (RFC 4256): rounds of prompts as the application wants them, and answers in their number.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem;

use super::{Attempt, AuthMethod, Awaited, Checked, Password, Server, ServerAsk, State};
use crate::auth::{Prompts, Restrictions};
use crate::error::{ApiMisuse, DecodeError, Error};
use crate::limits::{MAX_AUTH_ROUNDS, MAX_AUTH_TEXT, MAX_PASSWORD, MAX_PEER_TEXT, MAX_PROMPTS};
use crate::text::Escaped;
use crate::wire::auth::{KeyboardInteractiveAuth, UserauthInfoRequest, UserauthInfoResponse};
use crate::wire::decode;
use crate::wire::outbox::Outbox;

/// The method begins.
pub(super) fn check(request: &KeyboardInteractiveAuth<'_>) -> Checked {
    let submethods = request.submethods;
    let shown = submethods.get(..MAX_PEER_TEXT).unwrap_or(submethods);
    Checked::Ask(
        Attempt::KeyboardInteractive { rounds: 0 },
        AuthMethod::KeyboardInteractive {
            submethods: Escaped(shown).to_string(),
        },
    )
}

/// The answers to so many prompts; `None` where they are not as many, or one is too long.
fn responses(payload: &[u8], prompts: usize) -> Result<Option<Vec<Password>>, Error> {
    let responses = match decode::<UserauthInfoResponse<'_>>(payload) {
        Ok(message) => message.responses,
        // A count beyond every bound is a wrong count, whatever follows it.
        Err(Error::InvalidMessage {
            error: DecodeError::TooMany,
            ..
        }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fits = responses.len() == prompts && responses.iter().all(|r| r.len() <= MAX_PASSWORD);
    Ok(fits.then(|| responses.into_iter().map(Password::new).collect()))
}

impl Server {
    /// Takes the answers to a round. Wrong in number they fail unasked (RFC 4256 section 3.4).
    pub(super) fn info_response(
        &mut self,
        payload: &[u8],
        prompts: usize,
        rounds: u32,
        restrictions: Restrictions,
        out: &mut Outbox,
    ) -> Result<Option<ServerAsk>, Error> {
        let Some(responses) = responses(payload, prompts)? else {
            self.fail(true, out)?;
            return Ok(None);
        };
        let attempt = Attempt::KeyboardInteractive { rounds };
        let method = AuthMethod::KeyboardInteractiveResponses(responses);
        self.ask_on(attempt, method, restrictions).map(Some)
    }

    /// Answers the beginning, or a round, with a round of prompts.
    pub(crate) fn prompt(&mut self, prompts: &Prompts, out: &mut Outbox) -> Result<(), Error> {
        let State::Request {
            attempt: Attempt::KeyboardInteractive { rounds },
            restrictions,
            ..
        } = &mut self.state
        else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if *rounds >= MAX_AUTH_ROUNDS {
            return Err(ApiMisuse::WrongAnswer.into());
        }
        let texts = prompts.prompts.iter().map(|prompt| prompt.text.len());
        let length = texts.fold(
            prompts.name.len().saturating_add(prompts.instruction.len()),
            usize::saturating_add,
        );
        if prompts.prompts.len() > MAX_PROMPTS || length > MAX_AUTH_TEXT {
            return Err(ApiMisuse::InvalidText.into());
        }
        let awaited = Awaited::Responses {
            prompts: prompts.prompts.len(),
            rounds: rounds.saturating_add(1),
        };
        let restrictions = mem::take(restrictions);
        self.state = State::Exchange {
            awaited,
            restrictions,
        };
        out.push(&UserauthInfoRequest {
            name: prompts.name.as_bytes(),
            instruction: prompts.instruction.as_bytes(),
            language: b"",
            prompts: prompts
                .prompts
                .iter()
                .map(|prompt| (prompt.text.as_bytes(), prompt.echo))
                .collect(),
        });
        Ok(())
    }
}
