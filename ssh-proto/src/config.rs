//! What the configs of both roles share: algorithms by name, identification, limits.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::crypto::{CryptoProvider, KexShape, PublicKey, SignatureAlgorithm};
use crate::error::ApiMisuse;
use crate::limits::{Limits, MAX_USER_NAME};
use crate::mux::{ExtendedData, PeerOpens};
use crate::role::Role;
use crate::transport::ident::Identification;
use crate::transport::kex::negotiate::{DirectionOffer, Offer};

/// Why a config was not built.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The provider has no algorithm of this name.
    UnknownAlgorithm(String),
    /// A list has no entries, or none that the host keys can serve.
    NoAlgorithms(&'static str),
    /// A server has no host key.
    NoHostKey,
    /// The provider has no algorithm for this host key.
    UnsupportedHostKey(PublicKey),
    /// The identification string is not valid.
    InvalidIdentification,
    /// The banner is longer than fits into a message.
    InvalidBanner,
    /// A limit contradicts another, or the protocol.
    InvalidLimit(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAlgorithm(name) => {
                write!(f, "unknown algorithm: {}", name.escape_default())
            }
            Self::NoAlgorithms(list) => write!(f, "no usable {list}"),
            Self::NoHostKey => f.write_str("a server needs a host key"),
            Self::UnsupportedHostKey(key) => {
                write!(
                    f,
                    "the provider cannot use a host key of type {}",
                    key.key_type()
                )
            }
            Self::InvalidIdentification => f.write_str("invalid identification string"),
            Self::InvalidBanner => f.write_str("the banner is too long"),
            Self::InvalidLimit(name) => write!(f, "invalid limit: {name}"),
        }
    }
}

impl core::error::Error for ConfigError {}

impl From<ApiMisuse> for ConfigError {
    fn from(_: ApiMisuse) -> Self {
        Self::InvalidIdentification
    }
}

/// What is to protect packets of one direction, all of the provider's where no names are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct DirectionNames {
    pub(crate) ciphers: Option<Vec<String>>,
    pub(crate) macs: Option<Vec<String>>,
}

impl DirectionNames {
    fn offer(&self, provider: &CryptoProvider) -> Result<DirectionOffer, ConfigError> {
        Ok(DirectionOffer {
            ciphers: pick(
                &provider.ciphers,
                &provider.on_request.ciphers,
                self.ciphers.as_deref(),
                |a| a.name(),
            )?,
            macs: pick(
                &provider.macs,
                &provider.on_request.macs,
                self.macs.as_deref(),
                |a| a.name(),
            )?,
            compression: provider.compression.to_vec(),
        })
    }
}

/// What both builders collect.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) provider: CryptoProvider,
    pub(crate) limits: Limits,
    pub(crate) software: String,
    pub(crate) comment: Option<String>,
    pub(crate) kex: Option<Vec<String>>,
    pub(crate) host_keys: Option<Vec<String>>,
    pub(crate) client_to_server: DirectionNames,
    pub(crate) server_to_client: DirectionNames,
    pub(crate) public_keys: Option<Vec<String>>,
    pub(crate) report_ignore: bool,
    pub(crate) require_strict_kex: bool,
    pub(crate) accept_forged: bool,
    pub(crate) peer_opens: PeerOpens,
    pub(crate) extended_data: ExtendedData,
}

impl Common {
    pub(crate) fn new(provider: CryptoProvider, limits: Limits, peer_opens: PeerOpens) -> Self {
        Self {
            provider,
            limits,
            software: concat!("ssh-proto_", env!("CARGO_PKG_VERSION")).to_owned(),
            comment: None,
            kex: None,
            host_keys: None,
            client_to_server: DirectionNames::default(),
            server_to_client: DirectionNames::default(),
            public_keys: None,
            report_ignore: false,
            require_strict_kex: false,
            accept_forged: false,
            peer_opens,
            extended_data: ExtendedData::default(),
        }
    }

    pub(crate) fn identification(&self) -> Result<Identification, ConfigError> {
        Ok(Identification::new(
            &self.software,
            self.comment.as_deref(),
        )?)
    }

    pub(crate) fn offer(&self, role: Role) -> Result<Offer, ConfigError> {
        let provider = &self.provider;
        let mut offer = Offer {
            kex: pick(
                &provider.kex,
                &provider.on_request.kex,
                self.kex.as_deref(),
                |a| a.name(),
            )?,
            host_keys: pick(
                &provider.signatures,
                &provider.on_request.signatures,
                self.host_keys.as_deref(),
                |a| a.name(),
            )?,
            client_to_server: self.client_to_server.offer(provider)?,
            server_to_client: self.server_to_client.offer(provider)?,
        };
        // What costs a server most is computed for whoever asks: only where the config says so.
        if role == Role::Server && self.kex.is_none() {
            offer.kex.retain(|kex| kex.shape() == KexShape::Ecdh);
        }
        let directions = [&offer.client_to_server, &offer.server_to_client];
        let any = |is_empty: fn(&DirectionOffer) -> bool| directions.into_iter().any(is_empty);
        let empty = [
            (offer.kex.is_empty(), "key exchange methods"),
            (offer.host_keys.is_empty(), "host key algorithms"),
            (any(|one| one.ciphers.is_empty()), "ciphers"),
            (any(|one| one.compression.is_empty()), "compression methods"),
            (
                any(|one| one.macs.is_empty() && one.ciphers.iter().any(|c| !c.is_aead())),
                "MACs",
            ),
        ];
        match empty.into_iter().find(|(empty, _)| *empty) {
            Some((_, list)) => Err(ConfigError::NoAlgorithms(list)),
            None => Ok(offer),
        }
    }

    /// The signature algorithms for user keys.
    pub(crate) fn user_signatures(
        &self,
    ) -> Result<Vec<&'static dyn SignatureAlgorithm>, ConfigError> {
        pick(
            &self.provider.signatures,
            &self.provider.on_request.signatures,
            self.public_keys.as_deref(),
            |a| a.name(),
        )
    }

    pub(crate) fn check_limits(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let invalid = [
            (limits.rekey_bytes == 0, "rekey_bytes"),
            (limits.rekey_packets == 0, "rekey_packets"),
            (limits.deferred_messages == 0, "deferred_messages"),
            (limits.deferred_bytes == 0, "deferred_bytes"),
            (
                limits.max_packet_size == 0 || limits.max_packet_size > 256 << 10,
                "max_packet_size",
            ),
            (limits.window_size < limits.max_packet_size, "window_size"),
            (limits.channel_send_buffer == 0, "channel_send_buffer"),
            (limits.user_name > MAX_USER_NAME, "user_name"),
        ];
        match invalid.into_iter().find(|(invalid, _)| *invalid) {
            Some((_, name)) => Err(ConfigError::InvalidLimit(name)),
            None => Ok(()),
        }
    }
}

/// The algorithms of these names, in this order; those of the default list if no names are given.
fn pick<A: Copy>(
    offered: &[A],
    on_request: &[A],
    names: Option<&[String]>,
    name_of: impl Fn(&A) -> &'static str,
) -> Result<Vec<A>, ConfigError> {
    let Some(names) = names else {
        return Ok(offered.to_vec());
    };
    let mut picked: Vec<A> = Vec::with_capacity(names.len());
    for name in names {
        let algorithm = offered
            .iter()
            .chain(on_request)
            .find(|algorithm| name_of(algorithm) == name)
            .ok_or_else(|| ConfigError::UnknownAlgorithm(name.clone()))?;
        // libssh2 1.11 overruns a buffer where a name stands twice.
        if !picked.iter().any(|earlier| name_of(earlier) == name) {
            picked.push(*algorithm);
        }
    }
    Ok(picked)
}

/// The setters that both builders have.
macro_rules! common_setters {
    () => {
        /// The bounds of connections made from this config. Begin with `Limits::default` on a server
        /// and with `Limits::for_clients` on a client.
        pub fn limits(mut self, limits: crate::limits::Limits) -> Self {
            self.common.limits = limits;
            self
        }

        /// The software version and comment of the identification string (RFC 4253 section 4.2).
        pub fn identification(mut self, software: &str, comment: Option<&str>) -> Self {
            self.common.software = software.into();
            self.common.comment = comment.map(Into::into);
            self
        }

        /// The key exchange methods to offer, in order of preference. Default: all of the
        /// provider's, and on a server those over elliptic curves and the hybrids alone, as in
        /// OpenSSH.
        pub fn kex<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.common.kex = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The host key algorithms to offer, in order of preference. Default: all of the
        /// provider's; on a server, those that its host keys serve.
        pub fn host_key_algorithms<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.host_keys = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The ciphers to offer in both directions, in order of preference. Default: all of the
        /// provider's.
        pub fn ciphers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            self.common.client_to_server.ciphers = Some(names.clone());
            self.common.server_to_client.ciphers = Some(names);
            self
        }

        /// The ciphers to offer for packets of the client alone.
        pub fn ciphers_client_to_server<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.client_to_server.ciphers =
                Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The ciphers to offer for packets of the server alone.
        pub fn ciphers_server_to_client<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.server_to_client.ciphers =
                Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The MACs to offer in both directions, in order of preference. Default: all of the
        /// provider's.
        pub fn macs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            self.common.client_to_server.macs = Some(names.clone());
            self.common.server_to_client.macs = Some(names);
            self
        }

        /// The MACs to offer for packets of the client alone.
        pub fn macs_client_to_server<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.client_to_server.macs = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The MACs to offer for packets of the server alone.
        pub fn macs_server_to_client<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.server_to_client.macs = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The signature algorithms for user keys, in order of preference. Default: all of the
        /// provider's. A server announces them as `server-sig-algs`.
        pub fn public_key_algorithms<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.public_keys = Some(names.into_iter().map(Into::into).collect());
            self
        }

        /// The kinds of channel that the peer may open; those of other kinds are refused without
        /// an event. Default: all on a server; on a client `PeerOpens::ASKED_FOR`, since it admits
        /// nothing in any case that it did not ask for.
        pub fn peer_channels(mut self, kinds: crate::mux::PeerOpens) -> Self {
            self.common.peer_opens = kinds;
            self
        }

        /// Which extended data is delivered and may be sent (RFC 4254 section 5.2). Default: standard
        /// error, to clients.
        pub fn extended_data(mut self, types: crate::mux::ExtendedData) -> Self {
            self.common.extended_data = types;
            self
        }

        /// Whether to refuse peers without strict key exchange, against which packets at the
        /// beginning of a session can be cut out unnoticed (CVE-2023-48795). Default no: the
        /// `KeysChanged` event reports it.
        pub fn require_strict_kex(mut self, require: bool) -> Self {
            self.common.require_strict_kex = require;
            self
        }

        /// Whether packets that are **not authentic** can be accepted: `MacError` then carries a
        /// token. For protocol tests and fuzzing, never for use: whoever can write to the
        /// transport can then change what is sent. It takes effect under ciphers with a MAC of
        /// their own beside them, never under AEAD ciphers. Default no: such a packet ends the
        /// connection.
        pub fn dangerously_accept_forged_packets(mut self, accept: bool) -> Self {
            self.common.accept_forged = accept;
            self
        }

        /// Whether `IGNORE` messages become events. Default no.
        pub fn report_ignore(mut self, report: bool) -> Self {
            self.common.report_ignore = report;
            self
        }
    };
}

pub(crate) use common_setters;
