//! Files of many keys and signature files: what is read can be written and read again, and lines that are bad let nobody in.

use ssh_proto::crypto::{PublicKey, rustcrypto};
use ssh_proto::keys::{
    AllowedSigners, AuthorizedKey, AuthorizedKeys, CertificateIdentity, HostMarker, HostPort,
    KnownHosts, RevocationList, SshSig, Verdict, WallClock,
};

use crate::provider::FixedRandom;

fn key() -> PublicKey {
    PublicKey::ed25519(&[7; 32])
}

/// Reads a known_hosts file, looks a host up, and edits the file.
pub fn known_hosts(data: &[u8]) {
    let (mut known, errors) = KnownHosts::parse(data).expect("short enough");
    assert_eq!(known.as_bytes(), data);
    for error in &errors {
        let _ = error.to_string();
    }
    let host = HostPort::new("h.example", 2222).expect("a host name");
    let entries = known.find(&host);
    let names = [
        "ssh-ed25519-cert-v01@openssh.com",
        "rsa-sha2-512",
        "ssh-ed25519",
    ];
    assert_eq!(entries.host_key_algorithms(&names).len(), names.len());
    for entry in entries.iter() {
        let verdict = entries.verdict(&entry.key);
        match entry.marker {
            HostMarker::Revoked => assert!(matches!(verdict, Verdict::Revoked(_))),
            HostMarker::Key => assert!(matches!(verdict, Verdict::Match(_) | Verdict::Revoked(_))),
            HostMarker::Authority => {}
        }
    }
    let before = entries.verdict(&key());
    known.add(&host, &key()).expect("room for a line");
    known
        .add_hashed(&host, &key(), &mut FixedRandom(1))
        .expect("room for a line");
    assert_eq!(KnownHosts::parse(known.as_bytes()).expect("read").0, known);
    match (before, known.find(&host).verdict(&key())) {
        (Verdict::Revoked(_), after) => assert_eq!(after, before),
        (_, after) => assert!(matches!(after, Verdict::Match(_))),
    }
    assert!(known.remove(&host) >= 2);
    let after = known.find(&host);
    assert!(after.iter().all(|entry| entry.marker != HostMarker::Key));
    assert_eq!(known.remove(&host), 0);
}

/// Reads an authorized_keys file, as a whole and line by line.
pub fn authorized_keys(data: &[u8]) {
    let (keys, errors) = AuthorizedKeys::parse(data).expect("short enough");
    let mut lines = 0;
    for (number, line) in (1..).zip(data.split(|byte| *byte == b'\n')) {
        match AuthorizedKey::parse(number, line) {
            Ok(None) => {}
            Ok(Some(key)) => {
                assert_eq!(keys.iter().nth(lines), Some(&key));
                lines += 1;
            }
            Err(problem) => {
                let error = errors.iter().find(|error| error.line == number);
                assert_eq!(error.map(|error| &error.problem), Some(&problem));
                let _ = problem.to_string();
            }
        }
    }
    assert_eq!(keys.iter().count(), lines);
    let address = Some([10, 0, 0, 1].into());
    for line in keys.iter() {
        let found = match line.options.cert_authority {
            true => keys.find_authority(&line.key).any(|other| other == line),
            false => keys.find(&line.key).any(|other| other == line),
        };
        assert!(found);
        let now = WallClock::utc(1 << 31);
        let _ = line.options.admits(address, Some("h.example"), now);
        if line.options.from.is_some() {
            assert!(line.options.admits(None, None, now).is_err());
        }
    }
}

/// Reads an allowed signers file.
pub fn allowed_signers(data: &[u8]) {
    let (signers, errors) = AllowedSigners::parse(data).expect("short enough");
    for error in errors {
        let _ = error.to_string();
    }
    let now = WallClock::utc(1 << 31);
    for signer in signers.iter().take(16) {
        let checked = signers.check("me@example", "file", signer.key(), now);
        if let Ok(found) = checked {
            assert!(!found.is_authority() && found.key() == signer.key());
        }
        let _ = signers.authorities("me@example", "file", now).count();
    }
}

/// Reads a signature, in binary and in text form, and verifies it.
pub fn sshsig(data: &[u8]) {
    let Ok(signature) = SshSig::from_armored(data).or_else(|_| SshSig::from_bytes(data)) else {
        return;
    };
    let binary = SshSig::from_bytes(&signature.to_bytes());
    let text = SshSig::from_armored(signature.to_armored().as_bytes());
    assert_eq!(binary.as_ref(), Ok(&signature));
    assert_eq!(text.as_ref(), Ok(&signature));
    let provider = rustcrypto::provider();
    let verified = signature.verify(signature.namespace(), b"the message\n", &provider);
    if let Ok(key) = verified {
        assert_eq!(key, signature.public_key());
    }
    assert!(
        signature
            .verify("another", b"the message\n", &provider)
            .is_err()
    );
}

/// Reads a revocation list, writes it as a KRL, and asks both the same.
pub fn krl(data: &[u8]) {
    let list = match RevocationList::parse(data) {
        Ok(list) => list,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let again = RevocationList::parse(&list.to_bytes()).expect("what was written is read");
    assert_eq!(again, list);
    let sha256 = rustcrypto::provider().sha256;
    let (key, authority) = (key(), PublicKey::ed25519(&[8; 32]));
    for serial in [0, 1, 7, 100, u64::MAX] {
        let certificate = CertificateIdentity {
            key: &key,
            authority: &authority,
            serial,
            key_id: b"stolen",
        };
        let revoked = list.is_certificate_revoked(&certificate, sha256);
        assert_eq!(again.is_certificate_revoked(&certificate, sha256), revoked);
        assert!(revoked || !list.is_key_revoked(&key, sha256));
    }
}
