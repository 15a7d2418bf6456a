"""Buys something in the running shop the way a customer does, and checks everything that must follow.

    python3 purchase.py [http://127.0.0.1:8080] [--data DIR]

Prints what it saw, line by line. Exit 0 when all of it was right, 1 with the reason when not.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


class Wrong(Exception):
    """What was expected and what was there instead."""


class Shop:
    def __init__(self, url):
        self.url, self.token = url.rstrip("/"), None

    def ask(self, method, path, body=None):
        """(status, headers, body, seconds); any status is an answer."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
                return answer.status, answer.headers, content, time.monotonic() - began
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read(), time.monotonic() - began
        except OSError as error:
            raise Wrong(f"{method} {path}: no answer from {self.url}: {error}")

    def expect(self, status, method, path, body=None):
        got = self.ask(method, path, body)
        if got[0] != status:
            raise Wrong(f"{method} {path}: expected {status}, got {got[0]}: {got[2][:200]!r}")
        return got

    def json(self, method, path, body=None):
        return json.loads(self.expect(200, method, path, body)[2])


def say(text):
    print(f"  {text}", flush=True)


def wait_for(what, condition, timeout=30):
    """Asks again until `condition` gives something true; says what was missing otherwise."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Wrong(f"waited {timeout} s for {what}")
        time.sleep(0.05)
    return value


def known_stock(shop):
    stock = shop.json("GET", "/api/v1/stock")["stock"]
    return None if stock == "unknown" else stock


def look_around(shop):
    _, headers, page, seconds = shop.expect(200, "GET", "/")
    if b"Fjord mug" not in page or "text/html" not in headers["Content-Type"]:
        raise Wrong(f"the page does not show the mug: {page[:200]!r}")
    say(f"page: {len(page)} bytes in {seconds * 1000:.0f} ms")
    for path in ("/static/shop.css", "/static/shop.js", "/thumbnails/mug.jpg"):
        shop.expect(200, "GET", path)
    say("style, script and pictures: all there")


def log_in(shop):
    shop.expect(403, "POST", "/auth/login", {"email": "kari@example.no", "password": "wrong"})
    shop.expect(401, "GET", "/cart")
    answer = shop.json("POST", "/auth/login", {"email": "kari@example.no", "password": "brygge"})
    shop.token = answer["token"]
    say(f"login: {answer['email']}; a wrong password gets 403, a cart without login 401")


def fill_cart(shop):
    shop.json("DELETE", "/cart")
    shop.json("POST", "/cart", {"product": "mug", "count": 2})
    cart = shop.json("POST", "/cart", {"product": "lamp"})
    if cart != {"items": {"lamp": 1, "mug": 2}, "total": 2 * 189 + 890}:
        raise Wrong(f"cart: {cart}")
    say(f"cart: {cart['items']}, {cart['total']} kr")
    return cart["items"]


def buy(shop, items):
    """Orders, follows the job to its invoice; returns the job's id."""
    before = wait_for("the stock", lambda: known_stock(shop))
    _, headers, _, seconds = shop.expect(202, "POST", "/buy", {"email": "kari@example.no", "items": items})
    location = headers["Location"] or ""
    if not location.startswith("/jobs/"):
        raise Wrong(f"202 without a Location to a job: {location!r}")
    say(f"buy: 202 Accepted in {seconds * 1000:.0f} ms, {location}")

    began = time.monotonic()
    job = wait_for(f"{location} to be done",
                   lambda: (state := shop.json("GET", location))["status"] == "done" and state)
    _, headers, pdf, _ = shop.expect(200, "GET", job["invoice"])
    if not pdf.startswith(b"%PDF") or headers["Content-Type"] != "application/pdf":
        raise Wrong(f"the invoice is no PDF: {pdf[:40]!r}")
    say(f"invoice: {job['invoice']}, {len(pdf)} bytes of PDF, {time.monotonic() - began:.1f} s later")

    after = wait_for("the stock", lambda: known_stock(shop))
    if before["mug"] - after["mug"] != 2 or before["lamp"] - after["lamp"] != 1:
        raise Wrong(f"stock before {before}, after {after}: expected 2 mugs and 1 lamp less")
    say(f"stock: mugs {before['mug']} -> {after['mug']}, lamps {before['lamp']} -> {after['lamp']}")
    return job["job"]


def check_workers(data, job):
    mail = data / "outbox" / f"{job}.eml"
    wait_for(f"the e-mail {mail}", mail.exists)
    if job not in mail.read_text():
        raise Wrong(f"{mail} does not name the job")
    say(f"e-mail (Celery): {mail.name} in the outbox")
    for product in ("mug", "lamp"):
        thumbnail = data / "thumbnails" / f"{product}.jpg"
        wait_for(f"the thumbnail {thumbnail}", thumbnail.exists)
        if not thumbnail.read_bytes().startswith(b"\xff\xd8"):
            raise Wrong(f"{thumbnail} is no JPEG")
    say("thumbnails (Pillow): mug and lamp")


def slow_inventory(shop):
    """The slow service gets the fallback, in time; its neighbours do not notice."""
    for pace in ("slow&ms=500", "trickle&ms=50"):
        wait_for("the switch to work", lambda: shop.ask("POST", f"/admin/inventory?pace={pace}")[0] == 200)
        try:
            _, _, body, seconds = shop.expect(200, "GET", "/api/v1/stock")
            if json.loads(body) != {"stock": "unknown"}:
                raise Wrong(f"inventory {pace}: expected the fallback, got {body[:100]!r}")
            if seconds > 0.4:
                raise Wrong(f"inventory {pace}: the fallback took {seconds:.3f} s, its deadline is 0.1 s")
            other = max(shop.expect(200, "GET", path)[3] for path in ("/", "/cart", "/static/shop.css"))
            say(f"inventory {pace.split('&')[0]}: fallback after {seconds * 1000:.0f} ms; "
                f"page, cart and style within {other * 1000:.0f} ms")
        finally:
            wait_for("the switch to work", lambda: shop.ask("POST", "/admin/inventory?pace=normal")[0] == 200)
    wait_for("the stock to be known again", lambda: known_stock(shop))
    say("inventory normal: stock known again")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("shop", nargs="?", default="http://127.0.0.1:8080", help="where it listens")
    arguments.add_argument("--data", type=Path, help="the shop's data folder",
                           default=os.environ.get("SHOP_DATA", Path(__file__).resolve().parent / "data"))
    options = arguments.parse_args()
    shop = Shop(options.shop)
    try:
        look_around(shop)
        log_in(shop)
        job = buy(shop, fill_cart(shop))
        check_workers(options.data, job)
        shop.json("DELETE", "/cart")
        slow_inventory(shop)
    except (Wrong, ValueError, KeyError) as error:
        print(f"purchase failed: {error}", file=sys.stderr)
        return 1
    print("purchase complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
