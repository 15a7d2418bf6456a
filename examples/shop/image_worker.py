"""Makes thumbnails of product pictures with Pillow."""

import json

from PIL import Image

from catalogue import PRODUCTS, picture, write_jpeg
from consumer import Consumer, Rejected
from web import DATA


def work(channel, properties, body):
    try:
        task = json.loads(body)
        product, width = task["product"], int(task["width"])
    except (ValueError, KeyError, TypeError) as error:
        raise Rejected(f"not a task: {error!r}")
    if product not in PRODUCTS or not 16 <= width <= 2000:
        raise Rejected(f"no thumbnail of {product} at {width}")
    with Image.open(picture(DATA, product)) as image:
        image.thumbnail((width, width))
        write_jpeg(image, DATA / "thumbnails" / f"{product}.jpg")
        print(f"thumbnail of {product}, {image.width} x {image.height}", flush=True)


if __name__ == "__main__":
    Consumer("image_resize", work).run()
