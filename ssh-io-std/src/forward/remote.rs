//! Remote forwarding: a client has the server listen for it, a server listens (RFC 4254 section 7.1, OpenSSH PROTOCOL section 2.4).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ssh_proto::{
    ChannelError, ChannelKind, Connection, Event, GlobalReply, GlobalRequest,
    IncomingGlobalRequest, RequestId, RequestRefused,
};

use super::listen::{Purpose, bind_asked, bind_private, path_bytes};
use super::{Forwards, Gateway, MAX_LISTENERS, Target};

/// Where a server is asked to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A port at an address of the server, in its words: `localhost`, or all addresses if it is
    /// empty. It chooses port 0.
    Tcp {
        /// The address.
        address: String,
        /// The port.
        port: u16,
    },
    /// A UNIX socket.
    Unix(PathBuf),
}

impl Bind {
    /// A port at an address of the server.
    pub fn tcp(address: impl Into<String>, port: u16) -> Self {
        let address = address.into();
        Self::Tcp { address, port }
    }
}

/// A client's: what the server was asked for, and where its connections go.
#[derive(Debug)]
pub(super) struct Remote {
    request: RequestId,
    /// With the port that the server chose.
    bind: Bind,
    granted: bool,
    /// `None`: the connections say themselves.
    target: Option<Target>,
}

impl Remote {
    /// Whether connections of this kind come of it.
    fn makes(&self, kind: &ChannelKind, exactly: bool) -> bool {
        self.granted
            && match (kind, &self.bind) {
                (
                    ChannelKind::ForwardedTcpip { address, port, .. },
                    Bind::Tcp {
                        address: asked,
                        port: bound,
                    },
                ) => *port == u32::from(*bound) && (!exactly || address == asked.as_bytes()),
                (ChannelKind::ForwardedStreamlocal { path }, Bind::Unix(asked)) => {
                    path == asked.as_os_str().as_bytes()
                }
                _ => false,
            }
    }
}

// Clients.
impl Forwards {
    /// Asks the server to listen, and connects to the target whoever connects there. The server's
    /// answer is the `GlobalReply` of this request; [`Self::remote_port`] knows it from then on.
    ///
    /// # Errors
    /// `NotOpen` before authentication; `Blocked` while as much waits as may, or above 100 of
    /// these; `Invalid`, `TooLong` for a path; `WrongRole` on a server; `Closed`.
    pub fn request_remote<C: Connection>(
        &mut self,
        connection: &mut C,
        bind: Bind,
        target: Target,
    ) -> Result<RequestId, ChannelError> {
        self.request_listener(connection, bind, Some(target))
    }

    /// As [`Self::request_remote`], where each connection says by SOCKS 4, 4a or 5 where to.
    ///
    /// # Errors
    /// As for [`Self::request_remote`].
    pub fn request_remote_socks<C: Connection>(
        &mut self,
        connection: &mut C,
        bind: Bind,
    ) -> Result<RequestId, ChannelError> {
        self.request_listener(connection, bind, None)
    }

    fn request_listener<C: Connection>(
        &mut self,
        connection: &mut C,
        bind: Bind,
        target: Option<Target>,
    ) -> Result<RequestId, ChannelError> {
        if self.remotes.len() >= MAX_LISTENERS {
            return Err(ChannelError::Blocked);
        }
        let asked = match &bind {
            Bind::Tcp { address, port } => GlobalRequest::TcpipForward {
                address: address.clone().into(),
                port: (*port).into(),
            },
            Bind::Unix(path) => GlobalRequest::StreamlocalForward {
                path: path_bytes(path),
            },
        };
        let request = connection.global_request(&asked, true)?;
        let request = request.ok_or(ChannelError::Blocked)?;
        self.remotes.push(Remote {
            request,
            bind,
            granted: false,
            target,
        });
        Ok(request)
    }

    /// The port on which the server listens by this request, zero for a UNIX socket. `None`: it
    /// does not, or has not answered yet.
    pub fn remote_port(&self, request: RequestId) -> Option<u16> {
        let mut remotes = self.remotes.iter();
        let remote = remotes.find(|remote| remote.granted && remote.request == request)?;
        match remote.bind {
            Bind::Tcp { port, .. } => Some(port),
            Bind::Unix(_) => Some(0),
        }
    }

    /// Has the server listen no more. Connections that come all the same are given back by
    /// [`Self::handle`].
    ///
    /// # Errors
    /// `NotOpen` if it does not listen; `Blocked` while as much waits as may; `Closed`.
    pub fn cancel_remote<C: Connection>(
        &mut self,
        connection: &mut C,
        request: RequestId,
    ) -> Result<(), ChannelError> {
        let mut remotes = self.remotes.iter();
        let at = remotes
            .position(|remote| remote.granted && remote.request == request)
            .ok_or(ChannelError::NotOpen)?;
        let cancel = match &self.remotes[at].bind {
            Bind::Tcp { address, port } => GlobalRequest::CancelTcpipForward {
                address: address.clone().into(),
                port: (*port).into(),
            },
            Bind::Unix(path) => GlobalRequest::CancelStreamlocalForward {
                path: path_bytes(path),
            },
        };
        connection.global_request(&cancel, false)?;
        self.remotes.remove(at);
        Ok(())
    }

    pub(super) fn remote_replied(
        &mut self,
        request: RequestId,
        result: &Result<GlobalReply, RequestRefused>,
    ) {
        let mut remotes = self.remotes.iter();
        let Some(at) = remotes.position(|remote| remote.request == request) else {
            return;
        };
        let Ok(reply) = result else {
            self.remotes.remove(at);
            return;
        };
        let remote = &mut self.remotes[at];
        remote.granted = true;
        if let (Bind::Tcp { port, .. }, Some(bound)) = (&mut remote.bind, reply.port()) {
            *port = bound;
        }
    }

    /// Where a connection goes that the server accepted for us; inside, `None` where it says so
    /// itself. Servers may write the address otherwise than it was asked for; the port decides then.
    pub(super) fn remote_target(&self, kind: &ChannelKind) -> Option<Option<Target>> {
        let find = |exactly| self.remotes.iter().find(|open| open.makes(kind, exactly));
        find(true)
            .or_else(|| find(false))
            .map(|remote| remote.target.clone())
    }
}

// Servers.
impl Forwards {
    /// Listens as a `tcpip-forward` or `streamlocal-forward` request asks for, without asking
    /// [`Self::permit_listen`], and answers it: with the port, where it left that to us.
    /// Listening ends when the client cancels it and with the connection.
    ///
    /// # Errors
    /// Why the request was refused: what the system says; `AddrInUse` for what the client has
    /// already; `QuotaExceeded` above 100 listeners; `InvalidInput` for other requests, and names
    /// in place of addresses.
    pub fn remote_forward<C: Connection>(
        &mut self,
        connection: &mut C,
        request: IncomingGlobalRequest,
        gateway: Gateway,
    ) -> io::Result<()> {
        let bound = self.bind_remote(request.request(), gateway);
        // An answer fails only where the connection has ended, which closes everything.
        let _ = match &bound {
            Ok(body) => connection.accept_global_request(request, body),
            Err(_) => connection.reject_global_request(request),
        };
        bound.map(drop)
    }

    /// Listens; the body of the reply.
    fn bind_remote(&mut self, request: &GlobalRequest, gateway: Gateway) -> io::Result<Vec<u8>> {
        match request {
            GlobalRequest::TcpipForward { address, port } => {
                let asked = u16::try_from(*port).map_err(|_| io::ErrorKind::InvalidInput)?;
                // Of two families, both need a place.
                if self.listeners.len() + 1 >= MAX_LISTENERS {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                let (listeners, port) = bind_asked(address, asked, gateway)?;
                for listener in listeners {
                    let purpose = Purpose::Tcpip {
                        address: address.clone(),
                        port: port.into(),
                    };
                    self.add_listener(listener, purpose, None)?;
                }
                Ok(match asked {
                    0 => u32::from(port).to_be_bytes().to_vec(),
                    _ => Vec::new(),
                })
            }
            GlobalRequest::StreamlocalForward { path } => {
                if self.listeners.len() >= MAX_LISTENERS {
                    return Err(io::ErrorKind::QuotaExceeded.into());
                }
                let listener = bind_private(Path::new(OsStr::from_bytes(path)))?;
                let path = path.clone();
                self.add_listener(listener, Purpose::Streamlocal { path }, None)?;
                Ok(Vec::new())
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Listens no more where the client asked for it; whether it had.
    fn unbind_remote(&mut self, cancel: &GlobalRequest) -> bool {
        let before = self.listeners.len();
        self.listeners
            .retain(|listener| match (&listener.purpose, cancel) {
                (
                    Purpose::Tcpip { address, port },
                    GlobalRequest::CancelTcpipForward {
                        address: asked,
                        port: asked_port,
                    },
                ) => (address, port) != (asked, asked_port),
                (
                    Purpose::Streamlocal { path },
                    GlobalRequest::CancelStreamlocalForward { path: asked },
                ) => path != asked,
                _ => true,
            });
        self.listeners.len() < before
    }

    pub(super) fn asked_by_peer<C: Connection>(
        &mut self,
        connection: &mut C,
        request: IncomingGlobalRequest,
    ) -> Option<Event> {
        match request.request() {
            GlobalRequest::TcpipForward { .. } | GlobalRequest::StreamlocalForward { .. } => {
                let Some(permit) = &mut self.permit_listen else {
                    return Some(Event::GlobalRequest(request));
                };
                match permit(request.request()) {
                    // The client knows that it was refused; nobody here asked.
                    Some(gateway) => drop(self.remote_forward(connection, request, gateway)),
                    None => drop(connection.reject_global_request(request)),
                }
            }
            cancel @ (GlobalRequest::CancelTcpipForward { .. }
            | GlobalRequest::CancelStreamlocalForward { .. }) => {
                let _ = match self.unbind_remote(cancel) {
                    true => connection.accept_global_request(request, &[]),
                    false => connection.reject_global_request(request),
                };
            }
            _ => return Some(Event::GlobalRequest(request)),
        }
        None
    }
}
