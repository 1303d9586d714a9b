"""The virtual environment that the scripts with TensorFlow and LiteRT share."""

import os
import subprocess
import sys
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "achado" / "default-model"
REQUIREMENTS = Path(__file__).resolve().parent / "default_model" / "requirements.txt"
PYTHON = (3, 11)


def add_arguments(parser):
    """The options that choose where everything is kept."""
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"wheels and venv (default {CACHE})")
    parser.add_argument("--venv", type=Path, help="use this virtual environment (default CACHE/venv)")


def prepare(parser, arguments):
    """Installs what `requirements.txt` pins, where that is not done yet. Returns the interpreter and its variables."""
    if sys.version_info[:2] != PYTHON:
        parser.error(f"requirements.txt is pinned for Python 3.11, this is {sys.version.split()[0]}")
    environment = (arguments.venv or arguments.cache / "venv").resolve()
    python = environment / "bin" / "python"
    requirements = REQUIREMENTS.read_text()
    installed = environment / "achado-requirements.txt"  # written last, so a broken install is done again
    if not installed.exists() or installed.read_text() != requirements:
        print(f"installing TensorFlow and LiteRT into {environment}", flush=True)
        if not python.exists():
            venv.create(environment, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
        installed.write_text(requirements)
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", **os.environ}
    return python, quiet
