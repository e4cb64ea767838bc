//! Peers that are programs of `tests/interop/peers`, on a library: the contract is in its README.

use std::process::Command;

use ssh_interop::peers::peers_folder;
use ssh_interop::process::{PATIENCE, command, run_with};
use ssh_interop::server::listening_port;
use ssh_interop::{Running, Server};

use crate::call::Method;
use crate::call::{Host, Known, Unknown};
use crate::matrix::Scenario;
use crate::play::method;
use crate::scene::{Scene, echo_port, echo_socket};

/// What a program exits with if its library does not know the scenario.
const UNKNOWN: i32 = 77;

/// The program of this name.
pub(crate) struct Program(pub(crate) &'static str);

impl Program {
    fn command(&self) -> Command {
        command(peers_folder().join("peers").join(self.0))
    }

    /// `LIBRARY VERSION`.
    pub(crate) fn version(&self) -> String {
        let mut version = self.command();
        version.arg("version");
        run_with(version, Vec::new(), PATIENCE)
            .ok()
            .trim()
            .to_owned()
    }

    /// Has it play and judge a scenario as a client.
    pub(crate) fn play(&self, scenario: Scenario, scene: &Scene, server: &Server) -> Known<()> {
        let known_hosts = scene.dir.write("known_hosts", server.known_hosts());
        let echo = scene.dir.file("echo");
        echo_socket(&echo);
        let mut client = self.command();
        client
            .args(["client", "127.0.0.1", &server.port.to_string()])
            .args([&scene.user, scenario.id()])
            .env("PEER_HOST_KEY", known_hosts)
            .env("PEER_TMP", scene.open_folder())
            .env("PEER_ECHO_PORT", echo_port().to_string())
            .env("PEER_ECHO_SOCKET", echo);
        if method(scenario) == Method::Key {
            client.env("PEER_KEY", &scene.key.private);
        } else {
            client.env("PEER_PASSWORD", &scene.password);
        }
        let _agent = (scenario == Scenario::AgentForward).then(|| {
            let (agent, socket) = scene.agent();
            client.env("SSH_AUTH_SOCK", socket);
            agent
        });
        let output = run_with(client, Vec::new(), PATIENCE);
        if output.code() == Some(UNKNOWN) {
            return Err(Unknown(output.out().trim().to_owned()));
        }
        output.ok();
        Ok(())
    }
}

impl Host for Program {
    fn start(&self, scenario: Scenario, scene: &Scene) -> Known<Server> {
        let mut server = self.command();
        server
            .args(["server", scenario.id()])
            .env("PEER_HOST_KEY_FILE", &scene.host_key.private)
            .env("PEER_USER", &scene.user)
            .env("PEER_TMP", scene.open_folder());
        if method(scenario) == Method::Key {
            server.env("PEER_AUTHORIZED_KEY", &scene.key.line);
        } else {
            server.env("PEER_PASSWORD", &scene.password);
        }
        let mut running = Running::start(server);
        match listening_port(&mut running) {
            Some(port) => Ok(Server::new(running, port, scene.host_key.clone())),
            None => {
                let output = running.wait(PATIENCE);
                assert_eq!(output.code(), Some(UNKNOWN), "{output:?}");
                Err(Unknown(output.out().trim().to_owned()))
            }
        }
    }
}
