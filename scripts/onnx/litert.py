"""Opens what `achado convert` writes with TensorFlow Lite's own runtime, and records what it answers.

    python3 litert.py            converts tests/fixtures/onnx/*.onnx, writes <name>.litert.npy beside them
    python3 litert.py FILE...    converts these ONNX files and says whether TensorFlow Lite opens and runs them

Needs the built package (`cargo xtask build`), Node, ai-edge-litert 2.3 and numpy.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/fixtures/onnx"


def convert(onnx, folder):
    tflite = pathlib.Path(folder) / f"{onnx.stem}.tflite"
    subprocess.run(["node", ROOT / "pkg/bin/achado.js", "convert", onnx, "-o", tflite], check=True)
    return tflite


def run(tflite, picture=None):
    """Answers to a picture `[1, h, w, c]`, or to random numbers."""
    interpreter = Interpreter(str(tflite), num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        shape, dtype = detail["shape"], detail["dtype"]
        x = picture
        if x is None:
            random = np.random.default_rng(0)
            x = random.standard_normal(shape) if dtype == np.float32 else random.integers(0, 255, shape)
        interpreter.set_tensor(detail["index"], x.reshape(shape).astype(dtype))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:]:
            outputs = run(convert(pathlib.Path(name), folder))
            finite = all(np.isfinite(y).all() for y in outputs)
            print(f"{name}: {[y.shape for y in outputs]}, {'finite' if finite else 'NOT FINITE'}")
        if sys.argv[1:]:
            return
        picture = np.load(FIXTURES / "input.npy").astype(np.float32).transpose(0, 2, 3, 1)
        for onnx in sorted(FIXTURES.glob("*.onnx")):
            # The colours' picture is the corner of the others'.
            x = picture[:, :8, :8] if onnx.name.startswith("colours") else picture
            (y,) = run(convert(onnx, folder), np.ascontiguousarray(x))
            np.save(FIXTURES / f"{onnx.stem}.litert.npy", y)
            print(f"{onnx.stem}: {y.round(3).tolist()}")


if __name__ == "__main__":
    main()
