"""A full disk for ten minutes (SOAK_SECONDS), in which the broker is killed twice; and a full disk of logs.

The queue stands on a small file system of its own, which something else fills and keeps full. Publishers are held back with
cause, queue routes answer 503 with cause at once, pages are served as before, consumers go on; log, `ps` and metrics say it. When there
is space again everything goes on by itself. Nothing confirmed is lost, though segments are rewritten meanwhile.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time

import pika
import pika.exceptions
import pytest

from harness import PYTHON, wait_for
from soaks import Load, metrics, save, undisturbed

SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
DISK_MIB, BACKLOG, BODY_BYTES, FORGOTTEN_EVERY = 64, 5_000, 8_000, 50
CONSUMED_PER_SECOND = BACKLOG * 0.6 / SECONDS   # so that segments come free, and not all of them
RECOVERY_SECONDS, CHATTY = 15, 12
PERSISTENT = pika.BasicProperties(delivery_mode=2)
CLIENT_FAILURES = (pika.exceptions.AMQPError, OSError)

logging.getLogger("pika").setLevel(logging.CRITICAL)   # it tells of each lost connection at length

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@contextlib.contextmanager
def small_disk(folder, mebibytes):
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


class Worker:
    """A client that goes on for ever on a thread of its own, with a new connection when it has lost one."""

    def __init__(self, platform):
        self.platform, self.stop, self.causes = platform, threading.Event(), {}
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.stop.set()
        self.thread.join()

    def run(self):
        while not self.stop.is_set():
            try:
                parameters = pika.URLParameters(self.platform.amqp_url)
                parameters.blocked_connection_timeout = 5
                parameters.socket_timeout = parameters.stack_timeout = 10
                with pika.BlockingConnection(parameters) as connection:
                    self.work(connection)
            except CLIENT_FAILURES as error:
                self.causes[type(error).__name__] = self.causes.get(type(error).__name__, 0) + 1
                time.sleep(0.2)


class Publisher(Worker):
    """Publishes one after the other and remembers what was confirmed."""

    confirmed, number = None, 0

    def work(self, connection):
        self.confirmed = set() if self.confirmed is None else self.confirmed
        channel = connection.channel()
        channel.confirm_delivery()
        while not self.stop.is_set():
            self.number += 1
            name = f"p{self.number}"
            queue = "forgotten" if self.number % FORGOTTEN_EVERY == 0 else "orders"
            channel.basic_publish("", queue, name.encode() + b":" + b"x" * BODY_BYTES, PERSISTENT)
            self.confirmed.add(name)


class Consumer(Worker):
    """Takes a few messages a second, acknowledges each, and remembers it."""

    def __init__(self, platform, queue, per_second=CONSUMED_PER_SECOND):
        super().__init__(platform)
        self.queue, self.pause, self.received = queue, 1 / per_second, set()

    def work(self, connection):
        channel = connection.channel()
        channel.basic_qos(prefetch_count=20)
        for method, _, body in channel.consume(self.queue, inactivity_timeout=0.5):
            if self.stop.is_set():
                return
            if method:
                self.received.add(body.split(b":", 1)[0].decode())
                channel.basic_ack(method.delivery_tag)
                time.sleep(self.pause)


class Filler:
    """Takes what space there is, and again what comes free, as another program might."""

    def __init__(self, folder):
        self.path, self.stop = folder / "filler", threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.fill()
        self.thread.start()

    def fill(self):
        with open(self.path, "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1 << 9):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def run(self):
        while not self.stop.wait(0.2):
            self.fill()

    def free(self):
        self.stop.set()
        self.thread.join()
        self.path.unlink()


def is_full(platform):
    values = metrics(platform)
    return values["havn_broker_disk_full"] == values["havn_broker_publishers_held_back"] == 1


def well(platform):
    return platform.run("ps", "--quiet").returncode == 0


class Shop:
    """Orders over HTTP, one at a time; what became of each."""

    def __init__(self, platform):
        self.platform, self.number = platform, 0
        self.accepted, self.refused, self.unsure, self.refusal_seconds = set(), {}, {}, []

    def order(self):
        self.number += 1
        name = f"h{self.number}"
        answer = self.platform.post("/buy", f"{name}:order", headers={"Content-Type": "text/plain"})
        if answer.status == 202:
            self.accepted.add(name)
            return answer
        assert answer.status == 503, answer
        error = json.loads(answer.body)["error"]
        assert error["cause"] and error["message"], answer
        if "may have been accepted" in error["message"]:
            self.unsure[name] = error["message"]
        else:
            self.refused[name] = error["message"]
            self.refusal_seconds.append(answer.seconds)
        return answer


SERVICE = """
import asyncio, os

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        for _ in range(data.count(b"\\r\\n\\r\\n")):
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nhere")

async def serve():
    server = await loop.create_server(Answer, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()

loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
"""

MANIFEST = f"""
    [service.web]
    command = "{PYTHON} web.py"

    [queue.orders]
    [queue.forgotten]

    [route."/"]
    service = "web"

    [route."/buy"]
    methods = ["POST"]
    queue = "orders"
"""


def publish_backlog(platform, publisher):
    """As many messages as leave a backlog that outlasts the soak; the publisher goes on with their numbers."""
    publisher.confirmed = set()
    with pika.BlockingConnection(pika.URLParameters(platform.amqp_url)) as connection:
        channel = connection.channel()
        for publisher.number in range(1, BACKLOG + 1):
            queue = "forgotten" if publisher.number % FORGOTTEN_EVERY == 0 else "orders"
            channel.basic_publish("", queue, b"p%d:" % publisher.number + b"x" * BODY_BYTES, PERSISTENT)
            publisher.confirmed.add(f"p{publisher.number}")
        channel.queue_declare("orders", passive=True)   # all were read
        channel.confirm_delivery()
        channel.basic_publish("", "orders", b"p0:last", PERSISTENT)   # confirmed: so are those before it


def full_for_minutes(platform, shop, consumer, pages, figures):
    """What is seen while the disk is full."""
    began, kills = time.monotonic(), [SECONDS / 3, SECONDS * 2 / 3]
    held = checks = restarts = moved = 0
    consumed, served = [len(consumer.received)], []
    while (passed := time.monotonic() - began) < SECONDS:
        shop.order()
        if kills and passed > kills[0]:
            kills.pop(0)
            moved += metrics(platform)["havn_broker_log_moved_messages_total"]
            restarts += 1
            platform.kill("broker", signal.SIGKILL)
            wait_for(lambda: platform.process("broker")["state"] == "ready", 20, "the broker to be back")
        checks += 1
        if is_full(platform):
            held += 1
            done = platform.run("ps")
            if is_full(platform):   # still: then that was no moment in which a segment had come free
                assert done.returncode == 1 and "held back" in done.stdout + done.stderr, done
        if passed > len(consumed) * SECONDS / 10:
            consumed.append(len(consumer.received))
            served.append(pages.end())
            pages.begin()
        time.sleep(0.25)
    # The machine has other work in some of these minutes: the one in the middle is compared.
    figures["pages_full"] = {**sorted(served, key=lambda part: part["p99_ms"])[len(served) // 2],
                             "failed": sum(part["failed"] for part in served)}
    figures.update(checks=checks, held=held, kills=restarts, consumed_each_tenth=[
        after - before for before, after in zip(consumed, consumed[1:])],
        moved_messages=moved + metrics(platform)["havn_broker_log_moved_messages_total"])


@needs_root
@pytest.mark.time_limit(SECONDS + 300)
def test_ten_minutes_of_a_full_disk(platform):
    figures = {"seconds": SECONDS, "disk_mib": DISK_MIB}
    platform.write("web.py", SERVICE)
    platform.manifest(MANIFEST)
    with small_disk(platform.data / "queue", DISK_MIB) as disk:
        try:
            platform.up()
            run(platform, disk, figures)
        finally:
            platform.run("down")
    save("full_disk", **figures)
    assert figures["lost"] == 0 and figures["executed_though_refused"] == 0
    assert figures["held"] > figures["checks"] / 2
    assert min(figures["consumed_each_tenth"]) > 0, "consumers went on all the time"
    assert figures["refused"] > 0 and figures["refusal_median_ms"] < 50 and figures["refusal_max_ms"] < 1000
    assert figures["pages_undisturbed"], (figures["pages_before"], figures["pages_full"])
    assert figures["recovered_seconds"] < RECOVERY_SECONDS


def run(platform, disk, figures):
    publisher, consumer, shop = Publisher(platform), Consumer(platform, "orders"), Shop(platform)
    publish_backlog(platform, publisher)
    with Load(platform.gateway, connections=8, rate=100, paths=["/"]) as pages:
        figures["pages_before"] = pages.measure(1000)
        with publisher, consumer:
            filler = Filler(disk)
            try:
                wait_for(lambda: is_full(platform), 60, "the disk to be full")
                pages.begin()
                full_for_minutes(platform, shop, consumer, pages, figures)
            finally:
                filler.free()
            began, pid, before = time.monotonic(), platform.pid_of("broker"), len(publisher.confirmed)
            wait_for(lambda: shop.order().status == 202 and well(platform), 60, "orders to be taken again")
            wait_for(lambda: len(publisher.confirmed) > before, 60, "publishers to go on")
            figures["recovered_seconds"] = round(time.monotonic() - began, 2)
            assert platform.pid_of("broker") == pid, "by itself"
            publisher.end()
    log = (platform.data / "logs" / "broker.log").read_text()
    assert "no space, publishers are held back" in log and "there is space again" in log
    received = consumer.received
    for queue in ("orders", "forgotten"):
        with Consumer(platform, queue, per_second=100_000) as rest:
            wait_for(lambda: metrics(platform)[f'havn_broker_queue_ready{{queue="{queue}"}}'] == 0
                     and metrics(platform)[f'havn_broker_queue_unacked{{queue="{queue}"}}'] == 0, 120, f"{queue} to be empty")
        received |= rest.received
    refusals = sorted(shop.refusal_seconds)
    figures.update(
        confirmed=len(publisher.confirmed), accepted=len(shop.accepted), refused=len(shop.refused),
        unsure=len(shop.unsure), received=len(received), publisher_failures=publisher.causes,
        refusals=sorted(set(shop.refused.values())), lost=len((publisher.confirmed | shop.accepted) - received),
        executed_though_refused=len(set(shop.refused) & received),
        refusal_median_ms=round(refusals[len(refusals) // 2] * 1000, 1) if refusals else None,
        refusal_max_ms=round(refusals[-1] * 1000, 1) if refusals else None,
        pages_undisturbed=undisturbed(figures["pages_before"], figures["pages_full"]))


@needs_root
@pytest.mark.time_limit(SECONDS + 120)
def test_a_full_disk_of_logs_stops_nothing(platform):
    seconds = max(10, SECONDS // 10)
    # So many that none is killed ten times a minute: then it would have to wait.
    platform.manifest(f"""
        [worker.chatty]
        command = "sh -c 'while true; do echo I have something to say; sleep 0.05; done'"
        instances = {CHATTY}
    """)
    with small_disk(platform.data / "logs", 8) as disk:
        try:
            platform.up()
            filler, restarts = Filler(disk), 0
            try:
                began = time.monotonic()
                while time.monotonic() - began < seconds:
                    pid = platform.kill("chatty", instance=1 + restarts % CHATTY)
                    restarts += 1
                    wait_for(lambda: well(platform) and all(row["pid"] != pid for row in platform.ps()), 30,
                             "the instance to be back", every=0.1)
                    if restarts == 3:
                        platform.kill("supervisor")
                        wait_for(lambda: well(platform), 30, "the supervisor to be back", every=0.1)
                platform.run("restart", "chatty", check=True)
            finally:
                filler.free()
            marks = [len((disk / name).read_bytes()) for name in ("chatty.1.log", "supervisor.log", "events.log")]
            platform.run("restart", "chatty", check=True)
            for before, name in zip(marks, ("chatty.1.log", "supervisor.log", "events.log")):
                wait_for(lambda: len((disk / name).read_bytes()) > before, 10, f"{name} to go on")
        finally:
            platform.run("down")
    save("full_disk_of_logs", seconds=seconds, instances_killed=restarts)
    assert restarts >= 3
