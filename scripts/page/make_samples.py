"""Writes the demo page's sample pictures from the wheels of two PyPI packages.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install pillow==13.0.0
    /tmp/venv/bin/python scripts/page/make_samples.py [--wheels FOLDER]
"""

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

OUTPUT = Path(__file__).resolve().parents[2] / "www" / "samples"
SKIMAGE, MATPLOTLIB = "scikit-image==0.26.0", "matplotlib==3.10.8"
# package, file in its wheel, box cut out (None: all)
PICTURES = {
    "cat": (SKIMAGE, "skimage/data/chelsea.png", (100, 0, 451, 300)),
    "coffee": (SKIMAGE, "skimage/data/coffee.png", None),
    "camera": (SKIMAGE, "skimage/data/camera.png", None),
    "officer": (MATPLOTLIB, "matplotlib/mpl-data/sample_data/grace_hopper.jpg", None),
    "rocket": (SKIMAGE, "skimage/data/rocket.jpg", (106, 0, 533, 427)),
}
LONGEST_SIDE, THUMBNAIL_SIDE = 480, 112


def wheel(requirement, folder):
    """The wheel of a pinned requirement, downloaded where it is not there yet."""
    name = requirement.split("==")[0].replace("-", "_")
    if not list(folder.glob(f"{name}-*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", folder, requirement], check=True)
    return next(folder.glob(f"{name}-*.whl"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=Path(tempfile.gettempdir()) / "achado-wheels")
    folder = parser.parse_args().wheels
    folder.mkdir(parents=True, exist_ok=True)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name, (requirement, file, box) in PICTURES.items():
        data = zipfile.ZipFile(wheel(requirement, folder)).read(file)
        photo = Image.open(io.BytesIO(data)).convert("RGB").crop(box)
        square = min(photo.size)
        left, top = ((length - square) // 2 for length in photo.size)
        thumbnail = photo.crop((left, top, left + square, top + square))
        thumbnail = thumbnail.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
        thumbnail.save(OUTPUT / f"{name}-small.jpg", quality=80, optimize=True)
        photo.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        photo.save(OUTPUT / f"{name}.jpg", quality=85, optimize=True)


if __name__ == "__main__":
    main()
