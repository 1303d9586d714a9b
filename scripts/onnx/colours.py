"""A model small enough to look through: how red, green and blue a picture is.

    python3 colours.py    writes tests/fixtures/onnx/colours*.onnx, and ONNX Runtime's answers

Needs onnx and onnxruntime; architectures.py writes the input. Input `[1, 3, 8, 8]`, normalised as ImageNet; a 1x1 convolution, Relu, the mean
of all pixels, a product with the identity times 4, Softmax. The second file holds
the same as QDQ, the third with every operator of dynamic quantisation.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
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
    domains = sorted({one.domain for one in nodes} | {""})
    opsets = [helper.make_opsetid(domain, 1 if domain else 13) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7)
    onnx.save(model, FIXTURES / f"{name}.onnx")
    session = onnxruntime.InferenceSession(FIXTURES / f"{name}.onnx", providers=["CPUExecutionProvider"])
    x = np.load(FIXTURES / "input.npy")[:, :, :8, :8].astype(np.float32)
    (y,) = session.run(None, {"input": x})
    np.save(FIXTURES / f"{name}.npy", y)
    print(name, y)


def main():
    node = helper.make_node
    weights = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    save(
        "colours",
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
        "colours.quantized",
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

    random = np.random.default_rng(1)
    save(
        "colours.dynamic",
        [
            node("DynamicQuantizeLinear", ["input"], ["x_q", "x_scale", "x_zero"], "dynamic"),
            node("ConvInteger", ["x_q", "w", "x_zero", "w_zero"], ["sums"], "conv", pads=[1, 1, 1, 1]),
            node("Cast", ["sums"], ["sums_f"], "cast", to=TensorProto.FLOAT),
            node("Mul", ["x_scale", "w_scale"], ["scale"], "scale"),
            node("Mul", ["sums_f", "scale"], ["product"], "product"),
            node("Add", ["product", "bias"], ["conv"], "bias"),
            node("Relu", ["conv"], ["relu"], "relu"),
            node("GlobalAveragePool", ["relu"], ["mean"], "mean"),
            node("Flatten", ["mean"], ["flat"], "flat"),
            node("DynamicQuantizeMatMul", ["flat", "m", "m_scale", "m_zero", "m_bias"], ["hidden"], "hidden",
                 domain="com.microsoft"),
            node("DynamicQuantizeLinear", ["hidden"], ["h_q", "h_scale", "h_zero"], "dynamic2"),
            node("MatMulInteger", ["h_q", "v", "h_zero"], ["total"], "total"),
            node("Cast", ["total"], ["total_f"], "cast2", to=TensorProto.FLOAT),
            node("Mul", ["h_scale", "v_scale"], ["scale2"], "scale2"),
            node("Mul", ["total_f", "scale2"], ["logits"], "product2"),
            node("Softmax", ["logits"], ["output"], "softmax"),
        ],
        [
            tensor("w", random.integers(0, 255, (5, 3, 3, 3)), np.uint8),
            tensor("w_zero", 121, np.uint8),
            tensor("w_scale", 0.004),
            tensor("bias", random.standard_normal((1, 5, 1, 1))),
            tensor("m", random.integers(0, 255, (5, 4)), np.uint8),
            tensor("m_scale", [0.01, 0.02, 0.015, 0.012]),
            tensor("m_zero", [128, 100, 131, 127], np.uint8),
            tensor("m_bias", [0.1, -0.2, 0.3, 0.0]),
            tensor("v", random.integers(-127, 127, (4, 3)), np.int8),
            tensor("v_scale", [0.001, 0.002, 0.0015]),
        ],
    )


if __name__ == "__main__":
    main()
