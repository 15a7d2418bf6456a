"""What the gateway does with what arrives on its sockets: relaying, deadlines, limits, endpoints, refusals."""

import socket
import threading
import time

import pytest

from gateway_harness import Gateway, Upstream, config, read_head, read_response, timed
from harness import wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def one_service(**route):
    return config([{"path": "/", "service": "web", **route}])


@pytest.fixture(scope="module")
def echo():
    """Answers with the request's body, chunked when the path says so."""
    def answer(request):
        body = request["body"]
        if "/chunked" in request["start"]:
            return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x;ext=1\r\n%s\r\n0\r\nTrailer: t\r\n\r\n"
                    % (len(body), body))
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with Upstream(answer=answer) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(havn, echo):
    with Gateway(one_service(), {"web": [echo.address]}) as gateway:
        yield gateway


# --- what must be refused

HOST = b"Host: h\r\n"
SMUGGLING = [
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\n chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\0c\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b" A: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET nothing HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@pytest.mark.parametrize("request_bytes", SMUGGLING, ids=range(len(SMUGGLING)))
def test_an_ambiguous_request_gets_400_and_the_connection_is_closed(gateway, echo, request_bytes):
    before = len(echo.seen)
    with gateway.connect() as client:
        client.sendall(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        stream = client.makefile("rb")
        response = read_response(stream)
        assert response.status == 400
        assert response.header("Connection") == "close"
        assert response.json()["error"]["message"]
        assert stream.read() == b""
    assert not any("/smuggled" in seen["start"] for seen in echo.seen[before:])


@pytest.mark.parametrize("body", [b"5\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n",
                                  b"-1\r\n", b"fffffffffffffffff\r\n", b"5;" + b"a" * 300 + b"\r\nhello\r\n0\r\n\r\n",
                                  b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"])
def test_broken_chunks_get_400_and_never_a_complete_request_upstream(gateway, echo, body):
    before = len(echo.seen)
    with gateway.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.02)   # head and body apart
        client.sendall(body)
        stream = client.makefile("rb")
        assert read_response(stream).status == 400
        assert stream.read() == b""
    assert not any(seen["complete"] for seen in echo.seen[before:])


@pytest.mark.parametrize("request_line,status", [(b"GET / HTTP/2.0", 505), (b"CONNECT h:1 HTTP/1.1", 501),
                                                 (b"TRACE / HTTP/1.1", 501)])
def test_what_is_not_served_is_named(gateway, request_line, status):
    assert gateway.request(request_line + b"\r\nHost: h\r\n\r\n").status == status


def test_an_unknown_transfer_coding_gets_501(gateway):
    assert gateway.request(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n").status == 501


# --- relaying

def test_hop_by_hop_headers_stop_here_and_ours_cannot_be_removed(gateway, echo):
    gateway.request(b"GET /p?q HTTP/1.1\r\nHost: shop.example\r\nConnection: X-Secret, Host, X-Real-IP, close\r\n"
                    b"X-Secret: 1\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\n"
                    b"X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX_Under: 1\r\nForwarded: for=9.9.9.9\r\n"
                    b"Via: 1.0 other\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n")
    seen = echo.seen[-1]
    names = [name.lower() for name, _ in seen["headers"]]
    assert seen["start"] == "GET /p?q HTTP/1.1"
    for gone in ("connection", "x-secret", "keep-alive", "proxy-connection", "te", "upgrade", "x_under", "forwarded"):
        assert gone not in names
    assert [value for name, value in seen["headers"] if name == "Cookie"] == ["a=1", "b=2"]
    assert [value for name, value in seen["headers"] if name == "Via"] == ["1.0 other", "1.1 havn"]
    assert seen["lower"]["x-forwarded-for"] == seen["lower"]["x-real-ip"] == "127.0.0.1"
    assert seen["lower"]["x-forwarded-host"] == seen["lower"]["host"] == "shop.example"
    assert seen["lower"]["x-forwarded-proto"] == "http"
    assert names.count("host") == names.count("x-forwarded-for") == names.count("x-real-ip") == 1


def test_a_trusted_peer_may_say_for_whom_it_speaks(havn, echo):
    with Gateway({**one_service(), "trusted_proxies": ["127.0.0.0/8"]}, {"web": [echo.address]}) as gateway:
        gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert echo.seen[-1]["lower"]["x-forwarded-for"] == "9.9.9.9, 127.0.0.1"
    assert echo.seen[-1]["lower"]["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
@pytest.mark.parametrize("path", [b"/length", b"/chunked"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_pass_both_ways_whatever_their_framing(gateway, size, path, chunked):
    body = bytes(i % 251 for i in range(size))
    if chunked:
        framed = b"".join(b"%X;x=y\r\n%s\r\n" % (len(body[i:i + 7001]), body[i:i + 7001])
                          for i in range(0, size, 7001)) + b"0\r\nT: v\r\n\r\n"
        head = b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        framed, head = body, b"Content-Length: %d\r\n\r\n" % size
    response = gateway.request(b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + head + framed)
    assert (response.status, response.complete) == (200, True)
    assert response.body == body


def test_a_body_that_comes_byte_by_byte_arrives_whole(gateway):
    with gateway.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n":
            client.sendall(bytes([byte]))
        assert read_response(client.makefile("rb")).body == b"abcdefg"


def test_pipelined_requests_are_answered_in_order(gateway):
    requests = [b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n%03d" % (i, i) for i in range(200)]
    with gateway.connect() as client:
        client.sendall(b"".join(requests))
        stream = client.makefile("rb")
        for i in range(200):
            assert read_response(stream).body == b"%03d" % i


def test_upstream_connections_are_kept(gateway, echo):
    gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    before = echo.connections
    with gateway.connect() as client:
        stream = client.makefile("rb")
        for _ in range(20):
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_response(stream).status == 200
    assert echo.connections <= before + 1   # a thread that had none yet may have made one


def test_a_1_0_client_gets_no_chunks_and_no_second_response_unless_it_asks(gateway):
    with gateway.connect() as client:
        client.sendall(b"POST /chunked HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        stream = client.makefile("rb")
        response = read_response(stream)
        assert response.header("Transfer-Encoding") is None
        assert response.body == b"hi"
    with gateway.connect() as client:
        stream = client.makefile("rb")
        for _ in range(2):
            client.sendall(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi")
            response = read_response(stream)
            assert response.header("Connection") == "keep-alive"
            assert response.body == b"hi"


def test_a_half_closed_client_is_still_answered(gateway):
    with gateway.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
        client.shutdown(socket.SHUT_WR)
        assert read_response(client.makefile("rb")).body == b"hi"


@pytest.mark.parametrize("answer,method,body", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HEAD", b""),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b"GET", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"GET", b""),
    (b"HTTP/1.1 200 OK\r\n\r\nuntil close", b"GET", b"until close"),
    (b"HTTP/1.0 200 OK\nA : b\n\nold", b"GET", b"old"),
])
def test_responses_end_where_they_should(havn, answer, method, body):
    def serve(client, stream):
        read_head(stream)
        client.sendall(answer)
        if not body:
            stream.read(1)   # stays open
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        response = gateway.request(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (response.body, response.complete) == (body, True)
        if b" 204 " in answer:
            assert response.header("Content-Length") is None
        if method == b"HEAD":
            assert response.header("Content-Length") == "5"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"])
def test_a_response_cut_short_never_looks_complete(havn, answer):
    def serve(client, stream):
        read_head(stream)
        client.sendall(answer)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        response = gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert response is None or not response.complete
        assert gateway.metrics()['havn_gateway_upstream_broken_responses_total{service="web"}'] == 1


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                                    b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", b"nonsense\r\n\r\n",
                                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                                    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 60000 + b"\r\n\r\n"])
def test_a_response_that_is_no_http_gets_502(havn, answer):
    def serve(client, stream):
        read_head(stream)
        client.sendall(answer)
        stream.read(1)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        response = gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert response.status == 502
        assert response.json()["error"]["cause"] == "malformed"


def test_interim_responses_pass_and_100_only_to_who_asked(havn):
    def serve(client, stream):
        while head := read_head(stream):
            client.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            stream.read(int(dict(head[1]).get("Content-Length", 0)))
            client.sendall(OK)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            stream = client.makefile("rb")
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert [read_response(stream).status for _ in range(2)] == [103, 100]
            client.sendall(b"hi")
            assert read_response(stream).body == b"hello"
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert [read_response(stream).status for _ in range(2)] == [103, 200]
        assert gateway.request(b"GET / HTTP/1.0\r\n\r\n").status == 200


def test_an_early_response_reaches_a_client_that_still_uploads(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        client.shutdown(socket.SHUT_RDWR)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
            response = read_response(client.makefile("rb"))
            assert (response.status, response.body) == (403, b"no")
            assert response.header("Connection") == "close"


def test_each_instance_has_numbers_of_its_own(havn):
    def hang_up(client, stream):
        read_head(stream)
    routes, rules = [{"path": "/", "service": "web"}], {"web": {"max_fails": 1, "fail_timeout_ms": 600_000}}
    with Upstream() as good, Upstream(hang_up) as bad, Gateway(
            config(routes, rules, threads=1), {"web": [bad.address, good.address]}) as gateway:
        for _ in range(4):
            assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200

        def numbers(instance):
            found = gateway.metrics()
            return [found.get(f'havn_gateway_instance_{name}{{service="web",instance="{instance}"}}')
                    for name in ("requests_total", "failures_total", "in_flight", "set_aside")]
        wait_for(lambda: numbers(1) == [1, 1, 0, 1], what="one request to the bad one, which is set aside for it")
        wait_for(lambda: numbers(2) == [4, 0, 0, 0], what="all requests to be answered by the good one")
        gateway.set_endpoints({"web": [None, good.address]})
        assert numbers(1) == [None] * 4 and numbers(2) == [4, 0, 0, 0]


def test_a_websocket_becomes_a_tunnel_with_half_close(havn):
    def serve(client, stream):
        start, headers = read_head(stream)
        assert dict(headers)["Upgrade"] == "websocket"
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        client.sendall(b"got " + stream.read())   # until the client's half is closed
    with Upstream(serve) as upstream, Gateway(one_service(timeout_ms=200), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsoon")
            stream = client.makefile("rb")
            assert read_response(stream).header("Upgrade") == "websocket"
            assert stream.read(5) == b"first"
            time.sleep(0.4)   # a tunnel has no deadline
            client.sendall(b" later")
            client.shutdown(socket.SHUT_WR)
            assert stream.read() == b"got soon later"


# --- deadlines and fallbacks

def test_a_trickling_upstream_cannot_stretch_the_deadline(havn):
    def serve(client, stream):
        read_head(stream)
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":
            client.sendall(bytes([byte]))
            time.sleep(0.02)
    fallback = {"status": 200, "type": "application/json", "body": '{"stock":"unknown"}'}
    with Upstream(serve) as upstream, Gateway(
            one_service(timeout_ms=100, connect_timeout_ms=50, fallback=fallback),
            {"web": [upstream.address]}) as gateway:
        response, seconds = timed(lambda: gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
        assert (response.status, response.json()) == (200, {"stock": "unknown"})
        assert response.header("X-Havn-Fallback") == "timeout"
        assert response.header("Content-Type") == "application/json"
        assert seconds >= 0.1
        entry = gateway.access_log(1)[0]
        assert entry["cause"] == "timeout"
        assert 100 <= entry["duration_ms"]
        print(f"answered after {entry['duration_ms']} ms")
        assert gateway.metrics()['havn_gateway_fallbacks_total{route="/"}'] == 1


def test_a_response_that_begun_is_cut_at_the_deadline(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            client.sendall(b"1\r\nx\r\n")
            time.sleep(0.02)
    with Upstream(serve) as upstream, Gateway(one_service(timeout_ms=150), {"web": [upstream.address]}) as gateway:
        response = gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert response.status == 200
        assert not response.complete


def test_without_a_fallback_the_failure_is_named(havn):
    unused = Upstream()
    unused.close()
    with Upstream(lambda client, stream: time.sleep(5)) as slow, Gateway(config(
            [{"path": "/slow", "service": "slow", "timeout_ms": 50}, {"path": "/dead", "service": "dead"},
             {"path": "/none", "service": "none"}]),
            {"slow": [slow.address], "dead": [unused.address], "none": []}) as gateway:
        for path, status, cause in (("slow", 504, "timeout"), ("dead", 502, "connect"), ("none", 503, "unavailable")):
            response = gateway.request(b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())
            assert (response.status, response.json()["error"]["cause"]) == (status, cause)


def test_a_dead_endpoint_costs_no_request(havn, echo):
    unused = Upstream()
    unused.close()
    with Gateway(one_service(), {"web": [unused.address, echo.address]}) as gateway:
        for _ in range(10):
            assert gateway.request(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi").body == b"hi"


def test_a_stale_connection_is_noticed_or_the_request_repeated(havn):
    def serve(client, stream):   # one response, then gone
        read_head(stream)
        client.sendall(OK)
        if hold.wait(5):
            return
    hold = threading.Event()
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}, threads=1) as gateway:
        for i in range(10):
            assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
            hold.set() if i == 0 else None


def test_a_post_whose_connection_broke_is_not_sent_twice(havn):
    seen = []

    def serve(client, stream):
        seen.append(read_head(stream))
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        assert gateway.request(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").status == 502
        assert len(seen) == 1
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 502


# --- limits

def test_a_large_head_gets_431_and_a_large_target_414(havn, echo):
    with Gateway({**one_service(), "limits": {"head_bytes_max": 2048, "header_count_max": 5}},
                 {"web": [echo.address]}) as gateway:
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 3000 + b"\r\n\r\n").status == 431
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 100_000).status == 431
        assert gateway.request(b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\nHost: h\r\n\r\n").status == 414
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 5 + b"\r\n").status == 431
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 4 + b"\r\n").status == 200


def test_a_slow_head_gets_408_and_an_idle_connection_is_closed(havn, echo):
    with Gateway({**one_service(), "limits": {"head_timeout_ms": 100, "idle_timeout_ms": 200}},
                 {"web": [echo.address]}) as gateway:
        with gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            assert read_response(client.makefile("rb")).status == 408
        with gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            stream = client.makefile("rb")
            assert read_response(stream).status == 200
            assert stream.read() == b""


def test_a_slow_reader_slows_the_upstream_and_memory_stays_bounded(havn):
    sent, piece = [0], b"x" * 65536

    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        while True:
            client.sendall(piece)
            sent[0] += len(piece)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        before = gateway.memory()
        with gateway.connect(receive_buffer=65536) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            wait_for(lambda: sent[0] > 0)
            last = -1
            while sent[0] != last:   # until the upstream is blocked
                last = sent[0]
                time.sleep(0.3)
            assert last < 64 << 20
            assert gateway.memory() - before < 4 << 20


def test_a_slow_upstream_slows_the_uploader(havn):
    def serve(client, stream):
        read_head(stream)
        time.sleep(30)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        before = gateway.memory()
        with gateway.connect() as client:
            client.settimeout(1)
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 256 << 20:
                    sent += client.send(b"x" * 65536)
            assert gateway.memory() - before < 4 << 20


# --- routes, endpoints, configuration

def test_routes_and_methods(havn, echo):
    routes = [{"path": "/", "service": "web"}, {"path": "/api", "service": "web", "methods": ["POST", "PUT"]},
              {"host": "*.shop", "path": "/", "service": "none"}]
    with Gateway(config(routes), {"web": [echo.address]}) as gateway:
        response = gateway.request(b"GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (response.status, response.header("Allow")) == (405, "POST, PUT")
        assert gateway.request(b"GET /apix HTTP/1.1\r\nHost: h\r\n\r\n").status == 200
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: a.shop\r\n\r\n").status == 503
        gateway.control("PUT", "/config", config([{"path": "/only", "service": "web"}]))
        assert wait_for(lambda: gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 404)


def test_no_spelling_passes_by_a_rule_and_upstreams_get_what_was_sent(havn):
    with Upstream() as upstream, Gateway(config([{"path": "/", "service": "web"},
                                                 {"path": "/admin", "service": "web", "methods": ["POST"]},
                                                 {"host": "api.example", "path": "/", "service": "web",
                                                  "methods": ["POST"]}]),
                                         {"web": [upstream.address]}) as gateway:
        def ask(path, method="GET", host="h"):
            return gateway.request(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
        for path in ("/admin", "//admin", "/./admin", "/x/../admin", "/%61dmin", "/%2e/admin", "/x/.%2E/admin"):
            answer = ask(path)
            assert (answer.status, answer.header("Allow")) == (405, "POST"), path
        for path in ("/%2fadmin", "/admin%2f", "/admin;x", "/x/..;/admin", "/x/..%2fadmin", "/\\admin", "/admin%5cx",
                     "/admin/../x", "/admin%00", "/admin%", "/%zz"):
            answer = ask(path)
            assert (answer.status, answer.json()["error"]["cause"]) == (400, "path"), path
        for host in ("api.example", "API.example", "api.example.", "api.example.:80"):
            assert ask("/", host=host).status == 405, host
        assert ask("/", host="%61pi.example").status == 400
        assert not upstream.seen
        sent = ["//admin", "/./admin", "/x/../admin", "/%61dmin?a=%2F&b=%", "/%2e//admin/%7e"]
        for path in sent:
            assert ask(path, "POST").status == 200, path
        unruled = ["/a%2Fb", "/x;v=1/y", "/a//b/../c", "/caf%C3%A9"]
        for path in unruled:
            assert ask(path).status == 200, path
        assert [request["start"].split(" ")[1] for request in upstream.seen] == sent + unruled
        assert [entry["cause"] for entry in gateway.access_log(20) if entry["target"] == "/%zz"] == ["path"]


def test_head_follows_get_and_options_is_answered(havn, echo):
    routes = [{"path": "/", "service": "web"}, {"path": "/read", "service": "web", "methods": ["GET"]},
              {"path": "/cors", "service": "web", "methods": ["OPTIONS", "POST"]}, {"path": "/job", "queue": "q"}]
    with Gateway(config(routes), {"web": [echo.address]}) as gateway:
        def ask(method, path):
            return gateway.request(f"{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        assert ask("HEAD", "/read").status == 200
        answer = ask("OPTIONS", "/read")
        assert (answer.status, answer.header("Allow"), answer.body) == (204, "GET, HEAD", b"")
        assert ask("DELETE", "/read").header("Allow") == "GET, HEAD"
        for path in ("/", "/cors"):
            assert ask("OPTIONS", path).status == 200, path   # the service's
        for method in ("GET", "HEAD", "DELETE"):
            answer = ask(method, "/job")
            assert (answer.status, answer.header("Allow")) == (405, "POST"), method
        assert (ask("OPTIONS", "/job").status, ask("OPTIONS", "/job").header("Allow")) == (204, "POST")


def test_one_request_id_in_log_upstream_and_answer(havn, echo):
    with Gateway(one_service(), {"web": [echo.address]}) as gateway:
        def ask(lines):
            answer = gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n")
            ids = [value for name, value in echo.seen[-1]["headers"] if name.lower() == "x-request-id"]
            assert ids == [value for name, value in answer.headers if name.lower() == "x-request-id"]
            return ids
        asked = [ask(lines) for lines in (b"X-Request-Id: from/client=1\r\n", b"", b"X-Request-Id: a b\r\n",
                                          b"X-Request-Id: a\r\nX-Request-Id: b\r\n", b"X-Request-Id: \xff\r\n")]
        assert asked[0] == ["from/client=1"]
        assert all(len(ids) == 1 and len(ids[0]) == 36 for ids in asked[1:])
        refused = gateway.request(b"GET /%zz HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n")
        assert (refused.status, refused.header("X-Request-Id")) == (400, "mine")
        logged = {entry["id"] for entry in gateway.access_log(6)}   # each thread writes its own lines
        assert logged == {ids[0] for ids in asked} | {"mine"}


@pytest.mark.parametrize("answer,status,header,value", [
    (b"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\nhi", 600, "Content-Length", "2"),
    (b"HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\nhi", 999, "Content-Length", "2"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 200, "Content-Length", "2"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi", 200, "Content-Length", "2"),
    (b"HTTP/1.1 426 Upgrade\r\nUpgrade: x/1\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nhi", 426,
     "Upgrade", "x/1")])
def test_odd_but_clear_answers_pass(havn, answer, status, header, value):
    with Upstream(answer=answer) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            stream = client.makefile("rb")
            for _ in range(2):   # the connection goes on
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                response = read_response(stream)
                assert (response.status, response.body) == (status, b"hi")
                assert [found for name, found in response.headers if name == header] == [value]


def test_a_head_that_arrives_byte_by_byte_is_served(gateway):
    with gateway.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = client.makefile("rb")
        for _ in range(2):
            for byte in b"\r\nPOST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi":
                client.sendall(bytes([byte]))
            assert read_response(stream).body == b"hi"
        for byte in b"GET / HTTP/1.1\r\nHost: h\n":
            client.sendall(bytes([byte]))
        assert read_response(stream).status == 400


def test_an_answer_that_arrives_byte_by_byte_is_passed(havn):
    def serve(client, stream):
        while read_head(stream):
            for byte in b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi":
                client.sendall(bytes([byte]))
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            stream = client.makefile("rb")
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                assert read_response(stream).status == 103
                assert read_response(stream).body == b"hi"


def test_too_many_options_in_connection_get_400(gateway):
    request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: " + b"a," * 7000 + b"\r\n\r\n"
    response = gateway.request(request)
    assert response.status == 400
    assert "Connection" in response.json()["error"]["message"]


def test_the_access_log_is_there_before_the_first_request(havn):
    with Gateway(one_service()) as gateway:
        wait_for((gateway.folder / "logs/gateway/access.log").exists, what="an access log")


def test_what_is_known_of_a_refused_request_is_logged(havn):
    limited = config([{"path": "/", "service": "web"}], limits={"head_bytes_max": 2048})
    with Gateway(limited) as gateway:
        log_of_refused_requests(gateway)


def log_of_refused_requests(gateway):
    with gateway.connect() as client:
        client.sendall(b"GET /known?a HTTP/1.1\r\nHost: shop.example\r\nContent-Length: x\r\n\r\n")
        assert read_response(client.makefile("rb")).status == 400
    with gateway.connect() as client:
        client.sendall(b"PUT /begun HTTP/1.1\r\nHost: shop.example\r\nA : b\r\n\r\n")
        assert read_response(client.makefile("rb")).status == 400
    with gateway.connect() as client:
        client.sendall(b"GET /long HTTP/1.1\r\nHost: shop.example\r\nA: " + b"x" * 3000)
        assert read_response(client.makefile("rb")).status == 431
    with gateway.connect() as client:
        client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert read_response(client.makefile("rb")).status == 400
    entries = gateway.access_log(4)
    assert sorted((entry["status"], entry["method"], entry["host"], entry["target"]) for entry in entries) == [
        (400, "", "", ""), (400, "GET", "shop.example", "/known?a"), (400, "PUT", "shop.example", "/begun"),
        (431, "GET", "shop.example", "/long")]
    assert all(entry["cause"] == "refused" for entry in entries)


def test_a_weight_belongs_to_its_instance_whichever_others_are_ready(havn):
    def named(letter):
        def serve(client, stream):
            while read_head(stream):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + letter)
        return serve
    with Upstream(named(b"2")) as second, Upstream(named(b"3")) as third:
        weighted = {**config([{"path": "/", "service": "web"}], {"web": {"weights": [7, 1, 3]}}),
                    "threads": 1}   # each takes turns of its own
        with Gateway(weighted, {"web": [None, second.address, third.address]}) as gateway:
            bodies = [gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").body for _ in range(8)]
            assert (bodies.count(b"2"), bodies.count(b"3")) == (2, 6)


def test_a_service_listener_forwards_everything_to_its_service(havn, echo):
    with Gateway(config([{"path": "/", "service": "other"}], {"web": {}}), {"web": [echo.address]},
                 services=["web"]) as gateway:
        response = gateway.request(b"POST /any HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "service:web")
        assert response.body == b"hi"


def test_configuration_and_endpoints_change_without_dropping_a_connection(havn):
    go_on = threading.Event()

    def answer(request):
        if "/slow" in request["start"]:
            go_on.wait(5)
        return OK
    with Upstream(answer=answer) as old, Upstream() as new, Gateway(
            one_service(), {"web": [old.address]}) as gateway:
        with gateway.connect() as idle, gateway.connect() as busy:
            idle_stream, busy_stream = idle.makefile("rb"), busy.makefile("rb")
            idle.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_response(idle_stream).status == 200
            busy.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_for(lambda: any("/slow" in seen["start"] for seen in old.seen))
            gateway.set_endpoints({"web": [new.address]})   # returns when applied
            gateway.control("PUT", "/config", {**one_service(), "revision": 2})
            gateway.send_listeners()
            idle.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_response(idle_stream).status == 200
            wait_for(lambda: len(new.seen) == 1)
            drained = {"type": "drained", "endpoint": old.address}
            assert not gateway.link.has(drained)   # its request is still in flight
            go_on.set()
            assert read_response(busy_stream).status == 200
            gateway.link.wait(drained)
            assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200


def test_a_wrong_configuration_is_refused_and_the_old_one_stays(gateway):
    response = gateway.control("PUT", "/config", {"routes": [{"path": "/", "service": "web", "timeout_ms": "soon"}]})
    assert response.status == 400
    assert "routes[0].timeout_ms" in response.body.decode()
    assert gateway.request(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").status == 200


def test_sigterm_finishes_what_is_under_way(havn):
    begun = threading.Event()

    def answer(request):
        begun.set()
        time.sleep(0.5)
        return OK
    with Upstream(answer=answer) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client, gateway.connect() as idle:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert begun.wait(5)
            gateway.process.terminate()
            response = read_response(client.makefile("rb"))
            assert (response.status, response.header("Connection")) == (200, "close")
            assert idle.recv(1) == b""
        assert gateway.process.wait(5) == 0


@pytest.mark.not_sanitized("a sanitizer's own memory would be measured")
def test_an_idle_connection_costs_at_most_4_kb(gateway):
    before = gateway.memory()
    clients = []
    for _ in range(1000):
        client = gateway.connect()
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        clients.append(client)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
    per_connection = (gateway.memory() - before) / len(clients)
    print(f"{per_connection:.0f} bytes per idle connection")
    for client in clients:
        client.close()
    assert per_connection <= 4096
