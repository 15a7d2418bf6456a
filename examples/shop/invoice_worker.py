"""Turns an order into an invoice: PDF to billing, items off the shelf, e-mail and thumbnails queued.

A message may come twice (this worker may die before it acknowledges), so every step may be done twice: the
job's id decides the invoice number, the stock taken and the e-mail sent.
"""

import io
import json
import os
import urllib.request

import pika
from kombu.exceptions import OperationalError
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

import mail
from catalogue import PRODUCTS
from consumer import Consumer, Rejected

QUEUE, IMAGES = "invoice_processing", "image_resize"


def call(method, url, body, kind="application/json"):
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def read_order(body):
    try:
        order = json.loads(body)
        items = {id: int(count) for id, count in order["items"].items()}
        email = str(order["email"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected(f"not an order: {error!r}")
    if not items or not set(items) <= set(PRODUCTS) or not all(0 < count < 100 for count in items.values()):
        raise Rejected(f"not our products: {items}")
    return items, email


def make_pdf(number, job, email, items):
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, pagesize=A4, invariant=1)
    page.setTitle(f"Invoice {number}")
    page.setFont("Helvetica-Bold", 20)
    page.drawString(60, 770, f"Invoice {number}")
    page.setFont("Helvetica", 11)
    page.drawString(60, 745, f"To {email}")
    page.drawString(60, 728, f"Order {job}")
    height, total = 690, 0
    for id, count in items.items():
        price = PRODUCTS[id]["price"] * count
        total += price
        page.drawString(60, height, f"{count} x {PRODUCTS[id]['name']}")
        page.drawRightString(520, height, f"{price} kr")
        height -= 20
    page.line(60, height + 8, 520, height + 8)
    page.setFont("Helvetica-Bold", 11)
    page.drawString(60, height - 12, "Total, 25 % VAT included")
    page.drawRightString(520, height - 12, f"{total} kr")
    page.save()
    return buffer.getvalue()


def work(channel, properties, body):
    job = properties.message_id
    if not job:
        raise Rejected("no message id")
    items, email = read_order(body)
    billing, inventory = os.environ["BILLING_URL"], os.environ["INVENTORY_URL"]
    number = call("POST", f"{billing}/jobs/{job}", b"")["number"]
    call("POST", f"{inventory}/api/v1/stock/take", json.dumps({"job": job, "items": items}).encode())
    call("PUT", f"{billing}/invoices/{job}.pdf", make_pdf(number, job, email, items), "application/pdf")
    print(f"invoice {number} for job {job}", flush=True)

    try:
        mail.send_invoice.delay(job, number, email)
    except OperationalError as error:
        raise ConnectionError(f"could not queue the e-mail: {error}")
    channel.queue_declare(IMAGES, durable=True)
    for id in items:
        channel.basic_publish("", IMAGES, json.dumps({"product": id, "width": 480}).encode(),
                              pika.BasicProperties(content_type="application/json", delivery_mode=2))


if __name__ == "__main__":
    Consumer(QUEUE, work).run()
