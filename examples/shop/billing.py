"""Keeps the invoices the worker makes, and tells how far a job is."""

import sqlite3
from contextlib import closing

from web import DATA, App, Refused, Reply

FIRST_NUMBER = 1001

app = App("billing")


def database():
    DATA.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(DATA / "billing.db", timeout=5)
    with connection:
        connection.execute("create table if not exists jobs"
                           " (number integer primary key, job text unique, status text)")
    return connection


def invoice(job):
    return DATA / "invoices" / f"{job}.pdf"


@app.on("GET", "/jobs/{job}")
def status(request, job):
    """A job nobody has reported yet is waiting in the queue."""
    with closing(database()) as connection:
        row = connection.execute("select status from jobs where job = ?", (job,)).fetchone()
    answer = {"job": job, "status": row[0] if row else "accepted"}
    if answer["status"] == "done":
        answer["invoice"] = f"/invoices/{job}.pdf"
    return answer


@app.on("POST", "/jobs/{job}")
def begin(request, job):
    """The invoice number of a job: the same one however often it is asked for."""
    with closing(database()) as connection, connection:
        connection.execute("insert or ignore into jobs values"
                           " ((select coalesce(max(number) + 1, ?) from jobs), ?, 'working')",
                           (FIRST_NUMBER, job))
        number, = connection.execute("select number from jobs where job = ?", (job,)).fetchone()
        return {"job": job, "number": number}


@app.on("PUT", "/invoices/{job}.pdf")
def store(request, job):
    if not request.body.startswith(b"%PDF"):
        raise Refused(400, "an invoice is a PDF")
    path = invoice(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(request.body)
    unfinished.replace(path)
    with closing(database()) as connection, connection:
        connection.execute("update jobs set status = 'done' where job = ?", (job,))
    return {"job": job, "status": "done"}


@app.on("GET", "/invoices/{job}.pdf")
def fetch(request, job):
    if not invoice(job).exists():
        raise Refused(404, "no invoice (yet)")
    return Reply(200, invoice(job).read_bytes(), "application/pdf")


if __name__ == "__main__":
    app.run()
