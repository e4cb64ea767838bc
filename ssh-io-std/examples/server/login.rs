//! Who may log in, and what their key lets them do: passwords of the command line, and `authorized_keys` files (sshd(8)).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use ssh_proto::Password;
use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::PublicKeyLine;

use crate::log::Log;

/// Who may log in.
pub(crate) struct Logins {
    pub(crate) passwords: Vec<(String, Password)>,
    /// Paths; `%u` stands for the user name.
    pub(crate) authorized_keys: Vec<String>,
}

/// What comes with a login. The default is that of a password: no restriction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grant {
    /// Run in place of whatever is asked for.
    pub(crate) command: Option<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) no_pty: bool,
}

impl Logins {
    /// Whether the password is that of the user. Compares with every one, so that the time tells
    /// nothing of which users there are.
    pub(crate) fn password(&self, user: &str, password: &Password) -> Option<Grant> {
        let mut known = false;
        for (name, expected) in &self.passwords {
            known |= password.matches(expected.as_bytes()) & (name == user);
        }
        known.then(Grant::default)
    }

    /// Looks the key up in the files, which are read anew each time.
    pub(crate) fn key(&self, user: &str, key: &PublicKey, log: &Log) -> Option<Grant> {
        if !is_file_name(user) {
            return None;
        }
        self.authorized_keys.iter().find_map(|path| {
            let path = path.replace("%u", user);
            match fs::read(&path) {
                Ok(file) => search(&file, key, |number, reason| {
                    log.line(format_args!("{path}:{number}: refused: {reason}"));
                }),
                Err(error) => {
                    log.line(format_args!("{path}: {error}"));
                    None
                }
            }
        })
    }
}

/// Whether a user name can stand for one part of a path, and nowhere else.
fn is_file_name(user: &str) -> bool {
    !matches!(user, "" | "." | "..") && !user.contains(['/', '\0'])
}

/// What the first usable line with this key grants.
fn search(file: &[u8], key: &PublicKey, mut refused: impl FnMut(usize, String)) -> Option<Grant> {
    for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match parse(line) {
            Ok((grant, listed)) if listed == *key => return Some(grant),
            Ok(_) => {}
            Err(reason) => refused(number, reason),
        }
    }
    None
}

/// One line: options, if there are any, and a key.
fn parse(line: &[u8]) -> Result<(Grant, PublicKey), String> {
    if let Ok(bare) = PublicKeyLine::parse(line) {
        return Ok((Grant::default(), bare.key));
    }
    let (options, rest) = split_options(line)?;
    let grant = parse_options(options)?;
    let line = PublicKeyLine::parse(rest).map_err(|error| error.to_string())?;
    Ok((grant, line.key))
}

/// Splits at the first blank that is not quoted.
fn split_options(line: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' if !escaped => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Ok((&line[..at], line[at..].trim_ascii_start())),
            _ => {}
        }
        escaped = quoted && *byte == b'\\' && !escaped;
    }
    match quoted {
        true => Err("a quote is not closed".into()),
        false => Err("no key".into()),
    }
}

/// Options that this server can honour. Any other refuses the line, for it may restrict.
fn parse_options(mut rest: &[u8]) -> Result<Grant, String> {
    let mut grant = Grant::default();
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b',' | b'='));
        let (name, value) = match end {
            Some(at) if rest[at] == b'=' => {
                let (value, behind) = unquote(&rest[at + 1..])?;
                let name = &rest[..at];
                rest = behind;
                (name, Some(value))
            }
            Some(at) => {
                let name = &rest[..at];
                rest = &rest[at..];
                (name, None)
            }
            None => (std::mem::take(&mut rest), None),
        };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        match (name.as_str(), value) {
            ("command", Some(command)) if grant.command.is_none() => {
                grant.command = Some(OsString::from_vec(command));
            }
            ("environment", Some(setting)) => match setting.iter().position(|byte| *byte == b'=') {
                Some(at) if at > 0 && !setting.contains(&0) => {
                    let (name, value) = (setting[..at].to_vec(), setting[at + 1..].to_vec());
                    let setting = (OsString::from_vec(name), OsString::from_vec(value));
                    grant.environment.push(setting);
                }
                _ => return Err("environment= needs NAME=value".into()),
            },
            ("no-pty" | "restrict", None) => grant.no_pty = true,
            ("pty", None) => grant.no_pty = false,
            // Nothing is forwarded and no rc file is run, whatever these say.
            (
                "no-port-forwarding"
                | "no-agent-forwarding"
                | "no-x11-forwarding"
                | "no-user-rc"
                | "port-forwarding"
                | "agent-forwarding"
                | "x11-forwarding"
                | "user-rc",
                None,
            ) => {}
            (name, _) => return Err(format!("option {:?} is not understood", name)),
        }
        rest = match rest {
            [] => return Ok(grant),
            [b',', behind @ ..] => behind,
            _ => return Err("text behind a quote".into()),
        };
    }
}

/// A value in quotes, in which `\"` is a quote; and what follows it.
fn unquote(text: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut rest = text
        .strip_prefix(b"\"")
        .ok_or("an option's value is not quoted")?;
    let mut value = Vec::new();
    loop {
        rest = match rest {
            [] => return Err("a quote is not closed".into()),
            [b'"', behind @ ..] => return Ok((value, behind)),
            [b'\\', b'"', behind @ ..] => {
                value.push(b'"');
                behind
            }
            [byte, behind @ ..] => {
                value.push(*byte);
                behind
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn key() -> PublicKey {
        let mut bytes = [0; 32];
        for (at, byte) in (0..).zip(&mut bytes) {
            *byte = at;
        }
        PublicKey::ed25519(&bytes)
    }

    fn find(file: &str) -> (Option<Grant>, Vec<(usize, String)>) {
        let mut refused = Vec::new();
        let grant = search(file.as_bytes(), &key(), |number, reason| {
            refused.push((number, reason));
        });
        (grant, refused)
    }

    fn grant(options: &str) -> Grant {
        let (grant, refused) = find(&format!("{options} {KEY} me@example"));
        grant.unwrap_or_else(|| panic!("{options}: {refused:?}"))
    }

    #[test]
    fn plain_lines_are_found_between_comments() {
        let file = format!("# {KEY}\n\n  \t\r\n{KEY} a comment\r\n");
        assert_eq!(find(&file), (Some(Grant::default()), vec![]));
        assert_eq!(find(&format!("# {KEY}\n")), (None, vec![]));
    }

    #[test]
    fn options_are_honoured() {
        assert_eq!(
            grant(r#"command="echo \"a b\", c",no-pty"#),
            Grant {
                command: Some(r#"echo "a b", c"#.into()),
                no_pty: true,
                ..Grant::default()
            }
        );
        assert_eq!(
            grant(r#"environment="A=1",environment="B=x=y""#).environment,
            [("A".into(), "1".into()), ("B".into(), "x=y".into())]
        );
        assert!(grant("restrict").no_pty);
        assert!(!grant("restrict,pty").no_pty);
        assert!(grant("pty,Restrict").no_pty);
        assert_eq!(
            grant("no-port-forwarding,no-X11-forwarding"),
            Grant::default()
        );
    }

    #[test]
    fn a_line_that_is_not_understood_grants_nothing() {
        for options in [
            r#"from="10.0.0.0/8""#,
            "cert-authority",
            "no-pty,frob",
            "command=echo",
            r#"command="a",command="b""#,
            r#"command="open"#,
            r#"command="a"b"#,
            r#"environment="NONE""#,
            r#"environment="=x""#,
            "no-pty=\"yes\"",
            ",",
            "no-pty,",
        ] {
            let (grant, refused) = find(&format!("# one\n{options} {KEY}"));
            assert_eq!(grant, None, "{options}");
            assert_eq!(refused.len(), 1, "{options}");
            assert_eq!(refused[0].0, 2);
        }
    }

    #[test]
    fn a_refused_line_does_not_hide_a_later_one() {
        let (grant, refused) = find(&format!("from=\"x\" {KEY}\n{KEY}"));
        assert_eq!(grant, Some(Grant::default()));
        assert_eq!(refused, [(1, "option \"from\" is not understood".into())]);
    }

    #[test]
    fn a_user_name_cannot_leave_its_place_in_a_path() {
        for name in ["", ".", "..", "../root", "a/b", "/etc", "a\0"] {
            assert!(!is_file_name(name), "{name:?}");
        }
        assert!(is_file_name("ferris"));
    }

    #[test]
    fn passwords_belong_to_their_users() {
        let logins = Logins {
            passwords: vec![
                ("a".into(), Password::new("x")),
                ("b".into(), Password::new("y")),
            ],
            authorized_keys: vec![],
        };
        let try_login = |user, password: &str| logins.password(user, &Password::new(password));
        assert!(try_login("a", "x").is_some() && try_login("b", "y").is_some());
        assert!(try_login("a", "y").is_none() && try_login("c", "x").is_none());
        assert!(try_login("a", "").is_none());
    }
}
