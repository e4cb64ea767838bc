//! Tests of ECDSA over all three curves.

use alloc::vec;
use alloc::vec::Vec;
use std::format;

use ecdsa::elliptic_curve::ff::PrimeField;
use ecdsa::elliptic_curve::ops::Reduce;

use super::*;
use crate::crypto::rustcrypto::testing::{Script, hex};
use crate::wire::put_string;

/// RFC 6979 appendices A.2.5 to A.2.7: key, and the signatures of "sample" and "test" under the
/// hash of the curve. The same comes from `cryptography` (Python) with `deterministic_signing`.
struct Case {
    algorithm: &'static dyn SignatureAlgorithm,
    curve: EcdsaCurve,
    scalar: &'static str,
    point: &'static str,
    signatures: [(&'static str, &'static str); 2],
    order: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        algorithm: &ECDSA_SHA2_NISTP256,
        curve: EcdsaCurve::Nistp256,
        scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
        point: "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        signatures: [
            (
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            (
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ],
        order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    },
    Case {
        algorithm: &ECDSA_SHA2_NISTP384,
        curve: EcdsaCurve::Nistp384,
        scalar: "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8\
                 96d5724e4c70a825f872c9ea60d2edf5",
        point: "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64\
                def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c621896\
                708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
        signatures: [
            (
                "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c\
                 81a648152e44acf96e36dd1e80fabe46",
                "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f\
                 a329c145786e679e7b82c71a38628ac8",
            ),
            (
                "8203b63d3c853e8d77227fb377bcf7b7b772e97892a80f36ab775d509d7a5feb\
                 0542a7f0812998da8f1dd3ca3cf023db",
                "ddd0760448d42d8a43af45af836fce4de8be06b485e9b61b827c2f13173923e0\
                 6a739f040649a667bf3b828246baa5a5",
            ),
        ],
        order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                581a0db248b0a77aecec196accc52973",
    },
    Case {
        algorithm: &ECDSA_SHA2_NISTP521,
        curve: EcdsaCurve::Nistp521,
        scalar: "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75c\
                 aa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
        point: "0401894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd\
                371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f502\
                3a400493101c962cd4d2fddf782285e64584139c2f91b47f87ff82354d6630f74\
                6a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bf\
                dfcf5",
        signatures: [
            (
                "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f1\
                 74e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
                "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af2\
                 82623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
            ),
            (
                "013e99020abf5cee7525d16b69b229652ab6bdf2affcaef38773b4b7d08725f10\
                 cdb93482fdcc54edcee91eca4166b2a7c6265ef0ce2bd7051b7cef945babd47ee6d",
                "01fbd0013c674aa79cb39849527916ce301c66ea7ce8b80682786ad60f98f7e78\
                 a19ca69eff5c57400e3b3a0ad66ce0978214d13baf4e9ac60752f7b155e2de4dce3",
            ),
        ],
        order: "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                ffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    },
];

impl Case {
    fn name(&self) -> &'static str {
        self.curve.key_type()
    }

    fn private(&self) -> PrivateKey {
        PrivateKey::Ecdsa {
            curve: self.curve,
            public: hex(self.point),
            scalar: Zeroizing::new(hex(self.scalar)),
        }
    }

    fn key(&self) -> PublicKey {
        PublicKey::ecdsa(self.curve, &hex(self.point))
    }

    /// The numbers of the signature of "sample".
    fn numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let (r, s) = self.signatures[0];
        (hex(r), hex(s))
    }

    fn verify(&self, blob: &[u8]) -> Result<(), CryptoError> {
        let signature = Signature::new(self.name(), blob);
        self.algorithm.verify(&self.key(), b"sample", &signature)
    }
}

fn signing_key(private: &PrivateKey) -> Result<alloc::sync::Arc<dyn SigningKey>, CryptoError> {
    crate::crypto::rustcrypto::provider().signing_key(private)
}

fn mpints(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut blob = BytesMut::new();
    put_mpint(&mut blob, r);
    put_mpint(&mut blob, s);
    blob.to_vec()
}

fn strings(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut blob = BytesMut::new();
    put_string(&mut blob, r);
    put_string(&mut blob, s);
    blob.to_vec()
}

#[test]
fn rfc_6979() {
    for case in CASES {
        let key = signing_key(&case.private()).unwrap();
        assert_eq!(key.algorithms(), [case.name()]);
        for (message, (r, s)) in [b"sample".as_slice(), b"test"].iter().zip(case.signatures) {
            let signature = key.sign(case.name(), message).unwrap();
            let expected = Signature::new(case.name(), &mpints(&hex(r), &hex(s)));
            assert_eq!(signature, expected);
            let verdict = case.algorithm.verify(key.public_key(), message, &signature);
            assert_eq!(verdict, Ok(()));
        }
    }
}

#[test]
fn m4_keys_must_fit_together() {
    for case in CASES {
        let fits = |public: &[u8], scalar: &[u8]| {
            signing_key(&PrivateKey::Ecdsa {
                curve: case.curve,
                public: public.to_vec(),
                scalar: Zeroizing::new(scalar.to_vec()),
            })
            .map(|_| ())
        };
        let (point, scalar) = (hex(case.point), hex(case.scalar));
        assert_eq!(fits(&point, &scalar), Ok(()));
        let mut other = scalar.clone();
        *other.last_mut().unwrap() ^= 1;
        let (zero, top) = (vec![0; scalar.len()], vec![0xff; scalar.len()]);
        let longer = [&[0], &scalar[..]].concat();
        for scalar in [other, zero, hex(case.order), top, longer, vec![]] {
            assert_eq!(fits(&point, &scalar), Err(CryptoError::InvalidKey));
        }
        let hybrid = [&[7], &point[1..]].concat();
        for point in [&hybrid[..], &point[..33], &[]] {
            assert_eq!(fits(point, &scalar), Err(CryptoError::InvalidKey));
        }
        let key = signing_key(&case.private()).unwrap();
        let refused = key.sign("ssh-ed25519", b"");
        assert_eq!(refused, Err(CryptoError::Unsupported));
        assert!(!format!("{key:?}").contains(&case.scalar[..8]));
    }
}

#[test]
fn generated_keys_sign() {
    let provider = crate::crypto::rustcrypto::provider();
    for case in CASES {
        // Values out of range are drawn again; of P-521 the unused bits are cleared.
        let mut scalar = hex(case.scalar);
        if case.curve == EcdsaCurve::Nistp521 {
            scalar[0] |= 0xfe;
        }
        let zero = vec![0; scalar.len()];
        let mut random = Script([hex(case.order), zero, scalar].concat());
        let private = provider.keys.generate(case.name(), &mut random).unwrap();
        assert_eq!(private.public_key(), case.key());
        let signature = signing_key(&private).unwrap().sign(case.name(), b"sample");
        let (r, s) = case.numbers();
        let expected = Signature::new(case.name(), &mpints(&r, &s));
        assert_eq!(signature, Ok(expected));
        let mut broken = Script(vec![0; 8 * case.curve.field_len()]);
        let refused = provider.keys.generate(case.name(), &mut broken).err();
        assert_eq!(refused, Some(CryptoError::RandomFailed));
    }
}

/// O3: with the key known, each signature gives its nonce away. None repeats, all of their bits
/// are used, and none is set or clear more often than chance has it.
fn judge_nonces<C>(case: &Case, digest: fn(&[u8]) -> Vec<u8>)
where
    C: NistCurve,
    Scalar<C>: Reduce<FieldBytes<C>>,
{
    const SIGNATURES: usize = 256;
    let scalar = |bytes: &[u8]| {
        let mut repr = FieldBytes::<C>::default();
        let start = repr.len() - bytes.len();
        repr[start..].copy_from_slice(bytes);
        Scalar::<C>::reduce(&repr)
    };
    let x = scalar(&hex(case.scalar));
    let key = signing_key(&case.private()).unwrap();
    let bits = <Scalar<C> as PrimeField>::NUM_BITS as usize;
    let mut nonces: Vec<Vec<u8>> = Vec::new();
    let mut set = vec![0_usize; 16];
    for i in 0..SIGNATURES {
        let message = i.to_be_bytes();
        let signature = key.sign(case.name(), &message).unwrap();
        let blob = signature_blob(&signature, case.name()).unwrap();
        let (r, s) = read_scalars::<C>(blob).unwrap();
        let (r, s) = (Scalar::<C>::reduce(&r), Scalar::<C>::reduce(&s));
        let z = scalar(&digest(&message));
        let inverse: Scalar<C> = Option::from(ecdsa::elliptic_curve::Field::invert(&s)).unwrap();
        let nonce: FieldBytes<C> = ((z + r * x) * inverse).into();
        // It is the nonce indeed: r is what comes of it.
        let secret = SecretKey::<C>::from_slice(&nonce).unwrap();
        let point = uncompressed(&secret.public_key());
        assert_eq!(scalar(&point[1..][..case.curve.field_len()]), r);
        let top = 8 * nonce.len() - bits;
        for (i, set) in set.iter_mut().enumerate() {
            let bit = top + i;
            *set += usize::from(nonce[bit / 8] >> (7 - bit % 8) & 1);
        }
        nonces.push(nonce.to_vec());
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), SIGNATURES);
    // Six standard deviations.
    let even = SIGNATURES / 2 - 48..=SIGNATURES / 2 + 48;
    assert!(set.iter().all(|set| even.contains(set)), "{set:?}");
}

#[test]
fn o3_nonces_use_all_their_bits() {
    use sha2::Digest as _;

    let [p256, p384, p521] = CASES;
    judge_nonces::<NistP256>(&p256, |m| sha2::Sha256::digest(m).to_vec());
    judge_nonces::<NistP384>(&p384, |m| sha2::Sha384::digest(m).to_vec());
    judge_nonces::<NistP521>(&p521, |m| sha2::Sha512::digest(m).to_vec());
}

/// D2: zero, from the order on, negative, not minimal, too long, truncated, trailing, wrong.
#[test]
fn d2_bad_signatures_are_refused() {
    for case in CASES {
        let ((r, s), n) = (case.numbers(), hex(case.order));
        let good = mpints(&r, &s);
        assert_eq!(case.verify(&good), Ok(()));
        let ones = vec![0xff; case.curve.field_len()];
        let mut bad = vec![
            mpints(&[], &s),
            mpints(&r, &[]),
            mpints(&[], &[]),
            mpints(&n, &s),
            mpints(&r, &n),
            mpints(&ones, &s),
            mpints(&r, &ones),
            mpints(&[&[1], &r[..]].concat(), &s),
            mpints(&r, &[&[1], &s[..]].concat()),
            mpints(&s, &r),
            strings(&[0], &s),
            [&good[..], &[0]].concat(),
            [&r[..], &s].concat(),
        ];
        if r[0] >= 0x80 && s[0] >= 0x80 {
            // Without a zero in front they are negative, with two they are not minimal.
            let (positive_r, positive_s) = ([&[0], &r[..]].concat(), [&[0], &s[..]].concat());
            assert_eq!(case.verify(&strings(&positive_r, &positive_s)), Ok(()));
            bad.push(strings(&r, &positive_s));
            bad.push(strings(&positive_r, &s));
            bad.push(strings(&[&[0], &positive_r[..]].concat(), &positive_s));
            bad.push(strings(&positive_r, &[&[0], &positive_s[..]].concat()));
        }
        bad.extend((0..good.len()).map(|len| good[..len].to_vec()));
        // Every bit of the smallest curve; what is read does not differ by curve.
        let step = if case.curve == EcdsaCurve::Nistp256 {
            1
        } else {
            13
        };
        bad.extend((0..good.len() * 8).step_by(step).map(|bit| {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            bad
        }));
        for bad in bad {
            let refused = case.verify(&bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature), "{bad:x?}");
        }
        let signature = Signature::new(case.name(), &good);
        let refused = case.algorithm.verify(&case.key(), b"Sample", &signature);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
    }
}

/// D2: another algorithm's name, bytes behind the blob.
#[test]
fn d2_signature_framing_is_strict() {
    for case in CASES {
        let (r, s) = case.numbers();
        let good = Signature::new(case.name(), &mpints(&r, &s));
        let trailing = [good.as_encoded(), &[0]].concat();
        for bad in [
            Signature::new("ecdsa-sha2-nistp224", &mpints(&r, &s)),
            Signature::from_encoded(trailing).unwrap(),
        ] {
            let refused = case.algorithm.verify(&case.key(), b"sample", &bad);
            assert_eq!(refused, Err(CryptoError::InvalidSignature));
        }
    }
}

/// D2: type and curve must agree, and the point must be an uncompressed one on the curve.
#[test]
fn d2_bad_keys_are_refused() {
    for case in CASES {
        let point = hex(case.point);
        let compressed = [&[3], &point[1..=case.curve.field_len()]].concat();
        let hybrid = [&[7], &point[1..]].concat();
        let mut off = point.clone();
        *off.last_mut().unwrap() ^= 1;
        let (r, s) = case.numbers();
        let signature = Signature::new(case.name(), &mpints(&r, &s));
        let (name, curve) = (case.name(), case.curve.name());
        let mut keys = vec![];
        for (name, curve, point, rest) in [
            ("ecdsa-sha2-nistp224", curve, &point[..], &[][..]),
            (name, "nistp224", &point, &[]),
            (name, "", &point, &[]),
            (name, curve, &compressed, &[]),
            (name, curve, &hybrid, &[]),
            (name, curve, &off, &[]),
            (name, curve, &[], &[]),
            (name, curve, &[0], &[]),
            (name, curve, &point[..point.len() - 1], &[]),
            (name, curve, &point, &[0]),
        ] {
            let mut blob = BytesMut::new();
            for part in [name.as_bytes(), curve.as_bytes(), point] {
                put_string(&mut blob, part);
            }
            blob.extend_from_slice(rest);
            keys.push(PublicKey::from_blob(blob.freeze()).unwrap());
        }
        keys.extend(
            CASES
                .iter()
                .filter(|c| c.curve != case.curve)
                .map(Case::key),
        );
        for key in keys {
            let refused = case.algorithm.verify(&key, b"sample", &signature);
            assert_eq!(
                refused,
                Err(CryptoError::InvalidKey),
                "{:x?}",
                key.as_blob()
            );
        }
    }
}
