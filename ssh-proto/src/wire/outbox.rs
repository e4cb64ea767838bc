//! Messages that wait to be sealed: replies, requests and authentication, in the order in which they leave.
//!
//! The only road from the authentication and connection layers to the transport. It is bounded;
//! above the bound the engine stops reading, and refuses what the application asks.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use zeroize::Zeroize;

use super::Message;

/// A queue of encoded payloads.
#[derive(Default)]
pub struct Outbox {
    payloads: VecDeque<Payload>,
    bytes: usize,
}

/// An encoded payload.
pub(crate) enum Payload {
    /// Nothing in it needs protection beyond the transport's.
    Plain(Bytes),
    /// Wiped once sent or dropped.
    Secret(SecretPayload),
}

/// A payload with a password or the like in it.
pub(crate) struct SecretPayload {
    bytes: BytesMut,
    /// Bytes of padding that hide its length, beyond what the cipher wants.
    padding: u8,
}

impl From<BytesMut> for SecretPayload {
    fn from(bytes: BytesMut) -> Self {
        Self { bytes, padding: 0 }
    }
}

impl AsRef<[u8]> for SecretPayload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for SecretPayload {
    fn drop(&mut self) {
        self.bytes.as_mut().zeroize();
    }
}

impl Payload {
    /// Bytes of padding to add beyond what the cipher wants.
    pub(crate) fn padding(&self) -> u8 {
        match self {
            Self::Plain(_) => 0,
            Self::Secret(secret) => secret.padding,
        }
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(secret) => secret.as_ref(),
        }
    }
}

impl Outbox {
    /// Queues a message.
    pub(crate) fn push<'a>(&mut self, message: &impl Message<'a>) {
        let mut payload = BytesMut::new();
        message.to_payload(&mut payload);
        self.push_payload(Payload::Plain(payload.freeze()));
    }

    /// Queues a message that is wiped once it is sent. `size_hint` is an upper bound of its
    /// encoded length, so that encoding never moves it and leaves a copy behind.
    pub(crate) fn push_secret<'a>(&mut self, message: &impl Message<'a>, size_hint: usize) {
        self.push_padded(message, size_hint, 0);
    }

    /// As [`Self::push_secret`], with so many bytes of padding beyond what the cipher wants.
    pub(crate) fn push_padded<'a>(
        &mut self,
        message: &impl Message<'a>,
        size_hint: usize,
        padding: u8,
    ) {
        let mut bytes = BytesMut::with_capacity(size_hint);
        message.to_payload(&mut bytes);
        debug_assert!(bytes.len() <= size_hint);
        self.push_payload(Payload::Secret(SecretPayload { bytes, padding }));
    }

    fn push_payload(&mut self, payload: Payload) {
        self.bytes = self.bytes.saturating_add(payload.as_ref().len());
        self.payloads.push_back(payload);
    }

    /// The next payload to seal.
    pub(crate) fn pop(&mut self) -> Option<Payload> {
        let payload = self.payloads.pop_front()?;
        self.bytes = self.bytes.saturating_sub(payload.as_ref().len());
        if self.payloads.is_empty() {
            // An idle connection holds no queue.
            self.payloads = VecDeque::new();
        }
        Some(payload)
    }

    /// Forgets everything that has not been sealed.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Bytes of all payloads.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether `messages` or `bytes`, the bounds of [`Limits`](crate::Limits), are reached.
    pub(crate) fn is_full(&self, messages: usize, bytes: usize) -> bool {
        self.payloads.len() >= messages || self.bytes >= bytes
    }
}
