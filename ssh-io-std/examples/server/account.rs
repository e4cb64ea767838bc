//! The account that a user's programs run as, from `/etc/passwd` and `/etc/group`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Gid, Uid, geteuid};

/// Where programs run, and as whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The name that the user logged in with.
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    pub(crate) shell: OsString,
    pub(crate) path: OsString,
    /// Whom to become. `None`: everything runs as the account that started the server.
    pub(crate) identity: Option<Identity>,
}

/// What makes a process one of an account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// All of the account's groups.
    pub(crate) groups: Vec<Gid>,
}

impl Identity {
    /// Has the calling thread act as the account, groups first, while that is still allowed: so do
    /// the threads that it starts, and the files and sockets that it makes and opens are the
    /// account's. A program becomes wholly the account's by [`Self::assume_for_good`].
    ///
    /// The thread stays root's by its real identity: whose it is, may signal it, and a deadly
    /// signal for one thread ends all connections. The other threads stay what they are, which is
    /// the kernel's doing and not the C library's. It keeps an honest server's files apart; a
    /// thread that runs foreign code could still reach the memory of the others.
    pub(crate) fn assume(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
            set_thread_groups(&self.groups)?;
            set_thread_res_gid(self.gid, self.gid, self.gid)?;
            set_thread_res_uid(Uid::ROOT, self.uid, Uid::ROOT)?;
            Ok(())
        }
        #[cfg(not(target_os = "linux"))]
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives the rest of root up, in a child of a thread that acts as the account. Makes one system
    /// call and nothing else.
    pub(crate) fn assume_for_good(uid: Uid) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = uid;
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

impl Account {
    /// The account of a user. Root becomes the user, where the system has an account of that
    /// name; otherwise everything runs as the account that started the server. `None`: root has no
    /// such account, and its own is not for whoever has a key or a ticket, unless the command line
    /// names the user.
    ///
    /// Only local accounts are known: asking the name service is not possible in safe Rust.
    pub(crate) fn of(user: &str, is_named: bool) -> Option<Self> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (passwd, groups) = (read("/etc/passwd"), read("/etc/group"));
        let own = geteuid();
        let account = match Entry::find(&passwd, |entry| entry.name == user) {
            None if own.is_root() && !is_named => return None,
            Some(entry) if own.is_root() && entry.uid != own => Self {
                name: user.into(),
                home: entry.home.into(),
                shell: shell(entry.shell),
                path: "/usr/local/bin:/usr/bin:/bin".into(),
                identity: Some(Identity {
                    uid: entry.uid,
                    gid: entry.gid,
                    groups: groups_of(user, entry.gid, &groups),
                }),
            },
            _ => {
                let entry = Entry::find(&passwd, |entry| entry.uid == own);
                let home = env::var_os("HOME").filter(|home| !home.is_empty());
                Self {
                    name: user.into(),
                    home: home
                        .or(entry.as_ref().map(|entry| entry.home.into()))
                        .unwrap_or_else(|| "/".into())
                        .into(),
                    shell: shell(entry.map_or("", |entry| entry.shell)),
                    path: env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
                    identity: None,
                }
            }
        };
        Some(account)
    }
}

fn shell(name: &str) -> OsString {
    match name {
        "" => "/bin/sh".into(),
        name => name.into(),
    }
}

/// One line of `/etc/passwd`.
struct Entry<'a> {
    name: &'a str,
    uid: Uid,
    gid: Gid,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let mut next = || fields.next();
        let (name, _, uid, gid) = (next()?, next()?, next()?, next()?);
        let (_, home, shell) = (next()?, next()?, next()?);
        Some(Self {
            name,
            uid: Uid::from_raw(uid.parse().ok()?),
            gid: Gid::from_raw(gid.parse().ok()?),
            home,
            shell,
        })
    }

    fn find(passwd: &'a str, wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        passwd.lines().filter_map(Self::parse).find(wanted)
    }
}

/// The groups of an account, its own first.
fn groups_of(user: &str, own: Gid, groups: &str) -> Vec<Gid> {
    let listed = groups.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        let is_member = fields.next()?.split(',').any(|member| member == user);
        is_member.then(|| Gid::from_raw(gid))
    });
    let mut all = vec![own];
    all.extend(listed.filter(|gid| *gid != own));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_passwd_and_group_are_read() {
        let passwd = "bad\nroot:x:0:0:root:/root:/bin/bash\nme:x:1000:100::/home/me:\n";
        let entry = Entry::find(passwd, |entry| entry.name == "me").unwrap();
        assert_eq!((entry.uid.as_raw(), entry.gid.as_raw()), (1000, 100));
        assert_eq!(
            (entry.home, shell(entry.shell)),
            ("/home/me", "/bin/sh".into())
        );
        assert!(Entry::find(passwd, |entry| entry.name == "m").is_none());
        let groups = "users:x:100:me\nwheel:x:10:root,me\nmen:x:11:men\n\nbad:x\n";
        let groups = groups_of("me", entry.gid, groups);
        assert_eq!(groups, [100, 10].map(Gid::from_raw));
    }

    #[test]
    fn an_unknown_user_runs_as_ourselves_but_is_root_only_by_name() {
        let account = Account::of("no such user", true).unwrap();
        assert_eq!(account.identity, None);
        assert_eq!(account.name, "no such user");
        let other = Account::of("no such user", false);
        assert_eq!(other.is_none(), geteuid().is_root());
        assert!(Account::of("root", false).is_some());
    }
}
