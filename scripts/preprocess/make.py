"""Writes crates/vision/tests/fixtures/resize.txt: what other programs make of small pictures.

    python3.11 -m venv venv && venv/bin/pip install -r scripts/preprocess/requirements.txt
    venv/bin/python scripts/preprocess/make.py

Pictures are bytes of a linear congruential generator (that of make_pillow.py), so only results are
stored. A line is
    program resize fit short_side width height target_width target_height result
with `-` where nothing is given, and the result in hex, RGB. TensorFlow's are rounded to bytes.

torchvision is not installed: for pictures of Pillow its Resize is `Image.resize` with the short side
set and the long one `int(short_side * long / short)`, and its CenterCrop is `Image.crop` from
`int(round((size - crop) / 2))` (torchvision 0.24, transforms/functional.py), which is done here.
"""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

OUT = Path(__file__).resolve().parents[2] / "crates/vision/tests/fixtures/resize.txt"

SIZES = [
    (1, 1, 3, 2), (1, 1, 1, 1), (2, 3, 5, 4), (7, 5, 7, 5), (16, 12, 8, 6), (23, 17, 6, 5), (31, 9, 4, 9),
    (9, 31, 9, 4), (5, 6, 11, 13), (40, 3, 1, 1), (3, 41, 3, 7), (13, 4, 5, 9), (96, 64, 8, 8), (65, 33, 7, 5),
    (1, 7, 4, 3), (6, 1, 4, 2), (12, 8, 9, 6),
]
CROPS = [(30, 17, 8, 6), (17, 30, 8, 6), (9, 9, 6, 6), (25, 10, 5, 5), (10, 23, 7, 7), (4, 3, 6, 6)]


def pixels(width, height):
    state = (width * 7919 + height * 104729 + 3) & 0xFFFFFFFF
    data = bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        data.append(state >> 24)
    return np.frombuffer(bytes(data), np.uint8).reshape(height, width, 3)


def rounded(tensor):
    return np.clip(np.rint(np.asarray(tensor)), 0, 255).astype(np.uint8)


def tensorflow(picture, method, tw, th):
    return rounded(tf.image.resize(picture, (th, tw), method=method, antialias=False))


def keras_crop(picture, tw, th):
    return rounded(tf.keras.preprocessing.image.smart_resize(picture, (th, tw), interpolation="bilinear"))


def torchvision(picture, resample, short_side, tw, th):
    image = Image.fromarray(picture)
    width, height = image.size
    short, long = sorted((width, height))
    new_long = int(short_side * long / short)
    size = (short_side, new_long) if width <= height else (new_long, short_side)
    image = image.resize(size, resample)
    left, top = int(round((size[0] - tw) / 2)), int(round((size[1] - th) / 2))
    return np.asarray(image.crop((left, top, left + tw, top + th)))


def has_tie(size, outputs):
    """Whether the center of an output lies between two pixels."""
    return size > outputs and any((2 * i + 1) * size % (2 * outputs) == 0 for i in range(outputs))


def lines():
    for w, h, tw, th in SIZES:
        picture = pixels(w, h)
        where = ("stretch", "-", w, h, tw, th)
        yield "tensorflow", "bilinear-tf", *where, tensorflow(picture, "bilinear", tw, th)
        if not (has_tie(w, tw) or has_tie(h, th)):
            # Pillow adds up steps, so that it may take the pixel before where TensorFlow takes that behind.
            yield "tensorflow", "nearest", *where, tensorflow(picture, "nearest", tw, th)
        yield "opencv", "bilinear-tf", *where, cv2.resize(picture, (tw, th), interpolation=cv2.INTER_LINEAR)
        yield "opencv", "area", *where, cv2.resize(picture, (tw, th), interpolation=cv2.INTER_AREA)
        for name in ("bilinear", "bicubic", "lanczos", "box", "nearest"):
            resample = getattr(Image.Resampling, name.upper())
            yield "pillow", name, *where, np.asarray(Image.fromarray(picture).resize((tw, th), resample))
        if tw <= w and th <= h:
            # Where both sides shrink it is OpenCV's, too.
            yield "tensorflow", "area", *where, tensorflow(picture, "area", tw, th)
    for w, h, tw, th in CROPS:
        picture = pixels(w, h)
        yield "keras", "bilinear-tf", "centerCrop", "-", w, h, tw, th, keras_crop(picture, tw, th)
        for short_side in (max(tw, th), max(tw, th) + 1, max(tw, th) + 4):
            for name in ("bilinear", "bicubic"):
                resample = getattr(Image.Resampling, name.upper())
                result = torchvision(picture, resample, short_side, tw, th)
                yield "torchvision", name, "centerCrop", short_side, w, h, tw, th, result


OUT.write_text("".join(" ".join(map(str, (*fields, result.tobytes().hex()))) + "\n" for *fields, result in lines()))
