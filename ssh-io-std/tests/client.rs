//! The blocking client against a small server, over sockets and other streams.

mod common;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{PASSWORD, USER, any_key, client_config, login, pipe, serve, serve_as};
use ssh_io_std::{
    Client, ClientError, Closures, Credential, Exit, OsRandom, Session, Stream, Wait,
};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::error::DisconnectReason;
use ssh_proto::{
    ChannelRequest, Disconnected, Error, HostKeyCheck, OpenFailure, Password, PeerOpens,
    ServerConfig, limits,
};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn said_goodbye(cause: Option<Disconnected>) -> bool {
    matches!(cause, Some(Disconnected::ByPeer { reason, .. }) if reason == DisconnectReason::BY_APPLICATION)
}

/// Uses everything once.
fn exercise<T: Wait>(client: &mut Client<T>, bulk: usize) {
    let output = client.exec("both").unwrap().output(1000).unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"123"[..], &b"123"[..])
    );
    assert_eq!(output.exit, Exit::Status(3));

    let mut session = client.exec("both").unwrap();
    let mut text = String::new();
    session.stderr().read_to_string(&mut text).unwrap();
    session.read_to_string(&mut text).unwrap();
    assert_eq!(text, "123123");
    assert_eq!(session.wait().unwrap(), Exit::Status(3));
    session.close().unwrap();

    assert!(matches!(
        client.exec("no"),
        Err(ClientError::RequestRefused)
    ));
    assert!(matches!(client.shell(), Err(ClientError::RequestRefused)));
    assert!(matches!(
        client.subsystem("sftp"),
        Err(ClientError::RequestRefused)
    ));

    let mut session = client.session().unwrap();
    session.env("LANG", "C").unwrap();
    session.exec("cat").unwrap();
    echo(&mut session, 1);
    echo(&mut session, 70_000);
    session.finish().unwrap();
    assert_eq!(session.read(&mut [0; 9]).unwrap(), 0);
    assert!(session.wait().unwrap().success());
    assert_eq!(
        session.write(b"x").unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    drop(session);

    let mut session = client.exec(format!("source {bulk}")).unwrap();
    assert_eq!(
        io::copy(&mut session, &mut io::sink()).unwrap(),
        bulk as u64
    );
    drop(session);

    let mut session = client.exec("cat").unwrap();
    echo(&mut session, 1);
    session
        .notify(&ChannelRequest::Signal("TERM".into()))
        .unwrap();
    assert_eq!(session.wait().unwrap(), Exit::Status(143));
    drop(session);

    let mut session = client.exec("sink").unwrap();
    session.write_all(&vec![b'y'; bulk]).unwrap();
    let output = session.output(100).unwrap();
    assert_eq!(output.stdout, bulk.to_string().as_bytes());

    // Dropped in the middle of its output; what comes after it works all the same.
    drop(client.exec("source 100000").unwrap());
    assert_eq!(
        client.exec("unknown").unwrap().wait().unwrap(),
        Exit::Status(127)
    );
}

fn echo<T: Wait>(session: &mut Session<'_, T>, len: usize) {
    let sent: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    session.write_all(&sent).unwrap();
    let mut received = vec![0; len];
    session.read_exact(&mut received).unwrap();
    assert_eq!(sent, received);
}

#[test]
fn a_session_over_tcp() {
    let (near, far) = tcp();
    let server = serve(far);
    let mut client = login(near);
    exercise(&mut client, 3 << 20);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

#[cfg(unix)]
#[test]
fn a_session_over_a_unix_socket() {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = serve(far);
    let mut client = login(near);
    exercise(&mut client, 300_000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

#[test]
fn a_session_over_a_stream_that_blocks() {
    let (near, far) = pipe(usize::MAX, false);
    let server = serve(Stream::new(far));
    let mut client = login(Stream::new(near));
    exercise(&mut client, 300_000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

#[test]
fn q1_a_byte_at_a_time_and_interrupted() {
    let (near, far) = pipe(1, true);
    let server = serve(Stream::new(far));
    let mut client = login(Stream::new(near));
    exercise(&mut client, 10_000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

#[test]
fn a_session_over_closures() {
    let (mut near, far) = tcp();
    let server = serve(far);
    let mut other = near.try_clone().unwrap();
    let closures = Closures::new(
        move |data: &[u8]| near.write(data),
        move |buffer: &mut [u8]| other.read(buffer),
    );
    let mut client = login(closures);
    exercise(&mut client, 300_000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

/// Q1: every second call of the transport would block.
#[test]
fn q1_would_block_at_every_call() {
    let (near, far) = tcp();
    let server = serve(far);
    near.set_nonblocking(true).unwrap();
    let (mut sender, mut receiver) = (near.try_clone().unwrap(), near);
    let (mut sends, mut receives) = (0u32, 0u32);
    let closures = Closures::new(
        move |data: &[u8]| {
            sends += 1;
            if sends % 2 == 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            sender.write(data)
        },
        move |buffer: &mut [u8]| {
            receives += 1;
            if receives % 2 == 1 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            receiver.read(buffer)
        },
    );
    let mut client = login(closures);
    exercise(&mut client, 300_000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

#[test]
fn a_host_key_that_is_not_accepted_ends_the_connection() {
    let (near, far) = tcp();
    let server = serve(far);
    let judge = |check: &HostKeyCheck| {
        assert_eq!(check.algorithm(), "ssh-ed25519");
        false
    };
    let error = Client::over(near, USER, &client_config(), judge).unwrap_err();
    let ClientError::Disconnected(Disconnected::Error(Error::HostKeyRejected)) = error else {
        panic!("{error}");
    };
    let Some(Disconnected::ByPeer { reason, .. }) = server.join().unwrap() else {
        panic!("the server was not told");
    };
    assert_eq!(reason, DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
}

#[test]
fn credentials_are_tried_in_turn() {
    let (near, far) = tcp();
    let server = serve(far);
    let mut client = Client::over(near, USER, &client_config(), any_key()).unwrap();
    assert!(matches!(client.exec("both"), Err(ClientError::Channel(_))));
    let error = client.authenticate_password("wrong").unwrap_err();
    assert!(
        matches!(&error, ClientError::NotAuthenticated { methods } if methods.contains(&"password".to_owned())),
        "{error}"
    );
    let too_long =
        client.authenticate_with(|_| Some(Credential::Password(Password::new(vec![b'x'; 2000]))));
    assert!(matches!(too_long, Err(ClientError::Unusable(_))));
    let proof = client
        .authenticate([
            Credential::None,
            Credential::Password(Password::new(vec![b'x'; 2000])),
            Credential::Password(Password::new("worse")),
            Credential::Password(Password::new(PASSWORD)),
        ])
        .unwrap();
    assert_eq!((proof.user(), proof.method()), (USER, "password"));
    exercise(&mut client, 1000);
    drop(client);
    assert_eq!(server.join().unwrap(), Some(Disconnected::Eof));
}

#[test]
fn a_peer_that_goes_away_is_noticed() {
    let (near, mut far) = tcp();
    let peer = std::thread::spawn(move || {
        let mut greeting = [0; 8];
        far.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"SSH-2.0-");
    });
    let error = Client::over(near, USER, &client_config(), any_key()).unwrap_err();
    peer.join().unwrap();
    assert!(
        matches!(
            error,
            ClientError::Disconnected(Disconnected::Eof) | ClientError::Io(_)
        ),
        "{error:?}"
    );
}

/// Q3: sockets that hold next to nothing, and both sides have more to send than all buffers take.
#[cfg(unix)]
#[test]
fn q3_both_ends_write_at_the_same_time() {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    for socket in [&near, &far] {
        set_socket_send_buffer_size(socket, 1).unwrap();
        set_socket_recv_buffer_size(socket, 1).unwrap();
    }
    let server = serve(far);
    let mut client = login(near);
    let mut session = client.exec("cat").unwrap();
    echo(&mut session, 3 << 20);
    session.close().unwrap();
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));
}

/// Q2: the server disconnects and goes away with input unread, so that sending fails; what it said
/// is heard all the same.
#[test]
fn q2_a_goodbye_before_a_reset_is_heard() {
    let (near, far) = tcp();
    let server = serve(far);
    let mut client = login(near);
    let mut session = client.exec("bye").unwrap();
    let error = loop {
        if let Err(error) = session.write_all(&[0; 4096]) {
            break error;
        }
    };
    let error = error
        .into_inner()
        .unwrap()
        .downcast::<ClientError>()
        .unwrap();
    assert!(
        matches!(&*error, ClientError::Disconnected(Disconnected::ByPeer { reason, .. })
            if *reason == DisconnectReason::TOO_MANY_CONNECTIONS),
        "{error:?}"
    );
    server.join().unwrap();
}

/// Q2: a peer that closes only its sending half still hears our goodbye.
#[test]
fn q2_a_half_closed_peer_is_answered() {
    let (near, mut far) = tcp();
    let peer = std::thread::spawn(move || {
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        all
    });
    let error = Client::over(near, USER, &client_config(), any_key()).unwrap_err();
    assert!(
        matches!(error, ClientError::Disconnected(Disconnected::Eof)),
        "{error:?}"
    );
    assert!(peer.join().unwrap().starts_with(b"SSH-2.0-"));
}

#[test]
fn what_cannot_be_done_says_why_and_leaves_the_rest() {
    let (near, far) = tcp();
    let server = serve(far);
    let mut client = login(near);
    let session = client.exec("source 5000").unwrap();
    assert!(matches!(
        session.output(4999),
        Err(ClientError::OutputUnread)
    ));
    let output = client.exec("source 5000").unwrap().output(5000).unwrap();
    assert_eq!(output.stdout.len(), 5000);
    client.disconnect().unwrap();
    assert!(said_goodbye(server.join().unwrap()));

    let (near, far) = tcp();
    let provider = rustcrypto::provider();
    let key = provider
        .keys
        .generate("ssh-ed25519", &mut OsRandom)
        .unwrap();
    let config = ServerConfig::builder(provider.clone())
        .signing_host_key(provider.signing_key(&key).unwrap())
        .peer_channels(PeerOpens::NONE);
    let server = serve_as(far, config.build().unwrap());
    let mut client = login(near);
    for _ in 0..2 {
        let refused = client.session().unwrap_err();
        assert!(
            matches!(refused, ClientError::OpenRefused { reason, .. }
                if reason == OpenFailure::ADMINISTRATIVELY_PROHIBITED),
            "{refused}"
        );
    }
    client.disconnect().unwrap();
    server.join().unwrap();

    let user = "x".repeat(limits::MAX_USER_NAME + 1);
    let client = Client::over(tcp().0, &user, &client_config(), any_key());
    assert!(matches!(client, Err(ClientError::NotBegun(_))));
}
