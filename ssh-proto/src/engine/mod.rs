//! The joint: transport, authentication and channels under one roof, driven by bytes and time.

mod channels;
pub(crate) mod event;
pub(crate) mod host_keys;
mod obscure;
mod phase;
#[cfg(test)]
mod phase_tests;
pub(crate) mod policy;
mod receive;
pub(crate) mod side;
mod timers;
pub(crate) mod token;
mod transmit;

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::BytesMut;

use self::event::{Disconnected, Event};
use self::host_keys::HostKeys;
use self::obscure::Obscure;
use self::phase::Phase;
use self::side::{Pause, Side};
use self::token::{Desk, SignRequest, Stub, Ticket};
pub use self::transmit::Transmit;
use crate::auth::Authenticated;
use crate::crypto::{SecureRandom, Signature, SignatureAlgorithm};
use crate::error::{ApiMisuse, DisconnectReason, Error, Limit, PeerMisbehaved};
use crate::limits::{Limits, MAX_PEER_TEXT};
use crate::mux::{ChannelId, ExtendedData, Mux, PeerOpens, RequestId, RequestKey};
use crate::text::cut;
use crate::time::{Instant, Timer, TimerTable};
use crate::trace::{Trace, event};
use crate::transport::ident::Identification;
use crate::transport::kex::SessionId;
use crate::transport::{Transport, TransportConfig};
use crate::wire::outbox::Outbox;

/// What the engine needs of a config, shared by all connections made from it.
pub struct Settings {
    pub(crate) transport: Arc<TransportConfig>,
    pub(crate) limits: Limits,
    /// For user keys.
    pub(crate) signatures: Vec<&'static dyn SignatureAlgorithm>,
    /// Whether `IGNORE` messages become events.
    pub(crate) report_ignore: bool,
    /// The channels that the peer may ask the application to open.
    pub(crate) peer_opens: PeerOpens,
    pub(crate) extended_data: ExtendedData,
    /// Whether a server tells its clients which host keys it has.
    pub(crate) announce_host_keys: bool,
    /// The interval at which a client sends what is typed.
    pub(crate) obscure: Option<Duration>,
}

/// One connection, whose role-specific half is `S`.
pub struct Core<S: Side> {
    settings: Arc<Settings>,
    transport: Transport,
    outbox: Outbox,
    side: S,
    mux: Option<Box<Mux>>,
    phase: Phase,
    life: Life,
    events: VecDeque<S::Event>,
    desk: Arc<Desk>,
    /// The question that nothing is parsed behind.
    pause: Option<(Pause, Stub)>,
    /// Questions about channels and global requests; they hold up nothing.
    questions: Vec<(Question, Stub)>,
    timers: TimerTable,
    now: Instant,
    /// A question was answered, or a rekey asked for, since we were last told the time.
    answered: bool,
    eof: bool,
    /// Our keepalive requests that are not answered.
    keepalives: VecDeque<RequestId>,
    missed_keepalives: u32,
    host_keys: HostKeys,
    obscure: Option<Box<Obscure>>,
    ext_infos: u8,
    peer_answers_pings: bool,
    /// Packets since the peer's first `NEWKEYS`, the one at hand included.
    keyed_packets: u64,
    authenticated: Option<Authenticated>,
}

/// Whether the connection lives.
enum Life {
    Open,
    /// The application ended it: what is queued may leave, then this `DISCONNECT`.
    Leaving(Goodbye),
    /// An error ended it: nothing leaves but this `DISCONNECT`.
    Failing(Goodbye),
    Closed,
}

/// The `DISCONNECT` that is to leave.
struct Goodbye {
    reason: DisconnectReason,
    description: Cow<'static, str>,
}

/// A question whose answer holds up nothing.
#[derive(Debug, Clone, Copy)]
enum Question {
    Open(ChannelId),
    Request(ChannelId, RequestKey),
    Global(RequestKey),
    /// A signature for the answer to a global request.
    Proof(RequestKey),
}

impl<S: Side> Core<S> {
    pub(crate) fn new(
        settings: Arc<Settings>,
        side: S,
        random: Box<dyn SecureRandom>,
        now: Instant,
    ) -> Result<Self, Error> {
        let mut transport = Transport::new(
            S::ROLE,
            Arc::clone(&settings.transport),
            &settings.limits,
            random,
        )?;
        let obscure = match settings.obscure {
            Some(interval) => Some(Box::new(Obscure::new(interval, transport.random_stream()?))),
            None => None,
        };
        let mut timers = TimerTable::default();
        timers.start(Timer::LoginGrace, now, settings.limits.login_grace);
        timers.start(Timer::Kex, now, settings.limits.handshake_timeout);
        Ok(Self {
            settings,
            transport,
            outbox: Outbox::default(),
            side,
            mux: None,
            phase: Phase::FirstKex,
            life: Life::Open,
            events: VecDeque::new(),
            desk: Arc::default(),
            pause: None,
            questions: Vec::new(),
            timers,
            now,
            answered: false,
            eof: false,
            keepalives: VecDeque::new(),
            missed_keepalives: 0,
            host_keys: HostKeys::default(),
            obscure,
            ext_infos: 0,
            peer_answers_pings: false,
            keyed_packets: 0,
            authenticated: None,
        })
    }

    /// Bytes from the peer.
    pub(crate) fn handle_input(&mut self, now: Instant, data: BytesMut) {
        self.tick(now);
        if !self.is_open() || self.eof {
            return;
        }
        if !data.is_empty() {
            self.heard_from_peer();
        }
        self.transport.push_input(data);
        let limits = &self.settings.limits;
        let pre_auth = self.phase != Phase::Connection;
        let most = match pre_auth {
            true => limits.buffered_input_pre_auth,
            false => limits.buffered_input,
        };
        if self.transport.buffered_input() > most {
            self.fail(Limit::BufferedInput.into());
        } else if pre_auth && self.transport.received_bytes() > limits.pre_auth_bytes {
            self.fail(Limit::PreAuthInput.into());
        }
    }

    /// The peer sends no more.
    pub(crate) fn handle_eof(&mut self, now: Instant) {
        self.tick(now);
        self.eof = true;
    }

    /// The next event, parsing as far as it takes.
    pub(crate) fn poll_event(&mut self) -> Option<S::Event> {
        self.settle_abandoned();
        loop {
            // A channel may still change behind the terminal event, but nothing is told of it.
            if !self.is_open() && self.events.is_empty() {
                return None;
            }
            if let Some(event) = self.events.pop_front() {
                if self.events.is_empty() {
                    self.events = VecDeque::new();
                }
                return Some(event);
            }
            if let Some(event) = self.next_channel_event() {
                return Some(event);
            }
            if !self.is_open() {
                return None;
            }
            let progressed = match self.may_parse() {
                true => self.check_deferred().and_then(|()| self.parse()),
                false => Ok(false),
            };
            match progressed {
                Ok(true) => {}
                Ok(false) if self.eof && self.transport.needs_input() => {
                    self.end(Disconnected::Eof, None);
                }
                Ok(false) => {
                    self.watch_idle();
                    return None;
                }
                Err(error) => match self.transport.take_mac_failure() {
                    Some(failure) => self.mac_failed(failure, error),
                    None => self.fail(error),
                },
            }
        }
    }

    /// Whether the application's answers and the peer's appetite let us go on.
    fn may_parse(&self) -> bool {
        self.pause.is_none()
            && !self.side.has_withheld_failure()
            // Nothing leaves until a key exchange is over, and what ends it is to be read.
            && (!self.outbox_holds(2) || !self.transport.gate_is_open())
    }

    /// Whether that many times the bound waits to be sent. At once, the application can add
    /// nothing: only the peer's own requests add to it. At twice, nothing more of the peer is
    /// read. At three times, while keys are exchanged, the connection ends.
    fn outbox_holds(&self, times: usize) -> bool {
        let limits = &self.settings.limits;
        self.outbox.is_full(
            limits.deferred_messages.saturating_mul(times),
            limits.deferred_bytes.saturating_mul(times),
        )
    }

    /// While keys are exchanged input is read whatever waits to be sent, up to an end.
    fn check_deferred(&self) -> Result<(), Error> {
        match self.outbox_holds(3) && !self.transport.gate_is_open() {
            true => Err(Limit::DeferredOutput.into()),
            false => Ok(()),
        }
    }

    /// Whether `poll_event` may have something without further input.
    pub(crate) fn wants_poll(&self) -> bool {
        !self.events.is_empty()
            || self.is_open()
                && (self.desk.has_abandoned()
                    || self.mux.as_ref().is_some_and(|mux| mux.has_events())
                    || self.may_parse() && !self.transport.needs_input()
                    || self.eof && self.transport.needs_input())
    }

    pub(crate) fn wants_read(&self) -> bool {
        self.is_open() && !self.eof && self.may_parse() && self.transport.needs_input()
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.is_open() && self.phase == Phase::FirstKex
    }

    pub(crate) fn authenticated(&self) -> Option<&Authenticated> {
        self.authenticated.as_ref()
    }

    fn trace(&self) -> &Trace {
        self.transport.trace()
    }

    pub(crate) fn peer_identification(&self) -> Option<&Identification> {
        self.transport.peer_identification()
    }

    pub(crate) fn session_id(&self) -> Option<&SessionId> {
        self.transport.kex.session_id()
    }

    /// Begins a key exchange where keys have been used enough, and will be used on.
    fn rekey_if_due(&mut self) -> Result<(), Error> {
        if self.is_open() && self.phase == Phase::Connection && self.transport.rekey_is_due() {
            self.transport.start_rekey()?;
            self.watch_kex();
        }
        Ok(())
    }

    /// Begins a key exchange because the application wants one.
    pub(crate) fn rekey(&mut self) -> Result<(), Error> {
        match self.phase {
            _ if !self.is_open() => Err(ApiMisuse::Closed.into()),
            Phase::Connection => {
                let begins = !self.transport.kex.is_active();
                self.transport.start_rekey()?;
                self.watch_kex();
                // We may have been told the time long ago.
                self.answered |= begins;
                Ok(())
            }
            _ => Err(ApiMisuse::NotAuthenticated.into()),
        }
    }

    // Ending.

    /// Ends the connection because of an error.
    fn fail(&mut self, error: Error) {
        event!(self.trace(), WARN, %error, "connection fails");
        let goodbye = error.disconnect_reason().map(|reason| Goodbye {
            reason,
            description: error.disconnect_text().into(),
        });
        self.outbox.clear();
        self.transport.clear();
        self.end(Disconnected::Error(error), goodbye);
    }

    fn end(&mut self, cause: Disconnected, goodbye: Option<Goodbye>) {
        if !self.is_open() {
            return;
        }
        self.life = match goodbye.filter(|_| self.transport.can_say_goodbye()) {
            Some(goodbye) => Life::Failing(goodbye),
            None => Life::Closed,
        };
        self.wind_down(cause);
    }

    /// Ends the connection because the application wants it, after what is queued and may leave.
    pub(crate) fn disconnect(&mut self, now: Instant, reason: DisconnectReason, text: &str) {
        self.tick(now);
        if !self.is_open() {
            return;
        }
        let description = cut(text, MAX_PEER_TEXT).to_owned().into();
        self.life = match self.transport.can_say_goodbye() {
            true => Life::Leaving(Goodbye {
                reason,
                description,
            }),
            false => Life::Closed,
        };
        self.wind_down(Disconnected::ByApplication);
    }

    fn wind_down(&mut self, cause: Disconnected) {
        event!(self.trace(), INFO, ?cause, "connection over");
        self.timers.stop_all();
        self.pause = None;
        if self.phase != Phase::Connection {
            self.side.login_ended(&cause);
        }
        self.drain_channel_events();
        self.questions.clear();
        // Tokens among the events that were not fetched lapse with the connection.
        self.events.push_back(Event::Disconnected(cause).into());
    }

    // Questions.

    /// Raises a question that nothing is parsed behind.
    fn ask(&mut self, pause: Pause, stub: Stub, event: S::Event) {
        event!(self.trace(), DEBUG, question = ?pause, "application asked");
        self.pause = Some((pause, stub));
        self.events.push_back(event);
        self.timers.start(
            Timer::Decision,
            self.now,
            self.settings.limits.decision_timeout,
        );
        self.watch_kex();
    }

    /// Takes an answer to the question that is open.
    pub(crate) fn answer(&mut self, ticket: Ticket, expected: Pause) -> Result<(), ApiMisuse> {
        let stub = ticket.redeem(&self.desk)?;
        match self.pause.take() {
            Some((pause, open)) if open.is_of(&stub) && self.is_open() => {
                if pause != expected {
                    self.pause = Some((pause, open));
                    return Err(ApiMisuse::WrongAnswer);
                }
                event!(self.trace(), DEBUG, question = ?pause, "application answered");
                self.timers.stop(Timer::Decision);
                self.answered = true;
                Ok(())
            }
            other => {
                self.pause = other;
                Err(ApiMisuse::StaleToken)
            }
        }
    }

    /// Gives every token that was dropped its fail-closed answer.
    fn settle_abandoned(&mut self) {
        if !self.desk.take_abandoned() {
            return;
        }
        if let Some((pause, _)) = self.pause.take_if(|(_, stub)| stub.is_abandoned()) {
            event!(self.trace(), DEBUG, question = ?pause, "application dropped the question");
            self.timers.stop(Timer::Decision);
            match pause {
                Pause::Admission => self.turn_away(DisconnectReason::TOO_MANY_CONNECTIONS, ""),
                Pause::HostKey => self.fail(Error::HostKeyRejected),
                Pause::HostSign => self.fail(Error::SignatureDeclined),
                Pause::Forged => self.fail(PeerMisbehaved::BadMac.into()),
                Pause::AuthTurn => {
                    let now = self.now;
                    self.disconnect(now, DisconnectReason::AUTH_CANCELLED_BY_USER, "");
                }
                Pause::UserSign
                | Pause::Prompts
                | Pause::Gssapi
                | Pause::KeyQuery
                | Pause::Unverified
                | Pause::AuthRequest => {
                    let settled = self.side.settle(pause, &self.desk, &mut self.outbox);
                    self.auth_progress(settled);
                }
            }
        }
        self.settle_questions();
    }

    /// The application's verdict on the host key.
    pub(crate) fn host_key_verdict(
        &mut self,
        ticket: Ticket,
        accepted: bool,
    ) -> Result<(), ApiMisuse> {
        self.answer(ticket, Pause::HostKey)?;
        if !accepted {
            self.fail(Error::HostKeyRejected);
        } else if let Err(error) = self.transport.accept_host_key() {
            self.fail(error);
        }
        self.watch_kex();
        Ok(())
    }

    pub(crate) fn provide_signature(
        &mut self,
        request: SignRequest,
        signature: &Signature,
    ) -> Result<(), ApiMisuse> {
        if let Some(proof) = self.take_proof(&request.ticket) {
            return self.provide_proof(proof, request, signature);
        }
        let SignRequest {
            ticket,
            key,
            algorithm,
            message,
        } = request;
        let pause = self.signing_pause();
        self.answer(ticket, pause)?;
        let outcome = match pause {
            Pause::HostSign => match self.transport.provide_signature(signature) {
                Err(Error::ApiMisuse(misuse)) => Err(misuse),
                Err(error) => {
                    self.fail(error);
                    Ok(())
                }
                Ok(()) => Ok(()),
            },
            _ => self.side.provide_signature(signature, &mut self.outbox),
        };
        if outcome.is_err() {
            // The question stays open: it is raised anew.
            let (ticket, stub) = Ticket::new(&self.desk);
            let event = Event::Sign(SignRequest {
                ticket,
                key,
                algorithm,
                message,
            });
            self.ask(pause, stub, event.into());
        }
        self.watch_kex();
        outcome
    }

    pub(crate) fn decline_signature(&mut self, request: SignRequest) -> Result<(), ApiMisuse> {
        if let Some(proof) = self.take_proof(&request.ticket) {
            return self.decline_proof(&proof, request);
        }
        let pause = self.signing_pause();
        self.answer(request.ticket, pause)?;
        match pause {
            Pause::HostSign => self.fail(Error::SignatureDeclined),
            _ => {
                let settled = self.side.settle(pause, &self.desk, &mut self.outbox);
                self.auth_progress(settled);
            }
        }
        Ok(())
    }

    /// Which of the two signing questions can be open.
    fn signing_pause(&self) -> Pause {
        match self.pause {
            Some((Pause::UserSign, _)) => Pause::UserSign,
            _ => Pause::HostSign,
        }
    }

    /// Lets the role's half answer an authentication question.
    pub(crate) fn answer_auth(
        &mut self,
        ticket: Ticket,
        pause: Pause,
        answer: impl FnOnce(&mut S, &Arc<Desk>, &mut Outbox) -> side::AuthResult<S::Event>,
    ) -> Result<(), ApiMisuse> {
        self.answer(ticket, pause)?;
        let progress = answer(&mut self.side, &self.desk, &mut self.outbox);
        self.auth_progress(progress);
        Ok(())
    }

    pub(crate) fn side(&self) -> &S {
        &self.side
    }

    pub(crate) fn side_mut(&mut self) -> (&mut S, &mut Outbox) {
        (&mut self.side, &mut self.outbox)
    }

    pub(crate) fn is_authenticating(&self) -> bool {
        self.is_open() && self.phase == Phase::Auth
    }
}

impl<S: Side> fmt::Debug for Core<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &S::ROLE)
            .field("phase", &self.phase)
            .field("closed", &!self.is_open())
            .finish_non_exhaustive()
    }
}
