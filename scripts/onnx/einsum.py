"""A classifier with an operator that has no form in .tflite, and ONNX Runtime's answers.

    python3 einsum.py    writes tests/fixtures/onnx/einsum.onnx and einsum.npy

Needs onnx, onnxruntime and numpy. A convolution, the mean of its picture, and an Einsum as the last layer. Before it
the channels are put in an order that a BitwiseAnd computes, which has no form in .tflite: it is theirs already. The picture
is `picture()` below, 24 x 16, which the tests make by the same rule; neither sides nor channels can be swapped without
another answer. `einsum.npy` has the scores of that picture, prepared by `x / 255`.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx"
HEIGHT, WIDTH, HIDDEN, CLASSES = 16, 24, 8, 5
RANDOM = np.random.default_rng(11)


def picture():
    """`[h, w, 3]` bytes, steeper to the right than downwards."""
    y, x, channel = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    return ((x * 9 + y * 4 + channel * 70) % 256).astype(np.uint8)


def normal(name, *shape):
    return numpy_helper.from_array(RANDOM.standard_normal(shape).astype(np.float32), name)


ORDER = [
    numpy_helper.from_array(np.arange(HIDDEN, dtype=np.int32), "channels"),
    numpy_helper.from_array(np.full(HIDDEN, 15, np.int32), "mask"),
]


def model():
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel", "bias"], ["edges"], "edges", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["edges"], ["positive"], "positive"),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"], "mean"),
        helper.make_node("BitwiseAnd", ["channels", "mask"], ["order"], "order"),
        helper.make_node("Gather", ["mean", "order"], ["ordered"], "ordered", axis=1),
        helper.make_node("Einsum", ["ordered", "weights"], ["logits"], "dense", equation="bchw,kc->bk"),
        helper.make_node("Softmax", ["logits"], ["scores"], "scores", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "einsum",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        [normal("kernel", HIDDEN, 3, 3, 3), normal("bias", HIDDEN), normal("weights", CLASSES, HIDDEN), *ORDER],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def main():
    file = model()
    (FOLDER / "einsum.onnx").write_bytes(file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    pixels = (picture().astype(np.float32) / 255).transpose(2, 0, 1)[None]
    (scores,) = session.run(None, {"pixels": pixels})
    np.save(FOLDER / "einsum.npy", scores)
    print(scores)


if __name__ == "__main__":
    main()
