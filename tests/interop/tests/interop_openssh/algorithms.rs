//! Ciphers with each MAC, which go through other code than either by itself, and what is chosen by default.
//! Each algorithm by itself is in `interop_peers`.

use ssh_interop::{Login, Pair, Side};

use crate::{Scene, for_each_pair, pair_tests};

for_each_pair!(all_ciphers, nothing_in_common);
pair_tests!(
    new_openssh_to_ours,
    NewOpenSsh,
    Ours,
    mlkem768x25519_is_the_first_choice
);
pair_tests!(
    ours_to_new_openssh,
    Ours,
    NewOpenSsh,
    mlkem768x25519_is_the_first_choice
);

const AEAD: [&str; 3] = [
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
];
const CTR: [&str; 3] = ["aes128-ctr", "aes192-ctr", "aes256-ctr"];
const MACS: [&str; 4] = [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];

fn all_ciphers(pair: Pair) {
    let kex = "curve25519-sha256";
    let scene = Scene::new(pair);
    for cipher in AEAD {
        session(&scene.login, pair.client, kex, cipher, None);
    }
    for cipher in CTR {
        for mac in MACS {
            session(&scene.login, pair.client, kex, cipher, Some(mac));
        }
    }
}

/// A command whose input, output and status pass under exactly these algorithms.
fn session(login: &Login, client: Side, kex: &str, cipher: &str, mac: Option<&str>) {
    let mut login = login
        .clone()
        .option("KexAlgorithms", kex)
        .option("Ciphers", cipher)
        .flag("-v");
    if let Some(mac) = mac {
        login = login.option("MACs", mac);
    }
    let input = format!("{kex} {cipher} {mac:?}\n").repeat(100);
    let output = login.run_with("cat; echo err >&2; exit 17", input.clone().into_bytes());
    let report = output.failed(17);
    assert_eq!(output.out(), input);
    assert!(report.contains("err\n"), "{output:?}");
    let mac = mac.unwrap_or("<implicit>");
    assert!(
        report.contains(&format!("kex: algorithm: {kex}\n")),
        "{output:?}"
    );
    for direction in ["server->client", "client->server"] {
        let line = format!("kex: {direction} cipher: {cipher} MAC: {mac} compression: none");
        assert!(
            report.contains(&line),
            "no {line:?} ({client:?}) in {output:?}"
        );
    }
}

fn mlkem768x25519_is_the_first_choice(pair: Pair) {
    let scene = Scene::new(pair);
    let output = scene.login.clone().flag("-v").run("true");
    output.ok();
    let line = "kex: algorithm: mlkem768x25519-sha256\n";
    assert!(output.err().contains(line), "{output:?}");
}

fn nothing_in_common(pair: Pair) {
    let scene = Scene::with(pair, |_, setup| setup);
    let login = scene.login.clone();
    let output = login
        .option("HostKeyAlgorithms", "ecdsa-sha2-nistp256")
        .run("echo in");
    let report = output.failed(255).to_lowercase();
    assert!(report.contains("host key"), "{output:?}");
}
