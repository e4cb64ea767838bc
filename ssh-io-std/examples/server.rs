//! A server that a real user can log in to: `server --listen 127.0.0.1:2222 --user me --password secret --allow-all`.
//!
//! The library does the work; what is here is policy, processes and terminals. Started as root,
//! it becomes the account that logs in; otherwise everything runs as the account that started it.

#[path = "server/account.rs"]
mod account;
#[path = "server/args.rs"]
mod args;
#[path = "server/child.rs"]
mod child;
#[path = "server/log.rs"]
mod log;
#[path = "server/login.rs"]
mod login;
#[path = "server/process.rs"]
mod process;
#[path = "server/pty.rs"]
mod pty;
#[path = "server/session.rs"]
mod session;

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ssh_io_std::OsRandom;
use ssh_proto::crypto::{CryptoProvider, SigningKey, rustcrypto};
use ssh_proto::keys::PrivateKeyFile;
use ssh_proto::{Limits, MethodSet, ServerConfig};

use crate::args::Args;
use crate::log::Log;
use crate::login::Logins;
use crate::session::Site;

/// Connections at once, so that none of them can use up all descriptors.
const MAX_CONNECTIONS: usize = 1000;

/// Sessions at once on one connection, unless the command line says otherwise.
const MAX_SESSIONS: usize = 64;

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
    let log = match Log::open(args.log.as_deref()) {
        Ok(log) => log,
        Err(error) => return Err(format!("--log: {error}")),
    };
    if !args.has_login() {
        eprintln!("server: nobody can log in: no --user, --authorized-keys or --gssapi is given");
    }
    let config = configure(&args)?;
    let listener = TcpListener::bind(&args.listen)
        .map_err(|error| format!("--listen {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Whoever started us waits for this line.
    println!("listening {address}");
    io::stdout().flush().map_err(|error| error.to_string())?;
    let site = Arc::new(Site {
        config,
        logins: Logins {
            passwords: args.passwords,
            authorized_keys: args.authorized_keys,
        },
        permits: args.permits,
    });
    accept(&listener, &site, &log);
    Ok(())
}

/// Serves each connection in a thread of its own.
fn accept(listener: &TcpListener, site: &Arc<Site>, log: &Log) {
    let open = Arc::new(());
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| match Arc::strong_count(&open) > MAX_CONNECTIONS {
            true => Err(io::Error::other("too many connections")),
            false => serve(stream, Arc::clone(site), log, Arc::clone(&open)),
        });
        if let Err(error) = served {
            log.line(format_args!("a connection is refused: {error}"));
            // Out of descriptors or threads: others need time to give some back.
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn serve(stream: TcpStream, site: Arc<Site>, log: &Log, open: Arc<()>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let log = log.about(stream.peer_addr()?);
    thread::Builder::new().spawn(move || {
        if let Err(error) = session::serve(stream, &site, &log) {
            log.line(format_args!("ended: {error}"));
        }
        drop(open);
    })?;
    Ok(())
}

/// What the library needs to know of the command line.
fn configure(args: &Args) -> Result<Arc<ServerConfig>, String> {
    let provider = rustcrypto::provider();
    let mut methods = MethodSet::EMPTY;
    if !args.authorized_keys.is_empty() {
        methods |= MethodSet::PUBLICKEY;
    }
    if !args.passwords.is_empty() {
        methods |= MethodSet::PASSWORD;
    }
    if args.gssapi {
        methods |= MethodSet::GSSAPI_WITH_MIC;
    }
    let mut builder = ServerConfig::builder(provider.clone())
        .limits(limits(args))
        .auth_methods(methods);
    if args.host_keys.is_empty() {
        let key = provider.keys.generate("ssh-ed25519", &mut OsRandom);
        let key = key.map_err(|error| error.to_string())?;
        let key = provider.signing_key(&key);
        builder = builder.signing_host_key(key.map_err(|error| error.to_string())?);
    }
    for path in &args.host_keys {
        let key = read_host_key(path, &provider)
            .map_err(|error| format!("--host-key {}: {error}", path.display()))?;
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
        let names: Vec<&str> = provider.kex.iter().map(|a| a.name()).collect();
        builder = builder.kex(args::pick(list, &names));
    }
    if let Some(list) = &lists.ciphers {
        let names: Vec<&str> = provider.ciphers.iter().map(|a| a.name()).collect();
        builder = builder.ciphers(args::pick(list, &names));
    }
    if let Some(list) = &lists.macs {
        let names: Vec<&str> = provider.macs.iter().map(|a| a.name()).collect();
        builder = builder.macs(args::pick(list, &names));
    }
    let signatures: Vec<&str> = provider.signatures.iter().map(|a| a.name()).collect();
    if let Some(list) = &lists.host_keys {
        builder = builder.host_key_algorithms(args::pick(list, &signatures));
    }
    if let Some(list) = &lists.public_keys {
        builder = builder.public_key_algorithms(args::pick(list, &signatures));
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

fn read_host_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    let file = fs::read(path).map_err(|error| error.to_string())?;
    let key = PrivateKeyFile::parse(&file).and_then(|file| file.decrypt(None));
    let (key, _) = key.map_err(|error| error.to_string())?;
    provider
        .signing_key(&key)
        .map_err(|error| error.to_string())
}
