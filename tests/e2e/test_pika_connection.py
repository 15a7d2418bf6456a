"""Connections and channels as pika's blocking adapter uses them. AMQP_UNDER_TEST: see conftest.py."""

import amqp as py_amqp
import pika
import pytest
from pika.exceptions import (AMQPConnectionError, ChannelClosedByBroker, ConnectionClosedByBroker,
                             ProbableAccessDeniedError, ProbableAuthenticationError)


def test_a_connection_opens_and_closes(connect):
    connection = connect()
    assert connection.is_open
    connection.close()
    assert connection.is_closed


def test_the_server_introduces_itself(connection):
    properties = connection._impl.server_properties
    for key in ("product", "version", "platform", "copyright", "information", "capabilities"):
        assert properties.get(key), key


def test_capabilities_pika_relies_on_are_announced(connection):
    assert connection.basic_nack_supported
    assert connection.consumer_cancel_notify_supported
    assert connection.exchange_exchange_bindings_supported
    assert connection.publisher_confirms_supported


def test_a_heartbeat_of_a_minute_is_proposed_and_the_clients_wish_is_taken(connect):
    proposed = []
    connect(heartbeat=lambda _, server: proposed.append(server) or 7)
    assert proposed == [60]


def test_frames_of_128_kib_and_2047_channels_are_proposed(connection):
    assert connection._impl.params.frame_max == 131072
    assert connection._impl.params.channel_max == 2047


def test_a_smaller_frame_size_is_honoured_in_both_directions(connect, name):
    connection = connect(frame_max=4096)
    channel = connection.channel()
    channel.queue_declare(name, exclusive=True)
    body = bytes(range(256)) * 256
    channel.confirm_delivery()
    channel.basic_publish("", name, body)
    assert channel.basic_get(name, auto_ack=True)[2] == body


@pytest.mark.parametrize("user, password", [("guest", "wrong"), ("nobody-we-know", "guest"), ("guest", "")])
def test_a_wrong_password_is_named_as_such(connect, user, password):
    with pytest.raises(ProbableAuthenticationError, match="ACCESS_REFUSED"):
        connect(credentials=pika.PlainCredentials(user, password))


def test_an_unknown_virtual_host_is_refused(connect):
    with pytest.raises((ProbableAccessDeniedError, ConnectionClosedByBroker), match="NOT_ALLOWED|530"):
        connect(virtual_host="no-such-vhost")


def test_amqplain_logs_in_too(amqp):
    url = pika.URLParameters(amqp.url)
    host = f"{url.host}:{url.port}"
    with py_amqp.Connection(host, "guest", "guest", login_method="AMQPLAIN") as connection:
        assert connection.channel().queue_declare(exclusive=True).queue.startswith("amq.gen-")


def test_amqplain_with_a_wrong_password_is_refused(amqp):
    url = pika.URLParameters(amqp.url)
    with pytest.raises(py_amqp.exceptions.AccessRefused):
        py_amqp.Connection(f"{url.host}:{url.port}", "guest", "bad", login_method="AMQPLAIN").connect()


def test_heartbeats_keep_an_idle_connection_open(connect):
    connection = connect(heartbeat=1)
    connection.process_data_events(time_limit=3.5)
    assert connection.channel().is_open


def test_heartbeats_may_be_switched_off(connect):
    connection = connect(heartbeat=0)
    connection.process_data_events(time_limit=0.1)
    assert connection.channel().is_open


def test_many_connections_live_side_by_side(connect, name):
    channels = [connect().channel() for _ in range(20)]
    channels[0].queue_declare(name, auto_delete=True)
    for channel in channels:
        channel.confirm_delivery()
        channel.basic_publish("", name, b"x")
    assert channels[0].queue_declare(name, passive=True).method.message_count == 20
    channels[0].queue_delete(name)


def test_closing_one_connection_leaves_the_others_alone(connect):
    first, second = connect(), connect()
    channel = second.channel()
    first.close()
    assert channel.queue_declare("", exclusive=True).method.queue


def test_another_thread_may_have_the_connection_do_something(connection, channel, queue):
    seen = []
    connection.add_callback_threadsafe(lambda: channel.basic_publish("", queue, b"from a callback"))
    channel.basic_consume(queue, lambda ch, method, properties, body: seen.append(body), auto_ack=True)
    connection.process_data_events(time_limit=0)
    while not seen:
        connection.process_data_events(time_limit=0.1)
    assert seen == [b"from a callback"]


# --- channels

def test_channels_open_and_close_and_their_numbers_are_used_again(connection):
    first = connection.channel()
    number = first.channel_number
    first.close()
    assert first.is_closed
    assert connection.channel(number).channel_number == number


def test_a_client_may_choose_the_channel_number(connection):
    assert connection.channel(77).channel_number == 77
    assert connection.channel().is_open


def test_a_hundred_channels_on_one_connection(connection):
    channels = [connection.channel() for _ in range(100)]
    assert len({channel.channel_number for channel in channels}) == 100
    for channel in channels:
        assert channel.queue_declare("", exclusive=True).method.queue


def test_an_error_closes_its_channel_and_no_other(connection, name):
    broken, sound = connection.channel(), connection.channel()
    with pytest.raises(ChannelClosedByBroker) as caught:
        broken.queue_declare(name, passive=True)
    assert caught.value.reply_code == 404
    assert broken.is_closed and connection.is_open
    assert sound.queue_declare("", exclusive=True).method.queue


def test_the_number_of_a_channel_closed_by_an_error_is_free_again(connection, name):
    broken = connection.channel()
    with pytest.raises(ChannelClosedByBroker):
        broken.queue_declare(name, passive=True)
    again = connection.channel(broken.channel_number)
    assert again.queue_declare("", exclusive=True).method.queue


def test_a_client_may_ask_for_flow(channel):
    assert channel.flow(True) is True


def test_an_error_in_the_middle_of_publishing_does_not_hurt_later_channels(connection, name):
    channel = connection.channel()
    with pytest.raises(ChannelClosedByBroker) as caught:
        for _ in range(50):
            channel.basic_publish(f"{name}.missing", "key", b"x" * 1000)
        channel.queue_declare("", exclusive=True)
    assert caught.value.reply_code == 404
    assert connection.channel().queue_declare("", exclusive=True).method.queue


def test_a_connection_to_nobody_is_an_error_of_the_client(port):
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, connection_attempts=1))
