//! The phase table held against a second copy: what each situation admits, written out by hand from RFC 4250 to 4254, RFC 8308, OpenSSH's PROTOCOL and the attack notes.

use super::phase::{Phase, Situation, Verdict, admit};
use crate::role::Role;
use crate::transport::kex::KexStage;

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const PHASES: [Phase; 4] = [
    Phase::FirstKex,
    Phase::Service,
    Phase::Auth,
    Phase::Connection,
];
const STAGES: [KexStage; 10] = [
    KexStage::Open,
    KexStage::Guess,
    KexStage::Init,
    KexStage::Reply,
    KexStage::GexRequest,
    KexStage::GexGroup,
    KexStage::GexInit,
    KexStage::GexReply,
    KexStage::NewKeys,
    KexStage::Paused,
];

/// A line of the copy: what is delivered, discarded as a guess, ignored, answered by
/// `UNIMPLEMENTED`. Every other number ends the connection.
struct Line {
    deliver: &'static str,
    guess: &'static str,
    ignore: &'static str,
    unimplemented: &'static str,
}

const NOTHING: Line = Line {
    deliver: "",
    guess: "",
    ignore: "",
    unimplemented: "",
};

/// The copy. RFC 4250 section 4.1: 1-19 transport generic, 20-29 negotiation, 30-49 of the method,
/// 50-59 authentication generic, 60-79 of the method, 80-127 connection, 128-191 reserved,
/// 192-255 local (192 and 193: ping and pong).
fn line(role: Role, phase: Phase, stage: KexStage, strict: bool) -> Line {
    use KexStage as K;
    use Phase as P;
    use Role::{Client, Server};
    match (phase, stage, strict, role) {
        // A question is open, so nothing is read. (The engine does not ask the table then.)
        (_, K::Paused, _, _) => NOTHING,

        // Before the peer's first KEXINIT: whether strict is not known. (C5 is judged at KEXINIT.)
        (P::FirstKex, K::Open, _, _) => Line {
            deliver: "1-4 20",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },

        // C2, strict: what is due or DISCONNECT.
        (P::FirstKex, K::Guess, true, _) => Line {
            deliver: "1",
            guess: "30-49",
            ..NOTHING
        },
        (P::FirstKex, K::Init, true, _) => Line {
            deliver: "1 30",
            ..NOTHING
        },
        (P::FirstKex, K::Reply, true, _) => Line {
            deliver: "1 31",
            ..NOTHING
        },
        // RFC 4419 section 5: 30 is the form of the request from before the RFC, and never due (C18).
        (P::FirstKex, K::GexRequest, true, _) => Line {
            deliver: "1 34",
            ..NOTHING
        },
        (P::FirstKex, K::GexGroup, true, _) => Line {
            deliver: "1 31",
            ..NOTHING
        },
        (P::FirstKex, K::GexInit, true, _) => Line {
            deliver: "1 32",
            ..NOTHING
        },
        (P::FirstKex, K::GexReply, true, _) => Line {
            deliver: "1 33",
            ..NOTHING
        },
        (P::FirstKex, K::NewKeys, true, _) => Line {
            deliver: "1 21",
            ..NOTHING
        },

        // RFC 4253 section 7.1, not strict: 1-19 but for 5 and 6, 20-29 but for another KEXINIT,
        // 30-49 of the method. EXT_INFO is not one of them (RFC 8308 section 2.4), and a ping
        // before authentication is dropped (I7).
        (P::FirstKex, K::Guess, false, _) => Line {
            deliver: "1-4",
            guess: "30-49",
            ignore: "192",
            unimplemented: "8-19 22-29",
        },
        (P::FirstKex, K::Init, false, _) => Line {
            deliver: "1-4 30",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::Reply, false, _) => Line {
            deliver: "1-4 31",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::GexRequest, false, _) => Line {
            deliver: "1-4 34",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::GexGroup, false, _) => Line {
            deliver: "1-4 31",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::GexInit, false, _) => Line {
            deliver: "1-4 32",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::GexReply, false, _) => Line {
            deliver: "1-4 33",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (P::FirstKex, K::NewKeys, false, _) => Line {
            deliver: "1-4 21",
            ignore: "192",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },

        // F1, rekeying: the same, whether the first exchange was strict or not, and OpenSSH 10.4
        // takes a ping for a protocol error here.
        (_, K::Guess, _, _) => Line {
            deliver: "1-4",
            guess: "30-49",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::Init, _, _) => Line {
            deliver: "1-4 30",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::Reply, _, _) => Line {
            deliver: "1-4 31",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::GexRequest, _, _) => Line {
            deliver: "1-4 34",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::GexGroup, _, _) => Line {
            deliver: "1-4 31",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::GexInit, _, _) => Line {
            deliver: "1-4 32",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::GexReply, _, _) => Line {
            deliver: "1-4 33",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },
        (_, K::NewKeys, _, _) => Line {
            deliver: "1-4 21",
            unimplemented: "8-19 22-29",
            ..NOTHING
        },

        // G1 to G3, C22: a client may announce extensions and ask for a service.
        (P::Service, K::Open, _, Server) => Line {
            deliver: "1-5 7 20",
            ignore: "192",
            unimplemented: "8-19 22-29 54-59",
            ..NOTHING
        },
        // G21: a server may announce extensions and grant the service.
        (P::Service, K::Open, _, Client) => Line {
            deliver: "1-4 6 7 20",
            ignore: "192",
            unimplemented: "8-19 22-29 54-59",
            ..NOTHING
        },
        // G3: the service may be asked for again. C22: it is too late for EXT_INFO.
        (P::Auth, K::Open, _, Server) => Line {
            deliver: "1-5 20 50 60-79",
            ignore: "192",
            unimplemented: "7-19 22-29 54-59",
            ..NOTHING
        },
        // C22: a second EXT_INFO may come. G20 to G26 are the auth layer's, which knows what was asked.
        (P::Auth, K::Open, _, Client) => Line {
            deliver: "1-4 7 20 51-53 60-79",
            ignore: "192",
            unimplemented: "8-19 22-29 54-59",
            ..NOTHING
        },
        // G18: late requests are dropped, other messages of a client's authentication unknown.
        // G2: those of a server's are not.
        (P::Connection, K::Open, _, Server) => Line {
            deliver: "1-4 20 80-82 90-100 192",
            ignore: "50",
            unimplemented: "5 7-19 22-29 54-59 61-79 83-89 101-191 193-255",
            ..NOTHING
        },
        // G23, G27: nothing of authentication after success. I7: a client announces no ping.
        (P::Connection, K::Open, _, Client) => Line {
            deliver: "1-4 20 80-82 90-100 193",
            unimplemented: "7-19 22-29 54-59 83-89 101-192 194-255",
            ..NOTHING
        },
    }
}

fn is_in(list: &str, number: u8) -> bool {
    list.split_whitespace().any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        (first.parse().unwrap()..=last.parse().unwrap()).contains(&number)
    })
}

fn situations() -> impl Iterator<Item = Situation> {
    ROLES.into_iter().flat_map(|role| {
        PHASES.into_iter().flat_map(move |phase| {
            STAGES.into_iter().flat_map(move |stage| {
                [false, true].into_iter().map(move |strict| Situation {
                    role,
                    phase,
                    stage,
                    strict,
                })
            })
        })
    })
}

#[test]
fn c1_the_table_agrees_with_a_second_copy() {
    let mut asked = 0;
    for situation in situations() {
        let line = line(
            situation.role,
            situation.phase,
            situation.stage,
            situation.strict,
        );
        for number in 0..=255 {
            let of = |list, verdict| is_in(list, number).then_some(verdict);
            let verdicts = [
                of(line.deliver, Verdict::Deliver),
                of(line.guess, Verdict::DiscardGuess),
                of(line.ignore, Verdict::Ignore),
                of(line.unimplemented, Verdict::Unimplemented),
            ];
            let mut verdicts = verdicts.into_iter().flatten();
            let expected = verdicts.next().unwrap_or(Verdict::Fatal);
            assert_eq!(verdicts.next(), None, "the copy contradicts itself");
            assert_eq!(
                admit(situation, number),
                expected,
                "{number} in {situation:?}"
            );
            asked += 1;
        }
    }
    assert_eq!(asked, 2 * 4 * 10 * 2 * 256);
}

/// B11, C7, C8, C9, G1, G2 as rules over all situations, from another angle than the lines.
#[test]
fn g1_rules_that_hold_everywhere() {
    for situation in situations() {
        let verdict = |number| admit(situation, number);
        let connected = situation.phase == Phase::Connection && situation.stage == KexStage::Open;
        assert_eq!(verdict(0), Verdict::Fatal, "B11");
        assert!(
            (80..=255).all(|n| connected || matches!(verdict(n), Verdict::Fatal | Verdict::Ignore)),
            "G1, C9: the connection protocol before authentication in {situation:?}"
        );
        assert!(
            situation.stage == KexStage::Open || verdict(20) == Verdict::Fatal,
            "C7: a second KEXINIT"
        );
        // The stages in which the other role awaits these are none of ours.
        let never: &[u8] = match (situation.role, situation.stage) {
            (Role::Server, KexStage::Open) => &[6, 21, 30, 31, 32, 33, 34, 51, 52, 53],
            (Role::Client, KexStage::Open) => &[5, 21, 30, 31, 32, 33, 34, 50],
            (Role::Server, _) => &[6, 51, 52, 53],
            (Role::Client, _) => &[5, 50],
        };
        for number in never {
            assert_eq!(
                verdict(*number),
                Verdict::Fatal,
                "C7, C8, G2: {number} in {situation:?}"
            );
        }
        // One number of the method is due at a time, or any as a guess.
        let of_method = (30..=49).filter(|n| verdict(*n) == Verdict::Deliver);
        let due = !matches!(
            situation.stage,
            KexStage::Open | KexStage::Guess | KexStage::NewKeys | KexStage::Paused
        );
        assert_eq!(of_method.count(), usize::from(due), "C7, C8: {situation:?}");
        if situation.stage != KexStage::Open {
            let before_keys = (50..=191).chain(5..=7);
            assert!(
                before_keys
                    .into_iter()
                    .all(|n| verdict(n) == Verdict::Fatal),
                "F1, C9, C10 in {situation:?}"
            );
        }
    }
}
