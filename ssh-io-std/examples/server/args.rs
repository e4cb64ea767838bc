//! The server's command line: flags in, a checked value out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::limits::MAX_KEY_LIST;
use ssh_proto::{MethodSet, Password, Permissions};

use crate::login::Logins;
use crate::methods::{MethodLists, name_of};
use crate::{files, provider, revoked};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: server --listen ADDR:PORT [flags]
       server --inetd [flags]

  --listen ADDR:PORT      where to listen; port 0 takes a free one; `listening ADDR:PORT` is printed
  --inetd                 one connection, on standard input and output
  --host-key FILE         a private key of any form, several times; without one, a throw-away key
  --host-cert FILE        an OpenSSH certificate of a host key, several times

Who may log in, each flag several times; without any, nobody:
  --user NAME --password PW    a user and the password
  --authorized-keys FILE       public keys, %u stands for the user name
  --trusted-user-ca FILE       keys of authorities that sign certificates for every user
  --revoked-keys FILE          keys and certificates that are not taken: a KRL, or public keys
  --gssapi                     Kerberos tickets of the user's own principal (built with gssapi)
  --auth-methods LISTS         what a login takes, as \"publickey,password keyboard-interactive\"

What they may do:
  --exec                  run commands and shells
  --pty                   have a terminal
  --env PATTERN           set variables, several times; LANG and LC_* are always taken
  --local-forward         have connections made to TCP ports
  --remote-forward        have the server listen on TCP ports, of this machine only
  --unix-forward          both with UNIX sockets
  --agent                 forward an agent
  --x11                   forward a display
  --allow-all             all of these
  --force-command CMD     runs in place of whatever is asked for

Algorithms, comma separated, also as +LIST -LIST ^LIST:
  --kex --ciphers --macs --hostkey-algs --pubkey-algs LIST
  --compression           zlib@openssh.com, for clients that want it
  --min-rsa-bits N        shorter RSA keys are not taken; 2048
  --provider NAME         rustcrypto; graviola and aws-lc-rs where they are built in

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
    /// Empty with `--inetd`.
    pub(crate) listen: String,
    pub(crate) inetd: bool,
    pub(crate) host_keys: Vec<PathBuf>,
    pub(crate) host_certificates: Vec<PathBuf>,
    pub(crate) logins: Logins,
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

/// What users may do once they are logged in, besides the rights that the connection sees to.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    pub(crate) exec: bool,
    /// Patterns of environment variables that a client may set, besides `LANG` and `LC_*`.
    pub(crate) env: Vec<String>,
    /// Whether a client may set any variable, unless its command is forced.
    pub(crate) env_all: bool,
}

/// Lists of algorithms as `sshd_config` writes them; `None` leaves the default.
#[derive(Debug, Default)]
pub(crate) struct Algorithms {
    pub(crate) kex: Option<String>,
    pub(crate) ciphers: Option<String>,
    pub(crate) macs: Option<String>,
    pub(crate) host_keys: Option<String>,
    pub(crate) public_keys: Option<String>,
    pub(crate) compression: bool,
    pub(crate) min_rsa_bits: Option<usize>,
}

/// Flags of features that the library does not have yet.
const LATER: [&str; 1] = ["--sftp"];

/// What `--allow-all` stands for.
const ALL_RIGHTS: Permissions = Permissions::ALL.without(Permissions::TUN);

const UNIX_FORWARD: Permissions =
    Permissions::DIRECT_STREAMLOCAL.union(Permissions::FORWARDED_STREAMLOCAL);

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
                "--inetd" => args.inetd = true,
                "--host-key" => args.host_keys.push(raw()?.into()),
                "--host-cert" => args.host_certificates.push(raw()?.into()),
                "--user" => user = Some(text()?),
                "--password" => {
                    let user = user.take().ok_or("--password needs its --user before it")?;
                    args.logins.passwords.push((user, Password::new(text()?)));
                }
                "--authorized-keys" => args.logins.authorized_keys.push(text()?),
                "--trusted-user-ca" => {
                    let authorities = read_authorities(Path::new(&raw()?));
                    let authorities = authorities.map_err(|error| format!("{flag} {error}"))?;
                    args.logins.authorities.extend(authorities);
                }
                "--revoked-keys" => {
                    let path = PathBuf::from(raw()?);
                    // Read again at every attempt; what is wrong with it now is told now.
                    revoked::read_list(&path)
                        .map_err(|error| format!("{flag} {}: {error}", path.display()))?;
                    args.logins.revoked_keys.push(path);
                }
                "--gssapi" if cfg!(feature = "gssapi") => args.logins.gssapi = true,
                "--gssapi" => return Err(format!("{flag} needs the feature gssapi")),
                "--auth-methods" => {
                    let lists = MethodLists::parse(&text()?);
                    args.logins.methods = lists.map_err(|error| format!("{flag}: {error}"))?;
                }
                "--exec" => args.permits.exec = true,
                "--pty" => args.logins.permissions |= Permissions::PTY,
                "--local-forward" => args.logins.permissions |= Permissions::DIRECT_TCPIP,
                "--remote-forward" => args.logins.permissions |= Permissions::FORWARDED_TCPIP,
                "--unix-forward" => args.logins.permissions |= UNIX_FORWARD,
                "--agent" => args.logins.permissions |= Permissions::AGENT,
                "--x11" => args.logins.permissions |= Permissions::X11,
                "--env" => args.permits.env.push(text()?),
                "--allow-all" => {
                    args.permits.exec = true;
                    args.logins.permissions |= ALL_RIGHTS;
                    args.permits.env_all = true;
                }
                "--force-command" => args.logins.force_command = Some(raw()?),
                "--kex" => args.algorithms.kex = Some(text()?),
                "--ciphers" => args.algorithms.ciphers = Some(text()?),
                "--macs" => args.algorithms.macs = Some(text()?),
                "--hostkey-algs" => args.algorithms.host_keys = Some(text()?),
                "--pubkey-algs" => args.algorithms.public_keys = Some(text()?),
                "--compression" => args.algorithms.compression = true,
                "--min-rsa-bits" => {
                    args.algorithms.min_rsa_bits = Some(number(flag, &text()?)?);
                }
                "--provider" => {
                    let provider = provider::by_name(&text()?);
                    args.logins.provider = provider.map_err(|error| format!("{flag}: {error}"))?;
                }
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
        match (args.inetd, args.listen.is_empty()) {
            (false, true) => return Err("--listen ADDR:PORT is needed, or --inetd".into()),
            (true, false) => return Err("--listen and --inetd exclude each other".into()),
            _ => {}
        }
        let logins = &args.logins;
        let missing = logins.methods.named().without(logins.available());
        if missing != MethodSet::EMPTY {
            let name = name_of(missing);
            return Err(format!("--auth-methods: nobody can log in by {name}"));
        }
        Ok(args)
    }
}

/// The keys of authorities in a file, one in a line, with comments and empty lines.
fn read_authorities(file: &Path) -> Result<Vec<PublicKey>, String> {
    let bytes = files::read(file, MAX_KEY_LIST as u64);
    let bytes = bytes.map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    lines
        .map(|(number, line)| (number, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(number, line)| {
            match PublicKeyLine::parse(line) {
                Ok(line) if !line.key.is_certificate() => Ok(line.key),
                Ok(_) => Err("a certificate is no authority".into()),
                Err(error) => Err(error.to_string()),
            }
            .map_err(|error: String| format!("{}:{number}: {error}", file.display()))
        })
        .collect()
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
             --rekey-bytes 1000 --login-grace 0 --version SSH-2.0-Some_1 --authorized-keys /k/%u \
             --auth-methods publickey,password --keepalive 3",
        )
        .unwrap();
        assert_eq!(args.listen, "127.0.0.1:0");
        let logins = &args.logins;
        assert_eq!(logins.passwords.len(), 2);
        assert!(logins.passwords[1].0 == "b" && logins.passwords[1].1.matches(b"y"));
        assert!(args.permits.exec && !args.permits.env_all);
        assert_eq!(logins.permissions, Permissions::NONE);
        let lists = MethodLists::parse("publickey,password").unwrap();
        assert_eq!(logins.methods, lists);
        assert_eq!(args.keepalive, Some(Duration::from_secs(3)));
        assert_eq!(args.permits.env, ["FOO*"]);
        assert_eq!(args.rekey_bytes, Some(1000));
        assert_eq!(args.login_grace, Some(Duration::ZERO));
        assert_eq!(args.version, Some(("Some_1".into(), None)));
        let every = MethodSet::default() | MethodSet::KEYBOARD_INTERACTIVE;
        assert_eq!(logins.available(), every);
        let nobody = parse("--listen x:0 --allow-all").unwrap().logins;
        assert_eq!(nobody.available(), MethodSet::EMPTY);
        assert!(parse("--exec --help --frob").unwrap().help);
    }

    #[test]
    fn each_right_has_its_flag() {
        let forward = Permissions::PORT_FORWARDING;
        let tcp = Permissions::DIRECT_TCPIP | Permissions::FORWARDED_TCPIP;
        for (flags, rights) in [
            ("--pty", Permissions::PTY),
            ("--local-forward", Permissions::DIRECT_TCPIP),
            ("--remote-forward", Permissions::FORWARDED_TCPIP),
            ("--unix-forward", forward.without(tcp)),
            ("--agent --x11", Permissions::AGENT | Permissions::X11),
            ("--allow-all", Permissions::ALL.without(Permissions::TUN)),
        ] {
            let args = parse(&format!("--listen x:0 {flags}")).unwrap();
            assert_eq!(args.logins.permissions, rights, "{flags}");
            let all = flags == "--allow-all";
            assert_eq!((args.permits.exec, args.permits.env_all), (all, all));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (line, message) in [
            ("", "--listen ADDR:PORT is needed, or --inetd"),
            ("--listen", "--listen needs a value"),
            ("--listen a:1 --frobnicate", "unknown flag --frobnicate"),
            ("--listen a:1 stray", "unknown flag stray"),
            ("--listen a:1 --sftp", "--sftp is not supported yet"),
            (
                "--listen a:1 --inetd",
                "--listen and --inetd exclude each other",
            ),
            (
                "--listen a:1 --max-auth x",
                "--max-auth needs a number, not \"x\"",
            ),
            (
                "--listen a:1 --auth-methods publickey,pam",
                "--auth-methods: unknown method \"pam\"",
            ),
            (
                "--listen a:1 --auth-methods publickey,password --user u --password p",
                "--auth-methods: nobody can log in by publickey",
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
