//! The display: where it is, and the cookie that `xauth` knows for it.

use std::env;
use std::process::{Command, Stdio};

use ssh_io_std::{Display, X11Forward};
use ssh_proto::X11Cookie;

use crate::log;

/// What the display of `$DISPLAY` is forwarded with, if there is one.
pub(crate) fn forward(xauth: &str) -> Option<X11Forward> {
    let name = env::var("DISPLAY").unwrap_or_default();
    let Some(display) = Display::parse(&name) else {
        log::debug("X11 forwarding requested but DISPLAY not set");
        return None;
    };
    let cookie = cookie(xauth, &name);
    if cookie.is_none() {
        log::info("Warning: No xauth data; using fake authentication data for X11 forwarding.");
    }
    match X11Forward::new(display, cookie) {
        Ok(forward) => Some(forward),
        Err(error) => {
            log::info(format!("X11 forwarding: {error}"));
            None
        }
    }
}

/// The first cookie of `xauth list`.
fn cookie(xauth: &str, display: &str) -> Option<X11Cookie> {
    // It knows displays of this machine by the name of their socket.
    let display = match display.strip_prefix("localhost:") {
        Some(number) => format!("unix:{number}"),
        None => display.to_owned(),
    };
    let output = Command::new(xauth)
        .args(["list", &display])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<_> = text.lines().next()?.split_ascii_whitespace().collect();
    match words[..] {
        [_, "MIT-MAGIC-COOKIE-1", hex] => Some(X11Cookie::new(hex.into())),
        _ => None,
    }
}
