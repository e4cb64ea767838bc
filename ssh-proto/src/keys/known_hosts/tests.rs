//! Tests of known_hosts: matching, verdicts, damage, and the edited text.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::crypto::EcdsaCurve;
use crate::error::RandomFailed;
use crate::keys::Damage;
use crate::limits::{MAX_KEY_LIST_LINES, MAX_KNOWN_HOSTS_LINE};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHSfyLEsMeNY4K/mHzzbfwPXDunYBSH8kmY+R1emwspx";

/// `ssh-keygen -H` of OpenSSH 9.2 on `crate.example` and `[crate.example]:2222`.
const HASHED: [&str; 2] = [
    "|1|w1rCa6FcgcOkWj7VLOKKCmfV95o=|Ba9uhyhyN7+7lYCdBSPcIfYxQPQ=",
    "|1|h+3/qn1XdQDfve49Rgs7yTdaoHU=|A9eOLvyimEeVcvsbel/GBUONgHY=",
];

fn key() -> PublicKey {
    PublicKeyLine::parse(KEY.as_bytes()).unwrap().key
}

fn other() -> PublicKey {
    PublicKey::ed25519(&[1; 32])
}

fn ecdsa() -> PublicKey {
    PublicKey::ecdsa(EcdsaCurve::Nistp256, &[4; 65])
}

fn line(key: &PublicKey) -> String {
    let comment = Comment::default();
    PublicKeyLine {
        key: key.clone(),
        comment,
    }
    .to_string()
}

fn host(name: &str) -> HostPort {
    HostPort::new(name, 22).unwrap()
}

fn at(line: usize) -> Place {
    Place { file: 0, line }
}

fn known(text: &str) -> KnownHosts {
    let (known, errors) = KnownHosts::parse(text).unwrap();
    assert_eq!(errors, []);
    assert_eq!(known.as_bytes(), text.as_bytes());
    known
}

fn problems(text: impl Into<Vec<u8>>) -> Vec<LineProblem> {
    let (_, errors) = KnownHosts::parse(text).unwrap();
    errors.into_iter().map(|error| error.problem).collect()
}

#[test]
fn m5_patterns_ports_and_negation() {
    for (names, name, port, is_known) in [
        ("crate.example", "crate.example", 22, true),
        ("crate.example", "Crate.EXAMPLE", 22, true),
        ("Crate.Example", "crate.example", 22, true),
        ("other,crate.example", "crate.example", 22, true),
        ("crate.example,", "crate.example", 22, true),
        ("crate.exampl", "crate.example", 22, false),
        ("*.example,!crate.example", "crate.example", 22, false),
        ("!crate.example,*.example", "crate.example", 22, false),
        ("!crate.example,*.example", "other.example", 22, true),
        ("!crate.example", "other.example", 22, false),
        ("crate.example", "crate.example", 2222, false),
        ("[crate.example]:2222", "crate.example", 2222, true),
        ("[crate.example]:2222", "crate.example", 22, false),
        ("[*.example]:2222", "crate.example", 2222, true),
        ("[crate.example]:*", "crate.example", 2222, true),
        ("[crate.example]:22", "crate.example", 22, false),
        ("192.168.1.?", "192.168.1.7", 22, true),
        ("fe80::1%eth0", "fe80::1%eth0", 22, true),
        ("[::1]:2222", "::1", 2222, true),
    ] {
        let found = known(&format!("{names} {KEY} comment"))
            .find(&HostPort::new(name, port).unwrap())
            .verdict(&key());
        let expected = match is_known {
            true => Verdict::Match(at(1)),
            false => Verdict::Unknown,
        };
        assert_eq!(found, expected, "{names} {name} {port}");
    }
}

#[test]
fn m5_hashed_hosts() {
    let file = known(&format!("{} {KEY}\n{} {KEY}\n", HASHED[0], HASHED[1]));
    for (name, port, verdict) in [
        ("crate.example", 22, Verdict::Match(at(1))),
        ("CRATE.example", 22, Verdict::Match(at(1))),
        ("crate.example", 2222, Verdict::Match(at(2))),
        ("crate.exampl", 22, Verdict::Unknown),
    ] {
        let host = HostPort::new(name, port).unwrap();
        assert_eq!(file.find(&host).verdict(&key()), verdict, "{host}");
    }
}

#[test]
fn m5_bad_lines_are_reported_and_match_nothing() {
    let certificate = include_str!("../testdata/ecdsa-cert.pub").trim_end();
    let key_error = |damage: Damage| LineProblem::Key(damage.into());
    for (line, problem) in [
        ("h".to_string(), LineProblem::MissingField),
        (
            "h ssh-ed25519".to_string(),
            LineProblem::Key(KeyFileError::NotAKeyFile),
        ),
        ("@revoked h".to_string(), LineProblem::MissingField),
        (
            format!("@trusted h {KEY}"),
            LineProblem::Marker("@trusted".into()),
        ),
        (
            format!("@REVOKED h {KEY}"),
            LineProblem::Marker("@REVOKED".into()),
        ),
        (format!("@ h {KEY}"), LineProblem::Marker("@".into())),
        (
            format!("@cert-authority @revoked h {KEY}"),
            LineProblem::Marker("@revoked".into()),
        ),
        (format!("{}| {KEY}", HASHED[0]), LineProblem::HostHash),
        (format!("{}, {KEY}", HASHED[0]), LineProblem::HostHash),
        (format!("|1|AAAA|AAAA {KEY}"), LineProblem::HostHash),
        (
            format!("|2|{} {KEY}", &HASHED[0][3..]),
            LineProblem::HostHash,
        ),
        (format!("|1| {KEY}"), LineProblem::HostHash),
        (format!("\u{feff}h {KEY}"), LineProblem::Names),
        (format!("h\u{a0}{KEY}"), LineProblem::Names),
        (
            format!("h {}", KEY.replace("ssh-ed25519", "ssh-rsa")),
            key_error(Damage::TypeMismatch),
        ),
        (format!("h {KEY}\0"), key_error(Damage::Line)),
        ("h ssh-ed25519 !!!!".to_string(), key_error(Damage::Base64)),
        // Of SSH-1.
        ("h 1024 37 1234".to_string(), key_error(Damage::Base64)),
        (format!("h {certificate}"), LineProblem::Certificate),
        (
            format!("@cert-authority h {certificate}"),
            LineProblem::Certificate,
        ),
        (
            format!("{} {KEY}", "h".repeat(MAX_KNOWN_HOSTS_LINE)),
            LineProblem::TooLong,
        ),
    ] {
        let text = format!("{line}\nh {KEY}\n");
        let (known, errors) = KnownHosts::parse(text.clone()).unwrap();
        let expected = LineError { line: 1, problem };
        assert_eq!(errors, [expected], "{line}");
        assert_eq!(
            known.find(&host("h")).verdict(&key()),
            Verdict::Match(at(2))
        );
        assert_eq!(known.find(&host("h")).iter().count(), 1, "{line}");
        assert_eq!(known.as_bytes(), text.as_bytes());
    }
}

#[test]
fn m1_blank_lines_comments_and_line_ends() {
    let text = format!("\r\n# h {KEY}\n  \t# x\n\n \th \t{KEY} \tc c\r\n@revoked\th\t{KEY}");
    let file = known(&text);
    let entries = file.find(&host("h"));
    let places: Vec<_> = entries.iter().map(|entry| entry.place.line).collect();
    assert_eq!(places, [5, 6]);
    assert_eq!(known("").find(&host("h")).verdict(&key()), Verdict::Unknown);
}

/// Every cut either leaves the line out or leaves it whole.
#[test]
fn m1_a_cut_line_is_never_another_key() {
    let text = format!("h {KEY}");
    for cut in 0..text.len() {
        let (known, _) = KnownHosts::parse(&text.as_bytes()[..cut]).unwrap();
        assert_eq!(known.find(&host("h")).verdict(&key()), Verdict::Unknown);
    }
}

#[test]
fn m6_verdicts_are_distinct() {
    let file = known(&format!(
        "h {}\nh {}\n\nother {KEY}\n",
        line(&ecdsa()),
        line(&other())
    ));
    let verdict = |name: &str, key: &PublicKey| file.find(&host(name)).verdict(key);
    assert_eq!(verdict("h", &ecdsa()), Verdict::Match(at(1)));
    assert_eq!(verdict("h", &other()), Verdict::Match(at(2)));
    assert_eq!(verdict("h", &key()), Verdict::Mismatch(at(2)));
    assert_eq!(verdict("other", &ecdsa()), Verdict::OtherType(at(4)));
    assert_eq!(verdict("other", &other()), Verdict::Mismatch(at(4)));
    assert_eq!(verdict("third", &key()), Verdict::Unknown);
}

#[test]
fn m6_revoked_wins_over_all() {
    let revoked = format!("@revoked * {KEY}");
    for text in [
        format!("{revoked}\nh {KEY}"),
        format!("h {KEY}\n{revoked}"),
        format!("h {KEY}\n@cert-authority h {KEY}\n{revoked}"),
        format!("h {}\n{revoked}", line(&other())),
    ] {
        let entries = known(&text).find(&host("h"));
        let place = entries
            .iter()
            .find(|entry| entry.marker == HostMarker::Revoked)
            .unwrap()
            .place;
        assert_eq!(entries.verdict(&key()), Verdict::Revoked(place), "{text}");
        assert!(entries.is_revoked(&key()) && !entries.is_revoked(&other()));
        assert_eq!(entries.authorities().count(), 0);
    }
    let elsewhere = known(&format!("@revoked other {KEY}\nh {KEY}")).find(&host("h"));
    assert_eq!(elsewhere.verdict(&key()), Verdict::Match(at(2)));
}

#[test]
fn m6_authorities_are_no_host_keys() {
    let text = format!(
        "@cert-authority *.example,!bad.example {KEY}\n@cert-authority h.example {}\n@revoked * {1}",
        line(&ecdsa()),
        line(&other()),
    );
    let file = known(&text.replace("{1}", &line(&other())));
    let entries = file.find(&host("h.example"));
    assert_eq!(entries.verdict(&key()), Verdict::Unknown);
    assert_eq!(
        entries.authorities().cloned().collect::<Vec<_>>(),
        [key(), ecdsa()]
    );
    assert_eq!(file.find(&host("bad.example")).authorities().count(), 0);
}

#[test]
fn m6_several_files_are_one() {
    let entries = |text: String| known(&text).find(&host("h"));
    let user = entries(format!("h {}", line(&other())));
    let global = entries(format!("\nh {KEY}"));
    let last = entries(format!("@revoked h {}", line(&ecdsa())));
    let all = user.clone().and(global.and(last));
    let place = |file, line| Place { file, line };
    assert_eq!(all.verdict(&key()), Verdict::Match(place(1, 2)));
    assert_eq!(all.verdict(&other()), Verdict::Match(place(0, 1)));
    assert_eq!(all.verdict(&ecdsa()), Verdict::Revoked(place(2, 1)));
    assert_eq!(user.verdict(&key()), Verdict::Mismatch(place(0, 1)));
}

/// The order is that of `ssh -v` ("order_hostkeyalgs") of OpenSSH 9.2.
#[test]
fn o7_the_order_of_algorithms_follows_what_is_known() {
    let offered = [
        "ssh-ed25519-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "rsa-sha2-512-cert-v01@openssh.com",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "sk-ssh-ed25519@openssh.com",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ];
    let rsa = PublicKey::rsa(&[1, 0, 1], &[0xc1; 256]);
    let order = |text: String| known(&text).find(&host("h")).host_key_algorithms(&offered);
    let first = |count: usize, names: &[&str], text: String| {
        let order = order(text.clone());
        assert_eq!(order[..count], *names, "{text}");
        let rest: Vec<_> = offered
            .iter()
            .filter(|name| !names.contains(name))
            .collect();
        assert_eq!(order[count..].iter().collect::<Vec<_>>(), rest);
    };
    first(0, &[], String::new());
    // The best one is known: nothing shows.
    first(0, &[], format!("h {}\nh {KEY}", line(&rsa)));
    first(
        2,
        &[
            "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            "ecdsa-sha2-nistp256",
        ],
        format!("h {}", line(&ecdsa())),
    );
    first(
        3,
        &[
            "rsa-sha2-512-cert-v01@openssh.com",
            "rsa-sha2-512",
            "rsa-sha2-256",
        ],
        format!("h {}", line(&rsa)),
    );
    first(
        6,
        &[
            offered[0],
            offered[1],
            offered[2],
            offered[3],
            "rsa-sha2-512",
            "rsa-sha2-256",
        ],
        format!("h {}\n@cert-authority h {KEY}", line(&rsa)),
    );
    // What is revoked counts for nothing.
    first(0, &[], format!("h {0}\n@revoked h {0}", line(&rsa)));
    first(0, &[], format!("@cert-authority h {KEY}\n@revoked * {KEY}"));
    let sk = PublicKey::from_blob(&b"\0\0\0\x1ask-ssh-ed25519@openssh.com"[..]).unwrap();
    first(
        2,
        &[
            "sk-ssh-ed25519-cert-v01@openssh.com",
            "sk-ssh-ed25519@openssh.com",
        ],
        format!("h {}", line(&sk)),
    );
}

#[test]
fn names_that_would_change_the_file_are_refused() {
    for name in [
        "",
        "*",
        "a b",
        "a\tb",
        "a\nb",
        "a,b",
        "a?",
        "!a",
        "|1|",
        "#a",
        "@revoked",
        "[::1]",
        "\"a\"",
        "m\u{fc}nchen",
        "a\0",
        "a\u{1b}",
        &"a".repeat(256),
    ] {
        assert_eq!(
            HostPort::new(name, 22),
            Err(KeyFileError::BadHostName),
            "{name:?}"
        );
    }
    assert!(HostPort::new(&"a".repeat(255), 22).is_ok());
    assert_eq!(HostPort::new("A", 23).unwrap().as_str(), "[a]:23");
    assert_eq!(HostPort::new("::1", 22).unwrap().to_string(), "::1");
}

#[test]
fn lines_are_added_and_the_rest_stays() {
    let start = format!("# mine\r\nbad line\nother {KEY}");
    let (mut file, _) = KnownHosts::parse(start.clone()).unwrap();
    let added = file.add(&host("H"), &key()).unwrap().to_vec();
    assert_eq!(added, format!("\nh {KEY}\n").as_bytes());
    assert_eq!(file.as_bytes(), [start.as_bytes(), &added].concat());
    assert_eq!(file.find(&host("h")).verdict(&key()), Verdict::Match(at(4)));
    let added = file
        .add(&HostPort::new("h", 2222).unwrap(), &ecdsa())
        .unwrap();
    assert_eq!(added, format!("[h]:2222 {}\n", line(&ecdsa())).as_bytes());
    // What is remembered is what a new reading finds.
    let again = KnownHosts::parse(file.as_bytes()).unwrap().0;
    assert_eq!(again, file);
    let mut empty = known("");
    assert_eq!(
        empty.add(&host("h"), &key()).unwrap(),
        format!("h {KEY}\n").as_bytes()
    );
    assert_eq!(empty, KnownHosts::parse(empty.as_bytes()).unwrap().0);
}

#[test]
fn hashed_lines_are_added() {
    let mut file = known("");
    let mut random = |bytes: &mut [u8]| {
        let mut salt = [0; HASH];
        Base64::decode(&HASHED[1][3..31], &mut salt).unwrap();
        bytes.copy_from_slice(&salt);
        Ok(())
    };
    let host = HostPort::new("crate.example", 2222).unwrap();
    let added = file.add_hashed(&host, &key(), &mut random).unwrap();
    assert_eq!(added, format!("{} {KEY}\n", HASHED[1]).as_bytes());
    assert_eq!(file.find(&host).verdict(&key()), Verdict::Match(at(1)));
    let mut broken = |_: &mut [u8]| Err(RandomFailed);
    assert_eq!(
        file.add_hashed(&host, &key(), &mut broken),
        Err(KeyFileError::Crypto(CryptoError::RandomFailed))
    );
    assert_eq!(file.entries.len(), 1);
}

#[test]
fn what_could_not_be_read_is_not_added() {
    let mut file = known("");
    let certificate = PublicKeyLine::parse(include_bytes!("../testdata/ecdsa-cert.pub")).unwrap();
    assert!(matches!(
        file.add(&host("h"), &certificate.key),
        Err(KeyFileError::UnsupportedKeyType(_))
    ));
    let large = PublicKey::rsa(&[3], &vec![0xc1; 7000]);
    assert_eq!(file.add(&host("h"), &large), Err(KeyFileError::TooLong));
    assert_eq!(file, known(""));
}

/// What `ssh-keygen -R` of OpenSSH 9.2 leaves of such files.
#[test]
fn lines_of_a_host_are_removed() {
    let lines = [
        format!("h,other {KEY}\r\n"),
        format!("*.ex {KEY}\n"),
        "bad h\n".to_string(),
        format!("@revoked h {KEY}\n"),
        format!("@cert-authority h {KEY}\n"),
        format!("{} {KEY}", HASHED[0]),
    ];
    let text = lines.concat();
    for (name, gone) in [
        ("h", &[0][..]),
        ("a.ex", &[1]),
        ("crate.example", &[5]),
        ("x", &[]),
    ] {
        let (mut file, _) = KnownHosts::parse(text.clone()).unwrap();
        assert_eq!(file.remove(&host(name)), gone.len());
        let left: String = (0..lines.len())
            .filter(|line| !gone.contains(line))
            .map(|line| &*lines[line])
            .collect();
        assert_eq!(file.as_bytes(), left.as_bytes(), "{name}");
        assert_eq!(file, KnownHosts::parse(left).unwrap().0);
    }
}

/// M5: a hundred thousand lines are read and searched.
#[test]
fn m5_many_lines() {
    let text = format!("*?*?*?*?*.example {KEY}\n").repeat(100_000);
    let (file, errors) = KnownHosts::parse(text).unwrap();
    assert_eq!(errors, []);
    assert_eq!(file.find(&host("h")).verdict(&key()), Verdict::Unknown);
    let last = file.find(&host("abcd.example"));
    assert_eq!(last.iter().count(), 100_000);
    let text = format!("h {KEY}\n").repeat(MAX_KEY_LIST_LINES + 1);
    assert_eq!(KnownHosts::parse(text), Err(KeyFileError::TooLong));
}

#[test]
fn m12_problems_show_nothing_that_steers_a_terminal() {
    let shown = problems(format!("@\u{1b}[2J h {KEY}"))[0].to_string();
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

/// M6: a certificate is revoked with its key and with its authority, and matches nothing.
#[test]
fn m6_certificates_are_revoked_with_their_keys() {
    let line = PublicKeyLine::parse(include_bytes!("../testdata/ecdsa-cert.pub")).unwrap();
    let certificate = line.key.certificate().unwrap();
    let lines = |key: &PublicKey| {
        let key = PublicKeyLine {
            key: key.clone(),
            comment: Comment::default(),
        };
        let all = ["h", "@cert-authority h", "@revoked h"].map(|start| format!("{start} {key}"));
        all.map(|line| known(&line).find(&host("h")))
    };
    for key in [certificate.public_key(), certificate.signature_key()] {
        let [plain, authority, revoked] = lines(key);
        let verdict = plain.verdict(&line.key);
        assert!(matches!(verdict, Verdict::OtherType(_)), "{verdict:?}");
        assert_eq!(authority.verdict(&line.key), Verdict::Unknown);
        assert!(!authority.is_revoked(&line.key));
        assert_eq!(revoked.verdict(&line.key), Verdict::Revoked(at(1)));
        assert!(revoked.is_revoked(&line.key));
    }
}
