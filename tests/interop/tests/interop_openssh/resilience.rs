//! Peers that vanish, stall or do not read: nothing is left over and nothing grows.

use std::io::{Read, Write};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use ssh_interop::process::{children, open_files, processes_with, resident_kib, wait_until};
use ssh_interop::{Pair, Side};

use crate::{Scene, assert_same, for_each_pair, noise};

for_each_pair!(
    killed_client_leaves_nothing,
    killed_server_ends_the_client,
    stalled_client_costs_nothing,
    slow_reader_holds_the_client_back,
    slow_command_holds_the_input_back,
);

const SOON: Duration = Duration::from_secs(15);

fn killed_client_leaves_nothing(pair: Pair) {
    let mut scene = Scene::new(pair);
    scene.login.run("true").ok();
    let files = open_files(scene.server.pid());
    let mark = format!("999.{}", scene.server.port);
    for script in [
        format!("echo up; exec sleep {mark}"),
        format!("echo up; sleep {mark} & cat /dev/zero"),
        format!("echo up; cat >/dev/null; sleep {mark}"),
    ] {
        for flag in ["-T", "-tt"] {
            let mut running = scene.login.clone().flag(flag).start(&script);
            let stdin = running.take_stdin();
            wait_until("the command runs", SOON, || running.stdout_len() > 0);
            if script.contains("zero") {
                wait_until("it sends", SOON, || running.stdout_len() > 1 << 20);
            }
            running.signal(Signal::KILL);
            drop((stdin, running));
            wait_until(&format!("{script:?} {flag} is gone"), SOON, || {
                // sshd leaves the children of a session without a terminal to their own end.
                let left = processes_with(&format!("sleep {mark}"));
                pair.server != Side::Ours || left.is_empty()
            });
            wait_until("its processes are gone", SOON, || {
                children(scene.server.pid()).is_empty()
            });
        }
    }
    wait_until("all descriptors are closed", SOON, || {
        open_files(scene.server.pid()) <= files
    });
    scene.server.assert_alive();
    for left in processes_with(&format!("sleep {mark}")) {
        let pid = left.split(' ').next().and_then(|pid| pid.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

fn killed_server_ends_the_client(pair: Pair) {
    let scene = Scene::new(pair);
    let running = scene
        .login
        .start("echo up; sleep 1; kill -9 $PPID; sleep 5");
    let output = running.wait(SOON);
    assert_eq!(output.out(), "up\n");
    output.failed(255);
}

fn stalled_client_costs_nothing(pair: Pair) {
    let mut scene = Scene::new(pair);
    let bytes = noise(48 << 20);
    let file = scene.dir.write("source", &bytes);
    let running = scene.login.start(&format!("cat {}", file.display()));
    wait_until("it sends", SOON, || running.stdout_len() > 1 << 20);
    running.signal(Signal::STOP);
    let server = serving(&scene, pair);
    sleep(Duration::from_secs(1));
    let before = resident_kib(server).expect("resident memory");
    for _ in 0..3 {
        assert_eq!(scene.login.run("echo other").ok(), "other\n");
    }
    sleep(Duration::from_secs(2));
    let after = resident_kib(server).expect("resident memory");
    assert!(after < before + 4096, "{before} KiB grew to {after} KiB");
    running.signal(Signal::CONT);
    let output = running.wait(Duration::from_secs(60));
    assert_eq!(output.code(), Some(0));
    assert_same(&output.stdout, &bytes);
    scene.server.assert_alive();
}

/// The process that has the connection: sshd has one for each, our example one for all.
fn serving(scene: &Scene, pair: Pair) -> Pid {
    let listener = scene.server.pid();
    if pair.server == Side::Ours {
        return listener;
    }
    let child = children(listener);
    let pid = child
        .first()
        .and_then(|child| child.split(' ').next()?.parse().ok());
    pid.and_then(Pid::from_raw).unwrap_or(listener)
}

fn slow_reader_holds_the_client_back(pair: Pair) {
    let scene = Scene::new(pair);
    let bytes = noise(48 << 20);
    let file = scene.dir.write("source", &bytes);
    let mut client = scene.login.command(&format!("cat {}", file.display()));
    client.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut client = client.spawn().expect("the client");
    let mut stdout = client.stdout.take().expect("its output");
    let pid = Pid::from_child(&client);
    sleep(Duration::from_millis(1500));
    let held = resident_kib(pid).expect("resident memory");
    assert!(
        held < 40 << 10,
        "the client keeps {held} KiB that nobody read"
    );
    let mut got = Vec::new();
    stdout.read_to_end(&mut got).expect("its output");
    assert!(client.wait().expect("its end").success());
    assert_same(&got, &bytes);
}

fn slow_command_holds_the_input_back(pair: Pair) {
    let scene = Scene::new(pair);
    let bytes = noise(48 << 20);
    let file = scene.dir.file("target");
    let mut running = scene
        .login
        .start(&format!("sleep 2; cat > {}", file.display()));
    let mut stdin = running.take_stdin().expect("standard input");
    let (client, input) = (running.pid(), bytes.clone());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    sleep(Duration::from_millis(1500));
    for (name, pid) in [("client", client), ("server", serving(&scene, pair))] {
        let held = resident_kib(pid).expect("resident memory");
        assert!(
            held < 40 << 10,
            "the {name} keeps {held} KiB that nobody took"
        );
    }
    writer.join().expect("the writer").expect("all written");
    running.wait(Duration::from_secs(60)).ok();
    assert_same(&std::fs::read(&file).expect("what was sent"), &bytes);
}
