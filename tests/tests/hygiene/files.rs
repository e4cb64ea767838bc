//! P1 on key files and agents: private keys, passphrases, the texts of files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ssh_proto::Instant;
use ssh_proto::agent::{AgentClient, AgentServer, KeyConstraints, Keyring};
use ssh_proto::crypto::{EcdsaCurve, PrivateKey};
use ssh_proto::keys::{Comment, KeyFileError, PrivateKeyFile};
use ssh_tests::{TestRng, fixtures};

use crate::allocator::{Watch, secret};

const PASSPHRASE: &[u8] = b"passphrase-canary-1357908642-abcdefghij";
const OTHER: &[u8] = b"another-passphrase-canary-2468097531-kl";

/// A number of so many bytes, positive and without zeros in front.
fn number(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = TestRng::new(seed).bytes(len);
    bytes[0] = 0x5a;
    bytes
}

/// A key of each type, in a vector that grows: what it leaves behind are no keys.
/// The numbers of the RSA key belong to nothing: it is not used to sign.
fn keys() -> Vec<PrivateKey> {
    let provider = fixtures::provider();
    let types = fixtures::KEY_TYPES.iter().zip(40..);
    let mut keys: Vec<_> = types
        .map(|(key_type, seed)| {
            let mut random = TestRng::new(seed);
            provider.keys.generate(key_type, &mut random).unwrap()
        })
        .collect();
    keys.push(PrivateKey::Rsa {
        modulus: number(50, 384),
        exponent: vec![1, 0, 1],
        private_exponent: number(51, 384).into(),
        prime_p: number(52, 192).into(),
        prime_q: number(53, 192).into(),
        coefficient: number(54, 192).into(),
    });
    let scalar = number(55, EcdsaCurve::Nistp384.field_len());
    keys.push(PrivateKey::Ecdsa {
        curve: EcdsaCurve::Nistp384,
        public: [&[4][..], &number(56, 96)].concat(),
        scalar: scalar.into(),
    });
    keys
}

fn name_key(key: &PrivateKey) {
    match key {
        PrivateKey::Ed25519 { seed, .. } => secret("a seed", &seed[..]),
        PrivateKey::Mldsa44Ed25519 { seeds, .. } => {
            secret("the seed of ML-DSA", &seeds[..32]);
            secret("the seed beside it", &seeds[32..]);
        }
        PrivateKey::Ecdsa { scalar, .. } => {
            let mut limbs: Vec<u8> = scalar.to_vec();
            secret("a scalar", &limbs);
            limbs.reverse();
            secret("a scalar, reversed", &limbs);
            limbs.fill(0);
            std::hint::black_box(&limbs);
        }
        PrivateKey::Rsa {
            private_exponent,
            prime_p,
            prime_q,
            coefficient,
            ..
        } => {
            for number in [private_exponent, prime_p, prime_q, coefficient] {
                secret("a number of RSA", number);
            }
        }
        _ => unreachable!("name its secrets here"),
    }
}

/// The keys, and everything about them that is not to be seen.
fn named_keys() -> Vec<PrivateKey> {
    let keys = keys();
    keys.iter().for_each(name_key);
    secret("a passphrase", PASSPHRASE);
    secret("another passphrase", OTHER);
    keys
}

/// What is in a file, without its first line and its last, which are those of every file.
fn name_text(text: &str) {
    let (_, rest) = text.split_once('\n').unwrap();
    let (body, _) = rest.split_once("-----END").unwrap();
    secret("the text of a file", body.as_bytes());
}

fn comment() -> Comment {
    Comment::new("a comment")
}

/// Whoever gathers keys in a vector leaves no copies of them where it was shorter.
#[test]
fn p1_vectors_of_keys_grow() {
    let watch = Watch::begin();
    let mut gathered = Vec::new();
    for key in named_keys() {
        gathered.push(key);
        gathered.shrink_to_fit();
    }
    drop(gathered);
    watch.assert_clean("vectors of keys");
}

/// Written, read, decrypted, used, cloned and dropped.
#[test]
fn p1_key_files() {
    let watch = Watch::begin();
    for (index, _) in keys().iter().enumerate() {
        let key = named_keys().swap_remove(index);
        let mut random = TestRng::new(60);
        let plain = key.to_openssh(&comment(), &mut random).unwrap();
        name_text(&plain);
        let sealed = key
            .to_openssh_encrypted(&comment(), PASSPHRASE, 1, &mut random)
            .unwrap();
        drop(PrivateKey::from_openssh(plain.as_bytes()).unwrap());
        for (text, passphrase) in [(&plain, None), (&sealed, Some(PASSPHRASE))] {
            let file = PrivateKeyFile::parse(text.as_bytes()).unwrap();
            let (read, _) = file.clone().decrypt(passphrase).unwrap();
            assert_eq!(read.public_key(), key.public_key());
            drop(read.clone());
        }
        let wrong = PrivateKeyFile::parse(sealed.as_bytes()).unwrap();
        let refused = wrong.decrypt(Some(OTHER)).unwrap_err();
        assert_eq!(refused, KeyFileError::WrongPassphrase);
        drop((plain, sealed, wrong));
        if let Ok(signer) = fixtures::provider().signing_key(&key) {
            let signature = signer.sign(signer.algorithms()[0], b"data").unwrap();
            drop((signer, signature));
        }
        let kind = key.public_key().key_type().to_owned();
        drop(key);
        watch.assert_clean(&kind);
    }
}

/// Cut at each byte, and with each byte changed: whatever was read before the error is wiped.
#[test]
fn p1_damaged_key_files() {
    let watch = Watch::begin();
    for (index, _) in keys().iter().enumerate() {
        let key = named_keys().swap_remove(index);
        let text = key.to_openssh(&comment(), &mut TestRng::new(61)).unwrap();
        name_text(&text);
        let mut outcomes = [0, 0];
        for at in (0..text.len()).step_by(11) {
            outcomes[usize::from(PrivateKey::from_openssh(&text.as_bytes()[..at]).is_ok())] += 1;
            let mut changed = zeroize_on_drop(text.as_bytes());
            changed.0[at] ^= 1;
            outcomes[usize::from(PrivateKey::from_openssh(&changed.0).is_ok())] += 1;
        }
        assert!(outcomes[0] > 40, "{outcomes:?}");
        drop((key, text));
        watch.assert_clean("damaged files");
    }
}

/// The test's own copies are wiped as well.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

fn zeroize_on_drop(bytes: &[u8]) -> Wiped {
    Wiped(bytes.to_vec())
}

#[test]
fn p1_generated_keys() {
    let watch = Watch::begin();
    let provider = fixtures::provider();
    for key_type in fixtures::KEY_TYPES {
        let mut random = crate::provider::WatchedRandom(TestRng::new(62));
        let key = provider.keys.generate(key_type, &mut random).unwrap();
        drop(provider.signing_key(&key).unwrap());
        drop(key);
        watch.assert_clean(key_type);
    }
}

/// A key that does not fit together is refused, and wiped.
#[test]
fn p1_keys_that_do_not_fit() {
    let watch = Watch::begin();
    let provider = fixtures::provider();
    for key in named_keys() {
        let mut key = key;
        match &mut key {
            PrivateKey::Ed25519 { public, .. } => public[0] ^= 1,
            PrivateKey::Ecdsa { public, .. } => public[1] ^= 1,
            PrivateKey::Mldsa44Ed25519 { public, .. } => public[0] ^= 1,
            _ => {}
        }
        assert!(provider.signing_key(&key).is_err());
    }
    watch.assert_clean("keys that do not fit");
}

/// An agent and who asks it, with bytes in pieces of this size.
struct Asking {
    client: AgentClient,
    server: AgentServer,
    keyring: Keyring,
    piece: usize,
}

impl Asking {
    fn new(piece: usize) -> Self {
        Self {
            client: AgentClient::new(),
            server: AgentServer::new(),
            keyring: Keyring::new(fixtures::provider()),
            piece,
        }
    }

    /// Passes one piece each way, without a copy in between. Whether anything moved.
    fn step(&mut self) -> bool {
        let asked = self.client.output();
        let piece = asked.len().min(self.piece);
        self.server.handle_input(&asked[..piece]);
        self.client.advance_output(piece);
        let _ = self.server.poll_event(&mut self.keyring, Instant::EPOCH);
        let answered = self.server.output();
        let back = answered.len().min(self.piece);
        self.client.handle_input(&answered[..back]);
        self.server.advance_output(back);
        while let Ok(Some(_)) = self.client.poll_event() {}
        piece > 0 || back > 0
    }

    fn ask_everything(&mut self, keys: &[PrivateKey]) {
        let constraints = KeyConstraints::default();
        for key in keys {
            self.client.add(key, &comment(), &constraints).unwrap();
        }
        self.client.lock(PASSPHRASE).unwrap();
        self.client.unlock(OTHER).unwrap();
        self.client.unlock(PASSPHRASE).unwrap();
    }
}

/// Keys are added and removed, the agent is locked and unlocked; all at once and byte by byte.
#[test]
fn p1_agents() {
    let watch = Watch::begin();
    for piece in [usize::MAX, 1, 100] {
        let keys = named_keys();
        let mut asking = Asking::new(piece);
        asking.ask_everything(&keys);
        while asking.step() {}
        // All but the two whose numbers belong to nothing.
        let held = asking.keyring.identities().count();
        assert_eq!(held, fixtures::KEY_TYPES.len());
        asking.client.remove_all().unwrap();
        while asking.step() {}
        drop((asking, keys));
        watch.assert_clean("an agent");
    }
}

/// Both are dropped after each step.
#[test]
fn p1_agents_dropped_at_any_step() {
    let watch = Watch::begin();
    for steps in 0.. {
        let keys = named_keys();
        let mut asking = Asking::new(197);
        asking.ask_everything(&keys);
        let busy = (0..steps).all(|_| asking.step());
        drop((asking, keys));
        watch.assert_clean(&format!("an agent, after {steps} steps"));
        if !busy {
            assert!(steps > 10, "{steps}");
            break;
        }
    }
}

/// A panic unwinds through what holds secrets.
#[test]
fn p1_panics_beside_keys() {
    let watch = Watch::begin();
    let keys = named_keys();
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        let text = keys[0]
            .to_openssh(&comment(), &mut TestRng::new(63))
            .unwrap();
        let file = PrivateKeyFile::parse(text.as_bytes()).unwrap();
        let mut asking = Asking::new(usize::MAX);
        asking.ask_everything(&keys);
        asking.step();
        let (key, _) = file.decrypt(None).unwrap();
        panic!("with {key:?} and {file:?}");
    }));
    assert!(outcome.is_err());
    watch.assert_clean("a panic");
}
