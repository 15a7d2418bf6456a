"""Getting, consuming, acknowledging as pika's blocking adapter does it. AMQP_UNDER_TEST: see conftest.py."""

import socket

import pika
import pytest

from harness import wait_for
from refusal import hard_refusal, refusal


def fill(channel, queue, bodies):
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish("", queue, body)


def take_all(channel, queue):
    """[(body, redelivered)] of everything that waits, taken off the queue."""
    taken = []
    while (got := channel.basic_get(queue, auto_ack=True))[0]:
        taken.append((got[2], got[0].redelivered))
    return taken


def waiting(connection, queue):
    channel = connection.channel()
    count = channel.queue_declare(queue, passive=True).method.message_count
    channel.close()
    return count


class Consumer:
    """Collects what is delivered to a channel of its own."""

    def __init__(self, connection, queue, prefetch=0, shared=False, **options):
        self.connection, self.channel, self.deliveries = connection, connection.channel(), []
        if prefetch:
            self.channel.basic_qos(prefetch_count=prefetch, global_qos=shared)
        self.tag = self.consume(queue, **options)

    def consume(self, queue, **options):
        def collect(*delivery):
            self.deliveries.append(delivery)

        return self.channel.basic_consume(queue, collect, **options)

    @property
    def bodies(self):
        return [delivery[3] for delivery in self.deliveries]

    def expect(self, count, seconds=10):
        """Waits for `count` deliveries in all, then sees whether the broker has more for us."""
        def enough():
            self.connection.process_data_events(time_limit=0.02)
            return len(self.deliveries) >= count
        wait_for(enough, seconds, f"{count} deliveries")
        self.channel.queue_declare("", exclusive=True)  # whatever was sent before its answer has been handled
        self.connection.process_data_events(time_limit=0)
        assert len(self.deliveries) == count, self.bodies
        return self.bodies

    def ack(self, index, **options):
        self.channel.basic_ack(self.deliveries[index][1].delivery_tag, **options)


# --- basic.get

def test_getting_from_an_empty_queue_gives_nothing(channel, queue):
    assert channel.basic_get(queue) == (None, None, None)


def test_a_message_got_must_be_acknowledged(connection, queue):
    channel = connection.channel()
    fill(channel, queue, [b"x"])
    method, _, body = channel.basic_get(queue)
    assert (body, method.redelivered, method.delivery_tag) == (b"x", False, 1)
    channel.close()
    second = connection.channel()
    method, _, body = second.basic_get(queue)
    assert (body, method.redelivered) == (b"x", True)
    second.basic_ack(method.delivery_tag)
    second.close()
    assert waiting(connection, queue) == 0


def test_getting_from_a_missing_queue_is_refused(channel, name):
    with refusal(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        channel.basic_get(name)


# --- consumers

def test_a_consumer_gets_what_waits_and_what_comes(connection, channel, queue):
    fill(channel, queue, [b"1", b"2"])
    consumer = Consumer(connection, queue)
    consumer.expect(2)
    fill(channel, queue, [b"3"])
    assert consumer.expect(3) == [b"1", b"2", b"3"]
    tags = [method.delivery_tag for _, method, _, _ in consumer.deliveries]
    assert tags == [1, 2, 3]
    assert {method.consumer_tag for _, method, _, _ in consumer.deliveries} == {consumer.tag}


def test_the_client_names_its_consumer_or_the_broker_does(connection, channel, queue):
    fill(channel, queue, [b"x"])
    assert Consumer(connection, queue, consumer_tag="my tag").expect(1)
    assert channel.basic_consume(queue, print, consumer_tag="").startswith(("amq.ctag-", "ctag"))


def test_a_cancelled_consumer_gets_nothing_more(connection, channel, queue):
    consumer = Consumer(connection, queue, auto_ack=True)
    fill(channel, queue, [b"before"])
    consumer.expect(1)
    consumer.channel.basic_cancel(consumer.tag)
    fill(channel, queue, [b"after"])
    assert consumer.expect(1) == [b"before"]
    assert take_all(channel, queue) == [(b"after", False)]


def test_cancelling_leaves_what_was_delivered_with_the_channel(connection, channel, queue):
    fill(channel, queue, [b"x"])
    consumer = Consumer(connection, queue)
    consumer.expect(1)
    consumer.channel.basic_cancel(consumer.tag)
    consumer.ack(0)
    consumer.channel.close()
    assert waiting(connection, queue) == 0


def test_the_generator_hands_out_messages_and_gives_back_the_rest(connection, channel, queue):
    fill(channel, queue, [str(n).encode() for n in range(5)])
    reader = connection.channel()
    for method, _, body in reader.consume(queue):
        reader.basic_ack(method.delivery_tag)
        if body == b"1":
            break
    reader.cancel()
    assert [body for body, _ in take_all(channel, queue)] == [b"2", b"3", b"4"]


def test_the_generator_wakes_up_now_and_then(channel, queue):
    for method, properties, body in channel.consume(queue, inactivity_timeout=0.05):
        assert (method, properties, body) == (None, None, None)
        break
    channel.cancel()


def test_a_consumer_hears_when_its_queue_is_deleted(connection, channel, name):
    channel.queue_declare(name)
    consumer = Consumer(connection, name)
    heard = []
    consumer.channel.add_on_cancel_callback(lambda frame: heard.append(frame.method.consumer_tag))
    channel.queue_delete(name)
    wait_for(lambda: connection.process_data_events(time_limit=0.02) or heard, 5, "basic.cancel")
    assert heard == [consumer.tag]
    assert consumer.channel.is_open


def test_a_consumer_of_a_missing_queue_is_refused(channel, name):
    with refusal(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        channel.basic_consume(name, print)


def test_an_exclusive_consumer_stays_alone(connection, channel, queue):
    first = Consumer(connection, queue, exclusive=True)
    with refusal(403, "ACCESS_REFUSED - queue '.*' in vhost '/' in exclusive use"):
        connection.channel().basic_consume(queue, print)
    first.channel.basic_cancel(first.tag)
    Consumer(connection, queue)
    with refusal(403, "ACCESS_REFUSED"):
        connection.channel().basic_consume(queue, print, exclusive=True)


def test_consumers_take_turns(connection, channel, queue):
    first, second = Consumer(connection, queue, prefetch=10), Consumer(connection, queue, prefetch=10)
    fill(channel, queue, [str(n).encode() for n in range(10)])
    assert len(first.expect(5)) == len(second.expect(5))
    assert sorted(first.bodies + second.bodies) == [str(n).encode() for n in range(10)]


def test_one_channel_may_consume_from_several_queues(connection, channel, queue):
    other = channel.queue_declare("", exclusive=True).method.queue
    consumer = Consumer(connection, queue)
    second = consumer.consume(other)
    fill(channel, queue, [b"one"])
    consumer.expect(1)
    fill(channel, other, [b"two"])
    assert consumer.expect(2) == [b"one", b"two"]
    assert (consumer.deliveries[1][1].consumer_tag, consumer.deliveries[1][1].delivery_tag) == (second, 2)


def test_a_callback_may_publish_acknowledge_and_cancel(channel, queue):
    seen = []

    def again(ch, method, properties, body):
        seen.append(body)
        ch.basic_ack(method.delivery_tag)
        if len(seen) < 5:
            ch.basic_publish("", queue, body + b"!")
        else:
            ch.stop_consuming()

    channel.basic_consume(queue, again)
    channel.basic_publish("", queue, b"x")
    channel.start_consuming()
    assert seen == [b"x", b"x!", b"x!!", b"x!!!", b"x!!!!"]


def test_a_question_is_answered_over_reply_to(connection, channel, queue):
    def answer(ch, method, properties, body):
        ch.basic_publish("", properties.reply_to, body.upper(),
                         pika.BasicProperties(correlation_id=properties.correlation_id))

    server = connection.channel()
    server.basic_consume(queue, answer, auto_ack=True)
    answers = channel.queue_declare("", exclusive=True).method.queue
    asker = Consumer(connection, answers, auto_ack=True)
    channel.basic_publish("", queue, b"hello", pika.BasicProperties(reply_to=answers, correlation_id="42"))
    assert asker.expect(1) == [b"HELLO"]
    assert asker.deliveries[0][2].correlation_id == "42"


# --- qos

def test_no_more_than_the_prefetch_is_on_its_way(connection, channel, queue):
    fill(channel, queue, [b"1", b"2", b"3", b"4", b"5"])
    consumer = Consumer(connection, queue, prefetch=2)
    consumer.expect(2)
    consumer.ack(0)
    consumer.expect(3)
    consumer.ack(2, multiple=True)
    assert consumer.expect(5) == [b"1", b"2", b"3", b"4", b"5"]


def test_without_a_prefetch_everything_comes(connection, channel, queue):
    fill(channel, queue, [b"x"] * 300)
    assert len(Consumer(connection, queue).expect(300)) == 300


def test_the_prefetch_does_not_hold_for_those_who_need_not_acknowledge(connection, channel, queue):
    fill(channel, queue, [b"x"] * 10)
    assert len(Consumer(connection, queue, prefetch=1, auto_ack=True).expect(10)) == 10


def test_a_prefetch_holds_for_each_consumer_of_the_channel(connection, channel, queue):
    other = channel.queue_declare("", exclusive=True).method.queue
    fill(channel, queue, [b"x"] * 5)
    fill(channel, other, [b"y"] * 5)
    consumer = Consumer(connection, queue, prefetch=2)
    consumer.consume(other)
    assert sorted(consumer.expect(4)) == [b"x", b"x", b"y", b"y"]


def test_a_global_prefetch_is_shared_by_the_channel(connection, channel, queue):
    other = channel.queue_declare("", exclusive=True).method.queue
    fill(channel, queue, [b"x"] * 5)
    fill(channel, other, [b"y"] * 5)
    consumer = Consumer(connection, queue, prefetch=3, shared=True)
    consumer.consume(other)
    consumer.expect(3)


def test_a_raised_global_prefetch_takes_effect_at_once(connection, channel, queue):
    fill(channel, queue, [b"x"] * 5)
    consumer = Consumer(connection, queue, prefetch=1, shared=True)
    consumer.expect(1)
    consumer.channel.basic_qos(prefetch_count=4, global_qos=True)
    consumer.expect(4)


def test_a_prefetch_in_bytes_is_not_implemented(connection):
    with hard_refusal(540, "NOT_IMPLEMENTED"):
        connection.channel().basic_qos(prefetch_size=1000)


# --- ack, nack, reject, recover

@pytest.fixture
def five(connection, channel, queue):
    """A consumer that holds five unacknowledged messages 0…4."""
    fill(channel, queue, [str(n).encode() for n in range(5)])
    consumer = Consumer(connection, queue, prefetch=5)
    consumer.expect(5)
    return consumer


def left_after(five, channel, queue):
    """What is back in the queue once the consumer has gone."""
    five.channel.close()
    return [body for body, _ in take_all(channel, queue)]


def test_one_is_acknowledged(five, channel, queue):
    five.ack(2)
    assert left_after(five, channel, queue) == [b"0", b"1", b"3", b"4"]


def test_all_up_to_one_are_acknowledged(five, channel, queue):
    five.ack(2, multiple=True)
    assert left_after(five, channel, queue) == [b"3", b"4"]


def test_tag_zero_with_multiple_acknowledges_all(five, channel, queue):
    five.channel.basic_ack(0, multiple=True)
    assert left_after(five, channel, queue) == []


def test_what_is_nacked_without_requeue_is_gone(five, channel, queue):
    five.channel.basic_nack(3, multiple=True, requeue=False)
    assert left_after(five, channel, queue) == [b"3", b"4"]


def test_what_is_nacked_with_requeue_comes_again(five):
    five.channel.basic_nack(3, multiple=True, requeue=True)
    bodies = five.expect(8)
    assert sorted(bodies[5:]) == [b"0", b"1", b"2"]
    assert all(method.redelivered for _, method, _, _ in five.deliveries[5:])


def test_what_is_rejected_without_requeue_is_gone(five, channel, queue):
    five.channel.basic_reject(4, requeue=False)
    assert left_after(five, channel, queue) == [b"0", b"1", b"2", b"4"]


def test_what_is_rejected_with_requeue_comes_again(five):
    five.channel.basic_reject(3, requeue=True)
    assert five.expect(6)[5:] == [b"2"]
    assert five.deliveries[5][1].redelivered


@pytest.mark.parametrize("settle", ["basic_ack", "basic_nack", "basic_reject"])
def test_an_unknown_delivery_tag_closes_the_channel(channel, queue, settle):
    with refusal(406, "PRECONDITION_FAILED - unknown delivery tag 99"):
        getattr(channel, settle)(99)
        channel.queue_declare(queue, passive=True)


def test_acknowledging_twice_closes_the_channel(five):
    five.ack(0)
    with refusal(406, "PRECONDITION_FAILED - unknown delivery tag 1"):
        five.ack(0)
        five.channel.queue_declare("", exclusive=True)


def test_recovering_brings_everything_unacknowledged_again(five):
    five.ack(1)
    five.channel.basic_recover(requeue=True)
    assert sorted(five.expect(9)[5:]) == [b"0", b"2", b"3", b"4"]
    assert all(method.redelivered for _, method, _, _ in five.deliveries[5:])


def test_what_comes_back_takes_its_old_place(five, channel, queue):
    fill(channel, queue, [b"5", b"6"])
    five.channel.basic_cancel(five.tag)
    for tag in (4, 2, 5, 1, 3):
        five.channel.basic_reject(tag, requeue=True)
    five.channel.queue_declare("", exclusive=True)
    assert take_all(channel, queue) == [(str(n).encode(), n < 5) for n in range(7)]


def test_a_closed_channel_gives_back_in_order(five, channel, queue):
    five.ack(0)
    five.channel.close()
    assert take_all(channel, queue) == [(str(n).encode(), True) for n in range(1, 5)]


def test_a_lost_connection_gives_back_everything(connect, connection, channel, name):
    channel.queue_declare(name)
    fill(channel, name, [b"1", b"2", b"3"])
    lost = connect()
    Consumer(lost, name, prefetch=2).expect(2)
    assert waiting(connection, name) == 1
    lost._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: waiting(connection, name) == 3, 10, "the messages to come back")
    assert take_all(channel, name) == [(b"1", True), (b"2", True), (b"3", False)]
    channel.queue_delete(name)


def test_what_need_not_be_acknowledged_is_gone_when_delivered(connection, channel, queue):
    fill(channel, queue, [b"x"] * 3)
    consumer = Consumer(connection, queue, auto_ack=True)
    consumer.expect(3)
    consumer.channel.close()
    assert waiting(connection, queue) == 0


def test_a_consumer_that_cannot_keep_up_loses_nothing(connection, channel, queue):
    fill(channel, queue, [b"x" * 20000] * 300)
    slow = connection.channel()
    slow.basic_qos(prefetch_count=3)
    count = 0
    for method, _, body in slow.consume(queue, inactivity_timeout=1):
        assert method and len(body) == 20000
        slow.basic_ack(method.delivery_tag)
        count += 1
        if count == 300:
            break
    slow.cancel()
    assert waiting(connection, queue) == 0
