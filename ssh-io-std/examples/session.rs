//! A whole session over a real socket: a server and a client in one process, and then the server alone for your own `ssh`.
//!
//! `session [--once]`

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::{env, thread};

use ssh_io_std::{Client, ClientHandler, Exit, Incoming, Listener, OsRandom};
use ssh_proto::crypto::{Fingerprint, rustcrypto};
use ssh_proto::{
    AuthMethod, ChannelId, ChannelRequest, ClientConfig, Connection, DataStream, Event,
    HostKeyCheck, ServerConfig, ServerEvent,
};

const USER: &str = "ferris";
const PASSWORD: &str = "crab";

/// Each run has a host key of its own, which is not to be remembered.
const SSH: &str = "ssh -o UserKnownHostsFile=/dev/null";

fn main() -> Result<(), Box<dyn Error>> {
    let provider = rustcrypto::provider();
    let host_key = provider.keys.generate("ssh-ed25519", &mut OsRandom)?;
    let host_key = provider.signing_key(&host_key)?;
    let fingerprint = host_key.public_key().fingerprint(provider.sha256);
    let config = ServerConfig::builder(provider.clone())
        .signing_host_key(host_key)
        .build()?;
    let listener = Listener::bind("127.0.0.1:0", config)?;
    let address = listener.local_addr()?;
    thread::spawn(move || listen(listener));

    let config = ClientConfig::builder(provider).build()?;
    let mut client = Client::connect(address, USER, &config, Judge(fingerprint))?;
    let proof = client.authenticate_password(PASSWORD)?;
    println!("authenticated   {} by {}", proof.user(), proof.method());
    let output = client.exec("greet")?.output(1 << 20)?;
    print!(
        "output          {}",
        String::from_utf8_lossy(&output.stdout)
    );
    match output.exit {
        Exit::Status(status) => println!("exit status     {status}"),
        other => println!("exit            {other:?}"),
    }
    client.disconnect()?;

    if env::args().any(|argument| argument == "--once") {
        return Ok(());
    }
    let port = address.port();
    println!("\nThis server greets and does nothing else. It is there until you press Enter:");
    println!("    {SSH} -p {port} {USER}@127.0.0.1");
    println!("    password: {PASSWORD}, host key: {fingerprint}");
    println!("\nFor a server with a shell, run and log in:");
    println!(
        "    cargo run -p ssh-io-std --example server -- --listen 127.0.0.1:2222 --user {USER} --password {PASSWORD} --exec --pty"
    );
    println!("    {SSH} -p 2222 {USER}@127.0.0.1");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Knows the host key, and shows what is negotiated.
struct Judge(Fingerprint);

impl ClientHandler for Judge {
    fn host_key(&mut self, check: &HostKeyCheck) -> bool {
        check.key().fingerprint(rustcrypto::provider().sha256) == self.0
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Identified(identification) => println!("server          {identification}"),
            Event::KeysChanged(keys) => {
                println!("key exchange    {}", keys.kex);
                println!("host key        {} {}", keys.host_key_algorithm, self.0);
                for (direction, suite) in [
                    ("to the server", keys.client_to_server),
                    ("to the client", keys.server_to_client),
                ] {
                    let mac = suite.mac.unwrap_or("that of the cipher");
                    println!(
                        "{direction}   {}, MAC: {mac}, compression: {}",
                        suite.cipher, suite.compression
                    );
                }
                println!("strict          {}", keys.strict_kex);
                println!("post-quantum    {}", keys.post_quantum);
            }
            _ => {}
        }
    }
}

fn listen(mut listener: Listener) {
    loop {
        // It pauses after an error, so that this does not spin.
        let Ok(incoming) = listener.accept() else {
            continue;
        };
        thread::spawn(move || {
            if let Err(error) = serve(incoming) {
                eprintln!("a connection failed: {error}");
            }
        });
    }
}

/// A server that greets whoever logs in, and says what was asked of it.
fn serve(incoming: Incoming) -> Result<(), Box<dyn Error>> {
    let mut driver = incoming.accept()?;
    let mut line_ends: HashMap<ChannelId, &str> = HashMap::new();
    while let Some(event) = driver.next_event()? {
        let connection = driver.connection_mut();
        match event {
            ServerEvent::Auth(request) => {
                let right = match request.method() {
                    AuthMethod::Password(password) => password.matches(PASSWORD.as_bytes()),
                    _ => false,
                };
                match right && request.user() == USER {
                    true => connection.accept_auth(request)?,
                    false => connection.reject_auth(request, None)?,
                }
            }
            ServerEvent::Shared(Event::ChannelOpen(open)) => {
                let channel = connection.accept_channel(open)?;
                line_ends.insert(channel, "\n");
            }
            ServerEvent::Shared(Event::Request(request)) => {
                let channel = request.channel();
                let what = match request.request() {
                    ChannelRequest::Pty(_) => {
                        line_ends.insert(channel, "\r\n");
                        connection.accept_request(request)?;
                        continue;
                    }
                    ChannelRequest::Exec(command) => command.escape_ascii().to_string(),
                    ChannelRequest::Shell => "a shell".to_owned(),
                    // Dropping the question refuses it.
                    _ => continue,
                };
                connection.accept_request(request)?;
                let end = line_ends.remove(&channel).unwrap_or("\n");
                let greeting =
                    format!("Hello {USER}, you asked for {what}. All I can do is greet.{end}");
                connection.write(channel, DataStream::Data, greeting.as_bytes())?;
                connection.request(channel, &ChannelRequest::ExitStatus(7), false)?;
                connection.finish(channel)?;
                connection.close_channel(channel)?;
            }
            _ => {}
        }
    }
    Ok(())
}
