"""Broken HTTP on the open port: a clear status, the connection closed, nothing crashes."""

import random
import socket

import pytest

from harness import PYTHON, running

ECHO = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if "Transfer-Encoding" in self.headers:    # which this server does not read, so what follows is no request
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

MANIFEST = f"""
    [service.echo]
    command = "{PYTHON} echo.py"

    [route."/"]
    service = "echo"

    [queue.work]

    [route."/work"]
    methods = ["POST"]
    queue = "work"
    max_body = "1M"
"""


@pytest.fixture(scope="module")
def shared_gateway(havn):
    with running(havn, MANIFEST, files={"echo.py": ECHO}) as platform:
        yield platform


@pytest.fixture
def gateway(shared_gateway, request):
    """A gateway that must have the same pid, and serve, after whatever the test did."""
    before = shared_gateway.pid_of("gateway")
    yield shared_gateway
    assert shared_gateway.post("/", b"still here").body == b"still here"
    assert shared_gateway.pid_of("gateway") == before, f"the gateway died\n{shared_gateway.logs()}"


def exchange(gateway, data, timeout=15):
    """Sends bytes, reads to the end of the stream: (status or None, everything)."""
    host, port = gateway.gateway.split(":")
    with socket.create_connection((host, int(port)), timeout=timeout) as raw:
        received = b""
        try:
            raw.sendall(data)
            while more := raw.recv(65536):
                received += more
        except (ConnectionResetError, BrokenPipeError):
            pass
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/1.1 ") else None, received


@pytest.mark.parametrize("request_bytes", [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nFolded: a\r\n b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBare: a\rb\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nZero: a\0b\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"what is this?\r\n\r\n",
    bytes(range(256)),
], ids=["length and chunked", "two lengths", "signed length", "negative length", "huge length",
        "chunked not last", "no chunk size", "folded header", "space before the colon", "bare carriage return",
        "zero byte", "no host", "two hosts",
        "two spaces", "odd method", "prose", "all bytes"])
def test_what_two_servers_could_read_differently_is_refused(gateway, request_bytes):
    status, received = exchange(gateway, request_bytes)
    assert status == 400, received
    assert received.count(b"HTTP/1.1 ") == 1, "a second request was read from the rest"


def test_a_head_too_long_is_named(gateway):
    status, _ = exchange(gateway, b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * 100_000 + b"\r\n\r\n")
    assert status == 431


def test_too_many_headers_are_named(gateway):
    lines = b"".join(b"N%d: x\r\n" % number for number in range(500))
    status, _ = exchange(gateway, b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    assert status == 431


def test_an_unknown_path_of_a_queue_or_method_is_named(gateway):
    answer = gateway.get("/work")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_body_too_large_for_a_queue_is_refused_and_not_queued(gateway):
    head = b"POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
    status, _ = exchange(gateway, head + bytes(2_000_000))
    assert status == 413


def test_a_client_that_hangs_up_in_the_middle_is_no_trouble(gateway):
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"
    host, port = gateway.gateway.split(":")
    for size in range(0, len(whole), 3):
        with socket.create_connection((host, int(port)), timeout=15) as raw:
            raw.sendall(whole[:size])


@pytest.mark.parametrize("seed", range(10))
def test_random_changes_to_sound_requests_crash_nothing(gateway, seed):
    chance = random.Random(seed)
    sound = (b"POST /some/path?query=1 HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n"
             b"X-Forwarded-For: 1.2.3.4\r\nConnection: close\r\n\r\n"
             b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n")
    host, port = gateway.gateway.split(":")
    for _ in range(30):
        broken = bytearray(sound)
        for _ in range(chance.randrange(1, 5)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with socket.create_connection((host, int(port)), timeout=15) as raw:
            raw.sendall(bytes(broken))
            raw.shutdown(socket.SHUT_WR)
            try:
                while raw.recv(65536):
                    pass
            except ConnectionResetError:
                pass
