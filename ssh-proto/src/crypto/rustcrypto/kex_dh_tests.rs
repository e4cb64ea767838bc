//! Finite-field exchanges against another implementation, and bad values.

use super::*;
use crate::crypto::rustcrypto::testing::{Script, counting, hex};

/// A method, and SHA-256 of both public values and of the secret of exponents whose bytes count
/// from 0x81 (client) and from 0x21 (server): `pow` of Python with the primes of OpenSSL.
type Known = (&'static DhKex, usize, [&'static str; 3]);

const KNOWN: [Known; 5] = [
    (
        &GROUP14_SHA256,
        64,
        [
            "8f54c43e918806b3e523eea85502f9edb8d3348596d4ce81459eca97ad35c4a7",
            "f965f644bfef3c9257335389f768c8fdfd807a3cc111f16261903cf00c26a6b8",
            "d082cdf8ff8301285a930fcfe22ebc43a5364b6cdc04ee56c5eb5a5ecdb59a3e",
        ],
    ),
    (
        &GROUP15_SHA512,
        128,
        [
            "b6fc96dda4933b0f3d1fd62b6e338e51e01b26392b1346eb78db13e644f5e9b4",
            "13a45fa9ceda961e042a1d915f9f4f46111203bfc155513c7d15eab17b2a6237",
            "57eab8a06a866d680db21e4b7ee5c2696e7dfbd643ccbae3d2ec07d2ca9d8af2",
        ],
    ),
    (
        &GROUP16_SHA512,
        128,
        [
            "97a7083df826af1affad9add89621ee050ec65febae0fc48c3be43d233275349",
            "d2145b599b94f8bb36af5fad125ce20a5d7dfafe780a30fdc47f0b6d7ed07ae4",
            "acdfa2e305d81b5a215beaa0f6b20d09a263c79c3e1a50013885a3eea5cdb60b",
        ],
    ),
    (
        &GROUP17_SHA512,
        128,
        [
            "1df5c87ec48de08546739bdded14e5e9301a3be936c5842a29057da0dc09717d",
            "dd5a1ac26c770599d1b869fa8f1e179d8cbb6281ec88f04fe0147447a6da1818",
            "ae48e7c01ef0b10d1a903bcd103bc2f3ad5bb911fc79263f735d6b0f4855ed5e",
        ],
    ),
    (
        &GROUP18_SHA512,
        128,
        [
            "385855faf7f196f0937a40ec93d3c948e6bbad451f19cda7b82524723ea8c495",
            "cdc40b553b2f958dd4f39af51289e52a13053746a89ae8eca01c31eaa57705f0",
            "f700fecb334d0bf4f4f75d7f3e5c22509d5f7dff6e002af153c58e573132dc1c",
        ],
    ),
];

fn sha256(bytes: &[u8]) -> Vec<u8> {
    SHA256.hash(&[bytes]).as_ref().to_vec()
}

/// The magnitude in an encoded `mpint`, which must be canonical.
fn magnitude(secret: &SharedSecret) -> Vec<u8> {
    let (len, digits) = secret.as_encoded().split_at(4);
    assert_eq!(len, (digits.len() as u32).to_be_bytes());
    match digits {
        [0, rest @ ..] => {
            assert!(rest[0] & 0x80 != 0);
            rest.to_vec()
        }
        rest => {
            assert!(rest[0] != 0 && rest[0] & 0x80 == 0);
            rest.to_vec()
        }
    }
}

/// C19, and C17: a private exponent takes twice the bits of the hash from its source.
#[test]
fn c17_c19_known_exchanges() {
    for (method, exponent_len, [client_public, server_public, secret]) in KNOWN {
        assert!(exponent_len >= 2 * method.hash().output_len());
        let short = &mut Script(counting(0x81, exponent_len - 1));
        let refused = method.start(None, short).err();
        assert_eq!(refused, Some(CryptoError::RandomFailed));
        let random = &mut Script(counting(0x81, exponent_len));
        let client = method.start(None, random).unwrap();
        assert!(random.0.is_empty());
        assert_eq!(sha256(client.public()), hex(client_public));
        let random = &mut Script(counting(0x21, exponent_len));
        let server = method.respond(None, client.public(), random).unwrap();
        assert_eq!(sha256(&server.public), hex(server_public));
        assert_eq!(sha256(&magnitude(&server.secret)), hex(secret));
        let completed = client.complete(&server.public).unwrap();
        assert_eq!(completed.as_encoded(), server.secret.as_encoded());
    }
}

/// C19: secrets that begin with a zero byte, or with their top bit set. The server's exponents were
/// found by trying, as above.
#[test]
fn c19_leading_zeros_and_top_bits() {
    let cases: [(_, u16, usize, _); 4] = [
        (
            &GROUP14_SHA256,
            2152,
            255,
            "406f15b338934d38da08d728b9b78712f04e1f267a2110b70b6c3ef9c599d60c",
        ),
        (
            &GROUP14_SHA256,
            2128,
            256,
            "414f349dd7ed93b64862110952e86bff8dca14a002ec8d298195070ae69fe134",
        ),
        (
            &GROUP15_SHA512,
            3629,
            383,
            "c6907e75e736690dd5db7df23e82aaef2faacea1708404e6cd03c2e024ff2bbc",
        ),
        (
            &GROUP15_SHA512,
            3152,
            384,
            "bbb3a4b8009a5981c71d21a64f2d111f2d60afe59645c9ddf4f3666808e29af7",
        ),
    ];
    for (method, exponent, len, expected) in cases {
        let exponent_len = method.exponent_len();
        let random = &mut Script(counting(0x81, exponent_len));
        let client = method.start(None, random).unwrap();
        let exponent = exponent.to_be_bytes();
        let random = [&vec![0; exponent_len - 2][..], &exponent].concat();
        let server = method.respond(None, client.public(), &mut Script(random));
        let secret = server.unwrap().secret;
        assert_eq!(magnitude(&secret).len(), len);
        assert_eq!(sha256(&magnitude(&secret)), hex(expected));
    }
}

/// C13: values outside of the group, at its edges, or with fewer than four bits.
#[test]
fn c13_bad_public_values_are_refused() {
    let group = DhGroup::modp(2048).unwrap();
    let mut p_minus_1 = group.prime().to_vec();
    p_minus_1[255] = 0xfe;
    let mut p_plus_2 = vec![1];
    p_plus_2.extend([0; 256]);
    let bad = [
        vec![],
        vec![1],
        vec![7],
        p_minus_1,
        group.prime().to_vec(),
        p_plus_2,
        [&[1][..], group.prime()].concat(),
        vec![0xff; 2500],
    ];
    let gex = (&GROUP_EXCHANGE_SHA256, Some(&group));
    for (method, group) in [(&GROUP14_SHA256, None), gex] {
        for value in &bad {
            // Nothing is drawn, so nothing is computed.
            let refused = method.respond(group, value, &mut Script(vec![])).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue));
            let client = method.start(group, &mut Script(counting(0x81, 64)));
            let refused = client.unwrap().complete(value).err();
            assert_eq!(refused, Some(CryptoError::InvalidPublicValue));
        }
    }
}

/// The group that is handed over is the one that counts, and there must be one. Its size need not
/// fill whole words, and its prime need not be one.
#[test]
fn exchanges_in_a_group_that_was_chosen() {
    let method = &GROUP_EXCHANGE_SHA256;
    let refused = method.start(None, &mut Script(counting(1, 64))).err();
    assert_eq!(refused, Some(CryptoError::InvalidKey));
    let odd = [&[0x0f][..], DhGroup::modp(2048).unwrap().prime()].concat();
    for group in [
        DhGroup::ffdhe(2048).unwrap(),
        DhGroup::new(&odd, &[5]).unwrap(),
        DhGroup::new(&[0xff; 256], &[3]).unwrap(),
    ] {
        let start = method.start(Some(&group), &mut Script(counting(0x81, 64)));
        let client = start.unwrap();
        let random = &mut Script(counting(0x21, 64));
        let server = method.respond(Some(&group), client.public(), random);
        let server = server.unwrap();
        let secret = client.complete(&server.public).unwrap();
        assert_eq!(secret.as_encoded(), server.secret.as_encoded());
    }
}

/// Exponents whose value is too plain are drawn again, a few times.
#[test]
fn plain_values_are_drawn_again() {
    let random = [vec![0; 64], counting(0x81, 64)].concat();
    let client = GROUP14_SHA256.start(None, &mut Script(random)).unwrap();
    assert_eq!(sha256(client.public()), hex(KNOWN[0].2[0]));
    let refused = GROUP14_SHA256.start(None, &mut Script(vec![0; 1 << 12]));
    assert_eq!(refused.err(), Some(CryptoError::RandomFailed));
}

/// The weak ones work, and their exponents are as long as those of SHA-256.
#[cfg(feature = "legacy")]
#[test]
fn legacy_exchanges() {
    for (method, len) in [(&GROUP1_SHA1, 128), (&GROUP14_SHA1, 256)] {
        let random = &mut Script(counting(0x81, 64));
        let client = method.start(None, random).unwrap();
        let random = &mut Script(counting(0x21, 64));
        let server = method.respond(None, client.public(), random).unwrap();
        let secret = client.complete(&server.public).unwrap();
        assert_eq!(secret.as_encoded(), server.secret.as_encoded());
        assert!((len - 2..=len).contains(&magnitude(&secret).len()));
        assert_eq!(method.hash().output_len(), 20);
    }
}
