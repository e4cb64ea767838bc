//! The addresses that a certificate is good from: the list of `source-address` (draft-ietf-sshm-cert section 3.1).

use core::net::{IpAddr, Ipv4Addr};

/// Whether an address is in a list of addresses and networks with commas. `None` for a list that
/// is malformed anywhere, a network with bits set behind its prefix included, as in OpenSSH.
pub(super) fn admits(list: &str, source: IpAddr) -> Option<bool> {
    let source = source.to_canonical();
    let mut admitted = false;
    for entry in list.split(',') {
        admitted |= contains(entry, source)?;
    }
    Some(admitted)
}

/// Whether a list is well-formed.
pub(super) fn is_list(list: &str) -> bool {
    admits(list, IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_some()
}

fn contains(entry: &str, source: IpAddr) -> Option<bool> {
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (entry, None),
    };
    let network: IpAddr = address.parse().ok()?;
    let bits = match network {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let prefix = match prefix {
        Some(digits) if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|prefix| *prefix <= bits)?
        }
        Some(_) => return None,
        None => bits,
    };
    // A shift by the whole width leaves nothing.
    let host = u128::MAX.checked_shr(128 - bits + prefix).unwrap_or(0);
    if number(network) & host != 0 {
        return None;
    }
    let same_family = network.is_ipv4() == source.is_ipv4();
    Some(same_family && number(source) & !host == number(network))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, source: &str) -> Option<bool> {
        admits(list, source.parse().unwrap())
    }

    #[test]
    fn m10_sources_in_and_out_of_a_list() {
        for (list, source, admitted) in [
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.0.0.0/8,192.168.7.0/24", "192.168.7.255", true),
            ("10.0.0.0/8,192.168.7.0/24", "192.168.8.0", false),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            // One family says nothing of the other.
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.1.2.3", false),
            ("::/0", "fe80::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
            ("2001:db8::1", "2001:db8::2", false),
            // A socket for both families shows peers of IPv4 like this.
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:11.1.2.3", false),
        ] {
            assert_eq!(check(list, source), Some(admitted), "{list} {source}");
        }
    }

    #[test]
    fn m10_malformed_lists_deny() {
        for list in [
            "",
            ",",
            "10.1.2.3,",
            ",10.1.2.3",
            "10.1.2.3,,10.1.2.3",
            "10.1.2.3, 10.1.2.4",
            " 10.1.2.3",
            "10.1.2.3/",
            "10.1.2.3/33",
            "10.1.2.3/-1",
            "10.1.2.3/+32",
            "10.1.2.3/0032",
            "10.1.2.3/24",
            "10.1.2.3/0",
            "10.1.2",
            "010.1.2.3",
            "2001:db8::/129",
            "2001:db8::1/64",
            "*",
            "!10.0.0.1",
            "host.example",
            "10.1.2.3,host.example",
            "10.1.2.3/32/32",
            "[::1]",
            "fe80::1%eth0",
        ] {
            assert_eq!(check(list, "10.1.2.3"), None, "{list:?}");
        }
    }
}
