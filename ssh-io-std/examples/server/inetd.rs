//! `--inetd`: one connection, whose ends are standard input and output.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, fstat};
use rustix::net::{getpeername, getsockname};
use ssh_io_std::{Descriptors, Driver};
use ssh_proto::ServerConfig;

use crate::connection::{self, Site};
use crate::log::Log;

/// The log: inetd's standard error may be the connection, which is no place for it.
pub(crate) fn log(path: Option<&Path>) -> io::Result<Log> {
    let mode = fstat(io::stderr())?.st_mode;
    match path {
        None if FileType::from_raw_mode(mode).is_socket() => {
            Log::open(Some(Path::new("/dev/null")))
        }
        path => Log::open(path),
    }
}

/// Serves the connection to its end.
pub(crate) fn serve(config: &ServerConfig, site: &Site, log: &Log) -> io::Result<()> {
    let (input, output) = (io::stdin(), io::stdout());
    let addresses = addresses(&input);
    let descriptors = Descriptors::new(
        input.as_fd().try_clone_to_owned()?,
        output.as_fd().try_clone_to_owned()?,
    );
    // No program is to find the connection where it looks for its input.
    let nowhere = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    let driver = Driver::server(descriptors, config)?;
    let log = match addresses {
        Some((peer, _)) => log.about(peer),
        None => log.clone(),
    };
    connection::serve(driver, addresses, site, &log)
}

/// The peer's and ours, where the connection is a socket that has them.
fn addresses(socket: &impl AsFd) -> Option<(SocketAddr, SocketAddr)> {
    let peer = getpeername(socket).ok()??;
    let own = getsockname(socket).ok()?;
    Some((peer.try_into().ok()?, own.try_into().ok()?))
}
