//! Policy towards peers nobody knows yet: who is served at all, and how a login that came to nothing ended (RFC 4253 section 11.1, OpenSSH's `PerSourcePenalties`).

use super::Core;
use super::side::{Pause, Side};
use super::token::Ticket;
use crate::error::{ApiMisuse, DisconnectReason, Error};
use crate::mux::{ChannelError, ChannelId};
use crate::transport::ident::Identification;

/// A client has sent its part of the first key exchange (RFC 5656 section 4); nothing costly has
/// been computed for it.
///
/// Where it comes from is known to whoever owns the transport. Answer with `admit` or `refuse`;
/// dropping the token refuses with `TOO_MANY_CONNECTIONS`. Nothing is parsed meanwhile. Later key
/// exchanges are not asked about: clients may begin none before they are authenticated, and
/// [`Limits::peer_rekeys`](crate::Limits::peer_rekeys) bounds those behind it.
#[must_use = "dropping the token refuses the client"]
#[derive(Debug)]
pub struct Incoming {
    pub(crate) ticket: Ticket,
    identification: Identification,
    kex: &'static str,
}

impl Incoming {
    /// What the client calls itself. Nothing of it is proven.
    pub fn identification(&self) -> &Identification {
        &self.identification
    }

    /// The key exchange method that was negotiated and is about to be computed.
    pub fn kex(&self) -> &'static str {
        self.kex
    }
}

impl<S: Side> Core<S> {
    pub(super) fn ask_admission(&mut self, kex: &'static str) -> Result<(), Error> {
        let identification = self
            .peer_identification()
            .ok_or(Error::Internal("a packet before the identification"))?
            .clone();
        let (ticket, stub) = Ticket::new(&self.desk);
        let event = S::incoming(Incoming {
            ticket,
            identification,
            kex,
        })?;
        self.ask(Pause::Admission, stub, event);
        Ok(())
    }

    pub(crate) fn admit(&mut self, incoming: Incoming) -> Result<(), ApiMisuse> {
        self.answer(incoming.ticket, Pause::Admission)?;
        let progress = self.transport.admit();
        if let Err(error) = progress.and_then(|progress| self.kex_progress(progress)) {
            self.fail(error);
        }
        self.watch_kex();
        Ok(())
    }

    pub(crate) fn refuse(
        &mut self,
        incoming: Incoming,
        reason: DisconnectReason,
        description: &str,
    ) -> Result<(), ApiMisuse> {
        self.answer(incoming.ticket, Pause::Admission)?;
        self.turn_away(reason, description);
        Ok(())
    }

    /// Opens a channel to the client's agent, of the type that the client asked for.
    pub(crate) fn open_agent_channel(&mut self) -> Result<ChannelId, ChannelError> {
        let (mux, outbox) = self.queueing_mux()?;
        mux.open_agent(outbox)
    }

    /// No keys are in use, so that `DISCONNECT` leaves in the clear.
    pub(super) fn turn_away(&mut self, reason: DisconnectReason, description: &str) {
        self.side.login_refused();
        self.disconnect(self.now, reason, description);
    }
}
