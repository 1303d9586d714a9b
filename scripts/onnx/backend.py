"""The ONNX project's backend tests as one file.

    python3 backend.py             writes tests/fixtures/onnx/backend.bin: the cases of at most 40 KB
    python3 backend.py --all FILE  writes all cases, for ACHADO_ONNX_BACKEND=FILE cargo test --test onnx_backend

Needs the packages of requirements-backend.txt. The tests are those of the package `onnx`, in `onnx/backend/test/data`:
the folders node, simple, pytorch-converted and pytorch-operator with their first data set, and light with an input of
ones, as the project itself feeds it. Left out are the cases whose inputs or outputs are no tensors of numbers or of bool,
and doubles beyond float32.

The file is `ACHB`, then, compressed by zlib, little-endian: the number of blobs, each a u32 length and its bytes; the
number of cases, each: name, model, inputs, outputs. A name is a blob's number, so is a model; a list of tensors is its
length, then for each the ONNX element type, the number of dimensions, the dimensions, and the number of the blob of
elements. Elements are as in `TensorProto.raw_data`. Numbers are u32.
"""

import argparse
import hashlib
import pathlib
import struct
import zlib

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

FILE = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx/backend.bin"
DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data"
MOST_BYTES = 40_000
# float, uint8, int8, uint16, int16, int32, int64, bool, float16, double, uint32, uint64
TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13}


class Archive:
    def __init__(self):
        self.blobs, self.places, self.cases, self.count = [], {}, b"", 0

    def blob(self, data):
        key = hashlib.sha256(data).digest()
        if key not in self.places:
            self.places[key] = len(self.blobs)
            self.blobs.append(data)
        return self.places[key]

    def tensors(self, tensors):
        out = struct.pack("<I", len(tensors))
        for kind, array in tensors:
            data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
            out += struct.pack(f"<II{array.ndim}I", kind, array.ndim, *array.shape)
            out += struct.pack("<I", self.blob(data))
        return out

    def add(self, name, model, inputs, outputs):
        self.cases += struct.pack("<II", self.blob(name.encode()), self.blob(model))
        self.cases += self.tensors(inputs) + self.tensors(outputs)
        self.count += 1

    def write(self, file):
        body = struct.pack("<I", len(self.blobs))
        body += b"".join(struct.pack("<I", len(blob)) + blob for blob in self.blobs)
        body += struct.pack("<I", self.count) + self.cases
        file.write_bytes(b"ACHB" + zlib.compress(body, 9))


def kinds(values):
    tensors = [value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else -1 for value in values]
    return set(tensors) <= TYPES and bool(tensors)


def is_single(array):
    """Whether doubles fit float32, which stands for them in models."""
    return array.dtype != np.float64 or array.size == 0 or np.abs(array).max() < np.finfo(np.float32).max


def read(file):
    tensor = TensorProto.FromString(file.read_bytes())
    return tensor.data_type, numpy_helper.to_array(tensor)


def folder_cases():
    for group in ("node", "simple", "pytorch-converted", "pytorch-operator"):
        for folder in sorted((DATA / group).iterdir()):
            data = folder / "test_data_set_0"
            if not data.exists():
                continue
            proto = onnx.load(folder / "model.onnx")
            if not (kinds(proto.graph.output) and kinds([*proto.graph.input, *proto.graph.output])):
                continue
            tensors = [
                [read(data / f"{end}_{at}.pb") for at in range(len(list(data.glob(f"{end}_*.pb"))))]
                for end in ("input", "output")
            ]
            if not all(is_single(array) for end in tensors for _, array in end):
                continue
            yield folder.name, (folder / "model.onnx").read_bytes(), *tensors


def light_cases():
    for file in sorted((DATA / "light").glob("*.onnx")):
        proto = onnx.load(file)
        known = {tensor.name for tensor in proto.graph.initializer}
        inputs = []
        for value in proto.graph.input:
            if value.name not in known:
                dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
                inputs.append((1, np.ones(dims, np.float32)))
        output = read(file.with_name(file.stem + "_output_0.pb"))
        yield file.stem, file.read_bytes(), inputs, [output]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", type=pathlib.Path)
    arguments = parser.parse_args()
    archive, left_out = Archive(), []
    for name, model, inputs, outputs in [*folder_cases(), *light_cases()]:
        size = len(model) + sum(array.nbytes for _, array in [*inputs, *outputs])
        if arguments.all is None and size > MOST_BYTES:
            left_out.append(name)
            continue
        archive.add(name, model, inputs, outputs)
    file = arguments.all or FILE
    archive.write(file)
    print(f"{archive.count} cases, {file.stat().st_size} bytes; {len(left_out)} left out: {' '.join(left_out)}")


if __name__ == "__main__":
    main()
