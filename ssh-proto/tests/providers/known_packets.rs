//! Packets that OpenSSL and Python made, sealed by each provider.

use crate::suite::{Suite, sha256};
use crate::{counting, hex};

/// Seals packets of these numbers of bytes behind the length field.
fn seal_all(suite: &Suite, packets: &[(u32, usize, u8)]) -> Vec<Vec<u8>> {
    let mut sealing = suite.sealing();
    let seal = |&(sequence, body, fill): &(u32, usize, u8)| {
        let mut packet = u32::try_from(body).unwrap().to_be_bytes().to_vec();
        packet.push(4);
        packet.extend(counting(fill, body - 1));
        packet.resize(packet.len() + sealing.layout().tag_len, 0);
        sealing.seal(sequence, &mut packet).unwrap();
        packet
    };
    packets.iter().map(seal).collect()
}

/// Packets put together from ChaCha20 and Poly1305 of OpenSSL.
#[test]
fn chacha20_poly1305_known_packets() {
    for suite in Suite::named("chacha20-poly1305@openssh.com", None) {
        let sealed = seal_all(
            &suite,
            &[
                (0, 16, 16),
                (7, 24, 24),
                (0xffff_fffe, 8, 8),
                (0x0102_0304, 1400, 3),
            ],
        );
        assert_eq!(
            sealed[..3],
            [
                hex("94450e491ca85323bef2b3c70479457bb45f53398879c94a49e0901a9411a4a1b8893a73"),
                hex(
                    "a39afcb22c5e0c59559f3740734d9ad2f4abf60a139a191c55cf10ad703e4437bb3342504d25f83e\
                 2b9f691f"
                ),
                hex("69a614c033725596d5288135833070224f44e7d96dcb7b520d9999a5"),
            ]
        );
        assert_eq!(
            sha256(&[&sealed[3]]),
            hex("b41ca785c7780d5f32ccafdc1883b315b4042209745bc13bd93fc50e84c3b7cc")
        );
    }
}

/// Packets sealed by AES-GCM of OpenSSL, while the counter passes 2^64 and leaves the fixed field alone.
#[test]
fn aes_gcm_known_packets() {
    let cases = [
        (
            "aes128-gcm@openssh.com",
            [
                "00000010e59a17af29ab8163abf69c30b5bb778c2e2c8b41afc012e8e7dc5e5139852ba5",
                "00000020d43270445ac320c6b881be004651142adb00e215e8ee433c9990309106d65ecba0386a0f\
                 dffaca81993dfb4ab2a6093a",
                "000000308e5fcd99428933675acc212f7cc474b07d9ac6e30676b46d66a237b4e9709d4f98da04e3\
                 84d3f3b8bb5a0f743b79a6a2aaf0ddd6e156b522ccf16682bf535a61",
            ],
            "52ab58a4b2b1dd065ddfeda14e5048747d19d800050eed61e777fd405bc60557",
        ),
        (
            "aes256-gcm@openssh.com",
            [
                "00000010e0100d115e7c9714da19f75b30757bc6ddd98c67057c62cde1cae06c7a7b5240",
                "00000020a0bec04cf82a752a125719572710d47586e9465bbef534eb2c451e4a39ff7fdd9b72f8b4\
                 789325f909c0b50e64d15b26",
                "0000003018bb5f322662b2b4b031b03f5cd46acb83820e51ec5b820d7a2fde282644557ceef05e8c\
                 76b884c4a9d1eae27fa45cbc898ad1a7029d93cc3a818d5768bc5251",
            ],
            "47639cb42b4ae179a584b65fab0be8146a4a3ba9ede7e41a13e246ca270976b5",
        ),
    ];
    for (name, short, long) in cases {
        for mut suite in Suite::named(name, None) {
            suite.iv = hex("a0a1a2a3fffffffffffffffe");
            let sealed = seal_all(&suite, &[(0, 16, 0), (9, 32, 1), (2, 48, 2), (3, 1392, 3)]);
            assert_eq!(sealed[..3], short.map(hex));
            assert_eq!(sha256(&[&sealed[3]]), hex(long));
        }
    }
}

/// Pairs of packets from AES-CTR of OpenSSL and HMAC of Python, while the counter passes 2^128.
#[test]
fn aes_ctr_known_packets() {
    let etm = "-etm@openssh.com";
    let cases = [
        (
            "aes128-ctr",
            "256",
            etm,
            "8ba7daf6b4b6b390d993efbf75f628ac41dad4de16d97e8e440bc6b394b9d413",
        ),
        (
            "aes128-ctr",
            "256",
            "",
            "22d9e3318c8a2de95f8ea3cd527778da2136d174bb18e0afa3af981d689cc558",
        ),
        (
            "aes128-ctr",
            "512",
            etm,
            "3a2f03dfca233498e97e335b7106cbac6fa8e9716cb9710325bde33b9a0c0c9d",
        ),
        (
            "aes128-ctr",
            "512",
            "",
            "6490e3ae25c0a8481ba4d07cbd58e91ce37a7dbe3d56de4aeb2828495f96c9e7",
        ),
        (
            "aes192-ctr",
            "256",
            etm,
            "fad105e91f6ebea8aeb9a4d6733d58680b05afef9da3b8ce5e1e74012252be5a",
        ),
        (
            "aes192-ctr",
            "256",
            "",
            "162251d65c9a49db7dc771df7d9f9dcd602b9805403f7c31dffb18bb6ca61bcc",
        ),
        (
            "aes192-ctr",
            "512",
            etm,
            "02808fbd20715f4c6cfbb2f19ba712157e1418cf877b2d52131a9d42561b5aa5",
        ),
        (
            "aes192-ctr",
            "512",
            "",
            "836cb9eebae01931772164ab6a28c399f804aa7342578f8cbbb5fb421b38c7c5",
        ),
        (
            "aes256-ctr",
            "256",
            etm,
            "db313e0f039704efccb177e2879f9e35c7b5dd0947aae56fa14275d3fd86f265",
        ),
        (
            "aes256-ctr",
            "256",
            "",
            "91954606d6270b5aa1c420a3640205e4ae2dc51e6e9a0cab94b576ceea10b4cd",
        ),
        (
            "aes256-ctr",
            "512",
            etm,
            "a6f08704c620647d3cf2e8bb4c51069c7ac00cd18582eeb467ddb2b682d48457",
        ),
        (
            "aes256-ctr",
            "512",
            "",
            "0f44f065aa05a074affe18c09ed825c6c46b18e011db576742c31efc06f427e1",
        ),
    ];
    for (cipher, hash, kind, digest) in cases {
        for mut suite in Suite::named(cipher, Some(&format!("hmac-sha2-{hash}{kind}"))) {
            suite.iv = vec![0xff; 16];
            suite.iv[15] = 0xfe;
            let less = if kind.is_empty() { 4 } else { 0 };
            let sealed = seal_all(&suite, &[(3, 32 - less, 3), (4, 48 - less, 4)]);
            assert_eq!(
                sha256(&[&sealed[0], &sealed[1]]),
                hex(digest),
                "{}",
                suite.name()
            );
        }
    }
}

/// Pairs of packets from CBC of `cryptography` (Python) and HMAC of Python.
#[test]
#[cfg(feature = "legacy")]
fn cbc_known_packets() {
    let cases = [
        (
            "aes128-cbc",
            "hmac-sha1",
            "389bc95c9951af03d7a7dd040ed6705bde86a89854cd932abefaf3e932186c07",
        ),
        (
            "aes128-cbc",
            "hmac-sha1-etm@openssh.com",
            "40683dc4aafc601f1b3b4101cf32789b55bb54234756c9a14b5b09e56d763f3c",
        ),
        (
            "aes128-cbc",
            "hmac-sha2-256-etm@openssh.com",
            "b629ac95d3112e5ff6383200cf28133243953819f566e7719b723d82c0750354",
        ),
        (
            "aes192-cbc",
            "hmac-sha1",
            "e333af36cb40313933ffe2eecdd20e3de5a3eb01cd59629d538738740ea1cb4b",
        ),
        (
            "aes192-cbc",
            "hmac-sha1-etm@openssh.com",
            "695cc22d95cfdeba05b701771a9732fc524e1c84d2c5d8c4c22f658d42c133b7",
        ),
        (
            "aes192-cbc",
            "hmac-sha2-256-etm@openssh.com",
            "100336683efa18e946946ddaa0c21d12fa39750961699c699874b5cab304ec75",
        ),
        (
            "aes256-cbc",
            "hmac-sha1",
            "dc2105fb531445c2a5c61442e2779075ca210a073338d9e3aa76416763db59f8",
        ),
        (
            "aes256-cbc",
            "hmac-sha1-etm@openssh.com",
            "be5eb314a6eb0e6f6fe631c213d9ff5006b922bf8e28b3bd72e2eb47d64d13c5",
        ),
        (
            "aes256-cbc",
            "hmac-sha2-256-etm@openssh.com",
            "27831f7b03461368152de9e0dfc916fcc4905b1e209262fd250dcc2f5f438275",
        ),
        (
            "3des-cbc",
            "hmac-sha1",
            "7e0948732342fafba79599802e7eca075d6abf5a379a18a27c53de7ba44c43a2",
        ),
        (
            "3des-cbc",
            "hmac-sha1-etm@openssh.com",
            "a1014601c015cd0ccd0e35e72aa1d26a8cdb122501c8277ce2b47552df33f826",
        ),
        (
            "3des-cbc",
            "hmac-sha2-256-etm@openssh.com",
            "12980545aec984e9d79b80f6c9b3d39628ec625999836446c709219c534c233f",
        ),
    ];
    for (cipher, mac, digest) in cases {
        for suite in Suite::named(cipher, Some(mac)) {
            let less = if mac.ends_with("-etm@openssh.com") {
                0
            } else {
                4
            };
            let sealed = seal_all(&suite, &[(3, 32 - less, 3), (4, 48 - less, 4)]);
            let sealed = sha256(&[&sealed[0], &sealed[1]]);
            assert_eq!(sealed, hex(digest), "{}", suite.name());
        }
    }
}

/// NIST SP 800-38A, F.5.1, F.5.3 and F.5.5: the text as the body of an encrypt-then-MAC packet.
#[test]
fn nist_ctr() {
    let cases = [
        (
            "aes128-ctr",
            "2b7e151628aed2a6abf7158809cf4f3c",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
             5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        ),
        (
            "aes192-ctr",
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94\
             1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
        ),
        (
            "aes256-ctr",
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
             2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
        ),
    ];
    let text = hex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                    30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
    );
    for (name, key, encrypted) in cases {
        for mut suite in Suite::named(name, Some("hmac-sha2-256-etm@openssh.com")) {
            suite.key = hex(key);
            suite.iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
            let mut sealing = suite.sealing();
            // In pieces, to show that the keystream runs on.
            let mut bodies = Vec::new();
            for piece in [&text[..16], &text[16..]] {
                let mut packet = [&[0; 4], piece, &[0; 32]].concat();
                sealing.seal(0, &mut packet).unwrap();
                bodies.extend_from_slice(&packet[4..][..piece.len()]);
            }
            assert_eq!(bodies, hex(encrypted), "{name}");
        }
    }
}
