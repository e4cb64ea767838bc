//! Operations on a client and a server, and on the link between them.

use arbitrary::{Arbitrary, Unstructured};
use ssh_proto::Connection;

use crate::app::{Watch, limits};
use crate::endpoint::{Endpoint, Policy};
use crate::link::{Pair, client, operate, server};

/// Operations of one input, at most.
const OPERATIONS: usize = 512;

/// A list of operations on a pair of connections.
pub fn pair_ops(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(flags) = u8::arbitrary(&mut u) else {
        return;
    };
    let mut limits = limits();
    limits.peer_rekeys = u32::MAX;
    if flags & 4 != 0 {
        limits.rekey_packets = 5;
    }
    let mut pair = Pair::new(
        client(&limits),
        server(&limits, flags & 1 != 0, flags & 8 != 0),
    );
    pair.client.policy = Policy(flags & 0xf0);
    pair.client.checks_data = true;
    pair.server.checks_data = true;
    if flags & 2 != 0 {
        pair.settle();
        // The ways from 10 on change a password, which no one asked for.
        let logged_in = pair.client.authenticated && pair.server.authenticated;
        assert!(logged_in || flags >= 0xa0);
    }
    for _ in 0..OPERATIONS {
        if u.is_empty() || step(&mut pair, &mut u).is_err() {
            break;
        }
    }
    come_to_rest(&mut pair);
    check_rest(&pair);
    pair.client.finish();
    pair.server.finish();
}

fn step(pair: &mut Pair, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let choice = u8::arbitrary(u)?;
    match choice & 15 {
        0..=4 => operate(&mut pair.client, u)?,
        5..=9 => operate(&mut pair.server, u)?,
        10 => {
            pair.client.poll();
            pair.client.transmit(&mut pair.to_server);
        }
        11 => {
            pair.server.poll();
            pair.server.transmit(&mut pair.to_client);
        }
        12 => {
            pair.deliver_to_server(u16::arbitrary(u)?.into());
        }
        13 => {
            pair.deliver_to_client(u16::arbitrary(u)?.into());
        }
        // Ordinary time passes; no deadline of a healthy connection is met.
        14 if choice & 16 == 0 => {
            pair.client.now = pair.client.now + std::time::Duration::from_millis(10);
            pair.server.now = pair.client.now;
            pair.client.conn.handle_timeout(pair.client.now);
            pair.server.conn.handle_timeout(pair.server.now);
        }
        14 if choice == 0xfe => {
            pair.client.wait();
            pair.server.now = pair.client.now;
            pair.server.conn.handle_timeout(pair.server.now);
        }
        _ => pair.settle(),
    }
    Ok(())
}

/// Every question is answered, everything is read, until nothing moves.
fn come_to_rest(pair: &mut Pair) {
    pair.client.policy = Policy::default();
    pair.server.policy = Policy::default();
    loop {
        let before = progress(pair);
        pair.client.settle();
        pair.server.settle();
        pair.client.read_all();
        pair.server.read_all();
        pair.settle();
        if progress(pair) == before {
            return;
        }
    }
}

fn progress(pair: &Pair) -> (usize, usize, u64) {
    let read = |known: u64, channel: &crate::app::Known| known + channel.read;
    (
        pair.client.told,
        pair.server.told,
        pair.client.channels.values().fold(0, read) + pair.server.channels.values().fold(0, read),
    )
}

/// Nothing is left undone between two connections that live.
fn check_rest(pair: &Pair) {
    let (client, server) = (&pair.client, &pair.server);
    assert_eq!(client.ended.is_some(), server.ended.is_some());
    if client.ended.is_some() {
        return;
    }
    assert!(client.conn.wants_read(), "a deaf client: {:?}", client.log);
    assert!(server.conn.wants_read(), "a deaf server: {:?}", server.log);
    assert!(client.authenticated && server.authenticated, "no login");
    let owed = [client.global_replies, server.global_replies, client.proofs];
    assert_eq!(owed, [0; 3], "a request without an answer");
    for known in client.channels.values().chain(server.channels.values()) {
        assert!(known.open || known.closed, "an open without an answer");
        assert!(!known.closing || known.closed, "a close without an answer");
        assert!(
            known.awaited == 0 || known.closed,
            "a request without an answer"
        );
    }
    // Everything that was written is read, where no channel was closed meanwhile.
    if all_live(client) && all_live(server) {
        let sums = |channel: fn(&crate::app::Known) -> u64| {
            let sum = |watch: &Watch<_>| watch.channels.values().map(channel).sum::<u64>();
            (
                sum(client),
                server.channels.values().map(channel).sum::<u64>(),
            )
        };
        let (client_wrote, server_wrote) = sums(|known| known.written);
        let (client_read, server_read) = sums(|known| known.read);
        assert_eq!(
            client_wrote, server_read,
            "data is stuck on its way to the server"
        );
        assert_eq!(
            server_wrote, client_read,
            "data is stuck on its way to the client"
        );
        let (client_ends, server_ends) = sums(|known| known.finished.into());
        let (client_eofs, server_eofs) = sums(|known| known.eof.into());
        assert_eq!((client_ends, server_ends), (server_eofs, client_eofs));
    }
}

fn all_live<C: Endpoint>(watch: &Watch<C>) -> bool {
    watch.channels.values().all(|known| !known.closed)
}
