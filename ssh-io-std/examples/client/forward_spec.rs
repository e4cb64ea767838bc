//! Forwardings as OpenSSH writes them: `[bind:]port:host:hostport` and its kin, for `-L`, `-R`, `-D` and `-W`.

use std::fmt;
use std::path::PathBuf;

use ssh_io_std::Target;

/// Which end listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Local,
    Remote,
}

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A port, at the default address if none is given.
    Port { host: Option<String>, port: u16 },
    /// A UNIX socket.
    Path(PathBuf),
}

/// One forwarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) side: Side,
    pub(crate) listen: Listen,
    /// `None`: each connection says by SOCKS where to.
    pub(crate) target: Option<Target>,
}

impl Forward {
    /// What `LocalForward`, `RemoteForward` and `DynamicForward` say; `None` for other keywords.
    pub(crate) fn of_keyword(keyword: &str, value: &str) -> Option<Result<Self, String>> {
        let (side, kind, dynamic) = match keyword {
            "localforward" => (Side::Local, "local", false),
            "remoteforward" => (Side::Remote, "remote", false),
            "dynamicforward" => (Side::Local, "dynamic", true),
            _ => return None,
        };
        // Config files have two words.
        let text = value.split_ascii_whitespace().collect::<Vec<_>>().join(":");
        let fields = fields(&text).unwrap_or_default();
        let parsed = match (dynamic, side) {
            (true, _) => listener(&fields).map(|listen| (listen, None)),
            (false, Side::Local) => joined(&fields),
            (false, Side::Remote) => {
                joined(&fields).or_else(|| listener(&fields).map(|listen| (listen, None)))
            }
        };
        // A port that nobody would know is of no use here.
        let chosen = |listen: &Listen| matches!(listen, Listen::Port { port: 0, .. });
        let parsed = parsed.filter(|(listen, _)| side == Side::Remote || !chosen(listen));
        let bad = || format!("Bad {kind} forwarding specification '{value}'");
        Some(
            parsed
                .map(|(listen, target)| Self {
                    side,
                    listen,
                    target,
                })
                .ok_or_else(bad),
        )
    }

    /// What OpenSSH calls its other end.
    pub(crate) fn destination(&self) -> String {
        match &self.target {
            Some(Target::Tcp { host, port }) => format!("{host}:{port}"),
            Some(Target::Unix(path)) => path.display().to_string(),
            None => "socks:0".to_owned(),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { port, .. } => write!(f, "port {port}"),
            Self::Path(path) => write!(f, "path {}", path.display()),
        }
    }
}

/// `host:port` or the path of a socket, as `-W` has it.
pub(crate) fn stdio_target(text: &str) -> Result<Target, String> {
    let target = match &*fields(text).unwrap_or_default() {
        [path] if path.contains('/') => Some(Target::Unix(path.into())),
        [host, port] => port.parse().ok().map(|port| Target::tcp(host, port)),
        _ => None,
    };
    target.ok_or_else(|| format!("Bad stdio forwarding specification '{text}'"))
}

/// What is between colons. Brackets keep a field together, and a backslash the next character.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        if let Some(inner) = text.strip_prefix('[') {
            let (field, after) = inner.split_once(']')?;
            fields.push(field.to_owned());
            rest = match after {
                "" => None,
                after => Some(after.strip_prefix(':')?),
            };
            continue;
        }
        let mut field = String::new();
        let mut letters = text.chars();
        rest = loop {
            match letters.next() {
                Some('\\') => field.push(letters.next()?),
                Some(':') => break Some(letters.as_str()),
                Some(letter) => field.push(letter),
                None => break None,
            }
        };
        fields.push(field);
    }
    Some(fields)
}

/// `port`, `bind:port` or a path.
fn listener(fields: &[String]) -> Option<Listen> {
    let port = |host: Option<&String>, port: &String| {
        Some(Listen::Port {
            host: host.cloned(),
            port: port.parse().ok()?,
        })
    };
    match fields {
        [path] if path.contains('/') => Some(Listen::Path(path.into())),
        [only] => port(None, only),
        [host, number] => port(Some(host), number),
        _ => None,
    }
}

/// A listener, and where it leads.
fn joined(fields: &[String]) -> Option<(Listen, Option<Target>)> {
    let (listen, target) = match fields {
        [listen @ .., path] if path.contains('/') => (listen, Target::Unix(path.into())),
        [listen @ .., host, port] if !host.is_empty() => (
            listen,
            Target::tcp(host, port.parse().ok().filter(|port| *port > 0)?),
        ),
        _ => return None,
    };
    Some((listener(listen)?, Some(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host: Option<&str>, port: u16) -> Listen {
        let host = host.map(str::to_owned);
        Listen::Port { host, port }
    }

    fn path(path: &str) -> Listen {
        Listen::Path(path.into())
    }

    #[test]
    fn every_form_is_understood() {
        let unix = |path: &str| Some(Target::Unix(path.into()));
        let tcp = |host: &str, port| Some(Target::tcp(host, port));
        for (text, listen, target) in [
            ("80:host:8080", port(None, 80), tcp("host", 8080)),
            ("80 host:8080", port(None, 80), tcp("host", 8080)),
            ("*:80:host:8080", port(Some("*"), 80), tcp("host", 8080)),
            (":80:host:8080", port(Some(""), 80), tcp("host", 8080)),
            (
                "[::1]:80:[fe80::1]:1",
                port(Some("::1"), 80),
                tcp("fe80::1", 1),
            ),
            ("80:/far", port(None, 80), unix("/far")),
            (
                "localhost:80:/far",
                port(Some("localhost"), 80),
                unix("/far"),
            ),
            ("/near:host:1", path("/near"), tcp("host", 1)),
            ("/near:/far", path("/near"), unix("/far")),
            ("./a\\:b:/far", path("./a:b"), unix("/far")),
        ] {
            for (keyword, side) in [
                ("localforward", Side::Local),
                ("remoteforward", Side::Remote),
            ] {
                let (listen, target) = (listen.clone(), target.clone());
                let expected = Forward {
                    side,
                    listen,
                    target,
                };
                let parsed = Forward::of_keyword(keyword, text);
                assert_eq!(parsed, Some(Ok(expected)), "{text}");
            }
        }
        for (text, listen) in [
            ("1080", port(None, 1080)),
            ("*:1080", port(Some("*"), 1080)),
            ("[::1]:1080", port(Some("::1"), 1080)),
            ("/near", path("/near")),
        ] {
            for (keyword, side) in [
                ("dynamicforward", Side::Local),
                ("remoteforward", Side::Remote),
            ] {
                let expected = Forward {
                    side,
                    listen: listen.clone(),
                    target: None,
                };
                let parsed = Forward::of_keyword(keyword, text);
                assert_eq!(parsed, Some(Ok(expected)), "{text}");
            }
        }
        let chosen = Forward::of_keyword("remoteforward", "0:host:1").unwrap();
        assert_eq!(chosen.unwrap().listen, port(None, 0));
        assert_eq!(stdio_target("[::1]:22"), Ok(Target::tcp("::1", 22)));
        assert_eq!(stdio_target("/far"), Ok(Target::Unix("/far".into())));
        assert_eq!(Forward::of_keyword("port", "1"), None);
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for text in [
            "",
            "80",
            "80:host",
            "host:80:1",
            "80:host:0",
            "80:host:x",
            "80::1",
            "0:host:1",
            "80:host:65536",
            "[::1:80:h:1",
            "[::1]x:80:h:1",
            "a:b:80:host:1",
            "80:host:1\\",
        ] {
            let message = format!("Bad local forwarding specification '{text}'");
            assert_eq!(
                Forward::of_keyword("localforward", text),
                Some(Err(message))
            );
        }
        for text in ["x", "0", "a:b:1"] {
            let message = format!("Bad dynamic forwarding specification '{text}'");
            assert_eq!(
                Forward::of_keyword("dynamicforward", text),
                Some(Err(message))
            );
        }
        for text in ["host", "host:x", "a:b:1", ""] {
            let message = format!("Bad stdio forwarding specification '{text}'");
            assert_eq!(stdio_target(text), Err(message));
        }
    }
}
