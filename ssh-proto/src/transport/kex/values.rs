//! How the values of an exchange travel and are hashed, by the shape of its method (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4).

use bytes::{BufMut as _, Bytes, BytesMut};

use super::encode;
use super::negotiate::{Agreement, Suite};
use crate::crypto::{DhGroup, SecureRandom};
use crate::error::{DecodeError, Error, PeerIncompatible, PeerMisbehaved};
use crate::limits::{MAX_DH_BITS, MIN_DH_BITS};
use crate::wire::kex::{
    KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest, KexDhInit, KexDhReply,
    KexEcdhInit, KexEcdhReply,
};
use crate::wire::{Message, Mpint, decode, put_mpint, put_string};

/// What a group exchange agreed on before public values travel.
pub(super) struct Gex {
    pub(super) request: KexDhGexRequest,
    pub(super) group: DhGroup,
}

/// How public values travel.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    /// As `string`s.
    Strings,
    /// As `mpint`s.
    Mpints,
    /// As `mpint`s of a group that was asked for.
    Gex(&'a Gex),
}

/// The server's reply, whichever message it came in.
pub(super) struct Reply<'a> {
    pub(super) host_key: &'a [u8],
    pub(super) public: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Values<'a> {
    /// The group that was chosen, where one is.
    pub(super) fn group(self) -> Option<&'a DhGroup> {
        match self {
            Self::Gex(gex) => Some(&gex.group),
            Self::Strings | Self::Mpints => None,
        }
    }

    /// The message of the client's value.
    pub(super) fn init(self, public: &[u8]) -> Bytes {
        let e = Mpint::from_magnitude(public);
        match self {
            Self::Strings => encode(&KexEcdhInit { public }),
            Self::Mpints => encode(&KexDhInit { e }),
            Self::Gex(_) => encode(&KexDhGexInit { e }),
        }
    }

    /// The client's value in its message.
    pub(super) fn read_init(self, payload: &[u8]) -> Result<&[u8], Error> {
        Ok(match self {
            Self::Strings => decode::<KexEcdhInit<'_>>(payload)?.public,
            Self::Mpints => decode_mpints::<KexDhInit<'_>>(payload)?.e.magnitude(),
            Self::Gex(_) => decode_mpints::<KexDhGexInit<'_>>(payload)?.e.magnitude(),
        })
    }

    /// The message of the server's reply.
    pub(super) fn reply(self, reply: &Reply<'_>) -> Bytes {
        let Reply {
            host_key,
            public,
            signature,
        } = *reply;
        let f = Mpint::from_magnitude(public);
        match self {
            Self::Strings => encode(&KexEcdhReply {
                host_key,
                public,
                signature,
            }),
            Self::Mpints => encode(&KexDhReply {
                host_key,
                f,
                signature,
            }),
            Self::Gex(_) => encode(&KexDhGexReply {
                host_key,
                f,
                signature,
            }),
        }
    }

    /// The server's reply in its message.
    pub(super) fn read_reply(self, payload: &[u8]) -> Result<Reply<'_>, Error> {
        let (host_key, public, signature) = match self {
            Self::Strings => {
                let reply: KexEcdhReply<'_> = decode(payload)?;
                (reply.host_key, reply.public, reply.signature)
            }
            Self::Mpints => {
                let reply: KexDhReply<'_> = decode_mpints(payload)?;
                (reply.host_key, reply.f.magnitude(), reply.signature)
            }
            Self::Gex(_) => {
                let reply: KexDhGexReply<'_> = decode_mpints(payload)?;
                (reply.host_key, reply.f.magnitude(), reply.signature)
            }
        };
        Ok(Reply {
            host_key,
            public,
            signature,
        })
    }

    /// What enters the exchange hash between the host key and the secret.
    pub(super) fn hashed(self, client_public: &[u8], server_public: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        if let Self::Gex(Gex { request, group }) = self {
            out.put_u32(request.min);
            out.put_u32(request.n);
            out.put_u32(request.max);
            put_mpint(&mut out, group.prime());
            put_mpint(&mut out, group.generator());
        }
        for public in [client_public, server_public] {
            match self {
                Self::Strings => put_string(&mut out, public),
                Self::Mpints | Self::Gex(_) => put_mpint(&mut out, public),
            }
        }
        out
    }
}

/// A message with a number in it. One that is negative, too long or not in its one form is a bad
/// value rather than a bad message.
fn decode_mpints<'a, M: Message<'a>>(payload: &'a [u8]) -> Result<M, Error> {
    decode(payload).map_err(|error| match error {
        Error::InvalidMessage {
            error: DecodeError::BadMpint,
            ..
        } => PeerMisbehaved::BadKexValue.into(),
        other => other,
    })
}

/// Client: which group to ask for, by the strength of what the keys are for, as OpenSSH does
/// (NIST SP 800-57 part 1 table 2).
pub(super) fn request(agreement: &Agreement) -> KexDhGexRequest {
    let strength = |suite: &Suite| {
        let mac = suite.mac.map_or(0, |mac| mac.key_len());
        suite.cipher.key_len().max(suite.cipher.iv_len()).max(mac)
    };
    let strength = strength(&agreement.client_to_server).max(strength(&agreement.server_to_client));
    let n = match strength.saturating_mul(8) {
        0..=112 => 2048,
        113..=128 => 3072,
        129..=192 => 7680,
        _ => 8192,
    };
    KexDhGexRequest {
        min: MIN_DH_BITS,
        n,
        max: MAX_DH_BITS,
    }
}

/// Client: the server's answer to our request.
pub(super) fn read_group(request: KexDhGexRequest, payload: &[u8]) -> Result<Gex, Error> {
    let message: KexDhGexGroup<'_> = decode_mpints(payload)?;
    let group = DhGroup::new(message.prime.magnitude(), message.generator.magnitude())
        .map_err(|_| PeerMisbehaved::BadKexValue)?;
    match (request.min..=request.max).contains(&group.bits()) {
        true => Ok(Gex { request, group }),
        false => Err(PeerMisbehaved::BadKexValue.into()),
    }
}

/// Server: one of its groups, as near to what the client prefers as there is: no smaller if possible,
/// and then the smallest. Among equals the source of randomness decides.
pub(super) fn choose_group(
    groups: &[DhGroup],
    payload: &[u8],
    random: &mut dyn SecureRandom,
) -> Result<Gex, Error> {
    let request: KexDhGexRequest = decode(payload)?;
    if request.min > request.n || request.n > request.max {
        return Err(PeerMisbehaved::BadKexValue.into());
    }
    let no_group = Error::PeerIncompatible(PeerIncompatible::NoDhGroup);
    let sizes = || {
        let bits = groups.iter().map(DhGroup::bits);
        bits.filter(|bits| (request.min..=request.max).contains(bits))
    };
    let above = sizes().filter(|bits| *bits >= request.n).min();
    let Some(size) = above.or_else(|| sizes().max()) else {
        return Err(no_group);
    };
    let mut equals = groups.iter().filter(|group| group.bits() == size);
    let count = equals.clone().count();
    let at = match count {
        0 | 1 => 0,
        _ => {
            let mut bytes = [0; 8];
            random.fill(&mut bytes)?;
            // Of so many, one too often is no matter.
            usize::try_from(u64::from_le_bytes(bytes) >> 32)
                .unwrap_or_default()
                .checked_rem(count)
                .unwrap_or_default()
        }
    };
    match equals.nth(at) {
        Some(group) => Ok(Gex {
            request,
            group: group.clone(),
        }),
        None => Err(no_group),
    }
}

/// Server: the message of the group.
pub(super) fn group_message(gex: &Gex) -> Bytes {
    encode(&KexDhGexGroup {
        prime: Mpint::from_magnitude(gex.group.prime()),
        generator: Mpint::from_magnitude(gex.group.generator()),
    })
}
