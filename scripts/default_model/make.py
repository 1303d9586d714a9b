#!/usr/bin/env python3
"""Makes, measures or records the default model, in a virtual environment of its own.

    python3 scripts/default_model/make.py build       writes models/efficientnet-lite0-int8.tflite
    python3 scripts/default_model/make.py accuracy    float and int8 top-1 and top-5
    python3 scripts/default_model/make.py fixtures    pictures and reference outputs for the tests

The first run installs about 1 GB from PyPI, pinned by hash. Linux on x86-64, Python 3.11.
"""

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "achado" / "default-model"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["build", "accuracy", "fixtures"])
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"wheels and venv (default {CACHE})")
    parser.add_argument("--venv", type=Path, help="use this virtual environment (default CACHE/venv)")
    arguments, rest = parser.parse_known_args()
    if sys.version_info[:2] != (3, 11):
        parser.error(f"requirements.txt is pinned for Python 3.11, this is {sys.version.split()[0]}")
    environment = (arguments.venv or arguments.cache / "venv").resolve()
    python = environment / "bin" / "python"
    requirements = (HERE / "requirements.txt").read_text()
    installed = environment / "achado-requirements.txt"  # written last, so a broken install is done again
    if not installed.exists() or installed.read_text() != requirements:
        print(f"installing TensorFlow and LiteRT into {environment}", flush=True)
        if not python.exists():
            venv.create(environment, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
        installed.write_text(requirements)
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", **os.environ}
    script = [python, HERE / f"{arguments.task}.py", "--cache", arguments.cache.resolve()]
    return subprocess.run([*script, *rest], check=False, env=quiet).returncode


if __name__ == "__main__":
    sys.exit(main())
