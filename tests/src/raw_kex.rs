//! The key exchange of the hostile peer: offer, negotiation, exchange hash and key derivation, written a second time from the RFCs.

use ssh_proto::Role;
use ssh_proto::crypto::{
    CipherKeys, CryptoProvider, HashAlgorithm, KexAlgorithm, KexExchange, OpeningKey, PublicKey,
    SealingKey, SharedSecret, Signature,
};
use ssh_proto::wire::kex::{KexEcdhInit, KexEcdhReply, KexInit};
use ssh_proto::wire::{Message, NameList, number};

use crate::raw::{RawPacket, RawPeer, payload_of};

/// The lists of a `KEXINIT`, free to be changed.
#[derive(Debug, Clone)]
pub struct RawOffer {
    /// Key exchange methods, without markers.
    pub kex: Vec<String>,
    /// Host key algorithms.
    pub host_keys: Vec<String>,
    /// Ciphers, client to server and back.
    pub ciphers: [Vec<String>; 2],
    /// MACs, client to server and back.
    pub macs: [Vec<String>; 2],
    /// Compression methods, client to server and back.
    pub compression: [Vec<String>; 2],
    /// Whether the marker of strict key exchange is sent.
    pub strict: bool,
    /// Whether the marker of RFC 8308 is sent.
    pub ext_info: bool,
    /// Whether a guess is announced.
    pub first_kex_packet_follows: bool,
}

impl RawOffer {
    /// All that the provider has.
    pub fn new(_: Role, provider: &CryptoProvider) -> Self {
        fn names(names: impl Iterator<Item = &'static str>) -> Vec<String> {
            names.map(str::to_owned).collect()
        }
        let ciphers = names(provider.ciphers.iter().map(|a| a.name()));
        let macs = names(provider.macs.iter().map(|a| a.name()));
        let compression = vec!["none".to_owned()];
        Self {
            // The post-quantum hybrid costs most and shows least.
            kex: names(provider.kex.iter().map(|a| a.name()).rev()),
            // Its keys are plain ones.
            host_keys: names(
                (provider.signatures.iter())
                    .filter(|a| a.name() == a.signature_name())
                    .map(|a| a.name()),
            ),
            ciphers: [ciphers.clone(), ciphers],
            macs: [macs.clone(), macs],
            compression: [compression.clone(), compression],
            strict: true,
            ext_info: true,
            first_kex_packet_follows: false,
        }
    }
}

/// The reply of a server, free to be changed before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// The host key blob.
    pub host_key: Vec<u8>,
    /// The ephemeral public value.
    pub public: Vec<u8>,
    /// The signature, encoded.
    pub signature: Vec<u8>,
}

/// What an exchange under way has made.
#[derive(Default)]
pub(crate) enum Pending {
    /// Nothing.
    #[default]
    None,
    /// A client's ephemeral key.
    Ephemeral(Box<dyn KexExchange>),
    /// K and H.
    Secrets(SharedSecret, Vec<u8>),
}

/// What both `KEXINIT`s agree on, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAgreement {
    /// The key exchange method.
    pub kex: String,
    /// The host key algorithm.
    pub host_key: String,
    /// The ciphers, client to server and back.
    pub ciphers: [String; 2],
    /// The MACs, client to server and back; not meaningful for AEAD ciphers.
    pub macs: [Option<String>; 2],
}

const STRICT_MARKERS: [&str; 2] = [
    "kex-strict-c-v00@openssh.com",
    "kex-strict-s-v00@openssh.com",
];

fn is_marker(name: &str) -> bool {
    name.starts_with("ext-info-") || name.starts_with("kex-strict-")
}

fn of<T>(role: Role, [client, server]: [T; 2]) -> T {
    match role {
        Role::Client => client,
        Role::Server => server,
    }
}

impl RawPeer {
    /// Our `KEXINIT` as the offer describes it.
    pub fn make_kexinit(&mut self) -> Vec<u8> {
        let mut kex = self.offer.kex.clone();
        if self.offer.ext_info {
            kex.push(of(self.role, ["ext-info-c", "ext-info-s"]).to_owned());
        }
        if self.offer.strict {
            kex.push(of(self.role, STRICT_MARKERS).to_owned());
        }
        let cookie = self.rng.bytes(16).try_into().expect("16 bytes");
        let offer = &self.offer;
        let list =
            |names: &[String]| NameList::parse(names.join(",").leak().as_bytes()).expect("names");
        payload_of(&KexInit {
            cookie,
            kex: list(&kex),
            host_key: list(&offer.host_keys),
            cipher_client_to_server: list(&offer.ciphers[0]),
            cipher_server_to_client: list(&offer.ciphers[1]),
            mac_client_to_server: list(&offer.macs[0]),
            mac_server_to_client: list(&offer.macs[1]),
            compression_client_to_server: list(&offer.compression[0]),
            compression_server_to_client: list(&offer.compression[1]),
            languages_client_to_server: b"",
            languages_server_to_client: b"",
            first_kex_packet_follows: offer.first_kex_packet_follows,
            reserved: 0,
        })
    }

    /// Sends our `KEXINIT`.
    pub fn send_kexinit(&mut self) {
        let payload = self.make_kexinit();
        self.send_kexinit_payload(payload);
    }

    /// Sends this `KEXINIT`, which enters the exchange hash as it is.
    pub fn send_kexinit_payload(&mut self, payload: Vec<u8>) {
        self.send_payload(&payload);
        self.our_kexinit = Some(payload);
        self.our_kexinit_stale = false;
        self.agree_on_strict();
    }

    pub(crate) fn note_kexinit(&mut self, payload: &[u8]) {
        self.peer_kexinit = Some(payload.to_vec());
        self.agree_on_strict();
    }

    /// Markers count in the first `KEXINIT`s alone.
    fn agree_on_strict(&mut self) {
        if self.session_id.is_some() || self.first_kexinit_seen {
            return;
        }
        if let (Some(ours), Some(theirs)) = (&self.our_kexinit, &self.peer_kexinit) {
            let has = |payload: &[u8], marker: &str| {
                payload
                    .windows(marker.len())
                    .any(|window| window == marker.as_bytes())
            };
            self.strict = has(ours, of(self.role, STRICT_MARKERS))
                && has(theirs, of(self.role.peer(), STRICT_MARKERS));
            self.first_kexinit_seen = true;
        }
    }

    /// What both `KEXINIT`s agree on.
    ///
    /// # Panics
    /// If one is missing or there is nothing in common.
    pub fn agreement(&self) -> RawAgreement {
        let ours = self.our_kexinit.as_deref().expect("our KEXINIT");
        let theirs = self.peer_kexinit.as_deref().expect("the peer's KEXINIT");
        let ours = KexInit::from_payload(ours).expect("our KEXINIT is well-formed");
        let theirs = KexInit::from_payload(theirs).expect("the peer's KEXINIT is well-formed");
        let (client, server) = of(self.role, [(&ours, &theirs), (&theirs, &ours)]);
        let first = |client: &NameList<'_>, server: &NameList<'_>| {
            let server: Vec<&str> = server.iter().collect();
            client
                .iter()
                .find(|name| server.contains(name))
                .map(str::to_owned)
        };
        let pick = |client: &NameList<'_>, server: &NameList<'_>| {
            first(client, server).expect("something in common")
        };
        RawAgreement {
            kex: client
                .kex
                .iter()
                .find(|name| server.kex.contains(name) && !is_marker(name))
                .expect("a method in common")
                .to_owned(),
            host_key: pick(&client.host_key, &server.host_key),
            ciphers: [
                pick(
                    &client.cipher_client_to_server,
                    &server.cipher_client_to_server,
                ),
                pick(
                    &client.cipher_server_to_client,
                    &server.cipher_server_to_client,
                ),
            ],
            macs: [
                first(&client.mac_client_to_server, &server.mac_client_to_server),
                first(&client.mac_server_to_client, &server.mac_server_to_client),
            ],
        }
    }

    fn kex_algorithm(&self) -> &'static dyn KexAlgorithm {
        let name = self.agreement().kex;
        self.provider.kex(&name).expect("a method of the provider")
    }

    /// Client: makes an ephemeral key and the message that carries it.
    pub fn make_kex_init(&mut self) -> Vec<u8> {
        let exchange = self
            .kex_algorithm()
            .start(None, &mut self.rng)
            .expect("ephemeral key");
        let public = exchange.public().to_vec();
        self.pending = Pending::Ephemeral(exchange);
        payload_of(&KexEcdhInit { public: &public })
    }

    /// Client: sends its ephemeral key.
    pub fn send_kex_init(&mut self) {
        let payload = self.make_kex_init();
        self.send_payload(&payload);
    }

    /// Client: reads the server's reply, verifies it and makes the secrets.
    ///
    /// # Panics
    /// If the reply is wrong, or no ephemeral key was made.
    pub fn read_kex_reply(&mut self, packet: &RawPacket) {
        let reply: KexEcdhReply<'_> = packet.decode();
        let Pending::Ephemeral(exchange) = std::mem::take(&mut self.pending) else {
            panic!("no ephemeral key");
        };
        let public = exchange.public().to_vec();
        let secret = exchange.complete(reply.public).expect("shared secret");
        let hash = self.exchange_hash(reply.host_key, &public, reply.public, &secret);
        let key = PublicKey::from_blob(reply.host_key.to_vec()).expect("host key");
        let signature = Signature::from_encoded(reply.signature.to_vec()).expect("signature");
        let algorithm = self.agreement().host_key;
        assert_eq!(signature.algorithm(), algorithm);
        self.provider
            .signature(&algorithm)
            .expect("an algorithm of the provider")
            .verify(&key, &hash, &signature)
            .expect("the signature over the exchange hash is right");
        self.peer_host_key = Some(reply.host_key.to_vec());
        self.set_secrets(secret, hash);
    }

    /// Server: answers the client's ephemeral key and makes the secrets. To be sent by
    /// [`Self::send_reply`].
    ///
    /// # Panics
    /// If the client's value is bad.
    pub fn make_reply(&mut self, init: &RawPacket) -> RawReply {
        let init: KexEcdhInit<'_> = init.decode();
        let response = self
            .kex_algorithm()
            .respond(None, init.public, &mut self.rng)
            .expect("a good public value");
        let host_key = self.host_key.public_key().as_blob().to_vec();
        let hash = self.exchange_hash(&host_key, init.public, &response.public, &response.secret);
        let algorithm = self.host_key.algorithms()[0];
        let signature = self.host_key.sign(algorithm, &hash).expect("signature");
        self.set_secrets(response.secret, hash);
        RawReply {
            host_key,
            public: response.public,
            signature: signature.as_encoded().to_vec(),
        }
    }

    /// Server: sends a reply.
    pub fn send_reply(&mut self, reply: &RawReply) {
        self.send(&KexEcdhReply {
            host_key: &reply.host_key,
            public: &reply.public,
            signature: &reply.signature,
        });
    }

    /// H (RFC 4253 section 8, RFC 5656 section 4).
    fn exchange_hash(
        &self,
        host_key: &[u8],
        client_public: &[u8],
        server_public: &[u8],
        secret: &SharedSecret,
    ) -> Vec<u8> {
        let ours: [&[u8]; 2] = [
            &self.identification,
            self.our_kexinit.as_deref().expect("our KEXINIT"),
        ];
        let theirs: [&[u8]; 2] = [
            self.peer_identification.as_deref().expect("identification"),
            self.peer_kexinit.as_deref().expect("the peer's KEXINIT"),
        ];
        let (client, server) = of(self.role, [(ours, theirs), (theirs, ours)]);
        let mut hashed = Vec::new();
        for part in [
            client[0],
            server[0],
            client[1],
            server[1],
            host_key,
            client_public,
            server_public,
        ] {
            hashed.extend((part.len() as u32).to_be_bytes());
            hashed.extend(part);
        }
        hashed.extend(self.encoded(secret));
        self.hash().hash(&[&hashed]).as_ref().to_vec()
    }

    /// K as this peer hashes it: what the test wrote down, or else what the provider says.
    fn encoded<'a>(&'a self, secret: &'a SharedSecret) -> &'a [u8] {
        self.known_secret
            .as_deref()
            .unwrap_or_else(|| secret.as_encoded())
    }

    fn hash(&self) -> &'static dyn HashAlgorithm {
        self.kex_algorithm().hash()
    }

    fn set_secrets(&mut self, secret: SharedSecret, hash: Vec<u8>) {
        self.session_id.get_or_insert_with(|| hash.clone());
        self.pending = Pending::Secrets(secret, hash);
    }

    /// H of the exchange whose secrets are there.
    ///
    /// # Panics
    /// If there are none.
    pub fn latest_hash(&self) -> &[u8] {
        match &self.pending {
            Pending::Secrets(_, hash) => hash,
            _ => panic!("no secrets"),
        }
    }

    /// One derived key (RFC 4253 section 7.2).
    fn derive(&self, letter: u8, len: usize) -> Vec<u8> {
        let Pending::Secrets(secret, hash) = &self.pending else {
            panic!("no key exchange has made keys");
        };
        let (k, session_id) = (self.encoded(secret), self.session_id.as_deref());
        let session_id = session_id.expect("session id");
        let mut key = Vec::new();
        while key.len() < len {
            let tail: Vec<u8> = match key.is_empty() {
                true => [&[letter], session_id].concat(),
                false => key.clone(),
            };
            key.extend(self.hash().hash(&[k, hash, &tail]).as_ref());
        }
        key.truncate(len);
        key
    }

    /// Calls `make` with the keys of what `from` sends.
    fn with_keys<T>(
        &self,
        from: Role,
        make: impl FnOnce(&'static dyn ssh_proto::crypto::CipherAlgorithm, CipherKeys<'_>) -> T,
    ) -> T {
        let agreement = self.agreement();
        let direction = of(from, [0, 1]);
        let cipher = self
            .provider
            .cipher(&agreement.ciphers[direction])
            .expect("a cipher of the provider");
        let iv = self.derive(b"AB"[direction], cipher.iv_len());
        let key = self.derive(b"CD"[direction], cipher.key_len());
        let mac = agreement.macs[direction]
            .as_deref()
            .filter(|_| !cipher.is_aead())
            .map(|name| {
                let mac = self.provider.mac(name).expect("a MAC of the provider");
                (mac, self.derive(b"EF"[direction], mac.key_len()))
            });
        let keys = CipherKeys {
            key: &key,
            iv: &iv,
            mac: mac.as_ref().map(|(mac, key)| (*mac, &key[..])),
        };
        make(cipher, keys)
    }

    pub(crate) fn new_sealing_key(&self) -> Box<dyn SealingKey> {
        self.with_keys(self.role, |cipher, keys| {
            cipher.sealing_key(keys).expect("keys")
        })
    }

    pub(crate) fn new_opening_key(&self) -> Box<dyn OpeningKey> {
        self.with_keys(self.role.peer(), |cipher, keys| {
            cipher.opening_key(keys).expect("keys")
        })
    }

    /// One packet of a key exchange that behaves: answers what the other side sent with what is
    /// due. `false` if it is no message of key exchange.
    pub fn answer_kex(&mut self, packet: &RawPacket) -> bool {
        match (self.role, packet.number()) {
            (Role::Client, number::KEXINIT) => self.send_kex_init(),
            (Role::Client, number::KEX_ECDH_REPLY) => {
                self.read_kex_reply(packet);
                self.send_newkeys();
            }
            (Role::Server, number::KEX_ECDH_INIT) => {
                let reply = self.make_reply(packet);
                self.send_reply(&reply);
                self.send_newkeys();
            }
            (Role::Server, number::KEXINIT) | (_, number::NEWKEYS) => {}
            _ => return false,
        }
        true
    }
}
