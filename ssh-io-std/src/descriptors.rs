//! A transport of two descriptors: standard input and output of a program that stands between, such as one of inetd or `ProxyCommand`.

use std::io;
use std::time::Duration;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{Shutdown, shutdown, sockopt};

use crate::transport::{Interest, Transport, Wait, poll_all};

/// A transport that receives from one descriptor and sends to another: two pipes, or one socket
/// twice. For a program that was started with them as its standard input and output, duplicate those
/// (`BorrowedFd::try_clone_to_owned`).
///
/// Preparing it makes both non-blocking, for everyone who shares them.
#[derive(Debug)]
pub struct Descriptors {
    input: OwnedFd,
    /// Until nothing more is sent.
    output: Option<OwnedFd>,
}

impl Descriptors {
    /// A transport that receives from `input` and sends to `output`.
    pub const fn new(input: OwnedFd, output: OwnedFd) -> Self {
        let output = Some(output);
        Self { input, output }
    }

    /// What to wait for, by [`poll_all`] beside others.
    pub fn entries(&self, interest: Interest) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let (read, write) = (interest.read, interest.write);
        let input = read.then_some((self.input.as_fd(), Interest { read, write: false }));
        let output = self.output.as_ref().filter(|_| write);
        let output = output.map(|output| (output.as_fd(), Interest { read: false, write }));
        input.into_iter().chain(output)
    }
}

impl Transport for Descriptors {
    fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.input, buffer)?)
    }

    fn send(&mut self, data: &[u8]) -> io::Result<usize> {
        let output = self.output.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(rustix::io::write(output, data)?)
    }

    fn shutdown(&mut self) -> io::Result<bool> {
        let Some(output) = self.output.take() else {
            return Ok(true);
        };
        // Closing a pipe is the end of it.
        match shutdown(output, Shutdown::Write) {
            Ok(()) | Err(Errno::NOTSOCK | Errno::NOTCONN) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

impl Wait for Descriptors {
    fn prepare(&mut self) -> io::Result<()> {
        ioctl_fionbio(&self.input, true)?;
        if let Some(output) = &self.output {
            ioctl_fionbio(output, true)?;
            // Of a socket of TCP alone.
            let _ = sockopt::set_tcp_nodelay(output, true);
        }
        Ok(())
    }

    fn wait(&mut self, interest: Interest, timeout: Option<Duration>) -> io::Result<()> {
        poll_all(self.entries(interest), timeout)
    }

    fn wait_with(
        &mut self,
        interest: Interest,
        others: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        poll_all(
            self.entries(interest).chain(others.iter().copied()),
            timeout,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_blocked(result: io::Result<usize>) -> bool {
        matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    #[test]
    fn pipes_carry_each_direction() {
        let (there, from_here) = io::pipe().unwrap();
        let (here, from_there) = io::pipe().unwrap();
        let mut near = Descriptors::new(here.into(), from_here.into());
        let mut far = Descriptors::new(there.into(), from_there.into());
        near.prepare().unwrap();
        far.prepare().unwrap();
        let mut buffer = [0; 8];
        assert!(is_blocked(near.recv(&mut buffer)));
        assert_eq!(far.send(b"abc").unwrap(), 3);
        near.wait(
            Interest {
                read: true,
                write: false,
            },
            None,
        )
        .unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), 3);
        // One direction ends without the other.
        assert!(far.shutdown().unwrap() && far.send(b"x").is_err());
        assert_eq!(near.recv(&mut buffer).unwrap(), 0);
        assert_eq!(near.send(b"d").unwrap(), 1);
        assert_eq!(far.recv(&mut buffer).unwrap(), 1);
        let both = Interest {
            read: true,
            write: true,
        };
        assert_eq!(
            (near.entries(both).count(), far.entries(both).count()),
            (2, 1)
        );
    }

    #[test]
    fn one_socket_is_both() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = Descriptors::new(near.try_clone().unwrap().into(), near.into());
        near.prepare().unwrap();
        Transport::send(&mut far, b"in").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(near.recv(&mut buffer).unwrap(), 2);
        assert!(near.shutdown().unwrap());
        assert_eq!(Transport::recv(&mut far, &mut buffer).unwrap(), 0);
        Transport::send(&mut far, b"more").unwrap();
        assert_eq!(near.recv(&mut buffer).unwrap(), 4);
    }
}
