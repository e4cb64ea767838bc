//! The file in which programs of a session find the cookie for their display, as `xauth` would write it (Xsecurity(7)).

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ssh_io_std::OsRandom;
use ssh_proto::X11Cookie;
use ssh_proto::crypto::SecureRandom;

/// The address is the name of this machine, and the connection one from it.
const FAMILY_LOCAL: u16 = 256;

/// Every address fits.
const FAMILY_WILD: u16 = 65_535;

/// A file of cookies in a directory that only its owner may enter. Dropping it removes both.
#[derive(Debug)]
pub(crate) struct Authority {
    directory: PathBuf,
    path: PathBuf,
}

impl Authority {
    /// Writes the cookie that the client has told for this display.
    pub(crate) fn write(display: u16, protocol: &[u8], cookie: &X11Cookie) -> io::Result<Self> {
        let entry = entry(&host_name(), display, protocol, cookie)?;
        let mut random = [0; 8];
        OsRandom.fill(&mut random).map_err(io::Error::other)?;
        let name = format!("ssh-x11-{:016x}", u64::from_ne_bytes(random));
        let directory = env::temp_dir().join(name);
        // Fails if there is anything of this name.
        DirBuilder::new().mode(0o700).create(&directory)?;
        let path = directory.join("Xauthority");
        let authority = Self { directory, path };
        let mut file = File::options();
        let mut file = file
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&authority.path)?;
        file.write_all(&entry)?;
        Ok(authority)
    }

    /// The value of `XAUTHORITY`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // With what programs have put there, such as locks.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The name of this machine, where the system tells it in a file; otherwise nothing.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.unwrap_or_default().trim_end().to_owned()
}

/// One entry: family, and four fields behind their lengths.
fn entry(host: &str, display: u16, protocol: &[u8], cookie: &X11Cookie) -> io::Result<Vec<u8>> {
    let family = match host {
        "" => FAMILY_WILD,
        _ => FAMILY_LOCAL,
    };
    let cookie = bytes_of(cookie).ok_or(io::ErrorKind::InvalidInput)?;
    let number = display.to_string();
    let mut entry = family.to_be_bytes().to_vec();
    for field in [host.as_bytes(), number.as_bytes(), protocol, &cookie] {
        let len = u16::try_from(field.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        entry.extend_from_slice(&len.to_be_bytes());
        entry.extend_from_slice(field);
    }
    Ok(entry)
}

/// The bytes behind hexadecimal digits.
fn bytes_of(cookie: &X11Cookie) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = cookie.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    const PROTOCOL: &[u8] = b"MIT-MAGIC-COOKIE-1";

    fn cookie(digits: &str) -> X11Cookie {
        X11Cookie::new(digits.into())
    }

    #[test]
    fn entries_have_their_fields_behind_lengths() {
        let written = entry("box", 10, b"P", &cookie("00fFa0")).unwrap();
        assert_eq!(
            written,
            b"\x01\x00\0\x03box\0\x0210\0\x01P\0\x03\x00\xff\xa0"
        );
        assert!(
            entry("", 1, b"P", &cookie(""))
                .unwrap()
                .starts_with(b"\xff\xff\0\0")
        );
        assert!(entry("box", 10, b"P", &cookie("0")).is_err());
        assert!(entry("box", 10, b"P", &cookie("0g")).is_err());
        assert!(entry("box", 10, &[b'P'; 1 << 16], &cookie("")).is_err());
    }

    #[test]
    fn the_file_is_its_owners_alone_and_goes() {
        let authority = Authority::write(1010, PROTOCOL, &cookie("00ff")).unwrap();
        let (path, directory) = (authority.path().to_owned(), authority.directory.clone());
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
        let mut xauth = Command::new("xauth");
        xauth.arg("-f").arg(&path).args(["list", "unix:1010"]);
        // Where there is such a program.
        if let Ok(output) = xauth.output() {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(
                text.trim_end()
                    .ends_with("unix:1010  MIT-MAGIC-COOKIE-1  00ff"),
                "{text}"
            );
        }
        drop(authority);
        assert!(!directory.exists());
    }
}
