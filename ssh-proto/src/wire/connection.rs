//! The messages of the connection protocol (RFC 4254, RFC 4335, OpenSSH PROTOCOL section 2).

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::show::shown_struct;
use super::types::{Reader, put_string};
use super::{Field, Message, Rest, number};
use crate::error::DecodeError;
use crate::limits::MAX_PTY_MODES;

/// A request to the connection as a whole (RFC 4254 section 4).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct GlobalRequest<'a> {
    /// What is asked.
    pub kind: GlobalRequestKind<'a>,
    /// Whether the sender wants `REQUEST_SUCCESS` or `REQUEST_FAILURE`.
    pub want_reply: bool,
}

shown_struct!(GlobalRequest ['a] { kind, want_reply, });

wire_kinds! {
    /// A global request with its fields.
    GlobalRequestKind {
        /// RFC 4254 section 7.1.
        "tcpip-forward" => TcpipForward(TcpipForward<'a>),
        /// RFC 4254 section 7.1.
        "cancel-tcpip-forward" => CancelTcpipForward(TcpipForward<'a>),
        /// OpenSSH PROTOCOL section 2.4.
        "streamlocal-forward@openssh.com" => StreamlocalForward(&'a [u8]),
        /// OpenSSH PROTOCOL section 2.4.
        "cancel-streamlocal-forward@openssh.com" => CancelStreamlocalForward(&'a [u8]),
        /// The server's host keys (OpenSSH PROTOCOL section 2.5).
        "hostkeys-00@openssh.com" => HostKeys(Vec<&'a [u8]>),
        /// The keys that the server is to prove (OpenSSH PROTOCOL section 2.5).
        "hostkeys-prove-00@openssh.com" => HostKeysProve(Vec<&'a [u8]>),
        /// OpenSSH PROTOCOL section 2.2.
        "no-more-sessions@openssh.com" => NoMoreSessions(()),
        /// What OpenSSH sends to see whether the peer is alive. With a body it is `Unknown`.
        "keepalive@openssh.com" => Keepalive(()),
    }
}

impl<'a> Field<'a> for GlobalRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name = reader.string()?;
        let want_reply = reader.bool()?;
        let mut kind = GlobalRequestKind::decode_body(name, reader)?;
        // Some peers put text into their keepalives; to OpenSSH the name means nothing anyway.
        if kind == GlobalRequestKind::Keepalive(()) && reader.remaining() > 0 {
            let body = reader.rest();
            kind = GlobalRequestKind::Unknown { name, body };
        }
        Ok(Self { kind, want_reply })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.kind.name());
        self.want_reply.encode(out);
        self.kind.encode_body(out);
    }
}

impl<'a> Message<'a> for GlobalRequest<'a> {
    const NUMBER: u8 = number::GLOBAL_REQUEST;
}

/// Opens a channel (RFC 4254 section 5.1).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ChannelOpen<'a> {
    /// The channel type and its fields.
    pub kind: ChannelOpenKind<'a>,
    /// The sender's channel number.
    pub sender: u32,
    /// The sender's receive window in bytes.
    pub window_size: u32,
    /// The most bytes of data that the sender takes in one message.
    pub max_packet_size: u32,
}

shown_struct!(ChannelOpen ['a] { kind, sender, window_size, max_packet_size, });

wire_kinds! {
    /// A channel type with its fields.
    ChannelOpenKind {
        /// RFC 4254 section 6.1.
        "session" => Session(()),
        /// RFC 4254 section 6.3.2.
        "x11" => X11(X11Open<'a>),
        /// RFC 4254 section 7.2.
        "direct-tcpip" => DirectTcpip(TcpipOpen<'a>),
        /// RFC 4254 section 7.2.
        "forwarded-tcpip" => ForwardedTcpip(TcpipOpen<'a>),
        /// OpenSSH's name for a connection to the agent.
        "auth-agent@openssh.com" => AuthAgent(()),
        /// RFC 9987's name for it.
        "agent-connect" => AgentConnect(()),
        /// OpenSSH PROTOCOL section 2.4.
        "direct-streamlocal@openssh.com" => DirectStreamlocal(DirectStreamlocalOpen<'a>),
        /// OpenSSH PROTOCOL section 2.4.
        "forwarded-streamlocal@openssh.com" => ForwardedStreamlocal(ForwardedStreamlocalOpen<'a>),
        /// OpenSSH PROTOCOL section 2.3.
        "tun@openssh.com" => Tun(TunOpen),
    }
}

impl<'a> Field<'a> for ChannelOpen<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name = reader.string()?;
        let sender = reader.u32()?;
        let window_size = reader.u32()?;
        let max_packet_size = reader.u32()?;
        let kind = ChannelOpenKind::decode_body(name, reader)?;
        Ok(Self {
            kind,
            sender,
            window_size,
            max_packet_size,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        put_string(out, self.kind.name());
        out.put_u32(self.sender);
        out.put_u32(self.window_size);
        out.put_u32(self.max_packet_size);
        self.kind.encode_body(out);
    }
}

impl<'a> Message<'a> for ChannelOpen<'a> {
    const NUMBER: u8 = number::CHANNEL_OPEN;
}

/// A request on a channel (RFC 4254 section 5.4).
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ChannelRequest<'a> {
    /// The recipient's channel number.
    pub recipient: u32,
    /// What is asked.
    pub kind: ChannelRequestKind<'a>,
    /// Whether the sender wants `CHANNEL_SUCCESS` or `CHANNEL_FAILURE`.
    pub want_reply: bool,
}

shown_struct!(ChannelRequest ['a] { recipient, kind, want_reply, });

wire_kinds! {
    /// A channel request with its fields.
    ChannelRequestKind {
        /// RFC 4254 section 6.2.
        "pty-req" => Pty(PtyReq<'a>),
        /// RFC 4254 section 6.3.1.
        "x11-req" => X11(X11Req<'a>),
        /// RFC 4254 section 6.4.
        "env" => Env(EnvReq<'a>),
        /// RFC 4254 section 6.5.
        "shell" => Shell(()),
        /// The command (RFC 4254 section 6.5).
        "exec" => Exec(&'a [u8]),
        /// The subsystem's name (RFC 4254 section 6.5).
        "subsystem" => Subsystem(&'a [u8]),
        /// RFC 4254 section 6.7.
        "window-change" => WindowChange(WindowChangeReq),
        /// Whether the client may do flow control (RFC 4254 section 6.8).
        "xon-xoff" => XonXoff(bool),
        /// The signal's name without `SIG` (RFC 4254 section 6.9).
        "signal" => Signal(&'a [u8]),
        /// The length in milliseconds (RFC 4335).
        "break" => Break(u32),
        /// RFC 4254 section 6.10.
        "exit-status" => ExitStatus(u32),
        /// RFC 4254 section 6.10.
        "exit-signal" => ExitSignal(ExitSignalReq<'a>),
        /// The sender reads no more (OpenSSH PROTOCOL section 2.1).
        "eow@openssh.com" => Eow(()),
        /// OpenSSH's name of agent forwarding.
        "auth-agent-req@openssh.com" => AuthAgent(()),
        /// RFC 9987's name of it.
        "agent-req" => Agent(()),
    }
}

impl<'a> Field<'a> for ChannelRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let recipient = reader.u32()?;
        let name = reader.string()?;
        let want_reply = reader.bool()?;
        Ok(Self {
            recipient,
            kind: ChannelRequestKind::decode_body(name, reader)?,
            want_reply,
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u32(self.recipient);
        put_string(out, self.kind.name());
        self.want_reply.encode(out);
        self.kind.encode_body(out);
    }
}

impl<'a> Message<'a> for ChannelRequest<'a> {
    const NUMBER: u8 = number::CHANNEL_REQUEST;
}

wire_struct! {
    /// The address of a forwarded port (RFC 4254 section 7.1).
    TcpipForward<'a>; {
        /// The address to bind.
        address: &'a [u8],
        /// The port to bind; zero lets the server choose.
        port: u32,
    }

    /// The two ends of a forwarded connection (RFC 4254 section 7.2).
    TcpipOpen<'a>; {
        /// The host to connect to, or the address that was connected.
        host: &'a [u8],
        /// Its port.
        port: u32,
        /// Where the connection comes from.
        originator_address: &'a [u8],
        /// Its port.
        originator_port: u32,
    }

    /// Where an X11 connection comes from (RFC 4254 section 6.3.2).
    X11Open<'a>; {
        /// Its address.
        originator_address: &'a [u8],
        /// Its port.
        originator_port: u32,
    }

    /// A connection to a UNIX socket (OpenSSH PROTOCOL section 2.4).
    DirectStreamlocalOpen<'a>; {
        /// The socket's path.
        path: &'a [u8],
        /// Empty.
        reserved: &'a [u8],
        /// Zero.
        reserved_number: u32,
    }

    /// A connection from a UNIX socket (OpenSSH PROTOCOL section 2.4).
    ForwardedStreamlocalOpen<'a>; {
        /// The socket's path.
        path: &'a [u8],
        /// Empty.
        reserved: &'a [u8],
    }

    /// A tunnel (OpenSSH PROTOCOL section 2.3).
    TunOpen; {
        /// 1 for layer 3, 2 for layer 2.
        mode: u32,
        /// The interface's number; 0x7fffffff for any.
        unit: u32,
    }

    /// A pseudo-terminal (RFC 4254 section 6.2).
    PtyReq<'a>; {
        /// The value of `TERM`.
        term: &'a [u8],
        /// Width in characters.
        columns: u32,
        /// Height in rows.
        rows: u32,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Encoded terminal modes (RFC 4254 section 8).
        modes: &'a [u8],
    }

    /// X11 forwarding (RFC 4254 section 6.3.1).
    X11Req<'a>; {
        /// Whether only one connection is to be forwarded.
        single_connection: bool,
        /// The authentication protocol.
        auth_protocol: &'a [u8],
        /// The cookie, in hexadecimal.
        auth_cookie: &'a [u8] => by_length,
        /// The screen.
        screen: u32,
    }

    /// An environment variable (RFC 4254 section 6.4).
    EnvReq<'a>; {
        /// Its name.
        name: &'a [u8],
        /// Its value.
        value: &'a [u8] => by_length,
    }

    /// A new terminal size (RFC 4254 section 6.7).
    WindowChangeReq; {
        /// Width in characters.
        columns: u32,
        /// Height in rows.
        rows: u32,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    }

    /// The command ended by a signal (RFC 4254 section 6.10).
    ExitSignalReq<'a>; {
        /// The signal's name without `SIG`.
        signal: &'a [u8],
        /// Whether the command dumped core.
        core_dumped: bool,
        /// UTF-8 text.
        message: &'a [u8],
        /// Its language.
        language: &'a [u8],
    }

    /// The global request succeeded (RFC 4254 section 4).
    RequestSuccess<'a> = number::REQUEST_SUCCESS; {
        /// What the request defines.
        body: Rest<'a>,
    }

    /// The global request failed (RFC 4254 section 4).
    RequestFailure = number::REQUEST_FAILURE; {}

    /// The channel is open (RFC 4254 section 5.1).
    ChannelOpenConfirmation<'a> = number::CHANNEL_OPEN_CONFIRMATION; {
        /// The recipient's channel number.
        recipient: u32,
        /// The sender's channel number.
        sender: u32,
        /// The sender's receive window in bytes.
        window_size: u32,
        /// The most bytes of data that the sender takes in one message.
        max_packet_size: u32,
        /// What the channel type defines.
        body: Rest<'a>,
    }

    /// The channel is not opened (RFC 4254 section 5.1).
    ChannelOpenFailure<'a> = number::CHANNEL_OPEN_FAILURE; {
        /// The recipient's channel number.
        recipient: u32,
        /// Why.
        reason: u32,
        /// UTF-8 text.
        description: &'a [u8],
        /// Its language.
        language: &'a [u8],
    }

    /// The recipient may send more (RFC 4254 section 5.2).
    ChannelWindowAdjust = number::CHANNEL_WINDOW_ADJUST; {
        /// The recipient's channel number.
        recipient: u32,
        /// Bytes to add to its window.
        bytes: u32,
    }

    /// Data (RFC 4254 section 5.2).
    ChannelData<'a> = number::CHANNEL_DATA; {
        /// The recipient's channel number.
        recipient: u32,
        /// The data.
        data: &'a [u8] => by_length,
    }

    /// Data of another stream, such as stderr (RFC 4254 section 5.2).
    ChannelExtendedData<'a> = number::CHANNEL_EXTENDED_DATA; {
        /// The recipient's channel number.
        recipient: u32,
        /// The stream; 1 is stderr.
        data_type: u32,
        /// The data.
        data: &'a [u8] => by_length,
    }

    /// The sender sends no more data (RFC 4254 section 5.3).
    ChannelEof = number::CHANNEL_EOF; {
        /// The recipient's channel number.
        recipient: u32,
    }

    /// The sender is done with the channel (RFC 4254 section 5.3).
    ChannelClose = number::CHANNEL_CLOSE; {
        /// The recipient's channel number.
        recipient: u32,
    }

    /// The channel request succeeded (RFC 4254 section 5.4).
    ChannelSuccess = number::CHANNEL_SUCCESS; {
        /// The recipient's channel number.
        recipient: u32,
    }

    /// The channel request failed (RFC 4254 section 5.4).
    ChannelFailure = number::CHANNEL_FAILURE; {
        /// The recipient's channel number.
        recipient: u32,
    }
}

/// Extended data of this type is stderr (RFC 4254 section 5.2).
pub const EXTENDED_DATA_STDERR: u32 = 1;

/// Decodes terminal modes: pairs of opcode and argument (RFC 4254 section 8).
///
/// Opcode 0 ends the list and so does its end; opcodes from 160 on have no known length and stop
/// the parsing.
///
/// # Errors
/// `Truncated` for an argument cut short, `TooMany` above 255 pairs.
pub fn decode_terminal_modes(encoded: &[u8]) -> Result<Vec<(u8, u32)>, DecodeError> {
    let mut reader = Reader::new(encoded);
    let mut modes = Vec::new();
    while reader.remaining() > 0 {
        let opcode = reader.u8()?;
        if opcode == 0 || opcode >= 160 {
            break;
        }
        if modes.len() >= MAX_PTY_MODES {
            return Err(DecodeError::TooMany);
        }
        modes.push((opcode, reader.u32()?));
    }
    Ok(modes)
}

/// Encodes terminal modes, with the end mark (RFC 4254 section 8).
pub fn encode_terminal_modes(modes: &[(u8, u32)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(modes.len().saturating_mul(5).saturating_add(1));
    for (opcode, argument) in modes {
        out.push(*opcode);
        out.extend_from_slice(&argument.to_be_bytes());
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn debug_shows_no_cookie() {
        let request = ChannelRequestKind::X11(X11Req {
            single_connection: false,
            auth_protocol: b"MIT-MAGIC-COOKIE-1",
            auth_cookie: b"AAAA",
            screen: 0,
        });
        let shown = format!("{request:?}");
        assert!(
            shown.contains("MIT-MAGIC-COOKIE-1") && !shown.contains("AAAA"),
            "{shown}"
        );
    }
}
