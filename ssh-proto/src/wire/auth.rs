//! The messages of authentication (RFC 4252, RFC 4256, RFC 4462 section 3, OpenSSH PROTOCOL section 3).

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::show::{show_as_debug, shown_struct};
use super::types::{NameList, Reader, put_string};
use super::{Field, Message, number};
use crate::error::DecodeError;
use crate::limits::MAX_PROMPTS;

/// Asks to be authenticated (RFC 4252 section 5).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UserauthRequest<'a> {
    /// The user name.
    pub user: &'a [u8],
    /// The service to start, `ssh-connection`.
    pub service: &'a [u8],
    /// The method and its fields.
    pub method: AuthMethod<'a>,
}

shown_struct!(UserauthRequest ['a] { user, service, method, });

wire_kinds! {
    /// An authentication method with its fields.
    AuthMethod {
        /// RFC 4252 section 5.2.
        "none" => None(()),
        /// RFC 4252 section 7.
        "publickey" => PublicKey(PublicKeyAuth<'a>),
        /// OpenSSH PROTOCOL section 3.1.
        "publickey-hostbound-v00@openssh.com" => PublicKeyHostbound(PublicKeyHostboundAuth<'a>),
        /// RFC 4252 section 8.
        "password" => Password(PasswordAuth<'a>),
        /// RFC 4256 section 3.1.
        "keyboard-interactive" => KeyboardInteractive(KeyboardInteractiveAuth<'a>),
        /// RFC 4252 section 9.
        "hostbased" => Hostbased(HostbasedAuth<'a>),
        /// RFC 4462 section 3.2.
        "gssapi-with-mic" => GssapiWithMic(GssapiAuth<'a>),
    }
}

impl<'a> Field<'a> for UserauthRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let user = reader.string()?;
        let service = reader.string()?;
        let name = reader.string()?;
        Ok(Self {
            user,
            service,
            method: AuthMethod::decode_body(name, reader)?,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.user);
        put_string(out, self.service);
        put_string(out, self.method.name());
        self.method.encode_body(out);
    }
}

impl<'a> Message<'a> for UserauthRequest<'a> {
    const NUMBER: u8 = number::USERAUTH_REQUEST;
}

/// `publickey`: a query without signature, or the proof with it.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PublicKeyAuth<'a> {
    /// The signature algorithm.
    pub algorithm: &'a [u8],
    /// The public key blob.
    pub key: &'a [u8],
    /// The signature; `None` for a query.
    pub signature: Option<&'a [u8]>,
}

shown_struct!(PublicKeyAuth ['a] { algorithm, key, signature, });

impl<'a> Field<'a> for PublicKeyAuth<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let has_signature = reader.bool()?;
        Ok(Self {
            algorithm: reader.string()?,
            key: reader.string()?,
            signature: if has_signature {
                Some(reader.string()?)
            } else {
                None
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.signature.is_some().encode(out);
        put_string(out, self.algorithm);
        put_string(out, self.key);
        if let Some(signature) = self.signature {
            put_string(out, signature);
        }
    }
}

/// `publickey-hostbound-v00@openssh.com`: as `publickey`, bound to the server's host key.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PublicKeyHostboundAuth<'a> {
    /// The signature algorithm.
    pub algorithm: &'a [u8],
    /// The public key blob.
    pub key: &'a [u8],
    /// The host key of the first key exchange.
    pub host_key: &'a [u8],
    /// The signature; `None` for a query.
    pub signature: Option<&'a [u8]>,
}

shown_struct!(PublicKeyHostboundAuth ['a] { algorithm, key, host_key, signature, });

impl<'a> Field<'a> for PublicKeyHostboundAuth<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let has_signature = reader.bool()?;
        Ok(Self {
            algorithm: reader.string()?,
            key: reader.string()?,
            host_key: reader.string()?,
            signature: if has_signature {
                Some(reader.string()?)
            } else {
                None
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.signature.is_some().encode(out);
        put_string(out, self.algorithm);
        put_string(out, self.key);
        put_string(out, self.host_key);
        if let Some(signature) = self.signature {
            put_string(out, signature);
        }
    }
}

/// `password`, with the new password where one is set.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PasswordAuth<'a> {
    /// The password.
    pub password: &'a [u8],
    /// The new password; `None` where none is set.
    pub new_password: Option<&'a [u8]>,
}

impl core::fmt::Debug for PasswordAuth<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PasswordAuth(..)")
    }
}

show_as_debug!(PasswordAuth<'_>);

impl<'a> Field<'a> for PasswordAuth<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let changes = reader.bool()?;
        Ok(Self {
            password: reader.string()?,
            new_password: if changes {
                Some(reader.string()?)
            } else {
                None
            },
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        self.new_password.is_some().encode(out);
        put_string(out, self.password);
        if let Some(new) = self.new_password {
            put_string(out, new);
        }
    }
}

wire_struct! {
    /// `keyboard-interactive` (RFC 4256 section 3.1).
    KeyboardInteractiveAuth<'a>; {
        /// Deprecated, empty.
        language: &'a [u8],
        /// A hint, mostly empty.
        submethods: &'a [u8],
    }

    /// `hostbased` (RFC 4252 section 9).
    HostbasedAuth<'a>; {
        /// The signature algorithm.
        algorithm: &'a [u8],
        /// The client host's key.
        key: &'a [u8],
        /// The client host's name.
        client_host: &'a [u8],
        /// The user's name on the client host.
        client_user: &'a [u8],
        /// The client host's signature.
        signature: &'a [u8] => by_length,
    }

    /// The request failed (RFC 4252 section 5.1).
    UserauthFailure<'a> = number::USERAUTH_FAILURE; {
        /// Methods that can continue.
        methods: NameList<'a>,
        /// Whether the request succeeded but more is needed.
        partial_success: bool,
    }

    /// Authentication is complete (RFC 4252 section 5.1).
    UserauthSuccess = number::USERAUTH_SUCCESS; {}

    /// Text to show before authentication (RFC 4252 section 5.4).
    UserauthBanner<'a> = number::USERAUTH_BANNER; {
        /// UTF-8 text.
        message: &'a [u8],
        /// Its language.
        language: &'a [u8],
    }

    /// The key of a query would be acceptable (RFC 4252 section 7).
    UserauthPkOk<'a> = number::USERAUTH_PK_OK; {
        /// The algorithm of the query.
        algorithm: &'a [u8],
        /// The key of the query.
        key: &'a [u8],
    }

    /// The password has to be changed (RFC 4252 section 8).
    UserauthPasswdChangereq<'a> = number::USERAUTH_PASSWD_CHANGEREQ; {
        /// UTF-8 text.
        prompt: &'a [u8],
        /// Its language.
        language: &'a [u8],
    }

    /// The mechanism that the server chose (RFC 4462 section 3.3).
    UserauthGssapiResponse<'a> = number::USERAUTH_GSSAPI_RESPONSE; {
        /// Its OID in DER.
        oid: &'a [u8],
    }

    /// A token of the mechanism (RFC 4462 section 3.4).
    UserauthGssapiToken<'a> = number::USERAUTH_GSSAPI_TOKEN; {
        /// The token.
        token: &'a [u8] => by_length,
    }

    /// The client has no MIC to send (RFC 4462 section 3.4).
    UserauthGssapiExchangeComplete = number::USERAUTH_GSSAPI_EXCHANGE_COMPLETE; {}

    /// An error of the mechanism (RFC 4462 section 3.8).
    UserauthGssapiError<'a> = number::USERAUTH_GSSAPI_ERROR; {
        /// The major status.
        major: u32,
        /// The minor status.
        minor: u32,
        /// UTF-8 text.
        message: &'a [u8],
        /// Its language.
        language: &'a [u8],
    }

    /// An error token of the mechanism (RFC 4462 section 3.7).
    UserauthGssapiErrtok<'a> = number::USERAUTH_GSSAPI_ERRTOK; {
        /// The token.
        token: &'a [u8] => by_length,
    }

    /// The MIC over the session (RFC 4462 section 3.5).
    UserauthGssapiMic<'a> = number::USERAUTH_GSSAPI_MIC; {
        /// The MIC.
        mic: &'a [u8] => by_length,
    }
}

/// `gssapi-with-mic`: the mechanisms that the client offers (RFC 4462 section 3.2).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct GssapiAuth<'a> {
    /// OIDs in DER.
    pub oids: Vec<&'a [u8]>,
}

shown_struct!(GssapiAuth ['a] { oids, });

impl<'a> Field<'a> for GssapiAuth<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = bounded_count(reader)?;
        let mut oids = Vec::new();
        for _ in 0..count {
            oids.push(reader.string()?);
        }
        Ok(Self { oids })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_count(out, self.oids.len());
        self.oids.encode(out);
    }
}

/// Prompts of `keyboard-interactive` (RFC 4256 section 3.2).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UserauthInfoRequest<'a> {
    /// A title.
    pub name: &'a [u8],
    /// Text above the prompts.
    pub instruction: &'a [u8],
    /// Deprecated, empty.
    pub language: &'a [u8],
    /// Each prompt, and whether the answer may be shown.
    pub prompts: Vec<(&'a [u8], bool)>,
}

shown_struct!(UserauthInfoRequest ['a] { name, instruction, language, prompts, });

impl<'a> Field<'a> for UserauthInfoRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name = reader.string()?;
        let instruction = reader.string()?;
        let language = reader.string()?;
        let count = bounded_count(reader)?;
        let mut prompts = Vec::new();
        for _ in 0..count {
            prompts.push((reader.string()?, reader.bool()?));
        }
        Ok(Self {
            name,
            instruction,
            language,
            prompts,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.name);
        put_string(out, self.instruction);
        put_string(out, self.language);
        put_count(out, self.prompts.len());
        for (prompt, echo) in &self.prompts {
            put_string(out, prompt);
            echo.encode(out);
        }
    }
}

impl<'a> Message<'a> for UserauthInfoRequest<'a> {
    const NUMBER: u8 = number::USERAUTH_INFO_REQUEST;
}

/// Answers to prompts (RFC 4256 section 3.4).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UserauthInfoResponse<'a> {
    /// One answer for each prompt.
    pub responses: Vec<&'a [u8]>,
}

impl core::fmt::Debug for UserauthInfoResponse<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UserauthInfoResponse({} answers)", self.responses.len())
    }
}

impl<'a> Field<'a> for UserauthInfoResponse<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = bounded_count(reader)?;
        let mut responses = Vec::new();
        for _ in 0..count {
            responses.push(reader.string()?);
        }
        Ok(Self { responses })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_count(out, self.responses.len());
        self.responses.encode(out);
    }
}

impl<'a> Message<'a> for UserauthInfoResponse<'a> {
    const NUMBER: u8 = number::USERAUTH_INFO_RESPONSE;
}

fn bounded_count(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let count = reader.u32()?;
    match usize::try_from(count) {
        Ok(n) if n <= MAX_PROMPTS => Ok(count),
        _ => Err(DecodeError::TooMany),
    }
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
}
