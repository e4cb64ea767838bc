//! Private key files of OpenSSL and PuTTY against those that these made, and against damage.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use super::*;
use crate::crypto::SecureRandom;
use crate::error::RandomFailed;
use crate::keys::{Damage, PublicKeyLine, armor};

const PASSPHRASE: &[u8] = b"correct horse";

macro_rules! file {
    ($($part:literal),+) => {
        include_bytes!(concat!("../testdata/containers/", $($part),+)).as_slice()
    };
}

struct Sample {
    name: &'static str,
    file: &'static [u8],
    container: Container,
    encrypted: bool,
    /// Its public key line.
    public: &'static [u8],
}

macro_rules! samples {
    ($($container:ident $encrypted:ident $key:literal: $($suffix:literal),+;)+) => {
        &[$($(Sample {
            name: concat!($key, ".", $suffix),
            file: file!($key, ".", $suffix),
            container: Container::$container,
            encrypted: samples!(@ $encrypted),
            public: file!($key, ".pub"),
        },)+)+]
    };
    (@ clear) => { false };
    (@ encrypted) => { true };
}

const SAMPLES: &[Sample] = samples! {
    Pkcs1 clear "rsa": "pkcs1", "pkcs1.der";
    Pkcs1 encrypted "rsa": "pkcs1_ssh-keygen", "pkcs1_aes128", "pkcs1_aes192", "pkcs1_aes256",
        "pkcs1_des3";
    Sec1 clear "ec256": "sec1", "sec1_parameters";
    Sec1 clear "ec384": "sec1", "sec1.der";
    Sec1 clear "ec521": "sec1";
    Sec1 encrypted "ec256": "sec1_aes256";
    Pkcs8 clear "rsa": "pkcs8";
    Pkcs8 clear "ec256": "pkcs8";
    Pkcs8 clear "ec384": "pkcs8";
    Pkcs8 clear "ec521": "pkcs8";
    Pkcs8 clear "ed25519": "pkcs8", "pkcs8.der";
    Pkcs8 encrypted "ec256": "pkcs8_ssh-keygen";
    Pkcs8 encrypted "ed25519": "pkcs8_sha1-des3", "pkcs8_sha224-aes128", "pkcs8_sha256-aes256",
        "pkcs8_sha384-aes192", "pkcs8_sha512-aes256", "pkcs8_scrypt-aes256",
        "pkcs8_scrypt-aes256.der";
    Ppk clear "rsa": "ppk2", "ppk3";
    Ppk clear "ec256": "ppk2", "ppk3";
    Ppk clear "ec384": "ppk2", "ppk3";
    Ppk clear "ec521": "ppk2", "ppk3";
    Ppk clear "ed25519": "ppk2", "ppk3";
    Ppk encrypted "rsa": "ppk2_aes256";
    Ppk encrypted "ec256": "ppk2_aes256";
    Ppk encrypted "ec384": "ppk2_aes256";
    Ppk encrypted "ec521": "ppk2_aes256", "ppk3_argon2id";
    Ppk encrypted "ed25519": "ppk2_aes256", "ppk3_argon2id", "ppk3_argon2i", "ppk3_argon2d";
};

fn parse(file: &[u8]) -> PrivateKeyFile {
    PrivateKeyFile::parse(file).unwrap()
}

fn error(file: impl AsRef<[u8]>) -> KeyFileError {
    PrivateKeyFile::parse(file.as_ref()).unwrap_err()
}

/// The error of reading a file to its end.
fn any_error(file: impl AsRef<[u8]>) -> KeyFileError {
    PrivateKeyFile::parse(file.as_ref())
        .and_then(|file| file.decrypt(Some(PASSPHRASE)))
        .unwrap_err()
}

/// Reads DER under a label of PEM.
fn read_der(label: &str, der: &[u8]) -> Result<PrivateKeyFile, KeyFileError> {
    let text = Base64::encode_string(der);
    PrivateKeyFile::parse(
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").as_bytes(),
    )
}

/// The secret parts, to compare keys of different files.
fn secrets(key: &PrivateKey) -> Vec<Vec<u8>> {
    match key {
        PrivateKey::Ed25519 { seed, .. } => [seed.to_vec()].to_vec(),
        PrivateKey::Ecdsa { scalar, .. } => [scalar.to_vec()].to_vec(),
        PrivateKey::Rsa {
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
            ..
        } => [private_exponent, prime_p, prime_q, coefficient]
            .map(|number| number.to_vec())
            .to_vec(),
        _ => panic!("not among the files of these tests"),
    }
}

#[test]
fn files_of_openssl_and_puttygen_are_read() {
    for sample in SAMPLES {
        let name = sample.name;
        let public = PublicKeyLine::parse(sample.public).unwrap().key;
        let file = parse(sample.file);
        assert_eq!(file.container(), sample.container, "{name}");
        assert_eq!(file.is_encrypted(), sample.encrypted, "{name}");
        let in_clear = !sample.encrypted || sample.container == Container::Ppk;
        assert_eq!(file.public_key(), in_clear.then_some(&public), "{name}");
        let (key, comment) = file.decrypt(Some(PASSPHRASE)).unwrap();
        assert_eq!(key.public_key(), public, "{name}");
        let stem = name.split('.').next().unwrap();
        let expected = match sample.container {
            Container::Ppk => format!("{stem} of PuTTY"),
            _ => String::new(),
        };
        assert_eq!(comment.to_string(), expected, "{name}");
        // All forms of one key have the same secrets.
        let first = SAMPLES.iter().find(|first| first.public == sample.public);
        let (first, _) = parse(first.unwrap().file)
            .decrypt(Some(PASSPHRASE))
            .unwrap();
        assert_eq!(secrets(&key), secrets(&first), "{name}");
    }
}

#[test]
fn wrong_passphrases_are_noticed() {
    for sample in SAMPLES.iter().filter(|sample| sample.encrypted) {
        let file = parse(sample.file);
        let error = |passphrase| file.decrypt(passphrase).unwrap_err();
        assert_eq!(error(None), KeyFileError::PassphraseRequired);
        for wrong in [&b""[..], b"correct horse ", b"Correct horse"] {
            let name = sample.name;
            assert_eq!(error(Some(wrong)), KeyFileError::WrongPassphrase, "{name}");
        }
    }
}

/// One wrong passphrase in 256 yields good padding: what is behind it must not be taken for damage.
#[test]
fn wrong_passphrases_are_never_taken_for_damage() {
    let file = parse(file!("ec256.sec1_aes256"));
    for attempt in 0..2000 {
        let passphrase = format!("wrong {attempt}");
        assert_eq!(
            file.decrypt(Some(passphrase.as_bytes())).unwrap_err(),
            KeyFileError::WrongPassphrase
        );
    }
}

#[test]
fn no_secret_shows_in_debug() {
    let file = parse(file!("ed25519.pkcs8"));
    assert_eq!(
        format!("{file:?}"),
        "PrivateKeyFile { container: Pkcs8, public: Some(PublicKey(ssh-ed25519, 51 bytes)), \
         is_encrypted: false, .. }"
    );
    assert!(format!("{:?}", parse(file!("rsa.pkcs1_aes128"))).contains("public: None"));
}

#[test]
fn what_is_not_supported_is_named() {
    let container = KeyFileError::UnsupportedContainer;
    assert_eq!(error(file!("dsa.pem")), container(Container::Dsa));
    assert_eq!(
        error(file!("ed25519.rfc4716")),
        container(Container::Rfc4716)
    );
    assert_eq!(error(file!("ed25519.pub")), KeyFileError::NotAKeyFile);
    let cipher = |container, name: &str| KeyFileError::UnsupportedCipher {
        container,
        name: name.to_string(),
    };
    assert_eq!(
        error(file!("rsa.pkcs1_camellia128")),
        cipher(Container::Pkcs1, "CAMELLIA-128-CBC")
    );
    let camellia = error(file!("ed25519.pkcs8_sha256-camellia"));
    assert_eq!(
        camellia,
        cipher(Container::Pkcs8, "1.2.392.200011.61.1.1.1.4")
    );
    assert_eq!(
        camellia.to_string(),
        "unsupported cipher of a key file (PKCS#8): 1.2.392.200011.61.1.1.1.4"
    );
    assert_eq!(
        error(file!("ed25519.pkcs8_pbes1")),
        KeyFileError::UnsupportedKdf {
            container: Container::Pkcs8,
            name: "1.2.840.113549.1.5.3".to_string()
        }
    );
    let key_type = |name: &str| KeyFileError::UnsupportedKeyType(name.to_string());
    assert_eq!(error(file!("dsa.ppk3")), key_type("ssh-dss"));
    assert_eq!(error(file!("secp256k1.sec1")), key_type("1.3.132.0.10"));
    assert_eq!(
        error(file!("ec256.sec1_explicit")),
        key_type("EC with explicit parameters")
    );
    for file in [
        file!("ec256.sec1_compressed"),
        file!("ec256.sec1_no-public"),
    ] {
        assert_eq!(error(file), KeyFileError::MissingPublicKey);
    }
    let ppk = String::from_utf8(file!("ed25519.ppk3_argon2i").to_vec()).unwrap();
    assert_eq!(
        error(ppk.replace("Argon2i\n", "bcrypt\n")),
        KeyFileError::UnsupportedKdf {
            container: Container::Ppk,
            name: "bcrypt".to_string()
        }
    );
    assert_eq!(
        error(ppk.replace("aes256-cbc", "aes256-ctr")),
        cipher(Container::Ppk, "aes256-ctr")
    );
    assert_eq!(
        error(ppk.replace("File-3", "File-4")),
        container(Container::OtherPpk)
    );
}

#[test]
fn m1_every_cut_is_refused() {
    for sample in SAMPLES {
        let file = sample.file;
        // Without its last line end a text is still whole.
        let whole = match sample.name.ends_with(".der") {
            true => file.len(),
            false => file.trim_ascii_end().len(),
        };
        for cut in 0..whole {
            assert!(
                PrivateKeyFile::parse(&file[..cut]).is_err(),
                "{} {cut}",
                sample.name
            );
        }
        assert!(PrivateKeyFile::parse(&file[..whole]).is_ok());
    }
}

#[test]
fn m1_every_cut_of_the_content_is_refused() {
    for (file, label) in [
        (file!("rsa.pkcs1"), "RSA PRIVATE KEY"),
        (file!("ec256.sec1"), "EC PRIVATE KEY"),
        (file!("ec521.pkcs8"), "PRIVATE KEY"),
        (file!("ed25519.pkcs8"), "PRIVATE KEY"),
        (
            file!("ed25519.pkcs8_sha256-aes256"),
            "ENCRYPTED PRIVATE KEY",
        ),
        (
            file!("ed25519.pkcs8_scrypt-aes256"),
            "ENCRYPTED PRIVATE KEY",
        ),
    ] {
        let blob = armor::open(file, label).ok().unwrap().blob;
        for cut in 0..blob.len() {
            assert!(read_der(label, &blob[..cut]).is_err(), "{label} {cut}");
        }
        assert!(read_der(label, &blob).is_ok());
        let longer = [&blob[..], &[0]].concat();
        assert_eq!(
            read_der(label, &longer).err(),
            Some(Damage::TrailingBytes.into())
        );
    }
}

#[test]
fn m1_line_ends_vary() {
    for sample in SAMPLES
        .iter()
        .filter(|sample| !sample.name.ends_with(".der"))
    {
        let text = core::str::from_utf8(sample.file).unwrap();
        let unix = text.replace("\r\n", "\n");
        for text in [unix.replace('\n', "\r\n"), format!("{unix}\n\n")] {
            let (key, _) = parse(text.as_bytes()).decrypt(Some(PASSPHRASE)).unwrap();
            let public = PublicKeyLine::parse(sample.public).unwrap().key;
            assert_eq!(key.public_key(), public, "{}", sample.name);
        }
        for not_a_file in [format!("\u{feff}{unix}"), format!(" {unix}")] {
            assert_eq!(error(not_a_file), KeyFileError::NotAKeyFile);
        }
        let name = sample.name;
        let twice = error(format!("{unix}{unix}"));
        assert!(matches!(twice, KeyFileError::Damaged(_)), "{name} {twice}");
        let more = error(format!("{unix}text"));
        assert!(matches!(more, KeyFileError::Damaged(_)), "{name} {more}");
        // A letter of the last line of base64 but one that is none of base64.
        let at = unix
            .rfind("\n-----END")
            .or(unix.rfind("\nPrivate-MAC"))
            .unwrap()
            - 6;
        let mut bad = unix.clone().into_bytes();
        bad[at] = b'?';
        assert_eq!(error(bad), Damage::Base64.into(), "{name}");
    }
    assert_eq!(error(b""), KeyFileError::NotAKeyFile);
    assert_eq!(
        error([b'-'].repeat(MAX_KEY_FILE + 1)),
        KeyFileError::TooLong
    );
}

/// A flipped bit may change the secret, which the provider notices, but never yields a key that is
/// another than the file tells.
#[test]
fn m1_m2_flipped_bits_are_no_panic() {
    for name in [
        file!("ec256.sec1"),
        file!("ed25519.pkcs8.der"),
        file!("ec384.sec1.der"),
        file!("ed25519.ppk3"),
        file!("ec256.sec1_aes256"),
    ] {
        for bit in 0..name.len() * 8 {
            let mut file = name.to_vec();
            file[bit / 8] ^= 1 << (bit % 8);
            let Ok(file) = PrivateKeyFile::parse(&file) else {
                continue;
            };
            if let (Ok((key, _)), Some(public)) =
                (file.decrypt(Some(PASSPHRASE)), file.public_key())
            {
                assert_eq!(key.public_key(), *public);
            }
        }
    }
}

/// In PPK everything is under the MAC.
#[test]
fn m2_changes_of_a_ppk_are_noticed() {
    for (file, error) in [
        (file!("ed25519.ppk2"), Damage::Mac.into()),
        (file!("ed25519.ppk3"), Damage::Mac.into()),
        (
            file!("ed25519.ppk3_argon2id"),
            KeyFileError::WrongPassphrase,
        ),
    ] {
        let text = String::from_utf8(file.to_vec()).unwrap();
        let changed = text.replace(" of PuTTY", " of putty");
        assert_eq!(any_error(changed), error, "comment");
        let changed = text.replace(
            "\nAAAAC3NzaC1lZDI1NTE5AAAAIHun",
            "\nAAAAC3NzaC1lZDI1NTE5AAAAIHum",
        );
        assert_ne!(changed, text);
        assert_eq!(any_error(changed), error, "public");
        let at = text.rfind("Private-MAC: ").unwrap() + 13;
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        assert_eq!(any_error(changed), error, "mac");
        assert_eq!(
            any_error(text.replacen("ssh-ed25519", "ssh-rsa", 1)),
            Damage::TypeMismatch.into()
        );
        for lines in ["0", "2", "-1", "99999999999999999999", "1 "] {
            let changed = text.replace("Private-Lines: 1", &format!("Private-Lines: {lines}"));
            assert!(matches!(any_error(changed), KeyFileError::Damaged(_)));
        }
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const OID: u8 = 6;

/// A DER value of these parts.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let len = match u8::try_from(body.len()).unwrap() {
        len @ 0..=127 => [len].to_vec(),
        len => [0x81, len].to_vec(),
    };
    [&[tag], &len[..], &body].concat()
}

fn integer(value: u64) -> Vec<u8> {
    let bytes = [&[0][..], &value.to_be_bytes()].concat();
    let minimal = |pair: &[u8]| pair[0] != 0 || pair[1] >= 0x80;
    let start = bytes.windows(2).position(minimal).unwrap_or(8);
    der(INTEGER, &[&bytes[start..]])
}

const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];

/// What is wrong with an encrypted key under this function, these of its parameters that follow the
/// salt, and this IV of AES-256-CBC.
fn pbes2(kdf: &[u8], salt: &[u8], parameters: &[Vec<u8>], iv: &[u8]) -> Option<KeyFileError> {
    let pbes2 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
    let aes256_cbc = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 0x2a];
    let parameters = der(SEQUENCE, &[&der(OCTETS, &[salt]), &parameters.concat()]);
    let kdf = der(SEQUENCE, &[&der(OID, &[kdf]), &parameters]);
    let cipher = der(SEQUENCE, &[&der(OID, &[&aes256_cbc]), &der(OCTETS, &[iv])]);
    let schemes = der(SEQUENCE, &[&kdf, &cipher]);
    let algorithm = der(SEQUENCE, &[&der(OID, &[&pbes2]), &schemes]);
    let file = der(SEQUENCE, &[&algorithm, &der(OCTETS, &[&[0; 16]])]);
    let bare = PrivateKeyFile::parse(&file).err();
    assert_eq!(read_der("ENCRYPTED PRIVATE KEY", &file).err(), bare);
    bare
}

#[test]
fn m3_rounds_and_memory_are_bounded_before_any_work() {
    let options = Some(KeyFileError::Damaged(Damage::KdfOptions));
    let pbkdf2 = |parameters: &[Vec<u8>]| pbes2(PBKDF2, b"salt", parameters, &[0; 16]);
    let bounds = Some(KeyFileError::KdfOutOfBounds("PBKDF2"));
    for rounds in [1, 2048, 10_000_000] {
        assert_eq!(pbkdf2(&[integer(rounds)]), None);
    }
    for rounds in [0, 10_000_001, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(pbkdf2(&[integer(rounds)]), bounds);
    }
    assert_eq!(pbkdf2(&[der(INTEGER, &[&[0x80]])]), bounds, "negative");
    assert_eq!(pbkdf2(&[der(INTEGER, &[&[0x7f; 100]])]), bounds);
    assert_eq!(pbkdf2(&[integer(1), integer(32)]), None);
    for key_len in [0, 16, 33, u64::MAX >> 33] {
        assert_eq!(pbkdf2(&[integer(1), integer(key_len)]), options);
    }
    assert_eq!(pbes2(PBKDF2, b"", &[integer(1)], &[0; 16]), options);
    let key = pbkdf2(&[integer(1), integer(32), integer(1)]);
    assert_eq!(key, Some(Damage::Encoding.into()));

    let scrypt = |n, r, p| {
        let parameters = [integer(n), integer(r), integer(p)];
        pbes2(SCRYPT, b"salt", &parameters, &[0; 16])
    };
    let bounds = Some(KeyFileError::KdfOutOfBounds("scrypt"));
    // OpenSSL's, and those of 256 MiB.
    for (n, r, p) in [
        (16384, 8, 1),
        (1 << 18, 8, 1),
        (2, 1 << 20, 1),
        (1 << 18, 8, 32),
    ] {
        assert_eq!(scrypt(n, r, p), None);
    }
    for (n, r, p) in [
        (0, 8, 1),
        (1, 8, 1),
        (16384, 0, 1),
        (16384, 8, 0),
        (16383, 8, 1),
        (1 << 19, 8, 1),
        (2, (1 << 20) + 1, 1),
        (1 << 18, 8, 33),
        (1 << 63, 1 << 63, 1 << 63),
        (u64::MAX, u64::MAX, u64::MAX),
    ] {
        assert_eq!(scrypt(n, r, p), bounds, "{n} {r} {p}");
    }

    let ppk = String::from_utf8(file!("ed25519.ppk3_argon2id").to_vec()).unwrap();
    let argon2 = |from: &str, to: &str| {
        assert!(ppk.contains(from));
        PrivateKeyFile::parse(ppk.replace(from, to).as_bytes()).err()
    };
    let bounds = Some(KeyFileError::KdfOutOfBounds("Argon2"));
    let options = Some(KeyFileError::Damaged(Damage::KdfOptions));
    assert_eq!(argon2("Memory: 64", "Memory: 262144"), None);
    for (from, to) in [
        ("Memory: 64", "Memory: 262145"),
        ("Memory: 64", "Memory: 4294967295"),
        ("Memory: 64", "Memory: 99999999999"),
        ("Memory: 64", "Memory: 0"),
        ("Memory: 64", "Memory: 15"),
        ("Passes: 2", "Passes: 0"),
        ("Passes: 2", "Passes: 4294967295"),
        ("Parallelism: 2", "Parallelism: 0"),
        ("Parallelism: 2", "Parallelism: 9"),
    ] {
        assert_eq!(argon2(from, to), bounds, "{to}");
    }
    assert_eq!(argon2("Passes: 2", "Passes: +2"), options);
    assert_eq!(argon2("Salt: ", "Salt: 0"), options, "odd");
    let salt = ppk
        .lines()
        .find(|line| line.starts_with("Argon2-Salt"))
        .unwrap();
    assert_eq!(argon2(salt, "Argon2-Salt: "), options);
    assert_eq!(argon2(salt, "Argon2-Salt: 01020304050607"), options);
}

#[test]
fn m4_initialisation_vectors_of_the_wrong_length_are_refused() {
    let text = String::from_utf8(file!("rsa.pkcs1_aes128").to_vec()).unwrap();
    let at = text.find("AES-128-CBC,").unwrap() + 12;
    for iv in [
        "",
        "00",
        &text[at..at + 30],
        &format!("{}00", &text[at..at + 32]),
        "é",
    ] {
        let file = text.replace(&text[at..at + 32], iv);
        assert_eq!(error(file), Damage::KdfOptions.into(), "{iv}");
    }
    assert_eq!(
        error(text.replace("AES-128-CBC", "DES-EDE3-CBC")),
        Damage::KdfOptions.into(),
        "16 bytes where 8 are due"
    );
    for (from, to) in [
        ("4,ENCRYPTED", "4,CLEAR"),
        ("DEK-Info: ", "DEK-Inf: "),
        ("Proc-Type: 4,ENCRYPTED\n", ""),
        ("Proc-Type", "X: y\nProc-Type"),
        ("AES-128-CBC", ""),
    ] {
        assert_eq!(error(text.replace(from, to)), Damage::Header.into(), "{to}");
    }
    for len in [0, 1, 8, 15, 17, 32] {
        let error = pbes2(PBKDF2, b"salt", &[integer(1)], &[0; 32][..len]);
        assert_eq!(error, Some(Damage::KdfOptions.into()), "{len}");
    }
}

#[test]
fn m4_der_with_absurd_lengths_and_nesting_is_refused() {
    let mut files: Vec<Vec<u8>> = [
        &[0x30, 0x80][..],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0xff],
        &[0x30, 0x00],
        &[0x30, 0x81, 0x03, 0x02, 0x01, 0x00],
        &[0x30, 0x03, 0x02, 0x01, 0x00],
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    let mut nested = Vec::new();
    for _ in 0..30_000 {
        let len = nested.len();
        let mut outer = [0x30, 0x84].to_vec();
        outer.extend_from_slice(&(len as u32).to_be_bytes());
        nested.splice(0..0, outer);
        if nested.len() > 60_000 {
            break;
        }
    }
    files.push(nested);
    for file in files {
        assert_eq!(error(&file), KeyFileError::NotAKeyFile);
        for label in [
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
        ] {
            let error = read_der(label, &file).err();
            assert!(matches!(error, Some(KeyFileError::Damaged(_))), "{label}");
        }
    }
}

#[test]
fn m4_numbers_that_make_no_key_are_refused() {
    let rsa = |numbers: [&[u8]; 9]| {
        let numbers = numbers.map(|number| der(INTEGER, &[number]));
        read_der("RSA PRIVATE KEY", &der(SEQUENCE, &[&numbers.concat()])).err()
    };
    let damaged = Some(KeyFileError::Damaged(Damage::PrivateSection));
    let encoding = Some(KeyFileError::Damaged(Damage::Encoding));
    // That p times q is n is found out by the provider.
    let good: [&[u8]; 9] = [&[0], &[15, 1], &[3], &[5], &[7], &[11], &[1], &[1], &[2]];
    let with = |at: usize, number: &'static [u8]| {
        let mut numbers = good;
        numbers[at] = number;
        rsa(numbers)
    };
    assert_eq!(rsa(good), None);
    assert_eq!(with(0, &[1]), damaged, "more than two primes");
    for at in [1, 2, 3, 4, 5, 8] {
        assert_eq!(with(at, &[0]), damaged, "{at}");
        assert_eq!(with(at, &[0x80]), encoding, "negative, {at}");
        assert_eq!(with(at, &[0, 1]), encoding, "not minimal, {at}");
        assert_eq!(with(at, &[]), encoding, "empty, {at}");
    }
    assert_eq!(with(3, &[1, 2, 3]), damaged, "longer than the modulus");

    let point = [&[4][..], &[9; 64]].concat();
    let ec = |scalar: &[u8], point: &[u8]| {
        let nistp256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        let fields = [
            integer(1),
            der(OCTETS, &[scalar]),
            der(0xa0, &[&der(OID, &[&nistp256])]),
            der(0xa1, &[&der(3, &[&[0], point])]),
        ];
        read_der("EC PRIVATE KEY", &der(SEQUENCE, &[&fields.concat()])).err()
    };
    assert_eq!(ec(&[1; 32], &point), None);
    assert_eq!(ec(&[1; 31], &point), None, "as old tools wrote it");
    let signed = [&[0][..], &[0xff; 32]].concat();
    assert_eq!(ec(&signed, &point), None, "as PuTTY exports it");
    assert_eq!(ec(&[&[0][..], &signed].concat(), &point), damaged);
    assert_eq!(ec(&[0; 32], &point), damaged);
    assert_eq!(ec(&[0; 33], &point), damaged);
    assert_eq!(ec(&[], &point), damaged);
    assert_eq!(ec(&[1; 33], &point), damaged);
    assert_eq!(ec(&[1; 32], &point[..64]), damaged);
    assert_eq!(
        ec(&[1; 32], &[&[6][..], &[9; 64]].concat()),
        damaged,
        "hybrid"
    );

    // Ed25519 with its public key behind the seed (RFC 8410 section 10.3), which must be its own.
    let v1 = armor::open(file!("ed25519.pkcs8"), "PRIVATE KEY")
        .ok()
        .unwrap()
        .blob;
    let public = PublicKeyLine::parse(file!("ed25519.pub")).unwrap().key;
    let public = &public.as_blob()[19..];
    let v2 = |version: u8, public: &[u8]| {
        let mut file = v1.to_vec();
        file[1] += public.len() as u8 + 3;
        file[4] = version;
        file.extend([0x81, public.len() as u8 + 1, 0]);
        file.extend_from_slice(public);
        read_der("PRIVATE KEY", &file).err()
    };
    assert_eq!(v2(1, public), None);
    assert_eq!(v2(0, public), damaged, "not in version 1");
    assert_eq!(v2(2, public), damaged);
    let mismatch = Some(KeyFileError::Damaged(Damage::PublicKeyMismatch));
    assert_eq!(v2(1, &[8; 32]), mismatch);
    assert_eq!(v2(1, &public[..31]), mismatch);
}

/// What is read of a foreign container can be written as OpenSSH does, and signs.
#[test]
fn keys_of_all_containers_are_written_again() {
    let mut random = |dest: &mut [u8]| -> Result<(), RandomFailed> {
        dest.fill(7);
        Ok(())
    };
    let random: &mut dyn SecureRandom = &mut random;
    for sample in SAMPLES {
        let (key, comment) = parse(sample.file).decrypt(Some(PASSPHRASE)).unwrap();
        let text = key.to_openssh(&comment, random).unwrap();
        let again = PrivateKey::from_openssh(text.as_bytes()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        assert_eq!(secrets(&again), secrets(&key));
    }
}
