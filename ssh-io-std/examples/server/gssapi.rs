//! Logging in with a Kerberos ticket, and keeping the one that comes with it for the user's programs.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, fs};

use ssh_io_std::gssapi::{self, Acceptor, Delegated, Proven};
use ssh_proto::{AuthRequest, ServerConnection};

use crate::log::Log;

/// What a connection has to do with tickets.
#[derive(Default)]
pub(super) struct Tickets {
    acceptor: Option<Acceptor>,
    /// What is to be kept once the login is complete.
    delegated: Option<Delegated>,
    /// The file in which it is, removed when the connection ends.
    cache: Option<PathBuf>,
}

impl Drop for Tickets {
    fn drop(&mut self) {
        if let Some(cache) = &self.cache {
            let _ = fs::remove_file(cache);
        }
    }
}

impl Tickets {
    /// Answers a step of `gssapi-with-mic`. At the end gives the request back, and whether the
    /// ticket is of the user's own principal.
    pub(super) fn step(
        &mut self,
        request: AuthRequest,
        connection: &mut ServerConnection,
        log: &Log,
    ) -> Option<(AuthRequest, bool)> {
        let user = request.user().to_owned();
        match self.answer(request, connection) {
            Ok(proven) => {
                let mut proven = proven?;
                let principal = proven.principal();
                log.line(format_args!("the ticket of {principal:?} for {user:?}"));
                let is_user = proven.is_user();
                self.delegated = proven.take_delegated().filter(|_| is_user);
                Some((proven.into_request(), is_user))
            }
            Err(error) => {
                log.line(format_args!(
                    "refused: gssapi-with-mic for {user:?}: {error}"
                ));
                None
            }
        }
    }

    fn answer(
        &mut self,
        request: AuthRequest,
        connection: &mut ServerConnection,
    ) -> Result<Option<Proven>, gssapi::Error> {
        let acceptor = match &mut self.acceptor {
            Some(acceptor) => acceptor,
            none => none.insert(Acceptor::new("host")?),
        };
        acceptor.answer(connection, request)
    }

    /// Stores what was delegated, for the account that this thread is of by now; the variable
    /// that says where.
    pub(super) fn keep(&mut self, log: &Log) -> Option<(OsString, OsString)> {
        let ticket = self.delegated.take()?;
        match self.store(&ticket) {
            Ok(cache) => Some(("KRB5CCNAME".into(), cache.into())),
            Err(error) => {
                log.line(format_args!("the delegated ticket is lost: {error}"));
                None
            }
        }
    }

    fn store(&mut self, ticket: &Delegated) -> Result<String, Box<dyn Error>> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let name = format!("krb5cc_{:016x}", u64::from_ne_bytes(random));
        let file = self.cache.insert(env::temp_dir().join(name));
        let cache = format!("FILE:{}", file.display());
        ticket.store(&cache)?;
        Ok(cache)
    }
}
