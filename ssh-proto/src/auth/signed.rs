//! What a signature or a MIC covers (RFC 4252 sections 7 and 9, RFC 4462 section 3.5, OpenSSH PROTOCOL section 3.1), for the one who makes it and the one who verifies.

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::SSH_CONNECTION;
use crate::crypto::PublicKey;
use crate::wire::{number, put_string};

/// What a signature of `publickey` covers: session, user, service, algorithm and key.
pub(super) fn signed_data(
    session_id: &[u8],
    user: &[u8],
    algorithm: &str,
    key: &PublicKey,
) -> Vec<u8> {
    let mut data = common(session_id, user, b"publickey");
    data.put_u8(1);
    put_key(&mut data, algorithm, key);
    data.into()
}

/// What a signature of `publickey-hostbound-v00@openssh.com` covers: as [`signed_data`], and the
/// host key of the first key exchange.
pub(super) fn hostbound_signed_data(
    session_id: &[u8],
    user: &[u8],
    algorithm: &str,
    key: &PublicKey,
    host_key: &PublicKey,
) -> Vec<u8> {
    let mut data = common(session_id, user, b"publickey-hostbound-v00@openssh.com");
    data.put_u8(1);
    put_key(&mut data, algorithm, key);
    put_string(&mut data, host_key.as_blob());
    data.into()
}

/// What a signature of `hostbased` covers: session, user, service, algorithm, the client host's
/// key and name, and the user's name there.
pub(super) fn hostbased_signed_data(
    session_id: &[u8],
    user: &[u8],
    algorithm: &str,
    key: &PublicKey,
    client_host: &[u8],
    client_user: &[u8],
) -> Vec<u8> {
    let mut data = common(session_id, user, b"hostbased");
    put_key(&mut data, algorithm, key);
    put_string(&mut data, client_host);
    put_string(&mut data, client_user);
    data.into()
}

/// What the MIC of `gssapi-with-mic` covers: session, user and service.
pub(super) fn gssapi_mic_data(session_id: &[u8], user: &[u8]) -> Vec<u8> {
    common(session_id, user, b"gssapi-with-mic").into()
}

/// What all begin with.
fn common(session_id: &[u8], user: &[u8], method: &[u8]) -> BytesMut {
    let mut data = BytesMut::new();
    put_string(&mut data, session_id);
    data.put_u8(number::USERAUTH_REQUEST);
    put_string(&mut data, user);
    put_string(&mut data, SSH_CONNECTION);
    put_string(&mut data, method);
    data
}

fn put_key(data: &mut BytesMut, algorithm: &str, key: &PublicKey) {
    put_string(data, algorithm.as_bytes());
    put_string(data, key.as_blob());
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"\0\0\0\x03sid\x32\0\0\0\x02me\0\0\0\x0essh-connection";
    const KEY: &[u8] =
        b"\0\0\0\x0bssh-ed25519\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20\x07\x07\x07\x07\x07\x07\
          \x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\
          \x07\x07\x07\x07";

    fn key() -> PublicKey {
        PublicKey::ed25519(&[7; 32])
    }

    #[test]
    fn publickey_is_that_of_rfc_4252() {
        let expected = [HEAD, b"\0\0\0\x09publickey\x01", KEY].concat();
        assert_eq!(signed_data(b"sid", b"me", "ssh-ed25519", &key()), expected);
    }

    #[test]
    fn hostbound_is_that_of_openssh() {
        let name = b"\0\0\0\x23publickey-hostbound-v00@openssh.com\x01";
        let host = b"\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20";
        let expected = [HEAD, name, KEY, host, &[9; 32]].concat();
        let host = PublicKey::ed25519(&[9; 32]);
        let data = hostbound_signed_data(b"sid", b"me", "ssh-ed25519", &key(), &host);
        assert_eq!(data, expected);
    }

    #[test]
    fn hostbased_is_that_of_rfc_4252() {
        let names = b"\0\0\0\x06host.x\0\0\0\x03you";
        let expected = [HEAD, b"\0\0\0\x09hostbased", KEY, names].concat();
        let data = hostbased_signed_data(b"sid", b"me", "ssh-ed25519", &key(), b"host.x", b"you");
        assert_eq!(data, expected);
    }

    #[test]
    fn gssapi_mic_is_that_of_rfc_4462() {
        let expected = [HEAD, b"\0\0\0\x0fgssapi-with-mic"].concat();
        assert_eq!(gssapi_mic_data(b"sid", b"me"), expected);
    }
}
