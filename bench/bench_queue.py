"""Durable messages of 256 bytes: RabbitMQ classic and quorum queues, and Havn, under one load client over one connection.

publish, window W: persistent messages to a durable queue, at most W unconfirmed, until the last is confirmed.
consume + ack: a queue filled before, prefetch 1000, every message acknowledged by itself.
100 queues: the same publish, one message to each in turn.
CPU per message counts the broker's processes (for Havn all of the platform's) and not the client.
"""

import json
import subprocess

from harness import (Havn, Process, cpu_seconds, free_port, medians, package_version, program, ratio, save, scratch,
                     speaks_amqp, table, turns, wait_for)

ROUNDS, SECONDS = 3, 2.5

CASES = {    # name: (verb, options)
    "publish, window 1000": ("publish", {"window": 1000}),
    "consume + ack, prefetch 1000": ("consume", {"prefetch": 1000, "ack_every": 1}),
    "publish, window 1": ("publish", {"window": 1}),
    "publish, window 1000, 100 queues": ("publish", {"window": 1000, "queues": 100}),
}

RABBITMQ = """
listeners.tcp.1 = 127.0.0.1:{port}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.relative = 0.6
log.console = false
log.file.level = warning
"""

HAVN = """
app = "bench"
[gateway]
listen = ["127.0.0.1:{http}"]
[broker]
listen = ["127.0.0.1:{port}"]
"""


class RabbitMQ:
    """Debian's server as a node of its own: data, log, cookie, name service and ports apart from any other."""

    name = "rabbitmq"

    def __init__(self, folder):
        self.folder, self.port = folder / "rabbitmq", free_port()
        self.folder.mkdir()
        self.configuration = self.folder / "rabbitmq.conf"
        self.configuration.write_text(RABBITMQ.format(port=self.port))
        (self.folder / "plugins").write_text("[].\n")
        names = str(free_port())
        self.env = {
            "HOME": str(self.folder), "ERL_EPMD_PORT": names, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "bench@localhost", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(self.configuration), "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        }
        self.names_port = names

    def start(self):
        # Our own epmd: otherwise the node leaves one behind as a daemon.
        self.names = Process(["epmd", "-port", self.names_port, "-address", "127.0.0.1"], self.folder, "epmd", self.env)
        self.server = Process(["/usr/lib/rabbitmq/bin/rabbitmq-server"], self.folder, "server", self.env)
        wait_for(lambda: speaks_amqp(self.port), "RabbitMQ to answer", seconds=90, every=0.01)

    def pids(self):
        return self.server.pids() + self.names.pids()

    def stop(self):
        self.server.stop(20)
        self.names.stop()


class Subject:
    """A kind of queue at a broker."""

    def __init__(self, name, broker, port, kind="classic"):
        self.name, self.broker, self.port, self.kind = name, broker, port, kind

    def load(self, verb, queue, **options):
        words = [f"{key}={value}" for key, value in {"port": self.port, "queue": queue, **options}.items()]
        done = subprocess.run([program("amqp_load"), verb, *words], capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{self.name}, {verb} {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout else None

    def turn(self, number):
        """All cases once; the consumer empties what the first case published."""
        figures, filled = {}, 0
        for index, (case, (verb, options)) in enumerate(CASES.items()):
            queue = f"{self.kind}.{number}.{0 if verb == 'consume' else index}"
            if verb == "consume":
                options = {**options, "messages": filled, "seconds": 2 * SECONDS}
            else:
                options = {**options, "seconds": SECONDS, "type": self.kind}
            before = cpu_seconds(self.broker.pids())
            load = self.load(verb, queue, **options)
            used = cpu_seconds(self.broker.pids()) - before
            if index == 0:
                filled = load["messages"]
            figures[case] = {"per_second": load["rate"], "messages": load["messages"],
                             "cpu_us_per_message": used / max(load["messages"], 1) * 1e6,
                             "p50_us": load.get("p50_us", 0), "p99_us": load.get("p99_us", 0)}
        for index, (verb, options) in enumerate(CASES.values()):
            if verb == "publish":
                self.load("delete", f"{self.kind}.{number}.{index}", queues=options.get("queues", 1))
        return figures


def run(skip=()):
    with scratch() as folder:
        brokers, subjects = [], []
        try:
            if "rabbitmq" not in skip:
                brokers.append(RabbitMQ(folder))
                brokers[-1].start()
                subjects += [Subject("rabbitmq classic", brokers[-1], brokers[-1].port),
                             Subject("rabbitmq quorum", brokers[-1], brokers[-1].port, "quorum")]
            if "havn" not in skip:
                port = free_port()
                brokers.append(Havn(folder, HAVN.format(port=port, http=free_port())))
                brokers[-1].start()
                wait_for(lambda: speaks_amqp(port), "Havn's broker to answer")
                subjects.append(Subject("havn", brokers[-1], port))
            samples = {}
            for number, subject in turns(subjects, ROUNDS):
                print(f"  round {number + 1} of {ROUNDS}: {subject.name}", flush=True)
                for case, figures in subject.turn(number).items():
                    samples.setdefault((case, subject.name), []).append(figures)
        finally:
            for broker in brokers:
                broker.stop()
    report({key: medians(value) for key, value in samples.items()}, samples, [s.name for s in subjects])


def report(median, samples, names):
    for case in CASES:
        base = median.get((case, "rabbitmq quorum"))
        rows = [[name, f"{m['per_second']:,.0f}", ratio(m["per_second"], base and base["per_second"]),
                 f"{m['cpu_us_per_message']:.2f}", f"{m['p50_us']:,.0f}", f"{m['p99_us']:,.0f}"]
                for name in names for m in [median[case, name]]]
        table(f"queue: {case} (median of {ROUNDS} rounds)",
              ["", "messages/s", "to quorum", "CPU us/message", "confirm p50 us", "p99 us"], rows)
    save("queue", {"versions": {"rabbitmq": package_version("rabbitmq-server")},
                   "cases": {case: {name: {"median": median[case, name], "rounds": samples[case, name]}
                                    for name in names} for case in CASES}})
