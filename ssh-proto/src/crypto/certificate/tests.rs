//! Certificates of ssh-keygen (testdata/README.md), ours, and bad ones.
#![cfg(feature = "rustcrypto")]

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use std::format;

use bytes::{BufMut, BytesMut};

use super::*;
use crate::crypto::SigningKey;
use crate::crypto::rustcrypto::provider;
use crate::error::{CryptoError, RandomFailed};
use crate::limits::MAX_KEY_BLOB;

macro_rules! file {
    ($name:literal) => {
        read(include_str!(concat!("testdata/", $name, ".pub")))
    };
}

/// The key in a public key line.
fn read(line: &str) -> PublicKey {
    let digits = line.split(' ').nth(1).unwrap().trim().trim_end_matches('=');
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut blob = Vec::new();
    let (mut word, mut bits) = (0_u32, 0);
    for digit in digits.bytes() {
        word = (word << 6 | u32::from(value(digit))) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            blob.push((word >> bits) as u8);
        }
    }
    PublicKey::from_blob(blob).unwrap()
}

fn parse(key: &PublicKey) -> Result<Certificate, DecodeError> {
    Certificate::from_public_key(key)
}

fn signer(key_type: &str, seed: u8) -> Arc<dyn SigningKey> {
    let mut random = |dest: &mut [u8]| -> Result<(), RandomFailed> {
        dest.fill(seed);
        Ok(())
    };
    let key = provider().keys.generate(key_type, &mut random).unwrap();
    provider().signing_key(&key).unwrap()
}

fn authority() -> Arc<dyn SigningKey> {
    signer("ssh-ed25519", 9)
}

fn user_key() -> Arc<dyn SigningKey> {
    signer("ssh-ed25519", 1)
}

fn random(dest: &mut [u8]) -> Result<(), RandomFailed> {
    dest.fill(0x5a);
    Ok(())
}

fn issue(builder: &CertificateBuilder) -> Certificate {
    builder
        .sign(&*authority(), "ssh-ed25519", &mut random)
        .unwrap()
}

fn user() -> CertificateBuilder {
    CertificateBuilder::user(user_key().public_key().clone(), "id").principal("ferris")
}

/// Verified for the user ferris at second 1500, by the authority of these tests.
fn verify(certificate: &Certificate) -> Result<CertificateRights, CertificateError> {
    verify_as(certificate, |check| check)
}

fn verify_as(
    certificate: &Certificate,
    change: impl Fn(CertificateCheck<'_>) -> CertificateCheck<'_>,
) -> Result<CertificateRights, CertificateError> {
    let authorities = [authority().public_key().clone()];
    let check = CertificateCheck::user(&["ferris"], 1500, &authorities);
    certificate.verify(&change(check), &provider())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_string(&mut out, bytes);
    out.to_vec()
}

/// A certificate in pieces, each of which can be spoiled.
struct Parts {
    key_type: Vec<u8>,
    nonce: Vec<u8>,
    key: Vec<u8>,
    serial: u64,
    kind: u32,
    key_id: Vec<u8>,
    principals: Vec<u8>,
    validity: [u64; 2],
    critical: Vec<u8>,
    extensions: Vec<u8>,
    reserved: Vec<u8>,
    authority: Vec<u8>,
    behind: Vec<u8>,
}

impl Parts {
    fn good() -> Self {
        Self {
            key_type: b"ssh-ed25519-cert-v01@openssh.com".to_vec(),
            nonce: vec![3; 32],
            key: user_key().public_key().as_blob()[15..].to_vec(),
            serial: 0,
            kind: 1,
            key_id: b"id".to_vec(),
            principals: string(b"ferris"),
            validity: [0, u64::MAX],
            critical: Vec::new(),
            extensions: Vec::new(),
            reserved: Vec::new(),
            authority: authority().public_key().as_blob().to_vec(),
            behind: Vec::new(),
        }
    }

    fn key(&self) -> PublicKey {
        let mut out = BytesMut::new();
        put_string(&mut out, &self.key_type);
        put_string(&mut out, &self.nonce);
        out.put_slice(&self.key);
        out.put_u64(self.serial);
        out.put_u32(self.kind);
        put_string(&mut out, &self.key_id);
        put_string(&mut out, &self.principals);
        out.put_u64(self.validity[0]);
        out.put_u64(self.validity[1]);
        put_string(&mut out, &self.critical);
        put_string(&mut out, &self.extensions);
        put_string(&mut out, &self.reserved);
        put_string(&mut out, &self.authority);
        let signature = authority().sign("ssh-ed25519", &out).unwrap();
        put_string(&mut out, signature.as_encoded());
        out.put_slice(&self.behind);
        PublicKey::from_blob(out).unwrap()
    }
}

/// What the good certificate becomes by this change.
fn changed(change: impl FnOnce(&mut Parts)) -> Result<Certificate, DecodeError> {
    let mut parts = Parts::good();
    change(&mut parts);
    parse(&parts.key())
}

fn options(options: &[(&str, &[u8])]) -> Vec<u8> {
    let pair = |(name, data): &(&str, &[u8])| [string(name.as_bytes()), string(data)].concat();
    options.iter().flat_map(pair).collect()
}

#[test]
fn ssh_keygens_certificates_of_every_key_type() {
    let ca = [file!("ca-ed25519")];
    for (certificate, key, name) in [
        (file!("user-ed25519"), file!("key-ed25519"), "ed25519"),
        (file!("user-ecdsa-256"), file!("key-ecdsa-256"), "ecdsab256"),
        (file!("user-ecdsa-384"), file!("key-ecdsa-384"), "ecdsab384"),
        (file!("user-ecdsa-521"), file!("key-ecdsa-521"), "ecdsab521"),
        (file!("user-rsa"), file!("key-rsa"), "rsab2048"),
        (
            file!("user-sk-ssh-ed25519"),
            file!("key-sk-ssh-ed25519"),
            "sk-ssh-ed25519",
        ),
        (
            file!("user-sk-ecdsa-sha2-nistp256"),
            file!("key-sk-ecdsa-sha2-nistp256"),
            "sk-ecdsa-sha2-nistp256",
        ),
    ] {
        assert!(certificate.is_certificate() && !key.is_certificate());
        assert!(certificate.is_well_formed());
        let read = parse(&certificate).unwrap();
        assert_eq!(read.as_public_key(), &certificate);
        assert_eq!(read.public_key(), &key, "{name}");
        assert_eq!(read.serial(), 7);
        assert_eq!(read.kind(), CertificateKind::User);
        assert_eq!(read.key_id(), format!("id of key_{name}"));
        assert_eq!(read.principals(), ["ferris", "crab"]);
        assert_eq!((read.valid_after(), read.valid_before()), (1000, 2000));
        assert!(read.critical_options().is_empty());
        assert_eq!(read.extensions().len(), 5);
        assert_eq!(read.signature_key(), &ca[0]);
        let check = CertificateCheck::user(&["crab"], 1500, &ca);
        let rights = read.verify(&check, &provider()).unwrap();
        assert!(rights.pty() && rights.port_forwarding() && rights.user_rc());
        assert!(rights.x11_forwarding() && rights.agent_forwarding());
        assert_eq!(rights.force_command(), None);
        assert!(!rights.verify_required() && !rights.no_touch_required());
    }
}

/// By each kind of authority; whether the provider verifies by it is the provider's affair, and a
/// wrong signature passes nowhere.
#[test]
fn ssh_keygens_authorities() {
    for (certificate, ca, algorithm) in [
        (
            file!("by-ecdsa-256"),
            file!("ca-ecdsa-256"),
            "ecdsa-sha2-nistp256",
        ),
        (
            file!("by-ecdsa-384"),
            file!("ca-ecdsa-384"),
            "ecdsa-sha2-nistp384",
        ),
        (
            file!("by-ecdsa-521"),
            file!("ca-ecdsa-521"),
            "ecdsa-sha2-nistp521",
        ),
        (file!("by-rsa-sha2-256"), file!("ca-rsa"), "rsa-sha2-256"),
        (file!("by-rsa-sha2-512"), file!("ca-rsa"), "rsa-sha2-512"),
    ] {
        let provider = provider();
        let read = parse(&certificate).unwrap();
        assert_eq!(read.signature().algorithm(), algorithm);
        let ca = [ca];
        let check = CertificateCheck::user(&["ferris"], 1500, &ca);
        let verdict = read.verify(&check, &provider);
        match provider.signature(algorithm) {
            Some(_) => assert!(verdict.is_ok(), "{algorithm}: {verdict:?}"),
            None => assert_eq!(verdict, Err(CertificateError::AlgorithmNotAllowed)),
        }
        let none = check.ca_algorithms(&["ssh-ed25519"]);
        let verdict = read.verify(&none, &provider);
        assert_eq!(verdict, Err(CertificateError::AlgorithmNotAllowed));
    }
}

/// OpenSSH 9.2 still signs so on request; nothing accepts it unless told to.
#[test]
fn d8_an_authority_that_signs_with_sha_1_is_refused() {
    let read = parse(&file!("by-ssh-rsa")).unwrap();
    assert_eq!(read.signature().algorithm(), "ssh-rsa");
    let ca = [file!("ca-rsa")];
    let check = CertificateCheck::user(&["ferris"], 1500, &ca);
    let refused = Err(CertificateError::AlgorithmNotAllowed);
    assert_eq!(read.verify(&check, &provider()), refused);
}

#[test]
fn d8_a_host_certificate_of_ssh_keygen() {
    let read = parse(&file!("host")).unwrap();
    assert_eq!(read.kind(), CertificateKind::Host);
    assert_eq!((read.valid_after(), read.valid_before()), (0, u64::MAX));
    let ca = [file!("ca-ecdsa-256")];
    let at = |name| read.verify(&CertificateCheck::host(name, 1500, &ca), &provider());
    for good in [
        "host.example",
        "HOST.Example",
        "a.wild.example",
        "a.b.wild.example",
    ] {
        assert_eq!(at(good), Ok(CertificateRights::default()), "{good}");
    }
    for bad in [
        "",
        "host.exampl",
        "host.example.",
        "host.example2",
        "wild.example",
        "*.wild.example2",
        "xwild.example",
    ] {
        assert_eq!(at(bad), Err(CertificateError::WrongPrincipal), "{bad}");
    }
    let user = CertificateCheck::user(&["host.example"], 1500, &ca);
    let refused = Err(CertificateError::WrongKind);
    assert_eq!(read.verify(&user, &provider()), refused);
}

#[test]
fn ssh_keygens_options() {
    let ca = [file!("ca-ed25519")];
    let read = parse(&file!("options")).unwrap();
    let names: Vec<_> = read.extensions().iter().map(|e| e.name()).collect();
    assert_eq!(
        names,
        ["hello@example.com", "no-touch-required", "permit-pty"]
    );
    assert_eq!(read.extensions()[0].data(), b"\0\0\0\x05world");
    let check = CertificateCheck::user(&["ferris"], 1500, &ca);
    let from = |source: &str| {
        let check = check.source(source.parse().unwrap());
        read.verify(&check, &provider())
    };
    let rights = from("10.9.8.7").unwrap();
    assert_eq!(rights.force_command(), Some(&b"echo hi"[..]));
    assert!(rights.verify_required() && rights.no_touch_required() && rights.pty());
    assert!(!rights.x11_forwarding() && !rights.agent_forwarding());
    assert!(!rights.port_forwarding() && !rights.user_rc());
    assert!(from("::1").is_ok() && from("::ffff:10.0.0.1").is_ok());
    assert_eq!(from("11.0.0.1"), Err(CertificateError::WrongSourceAddress));
    // Who does not say where the user comes from cannot admit it.
    let nowhere = read.verify(&check, &provider());
    assert_eq!(nowhere, Err(CertificateError::WrongSourceAddress));

    let critical = parse(&file!("critical")).unwrap();
    let refused = CertificateError::UnknownCriticalOption("hello@example.com".into());
    assert_eq!(critical.verify(&check, &provider()), Err(refused));
    let nobody = parse(&file!("nobody")).unwrap();
    let refused = Err(CertificateError::NoPrincipals);
    assert_eq!(nobody.verify(&check, &provider()), refused);
}

#[test]
fn m9_the_form_is_strict() {
    use DecodeError::*;

    let good = changed(|_| {}).unwrap();
    assert_eq!(verify(&good), Ok(CertificateRights::default()));
    let refused = |error, change: fn(&mut Parts)| assert_eq!(changed(change).err(), Some(error));
    // Neither user nor host.
    for kind in [0, 3, u32::MAX] {
        assert_eq!(changed(|p| p.kind = kind).err(), Some(OutOfRange));
    }
    refused(TrailingBytes, |p| p.behind.push(0));
    // The type is another than that of the key.
    refused(OutOfRange, |p| p.key = string(&[0; 31]));
    for other in [
        &b"ssh-ed25519"[..],
        b"ssh-ed448-cert-v01@openssh.com",
        b"ssh-ed25519-cert-v00@openssh.com",
    ] {
        assert_eq!(
            changed(|p| p.key_type = other.to_vec()).err(),
            Some(BadText)
        );
    }
    for other in [
        "ssh-rsa-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ssh-dss-cert-v01@openssh.com",
    ] {
        assert!(changed(|p| p.key_type = other.into()).is_err(), "{other}");
    }
    // One curve's key under another's name.
    let p256 = signer("ecdsa-sha2-nistp256", 4);
    refused(OutOfRange, |p| {
        p.key_type = b"ecdsa-sha2-nistp384-cert-v01@openssh.com".to_vec();
        p.key = signer("ecdsa-sha2-nistp256", 4).public_key().as_blob()[23..].to_vec();
    });
    let fits = changed(|p| {
        p.key_type = b"ecdsa-sha2-nistp256-cert-v01@openssh.com".to_vec();
        p.key = p256.public_key().as_blob()[23..].to_vec();
    });
    assert_eq!(fits.unwrap().public_key(), p256.public_key());
    // Text with a NUL, or that is none.
    refused(BadText, |p| p.key_id = b"a\0b".to_vec());
    refused(BadText, |p| p.key_id = vec![0xff]);
    refused(BadText, |p| p.principals = string(b"ferris\0"));
    // Lists that end within an element.
    refused(Truncated, |p| p.principals = b"\0\0\0\x07ferris".to_vec());
    refused(Truncated, |p| p.critical = string(b"force-command"));
    refused(Truncated, |p| p.extensions = vec![0; 3]);
    refused(Truncated, |p| p.extensions = vec![0xff; 8]);
    // What is reserved is nobody's business.
    assert!(changed(|p| p.reserved = vec![7; 100]).is_ok());
    // As many principals as OpenSSH takes, and one more.
    assert!(changed(|p| p.principals = vec![0; 4 * 256]).is_ok());
    refused(TooMany, |p| p.principals = vec![0; 4 * 257]);
}

#[test]
fn m9_options_are_in_order_and_have_the_data_of_their_name() {
    let lists: [&[(&str, &[u8])]; 8] = [
        // Not in order, and twice.
        &[("permit-pty", b""), ("no-touch-required", b"")],
        &[("permit-pty", b""), ("permit-pty", b"")],
        &[("b", b""), ("b", b"x")],
        &[("a", b""), ("a", b"")],
        // A switch with data.
        &[("permit-pty", b"x")],
        &[("permit-pty", b"\0\0\0\0")],
        &[("no-touch-required", b"\0")],
        &[("permit-X11-forwarding", b"\0\0\0\x02no")],
    ];
    for list in lists {
        let refused = changed(|p| p.extensions = options(list));
        assert_eq!(refused.err(), Some(DecodeError::OutOfRange), "{list:?}");
        let refused = changed(|p| p.critical = options(list));
        assert_eq!(refused.err(), Some(DecodeError::OutOfRange), "{list:?}");
    }
    let lists: [&[(&str, &[u8])]; 6] = [
        &[("verify-required", b"yes")],
        &[("force-command", b"")],
        &[("force-command", b"id")],
        &[("force-command", b"\0\0\0\x02id\0")],
        &[("source-address", b"")],
        &[("source-address", b"\0\0\0\x07::1")],
    ];
    for list in lists {
        assert!(changed(|p| p.critical = options(list)).is_err(), "{list:?}");
    }
    // What has meaning in one place has none in the other.
    for name in ["permit-pty", "no-touch-required"] {
        let read = changed(|p| p.critical = options(&[(name, b"")])).unwrap();
        let refused = CertificateError::UnknownCriticalOption(name.into());
        assert_eq!(verify(&read), Err(refused));
    }
    let list: &[(&str, &[u8])] = &[("force-command", b"\0\0\0\x02id"), ("verify-required", b"")];
    let read = changed(|p| p.extensions = options(list)).unwrap();
    assert_eq!(verify(&read), Ok(CertificateRights::default()));
}

/// An authority that is itself a certificate, however deep.
#[test]
fn m9_certificates_do_not_nest() {
    let mut nested = Parts::good().key();
    for _ in 0..20 {
        let refused = changed(|p| p.authority = nested.as_blob().to_vec());
        assert_eq!(refused.err(), Some(DecodeError::BadText));
        let mut parts = Parts::good();
        parts.authority = nested.as_blob().to_vec();
        nested = parts.key();
        assert!(!nested.is_well_formed());
    }
    // Of a type that is not even known; and a key that is not one.
    let unknown = string(b"x-cert-v01@openssh.com");
    let refused = changed(|p| p.authority = unknown);
    assert_eq!(refused.err(), Some(DecodeError::BadText));
    assert!(changed(|p| p.authority = Vec::new()).is_err());
    assert!(changed(|p| p.authority = string(b"ssh-ed25519")).is_err());
    // A certificate in the place of the key.
    let refused = CertificateBuilder::user(Parts::good().key(), "id")
        .principal("ferris")
        .sign(&*authority(), "ssh-ed25519", &mut random);
    assert_eq!(refused, Err(IssueError::Malformed(DecodeError::BadText)));
}

#[test]
fn m9_cut_or_lengthened_anywhere() {
    let blob = Parts::good().key().as_blob().to_vec();
    for len in 0..blob.len() {
        if let Ok(key) = PublicKey::from_blob(blob[..len].to_vec()) {
            assert!(parse(&key).is_err(), "{len}");
            assert!(!key.is_well_formed());
        }
    }
    // Each bit counts: the signature covers everything before it.
    for bit in 0..blob.len() * 8 {
        let mut bad = blob.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let read = PublicKey::from_blob(bad).and_then(|key| parse(&key));
        let holds = read.is_ok_and(|read| verify(&read).is_ok());
        assert!(!holds, "{bit}");
    }
}

#[test]
fn m9_who_is_not_trusted_is_refused() {
    let good = issue(&user());
    assert!(verify(&good).is_ok());
    let refused = Err(CertificateError::UnknownAuthority);
    let others = [
        signer("ssh-ed25519", 8).public_key().clone(),
        signer("ecdsa-sha2-nistp256", 9).public_key().clone(),
        // The key that is certified is no authority.
        user_key().public_key().clone(),
        good.as_public_key().clone(),
    ];
    for others in [&others[..], &[]] {
        let check = CertificateCheck::user(&["ferris"], 1500, others);
        assert_eq!(good.verify(&check, &provider()), refused);
    }
    // It names a trusted authority, and somebody else signed.
    let stranger = signer("ssh-ed25519", 8);
    let signature = stranger.sign("ssh-ed25519", good.signed()).unwrap();
    let mut forged = BytesMut::from(good.signed());
    put_string(&mut forged, signature.as_encoded());
    let forged = parse(&PublicKey::from_blob(forged).unwrap()).unwrap();
    assert_eq!(verify(&forged), Err(CertificateError::BadSignature));
    // The signature says that it is of another algorithm, or of one that is unknown.
    for (name, error) in [
        ("ecdsa-sha2-nistp256", CertificateError::AlgorithmNotAllowed),
        (
            "ssh-ed25519-cert-v01@openssh.com",
            CertificateError::AlgorithmNotAllowed,
        ),
        ("", CertificateError::AlgorithmNotAllowed),
    ] {
        let mut forged = BytesMut::from(good.signed());
        let signature = Signature::new(name, &good.signature().blob()[..64]);
        put_string(&mut forged, signature.as_encoded());
        let forged = parse(&PublicKey::from_blob(forged).unwrap()).unwrap();
        assert_eq!(verify(&forged), Err(error.clone()), "{name}");
        // Not even if it is asked for.
        let verdict = verify_as(&forged, |check| check.ca_algorithms(&[""]));
        assert_eq!(verdict, Err(error));
    }
}

/// M11 for certificates: whatever the list knows it by.
#[test]
fn m9_revoked_is_revoked() {
    let good = issue(&user().serial(17));
    let lists: [&dyn Fn(&Certificate) -> bool; 4] = [
        &|c| c.serial() == 17,
        &|c| c.key_id() == "id",
        &|c| c.public_key() == user_key().public_key(),
        &|c| c.signature_key() == authority().public_key(),
    ];
    for list in lists {
        let authorities = [authority().public_key().clone()];
        let check = CertificateCheck::user(&["ferris"], 1500, &authorities).revoked(list);
        let verdict = good.verify(&check, &provider());
        assert_eq!(verdict, Err(CertificateError::Revoked));
    }
    assert!(verify_as(&good, |check| check.revoked(&|_| false)).is_ok());
}

#[test]
fn m9_the_edges_of_time() {
    use CertificateError::{Expired, NotYetValid};

    let authorities = [authority().public_key().clone()];
    let at = |read: &Certificate, now| {
        let check = CertificateCheck::user(&["ferris"], now, &authorities);
        read.verify(&check, &provider()).err()
    };
    let read = issue(&user().valid(1000, 2000));
    for (now, verdict) in [
        (0, Some(NotYetValid)),
        (999, Some(NotYetValid)),
        (1000, None),
        (1999, None),
        (2000, Some(Expired)),
        (u64::MAX, Some(Expired)),
    ] {
        assert_eq!(at(&read, now), verdict, "{now}");
    }
    let always = issue(&user());
    assert_eq!((always.valid_after(), always.valid_before()), (0, u64::MAX));
    assert_eq!((at(&always, 0), at(&always, u64::MAX - 1)), (None, None));
    // N6: a clock that has run over does not make it valid.
    assert_eq!(at(&always, u64::MAX), Some(Expired));
    // Never valid, by whom it may be signed.
    for validity in [
        [0, 0],
        [1500, 1500],
        [1501, 1500],
        [u64::MAX, 0],
        [u64::MAX; 2],
    ] {
        let never = changed(|p| p.validity = validity).unwrap();
        for now in [0, 1499, 1500, 1501, u64::MAX - 1, u64::MAX] {
            assert!(at(&never, now).is_some(), "{validity:?} {now}");
        }
    }
}

#[test]
fn m8_principals_are_compared_as_a_whole() {
    let refused = Err(CertificateError::WrongPrincipal);
    for names in [
        "ferris,root",
        "root,ferris",
        "ferri",
        "Ferris",
        "*",
        "f?rris",
        " ferris",
        "",
    ] {
        let builder = CertificateBuilder::user(user_key().public_key().clone(), "id");
        let read = issue(&builder.principal(names));
        assert_eq!(verify(&read), refused, "{names}");
    }
    let read = issue(&user().principal("root"));
    let authorities = [authority().public_key().clone()];
    for (wanted, good) in [
        (&["ferris"][..], true),
        (&["root"], true),
        (&["nobody", "root"], true),
        (&["nobody"], false),
        (&["ferris,root"], false),
        (&["*"], false),
        (&[""], false),
        (&[], false),
    ] {
        let check = CertificateCheck::user(wanted, 1500, &authorities);
        assert_eq!(read.verify(&check, &provider()).is_ok(), good, "{wanted:?}");
    }
    let nobody = changed(|p| p.principals.clear()).unwrap();
    assert_eq!(verify(&nobody), Err(CertificateError::NoPrincipals));
}

#[test]
fn patterns_of_hosts_match_in_bounded_time() {
    let key = user_key();
    let at = |pattern: &str, name: &str| {
        let builder = CertificateBuilder::host(key.public_key().clone(), "id").principal(pattern);
        let authorities = [authority().public_key().clone()];
        let check = CertificateCheck::host(name, 1500, &authorities);
        issue(&builder).verify(&check, &provider()).is_ok()
    };
    for (pattern, name, fits) in [
        ("*", "a.b", true),
        ("*", "", true),
        ("?", "a", true),
        ("?", "", false),
        ("?", "ab", false),
        ("a*b*c", "axxbyybzc", true),
        ("a*b*c", "axxbyyczd", false),
        ("*.example", "x.example", true),
        ("*.example", "example", false),
        ("**", "x", true),
        ("host", "hos", false),
        ("hos", "host", false),
    ] {
        assert_eq!(at(pattern, name), fits, "{pattern} {name}");
    }
    let hard = "*a".repeat(2000);
    assert!(!at(&hard, &"a".repeat(1999)));
}

#[test]
fn m10_source_addresses_that_deny() {
    let from = |list: &[u8], source: &str| {
        let list = options(&[("source-address", &string(list))]);
        let read = changed(|p| p.critical = list).unwrap();
        let authorities = [authority().public_key().clone()];
        let source: IpAddr = source.parse().unwrap();
        let check = CertificateCheck::user(&["ferris"], 1500, &authorities).source(source);
        read.verify(&check, &provider()).err()
    };
    assert_eq!(from(b"10.0.0.1", "10.0.0.1"), None);
    assert_eq!(from(b"10.0.0.1", "::ffff:10.0.0.1"), None);
    let (wrong, bad) = (
        Some(CertificateError::WrongSourceAddress),
        Some(CertificateError::BadSourceAddress),
    );
    assert_eq!(from(b"10.0.0.1", "10.0.0.2"), wrong);
    for list in [
        &b""[..],
        b"10.0.0.1,",
        b"10.0.0.1,*",
        b"10.0.0.1\xff",
        b"10.0.0.1\0",
    ] {
        assert_eq!(from(list, "10.0.0.1"), bad, "{list:?}");
    }
}

/// Nobody enforces options that only users' certificates have.
#[test]
fn d8_a_host_certificate_has_no_critical_options() {
    for name in ["force-command", "source-address", "verify-required", "x"] {
        let data = match name {
            "force-command" | "source-address" => string(b"::1"),
            _ => Vec::new(),
        };
        let read = changed(|p| {
            p.kind = 2;
            p.critical = options(&[(name, &data)]);
        });
        let authorities = [authority().public_key().clone()];
        let check = CertificateCheck::host("ferris", 1500, &authorities);
        let refused = CertificateError::UnknownCriticalOption(name.into());
        assert_eq!(read.unwrap().verify(&check, &provider()), Err(refused));
    }
    // Of a user's certificate, hosts want nothing.
    let authorities = [authority().public_key().clone()];
    let check = CertificateCheck::host("ferris", 1500, &authorities);
    let refused = Err(CertificateError::WrongKind);
    assert_eq!(issue(&user()).verify(&check, &provider()), refused);
}

/// `ssh-keygen -L` of OpenSSH 9.2 printed such certificates, of users and of hosts, for keys and
/// authorities of Ed25519 and of each curve of NIST, with every field as it was given here.
#[test]
fn what_is_issued_says_what_was_wanted() {
    let builder = user()
        .principal("crab")
        .serial(u64::MAX)
        .valid(5, 6)
        .permit_all()
        .permit("no-touch-required")
        .extension("x@example.com", string(b"y"))
        .verify_required()
        .source_address("::1,10.0.0.0/8")
        .force_command(b"echo hi");
    for algorithm in ["ssh-ed25519", "ecdsa-sha2-nistp256"] {
        let authority = signer(algorithm, 9);
        let issued = builder.sign(&*authority, algorithm, &mut random).unwrap();
        assert_eq!(parse(issued.as_public_key()).as_ref(), Ok(&issued));
        assert_eq!(issued.public_key(), user_key().public_key());
        assert_eq!(issued.principals(), ["ferris", "crab"]);
        assert_eq!((issued.serial(), issued.key_id()), (u64::MAX, "id"));
        assert_eq!((issued.valid_after(), issued.valid_before()), (5, 6));
        let authorities = [authority.public_key().clone()];
        let check = CertificateCheck::user(&["crab"], 5, &authorities);
        let check = check.source([10, 1, 1, 1].into());
        let rights = issued.verify(&check, &provider()).unwrap();
        assert_eq!(rights.force_command(), Some(&b"echo hi"[..]));
        assert!(rights.verify_required() && rights.no_touch_required() && rights.user_rc());
        assert!(rights.pty() && rights.x11_forwarding() && rights.agent_forwarding());
        assert!(rights.port_forwarding());
        let names = issued.extensions().iter().map(CertificateOption::name);
        assert!(names.is_sorted());
    }
    // A nonce of 32 bytes, from the source of randomness.
    let nonce = issue(&user());
    assert_eq!(
        nonce.as_public_key().as_blob()[36..][..36],
        string(&[0x5a; 32])
    );
}

#[test]
fn what_nobody_would_accept_is_not_issued() {
    let sign = |builder: CertificateBuilder| {
        builder
            .sign(&*authority(), "ssh-ed25519", &mut random)
            .err()
    };
    let key = user_key().public_key().clone();
    let nobody = CertificateBuilder::user(key.clone(), "id");
    assert_eq!(sign(nobody), Some(IssueError::NoPrincipals));
    for (after, before) in [(5, 5), (6, 5), (u64::MAX, u64::MAX)] {
        let never = user().valid(after, before);
        assert_eq!(sign(never), Some(IssueError::NeverValid));
    }
    let host = CertificateBuilder::host(key, "id").principal("h");
    assert_eq!(
        sign(host.clone().force_command(b"id")),
        Some(IssueError::CriticalOptionForHost)
    );
    assert_eq!(sign(host), None);
    for list in ["", "10.0.0.1/8", "host"] {
        let bound = user().source_address(list);
        assert_eq!(sign(bound), Some(IssueError::BadSourceAddress));
    }
    for bad in [
        user().principal("\0"),
        user().principal("x".repeat(MAX_KEY_BLOB)),
        user().extension("permit-pty", vec![1]),
        CertificateBuilder::user(PublicKey::from_blob(string(b"x")).unwrap(), "").principal("y"),
    ] {
        assert!(matches!(sign(bad), Some(IssueError::Malformed(_))));
    }
    let crypto = |algorithm, random: &mut dyn crate::crypto::SecureRandom| {
        user().sign(&*authority(), algorithm, random).err()
    };
    let unsupported = Some(IssueError::Crypto(CryptoError::Unsupported));
    assert_eq!(crypto("rsa-sha2-512", &mut random), unsupported);
    let mut dry = |_: &mut [u8]| Err(RandomFailed);
    let failed = Some(IssueError::Crypto(CryptoError::RandomFailed));
    assert_eq!(crypto("ssh-ed25519", &mut dry), failed);
    // An authority that is certified itself does not sign.
    let certified = CertifiedKey::new(user_key(), issue(&user())).unwrap();
    let refused = user().sign(&certified, "ssh-ed25519-cert-v01@openssh.com", &mut random);
    assert!(refused.is_err());
}

#[test]
fn a_certified_key_signs_as_its_key_does() {
    for plain in ["ssh-ed25519", "ecdsa-sha2-nistp256"] {
        let key = signer(plain, 1);
        let builder = CertificateBuilder::user(key.public_key().clone(), "").principal("ferris");
        let certificate = issue(&builder);
        let certified = CertifiedKey::new(Arc::clone(&key), certificate.clone()).unwrap();
        let name = format!("{plain}-cert-v01@openssh.com");
        assert_eq!(certified.algorithms(), [name.as_str()]);
        assert_eq!(certified.public_key(), certificate.as_public_key());
        assert_eq!(certified.certificate(), &certificate);
        let signature = certified.sign(&name, b"message").unwrap();
        assert_eq!(signature.algorithm(), plain);
        // As an agent asks for it; and what the key does not know.
        assert_eq!(certified.sign(plain, b"message"), Ok(signature.clone()));
        for other in ["ssh-rsa", "rsa-sha2-512-cert-v01@openssh.com"] {
            let refused = certified.sign(other, b"message");
            assert_eq!(refused, Err(CryptoError::Unsupported));
        }

        let algorithm = provider().signature(&name).unwrap();
        assert_eq!(algorithm.signature_name(), plain);
        let verify = |key: &PublicKey, message: &[u8], signature: &Signature| {
            algorithm.verify(key, message, signature)
        };
        let public = certified.public_key();
        assert_eq!(verify(public, b"message", &signature), Ok(()));
        let bad_signature = Err(CryptoError::InvalidSignature);
        assert_eq!(verify(public, b"massage", &signature), bad_signature);
        let renamed = Signature::new(&name, &signature.blob()[..64]);
        assert_eq!(verify(public, b"message", &renamed), bad_signature);
        // The plain key, a certificate of another type, and one that does not read.
        let bad_key = Err(CryptoError::InvalidKey);
        assert_eq!(verify(key.public_key(), b"message", &signature), bad_key);
        let other = file!("user-rsa");
        assert_eq!(verify(&other, b"message", &signature), bad_key);
        let cut = public.as_blob()[..public.as_blob().len() - 1].to_vec();
        let cut = PublicKey::from_blob(cut).unwrap();
        assert_eq!(verify(&cut, b"message", &signature), bad_key);
    }
    let stranger = CertifiedKey::new(signer("ssh-ed25519", 2), issue(&user()));
    assert_eq!(stranger.err(), Some(CryptoError::InvalidKey));
}

/// A key that is not offered by the algorithms of certificates, so that nothing would sign.
#[test]
fn a_key_without_a_name_for_certificates_is_refused() {
    #[derive(Debug)]
    struct Odd(Arc<dyn SigningKey>);

    impl SigningKey for Odd {
        fn public_key(&self) -> &PublicKey {
            self.0.public_key()
        }

        fn algorithms(&self) -> &[&'static str] {
            &["x"]
        }

        fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, CryptoError> {
            Err(CryptoError::Unsupported)
        }
    }

    let refused = CertifiedKey::new(Arc::new(Odd(user_key())), issue(&user()));
    assert_eq!(refused.err(), Some(CryptoError::Unsupported));
}

#[test]
fn names_of_algorithms_pair_up() {
    for (plain, certified) in algorithm::NAMES {
        assert_eq!(algorithm::certified_name(plain), Some(certified));
        assert_eq!(algorithm::plain_name(certified), Some(plain));
        assert_eq!(algorithm::certified_name(certified), None);
    }
    let provider = provider();
    let signatures = || provider.signatures.iter();
    for algorithm in signatures().filter(|a| a.name() != a.signature_name()) {
        let plain = algorithm::plain_name(algorithm.name()).unwrap();
        assert_eq!(algorithm.signature_name(), plain);
        let plain = provider.signature(plain).unwrap();
        let of_type = TYPES
            .iter()
            .find(|(key_type, ..)| *key_type == plain.key_type());
        assert_eq!(of_type.unwrap().1, algorithm.key_type());
    }
    // Every plain algorithm comes with that of certificates.
    for plain in signatures().filter(|a| a.name() == a.signature_name()) {
        let certified = algorithm::certified_name(plain.name()).unwrap();
        assert!(provider.signature(certified).is_some(), "{certified}");
    }
}

#[test]
fn nothing_of_a_peer_reaches_a_terminal_raw() {
    let option = "\u{1b}[2J";
    let read = changed(|p| p.critical = options(&[(option, b"")])).unwrap();
    let error = verify(&read).unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
    let read = changed(|p| p.key_id = option.into()).unwrap();
    assert!(!format!("{read:?}").contains('\u{1b}'));
}
