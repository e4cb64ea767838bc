//! Policy towards peers nobody knows yet: who is served at all, and how a login that came to nothing ended (RFC 4253 section 11.1, OpenSSH's `PerSourcePenalties`).

use super::Core;
use super::event::Disconnected;
use super::side::{Pause, Side};
use super::token::Ticket;
use crate::auth::LoginTrace;
use crate::error::{ApiMisuse, DisconnectReason, Error, Limit};
use crate::mux::{ChannelError, ChannelId};
use crate::time::Timer;
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

/// How a connection ended that never authenticated, for a server that slows or blocks sources.
///
/// Each names the word of OpenSSH's `PerSourcePenalties` that it stands for; what it costs is the
/// policy of whoever knows the source.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginFailure {
    /// The client left without an attempt, or had no algorithm or service in common with us:
    /// scanners and collectors of host keys do. `noauth`.
    NotTried,
    /// The client left, or was sent away, after attempts that did not get it in. `authfail`.
    Failed,
    /// The same, with the name of a user who does not exist: see
    /// `ServerConnection::reject_unknown_user`. `invaliduser`.
    UnknownUser,
    /// The client did not finish the key exchange or the login in the time it had.
    /// `grace-exceeded`.
    GraceExceeded,
    /// The client broke the protocol, or a limit that no honest one comes near. OpenSSH has no
    /// word of its own for it: its process ends as for `noauth`.
    ProtocolViolation,
    /// The application refused the client before the key exchange. `refuseconnection`.
    Refused,
    /// Something failed inside, which the client may have found a way to cause. `crash`.
    Internal,
    /// Nothing that the client did: the application ended the connection, left a question
    /// unanswered, or did not sign. OpenSSH has no penalty for it.
    Ours,
}

impl LoginFailure {
    /// What the end of a connection makes of what was tried.
    pub(crate) fn of(cause: &Disconnected, trace: LoginTrace) -> Self {
        let tried = match trace {
            LoginTrace {
                unknown_user: true, ..
            } => Self::UnknownUser,
            LoginTrace { attempts: 0, .. } => Self::NotTried,
            LoginTrace { .. } => Self::Failed,
        };
        let error = match cause {
            Disconnected::ByPeer { .. } | Disconnected::Eof => return tried,
            Disconnected::ByApplication if tried == Self::NotTried => return Self::Ours,
            Disconnected::ByApplication => return tried,
            Disconnected::Error(error) => error,
        };
        match error {
            Error::PeerMisbehaved(_) | Error::InvalidMessage { .. } => Self::ProtocolViolation,
            Error::PeerIncompatible(_) => tried,
            Error::LimitExceeded(limit) => match limit {
                Limit::AuthFailures | Limit::AuthRequests | Limit::KeyQueries => match tried {
                    // Queries alone: keys were tried, if nothing else.
                    Self::NotTried => Self::Failed,
                    tried => tried,
                },
                // No user has a name of such a length.
                Limit::UserName => Self::UnknownUser,
                _ => Self::ProtocolViolation,
            },
            Error::Timeout(Timer::LoginGrace | Timer::Kex) => Self::GraceExceeded,
            Error::Timeout(_)
            | Error::HostKeyRejected
            | Error::SignatureDeclined
            | Error::ApiMisuse(_) => Self::Ours,
            Error::Crypto(_) | Error::Internal(_) => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec::Vec;

    use super::*;
    use crate::error::{
        CryptoError, DecodeError, KexSlot, NoCommonAlgorithm, PeerIncompatible, PeerMisbehaved,
    };
    use crate::text::PeerText;

    fn trace(attempts: u32, unknown_user: bool) -> LoginTrace {
        LoginTrace {
            attempts,
            unknown_user,
        }
    }

    /// Every way in which a connection can end, with what it means of a client that tried nothing,
    /// one that failed, and one that named nobody.
    #[test]
    fn every_end_of_a_login_has_its_meaning() {
        use LoginFailure::*;
        const BY_WHAT_WAS_TRIED: [LoginFailure; 3] = [NotTried, Failed, UnknownUser];
        let no_common = NoCommonAlgorithm {
            slot: KexSlot::Kex,
            ours: Vec::new(),
            theirs: Vec::new(),
        };
        let by_peer = Disconnected::ByPeer {
            reason: DisconnectReason::BY_APPLICATION,
            description: PeerText::new(b""),
            language: PeerText::new(b""),
        };
        let error = Disconnected::Error;
        let malformed = Error::InvalidMessage {
            number: 50,
            error: DecodeError::Truncated,
        };
        let incompatible = |why| error(Error::PeerIncompatible(why));
        let table = [
            (Disconnected::Eof, BY_WHAT_WAS_TRIED),
            (by_peer, BY_WHAT_WAS_TRIED),
            (Disconnected::ByApplication, [Ours, Failed, UnknownUser]),
            (
                incompatible(PeerIncompatible::NoCommonAlgorithm(Box::new(no_common))),
                BY_WHAT_WAS_TRIED,
            ),
            (
                incompatible(PeerIncompatible::NoStrictKex),
                BY_WHAT_WAS_TRIED,
            ),
            (
                incompatible(PeerIncompatible::UnknownService),
                BY_WHAT_WAS_TRIED,
            ),
            (error(malformed), [ProtocolViolation; 3]),
            (error(Error::HostKeyRejected), [Ours; 3]),
            (error(Error::SignatureDeclined), [Ours; 3]),
            (error(ApiMisuse::WrongAnswer.into()), [Ours; 3]),
            (error(CryptoError::RandomFailed.into()), [Internal; 3]),
            (error(Error::Internal("")), [Internal; 3]),
        ];
        let misbehaved = [
            PeerMisbehaved::BadIdentification,
            PeerMisbehaved::TextBeforeIdentification,
            PeerMisbehaved::BadMac,
            PeerMisbehaved::UnexpectedMessage(90),
            PeerMisbehaved::StrictKexViolation,
            PeerMisbehaved::BadKexValue,
            PeerMisbehaved::AuthIdentityChanged,
        ]
        .map(|fault| (error(fault.into()), [ProtocolViolation; 3]));
        let limits = [
            (Limit::AuthFailures, [Failed, Failed, UnknownUser]),
            (Limit::AuthRequests, [Failed, Failed, UnknownUser]),
            (Limit::KeyQueries, [Failed, Failed, UnknownUser]),
            (Limit::UserName, [UnknownUser; 3]),
            (Limit::Identification, [ProtocolViolation; 3]),
            (Limit::PacketLength, [ProtocolViolation; 3]),
            (Limit::PreAuthInput, [ProtocolViolation; 3]),
            (Limit::BufferedInput, [ProtocolViolation; 3]),
            (Limit::DeferredOutput, [ProtocolViolation; 3]),
        ]
        .map(|(limit, meaning)| (error(limit.into()), meaning));
        let timers = Timer::ALL.map(|timer| {
            let meaning = match timer {
                Timer::LoginGrace | Timer::Kex => GraceExceeded,
                _ => Ours,
            };
            (error(Error::Timeout(timer)), [meaning; 3])
        });
        let traces = [trace(0, false), trace(1, false), trace(2, true)];
        for (cause, meanings) in table
            .into_iter()
            .chain(misbehaved)
            .chain(limits)
            .chain(timers)
        {
            let found = traces.map(|trace| LoginFailure::of(&cause, trace));
            assert_eq!(found, meanings, "{cause:?}");
        }
    }
}
