"""How soon a killed process is back, what the idle platform weighs, and how long a cold start takes.

restart: from SIGKILL of a child to the first line of its successor's main(), which notes the time itself. The kills
are further apart than either supervisor's "it runs" threshold, so that no back-off is measured.
memory: all processes of Havn, idle, against RabbitMQ + nginx + supervisord, idle.
cold start: from the command to the first answer, on an empty data folder.
"""

import os
import signal
import threading
import time

from bench_gateway import UPSTREAM
from bench_queue import RabbitMQ
from harness import (AS_US, CORES, Havn, Process, free_port, medians, memory, package_version, program, ratio, save,
                     scratch, serves_http, speaks_amqp, table, turns, wait_for)

ROUNDS, KILLS, APART = 3, 4, 1.4

SUPERVISORD = """
[supervisord]
nodaemon = true
user = root
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
[program:stamp]
command = {stamp} {folder}/supervisord.stamp
startsecs = 1
stdout_logfile = {folder}/stamp.out
stderr_logfile = {folder}/stamp.err
"""

HAVN = """
app = "bench"
[gateway]
listen = ["127.0.0.1:{http}"]
[broker]
listen = ["127.0.0.1:{amqp}"]
[service.web]
command = "sh {folder}/web.sh"
{as_us}
[worker.stamp]
command = "{stamp} {folder}/havn.stamp"
startretries = 1000    # so many ends in a minute are what is measured, and no crash loop
{as_us}
[route."/"]
service = "web"
"""


class Supervisord:
    name = "supervisord"

    def __init__(self, folder):
        self.folder, self.stamp = folder, folder / "supervisord.stamp"
        self.configuration = folder / "supervisord.conf"
        self.configuration.write_text(SUPERVISORD.format(folder=folder, stamp=program("stamp")))

    def start(self):
        self.process = Process(["/usr/bin/supervisord", "-c", self.configuration], self.folder, "supervisord")

    def pids(self):
        return [self.process.pid]

    def stop(self):
        self.process.stop()


class Nginx:
    name = "nginx"

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.configuration = folder / "idle.conf"
        self.configuration.write_text(UPSTREAM.format(folder=folder, name="idle", port=self.port, cores=CORES, body="ok"))

    def start(self):
        self.process = Process(["nginx", "-c", self.configuration], self.folder, "idle")

    def pids(self):
        return self.process.pids()

    def stop(self):
        self.process.stop()


def havn(folder, number=0, binary=None):
    """A Havn of its own, empty data folder, with a web service and the stamp as a worker."""
    home = folder / f"havn-{number}"
    home.mkdir()
    http, amqp = free_port(), free_port()
    (home / "template.conf").write_text(UPSTREAM.format(folder=home, name="web", port="WEB_PORT", cores=1, body="ok"))
    (home / "web.sh").write_text(f'sed "s/WEB_PORT/$PORT/" {home}/template.conf >{home}/web.conf\n'
                                 f"exec nginx -c {home}/web.conf\n")
    subject = Havn(home, HAVN.format(http=http, amqp=amqp, folder=home, stamp=program("stamp"),
                                      as_us=AS_US), binary=binary)
    subject.http, subject.amqp, subject.stamp = http, amqp, home / "havn.stamp"
    return subject


def stamped(path):
    """(pid, time it began) of the last stamp, or None."""
    try:
        pid, began = path.read_text().split()
        return int(pid), int(began)
    except (OSError, ValueError):
        return None


def time_restarts(path, name):
    """Milliseconds from SIGKILL to the successor's main(), for KILLS kills."""
    wait_for(lambda: stamped(path), f"{name}'s child to start")
    times = []
    for _ in range(KILLS):
        time.sleep(APART)
        pid, _ = stamped(path)
        killed = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        _, began = wait_for(lambda: (now := stamped(path)) and now[0] != pid and now, f"{name} to restart", every=0.0005)
        times.append((began - killed) / 1e6)
    return times


def restarts(folder, skip):
    supervisord, ours = Supervisord(folder), None if "havn" in skip else havn(folder, "restart")
    subjects = [one for one in (None if "supervisord" in skip else supervisord, ours) if one]
    times = {one.name: [] for one in subjects}
    try:
        for one in subjects:
            one.start()
        for number, one in turns(subjects, ROUNDS):
            print(f"  restart, round {number + 1} of {ROUNDS}: {one.name}", flush=True)
            times[one.name] += time_restarts(one.stamp, one.name)
    finally:
        for one in subjects:
            one.stop()
    return {name: {"median_ms": medians([{"ms": value} for value in values])["ms"], "max_ms": round(max(values), 2),
                   "all_ms": [round(value, 2) for value in values]} for name, values in times.items()}


def started(one, condition, what):
    """Starts it; seconds until the condition held."""
    begin = time.monotonic()
    one.start()
    wait_for(condition, what, seconds=90, every=0.002)
    return time.monotonic() - begin


def weight(one):
    """What it weighs a few seconds after the start, when nothing was asked of it."""
    time.sleep(4)
    return {**memory(one.pids()), "processes": len(one.pids())}


def cold(folder, skip):
    """One cold start of each: ({what: seconds}, {who: memory})."""
    seconds, weights, running = {}, {}, []
    try:
        rabbitmq, nginx, supervisord = RabbitMQ(folder), Nginx(folder), Supervisord(folder)
        for one, condition in ((rabbitmq, lambda: speaks_amqp(rabbitmq.port)), (nginx, lambda: serves_http(nginx.port)),
                               (supervisord, lambda: stamped(supervisord.stamp))):
            if one.name not in skip:
                running.append(one)
                seconds[one.name] = started(one, condition, f"{one.name} to serve")
        weights = {one.name: weight(one) for one in running}
    finally:
        for one in running:
            one.stop()
    if "havn" not in skip:
        ours = havn(folder)
        try:
            begin = time.monotonic()
            command = threading.Thread(target=ours.start)
            command.start()
            wait_for(lambda: serves_http(ours.http) and speaks_amqp(ours.amqp), "Havn to serve")
            seconds["havn, HTTP and AMQP"] = time.monotonic() - begin
            command.join()    # it also waits until the worker has run for a second
            weights["havn"] = weight(ours)
        finally:
            ours.stop()
    return seconds, weights


def run(skip=()):
    with scratch() as folder:
        times = restarts(folder, skip)
    colds = []
    for number in range(ROUNDS):
        print(f"  cold start and memory, round {number + 1} of {ROUNDS}", flush=True)
        with scratch() as folder:
            colds.append(cold(folder, skip))
    seconds = medians([one for one, _ in colds])
    weights = {name: medians([one[name] for _, one in colds]) for name in colds[0][1]}
    report(times, seconds, weights)


def report(times, seconds, weights):
    base = times.get("supervisord")
    table(f"supervisor: from SIGKILL to the new process, {ROUNDS * KILLS} kills", ["", "median ms", "max ms", "ratio"],
          [[name, f"{t['median_ms']:.2f}", f"{t['max_ms']:.2f}", ratio(t["median_ms"], base and base["median_ms"])]
           for name, t in times.items()])
    table(f"cold start to the first answer (median of {ROUNDS})", ["", "ms"],
          [[name, f"{value * 1000:,.0f}"] for name, value in seconds.items()])
    others = [value for name, value in weights.items() if name != "havn"]
    together = {key: round(sum(one[key] for one in others), 1) for key in others[0]} if others else {}
    rows = {**weights, **({"these together": together} if together else {})}
    if "havn" in rows:
        rows["havn"] = rows.pop("havn")
    table("memory of all processes, idle (MB)", ["", "PSS", "RSS", "processes"],
          [[name, f"{w['pss_mb']:.1f}", f"{w['rss_mb']:.1f}", f"{w['processes']:.0f}"] for name, w in rows.items()])
    save("supervisor", {"versions": {name: package_version(name) for name in ("supervisor", "nginx", "rabbitmq-server")},
                        "restart": times, "cold_start_seconds": seconds, "memory": rows})
