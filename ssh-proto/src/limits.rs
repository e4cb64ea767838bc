//! Every bound on what a peer can make us hold or do, its default, and the reason for it.

use core::time::Duration;

/// The longest identification string, CR and LF included (RFC 4253 section 4.2).
pub const MAX_IDENTIFICATION: usize = 255;

/// Lines that a server may send before its identification string. OpenSSH and Go accept as many.
pub const MAX_PRE_IDENTIFICATION_LINES: usize = 1024;

/// Bytes that a server may send before its identification string (CVE-2026-48108: none was set).
pub const MAX_PRE_IDENTIFICATION_BYTES: usize = 64 * 1024;

/// The smallest `packet_length`: one byte of padding length, payload and padding in a block of eight, less the length field itself (RFC 4253 section 6).
pub const MIN_PACKET_LENGTH: u32 = 5;

/// The longest `packet_length` before authentication: every implementation must take 35000 (RFC 4253 section 6.1), and nothing needs more there.
pub const MAX_PACKET_LENGTH_PRE_AUTH: u32 = 35_000;

/// The longest `packet_length` after authentication, as in OpenSSH, libssh and Go.
pub const MAX_PACKET_LENGTH: u32 = 262_144;

/// The longest packet that we send (RFC 4253 section 6.1).
pub const MAX_PACKET_LENGTH_SENT: u32 = 35_000;

/// Names in a name-list: several times what any peer offers, little enough to compare (Dropbear and wolfSSH CPU exhaustion).
pub const MAX_NAMES: usize = 256;

/// Bytes in one name (RFC 4251 section 6).
pub const MAX_NAME: usize = 64;

/// Bytes in an `mpint`: 16384 bits and a sign byte, as in OpenSSH.
pub const MAX_MPINT: usize = 2049;

/// Bits in the prime of a finite-field group, at least: smaller ones have been broken, or soon may be (RFC 8270).
pub const MIN_DH_BITS: u32 = 2048;

/// Bits in the prime of a finite-field group, at most: exponentiation takes the cube of it (RFC 4419 section 3).
pub const MAX_DH_BITS: u32 = 8192;

/// Entries in one `EXT_INFO` (libssh2 CVE-2026-55199: unchecked).
pub const MAX_EXT_INFO_ENTRIES: usize = 1024;

/// `EXT_INFO` messages that a server accepts from its client: one, directly after the first `NEWKEYS` (RFC 8308 section 2.4).
pub const MAX_EXT_INFO_FROM_CLIENT: u8 = 1;

/// `EXT_INFO` messages that a client accepts from its server (RFC 8308 section 2.4).
pub const MAX_EXT_INFO_FROM_SERVER: u8 = 2;

/// Bytes in a host key, user key or certificate blob: the largest RSA-16384 certificate fits.
pub const MAX_KEY_BLOB: usize = 16 * 1024;

/// Principals in a certificate, as in OpenSSH.
pub const MAX_CERTIFICATE_PRINCIPALS: usize = 256;
/// The shortest modulus of an RSA key that is ever computed with, in bits; what is accepted is a matter of the config, and more by default.
pub const MIN_RSA_BITS: usize = 1024;

/// The longest modulus of an RSA key that is computed with, in bits, as in OpenSSH (PuTTY CVE-2019-9894).
pub const MAX_RSA_BITS: usize = 16_384;

/// The longest public exponent of an RSA key, in bits: a long one makes verifying as slow as its sender likes (Go CVE-2026-39829).
pub const MAX_RSA_EXPONENT_BITS: usize = 32;

/// Bytes in a signature blob: RSA-16384 with its framing fits.
pub const MAX_SIGNATURE_BLOB: usize = 4 * 1024;

/// Terminal modes in a `pty-req` (russh panicked at 131).
pub const MAX_PTY_MODES: usize = 255;

/// Prompts in one `USERAUTH_INFO_REQUEST`, as in OpenSSH (russh CVE-2026-42189 allocated by count).
pub const MAX_PROMPTS: usize = 100;

/// Messages of the server within one attempt of `keyboard-interactive` or `gssapi-with-mic`: a password is changed in a handful of questions and a mechanism done in a few tokens, but nothing in RFC 4256 or RFC 4462 ends them (JSch #1139).
pub const MAX_AUTH_ROUNDS: u32 = 100;

/// The largest [`Limits::user_name`]: beside a key and a signature, two such names and one of a host fit into a packet.
pub const MAX_USER_NAME: usize = 4096;

/// Bytes in the name of the host that vouches for a user: no name in the DNS is longer (RFC 1035 section 2.3.4).
pub const MAX_HOST_NAME: usize = 255;

/// Bytes in a password; longer ones fail without a call to the application (CVE-2016-6515).
pub const MAX_PASSWORD: usize = 1024;

/// Bytes in a banner, in a password prompt, in the answers of one round or in a token of a mechanism that we send: with its framing it fits the payload that every peer takes (RFC 4253 section 6.1).
pub const MAX_AUTH_TEXT: usize = 32 * 1000;

/// The smallest maximum packet size that a peer may set for a channel, as in Go (2026 cluster of divisions by zero).
pub const MIN_PEER_MAX_PACKET: u32 = 9;

/// The most data that we send in one channel message, whatever the peer allows (RFC 4253 section 6.1).
pub const MAX_DATA_SENT: usize = 32 * 1024;

/// Bytes in the text of one request, channel open, `IGNORE`, `DEBUG` or `PING` that we send, or of a `PING` that we answer: name and fixed fields fit beside
/// it in the 32768 bytes of payload of RFC 4253 section 6.1.
pub const MAX_REQUEST_TEXT: usize = 32_000;

/// Host keys of one `hostkeys-00@openssh.com` or `hostkeys-prove-00@openssh.com` request: many times what a server holds.
pub const MAX_HOST_KEYS: usize = 64;

/// Signatures that a server makes with its host keys for `hostkeys-prove-00@openssh.com` on one connection: a client asks once, for keys that are new to it, and each costs more than the request.
pub const MAX_HOST_KEY_PROOFS: usize = 64;

/// The shortest interval of keystroke timing obfuscation: a shorter one would be a flood of pings.
pub const MIN_KEYSTROKE_INTERVAL: Duration = Duration::from_millis(1);

/// Forwards that a client may have asked for at once, each remembered so that nothing else is let in: more than a listener needs, and few enough to look through at each channel that the server opens.
pub const MAX_FORWARDS: usize = 1024;

/// Pieces of unread data that a channel keeps as they came; further ones are copied together. A 16 MiB
/// window of full packets stays below; single bytes would cost some fifty times their size.
pub const MAX_UNREAD_PIECES: usize = 1024;

/// Unread channel data of a connection above which further data is copied rather than kept as slices of input: the application is not keeping up, so the copy costs nothing that matters.
pub const COPIED_UNREAD: usize = 128 << 10;

/// Behind unread data, a slice is kept only if the memory behind it is at most this many times its size.
pub const PIN_FACTOR: usize = 8;

/// What a slice is taken to keep alive at least: callers split input off arenas whose size is not seen.
pub const PINNED_ARENA: usize = 256 << 10;

/// Bytes of peer text kept for display: a `DISCONNECT`, `DEBUG` or open failure message.
pub const MAX_PEER_TEXT: usize = 1024;

/// Replies to no request that are tolerated before the connection ends (Go CVE-2026-39830).
pub const MAX_UNSOLICITED_REPLIES: u32 = 100;

/// Packets after which a key must be replaced, at either counter (RFC 4344 section 3.1).
pub const REKEY_PACKETS: u64 = 1 << 31;

/// Bytes both ways under the same keys after which an exchange that the peer begins is not counted in
/// [`Limits::peer_rekeys`]: it costs no more than what was sent. Peers that are told to replace their keys
/// after each MiB do so a hundred times a second.
pub const FREE_REKEY_BYTES: u64 = 256 << 10;

/// Packets after which a key is no longer used at all: the sequence number must not repeat under one key.
pub const MAX_PACKETS_PER_KEY: u64 = (1 << 32) - (1 << 16);

/// Bytes in a private key file, as in libssh2; no real key comes near it.
pub const MAX_KEY_FILE: usize = 1 << 20;

/// Bytes in a public key line: a key of [`MAX_KEY_BLOB`] in base64, with room for its comment.
pub const MAX_KEY_LINE: usize = 64 * 1024;

/// Bytes in a file of lines with keys, such as known_hosts, or in a key revocation list: a hundred thousand lines of the longest usual keys.
pub const MAX_KEY_LIST: usize = 64 << 20;

/// Lines with keys in such a file: each takes several times its length in memory.
pub const MAX_KEY_LIST_LINES: usize = 1 << 17;

/// Lines that are reported as not understood in such a file; nobody reads more.
pub const MAX_LINE_ERRORS: usize = 1000;

/// Bytes in a line of known_hosts, as in libssh; a key of RSA-16384 takes a third of it.
pub const MAX_KNOWN_HOSTS_LINE: usize = 8192;

/// Options of one key in authorized_keys: many times what any key has.
pub const MAX_KEY_OPTIONS: usize = 1024;

/// Bytes in a signature file (SSHSIG), its armor included: the largest key and signature fit in base64, with a namespace.
pub const MAX_SIGNATURE_FILE: usize = 64 * 1024;

/// Bytes in the namespace of a signature: many times what any has, and little enough to match with patterns.
pub const MAX_SIGNATURE_NAMESPACE: usize = 255;

/// Bytes in the name of a signer: many times what any has, and little enough to match with patterns.
pub const MAX_PRINCIPAL: usize = 1024;

/// Bytes in the comment of a key that we write, as in ssh-keygen.
pub const MAX_KEY_COMMENT: usize = 1024;

/// Rounds of bcrypt in an encrypted key file, as in Go: many seconds; a file may claim 2^32 - 1.
pub const MAX_BCRYPT_ROUNDS: u32 = 2048;

/// Rounds of PBKDF2 in an encrypted key file: what RFC 8018 section 4.2 names for the most critical keys, some seconds.
pub const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Bytes of memory that scrypt or Argon2 may take for a key file: OpenSSL itself stops at 32 MiB and PuTTY takes 8, RFC 9106 names 64 where memory is scarce; a file may claim terabytes.
pub const MAX_KDF_MEMORY: u64 = 256 << 20;

/// Bytes that scrypt or Argon2 may write for a key file, its memory times its passes: some seconds.
pub const MAX_KDF_WORK: u64 = 8 << 30;

/// Bytes of salt in an encrypted key file, many times what any tool writes.
pub const MAX_KDF_SALT: usize = 1024;

/// Bytes in a message of the agent protocol, its type included, as in OpenSSH's ssh-agent.
pub const MAX_AGENT_MESSAGE: usize = 256 << 10;

/// Bytes of agent protocol that may be handed over and not yet be parsed; a caller that honours `wants_read` never comes near it.
pub const MAX_AGENT_INPUT: usize = 1 << 20;

/// Bytes of replies that may wait to be taken from an agent; above it no further request is parsed.
pub const MAX_AGENT_OUTPUT: usize = 512 << 10;

/// Requests to an agent that may await their replies.
pub const MAX_AGENT_REQUESTS: usize = 256;

/// Keys in an agent, and in the list of one, as in OpenSSH.
pub const MAX_AGENT_IDENTITIES: usize = 2048;

/// Bytes of constraints and comments that the keys of an agent may have in all: a constraint takes several times its length in memory.
pub const MAX_AGENT_CONSTRAINT_BYTES: usize = 4 << 20;

/// Destination constraints of one key in an agent, as in OpenSSH.
pub const MAX_AGENT_DESTINATIONS: usize = 1024;

/// Bytes in a host name or user pattern of a destination constraint: what a name of the DNS can have, and little enough to match.
pub const MAX_AGENT_HOP_NAME: usize = 255;

/// Sessions that a connection to an agent may be bound to, one for each hop of forwarding, as in OpenSSH.
pub const MAX_AGENT_BINDS: usize = 16;

/// Bytes in a session identifier that a connection to an agent is bound to, as in OpenSSH.
pub const MAX_AGENT_SESSION_ID: usize = 128;

/// Extensions in an agent's answer to `query`: many times what any agent has.
pub const MAX_AGENT_EXTENSIONS: usize = 256;

/// What each wrong passphrase adds to the time until an agent tries the next one, as in OpenSSH.
pub const AGENT_UNLOCK_DELAY: Duration = Duration::from_millis(100);

/// The longest time between two passphrases that an agent tries, as in OpenSSH.
pub const MAX_AGENT_UNLOCK_DELAY: Duration = Duration::from_secs(10);

/// The bounds of one connection. Everything has a safe default; change a field to change a bound.
///
/// Fixed bounds that no application has reason to change are constants of this module.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From construction to successful authentication. Default 120 s, as OpenSSH's `LoginGraceTime`.
    pub login_grace: Option<Duration>,
    /// What the peer has for the first key exchange, its identification included; time that the application takes does not count. Default 60 s.
    pub handshake_timeout: Option<Duration>,
    /// From our `KEXINIT` to the peer's `NEWKEYS` when keys are replaced. Default 60 s: a peer that never finishes must not hold replies for ever (CVE-2025-22869).
    pub kex_timeout: Option<Duration>,
    /// How long the application may leave a question that pauses the connection. Default 120 s.
    pub decision_timeout: Option<Duration>,
    /// Payload and packet bytes per direction after which keys are replaced. Default 1 GiB (RFC 4253 section 9).
    pub rekey_bytes: u64,
    /// Packets per direction after which keys are replaced. Default and maximum [`REKEY_PACKETS`].
    pub rekey_packets: u64,
    /// The age at which keys are replaced. Default one hour (RFC 4253 section 9).
    pub rekey_age: Option<Duration>,
    /// Key exchanges that the peer may begin within [`Self::peer_rekey_interval`] after authentication, each before [`FREE_REKEY_BYTES`] have passed. Default 32 (DHEat: each costs us more than the peer).
    pub peer_rekeys: u32,
    /// The interval in which [`Self::peer_rekeys`] are counted. Default 10 s.
    pub peer_rekey_interval: Duration,
    /// Bytes received before authentication. Default 2 MiB: no login needs more.
    pub pre_auth_bytes: u64,
    /// Bytes of input that may be handed over and not yet be parsed, once authenticated. Default 8 MiB; a caller that honours `wants_read` never comes near it.
    pub buffered_input: usize,
    /// The same before authentication. Default 512 KiB: nobody is known yet, and half-open connections are many.
    pub buffered_input_pre_auth: usize,
    /// Replies that may wait for a key exchange to end or for the peer to read: count. Default 1024. Once reached, the application can queue nothing; at twice as many, nothing of the peer is parsed; while keys are exchanged parsing must go on, and the connection ends at three times as many. Go keeps 64 there, Dropbear 1000; a pipelining client makes hundreds at once.
    pub deferred_messages: usize,
    /// Replies that may wait for a key exchange to end or for the peer to read: bytes, as for the count. Default 256 KiB (CVE-2025-26466).
    pub deferred_bytes: usize,
    /// Failed authentication attempts a server accepts. Default 6, as OpenSSH's `MaxAuthTries`.
    pub auth_failures: u32,
    /// Authentication requests of any kind a server accepts, those for the service included. Default 128, as Go and AsyncSSH.
    pub auth_requests: u32,
    /// Public key queries without signature a server accepts. Default 15, as Dropbear.
    pub key_queries: u32,
    /// Failures a client accepts before it gives up. Default 64, as Go.
    pub client_auth_failures: u32,
    /// The earliest moment, counted from the request, at which a server sends `USERAUTH_FAILURE`. Default none.
    pub auth_failure_delay: Option<Duration>,
    /// Bytes in a user name. Default 256, at most [`MAX_USER_NAME`].
    pub user_name: usize,
    /// Bytes of banner a client accepts in all. Default 64 KiB.
    pub banner_bytes: usize,
    /// Channels open at once, the peer's and ours together. Default 256.
    pub channels: usize,
    /// Session channels that a server accepts at once. Default 10, as OpenSSH's `MaxSessions`.
    pub sessions: usize,
    /// Channel opens and channel requests of the peer that may await the application's answer. Default 256; above it they are refused. As many requests of ours may await the peer's reply, per channel and globally.
    pub pending_requests: usize,
    /// `env` requests per channel. Default 128, as OpenSSH.
    pub env_requests: u32,
    /// The receive window of a channel at open. Default 2 MiB, as OpenSSH.
    pub window_size: u32,
    /// The size to which a receive window doubles by itself, each time the peer has used up the whole window and the application has kept up with reading; never because of what a peer declares. Default 16 MiB: a gigabit link with a round trip of 130 ms. No growth where it is not above [`Self::window_size`].
    pub max_window_size: u32,
    /// Bytes by which the windows of all channels of a connection together may have grown beyond [`Self::window_size`]: what growth can cost, should the application stop reading then. Default 32 MiB.
    pub window_growth: u32,
    /// The maximum packet size that we announce for a channel. Default 32 KiB (RFC 4253 section 6.1).
    pub max_packet_size: u32,
    /// Bytes that the application may queue on a channel ahead of the peer's window. Default 256 KiB.
    pub channel_send_buffer: usize,
    /// Silence after which a keepalive request goes out. Default off.
    pub keepalive_interval: Option<Duration>,
    /// Keepalive requests in a row that may stay unanswered. Default 3.
    pub keepalive_max: u32,
    /// Time without channel data after which the connection ends. Default off.
    pub idle_timeout: Option<Duration>,
}

/// Those of a server; [`Self::for_clients`] has those of a client.
impl Default for Limits {
    fn default() -> Self {
        Self {
            login_grace: Some(Duration::from_secs(120)),
            handshake_timeout: Some(Duration::from_secs(60)),
            kex_timeout: Some(Duration::from_secs(60)),
            decision_timeout: Some(Duration::from_secs(120)),
            rekey_bytes: 1 << 30,
            rekey_packets: REKEY_PACKETS,
            rekey_age: Some(Duration::from_secs(3600)),
            peer_rekeys: 32,
            peer_rekey_interval: Duration::from_secs(10),
            pre_auth_bytes: 2 << 20,
            buffered_input: 8 << 20,
            buffered_input_pre_auth: 512 << 10,
            deferred_messages: 1024,
            deferred_bytes: 256 << 10,
            auth_failures: 6,
            auth_requests: 128,
            key_queries: 15,
            client_auth_failures: 64,
            auth_failure_delay: None,
            user_name: 256,
            banner_bytes: 64 << 10,
            channels: 256,
            sessions: 10,
            pending_requests: 256,
            env_requests: 128,
            window_size: 2 << 20,
            max_window_size: 16 << 20,
            window_growth: 32 << 20,
            max_packet_size: 32 << 10,
            channel_send_buffer: 256 << 10,
            keepalive_interval: None,
            keepalive_max: 3,
            idle_timeout: None,
        }
    }
}

impl Limits {
    /// The bounds with which a client's config begins: the defaults, but for the deadlines that
    /// would run while a person is asked, `login_grace` and `decision_timeout`.
    pub fn for_clients() -> Self {
        Self {
            login_grace: None,
            decision_timeout: None,
            ..Self::default()
        }
    }
}
