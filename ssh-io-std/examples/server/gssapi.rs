//! Logging in with a Kerberos ticket, and keeping the one that comes with it for the user's programs.

use std::error::Error;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::{env, fs};

use ssh_io_std::gssapi::{Acceptor, Delegated, Proven};
use ssh_proto::AuthRequest;

use super::Link;
use crate::account::Account;
use crate::login::Grant;

/// What a connection has to do with tickets.
#[derive(Default)]
pub(super) struct Tickets {
    acceptor: Option<Acceptor>,
    /// Files with delegated tickets, removed when the connection ends.
    caches: Vec<PathBuf>,
}

impl Drop for Tickets {
    fn drop(&mut self) {
        for cache in &self.caches {
            let _ = fs::remove_file(cache);
        }
    }
}

impl Link<'_> {
    /// A step of `gssapi-with-mic`, or its end.
    pub(super) fn log_in_with_ticket(&mut self, request: AuthRequest) {
        let user = request.user().to_owned();
        let mut proven = match self.step(request) {
            Ok(Some(proven)) => proven,
            Ok(None) => return,
            Err(error) => {
                self.log
                    .line(format_args!("refused: a ticket for {user:?}: {error}"));
                return;
            }
        };
        let is_user = proven.is_user();
        let verdict = if is_user { "accepted" } else { "refused" };
        let principal = proven.principal();
        self.log.line(format_args!(
            "{verdict}: the ticket of {principal:?} for {user:?}"
        ));
        if is_user {
            let account = Account::of(&user);
            let mut grant = Grant::default();
            match proven.take_delegated().map(|t| self.keep(&t, &account)) {
                Some(Ok(cache)) => grant.environment.push(("KRB5CCNAME".into(), cache.into())),
                Some(Err(error)) => self
                    .log
                    .line(format_args!("the delegated ticket is lost: {error}")),
                None => {}
            }
            self.login = Some((account, grant));
        }
        let connection = self.driver.connection_mut();
        let _ = match is_user {
            true => connection.accept_auth(proven.into_request()),
            false => connection.reject_auth(proven.into_request(), None),
        };
    }

    fn step(&mut self, request: AuthRequest) -> Result<Option<Proven>, ssh_io_std::gssapi::Error> {
        let acceptor = match &mut self.tickets.acceptor {
            Some(acceptor) => acceptor,
            none => none.insert(Acceptor::new("host")?),
        };
        acceptor.answer(self.driver.connection_mut(), request)
    }

    /// Stores a ticket where only the account can read it; gives the name for `KRB5CCNAME`.
    fn keep(&mut self, ticket: &Delegated, account: &Account) -> Result<String, Box<dyn Error>> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let name = format!("krb5cc_{:016x}", u64::from_ne_bytes(random));
        let file = env::temp_dir().join(name);
        let cache = format!("FILE:{}", file.display());
        self.tickets.caches.push(file.clone());
        ticket.store(&cache)?;
        if let Some(identity) = &account.identity {
            let (uid, gid) = (identity.uid.as_raw(), identity.gid.as_raw());
            chown(file, Some(uid), Some(gid))?;
        }
        Ok(cache)
    }
}
