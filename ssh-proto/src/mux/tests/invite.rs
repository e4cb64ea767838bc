//! What a server may open at a client, by what the client asked for: H1, L9.

use super::*;
use crate::limits::MAX_FORWARDS;
use crate::wire::connection::ChannelOpenKind as Kind;

fn tcpip(address: &'static str, port: u32) -> Kind<'static> {
    Kind::ForwardedTcpip(wire::TcpipOpen {
        host: address.as_bytes(),
        port,
        originator_address: b"192.0.2.1",
        originator_port: 4,
    })
}

fn streamlocal(path: &'static str) -> Kind<'static> {
    Kind::ForwardedStreamlocal(wire::ForwardedStreamlocalOpen {
        path: path.as_bytes(),
        reserved: b"",
    })
}

fn x11() -> Kind<'static> {
    Kind::X11(wire::X11Open {
        originator_address: b"a",
        originator_port: 1,
    })
}

const AGENT: Kind<'static> = Kind::AuthAgent(());

fn forward(address: &'static str, port: u32) -> GlobalRequest {
    GlobalRequest::TcpipForward {
        address: address.into(),
        port,
    }
}

fn ask_x11(single_connection: bool) -> ChannelRequest {
    ChannelRequest::X11 {
        single_connection,
        auth_protocol: "MIT-MAGIC-COOKIE-1".into(),
        cookie: X11Cookie::new(b"00ff".to_vec()),
        screen: 0,
    }
}

impl Side {
    /// Whether an open of the peer comes before the application, which refuses it.
    fn admits(&mut self, kind: Kind<'_>) -> bool {
        self.feed(&open_message(kind, 9, 100, 100)).unwrap();
        let admitted = match self.event() {
            None => false,
            Some(MuxEvent::OpenRequested { id, .. }) => {
                let reason = OpenFailure::ADMINISTRATIVELY_PROHIBITED;
                let text = reason.text();
                self.mux
                    .reject_open(id, reason, text, &mut self.out)
                    .unwrap();
                true
            }
            other => panic!("{other:?}"),
        };
        self.sent_is(&failure(9, OpenFailure::ADMINISTRATIVELY_PROHIBITED));
        admitted
    }

    fn global(&mut self, request: &GlobalRequest, want_reply: bool) {
        self.mux
            .global_request(request, want_reply, &mut self.out)
            .unwrap();
        self.sent();
    }

    fn granted(&mut self, body: &[u8]) {
        self.feed(&wire::RequestSuccess { body: Rest(body) })
            .unwrap();
        assert!(matches!(self.event(), Some(MuxEvent::GlobalReply { .. })));
    }

    fn refused(&mut self) {
        self.feed(&wire::RequestFailure {}).unwrap();
        assert!(matches!(self.event(), Some(MuxEvent::GlobalReply { .. })));
    }

    fn ask(&mut self, id: ChannelId, request: &ChannelRequest, want_reply: bool) {
        self.mux
            .request(id, request, want_reply, &mut self.out)
            .unwrap();
        self.sent();
    }

    fn answered(&mut self, id: ChannelId, success: bool) {
        let recipient = id.index;
        match success {
            true => self.feed(&wire::ChannelSuccess { recipient }).unwrap(),
            false => self.feed(&wire::ChannelFailure { recipient }).unwrap(),
        }
        assert!(matches!(self.event(), Some(MuxEvent::RequestReply { .. })));
    }

    fn session_closes(&mut self, id: ChannelId) {
        self.mux.close(id).unwrap();
        self.feed(&close(id)).unwrap();
        self.sent();
        assert_eq!(self.event(), Some(MuxEvent::Closed { id }));
    }
}

#[test]
fn h1_a_forwarded_port_is_admitted_by_port_and_address() {
    // What is bound, what is connected, and whether they fit.
    for (bind, address, fits) in [
        ("localhost", "localhost", true),
        ("localhost", "127.0.0.1", true),
        ("localhost", "::1", true),
        ("localhost", "192.0.2.1", false),
        ("localhost", "", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "localhost", false),
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("", "", true),
        ("", "192.0.2.1", true),
        ("*", "192.0.2.1", true),
        ("0.0.0.0", "127.0.0.1", true),
        ("::", "::1", true),
    ] {
        let mut client = Side::client();
        assert!(!client.admits(tcpip(address, 8080)));
        client.global(&forward(bind, 8080), true);
        client.granted(b"");
        assert_eq!(
            client.admits(tcpip(address, 8080)),
            fits,
            "{bind} {address}"
        );
        assert!(!client.admits(tcpip(address, 8081)));
        assert!(!client.admits(tcpip(address, 0)));
        assert!(!client.admits(streamlocal(address)));
    }
}

#[test]
fn h1_a_forward_is_asked_for_until_it_is_refused_or_cancelled() {
    let mut client = Side::client();
    client.global(&forward("", 1), true);
    assert!(client.admits(tcpip("", 1)), "the reply may come later");
    client.refused();
    assert!(!client.admits(tcpip("", 1)));

    client.global(&forward("", 1), false);
    assert!(client.admits(tcpip("", 1)), "no reply will come");

    // A second one is refused; the first stands.
    client.global(&forward("", 1), true);
    client.refused();
    assert!(client.admits(tcpip("", 1)));
    let cancel = |address: &'static str, port| GlobalRequest::CancelTcpipForward {
        address: address.into(),
        port,
    };
    client.global(&cancel("localhost", 1), false);
    client.global(&cancel("", 2), false);
    assert!(client.admits(tcpip("", 1)));
    client.global(&cancel("", 1), true);
    assert!(!client.admits(tcpip("", 1)), "gone before the reply");
    client.granted(b"");
    assert!(!client.admits(tcpip("", 1)));
}

#[test]
fn h1_a_port_that_the_server_chose_is_admitted_once_it_is_told() {
    let mut client = Side::client();
    client.global(&forward("localhost", 0), true);
    assert!(!client.admits(tcpip("localhost", 8080)));
    assert!(!client.admits(tcpip("localhost", 0)));
    client.granted(&8080u32.to_be_bytes());
    assert!(client.admits(tcpip("localhost", 8080)));
    assert!(!client.admits(tcpip("localhost", 0)));
    client.global(
        &GlobalRequest::CancelTcpipForward {
            address: "localhost".into(),
            port: 8080,
        },
        true,
    );
    assert!(!client.admits(tcpip("localhost", 8080)));
    // A grant without a port is none (I4).
    client.granted(b"");
    client.global(&forward("localhost", 0), true);
    client.granted(b"");
    assert!(!client.admits(tcpip("localhost", 0)));
}

#[test]
fn h1_a_forwarded_socket_is_admitted_by_its_path() {
    let mut client = Side::client();
    assert!(!client.admits(streamlocal("/a")));
    client.global(
        &GlobalRequest::StreamlocalForward { path: "/a".into() },
        true,
    );
    client.granted(b"");
    assert!(client.admits(streamlocal("/a")));
    assert!(!client.admits(streamlocal("/b")));
    assert!(!client.admits(streamlocal("")));
    client.global(
        &GlobalRequest::CancelStreamlocalForward { path: "/a".into() },
        false,
    );
    assert!(!client.admits(streamlocal("/a")));
}

#[test]
fn h1_x11_is_admitted_after_it_was_asked_for() {
    let (mut client, id) = Side::open(Role::Client);
    assert!(!client.admits(x11()));
    client.ask(id, &ask_x11(false), true);
    assert!(client.admits(x11()));
    client.answered(id, false);
    assert!(!client.admits(x11()));
    client.ask(id, &ask_x11(false), true);
    client.answered(id, true);
    assert!(client.admits(x11()) && client.admits(x11()));
    assert!(!client.admits(AGENT));
    client.session_closes(id);
    assert!(client.admits(x11()), "programs may outlive their session");
}

#[test]
fn h1_a_single_x11_connection_is_one() {
    let (mut client, id) = Side::open(Role::Client);
    client.ask(id, &ask_x11(true), true);
    client.answered(id, true);
    // An open that fails for another reason uses nothing up.
    client.feed(&open_message(x11(), 9, 100, 1)).unwrap();
    client.sent_is(&failure(9, OpenFailure::CONNECT_FAILED));
    assert!(client.admits(x11()));
    assert!(!client.admits(x11()));

    client.ask(id, &ask_x11(true), false);
    client.session_closes(id);
    assert!(!client.admits(x11()), "not after the session");

    // Where any number was asked for too, none is used up.
    let (mut client, id) = Side::open(Role::Client);
    client.ask(id, &ask_x11(true), false);
    client.ask(id, &ask_x11(false), false);
    assert!((0..3).all(|_| client.admits(x11())));
}

#[test]
fn l9_an_agent_connection_is_admitted_after_forwarding_was_asked_for() {
    for request in [ChannelRequest::AuthAgent, ChannelRequest::Agent] {
        let (mut client, id) = Side::open(Role::Client);
        assert!(!client.admits(AGENT) && !client.admits(Kind::AgentConnect(())));
        client.ask(id, &request, true);
        client.answered(id, false);
        assert!(!client.admits(AGENT));
        client.ask(id, &request, true);
        client.answered(id, true);
        assert!(client.admits(AGENT) && client.admits(Kind::AgentConnect(())));
        assert!(!client.admits(x11()));
        client.session_closes(id);
        assert!(client.admits(AGENT), "the agent is that of all sessions");
    }
}

#[test]
fn h1_what_was_not_answered_before_its_session_closed_was_not_granted() {
    let (mut client, id) = Side::open(Role::Client);
    client.ask(id, &ChannelRequest::Agent, true);
    client.ask(id, &ask_x11(false), true);
    assert!(client.admits(AGENT) && client.admits(x11()));
    client.session_closes(id);
    assert!(!client.admits(AGENT) && !client.admits(x11()));
}

#[test]
fn h1_the_outer_switch_is_honoured() {
    let (mut client, id) = Side::open(Role::Client);
    client.ask(id, &ChannelRequest::Agent, false);
    client.global(&forward("", 1), false);
    client.mux.allow_open(PeerOpens::FORWARDED_TCPIP);
    assert!(!client.admits(AGENT));
    assert!(client.admits(tcpip("", 1)));
}

/// Asking again and again, and sessions that come and go, leave nothing behind.
#[test]
fn h3_what_was_asked_for_does_not_gather() {
    let mut client = Side::client();
    for round in 0..100u32 {
        let kind = &ChannelKind::Session;
        let id = client.mux.open(kind, &mut client.out).unwrap();
        client.feed(&confirmation(id, 100, 100)).unwrap();
        client.sent();
        client.event();
        for request in [ChannelRequest::Agent, ask_x11(true), ask_x11(false)] {
            client.ask(id, &request, false);
            client.ask(id, &request, true);
            if round % 2 == 0 {
                client.answered(id, true);
            }
        }
        client.global(&forward("", 1), true);
        client.granted(b"");
        client.global(&forward("", 0), true);
        client.granted(&[0, 0, 0, 2]);
        client.session_closes(id);
    }
    assert_eq!(client.mux.invitations.len(), 4, "agent, X11 and two ports");
}

/// What is asked for without a reply is bounded as well, and a cancelled forward makes room.
#[test]
fn h3_forwards_are_bounded() {
    let mut client = Side::client();
    let asked = |port: u32| forward("", port + 1);
    for port in 0..u32::try_from(MAX_FORWARDS).unwrap() {
        client.global(&asked(port), false);
        client.sent();
    }
    let one_more = forward("", 5000);
    let refused = client.mux.global_request(&one_more, false, &mut client.out);
    assert_eq!(refused, Err(ChannelError::Blocked));
    assert!(client.sent().is_empty() && !client.admits(tcpip("", 5000)));
    let cancel = GlobalRequest::CancelTcpipForward {
        address: "".into(),
        port: 7,
    };
    client.global(&cancel, false);
    client.global(&one_more, false);
    assert!(client.admits(tcpip("", 5000)));
}
