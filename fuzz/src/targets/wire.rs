//! Payloads as every message: what decodes is encoded to the same bytes.

use arbitrary::{Arbitrary, Unstructured};
use ssh_proto::crypto::{PublicKey, Signature};
use ssh_proto::wire::connection::{decode_terminal_modes, encode_terminal_modes};
use ssh_proto::wire::{NameList, Reader};

use crate::messages::KNOWN;

/// Decodes a payload as every message, and goes from arbitrary messages to payloads and back.
pub fn wire(data: &[u8]) {
    for known in KNOWN {
        if let Some(encoded) = (known.recode)(data) {
            assert_same(&encoded, data);
        }
    }
    let mut u = Unstructured::new(data);
    let index = usize::from(u8::arbitrary(&mut u).unwrap_or_default()) % KNOWN.len();
    if let Some(payload) = (KNOWN[index].arbitrary)(&mut u) {
        // What does not decode has too many elements.
        if let Some(encoded) = (KNOWN[index].recode)(&payload) {
            assert_same(&encoded, &payload);
        }
    }
    types(data);
}

/// Equal but for booleans, which may be any byte but zero on the way in.
fn assert_same(encoded: &[u8], payload: &[u8]) {
    assert_eq!(encoded.len(), payload.len());
    for (ours, theirs) in encoded.iter().zip(payload) {
        assert!(ours == theirs || (*ours == 1 && *theirs != 0));
    }
}

fn types(data: &[u8]) {
    if let Ok(list) = NameList::parse(data) {
        assert_eq!(list.as_str().as_bytes(), data);
        assert!(list.iter().all(|name| !name.is_empty()));
    }
    if let Ok(modes) = decode_terminal_modes(data) {
        let encoded = encode_terminal_modes(&modes);
        assert_eq!(decode_terminal_modes(&encoded), Ok(modes));
    }
    if let Ok(key) = PublicKey::from_blob(data.to_vec()) {
        assert_eq!(key.as_blob(), data);
        assert!(!key.key_type().is_empty());
    }
    if let Ok(signature) = Signature::from_encoded(data.to_vec()) {
        assert_eq!(signature.as_encoded(), data);
        assert!(data.ends_with(signature.blob()));
    }
    let mut reader = Reader::new(data);
    while reader.string().is_ok() {}
    assert!(reader.remaining() <= data.len());
}
