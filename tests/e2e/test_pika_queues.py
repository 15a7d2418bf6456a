"""Queues as pika's blocking adapter uses them. AMQP_UNDER_TEST: see conftest.py."""

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from harness import wait_for
from refusal import refusal


def declared(channel, name):
    """What a passive declaration says: message_count and consumer_count."""
    return channel.queue_declare(name, passive=True).method


def exists(connection, name):
    """Whether the queue is there, asked on a channel of its own."""
    channel = connection.channel()
    try:
        declared(channel, name)
    except ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
        return False
    channel.close()
    return True


def fill(channel, queue, count):
    channel.confirm_delivery()
    for number in range(count):
        channel.basic_publish("", queue, str(number).encode())


# --- declare

def test_a_queue_is_declared_found_and_deleted(channel, name):
    assert channel.queue_declare(name).method.queue == name
    found = declared(channel, name)
    assert (found.queue, found.message_count, found.consumer_count) == (name, 0, 0)
    assert channel.queue_delete(name).method.message_count == 0
    with refusal(404, f"NOT_FOUND - no queue '{name}' in vhost '/'"):
        declared(channel, name)


def test_the_broker_makes_up_a_name_when_there_is_none(channel):
    first = channel.queue_declare("", exclusive=True).method.queue
    second = channel.queue_declare("", exclusive=True).method.queue
    assert first.startswith("amq.gen-") and second.startswith("amq.gen-") and first != second


@pytest.mark.parametrize("odd", ["with space", "æøå ☕", "a/b?c=d&e", "x" * 255, "'quoted'"], ids=range(5))
def test_any_name_will_do(channel, odd):
    assert channel.queue_declare(odd, exclusive=True).method.queue == odd
    channel.confirm_delivery()
    channel.basic_publish("", odd, b"x", mandatory=True)
    assert channel.basic_get(odd, auto_ack=True)[2] == b"x"


def test_names_that_begin_with_amq_are_reserved(channel):
    with refusal(403, "ACCESS_REFUSED"):
        channel.queue_declare("amq.mine")


@pytest.mark.parametrize("options", [{}, {"durable": True}, {"exclusive": True}, {"auto_delete": True},
                                     {"arguments": {"x-message-ttl": 60000, "x-expires": 60000}}])
def test_declaring_the_same_again_is_fine(channel, name, options):
    channel.queue_declare(name, **options)
    channel.queue_declare(name, **options)
    channel.queue_delete(name)


@pytest.mark.parametrize("change, text", [
    ({"durable": True},
     "inequivalent arg 'durable' for queue '.*' in vhost '/': received 'true' but current is 'false'"),
    ({"auto_delete": True}, "inequivalent arg 'auto_delete'"),
    ({"arguments": {"x-message-ttl": 1000}}, "inequivalent arg 'x-message-ttl'"),
    ({"arguments": {"x-expires": 1000}}, "inequivalent arg 'x-expires'"),
])
def test_declaring_it_otherwise_is_refused(connection, name, change, text):
    connection.channel().queue_declare(name)
    with refusal(406, f"PRECONDITION_FAILED - {text}"):
        connection.channel().queue_declare(name, **change)
    connection.channel().queue_delete(name)


@pytest.mark.parametrize("arguments", [{"x-message-ttl": -1}, {"x-message-ttl": "soon"},
                                       {"x-expires": 0}, {"x-expires": -5}, {"x-expires": "never"}])
def test_arguments_out_of_bounds_are_refused(channel, name, arguments):
    with refusal(406, f"PRECONDITION_FAILED - invalid arg '{next(iter(arguments))}'"):
        channel.queue_declare(name, arguments=arguments)


def test_an_empty_name_means_the_queue_declared_last(channel, name):
    channel.queue_declare(name, exclusive=True)
    channel.queue_bind("", "amq.direct", f"key.{name}")
    channel.confirm_delivery()
    channel.basic_publish("amq.direct", f"key.{name}", b"x")
    assert channel.basic_get("", auto_ack=True)[2] == b"x"


def test_messages_and_consumers_are_counted(connection, queue):
    channel = connection.channel()
    fill(channel, queue, 5)
    assert declared(channel, queue).message_count == 5
    method, _, _ = channel.basic_get(queue)
    assert method.message_count == 4
    assert declared(channel, queue).message_count == 4
    consumer = connection.channel()
    consumer.basic_consume(queue, lambda *_: None)
    assert declared(channel, queue).consumer_count == 1


# --- exclusive, auto-delete

def test_an_exclusive_queue_belongs_to_its_connection(connect, name):
    owner, other = connect(), connect()
    owner.channel().queue_declare(name, exclusive=True)
    text = f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'"
    for use in (lambda ch: ch.queue_declare(name, exclusive=True), lambda ch: declared(ch, name),
                lambda ch: ch.basic_get(name), lambda ch: ch.basic_consume(name, print),
                lambda ch: ch.queue_purge(name), lambda ch: ch.queue_delete(name),
                lambda ch: ch.queue_bind(name, "amq.direct", "key")):
        with refusal(405, text):
            use(other.channel())


def test_an_exclusive_queue_goes_with_its_connection(connect, name):
    owner, other = connect(), connect()
    owner.channel().queue_declare(name, exclusive=True)
    owner.close()
    wait_for(lambda: not exists(other, name), 5, "the queue to be gone")


def test_an_exclusive_queue_outlives_its_channel(connection, name):
    with connection.channel() as channel:
        channel.queue_declare(name, exclusive=True)
    assert exists(connection, name)


def test_an_auto_delete_queue_goes_with_its_last_consumer(connection, name):
    channel = connection.channel()
    channel.queue_declare(name, auto_delete=True)
    fill(channel, name, 1)
    assert exists(connection, name), "it waits for its first consumer"
    first, second = [channel.basic_consume(name, lambda *_: None) for _ in range(2)]
    channel.basic_cancel(first)
    assert exists(connection, name)
    channel.basic_cancel(second)
    wait_for(lambda: not exists(connection, name), 5, "the queue to be gone")


def test_an_auto_delete_queue_goes_when_the_consumers_connection_does(connect, name):
    consumer, other = connect(), connect()
    channel = consumer.channel()
    channel.queue_declare(name, auto_delete=True)
    channel.basic_consume(name, lambda *_: None)
    consumer.close()
    wait_for(lambda: not exists(other, name), 5, "the queue to be gone")


def test_a_queue_outlives_the_connection_that_declared_it(connect, name):
    first = connect()
    fill_channel = first.channel()
    fill_channel.queue_declare(name)
    fill(fill_channel, name, 3)
    first.close()
    second = connect().channel()
    assert declared(second, name).message_count == 3
    second.queue_delete(name)


# --- purge, unbind, delete

def test_a_purge_says_how_many_went_and_spares_the_unacknowledged(channel, queue):
    fill(channel, queue, 5)
    channel.basic_get(queue)
    assert channel.queue_purge(queue).method.message_count == 4
    assert declared(channel, queue).message_count == 0
    channel.basic_nack(0, multiple=True, requeue=True)
    wait_for(lambda: declared(channel, queue).message_count == 1, 5, "the unacknowledged one to come back")


def test_purging_a_missing_queue_is_refused(channel, name):
    with refusal(404, "NOT_FOUND"):
        channel.queue_purge(name)


def test_a_delete_says_how_many_messages_went_along(channel, name):
    channel.queue_declare(name)
    fill(channel, name, 3)
    assert channel.queue_delete(name).method.message_count == 3


def test_deleting_a_missing_queue_is_fine(channel, name):
    assert channel.queue_delete(name).method.message_count == 0


def test_a_queue_with_messages_is_not_deleted_if_empty(connection, queue):
    channel = connection.channel()
    fill(channel, queue, 1)
    with refusal(406, "PRECONDITION_FAILED"):
        channel.queue_delete(queue, if_empty=True)
    channel = connection.channel()
    channel.queue_purge(queue)
    channel.queue_delete(queue, if_empty=True)
    assert not exists(connection, queue)


def test_a_queue_with_a_consumer_is_not_deleted_if_unused(connection, queue):
    consumer = connection.channel()
    tag = consumer.basic_consume(queue, lambda *_: None)
    with refusal(406, "PRECONDITION_FAILED"):
        connection.channel().queue_delete(queue, if_unused=True)
    consumer.basic_cancel(tag)
    connection.channel().queue_delete(queue, if_unused=True)
    assert not exists(connection, queue)


def test_deleting_a_queue_takes_its_bindings_along(channel, name):
    channel.confirm_delivery()
    channel.queue_declare(name)
    channel.queue_bind(name, "amq.direct", f"key.{name}")
    channel.queue_delete(name)
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.basic_publish("amq.direct", f"key.{name}", b"x", mandatory=True)


# --- time

def test_messages_go_when_the_queues_time_to_live_is_over(channel, name):
    channel.queue_declare(name, exclusive=True, arguments={"x-message-ttl": 150})
    fill(channel, name, 3)
    wait_for(lambda: declared(channel, name).message_count == 0, 5, "the messages to expire")
    assert channel.basic_get(name)[0] is None


def test_messages_go_when_their_own_time_to_live_is_over(channel, queue):
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"short", pika.BasicProperties(expiration="150"))
    channel.basic_publish("", queue, b"long", pika.BasicProperties(expiration="600000"))
    channel.basic_publish("", queue, b"for ever")
    wait_for(lambda: declared(channel, queue).message_count == 2, 5, "the first to expire")
    assert [channel.basic_get(queue, auto_ack=True)[2] for _ in range(2)] == [b"long", b"for ever"]


def test_the_shorter_time_to_live_counts(channel, name):
    channel.queue_declare(name, exclusive=True, arguments={"x-message-ttl": 600000})
    channel.confirm_delivery()
    channel.basic_publish("", name, b"short", pika.BasicProperties(expiration="100"))
    wait_for(lambda: declared(channel, name).message_count == 0, 5, "the message to expire")


def test_a_message_with_a_consumer_waiting_is_delivered_before_it_expires(channel, name):
    channel.queue_declare(name, exclusive=True, arguments={"x-message-ttl": 0})
    seen = []
    channel.basic_consume(name, lambda ch, m, p, body: seen.append(body), auto_ack=True)
    channel.basic_publish("", name, b"now or never")
    while not seen:
        channel.connection.process_data_events(time_limit=0.1)
    assert seen == [b"now or never"]


@pytest.mark.parametrize("expiration", ["soon", "-1", "1.5", ""])
def test_an_expiration_that_is_no_number_is_refused(channel, queue, expiration):
    channel.confirm_delivery()
    with refusal(406, "PRECONDITION_FAILED - invalid expiration"):
        channel.basic_publish("", queue, b"x", pika.BasicProperties(expiration=expiration))


def test_an_unused_queue_goes_when_x_expires_is_over(connection, channel, name):
    channel.queue_declare(name, arguments={"x-expires": 300})
    channel.confirm_delivery()

    def gone():  # publishing, unlike declaring, does not count as use
        try:
            channel.basic_publish("", name, b"x", mandatory=True)
        except pika.exceptions.UnroutableError:
            return True

    wait_for(gone, 5, "the queue to expire")
    assert not exists(connection, name)


def test_a_queue_with_a_consumer_does_not_expire(channel, name):
    channel.queue_declare(name, arguments={"x-expires": 200})
    seen = []
    tag = channel.basic_consume(name, lambda ch, m, p, body: seen.append(body), auto_ack=True)
    channel.connection.process_data_events(time_limit=0.7)
    assert declared(channel, name).consumer_count == 1
    channel.basic_cancel(tag)
