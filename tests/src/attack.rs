//! What the attack tests share: each runs for the roles it names, with input whole, a byte at a time and cut at random, and says what one bad step must lead to.

use ssh_proto::error::{DisconnectReason, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::wire::transport::{Debug, Ignore, Unimplemented};
use ssh_proto::{
    ClientConnection, ClientEvent, Disconnected, Error, Event, Instant, Negotiated, Password,
    ServerConnection,
};

use crate::endpoint::Endpoint;
use crate::fixtures;
use crate::hostile::{Hostile, Stage, Victim};
use crate::mode::{Chunking, Mode};
use crate::raw::{RawPeer, payload_of};
use crate::rng::TestRng;

/// The modes of attack tests.
pub const MODES: [Mode; 3] = [
    Mode::PLAIN,
    Mode {
        chunking: Chunking::ByteAtATime,
        ..Mode::PLAIN
    },
    Mode {
        chunking: Chunking::Random(3),
        ..Mode::PLAIN
    },
];

/// Runs a test of the client and its twin of the server under [`MODES`].
pub fn both(client: impl Fn(Mode), server: impl Fn(Mode)) {
    for mode in MODES {
        println!("client, {mode:?}");
        client(mode);
        println!("server, {mode:?}");
        server(mode);
    }
}

/// Runs a test of one role under [`MODES`].
pub fn chunked(test: impl Fn(Mode)) {
    for mode in MODES {
        println!("{mode:?}");
        test(mode);
    }
}

impl<E: Endpoint> Hostile<E> {
    /// Attacks, and asserts that the connection ends with this reason and no event but the
    /// terminal one, and the one of a MAC error where that is the reason.
    ///
    /// # Panics
    /// If not.
    pub fn refuses(&mut self, reason: u32, attack: impl FnOnce(&mut RawPeer)) {
        let events = self.strike(attack);
        self.assert_disconnected(DisconnectReason(reason));
        self.assert_only_the_end(events);
    }

    /// Asserts that behind so many events stands the terminal one, and ahead of it that of a MAC
    /// error, where and only where that ended the connection.
    ///
    /// # Panics
    /// If not.
    pub fn assert_only_the_end(&self, events: usize) {
        let is_mac_error = |event: &E::Event| matches!(E::shared(event), Some(Event::MacError { length, .. }) if *length > 0);
        let mac_errors = self
            .events
            .iter()
            .filter(|event| is_mac_error(event))
            .count();
        let is_bad_mac = matches!(
            &self.ended,
            Some(Disconnected::Error(Error::PeerMisbehaved(
                PeerMisbehaved::BadMac
            )))
        );
        assert_eq!(mac_errors, usize::from(is_bad_mac), "{:?}", self.events);
        assert_eq!(
            self.events.len(),
            events + 1 + mac_errors,
            "{:?}",
            self.events
        );
    }

    /// Attacks, and asserts that the connection ends without a word and no event but the
    /// terminal one.
    ///
    /// # Panics
    /// If not.
    pub fn closes(&mut self, attack: impl FnOnce(&mut RawPeer)) {
        let events = self.strike(attack);
        self.assert_closed_silently();
        assert_eq!(self.events.len(), events + 1, "{:?}", self.events);
    }

    /// Attacks, and asserts that nothing comes of it.
    ///
    /// # Panics
    /// If something does.
    pub fn ignores(&mut self, attack: impl FnOnce(&mut RawPeer)) {
        self.peer.drain();
        let events = self.strike(attack);
        assert_eq!(self.ended, None);
        assert_eq!(self.events.len(), events, "{:?}", self.events);
        assert_eq!(self.peer.drain(), []);
    }

    /// Sends a payload, and asserts that it is answered by `UNIMPLEMENTED` with its number and
    /// by nothing else.
    ///
    /// # Panics
    /// If not.
    pub fn does_not_know(&mut self, payload: &[u8]) {
        self.peer.drain();
        let sequence = self.peer.send_sequence;
        let events = self.strike(|peer| peer.send_payload(payload));
        assert_eq!(self.ended, None, "{payload:?}");
        assert_eq!(self.events.len(), events, "{:?}", self.events);
        let answer = self.peer.expect(number::UNIMPLEMENTED);
        assert_eq!(answer.decode::<Unimplemented>().sequence, sequence);
        assert_eq!(self.peer.drain(), []);
    }

    fn strike(&mut self, attack: impl FnOnce(&mut RawPeer)) -> usize {
        self.exchange();
        assert_eq!(self.ended, None, "before the attack");
        let events = self.events.len();
        attack(&mut self.peer);
        self.exchange();
        events
    }

    /// The error that ended the connection.
    ///
    /// # Panics
    /// If none did.
    pub fn error(&self) -> &Error {
        match &self.ended {
            Some(Disconnected::Error(error)) => error,
            other => panic!("ended by {other:?}"),
        }
    }
}

/// A server of the default config whose client is authenticating, or a client that awaits the
/// reply to its password.
pub trait Asked: Victim {
    /// The connection at that stage.
    fn asked(mode: Mode) -> Hostile<Self>;

    /// Accepts every host key that is to be judged, and exchanges; how many there were.
    fn accept_host_keys(hostile: &mut Hostile<Self>) -> usize;
}

impl Asked for ServerConnection {
    fn asked(mode: Mode) -> Hostile<Self> {
        Hostile::at(Stage::Service, mode)
    }

    fn accept_host_keys(_: &mut Hostile<Self>) -> usize {
        0
    }
}

impl Asked for ClientConnection {
    fn asked(mode: Mode) -> Hostile<Self> {
        let mut hostile = Hostile::at(Stage::Service, mode);
        hostile.answer_turn(|client, turn| {
            client.auth_password(turn, &Password::new(fixtures::PASSWORD))
        });
        hostile.expect_skipping_extras(number::USERAUTH_REQUEST);
        hostile
    }

    fn accept_host_keys(hostile: &mut Hostile<Self>) -> usize {
        let mut checks = 0;
        let is_check = |event: &ClientEvent| matches!(event, ClientEvent::HostKey(_));
        while hostile.events.iter().any(is_check) {
            if let ClientEvent::HostKey(check) = hostile.take_event(is_check) {
                hostile
                    .connection
                    .accept_host_key(check)
                    .expect("own token");
                checks += 1;
            }
        }
        hostile.exchange();
        checks
    }
}

impl Hostile<ClientConnection> {
    /// Answers the client's turn, which must be due, and exchanges.
    ///
    /// # Panics
    /// If it is not the client's turn, or it cannot be answered like this.
    pub fn answer_turn(
        &mut self,
        answer: impl FnOnce(
            &mut ClientConnection,
            ssh_proto::AuthTurn,
        ) -> Result<(), ssh_proto::error::ApiMisuse>,
    ) {
        match self.take_event(|event| matches!(event, ClientEvent::Auth(_))) {
            ClientEvent::Auth(turn) => {
                answer(&mut self.connection, turn).expect("an answer to the turn");
            }
            _ => unreachable!(),
        }
        self.exchange();
    }
}

/// A field of a message put together by hand.
#[derive(Debug, Clone, Copy)]
pub enum F<'a> {
    /// A `string`.
    S(&'a [u8]),
    /// A `uint32`.
    U(u32),
    /// A `boolean` or `byte`.
    B(u8),
    /// Bytes as they are.
    Raw(&'a [u8]),
}

/// A payload of this number and these fields.
pub fn message(number: u8, fields: &[F<'_>]) -> Vec<u8> {
    let mut payload = vec![number];
    for field in fields {
        match *field {
            F::S(string) => {
                payload.extend((string.len() as u32).to_be_bytes());
                payload.extend(string);
            }
            F::U(value) => payload.extend(value.to_be_bytes()),
            F::B(byte) => payload.push(byte),
            F::Raw(bytes) => payload.extend(bytes),
        }
    }
    payload
}

/// A connection at this stage whose peer knows `curve25519-sha256` alone, strict or not.
pub fn prepared<E: Asked>(stage: Stage, mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = Hostile::new(mode);
    h.peer.offer.strict = strict;
    h.peer.offer.kex = vec!["curve25519-sha256".into()];
    h.advance_to(stage);
    h
}

/// Connections that offer this key exchange method alone.
pub trait Offering: Asked {
    /// One whose randomness begins with this seed.
    fn offering(kex: &str, seed: u64) -> Self;
}

impl Offering for ClientConnection {
    fn offering(kex: &str, seed: u64) -> Self {
        let config = fixtures::client_config()
            .kex([kex])
            .build()
            .expect("config");
        let random = Box::new(TestRng::new(seed));
        Self::new(&config, fixtures::USER, random, Instant::EPOCH).expect("randomness")
    }
}

impl Offering for ServerConnection {
    fn offering(kex: &str, seed: u64) -> Self {
        let config = fixtures::server_config()
            .kex([kex])
            .build()
            .expect("config");
        Self::new(&config, Box::new(TestRng::new(seed)), Instant::EPOCH).expect("randomness")
    }
}

/// Both `KEXINIT`s have passed, and both sides offer this method alone.
pub fn agreed<E: Offering>(kex: &str, mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = Hostile::with_connection(E::offering(kex, mode.seed), mode.chunking);
    h.peer.offer.strict = strict;
    h.peer.offer.kex = vec![kex.into()];
    h.advance_to(Stage::KexInit);
    h
}

/// Authenticated, and the peer's `KEXINIT` of a rekey is sent and answered.
pub fn rekeying<E: Asked>(mode: Mode, strict: bool) -> Hostile<E> {
    let mut h = prepared(Stage::Authenticated, mode, strict);
    h.peer.drain();
    h.peer.send_kexinit();
    h.exchange();
    h.peer.expect(number::KEXINIT);
    h
}

/// What each key exchange so far agreed on.
pub fn negotiated<E: Asked>(h: &Hostile<E>) -> Vec<Negotiated> {
    let each = h.events.iter().filter_map(|event| match E::shared(event) {
        Some(Event::KeysChanged(negotiated)) => Some(negotiated.clone()),
        _ => None,
    });
    each.collect()
}

/// One each of `IGNORE`, `DEBUG`, `UNIMPLEMENTED`, `EXT_INFO` and a number that nobody knows.
pub fn chatter() -> [Vec<u8>; 5] {
    [
        payload_of(&Ignore { data: b"x" }),
        payload_of(&Debug {
            always_display: false,
            message: b"x",
            language: b"",
        }),
        payload_of(&Unimplemented { sequence: 0 }),
        message(7, &[F::U(0)]),
        vec![8],
    ]
}
