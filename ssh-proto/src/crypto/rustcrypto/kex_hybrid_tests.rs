//! The hybrids against other implementations of their parts, and bad values of either part.

use alloc::vec;

use super::*;
use crate::crypto::rustcrypto::testing::{Script, counting, hex};

/// A method with ML-KEM, and what comes of secrets that count: seed from 0 and scalar from 0x80 of
/// the client, message from 0xc0 and scalar from 0x20 of the server. Values from kyber-py, an
/// implementation of FIPS 203 of its own, and curves of OpenSSL.
struct Known {
    method: &'static dyn KexAlgorithm,
    /// Bytes of a scalar, encapsulation key, ciphertext and point.
    scalar_len: usize,
    key_len: usize,
    ciphertext_len: usize,
    point_len: usize,
    /// SHA-256 of both values.
    publics: [&'static str; 2],
    secret: &'static str,
    /// The secret where the first bit of the ciphertext has changed.
    rejection: &'static str,
}

fn known() -> [Known; 3] {
    [
        Known {
            method: &MLKEM768X25519_SHA256,
            scalar_len: 32,
            key_len: 1184,
            ciphertext_len: 1088,
            point_len: 32,
            publics: [
                "5854a0df900bcec9ed3ec6cf3647c874fdd52581f3f8ee7de15824d584ac1af9",
                "181ba661df2c8bd35a07765aff3cfbde206668693e816f8f9b61ef9b7c9b3045",
            ],
            secret: "3a78b865c185012785afbc69e3d5e5dfe78727f57c3941e914e1d13833f2e8e8",
            rejection: "35ecf4c1eeff142eaf711623666af9cd43d4cc1a9b58654e304536d173e0efee",
        },
        Known {
            method: &MLKEM768NISTP256_SHA256,
            scalar_len: 32,
            key_len: 1184,
            ciphertext_len: 1088,
            point_len: 65,
            publics: [
                "d1e3f1dc3df089b73461ee2682a3f116c6ce398cb4506f4a6a49220e935aaa27",
                "31b0882aae5efc6bccbcc49aca6b1d9dcba0ad55fba8cabe392c9066eb25d214",
            ],
            secret: "b743e6b5ffc5254b67cb24690795a64a1eeab0686cfc69d1bb0b425f1800996e",
            rejection: "4d54449f344545d073fc0db74405f57c0321d14d5ee86bac0cb20af8150f635c",
        },
        Known {
            method: &MLKEM1024NISTP384_SHA384,
            scalar_len: 48,
            key_len: 1568,
            ciphertext_len: 1568,
            point_len: 97,
            publics: [
                "9c8bd89dc46f6de9fde8ecc0121a466eb43a815443df2cbb11e82d8e27ea96a5",
                "2e1006203fc99fc602e159603165d8fdac1a2e1a0bfc3cbdaaf979e10df7cdb6",
            ],
            secret: "83b8397dfcc4300464b26367f31ff85527892c358faa8c176e34abb981b3b4d9\
                     bab5ce8ba1a32d0d72a740bd5a88fcd2",
            rejection: "ffc56da6f8cd923ac356ecc3d5e91482d6bf23b3f87c7613f475f99662ebe4cd\
                        c47c0db42f798a99ce339a6a1264186d",
        },
    ]
}

fn encoded(secret: &str) -> Vec<u8> {
    SharedSecret::string(&hex(secret)).as_encoded().to_vec()
}

impl Known {
    fn start(&self) -> Box<dyn KexExchange> {
        let random = [counting(0, 64), counting(0x80, self.scalar_len)].concat();
        self.method.start(None, &mut Script(random)).unwrap()
    }

    fn respond(&self, peer_public: &[u8]) -> Result<KexResponse, CryptoError> {
        let random = [counting(0xc0, 32), counting(0x20, self.scalar_len)].concat();
        self.method.respond(None, peer_public, &mut Script(random))
    }

    fn refused_by_server(&self, public: &[u8]) -> bool {
        self.respond(public).err() == Some(CryptoError::InvalidPublicValue)
    }

    fn refused_by_client(&self, public: &[u8]) -> bool {
        self.start().complete(public).err() == Some(CryptoError::InvalidPublicValue)
    }
}

#[test]
fn known_exchanges() {
    for known in known() {
        let client = known.start();
        assert_eq!(client.public().len(), known.key_len + known.point_len);
        let digest = |bytes: &[u8]| SHA256.hash(&[bytes]).as_ref().to_vec();
        assert_eq!(digest(client.public()), hex(known.publics[0]));
        let server = known.respond(client.public()).unwrap();
        assert_eq!(server.public.len(), known.ciphertext_len + known.point_len);
        assert_eq!(digest(&server.public), hex(known.publics[1]));
        assert_eq!(server.secret.as_encoded(), encoded(known.secret));
        let completed = client.complete(&server.public).unwrap();
        assert_eq!(completed.as_encoded(), encoded(known.secret));
        assert!(known.method.is_post_quantum());
    }
}

/// sntrup761 draws from its source in an order of its own; its known answers are beside it.
#[test]
fn c16_sntrup761_exchange() {
    let random = |seed: u64| {
        let mut state = seed;
        let next = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        Script(core::iter::repeat_with(next).take(1 << 15).collect())
    };
    let start = || SNTRUP761X25519_SHA512.start(None, &mut random(1)).unwrap();
    let respond = |public: &[u8]| SNTRUP761X25519_SHA512.respond(None, public, &mut random(2));
    let client = start();
    let public = client.public().to_vec();
    assert_eq!(public.len(), 1158 + 32);
    let server = respond(&public).unwrap();
    assert_eq!(server.public.len(), 1039 + 32);
    // Lengths, and a weak half of the curve.
    let weak = [&public[..1158], &[0; 32]].concat();
    let longer = [&public[..], &[0]].concat();
    for wrong in [&public[..1189], &longer, &server.public, &weak] {
        assert_eq!(respond(wrong).err(), Some(CryptoError::InvalidPublicValue));
    }
    let weak = [&server.public[..1039], &[0; 32]].concat();
    let longer = [&server.public[..], &[0]].concat();
    for wrong in [&server.public[..1070], &longer, &public, &weak] {
        let refused = start().complete(wrong).err();
        assert_eq!(refused, Some(CryptoError::InvalidPublicValue));
    }
    let secret = client.complete(&server.public).unwrap();
    assert_eq!(secret.as_encoded(), server.secret.as_encoded());
    // A string of SHA-512.
    assert_eq!(secret.as_encoded().len(), 4 + 64);
}

/// C16: lengths, and halves that have been swapped.
#[test]
fn c16_wrong_lengths_and_swapped_halves_are_refused() {
    for known in known() {
        let client = known.start();
        let public = client.public();
        let server = known.respond(public).unwrap().public;
        for len in [0, known.point_len, known.key_len, public.len() - 1] {
            assert!(known.refused_by_server(&public[..len]), "{len}");
        }
        assert!(known.refused_by_server(&[public, &[0]].concat()));
        for len in [0, known.point_len, known.ciphertext_len, server.len() - 1] {
            assert!(known.refused_by_client(&server[..len]), "{len}");
        }
        assert!(known.refused_by_client(&[&server[..], &[0]].concat()));
        // The key with its halves swapped fails the modulus check, as its other half is too large.
        let (pq, classical) = public.split_at(known.key_len);
        assert!(known.refused_by_server(&[classical, pq].concat()));
        let (ciphertext, classical) = server.split_at(known.ciphertext_len);
        let swapped = [classical, ciphertext].concat();
        match known.point_len {
            // A ciphertext is any bytes at all, as is a point, so what comes out is another secret.
            32 => {
                let swapped = known.start().complete(&swapped).unwrap();
                assert_ne!(swapped.as_encoded(), encoded(known.secret));
            }
            _ => assert!(known.refused_by_client(&swapped)),
        }
    }
    // Each side's value in the other's place.
    let [known, ..] = known();
    let client = known.start();
    let server = known.respond(client.public()).unwrap().public;
    assert!(known.refused_by_server(&server));
    assert!(known.refused_by_client(client.public()));
}

/// C16: each coefficient must be below 3329 (FIPS 203 section 7.2).
#[test]
fn c16_modulus_check() {
    for known in known() {
        let client = known.start();
        // Pairs of coefficients share three bytes. One method for each size looks at all of them.
        let pairs = (known.key_len - 32) / 3;
        let step = if known.point_len == 65 { 37 } else { 1 };
        for pair in (0..pairs).step_by(step) {
            for (low, high) in [(3329u32, 0), (0, 3329), (4095, 0), (0, 4095)] {
                let mut public = client.public().to_vec();
                let packed = low | high << 12;
                public[pair * 3..][..3].copy_from_slice(&packed.to_le_bytes()[..3]);
                assert!(known.refused_by_server(&public), "{pair} {low} {high}");
            }
        }
        let mut public = client.public().to_vec();
        let packed = 3328u32 | 3328 << 12;
        public[..3].copy_from_slice(&packed.to_le_bytes()[..3]);
        assert!(known.respond(&public).is_ok());
    }
}

/// C16: a wrong ciphertext is rejected implicitly, by the secret of FIPS 203 section 6.3.
#[test]
fn c16_wrong_ciphertext_yields_another_secret() {
    for known in known() {
        let mut public = known.respond(known.start().public()).unwrap().public;
        public[0] ^= 1;
        let secret = known.start().complete(&public).unwrap();
        assert_eq!(secret.as_encoded(), encoded(known.rejection));
    }
}

/// C16: the classical half is checked like the curve alone.
#[test]
fn c16_bad_points_in_the_classical_half_are_refused() {
    for known in known() {
        let client = known.start();
        let server = known.respond(client.public()).unwrap().public;
        let points = match known.point_len {
            32 => crate::crypto::rustcrypto::kex_x25519::tests::SMALL_ORDER
                .map(hex)
                .to_vec(),
            len => [0, 2, 4, 6]
                .map(|form| [vec![form], vec![9; len - 1]].concat())
                .to_vec(),
        };
        for point in points {
            let public = &client.public()[..known.key_len];
            assert!(known.refused_by_server(&[public, &point].concat()));
            let ciphertext = &server[..known.ciphertext_len];
            assert!(known.refused_by_client(&[ciphertext, &point].concat()));
        }
    }
}
