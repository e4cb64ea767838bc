//! The three curves against OpenSSL, and bad points.

use alloc::boxed::Box;
use alloc::vec;

use super::*;
use crate::crypto::rustcrypto::testing::{Script, counting, hex};
use crate::crypto::{KexAlgorithm, KexExchange, KexResponse, SharedSecret};

/// What OpenSSL says by way of python-cryptography: `ec.derive_private_key` of the bytes that count
/// from 0x81 and from 0x21, and `exchange`.
struct Curve {
    method: &'static dyn KexAlgorithm,
    len: usize,
    /// Of the client and of the server.
    public: [&'static str; 2],
    secret: &'static str,
    /// A scalar of a server, and the secret without its zeros, where it begins with a zero byte.
    leading_zero: (u16, &'static str),
    /// The same where the first byte that is not zero has its top bit set.
    top_bit: (u16, &'static str),
    prime: &'static str,
    order: &'static str,
}

fn curves() -> [Curve; 3] {
    [
        Curve {
            method: &ECDH_SHA2_NISTP256,
            len: 32,
            public: [
                "04ecb6a2f86c7825ee71d022c29b9f8aa35971520ec3f9739855635765ead1bd14adad028bfb\
                 a628ed75b72e3cbeb1ef192e60f52b3e2021497df3afb3006550df",
                "041f140146bfb1b251f84f4ddbe0d4cdcfd77afd984a9520e35794021f8312bb9eec995a08b1\
                 fa7704df3dcc0b50a9665263fb7711f95f9f8a449c5096e47c892b",
            ],
            secret: "12e3e1cadaa329ff7566da479ce6c37ee411a78a5ca8ba299dd7b5a59ead4ba2",
            leading_zero: (
                388,
                "efdcdb674ab5a87578ab0d290e489257e799e649f48c9c3cb3ce028c33b56f",
            ),
            top_bit: (
                4,
                "da5754537a2dfbdd395637ed966697aec3e6ab0922693243388efd7c1a5e08f5",
            ),
            prime: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        },
        Curve {
            method: &ECDH_SHA2_NISTP384,
            len: 48,
            public: [
                "04b8eb8f9479cd45a5c3d44e27edd27404392f3e2ac1f1871383721e778704c5faaf1ad80099\
                 19e2a4a124edcfb64ce91b9fe2656406085aed8958732a60cc0a1183fe85f8f6ee02b7ee5575\
                 b2b9760b1b46d903d7fb378bce27d9df6d2f2b3ca5",
                "042232988089d1fcd142c3ae399cd06457f6d24113ecbe363f7d9d0c8d6021f3f52f0732db9f\
                 ae932b56e28a3aba9ee5fef19e7a0c0e4b4b17bc0091a68581c0a8f39a24c95d7c614f37b9e1\
                 4c60080a95d7553dfeabca2103f0e846ac4348a713",
            ],
            secret: "ed1d77316eb5c48de2412df92cd182d1a2aad27e651ba94635fca24cec0341936268b8e53680\
                 b64b45e8379b0e5e36d5",
            leading_zero: (
                42,
                "59ff2c30c2a6d43dd6b8403c917d43810b1ba74603530bcdfabd8e1b5f70c4f874dbc0d67511\
                 16e694db1bcb9a10b8",
            ),
            top_bit: (
                3,
                "c4d8e4264535dc19c893046a846c1a33b6ded27809ceb1f739b016fb7ebbe971eed14b5ce410\
                 1db06bfb73f6f725dd23",
            ),
            prime: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000\
                 000000000000ffffffff",
            order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0\
                 a77aecec196accc52973",
        },
        Curve {
            method: &ECDH_SHA2_NISTP521,
            len: 66,
            public: [
                "0400e4be0263f691bd6501878d5eeb74dae2871851f04926bda488bb55439be400a61080a41a\
                 d1fa22238864a38f8c8cfac7ea16a53f42ce1b98f72e4354825869782c01e568205415318bd6\
                 a2d20872fbabf6e8c8ac166783d3ca41b27ac67eedc3590e9fff0b00e8123b012767cd0b85d1\
                 ce4738dfc0aa27bf88d252d533890c69da4a35",
                "04016733ed5e23b6958d8699ee4bff171519b14aa934cf99f6758835371741d0117d097596db\
                 b182857a737ffd2f1015a01de3a7a9981846d7b3dba6608c63cb0b2b5f00aa05c26f29a863b5\
                 084a3f860614f578faede9bd8e12369ca5dea26483499f04f60e7139971f25c9390c82a84f3e\
                 b68e1cf745d30637861b95e9b4c7979f129c63",
            ],
            secret: "01d0310b67bcce77a3a4219e24095da16f8fbe5f670ef1ac5d1b3b592afa779c400b9037c32f\
                 108b1bccbcb9708c78c334a8019bd6d0c0933b6c5dfd1d2b590eb460",
            leading_zero: (
                914,
                "3c7fe1570659a8348ba2825186e5f3d173d895722d9771426061841030226965d7ac1e8775ef\
                 7b8cdfeadeefefcf9871209c0ef08325beb52cad250decd95ff8",
            ),
            top_bit: (
                9,
                "b08089ad46c67d28acb051602192f4e689498cb9264c66d7fee4bdaf30744daabbe804f42d8e\
                 6bd39e677dcc38717ed417a2a1df7e0f027c9121d7fa3c001487a2",
            ),
            prime: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                 ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            order: "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783\
             bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        },
    ]
}

impl Curve {
    fn scalar(&self, first: u8) -> Vec<u8> {
        counting(first, self.len)
    }

    fn start(&self) -> Box<dyn KexExchange> {
        let random = &mut Script(self.scalar(0x81));
        self.method.start(None, random).unwrap()
    }

    fn respond(&self, peer_public: &[u8]) -> Result<KexResponse, CryptoError> {
        let random = &mut Script(self.scalar(0x21));
        self.method.respond(None, peer_public, random)
    }
}

/// C19: also with zeros in front of the secret, and with its top bit set.
#[test]
fn c19_known_exchanges() {
    for curve in curves() {
        let client = curve.start();
        assert_eq!(client.public(), hex(curve.public[0]));
        let server = curve.respond(client.public()).unwrap();
        assert_eq!(server.public, hex(curve.public[1]));
        let expected = SharedSecret::mpint(&hex(curve.secret)).unwrap();
        assert_eq!(server.secret.as_encoded(), expected.as_encoded());
        let secret = client.complete(&server.public).unwrap();
        assert_eq!(secret.as_encoded(), expected.as_encoded());
        for (scalar, secret) in [curve.leading_zero, curve.top_bit] {
            let secret = hex(secret);
            let pad = (secret[0] & 0x80 != 0).then_some(0);
            assert!(secret.len() < curve.len || pad.is_some());
            let random = [vec![0; curve.len - 2], scalar.to_be_bytes().to_vec()].concat();
            let public = hex(curve.public[0]);
            let server = curve.method.respond(None, &public, &mut Script(random));
            let len = secret.len() as u32 + u32::from(pad.is_some());
            let expected = len.to_be_bytes().into_iter().chain(pad).chain(secret);
            let expected: Vec<u8> = expected.collect();
            assert_eq!(server.unwrap().secret.as_encoded(), expected);
        }
    }
}

/// C14: anything but an uncompressed point on the curve.
#[test]
fn c14_bad_points_are_refused() {
    for curve in curves() {
        let good = hex(curve.public[1]);
        let (len, end) = (curve.len, 2 * curve.len);
        assert!(curve.start().complete(&good).is_ok());
        let mut bad = vec![
            vec![],
            vec![0],
            vec![0; end + 1],
            good[..end].to_vec(),
            good[1..].to_vec(),
            [&good[..], &[0]].concat(),
        ];
        // Off the curve; a coordinate of p; compressed, hybrid and compact forms.
        let mut off = good.clone();
        off[end] ^= 1;
        bad.push(off);
        let p = hex(curve.prime);
        bad.push([&[4], &p[..], &good[len + 1..]].concat());
        bad.push([&[4], &good[1..=len], &p[..]].concat());
        bad.push([&[4][..], &vec![0; end]].concat());
        bad.push([&[4][..], &vec![0xff; end]].concat());
        for prefix in [2, 3, 5] {
            bad.push([&[prefix], &good[1..=len]].concat());
        }
        for prefix in [0, 1, 2, 3, 5, 6, 7] {
            bad.push([&[prefix], &good[1..]].concat());
        }
        // Points of the other curves.
        for other in curves() {
            if other.len != len {
                bad.push(hex(other.public[0]));
            }
        }
        for point in bad {
            let refused = curve.respond(&point).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
            let refused = curve.start().complete(&point).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue), "{point:x?}");
        }
    }
}

#[test]
fn scalars_out_of_range_are_drawn_again() {
    for curve in curves() {
        let random = [
            vec![0; curve.len],
            hex(curve.order),
            vec![0xff; curve.len],
            curve.scalar(0x81),
        ];
        let random = &mut Script(random.concat());
        let client = curve.method.start(None, random).unwrap();
        assert_eq!(client.public(), hex(curve.public[0]));
        let refused = curve.method.start(None, &mut Script(vec![0; 1 << 12]));
        assert_eq!(refused.err(), Some(CryptoError::RandomFailed));
    }
}
