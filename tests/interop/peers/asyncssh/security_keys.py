"""An agent with two security keys, whose device is this program: `security_keys.py FOLDER`.

Leaves `sk-ssh-ed25519@openssh.com.pub` and `sk-ecdsa-sha2-nistp256@openssh.com.pub` in the folder,
prints `ready`, and serves the socket `agent` there; each file `*.pub` is an identity, so certificates
that come later are, too. The user is always present. (PROTOCOL.u2f and PROTOCOL.agent of OpenSSH.)
"""

import base64
import hashlib
import pathlib
import socketserver
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

APPLICATION = b"ssh:"
PRESENT = 1
FOLDER = pathlib.Path(sys.argv[1])
ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())


def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def strings(data):
    while data:
        (length,) = struct.unpack_from(">I", data)
        yield data[4 : 4 + length]
        data = data[4 + length :]


def sign(blob, data):
    counter = struct.pack(">I", 5)
    flags = bytes([PRESENT])
    digest = lambda text: hashlib.sha256(text).digest()
    signed = digest(APPLICATION) + flags + counter + digest(data)
    if next(strings(blob)).startswith(b"sk-ssh-ed25519"):
        name, signature = b"sk-ssh-ed25519@openssh.com", ED25519.sign(signed)
    else:
        name = b"sk-ecdsa-sha2-nistp256@openssh.com"
        r, s = utils.decode_dss_signature(P256.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = mpint(r) + mpint(s)
    return string(name) + string(signature) + flags + counter


def identities():
    lines = (file.read_text() for file in sorted(FOLDER.glob("sk-*.pub")))
    return list(dict.fromkeys(base64.b64decode(line.split()[1]) for line in lines))


def answer(request):
    if request[0] == 11:  # SSH_AGENTC_REQUEST_IDENTITIES
        blobs = identities()
        listed = b"".join(string(blob) + string(b"security key") for blob in blobs)
        return b"\x0c" + struct.pack(">I", len(blobs)) + listed
    if request[0] == 13:  # SSH_AGENTC_SIGN_REQUEST; the flags behind the two strings are RSA's
        blob, data = strings(request[1:-4])
        if blob in identities():
            return b"\x0e" + string(sign(blob, data))
    return b"\x05"


class Agent(socketserver.StreamRequestHandler):
    def handle(self):
        while head := self.rfile.read(4):
            (length,) = struct.unpack(">I", head)
            self.wfile.write(string(answer(self.rfile.read(length))))


def write(name, *parts):
    blob = b"".join(string(part) for part in (name.encode(), *parts, APPLICATION))
    line = f"{name} {base64.b64encode(blob).decode()} security key\n"
    (FOLDER / f"{name}.pub").write_text(line)


raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
write("sk-ssh-ed25519@openssh.com", ED25519.public_key().public_bytes(*raw))
write(
    "sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", P256.public_key().public_bytes(*point)
)
with socketserver.ThreadingUnixStreamServer(str(FOLDER / "agent"), Agent) as server:
    print("ready", flush=True)
    server.serve_forever()
