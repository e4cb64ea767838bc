//! The one table of what may arrive when: role, phase and key exchange state, by message number (RFC 4253 section 7.1, RFC 4252 section 6, RFC 4254, RFC 8308, strict key exchange).

use crate::role::Role;
use crate::transport::kex::KexStage;
use crate::wire::number::*;

/// How far the connection has come, seen from the receiving side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Up to the peer's first `NEWKEYS`.
    FirstKex,
    /// Up to the service request (server) or its acceptance (client).
    Service,
    /// Up to `USERAUTH_SUCCESS`.
    Auth,
    /// Authenticated.
    Connection,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it to its layer.
    Deliver,
    /// It is the peer's wrong guess: drop it unparsed.
    DiscardGuess,
    /// Drop it.
    Ignore,
    /// Drop it and say so with `UNIMPLEMENTED`.
    Unimplemented,
    /// End the connection.
    Fatal,
}

/// What the table is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    pub(crate) role: Role,
    pub(crate) phase: Phase,
    pub(crate) stage: KexStage,
    /// Strict key exchange is agreed.
    pub(crate) strict: bool,
}

/// The verdict on a message with this number.
pub(crate) fn admit(situation: Situation, number: u8) -> Verdict {
    let Situation {
        phase,
        stage,
        strict,
        ..
    } = situation;
    match (phase, stage) {
        _ if number == 0 => Verdict::Fatal,
        // Nothing is parsed while a question of key exchange is open.
        (_, KexStage::Paused) => Verdict::Fatal,
        (Phase::FirstKex, KexStage::Open) => before_first_kexinit(number),
        (Phase::FirstKex, _) if strict => strict_exchange(stage, number),
        (Phase::FirstKex, _) => exchange(stage, number, Verdict::Ignore),
        (_, KexStage::Open) => between_exchanges(situation, number),
        (_, _) => exchange(stage, number, Verdict::Fatal),
    }
}

/// Before the peer's first `KEXINIT`. Whether the exchange is strict is not known yet; if it
/// turns out to be, whatever came before `KEXINIT` ends the connection then.
fn before_first_kexinit(number: u8) -> Verdict {
    match number {
        DISCONNECT | IGNORE | UNIMPLEMENTED | DEBUG | KEXINIT => Verdict::Deliver,
        8..=19 | 22..=29 => Verdict::Unimplemented,
        PING => Verdict::Ignore,
        _ => Verdict::Fatal,
    }
}

/// The one message of key exchange that is due.
fn expected(stage: KexStage) -> Option<u8> {
    match stage {
        // The same numbers in each method with fixed parameters.
        KexStage::Init => Some(KEX_ECDH_INIT),
        KexStage::Reply => Some(KEX_ECDH_REPLY),
        KexStage::GexRequest => Some(KEX_DH_GEX_REQUEST),
        KexStage::GexGroup => Some(KEX_DH_GEX_GROUP),
        KexStage::GexInit => Some(KEX_DH_GEX_INIT),
        KexStage::GexReply => Some(KEX_DH_GEX_REPLY),
        KexStage::NewKeys => Some(NEWKEYS),
        KexStage::Open | KexStage::Guess | KexStage::Paused => None,
    }
}

/// Within the first exchange, strict: what is due, and `DISCONNECT`.
fn strict_exchange(stage: KexStage, number: u8) -> Verdict {
    match number {
        DISCONNECT => Verdict::Deliver,
        30..=49 if stage == KexStage::Guess => Verdict::DiscardGuess,
        _ if expected(stage) == Some(number) => Verdict::Deliver,
        _ => Verdict::Fatal,
    }
}

/// From the peer's `KEXINIT` to its `NEWKEYS` (RFC 4253 section 7.1): what is due, and 1 to 19
/// but for the service messages and `EXT_INFO`.
fn exchange(stage: KexStage, number: u8, ping: Verdict) -> Verdict {
    match number {
        DISCONNECT | IGNORE | UNIMPLEMENTED | DEBUG => Verdict::Deliver,
        8..=19 | 22..=29 => Verdict::Unimplemented,
        30..=49 if stage == KexStage::Guess => Verdict::DiscardGuess,
        _ if expected(stage) == Some(number) => Verdict::Deliver,
        PING => ping,
        _ => Verdict::Fatal,
    }
}

/// No exchange of the peer's under way, keys in use.
fn between_exchanges(situation: Situation, number: u8) -> Verdict {
    match number {
        DISCONNECT | IGNORE | UNIMPLEMENTED | DEBUG | KEXINIT => Verdict::Deliver,
        8..=19 | 22..=29 => Verdict::Unimplemented,
        SERVICE_REQUEST..=EXT_INFO => service(situation, number),
        50..=79 => auth(situation, number),
        80..=255 if situation.phase != Phase::Connection => match number {
            PING => Verdict::Ignore,
            _ => Verdict::Fatal,
        },
        80..=255 => connection(situation.role, number),
        _ => Verdict::Fatal,
    }
}

/// RFC 4253 section 10 and RFC 8308 section 2.4.
fn service(Situation { role, phase, .. }: Situation, number: u8) -> Verdict {
    match (role, number, phase) {
        (Role::Server, SERVICE_REQUEST, Phase::Service | Phase::Auth) => Verdict::Deliver,
        (Role::Server, SERVICE_REQUEST, _) => Verdict::Unimplemented,
        (Role::Client, SERVICE_ACCEPT, Phase::Service) => Verdict::Deliver,
        (Role::Server, EXT_INFO, Phase::Service) => Verdict::Deliver,
        (Role::Client, EXT_INFO, Phase::Service | Phase::Auth) => Verdict::Deliver,
        (_, EXT_INFO, _) => Verdict::Unimplemented,
        _ => Verdict::Fatal,
    }
}

/// RFC 4252 sections 5.1 and 6.
fn auth(Situation { role, phase, .. }: Situation, number: u8) -> Verdict {
    match (role, number, phase) {
        (Role::Server, USERAUTH_REQUEST, Phase::Auth) => Verdict::Deliver,
        (Role::Server, USERAUTH_REQUEST, Phase::Connection) => Verdict::Ignore,
        (Role::Client, 51..=53, Phase::Auth) => Verdict::Deliver,
        (_, 50..=53, _) => Verdict::Fatal,
        (_, 54..=59, _) => Verdict::Unimplemented,
        (_, _, Phase::Auth) => Verdict::Deliver,
        (Role::Server, 61..=79, Phase::Connection) => Verdict::Unimplemented,
        _ => Verdict::Fatal,
    }
}

/// RFC 4254 section 9 and OpenSSH's ping, which only a server announces.
fn connection(role: Role, number: u8) -> Verdict {
    match (role, number) {
        (_, GLOBAL_REQUEST..=REQUEST_FAILURE | CHANNEL_OPEN..=CHANNEL_FAILURE) => Verdict::Deliver,
        (Role::Server, PING) | (Role::Client, PONG) => Verdict::Deliver,
        _ => Verdict::Unimplemented,
    }
}
