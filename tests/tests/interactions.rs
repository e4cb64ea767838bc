//! Features that meet: answers that do not fit, limits and timers while something else is open.

use ssh_proto::error::ApiMisuse;
use ssh_proto::limits::MAX_REQUEST_TEXT;
use ssh_proto::{ClientEvent, Connection, Event, GlobalRequest, ServerEvent};
use ssh_tests::{Connected, Mode, for_each_mode, take};

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
