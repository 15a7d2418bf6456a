"""Answers that are sent before the client has sent its body: they reach it, and cost a bound time and no memory."""

import shutil
import socket
import subprocess

import pytest

from gateway_harness import Gateway, config, read_response
from harness import wait_for

UPLOAD = 24 << 20


@pytest.fixture
def small_bodies(havn):
    with Gateway(config([{"path": "/", "queue": "q", "body_bytes_max": 1 << 20}])) as gateway:
        yield gateway


@pytest.mark.parametrize("head", [b"Content-Length: %d\r\n\r\n" % UPLOAD, b"Transfer-Encoding: chunked\r\n\r\n"])
def test_413_reaches_a_client_that_sends_all_before_it_reads(small_bodies, head):
    piece = b"x" * 65536
    if b"chunked" in head:
        piece = b"10000\r\n" + piece + b"\r\n"
    with small_bodies.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\n" + head)
        for _ in range(UPLOAD // 65536):
            client.sendall(piece)
        response = read_response(client.makefile("rb"))
        assert (response.status, response.header("Connection")) == (413, "close")


def test_an_upload_nobody_reads_holds_no_memory(small_bodies):
    before = small_bodies.memory()
    with small_bodies.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        for _ in range(UPLOAD // 65536):
            client.sendall(b"x" * 65536)
        assert small_bodies.memory() - before < 4 << 20
        client.shutdown(socket.SHUT_WR)
        assert read_response(client.makefile("rb")).status == 413
    wait_for(lambda: small_bodies.metrics()["havn_gateway_connections_open"] == 0)


NODE = """
const body = Buffer.alloc(24 << 20);
(async () => {
    for (let i = 0; i < 6; ++i) {
        const response = await fetch(process.argv[1], {method: "POST", body});
        console.log(response.status, (await response.json()).error.cause);
    }
})().catch(error => console.log("failed", error.cause ?? error));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_413_reaches_fetch_of_node(small_bodies):
    done = subprocess.run(["node", "-e", NODE, f"http://127.0.0.1:{small_bodies.port}/"], capture_output=True,
                          text=True, timeout=50)
    assert done.stdout.splitlines() == ["413 body"] * 6, done.stderr


def test_a_client_that_says_nothing_more_is_closed(small_bodies):
    """Its answer was sent, it neither reads nor sends nor closes: it is let go."""
    with small_bodies.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % UPLOAD)
        wait_for(lambda: small_bodies.metrics()["havn_gateway_connections_open"] == 0, 20, "it to be closed")
