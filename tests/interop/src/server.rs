//! Starts a server of either kind on loopback, from one description of what it is to do.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::peers::{Key, KeyType, Side, TestDir, example};
use crate::process::{PATIENCE, Running, command, wait_until};

/// What a server is to do. The default has one Ed25519 host key and lets nobody in.
#[derive(Debug, Default)]
pub struct Setup {
    host_keys: Vec<Key>,
    authorized: Vec<PathBuf>,
    password: Option<(String, String)>,
    rekey_bytes: Option<u64>,
    banner: Option<PathBuf>,
    max_auth: Option<u32>,
    login_grace: Option<u32>,
    version: Option<String>,
    sftp: bool,
    flags: Vec<String>,
    lines: Vec<String>,
    environment: Vec<(String, OsString)>,
}

impl Setup {
    /// A host key; several are offered side by side.
    #[must_use]
    pub fn host_key(mut self, key: &Key) -> Self {
        self.host_keys.push(key.clone());
        self
    }

    /// A file of keys that log in.
    #[must_use]
    pub fn authorized(mut self, file: &Path) -> Self {
        self.authorized.push(file.to_owned());
        self
    }

    /// A user and the password; sshd asks the system's accounts instead.
    #[must_use]
    pub fn password(mut self, user: &str, password: &str) -> Self {
        self.password = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The server asks for new keys after this many bytes.
    #[must_use]
    pub fn rekey_bytes(mut self, bytes: u64) -> Self {
        self.rekey_bytes = Some(bytes);
        self
    }

    /// A text shown before the login.
    #[must_use]
    pub fn banner(mut self, file: PathBuf) -> Self {
        self.banner = Some(file);
        self
    }

    /// How many attempts a connection has.
    #[must_use]
    pub fn max_auth(mut self, attempts: u32) -> Self {
        self.max_auth = Some(attempts);
        self
    }

    /// How many seconds a login may take.
    #[must_use]
    pub fn login_grace(mut self, seconds: u32) -> Self {
        self.login_grace = Some(seconds);
        self
    }

    /// What the identification line says behind `SSH-2.0-`; of our server only.
    #[must_use]
    pub fn version(mut self, text: &str) -> Self {
        self.version = Some(text.to_owned());
        self
    }

    /// OpenSSH's sftp subsystem; of sshd only.
    #[must_use]
    pub fn sftp(mut self) -> Self {
        self.sftp = true;
        self
    }

    /// Arguments as they stand; of our server only.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// A line of the configuration that goes before all others; of sshd only.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// A variable of the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts the server in `dir` and waits until it takes connections.
    ///
    /// # Panics
    /// If it does not, with its log.
    pub fn start(mut self, side: Side, dir: &TestDir) -> Server {
        if self.host_keys.is_empty() {
            let name = format!("host-{}", free_port());
            self.host_keys.push(dir.key(&name, KeyType::Ed25519, ""));
        }
        let (running, port, log_file) = if side.is_ours() {
            self.start_ours()
        } else {
            self.start_sshd(side, dir)
        };
        Server {
            running,
            port,
            host_keys: self.host_keys,
            log_file,
        }
    }

    fn start_ours(&self) -> (Running, u16, Option<PathBuf>) {
        let mut server = command(example("server"));
        server.args(["--listen", "127.0.0.1:0", "--allow-all"]);
        for key in &self.host_keys {
            server.arg("--host-key").arg(&key.private);
        }
        for file in &self.authorized {
            server.arg("--authorized-keys").arg(file);
        }
        if let Some((user, password)) = &self.password {
            server.args(["--user", user, "--password", password]);
        }
        if let Some(file) = &self.banner {
            server.arg("--banner").arg(file);
        }
        if let Some(text) = &self.version {
            server.args(["--version", text]);
        }
        let mut number = |flag: &str, value: Option<u64>| {
            if let Some(value) = value {
                server.args([flag, &value.to_string()]);
            }
        };
        number("--rekey-bytes", self.rekey_bytes);
        number("--max-auth", self.max_auth.map(u64::from));
        number("--login-grace", self.login_grace.map(u64::from));
        server.args(&self.flags).envs(self.environment.clone());
        let mut running = Running::start(server);
        match listening_port(&mut running) {
            Some(port) => (running, port, None),
            None => panic!("the server ended: {:?}", running.wait(PATIENCE)),
        }
    }

    fn start_sshd(&self, side: Side, dir: &TestDir) -> (Running, u16, Option<PathBuf>) {
        let openssh = side.openssh().expect("OpenSSH");
        // Another process may take the port between looking and binding.
        for _ in 0..5 {
            let port = free_port();
            let config = self.sshd_config(port, openssh.sshd_parts());
            let config = dir.write(&format!("sshd_config_{port}"), config);
            let mut sshd = command(openssh.program("sbin/sshd"));
            // A log on standard error would mix with that of the sessions.
            let log_file = dir.file(&format!("sshd_log_{port}"));
            sshd.args(["-D", "-E"]).arg(&log_file);
            sshd.arg("-f").arg(config).envs(self.environment.clone());
            let mut running = Running::start(sshd);
            let mut taken = false;
            wait_for_server(&mut running, |_| {
                let log = fs::read_to_string(&log_file).unwrap_or_default();
                taken = log.contains("Address already in use");
                taken || log.contains("Server listening on")
            });
            if !taken {
                return (running, port, Some(log_file));
            }
        }
        panic!("no free port for sshd");
    }

    fn sshd_config(&self, port: u16, parts: String) -> String {
        let mut config = parts;
        for line in &self.lines {
            let _ = writeln!(config, "{line}");
        }
        let mut line = |keyword: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(config, "{keyword} {value}");
        };
        line("Port", &port);
        line("ListenAddress", &"127.0.0.1");
        for (keyword, value) in [
            ("UsePAM", "no"),
            ("StrictModes", "no"),
            ("PidFile", "none"),
            ("PermitRootLogin", "yes"),
            ("PrintMotd", "no"),
            ("PrintLastLog", "no"),
            ("AcceptEnv", "LC_* LANG"),
            ("MaxStartups", "100"),
            ("MaxSessions", "100"),
            ("LogLevel", "DEBUG1"),
        ] {
            line(keyword, &value);
        }
        for key in &self.host_keys {
            line("HostKey", &key.private.display());
        }
        let files: Vec<_> = self
            .authorized
            .iter()
            .map(|f| f.display().to_string())
            .collect();
        line(
            "AuthorizedKeysFile",
            &if files.is_empty() {
                "none".to_owned()
            } else {
                files.join(" ")
            },
        );
        line(
            "PasswordAuthentication",
            &if self.password.is_some() { "yes" } else { "no" },
        );
        line("KbdInteractiveAuthentication", &"no");
        if let Some(bytes) = self.rekey_bytes {
            line("RekeyLimit", &bytes);
        }
        if let Some(file) = &self.banner {
            line("Banner", &file.display());
        }
        if let Some(attempts) = self.max_auth {
            line("MaxAuthTries", &attempts);
        }
        if let Some(seconds) = self.login_grace {
            line("LoginGraceTime", &seconds);
        }
        if self.sftp {
            line("Subsystem", &"sftp internal-sftp");
        }
        config
    }
}

/// Waits for the line `listening PORT` or `listening ADDRESS:PORT` and gives the port; `None` if the
/// server ended instead.
pub fn listening_port(running: &mut Running) -> Option<u16> {
    let mut port = None;
    let mut ended = false;
    wait_until("the server says its port", PATIENCE, || {
        let out = running.stdout_so_far();
        port = out
            .lines()
            .find_map(|line| line.strip_prefix("listening "))
            .filter(|_| out.ends_with('\n'))
            .and_then(|address| address.trim().rsplit(':').next()?.parse().ok());
        ended = !running.is_running();
        port.is_some() || ended
    });
    port
}

/// Waits until the server is ready.
///
/// # Panics
/// If it ends before, with what it printed.
pub fn wait_for_server(running: &mut Running, mut ready: impl FnMut(&mut Running) -> bool) {
    let mut ended = false;
    let mut up = false;
    wait_until("the server takes connections", PATIENCE, || {
        up = ready(running);
        ended = !running.is_running();
        up || ended
    });
    assert!(
        up,
        "the server ended:\n{}\n{}",
        running.stdout_so_far(),
        running.stderr_so_far()
    );
}

/// A port of the loopback interface that is free now.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A running server; killed on drop. Its log is printed if the test fails.
pub struct Server {
    /// Its process.
    pub running: Running,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Its host keys.
    pub host_keys: Vec<Key>,
    /// Where sshd logs; our server does to standard error.
    log_file: Option<PathBuf>,
}

impl Server {
    /// A server that logs to standard error.
    pub fn new(running: Running, port: u16, host_key: Key) -> Self {
        Self {
            running,
            port,
            host_keys: vec![host_key],
            log_file: None,
        }
    }

    /// The process that listens.
    pub fn pid(&self) -> Pid {
        self.running.pid()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let from_file = |file: &PathBuf| {
            let log = fs::read(file).unwrap_or_default();
            String::from_utf8_lossy(&log).into_owned()
        };
        let stderr = || self.running.stderr_so_far();
        self.log_file.as_ref().map_or_else(stderr, from_file)
    }

    /// Lines of `known_hosts` that name its keys.
    pub fn known_hosts(&self) -> String {
        let line = |key: &Key| format!("[127.0.0.1]:{} {}\n", self.port, key.line);
        self.host_keys.iter().map(line).collect()
    }

    /// Asserts that it serves still.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert!(
            self.running.is_running(),
            "the server ended:\n{}",
            self.log()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            eprintln!("--- end of the server's log\n{}", lines[from..].join("\n"));
        }
    }
}
