"""100 000 idle connections from one address.

With what is set by default the address has its quarter, and further connections of it are closed. With the limits raised as
many are held as the descriptors of the process allow (all of them where the limit of open files is above that), and each
new one is let in while one that has been idle for longest makes room. Both are said in log, `ps` and metrics, other clients
(from 127.0.0.2, on kept connections and on new ones) are answered as fast as before, and afterwards memory and descriptors are
back. One address can have 28 000 connections to one port, so the gateway listens on six.
"""

import os

import pytest

from harness import PYTHON, free_port, wait_for
from soaks import Client, Load, cpu_seconds, direct, memory_of, metrics, save, undisturbed

CONNECTIONS, PROCESSES, PORTS, RATE = 100_000, 8, 6, 4000
PER_CONNECTION = 4096   # bytes of memory at most

SERVICE = """
import asyncio, os

class Answer(asyncio.Protocol):
    data = b""
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            _, _, self.data = self.data.partition(b"\\r\\n\\r\\n")
            self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

async def serve():
    server = await loop.create_server(Answer, "127.0.0.1", int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()

loop = asyncio.new_event_loop()
loop.run_until_complete(serve())
"""


def manifest(addresses, limits):
    return f"""
        app = "soak"

        [gateway]
        listen = {addresses}

        [gateway.limits]
        idle_timeout = "10m"
        {limits}

        [service.web]
        command = "{PYTHON} web.py"

        [route."/"]
        service = "web"
    """.replace("'", '"')


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Others:
    """Who asks for pages meanwhile, on connections that are kept and on new ones."""

    def __init__(self, platform, address):
        self.kept = Load(address, 4, 200, source="127.0.0.2")
        self.new = Load(address, 8, 100, source="127.0.0.2", close=True)
        self.direct = direct(platform, "web")

    def begin(self):
        self.kept.begin()
        self.new.begin()
        self.direct.begin()

    def end(self):
        return {"kept": self.kept.end(), "new": self.new.end(), "direct": self.direct.end()}

    def measure(self, seconds):
        self.begin()
        self.kept.take(200 * seconds)
        return self.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kept.close()
        self.new.close()
        self.direct.close()


def attack(platform, addresses, seconds=15):
    """What others saw before, during and after, what the gateway held, and what `ps` said."""
    gateway = platform.pid_of("gateway")
    counted = metrics(platform)
    with Others(platform, addresses[0]) as others:
        figures = {"before": others.measure(seconds)}
        figures["rss_before"], figures["descriptors_before"] = memory_of(gateway, "VmRSS"), descriptors(gateway)
        clients = []
        try:
            others.begin()
            used = cpu_seconds(gateway)
            for _ in range(PROCESSES):
                clients.append(Client("idle.py", nice=19, addresses=addresses, rate=RATE // PROCESSES,
                                      connections=CONNECTIONS // PROCESSES))
            wait_for(lambda: sum(client.ask("figures")["opened"] for client in clients) == CONNECTIONS, 180, every=1)
            figures["during"] = others.end()
            figures["cpu_seconds"] = round(cpu_seconds(gateway) - used, 2)
            figures["ps"] = [line for line in platform.run("ps").stdout.splitlines() if line.startswith("gateway: ")]
            figures["held"] = others.measure(seconds)
            now = metrics(platform)
            figures["open"] = now["havn_gateway_connections_open"]
            figures["limit"] = now["havn_gateway_connections_limit"]
            for name in ("refused", "shed", "accepted"):
                key = f"havn_gateway_connections_{name}_total"
                figures[name] = now[key] - counted[key]
            figures["rss_held"] = memory_of(gateway, "VmRSS")
            states = [client.ask("figures") for client in clients]
            figures["clients"] = {key: sum(state[key] for state in states) for key in ("opened", "alive", "closed")}
            figures["failed"] = [state["failed"] for state in states if state["failed"]]
        finally:
            for client in clients:
                client.close()
        wait_for(lambda: metrics(platform)["havn_gateway_connections_open"] < 20, 60, "the connections to be closed")
        figures["after"] = others.measure(seconds)
        figures["rss_after"], figures["descriptors_after"] = memory_of(gateway, "VmRSS"), descriptors(gateway)
    assert platform.pid_of("gateway") == gateway
    return figures


def check(figures):
    for phase in ("during", "held"):
        for kind in ("kept", "new"):
            assert undisturbed(figures[phase][kind], figures["before"][kind], figures["after"][kind],
                               figures[phase]["direct"]), f"{phase}: {kind}"
    assert figures["rss_held"] < figures["rss_before"] + figures["open"] * PER_CONNECTION + (8 << 20)
    assert figures["rss_after"] < figures["rss_before"] + figures["open"] * PER_CONNECTION / 4 + (8 << 20)
    assert figures["descriptors_after"] <= figures["descriptors_before"] + 64   # connections to the service
    assert figures["failed"] == []
    assert figures["clients"]["alive"] <= figures["open"]


@pytest.mark.time_limit(900)
def test_idle_connections(platform):
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(PORTS)]
    platform.write("web.py", SERVICE)
    platform.gateway = addresses[0]
    platform.manifest(manifest(addresses, ""))
    platform.up()
    log = platform.data / "logs/gateway.log"
    usual = attack(platform, addresses)
    raised = manifest(addresses, "max_connections = 1000000\n        max_connections_per_address = 1000000")
    platform.manifest(raised)
    platform.up()
    held = attack(platform, addresses)
    text = log.read_text()
    save("idle_connections", connections=CONNECTIONS, ports=PORTS, usual=usual, raised=held)
    part = usual["limit"] // 4
    assert part <= usual["open"] <= part + 20 and usual["refused"] >= CONNECTIONS - part - 20
    assert any("an address has" in line for line in usual["ps"]), usual["ps"]
    assert text.count("max_connections_per_address") == 1
    fit = min(CONNECTIONS, held["limit"])
    assert fit - 100 <= held["open"] <= fit + 20 and held["refused"] == 0
    if fit < CONNECTIONS:
        assert held["shed"] >= CONNECTIONS - fit
        assert any("closed for new ones" in line for line in held["ps"]), held["ps"]
        assert text.count("are closed for new ones") == 1
    check(usual)
    check(held)
