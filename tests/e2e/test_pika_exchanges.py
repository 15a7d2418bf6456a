"""Exchanges and bindings as pika's blocking adapter uses them. AMQP_UNDER_TEST: see conftest.py."""

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker

from refusal import refusal

TYPES = ["direct", "fanout", "topic", "headers"]


@pytest.fixture
def exchange(channel, name):
    """exchange("topic", …) declares one with a name of its own, deleted after the test."""
    made = []

    def declare(kind, **options):
        made.append(f"{name}.{kind}.{len(made)}")
        channel.exchange_declare(made[-1], kind, **options)
        return made[-1]

    yield declare
    with channel.connection.channel() as cleaner:
        for each in made:
            cleaner.exchange_delete(each)


@pytest.fixture
def bodies(channel):
    """bodies(queue): everything that waits in it."""

    def take(queue):
        taken = []
        while (got := channel.basic_get(queue, auto_ack=True))[0]:
            taken.append(got[2])
        return taken

    channel.confirm_delivery()  # a publish returns when the message is where it belongs
    return take


def own_queue(channel):
    return channel.queue_declare("", exclusive=True).method.queue


# --- declare and delete

@pytest.mark.parametrize("kind", TYPES)
def test_an_exchange_is_declared_found_and_deleted(channel, name, kind):
    channel.exchange_declare(name, kind)
    channel.exchange_declare(name, kind, passive=True)
    channel.exchange_delete(name)
    with refusal(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        channel.exchange_declare(name, passive=True)


def test_declaring_the_same_again_is_fine(channel, exchange):
    name = exchange("topic", durable=True)
    channel.exchange_declare(name, "topic", durable=True)


@pytest.mark.parametrize("change, text", [
    ({"exchange_type": "fanout"}, "inequivalent arg 'type' .*received 'fanout' but current is 'direct'"),
    ({"durable": True}, "inequivalent arg 'durable' .*received 'true' but current is 'false'"),
    ({"auto_delete": True}, "inequivalent arg 'auto_delete'"),
    ({"internal": True}, "inequivalent arg 'internal'"),
])
def test_declaring_it_otherwise_is_refused(channel, exchange, change, text):
    name = exchange("direct")
    with refusal(406, f"PRECONDITION_FAILED - {text}"):
        channel.exchange_declare(name, **{"exchange_type": "direct", **change})


def test_an_unknown_type_is_refused(connection, name):
    with pytest.raises((ConnectionClosedByBroker, ChannelClosedByBroker)) as caught:
        connection.channel().exchange_declare(name, "no-such-type")
    assert caught.value.reply_code in (503, 406)  # RabbitMQ 3.10: COMMAND_INVALID; later ones: 406


@pytest.mark.parametrize("predeclared, kind", [("amq.direct", "direct"), ("amq.fanout", "fanout"),
                                               ("amq.topic", "topic"), ("amq.headers", "headers"),
                                               ("amq.match", "headers")])
def test_the_standard_exchanges_are_there(channel, predeclared, kind):
    channel.exchange_declare(predeclared, kind, passive=True)
    channel.exchange_declare(predeclared, kind, durable=True)


def test_names_that_begin_with_amq_are_reserved(channel):
    with refusal(403, "ACCESS_REFUSED"):
        channel.exchange_declare("amq.mine", "direct")


@pytest.mark.parametrize("name", ["amq.topic", ""])
def test_standard_exchanges_cannot_be_deleted(channel, name):
    with refusal(403, "ACCESS_REFUSED"):
        channel.exchange_delete(name)


def test_deleting_what_is_not_there_is_fine(channel, name):
    channel.exchange_delete(name)
    assert channel.is_open


def test_an_exchange_in_use_is_not_deleted_if_unused(channel, exchange, queue):
    name = exchange("direct")
    channel.queue_bind(queue, name, "key")
    with refusal(406, "PRECONDITION_FAILED"):
        channel.exchange_delete(name, if_unused=True)


def test_an_unused_one_is(channel, name):
    channel.exchange_declare(name, "direct")
    channel.exchange_delete(name, if_unused=True)
    with refusal(404, "NOT_FOUND"):
        channel.exchange_declare(name, passive=True)


def test_an_auto_delete_exchange_goes_with_its_last_binding(channel, name, queue):
    channel.exchange_declare(name, "direct", auto_delete=True)
    channel.queue_bind(queue, name, "one")
    channel.queue_bind(queue, name, "two")
    channel.queue_unbind(queue, name, "one")
    channel.exchange_declare(name, "direct", passive=True)
    channel.queue_unbind(queue, name, "two")
    with refusal(404, "NOT_FOUND"):
        channel.exchange_declare(name, passive=True)


def test_publishing_to_an_internal_exchange_is_refused(channel, exchange):
    name = exchange("fanout", internal=True)
    channel.confirm_delivery()
    with refusal(403, "ACCESS_REFUSED"):
        channel.basic_publish(name, "", b"x")


# --- bindings

def test_binding_to_a_missing_exchange_or_queue_is_refused(connection, name, queue):
    missing = f"{name}.missing"
    with refusal(404, f"NOT_FOUND - no exchange '{missing}'"):
        connection.channel().queue_bind(queue, missing, "key")
    with refusal(404, f"NOT_FOUND - no queue '{missing}'"):
        connection.channel().queue_bind(missing, "amq.direct", "key")


def test_the_default_exchange_knows_every_queue_and_takes_no_bindings(connection, channel, queue, bodies):
    channel.basic_publish("", queue, b"by name")
    assert bodies(queue) == [b"by name"]
    with refusal(403, "ACCESS_REFUSED"):
        connection.channel().queue_bind(queue, "", "key")
    with refusal(403, "ACCESS_REFUSED"):
        connection.channel().queue_unbind(queue, "", queue)


def test_a_direct_exchange_goes_by_the_exact_key(channel, exchange, queue, bodies):
    name = exchange("direct")
    channel.queue_bind(queue, name, "red")
    for key in ("red", "re", "redd", "", "RED"):
        channel.basic_publish(name, key, key.encode())
    assert bodies(queue) == [b"red"]


def test_a_queue_bound_twice_gets_each_message_once(channel, exchange, queue, bodies):
    name = exchange("topic")
    for pattern in ("a.*", "a.#", "a.b", "a.b"):
        channel.queue_bind(queue, name, pattern)
    channel.basic_publish(name, "a.b", b"once")
    assert bodies(queue) == [b"once"]


def test_an_unbound_queue_gets_nothing_more(channel, exchange, queue, bodies):
    name = exchange("direct")
    channel.queue_bind(queue, name, "key")
    channel.basic_publish(name, "key", b"before")
    channel.queue_unbind(queue, name, "key")
    channel.basic_publish(name, "key", b"after")
    assert bodies(queue) == [b"before"]


def test_unbinding_what_was_never_bound_is_fine(channel, exchange, queue):
    channel.queue_unbind(queue, exchange("direct"), "key")
    assert channel.is_open


def test_a_fanout_exchange_goes_everywhere(channel, exchange, bodies):
    name = exchange("fanout")
    queues = [own_queue(channel) for _ in range(5)]
    for each in queues:
        channel.queue_bind(each, name, "ignored")
    channel.basic_publish(name, "whatever", b"to all")
    assert [bodies(each) for each in queues] == [[b"to all"]] * 5


@pytest.mark.parametrize("pattern, matching, others", [
    ("a.b.c", ["a.b.c"], ["a.b", "a.b.c.d", "a.b.d", ""]),
    ("a.*.c", ["a.b.c", "a..c"], ["a.c", "a.b.b.c"]),
    ("*", ["a"], ["a.b"]),
    ("#", ["", "a", "a.b.c"], []),
    ("a.#", ["a", "a.b", "a.b.c"], ["b", "aa.b"]),
    ("#.c", ["c", "b.c", "a.b.c"], ["c.d"]),
    ("a.#.z", ["a.z", "a.b.z", "a.b.c.z"], ["a", "z", "a.b"]),
    ("*.#", ["a", "a.b.c"], []),
    ("#.b.#", ["b", "a.b", "b.c", "a.b.c"], ["a.c", "bb"]),
])
def test_a_topic_exchange_goes_by_words(channel, exchange, queue, bodies, pattern, matching, others):
    name = exchange("topic")
    channel.queue_bind(queue, name, pattern)
    for key in matching + others:
        channel.basic_publish(name, key, key.encode())
    assert bodies(queue) == [key.encode() for key in matching]


@pytest.mark.parametrize("arguments, matching, others", [
    ({"x-match": "all", "kind": "pdf", "size": 3},
     [{"kind": "pdf", "size": 3}, {"kind": "pdf", "size": 3, "n": 1}],
     [{"kind": "pdf"}, {"kind": "pdf", "size": 4}, {}, None]),
    ({"x-match": "any", "kind": "pdf", "size": 3}, [{"kind": "pdf"}, {"size": 3}],
     [{"kind": "png", "size": 4}, {}]),
    ({"kind": "pdf"}, [{"kind": "pdf"}], [{"kind": "png"}]),
])
def test_a_headers_exchange_goes_by_headers(channel, exchange, queue, bodies, arguments, matching, others):
    name = exchange("headers")
    channel.queue_bind(queue, name, arguments=arguments)
    for number, headers in enumerate(matching + others):
        channel.basic_publish(name, "", str(number).encode(), pika.BasicProperties(headers=headers))
    assert bodies(queue) == [str(number).encode() for number in range(len(matching))]


def test_deleting_an_exchange_takes_its_bindings_along(channel, exchange, queue, bodies):
    name = exchange("fanout")
    channel.queue_bind(queue, name)
    channel.exchange_delete(name)
    channel.exchange_declare(name, "fanout")
    channel.basic_publish(name, "", b"nobody")
    assert bodies(queue) == []


# --- from exchange to exchange

def test_messages_go_on_from_exchange_to_exchange(channel, exchange, queue, bodies):
    first, second = exchange("topic"), exchange("fanout")
    channel.exchange_bind(second, first, "orders.#")
    channel.queue_bind(queue, second)
    channel.basic_publish(first, "orders.new", b"through both")
    channel.basic_publish(first, "other", b"nowhere")
    assert bodies(queue) == [b"through both"]


def test_an_exchange_unbound_from_another_gets_nothing_more(channel, exchange, queue, bodies):
    first, second = exchange("direct"), exchange("direct")
    channel.exchange_bind(second, first, "key")
    channel.queue_bind(queue, second, "key")
    channel.exchange_unbind(second, first, "key")
    channel.basic_publish(first, "key", b"nowhere")
    assert bodies(queue) == []


def test_exchanges_bound_in_a_circle_deliver_once(channel, exchange, queue, bodies):
    first, second = exchange("fanout"), exchange("fanout")
    channel.exchange_bind(second, first)
    channel.exchange_bind(first, second)
    channel.queue_bind(queue, second)
    channel.basic_publish(first, "", b"once")
    assert bodies(queue) == [b"once"]


def test_binding_to_a_missing_exchange_from_an_exchange_is_refused(connection, exchange, name):
    known = exchange("direct")
    with refusal(404, "NOT_FOUND"):
        connection.channel().exchange_bind(name, known, "key")
    with refusal(404, "NOT_FOUND"):
        connection.channel().exchange_bind(known, name, "key")
