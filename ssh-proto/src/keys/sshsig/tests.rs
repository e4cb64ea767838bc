//! Tests of signatures: those of ssh-keygen are verified, ours are the same, and everything else is refused.

use alloc::string::ToString;
use alloc::sync::Arc;

use super::*;
use crate::crypto::CertificateBuilder;
use crate::crypto::rustcrypto::provider;
use crate::keys::PrivateKeyFile;

struct Sevens;

impl crate::crypto::SecureRandom for Sevens {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), crate::error::RandomFailed> {
        dest.fill(7);
        Ok(())
    }
}

const MESSAGE: &[u8] = b"the message\n";
const ED25519: &str = include_str!("../testdata/ed25519.sig");
const ED25519_SHA256: &str = include_str!("../testdata/ed25519.sha256.sig");
const ECDSA: &str = include_str!("../testdata/ecdsa.sig");
const ECDSA_SHA256: &str = include_str!("../testdata/ecdsa.sha256.sig");
const RSA: &str = include_str!("../testdata/rsa.sig");

fn signing_key(file: &[u8]) -> Arc<dyn SigningKey> {
    let (key, _) = PrivateKeyFile::parse(file).unwrap().decrypt(None).unwrap();
    provider().signing_key(&key).unwrap()
}

fn ed25519() -> Arc<dyn SigningKey> {
    signing_key(include_bytes!("../testdata/ed25519"))
}

fn parse(text: &str) -> SshSig {
    SshSig::from_armored(text.as_bytes()).unwrap()
}

#[test]
fn signatures_of_ssh_keygen_are_verified() {
    for (text, hash, key_type) in [
        (ED25519, SshSigHash::Sha512, "ssh-ed25519"),
        (ED25519_SHA256, SshSigHash::Sha256, "ssh-ed25519"),
        (ECDSA, SshSigHash::Sha512, "ecdsa-sha2-nistp256"),
        (ECDSA_SHA256, SshSigHash::Sha256, "ecdsa-sha2-nistp256"),
    ] {
        let signature = parse(text);
        assert_eq!((signature.hash(), signature.namespace()), (hash, "file"));
        let key = signature.verify("file", MESSAGE, &provider()).unwrap();
        assert_eq!(key.key_type(), key_type);
        let digest = hash.algorithm(&provider()).hash(&[MESSAGE]);
        assert!(
            signature
                .verify_digest("file", digest.as_ref(), &provider())
                .is_ok()
        );
        assert_eq!(
            signature.verify("file", b"the message", &provider()),
            Err(SshSigError::InvalidSignature)
        );
        assert_eq!(
            signature.verify_digest("file", &digest.as_ref()[1..], &provider()),
            Err(SshSigError::WrongDigestLength)
        );
        assert_eq!(signature.to_armored(), text);
    }
    assert_eq!(parse(RSA).signature().algorithm(), "rsa-sha2-512");
    assert_eq!(parse(RSA).to_armored(), RSA);
}

/// Ed25519 leaves nothing to chance: ours is that of ssh-keygen to the byte.
#[test]
fn signatures_are_those_of_ssh_keygen() {
    for (hash, text) in [
        (SshSigHash::Sha512, ED25519),
        (SshSigHash::Sha256, ED25519_SHA256),
    ] {
        let signature = SshSig::sign(&*ed25519(), "file", hash, MESSAGE, &provider()).unwrap();
        assert_eq!(signature.to_armored(), text);
    }
    let key = signing_key(include_bytes!("../testdata/ecdsa"));
    let signature = SshSig::sign(&*key, "git", SshSigHash::default(), MESSAGE, &provider());
    let again = parse(&signature.unwrap().to_armored());
    assert_eq!(
        again.verify("git", MESSAGE, &provider()),
        Ok(key.public_key())
    );
}

#[test]
fn signatures_can_be_made_elsewhere() {
    let (key, hash) = (ed25519(), SshSigHash::Sha256);
    let digest = provider().sha256.hash(&[MESSAGE]);
    let data = SshSig::signed_data("file", hash, digest.as_ref()).unwrap();
    let signature = key.sign("ssh-ed25519", &data).unwrap();
    let made = SshSig::new(key.public_key().clone(), "file", hash, signature).unwrap();
    assert_eq!(made.to_armored(), ED25519_SHA256);
    assert_eq!(
        SshSig::sign_digest(&*key, "file", SshSigHash::Sha512, digest.as_ref()),
        Err(SshSigError::WrongDigestLength)
    );
}

/// M11: a signature is for one namespace.
#[test]
fn m11_namespaces_are_compared_and_not_empty() {
    let signature = parse(ED25519);
    for other in ["fil", "File", "files", "git"] {
        assert_eq!(
            signature.verify(other, MESSAGE, &provider()),
            Err(SshSigError::WrongNamespace)
        );
    }
    let long = "n".repeat(MAX_SIGNATURE_NAMESPACE + 1);
    for bad in ["", "a\0", "a\nb", "a\u{1b}", &long] {
        assert_eq!(
            signature.verify(bad, MESSAGE, &provider()),
            Err(SshSigError::BadNamespace)
        );
        let sign = SshSig::sign(&*ed25519(), bad, SshSigHash::Sha512, MESSAGE, &provider());
        assert_eq!(sign, Err(SshSigError::BadNamespace));
        assert_eq!(
            SshSig::from_bytes(&blob(1, bad.as_bytes(), b"", b"sha512", "ssh-ed25519")),
            Err(SshSigError::BadNamespace)
        );
    }
    let longest = "n".repeat(MAX_SIGNATURE_NAMESPACE);
    assert!(
        SshSig::sign(
            &*ed25519(),
            &longest,
            SshSigHash::Sha512,
            MESSAGE,
            &provider()
        )
        .is_ok()
    );
    assert_eq!(
        SshSig::from_bytes(&blob(1, b"\xff", b"", b"sha512", "ssh-ed25519")),
        Err(SshSigError::BadNamespace)
    );
}

fn blob(version: u32, namespace: &[u8], reserved: &[u8], hash: &[u8], algorithm: &str) -> Vec<u8> {
    let signature = parse(ED25519);
    let mut bytes = BytesMut::new();
    bytes.put_slice(MAGIC);
    bytes.put_u32(version);
    put_string(&mut bytes, signature.key.as_blob());
    put_string(&mut bytes, namespace);
    put_string(&mut bytes, reserved);
    put_string(&mut bytes, hash);
    let inner = Signature::new(algorithm, signature.signature.blob());
    put_string(&mut bytes, inner.as_encoded());
    bytes.into()
}

#[test]
fn m11_versions_hashes_and_algorithms() {
    let read = |blob: Vec<u8>| SshSig::from_bytes(&blob).map(|_| ());
    let name = |name: &str| name.to_string();
    assert_eq!(
        read(blob(1, b"file", b"", b"sha512", "ssh-ed25519")),
        Ok(())
    );
    for version in [0, 2, u32::MAX] {
        assert_eq!(
            read(blob(version, b"file", b"", b"sha512", "ssh-ed25519")),
            Err(SshSigError::UnsupportedVersion(version))
        );
    }
    for hash in ["sha1", "", "SHA512", "sha384", "md5"] {
        assert_eq!(
            read(blob(1, b"file", b"", hash.as_bytes(), "ssh-ed25519")),
            Err(SshSigError::UnsupportedHash(name(hash)))
        );
    }
    for weak in ["ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com"] {
        assert_eq!(
            read(blob(1, b"file", b"", b"sha512", weak)),
            Err(SshSigError::UnsupportedAlgorithm(name(weak)))
        );
    }
    // Of a type that the key is not of, and of one that nobody has.
    let verify = |algorithm: &str| {
        let signature = SshSig::from_bytes(&blob(1, b"file", b"", b"sha512", algorithm)).unwrap();
        signature
            .verify("file", MESSAGE, &provider())
            .cloned()
            .unwrap_err()
    };
    assert_eq!(verify("ecdsa-sha2-nistp256"), SshSigError::InvalidSignature);
    assert_eq!(verify("x"), SshSigError::UnsupportedAlgorithm(name("x")));
}

/// PROTOCOL.sshsig: what is in the reserved field is ignored, since it is not part of what is signed.
#[test]
fn a_reserved_field_is_ignored() {
    let signature = SshSig::from_armored(ED25519.as_bytes()).unwrap();
    let mut bytes = BytesMut::new();
    bytes.put_slice(MAGIC);
    bytes.put_u32(1);
    put_string(&mut bytes, signature.key.as_blob());
    put_string(&mut bytes, b"file");
    put_string(&mut bytes, b"for later");
    put_string(&mut bytes, b"sha512");
    put_string(&mut bytes, signature.signature.as_encoded());
    let read = SshSig::from_bytes(&bytes).unwrap();
    assert!(read.verify("file", MESSAGE, &provider()).is_ok());
}

#[test]
fn m11_trailing_and_missing_bytes_are_refused() {
    let whole = parse(ED25519).to_bytes();
    for cut in 0..whole.len() {
        assert!(SshSig::from_bytes(&whole[..cut]).is_err(), "{cut}");
    }
    assert_eq!(
        SshSig::from_bytes(&[&whole[..], &[0]].concat()),
        Err(SshSigError::Damaged)
    );
    // Behind the signature proper, within its field.
    let signature = parse(ED25519);
    let longer = [signature.signature.as_encoded(), &[0]].concat();
    let longer = SshSig {
        signature: Signature::from_encoded(longer).unwrap(),
        ..signature
    };
    assert_eq!(
        longer.verify("file", MESSAGE, &provider()),
        Err(SshSigError::InvalidSignature)
    );
    for changed in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[changed] ^= 1;
        let verified = SshSig::from_bytes(&bytes)
            .and_then(|read| read.verify("file", MESSAGE, &provider()).cloned());
        assert!(verified.is_err(), "{changed}");
    }
}

#[test]
fn m1_armor_is_checked() {
    let read = |text: &str| SshSig::from_armored(text.as_bytes()).map(|_| ());
    assert_eq!(read(&ED25519.replace('\n', "\r\n")), Ok(()));
    assert_eq!(read(ED25519.trim_end()), Ok(()));
    for text in [
        "",
        "\n",
        &ED25519[1..],
        &alloc::format!("\u{feff}{ED25519}"),
        &alloc::format!(" {ED25519}"),
        &ED25519.replace("SSH SIGNATURE", "PGP SIGNATURE"),
    ] {
        assert_eq!(read(text), Err(SshSigError::NotASignature));
    }
    for text in [
        &ED25519.replace(END, ""),
        &alloc::format!("{ED25519}{ED25519}"),
        &alloc::format!("{BEGIN}\n{ED25519}"),
        &alloc::format!("{ED25519}x"),
        &ED25519.replace("U1NI", "U1N!"),
    ] {
        assert_eq!(read(text), Err(SshSigError::Damaged));
    }
    for cut in 0..ED25519.len() - 1 {
        assert!(read(&ED25519[..cut]).is_err());
    }
    assert_eq!(
        read(&alloc::format!("{BEGIN}\nAAAA\n{END}\n")),
        Err(SshSigError::NotASignature)
    );
    let long = "\n".repeat(MAX_SIGNATURE_FILE + 1);
    assert_eq!(read(&long), Err(SshSigError::TooLong));
    assert_eq!(
        SshSig::from_bytes(long.as_bytes()),
        Err(SshSigError::TooLong)
    );
}

/// M9, M11: the key in a certificate signs, and the authority says for whom.
#[test]
fn m11_signatures_by_certificate_are_those_of_their_authority() {
    use crate::keys::{AllowedSigners, SignerRefusal, WallClock};

    let signature = parse(include_str!("../testdata/ecdsa-cert.sig"));
    assert_eq!(signature.signature().algorithm(), "ecdsa-sha2-nistp256");
    let key = signature.verify("file", MESSAGE, &provider()).unwrap();
    let certificate = key.certificate().unwrap();
    assert_eq!(certificate.key_id(), "signer");
    let wrong = Err(SshSigError::InvalidSignature);
    assert_eq!(signature.verify("file", b"other", &provider()), wrong);
    // Another certificate of the same key is as good, one of another key is not.
    let other = CertificateBuilder::user(ed25519().public_key().clone(), "").principal("me");
    let other = other.sign(&*ed25519(), "ssh-ed25519", &mut Sevens).unwrap();
    let forged = SshSig {
        key: other.as_public_key().clone(),
        ..signature.clone()
    };
    assert_eq!(forged.verify("file", MESSAGE, &provider()), wrong);
    // One that is not of its authority is what it says, and holds for nobody.
    let mut blob = key.as_blob().to_vec();
    *blob.last_mut().unwrap() ^= 1;
    let spoiled = PublicKey::from_blob(blob).unwrap().certificate().unwrap();

    let authority = crate::keys::PublicKeyLine {
        key: ed25519().public_key().clone(),
        comment: crate::keys::Comment::default(),
    };
    use SignerRefusal as R;
    // 2024-06-01, and the edges of the certificate.
    let (june, first, last) = (1_717_200_000, 1_704_067_200, 1_735_689_599);
    for (line, principal, now, expected) in [
        ("me@example cert-authority", "me@example", june, Ok(1)),
        ("*@example cert-authority", "you@example", june, Ok(1)),
        ("me@example cert-authority", "me@example", first, Ok(1)),
        ("me@example cert-authority", "me@example", last, Ok(1)),
        (
            "me@example cert-authority",
            "me@example",
            first - 1,
            Err(R::Certificate),
        ),
        (
            "me@example cert-authority",
            "me@example",
            last + 1,
            Err(R::Certificate),
        ),
        // The line knows them and the certificate does not; the other way round.
        (
            "*@example cert-authority",
            "they@example",
            june,
            Err(R::Certificate),
        ),
        ("*@example cert-authority", "me@*", june, Err(R::Unknown)),
        (
            "me@example cert-authority",
            "you@example",
            june,
            Err(R::Unknown),
        ),
        // The key of the authority may sign, and not by certificate.
        ("me@example", "me@example", june, Err(R::Unknown)),
        (
            "me@example cert-authority,namespaces=\"git\"",
            "me@example",
            june,
            Err(R::Namespace),
        ),
        (
            "me@example cert-authority,valid-before=\"20240101Z\"",
            "me@example",
            june,
            Err(R::Expired),
        ),
    ] {
        let text = alloc::format!("{line} {authority}\n");
        let (signers, errors) = AllowedSigners::parse(text.as_bytes()).unwrap();
        assert_eq!(errors, []);
        let now = WallClock::utc(now);
        let check = |certificate| {
            signers
                .check_certificate(principal, "file", certificate, now, &provider())
                .map(|signer| signer.line())
        };
        assert_eq!(check(&certificate), expected, "{line} {principal}");
        assert!(check(&spoiled).is_err());
        assert!(check(&other).is_err());
        // It is no plain key, whatever stands in the file.
        assert_eq!(signers.check(principal, "file", key, now), Err(R::Unknown));
    }
}
