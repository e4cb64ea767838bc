//! The server's methods beyond passwords and plain keys, as a whole connection carries them: `keyboard-interactive`, `hostbased`, `gssapi-with-mic`, host-bound keys, and what steps gather. The layer alone is attacked in `ssh-proto/src/auth`.

mod gssapi;
mod hosts;
mod interactive;
mod steps;

use ssh_proto::crypto::SigningKey;
use ssh_proto::wire::number;
use ssh_proto::{
    AuthRequest, Connection, MethodSet, Prompt, Prompts, ServerConfigBuilder, ServerConnection,
    ServerEvent, UnverifiedAttempt,
};
use ssh_tests::attack::{F, message};
use ssh_tests::{Hostile, Mode, Pair, Stage, fixtures};

type Server = Hostile<ServerConnection>;

const ALL: MethodSet = MethodSet::PUBLICKEY
    .union(MethodSet::GSSAPI_WITH_MIC)
    .union(MethodSet::PASSWORD)
    .union(MethodSet::KEYBOARD_INTERACTIVE)
    .union(MethodSet::HOSTBASED);
const ALL_NAMES: &[u8] = b"publickey,gssapi-with-mic,password,keyboard-interactive,hostbased";

const USER: &[u8] = fixtures::USER.as_bytes();
const HOSTBOUND: &[u8] = b"publickey-hostbound-v00@openssh.com";
const KERBEROS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

/// A server with every method, ready for requests.
fn server(mode: Mode) -> Server {
    server_with(mode, |builder| builder)
}

fn server_with(
    mode: Mode,
    change: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
) -> Server {
    let pair = Pair::builder(mode.without_rekeys())
        .server(|builder| change(builder.auth_methods(ALL)))
        .build();
    ready(pair, mode)
}

fn ready(pair: Pair, mode: Mode) -> Server {
    let mut h = Server::with_connection(pair.server, mode.chunking);
    h.advance_to(Stage::Service);
    h.peer.drain();
    h
}

fn request(method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    request_of(USER, method, rest)
}

fn request_of(user: &[u8], method: &[u8], rest: &[F<'_>]) -> Vec<u8> {
    let head = message(50, &[F::S(user), F::S(b"ssh-connection"), F::S(method)]);
    [&head, &message(0, rest)[1..]].concat()
}

fn password() -> Vec<u8> {
    request(b"password", &[F::B(0), F::S(b"crab")])
}

fn interactive() -> Vec<u8> {
    request(b"keyboard-interactive", &[F::S(b""), F::S(b"")])
}

fn responses(responses: &[&[u8]]) -> Vec<u8> {
    let mut fields = vec![F::U(responses.len() as u32)];
    fields.extend(responses.iter().map(|response| F::S(response)));
    message(61, &fields)
}

fn mechanisms(oids: &[&[u8]]) -> Vec<u8> {
    let mut fields = vec![F::U(oids.len() as u32)];
    fields.extend(oids.iter().map(|oid| F::S(oid)));
    request(b"gssapi-with-mic", &fields)
}

/// The session id as what is signed begins with it.
fn session(h: &Server) -> Vec<u8> {
    let session = h.peer.session_id.clone().expect("keys");
    message(0, &[F::S(&session)])[1..].to_vec()
}

/// A request and, as its last field, a signature.
fn with_signature(unsigned: &[u8], signature: &[u8]) -> Vec<u8> {
    let field = message(0, &[F::S(signature)]);
    [unsigned, &field[1..]].concat()
}

/// A signature over a request that lacks it, in the session that `session` begins with.
fn sign(session: &[u8], unsigned: &[u8], key: &dyn SigningKey) -> Vec<u8> {
    let data = [session, unsigned].concat();
    let signature = key.sign(key.algorithms()[0], &data).expect("signs");
    signature.as_encoded().to_vec()
}

fn signed_for(h: &Server, unsigned: &[u8], key: &dyn SigningKey) -> Vec<u8> {
    with_signature(unsigned, &sign(&session(h), unsigned, key))
}

/// `publickey`, `publickey-hostbound-v00@openssh.com` and `hostbased` without their signatures.
fn unsigned(method: &[u8], algorithm: &str, key: &dyn SigningKey, rest: &[F<'_>]) -> Vec<u8> {
    let mut fields = match method {
        b"hostbased" => vec![],
        _ => vec![F::B(1)],
    };
    fields.extend([F::S(algorithm.as_bytes()), F::S(key.public_key().as_blob())]);
    fields.extend(rest);
    request(method, &fields)
}

fn signed(h: &Server, key: &dyn SigningKey) -> Vec<u8> {
    let unsigned = unsigned(b"publickey", key.algorithms()[0], key, &[]);
    signed_for(h, &unsigned, key)
}

fn bound(h: &Server, key: &dyn SigningKey, host_key: &[u8]) -> Vec<u8> {
    let unsigned = unsigned(HOSTBOUND, key.algorithms()[0], key, &[F::S(host_key)]);
    signed_for(h, &unsigned, key)
}

fn vouched(h: &Server, key: &dyn SigningKey, host: &[u8], user: &[u8]) -> Vec<u8> {
    let names = [F::S(host), F::S(user)];
    let unsigned = unsigned(b"hostbased", key.algorithms()[0], key, &names);
    signed_for(h, &unsigned, key)
}

fn right_host_key() -> Vec<u8> {
    fixtures::host_key().public_key().as_blob().to_vec()
}

fn take_request(h: &mut Server) -> AuthRequest {
    match h.take_event(|event| matches!(event, ServerEvent::Auth(_))) {
        ServerEvent::Auth(request) => request,
        _ => unreachable!(),
    }
}

fn take_unverified(h: &mut Server) -> UnverifiedAttempt {
    match h.take_event(|event| matches!(event, ServerEvent::Unverified(_))) {
        ServerEvent::Unverified(attempt) => attempt,
        _ => unreachable!(),
    }
}

/// Sends a payload that the application is asked about.
fn ask(h: &mut Server, payload: &[u8]) -> AuthRequest {
    h.send_payload(payload);
    assert_eq!(h.peer.drain(), [], "nothing is said before the answer");
    take_request(h)
}

/// Begins `keyboard-interactive` and asks so many questions.
fn prompt(h: &mut Server, count: usize) {
    let pending = ask(h, &interactive());
    answer_with_prompts(h, pending, count);
}

fn answer_with_prompts(h: &mut Server, pending: AuthRequest, count: usize) {
    let prompts = Prompts::new("", "", vec![Prompt::new("?", false); count]);
    h.connection.prompt_auth(pending, &prompts).expect("fits");
    h.exchange();
    h.peer.expect(number::USERAUTH_INFO_REQUEST);
}

/// Up to the moment at which a GSS-API token is due.
fn select(h: &mut Server) {
    let pending = ask(h, &mechanisms(&[KERBEROS]));
    h.connection
        .select_gssapi_mechanism(pending, KERBEROS)
        .expect("offered");
    h.exchange();
    let selected = h.peer.expect(number::USERAUTH_GSSAPI_RESPONSE);
    assert_eq!(selected.payload[..], message(60, &[F::S(KERBEROS)])[..]);
}

/// Expects one message, a failure with every method.
fn expect_failure(h: &mut Server) {
    h.exchange();
    let failure = h.peer.expect(number::USERAUTH_FAILURE);
    let expected = message(51, &[F::S(ALL_NAMES), F::B(0)]);
    assert_eq!(failure.payload[..], expected[..]);
    assert_eq!(h.peer.drain(), []);
}

/// Sends a request that must fail without a question to the application.
fn fails_unasked(h: &mut Server, payload: &[u8]) {
    h.events.clear();
    h.send_payload(payload);
    assert_eq!(h.ended, None, "{:?}", payload.escape_ascii());
    assert_eq!(h.events.len(), 0, "{:?}", h.events);
    expect_failure(h);
}

fn accept(h: &mut Server, pending: AuthRequest, method: &str) {
    h.connection.accept_auth(pending).expect("fits");
    h.exchange();
    h.peer.expect(number::USERAUTH_SUCCESS);
    let proof = h.connection.authenticated().expect("authenticated");
    assert_eq!((proof.user(), proof.method()), (fixtures::USER, method));
}

#[test]
fn tokens_are_send_and_static() {
    fn check<T: Send + 'static>() {}
    check::<UnverifiedAttempt>();
    check::<AuthRequest>();
}
