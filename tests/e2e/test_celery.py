"""Unmodified Celery: real workers in processes of their own. AMQP_UNDER_TEST calibrates on another broker."""

import contextlib
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import celery.exceptions
import pytest
from celery import Celery, chain, group

from harness import PYTHON, wait_for

HERE = Path(__file__).resolve().parent


class Workers:
    """Celery workers on one queue, and the app of a client that talks to them."""

    def __init__(self, url, folder):
        self.queue = f"celery-{uuid.uuid4().hex[:8]}"
        self.folder, self.processes = folder, []
        self.environment = {**os.environ, "CELERY_TEST_BROKER": url, "CELERY_TEST_QUEUE": self.queue,
                            "PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1"}
        self.app = Celery("tests", broker=url, backend="rpc://")
        self.app.conf.update(task_default_queue=self.queue, broker_connection_max_retries=None,
                             task_send_sent_event=True)

    def start(self, concurrency=2):
        """Starts a worker and waits until it answers; returns (process, node name)."""
        node = f"w{len(self.processes)}-{uuid.uuid4().hex[:6]}@test"
        log = open(self.folder / f"{node}.log", "wb")
        process = subprocess.Popen(
            [PYTHON, "-m", "celery", "-A", "celery_app", "worker", "-E", "--loglevel", "INFO", "-n", node,
             "--concurrency", str(concurrency)], cwd=HERE, env=self.environment, stdout=log, stderr=log,
            start_new_session=True)
        log.close()
        self.processes.append(process)
        wait_for(lambda: self.app.control.ping([node], timeout=0.3), 30, f"{node} to answer")
        return process, node

    def send(self, task, *arguments, **options):
        return self.app.send_task(f"celery_app.{task}", arguments, **options)

    def log(self):
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(path.read_text(errors="replace")[-4000:] for path in logs)

    def stop(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with contextlib.suppress(Exception), self.app.connection_for_write() as connection:
            connection.default_channel.queue_delete(self.queue)
        self.app.close()


@pytest.fixture(scope="module")
def shared_workers(shared_broker, tmp_path_factory):
    workers = Workers(shared_broker.url, tmp_path_factory.mktemp("celery"))
    try:
        workers.process, workers.node = workers.start()
        yield workers
    finally:
        workers.stop()


@pytest.fixture
def worker(shared_workers, amqp, request):
    """One worker with two processes, shared by the tests of this file."""
    yield shared_workers
    if getattr(request.node, "failed", False):
        print(shared_workers.log())


@pytest.fixture
def workers(amqp, tmp_path, request):
    """No worker yet: the test starts, and may kill, its own."""
    workers = Workers(amqp.url, tmp_path)
    yield workers
    if getattr(request.node, "failed", False):
        print(workers.log())
    workers.stop()


# --- tasks and results

def test_a_task_gives_its_result(worker):
    assert worker.send("add", 2, 3).get(timeout=10) == 5


def test_results_find_those_who_asked(worker):
    results = [worker.send("add", number, number) for number in range(200)]
    assert [result.get(timeout=30) for result in results] == [2 * number for number in range(200)]


@pytest.mark.parametrize("value", [None, "æøå ☕", {"deep": [1, {"deeper": None}]}, "x" * 1_000_000],
                         ids=["none", "unicode", "nested", "a megabyte"])
def test_values_go_there_and_back(worker, value):
    assert worker.send("echo", value).get(timeout=20) == value


def test_an_exception_comes_back(worker):
    with pytest.raises(ValueError, match="with this text"):
        worker.send("fail", "with this text").get(timeout=10)


def test_a_task_may_retry_until_it_succeeds(worker):
    assert worker.send("third_time_lucky").get(timeout=20) == 2


def test_a_task_that_retries_too_often_fails(worker):
    with pytest.raises(KeyError):
        worker.send("never_lucky").get(timeout=20)


def test_a_countdown_is_waited_for(worker):
    began = time.monotonic()
    assert worker.send("add", 1, 1, countdown=1).get(timeout=20) == 2
    assert time.monotonic() - began >= 0.95


def test_waiting_tasks_do_not_keep_others_from_running(worker):
    waiting = [worker.send("add", 1, n, countdown=60) for n in range(5)]
    assert worker.send("add", 2, 2).get(timeout=10) == 4
    worker.app.control.revoke([result.id for result in waiting])


def test_an_expired_task_is_not_run(worker):
    result = worker.send("add", 1, 1, countdown=0.3, expires=0.01)
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=20)


def test_tasks_in_a_chain_hand_on_their_results(worker):
    add = worker.app.signature("celery_app.add", app=worker.app)
    assert chain(add.clone((1, 2)), add.clone((10,)), add.clone((100,))).apply_async().get(timeout=20) == 113


def test_tasks_in_a_group_run_side_by_side(worker):
    add = worker.app.signature("celery_app.add", app=worker.app)
    together = group(add.clone((n, n)) for n in range(10)).apply_async()
    assert together.get(timeout=20) == [2 * n for n in range(10)]


# --- inspect and control

def test_the_worker_answers_to_ping(worker):
    assert worker.app.control.inspect([worker.node], timeout=5).ping() == {worker.node: {"ok": "pong"}}


def test_the_worker_tells_what_it_knows_and_does(worker, tmp_path):
    inspect = worker.app.control.inspect([worker.node], timeout=5)
    assert "celery_app.add" in inspect.registered()[worker.node]
    assert [q["name"] for q in inspect.active_queues()[worker.node]] == [worker.queue]
    assert inspect.stats()[worker.node]["pool"]["max-concurrency"] == 2
    result = worker.send("note_and_wait", str(tmp_path), "task")
    wait_for(lambda: (tmp_path / "task.started").exists(), 10, "the task to start")
    assert [task["id"] for task in inspect.active()[worker.node]] == [result.id]
    (tmp_path / "task.go").touch()
    assert result.get(timeout=10) == "task"


def test_a_waiting_task_shows_as_scheduled_and_can_be_revoked(worker):
    result = worker.send("add", 1, 1, countdown=30)
    inspect = worker.app.control.inspect([worker.node], timeout=5)
    wait_for(lambda: result.id in [task["request"]["id"] for task in inspect.scheduled()[worker.node]], 10,
             "the task to be scheduled")
    result.revoke()
    wait_for(lambda: result.id in inspect.revoked()[worker.node], 10, "the worker to know")


def test_a_revoked_task_is_not_run(worker):
    result = worker.send("add", 1, 1, countdown=0.5)
    result.revoke()
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=20)


def test_a_running_task_can_be_terminated(worker, tmp_path):
    result = worker.send("note_and_wait", str(tmp_path), "task")
    wait_for(lambda: (tmp_path / "task.started").exists(), 10, "the task to start")
    result.revoke(terminate=True, signal="SIGKILL")
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=20)
    assert worker.send("add", 1, 1).get(timeout=20) == 2


def test_a_worker_can_be_told_to_leave_and_take_up_a_queue(worker):
    control = worker.app.control
    control.add_consumer(f"{worker.queue}.more", destination=[worker.node], reply=True, timeout=5)
    assert worker.send("add", 4, 4, queue=f"{worker.queue}.more").get(timeout=10) == 8
    reply, = control.cancel_consumer(f"{worker.queue}.more", destination=[worker.node], reply=True, timeout=5)
    assert "ok" in reply[worker.node]
    with worker.app.connection_for_write() as connection:
        connection.default_channel.queue_delete(f"{worker.queue}.more")


# --- events

def test_events_tell_what_happens(worker):
    seen, wanted = {}, {"task-sent", "task-received", "task-started", "task-succeeded"}
    result_id = uuid.uuid4().hex
    ready = threading.Event()

    def note(event):
        if event.get("uuid") == result_id:
            seen[event["type"]] = event

    def capture():
        with worker.app.connection_for_read() as connection:
            receiver = worker.app.events.Receiver(connection, handlers={"*": note})
            for _ in receiver.itercapture(limit=None, timeout=None, wakeup=True):
                ready.set()
                if wanted <= set(seen):
                    return

    watcher = threading.Thread(target=capture, daemon=True)
    watcher.start()
    assert ready.wait(20), "no event, though the worker was asked for a heartbeat"
    worker.app.send_task("celery_app.add", (3, 4), task_id=result_id)
    watcher.join(20)
    assert wanted <= set(seen), sorted(seen)
    assert seen["task-succeeded"]["result"] == "7"


# --- workers that come and go

def test_a_second_worker_shares_the_work(workers, tmp_path):
    (_, first), (_, second) = workers.start(concurrency=1), workers.start(concurrency=1)
    results = [workers.send("note_and_wait", str(tmp_path), key) for key in ("a", "b")]
    wait_for(lambda: len(list(tmp_path.glob("*.started"))) == 2, 20, "both tasks to run at the same time")
    active = workers.app.control.inspect([first, second], timeout=5).active()
    assert {len(tasks) for tasks in active.values()} == {1}
    for key in ("a", "b"):
        (tmp_path / f"{key}.go").touch()
    assert [result.get(timeout=20) for result in results] == ["a", "b"]


def test_the_task_of_a_killed_worker_is_done_by_another(workers, tmp_path):
    process, _ = workers.start(concurrency=1)
    result = workers.send("note_and_wait", str(tmp_path), "task")
    started = tmp_path / "task.started"
    wait_for(started.exists, 10, "the task to start")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workers.start(concurrency=1)
    wait_for(lambda: len(started.read_text().split()) == 2, 20, "the task to start again")
    (tmp_path / "task.go").touch()
    assert result.get(timeout=20) == "task"
    assert len(started.read_text().split()) == 2


def test_a_worker_told_to_stop_finishes_its_task(workers, tmp_path):
    process, _ = workers.start(concurrency=1)
    result = workers.send("note_and_wait", str(tmp_path), "task")
    wait_for((tmp_path / "task.started").exists, 10, "the task to start")
    process.send_signal(signal.SIGTERM)
    assert process.poll() is None
    (tmp_path / "task.go").touch()
    assert result.get(timeout=20) == "task"
    assert process.wait(20) == 0


def test_a_task_sent_before_any_worker_runs_waits_for_one(workers):
    with workers.app.connection_for_write() as connection:
        workers.app.amqp.queues[workers.queue].bind(connection.default_channel).declare()
    result = workers.send("add", 5, 5)
    workers.start()
    assert result.get(timeout=20) == 10


@pytest.mark.skipif("AMQP_UNDER_TEST" in os.environ, reason="that broker is not ours to kill")
def test_a_worker_finds_its_way_back_to_a_killed_broker(platform, tmp_path):
    platform.manifest("")
    platform.up()
    workers = Workers(platform.amqp_url, tmp_path)
    try:
        workers.start()
        assert workers.send("add", 1, 2).get(timeout=20) == 3
        platform.kill("broker")
        later = Celery("later", broker=platform.amqp_url, backend="rpc://")
        result = later.send_task("celery_app.add", (3, 4), queue=workers.queue)
        assert result.get(timeout=40) == 7, workers.log()
        later.close()
    finally:
        workers.stop()
