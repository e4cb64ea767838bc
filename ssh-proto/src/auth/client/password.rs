//! `password`, with its change on demand (RFC 4252 section 8).

use super::{Attempt, AuthOutcome, Client, ClientAsk, State, shown};
use crate::auth::Password;
use crate::auth::password::hiding_padding;
use crate::error::{ApiMisuse, Error};
use crate::limits::MAX_PASSWORD;
use crate::wire::auth::{AuthMethod as WireMethod, PasswordAuth, UserauthPasswdChangereq};
use crate::wire::outbox::Outbox;

impl Client {
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
        let lengths = [Some(password), new_password].into_iter().flatten();
        let padding = hiding_padding(lengths.map(<[u8]>::len));
        out.push_padded(&request, size_hint, padding);
        self.state = State::Sent(Attempt::Password);
        Ok(())
    }

    /// The password has to be changed.
    pub(super) fn password_change_required(
        &mut self,
        demand: UserauthPasswdChangereq<'_>,
    ) -> Result<ClientAsk, Error> {
        // Counted, so that a server cannot ask for ever.
        self.count_failure()?;
        let prompt = shown(demand.prompt);
        Ok(self.turn(AuthOutcome::PasswordChangeRequired { prompt }))
    }
}
