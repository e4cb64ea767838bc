//! A download over loopback TCP: the driver on both sides, next to plain TCP, to TCP with nothing but the cipher, and to OpenSSH.
//!
//! `cargo bench -p ssh-io-std --bench loopback [-- part-of-a-cipher-name ...]`
//!
//! OpenSSH is left out where `/usr/sbin/sshd` or `ssh` is missing. Its server runs as the user of
//! the benchmark, one process for the connection, so that no daemon and no port is needed.

#[path = "../../ssh-proto/benches/support/mod.rs"]
mod support;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use bytes::Bytes;
use ssh_io_std::{Clock, Driver};
use ssh_proto::crypto::{CipherAlgorithm, MacAlgorithm, rustcrypto};
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelKind, ClientConnection, ClientEvent, Connection, DataStream, Event, ServerConnection,
    ServerEvent,
};
use support::pair::{Login, OsRandom, Setup};
use support::raw::Raw;
use support::{Filter, Samples, cpu_ns};

const KEX: &str = "curve25519-sha256";
const MAC: &str = "hmac-sha2-256-etm@openssh.com";
const CIPHERS: [&str; 3] = [
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
];
const SAMPLES: usize = 9;
const BYTES: usize = 128 << 20;

/// What one write or one slice of the application has.
const PIECE: usize = 128 << 10;

/// CPU seconds per GiB of the server, which sends, and the client.
type Cost = [f64; 2];

fn per_gib(ns: u64, bytes: usize) -> f64 {
    ns as f64 / 1e9 * (1 << 30) as f64 / bytes as f64
}

/// Runs both sides on a connection, each in a thread that says what CPU time it took.
fn on_loopback(
    server: impl FnOnce(TcpStream) -> io::Result<u64> + Send,
    client: impl FnOnce(TcpStream) -> io::Result<u64>,
) -> io::Result<Cost> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let server = scope.spawn(move || server(no_delay(listener.accept()?.0)?));
        let client = client(no_delay(TcpStream::connect(address)?)?)?;
        let server = server.join().expect("server thread")?;
        Ok([per_gib(server, BYTES), per_gib(client, BYTES)])
    })
}

fn no_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn plain() -> io::Result<Cost> {
    on_loopback(
        |mut stream| {
            let data = vec![0xa5; PIECE];
            let start = cpu_ns();
            for _ in 0..BYTES / PIECE {
                stream.write_all(&data)?;
            }
            Ok(cpu_ns() - start)
        },
        |mut stream| {
            let mut buffer = vec![0; 2 * PIECE];
            let start = cpu_ns();
            while stream.read(&mut buffer)? > 0 {}
            Ok(cpu_ns() - start)
        },
    )
}

/// Packets of 32 KiB sealed in the buffer that is written, opened in the one that was read into.
fn sealed(cipher: &dyn CipherAlgorithm, mac: &'static dyn MacAlgorithm) -> io::Result<Cost> {
    const PAYLOAD: usize = 32 << 10;
    const COUNT: usize = PIECE / PAYLOAD;
    let raw = || Raw::new(cipher, mac, PAYLOAD, COUNT);
    on_loopback(
        |mut stream| {
            let mut raw = raw();
            let start = cpu_ns();
            for _ in 0..BYTES / PIECE {
                raw.seal();
                stream.write_all(&raw.buffer)?;
            }
            Ok(cpu_ns() - start)
        },
        |mut stream| {
            let mut raw = raw();
            let start = cpu_ns();
            for _ in 0..BYTES / PIECE {
                stream.read_exact(&mut raw.buffer)?;
                raw.open();
            }
            Ok(cpu_ns() - start)
        },
    )
}

fn driven(setup: &Setup) -> io::Result<Cost> {
    on_loopback(|s| serve(setup, s), |s| download(setup, s))
}

fn serve(setup: &Setup, stream: TcpStream) -> io::Result<u64> {
    stream.set_nonblocking(true)?;
    let clock = Clock::new();
    let connection = ServerConnection::new(&setup.server, Box::new(OsRandom), clock.now());
    let mut driver = Driver::new(connection.map_err(io::Error::other)?, stream, clock);
    let piece = Bytes::from(vec![0xa5; PIECE]);
    let mut left = piece.clone();
    let mut unwritten = BYTES;
    let (mut start, mut spent) = (0, 0);
    while let Some(event) = driver.next_event()? {
        let server = driver.connection_mut();
        let channel = match event {
            ServerEvent::Auth(request) => {
                server.accept_auth(request).map_err(io::Error::other)?;
                continue;
            }
            ServerEvent::Shared(Event::ChannelOpen(channel)) => {
                start = cpu_ns();
                server.accept_channel(channel).map_err(io::Error::other)?
            }
            ServerEvent::Shared(Event::Writable(channel)) => channel,
            // The client has everything.
            ServerEvent::Shared(Event::Disconnected(_)) => {
                spent = cpu_ns() - start;
                continue;
            }
            _ => continue,
        };
        while unwritten > 0 {
            if left.is_empty() {
                left = piece.clone();
            }
            let taken = server
                .write_bytes(channel, DataStream::Data, &mut left)
                .map_err(io::Error::other)?;
            if taken == 0 {
                break;
            }
            unwritten -= taken;
        }
    }
    Ok(spent)
}

fn download(setup: &Setup, stream: TcpStream) -> io::Result<u64> {
    stream.set_nonblocking(true)?;
    let clock = Clock::new();
    let connection =
        ClientConnection::new(&setup.client, "ferris", Box::new(OsRandom), clock.now());
    let mut driver = Driver::new(connection.map_err(io::Error::other)?, stream, clock);
    let (mut start, mut spent, mut received) = (0, 0, 0);
    while let Some(event) = driver.next_event()? {
        let now = driver.now();
        let client = driver.connection_mut();
        match event {
            ClientEvent::HostKey(check) => {
                client.accept_host_key(check).map_err(io::Error::other)?
            }
            ClientEvent::Auth(turn) => client.auth_none(turn).map_err(io::Error::other)?,
            ClientEvent::Shared(Event::Authenticated(_)) => {
                start = cpu_ns();
                client
                    .open_channel(&ChannelKind::Session)
                    .map_err(io::Error::other)?;
            }
            ClientEvent::Shared(Event::Readable(channel)) => {
                while let Some(chunk) = client.read(channel).map_err(io::Error::other)? {
                    received += chunk.bytes.len();
                }
                if received == BYTES {
                    spent = cpu_ns() - start;
                    client.disconnect(now, DisconnectReason::BY_APPLICATION, "");
                }
            }
            _ => {}
        }
    }
    assert_eq!(received, BYTES, "the download is complete");
    Ok(spent)
}

/// OpenSSH's client and server, with keys of their own in a directory that goes afterwards.
struct OpenSsh {
    directory: PathBuf,
    user: String,
}

impl OpenSsh {
    const SERVER: &str = "/usr/sbin/sshd";

    /// `None` if it is not installed.
    fn prepare() -> io::Result<Option<Self>> {
        let id = Command::new("id").arg("-un").output()?.stdout;
        let user = String::from_utf8_lossy(&id).trim().to_owned();
        let version = Command::new("ssh").arg("-V").output();
        let Ok(version) = version else {
            return Ok(None);
        };
        if !Path::new(Self::SERVER).exists() {
            return Ok(None);
        }
        println!("{}", String::from_utf8_lossy(&version.stderr).trim());
        if user == "root" {
            fs::create_dir_all("/run/sshd")?;
        }
        let name = format!("ssh-loopback-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let this = Self { directory, user };
        for key in ["host", "user"] {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(this.path(key))
                .status()?;
            assert!(status.success(), "ssh-keygen");
        }
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin yes\nUsePAM no\nStrictModes no\n\
             PidFile none\nLogLevel ERROR\n",
            this.path("host").display(),
            this.path("user.pub").display(),
        );
        fs::write(this.path("config"), config)?;
        Ok(Some(this))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What a download takes beyond one that is empty, less what the source of the data takes.
    fn cost(&self, cipher: &str) -> io::Result<Cost> {
        let bytes = 4 * BYTES;
        let nothing = self.download(cipher, 0)?;
        let whole = self.download(cipher, bytes)?;
        Ok([0, 1].map(|side| per_gib(whole[side].saturating_sub(nothing[side]), bytes)))
    }

    /// CPU nanoseconds of server and client.
    fn download(&self, cipher: &str, bytes: usize) -> io::Result<[u64; 2]> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = self.client(cipher, bytes, listener.local_addr()?)?;
        let stream: OwnedFd = no_delay(listener.accept()?.0)?.into();
        let server = Command::new(Self::SERVER)
            .args(["-i", "-e", "-f"])
            .arg(self.path("config"))
            .stdin(stream.try_clone()?)
            .stdout(stream)
            .spawn()?;
        let client = reap(client)?;
        let server = reap(server)?;
        let source = fs::read_to_string(self.path("source"))?;
        let source: u64 = source.parse().map_err(io::Error::other)?;
        Ok([server.saturating_sub(source), client])
    }

    fn client(&self, cipher: &str, bytes: usize, to: SocketAddr) -> io::Result<Child> {
        let source = format!(
            "{} --source {bytes} {}",
            std::env::current_exe()?.display(),
            self.path("source").display()
        );
        Command::new("ssh")
            .args(["-F", "none", "-i"])
            .arg(self.path("user"))
            .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args(["-o", "LogLevel=ERROR", "-c", cipher, "-m", MAC, "-p"])
            .arg(to.port().to_string())
            .arg(format!("{}@{}", self.user, to.ip()))
            .arg(source)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Waits for a process; its CPU nanoseconds with those of the processes that it waited for.
fn reap(child: Child) -> io::Result<u64> {
    let mut status = 0;
    // SAFETY: all zeros are a valid `rusage`, and both places are valid for the results. The
    // process is a child that nothing else waits for.
    let (pid, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let pid = libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage);
        (pid, usage)
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    Ok(ns(usage.ru_utime) + ns(usage.ru_stime))
}

/// Writes zeros, as the command that OpenSSH's server runs, and its own CPU time to a file.
fn be_source(bytes: &str, report: &str) -> io::Result<()> {
    let mut left: usize = bytes.parse().map_err(io::Error::other)?;
    let data = vec![0; 64 << 10];
    // Not through `Stdout`, which looks for ends of lines.
    let mut out = fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    while left > 0 {
        let size = left.min(data.len());
        out.write_all(&data[..size])?;
        left -= size;
    }
    fs::write(report, cpu_ns().to_string())
}

/// One line: what both sides take, the ratio to that of another, and the two sides apart.
#[derive(Default)]
struct Row {
    sides: [Samples; 2],
    total: Samples,
    ratio: Samples,
}

impl Row {
    fn add(&mut self, cost: Cost, reference: f64) {
        let total = cost[0] + cost[1];
        self.sides[0].push(cost[0]);
        self.sides[1].push(cost[1]);
        self.total.push(total);
        self.ratio.push(reference / total);
    }

    fn print(&self, cipher: &str, what: &str) {
        let Self {
            sides: [server, client],
            total,
            ratio,
        } = self;
        println!(
            "{cipher:<30} {what:<14} {total:>14.3} {server:>14.3} {client:>14.3} {ratio:>14.3}"
        );
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, bytes, report] = &arguments[..]
        && flag == "--source"
    {
        return be_source(bytes, report);
    }
    let filter = Filter::from_args();
    let open_ssh = OpenSsh::prepare()?;
    let provider = rustcrypto::provider();
    let mac = provider.mac(MAC).expect("a MAC of the provider");
    println!("CPU seconds per GiB, medians of {SAMPLES} samples; {MAC} where the cipher needs one");
    println!(
        "{:<30} {:<14} {:>14} {:>14} {:>14} {:>14}",
        "cipher", "", "both", "sender", "receiver", "driver / it"
    );
    for name in CIPHERS {
        if !filter.admits(name) {
            continue;
        }
        let cipher = provider.cipher(name).expect("a cipher of the provider");
        let setup = Setup::new(KEX, name, MAC, Login::None);
        let mut rows: [Row; 4] = Default::default();
        for warm in 0..=SAMPLES {
            let driven = driven(&setup)?;
            let reference = driven[0] + driven[1];
            let others = [plain()?, sealed(cipher, mac)?];
            let open_ssh = open_ssh.as_ref().map(|it| it.cost(name)).transpose()?;
            if warm > 0 {
                let costs = [Some(driven), Some(others[0]), Some(others[1]), open_ssh];
                for (row, cost) in rows.iter_mut().zip(costs) {
                    if let Some(cost) = cost {
                        row.add(cost, reference);
                    }
                }
            }
        }
        let names = ["driver", "plain TCP", "TCP + cipher", "OpenSSH"];
        let shown = if open_ssh.is_some() { 4 } else { 3 };
        for (row, what) in rows.iter().zip(names).take(shown) {
            row.print(name, what);
        }
    }
    Ok(())
}
