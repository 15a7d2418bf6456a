"""What the gateway relays when the other side does not keep to the rules: refused answers, retries, early bytes."""

import os
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from gateway_harness import Gateway, Upstream, config, read_head, read_response
from harness import PYTHON, wait_for

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def one_service(**route):
    return config([{"path": "/", "service": "web", **route}])


def final(stream):
    """The final response, and the statuses of the interim ones before it."""
    interim = []
    while (response := read_response(stream)) and response.status < 200:
        interim.append(response.status)
    return response, interim


@pytest.fixture(scope="module")
def echo():
    def answer(request):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request["body"]), request["body"])
    with Upstream(answer=answer) as upstream:
        yield upstream


# --- an answer that is refused

REFUSED = {
    "garbage": b"what is this?\r\n\r\n",
    "status 99": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 60_000,
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
}
INTERIM = {"103": HINTS, "100": b"HTTP/1.1 100 Continue\r\n\r\n", "102": b"HTTP/1.1 102 Processing\r\n\r\n",
           "several": (HINTS + b"HTTP/1.1 100 Continue\r\n\r\n") * 3}


@pytest.fixture(scope="module")
def scripted(havn):
    """A gateway, and the answer its upstream gives to every request on a connection of its own."""
    script = {}

    def serve(client, stream):
        read_head(stream)
        client.sendall(script["answer"])
        if script["end"] == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif script["end"] == "stay":
            stream.read(1)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        yield gateway, script


@pytest.mark.parametrize("end", ["stay", "close", "reset"])
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM.keys())
def test_an_interim_response_and_a_refused_one_in_one_read(scripted, interim, refused, end):
    gateway, script = scripted
    script.update(answer=interim + refused, end=end)
    with gateway.connect() as client:
        client.sendall(GET)
        response, _ = final(client.makefile("rb"))
        assert response.status == 502
        # A reset may overtake the bytes before it.
        assert response.json()["error"]["cause"] in ("malformed", "closed" if end == "reset" else "malformed")
    script.update(answer=OK, end="stay")
    assert gateway.request(GET).body == b"hello"   # it still serves


INTERIM_MAX = 100
LARGE_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 2000 + b"\r\n\r\n"


def test_many_interim_responses_fill_no_buffer(havn):
    def serve(client, stream):
        while read_head(stream):
            client.sendall(LARGE_HINTS * INTERIM_MAX + OK)   # more than two buffers of them
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            stream = client.makefile("rb")
            for _ in range(2):   # they are counted for each request
                client.sendall(GET)
                response, interim = final(stream)
                assert (response.body, interim) == (b"hello", [103] * INTERIM_MAX)


@pytest.mark.parametrize("interim", [HINTS, LARGE_HINTS, INTERIM["100"]], ids=["103", "large", "100"])
def test_interim_responses_without_end_get_502(scripted, interim):
    """Each of them is progress, so no deadline of silence would end that."""
    gateway, script = scripted
    script.update(answer=interim * (INTERIM_MAX + 1) + OK, end="stay")
    with gateway.connect() as client:
        client.sendall(GET)
        response, passed = final(client.makefile("rb"))
        assert (response.status, response.json()["error"]["cause"]) == (502, "interim")
        assert passed == ([] if interim == INTERIM["100"] else [103] * INTERIM_MAX)   # 100: nobody asked for it
    script.update(answer=OK, end="stay")
    assert gateway.request(GET).body == b"hello"


def test_fields_for_the_hop_are_no_part_of_an_interim_response(scripted):
    gateway, script = scripted
    script.update(end="stay", answer=b"HTTP/1.1 103 Early Hints\r\nConnection: x-hop, close\r\nX-Hop: 1\r\n"
                                     b"Keep-Alive: 5\r\nLink: </a>\r\n\r\n" + OK)
    with gateway.connect() as client:
        client.sendall(GET)
        stream = client.makefile("rb")
        assert read_response(stream).headers == [("Link", "</a>")]
        assert read_response(stream).body == b"hello"


def test_our_own_answer_follows_a_whole_interim_response(havn):
    """The client took a part of an interim response when time was up: the rest of it still comes first."""
    large = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 30_000 + b"\r\n\r\n"

    def serve(client, stream):
        read_head(stream)
        while True:
            client.sendall(large)
    with Upstream(serve) as upstream, Gateway(one_service(timeout_ms=500), {"web": [upstream.address]}) as gateway:
        with gateway.connect(receive_buffer=4096) as client:
            client.sendall(GET)
            wait_for(lambda: gateway.metrics()['havn_gateway_upstream_timeouts_total{service="web"}'] == 1)
            response, interim = final(client.makefile("rb"))
            assert set(interim) == {103}
            assert response.status == 504


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
                                    HINTS + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_a_body_malformed_from_its_first_bytes_gets_502(scripted, answer):
    gateway, script = scripted
    script.update(answer=answer, end="stay")
    with gateway.connect() as client:
        client.sendall(GET)
        response, _ = final(client.makefile("rb"))
        assert response.status == 502
        assert response.json()["error"]["cause"] == "malformed"


def test_a_body_that_turns_malformed_is_cut(havn):
    read = threading.Event()

    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        assert read.wait(10)
        client.sendall(b"zz\r\n")
        stream.read(1)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client:
            client.sendall(GET)
            stream = client.makefile("rb")
            assert read_head(stream)[0] == "HTTP/1.1 200 OK"
            assert stream.readline() == b"4\r\n"
            read.set()
            assert stream.read() == b"half\r\n"    # and no last chunk


# --- sizes a client controls

def test_a_long_host_aborts_nothing_whatever_the_limits_are(havn, echo):
    with Gateway({**one_service(), "limits": {"head_bytes_max": 65536}}, {"web": [echo.address]}) as gateway:
        for size, status in ((255, 200), (256, 400), (60_000, 400)):
            host = b"a" * size
            assert gateway.request(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").status == status
            assert gateway.request(b"GET http://" + host + b"/ HTTP/1.1\r\nHost: h\r\n\r\n").status == status
        assert gateway.request(b"GET / HTTP/1.1\r\nHost: " + b"a" * 255 + b":65535\r\n\r\n").status == 200
        filled = b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * (65536 - 32) + b"\r\n\r\n"
        assert len(filled) == 65536
        assert gateway.request(filled).status == 200


@pytest.mark.parametrize("before,after", [(1 << 20, 512), (512, 1 << 20), (1 << 20, 65536), (65536, 1 << 20)])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_limit_that_changes_in_the_middle_of_a_head(havn, echo, before, after, chunked):
    """The head begins under one limit and ends under the other; its body comes in the same piece."""
    def limits(value):
        return {**one_service(), "limits": {"head_bytes_max": value}}
    with Gateway(limits(before), {"web": [echo.address]}) as gateway, gateway.connect() as client:
        start = b"POST / HTTP/1.1\r\nHost: h\r\n"
        client.sendall(start)
        wait_for(lambda: gateway.metrics()["havn_gateway_connections_open"] == 1)
        assert gateway.control("PUT", "/config", {**limits(after), "revision": 2}).status == 200
        wait_for(lambda: gateway.control("GET", "/status").json()["revision"] == 2)
        body = b"x" * 100_000
        rest = b"A: " + b"y" * min(40_000, after // 2) + b"\r\n"
        if chunked:
            rest += b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            rest += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        client.sendall(rest)
        response = read_response(client.makefile("rb"))
        assert (response.status, response.body) == (200, body)


def test_a_limit_lowered_under_a_head_that_waits_for_its_retry(havn, echo):
    """The second attempt writes a head anew that is larger than what the limit is by then."""
    head, lowered = threading.Event(), threading.Event()

    def hang_up(client, stream):
        read_head(stream)
        head.set()
        assert lowered.wait(10)
    with Upstream(hang_up) as bad, Gateway({**one_service(), "limits": {"head_bytes_max": 200_000}},
                                           {"web": [bad.address]}) as gateway:
        with gateway.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 150_000 + b"\r\n\r\n")
            assert head.wait(10)
            gateway.control("PUT", "/config", {**one_service(), "limits": {"head_bytes_max": 1024}, "revision": 2})
            gateway.set_endpoints({"web": [bad.address, echo.address]})
            lowered.set()
            assert read_response(client.makefile("rb")).status == 200


# --- retries

def test_a_retry_on_a_pooled_connection_is_sent(havn):
    """B answers and its connection is pooled; A takes the head and hangs up: the request goes to B, at once."""
    def hang_up(client, stream):
        read_head(stream)
    with Upstream() as good, Upstream(hang_up) as bad, Gateway(
            config([{"path": "/", "service": "web"}], {"web": {"max_fails": 0}}), {"web": [good.address]}) as gateway:
        assert gateway.request(GET).body == b"hello"
        gateway.set_endpoints({"web": [bad.address, good.address]})
        for _ in range(6):
            assert gateway.request(GET).body == b"hello"
        assert bad.connections > 0
        assert gateway.metrics()['havn_gateway_upstream_timeouts_total{service="web"}'] == 0


def test_early_bytes_of_a_websocket_reach_the_service(havn):
    def serve(client, stream):
        read_head(stream)
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        client.sendall(b"got " + stream.read(5))   # before anything else happens
        stream.read(1)
    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client, client.makefile("rb") as stream:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
            assert read_response(stream).status == 101
            assert stream.read(9) == b"got early"


SLOW_SERVICE = """
import socket, sys, threading, time

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024, reuse_port=True)
print("ready", flush=True)

def serve(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client, client.makefile("rb") as stream:
        while stream.readline():
            while stream.readline().rstrip():
                pass
            time.sleep(0.005)
            client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello")

while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Instance:
    """A process that serves, to be killed."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self):
        self.process = subprocess.Popen([PYTHON, "-c", SLOW_SERVICE, str(self.port)], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def test_an_instance_killed_under_load_costs_no_request(havn):
    """More connections than are kept idle, so that most are fresh; whatever was in flight goes elsewhere."""
    one, two = Instance(), Instance()
    served, failed, stop = [0] * 24, [], threading.Event()

    def visit(number, gateway):
        with gateway.connect() as client, client.makefile("rb") as stream:
            client.settimeout(30)   # half of idle_timeout: whoever stalls is seen here
            while not stop.is_set():
                client.sendall(GET)
                response = read_response(stream)
                if not response or response.body != b"hello":
                    failed.append(response and (response.status, response.body))
                served[number] += 1
    limited = config([{"path": "/", "service": "web"}], {"web": {"keepalive": 4, "fail_timeout_ms": 100}})
    with Gateway(limited, {"web": ["127.0.0.1:%d" % instance.port for instance in (one, two)]}) as gateway:
        visitors = [threading.Thread(target=visit, args=(number, gateway)) for number in range(len(served))]
        for visitor in visitors:
            visitor.start()
        try:
            for _ in range(4):
                seen = list(served)
                wait_for(lambda: all(now > before + 10 for now, before in zip(served, seen)), 30, "traffic")
                one.kill()
                seen = list(served)
                wait_for(lambda: all(now > before + 2 for now, before in zip(served, seen)), 25, "all to go on")
                one.start()
        finally:
            stop.set()
            for visitor in visitors:
                visitor.join()
            one.kill()
            two.kill()
        assert failed == []
        assert gateway.metrics()['havn_gateway_upstream_timeouts_total{service="web"}'] == 0


# --- who was tried already

def test_an_instance_that_takes_the_place_of_a_tried_one_is_tried_too(havn):
    """One attempt failed, its instance left the table, another one came into it: the next attempt goes there."""
    held, go_on = threading.Event(), threading.Event()

    def hang_up(client, stream):
        read_head(stream)

    def hold(client, stream):
        read_head(stream)
        held.set()
        go_on.wait(10)

    with Upstream(hang_up) as first, Upstream(hold) as second, Upstream(answer=OK) as third:
        with Gateway(one_service(), {"web": [first.address, second.address]}) as gateway, gateway.connect() as client:
            client.sendall(GET)
            assert held.wait(10)
            assert first.connections == 1, "the first in the table has the first turn"
            gateway.set_endpoints({"web": [None, second.address]})
            gateway.set_endpoints({"web": [None, second.address, third.address]})
            go_on.set()
            assert read_response(client.makefile("rb")).body == b"hello"


# --- peers that vanish without a word

def keepalive_seconds(local, remote):
    """Until the kernel asks the peer of that connection whether it is there; None: it never will."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = [int(address.partition(":")[2], 16) for address in fields[1:3]]
        timer, ticks = (int(part, 16) for part in fields[5].split(":"))
        if ports == [local, remote] and timer == 2:
            return ticks / os.sysconf("SC_CLK_TCK")
    return None


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
], ids=["event stream", "tunnel"])
def test_who_may_be_silent_for_long_is_asked_whether_it_is_there(havn, head):
    peers, over = [], threading.Event()

    def serve(client, stream):
        read_head(stream)
        peers.append(client.getpeername()[1])
        client.sendall(head + b"first")
        over.wait(30)

    with Upstream(serve) as upstream, Gateway(one_service(), {"web": [upstream.address]}) as gateway:
        with gateway.connect() as client, client.makefile("rb") as stream:
            assert wait_for(lambda: keepalive_seconds(gateway.port, client.getsockname()[1])) <= 60, "before a request"
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            read_head(stream)
            instance = int(upstream.address.rpartition(":")[2])
            for local, remote in ((gateway.port, client.getsockname()[1]), (peers[0], instance)):
                assert wait_for(lambda: keepalive_seconds(local, remote), what="a keep-alive timer") <= 60
            over.set()
