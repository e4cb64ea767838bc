//! Signatures without security for the tests of this layer: a checksum over key and message.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::{Client, MethodSet, Policy, Server};
use crate::crypto::{PublicKey, Signature, SignatureAlgorithm, SigningKey};
use crate::error::CryptoError;
use crate::limits::Limits;
use crate::wire::outbox::Outbox;
use crate::wire::{Message, put_string};

#[derive(Debug)]
pub(super) struct Toy {
    name: &'static str,
    key_type: &'static str,
}

/// Two algorithms for one key type, as RSA has, and one for another.
pub(super) static TOY: Toy = Toy {
    name: "toy",
    key_type: "toy",
};
pub(super) static TOY_2: Toy = Toy {
    name: "toy-2",
    key_type: "toy",
};
pub(super) static OTHER: Toy = Toy {
    name: "other",
    key_type: "other",
};

pub(super) fn algorithms() -> Vec<&'static dyn SignatureAlgorithm> {
    alloc::vec![&TOY, &TOY_2, &OTHER]
}

fn checksum(key: &PublicKey, message: &[u8]) -> [u8; 8] {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for byte in [key.as_blob(), message].concat() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sum.to_be_bytes()
}

impl SignatureAlgorithm for Toy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_type(&self) -> &'static str {
        self.key_type
    }

    fn verify(
        &self,
        key: &PublicKey,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), CryptoError> {
        if key.key_type() != self.key_type {
            return Err(CryptoError::InvalidKey);
        }
        // The name of the signature is left to the layer to check.
        if signature.blob() != checksum(key, message) {
            return Err(CryptoError::InvalidSignature);
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct ToyKey {
    public: PublicKey,
    algorithms: Vec<&'static str>,
}

impl ToyKey {
    pub(super) fn new(algorithms: &[&'static str], seed: &str) -> Self {
        Self::with_public(algorithms, public_key("toy", seed))
    }

    pub(super) fn with_public(algorithms: &[&'static str], public: PublicKey) -> Self {
        Self {
            public,
            algorithms: algorithms.to_vec(),
        }
    }
}

impl SigningKey for ToyKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithms(&self) -> &[&'static str] {
        &self.algorithms
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Signature, CryptoError> {
        if !self.algorithms.contains(&algorithm) {
            return Err(CryptoError::Unsupported);
        }
        Ok(Signature::new(algorithm, &checksum(&self.public, message)))
    }
}

pub(super) fn public_key(key_type: &str, seed: &str) -> PublicKey {
    let mut blob = BytesMut::new();
    put_string(&mut blob, key_type.as_bytes());
    put_string(&mut blob, seed.as_bytes());
    PublicKey::from_blob(blob.freeze()).unwrap()
}

pub(super) const SESSION: &[u8] = b"session";

pub(super) fn client(user: &str) -> Client {
    let session = Bytes::from_static(SESSION);
    let host_key = public_key("host", "h");
    Client::new(
        session,
        host_key,
        user,
        &Limits::default(),
        algorithms(),
        false,
    )
}

pub(super) fn server(limits: &Limits) -> Server {
    server_with(limits, policy(MethodSet::default()))
}

pub(super) fn server_with(limits: &Limits, policy: Policy) -> Server {
    let session = Bytes::from_static(SESSION);
    Server::new(session, host_key(), limits, algorithms(), policy)
}

/// No delay, no question before a signature is verified.
pub(super) fn policy(methods: MethodSet) -> Policy {
    Policy {
        methods,
        withhold_failures: false,
        ask_before_verifying: false,
        min_rsa_bits: 2048,
    }
}

pub(super) fn host_key() -> PublicKey {
    public_key("toy", "host")
}

pub(super) fn payload<'a>(message: &impl Message<'a>) -> Bytes {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.freeze()
}

/// The one payload that waits.
pub(super) fn only(out: &mut Outbox) -> Bytes {
    let payload = out.pop().expect("a message");
    assert!(out.is_empty(), "more than one message");
    Bytes::copy_from_slice(payload.as_ref())
}

/// Messages in short: number, and the list of methods where it is a failure.
pub(super) fn shown(out: &mut Outbox) -> Vec<String> {
    use crate::wire::auth::UserauthFailure;
    core::iter::from_fn(|| out.pop())
        .map(
            |payload| match UserauthFailure::from_payload(payload.as_ref()) {
                Ok(failure) => {
                    let partial = if failure.partial_success {
                        " partial"
                    } else {
                        ""
                    };
                    alloc::format!("51 {}{partial}", failure.methods.as_str())
                }
                Err(_) => payload.as_ref()[0].to_string(),
            },
        )
        .collect()
}
