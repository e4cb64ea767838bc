//! The questions of a connection of either role, and how a policy answers them.

use ssh_proto::crypto::Signature;
use ssh_proto::error::ApiMisuse;
use ssh_proto::{
    AuthMethod, AuthOutcome, AuthRequest, AuthTurn, ChannelId, ClientConnection, ClientEvent,
    Connection, Event, GlobalRequest, GssapiStep, GssapiTurn, HostKeyCheck, Incoming,
    IncomingChannel, IncomingGlobalRequest, KeyQuery, MethodSet, OpenFailure, Password,
    Permissions, Prompt, Prompts, PromptsRequest, Restrictions, ServerConnection, ServerEvent,
    ServerGssapi, UnverifiedAttempt,
};

use crate::provider::{NullKey, SIGNATURE, SIGNATURES, public_key};

/// Kerberos, as it is offered in `gssapi-with-mic`.
pub(crate) const MECHANISM: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

/// Every method of authentication.
pub(crate) const METHODS: MethodSet = MethodSet::PUBLICKEY
    .union(MethodSet::PASSWORD)
    .union(MethodSet::KEYBOARD_INTERACTIVE)
    .union(MethodSet::HOSTBASED)
    .union(MethodSet::GSSAPI_WITH_MIC);

/// The tokens of a mechanism whose context takes them one after the other: the client's first, the
/// server's answer, the client's next and the server's last. A client that has only one sends
/// `ONLY`.
const TOKENS: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
const ONLY: &[u8] = b"only";

/// A question of either role, or an event of both.
pub(crate) enum Told {
    HostKey(HostKeyCheck),
    Turn(AuthTurn),
    Prompts(PromptsRequest),
    Gssapi(GssapiTurn),
    Incoming(Incoming),
    Query(KeyQuery),
    Unverified(UnverifiedAttempt),
    Auth(AuthRequest),
    Shared(Event),
    /// What one call of `prove_host_keys` has come to.
    Proof,
    Other(String),
}

impl Told {
    /// Whether it is a token that waits for an answer.
    pub(crate) fn is_question(&self) -> bool {
        match self {
            Self::Shared(event) => matches!(
                event,
                Event::Sign(_)
                    | Event::ChannelOpen(_)
                    | Event::Request(_)
                    | Event::GlobalRequest(_)
                    | Event::MacError {
                        forged: Some(_),
                        ..
                    }
            ),
            Self::Proof | Self::Other(_) => false,
            _ => true,
        }
    }

    /// It in short.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::HostKey(check) => format!("host key {}", check.algorithm()),
            Self::Turn(turn) => format!("turn {:?}", turn.outcome()),
            Self::Prompts(request) => format!("prompts {:?}", request.prompts()),
            Self::Gssapi(turn) => format!("gssapi {:?}", turn.step()),
            Self::Incoming(incoming) => format!("incoming {}", incoming.identification()),
            Self::Query(query) => format!("query {}", query.user()),
            Self::Unverified(attempt) => format!("unverified {}", attempt.user()),
            Self::Auth(request) => format!("auth {} {:?}", request.user(), request.method()),
            Self::Shared(Event::ChannelOpen(token)) => {
                format!("open {} {:?}", token.id(), token.kind())
            }
            Self::Shared(Event::Request(token)) => format!("request {:?}", token.request()),
            Self::Shared(Event::GlobalRequest(token)) => format!("global {:?}", token.request()),
            Self::Shared(Event::Sign(request)) => format!("sign {:?}", request.message()),
            Self::Shared(event) => format!("{event:?}"),
            Self::Proof => "proof".into(),
            Self::Other(line) => line.clone(),
        }
    }
}

/// What came of a call that only one role has.
pub(crate) enum Made {
    Nothing,
    /// A channel is to be opened.
    Channel(ChannelId),
    /// A reply to a request on the channel is due.
    Request(ChannelId),
    /// A proof of host keys is due.
    Proof,
}

/// A connection of either role, its questions answered alike.
pub(crate) trait Endpoint: Connection {
    fn next(&mut self) -> Option<Told>;

    /// Answers a question of this role. Stale tokens are errors, and no fault.
    fn answer(&mut self, told: Told, policy: Policy);

    /// A call that only this role has, perhaps on this channel.
    fn own_call(&mut self, argument: u8, channel: Option<ChannelId>) -> Made;
}

impl Endpoint for ClientConnection {
    fn next(&mut self) -> Option<Told> {
        Some(match self.poll_event()? {
            ClientEvent::HostKey(check) => Told::HostKey(check),
            ClientEvent::Auth(turn) => Told::Turn(turn),
            ClientEvent::Prompts(request) => Told::Prompts(request),
            ClientEvent::Gssapi(turn) => Told::Gssapi(turn),
            ClientEvent::HostKeysProved(_) | ClientEvent::HostKeysNotProved(_) => Told::Proof,
            ClientEvent::Shared(event) => Told::Shared(event),
            other => Told::Other(format!("{other:?}")),
        })
    }

    fn answer(&mut self, told: Told, policy: Policy) {
        let _ = match told {
            Told::HostKey(check) if policy.accepts() => self.accept_host_key(check),
            Told::HostKey(check) => self.reject_host_key(check),
            Told::Turn(turn) => attempt(self, turn, policy),
            Told::Prompts(request) if policy.accepts() => {
                let count = request.prompts().prompts.len();
                let answers: Vec<_> = (0..count).map(|_| Password::new("answer")).collect();
                self.answer_prompts(request, &answers)
            }
            Told::Prompts(request) => self.abandon_method(request),
            Told::Gssapi(turn) => client_step(self, turn, policy),
            _ => Ok(()),
        };
    }

    fn own_call(&mut self, argument: u8, channel: Option<ChannelId>) -> Made {
        let asked = match (argument & 3, channel) {
            (0, _) => self.prove_host_keys(&SIGNATURES.map(public_key)),
            (1, _) => self.prove_host_keys(&[public_key(SIGNATURES[usize::from(argument >> 7)])]),
            (2, Some(id)) => {
                return match self.request_agent_forwarding(id, argument & 4 == 0) {
                    Ok(Some(_)) => Made::Request(id),
                    _ => Made::Nothing,
                };
            }
            _ => {
                return self
                    .ping(&[argument; 40])
                    .map_or(Made::Nothing, |()| Made::Nothing);
            }
        };
        asked.map_or(Made::Nothing, |()| Made::Proof)
    }
}

/// An attempt to log in, by the upper half of the policy. From 10 on it changes a password, which
/// no server of ours asks for by itself.
fn attempt(client: &mut ClientConnection, turn: AuthTurn, policy: Policy) -> Result<(), ApiMisuse> {
    let key = NullKey::new(SIGNATURES[0]);
    let public = public_key(SIGNATURES[0]);
    let password = Password::new("secret");
    match (policy.0 >> 4, turn.outcome()) {
        (_, AuthOutcome::KeyUsable(_)) | (4, _) => client.auth_publickey(turn, &*key),
        (0, _) => client.auth_none(turn),
        (1, _) => client.auth_password(turn, &password),
        (2, _) => client.auth_keyboard_interactive(turn, "pam"),
        (3, _) => client.auth_hostbased(turn, &*key, "host.example.", "alice"),
        (5 | 7, _) => client.auth_gssapi(turn, &[MECHANISM]),
        (6, _) => client.auth_publickey_remote(turn, &public),
        (8, _) => client.query_publickey(turn, &public_key(SIGNATURES[1])),
        (9, _) => client.auth_hostbased_remote(turn, &public, "host.example.", "alice"),
        _ => client.auth_password_change(turn, &password, &Password::new("better")),
    }
}

fn client_step(
    client: &mut ClientConnection,
    turn: GssapiTurn,
    policy: Policy,
) -> Result<(), ApiMisuse> {
    let mic = Some(&b"mic"[..]);
    let token = match turn.step() {
        _ if !policy.accepts() => return client.gssapi_fail(turn, Some(b"why")),
        GssapiStep::Selected(_) if policy.0 & 0x20 != 0 => {
            return client.gssapi_finish(turn, Some(ONLY), mic);
        }
        GssapiStep::Selected(_) => TOKENS[0],
        GssapiStep::Token(token) if token == TOKENS[1] => TOKENS[2],
        _ => return client.gssapi_finish(turn, None, mic),
    };
    client.gssapi_token(turn, token)
}

impl Endpoint for ServerConnection {
    fn next(&mut self) -> Option<Told> {
        Some(match self.poll_event()? {
            ServerEvent::Incoming(incoming) => Told::Incoming(incoming),
            ServerEvent::KeyQuery(query) => Told::Query(query),
            ServerEvent::Unverified(attempt) => Told::Unverified(attempt),
            ServerEvent::Auth(request) => Told::Auth(request),
            ServerEvent::Shared(event) => Told::Shared(event),
            other => Told::Other(format!("{other:?}")),
        })
    }

    fn answer(&mut self, told: Told, policy: Policy) {
        let _ = match told {
            Told::Incoming(incoming) if policy.accepts() => self.admit(incoming),
            Told::Incoming(incoming) => {
                let reason = ssh_proto::error::DisconnectReason::TOO_MANY_CONNECTIONS;
                self.refuse(incoming, reason, "later")
            }
            Told::Query(query) => self.answer_key_query(query, policy.accepts()),
            Told::Unverified(attempt) if policy.accepts() => self.verify_attempt(attempt),
            Told::Unverified(attempt) => self.refuse_attempt(attempt),
            Told::Auth(request) if policy.accepts() => grant(self, request, policy),
            Told::Auth(request) => refuse(self, request, policy),
            _ => Ok(()),
        };
    }

    fn own_call(&mut self, argument: u8, _: Option<ChannelId>) -> Made {
        match argument & 3 {
            0 | 1 => {
                return self
                    .open_agent_channel()
                    .map_or(Made::Nothing, Made::Channel);
            }
            2 => drop(self.send_banner("look")),
            _ => drop(self.announce_signature_algorithms(&[SIGNATURES[0]])),
        }
        Made::Nothing
    }
}

/// A step towards success: one prompt fewer in each round, one token after the other.
fn grant(
    server: &mut ServerConnection,
    mut request: AuthRequest,
    policy: Policy,
) -> Result<(), ApiMisuse> {
    if policy.0 & 0x20 != 0 {
        request.restrict(&Restrictions::new(Permissions::PTY | Permissions::AGENT));
    }
    let prompts = match request.method() {
        AuthMethod::KeyboardInteractive { .. } => usize::from(policy.0 >> 6) + 2,
        AuthMethod::KeyboardInteractiveResponses(given) => given.len(),
        AuthMethod::Gssapi(ServerGssapi::Mechanisms(oids)) => {
            let oid = oids.last().cloned().unwrap_or_default();
            return server.select_gssapi_mechanism(request, &oid);
        }
        AuthMethod::Gssapi(ServerGssapi::Token(token)) => {
            return match &token[..] {
                token if token == TOKENS[0] => server.gssapi_token(request, TOKENS[1]),
                token if token == TOKENS[2] => server.gssapi_established(request, Some(TOKENS[3])),
                _ => server.gssapi_established(request, None),
            };
        }
        AuthMethod::Gssapi(ServerGssapi::ErrorToken(_)) => {
            return server.reject_auth(request, None);
        }
        _ => 0,
    };
    match prompts.checked_sub(1) {
        None => server.accept_auth(request),
        Some(left) => {
            let prompts = vec![Prompt::new("?", policy.keeps()); left];
            server.prompt_auth(request, &Prompts::new("", "answer", prompts))
        }
    }
}

fn refuse(
    server: &mut ServerConnection,
    request: AuthRequest,
    policy: Policy,
) -> Result<(), ApiMisuse> {
    match (policy.0 >> 6, request.method()) {
        (0, _) => server.accept_auth_partially(request, METHODS),
        (1, _) => server.request_password_change(request, "too old"),
        (2, AuthMethod::Gssapi(ServerGssapi::Token(_))) => {
            server.gssapi_error(request, 1, 2, "no", Some(b"why"))
        }
        (2, _) => server.reject_unknown_user(request, Some(MethodSet::PASSWORD)),
        _ => server.reject_auth(request, None),
    }
}

/// How the application answers: bit 0 refuses, bit 1 puts tokens aside, bit 2 drops them, bit 3
/// leaves data unread; the upper half chooses among ways.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy(pub(crate) u8);

impl Policy {
    pub(crate) fn accepts(self) -> bool {
        self.0 & 1 == 0
    }

    pub(crate) fn keeps(self) -> bool {
        self.0 & 2 != 0
    }

    pub(crate) fn drops(self) -> bool {
        self.0 & 6 == 4
    }

    pub(crate) fn reads(self) -> bool {
        self.0 & 8 == 0
    }

    /// Answers a question that both roles are asked, but for opens.
    pub(crate) fn answer(self, conn: &mut impl Connection, event: Event) {
        let _ = match event {
            Event::Request(token) if self.accepts() => conn.accept_request(token),
            Event::Request(token) => conn.reject_request(token),
            Event::GlobalRequest(token) if self.accepts() => self.answer_global(conn, token),
            Event::GlobalRequest(token) => conn.reject_global_request(token),
            Event::Sign(request) if self.accepts() => {
                let signature = Signature::new(request.algorithm(), SIGNATURE);
                conn.provide_signature(request, &signature)
            }
            Event::Sign(request) => conn.decline_signature(request),
            Event::MacError {
                forged: Some(packet),
                ..
            } if self.accepts() => conn.accept_forged(packet),
            _ => Ok(()),
        };
    }

    fn answer_global(
        self,
        conn: &mut impl Connection,
        token: IncomingGlobalRequest,
    ) -> Result<(), ApiMisuse> {
        match token.request() {
            GlobalRequest::TcpipForward { port, .. } if self.0 & 0x80 == 0 => {
                let port = u16::try_from(*port).unwrap_or_default().max(1);
                conn.accept_tcpip_forward(token, port)
            }
            // Whether the peer can make anything of it or not.
            _ if self.0 & 0x40 != 0 => conn.accept_global_request(token, &[0, 0, 0, 22]),
            _ => conn.accept_global_request(token, &[]),
        }
    }

    /// Answers an open; the channel, if there is one now.
    pub(crate) fn answer_open(
        self,
        conn: &mut impl Connection,
        token: IncomingChannel,
    ) -> Option<ChannelId> {
        if self.accepts() {
            return conn.accept_channel(token).ok();
        }
        let _ = conn.reject_channel(token, OpenFailure::CONNECT_FAILED, "no");
        None
    }
}
