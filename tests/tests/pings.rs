//! `ping@openssh.com` (OpenSSH PROTOCOL section 1.8), item I7 of the notes: who answers what, and when.

use ssh_proto::limits::MAX_REQUEST_TEXT;
use ssh_proto::wire::extension::{Ping, Pong};
use ssh_proto::wire::number;
use ssh_proto::{ChannelError, ClientConnection, ClientEvent, Connection, Event, ServerConnection};
use ssh_tests::attack::{chunked, prepared, rekeying};
use ssh_tests::raw::payload_of;
use ssh_tests::{Connected, Hostile, Pair, Stage, for_each_mode, take};

fn ping(data: &[u8]) -> Vec<u8> {
    payload_of(&Ping { data })
}

fn pong(data: &[u8]) -> Vec<u8> {
    payload_of(&Pong { data })
}

/// I7: answered once authenticated, in order, whatever their size up to what a packet of ours holds.
#[test]
fn i7_pings_of_every_size() {
    chunked(|mode| {
        let mut h = Hostile::<ServerConnection>::at(Stage::Authenticated, mode);
        for size in [0, 1, 5, 1_000, MAX_REQUEST_TEXT] {
            let data: Vec<u8> = (0..size).map(|i| i as u8).collect();
            h.send_payload(&ping(&data));
            assert_eq!(h.peer.expect(number::PONG).payload[..], pong(&data));
        }
        // Longer ones go unanswered, as OpenSSH leaves those that cannot be answered.
        for size in [MAX_REQUEST_TEXT + 1, 100_000] {
            h.ignores(|peer| peer.send_payload(&ping(&vec![7; size])));
        }
        for i in 0..100_u8 {
            h.peer.send_payload(&ping(&[i]));
        }
        h.exchange();
        let answers: Vec<_> = h.peer.drain().into_iter().map(|p| p.payload).collect();
        assert_eq!(answers, (0..100).map(|i| pong(&[i])).collect::<Vec<_>>());
        // Malformed: a string that is not there.
        h.refuses(2, |peer| peer.send_payload(&[number::PING, 0, 0, 0, 9]));
    });
}

/// I7: a flood that is not read back does not grow: the server stops reading.
#[test]
fn i7_a_flood_is_bounded() {
    chunked(|mode| {
        let mut h = Hostile::<ServerConnection>::at(Stage::Authenticated, mode);
        let mut fed = 0;
        while h.connection.wants_read() {
            let packet = h.peer.seal(&ping(&[7; 10_000]));
            fed += packet.len();
            h.connection.handle_input(h.now, packet[..].into());
            while h.connection.poll_event().is_some() {}
            assert!(fed < 2 << 20, "it reads on and on");
        }
        h.exchange();
        let pongs = h.peer.drain().len();
        assert!(pongs * 10_000 <= fed && pongs > 10);
        assert!(h.connection.wants_read(), "read back, it goes on");
    });
}

/// I7: before authentication, and while keys are exchanged anew, pings are dropped without a word;
/// within a strict first exchange they end the connection.
#[test]
fn i7_pings_out_of_place() {
    chunked(|mode| {
        for stage in [Stage::NewKeys, Stage::Service] {
            let mut h = prepared::<ServerConnection>(stage, mode, true);
            h.ignores(|peer| peer.send_payload(&ping(b"early")));
        }
        // Between our `KEXINIT` and theirs.
        let mut h = prepared::<ServerConnection>(Stage::Authenticated, mode, true);
        h.connection.rekey().unwrap();
        h.exchange();
        h.peer.expect(number::KEXINIT);
        h.ignores(|peer| peer.send_payload(&ping(b"rekey")));

        for strict in [false, true] {
            let mut h = prepared::<ServerConnection>(Stage::KexInit, mode, strict);
            match strict {
                true => h.refuses(2, |peer| peer.send_payload(&ping(b"kex"))),
                false => h.ignores(|peer| peer.send_payload(&ping(b"kex"))),
            }
            // In a later exchange, nobody may send one.
            let mut h = rekeying::<ServerConnection>(mode, strict);
            h.refuses(2, |peer| peer.send_payload(&ping(b"kex")));
        }
    });
}

/// I7: only servers announce that they answer, so clients know no `PING` and servers no `PONG`; a
/// `PONG` that nobody asked for is told and does no harm.
#[test]
fn i7_only_servers_answer() {
    chunked(|mode| {
        let mut h = Hostile::<ClientConnection>::at(Stage::Authenticated, mode);
        h.does_not_know(&ping(b"?"));
        let events = h.events.len();
        h.send_payload(&pong(b"unasked"));
        assert_eq!(h.events.len(), events + 1);
        let data = take!(h.events, ClientEvent::Shared(Event::Pong(data)) => data);
        assert_eq!(&data[..], b"unasked");
        // This server has not announced anything.
        let asked = h.connection.ping(b"?");
        assert_eq!(asked, Err(ChannelError::WrongRole));
        let mut h = Hostile::<ServerConnection>::at(Stage::Authenticated, mode);
        h.does_not_know(&pong(b"unasked"));
    });
}

/// I7: what a client may send, and when.
#[test]
fn i7_pings_of_a_client() {
    for_each_mode(|mode| {
        let mut early = Pair::new(mode);
        assert_eq!(early.client.ping(b"?"), Err(ChannelError::WrongRole));
        let mut c = Connected::new(mode.without_rekeys());
        let long = vec![7; MAX_REQUEST_TEXT + 1];
        assert_eq!(c.pair.client.ping(&long), Err(ChannelError::TooLong));
        for data in [&b""[..], b"x", &long[1..]] {
            c.pair.client.ping(data).unwrap();
            c.run();
            let answer = take!(c.client.events, ClientEvent::Shared(Event::Pong(data)) => data);
            assert_eq!(&answer[..], data);
        }
        let mut sent = 0;
        while c.pair.client.ping(&long[1..]).is_ok() {
            sent += 1;
            assert!(sent < 100, "queued without end");
        }
        c.run();
        assert_eq!(c.client.count("Pong"), sent);
    });
}
