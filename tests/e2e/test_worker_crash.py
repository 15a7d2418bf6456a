"""A worker killed in the middle of a job is back, and the job is done exactly once more."""

import signal

import pytest

from harness import PYTHON, wait_for

WORKER = f"""#!{PYTHON}
import os
from pathlib import Path
import time
import pika

JOURNAL = Path("journal")


def note(event, job):
    with JOURNAL.open("a") as journal:
        journal.write(f"{{event}} {{job}} {{os.getpid()}}\\n")


def work(channel, method, properties, body):
    note("again" if method.redelivered else "start", properties.message_id)
    while Path("hold").exists():
        time.sleep(0.02)
    note("done", properties.message_id)
    channel.basic_ack(method.delivery_tag)


channel = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"])).channel()
channel.queue_declare("work", durable=True)
channel.basic_qos(prefetch_count=1)
channel.basic_consume("work", work)
channel.start_consuming()
"""

MANIFEST = f"""
    [worker.careful]
    command = "{PYTHON} worker.py"
    queue = "work"
    instances = INSTANCES
    stop_timeout = "1s"

    [queue.work]

    [route."/work"]
    methods = ["POST"]
    queue = "work"
"""


class Journal:
    """What the workers wrote down: [(event, job, pid)]."""

    def __init__(self, folder):
        self.path = folder / "journal"

    def entries(self, job=None):
        if not self.path.exists():
            return []
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [(event, about, int(pid)) for event, about, pid in lines if job in (None, about)]

    def events(self, job):
        return [event for event, _, _ in self.entries(job)]


@pytest.fixture
def start(platform):
    def start(instances):
        platform.write("worker.py", WORKER)
        platform.manifest(MANIFEST.replace("INSTANCES", str(instances)))
        platform.up()
        return Journal(platform.folder)
    return start


def give_work(platform):
    answer = platform.post("/work", b"do it")
    assert answer.status == 202, answer
    return answer.headers["Location"].removeprefix("/jobs/")


def test_a_killed_worker_is_back_and_its_job_is_done_once_more(platform, start):
    journal = start(1)
    hold = platform.write("hold", "")
    job = give_work(platform)
    wait_for(lambda: journal.events(job) == ["start"], 20, "the job to begin")

    killed = platform.kill("careful")
    wait_for(lambda: journal.events(job) == ["start", "again"], 20, "the job to begin again")
    hold.unlink()
    wait_for(lambda: "done" in journal.events(job), 20, "the job to be done")

    later = give_work(platform)
    wait_for(lambda: "done" in journal.events(later), 20, "a later job to be done")
    assert journal.events(job) == ["start", "again", "done"]
    assert [pid == killed for _, _, pid in journal.entries(job)] == [True, False, False]
    row = platform.process("careful")
    assert row["restarts"] == 1 and row["pid"] != killed


def test_a_worker_whose_children_hold_on_is_killed_with_all_of_them(platform):
    """Stopping takes the whole tree: the fixture finds no survivor afterwards."""
    platform.write("stubborn.sh", "trap '' TERM\nsh -c \"trap '' TERM; sleep 600\" &\nsleep 600\n")
    platform.manifest(f"""
        [worker.stubborn]
        command = "sh stubborn.sh"
        stop_timeout = "500ms"
    """)
    platform.up()
    platform.pid_of("stubborn")
    assert platform.down().returncode == 0
    assert platform.survivors() == {}


def test_jobs_of_a_killed_worker_go_to_its_siblings(platform, start):
    journal = start(3)
    hold = platform.write("hold", "")
    jobs = [give_work(platform) for _ in range(3)]
    wait_for(lambda: len(journal.entries()) == 3, 20, "all three to be busy")
    killed = platform.kill("careful", instance=2)
    siblings = {row["pid"] for row in platform.ps() if row["name"] == "careful" and row["pid"] != killed}
    wait_for(lambda: len(journal.entries()) == 4, 20, "the lost job to begin again")
    hold.unlink()
    wait_for(lambda: all("done" in journal.events(job) for job in jobs), 20, "all jobs to be done")
    events = sorted(journal.events(job) for job in jobs)
    assert events == [["start", "again", "done"], ["start", "done"], ["start", "done"]]
    assert siblings <= {row["pid"] for row in platform.ps()}, "a sibling was touched"


@pytest.mark.time_limit(120)
def test_workers_killed_again_and_again_do_every_job(platform, start):
    journal = start(2)
    jobs = [give_work(platform) for _ in range(40)]
    for _ in range(4):
        platform.kill("careful", signal.SIGKILL, instance=1)
    jobs += [give_work(platform) for _ in range(40)]
    wait_for(lambda: all("done" in journal.events(job) for job in jobs), 100, "all jobs to be done")
    for job in jobs:
        events = journal.events(job)
        assert events[0] == "start" and set(events[1:]) <= {"again", "done"}, events
