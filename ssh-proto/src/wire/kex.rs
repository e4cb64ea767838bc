//! The messages of key exchange (RFC 4253 sections 7 and 8, RFC 4419, RFC 5656 section 4).

use super::number;
use super::types::{Mpint, NameList};

wire_struct! {
    /// What a side offers (RFC 4253 section 7.1).
    KexInit<'a> = number::KEXINIT; {
        /// Random bytes.
        cookie: [u8; 16],
        /// Key exchange methods, and the markers for `ext-info` and strict key exchange.
        kex: NameList<'a>,
        /// Host key algorithms.
        host_key: NameList<'a>,
        /// Ciphers, client to server.
        cipher_client_to_server: NameList<'a>,
        /// Ciphers, server to client.
        cipher_server_to_client: NameList<'a>,
        /// MACs, client to server.
        mac_client_to_server: NameList<'a>,
        /// MACs, server to client.
        mac_server_to_client: NameList<'a>,
        /// Compression, client to server.
        compression_client_to_server: NameList<'a>,
        /// Compression, server to client.
        compression_server_to_client: NameList<'a>,
        /// Languages, client to server; ignored.
        languages_client_to_server: &'a [u8],
        /// Languages, server to client; ignored.
        languages_server_to_client: &'a [u8],
        /// Whether a guessed key exchange packet follows.
        first_kex_packet_follows: bool,
        /// Zero; other values are hashed and otherwise ignored.
        reserved: u32,
    }

    /// The keys agreed on are used from the next packet on (RFC 4253 section 7.3).
    NewKeys = number::NEWKEYS; {}

    /// The client's ephemeral key (RFC 5656 section 4).
    KexEcdhInit<'a> = number::KEX_ECDH_INIT; {
        /// Q_C.
        public: &'a [u8] => by_length,
    }

    /// The server's host key, ephemeral key and signature (RFC 5656 section 4).
    KexEcdhReply<'a> = number::KEX_ECDH_REPLY; {
        /// K_S.
        host_key: &'a [u8],
        /// Q_S.
        public: &'a [u8] => by_length,
        /// The signature over the exchange hash.
        signature: &'a [u8] => by_length,
    }

    /// The client's value (RFC 4253 section 8).
    KexDhInit<'a> = number::KEXDH_INIT; {
        /// e.
        e: Mpint<'a>,
    }

    /// The server's host key, value and signature (RFC 4253 section 8).
    KexDhReply<'a> = number::KEXDH_REPLY; {
        /// K_S.
        host_key: &'a [u8],
        /// f.
        f: Mpint<'a>,
        /// The signature over the exchange hash.
        signature: &'a [u8] => by_length,
    }

    /// The client asks for a group (RFC 4419 section 3).
    KexDhGexRequest = number::KEX_DH_GEX_REQUEST; {
        /// The smallest size in bits that it accepts.
        min: u32,
        /// The size that it prefers.
        n: u32,
        /// The largest size that it accepts.
        max: u32,
    }

    /// The form of the request from before the RFC (RFC 4419 section 5).
    KexDhGexRequestOld = number::KEX_DH_GEX_REQUEST_OLD; {
        /// The size in bits that the client prefers.
        n: u32,
    }

    /// The server's group (RFC 4419 section 3).
    KexDhGexGroup<'a> = number::KEX_DH_GEX_GROUP; {
        /// The safe prime.
        prime: Mpint<'a>,
        /// The generator.
        generator: Mpint<'a>,
    }

    /// The client's value (RFC 4419 section 3).
    KexDhGexInit<'a> = number::KEX_DH_GEX_INIT; {
        /// e.
        e: Mpint<'a>,
    }

    /// The server's host key, value and signature (RFC 4419 section 3).
    KexDhGexReply<'a> = number::KEX_DH_GEX_REPLY; {
        /// K_S.
        host_key: &'a [u8],
        /// f.
        f: Mpint<'a>,
        /// The signature over the exchange hash.
        signature: &'a [u8] => by_length,
    }
}
