//! Flags and keywords of the example client by what they do, as a program against the example server.
#![cfg(unix)]

mod programs;

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::ffi::OsStrExt;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use programs::{
    Folder, PASSWORD, Server, USER, client, example, finish, run, signal, start, stderr, stdout,
};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use rustix::process::Signal;
use ssh_proto::crypto::rustcrypto;

/// A server that takes a password and a key, and the flags that lead to it.
struct Setup {
    folder: Folder,
    server: Server,
    key: String,
}

impl Setup {
    fn new() -> Self {
        let folder = Folder::new();
        let key = folder.key("key", "ssh-ed25519");
        let keys = folder.write("authorized_keys", &key.line);
        Self {
            server: Server::start(&["--authorized-keys", &keys]),
            key: key.path,
            folder,
        }
    }

    /// Runs `echo done` with the key and these flags.
    fn run(&self, flags: &[&str]) -> Output {
        let port = format!("-p{}", self.server.port());
        let host = format!("{USER}@127.0.0.1");
        let prompts = "-oKbdInteractiveAuthentication=no";
        let common = ["-v", "-Fnone", "-i", &self.key, &port, prompts];
        let flags = [&common, flags, &[&host]].concat();
        run(&mut client(
            &self.folder,
            &[&flags[..], &["echo done"]].concat(),
        ))
    }
}

/// Asserts success, and that a line of `-v` says this.
fn says(output: &Output, line: &str) {
    assert_eq!(
        (stdout(output), output.status.code()),
        ("done\n", Some(0)),
        "{output:?}"
    );
    assert!(
        stderr(output).contains(line),
        "{line} is missing in {output:?}"
    );
}

#[test]
fn preferred_authentications_choose_the_methods_and_their_order() {
    let setup = Setup::new();
    let run = |list: &str| setup.run(&[&format!("-oPreferredAuthentications={list}")]);
    for (list, method) in [
        ("publickey,password", "publickey"),
        ("password,publickey", "password"),
        ("hostbased,password", "password"),
        ("publickey", "publickey"),
    ] {
        let line = format!("Authenticated as {USER} using \"{method}\".");
        says(&run(list), &line);
    }
    // A method that is not in the list is not tried, even if it is the only one that would do.
    setup.folder.write("authorized_keys", "");
    let output = run("publickey");
    assert_eq!(output.status.code(), Some(255));
    assert!(
        stderr(&output).contains("Offering public key"),
        "{output:?}"
    );
    assert!(!stderr(&output).contains("method: password"), "{output:?}");
    says(&run("publickey,password"), "using \"password\".");
}

#[test]
fn pubkey_accepted_algorithms_choose_the_keys_that_are_used() {
    let setup = Setup::new();
    let run = |list: &str| {
        let list = format!("-oPubkeyAcceptedAlgorithms={list}");
        setup.run(&["-oPasswordAuthentication=no", &list])
    };
    for list in ["ssh-ed25519", "-ecdsa*", "ecdsa-sha2-nistp256,ssh-ed25519"] {
        says(&run(list), "using \"publickey\".");
    }
    for list in ["ecdsa-sha2-nistp256", "-ssh-ed25519"] {
        let output = run(list);
        assert_eq!((stdout(&output), output.status.code()), ("", Some(255)));
        assert!(stderr(&output).contains("Permission denied"), "{output:?}");
        // It does not stand in the way of what else there is.
        let list = format!("-oPubkeyAcceptedAlgorithms={list}");
        says(&setup.run(&[&list]), "using \"password\".");
    }
}

/// Linux drops what asks for a connection while the queue of a listener is full.
#[cfg(target_os = "linux")]
#[test]
fn connect_timeout_ends_waiting_for_a_host_that_does_not_answer() {
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address = getsockname(&listener).unwrap();
    let address: std::net::SocketAddr = address.try_into().unwrap();
    let timeout = Duration::from_millis(300);
    let mut queued = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, timeout) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue is never full");
    }
    let (folder, port) = (Folder::new(), format!("-p{}", address.port()));
    let begin = Instant::now();
    let flags = ["-Fnone", "-oConnectTimeout=1", &port, "127.0.0.1", "x"];
    let output = run(&mut client(&folder, &flags));
    let elapsed = begin.elapsed();
    assert_eq!(output.status.code(), Some(255));
    let message = format!("ssh: connect to host 127.0.0.1 port {}: ", address.port());
    assert!(stderr(&output).starts_with(&message), "{output:?}");
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
}

#[test]
fn connect_timeout_ends_waiting_for_a_host_that_says_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("-p{}", listener.local_addr().unwrap().port());
    let folder = Folder::new();
    let begin = Instant::now();
    let flags = ["-Fnone", "-oConnectTimeout=1", &port, "127.0.0.1", "x"];
    let output = run(&mut client(&folder, &flags));
    let elapsed = begin.elapsed();
    assert_eq!(output.status.code(), Some(255));
    assert!(!stderr(&output).is_empty());
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
}

#[test]
fn server_alive_ends_the_connection_to_a_silent_server() {
    let setup = Setup::new();
    let port = format!("-p{}", setup.server.port());
    let host = format!("{USER}@127.0.0.1");
    let alive = ["-oServerAliveInterval=1", "-oServerAliveCountMax=2"];
    let flags = [&["-Fnone", &port], &alive[..], &[&host, "sleep 60"]].concat();
    let mut waiting = start(&mut client(&setup.folder, &flags));
    thread::sleep(Duration::from_secs(5));
    assert_eq!(waiting.try_wait().unwrap(), None, "an answer counts");
    let begin = Instant::now();
    signal(&setup.server.child, Signal::STOP);
    let output = finish(waiting);
    let elapsed = begin.elapsed();
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    assert!(!stderr(&output).is_empty());
    assert!(elapsed >= Duration::from_secs(1), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

#[test]
fn queries_print_what_the_provider_has() {
    let query = |what: &str| {
        let output = run(example("client").args(["-Q", what]));
        assert_eq!((stderr(&output), output.status.code()), ("", Some(0)));
        let lines = stdout(&output).lines().map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let provider = rustcrypto::provider();
    let kex = provider.kex.iter().chain(provider.on_request.kex.iter());
    let kex: Vec<_> = kex.map(|a| a.name()).collect();
    assert_eq!(query("kex"), kex);
    assert_eq!(query("KexAlgorithms"), kex);
    for (what, there, not_there) in [
        ("kex", "diffie-hellman-group1-sha1", "none"),
        ("cipher", "3des-cbc", "none"),
        ("cipher-auth", "aes256-gcm@openssh.com", "aes256-ctr"),
        ("mac", "hmac-sha1", "none"),
        ("compression", "zlib@openssh.com", "zlib"),
        ("key", "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512"),
        (
            "key-cert",
            "ssh-ed25519-cert-v01@openssh.com",
            "ssh-ed25519",
        ),
        (
            "key-plain",
            "ssh-ed25519",
            "ssh-ed25519-cert-v01@openssh.com",
        ),
        ("key-sig", "rsa-sha2-512-cert-v01@openssh.com", "none"),
        ("sig", "rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"),
        ("HostKeyAlgorithms", "ssh-rsa", "none"),
    ] {
        let names = query(what);
        let has = |name: &str| names.iter().any(|one| one == name);
        assert!(has(there) && !has(not_there), "{what}: {names:?}");
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len(), "{names:?}");
    }
    let output = run(example("client").args(["-Q", "weather"]));
    assert_eq!((stdout(&output), output.status.code()), ("", Some(255)));
    assert!(stderr(&output).contains("Unsupported query \"weather\""));
}

#[test]
fn new_hosts_may_be_hashed_and_drawn() {
    let setup = Setup::new();
    let known = setup.folder.path("known_hosts");
    let file = format!("-oUserKnownHostsFile={known}");
    let port = format!("-p{}", setup.server.port());
    let login = |flags: &[&str]| {
        let host = format!("{USER}@127.0.0.1");
        let mut command = example("client");
        command
            .args(["-Fnone", "-i", &setup.key, &port, &file])
            .args(["-oGlobalKnownHostsFile=none", "-oBatchMode=yes"])
            .args(flags)
            .args([&*host, "echo done"])
            .env_remove("SSH_AUTH_SOCK");
        run(&mut command)
    };
    let new = "-oStrictHostKeyChecking=accept-new";
    let flags = [
        new,
        "-oHashKnownHosts=yes",
        "-oVisualHostKey=yes",
        "-oFingerprintHash=md5",
    ];
    let output = login(&flags);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("Host key fingerprint is MD5:"));
    assert!(stderr(&output).contains("\r\n+--[ED25519 256]--+\r\n"));
    let lines = fs::read_to_string(&known).unwrap();
    assert!(lines.starts_with("|1|"), "{lines}");
    let output = login(&["-oStrictHostKeyChecking=yes"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_key_exchange_of_yesterday_is_warned_of() {
    let setup = Setup::new();
    // What the server offers behind the defaults, for old tools.
    let old = "-oKexAlgorithms=diffie-hellman-group14-sha256";
    let warning = "** WARNING: connection is not using a post-quantum key exchange algorithm.";
    for (flags, warns) in [
        (&[old][..], true),
        (&[old, "-oWarnWeakCrypto=no"], false),
        (&[old, "-oLogLevel=error", "-q"], true),
        (&[], false),
    ] {
        let output = setup.run(flags);
        assert_eq!(stdout(&output), "done\n");
        assert_eq!(stderr(&output).contains(warning), warns, "{flags:?}");
    }
}

/// The key files of the library's own tests.
fn sample(name: &str) -> String {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ssh-proto/src/keys/testdata/containers"
    );
    format!("{folder}/{name}")
}

#[test]
fn keys_of_every_form_log_in() {
    let folder = Folder::new();
    let askpass = folder.write("askpass", "#!/bin/sh\necho 'correct horse'\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&askpass, mode).unwrap();
    let keys = ["ed25519", "ec256", "rsa"]
        .map(|name| fs::read_to_string(sample(&format!("{name}.pub"))).unwrap());
    let keys = folder.write("authorized_keys", &keys.concat());
    let host_key = sample("ec384.sec1");
    let flags = ["--authorized-keys", &*keys, "--host-key", &host_key];
    let short = ["--min-rsa-bits", "1024"];
    let server = Server::start(&[&flags[..], &short].concat());
    for (name, query) in [
        ("ed25519.pkcs8_scrypt-aes256", false),
        ("ed25519.ppk3", false),
        ("ec256.sec1_aes256", false),
        ("rsa.ppk2_aes256", true),
        ("rsa.pkcs1", false),
    ] {
        // Where no public key stands beside it.
        let file = folder.path("key");
        fs::copy(sample(name), &file).unwrap();
        let port = format!("-p{}", server.port());
        let mut command = example("client");
        command
            .args(["-v", "-Fnone", "-i", &file, &port])
            .args(["-oUserKnownHostsFile=none", "-oStrictHostKeyChecking=no"])
            .args([
                "-oPreferredAuthentications=publickey",
                "-oRequiredRSASize=1024",
            ])
            .args([&*format!("{USER}@127.0.0.1"), "echo done"])
            .env_remove("SSH_AUTH_SOCK")
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        let output = run(&mut command);
        let result = (stdout(&output), output.status.code());
        assert_eq!(result, ("done\n", Some(0)), "{name}: {output:?}");
        if query {
            assert!(stderr(&output).contains("Offering public key"));
        }
    }
    // It has 1024 bits, which is too little unless both sides are told otherwise.
    let file = sample("rsa.pkcs1");
    let login = |server: &Server, flags: &[&str]| {
        let port = format!("-p{}", server.port());
        let host = format!("{USER}@127.0.0.1");
        let only_keys = "-oPreferredAuthentications=publickey";
        let common = ["-Fnone", "-i", &file, &port, only_keys];
        let flags = [&common, flags, &[&host, "echo done"]].concat();
        run(client(&folder, &flags).env_remove("SSH_AUTH_SOCK"))
            .status
            .code()
    };
    let strict = Server::start(&flags);
    let short = ["-oRequiredRSASize=1024"];
    assert_eq!(login(&server, &short), Some(0));
    assert_eq!(login(&server, &[]), Some(255));
    assert_eq!(login(&strict, &short), Some(255));
    // There is nobody to ask for the passphrase of a host key.
    let locked = sample("ec256.sec1_aes256");
    let output = run(example("server").args(["--listen", "127.0.0.1:0", "--host-key", &locked]));
    assert_eq!(output.status.code(), Some(1));
    let message = format!("--host-key {locked}: a passphrase is required");
    assert!(stderr(&output).contains(&message), "{output:?}");
}

#[test]
fn messages_go_to_the_file_that_is_named() {
    let setup = Setup::new();
    let log = setup.folder.write("log", "earlier\n");
    let output = setup.run(&["-E", &log]);
    assert_eq!((stdout(&output), stderr(&output)), ("done\n", ""));
    let text = fs::read_to_string(log).unwrap();
    let all = text.starts_with("earlier\ndebug1: ") && text.contains("Authenticated as me using");
    assert!(
        all && !text.contains('\r') && !text.contains(PASSWORD),
        "{text}"
    );
}

#[test]
fn a_family_of_addresses_leaves_out_the_other() {
    let setup = Setup::new();
    let output = setup.run(&["-4", "-oHostName=localhost"]);
    says(&output, "Connecting to localhost [127.0.0.1]");
    assert!(!stderr(&output).contains("[::1]"), "{output:?}");
    for (flag, address) in [("-4", "::1"), ("-6", "127.0.0.1")] {
        let output = setup.run(&[flag, &format!("-oHostName={address}")]);
        assert_eq!(output.status.code(), Some(255));
        assert!(stderr(&output).contains("no address"), "{output:?}");
        assert!(!stderr(&output).contains("Connecting"), "{output:?}");
    }
}

#[test]
fn a_config_file_is_the_only_one_read() {
    let setup = Setup::new();
    let home = setup.folder.path(".ssh");
    fs::create_dir(home).unwrap();
    setup
        .folder
        .write(".ssh/config", "Host *\nCiphers aes256-ctr\n");
    let text = format!(
        "Host other\n  Port 1\nHost crate\n  HostName 127.0.0.1\n  User {USER}\n  Port = {}\n\
         Host *\n  Port 2\n  IdentityFile {}\n  MACs hmac-sha2-512\n",
        setup.server.port(),
        setup.key
    );
    let file = setup.folder.write("config", &text);
    let login = |flags: &[&str]| {
        let mut command = client(
            &setup.folder,
            &[flags, &["-v", "crate", "echo done"]].concat(),
        );
        run(command.env("HOME", setup.folder.as_ref()))
    };
    // The flag comes before the file, and the file in place of that at home.
    let output = login(&["-F", &file, "-caes128-ctr"]);
    says(&output, "cipher: aes128-ctr MAC: hmac-sha2-512");
    says(&output, "using \"publickey\".");
    let output = login(&["-F", &file, "-mhmac-sha2-256", "-caes192-ctr,aes256-ctr"]);
    says(&output, "cipher: aes192-ctr MAC: hmac-sha2-256");

    let direct = [
        "-l",
        USER,
        "-oHostName=127.0.0.1",
        "-p",
        setup.server.port(),
    ];
    says(&login(&direct), "cipher: aes256-ctr");
    let output = login(&[&direct[..], &["-F", "none"]].concat());
    says(&output, "cipher: chacha20-poly1305@openssh.com");
    let missing = setup.folder.path("missing");
    let output = login(&["-F", &missing]);
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains(&missing), "{output:?}");
    let wrong = setup.folder.write("wrong", "Host *\nNonsense 1\n");
    let output = login(&["-F", &wrong]);
    let message = format!("{wrong} line 2: bad configuration option: Nonsense");
    assert_eq!(stderr(&output).trim_end(), message);
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let output = run(example("client").arg(OsStr::from_bytes(b"h\xff")));
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(stderr(&output), "argument \"h\\xFF\" is not UTF-8\n");
}
