//! Security keys at the example server, of an authenticator that is made up: touch and verification, as lines and certificates demand them.
#![cfg(unix)]

mod programs;

use std::fs;
use std::sync::Arc;

use programs::{Folder, Server, USER};
use ssh_io_std::{Client, ClientHandler, Credential, OsRandom};
use ssh_proto::crypto::{CertificateBuilder, PublicKey, Signature, SigningKey, rustcrypto};
use ssh_proto::keys::{Comment, PublicKeyLine};
use ssh_proto::{ClientConfig, HostKeyCheck, SignRequest};

const TOUCHED: u8 = 1;
const VERIFIED: u8 = 1 << 2;

/// The key inside, and what it says of the person (OpenSSH PROTOCOL.u2f).
struct Authenticator {
    key: Arc<dyn SigningKey>,
    flags: u8,
}

impl ClientHandler for Authenticator {
    fn host_key(&mut self, _: &HostKeyCheck) -> bool {
        true
    }

    fn sign(&mut self, request: &SignRequest) -> Option<Signature> {
        let sha256 = rustcrypto::provider().sha256;
        let said = [self.flags, 0, 0, 0, 9];
        let (application, message) = (sha256.hash(&[b"ssh:"]), sha256.hash(&[request.message()]));
        let signed = [application.as_ref(), &said, message.as_ref()].concat();
        let signature = self.key.sign("ssh-ed25519", &signed).unwrap();
        let plain = Signature::new(request.algorithm(), signature.blob());
        Some(Signature::from_encoded([plain.as_encoded(), &said].concat()).unwrap())
    }
}

fn line(key: &PublicKey) -> String {
    let (key, comment) = (key.clone(), Comment::default());
    PublicKeyLine { key, comment }.to_string()
}

#[test]
fn touch_and_verification_are_demanded() {
    let folder = Folder::new();
    let file = folder.path("authorized_keys");
    let log = folder.path("log");
    let server = Server::start(&["--authorized-keys", &file, "--log", &log]);
    let provider = rustcrypto::provider();
    let generate = || {
        let key = provider.keys.generate("ssh-ed25519", &mut OsRandom);
        provider.signing_key(&key.unwrap()).unwrap()
    };
    let (inside, authority) = (generate(), generate());
    let blob = inside.public_key().as_blob();
    let point = blob[blob.len() - 32..].try_into().unwrap();
    let key = PublicKey::sk_ed25519(&point, "ssh:");
    let certified = |builder: CertificateBuilder| {
        let certificate = builder.principal(USER);
        let certificate = certificate.sign(&*authority, "ssh-ed25519", &mut OsRandom);
        certificate.unwrap().as_public_key().clone()
    };
    let of_user = || CertificateBuilder::user(key.clone(), "");
    let untouched = certified(of_user().permit("no-touch-required"));
    let verified = certified(of_user().verify_required());
    let config = ClientConfig::builder(provider.clone()).build().unwrap();
    let login = |options: &str, offered: &PublicKey, flags: u8| {
        let listed = match offered.is_certificate() {
            true => authority.public_key(),
            false => &key,
        };
        fs::write(&file, format!("{options} {}\n", line(listed))).unwrap();
        let key = Arc::clone(&inside);
        let hardware = Authenticator { key, flags };
        let mut client = Client::connect(&*server.address, USER, &config, hardware).unwrap();
        let credential = Credential::RemoteKey(offered.clone());
        client.authenticate([credential]).is_ok()
    };
    for (options, offered, flags, is_in) in [
        ("", &key, TOUCHED, true),
        ("", &key, 0, false),
        ("no-touch-required", &key, 0, true),
        ("verify-required", &key, TOUCHED, false),
        ("verify-required", &key, TOUCHED | VERIFIED, true),
        ("cert-authority", &untouched, TOUCHED, true),
        // Both have to say so.
        ("cert-authority", &untouched, 0, false),
        ("cert-authority,no-touch-required", &untouched, 0, true),
        (
            "cert-authority,no-touch-required",
            &verified,
            VERIFIED,
            false,
        ),
        ("cert-authority", &verified, TOUCHED, false),
        ("cert-authority", &verified, TOUCHED | VERIFIED, true),
    ] {
        let outcome = login(options, offered, flags);
        assert_eq!(outcome, is_in, "{options:?} {} {flags}", offered.key_type());
    }
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("refused: a key that has not verified its user"));
    // A key that is none cannot verify anybody.
    fs::write(
        &file,
        format!("verify-required {}\n", line(inside.public_key())),
    )
    .unwrap();
    let trusting = |_: &HostKeyCheck| true;
    let mut client = Client::connect(&*server.address, USER, &config, trusting).unwrap();
    assert!(client.authenticate_key(inside).is_err());
}
