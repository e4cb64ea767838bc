//! Files that others may have put there, read whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a file that may be its user's own, and so could be a pipe that nobody writes, or have no
/// end.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    match file.take(most.saturating_add(1)).read_to_end(&mut bytes)? as u64 {
        length if length <= most => Ok(bytes),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1 << 20;

    #[test]
    fn files_have_an_end_and_are_there_at_once() {
        let folder = std::env::temp_dir().join(format!("ssh-keys-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = |name| folder.join(name).to_str().unwrap().to_owned();
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        let size = |name, len: u64| File::create(path(name)).unwrap().set_len(len).unwrap();
        size("most", MOST);
        size("more", MOST + 1);
        let read = |name| read(Path::new(&path(name)), MOST).map(|bytes| bytes.len() as u64);
        assert!(made.unwrap().success() && read("pipe").is_err());
        assert_eq!(read("most").unwrap(), MOST);
        assert_eq!(
            read("more").unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert!(super::read(Path::new("/dev/zero"), MOST).is_err());
        assert!(super::read(Path::new("/"), MOST).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
