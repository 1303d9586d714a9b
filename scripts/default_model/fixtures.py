"""Writes the tests' pictures, and what LiteRT answers for them, from the committed model."""

import argparse
import hashlib
import io
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

import build
import network
import sources
from accuracy import interpreter, top

TESTS = build.HERE.parents[1] / "tests" / "fixtures"
# file of scikit-image, licence, box cut out (None: all), bits kept of each sample (fewer where the PNG would pass
# 60 KB), JPEG quality. The cat is cut so that its first category does not hang on how a picture is fitted.
PICTURES = {
    "cat": ("chelsea.png", "CC0 (photo: Stefan van der Walt)", (100, 0, 451, 300), 0xFC, 90),
    "coffee": ("coffee.png", "CC0 (photo: Rachel Michetti, courtesy of Pikolo Espresso Bar)", None, 0xFC, 85),
    "rocket": ("rocket.jpg", "public domain (photo: SpaceX)", None, 0xFF, 85),
    "camera": ("camera.png", "CC0 (photo: Lav Varshney)", None, 0xFF, 85),
}
LONGEST_SIDE = 600


def model_input(photo, mask):
    """uint8 [224, 224, 3]: the largest centre square, bilinear."""
    side = min(photo.size)
    left, top_edge = ((length - side) // 2 for length in photo.size)
    box = (left, top_edge, left + side, top_edge + side)
    square = photo.resize((network.SIZE, network.SIZE), Image.Resampling.BILINEAR, box=box)
    return np.asarray(square) & np.uint8(mask)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=TESTS)
    arguments = parser.parse_args()
    inputs, photos = arguments.output / "default_model", arguments.output / "photos"
    inputs.mkdir(parents=True, exist_ok=True)
    photos.mkdir(parents=True, exist_ok=True)
    data = build.OUTPUT.read_bytes()
    labels = (build.HERE / "imagenet_labels.txt").read_text().splitlines()
    runs = {"default": interpreter(data), "ref": interpreter(data, reference=True)}
    expected = {
        "model": build.OUTPUT.name,
        "model_sha256": hashlib.sha256(data).hexdigest(),
        "runtime": f"ai-edge-litert {version('ai-edge-litert')}",
        "output": {"dtype": "uint8", "shape": [1, network.CLASSES], "scale": 1 / 256, "zero_point": 0},
        "pictures": {},
    }
    for name, (file, licence, box, mask, quality) in PICTURES.items():
        photo = Image.open(io.BytesIO(sources.picture(file, arguments.cache))).convert("RGB").crop(box)
        pixels = model_input(photo, mask)
        Image.fromarray(pixels).save(inputs / f"{name}.png", optimize=True)
        record = {
            "input": f"{name}.png",
            "rgb_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
            "source": f"{sources.PICTURES[0]} skimage/data/{file}",
            "box": box,
            "licence": licence,
            "outputs": {},
        }
        for kernels, run in runs.items():
            scores = run(pixels)
            output = f"{name}.{kernels}.bin"
            (inputs / output).write_bytes(scores.tobytes())
            record["outputs"][kernels] = {
                "file": output,
                "sha256": hashlib.sha256(scores.tobytes()).hexdigest(),
                "top5": [{"index": int(i), "name": labels[i], "score": int(scores[i]) / 256} for i in top(scores, 5)],
            }
        expected["pictures"][name] = record
        if max(photo.size) > LONGEST_SIDE:
            photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        photo.info.clear()  # no comment of the original's encoder
        photo.save(photos / f"{name}.jpg", quality=quality, optimize=True)
    (inputs / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
