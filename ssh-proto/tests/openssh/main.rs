//! Sessions recorded with OpenSSH's client, replayed: the same bytes lead to the same decisions, and to the same bytes.
//!
//! The recordings are known answers for every cipher that is in them: packets sealed by OpenSSH
//! have to open. `cargo test --test openssh -- --ignored record` records them anew with the `ssh`
//! that is installed; that is due only when what we send changes on purpose.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::BytesMut;
use ssh_proto::crypto::{PublicKey, SecureRandom, rustcrypto};
use ssh_proto::error::RandomFailed;
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::{
    AuthMethod, ChannelRequest, Connection, DataStream, Event, Instant, ServerConfig,
    ServerConnection, ServerEvent,
};

/// Name of the recording, cipher, MAC, and what else `ssh` is told.
const SESSIONS: [(&str, &str, Option<&str>, &[&str]); 7] = [
    (
        "chacha20-poly1305",
        "chacha20-poly1305@openssh.com",
        None,
        &[],
    ),
    ("aes128-gcm", "aes128-gcm@openssh.com", None, &[]),
    ("aes256-gcm", "aes256-gcm@openssh.com", None, &[]),
    (
        "aes256-ctr-etm",
        "aes256-ctr",
        Some("hmac-sha2-256-etm@openssh.com"),
        &[],
    ),
    (
        "aes256-ctr-sha512",
        "aes256-ctr",
        Some("hmac-sha2-512"),
        &[],
    ),
    (
        "nistp256",
        "aes128-ctr",
        Some("hmac-sha2-512-etm@openssh.com"),
        &["-oKexAlgorithms=ecdh-sha2-nistp256"],
    ),
    (
        "rekey",
        "chacha20-poly1305@openssh.com",
        None,
        &["-oRekeyLimit=2K"],
    ),
];

/// What is typed into `ssh`, and comes back.
const INPUT: &[u8] = b"The quick brown fox jumps over the lazy dog.\n";
const LINES: usize = 100;

/// A fixed sequence: the server's side of a session is reproducible.
struct Fixed(u64);

impl SecureRandom for Fixed {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in dest {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

/// A server that lets one key in, sends back what it gets, and notes what it decides.
struct Server {
    connection: ServerConnection,
    user_key: PublicKey,
    decisions: Vec<String>,
    echoed: Vec<u8>,
}

impl Server {
    fn new(cipher: &str, mac: Option<&str>) -> Self {
        let provider = rustcrypto::provider();
        let host_key = provider
            .keys
            .generate("ssh-ed25519", &mut Fixed(1))
            .unwrap();
        let config = ServerConfig::builder(provider.clone())
            .identification("replay", None)
            // What is offered is fixed here, so that a new algorithm leaves the recordings good.
            .kex(["curve25519-sha256", "ecdh-sha2-nistp256"])
            .ciphers([cipher])
            .macs(mac.or(Some("hmac-sha2-256")))
            .public_key_algorithms(["ssh-ed25519"])
            .announce_host_keys(false)
            .signing_host_key(provider.signing_key(&host_key).unwrap())
            .build()
            .unwrap();
        let connection = ServerConnection::new(&config, Box::new(Fixed(2)), Instant::EPOCH);
        let line = fs::read(key_file().with_extension("pub")).unwrap();
        Self {
            connection: connection.unwrap(),
            user_key: PublicKeyLine::parse(&line).unwrap().key,
            decisions: Vec::new(),
            echoed: Vec::new(),
        }
    }

    /// Takes input and yields output, until nothing more comes of it.
    fn step(&mut self, now: Instant, input: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        match input {
            [] => self.connection.handle_eof(now),
            _ => self.connection.handle_input(now, input.into()),
        }
        loop {
            while let Some(event) = self.connection.poll_event() {
                self.handle(event);
            }
            if self.connection.poll_transmit(now, &mut out).is_none() {
                return out.to_vec();
            }
        }
    }

    fn handle(&mut self, event: ServerEvent) {
        let connection = &mut self.connection;
        let decision = match event {
            ServerEvent::KeyQuery(query) => {
                let usable = query.key() == &self.user_key;
                let user = query.user().to_owned();
                connection.answer_key_query(query, usable).unwrap();
                format!("key of {user} usable: {usable}")
            }
            ServerEvent::Auth(request) => match request.method() {
                AuthMethod::PublicKey { key, algorithm } if *key == self.user_key => {
                    let decision = format!("{} proved {algorithm}", request.user());
                    connection.accept_auth(request).unwrap();
                    decision
                }
                _ => {
                    connection.reject_auth(request, None).unwrap();
                    "refused".into()
                }
            },
            ServerEvent::Shared(Event::KeysChanged(keys)) => format!(
                "{} {} {:?} strict: {} again: {}",
                keys.kex,
                keys.client_to_server.cipher,
                keys.client_to_server.mac,
                keys.strict_kex,
                keys.is_rekey
            ),
            ServerEvent::Shared(Event::ChannelOpen(token)) => {
                let kind = format!("open {:?}", token.kind());
                connection.accept_channel(token).unwrap();
                kind
            }
            ServerEvent::Shared(Event::Request(token)) => {
                let request = format!("{:?}", token.request());
                match token.request() {
                    ChannelRequest::Exec(_) => connection.accept_request(token).unwrap(),
                    _ => connection.reject_request(token).unwrap(),
                }
                request
            }
            ServerEvent::Shared(Event::Readable(channel)) => {
                while let Some(chunk) = connection.read(channel).unwrap() {
                    let taken = connection.write(channel, DataStream::Data, &chunk.bytes);
                    assert_eq!(taken, Ok(chunk.bytes.len()));
                    self.echoed.extend_from_slice(&chunk.bytes);
                }
                return;
            }
            ServerEvent::Shared(Event::Eof(channel)) => {
                let status = ChannelRequest::ExitStatus(7);
                connection.request(channel, &status, false).unwrap();
                connection.finish(channel).unwrap();
                connection.close_channel(channel).unwrap();
                "eof".into()
            }
            ServerEvent::Shared(Event::Identified(_) | Event::Authenticated(_)) => return,
            ServerEvent::Shared(event) => format!("{event:?}"),
            _ => return,
        };
        self.decisions.push(decision);
    }

    /// What a recording ends with, beside the bytes.
    fn summary(&self) -> String {
        self.decisions.join("\n")
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openssh")
}

fn key_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/keys/testdata/ed25519")
}

/// A piece of a recording: at this time these bytes came, and those were sent. Nothing stands for
/// the end of input.
struct Piece {
    micros: u64,
    input: Vec<u8>,
    output: Vec<u8>,
}

fn write_pieces(pieces: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend_from_slice(&piece.micros.to_be_bytes());
        for part in [&piece.input, &piece.output] {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes
}

fn read_pieces(bytes: &[u8]) -> Vec<Piece> {
    let mut reader = ssh_proto::wire::Reader::new(bytes);
    let mut pieces = Vec::new();
    while reader.remaining() > 0 {
        pieces.push(Piece {
            micros: reader.u64().unwrap(),
            input: reader.string().unwrap().to_vec(),
            output: reader.string().unwrap().to_vec(),
        });
    }
    pieces
}

#[test]
fn recorded_sessions_replay_to_the_byte() {
    for (name, cipher, mac, _) in SESSIONS {
        let file = folder().join(name);
        let pieces = read_pieces(&fs::read(file.with_extension("session")).unwrap());
        let mut server = Server::new(cipher, mac);
        for (index, piece) in pieces.iter().enumerate() {
            let output = server.step(Instant::from_micros(piece.micros), &piece.input);
            assert!(
                output == piece.output,
                "{name}: other bytes in step {index}"
            );
        }
        assert!(server.echoed == INPUT.repeat(LINES), "{name}");
        let decisions = fs::read_to_string(file.with_extension("decisions")).unwrap();
        assert_eq!(server.summary(), decisions.trim_end(), "{name}");
        assert!(decisions.contains(cipher) && decisions.contains("proved ssh-ed25519"));
        assert!(server.connection.is_closed());
    }
}

/// The same decisions come of the same bytes however they arrive.
#[test]
fn recorded_sessions_do_not_depend_on_how_they_are_split() {
    for (name, cipher, mac, _) in SESSIONS {
        let file = folder().join(name);
        let pieces = read_pieces(&fs::read(file.with_extension("session")).unwrap());
        let mut server = Server::new(cipher, mac);
        for piece in &pieces {
            let now = Instant::from_micros(piece.micros);
            for byte in &piece.input {
                server.step(now, &[*byte]);
            }
        }
        server.step(Instant::from_micros(u64::MAX), &[]);
        let decisions = fs::read_to_string(file.with_extension("decisions")).unwrap();
        assert_eq!(server.summary(), decisions.trim_end(), "{name}");
        assert!(server.echoed == INPUT.repeat(LINES), "{name}");
    }
}

/// A changed bit anywhere behind the key exchange ends the session, and is never taken for data.
#[test]
fn recorded_sessions_bear_no_change() {
    for (name, cipher, mac, _) in SESSIONS {
        let file = folder().join(name);
        let pieces = read_pieces(&fs::read(file.with_extension("session")).unwrap());
        // The longest input is data.
        let data = (0..pieces.len()).max_by_key(|index| pieces[*index].input.len());
        for at in [0, 3, 4, 20, 63] {
            let mut server = Server::new(cipher, mac);
            for (index, piece) in pieces.iter().enumerate() {
                let mut input = piece.input.clone();
                if Some(index) == data {
                    input[at] ^= 1;
                }
                server.step(Instant::from_micros(piece.micros), &input);
            }
            let (whole, echoed) = (INPUT.repeat(LINES), &server.echoed);
            assert!(echoed.len() < whole.len(), "{name}, byte {at}");
            assert!(whole.starts_with(echoed), "{name}, byte {at}");
        }
    }
}

#[test]
#[ignore = "records anew, with the ssh that is installed"]
fn record() {
    let keys = std::env::temp_dir().join(format!("ssh-proto-record-{}", std::process::id()));
    fs::create_dir_all(&keys).unwrap();
    let key = keys.join("key");
    fs::copy(key_file(), &key).unwrap();
    let chmod = Command::new("chmod").arg("600").arg(&key).status().unwrap();
    assert!(chmod.success());
    for (name, cipher, mac, options) in SESSIONS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "none",
            "-T",
            "-oBatchMode=yes",
            "-oIdentitiesOnly=yes",
        ])
        .args([
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
        ])
        .args(["-oIdentityAgent=none", "-oLogLevel=ERROR", "-l", "alice"])
        .arg(format!("-oCiphers={cipher}"))
        .args(mac.map(|mac| format!("-oMACs={mac}")))
        .args(options)
        .arg("-i")
        .arg(&key)
        .arg(format!("-p{}", listener.local_addr().unwrap().port()))
        .args(["127.0.0.1", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
        let mut ssh = ssh.spawn().unwrap();
        let mut stdin = ssh.stdin.take().unwrap();
        let typing = std::thread::spawn(move || {
            for _ in 0..LINES {
                stdin.write_all(INPUT).unwrap();
            }
        });
        let mut server = Server::new(cipher, mac);
        let pieces = serve(&mut server, listener.accept().unwrap().0);
        typing.join().unwrap();
        let output = ssh.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(7),
            "{name}: {:?}",
            server.decisions
        );
        assert_eq!(output.stdout, INPUT.repeat(LINES));
        let file = folder().join(name);
        fs::write(file.with_extension("session"), write_pieces(&pieces)).unwrap();
        fs::write(file.with_extension("decisions"), server.summary() + "\n").unwrap();
    }
    fs::remove_dir_all(keys).unwrap();
}

fn serve(server: &mut Server, mut socket: TcpStream) -> Vec<Piece> {
    let start = std::time::Instant::now();
    let mut pieces = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = socket.read(&mut buffer).unwrap_or(0);
        let now = Instant::from_duration(start.elapsed());
        let input = buffer[..read].to_vec();
        let output = server.step(now, &input);
        let sent = socket.write_all(&output);
        pieces.push(Piece {
            micros: now.as_micros(),
            input,
            output,
        });
        if read == 0 || sent.is_err() {
            return pieces;
        }
    }
}
