"""What is in stock. Has a switch that makes it slow, to see that the rest of the shop does not care:

    curl -X POST 'localhost:8080/admin/inventory?pace=slow&ms=500'      answers half a second late
    curl -X POST 'localhost:8080/admin/inventory?pace=trickle&ms=50'    sends a byte every 50 ms
    curl -X POST 'localhost:8080/admin/inventory?pace=trickle-body'     the same, but only after the head
    curl -X POST 'localhost:8080/admin/inventory?pace=normal'
"""

import json
import sqlite3
import time
from contextlib import closing

from catalogue import PRODUCTS
from web import DATA, App, Refused, head

PACES = ("normal", "slow", "trickle", "trickle-body")
FULL_SHELF = 40


class Inventory(App):
    pace, seconds = "normal", 0.0

    def respond(self, handler, reply):
        if self.pace == "normal" or handler.path.startswith(("/up", "/admin")):
            return super().respond(handler, reply)
        if self.pace == "slow":
            time.sleep(self.seconds)
            return super().respond(handler, reply)
        start, slow = head(reply), reply.body
        if self.pace == "trickle":
            start, slow = b"", start + slow
        try:
            handler.wfile.write(start)
            for byte in slow:
                handler.wfile.write(bytes([byte]))
                time.sleep(self.seconds)
        except OSError:
            handler.close_connection = True


app = Inventory("inventory")


def database():
    DATA.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(DATA / "inventory.db", timeout=5)
    with connection:
        connection.execute("create table if not exists taken (job text, product text, count integer,"
                           " primary key (job, product))")
    return connection


def left(connection):
    taken = dict(connection.execute("select product, sum(count) from taken group by product"))
    return {product: max(FULL_SHELF - taken.get(product, 0), 0) for product in PRODUCTS}


@app.on("GET", "/api/v1/stock")
def stock(request):
    with closing(database()) as connection:
        return {"stock": left(connection)}


@app.on("GET", "/api/v1/stock/{product}")
def stock_of(request, product):
    if product not in PRODUCTS:
        raise Refused(404, "no such product")
    with closing(database()) as connection:
        return {"product": product, "stock": left(connection)[product]}


@app.on("POST", "/api/v1/stock/take")
def take(request):
    """Takes the items of one job off the shelf; the same job twice takes them once."""
    asked = request.json()
    with closing(database()) as connection, connection:
        connection.executemany("insert or ignore into taken values (?, ?, ?)",
                               [(asked["job"], product, count) for product, count in asked["items"].items()])
        return {"stock": left(connection)}


@app.on("POST", "/admin/inventory")
def set_pace(request):
    pace = request.query.get("pace")
    if pace not in PACES:
        raise Refused(400, f"pace is one of {', '.join(PACES)}")
    app.seconds = int(request.query.get("ms", 50)) / 1000
    app.pace = pace
    print(json.dumps({"pace": pace, "seconds": app.seconds}), flush=True)
    return {"pace": pace, "seconds": app.seconds}


if __name__ == "__main__":
    app.run()
