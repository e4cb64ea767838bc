//! Dynamic forwarding the other way round: connections that the server accepted say by SOCKS where the client is to connect them.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ssh_proto::{ChannelId, Connection, DataStream, Event, IncomingChannel, OpenFailure};

use super::connect::Connecting;
use super::pump::{Pump, Socket};
use super::socks::{Socks, SocksRequest, SocksStep};
use super::{Forwards, MAX_CONNECTING, Target, refuse};
use crate::transport::Interest;

/// The time for the dialogue: two round trips, and whoever speaks it may be a person.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A channel whose target is not known or not reached yet.
#[derive(Debug)]
pub(super) struct Proxied {
    channel: ChannelId,
    socks: Socks,
    /// What the channel brought; behind the request, data for its target.
    input: BytesMut,
    /// Replies that the channel has not taken.
    output: BytesMut,
    stage: Stage,
    ended: bool,
    /// The channel is no more.
    gone: bool,
    deadline: Instant,
}

#[derive(Debug)]
enum Stage {
    Asking,
    Connecting(SocksRequest, Connecting),
    /// The channel is closed once it took the last reply.
    Refused,
}

/// It came to nothing.
struct Over;

impl Proxied {
    pub(super) const fn channel(&self) -> ChannelId {
        self.channel
    }

    pub(super) fn handle(&mut self, event: &Event) {
        self.gone |= matches!(event, Event::ChannelClosed(_));
        self.ended |= self.gone || matches!(event, Event::Eof(_));
    }

    /// Goes on as far as it can: up to the socket, with the request that it answers.
    fn advance<C: Connection>(
        &mut self,
        connection: &mut C,
        now: Instant,
    ) -> Result<Option<(SocksRequest, Socket)>, Over> {
        while let Stage::Asking = self.stage {
            match self.socks.advance(&mut self.input) {
                SocksStep::More => match connection.read(self.channel) {
                    Ok(Some(chunk)) if chunk.stream == DataStream::Data => {
                        self.input.extend_from_slice(&chunk.bytes);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) if !self.ended && now < self.deadline => break,
                    _ => return Err(Over),
                },
                SocksStep::Send(reply) => self.output.extend_from_slice(reply),
                SocksStep::Connect(request) => {
                    let host = str::from_utf8(&request.host).ok();
                    let target = host.map(|host| Target::tcp(host, request.port));
                    match target.map(|target| Connecting::start(&target, now)) {
                        Some(Ok(connecting)) => self.stage = Stage::Connecting(request, connecting),
                        _ => self.refuse(request.refused(OpenFailure::CONNECT_FAILED)),
                    }
                }
                SocksStep::Refuse(reply) => self.refuse(reply),
            }
        }
        if let Stage::Connecting(request, connecting) = &mut self.stage {
            match connecting.advance(now) {
                Some(Ok(socket)) => return Ok(Some((request.clone(), socket))),
                Some(Err(_)) => {
                    let reply = request.refused(OpenFailure::CONNECT_FAILED);
                    self.refuse(reply);
                }
                None => {}
            }
        }
        if !self.output.is_empty() {
            let mut output = self.output.split().freeze();
            let written = connection.write_bytes(self.channel, DataStream::Data, &mut output);
            self.output.extend_from_slice(&output);
            written.map_err(|_| Over)?;
        }
        match self.stage {
            Stage::Refused if self.output.is_empty() || now >= self.deadline => Err(Over),
            _ => Ok(None),
        }
    }

    fn refuse(&mut self, reply: &[u8]) {
        self.output.extend_from_slice(reply);
        self.stage = Stage::Refused;
    }

    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        match &self.stage {
            Stage::Connecting(_, connecting) => connecting.interest(),
            Stage::Asking | Stage::Refused => None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Connecting(_, connecting) => connecting.deadline(),
            Stage::Asking | Stage::Refused => self.deadline,
        }
    }
}

impl Forwards {
    /// Accepts a channel that will say itself where to.
    pub(super) fn proxy<C: Connection>(&mut self, connection: &mut C, token: IncomingChannel) {
        if self.proxied.len() >= MAX_CONNECTING {
            return refuse(connection, token, OpenFailure::RESOURCE_SHORTAGE, "");
        }
        // It fails only where the connection has ended, which closes everything.
        if let Ok(channel) = connection.accept_channel(token) {
            self.proxied.push(Proxied {
                channel,
                socks: Socks::new(),
                input: BytesMut::new(),
                output: BytesMut::new(),
                stage: Stage::Asking,
                ended: false,
                gone: false,
                deadline: Instant::now() + TIMEOUT,
            });
        }
    }

    pub(super) fn advance_proxied<C: Connection>(&mut self, connection: &mut C, now: Instant) {
        let mut at = 0;
        while let Some(proxied) = self.proxied.get_mut(at) {
            let outcome = proxied.advance(connection, now);
            if let Ok(None) = outcome {
                at += 1;
                continue;
            }
            let mut proxied = self.proxied.swap_remove(at);
            match outcome {
                Ok(Some((request, socket))) => {
                    proxied.output.extend_from_slice(request.granted());
                    let pump = Pump::new(proxied.channel, socket);
                    let mut pump = pump.with_early(proxied.output.freeze());
                    pump.tell(proxied.input.freeze());
                    if proxied.ended {
                        pump.handle(&Event::Eof(proxied.channel));
                    }
                    if proxied.gone {
                        pump.handle(&Event::ChannelClosed(proxied.channel));
                    }
                    self.link(pump, None);
                }
                _ if proxied.gone => {}
                _ => {
                    let _ = connection.close_channel(proxied.channel);
                    // Its last events are nobody else's.
                    self.link(Pump::without_stream(proxied.channel), None);
                }
            }
        }
    }
}
