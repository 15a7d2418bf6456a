"""A million mandatory messages that no queue takes, from a client that reads none of its returns.

The broker stops reading it: its memory stays inside the budget, log, `ps` and metrics say it, and another client's confirms take as
long as before. When the client reads at last it is read again; so is one that comes back, and what a dead one had left unread is free.
"""

import resource
import select
import statistics
import threading
import time

import pika
import pytest

from amqp_raw import RawConnection, publish
from harness import free_port, wait_for
from soaks import FLOOR_MS, metrics, save

MESSAGES, BODY_BYTES, BUDGET_MIB, SAMPLES = 1_000_000, 1_000, 64, 1_500
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def resident_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


class Beside:
    """Another client: publishes one durable message after the other, each confirmed, each taken out again."""

    def __init__(self, platform):
        self.connection = pika.BlockingConnection(pika.URLParameters(platform.amqp_url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.channel.queue_declare("beside", durable=True)

    def measure(self):
        times = []
        for _ in range(SAMPLES):
            began = time.perf_counter()
            self.channel.basic_publish("", "beside", b"x" * 200, PERSISTENT)
            times.append((time.perf_counter() - began) * 1000)
        self.channel.queue_purge("beside")
        times.sort()
        return {"p50_ms": round(statistics.median(times), 3), "p99_ms": round(times[SAMPLES * 99 // 100], 3),
                "max_ms": round(times[-1], 3)}


class Flood(threading.Thread):
    """Sends as much as is taken, and reads nothing until it is told to."""

    def __init__(self, platform):
        super().__init__()
        self.raw = RawConnection(platform.amqp_url).login()
        self.raw.socket.setblocking(False)
        self.chunk = publish(1, "nowhere", b"r" * BODY_BYTES, flags=1) * 1000
        self.total, self.sent, self.received = len(self.chunk) * (MESSAGES // 1000), 0, 0
        self.reads, self.stop = threading.Event(), threading.Event()

    def run(self):
        while not self.stop.is_set():
            wanted = [self.raw.socket] if self.reads.is_set() else []
            readable, writable, _ = select.select(wanted, [self.raw.socket] if self.sent < self.total else [], [], 0.05)
            if readable:
                self.received += len(self.raw.socket.recv(1 << 20))
            if writable:
                at = self.sent % len(self.chunk)
                self.sent += self.raw.socket.send(self.chunk[at:at + (1 << 18)])

    def close(self):
        self.stop.set()
        self.join()
        self.raw.socket.close()


def returned_by(platform):
    return metrics(platform)["havn_broker_unroutable_total"]


@pytest.mark.time_limit(300)
def test_a_million_returns_to_a_client_that_does_not_read(platform):
    platform.broker = f"127.0.0.1:{free_port()}"
    platform.manifest(f"""
        [broker]
        listen = ["{platform.broker}"]
        memory = "{BUDGET_MIB}M"
    """)
    platform.up()
    pid, figures = platform.pid_of("broker"), {"messages": MESSAGES, "budget_mib": BUDGET_MIB}
    beside = Beside(platform)
    beside.measure()
    figures["before"], figures["resident_before_mib"] = beside.measure(), round(resident_mib(pid), 1)

    flood = Flood(platform)
    flood.start()
    try:
        wait_for(lambda: metrics(platform)["havn_broker_connections_not_read"] == 1, 30, "the client to be stopped")
        figures["stopped_after_returns"] = returned_by(platform)
        figures["while_stopped"] = beside.measure()
        figures["resident_stopped_mib"] = round(resident_mib(pid), 1)
        figures["memory_stopped_mib"] = round(metrics(platform)["havn_broker_memory_bytes"] / (1 << 20), 1)
        assert returned_by(platform) == figures["stopped_after_returns"], "nothing more is read from it"
        status = platform.run("ps")
        assert status.returncode == 0 and "1 of its clients leave unread" in status.stdout, status
        log = (platform.data / "logs" / "broker.log").read_text()
        assert "were sent to it are unread" in log
        assert metrics(platform)["havn_broker_publishers_held_back"] == 0

        flood.reads.set()   # it reads at last: all million come
        began = time.monotonic()
        figures["while_reading"] = beside.measure()
        wait_for(lambda: returned_by(platform) == MESSAGES, 120, "all to be returned", every=0.2)
        figures["all_returned_seconds"] = round(time.monotonic() - began, 2)
        wait_for(lambda: metrics(platform)["havn_broker_connections_not_read"] == 0, 10, "it is read again")
        figures["returned_mib"] = round(flood.received / (1 << 20), 1)
    finally:
        flood.close()

    for _ in range(40):   # those that die without having read leave nothing: 160 MiB, were it kept
        again = Flood(platform)
        again.start()
        wait_for(lambda: metrics(platform)["havn_broker_connections_not_read"] == 1, 10, "it is stopped")
        again.close()
    wait_for(lambda: metrics(platform)["havn_broker_memory_bytes"] < 2 << 20, 10, "all is given back")
    wait_for(lambda: resident_mib(pid) < figures["resident_before_mib"] + 20, 30, "to the host, too", every=0.5)
    figures["after"], figures["resident_after_mib"] = beside.measure(), round(resident_mib(pid), 1)
    save("returns", floor_ms=FLOOR_MS, **figures)
    assert platform.pid_of("broker") == pid
    assert figures["resident_stopped_mib"] < BUDGET_MIB and figures["memory_stopped_mib"] < 8
    limit = max(2 * figures["before"]["p99_ms"], FLOOR_MS)
    assert figures["while_stopped"]["p99_ms"] <= limit and figures["after"]["p99_ms"] <= limit
