"""Writes tests/fixtures/page_models: small ONNX models that are no classifiers, for the demo page.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx==1.16.2 numpy==1.26.4
    /tmp/venv/bin/python scripts/page/make_models.py
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUTPUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "page_models"
RANDOM = np.random.default_rng(1)


def weights(name, *shape):
    return numpy_helper.from_array(RANDOM.normal(0, 0.1, shape).astype(np.float32), name)


def write(name, nodes, constants, outputs):
    """A model whose input is float32 [1, 3, 32, 32]."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs]
    graph = helper.make_graph(nodes, name, [image], results, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / f"{name}.onnx").write_bytes(model.SerializeToString())


def shape(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def main():
    conv, node = ({"kernel_shape": [8, 8], "strides": [8, 8]}), helper.make_node
    write(
        "detector",
        [
            node("Conv", ["image", "w"], ["features"], **conv),
            node("Transpose", ["features"], ["rows"], perm=[0, 2, 3, 1]),
            node("Slice", ["rows", "zero", "four", "axis"], ["box_map"]),
            node("Slice", ["rows", "four", "seven", "axis"], ["score_map"]),
            node("Reshape", ["box_map", "box_shape"], ["boxes"]),
            node("Reshape", ["score_map", "score_shape"], ["scores"]),
        ],
        [
            weights("w", 7, 3, 8, 8),
            shape("zero", 0),
            shape("four", 4),
            shape("seven", 7),
            shape("axis", 3),
            shape("box_shape", 1, 16, 4),
            shape("score_shape", 1, 16, 3),
        ],
        [("boxes", [1, 16, 4]), ("scores", [1, 16, 3])],
    )
    write(
        "segmenter",
        [node("Conv", ["image", "w"], ["classes"], kernel_shape=[1, 1])],
        [weights("w", 5, 3, 1, 1)],
        [("classes", [1, 5, 32, 32])],
    )
    write(
        "embedder",
        [
            node("GlobalAveragePool", ["image"], ["mean"]),
            node("Flatten", ["mean"], ["flat"]),
            node("Gemm", ["flat", "w"], ["features"]),
        ],
        [weights("w", 3, 64)],
        [("features", [1, 64])],
    )


if __name__ == "__main__":
    main()
