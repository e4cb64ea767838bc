//! How the values of a message look in `Debug` (RFC 4251 sections 5 and 9.2): text as text, escaped and cut; what is or may be a secret by its length alone.

use alloc::vec::Vec;
use core::fmt;

use super::message::Rest;
use super::types::{Mpint, NameList};
use crate::error::DisconnectReason;

/// Bytes of a string that are shown: all of any name, path or key, and enough of a text.
const SHOWN: usize = 256;

/// A value of a message, for people.
pub(crate) trait Show {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// `Debug` by way of [`Show`].
pub(crate) struct Shown<'s, T>(pub(crate) &'s T);

impl<T: Show> fmt::Debug for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

/// Bytes whose length alone is shown.
pub(crate) struct ByLength<'s>(pub(crate) &'s [u8]);

impl fmt::Debug for ByLength<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Show for &[u8] {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get(..SHOWN) {
            Some(start) if self.len() > SHOWN => {
                write!(f, "\"{}\"..({} bytes)", start.escape_ascii(), self.len())
            }
            _ => write!(f, "\"{}\"", self.escape_ascii()),
        }
    }
}

impl<const N: usize> Show for [u8; N] {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Some(value) => value.show(f),
            None => f.write_str("None"),
        }
    }
}

impl<T: Show> Show for Vec<T> {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Shown)).finish()
    }
}

impl<A: Show, B: Show> Show for (A, B) {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("")
            .field(&Shown(&self.0))
            .field(&Shown(&self.1))
            .finish()
    }
}

/// Types whose `Debug` is fit to be shown.
macro_rules! show_as_debug {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::wire::show::Show for $type {
            fn show(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Debug::fmt(self, f)
            }
        }
    )*};
}

/// Gives a struct a `Debug` that goes by [`Show`]. A field marked `by_length` is shown by that alone.
macro_rules! shown_struct {
    ($name:ident [$($life:lifetime)?] { $($field:ident $(=> $how:ident)?,)* }) => {
        impl<$($life)?> core::fmt::Debug for $name<$($life)?> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(
                        stringify!($field),
                        &$crate::wire::show::shown_struct!(@value [$($how)?] self.$field),
                    ))*
                    .finish()
            }
        }

        impl<$($life)?> $crate::wire::show::Show for $name<$($life)?> {
            fn show(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Debug::fmt(self, f)
            }
        }
    };
    (@value [] $value:expr) => { $crate::wire::show::Shown(&$value) };
    (@value [by_length] $value:expr) => { $crate::wire::show::ByLength($value) };
}

pub(crate) use {show_as_debug, shown_struct};

show_as_debug!(
    (),
    bool,
    u8,
    u32,
    u64,
    DisconnectReason,
    Mpint<'_>,
    NameList<'_>,
    Rest<'_>,
);

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use crate::wire::auth::*;
    use crate::wire::connection::*;
    use crate::wire::extension::Ping;
    use crate::wire::transport::{Debug, Ignore};
    use crate::wire::{Reader, Rest};

    const SECRET: &[u8] = b"c0ffee-5ecret";

    fn assert_hidden(value: impl core::fmt::Debug) {
        let decimal: String = SECRET.iter().map(|byte| format!("{byte}, ")).collect();
        for shown in [format!("{value:?}"), format!("{value:#?}")] {
            let flat = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!shown.contains("c0ffee"), "{shown}");
            assert!(!flat.contains(&decimal[..12]), "{shown}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_hidden(UserauthRequest {
            user: b"u",
            service: b"s",
            method: AuthMethod::Password(PasswordAuth {
                password: SECRET,
                new_password: Some(SECRET),
            }),
        });
        // A method that is not known may carry one, too.
        let (name, body) = (&b"otp"[..], SECRET);
        assert_hidden(AuthMethod::Unknown { name, body });
        assert_hidden(UserauthInfoResponse {
            responses: vec![SECRET],
        });
        assert_hidden(UserauthGssapiToken { token: SECRET });
        assert_hidden(UserauthGssapiErrtok { token: SECRET });
        assert_hidden(UserauthGssapiMic { mic: SECRET });
        assert_hidden(ChannelRequest {
            recipient: 0,
            kind: ChannelRequestKind::X11(X11Req {
                single_connection: false,
                auth_protocol: b"MIT-MAGIC-COOKIE-1",
                auth_cookie: SECRET,
                screen: 0,
            }),
            want_reply: true,
        });
        assert_hidden(EnvReq {
            name: b"TOKEN",
            value: SECRET,
        });
        assert_hidden(ChannelRequestKind::Unknown { name, body });
        assert_hidden(GlobalRequestKind::Unknown { name, body });
        assert_hidden(ChannelOpenKind::Unknown { name, body });
        assert_hidden(RequestSuccess { body: Rest(SECRET) });
        assert_hidden(ChannelData {
            recipient: 0,
            data: SECRET,
        });
        assert_hidden(ChannelExtendedData {
            recipient: 0,
            data_type: 1,
            data: SECRET,
        });
        assert_hidden(Ignore { data: SECRET });
        assert_hidden(Ping { data: SECRET });
        assert_hidden(Reader::new(SECRET));
    }

    #[test]
    fn text_is_shown_escaped_and_cut() {
        let mut long = vec![b'x'; 300];
        long[0] = 0x1b;
        let debug = Debug {
            always_display: true,
            message: b"a\nb\"\xe2\x80\xae",
            language: &long,
        };
        let shown = format!("{debug:?}");
        let start =
            r#"Debug { always_display: true, message: "a\nb\"\xe2\x80\xae", language: "\x1bxxx"#;
        assert!(shown.starts_with(start), "{shown}");
        assert!(shown.ends_with("xxx\"..(300 bytes) }"), "{shown}");
        assert_eq!(shown.matches('x').count() - 4, 255);
    }

    #[test]
    fn lists_and_kinds_are_shown_by_name() {
        let request = UserauthInfoRequest {
            name: b"",
            instruction: b"",
            language: b"",
            prompts: vec![(b"PIN: ", false)],
        };
        assert!(format!("{request:?}").contains(r#"prompts: [("PIN: ", false)]"#));
        let exec = ChannelRequestKind::Exec(b"ls");
        assert_eq!(format!("{exec:?}"), r#"Exec("ls")"#);
        let shell = ChannelRequestKind::Shell(());
        assert_eq!(format!("{shell:?}"), "Shell(())");
    }
}
