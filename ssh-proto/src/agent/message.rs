//! The messages of the agent protocol (RFC 9987 section 3, OpenSSH PROTOCOL.agent) as plain values.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, BytesMut};

use super::certified;
use super::constraint::KeyConstraints;
use crate::crypto::{Certificate, PrivateKey, is_certificate_type};
use crate::error::DecodeError;
use crate::keys::{KeyFileError, put_private, read_private};
use crate::limits::{MAX_AGENT_EXTENSIONS, MAX_AGENT_IDENTITIES, MAX_KEY_BLOB};
use crate::wire::{Field, Message, Reader, Rest, put_string, wire_struct};

/// Message and constraint numbers (RFC 9987 section 5).
pub mod number {
    /// `SSH_AGENT_FAILURE`
    pub const FAILURE: u8 = 5;
    /// `SSH_AGENT_SUCCESS`
    pub const SUCCESS: u8 = 6;
    /// `SSH_AGENTC_REQUEST_IDENTITIES`
    pub const REQUEST_IDENTITIES: u8 = 11;
    /// `SSH_AGENT_IDENTITIES_ANSWER`
    pub const IDENTITIES_ANSWER: u8 = 12;
    /// `SSH_AGENTC_SIGN_REQUEST`
    pub const SIGN_REQUEST: u8 = 13;
    /// `SSH_AGENT_SIGN_RESPONSE`
    pub const SIGN_RESPONSE: u8 = 14;
    /// `SSH_AGENTC_ADD_IDENTITY`
    pub const ADD_IDENTITY: u8 = 17;
    /// `SSH_AGENTC_REMOVE_IDENTITY`
    pub const REMOVE_IDENTITY: u8 = 18;
    /// `SSH_AGENTC_REMOVE_ALL_IDENTITIES`
    pub const REMOVE_ALL_IDENTITIES: u8 = 19;
    /// `SSH_AGENTC_ADD_SMARTCARD_KEY`
    pub const ADD_SMARTCARD_KEY: u8 = 20;
    /// `SSH_AGENTC_REMOVE_SMARTCARD_KEY`
    pub const REMOVE_SMARTCARD_KEY: u8 = 21;
    /// `SSH_AGENTC_LOCK`
    pub const LOCK: u8 = 22;
    /// `SSH_AGENTC_UNLOCK`
    pub const UNLOCK: u8 = 23;
    /// `SSH_AGENTC_ADD_ID_CONSTRAINED`
    pub const ADD_ID_CONSTRAINED: u8 = 25;
    /// `SSH_AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED`
    pub const ADD_SMARTCARD_KEY_CONSTRAINED: u8 = 26;
    /// `SSH_AGENTC_EXTENSION`
    pub const EXTENSION: u8 = 27;
    /// `SSH_AGENT_EXTENSION_FAILURE`
    pub const EXTENSION_FAILURE: u8 = 28;
    /// `SSH_AGENT_EXTENSION_RESPONSE`
    pub const EXTENSION_RESPONSE: u8 = 29;

    /// `SSH_AGENT_CONSTRAIN_LIFETIME`
    pub const CONSTRAIN_LIFETIME: u8 = 1;
    /// `SSH_AGENT_CONSTRAIN_CONFIRM`
    pub const CONSTRAIN_CONFIRM: u8 = 2;
    /// `SSH_AGENT_CONSTRAIN_EXTENSION`
    pub const CONSTRAIN_EXTENSION: u8 = 255;
}

wire_struct! {
    /// Asks for a signature (RFC 9987 section 3.6).
    SignData<'a> = number::SIGN_REQUEST; {
        /// The public key blob.
        key: &'a [u8],
        /// What is to be signed.
        data: &'a [u8] => by_length,
        /// See [`SignFlags`](super::SignFlags).
        flags: u32,
    }

    /// The signature (RFC 9987 section 3.6).
    SignResponse<'a> = number::SIGN_RESPONSE; {
        /// Its encoding: algorithm and blob.
        signature: &'a [u8] => by_length,
    }

    /// Asks for a key to be forgotten (RFC 9987 section 3.4).
    RemoveIdentity<'a> = number::REMOVE_IDENTITY; {
        /// The public key blob.
        key: &'a [u8],
    }

    /// An extension request (RFC 9987 section 3.8).
    Extension<'a> = number::EXTENSION; {
        /// Its name.
        name: &'a [u8],
        /// What belongs to it.
        contents: Rest<'a>,
    }

    /// What an extension answers (RFC 9987 section 3.8).
    ExtensionResponse<'a> = number::EXTENSION_RESPONSE; {
        /// The name of the request.
        name: &'a [u8],
        /// What belongs to it.
        contents: Rest<'a>,
    }

    /// The contents of `session-bind@openssh.com` (OpenSSH PROTOCOL.agent section 1).
    SessionBind<'a>; {
        /// The host key blob.
        host_key: &'a [u8],
        /// The session identifier.
        session_id: &'a [u8],
        /// The host key's signature over it, from the first key exchange.
        signature: &'a [u8] => by_length,
        /// Whether the connection is forwarded to that host, rather than used to log in there.
        is_forwarding: bool,
    }
}

/// The keys of an agent: blob and comment of each (RFC 9987 section 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitiesAnswer<'a> {
    /// Public key blob and comment of each key.
    pub identities: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Field<'a> for IdentitiesAnswer<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        if count > MAX_AGENT_IDENTITIES {
            return Err(DecodeError::TooMany);
        }
        let mut identities = Vec::new();
        for _ in 0..count {
            identities.push((reader.string()?, reader.string()?));
        }
        Ok(Self { identities })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(u32::try_from(self.identities.len()).unwrap_or(u32::MAX));
        for (key, comment) in &self.identities {
            put_string(out, key);
            put_string(out, comment);
        }
    }
}

impl<'a> Message<'a> for IdentitiesAnswer<'a> {
    const NUMBER: u8 = number::IDENTITIES_ANSWER;
}

/// Hands a private key to an agent (RFC 9987 section 3.2).
#[derive(Debug, Clone)]
pub struct AddIdentity<'a> {
    /// The key.
    pub key: PrivateKey,
    /// Its certificate, by which the agent is to know and show it.
    pub certificate: Option<Box<Certificate>>,
    /// Its comment.
    pub comment: &'a [u8],
    /// `Some` for `ADD_ID_CONSTRAINED`, even if there are none.
    pub constraints: Option<KeyConstraints>,
}

impl<'a> AddIdentity<'a> {
    /// `None` for a key of a type that has no [`PrivateKey`] value.
    fn decode(reader: &mut Reader<'a>, constrained: bool) -> Result<Option<Self>, DecodeError> {
        let key_type = reader.text()?;
        let (key, certificate) = if is_certificate_type(key_type) {
            match certified::read(key_type, reader)? {
                Some((key, certificate)) => (key, Some(Box::new(certificate))),
                None => return Ok(None),
            }
        } else {
            match read_private(key_type, reader) {
                Ok(key) => (key, None),
                Err(KeyFileError::UnsupportedKeyType(_)) => return Ok(None),
                Err(_) => return Err(DecodeError::OutOfRange),
            }
        };
        let comment = reader.string()?;
        let constraints = constrained
            .then(|| KeyConstraints::decode(reader))
            .transpose()?;
        Ok(Some(Self {
            key,
            certificate,
            comment,
            constraints,
        }))
    }

    fn encode(&self, out: &mut BytesMut) {
        match &self.certificate {
            Some(certificate) => certified::put(&self.key, certificate, out),
            None => put_private(&self.key, out),
        }
        put_string(out, self.comment);
        if let Some(constraints) = &self.constraints {
            constraints.encode(out);
        }
    }

    /// An upper bound of the encoded length: the largest RSA key, and room for names and for a
    /// certificate.
    pub(super) fn size_hint(&self) -> usize {
        let mut constraints = BytesMut::new();
        if let Some(all) = &self.constraints {
            all.encode(&mut constraints);
        }
        (16 * 1024 + MAX_KEY_BLOB)
            .saturating_add(self.comment.len())
            .saturating_add(constraints.len())
    }
}

/// What an agent is asked.
#[non_exhaustive]
#[derive(Clone)]
pub enum AgentRequest<'a> {
    /// The keys (RFC 9987 section 3.5).
    RequestIdentities,
    /// A signature.
    Sign(SignData<'a>),
    /// To hold a key.
    AddIdentity(AddIdentity<'a>),
    /// To forget a key.
    RemoveIdentity(RemoveIdentity<'a>),
    /// To forget all keys (RFC 9987 section 3.4).
    RemoveAllIdentities,
    /// To use no key until it is unlocked with the same passphrase (RFC 9987 section 3.7).
    Lock(&'a [u8]),
    /// To be unlocked.
    Unlock(&'a [u8]),
    /// An extension.
    Extension(Extension<'a>),
    /// A message that is not known here, or with a key of a type that is not; raw.
    Unknown {
        /// The message number.
        number: u8,
        /// What follows it.
        body: &'a [u8],
    },
}

impl<'a> AgentRequest<'a> {
    /// Decodes a whole message.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let number = reader.u8()?;
        let body = reader.clone().rest();
        let request = match number {
            number::REQUEST_IDENTITIES => Self::RequestIdentities,
            number::SIGN_REQUEST => Self::Sign(Field::decode(&mut reader)?),
            number::ADD_IDENTITY | number::ADD_ID_CONSTRAINED => {
                let constrained = number == number::ADD_ID_CONSTRAINED;
                match AddIdentity::decode(&mut reader, constrained)? {
                    Some(add) => Self::AddIdentity(add),
                    None => return Ok(Self::Unknown { number, body }),
                }
            }
            number::REMOVE_IDENTITY => Self::RemoveIdentity(Field::decode(&mut reader)?),
            number::REMOVE_ALL_IDENTITIES => Self::RemoveAllIdentities,
            number::LOCK => Self::Lock(reader.string()?),
            number::UNLOCK => Self::Unlock(reader.string()?),
            number::EXTENSION => Self::Extension(Field::decode(&mut reader)?),
            _ => return Ok(Self::Unknown { number, body }),
        };
        reader.finish()?;
        Ok(request)
    }

    /// Appends the whole message, without a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.number());
        match self {
            Self::RequestIdentities | Self::RemoveAllIdentities => {}
            Self::Sign(sign) => sign.encode(out),
            Self::AddIdentity(add) => add.encode(out),
            Self::RemoveIdentity(remove) => remove.encode(out),
            Self::Lock(passphrase) | Self::Unlock(passphrase) => put_string(out, passphrase),
            Self::Extension(extension) => extension.encode(out),
            Self::Unknown { body, .. } => out.put_slice(body),
        }
    }

    /// The message number.
    pub fn number(&self) -> u8 {
        match self {
            Self::RequestIdentities => number::REQUEST_IDENTITIES,
            Self::Sign(_) => number::SIGN_REQUEST,
            Self::AddIdentity(add) if add.constraints.is_some() => number::ADD_ID_CONSTRAINED,
            Self::AddIdentity(_) => number::ADD_IDENTITY,
            Self::RemoveIdentity(_) => number::REMOVE_IDENTITY,
            Self::RemoveAllIdentities => number::REMOVE_ALL_IDENTITIES,
            Self::Lock(_) => number::LOCK,
            Self::Unlock(_) => number::UNLOCK,
            Self::Extension(_) => number::EXTENSION,
            Self::Unknown { number, .. } => *number,
        }
    }

    /// An upper bound of the length of the message.
    pub(super) fn size_hint(&self) -> usize {
        let body = match self {
            Self::RequestIdentities | Self::RemoveAllIdentities => 0,
            Self::Sign(sign) => sign.key.len().saturating_add(sign.data.len()),
            Self::AddIdentity(add) => add.size_hint(),
            Self::RemoveIdentity(remove) => remove.key.len(),
            Self::Lock(passphrase) | Self::Unlock(passphrase) => passphrase.len(),
            Self::Extension(extension) => {
                let contents = extension.contents.0.len();
                extension.name.len().saturating_add(contents)
            }
            Self::Unknown { body, .. } => body.len(),
        };
        // The number, and the lengths of up to three fields.
        body.saturating_add(16)
    }
}

/// Bodies may hold PINs, passphrases and private keys: what is not known is not shown.
impl fmt::Debug for AgentRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestIdentities => f.write_str("RequestIdentities"),
            Self::Sign(sign) => sign.fmt(f),
            Self::AddIdentity(add) => add.fmt(f),
            Self::RemoveIdentity(remove) => remove.fmt(f),
            Self::RemoveAllIdentities => f.write_str("RemoveAllIdentities"),
            Self::Lock(_) => f.write_str("Lock(..)"),
            Self::Unlock(_) => f.write_str("Unlock(..)"),
            Self::Extension(extension) => extension.fmt(f),
            Self::Unknown { number, body } => {
                write!(f, "Unknown({number}, {} bytes)", body.len())
            }
        }
    }
}

/// What an agent answers.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentResponse<'a> {
    /// No, to any request.
    Failure,
    /// Done, to a request that asks for no value.
    Success,
    /// The keys.
    Identities(IdentitiesAnswer<'a>),
    /// The signature.
    Signature(SignResponse<'a>),
    /// The extension is known and failed (RFC 9987 section 3.8).
    ExtensionFailure,
    /// What an extension answers.
    ExtensionResponse(ExtensionResponse<'a>),
    /// A message that is not known here; raw.
    Unknown {
        /// The message number.
        number: u8,
        /// What follows it.
        body: &'a [u8],
    },
}

impl<'a> AgentResponse<'a> {
    /// Decodes a whole message.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message);
        let response = match reader.u8()? {
            number::FAILURE => Self::Failure,
            number::SUCCESS => Self::Success,
            number::IDENTITIES_ANSWER => Self::Identities(Field::decode(&mut reader)?),
            number::SIGN_RESPONSE => Self::Signature(Field::decode(&mut reader)?),
            number::EXTENSION_FAILURE => Self::ExtensionFailure,
            number::EXTENSION_RESPONSE => Self::ExtensionResponse(Field::decode(&mut reader)?),
            number => Self::Unknown {
                number,
                body: reader.rest(),
            },
        };
        reader.finish()?;
        Ok(response)
    }

    /// Appends the whole message, without a frame.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.number());
        match self {
            Self::Failure | Self::Success | Self::ExtensionFailure => {}
            Self::Identities(answer) => answer.encode(out),
            Self::Signature(response) => response.encode(out),
            Self::ExtensionResponse(response) => response.encode(out),
            Self::Unknown { body, .. } => out.put_slice(body),
        }
    }

    /// The message number.
    pub fn number(&self) -> u8 {
        match self {
            Self::Failure => number::FAILURE,
            Self::Success => number::SUCCESS,
            Self::Identities(_) => number::IDENTITIES_ANSWER,
            Self::Signature(_) => number::SIGN_RESPONSE,
            Self::ExtensionFailure => number::EXTENSION_FAILURE,
            Self::ExtensionResponse(_) => number::EXTENSION_RESPONSE,
            Self::Unknown { number, .. } => *number,
        }
    }
}

/// The names in the answer to `query`.
pub(super) fn decode_extensions(contents: &[u8]) -> Result<Vec<&str>, DecodeError> {
    let mut reader = Reader::new(contents);
    let mut names = Vec::new();
    while reader.remaining() > 0 {
        if names.len() >= MAX_AGENT_EXTENSIONS {
            return Err(DecodeError::TooMany);
        }
        names.push(reader.text()?);
    }
    Ok(names)
}
