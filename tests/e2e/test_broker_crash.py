"""The broker killed fifty times while it takes hundreds of messages at once: what it confirmed is there.

Unlike test_broker_killed.py there is no gateway in between and no waiting for one confirm before the next message:
a kill finds batches half written and confirms half sent.
"""

import os
import random
import signal
import threading
import time

import pika
import pytest

from broker_alone import BrokerAlone
from harness import wait_for

ROUNDS = 50
WINDOW = 500
QUEUE = "crash"


class Publisher(threading.Thread):
    """Keeps WINDOW numbered messages unconfirmed until its connection ends."""

    def __init__(self, url, first):
        super().__init__()
        self.next, self.confirmed, self.in_flight = first, [], {}
        self.connection = pika.SelectConnection(
            pika.URLParameters(url), on_open_callback=self.opened, on_open_error_callback=self.ended,
            on_close_callback=self.ended)
        self.start()

    def run(self):
        self.connection.ioloop.start()

    def opened(self, connection):
        connection.channel(on_open_callback=self.channel_open)

    def channel_open(self, channel):
        self.channel, self.tag = channel, 0
        channel.confirm_delivery(self.answered, callback=lambda _: self.fill())

    def fill(self):
        while len(self.in_flight) < WINDOW:
            self.tag += 1
            self.in_flight[self.tag] = self.next
            body = f"{self.next}:".encode() + b"x" * (self.next * 37 % 700)
            self.channel.basic_publish("", QUEUE, body, pika.BasicProperties(delivery_mode=2))
            self.next += 1

    def answered(self, frame):
        assert isinstance(frame.method, pika.spec.Basic.Ack), frame
        last = frame.method.delivery_tag
        for tag in [tag for tag in self.in_flight if tag == last or (frame.method.multiple and tag < last)]:
            self.confirmed.append(self.in_flight.pop(tag))
        self.fill()

    def ended(self, connection, _reason):
        connection.ioloop.stop()


class Consumer(threading.Thread):
    """Takes and acknowledges a message now and then, until its connection ends."""

    def __init__(self, url):
        super().__init__()
        self.url, self.acknowledged = url, []
        self.start()

    def run(self):
        try:
            channel = pika.BlockingConnection(pika.URLParameters(self.url)).channel()
            while True:
                method, _, body = channel.basic_get(QUEUE)
                if method:
                    self.acknowledged.append(number_of(body))  # before: the ack may arrive and we never hear
                    channel.basic_ack(method.delivery_tag)
        except (pika.exceptions.AMQPError, OSError):
            pass


def number_of(body):
    number, padding = body.split(b":")
    assert padding == b"x" * (int(number) * 37 % 700), "a body is not what was published"
    return int(number)


def drain(url):
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        count = channel.queue_declare(QUEUE, passive=True).method.message_count
        channel.basic_qos(prefetch_count=1000)
        numbers = []
        if count == 0:
            return numbers
        for method, _, body in channel.consume(QUEUE, inactivity_timeout=5):
            assert method, f"{count} messages were announced, {len(numbers)} came"
            numbers.append(number_of(body))
            if len(numbers) % 500 == 0 or len(numbers) == count:
                channel.basic_ack(method.delivery_tag, multiple=True)
            if len(numbers) == count:
                break
        channel.cancel()
        assert channel.queue_declare(QUEUE, passive=True).method.message_count == 0
        return numbers


@pytest.fixture
def broker(havn):
    with BrokerAlone(havn) as alone:
        yield alone.start()


@pytest.mark.time_limit(240)
def test_what_was_confirmed_survives_fifty_kills_in_order_and_once(broker):
    chance = random.Random(4)
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        connection.channel().queue_declare(QUEUE, durable=True)
    confirmed, acknowledged, first = set(), set(), 0
    for _ in range(ROUNDS):
        publisher, consumer = Publisher(broker.url, first), Consumer(broker.url)
        wait_for(lambda: publisher.confirmed, 30, "a confirm", every=0.001)
        time.sleep(chance.random() * 0.1)  # the random moment
        broker.kill()
        publisher.join(30)
        consumer.join(30)
        assert not publisher.is_alive() and not consumer.is_alive()
        confirmed |= set(publisher.confirmed)
        acknowledged |= set(consumer.acknowledged)
        first = publisher.next
        broker.start()

    found = drain(broker.url)
    lost = confirmed - acknowledged - set(found)
    assert not lost, f"{len(lost)} of {len(confirmed)} confirmed messages are gone: {sorted(lost)[:5]} …"
    assert len(set(found)) == len(found), "a message came twice"
    assert found == sorted(found), "out of order"
    assert set(found) <= set(range(first)), "a message nobody published"
    assert len(confirmed) > ROUNDS * 10, "hardly anything was confirmed: the test tried nothing"
    print(f"{len(confirmed)} confirmed, {len(acknowledged)} acknowledged, {len(found)} found")


def test_acknowledged_messages_stay_away_after_an_orderly_stop(broker):
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.confirm_delivery()
        for number in range(20):
            channel.basic_publish("", QUEUE, f"{number}:".encode() + b"x" * (number * 37 % 700),
                                  pika.BasicProperties(delivery_mode=2))
        for _ in range(8):
            method, _, _ = channel.basic_get(QUEUE)
            channel.basic_ack(method.delivery_tag)
    assert broker.kill(signal.SIGTERM) == 0
    broker.start()
    assert drain(broker.url) == list(range(8, 20))


def test_a_stop_tells_the_clients_why(broker):
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    stopping = threading.Thread(target=broker.kill, args=(signal.SIGTERM,))
    stopping.start()
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as closed:
        while True:
            connection.process_data_events(time_limit=1)
    assert closed.value.reply_code == 320
    stopping.join(30)
    assert not stopping.is_alive()


def test_a_second_broker_in_the_same_folder_is_refused(broker):
    first, link = broker.process, broker.link
    with pytest.raises(AssertionError, match="used by another broker"):
        broker.start()
    assert broker.process.wait(30) == 1
    assert first.poll() is None
    broker.process, broker.link = first, link


def test_a_spoilt_record_is_reported_and_the_rest_is_served(broker):
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE, durable=True)
        channel.confirm_delivery()
        for number in range(100, 110):
            channel.basic_publish("", QUEUE, f"{number}:".encode() + b"x" * (number * 37 % 700),
                                  pika.BasicProperties(delivery_mode=2))
    assert broker.kill(signal.SIGTERM) == 0
    spoil(broker, b"104:x")
    broker.start()
    assert drain(broker.url) == [number for number in range(100, 110) if number != 104]
    assert "are spoilt" in broker.log()


def spoil(broker, text):
    for name in os.listdir(f"{broker.folder}/queue"):
        with open(f"{broker.folder}/queue/{name}", "r+b") as segment:
            at = segment.read().find(text)
            if at >= 0:
                segment.seek(at)
                segment.write(b"9")
                return
    raise AssertionError(f"{text} is in no segment")
