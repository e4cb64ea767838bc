//! OpenSSH's programs and ours, which take the same options.

use ssh_interop::process::{command, run};
use ssh_interop::{Login, Server, Setup, Side, noise};

use super::Outcome;
use super::keyring::{Keyring, Trust};
use super::slots::{Row, Slot};

/// What this side has in a slot.
pub(super) fn query(side: Side, slot: Slot) -> Vec<String> {
    let mut names = query_all(side, slot);
    names.retain(|name| slot.takes(name));
    names
}

/// The same, with and without certificates.
pub(super) fn query_all(side: Side, slot: Slot) -> Vec<String> {
    let program = side.openssh().map_or_else(
        || ssh_interop::peers::example("client"),
        |openssh| openssh.program("bin/ssh"),
    );
    let mut query = command(program);
    query.args(["-Q", slot.query()]);
    run(query).ok().lines().map(str::to_owned).collect()
}

/// sshd with all that it knows.
pub(super) fn server(side: Side, keyring: &Keyring) -> Server {
    let authority = keyring.authority.public.display();
    let mut setup = Setup::default()
        .authorized(&keyring.authorized_keys())
        .line("Compression yes")
        .line(&format!("TrustedUserCAKeys {authority}"));
    for (slot, keywords) in [
        (Slot::Kex, &["KexAlgorithms"][..]),
        (Slot::Cipher, &["Ciphers"]),
        (Slot::Mac, &["MACs"]),
        (
            Slot::HostKey,
            &["HostKeyAlgorithms", "PubkeyAcceptedAlgorithms"],
        ),
    ] {
        let names = query_all(side, slot).join(",");
        for keyword in keywords {
            setup = setup.line(&format!("{keyword} {names}"));
        }
    }
    let known = query_all(side, Slot::HostKey);
    for pair in &keyring.hosts {
        if known.iter().any(|name| name == pair.key_type) {
            let certificate = pair.certificate.display();
            setup = setup.host_key(&pair.key);
            setup = setup.line(&format!("HostCertificate {certificate}"));
        }
    }
    setup.start(side, &keyring.dir)
}

/// Sessions under the row's algorithm: input, output, status and what was negotiated are right.
pub(super) fn session(login: &Login, row: &Row, keyring: &Keyring, trust: &Trust) -> Outcome {
    let name = row.name.as_str();
    let key = match row.slot {
        Slot::UserKey | Slot::UserCertificate => keyring.user(name),
        _ => keyring.user("ssh-ed25519"),
    };
    let known = match row.slot {
        Slot::HostCertificate => &trust.authority,
        _ => &trust.keys,
    };
    let key = match row.slot {
        Slot::UserCertificate => &key.certified,
        _ => &key.key,
    };
    let mut login = login.clone().key(key).known_hosts(known);
    if name.starts_with("sk-") {
        login = login.env("SSH_AUTH_SOCK", keyring.agent());
    }
    let (option, expected) = match row.slot {
        Slot::Kex => ("KexAlgorithms", format!("kex: algorithm: {name}\n")),
        Slot::Cipher => ("Ciphers", format!(" cipher: {name} ")),
        Slot::Mac => ("MACs", format!(" MAC: {name} ")),
        Slot::Compression => ("Compression", format!(" compression: {name}\n")),
        Slot::HostKey | Slot::HostCertificate => (
            "HostKeyAlgorithms",
            format!("kex: host key algorithm: {name}\n"),
        ),
        // Which signature was made the server alone tells; it took no other.
        Slot::UserKey | Slot::UserCertificate => ("PubkeyAcceptedAlgorithms", String::new()),
    };
    let logins = match row.slot {
        Slot::Cipher => {
            let macs = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"];
            let with = |mac: &str| login.clone().option(option, name).option("MACs", mac);
            macs.map(with).to_vec()
        }
        Slot::Mac => vec![login.option(option, name).option("Ciphers", "aes128-ctr")],
        Slot::Compression => {
            let wanted = if name == "none" { "no" } else { "yes" };
            vec![login.option(option, wanted)]
        }
        _ => vec![login.option(option, name)],
    };
    for login in logins {
        let mut input = noise(30_000);
        input.extend_from_slice(name.repeat(1000).as_bytes());
        let output = login.run_with("cat; exit 17", input.clone());
        let negotiated = output.err().contains(&expected);
        if output.code() != Some(17) || output.stdout != input || !negotiated {
            return Outcome::Failed(format!("{expected:?} {:?} {}", output.status, output.err()));
        }
    }
    Outcome::Works
}
