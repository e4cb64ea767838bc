//! Ports and UNIX sockets forwarded between our client and our server, over loopback.
#![cfg(unix)]

mod common;
mod forwarding;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use forwarding::{
    Directory, Site, closed_port, echo, exercise, permit_all, program, serving, site, unix_program,
    until,
};
use ssh_io_std::{Bind, ClientError, Gateway, Target, bind_private};
use ssh_proto::{ClientEvent, Connection, Event, GlobalRequest};

/// A listener of the client that forwards to this.
fn local(site: &mut Site, target: Target) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    site.client.forwards().listen(listener, target).unwrap();
    port
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

#[test]
fn a_local_port_leads_to_a_port_of_the_server() {
    let mut site = site(permit_all);
    let port = program(echo);
    // An address, a name that is known here, one that the system is asked for.
    let ports =
        ["127.0.0.1", "localhost", "127.1"].map(|host| local(&mut site, Target::tcp(host, port)));
    let _serving = serving(site);
    for port in ports {
        for len in [1, 100_000, 5 << 20] {
            exercise(connect(port), len);
        }
    }
}

#[test]
fn many_connections_go_on_at_the_same_time() {
    let mut site = site(permit_all);
    let port = local(&mut site, Target::tcp("127.0.0.1", program(echo)));
    let _serving = serving(site);
    let all: Vec<_> = (0..40)
        .map(|i| thread::spawn(move || exercise(connect(port), 1000 * i)))
        .collect();
    for one in all {
        one.join().unwrap();
    }
}

#[test]
fn more_connections_than_channels_wait_for_their_turn() {
    let mut site = site(permit_all);
    let port = local(&mut site, Target::tcp("127.0.0.1", program(echo)));
    let _serving = serving(site);
    let mut open: Vec<_> = (0..256)
        .map(|_| {
            let mut stream = connect(port);
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            stream
        })
        .collect();
    let late = thread::spawn(move || exercise(connect(port), 1000));
    thread::sleep(Duration::from_millis(50));
    assert!(!late.is_finished());
    open.pop();
    late.join().unwrap();
}

#[test]
fn either_end_may_stop_sending_and_go_on_reading() {
    let mut site = site(permit_all);
    // Answers only once it has heard all.
    let listens = program(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        write!(stream, "heard {}", all.len()).unwrap();
    });
    // Says all before it listens, and hands on what it heard.
    let talks = program(|mut stream| {
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        let (port, heard) = all.split_once(' ').unwrap();
        let mut other = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
        other.write_all(heard.as_bytes()).unwrap();
    });
    let [listens, talks] =
        [listens, talks].map(|port| local(&mut site, Target::tcp("127.0.0.1", port)));
    let _serving = serving(site);
    let mut text = String::new();

    let mut stream = connect(listens);
    stream.write_all(&[0; 300_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "heard 300000");

    text.clear();
    let mut stream = connect(talks);
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    let back = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = back.local_addr().unwrap().port();
    write!(stream, "{port} still there").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    text.clear();
    back.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still there");
}

/// Whoever reads no more is still heard.
#[test]
fn a_program_that_does_not_read_may_still_write() {
    let mut site = site(permit_all);
    let directory = Directory::new("deaf");
    let path = directory.path("socket");
    unix_program(UnixListener::bind(&path).unwrap(), |mut stream| {
        stream.shutdown(Shutdown::Read).unwrap();
        thread::sleep(Duration::from_millis(100));
        stream.write_all(b"all the same").unwrap();
    });
    let port = local(&mut site, Target::Unix(path));
    let _serving = serving(site);
    let mut stream = connect(port);
    stream.write_all(&[0; 100_000]).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "all the same");
}

#[test]
fn a_reset_at_one_end_is_the_end_at_the_other() {
    use rustix::net::sockopt::set_socket_linger;

    let mut site = site(permit_all);
    let reset = program(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    });
    let tells = TcpListener::bind("127.0.0.1:0").unwrap();
    let told = Target::tcp("127.0.0.1", tells.local_addr().unwrap().port());
    let (reset, told) = (
        local(&mut site, Target::tcp("127.0.0.1", reset)),
        local(&mut site, told),
    );
    let _serving = serving(site);

    let mut stream = connect(reset);
    stream.write_all(b"x").unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));

    let stream = connect(told);
    let mut other = tells.accept().unwrap().0;
    other.write_all(b"x").unwrap();
    stream.peek(&mut [0]).unwrap();
    set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert!(matches!(other.read(&mut [0]), Ok(0) | Err(_)));
}

/// What nobody reads fills the buffers on its way, and nothing else: others go on.
#[test]
fn a_reader_that_never_reads_stops_its_writer_and_nobody_else() {
    let mut site = site(permit_all);
    let lazy = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::tcp("127.0.0.1", lazy.local_addr().unwrap().port());
    let (lazily, echoed) = (
        local(&mut site, target),
        local(&mut site, Target::tcp("127.0.0.1", program(echo))),
    );
    let _serving = serving(site);
    let mut writer = connect(lazily);
    writer
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let (mut reader, _) = lazy.accept().unwrap();
    let mut sent = 0u64;
    let block = [7; 64 << 10];
    let error = loop {
        match writer.write(&block) {
            Ok(count) => sent += count as u64,
            Err(error) => break error,
        }
        // A window, both send buffers and four socket buffers of some MiB each.
        assert!(sent < 40 << 20, "nothing holds the writer back");
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    exercise(connect(echoed), 3 << 20);
    writer.shutdown(Shutdown::Write).unwrap();
    let received = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert_eq!(received, sent);
}

#[test]
fn a_session_goes_on_beside_what_is_forwarded() {
    let mut site = site(permit_all);
    let port = local(&mut site, Target::tcp("127.0.0.1", program(echo)));
    let (done, finished) = mpsc::channel();
    let user = thread::spawn(move || {
        exercise(connect(port), 3 << 20);
        done.send(()).unwrap();
    });
    let mut session = site.client.exec("cat").unwrap();
    let mut echoes = 0;
    while finished.try_recv().is_err() {
        session.write_all(b"x").unwrap();
        session.read_exact(&mut [0]).unwrap();
        echoes += 1;
    }
    assert!(echoes > 3);
    user.join().unwrap();
    session.close().unwrap();
    site.client.disconnect().unwrap();
    site.server.join().unwrap();
}

#[test]
fn what_is_not_permitted_and_what_fails_ends_the_connection() {
    let closed = closed_port();
    let open = program(echo);
    let mut site = site(move |forwards| {
        forwards.permit_open(move |target| *target != Target::tcp("127.0.0.1", open));
    });
    let missing = Directory::new("missing").path("socket");
    let ports = [
        Target::tcp("127.0.0.1", open),
        Target::tcp("127.0.0.1", closed),
        Target::tcp("no such name", 80),
        Target::tcp("\u{1f980}.invalid", 80),
        Target::Unix(missing),
        Target::Unix("".into()),
    ]
    .map(|target| local(&mut site, target));
    let refused = site
        .client
        .forward_remote(Bind::tcp("", 0), Target::tcp("localhost", 1));
    assert!(matches!(refused, Err(ClientError::RequestRefused)));
    let _serving = serving(site);
    for port in ports {
        assert_eq!(connect(port).read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn i3_a_remote_port_is_chosen_told_and_cancelled() {
    let mut site = site(permit_all);
    let target = Target::tcp("127.0.0.1", program(echo));
    for address in ["localhost", "127.0.0.1", "", "*", "0.0.0.0"] {
        let bind = Bind::tcp(address, 0);
        let request = site.client.forward_remote(bind, target.clone()).unwrap();
        let port = site.client.forwards().remote_port(request).unwrap();
        assert_ne!(port, 0);

        let again = site
            .client
            .forward_remote(Bind::tcp(address, port), target.clone());
        assert!(
            matches!(again, Err(ClientError::RequestRefused)),
            "{again:?}"
        );

        let user = thread::spawn(move || exercise(connect(port), 200_000));
        while !user.is_finished() {
            site.client.serve(Some(Duration::from_millis(5))).unwrap();
        }
        user.join().unwrap();
        site.client.cancel_remote(request).unwrap();
        until(|| TcpStream::connect(("127.0.0.1", port)).is_err());
        assert_eq!(site.client.forwards().remote_port(request), None);

        // It can be had again, by its number.
        let bind = Bind::tcp(address, port);
        let request = site.client.forward_remote(bind, target.clone()).unwrap();
        assert_eq!(site.client.forwards().remote_port(request), Some(port));
        site.client.cancel_remote(request).unwrap();
        assert!(site.client.cancel_remote(request).is_err());
    }
    for name in ["example.org", "::g", "127.0.0.1 "] {
        let refused = site
            .client
            .forward_remote(Bind::tcp(name, 0), target.clone());
        assert!(
            matches!(refused, Err(ClientError::RequestRefused)),
            "{name}"
        );
    }
    site.client.disconnect().unwrap();
    site.server.join().unwrap();
}

/// The reply to each of these requests of a client: whether it was granted.
fn replies(site: Site, requests: &[GlobalRequest]) -> Vec<bool> {
    let mut driver = site.client.into_driver();
    let connection = driver.connection_mut();
    for request in requests {
        connection.global_request(request, true).unwrap();
    }
    let mut granted = Vec::new();
    while granted.len() < requests.len() {
        let event = driver.next_event().unwrap().unwrap();
        if let ClientEvent::Shared(Event::GlobalReply { result, .. }) = event {
            granted.push(result.is_ok());
        }
    }
    drop(driver);
    site.server.join().unwrap();
    granted
}

#[test]
fn i3_what_is_not_bound_cannot_be_cancelled() {
    let site = site(permit_all);
    let port = closed_port().into();
    let directory = Directory::new("cancel");
    let path = directory
        .path("socket")
        .into_os_string()
        .into_encoded_bytes();
    let cancel = |address: &'static [u8], port| GlobalRequest::CancelTcpipForward {
        address: address.into(),
        port,
    };
    let cancel_unix = |path: &[u8]| GlobalRequest::CancelStreamlocalForward {
        path: path.to_vec().into(),
    };
    let requests = [
        (cancel(b"", port), false),
        (
            GlobalRequest::TcpipForward {
                address: "localhost".into(),
                port,
            },
            true,
        ),
        (cancel(b"", port), false),
        (cancel(b"localhost", port ^ 1), false),
        (cancel(b"localhost", port), true),
        (cancel(b"localhost", port), false),
        (cancel_unix(&path), false),
        (
            GlobalRequest::StreamlocalForward {
                path: path.clone().into(),
            },
            true,
        ),
        (cancel_unix(b"/other"), false),
        (cancel_unix(&path), true),
        (cancel_unix(&path), false),
    ];
    let (requests, expected): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    assert_eq!(replies(site, &requests), expected);
}

#[test]
fn a_gateway_is_only_what_the_server_lets_it_be() {
    let mut site = site(|forwards| forwards.permit_listen(|_| Some(Gateway::Loopback)));
    let target = Target::tcp("127.0.0.1", program(echo));
    let request = site
        .client
        .forward_remote(Bind::tcp("0.0.0.0", 0), target)
        .unwrap();
    let port = site.client.forwards().remote_port(request).unwrap();
    // Had it bound all addresses, this one would be taken.
    drop(TcpListener::bind(("127.0.0.2", port)).unwrap());
    let _serving = serving(site);
    exercise(connect(port), 1000);
}

#[test]
fn a_remote_target_that_fails_ends_the_connection() {
    let mut site = site(permit_all);
    let target = Target::tcp("127.0.0.1", closed_port());
    let request = site
        .client
        .forward_remote(Bind::tcp("localhost", 0), target)
        .unwrap();
    let port = site.client.forwards().remote_port(request).unwrap();
    let _serving = serving(site);
    assert_eq!(connect(port).read(&mut [0]).unwrap(), 0);
}

#[test]
fn unix_sockets_lead_both_ways() {
    let mut site = site(permit_all);
    let directory = Directory::new("unix");
    let [theirs, near, far] = ["program", "near", "far"].map(|name| directory.path(name));
    unix_program(UnixListener::bind(&theirs).unwrap(), echo);
    let forwards = site.client.forwards();
    let listener = bind_private(&near).unwrap();
    let local = forwards
        .listen(listener, Target::Unix(theirs.clone()))
        .unwrap();
    let target = Target::Unix(theirs);
    let remote = site
        .client
        .forward_remote(Bind::Unix(far.clone()), target.clone())
        .unwrap();
    let again = site.client.forward_remote(Bind::Unix(far.clone()), target);
    assert!(matches!(again, Err(ClientError::RequestRefused)));
    for path in [&near, &far] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let path = path.clone();
        let user = thread::spawn(move || exercise(UnixStream::connect(&path).unwrap(), 300_000));
        while !user.is_finished() {
            site.client.serve(Some(Duration::from_millis(5))).unwrap();
        }
        user.join().unwrap();
    }
    site.client.forwards().stop(local);
    assert!(!near.exists());
    site.client.cancel_remote(remote).unwrap();
    until(|| !far.exists());
    site.client.disconnect().unwrap();
    site.server.join().unwrap();
}

#[test]
fn listeners_end_with_their_connection() {
    let mut site = site(permit_all);
    let directory = Directory::new("end");
    let target = Target::tcp("127.0.0.1", program(echo));
    let port = local(&mut site, target.clone());
    let request = site
        .client
        .forward_remote(Bind::tcp("localhost", 0), target.clone())
        .unwrap();
    let remote = site.client.forwards().remote_port(request).unwrap();
    let far = directory.path("far");
    site.client
        .forward_remote(Bind::Unix(far.clone()), target)
        .unwrap();
    drop(connect(port));
    drop(serving(site));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("127.0.0.1", remote)).is_err());
    assert!(!far.exists());
}
