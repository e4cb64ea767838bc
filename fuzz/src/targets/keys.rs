//! Key files: what is read can be written, and read again.

use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::{Comment, PrivateKeyFile, PublicKeyLine};

use crate::provider::FixedRandom;

/// Reads an OpenSSH private key file.
pub fn openssh_key(data: &[u8]) {
    let Ok(file) = PrivateKeyFile::parse(data) else {
        return;
    };
    if file.is_encrypted() {
        // Deriving a key takes as long as the file wants, up to a bound; not here.
        assert!(file.decrypt(None).is_err());
        return;
    }
    let Ok((key, comment)) = file.decrypt(None) else {
        return;
    };
    assert_eq!(&key.public_key(), file.public_key());
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
