//! The scenarios of ../README.md with libssh2, as a client; it is no server.

use std::env;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::exit;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use libssh2_sys as raw;
use ssh2::{Channel, CheckResult, KeyboardInteractivePrompt, KnownHostFileKind, Prompt, Session};

const MIB: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(55);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["version"] => {
            // SAFETY: it is a constant.
            let version = unsafe { CStr::from_ptr(libssh2_version(0)) };
            println!("libssh2 {}", version.to_string_lossy());
        }
        ["client", host, port, user, scenario] => {
            thread::spawn(|| {
                thread::sleep(PATIENCE);
                eprintln!("not done in time");
                exit(1);
            });
            play(host, port.parse().expect("a port"), user, scenario);
        }
        _ => panic!("see README.md"),
    }
}

fn play(host: &str, port: u16, user: &str, scenario: &str) {
    let unknown = |reason| {
        println!("{reason}");
        exit(77);
    };
    match scenario {
        "dynamic-forward" => unknown("libssh2 has no SOCKS."),
        "remote-unix-forward" => unknown("libssh2 cannot ask for a UNIX socket to listen on."),
        _ => {}
    }
    let session = log_in(host, port, user, scenario);
    let open = || session.channel_session().expect("a channel");
    match scenario {
        "password" | "publickey" | "publickey-ecdsa" | "keyboard-interactive" => {
            assert_eq!(
                run(&session, open(), "echo logged in", 0, b"").0,
                b"logged in\n"
            );
        }
        "exec-status" => {
            for status in [0, 1, 42, 255] {
                let command = format!("echo out-{status}; exit {status}");
                let (out, _) = run(&session, open(), &command, status, b"");
                assert_eq!(out, format!("out-{status}\n").as_bytes());
            }
            let sent = noise(300_001);
            assert!(run(&session, open(), "cat; exit 3", 3, &sent).0 == sent);
        }
        "stderr" => {
            let command = "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end";
            let (out, err) = run(&session, open(), command, 0, b"");
            assert_eq!(out, b"out\nend\n");
            assert!(
                err == [&b"err\n"[..], &[0; 500_000]].concat(),
                "{}",
                err.len()
            );
        }
        "env" => {
            let mut channel = open();
            channel.setenv("LC_INTEROP", "set").expect("a variable");
            let (out, _) = run(&session, channel, "echo \"[$LC_INTEROP]\"", 0, b"");
            assert_eq!(out, b"[set]\n");
        }
        "pty" => play_pty(open()),
        "signal" => play_signal(&session),
        "subsystem" => play_subsystem(open()),
        "local-forward" => {
            let to = echo_port();
            assert_channels_echo(&session, || {
                session.channel_direct_tcpip("127.0.0.1", to, None)
            });
        }
        "unix-forward" => {
            let to = variable("PEER_ECHO_SOCKET");
            assert_channels_echo(&session, || session.channel_direct_streamlocal(&to, None));
        }
        "remote-forward" => play_remote_forward(&session),
        "agent-forward" => {
            let mut channel = open();
            serve_agent(&session);
            channel.request_auth_agent_forwarding().expect("forwarding");
            let command = format!("ssh-add -T '{}.pub' && echo signed", variable("PEER_KEY"));
            assert_eq!(run(&session, channel, &command, 0, b"").0, b"signed\n");
        }
        "rekey-load" => {
            let sent = noise(8 * MIB);
            assert!(run(&session, open(), "cat", 0, &sent).0 == sent);
        }
        _ => panic!("see README.md"),
    }
}

struct Answers;

impl KeyboardInteractivePrompt for Answers {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        let right = |prompt: &Prompt<'_>| prompt.text.contains("assword:") && !prompt.echo;
        assert!(prompts.iter().all(right));
        vec![variable("PEER_PASSWORD"); prompts.len()]
    }
}

fn log_in(host: &str, port: u16, user: &str, scenario: &str) -> Session {
    let mut session = Session::new().expect("a session");
    session.set_tcp_stream(TcpStream::connect((host, port)).expect("a connection"));
    session.handshake().expect("a handshake");
    let mut known = session.known_hosts().expect("known hosts");
    let file = variable("PEER_HOST_KEY");
    known
        .read_file(Path::new(&file), KnownHostFileKind::OpenSSH)
        .expect("known hosts");
    let (key, _) = session.host_key().expect("a host key");
    assert!(matches!(
        known.check_port(host, port, key),
        CheckResult::Match
    ));
    match scenario {
        "password" => session.userauth_password(user, &variable("PEER_PASSWORD")),
        "keyboard-interactive" => session.userauth_keyboard_interactive(user, &mut Answers),
        _ => {
            let private = variable("PEER_KEY");
            let public = format!("{private}.pub");
            session.userauth_pubkey_file(user, Some(public.as_ref()), private.as_ref(), None)
        }
    }
    .expect("a login");
    session
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn echo_port() -> u16 {
    variable("PEER_ECHO_PORT").parse().expect("a port")
}

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.expect("random bytes");
    bytes
}

/// What a call without waiting did; `None` if it has to wait.
fn now<T>(outcome: std::io::Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// Appends what is there; whether that was anything.
fn take(mut from: impl Read, to: &mut Vec<u8>) -> bool {
    let mut part = [0; 1 << 15];
    let got = now(from.read(&mut part)).unwrap_or(0);
    to.extend_from_slice(&part[..got]);
    got > 0
}

/// Sends `input` and its end and takes all that comes, until that has an end, too.
fn exchange(session: &Session, channel: &mut Channel, input: &[u8]) -> (Vec<u8>, Vec<u8>) {
    session.set_blocking(false);
    let (mut sent, mut said_eof) = (0, false);
    let (mut out, mut err, mut agents) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let mut moved = false;
        if sent < input.len() {
            let put = now(channel.write(&input[sent..])).unwrap_or(0);
            sent += put;
            moved |= put > 0;
        } else if !said_eof {
            said_eof = channel.send_eof().is_ok();
        }
        moved |= take(&mut *channel, &mut out);
        moved |= take(channel.stderr(), &mut err);
        agents.append(&mut AGENTS.lock().expect("no panic"));
        moved |= agents.iter_mut().any(Agent::carry);
        if !moved {
            if said_eof && channel.eof() {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    session.set_blocking(true);
    (out, err)
}

/// Has a channel that was prepared run a command, which must end with `status`.
fn run(
    session: &Session,
    mut channel: Channel,
    command: &str,
    status: i32,
    input: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    channel.exec(command).expect("exec");
    let output = exchange(session, &mut channel, input);
    channel.wait_eof().expect("the end");
    channel.close().expect("closed");
    channel.wait_close().expect("closed");
    let (_, err) = &output;
    let got = channel.exit_status().expect("a status");
    assert_eq!(got, status, "{command}: {}", String::from_utf8_lossy(err));
    output
}

fn play_pty(mut channel: Channel) {
    channel
        .request_pty("vt220", None, Some((101, 33, 0, 0)))
        .expect("a terminal");
    let command = "exec bash -c 'trap \"echo resized; stty size\" WINCH; tty; echo term=$TERM; \
                   stty size; echo ready; \
                   while read -r line; do echo \"[$line]\"; test \"$line\" = end && exit 7; done'";
    channel.exec(command).expect("exec");
    let mut screen = Vec::new();
    let mut expect = |channel: &mut Channel, texts: &[&str]| {
        for text in texts {
            while !String::from_utf8_lossy(&screen).contains(text) {
                let more = take(&mut *channel, &mut screen);
                assert!(more, "{text}: {}", String::from_utf8_lossy(&screen));
            }
        }
    };
    expect(&mut channel, &["/dev/", "term=vt220", "33 101", "ready"]);
    channel
        .request_pty_size(122, 44, None, None)
        .expect("another size");
    channel.write_all(b"hello\r").expect("written");
    expect(&mut channel, &["resized", "44 122", "[hello]"]);
    channel.write_all(b"end\r").expect("written");
    expect(&mut channel, &["[end]"]);
    channel.wait_eof().expect("the end");
    channel.close().expect("closed");
    channel.wait_close().expect("closed");
    assert_eq!(channel.exit_status().expect("a status"), 7);
}

fn play_subsystem(mut channel: Channel) {
    channel.subsystem("sftp").expect("sftp");
    channel
        .write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3])
        .expect("written");
    let mut answer = [0; 9];
    channel.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[4..], [2, 0, 0, 0, 3]);
    channel.send_eof().expect("the end");
}

fn assert_channels_echo(session: &Session, open: impl Fn() -> Result<Channel, ssh2::Error>) {
    for _ in 0..3 {
        let mut channel = open().expect("a channel");
        let sent = noise(MIB);
        assert!(exchange(session, &mut channel, &sent).0 == sent);
        channel.close().expect("closed");
    }
}

/// A channel that the server opened, and the connection it is joined to.
struct Forward {
    channel: Channel,
    stream: TcpStream,
    /// What each side did not take yet, and whether the other has ended.
    to_stream: (Vec<u8>, bool),
    to_channel: (Vec<u8>, bool),
}

impl Forward {
    fn new(channel: Channel) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", echo_port())).expect("a connection");
        stream.set_nonblocking(true).expect("no waiting");
        Self {
            channel,
            stream,
            to_stream: (Vec::new(), false),
            to_channel: (Vec::new(), false),
        }
    }

    /// Carries what can be carried; whether that was anything.
    fn carry(&mut self) -> bool {
        let mut moved = false;
        let (bytes, ended) = &mut self.to_stream;
        if bytes.is_empty() {
            moved |= take(&mut self.channel, bytes);
        }
        if !bytes.is_empty()
            && let Some(put) = now(self.stream.write(bytes))
        {
            bytes.drain(..put);
        }
        if bytes.is_empty() && !*ended && self.channel.eof() {
            self.stream.shutdown(Shutdown::Write).expect("the end");
            *ended = true;
        }
        let (bytes, ended) = &mut self.to_channel;
        let mut part = [0; 1 << 15];
        if bytes.is_empty() && !*ended {
            match now(self.stream.read(&mut part)) {
                Some(0) => *ended = true,
                Some(got) => bytes.extend_from_slice(&part[..got]),
                None => {}
            }
            if *ended {
                self.channel.send_eof().expect("the end");
            }
        }
        if !bytes.is_empty()
            && let Some(put) = now(self.channel.write(bytes))
        {
            bytes.drain(..put);
            moved = true;
        }
        moved
    }
}

fn play_remote_forward(session: &Session) {
    let listening = session.channel_forward_listen(0, Some("127.0.0.1"), None);
    let (mut listener, port) = listening.expect("a port");
    let echoing = thread::spawn(move || {
        for _ in 0..3 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            let sent = noise(MIB);
            let (mut writer, bytes) = (stream.try_clone().expect("dup"), sent.clone());
            thread::spawn(move || {
                writer.write_all(&bytes).expect("written");
                writer.shutdown(Shutdown::Write).expect("the end");
            });
            let mut got = Vec::new();
            stream.read_to_end(&mut got).expect("the echo");
            assert!(got == sent, "{} bytes", got.len());
        }
    });
    session.set_blocking(false);
    let mut forwards = Vec::new();
    while !echoing.is_finished() {
        forwards.extend(listener.accept().ok().map(Forward::new));
        if !forwards.iter_mut().any(Forward::carry) {
            thread::sleep(Duration::from_millis(1));
        }
    }
    echoing.join().expect("all came back");
    session.set_blocking(true);
    // Cancels.
    drop(listener);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
}

// What the crate does not bind.
unsafe extern "C" {
    fn libssh2_version(required: c_int) -> *const c_char;
    fn libssh2_channel_signal_ex(
        channel: *mut raw::LIBSSH2_CHANNEL,
        name: *const c_char,
        len: usize,
    ) -> c_int;
    fn libssh2_session_callback_set2(
        session: *mut raw::LIBSSH2_SESSION,
        kind: c_int,
        callback: Option<OnAgentChannel>,
    ) -> Option<OnAgentChannel>;
}

type OnAgentChannel =
    unsafe extern "C" fn(*mut raw::LIBSSH2_SESSION, *mut raw::LIBSSH2_CHANNEL, *mut *mut c_void);

fn play_signal(session: &Session) {
    let (kind, exec) = (b"session", b"exec");
    let (command, signal) = (b"echo up; exec sleep 60", b"TERM");
    let session: *mut raw::LIBSSH2_SESSION = &mut *session.raw();
    let (mut name, mut len) = (null_mut(), 0);
    let (mut message, mut message_len) = (null_mut(), 0);
    let (mut language, mut language_len) = (null_mut(), 0);
    // SAFETY: the session is alive, and all lengths are those of what the pointers point to.
    unsafe {
        let channel = raw::libssh2_channel_open_ex(
            session,
            kind.as_ptr().cast(),
            kind.len() as _,
            MIB as _,
            1 << 15,
            null(),
            0,
        );
        assert!(!channel.is_null());
        let started = raw::libssh2_channel_process_startup(
            channel,
            exec.as_ptr().cast(),
            exec.len() as _,
            command.as_ptr().cast(),
            command.len() as _,
        );
        assert_eq!(started, 0);
        let mut up = [0; 3];
        assert_eq!(
            raw::libssh2_channel_read_ex(channel, 0, up.as_mut_ptr(), up.len()),
            3
        );
        let sent = libssh2_channel_signal_ex(channel, signal.as_ptr().cast(), signal.len());
        assert_eq!(sent, 0);
        assert_eq!(raw::libssh2_channel_wait_eof(channel), 0);
        assert_eq!(raw::libssh2_channel_close(channel), 0);
        assert_eq!(raw::libssh2_channel_wait_closed(channel), 0);
        raw::libssh2_channel_get_exit_signal(
            channel,
            &mut name,
            &mut len,
            &mut message,
            &mut message_len,
            &mut language,
            &mut language_len,
        );
        assert!(!name.is_null(), "no signal");
        assert_eq!(std::slice::from_raw_parts(name.cast::<u8>(), len), b"TERM");
    }
}

/// A channel to the agent.
struct Agent {
    channel: *mut raw::LIBSSH2_CHANNEL,
    stream: UnixStream,
}

// SAFETY: one thread uses it.
unsafe impl Send for Agent {}

/// Those that the server opened just now.
static AGENTS: Mutex<Vec<Agent>> = Mutex::new(Vec::new());

fn serve_agent(session: &Session) {
    const LIBSSH2_CALLBACK_AUTHAGENT: c_int = 7;
    // SAFETY: the callback is of the type that belongs to its number.
    unsafe {
        let session: *mut raw::LIBSSH2_SESSION = &mut *session.raw();
        libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_AUTHAGENT, Some(on_agent_channel));
    }
}

unsafe extern "C" fn on_agent_channel(
    _session: *mut raw::LIBSSH2_SESSION,
    channel: *mut raw::LIBSSH2_CHANNEL,
    _data: *mut *mut c_void,
) {
    let stream = UnixStream::connect(variable("SSH_AUTH_SOCK")).expect("the agent");
    stream.set_nonblocking(true).expect("no waiting");
    AGENTS
        .lock()
        .expect("no panic")
        .push(Agent { channel, stream });
}

impl Agent {
    /// Carries requests and answers, which fit into a window; whether there were any.
    fn carry(&mut self) -> bool {
        let mut part = [0_u8; 1 << 12];
        // SAFETY: the channel lives as long as its session, and the length is that of the buffer.
        let got = unsafe {
            raw::libssh2_channel_read_ex(self.channel, 0, part.as_mut_ptr().cast(), part.len())
        };
        if let Ok(got @ 1..) = usize::try_from(got) {
            self.stream.write_all(&part[..got]).expect("a request");
        }
        let answered = now(self.stream.read(&mut part)).unwrap_or(0);
        if answered > 0 {
            // SAFETY: as above.
            let put = unsafe {
                raw::libssh2_channel_write_ex(self.channel, 0, part.as_ptr().cast(), answered)
            };
            assert_eq!(put, answered as isize);
        }
        got > 0 || answered > 0
    }
}
