//! Key exchange of each provider: known exchanges, values that must be refused, and both roles against every other provider.

use ssh_proto::crypto::{CryptoProvider, DhGroup, KexAlgorithm, KexResponse, KexShape, rustcrypto};
use ssh_proto::error::CryptoError;

use crate::{OsRandom, Script, counting, deterministic, hex, providers};

/// All methods, offered by default or on request.
fn all_methods(provider: &CryptoProvider) -> Vec<&'static dyn KexAlgorithm> {
    let more = provider.on_request.kex.iter();
    provider.kex.iter().chain(more).copied().collect()
}

/// Those whose public values are strings.
fn methods(provider: &CryptoProvider) -> Vec<&'static dyn KexAlgorithm> {
    let mut methods = all_methods(provider);
    methods.retain(|method| method.shape() == KexShape::Ecdh);
    methods
}

/// What the server chooses where it has to.
fn group(method: &dyn KexAlgorithm) -> Option<DhGroup> {
    (method.shape() == KexShape::DhGex).then(|| DhGroup::modp(3072).unwrap())
}

fn exchange(client: &dyn KexAlgorithm, server: &dyn KexAlgorithm) -> KexResponse {
    let group = group(client);
    let start = client.start(group.as_ref(), &mut OsRandom).unwrap();
    let response = server
        .respond(group.as_ref(), start.public(), &mut OsRandom)
        .unwrap();
    let secret = start.complete(&response.public).unwrap();
    assert_eq!(secret.as_encoded(), response.secret.as_encoded());
    response
}

/// Several times each, since encodings differ with leading zeros; in finite fields, where all
/// providers have the same code, once.
#[test]
fn providers_agree_in_both_roles() {
    let base = rustcrypto::provider();
    for client in providers() {
        for server in providers() {
            for method in all_methods(&client) {
                let Some(other) = server.kex(method.name()) else {
                    assert!(server.fips());
                    continue;
                };
                assert_eq!(method.is_post_quantum(), other.is_post_quantum());
                assert_eq!(method.hash().output_len(), other.hash().output_len());
                assert_eq!(method.shape(), other.shape());
                let is_field = method.shape() != KexShape::Ecdh;
                if is_field && (client.name != base.name || server.name != base.name) {
                    let of_base = base.kex(method.name()).unwrap();
                    assert!(
                        [method, other]
                            .iter()
                            .all(|a| std::ptr::addr_eq(*a, of_base))
                    );
                    continue;
                }
                let first = exchange(method, other);
                for _ in 0..if is_field { 0 } else { 4 } {
                    let again = exchange(method, other);
                    assert_ne!(again.public, first.public);
                    assert_ne!(again.secret.as_encoded(), first.secret.as_encoded());
                }
            }
        }
    }
}

/// RFC 7748 section 6.1 and RFC 5903 section 8, through both halves of the exchange.
#[test]
fn known_exchanges() {
    let cases = [
        (
            "curve25519-sha256",
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "000000204a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ),
        (
            "ecdh-sha2-nistp256",
            "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
            "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180\
             5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
            "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
            "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63\
             56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
            "0000002100d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
        ),
        (
            "ecdh-sha2-nistp384",
            "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655\
             e35b538041e649ee3faef896783ab194",
            "04667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6\
             de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f\
             65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
            "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942\
             e0308312916b8ed2960e4bd55a7448fc",
            "04e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d\
             0d1ac43a0336def96fda41d0774a3571dcfbec7aacf3196472169e838430367f\
             66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
            "0000003011187331c279962d93d604243fd592cb9d0a926f422e47187521287e\
             7156c5c4d603135569b9e9d09cf5d4a270f59746",
        ),
        (
            "ecdh-sha2-nistp521",
            "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c67\
             71d937ba9777f5957b2639bab072462f68c27a57382d4a52",
            "040015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380a\
             eae57c2d107564941885942af5a7f4601723c4195d176ced3e017cae20b6641d2eeb695786d8c946\
             146239d099e18e1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507\
             438bf01beb6ca3926f9582",
            "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bd\
             bf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
            "0400d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95\
             bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f015c68226383956e3bd066e797b623\
             c27ce0eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732\
             296579ab44fcd17f0fc56a",
            "0000004201144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4b\
             aa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea",
        ),
    ];
    for provider in deterministic() {
        for (name, i, i_public, r, r_public, secret) in cases {
            let method = provider.kex(name).unwrap();
            let client = method.start(None, &mut Script(hex(i))).unwrap();
            assert_eq!(client.public(), hex(i_public), "{} {name}", provider.name);
            let server = method
                .respond(None, client.public(), &mut Script(hex(r)))
                .unwrap();
            assert_eq!(server.public, hex(r_public), "{name}");
            assert_eq!(server.secret.as_encoded(), hex(secret), "{name}");
            let completed = client.complete(&server.public).unwrap();
            assert_eq!(completed.as_encoded(), hex(secret), "{name}");
        }
    }
}

fn refused(method: &dyn KexAlgorithm, public: &[u8]) -> [Option<CryptoError>; 2] {
    let server = method.respond(None, public, &mut OsRandom).err();
    let client = method.start(None, &mut OsRandom).unwrap();
    [server, client.complete(public).err()]
}

const INVALID: Option<CryptoError> = Some(CryptoError::InvalidPublicValue);

/// Bytes of the KEM in front of the value on the curve, from client and server.
fn pq_lens(name: &str) -> (usize, usize) {
    match name {
        name if name.starts_with("mlkem768") => (1184, 1088),
        name if name.starts_with("mlkem1024") => (1568, 1568),
        name if name.starts_with("sntrup761") => (1158, 1039),
        _ => (0, 0),
    }
}

/// C14, C15, C16: too short, too long, empty, and the value of the other side.
#[test]
fn c16_wrong_lengths_are_refused() {
    for provider in providers() {
        for method in methods(&provider) {
            let start = method.start(None, &mut OsRandom).unwrap();
            let response = method.respond(None, start.public(), &mut OsRandom).unwrap();
            for (public, role) in [(start.public(), 0), (&response.public[..], 1)] {
                let long = [public, &[0]].concat();
                for bad in [
                    &public[..0],
                    &public[..1],
                    &public[..public.len() - 1],
                    &long,
                ] {
                    let refused = refused(method, bad)[role];
                    assert_eq!(refused, INVALID, "{} {}", provider.name, method.name());
                }
            }
            if method.is_post_quantum() && start.public().len() != response.public.len() {
                let [server, _] = refused(method, &response.public);
                let [_, client] = refused(method, start.public());
                assert_eq!([server, client], [INVALID; 2], "{}", method.name());
            }
        }
    }
}

/// C15: points of small order, in the classical half of hybrids, too.
#[test]
fn c15_small_order_is_refused() {
    let points = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for provider in providers() {
        for method in methods(&provider) {
            let Some(("mlkem768x" | "sntrup761x" | "curve", _)) = method.name().split_once("25519")
            else {
                continue;
            };
            let start = method.start(None, &mut OsRandom).unwrap();
            let response = method.respond(None, start.public(), &mut OsRandom).unwrap();
            let (from_client, from_server) = pq_lens(method.name());
            for (point, top) in points.iter().flat_map(|point| [(point, 0), (point, 0x80)]) {
                let mut point = hex(point);
                point[31] |= top;
                let bad = [&start.public()[..from_client], &point].concat();
                assert_eq!(refused(method, &bad)[0], INVALID, "{point:x?}");
                let bad = [&response.public[..from_server], &point].concat();
                assert_eq!(refused(method, &bad)[1], INVALID, "{point:x?}");
            }
        }
    }
}

/// C14: anything but an uncompressed point on the curve, in the classical half of hybrids, too.
#[test]
fn c14_bad_points_are_refused() {
    for provider in providers() {
        for method in methods(&provider) {
            if !method.name().contains("nistp") {
                continue;
            }
            let start = method.start(None, &mut OsRandom).unwrap();
            let (from_client, _) = pq_lens(method.name());
            let (pq, good) = start.public().split_at(from_client);
            let half = (good.len() - 1) / 2;
            let mut off = good.to_vec();
            *off.last_mut().unwrap() ^= 1;
            let mut bad = vec![
                vec![0],
                vec![0; good.len()],
                good[1..].to_vec(),
                off,
                [&[4][..], &vec![0; 2 * half]].concat(),
                [&[4][..], &vec![0xff; 2 * half]].concat(),
                [&[4], &good[1..=half], &vec![0xff; half]].concat(),
            ];
            bad.extend([2, 3, 5].map(|prefix| [&[prefix], &good[1..=half]].concat()));
            bad.extend([0, 1, 2, 3, 5, 6, 7].map(|prefix| [&[prefix], &good[1..]].concat()));
            for point in bad {
                let public = [pq, &point].concat();
                let server = method.respond(None, &public, &mut OsRandom).err();
                let name = (provider.name, method.name());
                assert_eq!(server, INVALID, "{name:?} {point:x?}");
                if pq.is_empty() {
                    assert_eq!(refused(method, &point), [INVALID; 2], "{name:?} {point:x?}");
                }
            }
        }
    }
}

/// C16: each coefficient must be below 3329 (FIPS 203 section 7.2). Pairs share three bytes.
#[test]
fn c16_modulus_check() {
    for provider in providers() {
        for method in methods(&provider) {
            if !method.name().starts_with("mlkem") {
                continue;
            }
            let (pq_len, _) = pq_lens(method.name());
            let start = method.start(None, &mut OsRandom).unwrap();
            for pair in (0..pq_len.saturating_sub(32) / 3).step_by(23) {
                for (low, high) in [(3329u32, 0), (0, 3329), (4095, 0), (0, 4095)] {
                    let mut public = start.public().to_vec();
                    let packed = low | high << 12;
                    public[pair * 3..][..3].copy_from_slice(&packed.to_le_bytes()[..3]);
                    let refused = method.respond(None, &public, &mut OsRandom).err();
                    assert_eq!(refused, INVALID, "{} {pair}", provider.name);
                }
            }
        }
    }
}

/// C16: a wrong ciphertext is rejected implicitly, by a secret that the other side has not.
#[test]
fn c16_wrong_ciphertext_yields_another_secret() {
    for provider in providers() {
        for method in methods(&provider) {
            if pq_lens(method.name()).1 == 0 {
                continue;
            }
            let start = method.start(None, &mut OsRandom).unwrap();
            let mut response = method.respond(None, start.public(), &mut OsRandom).unwrap();
            response.public[0] ^= 1;
            let secret = start.complete(&response.public).unwrap();
            assert_ne!(secret.as_encoded(), response.secret.as_encoded());
        }
    }
}

/// Scalars out of range are drawn again, and a source that fails ends the exchange.
#[test]
fn randomness_is_used_with_care() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    for provider in deterministic() {
        let method = provider.kex("ecdh-sha2-nistp256").unwrap();
        let good = counting(1, 32);
        let expected = method.start(None, &mut Script(good.clone())).unwrap();
        let random = [vec![0; 32], hex(order), vec![0xff; 32], good].concat();
        let drawn = method.start(None, &mut Script(random)).unwrap();
        assert_eq!(drawn.public(), expected.public());
        let broken = method.start(None, &mut Script(vec![0; 1 << 12])).err();
        assert_eq!(broken, Some(CryptoError::RandomFailed));
        for method in methods(&provider) {
            if !method.name().starts_with("mlkem") {
                let failed = method.start(None, &mut Script(vec![1; 31])).err();
                assert_eq!(failed, Some(CryptoError::RandomFailed), "{}", method.name());
            }
        }
    }
}
