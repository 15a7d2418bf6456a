"""What the gateway lets in and holds: memory for bodies, connections, descriptors, threads."""

import contextlib
import os
import resource
import threading
from pathlib import Path

import pytest

from gateway_harness import Gateway, Upstream, config, read_response
from harness import wait_for
from scripted_broker import ScriptedBroker

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
MEGABYTE = 1 << 20


@pytest.fixture(autouse=True, scope="module")
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def queue_config(address, memory=4 * MEGABYTE, confirm_timeout_ms=1000, **more):
    return {**config([{"path": "/buy", "queue": "orders"}]), "memory_bytes": memory,
            "broker": {"address": address, "confirm_timeout_ms": confirm_timeout_ms}, **more}


def post(size, sent=None):
    return b"POST /buy HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * (size if sent is None else sent)


def status_bytes(gateway, key):
    for line in Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {key}")


def grew_at_most(gateway, before, bound, key="VmRSS"):
    """Whether resident memory (VmHWM: at its peak) is below `before` + `bound`. A sanitizer, whose shadow memory is
    terabytes of addresses, keeps what is freed: it has no say."""
    return status_bytes(gateway, "VmSize") > 1 << 40 or status_bytes(gateway, key) < before + bound


def held(gateway):
    return gateway.metrics()["havn_gateway_memory_used_bytes"]


def idle_share(gateway):
    """What the threads may keep at hand of the budget while nothing is held."""
    return gateway.control("GET", "/status").json()["threads"] * 128 * 1024


def short_of(gateway):
    """{cause: whether others than its cause notice} of what the gateway says it is short of."""
    return {one["cause"]: one["unwell"] for one in gateway.control("GET", "/status").json()["short_of"]}


def close_all(clients):
    for client in clients:
        client.close()


# --- memory -------------------------------------------------------------------------------------------------

def test_slow_uploads_stay_inside_the_budget_and_give_it_back(havn):
    with ScriptedBroker(lambda message: message.ack()) as broker, Gateway(queue_config(broker.address)) as gateway:
        assert gateway.request(post(10)).status == 202
        before = gateway.memory()
        clients = [gateway.connect() for _ in range(100)]
        for client in clients:
            client.sendall(post(MEGABYTE, sent=MEGABYTE // 4))
        metrics = wait_for(lambda: (m := gateway.metrics())["havn_gateway_memory_refusals_total"] >= 80 and m)
        assert metrics["havn_gateway_memory_used_bytes"] <= metrics["havn_gateway_memory_limit_bytes"] == 4 * MEGABYTE
        assert grew_at_most(gateway, before, 16 * MEGABYTE, "VmHWM")
        assert short_of(gateway) == {"memory": True}
        small = gateway.request(post(1000))   # the large ones leave room for it
        assert small.status == 202
        close_all(clients)
        wait_for(lambda: held(gateway) <= idle_share(gateway))
        wait_for(lambda: grew_at_most(gateway, before, 8 * MEGABYTE))
        assert gateway.request(post(MEGABYTE)).status == 202
    assert gateway.errors.count("fill the memory") == 1


def test_what_does_not_fit_gets_503_with_cause_and_retry_after(havn):
    with ScriptedBroker(lambda message: message.ack()) as broker, Gateway(queue_config(broker.address)) as gateway:
        with gateway.connect() as client:
            client.sendall(post(8 * MEGABYTE, sent=0))   # said beforehand, so nothing need be sent
            response = read_response(client.makefile("rb"))
            assert (response.status, response.json()["error"]["cause"]) == (503, "memory")
            assert response.header("Retry-After")
        with gateway.connect() as client:
            client.sendall(b"POST /buy HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            with contextlib.suppress(OSError):
                for _ in range(5):
                    client.sendall(b"100000\r\n" + b"x" * MEGABYTE + b"\r\n")
            response = read_response(client.makefile("rb"))
            assert response is None or response.status == 503
        wait_for(lambda: held(gateway) <= idle_share(gateway))


def test_jobs_for_a_broker_that_is_away_stay_inside_the_budget(havn, tmp_path):
    with Gateway(queue_config(f"unix:{tmp_path}/nobody.sock")) as gateway:
        assert gateway.request(post(10)).status == 503
        before = gateway.memory()
        clients = [gateway.connect() for _ in range(60)]
        answers = []

        def upload(client):
            with contextlib.suppress(OSError):
                client.sendall(post(MEGABYTE))
            answers.append(read_response(client.makefile("rb")))
        threads = [threading.Thread(target=upload, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status for answer in answers if answer} == {503}
        assert {answer.json()["error"]["cause"] for answer in answers if answer} <= {"memory", "timeout"}
        assert grew_at_most(gateway, before, 16 * MEGABYTE, "VmHWM")
        wait_for(lambda: held(gateway) <= idle_share(gateway))
        close_all(clients)


def test_a_large_body_is_in_memory_once(havn):
    with ScriptedBroker(lambda message: message.ack()) as broker, \
            Gateway(queue_config(broker.address, memory=64 * MEGABYTE, confirm_timeout_ms=60000)) as gateway:
        assert gateway.request(post(10)).status == 202
        before = gateway.memory()
        assert gateway.request(post(16 * MEGABYTE)).status == 202
        assert len(broker.messages[-1].body) == 16 * MEGABYTE
        assert grew_at_most(gateway, before, 24 * MEGABYTE, "VmHWM")
        wait_for(lambda: grew_at_most(gateway, before, 6 * MEGABYTE))


# --- a broker that takes nothing ------------------------------------------------------------------------------

def test_while_the_broker_is_blocked_jobs_are_refused_at_once_and_never_sent(havn):
    def on_message(message):
        message.ack()
        if len(broker.messages) == 1:
            message.block("no space left on the disk of the queues")
    with ScriptedBroker(on_message) as broker, \
            Gateway(queue_config(broker.address, threads=1, confirm_timeout_ms=600000)) as gateway:
        assert gateway.request(post(1)).status == 202

        def refused():
            answer = gateway.request(post(2))
            return answer.status == 503 and answer
        answer = wait_for(refused)
        sent = len(broker.messages)
        error = answer.json()["error"]
        assert error["cause"] == "blocked"
        assert "not accepted" in error["message"] and "no space left on the disk" in error["message"]
        assert answer.header("Retry-After")
        assert gateway.request(post(2)).status == 503
        assert len(broker.messages) == sent
        broker.messages[0].unblock()
        wait_for(lambda: gateway.request(post(3)).status == 202)
    assert gateway.errors.count("it takes no messages") == 1
    assert gateway.errors.count("takes messages again") == 1


def test_a_blocked_broker_that_confirms_nothing_is_left_with_what_it_has_not_read(havn):
    def on_message(message):
        if broker.connections == 1:
            message.block()
        else:
            message.ack()
    with ScriptedBroker(on_message) as broker, Gateway(queue_config(broker.address, threads=1)) as gateway:
        answer = gateway.request(post(1))
        assert (answer.status, answer.json()["error"]["cause"]) == (503, "timeout")
        assert gateway.request(post(2)).status == 202
        assert broker.connections == 2
        assert len(broker.messages) == 2   # the first was not sent again


def test_a_broker_that_reads_nothing_loses_its_connection(havn, tmp_path):
    go_on = threading.Event()

    def on_message(message):
        if broker.connections == 1 and len(broker.messages) == 1:
            message.ack()
            go_on.wait(60)   # and reads no further
        else:
            with contextlib.suppress(OSError):
                message.ack()
    with ScriptedBroker(on_message, str(tmp_path / "amqp.sock")) as broker, \
            Gateway(queue_config(broker.address, threads=1)) as gateway:
        assert gateway.request(post(1)).status == 202
        assert gateway.request(post(2)).json()["error"]["cause"] == "timeout"
        assert gateway.request(post(3)).status == 202
        assert broker.connections == 2
        go_on.set()


def test_a_job_that_waited_too_long_is_not_executed_later(havn, tmp_path):
    path = str(tmp_path / "amqp.sock")
    with Gateway(queue_config(f"unix:{path}", confirm_timeout_ms=300)) as gateway:
        answer = gateway.request(post(1))
        assert answer.status == 503
        assert "not accepted" in answer.json()["error"]["message"]
        with ScriptedBroker(lambda message: message.ack(), path) as broker:
            wait_for(lambda: gateway.request(post(2)).status == 202)
            assert {len(message.body) for message in broker.messages} == {2}


# --- connections ----------------------------------------------------------------------------------------------

class Held(Upstream):
    """Answers only once told to."""

    def __init__(self):
        self.answer_now = threading.Event()
        super().__init__(lambda client, stream: self._serve_held(client, stream))

    def _serve_held(self, client, stream):
        while self.read_request(stream):
            self.answer_now.wait(60)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def web(limits, **more):
    return {**config([{"path": "/", "service": "web"}]), "limits": limits, **more}


def is_closed(client):
    client.settimeout(10)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def ask(client):
    client.sendall(GET)
    return read_response(client.makefile("rb"))


def test_the_longest_idle_makes_room(havn):
    with Upstream() as web_server, Gateway(web({"connections_max": 20}, threads=1), {"web": [web_server.address]}) as gateway:
        clients = [gateway.connect() for _ in range(20)]
        for client in clients:
            assert ask(client).status == 200
        assert ask(clients[0]).status == 200   # now the second has been idle for longest
        with gateway.connect() as newcomer:
            assert ask(newcomer).status == 200
            assert is_closed(clients[1])
            assert ask(clients[0]).status == 200
            assert ask(clients[2]).status == 200
        assert gateway.metrics()["havn_gateway_connections_shed_total"] == 1
        assert short_of(gateway)   # that it closes idle ones; or, when none was idle for long at first, that it is full
        close_all(clients)
    assert gateway.errors.count("are closed for new ones") == 1


def test_a_full_edge_does_not_stop_services(havn):
    with Held() as web_server, Upstream() as inner, \
            Gateway({**config([{"path": "/", "service": "web"}], {"inner": {}}), "limits": {"connections_max": 5}},
                    {"web": [web_server.address], "inner": [inner.address]}, services=["inner"]) as gateway:
        clients = [gateway.connect() for _ in range(5)]
        for client in clients:
            client.sendall(GET)
        wait_for(lambda: len(web_server.seen) == 5)
        with gateway.connect() as newcomer:
            newcomer.sendall(GET)
            for _ in range(20):
                assert gateway.request(GET, "service:inner").status == 200
            assert gateway.metrics()["havn_gateway_connections_open"] <= 5 + 1
            assert short_of(gateway) == {"connections": True}
            web_server.answer_now.set()
            assert read_response(newcomer.makefile("rb")).status == 200
        close_all(clients)
    assert gateway.errors.count("none has been idle for long") == 1


def test_one_address_may_have_only_so_many(havn):
    with Upstream() as web_server, Gateway(web({"connections_per_address": 5}, threads=2), {"web": [web_server.address]},
                                           threads=2) as gateway:
        clients = [gateway.connect() for _ in range(5)]
        assert all(ask(client).status == 200 for client in clients)
        for _ in range(20):
            with gateway.connect() as beyond:
                assert is_closed(beyond)
        with gateway.connect(source="127.0.0.2") as other:
            assert ask(other).status == 200
        assert ask(clients[0]).status == 200
        clients.pop().close()

        def let_in():
            with gateway.connect() as again, contextlib.suppress(OSError):
                answer = ask(again)
                return answer and answer.status == 200
            return False
        wait_for(let_in)
        assert gateway.metrics()["havn_gateway_connections_refused_total"] >= 20
        assert short_of(gateway) == {"address": False}
        close_all(clients)
    assert gateway.errors.count("max_connections_per_address") == 1


def test_a_trusted_proxy_may_have_more(havn):
    with Upstream() as web_server, Gateway(web({"connections_per_address": 2}, trusted_proxies=["127.0.0.1"]),
                                           {"web": [web_server.address]}) as gateway:
        clients = [gateway.connect() for _ in range(10)]
        assert all(ask(client).status == 200 for client in clients)
        close_all(clients)


def test_more_idle_clients_than_descriptors_starve_nobody(havn):
    with Upstream() as web_server, Gateway(web({"connections_per_address": 1000000}), {"web": [web_server.address]},
                                           descriptors=256) as gateway:
        idle = []
        for _ in range(10):
            idle += [gateway.connect() for _ in range(100)]
            for _ in range(5):
                assert gateway.request(GET).status == 200
        assert len(os.listdir(f"/proc/{gateway.process.pid}/fd")) < 240
        assert gateway.control("GET", "/status").status == 200
        close_all(idle)
    assert "Too many open files" not in gateway.errors


@pytest.mark.not_sanitized("UBSan opens a pipe to look at memory, and takes its failure for a bad pointer")
def test_when_descriptors_are_short_idle_clients_make_room_for_upstreams_and_newcomers(havn):
    with Upstream() as web_server, Gateway(web({}, threads=1), {"web": [web_server.address]}) as gateway:
        idle = [gateway.connect() for _ in range(40)]
        wait_for(lambda: gateway.metrics()["havn_gateway_connections_open"] == 40)
        used = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (used, used))
        assert ask(idle[-1]).status == 200      # needs a descriptor for the upstream
        for _ in range(30):
            with gateway.connect() as newcomer:
                assert ask(newcomer).status == 200
        assert is_closed(idle[0])
        close_all(idle)
    assert gateway.errors.count("Too many open files") == 1
    assert "LimitNOFILE" in gateway.errors


# --- threads --------------------------------------------------------------------------------------------------

def test_threads_are_as_many_as_told(havn):
    def status():
        return gateway.control("GET", "/status").json()

    def threads_of_the_process():
        return len(os.listdir(f"/proc/{gateway.process.pid}/task"))

    def served():   # counted after the answer is on its way
        return gateway.metrics()['havn_gateway_requests_total{route="/",code="2xx"}']
    settings = web({})
    with Upstream() as web_server, Gateway({**settings, "threads": 1}, {"web": [web_server.address]}, threads=2) as gateway:
        assert status()["threads"] == 1
        alone = threads_of_the_process()
        with gateway.connect() as client:
            assert ask(client).status == 200
            assert gateway.control("PUT", "/config", {**settings, "threads": 4}).status == 200
            assert status()["threads"] == 4
            assert threads_of_the_process() == alone + 3
            assert ask(client).status == 200
            assert all(gateway.request(GET).status == 200 for _ in range(50))
            wait_for(lambda: served() == 52)
            assert gateway.control("PUT", "/config", {**settings, "threads": 1}).status == 200
            wait_for(lambda: threads_of_the_process() == alone)
            assert ask(client).status == 200
            assert all(gateway.request(GET).status == 200 for _ in range(20))
            wait_for(lambda: served() == 52 + 21)
        gateway.set_endpoints({"web": []})   # answered by the threads that are left
        gateway.link.wait({"type": "drained", "endpoint": web_server.address})


def test_waiting_requests_hold_little(havn):
    with Held() as web_server, Gateway(web({}), {"web": [web_server.address]}) as gateway:
        def wait_together(count):
            clients = [gateway.connect() for _ in range(count)]
            for client in clients:
                client.sendall(GET)
            return clients
        first = wait_together(50)
        wait_for(lambda: len(web_server.seen) == 50)
        before = gateway.memory()
        more = wait_together(400)
        wait_for(lambda: len(web_server.seen) == 450)
        assert grew_at_most(gateway, before, 400 * 16384)
        web_server.answer_now.set()
        assert all(read_response(client.makefile("rb")).status == 200 for client in first + more)
        close_all(first + more)
