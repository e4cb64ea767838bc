//! Nothing is left of what was forwarded: no descriptor, no thread. Alone in its process, to count them.
#![cfg(target_os = "linux")]

mod common;
mod forwarding;

use std::fs;
use std::net::{TcpListener, TcpStream};

use forwarding::{echo, exercise, permit_all, program, serving, site, until};
use ssh_io_std::{Bind, Target};

fn counted(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn a_hundred_connections_in_turn_leave_nothing() {
    let port = program(echo);
    let before = (counted("fd"), counted("task"));
    let mut site = site(permit_all);
    // The name is one that the system is asked for, in a thread.
    let target = Target::tcp("127.1", port);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap().port();
    site.client
        .forwards()
        .listen(listener, target.clone())
        .unwrap();
    let request = site
        .client
        .forward_remote(Bind::tcp("localhost", 0), target)
        .unwrap();
    let remote = site.client.forwards().remote_port(request).unwrap();
    let serving = serving(site);
    let connect = |port| TcpStream::connect(("127.0.0.1", port)).unwrap();
    exercise(connect(local), 1000);
    until(|| counted("task") == before.1 + 2);
    let open = counted("fd");
    for at in 0..100 {
        let port = if at % 2 == 0 { local } else { remote };
        match at % 10 {
            // Some hang up at once.
            9 => drop(connect(port)),
            _ => exercise(connect(port), 1000),
        }
    }
    until(|| counted("fd") <= open && counted("task") == before.1 + 2);
    drop(serving);
    until(|| (counted("fd"), counted("task")) == before);
}
