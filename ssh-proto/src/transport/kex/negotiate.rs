//! Negotiation (RFC 4253 section 7.1): pure functions of the two `KEXINIT` messages.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::report::NegotiatedSuite;
use crate::crypto::{
    CipherAlgorithm, CompressionAlgorithm, KexAlgorithm, MacAlgorithm, SignatureAlgorithm,
};
use crate::error::{Error, KexSlot, NoCommonAlgorithm, PeerIncompatible};
use crate::role::Role;
use crate::wire::NameList;
use crate::wire::kex::KexInit;

/// What a side offers, each list in order of preference.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) kex: Vec<&'static dyn KexAlgorithm>,
    pub(crate) host_keys: Vec<&'static dyn SignatureAlgorithm>,
    pub(crate) client_to_server: DirectionOffer,
    pub(crate) server_to_client: DirectionOffer,
}

/// What a side offers for packets of one direction.
#[derive(Clone)]
pub(crate) struct DirectionOffer {
    pub(crate) ciphers: Vec<&'static dyn CipherAlgorithm>,
    pub(crate) macs: Vec<&'static dyn MacAlgorithm>,
    pub(crate) compression: Vec<&'static dyn CompressionAlgorithm>,
}

/// What both sides agree on.
#[derive(Clone, Copy)]
pub(crate) struct Agreement {
    pub(crate) kex: &'static dyn KexAlgorithm,
    pub(crate) host_key: &'static dyn SignatureAlgorithm,
    pub(crate) client_to_server: Suite,
    pub(crate) server_to_client: Suite,
    /// The peer announced a guess, and it is wrong: its next packet is to be discarded.
    pub(crate) discard_guess: bool,
}

impl Agreement {
    /// Whether packets could be cut out of the beginning of the session without strict key exchange.
    pub(super) fn needs_strict_kex(&self) -> bool {
        let suites = [self.client_to_server, self.server_to_client];
        suites
            .into_iter()
            .any(|suite| NegotiatedSuite::from(suite).needs_strict_kex())
    }
}

/// The algorithms of one direction.
#[derive(Clone, Copy)]
pub(crate) struct Suite {
    pub(crate) cipher: &'static dyn CipherAlgorithm,
    /// `None` where the cipher authenticates by itself.
    pub(crate) mac: Option<&'static dyn MacAlgorithm>,
    pub(crate) compression: &'static dyn CompressionAlgorithm,
}

/// Markers that stand among the key exchange methods and are none (RFC 8308 section 2.1, strict key exchange).
pub(crate) mod marker {
    use crate::role::Role;

    pub(crate) const fn ext_info(role: Role) -> &'static str {
        match role {
            Role::Client => "ext-info-c",
            Role::Server => "ext-info-s",
        }
    }

    pub(crate) const fn strict(role: Role) -> &'static str {
        match role {
            Role::Client => "kex-strict-c-v00@openssh.com",
            Role::Server => "kex-strict-s-v00@openssh.com",
        }
    }
}

impl Offer {
    /// Our `KEXINIT`. The markers stand in the first one alone.
    pub(crate) fn kex_init(&self, role: Role, cookie: [u8; 16], first: bool) -> KexInit<'static> {
        let markers = [marker::ext_info(role), marker::strict(role)];
        let markers = markers.into_iter().filter(|_| first);
        let (to_server, to_client) = (&self.client_to_server, &self.server_to_client);
        KexInit {
            cookie,
            kex: NameList::from_names(self.kex.iter().map(|a| a.name()).chain(markers)),
            host_key: NameList::from_names(self.host_keys.iter().map(|a| a.name())),
            cipher_client_to_server: to_server.cipher_names(),
            cipher_server_to_client: to_client.cipher_names(),
            mac_client_to_server: to_server.mac_names(),
            mac_server_to_client: to_client.mac_names(),
            compression_client_to_server: to_server.compression_names(),
            compression_server_to_client: to_client.compression_names(),
            languages_client_to_server: b"",
            languages_server_to_client: b"",
            first_kex_packet_follows: false,
            reserved: 0,
        }
    }

    /// Chooses from this offer and the peer's: the client's first acceptable entry wins.
    pub(crate) fn negotiate(&self, role: Role, theirs: &KexInit<'_>) -> Result<Agreement, Error> {
        let kex = choose(role, KexSlot::Kex, &self.kex, |a| a.name(), &theirs.kex)?;
        let host_key = choose(
            role,
            KexSlot::HostKey,
            &self.host_keys,
            |a| a.name(),
            &theirs.host_key,
        )?;
        let client_to_server = self.client_to_server.suite(
            role,
            [
                KexSlot::CipherClientToServer,
                KexSlot::MacClientToServer,
                KexSlot::CompressionClientToServer,
            ],
            [
                &theirs.cipher_client_to_server,
                &theirs.mac_client_to_server,
                &theirs.compression_client_to_server,
            ],
        )?;
        let server_to_client = self.server_to_client.suite(
            role,
            [
                KexSlot::CipherServerToClient,
                KexSlot::MacServerToClient,
                KexSlot::CompressionServerToClient,
            ],
            [
                &theirs.cipher_server_to_client,
                &theirs.mac_server_to_client,
                &theirs.compression_server_to_client,
            ],
        )?;
        // A guess is right if both sides prefer the same method and host key algorithm
        // (RFC 4253 section 7).
        let guess_is_right = self.kex.first().map(|a| a.name()) == theirs.kex.first()
            && self.host_keys.first().map(|a| a.name()) == theirs.host_key.first();
        let discard_guess = theirs.first_kex_packet_follows && !guess_is_right;
        Ok(Agreement {
            kex,
            host_key,
            client_to_server,
            server_to_client,
            discard_guess,
        })
    }
}

impl DirectionOffer {
    fn cipher_names(&self) -> NameList<'static> {
        NameList::from_names(self.ciphers.iter().map(|a| a.name()))
    }

    fn mac_names(&self) -> NameList<'static> {
        NameList::from_names(self.macs.iter().map(|a| a.name()))
    }

    fn compression_names(&self) -> NameList<'static> {
        NameList::from_names(self.compression.iter().map(|a| a.name()))
    }

    fn suite(
        &self,
        role: Role,
        [cipher_slot, mac_slot, compression_slot]: [KexSlot; 3],
        [ciphers, macs, compression]: [&NameList<'_>; 3],
    ) -> Result<Suite, Error> {
        let cipher = choose(role, cipher_slot, &self.ciphers, |a| a.name(), ciphers)?;
        let mac = match cipher.is_aead() {
            true => None,
            false => Some(choose(role, mac_slot, &self.macs, |a| a.name(), macs)?),
        };
        let compression = choose(
            role,
            compression_slot,
            &self.compression,
            |a| a.name(),
            compression,
        )?;
        Ok(Suite {
            cipher,
            mac,
            compression,
        })
    }
}

fn choose<A: Copy>(
    role: Role,
    slot: KexSlot,
    ours: &[A],
    name: impl Fn(&A) -> &'static str,
    theirs: &NameList<'_>,
) -> Result<A, Error> {
    let found = match role {
        Role::Client => ours
            .iter()
            .find(|algorithm| theirs.contains(name(algorithm))),
        Role::Server => theirs
            .iter()
            .find_map(|wanted| ours.iter().find(|algorithm| name(algorithm) == wanted)),
    };
    found.copied().ok_or_else(|| {
        Error::PeerIncompatible(PeerIncompatible::NoCommonAlgorithm(Box::new(
            NoCommonAlgorithm {
                slot,
                ours: ours
                    .iter()
                    .map(|algorithm| name(algorithm).to_owned())
                    .collect(),
                theirs: theirs.iter().map(ToOwned::to_owned).collect(),
            },
        )))
    })
}
