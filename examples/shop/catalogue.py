"""What the shop sells, and a picture of each thing."""

import os
from pathlib import Path

from PIL import Image, ImageDraw

PRODUCTS = {
    "mug": {"name": "Fjord mug", "price": 189, "colours": ("#dfeaf0", "#9dbccb")},
    "blanket": {"name": "Wool blanket", "price": 1290, "colours": ("#f3e6da", "#d9b492")},
    "lamp": {"name": "Rope lamp", "price": 890, "colours": ("#fbf1d0", "#e4c26b")},
    "print": {"name": "Lighthouse print", "price": 349, "colours": ("#e3ecdf", "#a4bf99")},
    "bell": {"name": "Brass bell", "price": 640, "colours": ("#f4e9d9", "#c9a25e")},
    "salt": {"name": "Sea salt", "price": 79, "colours": ("#ececf2", "#b3b3c9")},
}

INK, LIGHT = "#22333b", "#ffffff"
SIZE = (960, 720)


def mug(d):
    d.ellipse((560, 290, 740, 480), outline=INK, width=34)
    d.rounded_rectangle((320, 220, 640, 560), 48, fill=INK)
    d.polygon([(360, 470), (430, 360), (480, 430), (530, 340), (600, 470)], fill=LIGHT)


def blanket(d):
    for i, colour in enumerate([INK, LIGHT, INK, LIGHT, INK]):
        d.rectangle((260, 200 + i * 64, 700, 264 + i * 64), fill=colour)
    for x in range(270, 700, 24):
        d.line((x, 520, x, 570), fill=INK, width=6)


def lamp(d):
    d.line((480, 60, 480, 260), fill=INK, width=16)
    d.polygon([(420, 250), (540, 250), (660, 460), (300, 460)], fill=INK)
    d.ellipse((420, 430, 540, 550), fill=LIGHT)


def print_(d):
    d.rectangle((300, 120, 660, 600), fill=LIGHT, outline=INK, width=18)
    d.polygon([(445, 260), (515, 260), (545, 540), (415, 540)], fill=INK)
    d.rectangle((440, 210, 520, 260), fill="#e4c26b", outline=INK, width=8)
    d.polygon([(430, 210), (530, 210), (480, 160)], fill=INK)


def bell(d):
    d.pieslice((340, 180, 620, 560), 180, 360, fill=INK)
    d.polygon([(340, 370), (620, 370), (680, 500), (280, 500)], fill=INK)
    d.ellipse((440, 480, 520, 570), fill=INK)


def salt(d):
    d.rounded_rectangle((360, 260, 600, 580), 30, fill=LIGHT, outline=INK, width=18)
    d.rectangle((380, 200, 580, 262), fill=INK)
    d.rectangle((378, 400, 582, 562), fill=INK)


DRAWINGS = {"mug": mug, "blanket": blanket, "lamp": lamp, "print": print_, "bell": bell, "salt": salt}


def picture(folder: Path, product: str) -> Path:
    """The path of the product's picture, which is drawn the first time it is asked for."""
    path = folder / "pictures" / f"{product}.jpg"
    if not path.exists():
        light, dark = PRODUCTS[product]["colours"]
        image = Image.linear_gradient("L").resize(SIZE)
        image = Image.composite(Image.new("RGB", SIZE, dark), Image.new("RGB", SIZE, light), image)
        DRAWINGS[product](ImageDraw.Draw(image))
        write_jpeg(image, path)
    return path


def write_jpeg(image, path: Path):
    """Whole or not at all: several processes may write the same picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    image.save(unfinished, "JPEG", quality=88)
    unfinished.replace(path)
