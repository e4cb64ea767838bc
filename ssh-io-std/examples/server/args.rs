//! The server's command line: flags in, a checked value out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ssh_proto::Password;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: server --listen ADDR:PORT [flags]

  --listen ADDR:PORT      where to listen; port 0 takes a free one; `listening ADDR:PORT` is printed
  --host-key FILE         an OpenSSH private key, several times; without one, a throw-away key

Who may log in, each flag several times; without any, nobody:
  --user NAME --password PW    a user and the password
  --authorized-keys FILE       public keys, %u stands for the user name
  --gssapi                     Kerberos tickets of the user's own principal (built with the feature gssapi)

What they may do:
  --exec                  run commands and shells
  --pty                   have a terminal
  --env PATTERN           set variables, several times; LANG and LC_* are always taken
  --allow-all             all of these
  --force-command CMD     runs in place of whatever is asked for

Algorithms, comma separated, also as +LIST -LIST ^LIST:
  --kex --ciphers --macs --hostkey-algs --pubkey-algs LIST

Limits:
  --rekey-bytes N         new keys after this many bytes
  --rekey-seconds N       new keys after this time
  --keepalive N           seconds of silence after which the client must show that it is there
  --max-auth N            failed attempts to log in
  --login-grace N         seconds to log in, 0 for any time
  --max-sessions N        sessions at once on one connection

  --banner FILE           text that is shown before the login
  --version TEXT          software version and comment of the identification
  --log FILE              where the log is appended, in place of standard error
  --help                  this text
";

/// What the command line says.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// Only the usage is wanted.
    pub(crate) help: bool,
    pub(crate) listen: String,
    pub(crate) host_keys: Vec<PathBuf>,
    /// User names with their passwords.
    pub(crate) passwords: Vec<(String, Password)>,
    /// Files of public keys; `%u` stands for the user name.
    pub(crate) authorized_keys: Vec<String>,
    /// Whether Kerberos tickets are taken.
    pub(crate) gssapi: bool,
    pub(crate) permits: Permits,
    pub(crate) algorithms: Algorithms,
    pub(crate) rekey_bytes: Option<u64>,
    pub(crate) rekey_age: Option<Duration>,
    pub(crate) max_auth: Option<u32>,
    /// Zero: no limit.
    pub(crate) login_grace: Option<Duration>,
    pub(crate) banner: Option<PathBuf>,
    /// Software version and comment of the identification.
    pub(crate) version: Option<(String, Option<String>)>,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) max_sessions: Option<usize>,
    pub(crate) log: Option<PathBuf>,
}

/// What users may do once they are logged in.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    pub(crate) exec: bool,
    pub(crate) pty: bool,
    /// Patterns of environment variables that a client may set, besides `LANG` and `LC_*`.
    pub(crate) env: Vec<String>,
    /// Whether a client may set any variable, unless its command is forced.
    pub(crate) env_all: bool,
    /// Run in place of whatever is asked for.
    pub(crate) force_command: Option<OsString>,
}

/// Lists of algorithms as `sshd_config` writes them; `None` leaves the default.
#[derive(Debug, Default)]
pub(crate) struct Algorithms {
    pub(crate) kex: Option<String>,
    pub(crate) ciphers: Option<String>,
    pub(crate) macs: Option<String>,
    pub(crate) host_keys: Option<String>,
    pub(crate) public_keys: Option<String>,
}

/// Flags of features that the library does not have yet.
const LATER: [&str; 10] = [
    "--inetd",
    "--host-cert",
    "--trusted-user-ca",
    "--auth-methods",
    "--sftp",
    "--local-forward",
    "--remote-forward",
    "--unix-forward",
    "--agent",
    "--x11",
];

impl Args {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words.into_iter();
        let mut user = None;
        while let Some(word) = words.next() {
            let flag = word
                .to_str()
                .ok_or_else(|| format!("unknown flag {word:?}"))?;
            let mut raw = || words.next().ok_or_else(|| format!("{flag} needs a value"));
            let mut text = || {
                raw()?
                    .into_string()
                    .map_err(|value| format!("{flag} {value:?} is not UTF-8"))
            };
            if user.is_some() && flag != "--password" {
                return Err(format!("--user needs its --password before {flag}"));
            }
            match flag {
                "--help" => {
                    args.help = true;
                    return Ok(args);
                }
                "--listen" => args.listen = text()?,
                "--host-key" => args.host_keys.push(raw()?.into()),
                "--user" => user = Some(text()?),
                "--password" => {
                    let user = user.take().ok_or("--password needs its --user before it")?;
                    args.passwords.push((user, Password::new(text()?)));
                }
                "--authorized-keys" => args.authorized_keys.push(text()?),
                "--gssapi" if cfg!(feature = "gssapi") => args.gssapi = true,
                "--gssapi" => return Err(format!("{flag} needs the feature gssapi")),
                "--exec" => args.permits.exec = true,
                "--pty" => args.permits.pty = true,
                "--env" => args.permits.env.push(text()?),
                "--allow-all" => {
                    args.permits.exec = true;
                    args.permits.pty = true;
                    args.permits.env_all = true;
                }
                "--force-command" => args.permits.force_command = Some(raw()?),
                "--kex" => args.algorithms.kex = Some(text()?),
                "--ciphers" => args.algorithms.ciphers = Some(text()?),
                "--macs" => args.algorithms.macs = Some(text()?),
                "--hostkey-algs" => args.algorithms.host_keys = Some(text()?),
                "--pubkey-algs" => args.algorithms.public_keys = Some(text()?),
                "--rekey-bytes" => args.rekey_bytes = Some(number(flag, &text()?)?),
                "--rekey-seconds" => args.rekey_age = Some(seconds(flag, &text()?)?),
                "--max-auth" => args.max_auth = Some(number(flag, &text()?)?),
                "--login-grace" => args.login_grace = Some(seconds(flag, &text()?)?),
                "--banner" => args.banner = Some(raw()?.into()),
                "--version" => args.version = Some(identification(&text()?)),
                "--keepalive" => args.keepalive = Some(seconds(flag, &text()?)?),
                "--max-sessions" => args.max_sessions = Some(number(flag, &text()?)?),
                "--log" => args.log = Some(raw()?.into()),
                later if LATER.contains(&later) => {
                    return Err(format!("{later} is not supported yet"));
                }
                unknown => return Err(format!("unknown flag {unknown}")),
            }
        }
        if user.is_some() {
            return Err("--user needs its --password".into());
        }
        if args.listen.is_empty() {
            return Err("--listen ADDR:PORT is needed".into());
        }
        Ok(args)
    }

    /// Whether anyone can log in at all.
    pub(crate) fn has_login(&self) -> bool {
        !self.passwords.is_empty() || !self.authorized_keys.is_empty() || self.gssapi
    }
}

fn number<N: std::str::FromStr>(flag: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{flag} needs a number, not {text:?}"))
}

fn seconds(flag: &str, text: &str) -> Result<Duration, String> {
    number(flag, text).map(Duration::from_secs)
}

fn identification(text: &str) -> (String, Option<String>) {
    let text = text.strip_prefix("SSH-2.0-").unwrap_or(text);
    match text.split_once(' ') {
        Some((software, comment)) => (software.into(), Some(comment.into())),
        None => (text.into(), None),
    }
}

/// Names of a list as `sshd_config` has it: alone, or after `+`, `-` or `^` to append to, take
/// from or put before the defaults.
pub(crate) fn pick(list: &str, defaults: &[&str]) -> Vec<String> {
    let (mode, list) = match list.as_bytes().first() {
        Some(mode @ (b'+' | b'-' | b'^')) => (*mode, &list[1..]),
        _ => (b'=', list),
    };
    let named: Vec<&str> = list.split(',').filter(|name| !name.is_empty()).collect();
    let others = defaults
        .iter()
        .copied()
        .filter(|name| !named.iter().any(|pattern| matches(pattern, name)));
    let picked: Vec<&str> = match mode {
        b'+' => others.chain(named.iter().copied()).collect(),
        b'-' => others.collect(),
        b'^' => named.iter().copied().chain(others).collect(),
        _ => named,
    };
    picked.into_iter().map(Into::into).collect()
}

/// Whether `text` is of the pattern, in which `*` stands for any letters and `?` for one.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where to go on from when what follows the last star does not match.
    let mut star = None;
    while of < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == text[of] => {
                at += 1;
                of += 1;
            }
            _ => match &mut star {
                Some((behind, taken)) => {
                    *taken += 1;
                    (at, of) = (*behind + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_land_where_they_belong() {
        let args = parse(
            "--listen 127.0.0.1:0 --user a --password x --user b --password y --exec --env FOO* \
             --rekey-bytes 1000 --login-grace 0 --version SSH-2.0-Some_1 --authorized-keys /k/%u",
        )
        .unwrap();
        assert_eq!(args.listen, "127.0.0.1:0");
        assert_eq!(args.passwords.len(), 2);
        assert!(args.passwords[1].0 == "b" && args.passwords[1].1.matches(b"y"));
        assert!(args.permits.exec && !args.permits.pty && !args.permits.env_all);
        assert_eq!(args.permits.env, ["FOO*"]);
        assert_eq!(args.rekey_bytes, Some(1000));
        assert_eq!(args.login_grace, Some(Duration::ZERO));
        assert_eq!(args.version, Some(("Some_1".into(), None)));
        assert!(args.has_login());
        assert!(!parse("--listen x:0 --allow-all").unwrap().has_login());
        assert!(parse("--exec --help --frob").unwrap().help);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (line, message) in [
            ("", "--listen ADDR:PORT is needed"),
            ("--listen", "--listen needs a value"),
            ("--listen a:1 --frobnicate", "unknown flag --frobnicate"),
            ("--listen a:1 stray", "unknown flag stray"),
            ("--listen a:1 --sftp", "--sftp is not supported yet"),
            ("--listen a:1 --inetd", "--inetd is not supported yet"),
            (
                "--listen a:1 --max-auth x",
                "--max-auth needs a number, not \"x\"",
            ),
            ("--listen a:1 --user u", "--user needs its --password"),
            ("--password p", "--password needs its --user before it"),
            (
                "--user u --listen a:1",
                "--user needs its --password before --listen",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), message, "{line}");
        }
    }

    #[test]
    fn lists_replace_append_remove_and_promote() {
        let defaults = ["a", "b-1", "b-2"];
        for (list, picked) in [
            ("b-2,a", &["b-2", "a"][..]),
            ("+z", &["a", "b-1", "b-2", "z"]),
            ("-b-*", &["a"]),
            ("^b-2", &["b-2", "a", "b-1"]),
        ] {
            assert_eq!(pick(list, &defaults), picked, "{list}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text) in [
            ("LC_*", "LC_ALL"),
            ("*", ""),
            ("a*b*c", "aXbbXc"),
            ("?", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("LC_*", "XLC_A"), ("", "a"), ("a*b", "abc"), ("?", "")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
