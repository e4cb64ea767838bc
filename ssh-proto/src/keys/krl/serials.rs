//! Serial numbers of revoked certificates: ranges and bitmaps as they come, never counted out (PROTOCOL.krl section 1.1).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Serial numbers, none of which is zero: that is what certificates without a number have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Serials {
    /// The last number of each range by its first; none touches another.
    ranges: BTreeMap<u64, u64>,
    /// A first number, and bits for it and those that follow, the last bit first.
    bitmaps: Vec<(u64, Box<[u8]>)>,
}

impl Serials {
    /// Adds a range; `None` if it is empty or has zero in it.
    pub(super) fn add(&mut self, first: u64, last: u64) -> Option<()> {
        if first == 0 || first > last {
            return None;
        }
        let (mut first, mut last) = (first, last);
        // What overlaps or adjoins becomes part of it.
        while let Some((&from, &to)) = self.ranges.range(..=last.saturating_add(1)).next_back()
            && to >= first.saturating_sub(1)
        {
            self.ranges.remove(&from);
            (first, last) = (first.min(from), last.max(to));
        }
        self.ranges.insert(first, last);
        Some(())
    }

    /// Adds those whose bits are set in a big-endian number, counted from `first`; `None` if zero
    /// or a number past the last there is would be among them.
    pub(super) fn add_bitmap(&mut self, first: u64, bits: &[u8]) -> Option<()> {
        let zeros = bits.first().map_or(0, |byte| byte.leading_zeros());
        let count = u64::try_from(bits.len()).ok()?.checked_mul(8)?;
        let count = count.saturating_sub(zeros.into());
        let has_zero = first == 0 && bits.last().is_some_and(|byte| byte & 1 != 0);
        if has_zero || first.checked_add(count.saturating_sub(1)).is_none() {
            return None;
        }
        self.bitmaps.push((first, bits.into()));
        Some(())
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        let nearest = self.ranges.range(..=serial).next_back();
        let in_range = nearest.is_some_and(|(_, last)| serial <= *last);
        in_range
            || self
                .bitmaps
                .iter()
                .any(|(first, bits)| has_bit(bits, serial, *first))
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.ranges.iter().map(|(first, last)| *first..=*last)
    }

    pub(super) fn bitmaps(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.bitmaps.iter().map(|(first, bits)| (*first, &**bits))
    }
}

fn has_bit(bits: &[u8], serial: u64, first: u64) -> bool {
    let Some(bit) = serial.checked_sub(first) else {
        return false;
    };
    let byte = usize::try_from(bit / 8)
        .ok()
        .and_then(|byte| bits.iter().nth_back(byte));
    byte.is_some_and(|byte| byte >> (bit % 8) & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_joined_and_searched() {
        let mut serials = Serials::default();
        for (first, last) in [
            (10, 20),
            (5, 5),
            (21, 30),
            (15, 18),
            (u64::MAX, u64::MAX),
            (7, 8),
        ] {
            serials.add(first, last).unwrap();
        }
        serials.add(40, u64::MAX - 1).unwrap();
        let ranges: Vec<_> = serials.ranges.clone().into_iter().collect();
        assert_eq!(ranges, [(5, 5), (7, 8), (10, 30), (40, u64::MAX)]);
        for (serial, revoked) in [
            (0, false),
            (4, false),
            (5, true),
            (6, false),
            (7, true),
            (9, false),
            (10, true),
            (30, true),
            (31, false),
            (39, false),
            (40, true),
            (u64::MAX, true),
        ] {
            assert_eq!(serials.contains(serial), revoked, "{serial}");
        }
        assert_eq!(serials.add(0, 5), None);
        assert_eq!(serials.add(5, 4), None);
    }

    #[test]
    fn bitmaps_are_read_from_their_end() {
        let mut serials = Serials::default();
        serials
            .add_bitmap(100, &[0b1000_0000, 0b0000_0101])
            .unwrap();
        let revoked: Vec<u64> = (0..200)
            .filter(|serial| serials.contains(*serial))
            .collect();
        assert_eq!(revoked, [100, 102, 115]);
        assert_eq!(serials.add_bitmap(0, &[1]), None);
        assert_eq!(serials.add_bitmap(0, &[2]), Some(()));
        assert!(serials.contains(1) && !serials.contains(0));
        assert_eq!(serials.add_bitmap(u64::MAX, &[1]), Some(()));
        assert_eq!(serials.add_bitmap(u64::MAX, &[2]), None);
        assert_eq!(serials.add_bitmap(9, &[]), Some(()));
        assert!(serials.contains(u64::MAX) && !serials.contains(9));
    }
}
