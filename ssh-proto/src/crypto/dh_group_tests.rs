//! The groups of the RFCs against OpenSSL, what groups are refused, and files of moduli.

use alloc::format;
use alloc::string::String;
use alloc::vec;

use super::*;

/// SHA-256 of each prime as `openssl genpkey -genparam -algorithm DH -pkeyopt group:modp_2048` and
/// so on have it, by way of python-cryptography.
#[cfg(feature = "rustcrypto")]
#[test]
fn groups_of_the_rfcs() {
    use crate::crypto::rustcrypto::testing::hex;

    let sha256 = crate::crypto::rustcrypto::provider().sha256;
    let modp = [
        (
            2048,
            "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e",
        ),
        (
            3072,
            "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c",
        ),
        (
            4096,
            "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33",
        ),
        (
            6144,
            "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd",
        ),
        (
            8192,
            "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf",
        ),
    ];
    let ffdhe = [
        (
            2048,
            "9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966",
        ),
        (
            3072,
            "0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17",
        ),
        (
            4096,
            "4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e",
        ),
        (
            6144,
            "227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7",
        ),
        (
            8192,
            "770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833",
        ),
    ];
    let check = |group: DhGroup, size: u32, digest: &str| {
        assert_eq!(group.bits(), size);
        assert_eq!(group.generator(), [2]);
        assert_eq!(sha256.hash(&[group.prime()]).as_ref(), hex(digest));
        assert_eq!(DhGroup::new(group.prime(), group.generator()), Ok(group));
    };
    for (size, digest) in modp {
        check(DhGroup::modp(size).unwrap(), size, digest);
    }
    for (size, digest) in ffdhe {
        check(DhGroup::ffdhe(size).unwrap(), size, digest);
    }
    for size in [0, 1024, 2047, 2049, 16_384] {
        assert_eq!(DhGroup::modp(size), None);
        assert_eq!(DhGroup::ffdhe(size), None);
    }
    // The one of 1024 bits from its formula, with pi by Machin's; a safe prime by Miller and Rabin.
    #[cfg(feature = "legacy")]
    assert_eq!(
        sha256.hash(&[DhGroup::oakley_2().prime()]).as_ref(),
        hex("3f35a3f5f6c4376a744acad409bb22f8d897f949d2311d885adaa890981b67a0")
    );
}

/// `p` with another last byte.
fn ending(p: &[u8], last: u8) -> Vec<u8> {
    let mut p = p.to_vec();
    *p.last_mut().unwrap() = last;
    p
}

/// C17: what a server may not choose.
#[test]
fn c17_bad_groups_are_refused() {
    let group = DhGroup::modp(2048).unwrap();
    let p = group.prime();
    let refused = |prime: &[u8], generator: &[u8]| {
        let result = DhGroup::new(prime, generator);
        assert_eq!(result, Err(CryptoError::InvalidKey), "{generator:x?}");
    };
    // The generator: 0, 1, p - 1, p, p + 2, and longer than p.
    for generator in [&[][..], &[0], &[1], &[0, 1], p, &ending(p, 0xfe)] {
        refused(p, generator);
    }
    refused(p, &[&[1], p].concat());
    assert!(DhGroup::new(p, &ending(p, 0xfd)).is_ok());
    assert!(DhGroup::new(p, &[0, 5]).is_ok());
    // The prime: even, too short by a bit, too long by a bit, nothing.
    refused(&ending(p, 0xfe), &[2]);
    let half = [&[0x7f], &p[1..]].concat();
    refused(&half, &[2]);
    let largest = [&[0xff; 1023][..], &[1]].concat();
    assert_eq!(DhGroup::new(&largest, &[2]).unwrap().bits(), 8192);
    assert!(DhGroup::new(&[&[0; 3], &largest[..]].concat(), &[2]).is_ok());
    refused(&[&[1], &largest[..]].concat(), &[2]);
    refused(&[0xff; 2049], &[2]);
    refused(&[], &[2]);
    // A size between those of the RFCs will do.
    let odd = [&[0x0f], p].concat();
    assert_eq!(DhGroup::new(&odd, &[2]).unwrap().bits(), 2052);
}

/// C13: the edges, and what has fewer than four bits.
#[test]
fn c13_public_values() {
    let group = DhGroup::modp(2048).unwrap();
    let p = group.prime();
    for bad in [
        vec![],
        vec![1],
        vec![0, 1],
        vec![2],
        vec![7],
        [&[0x70][..], &[0; 200]].concat(),
        ending(p, 0xfe),
        p.to_vec(),
        [&[1][..], &[0; 256]].concat(),
        [&[1][..], p].concat(),
        vec![0xff; 2500],
    ] {
        assert!(!group.is_public_value(&bad), "{bad:x?}");
    }
    for good in [vec![15], ending(p, 0xfd), [&[0x78][..], &[0; 200]].concat()] {
        assert!(group.is_public_value(&good), "{good:x?}");
    }
}

#[test]
fn moduli_files() {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02X}")).collect() };
    let p = |size| hex(DhGroup::modp(size).unwrap().prime());
    let text = format!(
        "# Time Type Tests Tries Size Generator Modulus\n\
         20240101000000 2 6 100 2047 2 {}\n\
         \n\
         20240101000000 2 6 100 3071 5 {}\r\n\
         20240101000000 4 6 100 2047 2 {}\n\
         20240101000000 2 7 100 2047 2 {}\n\
         20240101000000 2 2 100 2047 2 {}\n\
         20240101000000 2 6 100 1535 2 FFFF\n\
         20240101000000 2 6 100 2047 2\n\
         20240101000000 2 6 100 2047 2 {} more\n\
         20240101000000 2 6 100 2048 2 {}\n\
         20240101000000 2 6 100 2047 1 {}\n\
         20240101000000 2 6 100 2047 x {}\n\
         20240101000000 2 6 100 4294967295 2 {}\n\
         20240101000000 2 6 100 2047 2 {}\n\
         bytes\n\
         20240101000000 2 4 0 4095 2 {}",
        p(2048),
        p(3072),
        p(2048),
        p(2048),
        p(2048),
        p(2048),
        p(2048),
        p(2048),
        p(2048),
        p(2048),
        "F".repeat(1 << 20),
        p(4096),
    );
    let sizes: Vec<Result<u32, usize>> = DhGroup::parse_moduli(&text)
        .map(|group| group.map(|group| group.bits()).map_err(|e| e.line))
        .collect();
    let expected = [
        Ok(2048),
        Ok(3072),
        Err(9),
        Err(10),
        Err(11),
        Err(12),
        Err(13),
        Err(14),
        Err(15),
        Err(16),
        Ok(4096),
    ];
    assert_eq!(sizes, expected);
    let group = DhGroup::parse_moduli(&text).nth(1).unwrap().unwrap();
    assert_eq!(group.generator(), [5]);
    assert_eq!(group.prime(), DhGroup::modp(3072).unwrap().prime());
}
