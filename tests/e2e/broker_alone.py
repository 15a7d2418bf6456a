"""The broker process without a platform around it: this plays the supervisor."""

import array
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile


class BrokerAlone:
    """Owns the listening sockets, as the supervisor does, so that the port outlives every broker."""

    def __init__(self, binary):
        self.binary = binary
        self.folder = tempfile.mkdtemp(prefix="havn-broker-")
        os.makedirs(f"{self.folder}/run")
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.local_address = f"unix:{self.folder}/run/amqp.sock"   # for a gateway
        self.local_listener = socket.socket(socket.AF_UNIX)
        self.local_listener.bind(self.local_address.removeprefix("unix:"))
        self.local_listener.listen(16)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F?socket_timeout=15"
        self.process = self.link = None

    def start(self):
        """Returns once the broker has said that it is ready."""
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, open(f"{self.folder}/broker.log", "ab") as output:
            self.process = subprocess.Popen(
                [self.binary, "broker"], cwd=self.folder, stdout=output, stderr=output,
                pass_fds=[theirs.fileno()], env={**os.environ, "HAVN_LINK": str(theirs.fileno())})
        body = json.dumps({"type": "listeners", "listeners": [
            {"name": "amqp", "address": f"127.0.0.1:{self.port}"},
            {"name": "amqp", "address": self.local_address}]}).encode()
        descriptors = array.array("i", [self.listener.fileno(), self.local_listener.fileno()])
        self.link.settimeout(60)
        try:
            self.link.sendmsg([struct.pack("<I", len(body)) + body],
                              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            answer = self.link.recv(65536)
        except (BrokenPipeError, ConnectionResetError):  # it ended without reading
            answer = b""
        if not answer:
            self.process.wait(30)  # and has written why
        assert b'"ready"' in answer, f"the broker did not start:\n{self.log()}"
        return self

    def kill(self, sig=signal.SIGKILL):
        """Returns its exit code once it is gone: negative where a signal ended it."""
        self.process.send_signal(sig)
        code = self.process.wait(30)
        self.link.close()
        return code

    def log(self):
        with open(f"{self.folder}/broker.log", encoding="utf-8", errors="replace") as output:
            return output.read()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.listener.close()
        self.local_listener.close()
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
