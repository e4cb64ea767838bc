"""The scenarios of ../README.md with Paramiko, as a client and as a server."""

import fcntl
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import paramiko

MIB = 1 << 20
PATIENCE = 55
ENV = os.environ
UNIX = "Paramiko forwards no UNIX sockets."
UNKNOWN = {
    "client": {
        "signal": "Paramiko's client has no way to send a signal.",
        "dynamic-forward": "Paramiko's client has no SOCKS.",
        "unix-forward": UNIX,
        "remote-unix-forward": UNIX,
    },
    "server": {
        "signal": "Paramiko's server takes no signals.",
        "unix-forward": UNIX,
        "remote-unix-forward": UNIX,
    },
}


def thread(function, *arguments):
    started = threading.Thread(target=function, args=arguments, daemon=True)
    started.start()
    return started


def read_all(read):
    parts = []
    while part := read(1 << 16):
        parts.append(part)
    return b"".join(parts)


def end_output(stream):
    """Ends one direction of a socket or of a channel."""
    try:
        stream.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def join(one, other):
    """Carries bytes and ends between a socket and a channel, then closes both."""

    def carry(source, sink):
        try:
            while part := source.recv(1 << 15):
                sink.sendall(part)
        except OSError:
            pass
        end_output(sink)

    back = thread(carry, other, one)
    carry(one, other)
    back.join()
    one.close()
    other.close()


def echo():
    return socket.create_connection(("127.0.0.1", int(ENV["PEER_ECHO_PORT"])))


# ---------------------------------------------------------------- client


def connect(host, port, user, scenario):
    transport = paramiko.Transport((host, int(port)))
    if scenario == "rekey-load":
        transport.packetizer.REKEY_BYTES = MIB
    transport.start_client(timeout=PATIENCE)
    known = paramiko.HostKeys(ENV["PEER_HOST_KEY"])
    assert known.check(f"[{host}]:{port}", transport.get_remote_server_key()), "host key"
    if scenario == "password":
        transport.auth_password(user, ENV["PEER_PASSWORD"], fallback=False)
    elif scenario == "keyboard-interactive":

        def answer(title, instructions, prompts):
            assert all("assword:" in text and not echoed for text, echoed in prompts), prompts
            return [ENV["PEER_PASSWORD"]] * len(prompts)

        transport.auth_interactive(user, answer)
    else:
        transport.auth_publickey(user, paramiko.PKey.from_path(ENV["PEER_KEY"]))
    return transport


def session(transport):
    channel = transport.open_session(timeout=PATIENCE)
    channel.settimeout(PATIENCE)
    return channel


def run(channel, command, status=0, sent=b""):
    """Standard output and standard error of a command that must end with `status`."""
    channel.exec_command(command)

    def send():
        channel.sendall(sent)
        channel.shutdown_write()

    errors = []
    others = [thread(send), thread(lambda: errors.append(read_all(channel.recv_stderr)))]
    output = read_all(channel.recv)
    for other in others:
        other.join()
    assert channel.recv_exit_status() == status, (command, channel.exit_status, errors)
    return output, errors[0]


def log_in(transport):
    assert run(session(transport), "echo logged in")[0] == b"logged in\n"


def exec_status(transport):
    for status in (0, 1, 42, 255):
        output, _ = run(session(transport), f"echo out-{status}; exit {status}", status)
        assert output == f"out-{status}\n".encode(), output
    sent = os.urandom(300_001)
    assert run(session(transport), "cat; exit 3", 3, sent)[0] == sent


def stderr(transport):
    command = "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end"
    output, errors = run(session(transport), command)
    assert output == b"out\nend\n", output
    assert errors == b"err\n" + bytes(500_000), len(errors)


def env(transport):
    channel = session(transport)
    channel.set_environment_variable("LC_INTEROP", "set")
    assert run(channel, 'echo "[$LC_INTEROP]"')[0] == b"[set]\n"


TERMINAL = """exec bash -c 'trap "echo resized; stty size" WINCH; tty; echo term=$TERM; stty size;
echo ready; while read -r line; do echo "[$line]"; test "$line" = end && exit 7; done'"""


def terminal(transport):
    channel = session(transport)
    channel.get_pty("vt220", 101, 33)
    channel.exec_command(TERMINAL)
    screen = b""

    def expect(*texts):
        nonlocal screen
        while not all(text in screen for text in texts):
            part = channel.recv(4096)
            assert part, screen
            screen += part

    expect(b"/dev/", b"term=vt220", b"33 101", b"ready")
    channel.resize_pty(122, 44)
    channel.sendall(b"hello\r")
    expect(b"resized", b"44 122", b"[hello]")
    channel.sendall(b"end\r")
    expect(b"[end]")
    assert channel.recv_exit_status() == 7


def subsystem(transport):
    channel = session(transport)
    channel.invoke_subsystem("sftp")
    channel.sendall(bytes.fromhex("000000050100000003"))
    answer = b""
    while len(answer) < 9:
        part = channel.recv(4096)
        assert part, answer
        answer += part
    assert answer[4:9] == bytes.fromhex("0200000003"), answer
    channel.shutdown_write()


def assert_echoes(connect):
    for _ in range(3):
        stream = connect()
        stream.settimeout(PATIENCE)
        sent = os.urandom(MIB)

        def send():
            stream.sendall(sent)
            end_output(stream)

        sending = thread(send)
        assert read_all(stream.recv) == sent
        sending.join()
        stream.close()


def local_forward(transport):
    there = ("127.0.0.1", int(ENV["PEER_ECHO_PORT"]))
    assert_echoes(lambda: transport.open_channel("direct-tcpip", there, ("127.0.0.1", 1)))


def remote_forward(transport):
    def arrived(channel, origin, there):
        thread(join, channel, echo())

    port = transport.request_port_forward("127.0.0.1", 0, arrived)

    def connect():
        return socket.create_connection(("127.0.0.1", port))

    assert_echoes(connect)
    transport.cancel_port_forward("127.0.0.1", port)
    while True:
        try:
            connect().close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)


def agent_forward(transport):
    channel = session(transport)
    forwarding = paramiko.agent.AgentRequestHandler(channel)
    output, _ = run(channel, f"ssh-add -T '{ENV['PEER_KEY']}.pub' && echo signed")
    assert output == b"signed\n", output
    forwarding.close()


def rekey_load(transport):
    sent = os.urandom(8 * MIB)
    assert run(session(transport), "cat", sent=sent)[0] == sent


SCENARIOS = {
    "password": log_in,
    "publickey": log_in,
    "publickey-ecdsa": log_in,
    "keyboard-interactive": log_in,
    "exec-status": exec_status,
    "stderr": stderr,
    "env": env,
    "pty": terminal,
    "subsystem": subsystem,
    "local-forward": local_forward,
    "remote-forward": remote_forward,
    "agent-forward": agent_forward,
    "rekey-load": rekey_load,
}


def client(host, port, user, scenario):
    transport = connect(host, port, user, scenario)
    SCENARIOS[scenario](transport)
    transport.close()


# ---------------------------------------------------------------- server


class Server(paramiko.ServerInterface):
    """One connection: who logs in, what its channels ask for."""

    def __init__(self, transport, scenario):
        self.transport = transport
        own = scenario in ("password", "keyboard-interactive")
        self.method = scenario if own else "publickey"
        self.environment = dict(ENV)
        self.terminals = {}
        self.targets = {}
        self.listeners = {}

    def get_allowed_auths(self, username):
        return self.method

    def judge(self, method, username, right):
        good = method == self.method and username == ENV["PEER_USER"] and right
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, username, password):
        return self.judge("password", username, password == ENV.get("PEER_PASSWORD"))

    def check_auth_publickey(self, username, key):
        line = f"{key.get_name()} {key.get_base64()}"
        return self.judge("publickey", username, line == ENV.get("PEER_AUTHORIZED_KEY"))

    def check_auth_interactive(self, username, submethods):
        self.asked = username
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses):
        right = responses == [ENV.get("PEER_PASSWORD")]
        return self.judge("keyboard-interactive", self.asked, right)

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel, name, value):
        self.environment[name.decode()] = value.decode()
        return True

    def check_channel_pty_request(self, channel, term, width, height, x, y, modes):
        self.environment["TERM"] = term.decode()
        self.terminals[channel.get_id()] = pty.openpty()
        return self.check_channel_window_change_request(channel, width, height, x, y)

    def check_channel_window_change_request(self, channel, width, height, x, y):
        master, _ = self.terminals[channel.get_id()]
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, x, y))
        return True

    def check_channel_exec_request(self, channel, command):
        thread(self.serve, channel, ["/bin/sh", "-c", command.decode()])
        return True

    def check_channel_forward_agent_request(self, channel):
        socket_path = ENV["PEER_TMP"] + f"/agent-{id(self)}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(socket_path)
        listener.listen()
        self.environment["SSH_AUTH_SOCK"] = socket_path
        thread(self.take, listener, lambda origin: self.transport.open_forward_agent_channel())
        return True

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):
        try:
            self.targets[chanid] = socket.create_connection(destination)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_port_forward_request(self, address, port):
        listener = socket.create_server((address, port))
        port = listener.getsockname()[1]
        self.listeners[address, port] = listener
        there = (address, port)
        open_channel = self.transport.open_forwarded_tcpip_channel
        thread(self.take, listener, lambda origin: open_channel(origin, there))
        return port

    def cancel_port_forward_request(self, address, port):
        self.listeners.pop((address, port)).shutdown(socket.SHUT_RDWR)

    def take(self, listener, open_channel):
        try:
            while True:
                stream, origin = listener.accept()
                thread(lambda stream, origin: join(stream, open_channel(origin)), stream, origin)
        except OSError:
            listener.close()

    def serve(self, channel, command):
        time.sleep(0.01)  # The reply is sent when the hook has returned.
        master, slave = self.terminals.get(channel.get_id(), (None, subprocess.PIPE))
        if master is not None:
            command = ["setsid", "-c", *command]
        child = subprocess.Popen(
            command, env=self.environment, stdin=slave, stdout=slave, stderr=slave
        )
        if master is None:
            descriptors = child.stdin, child.stdout, child.stderr
            stdin, stdout, stderr = [stream.fileno() for stream in descriptors]
            sources = [(stdout, channel.sendall), (stderr, channel.sendall_stderr)]
        else:
            os.close(slave)
            stdin, sources = master, [(master, channel.sendall)]

        def take_input():
            try:
                while part := channel.recv(1 << 15):
                    while part:
                        part = part[os.write(stdin, part) :]
                if master is None:
                    child.stdin.close()
            except OSError:
                pass  # the command has ended

        def give_output(source, send):
            try:
                while part := os.read(source, 1 << 15):
                    send(part)
            except OSError:
                pass  # the end of a terminal

        thread(take_input)
        for giving in [thread(give_output, *pair) for pair in sources]:
            giving.join()
        channel.send_exit_status(child.wait())
        channel.close()


def serve_connection(stream, scenario):
    transport = paramiko.Transport(stream)
    if scenario == "rekey-load":
        transport.packetizer.REKEY_BYTES = MIB
    transport.add_server_key(paramiko.PKey.from_path(ENV["PEER_HOST_KEY_FILE"]))
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer)
    server = Server(transport, scenario)
    transport.start_server(server=server)
    # Channels may be told apart only if they are held.
    held = []
    while transport.is_active():
        channel = transport.accept(1)
        if channel is not None and channel.get_id() in server.targets:
            thread(join, server.targets.pop(channel.get_id()), channel)
        held.append(channel)


def server(scenario):
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    while True:
        thread(serve_connection, listener.accept()[0], scenario)


match sys.argv[1:]:
    case ["version"]:
        print("Paramiko", paramiko.__version__)
    case ["client", _, _, _, scenario] | ["server", scenario] if (
        reason := UNKNOWN[sys.argv[1]].get(scenario)
    ):
        print(reason)
        sys.exit(77)
    case ["client", *rest]:
        client(*rest)
    case ["server", scenario]:
        server(scenario)
    case _:
        sys.exit("see README.md")
