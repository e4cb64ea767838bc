//! The agent protocol, both roles against each other and against bytes that nobody should send (RFC 9987).

use bytes::BytesMut;
use ssh_proto::agent::{
    AgentClient, AgentReply, AgentRequest, AgentResponse, AgentServer, AgentServerEvent, Extension,
    ExtensionResponse, IdentitiesAnswer, NotSent, RequestFailed, SignData, SignFlags, SignResponse,
    number,
};
use ssh_proto::crypto::{PrivateKey, PublicKey, Signature};
use ssh_proto::error::{ApiMisuse, DecodeError, Error, Limit, PeerMisbehaved};
use ssh_proto::keys::Comment;
use ssh_proto::limits::{
    MAX_AGENT_IDENTITIES, MAX_AGENT_INPUT, MAX_AGENT_MESSAGE, MAX_AGENT_OUTPUT, MAX_AGENT_REQUESTS,
};
use ssh_proto::wire::{Rest, put_string};
use ssh_tests::agent::{
    Answer, DONE, REFUSED, add, ed25519, encoded, frame, none, private_key, sign, verify, with_key,
};
use ssh_tests::fixtures::{self, KEY_TYPES};
use ssh_tests::{AgentPair, TestRng};

#[test]
fn both_roles_in_any_pieces() {
    for piece in [1, 2, 7, usize::MAX] {
        let mut pair = AgentPair {
            piece,
            ..AgentPair::default()
        };
        assert!(pair.list().is_empty());
        let keys = KEY_TYPES.map(|key_type| private_key(key_type, 5));
        for key in &keys {
            assert_eq!(add(&mut pair, key, &none()), DONE);
        }
        let publics = keys.each_ref().map(PrivateKey::public_key);
        assert_eq!(pair.list(), publics);
        for key in &publics {
            let answer = sign(&mut pair, key, b"data");
            verify(key, b"data", answer);
        }
        assert_eq!(pair.ask(|client| client.remove(&publics[0])), DONE);
        assert_eq!(pair.list(), publics[1..]);
        assert_eq!(pair.ask(AgentClient::remove_all), DONE);
        assert!(pair.list().is_empty());
        let extensions = ["query", "session-bind@openssh.com"].map(str::to_owned);
        let answer = pair.ask(AgentClient::query);
        assert_eq!(answer, Ok(AgentReply::Extensions(extensions.to_vec())));
        let answer = pair.ask(|client| client.extension("x@example.com", b"contents"));
        assert_eq!(answer, REFUSED, "unknown, which is not failed");
    }
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let (mut pair, key) = with_key(&none());
    let client = &mut pair.client;
    let ids = [
        client.identities().unwrap(),
        client.sign(&key, b"one", SignFlags::NONE).unwrap(),
        client.remove(&key).unwrap(),
        client.sign(&key, b"two", SignFlags::NONE).unwrap(),
        client.identities().unwrap(),
    ];
    pair.run();
    let answers = ids.map(|id| {
        let event = pair.answered();
        assert_eq!(event.request, id);
        event.result
    });
    assert!(matches!(&answers[0], Ok(AgentReply::Identities(list)) if list.len() == 1));
    assert!(matches!(&answers[1], Ok(AgentReply::Signature(_))));
    assert_eq!(answers[2], DONE);
    assert_eq!(answers[3], REFUSED);
    assert_eq!(answers[4], Ok(AgentReply::Identities(Vec::new())));
    assert_eq!(pair.client.in_flight(), 0);
}

#[test]
fn requests_are_bounded() {
    let mut client = AgentClient::new();
    let long = vec![0; MAX_AGENT_MESSAGE];
    assert_eq!(client.extension("x", &long), Err(NotSent::TooLong));
    assert!(client.output().is_empty());
    for _ in 0..MAX_AGENT_REQUESTS {
        client.identities().unwrap();
    }
    assert_eq!(client.identities(), Err(NotSent::TooMany));
}

#[test]
fn l1_broken_frames_end_either_role() {
    for (bytes, error) in [
        ([0, 0, 0, 0], PeerMisbehaved::BadPacketLength.into()),
        ([0, 4, 0, 1], Limit::PacketLength.into()),
        ([255; 4], Error::from(Limit::PacketLength)),
    ] {
        let mut pair = AgentPair::default();
        pair.server.handle_input(&bytes);
        pair.client.handle_input(&bytes);
        for _ in 0..2 {
            assert_eq!(pair.serve().unwrap_err(), error);
            assert_eq!(pair.client.poll_event().unwrap_err(), error);
        }
        assert_eq!(pair.client.identities(), Err(NotSent::Failed));
        assert!(!pair.server.wants_read() && !pair.client.wants_read());
    }
    let mut pair = AgentPair::default();
    pair.server.handle_input(&vec![1; MAX_AGENT_INPUT + 1]);
    assert_eq!(pair.serve().unwrap_err(), Limit::BufferedInput.into());
}

/// What a client makes of a reply to a request.
fn reply_to(
    request: impl FnOnce(&mut AgentClient) -> Result<ssh_proto::agent::RequestId, NotSent>,
    reply: &[u8],
) -> Answer {
    let mut client = AgentClient::new();
    request(&mut client).unwrap();
    client.handle_input(&frame(reply));
    client.poll_event().unwrap().unwrap().result
}

fn response(response: &AgentResponse<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    response.encode(&mut out);
    out.to_vec()
}

#[test]
fn l2_success_is_no_typed_answer() {
    let (_, key) = ed25519(1);
    let success = [number::SUCCESS];
    let unexpected = Err(RequestFailed::UnexpectedReply(number::SUCCESS));
    assert_eq!(reply_to(AgentClient::identities, &success), unexpected);
    assert_eq!(reply_to(AgentClient::query, &success), unexpected);
    let answer = reply_to(|client| client.sign(&key, b"", SignFlags::NONE), &success);
    assert_eq!(answer, unexpected);
    // Nor is a list an answer to what asks for none.
    let list = [number::IDENTITIES_ANSWER, 0, 0, 0, 0];
    let answer = reply_to(AgentClient::remove_all, &list);
    let unexpected = Err(RequestFailed::UnexpectedReply(number::IDENTITIES_ANSWER));
    assert_eq!(answer, unexpected);
    assert_eq!(reply_to(AgentClient::remove_all, &success), DONE);
    let other = response(&AgentResponse::ExtensionResponse(ExtensionResponse {
        name: b"other",
        contents: Rest(b""),
    }));
    assert!(reply_to(AgentClient::query, &other).is_err());
    let failed = reply_to(AgentClient::query, &[number::EXTENSION_FAILURE]);
    assert_eq!(failed, Err(RequestFailed::ExtensionFailed));
}

#[test]
fn l2_malformed_lists() {
    let (_, good) = ed25519(1);
    let mut short = BytesMut::new();
    put_string(&mut short, b"ssh-ed25519");
    put_string(&mut short, &[1; 31]);
    let mut point = BytesMut::new();
    put_string(&mut point, b"ecdsa-sha2-nistp256");
    put_string(&mut point, b"nistp256");
    put_string(&mut point, &[4; 33]);
    let list = response(&AgentResponse::Identities(IdentitiesAnswer {
        identities: vec![
            (&short, b"31 bytes"),
            (b"", b"empty"),
            (b"\0\0\0\xffx", b"not a blob"),
            (&point, b"a compressed point"),
            (good.as_blob(), b"good\x1b[2J"),
        ],
    }));
    let answer = reply_to(AgentClient::identities, &list);
    let Ok(AgentReply::Identities(identities)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(identities.len(), 1);
    assert_eq!(identities[0].key, good);
    assert_eq!(identities[0].comment.to_string(), "good\\u{1b}[2J");

    let malformed = |error| Err(RequestFailed::MalformedReply(error));
    for (count, error) in [
        (u32::MAX, DecodeError::TooMany),
        (6, DecodeError::Truncated),
        (4, DecodeError::TrailingBytes),
    ] {
        let mut list = list.clone();
        list[1..5].copy_from_slice(&count.to_be_bytes());
        let answer = reply_to(AgentClient::identities, &list);
        assert_eq!(answer, malformed(error));
    }
    for cut in 1..list.len() {
        assert!(reply_to(AgentClient::identities, &list[..cut]).is_err());
    }
}

#[test]
fn l2_an_answer_that_nobody_asked_for_is_fatal() {
    let mut client = AgentClient::new();
    client.handle_input(&frame(&[number::SUCCESS]));
    let unexpected = PeerMisbehaved::UnexpectedMessage(number::SUCCESS);
    assert_eq!(client.poll_event().unwrap_err(), unexpected.into());
}

#[test]
fn l3_the_signature_is_of_the_algorithm_asked_for() {
    let mut blob = BytesMut::new();
    put_string(&mut blob, b"ssh-rsa");
    put_string(&mut blob, &[1, 0, 1]);
    put_string(&mut blob, &[7; 256]);
    let rsa = PublicKey::from_blob(blob.freeze()).unwrap();
    let (_, ed25519) = ed25519(1);
    let algorithms = ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"];
    for asked in algorithms {
        for given in algorithms {
            let signature = Signature::new(given, &[1; 256]);
            let reply = response(&AgentResponse::Signature(SignResponse {
                signature: signature.as_encoded(),
            }));
            let flags = SignFlags::for_algorithm(asked);
            let answer = reply_to(|client| client.sign(&rsa, b"x", flags), &reply);
            match asked == given {
                true => assert_eq!(answer, Ok(AgentReply::Signature(signature))),
                false => assert_eq!(answer, Err(RequestFailed::WrongAlgorithm(given.into()))),
            }
            assert!(reply_to(|client| client.sign(&ed25519, b"x", flags), &reply).is_err());
        }
    }
}

/// The flags choose the hash; without them an RSA key would sign with SHA-1, and does not.
#[test]
fn l3_rsa_signs_with_sha2_alone() {
    let mut pair = AgentPair::default();
    let private = fixtures::rsa_private_key(1);
    let key = private.public_key();
    assert_eq!(add(&mut pair, &private, &none()), DONE);
    for (flags, algorithm) in [
        (SignFlags::RSA_SHA2_256, "rsa-sha2-256"),
        (SignFlags::RSA_SHA2_512, "rsa-sha2-512"),
    ] {
        let answer = pair.ask(|client| client.sign(&key, b"x", flags));
        match &answer {
            Ok(AgentReply::Signature(signature)) => assert_eq!(signature.algorithm(), algorithm),
            other => panic!("{other:?}"),
        }
        verify(&key, b"x", answer);
    }
    assert_eq!(sign(&mut pair, &key, b"x"), REFUSED);
}

/// A security key cannot be held: it signs in its hardware.
#[test]
fn l8_handles_of_security_keys_are_refused() {
    let mut pair = AgentPair::default();
    for file in [
        &include_bytes!("../../ssh-proto/src/keys/testdata/ed25519_sk")[..],
        include_bytes!("../../ssh-proto/src/keys/testdata/ecdsa_sk"),
    ] {
        let key = PrivateKey::from_openssh(file).unwrap();
        assert_eq!(add(&mut pair, &key, &none()), REFUSED);
    }
    assert!(pair.list().is_empty());
}

#[test]
fn l7_nothing_is_loaded() {
    let mut pair = AgentPair::default();
    let mut body = BytesMut::new();
    put_string(&mut body, b"/usr/lib/opensc-pkcs11.so");
    put_string(&mut body, b"1234");
    for number in [
        number::ADD_SMARTCARD_KEY,
        number::REMOVE_SMARTCARD_KEY,
        number::ADD_SMARTCARD_KEY_CONSTRAINED,
    ] {
        let message = [&[number][..], &body].concat();
        assert_eq!(pair.raw(&message), [number::FAILURE]);
        let request = AgentRequest::decode(&message).unwrap();
        let shown = format!("{request:?}");
        assert!(
            !shown.contains("1234") && !shown.contains("49, 50"),
            "{shown}"
        );
    }
}

#[test]
fn l8_requests_that_cannot_be_granted() {
    let (mut pair, key) = with_key(&none());
    let (_, unknown) = ed25519(9);
    assert_eq!(sign(&mut pair, &unknown, b"x"), REFUSED);
    for flags in [1, 8, 0x8000_0000, u32::MAX] {
        let request = AgentRequest::Sign(SignData {
            key: key.as_blob(),
            data: b"x",
            flags,
        });
        assert_eq!(pair.raw(&encoded(&request)), [number::FAILURE], "{flags}");
    }
    for flags in [SignFlags::RSA_SHA2_256, SignFlags::RSA_SHA2_512] {
        let answer = pair.ask(|client| client.sign(&key, b"x", flags));
        verify(&key, b"x", answer);
    }
    assert_eq!(pair.ask(|client| client.remove(&key)), DONE);
    assert_eq!(pair.ask(|client| client.remove(&key)), REFUSED);
    // Halves that do not belong together.
    let (mut first, mut second) = (private_key(KEY_TYPES[0], 1), private_key(KEY_TYPES[1], 1));
    if let PrivateKey::Ed25519 { public, .. } = &mut first {
        public[0] ^= 1;
    }
    if let PrivateKey::Ecdsa { scalar, .. } = &mut second {
        scalar[31] ^= 1;
    }
    for key in [first, second] {
        assert_eq!(add(&mut pair, &key, &none()), REFUSED);
    }
    assert!(pair.list().is_empty());
    // Too long to be asked, and to be heard.
    let long = vec![0; (1 << 20) + 1];
    let asked = pair.client.sign(&key, &long, SignFlags::NONE);
    assert_eq!(asked, Err(NotSent::TooLong));
}

#[test]
fn every_number_is_answered() {
    for number in 0..=255 {
        let mut pair = AgentPair::default();
        let reply = pair.raw(&[number]);
        let expected = match number {
            number::REQUEST_IDENTITIES => &[number::IDENTITIES_ANSWER, 0, 0, 0, 0][..],
            number::REMOVE_ALL_IDENTITIES => &[number::SUCCESS],
            _ => &[number::FAILURE],
        };
        assert_eq!(reply, expected, "{number}");
        assert_eq!(pair.raw(&[number, 1, 2, 3, 4, 5]), [number::FAILURE]);
    }
}

#[test]
fn keys_are_counted() {
    let mut pair = AgentPair::default();
    let mut rng = TestRng::new(1);
    let mut public = || {
        let bytes: [u8; 32] = rng.bytes(32).try_into().unwrap();
        PublicKey::ed25519(&bytes)
    };
    for _ in 0..MAX_AGENT_IDENTITIES {
        let comment = Comment::new("x".repeat(200));
        let added = pair.keyring.add_remote(pair.now, public(), comment, none());
        added.unwrap();
    }
    let (key, last) = ed25519(1);
    assert_eq!(add(&mut pair, &key, &none()), REFUSED);
    // A list that no client would take is cut.
    let count = pair.list().len();
    assert_eq!(count, (MAX_AGENT_MESSAGE - 5) / (51 + 200 + 8));
    let first = pair.keyring.identities().next().unwrap().key.clone();
    assert!(pair.keyring.remove(&first));
    assert_eq!(add(&mut pair, &key, &none()), DONE);
    assert_eq!(add(&mut pair, &key, &none()), DONE, "it is there");
    assert_eq!(pair.keyring.identities().last().unwrap().key, last);
    let comment = Comment::new(vec![b'x'; 4 << 20]);
    let full = pair.keyring.add_remote(pair.now, last, comment, none());
    assert!(full.is_err());
}

#[test]
fn replies_that_are_not_taken_stop_the_requests() {
    let mut pair = AgentPair::default();
    for seed in 0..200 {
        let key = PublicKey::ed25519(&[seed; 32]);
        let comment = Comment::new("x".repeat(1000));
        let added = pair.keyring.add_remote(pair.now, key, comment, none());
        added.unwrap();
    }
    let request = frame(&[number::REQUEST_IDENTITIES]);
    let mut server = AgentServer::new();
    for _ in 0..1000 {
        server.handle_input(&request);
        let event = server.poll_event(&mut pair.keyring, pair.now).unwrap();
        assert!(event.is_none());
    }
    assert!(!server.wants_read());
    assert!(server.output().len() < MAX_AGENT_OUTPUT + MAX_AGENT_MESSAGE);
    let mut taken = 0;
    while !server.output().is_empty() {
        taken += server.output().len();
        server.advance_output(server.output().len());
        server.poll_event(&mut pair.keyring, pair.now).unwrap();
    }
    assert_eq!(taken, 1000 * (4 + 5 + 200 * (51 + 1000 + 8)));
    assert!(server.wants_read());
}

/// An agent that stands before another: it shows one key of it and passes on what it is to sign.
#[test]
fn keys_elsewhere_sign_when_their_signature_comes() {
    let (mut far, key) = with_key(&none());
    let (hidden, _) = ed25519(2);
    assert_eq!(add(&mut far, &hidden, &none()), DONE);
    let mut near = AgentPair::default();
    near.keyring
        .add_remote(near.now, key.clone(), Comment::default(), none())
        .unwrap();
    assert_eq!(near.list(), std::slice::from_ref(&key));
    let ask = |near: &mut AgentPair| {
        near.client.sign(&key, b"data", SignFlags::NONE).unwrap();
        match near.serve().unwrap() {
            Some(AgentServerEvent::Sign(token)) => token,
            other => panic!("{other:?}"),
        }
    };
    let token = ask(&mut near);
    assert_eq!(token.algorithm(), "ssh-ed25519");
    let answer = far.ask(|client| client.sign(token.key(), token.data(), token.flags()));
    let Ok(AgentReply::Signature(signature)) = answer else {
        panic!("{answer:?}");
    };
    near.server.provide_signature(token, &signature).unwrap();
    near.run();
    let answer = near.answered().result;
    verify(&key, b"data", answer);

    let wrong = Signature::new("ssh-rsa", b"x");
    let token = ask(&mut near);
    let misuse = near.server.provide_signature(token, &wrong);
    assert_eq!(misuse, Err(ApiMisuse::InvalidSignature));
    near.run();
    assert_eq!(near.answered().result, REFUSED);
    let token = ask(&mut near);
    near.server.decline_signature(token).unwrap();
    near.run();
    assert_eq!(near.answered().result, REFUSED);
    drop(ask(&mut near));
    near.run();
    assert_eq!(near.answered().result, REFUSED);
}

#[test]
fn nothing_secret_is_shown() {
    let (key, _) = ed25519(1);
    let mut pair = AgentPair::default();
    let comment = Comment::new("shown");
    pair.client.add(&key, &comment, &none()).unwrap();
    pair.client.lock(b"hunter2").unwrap();
    let PrivateKey::Ed25519 { seed, .. } = &key else {
        panic!("Ed25519");
    };
    let mut shown = format!("{:?}", pair.client);
    let output = pair.client.output().to_vec();
    let length = u32::from_be_bytes(output[..4].try_into().unwrap()) as usize;
    for message in [&output[4..4 + length], &output[8 + length..]] {
        shown += &format!("{:?}", AgentRequest::decode(message).unwrap());
    }
    pair.run();
    assert!(pair.keyring.is_locked());
    shown += &format!("{:?} {:?}", pair.server, pair.keyring);
    let listed = format!("{:?}", &seed[..8]);
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"));
    assert!(!shown.contains(listed.trim_matches(['[', ']'])));
}

#[test]
fn messages_round_trip() {
    let (key, _) = ed25519(1);
    let mut client = AgentClient::new();
    client.add(&key, &Comment::new("c"), &none()).unwrap();
    let add = client.output()[4..].to_vec();
    let extension = AgentRequest::Extension(Extension {
        name: b"x@y",
        contents: Rest(b"123"),
    });
    let unlock = encoded(&AgentRequest::Unlock(b"pass"));
    let unknown_key = [&[number::ADD_IDENTITY, 0, 0, 0, 3][..], b"new-and-more"].concat();
    let samples: [&[u8]; 7] = [
        &[number::REQUEST_IDENTITIES],
        &[number::REMOVE_ALL_IDENTITIES],
        &add,
        &encoded(&extension),
        &unlock,
        &unknown_key,
        &[200, 1, 2, 3],
    ];
    for sample in samples {
        let request = AgentRequest::decode(sample).unwrap();
        assert_eq!(encoded(&request), sample, "{request:?}");
        assert_eq!(request.number(), sample[0]);
    }
    let (key, comment) = (&b"key"[..], &b"comment"[..]);
    for sample in [
        AgentResponse::Failure,
        AgentResponse::Success,
        AgentResponse::ExtensionFailure,
        AgentResponse::Signature(SignResponse { signature: b"sig" }),
        AgentResponse::Identities(IdentitiesAnswer {
            identities: vec![(key, comment), (b"", b"")],
        }),
        AgentResponse::Unknown {
            number: 99,
            body: b"x",
        },
    ] {
        let bytes = response(&sample);
        assert_eq!(AgentResponse::decode(&bytes), Ok(sample));
    }
}
