//! PuTTY: `plink`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use ssh_interop::process::{command, run};

use crate::call::{Call, CommandLine, Known, Method, Unknown, Wish};

/// Its client; it has no server.
pub(crate) struct Plink;

impl CommandLine for Plink {
    fn command(&self, call: &Call<'_>) -> Known<Command> {
        let scene = call.scene;
        let mut plink = command("plink");
        let yes_no = |method| u8::from(call.method == method);
        // What has no flag is a setting of the saved session.
        let mut session = format!(
            "Protocol=ssh\nHostName=127.0.0.1\nPortNumber={}\nUserName={}\nAuthKI={}\n\
             TryAgent=0\nTerminalType=vt220\n",
            call.server.port,
            scene.user,
            yes_no(Method::KeyboardInteractive),
        );
        plink.args(["-load", "interop", "-batch", "-no-antispoof"]);
        let mut fingerprint = command("ssh-keygen");
        fingerprint.arg("-lf").arg(&scene.host_key.public);
        let fingerprint = run(fingerprint).ok();
        let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
        plink.args(["-hostkey", fingerprint]);
        match call.method {
            Method::Key => {
                let ppk = scene.dir.file("user.ppk");
                let mut puttygen = command("puttygen");
                puttygen.arg(&scene.key.private).arg("-o").arg(&ppk);
                run(puttygen).ok();
                plink.arg("-i").arg(ppk);
            }
            Method::Password | Method::KeyboardInteractive => {
                let secret = scene.dir.write_private("secret", &scene.password);
                plink.arg("-pwfile").arg(secret);
            }
        }
        for wish in &call.wishes {
            match wish {
                Wish::Terminal => drop(plink.arg("-t")),
                Wish::Env(name, value) => {
                    let _ = writeln!(session, "Environment={name}={value}");
                }
                Wish::Subsystem => drop(plink.arg("-s")),
                Wish::NoCommand => drop(plink.arg("-N")),
                Wish::Local { port, to } => {
                    plink.args(["-L", &format!("127.0.0.1:{port}:127.0.0.1:{to}")]);
                }
                Wish::Remote { port, to } => {
                    plink.args(["-R", &format!("127.0.0.1:{port}:127.0.0.1:{to}")]);
                }
                Wish::Dynamic { port } => drop(plink.args(["-D", &format!("127.0.0.1:{port}")])),
                Wish::LocalUnix { .. } | Wish::RemoteUnix { .. } => {
                    return Unknown::because("PuTTY forwards no UNIX sockets.");
                }
                Wish::Agent(socket) => drop(plink.arg("-A").env("SSH_AUTH_SOCK", socket)),
                Wish::Rekey(bytes) => {
                    let _ = writeln!(session, "RekeyBytes={bytes}");
                }
            }
        }
        let sessions = scene.dir.file("putty/sessions");
        fs::create_dir_all(&sessions).expect("a folder");
        fs::write(sessions.join("interop"), session).expect("a session");
        plink.env("PUTTYDIR", scene.dir.file("putty"));
        if !call.remote.is_empty() {
            plink.arg(call.remote);
        }
        Ok(plink)
    }

    fn signal(&self, _call: &Call<'_>) -> Known<()> {
        Unknown::because("`plink` has no way to send a signal.")
    }
}
