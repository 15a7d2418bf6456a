"""What soaks have in common: where their figures go, clients at a steady rate, and when two 99th percentiles agree."""

import contextlib
import json
import os
import select
import subprocess
import time
from pathlib import Path

from harness import PYTHON, REPOSITORY

HERE = Path(__file__).resolve().parent

# Below this the ratio of two 99th percentiles says nothing. Two cores are shared by everything that is measured, what loads
# it and what times it: one of a hundred requests always waits for a slice of the scheduler (up to 3 ms here, and a
# second one when a kernel thread takes its turn), whatever Havn does.
FLOOR_MS = 6.0


def save(name, **figures):
    """Prints the figures as one line and leaves them in build/soak/NAME.json."""
    record = {"soak": name, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "cores": os.cpu_count(),
              "loadavg": os.getloadavg()[0], **figures}
    folder = REPOSITORY / "build" / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print("\n" + json.dumps(record))


def ask(platform, path):
    """The control API's answer, as curl gets it."""
    done = subprocess.run(["curl", "-sSf", "--max-time", "10", "--unix-socket", platform.data / "run/control.sock",
                           f"http://havn{path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{path}: {done.stderr}"
    return done.stdout


def metrics(platform):
    """{name with labels: value} of every part of the platform."""
    return {key: float(value) for key, value in
            (line.rsplit(" ", 1) for line in ask(platform, "/metrics").splitlines() if line and line[0] != "#")}


class Client:
    """A process of `script` with these settings, which answers a line of JSON to each line it is told. `nice` above 0 where it must
    not take the time of what it measures."""

    def __init__(self, script, nice=0, **settings):
        self.process = subprocess.Popen(["nice", "-n", str(nice), PYTHON, HERE / script, json.dumps(settings)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command, seconds=30.0):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert readable, f"{self.process.args[4]} did not answer {command!r} within {seconds} s"
        return json.loads(self.process.stdout.readline())

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Load(Client):
    """Requests at a steady rate: load.py."""

    def __init__(self, address, connections, rate, nice=0, **options):
        super().__init__("load.py", nice, address=address, connections=connections, rate=rate, **options)
        self.begin()

    def begin(self):
        """What comes from now on is counted anew."""
        self.ask("begin")

    def end(self):
        """The figures since `begin`."""
        return self.ask("end")

    def take(self, count, seconds=120.0):
        """The figures of the next `count` requests and those since `begin`."""
        return self.ask(f"take {count}", seconds)

    def measure(self, count, seconds=120.0):
        """The figures of the next `count` requests."""
        self.begin()
        return self.take(count, seconds)


def direct(platform, service):
    """The same requests past the gateway: what they take is the machine's doing, the load generators' included."""
    return Load(f"127.0.0.1:{platform.process(service)['port']}", 4, 200)


def undisturbed(during, *others):
    """Whether the 99th percentile of other clients stayed within twice that of `others`: before, after, and beside it past the
    gateway. Of them the worst, for what else the machine does is in each; and none of the clients failed."""
    return during["failed"] == 0 and during["p99_ms"] <= max(2 * max(one["p99_ms"] for one in others), FLOOR_MS)


def cpu_seconds(pid):
    """What a process has used so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid, key):
    """Bytes that /proc/PID/status says: VmRSS now, VmHWM at the most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {key} of {pid}")
