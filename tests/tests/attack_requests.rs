//! Attacks on opens, data and requests by peers of either role (RFC 4254), as a whole connection meets them: groups H and I of the notes. The mux alone is attacked in `ssh-proto/src/mux/tests`.

use ssh_proto::error::{Error, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelRequest, ClientConnection, ClientEvent, Connection, DataStream, Event, GlobalRequest,
    IncomingGlobalRequest, IncomingRequest, OpenFailure, PeerOpens, ServerConnection, ServerEvent,
};
use ssh_tests::attack::{Asked, F, both, chunked, message};
use ssh_tests::{Hostile, Mode, Pair, Stage, read_all};

/// A connection whose events can be taken apart.
trait Victim: Asked {
    fn into_shared(event: Self::Event) -> Option<Event>;

    /// With a session open, under small windows, admitting every channel.
    fn with_channel(mode: Mode) -> Hostile<Self>;
}

impl Victim for ServerConnection {
    fn into_shared(event: ServerEvent) -> Option<Event> {
        match event {
            ServerEvent::Shared(event) => Some(event),
            _ => None,
        }
    }

    fn with_channel(mode: Mode) -> Hostile<Self> {
        of(small(mode).server, mode)
    }
}

impl Victim for ClientConnection {
    fn into_shared(event: ClientEvent) -> Option<Event> {
        match event {
            ClientEvent::Shared(event) => Some(event),
            _ => None,
        }
    }

    fn with_channel(mode: Mode) -> Hostile<Self> {
        of(small(mode).client, mode)
    }
}

/// Windows of ten packets of a hundred bytes.
fn small(mode: Mode) -> Pair {
    Pair::builder(mode.without_rekeys())
        .client(|config| config.peer_channels(PeerOpens::ALL))
        .limits(|limits| {
            limits.window_size = 1000;
            limits.max_window_size = 0;
            limits.max_packet_size = 100;
        })
        .build()
}

fn of<E: Victim>(connection: E, mode: Mode) -> Hostile<E> {
    let mut h = Hostile::with_connection(connection, mode.chunking);
    h.advance_to(Stage::Channel);
    h.peer.drain();
    h.events.clear();
    h
}

fn on_channel(name: &[u8], want_reply: bool, rest: &[F<'_>]) -> Vec<u8> {
    let head = [F::U(0), F::S(name), F::B(want_reply.into())];
    message(98, &[&head, rest].concat())
}

fn global(name: &[u8], want_reply: bool, rest: &[F<'_>]) -> Vec<u8> {
    message(80, &[&[F::S(name), F::B(want_reply.into())], rest].concat())
}

/// Sends this; it fails without the application.
fn fails<E: Victim>(h: &mut Hostile<E>, payload: &[u8], failure: u8) {
    h.events.clear();
    h.send_payload(payload);
    assert_eq!(h.ended, None, "{:?}", payload.escape_ascii());
    assert_eq!(h.events.len(), 0, "{:?}", h.events);
    h.peer.expect(failure);
    assert_eq!(h.peer.drain(), []);
}

/// Sends a request on the channel, of which the application is told.
fn request<E: Victim>(h: &mut Hostile<E>, payload: &[u8]) -> IncomingRequest {
    h.send_payload(payload);
    let asks = |event: &E::Event| matches!(E::shared(event), Some(Event::Request(_)));
    match E::into_shared(h.take_event(asks)) {
        Some(Event::Request(token)) => token,
        _ => unreachable!(),
    }
}

/// Sends a global request, of which the application is told.
fn global_request<E: Victim>(h: &mut Hostile<E>, payload: &[u8]) -> IncomingGlobalRequest {
    h.send_payload(payload);
    let asks = |event: &E::Event| matches!(E::shared(event), Some(Event::GlobalRequest(_)));
    match E::into_shared(h.take_event(asks)) {
        Some(Event::GlobalRequest(token)) => token,
        _ => unreachable!(),
    }
}

fn open(sender: u32, window: u32, max_packet: u32) -> Vec<u8> {
    let fields = [
        F::S(b"crab@example.org"),
        F::U(sender),
        F::U(window),
        F::U(max_packet),
    ];
    message(90, &fields)
}

/// H3, H4: the values of an open, from the least to the largest; numbers of the peer's are its own
/// affair, used twice or not.
#[test]
fn h4_values_of_an_open() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = E::with_channel(mode);
        for max_packet in [0, 1, 8] {
            h.send_payload(&open(9, 100, max_packet));
            assert_eq!((h.events.len(), &h.ended), (0, &None));
            let refused = h.peer.expect(number::CHANNEL_OPEN_FAILURE);
            let reason = OpenFailure::CONNECT_FAILED.0;
            assert_eq!(refused.payload[..9], message(92, &[F::U(9), F::U(reason)]));
        }
        let data = [3; 40_000];
        let mut ours = 1;
        for (window, max_packet, sizes) in [
            (0, 9, &[][..]),
            (20, 9, &[9, 9, 2]),
            (u32::MAX, u32::MAX, &[32_768, 7_232]),
        ] {
            // The number of a channel that is open already.
            for sender in [0, u32::MAX, u32::MAX] {
                h.send_payload(&open(sender, window, max_packet));
                let opens = |e: &E::Event| matches!(E::shared(e), Some(Event::ChannelOpen(_)));
                let Some(Event::ChannelOpen(token)) = E::into_shared(h.take_event(opens)) else {
                    unreachable!();
                };
                let id = h.connection.accept_channel(token).unwrap();
                h.exchange();
                let confirmed = h.peer.expect(number::CHANNEL_OPEN_CONFIRMATION);
                let fields = [F::U(sender), F::U(ours), F::U(1000), F::U(100)];
                assert_eq!(confirmed.payload[..], message(91, &fields));
                // What is for one channel is for no other.
                h.send_payload(&message(94, &[F::U(ours), F::S(&[ours as u8])]));
                assert_eq!(read_all(&mut h.connection, id).0, [ours as u8]);
                h.connection.write(id, DataStream::Data, &data).unwrap();
                h.exchange();
                let sent = h.peer.drain();
                let sent: Vec<_> = sent.iter().map(|p| p.payload.len() - 9).collect();
                assert_eq!(sent, sizes);
                ours += 1;
            }
            h.events.clear();
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// H7: lengths that are not those of the data, data up to the window and past it, and data that is
/// none.
#[test]
fn h7_data_that_does_not_fit() {
    fn test<E: Victim>(mode: Mode) {
        for (claimed, data) in [(4, &b"abc"[..]), (2, b"abc"), (0, b"a"), (u32::MAX, b"abc")] {
            let mut h = E::with_channel(mode);
            let fields = [F::U(0), F::U(claimed), F::Raw(data)];
            h.refuses(2, |peer| peer.send_payload(&message(94, &fields)));
            let mut h = E::with_channel(mode);
            let fields = [F::U(0), F::U(1), F::U(claimed), F::Raw(data)];
            h.refuses(2, |peer| peer.send_payload(&message(95, &fields)));
        }
        let packet = message(94, &[F::U(0), F::S(&[0; 100])]);
        for past in [
            message(94, &[F::U(0), F::S(b"x")]),
            message(95, &[F::U(0), F::U(1), F::S(b"x")]),
        ] {
            let mut h = E::with_channel(mode);
            for _ in 0..10 {
                h.send_payload(&packet);
            }
            assert_eq!(h.ended, None);
            h.refuses(2, |peer| peer.send_payload(&past));
            assert_eq!(*h.error(), PeerMisbehaved::WindowExceeded.into());
        }
        let mut h = E::with_channel(mode);
        let long = message(94, &[F::U(0), F::S(&[0; 101])]);
        h.refuses(2, |peer| peer.send_payload(&long));
        let mut h = E::with_channel(mode);
        let count = if mode == Mode::PLAIN { 20_000 } else { 200 };
        for _ in 0..count {
            h.peer.send_payload(&message(94, &[F::U(0), F::S(b"")]));
        }
        h.assert_unmoved();
        assert_eq!((h.events.len(), &h.ended), (0, &None));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// H10: types that nobody reads give no event and cost the peer nothing; behind EOF they are data.
#[test]
fn h10_extended_data_that_nobody_reads() {
    fn test<E: Victim>(mode: Mode, types: &[u32]) {
        let mut h = E::with_channel(mode);
        let mut credit = 0;
        for data_type in types.iter().cycle().take(100) {
            let fields = [F::U(0), F::U(*data_type), F::S(&[0; 100])];
            h.send_payload(&message(95, &fields));
            assert_eq!((h.events.len(), &h.ended), (0, &None));
            for adjust in h.peer.drain() {
                assert_eq!(adjust.number(), number::CHANNEL_WINDOW_ADJUST);
                let bytes = adjust.payload.last_chunk::<4>().expect("a number");
                credit += u32::from_be_bytes(*bytes);
            }
        }
        assert!(credit >= 9_500, "{credit} of 10000");
        for data_type in [0, 1, 2, u32::MAX] {
            let mut h = E::with_channel(mode);
            h.send_payload(&message(96, &[F::U(0)]));
            h.events.clear();
            let late = message(95, &[F::U(0), F::U(data_type), F::S(b"x")]);
            h.refuses(2, |peer| peer.send_payload(&late));
        }
    }
    both(
        |mode| test::<ClientConnection>(mode, &[0, 2, u32::MAX]),
        |mode| test::<ServerConnection>(mode, &[0, 1, 2, u32::MAX]),
    );
}

/// H12: unknown requests are the application's; what it drops fails, in the order asked.
#[test]
fn h12_unknown_requests() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = E::with_channel(mode);
        let first = request(&mut h, &on_channel(b"a@b", true, &[F::Raw(b"\xff")]));
        assert!(matches!(
            first.request(),
            ChannelRequest::Unknown { name, body } if name == "a@b" && body[..] == b"\xff"[..]
        ));
        let second = request(&mut h, &on_channel(b"b@b", true, &[]));
        let mute = request(&mut h, &on_channel(b"c@b", false, &[]));
        assert!(!mute.wants_reply());
        // A name that is too long is none, and waits for its turn.
        h.send_payload(&on_channel(&[b'n'; 65], true, &[]));
        h.send_payload(&on_channel(&[b'n'; 65], false, &[]));
        h.connection.accept_request(mute).unwrap();
        h.connection.accept_request(second).unwrap();
        h.exchange();
        assert_eq!(h.peer.drain(), [], "the first comes first");
        drop(first);
        h.exchange();
        let replies: Vec<u8> = h.peer.drain().iter().map(|p| p.number()).collect();
        assert_eq!(replies, [100, 99, 100]);
        assert_eq!((h.events.len(), &h.ended), (0, &None));
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

fn pty(term: &[u8], size: u32, modes: &[u8]) -> Vec<u8> {
    let size = F::U(size);
    on_channel(
        b"pty-req",
        true,
        &[F::S(term), size, size, size, size, F::S(modes)],
    )
}

#[test]
fn h13_terminals() {
    let mode_of = |opcode: u8| [opcode, 0, 0, 0, 9];
    chunked(|mode| {
        for (modes, count) in [
            (vec![], 0),
            (mode_of(1).repeat(131), 131),
            ([&mode_of(1).repeat(255)[..], &[0]].concat(), 255),
            ([&mode_of(42)[..], &[160, 1]].concat(), 1),
            ([&mode_of(42)[..], &[255]].concat(), 1),
            ([&[0][..], &[7; 60_000]].concat(), 0),
        ] {
            for size in [0, u32::MAX] {
                let mut h = ServerConnection::with_channel(mode);
                let token = request(&mut h, &pty(b"xterm", size, &modes));
                match token.request() {
                    ChannelRequest::Pty(pty) => {
                        let (columns, height) = (pty.columns, pty.height);
                        assert_eq!((pty.modes.len(), columns, height), (count, size, size));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        let mut h = ServerConnection::with_channel(mode);
        for bad in [&mode_of(1)[..4], &[5], &mode_of(1).repeat(256)] {
            fails(&mut h, &pty(b"xterm", 1, bad), number::CHANNEL_FAILURE);
        }
        let long = mode_of(1).repeat(50_000);
        if mode == Mode::PLAIN {
            fails(&mut h, &pty(b"xterm", 1, &long), number::CHANNEL_FAILURE);
        }
        fails(&mut h, &pty(b"x\0", 1, b""), number::CHANNEL_FAILURE);
        let cut = on_channel(b"pty-req", true, &[F::S(b"xterm"), F::U(1)]);
        h.refuses(2, |peer| peer.send_payload(&cut));
    });
}

#[test]
fn h14_environment() {
    let env = |name: &[u8], value: &[u8]| on_channel(b"env", true, &[F::S(name), F::S(value)]);
    chunked(|mode| {
        let mut h = ServerConnection::with_channel(mode);
        for name in [&b""[..], b"A=B", b"A\0"] {
            fails(&mut h, &env(name, b"x"), number::CHANNEL_FAILURE);
        }
        fails(&mut h, &env(b"A", b"x\0"), number::CHANNEL_FAILURE);
        // What may be set is the application's to say.
        let mut h = ServerConnection::with_channel(mode);
        let value = vec![b'x'; if mode == Mode::PLAIN { 250_000 } else { 20_000 }];
        for at in 0..128 {
            let token = match at {
                0 => request(&mut h, &env(b"LD_PRELOAD", &value)),
                _ => request(&mut h, &env(b"A", b"x")),
            };
            h.connection.reject_request(token).unwrap();
            h.exchange();
            h.peer.expect(number::CHANNEL_FAILURE);
        }
        fails(&mut h, &env(b"A", b"x"), number::CHANNEL_FAILURE);
    });
}

#[test]
fn h15_one_program() {
    let programs = [
        on_channel(b"shell", true, &[]),
        on_channel(b"exec", true, &[F::S(b"id")]),
        on_channel(b"subsystem", true, &[F::S(b"sftp")]),
    ];
    chunked(|mode| {
        for first in &programs {
            let mut h = ServerConnection::with_channel(mode);
            let token = request(&mut h, first);
            h.connection.accept_request(token).unwrap();
            h.exchange();
            h.peer.expect(number::CHANNEL_SUCCESS);
            for second in &programs {
                fails(&mut h, second, number::CHANNEL_FAILURE);
            }
            let mut h = ClientConnection::with_channel(mode);
            fails(&mut h, first, number::CHANNEL_FAILURE);
        }
        let mut h = ServerConnection::with_channel(mode);
        for command in [&b"a\0b"[..], b"\0"] {
            let exec = on_channel(b"exec", true, &[F::S(command)]);
            fails(&mut h, &exec, number::CHANNEL_FAILURE);
        }
        // Whatever else only servers are asked for.
        let mut h = ClientConnection::with_channel(mode);
        for request in [
            pty(b"xterm", 1, b""),
            on_channel(b"env", true, &[F::S(b"A"), F::S(b"b")]),
            on_channel(b"auth-agent-req@openssh.com", true, &[]),
            on_channel(b"agent-req", true, &[]),
            on_channel(b"break", true, &[F::U(500)]),
        ] {
            fails(&mut h, &request, number::CHANNEL_FAILURE);
        }
        // And clients.
        let mut h = ServerConnection::with_channel(mode);
        let status = on_channel(b"exit-status", true, &[F::U(0)]);
        fails(&mut h, &status, number::CHANNEL_FAILURE);
    });
}

#[test]
fn h16_exits() {
    let status = |want_reply, code| on_channel(b"exit-status", want_reply, &[F::U(code)]);
    let signal = |name: &[u8], text: &[u8]| {
        let fields = [F::S(name), F::B(1), F::S(text), F::S(b"")];
        on_channel(b"exit-signal", false, &fields)
    };
    let shared = |h: &mut Hostile<ClientConnection>| {
        let event = h.events.pop_front().and_then(ClientConnection::into_shared);
        assert!(h.events.is_empty());
        event
    };
    chunked(|mode| {
        let fresh = || ClientConnection::with_channel(mode);
        for malformed in [
            on_channel(b"exit-status", false, &[]),
            on_channel(b"exit-status", false, &[F::Raw(b"\0\0\0")]),
            on_channel(b"exit-status", false, &[F::U(0), F::B(0)]),
            on_channel(b"exit-signal", false, &[F::S(b"TERM")]),
            [signal(b"TERM", b""), vec![0]].concat(),
        ] {
            fresh().refuses(2, |peer| peer.send_payload(&malformed));
        }
        let mut h = fresh();
        h.send_payload(&status(true, u32::MAX));
        let told = shared(&mut h);
        assert!(matches!(
            told,
            Some(Event::ExitStatus {
                status: u32::MAX,
                ..
            })
        ));
        h.peer.expect(number::CHANNEL_SUCCESS);
        for again in [status(false, 1), signal(b"TERM", b"")] {
            h.send_payload(&again);
        }
        assert_eq!((h.events.len(), h.peer.drain()), (0, vec![]));

        let mut h = fresh();
        for text in [&b"\x1b[2J\xe2\x80\xae"[..], b"two", b"three"] {
            h.send_payload(&signal(b"no\x1bsuch", text));
        }
        match shared(&mut h) {
            Some(Event::ExitSignal { signal, .. }) => {
                assert_eq!(signal.signal, "no\x1bsuch");
                assert!(signal.core_dumped);
                assert_eq!(signal.message[..], b"\x1b[2J\xe2\x80\xae"[..]);
            }
            other => panic!("{other:?}"),
        }
        let mut h = fresh();
        h.send_payload(&message(97, &[F::U(0)]));
        h.events.clear();
        h.refuses(2, |peer| peer.send_payload(&status(false, 0)));
        let misbehaved = Error::from(PeerMisbehaved::BadChannelState);
        assert_eq!(*h.error(), misbehaved);
    });
}

#[test]
fn h17_odd_values() {
    let x11 = |cookie: &[u8]| {
        let fields = [F::B(0), F::S(b"MIT-MAGIC-COOKIE-1"), F::S(cookie), F::U(0)];
        on_channel(b"x11-req", true, &fields)
    };
    chunked(|mode| {
        let mut h = ServerConnection::with_channel(mode);
        for payload in [
            on_channel(b"signal", false, &[F::S(b"NO\xff\x1bSUCH")]),
            on_channel(
                b"window-change",
                false,
                &[F::U(0), F::U(0), F::U(0), F::U(0)],
            ),
            on_channel(b"break", false, &[F::U(u32::MAX)]),
            on_channel(b"eow@openssh.com", false, &[]),
        ] {
            let token = request(&mut h, &payload);
            assert!(!token.wants_reply());
            if let ChannelRequest::Signal(name) = token.request() {
                assert_eq!(name[..], b"NO\xff\x1bSUCH"[..]);
            }
            drop(token);
            h.exchange();
            assert_eq!(h.peer.drain(), []);
        }
        let token = request(&mut h, &on_channel(b"break", true, &[F::U(0)]));
        h.connection.accept_request(token).unwrap();
        h.exchange();
        h.peer.expect(number::CHANNEL_SUCCESS);
        for cookie in [&b""[..], b"0", b"0g", b"00 0", b"00\0", b"`id`00"] {
            fails(&mut h, &x11(cookie), number::CHANNEL_FAILURE);
        }
        let token = request(&mut h, &x11(b"00fF"));
        assert!(!format!("{:?}", token.request()).contains("fF"));
        drop(token);
        h.exchange();
        h.peer.expect(number::CHANNEL_FAILURE);

        let mut h = ClientConnection::with_channel(mode);
        let token = request(&mut h, &on_channel(b"xon-xoff", false, &[F::B(7)]));
        assert_eq!(token.request(), &ChannelRequest::XonXoff(true));
        drop(token);
        h.exchange();
        assert_eq!((h.peer.drain(), &h.ended), (vec![], &None));
    });
}

/// I1: unknown global requests, pipelined, with replies wanted and not.
#[test]
fn i1_a_pipeline_of_unknown_requests() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = E::with_channel(mode);
        let rounds = if mode == Mode::PLAIN { 100 } else { 3 };
        for _ in 0..rounds {
            for at in 0..100 {
                h.peer
                    .send_payload(&global(b"x@y", at % 2 == 0, &[F::Raw(b"\xff\xff")]));
            }
            h.exchange();
            assert_eq!(h.events.len(), 100);
            h.events.clear();
            h.exchange();
            let replies = h.peer.drain();
            assert_eq!(replies.len(), 50);
            assert!(
                replies
                    .iter()
                    .all(|p| p.payload[..] == [number::REQUEST_FAILURE])
            );
        }
        assert_eq!(h.ended, None);
        fails(
            &mut h,
            &global(&[b'n'; 65], true, &[]),
            number::REQUEST_FAILURE,
        );
        fails(&mut h, &global(b"", true, &[]), number::REQUEST_FAILURE);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// I3: ports and addresses that are none fail by themselves. What is bound already, and what is
/// not, is known to whoever binds: see `ssh-io-std/tests/forward.rs`.
#[test]
fn i3_ports_and_addresses() {
    chunked(|mode| {
        let mut h = ServerConnection::with_channel(mode);
        for name in [&b"tcpip-forward"[..], b"cancel-tcpip-forward"] {
            for port in [65_536, 65_558, u32::MAX] {
                let asked = global(name, true, &[F::S(b""), F::U(port)]);
                fails(&mut h, &asked, number::REQUEST_FAILURE);
            }
            let asked = global(name, true, &[F::S(b"localhost\0"), F::U(22)]);
            fails(&mut h, &asked, number::REQUEST_FAILURE);
            for address in [&b""[..], b"*", b"localhost", b"\xff;id"] {
                for port in [0, 65_535] {
                    // Twice the same is asked twice.
                    for _ in 0..2 {
                        let asked = global(name, true, &[F::S(address), F::U(port)]);
                        let token = global_request(&mut h, &asked);
                        match token.request() {
                            GlobalRequest::TcpipForward {
                                address: a,
                                port: p,
                            }
                            | GlobalRequest::CancelTcpipForward {
                                address: a,
                                port: p,
                            } => {
                                assert_eq!((&a[..], *p), (address, port));
                            }
                            other => panic!("{other:?}"),
                        }
                        drop(token);
                        h.exchange();
                        h.peer.expect(number::REQUEST_FAILURE);
                    }
                }
            }
        }
        for name in [
            &b"streamlocal-forward@openssh.com"[..],
            b"cancel-streamlocal-forward@openssh.com",
        ] {
            let asked = global(name, true, &[F::S(b"/a\0b")]);
            fails(&mut h, &asked, number::REQUEST_FAILURE);
        }
        let cut = global(b"tcpip-forward", true, &[F::S(b"")]);
        h.refuses(2, |peer| peer.send_payload(&cut));
    });
}
