//! OpenSSH's client at our server, our client at OpenSSH's server, and ours at ours as a control.
//!
//! `tests/run.sh` runs these with the peers in place; by themselves they are ignored.

mod agent;
mod algorithms;
mod certificates;
mod channels;
mod keyfiles;
mod limits;
mod login;
mod multiplex;
mod newest;
mod resilience;
mod session;
mod sftp;
mod signatures;
mod tools;
mod transfer;
mod trust;

use ssh_interop::{Key, KeyType, Login, Pair, Server, Setup, Side, TestDir, noise};

/// Makes a test of each scenario for each pair. `openssh_alone` runs a scenario without any code
/// of ours, to tell a wrong test from a wrong implementation; `tests/run.sh` leaves it out.
macro_rules! for_each_pair {
    ($($scenario:ident),* $(,)?) => {
        crate::pair_tests!(openssh_to_ours, OpenSsh, Ours, $($scenario),*);
        crate::pair_tests!(ours_to_openssh, Ours, OpenSsh, $($scenario),*);
        crate::pair_tests!(ours_to_ours, Ours, Ours, $($scenario),*);
        crate::pair_tests!(openssh_alone, OpenSsh, OpenSsh, $($scenario),*);
    };
}

macro_rules! pair_tests {
    ($name:ident, $client:ident, $server:ident, $($scenario:ident),*) => {
        mod $name {
            $(
                #[test]
                #[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
                fn $scenario() {
                    super::$scenario(ssh_interop::Pair {
                        client: ssh_interop::Side::$client,
                        server: ssh_interop::Side::$server,
                    });
                }
            )*
        }
    };
}

use {for_each_pair, pair_tests};

/// A server that a key logs in to, and the way in.
struct Scene {
    key: Key,
    server: Server,
    login: Login,
    /// The last to go: a server that a panic ends shows its log.
    dir: TestDir,
}

impl Scene {
    fn new(pair: Pair) -> Self {
        Self::with(pair, |_, setup| setup)
    }

    /// The server set up further by `more`.
    fn with(pair: Pair, more: impl FnOnce(&TestDir, Setup) -> Setup) -> Self {
        let dir = TestDir::new();
        let key = dir.key("user", KeyType::Ed25519, "");
        let setup = more(&dir, Setup::default().authorized(&key.public));
        let server = setup.start(pair.server, &dir);
        let login = Login::new(pair.client, &server, &dir).key(&key);
        Self {
            dir,
            key,
            server,
            login,
        }
    }
}

/// Asserts equality without printing megabytes.
#[track_caller]
fn assert_same(got: &[u8], wanted: &[u8]) {
    let at = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!(got.len(), wanted.len(), "first difference: {at:?}");
    assert_eq!(at, None, "same length, first difference");
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn peers() {
    for side in [Side::OpenSsh, Side::NewOpenSsh, Side::NewestOpenSsh] {
        let openssh = side.openssh().expect("OpenSSH");
        println!("peer: {}", openssh.version);
    }
    let newer = ssh_interop::OpenSsh::of_release("trixie");
    let mlkem = newer.kex.iter().any(|kex| kex == "mlkem768x25519-sha256");
    assert!(mlkem, "{} has no ML-KEM", newer.version);
}
