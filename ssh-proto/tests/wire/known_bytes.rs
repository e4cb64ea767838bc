//! Payloads written by hand from the RFCs, and the messages that they are.

use ssh_proto::error::DisconnectReason;
use ssh_proto::wire::auth::*;
use ssh_proto::wire::connection::*;
use ssh_proto::wire::extension::*;
use ssh_proto::wire::kex::*;
use ssh_proto::wire::transport::*;
use ssh_proto::wire::{Message, Mpint, NameList, Rest};

use crate::encode;

/// A payload in the notation of the RFCs' tables: numbers, texts and lengths one after the other.
macro_rules! payload {
    ($($part:expr),* $(,)?) => {
        [$($part.as_slice()),*].concat()
    };
}

fn both_ways<'a, M: Message<'a> + PartialEq + std::fmt::Debug>(payload: &'a [u8], message: &M) {
    assert_eq!(&M::from_payload(payload).unwrap(), message);
    assert_eq!(encode(message), payload);
}

#[test]
fn transport_messages_as_rfc_4253_lists_them() {
    both_ways(
        &payload![[1, 0, 0, 0, 11, 0, 0, 0, 3], b"bye", [0, 0, 0, 2], b"en"],
        &Disconnect {
            reason: DisconnectReason::BY_APPLICATION,
            description: b"bye",
            language: b"en",
        },
    );
    both_ways(
        &payload![[5, 0, 0, 0, 12], b"ssh-userauth"],
        &ServiceRequest {
            service: b"ssh-userauth",
        },
    );
    both_ways(
        &[3, 0xff, 0xff, 0xff, 0xff],
        &Unimplemented { sequence: u32::MAX },
    );
    let names = |names: &'static str| NameList::parse(names.as_bytes()).unwrap();
    both_ways(
        &payload![
            [20],
            [0xc0; 16],
            [0, 0, 0, 17],
            b"curve25519-sha256",
            [0, 0, 0, 11],
            b"ssh-ed25519",
            [0, 0, 0, 10],
            b"aes128-ctr",
            [0, 0, 0, 10],
            b"aes256-ctr",
            [0, 0, 0, 13],
            b"hmac-sha2-256",
            [0, 0, 0, 13],
            b"hmac-sha2-512",
            [0, 0, 0, 9],
            b"none,zlib",
            [0, 0, 0, 4],
            b"none",
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            [1],
            [0, 0, 0, 0],
        ],
        &KexInit {
            cookie: [0xc0; 16],
            kex: names("curve25519-sha256"),
            host_key: names("ssh-ed25519"),
            cipher_client_to_server: names("aes128-ctr"),
            cipher_server_to_client: names("aes256-ctr"),
            mac_client_to_server: names("hmac-sha2-256"),
            mac_server_to_client: names("hmac-sha2-512"),
            compression_client_to_server: names("none,zlib"),
            compression_server_to_client: names("none"),
            languages_client_to_server: b"",
            languages_server_to_client: b"",
            first_kex_packet_follows: true,
            reserved: 0,
        },
    );
    both_ways(&[21], &NewKeys {});
    // The positive mpint with its top bit set takes a zero byte in front (RFC 4251 section 5).
    both_ways(
        &[30, 0, 0, 0, 2, 0, 0x80],
        &KexDhInit {
            e: Mpint::from_magnitude(&[0x80]),
        },
    );
}

#[test]
fn extensions_as_rfc_8308_lists_them() {
    both_ways(
        &payload![
            [7, 0, 0, 0, 2],
            [0, 0, 0, 15],
            b"server-sig-algs",
            [0, 0, 0, 11],
            b"ssh-ed25519",
            [0, 0, 0, 16],
            b"ping@openssh.com",
            [0, 0, 0, 1],
            b"0",
        ],
        &ExtInfo {
            extensions: vec![
                (b"server-sig-algs", b"ssh-ed25519"),
                (b"ping@openssh.com", b"0"),
            ],
        },
    );
    both_ways(&[192, 0, 0, 0, 1, 9], &Ping { data: &[9] });
}

#[test]
fn authentication_messages_as_rfc_4252_lists_them() {
    let head = payload![[50, 0, 0, 0, 5], b"alice", [0, 0, 0, 14], b"ssh-connection"];
    let request = |method| UserauthRequest {
        user: b"alice",
        service: b"ssh-connection",
        method,
    };
    both_ways(
        &payload![head, [0, 0, 0, 4], b"none"],
        &request(AuthMethod::None(())),
    );
    both_ways(
        &payload![head, [0, 0, 0, 8], b"password", [0], [0, 0, 0, 2], b"pw"],
        &request(AuthMethod::Password(PasswordAuth {
            password: b"pw",
            new_password: None,
        })),
    );
    both_ways(
        &payload![
            head,
            [0, 0, 0, 8],
            b"password",
            [1],
            [0, 0, 0, 2],
            b"pw",
            [0, 0, 0, 3],
            b"new"
        ],
        &request(AuthMethod::Password(PasswordAuth {
            password: b"pw",
            new_password: Some(b"new"),
        })),
    );
    both_ways(
        &payload![
            head,
            [0, 0, 0, 9],
            b"publickey",
            [1],
            [0, 0, 0, 11],
            b"ssh-ed25519",
            [0, 0, 0, 4],
            b"blob",
            [0, 0, 0, 3],
            b"sig"
        ],
        &request(AuthMethod::PublicKey(PublicKeyAuth {
            algorithm: b"ssh-ed25519",
            key: b"blob",
            signature: Some(b"sig"),
        })),
    );
    both_ways(
        &payload![[51, 0, 0, 0, 18], b"publickey,password", [0]],
        &UserauthFailure {
            methods: NameList::parse(b"publickey,password").unwrap(),
            partial_success: false,
        },
    );
    both_ways(
        &payload![
            [60, 0, 0, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 1],
            [0, 0, 0, 10],
            b"Password: ",
            [0]
        ],
        &UserauthInfoRequest {
            name: b"",
            instruction: b"",
            language: b"",
            prompts: vec![(b"Password: ", false)],
        },
    );
}

#[test]
fn connection_messages_as_rfc_4254_lists_them() {
    both_ways(
        &payload![
            [80, 0, 0, 0, 13],
            b"tcpip-forward",
            [1, 0, 0, 0, 0],
            [0, 0, 0x1f, 0x90]
        ],
        &GlobalRequest {
            kind: GlobalRequestKind::TcpipForward(TcpipForward {
                address: b"",
                port: 8080,
            }),
            want_reply: true,
        },
    );
    both_ways(
        &[81, 0, 0, 0x1f, 0x90],
        &RequestSuccess {
            body: Rest(&[0, 0, 0x1f, 0x90]),
        },
    );
    both_ways(
        &payload![
            [90, 0, 0, 0, 7],
            b"session",
            [0, 0, 0, 3],
            [0, 0x20, 0, 0],
            [0, 0, 0x80, 0]
        ],
        &ChannelOpen {
            kind: ChannelOpenKind::Session(()),
            sender: 3,
            window_size: 2 << 20,
            max_packet_size: 32 << 10,
        },
    );
    both_ways(
        &payload![
            [90, 0, 0, 0, 12],
            b"direct-tcpip",
            [0, 0, 0, 0],
            [0, 0, 0, 1],
            [0, 0, 0, 2],
            [0, 0, 0, 1],
            b"h",
            [0, 0, 0, 80],
            [0, 0, 0, 9],
            b"127.0.0.1",
            [0, 0, 0x30, 0x39]
        ],
        &ChannelOpen {
            kind: ChannelOpenKind::DirectTcpip(TcpipOpen {
                host: b"h",
                port: 80,
                originator_address: b"127.0.0.1",
                originator_port: 12345,
            }),
            sender: 0,
            window_size: 1,
            max_packet_size: 2,
        },
    );
    both_ways(
        &[93, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        &ChannelWindowAdjust {
            recipient: 1,
            bytes: u32::MAX,
        },
    );
    both_ways(
        &payload![[95, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4], b"oops"],
        &ChannelExtendedData {
            recipient: 1,
            data_type: EXTENDED_DATA_STDERR,
            data: b"oops",
        },
    );
}

#[test]
fn channel_requests_as_rfc_4254_lists_them() {
    let request = |kind, want_reply| ChannelRequest {
        recipient: 7,
        kind,
        want_reply,
    };
    let modes = encode_terminal_modes(&[(53, 1)]);
    both_ways(
        &payload![
            [98, 0, 0, 0, 7],
            [0, 0, 0, 7],
            b"pty-req",
            [1],
            [0, 0, 0, 5],
            b"xterm",
            [0, 0, 0, 80],
            [0, 0, 0, 24],
            [0, 0, 2, 128],
            [0, 0, 1, 224],
            [0, 0, 0, 6],
            [53, 0, 0, 0, 1, 0]
        ],
        &request(
            ChannelRequestKind::Pty(PtyReq {
                term: b"xterm",
                columns: 80,
                rows: 24,
                width: 640,
                height: 480,
                modes: &modes,
            }),
            true,
        ),
    );
    both_ways(
        &payload![
            [98, 0, 0, 0, 7],
            [0, 0, 0, 4],
            b"exec",
            [1],
            [0, 0, 0, 2],
            b"ls"
        ],
        &request(ChannelRequestKind::Exec(b"ls"), true),
    );
    both_ways(
        &payload![
            [98, 0, 0, 0, 7],
            [0, 0, 0, 11],
            b"exit-status",
            [0],
            [0, 0, 0, 127]
        ],
        &request(ChannelRequestKind::ExitStatus(127), false),
    );
    both_ways(
        &payload![
            [98, 0, 0, 0, 7],
            [0, 0, 0, 11],
            b"exit-signal",
            [0],
            [0, 0, 0, 4],
            b"TERM",
            [1],
            [0, 0, 0, 0],
            [0, 0, 0, 0]
        ],
        &request(
            ChannelRequestKind::ExitSignal(ExitSignalReq {
                signal: b"TERM",
                core_dumped: true,
                message: b"",
                language: b"",
            }),
            false,
        ),
    );
    both_ways(
        &payload![[98, 0, 0, 0, 7], [0, 0, 0, 9], b"x@example", [0], [1, 2, 3]],
        &request(
            ChannelRequestKind::Unknown {
                name: b"x@example",
                body: &[1, 2, 3],
            },
            false,
        ),
    );
}
