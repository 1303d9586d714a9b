"""Records what TensorFlow Lite answers for single operators, for crates/kernels/tests/litert.rs.

    python3 -m venv .venv && .venv/bin/pip install ai-edge-litert==2.3.0 numpy flatbuffers
    .venv/bin/python scripts/kernels/litert_cases.py crates/kernels/tests/litert

Each case is a model of one operator, run as users get it: the XNNPACK delegate takes what it can,
the built-in kernels the rest. A case is a line `operator key=value ...`, lines `<` for inputs and
`>` for outputs: type, shape, scale and zero point where quantised, elements. Scales are the bits of
a float, elements little-endian bytes, all in hexadecimal.
"""

import pathlib
import sys

import numpy as np
from litert import (
    ACTIVATIONS,
    RANDOM,
    TYPES,
    Cases,
    Tensor,
    constant,
    options_of,
    quantised,
    real,
)

SHAPES = [
    ((2, 3, 5, 7), (2, 3, 5, 7)),
    ((2, 3, 5, 7), (7,)),
    ((1, 3, 4, 9), (1, 1, 1, 9)),
    ((2, 1, 1, 8), (2, 3, 2, 8)),
    ((5, 3), (1,)),
    ((4, 1, 6), (1, 3, 1)),
]


def broadcast(first, second):
    return np.broadcast_shapes(first, second)


def elementwise(folder):
    for operator, name in [("ADD", "Add"), ("SUB", "Sub"), ("MUL", "Mul")]:
        cases = Cases(folder, operator.lower())
        for i, (first, second) in enumerate(SHAPES):
            for activation in ["none", "relu", "relu6", "relu_n1_to_1"][: 4 if i == 0 else 1]:
                options = options_of(name, fusedActivationFunction=ACTIVATIONS[activation])
                out = broadcast(first, second)
                cases.add(operator, options, [real(first), real(second)],
                          [Tensor(out, "float32")], act=activation)
                for dtype in ["int8", "uint8"]:
                    z = 0 if dtype == "int8" else 128
                    inputs = [quantised(first, dtype, 0.031, z + 11),
                              quantised(second, dtype, 0.047, z - 90)]
                    scale = 0.043 if operator != "MUL" else 0.11
                    cases.add(operator, options, inputs,
                              [Tensor(out, dtype, scale, z - 20)], 2, act=activation)
        # Scales far apart: some are beyond what XNNPACK takes. Operands stay near the zero point,
        # because the built-in kernels wrap in 16 bits where the result is far outside the type.
        for dtype in ["int8", "uint8"]:
            for scales in [(1.0, 0.9, 0.003), (1e-5, 0.05, 0.04), (0.3, 7e-4, 0.2), (0.001, 0.25, 1.7),
                           (2e-3, 2e-3, 0.9), (3.0, 2.0, 0.01)]:
                z = 5 if dtype == "int8" else 133
                options = options_of(name, fusedActivationFunction=0)
                inputs = [quantised((40,), dtype, scales[0], z, z + RANDOM.integers(-5, 6, 40)),
                          quantised((40,), dtype, scales[1], z + 3,
                                    z + 3 + RANDOM.integers(-5, 6, 40))]
                cases.add(operator, options, inputs, [Tensor((40,), dtype, scales[2], z - 9)], 2,
                          act="none")
        cases.write()


def binary(folder):
    cases = Cases(folder, "binary")
    first, second = (2, 3, 4), (3, 1)
    out = broadcast(first, second)

    def pair(dtype):
        if dtype == "float32":
            return [real(first), real(second)]
        values = [RANDOM.integers(-20, 21, first), RANDOM.integers(1, 4, second)]
        return [Tensor(s, dtype, values=v) for s, v in zip([first, second], values)]

    for operator, name, types in [
        ("SUB", "Sub", ["float32", "int32", "int64"]),
        ("DIV", "Div", ["float32", "int32"]),
        ("MAXIMUM", "MaximumMinimum", ["float32", "int32", "int64"]),
        ("MINIMUM", "MaximumMinimum", ["float32", "int32", "int64"]),
        ("SQUARED_DIFFERENCE", "SquaredDifference", ["float32", "int32"]),
        ("POW", "Pow", ["int32"]),
        ("FLOOR_DIV", "FloorDiv", ["float32", "int32"]),
        ("FLOOR_MOD", "FloorMod", ["float32", "int32", "int64"]),
        ("PRELU", None, ["float32"]),
        ("EQUAL", "Equal", ["float32", "int32"]),
        ("NOT_EQUAL", "NotEqual", ["int32"]),
        ("LESS", "Less", ["float32", "int32"]),
        ("LESS_EQUAL", "LessEqual", ["int32"]),
        ("GREATER", "Greater", ["float32"]),
        ("GREATER_EQUAL", "GreaterEqual", ["int32"]),
    ]:
        for dtype in types:
            options = name and options_of(name)
            inputs = pair(dtype)
            if operator == "PRELU":
                inputs[1].constant = True
            result = "bool" if operator.split("_")[-1] in ["EQUAL", "LESS", "GREATER"] else dtype
            cases.add(operator, options, inputs, [Tensor(out, result)],
                      2 if dtype in ["int64"] else 1)
    powers = [Tensor(first, "float32", values=RANDOM.uniform(0.1, 3, first)), real(second)]
    cases.add("POW", options_of("Pow"), powers, [Tensor(out, "float32")])
    for dtype, z in [("int8", 4), ("uint8", 130)]:
        for operator, name in [("MAXIMUM", "MaximumMinimum"), ("MINIMUM", "MaximumMinimum")]:
            cases.add(operator, options_of(name),
                      [quantised(first, dtype, 0.1, z), quantised(second, dtype, 0.1, z)],
                      [Tensor(out, dtype, np.float32(0.1), z)], 2)
        for scales in [(0.05, 0.04, 0.06), (0.05, 0.01, 0.2)]:
            inputs = [quantised((4, 50), dtype, scales[0], z),
                      quantised((1, 50), dtype, scales[1], z - 9)]
            cases.add("PRELU", None, inputs, [Tensor((4, 50), dtype, np.float32(scales[2]), z + 2)])
            if dtype == "int8":
                cases.add("SQUARED_DIFFERENCE", options_of("SquaredDifference"), inputs,
                          [Tensor((4, 50), dtype, np.float32(scales[2] * 30), z + 2)], 2)
    condition = Tensor((3, 1), "bool", values=[[1], [0], [1]])
    cases.add("SELECT_V2", options_of("SelectV2"), [condition, real((2, 3, 4)), real((4,))],
              [Tensor((2, 3, 4), "float32")])
    cases.write()


def arranging(folder):
    cases = Cases(folder, "arranging")
    for operator, name in [("ARG_MAX", "ArgMax"), ("ARG_MIN", "ArgMin")]:
        for axis in [0, 1, 2]:
            for dtype in ["float32", "uint8", "int8"]:
                shape = (4, 6, 5)
                inner = tuple(n for i, n in enumerate(shape) if i != axis)
                # Few values, so that some are equal.
                values = RANDOM.integers(0, 5, shape)
                scale = None if dtype == "float32" else np.float32(0.1)
                data = Tensor(shape, dtype, scale, 0, values)
                to = "int64" if axis == 1 else "int32"
                options = options_of(name, outputType=TYPES[to])
                cases.add(operator, options, [data, constant([axis])], [Tensor(inner, to)],
                          2, axis=axis)
    for k in [1, 4, 9]:
        values = RANDOM.integers(0, 6, (3, 9))
        cases.add("TOPK_V2", options_of("TopKV2"),
                  [Tensor((3, 9), "float32", values=values), constant(k)],
                  [Tensor((3, k), "float32"), Tensor((3, k), "int32")])
    for axis in [0, 1, 2]:
        shape = [4, 6, 5]
        out = [*shape[:axis], 3, *shape[axis + 1:]]
        cases.add("GATHER", options_of("Gather", axis=axis), [real(shape), constant([3, 0, 3])],
                  [Tensor(out, "float32")], axis=axis)
    cases.add("GATHER_ND", options_of("GatherNd"),
              [real((4, 6, 5)), constant([[3, 0], [1, 5], [2, 2]])], [Tensor((3, 5), "float32")])
    for exclusive in [False, True]:
        for reverse in [False, True]:
            options = options_of("Cumsum", exclusive=exclusive, reverse=reverse)
            cases.add("CUMSUM", options, [real((2, 5, 3)), constant(1)],
                      [Tensor((2, 5, 3), "float32")], exclusive=int(exclusive),
                      reverse=int(reverse))
    for operator in ["REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"]:
        for dtype in ["float32", "int32"]:
            data = real((2, 3, 5), -2, 2)
            if dtype == "int32":
                data = Tensor((2, 3, 5), dtype, values=RANDOM.integers(-3, 4, (2, 3, 5)))
            cases.add(operator, options_of("Reducer", keepDims=False), [data, constant([1])],
                      [Tensor((2, 5), dtype)], 2)
        if operator == "REDUCE_PROD":
            continue
        for dtype, z in [("int8", 4), ("uint8", 130)]:
            cases.add(operator, options_of("Reducer", keepDims=False),
                      [quantised((2, 3, 5), dtype, 0.1, z), constant([1])],
                      [Tensor((2, 5), dtype, np.float32(0.1), z)], 2)
    cases.write()


def transposed_convolutions(folder):
    cases = Cases(folder, "transpose_conv")
    for (h, w), (kh, kw), stride, padding, out in [
        ((3, 4), (3, 3), 2, 0, (6, 8)),
        ((3, 4), (3, 2), 2, 1, (7, 8)),
        ((2, 2), (2, 2), 2, 0, (4, 4)),
        ((3, 3), (4, 4), 1, 0, (3, 3)),
        ((2, 3), (5, 5), 3, 0, (5, 8)),
    ]:
        keys = {"stride": f"{stride}x{stride}", "padding": ["same", "valid"][padding]}
        options = options_of("TransposeConv", padding=padding, strideH=stride, strideW=stride,
                             fusedActivationFunction=0)
        size = constant([2, *out, 3])
        weights = real((3, kh, kw, 10), -1, 1)
        bias = real((3,))
        weights.constant = bias.constant = True
        cases.add("TRANSPOSE_CONV", options, [size, weights, real((2, h, w, 10)), bias],
                  [Tensor((2, *out, 3), "float32")], 3, **keys)
        scales = np.array([0.01, 0.013, 0.004], np.float32)
        for dtype, z, zero, scale in [("int8", 4, 0, scales), ("uint8", 130, 119, np.float32(0.01))]:
            limits = np.iinfo(dtype)
            values = RANDOM.integers(limits.min + 1, limits.max + 1, (3, kh, kw, 10))
            weights = Tensor((3, kh, kw, 10), dtype, scale, zero, values, constant=True)
            bias = Tensor((3,), "int32", scale * np.float32(0.05), 0,
                          RANDOM.integers(-3000, 3000, 3), constant=True)
            cases.add("TRANSPOSE_CONV", options,
                      [size, weights, quantised((2, h, w, 10), dtype, 0.05, z), bias],
                      [Tensor((2, *out, 3), dtype, np.float32(0.06), z)], 3, **keys)
    cases.write()


def detection(folder):
    cases = Cases(folder, "detection")
    boxes, classes = 40, 3
    grid = RANDOM.uniform(0.2, 0.8, (boxes, 2))
    anchors = np.concatenate([grid, RANDOM.uniform(0.2, 0.4, (boxes, 2))], 1)
    for regular in [False, True]:
        for per_detection in [1, 2]:
            if regular and per_detection > 1:
                continue
            attributes = {
                "max_detections": 6, "max_classes_per_detection": per_detection,
                "detections_per_class": 4, "use_regular_nms": regular,
                "nms_score_threshold": 0.2, "nms_iou_threshold": 0.4, "num_classes": classes,
                "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
            }
            count = 6 * per_detection
            scores = RANDOM.uniform(0, 1, (1, boxes, classes + 1)) ** 3
            cases.add(
                "CUSTOM", {"code": "TFLite_Detection_PostProcess", "attributes": attributes},
                [real((1, boxes, 4), -2, 2), Tensor(scores.shape, "float32", values=scores),
                 Tensor((boxes, 4), "float32", values=anchors)],
                [Tensor((1, count, 4), "float32"), Tensor((1, count), "float32"),
                 Tensor((1, count), "float32"), Tensor((1,), "float32")],
                regular=int(regular), classes=per_detection)
    cases.write()


def pooling(folder):
    cases = Cases(folder, "pooling")
    for operator in ["AVERAGE_POOL_2D", "MAX_POOL_2D"]:
        for (h, w, c), (kh, kw), (sh, sw), padding, activation in [
            ((7, 7, 17), (7, 7), (1, 1), 1, "none"),
            ((6, 5, 3), (2, 3), (2, 1), 0, "none"),
            ((5, 8, 9), (3, 3), (2, 2), 0, "relu6"),
            ((4, 4, 5), (2, 2), (2, 2), 1, "relu"),
        ]:
            options = options_of("Pool2D", padding=padding, strideH=sh, strideW=sw, filterHeight=kh,
                                 filterWidth=kw,
                                 fusedActivationFunction=ACTIVATIONS[activation])
            size = [-(-h // sh), -(-w // sw)] if padding == 0 else [(h - kh) // sh + 1,
                                                                   (w - kw) // sw + 1]
            keys = {"kernel": f"{kh}x{kw}", "stride": f"{sh}x{sw}",
                    "padding": ["same", "valid"][padding], "act": activation}
            shape, out = (2, h, w, c), (2, *size, c)
            cases.add(operator, options, [real(shape)], [Tensor(out, "float32")], **keys)
            for dtype, z in [("int8", -4), ("uint8", 119)]:
                cases.add(operator, options, [quantised(shape, dtype, 0.037, z)],
                          [Tensor(out, dtype, np.float32(0.037), z)], 2, **keys)
    cases.write()


def reductions(folder):
    cases = Cases(folder, "reductions")
    for operator in ["MEAN", "SUM"]:
        for shape, axes in [((2, 7, 7, 9), (1, 2)), ((3, 4, 5), (2,)), ((3, 4, 5), (0,)),
                            ((2, 3, 4, 5), (1, 3)), ((6, 5), (0, 1)), ((2, 3, 4, 5), (0, -2))]:
            options = options_of("Reducer", keepDims=False)
            out = np.zeros(shape).mean(axis=axes).shape
            keys = {"axes": ",".join(str(a) for a in axes)}
            cases.add(operator, options, [real(shape), constant(axes)], [Tensor(out, "float32")],
                      **keys)
            count = np.prod([shape[a] for a in axes])
            for dtype, z in [("int8", -14), ("uint8", 100)]:
                scale = 0.021 if operator == "MEAN" else 0.02 * np.sqrt(count)
                cases.add(operator, options,
                          [quantised(shape, dtype, 0.029, z), constant(axes)],
                          [Tensor(out, dtype, np.float32(scale), z + 7)], 2, **keys)
    cases.write()


def unary(folder):
    cases = Cases(folder, "unary")
    for operator, options, types in [
        ("LOGISTIC", None, ["int8", "uint8"]),
        ("TANH", None, ["int8", "uint8"]),
        ("RELU", None, ["int8", "uint8"]),
        ("RELU6", None, ["int8", "uint8"]),
        ("RELU_N1_TO_1", None, ["int8", "uint8"]),
        ("HARD_SWISH", options_of("HardSwish"), ["int8", "uint8"]),
        ("LEAKY_RELU", options_of("LeakyRelu", alpha=0.3), ["int8", "uint8"]),
        ("ELU", None, ["int8"]),
        ("ABS", options_of("Abs"), []),
        ("NEG", options_of("Neg"), []),
        ("EXP", options_of("Exp"), []),
        ("GELU", options_of("Gelu", approximate=False), []),
        ("GELU", options_of("Gelu", approximate=True), []),
        ("FLOOR", None, []),
        ("CEIL", None, []),
        ("ROUND", None, []),
        ("SIN", None, []),
        ("COS", options_of("Cos"), []),
        ("SQUARE", options_of("Square"), []),
        ("LOG", None, []),
        ("SQRT", None, []),
        ("RSQRT", None, []),
    ]:
        keys = {key: getattr(options, key) for key in ["alpha", "approximate"]
                if hasattr(options, key)}
        low = 0.01 if operator in ["LOG", "SQRT", "RSQRT"] else -9.0
        cases.add(operator, options, [real((50,), low, 9.0)], [Tensor((50,), "float32")], **keys)
        for dtype in types:
            limits = np.iinfo(dtype)
            values = np.arange(limits.min, limits.max + 1)
            for scale, z, out in [(0.05, 3, 0.041), (0.023, -60, 0.023), (0.2, 90, 0.07)]:
                z = z if dtype == "int8" else z + 128
                out_z = z - 5
                if operator == "LOGISTIC":
                    out, out_z = 1 / 256, limits.min
                elif operator == "TANH":
                    out, out_z = 1 / 128, limits.min + 128
                elif operator == "RELU" and scale == out:
                    out_z = z
                cases.add(operator, options, [quantised((256,), dtype, scale, z, values)],
                          [Tensor((256,), dtype, np.float32(out), out_z)],
                          1 if operator in ["RELU_N1_TO_1", "HARD_SWISH", "ELU"] else 2, **keys)
    # Ratios of scales that XNNPACK does not take.
    for scale, out in [(1.0, 0.005), (0.001, 0.9)]:
        options = options_of("LeakyRelu", alpha=0.1)
        cases.add("LEAKY_RELU", options, [quantised((256,), "int8", scale, 4, np.arange(-128, 128))],
                  [Tensor((256,), "int8", np.float32(out), -3)], 2, alpha=0.1)
    cases.write()


def unary_builtin(folder):
    cases = Cases(folder, "unary_builtin")
    every = np.arange(-128, 128)
    for operator, options, zero, low in [
        ("EXP", options_of("Exp"), 100, -128), ("LOG", None, -100, -128), ("ABS", options_of("Abs"), -3, -128),
        ("SQRT", None, -100, -100), ("RSQRT", None, -100, -99),
        ("GELU", options_of("Gelu", approximate=False), 3, -128),
        ("GELU", options_of("Gelu", approximate=True), 3, -128),
    ]:
        keys = {"approximate": options.approximate} if operator == "GELU" else {}
        for scale, out, z in [(0.05, 0.041, -40), (0.05, 0.05, 0), (0.02, 0.11, 10)]:
            values = every[every >= low]
            cases.add(operator, options, [quantised(values.shape, "int8", scale, zero, values)],
                      [Tensor(values.shape, "int8", np.float32(out), z)],
                      {"GELU": 2, "EXP": 2, "ABS": 2, "LOG": 2, "RSQRT": 2}.get(operator, 1),
                      **keys)
            if operator == "GELU":
                cases.add(operator, options, [quantised((256,), "uint8", scale, 131, every + 128)],
                          [Tensor((256,), "uint8", np.float32(out), z + 128)], 2, **keys)
    cases.write()


def normalisation(folder):
    cases = Cases(folder, "normalisation")
    shape = (4, 37)
    options = options_of("L2Norm", fusedActivationFunction=0)
    cases.add("L2_NORMALIZATION", options, [real(shape)], [Tensor(shape, "float32")])
    for dtype, z, middle in [("int8", -9, 0), ("uint8", 100, 128)]:
        for depth in [37, 3, 1000]:
            data = quantised((2, depth), dtype, 0.05, z)
            cases.add("L2_NORMALIZATION", options, [data],
                      [Tensor((2, depth), dtype, np.float32(1 / 128), middle)], 2)
    cases.add("LOG_SOFTMAX", options_of("LogSoftmax"), [real(shape)], [Tensor(shape, "float32")])
    for dtype, top in [("int8", 127), ("uint8", 255)]:
        for scale in [0.02, 0.1, 0.5]:
            cases.add("LOG_SOFTMAX", options_of("LogSoftmax"), [quantised(shape, dtype, scale, 9)],
                      [Tensor(shape, dtype, np.float32(16 / 256), top)], 2)
    options = options_of("LocalResponseNormalization", radius=3, bias=1.5, alpha=0.2, beta=0.6)
    cases.add("LOCAL_RESPONSE_NORMALIZATION", options, [real((1, 2, 2, 12))],
              [Tensor((1, 2, 2, 12), "float32")])
    cases.write()


def products(folder):
    cases = Cases(folder, "products")
    for first, second, swapped in [
        ((2, 3, 4), (2, 4, 5), (False, False)), ((3, 4), (4, 5), (False, False)),
        ((2, 1, 3, 4), (3, 4, 2), (False, False)), ((2, 3, 4), (2, 5, 4), (False, True)),
        ((2, 4, 3), (2, 4, 5), (True, False)),
    ]:
        def side(shape, swap):
            return (*shape[:-2], shape[-1], shape[-2]) if swap else shape
        out = np.matmul(np.zeros(side(first, swapped[0])), np.zeros(side(second, swapped[1]))).shape
        options = options_of("BatchMatMul", adjX=swapped[0], adjY=swapped[1],
                             asymmetricQuantizeInputs=False)
        keys = {"adjoint": f"{int(swapped[0])}x{int(swapped[1])}"}
        cases.add("BATCH_MATMUL", options, [real(first), real(second)], [Tensor(out, "float32")],
                  **keys)
        cases.add("BATCH_MATMUL", options,
                  [quantised(first, "int8", 0.05, 3), quantised(second, "int8", 0.02, -7)],
                  [Tensor(out, "int8", np.float32(0.09), 4)], 2, **keys)
    values = [0, 1, -1, 2.5, -2.5, 100.9, -100.9, 200, 7]
    types = ["float32", "int8", "uint8", "int32", "int64", "bool"]
    for from_type in types:
        for to_type in types:
            kept = values if from_type == "float32" else [v for v in values if v == int(v)]
            if from_type in ["uint8", "bool"] or to_type == "uint8":
                kept = [v for v in kept if v >= 0]
            if "int8" in [from_type, to_type]:
                kept = [v for v in kept if abs(v) < 128]
            if from_type == "bool":
                kept = [v for v in kept if v in [0, 1]]
            data = Tensor((len(kept),), from_type, values=kept)
            cases.add("CAST", options_of("Cast", inDataType=TYPES[from_type],
                                         outDataType=TYPES[to_type]),
                      [data], [Tensor((len(kept),), to_type)])
    cases.write()


def conversions(folder):
    cases = Cases(folder, "conversions")
    options = options_of("Quantize")
    for dtype, z in [("int8", -17), ("uint8", 90)]:
        limits = np.iinfo(dtype)
        every = np.arange(limits.min, limits.max + 1)
        ties = Tensor((64,), "float32", values=(np.arange(64) - 32) * 0.125)
        cases.add("QUANTIZE", options, [ties], [Tensor((64,), dtype, 0.25, z)])
        cases.add("QUANTIZE", options, [real((200,), -9, 9)], [Tensor((200,), dtype, 0.037, z)])
        cases.add("DEQUANTIZE", options_of("Dequantize"),
                  [quantised((256,), dtype, 0.0371, z, every)], [Tensor((256,), "float32")], 2)
        for other, to in [("int8", 5), ("uint8", 133)]:
            for scales in [(0.05, 0.041), (0.05, 0.05), (0.05, 0.11), (1.0, 0.005), (0.001, 0.3)]:
                cases.add("QUANTIZE", options, [quantised((256,), dtype, scales[0], z, every)],
                          [Tensor((256,), other, np.float32(scales[1]), to)], 2)
    cross = [("uint8", 128, "int8", 0), ("int8", 0, "uint8", 128)]
    for dtype, z, other, to in cross:
        cases.add("QUANTIZE", options, [quantised((64,), dtype, 0.05, z)],
                  [Tensor((64,), other, np.float32(0.05), to)], 2)
    cases.write()


def moves(folder):
    cases = Cases(folder, "moves")
    for dtype, z in [("float32", None), ("int8", -9), ("uint8", 77)]:
        def tensor(shape, scale=0.1, zero=z):
            return real(shape) if dtype == "float32" else quantised(shape, dtype, scale, zero)

        def output(shape):
            return Tensor(shape, dtype, None if z is None else np.float32(0.1), z)

        cases.add("PAD", options_of("Pad"),
                  [tensor((2, 3, 4, 5)), constant([[0, 1], [2, 0], [1, 1], [0, 3]])],
                  [output((3, 5, 6, 8))])
        options = options_of("Concatenation", axis=3, fusedActivationFunction=0)
        cases.add("CONCATENATION", options,
                  [tensor((1, 2, 3, 4)), tensor((1, 2, 3, 1)), tensor((1, 2, 3, 2))],
                  [output((1, 2, 3, 7))], axis=3)
        options = options_of("Concatenation", axis=1, fusedActivationFunction=0)
        cases.add("CONCATENATION", options, [tensor((2, 2, 3)) for _ in range(6)],
                  [output((2, 12, 3))], axis=1)
    options = options_of("Concatenation", axis=1, fusedActivationFunction=0)
    every = np.arange(256)
    cases.add("CONCATENATION", options,
              [quantised((1, 256), "uint8", 0.1, 77, every),
               quantised((1, 256), "uint8", 0.073, 120, every),
               quantised((1, 256), "uint8", 0.3, 10, every)],
              [Tensor((1, 768), "uint8", np.float32(0.1), 77)], axis=1)
    cases.write()


def resizing(folder):
    cases = Cases(folder, "resizing")
    for operator, name in [("RESIZE_BILINEAR", "ResizeBilinear"),
                           ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor")]:
        for shape, size in [((1, 3, 4, 5), (7, 9)), ((2, 8, 7, 1), (3, 4)), ((1, 1, 1, 18), (3, 2)),
                            ((1, 5, 5, 2), (10, 1))]:
            for align, half in [(False, False), (True, False), (False, True)]:
                options = options_of(name, alignCorners=align, halfPixelCenters=half)
                keys = {"align": int(align), "half": int(half)}
                out = (shape[0], *size, shape[3])
                cases.add(operator, options, [real(shape), constant(size)],
                          [Tensor(out, "float32")], 3, **keys)
                for dtype, z in [("int8", -9), ("uint8", 77)]:
                    cases.add(operator, options,
                              [quantised(shape, dtype, 0.1, z), constant(size)],
                              [Tensor(out, dtype, np.float32(0.1), z)], 3, **keys)
    cases.write()


def movement(folder):
    cases = Cases(folder, "movement")

    def numbers(shape):
        return Tensor(shape, "float32", values=np.arange(np.prod(shape)))

    def out(shape):
        return Tensor(shape, "float32")

    shape = (2, 3, 4, 5)
    cases.add("TRANSPOSE", options_of("Transpose"),
              [numbers(shape), constant([2, 0, 3, 1])], [out((4, 2, 5, 3))])
    for mode in [0, 1]:
        cases.add("MIRROR_PAD", options_of("MirrorPad", mode=mode),
                  [numbers(shape), constant([[1, 0], [2, 1], [0, 3], [2, 2]])],
                  [out((3, 6, 7, 9))], symmetric=mode)
    cases.add("REVERSE_V2", options_of("ReverseV2"), [numbers(shape), constant([2])],
              [out(shape)], axes="2")
    cases.add("BROADCAST_TO", options_of("BroadcastTo"), [numbers((3, 1, 5)), constant([2, 3, 4, 5])],
              [out((2, 3, 4, 5))], 2)
    cases.add("TILE", options_of("Tile"), [numbers((2, 3)), constant([3, 2])], [out((6, 6))])
    cases.add("SLICE", options_of("Slice"),
              [numbers(shape), constant([1, 0, 2, 1]), constant([1, 2, 2, 3])], [out((1, 2, 2, 3))])
    cases.add("SPACE_TO_DEPTH", options_of("SpaceToDepth", blockSize=2), [numbers((2, 4, 6, 3))],
              [out((2, 2, 3, 12))], block=2)
    cases.add("DEPTH_TO_SPACE", options_of("DepthToSpace", blockSize=2), [numbers((2, 2, 3, 12))],
              [out((2, 4, 6, 3))], block=2)
    cases.add("SPACE_TO_BATCH_ND", options_of("SpaceToBatchND"),
              [numbers((2, 3, 4, 2)), constant([2, 3]), constant([[1, 0], [1, 1]])],
              [out((12, 2, 2, 2))])
    cases.add("BATCH_TO_SPACE_ND", options_of("BatchToSpaceND"),
              [numbers((12, 2, 2, 2)), constant([2, 3]), constant([[1, 0], [1, 1]])],
              [out((2, 3, 4, 2))])
    cases.write()


def softmax(folder):
    cases = Cases(folder, "softmax")
    for beta in [1.0, 0.5]:
        options = options_of("Softmax", beta=beta)
        for shape in [(3, 10), (1, 1001)]:
            cases.add("SOFTMAX", options, [real(shape)], [Tensor(shape, "float32")], beta=beta)
            for dtype, z in [("int8", -128), ("uint8", 0)]:
                for scale in [0.1, 0.02, 0.6]:
                    cases.add("SOFTMAX", options, [quantised(shape, dtype, scale, 3)],
                              [Tensor(shape, dtype, np.float32(1 / 256), z)], 2, beta=beta)
    cases.write()


def convolutions(folder):
    cases = Cases(folder, "convolutions")
    for dtype, weights, z in [("int8", "int8", 13), ("uint8", "uint8", 140)]:
        scales = RANDOM.uniform(0.002, 0.006, 9).astype(np.float32) if dtype == "int8" else 0.004
        zero = 0 if dtype == "int8" else 117

        def weight(shape, axis):
            scale = scales if np.ndim(scales) == 0 else scales[: shape[axis]]
            values = RANDOM.integers(np.iinfo(weights).min + 1, np.iinfo(weights).max + 1, shape)
            return Tensor(shape, weights, scale, zero, values, constant=True, axis=axis)

        def bias(channels):
            scale = np.float32(0.05) * (scales if np.ndim(scales) == 0 else scales[:channels])
            values = RANDOM.integers(-3000, 3000, channels)
            return Tensor((channels,), "int32", scale, 0, values, constant=True)

        for activation in ["none", "relu6"]:
            common = {"padding": 0, "strideH": 2, "strideW": 1,
                      "fusedActivationFunction": ACTIVATIONS[activation],
                      "dilationHFactor": 1, "dilationWFactor": 1}
            keys = {"stride": "2x1", "padding": "same", "act": activation}
            cases.add("CONV_2D", options_of("Conv2D", **common),
                      [quantised((1, 5, 6, 4), dtype, 0.05, z), weight((9, 3, 3, 4), 0), bias(9)],
                      [Tensor((1, 3, 6, 9), dtype, 0.09, z - 30)], 3, **keys)
            keys["multiplier"] = 3
            keys["stride"] = "2x2"
            common["strideW"] = 2
            cases.add("DEPTHWISE_CONV_2D",
                      options_of("DepthwiseConv2D", depthMultiplier=3, **common),
                      [quantised((1, 5, 6, 3), dtype, 0.05, z), weight((1, 3, 3, 9), 3), bias(9)],
                      [Tensor((1, 3, 3, 9), dtype, 0.03, z - 30)], 3, **keys)
            if dtype == "int8":
                continue
        options = options_of("FullyConnected", fusedActivationFunction=ACTIVATIONS["relu"],
                             weightsFormat=0, keepNumDims=False)
        scales = 0.004
        cases.add("FULLY_CONNECTED", options,
                  [quantised((2, 20), dtype, 0.05, z), weight((9, 20), 0), bias(9)],
                  [Tensor((2, 9), dtype, 0.07, z - 30)], 4, act="relu")
    cases.write()


def dynamic_range(folder):
    cases = Cases(folder, "dynamic_range")
    for low, high in [(-3, 5), (0, 2), (-4, -1)]:
        for shift in [1, 3]:
            data = real((2, 3, 4, 16), low, high)
            data.values[1] *= shift
            scales = RANDOM.uniform(0.01, 0.02, 16).astype(np.float32)
            bias = real((16,))
            bias.constant = True

            def weights(shape, axis):
                values = RANDOM.integers(-127, 128, shape)
                scale = scales[: shape[axis]]
                return Tensor(shape, "int8", scale, 0, values, constant=True, axis=axis)

            common = {"padding": 0, "strideH": 1, "strideW": 1, "fusedActivationFunction": 0,
                      "dilationHFactor": 1, "dilationWFactor": 1}
            keys = {"stride": "1x1", "padding": "same", "act": "none"}
            cases.add("CONV_2D", options_of("Conv2D", **common),
                      [data, weights((16, 3, 3, 16), 0), bias],
                      [Tensor((2, 3, 4, 16), "float32")], 5, **keys)
            cases.add("DEPTHWISE_CONV_2D", options_of("DepthwiseConv2D", depthMultiplier=1, **common),
                      [data, weights((1, 3, 3, 16), 3), bias],
                      [Tensor((2, 3, 4, 16), "float32")], 6, **keys)
            options = options_of("FullyConnected", fusedActivationFunction=0, weightsFormat=0,
                                 keepNumDims=False, asymmetricQuantizeInputs=True)
            row = real((3, 16), low, high)
            cases.add("FULLY_CONNECTED", options, [row, weights((16, 16), 0), bias],
                      [Tensor((3, 16), "float32")], 9, act="none")
    cases.write()


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    suites = [elementwise, binary, arranging, transposed_convolutions, detection, pooling,
              reductions, unary, unary_builtin, normalisation, products, conversions, moves,
              resizing, movement, softmax, convolutions, dynamic_range]
    for suite in suites:
        suite(folder)


main()
