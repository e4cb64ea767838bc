//! What a server listens on for the programs of one session: the client's agent and display (RFC 4254 section 6.3, RFC 9987).

use std::io;
use std::path::PathBuf;

use ssh_proto::{ChannelId, ChannelKind, ChannelRequest, IncomingRequest};

use super::listen::{Listener, Purpose, bind_display};
use super::{Forwards, MAX_LISTENERS};
use crate::agent::PrivateSocket;

impl Forwards {
    /// Listens for programs of a session that look for the client's agent, as the session's
    /// `auth-agent-req@openssh.com` or `agent-req` asks for: the path for their `SSH_AUTH_SOCK`.
    /// The request is still to be answered. The socket, for this process's user only in a
    /// directory of its own, is gone with the session.
    ///
    /// # Errors
    /// What the system says; `QuotaExceeded` above 100 listeners; `InvalidInput` for other
    /// requests.
    pub fn serve_agent(&mut self, request: &IncomingRequest) -> io::Result<PathBuf> {
        let kind = match request.request() {
            ChannelRequest::AuthAgent => ChannelKind::AuthAgent,
            ChannelRequest::Agent => ChannelKind::AgentConnect,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let session = request.channel();
        let known = self.of_session(session).find_map(Listener::private_path);
        if let Some(path) = known {
            return Ok(path.to_owned());
        }
        if self.listeners.len() >= MAX_LISTENERS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (directory, listener) = PrivateSocket::bind()?;
        let path = directory.path().to_owned();
        self.add_listener(listener, Purpose::Agent(kind), Some(session))?;
        if let Some(listener) = self.listeners.last_mut() {
            listener.private = Some(directory);
        }
        Ok(path)
    }

    /// Listens for programs of a session that look for the client's display, as the session's
    /// `x11-req` asks for: the number of the display, so that their `DISPLAY` is
    /// `localhost:number.screen`. The request is still to be answered, and its cookie made known
    /// to them, as `xauth` does. The display is gone with the session, or after one connection if
    /// that is asked.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` if no display is free or the session has one;
    /// `QuotaExceeded` above 100 listeners; `InvalidInput` for other requests.
    pub fn serve_x11(&mut self, request: &IncomingRequest) -> io::Result<u16> {
        let ChannelRequest::X11 {
            single_connection, ..
        } = request.request()
        else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let session = request.channel();
        if self
            .of_session(session)
            .any(|listener| matches!(listener.purpose, Purpose::X11))
        {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Of two families, both need a place.
        if self.listeners.len() + 1 >= MAX_LISTENERS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (sockets, display) = bind_display()?;
        for socket in sockets {
            self.add_listener(socket, Purpose::X11, Some(session))?;
            if let Some(listener) = self.listeners.last_mut() {
                listener.once = *single_connection;
            }
        }
        Ok(display)
    }

    fn of_session(&self, session: ChannelId) -> impl Iterator<Item = &Listener> {
        let owner = Some(session);
        self.listeners
            .iter()
            .filter(move |open| open.owner == owner)
    }
}
