"""What RabbitMQ added and its clients rely on. AMQP_UNDER_TEST: see conftest.py."""

import os

import pika
import pytest

from harness import wait_for
from refusal import hard_refusal, refusal


def get(channel, queue):
    """The next message of the queue, waited for."""
    return wait_for(lambda: (got := channel.basic_get(queue, auto_ack=True))[0] and got, 10, "a message")


@pytest.fixture
def dead(channel):
    """Where dead letters go."""
    return channel.queue_declare("", exclusive=True).method.queue


@pytest.fixture
def confirmed(channel):
    channel.confirm_delivery()
    return channel


def with_dead_letters(channel, name, dead, **arguments):
    channel.queue_declare(name, exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, **arguments})


def test_what_is_rejected_goes_to_the_dead_letter_exchange(confirmed, name, dead):
    with_dead_letters(confirmed, name, dead)
    confirmed.basic_publish("", name, b"no good", pika.BasicProperties(headers={"mine": 1}, message_id="7"))
    method, _, _ = confirmed.basic_get(name)
    confirmed.basic_reject(method.delivery_tag, requeue=False)
    _, properties, body = get(confirmed, dead)
    death, = properties.headers["x-death"]
    assert (body, properties.message_id, properties.headers["mine"]) == (b"no good", "7", 1)
    assert (death["queue"], death["reason"], death["count"], death["exchange"], death["routing-keys"]) == \
        (name, "rejected", 1, "", [name])
    assert properties.headers["x-first-death-queue"] == name
    assert properties.headers["x-first-death-reason"] == "rejected"


def test_what_expires_goes_to_the_dead_letter_exchange(confirmed, name, dead):
    with_dead_letters(confirmed, name, dead, **{"x-message-ttl": 100})
    confirmed.basic_publish("", name, b"late")
    _, properties, body = get(confirmed, dead)
    assert (body, properties.headers["x-death"][0]["reason"]) == (b"late", "expired")


def test_deaths_of_the_same_kind_are_counted(confirmed, name, dead):
    with_dead_letters(confirmed, name, dead)
    confirmed.basic_publish("", name, b"x")
    for count in (1, 2, 3):
        method, _, _ = confirmed.basic_get(name)
        confirmed.basic_nack(method.delivery_tag, requeue=False)
        _, properties, body = get(confirmed, dead)
        assert [death["count"] for death in properties.headers["x-death"]] == [count]
        confirmed.basic_publish("", name, body, properties)


def test_higher_priorities_come_first(confirmed, name):
    confirmed.queue_declare(name, exclusive=True, arguments={"x-max-priority": 5})
    for body, priority in [(b"none", None), (b"low", 1), (b"high", 5), (b"low 2", 1), (b"over", 9)]:
        confirmed.basic_publish("", name, body, pika.BasicProperties(priority=priority))
    bodies = [get(confirmed, name)[2] for _ in range(5)]
    assert bodies == [b"high", b"over", b"low", b"low 2", b"none"]


def test_a_full_queue_drops_its_oldest(confirmed, name):
    confirmed.queue_declare(name, exclusive=True, arguments={"x-max-length": 2})
    for body in (b"1", b"2", b"3"):
        confirmed.basic_publish("", name, body)
    assert [get(confirmed, name)[2] for _ in range(2)] == [b"2", b"3"]
    assert confirmed.basic_get(name)[0] is None


def test_a_full_queue_may_refuse_instead(confirmed, name):
    confirmed.queue_declare(name, exclusive=True,
                            arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    confirmed.basic_publish("", name, b"1")
    with pytest.raises(pika.exceptions.NackError):
        confirmed.basic_publish("", name, b"2")
    assert get(confirmed, name)[2] == b"1"


def test_an_alternate_exchange_gets_what_nobody_else_wants(confirmed, name, dead):
    confirmed.exchange_declare(f"{name}.alternate", "fanout", auto_delete=True)
    confirmed.queue_bind(dead, f"{name}.alternate")
    confirmed.exchange_declare(name, "direct", arguments={"alternate-exchange": f"{name}.alternate"})
    confirmed.basic_publish(name, "nobody", b"x", mandatory=True)
    assert get(confirmed, dead)[2] == b"x"
    confirmed.exchange_delete(name)


def test_a_question_may_be_answered_without_a_queue(connection, channel, queue):
    answers = []
    channel.basic_consume("amq.rabbitmq.reply-to", lambda *delivery: answers.append(delivery), auto_ack=True)
    channel.basic_publish("", queue, b"question",
                          pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="42"))
    server = connection.channel()
    _, properties, _ = get(server, queue)
    assert properties.reply_to.startswith("amq.rabbitmq.reply-to.")
    server.basic_publish("", properties.reply_to, b"answer", pika.BasicProperties(correlation_id="42"))
    wait_for(lambda: connection.process_data_events(time_limit=0.02) or answers, 5, "the answer")
    assert (answers[0][2].correlation_id, answers[0][3]) == ("42", b"answer")


def test_answers_without_a_queue_cannot_be_acknowledged(channel):
    with refusal(406, "PRECONDITION_FAILED"):
        channel.basic_consume("amq.rabbitmq.reply-to", print)


def test_a_published_user_must_be_the_one_logged_in(confirmed, queue):
    with refusal(406, "user_id property set to 'other' but authenticated user was 'guest'"):
        confirmed.basic_publish("", queue, b"x", pika.BasicProperties(user_id="other"))


@pytest.mark.skipif("AMQP_UNDER_TEST" in os.environ, reason="RabbitMQ has transactions")
def test_transactions_are_refused_with_the_alternative_named(channel):
    with hard_refusal(540, "NOT_IMPLEMENTED.*publisher confirms"):
        channel.tx_select()
