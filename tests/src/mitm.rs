//! Someone between a client and a server who reads what is in clear, changes it, puts packets in and takes packets out: prefix truncation (CVE-2023-48795) and downgrades.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::{
    Authenticated, ClientConnection, Connection, Disconnected, Instant, Role, ServerConnection,
};

use crate::endpoint::{App, Endpoint};
use crate::pair::Pair;

/// Changes a packet in clear: its place among those of its direction, and its bytes from the
/// length field on.
type Tamper = Box<dyn FnMut(usize, &mut Vec<u8>)>;

/// A pair with someone in between.
pub struct Mitm {
    /// The victims.
    pub pair: Pair,
    to_client: Wire,
    to_server: Wire,
    client_end: Option<Disconnected>,
    server_end: Option<Disconnected>,
}

impl std::fmt::Debug for Mitm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mitm")
            .field("client_end", &self.client_end)
            .field("server_end", &self.server_end)
            .finish_non_exhaustive()
    }
}

/// One direction.
#[derive(Default)]
struct Wire {
    buffer: Vec<u8>,
    identified: bool,
    /// Packets in clear that have passed.
    index: usize,
    sealed: bool,
    tamper: Option<Tamper>,
    inject: Option<(usize, Vec<u8>, usize)>,
    injected: usize,
    drops: usize,
    /// The sizes of the first sealed packets, as traffic analysis yields them.
    sizes: Vec<usize>,
}

impl Wire {
    /// What passes of what has been sent.
    fn pass(&mut self, sent: &[u8]) -> Vec<u8> {
        self.buffer.extend_from_slice(sent);
        let mut passed = Vec::new();
        if !self.identified {
            let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                return passed;
            };
            passed.extend(self.buffer.drain(..=end));
            self.identified = true;
        }
        while !self.sealed {
            let Some(length) = self.buffer.first_chunk::<4>() else {
                return passed;
            };
            let total = 4 + u32::from_be_bytes(*length) as usize;
            if self.buffer.len() < total {
                return passed;
            }
            let mut packet: Vec<u8> = self.buffer.drain(..total).collect();
            self.sealed = packet[5] == 21;
            if let Some(tamper) = &mut self.tamper {
                tamper(self.index, &mut packet);
            }
            if let Some((position, payload, count)) = &self.inject
                && *position == self.index
            {
                for _ in 0..*count {
                    passed.extend(in_clear(payload));
                    self.injected += 1;
                }
            }
            self.index += 1;
            passed.extend(packet);
        }
        while self.drops > 0 && !self.buffer.is_empty() {
            // Where the size is not known, all of the write.
            let size = match self.sizes.is_empty() {
                true => self.buffer.len(),
                false => self.sizes.remove(0),
            };
            self.buffer.drain(..size.min(self.buffer.len()));
            self.drops -= 1;
        }
        passed.append(&mut self.buffer);
        passed
    }
}

/// A packet in clear.
fn in_clear(payload: &[u8]) -> Vec<u8> {
    let padding = (4..).find(|padding: &usize| (5 + payload.len() + padding).is_multiple_of(8));
    let padding = padding.expect("one in eight fits");
    let length = (1 + payload.len() + padding) as u32;
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

/// The size of a packet under `chacha20-poly1305@openssh.com`, by that of its payload.
fn sealed_size(payload: usize) -> usize {
    let padding = (4..).find(|padding: &usize| (1 + payload + padding).is_multiple_of(8));
    4 + 1 + payload + padding.expect("one in eight fits") + 16
}

impl Mitm {
    /// Steps in between the two. Nothing is done to them yet.
    pub fn new(pair: Pair) -> Self {
        let ext_info = |names: &[(&str, &str)]| {
            let each = names
                .iter()
                .map(|(name, value)| 8 + name.len() + value.len());
            5 + each.sum::<usize>()
        };
        let service = 5 + "ssh-userauth".len();
        let algorithms = crate::fixtures::signature_names();
        let to_server = ext_info(&[("ext-info-in-auth@openssh.com", "0")]);
        let to_client = ext_info(&[("server-sig-algs", &algorithms), ("ping@openssh.com", "0")]);
        let wire = |ext_info| Wire {
            sizes: vec![sealed_size(ext_info), sealed_size(service)],
            ..Wire::default()
        };
        Self {
            pair,
            to_client: wire(to_client),
            to_server: wire(to_server),
            client_end: None,
            server_end: None,
        }
    }

    fn towards(&mut self, role: Role) -> &mut Wire {
        match role {
            Role::Client => &mut self.to_client,
            Role::Server => &mut self.to_server,
        }
    }

    /// Changes packets in clear that come from this role.
    pub fn tamper(&mut self, from: Role, tamper: impl FnMut(usize, &mut Vec<u8>) + 'static) {
        self.towards(from.peer()).tamper = Some(Box::new(tamper));
    }

    /// Puts packets in clear before the one at this position: 0 is `KEXINIT`, 1 the message of
    /// the method, 2 `NEWKEYS`.
    pub fn inject(&mut self, towards: Role, position: usize, payload: &[u8], count: usize) {
        self.towards(towards).inject = Some((position, payload.to_vec(), count));
    }

    /// Takes out the first sealed packets.
    pub fn drop_sealed(&mut self, towards: Role, count: usize) {
        self.towards(towards).drops = count;
    }

    /// Packets put in so far.
    pub fn injected(&self) -> usize {
        self.to_client.injected + self.to_server.injected
    }

    /// Why the client ended.
    pub fn client_end(&self) -> Option<&Disconnected> {
        self.client_end.as_ref()
    }

    /// Why the server ended.
    pub fn server_end(&self) -> Option<&Disconnected> {
        self.server_end.as_ref()
    }

    /// Who is authenticated, as either side sees it.
    pub fn authenticated(&self) -> Option<&Authenticated> {
        self.pair
            .client
            .authenticated()
            .or(self.pair.server.authenticated())
    }

    /// Runs until nothing happens any more, and then for three minutes in which nobody acts.
    pub fn run(
        &mut self,
        client: &mut impl App<ClientConnection>,
        server: &mut impl App<ServerConnection>,
    ) {
        let end = self.pair.now + Duration::from_secs(180);
        loop {
            while self.step(client, server) {}
            let deadline = self.pair.next_deadline().filter(|at| *at <= end);
            let Some(deadline) = deadline else { return };
            self.pair.now = self.pair.now.max(deadline);
            self.pair.client.handle_timeout(self.pair.now);
            self.pair.server.handle_timeout(self.pair.now);
        }
    }

    fn step(
        &mut self,
        client: &mut impl App<ClientConnection>,
        server: &mut impl App<ServerConnection>,
    ) -> bool {
        let now = self.pair.now;
        let (c, s) = (&mut self.pair.client, &mut self.pair.server);
        let from_client = drive(c, client, &mut self.client_end, now);
        let from_server = drive(s, server, &mut self.server_end, now);
        let passed = self.to_server.pass(&from_client);
        s.handle_input(now, BytesMut::from(&passed[..]));
        let passed = self.to_client.pass(&from_server);
        c.handle_input(now, BytesMut::from(&passed[..]));
        !from_client.is_empty() || !from_server.is_empty()
    }
}

/// Lets one side do what it can; what it sends.
fn drive<E: Endpoint>(
    connection: &mut E,
    app: &mut impl App<E>,
    end: &mut Option<Disconnected>,
    now: Instant,
) -> Vec<u8> {
    let mut out = BytesMut::new();
    loop {
        while let Some(event) = connection.next_event() {
            assert_eq!(*end, None, "U3: {event:?} after the end");
            *end = E::terminal(&event).cloned();
            app.on_event(connection, event, now);
        }
        if connection.poll_transmit(now, &mut out).is_none() {
            return out.to_vec();
        }
    }
}
