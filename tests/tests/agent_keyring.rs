//! What an agent's keys are restricted to in time and by their user, and its lock (RFC 9987 sections 3.2.7 and 3.7).

use std::time::Duration;

use ssh_proto::Instant;
use ssh_proto::agent::{
    AgentClient, AgentReply, AgentRequest, AgentServer, AgentServerEvent, SignFlags, number,
};
use ssh_proto::error::ApiMisuse;
use ssh_proto::keys::Comment;
use ssh_tests::AgentPair;
use ssh_tests::agent::{DONE, REFUSED, add, ed25519, encoded, frame, none, sign, verify, with_key};

#[test]
fn l4_lifetimes_end() {
    for seconds in [1, 60, u32::MAX] {
        let mut constraints = none();
        constraints.lifetime = Some(seconds);
        let (mut pair, key) = with_key(&constraints);
        let end = Instant::EPOCH + Duration::from_secs(u64::from(seconds));
        assert_eq!(pair.keyring.poll_timeout(), Some(end));
        pair.now = Instant::from_micros(end.as_micros() - 1);
        assert_eq!(pair.list().len(), 1);
        pair.now = end;
        assert_eq!(sign(&mut pair, &key, b"late"), REFUSED);
        assert!(pair.list().is_empty());
        assert_eq!(pair.keyring.poll_timeout(), None);
    }
    let mut constraints = none();
    constraints.lifetime = Some(0);
    let mut pair = AgentPair::default();
    let (key, _) = ed25519(1);
    assert_eq!(add(&mut pair, &key, &constraints), REFUSED);
    assert!(pair.list().is_empty(), "not a key for ever");
}

#[test]
fn l4_unknown_constraints_add_nothing() {
    let (key, _) = ed25519(1);
    let mut client = AgentClient::new();
    let mut constraints = none();
    constraints.lifetime = Some(60);
    client.add(&key, &Comment::default(), &constraints).unwrap();
    let request = client.output()[4..].to_vec();
    let mut extension = vec![number::CONSTRAIN_EXTENSION, 0, 0, 0, 3];
    extension.extend_from_slice(b"x@y\0\0\0\0");
    for more in [&[3, 0, 0, 0, 9][..], &[4], &[0], &[1, 0, 0, 0], &extension] {
        let mut pair = AgentPair::default();
        let message = [&request[..], more].concat();
        assert_eq!(pair.raw(&message), [number::FAILURE], "{more:?}");
        assert_eq!(pair.keyring.identities().count(), 0);
    }
    for cut in 1..request.len() {
        let mut pair = AgentPair::default();
        let reply = pair.raw(&request[..cut]);
        // All but the constraint is a whole request by itself.
        assert_eq!(
            reply == [number::SUCCESS],
            cut == request.len() - 5,
            "{cut}"
        );
    }
    // The same in a message that has no constraints.
    let mut plain = request.clone();
    plain[0] = number::ADD_IDENTITY;
    assert_eq!(AgentPair::default().raw(&plain), [number::FAILURE]);
}

#[test]
fn l4_confirmation_is_asked_for_each_signature() {
    let mut constraints = none();
    constraints.confirm = true;
    let (mut pair, key) = with_key(&constraints);
    let ask = |pair: &mut AgentPair| {
        pair.client.sign(&key, b"data", SignFlags::NONE).unwrap();
        pair.client.identities().unwrap();
        match pair.serve().unwrap() {
            Some(AgentServerEvent::Confirm(token)) => token,
            other => panic!("{other:?}"),
        }
    };
    let answers = |pair: &mut AgentPair| {
        pair.run();
        let first = pair.answered().result;
        assert!(matches!(
            pair.answered().result,
            Ok(AgentReply::Identities(_))
        ));
        first
    };
    let token = ask(&mut pair);
    assert_eq!(token.key(), &key);
    assert_eq!(token.comment().as_bytes(), b"a comment");
    assert_eq!(token.data(), b"data");
    assert!(pair.serve().unwrap().is_none(), "the queue waits");
    assert!(pair.client.poll_event().unwrap().is_none());
    pair.server
        .confirm(&mut pair.keyring, pair.now, token)
        .unwrap();
    let answer = answers(&mut pair);
    verify(&key, b"data", answer);

    let token = ask(&mut pair);
    pair.server.refuse(token).unwrap();
    assert_eq!(answers(&mut pair), REFUSED);
    drop(ask(&mut pair));
    assert_eq!(answers(&mut pair), REFUSED);
    // Another connection cannot answer, and what is confirmed too late is not signed.
    let token = ask(&mut pair);
    let other = AgentServer::new().confirm(&mut pair.keyring, pair.now, token);
    assert_eq!(other, Err(ApiMisuse::ForeignToken));
    assert_eq!(answers(&mut pair), REFUSED);
    let token = ask(&mut pair);
    pair.keyring.remove(&key);
    pair.server
        .confirm(&mut pair.keyring, pair.now, token)
        .unwrap();
    assert_eq!(answers(&mut pair), REFUSED);
}

#[test]
fn l5_a_locked_agent_does_nothing() {
    let (mut pair, key) = with_key(&none());
    let (other, _) = ed25519(2);
    assert_eq!(pair.ask(|client| client.lock(b"")), REFUSED);
    assert_eq!(
        pair.ask(|client| client.unlock(b"x")),
        REFUSED,
        "not locked"
    );
    assert_eq!(pair.ask(|client| client.lock(b"secret")), DONE);
    assert!(pair.keyring.is_locked());
    assert_eq!(pair.ask(|client| client.lock(b"secret")), REFUSED);
    assert_eq!(pair.ask(|client| client.lock(b"other")), REFUSED);
    assert_eq!(pair.ask(AgentClient::identities), REFUSED);
    assert_eq!(sign(&mut pair, &key, b"x"), REFUSED);
    assert_eq!(add(&mut pair, &other, &none()), REFUSED);
    assert_eq!(pair.ask(|client| client.remove(&key)), REFUSED);
    assert_eq!(pair.ask(AgentClient::remove_all), REFUSED);
    assert_eq!(pair.ask(AgentClient::query), REFUSED);
    for number in 0..=255 {
        let is_open = [number::UNLOCK, number::EXTENSION].contains(&number);
        let reply = pair.raw(&[number]);
        assert!(is_open || reply == [number::FAILURE], "{number}");
    }
    assert_eq!(pair.ask(|client| client.unlock(b"secret")), DONE);
    assert_eq!(pair.list(), [key]);
    // Locked anew, the first passphrase means nothing.
    assert_eq!(pair.ask(|client| client.lock(b"second")), DONE);
    assert_eq!(pair.ask(|client| client.unlock(b"secret")), REFUSED);
}

#[test]
fn l5_a_confirmation_does_not_outlive_the_lock() {
    let mut constraints = none();
    constraints.confirm = true;
    let (mut pair, key) = with_key(&constraints);
    let id = pair.client.sign(&key, b"x", SignFlags::NONE).unwrap();
    let Some(AgentServerEvent::Confirm(token)) = pair.serve().unwrap() else {
        panic!("confirmation");
    };
    let mut second = AgentServer::new();
    let lock = encoded(&AgentRequest::Lock(b"secret"));
    second.handle_input(&frame(&lock));
    let event = second.poll_event(&mut pair.keyring, pair.now).unwrap();
    assert!(matches!(event, Some(AgentServerEvent::Locked)));
    pair.server
        .confirm(&mut pair.keyring, pair.now, token)
        .unwrap();
    pair.run();
    let event = pair.answered();
    assert_eq!((event.request, event.result), (id, REFUSED));
}

#[test]
fn l5_wrong_passphrases_cost_time() {
    let (mut pair, _) = with_key(&none());
    assert_eq!(pair.ask(|client| client.lock(b"secret")), DONE);
    let mut waited = Duration::ZERO;
    for attempt in 0..10_000u32 {
        // Another connection each time has to wait as well.
        if attempt % 10 == 0 {
            pair.reconnect();
        }
        pair.client.unlock(&attempt.to_be_bytes()).unwrap();
        pair.run();
        if let Some(due) = pair.server.poll_timeout() {
            assert!(pair.client.poll_event().unwrap().is_none());
            let delay = Duration::from_millis(100) * attempt.min(100);
            assert_eq!(due - pair.now, delay);
            pair.now = Instant::from_micros(due.as_micros() - 1);
            assert!(pair.run().is_empty());
            pair.now = due;
            waited += delay;
            let told = pair.run();
            assert!(matches!(told[..], [AgentServerEvent::UnlockFailed]));
        } else {
            assert_eq!(attempt, 0);
        }
        assert_eq!(pair.answered().result, REFUSED);
        assert_eq!(pair.server.poll_timeout(), None);
    }
    assert!(waited > Duration::from_secs(9_000 * 10));
    pair.client.unlock(b"secret").unwrap();
    pair.run();
    pair.now = pair.server.poll_timeout().expect("the right one waits too");
    pair.run();
    assert_eq!(pair.answered().result, DONE);
    assert!(!pair.keyring.is_locked());
}
