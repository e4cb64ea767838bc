//! What a signature of `publickey` covers (RFC 4252 section 7), for the one who signs and the one who verifies.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::SSH_CONNECTION;
use crate::crypto::PublicKey;
use crate::wire::{number, put_string};

/// The message to sign: it binds session, user, service, algorithm and key.
pub(super) fn signed_data(
    session_id: &[u8],
    user: &[u8],
    algorithm: &str,
    key: &PublicKey,
) -> Vec<u8> {
    let mut data = BytesMut::new();
    put_string(&mut data, session_id);
    data.put_u8(number::USERAUTH_REQUEST);
    put_string(&mut data, user);
    put_string(&mut data, SSH_CONNECTION);
    put_string(&mut data, b"publickey");
    data.put_u8(1);
    put_string(&mut data, algorithm.as_bytes());
    put_string(&mut data, key.as_blob());
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_data_is_that_of_rfc_4252() {
        let key = PublicKey::ed25519(&[7; 32]);
        let expected = [
            &b"\0\0\0\x03sid\x32\0\0\0\x02me\0\0\0\x0essh-connection\0\0\0\x09publickey\x01"[..],
            b"\0\0\0\x0bssh-ed25519",
            b"\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20",
            &[7; 32],
        ]
        .concat();
        assert_eq!(signed_data(b"sid", b"me", "ssh-ed25519", &key), expected);
    }
}
