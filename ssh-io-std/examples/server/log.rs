//! The server's log: lines to a file or to standard error.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Where lines go, each behind the name of what it is about. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    sink: Arc<Mutex<Box<dyn Write + Send>>>,
    subject: Arc<str>,
}

impl Log {
    /// Appends to the file, a new one for our account alone; without one, to standard error.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.append(true).create(true).mode(0o600);
        let sink: Box<dyn Write + Send> = match path {
            Some(path) => Box::new(options.open(path)?),
            None => Box::new(io::stderr()),
        };
        Ok(Self {
            sink: Arc::new(Mutex::new(sink)),
            subject: "server".into(),
        })
    }

    /// The same log, for lines about something else.
    pub(crate) fn about(&self, subject: impl fmt::Display) -> Self {
        Self {
            sink: Arc::clone(&self.sink),
            subject: subject.to_string().into(),
        }
    }

    pub(crate) fn line(&self, text: fmt::Arguments<'_>) {
        let line = format!("{}: {text}\n", self.subject);
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that is full or gone must not end a session.
        let _ = sink.write_all(line.as_bytes());
    }
}
