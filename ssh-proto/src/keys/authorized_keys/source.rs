//! Where a key may be used from: the list of `from=`, names, addresses and networks (sshd(8), ssh_config(5) PATTERNS).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::keys::pattern::{Letters, matches};
use crate::limits::MAX_HOST_NAME;

/// The hosts that a `from=` option names. An empty list lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    negated: bool,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Network(Network),
    /// Of host names, or of addresses as they are written.
    Pattern(String),
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    mask: u128,
}

/// An address as a number, at the upper end of the bits there are.
const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => (address.to_bits() as u128) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    /// `address` or `address/length`, where what is behind the length is zero. Networks of
    /// addresses mapped from IPv4 are those of IPv4.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let base = address.to_canonical();
        let (width, mapped) = match (base, address) {
            (IpAddr::V4(_), IpAddr::V6(_)) => (32, 96),
            (IpAddr::V4(_), IpAddr::V4(_)) => (32, 0),
            (IpAddr::V6(_), _) => (128, 0),
        };
        let length = match length {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u32>().ok()?.checked_sub(mapped)?
            }
            Some(_) => return None,
            None => width,
        };
        if length > width {
            return None;
        }
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        (bits(base) & !mask == 0).then_some(Self { base, mask })
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && bits(address) & self.mask == bits(self.base)
    }
}

impl SourceList {
    /// Reads the value of a `from=` option: entries between commas, none of which is empty.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok()?;
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        let entry = |entry: &str| {
            let (negated, name) = match entry.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, entry),
            };
            // Something behind a blank would silently match nothing, or exclude nothing.
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            let source = match Network::parse(name) {
                Some(network) => Source::Network(network),
                None if name.contains('/') => return None,
                None => Source::Pattern(name.into()),
            };
            Some(Entry { negated, source })
        };
        text.split(',').map(entry).collect::<Option<_>>().map(Self)
    }

    /// Whether somebody from there is let in: an entry fits the address or the name, and none
    /// behind `!` does.
    ///
    /// `address` is that of the peer, and `name` its host name if that has been looked up and
    /// leads back to the address (`UseDNS`). Without both, nobody is let in.
    pub fn admits(&self, address: Option<IpAddr>, name: Option<&str>) -> bool {
        let address = address.map(|address| address.to_canonical());
        let text = address.map(|address| alloc::format!("{address}"));
        let name = name.filter(|name| name.len() <= MAX_HOST_NAME);
        let fits = |source: &Source| match source {
            Source::Network(network) => address.is_some_and(|address| network.contains(address)),
            Source::Pattern(pattern) => [text.as_deref(), name]
                .into_iter()
                .flatten()
                .any(|text| matches(pattern.as_bytes(), text.as_bytes(), Letters::AnyCase)),
        };
        let mut admitted = false;
        for entry in &self.0 {
            match (fits(&entry.source), entry.negated) {
                (true, true) => return false,
                (fits, _) => admitted = admitted || fits,
            }
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_let_in_by_pattern_and_network() {
        for (list, peer, admitted) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.10", false),
            ("10.0.0.*,::1", "10.0.0.10", true),
            ("10.0.0.*,::1", "::1", true),
            ("0:0::1", "::1", true),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "a00::1", false),
            ("10.0.0.0/8", "::a00:1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("*,!::ffff:10.0.0.0/104", "10.1.2.3", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "fe80::1", true),
            ("::/0", "1.2.3.4", false),
            ("::1/128", "::1", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("*,!10.0.0.1", "10.0.0.1", false),
            ("!10.0.0.1,*", "10.0.0.1", false),
            ("!10.0.0.0/8,*", "11.0.0.1", true),
            ("!10.0.0.1", "10.0.0.2", false),
            ("localhost", "127.0.0.1", false),
            // M7: an empty list denies all.
            ("", "127.0.0.1", false),
        ] {
            let peer = peer.parse().unwrap();
            let parsed = SourceList::parse(list.as_bytes()).unwrap();
            assert_eq!(parsed.admits(Some(peer), None), admitted, "{list} {peer}");
        }
    }

    #[test]
    fn names_count_where_they_are_known() {
        let list = SourceList::parse(b"*.Example,!bad.example,10.0.0.0/8").unwrap();
        let peer = |address: &str| Some(address.parse().unwrap());
        assert!(list.admits(peer("1.2.3.4"), Some("good.EXAMPLE")));
        assert!(!list.admits(peer("1.2.3.4"), Some("bad.example")));
        assert!(!list.admits(peer("10.2.3.4"), Some("bad.example")));
        assert!(list.admits(peer("10.2.3.4"), None));
        assert!(list.admits(None, Some("good.example")));
        assert!(!list.admits(None, None));
        let long = alloc::format!("{}.example", "a".repeat(255));
        assert!(!list.admits(None, Some(&long)));
        assert!(!SourceList::parse(b"*").unwrap().admits(None, None));
    }

    #[test]
    fn m10_what_is_malformed_is_refused() {
        for list in [
            ",",
            "a,,b",
            "a,",
            ",a",
            "!",
            "a,!",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0/8",
            "*/8",
            "1.2.3.4,::1/x",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::ffff:10.0.0.0/95",
            "::1/129",
            "a b",
            "10.0.0.1, ::1",
            "a\t",
            "a\u{a0}b",
            "a\0",
        ] {
            assert_eq!(SourceList::parse(list.as_bytes()), None, "{list:?}");
        }
        assert_eq!(SourceList::parse(b"\xff"), None);
    }
}
