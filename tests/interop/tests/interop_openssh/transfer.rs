//! Data in bulk, with and without key exchanges in its midst: RFC 4253 section 9.

use std::fs;
use std::time::Duration;

use ssh_interop::{Output, Pair, Side};

use crate::{Scene, assert_same, for_each_pair, noise, pair_tests};

for_each_pair!(
    download,
    upload,
    both_ways,
    rekey_by_client,
    rekey_by_server,
    rekey_by_both,
    rekey_under_each_cipher,
);

pair_tests!(new_openssh_to_ours, NewOpenSsh, Ours, rekey_by_both);
pair_tests!(ours_to_new_openssh, Ours, NewOpenSsh, rekey_by_both);

const BULK: usize = 64 << 20;
const LIMIT: Duration = Duration::from_secs(180);

fn download(pair: Pair) {
    fetch(&Scene::new(pair), BULK);
}

fn upload(pair: Pair) {
    send(&Scene::new(pair), BULK);
}

fn both_ways(pair: Pair) {
    let scene = Scene::new(pair);
    let bytes = noise(BULK / 2);
    let output = scene.login.run_within("cat", bytes.clone(), LIMIT);
    output.ok();
    assert_same(&output.stdout, &bytes);
}

fn rekey_by_client(pair: Pair) {
    let mut scene = Scene::new(pair);
    scene.login = scene.login.option("RekeyLimit", "1M");
    all_with_rekeys(scene, pair);
}

fn rekey_by_server(pair: Pair) {
    let scene = Scene::with(pair, |_, setup| setup.rekey_bytes(1 << 20));
    all_with_rekeys(scene, pair);
}

fn rekey_by_both(pair: Pair) {
    let mut scene = Scene::with(pair, |_, setup| setup.rekey_bytes(1 << 20));
    scene.login = scene.login.option("RekeyLimit", "1M");
    all_with_rekeys(scene, pair);
}

/// New keys again and again under each family of ciphers, from both sides.
fn rekey_under_each_cipher(pair: Pair) {
    for cipher in [
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "chacha20-poly1305@openssh.com",
    ] {
        let mut scene = Scene::with(pair, |_, setup| setup.rekey_bytes(1 << 20));
        scene.login = scene
            .login
            .option("RekeyLimit", "1M")
            .option("Ciphers", cipher)
            .option("KexAlgorithms", "curve25519-sha256")
            .flag("-v");
        let output = send(&scene, 8 << 20);
        let rekeys = key_exchanges(pair.client, &output);
        assert!(rekeys > 3, "{cipher}: {rekeys} key exchanges");
        fetch(&scene, 8 << 20);
    }
}

fn all_with_rekeys(mut scene: Scene, pair: Pair) {
    // The one that is cheap enough for so many.
    scene.login = scene
        .login
        .option("KexAlgorithms", "curve25519-sha256")
        .flag("-v");
    for output in [fetch(&scene, BULK), send(&scene, BULK)] {
        let rekeys = key_exchanges(pair.client, &output);
        // A peer looks at its count now and then, so it is less than one for each MiB.
        assert!(rekeys > 20, "{rekeys} key exchanges: {output:?}");
    }
    let bytes = noise(BULK / 4);
    let output = scene.login.run_within("cat", bytes.clone(), LIMIT);
    output.ok();
    assert_same(&output.stdout, &bytes);
}

fn key_exchanges(client: Side, output: &Output) -> usize {
    let line = match client {
        Side::Ours => "debug1: kex: algorithm",
        _ => "debug1: SSH2_MSG_NEWKEYS sent",
    };
    output.err().matches(line).count()
}

fn fetch(scene: &Scene, len: usize) -> Output {
    let bytes = noise(len);
    let file = scene.dir.write("source", &bytes);
    let output = scene
        .login
        .run_within(&format!("cat {}", file.display()), Vec::new(), LIMIT);
    assert_eq!(output.code(), Some(0), "{}", output.err());
    assert_same(&output.stdout, &bytes);
    Output {
        stdout: Vec::new(),
        ..output
    }
}

fn send(scene: &Scene, len: usize) -> Output {
    let bytes = noise(len);
    let file = scene.dir.file("target");
    let output = scene
        .login
        .run_within(&format!("cat > {}", file.display()), bytes.clone(), LIMIT);
    output.ok();
    assert_same(&fs::read(&file).expect("what was sent"), &bytes);
    output
}
