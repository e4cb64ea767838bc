//! Runs a command on a server, in a few lines.
//!
//! `quickstart_std HOST:PORT SHA256:FINGERPRINT USER PASSWORD COMMAND`

use ssh_io_std::Client;
use ssh_proto::crypto::{Fingerprint, rustcrypto};
use ssh_proto::{ClientConfig, HostKeyCheck};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, fingerprint, user, password, command] = &arguments[..] else {
        return Err("usage: HOST:PORT SHA256:FINGERPRINT USER PASSWORD COMMAND".into());
    };
    let provider = rustcrypto::provider();
    let sha256 = provider.sha256;
    let expected: Fingerprint = fingerprint.parse()?;
    let judge = move |check: &HostKeyCheck| check.key().fingerprint(sha256) == expected;

    let config = ClientConfig::builder(provider).build()?;
    let mut client = Client::connect(address, user, &config, judge)?;
    client.authenticate_password(password.as_str())?;
    let output = client.exec(command)?.output(16 << 20)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    println!("exit: {:?}", output.exit);
    Ok(client.disconnect()?)
}
