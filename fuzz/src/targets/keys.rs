//! Key files: what is read can be written, and read again.

use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::{Comment, Container, PrivateKeyFile, PublicKeyLine};

use crate::provider::FixedRandom;

/// Reads a private key file of OpenSSH.
pub fn openssh_key(data: &[u8]) {
    private_key(data, &[Container::OpenSsh]);
}

/// Reads a private key file of OpenSSL, PEM or DER.
pub fn pem_key(data: &[u8]) {
    private_key(data, &[Container::Pkcs1, Container::Sec1, Container::Pkcs8]);
}

/// Reads a private key file of PuTTY.
pub fn ppk_key(data: &[u8]) {
    private_key(data, &[Container::Ppk]);
}

fn private_key(data: &[u8], containers: &[Container]) {
    let Ok(file) = PrivateKeyFile::parse(data) else {
        return;
    };
    if !containers.contains(&file.container()) {
        return;
    }
    let passphrase = match (file.is_encrypted(), file.container()) {
        (false, _) => None,
        // The old encryption takes no time, and so nearly all of the passphrases are wrong.
        (true, Container::Pkcs1 | Container::Sec1) => Some(&b"correct horse"[..]),
        // Deriving a key takes as long as the file wants, up to a bound; not here.
        (true, _) => return assert!(file.decrypt(None).is_err()),
    };
    let Ok((key, comment)) = file.decrypt(passphrase) else {
        return;
    };
    if let Some(public) = file.public_key() {
        assert_eq!(&key.public_key(), public);
    }
    // The parts may not fit together; that is found here, and is no panic.
    let _ = rustcrypto::provider().signing_key(&key);
    rewrite(&key, &comment);
}

fn rewrite(key: &PrivateKey, comment: &Comment) {
    let mut random = FixedRandom(1);
    let Ok(text) = key.to_openssh(comment, &mut random) else {
        return;
    };
    let file = PrivateKeyFile::parse(text.as_bytes()).expect("what was written is read");
    let (again, same) = file.decrypt(None).expect("what was written is read");
    assert_eq!(again.public_key(), key.public_key());
    assert_eq!(same.as_bytes(), comment.as_bytes());
}

/// Reads a public key line.
pub fn public_key_line(data: &[u8]) {
    let Ok(line) = PublicKeyLine::parse(data) else {
        return;
    };
    let text = line.to_string();
    let again = PublicKeyLine::parse(text.as_bytes()).expect("what was written is read");
    assert_eq!(again.key, line.key);
    assert_eq!(again.to_string(), text);
    let _ = line
        .key
        .fingerprint(rustcrypto::provider().sha256)
        .to_string();
}

/// Reads a public key file of RFC 4716.
pub fn rfc4716_key(data: &[u8]) {
    let Ok(line) = PublicKeyLine::from_rfc4716(data) else {
        return;
    };
    // Comments that are not of RFC 4716 are read, and not written; and long ones are cut.
    if let Ok(text) = line.to_rfc4716() {
        let again = PublicKeyLine::from_rfc4716(text.as_bytes()).expect("what was written is read");
        assert_eq!(again.key, line.key);
        assert!(
            line.comment
                .as_bytes()
                .starts_with(again.comment.as_bytes())
        );
        assert_eq!(again.to_rfc4716().as_ref(), Ok(&text));
    }
}
