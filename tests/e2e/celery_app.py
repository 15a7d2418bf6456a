"""The Celery app of test_celery.py, as somebody unaware of the broker would write it."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("tests", broker=os.environ.get("CELERY_TEST_BROKER"), backend="rpc://")
app.conf.update(task_default_queue=os.environ.get("CELERY_TEST_QUEUE", "celery"), result_expires=600,
                broker_connection_max_retries=None, worker_prefetch_multiplier=1)


@app.task
def add(a, b):
    return a + b


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def third_time_lucky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task(bind=True, max_retries=2)
def never_lucky(self):
    raise self.retry(countdown=0.01, exc=KeyError("no luck"))


@app.task
def echo(value):
    return value


@app.task(acks_late=True, reject_on_worker_lost=True)
def note_and_wait(folder, key):
    """Appends to FOLDER/KEY.started, then waits until FOLDER/KEY.go is there."""
    with open(Path(folder) / f"{key}.started", "a") as started:
        started.write(f"{os.getpid()}\n")
    while not (Path(folder) / f"{key}.go").exists():
        time.sleep(0.02)
    return key
