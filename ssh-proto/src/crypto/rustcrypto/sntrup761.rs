//! Streamlined NTRU Prime 761, the key encapsulation mechanism of `sntrup761x25519-sha512` (draft-josefsson-ntruprime-streamlined).
//!
//! Written here because no crate fits: one needs a standard library, a C compiler and the hashes of
//! an older generation, the other a compiler newer than ours.
//!
//! Arithmetic is in Z\[x\]/(x^761 - x - 1), with coefficients mod 4591 (`R/q`) or mod 3 (`R/3`),
//! each kept in the range around zero. Nothing branches on a secret or is looked up by one: choices
//! are masks, reductions are multiplications by constants, division is of public values alone, and
//! the number of steps is fixed but for attempts that are thrown away.

use alloc::vec;
use alloc::vec::Vec;

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::hash::SHA512;
use super::kex_hybrid::Kem;
use crate::crypto::{HashAlgorithm as _, SecureRandom};
use crate::error::CryptoError;

/// Degree of the modulus.
pub(super) const P: usize = 761;
const Q: i32 = 4591;
/// The largest coefficient mod q.
const Q_HALF: i32 = (Q - 1) / 2;
/// Coefficients of a short polynomial that are not zero.
const WEIGHT: usize = 286;
/// Different values of a rounded coefficient.
const ROUNDED: u32 = (Q as u32).div_ceil(3);

const PUBLIC_LEN: usize = 1158;
const ROUNDED_LEN: usize = 1007;
const CONFIRM_LEN: usize = 32;
const CIPHERTEXT_LEN: usize = ROUNDED_LEN + CONFIRM_LEN;
/// A polynomial of small coefficients, four to a byte.
pub(super) const SMALL_LEN: usize = P.div_ceil(4);

/// Coefficients, lowest first.
type Polynomial = Zeroizing<Vec<i16>>;

fn zero() -> Polynomial {
    Zeroizing::new(vec![0; P])
}

/// `x` mod 3, as -1, 0 or 1, for |x| up to 16000.
const fn mod_3(x: i32) -> i32 {
    x - 3 * ((10_923 * x + 16_384) >> 15)
}

/// `x` mod q, as -2295 to 2295, for |x| up to 12 million: a coarse quotient and then the nearest.
const fn mod_q(x: i32) -> i32 {
    let x = x - Q * ((57 * x) >> 18);
    x - Q * ((29_235 * x + (1 << 26)) >> 27)
}

/// `a` to the power of q - 2, which is its inverse mod q.
fn invert_mod_q(a: i32) -> i32 {
    let mut power = 1;
    for bit in (0..13).rev() {
        power = mod_q(power * power);
        // The exponent is a constant.
        if (Q - 2) >> bit & 1 == 1 {
            power = mod_q(power * a);
        }
    }
    power
}

/// The product, each coefficient reduced by `reduce`. One factor is small, so sums stay below
/// 3 * 761 * 2295.
fn multiply(a: &[i16], small: &[i16], reduce: impl Fn(i32) -> i32) -> Polynomial {
    let mut sums = Zeroizing::new(vec![0i32; 2 * P]);
    for (at, factor) in small.iter().enumerate() {
        for (sum, coefficient) in sums.iter_mut().skip(at).zip(a) {
            *sum += i32::from(*factor) * i32::from(*coefficient);
        }
    }
    // x^761 = x + 1, so what stands above counts twice: at its place less 761, and one above that.
    let mut product = zero();
    let (low, high) = sums.split_at(P);
    let above = core::iter::once(&0).chain(high);
    for (((coefficient, low), high), above) in product.iter_mut().zip(low).zip(high).zip(above) {
        *coefficient = reduce(low + high + above) as i16;
    }
    product
}

/// All ones if `choice` is negative, else zero.
const fn negative_mask(choice: i32) -> i32 {
    choice >> 31
}

/// All ones if `x` is not zero, else zero.
const fn nonzero_mask(x: i32) -> i32 {
    negative_mask(x | x.wrapping_neg())
}

/// `scale` / `a`, and whether `a` has an inverse: by division steps of constant number
/// (Bernstein and Yang 2019), on polynomials turned around.
fn invert(
    a: &[i16],
    scale: i16,
    reduce: impl Fn(i32) -> i32,
    invert_coefficient: impl Fn(i32) -> i32,
) -> (Polynomial, bool) {
    fn swap(mask: i32, a: &mut [i16], b: &mut [i16]) {
        for (a, b) in a.iter_mut().zip(b) {
            let difference = mask as i16 & (*a ^ *b);
            *a ^= difference;
            *b ^= difference;
        }
    }
    let [mut f, mut g, mut v, mut r] = [(); 4].map(|()| Zeroizing::new(vec![0i16; P + 1]));
    if let ([first, .., last_but_one, last], [constant, ..]) = (&mut f[..], &mut r[..]) {
        (*first, *last_but_one, *last) = (1, -1, -1);
        *constant = scale;
    }
    for (to, from) in g.iter_mut().zip(a.iter().rev()) {
        *to = *from;
    }
    let mut delta = 1i32;
    for _ in 0..2 * P - 1 {
        // v is multiplied by x.
        v.copy_within(..P, 1);
        if let [lowest, ..] = &mut v[..] {
            *lowest = 0;
        }
        let head = |polynomial: &[i16]| i32::from(polynomial.first().copied().unwrap_or_default());
        let swapped = negative_mask(-delta) & nonzero_mask(head(&g));
        delta ^= swapped & (delta ^ -delta);
        delta += 1;
        swap(swapped, &mut f, &mut g);
        swap(swapped, &mut v, &mut r);
        let (f_0, g_0) = (head(&f), head(&g));
        let eliminate = |to: &mut [i16], from: &[i16]| {
            for (to, from) in to.iter_mut().zip(from) {
                *to = reduce(f_0 * i32::from(*to) - g_0 * i32::from(*from)) as i16;
            }
        };
        eliminate(&mut g, &f);
        eliminate(&mut r, &v);
        // g, whose lowest coefficient is zero now, is divided by x.
        g.rotate_left(1);
    }
    let unit = invert_coefficient(f.first().copied().unwrap_or_default().into());
    let mut inverse = zero();
    for (to, from) in inverse.iter_mut().zip(v.iter().take(P).rev()) {
        *to = reduce(unit * i32::from(*from)) as i16;
    }
    (inverse, delta == 0)
}

/// 1 / 3`a` in `R/q`. Every short polynomial has an inverse there.
fn invert_3_mod_q(a: &[i16]) -> Polynomial {
    invert(a, invert_mod_q(3) as i16, mod_q, invert_mod_q).0
}

/// 1 / `a` in `R/3`. One polynomial in about eleven has none, which may be known of it since it is
/// thrown away then.
fn invert_mod_3(a: &[i16]) -> Option<Polynomial> {
    // 1 and -1 are their own inverses.
    let (inverse, exists) = invert(a, 1, mod_3, |unit| unit);
    exists.then_some(inverse)
}

/// Rounds each coefficient to the nearest multiple of three.
fn round(polynomial: &mut [i16]) {
    for coefficient in polynomial {
        *coefficient -= mod_3((*coefficient).into()) as i16;
    }
}

/// Random words, one for each coefficient.
fn random_words(random: &mut dyn SecureRandom) -> Result<Zeroizing<Vec<u32>>, CryptoError> {
    let mut bytes = Zeroizing::new(vec![0; 4 * P]);
    random.fill(&mut bytes)?;
    let words = bytes.chunks_exact(4).map(|word| {
        let word: [u8; 4] = word.try_into().unwrap_or_default();
        u32::from_le_bytes(word)
    });
    Ok(Zeroizing::new(words.collect()))
}

/// A polynomial of coefficients -1, 0 and 1.
fn random_small(random: &mut dyn SecureRandom) -> Result<Polynomial, CryptoError> {
    let words = random_words(random)?;
    let mut small = zero();
    for (to, word) in small.iter_mut().zip(&*words) {
        *to = (((word & 0x3fff_ffff) * 3) >> 30) as i16 - 1;
    }
    Ok(small)
}

/// A short polynomial: of the right weight, signs and places random. The places are random because
/// the words are sorted, whose two lowest bits are the coefficient.
fn random_short(random: &mut dyn SecureRandom) -> Result<Polynomial, CryptoError> {
    let mut words = random_words(random)?;
    for (at, word) in words.iter_mut().enumerate() {
        *word = match at < WEIGHT {
            true => *word & !1,
            false => *word & !3 | 1,
        };
    }
    sort(&mut words);
    let mut short = zero();
    for (to, word) in short.iter_mut().zip(&*words) {
        *to = (word & 3) as i16 - 1;
    }
    Ok(short)
}

/// Batcher's merge exchange (Knuth, The Art of Computer Programming, 5.2.2, algorithm M): which
/// places are compared depends on their number alone.
fn sort(words: &mut [u32]) {
    let top = words.len().next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            for low in 0..words.len().saturating_sub(d) {
                if low & p == r
                    && let Some((head, tail)) = words.split_at_mut_checked(low + d)
                    && let (Some(a), Some(b)) = (head.get_mut(low), tail.first_mut())
                {
                    // All ones if they are to be exchanged: the borrow of b - a.
                    let mask = (u64::from(*b).wrapping_sub(u64::from(*a)) >> 32) as u32;
                    let difference = mask & (*a ^ *b);
                    *a ^= difference;
                    *b ^= difference;
                }
            }
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
}

/// What is left of two values of a mixed radix once their low bytes are written or read.
const LIMIT: u32 = 1 << 14;

/// Digits, each below its modulus, as bytes: pairs are joined until one is left, and bytes leave as
/// soon as a joint modulus exceeds the limit.
fn encode_digits(mut digits: Vec<(u32, u32)>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(PUBLIC_LEN));
    while digits.len() > 1 {
        let joined = digits.chunks(2).map(|pair| match *pair {
            [(low, low_modulus), (high, high_modulus)] => {
                let (mut digit, mut modulus) =
                    (low + high * low_modulus, low_modulus * high_modulus);
                while modulus >= LIMIT {
                    out.push(digit as u8);
                    (digit, modulus) = (digit >> 8, modulus.div_ceil(256));
                }
                (digit, modulus)
            }
            ref last => last.first().copied().unwrap_or_default(),
        });
        let joined = joined.collect();
        digits.zeroize();
        digits = joined;
    }
    if let Some((mut digit, mut modulus)) = digits.pop() {
        while modulus > 1 {
            out.push(digit as u8);
            (digit, modulus) = (digit >> 8, modulus.div_ceil(256));
        }
    }
    out
}

/// The digits, each below `modulus`, in bytes that are public. Any bytes of the right number decode.
fn decode_digits(bytes: &[u8], modulus: u32) -> Vec<u32> {
    /// The digits of these moduli.
    fn decode(bytes: &mut impl Iterator<Item = u8>, moduli: &[u32]) -> Vec<u32> {
        let mut take = |limit: u32, modulus: u32| {
            let (mut low, mut weight, mut rest) = (0, 1, modulus);
            while rest >= limit {
                low += u32::from(bytes.next().unwrap_or_default()) * weight;
                (weight, rest) = (weight * 256, rest.div_ceil(256));
            }
            (low, weight, rest)
        };
        if let [modulus] = *moduli {
            let (digit, ..) = take(2, modulus);
            return vec![digit.checked_rem(modulus).unwrap_or_default()];
        }
        let mut lows = Vec::with_capacity(moduli.len().div_ceil(2));
        let mut joined = Vec::with_capacity(moduli.len().div_ceil(2));
        for pair in moduli.chunks(2) {
            let (low, weight, rest) = match *pair {
                [a, b] => take(LIMIT, a * b),
                ref last => (0, 1, last.first().copied().unwrap_or(1)),
            };
            lows.push((low, weight));
            joined.push(rest);
        }
        let mut digits = Vec::with_capacity(moduli.len());
        let upper = decode(bytes, &joined);
        for ((pair, (low, weight)), upper) in moduli.chunks(2).zip(lows).zip(upper) {
            let digit = low + weight * upper;
            match *pair {
                [a, b] => {
                    digits.push(digit.checked_rem(a).unwrap_or_default());
                    let high = digit.checked_div(a).unwrap_or_default();
                    digits.push(high.checked_rem(b).unwrap_or_default());
                }
                _ => digits.push(digit),
            }
        }
        digits
    }
    decode(&mut bytes.iter().copied(), &[modulus; P])
}

/// A public key.
fn encode_public(h: &[i16]) -> Vec<u8> {
    let digit = |c: &i16| ((i32::from(*c) + Q_HALF) as u32, Q as u32);
    core::mem::take(&mut *encode_digits(h.iter().map(digit).collect()))
}

fn decode_public(bytes: &[u8]) -> Polynomial {
    let mut h = zero();
    for (to, digit) in h.iter_mut().zip(decode_digits(bytes, Q as u32)) {
        *to = (digit as i32 - Q_HALF) as i16;
    }
    h
}

/// A polynomial whose coefficients are multiples of three.
fn encode_rounded(polynomial: &[i16]) -> Zeroizing<Vec<u8>> {
    // Division by three, as a multiplication.
    let digit = |c: &i16| (((i32::from(*c) + Q_HALF) as u32 * 10_923) >> 15, ROUNDED);
    encode_digits(polynomial.iter().map(digit).collect())
}

fn decode_rounded(bytes: &[u8]) -> Polynomial {
    let mut polynomial = zero();
    for (to, digit) in polynomial.iter_mut().zip(decode_digits(bytes, ROUNDED)) {
        *to = (3 * digit as i32 - Q_HALF) as i16;
    }
    polynomial
}

/// A polynomial of coefficients -1, 0 and 1.
fn encode_small(polynomial: &[i16]) -> Zeroizing<[u8; SMALL_LEN]> {
    let mut bytes = Zeroizing::new([0; SMALL_LEN]);
    for (byte, coefficients) in bytes.iter_mut().zip(polynomial.chunks(4)) {
        for (at, coefficient) in coefficients.iter().enumerate() {
            *byte |= ((coefficient + 1) as u8) << (2 * at);
        }
    }
    bytes
}

/// The first half of SHA-512, with a byte in front that says what for.
fn hash(purpose: u8, parts: [&[u8]; 2]) -> Zeroizing<[u8; 32]> {
    let [first, second] = parts;
    let output = SHA512.hash(&[&[purpose], first, second]);
    let mut half = Zeroizing::new([0; 32]);
    for (to, from) in half.iter_mut().zip(output.as_ref()) {
        *to = *from;
    }
    half
}

/// The secret of a session in which `input` was encrypted; the purpose is 1, or 0 if it was not.
fn session_secret(purpose: u8, input: &[u8; SMALL_LEN], ciphertext: &[u8]) -> Zeroizing<[u8; 32]> {
    hash(purpose, [&*hash(3, [input, &[]]), ciphertext])
}

/// The ciphertext that hides `input` under a public key whose hash is `public_hash`.
fn hide(
    input: &[i16],
    encoded_input: &[u8; SMALL_LEN],
    public: &[i16],
    public_hash: &[u8; 32],
) -> Vec<u8> {
    let mut product = multiply(public, input, mod_q);
    round(&mut product);
    let mut ciphertext = core::mem::take(&mut *encode_rounded(&product));
    let confirmation = hash(2, [&*hash(3, [encoded_input, &[]]), public_hash]);
    ciphertext.extend_from_slice(&*confirmation);
    ciphertext
}

/// A secret key.
pub(super) struct Sntrup761 {
    f: Polynomial,
    g_inverse: Polynomial,
    /// What takes the place of the input if a ciphertext is wrong.
    rejection: Zeroizing<[u8; SMALL_LEN]>,
    public: Polynomial,
    public_hash: [u8; 32],
}

impl ZeroizeOnDrop for Sntrup761 {}

impl Sntrup761 {
    fn new(
        f: Polynomial,
        g: &[i16],
        g_inverse: Polynomial,
        rejection: Zeroizing<[u8; SMALL_LEN]>,
    ) -> Self {
        let public = multiply(&invert_3_mod_q(&f), g, mod_q);
        let public_hash = *hash(4, [&encode_public(&public), &[]]);
        Self {
            f,
            g_inverse,
            rejection,
            public,
            public_hash,
        }
    }

    /// The short polynomial in a ciphertext, or some other if there is none in it.
    fn decrypt(&self, rounded: &[i16]) -> Polynomial {
        let mut product = multiply(rounded, &self.f, mod_q);
        for coefficient in product.iter_mut() {
            *coefficient = mod_3(mod_q(3 * i32::from(*coefficient))) as i16;
        }
        let mut input = multiply(&product, &self.g_inverse, mod_3);
        let weight: i32 = input.iter().map(|c| i32::from(c & 1)).sum();
        let wrong = nonzero_mask(weight - WEIGHT as i32) as i16;
        for (at, coefficient) in input.iter_mut().enumerate() {
            let instead = i16::from(at < WEIGHT);
            *coefficient ^= wrong & (*coefficient ^ instead);
        }
        input
    }
}

impl Kem for Sntrup761 {
    const PUBLIC_LEN: usize = PUBLIC_LEN;
    const CIPHERTEXT_LEN: usize = CIPHERTEXT_LEN;

    fn generate(random: &mut dyn SecureRandom) -> Result<Self, CryptoError> {
        // A source from which nothing good came so often is broken.
        for _ in 0..32 {
            let g = random_small(random)?;
            if let Some(g_inverse) = invert_mod_3(&g) {
                let f = random_short(random)?;
                let mut rejection = Zeroizing::new([0; SMALL_LEN]);
                random.fill(&mut *rejection)?;
                return Ok(Self::new(f, &g, g_inverse, rejection));
            }
        }
        Err(CryptoError::RandomFailed)
    }

    fn public(&self) -> Vec<u8> {
        encode_public(&self.public)
    }

    fn encapsulate(
        public: &[u8],
        random: &mut dyn SecureRandom,
    ) -> Result<(Vec<u8>, Zeroizing<[u8; 32]>), CryptoError> {
        if public.len() != PUBLIC_LEN {
            return Err(CryptoError::InvalidPublicValue);
        }
        let input = random_short(random)?;
        let encoded_input = encode_small(&input);
        let public_hash = hash(4, [public, &[]]);
        let ciphertext = hide(&input, &encoded_input, &decode_public(public), &public_hash);
        let secret = session_secret(1, &encoded_input, &ciphertext);
        Ok((ciphertext, secret))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let rounded = match ciphertext.split_first_chunk::<ROUNDED_LEN>() {
            Some((rounded, confirmation)) if confirmation.len() == CONFIRM_LEN => rounded,
            _ => return Err(CryptoError::InvalidPublicValue),
        };
        let input = self.decrypt(&decode_rounded(rounded));
        let mut encoded_input = encode_small(&input);
        let again = Zeroizing::new(hide(
            &input,
            &encoded_input,
            &self.public,
            &self.public_hash,
        ));
        let right = again.ct_eq(ciphertext);
        for (byte, instead) in encoded_input.iter_mut().zip(self.rejection.iter()) {
            *byte = u8::conditional_select(instead, byte, right);
        }
        Ok(session_secret(
            right.unwrap_u8(),
            &encoded_input,
            ciphertext,
        ))
    }
}

#[cfg(test)]
#[path = "sntrup761_tests.rs"]
mod tests;
