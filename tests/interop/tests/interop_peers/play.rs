//! The scenarios: what a client does at a server, and how it must come out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ssh_interop::process::{PATIENCE, run, run_with, wait_until};
use ssh_interop::server::free_port;
use ssh_interop::{Output, Running, Server, Terminal, noise};

use crate::call::{Call, Client, CommandLine, Host, Known, Method, Wish};
use crate::matrix::Scenario;
use crate::scene::{Scene, assert_echoes, echo_port, echo_socket};

/// Plays one scenario to its end.
///
/// # Panics
/// If it comes out in any other way than it must.
pub(crate) fn play(scenario: Scenario, client: &Client, host: &'static dyn Host) -> Known<()> {
    let scene = Scene::new(scenario);
    match client {
        Client::Program(program) => {
            let server = host.start(scenario, &scene)?;
            program.play(scenario, &scene, &server)?;
            assert_traces(host, &server, scenario);
            Ok(())
        }
        Client::CommandLine(client) => Play {
            client: *client,
            host,
            server: host.start(scenario, &scene)?,
            scene: &scene,
        }
        .run(scenario),
    }
}

/// How a scenario logs in.
pub(crate) fn method(scenario: Scenario) -> Method {
    match scenario {
        Scenario::Password => Method::Password,
        Scenario::KeyboardInteractive => Method::KeyboardInteractive,
        _ => Method::Key,
    }
}

/// After a program has played: the server saw what was to be seen.
fn assert_traces(host: &dyn Host, server: &Server, scenario: Scenario) {
    let Some(traces) = host.traces(method(scenario)) else {
        return;
    };
    let log = server.log();
    assert!(log.contains(&traces.logged_in), "{log}");
    if scenario == Scenario::RekeyLoad {
        let exchanges = log.matches(traces.keys_exchanged).count();
        assert!(exchanges > 4, "{exchanges} key exchanges");
    }
}

/// A client of flags and a running server.
struct Play<'a> {
    client: &'static dyn CommandLine,
    host: &'static dyn Host,
    scene: &'a Scene,
    server: Server,
}

impl Play<'_> {
    fn run(&self, scenario: Scenario) -> Known<()> {
        match scenario {
            Scenario::Password => self.logs_in(Method::Password),
            Scenario::Publickey | Scenario::PublickeyEcdsa => self.logs_in(Method::Key),
            Scenario::KeyboardInteractive => self.logs_in(Method::KeyboardInteractive),
            Scenario::ExecStatus => self.exec_status(),
            Scenario::Stderr => self.stderr(),
            Scenario::Env => self.env(),
            Scenario::Pty => self.pty(),
            Scenario::Signal => self.client.signal(&self.call("echo up; exec sleep 60", [])),
            Scenario::Subsystem => self.subsystem(),
            Scenario::LocalForward => self.local_forward(),
            Scenario::RemoteForward => self.remote_forward(),
            Scenario::DynamicForward => self.dynamic_forward(),
            Scenario::UnixForward => self.unix_forward(),
            Scenario::RemoteUnixForward => self.remote_unix_forward(),
            Scenario::AgentForward => self.agent_forward(),
            Scenario::RekeyLoad => self.rekey_load(),
        }
    }

    fn call<'c>(&'c self, remote: &'c str, wishes: impl Into<Vec<Wish>>) -> Call<'c> {
        Call {
            scene: self.scene,
            server: &self.server,
            method: Method::Key,
            wishes: wishes.into(),
            remote,
        }
    }

    fn output(&self, remote: &str, wishes: impl Into<Vec<Wish>>, input: &[u8]) -> Known<Output> {
        let command = self.client.command(&self.call(remote, wishes))?;
        Ok(run_with(command, input.to_vec(), PATIENCE))
    }

    /// Starts a client that forwards and does nothing else.
    fn forwarding(&self, wish: Wish) -> Known<Running> {
        let call = self.call("", [wish, Wish::NoCommand]);
        Ok(Running::start(self.client.command(&call)?))
    }

    fn logs_in(&self, method: Method) -> Known<()> {
        let call = Call {
            method,
            ..self.call("echo logged in", [])
        };
        let command = self.client.command(&call)?;
        let (out, err) = if self.client.asks_on_terminal(method) {
            let mut terminal = Terminal::start(&command, 24, 80);
            terminal.expect("assword");
            terminal.expect(":");
            terminal.type_keys(&format!("{}\r", self.scene.password));
            let (status, screen) = terminal.wait();
            assert_eq!(status.code(), Some(0), "{screen}");
            (screen.clone(), screen)
        } else {
            let output = run(command);
            (output.ok(), output.err())
        };
        assert!(out.contains("logged in"), "{out}\n{err}");
        if let Some(traces) = self.client.traces(method) {
            assert!(err.contains(&traces.logged_in), "{err}");
        }
        if let Some(traces) = self.host.traces(method) {
            let log = self.server.log();
            assert!(log.contains(&traces.logged_in), "{log}");
        }
        Ok(())
    }

    fn exec_status(&self) -> Known<()> {
        for status in [0, 1, 42, 255] {
            let output = self.output(&format!("echo out-{status}; exit {status}"), [], b"")?;
            assert_eq!(output.code(), Some(status), "{output:?}");
            assert_eq!(output.out(), format!("out-{status}\n"));
        }
        let input = noise(300_001);
        let output = self.output("cat; exit 3", [], &input)?;
        assert_eq!(output.code(), Some(3), "{output:?}");
        assert!(output.stdout == input, "{} bytes", output.stdout.len());
        Ok(())
    }

    fn stderr(&self) -> Known<()> {
        let script = "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end";
        let output = self.output(script, [], b"")?;
        assert_eq!(output.ok(), "out\nend\n");
        let at = output.stderr.windows(4).position(|part| part == b"err\n");
        let at = at.unwrap_or_else(|| panic!("{output:?}"));
        let zeroes = output.stderr[at..].iter().filter(|byte| **byte == 0);
        assert_eq!(zeroes.count(), 500_000);
        Ok(())
    }

    fn env(&self) -> Known<()> {
        let wish = Wish::Env("LC_INTEROP", "set");
        let output = self.output("echo \"[$LC_INTEROP]\"", [wish], b"")?;
        assert_eq!(output.ok(), "[set]\n");
        Ok(())
    }

    fn pty(&self) -> Known<()> {
        let script = "exec bash -c 'trap \"echo resized; stty size\" WINCH; tty; echo term=$TERM; \
                      stty size; echo ready; \
                      while read -r line; do echo \"[$line]\"; test \"$line\" = end && exit 7; done'";
        let command = self.client.command(&self.call(script, [Wish::Terminal]))?;
        let mut terminal = Terminal::start(&command, 33, 101);
        terminal.expect("/dev/");
        terminal.expect("term=vt220");
        terminal.expect("33 101");
        terminal.expect("ready");
        // The shell runs the trap when `read` is over.
        terminal.resize(44, 122);
        std::thread::sleep(Duration::from_millis(400));
        terminal.type_keys("hello\r");
        terminal.expect("resized");
        terminal.expect("44 122");
        terminal.expect("[hello]");
        terminal.type_keys("end\r");
        terminal.expect("[end]");
        let (status, screen) = terminal.wait();
        assert_eq!(status.code(), Some(7), "{screen}");
        Ok(())
    }

    fn subsystem(&self) -> Known<()> {
        // SSH_FXP_INIT and SSH_FXP_VERSION, both of version 3.
        let init = [0, 0, 0, 5, 1, 0, 0, 0, 3];
        let call = self.call("sftp", [Wish::Subsystem]);
        let mut client = Running::start(self.client.command(&call)?);
        let mut stdin = client.take_stdin().expect("standard input");
        stdin.write_all(&init).expect("written");
        // A server of sftp that sees the end of its input may leave its answer unsaid.
        wait_until("it answers", PATIENCE, || {
            client.stdout_len() >= 9 || !client.is_running()
        });
        drop(stdin);
        let output = client.wait(PATIENCE);
        let answer = output.stdout.get(4..9);
        assert_eq!(answer, Some(&[2, 0, 0, 0, 3][..]), "{output:?}");
        Ok(())
    }

    fn local_forward(&self) -> Known<()> {
        let (port, to) = (free_port(), echo_port());
        let mut client = self.forwarding(Wish::Local { port, to })?;
        assert_echoes(&mut client, || TcpStream::connect(("127.0.0.1", port)));
        Ok(())
    }

    fn remote_forward(&self) -> Known<()> {
        let (port, to) = (free_port(), echo_port());
        let mut client = self.forwarding(Wish::Remote { port, to })?;
        assert_echoes(&mut client, || TcpStream::connect(("127.0.0.1", port)));
        Ok(())
    }

    fn dynamic_forward(&self) -> Known<()> {
        let (port, to) = (free_port(), echo_port());
        let mut client = self.forwarding(Wish::Dynamic { port })?;
        assert_echoes(&mut client, || socks(port, to));
        Ok(())
    }

    fn unix_forward(&self) -> Known<()> {
        let from = self.scene.dir.file("here");
        let to = self.scene.dir.file("there");
        echo_socket(&to);
        let wish = Wish::LocalUnix {
            from: from.clone(),
            to,
        };
        let mut client = self.forwarding(wish)?;
        assert_echoes(&mut client, || UnixStream::connect(&from));
        Ok(())
    }

    fn remote_unix_forward(&self) -> Known<()> {
        let from = self.scene.open_folder().join("there");
        let to = self.scene.dir.file("here");
        echo_socket(&to);
        let wish = Wish::RemoteUnix {
            from: from.clone(),
            to,
        };
        let mut client = self.forwarding(wish)?;
        assert_echoes(&mut client, || UnixStream::connect(&from));
        Ok(())
    }

    fn agent_forward(&self) -> Known<()> {
        let (_agent, socket) = self.scene.agent();
        // Signs and verifies.
        let script = format!(
            "ssh-add -T '{}' && echo signed",
            self.scene.key.public.display()
        );
        let output = self.output(&script, [Wish::Agent(socket)], b"")?;
        assert_eq!(output.ok(), "signed\n");
        // Without the flag there is none.
        let output = self.output(&script, [], b"")?;
        assert_ne!(output.code(), Some(0), "{output:?}");
        Ok(())
    }

    fn rekey_load(&self) -> Known<()> {
        let bytes = noise(8 << 20);
        let output = self.output("cat", [Wish::Rekey(1 << 20)], &bytes)?;
        assert_eq!(output.code(), Some(0), "{}", output.err());
        assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
        let (err, log) = (output.err(), self.server.log());
        let seen_by_client = self.client.traces(Method::Key).map(|traces| (traces, err));
        let seen_by_server = self.host.traces(Method::Key).map(|traces| (traces, log));
        for (traces, log) in seen_by_client.into_iter().chain(seen_by_server) {
            let exchanges = log.matches(traces.keys_exchanged).count();
            assert!(exchanges > 4, "{exchanges} key exchanges");
        }
        Ok(())
    }
}

/// A connection through a SOCKS 5 proxy to a port of the loopback interface.
fn socks(proxy: u16, to: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[5, 1, 0])?;
    let mut choice = [0; 2];
    stream.read_exact(&mut choice)?;
    let [high, low] = to.to_be_bytes();
    stream.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low])?;
    let mut reply = [0; 10];
    stream.read_exact(&mut reply)?;
    match (choice, reply[..2] == [5, 0]) {
        ([5, 0], true) => Ok(stream),
        _ => Err(std::io::Error::other(format!("{choice:?} {reply:?}"))),
    }
}
