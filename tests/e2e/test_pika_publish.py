"""Publishing, returns and confirms as pika uses them. AMQP_UNDER_TEST: see conftest.py."""

import datetime
import decimal

import amqp as py_amqp
import pika
import pytest
from pika.exceptions import UnroutableError

from refusal import refusal


def one(channel, queue):
    """The next message of the queue: (method, properties, body), taken off it."""
    method, properties, body = channel.basic_get(queue, auto_ack=True)
    assert method, "the queue is empty"
    return method, properties, body


@pytest.fixture
def confirmed(channel):
    channel.confirm_delivery()
    return channel


# --- what arrives is what was sent

def test_a_message_arrives_with_its_address(confirmed, queue):
    confirmed.queue_bind(queue, "amq.topic", f"orders.{queue}")
    confirmed.basic_publish("amq.topic", f"orders.{queue}", b"body")
    method, _, body = one(confirmed, queue)
    assert (method.exchange, method.routing_key, method.redelivered, method.message_count, body) == \
        ("amq.topic", f"orders.{queue}", False, 0, b"body")


def test_all_properties_arrive(confirmed, queue):
    sent = pika.BasicProperties(
        content_type="application/json", content_encoding="utf-8", headers={"method": "POST"},
        delivery_mode=2, priority=7, correlation_id="correlation", reply_to="answers", expiration="60000",
        message_id="message-1",
        timestamp=1700000000, type="order", user_id="guest", app_id="shop", cluster_id="cluster")
    confirmed.basic_publish("", queue, b"x", sent)
    assert one(confirmed, queue)[1] == sent


@pytest.mark.parametrize("property, value", [
    ("content_type", "text/plain"), ("content_encoding", "gzip"), ("headers", {}), ("delivery_mode", 1),
    ("priority", 0), ("correlation_id", ""), ("reply_to", "x" * 255), ("message_id", "æøå"),
    ("timestamp", 0),
    ("type", "t"), ("app_id", "a"), ("cluster_id", "c"),
])
def test_one_property_arrives_alone(confirmed, queue, property, value):
    confirmed.basic_publish("", queue, b"x", pika.BasicProperties(**{property: value}))
    assert one(confirmed, queue)[1] == pika.BasicProperties(**{property: value})


@pytest.mark.parametrize("value", [
    True, False, None, 0, -1, 127, 2**31 - 1, -2**31, 2**31, 2**63 - 1, "text", "", "æøå",
    b"\x00\xff", decimal.Decimal("3.14"), datetime.datetime(2024, 2, 29, 12, 30), [1, "two", [3, None]], [],
    {}, {"deep": {"deeper": {"deepest": [True]}}}, "x" * 40000,
], ids=lambda value: repr(value)[:20])
def test_a_header_of_any_type_arrives(confirmed, queue, value):
    confirmed.basic_publish("", queue, b"x", pika.BasicProperties(headers={"value": value}))
    assert one(confirmed, queue)[1].headers == {"value": value}


def test_field_types_pika_cannot_handle_arrive_too(amqp):
    """Floats and negative 64-bit numbers, alone and in arrays and tables, with py-amqp."""
    headers = {"double": 1.5, "long": -2**62, "list": [0.25, True, None, {"n": -3}],
               "nested": {"double": -0.125}, "when": datetime.datetime(2024, 1, 2), "bytes": b"\x00\xff"}
    url = pika.URLParameters(amqp.url)
    with py_amqp.Connection(f"{url.host}:{url.port}", "guest", "guest") as connection:
        channel = connection.channel()
        queue = channel.queue_declare(exclusive=True).queue
        channel.basic_publish(py_amqp.Message(b"x", application_headers=headers), routing_key=queue)
        assert channel.basic_get(queue).headers == headers


FRAME = 131072 - 8  # as much of a body as one frame carries


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 1_000_000, 12_345_678])
def test_bodies_of_any_size_arrive(confirmed, queue, size):
    body = (bytes(range(251)) * (size // 251 + 1))[:size]
    confirmed.basic_publish("", queue, body)
    assert one(confirmed, queue)[2] == body


def test_messages_of_one_channel_keep_their_order(channel, queue):
    for number in range(2000):
        channel.basic_publish("", queue, str(number).encode())
    seen = []
    channel.basic_consume(queue, lambda ch, m, p, body: seen.append(int(body)), auto_ack=True)
    while len(seen) < 2000:
        channel.connection.process_data_events(time_limit=1)
    assert seen == list(range(2000))


def test_channels_of_one_connection_publish_side_by_side(connection, queue):
    channels = [connection.channel() for _ in range(8)]
    for number in range(25):
        for index, channel in enumerate(channels):
            channel.basic_publish("", queue, f"{index}:{number}".encode() + b"." * 5000)
    seen = {index: [] for index in range(8)}
    for channel in channels:
        channel.queue_declare(queue, passive=True)  # everything before it has been handled
    for _ in range(200):
        index, number = one(channels[0], queue)[2].rstrip(b".").split(b":")
        seen[int(index)].append(int(number))
    assert all(numbers == list(range(25)) for numbers in seen.values())


# --- nowhere to go

def test_a_message_nobody_wants_is_dropped_quietly(channel, name):
    channel.basic_publish("", name, b"x")
    channel.basic_publish("amq.topic", name, b"x")
    assert channel.queue_declare("", exclusive=True).method.queue


def test_a_mandatory_message_nobody_wants_comes_back(channel, name):
    returned = []
    channel.add_on_return_callback(lambda *message: returned.append(message[1:]))
    channel.basic_publish("amq.direct", name, b"come back", pika.BasicProperties(message_id="7"),
                          mandatory=True)
    while not returned:
        channel.connection.process_data_events(time_limit=1)
    method, properties, body = returned[0]
    assert (method.reply_code, method.reply_text, method.exchange, method.routing_key) == \
        (312, "NO_ROUTE", "amq.direct", name)
    assert (properties.message_id, body) == ("7", b"come back")


def test_a_mandatory_message_that_arrives_does_not_come_back(confirmed, queue):
    confirmed.basic_publish("", queue, b"x", mandatory=True)
    assert one(confirmed, queue)[2] == b"x"


def test_the_return_comes_before_the_confirm(confirmed, name):
    with pytest.raises(UnroutableError) as caught:
        confirmed.basic_publish("", name, b"x", mandatory=True)
    assert [(m.method.reply_code, m.body) for m in caught.value.messages] == [(312, b"x")]
    confirmed.basic_publish("", name, b"x")  # not mandatory: confirmed


def test_publishing_to_a_missing_exchange_closes_the_channel(confirmed, name):
    with refusal(404, f"NOT_FOUND - no exchange '{name}' in vhost '/'"):
        confirmed.basic_publish(name, "key", b"x")


# --- confirms

@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("delivery_mode", [None, 1, 2])
def test_every_message_is_confirmed_in_every_kind_of_queue(confirmed, name, durable, delivery_mode):
    confirmed.queue_declare(name, durable=durable)
    for _ in range(20):
        confirmed.basic_publish("", name, b"x", pika.BasicProperties(delivery_mode=delivery_mode),
                                mandatory=True)
    assert confirmed.queue_delete(name).method.message_count == 20


def test_a_message_to_several_queues_is_confirmed_once_all_have_it(confirmed, name):
    queues = [f"{name}.{number}" for number in range(3)]
    confirmed.exchange_declare(name, "fanout", auto_delete=True)
    for each in queues:
        confirmed.queue_declare(each, durable=True)
        confirmed.queue_bind(each, name)
    confirmed.basic_publish(name, "", b"x", pika.BasicProperties(delivery_mode=2))
    assert [confirmed.queue_delete(each).method.message_count for each in queues] == [1, 1, 1]


def test_confirm_select_twice_is_fine(connection, queue):
    channel = connection.channel()
    channel.confirm_delivery()
    channel._impl.confirm_delivery(lambda *_: None, lambda *_: None)
    channel.basic_publish("", queue, b"x")
    assert one(channel, queue)[2] == b"x"


def test_a_thousand_messages_in_flight_are_each_confirmed_once(amqp, name):
    """Numbers start at 1 on each channel, and `multiple` stands for all up to its number."""
    confirmed, sent = [], 1000
    waiting = set(range(1, sent + 1))

    def on_confirm(frame):
        tag = frame.method.delivery_tag
        assert isinstance(frame.method, pika.spec.Basic.Ack)
        tags = {t for t in waiting if t <= tag} if frame.method.multiple else {tag} & waiting
        assert tags, f"{tag} was confirmed already"
        waiting.difference_update(tags)
        confirmed.extend(tags)
        if not waiting:
            connection.close()

    def publish(channel):
        for number in range(sent):
            channel.basic_publish("", name, str(number).encode(), pika.BasicProperties(delivery_mode=2))

    def on_channel(channel):
        channel.queue_declare(name, durable=True, callback=lambda _: channel.confirm_delivery(
            on_confirm, callback=lambda _: publish(channel)))

    connection = pika.SelectConnection(pika.URLParameters(amqp.url),
                                       on_open_callback=lambda c: c.channel(on_open_callback=on_channel),
                                       on_close_callback=lambda c, _: c.ioloop.stop())
    connection.ioloop.start()
    assert sorted(confirmed) == list(range(1, sent + 1))
    with pika.BlockingConnection(pika.URLParameters(amqp.url)) as check:
        assert check.channel().queue_delete(name).method.message_count == sent
