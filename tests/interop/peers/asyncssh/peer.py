"""The scenarios of ../README.md with AsyncSSH, as a client and as a server."""

import asyncio
import asyncio.subprocess
import fcntl
import os
import pty
import signal
import struct
import sys
import termios

import asyncssh

MIB = 1 << 20
PATIENCE = 55
ENV = os.environ
SCENARIO = sys.argv[-1]


# ---------------------------------------------------------------- client


class Answers(asyncssh.SSHClient):
    """Answers the one prompt of keyboard-interactive."""

    def kbdint_auth_requested(self):
        return ""

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        if not prompts:
            return []
        assert len(prompts) == 1 and "assword:" in prompts[0][0] and not prompts[0][1], prompts
        return [ENV["PEER_PASSWORD"]]


def connect(host, port, user, **options):
    method = SCENARIO if SCENARIO in ("password", "keyboard-interactive") else "publickey"
    return asyncssh.connect(
        host,
        int(port),
        username=user,
        known_hosts=ENV["PEER_HOST_KEY"],
        config=None,
        client_factory=Answers,
        preferred_auth=method,
        client_keys=[ENV["PEER_KEY"]] if method == "publickey" else [],
        password=ENV["PEER_PASSWORD"] if method == "password" else None,
        **options,
    )


async def run(conn, command, status=0, **options):
    done = await conn.run(command, encoding=None, **options)
    assert done.exit_status == status, (command, done.exit_status, done.stderr[:2000])
    return done


async def log_in(conn):
    assert (await run(conn, "echo logged in")).stdout == b"logged in\n"


async def exec_status(conn):
    for status in (0, 1, 42, 255):
        done = await run(conn, f"echo out-{status}; exit {status}", status)
        assert done.stdout == f"out-{status}\n".encode(), done.stdout
    sent = os.urandom(300_001)
    assert (await run(conn, "cat; exit 3", 3, input=sent)).stdout == sent


async def stderr(conn):
    done = await run(conn, "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end")
    assert done.stdout == b"out\nend\n", done.stdout
    assert done.stderr == b"err\n" + bytes(500_000), len(done.stderr)


async def env(conn):
    done = await run(conn, 'echo "[$LC_INTEROP]"', env={"LC_INTEROP": "set"})
    assert done.stdout == b"[set]\n", done.stdout


TERMINAL = """exec bash -c 'trap "echo resized; stty size" WINCH; tty; echo term=$TERM; stty size;
echo ready; while read -r line; do echo "[$line]"; test "$line" = end && exit 7; done'"""


async def terminal(conn):
    shell = await conn.create_process(TERMINAL, term_type="vt220", term_size=(101, 33))
    screen = ""

    async def expect(*texts):
        nonlocal screen
        while not all(text in screen for text in texts):
            part = await shell.stdout.read(4096)
            assert part, screen
            screen += part

    await expect("/dev/", "term=vt220", "33 101", "ready")
    shell.change_terminal_size(122, 44)
    shell.stdin.write("hello\r")
    await expect("resized", "44 122", "[hello]")
    shell.stdin.write("end\r")
    await expect("[end]")
    assert (await shell.wait()).exit_status == 7


async def send_signal(conn):
    sleeper = await conn.create_process("echo up; exec sleep 60")
    assert await sleeper.stdout.readline() == "up\n"
    sleeper.send_signal("TERM")
    done = await sleeper.wait()
    assert done.exit_signal and done.exit_signal[0] == "TERM", done


async def subsystem(conn):
    stdin, stdout, _ = await conn.open_session(subsystem="sftp", encoding=None)
    stdin.write(bytes.fromhex("000000050100000003"))
    answer = await stdout.readexactly(9)
    assert answer[4:] == bytes.fromhex("0200000003"), answer
    stdin.write_eof()


async def assert_echoes(connect):
    for _ in range(3):
        reader, writer = await connect()
        sent = os.urandom(MIB)
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
        writer.close()


async def assert_forwards(listener, connect):
    """What `listener` of the server takes comes back; after it is cancelled nothing is taken."""
    await assert_echoes(connect)
    listener.close()
    await listener.wait_closed()
    while True:
        try:
            _, writer = await connect()
        except OSError:
            return
        writer.close()
        await asyncio.sleep(0.02)


async def local_forward(conn):
    await assert_echoes(lambda: conn.open_connection("127.0.0.1", int(ENV["PEER_ECHO_PORT"])))


async def unix_forward(conn):
    await assert_echoes(lambda: conn.open_unix_connection(ENV["PEER_ECHO_SOCKET"]))


async def remote_forward(conn):
    echo = int(ENV["PEER_ECHO_PORT"])
    listener = await conn.forward_remote_port("127.0.0.1", 0, "127.0.0.1", echo)
    there = listener.get_port()
    await assert_forwards(listener, lambda: asyncio.open_connection("127.0.0.1", there))


async def remote_unix_forward(conn):
    there = ENV["PEER_TMP"] + "/there"
    listener = await conn.forward_remote_path(there, ENV["PEER_ECHO_SOCKET"])
    await assert_forwards(listener, lambda: asyncio.open_unix_connection(there))


async def dynamic_forward(conn):
    proxy = await conn.forward_socks("127.0.0.1", 0)

    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.get_port())
        writer.write(b"\x05\x01\x00")
        assert await reader.readexactly(2) == b"\x05\x00"
        port = int(ENV["PEER_ECHO_PORT"]).to_bytes(2, "big")
        writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port)
        assert (await reader.readexactly(10))[:2] == b"\x05\x00"
        return reader, writer

    await assert_echoes(connect)


async def agent_forward(conn):
    done = await run(conn, f"ssh-add -T '{ENV['PEER_KEY']}.pub' && echo signed")
    assert done.stdout == b"signed\n", done.stdout


async def rekey_load(conn):
    sent = os.urandom(8 * MIB)
    assert (await run(conn, "cat", input=sent)).stdout == sent


SCENARIOS = {
    "password": log_in,
    "publickey": log_in,
    "publickey-ecdsa": log_in,
    "keyboard-interactive": log_in,
    "exec-status": exec_status,
    "stderr": stderr,
    "env": env,
    "pty": terminal,
    "signal": send_signal,
    "subsystem": subsystem,
    "local-forward": local_forward,
    "remote-forward": remote_forward,
    "dynamic-forward": dynamic_forward,
    "unix-forward": unix_forward,
    "remote-unix-forward": remote_unix_forward,
    "agent-forward": agent_forward,
    "rekey-load": rekey_load,
}


# ---------------------------------------------------------------- algorithms


def known_algorithms():
    """What the library knows, under the names that `ssh -Q` has for the lists."""
    from asyncssh import compression, encryption, kex, mac, public_key

    def names(algorithms):
        return [name.decode() for name in algorithms]

    return {
        # Those of Kerberos and RSA take more than a name.
        "kex": [name for name in names(kex.get_kex_algs()) if not name.startswith(("gss-", "rsa"))],
        "cipher": names(encryption.get_encryption_algs()),
        "mac": names(mac.get_mac_algs()),
        "compression": names(compression.get_compression_algs()),
        "HostKeyAlgorithms": names(public_key.get_public_key_algs())
        + names(public_key.get_certificate_algs()),
    }


async def job(host, port, user, slot, name, key, certificate):
    """A session under one algorithm."""
    options = {"known_hosts": ENV["PEER_HOST_KEY"], "client_keys": [key]}
    # RSA keys sign by the algorithm that is asked for.
    plain = name.partition("-cert-")[0]
    if name.startswith("sk-") and plain != name:
        plain += "@openssh.com"
    match slot:
        case "kex":
            options["kex_algs"] = [name]
        case "cipher":
            options["encryption_algs"] = [name]
        case "mac":
            options |= {"mac_algs": [name], "encryption_algs": ["aes128-ctr"]}
        case "compression":
            options["compression_algs"] = [name]
        case "host-key":
            options["server_host_key_algs"] = [name]
        case "host-certificate":
            options["server_host_key_algs"] = [name]
            options["known_hosts"] = ENV["PEER_HOST_AUTHORITY"]
        case "user-key":
            options["signature_algs"] = [plain]
        case "user-certificate":
            options["signature_algs"] = [plain]
            options["client_keys"] = [(key, certificate)]
    if name.startswith("sk-"):
        # The agent alone has it.
        identity = certificate if slot == "user-certificate" else key + ".pub"
        options |= {"agent_path": ENV["PEER_AGENT"], "agent_identities": [identity]}
        options["client_keys"] = ()
    async with asyncssh.connect(
        host, int(port), username=user, config=None, **{"agent_path": None, **options}
    ) as conn:
        sent = os.urandom(30_000) + name.encode() * 1000
        assert (await run(conn, "cat; exit 17", 17, input=sent)).stdout == sent
        if slot in ("cipher", "mac", "compression"):
            for direction in ("send_", "recv_"):
                assert conn.get_extra_info(direction + slot) == name, direction


async def jobs(host, port, user):
    """Does what the lines of standard input say, and prints how each went."""
    for line in sys.stdin:
        try:
            async with asyncio.timeout(PATIENCE):
                await job(host, port, user, *line.split())
            print("ok", flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}".replace("\n", " "), flush=True)


async def algorithms_server():
    known = known_algorithms()
    keys = []
    with open(ENV["PEER_HOST_KEYS"]) as lines:
        for line in lines:
            key, certificate = line.split()
            keys.append((key, certificate))
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        config=None,
        server_host_keys=keys,
        authorized_client_keys=ENV["PEER_AUTHORIZED_KEYS"],
        kex_algs=known["kex"],
        encryption_algs=known["cipher"],
        mac_algs=known["mac"],
        compression_algs=known["compression"],
        signature_algs=[name for name in known["HostKeyAlgorithms"] if "-cert-" not in name],
        process_factory=serve,
        encoding=None,
    )
    print("listening", acceptor.get_port(), flush=True)
    await acceptor.wait_closed()


async def client(host, port, user):
    options = {}
    if SCENARIO == "agent-forward":
        options = {"agent_forwarding": True, "agent_path": ENV["SSH_AUTH_SOCK"]}
    elif SCENARIO == "rekey-load":
        options = {"rekey_bytes": MIB}
    async with asyncio.timeout(PATIENCE), connect(host, port, user, **options) as conn:
        await SCENARIOS[SCENARIO](conn)


# ---------------------------------------------------------------- server


class Server(asyncssh.SSHServer):
    """Lets the one user in; forwards whatever is asked for."""

    def begin_auth(self, username):
        self.user = username
        return True

    def validate_public_key(self, username, key):
        return self.user == ENV["PEER_USER"] and key == asyncssh.import_public_key(
            ENV["PEER_AUTHORIZED_KEY"]
        )

    def password_auth_supported(self):
        return SCENARIO == "password"

    def kbdint_auth_supported(self):
        return SCENARIO == "keyboard-interactive"

    def public_key_auth_supported(self):
        return "PEER_AUTHORIZED_KEY" in ENV

    def validate_password(self, username, password):
        return self.user == ENV["PEER_USER"] and password == ENV["PEER_PASSWORD"]

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return len(responses) == 1 and self.validate_password(username, responses[0])

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True

    def unix_connection_requested(self, dest_path):
        return True

    def unix_server_requested(self, listen_path):
        return True


def set_size(fd, size):
    width, height, x, y = size
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, x, y))


async def serve(process):
    environment = dict(ENV) | process.env
    if agent := process.channel.get_agent_path():
        environment["SSH_AUTH_SOCK"] = agent
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
    command, master = ["/bin/sh", "-c", process.command], None
    if process.term_type is not None:
        master, slave = pty.openpty()
        set_size(master, process.term_size)
        environment["TERM"] = process.term_type
        streams = dict.fromkeys(streams, slave)
        command = ["setsid", "-c", *command]
    child = await asyncio.create_subprocess_exec(*command, env=environment, **streams)
    if master is None:
        sources = [(child.stdout, process.stdout), (child.stderr, process.stderr)]
    else:
        os.close(slave)
        screen = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(screen)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: protocol, os.fdopen(master, "rb", 0))
        sources = [(screen, process.stdout)]

    async def take_input():
        while True:
            try:
                data = await process.stdin.read(1 << 16)
            except asyncssh.TerminalSizeChanged as change:
                set_size(master, change.term_size)
            except asyncssh.SignalReceived as received:
                child.send_signal(signal.Signals["SIG" + received.signal])
            else:
                if master is not None:
                    os.write(master, data)
                elif data:
                    child.stdin.write(data)
                    await child.stdin.drain()
                else:
                    child.stdin.close()
                if not data:
                    return

    async def give_output(source, sink):
        try:
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # the end of a terminal

    taking = asyncio.create_task(take_input())
    await asyncio.gather(*(give_output(*pair) for pair in sources))
    status = await child.wait()
    taking.cancel()
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


async def server():
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        config=None,
        server_factory=Server,
        server_host_keys=[ENV["PEER_HOST_KEY_FILE"]],
        process_factory=serve,
        encoding=None,
        sftp_factory=True,
        rekey_bytes=MIB if SCENARIO == "rekey-load" else 1 << 30,
    )
    print("listening", acceptor.get_port(), flush=True)
    await acceptor.wait_closed()


match sys.argv[1:]:
    case ["version"]:
        print("AsyncSSH", asyncssh.__version__)
    case ["algorithms"]:
        for query, names in known_algorithms().items():
            for name in names:
                print(query, name)
    case ["client", host, port, user, "algorithms"]:
        asyncio.run(jobs(host, port, user))
    case ["server", "algorithms"]:
        asyncio.run(algorithms_server())
    case ["client", host, port, user, _]:
        asyncio.run(client(host, port, user))
    case ["server", _]:
        asyncio.run(server())
    case _:
        sys.exit("see README.md")
