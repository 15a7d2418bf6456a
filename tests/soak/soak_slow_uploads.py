"""1 000 slow uploads of 16 MB at once, to a queue route and to a service route.

The bodies for queues stay inside `[gateway] memory`: what does not fit is refused and said in log, `ps` and metrics, other
clients' pages and jobs come as fast as before, and when the uploads have ended all of it is given back. Uploads to a service
pass through: each holds a buffer. The broker and the service are real; uploads come from 127.0.0.1, the others from 127.0.0.2.
"""

import pytest

from harness import PYTHON, free_port, wait_for
from soaks import Client, Load, cpu_seconds, direct, memory_of, metrics, save, undisturbed

MEGABYTE = 1 << 20
UPLOADS, SIZE, BUDGET = 1000, 16 * MEGABYTE, 256 * MEGABYTE
PACE = 64 << 10                                  # bytes a second, of each
SECONDS = 30
PAGES, JOBS = 200, 50                            # a second

SERVICE = """
import asyncio, os

class Sink(asyncio.Protocol):
    left = 0
    data = b""
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        if self.left == 0:
            self.data += data
            head, found, data = self.data.partition(b"\\r\\n\\r\\n")
            if not found:
                return
            self.data = b""
            at = head.lower().find(b"content-length:")
            self.left = int(head[at + 15:].split(b"\\r\\n")[0]) if at >= 0 else 0
        self.left -= len(data)
        if self.left == 0:
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def serve():
    server = await loop.create_server(Sink, "127.0.0.1", int(os.environ["PORT"]), backlog=2048)
    await server.serve_forever()

loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
"""

MANIFEST = f"""
    app = "soak"

    [gateway]
    listen = ["GATEWAY"]
    memory = "{BUDGET // MEGABYTE}M"

    [service.web]
    command = "{PYTHON} web.py"

    [service.files]
    command = "{PYTHON} web.py"

    [queue.orders]

    [route."/"]
    service = "web"

    [route."/files"]
    service = "files"

    [route."/buy"]
    queue = "orders"
"""


def started(platform):
    platform.write("web.py", SERVICE)
    platform.gateway = f"127.0.0.1:{free_port()}"
    platform.manifest(MANIFEST.replace("GATEWAY", platform.gateway))
    return platform.up()


class Others:
    """Who asks for pages and sends jobs meanwhile."""

    def __init__(self, platform):
        self.pages = Load(platform.gateway, 4, PAGES, source="127.0.0.2")
        self.jobs = Load(platform.gateway, 4, JOBS, source="127.0.0.2", paths=["/buy"], body=1000)
        self.direct = direct(platform, "web")

    def measure(self, seconds, each_second=lambda: None):
        self.pages.begin()
        self.jobs.begin()
        self.direct.begin()
        for _ in range(seconds):
            pages = self.pages.take(PAGES)
            each_second()
        return {"pages": pages, "jobs": self.jobs.end(), "direct": self.direct.end()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pages.close()
        self.jobs.close()
        self.direct.close()


def held(platform):
    return metrics(platform)["havn_gateway_memory_used_bytes"]


def attack(platform, path, peak):
    """What others saw before, during and after; `peak` gathers what was largest meanwhile."""
    gateway = platform.pid_of("gateway")

    def look():
        now = metrics(platform)
        peak["held_bytes"] = max(peak.get("held_bytes", 0), now["havn_gateway_memory_used_bytes"])
        peak["connections"] = max(peak.get("connections", 0), now["havn_gateway_connections_open"])
        peak["said"] = peak.get("said", "") or \
            next((line for line in platform.run("ps").stdout.splitlines() if line.startswith("gateway: ")), "")
        if peak["said"] and "status" not in peak:
            peak["status"] = next(line for line in platform.run("status").stdout.splitlines() if "processes" in line)
    figures = {"rss_before": memory_of(gateway, "VmRSS")}
    with Others(platform) as others:
        figures["before"] = others.measure(SECONDS // 2)
        with Client("uploads.py", nice=19, address=platform.gateway, path=path, connections=UPLOADS, bytes=SIZE,
                    pace=PACE) as uploads:
            used = cpu_seconds(gateway)
            figures["during"] = others.measure(SECONDS, look)
            figures["cores_used"] = round((cpu_seconds(gateway) - used) / SECONDS, 3)
            figures["uploads"] = uploads.ask("figures")
        figures["rss_peak"] = memory_of(gateway, "VmHWM")
        wait_for(lambda: metrics(platform)["havn_gateway_requests_in_flight"] < 5, 60)
        figures["after"] = others.measure(SECONDS // 2)
    figures["rss_after"] = memory_of(gateway, "VmRSS")
    assert platform.pid_of("gateway") == gateway
    return figures


@pytest.mark.time_limit(600)
def test_slow_uploads_to_a_queue(platform):
    started(platform)
    peak = {}
    figures = attack(platform, "/buy", peak)
    after = metrics(platform)
    log = (platform.data / "logs/gateway.log").read_text()
    save("slow_uploads", uploads=UPLOADS, budget=BUDGET, peak=peak, refusals=after["havn_gateway_memory_refusals_total"],
         held_after=after["havn_gateway_memory_used_bytes"], broker_rss=memory_of(platform.pid_of("broker"), "VmHWM"),
         queue=figures)
    assert figures["uploads"]["outcomes"].get("503", 0) > UPLOADS / 2
    assert BUDGET / 2 < peak["held_bytes"] <= BUDGET
    assert figures["rss_peak"] < figures["rss_before"] + BUDGET + UPLOADS * 65536
    assert "1 not well" in peak["status"]
    assert "request bodies for queues" in peak["said"] and log.count("request bodies for queues fill") == 1
    for kind in ("pages", "jobs"):
        assert undisturbed(figures["during"][kind], figures["before"][kind], figures["after"][kind],
                           figures["during"]["direct"]), kind
    wait_for(lambda: held(platform) <= 4 * 128 * 1024, 30)
    assert figures["rss_after"] < figures["rss_before"] + 32 * MEGABYTE
    assert platform.post("/buy", b"x" * SIZE).status == 202
    wait_for(lambda: platform.run("ps", "--quiet").returncode == 0, 30, "ps to call all of it well")
    wait_for(lambda: "find room again" in (platform.data / "logs/gateway.log").read_text(), 30)


@pytest.mark.time_limit(600)
def test_slow_uploads_to_a_service(platform):
    started(platform)
    peak = {}
    figures = attack(platform, "/files/1", peak)
    save("slow_uploads_service", uploads=UPLOADS, peak=peak, service=figures)
    assert peak["connections"] >= UPLOADS and figures["uploads"]["under_way"] == UPLOADS
    assert not figures["uploads"]["outcomes"]
    assert figures["rss_peak"] < figures["rss_before"] + UPLOADS * 65536
    for kind in ("pages", "jobs"):
        assert undisturbed(figures["during"][kind], figures["before"][kind], figures["after"][kind],
                           figures["during"]["direct"]), kind
    assert figures["rss_after"] < figures["rss_before"] + 32 * MEGABYTE
