//! An agent of ours, and who asks it, joined by bytes in pieces.

use ssh_proto::Instant;
use ssh_proto::agent::{
    AgentClient, AgentClientEvent, AgentReply, AgentRequest, AgentServer, AgentServerEvent,
    KeyConstraints, Keyring, NotSent, RequestFailed, RequestId, SignFlags,
};
use ssh_proto::crypto::{PrivateKey, PublicKey};
use ssh_proto::error::Error;
use ssh_proto::keys::Comment;

use crate::fixtures::provider;
use crate::rng::TestRng;

/// What comes of a request.
pub type Answer = Result<AgentReply, RequestFailed>;

/// A client and a server of the agent protocol, the server's keyring, and the time.
pub struct AgentPair {
    /// Who asks.
    pub client: AgentClient,
    /// Who answers.
    pub server: AgentServer,
    /// The keys.
    pub keyring: Keyring,
    /// The time on both sides.
    pub now: Instant,
    /// How many bytes pass at once.
    pub piece: usize,
}

impl Default for AgentPair {
    fn default() -> Self {
        Self {
            client: AgentClient::new(),
            server: AgentServer::new(),
            keyring: Keyring::new(provider()),
            now: Instant::EPOCH,
            piece: usize::MAX,
        }
    }
}

impl AgentPair {
    /// A new connection to the same agent.
    pub fn reconnect(&mut self) {
        self.client = AgentClient::new();
        self.server = AgentServer::new();
    }

    /// Passes bytes until the server tells something or nothing moves.
    ///
    /// # Errors
    /// The server's.
    pub fn serve(&mut self) -> Result<Option<AgentServerEvent>, Error> {
        loop {
            if let Some(event) = self.server.poll_event(&mut self.keyring, self.now)? {
                return Ok(Some(event));
            }
            let output = self.client.output();
            let piece = output.len().min(self.piece);
            self.server.handle_input(&output[..piece]);
            self.client.advance_output(piece);
            let output = self.server.output();
            let back = output.len().min(self.piece);
            self.client.handle_input(&output[..back]);
            self.server.advance_output(back);
            if piece == 0 && back == 0 {
                return Ok(None);
            }
        }
    }

    /// Passes bytes until nothing moves; what the server tells is kept.
    ///
    /// # Panics
    /// If the server fails.
    pub fn run(&mut self) -> Vec<AgentServerEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.serve().expect("well-formed frames") {
            events.push(event);
        }
        events
    }

    /// The next answer that has arrived.
    ///
    /// # Panics
    /// If there is none, or the client fails.
    pub fn answered(&mut self) -> AgentClientEvent {
        let event = self.client.poll_event().expect("well-formed frames");
        event.expect("an answer")
    }

    /// Makes a request and gives its answer.
    ///
    /// # Panics
    /// If it is not sent or not answered.
    pub fn ask(
        &mut self,
        request: impl FnOnce(&mut AgentClient) -> Result<RequestId, NotSent>,
    ) -> Answer {
        let id = request(&mut self.client).expect("sent");
        self.run();
        let event = self.answered();
        assert_eq!(event.request, id);
        event.result
    }

    /// Hands the server a message as it is, and gives its reply, without their lengths.
    ///
    /// # Panics
    /// If the server fails or does not reply with one message.
    pub fn raw(&mut self, message: &[u8]) -> Vec<u8> {
        self.server.handle_input(&frame(message));
        while let Some(_told) = self
            .server
            .poll_event(&mut self.keyring, self.now)
            .expect("well-formed frames")
        {}
        let output = self.server.output().to_vec();
        self.server.advance_output(output.len());
        let (length, reply) = output.split_first_chunk().expect("a reply");
        assert_eq!(u32::from_be_bytes(*length) as usize, reply.len());
        reply.to_vec()
    }

    /// The keys that the agent shows.
    ///
    /// # Panics
    /// If it shows none of its list.
    pub fn list(&mut self) -> Vec<PublicKey> {
        match self.ask(AgentClient::identities) {
            Ok(AgentReply::Identities(list)) => list.into_iter().map(|one| one.key).collect(),
            other => panic!("{other:?}"),
        }
    }
}

/// A message with its length before it.
///
/// # Panics
/// Never: messages of tests are short.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&length.to_be_bytes()[..], message].concat()
}

/// A request as bytes.
pub fn encoded(request: &AgentRequest<'_>) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    request.encode(&mut out);
    out.to_vec()
}

/// A private key; the same for the same type and seed.
///
/// # Panics
/// If the provider has no such type.
pub fn private_key(key_type: &str, seed: u64) -> PrivateKey {
    let keys = provider().keys;
    let key = keys.generate(key_type, &mut TestRng::new(seed));
    key.expect("key type of the provider")
}

/// The answer of an agent that does not do it.
pub const REFUSED: Answer = Err(RequestFailed::Refused);
/// The answer of an agent that did it.
pub const DONE: Answer = Ok(AgentReply::Done);

/// No constraints.
pub fn none() -> KeyConstraints {
    KeyConstraints::default()
}

/// Has a key added.
pub fn add(pair: &mut AgentPair, key: &PrivateKey, constraints: &KeyConstraints) -> Answer {
    pair.ask(|client| client.add(key, &Comment::new("a comment"), constraints))
}

/// Has data signed.
pub fn sign(pair: &mut AgentPair, key: &PublicKey, data: &[u8]) -> Answer {
    pair.ask(|client| client.sign(key, data, SignFlags::NONE))
}

/// Holds an answer to be a signature of this key over this data.
///
/// # Panics
/// If it is not.
pub fn verify(key: &PublicKey, data: &[u8], answer: Answer) {
    let Ok(AgentReply::Signature(signature)) = answer else {
        panic!("{answer:?}");
    };
    let algorithm = provider().signature(signature.algorithm()).unwrap();
    algorithm.verify(key, data, &signature).unwrap();
}

/// A key of this type; the same for the same seed.
pub fn ed25519(seed: u64) -> (PrivateKey, PublicKey) {
    let key = private_key("ssh-ed25519", seed);
    let public = key.public_key();
    (key, public)
}

/// A pair whose agent has one key.
///
/// # Panics
/// If the agent does not take it.
pub fn with_key(constraints: &KeyConstraints) -> (AgentPair, PublicKey) {
    let mut pair = AgentPair::default();
    let (key, public) = ed25519(1);
    assert_eq!(add(&mut pair, &key, constraints), DONE);
    (pair, public)
}
