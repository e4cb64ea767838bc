//! The server's `password`, and the demand to change it (RFC 4252 section 8).

use super::{Attempt, AuthMethod, Checked, Password, Server, State};
use crate::auth::Restrictions;
use crate::error::{ApiMisuse, Error};
use crate::limits::{MAX_AUTH_TEXT, MAX_PASSWORD};
use crate::wire::auth::{PasswordAuth, UserauthPasswdChangereq};
use crate::wire::outbox::Outbox;

impl Server {
    pub(super) fn check_password(&self, request: &PasswordAuth<'_>) -> Checked {
        let too_long = |password: &[u8]| password.len() > MAX_PASSWORD;
        match request.new_password {
            _ if too_long(request.password) => Checked::Fail,
            None => Checked::Ask(
                Attempt::Password,
                AuthMethod::Password(Password::new(request.password)),
            ),
            Some(new) if self.change.is_some() && !too_long(new) => Checked::Ask(
                Attempt::PasswordChange,
                AuthMethod::PasswordChange {
                    old: Password::new(request.password),
                    new: Password::new(new),
                },
            ),
            Some(_) => Checked::Fail,
        }
    }

    /// Answers a password, or a change of it, with the demand for another one.
    pub(crate) fn request_password_change(
        &mut self,
        prompt: &str,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let State::Request {
            attempt: Attempt::Password | Attempt::PasswordChange,
            restrictions,
            ..
        } = &self.state
        else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if prompt.len() > MAX_AUTH_TEXT {
            return Err(ApiMisuse::InvalidText.into());
        }
        self.change
            .get_or_insert_with(Restrictions::default)
            .tighten(restrictions);
        self.state = State::Ready;
        out.push(&UserauthPasswdChangereq {
            prompt: prompt.as_bytes(),
            language: b"",
        });
        Ok(())
    }
}
