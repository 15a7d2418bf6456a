"""A service that breaks three of ten answers, in a dozen ways, under 1 000 requests a second.

It resets, hangs up, stalls, garbles heads and chunks, cuts bodies, sends too much. The gateway lives, every request is answered
with what belongs to it, or refused (502, 504), or cut where its answer had begun, in the time its route gives it; another
service's clients notice nothing; and once the service is well so is every request, with memory and descriptors as before.
"""

import os

import pytest

from harness import PYTHON, wait_for
from soaks import Load, direct, memory_of, metrics, save, undisturbed

RATE, CONNECTIONS, SECONDS = 1000, 100, 30
TIMEOUT_MS = 500

SERVICE = """
import asyncio, os, random, socket, struct

choices = random.Random(int(os.environ["HAVN_INSTANCE"]))
BREAKING = ["reset", "close", "half a head", "garbage", "no length and cut", "cut body", "reset body", "bad chunk", "cut chunk",
            "huge head", "interim and garbage", "too much", "two lengths", "stall", "stalled body"]

def whole(body, more=b""):
    return b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n%s\\r\\n%s" % (len(body), more, body)

def chunked(body):
    return b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(body), body)

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data and not self.transport.is_closing():
            head, _, self.data = self.data.partition(b"\\r\\n\\r\\n")
            self.answer(head.split(b" ", 2)[1].partition(b"n=")[2] + b" " * choices.choice([1, 3000]))
    def answer(self, body):
        if os.path.exists("well") or choices.random() < 0.7:
            self.transport.write(choices.choice([whole, chunked])(body))
        else:
            self.misbehave(choices.choice(BREAKING), body)
    def misbehave(self, how, body):
        write = self.transport.write
        if how == "half a head": write(b"HTTP/1.1 200 OK\\r\\nContent-Le")
        if how == "garbage": write(b"\\x16\\x03\\x01 no HTTP at all\\r\\n\\r\\n" + body)
        if how == "no length and cut": write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % (len(body) + 9) + body)
        if how in ("cut body", "reset body"): write(whole(body)[:-1])
        if how == "bad chunk": write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nxyz\\r\\n" + body)
        if how == "cut chunk": write(chunked(body)[:-9])
        if how == "huge head": write(b"HTTP/1.1 200 OK\\r\\nX: " + b"x" * 100000)
        if how == "interim and garbage": write(b"HTTP/1.1 103 Early Hints\\r\\nLink: x\\r\\n\\r\\nHTTP/1.1 what\\r\\n\\r\\n")
        if how == "too much": return write(whole(body) + whole(b"-1 of another"))
        if how == "two lengths": return write(whole(body, b"Content-Length: 7\\r\\n"))
        if how == "stall": return
        if how == "stalled body": return write(whole(body)[:-1])
        if how.startswith("reset"):
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.close()

async def serve():
    server = await loop.create_server(Answer, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()

loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
"""

MANIFEST = f"""
    [service.bad]
    command = "{PYTHON} service.py"
    instances = 3
    max_fails = 0

    [service.good]
    command = "{PYTHON} service.py"
    directory = "good"

    [route."/bad"]
    service = "bad"
    timeout = "{TIMEOUT_MS}ms"

    [route."/"]
    service = "good"
"""


@pytest.mark.time_limit(300)
def test_broken_answers_stay_with_those_they_were_for(platform):
    platform.write("service.py", SERVICE)
    platform.write("good/service.py", SERVICE)
    platform.write("good/well", "")
    platform.manifest(MANIFEST)
    platform.up()
    gateway = platform.pid_of("gateway")
    with Load(platform.gateway, 4, 200, source="127.0.0.2", echo=True) as others, direct(platform, "good") as control, \
            Load(platform.gateway, CONNECTIONS, RATE, paths=["/bad"], echo=True) as load:
        load.take(RATE)   # what is kept for later is there
        descriptors, rss = len(os.listdir(f"/proc/{gateway}/fd")), memory_of(gateway, "VmRSS")
        load.measure(RATE)
        others.begin()
        load.begin()
        control.begin()
        broken = load.take(RATE * SECONDS)
        during, past = others.end(), control.end()
        platform.write("well", "")
        wait_for(lambda: load.measure(RATE)["failed"] == 0, 30, "every request to be answered")
        others.begin()
        well = load.measure(RATE * SECONDS // 2)
        after = others.end()
    wait_for(lambda: metrics(platform)["havn_gateway_requests_in_flight"] == 0)
    counted = metrics(platform)
    save("broken_upstreams", rate=RATE, connections=CONNECTIONS, others={"during": during, "after": after, "past the gateway": past}, broken=broken,
         well=well, rss_before=rss, rss_peak=memory_of(gateway, "VmHWM"), descriptors_before=descriptors,
         descriptors_after=len(os.listdir(f"/proc/{gateway}/fd")),
         log_lines=len((platform.data / "logs/gateway.log").read_text().splitlines()),
         counted={name: counted[f'havn_gateway_upstream_{name}_total{{service="bad"}}']
                  for name in ("requests", "connects", "connect_failures", "timeouts", "broken_responses", "retries")})
    assert platform.pid_of("gateway") == gateway and platform.process("gateway")["restarts"] == 0
    assert broken["mixed_up"] == during["mixed_up"] == well["mixed_up"] == 0
    assert set(broken["statuses"]) == {"200", "502", "504"}
    assert broken["failed"] < 0.4 * broken["answered"]
    assert broken["failed"] - broken["failed_begun"] == 0, "a request got no answer at all"
    assert broken["max_ms"] < TIMEOUT_MS + 500
    assert during["failed"] == after["failed"] == well["failed"] == 0
    assert undisturbed(during, after, past)
    assert memory_of(gateway, "VmHWM") < rss + (16 << 20)
    assert len(os.listdir(f"/proc/{gateway}/fd")) < descriptors + 200   # connections that are kept
