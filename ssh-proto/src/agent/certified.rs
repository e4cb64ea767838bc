//! Private keys with their certificates in messages to an agent: those fields that the certificate has are left out (OpenSSH PROTOCOL.agent; `sshkey_private_serialize`).

use bytes::{BufMut, Bytes, BytesMut};
use zeroize::Zeroize;

use crate::crypto::{Certificate, PrivateKey, PublicKey};
use crate::error::DecodeError;
use crate::keys::{KeyFileError, put_private, read_private};
use crate::wire::{Reader, put_string};

/// Bytes of secrets, wiped on drop. Reserved for at once: growing would leave copies behind.
struct Wiped(BytesMut);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The fields at the beginning of a private key of this type that are not repeated behind its
/// certificate.
fn omitted(key_type: &str) -> usize {
    match key_type {
        "ssh-dss" => 4,
        "ssh-rsa" => 2,
        "sk-ecdsa-sha2-nistp256@openssh.com" => 2,
        ecdsa if ecdsa.starts_with("ecdsa-sha2-") => 2,
        // Those of Edwards curves repeat the public key.
        _ => 0,
    }
}

/// What [`omitted`] counts, from the public key: in its order but for RSA, where the private key
/// has the modulus first.
fn put_omitted(key: &PublicKey, out: &mut BytesMut) -> Result<(), DecodeError> {
    let mut reader = Reader::new(key.as_blob());
    let key_type = reader.text()?;
    let first = match key_type {
        "ssh-rsa" => Some(reader.string()?),
        _ => None,
    };
    let rest = omitted(key_type).saturating_sub(first.iter().len());
    for _ in 0..rest {
        put_string(out, reader.string()?);
    }
    if let Some(exponent) = first {
        put_string(out, exponent);
    }
    Ok(())
}

/// Reads what follows the type of a certificate; `None` for one of a key of which there is no
/// [`PrivateKey`] value.
pub(super) fn read(
    key_type: &str,
    reader: &mut Reader<'_>,
) -> Result<Option<(PrivateKey, Certificate)>, DecodeError> {
    let blob = Bytes::copy_from_slice(reader.string()?);
    let certificate = Certificate::from_public_key(&PublicKey::from_blob(blob)?)?;
    let public = certificate.public_key();
    if certificate.as_public_key().key_type() != key_type {
        return Err(DecodeError::OutOfRange);
    }
    let behind = reader.clone().rest();
    let mut fields = Wiped(BytesMut::with_capacity(
        public.as_blob().len().saturating_add(behind.len()),
    ));
    put_omitted(public, &mut fields.0)?;
    let known = fields.0.len();
    fields.0.put_slice(behind);
    let mut private = Reader::new(&fields.0);
    let key = match read_private(public.key_type(), &mut private) {
        Ok(key) => key,
        Err(KeyFileError::UnsupportedKeyType(_)) => return Ok(None),
        Err(_) => return Err(DecodeError::OutOfRange),
    };
    let taken = fields.0.len().saturating_sub(private.remaining());
    reader.bytes(taken.saturating_sub(known))?;
    match key.public_key() == *public {
        true => Ok(Some((key, certificate))),
        false => Err(DecodeError::OutOfRange),
    }
}

/// Appends type, certificate and private key.
pub(super) fn put(key: &PrivateKey, certificate: &Certificate, out: &mut BytesMut) {
    let presented = certificate.as_public_key();
    put_string(out, presented.key_type().as_bytes());
    put_string(out, presented.as_blob());
    let mut whole = Wiped(BytesMut::with_capacity(16 * 1024));
    put_private(key, &mut whole.0);
    let mut reader = Reader::new(&whole.0);
    let key_type = reader.text().unwrap_or_default();
    for _ in 0..omitted(key_type) {
        // They are there: this is our own encoding.
        let _ = reader.string();
    }
    out.put_slice(reader.rest());
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::*;
    use crate::agent::message::{AddIdentity, AgentRequest, number};
    use crate::crypto::rustcrypto::provider;
    use crate::crypto::{CertificateBuilder, EcdsaCurve};
    use crate::error::RandomFailed;
    use crate::wire::put_mpint;

    fn random(dest: &mut [u8]) -> Result<(), RandomFailed> {
        dest.fill(7);
        Ok(())
    }

    fn generate(key_type: &str) -> PrivateKey {
        provider().keys.generate(key_type, &mut random).unwrap()
    }

    fn rsa() -> PrivateKey {
        PrivateKey::Rsa {
            modulus: [0xc1; 256].into(),
            exponent: [1, 0, 1].into(),
            private_exponent: Vec::from([3; 256]).into(),
            prime_p: Vec::from([5; 128]).into(),
            prime_q: Vec::from([6; 128]).into(),
            coefficient: Vec::from([7; 128]).into(),
        }
    }

    fn certify(key: &PrivateKey) -> Certificate {
        let authority = provider().signing_key(&generate("ssh-ed25519")).unwrap();
        CertificateBuilder::user(key.public_key(), "id")
            .principal("ferris")
            .sign(&*authority, "ssh-ed25519", &mut random)
            .unwrap()
    }

    fn encode(key: &PrivateKey, certificate: &Certificate) -> BytesMut {
        let mut out = BytesMut::new();
        AgentRequest::AddIdentity(AddIdentity {
            key: key.clone(),
            certificate: Some(Box::new(certificate.clone())),
            comment: b"me",
            constraints: None,
        })
        .encode(&mut out);
        out
    }

    #[test]
    fn certified_keys_go_there_and_back() {
        for key in [
            generate("ssh-ed25519"),
            generate("ecdsa-sha2-nistp256"),
            rsa(),
        ] {
            let certificate = certify(&key);
            let message = encode(&key, &certificate);
            let Ok(AgentRequest::AddIdentity(add)) = AgentRequest::decode(&message) else {
                panic!("{key:?}");
            };
            assert_eq!(add.certificate.as_deref(), Some(&certificate));
            assert_eq!(add.key.public_key(), key.public_key());
            assert_eq!(add.comment, b"me");
            for len in 0..message.len() {
                assert!(AgentRequest::decode(&message[..len]).is_err(), "{len}");
            }
        }
    }

    /// The fields that OpenSSH leaves out.
    #[test]
    fn the_message_is_that_of_openssh() {
        let key = generate("ecdsa-sha2-nistp256");
        let PrivateKey::Ecdsa { scalar, .. } = &key else {
            panic!("{key:?}");
        };
        let certificate = certify(&key);
        let mut expected = BytesMut::new();
        expected.put_u8(number::ADD_IDENTITY);
        put_string(&mut expected, b"ecdsa-sha2-nistp256-cert-v01@openssh.com");
        put_string(&mut expected, certificate.as_public_key().as_blob());
        put_mpint(&mut expected, scalar);
        put_string(&mut expected, b"me");
        assert_eq!(encode(&key, &certificate), expected);

        let (key, mut expected) = (rsa(), BytesMut::new());
        let certificate = certify(&key);
        expected.put_u8(number::ADD_IDENTITY);
        put_string(&mut expected, b"ssh-rsa-cert-v01@openssh.com");
        put_string(&mut expected, certificate.as_public_key().as_blob());
        for number in [&[3; 256][..], &[7; 128], &[5; 128], &[6; 128]] {
            put_mpint(&mut expected, number);
        }
        put_string(&mut expected, b"me");
        assert_eq!(encode(&key, &certificate), expected);

        let key = generate("ssh-ed25519");
        let PrivateKey::Ed25519 { public, seed } = &key else {
            panic!("{key:?}");
        };
        let (certificate, mut expected) = (certify(&key), BytesMut::new());
        expected.put_u8(number::ADD_IDENTITY);
        put_string(&mut expected, b"ssh-ed25519-cert-v01@openssh.com");
        put_string(&mut expected, certificate.as_public_key().as_blob());
        put_string(&mut expected, public);
        put_string(&mut expected, &[&seed[..], public].concat());
        put_string(&mut expected, b"me");
        assert_eq!(encode(&key, &certificate), expected);
    }

    #[test]
    fn l8_a_certificate_of_another_key_is_refused() {
        let key = generate("ssh-ed25519");
        let other = PrivateKey::Ecdsa {
            curve: EcdsaCurve::Nistp256,
            public: [4; 65].into(),
            scalar: Vec::from([9; 32]).into(),
        };
        // Another certificate of the same length in its place.
        let PrivateKey::Ed25519 { seed, .. } = &key else {
            panic!("{key:?}");
        };
        let stranger = PrivateKey::Ed25519 {
            public: [8; 32],
            seed: seed.clone(),
        };
        let message = encode(&key, &certify(&stranger));
        assert!(AgentRequest::decode(&message).is_err());
        // The type of the message is not that of the certificate.
        let mut message = encode(&key, &certify(&other));
        assert!(AgentRequest::decode(&message).is_err());
        message = encode(&key, &certify(&key));
        message[5..9].copy_from_slice(b"SSH-");
        assert!(!matches!(
            AgentRequest::decode(&message),
            Ok(AgentRequest::AddIdentity(_))
        ));
    }
}
