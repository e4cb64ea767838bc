//! The messages of the transport layer (RFC 4253 sections 10 and 11).

use super::number;
use crate::error::DisconnectReason;
use crate::wire::{Field, Reader};

impl<'a> Field<'a> for DisconnectReason {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, crate::error::DecodeError> {
        reader.u32().map(Self)
    }

    fn encode(&self, out: &mut bytes::BytesMut) {
        self.0.encode(out);
    }
}

wire_struct! {
    /// Ends the connection (RFC 4253 section 11.1).
    Disconnect<'a> = number::DISCONNECT; {
        /// Why.
        reason: DisconnectReason,
        /// UTF-8 text for people.
        description: &'a [u8],
        /// The language of the text (RFC 3066).
        language: &'a [u8],
    }

    /// Data to ignore (RFC 4253 section 11.2).
    Ignore<'a> = number::IGNORE; {
        /// Anything.
        data: &'a [u8] => by_length,
    }

    /// Text for debugging (RFC 4253 section 11.3).
    Debug<'a> = number::DEBUG; {
        /// Whether to show it even when not asked to.
        always_display: bool,
        /// UTF-8 text.
        message: &'a [u8],
        /// The language of the text.
        language: &'a [u8],
    }

    /// The reply to a message that was not understood (RFC 4253 section 11.4).
    Unimplemented = number::UNIMPLEMENTED; {
        /// The sequence number of the packet that was not understood.
        sequence: u32,
    }

    /// A client asks for a service (RFC 4253 section 10).
    ServiceRequest<'a> = number::SERVICE_REQUEST; {
        /// `ssh-userauth` or `ssh-connection`.
        service: &'a [u8],
    }

    /// The server grants it (RFC 4253 section 10).
    ServiceAccept<'a> = number::SERVICE_ACCEPT; {
        /// The service asked for.
        service: &'a [u8],
    }
}
