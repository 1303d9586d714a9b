#!/usr/bin/env python3
"""Writes the cases of the conformance tests, tests/conformance/cases/<OPERATOR>.bin.

    python3 scripts/conformance/make.py                 all operators
    python3 scripts/conformance/make.py CONV_2D ADD     these alone
    python3 scripts/conformance/make.py --verbose PACK  say which models TensorFlow Lite refuses, and why

It shares its virtual environment with scripts/default_model; the first run installs about 1 GB from PyPI, pinned by
hash. Linux on x86-64, Python 3.11.
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
    environment.add_arguments(parser)
    arguments, rest = parser.parse_known_args()
    python, variables = environment.prepare(parser, arguments)
    return subprocess.run([python, HERE / "generate.py", *rest], check=False, env=variables).returncode


if __name__ == "__main__":
    sys.exit(main())
