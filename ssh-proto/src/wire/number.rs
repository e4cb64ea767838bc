//! Message numbers, their names and the range each belongs to (RFC 4250 section 4.1).

#![allow(
    missing_docs,
    reason = "each constant is the message of the same name in the RFC of its group"
)]

/// RFC 4253 section 11, RFC 8308.
pub const DISCONNECT: u8 = 1;
pub const IGNORE: u8 = 2;
pub const UNIMPLEMENTED: u8 = 3;
pub const DEBUG: u8 = 4;
pub const SERVICE_REQUEST: u8 = 5;
pub const SERVICE_ACCEPT: u8 = 6;
pub const EXT_INFO: u8 = 7;
pub const NEWCOMPRESS: u8 = 8;

/// RFC 4253 section 7.
pub const KEXINIT: u8 = 20;
pub const NEWKEYS: u8 = 21;

/// RFC 4253 section 8, RFC 5656 section 4; the numbers 30 to 49 depend on the method.
pub const KEX_ECDH_INIT: u8 = 30;
pub const KEX_ECDH_REPLY: u8 = 31;
pub const KEXDH_INIT: u8 = 30;
pub const KEXDH_REPLY: u8 = 31;

/// RFC 4419 section 3.
pub const KEX_DH_GEX_REQUEST_OLD: u8 = 30;
pub const KEX_DH_GEX_GROUP: u8 = 31;
pub const KEX_DH_GEX_INIT: u8 = 32;
pub const KEX_DH_GEX_REPLY: u8 = 33;
pub const KEX_DH_GEX_REQUEST: u8 = 34;

/// RFC 4252 section 6.
pub const USERAUTH_REQUEST: u8 = 50;
pub const USERAUTH_FAILURE: u8 = 51;
pub const USERAUTH_SUCCESS: u8 = 52;
pub const USERAUTH_BANNER: u8 = 53;

/// RFC 4252 sections 7 and 8, RFC 4256, RFC 4462; the numbers 60 to 79 depend on the method.
pub const USERAUTH_PK_OK: u8 = 60;
pub const USERAUTH_PASSWD_CHANGEREQ: u8 = 60;
pub const USERAUTH_INFO_REQUEST: u8 = 60;
pub const USERAUTH_INFO_RESPONSE: u8 = 61;
pub const USERAUTH_GSSAPI_RESPONSE: u8 = 60;
pub const USERAUTH_GSSAPI_TOKEN: u8 = 61;
pub const USERAUTH_GSSAPI_EXCHANGE_COMPLETE: u8 = 63;
pub const USERAUTH_GSSAPI_ERROR: u8 = 64;
pub const USERAUTH_GSSAPI_ERRTOK: u8 = 65;
pub const USERAUTH_GSSAPI_MIC: u8 = 66;

/// RFC 4254 section 9.
pub const GLOBAL_REQUEST: u8 = 80;
pub const REQUEST_SUCCESS: u8 = 81;
pub const REQUEST_FAILURE: u8 = 82;
pub const CHANNEL_OPEN: u8 = 90;
pub const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
pub const CHANNEL_OPEN_FAILURE: u8 = 92;
pub const CHANNEL_WINDOW_ADJUST: u8 = 93;
pub const CHANNEL_DATA: u8 = 94;
pub const CHANNEL_EXTENDED_DATA: u8 = 95;
pub const CHANNEL_EOF: u8 = 96;
pub const CHANNEL_CLOSE: u8 = 97;
pub const CHANNEL_REQUEST: u8 = 98;
pub const CHANNEL_SUCCESS: u8 = 99;
pub const CHANNEL_FAILURE: u8 = 100;

/// OpenSSH's transport extension `ping@openssh.com`.
pub const PING: u8 = 192;
pub const PONG: u8 = 193;

/// The name of a message number, without `SSH_MSG_`, for people. The numbers 30 to 49 and 60 to 79
/// mean something else in each method and have names that say no more than that.
pub const fn name(number: u8) -> &'static str {
    match number {
        DISCONNECT => "DISCONNECT",
        IGNORE => "IGNORE",
        UNIMPLEMENTED => "UNIMPLEMENTED",
        DEBUG => "DEBUG",
        SERVICE_REQUEST => "SERVICE_REQUEST",
        SERVICE_ACCEPT => "SERVICE_ACCEPT",
        EXT_INFO => "EXT_INFO",
        NEWCOMPRESS => "NEWCOMPRESS",
        KEXINIT => "KEXINIT",
        NEWKEYS => "NEWKEYS",
        30..=49 => "of the key exchange method",
        USERAUTH_REQUEST => "USERAUTH_REQUEST",
        USERAUTH_FAILURE => "USERAUTH_FAILURE",
        USERAUTH_SUCCESS => "USERAUTH_SUCCESS",
        USERAUTH_BANNER => "USERAUTH_BANNER",
        60..=79 => "of the authentication method",
        GLOBAL_REQUEST => "GLOBAL_REQUEST",
        REQUEST_SUCCESS => "REQUEST_SUCCESS",
        REQUEST_FAILURE => "REQUEST_FAILURE",
        CHANNEL_OPEN => "CHANNEL_OPEN",
        CHANNEL_OPEN_CONFIRMATION => "CHANNEL_OPEN_CONFIRMATION",
        CHANNEL_OPEN_FAILURE => "CHANNEL_OPEN_FAILURE",
        CHANNEL_WINDOW_ADJUST => "CHANNEL_WINDOW_ADJUST",
        CHANNEL_DATA => "CHANNEL_DATA",
        CHANNEL_EXTENDED_DATA => "CHANNEL_EXTENDED_DATA",
        CHANNEL_EOF => "CHANNEL_EOF",
        CHANNEL_CLOSE => "CHANNEL_CLOSE",
        CHANNEL_REQUEST => "CHANNEL_REQUEST",
        CHANNEL_SUCCESS => "CHANNEL_SUCCESS",
        CHANNEL_FAILURE => "CHANNEL_FAILURE",
        PING => "PING",
        PONG => "PONG",
        _ => "unassigned",
    }
}
