//! What a cell needs besides the two programs: an account, keys, echo servers, an agent.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ssh_interop::peers::password_account;
use ssh_interop::process::{PATIENCE, command, run, wait_until};
use ssh_interop::{Key, KeyType, Running, TestDir, noise};

use crate::matrix::Scenario;

/// Files and names of one cell.
pub(crate) struct Scene {
    pub(crate) dir: TestDir,
    /// The account of the run, the same for every server: sshd and dropbear ask the system.
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) key: Key,
    pub(crate) host_key: Key,
}

impl Scene {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let dir = TestDir::new();
        let (user, password) = password_account();
        let key_type = match scenario {
            Scenario::PublickeyEcdsa => KeyType::EcdsaP256,
            _ => KeyType::Ed25519,
        };
        let key = dir.key("user", key_type, "");
        let host_key = dir.key("host", KeyType::Ed25519, "");
        Self {
            dir,
            user,
            password,
            key,
            host_key,
        }
    }

    /// A folder that every account may write to.
    pub(crate) fn open_folder(&self) -> PathBuf {
        let folder = self.dir.file("open");
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("permissions");
        folder
    }

    /// An agent with the user's key, and its socket.
    pub(crate) fn agent(&self) -> (Running, PathBuf) {
        let socket = self.dir.file("agent");
        let mut agent = command("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket);
        let agent = Running::start(agent);
        wait_until("the agent listens", PATIENCE, || socket.exists());
        let mut add = command("ssh-add");
        add.arg("-q").arg(&self.key.private);
        add.env("SSH_AUTH_SOCK", &socket);
        run(add).ok();
        (agent, socket)
    }
}

/// A stream that ends each direction by itself.
pub(crate) trait Duplex: Read + Write + Send + Sized + 'static {
    fn twin(&self) -> Self;
    fn finish(&self);
    /// A read that takes longer fails.
    fn be_patient_for(&self, limit: Duration);
}

impl Duplex for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("dup")
    }
    fn finish(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
    fn be_patient_for(&self, limit: Duration) {
        let _ = self.set_read_timeout(Some(limit));
    }
}

impl Duplex for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().expect("dup")
    }
    fn finish(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
    fn be_patient_for(&self, limit: Duration) {
        let _ = self.set_read_timeout(Some(limit));
    }
}

/// The port of a server that says everything back, and ends when its client did.
pub(crate) fn echo_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(echo));
    port
}

/// The same at a UNIX socket that every account may use.
pub(crate) fn echo_socket(path: &Path) {
    let listener = UnixListener::bind(path).expect("a socket");
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("permissions");
    thread::spawn(move || listener.incoming().flatten().for_each(echo));
}

fn echo(mut from: impl Duplex) {
    thread::spawn(move || {
        let mut to = from.twin();
        let _ = std::io::copy(&mut from, &mut to);
        to.finish();
    });
}

/// Has 1 MiB said back by whatever `connect` reaches, three times; ending one direction leaves the
/// other open. The first connection is tried until the way is there.
pub(crate) fn assert_echoes<S: Duplex>(
    client: &mut Running,
    mut connect: impl FnMut() -> std::io::Result<S>,
) {
    let mut first = None;
    wait_until("the way is open", Duration::from_secs(30), || {
        // A forward whose other end is not ready yet accepts, and ends at once.
        first = connect().ok().and_then(|stream| probe(&stream));
        first.is_some() || !client.is_running()
    });
    assert!(
        first.is_some(),
        "the client ended: {}",
        client.stderr_so_far()
    );
    for _ in 0..3 {
        let stream = connect().expect("a connection");
        stream.be_patient_for(Duration::from_secs(20));
        let sent = noise(1 << 20);
        let (mut writer, bytes) = (stream.twin(), sent.clone());
        let writing = thread::spawn(move || {
            writer.write_all(&bytes).expect("written");
            writer.finish();
        });
        let (mut stream, mut got) = (stream, Vec::new());
        stream.read_to_end(&mut got).expect("the echo");
        writing.join().expect("the writer");
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    }
}

fn probe<S: Duplex>(stream: &S) -> Option<()> {
    let mut stream = stream.twin();
    stream.be_patient_for(Duration::from_secs(5));
    stream.write_all(b"?").ok()?;
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    (byte == *b"?").then_some(())
}
