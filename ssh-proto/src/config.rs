//! What the configs of both roles share: algorithms by name, identification, limits.

mod names;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use self::names::Names;
use crate::crypto::{CryptoProvider, KexShape, PublicKey, SignatureAlgorithm};
use crate::error::ApiMisuse;
use crate::limits::{Limits, MAX_RSA_BITS, MAX_USER_NAME, MIN_RSA_BITS};
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
    /// This host key is of RSA and shorter than `min_rsa_bits`, or longer than is computed with.
    HostKeySize(PublicKey),
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
            Self::HostKeySize(key) => {
                let bits = key.rsa_bits().unwrap_or_default();
                write!(f, "an RSA host key of {bits} bits is not accepted")
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

/// What packets of one direction may be protected by, and compressed.
#[derive(Debug, Clone, Default)]
pub(crate) struct DirectionNames {
    pub(crate) ciphers: Names,
    pub(crate) macs: Names,
    pub(crate) compression: Names,
}

impl DirectionNames {
    fn offer(&self, provider: &CryptoProvider) -> Result<DirectionOffer, ConfigError> {
        let more = &provider.on_request;
        Ok(DirectionOffer {
            ciphers: self
                .ciphers
                .pick(&provider.ciphers, &more.ciphers, |a| a.name())?,
            macs: self.macs.pick(&provider.macs, &more.macs, |a| a.name())?,
            compression: self
                .compression
                .pick(&provider.compression, &more.compression, |a| a.name())?,
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
    pub(crate) kex: Names,
    pub(crate) host_keys: Names,
    pub(crate) client_to_server: DirectionNames,
    pub(crate) server_to_client: DirectionNames,
    pub(crate) public_keys: Names,
    pub(crate) min_rsa_bits: usize,
    pub(crate) report_ignore: bool,
    pub(crate) require_strict_kex: bool,
    pub(crate) refuse_prefix_truncation: bool,
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
            kex: Names::default(),
            host_keys: Names::default(),
            client_to_server: DirectionNames::default(),
            server_to_client: DirectionNames::default(),
            public_keys: Names::default(),
            min_rsa_bits: 2048,
            report_ignore: false,
            require_strict_kex: false,
            refuse_prefix_truncation: false,
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
        // What costs a server most is computed for whoever asks: only where the config says so.
        let (kex, more_kex): (Vec<_>, Vec<_>) = provider
            .kex
            .iter()
            .partition(|kex| role == Role::Client || kex.shape() == KexShape::Ecdh);
        let more_kex = [&more_kex[..], &provider.on_request.kex].concat();
        let offer = Offer {
            kex: self.kex.pick(&kex, &more_kex, |a| a.name())?,
            host_keys: self.pick_signatures(&self.host_keys)?,
            client_to_server: self.client_to_server.offer(provider)?,
            server_to_client: self.server_to_client.offer(provider)?,
        };
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
        self.pick_signatures(&self.public_keys)
    }

    fn pick_signatures(
        &self,
        names: &Names,
    ) -> Result<Vec<&'static dyn SignatureAlgorithm>, ConfigError> {
        let provider = &self.provider;
        names.pick(&provider.signatures, &provider.on_request.signatures, |a| {
            a.name()
        })
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
            (
                !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&self.min_rsa_bits),
                "min_rsa_bits",
            ),
        ];
        match invalid.into_iter().find(|(invalid, _)| *invalid) {
            Some((_, name)) => Err(ConfigError::InvalidLimit(name)),
            None => Ok(()),
        }
    }
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
        /// provider's but for what it has on request, and on a server those over elliptic curves and
        /// the hybrids alone, as in OpenSSH.
        ///
        /// As all lists of algorithms it is given whole, or as an edit of what was set before, at
        /// first the default, in the form of OpenSSH: its first name begins with `+` to put the
        /// names behind the others, with `-` to remove them, or with `^` to put them in front.
        /// `*` and `?` stand for any letters and any letter. A string may hold several names, with
        /// commas between them. All forms reach what the provider has on request. What it does not
        /// have can be removed, and is an error otherwise, told by name when the config is built.
        ///
        /// ```
        /// # #[cfg(feature = "rustcrypto")] {
        /// # use ssh_proto::{ClientConfig, crypto::rustcrypto};
        /// let config = ClientConfig::builder(rustcrypto::provider())
        ///     .kex(["curve25519-sha256", "ecdh-sha2-nistp256"])
        ///     .ciphers(["^aes256-gcm@openssh.com"])
        ///     .macs(["-hmac-sha2-256,hmac-sha2-512"])
        ///     .build();
        /// # config.unwrap(); }
        /// ```
        pub fn kex<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.common.kex.edit(names);
            self
        }

        /// The host key algorithms to offer, in order of preference, as for [`Self::kex`]. On a
        /// server, those that its host keys serve are left of them.
        pub fn host_key_algorithms<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.host_keys.edit(names);
            self
        }

        /// The ciphers to offer in both directions, in order of preference, as for [`Self::kex`].
        pub fn ciphers<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            self.common.client_to_server.ciphers.edit(names.clone());
            self.common.server_to_client.ciphers.edit(names);
            self
        }

        /// The ciphers to offer for packets of the client alone.
        pub fn ciphers_client_to_server<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.client_to_server.ciphers.edit(names);
            self
        }

        /// The ciphers to offer for packets of the server alone.
        pub fn ciphers_server_to_client<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.server_to_client.ciphers.edit(names);
            self
        }

        /// The MACs to offer in both directions, in order of preference, as for [`Self::kex`].
        pub fn macs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            self.common.client_to_server.macs.edit(names.clone());
            self.common.server_to_client.macs.edit(names);
            self
        }

        /// The MACs to offer for packets of the client alone.
        pub fn macs_client_to_server<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.client_to_server.macs.edit(names);
            self
        }

        /// The MACs to offer for packets of the server alone.
        pub fn macs_server_to_client<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.server_to_client.macs.edit(names);
            self
        }

        /// The compression to offer in both directions, in order of preference, as for
        /// [`Self::kex`]: `["^zlib@openssh.com"]` asks for it. Default `none`.
        ///
        /// Compressed packets tell by their lengths what is in them. Whoever sees those and can
        /// put text of their choosing beside a secret finds it out piece by piece, as in CRIME
        /// (CVE-2012-4929): leave it off where others write into a session that carries secrets.
        /// It begins with authentication, so passwords are not compressed. Each direction takes
        /// memory for its window, some 310 KiB to compress and 45 KiB to decompress.
        pub fn compression<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            let names: Vec<String> = names.into_iter().map(Into::into).collect();
            self.common.client_to_server.compression.edit(names.clone());
            self.common.server_to_client.compression.edit(names);
            self
        }

        /// The compression to offer for packets of the client alone.
        pub fn compression_client_to_server<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.client_to_server.compression.edit(names);
            self
        }

        /// The compression to offer for packets of the server alone.
        pub fn compression_server_to_client<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.server_to_client.compression.edit(names);
            self
        }

        /// The signature algorithms for user keys, in order of preference, as for [`Self::kex`]. A
        /// server announces them as `server-sig-algs`.
        pub fn public_key_algorithms<N: Into<String>>(
            mut self,
            names: impl IntoIterator<Item = N>,
        ) -> Self {
            self.common.public_keys.edit(names);
            self
        }

        /// The shortest RSA key that is accepted, in bits: of servers, of users, and of this
        /// server itself. Default 2048; from 1024, for the sake of old peers, to 16384. Shorter
        /// ones are refused before anything is computed with them.
        pub fn min_rsa_bits(mut self, bits: usize) -> Self {
            self.common.min_rsa_bits = bits;
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

        /// Whether to refuse peers without strict key exchange where that attack works: under
        /// `chacha20-poly1305@openssh.com`, and under CBC with encrypt-then-MAC. Default no, as in
        /// OpenSSH, since what can be cut out is little and such peers are many;
        /// [`Negotiated::weaknesses`](crate::Negotiated::weaknesses) reports it.
        pub fn refuse_prefix_truncation(mut self, refuse: bool) -> Self {
            self.common.refuse_prefix_truncation = refuse;
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
