//! sntrup761 against the test vectors of the draft, and its parts against plain definitions.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::crypto::rustcrypto::hash::SHA256;
use crate::crypto::rustcrypto::testing::{Script, counting, hex};

/// A test vector of draft-josefsson-ntruprime-streamlined-00, as it stands in the tests of the crate
/// `sntrup761`: of the secret key its two polynomials and what rejects, of the public key SHA-256.
struct Vector {
    secret: &'static str,
    public_sha256: &'static str,
    rejection: &'static str,
    ciphertext: &'static str,
    shared: &'static str,
}

const VECTORS: [Vector; 2] = [
    Vector {
        secret: "55565515155545556569159955a2555455456161450594556556915055895615548852955456550098544995\
             555aa5465400a5555558956510a6515596559665996a44915415414465565555551105624156954944626940\
             555555165665955555a51591555956591565651542404089195454566955859064258656285054569505a6a9\
             56949446661415580115565055485955259049a5545525455504526a195455554185525a8996255255565824\
             8464451455658965625851545915018508154a51a0448959112a286212608a52911a949119a2895664165900\
             a861541a200a52104029544600425a5a1198101a1a50a094a551425a484959a1506486a618555a8990561502\
             9622a2a46696a2a6595a46682622525050489a8040562808168156854185026540a1059a94aaa291811948a2\
             59816991110951802409aa5a2a06290092451446655608404096898aa56220562285150891914066110a0905\
             a841044865042a2688aa12441aaa46064669155555a21096592999228200",
        public_sha256: "d1736cf321592955c718fa191ef5b1137dd7593ff3b18d5ed733ac96e7d65ce9",
        rejection: "9fa532ae97f8bdf90f90130926654fb8b469d772049d72a8375cd8459d06cc1b90633eb3a899685d21491b50\
             62a9fc73fb6e878d7a73198efa0b569d9ce665ce126ffdc9862eb00d11f457a7995555f7c92011c24e1cec45\
             c270fb5f121f08177f97fc3f631c0ef86a92e99d557fb69a0f6fcd8b1c0ef94aa7429b3a8a11614d847202d3\
             d04a98313fc0d63abf9fd75ca321c879458bf8837b7e74ccf5179c7714fa9800d1821ee3f9639d28136b7910\
             872631f85ae7b6dd289e0103421721",
        ciphertext: "84f327d38929039ef84366ab796a96e6cc268454d5ad8d05410d3e969b6d228b6ced2cbad7bab3b4b7ee4537\
             47d3331d43b21cd2ecc3bf557d696e81773ee69f687fe1f61e63742af913a35418575467118409d4ffdbbac5\
             ca062dff3f04d76154d17ec34212debfca967a91e461f73786d949d6a9765140b9dc7849639a487058f45dda\
             919576090d35e783804ba7b8b33b5c6a8c1ebb7c39f042696cf9f2b624d26ea5d6d101489e242cc35126b573\
             928b6b8bf9945269ad22e7da70ccb7dc374f75641978d5f6d5f540a1169eb098570a7cfd65c9257c4c196f42\
             c6da4f4466d8f11a17c6a75a9bdd45b5ac77a8367b005ed22141a81b995a19e4dc9e6743b4b45e0329e7a00d\
             3ff90c7a917cdc9ca75a34fffdd9a321751b5c8b2ab9e1ea037cf45c04b412a97f52e7c6d66508456d911796\
             1257b4f50bb9f500de99b6f061c377d44f495d711ab2ed3e88ccf14df10f8c60bd00e29cd83ad160faef2984\
             fac7e897cbb8cda144d50e4c1ad20238a2617598da6efe786aa82e0931b0b5d1a7fa024b856353afaedb0a11\
             50a42da182353ce5a00403bb6b7a13effc14b0fd97e1117302ed8a66faaed88b43b34cfc73cb33e49a4c34d0\
             bfdee2feadc2b4c8bb1ec41215586fc66550d496373305b99cee254eac71d3cdac689a777062acae65b031b5\
             a1a973835be6a4bb061f178531c45de3b33e7763b483621821e037fe5ef48fd971d8d2befda63250e9b1181d\
             8b8086bed9cda8cde6644cde8ebf7c1f1038afe798a2a4c492b603b7f4f8805d0fdf19d8274888cebec3043c\
             c9acf024bd30d8b0d28d311985930110386598775cf84e0848b11e090905a65f56142fc17d2573536fc51e7d\
             5b2e0ff7b09471155008561156fbaec215031ed0d844eb14d6c609173355fff8ae22c6e5bccd19b2832e5fbe\
             625c2c0e516e1369d1fcf49a5fdbaf8cf572f04317db8ed70ee1605b96d077b4f054c72b139f5bcaa5bb627e\
             39be5bcc97af922c5e70835bd918281b95e557fc86a43c75980a0d9f0f9162f230014cd867dd07db23260934\
             546c04499d6b8627b8d5dec73fa45327f84983529baf3aa10e885724fe76055099d136ccaacc159b4ce38784\
             404cc9b04723910f990af77c64d42a29d784fc897955758f1d2a12bb7c6f6a8e5b94efa740f662cf0da2d099\
             c61ee1cc6b661a64f0887b805af53c7b64c4456daf228582c1b2212a8f718e56df6b72d7efa0c5d26582ce96\
             aefce13cb2830c3fb32e5115aacc20d3a335f7a4c12e0cd1de532d8d9d42d69bc2d0be0ac7df3b8f416b9a53\
             db261c47272725a8a88298678351b42103219092076b6ece744d993388a8f2c475079cb8bc4dc492a4797147\
             c01ea3508225826f7a3d32bf502b0f4552f36fc9f6fb91e82db1949338b45436ec0ff63b53f900f27f8147d4\
             20f93d33c83794980e94143fd361f944ddb56d3114ee974c96a155",
        shared: "344ca5e25f6da5ea95e4a695b1c5446eca9859334532e4a9537669f012c743a2",
    },
    Vector {
        secret: "645159996555659148569656954105506019451895595549848669516585555885215216015254544569a652\
             1699555985415514151155925466465965555565555561461655950895559696596565645699555a1596555a\
             966566614655a40951559554669590615659a551555125556595551955569915a5614089a15501582951945a\
             15558659555555654110491169a0115656649156245559244155a584145650516445a5555559554856554556\
             81166469511a59642155555501990285891a514062416580150298400062840021a908660880a85a28008958\
             212528a0a604218026444a2aa5452a952205120199055041a99129298a989a895206621800648a98a8806986\
             4862a4651468a14114268209a55249440a8951906505689586229848816266852198a2a2096459194a550402\
             910486622949a09448210a94429a444126a4a66a0aa18921a4a54514595a81248446a86601905118a2850492\
             910185041822a52422565641a195969068850240588648408a14990a6801",
        public_sha256: "0957045d6d7f8863107eaec76158bb99c9e2db4b623ca4cb8a32dc14a0abddc8",
        rejection: "b736895ef729f2159ba82a0d090b0d4a26ffc467511911f39d3ec248467a576ee1f8dca10dd0c3be961080d9\
             25b823ad9538477f258dd445af4872dfdeb8e4a819dde314766683246379b03aa738907ed3671359999ff298\
             c4a44133417821912013e792c90d939815bc3aebb565e1d6b42bb356cc6a6c79eb6d640001c9d0ed847b4d39\
             b2c38fc2123609ef94608b766ebeb91dd12d228123d29d14c1b4169d8417d26054304b5c900e5cf78159735d\
             0ffa15b691369bc66811a9f11adb3e",
        ciphertext: "8ce9955f6dc23a0e49d9b263c43026609612696fd84d37dfa1192ba0d9412d2125e25a7c64209a92e5f1c6f1\
             70d5c4c891d5050e336f628544620d6b0a9c5058dbbb51c4f540ae3c19bd941e7cd3105a7bcd1774ff05b0b6\
             5e310a1d6f88253cfa36c2e7f34130b14613b188d8b9d6c9be040ce2446f33f75e2a61af7d7c11fff54505f1\
             e1eee49172234915d722599c6bd77d0bcebec69435bac571a194939861ce3ed3960c0fd0fdb8d7cbd272659b\
             bb881c29a70ecb62388062c4abb2a565a0d9ce73e23e9ca7d589de524e8289762499f867697003dbb87e1657\
             313d05e5e8e7c7ff407df7931eb6842c825219369e92d2e65e29cfcf31dcd0f40706af8b4f70d9e8af6147ac\
             7d8b1900773d9ee2ce6c4eec38c4ff44f2e397d95684ce5ee6fd5fe4975216819bae496d2ce888a6f630fe44\
             8a4872bbc5164a70a33a9988a3c4aea17a8688346191cd4be2f8d021cc97d5a20bffffc628ed6f267145c41b\
             cfb83161c23262943b530df4bd4b6bdd85d78a2daf0499b8de97afe6191afd3a35e8268a4d08ec55dba8bec1\
             5bde4f823d4b3c62f7990ef7a655d03dd4897f640abdd60d58a3244f745cea09accdd56de4d8f08f43025e08\
             4e91634e25fc7b39bcaffc1803e8d4806786548263d6bf8d8acc84fa9a01d786f438fedb811df9fc0effcf9c\
             6a787b17228b260d6acce43075e7f80cc57c682101cd9cdf12b2d3f931aaae1a2434aae772c11ccee49e2503\
             dae5cbc98e41f6ad6e885b1f011e9883ce078b33d99fc41471cca14fc0dc12789464ce92b93a08e8f3d25822\
             827a08273fa2e5114909f0d4a378a482f0ebdf781991e1e28b3f72cad3886575ff7e59f2b8607ce314d8292e\
             27c1d6187ec5c76cb1347185d760d69f91b7f455dde52257b03cbb9845b78867eabaa28535b6dea69d146936\
             66b1e978503f65412c5aff4afec1f537c416eac390d5eea0c3b4694db4fab95cac381d12f42f176f27a4bee0\
             c0a0a458b51e5c71d82724593014c15430becdbb472659d91b093192590a43a6e56bb6ad3c6c5baa7aa49d88\
             8e1cfa656200680a31ecdb99a4b0109133523653d9769a945adec3890734841b94acc62a8ab0805f0e9e9e3b\
             4471552da0b5e78935c149e3d4dfcb20f75bda04a86611b4192bc6af2b5c3c1c4424e40e8af9e1a7a3e57b9a\
             aca0b730585931386329c19846d1bf091084c12380d7b2fb3348e7bc25ef9bc39feba174b8fc9a191a11c345\
             e0e3cb3170593928429f0729bb96d771bafcb84633b80377658ebb5866631ae2ebae05940afdba13f34a0341\
             e923ea2c31f11e2a1a421c4522ab50153a77b7950834cbf23a16d01462a0fcd270bcf66b9f6e0a5a39f5989d\
             75643dfc8ec4d5b051ae94c6db74d7779c54016ead109d10ac190b07816cdcd2b8ec9bc596090df00fe23b4e\
             862fe7e0d7ebcbf6b2a1a565435da662cb34489bb570286ba114f8",
        shared: "16c15126f734e51268ba916ce3b39a72e171ae79b8c2b6a68b34ab0dc5621b7e",
    },
];

fn decode_small(bytes: &[u8]) -> Polynomial {
    let coefficients = (0..P).map(|at| i16::from(bytes[at / 4] >> (2 * (at % 4)) & 3) - 1);
    Zeroizing::new(coefficients.collect())
}

fn key(vector: &Vector) -> Sntrup761 {
    let secret = hex(vector.secret);
    let (f, g_inverse) = secret.split_at(SMALL_LEN);
    let g_inverse = decode_small(g_inverse);
    let g = invert_mod_3(&g_inverse).unwrap();
    let rejection = hex(vector.rejection).try_into().unwrap();
    Sntrup761::new(decode_small(f), &g, g_inverse, Zeroizing::new(rejection))
}

/// Both inversions, both products, all encodings and hashes: the public key follows from the secret
/// one, and decapsulation encrypts again.
#[test]
fn vectors_of_the_draft() {
    for vector in &VECTORS {
        let key = key(vector);
        let public = key.public();
        assert_eq!(public.len(), PUBLIC_LEN);
        assert_eq!(SHA256.hash(&[&public]).as_ref(), hex(vector.public_sha256));
        let shared = key.decapsulate(&hex(vector.ciphertext)).unwrap();
        assert_eq!(shared.to_vec(), hex(vector.shared));
        assert_eq!(decode_public(&public), key.public);
    }
}

/// C16: whatever is wrong in a ciphertext, what comes out is the secret of rejection.
#[test]
fn c16_wrong_ciphertexts_are_rejected_implicitly() {
    let key = key(&VECTORS[0]);
    let ciphertext = hex(VECTORS[0].ciphertext);
    for at in [0, 500, ROUNDED_LEN - 1, ROUNDED_LEN, CIPHERTEXT_LEN - 1] {
        let mut wrong = ciphertext.clone();
        wrong[at] ^= 1;
        let expected = session_secret(0, &key.rejection, &wrong);
        assert_eq!(key.decapsulate(&wrong).unwrap(), expected);
    }
    for fill in [0, 0xff] {
        let wrong = vec![fill; CIPHERTEXT_LEN];
        let expected = session_secret(0, &key.rejection, &wrong);
        assert_eq!(key.decapsulate(&wrong).unwrap(), expected);
        assert_eq!(wrong.len(), CIPHERTEXT_LEN);
    }
    for len in [0, ROUNDED_LEN, CIPHERTEXT_LEN - 1] {
        assert!(key.decapsulate(&ciphertext[..len]).is_err());
    }
    assert!(key.decapsulate(&[&ciphertext[..], &[0]].concat()).is_err());
    // Any bytes of the right length are a public key.
    for fill in [0, 0xff] {
        let public = vec![fill; PUBLIC_LEN];
        let random = &mut Script(counting(0, 4 * P));
        assert!(Sntrup761::encapsulate(&public, random).is_ok());
    }
}

#[test]
fn fresh_keys_open_what_is_sealed_for_them() {
    let mut seed = 1u64;
    let mut random = Script(
        core::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        })
        .take(40 * 4 * P)
        .collect(),
    );
    for _ in 0..2 {
        let key = Sntrup761::generate(&mut random).unwrap();
        let weight = key.f.iter().filter(|c| **c != 0).count();
        assert_eq!(weight, WEIGHT);
        let one = multiply(
            &invert_mod_3(&key.g_inverse).unwrap(),
            &key.g_inverse,
            mod_3,
        );
        assert_eq!(one.iter().filter(|c| **c != 0).count(), 1);
        assert_eq!(one[0], 1);
        let (ciphertext, secret) = Sntrup761::encapsulate(&key.public(), &mut random).unwrap();
        assert_eq!(key.decapsulate(&ciphertext).unwrap(), secret);
    }
    // Zero has no inverse, and nothing else comes.
    let refused = Sntrup761::generate(&mut Script(vec![0x20; 1 << 20])).err();
    assert_eq!(refused, Some(CryptoError::RandomFailed));
    let refused = Sntrup761::generate(&mut Script(vec![])).err();
    assert_eq!(refused, Some(CryptoError::RandomFailed));
}

#[test]
fn reductions_agree_with_division() {
    let centred = |x: i32, modulus: i32| {
        let rest = x.rem_euclid(modulus);
        rest - if rest > modulus / 2 { modulus } else { 0 }
    };
    for x in -16_000..=16_000 {
        assert_eq!(mod_3(x), centred(x, 3), "{x}");
    }
    // Around each multiple and each half of one; nothing else decides.
    for multiple in -2_613..=2_613 {
        for near in [-2_297, -2_296, -2_295, -1, 0, 1, 2_295, 2_296, 2_297] {
            let x = multiple * Q + near;
            assert_eq!(mod_q(x), centred(x, Q), "{x}");
        }
    }
    for a in 1..Q {
        assert_eq!(mod_q(a * mod_q(invert_mod_q(a))), 1, "{a}");
    }
}

#[test]
fn sorting_sorts() {
    for len in [0, 1, 2, 3, 5, 8, 100, P] {
        let mut words: Vec<u32> = (0..len as u32)
            .map(|at| at.wrapping_mul(0x9e37_79b9).rotate_left(at))
            .collect();
        words.extend(words.first().copied());
        let mut expected = words.clone();
        expected.sort_unstable();
        sort(&mut words);
        assert_eq!(words, expected, "{len}");
    }
}

#[test]
fn digits_survive_their_encoding() {
    for modulus in [Q as u32, ROUNDED] {
        let digits: Vec<u32> = (0..P as u32).map(|at| at * 7 % modulus).collect();
        let bytes = encode_digits(digits.iter().map(|digit| (*digit, modulus)).collect());
        assert_eq!(decode_digits(&bytes, modulus), digits);
    }
}
