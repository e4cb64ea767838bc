//! The command line and the config file: OpenSSH's flags and keywords, where the first value given counts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use crate::pattern;

/// What is to be done.
pub(crate) enum Task {
    /// Log in, and what follows.
    Connect(Box<Options>),
    /// Print the names of `kex`, `cipher`, `mac` or `key`.
    Query(String),
}

/// The options in force.
pub(crate) struct Options {
    /// As given on the command line.
    pub(crate) host: String,
    /// The words of the command, joined by spaces; empty for a shell.
    pub(crate) command: String,
    /// 0 for errors alone with `-q`, 1 as usual, 2 and above with `-v`.
    pub(crate) verbosity: u8,
    pub(crate) log_file: Option<PathBuf>,
    /// 0 as needed, 1 with `-t`, 2 with `-tt`, -1 with `-T`.
    pub(crate) tty: i8,
    pub(crate) subsystem: bool,
    pub(crate) no_stdin: bool,
    pub(crate) no_command: bool,
    /// 4 or 6, where only such addresses may be used.
    pub(crate) family: Option<u8>,
    pub(crate) password_fd: Option<i32>,
    /// By keyword in lower case, in the order given.
    values: HashMap<String, Vec<String>>,
    /// Keywords without effect here.
    pub(crate) ignored: Vec<String>,
}

/// Keywords that have an effect.
const USED: &[&str] = &[
    "batchmode",
    "bindaddress",
    "ciphers",
    "connecttimeout",
    "globalknownhostsfile",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityfile",
    "kexalgorithms",
    "loglevel",
    "macs",
    "numberofpasswordprompts",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "rekeylimit",
    "requesttty",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "setenv",
    "stricthostkeychecking",
    "user",
    "userknownhostsfile",
];

/// OpenSSH's other keywords: taken, and without effect.
const OTHERS: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "bindinterface",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "casignaturealgorithms",
    "certificatefile",
    "channeltimeout",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "identityagent",
    "ignoreunknown",
    "include",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "knownhostscommand",
    "localcommand",
    "localforward",
    "logverbose",
    "nohostauthenticationforlocalhost",
    "obscurekeystroketiming",
    "permitlocalcommand",
    "permitremoteopen",
    "pkcs11provider",
    "proxyusefdpass",
    "refuseconnection",
    "remotecommand",
    "remoteforward",
    "requiredrsasize",
    "revokedhostkeys",
    "securitykeyprovider",
    "sessiontype",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
    // Former names.
    "challengeresponseauthentication",
    "pubkeyacceptedkeytypes",
    "hostbasedkeytypes",
];

/// Keywords of which every value counts.
const SEVERAL: &[&str] = &["identityfile", "sendenv", "setenv"];

/// Flags that are OpenSSH's, but not of this client yet.
const LATER: &str = "ACDIJLMORSWXYbfgwBPkyGK";

type Result<T> = std::result::Result<T, String>;

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Task> {
        let mut options = Self {
            host: String::new(),
            command: String::new(),
            verbosity: 1,
            log_file: None,
            tty: 0,
            subsystem: false,
            no_stdin: false,
            no_command: false,
            family: None,
            password_fd: None,
            values: HashMap::new(),
            ignored: Vec::new(),
        };
        let mut config = None;
        let mut verbose = 0;
        let mut words = Vec::new();
        let mut arguments = arguments.peekable();
        let mut flags_end = false;
        while let Some(argument) = arguments.next() {
            let is_flag = argument.len() > 1 && argument.starts_with('-') && !flags_end;
            if !is_flag {
                if options.host.is_empty() {
                    options.take_destination(&argument)?;
                    continue;
                }
                words.push(argument);
                words.extend(arguments.by_ref());
                break;
            }
            if argument == "--" {
                flags_end = true;
                continue;
            }
            if argument == "--password-fd" {
                let fd = arguments.next().ok_or("--password-fd needs a number")?;
                options.password_fd = Some(number("--password-fd", &fd)?);
                continue;
            }
            if argument.starts_with("--") {
                return Err(format!("unknown option {argument}"));
            }
            let mut flags = argument[1..].chars();
            while let Some(flag) = flags.next() {
                let mut value = || match flags.as_str() {
                    "" => arguments
                        .next()
                        .ok_or(format!("option -{flag} needs an argument")),
                    attached => {
                        let attached = attached.to_owned();
                        flags = "".chars();
                        Ok(attached)
                    }
                };
                match flag {
                    'p' => options.set("port", &value()?)?,
                    'l' => options.set("user", &value()?)?,
                    'i' => options.set("identityfile", &value()?)?,
                    'c' => options.set("ciphers", &value()?)?,
                    'm' => options.set("macs", &value()?)?,
                    'o' => options.set_line(&value()?)?,
                    'F' => config = Some(value()?),
                    'E' => options.log_file = Some(value()?.into()),
                    'Q' => return Ok(Task::Query(value()?)),
                    't' => options.tty = (options.tty.max(0) + 1).min(2),
                    'T' => options.tty = -1,
                    's' => options.subsystem = true,
                    'n' => options.no_stdin = true,
                    'N' => options.no_command = true,
                    'q' => options.verbosity = 0,
                    'v' => verbose += 1,
                    '4' => options.family = Some(4),
                    '6' => options.family = Some(6),
                    // There are no escape characters, and nothing is forwarded.
                    'e' => drop(value()?),
                    'a' | 'x' => {}
                    _ if LATER.contains(flag) => {
                        return Err(format!(
                            "option -{flag} is not supported by this client yet"
                        ));
                    }
                    _ => return Err(format!("unknown option -{flag}")),
                }
            }
        }
        if options.host.is_empty() {
            return Err("usage: client [-p port] [-l user] [-i key] [-o Option=value] [user@]host [command]".into());
        }
        options.command = words.join(" ");
        if options.subsystem && options.command.is_empty() {
            return Err("option -s needs the name of a subsystem".into());
        }
        match config.as_deref() {
            Some("none") => {}
            Some(file) => options.read_config(Path::new(file), true)?,
            None => {
                if let Some(home) = home() {
                    options.read_config(&home.join(".ssh/config"), false)?;
                }
                options.read_config(Path::new("/etc/ssh/ssh_config"), false)?;
            }
        }
        if let Some(level) = options.value("loglevel") {
            let level = match level.to_ascii_lowercase().as_str() {
                "quiet" | "fatal" | "error" => 0,
                "info" => 1,
                "verbose" | "debug" | "debug1" => 2,
                "debug2" | "debug3" => 3,
                other => return Err(format!("unsupported log level \"{other}\"")),
            };
            options.verbosity = options.verbosity.min(level).max(level.saturating_sub(1));
        }
        if verbose > 0 {
            options.verbosity = 1 + verbose;
        }
        Ok(Task::Connect(Box::new(options)))
    }

    /// `[user@]host` or `ssh://[user@]host[:port]`.
    fn take_destination(&mut self, text: &str) -> Result<()> {
        let (rest, is_uri) = match text.strip_prefix("ssh://") {
            Some(rest) => (rest.trim_end_matches('/'), true),
            None => (text, false),
        };
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let mut host = host;
        if is_uri {
            let after_bracket = host.rfind(']').unwrap_or(0);
            if let Some(colon) = host[after_bracket..].rfind(':') {
                let (name, port) = host.split_at(after_bracket + colon);
                self.set("port", &port[1..])?;
                host = name;
            }
            host = host.trim_start_matches('[').trim_end_matches(']');
        }
        if let Some(user) = user {
            self.set("user", user)?;
        }
        if host.is_empty() || host.starts_with('-') {
            return Err(format!("bad host name \"{host}\""));
        }
        self.host = host.to_owned();
        Ok(())
    }

    /// `Keyword=value` or `Keyword value`.
    fn set_line(&mut self, line: &str) -> Result<()> {
        let split = line.find(|c: char| c == '=' || c.is_ascii_whitespace());
        let (keyword, value) = line.split_at(split.unwrap_or(line.len()));
        let value = value.trim_ascii_start();
        let value = value.strip_prefix('=').unwrap_or(value).trim_ascii();
        let value = match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
            Some(inner) if !inner.contains('"') => inner,
            _ => value,
        };
        self.set(keyword, value)
    }

    fn set(&mut self, keyword: &str, value: &str) -> Result<()> {
        let name = keyword.to_ascii_lowercase();
        if value.is_empty() {
            return Err(format!("no argument after keyword \"{keyword}\""));
        }
        if ["proxycommand", "proxyjump"].contains(&&*name) {
            // To connect directly instead would not be what was asked for.
            return match value.eq_ignore_ascii_case("none") {
                true => Ok(()),
                false => Err(format!("{keyword} is not supported by this client yet")),
            };
        }
        if OTHERS.contains(&&*name) {
            self.ignored.push(keyword.to_owned());
            return Ok(());
        }
        if !USED.contains(&&*name) {
            return Err(format!("bad configuration option: {keyword}"));
        }
        let several = SEVERAL.contains(&&*name);
        let values = self.values.entry(name).or_default();
        if values.is_empty() || several {
            values.push(value.to_owned());
        }
        Ok(())
    }

    fn read_config(&mut self, path: &Path, required: bool) -> Result<()> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if required => return Err(format!("{}: {error}", path.display())),
            Err(_) => return Ok(()),
        };
        let mut applies = true;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |error| format!("{} line {}: {error}", path.display(), number + 1);
            let split = line.find(|c: char| c == '=' || c.is_ascii_whitespace());
            let (keyword, rest) = line.split_at(split.unwrap_or(line.len()));
            let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_ascii_whitespace());
            if keyword.eq_ignore_ascii_case("host") {
                applies = pattern::list_matches(rest.split_ascii_whitespace(), &self.host);
            } else if keyword.eq_ignore_ascii_case("match") {
                applies = rest.eq_ignore_ascii_case("all");
                if !applies {
                    self.ignored.push(format!("Match {rest}"));
                }
            } else if applies {
                self.set_line(line).map_err(at)?;
            }
        }
        Ok(())
    }

    fn value(&self, keyword: &str) -> Option<&str> {
        self.values.get(keyword)?.first().map(String::as_str)
    }

    fn several(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.values
            .get(keyword)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

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
        match self.value("user") {
            Some(user) => Ok(user.to_owned()),
            None => env::var("USER")
                .or_else(|_| env::var("LOGNAME"))
                .map_err(|_| "no user name: use -l".into()),
        }
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
    pub(crate) fn known_as(&self) -> Result<String> {
        if let Some(alias) = self.value("hostkeyalias") {
            return Ok(alias.to_ascii_lowercase());
        }
        let host = self.hostname().to_ascii_lowercase();
        Ok(match self.port()? {
            22 => host,
            port => format!("[{host}]:{port}"),
        })
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
        let defaults = ["~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"];
        (
            defaults.into_iter().map(|file| self.path(file)).collect(),
            false,
        )
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
            .unwrap_or("publickey,password");
        let (keys, passwords) = (
            self.says("pubkeyauthentication", true)?,
            self.says("passwordauthentication", true)?,
        );
        let wanted = |method: &&str| match *method {
            "publickey" => keys,
            "password" => passwords,
            _ => false,
        };
        Ok(preferred
            .split(',')
            .filter(wanted)
            .map(str::to_owned)
            .collect())
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

    /// A path with `~` and OpenSSH's tokens replaced.
    fn path(&self, text: &str) -> PathBuf {
        let home = home().unwrap_or_default();
        let user = self.user().unwrap_or_default();
        let text = text
            .replace("%d", &home.to_string_lossy())
            .replace("%h", &self.hostname())
            .replace("%r", &user)
            .replace("%%", "%");
        match text.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None => text.into(),
        }
    }
}

pub(crate) fn home() -> Option<PathBuf> {
    env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
}

fn number<N: std::str::FromStr>(what: &str, text: &str) -> Result<N> {
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
