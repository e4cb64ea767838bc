//! Every message by type, and plausible ones out of a fuzzer's bytes.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ssh_proto::wire::auth::*;
use ssh_proto::wire::connection::*;
use ssh_proto::wire::extension::*;
use ssh_proto::wire::kex::*;
use ssh_proto::wire::transport::*;
use ssh_proto::wire::{Message, NameList};
use ssh_proto::{Role, crypto::Signature};

use crate::endpoint::MECHANISM;
use crate::provider::{SIGNATURE, SIGNATURES, public_key};

/// What a target does with one type of message.
pub(crate) struct Known {
    /// Decodes a payload and encodes it again.
    pub(crate) recode: fn(&[u8]) -> Option<Vec<u8>>,
    /// Encodes an arbitrary value.
    pub(crate) arbitrary: fn(&mut Unstructured<'_>) -> Option<Vec<u8>>,
}

fn encode<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.to_vec()
}

macro_rules! known {
    ($($message:ident)*) => {
        /// Every message.
        pub(crate) const KNOWN: &[Known] = &[$(Known {
            recode: |payload| {
                let message = $message::from_payload(payload).ok()?;
                let encoded = encode(&message);
                assert_eq!($message::from_payload(&encoded).as_ref(), Ok(&message));
                Some(encoded)
            },
            arbitrary: |u| $message::arbitrary(u).ok().map(|message| encode(&message)),
        }),*];
    };
}

known! {
    Disconnect Ignore Unimplemented Debug ServiceRequest ServiceAccept ExtInfo
    KexInit NewKeys KexEcdhInit KexEcdhReply KexDhInit KexDhReply
    KexDhGexRequest KexDhGexRequestOld KexDhGexGroup KexDhGexInit KexDhGexReply
    UserauthRequest UserauthFailure UserauthSuccess UserauthBanner UserauthPkOk
    UserauthPasswdChangereq UserauthInfoRequest UserauthInfoResponse
    UserauthGssapiResponse UserauthGssapiToken UserauthGssapiExchangeComplete
    UserauthGssapiError UserauthGssapiErrtok UserauthGssapiMic
    GlobalRequest RequestSuccess RequestFailure
    ChannelOpen ChannelOpenConfirmation ChannelOpenFailure ChannelWindowAdjust
    ChannelData ChannelExtendedData ChannelEof ChannelClose
    ChannelRequest ChannelSuccess ChannelFailure Ping Pong
}

/// A payload that a peer might send: mostly with a channel number that may exist, mostly with the
/// user and service that authentication asks for.
pub(crate) fn plausible(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let index = usize::from(u8::arbitrary(u)?) % KNOWN.len();
    let refine = u8::arbitrary(u)?;
    if refine & 1 == 0 && index.is_multiple_of(3) {
        return Ok(encode(&UserauthRequest {
            user: b"alice",
            service: b"ssh-connection",
            method: AuthMethod::arbitrary(u)?,
        }));
    }
    let mut payload = (KNOWN[index].arbitrary)(u).unwrap_or_default();
    if let (true, Some([number @ 91..=100, channel @ ..])) =
        (refine & 6 != 0, payload.first_chunk_mut::<5>())
    {
        let _ = number;
        *channel = [0, 0, 0, refine >> 6];
    }
    Ok(payload)
}

/// A message of authentication that fits where one is due, to a connection of this role: what is
/// signed is signed, what is offered is known.
pub(crate) fn login(to: Role, choice: u8) -> Vec<u8> {
    match to {
        Role::Server => to_server(choice),
        Role::Client => to_client(choice),
    }
}

fn to_server(choice: u8) -> Vec<u8> {
    let name = SIGNATURES[usize::from(choice >> 7)];
    let (algorithm, key) = (name.as_bytes(), public_key(name));
    let key: &[u8] = key.as_blob();
    let signature = Signature::new(name, SIGNATURE);
    let signature: &[u8] = signature.as_encoded();
    let host_key = public_key(SIGNATURES[0]);
    let signed = (choice & 0x40 == 0).then_some(signature);
    let method = match choice % 14 {
        0 => AuthMethod::PublicKey(PublicKeyAuth {
            algorithm,
            key,
            signature: signed,
        }),
        1 => AuthMethod::PublicKeyHostbound(PublicKeyHostboundAuth {
            algorithm,
            key,
            host_key: host_key.as_blob(),
            signature: signed,
        }),
        2 => AuthMethod::Hostbased(HostbasedAuth {
            algorithm,
            key,
            client_host: b"host.example.",
            client_user: b"alice",
            signature,
        }),
        3 => AuthMethod::Password(PasswordAuth {
            password: b"secret",
            new_password: (choice & 0x40 == 0).then_some(b"better"),
        }),
        4 | 5 => AuthMethod::KeyboardInteractive(KeyboardInteractiveAuth {
            language: b"",
            submethods: b"pam",
        }),
        6 | 7 => AuthMethod::GssapiWithMic(GssapiAuth {
            oids: vec![MECHANISM],
        }),
        8 | 9 => {
            return encode(&UserauthInfoResponse {
                responses: vec![b"answer"; usize::from(choice >> 5)],
            });
        }
        10 => {
            let token: [&[u8]; 3] = [b"one", b"three", b"only"];
            return encode(&UserauthGssapiToken {
                token: token[usize::from(choice >> 4) % 3],
            });
        }
        11 => return encode(&UserauthGssapiErrtok { token: b"why" }),
        12 => return encode(&UserauthGssapiMic { mic: b"mic" }),
        _ => return encode(&UserauthGssapiExchangeComplete {}),
    };
    encode(&UserauthRequest {
        user: b"alice",
        service: b"ssh-connection",
        method,
    })
}

fn to_client(choice: u8) -> Vec<u8> {
    match choice % 8 {
        0 | 1 => encode(&UserauthFailure {
            methods: NameList::from_names(crate::endpoint::METHODS.iter()),
            partial_success: choice & 8 != 0,
        }),
        2 => encode(&UserauthInfoRequest {
            name: b"name",
            instruction: b"",
            language: b"",
            prompts: vec![(b"?", false); usize::from(choice >> 4)],
        }),
        3 => encode(&UserauthGssapiResponse { oid: MECHANISM }),
        4 => {
            let token: [&[u8]; 3] = [b"two", b"four", b""];
            encode(&UserauthGssapiToken {
                token: token[usize::from(choice >> 4) % 3],
            })
        }
        5 => {
            let name = SIGNATURES[usize::from(choice >> 7)];
            encode(&UserauthPkOk {
                algorithm: name.as_bytes(),
                key: public_key(name).as_blob(),
            })
        }
        6 => encode(&UserauthPasswdChangereq {
            prompt: b"too old",
            language: b"",
        }),
        _ => encode(&UserauthGssapiError {
            major: 1,
            minor: 2,
            message: b"no",
            language: b"",
        }),
    }
}
