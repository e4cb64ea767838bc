//! Dynamic forwarding, agents and displays between our client and our server, over loopback.
#![cfg(unix)]

mod common;
mod forwarding;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{PASSWORD, USER, any_key, server_config};
use forwarding::{
    Directory, Told, client_config, closed_port, displays, echo, exercise, permit_all, program,
    serving, site, unix_program, until,
};
use ssh_io_std::{Bind, Client, Display, Driver, Target, X11Forward};
use ssh_proto::{
    ChannelKind, ChannelRequest, Connection, DataStream, Event, ServerEvent, X11Cookie,
};

fn socks(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Sends a request and takes this many bytes of reply.
fn ask(stream: &mut TcpStream, request: &[u8], len: usize) -> Vec<u8> {
    stream.write_all(request).unwrap();
    let mut reply = vec![0; len];
    stream.read_exact(&mut reply).unwrap();
    reply
}

#[test]
fn socks_leads_wherever_the_server_lets_it() {
    let (open, closed) = (program(echo), closed_port());
    let forbidden = program(echo);
    let mut site = site(move |forwards| {
        forwards.permit_open(
            move |target| !matches!(target, Target::Tcp { port, .. } if *port == forbidden),
        );
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    site.client.forwards().listen_socks(listener).unwrap();
    let _serving = serving(site);
    assert_leads_to(port, open, &[(closed, 5), (forbidden, 2)]);
}

#[test]
fn socks_at_the_server_leads_wherever_the_client_gets() {
    let (open, closed) = (program(echo), closed_port());
    let mut site = site(permit_all);
    let bind = Bind::tcp("localhost", 0);
    let request = site.client.forward_remote_socks(bind).unwrap();
    let port = site.client.forwards().remote_port(request).unwrap();
    let _serving = serving(site);
    // One that says nothing is in nobody's way.
    let _silent = socks(port);
    assert_leads_to(port, open, &[(closed, 5)]);
    // One that stops in the middle is let go.
    let mut stream = socks(port);
    stream.write_all(&[5, 1]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_channel_that_closes_before_its_target_is_reached_leaves_nothing_behind() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let [high, low] = target.local_addr().unwrap().port().to_be_bytes();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = Driver::server(listener.accept().unwrap().0, &server_config()).unwrap();
    let server = thread::spawn(move || {
        while let Some(event) = server.next_event().unwrap() {
            let connection = server.connection_mut();
            match event {
                ServerEvent::Auth(request) => connection.accept_auth(request).unwrap(),
                ServerEvent::Shared(Event::GlobalRequest(request)) => {
                    connection.accept_global_request(request, &[]).unwrap();
                    let kind = ChannelKind::ForwardedTcpip {
                        address: "localhost".into(),
                        port: 1,
                        originator_address: "127.0.0.1".into(),
                        originator_port: 1,
                    };
                    connection.open_channel(&kind).unwrap();
                }
                ServerEvent::Shared(Event::ChannelOpened(channel)) => {
                    // An address to the system alone, which is asked in a thread.
                    let request = [&[4, 1, high, low, 0, 0, 0, 1, 0], &b"127.1\0"[..]].concat();
                    let data = DataStream::Data;
                    connection.write(channel, data, &request).unwrap();
                    connection.close_channel(channel).unwrap();
                }
                _ => {}
            }
        }
    });
    let mut client = Client::over(near, USER, &client_config().unwrap(), any_key()).unwrap();
    client.authenticate_password(PASSWORD).unwrap();
    client
        .forward_remote_socks(Bind::tcp("localhost", 1))
        .unwrap();
    target.set_nonblocking(true).unwrap();
    let mut reached = None;
    until(|| {
        client.serve(Some(Duration::from_millis(1))).unwrap();
        reached = reached.take().or_else(|| target.accept().ok());
        reached.is_some() && client.forwards().is_idle()
    });
    client.disconnect().unwrap();
    server.join().unwrap();
}

/// Every form of request leads to the open port, an echo, and gets the right code of SOCKS 5 for
/// the others.
fn assert_leads_to(port: u16, open: u16, refused: &[(u16, u8)]) {
    let number = |port: u16| port.to_be_bytes();

    let four = |to: u16| {
        let [high, low] = number(to);
        vec![4, 1, high, low, 127, 0, 0, 1, b'm', b'e', 0]
    };
    let mut stream = socks(port);
    assert_eq!(ask(&mut stream, &four(open), 8)[..2], [0, 90]);
    exercise(stream, 300_000);
    for (refused, _) in refused {
        let mut stream = socks(port);
        assert_eq!(ask(&mut stream, &four(*refused), 8)[..2], [0, 91]);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    // SOCKS 4a, with data behind the request before there is a reply.
    let [high, low] = number(open);
    let mut request = vec![4, 1, high, low, 0, 0, 0, 9, 0];
    request.extend_from_slice(b"localhost\0early");
    let mut stream = socks(port);
    assert_eq!(ask(&mut stream, &request, 8)[..2], [0, 90]);
    let mut early = [0; 5];
    stream.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    exercise(stream, 1000);

    let five = |to: u16| [&[5, 1, 0, 3, 9][..], b"localhost", &number(to)].concat();
    for &(to, code) in [(open, 0)].iter().chain(refused) {
        let mut stream = socks(port);
        assert_eq!(ask(&mut stream, &[5, 2, 2, 0], 2), [5, 0]);
        assert_eq!(ask(&mut stream, &five(to), 10)[..2], [5, code]);
        match code {
            0 => exercise(stream, 300_000),
            _ => assert_eq!(stream.read(&mut [0]).unwrap(), 0),
        }
    }
    let mut stream = socks(port);
    assert_eq!(ask(&mut stream, &[5, 1, 2], 2), [5, 0xff]);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn l9_an_agent_is_reached_from_the_server_while_its_session_lasts() {
    let mut site = site(permit_all);
    let directory = Directory::new("agent");
    let path = directory.path("agent");
    unix_program(UnixListener::bind(&path).unwrap(), echo);
    site.client.forwards().forward_agent(&path);
    let mut session = site.client.session().unwrap();
    session.request(&ChannelRequest::AuthAgent).unwrap();
    let Told::Agent(far) = site.told.recv().unwrap() else {
        panic!("no agent");
    };
    let private = far.parent().unwrap().to_owned();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&private), mode(&far)), (0o700, 0o600));

    session.exec("cat").unwrap();
    let program = far.clone();
    let user = thread::spawn(move || {
        for _ in 0..3 {
            exercise(UnixStream::connect(&program).unwrap(), 10_000);
        }
    });
    while !user.is_finished() {
        session.write_all(b"x").unwrap();
        session.read_exact(&mut [0]).unwrap();
    }
    user.join().unwrap();
    session.close().unwrap();
    until(|| !private.exists());
    site.client.disconnect().unwrap();
    site.server.join().unwrap();
}

/// The first packet of an X11 program.
fn setup(cookie: &[u8]) -> Vec<u8> {
    let name = b"MIT-MAGIC-COOKIE-1";
    let mut packet = vec![b'l', 0, 11, 0, 0, 0, name.len() as u8, 0];
    packet.extend_from_slice(&[cookie.len() as u8, 0, 0, 0]);
    packet.extend_from_slice(name);
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(cookie);
    packet
}

fn unhex(digits: &[u8]) -> Vec<u8> {
    let digits = std::str::from_utf8(digits).unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn h17_a_display_is_reached_with_its_own_cookie() {
    let mut site = site(permit_all);
    let _displays = displays();
    let directory = Directory::new("x11");
    let path = directory.path("display:0");
    let display = UnixListener::bind(&path).unwrap();
    let (seen, sees) = mpsc::channel();
    thread::spawn(move || {
        for stream in display.incoming() {
            let mut stream = stream.unwrap();
            let mut packet = Vec::new();
            stream.read_to_end(&mut packet).unwrap();
            // Whoever was refused is gone.
            let _ = stream.write_all(b"welcome");
            seen.send(packet).unwrap();
        }
    });
    let real: Vec<u8> = (0..16).map(|i| i * 16).collect();
    let hex: String = real.iter().map(|byte| format!("{byte:02x}")).collect();
    let display = Display::parse(path.to_str().unwrap()).unwrap();
    let x11 = X11Forward::new(display, Some(X11Cookie::new(hex.clone().into()))).unwrap();
    let (many, once) = (x11.request(false), x11.request(true));
    site.client.forwards().forward_x11(x11);

    let mut session = site.client.session().unwrap();
    session.request(&many).unwrap();
    let Told::Display(number, cookie) = site.told.recv().unwrap() else {
        panic!("no display");
    };
    assert_ne!(cookie, hex.as_bytes());
    assert!(number >= 10);
    session.exec("cat").unwrap();
    let program = move |number: u16, cookie: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", 6000 + number)).unwrap();
        let packet = [setup(cookie), b"and more".to_vec()].concat();
        for byte in packet {
            let _ = stream.write_all(&[byte]);
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        reply
    };
    let told = unhex(&cookie);
    let user = thread::spawn(move || {
        let mut wrong = told.clone();
        wrong[0] ^= 1;
        (program(number, &told), program(number, &wrong))
    });
    while !user.is_finished() {
        session.write_all(b"x").unwrap();
        session.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(user.join().unwrap(), (b"welcome".to_vec(), Vec::new()));
    let packet = [setup(&real), b"and more".to_vec()].concat();
    assert_eq!(sees.recv().unwrap(), packet);
    assert_eq!(sees.recv().unwrap(), b"", "the other cookie is let in");
    session.close().unwrap();
    until(|| TcpStream::connect(("127.0.0.1", 6000 + number)).is_err());

    let mut session = site.client.session().unwrap();
    session.request(&once).unwrap();
    let Told::Display(number, cookie) = site.told.recv().unwrap() else {
        panic!("no display");
    };
    session.exec("cat").unwrap();
    let user = thread::spawn(move || {
        let reply = program(number, &unhex(&cookie));
        (
            reply,
            TcpStream::connect(("127.0.0.1", 6000 + number)).is_err(),
        )
    });
    while !user.is_finished() {
        session.write_all(b"x").unwrap();
        session.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(user.join().unwrap(), (b"welcome".to_vec(), true));
    session.close().unwrap();
    site.client.disconnect().unwrap();
    site.server.join().unwrap();
}
