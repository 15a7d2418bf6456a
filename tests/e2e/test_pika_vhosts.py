"""Two virtual hosts of one broker, as pika sees them: what is in one is not known in the other."""

import json
import os
import signal

import pika
import pytest
from pika.exceptions import ProbableAccessDeniedError

from broker_alone import BrokerAlone

PERSISTENT = pika.BasicProperties(delivery_mode=2)
CONFIG = {
    "version": 2, "revision": 1,
    "vhosts": [{"name": "/", "queues": []}, {"name": "shop", "queues": [{"name": "orders", "max_attempts": 2}]}],
    "users": [{"name": "guest", "password": "guest", "loopback_only": True, "vhosts": ["/", "shop"]},
              {"name": "clerk", "password": "secret", "vhosts": ["shop"]}],
}


@pytest.fixture
def broker(havn):
    broker = BrokerAlone(havn)
    configure(broker, CONFIG)
    yield broker.start()
    broker.close()


def configure(broker, config):
    folder = f"{broker.folder}/applied/parts"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/broker.json", "w") as file:
        json.dump(config, file)


def connect(broker, vhost, user="guest", password="guest"):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", broker.port, vhost, pika.PlainCredentials(user, password), socket_timeout=15))


def refusal(*where):
    with pytest.raises(ProbableAccessDeniedError) as refused:
        connect(*where)
    return str(refused.value)


def drain(channel, queue):
    bodies = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if not method:
            return bodies
        bodies.append(body)


def fill(broker, vhost, *bodies):
    connection = connect(broker, vhost)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("q", durable=True)
    for body in bodies:
        channel.basic_publish("", "q", body, PERSISTENT)
    connection.close()


def contents(broker, vhost, queue="q"):
    connection = connect(broker, vhost)
    bodies = drain(connection.channel(), queue)
    connection.close()
    return bodies


def test_no_message_crosses_and_a_killed_broker_keeps_both(broker):
    fill(broker, "/", b"a", b"b")
    fill(broker, "shop", b"c")
    broker.kill(signal.SIGKILL)
    broker.start()
    assert contents(broker, "/") == [b"a", b"b"]
    assert contents(broker, "shop") == [b"c"]


@pytest.mark.parametrize("vhost, text", [
    ("/", "NOT_ALLOWED - access to vhost '/' refused for user 'clerk'"), ("none", "NOT_ALLOWED - vhost none not found")])
def test_a_vhost_that_is_not_ones_own_is_refused(broker, vhost, text):
    assert refusal(broker, vhost, "clerk", "secret") == f"ConnectionClosedByBroker: (530) {text!r}"
    connect(broker, "shop", "clerk", "secret").close()


def test_a_vhost_that_leaves_the_configuration_is_there_when_it_is_back(broker):
    fill(broker, "shop", b"kept")
    broker.kill(signal.SIGTERM)
    configure(broker, {**CONFIG, "vhosts": CONFIG["vhosts"][:1]})
    broker.start()
    assert "vhost shop not found" in refusal(broker, "shop")
    broker.kill(signal.SIGKILL)
    configure(broker, CONFIG)
    broker.start()
    assert contents(broker, "shop") == [b"kept"]
