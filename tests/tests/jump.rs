//! Section 8, item 19 (ssh2-rs#167): a whole session inside a channel of another, three deep, as a jump host carries it.

use bytes::BytesMut;
use ssh_proto::{
    ChannelId, ChannelKind, ClientEvent, Connection, DataStream, Disconnected, Event, ServerEvent,
};
use ssh_tests::{App, Chunking, ClientApp, Endpoint, Job, Mode, Pair, ServerApp, for_each_mode};

/// One connection; what carries it is a channel of the one before.
struct Hop {
    pair: Pair,
    client: ClientApp,
    server: ServerApp,
    /// The channel that carries the next one, at the client and at the server.
    tunnel: (Option<ChannelId>, Option<ChannelId>),
    to_server: BytesMut,
    to_client: BytesMut,
}

impl Hop {
    fn new(mode: Mode, jobs: Vec<Job>, seed: u64) -> Self {
        Self {
            pair: Pair::new(Mode { seed, ..mode }),
            client: ClientApp::new(jobs),
            server: ServerApp::new(),
            tunnel: (None, None),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
        }
    }

    /// Lets both applications handle what there is, and takes what is to be sent.
    fn turn(&mut self) -> bool {
        let (now, mut progress) = (self.pair.now, false);
        while let Some(event) = self.pair.client.poll_event() {
            progress = true;
            match event {
                ClientEvent::Shared(Event::ChannelOpened(id)) if Some(id) == self.tunnel.0 => {}
                event => self.client.on_event(&mut self.pair.client, event, now),
            }
        }
        while let Some(event) = self.pair.server.poll_event() {
            progress = true;
            match event {
                ServerEvent::Shared(Event::ChannelOpen(open))
                    if matches!(open.kind(), ChannelKind::DirectTcpip { .. }) =>
                {
                    self.tunnel.1 = Some(self.pair.server.accept_channel(open).expect("own token"));
                }
                event => self.server.on_event(&mut self.pair.server, event, now),
            }
        }
        progress |= take_output(&mut self.pair.client, now, &mut self.to_server);
        progress |= take_output(&mut self.pair.server, now, &mut self.to_client);
        progress
    }
}

fn take_output<E: Endpoint>(end: &mut E, now: ssh_proto::Instant, out: &mut BytesMut) -> bool {
    let before = out.len();
    while out.len() < 64 << 10 && end.poll_transmit(now, out).is_some() {}
    out.len() > before
}

fn feed<E: Endpoint>(end: &mut E, now: ssh_proto::Instant, mut bytes: BytesMut, mode: Mode) {
    let step = match mode.chunking {
        Chunking::ByteAtATime => 1,
        Chunking::Random(_) => 7,
        Chunking::Whole => usize::MAX,
    };
    while !bytes.is_empty() {
        let piece = bytes.split_to(step.min(bytes.len()));
        end.handle_input(now, piece);
    }
}

/// Moves bytes into a channel as far as it takes them, and out of it as far as there are any.
fn through<A: Endpoint, B: Endpoint>(
    from: &mut A,
    channel: ChannelId,
    out: &mut BytesMut,
    inner: &mut B,
    now: ssh_proto::Instant,
    mode: Mode,
) -> bool {
    let mut progress = false;
    if !out.is_empty() {
        let taken = from.write(channel, DataStream::Data, out).unwrap_or(0);
        let _ = out.split_to(taken);
        progress |= taken > 0;
    }
    while inner.wants_read() {
        let Ok(Some(chunk)) = from.read(channel) else {
            break;
        };
        feed(inner, now, BytesMut::from(&chunk.bytes[..]), mode);
        progress = true;
    }
    progress
}

fn run(hops: &mut [Hop], mode: Mode) {
    for turn in 0.. {
        assert!(turn < 2_000_000, "no end");
        let mut progress = false;
        for at in 0..hops.len() {
            progress |= hops[at].turn();
            let (outer, inner) = hops.split_at_mut(at);
            let Some(hop) = inner.first_mut() else { break };
            let now = hop.pair.now;
            match outer.last_mut() {
                None => {
                    let (up, down) = (hop.to_server.split(), hop.to_client.split());
                    progress |= !up.is_empty() || !down.is_empty();
                    feed(&mut hop.pair.server, now, up, mode);
                    feed(&mut hop.pair.client, now, down, mode);
                }
                Some(outer) => {
                    if let (Some(near), Some(far)) = outer.tunnel {
                        let (pair, below) = (&mut hop.pair, &mut outer.pair);
                        let (client, server) = (&mut below.client, &mut below.server);
                        progress |= through(
                            client,
                            near,
                            &mut hop.to_server,
                            &mut pair.client,
                            now,
                            mode,
                        );
                        progress |=
                            through(server, far, &mut hop.to_client, &mut pair.server, now, mode);
                    }
                }
            }
        }
        if !progress {
            return;
        }
    }
}

/// Opens the channel of a connection that carries the next one.
fn open_tunnel(hop: &mut Hop) {
    let kind = ChannelKind::DirectTcpip {
        host: "next".into(),
        port: 22,
        originator_address: "127.0.0.1".into(),
        originator_port: 1,
    };
    hop.tunnel.0 = Some(hop.pair.client.open_channel(&kind).expect("room"));
}

#[test]
fn s8_19_a_session_three_deep() {
    for_each_mode(|mode| {
        let input = vec![0x19; mode.bulk(300_000).min(100_000)];
        let mut hops = vec![Hop::new(mode, vec![], 1)];
        for seed in 2..=3 {
            run(&mut hops, mode);
            let carrier = hops.last_mut().expect("one");
            assert!(carrier.pair.client.authenticated().is_some());
            open_tunnel(carrier);
            let jobs = match seed {
                3 => vec![Job::with_input("echo", input.clone()), Job::new("exit 7")],
                _ => vec![],
            };
            hops.push(Hop::new(mode, jobs, seed));
        }
        run(&mut hops, mode);
        let innermost = &hops[2];
        assert_eq!(innermost.client.results[0].stdout, input);
        assert_eq!(innermost.client.results[1].status, Some(7));
        if mode.rekeys() {
            assert!(hops.iter().all(|hop| hop.client.exchanges.len() > 1));
        }

        // The end of a carrier is the end of the transport for what it carries.
        let (near, far) = (
            hops[1].tunnel.0.expect("open"),
            hops[1].tunnel.1.expect("open"),
        );
        hops[1].pair.client.close_channel(near).expect("open");
        run(&mut hops, mode);
        assert!(matches!(hops[1].pair.server.read(far), Ok(None) | Err(_)));
        let pair = &mut hops[2].pair;
        assert_eq!(
            end_of_input(&mut pair.client, pair.now),
            Some(Disconnected::Eof)
        );
        assert_eq!(
            end_of_input(&mut pair.server, pair.now),
            Some(Disconnected::Eof)
        );
    });
}

fn end_of_input<E: Endpoint>(end: &mut E, now: ssh_proto::Instant) -> Option<Disconnected> {
    end.handle_eof(now);
    let events = std::iter::from_fn(|| end.next_event());
    events
        .into_iter()
        .find_map(|event| E::terminal(&event).cloned())
}
