//! `keyboard-interactive` (RFC 4256): rounds of prompts and answers.

use alloc::vec::Vec;

use super::{Attempt, Client, ClientAsk, State, count_round, shown};
use crate::auth::password::hiding_padding;
use crate::auth::{Password, Prompt, Prompts};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::limits::{MAX_AUTH_TEXT, MAX_PASSWORD};
use crate::wire::auth::{
    AuthMethod as WireMethod, KeyboardInteractiveAuth, UserauthInfoRequest, UserauthInfoResponse,
};
use crate::wire::outbox::Outbox;

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dialog {
    rounds: u32,
    answered: bool,
}

impl Dialog {
    /// Whether any prompt was answered.
    pub(super) fn has_answered(self) -> bool {
        self.answered
    }
}

impl Client {
    /// Begins `keyboard-interactive`; `submethods` is a hint, mostly empty. `InvalidText` if it is
    /// too long or has control characters.
    pub(crate) fn keyboard_interactive(
        &mut self,
        submethods: &str,
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        self.expect_turn()?;
        if submethods.len() > MAX_AUTH_TEXT || submethods.contains(char::is_control) {
            return Err(ApiMisuse::InvalidText);
        }
        let method = WireMethod::KeyboardInteractive(KeyboardInteractiveAuth {
            language: b"",
            submethods: submethods.as_bytes(),
        });
        out.push(&self.request(method));
        self.state = State::Sent(Attempt::KeyboardInteractive(Dialog::default()));
        Ok(())
    }

    /// The server asks, perhaps nothing: that is a round too.
    pub(super) fn info_request(
        &mut self,
        request: UserauthInfoRequest<'_>,
    ) -> Result<ClientAsk, Error> {
        let State::Sent(Attempt::KeyboardInteractive(dialog)) = &self.state else {
            return Err(PeerMisbehaved::UnsolicitedAuthReply.into());
        };
        let mut dialog = *dialog;
        count_round(&mut dialog.rounds)?;
        self.state = State::Prompts(dialog, request.prompts.len());
        let prompts: Vec<_> = request
            .prompts
            .iter()
            .map(|(text, echo)| Prompt::new(shown(text), *echo))
            .collect();
        Ok(ClientAsk::Prompts(Prompts::new(
            shown(request.name),
            shown(request.instruction),
            prompts,
        )))
    }

    /// Answers [`ClientAsk::Prompts`], each prompt in its order. `InvalidText` if there are more
    /// or fewer answers than prompts, or they are too long, one or all together; the question
    /// then stays.
    pub(crate) fn answer_prompts(
        &mut self,
        responses: &[Password],
        out: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        /// Upper bound of number and count, and of each length.
        const FRAMING: usize = 8;
        let State::Prompts(dialog, count) = &self.state else {
            return Err(ApiMisuse::WrongAnswer);
        };
        let size: usize = responses
            .iter()
            .map(|response| FRAMING.saturating_add(response.as_bytes().len()))
            .fold(FRAMING, usize::saturating_add);
        if responses.len() != *count
            || size > MAX_AUTH_TEXT
            || responses.iter().any(|r| r.as_bytes().len() > MAX_PASSWORD)
        {
            return Err(ApiMisuse::InvalidText);
        }
        let dialog = Dialog {
            answered: dialog.answered || *count > 0,
            ..*dialog
        };
        let padding = hiding_padding(responses.iter().map(|r| r.as_bytes().len()));
        let responses = responses.iter().map(Password::as_bytes).collect();
        out.push_padded(&UserauthInfoResponse { responses }, size, padding);
        self.state = State::Sent(Attempt::KeyboardInteractive(dialog));
        Ok(())
    }
}
