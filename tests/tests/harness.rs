//! The harness itself: every stage is reached, in both roles and every mode, and its assertions can fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ssh_proto::error::DisconnectReason;
use ssh_proto::wire::transport::{Debug, Ignore};
use ssh_proto::{ClientConnection, Disconnected, Role, ServerConnection};
use ssh_tests::hostile::Victim;
use ssh_tests::{
    ClientApp, Hostile, Job, Mode, Pair, ServerApp, Stage, for_each_chunking, for_each_mode,
};

const STAGES: [Stage; 8] = [
    Stage::Start,
    Stage::Identified,
    Stage::KexInit,
    Stage::BeforeNewKeys,
    Stage::NewKeys,
    Stage::Service,
    Stage::Authenticated,
    Stage::Channel,
];

fn reaches_every_stage<E: Victim>() {
    for_each_chunking(|mode| {
        for stage in STAGES {
            println!("{stage:?}");
            let mut hostile = Hostile::<E>::at(stage, mode);
            assert_eq!(hostile.ended, None);
            // An illegal number ends it wherever packets pass. A client that is to choose how to
            // authenticate reads nothing before it has.
            let pauses = E::ROLE == Role::Client && stage == Stage::Service;
            if stage >= Stage::Identified && !pauses {
                hostile.send_payload(&[0]);
                hostile.assert_disconnected(DisconnectReason::PROTOCOL_ERROR);
            }
        }
    });
}

#[test]
fn every_stage_is_reached_with_a_client() {
    reaches_every_stage::<ClientConnection>();
}

#[test]
fn every_stage_is_reached_with_a_server() {
    reaches_every_stage::<ServerConnection>();
}

fn rekeys<E: Victim>() {
    let mut hostile = Hostile::<E>::at(Stage::Channel, Mode::PLAIN);
    for _ in 0..3 {
        hostile.events.clear();
        hostile.rekey();
        assert_eq!(hostile.ended, None);
        assert!(
            hostile
                .events
                .iter()
                .any(|event| format!("{event:?}").contains("is_rekey: true"))
        );
        // Both still understand each other.
        hostile.send(&Ignore { data: b"padding" });
        hostile.send(&Debug {
            always_display: true,
            message: b"hello",
            language: b"",
        });
        assert!(
            hostile
                .events
                .iter()
                .any(|event| format!("{event:?}").contains("hello"))
        );
    }
}

#[test]
fn the_hostile_peer_can_also_behave() {
    rekeys::<ClientConnection>();
    rekeys::<ServerConnection>();
}

#[test]
fn a_session_runs_in_every_mode() {
    for_each_mode(|mode| {
        let size = mode.bulk(3 << 20) as u64;
        let input = vec![7; 5000];
        let mut client = ClientApp::new([
            Job::with_input("echo", input.clone()),
            Job::with_input("stderr", "problem"),
            Job::with_input("sink", vec![0; 3000]),
            Job::new(&format!("source {size}")),
            Job::new("exit 3"),
            Job::new("no such command"),
        ])
        .then_disconnect();
        let mut server = ServerApp::new();
        let mut pair = Pair::new(mode);
        pair.run(&mut client, &mut server);
        let [echo, stderr, sink, source, exit, unknown] = &client.results[..] else {
            panic!("{:?}", client.ended);
        };
        assert_eq!(echo.stdout, input);
        assert_eq!(stderr.stderr, b"problem");
        assert_eq!(sink.stdout, b"3000");
        assert_eq!(source.stdout.len() as u64, size);
        assert!(
            source
                .stdout
                .iter()
                .zip(0..)
                .all(|(byte, at)| *byte == ssh_tests::app::pattern_byte(at))
        );
        assert_eq!(exit.status, Some(3));
        assert_eq!(unknown.granted, Some(false));
        for result in &client.results[..5] {
            assert!(result.eof && result.closed && result.status.is_some());
        }
        assert_eq!(pair.client_end(), Some(&Disconnected::ByApplication));
        assert!(matches!(
            pair.server_end(),
            Some(Disconnected::ByPeer { .. })
        ));
        assert_eq!(mode.rekeys(), server.exchanges.len() > 1);
    });
}

/// Bytes that travel, are late, and stand still for a while.
#[test]
fn a_slow_link_delivers() {
    for_each_mode(|mode| {
        let mut client = ClientApp::new([Job::with_input("echo", vec![6; 5_000])]);
        let mut server = ServerApp::new();
        let mut pair = Pair::new(mode);
        let (least, most) = (Duration::from_millis(20), Duration::from_millis(80));
        pair.to_client.set_delay(least, most);
        pair.to_server.set_delay(least, most);
        let begin = pair.now;
        pair.to_client.stall(true);
        pair.advance(Duration::from_secs(5), &mut client, &mut server);
        assert!(client.authenticated.is_none());
        pair.to_client.stall(false);
        pair.run(&mut client, &mut server);
        assert_eq!(client.results[0].stdout, [6; 5_000]);
        assert!(pair.now > begin + Duration::from_secs(5) + 4 * least);
        assert!(pair.now < begin + Duration::from_secs(60));
    });
}

/// A test that cannot fail proves nothing.
#[test]
fn assertions_can_fail() {
    let fails = |test: &dyn Fn()| catch_unwind(AssertUnwindSafe(test)).is_err();
    let at = |stage| Hostile::<ServerConnection>::at(stage, Mode::PLAIN);
    assert!(fails(
        &|| at(Stage::Service).assert_disconnected(DisconnectReason::PROTOCOL_ERROR)
    ));
    assert!(fails(&|| at(Stage::Service).assert_closed_silently()));
    assert!(fails(&|| {
        let mut hostile = at(Stage::Service);
        hostile.send_payload(&[0]);
        hostile.assert_disconnected(DisconnectReason::MAC_ERROR);
    }));
    assert!(fails(&|| {
        let mut hostile = at(Stage::Authenticated);
        hostile.events.clear();
        hostile.send(&Debug {
            always_display: true,
            message: b"hello",
            language: b"",
        });
        hostile.assert_unmoved();
    }));
}
