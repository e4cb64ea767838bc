//! The agent: its keys, signatures by them, and connections that are forwarded to it, each bound to its session first (RFC 9987).

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ssh_proto::agent::{
    AgentClient, AgentReply, Identity, NotSent, RequestId, SessionBinding, SignFlags,
};
use ssh_proto::crypto::{Certificate, PublicKey, Signature};
use ssh_proto::{ChannelId, ClientConnection, IncomingChannel, SignRequest};

use crate::log;

/// How long everything else waits until a connection that is to be forwarded is bound.
const BINDING: Duration = Duration::from_secs(5);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A connection to an agent, which answers while the caller waits.
pub(crate) struct Agent {
    stream: UnixStream,
    client: AgentClient,
    /// What it has said to have.
    keys: Vec<PublicKey>,
}

impl Agent {
    /// Connects, and says what for. Agents that know nothing of that are used all the same.
    pub(crate) fn connect(path: &Path, binding: &SessionBinding) -> Result<Self> {
        let mut agent = Self {
            stream: UnixStream::connect(path)?,
            client: AgentClient::new(),
            keys: Vec::new(),
        };
        agent.stream.set_read_timeout(Some(BINDING))?;
        agent.stream.set_write_timeout(Some(BINDING))?;
        let asked = agent.client.session_bind(binding);
        match agent.answer(asked) {
            Ok(_) => log::debug("The agent is bound to the session."),
            Err(error) if error.is::<io::Error>() => return Err(error),
            Err(error) => log::debug(format!("The agent is not bound to the session: {error}")),
        }
        // Whoever is asked to confirm a signature may take their time.
        agent.stream.set_read_timeout(None)?;
        Ok(agent)
    }

    pub(crate) fn identities(&mut self) -> Result<Vec<Identity>> {
        let asked = self.client.identities();
        match self.answer(asked)? {
            AgentReply::Identities(identities) => {
                self.keys = identities.iter().map(|found| found.key.clone()).collect();
                Ok(identities)
            }
            other => Err(format!("unexpected answer: {other:?}").into()),
        }
    }

    pub(crate) fn sign(&mut self, request: &SignRequest) -> Result<Signature> {
        let flags = SignFlags::for_algorithm(request.algorithm());
        // A certificate may be known here alone.
        let certificate = request.key().certificate();
        let key = match self.keys.contains(request.key()) {
            true => request.key(),
            false => certificate
                .as_ref()
                .map_or(request.key(), Certificate::public_key),
        };
        let asked = self.client.sign(key, request.message(), flags);
        match self.answer(asked)? {
            AgentReply::Signature(signature) => Ok(signature),
            other => Err(format!("unexpected answer: {other:?}").into()),
        }
    }

    /// The answer to what was just asked.
    fn answer(&mut self, asked: std::result::Result<RequestId, NotSent>) -> Result<AgentReply> {
        asked?;
        self.stream.write_all(self.client.output())?;
        self.client.advance_output(self.client.output().len());
        loop {
            if let Some(event) = self.client.poll_event()? {
                return Ok(event.result?);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => self.client.handle_input(&piece[..count]),
            }
        }
    }
}

/// The agent that a server may reach, in the session that it may reach it from.
pub(crate) struct Forwarded<'a> {
    pub(crate) path: &'a Path,
    pub(crate) binding: &'a SessionBinding,
}

impl Forwarded<'_> {
    /// Joins a channel of the server to a new connection to the agent.
    pub(crate) fn join(
        &self,
        forwards: &mut ssh_io_std::Forwards,
        connection: &mut ClientConnection,
        channel: IncomingChannel,
    ) -> Result<ChannelId> {
        let binding = SessionBinding {
            is_forwarding: true,
            ..self.binding.clone()
        };
        let agent = Agent::connect(self.path, &binding)?;
        Ok(forwards.join(connection, channel, agent.stream)?)
    }
}
