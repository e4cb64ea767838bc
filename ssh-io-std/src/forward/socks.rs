//! The server's side of SOCKS 4, 4a and 5 (RFC 1928) as far as dynamic forwarding needs it: CONNECT, nobody authenticated.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::{Buf, Bytes, BytesMut};
use ssh_proto::OpenFailure;

/// Bytes of a dialogue before its request is complete: the longest of SOCKS 5 has 519, and SOCKS 4
/// sets no bound to its two names.
const MAX_DIALOGUE: usize = 1024;

/// What is to be done next.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocksStep {
    /// More is to be read.
    More,
    /// This is to be sent; then there may be another step.
    Send(&'static [u8]),
    /// The request is complete. What is left of the input is data for its target.
    Connect(SocksRequest),
    /// The dialogue is over: this is to be sent, if it is not empty, and the connection closed.
    Refuse(&'static [u8]),
}

/// Where a client wants to be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocksRequest {
    /// A name or an address, as the client gave it.
    pub host: Bytes,
    /// The port.
    pub port: u16,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Five,
}

impl SocksRequest {
    /// The reply to it once the connection is made.
    pub const fn granted(&self) -> &'static [u8] {
        match self.version {
            Version::Four => &[0, 90, 0, 0, 0, 0, 0, 0],
            Version::Five => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        }
    }

    /// The reply to it where the connection is not made.
    pub const fn refused(&self, reason: OpenFailure) -> &'static [u8] {
        match (self.version, reason) {
            (Version::Four, _) => &[0, 91, 0, 0, 0, 0, 0, 0],
            (Version::Five, OpenFailure::ADMINISTRATIVELY_PROHIBITED) => {
                &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]
            }
            (Version::Five, OpenFailure::CONNECT_FAILED) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
            (Version::Five, _) => &[5, 1, 0, 1, 0, 0, 0, 0, 0, 0],
        }
    }
}

/// One dialogue, up to its request.
#[derive(Debug, Default)]
pub struct Socks {
    /// SOCKS 5: the methods were agreed.
    greeted: bool,
}

impl Socks {
    /// A dialogue in which nothing was said yet.
    pub const fn new() -> Self {
        Self { greeted: false }
    }

    /// The next step, taking what it is made of off the front of `input`. To be called again after
    /// `More` once there is more, and after `Send`.
    pub fn advance(&mut self, input: &mut BytesMut) -> SocksStep {
        let step = match (input.first(), self.greeted) {
            (None, _) => Some(SocksStep::More),
            (Some(4), false) => four(input),
            (Some(5), false) => {
                let step = methods(input);
                self.greeted = matches!(step, Some(SocksStep::Send(_)));
                step
            }
            (Some(5), true) => five(input),
            _ => Some(SocksStep::Refuse(&[])),
        };
        match step {
            Some(step) => step,
            None if input.len() >= MAX_DIALOGUE => SocksStep::Refuse(&[]),
            None => SocksStep::More,
        }
    }
}

/// Version, command, port, address, user id and, after an address 0.0.0.x, a name.
fn four(input: &mut BytesMut) -> Option<SocksStep> {
    let fixed: [u8; 8] = *input.first_chunk()?;
    let [_, command, high, low, a, b, c, d] = fixed;
    let rest = input.get(8..)?;
    let user = rest.iter().position(|byte| *byte == 0)?;
    let rest = rest.get(user + 1..)?;
    let (host, len) = match [a, b, c, d] {
        [0, 0, 0, 1..=255] => {
            let len = rest.iter().position(|byte| *byte == 0)?;
            (Bytes::copy_from_slice(rest.get(..len)?), len + 1)
        }
        address => (Ipv4Addr::from(address).to_string().into(), 0),
    };
    input.advance(8 + user + 1 + len);
    if command != 1 || host.is_empty() {
        return Some(SocksStep::Refuse(&[0, 91, 0, 0, 0, 0, 0, 0]));
    }
    Some(SocksStep::Connect(SocksRequest {
        host,
        port: u16::from_be_bytes([high, low]),
        version: Version::Four,
    }))
}

/// Version and methods, of which 0 is that nobody authenticates.
fn methods(input: &mut BytesMut) -> Option<SocksStep> {
    let count = usize::from(*input.get(1)?);
    let accepts = input.get(2..2 + count)?.contains(&0);
    input.advance(2 + count);
    Some(match accepts {
        true => SocksStep::Send(&[5, 0]),
        false => SocksStep::Refuse(&[5, 0xff]),
    })
}

/// Version, command, reserved, type of address, address, port.
fn five(input: &mut BytesMut) -> Option<SocksStep> {
    let command = *input.get(1)?;
    let (host, end) = match *input.get(3)? {
        1 => {
            let address: [u8; 4] = *input.get(4..)?.first_chunk()?;
            (Bytes::from(Ipv4Addr::from(address).to_string()), 8)
        }
        3 => {
            let end = 5 + usize::from(*input.get(4)?);
            (Bytes::copy_from_slice(input.get(5..end)?), end)
        }
        4 => {
            let address: [u8; 16] = *input.get(4..)?.first_chunk()?;
            (Bytes::from(Ipv6Addr::from(address).to_string()), 20)
        }
        _ => return Some(SocksStep::Refuse(&[5, 8, 0, 1, 0, 0, 0, 0, 0, 0])),
    };
    let port: [u8; 2] = *input.get(end..)?.first_chunk()?;
    input.advance(end + 2);
    if command != 1 {
        return Some(SocksStep::Refuse(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]));
    }
    if host.is_empty() || host.contains(&0) {
        return Some(SocksStep::Refuse(&[5, 1, 0, 1, 0, 0, 0, 0, 0, 0]));
    }
    Some(SocksStep::Connect(SocksRequest {
        host,
        port: u16::from_be_bytes(port),
        version: Version::Five,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps but `More`, for input that comes in pieces of this size; what is left of it.
    fn run(mut input: &[u8], piece: usize) -> (Vec<SocksStep>, BytesMut) {
        let (mut socks, mut buffer, mut steps) = (Socks::new(), BytesMut::new(), Vec::new());
        loop {
            match socks.advance(&mut buffer) {
                SocksStep::More if input.is_empty() => return (steps, buffer),
                SocksStep::More => {
                    let (front, rest) = input.split_at(piece.min(input.len()));
                    buffer.extend_from_slice(front);
                    input = rest;
                }
                step @ SocksStep::Send(_) => steps.push(step),
                step => {
                    steps.push(step);
                    buffer.extend_from_slice(input);
                    return (steps, buffer);
                }
            }
        }
    }

    fn connect(host: &str, port: u16, version: Version) -> SocksStep {
        let host = Bytes::copy_from_slice(host.as_bytes());
        SocksStep::Connect(SocksRequest {
            host,
            port,
            version,
        })
    }

    #[test]
    fn each_form_of_request_is_understood_in_any_pieces() {
        let five: &[u8] = b"\x05\x02\x02\x00";
        let greeted = SocksStep::Send(&[5, 0]);
        let cases: [(Vec<u8>, Vec<SocksStep>); 5] = [
            (
                b"\x04\x01\x00\x50\x7f\x00\x00\x01me\0".to_vec(),
                vec![connect("127.0.0.1", 80, Version::Four)],
            ),
            (
                b"\x04\x01\x01\x02\x00\x00\x00\x07\0example.org\0".to_vec(),
                vec![connect("example.org", 0x102, Version::Four)],
            ),
            (
                [five, b"\x05\x01\x00\x01\x0a\x00\x00\x02\x00\x16"].concat(),
                vec![greeted.clone(), connect("10.0.0.2", 22, Version::Five)],
            ),
            (
                [five, b"\x05\x01\x00\x03\x04host\x00\x16"].concat(),
                vec![greeted.clone(), connect("host", 22, Version::Five)],
            ),
            (
                [five, b"\x05\x01\x00\x04", &[0; 15], b"\x01\x00\x16"].concat(),
                vec![greeted, connect("::1", 22, Version::Five)],
            ),
        ];
        for (mut input, steps) in cases {
            for cut in 0..input.len() {
                let (early, rest) = run(&input[..cut], 3);
                assert!(early.len() < steps.len() && rest.len() <= cut, "{input:?}");
            }
            input.extend_from_slice(b"data");
            for piece in [1, 2, 7, 1000] {
                let (taken, rest) = run(&input, piece);
                assert_eq!((&taken, &rest[..]), (&steps, &b"data"[..]), "{input:?}");
            }
        }
    }

    #[test]
    fn what_is_not_served_is_refused_in_its_own_version() {
        let five = b"\x05\x01\x00".to_vec();
        let with = |tail: &[u8]| [&five[..], tail].concat();
        let cases: [(Vec<u8>, &[u8]); 7] = [
            (b"GET / HTTP/1.1".to_vec(), &[]),
            (b"\x04\x02\x00\x50\x7f\x00\x00\x01\0".to_vec(), &[0, 91]),
            (b"\x04\x01\x00\x50\x00\x00\x00\x01\0\0".to_vec(), &[0, 91]),
            (b"\x05\x01\x02".to_vec(), &[5, 0xff]),
            (with(b"\x05\x03\x00\x01\x0a\x00\x00\x02\x00\x16"), &[5, 7]),
            (with(b"\x05\x01\x00\x02\x0a"), &[5, 8]),
            (with(b"\x05\x01\x00\x03\x02a\0\x00\x16"), &[5, 1]),
        ];
        for (input, reply) in cases {
            let (steps, _) = run(&input, 1);
            let Some(SocksStep::Refuse(sent)) = steps.last() else {
                panic!("{input:?}: {steps:?}");
            };
            assert!(sent.starts_with(reply) && sent.is_empty() == reply.is_empty());
        }
        let endless = [&b"\x04\x01\x00\x50\x7f\x00\x00\x01"[..], &[b'x'; 2000]].concat();
        assert_eq!(run(&endless, 100).0, [SocksStep::Refuse(&[])]);
    }
}
