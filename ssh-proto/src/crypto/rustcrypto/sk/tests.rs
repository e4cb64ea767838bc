//! Tests of security keys, with an authenticator in software.

use alloc::format;

use bytes::{BufMut, BytesMut};
use ed25519_dalek::Signer as _;

use super::*;
use crate::crypto::rustcrypto::testing::hex;
use crate::crypto::{SecurityKeyUse, SigningKey};
use crate::wire::put_string;

/// An algorithm, a key, a signature, and the counter in it.
type Vector = (
    &'static dyn SignatureAlgorithm,
    &'static [u8],
    &'static [u8],
    u32,
);

/// Keys and signatures of `regress/unittests/sshsig/testdata` of OpenSSH 10.6, and what they signed.
const OPENSSH: [Vector; 3] = [
    (
        &SK_SSH_ED25519,
        include_bytes!("../testdata/ed25519_sk.key"),
        include_bytes!("../testdata/ed25519_sk.sig"),
        0x1234_5678,
    ),
    (
        &SK_ECDSA_SHA2_NISTP256,
        include_bytes!("../testdata/ecdsa_sk.key"),
        include_bytes!("../testdata/ecdsa_sk.sig"),
        0x1234_5678,
    ),
    (
        &WEBAUTHN_SK_ECDSA_SHA2_NISTP256,
        include_bytes!("../testdata/ecdsa_sk_webauthn.key"),
        include_bytes!("../testdata/ecdsa_sk_webauthn.sig"),
        0x31f,
    ),
];
const MESSAGE: &str = "53534853494700000008756e6974746573740000000000000006736861353132000000402cbb\
                       bc660712c6de8cb05533ba26601ba1b031d27d77bc5e13b628448c3483d88727fc2c143ef5a3\
                       85a5c9ecef1561236ea434a82ec5c06a639235103fe35deb";

#[test]
fn signatures_of_openssh_are_verified() {
    let message = hex(MESSAGE);
    for (algorithm, key, signature, counter) in OPENSSH {
        let key = PublicKey::from_blob(key).unwrap();
        assert!(key.is_well_formed());
        assert_eq!(key.key_type(), algorithm.key_type());
        let encoded = signature;
        let signature = Signature::from_encoded(encoded).unwrap();
        assert_eq!(algorithm.verify(&key, &message, &signature), Ok(()));
        let usage = SecurityKeyUse {
            user_present: true,
            user_verified: false,
            counter,
        };
        assert_eq!(signature.security_key(), Some(usage));
        let refused = algorithm.verify(&key, &message[1..], &signature);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
        // D2: every byte counts, and how many there are.
        for at in 0..encoded.len() {
            let mut bad = encoded.to_vec();
            bad[at] ^= 0x20;
            for bad in [bad, encoded[..at].to_vec()] {
                if let Ok(bad) = Signature::from_encoded(bad) {
                    let refused = algorithm.verify(&key, &message, &bad);
                    assert_eq!(refused, Err(CryptoError::InvalidSignature), "{at}");
                }
            }
        }
        let longer = Signature::from_encoded([encoded, &[0]].concat()).unwrap();
        let refused = algorithm.verify(&key, &message, &longer);
        assert_eq!(refused, Err(CryptoError::InvalidSignature));
        assert_eq!(longer.security_key(), None);
    }
}

/// What an authenticator and a browser are given, and what they may do wrong.
struct Act {
    application: &'static str,
    flags: u8,
    extensions: &'static [u8],
    origin: &'static str,
    kind: &'static str,
    /// In place of the message.
    challenge: Option<&'static [u8]>,
    /// In place of what the signature says the origin is.
    named_origin: Option<&'static str>,
}

const ACT: Act = Act {
    application: "ssh:",
    flags: 1,
    extensions: &[],
    origin: "https://example.org",
    kind: "webauthn.get",
    challenge: None,
    named_origin: None,
};

impl Act {
    fn authenticator_data(&self, digest: &[u8]) -> Vec<u8> {
        [
            &Sha256::digest(self.application)[..],
            &[self.flags],
            &9_u32.to_be_bytes(),
            self.extensions,
            digest,
        ]
        .concat()
    }

    fn wrap(&self, algorithm: &str, inner: &[u8]) -> BytesMut {
        let mut encoded = BytesMut::new();
        put_string(&mut encoded, algorithm.as_bytes());
        put_string(&mut encoded, inner);
        encoded.put_u8(self.flags);
        encoded.put_u32(9);
        encoded
    }

    fn ed25519(&self) -> Result<(), CryptoError> {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let inner = key.sign(&self.authenticator_data(&Sha256::digest(b"sample")));
        let public = PublicKey::sk_ed25519(key.verifying_key().as_bytes(), "ssh:");
        assert!(public.is_well_formed());
        let signature = self.wrap(SK_ED25519, &inner.to_bytes());
        SK_SSH_ED25519.verify(
            &public,
            b"sample",
            &Signature::from_encoded(signature).unwrap(),
        )
    }

    fn ecdsa(&self, algorithm: &SkEcdsaSha2) -> Result<(), CryptoError> {
        let origin = self.named_origin.unwrap_or(self.origin);
        let challenge = Base64UrlUnpadded::encode_string(self.challenge.unwrap_or(b"sample"));
        let client_data = format!(
            r#"{{"type":"{}","challenge":"{challenge}","origin":"{}","crossOrigin":false}}"#,
            self.kind, self.origin
        );
        let is_webauthn = algorithm.name() == WEBAUTHN_SK_ECDSA;
        let digest = match is_webauthn {
            true => Sha256::digest(&client_data),
            false => Sha256::digest(b"sample"),
        };
        let scalar = [7; 32];
        let secret = p256::SecretKey::from_slice(&scalar).unwrap();
        let point = super::super::nistp::uncompressed(&secret.public_key());
        let key = ecdsa::EcdsaKey::<NistP256>::new(&point, &scalar).unwrap();
        let inner = key
            .sign("ecdsa-sha2-nistp256", &self.authenticator_data(&digest))
            .unwrap();
        let mut signature = self.wrap(algorithm.name(), inner.blob());
        if is_webauthn {
            for part in [origin.as_bytes(), client_data.as_bytes(), self.extensions] {
                put_string(&mut signature, part);
            }
        }
        let public = PublicKey::sk_ecdsa(&point, "ssh:");
        assert!(public.is_well_formed());
        algorithm.verify(
            &public,
            b"sample",
            &Signature::from_encoded(signature).unwrap(),
        )
    }

    fn plain(&self) -> [Result<(), CryptoError>; 2] {
        [self.ed25519(), self.ecdsa(&SK_ECDSA_SHA2_NISTP256)]
    }

    fn webauthn(&self) -> Result<(), CryptoError> {
        self.ecdsa(&WEBAUTHN_SK_ECDSA_SHA2_NISTP256)
    }
}

const WRONG: Result<(), CryptoError> = Err(CryptoError::InvalidSignature);

/// G10: what is signed includes the application and the flags, and unknown flags are refused. That
/// nobody touched the key is told, not refused here.
#[test]
fn g10_flags_and_application_are_checked() {
    for flags in [0, 1, 4, 5, 0x1d] {
        let act = Act { flags, ..ACT };
        assert_eq!(act.plain(), [Ok(()); 2], "{flags}");
        assert_eq!(act.webauthn(), Ok(()), "{flags}");
    }
    for flags in [2, 3, 0x21, 0x41, 0x81, 0xff] {
        let act = Act { flags, ..ACT };
        assert_eq!(act.plain(), [WRONG; 2], "{flags}");
        assert_eq!(act.webauthn(), WRONG, "{flags}");
    }
    let act = Act {
        application: "https://example.org",
        ..ACT
    };
    assert_eq!(act.plain(), [WRONG; 2]);
    assert_eq!(act.webauthn(), WRONG);
}

#[test]
fn g10_what_the_browser_says_is_checked() {
    assert_eq!(ACT.webauthn(), Ok(()));
    for act in [
        Act {
            kind: "webauthn.create",
            ..ACT
        },
        Act {
            challenge: Some(b"other"),
            ..ACT
        },
        Act {
            challenge: Some(b""),
            ..ACT
        },
        Act {
            named_origin: Some("https://example.com"),
            ..ACT
        },
        Act {
            named_origin: Some("https://example"),
            ..ACT
        },
        // A quote would let it go on with fields of its own.
        Act {
            origin: r#"a","crossOrigin":"b"#,
            ..ACT
        },
        // Extensions and their flag come together.
        Act {
            extensions: b"\xa0",
            ..ACT
        },
    ] {
        assert_eq!(act.webauthn(), WRONG);
    }
    let extended = Act {
        extensions: b"\xa1\x61a\x01",
        flags: 0x81,
        ..ACT
    };
    assert_eq!(extended.webauthn(), Ok(()));
    assert_eq!(extended.plain(), [WRONG; 2]);
}

/// D1: a signature under the name of another algorithm, and keys that are none.
#[test]
fn d1_types_do_not_mix() {
    let message = hex(MESSAGE);
    for (i, (_, key, signature, _)) in OPENSSH.into_iter().enumerate() {
        let key = PublicKey::from_blob(key).unwrap();
        let signature = Signature::from_encoded(signature).unwrap();
        for (j, (algorithm, ..)) in OPENSSH.into_iter().enumerate() {
            assert_eq!(algorithm.verify(&key, &message, &signature).is_ok(), i == j);
        }
        let plain = [
            &ed25519::SSH_ED25519 as &dyn SignatureAlgorithm,
            &ecdsa::ECDSA_SHA2_NISTP256,
        ];
        for algorithm in plain {
            let refused = algorithm.verify(&key, &message, &signature);
            assert_eq!(refused, Err(CryptoError::InvalidKey));
        }
    }
    let signature = Signature::from_encoded(OPENSSH[0].2).unwrap();
    let good = PublicKey::from_blob(OPENSSH[0].1).unwrap();
    let trailing = [good.as_blob(), &[0]].concat();
    let weak = PublicKey::sk_ed25519(&[0; 32], "ssh:");
    let cut = good.as_blob()[..good.as_blob().len() - 8].to_vec();
    for bad in [
        PublicKey::from_blob(trailing).unwrap(),
        PublicKey::from_blob(cut).unwrap(),
        PublicKey::ed25519(&[7; 32]),
        weak,
    ] {
        let refused = SK_SSH_ED25519.verify(&bad, &message, &signature);
        assert_eq!(refused, Err(CryptoError::InvalidKey));
    }
    for name in ["ssh-ed25519", "sk-ssh-ed25519-cert-v01@openssh.com"] {
        assert_eq!(Signature::new(name, &[1; 64]).security_key(), None);
    }
}
