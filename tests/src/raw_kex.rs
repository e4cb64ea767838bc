//! The key exchange of the hostile peer: offer, negotiation, exchange hash and key derivation, written a second time from the RFCs.

use ssh_proto::Role;
use ssh_proto::crypto::{
    CipherKeys, CryptoProvider, DhGroup, HashAlgorithm, KexAlgorithm, KexExchange, KexShape,
    OpeningKey, PublicKey, SealingKey, SharedSecret, Signature,
};
use ssh_proto::wire::kex::KexInit;
use ssh_proto::wire::{Message, NameList, Reader, number};

use crate::raw::{RawPacket, RawPeer, payload_of};

const CHEAPEST: [&str; 4] = [
    "ecdh-sha2-nistp256",
    "curve25519-sha256@libssh.org",
    "curve25519-sha256",
    "mlkem768x25519-sha256",
];

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
        let mut kex = names(provider.kex.iter().map(|a| a.name()));
        // What costs little stands first, and hides nothing.
        kex.sort_by_key(|name| CHEAPEST.iter().position(|cheap| cheap == name).unwrap_or(9));
        Self {
            kex,
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
    /// The ephemeral public value: what stands in its `string`, or in its `mpint`.
    pub public: Vec<u8>,
    /// The signature, encoded.
    pub signature: Vec<u8>,
}

/// A group exchange: what the client asked for, and the content of the `mpint`s that it got.
#[derive(Debug, Clone, Default)]
pub struct RawGex {
    /// The smallest, the preferred and the largest size.
    pub request: [u32; 3],
    /// The prime.
    pub prime: Vec<u8>,
    /// The generator.
    pub generator: Vec<u8>,
}

/// The content of the `mpint` of a magnitude (RFC 4251 section 5).
pub fn mpint(magnitude: &[u8]) -> Vec<u8> {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let digits = &magnitude[zeros..];
    let pad = digits.first().is_some_and(|byte| byte & 0x80 != 0);
    [&[0][..usize::from(pad)], digits].concat()
}

fn strings(number: u8, strings: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![number];
    for string in strings {
        payload.extend((string.len() as u32).to_be_bytes());
        payload.extend(*string);
    }
    payload
}

/// The `string`s or `mpint`s behind the number.
fn read_strings<const N: usize>(packet: &RawPacket) -> [Vec<u8>; N] {
    let mut reader = Reader::new(&packet.payload[1..]);
    let strings = [(); N].map(|()| reader.string().expect("a string").to_vec());
    reader.finish().expect("the end");
    strings
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
        self.note_sent_kexinit(payload);
    }

    /// Takes this for the `KEXINIT` that was sent, compressed perhaps.
    pub fn note_sent_kexinit(&mut self, payload: Vec<u8>) {
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

    fn shape(&self) -> KexShape {
        self.kex_algorithm().shape()
    }

    /// The numbers of the messages of both public values.
    fn numbers(&self) -> [u8; 2] {
        match self.shape() {
            KexShape::DhGex => [number::KEX_DH_GEX_INIT, number::KEX_DH_GEX_REPLY],
            _ => [number::KEX_ECDH_INIT, number::KEX_ECDH_REPLY],
        }
    }

    /// A public value of the provider as the content of its `string` or `mpint`.
    fn content(&self, public: &[u8]) -> Vec<u8> {
        match self.shape() {
            KexShape::Ecdh => public.to_vec(),
            _ => mpint(public),
        }
    }

    /// And back.
    fn value(&self, content: &[u8]) -> Vec<u8> {
        match (self.shape(), content) {
            (KexShape::Dh | KexShape::DhGex, [0, digits @ ..]) => digits.to_vec(),
            _ => content.to_vec(),
        }
    }

    fn group(&self) -> Option<DhGroup> {
        (self.shape() == KexShape::DhGex).then(|| {
            let RawGex {
                prime, generator, ..
            } = &self.gex;
            DhGroup::new(prime, generator).expect("a good group")
        })
    }

    /// Client: asks for a group.
    pub fn send_gex_request(&mut self, request: [u32; 3]) {
        self.gex.request = request;
        let mut payload = vec![number::KEX_DH_GEX_REQUEST];
        payload.extend(request.map(u32::to_be_bytes).concat());
        self.send_payload(&payload);
    }

    /// Client: takes the server's group.
    ///
    /// # Panics
    /// If it is malformed.
    pub fn read_gex_group(&mut self, packet: &RawPacket) {
        assert_eq!(packet.number(), number::KEX_DH_GEX_GROUP);
        [self.gex.prime, self.gex.generator] = read_strings(packet);
    }

    /// Server: answers a request with a group, whose numbers are the content of `mpint`s.
    ///
    /// # Panics
    /// If the request is malformed.
    pub fn send_gex_group(&mut self, request: &RawPacket, prime: &[u8], generator: &[u8]) {
        assert_eq!(request.number(), number::KEX_DH_GEX_REQUEST);
        let mut reader = Reader::new(&request.payload[1..]);
        self.gex = RawGex {
            request: [(); 3].map(|()| reader.u32().expect("a size")),
            prime: prime.to_vec(),
            generator: generator.to_vec(),
        };
        reader.finish().expect("the end");
        let payload = strings(number::KEX_DH_GEX_GROUP, &[prime, generator]);
        self.send_payload(&payload);
    }

    /// Client: makes an ephemeral key and the message that carries it.
    pub fn make_kex_init(&mut self) -> Vec<u8> {
        let exchange = self
            .kex_algorithm()
            .start(self.group().as_ref(), &mut self.rng)
            .expect("ephemeral key");
        let public = self.content(exchange.public());
        self.pending = Pending::Ephemeral(exchange);
        strings(self.numbers()[0], &[&public])
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
        assert_eq!(packet.number(), self.numbers()[1]);
        let [host_key, theirs, signature] = read_strings(packet);
        let Pending::Ephemeral(exchange) = std::mem::take(&mut self.pending) else {
            panic!("no ephemeral key");
        };
        let ours = self.content(exchange.public());
        let secret = exchange
            .complete(&self.value(&theirs))
            .expect("shared secret");
        let hash = self.exchange_hash(&host_key, &ours, &theirs, &secret);
        let key = PublicKey::from_blob(host_key.clone()).expect("host key");
        let signature = Signature::from_encoded(signature).expect("signature");
        let algorithm = self.agreement().host_key;
        assert_eq!(signature.algorithm(), algorithm);
        self.provider
            .signature(&algorithm)
            .expect("an algorithm of the provider")
            .verify(&key, &hash, &signature)
            .expect("the signature over the exchange hash is right");
        self.peer_host_key = Some(host_key);
        self.set_secrets(secret, hash);
    }

    /// Server: answers the client's ephemeral key and makes the secrets. To be sent by
    /// [`Self::send_reply`].
    ///
    /// # Panics
    /// If the client's value is bad.
    pub fn make_reply(&mut self, init: &RawPacket) -> RawReply {
        assert_eq!(init.number(), self.numbers()[0]);
        let [theirs] = read_strings(init);
        let response = self
            .kex_algorithm()
            .respond(self.group().as_ref(), &self.value(&theirs), &mut self.rng)
            .expect("a good public value");
        let ours = self.content(&response.public);
        let host_key = self.host_key.public_key().as_blob().to_vec();
        let hash = self.exchange_hash(&host_key, &theirs, &ours, &response.secret);
        let algorithm = self.host_key.algorithms()[0];
        let signature = self.host_key.sign(algorithm, &hash).expect("signature");
        self.set_secrets(response.secret, hash);
        RawReply {
            host_key,
            public: ours,
            signature: signature.as_encoded().to_vec(),
        }
    }

    /// Server: sends a reply.
    pub fn send_reply(&mut self, reply: &RawReply) {
        let payload = strings(
            self.numbers()[1],
            &[&reply.host_key, &reply.public, &reply.signature],
        );
        self.send_payload(&payload);
    }

    /// H (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4). Public values are the
    /// content of their `string`s or `mpint`s, which are hashed alike.
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
        let put = |hashed: &mut Vec<u8>, part: &[u8]| {
            hashed.extend((part.len() as u32).to_be_bytes());
            hashed.extend(part);
        };
        for part in [client[0], server[0], client[1], server[1], host_key] {
            put(&mut hashed, part);
        }
        if self.shape() == KexShape::DhGex {
            hashed.extend(self.gex.request.map(u32::to_be_bytes).concat());
            put(&mut hashed, &self.gex.prime);
            put(&mut hashed, &self.gex.generator);
        }
        for part in [client_public, server_public] {
            put(&mut hashed, part);
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
        let gex = self.our_kexinit.is_some()
            && self.peer_kexinit.is_some()
            && self.shape() == KexShape::DhGex;
        match (self.role, packet.number(), gex) {
            (Role::Client, number::KEXINIT, false) => self.send_kex_init(),
            (Role::Client, number::KEXINIT, true) => self.send_gex_request([2048, 2048, 8192]),
            (Role::Client, number::KEX_DH_GEX_GROUP, true) => {
                self.read_gex_group(packet);
                self.send_kex_init();
            }
            (Role::Client, number::KEX_ECDH_REPLY, false)
            | (Role::Client, number::KEX_DH_GEX_REPLY, true) => {
                self.read_kex_reply(packet);
                self.send_newkeys();
            }
            (Role::Server, number::KEX_DH_GEX_REQUEST, true) => {
                let group = DhGroup::ffdhe(2048).expect("a group of RFC 7919");
                self.send_gex_group(packet, &mpint(group.prime()), &mpint(group.generator()));
            }
            (Role::Server, number::KEX_ECDH_INIT, false)
            | (Role::Server, number::KEX_DH_GEX_INIT, true) => {
                let reply = self.make_reply(packet);
                self.send_reply(&reply);
                self.send_newkeys();
            }
            (Role::Server, number::KEXINIT, _) | (_, number::NEWKEYS, _) => {}
            _ => return false,
        }
        true
    }
}
