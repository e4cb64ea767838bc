//! The server's answers to authentication (RFC 4252): each answers one token, and one that does not fit refuses.

use super::{ServerConnection, ServerEvent, raise};
use crate::auth::{MethodSet, Prompts, Server};
use crate::engine::side::{AuthProgress, AuthResult, Pause};
use crate::engine::token::{AuthRequest, KeyQuery, UnverifiedAttempt};
use crate::error::{ApiMisuse, Error};
use crate::wire::outbox::Outbox;

impl ServerConnection {
    /// Says whether a signature by the key would be acceptable. Nothing is granted by it.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn answer_key_query(&mut self, query: KeyQuery, usable: bool) -> Result<(), ApiMisuse> {
        self.core
            .answer_auth(query.ticket, Pause::KeyQuery, |side, _, outbox| {
                side.auth()?.answer_query(usable, outbox)?;
                Ok(AuthProgress::Continues)
            })
    }

    /// Verifies the signature. `Auth` follows if it is right; if not, the attempt has failed.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn verify_attempt(&mut self, attempt: UnverifiedAttempt) -> Result<(), ApiMisuse> {
        self.core
            .answer_auth(attempt.ticket, Pause::Unverified, |side, desk, outbox| {
                let asked = side.auth()?.verify(outbox)?;
                Ok(raise(asked, desk))
            })
    }

    /// Refuses the attempt with its signature unverified.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn refuse_attempt(&mut self, attempt: UnverifiedAttempt) -> Result<(), ApiMisuse> {
        self.core
            .answer_auth(attempt.ticket, Pause::Unverified, |side, _, outbox| {
                side.auth()?.refuse(outbox)?;
                Ok(AuthProgress::Continues)
            })
    }

    /// Authenticates the user of the request. `Authenticated` follows.
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer`, and the request is refused, where it is too
    /// early for that: the password was to be changed and is not, no round of
    /// `keyboard-interactive` has passed, `gssapi-with-mic` is not at its end; where the steps
    /// force two commands; or where nobody touched a security key, and the request was not told
    /// that this will do.
    pub fn accept_auth(&mut self, request: AuthRequest) -> Result<(), ApiMisuse> {
        self.grant(request, |auth, outbox| {
            auth.accept(outbox).map(AuthProgress::Authenticated)
        })
    }

    /// Accepts the request as one step of several; `remaining` says what may follow.
    ///
    /// # Errors
    /// As for [`Self::accept_auth`].
    pub fn accept_auth_partially(
        &mut self,
        request: AuthRequest,
        remaining: MethodSet,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| {
            auth.accept_partial(remaining, outbox)
        })
    }

    /// Refuses the request. `methods` that can continue, where they are no longer those of the
    /// config, or of the answer before that named some.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn reject_auth(
        &mut self,
        request: AuthRequest,
        methods: Option<MethodSet>,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| auth.reject(methods, outbox))
    }

    /// As [`Self::reject_auth`], for a user that does not exist. The client sees no difference;
    /// what is told of the connection at its end has it.
    ///
    /// # Errors
    /// What is wrong with the token.
    pub fn reject_unknown_user(
        &mut self,
        request: AuthRequest,
        methods: Option<MethodSet>,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| {
            auth.note_unknown_user();
            auth.reject(methods, outbox)
        })
    }

    /// Answers a password with the demand to change it (RFC 4252 section 8).
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is not one with a password,
    /// `InvalidText` for a prompt above 32000 bytes. The request is then refused.
    pub fn request_password_change(
        &mut self,
        request: AuthRequest,
        prompt: &str,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| {
            auth.request_password_change(prompt, outbox)
        })
    }

    /// Answers `keyboard-interactive`, its beginning or a round of it, with a round of prompts
    /// (RFC 4256 section 3.2); there may be none. `KeyboardInteractiveResponses` follows, unless
    /// the client gives up.
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is of another method, or the
    /// hundredth round has passed, and `InvalidText` for more than 100 prompts or 32000 bytes of
    /// text in all. The request is then refused.
    pub fn prompt_auth(
        &mut self,
        request: AuthRequest,
        prompts: &Prompts,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| auth.prompt(prompts, outbox))
    }

    /// Answers `ServerGssapi::Mechanisms` with the one to use, an OID in DER as it was offered
    /// (RFC 4462 section 3.3).
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is another or the mechanism was
    /// not offered. The request is then refused.
    pub fn select_gssapi_mechanism(
        &mut self,
        request: AuthRequest,
        oid: &[u8],
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| auth.select_mechanism(oid, outbox))
    }

    /// Answers `ServerGssapi::Token` with a token of ours, after which the context needs another
    /// (RFC 4462 section 3.4).
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is another or the hundredth
    /// round has passed, `InvalidText` for more than 32000 bytes. The request is then refused.
    pub fn gssapi_token(&mut self, request: AuthRequest, token: &[u8]) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| auth.continue_context(token, outbox))
    }

    /// Answers `ServerGssapi::Token` with the last token, where there is one: the context is
    /// established (RFC 4462 section 3.4). `Mic` or `Complete` follows.
    ///
    /// # Errors
    /// As for [`Self::gssapi_token`].
    pub fn gssapi_established(
        &mut self,
        request: AuthRequest,
        token: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| {
            auth.context_established(token, outbox)
        })
    }

    /// Answers `ServerGssapi::Token` with a refusal that says why: the status of the mechanism, a
    /// text for people, and its error token, where there is one (RFC 4462 sections 3.8 and 3.9).
    ///
    /// # Errors
    /// What is wrong with the token; `WrongAnswer` if the request is another, `InvalidText` for
    /// more than 32000 bytes of either. The request is refused in any case.
    pub fn gssapi_error(
        &mut self,
        request: AuthRequest,
        major: u32,
        minor: u32,
        message: &str,
        error_token: Option<&[u8]>,
    ) -> Result<(), ApiMisuse> {
        self.go_on(request, |auth, outbox| {
            auth.context_failed((major, minor), message, error_token, outbox)
        })
    }

    /// Gives an answer after which authentication goes on.
    fn go_on(
        &mut self,
        request: AuthRequest,
        answer: impl FnOnce(&mut Server, &mut Outbox) -> Result<(), Error>,
    ) -> Result<(), ApiMisuse> {
        self.grant(request, |auth, outbox| {
            answer(auth, outbox).map(|()| AuthProgress::Continues)
        })
    }

    /// Gives an answer that may not fit the request, which is then refused.
    fn grant(
        &mut self,
        request: AuthRequest,
        answer: impl FnOnce(&mut Server, &mut Outbox) -> AuthResult<ServerEvent>,
    ) -> Result<(), ApiMisuse> {
        let mut answered = Ok(());
        self.core
            .answer_auth(request.ticket, Pause::AuthRequest, |side, _, outbox| {
                let auth = side.auth()?;
                auth.restrict(&request.restrictions);
                if request.permits_absent_touch {
                    auth.permit_absent_touch();
                }
                match answer(auth, outbox) {
                    Err(Error::ApiMisuse(misuse)) => {
                        answered = Err(misuse);
                        auth.reject(None, outbox)?;
                        Ok(AuthProgress::Continues)
                    }
                    other => other,
                }
            })?;
        answered
    }

    /// Sends text to show before authentication (RFC 4252 section 5.4), besides that of the
    /// config.
    ///
    /// # Errors
    /// `WrongAnswer` outside of authentication, `InvalidText` above 32000 bytes.
    pub fn send_banner(&mut self, text: &str) -> Result<(), ApiMisuse> {
        if !self.core.is_authenticating() {
            return Err(ApiMisuse::WrongAnswer);
        }
        let (side, outbox) = self.core.side_mut();
        side.auth
            .as_mut()
            .ok_or(ApiMisuse::WrongAnswer)?
            .banner(text, outbox)
    }
}
