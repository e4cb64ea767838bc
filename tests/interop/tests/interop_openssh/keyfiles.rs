//! Key files that we write, read by `ssh-keygen`.

use getrandom::fill;
use ssh_interop::process::{command, run};
use ssh_interop::{Key, KeyType, TestDir};
use ssh_proto::crypto::{PrivateKey, SecureRandom, rustcrypto};
use ssh_proto::error::RandomFailed;
use ssh_proto::keys::{Comment, PublicKeyLine};

pub(crate) struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        fill(dest).map_err(|_| RandomFailed)
    }
}

fn keygen(arguments: &[&str], file: &std::path::Path) -> ssh_interop::Output {
    let mut keygen = command("ssh-keygen");
    keygen.args(arguments).arg("-f").arg(file);
    run(keygen)
}

fn read(key: &Key) -> PrivateKey {
    let file = std::fs::read(&key.private).expect("the private key");
    PrivateKey::from_openssh(&file).expect("a key that ssh-keygen wrote")
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn ssh_keygen_reads_what_we_write() {
    let dir = TestDir::new();
    let comment = Comment::new("who@where, with words");
    for key_type in KeyType::ALL {
        let original = dir.key(key_type.name(), key_type, "");
        let key = read(&original);
        let clear = key
            .to_openssh(&comment, &mut SystemRandom)
            .expect("written");
        let clear = dir.write_private("clear", clear.as_bytes());
        let line = keygen(&["-y", "-P", ""], &clear).ok();
        assert_eq!(
            line.trim(),
            format!("{} who@where, with words", original.line)
        );

        let sealed = key
            .to_openssh_encrypted(&comment, b"a pass phrase", 4, &mut SystemRandom)
            .expect("written");
        let sealed = dir.write_private("sealed", sealed.as_bytes());
        let line = keygen(&["-y", "-P", "a pass phrase"], &sealed).ok();
        assert_eq!(
            line.trim(),
            format!("{} who@where, with words", original.line)
        );
        for wrong in ["a wrong phrase", ""] {
            let output = keygen(&["-y", "-P", wrong], &sealed);
            assert!(
                output.failed(255).contains("incorrect passphrase"),
                "{output:?}"
            );
        }
    }
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn keys_that_we_make_are_good() {
    let dir = TestDir::new();
    let provider = rustcrypto::provider();
    for key_type in KeyType::ALL {
        let algorithm = key_type.name();
        let key = provider
            .keys
            .generate(algorithm, &mut SystemRandom)
            .expect("a key");
        let text = key
            .to_openssh(&Comment::default(), &mut SystemRandom)
            .expect("written");
        let file = dir.write_private(algorithm, text.as_bytes());
        let line = keygen(&["-y", "-P", ""], &file).ok();
        let line = PublicKeyLine::parse(line.as_bytes()).expect("a line");
        assert_eq!(line.key, key.public_key());
        // A signature shows that the two halves belong together.
        let message = dir.write("message", "text");
        let mut sign = command("ssh-keygen");
        sign.args(["-Y", "sign", "-n", "test", "-f"])
            .arg(&file)
            .arg(&message);
        run(sign).ok();
        let mut check = command("ssh-keygen");
        check.args(["-Y", "check-novalidate", "-n", "test", "-s"]);
        check.arg(dir.file("message.sig"));
        let output =
            ssh_interop::process::run_with(check, b"text".to_vec(), ssh_interop::process::PATIENCE);
        assert!(output.ok().contains("Good "), "{output:?}");
        std::fs::remove_file(dir.file("message.sig")).expect("removed");
    }
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn fingerprints_are_ssh_keygens() {
    let dir = TestDir::new();
    let provider = rustcrypto::provider();
    for key_type in KeyType::ALL {
        let key = dir.key(key_type.name(), key_type, "");
        let line = PublicKeyLine::parse(key.line.as_bytes()).expect("a line");
        let ours = line.key.fingerprint(provider.sha256).to_string();
        let theirs = keygen(&["-l"], &key.public).ok();
        assert_eq!(theirs.split(' ').nth(1), Some(ours.as_str()));
        assert_eq!(read(&key).public_key(), line.key);
    }
}
