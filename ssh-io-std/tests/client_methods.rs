//! The blocking client's ways to log in: prompts, keys that are held elsewhere, hosts that vouch.
#![cfg(unix)]

mod client_server;

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use client_server::{Step, listen};
use ssh_io_std::{Client, ClientError, ClientHandler, Credential, OsRandom};
use ssh_proto::crypto::{PublicKey, Signature, SigningKey, rustcrypto};
use ssh_proto::error::ApiMisuse;
use ssh_proto::{ClientConfig, HostKeyCheck, Password, Prompt, Prompts, SignRequest};

/// Answers each prompt by what follows in this list, and signs with this key.
struct Handler {
    answers: Vec<&'static str>,
    key: Arc<dyn SigningKey>,
    seen: Sender<String>,
}

impl ClientHandler for Handler {
    fn host_key(&mut self, _: &HostKeyCheck) -> bool {
        true
    }

    fn prompts(&mut self, prompts: &Prompts) -> Option<Vec<Password>> {
        let texts: Vec<_> = prompts.prompts.iter().map(|prompt| &*prompt.text).collect();
        self.seen.send(texts.join("|")).unwrap();
        let count = self.answers.len().min(texts.len());
        let enough = texts.is_empty() || count > 0;
        let answers = self.answers.drain(..count);
        enough.then(|| answers.map(Password::new).collect())
    }

    fn sign(&mut self, request: &SignRequest) -> Option<Signature> {
        self.seen.send("sign".to_owned()).unwrap();
        self.key.sign(request.algorithm(), request.message()).ok()
    }
}

fn key() -> Arc<dyn SigningKey> {
    let provider = rustcrypto::provider();
    let key = provider
        .keys
        .generate("ssh-ed25519", &mut OsRandom)
        .unwrap();
    provider.signing_key(&key).unwrap()
}

fn rounds() -> Step {
    let round = |texts: &[&str]| {
        let prompts: Vec<_> = texts.iter().map(|text| Prompt::new(*text, false)).collect();
        Prompts::new("", "", prompts)
    };
    Step::Prompts(vec![
        (round(&["a", "b"]), vec!["one", "two"]),
        (round(&[]), vec![]),
        (round(&["c"]), vec!["three"]),
    ])
}

struct Setup {
    client: Client<TcpStream>,
    seen: std::sync::mpsc::Receiver<String>,
}

fn login(steps: &[Step], answers: &[&'static str], key: &Arc<dyn SigningKey>) -> Setup {
    let port = listen(steps, &["ssh-ed25519"]);
    let (sender, seen) = channel();
    let handler = Handler {
        answers: answers.to_vec(),
        key: Arc::clone(key),
        seen: sender,
    };
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let client = Client::connect(("127.0.0.1", port), "ferris", &config, handler).unwrap();
    Setup { client, seen }
}

fn public(key: &Arc<dyn SigningKey>) -> PublicKey {
    key.public_key().clone()
}

#[test]
fn prompts_are_answered_round_by_round() {
    let mut setup = login(&[rounds()], &["one", "two", "three"], &key());
    let proof = setup
        .client
        .authenticate([Credential::KeyboardInteractive])
        .unwrap();
    assert_eq!(proof.method(), "keyboard-interactive");
    let seen: Vec<_> = setup.seen.try_iter().collect();
    assert_eq!(seen, ["a|b", "", "c"]);
}

#[test]
fn wrong_answers_fail_and_none_leave_the_method() {
    let answers = ["one", "wrong", "one", "two", "three"];
    let mut setup = login(&[rounds()], &answers, &key());
    let proof = setup.client.authenticate([
        Credential::KeyboardInteractive,
        Credential::KeyboardInteractive,
    ]);
    assert_eq!(proof.unwrap().method(), "keyboard-interactive");

    let mut setup = login(&[rounds()], &[], &key());
    let error = setup
        .client
        .authenticate([Credential::KeyboardInteractive])
        .unwrap_err();
    assert!(
        matches!(error, ClientError::NotAuthenticated { .. }),
        "{error}"
    );
    assert_eq!(setup.seen.try_iter().count(), 1);
}

#[test]
fn answers_that_cannot_be_sent_are_told_to_the_caller() {
    // Two prompts, one answer.
    let mut setup = login(&[rounds()], &["one"], &key());
    let error = setup
        .client
        .authenticate_with(|_| Some(Credential::KeyboardInteractive))
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unusable(ApiMisuse::InvalidText)),
        "{error}"
    );
    assert_eq!(setup.seen.try_iter().count(), 1);
    // It can go on.
    let error = setup.client.authenticate([]).unwrap_err();
    assert!(
        matches!(error, ClientError::NotAuthenticated { .. }),
        "{error}"
    );

    let (right, wrong) = (key(), key());
    let mut setup = login(&[Step::Key(public(&right))], &[], &wrong);
    let remote = || Credential::RemoteKey(public(&right));
    let error = setup
        .client
        .authenticate_with(|_| Some(remote()))
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Unusable(ApiMisuse::InvalidSignature)),
        "{error}"
    );
    assert_eq!(setup.seen.try_iter().count(), 1);
    let proof = setup.client.authenticate([Credential::Key(right)]).unwrap();
    assert_eq!(proof.method(), "publickey");
}

#[test]
fn a_key_that_is_held_elsewhere_signs_where_it_is_of_use() {
    let (right, other) = (key(), key());
    let mut setup = login(&[Step::Key(public(&right))], &[], &right);
    let credentials = [&other, &right].map(|key| Credential::RemoteKey(public(key)));
    let proof = setup.client.authenticate(credentials).unwrap();
    assert_eq!(proof.method(), "publickey");
    assert_eq!(setup.seen.try_iter().count(), 1, "the other one signed");

    // A handler that is a closure does not sign.
    let port = listen(&[Step::Key(public(&right))], &["ssh-ed25519"]);
    let config = ClientConfig::builder(rustcrypto::provider())
        .build()
        .unwrap();
    let any = |_: &HostKeyCheck| true;
    let mut client = Client::connect(("127.0.0.1", port), "ferris", &config, any).unwrap();
    let error = client
        .authenticate([Credential::RemoteKey(public(&right))])
        .unwrap_err();
    assert!(
        matches!(error, ClientError::NotAuthenticated { .. }),
        "{error}"
    );
    let error = client
        .authenticate([Credential::KeyboardInteractive])
        .unwrap_err();
    assert!(
        matches!(error, ClientError::NotAuthenticated { .. }),
        "{error}"
    );
}

#[test]
fn several_steps_are_taken_in_the_order_of_the_server() {
    let (user, host) = (key(), key());
    let steps = [
        Step::Hostbased(public(&host)),
        rounds(),
        Step::Key(public(&user)),
        Step::Password("crab"),
    ];
    let mut setup = login(&steps, &["one", "two", "three"], &user);
    let proof = setup.client.authenticate([
        Credential::Hostbased {
            key: host,
            client_host: "here.".to_owned(),
            client_user: "ferris".to_owned(),
        },
        Credential::KeyboardInteractive,
        Credential::RemoteKey(public(&user)),
        Credential::Password(Password::new("crab")),
    ]);
    assert_eq!(proof.unwrap().method(), "password");
    let output = setup.client.exec("status 4").unwrap().output(100).unwrap();
    assert_eq!(output.exit, ssh_io_std::Exit::Status(4));
}
