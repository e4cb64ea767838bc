//! A server that a real user can log in to: `server --listen 127.0.0.1:2222 --user me --password secret --allow-all`.
//!
//! The library does the work; what is here is policy, processes and terminals. Started as root,
//! it becomes the account that logs in, and stays root only for users of `--user` who have none;
//! otherwise everything runs as the account that started it.

#[path = "server/account.rs"]
mod account;
#[path = "server/args.rs"]
mod args;
#[path = "server/authorized_keys.rs"]
mod authorized_keys;
#[path = "server/child.rs"]
mod child;
#[path = "server/connection.rs"]
mod connection;
#[path = "server/environment.rs"]
mod environment;
#[path = "common/files.rs"]
mod files;
#[path = "server/host_keys.rs"]
mod host_keys;
#[path = "server/inetd.rs"]
mod inetd;
#[path = "server/log.rs"]
mod log;
#[path = "server/login.rs"]
mod login;
#[path = "server/methods.rs"]
mod methods;
#[path = "server/places.rs"]
mod places;
#[path = "server/process.rs"]
mod process;
#[path = "common/provider.rs"]
mod provider;
#[path = "server/pty.rs"]
mod pty;
#[path = "common/revoked.rs"]
mod revoked;
#[path = "server/session.rs"]
mod session;
#[path = "server/x11.rs"]
mod x11;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ssh_io_std::{Incoming, Listener};
use ssh_proto::{Limits, ServerConfig};

use crate::args::Args;
use crate::connection::Site;
use crate::log::Log;

/// Connections at once, so that none of them can use up all descriptors.
const MAX_CONNECTIONS: usize = 1000;

/// Sessions at once on one connection, unless the command line says otherwise.
const MAX_SESSIONS: usize = 64;

/// Old tools have no other key exchange; it comes behind the library's defaults.
const MORE_KEX: &str = "+diffie-hellman-group16-sha512,diffie-hellman-group14-sha256";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args = Args::parse(env::args_os().skip(1))?;
    if args.help {
        print!("{}", args::USAGE);
        return Ok(());
    }
    let log = match args.inetd {
        true => inetd::log(args.log.as_deref()),
        false => Log::open(args.log.as_deref()),
    };
    let log = log.map_err(|error| format!("--log: {error}"))?;
    if args.logins.available().is_empty() {
        log.line(format_args!(
            "nobody can log in: no --user, --authorized-keys, --trusted-user-ca or --gssapi is given"
        ));
    }
    let config = configure(&args)?;
    if args.inetd {
        let site = Site {
            logins: args.logins,
            permits: args.permits,
        };
        return inetd::serve(&config, &site, &log).map_err(|error| error.to_string());
    }
    let mut listener = Listener::bind(&args.listen, config)
        .map_err(|error| format!("--listen {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Whoever started us waits for this line.
    println!("listening {address}");
    io::stdout().flush().map_err(|error| error.to_string())?;
    let site = Arc::new(Site {
        logins: args.logins,
        permits: args.permits,
    });
    let open = Arc::new(());
    loop {
        let served = listener.accept().and_then(|incoming| {
            if Arc::strong_count(&open) > MAX_CONNECTIONS {
                incoming.refuse();
                return Err(io::Error::other("too many connections"));
            }
            serve(incoming, Arc::clone(&site), &log, Arc::clone(&open))
        });
        if let Err(error) = served {
            log.line(format_args!("a connection is refused: {error}"));
        }
    }
}

/// Serves a connection in a thread of its own.
fn serve(incoming: Incoming, site: Arc<Site>, log: &Log, open: Arc<()>) -> io::Result<()> {
    let log = log.about(incoming.peer_addr());
    thread::Builder::new().spawn(move || {
        let peer = incoming.peer_addr();
        let served = incoming
            .stream()
            .local_addr()
            .and_then(|own| connection::serve(incoming.accept()?, Some((peer, own)), &site, &log));
        if let Err(error) = served {
            log.line(format_args!("ended: {error}"));
        }
        drop(open);
    })?;
    Ok(())
}

/// What the library needs to know of the command line.
fn configure(args: &Args) -> Result<Arc<ServerConfig>, String> {
    let provider = &args.logins.provider;
    let mut builder = ServerConfig::builder(provider.clone())
        .limits(limits(args))
        .auth_methods(args.logins.first_methods())
        .kex([MORE_KEX]);
    for key in host_keys::read(args, provider)? {
        builder = builder.signing_host_key(key);
    }
    if let Some(path) = &args.banner {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("--banner {}: {error}", path.display()))?;
        builder = builder.banner(text);
    }
    if let Some((software, comment)) = &args.version {
        builder = builder.identification(software, comment.as_deref());
    }
    let lists = &args.algorithms;
    if let Some(list) = &lists.kex {
        builder = builder.kex([list]);
    }
    if let Some(list) = &lists.ciphers {
        builder = builder.ciphers([list]);
    }
    if let Some(list) = &lists.macs {
        builder = builder.macs([list]);
    }
    if let Some(list) = &lists.host_keys {
        builder = builder.host_key_algorithms([list]);
    }
    if let Some(list) = &lists.public_keys {
        builder = builder.public_key_algorithms([list]);
    }
    if lists.compression {
        builder = builder.compression(["+zlib@openssh.com"]);
    }
    if let Some(bits) = lists.min_rsa_bits {
        builder = builder.min_rsa_bits(bits);
    }
    builder.build().map_err(|error| error.to_string())
}

fn limits(args: &Args) -> Limits {
    let mut limits = Limits::default();
    // `ssh -o RekeyLimit=1M` on a fast link rekeys many times a second, and whoever is logged in
    // has cheaper ways to keep us busy.
    limits.peer_rekeys = 10_000;
    limits.sessions = args.max_sessions.unwrap_or(MAX_SESSIONS);
    limits.rekey_bytes = args.rekey_bytes.unwrap_or(limits.rekey_bytes);
    limits.rekey_age = args.rekey_age.or(limits.rekey_age);
    limits.auth_failures = args.max_auth.unwrap_or(limits.auth_failures);
    if let Some(grace) = args.login_grace {
        limits.login_grace = (!grace.is_zero()).then_some(grace);
    }
    limits.keepalive_interval = args.keepalive.filter(|interval| !interval.is_zero());
    limits
}
