"""The broker killed right after a 202, at random moments, fifty times: nothing that was accepted is lost."""

import os
import random
import signal
import threading
import time

import pika
import pytest

from harness import wait_for

ROUNDS, CUSTOMERS = 50, 3

MANIFEST = """
    [queue.orders]

    [route."/orders"]
    methods = ["POST"]
    queue = "orders"
"""


class Customers:
    """Threads that order without pause and remember every 202 they got."""

    def __init__(self, platform, count):
        self.platform, self.stop, self.lock = platform, threading.Event(), threading.Lock()
        self.accepted, self.others = {}, []
        self.threads = [threading.Thread(target=self.order, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def order(self, customer):
        number = 0
        while not self.stop.is_set():
            number += 1
            body = f"{customer}:{number}"
            try:
                answer = self.platform.post("/orders", body)
            except OSError as error:
                answer = None
                with self.lock:
                    self.others.append(repr(error))
            with self.lock:
                if answer and answer.status == 202:
                    self.accepted[answer.headers["Location"].removeprefix("/jobs/")] = body
                elif answer:
                    self.others.append(answer.status)
            if not answer or answer.status != 202:
                time.sleep(0.01)  # as a polite client does

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def drain(url, queue):
    """[(message id, body)] of everything in the queue, in order."""
    found = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for method, properties, body in channel.consume(queue, inactivity_timeout=1, auto_ack=True):
            if not method:
                break
            found.append((properties.message_id, body.decode()))
        channel.cancel()
    return found


@pytest.mark.time_limit(240)
def test_nothing_accepted_is_lost_when_the_broker_is_killed_fifty_times(platform):
    chance = random.Random(20)
    platform.manifest(MANIFEST)
    platform.up()
    customers = Customers(platform, CUSTOMERS)
    try:
        for _ in range(ROUNDS):
            seen = len(customers.accepted)
            wait_for(lambda: len(customers.accepted) > seen, 30, "a 202", every=0.001)
            time.sleep(chance.random() * 0.02)  # the random moment
            platform.kill("broker")
    finally:
        customers.end()

    wait_for(lambda: platform.post("/orders", b"last").status == 202, 30, "a last 202")
    found = drain(platform.amqp_url, "orders")
    bodies = dict(found)
    lost = {job: body for job, body in customers.accepted.items() if bodies.get(job) != body}
    assert not lost, f"{len(lost)} of {len(customers.accepted)} accepted orders are gone"
    # What was sent and not yet confirmed when the broker died is sent again, with the same id.
    assert len(found) - len(bodies) <= ROUNDS * CUSTOMERS, "more came twice than can have been under way"
    assert set(customers.others) <= {503}, "only 202 and 503 are honest here"
    for customer in range(CUSTOMERS):
        numbers = [int(body.split(":")[1]) for _, body in found if body.startswith(f"{customer}:")]
        assert numbers == sorted(numbers), "the orders of one customer are out of order"
    print(f"{len(customers.accepted)} accepted, {len(customers.others)} refused, {len(found)} found")


def test_what_waits_in_the_queue_outlives_down_and_up(platform):
    platform.manifest(MANIFEST)
    platform.up()
    jobs = [platform.post("/orders", str(n)).headers["Location"].removeprefix("/jobs/") for n in range(20)]
    platform.run("down", check=True)
    platform.up()
    assert drain(platform.amqp_url, "orders") == [(job, str(n)) for n, job in enumerate(jobs)]


def test_what_was_acknowledged_does_not_come_back_after_a_kill(platform):
    platform.manifest(MANIFEST)
    platform.up()
    for number in range(10):
        assert platform.post("/orders", str(number)).status == 202
    with pika.BlockingConnection(pika.URLParameters(platform.amqp_url)) as connection:
        channel = connection.channel()
        for _ in range(4):
            method, _, _ = channel.basic_get("orders")
            channel.basic_ack(method.delivery_tag)
        channel.queue_declare("orders", passive=True)  # the acknowledgements have been handled
    platform.run("down", check=True)
    platform.up()
    assert [body for _, body in drain(platform.amqp_url, "orders")] == [str(n) for n in range(4, 10)]


def test_while_the_broker_is_away_the_answer_is_never_a_false_202(platform):
    """Stopped, not killed: the gateway cannot have a confirm, so it must say 503 and when to come again."""
    platform.manifest(MANIFEST)
    platform.up()
    assert platform.post("/orders", b"before").status == 202
    pid = platform.pid_of("broker")
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = platform.post("/orders", b"meanwhile", timeout=30)
        assert answer.status == 503, answer
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: platform.post("/orders", b"after").status == 202, 20, "orders to be taken again")


def test_a_pika_publisher_reconnects_and_loses_nothing_confirmed(platform):
    platform.manifest(MANIFEST)
    platform.up()
    confirmed = []

    def publish_until(count):
        number = len(confirmed)
        with pika.BlockingConnection(pika.URLParameters(platform.amqp_url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            while len(confirmed) < count:
                channel.basic_publish("", "orders", str(number).encode(), pika.BasicProperties(
                    delivery_mode=2, message_id=f"id-{number}"), mandatory=True)
                confirmed.append(f"id-{number}")
                number += 1
                if number == count // 2:
                    platform.kill("broker")

    def persistently():
        try:
            publish_until(200)
        except pika.exceptions.AMQPError:
            return False
        return True

    wait_for(persistently, 30, "200 confirms")
    assert set(confirmed) <= {job for job, _ in drain(platform.amqp_url, "orders")}
