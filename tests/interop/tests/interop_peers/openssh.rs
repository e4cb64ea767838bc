//! OpenSSH's programs and the examples of ours, which take the same flags.

use std::net::TcpStream;
use std::process::Command;

use ssh_interop::{Login, Server, Setup, Side};
use ssh_io_std::{Client as Connection, Driver};
use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::PublicKeyLine;
use ssh_proto::{
    ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent, Connection as _,
    Event, HostKeyCheck,
};

use crate::call::{Call, CommandLine, Host, Known, Method, Traces, Unknown, Wish};
use crate::matrix::Scenario;
use crate::play::method;
use crate::scene::Scene;

/// A client or server of this side.
pub(crate) struct OpenSshLike(pub(crate) Side);

/// The examples.
pub(crate) const OURS: OpenSshLike = OpenSshLike(Side::Ours);

impl CommandLine for OpenSshLike {
    fn command(&self, call: &Call<'_>) -> Known<Command> {
        let scene = call.scene;
        let mut login = Login::new(self.0, call.server, &scene.dir)
            .user(&scene.user)
            .option("PreferredAuthentications", call.method.name())
            .option("ExitOnForwardFailure", "yes")
            .flag("-v");
        login = match call.method {
            Method::Key => login.key(&scene.key),
            method if self.asks_on_terminal(method) => login.asking(),
            _ => login.secret(&scene.dir, &scene.password),
        };
        let mut agent = None;
        let mut terminal = false;
        for wish in &call.wishes {
            login = match wish {
                Wish::Terminal => {
                    terminal = true;
                    login.flag("-tt")
                }
                Wish::Env(name, value) => login.option("SetEnv", &format!("{name}={value}")),
                Wish::Subsystem => login.flag("-s"),
                Wish::NoCommand => login.flag("-N"),
                Wish::Local { port, to } => {
                    login.flag("-L").flag(&format!("{port}:127.0.0.1:{to}"))
                }
                Wish::Remote { port, to } => {
                    login.flag("-R").flag(&format!("{port}:127.0.0.1:{to}"))
                }
                Wish::Dynamic { port } => login.flag("-D").flag(&port.to_string()),
                Wish::LocalUnix { from, to } => {
                    let forward = format!("{}:{}", from.display(), to.display());
                    login.flag("-L").flag(&forward)
                }
                Wish::RemoteUnix { from, to } => {
                    let forward = format!("{}:{}", from.display(), to.display());
                    login.flag("-R").flag(&forward)
                }
                Wish::Agent(socket) => {
                    agent = Some(socket.clone());
                    login.flag("-A")
                }
                Wish::Rekey(bytes) => login
                    .option("RekeyLimit", &bytes.to_string())
                    .option("KexAlgorithms", CHEAP_KEX),
            };
        }
        let mut command = login.command(call.remote);
        if let Some(socket) = agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        if terminal {
            command.env("TERM", "vt220");
        }
        Ok(command)
    }

    fn signal(&self, call: &Call<'_>) -> Known<()> {
        if !self.0.is_ours() {
            return Unknown::because("OpenSSH's client has no way to send a signal.");
        }
        // The example client has none either; the library has.
        let scene = call.scene;
        let provider = rustcrypto::provider();
        let known = PublicKeyLine::parse(scene.host_key.line.as_bytes()).expect("a key");
        let judge = move |check: &HostKeyCheck| *check.key() == known.key;
        let config = ClientConfig::builder(provider.clone()).build();
        let address = ("127.0.0.1", call.server.port);
        let mut client = Connection::connect(address, &scene.user, &config.expect("sound"), judge)
            .expect("a connection");
        let file = std::fs::read(&scene.key.private).expect("the private key");
        let private = PrivateKey::from_openssh(&file).expect("a private key");
        let key = provider.signing_key(&private).expect("a key to sign with");
        client.authenticate_key(key).expect("a login");
        assert_dies_of_term(client.into_driver(), call.remote);
        Ok(())
    }

    fn asks_on_terminal(&self, method: Method) -> bool {
        self.0.is_ours() && method == Method::KeyboardInteractive
    }

    fn traces(&self, method: Method) -> Option<Traces> {
        Some(Traces {
            logged_in: format!("using \"{}\"", method.name()),
            keys_exchanged: match self.0.is_ours() {
                true => "debug1: kex: algorithm",
                false => "debug1: SSH2_MSG_NEWKEYS sent",
            },
        })
    }
}

fn assert_dies_of_term(mut driver: Driver<ClientConnection, TcpStream>, command: &str) {
    let open = driver.connection_mut().open_channel(&ChannelKind::Session);
    open.expect("a channel");
    let mut died_of = None;
    loop {
        let event = driver.next_event().expect("the transport");
        let connection = driver.connection_mut();
        match event.expect("an open connection") {
            ClientEvent::Shared(Event::ChannelOpened(id)) => {
                let exec = ChannelRequest::Exec(command.to_owned().into_bytes().into());
                connection.request(id, &exec, true).expect("requested");
            }
            ClientEvent::Shared(Event::Readable(id)) => {
                while let Ok(Some(chunk)) = connection.read(id) {
                    if chunk.bytes.starts_with(b"up") {
                        let signal = ChannelRequest::Signal("TERM".into());
                        connection.request(id, &signal, false).expect("requested");
                    }
                }
            }
            ClientEvent::Shared(Event::ExitSignal { signal, .. }) => died_of = Some(signal.signal),
            ClientEvent::Shared(Event::ExitStatus { status, .. }) => panic!("status {status}"),
            ClientEvent::Shared(Event::ChannelClosed(_)) => break,
            _ => {}
        }
    }
    assert_eq!(died_of.as_deref(), Some(&b"TERM"[..]));
}

impl Host for OpenSshLike {
    fn start(&self, scenario: Scenario, scene: &Scene) -> Known<Server> {
        let mut setup = Setup::default().host_key(&scene.host_key);
        let method = method(scenario);
        if method == Method::Key {
            setup = setup.authorized(&scene.key.public);
        } else {
            setup = setup.password(&scene.user, &scene.password);
        }
        if method == Method::KeyboardInteractive {
            // sshd has PAM ask.
            setup = setup
                .line("UsePAM yes")
                .line("KbdInteractiveAuthentication yes")
                .line("PasswordAuthentication no");
        }
        if method != Method::Key {
            setup = setup.flags(&["--auth-methods", method.name()]);
        }
        setup = match scenario {
            Scenario::Subsystem => setup.sftp().flags(&["--force-command", SFTP]),
            Scenario::RekeyLoad => setup.rekey_bytes(1 << 20),
            Scenario::LocalForward | Scenario::DynamicForward => setup.flags(&["--local-forward"]),
            Scenario::RemoteForward => setup.flags(&["--remote-forward"]),
            // libssh asks for UNIX sockets only where the name says OpenSSH, and reads no
            // version of two digits.
            Scenario::UnixForward | Scenario::RemoteUnixForward => {
                setup.flags(&["--unix-forward", "--version", "ours_OpenSSH_9.9"])
            }
            Scenario::AgentForward => setup.flags(&["--agent"]),
            _ => setup,
        };
        Ok(setup.start(self.0, &scene.dir))
    }

    fn traces(&self, method: Method) -> Option<Traces> {
        self.0.is_ours().then(|| Traces {
            logged_in: format!("accepted: {}", method.name()),
            keys_exchanged: " keys: ",
        })
    }
}

/// Cheap enough for a key exchange each MiB, by both of its names: Paramiko has the older alone.
const CHEAP_KEX: &str = "curve25519-sha256,curve25519-sha256@libssh.org";

/// Our example serves no subsystems but a forced command.
const SFTP: &str = "exec /usr/lib/openssh/sftp-server";
