"""Four gigabytes of work through one queue, and now and then a message that nobody ever fetches, on a small disk.

Sixty segments have one or two messages left each. The log is rewritten: its size does not grow, publishers are never held back, and
in the end, after a kill, every forgotten message is there.
"""

import os
import signal
import statistics
import subprocess
import threading
import time

import pika
import pytest

from harness import wait_for
from soaks import metrics, save

DISK_MIB, BODY, MESSAGES, FORGOTTEN_EVERY, WINDOW = 1024, b"x" * 40_000, 100_000, 1_000, 1_000
SEGMENT_MIB = 64
PERSISTENT = pika.BasicProperties(delivery_mode=2)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


class Consumer(threading.Thread):
    """Does the work as it comes."""

    def __init__(self, platform):
        super().__init__()
        self.url, self.done, self.stop = platform.amqp_url, 0, threading.Event()

    def run(self):
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=500)
            for method, _, _ in channel.consume("work", inactivity_timeout=0.5):
                if self.stop.is_set():
                    return
                if method:
                    self.done += 1
                    if self.done % 100 == 0 or method.delivery_tag == MESSAGES:
                        channel.basic_ack(method.delivery_tag, multiple=True)


def used_mib(folder):
    total = 0
    for entry in os.scandir(folder):
        try:
            total += entry.stat().st_blocks * 512
        except FileNotFoundError:
            continue   # it was just removed
    return total / (1 << 20)


def publish(platform, consumer, disk, figures):
    """All of it, no further ahead of the consumer than WINDOW; what the disk held meanwhile."""
    forgotten, used, confirms = 0, [], []
    parameters = pika.URLParameters(platform.amqp_url)
    parameters.blocked_connection_timeout = 10
    with pika.BlockingConnection(parameters) as connection, pika.BlockingConnection(parameters) as other:
        channel, confirmed = connection.channel(), other.channel()
        confirmed.confirm_delivery()
        for number in range(1, MESSAGES + 1):
            channel.basic_publish("", "work", BODY, PERSISTENT)
            if number % FORGOTTEN_EVERY == 0:
                began = time.perf_counter()
                confirmed.basic_publish("", "forgotten", b"%d" % forgotten, PERSISTENT)
                confirms.append((time.perf_counter() - began) * 1000)
                forgotten += 1
                used.append(used_mib(disk))
                assert metrics(platform)["havn_broker_publishers_held_back"] == 0
            if number % 100 == 0:
                wait_for(lambda: number - consumer.done < WINDOW, 60, "the consumer", every=0.005)
    figures.update(forgotten=forgotten, disk_most_mib=round(max(used), 1), disk_median_mib=round(statistics.median(used), 1),
                   disk_most_of_first_half_mib=round(max(used[:len(used) // 2]), 1),
                   confirm_median_ms=round(statistics.median(confirms), 2), confirm_max_ms=round(max(confirms), 2))
    return forgotten


@needs_root
@pytest.mark.time_limit(600)
def test_forgotten_messages_do_not_fill_the_disk(platform):
    platform.manifest("""
        [queue.work]
        [queue.forgotten]
    """)
    disk, figures = platform.data / "queue", {"messages": MESSAGES, "disk_mib": DISK_MIB}
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", disk], check=True)
    try:
        platform.up()
        consumer = Consumer(platform)
        consumer.start()
        try:
            began = time.monotonic()
            forgotten = publish(platform, consumer, disk, figures)
            wait_for(lambda: consumer.done == MESSAGES, 60, "the work to be done")
            figures["seconds"] = round(time.monotonic() - began, 1)
        finally:
            consumer.stop.set()
            consumer.join()
        figures["published_mib"] = round(MESSAGES * len(BODY) / (1 << 20))
        wait_for(lambda: metrics(platform)["havn_broker_log_sealed_bytes"] < (SEGMENT_MIB << 20) / 4, 30, "the rest to be rewritten")
        figures["moved_messages"] = metrics(platform)["havn_broker_log_moved_messages_total"]
        figures["moved_mib"] = round(metrics(platform)["havn_broker_log_moved_bytes_total"] / (1 << 20), 2)
        figures["disk_at_the_end_mib"] = round(used_mib(disk), 1)
        killed = time.monotonic()
        platform.kill("broker", signal.SIGKILL)
        bodies = fetch_all(platform, forgotten)
        figures["back_and_fetched_seconds"] = round(time.monotonic() - killed, 2)
    finally:
        platform.run("down")
        subprocess.run(["umount", "-l", disk], check=True)
    save("forgotten_messages", **figures)
    assert bodies == [b"%d" % number for number in range(forgotten)]
    assert figures["moved_messages"] >= forgotten / 2
    # What was published within the last seconds waits for its consumers before it is rewritten; no more than that.
    assert figures["disk_most_mib"] <= figures["disk_most_of_first_half_mib"] + 2 * SEGMENT_MIB
    assert figures["disk_median_mib"] < figures["published_mib"] / 5
    assert figures["disk_at_the_end_mib"] < 3 * SEGMENT_MIB


def fetch_all(platform, count):
    def connect():
        try:
            return pika.BlockingConnection(pika.URLParameters(platform.amqp_url))
        except pika.exceptions.AMQPError as error:
            raise OSError(error) from error
    bodies = []
    with wait_for(connect, 20, "the broker to be back") as connection:
        channel = connection.channel()
        while len(bodies) < count:
            method, _, body = channel.basic_get("forgotten", auto_ack=True)
            if not method:
                break
            bodies.append(body)
    return bodies
