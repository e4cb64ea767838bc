//! Features that meet: answers that do not fit, limits and timers while something else is open.

use std::time::Duration;

use ssh_proto::error::ApiMisuse;
use ssh_proto::limits::{Limits, MAX_HOST_NAME, MAX_REQUEST_TEXT, MAX_USER_NAME};
use ssh_proto::wire::connection::ChannelData;
use ssh_proto::{
    AuthOutcome, ChannelRequest, ClientConfig, ClientEvent, ConfigError, Connection, DataStream,
    Event, GlobalRequest, Pty, ServerEvent,
};
use ssh_tests::{
    Connected, Hostile, Login, Mode, Pair, Stage, fixtures, for_each_mode, read_all, take,
};

fn forward(port: u32) -> GlobalRequest {
    GlobalRequest::TcpipForward {
        address: "".into(),
        port,
    }
}

fn unknown() -> GlobalRequest {
    GlobalRequest::Unknown {
        name: "x@example.org".into(),
        body: "".into(),
    }
}

/// An answer that cannot be sent, or that the client would take for a refusal, refuses: the
/// replies behind it must not wait for ever.
#[test]
fn i2_a_global_answer_that_does_not_fit_refuses() {
    for_each_mode(|mode| {
        let mut c = Connected::new(mode);
        let long = vec![0; MAX_REQUEST_TEXT + 1];
        for (request, body, misuse) in [
            (unknown(), &long[..], ApiMisuse::InvalidText),
            (forward(0), b"", ApiMisuse::WrongAnswer),
            (forward(0), b"\0\x16", ApiMisuse::WrongAnswer),
        ] {
            c.pair.client.global_request(&request, true).unwrap();
            c.pair.client.global_request(&unknown(), true).unwrap();
            c.run();
            let mut token =
                || take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
            let (first, second) = (token(), token());
            c.pair.server.accept_global_request(second, b"y").unwrap();
            let answered = c.pair.server.accept_global_request(first, body);
            assert_eq!(answered, Err(misuse));
            c.run();
            let mut result = || {
                take!(
                    c.client.events,
                    ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
                )
            };
            assert!(result().is_err());
            assert_eq!(&result().unwrap().body()[..], b"y");
        }
    });
}

/// What was asked for is what is granted.
#[test]
fn i4_a_forward_is_granted_with_the_port_that_was_asked_for() {
    let mut c = Connected::new(Mode::PLAIN);
    c.pair.client.global_request(&forward(80), true).unwrap();
    c.run();
    let token = take!(c.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
    let answered = c.pair.server.accept_tcpip_forward(token, 8080);
    assert_eq!(answered, Err(ApiMisuse::WrongAnswer));
    c.run();
    let refused = take!(
        c.client.events,
        ClientEvent::Shared(Event::GlobalReply { result, .. }) => result
    );
    assert!(refused.is_err());
}

/// Data counts for the idle timer even where the application has not polled to the end.
#[test]
fn data_that_was_parsed_postpones_the_idle_timer() {
    let idle = Duration::from_secs(10);
    let server = Pair::builder(Mode::PLAIN)
        .server_limits(|limits| limits.idle_timeout = Some(idle))
        .build()
        .server;
    let mut h = Hostile::with_connection(server, Mode::PLAIN.chunking);
    h.advance_to(Stage::Channel);
    h.peer.send(&ChannelData {
        recipient: 0,
        data: b"x",
    });
    let server = &mut h.connection;
    server.handle_input(h.now, h.peer.take_output());
    let event = server.poll_event();
    assert!(matches!(
        event,
        Some(ServerEvent::Shared(Event::Readable(_)))
    ));
    let deadline = server.poll_timeout().expect("idle");
    server.handle_timeout(deadline);
    assert!(!server.is_ending());
    server.handle_timeout(deadline + idle);
    assert!(server.is_ending());
}

/// To drop a token is to answer: the time for a decision does not run out on it.
#[test]
fn a_dropped_token_is_an_answer_in_time() {
    let time = Some(Duration::from_secs(5));
    let pair = Pair::builder(Mode::PLAIN).server_limits(|limits| limits.decision_timeout = time);
    let mut login = Login::new(pair.build());
    let turn = login.turn();
    let key = fixtures::user_key();
    login
        .pair
        .client
        .query_publickey(turn, key.public_key())
        .unwrap();
    login.run();
    let query = take!(login.server.events, ServerEvent::KeyQuery(query) => query);
    let server = &mut login.pair.server;
    let deadline = server.poll_timeout().expect("decision");
    drop(query);
    server.handle_timeout(deadline);
    assert!(!server.is_ending());
    login.run();
    assert_eq!(login.turn().outcome(), &AuthOutcome::Failed);
}

/// An interval beyond all reason delays, and breaks nothing.
#[test]
fn keystrokes_may_be_obscured_at_any_interval() {
    let builder = Pair::builder(Mode::PLAIN);
    let mut c = Connected::of(builder.client(|b| b.obscure_keystroke_timing(Some(Duration::MAX))));
    let (at_client, at_server) = c.open();
    let pty = ChannelRequest::Pty(Pty {
        term: "xterm".into(),
        columns: 80,
        rows: 24,
        width: 0,
        height: 0,
        modes: Vec::new(),
    });
    c.pair.client.request(at_client, &pty, false).unwrap();
    c.run();
    let client = &mut c.pair.client;
    client.write(at_client, DataStream::Data, b"x").unwrap();
    c.run();
    assert_eq!(read_all(&mut c.pair.server, at_server).0, b"x");
}

/// A user whose name fits into no request is refused when the config is built, not when the client
/// logs in.
#[test]
fn the_longest_user_name_fits_into_a_request() {
    let config = |user_name| {
        let mut limits = Limits::default();
        limits.user_name = user_name;
        ClientConfig::builder(fixtures::provider())
            .limits(limits)
            .build()
    };
    let too_long = config(MAX_USER_NAME + 1).map(drop);
    assert_eq!(too_long, Err(ConfigError::InvalidLimit("user_name")));
    assert!(config(MAX_USER_NAME).is_ok());
    let builder = Pair::builder(Mode::PLAIN).limits(|limits| limits.user_name = MAX_USER_NAME);
    let mut login = Login::new(builder.user(&"u".repeat(MAX_USER_NAME)).build());
    let turn = login.turn();
    let name = "h".repeat(MAX_HOST_NAME);
    let key = fixtures::user_key();
    let user = "v".repeat(MAX_USER_NAME);
    let client = &mut login.pair.client;
    client.auth_hostbased(turn, &*key, &name, &user).unwrap();
    login.run();
    assert_eq!(login.turn().outcome(), &AuthOutcome::Failed);
}
