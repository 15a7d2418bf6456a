"""Queue routes: 202 only after the broker has confirmed, whatever the broker does."""

import re
import threading
import time

import pytest

from gateway_harness import Gateway, config, read_response
from harness import wait_for
from scripted_broker import ScriptedBroker

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
POST = (b"POST /buy/now?a=1 HTTP/1.1\r\nHost: h\r\nContent-Type: text/x-order\r\nX-Tenant: t1\r\n"
        b"Content-Length: 5\r\n\r\nhello")


def queue_route(broker, **route):
    return {**config([{"path": "/buy", "queue": "orders", "headers": ["X-Tenant"], **route}]),
            "broker": {"address": broker.address, "confirm_timeout_ms": 500}}


def serve(broker, threads=1, **route):
    return Gateway(queue_route(broker, **route), threads=threads)


def test_202_names_the_job_and_comes_after_the_confirm(havn):
    received, confirm = threading.Event(), threading.Event()

    def on_message(message):
        received.set()
        confirm.wait(5)
        message.ack()
    with ScriptedBroker(on_message) as broker, serve(broker) as gateway, gateway.connect() as client:
        client.sendall(POST)
        assert received.wait(5)
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(5)
        confirm.set()
        response = read_response(client.makefile("rb"))
        job = response.json()["job"]
        assert response.status == 202
        assert UUID.fullmatch(job)
        assert response.header("Location") == f"/jobs/{job}"
        message = broker.messages[0]
        assert (message.routing_key, message.mandatory, message.body) == ("orders", 1, b"hello")
        for part in (job.encode(), b"text/x-order", b"\x06method", b"POST", b"/buy/now", b"a=1", b"X-Tenant", b"t1",
                     b"x-forwarded-for", b"127.0.0.1"):
            assert part in message.header


@pytest.mark.parametrize("act,cause", [("give_back", "unroutable"), ("nack", "refused"),
                                       ("close_channel", "refused"), (None, "timeout")])
def test_what_is_not_confirmed_is_never_a_202(havn, act, cause):
    with ScriptedBroker(lambda message: act and getattr(message, act)()) as broker, serve(broker) as gateway:
        response = gateway.request(POST)
        assert (response.status, response.json()["error"]["cause"]) == (503, cause)
        assert response.header("Retry-After")
        broker.on_message = lambda message: message.ack()
        assert gateway.request(POST).status == 202


def test_a_late_confirm_is_dropped(havn):
    first = []

    def on_message(message):
        first.append(message)
        if len(first) == 1:
            threading.Timer(0.7, message.ack).start()
        else:
            message.ack()
    with ScriptedBroker(on_message) as broker, serve(broker) as gateway:
        assert gateway.request(POST).status == 503
        time.sleep(0.4)   # the late one comes meanwhile
        assert gateway.request(POST).status == 202


def test_a_broken_connection_is_made_again_and_the_job_sent_again_under_its_name(havn):
    def on_message(message):
        message.hang_up() if len(broker.messages) == 1 else message.ack()
    with ScriptedBroker(on_message) as broker, serve(broker) as gateway:
        response = gateway.request(POST)
        assert response.status == 202
        assert broker.connections == 2
        assert [response.json()["job"].encode() in message.header for message in broker.messages] == [True, True]


def test_a_broker_that_is_away_is_waited_for(havn, tmp_path):
    path = str(tmp_path / "amqp.sock")

    class Later:
        address = f"unix:{path}"
    with Gateway({**queue_route(Later), "broker": {"address": Later.address, "confirm_timeout_ms": 3000}}) as gateway:
        with gateway.connect() as client:
            client.sendall(POST)
            time.sleep(0.3)
            with ScriptedBroker(lambda message: message.ack(), path):
                assert read_response(client.makefile("rb")).status == 202


def test_many_at_once_share_a_connection_and_a_multiple_confirm(havn):
    last = {}

    def on_message(message):
        last[message.connection] = message
    with ScriptedBroker(on_message) as broker, serve(broker) as gateway:
        clients = [gateway.connect() for _ in range(50)]
        for client in clients:
            client.sendall(POST)
        wait_for(lambda: len(broker.messages) == 50)
        assert broker.connections <= gateway.control("GET", "/status").json()["threads"]
        for message in list(last.values()):
            message.ack(multiple=True)
        answers = [read_response(client.makefile("rb")) for client in clients]
        assert [answer.status for answer in answers] == [202] * 50
        assert len({answer.json()["job"] for answer in answers}) == 50
        for client in clients:
            client.close()


@pytest.mark.parametrize("body", [
    b"Content-Length: 2000\r\n\r\n" + b"x" * 2000,
    b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"])
def test_a_body_past_the_limit_gets_413(havn, body):
    with ScriptedBroker(lambda message: message.ack()) as broker, serve(broker, body_bytes_max=1500) as gateway:
        assert gateway.request(b"POST /buy HTTP/1.1\r\nHost: h\r\n" + body).status == 413
        assert not broker.messages


def test_a_large_chunked_body_arrives_whole_over_small_frames(havn):
    piece = bytes(range(256)) * 40
    with ScriptedBroker(lambda message: message.ack()) as broker, serve(broker) as gateway:
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for _ in range(30)) + b"0\r\n\r\n"
        response = gateway.request(b"POST /buy HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + framed)
        assert response.status == 202
        assert broker.messages[0].body == piece * 30


def test_100_continue_is_given_by_the_gateway(havn):
    with ScriptedBroker(lambda message: message.ack()) as broker, serve(broker) as gateway:
        with gateway.connect() as client:
            stream = client.makefile("rb")
            client.sendall(b"POST /buy HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            assert read_response(stream).status == 100
            client.sendall(b"hi")
            assert read_response(stream).status == 202


def test_jobs_are_counted_and_logged(havn):
    with ScriptedBroker(lambda message: message.ack()) as broker, serve(broker) as gateway:
        assert gateway.request(POST).status == 202
        wait_for(lambda: gateway.metrics()['havn_gateway_jobs_total{queue="orders",outcome="accepted"}'] == 1)
        entry = gateway.access_log(1)[0]
        assert (entry["status"], entry["route"], entry["bytes_in"]) == (202, "/buy", 5)
