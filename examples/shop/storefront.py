"""The page. Keeps no state, so it can run as often as wished."""

import html
import json
from pathlib import Path

from catalogue import PRODUCTS, picture
from web import DATA, App, Refused, Reply

STATIC = Path(__file__).resolve().parent / "static"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

app = App("storefront")

CARD = """
<article class="card" data-product="{id}">
  <img src="/thumbnails/{id}.jpg" alt="{name}" width="480" height="360">
  <h2>{name}</h2>
  <p><strong>{price} kr</strong> <span class="stock" data-stock="{id}">…</span></p>
  <button class="add" data-add="{id}">Add to cart</button>
</article>"""


@app.on("GET", "/")
def page(request):
    cards = "".join(CARD.format(id=id, name=html.escape(product["name"]), price=product["price"])
                    for id, product in PRODUCTS.items())
    names = {id: {"name": product["name"], "price": product["price"]} for id, product in PRODUCTS.items()}
    text = (STATIC / "index.html").read_text()
    text = text.replace("<!-- products -->", cards).replace("/* catalogue */", json.dumps(names))
    return Reply(200, text.encode(), "text/html; charset=utf-8")


@app.on("GET", "/static/{name}")
def static(request, name):
    path = STATIC / name
    if path.suffix not in KINDS or not path.is_file():
        raise Refused(404, "no such file")
    return Reply(200, path.read_bytes(), KINDS[path.suffix])


@app.on("GET", "/thumbnails/{id}.jpg")
def thumbnail(request, id):
    """The thumbnail once the image worker has made it; the whole picture until then."""
    if id not in PRODUCTS:
        raise Refused(404, "no such product")
    small = DATA / "thumbnails" / f"{id}.jpg"
    path = small if small.exists() else picture(DATA, id)
    return Reply(200, path.read_bytes(), "image/jpeg", {"Cache-Control": "no-cache"})


if __name__ == "__main__":
    app.run()
