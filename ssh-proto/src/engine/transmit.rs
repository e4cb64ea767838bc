//! From layers to packets: lanes in their order, the gate of key exchange, and the last word.

use core::mem;

use bytes::BytesMut;

use super::side::Side;
use super::{Core, Life};
use crate::error::Error;
use crate::mux::{GlobalRequest, Pulled};
use crate::time::{Instant, Timer};
use crate::trace::event;
use crate::wire::transport::Disconnect;

/// Bytes after which one call of `poll_transmit` stops. Large enough for the writes of a bulk
/// transfer, small enough that a caller's buffer stays of a size.
const TRANSMIT_BUDGET: usize = 128 << 10;

/// What a call of `poll_transmit` appended.
#[non_exhaustive]
#[must_use = "close the transport once everything up to here is written, if it says so"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Bytes appended.
    pub size: usize,
    /// Whether the transport is to be closed once they are written: nothing follows.
    pub then_close: bool,
}

impl<S: Side> Core<S> {
    /// Appends whole sealed packets to `out`, up to a bound; `None` if there is nothing.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut BytesMut) -> Option<Transmit> {
        self.tick(now);
        self.settle_abandoned();
        if self.is_closed() {
            return None;
        }
        self.pace();
        let start = out.len();
        while !self.is_closed() && out.len().saturating_sub(start) < TRANSMIT_BUDGET {
            match self.transmit_one(out) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if self.is_open() => self.fail(error),
                Err(_) => {
                    // The last word cannot be sealed; the transport just ends.
                    self.life = Life::Closed;
                    break;
                }
            }
        }
        self.hold();
        self.watch_idle();
        let size = out.len().saturating_sub(start);
        let then_close = self.is_closed();
        (size > 0 || then_close).then_some(Transmit { size, then_close })
    }

    /// Whether `poll_transmit` would append something.
    pub(crate) fn wants_write(&self) -> bool {
        match self.life {
            Life::Closed => false,
            Life::Leaving(..) | Life::Failing(..) => true,
            Life::Open => {
                self.desk.has_abandoned()
                    || self.transport.has_urgent_output()
                    || (self.transport.gate_is_open()
                        && !self.is_held()
                        && (!self.outbox.is_empty()
                            || self.mux.as_ref().is_some_and(|mux| mux.wants_transmit())))
            }
        }
    }

    fn transmit_one(&mut self, out: &mut BytesMut) -> Result<bool, Error> {
        self.transport.transmit_identification(out);
        if self.transport.transmit_kex(out)? {
            return Ok(true);
        }
        let may_pass = self.transport.gate_is_open() && !self.is_held();
        if may_pass && !matches!(self.life, Life::Failing(..)) {
            if let Some(payload) = self.outbox.pop() {
                self.transport
                    .transmit_padded(payload.as_ref(), payload.padding(), out)?;
                self.rekey_if_due()?;
                return Ok(true);
            }
            if self.transmit_channel(out)? {
                self.rekey_if_due()?;
                return Ok(true);
            }
        }
        let goodbye = match mem::replace(&mut self.life, Life::Closed) {
            Life::Leaving(goodbye) | Life::Failing(goodbye) => goodbye,
            life => {
                self.life = life;
                return Ok(false);
            }
        };
        let message = Disconnect {
            reason: goodbye.reason,
            description: goodbye.description.as_bytes(),
            language: b"",
        };
        self.transport.transmit(&message, out)?;
        Ok(false)
    }

    /// One message pulled from the channels.
    fn transmit_channel(&mut self, out: &mut BytesMut) -> Result<bool, Error> {
        let Some(mux) = &mut self.mux else {
            return Ok(false);
        };
        let transport = &mut self.transport;
        mux.poll_transmit(&mut |pulled| match pulled {
            Pulled::WindowAdjust(message) => transport.transmit(&message, out),
            Pulled::Data(message) => transport.transmit(&message, out),
            Pulled::ExtendedData(message) => transport.transmit(&message, out),
            Pulled::Request(payload) => transport.transmit_payload(payload, out),
            Pulled::Eof(message) => transport.transmit(&message, out),
            Pulled::Close(message) => transport.transmit(&message, out),
        })
    }

    /// The peer has been silent for the interval.
    pub(super) fn keep_alive(&mut self) {
        let limits = &self.settings.limits;
        if self.missed_keepalives >= limits.keepalive_max {
            self.fail(Error::Timeout(Timer::KeepAlive));
            return;
        }
        self.missed_keepalives = self.missed_keepalives.saturating_add(1);
        event!(
            self.trace(),
            DEBUG,
            silences = self.missed_keepalives,
            "peer silent for the keepalive interval"
        );
        self.timers
            .start(Timer::KeepAlive, self.now, limits.keepalive_interval);
        if let Some(mux) = &mut self.mux {
            // Where the outbox is full, what is in it will show that the peer lives.
            let request = GlobalRequest::Keepalive;
            if let Ok(Some(id)) = mux.global_request(&request, true, &mut self.outbox) {
                self.keepalives.push_back(id);
            }
        }
    }
}
