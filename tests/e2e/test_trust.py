"""Who may do what: ARCHITECTURE.md's table, tried from a process of each user."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness import PYTHON, Failed, Platform, free_port, wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be other users")
NOBODY, STRANGER = 65534, 60601   # the second is nobody's on this host

# One attempt: prints "yes", or why not.
ATTEMPTS = """
import ctypes, os, signal, socket, sys
def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(path)
def read(path):
    with open(path, "rb") as file:
        file.read(1)
def create(path):
    with open(path + "/planted", "x"):
        pass
    os.unlink(path + "/planted")
def enter(path):
    os.listdir(path)
def trace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, int(pid), 0, 0) != 0:   # PTRACE_SEIZE: the process does not notice
        raise OSError(ctypes.get_errno(), "ptrace")
def signal_(pid):
    os.kill(int(pid), 0)
try:
    {"connect": connect, "read": read, "create": create, "list": enter, "trace": trace,
     "signal": signal_}[sys.argv[1]](sys.argv[2])
    print("yes")
except OSError as error:
    print(os.strerror(error.errno) if error.errno else repr(error))
"""


def status_of(pid, key):
    text = Path(f"/proc/{pid}/status").read_text()
    return [int(word) for word in re.search(rf"^{key}:(.*)$", text, re.M).group(1).split()]


def as_user(uid, *command, groups=(), **options):
    chosen = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", *chosen, *map(str, command)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, **options)


class Users:
    """Uid and groups of every process of a platform, by what it is called in the table."""

    def __init__(self, platform):
        self.pids = {name: platform.pid_of(name)
                     for name in ("keeper", "supervisor", "control", "gateway", "broker", "web")}
        self.by_name = {name: (status_of(pid, "Uid")[0], status_of(pid, "Groups"))
                        for name, pid in self.pids.items() if name not in ("keeper", "supervisor")}
        self.by_name["nobody"] = (NOBODY, [])
        self.by_name["stranger"] = (STRANGER, [])

    def who_may(self, action, target):
        answers = {name: as_user(uid, PYTHON, "-c", ATTEMPTS, action, target, groups=groups).stdout.strip()
                   for name, (uid, groups) in self.by_name.items()}
        assert all(answers.values()), answers
        return {name for name, answer in answers.items() if answer == "yes"}


@pytest.fixture(scope="module")
def shop(havn):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be other users")
    platform = Platform(havn)
    try:
        platform.manifest(f'''
            [service.web]
            command = "sh -c 'echo serving; exec {PYTHON} -m http.server --bind 127.0.0.1 $PORT'"
            env = {{ DB_PASSWORD = "hunter2" }}
            [route."/"]
            service = "web"
            [queue.orders]
            [route."/orders"]
            methods = ["POST"]
            queue = "orders"
        ''')
        platform.up()
        assert platform.post("/orders", b"card=4111").status == 202
        wait_for(lambda: (platform.data / "logs/gateway/access.log").exists(), what="the access log")
        yield platform
    finally:
        platform.close()


@pytest.fixture(scope="module")
def users(shop):
    return Users(shop)


def test_each_part_has_a_user_of_its_own_that_is_nobody(shop, users):
    uids = {name: users.by_name[name][0] for name in ("control", "gateway", "broker", "web")}
    assert len(set(uids.values())) == 4 and not {0, NOBODY} & set(uids.values()), uids
    for part in ("control", "gateway", "broker"):
        assert status_of(users.pids[part], "NoNewPrivs") == [1]
        assert status_of(users.pids[part], "CapEff") == [0]
    assert status_of(users.pids["gateway"], "Groups") == [uids["gateway"]]
    assert status_of(users.pids["broker"], "Groups") == [uids["broker"]]


SOCKETS = [("run/control.sock", set()), ("run/gateway.sock", {"control"}), ("run/broker.sock", {"control"}),
           ("run/amqp.sock", {"gateway"})]


@pytest.mark.parametrize("path, whom", SOCKETS)
def test_who_may_connect(shop, users, path, whom):
    assert users.who_may("connect", shop.data / path) == whom


READABLE = [("applied/current/manifest.json", {"control"}), ("applied/current/placement.json", {"control"}),
            ("applied/current/origin.json", {"control"}),
            ("applied/parts/gateway.json", {"control", "gateway"}),
            ("applied/parts/broker.json", {"control", "broker"}), ("run/desired.json", set()),
            ("run/processes.json", set()), ("run/lock", set()), ("accounts.json", set()),
            ("logs/web.1.log", {"control"}), ("logs/supervisor.log", {"control"}),
            ("logs/gateway/access.log", {"control", "gateway"})]


@pytest.mark.parametrize("path, whom", READABLE)
def test_who_may_read(shop, users, path, whom):
    assert users.who_may("read", shop.data / path) == whom


FOLDERS = [(".", set(), set()), ("run", set(), set()), ("applied", {"control"}, {"control"}),
           ("applied/current", {"control"}, {"control"}), ("queue", {"broker"}, {"broker"}),
           ("logs", {"control"}, set()), ("logs/gateway", {"control", "gateway"}, {"gateway"})]


@pytest.mark.parametrize("path, readers, writers", FOLDERS)
def test_who_may_list_and_write(shop, users, path, readers, writers):
    assert users.who_may("list", shop.data / path) == readers
    assert users.who_may("create", shop.data / path) == writers


def test_no_part_can_be_traced_not_even_by_its_own_user(users):
    for name in ("keeper", "supervisor", "control", "gateway", "broker"):
        assert users.who_may("trace", users.pids[name]) == set(), name
        assert users.who_may("read", f"/proc/{users.pids[name]}/environ") == set(), name
        assert users.who_may("list", f"/proc/{users.pids[name]}/fd") == set(), name


def test_each_can_signal_its_own_only(users):
    for name in ("keeper", "supervisor", "control", "gateway", "broker", "web"):
        assert users.who_may("signal", users.pids[name]) == {name} - {"keeper", "supervisor"}, name


def apply_as(shop, uid, text):
    body = json.dumps({"toml": {"file": "havn.toml", "text": text}, "directory": str(shop.folder)})
    return as_user(uid, "curl", "-sS", "--max-time", "10", "--unix-socket", shop.data / "run/control.sock",
                   "-d", body, "http://havn/v1/apply")


def test_whoever_is_nobody_or_the_gateway_applies_nothing(shop, users):
    proof = shop.folder / "pwned"
    evil = f'[worker.evil]\nuser = "root"\ncommand = "touch {proof}"\n'
    for name, (uid, _) in users.by_name.items():
        refused = apply_as(shop, uid, evil)
        assert refused.returncode != 0 and "evil" not in refused.stdout, (name, refused.stdout)
    assert not proof.exists()
    assert not [row for row in shop.ps() if row["name"] == "evil"]


def test_a_manifest_sent_by_hand_makes_nothing_root(shop):
    text = (shop.folder / "havn.toml").read_text() + '[worker.evil]\nuser = "root"\ncommand = "sleep 1000"\n'
    answer = json.loads(apply_as(shop, 0, text).stdout)
    assert answer["error"]["kind"] == "denied" and "'evil' would run as root" in answer["error"]["message"]
    assert "chown root" in answer["error"]["remedy"]


def test_another_user_is_told_whose_it_is(shop):
    for verb in ("ps", "down", "up"):
        told = as_user(STRANGER, shop.binary, verb, cwd=shop.folder)
        assert told.returncode != 0 and re.search("another user|belongs to uid 0", told.stdout), told.stdout


# --- as whom an application runs

def uid_of(platform, name):
    return status_of(platform.pid_of(name), "Uid")[0]


WORKER = '[worker.job]\ncommand = "sleep 1000"\nstartsecs = "0s"\n'


@needs_root
def test_roots_folder_runs_nothing_as_root_unless_it_is_written(platform):
    platform.folder.chmod(0o755)
    platform.manifest(WORKER)
    platform.up()
    private = uid_of(platform, "job")
    assert 61184 <= private <= 65519
    platform.run("down", check=True)
    platform.up()
    assert uid_of(platform, "job") == private   # the same after a restart
    platform.manifest(WORKER + 'user = "root"\n')
    platform.up()
    assert uid_of(platform, "job") == 0
    # Still when the file says something else by now: what was accepted is not asked about again.
    platform.manifest(WORKER.replace("1000", "2000"))
    platform.kill("control")
    platform.run("scale", "job=2", check=True)
    assert status_of(platform.pid_of("job", 2), "Uid")[0] == 0


@needs_root
@pytest.mark.parametrize("mode, owner", [(0o644, STRANGER), (0o664, 0), (0o646, 0)])
def test_root_is_roots_to_write(platform, mode, owner):
    manifest = platform.manifest(WORKER + 'user = "root"\n')
    os.chown(manifest, owner, owner)
    manifest.chmod(mode)
    refused = platform.run("up", "-d")
    assert refused.returncode == 1 and "'job' would run as root" in refused.stdout + refused.stderr


@needs_root
def test_a_users_folder_runs_as_that_user_by_that_users_word(platform):
    os.chown(platform.folder, STRANGER, STRANGER)
    manifest = platform.manifest(WORKER)
    os.chown(manifest, STRANGER, STRANGER)
    platform.up()
    assert uid_of(platform, "job") == STRANGER
    platform.manifest(WORKER + 'user = "60602"\n')
    os.chown(manifest, 60602, 60602)   # whose folder it is not
    assert platform.run("up", "-d").returncode == 1
    os.chown(manifest, 0, 0)
    platform.up()
    assert uid_of(platform, "job") == 60602   # a number without an entry is a user


@needs_root
def test_a_folder_the_user_cannot_enter_is_named(platform):
    hidden = platform.folder / "hidden"
    hidden.mkdir(mode=0o700)
    platform.manifest(WORKER + 'directory = "hidden"\n')
    told = platform.run("up", "-d")
    assert told.returncode == 1 and str(hidden) in told.stderr and "enter it" in told.stderr


# --- the data folder

@needs_root
def test_a_data_folder_of_another_user_is_refused(platform):
    platform.manifest(WORKER)
    platform.data.mkdir()
    (platform.data / "run").mkdir()
    (platform.data / "run/desired.json").write_text(json.dumps({"programs": [
        {"name": "evil", "kind": "worker", "command": f"touch {platform.folder}/pwned", "directory": "/"}]}))
    os.chown(platform.data, STRANGER, STRANGER)
    refused = platform.run("up", "-d")
    assert refused.returncode == 1 and f"belongs to uid {STRANGER}" in refused.stderr
    assert "--data DIR" in refused.stderr and not (platform.folder / "pwned").exists()


def test_a_data_folder_that_is_a_link_is_refused(platform, tmp_path):
    platform.manifest(WORKER)
    platform.data.symlink_to(tmp_path)
    refused = platform.run("up", "-d")
    assert refused.returncode == 1 and "is a link" in refused.stderr
    assert not list(tmp_path.iterdir())
    platform.data.unlink()


def test_a_pipe_in_place_of_a_log_stops_nobody(platform):
    platform.manifest(WORKER)
    (platform.data / "logs/gateway").mkdir(parents=True)
    for name in ("job.1.log", "supervisor.log", "gateway/access.log"):
        os.mkfifo(platform.data / "logs" / name)
    platform.up()
    assert platform.run("ps").returncode == 0 and platform.run("logs", "job").returncode == 0


def test_a_lock_of_somebody_else_is_not_a_running_platform(platform):
    platform.manifest(WORKER)
    platform.up()
    platform.run("down", check=True)
    with open(platform.data / "run/lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)   # shows in /proc/locks with this inode
        assert "not running" in platform.run("down").stdout
        platform.up()


# --- without root

@needs_root
def test_without_root_all_is_the_invokers_and_nobody_elses(platform):
    os.chown(platform.folder, STRANGER, STRANGER)
    platform.folder.chmod(0o755)
    platform.manifest(WORKER)
    done = as_user(STRANGER, platform.binary, "up", "-d", cwd=platform.folder, env=platform.environment)
    assert done.returncode == 0, done.stdout
    assert {status_of(platform.pid_of(name), "Uid")[0]
            for name in ("supervisor", "control", "gateway", "broker", "job")} == {STRANGER}
    assert platform.data.stat().st_mode & 0o777 == 0o700
    assert as_user(NOBODY, PYTHON, "-c", ATTEMPTS, "connect", platform.data / "run/control.sock",
                   ).stdout.strip() == "Permission denied"
    asked = as_user(STRANGER, platform.binary, "ps", cwd=platform.folder)
    assert asked.returncode == 0, asked.stdout
    assert platform.run("ps").returncode == 0   # root may


# --- what `havn init` writes

def test_init_publishes_neither_the_project_nor_its_data(platform):
    (platform.folder / "index.html").write_text("<h1>hello</h1>")
    told = platform.run("init", check=True).stdout
    assert "move index.html" in told
    text = (platform.folder / "havn.toml").read_text()
    assert 'listen = ["127.0.0.1:8080"]' in text and "--directory public" in text
    assert (platform.folder / ".gitignore").read_text() == ".havn/\n"
    (platform.folder / "public/index.html").write_text("<h1>public</h1>")
    platform.gateway, _ = platform_ports(platform)
    platform.up()
    assert platform.get("/").text == "<h1>public</h1>"
    for path in ("/.havn/", "/.havn/applied/current/manifest.json", "/havn.toml", "/../havn.toml"):
        assert platform.get(path).status == 404, path


def platform_ports(platform):
    """Puts free ports into the manifest that init wrote."""
    gateway, broker = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    path = platform.folder / "havn.toml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", gateway).replace("127.0.0.1:5672", broker))
    return gateway, broker


def test_init_keeps_what_is_ignored_already(platform):
    (platform.folder / ".gitignore").write_text("*.pyc")
    platform.run("init", check=True)
    assert (platform.folder / ".gitignore").read_text() == "*.pyc\n.havn/\n"
    (platform.folder / "havn.toml").unlink()
    platform.run("init", check=True)
    assert (platform.folder / ".gitignore").read_text() == "*.pyc\n.havn/\n"


# --- whose port it is

@needs_root
def test_a_port_that_another_user_took_is_not_ready(platform):
    platform.manifest('''
        [service.web]
        command = "sleep 1000"
        start_timeout = "60s"
        [route."/"]
        service = "web"
    ''')
    starting = subprocess.Popen([platform.binary, "up", "-d"], cwd=platform.folder, env=platform.environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def row():
        with contextlib.suppress(Failed):
            return next((row for row in platform.ps() if row["name"] == "web" and row.get("port")), None)
    port = wait_for(row, what="the port of web")["port"]
    thief = subprocess.Popen(["setpriv", f"--reuid={STRANGER}", "--clear-groups", PYTHON, "-m", "http.server",
                              "--bind", "127.0.0.1", str(port)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, cwd="/")
    try:
        wait_for(lambda: f"of uid {STRANGER}" in (row() or {}).get("error", ""), what="the cause")
        assert row()["state"] == "starting"
        with socket.create_connection(("127.0.0.1", port)):
            pass
    finally:
        thief.kill()
        thief.wait()
        starting.send_signal(signal.SIGTERM)
        starting.wait(30)
