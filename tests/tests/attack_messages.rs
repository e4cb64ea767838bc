//! Attacks on the messages in packets: cut, stretched, too long, out of grammar (RFC 4251 section 5, RFC 4253 section 11), group B of the notes.

use ssh_proto::wire::connection::{
    ChannelOpen, ChannelOpenKind, ChannelRequest, ChannelRequestKind,
};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::Unimplemented;
use ssh_proto::{
    ClientConnection, Connection, DataStream, Disconnected, Error, Event, ServerConnection,
    ServerEvent,
};
use ssh_tests::attack::{Asked, F, both, chunked, message};
use ssh_tests::hostile::Victim;
use ssh_tests::raw::payload_of;
use ssh_tests::{Hostile, Mode, RawPeer, Stage};

#[test]
fn b13_disconnect_in_any_shape_ends_it() {
    fn test<E: Asked>(mode: Mode) {
        let long = vec![b'x'; 30_000];
        let whole = message(1, &[F::U(11), F::S(b"bye"), F::S(b"en")]);
        let mut shapes: Vec<Vec<u8>> = (1..=whole.len()).map(|end| whole[..end].to_vec()).collect();
        shapes.push(message(1, &[F::U(u32::MAX), F::S(&long), F::S(b"")]));
        shapes.push(message(1, &[F::U(11), F::S(b""), F::S(&long)]));
        shapes.push(message(
            1,
            &[
                F::U(2),
                F::S(b"\x1b[2J\x07\xff"),
                F::S(b"\x1b"),
                F::Raw(b"more"),
            ],
        ));
        shapes.push(message(1, &[F::U(2), F::U(u32::MAX)]));
        for shape in shapes {
            let stages = [
                Stage::Identified,
                Stage::KexInit,
                Stage::BeforeNewKeys,
                Stage::Authenticated,
            ];
            let mut all: Vec<Hostile<E>> = stages.map(|stage| Hostile::at(stage, mode)).into();
            all.push(E::asked(mode));
            for mut h in all {
                h.peer.drain();
                h.closes(|peer| {
                    peer.send_payload(&shape);
                    peer.send_payload(&[0]);
                    peer.push_bytes(b"and bytes after the end");
                });
                assert_eq!(h.peer.drain(), [], "nothing is sent back");
                let Some(Disconnected::ByPeer {
                    reason,
                    description,
                    language,
                }) = &h.ended
                else {
                    panic!("{:?}", h.ended);
                };
                let said = shape
                    .get(1..5)
                    .map_or(0, |r| u32::from_be_bytes(r.try_into().unwrap()));
                assert_eq!(reason.0, said);
                for text in [description, language] {
                    assert!(text.as_bytes().len() <= 1024);
                    assert!(!text.to_string().contains(['\x1b', '\x07']));
                }
                if shape == whole {
                    assert_eq!(description.as_bytes(), b"bye");
                    assert_eq!(language.as_bytes(), b"en");
                }
            }
        }
    }
    // One byte at a time adds little and costs much here.
    test::<ClientConnection>(Mode::PLAIN);
    test::<ServerConnection>(Mode::PLAIN);
}

#[test]
fn b13_the_longest_disconnect() {
    fn test<E: Victim>(mode: Mode) {
        let text = vec![b'x'; 262_000];
        let mut h = Hostile::<E>::at(Stage::Authenticated, mode);
        h.closes(|peer| {
            peer.send_payload(&message(1, &[F::U(0xffff_ffff), F::S(&text), F::S(b"")]))
        });
        let Some(Disconnected::ByPeer {
            reason,
            description,
            language,
        }) = &h.ended
        else {
            panic!("{:?}", h.ended);
        };
        assert_eq!(reason.0, u32::MAX);
        assert_eq!(description.as_bytes(), &text[..1024]);
        assert_eq!(language.as_bytes(), b"");
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// B14, U8: each message at its place, cut at each byte, and with one byte more.
#[test]
fn b14_cut_and_stretched_messages() {
    fn check<E: Victim>(at: impl Fn() -> Hostile<E>, payload: &[u8]) {
        let malformed = |h: &mut Hostile<E>, payload: &[u8]| {
            h.refuses(2, |peer| peer.send_payload(payload));
            let number = payload[0];
            assert!(
                matches!(h.error(), Error::InvalidMessage { number: n, .. } if *n == number),
                "{payload:?}: {:?}",
                h.error()
            );
        };
        // A long message is cut at its ends and here and there.
        let step = 1 + payload.len() / 60;
        for end in (1..payload.len()).step_by(step) {
            malformed(&mut at(), &payload[..end]);
        }
        malformed(&mut at(), &[payload, &[0]].concat());
    }
    fn transport<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::Identified, mode);
        let kexinit = h.peer.make_kexinit();
        check(|| Hostile::<E>::at(Stage::Identified, mode), &kexinit);
        check(
            || Hostile::<E>::at(Stage::BeforeNewKeys, mode),
            &[number::NEWKEYS],
        );
        let authenticated = || Hostile::<E>::at(Stage::Authenticated, mode);
        check(authenticated, &payload_of(&Unimplemented { sequence: 1 }));
        check(authenticated, &kexinit);
        let open = ChannelOpen {
            kind: ChannelOpenKind::Session(()),
            sender: 0,
            window_size: 1,
            max_packet_size: 100,
        };
        check(authenticated, &payload_of(&open));
        let channel = || Hostile::<E>::at(Stage::Channel, mode);
        for frame in [
            message(number::CHANNEL_WINDOW_ADJUST, &[F::U(0), F::U(1)]),
            message(number::CHANNEL_DATA, &[F::U(0), F::S(b"abc")]),
            message(
                number::CHANNEL_EXTENDED_DATA,
                &[F::U(0), F::U(1), F::S(b"abc")],
            ),
            message(number::CHANNEL_EOF, &[F::U(0)]),
            message(number::CHANNEL_CLOSE, &[F::U(0)]),
            message(
                number::CHANNEL_OPEN_FAILURE,
                &[F::U(0), F::U(1), F::S(b"a"), F::S(b"")],
            ),
        ] {
            check(channel, &frame);
        }
    }
    chunked(|mode| {
        transport::<ClientConnection>(mode);
        transport::<ServerConnection>(mode);

        // To a server.
        let server = |stage| move || Hostile::<ServerConnection>::at(stage, mode);
        let mut h = server(Stage::KexInit)();
        check(server(Stage::KexInit), &h.peer.make_kex_init());
        check(
            server(Stage::NewKeys),
            &message(5, &[F::S(b"ssh-userauth")]),
        );
        check(
            server(Stage::NewKeys),
            &message(7, &[F::U(1), F::S(b"name"), F::S(b"value")]),
        );
        for method in [
            message(
                50,
                &[F::S(b"ferris"), F::S(b"ssh-connection"), F::S(b"none")],
            ),
            message(
                50,
                &[
                    F::S(b"ferris"),
                    F::S(b"ssh-connection"),
                    F::S(b"password"),
                    F::B(0),
                    F::S(b"x"),
                ],
            ),
            message(
                50,
                &[
                    F::S(b"ferris"),
                    F::S(b"ssh-connection"),
                    F::S(b"publickey"),
                    F::B(1),
                    F::S(b"a"),
                    F::S(b"k"),
                    F::S(b"s"),
                ],
            ),
        ] {
            check(server(Stage::Service), &method);
        }
        let exec = ChannelRequest {
            recipient: 0,
            kind: ChannelRequestKind::Exec(b"ls"),
            want_reply: true,
        };
        check(server(Stage::Channel), &payload_of(&exec));

        // To a client.
        let client = |stage| move || Hostile::<ClientConnection>::at(stage, mode);
        let mut h = client(Stage::KexInit)();
        let init = h.peer.expect(number::KEX_ECDH_INIT);
        let reply = h.peer.make_reply(&init);
        let reply = message(
            31,
            &[
                F::S(&reply.host_key),
                F::S(&reply.public),
                F::S(&reply.signature),
            ],
        );
        check(client(Stage::KexInit), &reply);
        check(
            client(Stage::NewKeys),
            &message(6, &[F::S(b"ssh-userauth")]),
        );
        let asked = || ClientConnection::asked(mode);
        check(asked, &message(51, &[F::S(b"password"), F::B(0)]));
        check(asked, &message(53, &[F::S(b"hello"), F::S(b"")]));
        check(asked, &message(60, &[F::S(b"new password"), F::S(b"")]));
        let mut h = asked();
        h.refuses(2, |peer| peer.send_payload(&[52, 0]));
    });
}

#[test]
fn b14_a_string_length_beyond_the_message() {
    chunked(|mode| {
        for length in [2, 0x7fff_ffff, u32::MAX - 3, u32::MAX] {
            let mut h = Hostile::<ServerConnection>::at(Stage::Channel, mode);
            h.refuses(2, |peer| {
                peer.send_payload(&message(94, &[F::U(0), F::U(length), F::B(b'x')]));
            });
            let mut h = Hostile::<ServerConnection>::at(Stage::Service, mode);
            h.refuses(2, |peer| {
                peer.send_payload(&message(50, &[F::U(length), F::B(b'x')]));
            });
        }
    });
}

#[test]
fn b15_any_boolean_but_zero_is_true() {
    chunked(|mode| {
        for truth in [1, 2, 0x80, 255] {
            let mut h = Hostile::<ServerConnection>::at(Stage::Channel, mode);
            h.events.clear();
            let request = &[F::U(0), F::S(b"exec"), F::B(truth), F::S(b"ls")];
            h.send_payload(&message(98, request));
            match h.events.pop_front() {
                Some(ServerEvent::Shared(Event::Request(request))) => {
                    h.connection.reject_request(request).expect("own token");
                }
                other => panic!("{other:?}"),
            }
            h.exchange();
            h.peer.expect(number::CHANNEL_FAILURE);
        }
    });
}

#[test]
fn b15_name_lists_that_break_the_grammar() {
    fn test<E: Victim>(mode: Mode) {
        let long = vec![b'a'; 65];
        for (bad, list) in [
            (true, &b"curve25519-sha256\0"[..]),
            (true, b"curve25519-sha256,\xc3\xa9"),
            (true, b"curve25519-sha256,a b\x7f"),
            (true, &[b"curve25519-sha256,".as_slice(), &long].concat()),
            (true, b",curve25519-sha256"),
            (true, b"x,,curve25519-sha256"),
            (true, b"curve25519-sha256,,"),
            (true, b","),
            // Seen in the wild (russh #743).
            (false, b"curve25519-sha256,"),
            (
                false,
                &[b"curve25519-sha256,".as_slice(), &long[..64]].concat(),
            ),
        ] {
            let mut h = Hostile::<E>::at(Stage::Identified, mode);
            h.peer.drain();
            let kexinit = with_kex_list(&mut h.peer, list);
            match bad {
                true => h.refuses(2, |peer| peer.send_payload(&kexinit)),
                false => {
                    h.send_payload(&kexinit);
                    assert_eq!(h.ended, None, "{:?}", list.escape_ascii());
                }
            }
        }
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// Our `KEXINIT` with these bytes as its list of methods.
fn with_kex_list(peer: &mut RawPeer, list: &[u8]) -> Vec<u8> {
    let kexinit = peer.make_kexinit();
    let old = u32::from_be_bytes(kexinit[17..21].try_into().unwrap()) as usize;
    let (head, tail) = (&kexinit[..17], &kexinit[21 + old..]);
    [head, &(list.len() as u32).to_be_bytes(), list, tail].concat()
}

/// B18: the peer checks the length and padding of every packet as it reads it.
#[test]
fn b18_writes_of_any_size() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::Channel, mode);
        let channel = h.channel.expect("open");
        let big = vec![7; 3 << 20];
        assert_eq!(
            h.connection
                .write(channel, DataStream::Data, b"")
                .expect("open"),
            0
        );
        assert_eq!(
            h.connection
                .write(channel, DataStream::Data, b"1")
                .expect("open"),
            1
        );
        let mut accepted = 1;
        for _ in 0..40 {
            accepted += h
                .connection
                .write(channel, DataStream::Data, &big)
                .expect("open");
            h.exchange();
        }
        let mut received = 0;
        for packet in h.peer.drain() {
            assert_eq!(packet.number(), number::CHANNEL_DATA);
            let data: ssh_proto::wire::connection::ChannelData<'_> = packet.decode();
            assert!(!data.data.is_empty() && data.data.len() <= 32 << 10);
            assert!(packet.padding >= 4);
            received += data.data.len();
        }
        assert_eq!(received, 1 << 20, "the window and no more");
        assert!(
            accepted >= received && accepted <= received + (256 << 10),
            "U4: {accepted}"
        );
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}

/// U3: once the peer has broken the protocol, nothing that was queued follows, just DISCONNECT.
#[test]
fn u3_an_error_lets_nothing_else_out() {
    fn test<E: Victim>(mode: Mode) {
        let mut h = Hostile::<E>::at(Stage::Channel, mode);
        h.peer.drain();
        let channel = h.channel.expect("open");
        let written = h.connection.write(channel, DataStream::Data, &[7; 100_000]);
        assert_eq!(written.expect("room"), 100_000);
        h.peer.send_payload(&[0]);
        h.exchange();
        let packet = h.peer.expect(number::DISCONNECT);
        assert_eq!(h.peer.drain(), []);
        assert_eq!(packet.payload[4], 2);
    }
    both(test::<ClientConnection>, test::<ServerConnection>);
}
