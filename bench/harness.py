"""What every benchmark needs: processes that surely end, CPU and memory from /proc, medians, one JSON file per run."""

import contextlib
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
RESULTS = BUILD / "bench"
CORES = os.cpu_count()
TICK = os.sysconf("SC_CLK_TCK")


def program(name):
    return str(RESULTS / name)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def scratch():
    """A folder on the disk the sources are on (not a memory file system), gone afterwards."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(condition, what, seconds=30.0, every=0.001):
    """Polls until the condition holds and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise TimeoutError(f"waited {seconds:g} s for {what}")


def answers(port, send=b"", begins=b""):
    """Whether a connection to the port is accepted and, asked with `send`, answers with `begins`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as link:
            link.sendall(send)
            return not begins or link.recv(64).startswith(begins)
    except OSError:
        return False


def serves_http(port):
    return answers(port, b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")


def speaks_amqp(port):
    return answers(port, b"AMQP\0\0\x09\x01", b"\x01\0\0")


# ---- processes -----------------------------------------------------------------------------------------------------

class Process:
    """A program in a session of its own; stop() ends it and whatever it started."""

    def __init__(self, command, folder, name, env=None):
        self.log = folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([str(word) for word in command], cwd=folder, stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True,
                                          env={**os.environ, **(env or {})})
        self.pid = self.child.pid

    def pids(self):
        return tree(self.pid)

    def stop(self, seconds=10):
        family = self.pids()
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def stat(pid):
    """The fields of /proc/PID/stat after the name: [0] state, [1] parent, [11] and [12] user and system ticks."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def everyone():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tree(root):
    """The process and its living descendants."""
    parents = {pid: int(fields[1]) for pid in everyone() if (fields := stat(pid))}
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return [pid for pid in found if pid in parents]


def running(executable):
    """Processes of exactly this file."""
    found = []
    for pid in everyone():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/exe") == str(executable):
                found.append(pid)
    return found


def cpu_seconds(pids):
    return sum(int(fields[11]) + int(fields[12]) for pid in pids if (fields := stat(pid))) / TICK


def memory(pids):
    """Resident, proportional and anonymous memory of processes together, in megabytes (10^6 bytes)."""
    total = {"rss_mb": 0.0, "pss_mb": 0.0, "anonymous_mb": 0.0}
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key = {"Rss:": "rss_mb", "Pss:": "pss_mb", "Anonymous:": "anonymous_mb"}.get(line.split()[0])
                if key:
                    total[key] += int(line.split()[1]) * 1024 / 1e6
    return {key: round(value, 3) for key, value in total.items()}


# ---- Havn ----------------------------------------------------------------------------------------------------------

# As root a program in root's folder runs as a user of its own, unless the manifest says otherwise. What is measured
# writes into the benchmark's folder, as the peers and their programs do.
AS_US = 'user = "root"' if os.geteuid() == 0 else ""


class Havn:
    """The real binary in a project folder of its own, started with `havn up -d`."""

    def __init__(self, folder, manifest, name="havn", binary=None):
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        self.binary = self.folder / "bin-havn"    # a copy, so that its processes are told from any other Havn's
        shutil.copy2(binary or os.environ.get("HAVN_BINARY", BUILD / "havn"), self.binary)
        (self.folder / "havn.toml").write_text(manifest)

    def run(self, *words):
        done = subprocess.run([str(self.binary), *words], cwd=self.folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"havn {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        try:
            self.run("up", "-d")
        except BaseException:
            self.stop()    # a start that failed half-way leaves nothing either
            raise

    def pids(self):
        """The platform's own processes, without the instances it runs."""
        return running(self.binary)

    def processes(self):
        return json.loads(self.run("ps", "--json"))

    def stop(self):
        with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
            self.run("down")
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# ---- figures -------------------------------------------------------------------------------------------------------

def turns(peers, rounds):
    """Every peer once a round, each round beginning with another, so that none always runs on a warm or tired machine."""
    peers = list(peers)
    for number in range(rounds):
        shift = number % len(peers)
        yield from ((number, peer) for peer in peers[shift:] + peers[:shift])


def medians(samples):
    """[{name: figure}] to {name: median}."""
    return {key: round(statistics.median(sample[key] for sample in samples), 4) for key in samples[0]}


def version_of(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", name], capture_output=True, text=True)
    return done.stdout or "unknown"


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return {"cores": CORES, "cpu": model, "kernel": platform.release(), "load": os.getloadavg()[0],
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


def save(name, result):
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    print(f"\n  written to {path.relative_to(ROOT)}")


def table(title, columns, rows):
    """Prints rows of text under their columns, the first column to the left, figures to the right."""
    print(f"\n{title}")
    rows = [[str(cell) for cell in row] for row in [columns, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    for row in rows:
        first, *others = (cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths)))
        print("  " + "   ".join([first, *others]).rstrip())


def ratio(value, other):
    return f"{value / other:.2f}" if other else "-"
