//! Signatures and keys of every algorithm, by whoever chooses both: only one algorithm takes a signature, and for one message.

use ssh_proto::crypto::{PublicKey, Signature, rustcrypto};
use ssh_proto::wire::Reader;

/// Reads a key, a signature and the message behind them, and verifies by every algorithm there is.
pub fn signature(data: &[u8]) {
    let mut reader = Reader::new(data);
    let (Ok(key), Ok(encoded)) = (reader.string(), reader.string()) else {
        return;
    };
    let message = &data[data.len() - reader.remaining()..];
    let Ok(key) = PublicKey::from_blob(key.to_vec()) else {
        return;
    };
    let Ok(signature) = Signature::from_encoded(encoded.to_vec()) else {
        return;
    };
    assert_eq!(signature.as_encoded(), encoded);
    assert!(encoded.ends_with(signature.blob()));
    let _ = (signature.security_key(), key.bits(), key.rsa_bits());
    let provider = rustcrypto::provider();
    let longer = [message, b"!"].concat();
    let mut verified = 0;
    let on_request = provider.on_request.signatures.iter();
    for algorithm in provider.signatures.iter().chain(on_request) {
        if algorithm.verify(&key, message, &signature).is_err() {
            continue;
        }
        verified += 1;
        assert_eq!(algorithm.key_type(), key.key_type());
        assert_eq!(algorithm.signature_name(), signature.algorithm());
        // Who chooses the group of DSA can make a signature good for anything.
        let for_all = algorithm.signature_name() == "ssh-dss";
        assert!(for_all || algorithm.verify(&key, &longer, &signature).is_err());
        // Of a certificate, the key inside signs.
        if let Some(certificate) = key.certificate() {
            let plain = certificate.public_key();
            let signs = |name| provider.signature(name).expect("the provider's");
            let algorithm = signs(signature.algorithm());
            assert_eq!(algorithm.verify(plain, message, &signature), Ok(()));
        }
    }
    assert!(verified <= 1);
}
