//! Dialogues: local connections that say by SOCKS where they want to go, up to the channel for them.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ssh_proto::{ChannelError, ChannelKind, Connection, OpenFailure};

use super::Forwards;
use super::listen::Origin;
use super::pump::{Pump, Socket};
use super::socks::{Socks, SocksRequest, SocksStep};

/// Dialogues at once: one takes a round trip on this machine. More wait to be accepted.
const MAX_DIALOGUES: usize = 64;

/// The time for one, and for room for its channel.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is read of one at once.
const PIECE: usize = 512;

#[derive(Debug)]
pub(super) struct Dialogue {
    stream: Socket,
    origin: Origin,
    socks: Socks,
    input: BytesMut,
    /// Complete, and without a channel yet.
    request: Option<SocksRequest>,
    deadline: Instant,
}

impl Dialogue {
    /// Begins one, or gives the connection back where there are too many.
    pub(super) fn begin(
        dialogues: &mut Vec<Self>,
        stream: Socket,
        origin: Origin,
        now: Instant,
    ) -> Result<(), (Socket, Origin)> {
        if dialogues.len() >= MAX_DIALOGUES {
            return Err((stream, origin));
        }
        dialogues.push(Self {
            stream,
            origin,
            socks: Socks::new(),
            input: BytesMut::new(),
            request: None,
            deadline: now + TIMEOUT,
        });
        Ok(())
    }

    /// Goes on up to the request. An error ends it.
    fn advance(&mut self) -> io::Result<()> {
        while self.request.is_none() {
            match self.socks.advance(&mut self.input) {
                SocksStep::More => {
                    let mut piece = [0; PIECE];
                    match self.stream.read(&mut piece) {
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        Ok(count) => self.input.extend_from_slice(&piece[..count]),
                        Err(error) => match error.kind() {
                            io::ErrorKind::WouldBlock => return Ok(()),
                            io::ErrorKind::Interrupted => {}
                            _ => return Err(error),
                        },
                    }
                }
                // The first few bytes fit into the socket of whoever waits for them.
                SocksStep::Send(reply) => self.stream.write_all(reply)?,
                SocksStep::Connect(request) => self.request = Some(request),
                SocksStep::Refuse(reply) => {
                    self.stream.write_all(reply)?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.request.is_none().then(|| self.stream.as_fd())
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether it waits for room for a channel.
    pub(super) const fn is_blocked(&self) -> bool {
        self.request.is_some()
    }
}

impl Forwards {
    pub(super) fn advance_dialogues<C: Connection>(&mut self, connection: &mut C, now: Instant) {
        let mut at = 0;
        while let Some(dialogue) = self.dialogues.get_mut(at) {
            if dialogue.advance().is_err() || now >= dialogue.deadline {
                self.dialogues.swap_remove(at);
                continue;
            }
            let Some(request) = &dialogue.request else {
                at += 1;
                continue;
            };
            let kind = ChannelKind::DirectTcpip {
                host: request.host.clone(),
                port: request.port.into(),
                originator_address: dialogue.origin.address.clone(),
                originator_port: dialogue.origin.port,
            };
            let opened = connection.open_channel(&kind);
            if let Err(ChannelError::Blocked | ChannelError::NotOpen) = opened {
                at += 1;
                continue;
            }
            let mut dialogue = self.dialogues.swap_remove(at);
            match opened {
                Ok(channel) => {
                    let pump = Pump::new(channel, dialogue.stream);
                    let pump = pump.with_early(dialogue.input.freeze());
                    self.link(pump, dialogue.request);
                }
                Err(_) => {
                    let refusal = dialogue
                        .request
                        .map(|request| request.refused(OpenFailure::CONNECT_FAILED));
                    // Whoever does not take it finds the connection closed.
                    let _ = dialogue.stream.write_all(refusal.unwrap_or_default());
                }
            }
        }
    }
}
