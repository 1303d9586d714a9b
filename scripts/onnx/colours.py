"""A model small enough to look through: how red, green and blue a picture is.

    python3 colours.py    writes tests/fixtures/onnx/colours.onnx and colours.quantized.onnx

Needs onnx and onnxruntime. Input `[1, 3, 8, 8]`, normalised as ImageNet; a 1x1 convolution, Relu, the mean
of all pixels, a product with the identity times 4, Softmax. The second file holds the same as QDQ.
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx"


def tensor(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def save(name, nodes, constants):
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, FIXTURES / name)


def main():
    node = helper.make_node
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    save(
        "colours.onnx",
        [
            node("Conv", ["input", "weights", "bias"], ["conv"], "conv"),
            node("Relu", ["conv"], ["relu"], "relu"),
            node("GlobalAveragePool", ["relu"], ["mean"], "mean"),
            node("Flatten", ["mean"], ["flat"], "flat"),
            node("Gemm", ["flat", "matrix"], ["logits"], "gemm"),
            node("Softmax", ["logits"], ["output"], "softmax"),
        ],
        [tensor("weights", weights), tensor("bias", [2.0, 2.0, 2.0]), tensor("matrix", 4 * np.eye(3))],
    )

    constants = [
        tensor("x_scale", 0.025),
        tensor("x_zero", 0, np.int8),
        tensor("w_scale", 1 / 127),
        tensor("w", np.rint(weights * 127), np.int8),
        tensor("bias", [2.0 / (0.025 / 127)] * 3, np.int32),
        tensor("b_scale", 0.025 / 127),
        tensor("b_zero", 0, np.int32),
        tensor("y_scale", 0.025),
        tensor("y_zero", -100, np.int8),
        tensor("matrix", 4 * np.eye(3)),
    ]

    def quantized(value, scale, zero):
        return [
            node("QuantizeLinear", [value, scale, zero], [f"{value}_q"], f"{value}_q"),
            node("DequantizeLinear", [f"{value}_q", scale, zero], [f"{value}_d"], f"{value}_d"),
        ]

    save(
        "colours.quantized.onnx",
        [
            *quantized("input", "x_scale", "x_zero"),
            node("DequantizeLinear", ["w", "w_scale", "x_zero"], ["weights"], "weights"),
            node("DequantizeLinear", ["bias", "b_scale", "b_zero"], ["bias_d"], "bias"),
            node("Conv", ["input_d", "weights", "bias_d"], ["conv"], "conv"),
            node("Relu", ["conv"], ["relu"], "relu"),
            *quantized("relu", "y_scale", "y_zero"),
            node("GlobalAveragePool", ["relu_d"], ["mean"], "mean"),
            *quantized("mean", "y_scale", "y_zero"),
            node("Flatten", ["mean_d"], ["flat"], "flat"),
            node("Gemm", ["flat", "matrix"], ["logits"], "gemm"),
            node("Softmax", ["logits"], ["output"], "softmax"),
        ],
        constants,
    )


if __name__ == "__main__":
    main()
