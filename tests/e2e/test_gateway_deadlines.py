"""How long the gateway waits: idle_timeout, timeout, tunnel_timeout."""

import contextlib
import time

import pytest

from gateway_harness import Gateway, Upstream, config, read_head, read_response

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def one_service(**route):
    return config([{"path": "/", "service": "web", **route}])


def serving(serve, **route):
    stack = contextlib.ExitStack()
    upstream = stack.enter_context(Upstream(serve))
    gateway = stack.enter_context(Gateway(one_service(**route), {"web": [upstream.address]}))
    return stack, gateway


def test_progress_in_one_direction_is_enough(havn):
    """An upload, then a download, each longer than idle_timeout."""
    def serve(client, stream):
        read_head(stream)
        stream.read(15)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n")
        for _ in range(15):
            client.sendall(b"x")
            time.sleep(0.2)
    stack, gateway = serving(serve, idle_timeout_ms=2000)
    with stack, gateway.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n")
        for _ in range(15):
            client.sendall(b"y")
            time.sleep(0.2)
        assert read_response(client.makefile("rb")).body == b"x" * 15


def silent(client, stream):
    read_head(stream)
    stream.read()


@pytest.mark.parametrize("fallback", [None, {"status": 200, "type": "text/plain", "body": "later"}])
@pytest.mark.parametrize("request_bytes", [
    GET, b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"])
def test_a_silent_service_gets_504_or_the_fallback(havn, fallback, request_bytes):
    stack, gateway = serving(silent, idle_timeout_ms=200, **({"fallback": fallback} if fallback else {}))
    with stack:
        response = gateway.request(request_bytes)
        assert response.status == (200 if fallback else 504)
        assert gateway.access_log(1)[0]["cause"] == "timeout"


@pytest.mark.parametrize("changed_later", [False, True])
def test_calls_by_a_services_own_address_have_its_own_deadlines(havn, changed_later):
    def wanted(**web):
        return config([], {"web": web}) | {"revision": 2}

    def serve(client, stream):
        start, _ = read_head(stream)
        if "tunnel" in start:
            client.sendall(SWITCHED)
        stream.read()

    short = wanted(idle_timeout_ms=200, tunnel_timeout_ms=200)
    with Upstream(serve) as upstream:
        with Gateway(wanted() if changed_later else short, {"web": [upstream.address]}, services=["web"]) as gateway:
            if changed_later:
                assert gateway.control("PUT", "/config", short).status == 200
            assert gateway.request(GET, "service:web").status == 504
            with gateway.connect("service:web") as client:
                client.sendall(UPGRADE.replace(b"/ HTTP", b"/tunnel HTTP"))
                stream = client.makefile("rb")
                assert read_response(stream).status == 101
                assert stream.read() == b"", "a silent tunnel ends"


def test_a_service_that_falls_silent_in_its_answer_is_cut(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        stream.read()
    stack, gateway = serving(serve, idle_timeout_ms=200)
    with stack:
        response = gateway.request(GET)
        assert (response.body, response.complete) == (b"half", False)
        assert gateway.access_log(1)[0]["cause"] == "timeout"


def test_a_client_that_falls_silent_in_its_body_gets_408(havn):
    stack, gateway = serving(silent, idle_timeout_ms=200)
    with stack:
        response = gateway.request(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx")
        assert (response.status, response.json()["error"]["cause"]) == (408, "client")


def test_the_body_for_a_queue_may_not_be_idle_either(havn):
    with Gateway(config([{"path": "/", "queue": "q", "idle_timeout_ms": 200}])) as gateway:
        response = gateway.request(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx")
        assert (response.status, response.json()["error"]["cause"]) == (408, "client")


def test_a_client_that_does_not_read_is_cut(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            client.sendall(b"x" * 65536)
    stack, gateway = serving(serve, idle_timeout_ms=300)
    with stack, gateway.connect(receive_buffer=4096) as client:
        client.sendall(GET)
        entry = gateway.access_log(1)[0]
        assert (entry["status"], entry["cause"]) == (200, "client")


@pytest.mark.parametrize("kind", ["text/event-stream", "Text/Event-Stream; charset=utf-8"])
def test_an_event_stream_may_be_silent(havn, kind):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\ndata: 1\n\n" % kind.encode())
        time.sleep(0.6)
        client.sendall(b"data: 2\n\n")
    stack, gateway = serving(serve, idle_timeout_ms=150)
    with stack:
        response = gateway.request(GET)
        assert (response.body, response.complete) == (b"data: 1\n\ndata: 2\n\n", True)


def test_an_event_stream_ends_at_its_own_limits(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        stream.read()
    for limit in ({"tunnel_timeout_ms": 200}, {"timeout_ms": 200}):
        stack, gateway = serving(serve, **limit)
        with stack:
            response = gateway.request(GET)
            assert (response.body, response.complete) == (b"data: 1\n\n", False)


def test_a_tunnel_is_closed_when_it_is_idle_and_only_then(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(SWITCHED)
        while piece := client.recv(100):
            client.sendall(piece)
    stack, gateway = serving(serve, idle_timeout_ms=100, timeout_ms=100, tunnel_timeout_ms=2000)
    with stack, gateway.connect() as client, client.makefile("rb") as stream:
        client.sendall(UPGRADE)
        assert read_response(stream).status == 101
        for _ in range(12):
            client.sendall(b"x")
            assert stream.read(1) == b"x"
            time.sleep(0.2)
        assert stream.read() == b""
        assert gateway.access_log(1)[0]["cause"] == "timeout"
