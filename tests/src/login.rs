//! A pair at the client's first turn to authenticate, whose events the test answers itself.

use ssh_proto::error::{DisconnectReason, Error, Limit};
use ssh_proto::{
    AuthRequest, AuthTurn, ClientConnection, ClientEvent, Connection, Disconnected, Password,
    ServerConnection, ServerEvent,
};

use crate::endpoint::Inbox;
use crate::fixtures;
use crate::pair::Pair;
use crate::take;

/// A pair whose events the test answers itself, at the client's first turn.
#[derive(Debug)]
pub struct Login {
    /// The pair.
    pub pair: Pair,
    /// The client's events.
    pub client: Inbox<ClientConnection>,
    /// The server's events.
    pub server: Inbox<ServerConnection>,
}

impl Login {
    /// Accepts the host key.
    ///
    /// # Panics
    /// If the client does not get to its turn.
    pub fn new(pair: Pair) -> Self {
        let (client, server) = (Inbox::new(), Inbox::new());
        let mut login = Self {
            pair,
            client,
            server,
        };
        login.run();
        let check = take!(login.client.events, ClientEvent::HostKey(check) => check);
        login.pair.client.accept_host_key(check).expect("own token");
        login.run();
        login
    }

    /// Runs until nothing is left to do.
    pub fn run(&mut self) {
        self.pair.run(&mut self.client, &mut self.server);
    }

    /// The client's turn.
    ///
    /// # Panics
    /// If it is not.
    pub fn turn(&mut self) -> AuthTurn {
        take!(self.client.events, ClientEvent::Auth(turn) => turn)
    }

    /// What the server is asked.
    ///
    /// # Panics
    /// If it is not asked.
    pub fn request(&mut self) -> AuthRequest {
        take!(self.server.events, ServerEvent::Auth(request) => request)
    }

    /// The client sends this password; the server is asked.
    ///
    /// # Panics
    /// If it is not the client's turn.
    pub fn password(&mut self, password: &str) -> AuthRequest {
        let turn = self.turn();
        let password = Password::new(password);
        self.pair
            .client
            .auth_password(turn, &password)
            .expect("own token");
        self.run();
        self.request()
    }

    /// The server admits the client.
    ///
    /// # Panics
    /// If the request is not of this pair.
    pub fn accept(&mut self, request: AuthRequest) {
        self.pair.server.accept_auth(request).expect("own token");
        self.run();
    }

    /// The server refuses the client.
    ///
    /// # Panics
    /// If the request is not of this pair.
    pub fn reject(&mut self, request: AuthRequest) {
        self.pair
            .server
            .reject_auth(request, None)
            .expect("own token");
        self.run();
    }

    /// Asserts that both sides hold the proof, by this method.
    ///
    /// # Panics
    /// If not.
    pub fn assert_authenticated(&self, method: &str) {
        for proof in [
            self.pair.client.authenticated(),
            self.pair.server.authenticated(),
        ] {
            let proof = proof.expect("authenticated");
            assert_eq!((proof.user(), proof.method()), (fixtures::USER, method));
        }
    }

    /// Asserts that the server ended it at this limit and told the client this reason.
    ///
    /// # Panics
    /// If not.
    pub fn assert_server_ended(&self, limit: Limit, reason: DisconnectReason) {
        let error = Error::LimitExceeded(limit);
        assert_eq!(self.pair.server_end(), Some(&Disconnected::Error(error)));
        let Some(Disconnected::ByPeer { reason: said, .. }) = self.pair.client_end() else {
            panic!("{:?}", self.pair.client_end());
        };
        assert_eq!(*said, reason);
    }
}
