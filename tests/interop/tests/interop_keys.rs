//! Key files there and back: every form that `ssh-keygen`, `openssl` and `puttygen` write is read, and what we write they read.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ssh_interop::process::{command, run};
use ssh_interop::{OpenSsh, Output, TestDir};
use ssh_proto::crypto::{PrivateKey, PublicKey, SecureRandom};
use ssh_proto::error::RandomFailed;
use ssh_proto::keys::{Comment, Container, KeyFileError, PrivateKeyFile, PublicKeyLine};

const PASSPHRASE: &str = "a pass phrase";

/// The releases of Debian whose newer ssh-keygen is asked, too.
const NEWER: [&str; 1] = ["trixie"];

/// Types of keys: a name, and how `ssh-keygen`, `openssl genpkey` and `puttygen` are asked for one.
const TYPES: [(&str, &str, &str, &str); 5] = [
    ("ed25519", "-t ed25519", "-algorithm ed25519", "-t ed25519"),
    (
        "ecdsa256",
        "-t ecdsa -b 256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-t ecdsa -b 256",
    ),
    (
        "ecdsa384",
        "-t ecdsa -b 384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-t ecdsa -b 384",
    ),
    (
        "ecdsa521",
        "-t ecdsa -b 521",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "-t ecdsa -b 521",
    ),
    (
        "rsa",
        "-t rsa -b 2048",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-t rsa -b 2048",
    ),
];

/// Makes of one key always the same file, so that files tell keys apart by all their numbers.
struct SameRandom;

impl SecureRandom for SameRandom {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        dest.fill(0x5c);
        Ok(())
    }
}

fn numbers(key: &PrivateKey) -> String {
    let text = key.to_openssh(&Comment::default(), &mut SameRandom);
    text.expect("written").to_string()
}

/// Runs a program with these words, and then files, as arguments.
fn call<P: AsRef<OsStr>>(program: impl AsRef<OsStr>, words: &str, files: &[P]) -> Output {
    let mut command = command(program);
    command.args(words.split(' ').filter(|word| !word.is_empty()));
    command.args(files);
    run(command)
}

fn openssl(words: &str) -> Output {
    call::<&str>("openssl", words, &[])
}

/// Reads a file that a tool wrote, with the wrong passphrase and none, too.
fn read(path: &Path, encrypted: bool) -> (Container, PrivateKey) {
    let shown = path.display();
    let bytes = fs::read(path).expect("a file that a tool wrote");
    let file = PrivateKeyFile::parse(&bytes).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(file.is_encrypted(), encrypted, "{shown}");
    if encrypted {
        let none = file.decrypt(None).err();
        assert_eq!(none, Some(KeyFileError::PassphraseRequired), "{shown}");
        let wrong = file.decrypt(Some(b"another pass phrase")).err();
        assert_eq!(wrong, Some(KeyFileError::WrongPassphrase), "{shown}");
    }
    let (key, _) = file
        .decrypt(Some(PASSPHRASE.as_bytes()))
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    if let Some(public) = file.public_key() {
        assert_eq!(*public, key.public_key(), "{shown}");
    }
    (file.container(), key)
}

fn public(line: &str) -> PublicKey {
    let line = PublicKeyLine::parse(line.as_bytes());
    line.expect("the line of a public key").key
}

fn copy(from: &Path, to: PathBuf) -> PathBuf {
    fs::copy(from, &to).expect("copied");
    to
}

fn keygens() -> Vec<PathBuf> {
    let system = OpenSsh::system().program("bin/ssh-keygen");
    let newer = NEWER.map(|suite| OpenSsh::of_release(suite).program("bin/ssh-keygen"));
    [system].into_iter().chain(newer).collect()
}

#[test]
#[ignore = "needs OpenSSH: tests/run.sh installs it and runs this"]
fn keys_of_ssh_keygen_are_read() {
    for keygen in keygens() {
        let ciphers = call::<&str>("ssh", "-Q cipher", &[]).ok();
        for (name, how, _, _) in TYPES {
            let dir = TestDir::new();
            let path = dir.file(name);
            let words = format!("-q {how} -C comment -f {}", path.display());
            call(&keygen, &words, &["-N", ""]).ok();
            let line = fs::read_to_string(dir.file(&format!("{name}.pub"))).expect("the line");
            let (container, key) = read(&path, false);
            assert_eq!(container, Container::OpenSsh);
            assert_eq!(key.public_key(), public(&line));
            for cipher in ciphers.lines() {
                let to = copy(&path, dir.file(cipher));
                let words = format!("-q -p -a 1 -Z {cipher} -f {}", to.display());
                call(&keygen, &words, &["-P", "", "-N", PASSPHRASE]).ok();
                assert_eq!(numbers(&read(&to, true).1), numbers(&key), "{cipher}");
            }
            for form in ["PEM", "PKCS8"] {
                for passphrase in ["", PASSPHRASE] {
                    let to = copy(&path, dir.file(form));
                    let words = format!("-q -p -a 1 -m {form} -f {}", to.display());
                    let output = call(&keygen, &words, &["-P", "", "-N", passphrase]);
                    output.ok();
                    let (container, again) = read(&to, !passphrase.is_empty());
                    assert_eq!(numbers(&again), numbers(&key), "{form}");
                    // Ed25519 has been in no form but its own for long.
                    let expected = match (form, name) {
                        (_, "ed25519") => continue,
                        ("PEM", "rsa") => Container::Pkcs1,
                        ("PEM", _) => Container::Sec1,
                        _ => Container::Pkcs8,
                    };
                    assert_eq!(container, expected, "{form} {name}");
                }
            }
        }
    }
}

#[test]
#[ignore = "needs openssl: tests/run.sh installs it and runs this"]
fn keys_of_openssl_are_read() {
    let dir = TestDir::new();
    let secret = dir.write("passphrase", PASSPHRASE);
    let secret = format!("-passout file:{}", secret.display());
    for (name, _, how, _) in TYPES {
        let path = dir.file(name);
        let shown = path.display();
        openssl(&format!("genpkey {how} -out {shown}")).ok();
        let (container, key) = read(&path, false);
        assert_eq!(container, Container::Pkcs8);
        // The public half as openssl tells it: its encoding ends in point or number, and exponent.
        let mut expected = openssl(&format!("pkey -in {shown} -pubout -outform DER")).stdout;
        if name == "rsa" {
            expected.truncate(expected.len() - 5);
        }
        let blob = key.public_key();
        let tail = &blob.as_blob()[blob.as_blob().len() - 32..];
        assert!(expected.ends_with(tail), "{name}");

        let same = |words: String, expected: Container, encrypted: bool| {
            let to = dir.file("to");
            openssl(&format!("{words} -out {}", to.display())).ok();
            let (container, again) = read(&to, encrypted);
            assert_eq!(container, expected, "{words}");
            assert_eq!(numbers(&again), numbers(&key), "{words}");
        };
        let pkcs8 = format!("pkcs8 -topk8 -in {shown}");
        for form in ["PEM", "DER"] {
            let clear = format!("{pkcs8} -nocrypt -outform {form}");
            same(clear, Container::Pkcs8, false);
            let scrypt = format!("{pkcs8} {secret} -scrypt -outform {form}");
            same(scrypt, Container::Pkcs8, true);
        }
        let scrypt = format!("{pkcs8} {secret} -scrypt_N 1024 -scrypt_r 4 -scrypt_p 3");
        same(scrypt, Container::Pkcs8, true);
        for cipher in ["aes128", "aes192", "aes256", "des3"] {
            for hash in ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"] {
                let sealed =
                    format!("{pkcs8} {secret} -v2 {cipher} -v2prf hmacWith{hash} -iter 100");
                same(sealed, Container::Pkcs8, true);
            }
        }
        let (program, traditional) = match name {
            // There is none.
            "ed25519" => continue,
            "rsa" => ("rsa -traditional", Container::Pkcs1),
            _ => ("ec", Container::Sec1),
        };
        for form in ["PEM", "DER"] {
            let clear = format!("{program} -in {shown} -outform {form}");
            same(clear, traditional, false);
        }
        for cipher in ["aes128", "aes192", "aes256", "des3"] {
            let sealed = format!("{program} -in {shown} {secret} -{cipher}");
            same(sealed, traditional, true);
        }
    }
}

#[test]
#[ignore = "needs puttygen: tests/run.sh installs it and runs this"]
fn keys_of_puttygen_are_read() {
    let dir = TestDir::new();
    let empty = dir.write("empty", "");
    let secret = dir.write("passphrase", PASSPHRASE);
    let (empty, secret) = (empty.display(), secret.display());
    for (name, _, _, how) in TYPES {
        let path = dir.file(name);
        let shown = path.display();
        let words = format!("-q {how} -O private -o {shown} --new-passphrase {empty}");
        call::<&str>("puttygen", &words, &[]).ok();
        let (container, key) = read(&path, false);
        assert_eq!(container, Container::Ppk);
        let line = call("puttygen", "-L", &[&path]).ok();
        assert_eq!(key.public_key(), public(&line));
        for (parameters, passphrase) in [
            ("version=2", &empty),
            ("version=2", &secret),
            ("version=3", &empty),
            ("version=3", &secret),
            ("kdf=argon2i,memory=256,passes=3", &secret),
            ("kdf=argon2d,memory=1024,passes=1,parallelism=4", &secret),
        ] {
            let to = dir.file("to");
            let words = format!(
                "{shown} -O private -o {} --reencrypt --ppk-param {parameters} \
                 --new-passphrase {passphrase}",
                to.display()
            );
            call::<&str>("puttygen", &words, &[]).ok();
            let encrypted = passphrase.to_string() == secret.to_string();
            let (container, again) = read(&to, encrypted);
            assert_eq!(container, Container::Ppk);
            assert_eq!(numbers(&again), numbers(&key), "{name} {parameters}");
        }
        // What it exports for OpenSSH.
        for form in ["private-openssh", "private-openssh-new"] {
            for (passphrase, encrypted) in [(&empty, false), (&secret, true)] {
                let to = dir.file("to");
                let words = format!(
                    "{shown} -O {form} -o {} --new-passphrase {passphrase}",
                    to.display()
                );
                call::<&str>("puttygen", &words, &[]).ok();
                assert_eq!(
                    numbers(&read(&to, encrypted).1),
                    numbers(&key),
                    "{name} {form}"
                );
            }
        }
    }
}

/// An Ed25519 secret is a number to PuTTY, whose zeros at the end it leaves out.
#[test]
#[ignore = "needs puttygen: tests/run.sh installs it and runs this"]
fn short_secrets_of_puttygen_are_read() {
    let dir = TestDir::new();
    let pem = dir.file("pem");
    // A secret of RFC 8410's form, 31 bytes and a zero.
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([0x5a; 31]);
    der.push(0);
    let (_, key) = {
        fs::write(&pem, &der).expect("written");
        read(&pem, false)
    };
    let ours = dir.write_private("ours", numbers(&key));
    let ppk = dir.file("ppk");
    let empty = dir.write("empty", "");
    let words = format!(
        "{} -O private -o {} --new-passphrase {}",
        ours.display(),
        ppk.display(),
        empty.display()
    );
    call::<&str>("puttygen", &words, &[]).ok();
    assert_eq!(numbers(&read(&ppk, false).1), numbers(&key));
}

#[test]
#[ignore = "needs OpenSSH and puttygen: tests/run.sh installs them and runs this"]
fn keys_that_we_write_are_read() {
    let dir = TestDir::new();
    let empty = dir.write("empty", "");
    let secret = dir.write("passphrase", PASSPHRASE);
    let message = dir.write("message", "text");
    let comment = Comment::new("who@where, with words");
    for (name, _, how, _) in TYPES {
        // A key of another form, so that nothing of the file is copied.
        let path = dir.file(name);
        openssl(&format!("genpkey {how} -out {}", path.display())).ok();
        let (_, key) = read(&path, false);
        let expected = PublicKeyLine {
            key: key.public_key(),
            comment: comment.clone(),
        };
        let clear = key.to_openssh(&comment, &mut SameRandom).expect("written");
        let sealed = key
            .to_openssh_encrypted(&comment, PASSPHRASE.as_bytes(), 4, &mut SameRandom)
            .expect("written");
        for (text, passphrase, file) in [(clear, "", &empty), (sealed, PASSPHRASE, &secret)] {
            let ours = dir.write_private("ours", text.as_bytes());
            for keygen in keygens() {
                let words = format!("-y -f {}", ours.display());
                let line = call(&keygen, &words, &["-P", passphrase]).ok();
                assert_eq!(line.trim(), expected.to_string(), "{name}");
            }
            let words = format!("-L {} --old-passphrase {}", ours.display(), file.display());
            let line = call::<&str>("puttygen", &words, &[]).ok();
            assert_eq!(line.trim(), expected.to_string(), "{name}");
            // All numbers come back from PuTTY, which looks at them more closely than OpenSSH.
            let ppk = dir.file("ppk");
            let words = format!(
                "{} --old-passphrase {} -O private -o {} --new-passphrase {}",
                ours.display(),
                file.display(),
                ppk.display(),
                empty.display()
            );
            call::<&str>("puttygen", &words, &[]).ok();
            assert_eq!(numbers(&read(&ppk, false).1), numbers(&key), "{name}");
        }
        // A signature shows that the two halves belong together.
        let ours = dir.write_private("ours", numbers(&key));
        let words = format!("-Y sign -n test -f {}", ours.display());
        call("ssh-keygen", &words, &[&message]).ok();
        fs::remove_file(dir.file("message.sig")).expect("a signature");
    }
}

#[test]
#[ignore = "needs OpenSSH and puttygen: tests/run.sh installs them and runs this"]
fn public_keys_of_rfc_4716_go_there_and_back() {
    let dir = TestDir::new();
    for (name, how, _, _) in TYPES {
        let path = dir.file(name);
        let words = format!("-q {how} -C comment -f {}", path.display());
        call("ssh-keygen", &words, &["-N", ""]).ok();
        let line_file = dir.file(&format!("{name}.pub"));
        let line = fs::read(&line_file).expect("the line");
        let line = PublicKeyLine::parse(&line).expect("a line");
        let words = format!("-e -m RFC4716 -f {}", line_file.display());
        let theirs = call::<&str>("ssh-keygen", &words, &[]).ok();
        let read = PublicKeyLine::from_rfc4716(theirs.as_bytes()).expect("a file of RFC 4716");
        assert_eq!(read.key, line.key);

        let ours = PublicKeyLine {
            comment: Comment::new("sixty bytes, which is what ssh-keygen keeps of any comment ."),
            ..line
        };
        let file = dir.write("ours", ours.to_rfc4716().expect("written"));
        let words = format!("-i -m RFC4716 -f {}", file.display());
        let back = call::<&str>("ssh-keygen", &words, &[]).ok();
        assert_eq!(public(&back), ours.key);
        let back = call("puttygen", "-L", &[&file]).ok();
        assert_eq!(back.trim(), ours.to_string());
    }
}
