"""`[metrics] listen`: an address that Prometheus can scrape, and that answers nothing else."""

import contextlib
import os
import socket
import subprocess

import pytest

from harness import PYTHON, free_port, http_request, wait_for

STRANGER = 61001
SERVICE = f"""
    [service.web]
    command = "{PYTHON} -m http.server --bind 127.0.0.1 $PORT"
    [route."/"]
    service = "web"
"""


def write_manifest(platform, *addresses):
    listed = ", ".join(f'"{address}"' for address in addresses)
    platform.manifest(SERVICE + (f"\n    [metrics]\n    listen = [{listed}]\n" if addresses else ""))


def address():
    return f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def taken(address):
    host, _, port = address.rpartition(":")
    with socket.socket() as holder:
        holder.bind((host, int(port)))
        holder.listen()
        yield


def test_metrics_are_scraped_by_whoever_reaches_the_address_and_nothing_else_is_answered(platform):
    place = address()
    write_manifest(platform, place)
    assert f"http://{place}/metrics" in platform.run("up", "-d", check=True).stdout
    assert platform.get("/").status == 200
    answer = http_request(place, "GET", "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for name in ("havn_process_up", "havn_gateway_requests_total", "havn_broker_connections"):
        assert f"\n# TYPE {name} " in answer.text, name
    assert 'havn_process_up{name="web",instance="1",kind="service"} 1\n' in answer.text
    for target in ("/", "/v1/processes", "/v1/manifest", "/metrics/", "/metrics/x"):
        assert http_request(place, "GET", target).status == 404, target
    assert http_request(place, "POST", "/v1/down").status == 404
    for method in ("POST", "PUT", "DELETE"):
        assert http_request(place, method, "/metrics").status == 405, method
    assert f"metrics    {place}\n" in platform.run("status", check=True).stdout
    assert platform.ps() and platform.get("/").status == 200


def test_metrics_are_scraped_by_another_user(platform):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    place = address()
    write_manifest(platform, place)
    platform.up()
    scraped = subprocess.run(["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "curl", "-sS",
                              "--max-time", "10", f"http://{place}/metrics"], stdout=subprocess.PIPE, text=True, check=True)
    assert "havn_process_up{" in scraped.stdout


def test_a_change_of_the_address_is_taken_over_and_touches_nothing_else(platform):
    first, second = address(), address()
    write_manifest(platform)
    platform.up()
    before = {(row["name"], row["instance"]): row["pid"] for row in platform.ps()}
    write_manifest(platform, first)
    assert "metrics" in platform.run("plan").stdout
    platform.up()
    assert http_request(first, "GET", "/metrics").status == 200
    write_manifest(platform, second)
    platform.up()
    assert http_request(second, "GET", "/metrics").status == 200
    with pytest.raises(OSError):
        http_request(first, "GET", "/metrics")
    platform.kill("control")    # its successor is handed the same socket
    wait_for(lambda: http_request(second, "GET", "/metrics").status == 200, what="control to be back")
    wait_for(lambda: platform.process("control")["state"] == "ready", what="control to be ready")
    after = {(row["name"], row["instance"]): row["pid"] for row in platform.ps()}
    assert {**before, ("control", 1): 0} == {**after, ("control", 1): 0}
    write_manifest(platform)
    platform.up()
    with pytest.raises(OSError):
        http_request(second, "GET", "/metrics")


def test_a_taken_port_is_refused_before_anything_changes(platform):
    place = address()
    write_manifest(platform, place)
    with taken(place):
        for verb in (["plan"], ["up", "-d"]):
            done = platform.run(*verb)
            assert done.returncode == 1 and f"[metrics] cannot listen on {place}: another process has it" in done.stderr, verb
    assert platform.survivors() == {}
    write_manifest(platform)
    platform.up()
    write_manifest(platform, place)
    with taken(place):
        assert platform.run("up", "-d").returncode == 1
    assert platform.get("/").status == 200


def test_connections_that_say_nothing_are_bounded_and_end(platform):
    place = address()
    write_manifest(platform, place)
    platform.up()
    host, _, port = place.rpartition(":")
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(socket.create_connection((host, int(port)), timeout=10)) for _ in range(40)]
        assert http_request(platform.gateway, "GET", "/").status == 200
        assert platform.run("ps").returncode == 0
        closed = []
        for connection in silent[16:]:      # beyond those that fit: closed at once
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""
            closed.append(connection)
        assert len(closed) == 24
    wait_for(lambda: http_request(place, "GET", "/metrics").status == 200, what="room for those who ask")
