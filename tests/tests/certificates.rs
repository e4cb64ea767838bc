//! Certificates end to end (draft-ietf-sshm-cert): of hosts in key exchange, of users in authentication; items D8, E9, G8, G11, H19 and M10 of the notes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use ssh_proto::crypto::{
    Certificate, CertificateAlgorithm, CertificateBuilder, CertificateCheck, CertificateError,
    CertificateRights, CertifiedKey, CryptoProvider, PublicKey, Signature, SignatureAlgorithm,
    SigningKey,
};
use ssh_proto::error::{ApiMisuse, CryptoError, DisconnectReason, Error, PeerMisbehaved};
use ssh_proto::wire::number;
use ssh_proto::{
    AuthMethod, ChannelKind, ChannelRequest, ClientConfig, ClientConnection, ClientEvent,
    Connection, Disconnected, Event, HostKey, HostKeyCheck, Permissions, Restrictions,
    ServerConnection, ServerEvent,
};
use ssh_tests::attack::{F, chunked, message};
use ssh_tests::{
    Hostile, Login, Mode, Pair, PairBuilder, Stage, TestRng, fixtures, for_each_mode, take,
};

const HOST: &str = "host.example";
const NOW: u64 = 1_800_000_000;

fn authority() -> Arc<dyn SigningKey> {
    fixtures::key("ssh-ed25519", 900)
}

fn sign(builder: &CertificateBuilder) -> Certificate {
    let authority = authority();
    let algorithm = authority.algorithms()[0];
    builder
        .sign(&*authority, algorithm, &mut TestRng::new(4))
        .expect("signs")
}

fn certified(key: Arc<dyn SigningKey>, certificate: Certificate) -> Arc<dyn SigningKey> {
    Arc::new(CertifiedKey::new(key, certificate).expect("its key"))
}

fn host_builder() -> CertificateBuilder {
    CertificateBuilder::host(fixtures::host_key().public_key().clone(), "the host").principal(HOST)
}

/// A server that has the host key of the fixtures by this certificate alone.
fn server_with(mode: Mode, certificate: Certificate, is_remote: bool) -> PairBuilder {
    let config = ssh_proto::ServerConfig::builder(fixtures::provider());
    let key = match is_remote {
        false => HostKey::Local(certified(fixtures::host_key(), certificate)),
        true => HostKey::Remote {
            key: certificate.as_public_key().clone(),
            algorithms: vec!["ssh-ed25519-cert-v01@openssh.com"],
        },
    };
    Pair::builder(mode).server(|_| config.host_key(key))
}

fn check(certificate: &Certificate) -> Result<CertificateRights, CertificateError> {
    let authorities = [authority().public_key().clone()];
    let check = CertificateCheck::host(HOST, NOW, &authorities);
    certificate.verify(&check, &fixtures::provider())
}

/// Runs to the question about the host key; a server's signature elsewhere is provided.
fn host_key_check(login: &mut Raw) -> HostKeyCheck {
    login.run();
    let at = |event: &ServerEvent| matches!(event, ServerEvent::Shared(Event::Sign(_)));
    if login.server.events.iter().any(at) {
        let sign = take!(login.server.events, ServerEvent::Shared(Event::Sign(sign)) => sign);
        // As the holder of the key would see it: the algorithm is that of the signature.
        assert!(sign.key().is_certificate());
        let key = fixtures::host_key();
        let signature = key.sign(sign.algorithm(), sign.message()).expect("signs");
        let server = &mut login.pair.server;
        server.provide_signature(sign, &signature).expect("right");
        login.run();
    }
    take!(login.client.events, ClientEvent::HostKey(check) => check)
}

/// A pair from its first byte on.
struct Raw {
    pair: Pair,
    client: ssh_tests::Inbox<ClientConnection>,
    server: ssh_tests::Inbox<ServerConnection>,
}

impl Raw {
    fn new(builder: PairBuilder) -> Self {
        Self {
            pair: builder.build(),
            client: ssh_tests::Inbox::new(),
            server: ssh_tests::Inbox::new(),
        }
    }

    fn run(&mut self) {
        self.pair.run(&mut self.client, &mut self.server);
    }
}

#[test]
fn d8_a_host_with_a_certificate_is_believed() {
    for_each_mode(|mode| {
        for is_remote in [false, true] {
            let certificate = sign(&host_builder().serial(3));
            let mode = mode.without_rekeys();
            let mut login = Raw::new(server_with(mode, certificate.clone(), is_remote));
            let question = host_key_check(&mut login);
            assert_eq!(question.algorithm(), "ssh-ed25519-cert-v01@openssh.com");
            assert_eq!(question.key(), certificate.as_public_key());
            assert_eq!(question.certificate(), Some(&certificate));
            assert_eq!(check(&certificate), Ok(CertificateRights::default()));
            login.pair.client.accept_host_key(question).expect("own");
            login.run();
            let turn = take!(login.client.events, ClientEvent::Auth(turn) => turn);
            // The signature of the user covers the certificate, on both sides.
            let client = &mut login.pair.client;
            client
                .auth_publickey(turn, &*fixtures::user_key())
                .expect("own");
            login.run();
            let request = take!(login.server.events, ServerEvent::Auth(request) => request);
            login.pair.server.accept_auth(request).expect("own");
            login.run();
            assert!(login.pair.client.authenticated().is_some());
            // A certificate is not announced, nor is its key (OpenSSH PROTOCOL section 2.5).
            let told = |event: &ClientEvent| matches!(event, ClientEvent::HostKeys(_));
            assert!(!login.client.events.iter().any(told));
            let presented = [certificate.as_public_key().clone()];
            assert!(login.pair.client.prove_host_keys(&presented).is_err());
        }
    });
}

/// D6: the same certificate is the same key, at every rekey; `for_each_mode` has many.
#[test]
fn d6_a_certificate_stays_through_rekeys() {
    for_each_mode(|mode| {
        let certificate = sign(&host_builder());
        let mut login = Login::new(server_with(mode, certificate.clone(), false).build());
        let request = login.password(fixtures::PASSWORD);
        login.accept(request);
        login.pair.client.rekey().expect("authenticated");
        login.run();
        let mut rekeyed = 0;
        for event in &login.client.events {
            assert!(!matches!(event, ClientEvent::HostKey(_)));
            if let ClientEvent::Shared(Event::KeysChanged(keys)) = event {
                assert_eq!(&keys.host_key, certificate.as_public_key());
                assert_eq!(keys.host_key_signature.algorithm(), "ssh-ed25519");
                rekeyed += usize::from(keys.is_rekey);
            }
        }
        assert!(rekeyed > 0);
    });
}

#[test]
fn d8_hosts_whose_certificate_does_not_hold() {
    use CertificateError as E;

    let host = || fixtures::host_key().public_key().clone();
    let other = fixtures::key("ssh-ed25519", 901);
    let by_other = host_builder()
        .sign(&*other, "ssh-ed25519", &mut TestRng::new(1))
        .expect("signs");
    for (certificate, error) in [
        (
            sign(&CertificateBuilder::user(host(), "").principal(HOST)),
            E::WrongKind,
        ),
        (sign(&host_builder().valid(0, NOW)), E::Expired),
        (
            sign(&host_builder().valid(NOW + 1, u64::MAX)),
            E::NotYetValid,
        ),
        (
            sign(&CertificateBuilder::host(host(), "").principal("h")),
            E::WrongPrincipal,
        ),
        (by_other, E::UnknownAuthority),
    ] {
        chunked(|mode| {
            let mut login = Raw::new(server_with(mode, certificate.clone(), false));
            let question = host_key_check(&mut login);
            let presented = question.certificate().expect("well-formed");
            assert_eq!(check(presented), Err(error.clone()));
            // The plain key is there for who wants to fall back to it; nothing does by itself.
            assert_eq!(presented.public_key(), &host());
            login.pair.client.reject_host_key(question).expect("own");
            login.run();
            let end = Disconnected::Error(Error::HostKeyRejected);
            assert_eq!(login.pair.client_end(), Some(&end));
            let Some(Disconnected::ByPeer { reason, .. }) = login.pair.server_end() else {
                panic!("{:?}", login.pair.server_end());
            };
            assert_eq!(*reason, DisconnectReason::HOST_KEY_NOT_VERIFIABLE);
        });
    }
}

/// The application asks for the plain key and knows that one.
#[test]
fn d8_fallback_to_the_plain_key_is_the_applications() {
    chunked(|mode| {
        let expired = sign(&host_builder().valid(0, 1));
        let mut login = Raw::new(server_with(mode, expired, false));
        let question = host_key_check(&mut login);
        let presented = question.certificate().expect("well-formed");
        assert!(check(presented).is_err());
        assert_ne!(question.key(), fixtures::host_key().public_key());
        assert_eq!(presented.public_key(), fixtures::host_key().public_key());
        login.pair.client.accept_host_key(question).expect("own");
        login.run();
        drop(take!(login.client.events, ClientEvent::Auth(turn) => turn));
    });
}

/// A key that claims to be a certificate and is none, and signatures that are not by the key in it.
#[test]
fn d8_malformed_certificates_and_wrong_proofs_of_hosts() {
    let name = "ssh-ed25519-cert-v01@openssh.com";
    let certificate = sign(&host_builder());
    let blob = certificate.as_public_key().as_blob();
    type Forge<'a> = &'a dyn Fn(&[u8]) -> Signature;
    type Change<'a> = &'a dyn Fn(&mut ssh_tests::RawReply, &[u8]);
    let mut cut = blob.to_vec();
    cut.pop();
    let long = [blob, &[0]].concat();
    let plain = fixtures::host_key().public_key().as_blob().to_vec();
    let mut kind = blob.to_vec();
    let at = blob
        .windows(12)
        .position(|w| w == b"\0\0\0\x02\0\0\0\x08the ");
    kind[at.expect("kind and key id") + 3] = 3;
    let other = sign(&host_builder().serial(9));
    let spoiled = [
        (&cut[..], PeerMisbehaved::BadHostKey),
        (&long, PeerMisbehaved::BadHostKey),
        (&plain, PeerMisbehaved::BadHostKey),
        (&kind, PeerMisbehaved::BadHostKey),
        // Another certificate than the signature covers.
        (
            other.as_public_key().as_blob(),
            PeerMisbehaved::BadHostKeySignature,
        ),
    ];
    chunked(|mode| {
        let run = |change: Change<'_>| {
            let mut h = Hostile::<ClientConnection>::new(mode);
            h.peer.host_key = certified(fixtures::host_key(), certificate.clone());
            h.peer.offer.kex = vec!["curve25519-sha256".into()];
            h.peer.offer.host_keys = vec![name.into()];
            h.advance_to(Stage::KexInit);
            let init = h.peer.expect(number::KEX_ECDH_INIT);
            let mut reply = h.peer.make_reply(&init);
            let hash = h.peer.latest_hash().to_vec();
            change(&mut reply, &hash);
            h.peer.send_reply(&reply);
            h.peer.send_newkeys();
            h.exchange();
            h
        };
        let asks = |event: &ClientEvent| matches!(event, ClientEvent::HostKey(_));
        let good = run(&|_, _| {});
        assert!(good.events.iter().any(asks), "{:?}", good.events);
        for (blob, error) in spoiled {
            let h = run(&|reply, _| reply.host_key = blob.to_vec());
            assert!(!h.events.iter().any(asks));
            assert_eq!(h.error(), &Error::from(error));
        }
        // Named by the certificate's algorithm; by the authority; by somebody else.
        let wrong: [Forge<'_>; 3] = [
            &|hash| {
                let right = fixtures::host_key().sign("ssh-ed25519", hash);
                Signature::new(name, &right.expect("signs").blob()[..64])
            },
            &|hash| authority().sign("ssh-ed25519", hash).expect("signs"),
            &|hash| {
                let key = fixtures::key("ecdsa-sha2-nistp256", 1);
                key.sign("ecdsa-sha2-nistp256", hash).expect("signs")
            },
        ];
        for wrong in wrong {
            let h = run(&|reply, hash| reply.signature = wrong(hash).as_encoded().to_vec());
            assert!(!h.events.iter().any(asks));
            assert_eq!(h.error(), &Error::from(PeerMisbehaved::BadHostKeySignature));
        }
    });
}

/// A server with a key and its certificate: each is its own type, clients prefer the certificate,
/// and the plain key is announced and proved.
#[test]
fn i6_a_plain_key_beside_its_certificate() {
    for_each_mode(|mode| {
        for (names, expected) in [
            (None, "ssh-ed25519-cert-v01@openssh.com"),
            (Some("ssh-ed25519"), "ssh-ed25519"),
        ] {
            let key = certified(fixtures::host_key(), sign(&host_builder()));
            let mut builder = Pair::builder(mode).server(|b| b.signing_host_key(key));
            if let Some(name) = names {
                builder = builder.client(|b| b.host_key_algorithms([name]));
            }
            let mut login = Login::new(builder.build());
            let request = login.password(fixtures::PASSWORD);
            login.accept(request);
            let negotiated = login.client.events.iter().find_map(|event| match event {
                ClientEvent::Shared(Event::KeysChanged(keys)) => Some(keys.host_key_algorithm),
                _ => None,
            });
            assert_eq!(negotiated, Some(expected));
            let told = take!(login.client.events, ClientEvent::HostKeys(keys) => keys);
            assert_eq!(told, [fixtures::host_key().public_key().clone()]);
            login.pair.client.prove_host_keys(&told).expect("known");
            login.run();
            let proved = take!(login.client.events, ClientEvent::HostKeysProved(keys) => keys);
            assert_eq!(proved, told);
        }
    });
}

fn user_builder() -> CertificateBuilder {
    CertificateBuilder::user(fixtures::user_key().public_key().clone(), "ferris@crab")
        .principal(fixtures::USER)
        .serial(77)
}

fn check_user(certificate: &Certificate) -> Result<CertificateRights, CertificateError> {
    let authorities = [authority().public_key().clone()];
    let source: IpAddr = [10, 0, 0, 1].into();
    let check = CertificateCheck::user(&[fixtures::USER], NOW, &authorities).source(source);
    certificate.verify(&check, &fixtures::provider())
}

/// The client presents this certificate, and the server is asked.
fn present(login: &mut Login, certificate: &Certificate, is_remote: bool) {
    let key = certified(fixtures::user_key(), certificate.clone());
    let turn = login.turn();
    let client = &mut login.pair.client;
    if !is_remote {
        client.auth_publickey(turn, &*key).expect("own");
        login.run();
        return;
    }
    client
        .auth_publickey_remote(turn, key.public_key())
        .expect("own");
    login.run();
    let query = take!(login.server.events, ServerEvent::KeyQuery(query) => query);
    assert_eq!(query.certificate(), Some(certificate));
    assert_eq!(query.algorithm(), "ssh-ed25519-cert-v01@openssh.com");
    login
        .pair
        .server
        .answer_key_query(query, true)
        .expect("own");
    login.run();
    let sign = take!(login.client.events, ClientEvent::Shared(Event::Sign(sign)) => sign);
    assert_eq!(sign.algorithm(), "ssh-ed25519");
    assert_eq!(sign.key(), certificate.as_public_key());
    let signature = fixtures::user_key().sign(sign.algorithm(), sign.message());
    let client = &mut login.pair.client;
    client
        .provide_signature(sign, &signature.expect("signs"))
        .expect("right");
    login.run();
}

#[test]
fn a_user_logs_in_by_certificate() {
    for_each_mode(|mode| {
        for is_remote in [false, true] {
            let certificate = sign(&user_builder().permit_all());
            let mut login = Login::new(Pair::new(mode));
            present(&mut login, &certificate, is_remote);
            let mut request = login.request();
            assert_eq!(request.certificate(), Some(&certificate));
            let AuthMethod::PublicKey { key, algorithm } = request.method() else {
                panic!("{request:?}");
            };
            assert_eq!(key, certificate.as_public_key());
            assert_eq!(*algorithm, "ssh-ed25519-cert-v01@openssh.com");
            let rights = check_user(request.certificate().expect("there")).expect("holds");
            request.restrict(&Restrictions::from(&rights));
            login.accept(request);
            login.assert_authenticated("publickey");
            for proof in [
                login.pair.client.authenticated(),
                login.pair.server.authenticated(),
            ] {
                let identity = proof.and_then(|proof| proof.certificate()).expect("named");
                assert_eq!(identity.key_id(), "ferris@crab");
                assert_eq!(identity.serial(), 77);
                assert_eq!(identity.signature_key(), authority().public_key());
                let steps = proof.expect("there").steps();
                assert_eq!(steps[0].certificate(), Some(identity));
            }
        }
    });
}

/// An application that knows nothing of certificates compares keys as a whole, and knows none.
#[test]
fn a_certificate_is_not_its_key() {
    chunked(|mode| {
        let mut login = Login::new(Pair::new(mode));
        present(&mut login, &sign(&user_builder()), false);
        let request = login.request();
        assert_ne!(
            request.method().key(),
            Some(fixtures::user_key().public_key())
        );
        drop(request);
        login.run();
        drop(login.turn());
    });
}

/// G11: the plain key and its certificate are one key, and one step.
#[test]
fn g11_a_certificate_is_no_second_factor_to_its_key() {
    chunked(|mode| {
        let plain = fixtures::user_key();
        let certificate = sign(&user_builder());
        let presented = certified(fixtures::user_key(), certificate.clone());
        // Another certificate of the same key.
        let again = certified(fixtures::user_key(), sign(&user_builder().serial(78)));
        for (first, second) in [
            (&plain, &presented),
            (&presented, &plain),
            (&presented, &again),
        ] {
            let mut login = Login::new(Pair::new(mode));
            let turn = login.turn();
            let client = &mut login.pair.client;
            client.auth_publickey(turn, &**first).expect("own");
            login.run();
            let request = login.request();
            let server = &mut login.pair.server;
            server
                .accept_auth_partially(request, ssh_proto::MethodSet::PUBLICKEY)
                .expect("own");
            login.run();
            let turn = login.turn();
            let client = &mut login.pair.client;
            client.auth_publickey(turn, &**second).expect("own");
            login.run();
            let asked = |event: &ServerEvent| matches!(event, ServerEvent::Auth(_));
            assert!(!login.server.events.iter().any(asked));
            drop(login.turn());
        }
    });
}

#[test]
fn h19_a_certificate_without_permissions_permits_nothing() {
    let all = Permissions::ALL;
    let forwarding = Permissions::PORT_FORWARDING | Permissions::TUN;
    for (name, granted) in [
        (None, Permissions::NONE),
        (Some("permit-pty"), Permissions::PTY),
        (Some("permit-X11-forwarding"), Permissions::X11),
        (Some("permit-agent-forwarding"), Permissions::AGENT),
        (Some("permit-port-forwarding"), forwarding),
        (Some("permit-user-rc"), Permissions::NONE),
        // Names that are almost right.
        (Some("permit-x11-forwarding"), Permissions::NONE),
        (Some("permit-PTY"), Permissions::NONE),
        (Some("no-touch-required"), Permissions::NONE),
    ] {
        let builder = name.iter().fold(user_builder(), |b, name| b.permit(name));
        let rights = check_user(&sign(&builder)).expect("holds");
        let restrictions = Restrictions::from(&rights);
        assert_eq!(restrictions.permissions(), granted, "{name:?}");
        assert_eq!(rights.user_rc(), name == Some("permit-user-rc"));
    }
    let rights = check_user(&sign(&user_builder().permit_all())).expect("holds");
    assert_eq!(Restrictions::from(&rights).permissions(), all);

    for_each_mode(|mode| {
        let mut login = Login::new(Pair::new(mode));
        present(&mut login, &sign(&user_builder()), false);
        let mut request = login.request();
        let rights = check_user(request.certificate().expect("there")).expect("holds");
        request.restrict(&Restrictions::from(&rights));
        login.accept(request);
        let server = login.pair.server.authenticated().expect("in");
        assert_eq!(server.permissions(), Permissions::NONE);
        let kinds = [
            ChannelKind::DirectTcpip {
                host: "h".into(),
                port: 1,
                originator_address: "o".into(),
                originator_port: 2,
            },
            ChannelKind::DirectStreamlocal { path: "/p".into() },
        ];
        for kind in kinds {
            login.pair.client.open_channel(&kind).expect("room");
            login.run();
            let opened =
                |event: &ServerEvent| matches!(event, ServerEvent::Shared(Event::ChannelOpen(_)));
            assert!(!login.server.events.iter().any(opened), "{kind:?}");
        }
        let session = login.pair.client.open_channel(&ChannelKind::Session);
        let session = session.expect("room");
        login.run();
        let open = take!(login.server.events, ServerEvent::Shared(Event::ChannelOpen(o)) => o);
        login.pair.server.accept_channel(open).expect("own");
        login.run();
        for request in [ChannelRequest::AuthAgent, ChannelRequest::Agent] {
            let client = &mut login.pair.client;
            client.request(session, &request, true).expect("open");
            login.run();
            let asked = |e: &ServerEvent| matches!(e, ServerEvent::Shared(Event::Request(_)));
            assert!(!login.server.events.iter().any(asked), "{request:?}");
        }
    });
}

/// M10: the command of the certificate and another of the key's options.
#[test]
fn m10_two_commands_that_differ_deny() {
    for_each_mode(|mode| {
        for (other, good) in [("id", true), ("date", false)] {
            let certificate = sign(&user_builder().force_command(b"id"));
            let mut login = Login::new(Pair::new(mode));
            present(&mut login, &certificate, false);
            let mut request = login.request();
            let rights = check_user(&certificate).expect("holds");
            request.restrict(&Restrictions::from(&rights));
            request.restrict(&Restrictions::default().with_force_command(other));
            let accepted = login.pair.server.accept_auth(request);
            login.run();
            assert_eq!(accepted.is_ok(), good);
            match good {
                true => {
                    let proof = login.pair.server.authenticated().expect("in");
                    assert_eq!(proof.force_command(), Some(&b"id"[..]));
                }
                false => {
                    assert_eq!(accepted, Err(ApiMisuse::WrongAnswer));
                    assert!(login.pair.server.authenticated().is_none());
                }
            }
        }
    });
}

fn userauth(algorithm: &str, key: &PublicKey, signature: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![
        F::S(fixtures::USER.as_bytes()),
        F::S(b"ssh-connection"),
        F::S(b"publickey"),
        F::B(u8::from(signature.is_some())),
        F::S(algorithm.as_bytes()),
        F::S(key.as_blob()),
    ];
    fields.extend(signature.map(F::S));
    message(50, &fields)
}

/// G8: algorithm, key and signature each say that they are of the certificate, or of its key.
#[test]
fn g8_the_matrix_of_certificates_and_plain_keys() {
    let plain = "ssh-ed25519";
    let name = "ssh-ed25519-cert-v01@openssh.com";
    let certificate = sign(&user_builder());
    let key = fixtures::user_key();
    chunked(|mode| {
        for algorithm in [plain, name] {
            for blob in [key.public_key(), certificate.as_public_key()] {
                for format in [plain, name] {
                    let mut h = Hostile::<ServerConnection>::at(Stage::Service, mode);
                    let session = h.peer.session_id.clone().expect("keys");
                    let signed = [
                        &message(0, &[F::S(&session)])[1..],
                        &message(
                            50,
                            &[
                                F::S(fixtures::USER.as_bytes()),
                                F::S(b"ssh-connection"),
                                F::S(b"publickey"),
                                F::B(1),
                                F::S(algorithm.as_bytes()),
                                F::S(blob.as_blob()),
                            ],
                        ),
                    ]
                    .concat();
                    let right = key.sign(plain, &signed).expect("signs");
                    let signature = Signature::new(format, &right.blob()[..64]);
                    h.send_payload(&userauth(algorithm, blob, Some(signature.as_encoded())));
                    let asked = h.events.iter().any(|e| matches!(e, ServerEvent::Auth(_)));
                    let fits = blob.key_type() == algorithm && format == plain;
                    assert_eq!(asked, fits, "{algorithm} {blob:?} {format}");
                }
            }
        }
    });
}

/// E9: an algorithm that is off the list fails whatever the key is, and a key that is no
/// certificate fails where its algorithm is on it.
#[test]
fn e9_certificates_by_the_list() {
    let certificate = sign(&user_builder());
    let blob = certificate.as_public_key().as_blob();
    let cut = PublicKey::from_blob(blob[..blob.len() - 1].to_vec()).expect("a type");
    let server = |mode: Mode, names: &[&str]| {
        let pair = Pair::builder(mode.without_rekeys())
            .server(|b| b.public_key_algorithms(names.iter().copied()))
            .build();
        let mut h = Hostile::with_connection(pair.server, mode.chunking);
        h.advance_to(Stage::Service);
        h
    };
    let name = "ssh-ed25519-cert-v01@openssh.com";
    chunked(|mode| {
        for (names, key, algorithm, asked) in [
            (&[name][..], certificate.as_public_key(), name, true),
            (
                &["ssh-ed25519", name],
                certificate.as_public_key(),
                name,
                true,
            ),
            (&["ssh-ed25519"], certificate.as_public_key(), name, false),
            (
                &["ssh-ed25519"],
                certificate.as_public_key(),
                "ssh-ed25519",
                false,
            ),
            (
                &[name],
                certificate.as_public_key(),
                "ssh-rsa-cert-v01@openssh.com",
                false,
            ),
            (&[name], &cut, name, false),
            (&[name], fixtures::user_key().public_key(), name, false),
            (
                &[name],
                fixtures::user_key().public_key(),
                "ssh-ed25519",
                false,
            ),
        ] {
            let mut h = server(mode, names);
            h.send_payload(&userauth(algorithm, key, None));
            let is_asked = h
                .events
                .iter()
                .any(|e| matches!(e, ServerEvent::KeyQuery(_)));
            assert_eq!(is_asked, asked, "{names:?} {key:?} {algorithm}");
        }
    });
}

/// An algorithm of RSA keys by name; of RSA there is nothing in it.
struct Toy(&'static str);

static SHA512: Toy = Toy("rsa-sha2-512");
static SHA256: Toy = Toy("rsa-sha2-256");
static CERTIFIED_SHA512: CertificateAlgorithm = CertificateAlgorithm::new(
    "rsa-sha2-512-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    &SHA512,
);
static CERTIFIED_SHA256: CertificateAlgorithm = CertificateAlgorithm::new(
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    &SHA256,
);

impl SignatureAlgorithm for Toy {
    fn name(&self) -> &'static str {
        self.0
    }

    fn key_type(&self) -> &'static str {
        "ssh-rsa"
    }

    fn verify(&self, _: &PublicKey, _: &[u8], signature: &Signature) -> Result<(), CryptoError> {
        match signature.algorithm() == self.0 {
            true => Ok(()),
            false => Err(CryptoError::InvalidSignature),
        }
    }
}

#[derive(Debug)]
struct ToyKey(PublicKey);

impl SigningKey for ToyKey {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn algorithms(&self) -> &[&'static str] {
        &["rsa-sha2-512", "rsa-sha2-256"]
    }

    fn sign(&self, algorithm: &str, _: &[u8]) -> Result<Signature, CryptoError> {
        Ok(Signature::new(algorithm, b"toy"))
    }
}

fn toys() -> CryptoProvider {
    let mut provider = fixtures::provider();
    let mut signatures = provider.signatures.into_owned();
    signatures.retain(|algorithm| !algorithm.name().starts_with("rsa-"));
    let toys: [&dyn SignatureAlgorithm; 4] =
        [&CERTIFIED_SHA512, &CERTIFIED_SHA256, &SHA512, &SHA256];
    signatures.extend(toys);
    provider.signatures = Cow::Owned(signatures);
    provider
}

/// 17: `server-sig-algs` names what keys sign with, and decides which certificate algorithm it is;
/// a server tells no more, as OpenSSH.
#[test]
fn s8_17_what_is_announced_decides_for_certificates() {
    let key: Arc<dyn SigningKey> = Arc::new(ToyKey(PublicKey::rsa(&[1, 0, 1], &[0xc1; 256])));
    let certificate =
        sign(&CertificateBuilder::user(key.public_key().clone(), "").principal(fixtures::USER));
    let key = certified(key, certificate);
    for_each_mode(|mode| {
        for (accepted, announced, expected) in [
            (
                &[
                    "rsa-sha2-256-cert-v01@openssh.com",
                    "rsa-sha2-512-cert-v01@openssh.com",
                ][..],
                "rsa-sha2-256,rsa-sha2-512",
                "rsa-sha2-512-cert-v01@openssh.com",
            ),
            (
                &["rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256"],
                "rsa-sha2-256",
                "rsa-sha2-256-cert-v01@openssh.com",
            ),
        ] {
            let server = ssh_proto::ServerConfig::builder(toys())
                .signing_host_key(fixtures::host_key())
                .public_key_algorithms(accepted.iter().copied());
            let builder = Pair::builder(mode)
                .client(|_| ClientConfig::builder(toys()))
                .server(|_| server);
            let mut login = Login::new(builder.build());
            let said = take!(login.client.events, ClientEvent::Shared(Event::ExtInfo(e)) => e);
            assert_eq!(said.value("server-sig-algs"), Some(announced.as_bytes()));
            let turn = login.turn();
            login.pair.client.auth_publickey(turn, &*key).expect("own");
            login.run();
            let request = login.request();
            match request.method() {
                AuthMethod::PublicKey { algorithm, .. } => assert_eq!(*algorithm, expected),
                other => panic!("{other:?}"),
            }
            login.accept(request);
            login.assert_authenticated("publickey");
        }
    });
}

/// G11, H19: the application only looks at whose certificate it is; what restricts it holds.
#[test]
fn h19_what_a_certificate_restricts_holds_by_itself() {
    for_each_mode(|mode| {
        let builder = user_builder().permit("permit-pty").force_command(b"id");
        let mut login = Login::new(Pair::new(mode));
        present(&mut login, &sign(&builder), false);
        let request = login.request();
        login.accept(request);
        let proof = login.pair.server.authenticated().expect("in");
        assert_eq!(proof.permissions(), Permissions::PTY);
        assert_eq!(proof.force_command(), Some(&b"id"[..]));
    });
}

/// M9: the application is not even asked about the certificate of a host, nor about one with an
/// option that nobody would enforce; neither in a query nor with a signature.
#[test]
fn m9_what_nobody_would_enforce_fails_without_a_question() {
    let user = || fixtures::user_key().public_key().clone();
    let host = CertificateBuilder::host(user(), "").principal(fixtures::USER);
    chunked(|mode| {
        for (builder, is_asked) in [
            (user_builder(), true),
            (host.clone(), false),
            (
                user_builder().critical_option("over-there", &b""[..]),
                false,
            ),
        ] {
            let certificate = sign(&builder);
            let key = certified(fixtures::user_key(), certificate.clone());
            for is_query in [false, true] {
                let mut login = Login::new(Pair::new(mode));
                let turn = login.turn();
                let client = &mut login.pair.client;
                match is_query {
                    true => client.auth_publickey_remote(turn, certificate.as_public_key()),
                    false => client.auth_publickey(turn, &*key),
                }
                .expect("own");
                login.run();
                let asked = |event: &ServerEvent| {
                    matches!(event, ServerEvent::Auth(_) | ServerEvent::KeyQuery(_))
                };
                assert_eq!(login.server.events.iter().any(asked), is_asked);
            }
        }
    });
}

/// G9, E9: the key in a certificate is held to the size that plain keys are, before anything else.
#[test]
fn g9_rsa_keys_in_certificates_have_a_size() {
    let name = "rsa-sha2-512-cert-v01@openssh.com";
    let asked = |mode: Mode, modulus: usize, least: usize| {
        let key = PublicKey::rsa(&[1, 0, 1], &vec![0xc1; modulus]);
        let certificate = sign(&CertificateBuilder::user(key, "").principal(fixtures::USER));
        let server = ssh_proto::ServerConfig::builder(toys())
            .signing_host_key(fixtures::host_key())
            .min_rsa_bits(least)
            .public_key_algorithms([name]);
        let pair = Pair::builder(mode.without_rekeys()).server(|_| server);
        let mut h = Hostile::with_connection(pair.build().server, mode.chunking);
        h.advance_to(Stage::Service);
        h.send_payload(&userauth(name, certificate.as_public_key(), None));
        let asked = |event: &ServerEvent| matches!(event, ServerEvent::KeyQuery(_));
        h.events.iter().any(asked)
    };
    chunked(|mode| {
        for (modulus, least, is_asked) in [
            (128, 2048, false),
            (255, 2048, false),
            (256, 2048, true),
            (256, 3072, false),
            (384, 3072, true),
            (128, 1024, true),
        ] {
            assert_eq!(asked(mode, modulus, least), is_asked, "{modulus} {least}");
        }
    });
}
