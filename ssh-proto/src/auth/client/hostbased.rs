//! `hostbased` (RFC 4252 section 9): the client's host vouches for its user.

use alloc::borrow::ToOwned;

use super::signing::{Purpose, Signing};
use super::{Client, ClientAsk};
use crate::crypto::{PublicKey, SigningKey};
use crate::error::{ApiMisuse, Error};
use crate::wire::outbox::Outbox;

impl Client {
    /// Tries a host key in memory. Besides the errors of `publickey`, `InvalidText` for names that
    /// are too long or have control characters.
    pub(crate) fn hostbased(
        &mut self,
        key: &dyn SigningKey,
        client_host: &str,
        client_user: &str,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let purpose = self.hostbased_purpose(client_host, client_user)?;
        self.sign_and_send(key, purpose, out)
    }

    /// Tries a host key that signs elsewhere: [`ClientAsk::Sign`] comes at once, since there is no
    /// query.
    pub(crate) fn hostbased_remote(
        &mut self,
        key: &PublicKey,
        client_host: &str,
        client_user: &str,
    ) -> Result<ClientAsk, ApiMisuse> {
        let purpose = self.hostbased_purpose(client_host, client_user)?;
        let signing = Signing {
            algorithm: self.algorithm_for(key)?,
            key: key.clone(),
            purpose,
        };
        Ok(self.ask_to_sign(signing))
    }

    fn hostbased_purpose(
        &self,
        client_host: &str,
        client_user: &str,
    ) -> Result<Purpose, ApiMisuse> {
        self.expect_turn()?;
        // A host name has 255 bytes at most, as many as a user name by default.
        let is_name =
            |name: &str| name.len() <= self.user_name_limit && !name.contains(char::is_control);
        match is_name(client_host) && is_name(client_user) {
            true => Ok(Purpose::Hostbased {
                client_host: client_host.to_owned(),
                client_user: client_user.to_owned(),
            }),
            false => Err(ApiMisuse::InvalidText),
        }
    }
}
