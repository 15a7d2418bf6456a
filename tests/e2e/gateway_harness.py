"""A gateway alone: this plays the supervisor at the other end of its link.

    with Gateway(config, {"web": [upstream.address]}) as gateway:
        answer = gateway.request(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")

Upstreams are real sockets served by threads of the test, clients are raw sockets: every byte is the test's.
"""

import array
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness import havn_binary, wait_for


class Link:
    """Length-prefixed JSON with descriptors, as io/link.h has it."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.messages, self.changed = [], threading.Condition()
        threading.Thread(target=self._receive, daemon=True).start()

    def send(self, body, descriptors=()):
        data = json.dumps(body).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.ours.sendmsg([struct.pack("<I", len(data)) + data], ancillary)

    def _receive(self):
        with contextlib.suppress(OSError), self.ours.makefile("rb") as stream:
            while head := stream.read(4):
                message = json.loads(stream.read(struct.unpack("<I", head)[0]))
                with self.changed:
                    self.messages.append(message)
                    self.changed.notify_all()

    def wait(self, wanted, timeout=5.0):
        """The first message that has all of `wanted`."""
        def found():
            return next((m for m in self.messages if wanted.items() <= m.items()), None)
        with self.changed:
            assert self.changed.wait_for(found, timeout), f"no {wanted} among {self.messages}"
            return found()

    def has(self, wanted):
        with self.changed:
            return any(wanted.items() <= m.items() for m in self.messages)

    def close(self):
        self.ours.close()
        self.theirs.close()


class Gateway:
    def __init__(self, config, endpoints=None, services=(), threads=1, descriptors=None):
        self.folder = Path(tempfile.mkdtemp(prefix="havn-gateway-"))
        for name in ("applied/parts", "logs", "run"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "applied/parts/gateway.json").write_text(json.dumps(config))
        self.link, self.version = Link(), 0
        self.listeners, self.ports = [], {}
        for name in ("edge", *(f"service:{service}" for service in services)):
            self._listen(name, threads)
        self.errors = ""   # what it wrote to stderr, once it has ended
        limit = ["prlimit", f"--nofile={descriptors}:{descriptors}"] if descriptors else []
        self.process = subprocess.Popen(
            [*limit, havn_binary(), "gateway"], cwd=self.folder, pass_fds=[self.link.theirs.fileno()],
            env={**os.environ, "HAVN_LINK": str(self.link.theirs.fileno())}, stderr=subprocess.PIPE,
            start_new_session=True)
        self.send_listeners()
        self.set_endpoints(endpoints or {})
        self.link.wait({"type": "ready"})

    def _listen(self, name, threads):
        port = 0
        for _ in range(threads):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(4096)
            port = listener.getsockname()[1]
            self.listeners.append((name, listener))
        self.ports[name] = port

    def send_listeners(self):
        entries = [{"name": name, "address": "%s:%d" % s.getsockname()} for name, s in self.listeners]
        self.link.send({"type": "listeners", "listeners": entries}, [s.fileno() for _, s in self.listeners])

    def set_endpoints(self, services):
        """Addresses by service: those of instance 1, 2, …; None where an instance is not ready."""
        self.version += 1
        services = {name: [{"address": address, "instance": instance}
                           for instance, address in enumerate(addresses, 1) if address]
                    for name, addresses in services.items()}
        self.link.send({"type": "endpoints", "version": self.version, "services": services})
        if any(True for m in self.link.messages if m["type"] == "ready"):
            self.link.wait({"type": "applied", "version": self.version})

    @property
    def port(self):
        return self.ports["edge"]

    def connect(self, name="edge", receive_buffer=None, source=None):
        client = socket.socket()
        if source:
            client.bind((source, 0))
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(10)
        client.connect(("127.0.0.1", self.ports[name]))
        return client

    def request(self, data, name="edge"):
        """Sends `data` on a connection of its own; the response to it (see read_response)."""
        with self.connect(name) as client:
            client.sendall(data)
            return read_response(client.makefile("rb"), head_only=data.startswith(b"HEAD "))

    def control(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            folder = os.open(self.folder / "run", os.O_PATH)
            try:
                client.connect(f"/proc/self/fd/{folder}/gateway.sock")
            finally:
                os.close(folder)
            client.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" %
                           (method.encode(), path.encode(), len(data), data))
            return read_response(client.makefile("rb"))

    def metrics(self):
        lines = self.control("GET", "/metrics").body.decode().splitlines()
        return {key: float(value) for key, value in
                (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def access_log(self, count):
        """The log's entries, once there are at least `count`."""
        path = self.folder / "logs/gateway/access.log"

        def entries():
            text = path.read_text() if path.exists() else ""
            return len(text.splitlines()) >= count and [json.loads(line) for line in text.splitlines()]
        return wait_for(entries, what=f"{count} lines of access log")

    def memory(self):
        """Resident bytes."""
        return int((Path("/proc") / str(self.process.pid) / "statm").read_text().split()[1]) * 4096

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        alive = self.process.poll() is None
        self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
            errors += b"\nnot ended by SIGTERM"
        self.errors = errors.decode()
        self.link.close()
        for _, listener in self.listeners:
            listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            assert alive or self.process.returncode == 0, f"the gateway died:\n{errors.decode()}"
            assert self.process.returncode == 0, f"exit code {self.process.returncode}:\n{errors.decode()}"


class HttpResponse:
    def __init__(self, status, headers, body, complete):
        self.status, self.headers, self.body, self.complete = status, headers, body, complete

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)

    def json(self):
        return json.loads(self.body)


def read_head(stream):
    start = stream.readline()
    if not start:
        return None
    headers = []
    while (line := stream.readline().rstrip(b"\r\n")):
        name, value = line.decode("latin1").split(":", 1)
        headers.append((name, value.strip()))
    return start.decode("latin1").rstrip("\r\n"), headers


def read_chunked(stream):
    body = b""
    while True:
        line = stream.readline()
        if not line:
            return body, False
        size = int(line.split(b";")[0], 16)
        data = stream.read(size)
        stream.readline()
        body += data
        if size == 0:
            return body, True
        if len(data) < size:
            return body, False


def read_response(stream, head_only=False):
    """One final response from a buffered stream; None when the connection ended before it."""
    with contextlib.suppress(ConnectionResetError):
        head = read_head(stream)
        if head is None:
            return None
        start, headers = head
        status = int(start.split()[1])
        lower = {name.lower(): value for name, value in headers}
        if head_only or status in (204, 304) or status < 200:
            return HttpResponse(status, headers, b"", True)
        if lower.get("transfer-encoding") == "chunked":
            body, complete = read_chunked(stream)
        elif "content-length" in lower:
            body = stream.read(int(lower["content-length"]))
            complete = len(body) == int(lower["content-length"])
        else:
            body, complete = stream.read(), True
        return HttpResponse(status, headers, body, complete)
    return None


class Upstream:
    """Accepts connections and calls `serve(socket, stream)` for each, in a thread; `requests` counts heads."""

    def __init__(self, serve=None, answer=None):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections, self.seen = 0, []
        self._serve = serve or (lambda client, stream: self.answer_all(client, stream, answer))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                threading.Thread(target=self._run, args=(client,), daemon=True).start()

    def _run(self, client):
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as stream:
            self._serve(client, stream)

    def read_request(self, stream):
        head = read_head(stream)
        if head is None:
            return None
        start, headers = head
        lower = {name.lower(): value for name, value in headers}
        complete = True
        body = b""
        if lower.get("transfer-encoding") == "chunked":
            body, complete = read_chunked(stream)
        elif "content-length" in lower:
            body = stream.read(int(lower["content-length"]))
            complete = len(body) == int(lower["content-length"])
        request = {"start": start, "headers": headers, "lower": lower, "body": body, "complete": complete}
        self.seen.append(request)
        return request

    def answer_all(self, client, stream, answer):
        answer = answer or b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        while (request := self.read_request(stream)) and request["complete"]:
            client.sendall(answer(request) if callable(answer) else answer)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)   # a thread in accept() would keep it open
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def config(routes, upstreams=None, **more):
    services = sorted({route["service"] for route in routes if "service" in route} | set(upstreams or {}))
    return {"revision": 1, "routes": routes,
            "upstreams": [{"name": name, **(upstreams or {}).get(name, {})} for name in services], **more}


def timed(function):
    begin = time.monotonic()
    result = function()
    return result, time.monotonic() - begin
