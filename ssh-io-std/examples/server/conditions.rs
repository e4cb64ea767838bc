//! Where and until when a key is good: `from=` and `expiry-time=` of sshd(8).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::args::matches;

/// Whether a list of patterns and networks lets an address in. One behind `!` that fits keeps it
/// out. Names are never looked up, as with `UseDNS no`.
pub(crate) fn admits(list: &str, peer: IpAddr) -> Result<bool, String> {
    let peer = peer.to_canonical();
    let text = peer.to_string();
    let (mut admitted, mut kept_out) = (false, false);
    for entry in list.split(',').map(str::trim) {
        let (negated, pattern) = match entry.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, entry),
        };
        let fits = match pattern.split_once('/') {
            Some((network, length)) => contains(network, length, peer)
                .ok_or_else(|| format!("{pattern:?} is not a network"))?,
            None => matches(&pattern.to_ascii_lowercase(), &text),
        };
        kept_out |= fits && negated;
        admitted |= fits && !negated;
    }
    Ok(admitted && !kept_out)
}

/// Whether an address is of a network; `None` if it is none. Its host part has to be zero.
fn contains(network: &str, length: &str, peer: IpAddr) -> Option<bool> {
    let network: IpAddr = network.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let (width, network_bits) = bits(network);
    let host_bits = width.checked_sub(length)?;
    let host = 1u128
        .checked_shl(host_bits)
        .map_or(u128::MAX, |end| end - 1);
    if network_bits & host != 0 {
        return None;
    }
    let (peer_width, peer_bits) = bits(peer);
    Some(peer_width == width && peer_bits & !host == network_bits)
}

/// The bits of an address, and how many there are.
fn bits(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(address) => (32, address.to_bits().into()),
        IpAddr::V6(address) => (128, address.to_bits()),
    }
}

/// The moment that `YYYYMMDD[HHMM[SS]]` stands for, in the time zone of this machine or, with a
/// `Z` behind it, in UTC.
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("{text:?} is not a time");
    let utc = text.strip_suffix('Z').or_else(|| text.strip_suffix("UTC"));
    let digits = utc.unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let part = |start: usize, end: usize| -> i32 {
        let part = digits.get(start..end).and_then(|part| part.parse().ok());
        part.unwrap_or(0)
    };
    let (month, day) = (part(4, 6), part(6, 8));
    let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
    let is_time = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_time {
        return Err(wrong());
    }
    // SAFETY: all zeros are a value of the structure, which holds numbers and, on some systems, a
    // pointer that the calls below do not read.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    broken_down.tm_year = part(0, 4) - 1900;
    broken_down.tm_mon = month - 1;
    broken_down.tm_mday = day;
    broken_down.tm_hour = hour;
    broken_down.tm_min = minute;
    broken_down.tm_sec = second;
    // The system knows whether it is summer then.
    broken_down.tm_isdst = -1;
    // SAFETY: both read and write the structure alone. `mktime` reads the environment, which
    // nothing here changes.
    let seconds = unsafe {
        match utc {
            Some(_) => libc::timegm(&mut broken_down),
            None => libc::mktime(&mut broken_down),
        }
    };
    let seconds = u64::try_from(seconds).map_err(|_| wrong())?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_let_in_by_pattern_and_network() {
        for (list, peer, admitted) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.10", false),
            ("10.0.0.*,::1", "10.0.0.10", true),
            ("10.0.0.*, ::1", "::1", true),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::a00:1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("::/0", "fe80::1", true),
            ("::/0", "1.2.3.4", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("*,!10.0.0.1", "10.0.0.1", false),
            ("!10.0.0.1,*", "10.0.0.1", false),
            ("!10.0.0.0/8,*", "11.0.0.1", true),
            ("!10.0.0.1", "10.0.0.2", false),
            ("localhost", "127.0.0.1", false),
            ("", "127.0.0.1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(admits(list, peer), Ok(admitted), "{list} {peer}");
        }
        for list in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0/8",
            "*/8",
            "1.2.3.4,::1/x",
        ] {
            assert!(admits(list, "1.2.3.4".parse().unwrap()).is_err(), "{list}");
        }
    }

    #[test]
    fn times_are_read_to_the_second() {
        let seconds = |text| {
            let since = moment(text).unwrap().duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap().as_secs()
        };
        assert_eq!(seconds("19700102Z"), 86_400);
        assert_eq!(seconds("20240229123456UTC"), 1_709_210_096);
        assert_eq!(seconds("202402291234Z"), 1_709_210_040);
        // No place is farther from UTC than this.
        let apart = seconds("20240229").abs_diff(seconds("20240229Z"));
        assert!(apart <= 14 * 3600, "{apart}");
        for text in [
            "",
            "2024",
            "20241301Z",
            "20240100",
            "2024022924",
            "202402292400",
            "2024-02-29",
            "20240229z",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
