"""What clients can make the broker hold, and how it lets them go: a broker alone, hostile clients beside a good one."""

import json
import os
import resource
import signal
import socket
import struct
import subprocess
import time

import pika
import pytest

from amqp_raw import HEADER, RawConnection, long_string, method, publish, short_string
from broker_alone import BrokerAlone
from harness import wait_for

MEBIBYTE = 1 << 20


@pytest.fixture
def broker(havn):
    with BrokerAlone(havn) as alone:
        yield alone


# All of a client's side up to connection.open, without waiting for the answers.
LOGIN = (HEADER + method(0, 10, 11, long_string(b"") + short_string("PLAIN") + long_string(b"\0guest\0guest")
                         + short_string("en_US"))
         + method(0, 10, 31, struct.pack(">HIH", 2047, 131072, 0)) + method(0, 10, 40, short_string("/") + b"\0\0"))


def configure(broker, **settings):
    os.makedirs(f"{broker.folder}/applied/parts", exist_ok=True)
    with open(f"{broker.folder}/applied/parts/broker.json", "w", encoding="utf-8") as file:
        json.dump({"revision": 1, **settings}, file)
    return broker


def resident(broker):
    with open(f"/proc/{broker.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def ask(broker, path, verb="GET", body=None):
    command = ["curl", "-s", "-m", "20", "--unix-socket", f"{broker.folder}/run/broker.sock", "-X", verb]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return json.loads(subprocess.check_output(command + [f"http://havn{path}"]))


def serves_others(broker):
    """A round trip of another client."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, b"x")
        return channel.basic_get(queue, auto_ack=True)[2] == b"x"


def test_a_client_that_reads_none_of_its_returns_is_stopped_and_others_are_served(broker):
    broker.start()
    returned = publish(1, "nowhere", b"r" * 16_000, flags=1) * 16
    with RawConnection(broker.url) as raw:
        raw.login()
        raw.socket.setblocking(False)
        sent, stalled = 0, time.monotonic()
        while time.monotonic() - stalled < 2 and sent < 1 << 30:
            try:
                sent += raw.socket.send(returned[sent % len(returned):])
                stalled = time.monotonic()
            except BlockingIOError:
                serves_others(broker)
        assert sent < 100 * MEBIBYTE, "pushed back"
        assert resident(broker) < 80 * MEBIBYTE
        assert serves_others(broker)


def flooded(broker):
    """A client whose returns pile up unread until it is not read any more itself."""
    returned = publish(1, "nowhere", b"r" * 16_000, flags=1) * 16
    raw, sent = RawConnection(broker.url).login(), 0
    raw.socket.setblocking(False)
    while not ask(broker, "/status")["connections_not_read"]:
        try:
            while sent < 1 << 30:
                sent += raw.socket.send(returned[sent % len(returned):])
        except BlockingIOError:
            pass
    return raw


def test_who_does_not_read_is_named_and_leaves_nothing_behind(broker):
    broker.start()
    before = ask(broker, "/status")["memory"]
    for _ in range(3):
        with flooded(broker):
            assert ask(broker, "/status")["memory"] > 4 * MEBIBYTE
        wait_for(lambda: ask(broker, "/status")["connections_not_read"] == 0, what="it is gone")
    wait_for(lambda: ask(broker, "/status")["memory"] <= before, what="nothing is held for the dead")
    assert broker.log().count("were sent to it are unread") == 3
    assert serves_others(broker)


def test_those_who_read_nothing_make_room_when_memory_runs_out(broker):
    configure(broker, memory_bytes=64 * MEBIBYTE).start()
    held = []
    try:
        while not ask(broker, "/status")["held_back"]:
            assert len(held) < 40
            held.append(flooded_or_held(broker))
        wait_for(lambda: not ask(broker, "/status")["held_back"], 30, "the largest are closed")
        assert serves_others(broker)
    finally:
        for raw in held:
            raw.socket.close()
    assert "does not read what it was sent" in broker.log()


def flooded_or_held(broker):
    """A client that has left 4 MiB unread, or is held back as there is no memory for that."""
    returned = publish(1, "nowhere", b"r" * 16_000, flags=1) * 16
    before = ask(broker, "/status")["connections_not_read"]
    raw, sent = RawConnection(broker.url).login(), 0
    raw.socket.setblocking(False)
    while True:
        try:
            while sent < 1 << 30:
                sent += raw.socket.send(returned[sent % len(returned):])
        except BlockingIOError:
            pass
        status = ask(broker, "/status")
        if status["connections_not_read"] > before or status["held_back"]:
            return raw


def test_what_a_frozen_consumer_holds_goes_to_others_once_its_heartbeats_are_missed(broker):
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection, RawConnection(broker.url) as frozen:
        channel = connection.channel()
        channel.queue_declare("q", durable=True)
        for _ in range(1_000):
            channel.basic_publish("", "q", b"x" * 20_000)
        frozen.login(heartbeat=1)   # takes more than its socket holds, and is never heard of again
        frozen.send(method(1, 60, 20, b"\0\0" + short_string("q") + short_string("c") + b"\0" + b"\0\0\0\0"))

        def state():
            connection.process_data_events()
            return channel.queue_declare("q", durable=True, passive=True).method
        wait_for(lambda: state().message_count < 1_000, what="messages are on their way to it")
        wait_for(lambda: state().message_count == 1_000 and state().consumer_count == 0, 30, "they are back")
    assert "missed heartbeats" in broker.log()


def test_transient_messages_stop_at_the_budget_and_their_memory_is_given_back(broker):
    configure(broker, memory_bytes=64 * MEBIBYTE).start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as consuming, RawConnection(broker.url) as raw:
        channel = consuming.channel()
        channel.queue_declare("t", durable=False)
        raw.login()
        raw.socket.setblocking(False)
        message, sent = publish(1, "t", b"t" * 100_000), 0
        while sent < 1 << 30 and not ask(broker, "/status")["held_back"]:
            try:
                sent += raw.socket.send(message[sent % len(message):])
            except BlockingIOError:
                pass
        status = ask(broker, "/status")
        assert "memory" in status["reason"] and status["memory"] < 2 * 64 * MEBIBYTE
        assert sent < 200 * MEBIBYTE and resident(broker) < 160 * MEBIBYTE
        with RawConnection(broker.url) as impatient:
            impatient.login().send(publish(1, "t", b"given up"))
        bodies = []
        while (got := channel.basic_get("t", auto_ack=True))[0]:
            bodies.append(got[2])
        assert b"given up" not in bodies
        wait_for(lambda: not ask(broker, "/status")["held_back"], what="publishers are let go")
    assert "low on memory" in broker.log()
    wait_for(lambda: resident(broker) < 60 * MEBIBYTE, 30, "memory is given back")


def test_a_clean_close_is_answered_and_never_reset(broker):
    broker.start()
    close = method(0, 10, 50, struct.pack(">H", 200) + short_string("bye") + b"\0\0\0\0")
    for _ in range(20):
        with RawConnection(broker.url) as raw:
            raw.login()
            raw.socket.sendall(publish(1, "nowhere", b"m" * 100) * 2_000 + close)
            raw.expect(10, 51)
            raw.socket.sendall(close + b"\x08\0\0\0\0\0\0\xce" * 1_000)  # what a hasty client still says
            raw.socket.shutdown(socket.SHUT_WR)
            assert raw.socket.recv(1) == b"", "an end, not a reset"


def test_after_a_clean_close_the_client_hangs_up_first(broker):
    broker.start()
    with RawConnection(broker.url) as raw:
        raw.login()
        raw.socket.sendall(method(0, 10, 50, struct.pack(">H", 200) + short_string("bye") + b"\0\0\0\0"))
        raw.expect(10, 51)
        raw.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            raw.socket.recv(1)
        raw.socket.settimeout(15)
        assert raw.socket.recv(1) == b"", "though not for ever"


def test_beyond_the_limit_connections_are_refused_and_the_log_says_so_once(broker):
    configure(broker, connections_max=20).start()
    held = [RawConnection(broker.url).login() for _ in range(20)]
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", broker.port), timeout=15) as refused:
            assert refused.recv(1) == b""
    assert broker.log().count("max_connections") == 1
    status = ask(broker, "/status")
    assert status["connections"] == 20 and status["connections_max"] == 20
    held.pop().socket.close()
    wait_for(lambda: ask(broker, "/status")["connections"] == 19, what="a place is free")
    held.append(RawConnection(broker.url).login())
    for raw in held:
        raw.socket.close()


@pytest.mark.time_limit(180)
def test_five_thousand_connections_from_a_shell_with_1024_descriptors(broker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"the hard limit of descriptors is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        broker.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 12_000) if hard > 0 else 12_000, hard))
    held = []
    try:
        for _ in range(5_000):
            held.append(RawConnection(broker.url).send(LOGIN))
        for raw in held:
            for answer in ((10, 10), (10, 30), (10, 41)):
                raw.expect(*answer)
        assert ask(broker, "/status")["connections"] == 5_000
        assert serves_others(broker)
    finally:
        for raw in held:
            raw.socket.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_queue_in_the_way_of_a_promised_one_is_named_and_confirms_nothing(broker):
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_declare("orders", durable=False)
        promised = {"revision": 2, "queues": [{"name": "orders"}]}
        answer = ask(broker, "/config", "PUT", promised)
        assert "'orders'" in answer["error"]["message"], answer
        channel.confirm_delivery()
        keep = pika.BasicProperties(delivery_mode=2)
        with pytest.raises(pika.exceptions.NackError):
            channel.basic_publish("", "orders", b"lost", keep, mandatory=True)
        channel.queue_delete("orders")
        assert ask(broker, "/config", "PUT", promised) == {"revision": 2}
        channel.basic_publish("", "orders", b"kept", keep, mandatory=True)
    broker.kill(signal.SIGKILL)
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        assert connection.channel().basic_get("orders", auto_ack=True)[2] == b"kept"


def test_a_wrong_password_is_logged_and_a_private_user_may_log_in(broker):
    configure(broker, users=[{"name": "reports", "password": "pw"}]).start()
    url = broker.url.replace("guest:guest", "reports:pw")
    with pika.BlockingConnection(pika.URLParameters(url)):
        pass
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(pika.URLParameters(broker.url))
    wait_for(lambda: "ACCESS_REFUSED" in broker.log(), what="the refusal is in the log")
    assert "guest:" not in broker.log() and "pw" not in broker.log()
