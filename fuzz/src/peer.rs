//! The fuzzer's end of a connection under the provider without security: frames payloads, and can go through the steps of a login.

use bytes::BytesMut;
use ssh_proto::Role;
use ssh_proto::wire::auth::{AuthMethod, UserauthRequest, UserauthSuccess};
use ssh_proto::wire::connection::{ChannelOpen, ChannelOpenConfirmation, ChannelOpenKind};
use ssh_proto::wire::kex::{KexEcdhInit, KexEcdhReply, KexInit, NewKeys};
use ssh_proto::wire::transport::{ServiceAccept, ServiceRequest};
use ssh_proto::wire::{Message, NameList, Rest};

use crate::provider::{self, CIPHERS, KEX, MACS, SIGNATURES, TAG_LEN};

/// How a peer protects its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protection {
    None,
    Aead,
    /// A MAC over the encrypted packet, whose length is in clear.
    Etm,
    /// A MAC beside the encryption, which covers the length.
    Mac,
}

/// The fuzzer's end.
#[derive(Debug)]
pub(crate) struct Peer {
    role: Role,
    strict: bool,
    protection: Protection,
    /// From `NEWKEYS` on.
    negotiated: Protection,
    out: BytesMut,
}

/// The steps of a login, in order.
pub(crate) const STEPS: u8 = 6;

impl Peer {
    pub(crate) fn new(role: Role, strict: bool, negotiated: Protection) -> Self {
        Self {
            role,
            strict,
            protection: Protection::None,
            negotiated,
            out: BytesMut::new(),
        }
    }

    /// What was written since the last call.
    pub(crate) fn take(&mut self) -> BytesMut {
        self.out.split()
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn send<'a>(&mut self, message: &impl Message<'a>) {
        let mut payload = BytesMut::new();
        message.to_payload(&mut payload);
        self.payload(&payload);
    }

    /// Frames a payload, whatever it is. `NEWKEYS` changes the protection of what follows.
    pub(crate) fn payload(&mut self, payload: &[u8]) {
        let (field, tag) = match self.protection {
            Protection::None => (4, 0),
            Protection::Mac => (4, TAG_LEN),
            Protection::Aead | Protection::Etm => (0, TAG_LEN),
        };
        let unpadded = field + 1 + payload.len();
        let mut padding = 8 - unpadded % 8;
        if padding < 4 {
            padding += 8;
        }
        let length = u32::try_from(1 + payload.len() + padding).expect("a short payload");
        self.raw(&length.to_be_bytes());
        self.raw(&[u8::try_from(padding).expect("at most 11")]);
        self.raw(payload);
        self.out.resize(self.out.len() + padding + tag, 0);
        if payload == [21] {
            self.protection = self.negotiated;
        }
    }

    /// Frames a payload with a tag that is wrong, where it has a MAC.
    pub(crate) fn forged(&mut self, payload: &[u8]) {
        self.payload(payload);
        if matches!(self.protection, Protection::Etm | Protection::Mac) {
            let tag = self.out.len() - TAG_LEN;
            self.out[tag..].fill(1);
        }
    }

    /// Goes one step of a login further.
    pub(crate) fn step(&mut self, step: u8) {
        match (step, self.role) {
            (0, Role::Client) => self.raw(b"SSH-2.0-fuzz\r\n"),
            (0, Role::Server) => self.raw(b"hello\r\nSSH-2.0-fuzz\r\n"),
            (1, _) => self.kexinit(true),
            (2, _) => self.keys(),
            (3, Role::Client) => self.send(&ServiceRequest {
                service: b"ssh-userauth",
            }),
            (3, Role::Server) => self.send(&ServiceAccept {
                service: b"ssh-userauth",
            }),
            (4, Role::Client) => self.send(&UserauthRequest {
                user: b"alice",
                service: b"ssh-connection",
                method: AuthMethod::None(()),
            }),
            (4, Role::Server) => self.send(&UserauthSuccess {}),
            (5, Role::Client) => self.send(&ChannelOpen {
                kind: ChannelOpenKind::Session(()),
                sender: 0,
                window_size: 4096,
                max_packet_size: 1024,
            }),
            (5, Role::Server) => self.send(&ChannelOpenConfirmation {
                recipient: 0,
                sender: 0,
                window_size: 4096,
                max_packet_size: 1024,
                body: Rest(b""),
            }),
            _ => {}
        }
    }

    /// The whole of a key exchange, from this side.
    pub(crate) fn rekey(&mut self) {
        self.kexinit(false);
        self.keys();
    }

    fn kexinit(&mut self, first: bool) {
        let kex = match (first && self.strict, self.role) {
            (false, _) => NameList::from_names([KEX[0]]),
            (true, Role::Client) => {
                NameList::from_names([KEX[0], "ext-info-c", "kex-strict-c-v00@openssh.com"])
            }
            (true, Role::Server) => NameList::from_names([KEX[0], "kex-strict-s-v00@openssh.com"]),
        };
        self.send(&kexinit(kex, self.negotiated));
    }

    fn keys(&mut self) {
        match self.role {
            Role::Client => self.send(&KexEcdhInit { public: b"client" }),
            Role::Server => {
                let key = provider::public_key(SIGNATURES[0]);
                let signature =
                    ssh_proto::crypto::Signature::new(SIGNATURES[0], provider::SIGNATURE);
                self.send(&KexEcdhReply {
                    host_key: key.as_blob(),
                    public: b"server",
                    signature: signature.as_encoded(),
                });
            }
        }
        self.send(&NewKeys {});
    }
}

/// A `KEXINIT` that leaves no choice but of the method.
fn kexinit(kex: NameList<'static>, protection: Protection) -> KexInit<'static> {
    let (cipher, mac) = match protection {
        Protection::None | Protection::Aead => (CIPHERS[0], NameList::EMPTY),
        Protection::Etm => (CIPHERS[2], NameList::from_names([MACS[0]])),
        Protection::Mac => (CIPHERS[2], NameList::from_names([MACS[1]])),
    };
    let cipher = NameList::from_names([cipher]);
    let none = NameList::from_names(["none"]);
    KexInit {
        cookie: [7; 16],
        kex,
        host_key: NameList::from_names([SIGNATURES[0]]),
        cipher_client_to_server: cipher.clone(),
        cipher_server_to_client: cipher,
        mac_client_to_server: mac.clone(),
        mac_server_to_client: mac,
        compression_client_to_server: none.clone(),
        compression_server_to_client: none,
        languages_client_to_server: b"",
        languages_server_to_client: b"",
        first_kex_packet_follows: false,
        reserved: 0,
    }
}
