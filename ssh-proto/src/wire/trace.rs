//! What a trace shows of packets: each as a whole at `TRACE`, what it means for the connection at `DEBUG` and `INFO` (RFC 4250 section 4.1). Without the feature `tracing`, nothing.

#[cfg(not(feature = "tracing"))]
use crate::role::Role;
use crate::trace::Trace;

/// The trace of a connection, fed with its packets.
pub(crate) struct PacketTrace {
    pub(crate) trace: Trace,
    /// What the numbers 60 to 79 mean at present.
    #[cfg(feature = "tracing")]
    method: shown::Method,
}

#[cfg(not(feature = "tracing"))]
impl PacketTrace {
    pub(crate) fn new(role: Role) -> Self {
        let trace = Trace::new(role);
        Self { trace }
    }

    #[inline(always)]
    pub(crate) fn wants(&self, _: u8) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn sent(&mut self, _: u32, _: usize, _: &[u8]) {}

    #[inline(always)]
    pub(crate) fn received(&mut self, _: u32, _: usize, _: &[u8]) {}
}

#[cfg(feature = "tracing")]
mod shown {
    use core::fmt;

    use super::PacketTrace;
    use crate::error::DecodeError;
    use crate::role::Role;
    use crate::trace::{TARGET, Trace, event};
    use crate::wire::auth::*;
    use crate::wire::connection::*;
    use crate::wire::extension::{ExtInfo, Ping, Pong};
    use crate::wire::kex::{
        KexDhGexGroup, KexDhGexInit, KexDhGexReply, KexDhGexRequest, KexEcdhInit, KexEcdhReply,
        KexInit, NewKeys,
    };
    use crate::wire::show::Shown;
    use crate::wire::transport::*;
    use crate::wire::{Message, number};

    const SENT: &str = "sent";

    /// Why a channel is refused where a limit is reached (RFC 4254 section 5.1).
    const RESOURCE_SHORTAGE: u32 = 4;

    /// The family of the latest `USERAUTH_REQUEST`.
    #[derive(Clone, Copy)]
    pub(super) enum Method {
        None,
        PublicKey,
        Password,
        KeyboardInteractive,
        Gssapi,
        DhGex,
    }

    impl Method {
        fn of(method: &AuthMethod<'_>) -> Self {
            match method {
                AuthMethod::PublicKey(_) | AuthMethod::PublicKeyHostbound(_) => Self::PublicKey,
                AuthMethod::Password(_) => Self::Password,
                AuthMethod::KeyboardInteractive(_) => Self::KeyboardInteractive,
                AuthMethod::GssapiWithMic(_) => Self::Gssapi,
                _ => Self::None,
            }
        }
    }

    impl PacketTrace {
        pub(crate) fn new(role: Role) -> Self {
            Self {
                trace: Trace::new(role),
                method: Method::None,
            }
        }

        /// Whether anybody listens to what there is to tell of messages with this number.
        pub(crate) fn wants(&self, number: u8) -> bool {
            match number {
                // Of these there are many, and nothing to tell but the packet.
                number::CHANNEL_DATA
                | number::CHANNEL_EXTENDED_DATA
                | number::CHANNEL_WINDOW_ADJUST => {
                    tracing::enabled!(target: TARGET, tracing::Level::TRACE)
                }
                number::CHANNEL_OPEN_FAILURE => {
                    tracing::enabled!(target: TARGET, tracing::Level::WARN)
                }
                number::USERAUTH_FAILURE => {
                    tracing::enabled!(target: TARGET, tracing::Level::INFO)
                }
                _ => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
            }
        }

        /// A packet was sealed: its sequence number, its length on the wire, and what is in it.
        pub(crate) fn sent(&mut self, sequence: u32, length: usize, payload: &[u8]) {
            self.packet(SENT, sequence, length, payload);
        }

        /// A packet was opened.
        pub(crate) fn received(&mut self, sequence: u32, length: usize, payload: &[u8]) {
            self.packet("received", sequence, length, payload);
        }

        fn packet(
            &mut self,
            direction: &'static str,
            sequence: u32,
            length: usize,
            payload: &[u8],
        ) {
            let Some(number) = payload.first().copied() else {
                return;
            };
            if !self.wants(number) {
                return;
            }
            match number {
                number::USERAUTH_REQUEST => {
                    self.method = UserauthRequest::from_payload(payload)
                        .map_or(Method::None, |request| Method::of(&request.method));
                }
                // One of both is over where the other begins.
                number::KEX_DH_GEX_REQUEST => self.method = Method::DhGex,
                number::KEXINIT => self.method = Method::None,
                _ => {}
            }
            let body = Body {
                method: self.method,
                number,
                payload,
            };
            event!(
                self.trace,
                TRACE,
                direction,
                number,
                name = body.kind().0,
                sequence,
                length,
                ?body,
                "packet"
            );
            // What is malformed is told of by whoever it is for.
            let _ = milestone(&self.trace, direction, number, payload);
        }
    }

    /// What a packet means for the connection, where it means anything by itself.
    fn milestone(
        trace: &Trace,
        direction: &'static str,
        number: u8,
        payload: &[u8],
    ) -> Result<(), DecodeError> {
        match number {
            number::SERVICE_REQUEST => {
                let ServiceRequest { service } = Message::from_payload(payload)?;
                let service = Shown(&service);
                event!(trace, DEBUG, direction, ?service, "service asked for");
            }
            number::SERVICE_ACCEPT => event!(trace, DEBUG, direction, "service granted"),
            number::EXT_INFO => {
                let ExtInfo { extensions } = Message::from_payload(payload)?;
                let extensions = Shown(&extensions);
                event!(trace, DEBUG, direction, ?extensions, "extensions announced");
            }
            number::KEXINIT => event!(trace, DEBUG, direction, "key exchange begun"),
            number::NEWKEYS => event!(trace, DEBUG, direction, "new keys in use"),
            number::USERAUTH_REQUEST => {
                let UserauthRequest { user, method, .. } = Message::from_payload(payload)?;
                let (user, name) = (Shown(&user), method.name());
                let method = Shown(&name);
                event!(
                    trace,
                    DEBUG,
                    direction,
                    ?user,
                    ?method,
                    "authentication asked for"
                );
            }
            number::USERAUTH_FAILURE => {
                let failure: UserauthFailure<'_> = Message::from_payload(payload)?;
                let (methods, partial) = (failure.methods.as_str(), failure.partial_success);
                event!(
                    trace,
                    INFO,
                    direction,
                    methods,
                    partial,
                    "authentication refused"
                );
            }
            number::GLOBAL_REQUEST => {
                let GlobalRequest { kind, .. } = Message::from_payload(payload)?;
                let name = kind.name();
                let request = Shown(&name);
                event!(trace, DEBUG, direction, ?request, "global request");
            }
            number::CHANNEL_OPEN => {
                let ChannelOpen { kind, sender, .. } = Message::from_payload(payload)?;
                let name = kind.name();
                let kind = Shown(&name);
                event!(trace, DEBUG, direction, ?kind, sender, "channel asked for");
            }
            number::CHANNEL_OPEN_CONFIRMATION => {
                let open: ChannelOpenConfirmation<'_> = Message::from_payload(payload)?;
                let (recipient, sender) = (open.recipient, open.sender);
                event!(trace, DEBUG, direction, recipient, sender, "channel opened");
            }
            number::CHANNEL_OPEN_FAILURE => {
                let failure: ChannelOpenFailure<'_> = Message::from_payload(payload)?;
                let (recipient, reason) = (failure.recipient, failure.reason);
                event!(
                    trace,
                    DEBUG,
                    direction,
                    recipient,
                    reason,
                    "channel refused"
                );
                if direction == SENT && reason == RESOURCE_SHORTAGE {
                    event!(trace, WARN, recipient, "no room for another channel");
                }
            }
            number::CHANNEL_REQUEST => {
                let request: ChannelRequest<'_> = Message::from_payload(payload)?;
                let (recipient, name) = (request.recipient, request.kind.name());
                let request = Shown(&name);
                event!(
                    trace,
                    DEBUG,
                    direction,
                    recipient,
                    ?request,
                    "channel request"
                );
            }
            number::CHANNEL_CLOSE => {
                let ChannelClose { recipient } = Message::from_payload(payload)?;
                event!(trace, DEBUG, direction, recipient, "channel closed");
            }
            _ => {}
        }
        Ok(())
    }

    /// A message, to be decoded where it is shown: its `Debug` leaves secrets out.
    struct Body<'p> {
        method: Method,
        number: u8,
        payload: &'p [u8],
    }

    type Show<'p> = fn(&'p [u8], &mut fmt::Formatter<'_>) -> fmt::Result;

    fn decoded<'p, M: Message<'p> + fmt::Debug>(
        payload: &'p [u8],
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match M::from_payload(payload) {
            Ok(message) => message.fmt(f),
            Err(error) => write!(f, "malformed ({error}, {} bytes)", payload.len()),
        }
    }

    impl<'p> Body<'p> {
        /// The name of the message, and how it is shown.
        fn kind(&self) -> (&'static str, Show<'p>) {
            macro_rules! kinds {
                ($($method:pat, $number:ident => $message:ty;)*) => {
                    match (self.method, self.number) {
                        $(($method, number::$number) => {
                            (stringify!($number), decoded::<$message>)
                        })*
                        (_, number) => (number::name(number), |payload, f| {
                            write!(f, "({} bytes)", payload.len())
                        }),
                    }
                };
            }
            kinds! {
                _, DISCONNECT => Disconnect<'p>;
                _, IGNORE => Ignore<'p>;
                _, UNIMPLEMENTED => Unimplemented;
                _, DEBUG => Debug<'p>;
                _, SERVICE_REQUEST => ServiceRequest<'p>;
                _, SERVICE_ACCEPT => ServiceAccept<'p>;
                _, EXT_INFO => ExtInfo<'p>;
                _, KEXINIT => KexInit<'p>;
                _, NEWKEYS => NewKeys;
                Method::DhGex, KEX_DH_GEX_REQUEST => KexDhGexRequest;
                Method::DhGex, KEX_DH_GEX_GROUP => KexDhGexGroup<'p>;
                Method::DhGex, KEX_DH_GEX_INIT => KexDhGexInit<'p>;
                Method::DhGex, KEX_DH_GEX_REPLY => KexDhGexReply<'p>;
                // Those of a fixed group have the same numbers and look the same.
                _, KEX_ECDH_INIT => KexEcdhInit<'p>;
                _, KEX_ECDH_REPLY => KexEcdhReply<'p>;
                _, USERAUTH_REQUEST => UserauthRequest<'p>;
                _, USERAUTH_FAILURE => UserauthFailure<'p>;
                _, USERAUTH_SUCCESS => UserauthSuccess;
                _, USERAUTH_BANNER => UserauthBanner<'p>;
                Method::PublicKey, USERAUTH_PK_OK => UserauthPkOk<'p>;
                Method::Password, USERAUTH_PASSWD_CHANGEREQ => UserauthPasswdChangereq<'p>;
                Method::KeyboardInteractive, USERAUTH_INFO_REQUEST => UserauthInfoRequest<'p>;
                Method::KeyboardInteractive, USERAUTH_INFO_RESPONSE => UserauthInfoResponse<'p>;
                Method::Gssapi, USERAUTH_GSSAPI_RESPONSE => UserauthGssapiResponse<'p>;
                Method::Gssapi, USERAUTH_GSSAPI_TOKEN => UserauthGssapiToken<'p>;
                Method::Gssapi, USERAUTH_GSSAPI_EXCHANGE_COMPLETE => UserauthGssapiExchangeComplete;
                Method::Gssapi, USERAUTH_GSSAPI_ERROR => UserauthGssapiError<'p>;
                Method::Gssapi, USERAUTH_GSSAPI_ERRTOK => UserauthGssapiErrtok<'p>;
                Method::Gssapi, USERAUTH_GSSAPI_MIC => UserauthGssapiMic<'p>;
                _, GLOBAL_REQUEST => GlobalRequest<'p>;
                _, REQUEST_SUCCESS => RequestSuccess<'p>;
                _, REQUEST_FAILURE => RequestFailure;
                _, CHANNEL_OPEN => ChannelOpen<'p>;
                _, CHANNEL_OPEN_CONFIRMATION => ChannelOpenConfirmation<'p>;
                _, CHANNEL_OPEN_FAILURE => ChannelOpenFailure<'p>;
                _, CHANNEL_WINDOW_ADJUST => ChannelWindowAdjust;
                _, CHANNEL_DATA => ChannelData<'p>;
                _, CHANNEL_EXTENDED_DATA => ChannelExtendedData<'p>;
                _, CHANNEL_EOF => ChannelEof;
                _, CHANNEL_CLOSE => ChannelClose;
                _, CHANNEL_REQUEST => ChannelRequest<'p>;
                _, CHANNEL_SUCCESS => ChannelSuccess;
                _, CHANNEL_FAILURE => ChannelFailure;
                _, PING => Ping<'p>;
                _, PONG => Pong<'p>;
            }
        }
    }

    impl fmt::Debug for Body<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let (_, show) = self.kind();
            show(self.payload, f)
        }
    }

    #[cfg(test)]
    mod tests {
        use alloc::format;
        use alloc::vec::Vec;

        use super::*;

        const METHODS: [Method; 6] = [
            Method::None,
            Method::PublicKey,
            Method::Password,
            Method::KeyboardInteractive,
            Method::Gssapi,
            Method::DhGex,
        ];

        #[test]
        fn names_are_those_of_the_numbers() {
            for number in 0..=u8::MAX {
                for method in METHODS {
                    let body = Body {
                        method,
                        number,
                        payload: &[number],
                    };
                    let (name, plain) = (body.kind().0, number::name(number));
                    match number {
                        30..=49 => assert!(name == plain || name.starts_with("KEX_"), "{name}"),
                        60..=79 => assert!(name == plain || name.starts_with("USERAUTH_")),
                        _ => assert_eq!(name, plain),
                    }
                }
            }
        }

        #[test]
        fn what_is_malformed_is_not_shown() {
            for number in 0..=u8::MAX {
                let mut payload = Vec::from([number]);
                payload.extend_from_slice(b"c0ffee, whose length is too much");
                for (method, end) in METHODS
                    .iter()
                    .flat_map(|m| (0..9).map(move |end| (*m, end)))
                {
                    let payload = payload.get(..payload.len() - end * 4).unwrap();
                    let body = Body {
                        method,
                        number,
                        payload,
                    };
                    let shown = format!("{body:?}");
                    assert!(!shown.contains("c0ff"), "{number}: {shown}");
                    assert!(!shown.contains("whose"), "{number}: {shown}");
                    let _ = milestone(&Trace::new(Role::Client), SENT, number, payload);
                }
            }
        }
    }
}
