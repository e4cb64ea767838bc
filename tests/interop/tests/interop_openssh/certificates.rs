//! Certificates that we issue, at OpenSSH's programs and ours, and those of `ssh-keygen` refused for
//! what is wrong with them.

use std::path::{Path, PathBuf};

use ssh_interop::peers::account;
use ssh_interop::process::{command, run};
use ssh_interop::{Key, KeyType, Login, Pair, Setup, TestDir};
use ssh_proto::crypto::{CertificateBuilder, PrivateKey, PublicKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine};

use crate::keyfiles::SystemRandom;
use crate::{for_each_pair, pair_tests};

for_each_pair!(
    issued_user_certificate_logs_in,
    certificate_file_logs_in,
    issued_host_certificate_is_trusted,
    cert_authority_line_lets_in,
    forced_command_of_a_certificate_runs,
    wrong_user_certificates_are_refused,
    wrong_host_certificates_are_refused,
    revoked_certificates_are_refused,
);
pair_tests!(
    newest_to_ours,
    NewestOpenSsh,
    Ours,
    issued_user_certificate_logs_in,
    issued_host_certificate_is_trusted,
    wrong_user_certificates_are_refused,
    revoked_certificates_are_refused
);
pair_tests!(
    ours_to_newest,
    Ours,
    NewestOpenSsh,
    issued_user_certificate_logs_in,
    issued_host_certificate_is_trusted,
    wrong_host_certificates_are_refused
);

fn private(key: &Key) -> PrivateKey {
    let file = std::fs::read(&key.private).expect("the private key");
    PrivateKey::from_openssh(&file).expect("a private key")
}

fn public(key: &Key) -> PublicKey {
    let line = PublicKeyLine::parse(key.line.as_bytes());
    line.expect("a public key").key
}

/// Has `authority` sign, and writes what comes of it to `file`.
fn issue(builder: &CertificateBuilder, authority: &Key, file: &Path) {
    let provider = rustcrypto::provider();
    let signer = provider.signing_key(&private(authority)).expect("a key");
    let algorithm = signer.algorithms()[0];
    let certificate = builder
        .sign(signer.as_ref(), algorithm, &mut SystemRandom)
        .expect("a certificate");
    let line = PublicKeyLine {
        key: certificate.as_public_key().clone(),
        comment: Comment::new("issued"),
    };
    std::fs::write(file, format!("{line}\n")).expect("written");
}

/// Where clients look for the certificate of a key.
fn beside(key: &Key) -> PathBuf {
    let mut path = key.private.clone().into_os_string();
    path.push("-cert.pub");
    path.into()
}

fn keygen(arguments: &[&str], files: &[&Path]) -> ssh_interop::Output {
    let mut keygen = command("ssh-keygen");
    keygen.args(arguments).args(files);
    run(keygen)
}

/// Has `ssh-keygen` sign the key of a user or host.
fn certify(authority: &Key, key: &Key, arguments: &[&str]) {
    let authority = authority.private.display().to_string();
    let first = ["-q", "-I", "key id", "-s", &authority];
    keygen(&[&first[..], arguments].concat(), &[&key.public]).ok();
}

fn trusting(authority: &Key) -> Setup {
    let file = authority.public.display().to_string();
    Setup::default()
        .line(&format!("TrustedUserCAKeys {file}"))
        .flags(&["--trusted-user-ca", &file])
}

fn showing(setup: Setup, key: &Key, certificate: &Path) -> Setup {
    let file = certificate.display().to_string();
    setup
        .host_key(key)
        .line(&format!("HostCertificate {file}"))
        .flags(&["--host-cert", &file])
}

fn user_certificate(key: &Key) -> CertificateBuilder {
    CertificateBuilder::user(public(key), "key id of the user")
        .serial(7)
        .principal(account())
        .valid(1_000_000_000, 4_000_000_000)
        .permit_all()
}

fn issued_user_certificate_logs_in(pair: Pair) {
    for key_type in KeyType::ALL {
        let dir = TestDir::new();
        let authority = dir.key("authority", key_type, "");
        let key = dir.key("user", KeyType::Ed25519, "");
        issue(&user_certificate(&key), &authority, &beside(&key));

        let shown = keygen(&["-L", "-f"], &[&beside(&key)]).ok();
        for line in [
            "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
            "Key ID: \"key id of the user\"",
            "Serial: 7",
            "Critical Options: (none)",
            "permit-agent-forwarding",
            "permit-pty",
        ] {
            assert!(shown.contains(line), "no {line:?} in {shown}");
        }

        let server = trusting(&authority).start(pair.server, &dir);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        assert_eq!(login.run("echo in").ok(), "in\n");
        // It was the certificate that did it.
        std::fs::remove_file(beside(&key)).expect("removed");
        login.run("echo in").failed(255);
    }
}

fn certificate_file_logs_in(pair: Pair) {
    let dir = TestDir::new();
    let authority = dir.key("authority", KeyType::Ed25519, "");
    let key = dir.key("user", KeyType::EcdsaP256, "");
    let file = dir.file("elsewhere");
    issue(&user_certificate(&key), &authority, &file);
    let server = trusting(&authority).start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).key(&key);
    login.run("echo in").failed(255);
    let login = login.option("CertificateFile", &file.display().to_string());
    assert_eq!(login.run("echo in").ok(), "in\n");
}

fn issued_host_certificate_is_trusted(pair: Pair) {
    for key_type in KeyType::ALL {
        let dir = TestDir::new();
        let authority = dir.key("authority", KeyType::Ed25519, "");
        let (key, host) = (
            dir.key("user", KeyType::Ed25519, ""),
            dir.key("host", key_type, ""),
        );
        let certificate = dir.file("host.certificate");
        let builder = CertificateBuilder::host(public(&host), "a host").principal("127.0.0.1");
        issue(&builder, &authority, &certificate);
        let setup = Setup::default().authorized(&key.public);
        let server = showing(setup, &host, &certificate).start(pair.server, &dir);
        let trust = format!("@cert-authority [127.0.0.1]:* {}\n", authority.line);
        let trust = dir.write("trust", trust);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        let login = login.known_hosts(&trust).flag("-v");
        let output = login.run("echo in");
        assert_eq!(output.ok(), "in\n");
        let line = format!(
            "kex: host key algorithm: {}-cert-v01@openssh.com\n",
            key_type.name()
        );
        assert!(output.err().contains(&line), "{output:?}");
    }
}

fn cert_authority_line_lets_in(pair: Pair) {
    let dir = TestDir::new();
    let authority = dir.key("authority", KeyType::Ed25519, "");
    let key = dir.key("user", KeyType::Ed25519, "");
    certify(&authority, &key, &["-n", "somebody"]);
    let start = |options: &str| {
        let line = format!("cert-authority{options} {}\n", authority.line);
        let name = format!("authorized{}", options.len());
        let server = Setup::default().authorized(&dir.write(&name, line));
        let server = server.start(pair.server, &dir);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        (server, login)
    };
    let (_server, login) = start("");
    login.run("echo in").failed(255);
    let (_server, login) = start(",principals=\"nobody,somebody\"");
    assert_eq!(login.run("echo in").ok(), "in\n");
}

fn forced_command_of_a_certificate_runs(pair: Pair) {
    let dir = TestDir::new();
    let authority = dir.key("authority", KeyType::Ed25519, "");
    let key = dir.key("user", KeyType::Ed25519, "");
    let builder = user_certificate(&key).force_command(b"echo forced");
    issue(&builder, &authority, &beside(&key));
    let server = trusting(&authority).start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).key(&key);
    assert_eq!(login.run("echo asked").ok(), "forced\n");
}

fn wrong_user_certificates_are_refused(pair: Pair) {
    let dir = TestDir::new();
    let authority = dir.key("authority", KeyType::Ed25519, "");
    let stranger = dir.key("stranger", KeyType::Ed25519, "");
    let key = dir.key("user", KeyType::Ed25519, "");
    let server = trusting(&authority).start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).key(&key);
    let user = account();
    let wrong: [(&Key, &[&str]); 7] = [
        (&stranger, &["-n", user]),
        (&authority, &["-n", "somebody-else"]),
        // Of a trusted authority one without principals is good for nobody.
        (&authority, &[]),
        (&authority, &["-n", user, "-V", "20010101:20020101"]),
        (&authority, &["-n", user, "-V", "+52w:+53w"]),
        (
            &authority,
            &["-n", user, "-O", "source-address=192.0.2.0/24"],
        ),
        (&authority, &["-n", user, "-O", "critical:unheard-of=1"]),
    ];
    for (signer, arguments) in wrong {
        certify(signer, &key, arguments);
        let output = login.run("echo in");
        output.failed(255);
        assert_eq!(output.out(), "", "{arguments:?}");
    }
    certify(&authority, &key, &["-h", "-n", user]);
    login.run("echo in").failed(255);
    certify(
        &authority,
        &key,
        &["-n", user, "-O", "source-address=127.0.0.0/8"],
    );
    assert_eq!(login.run("echo in").ok(), "in\n");
}

fn wrong_host_certificates_are_refused(pair: Pair) {
    let wrong: [(&str, &[&str]); 4] = [
        ("stranger", &["-h", "-n", "127.0.0.1"]),
        ("authority", &["-h", "-n", "elsewhere.example"]),
        ("authority", &["-n", "127.0.0.1"]),
        (
            "authority",
            &["-h", "-n", "127.0.0.1", "-V", "20010101:20020101"],
        ),
    ];
    for (signer, arguments) in wrong {
        let dir = TestDir::new();
        let authority = dir.key("authority", KeyType::Ed25519, "");
        let stranger = dir.key("stranger", KeyType::Ed25519, "");
        let key = dir.key("user", KeyType::Ed25519, "");
        let host = dir.key("host", KeyType::Ed25519, "");
        let signer = if signer == "authority" {
            &authority
        } else {
            &stranger
        };
        certify(signer, &host, arguments);
        let setup = Setup::default().authorized(&key.public);
        if pair.server.is_ours() && !arguments.contains(&"-h") {
            // Our server does not start with a user's certificate for its own.
            continue;
        }
        let server = showing(setup, &host, &beside(&host)).start(pair.server, &dir);
        let trust = format!("@cert-authority * {}\n", authority.line);
        let trust = dir.write("trust", trust);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        let output = login.known_hosts(&trust).run("echo in");
        output.failed(255);
        assert_eq!(output.out(), "", "{arguments:?}");
    }
}

fn revoked_certificates_are_refused(pair: Pair) {
    let dir = TestDir::new();
    let authority = dir.key("authority", KeyType::Ed25519, "");
    let key = dir.key("user", KeyType::Ed25519, "");
    let list = dir.file("revoked");
    let listed = list.display().to_string();
    let spec = dir.write("spec", "serial: 40-50\nid: gone\n");
    let authority_file = authority.public.display().to_string();
    keygen(
        &["-q", "-k", "-f", &listed, "-s", &authority_file],
        &[&spec],
    )
    .ok();
    let setup = trusting(&authority)
        .line(&format!("RevokedKeys {listed}"))
        .flags(&["--revoked-keys", &listed]);
    let server = setup.start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).key(&key);
    for (serial, id, admitted) in [
        ("39", "here", true),
        ("40", "here", false),
        ("50", "here", false),
        ("51", "here", true),
        ("51", "gone", false),
    ] {
        certify(&authority, &key, &["-n", account(), "-z", serial, "-I", id]);
        let output = login.run("echo in");
        assert_eq!(
            output.code(),
            Some(if admitted { 0 } else { 255 }),
            "{serial} {id} {output:?}"
        );
    }
    // The list is read anew: now it has the key itself.
    keygen(&["-q", "-k", "-f", &listed], &[&key.public]).ok();
    certify(&authority, &key, &["-n", account(), "-z", "39"]);
    login.run("echo in").failed(255);
}
