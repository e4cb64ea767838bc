//! Who is logged in, and what a program of theirs finds in its environment.

use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;

use crate::account::Account;
use crate::args::{Permits, matches};

/// Names and values; a later one counts.
pub(crate) type Variables = Vec<(OsString, OsString)>;

/// Who has logged in.
pub(crate) struct User<'a> {
    pub(crate) account: Account,
    /// What the command line permits.
    pub(crate) permits: &'a Permits,
    /// Run in place of whatever is asked for.
    pub(crate) command: Option<OsString>,
    /// What the key brought.
    pub(crate) environment: Variables,
    /// The peer's and ours.
    pub(crate) addresses: Option<(SocketAddr, SocketAddr)>,
}

impl User<'_> {
    /// Whether the client may set this variable.
    pub(crate) fn may_set(&self, name: &[u8]) -> bool {
        let may_all = self.permits.env_all && self.command.is_none();
        may_all || allows_variable(&self.permits.env, name)
    }

    /// What every program finds.
    pub(crate) fn variables(&self) -> Variables {
        let mut variables = fixed_environment(&self.account, self.addresses);
        variables.extend(self.environment.iter().cloned());
        variables
    }
}

/// Whether a client may set this variable.
fn allows_variable(patterns: &[String], name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else {
        return false;
    };
    ["LANG", "LC_*"]
        .into_iter()
        .chain(patterns.iter().map(String::as_str))
        .any(|pattern| matches(pattern, name))
}

/// What every program finds in its environment.
fn fixed_environment(account: &Account, addresses: Option<(SocketAddr, SocketAddr)>) -> Variables {
    let mut variables: Variables = vec![
        ("USER".into(), account.name.clone().into()),
        ("LOGNAME".into(), account.name.clone().into()),
        ("HOME".into(), account.home.clone().into()),
        ("SHELL".into(), account.shell.clone()),
        ("PATH".into(), account.path.clone()),
    ];
    if let Some((peer, own)) = addresses {
        let (client, server) = (peer.ip().to_canonical(), own.ip().to_canonical());
        let (from, to) = (peer.port(), own.port());
        let short = format!("{client} {from} {to}");
        let long = format!("{client} {from} {server} {to}");
        variables.push(("SSH_CLIENT".into(), short.into()));
        variables.push(("SSH_CONNECTION".into(), long.into()));
    }
    variables.extend(env::var_os("TZ").map(|zone| ("TZ".into(), zone)));
    variables
}
