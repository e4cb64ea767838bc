//! What an added key is restricted to: lifetime, confirmation (RFC 9987 section 3.2.7), and destinations (OpenSSH PROTOCOL.agent section 2).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{BufMut, Bytes, BytesMut};

use super::number;
use crate::crypto::PublicKey;
use crate::error::DecodeError;
use crate::limits::{MAX_AGENT_DESTINATIONS, MAX_AGENT_HOP_NAME, MAX_HOST_KEYS};
use crate::wire::{Field, Reader, put_string};

const RESTRICT_DESTINATION: &[u8] = b"restrict-destination-v00@openssh.com";

/// The constraints of a key in an agent. The default is none.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyConstraints {
    /// Seconds after which the agent forgets the key. Our agent refuses zero.
    pub lifetime: Option<u32>,
    /// Whether the agent's user has to confirm each signature.
    pub confirm: bool,
    /// Where the key may be used, from hop to hop; empty for anywhere.
    pub destinations: Vec<DestinationConstraint>,
}

/// Permission to use a key on one hop: from one host, or where the agent runs, to a user at another.
///
/// A key with such constraints signs for nothing but authentication over a connection that is
/// bound to its session ([`AgentClient::session_bind`](super::AgentClient::session_bind)), and
/// each hop on the way there needs a constraint that permits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationConstraint {
    from: Option<ConstraintHop>,
    user: Option<String>,
    to: ConstraintHop,
}

/// A host in a destination constraint: its name, for people to read, and the keys that it is
/// known by. Names are looked up nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintHop {
    name: String,
    keys: Vec<HopKey>,
}

/// A key that a host of a destination constraint is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopKey {
    /// The host key, or the key of the authority that signs host certificates.
    pub key: PublicKey,
    /// Whether it is an authority's.
    pub is_authority: bool,
}

impl ConstraintHop {
    /// A host of this name, known by any of these keys.
    ///
    /// # Errors
    /// `BadText` for an empty name or one with NUL, `OutOfRange` without keys, `TooMany` above
    /// [`MAX_AGENT_HOP_NAME`] bytes or [`MAX_HOST_KEYS`] keys.
    pub fn new(name: &str, keys: Vec<HopKey>) -> Result<Self, DecodeError> {
        let name = checked(name)?.ok_or(DecodeError::BadText)?;
        if keys.is_empty() {
            return Err(DecodeError::OutOfRange);
        }
        if keys.len() > MAX_HOST_KEYS {
            return Err(DecodeError::TooMany);
        }
        Ok(Self { name, keys })
    }

    /// The host name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys that the host is known by.
    pub fn keys(&self) -> &[HopKey] {
        &self.keys
    }

    /// Whether a certificate holds depends on the date, which an agent is not told here: an
    /// authority vouches for no host key.
    fn is_known_by(&self, host_key: &PublicKey) -> bool {
        self.keys
            .iter()
            .any(|known| !known.is_authority && known.key == *host_key)
    }
}

impl DestinationConstraint {
    /// A permission to go from a host, or with `None` from where the agent runs, to a host, as any
    /// user or as one that fits a pattern with `*` and `?`.
    ///
    /// # Errors
    /// `BadText` for a user with NUL, `TooMany` above [`MAX_AGENT_HOP_NAME`] bytes.
    pub fn new(
        from: Option<ConstraintHop>,
        user: Option<&str>,
        to: ConstraintHop,
    ) -> Result<Self, DecodeError> {
        let user = user.map(checked).transpose()?.flatten();
        Ok(Self { from, user, to })
    }

    /// The host that the hop leads from; `None` for where the agent runs.
    pub fn from(&self) -> Option<&ConstraintHop> {
        self.from.as_ref()
    }

    /// The pattern of user names; `None` for any user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host that the hop leads to.
    pub fn to(&self) -> &ConstraintHop {
        &self.to
    }

    /// Whether a hop is permitted. `None` as `to` asks for any hop from there, as `user` for any.
    pub(super) fn permits(
        &self,
        from: Option<&PublicKey>,
        to: Option<&PublicKey>,
        user: Option<&[u8]>,
    ) -> bool {
        let from_fits = match (&self.from, from) {
            (None, None) => true,
            (Some(hop), Some(host_key)) => hop.is_known_by(host_key),
            _ => false,
        };
        let user_fits = match (&self.user, user) {
            (Some(pattern), Some(user)) => {
                user.len() <= MAX_AGENT_HOP_NAME && matches(pattern.as_bytes(), user)
            }
            _ => true,
        };
        from_fits && user_fits && to.is_none_or(|host_key| self.to.is_known_by(host_key))
    }
}

/// A name of a hop, `None` if it is empty.
fn checked(name: &str) -> Result<Option<String>, DecodeError> {
    if name.len() > MAX_AGENT_HOP_NAME {
        return Err(DecodeError::TooMany);
    }
    if name.contains('\0') {
        return Err(DecodeError::BadText);
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// Matches `*` and `?` without recursion: only the last `*` is ever tried again.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest, left) {
            ([b'*', after @ ..], _) => {
                retry = Some((after, left));
                rest = after;
            }
            ([], []) => return true,
            ([want, after @ ..], [have, more @ ..]) if *want == b'?' || want == have => {
                (rest, left) = (after, more);
            }
            _ => match retry {
                Some((after, [_, more @ ..])) => {
                    retry = Some((after, more));
                    (rest, left) = (after, more);
                }
                _ => return false,
            },
        }
    }
}

impl KeyConstraints {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Constraints up to the end of the message. One that is not known, or that comes twice, is an
/// error: a key must not be held with less restriction than was asked for.
impl<'a> Field<'a> for KeyConstraints {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut constraints = Self::default();
        while reader.remaining() > 0 {
            match reader.u8()? {
                number::CONSTRAIN_LIFETIME if constraints.lifetime.is_none() => {
                    constraints.lifetime = Some(reader.u32()?);
                }
                number::CONSTRAIN_CONFIRM if !constraints.confirm => constraints.confirm = true,
                number::CONSTRAIN_EXTENSION
                    if constraints.destinations.is_empty()
                        && reader.string()? == RESTRICT_DESTINATION =>
                {
                    constraints.destinations = decode_destinations(reader.string()?)?;
                }
                _ => return Err(DecodeError::OutOfRange),
            }
        }
        Ok(constraints)
    }

    fn encode(&self, out: &mut BytesMut) {
        if let Some(seconds) = self.lifetime {
            out.put_u8(number::CONSTRAIN_LIFETIME);
            out.put_u32(seconds);
        }
        if self.confirm {
            out.put_u8(number::CONSTRAIN_CONFIRM);
        }
        if !self.destinations.is_empty() {
            let mut list = BytesMut::new();
            for destination in &self.destinations {
                let mut constraint = BytesMut::new();
                destination.encode(&mut constraint);
                put_string(&mut list, &constraint);
            }
            out.put_u8(number::CONSTRAIN_EXTENSION);
            put_string(out, RESTRICT_DESTINATION);
            put_string(out, &list);
        }
    }
}

/// None at all would be a key without restriction, which is not what was asked for.
fn decode_destinations(list: &[u8]) -> Result<Vec<DestinationConstraint>, DecodeError> {
    let mut reader = Reader::new(list);
    let mut destinations = Vec::new();
    while reader.remaining() > 0 {
        if destinations.len() >= MAX_AGENT_DESTINATIONS {
            return Err(DecodeError::TooMany);
        }
        let mut constraint = Reader::new(reader.string()?);
        destinations.push(DestinationConstraint::decode(&mut constraint)?);
        constraint.finish()?;
    }
    match destinations.is_empty() {
        true => Err(DecodeError::OutOfRange),
        false => Ok(destinations),
    }
}

impl<'a> Field<'a> for DestinationConstraint {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (from_user, from_name, from_keys) = decode_hop(reader.string()?)?;
        let (user, name, keys) = decode_hop(reader.string()?)?;
        if !reader.string()?.is_empty() || !from_user.is_empty() {
            return Err(DecodeError::OutOfRange);
        }
        let from = match from_name.is_empty() && from_keys.is_empty() {
            true => None,
            false => Some(ConstraintHop::new(from_name, from_keys)?),
        };
        Self::new(from, Some(user), ConstraintHop::new(name, keys)?)
    }

    fn encode(&self, out: &mut BytesMut) {
        encode_hop(out, None, self.from.as_ref());
        encode_hop(out, self.user(), Some(&self.to));
        put_string(out, &[]);
    }
}

fn decode_hop(hop: &[u8]) -> Result<(&str, &str, Vec<HopKey>), DecodeError> {
    let mut reader = Reader::new(hop);
    let user = reader.text()?;
    let name = reader.text()?;
    if !reader.string()?.is_empty() {
        return Err(DecodeError::OutOfRange);
    }
    let mut keys = Vec::new();
    while reader.remaining() > 0 {
        if keys.len() >= MAX_HOST_KEYS {
            return Err(DecodeError::TooMany);
        }
        keys.push(HopKey {
            key: PublicKey::from_blob(Bytes::copy_from_slice(reader.string()?))?,
            is_authority: reader.bool()?,
        });
    }
    Ok((user, name, keys))
}

fn encode_hop(out: &mut BytesMut, user: Option<&str>, hop: Option<&ConstraintHop>) {
    let mut fields = BytesMut::new();
    put_string(&mut fields, user.unwrap_or_default().as_bytes());
    put_string(&mut fields, hop.map_or("", ConstraintHop::name).as_bytes());
    put_string(&mut fields, &[]);
    for known in hop.map_or(&[][..], ConstraintHop::keys) {
        put_string(&mut fields, known.key.as_blob());
        known.is_authority.encode(&mut fields);
    }
    put_string(out, &fields);
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn host(n: u8) -> PublicKey {
        PublicKey::ed25519(&[n; 32])
    }

    fn hop(name: &str, n: u8) -> ConstraintHop {
        let key = host(n);
        let is_authority = false;
        ConstraintHop::new(name, vec![HopKey { key, is_authority }]).unwrap()
    }

    fn encoded(constraints: &KeyConstraints) -> BytesMut {
        let mut out = BytesMut::new();
        constraints.encode(&mut out);
        out
    }

    fn decode(bytes: &[u8]) -> Result<KeyConstraints, DecodeError> {
        KeyConstraints::decode(&mut Reader::new(bytes))
    }

    fn all() -> KeyConstraints {
        let far = DestinationConstraint::new(Some(hop("a", 1)), Some("me"), hop("b", 2)).unwrap();
        KeyConstraints {
            lifetime: Some(u32::MAX),
            confirm: true,
            destinations: vec![
                DestinationConstraint::new(None, None, hop("a", 1)).unwrap(),
                far,
            ],
        }
    }

    #[test]
    fn constraints_are_read_as_written() {
        assert_eq!(decode(&encoded(&all())), Ok(all()));
        assert_eq!(decode(&[]), Ok(KeyConstraints::default()));
    }

    /// Nothing but whole constraints passes: a cut one might be a looser one.
    #[test]
    fn l4_truncated_constraints_are_refused() {
        let bytes = encoded(&all());
        let whole = [0, 5, 6];
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).is_ok(), whole.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn l4_unknown_and_repeated_constraints_are_refused() {
        let mut certs = BytesMut::new();
        certs.put_u8(255);
        put_string(&mut certs, b"associated-certs-v00@openssh.com");
        certs.put_u8(1);
        put_string(&mut certs, b"");
        let destinations = |list: &[u8]| {
            let mut out = BytesMut::new();
            out.put_u8(255);
            put_string(&mut out, RESTRICT_DESTINATION);
            put_string(&mut out, list);
            out
        };
        for bad in [
            &[0][..],
            &[3, 0, 0, 0, 1],
            &[4],
            &[254],
            &[2, 2],
            &[1, 0, 0, 0, 1, 1, 0, 0, 0, 9],
            &certs,
            // Restricted to nothing is not unrestricted.
            &destinations(&[]),
            &destinations(&[0, 0, 0, 0]),
        ] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
        let twice = [encoded(&all()), encoded(&all())].concat();
        assert!(decode(&twice).is_err());
    }

    #[test]
    fn hops_need_a_name_and_a_key() {
        let key = || HopKey {
            key: host(1),
            is_authority: false,
        };
        assert!(ConstraintHop::new("", vec![key()]).is_err());
        assert!(ConstraintHop::new("a", vec![]).is_err());
        assert!(ConstraintHop::new("a\0", vec![key()]).is_err());
        assert!(ConstraintHop::new(&"a".repeat(256), vec![key()]).is_err());
        assert!(ConstraintHop::new("a", vec![key(); 65]).is_err());
        assert!(DestinationConstraint::new(None, Some(&"u".repeat(256)), hop("a", 1)).is_err());
    }

    #[test]
    fn hops_are_permitted_by_key_and_user() {
        let first = DestinationConstraint::new(None, Some("me*"), hop("a", 1)).unwrap();
        assert!(first.permits(None, Some(&host(1)), None));
        assert!(first.permits(None, Some(&host(1)), Some(b"me2")));
        assert!(!first.permits(None, Some(&host(1)), Some(b"you")));
        assert!(!first.permits(None, Some(&host(2)), None));
        assert!(!first.permits(Some(&host(1)), Some(&host(1)), None));
        let second = DestinationConstraint::new(Some(hop("a", 1)), None, hop("b", 2)).unwrap();
        assert!(second.permits(Some(&host(1)), Some(&host(2)), Some(b"anyone")));
        assert!(second.permits(Some(&host(1)), None, None));
        assert!(!second.permits(None, Some(&host(2)), None));
        let authority = HopKey {
            key: host(1),
            is_authority: true,
        };
        let authority = ConstraintHop::new("a", vec![authority]).unwrap();
        let certified = DestinationConstraint::new(None, None, authority).unwrap();
        assert!(!certified.permits(None, Some(&host(1)), None));
    }

    #[test]
    fn patterns_are_those_of_openssh() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*b*d", "abbcd", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("**a", "bba", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
        assert!(!matches("a*".repeat(127).as_bytes(), &[b'a'; 100]));
    }
}
