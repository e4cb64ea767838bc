//! Tests of authorized_keys: every option of sshd, and lines that are refused whole.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::keys::{Damage, PublicKeyLine, WallClock};
use crate::limits::{MAX_KEY_LINE, MAX_KEY_OPTIONS};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHSfyLEsMeNY4K/mHzzbfwPXDunYBSH8kmY+R1emwspx";

fn key() -> PublicKey {
    PublicKeyLine::parse(KEY.as_bytes()).unwrap().key
}

fn parse(text: impl AsRef<[u8]>) -> (Vec<AuthorizedKey>, Vec<LineError>) {
    let (keys, errors) = AuthorizedKeys::parse(text.as_ref()).unwrap();
    (keys.keys, errors)
}

fn options(options: &str) -> KeyOptions {
    let (mut keys, errors) = parse(format!("{options} {KEY} me@example"));
    assert_eq!(errors, [], "{options}");
    let line = keys.pop().unwrap();
    assert_eq!(
        (line.key, line.comment.as_bytes()),
        (key(), &b"me@example"[..])
    );
    line.options
}

fn problem(line: impl AsRef<[u8]>) -> LineProblem {
    let line = line.as_ref();
    let (keys, mut errors) = parse(line);
    assert_eq!(
        (keys.len(), errors.len()),
        (0, 1),
        "{}",
        line.escape_ascii()
    );
    assert_eq!(
        AuthorizedKey::parse(1, line).unwrap_err(),
        errors[0].problem
    );
    errors.pop().unwrap().problem
}

fn unknown(name: &str) -> LineProblem {
    LineProblem::UnknownOption(name.into())
}

fn value(name: &str) -> LineProblem {
    LineProblem::OptionValue(name.into())
}

#[test]
fn plain_lines_are_found_between_comments() {
    let file = format!("# {KEY}\n\n  \t\r\n{KEY} a comment\r\n#\n\t{KEY}");
    let (keys, errors) = AuthorizedKeys::parse(file.as_bytes()).unwrap();
    assert_eq!(errors, []);
    let found: Vec<_> = keys.find(&key()).collect();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, found[1].line), (4, 6));
    assert_eq!(found[0].comment.as_bytes(), b"a comment");
    assert_eq!(found[0].options, KeyOptions::default());
    assert_eq!(keys.find(&PublicKey::ed25519(&[1; 32])).count(), 0);
    assert_eq!(AuthorizedKey::parse(1, b" # x"), Ok(None));
    assert_eq!(AuthorizedKey::parse(1, b"\r\n"), Ok(None));
}

#[test]
fn options_are_read() {
    let all = KeyOptions::default();
    let place = |host: &str, port| PermittedPlace {
        host: host.into(),
        port,
    };
    assert_eq!(
        options(r#"command="echo \"a b\", c",no-pty"#),
        KeyOptions {
            command: Some(br#"echo "a b", c"#.to_vec()),
            pty: false,
            ..all.clone()
        }
    );
    assert_eq!(
        options(r#"environment="A=1",environment="_b2=x=y",Environment="A=2",environment="E=""#),
        KeyOptions {
            environment: vec![
                ("A".into(), b"1".to_vec()),
                ("_b2".into(), b"x=y".to_vec()),
                ("E".into(), vec![]),
            ],
            ..all.clone()
        }
    );
    assert_eq!(
        options(r#"permitopen="a:1",permitlisten="2",permitopen="[::1]:*",permitlisten="b*:3""#),
        KeyOptions {
            permit_open: vec![place("a", Some(1)), place("::1", None)],
            permit_listen: vec![place("*", Some(2)), place("b*", Some(3))],
            ..all.clone()
        }
    );
    assert_eq!(
        options(r#"permitopen="*:*""#).permit_open,
        [place("*", None)]
    );
    assert_eq!(
        options(r#"permitlisten="*""#).permit_listen,
        [place("*", None)]
    );
    assert_eq!(
        options(r#"tunnel="0""#).tunnel,
        Some(TunnelDevice::Number(0))
    );
    assert_eq!(options(r#"Tunnel="any""#).tunnel, Some(TunnelDevice::Any));
    let sk = options("no-touch-required,verify-required");
    assert!(sk.no_touch_required && sk.verify_required);
    let sk = options("no-touch-required,verify-required,touch-required,no-verify-required");
    assert_eq!(sk, all);
    assert_eq!(
        options("no-agent-forwarding,no-port-forwarding,no-X11-forwarding,no-user-rc,no-pty"),
        KeyOptions {
            restrict: false,
            ..options("restrict")
        }
    );
}

#[test]
fn rights_are_taken_and_given_in_order() {
    let none = options("restrict");
    assert!(none.restrict && !none.pty && !none.port_forwarding && !none.user_rc);
    assert!(!none.agent_forwarding && !none.x11_forwarding);
    for (text, expected) in [
        (
            "restrict,pty",
            KeyOptions {
                pty: true,
                ..none.clone()
            },
        ),
        ("pty,Restrict", none.clone()),
        (
            "restrict,X11-forwarding,agent-forwarding",
            KeyOptions {
                x11_forwarding: true,
                agent_forwarding: true,
                ..none.clone()
            },
        ),
        ("restrict,pty,no-pty", none.clone()),
        ("no-pty,pty", KeyOptions::default()),
    ] {
        assert_eq!(options(text), expected, "{text}");
    }
}

/// M8: principals are whole names, and an authority is not found as a key.
#[test]
fn m8_authorities_and_their_principals() {
    let file = format!("cert-authority,principals=\"a,b c,,d\" {KEY}\n{KEY}\n");
    let (keys, _) = AuthorizedKeys::parse(file.as_bytes()).unwrap();
    let lines = |found: Vec<&AuthorizedKey>| found.iter().map(|key| key.line).collect::<Vec<_>>();
    assert_eq!(lines(keys.find(&key()).collect()), [2]);
    assert_eq!(lines(keys.find_authority(&key()).collect()), [1]);
    let authority = keys.find_authority(&key()).next().unwrap();
    let names = authority.options.principals.clone().unwrap();
    assert_eq!(names, ["a", "b c", "d"]);
    assert_eq!(
        options(r#"cert-authority,principals="""#).principals,
        Some(vec![])
    );
    assert_eq!(
        problem(format!("principals=\"a\" {KEY}")),
        value("principals")
    );
}

#[test]
fn m7_whole_lines_are_refused() {
    for (text, expected) in [
        ("frob", unknown("frob")),
        ("frob=\"x\"", unknown("frob")),
        ("no-restrict", unknown("no-restrict")),
        ("no-cert-authority", unknown("no-cert-authority")),
        ("no-command=\"x\"", unknown("no-command")),
        ("zos-key-ring-label=\"a/b\"", unknown("zos-key-ring-label")),
        ("restrict,", unknown("")),
        (",", unknown("")),
        ("no-pty=\"yes\"", unknown("no-pty")),
        ("from", unknown("from")),
        ("command", unknown("command")),
        ("command=ls", value("command")),
        ("command=\"a\"x", value("command")),
        (
            "command=\"a\",command=\"b\"",
            LineProblem::RepeatedOption("command".into()),
        ),
        (
            "from=\"a\",from=\"b\"",
            LineProblem::RepeatedOption("from".into()),
        ),
        (
            "tunnel=\"1\",tunnel=\"1\"",
            LineProblem::RepeatedOption("tunnel".into()),
        ),
        ("from=\"10.0.0.1/8\"", value("from")),
        ("from=\"a,,b\"", value("from")),
        ("from=\"a, b\"", value("from")),
        ("environment=\"A\"", value("environment")),
        ("environment=\"=x\"", value("environment")),
        ("environment=\"A-B=x\"", value("environment")),
        ("permitopen=\"80\"", value("permitopen")),
        ("permitopen=\"h:0\"", value("permitopen")),
        ("permitopen=\"h:65536\"", value("permitopen")),
        ("permitopen=\"h:+80\"", value("permitopen")),
        ("permitopen=\"::1:80\"", value("permitopen")),
        ("permitopen=\"[::1:80\"", value("permitopen")),
        ("permitopen=\":80\"", value("permitopen")),
        ("permitlisten=\"\"", value("permitlisten")),
        ("permitlisten=\"x\"", value("permitlisten")),
        ("tunnel=\"\"", value("tunnel")),
        ("tunnel=\"-1\"", value("tunnel")),
        ("tunnel=\"2147483646\"", value("tunnel")),
        ("expiry-time=\"soon\"", value("expiry-time")),
        ("expiry-time=\"20240230\"", value("expiry-time")),
        ("command=\"a", LineProblem::UnclosedQuote),
        ("command=\"a\r\"", LineProblem::ControlCharacter),
        ("command=\"a\0\"", LineProblem::ControlCharacter),
        ("command=\"\u{1b}[2J\"", LineProblem::ControlCharacter),
    ] {
        assert_eq!(problem(format!("{text} {KEY}")), expected, "{text:?}");
    }
}

/// M7: options are never dropped because the key behind them does not fit.
#[test]
fn m7_restrict_glued_to_a_damaged_key() {
    let wrong_type = KEY.replace("ssh-ed25519", "ssh-rsa");
    let mismatch = LineProblem::Key(Damage::TypeMismatch.into());
    assert_eq!(problem(format!("restrict {wrong_type}")), mismatch);
    assert_eq!(problem(&wrong_type), mismatch);
    assert_eq!(problem(format!("restrict,{KEY}")), mismatch);
    assert_eq!(
        problem(format!("restrict {KEY}").replace("NTE5", "NTE!")),
        LineProblem::Key(Damage::Base64.into())
    );
    assert_eq!(problem("restrict"), LineProblem::MissingField);
    // A line of known_hosts, and one of allowed_signers.
    assert_eq!(problem(format!("host {KEY}")), unknown("host"));
    assert_eq!(problem(format!("me@example {KEY}")), unknown("me@example"));
}

#[test]
fn m7_blanks_that_are_not_ascii_part_nothing() {
    for blank in ["\u{a0}", "\u{2003}", "\u{3000}", "\u{b}"] {
        problem(format!("restrict{blank}{KEY}"));
        problem(format!("restrict {}", KEY.replacen(' ', blank, 1)));
        problem(KEY.replacen(' ', blank, 1));
    }
    problem(format!("\u{feff}{KEY}"));
    problem([KEY.as_bytes(), b"\0"].concat());
    problem(format!("{KEY} a\rb"));
}

/// M7: the tail of a line that is too long is not another line.
#[test]
fn m7_lines_that_are_too_long_are_refused_whole() {
    let fill = |len: usize| {
        let end = format!("\" {KEY}");
        let start = String::from("command=\"");
        let middle = "x".repeat(len - start.len() - end.len());
        start + &middle + &end
    };
    assert_eq!(parse(fill(MAX_KEY_LINE)).0.len(), 1);
    assert_eq!(problem(fill(MAX_KEY_LINE + 1)), LineProblem::TooLong);
    let many = |count| vec!["pty"; count].join(",");
    assert_eq!(parse(format!("{} {KEY}", many(MAX_KEY_OPTIONS))).0.len(), 1);
    assert_eq!(
        problem(format!("{} {KEY}", many(MAX_KEY_OPTIONS + 1))),
        LineProblem::TooLong
    );
}

#[test]
fn m7_a_refused_line_does_not_hide_a_later_one() {
    let file = format!("frob=\"x\" {KEY}\nfrom=\"::1\" {KEY}\ncommand=\"a\n{KEY}");
    let (keys, errors) = parse(file);
    let lines: Vec<_> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(keys.len(), 2);
    assert_eq!(
        errors[0].to_string(),
        "line 1: option \"frob\" is not understood"
    );
}

/// A certificate on a line of its own would let its holder in with nobody checking it.
#[test]
fn m9_certificates_authorize_nobody() {
    let certificate = include_str!("../testdata/ecdsa-cert.pub");
    assert_eq!(problem(certificate), LineProblem::Certificate);
    for options in ["restrict", "cert-authority"] {
        assert_eq!(
            problem(format!("{options} {certificate}")),
            LineProblem::Certificate
        );
    }
}

#[test]
fn m7_from_and_expiry_decide_per_login() {
    let local = Some("10.0.0.7".parse().unwrap());
    let now = WallClock::utc(1_709_164_800);
    let admits = |text: &str| options(text).admits(local, None, now);
    for (text, expected) in [
        ("pty", Ok(())),
        ("from=\"10.0.0.*\"", Ok(())),
        ("from=\"*,!10.0.0.7\"", Err(KeyRefusal::Source)),
        ("from=\"\"", Err(KeyRefusal::Source)),
        ("expiry-time=\"20240229Z\"", Err(KeyRefusal::Expired)),
        ("expiry-time=\"20240229000001Z\"", Ok(())),
        ("expiry-time=\"20240301\",from=\"10.0.0.0/8\"", Ok(())),
        (
            "expiry-time=\"20240201\",from=\"\"",
            Err(KeyRefusal::Expired),
        ),
    ] {
        assert_eq!(admits(text), expected, "{text}");
    }
    let named = options("from=\"good.example\"");
    assert_eq!(named.admits(local, Some("good.example"), now), Ok(()));
    assert_eq!(named.admits(local, None, now), Err(KeyRefusal::Source));
    assert_eq!(named.admits(None, None, now), Err(KeyRefusal::Source));
}

/// M1: cut at every byte, a line is refused or, once the key is whole, good.
#[test]
fn m1_a_cut_line_never_loses_its_options() {
    let line = format!("restrict,command=\"a b\",from=\"10.0.0.0/8\" {KEY}");
    for cut in 0..line.len() {
        assert_eq!(parse(&line[..cut]).0, [], "{cut}");
    }
    assert_eq!(parse(&line).0.len(), 1);
}
