"""AMQP no sound client sends: a clear answer, and nobody else notices. AMQP_UNDER_TEST: see conftest.py."""

import os
import random
import struct

import pytest

from amqp_raw import (BODY, CONTENT_HEADER, HEADER, HEARTBEAT, METHOD, RawConnection, frame, long_string,
                      method, publish, short_string)


@pytest.fixture
def raw(amqp):
    """A connection of bytes."""
    with RawConnection(amqp.url) as connection:
        yield connection


@pytest.fixture(autouse=True)
def a_neighbour_is_undisturbed(connection, channel, queue):
    """Whatever a test does, a connection opened before it works after it."""
    yield
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"still here", mandatory=True)
    assert channel.basic_get(queue, auto_ack=True)[2] == b"still here"


def assert_closed(raw, amqp, codes):
    """Closed with one of these codes and a text. RabbitMQ hangs up without a word at times."""
    answer = raw.expect_close()
    if amqp.platform or answer:
        assert answer, "hung up without saying why"
        code, text = answer
        assert code in codes and text, answer


strict = pytest.mark.skipif("AMQP_UNDER_TEST" in os.environ, reason="RabbitMQ 3.10 lets this pass")


# --- before the login

@pytest.mark.parametrize("opening", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"AMQP\x00\x01\x00\x00", b"AMQP\x00\x00\x09\x02",
    b"AMQP\x03\x01\x00\x00",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", bytes(64), b"SSH-2.0-OpenSSH_9.2\r\n",
], ids=["http", "amqp 1.0", "amqp 0-9-2", "amqp with sasl", "tls", "zeros", "ssh"])
def test_another_protocol_is_told_which_one_is_spoken_here(raw, opening):
    raw.send(opening)
    assert raw.read_to_end() == HEADER


def test_a_client_that_hangs_up_in_the_middle_of_a_word_is_no_trouble(amqp):
    for size in range(len(HEADER)):
        with RawConnection(amqp.url) as raw:
            raw.send(HEADER[:size])


def test_a_frame_too_large_to_be_a_login_ends_the_connection(raw):
    raw.send(HEADER)
    raw.expect(10, 10)
    raw.send(frame(METHOD, 0, bytes(1000), size=0x7FFFFFFF))
    assert b"password" not in raw.read_to_end()


def test_a_method_out_of_turn_ends_the_connection(raw):
    raw.send(HEADER)
    raw.expect(10, 10)
    raw.send(method(1, 20, 10, b"\0"))
    raw.read_to_end()


def test_an_unknown_mechanism_ends_the_connection(raw):
    raw.send(HEADER)
    raw.expect(10, 10)
    raw.send(method(0, 10, 11, long_string(b"") + short_string("MAGIC") + long_string(b"")
                    + short_string("en_US")))
    raw.read_to_end()


def test_a_wrong_password_ends_the_connection(raw):
    raw.start(password="wrong")
    raw.read_to_end()  # a client that did not announce authentication_failure_close gets no more than that


@pytest.mark.parametrize("limits", [{"frame_max": 100}, {"frame_max": 1 << 30}, {"channel_max": 60000}],
                         ids=["frames too small", "frames too large", "too many channels"])
def test_limits_beyond_what_was_proposed_are_refused(raw, amqp, limits):
    raw.tune(**limits)
    assert_closed(raw, amqp, {530})


# --- after the login

@pytest.mark.parametrize("data, codes", [
    (frame(METHOD, 1, b"", size=0x7FFFFFFF), {501}),
    (frame(BODY, 1, bytes(200_000)), {501}),
    (frame(METHOD, 1, struct.pack(">HH", 50, 10), end=b"\0"), {501}),
    (frame(77, 1, b"what is this"), {501, 505}),
    (frame(HEARTBEAT, 1, b""), {501, 505}),
    (method(1, 999, 999), {501, 503, 505, 540}),
    (method(1, 50, 999), {501, 503, 505, 540}),
    (method(1, 50, 10, b"\0\0\xff"), {501, 502, 505, 541}),
    (frame(METHOD, 1, b"\0"), {501, 502, 505, 541}),
    (frame(BODY, 1, b"a body out of the blue"), {501, 505}),
    (frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 1, 0)), {501, 505}),
    (method(1, 60, 40, b"\0\0\0\x01x\0") + method(1, 10, 10), {501, 503, 505}),
    (method(1, 60, 40, b"\0\0\0\x01x\0") + method(1, 60, 70, b"\0\0\x01x\0"), {501, 505}),
    (method(9, 50, 10, b"\0\0\x01x\0" + bytes(4)), {504}),
    (method(1, 20, 10, b"\0"), {504}),
    (publish(1, "x", b"x", flags=2), {540}),
], ids=["huge frame", "frame above frame_max", "wrong frame end", "unknown frame type",
        "heartbeat on a channel", "unknown class", "unknown method", "string beyond the frame", "half a method",
        "body without a message", "header without a message",
        "another method instead of the header",
        "a get instead of the header", "channel never opened", "channel opened twice", "immediate"])
def test_nonsense_closes_the_connection_with_a_reason(raw, amqp, data, codes):
    raw.login().send(data)
    assert_closed(raw, amqp, codes)


@strict
@pytest.mark.parametrize("data, codes", [
    (publish(1, "x", b"abc", announced=2), {501, 505}),
    (method(2048, 20, 10, b"\0"), {504, 530}),
], ids=["body longer than announced", "channel above the limit"])
def test_nonsense_others_overlook_closes_the_connection_too(raw, amqp, data, codes):
    raw.login().send(data)
    assert_closed(raw, amqp, codes)


def test_a_duplicate_consumer_tag_is_refused(raw, amqp):
    raw.login()
    raw.send(method(1, 50, 10, b"\0\0" + short_string("") + b"\x04" + long_string(b"")))  # exclusive
    name = raw.expect(50, 11)[1:]
    name = name[:name.index(b"\0")].decode()
    consume = method(1, 60, 20, b"\0\0" + short_string(name) + short_string("tag") + b"\0" + long_string(b""))
    raw.send(consume + consume)
    assert_closed(raw, amqp, {530})


def test_a_table_that_lies_about_its_size_is_refused(raw, amqp):
    table = struct.pack(">I", 5000) + b"\x01aS\0\0\0\x01x"
    raw.login().send(method(1, 50, 10, b"\0\0\x00\x04" + table))
    assert_closed(raw, amqp, {501, 502, 505, 541})


def test_tables_nested_a_thousand_deep_do_no_harm(raw):
    table = b""
    for _ in range(1000):
        table = b"\x01aF" + long_string(table)
    raw.login().send(method(1, 50, 10, b"\0\0\x00\x04" + long_string(table)))
    assert raw.read_frame()  # queue declared, or a close that says why


def test_a_client_that_says_nothing_for_two_heartbeats_is_let_go(raw):
    raw.login(heartbeat=1)
    heartbeats = 0
    while got := raw.read_frame():  # ends when the broker hangs up
        heartbeats += got[0] == HEARTBEAT
    assert heartbeats >= 1


def test_after_a_close_everything_but_close_ok_is_ignored(raw):
    raw.login().send(method(1, 50, 10, b"\0\0" + short_string("amq.mine") + b"\0" + long_string(b"")))
    code, _ = raw.expect_close(class_id=20)
    assert code == 403
    raw.send(method(1, 50, 10, b"\0\0" + short_string("") + b"\x04" + long_string(b"")))  # ignored
    raw.send(method(1, 20, 41) + method(1, 20, 10, b"\0"))
    raw.expect(20, 11)


@pytest.mark.parametrize("seed", range(25))
def test_random_bytes_in_sound_frames_crash_nothing(amqp, seed):
    chance = random.Random(seed)
    with RawConnection(amqp.url) as raw:
        raw.login()
        for _ in range(40):
            class_id, method_id = chance.choice([10, 20, 40, 50, 60, 85, 90]), chance.randrange(0, 130)
            arguments = chance.randbytes(chance.randrange(0, 60))
            payload = struct.pack(">HH", class_id, method_id) + arguments
            kind = chance.choice([METHOD, METHOD, METHOD, CONTENT_HEADER, BODY])
            raw.send(frame(kind, chance.choice([0, 1, 1, 1, 2]), payload))
            if chance.random() < 0.3:
                raw.send(publish(1, "nowhere", chance.randbytes(20)))


@pytest.mark.parametrize("seed", range(15))
def test_a_sound_stream_with_bytes_changed_crashes_nothing(amqp, seed):
    chance = random.Random(1000 + seed)
    stream = b"".join([
        method(1, 50, 10, b"\0\0" + short_string("") + b"\x04" + long_string(b"\x01tI\0\0\0\x05")),
        publish(1, "q", b"x" * 300), method(1, 60, 70, b"\0\0" + short_string("") + b"\0"),
        method(1, 60, 20, b"\0\0" + short_string("") + short_string("t") + b"\0" + long_string(b"")),
        publish(1, "", b"y" * 10), method(1, 60, 80, struct.pack(">QB", 1, 0))])
    for _ in range(20):
        broken = bytearray(stream)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        with RawConnection(amqp.url) as raw:
            raw.login().send(bytes(broken))


def test_everything_in_single_bytes_is_understood(raw):
    raw.login()
    for byte in method(1, 50, 10, b"\0\0" + short_string("") + b"\x04" + long_string(b"")):
        raw.send(bytes([byte]))
    assert b"amq.gen-" in raw.expect(50, 11)


def test_many_connections_that_never_log_in_do_no_harm(amqp):
    idle = [RawConnection(amqp.url) for _ in range(200)]
    with RawConnection(amqp.url) as raw:
        raw.login()
    for each in idle:
        each.socket.close()
