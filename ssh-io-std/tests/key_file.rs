//! Private keys from files and to files.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::Mode;
use ssh_io_std::{
    Existing, read_private_key, read_signing_key, read_signing_key_with, write_private_key,
};
use ssh_proto::crypto::{PrivateKey, rustcrypto};
use ssh_proto::keys::{Comment, Container, PrivateKeyFile};

const OPENSSH: &[u8] = include_bytes!("../../ssh-proto/src/keys/testdata/ed25519");

fn sample(name: &str) -> PathBuf {
    let folder = "../ssh-proto/src/keys/testdata/containers";
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name)
}

fn key() -> PrivateKey {
    PrivateKey::from_openssh(OPENSSH).unwrap()
}

/// An empty folder of its own for each test, removed in the end. Whatever is made there gets no
/// help of the umask.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        rustix::process::umask(Mode::empty());
        let path = std::env::temp_dir().join(format!("ssh-io-std-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_of_every_container_are_read() {
    let provider = rustcrypto::provider();
    for (name, passphrase) in [
        ("ed25519.pkcs8", None),
        (
            "ed25519.pkcs8_scrypt-aes256.der",
            Some(&b"correct horse"[..]),
        ),
        ("ec256.sec1_aes256", Some(b"correct horse")),
        ("ed25519.ppk3_argon2id", Some(b"correct horse")),
    ] {
        let key = read_signing_key(sample(name), passphrase, &provider).unwrap();
        let (value, _) =
            read_private_key(sample(name), |_, _| passphrase.map(<[u8]>::to_vec)).unwrap();
        assert_eq!(*key.public_key(), value.public_key(), "{name}");
    }
}

#[test]
fn passphrases_are_asked_for_until_one_is_right() {
    let provider = rustcrypto::provider();
    let read = |name: &str, answers: &[Option<&str>]| {
        let mut asked = Vec::new();
        let key = read_signing_key_with(
            sample(name),
            |file, wrong| {
                asked.push((file.container(), wrong));
                answers[wrong as usize].map(|answer| answer.as_bytes().to_vec())
            },
            &provider,
        );
        (key, asked)
    };
    let encrypted = "ed25519.pkcs8_sha256-aes256";
    let (key, asked) = read(encrypted, &[Some("a"), Some(""), Some("correct horse")]);
    assert!(key.is_ok());
    assert_eq!(asked, [0, 1, 2].map(|wrong| (Container::Pkcs8, wrong)));
    let (key, asked) = read(encrypted, &[None]);
    assert!(key.unwrap_err().needs_passphrase());
    assert_eq!(asked.len(), 1);
    let (key, asked) = read(encrypted, &[Some("a"), None]);
    let error = key.unwrap_err();
    assert!(!error.needs_passphrase());
    assert!(
        error
            .to_string()
            .ends_with("wrong passphrase, or damaged key file"),
        "{error}"
    );
    assert_eq!(asked.len(), 2);
    let (key, asked) = read("ed25519.pkcs8", &[]);
    assert!(key.is_ok() && asked.is_empty());
}

#[test]
fn m13_private_keys_are_written_for_their_owner_alone() {
    let folder = Folder::new("owner");
    let path = folder.0.join("key");
    let comment = Comment::new("a comment");
    let write =
        |passphrase, existing| write_private_key(&path, &key(), &comment, passphrase, existing);
    write(None, Existing::Keep).unwrap();
    assert_eq!(mode(&path), 0o600);
    let read = read_private_key(&path, |_, _| None).unwrap();
    assert_eq!(
        (read.0.public_key(), read.1),
        (key().public_key(), comment.clone())
    );

    // What is there stays, whatever it is.
    fs::write(&path, "precious").unwrap();
    let error = write(None, Existing::Keep).unwrap_err();
    assert!(error.already_exists(), "{error}");
    assert_eq!(error.path(), path);
    assert_eq!(fs::read(&path).unwrap(), b"precious");

    // Or goes, and its mode with it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    write(Some(b"passphrase"), Existing::Replace).unwrap();
    assert_eq!(mode(&path), 0o600);
    let file = PrivateKeyFile::parse(&fs::read(&path).unwrap()).unwrap();
    assert!(file.is_encrypted());
    assert!(file.decrypt(Some(b"passphrase")).is_ok());
    assert_eq!(folder.names(), ["key"], "nothing is left over");
}

#[test]
fn m13_symbolic_links_are_not_followed() {
    let folder = Folder::new("links");
    let (path, target) = (folder.0.join("key"), folder.0.join("target"));
    let write = |existing| write_private_key(&path, &key(), &Comment::default(), None, existing);
    symlink(&target, &path).unwrap();
    assert!(write(Existing::Keep).unwrap_err().already_exists());
    assert!(!target.exists());
    fs::write(&target, "precious").unwrap();
    assert!(write(Existing::Keep).unwrap_err().already_exists());
    write(Existing::Replace).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(folder.names(), ["key", "target"]);
}

#[test]
fn m13_what_fails_leaves_nothing_behind() {
    let folder = Folder::new("failures");
    let path = folder.0.join("key");
    fs::create_dir(&path).unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        let error = write_private_key(&path, &key(), &Comment::default(), None, existing);
        let error = error.unwrap_err();
        assert!(
            error.to_string().starts_with(path.to_str().unwrap()),
            "{error}"
        );
        let comment = Comment::new("two\nlines");
        let free = folder.0.join("free");
        assert!(write_private_key(&free, &key(), &comment, None, existing).is_err());
        let empty = Some(&b""[..]);
        let comment = Comment::default();
        assert!(write_private_key(&free, &key(), &comment, empty, existing).is_err());
    }
    assert_eq!(folder.names(), ["key"]);
}

/// Somebody who looks all the time sees no moment at which others could read the key
/// (CVE-2022-24302), and with `Replace` always a whole one.
#[test]
fn m13_at_no_time_is_the_file_open_to_others() {
    let folder = Folder::new("race");
    let path = folder.0.join("key");
    let write = |existing| {
        write_private_key(&path, &key(), &Comment::default(), None, existing).unwrap();
    };
    write(Existing::Keep);
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                assert!(PrivateKey::from_openssh(&fs::read(&path).unwrap()).is_ok());
                for entry in fs::read_dir(&folder.0).unwrap().flatten() {
                    let Ok(data) = entry.metadata() else { continue };
                    assert_eq!(data.mode() & 0o077, 0);
                    seen += 1;
                }
            }
            seen
        });
        for _ in 0..200 {
            write(Existing::Replace);
        }
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    });
    assert!(seen > 0);
    assert_eq!(folder.names(), ["key"]);
}
