//! Bytes to a connection of each role: as they are, and as messages that a peer might send.

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use ssh_proto::{ChannelKind, Connection, Role};

use crate::app::{Watch, limits};
use crate::endpoint::{Endpoint, Policy};
use crate::link::{client, operate, server};
use crate::messages::{login, plausible};
use crate::peer::{self, Peer, Protection};

/// Messages of one input, at most.
const MESSAGES: usize = 256;

/// Raw bytes to both roles: the same come of them however they are split.
pub fn ident(data: &[u8]) {
    let data = &data[..data.len().min(16 << 10)];
    same_however_split(data, || client(&limits()));
    same_however_split(data, || server(&limits(), false, false));
}

fn same_however_split<C: Endpoint>(data: &[u8], connect: impl Fn() -> Watch<C>) {
    let whole = run(&mut connect(), data, data.len().max(1), true);
    assert_eq!(run(&mut connect(), data, 1, true), whole);
    assert_eq!(run(&mut connect(), data, 7, false), whole);
    let third = data.len() / 3 + 1;
    assert_eq!(run(&mut connect(), data, third, true), whole);
}

/// What was told and sent.
fn run<C: Endpoint>(
    watch: &mut Watch<C>,
    data: &[u8],
    chunk: usize,
    polls: bool,
) -> (Vec<String>, BytesMut) {
    let mut out = BytesMut::new();
    watch.logs = true;
    for chunk in data.chunks(chunk) {
        watch.conn.handle_input(watch.now, chunk.into());
        if polls {
            watch.poll();
        }
    }
    watch.poll();
    watch.transmit(&mut out);
    watch.finish();
    (std::mem::take(&mut watch.log), out)
}

/// What a server might send, to a client.
pub fn client_stream(data: &[u8]) {
    stream(
        Role::Server,
        data,
        |_| client(&limits()),
        |client| {
            if let Ok(id) = client.conn.open_channel(&ChannelKind::Session) {
                client.adopt(id, false);
            }
        },
    );
}

/// What a client might send, to a server.
pub fn server_stream(data: &[u8]) {
    stream(
        Role::Client,
        data,
        |flags| server(&limits(), flags & 2 != 0, flags & 4 != 0),
        |_| {},
    );
}

fn stream<C: Endpoint>(
    peer: Role,
    data: &[u8],
    connect: impl Fn(u8) -> Watch<C>,
    before_channels: impl Fn(&mut Watch<C>),
) {
    let mut u = Unstructured::new(data);
    let (Ok(depth), Ok(flags)) = (u8::arbitrary(&mut u), u8::arbitrary(&mut u)) else {
        return;
    };
    let protections = [Protection::Aead, Protection::Etm, Protection::Mac];
    let protection = protections[usize::from(depth / (peer::STEPS + 1)) % 3];
    let mut peer = Peer::new(peer, flags & 1 != 0, protection);
    let mut watch = connect(flags);
    let mut out = BytesMut::new();
    for step in 0..depth % (peer::STEPS + 1) {
        if step == 5 {
            before_channels(&mut watch);
        }
        peer.step(step);
        deliver(&mut watch, &mut peer, &mut out);
    }
    // Otherwise nothing behind the login would be tested.
    let steps = depth % (peer::STEPS + 1);
    assert!(watch.ended.is_none(), "a login failed: {:?}", watch.ended);
    assert_eq!(watch.authenticated, steps >= 5);
    assert_eq!(watch.channels.values().any(|known| known.open), steps == 6);
    watch.policy = Policy(flags & 0xf8);
    for _ in 0..MESSAGES {
        if u.is_empty() || script(&mut watch, &mut peer, &mut u).is_err() {
            break;
        }
        deliver(&mut watch, &mut peer, &mut out);
    }
    watch.finish();
}

fn deliver<C: Endpoint>(watch: &mut Watch<C>, peer: &mut Peer, out: &mut BytesMut) {
    watch.conn.handle_input(watch.now, peer.take());
    watch.poll();
    watch.transmit(out);
    watch.poll();
    out.clear();
}

fn script<C: Endpoint>(
    watch: &mut Watch<C>,
    peer: &mut Peer,
    u: &mut Unstructured<'_>,
) -> arbitrary::Result<()> {
    match u8::arbitrary(u)? % 16 {
        0..=6 => peer.payload(&plausible(u)?),
        7 => peer.forged(&plausible(u)?),
        8 => peer.payload(<&[u8]>::arbitrary(u)?),
        9 => peer.raw(<&[u8]>::arbitrary(u)?),
        10 => peer.rekey(),
        11 => peer.step(u8::arbitrary(u)? % peer::STEPS),
        12 => {
            watch.wait();
        }
        // Several messages at once.
        13 => {
            for _ in 0..u8::arbitrary(u)? % 8 {
                peer.payload(&plausible(u)?);
            }
        }
        14 => operate(watch, u)?,
        _ => peer.payload(&login(watch.conn.role(), u8::arbitrary(u)?)),
    }
    Ok(())
}
