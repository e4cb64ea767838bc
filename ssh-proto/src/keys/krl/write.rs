//! Writing revocation lists, as `ssh-keygen -k` does (PROTOCOL.krl).

use alloc::vec::Vec;

use bytes::{BufMut, BytesMut};

use super::read::{
    CERTIFICATES, FORMAT, KEY_IDS, KEYS, MAGIC, SERIAL_BITMAP, SERIAL_LIST, SERIAL_RANGE, SHA1,
    SHA256,
};
use super::{RevocationList, Revoked};
use crate::wire::{put_mpint, put_string};

impl RevocationList {
    /// The list as a KRL, without signatures.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut krl = BytesMut::new();
        krl.put_slice(MAGIC);
        krl.put_u32(FORMAT);
        krl.put_u64(self.version);
        krl.put_u64(self.generated);
        // Flags and what is reserved.
        krl.put_u64(0);
        put_string(&mut krl, b"");
        put_string(&mut krl, self.comment.as_bytes());
        for (authority, revoked) in &self.authorities {
            let mut section = BytesMut::new();
            put_string(&mut section, authority);
            put_string(&mut section, b"");
            revoked.put(&mut section);
            put_section(&mut krl, CERTIFICATES, &section);
        }
        put_list(&mut krl, KEYS, self.keys.iter().map(Vec::as_slice));
        put_list(&mut krl, SHA1, self.sha1.iter().map(<[u8; 20]>::as_slice));
        put_list(
            &mut krl,
            SHA256,
            self.sha256.iter().map(<[u8; 32]>::as_slice),
        );
        krl.into()
    }
}

impl Revoked {
    fn put(&self, out: &mut BytesMut) {
        let mut single = BytesMut::new();
        for range in self.serials.ranges() {
            if range.start() == range.end() {
                single.put_u64(*range.start());
                continue;
            }
            let mut ends = BytesMut::new();
            ends.put_u64(*range.start());
            ends.put_u64(*range.end());
            put_section(out, SERIAL_RANGE, &ends);
        }
        if !single.is_empty() {
            put_section(out, SERIAL_LIST, &single);
        }
        for (first, bits) in self.serials.bitmaps() {
            let mut bitmap = BytesMut::new();
            bitmap.put_u64(first);
            put_mpint(&mut bitmap, bits);
            put_section(out, SERIAL_BITMAP, &bitmap);
        }
        put_list(out, KEY_IDS, self.key_ids.iter().map(Vec::as_slice));
    }
}

fn put_section(out: &mut BytesMut, section: u8, data: &[u8]) {
    out.put_u8(section);
    put_string(out, data);
}

/// A section of strings, unless there are none.
fn put_list<'a>(out: &mut BytesMut, section: u8, items: impl Iterator<Item = &'a [u8]>) {
    let mut list = BytesMut::new();
    for item in items {
        put_string(&mut list, item);
    }
    if !list.is_empty() {
        put_section(out, section, &list);
    }
}
