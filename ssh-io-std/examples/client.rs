//! A client with the command line of OpenSSH's `ssh`: it stands in for it in `sftp -S`, `GIT_SSH_COMMAND` and `rsync -e`.
//!
//! `client [-p port] [-l user] [-i key] [-o Option=value] [user@]host [command]`

#[path = "client/agent.rs"]
mod agent;
#[path = "client/certified.rs"]
mod certified;
#[path = "common/files.rs"]
mod files;
#[path = "client/fingerprint.rs"]
mod fingerprint;
#[path = "client/forward.rs"]
mod forward;
#[path = "client/handler.rs"]
mod handler;
#[path = "client/host.rs"]
mod host;
#[path = "client/log.rs"]
mod log;
#[path = "client/login.rs"]
mod login;
#[path = "client/options.rs"]
mod options;
#[path = "client/output.rs"]
mod output;
#[path = "client/pattern.rs"]
mod pattern;
#[path = "client/prompt.rs"]
mod prompt;
#[path = "common/provider.rs"]
mod provider;
#[path = "client/query.rs"]
mod query;
#[path = "client/relay.rs"]
mod relay;
#[path = "common/revoked.rs"]
mod revoked;
#[path = "client/signals.rs"]
mod signals;
#[path = "client/terminal.rs"]
mod terminal;
#[path = "client/update.rs"]
mod update;
#[path = "client/x11.rs"]
mod x11;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;

use ssh_io_std::{Client, ClientError, KnownHostsFiles, KnownHostsProblem};
use ssh_proto::crypto::CryptoProvider;
use ssh_proto::{ClientConfig, Limits};

use self::forward::Forwarding;
use self::handler::{Handler, Shared};
use self::host::{Judge, Trust};
use self::login::Login;
use self::options::{Options, Task};
use self::prompt::Asker;
use self::relay::Relay;
use self::update::HostKeys;

fn main() -> ExitCode {
    let words: Result<Vec<_>, _> = env::args_os().skip(1).map(OsString::into_string).collect();
    let task = words
        .map_err(|word| format!("argument {word:?} is not UTF-8"))
        .and_then(|words| Options::parse(words.into_iter()));
    let status = match task {
        Ok(Task::Query(what)) => query(&what).map(|()| 0),
        Ok(Task::Help) => print(&options::usage()).map(|()| 0),
        Ok(Task::Connect(options)) => connect(&options),
        Err(error) => Err(error.into()),
    };
    ExitCode::from(status.unwrap_or_else(|error| {
        log::error(error.to_string());
        255
    }))
}

fn connect(options: &Options) -> Result<u8, Box<dyn Error>> {
    log::init(options.verbosity, options.log_file.as_deref())?;
    for keyword in &options.ignored {
        log::debug(format!("{keyword} has no effect in this client"));
    }
    let provider = provider()?;
    let known_as = options.known_as()?;
    let known = KnownHostsFiles::read(options.known_hosts(), &known_as, |file, problem| {
        let text = format!("{}: {problem}", file.display());
        match problem {
            KnownHostsProblem::Line(_) => log::debug(text),
            _ => log::error(text),
        }
    });
    let known = Arc::new(known);
    let config = config(options, &provider, &known)?;
    let batch_mode = options.batch_mode()?;
    let shared = Shared::new(Asker::new(options.password_fd, batch_mode));
    let judge = Judge {
        provider: provider.clone(),
        known: Arc::clone(&known),
        host: known_as.clone(),
        name: options.certified_as(),
        ca_algorithms: ca_algorithms(options, &provider),
        revoked: options.revoked_host_keys(),
        new_hosts: options.new_hosts(),
        host_names: options.host_names()?,
        strictness: options.strictness()?.to_owned(),
        fingerprints: options.fingerprint_hash()?,
        draws: options.draws_host_key()?,
        asker: Asker::new(None, batch_mode),
    };
    let user = options.user()?;
    let mut login = Login::new(options, provider, shared.clone())?;
    let handler = Handler {
        judge,
        shared: shared.clone(),
        login: format!("{user}@{}", options.host),
        warns: options.warns_of_weak_crypto()?,
    };

    let socket = dial(options)?;
    let mut client = Client::over(socket, &user, &config, handler)?;
    while let Err(error) = client.authenticate_with(|turn| login.choose(turn)) {
        match error {
            // Not with this key or password; the next may do.
            ClientError::Unusable(misuse) => log::debug(format!("Not tried: {misuse}")),
            ClientError::NotAuthenticated { methods } => {
                let (host, methods) = (&options.host, methods.join(","));
                return Err(format!("{user}@{host}: Permission denied ({methods}).").into());
            }
            error => return Err(error.into()),
        }
    }
    let state = shared.state();
    let shown = state.binding.as_ref().map(|binding| &binding.host_key);
    // A host that is known by a certificate needs no other keys.
    let shown = shown.filter(|key| !key.is_certificate());
    let host_keys = match (options.update_host_keys()?, options.new_hosts(), shown) {
        (mode @ ("yes" | "ask"), Some(file), Some(shown)) if state.trust == Trust::Full => {
            Some(HostKeys {
                known,
                shown: shown.clone(),
                host: known_as,
                file,
                names: options.host_names()?,
                asker: (mode == "ask").then(|| Asker::new(None, batch_mode)),
            })
        }
        _ => None,
    };
    let forwarding = Forwarding::new(options, state.binding.clone(), state.trust)?;
    drop(state);
    Relay::new(client.into_driver(), options, forwarding, host_keys)?.run()
}

fn dial(options: &Options) -> Result<TcpStream, Box<dyn Error>> {
    let (host, port) = (options.hostname(), options.port()?);
    let failed = |error| format!("ssh: connect to host {host} port {port}: {error}");
    let addresses = (&*host, port)
        .to_socket_addrs()
        .map_err(|error| format!("ssh: Could not resolve hostname {host}: {error}"))?
        .filter(|address| match options.family {
            Some(4) => address.is_ipv4(),
            Some(6) => address.is_ipv6(),
            _ => true,
        });
    let mut last = failed("no address".into());
    for address in addresses {
        log::debug(format!(
            "Connecting to {host} [{}] port {port}.",
            address.ip()
        ));
        let connected = match options.connect_timeout()? {
            Some(timeout) if !timeout.is_zero() => TcpStream::connect_timeout(&address, timeout),
            _ => TcpStream::connect(address),
        };
        match connected {
            Ok(socket) => return Ok(socket),
            Err(error) => last = failed(error.to_string()),
        }
    }
    Err(last.into())
}

fn config(
    options: &Options,
    provider: &CryptoProvider,
    known: &KnownHostsFiles,
) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let mut limits = Limits::for_clients();
    if let Some(timeout) = options.connect_timeout()?.filter(|time| !time.is_zero()) {
        limits.handshake_timeout = Some(timeout);
    }
    (limits.keepalive_interval, limits.keepalive_max) = options.server_alive()?;
    // A server that is told to replace its keys after each 64 KiB is no attack.
    limits.peer_rekeys = 10_000;
    let (bytes, age) = options.rekey_limit()?;
    limits.rekey_bytes = bytes.unwrap_or(limits.rekey_bytes);
    limits.rekey_age = age.or(limits.rekey_age);

    let mut config = ClientConfig::builder(provider.clone())
        .limits(limits)
        .obscure_keystroke_timing(options.keystroke_interval()?);
    if let Some(list) = options.list("kexalgorithms") {
        config = config.kex([list]);
    }
    if let Some(list) = options.list("ciphers") {
        config = config.ciphers([list]);
    }
    if let Some(list) = options.list("macs") {
        config = config.macs([list]);
    }
    if let Some(list) = options.list("pubkeyacceptedalgorithms") {
        config = config.public_key_algorithms([list]);
    }
    if let Some(bits) = options.required_rsa_size()? {
        config = config.min_rsa_bits(bits);
    }
    if options.compression()? {
        config = config.compression(["^zlib@openssh.com"]);
    }
    let host_keys = options.list("hostkeyalgorithms");
    // First those of which a key is known, lest the host shows another; unless the list says what
    // comes first.
    if host_keys.is_none_or(|list| list.starts_with(['+', '-'])) {
        let offered: Vec<_> = provider.signatures.iter().map(|a| a.name()).collect();
        config = config.host_key_algorithms(known.entries().host_key_algorithms(&offered));
    }
    if let Some(list) = host_keys {
        config = config.host_key_algorithms([list]);
    }
    Ok(config.build()?)
}

/// The algorithms by which authorities of hosts may have signed.
fn ca_algorithms(options: &Options, provider: &CryptoProvider) -> Vec<String> {
    let plain = provider.signatures.iter().map(|a| a.name());
    let plain = plain.filter(|name| !name.contains("-cert") && !name.contains("webauthn"));
    let admitted = options.ca_algorithms(plain.collect());
    admitted.into_iter().map(str::to_owned).collect()
}

/// The provider that the environment names.
fn provider() -> Result<CryptoProvider, String> {
    match env::var("SSH_PROTO_PROVIDER") {
        Ok(name) => provider::by_name(&name).map_err(|e| format!("SSH_PROTO_PROVIDER: {e}")),
        Err(_) => provider::by_name("rustcrypto"),
    }
}

fn query(what: &str) -> Result<(), Box<dyn Error>> {
    let names = query::query(what, &provider()?)?;
    print(&format!("{}\n", names.join("\n")))
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
