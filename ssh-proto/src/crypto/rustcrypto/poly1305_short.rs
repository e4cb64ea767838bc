//! Poly1305 for messages too short to repay the set-up of the vectorised code (RFC 8439 section 2.5).
//!
//! Where the `poly1305` crate finds AVX2 it spends over a microsecond before the first byte, most of
//! the work on the packet of a keystroke. This takes a block at a time in 64-bit limbs.

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest message for which this is faster, about where measurement puts it. Without 64-bit
/// multiplication it never is.
pub(super) const MAX_LEN: usize = if cfg!(target_pointer_width = "64") {
    8192
} else {
    0
};

/// The tag of `message` under a key that is used this once.
pub(super) fn authenticate(key: &[u8; 32], message: &[u8]) -> [u8; 16] {
    let mut state = State::new(key);
    let (blocks, rest) = message.as_chunks();
    for block in blocks {
        state.absorb(u128::from_le_bytes(*block), 1);
    }
    if !rest.is_empty() {
        let mut block = [0; 16];
        for (to, from) in block.iter_mut().zip(rest.iter().chain(&[1])) {
            *to = *from;
        }
        state.absorb(u128::from_le_bytes(block), 0);
    }
    state.tag()
}

/// The accumulator h = h0 + h1·2^64 + h2·2^128, of which h2 stays below 8, and the halves of the key.
#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    h0: u64,
    h1: u64,
    h2: u64,
    r0: u64,
    r1: u64,
    s: u128,
}

impl State {
    fn new(key: &[u8; 32]) -> Self {
        let [r, s] = [key.first_chunk(), key.last_chunk()]
            .map(|half| half.copied().map_or(0, u128::from_le_bytes));
        let r = r & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
        Self {
            h0: 0,
            h1: 0,
            h2: 0,
            r0: low(r),
            r1: high(r),
            s,
        }
    }

    /// h = (h + block + top·2^128) · r, reduced to little more than 130 bits.
    #[inline(always)]
    fn absorb(&mut self, block: u128, top: u64) {
        // No sum overflows: r0 and r1 are below 2^60, so h2 · r0 is below 2^63.
        let (r0, r1) = (u128::from(self.r0), u128::from(self.r1));
        // 2^130 is 5 modulo p, and r1 is a multiple of 4: 2^128 · r1 is 5/4 · r1.
        let s1 = u128::from(self.r1 + (self.r1 >> 2));

        let sum = u128::from(self.h0) + u128::from(low(block));
        let h0 = u128::from(low(sum));
        let sum = u128::from(self.h1) + u128::from(high(block)) + u128::from(high(sum));
        let h1 = u128::from(low(sum));
        let h2 = u128::from(self.h2 + high(sum) + top);

        let d0 = h0 * r0 + h1 * s1;
        let d1 = h0 * r1 + h1 * r0 + h2 * s1 + u128::from(high(d0));
        let d2 = low(h2 * r0) + high(d1);

        // What is above 2^130 comes back five times.
        let carry = (d2 >> 2) + (d2 & !3);
        let sum = u128::from(low(d0)) + u128::from(carry);
        self.h0 = low(sum);
        let sum = u128::from(low(d1)) + u128::from(high(sum));
        self.h1 = low(sum);
        self.h2 = (d2 & 3) + high(sum);
    }

    fn tag(&self) -> [u8; 16] {
        let h = u128::from(self.h0) | u128::from(self.h1) << 64;
        // h is below 2p; it is at least p if h + 5 reaches 2^130, and then h - p is h + 5 - 2^130.
        let (reduced, carry) = h.overflowing_add(5);
        let reached = (self.h2 + u64::from(carry)) >> 2;
        let mask = u128::from(reached).wrapping_neg();
        let h = (reduced & mask) | (h & !mask);
        h.wrapping_add(self.s).to_le_bytes()
    }
}

const fn low(wide: u128) -> u64 {
    wide as u64
}

const fn high(wide: u128) -> u64 {
    low(wide >> 64)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use poly1305::Poly1305;
    use poly1305::universal_hash::KeyInit as _;

    use super::*;
    use crate::crypto::rustcrypto::testing::{counting, hex};

    fn tag(key: &str, message: &[u8]) -> [u8; 16] {
        authenticate(&hex(key).try_into().unwrap(), message)
    }

    /// RFC 8439 section 2.5.2.
    #[test]
    fn rfc_8439_example() {
        assert_eq!(
            tag(
                "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
                b"Cryptographic Forum Research Group"
            ),
            *hex("a8061dc1305136c6c22b8baf0c0127a9")
        );
    }

    /// RFC 8439 appendix A.3, test vectors 7 to 11: sums that reach 2^128, 2^130 and p.
    #[test]
    fn rfc_8439_edges() {
        let r = |first: u8| {
            let mut key = vec![0; 32];
            key[0] = first;
            <[u8; 32]>::try_from(key).unwrap()
        };
        let ones = "ffffffffffffffffffffffffffffffff";
        let cases = [
            (
                1,
                [
                    ones,
                    "f0ffffffffffffffffffffffffffffff",
                    "11000000000000000000000000000000",
                ]
                .concat(),
                "05000000000000000000000000000000",
            ),
            (
                1,
                [
                    ones,
                    "fbfefefefefefefefefefefefefefefe",
                    "01010101010101010101010101010101",
                ]
                .concat(),
                "00000000000000000000000000000000",
            ),
            (
                2,
                "fdffffffffffffffffffffffffffffff".into(),
                "faffffffffffffffffffffffffffffff",
            ),
        ];
        for (first, message, expected) in cases {
            assert_eq!(authenticate(&r(first), &hex(&message)), *hex(expected));
        }
        let mut key = r(1);
        key[8] = 4;
        let message = "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000";
        assert_eq!(
            authenticate(&key, &hex(message)),
            *hex("14000000000000005500000000000000")
        );
        assert_eq!(
            authenticate(&key, &hex(&message[..96])),
            *hex("13000000000000000000000000000000")
        );
    }

    /// Against the crate, for short lengths and some long ones.
    #[test]
    fn same_as_the_crate() {
        for len in (0..600).chain([4095, 8188, 8192]) {
            for (first, fill) in [(0, len as u8), (0x83, 0xff)] {
                let key: [u8; 32] = counting(first ^ len as u8, 32).try_into().unwrap();
                let message = match fill {
                    0xff => vec![0xff; len],
                    fill => counting(fill, len),
                };
                let expected: [u8; 16] =
                    Poly1305::new(&key.into()).compute_unpadded(&message).into();
                assert_eq!(authenticate(&key, &message), expected, "{len}");
                let expected: [u8; 16] = Poly1305::new(&[0xff; 32].into())
                    .compute_unpadded(&message)
                    .into();
                assert_eq!(authenticate(&[0xff; 32], &message), expected, "{len}");
            }
        }
    }
}
