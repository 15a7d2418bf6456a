"""`kill -9` of an instance at 2 000 requests/s over more connections than `keepalive`.

No GET takes a second, and none fails but those whose answer had begun. Three instances of one service on a real platform;
one request in twenty is answered in two halves, so that there always are answers that have begun. The instance is back
before the next is killed.
"""

import os
import signal

import pytest

from harness import PYTHON, wait_for
from soaks import Load, metrics, save

KILLS, RATE, CONNECTIONS, KEEPALIVE, INSTANCES = 20, 2000, 300, 8, 3

SERVICE = """
import asyncio, os

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            head, _, self.data = self.data.partition(b"\\r\\n\\r\\n")
            loop.call_later(0.05, self.answer, head.startswith(b"GET /halves "))
    def answer(self, halves):
        body = b"x" * 2000
        whole = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body)
        self.transport.write(whole[:1000] if halves else whole)
        if halves:
            loop.call_later(0.05, self.transport.write, whole[1000:])

async def serve():
    server = await loop.create_server(Answer, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()

loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
"""


def instances(platform):
    return {row["instance"]: row for row in platform.ps() if row["name"] == "web"}


def all_ready(platform):
    rows = instances(platform)
    return len(rows) == INSTANCES and all(row["state"] == "ready" for row in rows.values()) and rows


@pytest.mark.time_limit(600)
def test_no_request_is_lost_or_slow_when_an_instance_is_killed(platform):
    platform.write("web.py", SERVICE)
    platform.manifest(f"""
        [service.web]
        command = "{PYTHON} web.py"
        instances = {INSTANCES}
        keepalive = {KEEPALIVE}

        [route."/"]
        service = "web"
    """)
    platform.up()
    paths = ["/"] * 19 + ["/halves"]
    with Load(platform.gateway, CONNECTIONS, RATE, paths=paths) as load:
        quiet = load.measure(3 * RATE)
        load.begin()
        for kill in range(KILLS):
            rows = wait_for(lambda: all_ready(platform), 60, "every instance to be ready", every=0.1)
            load.take(RATE // 2)
            os.kill(rows[kill % INSTANCES + 1]["pid"], signal.SIGKILL)
            load.take(RATE // 2)
        wait_for(lambda: all_ready(platform), 60, "every instance to be ready", every=0.1)
        killed = load.take(RATE)
    connects = metrics(platform)['havn_gateway_upstream_connects_total{service="web"}']
    restarts = sum(row["restarts"] for row in instances(platform).values())
    save("instance_killed", kills=KILLS, restarts=restarts, instances=INSTANCES, keepalive=KEEPALIVE,
         connections=CONNECTIONS, connects=connects, quiet=quiet, killed=killed)
    assert killed["rate"] >= 0.95 * RATE, "the machine did not give what this asks for"
    assert connects > killed["answered"] / 30, "more connections than are kept were not in use"
    assert restarts == KILLS
    assert killed["max_ms"] < 1000
    assert killed["failed"] == killed["failed_begun"], killed["failures"]
