//! Programs that run a client of their own accord: rsync and git.

use std::fs;

use ssh_interop::Pair;
use ssh_interop::process::{command, run};

use crate::{Scene, assert_same, for_each_pair, noise};

for_each_pair!(rsync_copies, git_clones_and_pushes);

fn rsync_copies(pair: Pair) {
    let scene = Scene::new(pair);
    let tree = scene.dir.file("tree");
    for (name, len) in [
        ("a", 5_000_000),
        ("b/c", 10),
        ("b/d e", 0),
        ("f", 1_000_000),
    ] {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, noise(len)).expect("a file");
    }
    let wrapper = scene.login.wrapper(&scene.dir).display().to_string();
    let there = scene.dir.file("there").display().to_string();
    let back = scene.dir.file("back").display().to_string();
    let sync = |from: &str, to: &str| {
        let mut rsync = command("rsync");
        rsync.args(["-a", "--delete", "--stats", "-e", &wrapper, from, to]);
        run(rsync).ok()
    };
    let from = format!("{}/", tree.display());
    sync(&from, &format!("127.0.0.1:{there}/"));
    sync(&format!("127.0.0.1:{there}/"), &format!("{back}/"));
    let mut diff = command("diff");
    diff.args(["-r", &from, &back]);
    run(diff).ok();
    // A second run sends the difference alone.
    fs::write(tree.join("b/c"), "changed").expect("a file");
    fs::remove_file(tree.join("f")).expect("removed");
    let report = sync(&from, &format!("127.0.0.1:{there}/"));
    assert!(
        report.contains("Number of regular files transferred: 1\n"),
        "{report}"
    );
    assert!(!scene.dir.file("there/f").exists());
}

fn git_clones_and_pushes(pair: Pair) {
    let scene = Scene::new(pair);
    let wrapper = scene.login.wrapper(&scene.dir);
    let git = |folder: &str, words: &[&str]| {
        let mut git = command("git");
        git.current_dir(scene.dir.file(folder))
            .args([
                "-c",
                "user.name=n",
                "-c",
                "user.email=e@x",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(["-c", "safe.directory=*", "-c", "protocol.version=2"])
            .args(words)
            .env("GIT_SSH_COMMAND", &wrapper)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        run(git).ok()
    };
    let url = |name: &str| format!("ssh://127.0.0.1{}", scene.dir.file(name).display());
    git("", &["init", "-q", "--bare", "bare"]);
    git("", &["init", "-q", "work"]);
    for count in 0..5_usize {
        let content = noise(700_000 + count);
        scene.dir.write(&format!("work/file-{count}"), content);
        git("work", &["add", "."]);
        git("work", &["commit", "-q", "-m", "one more"]);
    }
    git("work", &["push", "-q", &url("bare"), "main"]);
    git("", &["clone", "-q", "-b", "main", &url("bare"), "clone"]);
    assert_eq!(git("clone", &["log", "--oneline"]).lines().count(), 5);
    assert_same(
        &fs::read(scene.dir.file("clone/file-4")).expect("cloned"),
        &noise(700_004),
    );
    git("work", &["commit", "-q", "--allow-empty", "-m", "empty"]);
    git("work", &["push", "-q", &url("bare"), "main"]);
    git("clone", &["pull", "-q"]);
    assert_eq!(git("clone", &["log", "--oneline"]).lines().count(), 6);
    git("clone", &["fsck", "--full"]);
}
