//! OpenSSH private key files against those that ssh-keygen made, and against damage.

use alloc::format;
use alloc::string::String;

use super::*;
use crate::crypto::EcdsaCurve;
use crate::error::{CryptoError, RandomFailed};
use crate::keys::PublicKeyLine;
use crate::limits::{MAX_KEY_COMMENT, MAX_KEY_FILE};

const PASSPHRASE: &[u8] = b"correct horse";
const ED25519: &[u8] = include_bytes!("../testdata/ed25519");
const ED25519_PUB: &str = include_str!("../testdata/ed25519.pub");
const ECDSA: &[u8] = include_bytes!("../testdata/ecdsa");
const ECDSA_PUB: &str = include_str!("../testdata/ecdsa.pub");
const ED25519_AES256_CTR: &[u8] = include_bytes!("../testdata/ed25519_aes256-ctr");
const ECDSA_AES256_CTR: &[u8] = include_bytes!("../testdata/ecdsa_aes256-ctr");

/// One key under every other cipher that is supported.
const OTHER_CIPHERS: &[&[u8]] = &[
    include_bytes!("../testdata/ed25519_aes128-cbc"),
    include_bytes!("../testdata/ed25519_aes192-cbc"),
    include_bytes!("../testdata/ed25519_aes256-cbc"),
    #[cfg(feature = "legacy")]
    include_bytes!("../testdata/ed25519_3des-cbc"),
    include_bytes!("../testdata/ed25519_aes128-ctr"),
    include_bytes!("../testdata/ed25519_aes192-ctr"),
    include_bytes!("../testdata/ed25519_aes128-gcm"),
    include_bytes!("../testdata/ed25519_aes256-gcm"),
    include_bytes!("../testdata/ed25519_chacha20-poly1305"),
];

/// Keys of the other types, security keys and the last by OpenSSH's own tests.
const OTHER_TYPES: [(&[u8], &str); 7] = [
    (
        include_bytes!("../testdata/rsa"),
        include_str!("../testdata/rsa.pub"),
    ),
    (
        include_bytes!("../testdata/dsa"),
        include_str!("../testdata/dsa.pub"),
    ),
    (
        include_bytes!("../testdata/ecdsa384"),
        include_str!("../testdata/ecdsa384.pub"),
    ),
    (
        include_bytes!("../testdata/ecdsa521"),
        include_str!("../testdata/ecdsa521.pub"),
    ),
    (
        include_bytes!("../testdata/ed25519_sk"),
        include_str!("../testdata/ed25519_sk.pub"),
    ),
    (
        include_bytes!("../testdata/ecdsa_sk"),
        include_str!("../testdata/ecdsa_sk.pub"),
    ),
    (
        include_bytes!("../testdata/mldsa44-ed25519"),
        include_str!("../testdata/mldsa44-ed25519.pub"),
    ),
];

/// Counts, so that what it fills is known and differs each time.
struct Counter(u8);

impl SecureRandom for Counter {
    fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
        for byte in dest {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

struct NoRandom;

impl SecureRandom for NoRandom {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomFailed> {
        Err(RandomFailed)
    }
}

fn public(line: &str) -> PublicKeyLine {
    PublicKeyLine::parse(line.as_bytes()).unwrap()
}

fn secret(key: &PrivateKey) -> [u8; 32] {
    match key {
        PrivateKey::Ed25519 { seed, .. } => ***seed,
        PrivateKey::Ecdsa { scalar, .. } => scalar[..].try_into().unwrap(),
        _ => panic!("not among the files of these tests"),
    }
}

#[test]
fn files_of_ssh_keygen_are_read() {
    for (file, line) in [(ED25519, ED25519_PUB), (ECDSA, ECDSA_PUB)]
        .into_iter()
        .chain(OTHER_TYPES)
    {
        let line = public(line);
        let file = PrivateKeyFile::parse(file).unwrap();
        assert!(!file.is_encrypted());
        assert_eq!(*file.public_key(), line.key);
        for passphrase in [None, Some(PASSPHRASE)] {
            let (key, comment) = file.decrypt(passphrase).unwrap();
            assert_eq!(key.public_key(), line.key);
            assert_eq!(comment, line.comment);
        }
    }
}

/// Of a security key all but the key is there, so that it can be handed to who has the hardware.
#[test]
fn handles_of_security_keys_are_read() {
    for (file, _) in OTHER_TYPES {
        match PrivateKey::from_openssh(file).unwrap() {
            PrivateKey::SkEd25519 { handle, .. } | PrivateKey::SkEcdsa { handle, .. } => {
                assert_eq!(handle.application, "ssh:");
                assert_eq!(handle.flags, 1);
                assert!(!handle.key_handle.is_empty());
                assert!(handle.reserved.is_empty());
            }
            _ => {}
        }
    }
}

/// Each type once, and every file that reads makes a key that signs, but for those whose key is
/// elsewhere or whose algorithm is not compiled in.
#[test]
#[cfg(all(feature = "rustcrypto", feature = "rsa"))]
fn keys_of_all_types_sign() {
    let provider = crate::crypto::rustcrypto::provider();
    for (file, _) in OTHER_TYPES {
        let key = PrivateKey::from_openssh(file).unwrap();
        let key_type = key.public_key().key_type().to_owned();
        let is_missing =
            key_type.starts_with("sk-") || !cfg!(feature = "legacy") && key_type == "ssh-dss";
        match provider.signing_key(&key) {
            Ok(signing) => {
                assert!(!is_missing);
                for name in signing.algorithms() {
                    let signature = signing.sign(name, b"sample").unwrap();
                    let algorithm = provider.signature(name).unwrap();
                    let verdict = algorithm.verify(&key.public_key(), b"sample", &signature);
                    assert_eq!(verdict, Ok(()));
                }
            }
            Err(error) => {
                assert!(is_missing, "{key_type}");
                assert_eq!(error, CryptoError::Unsupported);
            }
        }
    }
}

#[test]
fn encrypted_files_of_ssh_keygen_are_read() {
    for (file, clear) in [(ED25519_AES256_CTR, ED25519), (ECDSA_AES256_CTR, ECDSA)]
        .into_iter()
        .chain(OTHER_CIPHERS.iter().map(|file| (*file, ED25519)))
    {
        let (clear, comment) = PrivateKeyFile::parse(clear).unwrap().decrypt(None).unwrap();
        let file = PrivateKeyFile::parse(file).unwrap();
        assert!(file.is_encrypted());
        assert_eq!(*file.public_key(), clear.public_key());
        let read = file.decrypt(Some(PASSPHRASE)).unwrap();
        assert_eq!(secret(&read.0), secret(&clear));
        assert_eq!(read.1, comment);
        let error = |passphrase| file.decrypt(passphrase).unwrap_err();
        assert_eq!(error(None), KeyFileError::PassphraseRequired);
        assert_eq!(error(Some(b"")), KeyFileError::WrongPassphrase);
        assert_eq!(
            error(Some(b"correct horse ")),
            KeyFileError::WrongPassphrase
        );
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let error = |file: &[u8]| PrivateKeyFile::parse(file).err();
    let rsa = PrivateKey::from_openssh(include_bytes!("../testdata/rsa")).unwrap();
    assert_eq!(rsa.public_key().key_type(), "ssh-rsa");
    assert_eq!(
        error(ED25519_PUB.as_bytes()),
        Some(KeyFileError::NotAKeyFile)
    );
    assert_eq!(
        PrivateKey::from_openssh(ED25519_AES256_CTR).unwrap_err(),
        KeyFileError::PassphraseRequired
    );
}

#[test]
fn no_secret_shows_in_debug() {
    let file = PrivateKeyFile::parse(ED25519).unwrap();
    let (key, _) = file.decrypt(None).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(ssh-ed25519, ..)");
}

/// The fields of a file, to build it with one of them wrong.
struct Parts {
    magic: &'static [u8],
    cipher: &'static str,
    kdf: &'static str,
    options: Vec<u8>,
    count: u32,
    public: Vec<u8>,
    checks: [u32; 2],
    key_type: &'static str,
    fields: Vec<Vec<u8>>,
    padding: Option<Vec<u8>>,
    trailing: &'static [u8],
}

impl Parts {
    fn ed25519() -> Self {
        Self {
            magic: MAGIC,
            cipher: "none",
            kdf: "none",
            options: Vec::new(),
            count: 1,
            public: PublicKey::ed25519(&[7; 32]).as_blob().to_vec(),
            checks: [5, 5],
            key_type: "ssh-ed25519",
            fields: [
                [7; 32].to_vec(),
                [[1; 32], [7; 32]].concat(),
                b"comment".to_vec(),
            ]
            .to_vec(),
            padding: None,
            trailing: &[],
        }
    }

    fn ecdsa() -> Self {
        let mut point = [9; 65];
        point[0] = 4;
        Self {
            public: PublicKey::ecdsa(EcdsaCurve::Nistp256, &point)
                .as_blob()
                .to_vec(),
            key_type: "ecdsa-sha2-nistp256",
            fields: [
                b"nistp256".to_vec(),
                point.to_vec(),
                [3; 32].to_vec(),
                b"comment".to_vec(),
            ]
            .to_vec(),
            ..Self::ed25519()
        }
    }

    fn blob(&self) -> BytesMut {
        let mut section = BytesMut::new();
        section.put_u32(self.checks[0]);
        section.put_u32(self.checks[1]);
        put_string(&mut section, self.key_type.as_bytes());
        for field in &self.fields {
            put_string(&mut section, field);
        }
        match &self.padding {
            Some(padding) => section.put_slice(padding),
            None => section.extend((1..=7).take(section.len().wrapping_neg() % 8)),
        }
        let mut blob = BytesMut::from(self.magic);
        put_string(&mut blob, self.cipher.as_bytes());
        put_string(&mut blob, self.kdf.as_bytes());
        put_string(&mut blob, &self.options);
        blob.put_u32(self.count);
        put_string(&mut blob, &self.public);
        put_string(&mut blob, &section);
        blob.put_slice(self.trailing);
        blob
    }

    fn read(&self) -> Result<(PrivateKey, Comment), KeyFileError> {
        PrivateKeyFile::from_blob(&self.blob())?.decrypt(None)
    }
}

/// What reading yields after `change` was made to a good file.
fn damaged(change: impl FnOnce(&mut Parts)) -> KeyFileError {
    let mut parts = Parts::ed25519();
    change(&mut parts);
    parts.read().unwrap_err()
}

fn damaged_ecdsa(change: impl FnOnce(&mut Parts)) -> KeyFileError {
    let mut parts = Parts::ecdsa();
    change(&mut parts);
    parts.read().unwrap_err()
}

#[test]
fn m2_damaged_headers_are_refused() {
    assert!(Parts::ed25519().read().is_ok());
    assert_eq!(
        damaged(|p| p.magic = b"openssh-key-v2\0"),
        Damage::Header.into()
    );
    assert_eq!(damaged(|p| p.cipher = "n\x1bone"), Damage::Header.into());
    for count in [0, 2, u32::MAX] {
        assert_eq!(damaged(|p| p.count = count), Damage::KeyCount.into());
    }
    assert_eq!(damaged(|p| p.public.clear()), Damage::PublicKey.into());
    assert_eq!(
        damaged(|p| p.trailing = b"\0"),
        Damage::TrailingBytes.into()
    );
    assert_eq!(damaged(|p| p.kdf = "bcrypt"), Damage::KdfOptions.into());
    assert_eq!(
        damaged(|p| p.cipher = "aes256-ctr"),
        Damage::KdfOptions.into()
    );
    assert_eq!(
        damaged(|p| p.options = [0].to_vec()),
        Damage::KdfOptions.into()
    );
}

#[test]
fn m2_check_integers_and_padding() {
    assert_eq!(damaged(|p| p.checks = [5, 4]), Damage::CheckIntegers.into());
    let pad_to = |comment: usize, padding: &[u8]| {
        let mut parts = Parts::ed25519();
        parts.fields[2] = [b'c'].repeat(comment);
        parts.padding = Some(padding.to_vec());
        parts.read().map(|_| ())
    };
    // 131 bytes without the comment, so one of five bytes leaves no room for padding.
    assert_eq!(pad_to(5, &[]), Ok(()));
    assert_eq!(pad_to(4, &[1]), Ok(()));
    assert_eq!(pad_to(6, &[1, 2, 3, 4, 5, 6, 7]), Ok(()));
    for bad in [&[0][..], &[2]] {
        assert_eq!(pad_to(4, bad), Err(Damage::Padding.into()));
    }
    for bad in [[1, 2, 3, 4, 5, 6, 8], [1; 7], [0; 7], [1, 2, 3, 0, 5, 6, 7]] {
        assert_eq!(pad_to(6, &bad), Err(Damage::Padding.into()));
    }
    let long: Vec<u8> = (0..256).map(|i: u32| (i + 1) as u8).collect();
    assert_eq!(pad_to(5, &long), Err(Damage::Padding.into()));
    for odd in [&[][..], &[1, 2]] {
        assert_eq!(pad_to(4, odd), Err(Damage::PrivateSection.into()));
    }
}

/// M2, RUSTSEC-2022-0093: no two copies of the public key differ.
#[test]
fn m2_public_and_private_key_must_be_the_same() {
    let mismatch = KeyFileError::Damaged(Damage::PublicKeyMismatch);
    let other = PublicKey::ed25519(&[8; 32]).as_blob().to_vec();
    assert_eq!(damaged(|p| p.public = other), mismatch, "outside");
    assert_eq!(
        damaged(|p| p.fields[0] = [8; 32].to_vec()),
        mismatch,
        "inside"
    );
    assert_eq!(
        damaged(|p| p.fields[1][63] = 8),
        mismatch,
        "behind the seed"
    );
    let both = |p: &mut Parts| {
        p.fields[0] = [8; 32].to_vec();
        p.fields[1][32..].fill(8);
    };
    assert_eq!(damaged(both), mismatch, "both inside");
    assert_eq!(damaged(|p| p.key_type = "ecdsa-sha2-nistp256"), mismatch);
    assert_eq!(damaged(|p| p.public.push(0)), mismatch, "longer");
    assert_eq!(damaged_ecdsa(|p| p.fields[1][64] = 8), mismatch);
    assert_eq!(damaged_ecdsa(|p| p.public[103] = 8), mismatch);
}

#[test]
fn m4_malformed_private_fields_are_refused() {
    assert!(Parts::ecdsa().read().is_ok());
    let section = KeyFileError::Damaged(Damage::PrivateSection);
    assert_eq!(damaged(|p| p.fields[1].truncate(63)), section);
    assert_eq!(damaged(|p| p.fields[1].push(0)), section);
    assert_eq!(
        damaged_ecdsa(|p| p.fields[0] = b"nistp384".to_vec()),
        section
    );
    assert_eq!(damaged_ecdsa(|p| p.fields[1].truncate(33)), section);
    assert_eq!(damaged_ecdsa(|p| p.fields[1][0] = 2), section);
    let scalar = |scalar: &[u8]| {
        let mut parts = Parts::ecdsa();
        parts.fields[2] = scalar.to_vec();
        parts.read().map(|(key, _)| secret(&key))
    };
    let mut one = [0; 32];
    one[31] = 1;
    assert_eq!(scalar(&[1]), Ok(one));
    let high = [&[0][..], &[0xff; 32]].concat();
    assert_eq!(
        scalar(&high),
        Ok([0xff; 32]),
        "range is left to the provider"
    );
    for bad in [&[][..], &[0], &[0xff], &[1; 33], &[0, 1]] {
        assert_eq!(scalar(bad), Err(section.clone()), "{bad:?}");
    }
}

#[test]
fn m1_every_cut_of_the_text_is_refused() {
    for file in [
        ED25519,
        ECDSA,
        ED25519_AES256_CTR,
        OTHER_CIPHERS[3],
        OTHER_CIPHERS[4],
    ] {
        // Without its last line end the file is still whole.
        for cut in 0..file.len() - 1 {
            assert!(PrivateKeyFile::parse(&file[..cut]).is_err(), "{cut}");
        }
        assert!(PrivateKeyFile::parse(&file[..file.len() - 1]).is_ok());
    }
    assert_eq!(
        PrivateKeyFile::parse(&[b'-'].repeat(MAX_KEY_FILE + 1)).err(),
        Some(KeyFileError::TooLong)
    );
}

#[test]
fn m1_every_cut_of_the_content_is_refused() {
    for file in [
        ED25519,
        ECDSA,
        ED25519_AES256_CTR,
        OTHER_CIPHERS[3],
        OTHER_CIPHERS[4],
    ] {
        let blob = armor::decode(file).unwrap();
        for cut in 0..blob.len() {
            assert!(PrivateKeyFile::from_blob(&blob[..cut]).is_err(), "{cut}");
        }
    }
    for (mut parts, comment) in [(Parts::ed25519(), 5), (Parts::ecdsa(), 8)] {
        *parts.fields.last_mut().unwrap() = [b'c'].repeat(comment);
        let file = PrivateKeyFile::from_blob(&parts.blob()).unwrap();
        assert!(
            file.section.ends_with(b"c"),
            "no padding, every byte counts"
        );
        for cut in 0..file.section.len() {
            assert!(file.read_section(&file.section[..cut]).is_err(), "{cut}");
        }
    }
}

/// A flipped bit may change the secret or the comment, which the provider or nobody notices, but
/// never yields a key that claims another public key.
#[test]
fn m1_m2_flipped_bits_never_change_the_public_key() {
    for file in [ED25519, ECDSA] {
        let blob = armor::decode(file).unwrap();
        let good = PrivateKey::from_openssh(file).unwrap().public_key();
        for bit in 0..blob.len() * 8 {
            let mut blob = blob.clone();
            blob[bit / 8] ^= 1 << (bit % 8);
            let read = PrivateKeyFile::from_blob(&blob).and_then(|file| file.decrypt(None));
            if let Ok((key, _)) = read {
                assert_eq!(key.public_key(), good, "{bit}");
            }
        }
        for bit in 0..file.len() * 8 {
            let mut file = file.to_vec();
            file[bit / 8] ^= 1 << (bit % 8);
            if let Ok(key) = PrivateKey::from_openssh(&file) {
                assert_eq!(key.public_key(), good, "{bit}");
            }
        }
    }
}

/// Under a cipher with a tag no bit of the section can flip unnoticed.
#[test]
fn m1_m2_flipped_bits_under_a_tag_are_noticed() {
    let files = OTHER_CIPHERS
        .iter()
        .map(|file| PrivateKeyFile::parse(file).unwrap());
    let tagged: Vec<_> = files.filter(|file| !file.tag.is_empty()).collect();
    assert_eq!(tagged.len(), 3);
    for mut file in tagged {
        for byte in [0, file.section.len() / 2, file.section.len() - 1] {
            file.section[byte] ^= 1;
            let error = file.decrypt(Some(PASSPHRASE)).unwrap_err();
            assert_eq!(error, KeyFileError::WrongPassphrase);
            file.section[byte] ^= 1;
        }
        file.tag[15] ^= 0x80;
        let error = file.decrypt(Some(PASSPHRASE)).unwrap_err();
        assert_eq!(error, KeyFileError::WrongPassphrase);
    }
}

#[test]
fn m3_rounds_of_a_file_are_bounded() {
    for rounds in [0, 2049, u32::MAX] {
        let error = damaged(|p| {
            p.cipher = "aes256-ctr";
            p.kdf = "bcrypt";
            p.options = [&[0, 0, 0, 1, 1][..], &rounds.to_be_bytes()].concat();
        });
        assert_eq!(error, KeyFileError::BadRounds(rounds));
    }
}

#[test]
fn written_files_are_read_back() {
    for file in [ED25519, ECDSA] {
        let key = PrivateKey::from_openssh(file).unwrap();
        let comment = Comment::new("jürgen@example");
        let clear = key.to_openssh(&comment, &mut Counter(0)).unwrap();
        let read = PrivateKeyFile::parse(clear.as_bytes()).unwrap();
        assert!(!read.is_encrypted());
        let (again, read_comment) = read.decrypt(None).unwrap();
        assert_eq!(secret(&again), secret(&key));
        assert_eq!(
            (again.public_key(), read_comment),
            (key.public_key(), comment.clone())
        );

        let sealed = key
            .to_openssh_encrypted(&comment, PASSPHRASE, 2, &mut Counter(0))
            .unwrap();
        let read = PrivateKeyFile::parse(sealed.as_bytes()).unwrap();
        assert!(read.is_encrypted());
        let (again, read_comment) = read.decrypt(Some(PASSPHRASE)).unwrap();
        assert_eq!(secret(&again), secret(&key));
        assert_eq!(
            (again.public_key(), read_comment),
            (key.public_key(), comment)
        );
        let error = read.decrypt(Some(b"wrong")).unwrap_err();
        assert_eq!(error, KeyFileError::WrongPassphrase);
    }
}

/// With ssh-keygen's own check integers we write its files byte for byte.
#[test]
fn written_files_are_those_of_ssh_keygen() {
    struct Fixed<'a>(&'a [u8]);
    impl SecureRandom for Fixed<'_> {
        fn fill(&mut self, dest: &mut [u8]) -> Result<(), RandomFailed> {
            let (taken, rest) = self.0.split_at(dest.len());
            dest.copy_from_slice(taken);
            self.0 = rest;
            Ok(())
        }
    }
    for file in [ED25519, ECDSA]
        .into_iter()
        .chain(OTHER_TYPES.map(|(file, _)| file))
    {
        let read = PrivateKeyFile::parse(file).unwrap();
        let (key, comment) = read.decrypt(None).unwrap();
        let written = key
            .to_openssh(&comment, &mut Fixed(&read.section[..4]))
            .unwrap();
        assert_eq!(written.as_bytes(), file);
    }
    for (file, clear) in [(ED25519_AES256_CTR, ED25519), (ECDSA_AES256_CTR, ECDSA)] {
        let (key, comment) = PrivateKeyFile::parse(clear).unwrap().decrypt(None).unwrap();
        let mut read = PrivateKeyFile::parse(file).unwrap();
        let encryption = read.encryption.take().unwrap();
        let options = encryption.options();
        let rounds = u32::from_be_bytes(*options.last_chunk().unwrap());
        encryption.open(PASSPHRASE, &mut read.section, &[]).unwrap();
        let random = [&options[4..20], &read.section[..4]].concat();
        let written = key
            .to_openssh_encrypted(&comment, PASSPHRASE, rounds, &mut Fixed(&random))
            .unwrap();
        assert_eq!(written.as_bytes(), file);
    }
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let key = PrivateKey::from_openssh(ED25519).unwrap();
    let longest = "c".repeat(MAX_KEY_COMMENT);
    let write = |comment: &str| {
        let file = key.to_openssh(&Comment::new(comment), &mut Counter(0));
        file.map(|file| String::from(&**file))
    };
    for good in ["", &longest] {
        let file = PrivateKeyFile::parse(write(good).unwrap().as_bytes()).unwrap();
        let (_, comment) = file.decrypt(None).unwrap();
        assert_eq!(comment.as_bytes(), good.as_bytes());
    }
    for bad in ["a\nb", "a\0", "\x1b[2J", &format!("{longest}c")] {
        assert_eq!(write(bad), Err(KeyFileError::BadComment));
    }
    let comment = Comment::default();
    let encrypt = |passphrase: &[u8], rounds| {
        key.to_openssh_encrypted(&comment, passphrase, rounds, &mut Counter(0))
            .map(|_| ())
    };
    assert_eq!(encrypt(b"", 16), Err(KeyFileError::PassphraseRequired));
    for rounds in [0, 2049] {
        assert_eq!(encrypt(b"p", rounds), Err(KeyFileError::BadRounds(rounds)));
    }
    assert_eq!(
        key.to_openssh(&comment, &mut NoRandom),
        Err(KeyFileError::Crypto(CryptoError::RandomFailed))
    );
}
