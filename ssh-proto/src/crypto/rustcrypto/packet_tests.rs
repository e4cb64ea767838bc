//! What is offered by default, and known answers below the framing that providers share; packets are tested in `tests/providers`.

use alloc::vec::Vec;

use super::provider;

#[test]
#[cfg(feature = "rsa")]
fn default_order() {
    let provider = provider();
    let names = |list: Vec<&'static str>| list.join(",");
    assert_eq!(
        names(provider.kex.iter().map(|a| a.name()).collect()),
        "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,\
         curve25519-sha256,curve25519-sha256@libssh.org,\
         ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
         diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
         diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
    );
    assert_eq!(
        names(provider.signatures.iter().map(|a| a.name()).collect()),
        "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,\
         ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
         sk-ssh-ed25519-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
         webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com,\
         rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,\
         ssh-mldsa44-ed25519-cert,\
         ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,\
         sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,\
         webauthn-sk-ecdsa-sha2-nistp256@openssh.com,\
         rsa-sha2-512,rsa-sha2-256,ssh-mldsa44-ed25519"
    );
    assert_eq!(
        names(provider.ciphers.iter().map(|a| a.name()).collect()),
        "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
         aes128-ctr,aes192-ctr,aes256-ctr"
    );
    assert_eq!(
        names(provider.macs.iter().map(|a| a.name()).collect()),
        "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
    );
    assert_eq!(
        names(provider.compression.iter().map(|a| a.name()).collect()),
        "none"
    );
}
