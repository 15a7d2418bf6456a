"""The example shop, whole: bought in, slowed down, and with parts killed."""

import http.client
import json
import os
import subprocess
import threading
import time

import pytest

from browser import Browser, chromium
from harness import PYTHON, REPOSITORY, Platform, free_port, wait_for

SHOP = REPOSITORY / "examples" / "shop"


@pytest.fixture(scope="module")
def running_shop(havn):
    platform = Platform(havn)
    try:
        platform.copy_tree(SHOP)
        platform.gateway, platform.broker = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        manifest = (SHOP / "havn.toml").read_text()
        assert "127.0.0.1:8080" in manifest and "127.0.0.1:5672" in manifest
        platform.write("havn.toml", manifest.replace("127.0.0.1:8080", platform.gateway)
                       .replace("127.0.0.1:5672", platform.broker))
        yield platform.up()
    finally:
        platform.close()


@pytest.fixture
def shop(running_shop, request):
    """The shop, open; its logs are shown when the test fails."""
    yield running_shop
    running_shop.post("/admin/inventory?pace=normal")
    if getattr(request.node, "failed", False):
        print(running_shop.logs())


class Customer:
    """Someone with a login."""

    def __init__(self, shop):
        self.shop = shop
        answer = shop.post("/auth/login", {"email": "ola@example.no", "password": "fyrlykt"})
        assert answer.status == 200, answer
        self.headers = {"Authorization": f"Bearer {answer.json['token']}"}

    def cart(self, method="GET", body=None):
        return self.shop.http(method, "/cart", body, headers=self.headers)

    def buy(self, items):
        """The job's path, from the Location of the 202."""
        answer = self.shop.post("/buy", {"email": "ola@example.no", "items": items})
        assert answer.status == 202, answer
        return answer.headers["Location"]

    def invoice(self, job, seconds=30):
        """The PDF of the job, once it is there."""
        wait_for(lambda: self.shop.get(job).json["status"] == "done", seconds, f"{job} to be done")
        return self.shop.get(self.shop.get(job).json["invoice"]).body


def set_pace(shop, pace):
    wait_for(lambda: shop.post(f"/admin/inventory?pace={pace}").status == 200, 30, "the switch to work")


def stock_is_known(shop):
    return shop.get("/api/v1/stock").json["stock"] != "unknown"


@pytest.mark.time_limit(120)
def test_a_purchase_goes_all_the_way(shop):
    command = [PYTHON, SHOP / "purchase.py", f"http://{shop.gateway}", "--data", shop.folder / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr


def test_everything_the_shop_is_made_of_runs(shop):
    rows = {(row["name"], row["kind"]) for row in shop.ps()}
    assert {("storefront", "service"), ("inventory", "service"), ("invoice", "worker"), ("email", "worker"),
            ("image", "worker"), ("gateway", "platform"), ("broker", "platform")} <= rows
    assert len([row for row in shop.ps() if row["name"] == "storefront"]) == 2


@pytest.mark.parametrize("pace", ["slow&ms=5000", "trickle&ms=100"])
def test_a_slow_inventory_is_answered_by_the_fallback_and_slows_nobody_else(shop, pace):
    """At these paces its own answer would take five seconds and more; the route's deadline is 0.1 s."""
    set_pace(shop, pace)
    stop, others, failures = threading.Event(), [], []

    def visit_the_page():
        while not stop.is_set():
            answer = shop.get("/")
            (others if answer.status == 200 else failures).append(answer.seconds)

    visitor = threading.Thread(target=visit_the_page)
    visitor.start()
    try:
        for _ in range(8):
            answer = shop.get("/api/v1/stock")
            assert (answer.status, answer.json) == (200, {"stock": "unknown"})
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.seconds < 2.5, answer
    finally:
        stop.set()
        visitor.join()
    assert not failures and len(others) > 20
    assert max(others) < 2.5, "the page waited for the inventory"
    set_pace(shop, "normal")
    wait_for(lambda: stock_is_known(shop), 30, "the stock to be known again")


def test_a_body_that_trickles_is_cut_at_the_deadline(shop):
    """When time is up the head is out already: the answer ends early and cannot be taken for a whole one."""
    set_pace(shop, "trickle-body&ms=100")
    connection = http.client.HTTPConnection(shop.gateway, timeout=20)
    began = time.monotonic()
    connection.request("GET", "/api/v1/stock")
    try:
        body = connection.getresponse().read()
    except (http.client.IncompleteRead, ConnectionError):
        body = None
    connection.close()
    assert time.monotonic() - began < 2.5, "its own pace takes nine seconds; the deadline is 0.1 s"
    assert body is None or json.loads(body) == {"stock": "unknown"}, body
    assert shop.get("/").status == 200


def test_a_login_and_a_cart_outlive_restarts(shop):
    customer = Customer(shop)
    customer.cart("DELETE")
    customer.cart("POST", {"product": "bell", "count": 3})
    for name in ("auth", "cart"):
        before = shop.kill(name)
        wait_for(lambda: shop.pid_of(name) != before, 20, f"{name} to be back")
    wait_for(lambda: customer.cart().status == 200, 20, "the cart to answer again")
    assert customer.cart().json["items"] == {"bell": 3}


def test_an_order_taken_while_the_invoice_worker_is_dead_is_done_when_it_is_back(shop):
    customer = Customer(shop)
    shop.kill("invoice")
    job = customer.buy({"salt": 1})
    assert customer.invoice(job).startswith(b"%PDF")


def test_an_order_taken_while_billing_is_dead_is_done_when_it_is_back(shop):
    customer = Customer(shop)
    shop.kill("billing")
    job = customer.buy({"salt": 2})
    wait_for(lambda: shop.get(job).status == 200, 20, "billing to answer again")
    assert customer.invoice(job).startswith(b"%PDF")


def test_nonsense_in_the_queue_holds_up_no_order(shop):
    for nonsense in (b"", b"{", b'{"items": {"rocket": 1}, "email": "x"}', os.urandom(1000)):
        assert shop.post("/buy", nonsense).status == 202
    customer = Customer(shop)
    assert customer.invoice(customer.buy({"mug": 1})).startswith(b"%PDF")


def test_thirty_orders_at_once_get_thirty_invoices(shop):
    customer = Customer(shop)
    jobs = [customer.buy({"salt": 1}) for _ in range(30)]
    assert len(set(jobs)) == 30
    assert len({customer.invoice(job) for job in jobs}) == 30


@pytest.mark.skipif(not chromium(), reason="no Chromium here (apt install chromium)")
@pytest.mark.time_limit(120)
def test_a_customer_clicks_through_the_page(shop):
    with Browser() as browser:
        browser.open(f"http://{shop.gateway}/")
        browser.wait("document.readyState === 'complete' && location.protocol === 'http:'")
        assert browser.run("document.querySelectorAll('.card').length") == 6
        browser.run("document.querySelector('#login button').click()")
        browser.wait("!document.getElementById('customer').hidden")
        browser.run("document.querySelector('[data-add=mug]').click()")
        browser.wait("!document.getElementById('buy').disabled")
        browser.run("document.getElementById('buy').click()")
        link = browser.wait("(document.querySelector('#order a') || {}).href", 60)
        assert link.startswith(f"http://{shop.gateway}/invoices/")
        assert shop.get(link.split(shop.gateway)[1]).body.startswith(b"%PDF")
        assert browser.errors() == []
