//! Where a key may have connections forwarded from and to: `permitopen=` and `permitlisten=` of sshd(8).

use ssh_io_std::Target;
use ssh_proto::GlobalRequest;
use ssh_proto::keys::PermittedPlace;

use crate::args::matches;

fn has_port(place: &PermittedPlace, port: u32) -> bool {
    place.port.is_none_or(|own| u32::from(own) == port)
}

/// What the steps of a login allow at most: each names places, of which one has to fit. Without
/// any, everything is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Places(pub(crate) Vec<Vec<PermittedPlace>>);

impl Places {
    /// Those of one step; without any, everything is allowed.
    pub(crate) fn of(places: &[PermittedPlace]) -> Self {
        Self(
            (!places.is_empty())
                .then(|| places.to_vec())
                .into_iter()
                .collect(),
        )
    }

    /// Whether a connection may be made to this. The host has to be named as it is asked for. A
    /// UNIX socket is no place that can be named.
    pub(crate) fn permit_open(&self, target: &Target) -> bool {
        self.all(|place| match target {
            Target::Tcp { host, port } => {
                has_port(place, (*port).into()) && (place.host == "*" || place.host == *host)
            }
            Target::Unix(_) => false,
        })
    }

    /// Whether the client may have us listen there. The host is a pattern for what it asks for.
    pub(crate) fn permit_listen(&self, request: &GlobalRequest) -> bool {
        self.all(|place| match request {
            GlobalRequest::TcpipForward { address, port } => {
                let address = String::from_utf8_lossy(address).to_ascii_lowercase();
                has_port(place, *port) && matches(&place.host, &address)
            }
            _ => false,
        })
    }

    fn all(&self, fits: impl Fn(&PermittedPlace) -> bool) -> bool {
        self.0.iter().all(|step| step.iter().any(&fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(texts: &[&str]) -> Places {
        let place = |text: &&str| {
            let (host, port) = text.split_once(' ').unwrap();
            PermittedPlace {
                host: host.into(),
                port: (port != "*").then(|| port.parse().unwrap()),
            }
        };
        Places(vec![texts.iter().map(place).collect()])
    }

    #[test]
    fn connections_are_made_to_places_that_are_named() {
        let some = places(&["db 5432", "::1 *", "* 80"]);
        for (host, port, allowed) in [
            ("db", 5432, true),
            ("db", 5433, false),
            ("DB", 5432, false),
            ("::1", 9, true),
            ("anything", 80, true),
            ("anything", 81, false),
        ] {
            assert_eq!(
                some.permit_open(&Target::tcp(host, port)),
                allowed,
                "{host}"
            );
        }
        let socket = Target::Unix("/db:80".into());
        assert!(!some.permit_open(&socket) && Places::default().permit_open(&socket));
        assert!(Places::default().permit_open(&Target::tcp("db", 1)));
        // Every step has to allow it.
        let both = Places([some.0, places(&["db *"]).0].concat());
        assert!(both.permit_open(&Target::tcp("db", 80)));
        assert!(!both.permit_open(&Target::tcp("::1", 80)));
    }

    #[test]
    fn listening_is_allowed_by_pattern_and_port() {
        let some = places(&["* 8080", "local* 0", "::1 22"]);
        let asks = |address: &'static str, port| GlobalRequest::TcpipForward {
            address: address.into(),
            port,
        };
        for (address, port, allowed) in [
            ("", 8080, true),
            ("10.0.0.1", 8080, true),
            ("LocalHost", 0, true),
            ("localhost", 1, false),
            ("::1", 22, true),
            ("::2", 22, false),
        ] {
            assert_eq!(
                some.permit_listen(&asks(address, port)),
                allowed,
                "{address}"
            );
        }
        let socket = GlobalRequest::StreamlocalForward { path: "/x".into() };
        assert!(!some.permit_listen(&socket) && Places::default().permit_listen(&socket));
    }
}
