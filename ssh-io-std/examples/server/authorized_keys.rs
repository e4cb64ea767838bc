//! Lines of `authorized_keys` files, and what they grant (sshd(8), section AUTHORIZED_KEYS FILE FORMAT).

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::{SystemTime, UNIX_EPOCH};

use ssh_proto::Permissions;
use ssh_proto::crypto::PublicKey;
use ssh_proto::keys::{AuthorizedKeys, KeyOptions, WallClock};

use crate::places::Places;

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

/// What the first usable line with this key grants to a client at this address.
pub(crate) fn search(
    file: &[u8],
    key: &PublicKey,
    peer: IpAddr,
    mut refused: impl FnMut(usize, String),
) -> Option<Grant> {
    let (keys, errors) = match AuthorizedKeys::parse(file) {
        Ok(parsed) => parsed,
        Err(error) => {
            refused(0, error.to_string());
            return None;
        }
    };
    for error in errors {
        refused(error.line, error.problem.to_string());
    }
    keys.find(key).find_map(|line| {
        let grant = Grant::of(&line.options, peer);
        grant.map_err(|reason| refused(line.line, reason)).ok()
    })
}

impl Grant {
    /// What the options of a key grant here and now.
    fn of(options: &KeyOptions, peer: IpAddr) -> Result<Self, String> {
        options
            .admits(Some(peer), None, clock())
            .map_err(|refusal| refusal.to_string())?;
        // Nobody here looks into the signatures of security keys.
        if options.verify_required {
            return Err("verify-required is not supported".into());
        }
        let mut permissions = match options.restrict {
            true => Permissions::NONE,
            false => Permissions::ALL,
        };
        for (granted, right) in [
            (options.pty, Permissions::PTY),
            (options.port_forwarding, Permissions::PORT_FORWARDING),
            (options.agent_forwarding, Permissions::AGENT),
            (options.x11_forwarding, Permissions::X11),
        ] {
            permissions = match granted {
                true => permissions | right,
                false => permissions.without(right),
            };
        }
        let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Ok(Self {
            permissions,
            command: options.command.as_deref().map(own),
            environment: options
                .environment
                .iter()
                .map(|(name, value)| (name.into(), own(value)))
                .collect(),
            open: Places::of(&options.permit_open),
            listen: Places::of(&options.permit_listen),
        })
    }
}

/// What the clock shows, and how far it is ahead of UTC.
fn clock() -> WallClock {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    // SAFETY: all zeros are a value of the structure, whose pointer is not read here. The call
    // reads its first argument and the environment, which nothing here changes.
    let utc_offset = unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        match libc::time_t::try_from(unix) {
            Ok(now) if !libc::localtime_r(&now, &mut local).is_null() => local.tm_gmtoff,
            _ => 0,
        }
    };
    WallClock {
        unix,
        utc_offset: utc_offset.try_into().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ssh_proto::keys::PermittedPlace;

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
        let place = |host: &str, port| PermittedPlace {
            host: host.into(),
            port,
        };
        assert_eq!(
            places.open,
            Places(vec![vec![place("a", Some(1)), place("::1", None)]])
        );
        assert_eq!(
            places.listen,
            Places(vec![vec![place("*", Some(2)), place("b", Some(3))]])
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
            (r#"from="10.0.0.8""#, "the key may not be used from there"),
            (
                r#"from="!10.0.0.7,*""#,
                "the key may not be used from there",
            ),
            (r#"expiry-time="20200101""#, "the key has expired"),
            (r#"expiry-time="202001011200Z""#, "the key has expired"),
            ("verify-required", "verify-required is not supported"),
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
        for options in ["no-restrict", "no-pty,frob", r#"from="10.0.0.7/8""#] {
            let (grant, refused) = find(&format!("# one\n{options} {KEY}"));
            assert_eq!(grant, None, "{options}");
            assert_eq!(refused.len(), 1, "{options}");
            assert_eq!(refused[0].0, 2);
        }
    }

    /// Certificates are not taken here, and an authority's key is not the user's.
    #[test]
    fn an_authority_is_no_user() {
        assert_eq!(find(&format!("cert-authority {KEY}")), (None, vec![]));
    }

    #[test]
    fn a_refused_line_does_not_hide_a_later_one() {
        let (grant, refused) = find(&format!("frob=\"x\" {KEY}\nfrom=\"::1\" {KEY}\n{KEY}"));
        assert_eq!(grant, Some(Grant::default()));
        assert_eq!(refused[0], (1, "option \"frob\" is not understood".into()));
        assert_eq!(refused[1].0, 2);
    }
}
