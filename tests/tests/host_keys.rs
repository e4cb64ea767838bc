//! Host keys announced and proved (`hostkeys-00@openssh.com`, `hostkeys-prove-00@openssh.com`): both roles, item I6 of the notes and D10.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ssh_proto::crypto::{PublicKey, Signature, SigningKey};
use ssh_proto::error::{ApiMisuse, DisconnectReason};
use ssh_proto::limits::{MAX_HOST_KEY_PROOFS, MAX_HOST_KEYS};
use ssh_proto::wire::number;
use ssh_proto::{
    ChannelError, ClientConnection, ClientEvent, Connection, Event, GlobalRequest, HostKey,
    HostKeyProofError, ServerConnection, ServerEvent, SignRequest,
};
use ssh_tests::attack::{F, chunked, message};
use ssh_tests::{
    Connected, Hostile, Login, Mode, Pair, PairBuilder, Stage, fixtures, for_each_mode, take,
};

const PROVE: &[u8] = b"hostkeys-prove-00@openssh.com";
const ANNOUNCE: &[u8] = b"hostkeys-00@openssh.com";

fn second_key() -> Arc<dyn SigningKey> {
    fixtures::key("ecdsa-sha2-nistp256", 7)
}

fn remote(key: &dyn SigningKey) -> HostKey {
    HostKey::Remote {
        key: key.public_key().clone(),
        algorithms: key.algorithms().to_vec(),
    }
}

/// A pair whose server has a second host key, held elsewhere or not.
fn pair(mode: Mode, is_remote: bool, announce: bool) -> PairBuilder {
    let second = match is_remote {
        true => remote(&*second_key()),
        false => HostKey::Local(second_key()),
    };
    let change = |b: ssh_proto::ServerConfigBuilder| b.host_key(second);
    Pair::builder(mode).server(|b| change(b).announce_host_keys(announce))
}

fn keys() -> Vec<PublicKey> {
    [fixtures::host_key(), second_key()]
        .map(|key| key.public_key().clone())
        .to_vec()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes()[..], bytes].concat()
}

/// What a proof signs, put together by hand.
fn proof_message(session_id: &[u8], key: &PublicKey) -> Vec<u8> {
    [string(PROVE), string(session_id), string(key.as_blob())].concat()
}

fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let signature = Signature::from_encoded(signature.to_vec()).unwrap();
    let algorithm = fixtures::provider()
        .signature(signature.algorithm())
        .unwrap();
    algorithm.verify(key, message, &signature).is_ok()
}

/// Logged in, no event of either side behind that taken.
fn login(builder: PairBuilder) -> Login {
    let mut login = Login::new(builder.build());
    let request = login.password(fixtures::PASSWORD);
    login.accept(request);
    login
}

fn sign(login: &mut Login) {
    let request = take!(login.server.events, ServerEvent::Shared(Event::Sign(r)) => r);
    let key = second_key();
    assert_eq!(request.key(), key.public_key());
    let signature = key.sign(request.algorithm(), request.message()).unwrap();
    login
        .pair
        .server
        .provide_signature(request, &signature)
        .unwrap();
    login.run();
}

/// I6: what the server announces it proves, in the order asked, and neither application sees a
/// generic request or reply of it.
#[test]
fn i6_keys_are_announced_and_proved() {
    for_each_mode(|mode| {
        for (is_remote, announce) in [(false, true), (true, true), (false, false)] {
            let mut login = login(pair(mode, is_remote, announce));
            match announce {
                true => {
                    let told = take!(login.client.events, ClientEvent::HostKeys(keys) => keys);
                    assert_eq!(told, keys());
                }
                false => {
                    let is_told = |event: &ClientEvent| matches!(event, ClientEvent::HostKeys(_));
                    assert!(!login.client.events.iter().any(is_told));
                }
            }
            let mut reversed = keys();
            reversed.reverse();
            for asked in [keys(), reversed, vec![keys()[1].clone()]] {
                login.pair.client.prove_host_keys(&asked).unwrap();
                login.run();
                if is_remote {
                    sign(&mut login);
                }
                let proved = take!(login.client.events, ClientEvent::HostKeysProved(keys) => keys);
                assert_eq!(proved, asked);
            }
            assert_eq!(
                login.server.count("Global") + login.client.count("Global"),
                0
            );
            assert_eq!(login.server.count("Sign("), 0);
        }
    });
}

/// I6: a client asks only what can be verified, and only when it may.
#[test]
fn i6_what_a_client_does_not_ask() {
    for_each_mode(|mode| {
        let mut early = Pair::new(mode);
        let asked = early.client.prove_host_keys(&keys());
        assert_eq!(asked, Err(ChannelError::NotOpen));
        let mut c = Connected::new(mode);
        let unknown = PublicKey::from_blob([string(b"ssh-unknown"), string(b"x")].concat());
        let many = vec![keys()[0].clone(); MAX_HOST_KEYS + 1];
        for asked in [vec![], vec![keys()[0].clone(), unknown.unwrap()], many] {
            let asked = c.pair.client.prove_host_keys(&asked);
            assert_eq!(asked, Err(ChannelError::Invalid));
        }
        c.run();
        assert_eq!(c.server.events.len(), 0);
        // The server holds one key alone, and proves no other.
        c.pair.client.prove_host_keys(&keys()).unwrap();
        c.run();
        let refused = take!(c.client.events, ClientEvent::HostKeysNotProved(error) => error);
        assert_eq!(refused, HostKeyProofError::Refused);
        let now = c.pair.now;
        let reason = DisconnectReason::BY_APPLICATION;
        c.pair.client.disconnect(now, reason, "");
        let asked = c.pair.client.prove_host_keys(&keys());
        assert_eq!(asked, Err(ChannelError::Closed));
    });
}

/// A server of two keys, the second held elsewhere or not.
fn server(mode: Mode, is_remote: bool) -> Hostile<ServerConnection> {
    let pair = pair(mode.without_rekeys(), is_remote, true).build();
    let mut h = Hostile::with_connection(pair.server, mode.chunking);
    h.advance_to(Stage::Authenticated);
    h.events.clear();
    h
}

fn ask(blobs: &[&[u8]], want_reply: bool) -> Vec<u8> {
    let mut fields = vec![F::S(PROVE), F::B(u8::from(want_reply))];
    fields.extend(blobs.iter().map(|blob| F::S(blob)));
    message(number::GLOBAL_REQUEST, &fields)
}

/// The signatures in a `REQUEST_SUCCESS`; `None` for `REQUEST_FAILURE`.
fn answer(h: &mut Hostile<ServerConnection>) -> Option<Vec<Vec<u8>>> {
    let packet = h.peer.next_packet().expect("an answer");
    if packet.number() == number::REQUEST_FAILURE {
        return None;
    }
    assert_eq!(packet.number(), number::REQUEST_SUCCESS);
    let mut body = &packet.payload[1..];
    let mut signatures = Vec::new();
    while let Some((len, rest)) = body.split_first_chunk() {
        let (signature, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        signatures.push(signature.to_vec());
        body = rest;
    }
    assert!(body.is_empty());
    Some(signatures)
}

/// I6, D10: a server signs with its own keys alone, over this session's framed blob alone; one
/// signature each, in the order asked.
#[test]
fn i6_a_server_signs_only_its_own_keys() {
    chunked(|mode| {
        let mut h = server(mode, false);
        assert!(h.extras.iter().any(|packet| {
            let blobs = keys();
            let announced = [F::S(blobs[0].as_blob()), F::S(blobs[1].as_blob())];
            let fields = [&[F::S(ANNOUNCE), F::B(0)], &announced[..]].concat();
            packet.payload[..] == message(number::GLOBAL_REQUEST, &fields)
        }));
        let own = keys();
        let foreign = fixtures::key("ssh-ed25519", 4711).public_key().clone();
        let mut cut = own[0].as_blob().to_vec();
        cut.pop();
        let refused: [Vec<&[u8]>; 7] = [
            vec![],
            vec![foreign.as_blob()],
            vec![own[0].as_blob(), foreign.as_blob()],
            vec![&cut],
            vec![b""],
            vec![own[0].as_blob(); MAX_HOST_KEYS + 1],
            vec![own[0].as_blob(); 1000],
        ];
        for blobs in refused {
            h.send_payload(&ask(&blobs, true));
            assert_eq!(answer(&mut h), None, "{} keys", blobs.len());
        }
        let session_id = h.peer.session_id.clone().unwrap();
        for order in [vec![0], vec![1, 0], vec![0, 1], vec![1, 1, 0]] {
            let blobs: Vec<_> = order.iter().map(|i| own[*i].as_blob()).collect();
            h.send_payload(&ask(&blobs, true));
            let signatures = answer(&mut h).expect("own keys");
            assert_eq!(signatures.len(), order.len());
            for (signature, i) in signatures.iter().zip(order) {
                let message = proof_message(&session_id, &own[i]);
                assert!(verifies(&own[i], &message, signature));
            }
        }
        // Where no reply is wanted there is nothing to do.
        h.send_payload(&ask(&[own[0].as_blob()], false));
        h.assert_unmoved();
        assert_eq!(h.ended, None);
    });
}

/// D10: signatures per connection are bounded, however they are asked for.
#[test]
fn d10_proofs_are_rate_capped() {
    chunked(|mode| {
        for at_once in [1, 3, MAX_HOST_KEYS] {
            let mut h = server(mode, false);
            let blob = keys()[0].as_blob().to_vec();
            let mut signed = 0;
            loop {
                h.send_payload(&ask(&vec![&blob[..]; at_once], true));
                let Some(signatures) = answer(&mut h) else {
                    break;
                };
                signed += signatures.len();
                assert!(signed <= MAX_HOST_KEY_PROOFS);
            }
            assert!(signed + at_once > MAX_HOST_KEY_PROOFS, "{signed}");
            assert_eq!(h.ended, None, "refused, and the connection goes on");
        }
    });
}

fn signature_wanted(h: &mut Hostile<ServerConnection>) -> SignRequest {
    take!(h.events, ServerEvent::Shared(Event::Sign(request)) => request)
}

/// I6: keys held elsewhere sign whenever they like; later replies wait for them, and nothing else
/// does.
#[test]
fn i6_replies_keep_their_order_while_a_signature_is_pending() {
    chunked(|mode| {
        let mut h = server(mode, true);
        let own = keys();
        let both = [own[1].as_blob(), own[0].as_blob(), own[1].as_blob()];
        h.send_payload(&ask(&both, true));
        let first = signature_wanted(&mut h);
        h.send_payload(&ask(&[own[1].as_blob()], true));
        let other = signature_wanted(&mut h);
        h.send_payload(&message(80, &[F::S(b"keepalive@openssh.com"), F::B(1)]));
        h.send_payload(&message(192, &[F::S(b"still there?")]));
        h.peer.expect(number::PONG);
        assert_eq!(h.peer.drain(), [], "nothing overtakes the first");

        let sign = |request: &SignRequest| {
            second_key()
                .sign(request.algorithm(), request.message())
                .unwrap()
        };
        let signature = sign(&other);
        h.connection.provide_signature(other, &signature).unwrap();
        h.exchange();
        assert_eq!(h.peer.drain(), []);
        // The two signatures of the first request are asked for one by one.
        for request in [Some(first), None] {
            let request = request.unwrap_or_else(|| signature_wanted(&mut h));
            let wrong = fixtures::host_key().sign("ssh-ed25519", request.message());
            let wrong = h.connection.provide_signature(request, &wrong.unwrap());
            assert_eq!(wrong, Err(ApiMisuse::InvalidSignature));
            h.exchange();
            let request = signature_wanted(&mut h);
            let signature = sign(&request);
            h.connection.provide_signature(request, &signature).unwrap();
            h.exchange();
        }
        let session_id = h.peer.session_id.clone().unwrap();
        for asked in [&[1, 0, 1][..], &[1]] {
            let signatures = answer(&mut h).expect("signed");
            assert_eq!(signatures.len(), asked.len());
            for (signature, i) in signatures.iter().zip(asked) {
                let message = proof_message(&session_id, &own[*i]);
                assert!(verifies(&own[*i], &message, signature));
            }
        }
        h.peer.expect(number::REQUEST_FAILURE);
        assert_eq!(h.events.len(), 0);
    });
}

/// I6: a signature declined is a request refused; tokens are as strict as any.
#[test]
fn i6_declined_signatures_refuse_the_request() {
    chunked(|mode| {
        let mut h = server(mode, true);
        let blob = keys()[1].as_blob().to_vec();
        for drops in [false, true] {
            h.send_payload(&ask(&[keys()[0].as_blob(), &blob], true));
            let request = signature_wanted(&mut h);
            match drops {
                true => drop(request),
                false => h.connection.decline_signature(request).unwrap(),
            }
            h.exchange();
            assert_eq!(answer(&mut h), None);
        }
        let mut other = server(mode, true);
        h.send_payload(&ask(&[&blob], true));
        let request = signature_wanted(&mut h);
        let declined = other.connection.decline_signature(request);
        assert_eq!(declined, Err(ApiMisuse::ForeignToken));
        h.exchange();
        assert_eq!(answer(&mut h), None, "it was dropped there");
        h.send_payload(&ask(&[&blob], true));
        let request = signature_wanted(&mut h);
        let reason = DisconnectReason::BY_APPLICATION;
        h.connection.disconnect(h.now, reason, "");
        let declined = h.connection.decline_signature(request);
        assert_eq!(declined, Err(ApiMisuse::StaleToken));
    });
}

/// A key that does not sign is a request refused.
#[test]
fn i6_a_failing_key_refuses_the_request() {
    let broken = ssh_tests::faults::BrokenKey(fixtures::host_key().public_key().clone());
    chunked(|mode| {
        let broken = ssh_tests::faults::BrokenKey(broken.0.clone());
        let builder = Pair::builder(mode.without_rekeys());
        let builder = builder.server(|b| {
            b.signing_host_key(Arc::new(broken))
                .signing_host_key(second_key())
                .host_key_algorithms(["ecdsa-sha2-nistp256", "ssh-ed25519"])
        });
        let mut h = Hostile::with_connection(builder.build().server, mode.chunking);
        h.peer.offer.host_keys = vec!["ecdsa-sha2-nistp256".into()];
        h.advance_to(Stage::Authenticated);
        for i in [0, 1] {
            h.send_payload(&ask(&[keys()[i].as_blob()], true));
            assert_eq!(answer(&mut h).is_some(), i == 1);
        }
    });
}

/// A client that is authenticated, with a server that says what the test wants.
fn client(mode: Mode) -> Hostile<ClientConnection> {
    let mut h = Hostile::<ClientConnection>::at(Stage::Authenticated, mode);
    h.peer.drain();
    h.events.clear();
    h
}

fn announce(blobs: &[Vec<u8>], want_reply: bool) -> Vec<u8> {
    let mut fields = vec![F::S(ANNOUNCE), F::B(u8::from(want_reply))];
    fields.extend(blobs.iter().map(|blob| F::S(blob)));
    message(number::GLOBAL_REQUEST, &fields)
}

/// I6: announcements are capped, and what nobody could verify is left out.
#[test]
fn i6_announcements_are_filtered() {
    chunked(|mode| {
        let mut h = client(mode);
        let key = |i: u16| {
            let mut point = [0; 32];
            point[..2].copy_from_slice(&i.to_be_bytes());
            PublicKey::ed25519(&point)
        };
        let thousand: Vec<_> = (0..1000).map(|i| key(i).as_blob().to_vec()).collect();
        h.send_payload(&announce(&thousand, false));
        let told = take!(h.events, ClientEvent::HostKeys(keys) => keys);
        assert_eq!(told, (0..MAX_HOST_KEYS as u16).map(key).collect::<Vec<_>>());

        let mixed = [
            b"".to_vec(),
            b"\0\0\0\x20ssh-ed25519".to_vec(),
            [string(b"ssh-unknown"), string(b"x")].concat(),
            [string(b"ssh-ed25519"), string(&[7; 31])].concat(),
            [string(b"ssh-ed25519"), string(&[7; 32]), vec![0]].concat(),
            thousand[3].clone(),
            string(b"\xff\xff"),
            thousand[3].clone(),
            vec![0xff; 20_000],
            thousand[4].clone(),
        ];
        h.send_payload(&announce(&mixed, true));
        let told = take!(h.events, ClientEvent::HostKeys(keys) => keys);
        assert_eq!(told, [key(3), key(4)]);
        h.peer.expect(number::REQUEST_SUCCESS);
        // Nothing known is nothing to tell.
        h.send_payload(&announce(&mixed[..5], false));
        h.send_payload(&announce(&[], false));
        h.assert_unmoved();
    });
}

/// I6: never before authentication, never in the wrong direction.
#[test]
fn i6_host_keys_in_the_wrong_place() {
    chunked(|mode| {
        let blobs = [keys()[0].as_blob().to_vec()];
        let mut h = Hostile::<ClientConnection>::at(Stage::NewKeys, mode);
        h.refuses(2, |peer| peer.send_payload(&announce(&blobs, false)));
        for stage in [Stage::NewKeys, Stage::Service] {
            let mut h = Hostile::<ServerConnection>::at(stage, mode);
            h.refuses(2, |peer| peer.send_payload(&ask(&[&blobs[0]], true)));
        }
        let mut h = client(mode);
        h.send_payload(&ask(&[&blobs[0]], true));
        h.peer.expect(number::REQUEST_FAILURE);
        h.assert_unmoved();
        let mut h = server(mode, false);
        h.send_payload(&announce(&blobs, true));
        h.peer.expect(number::REQUEST_FAILURE);
        h.assert_unmoved();
    });
}

/// I6: a reply that is short, long, malformed, of another session, of other keys or of another
/// order proves nothing, and the connection goes on.
#[test]
fn i6_only_proved_keys_are_accepted() {
    chunked(|mode| {
        let mut h = client(mode);
        let session_id = h.peer.session_id.clone().unwrap();
        let signers = [fixtures::host_key(), second_key()];
        let sign = |i: usize, session_id: &[u8]| {
            let key = &signers[i];
            let message = proof_message(session_id, key.public_key());
            let signature = key.sign(key.algorithms()[0], &message).unwrap();
            string(signature.as_encoded())
        };
        let good = [sign(0, &session_id), sign(1, &session_id)];
        let mut other_session = session_id.clone();
        other_session[0] ^= 1;
        let mut flipped = good[1].clone();
        *flipped.last_mut().unwrap() ^= 1;
        let bare = second_key()
            .sign("ecdsa-sha2-nistp256", &session_id)
            .unwrap();
        let bad = |i: usize| HostKeyProofError::BadSignature(keys()[i].clone());
        let malformed = HostKeyProofError::Malformed;
        let cases: Vec<(Option<Vec<u8>>, HostKeyProofError)> = vec![
            (None, HostKeyProofError::Refused),
            (Some(vec![]), malformed.clone()),
            (Some(good[0].clone()), malformed.clone()),
            (Some(good.concat()[..60].to_vec()), malformed.clone()),
            (
                Some([&good[..], &good[..1]].concat().concat()),
                malformed.clone(),
            ),
            (Some([good.concat(), vec![0]].concat()), malformed),
            (Some([good[1].clone(), good[0].clone()].concat()), bad(0)),
            (Some([good[0].clone(), good[0].clone()].concat()), bad(1)),
            (Some([good[0].clone(), flipped].concat()), bad(1)),
            (
                Some([sign(0, &other_session), good[1].clone()].concat()),
                bad(0),
            ),
            (
                Some([good[0].clone(), string(bare.as_encoded())].concat()),
                bad(1),
            ),
            (Some([string(b""), string(b"?")].concat()), bad(0)),
        ];
        let mut prove = |reply: Option<Vec<u8>>| {
            h.connection.prove_host_keys(&keys()).unwrap();
            h.exchange();
            let asked = h.peer.expect(number::GLOBAL_REQUEST);
            let blobs = keys();
            let expected = ask(&[blobs[0].as_blob(), blobs[1].as_blob()], true);
            assert_eq!(asked.payload[..], expected);
            match reply {
                Some(body) => {
                    h.send_payload(&message(number::REQUEST_SUCCESS, &[F::Raw(&body)]));
                }
                None => h.send_payload(&[number::REQUEST_FAILURE]),
            }
            assert_eq!(h.ended, None);
            assert_eq!(h.events.len(), 1, "{:?}", h.events);
            h.events.pop_front().unwrap()
        };
        for (reply, expected) in cases {
            match prove(reply) {
                ClientEvent::HostKeysNotProved(error) => assert_eq!(error, expected),
                other => panic!("{other:?} where {expected:?} was due"),
            }
        }
        match prove(Some(good.concat())) {
            ClientEvent::HostKeysProved(proved) => assert_eq!(proved, keys()),
            other => panic!("{other:?}"),
        }
        // A reply to nothing is nothing.
        h.send_payload(&message(number::REQUEST_SUCCESS, &[F::Raw(&good.concat())]));
        h.assert_unmoved();
    });
}

/// Replies to other requests before, between and behind are told apart.
#[test]
fn i6_proofs_among_other_replies() {
    for_each_mode(|mode| {
        let mut login = login(pair(mode, false, true));
        let request = GlobalRequest::Unknown {
            name: "x@example.org".into(),
            body: Bytes::new(),
        };
        let client = &mut login.pair.client;
        let before = client.global_request(&request, true).unwrap();
        client.prove_host_keys(&keys()).unwrap();
        let after = client.global_request(&request, true).unwrap();
        client.prove_host_keys(&keys()[..1]).unwrap();
        login.run();
        for body in [&b"one"[..], b"two"] {
            let token =
                take!(login.server.events, ServerEvent::Shared(Event::GlobalRequest(t)) => t);
            login
                .pair
                .server
                .accept_global_request(token, body)
                .unwrap();
        }
        login.run();
        let mut order = Vec::new();
        for event in login.client.events.drain(..) {
            match event {
                ClientEvent::HostKeysProved(keys) => order.push((None, Bytes::new(), keys.len())),
                ClientEvent::Shared(Event::GlobalReply { request, result }) => {
                    order.push((Some(request), result.unwrap().body().clone(), 0));
                }
                _ => {}
            }
        }
        let expected = [
            (before, "one".into(), 0),
            (None, Bytes::new(), 2),
            (after, "two".into(), 0),
            (None, Bytes::new(), 1),
        ];
        assert_eq!(order, expected);
    });
}

/// A signature for the key exchange that comes late leaves the client its time to go on.
#[test]
fn a_late_signature_leaves_the_peer_its_time() {
    let key = fixtures::host_key();
    for_each_mode(|mode| {
        let mut pair = Pair::builder(mode)
            .server(|b| b.host_key(remote(&*key)))
            .server_limits(|limits| limits.login_grace = None)
            .build();
        let (mut client, mut server) = (ssh_tests::Inbox::new(), ssh_tests::Inbox::new());
        pair.run(&mut client, &mut server);
        let request = take!(server.events, ServerEvent::Shared(Event::Sign(r)) => r);
        // Longer than the deadline of key exchange, which does not run meanwhile; the client's is
        // longer still.
        pair.now = pair.now + Duration::from_secs(100);
        let signature = key.sign(request.algorithm(), request.message()).unwrap();
        pair.server.provide_signature(request, &signature).unwrap();
        let mut out = bytes::BytesMut::new();
        let _ = pair.server.poll_transmit(pair.now, &mut out);
        let left = pair.server.poll_timeout().unwrap() - pair.now;
        assert_eq!(left, Duration::from_secs(60));
    });
}
