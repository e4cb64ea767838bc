//! Forwarding: what the flags ask for, once logged in, and what the server says to it (RFC 4254 section 7).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;

use ssh_io_std::{Bind, Forwards, ListenSocket, Target, X11Forward, bind_private};
use ssh_proto::agent::SessionBinding;
use ssh_proto::{
    ChannelError, ChannelId, ChannelKind, ClientConnection, Connection, Event, OpenFailure,
    RequestId, RequestRefused,
};

use crate::agent::Forwarded;
use crate::host::Trust;
use crate::log;
use crate::options::{Forward, Listen, Options, Side};
use crate::x11;

type Error = Box<dyn std::error::Error>;

/// Everything that is forwarded.
pub(crate) struct Forwarding {
    pub(crate) forwards: Forwards,
    wanted: Vec<Forward>,
    /// Asked of the server, which has not answered.
    asked: Vec<(RequestId, Forward)>,
    /// `ExitOnForwardFailure`.
    is_strict: bool,
    opens_ports: bool,
    unlinks: bool,
    agent: Option<PathBuf>,
    binding: Option<SessionBinding>,
    x11: Option<X11Forward>,
    x11_request: Option<RequestId>,
}

impl Forwarding {
    /// What the options say; `binding` is what an agent is told of the session. Nothing is
    /// forwarded for a host that is perhaps another one.
    pub(crate) fn new(
        options: &Options,
        binding: Option<SessionBinding>,
        trust: Trust,
    ) -> Result<Self, Error> {
        let mut forwarding = Self {
            forwards: Forwards::new(),
            wanted: options.forwards()?.to_vec(),
            asked: Vec::new(),
            is_strict: options.exit_on_forward_failure()?,
            opens_ports: options.gateway_ports()?,
            unlinks: options.unlinks_sockets()?,
            agent: options.forwarded_agent(),
            binding,
            x11: options.forwarded_display()?.and_then(x11::forward),
            x11_request: None,
        };
        if trust != Trust::Full {
            let wanted = [
                ("Agent", forwarding.agent.take().is_some()),
                ("X11", forwarding.x11.take().is_some()),
                ("Port", !std::mem::take(&mut forwarding.wanted).is_empty()),
            ];
            for (what, _) in wanted.iter().filter(|(_, is_wanted)| *is_wanted) {
                log::error(format!(
                    "{what} forwarding is disabled to avoid man-in-the-middle attacks."
                ));
                if forwarding.is_strict {
                    return Err("forwarding disabled due to host key check failure".into());
                }
            }
        }
        Ok(forwarding)
    }

    /// Listens here, and asks the server to.
    pub(crate) fn begin(&mut self, connection: &mut ClientConnection) -> Result<(), Error> {
        for forward in &std::mem::take(&mut self.wanted) {
            match forward.side {
                Side::Local => {
                    if let Err(error) = self.listen(forward) {
                        log::error(format!("cannot listen to {}: {error}", forward.listen));
                        if self.is_strict {
                            return Err("Could not request local forwarding.".into());
                        }
                    }
                }
                Side::Remote => match self.request(forward, connection) {
                    Ok(request) => self.asked.push((request, forward.clone())),
                    Err(error) => {
                        log::debug(format!("remote forward: {error}"));
                        self.refused(forward)?;
                    }
                },
            }
        }
        Ok(())
    }

    fn listen(&mut self, forward: &Forward) -> io::Result<()> {
        match &forward.listen {
            Listen::Port { host, port } => {
                let host = match host.as_deref() {
                    None if self.opens_ports => "*",
                    None => "localhost",
                    Some(host) => host,
                };
                for listener in bind(host, *port)? {
                    self.add(listener, forward.target.clone())?;
                }
            }
            Listen::Path(path) => {
                if self.unlinks {
                    // Mostly there is none.
                    let _ = fs::remove_file(path);
                }
                self.add(bind_private(path)?, forward.target.clone())?;
            }
        }
        log::debug(format!(
            "Local forwarding: {} to {}",
            forward.listen,
            forward.destination()
        ));
        Ok(())
    }

    fn add(&mut self, listener: impl Into<ListenSocket>, target: Option<Target>) -> io::Result<()> {
        match target {
            Some(target) => self.forwards.listen(listener, target)?,
            None => self.forwards.listen_socks(listener)?,
        };
        Ok(())
    }

    fn request(
        &mut self,
        forward: &Forward,
        connection: &mut ClientConnection,
    ) -> Result<RequestId, ChannelError> {
        let bind = match &forward.listen {
            Listen::Port { host, port } => {
                let host = match host.as_deref() {
                    None => "localhost",
                    Some("*") => "",
                    Some(host) => host,
                };
                Bind::tcp(host, *port)
            }
            Listen::Path(path) => Bind::Unix(path.clone()),
        };
        let forwards = &mut self.forwards;
        match forward.target.clone() {
            Some(target) => forwards.request_remote(connection, bind, target),
            None => forwards.request_remote_socks(connection, bind),
        }
    }

    /// Asks for what belongs to a session: the agent and the display.
    pub(crate) fn prepare(
        &mut self,
        session: ChannelId,
        connection: &mut ClientConnection,
    ) -> Result<(), Error> {
        if let Some(x11) = self.x11.take() {
            log::debug("Requesting X11 forwarding.");
            self.x11_request = connection.request(session, &x11.request(false), true)?;
            self.forwards.forward_x11(x11);
        }
        if let Some(path) = self.agent.as_ref().filter(|_| self.binding.is_some()) {
            log::debug(format!(
                "Requesting forwarding of agent {}.",
                path.display()
            ));
            connection.request_agent_forwarding(session, false)?;
        }
        Ok(())
    }

    /// Takes an event, and gives it back if it is about something else.
    pub(crate) fn handle(
        &mut self,
        event: Event,
        connection: &mut ClientConnection,
    ) -> Result<Option<Event>, Error> {
        let Some(event) = self.forwards.handle(event, connection) else {
            return Ok(None);
        };
        match event {
            Event::ChannelOpen(channel)
                if matches!(
                    channel.kind(),
                    ChannelKind::AuthAgent | ChannelKind::AgentConnect
                ) =>
            {
                let (Some(path), Some(binding)) = (&self.agent, &self.binding) else {
                    let reason = OpenFailure::ADMINISTRATIVELY_PROHIBITED;
                    let _ = connection.reject_channel(channel, reason, "");
                    return Ok(None);
                };
                let agent = Forwarded { path, binding };
                match agent.join(&mut self.forwards, connection, channel) {
                    Ok(channel) => log::debug(format!("channel {channel}: to the agent")),
                    Err(error) => log::info(format!("{}: {error}", path.display())),
                }
                Ok(None)
            }
            Event::GlobalReply { request, result } => {
                if let Some(at) = self.asked.iter().position(|(asked, _)| *asked == request) {
                    let (_, forward) = self.asked.swap_remove(at);
                    match result {
                        Ok(_) => self.granted(&forward, request),
                        Err(RequestRefused) => self.refused(&forward)?,
                    }
                }
                Ok(None)
            }
            Event::RequestReply {
                request, success, ..
            } if Some(request) == self.x11_request => {
                if !success {
                    log::info("X11 forwarding request failed on channel 0");
                    if self.is_strict {
                        return Err("X11 forwarding failed".into());
                    }
                }
                Ok(None)
            }
            event => Ok(Some(event)),
        }
    }

    fn granted(&self, forward: &Forward, request: RequestId) {
        let destination = forward.destination();
        log::debug(format!(
            "remote forward success for: listen {}, connect {destination}",
            forward.listen
        ));
        if let (Listen::Port { port: 0, .. }, Some(port)) =
            (&forward.listen, self.forwards.remote_port(request))
        {
            log::info(format!(
                "Allocated port {port} for remote forward to {destination}"
            ));
        }
    }

    fn refused(&self, forward: &Forward) -> Result<(), Error> {
        let message = format!(
            "remote port forwarding failed for listen {}",
            forward.listen
        );
        if self.is_strict {
            return Err(format!("Error: {message}").into());
        }
        log::info(format!("Warning: {message}"));
        Ok(())
    }
}

/// Listens on every address that a name stands for, as far as they can be had.
fn bind(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let addresses: Vec<SocketAddr> = match host {
        "localhost" => loopback().map(|address| (address, port).into()).into(),
        // Mostly the second is served by the socket of the first.
        "" | "*" => everywhere().map(|address| (address, port).into()).into(),
        host => (host, port).to_socket_addrs()?.collect(),
    };
    let mut failed = io::ErrorKind::NotFound.into();
    let mut listeners = Vec::new();
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed = error,
        }
    }
    match listeners.is_empty() {
        true => Err(failed),
        false => Ok(listeners),
    }
}

fn loopback() -> [IpAddr; 2] {
    [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
}

fn everywhere() -> [IpAddr; 2] {
    [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]
}
