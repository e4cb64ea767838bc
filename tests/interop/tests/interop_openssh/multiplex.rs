//! Many channels on one connection, as OpenSSH's `ControlMaster` opens them.

use std::time::Duration;

use ssh_interop::process::{Running, children, wait_until};
use ssh_interop::{Login, Pair, Side};

use crate::{Scene, assert_same, noise, pair_tests};

pair_tests!(
    openssh_to_ours,
    OpenSsh,
    Ours,
    sixty_in_turn,
    sixteen_at_once,
    bulk_beside_others
);
pair_tests!(new_openssh_to_ours, NewOpenSsh, Ours, sixteen_at_once);
pair_tests!(
    openssh_alone,
    OpenSsh,
    OpenSsh,
    sixty_in_turn,
    sixteen_at_once,
    bulk_beside_others
);

/// A scene with a connection that others share.
fn shared(pair: Pair) -> (Scene, Running) {
    let mut scene = Scene::new(pair);
    let socket = scene.dir.file("ctl").display().to_string();
    scene.login = scene.login.option("ControlPath", &socket);
    let mut master = scene.login.clone().flag("-M").flag("-N").start("");
    wait_until(
        "the master connection is up",
        Duration::from_secs(15),
        || {
            assert!(master.is_running(), "{}", master.stderr_so_far());
            scene.dir.file("ctl").exists()
        },
    );
    (scene, master)
}

/// A login that fails rather than connect by itself.
fn through_master(login: &Login) -> Login {
    login.clone().option("ProxyCommand", "false")
}

fn sixty_in_turn(pair: Pair) {
    let (scene, mut master) = shared(pair);
    let login = through_master(&scene.login);
    for count in 0..60 {
        let output = login.run_with("cat; exit 3", format!("{count}\n").into_bytes());
        assert_eq!(
            (output.code(), output.out()),
            (Some(3), format!("{count}\n"))
        );
    }
    assert!(master.is_running());
    wait_until("no child is left", Duration::from_secs(10), || {
        pair.server != Side::Ours || children(scene.server.pid()).is_empty()
    });
}

fn sixteen_at_once(pair: Pair) {
    let (scene, _master) = shared(pair);
    let login = through_master(&scene.login);
    let mut running: Vec<_> = (0..16)
        .map(|n| login.start(&format!("echo {n}; cat; exit {n}")))
        .collect();
    let inputs: Vec<_> = running.iter_mut().map(Running::take_stdin).collect();
    for (n, one) in running.iter().enumerate() {
        wait_until("all sixteen are open", Duration::from_secs(20), || {
            one.stdout_so_far() == format!("{n}\n")
        });
    }
    drop(inputs);
    for (n, one) in running.into_iter().enumerate() {
        let output = one.wait(Duration::from_secs(20));
        assert_eq!(output.code(), i32::try_from(n).ok(), "{output:?}");
    }
}

fn bulk_beside_others(pair: Pair) {
    let (scene, _master) = shared(pair);
    let login = through_master(&scene.login);
    let bytes = noise(24 << 20);
    let file = scene.dir.write("source", &bytes);
    // One that nobody reads must not hold up the others.
    let stuck = login.start("cat /dev/zero | head -c 9000000000");
    wait_until("it sends", Duration::from_secs(15), || {
        stuck.stdout_len() > 0
    });
    stuck.signal(rustix::process::Signal::STOP);
    let bulk: Vec<_> = (0..3)
        .map(|_| login.start(&format!("cat {}", file.display())))
        .collect();
    for _ in 0..10 {
        assert_eq!(login.run("echo beside").ok(), "beside\n");
    }
    for one in bulk {
        let output = one.wait(Duration::from_secs(60));
        assert_eq!(output.code(), Some(0), "{}", output.err());
        assert_same(&output.stdout, &bytes);
    }
}
