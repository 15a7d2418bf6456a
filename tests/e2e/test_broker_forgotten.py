"""A few messages that nobody fetches, among many that are: they keep their own place on the disk and no other's."""

import json
import os
import subprocess

import pika
import pytest

from broker_alone import BrokerAlone
from harness import wait_for

PERSISTENT = pika.BasicProperties(delivery_mode=2)
ROUNDS, WORK_PER_ROUND, FORGOTTEN_PER_ROUND, BODY = 7, 500, 3, b"x" * 40_000


@pytest.fixture
def broker(havn):
    with BrokerAlone(havn) as alone:
        yield alone.start()


def status(broker):
    return json.loads(subprocess.check_output(
        ["curl", "-s", "-m", "20", "--unix-socket", f"{broker.folder}/run/broker.sock", "http://havn/status"]))


def on_disk(broker):
    return sum(os.stat(entry).st_blocks * 512 for entry in os.scandir(f"{broker.folder}/queue"))


def work_through_a_round(channel, number):
    """Publishes work, a few messages for nobody among it; then all of the work is done."""
    every = WORK_PER_ROUND // FORGOTTEN_PER_ROUND
    for i in range(WORK_PER_ROUND):
        if i % every == 0 and i // every < FORGOTTEN_PER_ROUND:
            channel.basic_publish("", "forgotten", b"%d:%d" % (number, i // every), PERSISTENT)
        channel.basic_publish("", "work", BODY, PERSISTENT)
    for i, (method, _, _) in enumerate(channel.consume("work")):
        if i == WORK_PER_ROUND - 1:
            channel.basic_ack(method.delivery_tag, multiple=True)
            break
    channel.cancel()


def test_forgotten_messages_do_not_hold_the_disk_and_are_all_there(broker):
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        for queue in ("work", "forgotten"):
            channel.queue_declare(queue, durable=True)
        for number in range(ROUNDS):
            work_through_a_round(channel, number)
        published = ROUNDS * WORK_PER_ROUND * len(BODY)

        def is_small():   # one segment that is written to, a spare one, and little else
            channel.connection.process_data_events()
            return status(broker)["log_bytes"] < 8 << 20 and on_disk(broker) < published - (4 << 20) and status(broker)
        assert not wait_for(is_small, 30, "the log to be rewritten", every=0.2)["held_back"]
        work_through_a_round(channel, ROUNDS)
    broker.kill()
    broker.start()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        assert channel.queue_declare("work", durable=True, passive=True).method.message_count == 0
        bodies = []
        while (got := channel.basic_get("forgotten", auto_ack=True))[0]:
            bodies.append(got[2])
    assert bodies == [b"%d:%d" % (number, i) for number in range(ROUNDS + 1) for i in range(FORGOTTEN_PER_ROUND)]
