//! Moments as key files write them, `YYYYMMDD[HHMM[SS]][Z]`, and the caller's clock to hold them against (sshd(8), ssh-keygen(1)).

/// What the clock shows. The core has none of its own.
///
/// The caller hands one over wherever the time of day decides: [`KeyOptions::admits`](super::KeyOptions::admits),
/// [`AllowedSigners::check`](super::AllowedSigners::check).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub unix: u64,
    /// Seconds that local time is ahead of UTC now, negative to the west of it. Files give most
    /// moments in local time; with 0 here they are taken for UTC.
    pub utc_offset: i32,
}

impl WallClock {
    /// A clock at this second, in a place whose local time is UTC.
    pub const fn utc(unix: u64) -> Self {
        Self {
            unix,
            utc_offset: 0,
        }
    }
}

/// A moment of a key file, in UTC where it ends in `Z`, else in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileTime {
    /// Seconds since 1970, as if the clock that is meant were one of UTC.
    seconds: u64,
    utc: bool,
}

impl FileTime {
    /// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with `Z` or `UTC` behind it or not.
    ///
    /// Days that are not in the calendar and years before 1970 are no moments.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let utc = text
            .strip_suffix(b"Z")
            .or_else(|| text.strip_suffix(b"UTC"));
        let digits = utc.unwrap_or(text);
        if !matches!(digits.len(), 8 | 12 | 14) {
            return None;
        }
        let number = |from: usize, to: usize| {
            // What is not given is zero.
            digits
                .get(from..to)
                .unwrap_or(b"0")
                .iter()
                .try_fold(0u64, |number, digit| {
                    let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
                    number.checked_mul(10)?.checked_add(digit.into())
                })
        };
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_since_1970(year, month, day)?;
        Some(Self {
            seconds: ((days * 24 + hour) * 60 + minute) * 60 + second,
            utc: utc.is_some(),
        })
    }

    /// Whether the clock shows this moment or a later one.
    ///
    /// A moment in local time is compared with the local clock as it shows now, so that no table
    /// of time zones is needed: it errs, by the hour that clocks are changed, only within that
    /// hour of a change.
    pub const fn is_reached(self, now: WallClock) -> bool {
        let offset = if self.utc { 0 } else { now.utc_offset };
        now.unix.saturating_add_signed(offset as i64) >= self.seconds
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, if it is in it.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    let length = lengths.get(before)?;
    if !(1970..=9999).contains(&year) || !(1..=*length).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year)
        .map(|year| if leap(year) { 366 } else { 365 })
        .sum();
    Some(years + lengths.iter().take(before).sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<FileTime> {
        FileTime::parse(text.as_bytes())
    }

    /// Numbers of `date -u +%s -d ...`.
    #[test]
    fn moments_are_read_to_the_second() {
        for (text, seconds) in [
            ("19700101Z", 0),
            ("19700102Z", 86_400),
            ("20240229123456UTC", 1_709_210_096),
            ("202402291234Z", 1_709_210_040),
            ("20000229Z", 951_782_400),
            ("20991231235959Z", 4_102_444_799),
            ("99991231235959Z", 253_402_300_799),
        ] {
            let time = parse(text).unwrap();
            assert_eq!((time.seconds, time.utc), (seconds, true), "{text}");
        }
        assert!(!parse("20240229").unwrap().utc);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "Z",
            "2024",
            "20241301Z",
            "20240001",
            "20240100",
            "20240132",
            "20230229",
            "21000229",
            "20240431",
            "2024022924",
            "202402292400",
            "202402290060",
            "20240229000060",
            "2024-02-29",
            "20240229z",
            "+2024022",
            "19691231",
            "20240229 ",
            "20240229ZZ",
            "0x65e07400",
            "always",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn n6_local_moments_follow_the_offset_and_clocks_saturate() {
        let (utc, local) = (parse("20240229Z").unwrap(), parse("20240229").unwrap());
        let midnight = 1_709_164_800;
        for (unix, utc_offset, utc_reached, local_reached) in [
            (midnight, 0, true, true),
            (midnight - 1, 0, false, false),
            (midnight - 3600, 3600, false, true),
            (midnight + 3599, -3600, true, false),
            (0, -3600, false, false),
            (u64::MAX, i32::MAX, true, true),
            (u64::MAX, i32::MIN, true, true),
        ] {
            let now = WallClock { unix, utc_offset };
            assert_eq!(utc.is_reached(now), utc_reached, "{now:?}");
            assert_eq!(local.is_reached(now), local_reached, "{now:?}");
        }
    }
}
