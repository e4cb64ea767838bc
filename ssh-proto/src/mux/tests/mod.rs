//! Two sides driven against each other, or one against payloads made by hand.

mod close;
mod flow;
mod global;
mod grow;
mod invite;
mod open;
mod permit;
mod request;
mod soak;

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::error::PeerMisbehaved;
use crate::wire::{Message, number};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// One side, with the events that were not looked at yet.
struct Side {
    mux: Mux,
    out: Outbox,
    events: VecDeque<MuxEvent>,
}

fn encode<'a>(message: &impl Message<'a>) -> Bytes {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.freeze()
}

impl Side {
    fn new(role: Role, limits: &Limits) -> Self {
        Self {
            mux: Mux::new(role, &Authenticated::for_tests("alice"), limits),
            out: Outbox::default(),
            events: VecDeque::new(),
        }
    }

    fn client() -> Self {
        Self::new(Role::Client, &Limits::default())
    }

    fn server() -> Self {
        Self::new(Role::Server, &Limits::default())
    }

    /// Feeds a message of the peer.
    fn feed<'a>(&mut self, message: &impl Message<'a>) -> Result<(), Error> {
        self.feed_payload(encode(message), false)
    }

    fn feed_payload(&mut self, payload: Bytes, retain_copy: bool) -> Result<(), Error> {
        let result = self.mux.handle(payload, retain_copy, &mut self.out);
        self.collect();
        result
    }

    fn collect(&mut self) {
        self.events
            .extend(core::iter::from_fn(|| self.mux.poll_event()));
    }

    fn event(&mut self) -> Option<MuxEvent> {
        self.collect();
        self.events.pop_front()
    }

    fn no_event(&mut self) -> bool {
        self.event().is_none()
    }

    /// The next message to leave, as the engine would take it.
    fn send_one(&mut self) -> Option<Bytes> {
        if let Some(payload) = self.out.pop() {
            return Some(Bytes::copy_from_slice(payload.as_ref()));
        }
        let wanted = self.mux.wants_transmit();
        let mut sent = None;
        let more = self
            .mux
            .poll_transmit(&mut |pulled| {
                sent = Some(match pulled {
                    Pulled::WindowAdjust(message) => encode(&message),
                    Pulled::Data(message) => encode(&message),
                    Pulled::ExtendedData(message) => encode(&message),
                    Pulled::Eof(message) => encode(&message),
                    Pulled::Close(message) => encode(&message),
                    Pulled::Request(payload) => Bytes::copy_from_slice(payload),
                });
                Ok(())
            })
            .unwrap();
        assert_eq!((more, wanted), (sent.is_some(), sent.is_some()));
        self.collect();
        sent
    }

    /// Everything there is to send.
    fn sent(&mut self) -> Vec<Bytes> {
        core::iter::from_fn(|| self.send_one()).collect()
    }

    /// The numbers of everything there is to send.
    fn sent_numbers(&mut self) -> Vec<u8> {
        self.sent().iter().map(|payload| payload[0]).collect()
    }

    /// The one message there is to send.
    fn sent_is<'a>(&mut self, message: &impl Message<'a>) {
        assert_eq!(self.sent(), [encode(message)]);
    }

    /// Everything that can be read.
    fn read_all(&mut self, id: ChannelId) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = self.mux.read(id).unwrap() {
            assert!(!chunk.bytes.is_empty());
            all.extend_from_slice(&chunk.bytes);
        }
        all
    }

    /// A session that is open with a peer made by hand: its number there is 7, window and packet as given.
    fn open_with(
        role: Role,
        limits: &Limits,
        window_size: u32,
        max_packet_size: u32,
    ) -> (Self, ChannelId) {
        let mut side = Self::new(role, limits);
        let id = match role {
            Role::Client => {
                let id = side.mux.open(&ChannelKind::Session, &mut side.out).unwrap();
                side.feed(&confirmation(id, window_size, max_packet_size))
                    .unwrap();
                assert_eq!(side.event(), Some(MuxEvent::Opened { id }));
                id
            }
            Role::Server => {
                side.feed(&open_message(session(), 7, window_size, max_packet_size))
                    .unwrap();
                let id = side.open_requested();
                side.mux.accept_open(id, &mut side.out).unwrap();
                id
            }
        };
        side.sent();
        (side, id)
    }

    fn open(role: Role) -> (Self, ChannelId) {
        Self::open_with(role, &Limits::default(), 1 << 20, 32 << 10)
    }

    fn open_requested(&mut self) -> ChannelId {
        match self.event() {
            Some(MuxEvent::OpenRequested { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }
}

/// Moves messages between the sides until both are silent.
fn pump(a: &mut Side, b: &mut Side) {
    loop {
        let mut quiet = true;
        for payload in a.sent() {
            quiet = false;
            b.feed_payload(payload, false).unwrap();
        }
        for payload in b.sent() {
            quiet = false;
            a.feed_payload(payload, false).unwrap();
        }
        if quiet {
            return;
        }
    }
}

/// A session open between two sides.
fn pair(limits: &Limits) -> (Side, ChannelId, Side, ChannelId) {
    let mut client = Side::new(Role::Client, limits);
    let mut server = Side::new(Role::Server, limits);
    let ours = client
        .mux
        .open(&ChannelKind::Session, &mut client.out)
        .unwrap();
    pump(&mut client, &mut server);
    let theirs = server.open_requested();
    server.mux.accept_open(theirs, &mut server.out).unwrap();
    pump(&mut client, &mut server);
    assert_eq!(client.event(), Some(MuxEvent::Opened { id: ours }));
    (client, ours, server, theirs)
}

fn session() -> wire::ChannelOpenKind<'static> {
    wire::ChannelOpenKind::Session(())
}

fn open_message(
    kind: wire::ChannelOpenKind<'_>,
    sender: u32,
    window_size: u32,
    max_packet_size: u32,
) -> wire::ChannelOpen<'_> {
    wire::ChannelOpen {
        kind,
        sender,
        window_size,
        max_packet_size,
    }
}

fn confirmation(
    id: ChannelId,
    window_size: u32,
    max_packet_size: u32,
) -> wire::ChannelOpenConfirmation<'static> {
    wire::ChannelOpenConfirmation {
        recipient: id.index,
        sender: 7,
        window_size,
        max_packet_size,
        body: Rest(&[]),
    }
}

fn failure(recipient: u32, reason: OpenFailure) -> wire::ChannelOpenFailure<'static> {
    wire::ChannelOpenFailure {
        recipient,
        reason: reason.0,
        description: reason.text().as_bytes(),
        language: &[],
    }
}

fn data(id: ChannelId, data: &[u8]) -> wire::ChannelData<'_> {
    wire::ChannelData {
        recipient: id.index,
        data,
    }
}

fn stderr(id: ChannelId, data_type: u32, data: &[u8]) -> wire::ChannelExtendedData<'_> {
    wire::ChannelExtendedData {
        recipient: id.index,
        data_type,
        data,
    }
}

fn adjust(recipient: u32, bytes: u32) -> wire::ChannelWindowAdjust {
    wire::ChannelWindowAdjust { recipient, bytes }
}

fn eof(id: ChannelId) -> wire::ChannelEof {
    wire::ChannelEof {
        recipient: id.index,
    }
}

fn close(id: ChannelId) -> wire::ChannelClose {
    wire::ChannelClose {
        recipient: id.index,
    }
}

fn request(
    id: ChannelId,
    kind: wire::ChannelRequestKind<'_>,
    want_reply: bool,
) -> wire::ChannelRequest<'_> {
    wire::ChannelRequest {
        recipient: id.index,
        kind,
        want_reply,
    }
}

const BAD_STATE: Result<(), Error> = Err(Error::PeerMisbehaved(PeerMisbehaved::BadChannelState));
const WINDOW_EXCEEDED: Result<(), Error> =
    Err(Error::PeerMisbehaved(PeerMisbehaved::WindowExceeded));

/// The whole life of a session: requests, data both ways, stderr, EOF, exit status, close.
#[test]
fn a_session_from_open_to_close() {
    let (mut client, ours, mut server, theirs) = pair(&Limits::default());
    let asked = client
        .mux
        .request(
            ours,
            &ChannelRequest::Exec("cat".into()),
            true,
            &mut client.out,
        )
        .unwrap()
        .unwrap();
    assert_eq!(client.mux.write(ours, DataStream::Data, b"input"), Ok(5));
    client.mux.finish(ours).unwrap();
    pump(&mut client, &mut server);

    let key = match server.event() {
        Some(MuxEvent::Request {
            id,
            key,
            request: ChannelRequest::Exec(command),
            want_reply: true,
        }) if id == theirs && command == "cat" => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(server.event(), Some(MuxEvent::Readable { id: theirs }));
    assert_eq!(server.event(), Some(MuxEvent::Eof { id: theirs }));
    server
        .mux
        .answer_request(theirs, key, true, &mut server.out)
        .unwrap();
    assert_eq!(server.mux.readable_bytes(theirs), Ok(5));
    assert_eq!(server.read_all(theirs), b"input");
    assert_eq!(server.mux.read(theirs), Ok(None));

    server.mux.write(theirs, DataStream::Data, b"out").unwrap();
    server
        .mux
        .write(theirs, DataStream::STDERR, b"err")
        .unwrap();
    server
        .mux
        .request(
            theirs,
            &ChannelRequest::ExitStatus(3),
            false,
            &mut server.out,
        )
        .unwrap();
    server.mux.finish(theirs).unwrap();
    server.mux.close(theirs).unwrap();
    pump(&mut client, &mut server);

    assert_eq!(
        client.event(),
        Some(MuxEvent::RequestReply {
            id: ours,
            request: asked,
            success: true
        })
    );
    assert_eq!(client.event(), Some(MuxEvent::Readable { id: ours }));
    assert_eq!(
        client.event(),
        Some(MuxEvent::ExitStatus { id: ours, code: 3 })
    );
    assert_eq!(client.event(), Some(MuxEvent::Eof { id: ours }));
    assert!(client.no_event(), "Closed waits for the reader");
    let chunk = |stream, bytes: &'static [u8]| {
        Ok(Some(Chunk {
            stream,
            bytes: bytes.into(),
        }))
    };
    assert_eq!(client.mux.read(ours), chunk(DataStream::Data, b"out"));
    assert_eq!(client.mux.read(ours), chunk(DataStream::STDERR, b"err"));
    assert_eq!(client.event(), Some(MuxEvent::Closed { id: ours }));
    assert_eq!(server.event(), Some(MuxEvent::Closed { id: theirs }));
    assert_eq!(client.mux.read(ours), Err(ChannelError::Closed));
    assert!(client.no_event() && server.no_event());
    assert_eq!((client.mux.table.len(), server.mux.table.len()), (0, 0));
    assert_eq!(
        (client.mux.unread_bytes(), server.mux.unread_bytes()),
        (0, 0)
    );
    assert!(client.mux.take_user_data_seen() && server.mux.take_user_data_seen());
    assert!(!client.mux.take_user_data_seen());
}

#[test]
fn numbers_that_are_not_of_this_layer_are_refused() {
    for number in [0, 79, 83, 89, 101, 255] {
        let payload = Bytes::from(vec![number]);
        assert_eq!(
            Side::server().feed_payload(payload, false),
            Err(PeerMisbehaved::UnexpectedMessage(number).into())
        );
    }
}

/// U8, H16: every message cut short at any byte, or one byte too long, names itself as malformed.
#[test]
fn u8_malformed_bodies_are_refused() {
    let (_, id) = Side::open(Role::Client);
    let messages = [
        encode(&wire::GlobalRequest {
            kind: wire::GlobalRequestKind::TcpipForward(wire::TcpipForward {
                address: b"",
                port: 1,
            }),
            want_reply: true,
        }),
        encode(&open_message(session(), 1, 1, 100)),
        encode(&failure(id.index, OpenFailure::CONNECT_FAILED)),
        encode(&adjust(id.index, 1)),
        encode(&data(id, b"data")),
        encode(&stderr(id, 1, b"data")),
        encode(&eof(id)),
        encode(&close(id)),
        encode(&request(id, wire::ChannelRequestKind::ExitStatus(1), false)),
        encode(&wire::ChannelSuccess { recipient: 0 }),
        encode(&wire::ChannelFailure { recipient: 0 }),
    ];
    for message in messages {
        let longer = Bytes::from([&message[..], &[0]].concat());
        let cuts = (1..message.len()).map(|end| message.slice(..end));
        for bad in cuts.chain([longer]) {
            let (mut side, _) = Side::open(Role::Client);
            let result = side.feed_payload(bad.clone(), false);
            assert!(
                matches!(result, Err(Error::InvalidMessage { number, .. }) if number == message[0]),
                "{bad:?}: {result:?}"
            );
        }
    }
}
