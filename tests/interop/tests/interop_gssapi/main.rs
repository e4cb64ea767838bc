//! Logging in with Kerberos tickets (RFC 4462 section 3): OpenSSH's client at our server, our client
//! at OpenSSH's server, and ours at ours, each with a KDC of its own.
//!
//! `tests/run.sh` runs these; by themselves they are ignored.

mod kdc;
mod relay;

use std::path::Path;

use ssh_interop::peers::{account, password_account};
use ssh_interop::process::{PATIENCE, wait_until};
use ssh_interop::{KeyType, Login, Output, Pair, Server, Setup, Side, TestDir};

use kdc::{REALM, Realm, SERVICE, taking_tickets, using_tickets};

/// Makes a test of each scenario for each pair; see `interop_openssh`. The newest OpenSSH that Debian
/// has comes without GSS-API.
macro_rules! for_each_pair {
    ($($scenario:ident),* $(,)?) => {
        pair_tests!(openssh_to_ours, OpenSsh, Ours, $($scenario),*);
        pair_tests!(new_openssh_to_ours, NewOpenSsh, Ours, $($scenario),*);
        pair_tests!(ours_to_openssh, Ours, OpenSsh, $($scenario),*);
        pair_tests!(ours_to_new_openssh, Ours, NewOpenSsh, $($scenario),*);
        pair_tests!(ours_to_ours, Ours, Ours, $($scenario),*);
        pair_tests!(openssh_alone, OpenSsh, OpenSsh, $($scenario),*);
    };
}

macro_rules! pair_tests {
    ($name:ident, $client:ident, $server:ident, $($scenario:ident),*) => {
        mod $name {
            $(
                #[test]
                #[ignore = "needs a KDC and OpenSSH: tests/run.sh installs them and runs this"]
                fn $scenario() {
                    super::$scenario(super::Pair {
                        client: super::Side::$client,
                        server: super::Side::$server,
                    });
                }
            )*
        }
    };
}

for_each_pair!(
    a_ticket_logs_in,
    a_delegated_ticket_is_of_use_until_the_end,
    without_a_ticket_the_next_method_is_tried,
    without_a_key_of_the_service_the_next_method_is_tried,
    with_an_old_keytab_the_next_method_is_tried,
    another_principal_is_refused,
    a_namesake_of_another_realm_is_refused,
);

fn logged_in_by(output: &Output, method: &str) {
    let line = format!("using \"{method}\"");
    assert!(output.err().contains(&line), "{output:?}");
}

fn refused(output: &Output) {
    assert!(
        output.failed(255).contains("ermission denied"),
        "{output:?}"
    );
    assert_eq!(output.out(), "");
}

fn a_ticket_logs_in(pair: Pair) {
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[account()]);
    let server = taking_tickets(Setup::default(), realm.of_server()).start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir);
    let login = using_tickets(login, realm.of_client(Some(account())));
    for _ in 0..2 {
        let output = login.run("id -un; echo \"[$KRB5CCNAME]\"");
        // The client's own cache is not the session's, and nothing was delegated.
        assert_eq!(output.ok(), format!("{}\n[]\n", account()));
        logged_in_by(&output, "gssapi-with-mic");
    }
}

fn a_delegated_ticket_is_of_use_until_the_end(pair: Pair) {
    let (user, _) = password_account();
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[&user]);
    let server = taking_tickets(Setup::default(), realm.of_server()).start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir).user(&user);
    let login = using_tickets(login, realm.of_client(Some(&user)));
    let login = login.option("GSSAPIDelegateCredentials", "yes");
    let kvno = realm.kvno(SERVICE);
    let script = format!(
        "id -un; echo \"$KRB5CCNAME\"; stat -c '%U %a' \"${{KRB5CCNAME#FILE:}}\"; {kvno} && klist"
    );
    let output = login.run(&script);
    let text = output.ok();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(&*user), "{output:?}");
    let cache = lines.next().and_then(|line| line.strip_prefix("FILE:"));
    assert_eq!(lines.next(), Some(&*format!("{user} 600")), "{output:?}");
    for part in [
        format!("Default principal: {user}@{REALM}"),
        format!("krbtgt/{REALM}@{REALM}"),
        // Had with what was delegated.
        format!("{SERVICE}@{REALM}: kvno = "),
    ] {
        assert!(text.contains(&part), "{part} is missing: {output:?}");
    }
    let cache = cache.expect("the name of a file");
    wait_until("the cache is removed", PATIENCE, || {
        !Path::new(cache).exists()
    });
}

/// A server that takes tickets and a key, and a client that has the key.
fn with_a_key(pair: Pair, dir: &TestDir, realm: &Realm<'_>) -> (Server, Login) {
    let key = dir.key("user", KeyType::Ed25519, "");
    let setup = Setup::default().authorized(&key.public);
    let server = taking_tickets(setup, realm.of_server()).start(pair.server, dir);
    let login = Login::new(pair.client, &server, dir).key(&key);
    (server, login)
}

fn without_a_ticket_the_next_method_is_tried(pair: Pair) {
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[account()]);
    let (_server, login) = with_a_key(pair, &dir, &realm);
    let output = using_tickets(login, realm.of_client(None)).run("echo in");
    assert_eq!(output.ok(), "in\n");
    logged_in_by(&output, "publickey");
}

fn without_a_key_of_the_service_the_next_method_is_tried(pair: Pair) {
    let dir = TestDir::new();
    let realm = Realm::serving(&dir, &[account()], "host/elsewhere");
    let (_server, login) = with_a_key(pair, &dir, &realm);
    let output = using_tickets(login, realm.of_client(Some(account()))).run("echo in");
    assert_eq!(output.ok(), "in\n");
    logged_in_by(&output, "publickey");
}

/// The server's mechanism fails: it cannot read what the KDC gave the client.
fn with_an_old_keytab_the_next_method_is_tried(pair: Pair) {
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[account()]);
    realm.change_key();
    let (server, login) = with_a_key(pair, &dir, &realm);
    let output = using_tickets(login, realm.of_client(Some(account()))).run("echo in");
    assert_eq!(output.ok(), "in\n");
    logged_in_by(&output, "publickey");
    if pair.server.is_ours() {
        logs(&server, "refused: gssapi-with-mic");
    }
    if pair.client.is_ours() {
        assert!(output.err().contains("gssapi-with-mic: "), "{output:?}");
    }
}

/// That the server knew whose ticket it was, and would not have it.
fn refuses(server: &Server, pair: Pair, principal: &str) {
    match pair.server.is_ours() {
        true => {
            logs(server, &format!("the ticket of {principal:?}"));
            logs(server, "refused: gssapi-with-mic");
        }
        false => logs(server, "Failed gssapi-with-mic"),
    }
}

/// The client may be gone before the line arrives.
fn logs(server: &Server, line: &str) {
    wait_until(line, PATIENCE, || server.log().contains(line));
}

fn another_principal_is_refused(pair: Pair) {
    let (dir, own) = (TestDir::new(), account());
    let of_admin = format!("{own}/admin");
    let realm = Realm::new(&dir, &["mallory", &of_admin, own]);
    let server = taking_tickets(Setup::default(), realm.of_server()).start(pair.server, &dir);
    let run = |principal| {
        let login = Login::new(pair.client, &server, &dir);
        using_tickets(login, realm.of_client(Some(principal))).run("echo in")
    };
    for principal in ["mallory", &of_admin] {
        refused(&run(principal));
        refuses(&server, pair, &format!("{principal}@{REALM}"));
    }
    assert_eq!(run(own).ok(), "in\n");
}

/// The ticket's realm has the key of the service, but is not the one whose users have accounts.
fn a_namesake_of_another_realm_is_refused(pair: Pair) {
    let dir = TestDir::new();
    let realm = Realm::new(&dir, &[account()]);
    let setup = taking_tickets(Setup::default(), realm.of_foreign_server());
    let server = setup.start(pair.server, &dir);
    let login = Login::new(pair.client, &server, &dir);
    let login = using_tickets(login, realm.of_client(Some(account())));
    refused(&login.run("echo in"));
    refuses(&server, pair, &format!("{}@{REALM}", account()));
}
