"""The e-mail worker: a Celery app whose task writes each mail to the outbox folder.

    celery -A mail worker
"""

import os
from email.message import EmailMessage

from celery import Celery

from web import DATA

app = Celery("mail", broker=os.environ.get("AMQP_URL"), backend="rpc://")
app.conf.update(task_default_queue="email", task_acks_late=True, broker_connection_retry=True,
                broker_connection_max_retries=None, worker_prefetch_multiplier=1, result_expires=3600,
                broker_transport_options={"confirm_publish": True})


@app.task(name="mail.send_invoice", autoretry_for=(OSError,), retry_backoff=True, max_retries=5)
def send_invoice(job, number, recipient):
    """Writes outbox/JOB.eml, once per job, and returns its path."""
    path = DATA / "outbox" / f"{job}.eml"
    if not path.exists():
        message = EmailMessage()
        message["From"], message["To"] = "shop@example.no", recipient
        message["Subject"] = f"Your invoice {number}"
        message["Message-ID"] = f"<{job}@example.no>"
        message.set_content(f"Thank you! Your invoice is here: /invoices/{job}.pdf\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_bytes(bytes(message))
        unfinished.replace(path)
    return str(path)
