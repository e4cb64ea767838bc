//! What is wrong with a config is said when it is built, by name, in both roles.

use ssh_proto::crypto::rustcrypto;
use ssh_proto::{
    ClientConfigBuilder, ConfigError, HostKey, Limits, ServerConfig, ServerConfigBuilder,
};
use ssh_tests::{ClientApp, Job, Pair, ServerApp, fixtures, for_each_mode};

/// What both builders say of a config that is changed so.
fn both(
    client: impl FnOnce(ClientConfigBuilder) -> ClientConfigBuilder,
    server: impl FnOnce(ServerConfigBuilder) -> ServerConfigBuilder,
) -> [Option<ConfigError>; 2] {
    [
        client(fixtures::client_config()).build().err(),
        server(fixtures::server_config()).build().err(),
    ]
}

/// The same change of either.
macro_rules! both {
    (|$builder:ident| $change:expr) => {
        both(|$builder| $change, |$builder| $change)
    };
}

fn twice(error: ConfigError) -> [Option<ConfigError>; 2] {
    [Some(error.clone()), Some(error)]
}

#[test]
fn names_that_the_provider_does_not_know_are_told() {
    let unknown = || twice(ConfigError::UnknownAlgorithm("crab".into()));
    assert_eq!(both!(|b| b.kex(["curve25519-sha256", "crab"])), unknown());
    assert_eq!(both!(|b| b.host_key_algorithms(["crab"])), unknown());
    assert_eq!(both!(|b| b.public_key_algorithms(["crab"])), unknown());
    assert_eq!(both!(|b| b.ciphers(["crab"])), unknown());
    assert_eq!(both!(|b| b.ciphers_client_to_server(["crab"])), unknown());
    assert_eq!(both!(|b| b.ciphers_server_to_client(["crab"])), unknown());
    assert_eq!(both!(|b| b.macs(["crab"])), unknown());
    assert_eq!(both!(|b| b.macs_client_to_server(["crab"])), unknown());
    assert_eq!(both!(|b| b.macs_server_to_client(["crab"])), unknown());
    assert_eq!(both!(|b| b.compression(["crab"])), unknown());
    let one_way = both!(|b| b.compression_client_to_server(["+crab"]));
    assert_eq!(one_way, unknown());
    let one_way = both!(|b| b.compression_server_to_client(["^crab"]));
    assert_eq!(one_way, unknown());
    let shown = ConfigError::UnknownAlgorithm("\x1b[A".into()).to_string();
    assert!(!shown.contains('\x1b'), "{shown}");
}

#[test]
fn lists_without_a_choice_are_told() {
    let none = |list| twice(ConfigError::NoAlgorithms(list));
    let nothing = [""; 0];
    assert_eq!(both!(|b| b.kex(nothing)), none("key exchange methods"));
    assert_eq!(
        both!(|b| b.host_key_algorithms(nothing)),
        none("host key algorithms")
    );
    for error in [
        both!(|b| b.ciphers(nothing)),
        both!(|b| b.ciphers_client_to_server(nothing)),
        both!(|b| b.ciphers_server_to_client(nothing)),
    ] {
        assert_eq!(error, none("ciphers"));
    }
    for error in [
        both!(|b| b.macs(nothing)),
        both!(|b| b.macs_client_to_server(nothing)),
        both!(|b| b.macs_server_to_client(nothing)),
    ] {
        assert_eq!(error, none("MACs"));
    }
    for error in [
        both!(|b| b.compression(nothing)),
        both!(|b| b.compression_client_to_server(["-none"])),
        both!(|b| b.compression_server_to_client(["-*"])),
    ] {
        assert_eq!(error, none("compression methods"));
    }
    // Ciphers that need none do without.
    let without = both!(|b| b.ciphers(["aes256-gcm@openssh.com"]).macs(nothing));
    assert_eq!(without, [None, None]);
    // Of the algorithms that are wanted, none is of a key that there is.
    let other = fixtures::server_config().host_key_algorithms(["ecdsa-sha2-nistp256"]);
    assert_eq!(
        other.build().err(),
        Some(ConfigError::NoAlgorithms("host key algorithms"))
    );
}

#[test]
fn identifications_and_limits_are_checked() {
    for (software, comment) in [
        ("", None),
        ("two words", None),
        ("line\r\nfeed", None),
        ("ssh", Some("line\nfeed")),
    ] {
        assert_eq!(
            both!(|b| b.identification(software, comment)),
            twice(ConfigError::InvalidIdentification),
            "{software:?} {comment:?}"
        );
    }
    type Change = fn(&mut Limits);
    let changes: [(&str, Change); 7] = [
        ("rekey_bytes", |l| l.rekey_bytes = 0),
        ("rekey_packets", |l| l.rekey_packets = 0),
        ("deferred_messages", |l| l.deferred_messages = 0),
        ("deferred_bytes", |l| l.deferred_bytes = 0),
        ("max_packet_size", |l| l.max_packet_size = (256 << 10) + 1),
        ("window_size", |l| l.window_size = l.max_packet_size - 1),
        ("channel_send_buffer", |l| l.channel_send_buffer = 0),
    ];
    for (name, change) in changes {
        let mut limits = Limits::default();
        change(&mut limits);
        assert_eq!(
            both!(|b| b.limits(limits.clone())),
            twice(ConfigError::InvalidLimit(name))
        );
    }
}

#[test]
fn a_server_has_host_keys_that_its_provider_can_use() {
    let none = ServerConfig::builder(rustcrypto::provider());
    assert_eq!(none.build().err(), Some(ConfigError::NoHostKey));
    let key = fixtures::host_key();
    let useless = HostKey::Remote {
        key: key.public_key().clone(),
        algorithms: vec!["ecdsa-sha2-nistp256"],
    };
    let config = ServerConfig::builder(rustcrypto::provider()).host_key(useless);
    assert_eq!(
        config.build().err(),
        Some(ConfigError::UnsupportedHostKey(key.public_key().clone()))
    );
}

#[test]
fn a_later_host_key_replaces_the_earlier_of_its_type() {
    for_each_mode(|mode| {
        let keys = [41, 42].map(|seed| fixtures::key("ssh-ed25519", seed));
        let other = fixtures::key("ecdsa-sha2-nistp256", 43);
        let [earlier, later] = keys.clone();
        let mut pair = Pair::builder(mode)
            .server(|b| {
                b.signing_host_key(earlier)
                    .signing_host_key(other.clone())
                    .signing_host_key(later)
            })
            .client(|b| b.host_key_algorithms(["ssh-ed25519", "ecdsa-sha2-nistp256"]))
            .build();
        let mut client = ClientApp::new([Job::new("exit 4")]).then_disconnect();
        client.host_keys = vec![keys[1].public_key().clone()];
        pair.run(&mut client, &mut ServerApp::new());
        assert_eq!(client.results[0].status, Some(4));
        assert_eq!(&client.exchanges[0].host_key, keys[1].public_key());
    });
}
