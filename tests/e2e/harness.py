"""What every end-to-end test stands on: a real platform in its own folder, waits for conditions, no leftovers.

    def test_something(platform):
        platform.manifest('''
            [service.web]
            command = "python3 -m http.server $PORT --bind 127.0.0.1"
            [route."/"]
            service = "web"
        ''')
        platform.up()
        assert platform.get("/").status == 200

The manifest gets an `app`, a free `[gateway] listen` and a free `[broker] listen` where it names none.
"""

import collections
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time
import uuid
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"  # Debian's, which finds Debian's pika and Celery
COOKIE = "HAVN_E2E_COOKIE"


def havn_binary() -> Path:
    return Path(os.environ.get("HAVN_BINARY", REPOSITORY / "build" / "havn")).resolve()


GIVEN_PORTS = collections.deque(maxlen=500)


def free_port() -> int:
    """A port nobody listens on, below the range the kernel and the platform hand out by themselves. Tests that run side
    by side (pytest-xdist calls them gw0, gw1, …) choose from ranges of their own, and a test is not given one twice: nobody
    takes what another is about to."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 9
    while True:
        port = random.randrange(10500 + worker * 1000, 11500 + worker * 1000)
        if port in GIVEN_PORTS:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                GIVEN_PORTS.append(port)
                return port
            except OSError:
                continue


def wait_for(condition, timeout=10.0, what=None, every=0.02):
    """Polls `condition` until it is true and returns its value; a refused connection counts as 'not yet'."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = repr(value)
        except (OSError, http.client.HTTPException) as error:
            last = repr(error)
        if time.monotonic() > deadline:
            what = what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"waited {timeout} s for {what}; last seen: {last}")
        time.sleep(every)


class Response:
    """A whole HTTP response, and how long it took."""

    def __init__(self, status, headers, body, seconds):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:120]!r} in {self.seconds:.3f} s>"


def http_request(address, method, path, body=None, headers=None, timeout=30.0) -> Response:
    """One request on a connection of its own. `body`: bytes, text, or anything JSON can say."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    began = time.monotonic()
    connection = http.client.HTTPConnection(address, timeout=timeout)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        return Response(response.status, response.headers, content, time.monotonic() - began)


class Failed(AssertionError):
    """A `havn` command that did not do what the test needed."""


class Platform:
    """One running Havn with its own folder, data folder and ports. Made by the fixture `platform`."""

    def __init__(self, binary: Path):
        self.binary = Path(binary)
        self.folder = Path(tempfile.mkdtemp(prefix="havn-e2e-"))
        self.folder.chmod(0o777)  # as root the programs run as a user of their own, and some write here
        self.data = self.folder / ".havn"
        self.cookie = uuid.uuid4().hex
        self.gateway = self.broker = None
        self.environment = {**os.environ, COOKIE: self.cookie}
        self._foreground = []

    # --- the project

    def write(self, name: str, content) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return path

    def manifest(self, text: str) -> Path:
        """Writes havn.toml; adds the app's name and the listening addresses where `text` has none."""
        text = textwrap.dedent(text).strip() + "\n"
        head = "" if any(line.startswith("app ") for line in text.splitlines()) else 'app = "test"\n'
        tail = ""
        if "[gateway]" not in text:
            self.gateway = self.gateway or f"127.0.0.1:{free_port()}"
            tail += f'\n[gateway]\nlisten = ["{self.gateway}"]\n'
        if "[broker]" not in text:
            self.broker = self.broker or f"127.0.0.1:{free_port()}"
            tail += f'\n[broker]\nlisten = ["{self.broker}"]\n'
        return self.write("havn.toml", head + text + tail)

    def copy_tree(self, source: Path, ignore=("data", ".havn", "__pycache__")):
        shutil.copytree(source, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*ignore))
        self.folder.chmod(0o777)

    # --- the commands

    def run(self, *arguments, timeout=60.0, check=False, **options) -> subprocess.CompletedProcess:
        """`havn ARGUMENTS` in the project's folder, to its end."""
        done = subprocess.run([str(self.binary), *map(str, arguments)], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=timeout, **options)
        if check and done.returncode != 0:
            command = " ".join(map(str, arguments))
            raise Failed(f"havn {command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments, timeout=60.0) -> "Platform":
        """`havn up -d`: returns once everything is ready."""
        self.run("up", "-d", *arguments, timeout=timeout, check=True)
        return self

    def up_foreground(self, *arguments) -> subprocess.Popen:
        """`havn up` in the foreground; output goes to `foreground.log` in the folder."""
        with open(self.folder / "foreground.log", "ab") as output:
            process = subprocess.Popen([str(self.binary), "up", *map(str, arguments)], cwd=self.folder,
                                       env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, start_new_session=True)
        self._foreground.append(process)
        return process

    def down(self, timeout=60.0) -> subprocess.CompletedProcess:
        return self.run("down", timeout=timeout)

    def ps(self):
        """The rows of `havn ps --json`: name, instance, kind, pid, state, restarts, since."""
        done = self.run("ps", "--json", timeout=30)  # exit 1: something is unhealthy, or there is no answer
        if not done.stdout:
            raise Failed(f"havn ps: exit {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def process(self, name, instance=None) -> dict:
        rows = [row for row in self.ps() if row["name"] == name and instance in (None, row["instance"])]
        assert rows, f"no process {name!r} (instance {instance}) in havn ps"
        return rows[0]

    def pid_of(self, name, instance=None) -> int:
        """The pid of a running process; waits while it is being restarted."""
        return wait_for(lambda: self._running_pid(name, instance), 20, f"{name} to run", every=0.05)

    def _running_pid(self, name, instance):
        try:
            return self.process(name, instance).get("pid")
        except Failed:  # control itself may be the part that was killed
            return None

    def kill(self, name, sig=signal.SIGKILL, instance=None) -> int:
        """Sends a signal to a process of the platform; returns the pid it had."""
        def send():
            pid = self.pid_of(name, instance)
            os.kill(pid, sig)  # the table may still name one that has just ended: then the next
            return pid
        return wait_for(send, 20, f"a {name} to kill", every=0.01)

    # --- the clients

    def http(self, method, path, body=None, headers=None, timeout=30.0) -> Response:
        return http_request(self.gateway, method, path, body, headers, timeout)

    def get(self, path, **options) -> Response:
        return self.http("GET", path, **options)

    def post(self, path, body=b"", **options) -> Response:
        return self.http("POST", path, body, **options)

    @property
    def amqp_url(self) -> str:
        return f"amqp://guest:guest@{self.broker}/%2F"

    # --- what is left

    def survivors(self):
        """{pid: what} of every process that still lives, found by cookie, folder or command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if self._is_ours(entry):
                        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip()
                        found[int(entry.name)] = (command or (entry / "comm").read_bytes()).decode()
        return found

    def _is_ours(self, entry: Path) -> bool:
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            return False
        folder = str(self.folder).encode()
        if self.cookie.encode() in (entry / "environ").read_bytes():
            return True
        if folder in (entry / "cmdline").read_bytes():
            return True
        return os.readlink(entry / "cwd").startswith(str(self.folder))

    def logs(self, lines=60) -> str:
        """The tails of everything the platform and its instances wrote."""
        files = [self.folder / "foreground.log", *sorted((self.data / "logs").rglob("*.log"))]
        parts = []
        for file in files:
            if file.exists() and file.stat().st_size:
                tail = file.read_text(errors="replace").splitlines()[-lines:]
                parts.append(f"--- {file.name}\n" + "\n".join(tail))
        return "\n".join(parts) or "(no logs)"

    def close(self):
        """`havn down`, then nothing may be left; what is left is killed by pid and fails the test."""
        left, complaint = self.survivors(), None
        if left:
            try:
                done = self.down()
                complaint = f"havn down: exit {done.returncode}\n{done.stderr}" if done.returncode else None
            except subprocess.TimeoutExpired as error:
                complaint = str(error)
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not self.survivors(), 15, "every process to end")
            left = self.survivors()
        for process in self._foreground:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0 if left else 15)
        if left:
            complaint = f"{complaint or ''}\nstill alive after havn down: {left}\n{self.logs()}"
            self._kill_survivors()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not complaint, complaint

    def _kill_survivors(self):
        def all_gone():
            for pid in self.survivors():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.survivors()
        wait_for(all_gone, 10, "the killed processes to end")
        for process in self._foreground:
            process.wait(5)


@contextlib.contextmanager
def running(binary: Path, manifest: str, files=None):
    """A platform for a whole module: up before, down and checked after. `files`: {name: content}."""
    platform = Platform(binary)
    try:
        for name, content in (files or {}).items():
            platform.write(name, content)
        platform.manifest(manifest)
        yield platform.up()
    finally:
        platform.close()
