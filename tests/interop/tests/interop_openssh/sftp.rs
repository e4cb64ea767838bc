//! File transfer: sftp and scp, with our client in place of ssh.

use std::fs;
use std::process::Command;

use ssh_interop::process::{PATIENCE, command, run, run_with};
use ssh_interop::{Pair, Setup};

use crate::{Scene, assert_same, noise, pair_tests};

pair_tests!(openssh_to_ours, OpenSsh, Ours, old_scp_copies);
pair_tests!(ours_to_ours, Ours, Ours, old_scp_copies);
pair_tests!(
    ours_to_openssh,
    Ours,
    OpenSsh,
    sftp_copies,
    sftp_with_plain_arguments,
    scp_copies,
    old_scp_copies
);
pair_tests!(
    openssh_alone,
    OpenSsh,
    OpenSsh,
    sftp_copies,
    sftp_with_plain_arguments,
    scp_copies,
    old_scp_copies
);

const BATCH: &str = "mkdir {d}/there\nput {d}/source {d}/there/one\nrename {d}/there/one {d}/there/two\n\
                     ls -l {d}/there\nget {d}/there/two {d}/back\nrm {d}/there/two\nrmdir {d}/there\n";

fn with_sftp(pair: Pair) -> Scene {
    Scene::with(pair, |_, setup: Setup| setup.sftp())
}

fn sftp_copies(pair: Pair) {
    let scene = with_sftp(pair);
    let mut sftp = command("sftp");
    sftp.arg("-S").arg(scene.login.wrapper(&scene.dir));
    sftp_batch(&scene, sftp);
}

/// Without a wrapper: whatever sftp hands to its client, ours must understand.
fn sftp_with_plain_arguments(pair: Pair) {
    let scene = with_sftp(pair);
    let mut sftp = command("sftp");
    sftp.arg("-S").arg(scene.login.program());
    sftp.args(["-F", "none", "-P", &scene.server.port.to_string()]);
    sftp.arg("-i").arg(&scene.key.private);
    let known_hosts = scene.login.known_hosts_file().display();
    sftp.args(["-o", &format!("UserKnownHostsFile={known_hosts}")]);
    sftp.args(["-o", "StrictHostKeyChecking yes", "-q"]);
    sftp_batch(&scene, sftp);
}

fn sftp_batch(scene: &Scene, mut sftp: Command) {
    let bytes = noise(9_000_000);
    scene.dir.write("source", &bytes);
    let batch = BATCH.replace("{d}", &scene.dir.path().display().to_string());
    sftp.args(["-b", "-", "127.0.0.1"]);
    let output = run_with(sftp, batch.into_bytes(), PATIENCE);
    assert!(output.ok().contains("9000000"), "{output:?}");
    assert_same(&fs::read(scene.dir.file("back")).expect("fetched"), &bytes);
    assert!(!scene.dir.file("there").exists());
}

fn scp_copies(pair: Pair) {
    scp(&with_sftp(pair), &[]);
}

/// The protocol of before OpenSSH 9: it needs no subsystem.
fn old_scp_copies(pair: Pair) {
    scp(&Scene::new(pair), &["-O"]);
}

fn scp(scene: &Scene, flags: &[&str]) {
    let bytes = noise(9_000_000);
    let source = scene.dir.write("source", &bytes);
    let wrapper = scene.login.wrapper(&scene.dir);
    let remote = |name: &str| format!("127.0.0.1:{}", scene.dir.file(name).display());
    for (from, to) in [
        (source.display().to_string(), remote("there")),
        (
            remote("there"),
            scene.dir.file("back").display().to_string(),
        ),
    ] {
        let mut scp = command("scp");
        scp.args(flags).arg("-S").arg(&wrapper).args([&from, &to]);
        run(scp).ok();
    }
    assert_same(&fs::read(scene.dir.file("back")).expect("fetched"), &bytes);
}
