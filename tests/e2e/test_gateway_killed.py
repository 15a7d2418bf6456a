"""The gateway killed under load: nobody is refused a connection, and it is back."""

import http.client
import threading
import time

import pytest

from harness import PYTHON, wait_for

SERVICE = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

MANIFEST = f"""
    [service.web]
    command = "{PYTHON} web.py"
    instances = 2

    [route."/"]
    service = "web"
"""


class Visitors:
    """Threads that open a new connection for every request, and sort what came of it."""

    def __init__(self, platform, count):
        self.platform, self.stop, self.lock = platform, threading.Event(), threading.Lock()
        self.served, self.refused, self.broken, self.unserved = 0, [], [], []
        self.threads = [threading.Thread(target=self.visit) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def visit(self):
        while not self.stop.is_set():
            try:
                answer, error = self.platform.get("/"), None
            except (OSError, http.client.HTTPException) as caught:
                answer, error = None, caught
            with self.lock:
                if answer is not None and answer.status == 200:
                    self.served += 1
                elif answer is not None:
                    self.unserved.append(answer)
                elif isinstance(error, ConnectionRefusedError):
                    self.refused.append(error)
                else:
                    self.broken.append(error)
            time.sleep(0.001)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def service_pids(platform):
    return {row["pid"] for row in platform.ps() if row["kind"] == "service"}


@pytest.mark.time_limit(120)
def test_a_gateway_killed_under_load_refuses_no_connection(platform):
    platform.write("web.py", SERVICE)
    platform.manifest(MANIFEST)
    platform.up()
    services = service_pids(platform)
    visitors, kills = Visitors(platform, 4), 8
    try:
        for _ in range(kills):
            seen = visitors.served
            wait_for(lambda: visitors.served >= seen + 50, 30, "fifty more visitors to be served")
            platform.kill("gateway")
        seen = visitors.served
        wait_for(lambda: visitors.served >= seen + 50, 30, "fifty more visitors to be served")
    finally:
        visitors.end()
    print(f"{visitors.served} served, {len(visitors.broken)} cut off in flight")
    assert visitors.refused == []
    assert visitors.unserved == [], "a new gateway accepted before it knew the services"
    assert len(visitors.broken) <= kills * len(visitors.threads), visitors.broken
    assert platform.process("gateway")["restarts"] == kills
    assert services == service_pids(platform), "a service was touched"


@pytest.mark.parametrize("part", ["supervisor", "control"])
def test_visitors_do_not_notice_when_another_part_is_killed(platform, part):
    platform.write("web.py", SERVICE)
    platform.manifest(MANIFEST)
    platform.up()
    services = service_pids(platform)
    visitors = Visitors(platform, 2)
    try:
        for _ in range(3):
            seen = visitors.served
            wait_for(lambda: visitors.served >= seen + 20, 30, "twenty more visitors to be served")
            killed = platform.kill(part)
            wait_for(lambda: platform.pid_of(part) != killed, 20, f"{part} to be back")
    finally:
        visitors.end()
    assert visitors.refused == visitors.broken == visitors.unserved == []
    assert services == service_pids(platform), "a service was touched"
