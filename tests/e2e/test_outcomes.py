"""How changes end: with the outcome of what was asked, in bounded time, whatever else is broken."""

import json
import os
import re
import signal
import subprocess

import pika
import pytest

from harness import PYTHON, free_port, wait_for

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("GREETING", "hello").encode())

    def log_message(self, form, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

WEB = f"""
    [service.web]
    command = "{PYTHON} web.py"
    instances = 2

    [route."/"]
    service = "web"
"""

# Long before the limits of the tests: what a third program needs to be given up.
PROMPT = 12


@pytest.fixture
def web(platform):
    platform.write("web.py", SERVER)
    platform.manifest(WEB)
    return platform.up()


def edit(platform, before, after):
    path = platform.folder / "havn.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def pids(platform, name):
    return sorted(row["pid"] for row in platform.ps() if row["name"] == name and row["state"] == "ready")


# --- a deploy that fails

def test_a_failed_rolling_deploy_ends_and_the_former_version_keeps_serving(web):
    before = pids(web, "web")
    edit(web, "web.py", "webb.py")
    done = web.run("up", "-d", timeout=60)
    assert done.returncode == 1, done.stdout
    assert "web: 0 of 2 replaced; web.1 failed: exit 2; the former version keeps serving" in done.stdout
    assert web.get("/").text == "hello"
    assert pids(web, "web") == before

    edit(web, "webb.py", "web.py")
    back = web.run("up", "-d", timeout=60)
    assert back.returncode == 0, back.stdout + back.stderr
    assert pids(web, "web") == before, "the former version is the wanted one again: nothing is replaced"
    assert "no changes" in web.run("up", "-d").stdout


def test_a_worker_whose_new_version_fails_is_named_as_down(platform):
    platform.write("work.py", "import time\ntime.sleep(600)\n")
    platform.manifest(f'[worker.clerk]\ncommand = "{PYTHON} work.py"\nstartsecs = "3s"\ninstances = 2\n')
    platform.up()
    edit(platform, "work.py", "wrok.py")
    done = platform.run("up", "-d", timeout=60)
    assert done.returncode == 1
    assert "clerk: 0 of 2 replaced; clerk.1 failed: exit 2; 1 of the former version go on" in done.stdout


def test_a_program_that_dies_again_soon_after_it_was_ready_is_not_called_ready(platform):
    platform.write("loop.py", "import time\ntime.sleep(0.2)\n")
    platform.write("slow.py", "import time\ntime.sleep(600)\n")
    platform.manifest(f"""
        [worker.loop]
        command = "{PYTHON} loop.py"
        startsecs = "100ms"

        [worker.slow]
        command = "{PYTHON} slow.py"
        startsecs = "2s"
    """)
    done = platform.run("up", "-d", timeout=60)
    assert done.returncode == 1, done.stdout
    assert "loop: 0 of 1 ready; loop.1 failed: " in done.stdout


def test_a_worker_that_ends_long_after_it_was_ready_is_no_failed_start(platform):
    """As docs/manifest.md says of startsecs."""
    platform.write("once.py", """
        import os
        import time
        while not os.path.exists("end"):
            time.sleep(0.02)
        os.remove("end")
        raise SystemExit(3)
    """)
    platform.manifest(f'[worker.once]\ncommand = "{PYTHON} once.py"\nstartsecs = "100ms"\n')
    assert platform.run("up", "-d", timeout=60).returncode == 0
    first = platform.pid_of("once")
    platform.write("end", "")
    wait_for(lambda: platform.process("once")["pid"] not in (None, first), 20, "its next life")
    row = wait_for(lambda: platform.process("once")["state"] == "ready" and platform.process("once"), 20)
    assert row["restarts"] == 1 and row["exit"] == "exit 3"
    assert "failing" not in row or not row["failing"]


# --- what was asked for, and nothing else

@pytest.fixture
def mixed(platform):
    """`good` works, `bad` ends at once, `mute` never listens."""
    platform.write("web.py", SERVER)
    platform.write("mute.py", "import time\ntime.sleep(600)\n")
    platform.manifest(f"""
        [service.good]
        command = "{PYTHON} web.py"

        [worker.bad]
        command = "false"

        [service.mute]
        command = "{PYTHON} mute.py"
        start_timeout = "3s"

        [route."/"]
        service = "good"
    """)
    done = platform.run("up", "-d", timeout=60)
    assert done.returncode == 1 and "bad.1 failed" in done.stdout and "mute.1 failed" in done.stdout
    return platform


def test_restart_and_scale_do_not_wait_for_others_nor_blame_them(mixed):
    bad = mixed.process("bad")["restarts"]
    for words in (["restart", "good"], ["restart", "good.1"], ["scale", "good=3"], ["restart", "good"],
                  ["scale", "good=1"]):
        done = mixed.run(*words, timeout=PROMPT)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert "bad" not in done.stdout and "mute" not in done.stdout, words
    assert mixed.get("/").status == 200
    # Nobody asked for it, so its slow retries go on as they were: no quick ones again.
    assert mixed.process("bad")["restarts"] <= bad + 4


@pytest.mark.parametrize("part", ["gateway", "broker", "control", "supervisor", "keeper"])
def test_restart_of_a_part_ends_when_that_part_is_back(mixed, part):
    before = mixed.pid_of(part)
    done = mixed.run("restart", part, timeout=PROMPT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bad" not in done.stdout
    wait_for(lambda: mixed.pid_of(part) != before, 10, f"another {part}")


def test_restart_of_what_is_broken_says_why(mixed):
    done = mixed.run("restart", "bad", timeout=30)
    assert done.returncode == 1
    assert "bad: 0 of 1 ready; bad.1 failed: exit 1" in done.stderr


def test_a_service_that_listens_elsewhere_is_told_where_it_must(platform):
    other = free_port()
    platform.manifest(f"""
        [service.web]
        command = "{PYTHON} -m http.server --bind 127.0.0.1 {other}"
        start_timeout = "5s"
    """)
    done = platform.run("up", "-d")
    assert done.returncode == 1
    told = r"nothing listens on 127\.0\.0\.1:\d+: it must listen on 127\.0\.0\.1:\$PORT"
    cause = re.compile(rf"{told}, and listens on 127\.0\.0\.1:{other} instead")
    assert re.search(told, done.stdout + done.stderr), done.stdout + done.stderr
    wait_for(lambda: cause.search(platform.process("web").get("error", "")), 30, "the cause in the table of processes")
    log = platform.data / "logs/supervisor.log"
    wait_for(lambda: cause.search(log.read_text()), 30, "the cause in the log")


def test_a_program_whose_folder_vanished_fails_with_that_cause(platform):
    platform.write("shop/web.py", SERVER)
    platform.manifest(f'[service.web]\ncommand = "{PYTHON} web.py"\ndirectory = "shop"\n')
    platform.up()
    (platform.folder / "shop").rename(platform.folder / "elsewhere")
    done = platform.run("restart", "web", timeout=PROMPT)
    assert done.returncode == 1
    assert "shop" in done.stderr and "No such file" in done.stderr and "keeps serving" in done.stderr
    (platform.folder / "elsewhere").rename(platform.folder / "shop")
    assert platform.run("restart", "web", timeout=PROMPT).returncode == 0


# --- a part that refuses its configuration

IN_THE_WAY = "refuses its configuration: the manifest's queue 'orders' exists already, and not as a durable queue"


def test_a_queue_in_the_way_of_a_durable_one_is_the_cause_everywhere(platform):
    platform.write("work.py", "import time\ntime.sleep(600)\n")
    platform.manifest(f'[worker.clerk]\ncommand = "{PYTHON} work.py"\nstartsecs = "100ms"\n')
    platform.up()
    text = (platform.folder / "havn.toml").read_text()
    connection = pika.BlockingConnection(pika.URLParameters(platform.amqp_url))
    channel = connection.channel()
    channel.queue_declare("orders")

    platform.write("havn.toml", text + "[queue.orders]\n")
    for _ in range(2):  # the second time nothing changes, and it is as true as before
        done = platform.run("up", "-d", timeout=60)
        assert done.returncode == 1
        assert f"broker: {IN_THE_WAY}" in done.stdout and "delete it" in done.stdout
    ps = platform.run("ps")
    assert ps.returncode == 1 and f"broker {IN_THE_WAY}" in ps.stdout
    status = platform.run("status").stdout
    assert f"broker {IN_THE_WAY}" in status and "1 not well" in status
    refusal = json.loads(platform.run("status", "--json").stdout)["refusals"]["broker"]
    assert "'orders'" in refusal["message"] and "delete it" in refusal["remedy"]
    assert platform.run("scale", "clerk=2", timeout=PROMPT).returncode == 0, "nobody asked for the broker"

    channel.queue_delete("orders")
    back = platform.run("up", "-d", timeout=60)
    assert back.returncode == 0, back.stdout + back.stderr
    assert platform.run("ps").returncode == 0
    connection.close()
    log = (platform.data / "logs/control.log").read_text()
    assert log.count(IN_THE_WAY) == 1, log
    assert log.count("takes its configuration now") == 1


def test_a_queue_that_goes_with_the_change_is_in_nobodys_way(platform):
    """The former version of the worker holds it, and gives it up when it is replaced."""
    platform.write("hold.py", """
        import os
        import time
        import pika
        connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
        if os.environ.get("HOLD") == "yes":
            connection.channel().queue_declare("orders", exclusive=True)
        open("holds", "w").close()
        connection.sleep(600)
    """)
    platform.manifest(f"""
        [worker.clerk]
        command = "{PYTHON} hold.py"
        startsecs = "1s"
        env = {{ HOLD = "yes" }}
    """)
    platform.up()
    wait_for((platform.folder / "holds").exists, 20, "the worker to hold its queue")
    edit(platform, 'HOLD = "yes"', 'HOLD = "no"')
    path = platform.folder / "havn.toml"
    path.write_text(path.read_text() + "[queue.orders]\n")
    done = platform.run("up", "-d", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert platform.run("ps").returncode == 0


# --- control that does not answer

def test_no_command_hangs_while_control_is_frozen(web):
    control = web.pid_of("control")
    os.kill(control, signal.SIGSTOP)
    try:
        commands = [["ps"], ["restart", "web"], ["scale", "web=3"], ["up", "-d"]]
        started = [subprocess.Popen([web.binary, *words], cwd=web.folder, env=web.environment, text=True,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for words in commands]
        for words, process in zip(commands, started):
            out, err = process.communicate(timeout=60)
            assert process.returncode == 1, (words, out, err)
            assert "control does not answer" in err or "no answer" in err, (words, out, err)
        assert web.get("/").status == 200
    finally:
        os.kill(control, signal.SIGCONT)
    wait_for(lambda: web.run("ps").returncode == 0, 20, "control to answer again")


def test_three_changes_at_once_all_end(web):
    numbers = [3, 4, 2]
    started = [subprocess.Popen([web.binary, "scale", f"web={number}"], cwd=web.folder, env=web.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
               for number in numbers]
    for process in started:
        process.communicate(timeout=60)
    running = wait_for(lambda: len(pids(web, "web")) in numbers and len(pids(web, "web")), 20, "a number asked for")
    manifest = json.loads((web.data / "applied/current/manifest.json").read_text())
    scaled = {row["name"]: row["instances"] for row in json.loads(web.run("plan", "--json").stdout)["scaled"]}
    assert scaled.get("web", manifest["service"]["web"]["instances"]) == running
