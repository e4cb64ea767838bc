//! Writes the part of the corpus that is made and not found: `cargo run -p ssh-fuzz --example seeds`.

use std::fs;
use std::path::Path;

use bytes::BytesMut;
use ssh_fuzz::provider::{FixedRandom, NullKey, SIGNATURE, SIGNATURES, provider};
use ssh_proto::agent::{
    AgentClient, AgentRequest, AgentResponse, ExtensionResponse, IdentitiesAnswer, KeyConstraints,
    NotSent, RequestId, SessionBinding, SignFlags, SignResponse,
};
use ssh_proto::crypto::{
    CertificateBuilder, DhGroup, PublicKey, Signature, SigningKey, rustcrypto,
};
use ssh_proto::keys::{Comment, PrivateKeyFile, PublicKeyLine, SshSig, SshSigHash};
use ssh_proto::wire::auth::{AuthMethod, PasswordAuth, UserauthRequest};
use ssh_proto::wire::connection::{
    ChannelOpen, ChannelOpenKind, ChannelRequest, ChannelRequestKind,
};
use ssh_proto::wire::extension::ExtInfo;
use ssh_proto::wire::kex::KexInit;
use ssh_proto::wire::transport::Disconnect;
use ssh_proto::wire::{Message, NameList, Rest, put_string};
use ssh_proto::{
    ClientConfig, ClientConnection, Connection, Instant, ServerConfig, ServerConnection,
};

fn put(target: &str, name: &str, data: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), data).unwrap();
}

fn encode<'a>(message: &impl Message<'a>) -> BytesMut {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload
}

/// What a connection says first.
fn greeting(connection: &mut impl Connection) -> BytesMut {
    let mut out = BytesMut::new();
    while connection.poll_transmit(Instant::EPOCH, &mut out).is_some() {}
    out
}

fn main() {
    greetings();
    messages();
    streams();
    logins();
    pairs();
    keys();
    certificates();
    signatures();
    compression();
    moduli();
    agents();
}

fn greetings() {
    let config = ClientConfig::builder(provider()).build().unwrap();
    let random = Box::new(FixedRandom(1));
    let mut client = ClientConnection::new(&config, "alice", random, Instant::EPOCH).unwrap();
    let client = greeting(&mut client);
    let config = ServerConfig::builder(provider())
        .signing_host_key(NullKey::new(SIGNATURES[0]))
        .build()
        .unwrap();
    let random = Box::new(FixedRandom(1));
    let mut server = ServerConnection::new(&config, random, Instant::EPOCH).unwrap();
    let server = greeting(&mut server);
    put("ident", "client", &client);
    put("ident", "server", &server);
    put("ident", "lines", b"one\r\ntwo\nSSH-2.0-x y z\n");
    put("ident", "old", b"SSH-1.99-x\r\n");
    put("ident", "text", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    put("ident", "length", b"SSH-2.0-x\r\n\xff\xff\xff\xff\x00");
}

fn messages() {
    let names = |names: &'static str| NameList::parse(names.as_bytes()).unwrap();
    let kexinit = KexInit {
        cookie: [1; 16],
        kex: names("curve25519-sha256,kex-strict-c-v00@openssh.com"),
        host_key: names("ssh-ed25519"),
        cipher_client_to_server: names("aes128-ctr"),
        cipher_server_to_client: names("aes128-ctr"),
        mac_client_to_server: names("hmac-sha2-256"),
        mac_server_to_client: names("hmac-sha2-256"),
        compression_client_to_server: names("none"),
        compression_server_to_client: names("none"),
        languages_client_to_server: b"",
        languages_server_to_client: b"",
        first_kex_packet_follows: true,
        reserved: 0,
    };
    put("wire", "kexinit", &encode(&kexinit));
    put(
        "wire",
        "disconnect",
        &encode(&Disconnect {
            reason: ssh_proto::error::DisconnectReason::BY_APPLICATION,
            description: b"bye",
            language: b"",
        }),
    );
    put(
        "wire",
        "ext_info",
        &encode(&ExtInfo {
            extensions: vec![(b"server-sig-algs", b"ssh-ed25519"), (b"", b"")],
        }),
    );
    put(
        "wire",
        "password",
        &encode(&UserauthRequest {
            user: b"alice",
            service: b"ssh-connection",
            method: AuthMethod::Password(PasswordAuth {
                password: b"secret",
                new_password: Some(b"better"),
            }),
        }),
    );
    put(
        "wire",
        "open",
        &encode(&ChannelOpen {
            kind: ChannelOpenKind::Session(()),
            sender: 1,
            window_size: 1 << 20,
            max_packet_size: 1 << 15,
        }),
    );
    put(
        "wire",
        "exec",
        &encode(&ChannelRequest {
            recipient: 1,
            kind: ChannelRequestKind::Exec(b"ls"),
            want_reply: true,
        }),
    );
    put("wire", "modes", &[53, 0, 0, 0, 1, 128, 0, 0, 0x96, 0, 0]);
    put("wire", "names", b"a,b@x,");
    // Lists by number; each list is a count and that many numbers.
    put(
        "negotiation",
        "all",
        &[1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0],
    );
    put(
        "negotiation",
        "macs",
        &[2, 1, 0, 2, 1, 0, 1, 2, 1, 3, 2, 1, 0, 2, 2, 1, 1, 0, 1, 0],
    );
    put(
        "negotiation",
        "strict",
        &[3, 0, 5, 6, 1, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0, 1, 0],
    );
    put("negotiation", "none", &[1, 7, 1, 0]);
    for choice in 0..6 {
        let mut input = vec![choice | choice << 4, 0];
        input.extend((0..96).map(|byte: u8| byte.wrapping_mul(41)));
        put("packets", &format!("suite-{choice}"), &input);
    }
}

/// Depth of the login, flags, then the script.
fn streams() {
    for target in ["client_stream", "server_stream"] {
        for depth in 0..=6 {
            let mut input = vec![depth, 1];
            // Each kind of message, then each operation of the application.
            for index in 0..48 {
                input.extend([0, index, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
            }
            put(target, &format!("messages-{depth}"), &input);
            let mut input = vec![depth, 3];
            for operation in 0..16 {
                input.extend([14, operation, 8, 10, 12]);
            }
            put(target, &format!("operations-{depth}"), &input);
        }
        // A login of every method, by what the policy chooses; with questions before the costly
        // steps; then forged packets under either kind of MAC.
        for way in 0..10_u8 {
            let mut input = vec![4, way << 4 | 5];
            for choice in 0..14 {
                input.extend([15, choice, 15, choice | 0x20, 15, choice | 0x40]);
            }
            put(target, &format!("login-{way}"), &input);
        }
        for depth in [5 + 7, 6 + 14] {
            let mut input = vec![depth, 1];
            for index in 0..48 {
                input.extend([7, index, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
            }
            put(target, &format!("forged-{depth}"), &input);
        }
        put(target, "rekeys", &[6, 1, 10, 10, 10, 0, 40, 2, 3, 10]);
        put(target, "not-strict", &[6, 0, 0, 1, 1, 0, 2, 1, 10]);
    }
}

/// Logins of several messages that go as they should: the other side's of each.
fn logins() {
    let login = |choices: &[u8]| choices.iter().flat_map(|choice| [15, *choice]).collect();
    let client_streams: [(u8, &str, Vec<u8>); 4] = [
        (2, "prompts", login(&[0, 0x22, 0x12, 2])),
        (5, "gssapi", login(&[0, 3, 4, 0x14])),
        (7, "gssapi-at-once", login(&[0, 3])),
        (8, "query", login(&[0, 0x85, 0])),
    ];
    for (way, name, replies) in client_streams {
        let input = [&[4, way << 4 | 1], &replies[..], &[11, 4]].concat();
        put("client_stream", name, &input);
    }
    for (flags, name, requests) in [
        (1, "prompts", login(&[4, 36, 8])),
        (5, "gssapi", login(&[6, 10, 24, 12])),
        (5, "keys", login(&[0x80 | 0x46, 0, 1, 2])),
    ] {
        put(
            "server_stream",
            name,
            &[&[4, flags], &requests[..]].concat(),
        );
    }
}

/// Flags, then operations.
fn pairs() {
    let client = |operation: u8, argument: u8| [0, operation, argument];
    let server = |operation: u8, argument: u8| [5, operation, argument];
    let rest = [15];
    let transfer = [
        client(0, 2).as_slice(),
        &rest,
        &client(15, 13),
        &client(9, 255),
        &rest,
        &server(9, 255),
        &server(11, 200),
        &rest,
        &server(15, 7),
        &server(13, 0),
        &rest,
        &client(13, 0),
        &client(14, 0),
        &server(14, 0),
    ]
    .concat();
    for flags in [2, 3, 6, 2 | 0x40, 2 | 0x60, 0] {
        let input = [&[flags], &transfer[..]].concat();
        put("pair_ops", &format!("transfer-{flags}"), &input);
    }
    let rekeys = [
        &[2],
        &client(0, 2)[..],
        &rest,
        &client(4, 0),
        &server(4, 0),
        &client(9, 99),
    ];
    put(
        "pair_ops",
        "rekeys",
        &[&rekeys.concat()[..], &[10, 11, 12, 40, 0, 13, 90, 0]].concat(),
    );
    let tokens = [
        &[2],
        &server(3, 2)[..],
        &client(0, 2),
        &client(0, 0),
        &rest,
        &server(1, 0),
        &rest,
        &client(15, 12),
        &client(15, 3),
        &client(14, 0),
        &rest,
        &server(3, 4),
    ];
    put("pair_ops", "tokens", &tokens.concat());
    // Each way to log in, with a server that asks first; half of them with keys held elsewhere.
    for way in 0..10_u8 {
        let input = [&[way << 4 | 10 | way & 1][..], &client(0, 2), &rest].concat();
        put("pair_ops", &format!("login-{way}"), &input);
        // Steps refused one after the other, tokens put aside and dropped.
        let policies = [0x01, 0x41, 0x81, 0xc1, 0x02, 0x04, 0x20].map(|policy| server(3, policy));
        let steps = policies.map(|policy| [&policy[..], &rest, &server(1, 0), &rest].concat());
        let input = [&[way << 4 | 8][..], &client(3, way << 4), &steps.concat()].concat();
        put("pair_ops", &format!("steps-{way}"), &input);
    }
    // Everything is asked for, opened from the server, written to and half-closed.
    let open_and_use = |argument: u8| {
        let [open, accepted] = [server(0, argument), server(9, 99)];
        [
            &open[..],
            &rest,
            &accepted,
            &client(9, 99),
            &rest,
            &server(13, 0),
            &rest,
        ]
        .concat()
    };
    let forwards = [
        &[2],
        &client(0, 2)[..],
        &rest,
        &client(15, 16),
        &client(15, 20),
        &client(15, 22),
        &client(5, 0x10),
        &client(5, 0),
        &client(5, 6),
        &rest,
        &[1, 4, 0x14, 5, 6].map(open_and_use).concat(),
        &server(8, 0),
        &client(8, 2),
        &rest,
        &client(5, 8),
        &client(5, 10),
        &rest,
        &server(0, 4),
        &rest,
    ];
    for flags in [2, 6] {
        let mut input = forwards.concat();
        input[0] = flags;
        put("pair_ops", &format!("forwards-{flags}"), &input);
    }
    let proofs = [
        &client(8, 0)[..],
        &client(8, 1),
        &client(5, 2),
        &client(8, 0x81),
        &rest,
        &server(3, 2),
        &client(8, 0),
        &client(8, 3),
        &rest,
        &server(3, 1),
        &server(1, 0),
        &rest,
    ];
    for flags in [2, 3, 7] {
        let input = [&[flags], &proofs.concat()[..]].concat();
        put("pair_ops", &format!("proofs-{flags}"), &input);
    }
    let windows = [
        &[2],
        &client(0, 2)[..],
        &rest,
        &server(12, 0x80),
        &client(9, 255),
        &rest,
        &server(12, 0xff),
        &client(9, 255),
        &client(4, 0),
        &rest,
        &client(12, 0x81),
        &server(9, 255),
        &server(9, 255),
        &rest,
    ];
    put("pair_ops", "windows", &windows.concat());
    let ends = [
        &[2],
        &client(0, 2)[..],
        &client(9, 255),
        &client(8, 255),
        &server(8, 0xf0),
    ];
    put("pair_ops", "ends", &ends.concat());
    let unread = [
        &[2],
        &server(3, 8)[..],
        &client(0, 2),
        &rest,
        &client(9, 255),
        &client(9, 255),
        &rest,
        &client(9, 255),
        &client(14, 0),
        &rest,
    ];
    put("pair_ops", "unread", &unread.concat());
}

fn keys() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ssh-proto/src/keys/testdata");
    let entries = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    for path in entries(&folder.join("containers")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let form = name.split_once('.').unwrap().1;
        let target = match form {
            "sh" | "pub" => continue,
            _ if form.starts_with("ppk") => "ppk_key",
            _ if form.starts_with("rfc4716") => "rfc4716_key",
            _ => "pem_key",
        };
        put(target, name, &fs::read(&path).unwrap());
    }
    for path in entries(&folder).filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let data = fs::read(&path).unwrap();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pub") => put("public_key_line", name, &data),
            Some("md") => {}
            Some("sig") => put("sshsig", name, &data),
            _ if name.starts_with("krl_") => put("krl", name, &data),
            _ => put("openssh_key", name, &data),
        }
    }
    put(
        "public_key_line",
        "other",
        b"ssh-x AAAABXNzaC14AAAAAA== a\xff \"b\\",
    );
    key_lists();
}

fn key_lists() {
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHSfyLEsMeNY4K/mHzzbfwPXDunYBSH8kmY+R1emwspx";
    let lines = |lines: &[&str]| lines.join("\n").replace("KEY", KEY).into_bytes();
    let hosts = lines(&[
        "# of mine",
        "[h.example]:2222,10.0.0.? KEY comment",
        "[*.example]:*,!x ssh-x AAAABXNzaC14AAAAAA==",
        "|1|w1rCa6FcgcOkWj7VLOKKCmfV95o=|Ba9uhyhyN7+7lYCdBSPcIfYxQPQ= KEY",
        "@cert-authority *.example KEY\r",
        "@revoked * KEY",
        "bad",
    ]);
    put("known_hosts", "all", &hosts);
    let keys = lines(&[
        "KEY me@example",
        "restrict,pty,command=\"a \\\"b\\\"\",environment=\"A=1\" KEY",
        "from=\"10.0.0.0/8,!10.0.0.2,*.example\",expiry-time=\"20380101Z\" KEY",
        "permitopen=\"[::1]:80\",permitlisten=\"8080\",tunnel=\"any\" KEY",
        "cert-authority,principals=\"a,b\",no-touch-required,verify-required KEY",
    ]);
    put("authorized_keys", "all", &keys);
    let signers = lines(&[
        "me@example,*@example KEY",
        "\"a b\" namespaces=\"git,f*\",valid-after=\"20200101\",valid-before=\"20990101Z\" KEY",
        "* cert-authority KEY",
    ]);
    put("allowed_signers", "all", &signers);
    put("krl", "text", &lines(&["# lost", "KEY"]));
}

/// The digest in `regress/unittests/sshsig/testdata` of OpenSSH.
const SIGNED: [u8; 64] = [
    0x2c, 0xbb, 0xbc, 0x66, 0x07, 0x12, 0xc6, 0xde, 0x8c, 0xb0, 0x55, 0x33, 0xba, 0x26, 0x60, 0x1b,
    0xa1, 0xb0, 0x31, 0xd2, 0x7d, 0x77, 0xbc, 0x5e, 0x13, 0xb6, 0x28, 0x44, 0x8c, 0x34, 0x83, 0xd8,
    0x87, 0x27, 0xfc, 0x2c, 0x14, 0x3e, 0xf5, 0xa3, 0x85, 0xa5, 0xc9, 0xec, 0xef, 0x15, 0x61, 0x23,
    0x6e, 0xa4, 0x34, 0xa8, 0x2e, 0xc5, 0xc0, 0x6a, 0x63, 0x92, 0x35, 0x10, 0x3f, 0xe3, 0x5d, 0xeb,
];

/// A key, a signature by it, and what is signed.
fn put_signature(name: &str, key: &[u8], signature: &[u8], message: &[u8]) {
    let mut input = BytesMut::new();
    put_string(&mut input, key);
    put_string(&mut input, signature);
    input.extend_from_slice(message);
    put("signature", name, &input);
}

fn signatures() {
    let provider = rustcrypto::provider();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ssh-proto/src");
    for file in [
        "dsa",
        "ecdsa",
        "ecdsa384",
        "ecdsa521",
        "ed25519",
        "mldsa44-ed25519",
        "rsa",
    ] {
        let text = fs::read(sources.join("keys/testdata").join(file)).unwrap();
        let (key, _) = PrivateKeyFile::parse(&text).unwrap().decrypt(None).unwrap();
        let key = provider.signing_key(&key).unwrap();
        for algorithm in key.algorithms() {
            let signature = key.sign(algorithm, b"message").unwrap();
            let (blob, encoded) = (key.public_key().as_blob(), signature.as_encoded());
            put_signature(algorithm, blob, encoded, b"message");
            let certificate = CertificateBuilder::user(key.public_key().clone(), "id")
                .principal("me")
                .sign(&*key, algorithm, &mut FixedRandom(3))
                .unwrap();
            let blob = certificate.as_public_key().as_blob();
            put_signature(&format!("{algorithm}-cert"), blob, encoded, b"message");
        }
    }
    // What the tests of OpenSSH signed, with security keys.
    let folder = sources.join("crypto/rustcrypto/testdata");
    let message = SshSig::signed_data("unittest", SshSigHash::Sha512, &SIGNED).unwrap();
    for name in ["ed25519_sk", "ecdsa_sk", "ecdsa_sk_webauthn"] {
        let read = |end| fs::read(folder.join(format!("{name}.{end}"))).unwrap();
        put_signature(name, &read("key"), &read("sig"), &message);
    }
}

fn compression() {
    let on_request = rustcrypto::provider().on_request.compression;
    let mut deflater = on_request[0].compressor().unwrap();
    let mut stream = vec![7];
    for text in [&b"hello, hello, hello"[..], &[0; 300], b""] {
        let mut packet = BytesMut::new();
        deflater.compress(text, &mut packet).unwrap();
        stream.extend_from_slice(&u16::try_from(packet.len()).unwrap().to_le_bytes());
        stream.extend_from_slice(&packet);
    }
    put("zlib", "packets", &stream);
    let mut bomb = BytesMut::from(&[1][..]);
    let mut deflater = on_request[0].compressor().unwrap();
    deflater.compress(&vec![0; 300_000], &mut bomb).unwrap();
    put("zlib", "bomb", &bomb);
}

fn moduli() {
    let group = DhGroup::modp(2048).unwrap();
    let hex: String = group
        .prime()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let text = format!(
        "# Time Type Tests Tries Size Generator Modulus\n\
         20240101000000 2 6 100 2047 2 {hex}\n\n\
         20240101000000 2 1 100 2047 2 {hex}\n20240101000000 2 6 100 1023 2 FF\nbad\n"
    );
    put("moduli", "all", text.as_bytes());
}

fn certificates() {
    let folder = "../ssh-proto/src/crypto/certificate/testdata";
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let line = fs::read(&path).unwrap();
        if let Ok(line) = PublicKeyLine::parse(&line)
            && line.key.is_certificate()
        {
            let name = path.file_stem().unwrap().to_str().unwrap();
            put("certificate", name, line.key.as_blob());
        }
    }
}

/// Operations of the agent targets: messages as they are, bytes, and time.
fn agent_messages(messages: &[&[u8]]) -> Vec<u8> {
    let record = |message: &&[u8]| {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&[0, length[0], length[1]][..], message].concat()
    };
    messages.iter().flat_map(record).collect()
}

fn agents() {
    let key = NullKey::new(SIGNATURES[0]);
    let confirmed = NullKey::new(SIGNATURES[1]);
    let elsewhere = PublicKey::ed25519(&[7; 32]);
    let (key, confirmed) = (key.public_key(), confirmed.public_key());
    let new = rustcrypto::provider()
        .keys
        .generate("ssh-ed25519", &mut FixedRandom(1))
        .unwrap();
    let mut constraints = KeyConstraints::default();
    constraints.lifetime = Some(1);
    let binding = SessionBinding {
        host_key: key.clone(),
        session_id: b"session"[..].into(),
        signature: Signature::new(SIGNATURES[0], SIGNATURE),
        is_forwarding: false,
    };
    let mut login = BytesMut::new();
    put_string(&mut login, b"session");
    login.extend_from_slice(&[50]);
    for field in [&b"alice"[..], b"ssh-connection", b"publickey"] {
        put_string(&mut login, field);
    }
    login.extend_from_slice(&[1]);
    put_string(&mut login, b"ssh-ed25519");
    put_string(&mut login, elsewhere.as_blob());

    let mut client = AgentClient::new();
    let comment = Comment::new("new");
    let mut take = |ask: &mut dyn FnMut(&mut AgentClient) -> Result<RequestId, NotSent>| {
        ask(&mut client).unwrap();
        let message = client.output()[4..].to_vec();
        client.advance_output(message.len() + 4);
        message
    };
    let list = take(&mut |client| client.identities());
    let sign = take(&mut |client| client.sign(key, b"data", SignFlags::NONE));
    let confirm = take(&mut |client| client.sign(confirmed, b"data", SignFlags::NONE));
    let bind = take(&mut |client| client.session_bind(&binding));
    let login = take(&mut |client| client.sign(&elsewhere, &login, SignFlags::NONE));
    let add = take(&mut |client| client.add(&new, &comment, &constraints));
    let remove = take(&mut |client| client.remove(key));
    let lock = take(&mut |client| client.lock(b"secret"));
    let wrong = take(&mut |client| client.unlock(b"wrong"));
    let unlock = take(&mut |client| client.unlock(b"secret"));
    let query = take(&mut |client| client.query());
    let wait = [3, 0, 5, 0, 0, 0, 0, 0];
    assert!(AgentRequest::decode(&login).is_ok());
    for flags in [2, 5] {
        let keys = agent_messages(&[&list, &query, &sign, &confirm, &remove, &list]);
        let restricted = agent_messages(&[&bind, &list, &login, &confirm]);
        let locks = agent_messages(&[&add, &lock, &list, &bind, &wrong, &wrong, &unlock, &sign]);
        let later = agent_messages(&[&wrong, &unlock, &list]);
        let locks = [&locks[..], &wait, &later, &wait].concat();
        for (name, input) in [("keys", keys), ("restricted", restricted), ("locks", locks)] {
            let input = [&[flags][..], &input].concat();
            put("agent_server", &format!("{name}-{flags}"), &input);
        }
    }

    let response = |response: AgentResponse<'_>| {
        let mut out = BytesMut::new();
        response.encode(&mut out);
        out.to_vec()
    };
    let signature = Signature::new(SIGNATURES[0], SIGNATURE);
    let list = response(AgentResponse::Identities(IdentitiesAnswer {
        identities: vec![(key.as_blob(), b"comment"), (b"bad", b"")],
    }));
    let signed = response(AgentResponse::Signature(SignResponse {
        signature: signature.as_encoded(),
    }));
    let extension = |name, contents| {
        response(AgentResponse::ExtensionResponse(ExtensionResponse {
            name,
            contents: Rest(contents),
        }))
    };
    let names = extension(b"query", b"\0\0\0\x05query");
    let answer = extension(b"x@y", b"answer");
    let answers = agent_messages(&[&list, &signed, &[6], &names, &answer, &[28], &[5], &[6]]);
    let input = [&[8, 0, 1, 2, 3, 4, 6, 5, 7][..], &answers].concat();
    put("agent_client", "answers", &input);
    let input = [&[8, 7, 6, 5, 4, 3, 2, 1, 0][..], &answers].concat();
    put("agent_client", "others", &input);
    put(
        "agent_client",
        "bytes",
        b"\x01\x00\x02\x00\x05\0\0\0\x01\x05",
    );
}
