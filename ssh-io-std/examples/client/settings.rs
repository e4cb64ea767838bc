//! The options by what they mean: the values of keywords, checked, with their defaults.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use ssh_io_std::HostNames;
use ssh_proto::keys::HostPort;

use super::{Forward, Options, Result};
use crate::fingerprint::FingerprintHash;
use crate::pattern;

impl Options {
    /// Whether a keyword of `yes` or `no` says yes.
    fn says(&self, keyword: &str, default: bool) -> Result<bool> {
        match self.value(keyword).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("yes" | "true") => Ok(true),
            Some("no" | "false") => Ok(false),
            Some(other) => Err(format!("bad yes/no argument \"{other}\" of {keyword}")),
        }
    }

    pub(crate) fn user(&self) -> Result<String> {
        let named = self.value("user").map(str::to_owned);
        named
            .or_else(account)
            .ok_or_else(|| "no user name: use -l".into())
    }

    /// The host to connect to.
    pub(crate) fn hostname(&self) -> String {
        match self.value("hostname") {
            Some(name) => name.replace("%h", &self.host),
            None => self.host.clone(),
        }
    }

    pub(crate) fn port(&self) -> Result<u16> {
        match self.value("port") {
            Some(text) => match number("port", text)? {
                0 => Err("bad port \"0\"".into()),
                port => Ok(port),
            },
            None => Ok(22),
        }
    }

    /// The name under which the host's key is known.
    pub(crate) fn known_as(&self) -> Result<HostPort> {
        let port = match self.value("hostkeyalias") {
            Some(_) => 22,
            None => self.port()?,
        };
        HostPort::new(&self.certified_as(), port).map_err(|error| error.to_string())
    }

    /// The name that a certificate of the host has to name.
    pub(crate) fn certified_as(&self) -> String {
        let alias = self.value("hostkeyalias").map(str::to_owned);
        alias.unwrap_or_else(|| self.hostname())
    }

    /// Files of known hosts: the user's, then the system's.
    pub(crate) fn known_hosts(&self) -> Vec<PathBuf> {
        let user = self
            .value("userknownhostsfile")
            .unwrap_or("~/.ssh/known_hosts ~/.ssh/known_hosts2");
        let system = self
            .value("globalknownhostsfile")
            .unwrap_or("/etc/ssh/ssh_known_hosts");
        let files = user
            .split_ascii_whitespace()
            .chain(system.split_ascii_whitespace());
        files
            .filter(|file| *file != "none")
            .map(|file| self.path(file))
            .collect()
    }

    /// The file that new host keys are added to.
    pub(crate) fn new_hosts(&self) -> Option<PathBuf> {
        let files = self
            .value("userknownhostsfile")
            .unwrap_or("~/.ssh/known_hosts");
        let first = files.split_ascii_whitespace().next()?;
        (first != "none").then(|| self.path(first))
    }

    /// `StrictHostKeyChecking`: yes, accept-new, no or ask.
    pub(crate) fn strictness(&self) -> Result<&str> {
        match self.value("stricthostkeychecking") {
            None => Ok("ask"),
            Some(value @ ("yes" | "accept-new" | "no" | "ask")) => Ok(value),
            Some("off") => Ok("no"),
            Some(other) => Err(format!("bad StrictHostKeyChecking \"{other}\"")),
        }
    }

    /// Private keys to try, and whether they were asked for.
    pub(crate) fn identities(&self) -> (Vec<PathBuf>, bool) {
        let named: Vec<_> = self
            .several("identityfile")
            .map(|file| self.path(file))
            .collect();
        if !named.is_empty() {
            return (named, true);
        }
        let defaults = ["~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"];
        (
            defaults.into_iter().map(|file| self.path(file)).collect(),
            false,
        )
    }

    /// Certificates of private keys.
    pub(crate) fn certificates(&self) -> Vec<PathBuf> {
        self.several("certificatefile")
            .filter(|file| *file != "none")
            .map(|file| self.path(file))
            .collect()
    }

    /// How new hosts are written down.
    pub(crate) fn host_names(&self) -> Result<HostNames> {
        Ok(match self.says("hashknownhosts", false)? {
            true => HostNames::Hashed,
            false => HostNames::Plain,
        })
    }

    /// The file of host keys that are not taken.
    pub(crate) fn revoked_host_keys(&self) -> Option<PathBuf> {
        let file = self.value("revokedhostkeys")?;
        (file != "none").then(|| self.path(file))
    }

    pub(crate) fn fingerprint_hash(&self) -> Result<FingerprintHash> {
        match self
            .value("fingerprinthash")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None | Some("sha256") => Ok(FingerprintHash::Sha256),
            Some("md5") => Ok(FingerprintHash::Md5),
            Some(other) => Err(format!("unsupported FingerprintHash \"{other}\"")),
        }
    }

    /// Whether the fingerprint of the host key is drawn, too.
    pub(crate) fn draws_host_key(&self) -> Result<bool> {
        self.says("visualhostkey", false)
    }

    pub(crate) fn compression(&self) -> Result<bool> {
        self.says("compression", false)
    }

    /// The shortest RSA keys that are taken, in bits, where that is not the default.
    pub(crate) fn required_rsa_size(&self) -> Result<Option<usize>> {
        self.value("requiredrsasize")
            .map(|text| number("RequiredRSASize", text))
            .transpose()
    }

    /// Whether the user is told of a key exchange that quantum computers could undo.
    pub(crate) fn warns_of_weak_crypto(&self) -> Result<bool> {
        match self.value("warnweakcrypto") {
            Some("no-pq-kex") => Ok(false),
            _ => self.says("warnweakcrypto", true),
        }
    }

    /// The algorithms by which authorities may have signed, of those that there are.
    pub(crate) fn ca_algorithms<'a>(&'a self, default: Vec<&'a str>) -> Vec<&'a str> {
        let Some(list) = self.value("casignaturealgorithms") else {
            return default;
        };
        let names = || list.trim_start_matches(['+', '-', '^']).split(',');
        match list.as_bytes().first() {
            Some(b'+') => default.into_iter().chain(names()).collect(),
            Some(b'^') => names().chain(default).collect(),
            Some(b'-') => {
                let is_left = |name: &&str| !pattern::list_matches(names(), name);
                default.into_iter().filter(is_left).collect()
            }
            _ => names().collect(),
        }
    }

    pub(crate) fn list(&self, keyword: &str) -> Option<&str> {
        self.value(keyword)
    }

    pub(crate) fn batch_mode(&self) -> Result<bool> {
        self.says("batchmode", false)
    }

    pub(crate) fn password_prompts(&self) -> Result<u32> {
        self.value("numberofpasswordprompts")
            .map_or(Ok(3), |text| number("NumberOfPasswordPrompts", text))
    }

    /// The methods to try, in order.
    pub(crate) fn methods(&self) -> Result<Vec<String>> {
        let preferred = self
            .value("preferredauthentications")
            .unwrap_or("gssapi-with-mic,publickey,keyboard-interactive,password");
        let (keys, prompts, passwords) = (
            self.says("pubkeyauthentication", true)?,
            self.says("kbdinteractiveauthentication", true)?,
            self.says("passwordauthentication", true)?,
        );
        #[cfg(feature = "gssapi")]
        let tickets = self.delegation()?.is_some();
        let wanted = |method: &&str| match *method {
            #[cfg(feature = "gssapi")]
            "gssapi-with-mic" => tickets,
            "publickey" => keys,
            "keyboard-interactive" => prompts,
            "password" => passwords,
            _ => false,
        };
        Ok(preferred
            .split(',')
            .filter(wanted)
            .map(str::to_owned)
            .collect())
    }

    /// Whether tickets are delegated, where they are used.
    #[cfg(feature = "gssapi")]
    pub(crate) fn delegation(&self) -> Result<Option<bool>> {
        let delegate = self.says("gssapidelegatecredentials", false)?;
        Ok(self
            .says("gssapiauthentication", false)?
            .then_some(delegate))
    }

    /// Whether keys of the agent are left out that are not those of `IdentityFile`.
    pub(crate) fn identities_only(&self) -> Result<bool> {
        self.says("identitiesonly", false)
    }

    /// The socket of the agent whose keys are tried.
    pub(crate) fn agent(&self) -> Option<PathBuf> {
        match self.value("identityagent") {
            None | Some("SSH_AUTH_SOCK") => ssh_io_std::agent_path(),
            Some("none") => None,
            Some(text) => self.socket(text),
        }
    }

    /// The socket of the agent that is forwarded.
    pub(crate) fn forwarded_agent(&self) -> Option<PathBuf> {
        match self.value("forwardagent") {
            None | Some("no" | "false") => None,
            Some("yes" | "true") => self.agent(),
            Some(text) => self.socket(text),
        }
    }

    /// A path, or the variable that has it.
    fn socket(&self, text: &str) -> Option<PathBuf> {
        match text.strip_prefix('$') {
            Some(name) => env::var_os(name.trim_matches(['{', '}'])).map(Into::into),
            None => Some(self.path(text)),
        }
    }

    /// What is to be forwarded.
    pub(crate) fn forwards(&self) -> Result<&[Forward]> {
        match self.says("clearallforwardings", self.stdio.is_some())? {
            true => Ok(&[]),
            false => Ok(&self.forwards),
        }
    }

    pub(crate) fn exit_on_forward_failure(&self) -> Result<bool> {
        self.says("exitonforwardfailure", self.stdio.is_some())
    }

    /// Whether ports of this side are open to other hosts, where nothing else is said.
    pub(crate) fn gateway_ports(&self) -> Result<bool> {
        self.says("gatewayports", false)
    }

    /// Whether a socket that is in the way of a listener is removed.
    pub(crate) fn unlinks_sockets(&self) -> Result<bool> {
        self.says("streamlocalbindunlink", false)
    }

    /// Whether the display is forwarded; the program that knows its cookie.
    pub(crate) fn forwarded_display(&self) -> Result<Option<&str>> {
        // Both are forwarded as OpenSSH forwards to those that are trusted.
        self.says("forwardx11trusted", true)?;
        let program = self.value("xauthlocation").unwrap_or("xauth");
        Ok(self.says("forwardx11", false)?.then_some(program))
    }

    /// `UpdateHostKeys`: yes, no or ask.
    pub(crate) fn update_host_keys(&self) -> Result<&str> {
        match self.value("updatehostkeys") {
            // As in OpenSSH, files that were named for the occasion are left alone.
            None if self.value("userknownhostsfile").is_some() => Ok("no"),
            None => Ok("yes"),
            Some(value @ ("yes" | "no" | "ask")) => Ok(value),
            Some(other) => Err(format!("bad UpdateHostKeys \"{other}\"")),
        }
    }

    /// The interval of `ObscureKeystrokeTiming`, if keystrokes are obscured.
    pub(crate) fn keystroke_interval(&self) -> Result<Option<Duration>> {
        let millis = match self.value("obscurekeystroketiming") {
            None | Some("yes") => 20,
            Some("no") => return Ok(None),
            Some(text) => match text.strip_prefix("interval:") {
                Some(interval) => number("ObscureKeystrokeTiming", interval)?,
                None => return Err(format!("bad ObscureKeystrokeTiming \"{text}\"")),
            },
        };
        Ok(Some(Duration::from_millis(millis)))
    }

    pub(crate) fn connect_timeout(&self) -> Result<Option<Duration>> {
        self.value("connecttimeout")
            .filter(|text| *text != "none")
            .map(|text| time("ConnectTimeout", text))
            .transpose()
    }

    pub(crate) fn server_alive(&self) -> Result<(Option<Duration>, u32)> {
        let interval = self
            .value("serveraliveinterval")
            .map(|text| time("ServerAliveInterval", text))
            .transpose()?;
        let most = self
            .value("serveralivecountmax")
            .map_or(Ok(3), |text| number("ServerAliveCountMax", text))?;
        Ok((interval.filter(|interval| !interval.is_zero()), most))
    }

    /// Bytes and age at which keys are replaced, where they are not the defaults.
    pub(crate) fn rekey_limit(&self) -> Result<(Option<u64>, Option<Duration>)> {
        let Some(text) = self.value("rekeylimit") else {
            return Ok((None, None));
        };
        let mut words = text.split_ascii_whitespace();
        let bytes = match words.next() {
            None | Some("default" | "none") => None,
            Some(text) => {
                let (digits, factor) = match text.as_bytes() {
                    [.., b'K' | b'k'] => (&text[..text.len() - 1], 1 << 10),
                    [.., b'M' | b'm'] => (&text[..text.len() - 1], 1 << 20),
                    [.., b'G' | b'g'] => (&text[..text.len() - 1], 1 << 30),
                    _ => (text, 1),
                };
                let bytes = number::<u64>("RekeyLimit", digits)?;
                Some(bytes.checked_mul(factor).ok_or("RekeyLimit is too large")?)
            }
        };
        let age = words
            .next()
            .filter(|text| *text != "none")
            .map(|text| time("RekeyLimit", text))
            .transpose()?;
        Ok((bytes.filter(|bytes| *bytes > 0), age))
    }

    /// Variables for the command: those of ours that match `SendEnv`, and those of `SetEnv`.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let patterns: Vec<_> = self
            .several("sendenv")
            .flat_map(str::split_ascii_whitespace)
            .collect();
        let ours = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut variables: Vec<_> = ours
            .filter(|(name, _)| pattern::list_matches(patterns.iter().copied(), name))
            .collect();
        for pair in self.several("setenv").flat_map(str::split_ascii_whitespace) {
            if let Some((name, value)) = pair.split_once('=') {
                variables.push((name.to_owned(), value.trim_matches('"').to_owned()));
            }
        }
        variables
    }

    /// 0 as needed, -1 never, 1 if there is a terminal, 2 in any case.
    pub(crate) fn request_tty(&self) -> i8 {
        match (self.tty, self.value("requesttty")) {
            (0, Some("yes")) => 1,
            (0, Some("force")) => 2,
            (0, Some("no")) => -1,
            (tty, _) => tty,
        }
    }
}

/// The name of the account that runs this.
fn account() -> Option<String> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ours = accounts
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid));
    let name = ours.and_then(|line| line.split(':').next());
    name.map(str::to_owned).or_else(|| env::var("USER").ok())
}

pub(super) fn number<N: std::str::FromStr>(what: &str, text: &str) -> Result<N> {
    text.parse()
        .map_err(|_| format!("bad number \"{text}\" of {what}"))
}

/// Seconds, or OpenSSH's `1h30m`.
fn time(what: &str, text: &str) -> Result<Duration> {
    let bad = || format!("bad time \"{text}\" of {what}");
    let (mut total, mut digits) = (0u64, String::new());
    for letter in text.chars().chain(std::iter::once('s')) {
        let unit = match letter.to_ascii_lowercase() {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(bad()),
        };
        if !digits.is_empty() {
            let count: u64 = digits.parse().map_err(|_| bad())?;
            total = count
                .checked_mul(unit)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(bad)?;
            digits.clear();
        }
    }
    Ok(Duration::from_secs(total))
}
