"""Pictures that set the ranges of the activations: seeded crops of scikit-image's CC0 and public-domain photos."""

import io

import numpy as np
from PIL import Image

import sources
from network import MEAN, SIZE, STD

# Licences as scikit-image states them for each (skimage/data/_fetchers.py).
PICTURES = {
    "astronaut.png": "public domain (NASA)",
    "chelsea.png": "CC0 (Stefan van der Walt)",
    "coffee.png": "CC0 (Rachel Michetti)",
    "rocket.jpg": "public domain (SpaceX)",
    "hubble_deep_field.jpg": "public domain (NASA)",
    "retina.jpg": "CC0 (Mikael Häggström)",
    "camera.png": "CC0 (Lav Varshney)",
    "brick.png": "CC0 (CC0Textures)",
}
CROPS = 200
SEED = 1
SMALLEST_AREA = 0.3  # of the largest square


def crops(cache):
    """`CROPS` pictures, uint8 [224, 224, 3] RGB: a random square of each photo in turn, half of them mirrored."""
    random = np.random.default_rng(SEED)
    photos = [Image.open(io.BytesIO(sources.picture(name, cache))).convert("RGB") for name in PICTURES]
    for index in range(CROPS):
        photo = photos[index % len(photos)]
        side = int(min(photo.size) * random.uniform(SMALLEST_AREA, 1) ** 0.5)
        left, top = (int(random.integers(0, length - side + 1)) for length in photo.size)
        crop = photo.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        if random.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield np.asarray(crop)


def normalise(pixels):
    """uint8 pixels to the float32 that the network was trained on."""
    return (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
