//! The listener: what it accepts, what it refuses, and what it takes without spinning; key files.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use ssh_io_std::{Driver, Listener, Stream, read_signing_key};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::{Connection as _, Event, ServerConfig, ServerEvent};

mod common;

use self::common::{PASSWORD, USER, any_key, client_config, login, serve_as, server_config};

fn listener() -> Listener {
    Listener::bind("127.0.0.1:0", server_config()).unwrap()
}

#[test]
fn a_client_logs_in_through_a_listener() {
    let mut listener = listener();
    let address = listener.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    let client = thread::spawn(move || {
        let client = login(TcpStream::connect(address).unwrap());
        client.disconnect().unwrap();
    });
    let incoming = listener.accept().unwrap();
    assert!(incoming.peer_addr().ip().is_loopback());
    assert_eq!(incoming.stream().peer_addr().unwrap(), incoming.peer_addr());
    let mut driver = incoming.accept().unwrap();
    let mut names = None;
    driver
        .handshake(|_, event| {
            if let ServerEvent::Shared(Event::KeysChanged(keys)) = event {
                names = Some(keys.kex);
            }
        })
        .unwrap();
    assert!(!driver.connection().is_handshaking());
    while let Some(event) = driver.next_event().unwrap() {
        match event {
            ServerEvent::Auth(request) => {
                assert_eq!(request.user(), USER);
                driver.connection_mut().accept_auth(request).unwrap();
            }
            ServerEvent::Shared(Event::KeysChanged(keys)) => names = Some(keys.kex),
            _ => {}
        }
    }
    assert_eq!(names, Some("mlkem768x25519-sha256"));
    client.join().unwrap();
}

#[test]
fn addresses_of_either_family_and_names_are_bound() {
    for address in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        // Not every machine has the newer family.
        if address.starts_with('[') && TcpListener::bind(address).is_err() {
            continue;
        }
        let mut listener = Listener::bind(address, server_config()).unwrap();
        let bound = listener.local_addr().unwrap();
        assert!(bound.ip().is_loopback() && bound.port() != 0);
        assert!(bound.is_ipv6() || !address.starts_with('['));
        let peer = TcpStream::connect(bound).unwrap();
        let incoming = listener.accept().unwrap();
        assert_eq!(incoming.peer_addr(), peer.local_addr().unwrap());
        // Its port is taken, and free once it is dropped.
        assert!(Listener::bind(bound, server_config()).is_err());
        incoming.refuse();
        drop((listener, peer));
        Listener::bind(bound, server_config()).unwrap();
    }
}

#[test]
fn a_refused_connection_hears_nothing() {
    let mut listener = listener();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    listener.accept().unwrap().refuse();
    let mut heard = Vec::new();
    let end = peer.read_to_end(&mut heard);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
    assert_eq!(heard, b"");
}

#[test]
fn a_listener_need_not_block() {
    let mut listener = listener();
    listener.set_nonblocking(true).unwrap();
    let none = listener.accept().unwrap_err();
    assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(listener.timeout(), None, "there is nothing to be spared");
    let _peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut ready = [rustix::event::PollFd::from_borrowed_fd(
        listener.as_fd(),
        rustix::event::PollFlags::IN,
    )];
    rustix::event::poll(&mut ready, None).unwrap();
    listener.accept().unwrap().refuse();
}

#[test]
fn each_connection_gets_the_config_of_its_time() {
    let named = |software: &str| {
        let key = rustcrypto::provider();
        let key = key
            .keys
            .generate("ssh-ed25519", &mut ssh_io_std::OsRandom)
            .and_then(|key_| key.signing_key(&key_));
        ServerConfig::builder(rustcrypto::provider())
            .signing_host_key(key.unwrap())
            .identification(software, None)
            .build()
            .unwrap()
    };
    let mut listener = Listener::bind("127.0.0.1:0", named("first")).unwrap();
    let address = listener.local_addr().unwrap();
    let heard = |listener: &mut Listener, with: Option<&ServerConfig>| {
        let mut peer = TcpStream::connect(address).unwrap();
        let incoming = listener.accept().unwrap();
        let mut driver = match with {
            Some(config) => incoming.accept_with(config).unwrap(),
            None => incoming.accept().unwrap(),
        };
        driver.transmit();
        let mut line = [0; 14];
        peer.read_exact(&mut line).unwrap();
        String::from_utf8_lossy(&line).into_owned()
    };
    assert!(heard(&mut listener, None).starts_with("SSH-2.0-first"));
    listener.set_config(named("second"));
    assert!(heard(&mut listener, None).starts_with("SSH-2.0-second"));
    let third = named("third");
    assert!(heard(&mut listener, Some(&third)).starts_with("SSH-2.0-third"));
    assert!(heard(&mut listener, None).starts_with("SSH-2.0-second"));
}

/// inetd, socket activation, a pipe: no listener is needed.
#[test]
fn an_established_stream_is_served() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = serve_as(Stream::new(theirs), server_config());
    let client = ssh_io_std::Client::over(Stream::new(ours), USER, &client_config(), any_key());
    let mut client = client.unwrap();
    client.authenticate_password(PASSWORD).unwrap();
    client.disconnect().unwrap();
    server.join().unwrap();

    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(socket.local_addr().unwrap()).unwrap();
    let mut driver = Driver::server(socket.accept().unwrap().0, &server_config()).unwrap();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let end = driver.handshake(|_, _| {}).unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
}

/// Without descriptors, `accept` fails until there are some again; it neither spins nor gives up.
#[test]
fn a_lack_of_descriptors_passes() {
    // In a process of its own: the limit is the whole process's.
    if std::env::var_os("LISTENER_TEST_CHILD").is_none() {
        let this = std::env::current_exe().unwrap();
        let status = std::process::Command::new(this)
            .args(["a_lack_of_descriptors_passes", "--exact", "--nocapture"])
            .env("LISTENER_TEST_CHILD", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let mut listener = listener();
    let address = listener.local_addr().unwrap();
    let _peer = TcpStream::connect(address).unwrap();
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = Some(64);
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let mut taken: Vec<std::fs::File> =
        std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let error = listener.accept().unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(rustix::io::Errno::MFILE.raw_os_error())
    );
    let first = listener.timeout().expect("a pause");
    assert!(first <= Duration::from_millis(10));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    listener.set_nonblocking(false).unwrap();
    // It waits the pause out before it tries again, and the next pause is longer.
    assert!(listener.accept().is_err());
    taken.clear();
    listener.accept().unwrap().refuse();
    assert_eq!(listener.timeout(), None);
}

#[test]
fn key_files_name_themselves() {
    let folder = std::env::temp_dir().join(format!("ssh-key-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let provider = rustcrypto::provider();
    let key = provider
        .keys
        .generate("ssh-ed25519", &mut ssh_io_std::OsRandom)
        .unwrap();
    let public = provider.signing_key(&key).unwrap();
    let comment = ssh_proto::keys::Comment::new("me");
    let plain = key.to_openssh(&comment, &mut ssh_io_std::OsRandom).unwrap();
    let path = folder.join("plain");
    std::fs::write(&path, &*plain).unwrap();
    let read = read_signing_key(&path, None, &provider).unwrap();
    assert_eq!(read.public_key(), public.public_key());
    // A passphrase that is not needed does no harm.
    assert!(read_signing_key(&path, Some(b"secret"), &provider).is_ok());

    let missing = read_signing_key(folder.join("none"), None, &provider).unwrap_err();
    assert!(missing.to_string().contains("/none: "), "{missing}");
    let path = folder.join("wrong");
    std::fs::write(&path, "not a key").unwrap();
    let wrong = read_signing_key(&path, None, &provider).unwrap_err();
    assert_eq!(wrong.path(), path);
    assert!(!wrong.needs_passphrase() && wrong.to_string().contains("/wrong: "));

    let path = folder.join("long");
    std::fs::write(&path, vec![b'a'; ssh_proto::limits::MAX_KEY_FILE + 1]).unwrap();
    assert!(read_signing_key(&path, None, &provider).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
