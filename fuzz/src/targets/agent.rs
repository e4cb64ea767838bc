//! The agent protocol: messages and raw bytes to both roles, the same however they are split.

use std::time::Duration;

use bytes::BytesMut;
use ssh_proto::Instant;
use ssh_proto::agent::{
    AgentClient, AgentCodec, AgentReply, AgentRequest, AgentResponse, AgentServer,
    AgentServerEvent, ConstraintHop, DestinationConstraint, HopKey, KeyConstraints, Keyring,
    SessionBinding, SignFlags,
};
use ssh_proto::crypto::{CryptoProvider, PublicKey, Signature, SigningKey, rustcrypto};
use ssh_proto::keys::Comment;
use ssh_proto::limits::MAX_AGENT_IDENTITIES;

use crate::provider::{NullKey, SIGNATURE, SIGNATURES, provider};

/// Operations of one input, at most.
const OPERATIONS: usize = 128;

/// Session bindings verify by a word, and keys in memory are real.
fn agent_provider() -> CryptoProvider {
    let mut provider = provider();
    provider.keys = rustcrypto::provider().keys;
    provider
}

/// A remote key.
fn elsewhere() -> PublicKey {
    PublicKey::ed25519(&[7; 32])
}

/// One key without constraints, one that is confirmed, and one that is elsewhere and restricted.
fn keyring() -> Keyring {
    let mut keyring = Keyring::new(agent_provider());
    let now = Instant::EPOCH;
    let mut constraints = KeyConstraints::default();
    let free = NullKey::new(SIGNATURES[0]);
    keyring
        .add(now, free.clone(), Comment::new("free"), constraints.clone())
        .unwrap();
    let host = HopKey {
        key: free.public_key().clone(),
        is_authority: false,
    };
    constraints.confirm = true;
    constraints.lifetime = Some(100);
    let confirmed = NullKey::new(SIGNATURES[1]);
    keyring
        .add(now, confirmed, Comment::default(), constraints.clone())
        .unwrap();
    let host = ConstraintHop::new("host", vec![host]).unwrap();
    let destination = DestinationConstraint::new(None, Some("a*"), host).unwrap();
    constraints.destinations.push(destination);
    keyring
        .add_remote(now, elsewhere(), Comment::default(), constraints)
        .unwrap();
    keyring
}

/// A kind, a length of two bytes, and as many bytes.
#[derive(Debug)]
enum Operation<'a> {
    Message(&'a [u8]),
    Bytes(&'a [u8]),
    /// A number of 100 milliseconds.
    Wait(usize),
}

/// What the application does with the tokens.
#[derive(Debug, Clone, Copy)]
struct Answers {
    confirms: bool,
    drops: bool,
    signs: bool,
}

fn operations(mut data: &[u8]) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    while let ([kind, high, low, rest @ ..], 0..OPERATIONS) = (data, operations.len()) {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        data = rest;
        operations.push(match kind % 4 {
            0 | 1 => Operation::Message(body),
            2 => Operation::Bytes(body),
            _ => Operation::Wait(length),
        });
    }
    operations
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&length.to_be_bytes()[..], message].concat()
}

/// Requests to an agent of ours.
pub fn agent_server(data: &[u8]) {
    let Some((flags, data)) = data.split_first() else {
        return;
    };
    let answers = Answers {
        confirms: flags & 1 != 0,
        drops: flags & 2 != 0,
        signs: flags & 4 != 0,
    };
    let operations = operations(data);
    for operation in &operations {
        if let Operation::Message(message) = operation {
            request_round_trip(message);
        }
    }
    let whole = serve(&operations, answers, usize::MAX);
    assert_eq!(serve(&operations, answers, 1), whole);
}

fn request_round_trip(message: &[u8]) {
    let Ok(request) = AgentRequest::decode(message) else {
        return;
    };
    let mut encoded = BytesMut::new();
    request.encode(&mut encoded);
    let again = AgentRequest::decode(&encoded).expect("what was written is read");
    assert_eq!(again.number(), request.number());
    let mut twice = BytesMut::new();
    again.encode(&mut twice);
    assert_eq!(twice, encoded);
}

/// What was told and sent.
fn serve(operations: &[Operation<'_>], answers: Answers, piece: usize) -> (Vec<String>, Vec<u8>) {
    let mut keyring = keyring();
    let mut server = AgentServer::new();
    let mut now = Instant::EPOCH;
    let mut told = Vec::new();
    let mut output = Vec::new();
    for operation in operations {
        let bytes = match operation {
            Operation::Message(message) => frame(message),
            Operation::Bytes(bytes) => bytes.to_vec(),
            Operation::Wait(tenths) => {
                now = now + Duration::from_millis(100) * *tenths as u32;
                Vec::new()
            }
        };
        for part in bytes.chunks(piece.min(bytes.len().max(1))) {
            server.handle_input(part);
            poll(&mut server, &mut keyring, now, answers, &mut told);
        }
        poll(&mut server, &mut keyring, now, answers, &mut told);
        output.extend_from_slice(server.output());
        server.advance_output(server.output().len());
        assert!(keyring.identities().count() <= MAX_AGENT_IDENTITIES);
    }
    let mut replies = AgentCodec::new();
    for part in output.chunks(1 << 16) {
        replies.handle_input(part).expect("taken as it comes");
        while let Some(reply) = replies.next_message().expect("replies are framed") {
            let response = reply.response().expect("replies are well-formed");
            assert!(!matches!(response, AgentResponse::Unknown { .. }));
        }
    }
    assert_eq!(replies.buffered(), 0);
    (told, output)
}

fn poll(
    server: &mut AgentServer,
    keyring: &mut Keyring,
    now: Instant,
    answers: Answers,
    told: &mut Vec<String>,
) {
    loop {
        if server.poll_timeout().is_some_and(|due| due <= now) {
            keyring.handle_timeout(now);
        }
        let event = match server.poll_event(keyring, now) {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                assert_eq!(server.poll_event(keyring, now).unwrap_err(), error);
                assert!(!server.wants_read());
                return;
            }
        };
        told.push(format!("{event:?}"));
        match event {
            AgentServerEvent::Confirm(token) if !answers.drops => {
                assert!(!keyring.is_locked());
                let answer = match answers.confirms {
                    true => server.confirm(keyring, now, token),
                    false => server.refuse(token),
                };
                answer.expect("its own token");
            }
            AgentServerEvent::Sign(token) if !answers.drops => {
                assert!(!keyring.is_locked());
                assert_eq!(token.key(), &elsewhere());
                let signature = Signature::new(token.algorithm(), SIGNATURE);
                let answer = match answers.signs {
                    true => server.provide_signature(token, &signature),
                    false => server.decline_signature(token),
                };
                answer.expect("its own token");
            }
            _ => {}
        }
    }
}

/// Answers to a client.
pub fn agent_client(data: &[u8]) {
    let Some((count, data)) = data.split_first() else {
        return;
    };
    let count = usize::from(count % 16).min(data.len());
    let (asked, data) = data.split_at(count);
    let operations = operations(data);
    for operation in &operations {
        if let Operation::Message(message) = operation {
            response_round_trip(message);
        }
    }
    let whole = hear(asked, &operations, usize::MAX);
    assert_eq!(hear(asked, &operations, 1), whole);
}

fn response_round_trip(message: &[u8]) {
    let Ok(response) = AgentResponse::decode(message) else {
        return;
    };
    let mut encoded = BytesMut::new();
    response.encode(&mut encoded);
    assert_eq!(AgentResponse::decode(&encoded), Ok(response));
}

fn ask(client: &mut AgentClient, kind: u8) {
    let key = NullKey::new(SIGNATURES[0]);
    let public = key.public_key();
    let asked = match kind % 8 {
        0 => client.identities(),
        1 => client.sign(public, b"data", SignFlags::RSA_SHA2_512),
        2 => client.remove(public),
        3 => client.query(),
        4 => client.extension("x@y", b"contents"),
        5 => client.lock(b"secret"),
        6 => client.session_bind(&SessionBinding {
            host_key: public.clone(),
            session_id: b"session"[..].into(),
            signature: Signature::new(SIGNATURES[0], SIGNATURE),
            is_forwarding: kind & 8 != 0,
        }),
        _ => client.remove_all(),
    };
    asked.expect("few and short");
}

fn hear(asked: &[u8], operations: &[Operation<'_>], piece: usize) -> (Vec<String>, Vec<u8>) {
    let mut client = AgentClient::new();
    for kind in asked {
        ask(&mut client, *kind);
    }
    let mut told = Vec::new();
    for operation in operations {
        let bytes = match operation {
            Operation::Message(message) => frame(message),
            Operation::Bytes(bytes) => bytes.to_vec(),
            Operation::Wait(_) => continue,
        };
        for part in bytes.chunks(piece.min(bytes.len().max(1))) {
            client.handle_input(part);
            loop {
                match client.poll_event() {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        if let Ok(AgentReply::Signature(signature)) = &event.result {
                            assert_eq!(signature.algorithm(), SIGNATURES[0]);
                        }
                        told.push(format!("{event:?}"));
                    }
                    Err(error) => {
                        assert_eq!(client.poll_event().unwrap_err(), error);
                        assert!(client.identities().is_err());
                        break;
                    }
                }
            }
        }
    }
    assert_eq!(told.len() + client.in_flight(), asked.len());
    (told, client.output().to_vec())
}
