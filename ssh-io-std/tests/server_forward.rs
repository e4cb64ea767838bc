//! What the example server forwards for our client: ports, sockets, agents and displays, and what it refuses to.
#![cfg(unix)]

mod common;
mod forwarding;
mod programs;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use common::{any_key, client_config};
use forwarding::{
    Directory, Serving, Site, closed_port, displays, echo, exercise, program, serving,
    unix_program, until,
};
use programs::{Folder, PASSWORD, Server, USER};
use rustix::process::geteuid;
use ssh_io_std::{Bind, Client, ClientError, Display, Target, X11Forward, read_signing_key};
use ssh_proto::crypto::rustcrypto;
use ssh_proto::{ChannelRequest, X11Cookie};

fn connect_as(server: &Server, user: &str) -> Client<TcpStream> {
    Client::connect(&server.address, user, &client_config(), any_key()).unwrap()
}

fn login(server: &Server) -> Client<TcpStream> {
    let mut client = connect_as(server, USER);
    client.authenticate_password(PASSWORD).unwrap();
    client
}

/// Forwards until it is dropped.
fn go_on(client: Client<TcpStream>) -> Serving {
    serving(Site {
        client,
        told: mpsc::channel().1,
        server: thread::spawn(|| ()),
    })
}

/// A listener of the client that forwards to this.
fn local(client: &mut Client<TcpStream>, target: Target) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    client.forwards().listen(listener, target).unwrap();
    port
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Whether no echo is behind a listener of the client.
fn is_refused(port: u16) -> bool {
    let mut stream = connect(port);
    // It may be closed already.
    let _ = stream.write_all(b"x");
    !matches!(stream.read(&mut [0]), Ok(1))
}

#[test]
fn ports_and_sockets_of_the_server_are_reached() {
    let server = Server::start(&[]);
    let directory = Directory::new("server-local");
    let socket = directory.path("echo");
    unix_program(UnixListener::bind(&socket).unwrap(), echo);
    let port = program(echo);
    let mut client = login(&server);
    let ports = [
        Target::tcp("127.0.0.1", port),
        Target::tcp("localhost", port),
        Target::Unix(socket),
    ]
    .map(|target| local(&mut client, target));
    let closed = [
        Target::tcp("localhost", closed_port()),
        Target::Unix(directory.path("none")),
    ]
    .map(|target| local(&mut client, target));
    let _serving = go_on(client);
    let all = ports.map(|port| thread::spawn(move || exercise(connect(port), 2_000_000)));
    all.into_iter().for_each(|one| one.join().unwrap());
    assert!(closed.into_iter().all(is_refused));
}

#[test]
fn the_server_listens_until_it_is_told_not_to() {
    let server = Server::start(&[]);
    let target = Target::tcp("127.0.0.1", program(echo));
    let mut client = login(&server);
    // Whatever is asked for, it is this machine alone, by both families where there are both.
    let asked = ["", "localhost", "*", "127.0.0.1", "::1"].map(|address| {
        let request = client.forward_remote(Bind::tcp(address, 0), target.clone());
        let request = request.unwrap();
        (request, client.forwards().remote_port(request).unwrap())
    });
    let taken = client.forward_remote(Bind::tcp("", asked[0].1), target.clone());
    assert!(matches!(taken, Err(ClientError::RequestRefused)));
    let directory = Directory::new("server-remote");
    let socket = directory.path("echo");
    let bind = || Bind::Unix(socket.clone());
    client.forward_remote(bind(), target.clone()).unwrap();
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(client.forward_remote(bind(), target).is_err());

    let (cancelled, port) = asked[0];
    client.cancel_remote(cancelled).unwrap();
    let gone = |port: u16| {
        let refused = |result: std::io::Result<TcpStream>| {
            result.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        refused(TcpStream::connect((Ipv4Addr::LOCALHOST, port)))
            && TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_err()
    };
    until(|| gone(port));

    let there_is_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let ports = asked.map(|(_, port)| port);
    let serving = go_on(client);
    for port in &ports[1..] {
        exercise(connect(*port), 1_000_000);
        if there_is_ipv6 {
            let six = TcpStream::connect((Ipv6Addr::LOCALHOST, *port)).unwrap();
            exercise(six, 100_000);
        }
    }
    exercise(UnixStream::connect(&socket).unwrap(), 1_000_000);
    drop(serving);
    until(|| ports.into_iter().all(gone) && !socket.exists());
}

#[test]
fn an_agent_and_a_display_are_found_in_the_environment() {
    let _lock = displays();
    let server = Server::start(&[]);
    let directory = Directory::new("server-session");
    let agent = directory.path("agent");
    unix_program(UnixListener::bind(&agent).unwrap(), echo);
    let display = directory.path("display");
    let screen = UnixListener::bind(&display).unwrap();
    let (send, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut packet = vec![0; 48];
        screen.accept().unwrap().0.read_exact(&mut packet).unwrap();
        send.send(packet).unwrap();
    });
    let cookie = X11Cookie::new(b"000102030405060708090a0b0c0d0e0f".to_vec());
    let display = Display::parse(display.to_str().unwrap()).unwrap();
    let x11 = X11Forward::new(display, Some(cookie)).unwrap();
    let mut client = login(&server);
    let request = x11.request(false);
    client.forwards().forward_x11(x11);
    client.forwards().forward_agent(&agent);
    let mut session = client.session().unwrap();
    session.request(&ChannelRequest::AuthAgent).unwrap();
    session.request(&request).unwrap();
    assert!(session.request(&request).is_err(), "a second display");
    session
        .exec("echo $SSH_AUTH_SOCK; echo $DISPLAY; echo $XAUTHORITY; cat")
        .unwrap();
    let mut told = String::new();
    while told.matches('\n').count() < 3 {
        let mut byte = [0];
        session.read_exact(&mut byte).unwrap();
        told.push(byte[0].into());
    }
    let mut lines = told.lines();
    let mut line = || lines.next().unwrap().to_owned();
    let (far, name, authority) = (line(), line(), line());
    let number = name.strip_prefix("localhost:").unwrap();
    let number: u16 = number.split_once('.').unwrap().0.parse().unwrap();
    let file = fs::read(&authority).unwrap();
    let cookie = file.last_chunk::<16>().unwrap();

    let program = far.clone();
    let cookie = *cookie;
    let user = thread::spawn(move || {
        exercise(UnixStream::connect(&program).unwrap(), 10_000);
        let mut packet = b"B\0\0\x0b\0\0\0\x12\0\x10\0\0MIT-MAGIC-COOKIE-1\0\0".to_vec();
        packet.extend(cookie);
        let mut screen = connect(6000 + number);
        screen.write_all(&packet).unwrap();
        // Until the display has it.
        let _ = screen.read(&mut [0]);
    });
    while !user.is_finished() {
        session.write_all(b"x").unwrap();
        session.read_exact(&mut [0]).unwrap();
    }
    user.join().unwrap();
    let packet = shown.recv().unwrap();
    assert_eq!(packet[32..48], (0..16).collect::<Vec<u8>>()[..]);
    session.close().unwrap();
    let gone = || {
        let listens = TcpStream::connect(("127.0.0.1", 6000 + number)).is_ok();
        !Path::new(&far).exists() && !Path::new(&authority).exists() && !listens
    };
    let _serving = go_on(client);
    until(gone);
}

#[test]
fn a_key_forwards_what_its_line_allows() {
    let folder = Folder::new();
    let (open, other) = (program(echo), program(echo));
    let listen = closed_port();
    let key = folder.key("key", "ssh-ed25519");
    let options = format!(
        "permitopen=\"127.0.0.1:{open}\",permitopen=\"*:1\",permitlisten=\"localhost:{listen}\",\
         no-agent-forwarding"
    );
    let file = folder.write("authorized_keys", &format!("{options} {}\n", key.line));
    let server = Server::start(&["--authorized-keys", &file]);
    let mut client = connect_as(&server, USER);
    let signing = read_signing_key(&key.path, None, &rustcrypto::provider()).unwrap();
    client.authenticate_key(signing).unwrap();
    let socket = folder.path("socket");
    unix_program(UnixListener::bind(&socket).unwrap(), echo);
    let mut local = |target| local(&mut client, target);
    let allowed = local(Target::tcp("127.0.0.1", open));
    let refused = [
        Target::tcp("127.0.0.1", other),
        Target::tcp("localhost", open),
        Target::tcp("127.0.0.1", 1),
        Target::Unix(socket.into()),
    ]
    .map(local);
    let target = Target::tcp("127.0.0.1", open);
    let mut remote = |bind| client.forward_remote(bind, target.clone());
    assert!(remote(Bind::tcp("localhost", 0)).is_err());
    assert!(remote(Bind::tcp("", listen)).is_err());
    assert!(remote(Bind::Unix(folder.path("listen").into())).is_err());
    assert!(remote(Bind::tcp("localhost", listen)).is_ok());
    let mut session = client.session().unwrap();
    assert!(session.request(&ChannelRequest::AuthAgent).is_err());
    session.close().unwrap();
    let _serving = go_on(client);
    exercise(connect(allowed), 1000);
    exercise(connect(listen), 1000);
    assert!(refused.into_iter().all(is_refused));
}

#[test]
fn each_flag_permits_its_own() {
    let directory = Directory::new("server-flags");
    let port = program(echo);
    for (number, flag) in [
        "--local-forward",
        "--remote-forward",
        "--unix-forward",
        "--agent",
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::start_bare(&[flag]);
        let mut client = login(&server);
        let near = local(&mut client, Target::tcp("127.0.0.1", port));
        let target = Target::tcp("127.0.0.1", port);
        let remote = client.forward_remote(Bind::tcp("", 0), target.clone());
        let socket = directory.path(&number.to_string());
        let unix = client.forward_remote(Bind::Unix(socket.clone()), target);
        let mut session = client.session().unwrap();
        let agent = session.request(&ChannelRequest::AuthAgent);
        let display = X11Forward::new(Display::parse(":0").unwrap(), None).unwrap();
        assert!(session.request(&display.request(false)).is_err());
        session.close().unwrap();
        let _serving = go_on(client);
        let granted = [
            !is_refused(near),
            remote.is_ok(),
            unix.is_ok(),
            agent.is_ok(),
        ];
        let expected: Vec<bool> = (0..4).map(|at| at == number).collect();
        assert_eq!(granted[..], expected[..], "{flag}");
    }
}

/// Only root can become somebody else.
#[cfg(target_os = "linux")]
#[test]
fn sockets_are_made_and_reached_with_the_rights_of_the_account() {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = passwd
        .lines()
        .find_map(|line| line.strip_prefix("nobody:x:"));
    let Some(uid) = account.filter(|_| geteuid().is_root()) else {
        return;
    };
    let uid: u32 = uid.split(':').next().unwrap().parse().unwrap();
    let server = Server::start(&["--user", "nobody", "--password", PASSWORD]);
    let directory = Directory::new("server-account");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(directory.path("").as_path(), 0o777).unwrap();
    let sockets = [("ours", 0o600), ("theirs", 0o666)].map(|(name, bits)| {
        let path = directory.path(name);
        unix_program(UnixListener::bind(&path).unwrap(), echo);
        mode(&path, bits).unwrap();
        path
    });
    let mut client = connect_as(&server, "nobody");
    client.authenticate_password(PASSWORD).unwrap();
    let [ours, theirs] = sockets.map(|path| local(&mut client, Target::Unix(path)));
    let made = directory.path("made");
    let target = Target::tcp("127.0.0.1", program(echo));
    let bind = Bind::Unix(made.clone());
    client.forward_remote(bind, target.clone()).unwrap();
    assert_eq!(fs::metadata(&made).unwrap().uid(), uid);
    let elsewhere = Bind::Unix("/root/ssh-server-account".into());
    assert!(client.forward_remote(elsewhere, target).is_err());
    let _serving = go_on(client);
    assert!(is_refused(ours));
    exercise(connect(theirs), 1000);
    exercise(UnixStream::connect(&made).unwrap(), 1000);
    // The server itself is what it was.
    let mut client = login(&server);
    assert_eq!(
        client.exec("id -u").unwrap().output(100).unwrap().stdout,
        b"0\n"
    );
}
