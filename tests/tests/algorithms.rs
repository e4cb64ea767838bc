//! docs/algorithms.md: what is offered, in which order, by whose code and why, made from the code; `UPDATE_DOCS=1` writes it.
//!
//! Under the feature `providers` the page is written and compared whole. Without it there is one
//! provider, and the columns of the others are not looked at.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::BytesMut;
use ssh_proto::crypto::{CryptoProvider, rustcrypto};
use ssh_proto::wire::Message as _;
use ssh_proto::wire::kex::KexInit;
use ssh_proto::{ClientConnection, Connection, Instant, ServerConnection};
use ssh_tests::{TestRng, fixtures};

/// Why an algorithm is there, and where it stands.
type Reasons = &'static [(&'static str, &'static str)];

const KEX: Reasons = &[
    (
        "mlkem768x25519-sha256",
        "post-quantum by a standard (FIPS 203), and X25519 beside it: what is recorded today stays \
         closed unless both are broken. First in OpenSSH 10; what ML-KEM adds are microseconds and 2 kB",
    ),
    (
        "sntrup761x25519-sha512",
        "post-quantum for peers without ML-KEM, which is the faster",
    ),
    (
        "sntrup761x25519-sha512@openssh.com",
        "the same, by the name from before its registration: OpenSSH from 8.5 to 9.8",
    ),
    (
        "curve25519-sha256",
        "the fastest for peers without post-quantum methods, on a curve that is hard to misuse \
         (RFC 8731)",
    ),
    (
        "curve25519-sha256@libssh.org",
        "the same, by the name from before RFC 8731",
    ),
    (
        "ecdh-sha2-nistp256",
        "for peers that are bound to NIST's curves (RFC 5656), the fastest of them first",
    ),
    ("ecdh-sha2-nistp384", "as above"),
    ("ecdh-sha2-nistp521", "as above"),
    (
        "diffie-hellman-group-exchange-sha256",
        "for old servers without curves. Servers do not offer finite fields, as since OpenSSH 10.0: \
         they cost a server many times what they cost who floods it (CVE-2002-20001, CVE-2022-40735)",
    ),
    (
        "diffie-hellman-group16-sha512",
        "as above, 4096 bits (RFC 8268)",
    ),
    ("diffie-hellman-group18-sha512", "as above, 8192 bits"),
    (
        "diffie-hellman-group14-sha256",
        "as above, 2048 bits: the least that RFC 9142 allows, so last",
    ),
    (
        "mlkem768nistp256-sha256",
        "post-quantum for those who may use nothing but NIST's; off by default in OpenSSH too",
    ),
    (
        "mlkem1024nistp384-sha384",
        "as above, at the strength that CNSA 2.0 asks for",
    ),
    (
        "diffie-hellman-group15-sha512",
        "3072 bits, for peers that have no other: none known needs it",
    ),
    ("diffie-hellman-group17-sha512", "6144 bits, likewise"),
    (
        "diffie-hellman-group-exchange-sha1",
        "SHA-1, for old devices",
    ),
    ("diffie-hellman-group14-sha1", "SHA-1, likewise"),
    (
        "diffie-hellman-group1-sha1",
        "1024 bits and SHA-1: whoever has computed enough for the group once reads along (Logjam)",
    ),
];

const SIGNATURES: Reasons = &[
    (
        "ssh-ed25519-cert-v01@openssh.com",
        "certificates come before keys: whoever has one wants to be known by its authority. Among \
         them, and among keys, short and fast ones come first",
    ),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "as above"),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "as above"),
    ("ecdsa-sha2-nistp521-cert-v01@openssh.com", "as above"),
    (
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "as above, of a security key; we verify, the hardware signs",
    ),
    ("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "as above"),
    (
        "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "as above, by a browser",
    ),
    (
        "rsa-sha2-512-cert-v01@openssh.com",
        "as above; behind the others for its size and cost",
    ),
    ("rsa-sha2-256-cert-v01@openssh.com", "as above"),
    (
        "ssh-mldsa44-ed25519-cert",
        "as above; last, as in OpenSSH 10.6, since it is new and 2.5 kB long",
    ),
    (
        "ssh-ed25519",
        "short, fast, the same for the same message, and verified strictly (RFC 8709)",
    ),
    (
        "ecdsa-sha2-nistp256",
        "for those bound to NIST's curves (RFC 5656); RustCrypto's nonces are those of RFC 6979",
    ),
    ("ecdsa-sha2-nistp384", "as above"),
    ("ecdsa-sha2-nistp521", "as above"),
    (
        "sk-ssh-ed25519@openssh.com",
        "security keys: the key cannot be copied, and says whether somebody was there",
    ),
    (
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "as above, of older hardware",
    ),
    (
        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        "as above, by a browser",
    ),
    (
        "rsa-sha2-512",
        "for the many keys there are (RFC 8332), of 2048 to 16384 bits. Behind the others: signing \
         is slow, signatures are long, and the library is a pre-release that is not constant in time \
         without blinding, which we ask it for",
    ),
    ("rsa-sha2-256", "as above"),
    (
        "ssh-mldsa44-ed25519",
        "post-quantum, and Ed25519 beside it; last, as in OpenSSH 10.6: nobody can forge yet what \
         was signed for one login, so its 2.5 kB wait until they are asked for",
    ),
    (
        "ssh-rsa-cert-v01@openssh.com",
        "SHA-1, whose collisions are bought for money",
    ),
    ("ssh-dss-cert-v01@openssh.com", "as below"),
    ("ssh-rsa", "SHA-1, as above; never a fall-back"),
    (
        "ssh-dss",
        "1024 bits and SHA-1; gone from OpenSSH since 10.0",
    ),
];

const CIPHERS: Reasons = &[
    (
        "chacha20-poly1305@openssh.com",
        "first, as in OpenSSH: fast and constant in time on every processor, and the one that \
         encrypts lengths under a key of their own. With hardware for AES, AES-GCM is faster: who \
         cares more for that puts it in front (`^aes128-gcm@openssh.com`)",
    ),
    (
        "aes128-gcm@openssh.com",
        "the fastest with hardware for AES (RFC 5647); in front of CTR since OpenSSH 10.0",
    ),
    ("aes256-gcm@openssh.com", "as above, for those who must"),
    (
        "aes128-ctr",
        "for peers without AEAD (RFC 4344), under a MAC of the next table",
    ),
    ("aes192-ctr", "as above"),
    ("aes256-ctr", "as above"),
    (
        "aes128-cbc",
        "a padding oracle by design (Albrecht et al. 2009); for devices with nothing else",
    ),
    ("aes192-cbc", "as above"),
    ("aes256-cbc", "as above"),
    (
        "3des-cbc",
        "as above, with blocks of 64 bits, which repeat after some gigabytes (Sweet32)",
    ),
];

const MACS: Reasons = &[
    (
        "hmac-sha2-256-etm@openssh.com",
        "over the ciphertext, so that nothing forged is decrypted",
    ),
    ("hmac-sha2-512-etm@openssh.com", "as above"),
    (
        "hmac-sha2-256",
        "over the plaintext, for peers that have no other (RFC 6668)",
    ),
    ("hmac-sha2-512", "as above"),
    (
        "hmac-sha1-etm@openssh.com",
        "HMAC-SHA-1 is not broken; it is old, and nobody needs it",
    ),
    ("hmac-sha1", "as above"),
];

const COMPRESSION: Reasons = &[
    (
        "none",
        "what is compressed tells by its length what was in it (CRIME)",
    ),
    (
        "zlib@openssh.com",
        "after authentication alone, with output bounded; plain `zlib` feeds the inflater to \
         anybody and is not there",
    ),
];

/// What is compiled with the feature `legacy` alone.
const LEGACY: [&str; 13] = [
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
    "ssh-rsa-cert-v01@openssh.com",
    "ssh-dss-cert-v01@openssh.com",
    "ssh-rsa",
    "ssh-dss",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "3des-cbc",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1",
];

const COLUMNS: [&str; 4] = ["rustcrypto", "graviola", "aws-lc-rs", "purecrypto"];

const HEAD: &str = "# Algorithms

What is offered, in which order, by whose code, and why. This page is made from the code by
`tests/tests/algorithms.rs`, which fails where the two differ: after a change run
`UPDATE_DOCS=1 cargo test -p ssh-tests --features providers --test algorithms`.

Lists are in the order in which they are offered; the client's first that the server has too is used
(RFC 4253 section 7.1). *Default* is what a config offers that says nothing. *On request* is there,
and offered only where a config names it (`kex([\"+diffie-hellman-group15-sha512\"])`, in the form of
OpenSSH). *Legacy* is weak: compiled with the cargo feature `legacy` alone, and on request even then.
Defaults are those of OpenSSH 10, but for what is said at the end.

The columns of the providers tell whose code runs: a dot where it is RustCrypto's, which the others
take for what their libraries lack or do no faster. Which provider to choose is in
[performance.md](performance.md#providers).
";

const TAIL: &str = "
## What is not there

- `umac-64(-etm)@openssh.com` and `umac-128(-etm)@openssh.com`, which OpenSSH offers first of its
  MACs: no crate of UMAC was found that is kept, and a MAC of our own making is not worth what it
  would save beside two ciphers that need none.
- `hmac-sha1`, in OpenSSH's defaults still, is under `legacy` here.
- `zlib`, `none` as a cipher or a MAC, RSA key transport (RFC 4432), `arcfour`, MD5, MACs cut to 96
  bits, SHA-1 by fall-back: not at all.
- Nothing with `brainpool` curves, Ed448 or X448: none of the peers we test with offers them by
  default.

## What an algorithm is used for

The signatures of one list are those of host keys, of users' keys and, without certificates and
`webauthn-sk-…`, those by which authorities may have signed certificates. A server offers of it
what its host keys sign with, and tells clients in `server-sig-algs` what it takes of users. RSA keys
are looked at from 2048 bits on (`min_rsa_bits`, down to 1024), up to 16384.
";

/// What each provider has, from the first, which is whole, to those that are laid over it.
fn providers() -> Vec<CryptoProvider> {
    #[cfg_attr(not(feature = "providers"), expect(unused_mut, reason = "one alone"))]
    let mut providers = vec![rustcrypto::provider()];
    #[cfg(feature = "providers")]
    {
        use ssh_proto::crypto::{aws_lc_rs, graviola, purecrypto};
        providers.extend([
            graviola::provider(),
            aws_lc_rs::provider(),
            purecrypto::provider(),
        ]);
        let names: Vec<_> = providers.iter().map(|provider| provider.name).collect();
        // Graviola stands back on processors that it does not know.
        assert_eq!(names, COLUMNS, "this processor cannot make the page");
    }
    providers
}

/// The lists of a `KEXINIT` that say what is offered.
struct Offer {
    kex: Vec<String>,
    host_keys: Vec<String>,
    ciphers: Vec<String>,
    macs: Vec<String>,
    compression: Vec<String>,
}

/// What a connection offers that has just begun.
fn offer(connection: &mut impl Connection) -> Offer {
    let mut out = BytesMut::new();
    while connection.poll_transmit(Instant::EPOCH, &mut out).is_some() {}
    let line = out.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
    let packet = &out[line..];
    let len = u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize;
    let padding = usize::from(packet[4]);
    let init = KexInit::from_payload(&packet[5..4 + len - padding]).unwrap();
    let names = |list: &ssh_proto::wire::NameList<'_>| list.iter().map(str::to_owned).collect();
    let is_marker =
        |name: &String| name.starts_with("ext-info-") || name.starts_with("kex-strict-");
    let mut kex: Vec<String> = names(&init.kex);
    kex.retain(|name| !is_marker(name));
    Offer {
        kex,
        host_keys: names(&init.host_key),
        ciphers: names(&init.cipher_client_to_server),
        macs: names(&init.mac_client_to_server),
        compression: names(&init.compression_client_to_server),
    }
}

/// An algorithm that is there: when it is offered, and by whose code.
struct Row {
    name: &'static str,
    offered: &'static str,
    /// Whether it is the first provider's code, for each.
    own: Vec<bool>,
}

/// The algorithms of a list of every provider, those that are offered first.
macro_rules! rows {
    ($providers:expr, $list:ident) => {{
        let all: Vec<Vec<_>> = $providers
            .iter()
            .map(|provider| {
                let more = provider.on_request.$list.iter();
                provider.$list.iter().chain(more).copied().collect()
            })
            .collect();
        let defaults = $providers[0].$list.len();
        let rows = all[0].iter().enumerate().map(|(index, first)| Row {
            name: first.name(),
            offered: match (index < defaults, LEGACY.contains(&first.name())) {
                (true, false) => "default",
                (false, false) => "on request",
                (false, true) => "legacy",
                (true, true) => panic!("{} is weak and offered", first.name()),
            },
            own: all
                .iter()
                .map(|list| {
                    let names: HashSet<_> = list.iter().map(|one| one.name()).collect();
                    assert_eq!(names.len(), list.len(), "a name stands twice");
                    let here = list[index];
                    assert_eq!(here.name(), first.name(), "in another order");
                    // Both parts: values of no size may share their address.
                    #[allow(
                        ambiguous_wide_pointer_comparisons,
                        reason = "equal where the one was copied from the other"
                    )]
                    std::ptr::eq::<_>(here, *first)
                })
                .collect(),
        });
        rows.collect::<Vec<Row>>()
    }};
}

fn table(page: &mut String, title: &str, rows: &[Row], reasons: Reasons) {
    let known: Vec<_> = reasons.iter().map(|(name, _)| *name).collect();
    let names: Vec<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names, known, "{title}: each has its reason, in this order");
    let columns = COLUMNS.join(" | ");
    write!(
        page,
        "\n## {title}\n\n| name | offered | {columns} | why |\n|---|---|---|---|---|---|---|\n"
    )
    .unwrap();
    for (row, (_, reason)) in rows.iter().zip(reasons) {
        let cells: Vec<_> = (0..COLUMNS.len())
            .map(|index| match row.own.get(index) {
                _ if index == 0 => "yes",
                Some(true) => "·",
                Some(false) => "own",
                None => "?",
            })
            .collect();
        let (name, offered, cells) = (row.name, row.offered, cells.join(" | "));
        writeln!(page, "| `{name}` | {offered} | {cells} | {reason} |").unwrap();
    }
}

fn page(providers: &[CryptoProvider]) -> String {
    let mut page = HEAD.to_owned();
    let mut kex = rows!(providers, kex);
    let config = fixtures::client_config().build().unwrap();
    let random = || Box::new(TestRng::new(1));
    let mut client = ClientConnection::new(&config, "me", random(), Instant::EPOCH).unwrap();
    let client = offer(&mut client);
    let config = fixtures::server_config().build().unwrap();
    let mut server = ServerConnection::new(&config, random(), Instant::EPOCH).unwrap();
    let server = offer(&mut server);
    for row in &mut kex {
        let is_offered = |list: &[String]| list.iter().any(|name| name == row.name);
        row.offered = match (is_offered(&client.kex), is_offered(&server.kex)) {
            (true, true) => row.offered,
            (true, false) => "default of clients",
            (false, false) => row.offered,
            (false, true) => panic!("{} is offered by servers alone", row.name),
        };
        assert_eq!(is_offered(&client.kex), row.offered.starts_with("default"));
    }
    let signatures = rows!(providers, signatures);
    let ciphers = rows!(providers, ciphers);
    let macs = rows!(providers, macs);
    let compression = rows!(providers, compression);
    // What is offered is what the lists say, in their order.
    for (offered, rows) in [
        (&client.kex, &kex),
        (&client.host_keys, &signatures),
        (&client.ciphers, &ciphers),
        (&server.ciphers, &ciphers),
        (&client.macs, &macs),
        (&server.macs, &macs),
        (&client.compression, &compression),
        (&server.compression, &compression),
    ] {
        let default = rows.iter().filter(|row| row.offered.starts_with("default"));
        assert_eq!(*offered, default.map(|row| row.name).collect::<Vec<_>>());
    }
    table(&mut page, "Key exchange", &kex, KEX);
    table(&mut page, "Signatures", &signatures, SIGNATURES);
    table(&mut page, "Ciphers", &ciphers, CIPHERS);
    table(&mut page, "MACs", &macs, MACS);
    table(&mut page, "Compression", &compression, COMPRESSION);
    page + TAIL
}

/// The page without what the providers that are not there would say.
fn comparable(page: &str, providers: usize) -> String {
    let row = |line: &str| {
        let mut cells: Vec<_> = line.split(" | ").collect();
        if line.starts_with("| `") && cells.len() == 3 + COLUMNS.len() {
            cells.drain(2 + providers..2 + COLUMNS.len());
        }
        cells.join(" | ") + "\n"
    };
    page.lines().map(row).collect()
}

#[test]
fn the_page_of_algorithms_is_that_of_the_code() {
    let providers = providers();
    let page = page(&providers);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/algorithms.md");
    if std::env::var_os("UPDATE_DOCS").is_some() && cfg!(feature = "providers") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        comparable(&written, providers.len()) == comparable(&page, providers.len()),
        "run UPDATE_DOCS=1 cargo test -p ssh-tests --features providers --test algorithms"
    );
}
