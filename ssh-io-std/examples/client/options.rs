//! The command line and the config file: OpenSSH's flags and keywords, where the first value given counts.

#[path = "forward_spec.rs"]
mod forward_spec;
#[path = "keywords.rs"]
mod keywords;
#[path = "settings.rs"]
mod settings;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use ssh_io_std::Target;

pub(crate) use self::forward_spec::{Forward, Listen, Side};
pub(crate) use self::keywords::usage;
use self::keywords::{FORMER, LATER, OTHERS, SEVERAL, USED};
use self::settings::number;
use crate::pattern;

/// What is to be done.
pub(crate) enum Task {
    /// Log in, and what follows.
    Connect(Box<Options>),
    /// Print the names of one list.
    Query(String),
    /// Print the usage.
    Help,
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
    /// Where standard input and output are to be connected to, with `-W`.
    pub(crate) stdio: Option<Target>,
    forwards: Vec<Forward>,
    /// By keyword in lower case, in the order given.
    values: HashMap<String, Vec<String>>,
    /// Keywords without effect here.
    pub(crate) ignored: Vec<String>,
}

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
            stdio: None,
            forwards: Vec::new(),
            values: HashMap::new(),
            ignored: Vec::new(),
        };
        let mut config = None;
        let (mut verbose, mut quiet) = (0, false);
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
            if argument == "--help" {
                return Ok(Task::Help);
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
                    'C' => options.force("compression", "yes"),
                    'L' => options.set("localforward", &value()?)?,
                    'R' => options.set("remoteforward", &value()?)?,
                    'D' => options.set("dynamicforward", &value()?)?,
                    'W' => options.stdio = Some(forward_spec::stdio_target(&value()?)?),
                    'g' => options.force("gatewayports", "yes"),
                    'A' => options.force("forwardagent", "yes"),
                    'a' => options.force("forwardagent", "no"),
                    'X' | 'Y' => options.force("forwardx11", "yes"),
                    'x' => options.force("forwardx11", "no"),
                    'o' => options.set_line(&value()?)?,
                    'F' => config = Some(value()?),
                    'E' => options.log_file = Some(value()?.into()),
                    'Q' => return Ok(Task::Query(value()?)),
                    't' => options.tty = (options.tty.max(0) + 1).min(2),
                    'T' => options.tty = -1,
                    's' => options.subsystem = true,
                    'n' => options.no_stdin = true,
                    'N' => options.no_command = true,
                    'q' => quiet = true,
                    'v' => verbose += 1,
                    '4' => options.family = Some(4),
                    '6' => options.family = Some(6),
                    // There are no escape characters.
                    'e' => drop(value()?),
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
            return Err("no host is given; client --help tells what there is".into());
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
        options.verbosity = match verbose {
            0 if quiet => 0,
            0 => options.log_level()?,
            count => 1 + count,
        };
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
        let mut name = keyword.to_ascii_lowercase();
        if let Some((_, current)) = FORMER.iter().find(|(former, _)| *former == name) {
            name = (*current).to_owned();
        }
        let proxy = ["proxycommand", "proxyjump"].contains(&&*name);
        let used = USED.iter().any(|used| used.eq_ignore_ascii_case(&name));
        let other = !used && OTHERS.contains(&&*name);
        if !proxy && !used && !other {
            if !self.may_be_unknown(&name) {
                return Err(format!("bad configuration option: {keyword}"));
            }
            self.ignored.push(keyword.to_owned());
            return Ok(());
        }
        if value.is_empty() {
            return Err(format!("no argument after keyword \"{keyword}\""));
        }
        if proxy {
            // To connect directly instead would not be what was asked for.
            return match value.eq_ignore_ascii_case("none") {
                true => Ok(()),
                false => Err(format!("{keyword} is not supported by this client yet")),
            };
        }
        if other {
            self.ignored.push(keyword.to_owned());
            return Ok(());
        }
        if let Some(forward) = Forward::of_keyword(&name, value) {
            self.forwards.push(forward?);
            return Ok(());
        }
        let several = SEVERAL.contains(&&*name);
        let values = self.values.entry(name).or_default();
        if values.is_empty() || several {
            values.push(value.to_owned());
        }
        Ok(())
    }

    /// Sets a keyword by a flag, of which the last one counts.
    fn force(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), vec![value.to_owned()]);
    }

    /// Whether `IgnoreUnknown`, as far as it has been read, names this keyword.
    fn may_be_unknown(&self, name: &str) -> bool {
        let patterns = self.value("ignoreunknown").unwrap_or_default();
        let patterns = patterns.to_ascii_lowercase();
        pattern::list_matches(patterns.split(','), name)
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

    fn log_level(&self) -> Result<u8> {
        let Some(level) = self.value("loglevel") else {
            return Ok(1);
        };
        match level.to_ascii_lowercase().as_str() {
            "quiet" | "fatal" | "error" => Ok(0),
            "info" => Ok(1),
            "verbose" | "debug" | "debug1" => Ok(2),
            "debug2" | "debug3" => Ok(3),
            other => Err(format!("unsupported log level \"{other}\"")),
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(line: &str) -> Result<Box<Options>> {
        let words = format!("-F none {line}");
        match Options::parse(words.split(' ').map(|word| word.replace('_', " ")))? {
            Task::Connect(options) => Ok(options),
            Task::Query(_) | Task::Help => Err("nothing to connect to".into()),
        }
    }

    /// As sftp, git and rsync call it.
    #[test]
    fn command_lines_of_programs() {
        let sftp = parse("-oForwardX11_no -oForwardAgent_no -oPermitLocalCommand_no -oClearAllForwardings_yes -l me -s -- host sftp").unwrap();
        assert!(sftp.subsystem);
        assert_eq!(
            (&*sftp.host, &*sftp.command, sftp.user()),
            ("host", "sftp", Ok("me".into()))
        );
        let git = parse("-o SendEnv=GIT_PROTOCOL -p 2222 me@host git-upload-pack_'/repo'").unwrap();
        assert_eq!(
            (git.port(), &*git.command),
            (Ok(2222), "git-upload-pack '/repo'")
        );
        let rsync = parse("-l me host rsync --server -vlogDtpre.iLsfxC . /tmp").unwrap();
        assert_eq!(rsync.command, "rsync --server -vlogDtpre.iLsfxC . /tmp");
        assert_eq!(rsync.verbosity, 1);
    }

    #[test]
    fn flags_before_and_after_the_host() {
        let options = parse("-tvvp22 -4 a@b@host -i key -T uptime -a").unwrap();
        assert_eq!((options.user(), &*options.host), (Ok("a@b".into()), "host"));
        assert_eq!(
            (options.tty, options.verbosity, options.family),
            (-1, 3, Some(4))
        );
        assert_eq!(options.command, "uptime -a");
        assert_eq!(parse("-t -t host").unwrap().request_tty(), 2);
        assert_eq!(parse("-q -oLogLevel=DEBUG host").unwrap().verbosity, 0);
        assert_eq!(parse("-oLogLevel=DEBUG host").unwrap().verbosity, 2);
        let uri = parse("ssh://me@[::1]:2200/").unwrap();
        assert_eq!(
            (&*uri.host, uri.port(), uri.user()),
            ("::1", Ok(2200), Ok("me".into()))
        );
        assert_eq!(uri.known_as().unwrap().as_str(), "[::1]:2200");
    }

    #[test]
    fn the_first_value_counts() {
        let options = parse(
            "-p 1 -o Port=2 -oRekeyLimit=4M_1h30m -o ServerAliveInterval=2m -o batchmode=yes host",
        )
        .unwrap();
        assert_eq!(options.port(), Ok(1));
        assert_eq!(
            options.rekey_limit(),
            Ok((Some(4 << 20), Some(Duration::from_secs(5400))))
        );
        assert_eq!(
            options.server_alive(),
            Ok((Some(Duration::from_secs(120)), 3))
        );
        assert_eq!(options.batch_mode(), Ok(true));
        assert_eq!(
            parse("host").unwrap().methods().unwrap(),
            ["publickey", "keyboard-interactive", "password"]
        );
        let methods = parse("-oPreferredAuthentications=password,hostbased host").unwrap();
        assert_eq!(methods.methods().unwrap(), ["password"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("-Z host", "unknown option -Z"),
            ("-p", "option -p needs an argument"),
            ("-J x host", "option -J is not supported by this client yet"),
            ("-L 1:2 host", "Bad local forwarding specification '1:2'"),
            ("-W host host", "Bad stdio forwarding specification 'host'"),
            ("-o Nonsense=1 host", "bad configuration option: Nonsense"),
            ("-oPort host", "no argument after keyword \"Port\""),
            ("-- -oProxyCommand=x", "bad host name \"-oProxyCommand=x\""),
            ("-s host", "option -s needs the name of a subsystem"),
        ] {
            assert_eq!(parse(line).err().as_deref(), Some(message), "{line}");
        }
        assert!(parse("-p 0 host").unwrap().port().is_err());
        assert!(
            parse("-oStrictHostKeyChecking=maybe host")
                .unwrap()
                .strictness()
                .is_err()
        );
        assert!(parse("").is_err());
    }

    #[test]
    fn unknown_keywords_are_ignored_where_that_is_wanted() {
        let options = parse("-oIgnoreUnknown=Use*,Nonsense -oUseFlux=1 -oNONSENSE host").unwrap();
        assert_eq!(options.ignored, ["UseFlux", "NONSENSE"]);
        for line in [
            "-oNonsense=1 -oIgnoreUnknown=Nonsense host",
            "-oIgnoreUnknown=*,!nonsense -oNonsense=1 host",
        ] {
            assert_eq!(
                parse(line).err().as_deref(),
                Some("bad configuration option: Nonsense")
            );
        }
        let options = parse("-oConnectionAttempts=2 -oBindAddress=::1 host").unwrap();
        assert_eq!(options.ignored, ["ConnectionAttempts", "BindAddress"]);
    }

    #[test]
    fn every_flag_and_keyword_is_in_the_usage() {
        assert!(matches!(
            Options::parse(["-v", "--help"].map(str::to_owned).into_iter()),
            Ok(Task::Help)
        ));
        let usage = usage();
        for keyword in USED {
            assert!(usage.contains(keyword), "{keyword}");
        }
        assert!(usage.lines().all(|line| line.len() <= 100), "{usage}");
    }

    #[test]
    fn config_files_apply_to_their_hosts() {
        let file = env::temp_dir().join(format!("ssh-io-std-config-{}", std::process::id()));
        fs::write(&file, "# comment\nHost other\nPort 1\nHost *.example !no.example\n  Port = 3\n IdentityFile \"~/k\"\nMatch exec x\nPort 4\nHost *\nUser me\nPort 5\n").unwrap();
        let at = |host: &str| {
            let words = ["-F", file.to_str().unwrap(), host].map(str::to_owned);
            match Options::parse(words.into_iter()).unwrap() {
                Task::Connect(options) => (
                    options.port().unwrap(),
                    options.user().unwrap(),
                    options.identities().1,
                ),
                Task::Query(_) | Task::Help => unreachable!(),
            }
        };
        assert_eq!(at("www.example"), (3, "me".into(), true));
        assert_eq!(at("no.example"), (5, "me".into(), false));
        assert_eq!(at("other"), (1, "me".into(), false));
        fs::remove_file(file).unwrap();
    }
}
