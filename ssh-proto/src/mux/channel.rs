//! One channel: its two halves, its requests, and the stage between open and close (RFC 4254 sections 5 and 6).

use alloc::collections::VecDeque;

use super::kind::PeerOpens;
use super::recv::RecvHalf;
use super::reply::ReplyQueue;
use super::request::ChannelRequest;
use super::send::SendHalf;
use super::types::{ChannelError, RequestId, RequestKey};
use crate::role::Role;

/// How far a channel is opened. Closing is the halves' business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// We asked, the peer has not answered.
    Opening,
    /// The peer asked, the application has not answered.
    Asked,
    /// Confirmed.
    Open,
}

/// The one program of a session (RFC 4254 section 6.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    None,
    /// The application is asked with this key. It may refuse; then another may be asked for.
    Asked(RequestKey),
    Started,
}

/// A channel.
pub(super) struct Channel {
    pub(super) stage: Stage,
    kind: PeerOpens,
    /// A session that the peer opened: those are counted.
    pub(super) is_peers_session: bool,
    pub(super) send: SendHalf,
    pub(super) recv: RecvHalf,
    /// Requests of the peer that want a reply.
    pub(super) theirs: ReplyQueue<bool>,
    /// Requests of ours that await one.
    pub(super) ours: VecDeque<RequestId>,
    program: Program,
    env_requests: u32,
    /// How the command ended was told.
    exit_seen: bool,
    /// We have asked for a terminal on it.
    pub(super) has_pty: bool,
    /// The application has closed and reads no more.
    pub(super) dropped: bool,
    /// It is among the channels that owe credit.
    pub(super) is_creditor: bool,
    /// It is among the channels that have something to send.
    pub(super) is_sender: bool,
}

impl Channel {
    pub(super) const fn new(stage: Stage, kind: PeerOpens, send: SendHalf, recv: RecvHalf) -> Self {
        Self {
            stage,
            kind,
            is_peers_session: matches!(stage, Stage::Asked) && kind.contains(PeerOpens::SESSION),
            send,
            recv,
            theirs: ReplyQueue::new(),
            ours: VecDeque::new(),
            program: Program::None,
            env_requests: 0,
            exit_seen: false,
            has_pty: false,
            dropped: false,
            is_creditor: false,
            is_sender: false,
        }
    }

    /// Whether the application may use it.
    pub(super) fn check_open(&self) -> Result<(), ChannelError> {
        if self.dropped {
            return Err(ChannelError::Closed);
        }
        match self.stage {
            Stage::Open => Ok(()),
            Stage::Opening | Stage::Asked => Err(ChannelError::NotOpen),
        }
    }

    /// Whether the peer may send anything on it.
    pub(super) fn takes_frames(&self) -> bool {
        self.stage == Stage::Open && !self.recv.is_closed()
    }

    /// Whether a pull would send something other than credit.
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Open && self.send.is_ready()
    }

    /// Whether credit is to be sent.
    pub(super) fn owes_credit(&self) -> bool {
        self.stage == Stage::Open && !self.send.is_closed() && self.recv.owes_credit()
    }

    /// Whether both sides have closed, and nothing is left to read.
    pub(super) fn is_done(&self) -> bool {
        self.send.is_closed() && self.recv.is_closed() && self.recv.unread() == 0
    }

    /// Whether the application is asked about a request of the peer, which is of the role given, or
    /// the request fails here.
    pub(super) fn admits(
        &mut self,
        request: &ChannelRequest,
        peer: Role,
        env_requests: u32,
    ) -> bool {
        let fits_channel = !request.is_for_sessions()
            || self.kind == PeerOpens::SESSION
            || self.kind == PeerOpens::UNKNOWN;
        if !request.is_sent_by(peer) || !fits_channel {
            return false;
        }
        match request {
            ChannelRequest::Env { .. } => {
                self.env_requests = self.env_requests.saturating_add(1);
                self.env_requests <= env_requests
            }
            _ if request.starts_program() => self.program == Program::None,
            _ if request.is_exit() => !core::mem::replace(&mut self.exit_seen, true),
            _ => true,
        }
    }

    /// Notes that the application is asked to start a program. Where no answer is wanted, it is
    /// taken to start.
    pub(super) fn program_asked(&mut self, key: RequestKey) {
        self.program = match key {
            RequestKey(None) => Program::Started,
            key => Program::Asked(key),
        };
    }

    /// Answers a request of the peer.
    pub(super) fn answer(&mut self, key: RequestKey, success: bool) -> Result<(), ChannelError> {
        self.theirs.answer(key, success)?;
        if self.program == Program::Asked(key) {
            self.program = if success {
                Program::Started
            } else {
                Program::None
            };
        }
        Ok(())
    }
}
