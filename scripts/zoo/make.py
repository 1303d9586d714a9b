"""Makes networks that people export every day, with random weights, for `cargo xtask bench --zoo`.

    python scripts/zoo/make.py FOLDER [NAME ...]

It shares its virtual environment with scripts/default_model; the first run installs about 1 GB from PyPI, pinned by
hashes. Networks that the folder has already stay as they are. `--help` lists them.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import environment  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    environment.add_arguments(parser)
    parser.add_argument("folder", type=Path, help="where to put the networks")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks of build.py; all if none is named")
    arguments = parser.parse_args()
    python, variables = environment.prepare(parser, arguments)
    build = [python, HERE / "build.py", arguments.folder, *arguments.names]
    subprocess.run(build, env=variables, check=True)


if __name__ == "__main__":
    main()
