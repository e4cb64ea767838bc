//! Certificates, revocation and compression between the example programs.
#![cfg(unix)]

mod programs;

use std::fs;
use std::process::Output;

use programs::{Folder, KeyPair, Server, USER, client, example, run, stderr, stdout};
use ssh_io_std::{OsRandom, read_signing_key};
use ssh_proto::crypto::{CertificateBuilder, PublicKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine, RevocationList};

fn public(pair: &KeyPair) -> PublicKey {
    PublicKeyLine::parse(pair.line.as_bytes()).unwrap().key
}

/// The line of a certificate, signed with the key of the authority.
fn issue(authority: &KeyPair, certificate: &CertificateBuilder) -> String {
    let authority = read_signing_key(&authority.path, None, &rustcrypto::provider()).unwrap();
    let algorithm = authority.algorithms()[0];
    let certificate = certificate.sign(&*authority, algorithm, &mut OsRandom);
    let key = certificate.unwrap().as_public_key().clone();
    let comment = Comment::default();
    PublicKeyLine { key, comment }.to_string()
}

fn of_user(key: &KeyPair) -> CertificateBuilder {
    CertificateBuilder::user(public(key), "of a test")
        .principal(USER)
        .serial(7)
        .permit_all()
}

/// Runs `echo done` with these flags, by a key alone.
fn login(folder: &Folder, server: &Server, flags: &[&str]) -> Output {
    let port = format!("-p{}", server.port());
    let host = format!("{USER}@127.0.0.1");
    let common = [
        "-v",
        "-Fnone",
        "-oPreferredAuthentications=publickey",
        &port,
    ];
    let flags = [&common, flags, &[&host, "echo done"]].concat();
    run(client(folder, &flags).env_remove("SSH_AUTH_SOCK"))
}

fn is_in(output: &Output) -> bool {
    let is_in = output.status.code() == Some(0);
    assert_eq!(stdout(output), if is_in { "done\n" } else { "" });
    is_in
}

#[test]
fn an_authority_lets_its_users_in() {
    let folder = Folder::new();
    let [authority, key] = ["authority", "key"].map(|name| folder.key(name, "ssh-ed25519"));
    let trusted = folder.write("trusted", &format!("# ours\n\n{}\n", authority.line));
    let revoked = folder.write("revoked", "");
    let log = folder.path("log");
    let flags = ["--trusted-user-ca", &*trusted, "--revoked-keys", &revoked];
    let server = Server::start(&[&flags[..], &["--log", &log]].concat());

    assert!(!is_in(&login(&folder, &server, &["-i", &key.path])));
    // Beside its key, and named.
    let beside = folder.write("key-cert.pub", &issue(&authority, &of_user(&key)));
    let output = login(&folder, &server, &["-i", &key.path]);
    assert!(is_in(&output), "{output:?}");
    assert!(stderr(&output).contains("ssh-ed25519-cert-v01@openssh.com"));
    let accepted = fs::read_to_string(&log).unwrap();
    let named = "accepted: publickey for \"me\", certificate \"of a test\" serial 7 of SHA256:";
    assert!(accepted.contains(named), "{accepted}");
    fs::rename(beside, folder.path("other")).unwrap();
    let other = format!("-oCertificateFile={}", folder.path("other"));
    let flags = ["-i", &key.path, &other];
    assert!(is_in(&login(&folder, &server, &flags)));

    // By number in a KRL, by the authority in a list of keys.
    let mut list = RevocationList::new(1, 0, "");
    list.revoke_serials(Some(&public(&authority)), 7..=7);
    fs::write(&revoked, list.to_bytes()).unwrap();
    assert!(!is_in(&login(&folder, &server, &flags)));
    fs::write(&revoked, &authority.line).unwrap();
    assert!(!is_in(&login(&folder, &server, &flags)));
    // What cannot be read revokes all.
    fs::write(&revoked, "nonsense").unwrap();
    assert!(!is_in(&login(&folder, &server, &flags)));
    fs::write(&revoked, "").unwrap();
    assert!(is_in(&login(&folder, &server, &flags)));

    let others = CertificateBuilder::user(public(&key), "").principal("you");
    let elsewhere = of_user(&key).source_address("10.0.0.0/8");
    for certificate in [others, of_user(&key).valid(1, 2), elsewhere] {
        folder.write("other", &issue(&authority, &certificate));
        assert!(!is_in(&login(&folder, &server, &flags)));
    }
    folder.write("other", &issue(&key, &of_user(&key)));
    assert!(!is_in(&login(&folder, &server, &flags)));
    let forced = of_user(&key).force_command(b"echo forced");
    folder.write("other", &issue(&authority, &forced));
    let output = login(&folder, &server, &flags);
    assert_eq!(
        (stdout(&output), output.status.code()),
        ("forced\n", Some(0))
    );
}

#[test]
fn lines_with_cert_authority_let_their_principals_in() {
    let folder = Folder::new();
    let [authority, key] = ["authority", "key"].map(|name| folder.key(name, "ssh-ed25519"));
    let keys = folder.path("authorized_keys");
    let server = Server::start(&["--authorized-keys", &keys]);
    folder.write("key-cert.pub", &issue(&authority, &of_user(&key)));
    let forced = "command=\"echo forced\"";
    for (options, expected) in [
        ("cert-authority ", "done\n"),
        ("cert-authority,principals=\"you,me\" ", "done\n"),
        ("cert-authority,principals=\"you\" ", ""),
        (&format!("cert-authority,{forced} "), "forced\n"),
        ("", ""),
    ] {
        fs::write(&keys, format!("{options}{}\n", authority.line)).unwrap();
        let output = login(&folder, &server, &["-i", &key.path]);
        assert_eq!(stdout(&output), expected, "{options}");
    }
}

#[test]
fn a_host_is_known_by_its_certificate() {
    let folder = Folder::new();
    let [authority, host, user] =
        ["authority", "host", "user"].map(|name| folder.key(name, "ssh-ed25519"));
    let keys = folder.write("authorized_keys", &user.line);
    let certificate = CertificateBuilder::host(public(&host), "host").principal("*.example");
    let certificate = folder.write("cert", &issue(&authority, &certificate));
    let flags = ["--host-key", &host.path, "--host-cert", &certificate];
    let server = Server::start(&[&flags[..], &["--authorized-keys", &keys]].concat());
    let known = folder.path("known_hosts");
    let login = |lines: &str, alias: &str, flags: &[&str]| {
        fs::write(&known, lines).unwrap();
        // The first value given counts, so the client's own come last.
        let port = format!("-p{}", server.port());
        let mut command = example("client");
        command
            .args(["-v", "-Fnone", "-i", &user.path, &port])
            .arg(format!("-oUserKnownHostsFile={known}"))
            .args(["-oGlobalKnownHostsFile=none", "-oBatchMode=yes"])
            .args(["-oStrictHostKeyChecking=yes"])
            .arg(format!("-oHostKeyAlias={alias}"))
            .args(flags)
            .args([&*format!("{USER}@127.0.0.1"), "echo done"])
            .env_remove("SSH_AUTH_SOCK");
        run(&mut command)
    };
    let trusted = format!("@cert-authority *.example {}\n", authority.line);
    let output = login(&trusted, "www.example", &[]);
    assert!(is_in(&output), "{output:?}");
    assert!(stderr(&output).contains("known by its certificate"));

    // None of its keys is written down then.
    let output = login(&trusted, "www.example", &["-oUpdateHostKeys=yes"]);
    assert!(is_in(&output));
    assert_eq!(fs::read_to_string(&known).unwrap(), trusted);

    let revoked = format!("{trusted}@revoked * {}\n", authority.line);
    let revoked_key = format!("{trusted}@revoked * {}\n", host.line);
    let of_all = format!("@cert-authority * {}\n", authority.line);
    for (lines, alias) in [
        ("", "www.example"),
        (&*revoked, "www.example"),
        (&*revoked_key, "www.example"),
        (&*trusted, "www.elsewhere"),
        // It has to name the host, too.
        (&*of_all, "www.elsewhere"),
    ] {
        let output = login(lines, alias, &[]);
        assert!(!is_in(&output), "{lines}");
        assert!(stderr(&output).contains("host key") || stderr(&output).contains("Host key"));
    }
    // A key that is known by itself will do.
    let plain = format!("www.elsewhere {}\n", host.line);
    assert!(is_in(&login(&plain, "www.elsewhere", &[])));
    let only_rsa = ["-oCASignatureAlgorithms=rsa-sha2-512"];
    assert!(!is_in(&login(&trusted, "www.example", &only_rsa)));
    for line in [&host.line, &authority.line] {
        let list = folder.write("revoked_hosts", line);
        let flag = format!("-oRevokedHostKeys={list}");
        let output = login(&trusted, "www.example", &[&flag]);
        assert!(!is_in(&output) && stderr(&output).contains("is revoked"));
    }
}

#[test]
fn certificates_of_hosts_go_with_their_keys() {
    let folder = Folder::new();
    let [authority, key] = ["authority", "key"].map(|name| folder.key(name, "ssh-ed25519"));
    let of_host = CertificateBuilder::host(public(&key), "").principal("h");
    let host = folder.write("host", &issue(&authority, &of_host));
    let user = folder.write("user", &issue(&authority, &of_user(&key)));
    let plain = folder.write("plain", &key.line);
    for (certificate, key, reason) in [
        (&host, &authority.path, "its key is not among"),
        (&user, &key.path, "the certificate of a user"),
        (&plain, &key.path, "not a certificate"),
        (&key.path, &key.path, ""),
    ] {
        let mut server = example("server");
        server.args(["--listen", "127.0.0.1:0", "--host-key", key]);
        let output = run(server.args(["--host-cert", certificate]));
        assert_eq!(output.status.code(), Some(1));
        let message = format!("--host-cert {certificate}: {reason}");
        assert!(stderr(&output).contains(&message), "{output:?}");
    }
}

#[test]
fn both_have_to_want_compression() {
    let folder = Folder::new();
    let key = folder.key("key", "ssh-ed25519");
    let keys = folder.write("authorized_keys", &key.line);
    let with = Server::start(&["--authorized-keys", &keys, "--compression"]);
    let without = Server::start(&["--authorized-keys", &keys]);
    for (server, flags, expected) in [
        (&with, &["-C"][..], "zlib@openssh.com"),
        (&with, &["-oCompression=yes"], "zlib@openssh.com"),
        (&with, &[], "none"),
        (&without, &["-C"], "none"),
    ] {
        let output = login(&folder, server, &[&["-i", &*key.path], flags].concat());
        assert!(is_in(&output), "{output:?}");
        for direction in ["server->client", "client->server"] {
            let line = stderr(&output)
                .lines()
                .find(|line| line.contains(direction));
            let end = format!("compression: {expected}");
            assert!(line.unwrap().trim_end().ends_with(&end), "{line:?}");
        }
    }
}
