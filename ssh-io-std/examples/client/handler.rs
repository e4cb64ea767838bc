//! What the client asks while it logs in, and tells: the host key, prompts, signatures, and what was negotiated.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ssh_io_std::ClientHandler;
use ssh_proto::agent::SessionBinding;
use ssh_proto::crypto::Signature;
use ssh_proto::{Banner, Event, HostKeyCheck, Negotiated, Password, Prompts, SignRequest};

use crate::agent::Agent;
use crate::host::{Judge, Trust};
use crate::log;
use crate::prompt::Asker;

/// What a login gathers, for whoever chooses the methods and whoever answers within them.
pub(crate) struct State {
    pub(crate) trust: Trust,
    /// What an agent is told of the session.
    pub(crate) binding: Option<SessionBinding>,
    pub(crate) agent: Option<Agent>,
    pub(crate) asker: Asker,
    /// The server has asked something.
    pub(crate) prompted: bool,
}

/// [`State`], shared.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(asker: Asker) -> Self {
        Self(Arc::new(Mutex::new(State {
            trust: Trust::None,
            binding: None,
            agent: None,
            asker,
            prompted: false,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the client.
pub(crate) struct Handler {
    pub(crate) judge: Judge,
    pub(crate) shared: Shared,
    /// `user@host`, to say who asks.
    pub(crate) login: String,
    /// The user is to know of a key exchange that quantum computers could undo.
    pub(crate) warns: bool,
}

impl ClientHandler for Handler {
    fn host_key(&mut self, check: &HostKeyCheck) -> bool {
        let trust = self.judge.trust(check);
        self.shared.state().trust = trust;
        trust != Trust::None
    }

    fn prompts(&mut self, prompts: &Prompts) -> Option<Vec<Password>> {
        let mut state = self.shared.state();
        state.prompted = true;
        for text in [&prompts.name, &prompts.instruction] {
            if !text.is_empty() {
                log::info(text.trim_end().replace('\n', "\r\n"));
            }
        }
        let mut answers = Vec::new();
        for prompt in &prompts.prompts {
            // It is the server that says so.
            let text = format!("({}) {}", self.login, prompt.text);
            let answer = match prompt.echo {
                true => state.asker.ask(&text, true),
                false => state.asker.password(&text),
            };
            match answer {
                Ok(answer) => answers.push(Password::new(answer)),
                Err(error) => {
                    log::error(format!("read_passphrase: {error}"));
                    return None;
                }
            }
        }
        Some(answers)
    }

    fn sign(&mut self, request: &SignRequest) -> Option<Signature> {
        match self.shared.state().agent.as_mut()?.sign(request) {
            Ok(signature) => Some(signature),
            Err(error) => {
                log::info(format!("agent refused operation: {error}"));
                None
            }
        }
    }

    fn banner(&mut self, banner: &Banner) {
        log::info(
            banner
                .display()
                .to_string()
                .trim_end()
                .replace('\n', "\r\n"),
        );
    }

    #[cfg(feature = "gssapi")]
    fn gssapi_error(&mut self, error: &ssh_io_std::gssapi::Error) {
        log::debug(format!("gssapi-with-mic: {error}"));
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Identified(identification) => {
                log::debug(format!("Remote protocol: {identification}"))
            }
            Event::KeysChanged(negotiated) => {
                show_negotiated(negotiated);
                if !negotiated.is_rekey {
                    if self.warns && !negotiated.post_quantum {
                        log::info(NOT_POST_QUANTUM);
                    }
                    self.shared.state().binding = Some(binding(negotiated));
                }
            }
            Event::ExtInfo(info) => {
                for (name, value) in &info.extensions {
                    log::debug(format!(
                        "Server extension: {}={}",
                        name.escape_ascii(),
                        value.escape_ascii()
                    ));
                }
            }
            Event::Authenticated(proof) => {
                log::debug(format!(
                    "Authenticated as {} using \"{}\".",
                    proof.user(),
                    proof.method()
                ));
            }
            _ => {}
        }
    }
}

/// What OpenSSH says.
const NOT_POST_QUANTUM: &str = "\
** WARNING: connection is not using a post-quantum key exchange algorithm.\r
** This session may be vulnerable to \"store now, decrypt later\" attacks.\r
** The server may need to be upgraded. See https://openssh.com/pq.html";

fn binding(negotiated: &Negotiated) -> SessionBinding {
    SessionBinding {
        host_key: negotiated.host_key.clone(),
        session_id: negotiated.session_id.as_bytes().to_vec().into(),
        signature: negotiated.host_key_signature.clone(),
        is_forwarding: false,
    }
}

pub(crate) fn show_negotiated(negotiated: &Negotiated) {
    if negotiated.is_rekey {
        log::debug("keys were exchanged anew");
    }
    log::debug(format!("kex: algorithm: {}", negotiated.kex));
    log::debug(format!(
        "kex: host key algorithm: {}",
        negotiated.host_key_algorithm
    ));
    for (direction, suite) in [
        ("server->client", negotiated.server_to_client),
        ("client->server", negotiated.client_to_server),
    ] {
        log::debug(format!(
            "kex: {direction} cipher: {} MAC: {} compression: {}",
            suite.cipher,
            suite.mac.unwrap_or("<implicit>"),
            suite.compression
        ));
    }
    for weakness in negotiated.weaknesses() {
        log::debug(format!("kex: weak: {weakness:?}"));
    }
    let yes_no = |is| if is { "yes" } else { "no" };
    log::debug(format!(
        "kex: strict: {} post-quantum: {}",
        yes_no(negotiated.strict_kex),
        yes_no(negotiated.post_quantum)
    ));
}
