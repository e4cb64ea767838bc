//! From packets to layers: the phase table is asked, then the message goes to where it belongs.

use alloc::boxed::Box;

use bytes::Bytes;
use zeroize::Zeroize;

use super::Core;
use super::event::{Disconnected, Event, PeerExtensions};
use super::phase::{Phase, Situation, Verdict, admit};
use super::side::{AuthProgress, AuthResult, Pause, Side};
use super::token::{ForgedPacket, HostKeyCheck, SignRequest, Ticket};
use crate::auth::Authenticated;
use crate::error::{ApiMisuse, DisconnectReason, Error, PeerMisbehaved};
use crate::limits::{
    COPIED_UNREAD, MAX_EXT_INFO_FROM_CLIENT, MAX_EXT_INFO_FROM_SERVER, MAX_REQUEST_TEXT,
    PIN_FACTOR, PINNED_ARENA,
};
use crate::mux::Mux;
use crate::role::Role;
use crate::text::PeerText;
use crate::time::Timer;
use crate::trace::event;
use crate::transport::kex::{KexAsk, Negotiated};
use crate::transport::{KexProgress, MacFailure, Packet};
use crate::wire::extension::{ExtInfo, Ping, Pong};
use crate::wire::outbox::SecretPayload;
use crate::wire::transport::{Debug, Unimplemented};
use crate::wire::{Reader, decode, number};

impl<S: Side> Core<S> {
    /// One step of parsing; false if more input is needed.
    pub(super) fn parse(&mut self) -> Result<bool, Error> {
        if let Some(identification) = self.transport.read_identification()? {
            event!(self.trace(), INFO, %identification, "peer identified");
            self.events
                .push_back(Event::Identified(identification).into());
            return Ok(true);
        }
        let Some(mut packet) = self.transport.next_packet()? else {
            return Ok(false);
        };
        self.heard_from_peer();
        self.keyed_packets = self.keyed_packets.saturating_add(1);
        let number = packet.number();
        let situation = Situation {
            role: S::ROLE,
            phase: self.phase,
            stage: self.transport.kex.stage(),
            strict: self.transport.kex.is_strict(),
        };
        let verdict = admit(situation, number);
        if verdict != Verdict::Deliver {
            // A request to authenticate, or an answer to a prompt, that came out of place has a
            // password in it, perhaps.
            packet.payload.as_mut().zeroize();
            event!(
                self.trace(),
                DEBUG,
                number,
                name = number::name(number),
                ?verdict,
                "message not delivered"
            );
        }
        match verdict {
            Verdict::Deliver => self.deliver(number, packet)?,
            Verdict::DiscardGuess => self.transport.kex.guess_discarded(),
            Verdict::Ignore => {}
            Verdict::Unimplemented => self.unimplemented(packet.sequence),
            Verdict::Fatal => return Err(PeerMisbehaved::UnexpectedMessage(number).into()),
        }
        self.rekey_if_due()?;
        Ok(true)
    }

    /// A packet is not authentic: the end, unless the application may decide otherwise.
    pub(super) fn mac_failed(&mut self, failure: MacFailure, error: Error) {
        let MacFailure {
            sequence,
            length,
            is_held,
        } = failure;
        event!(
            self.trace(),
            WARN,
            sequence,
            length,
            is_held,
            "packet not authentic"
        );
        let event = |forged| {
            let event = Event::MacError {
                sequence,
                length,
                forged,
            };
            S::Event::from(event)
        };
        if is_held {
            let (ticket, stub) = Ticket::new(&self.desk);
            self.ask(Pause::Forged, stub, event(Some(ForgedPacket { ticket })));
        } else {
            self.events.push_back(event(None));
            self.fail(error);
        }
    }

    /// The application takes a packet that is not authentic.
    pub(crate) fn accept_forged(&mut self, packet: ForgedPacket) -> Result<(), ApiMisuse> {
        self.answer(packet.ticket, Pause::Forged)?;
        event!(self.trace(), WARN, "packet accepted that is not authentic");
        self.transport.accept_forged();
        self.watch_kex();
        Ok(())
    }

    fn deliver(&mut self, number: u8, packet: Packet) -> Result<(), Error> {
        match number {
            number::DISCONNECT => self.peer_disconnected(&packet.payload),
            number::IGNORE => {
                if self.settings.report_ignore {
                    // What it carries is to be ignored, even where it is malformed.
                    let data = Reader::new(packet.payload.get(1..).unwrap_or_default()).string();
                    let data = Bytes::copy_from_slice(data.unwrap_or_default());
                    self.events.push_back(Event::Ignore(data).into());
                }
            }
            number::UNIMPLEMENTED => {
                let Unimplemented { sequence } = decode(&packet.payload)?;
                // Some peers know no keepalive request, and say so: that is a reply, too.
                if let (Some(mux), Some(oldest)) = (&mut self.mux, self.keepalives.front())
                    && mux.forget_global(*oldest)
                {
                    self.keepalives.pop_front();
                }
                self.events
                    .push_back(Event::Unimplemented { sequence }.into());
            }
            number::DEBUG => {
                let Debug {
                    always_display,
                    message,
                    language,
                } = decode(&packet.payload)?;
                self.events.push_back(
                    Event::Debug {
                        always_display,
                        message: PeerText::new(message),
                        language: PeerText::new(language),
                    }
                    .into(),
                );
            }
            number::EXT_INFO => self.ext_info(&packet)?,
            number::SERVICE_REQUEST | number::SERVICE_ACCEPT | 50..=79 => {
                let mut packet = packet;
                let delay = self.settings.limits.auth_failure_delay;
                // Whatever may be answered by a failure: requests, and what goes on with them.
                if delay.is_some() && number >= number::USERAUTH_REQUEST {
                    self.timers.stop(Timer::AuthFailureDelay);
                    self.timers.start(Timer::AuthFailureDelay, self.now, delay);
                }
                let progress = self
                    .side
                    .handle_auth(&packet.payload, &self.desk, &mut self.outbox);
                // A password was in it, perhaps.
                packet.payload.as_mut().zeroize();
                if progress.is_ok() && self.phase == Phase::Service {
                    self.enter(Phase::Auth);
                }
                self.auth_progress(progress);
            }
            number::KEXINIT | number::NEWKEYS | 30..=49 => self.key_exchange(&packet)?,
            80..=100 => {
                let Some(mux) = &mut self.mux else {
                    return Err(Error::Internal("connection phase without channels"));
                };
                let unread = mux.unread_bytes();
                let small = packet.payload.len().saturating_mul(PIN_FACTOR)
                    < packet.pinned.max(PINNED_ARENA);
                let copy = unread > COPIED_UNREAD || unread > 0 && small;
                let payload = match number {
                    // A cookie or the value of a variable is in it, perhaps.
                    number::CHANNEL_REQUEST => {
                        Bytes::from_owner(SecretPayload::from(packet.payload))
                    }
                    _ => packet.payload.freeze(),
                };
                mux.handle(payload, copy, &mut self.outbox)?;
            }
            number::PING => {
                // OpenSSH leaves a ping unanswered while keys are exchanged; one that is too
                // long for a packet of ours cannot be answered.
                let Ping { data } = decode(&packet.payload)?;
                if !self.transport.kex.is_active() && data.len() <= MAX_REQUEST_TEXT {
                    self.outbox.push(&Pong { data });
                }
            }
            number::PONG => {
                let Pong { data } = decode(&packet.payload)?;
                if self.obscure.as_ref().is_some_and(|o| o.is_chaff(data)) {
                    return Ok(());
                }
                let data = Bytes::copy_from_slice(data);
                self.events.push_back(Event::Pong(data).into());
            }
            _ => {
                return Err(Error::Internal(
                    "the phase table admitted a number without a home",
                ));
            }
        }
        Ok(())
    }

    fn unimplemented(&mut self, sequence: u32) {
        self.outbox.push(&Unimplemented { sequence });
    }

    /// A damaged `DISCONNECT` disconnects all the same.
    fn peer_disconnected(&mut self, payload: &[u8]) {
        let mut reader = Reader::new(payload.get(1..).unwrap_or_default());
        let reason = DisconnectReason(reader.u32().unwrap_or_default());
        let description = PeerText::new(reader.string().unwrap_or_default());
        let language = PeerText::new(reader.string().unwrap_or_default());
        self.end(
            Disconnected::ByPeer {
                reason,
                description,
                language,
            },
            None,
        );
    }

    /// RFC 8308 section 2.4. Late or surplus ones are answered as unknown.
    fn ext_info(&mut self, packet: &Packet) -> Result<(), Error> {
        let in_place = match S::ROLE {
            Role::Server => self.keyed_packets == 1 && self.ext_infos < MAX_EXT_INFO_FROM_CLIENT,
            Role::Client => self.ext_infos < MAX_EXT_INFO_FROM_SERVER,
        };
        if !in_place {
            self.unimplemented(packet.sequence);
            return Ok(());
        }
        self.ext_infos = self.ext_infos.saturating_add(1);
        let mut info: ExtInfo<'_> = decode(&packet.payload)?;
        info.extensions.retain(|(_, value)| !value.contains(&0));
        if S::ROLE == Role::Client {
            self.peer_answers_pings |= info.value(b"ping@openssh.com").is_some();
        }
        self.side.peer_extensions(&info);
        let extensions = info
            .extensions
            .into_iter()
            .map(|(name, value)| (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value)))
            .collect();
        self.events
            .push_back(Event::ExtInfo(PeerExtensions { extensions }).into());
        Ok(())
    }

    fn key_exchange(&mut self, packet: &Packet) -> Result<(), Error> {
        let progress = self.transport.handle_kex(packet, self.now)?;
        self.kex_progress(progress)
    }

    pub(super) fn kex_progress(&mut self, progress: KexProgress) -> Result<(), Error> {
        match progress {
            KexProgress::Continues => {}
            KexProgress::Ask(KexAsk::Admission { kex }) => self.ask_admission(kex)?,
            KexProgress::Ask(KexAsk::HostKey {
                key,
                algorithm,
                previous,
            }) => {
                let (ticket, stub) = Ticket::new(&self.desk);
                let event = S::host_key(HostKeyCheck {
                    ticket,
                    certificate: key.certificate().map(Box::new),
                    key,
                    algorithm,
                    previous,
                })?;
                self.ask(Pause::HostKey, stub, event);
            }
            KexProgress::Ask(KexAsk::Sign {
                key,
                algorithm,
                message,
            }) => {
                let (ticket, stub) = Ticket::new(&self.desk);
                let event = Event::Sign(SignRequest {
                    ticket,
                    key,
                    algorithm,
                    message,
                });
                self.ask(Pause::HostSign, stub, event.into());
            }
            KexProgress::Done(negotiated) => self.keys_changed(*negotiated),
        }
        self.watch_kex();
        Ok(())
    }

    fn keys_changed(&mut self, negotiated: Negotiated) {
        self.note_host_key_algorithm(negotiated.host_key_algorithm);
        if self.phase == Phase::FirstKex {
            self.enter(Phase::Service);
            self.keyed_packets = 0;
            self.side.keys_established(
                &negotiated.session_id,
                &negotiated.host_key,
                &self.settings,
                &mut self.outbox,
            );
        }
        event!(
            self.trace(),
            INFO,
            kex = negotiated.kex,
            host_key = negotiated.host_key_algorithm,
            client_to_server = ?negotiated.client_to_server,
            server_to_client = ?negotiated.server_to_client,
            strict_kex = negotiated.strict_kex,
            post_quantum = negotiated.post_quantum,
            is_rekey = negotiated.is_rekey,
            "keys changed"
        );
        self.timers.stop(Timer::RekeyAge);
        if self.phase == Phase::Connection {
            self.timers
                .start(Timer::RekeyAge, self.now, self.settings.limits.rekey_age);
        }
        self.events.push_back(Event::KeysChanged(negotiated).into());
    }

    pub(super) fn auth_progress(&mut self, progress: AuthResult<S::Event>) {
        match progress {
            Ok(AuthProgress::Continues) => {}
            Ok(AuthProgress::Tell(event)) => self.events.push_back(event),
            Ok(AuthProgress::Ask(pause, stub, event)) => self.ask(pause, stub, event),
            Ok(AuthProgress::Authenticated(proof)) => self.begin_connection(proof),
            Err(error) => self.fail(error),
        }
        if self.side.has_withheld_failure() && !self.timers.is_set(Timer::AuthFailureDelay) {
            // The time has passed already.
            self.side.release_failure(&mut self.outbox);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        event!(self.trace(), DEBUG, ?phase, "phase begun");
    }

    fn begin_connection(&mut self, proof: Authenticated) {
        self.enter(Phase::Connection);
        let limits = &self.settings.limits;
        let mut mux = Mux::new(S::ROLE, &proof, limits);
        mux.allow_open(self.settings.peer_opens);
        mux.pass_extended_data(self.settings.extended_data);
        self.mux = Some(Box::new(mux));
        self.transport.set_authenticated();
        self.timers.stop(Timer::LoginGrace);
        self.timers.stop(Timer::AuthFailureDelay);
        self.timers
            .start(Timer::RekeyAge, self.now, limits.rekey_age);
        self.timers
            .start(Timer::KeepAlive, self.now, limits.keepalive_interval);
        self.timers
            .start(Timer::Idle, self.now, limits.idle_timeout);
        event!(
            self.trace(),
            INFO,
            user = proof.user(),
            method = proof.method(),
            "authenticated"
        );
        self.authenticated = Some(proof.clone());
        self.announce_host_keys();
        self.events.push_back(Event::Authenticated(proof).into());
    }

    /// Whatever arrives shows that the peer lives.
    pub(super) fn heard_from_peer(&mut self) {
        self.missed_keepalives = 0;
        if let (Some(after), true) = (
            self.settings.limits.keepalive_interval,
            self.timers.is_set(Timer::KeepAlive),
        ) {
            self.timers.set(Timer::KeepAlive, self.now + after);
        }
    }
}
