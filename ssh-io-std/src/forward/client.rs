//! Forwarding in the blocking client: it goes on in every call that waits (RFC 4254 section 7).

use std::time::{Duration, Instant};

use ssh_proto::{ChannelError, Event, RequestId};

use super::{Bind, Forwards, Target};
use crate::client::Client;
use crate::error::ClientError;
use crate::transport::Wait;

/// Forwarding. It goes on in every call that waits for the server, those of a
/// [`Session`](crate::Session) included, and in [`Self::serve`]:
///
/// ```no_run
/// # fn forward(client: &mut ssh_io_std::Client<std::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::TcpListener;
/// use ssh_io_std::{Bind, Target};
///
/// let local = TcpListener::bind("127.0.0.1:8080")?;
/// client.forwards().listen(local, Target::tcp("intranet", 80))?;
/// client.forward_remote(Bind::tcp("localhost", 2222), Target::tcp("localhost", 22))?;
/// client.serve(None)?; // Until the connection ends.
/// # Ok(())
/// # }
/// ```
impl<T: Wait> Client<T> {
    /// What is forwarded on this connection, to add to it.
    pub fn forwards(&mut self) -> &mut Forwards {
        &mut self.forwards
    }

    /// Has the server listen, and connects to the target whoever connects there. The port, where
    /// the server chose it, is [`Forwards::remote_port`] of the request.
    ///
    /// # Errors
    /// `RequestRefused` if the server does not; `Channel`, `Disconnected`, `Io`.
    pub fn forward_remote(&mut self, bind: Bind, target: Target) -> Result<RequestId, ClientError> {
        let connection = self.driver.connection_mut();
        let asked = self.forwards.request_remote(connection, bind, target);
        self.granted(asked)
    }

    /// As [`Self::forward_remote`], where each connection says by SOCKS where to.
    ///
    /// # Errors
    /// As for [`Self::forward_remote`].
    pub fn forward_remote_socks(&mut self, bind: Bind) -> Result<RequestId, ClientError> {
        let connection = self.driver.connection_mut();
        let asked = self.forwards.request_remote_socks(connection, bind);
        self.granted(asked)
    }

    fn granted(
        &mut self,
        asked: Result<RequestId, ChannelError>,
    ) -> Result<RequestId, ClientError> {
        let asked = asked.map_err(|error| self.explain(error))?;
        loop {
            match self.step()? {
                Some(Event::GlobalReply { request, result }) if request == asked => {
                    return result
                        .map(|_| asked)
                        .map_err(|_| ClientError::RequestRefused);
                }
                _ => {}
            }
        }
    }

    /// Has the server listen no more.
    ///
    /// # Errors
    /// `Channel`, `Disconnected`.
    pub fn cancel_remote(&mut self, request: RequestId) -> Result<(), ClientError> {
        let connection = self.driver.connection_mut();
        let cancelled = self.forwards.cancel_remote(connection, request);
        cancelled.map_err(|error| self.explain(error))?;
        self.driver.transmit();
        Ok(())
    }

    /// Forwards until the connection ends, which is an error, or `at_most` so long.
    ///
    /// # Errors
    /// `Disconnected`, `Io`.
    pub fn serve(&mut self, at_most: Option<Duration>) -> Result<(), ClientError> {
        let until = at_most.and_then(|time| Instant::now().checked_add(time));
        loop {
            while let Some(event) = self.driver.poll_event() {
                self.handle(event);
            }
            if self.driver.is_finished() {
                return Err(self.ended());
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            self.go_on(left)?;
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
        }
    }
}
