"""The verbs as people type them: what they print, what they return, what they leave running."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness import PYTHON, free_port, wait_for

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = os.environ.get("GREETING", "hello").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        print("served", self.path, flush=True)


print("serving with", sorted(name for name in os.environ if name.endswith("_URL")), flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

WORKER = """
import time

print("waiting for work", flush=True)
while True:
    time.sleep(60)
"""

TWO_SERVICES = f"""
    [service.web]
    command = "{PYTHON} server.py"
    depends_on = ["api"]

    [service.api]
    command = "{PYTHON} server.py"
    instances = 2

    [worker.clerk]
    command = "{PYTHON} worker.py"
    queue = "orders"
    startsecs = "100ms"
    depends_on = ["api"]

    [queue.orders]

    [route."/"]
    service = "web"

    [route."/api"]
    service = "api"
"""


@pytest.fixture
def shop(platform):
    """A project with two services and a worker, not started."""
    platform.write("server.py", SERVER)
    platform.write("worker.py", WORKER)
    platform.manifest(TWO_SERVICES)
    return platform


def edit(platform, before, after):
    path = platform.folder / "havn.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def pids(platform):
    return {(row["name"], row["instance"]): row["pid"] for row in platform.ps()}


def instances_of(platform, name):
    return sum(row["name"] == name for row in platform.ps())


# --- up and down

def test_up_detached_returns_once_everything_answers(shop):
    done = shop.run("up", "-d")
    assert done.returncode == 0, done.stderr
    assert f"http://{shop.gateway}" in done.stdout
    assert shop.get("/").text == "hello"
    assert shop.get("/api").status == 200
    rows = shop.ps()
    assert {row["state"] for row in rows} == {"ready"}
    for row in rows:
        assert {"name", "instance", "kind", "pid", "state", "restarts", "since"} <= row.keys()
    assert {"supervisor", "control", "gateway", "broker"} <= {
        row["name"] for row in rows if row["kind"] == "platform"}


def test_down_leaves_no_process_and_is_idempotent(shop):
    shop.up()
    assert shop.run("down").returncode == 0
    assert shop.survivors() == {}
    again = shop.run("down")
    assert (again.returncode, again.stdout) == (0, "not running\n")
    shown = shop.run("ps")
    assert shown.returncode == 1 and "not running" in shown.stderr


def test_down_works_while_control_cannot_answer(shop):
    shop.up()
    control = shop.pid_of("control")
    os.kill(control, signal.SIGSTOP)
    try:
        assert shop.run("down", timeout=90).returncode == 0
    finally:
        if control in shop.survivors():
            os.kill(control, signal.SIGCONT)
    assert shop.survivors() == {}


def test_the_foreground_shows_prefixed_lines_and_stops_on_one_interrupt(shop):
    process = shop.up_foreground()
    log = shop.folder / "foreground.log"
    wait_for(lambda: "ready in" in log.read_text(), 30, "the platform to be ready")
    assert shop.get("/").status == 200
    wait_for(lambda: re.search(r"^web\.1 +\| served /", log.read_text(), re.M), 10, "the line of the request")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert shop.survivors() == {}


def test_an_up_that_is_killed_takes_the_foreground_platform_with_it(shop):
    process = shop.up_foreground()
    wait_for(lambda: "ready in" in (shop.folder / "foreground.log").read_text(), 30, "the platform to be ready")
    process.kill()
    process.wait(10)
    wait_for(lambda: not shop.survivors(), 20, "everything to end")


def test_a_second_up_in_the_foreground_watches_and_leaves_it_running(shop):
    shop.up()
    process = shop.up_foreground()
    log = shop.folder / "foreground.log"
    wait_for(lambda: "ready in" in log.read_text(), 20, "the second up to be ready")
    shop.get("/")
    wait_for(lambda: re.search(r"^web\.1 +\| served /", log.read_text(), re.M), 10, "the line of the request")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert shop.get("/").status == 200


def test_what_was_applied_runs_again_after_down(shop):
    shop.up()
    addresses = json.loads((shop.data / "run/desired.json").read_text())["listeners"]
    shop.down()
    done = shop.run("up", "-d")
    assert done.returncode == 0, done.stderr
    assert shop.get("/").text == "hello"
    assert json.loads((shop.data / "run/desired.json").read_text())["listeners"] == addresses


# --- plan, apply, scale

def test_plan_says_by_exit_code_whether_something_would_change(shop):
    assert shop.run("plan").returncode == 2
    shop.up()
    unchanged = shop.run("plan")
    assert (unchanged.returncode, unchanged.stdout) == (0, "no changes\n")
    edit(shop, "instances = 2", "instances = 3")
    changed = shop.run("plan", "--json")
    assert changed.returncode == 2
    assert [change["subject"] for change in json.loads(changed.stdout)["changes"]] == ["service.api"]
    (shop.folder / "havn.toml").write_text("[servce.web]\n")
    assert shop.run("plan").returncode == 1


def test_plan_knows_what_was_applied_when_nothing_runs(shop):
    shop.up()
    shop.down()
    assert shop.run("plan").returncode == 0


def test_applying_twice_says_no_changes_and_touches_nothing(shop):
    shop.up()
    before = pids(shop)
    done = shop.run("up", "-d")
    assert done.returncode == 0 and "no changes" in done.stdout
    assert pids(shop) == before


def test_a_change_of_one_service_restarts_only_that_service(shop):
    shop.up()
    before = pids(shop)
    edit(shop, f'command = "{PYTHON} server.py"\ndepends_on',
         f'command = "{PYTHON} server.py"\nenv = {{ GREETING = "good day" }}\ndepends_on')
    done = shop.run("up", "-d")
    assert done.returncode == 0, done.stdout + done.stderr
    after = pids(shop)
    assert {key for key in before if before[key] != after[key]} == {("web", 1)}
    assert shop.get("/").text == "good day"


def test_adding_and_removing_a_service_touches_no_other(shop):
    shop.up()
    before = pids(shop)
    path = shop.folder / "havn.toml"
    text = path.read_text()
    path.write_text(text + f'\n[service.extra]\ncommand = "{PYTHON} server.py"\n\n[route."/extra"]\nservice = "extra"\n')
    assert shop.run("up", "-d").returncode == 0
    assert shop.get("/extra").text == "hello"
    with_extra = pids(shop)
    assert {key: with_extra[key] for key in before} == before
    path.write_text(text)
    assert shop.run("up", "-d").returncode == 0
    assert pids(shop) == before
    assert shop.get("/extra").text == "hello", "the path belongs to web again"


def test_scale_touches_no_running_sibling_and_the_plan_names_it(shop):
    shop.up()
    before = pids(shop)
    done = shop.run("scale", "api=4")
    assert done.returncode == 0, done.stdout + done.stderr
    after = pids(shop)
    assert {("api", 3), ("api", 4)} == after.keys() - before.keys()
    assert {key: after[key] for key in before} == before
    plan = shop.run("plan")
    assert plan.returncode == 0 and "api is scaled to 4; the manifest says 2" in plan.stdout
    assert "api is scaled to 4; the manifest says 2" in shop.run("ps").stdout
    [scaled] = json.loads(shop.run("plan", "--json").stdout)["scaled"]
    assert (scaled["name"], scaled["instances"], scaled["manifest"]) == ("api", 4, 2)
    assert shop.run("scale", "api=2").returncode == 0
    assert pids(shop) == before
    plan = shop.run("plan")
    assert plan.returncode == 0 and "scaled" not in plan.stdout
    unknown = shop.run("scale", "nobody=2")
    assert unknown.returncode == 1 and "there are" in unknown.stderr


def revisions(platform):
    return sorted(path.name for path in (platform.data / "applied").glob("rev-*"))


def test_a_scale_is_no_revision_and_stays_until_the_manifests_number_changes(shop):
    shop.up()
    written = revisions(shop)
    assert shop.run("scale", "api=4").returncode == 0
    assert revisions(shop) == written
    shop.down()
    assert shop.run("up", "-d").returncode == 0
    assert instances_of(shop, "api") == 4, "it survives a restart of everything"
    edit(shop, f'command = "{PYTHON} server.py"\ndepends_on',
         f'command = "{PYTHON} server.py"\nenv = {{ GREETING = "good day" }}\ndepends_on')
    assert shop.run("up", "-d").returncode == 0
    assert instances_of(shop, "api") == 4, "another change of the manifest leaves it"
    edit(shop, "instances = 2", "instances = 3")
    assert shop.run("up", "-d").returncode == 0
    assert instances_of(shop, "api") == 3, "the manifest's own number came later"
    assert "scaled" not in shop.run("plan").stdout


def test_a_scale_is_taken_back_by_default(shop):
    shop.up()
    assert shop.run("scale", "api=1", "web=2").returncode == 0
    assert (instances_of(shop, "api"), instances_of(shop, "web")) == (1, 2)
    assert shop.run("scale", "api=default").returncode == 0
    assert (instances_of(shop, "api"), instances_of(shop, "web")) == (2, 2)
    assert shop.run("scale", "api=none").returncode == 64


def test_restart_of_an_instance_restarts_that_one(shop):
    shop.up()
    before = pids(shop)
    assert shop.run("restart", "api.2").returncode == 0
    after = pids(shop)
    assert {key for key in before if before[key] != after[key]} == {("api", 2)}
    unknown = shop.run("restart", "nobody")
    assert unknown.returncode == 1 and "web" in unknown.stderr


# --- what can be seen

def test_logs_show_the_last_lines_and_follow(shop):
    shop.up()
    shop.get("/")
    wait_for(lambda: "web.1 | served /" in shop.run("logs", "web").stdout, 10, "the line of the request")
    with subprocess.Popen([shop.binary, "logs", "-f", "-n", "1", "web"], cwd=shop.folder, env=shop.environment,
                          stdout=subprocess.PIPE, text=True) as follower:
        try:
            assert "served /" in follower.stdout.readline()
            shop.get("/again")
            assert "served /again" in follower.stdout.readline()
        finally:
            follower.terminate()
    unknown = shop.run("logs", "nobody")
    assert unknown.returncode == 1 and "web" in unknown.stderr


def test_routes_and_queues_are_shown(shop):
    shop.up()
    routes = json.loads(shop.run("routes", "--json", check=True).stdout)
    assert {route["route"]: route.get("service") for route in routes} == {"/": "web", "/api": "api"}
    queues = {row["name"]: row for row in json.loads(shop.run("queue", "--json", check=True).stdout)}
    assert queues["orders"]["ready"] == 0
    assert "orders" in shop.run("queue", check=True).stdout


def test_a_queue_is_emptied_by_name(platform):
    platform.manifest('[queue.orders]\n[route."/orders"]\nmethods = ["POST"]\nqueue = "orders"\n')
    platform.up()
    for _ in range(3):
        assert platform.post("/orders", b"one").status == 202
    assert "3 messages" in platform.run("queue", "purge", "orders", check=True).stdout
    assert json.loads(platform.run("queue", "--json").stdout)[0]["ready"] == 0
    assert platform.run("queue", "purge", "nobody").returncode == 1


def test_the_api_answers_curl_and_gathers_the_metrics_of_all_parts(shop):
    shop.up()

    def curl(path, *options):
        return subprocess.run(["curl", "-sS", "--max-time", "10", "--unix-socket", shop.data / "run/control.sock",
                               *options, f"http://havn{path}"], stdout=subprocess.PIPE, text=True, check=True).stdout

    assert {row["name"] for row in json.loads(curl("/v1/processes"))} >= {"web", "api", "clerk"}
    assert json.loads(curl("/v1/status"))["app"] == "test"
    assert json.loads(curl("/v1/manifest"))["service"]["api"]["instances"] == 2
    metrics = curl("/metrics")
    assert 'havn_process_up{name="web",instance="1",kind="service"} 1' in metrics
    assert "havn_gateway_" in metrics and "havn_broker_" in metrics
    family, declared = None, set()
    for line in metrics.splitlines():   # each family has HELP, then TYPE, then its samples, once
        kind = re.match(r"# (HELP|TYPE) (\w+) \S", line)
        if kind and kind[1] == "HELP":
            assert kind[2] not in declared, line
            family = kind[2]
            declared.add(family)
        elif kind:
            assert kind[2] == family, line
        else:
            assert re.fullmatch(rf"{family}(_bucket|_sum|_count)?(\{{.*\}})? [0-9.e+-]+", line), line
    refused = json.loads(curl("/v1/apply", "-d", '{"toml": {"file": "x", "text": "[a]"}, "directory": "/"}'))
    assert refused["error"]["kind"] == "invalid" and refused["error"]["diagnostics"]
    for target in ("/v1/logs?lines=%FF", "/v1/logs?lines=99999999999999999999"):  # quoted back, and no UTF-8
        assert json.loads(curl(target))["error"]["kind"] == "invalid"
    for body in ('{"name": "web", "instance": 1e9999}', '{"name": "web", "instance": 18446744073709551615}'):
        assert json.loads(curl("/v1/restart", "-d", body))["error"]["kind"] == "invalid"
    logs = [json.loads(line) for line in curl("/v1/logs?name=web&lines=5").splitlines()]
    assert any("serving with" in line["line"] for line in logs)


def test_havn_log_holds_for_every_part_and_the_access_log_is_there(shop):
    shop.environment = {**shop.environment, "HAVN_LOG": "error"}
    shop.up()
    assert shop.run("logs", "access").returncode == 0   # before any request
    shop.kill("api")
    assert wait_for(lambda: shop.process("api", 1).get("restarts", 0) + shop.process("api", 2).get("restarts", 0))
    own = [shop.data / "logs" / f"{part}.log" for part in ("supervisor", "keeper", "control", "gateway", "broker")]
    said = "".join(path.read_text() for path in own if path.exists())
    assert " info: " not in said and " warning: " not in said, said
    shop.down()
    shop.environment = {**shop.environment, "HAVN_LOG": "loud"}
    shop.up()
    assert "HAVN_LOG is 'loud'" in shop.run("logs", "gateway").stdout


def test_an_instance_finds_what_it_depends_on(shop):
    shop.up()
    line = shop.run("logs", "-n", "1", "web", check=True).stdout
    assert "'AMQP_URL'" in line and "'API_URL'" in line and "'WEB_URL'" not in line


def test_doctor_has_no_blocker_here_and_names_a_taken_port(shop):
    rows = json.loads(shop.run("doctor", "--json").stdout)
    assert {row["id"] for row in rows} >= {"kernel.version", "data.writable", "data.fsync", f"port.{shop.gateway}"}
    assert [row["id"] for row in rows if row["severity"] == "blocker"] == []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(shop.gateway.rpartition(":")[2])))
        taken.listen()
        done = shop.run("doctor")
    assert done.returncode == 1 and shop.gateway in done.stdout


def test_there_is_no_colour_in_a_pipe(shop):
    shop.up()
    for words in (["ps"], ["plan"], ["logs"], ["routes"], ["doctor"]):
        assert "\x1b" not in shop.run(*words).stdout


# --- bad input

def test_a_bad_manifest_is_reported_by_line_and_starts_nothing(platform):
    platform.write("havn.toml", '[service.web]\ncomand = "x"\n')
    done = platform.run("up", "-d")
    assert done.returncode == 1
    assert "havn.toml:2:1: error:" in done.stderr and "command" in done.stderr
    assert platform.survivors() == {}


def test_a_bad_change_leaves_what_runs_as_it_is(shop):
    shop.up()
    before = pids(shop)
    edit(shop, "instances = 2", "instances = -2")
    assert shop.run("up", "-d").returncode == 1
    assert pids(shop) == before


def test_a_taken_port_is_named_and_nothing_stays_behind(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(shop.gateway.rpartition(":")[2])))
        taken.listen()
        done = shop.run("up", "-d")
    assert done.returncode == 1
    assert shop.gateway in done.stderr and "another process has it" in done.stderr
    assert shop.survivors() == {}


def test_a_change_to_a_taken_port_is_refused_whole(shop):
    shop.up()
    before = pids(shop)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        edit(shop, shop.gateway, f"127.0.0.1:{taken.getsockname()[1]}")
        edit(shop, "instances = 2", "instances = 3")
        assert shop.run("up", "-d").returncode == 1
    assert pids(shop) == before
    assert shop.get("/").status == 200


def test_what_the_host_lacks_is_named_at_once_before_anything_is_started(shop):
    edit(shop, f'command = "{PYTHON} worker.py"', 'command = "no-such-program --now"')
    edit(shop, 'instances = 2', 'instances = 2\nuser = "no-such-user"')
    edit(shop, f'command = "{PYTHON} server.py"\ndepends_on', f'command = "{PYTHON} server.py"\ndirectory = "nope"\ndepends_on')
    for words, before in ((["plan"], "to add"), (["up", "-d"], "nothing was started")):
        done = shop.run(*words)
        assert done.returncode == 1, words
        assert before in done.stdout
        assert "[worker.clerk] the command 'no-such-program' is in no folder of the PATH" in done.stderr
        assert "[service.api] there is no user 'no-such-user'" in done.stderr
        assert "[service.web] folder" in done.stderr and "nope: No such file or directory" in done.stderr
    assert shop.survivors() == {}


def test_what_the_host_lacks_leaves_what_runs_as_it_is(shop):
    shop.up()
    before = pids(shop)
    edit(shop, f'command = "{PYTHON} worker.py"', 'command = "no-such-program --now"')
    edit(shop, "instances = 2", "instances = 3")
    done = shop.run("up", "-d")
    assert done.returncode == 1 and "nothing was changed" in done.stdout
    assert pids(shop) == before


def test_secrets_are_in_no_plan_and_no_output(shop):
    edit(shop, 'startsecs = "100ms"', 'startsecs = "100ms"\nenv = { DB_PASSWORD = "hunter2", DB = "postgres://u:s3cret@h/x" }')
    first = shop.run("plan")
    up = shop.run("up", "-d")
    assert up.returncode == 0, up.stderr
    edit(shop, "hunter2", "hunter3")
    second, applied = shop.run("plan", "--json"), shop.run("up", "-d")
    api = subprocess.run(["curl", "-sS", "--max-time", "10", "--unix-socket", shop.data / "run/control.sock",
                          "http://havn/v1/manifest"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert '"***"' in api.stdout
    shown = "".join(done.stdout + done.stderr for done in (first, up, second, applied, api))
    assert "hunter" not in shown and "s3cret" not in shown
    assert "env.DB_PASSWORD = (set)" in first.stdout and "env.DB_PASSWORD: (set) → (set anew)" in applied.stdout


def test_ps_says_by_exit_code_whether_all_is_well(shop):
    shop.up()
    assert shop.run("ps").returncode == 0
    quiet = shop.run("ps", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    shop.write("worker.py", "raise SystemExit(3)\n")
    assert shop.run("restart", "clerk").returncode == 1
    shown = shop.run("ps")
    assert shown.returncode == 1 and "exit 3" in shown.stdout
    assert shop.run("ps", "--quiet").returncode == 1
    assert next(row for row in shop.ps() if row["name"] == "clerk")["pid"] != 0


def test_status_tells_versions_and_a_replaced_binary(shop, tmp_path):
    shop.up()
    status = json.loads(shop.run("status", "--json", check=True).stdout)
    assert status["cli_version"] == status["version"] and status["binary_replaced"] is False
    assert "all well" in shop.run("status").stdout
    other = tmp_path / "havn"  # the same code in another file of other content
    shutil.copy2(shop.binary, other)
    with open(other, "ab") as file:
        file.write(b"\0")
    for words in (["status"], ["restart", "clerk"], ["up", "-d"]):
        done = subprocess.run([other, *words], cwd=shop.folder, env=shop.environment, timeout=60,
                              stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0 and "still runs another binary" in done.stdout, words


def test_a_procfile_alone_may_be_told_where_to_listen(platform):
    platform.write("server.py", SERVER)
    platform.write("Procfile", f"web: {PYTHON} server.py\n")
    platform.gateway, platform.broker = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    platform.environment |= {"HAVN_GATEWAY_LISTEN": platform.gateway, "HAVN_BROKER_LISTEN": platform.broker}
    platform.up()
    assert platform.get("/").text == "hello"
    platform.environment["HAVN_GATEWAY_LISTEN"] = "nonsense"
    done = platform.run("plan")
    assert done.returncode == 1 and "$HAVN_GATEWAY_LISTEN" in done.stderr


def test_up_that_is_interrupted_says_what_is_left(platform):
    platform.write("never.py", "import time\ntime.sleep(600)\n")
    platform.manifest(f'[service.never]\ncommand = "{PYTHON} never.py"\n')
    with subprocess.Popen([platform.binary, "up", "-d"], cwd=platform.folder, env=platform.environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any(row["name"] == "never" and row["pid"] for row in
                             json.loads(platform.run("ps", "--json").stdout or "[]")), 20, "the service to be started")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "stopped; nothing of it runs" in out
    assert platform.survivors() == {}


def test_what_a_failing_program_printed_last_is_shown(shop):
    shop.write("worker.py", "print('no money left', flush=True)\nraise SystemExit(3)\n")
    done = shop.run("up", "-d")
    assert done.returncode == 1
    assert "exit 3" in done.stdout and "| no money left" in done.stdout and "havn logs clerk" in done.stdout
    shop.write("worker.py", WORKER)
    fixed = shop.run("up", "-d", timeout=90)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr


def test_an_unwritable_data_folder_is_named_with_a_remedy(shop):
    shop.write("file", "in the way")
    done = shop.run("up", "-d", "--data", "file/data")
    assert done.returncode == 1
    assert "data folder" in done.stderr and "--data" in done.stderr
    assert shop.survivors() == {}


def test_words_nobody_knows_are_usage_errors(shop):
    assert shop.run("upp").returncode == 64
    assert "havn up" in shop.run("upp").stderr
    assert shop.run("ps", "--yaml").returncode == 64


# --- kill -9 of each part

@pytest.mark.parametrize("part", ["keeper", "supervisor", "control", "gateway", "broker"])
def test_a_part_that_is_killed_is_back_and_the_services_never_notice(shop, part):
    shop.up()
    before = pids(shop)
    killed = shop.kill(part)
    wait_for(lambda: shop.process(part)["pid"] not in (killed, None, 0) and shop.process(part)["state"] == "ready",
             20, f"{part} to be back", every=0.1)
    wait_for(lambda: shop.get("/").text == "hello", 10, "the shop to answer")
    after = pids(shop)
    services = [key for key in before if key[0] in ("web", "api", "clerk")]
    assert {key: after[key] for key in services} == {key: before[key] for key in services}
    assert shop.run("plan").returncode == 0
    edit(shop, "instances = 2", "instances = 3")
    assert shop.run("up", "-d").returncode == 0
    assert ("api", 3) in pids(shop)


def test_a_running_platform_refuses_a_second_one_in_its_folder(shop):
    shop.up()
    second = subprocess.run([shop.binary, "keeper", "--data", shop.data], env=shop.environment, timeout=20,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert second.returncode == 1 and "already running" in second.stdout


def test_two_platforms_live_side_by_side(shop):
    shop.up()
    other_gateway, other_broker = free_port(), free_port()
    second = shop.write("second/server.py", SERVER).parent
    (second / "havn.toml").write_text(
        f'[gateway]\nlisten = ["127.0.0.1:{other_gateway}"]\n[broker]\nlisten = ["127.0.0.1:{other_broker}"]\n'
        f'[service.web]\ncommand = "{PYTHON} {second}/server.py"\n[route."/"]\nservice = "web"\n')
    other = ["-f", str(second / "havn.toml"), "--data", str(shop.folder / "other")]
    assert shop.run("up", "-d", *other).returncode == 0
    try:
        assert len(json.loads(shop.run("ps", "--json", *other).stdout)) < len(shop.ps())
    finally:
        assert shop.run("down", *other).returncode == 0
    assert shop.get("/").status == 200
