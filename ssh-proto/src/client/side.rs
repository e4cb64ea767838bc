//! The client's half of the engine: between its state of authentication (RFC 4252) and its events.

use alloc::string::String;
use alloc::sync::Arc;

use bytes::Bytes;

use super::ClientEvent;
use crate::auth::{Client, ClientAsk, Turn};
use crate::crypto::{PublicKey, Signature};
use crate::engine::Settings;
use crate::engine::event::Event;
use crate::engine::host_keys::HostKeyNews;
use crate::engine::side::{AuthProgress, AuthResult, Pause, Side};
use crate::engine::token::{
    AuthTurn, Desk, GssapiTurn, HostKeyCheck, PromptsRequest, SignRequest, Ticket,
};
use crate::error::{ApiMisuse, Error};
use crate::role::Role;
use crate::transport::kex::SessionId;
use crate::wire::extension::ExtInfo;
use crate::wire::outbox::Outbox;

/// The client's half of the engine.
pub struct ClientSide {
    pub(super) user: String,
    pub(super) refuse_trivial_success: bool,
    /// From the first keys on.
    pub(super) auth: Option<Client>,
    /// The server announced `agent-forward`: it takes the names of RFC 9987.
    pub(super) knows_agent_req: bool,
}

impl ClientSide {
    pub(super) fn auth(&mut self) -> Result<&mut Client, Error> {
        self.auth
            .as_mut()
            .ok_or(Error::Internal("authentication before the first keys"))
    }

    pub(super) fn progress(ask: Option<ClientAsk>, desk: &Arc<Desk>) -> AuthProgress<ClientEvent> {
        let Some(ask) = ask else {
            return AuthProgress::Continues;
        };
        match ask {
            ClientAsk::Turn(Turn { outcome, methods }) => {
                Self::question(Pause::AuthTurn, desk, |ticket| {
                    ClientEvent::Auth(AuthTurn {
                        ticket,
                        outcome,
                        methods,
                    })
                })
            }
            ClientAsk::Sign {
                key,
                algorithm,
                message,
            } => Self::question(Pause::UserSign, desk, |ticket| {
                Event::Sign(SignRequest {
                    ticket,
                    key,
                    algorithm,
                    message: message.into(),
                })
                .into()
            }),
            ClientAsk::Prompts(prompts) => Self::question(Pause::Prompts, desk, |ticket| {
                ClientEvent::Prompts(PromptsRequest { ticket, prompts })
            }),
            ClientAsk::Gssapi(ask) => Self::question(Pause::Gssapi, desk, |ticket| {
                ClientEvent::Gssapi(GssapiTurn { ticket, ask })
            }),
            ClientAsk::GssapiError(error) => AuthProgress::Tell(ClientEvent::GssapiError(error)),
            ClientAsk::Banner(banner) => AuthProgress::Tell(ClientEvent::Banner(banner)),
            ClientAsk::Authenticated(proof) => AuthProgress::Authenticated(proof),
        }
    }

    fn question(
        pause: Pause,
        desk: &Arc<Desk>,
        event: impl FnOnce(Ticket) -> ClientEvent,
    ) -> AuthProgress<ClientEvent> {
        let (ticket, stub) = Ticket::new(desk);
        AuthProgress::Ask(pause, stub, event(ticket))
    }
}

impl Side for ClientSide {
    type Event = ClientEvent;

    const ROLE: Role = Role::Client;

    fn keys_established(
        &mut self,
        session_id: &SessionId,
        host_key: &PublicKey,
        settings: &Settings,
        outbox: &mut Outbox,
    ) {
        let auth = Client::new(
            Bytes::copy_from_slice(session_id.as_bytes()),
            host_key.clone(),
            &self.user,
            &settings.limits,
            settings.signatures.clone(),
            self.refuse_trivial_success,
        );
        self.auth.insert(auth).start(outbox);
    }

    fn host_key(check: HostKeyCheck) -> Result<ClientEvent, Error> {
        Ok(ClientEvent::HostKey(check))
    }

    fn host_key_news(news: HostKeyNews) -> Option<ClientEvent> {
        Some(match news {
            HostKeyNews::Announced(keys) => ClientEvent::HostKeys(keys),
            HostKeyNews::Proved(Ok(keys)) => ClientEvent::HostKeysProved(keys),
            HostKeyNews::Proved(Err(error)) => ClientEvent::HostKeysNotProved(error),
        })
    }

    fn peer_extensions(&mut self, info: &ExtInfo<'_>) {
        self.knows_agent_req |= info.value(b"agent-forward") == Some(b"0");
        let Some(auth) = &mut self.auth else { return };
        if let Some(names) = info.value(b"server-sig-algs") {
            auth.set_server_sig_algs(names);
        }
        // The value is the version; there is only the first (OpenSSH PROTOCOL section 3.1).
        if info.value(b"publickey-hostbound@openssh.com") == Some(b"0") {
            auth.set_hostbound();
        }
    }

    fn handle_auth(
        &mut self,
        payload: &[u8],
        desk: &Arc<Desk>,
        _: &mut Outbox,
    ) -> AuthResult<ClientEvent> {
        Ok(Self::progress(self.auth()?.handle(payload)?, desk))
    }

    fn settle(&mut self, _: Pause, desk: &Arc<Desk>, _: &mut Outbox) -> AuthResult<ClientEvent> {
        Ok(Self::progress(Some(self.auth()?.abandon()?), desk))
    }

    fn provide_signature(
        &mut self,
        signature: &Signature,
        outbox: &mut Outbox,
    ) -> Result<(), ApiMisuse> {
        let auth = self.auth.as_mut().ok_or(ApiMisuse::StaleToken)?;
        auth.provide_signature(signature, outbox)
    }

    fn has_withheld_failure(&self) -> bool {
        false
    }

    fn release_failure(&mut self, _: &mut Outbox) {}
}
