//! Lines of `authorized_keys` files and certificates, and what they grant (sshd(8), section AUTHORIZED_KEYS FILE FORMAT).

use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::{SystemTime, UNIX_EPOCH};

use ssh_proto::crypto::{
    Certificate, CertificateCheck, CertificateRights, CryptoProvider, PublicKey,
};
use ssh_proto::keys::{AuthorizedKeys, KeyOptions, WallClock};
use ssh_proto::{Permissions, Restrictions};

use crate::places::Places;

/// A key that a user offers, perhaps with a certificate, and where they are.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) user: &'a str,
    pub(crate) key: &'a PublicKey,
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) provider: &'a CryptoProvider,
}

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
    /// A security key need not have been touched.
    pub(crate) no_touch_required: bool,
    /// It is to be a security key that has verified its user.
    pub(crate) verify_required: bool,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            permissions: Permissions::ALL,
            command: None,
            environment: Vec::new(),
            open: Places::default(),
            listen: Places::default(),
            no_touch_required: false,
            verify_required: false,
        }
    }
}

/// What the first usable line grants that has the key, or the authority of its certificate.
pub(crate) fn search(
    file: &[u8],
    offer: &Offer<'_>,
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
    let is_authority = offer.certificate.is_some();
    let wanted = offer
        .certificate
        .map_or(offer.key, Certificate::signature_key);
    let mut lines = keys
        .iter()
        .filter(|line| line.options.cert_authority == is_authority && line.key == *wanted);
    lines.find_map(|line| {
        let grant = Grant::of(&line.options, offer);
        grant.map_err(|reason| refused(line.line, reason)).ok()
    })
}

impl Grant {
    /// What the options of a key, or of an authority, grant here and now.
    fn of(options: &KeyOptions, offer: &Offer<'_>) -> Result<Self, String> {
        options
            .admits(offer.peer, None, clock())
            .map_err(|refusal| refusal.to_string())?;
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
        let grant = Self {
            permissions,
            command: options.command.as_deref().map(own),
            environment: options
                .environment
                .iter()
                .map(|(name, value)| (name.into(), own(value)))
                .collect(),
            open: Places::of(&options.permit_open),
            listen: Places::of(&options.permit_listen),
            no_touch_required: options.no_touch_required,
            verify_required: options.verify_required,
        };
        let Some(certificate) = offer.certificate else {
            return Ok(grant);
        };
        let principals = match &options.principals {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => vec![offer.user],
        };
        let authority = [certificate.signature_key().clone()];
        grant.narrowed(&verify(certificate, offer, &principals, &authority)?)
    }

    /// What a certificate grants whose authority is trusted for every user.
    pub(crate) fn of_certificate(
        certificate: &Certificate,
        offer: &Offer<'_>,
        authorities: &[PublicKey],
    ) -> Result<Self, String> {
        let everything = Self {
            no_touch_required: true,
            ..Self::default()
        };
        everything.narrowed(&verify(certificate, offer, &[offer.user], authorities)?)
    }

    /// What the options of a line and a certificate both grant.
    fn narrowed(mut self, rights: &CertificateRights) -> Result<Self, String> {
        let allowed = Restrictions::from(rights).permissions();
        self.permissions = self.permissions.intersection(allowed);
        if let Some(command) = rights.force_command() {
            let command = OsString::from_vec(command.to_vec());
            if *self.command.get_or_insert_with(|| command.clone()) != command {
                return Err(
                    "the certificate forces another command than its authority's line".into(),
                );
            }
        }
        self.no_touch_required &= rights.no_touch_required();
        self.verify_required |= rights.verify_required();
        Ok(self)
    }
}

fn verify(
    certificate: &Certificate,
    offer: &Offer<'_>,
    principals: &[&str],
    authorities: &[PublicKey],
) -> Result<CertificateRights, String> {
    let mut check = CertificateCheck::user(principals, clock().unix, authorities);
    if let Some(peer) = offer.peer {
        check = check.source(peer);
    }
    certificate
        .verify(&check, offer.provider)
        .map_err(|error| error.to_string())
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

    use ssh_io_std::OsRandom;
    use ssh_proto::crypto::{CertificateBuilder, PrivateKey, rustcrypto};
    use ssh_proto::keys::{Comment, PermittedPlace, PublicKeyLine};

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
        find_offered(file, &key(), None)
    }

    fn find_offered(
        file: &str,
        key: &PublicKey,
        certificate: Option<&Certificate>,
    ) -> (Option<Grant>, Vec<(usize, String)>) {
        let mut refused = Vec::new();
        let offer = Offer {
            user: "me",
            key,
            certificate,
            peer: Some(Ipv4Addr::new(10, 0, 0, 7).into()),
            provider: &rustcrypto::provider(),
        };
        let grant = search(file.as_bytes(), &offer, |number, reason| {
            refused.push((number, reason));
        });
        (grant, refused)
    }

    fn authority() -> PrivateKey {
        let provider = rustcrypto::provider();
        let made = provider.keys.generate("ssh-ed25519", &mut OsRandom);
        made.unwrap()
    }

    /// The line of an authority, with options in front.
    fn line(options: &str, authority: &PrivateKey) -> String {
        let line = PublicKeyLine {
            key: authority.public_key(),
            comment: Comment::default(),
        };
        format!("{options} {line}\n")
    }

    fn issue(authority: &PrivateKey, builder: CertificateBuilder) -> Certificate {
        let authority = rustcrypto::provider().signing_key(authority).unwrap();
        let signed = builder.sign(&*authority, "ssh-ed25519", &mut OsRandom);
        signed.unwrap()
    }

    fn certificate() -> CertificateBuilder {
        CertificateBuilder::user(key(), "mine").principal("me")
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

    #[test]
    fn an_authority_is_no_user_and_no_user_an_authority() {
        assert_eq!(find(&format!("cert-authority {KEY}")), (None, vec![]));
        let authority = authority();
        let certificate = issue(&authority, certificate());
        for file in [line("", &authority), KEY.into()] {
            let found = find_offered(&file, certificate.as_public_key(), Some(&certificate));
            assert_eq!(found, (None, vec![]), "{file}");
        }
    }

    #[test]
    fn a_certificate_and_its_authoritys_line_both_restrict() {
        let authority = authority();
        let grant = |options: &str, certificate: CertificateBuilder| {
            let certificate = issue(&authority, certificate);
            let file = line(&format!("cert-authority{options}"), &authority);
            let (grant, refused) =
                find_offered(&file, certificate.as_public_key(), Some(&certificate));
            grant.ok_or_else(|| refused[0].1.clone())
        };
        let bare = grant("", certificate()).unwrap();
        assert_eq!(bare.permissions, Permissions::NONE);
        assert!(!bare.no_touch_required && !bare.verify_required);
        let open = grant(",no-pty,environment=\"A=1\"", certificate().permit_all()).unwrap();
        assert!(open.permissions.contains(Permissions::PORT_FORWARDING));
        assert!(!open.permissions.contains(Permissions::PTY));
        assert_eq!(open.environment, [("A".into(), "1".into())]);
        // Only what both say.
        let touch = certificate().permit("no-touch-required");
        assert!(!grant("", touch.clone()).unwrap().no_touch_required);
        assert!(
            grant(",no-touch-required", touch)
                .unwrap()
                .no_touch_required
        );
        // What either says.
        assert!(
            grant(",verify-required", certificate())
                .unwrap()
                .verify_required
        );
        let verified = certificate().verify_required();
        assert!(grant("", verified).unwrap().verify_required);

        let forced = || certificate().force_command(b"id");
        for options in ["", ",command=\"id\""] {
            let command = grant(options, forced()).unwrap().command;
            assert_eq!(command, Some("id".into()), "{options}");
        }
        for (options, certificate, reason) in [
            (
                ",command=\"date\"",
                forced(),
                "the certificate forces another command than its authority's line",
            ),
            (
                ",principals=\"you,they\"",
                certificate(),
                "the certificate is for others",
            ),
            (
                ",from=\"10.0.0.8\"",
                certificate(),
                "the key may not be used from there",
            ),
            (
                "",
                certificate().source_address("10.0.0.8"),
                "the certificate is not good from this address",
            ),
            ("", certificate().valid(0, 1), "the certificate has expired"),
        ] {
            assert_eq!(grant(options, certificate), Err(reason.to_owned()));
        }
        let others = CertificateBuilder::user(key(), "").principal("they");
        assert!(grant(",principals=\"you,they\"", others.clone()).is_ok());
        assert!(grant("", others).is_err());
        let here = certificate().source_address("10.0.0.0/8");
        assert!(grant("", here).is_ok());
    }

    #[test]
    fn a_refused_line_does_not_hide_a_later_one() {
        let (grant, refused) = find(&format!("frob=\"x\" {KEY}\nfrom=\"::1\" {KEY}\n{KEY}"));
        assert_eq!(grant, Some(Grant::default()));
        assert_eq!(refused[0], (1, "option \"frob\" is not understood".into()));
        assert_eq!(refused[1].0, 2);
    }
}
