"""1 000 instances and 5 000 AMQP connections at once, from a shell with `ulimit -n 1024`.

All work: every instance is ready, every connection publishes durably and is confirmed, a service answers, `ps` and metrics
say what is there. Then everything is restarted, and stopped: in less than three seconds.
"""

import os
import resource
import socket
import time

import pytest

from amqp_raw import HEADER, RawConnection, long_string, method, publish, short_string
from harness import PYTHON, wait_for
from soaks import metrics, save

INSTANCES, CONNECTIONS, SHELL_LIMIT, DOWN_SECONDS = 1000, 5000, 1024, 3

# A client's side up to an open channel in confirm mode, without waiting for the answers.
ANSWERS = ((10, 10), (10, 30), (10, 41), (20, 11), (85, 11))
OPEN = (HEADER + method(0, 10, 11, long_string(b"") + short_string("PLAIN") + long_string(b"\0guest\0guest")
                        + short_string("en_US"))
        + method(0, 10, 31, b"\x07\xff" + (131072).to_bytes(4, "big") + b"\0\0")
        + method(0, 10, 40, short_string("/") + b"\0\0") + method(1, 20, 10, b"\0") + method(1, 85, 10, b"\0"))


def timed(what):
    began = time.monotonic()
    what()
    return round(time.monotonic() - began, 2)


def soft_limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("Max open files")).split()[3])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def all_of(platform, restarted):
    rows = [row for row in platform.ps() if row["name"] == "sleeper"]
    whole = len(rows) == INSTANCES and all(row["state"] == "ready" for row in rows)
    return whole and all(row["restarts"] == restarted for row in rows) and rows


@pytest.fixture
def room_for_ourselves():
    """The 5 000 ends of this process, while the platform's shell has its 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = CONNECTIONS + 1000
    if hard != resource.RLIM_INFINITY and hard < 12_000:
        pytest.skip(f"the hard limit of descriptors is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, enough), hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SHELL_LIMIT, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.time_limit(300)
def test_a_thousand_instances_and_five_thousand_connections(platform, room_for_ourselves):
    platform.write("web/index.html", "here")
    platform.manifest(f"""
        [service.web]
        command = "{PYTHON} -m http.server $PORT --bind 127.0.0.1"
        directory = "web"

        [worker.sleeper]
        command = "sleep 100000"
        instances = {INSTANCES}

        [queue.soaked]

        [route."/"]
        service = "web"

        [route."/job"]
        methods = ["POST"]
        queue = "soaked"
    """)
    figures = {"instances": INSTANCES, "connections": CONNECTIONS, "shell_limit": SHELL_LIMIT}
    figures["up_seconds"] = timed(lambda: platform.run("up", "-d", check=True, preexec_fn=room_for_ourselves))
    rows = all_of(platform, 0)
    assert rows and soft_limit(rows[0]["pid"]) == SHELL_LIMIT

    held = []
    try:
        figures["connect_seconds"] = timed(lambda: log_in(platform, held))
        figures["publish_seconds"] = timed(lambda: publish_on_each(held))
        assert platform.post("/job", b"beside them").status == 202
        assert platform.get("/index.html").text == "here"
        figures["ps_seconds"] = timed(lambda: platform.run("ps", "--quiet", check=True))
        values = metrics(platform)
        assert values["havn_broker_connections"] >= CONNECTIONS
        assert values['havn_broker_queue_ready{queue="soaked"}'] == CONNECTIONS + 1
        for part in ("supervisor", "keeper", "broker"):
            figures[f"{part}_descriptors"] = descriptors(platform.pid_of(part))
        figures["restart_all_seconds"] = timed(lambda: platform.run("restart", "sleeper", timeout=120, check=True))
        assert all_of(platform, 1)
        publish_on_each(held)   # nobody was cut off by that
        assert metrics(platform)['havn_broker_queue_ready{queue="soaked"}'] == 2 * CONNECTIONS + 1
    finally:
        for raw in held:
            raw.socket.close()
    wait_for(lambda: metrics(platform)["havn_broker_connections"] < 10, 20, "the connections to be gone")
    figures["down_seconds"] = timed(lambda: platform.run("down", check=True))
    assert not platform.survivors()
    save("descriptors", **figures)
    assert figures["down_seconds"] < DOWN_SECONDS


def log_in(platform, held):
    for _ in range(CONNECTIONS):
        held.append(RawConnection(platform.amqp_url).send(OPEN))
        held[-1].socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for raw in held:
        for answer in ANSWERS:
            raw.expect(*answer)


def publish_on_each(held):
    for number, raw in enumerate(held):
        raw.send(publish(1, "soaked", b"message %d" % number, persistent=True))
    for raw in held:
        raw.expect(60, 80)
