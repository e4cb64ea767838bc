//! Every message by type, and plausible ones out of a fuzzer's bytes.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ssh_proto::wire::Message;
use ssh_proto::wire::auth::*;
use ssh_proto::wire::connection::*;
use ssh_proto::wire::extension::*;
use ssh_proto::wire::kex::*;
use ssh_proto::wire::transport::*;

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
