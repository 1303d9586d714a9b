#!/usr/bin/env python3
"""Makes, measures or records the default model, in a virtual environment of its own.

    python3 scripts/default_model/make.py build       writes models/efficientnet-lite0-int8.tflite
    python3 scripts/default_model/make.py accuracy    float and int8 top-1 and top-5
    python3 scripts/default_model/make.py fixtures    pictures and reference outputs for the tests

The first run installs about 1 GB from PyPI, pinned by hash. Linux on x86-64, Python 3.11.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent))
import environment  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["build", "accuracy", "fixtures"])
    environment.add_arguments(parser)
    arguments, rest = parser.parse_known_args()
    python, variables = environment.prepare(parser, arguments)
    script = [python, HERE / f"{arguments.task}.py", "--cache", arguments.cache.resolve()]
    return subprocess.run([*script, *rest], check=False, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
