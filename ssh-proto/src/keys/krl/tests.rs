//! Tests of revocation lists: those of ssh-keygen, damage, and the way back.

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::crypto::rustcrypto::provider;
use crate::keys::line::LineProblem;
use crate::keys::{Damage, PublicKeyLine};
use crate::wire::put_string;

const ED25519: &str = include_str!("../testdata/ed25519.pub");
const ECDSA: &str = include_str!("../testdata/ecdsa.pub");
const CERTIFICATE: &str = include_str!("../testdata/ecdsa-cert.pub");
const CA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDiL1m7zU/6vGzFK7iaglWPJ66+CAIgJPsyzpo2AywZj";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDNmv3D3Kl4nvEuUme8J2gb1KoZIhAK8HzQ4jpanK7tijtfpwHsBq74AF7enK7vbFE80bbb8Gg15gGit3cNeGhJlwVxXZqzcIdEm2BpR73/HsoN26fQpu4HPtTsn8Q9oWIiBamSaunkQO7yJqWN2qwJl6TsnhJhUUymDD/SDq7KQw==";

/// `ssh-keygen -k -s ca.pub -z 7` on serials 1, 5-9, 100, 102, 103, 110, 120, 131 and the ids
/// `stolen` and `lost laptop`: a list, a range, a bitmap and names.
const KRL_CA: &[u8] = include_bytes!("../testdata/krl_ca");
/// `ssh-keygen -k -z 8` on `key:` ED25519, `sha1:` ECDSA, `sha256:` RSA, `hash:` CA.
const KRL_KEYS: &[u8] = include_bytes!("../testdata/krl_keys");
/// `ssh-keygen -k -s none -z 9` on serials 1-18446744073709551615 and the id `nobody`.
const KRL_ANY: &[u8] = include_bytes!("../testdata/krl_any");

fn key(line: &str) -> PublicKey {
    PublicKeyLine::parse(line.as_bytes()).unwrap().key
}

fn parse(file: &[u8]) -> RevocationList {
    RevocationList::parse(file).unwrap()
}

fn is_key_revoked(list: &RevocationList, line: &str) -> bool {
    list.is_key_revoked(&key(line), provider().sha256)
}

fn is_revoked(list: &RevocationList, authority: &str, serial: u64, key_id: &[u8]) -> bool {
    let certificate = CertificateIdentity {
        key: &PublicKey::ed25519(&[9; 32]),
        authority: &key(authority),
        serial,
        key_id,
    };
    list.is_certificate_revoked(&certificate, provider().sha256)
}

#[test]
fn certificates_are_revoked_by_number_and_name() {
    let list = parse(KRL_CA);
    assert_eq!((list.version(), list.comment()), (7, ""));
    assert!(list.generated() > 1_700_000_000);
    let revoked: Vec<u64> = (0..200)
        .filter(|serial| is_revoked(&list, CA, *serial, b""))
        .collect();
    assert_eq!(revoked, [1, 5, 6, 7, 8, 9, 100, 102, 103, 110, 120, 131]);
    assert!(is_revoked(&list, CA, 0, b"stolen") && is_revoked(&list, CA, 200, b"lost laptop"));
    assert!(!is_revoked(&list, CA, 200, b"Stolen") && !is_revoked(&list, CA, 200, b"lost"));
    // Of another authority nothing is said.
    assert!(!is_revoked(&list, ED25519, 1, b"stolen"));
    assert!(!is_key_revoked(&list, CA));
}

#[test]
fn certificates_of_all_authorities() {
    let list = parse(KRL_ANY);
    assert!(is_revoked(&list, CA, 1, b"") && is_revoked(&list, ED25519, u64::MAX, b""));
    // Zero is no number.
    assert!(!is_revoked(&list, CA, 0, b"") && is_revoked(&list, CA, 0, b"nobody"));
}

#[test]
fn keys_are_revoked_as_such_and_by_fingerprint() {
    let list = parse(KRL_KEYS);
    for line in [ED25519, ECDSA, RSA, CA] {
        assert!(is_key_revoked(&list, line), "{line}");
        // M6: a revoked authority revokes its certificates.
        assert!(is_revoked(&list, line, 1, b""), "{line}");
    }
    let other = PublicKey::ed25519(&[9; 32]);
    assert!(!list.is_key_revoked(&other, provider().sha256));
    let certificate = CertificateIdentity {
        key: &key(ED25519),
        authority: &other,
        serial: 1,
        key_id: b"",
    };
    assert!(list.is_certificate_revoked(&certificate, provider().sha256));
    // What is not looked into is not passed as good.
    assert!(is_key_revoked(&RevocationList::default(), CERTIFICATE));
}

#[test]
fn m9_a_certificate_tells_what_may_revoke_it() {
    let certificate = key(CERTIFICATE).certificate().unwrap();
    let identity = CertificateIdentity::from(&certificate);
    let (key, authority) = (certificate.public_key(), certificate.signature_key());
    assert_eq!((identity.key, identity.authority), (key, authority));
    assert_eq!((identity.serial, identity.key_id), (0, &b"id"[..]));
    type Revoke<'a> = &'a dyn Fn(&mut RevocationList);
    let revocations: [(Revoke<'_>, bool); 6] = [
        (&|_| {}, false),
        (&|list| list.revoke_key(key), true),
        (&|list| list.revoke_key(authority), true),
        (&|list| list.revoke_key_id(Some(authority), b"id"), true),
        (&|list| list.revoke_key_id(Some(key), b"id"), false),
        (&|list| list.revoke_serials(None, 0..=9), false),
    ];
    for (revoke, revoked) in revocations {
        let mut list = RevocationList::default();
        revoke(&mut list);
        let found = list.is_certificate_revoked(&identity, provider().sha256);
        assert_eq!(found, revoked);
    }
}

#[test]
fn plain_lists_of_keys() {
    let list = parse(&[b"# lost\r\n\n", ED25519.as_bytes(), CA.as_bytes(), b" c"].concat());
    assert!(is_key_revoked(&list, ED25519) && is_key_revoked(&list, CA));
    assert!(!is_key_revoked(&list, ECDSA) && !is_key_revoked(&parse(b""), ECDSA));
    // sshd goes on behind a line that it does not understand: its key would stay good.
    let refused = |text: &[u8]| match RevocationList::parse(text).unwrap_err() {
        RevocationError::Line(error) => error,
        error => panic!("{error}"),
    };
    let error = refused(&[ED25519.as_bytes(), b"ssh-ed25519 AAAA\n", CA.as_bytes()].concat());
    let problem = LineProblem::Key(Damage::PublicKey.into());
    assert_eq!(error, LineError { line: 2, problem });
    assert_eq!(
        refused(CERTIFICATE.as_bytes()).problem,
        LineProblem::Certificate
    );
    refused(&KRL_CA[1..]);
    refused(b"SSHKRL");
    refused(b"x");
}

/// M1: cut anywhere, a KRL is refused, but for where a section ends and the format has no way to tell.
#[test]
fn m1_cut_and_damaged_files_are_refused() {
    for (file, ends) in [
        (KRL_CA, &[44][..]),
        (KRL_KEYS, &[44, 100, 178]),
        (KRL_ANY, &[44]),
    ] {
        let good: Vec<usize> = (8..file.len())
            .filter(|cut| RevocationList::parse(&file[..*cut]).is_ok())
            .collect();
        assert_eq!(good.len(), ends.len(), "{good:?}");
        assert_eq!(good[0], ends[0]);
        assert!(RevocationList::parse(&[file, &[0]].concat()).is_err());
        for cut in 0..8 {
            assert!(cut == 0 || RevocationList::parse(&file[..cut]).is_err());
        }
    }
}

fn with_section(section: u8, data: &[u8]) -> Vec<u8> {
    let mut krl = bytes::BytesMut::from(&RevocationList::new(1, 2, "c").to_bytes()[..]);
    krl.extend_from_slice(&[section]);
    put_string(&mut krl, data);
    krl.into()
}

fn strings(items: &[&[u8]]) -> Vec<u8> {
    let mut data = bytes::BytesMut::new();
    for item in items {
        put_string(&mut data, item);
    }
    data.into()
}

fn in_certificates(section: u8, data: &[u8]) -> Vec<u8> {
    let mut inner = bytes::BytesMut::from(&strings(&[b"", b""])[..]);
    inner.extend_from_slice(&[section]);
    put_string(&mut inner, data);
    with_section(1, &inner)
}

#[test]
fn unknown_sections_and_critical_extensions_are_refused() {
    let read = |file: Vec<u8>| RevocationList::parse(&file).map(|_| ());
    let extension = |critical: u8| {
        [
            &strings(&[b"x@example"])[..],
            &[critical],
            &strings(&[b"data"]),
        ]
        .concat()
    };
    let critical = Err(RevocationError::CriticalExtension("x@example".into()));
    assert_eq!(read(with_section(255, &extension(0))), Ok(()));
    assert_eq!(read(with_section(255, &extension(1))), critical);
    assert_eq!(read(in_certificates(0x39, &extension(0))), Ok(()));
    assert_eq!(read(in_certificates(0x39, &extension(1))), critical);
    let long = [&extension(0)[..], &[0]].concat();
    assert_eq!(
        read(with_section(255, &long)),
        Err(RevocationError::Damaged)
    );
    for section in [0, 6, 254] {
        let unknown = Err(RevocationError::UnknownSection(section));
        assert_eq!(read(with_section(section, b"")), unknown);
        assert_eq!(read(in_certificates(section, b"")), unknown);
    }
    let mut other = RevocationList::new(1, 2, "").to_bytes();
    other[11] = 2;
    assert_eq!(read(other), Err(RevocationError::UnsupportedVersion(2)));
    // Signatures come last, with the key that made them first.
    let signed = [&with_section(4, b"key")[..], &strings(&[b"signature"])].concat();
    assert_eq!(read(signed.clone()), Ok(()));
    let behind = [&signed[..], &[2], &strings(&[b""])].concat();
    assert_eq!(read(behind), Err(RevocationError::Damaged));
    assert_eq!(read(with_section(4, b"key")), Err(RevocationError::Damaged));
}

#[test]
fn damaged_fields_are_refused() {
    let number = |numbers: &[u64]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    };
    let bitmap = |first: u64, bits: &[u8]| [number(&[first]), strings(&[bits])].concat();
    for (section, data, good) in [
        (0x20, number(&[]), true),
        (0x20, number(&[3, 1]), true),
        (0x20, number(&[0]), false),
        (0x20, vec![1, 2, 3], false),
        (0x21, number(&[1, 1]), true),
        (0x21, number(&[2, 1]), false),
        (0x21, number(&[0, 1]), false),
        (0x21, number(&[1, 2, 3]), false),
        (0x21, number(&[1]), false),
        (0x22, bitmap(1, &[1]), true),
        (0x22, bitmap(1, &[0x80]), false),
        (0x22, bitmap(1, &[0, 0x80]), true),
        (0x22, bitmap(0, &[1]), false),
        (0x22, bitmap(u64::MAX, &[3]), false),
        (0x22, [bitmap(1, &[1]), vec![0]].concat(), false),
        (0x22, bitmap(1, &[1; 2050]), false),
        (0x23, strings(&[b"a", b""]), true),
        (0x23, vec![0, 0, 0, 1], false),
    ] {
        let read = RevocationList::parse(&in_certificates(section, &data));
        assert_eq!(read.is_ok(), good, "{section:#x} {data:?}");
    }
    let certificate = key(CERTIFICATE);
    for (section, data, good) in [
        (2, strings(&[key(CA).as_blob()]), true),
        (2, strings(&[b""]), false),
        (2, strings(&[certificate.as_blob()]), false),
        (1, strings(&[certificate.as_blob(), b""]), false),
        (1, strings(&[key(CA).as_blob(), b""]), true),
        (1, strings(&[b""]), false),
        (3, strings(&[&[0; 20]]), true),
        (3, strings(&[&[0; 32]]), false),
        (5, strings(&[&[0; 32]]), true),
        (5, strings(&[&[0; 20]]), false),
    ] {
        let read = RevocationList::parse(&with_section(section, &data));
        assert_eq!(read.is_ok(), good, "{section} {data:?}");
    }
}

/// N2: a range is two numbers, however many it holds.
#[test]
fn n2_ranges_are_not_counted_out() {
    let mut list = RevocationList::new(1, 0, "");
    list.revoke_serials(None, 0..=u64::MAX);
    list.revoke_serials(None, RangeInclusive::new(5, 4));
    assert!(list.to_bytes().len() < 100);
    assert!(is_revoked(&list, CA, 1, b"") && is_revoked(&list, CA, u64::MAX, b""));
    assert!(!is_revoked(&list, CA, 0, b""));
}

/// `ssh-keygen -Qlf` of OpenSSH 9.2 shows all of it.
#[test]
fn lists_are_written_and_read_back() {
    for file in [KRL_CA, KRL_KEYS, KRL_ANY] {
        let list = parse(file);
        assert_eq!(parse(&list.to_bytes()), list);
    }
    let mut list = RevocationList::new(3, 1_700_000_000, "of ours");
    list.revoke_key(&key(ED25519));
    list.revoke_fingerprint(key(RSA).fingerprint(provider().sha256));
    list.revoke_serials(Some(&key(CA)), 7..=7);
    list.revoke_serials(Some(&key(CA)), 10..=20);
    list.revoke_serials(Some(&key(CA)), 15..=30);
    list.revoke_key_id(Some(&key(CA)), b"stolen");
    list.revoke_key_id(None, b"nobody");
    let bytes = list.to_bytes();
    let again = parse(&bytes);
    assert_eq!(again, list);
    assert_eq!((again.version(), again.comment()), (3, "of ours"));
    let revoked: Vec<u64> = (0..40)
        .filter(|serial| is_revoked(&again, CA, *serial, b""))
        .collect();
    assert_eq!(revoked, [&[7][..], &(10..=30).collect::<Vec<_>>()].concat());
    assert!(is_key_revoked(&again, ED25519) && is_key_revoked(&again, RSA));
    assert!(is_revoked(&again, RSA, 0, b"") && is_revoked(&again, ECDSA, 0, b"nobody"));
    assert!(list.to_bytes() == bytes && !alloc::format!("{list:?}").to_string().is_empty());
}
