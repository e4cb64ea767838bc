//! Messages to the user, on standard error or in the file of `-E`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

struct Log {
    verbosity: u8,
    file: Option<File>,
    /// The terminal is raw, or will be: lines need their own way back to the left.
    end: &'static str,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Sets up messages; to be called once. Without it, all are shown but those of `-v`.
pub(crate) fn init(verbosity: u8, file: Option<&Path>) -> io::Result<()> {
    let open = |path| OpenOptions::new().create(true).append(true).open(path);
    let file = file.map(open).transpose()?;
    let end = if file.is_some() { "\n" } else { "\r\n" };
    let _ = LOG.set(Log {
        verbosity,
        file,
        end,
    });
    Ok(())
}

fn write(level: u8, text: &str) {
    let log = LOG.get();
    if log.map_or(1, |log| log.verbosity) < level {
        return;
    }
    let line = format!("{text}{}", log.map_or("\n", |log| log.end));
    // There is nobody to tell that nobody can be told.
    let _ = match log.and_then(|log| log.file.as_ref()) {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
}

/// Shown even with `-q`.
pub(crate) fn error(text: impl AsRef<str>) {
    write(0, text.as_ref());
}

/// Shown unless with `-q`.
pub(crate) fn info(text: impl AsRef<str>) {
    write(1, text.as_ref());
}

/// Shown with `-v`.
pub(crate) fn debug(text: impl AsRef<str>) {
    write(2, &format!("debug1: {}", text.as_ref()));
}
