//! Lines of `authorized_keys` files, and what they grant (sshd(8), section AUTHORIZED_KEYS FILE FORMAT).

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::SystemTime;

use ssh_proto::Permissions;
use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::PublicKeyLine;

use crate::conditions;
use crate::places::{Place, Places};

/// What one step of a login allows. The default is that of a password: no restriction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) permissions: Permissions,
    /// Run in place of whatever is asked for.
    pub(crate) command: Option<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Where connections may be made to.
    pub(crate) open: Places,
    /// Where the client may have us listen.
    pub(crate) listen: Places,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            permissions: Permissions::ALL,
            command: None,
            environment: Vec::new(),
            open: Places::default(),
            listen: Places::default(),
        }
    }
}

/// A line with a key.
struct Line {
    key: PublicKey,
    grant: Grant,
    /// Where it has to be used from.
    from: Vec<String>,
    /// The first moment at which it is not good any more.
    expiry: Option<SystemTime>,
}

/// What the first usable line with this key grants to a client at this address.
pub(crate) fn search(
    file: &[u8],
    key: &PublicKey,
    peer: IpAddr,
    mut refused: impl FnMut(usize, String),
) -> Option<Grant> {
    for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let checked = parse(line).and_then(|line| match line.key == *key {
            true => line.check(peer).map(|()| Some(line.grant)),
            false => Ok(None),
        });
        match checked {
            Ok(Some(grant)) => return Some(grant),
            Ok(None) => {}
            Err(reason) => refused(number, reason),
        }
    }
    None
}

impl Line {
    /// Whether it is good here and now.
    fn check(&self, peer: IpAddr) -> Result<(), String> {
        for list in &self.from {
            if !conditions::admits(list, peer)? {
                return Err(format!("from={list:?} keeps {peer} out"));
            }
        }
        match self.expiry {
            Some(end) if end <= SystemTime::now() => Err("expired".into()),
            _ => Ok(()),
        }
    }
}

/// One line: options, if there are any, and a key.
fn parse(line: &[u8]) -> Result<Line, String> {
    let (mut options, bare) = (Options::default(), PublicKeyLine::parse(line));
    let line = match bare {
        Ok(bare) => bare,
        Err(_) => {
            let (text, rest) = split_options(line)?;
            options.parse(text)?;
            PublicKeyLine::parse(rest).map_err(|error| error.to_string())?
        }
    };
    let mut grant = options.grant;
    // Without any, everything is allowed.
    let places =
        |places: Vec<Place>| Places((!places.is_empty()).then_some(places).into_iter().collect());
    grant.open = places(options.open);
    grant.listen = places(options.listen);
    Ok(Line {
        key: line.key,
        grant,
        from: options.from,
        expiry: options.expiry,
    })
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

/// The options of a line, as they are read one after the other.
#[derive(Default)]
struct Options {
    grant: Grant,
    open: Vec<Place>,
    listen: Vec<Place>,
    from: Vec<String>,
    expiry: Option<SystemTime>,
}

/// Options that give a right; with `no-` before them, they take it.
const RIGHTS: [(&str, Permissions); 4] = [
    ("pty", Permissions::PTY),
    ("port-forwarding", Permissions::PORT_FORWARDING),
    ("agent-forwarding", Permissions::AGENT),
    ("x11-forwarding", Permissions::X11),
];

impl Options {
    /// Reads options that commas part.
    fn parse(&mut self, mut rest: &[u8]) -> Result<(), String> {
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
            match value {
                Some(value) => self.set(&name, value)?,
                None => self.switch(&name)?,
            }
            rest = match rest {
                [] => return Ok(()),
                [b',', behind @ ..] => behind,
                _ => return Err("text behind a quote".into()),
            };
        }
    }

    /// An option with a value. One that is not understood refuses the line, for it may restrict.
    fn set(&mut self, name: &str, value: Vec<u8>) -> Result<(), String> {
        let text = || String::from_utf8(value.clone()).map_err(|_| format!("{name}= is not text"));
        match name {
            "command" if self.grant.command.is_none() => {
                self.grant.command = Some(OsString::from_vec(value));
            }
            "environment" => match value.iter().position(|byte| *byte == b'=') {
                Some(at) if at > 0 && !value.contains(&0) => {
                    let (name, value) = (value[..at].to_vec(), value[at + 1..].to_vec());
                    let setting = (OsString::from_vec(name), OsString::from_vec(value));
                    self.grant.environment.push(setting);
                }
                _ => return Err("environment= needs NAME=value".into()),
            },
            "from" => self.from.push(text()?),
            "permitopen" => self.open.push(Place::parse(&text()?)?),
            "permitlisten" => self.listen.push(Place::parse_listen(&text()?)?),
            "expiry-time" => {
                let end = conditions::moment(&text()?)?;
                self.expiry = Some(self.expiry.map_or(end, |earlier| earlier.min(end)));
            }
            _ => return Err(not_understood(name)),
        }
        Ok(())
    }

    /// An option without a value.
    fn switch(&mut self, name: &str) -> Result<(), String> {
        let permissions = &mut self.grant.permissions;
        let (taken, right) = match name.strip_prefix("no-") {
            Some(right) => (true, right),
            None => (false, name),
        };
        match (RIGHTS.iter().find(|(name, _)| *name == right), name) {
            (Some((_, right)), _) if taken => *permissions = permissions.without(*right),
            (Some((_, right)), _) => *permissions |= *right,
            (None, "restrict") => *permissions = Permissions::NONE,
            // No such file is run in any case.
            (None, "user-rc" | "no-user-rc") => {}
            (None, _) => return Err(not_understood(name)),
        }
        Ok(())
    }
}

fn not_understood(name: &str) -> String {
    format!("option {name:?} is not understood")
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
    use std::net::Ipv4Addr;

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
        let peer = Ipv4Addr::new(10, 0, 0, 7).into();
        let grant = search(file.as_bytes(), &key(), peer, |number, reason| {
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
                permissions: Permissions::ALL.without(Permissions::PTY),
                ..Grant::default()
            }
        );
        assert_eq!(
            grant(r#"environment="A=1",environment="B=x=y""#).environment,
            [("A".into(), "1".into()), ("B".into(), "x=y".into())]
        );
        let places =
            grant(r#"permitopen="a:1",permitlisten="2",permitopen="[::1]:*",permitlisten="b:3""#);
        let place = |text| Place::parse(text).unwrap();
        assert_eq!(
            places.open,
            Places(vec![vec![place("a:1"), place("[::1]:*")]])
        );
        assert_eq!(
            places.listen,
            Places(vec![vec![place("*:2"), place("b:3")]])
        );
        assert_eq!(grant("no-user-rc,user-rc"), Grant::default());
    }

    #[test]
    fn rights_are_taken_and_given_in_order() {
        let all = Permissions::ALL;
        for (options, permissions) in [
            ("restrict", Permissions::NONE),
            ("restrict,pty", Permissions::PTY),
            ("pty,Restrict", Permissions::NONE),
            (
                "restrict,agent-forwarding,X11-forwarding",
                Permissions::AGENT | Permissions::X11,
            ),
            ("restrict,port-forwarding", Permissions::PORT_FORWARDING),
            (
                "no-port-forwarding",
                all.without(Permissions::PORT_FORWARDING),
            ),
            (
                "no-X11-forwarding,no-agent-forwarding",
                all.without(Permissions::X11 | Permissions::AGENT),
            ),
            ("no-pty,pty", all),
        ] {
            assert_eq!(grant(options).permissions, permissions, "{options}");
        }
    }

    #[test]
    fn a_key_is_good_at_its_place_and_time() {
        for options in [
            r#"from="10.0.0.7""#,
            r#"from="192.168.1.1,10.0.0.0/8""#,
            r#"expiry-time="29991231""#,
            r#"expiry-time="29991231Z",from="*""#,
        ] {
            assert_eq!(grant(options), Grant::default(), "{options}");
        }
        for (options, reason) in [
            (r#"from="10.0.0.8""#, "from=\"10.0.0.8\" keeps 10.0.0.7 out"),
            (
                r#"from="*",from="!10.0.0.7,*""#,
                "from=\"!10.0.0.7,*\" keeps 10.0.0.7 out",
            ),
            (r#"from="10.0.0.7/8""#, "\"10.0.0.7/8\" is not a network"),
            (
                r#"expiry-time="20200101",expiry-time="29991231""#,
                "expired",
            ),
            (
                r#"expiry-time="29991231",expiry-time="202001011200Z""#,
                "expired",
            ),
        ] {
            let refused = vec![(1, reason.to_owned())];
            assert_eq!(
                find(&format!("{options} {KEY}")),
                (None, refused),
                "{options}"
            );
        }
    }

    #[test]
    fn a_line_that_is_not_understood_grants_nothing() {
        for options in [
            "cert-authority",
            r#"principals="me""#,
            "no-restrict",
            "verify-required",
            "no-pty,frob",
            "command=echo",
            r#"command="a",command="b""#,
            r#"command="open"#,
            r#"command="a"b"#,
            r#"environment="NONE""#,
            r#"environment="=x""#,
            r#"permitopen="80""#,
            r#"permitlisten="""#,
            r#"expiry-time="soon""#,
            "no-pty=\"yes\"",
            "from",
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
        let (grant, refused) = find(&format!("frob=\"x\" {KEY}\nfrom=\"::1\" {KEY}\n{KEY}"));
        assert_eq!(grant, Some(Grant::default()));
        assert_eq!(refused[0], (1, "option \"frob\" is not understood".into()));
        assert_eq!(refused[1].0, 2);
    }
}
