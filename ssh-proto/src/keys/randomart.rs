//! Fingerprints for eyes: MD5 in hexadecimal, as programs of old print it, and pictures as `ssh-keygen -lv` draws them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use md5::{Digest, Md5};

use crate::crypto::{Fingerprint, PublicKey};
use crate::error::DecodeError;
use crate::text::cut;

/// The MD5 fingerprint of a public key, to compare with an old list. Displays as `MD5:` and
/// hexadecimal pairs. Two keys with one such fingerprint can be made: never trust a key for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Md5Fingerprint(pub [u8; 16]);

impl Md5Fingerprint {
    /// That of a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Md5::digest(key.as_blob()).into())
    }

    /// The picture of the fingerprint, as [`Fingerprint::randomart`] draws it.
    pub fn randomart(&self, key: &PublicKey) -> String {
        draw(&self.0, key, "[MD5]")
    }
}

impl fmt::Display for Md5Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MD5")?;
        self.0.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for Md5Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Md5Fingerprint {
    type Err = DecodeError;

    /// Reads what `ssh-keygen -E md5 -l` prints, with or without `MD5:`, in either case.
    ///
    /// # Errors
    /// `BadText` for anything else.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let mut pairs = text.strip_prefix("MD5:").unwrap_or(text).split(':');
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = pairs
                .next()
                .filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or(DecodeError::BadText)?;
        }
        match pairs.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(DecodeError::BadText),
        }
    }
}

impl Fingerprint {
    /// The fingerprint as a picture of eleven lines, the last without its line end, that a person
    /// may know again. `key`, whose fingerprint it is, gives the title.
    pub fn randomart(&self, key: &PublicKey) -> String {
        draw(&self.0, key, "[SHA256]")
    }
}

const WIDTH: usize = 17;
const HEIGHT: usize = 9;

/// What stands for a place by how often it was come by; the last two for the start and the end.
const LETTERS: &[u8] = b" .o+=*BOX@%&#/^SE";
const START: usize = LETTERS.len() - 2;
const END: usize = LETTERS.len() - 1;

/// The walk of the "drunken bishop": two bits for a step, the lowest ones of each byte first.
fn draw(digest: &[u8], key: &PublicKey, hash: &str) -> String {
    let mut field = [[0usize; WIDTH]; HEIGHT];
    let (mut x, mut y) = (WIDTH / 2, HEIGHT / 2);
    for byte in digest {
        for shift in [0, 2, 4, 6] {
            x = step(x, byte >> shift & 1, WIDTH);
            y = step(y, byte >> shift >> 1 & 1, HEIGHT);
            if let Some(visits) = field.get_mut(y).and_then(|row| row.get_mut(x)) {
                *visits = visits.saturating_add(1).min(START - 1);
            }
        }
    }
    let mut mark = |x: usize, y: usize, letter| {
        if let Some(place) = field.get_mut(y).and_then(|row| row.get_mut(x)) {
            *place = letter;
        }
    };
    mark(WIDTH / 2, HEIGHT / 2, START);
    mark(x, y, END);
    let mut picture = frame(&title(key));
    for row in field {
        picture.push_str("\n|");
        picture.extend(row.map(|place| char::from(LETTERS.get(place).copied().unwrap_or(b'?'))));
        picture.push('|');
    }
    picture.push('\n');
    picture.push_str(&frame(hash));
    picture
}

/// One to the right or down, or else one to the left or up; the walls hold.
fn step(from: usize, forward: u8, end: usize) -> usize {
    match forward {
        0 => from.saturating_sub(1),
        _ => from.saturating_add(1).min(end - 1),
    }
}

/// The name and size of the key, or the name alone where there is no room for both.
fn title(key: &PublicKey) -> String {
    let name = match key.key_type() {
        "ssh-ed25519" => "ED25519",
        "ssh-rsa" => "RSA",
        "ssh-dss" => "DSA",
        "sk-ssh-ed25519@openssh.com" => "ED25519-SK",
        "sk-ecdsa-sha2-nistp256@openssh.com" => "ECDSA-SK",
        name if name.starts_with("ecdsa-sha2-") => "ECDSA",
        name => name,
    };
    let whole = key.bits().map(|bits| alloc::format!("[{name} {bits}]"));
    whole
        .filter(|title| title.len() < WIDTH)
        .unwrap_or_else(|| alloc::format!("[{}]", cut(name, WIDTH - 2)))
}

/// A line above or below the picture.
fn frame(text: &str) -> String {
    let dashes = |count: usize| core::iter::repeat_n('-', count);
    let room = WIDTH.saturating_sub(text.len());
    let mut line = String::from("+");
    line.extend(dashes(room / 2));
    line.push_str(text);
    line.extend(dashes(room.div_ceil(2)));
    line.push('+');
    line
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::crypto::rustcrypto::provider;
    use crate::keys::PublicKeyLine;

    const ECDSA_521: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAGsVTQht33/4C15LX72uTOPJ7WvpzQJkGGGQJ0KQ1K7kVELQz8oCrwlo5fKrjxbREO+t8k+tRGrHYA+FDmm0CFgVgBC0gbknyxVl50YbixBiiahwAgstj629IVFWZB7k+irD13ZB746xKTUb8UvwO6u/OzZblN5bxBR++EW8FCVUh259g==";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDNmv3D3Kl4nvEuUme8J2gb1KoZIhAK8HzQ4jpanK7tijtfpwHsBq74AF7enK7vbFE80bbb8Gg15gGit3cNeGhJlwVxXZqzcIdEm2BpR73/HsoN26fQpu4HPtTsn8Q9oWIiBamSaunkQO7yJqWN2qwJl6TsnhJhUUymDD/SDq7KQw==";
    const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAJ+Cs/PJc34/2BsFMVJG+JWzKES/fFbowlRHNJF87ej3Mcy0XSHzRtt0/9c2fXUS4upumOvC6PX5spgxaWisV/edi6wn7Sg2h4hGYxrfeTCTbxjFHFnnsOBoxYK4tbPpRoTowdI7w74xfjiV4krdhYl4mIkBOUu5+aYh+y7w2rYTAAAAFQC7sGcDoCEOQFJ9zDsBiBvMgr1NjwAAAIAOslESQJvuKCOyWkOxVboAV3D3Zav864eU7iydnGErz+aGvww3kVgaoD/OlHoTcayNDjmy56V1AE3sYRC4HPHDB3NvrERMmLb/dv09n4aGSLRS/lj51mDNsWLZTcAtG/POWJ7fkJcHb0onl81SvkIIQnjGky7/U29tdNf4UBr4DQAAAIATZU+04AOoLfe3AEQjFHjNUjefI5YD/oMBW6Hn6Z+QotIRkyq9PCJwvKfBbPn/MmZwaS5coZw2swNJMAqdszBNKQ/9I163fNg9u/dnVz0ICWWhs+N9mu6ytm5g3jrJ4gHbxpnweYk35aPzmKjOEmq8UiK0IkPc1zRi0ZbVfc09BA==";

    fn key(line: &str) -> PublicKey {
        PublicKeyLine::parse(line.as_bytes()).unwrap().key
    }

    /// What `ssh-keygen -lv` of OpenSSH 9.2 printed.
    #[test]
    fn pictures_are_those_of_ssh_keygen() {
        for (line, bits, picture) in [
            (
                include_str!("testdata/ed25519.pub"),
                256,
                "\
+--[ED25519 256]--+
|    o.=o+        |
| . . + B.o       |
|o o.+ o +   o .  |
|oo. oo + o o . . |
| o . .o.S .   .  |
|      . ..   .   |
|       o  . o    |
| . E  = ....o+   |
| .+.+=.==o.=+..  |
+----[SHA256]-----+",
            ),
            (
                include_str!("testdata/ecdsa.pub"),
                256,
                "\
+---[ECDSA 256]---+
|..E.o+=o         |
| o . o. o .      |
|    = .. + . o   |
|   o o..o + * o  |
|  .  ...S+ + = . |
|  ..o  .  + + +  |
|  .o.. . . = o ..|
|   .o.=     +   o|
|   oo+.+.    ... |
+----[SHA256]-----+",
            ),
            (
                ECDSA_521,
                521,
                "\
+---[ECDSA 521]---+
|=..+++o+.        |
|o =.+.=o .   . o |
| Booo=.o. + . o o|
|o.*o+.* .o o . . |
|+. o * oS   .    |
|+   .   . o      |
|.o       E .     |
|.         o      |
|                 |
+----[SHA256]-----+",
            ),
            (
                RSA,
                1024,
                "\
+---[RSA 1024]----+
|.          .=.   |
| o .   . ..ooE . |
|  = . o + oo= o  |
| + + + O + =.o o |
|. o + O S = =.o..|
|   . o = . + .=.+|
|        .    . =.|
|                .|
|                 |
+----[SHA256]-----+",
            ),
            (
                DSA,
                1024,
                "\
+---[DSA 1024]----+
|                 |
|=  .   .         |
|=o+  .. o.       |
|.o...oooo o      |
|  o.+=.oS= .     |
| + = oB.o . .    |
|  + o.++ . E     |
| ..o  .o= * .    |
| o+.. .+o*..     |
+----[SHA256]-----+",
            ),
        ] {
            let key = key(line);
            assert_eq!(key.bits(), Some(bits));
            let fingerprint = key.fingerprint(provider().sha256);
            assert_eq!(fingerprint.randomart(&key), picture);
        }
    }

    /// What `ssh-keygen -E md5 -lv` of OpenSSH 9.2 printed.
    #[test]
    fn md5_is_that_of_ssh_keygen() {
        let key = key(include_str!("testdata/ed25519.pub"));
        let fingerprint = Md5Fingerprint::of(&key);
        let text = "MD5:7d:6c:0e:72:9c:88:55:63:2f:34:49:d9:0e:ca:d0:f5";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text[4..].to_ascii_uppercase().parse(), Ok(fingerprint));
        for bad in [
            "",
            "MD5:",
            &text[..47],
            &text[..49],
            "SHA256:7d",
            &text.replace(":0e", ":+e"),
        ] {
            assert_eq!(
                bad.parse::<Md5Fingerprint>(),
                Err(DecodeError::BadText),
                "{bad}"
            );
        }
        assert_eq!(text.parse::<Md5Fingerprint>().map(|_| ()), Ok(()));
        assert_eq!(
            fingerprint.randomart(&key),
            "\
+--[ED25519 256]--+
|       . oO+     |
|      . .++=.    |
|       o...oE    |
|       oo+ +.    |
|      . S * +    |
|         o =     |
|            .    |
|                 |
|                 |
+------[MD5]------+"
        );
    }

    #[test]
    fn titles_fit_the_frame() {
        let of_type = |name: &str| {
            let mut blob = (name.len() as u32).to_be_bytes().to_vec();
            blob.extend_from_slice(name.as_bytes());
            PublicKey::from_blob(blob).unwrap()
        };
        assert_eq!(
            title(&of_type("sk-ssh-ed25519@openssh.com")),
            "[ED25519-SK 256]"
        );
        let long = of_type("a-type-that-nobody-knows@example.com");
        assert_eq!(long.bits(), None);
        assert_eq!(frame(&title(&long)), "+[a-type-that-nob]+");
        let rsa = PublicKey::rsa(&[1, 0, 1], &[&[0x80][..], &[0; 2047]].concat());
        assert_eq!(frame(&title(&rsa)), "+---[RSA 16384]---+");
        assert_eq!(PublicKey::rsa(&[3], &[1; 256]).bits(), Some(2041));
        assert_eq!(PublicKey::rsa(&[3], &[]).bits(), Some(0));
        assert_eq!(of_type("ssh-rsa").bits(), None);
        for (digest, _) in [([0xff; 32], ()), ([0; 32], ())] {
            let picture = Fingerprint(digest).randomart(&rsa);
            assert!(picture.lines().all(|line| line.len() == WIDTH + 2));
            assert_eq!(picture.lines().count(), HEIGHT + 2);
        }
    }
}
