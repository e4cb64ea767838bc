//! Dropbear: `dbclient` and `dropbear`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use ssh_interop::process::{command, run};
use ssh_interop::server::{free_port, wait_for_server};
use ssh_interop::{Key, Running, Server};

use crate::call::{Call, CommandLine, Host, Known, Method, Unknown, Wish};
use crate::matrix::Scenario;
use crate::scene::Scene;

/// Both of its programs.
pub(crate) struct Dropbear;

/// The key in Dropbear's own form, which is all that its programs read.
fn converted(key: &Key) -> PathBuf {
    let file = key.private.with_extension("dropbear");
    let mut convert = command("dropbearconvert");
    convert.args(["openssh", "dropbear"]);
    convert.args([&key.private, &file]);
    run(convert).ok();
    file
}

impl CommandLine for Dropbear {
    fn command(&self, call: &Call<'_>) -> Known<Command> {
        let scene = call.scene;
        // It knows hosts by name alone, below the home of its user.
        let home = scene.dir.file("home");
        fs::create_dir_all(home.join(".ssh")).expect("a folder");
        let known = format!("127.0.0.1 {}\n", scene.host_key.line);
        fs::write(home.join(".ssh/known_hosts"), known).expect("known hosts");
        let mut client = command("dbclient");
        client.env("HOME", &home);
        client.args(["-p", &call.server.port.to_string()]);
        client.args(["-l", &scene.user, "-o", "StrictHostKeyChecking=yes"]);
        client.args(["-o", "ExitOnForwardFailure=yes"]);
        match call.method {
            Method::Key => drop(client.arg("-i").arg(converted(&scene.key))),
            Method::Password | Method::KeyboardInteractive => {
                client.env("DROPBEAR_PASSWORD", &scene.password);
            }
        }
        for wish in &call.wishes {
            match wish {
                Wish::Terminal => client.arg("-t").env("TERM", "vt220"),
                Wish::Env(..) => {
                    return Unknown::because("Dropbear's client sends no variables.");
                }
                Wish::Subsystem => client.arg("-s"),
                Wish::NoCommand => client.arg("-N"),
                Wish::Local { port, to } => {
                    client.args(["-L", &format!("127.0.0.1:{port}:127.0.0.1:{to}")])
                }
                Wish::Remote { port, to } => {
                    client.args(["-R", &format!("127.0.0.1:{port}:127.0.0.1:{to}")])
                }
                Wish::Dynamic { .. } => {
                    return Unknown::because("Dropbear's client has no SOCKS.");
                }
                Wish::LocalUnix { .. } | Wish::RemoteUnix { .. } => {
                    return Unknown::because("Dropbear's client forwards no UNIX sockets.");
                }
                Wish::Agent(socket) => client.arg("-A").env("SSH_AUTH_SOCK", socket),
                // Its gigabyte is fixed.
                Wish::Rekey(_) => &mut client,
            };
        }
        client.arg("127.0.0.1");
        if !call.remote.is_empty() {
            client.arg(call.remote);
        }
        Ok(client)
    }

    fn signal(&self, _call: &Call<'_>) -> Known<()> {
        Unknown::because("Dropbear's client has no way to send a signal.")
    }
}

impl Host for Dropbear {
    fn start(&self, scenario: Scenario, scene: &Scene) -> Known<Server> {
        match scenario {
            Scenario::KeyboardInteractive => {
                return Unknown::because("Dropbear's server has no keyboard-interactive.");
            }
            Scenario::Env => return Unknown::because("Dropbear's server takes no variables."),
            Scenario::UnixForward | Scenario::RemoteUnixForward => {
                return Unknown::because("Dropbear's server forwards no UNIX sockets.");
            }
            _ => {}
        }
        authorize(scene);
        let host_key = converted(&scene.host_key);
        // Another process may take the port between looking and binding.
        for _ in 0..5 {
            let port = free_port();
            let mut server = command("/usr/sbin/dropbear");
            server.args(["-F", "-E", "-m", "-p", &format!("127.0.0.1:{port}")]);
            server.arg("-P").arg(scene.dir.file("dropbear.pid"));
            server.arg("-r").arg(&host_key);
            if scenario != Scenario::Password {
                server.arg("-s");
            }
            let mut running = Running::start(server);
            let mut taken = false;
            wait_for_server(&mut running, |running| {
                taken = running.stderr_so_far().contains("Address already in use");
                // It does not say when it listens.
                taken || TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            if !taken {
                return Ok(Server::new(running, port, scene.host_key.clone()));
            }
        }
        panic!("no free port for dropbear");
    }
}

/// Lets the scene's key in, where Dropbear looks: in the account's home, beside those of others.
fn authorize(scene: &Scene) {
    let mut home = command("sh");
    home.args(["-c", &format!("echo ~{}", scene.user)]);
    let home = run(home).ok();
    let home = Path::new(home.trim());
    let owner = fs::metadata(home).expect("the account's home");
    let folder = home.join(".ssh");
    fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("authorized_keys");
    let mut keys = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .expect("authorized keys");
    let line = format!("{}\n", scene.key.line);
    keys.write_all(line.as_bytes()).expect("a line");
    for path in [&folder, &file] {
        chown(path, Some(owner.uid()), Some(owner.gid())).expect("an owner");
    }
}
