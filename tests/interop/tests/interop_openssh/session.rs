//! Commands, shells and terminals: RFC 4254 section 6.

use std::time::Duration;

use ssh_interop::process::{processes_with, wait_until};
use ssh_interop::{Pair, Side};

use crate::{Scene, assert_same, for_each_pair, noise, pair_tests};

for_each_pair!(
    exit_status_is_the_commands,
    death_by_signal_is_no_success,
    standard_input_reaches_the_command,
    standard_error_is_separate,
    output_goes_on_after_end_of_input,
    command_that_reads_nothing_ends,
    command_that_stops_reading_ends,
    environment_is_passed,
    words_are_joined_by_spaces,
    shell_runs_what_it_reads,
    terminal_is_a_terminal,
    terminal_interrupts,
    terminal_modes_are_applied,
    no_terminal_without_asking,
    background_child_does_not_hold_the_session,
);

pair_tests!(
    new_openssh_to_ours,
    NewOpenSsh,
    Ours,
    exit_status_is_the_commands,
    death_by_signal_is_no_success,
    terminal_is_a_terminal
);
pair_tests!(
    ours_to_new_openssh,
    Ours,
    NewOpenSsh,
    exit_status_is_the_commands,
    death_by_signal_is_no_success,
    terminal_is_a_terminal
);

fn exit_status_is_the_commands(pair: Pair) {
    let scene = Scene::new(pair);
    for status in [0, 1, 42, 255] {
        let output = scene
            .login
            .run(&format!("echo out-{status}; exit {status}"));
        assert_eq!(output.code(), Some(status), "{output:?}");
        assert_eq!(output.out(), format!("out-{status}\n"));
    }
    assert_eq!(scene.login.run("/no/such/program").code(), Some(127));
}

fn death_by_signal_is_no_success(pair: Pair) {
    let scene = Scene::new(pair);
    for signal in ["TERM", "KILL", "SEGV"] {
        let login = scene.login.clone().flag("-v");
        let output = login.run(&format!("echo before; kill -{signal} $$"));
        assert_eq!(output.out(), "before\n");
        let report = output.failed(255);
        let expected = if pair.client == Side::Ours {
            format!("signal {signal}")
        } else {
            "rtype exit-signal".to_owned()
        };
        assert!(report.contains(&expected), "{output:?}");
    }
}

fn standard_input_reaches_the_command(pair: Pair) {
    let scene = Scene::new(pair);
    let input = noise(3_000_001);
    let output = scene.login.run_with("cat", input.clone());
    output.ok();
    assert_same(&output.stdout, &input);
    assert_eq!(scene.login.run_with("wc -c", Vec::new()).ok().trim(), "0");
    let login = scene.login.clone().flag("-n");
    assert_eq!(login.run_with("wc -c", b"unread".to_vec()).ok().trim(), "0");
}

fn standard_error_is_separate(pair: Pair) {
    let scene = Scene::new(pair);
    let script = "echo out; echo err >&2; head -c 5000000 /dev/zero >&2; echo end";
    let output = scene.login.run(script);
    assert_eq!(output.ok(), "out\nend\n");
    let at = output.stderr.windows(4).position(|part| part == b"err\n");
    let at = at.unwrap_or_else(|| panic!("{output:?}"));
    let zeroes = output.stderr[at + 4..].iter().filter(|byte| **byte == 0);
    assert_eq!(zeroes.count(), 5_000_000);
}

fn output_goes_on_after_end_of_input(pair: Pair) {
    let scene = Scene::new(pair);
    let script = "cat; sleep 0.5; echo more; sleep 0.5; echo err >&2; exit 3";
    let output = scene.login.run_with(script, b"input\n".to_vec());
    assert_eq!(output.code(), Some(3), "{output:?}");
    assert_eq!(output.out(), "input\nmore\n");
    assert!(output.err().contains("err\n"));
}

fn command_that_reads_nothing_ends(pair: Pair) {
    let scene = Scene::new(pair);
    let mut running = scene.login.start("echo done");
    let stdin = running.take_stdin();
    wait_until(
        "the client ends with its input open",
        Duration::from_secs(20),
        || !running.is_running(),
    );
    drop(stdin);
    assert_eq!(running.wait(Duration::from_secs(1)).ok(), "done\n");
}

fn command_that_stops_reading_ends(pair: Pair) {
    let scene = Scene::new(pair);
    // More than window and pipes hold: whoever waits for it to be taken waits for ever.
    let output = scene
        .login
        .run_with("head -c 10; exit 5", noise(20_000_000));
    assert_eq!(output.code(), Some(5), "{output:?}");
    assert_same(&output.stdout, &noise(10));
}

fn environment_is_passed(pair: Pair) {
    let scene = Scene::new(pair);
    let login = scene.login.clone().option("SetEnv", "LC_INTEROP=set");
    assert_eq!(login.run("echo \"$LC_INTEROP\"").ok(), "set\n");
    let login = scene.login.clone().option("SendEnv", "LC_INTEROP");
    let mut client = login.command("echo \"$LC_INTEROP\"");
    client.env("LC_INTEROP", "sent");
    assert_eq!(ssh_interop::process::run(client).ok(), "sent\n");
}

fn words_are_joined_by_spaces(pair: Pair) {
    let scene = Scene::new(pair);
    let mut client = scene.login.command("echo");
    client.args(["a  b", "'c  d'", "-e"]);
    let output = ssh_interop::process::run(client);
    assert_eq!(output.ok(), "a b c  d -e\n");
}

fn shell_runs_what_it_reads(pair: Pair) {
    let scene = Scene::new(pair);
    let script = b"echo from $0 | tr -d -\ntest -t 0 || echo no terminal\nexit 9\n";
    let output = scene.login.run_with("", script.to_vec());
    assert_eq!(output.code(), Some(9), "{output:?}");
    assert!(output.out().contains("from "), "{output:?}");
    assert!(output.out().contains("no terminal\n"), "{output:?}");
}

fn terminal_is_a_terminal(pair: Pair) {
    let scene = Scene::new(pair);
    let login = scene.login.clone().flag("-tt");
    let script = "trap 'echo resized; stty size' WINCH; tty; echo term=$TERM; stty size; \
                  echo ready; \
                  while read -r line; do echo \"[$line]\"; test \"$line\" = end && exit 7; done";
    let mut command = login.command(&format!("exec bash -c {}", quoted(script)));
    command.env("TERM", "vt220");
    let mut terminal = ssh_interop::Terminal::start(&command, 33, 101);
    terminal.expect("/dev/");
    terminal.expect("term=vt220");
    terminal.expect("33 101");
    terminal.expect("ready");
    // The shell runs the trap when `read` is over.
    terminal.resize(44, 122);
    std::thread::sleep(Duration::from_millis(400));
    terminal.type_keys("hello\r");
    terminal.expect("resized");
    terminal.expect("44 122");
    terminal.expect("[hello]");
    terminal.type_keys("end\r");
    terminal.expect("[end]");
    let (status, screen) = terminal.wait();
    assert_eq!(status.code(), Some(7), "{screen}");
}

fn terminal_interrupts(pair: Pair) {
    let scene = Scene::new(pair);
    let login = scene.login.clone().flag("-tt");
    let mut terminal = login.on_terminal("", 24, 80);
    terminal.type_keys("PS1='prompt'; printf 'be%s\\n' gun; sleep 4321\r");
    terminal.expect("begun");
    std::thread::sleep(Duration::from_millis(300));
    terminal.type_keys("\x03");
    terminal.expect("prompt");
    terminal.type_keys("exit 6\r");
    let (status, screen) = terminal.wait();
    assert_eq!(status.code(), Some(6), "{screen}");
}

fn terminal_modes_are_applied(pair: Pair) {
    let scene = Scene::new(pair);
    let login = scene.login.clone().flag("-tt");
    let client = login.command("stty -a; exit 0");
    let mut local = ssh_interop::process::command("/bin/sh");
    local
        .args(["-c", "stty erase '^X' -echoe ixany; exec \"$@\"", "sh"])
        .arg(client.get_program())
        .args(client.get_args());
    let (status, screen) = ssh_interop::Terminal::start(&local, 24, 80).wait();
    assert_eq!(status.code(), Some(0), "{screen}");
    for mode in ["erase = ^X;", " -echoe ", " ixany "] {
        assert!(screen.contains(mode), "no {mode:?} in {screen}");
    }
}

fn no_terminal_without_asking(pair: Pair) {
    let scene = Scene::new(pair);
    assert_eq!(scene.login.run("tty").out(), "not a tty\n");
    let login = scene.login.clone().flag("-T");
    assert_eq!(login.run("tty").out(), "not a tty\n");
    let output = scene.login.clone().flag("-tt").run("tty");
    assert!(output.out().starts_with("/dev/"), "{output:?}");
}

/// As with sshd: the session ends when its output does, so a daemon must let go of it.
fn background_child_does_not_hold_the_session(pair: Pair) {
    let scene = Scene::new(pair);
    let mark = format!("300.{}", scene.server.port);
    let script =
        format!("(trap '' HUP; exec sleep {mark}) >/dev/null 2>&1 </dev/null & echo started");
    assert_eq!(scene.login.run(&script).ok(), "started\n");
    let left = processes_with(&format!("sleep {mark}"));
    for process in &left {
        let pid = process.split(' ').next().unwrap_or_default();
        let mut kill = ssh_interop::process::command("kill");
        kill.arg(pid);
        ssh_interop::process::run(kill);
    }
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', "'\\''"))
}
