//! Two connections without security, the bytes between them, and operations on either.

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelId, ChannelKind, ChannelRequest, ClientConfig, ClientConnection, DataStream, ExitSignal,
    GlobalRequest, HostKey, Instant, Limits, PeerOpens, Pty, Role, ServerConfig, ServerConnection,
    X11Cookie,
};

use crate::app::{STEPS, Watch};
use crate::endpoint::{Endpoint, METHODS, Made, Policy};
use crate::provider::{FixedRandom, NullKey, SIGNATURES, provider, public_key};

/// A client without security.
pub(crate) fn client(limits: &Limits) -> Watch<ClientConnection> {
    let config = ClientConfig::builder(provider())
        .limits(limits.clone())
        .peer_channels(PeerOpens::ALL)
        .report_ignore(true)
        .dangerously_accept_forged_packets(true)
        .build()
        .expect("a config");
    let conn = ClientConnection::new(&config, "alice", Box::new(FixedRandom(1)), Instant::EPOCH);
    Watch::new(conn.expect("a connection"), limits.clone())
}

/// A server without security. Its first host key is held elsewhere where `remote` says so; it asks
/// before it computes anything for a client where `asks` does.
pub(crate) fn server(limits: &Limits, remote: bool, asks: bool) -> Watch<ServerConnection> {
    let first = match remote {
        false => HostKey::Local(NullKey::new(SIGNATURES[0])),
        true => HostKey::Remote {
            key: public_key(SIGNATURES[0]),
            algorithms: vec![SIGNATURES[0]],
        },
    };
    let config = ServerConfig::builder(provider())
        .limits(limits.clone())
        .host_key(first)
        .signing_host_key(NullKey::new(SIGNATURES[1]))
        .auth_methods(METHODS)
        .ask_before_kex(asks)
        .ask_before_verifying(asks)
        .report_ignore(true)
        .dangerously_accept_forged_packets(true)
        .banner("hello")
        .build()
        .expect("a config");
    let conn = ServerConnection::new(&config, Box::new(FixedRandom(2)), Instant::EPOCH);
    Watch::new(conn.expect("a connection"), limits.clone())
}

/// What an application does, by the fuzzer's choice.
pub(crate) fn operate<C: Endpoint>(
    watch: &mut Watch<C>,
    u: &mut Unstructured<'_>,
) -> arbitrary::Result<()> {
    let operation = u8::arbitrary(u)?;
    let argument = u8::arbitrary(u)?;
    let client = watch.conn.role() == Role::Client;
    let chosen = {
        let count = watch.order.len();
        // The youngest are the most likely to be open.
        (count > 0).then(|| watch.order[count - 1 - usize::from(operation >> 4) % count])
    };
    match operation & 15 {
        0 => {
            if let Ok(id) = watch.conn.open_channel(&kind(argument, client)) {
                watch.adopt(id, false);
            }
        }
        1 => watch.settle(),
        2 => watch.forget_held(),
        3 => watch.policy = Policy(argument),
        4 => {
            let _ = watch.conn.rekey();
        }
        5 => {
            let request = global(argument >> 1, client);
            if let Ok(Some(_)) = watch.conn.global_request(&request, argument & 1 == 0) {
                watch.global_replies += 1;
            }
        }
        6 => {
            let _ = watch.conn.send_ignore(&[argument; 100]);
        }
        7 => {
            let _ = watch.conn.send_debug(true, "look");
        }
        8 if argument >= 0xf0 => {
            let text = "bye".repeat(usize::from(argument & 7) * 4000);
            let reason = DisconnectReason::BY_APPLICATION;
            watch.conn.disconnect(watch.now, reason, &text);
        }
        8 => match watch.conn.own_call(argument, chosen) {
            Made::Nothing => {}
            Made::Channel(id) => watch.adopt(id, false),
            Made::Request(id) => watch.known(id).awaited += 1,
            Made::Proof => watch.proofs += 1,
        },
        _ => {
            if let Some(id) = chosen {
                on_channel(watch, id, operation & 15, argument);
            }
        }
    }
    Ok(())
}

const TEXT: Bytes = Bytes::from_static(b"x@fuzz");
const SOCKET: Bytes = Bytes::from_static(b"/socket");
const ADDRESS: Bytes = Bytes::from_static(b"localhost");

/// What to open; servers open what their clients may have asked for.
fn kind(argument: u8, client: bool) -> ChannelKind {
    let port = u32::from(argument >> 4);
    match (argument % 8, client) {
        (0, _) => ChannelKind::Unknown {
            name: TEXT,
            body: TEXT,
        },
        (1, true) => ChannelKind::DirectStreamlocal { path: SOCKET },
        (4, true) => ChannelKind::DirectTcpip {
            host: ADDRESS,
            port,
            originator_address: ADDRESS,
            originator_port: 1,
        },
        (5, true) => ChannelKind::Tun { mode: 1, unit: 0 },
        (_, true) => ChannelKind::Session,
        (1, false) => ChannelKind::AuthAgent,
        (4 | 7, false) => ChannelKind::ForwardedTcpip {
            address: ADDRESS,
            port,
            originator_address: ADDRESS,
            originator_port: 1,
        },
        (5, false) => ChannelKind::X11 {
            originator_address: ADDRESS,
            originator_port: 1,
        },
        (6, false) => ChannelKind::AgentConnect,
        (_, false) => ChannelKind::ForwardedStreamlocal { path: SOCKET },
    }
}

fn global(argument: u8, client: bool) -> GlobalRequest {
    let port = u32::from(argument >> 3);
    match argument % 8 {
        0 if client => GlobalRequest::TcpipForward {
            address: ADDRESS,
            port,
        },
        1 => GlobalRequest::Keepalive,
        3 if client => GlobalRequest::StreamlocalForward { path: SOCKET },
        4 if client => GlobalRequest::CancelTcpipForward {
            address: ADDRESS,
            port,
        },
        5 if client => GlobalRequest::CancelStreamlocalForward { path: SOCKET },
        6 if client => GlobalRequest::NoMoreSessions,
        _ => GlobalRequest::Unknown {
            name: TEXT,
            body: Bytes::new(),
        },
    }
}

fn on_channel<C: Endpoint>(watch: &mut Watch<C>, id: ChannelId, operation: u8, argument: u8) {
    match operation {
        9 | 10 => watch.write(id, DataStream::Data, usize::from(argument) * 16),
        11 => watch.write(id, DataStream::STDERR, usize::from(argument)),
        12 if argument & 0x80 == 0 => watch.read(id),
        12 => {
            let window = 1 + 200 * u32::from(argument & 0x7f);
            if watch.conn.set_window_size(id, window).is_ok() {
                let known = watch.known(id);
                known.window = known.window.max(window);
            }
        }
        13 => {
            if watch.conn.finish(id).is_ok() {
                watch.known(id).finished = true;
            }
        }
        14 => {
            if watch.conn.close_channel(id).is_ok() {
                let known = watch.known(id);
                known.finished = true;
                known.closing = true;
            }
        }
        _ => {
            let request = request(argument >> 1);
            if let Ok(Some(_)) = watch.conn.request(id, &request, argument & 1 == 0) {
                watch.known(id).awaited += 1;
            }
        }
    }
}

fn request(argument: u8) -> ChannelRequest {
    match argument {
        0 => ChannelRequest::Shell,
        1 => ChannelRequest::Env {
            name: Bytes::from_static(b"LANG"),
            value: Bytes::from_static(b"C"),
        },
        2 => ChannelRequest::Pty(Pty {
            term: Bytes::from_static(b"xterm"),
            columns: 80,
            rows: 24,
            width: 0,
            height: 0,
            modes: vec![(53, 1)],
        }),
        3 => ChannelRequest::ExitStatus(3),
        4 => ChannelRequest::Signal(Bytes::from_static(b"TERM")),
        5 => ChannelRequest::Eow,
        6 => ChannelRequest::Exec(Bytes::from_static(b"ls")),
        7 => ChannelRequest::Subsystem(Bytes::from_static(b"sftp")),
        8 | 9 => ChannelRequest::X11 {
            single_connection: argument == 9,
            auth_protocol: Bytes::from_static(b"MIT-MAGIC-COOKIE-1"),
            cookie: X11Cookie::new(b"00ff".to_vec()),
            screen: 0,
        },
        10 => ChannelRequest::AuthAgent,
        11 => ChannelRequest::Agent,
        12 => ChannelRequest::WindowChange {
            columns: 0,
            rows: 0,
            width: 0,
            height: 0,
        },
        13 => ChannelRequest::XonXoff(true),
        14 => ChannelRequest::Break(0),
        15 => ChannelRequest::ExitSignal(ExitSignal {
            signal: Bytes::from_static(b"TERM"),
            core_dumped: false,
            message: Bytes::new(),
        }),
        _ => ChannelRequest::Unknown {
            name: TEXT,
            body: Bytes::new(),
        },
    }
}

/// A client and a server, and what is on its way between them.
pub(crate) struct Pair {
    pub(crate) client: Watch<ClientConnection>,
    pub(crate) server: Watch<ServerConnection>,
    pub(crate) to_server: BytesMut,
    pub(crate) to_client: BytesMut,
    /// The transport to the server, and to the client, has ended.
    ended: [bool; 2],
}

impl Pair {
    pub(crate) fn new(client: Watch<ClientConnection>, server: Watch<ServerConnection>) -> Self {
        Self {
            client,
            server,
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            ended: [false; 2],
        }
    }

    /// Delivers up to so many bytes to the server.
    pub(crate) fn deliver_to_server(&mut self, len: usize) -> bool {
        deliver(&mut self.server, &mut self.to_server, len)
    }

    /// Delivers up to so many bytes to the client.
    pub(crate) fn deliver_to_client(&mut self, len: usize) -> bool {
        deliver(&mut self.client, &mut self.to_client, len)
    }

    /// Lets everything happen that happens without the applications' doing.
    pub(crate) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < STEPS, "no rest");
            let mut moved = self.client.poll() | self.server.poll();
            moved |= self.client.transmit(&mut self.to_server);
            moved |= self.server.transmit(&mut self.to_client);
            moved |= self.deliver_to_server(usize::MAX);
            moved |= self.deliver_to_client(usize::MAX);
            moved |= hang_up(&self.client, &mut self.server, &mut self.ended[0]);
            moved |= hang_up(&self.server, &mut self.client, &mut self.ended[1]);
            if !moved {
                return;
            }
        }
    }
}

/// Whoever is closed has hung up, which the other side sees once all is delivered.
fn hang_up<G: Endpoint, L: Endpoint>(
    gone: &Watch<G>,
    left: &mut Watch<L>,
    ended: &mut bool,
) -> bool {
    let due = gone.conn.is_closed() && !*ended;
    if due {
        *ended = true;
        left.conn.handle_eof(left.now);
    }
    due
}

fn deliver<C: Endpoint>(watch: &mut Watch<C>, link: &mut BytesMut, len: usize) -> bool {
    let data = link.split_to(len.min(link.len()));
    let any = !data.is_empty();
    if any {
        watch.conn.handle_input(watch.now, data);
    }
    any
}
