//! A process without descriptors left: listeners rest, and serve what waits once there are some. Alone in its process.
#![cfg(target_os = "linux")]

mod common;
mod forwarding;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use forwarding::{echo, exercise, permit_all, program, serving, site};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use ssh_io_std::Target;

/// The time that this process has used, in hundredths of a second.
fn used() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_listener_rests_while_there_are_no_descriptors() {
    let mut site = site(permit_all);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::tcp("127.0.0.1", program(echo));
    site.client.forwards().listen(listener, target).unwrap();
    let _serving = serving(site);
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    exercise(connect(), 1000);
    // The descriptors of that one are on their way out.
    thread::sleep(Duration::from_millis(200));

    let before = used();
    let limit = getrlimit(Resource::Nofile);
    // The lowest descriptor that is free is the one that the connection gets.
    let free = std::os::fd::AsRawFd::as_raw_fd(&fs::File::open("/dev/null").unwrap());
    let current = Some(free as u64 + 1);
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let stream = connect();
    thread::sleep(Duration::from_millis(700));
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(used() - before < 6, "it looks at its listener all the time");
    exercise(stream, 1000);
}
