//! Every message of the wire layer against a table of its fields, written from the RFCs and not from the code.
//!
//! The table gives each message's layout, so that samples are built, and length fields found,
//! without help of the code under test.

mod allocations;
mod known_bytes;

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use proptest::prelude::*;
use ssh_proto::error::DecodeError;
use ssh_proto::wire::Message;
use ssh_proto::wire::auth::*;
use ssh_proto::wire::connection::*;
use ssh_proto::wire::extension::*;
use ssh_proto::wire::kex::*;
use ssh_proto::wire::transport::*;

use self::allocations::allocated_by;

/// A field as RFC 4251 section 5 names its type.
#[derive(Debug, Clone, Copy)]
enum Type {
    /// `byte` or `boolean` with this value.
    Is(u8),
    Boolean,
    Uint32,
    /// `byte[n]`
    Bytes(usize),
    /// `string`
    Text,
    /// A `string` with this content.
    Named(&'static str),
    /// `name-list`
    Names,
    /// `mpint`
    Int,
    /// A `uint32` count of elements of these types.
    Counted(&'static [Self]),
    /// `string`s up to the end.
    Texts,
    /// Anything up to the end.
    Tail,
}

use Type::*;

/// What is known of a message: where it stands, how it decodes, and each form it has.
struct Known {
    name: &'static str,
    forms: &'static [&'static [Type]],
    /// Decodes and encodes again.
    recode: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
    /// Encodes an arbitrary value and checks that it decodes to itself. `None` for a value that
    /// the wire cannot carry.
    round_trip: fn(&mut Unstructured<'_>) -> Option<Vec<u8>>,
}

fn encode<'a>(message: &impl Message<'a>) -> Vec<u8> {
    let mut payload = BytesMut::new();
    message.to_payload(&mut payload);
    payload.to_vec()
}

macro_rules! known {
    ($($message:ident $(if $fits:expr)? => $([$($field:expr),* $(,)?]),+;)*) => {
        const KNOWN: &[Known] = &[$(Known {
            name: stringify!($message),
            forms: &[$(&[$($field),*]),+],
            recode: |payload| $message::from_payload(payload).map(|message| encode(&message)),
            round_trip: |seed| {
                let message = $message::arbitrary(seed).ok()?;
                $(
                    let fits: fn(&$message<'_>) -> bool = $fits;
                    if !fits(&message) {
                        return None;
                    }
                )?
                let payload = encode(&message);
                let decoded = $message::from_payload(&payload);
                assert_eq!(decoded.as_ref(), Ok(&message), "{payload:02x?}");
                Some(payload)
            },
        }),*];
    };
}

const USER: Type = Text;
const SERVICE: Type = Text;

known! {
    // RFC 4253 sections 10 and 11.
    Disconnect => [Is(1), Uint32, Text, Text];
    Ignore => [Is(2), Text];
    Unimplemented => [Is(3), Uint32];
    Debug => [Is(4), Boolean, Text, Text];
    ServiceRequest => [Is(5), Text];
    ServiceAccept => [Is(6), Text];
    // RFC 8308 section 2.3.
    ExtInfo if |m| m.extensions.len() <= 1024 => [Is(7), Counted(&[Text, Text])];
    // RFC 4253 section 7.1.
    KexInit => [
        Is(20), Bytes(16), Names, Names, Names, Names, Names, Names, Names,
        Names, Text, Text, Boolean, Uint32,
    ];
    NewKeys => [Is(21)];
    // RFC 5656 section 4.
    KexEcdhInit => [Is(30), Text];
    KexEcdhReply => [Is(31), Text, Text, Text];
    // RFC 4253 section 8.
    KexDhInit => [Is(30), Int];
    KexDhReply => [Is(31), Text, Int, Text];
    // RFC 4419 section 3 and 5.
    KexDhGexRequest => [Is(34), Uint32, Uint32, Uint32];
    KexDhGexRequestOld => [Is(30), Uint32];
    KexDhGexGroup => [Is(31), Int, Int];
    KexDhGexInit => [Is(32), Int];
    KexDhGexReply => [Is(33), Text, Int, Text];
    // RFC 4252 sections 5 to 9, RFC 4256 section 3.1, RFC 4462 section 3.2, OpenSSH PROTOCOL 3.1.
    UserauthRequest
        if |m| !m.method.is_disguised()
            && !matches!(&m.method, AuthMethod::GssapiWithMic(auth) if auth.oids.len() > 100)
        => [Is(50), USER, SERVICE, Named("none")],
        [Is(50), USER, SERVICE, Named("publickey"), Is(0), Text, Text],
        [Is(50), USER, SERVICE, Named("publickey"), Is(1), Text, Text, Text],
        [Is(50), USER, SERVICE, Named("publickey-hostbound-v00@openssh.com"), Is(0), Text, Text, Text],
        [Is(50), USER, SERVICE, Named("publickey-hostbound-v00@openssh.com"), Is(1), Text, Text, Text, Text],
        [Is(50), USER, SERVICE, Named("password"), Is(0), Text],
        [Is(50), USER, SERVICE, Named("password"), Is(1), Text, Text],
        [Is(50), USER, SERVICE, Named("keyboard-interactive"), Text, Text],
        [Is(50), USER, SERVICE, Named("hostbased"), Text, Text, Text, Text, Text],
        [Is(50), USER, SERVICE, Named("gssapi-with-mic"), Counted(&[Text])],
        [Is(50), USER, SERVICE, Text, Tail];
    UserauthFailure => [Is(51), Names, Boolean];
    UserauthSuccess => [Is(52)];
    UserauthBanner => [Is(53), Text, Text];
    UserauthPkOk => [Is(60), Text, Text];
    UserauthPasswdChangereq => [Is(60), Text, Text];
    UserauthInfoRequest if |m| m.prompts.len() <= 100
        => [Is(60), Text, Text, Text, Counted(&[Text, Boolean])];
    UserauthInfoResponse if |m| m.responses.len() <= 100 => [Is(61), Counted(&[Text])];
    UserauthGssapiResponse => [Is(60), Text];
    UserauthGssapiToken => [Is(61), Text];
    UserauthGssapiExchangeComplete => [Is(63)];
    UserauthGssapiError => [Is(64), Uint32, Uint32, Text, Text];
    UserauthGssapiErrtok => [Is(65), Text];
    UserauthGssapiMic => [Is(66), Text];
    // RFC 4254 sections 4 and 7.1, OpenSSH PROTOCOL section 2.
    GlobalRequest if |m| !m.kind.is_disguised()
        => [Is(80), Named("tcpip-forward"), Boolean, Text, Uint32],
        [Is(80), Named("cancel-tcpip-forward"), Boolean, Text, Uint32],
        [Is(80), Named("streamlocal-forward@openssh.com"), Boolean, Text],
        [Is(80), Named("cancel-streamlocal-forward@openssh.com"), Boolean, Text],
        [Is(80), Named("hostkeys-00@openssh.com"), Boolean, Texts],
        [Is(80), Named("hostkeys-prove-00@openssh.com"), Boolean, Texts],
        [Is(80), Named("no-more-sessions@openssh.com"), Boolean],
        // What stands in a keepalive is opaque, as to OpenSSH.
        [Is(80), Named("keepalive@openssh.com"), Boolean, Tail],
        [Is(80), Text, Boolean, Tail];
    RequestSuccess => [Is(81), Tail];
    RequestFailure => [Is(82)];
    // RFC 4254 sections 5.1, 6.1, 6.3.2 and 7.2, OpenSSH PROTOCOL section 2.
    ChannelOpen if |m| !m.kind.is_disguised()
        => [Is(90), Named("session"), Uint32, Uint32, Uint32],
        [Is(90), Named("x11"), Uint32, Uint32, Uint32, Text, Uint32],
        [Is(90), Named("direct-tcpip"), Uint32, Uint32, Uint32, Text, Uint32, Text, Uint32],
        [Is(90), Named("forwarded-tcpip"), Uint32, Uint32, Uint32, Text, Uint32, Text, Uint32],
        [Is(90), Named("auth-agent@openssh.com"), Uint32, Uint32, Uint32],
        [Is(90), Named("agent-connect"), Uint32, Uint32, Uint32],
        [Is(90), Named("direct-streamlocal@openssh.com"), Uint32, Uint32, Uint32, Text, Text, Uint32],
        [Is(90), Named("forwarded-streamlocal@openssh.com"), Uint32, Uint32, Uint32, Text, Text],
        [Is(90), Named("tun@openssh.com"), Uint32, Uint32, Uint32, Uint32, Uint32],
        [Is(90), Text, Uint32, Uint32, Uint32, Tail];
    ChannelOpenConfirmation => [Is(91), Uint32, Uint32, Uint32, Uint32, Tail];
    ChannelOpenFailure => [Is(92), Uint32, Uint32, Text, Text];
    // RFC 4254 sections 5.2 and 5.3.
    ChannelWindowAdjust => [Is(93), Uint32, Uint32];
    ChannelData => [Is(94), Uint32, Text];
    ChannelExtendedData => [Is(95), Uint32, Uint32, Text];
    ChannelEof => [Is(96), Uint32];
    ChannelClose => [Is(97), Uint32];
    // RFC 4254 sections 5.4 and 6, RFC 4335, RFC 9987, OpenSSH PROTOCOL section 2.1.
    ChannelRequest if |m| !m.kind.is_disguised()
        => [Is(98), Uint32, Named("pty-req"), Boolean, Text, Uint32, Uint32, Uint32, Uint32, Text],
        [Is(98), Uint32, Named("x11-req"), Boolean, Boolean, Text, Text, Uint32],
        [Is(98), Uint32, Named("env"), Boolean, Text, Text],
        [Is(98), Uint32, Named("shell"), Boolean],
        [Is(98), Uint32, Named("exec"), Boolean, Text],
        [Is(98), Uint32, Named("subsystem"), Boolean, Text],
        [Is(98), Uint32, Named("window-change"), Boolean, Uint32, Uint32, Uint32, Uint32],
        [Is(98), Uint32, Named("xon-xoff"), Boolean, Boolean],
        [Is(98), Uint32, Named("signal"), Boolean, Text],
        [Is(98), Uint32, Named("break"), Boolean, Uint32],
        [Is(98), Uint32, Named("exit-status"), Boolean, Uint32],
        [Is(98), Uint32, Named("exit-signal"), Boolean, Text, Boolean, Text, Text],
        [Is(98), Uint32, Named("eow@openssh.com"), Boolean],
        [Is(98), Uint32, Named("auth-agent-req@openssh.com"), Boolean],
        [Is(98), Uint32, Named("agent-req"), Boolean],
        [Is(98), Uint32, Text, Boolean, Tail];
    ChannelSuccess => [Is(99), Uint32];
    ChannelFailure => [Is(100), Uint32];
    // OpenSSH PROTOCOL section 1.8.
    Ping => [Is(192), Text];
    Pong => [Is(193), Text];
}

fn is_open_ended(form: &[Type]) -> bool {
    matches!(form.last(), Some(Texts | Tail))
}

/// A payload of this form. Its texts are letters, so that a length taken from the middle of one is
/// far too large.
fn sample(form: &[Type], elements: u32) -> Vec<u8> {
    let mut payload = Vec::new();
    for field in form {
        let text: &[u8] = match field {
            Is(byte) => {
                payload.push(*byte);
                continue;
            }
            Boolean => {
                payload.push(1);
                continue;
            }
            Uint32 => {
                payload.extend_from_slice(b"abcd");
                continue;
            }
            Bytes(len) => {
                payload.resize(payload.len() + len, b'c');
                continue;
            }
            Counted(element) => {
                payload.extend_from_slice(&elements.to_be_bytes());
                for _ in 0..elements {
                    payload.extend(sample(element, 0));
                }
                continue;
            }
            Tail => {
                payload.extend_from_slice(b"rest");
                continue;
            }
            Texts => {
                payload.extend(sample(&[Text, Text], 0));
                continue;
            }
            Named(name) => name.as_bytes(),
            Text | Int => b"text",
            Names => b"one,two@x",
        };
        payload.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        payload.extend_from_slice(text);
    }
    payload
}

/// Walks a payload by its form: where its length and count fields stand, and whether each is that
/// of a name; `None` if it is not of this form.
fn length_fields(form: &[Type], payload: &[u8]) -> Option<Vec<(usize, bool)>> {
    fn walk(
        form: &[Type],
        payload: &[u8],
        at: &mut usize,
        found: &mut Vec<(usize, bool)>,
    ) -> Option<()> {
        let number = |at: usize| {
            let bytes = payload.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        for field in form {
            match field {
                Is(byte) => {
                    (payload.get(*at) == Some(byte)).then_some(())?;
                    *at += 1;
                }
                Boolean => {
                    matches!(payload.get(*at), Some(0 | 1)).then_some(())?;
                    *at += 1;
                }
                Uint32 => *at += 4,
                Bytes(len) => *at += len,
                Text | Named(_) | Names | Int => {
                    found.push((*at, matches!(field, Named(_))));
                    let end = *at + 4 + number(*at)?;
                    let text = payload.get(*at + 4..end)?;
                    if let Named(name) = field {
                        (text == name.as_bytes()).then_some(())?;
                    }
                    *at = end;
                }
                Counted(element) => {
                    found.push((*at, false));
                    let count = number(*at)?;
                    *at += 4;
                    for _ in 0..count {
                        walk(element, payload, at, found)?;
                    }
                }
                Texts => {
                    while *at < payload.len() {
                        walk(&[Text], payload, at, found)?;
                    }
                }
                Tail => *at = payload.len(),
            }
        }
        Some(())
    }
    let (mut at, mut found) = (0, Vec::new());
    walk(form, payload, &mut at, &mut found)?;
    (at == payload.len()).then_some(found)
}

/// The same bytes, but for booleans, which are canonical once encoded.
fn is_same(encoded: &[u8], payload: &[u8]) -> bool {
    let mut bytes = encoded.iter().zip(payload);
    encoded.len() == payload.len()
        && bytes.all(|(ours, theirs)| ours == theirs || (*ours == 1 && *theirs != 0))
}

/// A payload that does not decode; or one that does, to exactly these bytes, where the form has no
/// end of its own.
fn is_refused_or_exact(known: &Known, form: &[Type], payload: &[u8]) -> bool {
    match (known.recode)(payload) {
        Err(_) => true,
        Ok(bytes) => is_open_ended(form) && bytes == payload,
    }
}

fn each_sample(mut check: impl FnMut(&Known, &[Type], &[u8])) {
    for known in KNOWN {
        for form in known.forms {
            for elements in [0, 1, 3] {
                check(known, form, &sample(form, elements));
            }
        }
    }
}

/// B14: what is built by the RFC's list of fields decodes, and encodes to the same bytes.
#[test]
fn b14_messages_of_the_rfcs_decode_and_encode_to_themselves() {
    each_sample(|known, form, payload| {
        assert_eq!(
            (known.recode)(payload).as_deref(),
            Ok(payload),
            "{} {form:?}",
            known.name
        );
    });
}

#[test]
fn b14_no_message_bears_another_number() {
    each_sample(|known, _, payload| {
        let mut payload = payload.to_vec();
        let number = payload[0];
        for other in (0..=255).filter(|other| *other != number) {
            payload[0] = other;
            assert_eq!((known.recode)(&payload), Err(DecodeError::WrongNumber));
        }
    });
}

#[test]
fn b14_cut_at_any_byte_is_an_error() {
    each_sample(|known, form, payload| {
        let (strict, rest) = match form.last() {
            // Where a body is raw, or a list has no count, the common fields can still be cut.
            Some(Tail) => (payload.len() - 4, &[1, 2, 3, 4][..]),
            Some(Texts) => (payload.len() - 16, &[1, 2, 3, 4, 5, 6, 7][..]),
            _ => (payload.len(), &[][..]),
        };
        for end in 0..strict {
            let cut = (known.recode)(&payload[..end]);
            assert_eq!(
                cut,
                Err(DecodeError::Truncated),
                "{} {form:?} cut to {end}",
                known.name
            );
        }
        for extra in rest {
            assert!(is_refused_or_exact(known, form, &payload[..strict + extra]));
        }
    });
}

#[test]
fn b14_one_more_byte_is_an_error() {
    each_sample(|known, form, payload| {
        for byte in [0, 1, b'a', 0xff] {
            let longer = [payload, &[byte]].concat();
            let outcome = (known.recode)(&longer);
            match form.last() {
                Some(Tail) => assert_eq!(outcome.as_deref(), Ok(&longer[..])),
                Some(Texts) => assert_eq!(outcome, Err(DecodeError::Truncated)),
                _ => assert_eq!(
                    outcome,
                    Err(DecodeError::TrailingBytes),
                    "{} {form:?}",
                    known.name
                ),
            }
        }
    });
}

/// B14 and U4: a wrong length or count is refused, and makes nothing of its size.
#[test]
fn b14_u4_lengths_at_their_edges_are_refused_and_reserve_nothing() {
    each_sample(|known, form, payload| {
        let fields = length_fields(form, payload).expect("a sample of this form");
        for (at, is_name) in fields {
            let field = at..at + 4;
            let length = u32::from_be_bytes(payload[field.clone()].try_into().unwrap());
            for wrong in [
                length.wrapping_add(1),
                length.wrapping_sub(1),
                0,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX - 3,
                u32::MAX,
            ] {
                if wrong == length {
                    continue;
                }
                let mut payload = payload.to_vec();
                payload[field.clone()].copy_from_slice(&wrong.to_be_bytes());
                let (refused, allocated) = allocated_by(|| match (known.recode)(&payload) {
                    // Another name makes another kind of it, one with a raw body.
                    Ok(bytes) => is_same(&bytes, &payload) && (is_name || is_open_ended(form)),
                    Err(_) => true,
                });
                assert!(refused, "{} {form:?}: {length} as {wrong}", known.name);
                // A list of what was really there, or the copy of an open-ended message.
                let most = 16 * payload.len() + 256;
                assert!(
                    allocated <= most,
                    "{} {form:?}: {allocated} bytes",
                    known.name
                );
            }
        }
    });
}

/// U4: a count is not believed, however large its bound.
#[test]
fn u4_counts_reserve_nothing() {
    for count in [1, 100, 101, 1024, 1025, u32::MAX] {
        let count = count.to_be_bytes();
        let ext_info = [&[7][..], &count].concat();
        let responses = [&[61][..], &count].concat();
        let prompts = [&[60][..], &[0; 12], &count].concat();
        let (outcomes, allocated) = allocated_by(|| {
            [
                ExtInfo::from_payload(&ext_info).is_err(),
                UserauthInfoResponse::from_payload(&responses).is_err(),
                UserauthInfoRequest::from_payload(&prompts).is_err(),
            ]
        });
        assert_eq!(outcomes, [true; 3]);
        assert_eq!(allocated, 0);
    }
}

/// Decoding copies nothing: whoever holds a message holds its payload.
#[test]
fn messages_without_lists_decode_without_allocating() {
    let payload = sample(&[Is(94), Uint32, Text], 0);
    let (decoded, allocated) = allocated_by(|| ChannelData::from_payload(&payload).is_ok());
    assert!(decoded);
    assert_eq!(allocated, 0);
}

/// B15: any byte but zero is TRUE, and TRUE is sent as 1.
#[test]
fn b15_booleans_are_lenient_in_and_canonical_out() {
    for byte in [1, 2, 0x80, 0xff] {
        let payload = [&[51][..], &[0, 0, 0, 8], b"password", &[byte]].concat();
        let failure = UserauthFailure::from_payload(&payload).unwrap();
        assert!(failure.partial_success);
        assert_eq!(encode(&failure).last(), Some(&1));
    }
}

/// Terminal modes (RFC 4254 section 8): the end mark, opcodes of unknown length, a cut argument.
#[test]
fn h13_terminal_modes_end_where_they_say_or_cannot_be_read() {
    let modes = [(1, 3), (53, 1), (129, 38400)];
    let encoded = encode_terminal_modes(&modes);
    assert_eq!(encoded.len(), 16);
    assert_eq!(decode_terminal_modes(&encoded).as_deref(), Ok(&modes[..]));
    let with_tail = [&encoded[..], &[9, 9]].concat();
    assert_eq!(decode_terminal_modes(&with_tail).as_deref(), Ok(&modes[..]));
    let without_end = &encoded[..15];
    assert_eq!(
        decode_terminal_modes(without_end).as_deref(),
        Ok(&modes[..])
    );
    let unknown = [&encoded[..15], &[160, 1, 2]].concat();
    assert_eq!(decode_terminal_modes(&unknown).as_deref(), Ok(&modes[..]));
    for end in [1, 4, 6, 14] {
        assert_eq!(
            decode_terminal_modes(&encoded[..end]),
            Err(DecodeError::Truncated)
        );
    }
    let many = [1, 0, 0, 0, 0].repeat(256);
    assert_eq!(decode_terminal_modes(&many), Err(DecodeError::TooMany));
    assert!(decode_terminal_modes(&many[5..]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any value that can be sent arrives as it was, in one of the forms of its message, and no
    /// shorter or longer payload is taken for it.
    #[test]
    fn b14_arbitrary_messages_survive_the_wire(
        index in 0..KNOWN.len(),
        seed in proptest::collection::vec(any::<u8>(), 0..512),
        extra in any::<u8>(),
    ) {
        let known = &KNOWN[index];
        let Some(payload) = (known.round_trip)(&mut Unstructured::new(&seed)) else {
            return Ok(());
        };
        // The raw form of a message stands last.
        let form = known.forms.iter().find(|form| length_fields(form, &payload).is_some());
        let form = form.expect("a form of the RFC");
        let recoded = (known.recode)(&payload);
        prop_assert_eq!(recoded.as_deref(), Ok(&payload[..]));
        for end in 0..payload.len() {
            prop_assert!(is_refused_or_exact(known, form, &payload[..end]));
        }
        let longer = [&payload[..], &[extra]].concat();
        prop_assert!(is_refused_or_exact(known, form, &longer));
    }

    /// Any bytes: an error or the same bytes again, but for booleans; never a panic.
    #[test]
    fn b14_arbitrary_bytes_decode_to_what_they_are(
        index in 0..KNOWN.len(),
        form in any::<prop::sample::Index>(),
        elements in 0..4u32,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let known = &KNOWN[index];
        let mut payload = sample(known.forms[form.index(known.forms.len())], elements);
        for (at, byte) in changes {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if let Ok(encoded) = (known.recode)(&payload) {
            prop_assert!(is_same(&encoded, &payload));
            prop_assert_eq!((known.recode)(&encoded), Ok(encoded));
        }
    }
}
