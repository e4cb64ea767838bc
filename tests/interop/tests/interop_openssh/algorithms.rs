//! Every key exchange, cipher and MAC that both ends have, each in a session of its own.

use ssh_interop::{KeyType, Login, Pair, Side};

use crate::{Scene, for_each_pair, pair_tests};

for_each_pair!(
    ciphers_with_curve25519,
    ciphers_with_nistp256,
    curve25519_under_its_old_name,
    host_key_types,
    nothing_in_common,
);
pair_tests!(
    new_openssh_to_ours,
    NewOpenSsh,
    Ours,
    ciphers_with_mlkem768x25519,
    mlkem768x25519_is_the_first_choice
);
pair_tests!(
    ours_to_new_openssh,
    Ours,
    NewOpenSsh,
    ciphers_with_mlkem768x25519,
    mlkem768x25519_is_the_first_choice
);
mod ours_alone {
    #[test]
    #[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
    fn ciphers_with_mlkem768x25519() {
        super::ciphers_with_mlkem768x25519(ssh_interop::Pair {
            client: ssh_interop::Side::Ours,
            server: ssh_interop::Side::Ours,
        });
    }
}

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

fn ciphers_with_curve25519(pair: Pair) {
    all_ciphers(pair, "curve25519-sha256");
}

fn ciphers_with_nistp256(pair: Pair) {
    all_ciphers(pair, "ecdh-sha2-nistp256");
}

fn ciphers_with_mlkem768x25519(pair: Pair) {
    all_ciphers(pair, "mlkem768x25519-sha256");
}

fn curve25519_under_its_old_name(pair: Pair) {
    let scene = Scene::new(pair);
    session(
        &scene.login,
        pair.client,
        "curve25519-sha256@libssh.org",
        CTR[0],
        Some(MACS[0]),
    );
}

fn all_ciphers(pair: Pair, kex: &str) {
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

fn host_key_types(pair: Pair) {
    let mut keys = Vec::new();
    let scene = Scene::with(pair, |dir, mut setup| {
        for key_type in KeyType::ALL {
            keys.push(dir.key(key_type.name(), key_type, ""));
            setup = setup.host_key(&keys[keys.len() - 1]);
        }
        setup
    });
    for key_type in KeyType::ALL {
        let login = scene.login.clone().flag("-v");
        let output = login
            .option("HostKeyAlgorithms", key_type.name())
            .run("echo in");
        assert_eq!(output.ok(), "in\n");
        let line = format!("kex: host key algorithm: {}\n", key_type.name());
        assert!(output.err().contains(&line), "{output:?}");
    }
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
