"""The broker on a full file system of its own: it starts there, is drained, and takes messages again."""

import contextlib
import http.client
import json
import os
import socket
import subprocess

import pika
import pytest

from amqp_raw import HEARTBEAT, METHOD, RawConnection, frame, method, publish
from broker_alone import BrokerAlone
from gateway_harness import Gateway, config
from harness import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
PERSISTENT = pika.BasicProperties(delivery_mode=2)


@pytest.fixture
def broker(havn):
    with BrokerAlone(havn) as alone:
        queue = f"{alone.folder}/queue"
        os.makedirs(queue)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", queue], check=True)
        try:
            yield alone
        finally:
            if alone.process and alone.process.poll() is None:
                alone.kill()
            subprocess.run(["umount", queue], check=True)


def status(broker):
    connection = http.client.HTTPConnection("broker")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(f"{broker.folder}/run/broker.sock")
    connection.request("GET", "/status")
    with contextlib.closing(connection):
        return json.load(connection.getresponse())


def take_slack(broker):
    """Leaves nothing of what the broker had set aside but its reserve: a disk full to the last block."""
    queue = f"{broker.folder}/queue"
    for name in ("spare", "spare.new"):   # the latter one when it was killed while it made one
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{queue}/{name}")
    for name in os.listdir(queue):
        if name.endswith(".log"):
            with open(f"{queue}/{name}", "rb+") as segment:
                written = len(segment.read().rstrip(b"\0"))
                segment.truncate((written + 4095) // 4096 * 4096)
    fill(broker)


def publish_many(broker, queue, count):
    """Confirmed messages of 2 KB each in a durable queue."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True)
        for _ in range(count):
            channel.basic_publish("", queue, b"x" * 2000, PERSISTENT)


def fill(broker):
    """Takes what space is left, as another program might."""
    with open(f"{broker.folder}/queue/filler", "ab", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 65536)
        with contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 512)


def start_on_a_full_disk(broker):
    """Kills it, and starts it where nothing is left but its reserve; what it may have freed as it started is taken, too."""
    for _ in range(5):
        broker.kill()
        take_slack(broker)
        broker.start()
        with contextlib.suppress(AssertionError):
            return wait_for(lambda: status(broker)["held_back"], 5)
    raise AssertionError(f"it is not held back\n{broker.log()}")


@needs_root
def test_a_broker_killed_on_a_full_disk_starts_there_is_drained_and_takes_messages_again(broker):
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q", durable=True)
        for number in range(3000):
            channel.basic_publish("", "q", f"{number}:".encode() + b"x" * 2000, PERSISTENT)
    broker.kill()
    take_slack(broker)

    broker.start()
    wait_for(lambda: status(broker)["held_back"], 20)
    now = status(broker)
    assert "No space left" in now["held_back_cause"] and now["held_back_since"] > 0, now
    assert "publishers are held back" in broker.log()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        for number in range(3000):
            method, _, body = channel.basic_get("q")
            assert body.startswith(f"{number}:".encode())
            channel.basic_ack(method.delivery_tag)
    wait_for(lambda: not status(broker)["held_back"], 20)
    assert "there is space again" in broker.log()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "q", b"again", PERSISTENT)
    broker.kill()
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        assert connection.channel().basic_get("q")[2] == b"again"


@needs_root
def test_a_publisher_that_is_held_back_is_not_taken_for_dead(broker):
    broker.start()
    publish_many(broker, "q", 3000)
    start_on_a_full_disk(broker)
    with RawConnection(broker.url) as raw:
        raw.login(heartbeat=1).send(method(1, 85, 10, b"\0"))
        raw.expect(85, 11)
        raw.send(publish(1, "q", b"held", persistent=True))
        for _ in range(8):   # four seconds: a client that is silent is dropped after two
            kind, _, _ = raw.read_frame()
            assert kind == HEARTBEAT
            raw.send(frame(HEARTBEAT, 0, b""))
        os.remove(f"{broker.folder}/queue/filler")
        wait_for(lambda: not status(broker)["held_back"], 20)
        while (got := raw.read_frame())[0] == HEARTBEAT:
            raw.send(frame(HEARTBEAT, 0, b""))
        assert (got[0], got[2][:4]) == (METHOD, b"\0\x3c\0\x50"), "confirmed"


POST = b"POST /buy HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"


@needs_root
def test_a_job_is_refused_at_once_also_by_a_broker_that_was_restarted_on_a_full_disk(broker):
    broker.start()
    publish_many(broker, "orders", 1000)
    settings = {**config([{"path": "/buy", "queue": "orders"}]), "broker": {
        "address": broker.local_address, "user": "guest", "password": "guest", "confirm_timeout_ms": 600_000}}
    with Gateway(settings, threads=1) as gateway:
        assert gateway.request(POST).status == 202
        start_on_a_full_disk(broker)
        answer = gateway.request(POST)   # were it held, only its timeout would tell, in ten minutes
        assert answer.status == 503 and b"disk is full" in answer.body and b"not accepted" in answer.body
        os.remove(f"{broker.folder}/queue/filler")
        wait_for(lambda: gateway.request(POST).status == 202, 20, "jobs to be taken again")


@needs_root
def test_an_empty_queue_takes_a_few_megabytes(broker):
    broker.start()
    used = sum(os.stat(entry).st_blocks * 512 for entry in os.scandir(f"{broker.folder}/queue"))
    assert used <= 8 << 20
