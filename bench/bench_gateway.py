"""A small request through a gateway: null TCP forwarder, nginx, HAProxy and Havn before the same static upstream.

wrk keeps 64 and 512 connections busy. CPU per request counts all processes of the gateway and nothing else. Every
gateway but the forwarder writes an access log and sets X-Real-IP, X-Forwarded-For, X-Forwarded-Proto and
X-Forwarded-Host. nginx and Havn keep 64 idle upstream connections per worker, as in nginx's manual; at 512
connections both run once more with room for all of them ("nginx-512", "havn-512").

Memory per idle connection is what the gateway's processes grow by (anonymous memory) when 4000 clients have asked once and stay.
"""

import re
import socket
import subprocess
import time

from harness import (AS_US, CORES, Havn, Process, cpu_seconds, free_port, medians, memory, package_version, program,
                     ratio, save, scratch, serves_http, table, turns, wait_for)

ROUNDS, SECONDS, WARM_UP = 3, 4, 1
CONNECTIONS = (64, 512)
IDLE = 4000

UPSTREAM = """
daemon off; user root; pid {folder}/{name}.pid; error_log {folder}/{name}.err; worker_processes {cores};
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000; keepalive_timeout 600s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""

NGINX = """
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err; worker_processes {cores};
worker_rlimit_nofile 20000;
events {{ worker_connections 8192; }}
http {{
    access_log {folder}/nginx.access combined buffer=64k flush=1s;
    keepalive_requests 100000000; keepalive_timeout 600s;
    upstream shop {{ server 127.0.0.1:{upstream}; keepalive {keepalive}; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread {cores}
    maxconn 8192
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option forwardfor
    http-reuse always
    timeout connect 5s
    timeout client 600s
    timeout server 60s
frontend edge
    bind 127.0.0.1:{port} backlog 4096
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend shop
backend shop
    server one 127.0.0.1:{upstream}
"""

HAVN = """
app = "bench"
[gateway]
listen = ["127.0.0.1:{port}"]
[broker]
listen = ["127.0.0.1:{amqp}"]
[service.upstream]
command = "sh {folder}/upstream.sh {folder}/of-{name}.conf"
{as_us}
keepalive = {keepalive}
[route."/"]
service = "upstream"
"""

BODY = '{"sku":"oar-7","name":"Oar, ash, 2.1 m","stock":12,"price":{"amount":"849.00","currency":"NOK"},"ok":true}'


def upstream_configuration(folder, name, port):
    path = folder / f"{name}.conf"
    path.write_text(UPSTREAM.format(folder=folder, name=name, port=port, cores=CORES, body=BODY))
    return path


class Peer:
    """A gateway that is one program with one configuration."""

    def __init__(self, name, folder, command, only=None):
        self.name, self.folder, self.command = name, folder, command
        self.connections = only or CONNECTIONS

    def start(self):
        self.process = Process(self.command, self.folder, self.name)

    def pids(self):
        return self.process.pids()

    def stop(self):
        self.process.stop()


def peers(folder, upstream, skip):
    def configured(name, text, **more):
        path, port = folder / f"{name}.conf", free_port()
        path.write_text(text.format(folder=folder, port=port, upstream=upstream, cores=CORES, **more))
        return path, port

    found = []
    port = free_port()
    found.append((Peer("forwarder", folder, [program("tcp_forward"), port, upstream, CORES]), port))
    path, port = configured("nginx", NGINX, keepalive=64)
    found.append((Peer("nginx", folder, ["nginx", "-c", path]), port))
    path, port = configured("nginx-512", NGINX, keepalive=512)
    found.append((Peer("nginx-512", folder, ["nginx", "-c", path], only=(512,)), port))
    path, port = configured("haproxy", HAPROXY)
    found.append((Peer("haproxy", folder, ["haproxy", "-f", path]), port))
    if "havn" not in skip:
        (folder / "upstream.sh").write_text(f'sed "s/UPSTREAM_PORT/$PORT/" {folder}/template.conf >$1\nexec nginx -c $1\n')
        upstream_configuration(folder, "template", "UPSTREAM_PORT")
        for name, keepalive, connections in (("havn", 64, CONNECTIONS), ("havn-512", 512, (512,))):
            port = free_port()
            manifest = HAVN.format(port=port, amqp=free_port(), folder=folder, name=name, keepalive=keepalive,
                                   as_us=AS_US)
            found.append((Havn(folder, manifest, name), port))
            found[-1][0].connections = connections
    return [pair for pair in found if pair[0].name not in skip]


MICROSECONDS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}


def wrk(port, connections, seconds):
    """Runs wrk and returns {requests, seconds, p50_us, p99_us, errors}."""
    output = subprocess.run(["wrk", f"-t{CORES}", f"-c{connections}", f"-d{seconds}s", "--latency",
                             f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    figures = {}
    for share in ("50", "99"):
        value, unit = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)", output, re.M).groups()
        figures[f"p{share}_us"] = float(value) * MICROSECONDS[unit]
    requests, value, unit = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", output).groups()
    figures["requests"], figures["seconds"] = int(requests), float(value) * MICROSECONDS[unit] / 1e6
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    socket_errors = re.search(r"Socket errors: (.*)", output)
    if bad or socket_errors:
        raise RuntimeError(f"port {port}: {bad and bad[0]} {socket_errors and socket_errors[0]}")
    return figures


def idle_bytes(peer, port):
    """Bytes of memory one more connection costs that has been used once and is silent."""
    time.sleep(1)    # what the start needed has been given back by now
    before, links = memory(peer.pids())["anonymous_mb"], []
    try:
        for _ in range(IDLE):
            link = socket.create_connection(("127.0.0.1", port), timeout=5)
            links.append(link)
            link.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            if not link.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{peer.name} did not answer connection {len(links)}")
        return (memory(peer.pids())["anonymous_mb"] - before) * 1e6 / IDLE
    finally:
        for link in links:
            link.close()


def measure(peer, port, idle):
    """One turn of one gateway: {connections: figures}; `idle` gets the memory of idle connections, once."""
    peer.start()
    try:
        wait_for(lambda: serves_http(port), f"{peer.name} to serve", every=0.02)
        turn = {}
        if peer.name not in idle and peer.name in ("nginx", "haproxy", "havn"):
            idle[peer.name] = round(idle_bytes(peer, port))
        for connections in peer.connections:
            wrk(port, connections, WARM_UP)
            pids = peer.pids()
            before = cpu_seconds(pids)
            load = wrk(port, connections, SECONDS)
            used = cpu_seconds(pids) - before
            turn[connections] = {"requests_per_second": load["requests"] / load["seconds"],
                                 "cpu_us_per_request": used / load["requests"] * 1e6,
                                 "p50_us": load["p50_us"], "p99_us": load["p99_us"]}
        return turn
    finally:
        peer.stop()


def run(skip=()):
    with scratch() as folder:
        upstream = free_port()
        server = Process(["nginx", "-c", upstream_configuration(folder, "upstream", upstream)], folder, "upstream")
        try:
            wait_for(lambda: serves_http(upstream), "the upstream to serve", every=0.02)
            everyone = peers(folder, upstream, skip)
            ports = {peer.name: port for peer, port in everyone}
            samples, idle = {}, {}
            for number, peer in turns([peer for peer, _ in everyone], ROUNDS):
                print(f"  round {number + 1} of {ROUNDS}: {peer.name}", flush=True)
                for connections, figures in measure(peer, ports[peer.name], idle).items():
                    samples.setdefault((peer.name, connections), []).append(figures)
        finally:
            server.stop()
    report({key: medians(value) for key, value in samples.items()}, samples, idle)


def report(median, samples, idle):
    for connections in CONNECTIONS:
        names = [name for name, c in median if c == connections]
        base = median.get(("nginx", connections))
        rows = []
        for name in names:
            m = median[name, connections]
            rows.append([name, f"{m['cpu_us_per_request']:.2f}",
                         ratio(m["cpu_us_per_request"], base and base["cpu_us_per_request"]),
                         f"{m['requests_per_second']:,.0f}",
                         ratio(m["requests_per_second"], base and base["requests_per_second"]),
                         f"{m['p50_us']:,.0f}", f"{m['p99_us']:,.0f}"])
        table(f"gateway, {connections} keep-alive connections (median of {ROUNDS} rounds)",
              ["", "CPU us/request", "to nginx", "requests/s", "to nginx", "p50 us", "p99 us"], rows)
    table(f"gateway, memory per idle connection ({IDLE} held)", ["", "bytes"],
          [[name, f"{value:,}"] for name, value in idle.items()])
    save("gateway", {"idle_bytes_per_connection": idle, "versions": {"nginx": package_version("nginx"), "haproxy": package_version("haproxy")},
                     "connections": {str(c): {name: {"median": m, "rounds": samples[name, c]}
                                              for (name, at), m in median.items() if at == c}
                                     for c in CONNECTIONS}})
