"""What each customer is about to buy, in SQLite. Asks auth who the customer is."""

import json
import os
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing

from catalogue import PRODUCTS
from web import DATA, App, Refused

app = App("cart")


def database():
    DATA.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(DATA / "cart.db", timeout=5)
    connection.execute("create table if not exists lines"
                       " (email text, product text, count integer, primary key (email, product))")
    return connection


def customer(request):
    question = urllib.request.Request(os.environ["AUTH_URL"] + "/auth/me",
                                      headers={"Authorization": f"Bearer {request.token()}"})
    try:
        with urllib.request.urlopen(question, timeout=2) as answer:
            return json.load(answer)["email"]
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise Refused(401, "log in first")
        raise Refused(503, "auth is away")
    except OSError:
        raise Refused(503, "auth is away")


def contents(connection, email):
    rows = connection.execute("select product, count from lines where email = ? order by product", (email,))
    items = dict(rows.fetchall())
    return {"items": items, "total": sum(PRODUCTS[id]["price"] * count for id, count in items.items())}


@app.on("GET", "/cart")
def show(request):
    with closing(database()) as connection:
        return contents(connection, customer(request))


@app.on("POST", "/cart")
def add(request):
    email, asked = customer(request), request.json()
    product, count = asked.get("product"), asked.get("count", 1)
    if product not in PRODUCTS or not isinstance(count, int) or not 1 <= count <= 99:
        raise Refused(400, "product must be one of ours, count 1 to 99")
    with closing(database()) as connection, connection:
        connection.execute("insert into lines values (?, ?, ?) on conflict (email, product)"
                           " do update set count = count + excluded.count", (email, product, count))
        return contents(connection, email)


@app.on("DELETE", "/cart")
def empty(request):
    email = customer(request)
    with closing(database()) as connection, connection:
        connection.execute("delete from lines where email = ?", (email,))
        return contents(connection, email)


if __name__ == "__main__":
    app.run()
