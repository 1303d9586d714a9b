"""Operators of one operand, element by element; SOFTMAX and its like; conversions."""

import numpy as np

from graph import Op, given, options, result
from operators import ALL, INTEGER, QUANTISED, REAL, operator, shape_text

SPECIAL = np.float32([0.0, -0.0, 1.1754944e-38, -1.1754944e-38, 1e-30, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, -3.0, 6.0, 100.0, -100.0, 1e30, -1e30, np.inf,
                      -np.inf])
# name: (options, smallest and largest float input, fixed result of quantised types or None)
UNARY = {
    "LOGISTIC": (None, -9, 9, {"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)}),
    "TANH": (None, -5, 5, {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)}),
    "RELU": (None, -9, 9, None),
    "RELU6": (None, -9, 9, None),
    "RELU_N1_TO_1": (None, -3, 3, None),
    "RELU_0_TO_1": (None, -3, 3, None),
    "SIGN": ("Sign", -3, 3, None),
    "HARD_SWISH": ("HardSwish", -9, 9, None),
    "ELU": (None, -6, 6, None),
    "ABS": ("Abs", -9, 9, None),
    "NEG": ("Neg", -9, 9, None),
    "EXP": ("Exp", -6, 6, None),
    "LOG": (None, 0.01, 20, None),
    "SQRT": (None, 0, 20, None),
    "RSQRT": (None, 0.01, 20, None),
    "FLOOR": (None, -9, 9, None),
    "CEIL": (None, -9, 9, None),
    "ROUND": (None, -9, 9, None),
    "SIN": (None, -9, 9, None),
    "COS": ("Cos", -9, 9, None),
    "SQUARE": ("Square", -9, 9, None),
    "ZEROS_LIKE": ("ZerosLike", -9, 9, None),
}
SHAPES = [(1, 5, 6, 7), (33,), (3, 9), (2, 3, 2, 3, 4), ()]
SCALES = [(0.05, 3, 0.041, -2), (0.023, -60, 0.023, -60), (0.2, 90, 0.07, 11), (0.004, -128, 0.011, -128), (0.31, 127, 0.5, 60)]


def every(dtype):
    """All values of an 8-bit type; every 128th of int16 with both ends."""
    limits = np.iinfo(dtype)
    return np.unique(np.append(np.arange(limits.min, limits.max + 1, 1 if limits.max < 256 else 128), limits.max))


def positive(dtype, values, scale, zero):
    """The values that stand for real numbers above 0, for operators that refuse others."""
    return values[(values - zero) * scale > 0]


def unary(cases, table, low, high, fixed, text=""):
    for shape in SHAPES:
        cases.add(shape_text(shape) + text, "float32", [given("float32", shape, low, high)], [result("float32")], table())
    grid = np.linspace(low, high, 259, dtype=np.float32)
    cases.add("a fine grid" + text, "float32", [given("float32", grid.shape, values=grid)], [result("float32")], table())
    special = SPECIAL if low < 0 else SPECIAL[SPECIAL > 0]
    cases.add("infinities, zeros and extremes" + text, "float32", [given("float32", special.shape, values=special)],
              [result("float32")], table())
    for dtype in QUANTISED:
        for i, (scale, zero, out, out_zero) in enumerate(SCALES):
            shift = {"int8": 0, "uint8": 128, "int16": 0}[dtype]
            zero, out_zero = zero + shift, out_zero + shift
            if dtype == "int16":
                if i == 3:
                    break
                scale, out, zero, out_zero = scale / 256, out / 256, 0, 0
            if cases.operator == "ABS":
                out, out_zero = scale if i == 1 else out, out_zero if dtype != "int16" else 0
            if fixed:
                out, out_zero = fixed[dtype]
            values = every(dtype)
            values = values if low < 0 else positive(dtype, values, scale, zero)
            if len(values):
                x = given(dtype, values.shape, scale=scale, zero=zero, values=values)
                name = f"all values, {scale:g} {zero} to {out:g} {out_zero}" + text
                cases.add(name, dtype, [x], [result(dtype, out, out_zero)], table())
        x = given(dtype, (2, 3, 5))
        if low < 0:
            scale, zero = fixed[dtype] if fixed else (x.scale, x.zero)
            cases.add("2x3x5, scale kept" + text, dtype, [x], [result(dtype, scale, zero)], table())
    for dtype in INTEGER + ["bool"]:
        cases.add("2x3x5" + text, dtype, [given(dtype, (2, 3, 5), max(low, -20), high)], [result(dtype)], table())


@operator(*UNARY)
def unary_cases(cases):
    kind, low, high, fixed = UNARY[cases.operator]
    unary(cases, lambda: options(kind) if kind else None, low, high, fixed)


@operator("LEAKY_RELU")
def leaky_relu(cases):
    for alpha in [0.3, 0.01, 0.0, 1.5, -0.25]:
        unary(cases, lambda: options("LeakyRelu", alpha=alpha), -9, 9, None, f", alpha {alpha}")


@operator("GELU")
def gelu(cases):
    for approximate in [False, True]:
        unary(cases, lambda: options("Gelu", approximate=approximate), -6, 6, None, ", approximate" if approximate else "")


@operator("SOFTMAX", "LOG_SOFTMAX")
def softmax(cases):
    soft = cases.operator == "SOFTMAX"
    fixed = ({"int8": (1 / 256, -128), "uint8": (1 / 256, 0), "int16": (1 / 32768, 0)} if soft
             else {"int8": (16 / 256, 127), "uint8": (16 / 256, 255), "int16": (16 / 32768, 0)})
    betas = [1.0, 0.5, 2.0] if soft else [1.0]
    for dtype in REAL + ["int32"]:
        for beta in betas:
            for shape in [(1, 10), (3, 33), (1, 1), (2, 3, 5), (2, 3, 4, 7), (12,), (1, 1001)] if beta == 1.0 else [(2, 21)]:
                if shape == (1, 1001) and dtype == "int16":
                    continue
                for scale in [0.05, 0.4, 1.7] if dtype in QUANTISED and shape == (3, 33) else [0.1]:
                    table = options("Softmax", beta=beta) if soft else options("LogSoftmax")
                    x = given(dtype, shape, scale=scale if dtype != "int16" else scale / 256)
                    name = shape_text(shape) + (f" beta {beta}" if beta != 1 else "") + (f" scale {scale}" if scale != 0.1 else "")
                    cases.add(name, dtype, [x], [result(dtype, *fixed.get(dtype, (None, None)))], table)
    wide = np.float32([[90, -90, 0, 88.7, 3], [-1e30, 1e30, 5, 5, 5], [-100, -100, -100, -100, -100], [0, 0, 0, 0, 0]])
    cases.add("large logits", "float32", [given("float32", wide.shape, values=wide)], [result("float32")],
              options("Softmax", beta=1.0) if soft else options("LogSoftmax"))
    if soft:
        for dtype, out in [("int8", "int16")]:
            cases.add(f"{dtype} to {out}", dtype, [given(dtype, (2, 9), scale=0.1)], [result(out, 1 / 65536, -32768)],
                      options("Softmax", beta=1.0))


@operator("QUANTIZE")
def quantize(cases):
    table = lambda: options("Quantize")
    for dtype in QUANTISED:
        ties = (np.arange(64) - 32) * np.float32(0.125)
        cases.add(f"float32 ties to {dtype}", "float32", [given("float32", (64,), values=ties)], [result(dtype, 0.25)], table())
        cases.add(f"float32 beyond both ends to {dtype}", "float32", [given("float32", (1, 7, 6, 5), -20, 20)],
                  [result(dtype, 0.037 if dtype != "int16" else 0.0004)], table())
        # To int16 it is the built-in kernel that computes, and a number beyond int32 becomes what the machine makes of it.
        special = SPECIAL if dtype != "int16" else SPECIAL[np.abs(SPECIAL) <= 100]
        cases.add(f"float32 infinities to {dtype}", "float32", [given("float32", special.shape, values=special)], [result(dtype)], table())
        values = every(dtype)
        for other in QUANTISED:
            for scale, out in [(0.05, 0.05), (0.05, 0.041), (0.05, 0.11), (1.0, 0.005), (0.001, 0.3)]:
                x = given(dtype, values.shape, scale=scale / (256 if dtype == "int16" else 1), values=values)
                y = result(other, out / (256 if other == "int16" else 1))
                cases.add(f"to {other}, {scale} to {out}", dtype, [x], [y], table())
    for one, zero, other, to in [("uint8", 128, "int8", 0), ("int8", 0, "uint8", 128), ("int8", -128, "uint8", 0)]:
        x = given(one, (256,), scale=0.05, zero=zero, values=every(one))
        cases.add(f"to {other}, the top bit flipped, zero point {zero}", one, [x], [result(other, 0.05, to)], table())
    for dtype in INTEGER + ["bool"]:
        cases.add("to int8", dtype, [given(dtype, (2, 9), -300, 300)], [result("int8")], table())


@operator("DEQUANTIZE")
def dequantize(cases):
    table = lambda: options("Dequantize")
    for dtype in QUANTISED:
        for scale, zero in [(0.0371, None), (1.0, None), (1e-6, None)]:
            x = given(dtype, every(dtype).shape, scale=scale, zero=zero, values=every(dtype))
            cases.add(f"all values, scale {scale:g}", dtype, [x], [result("float32")], table())
        cases.add("2x3x5", dtype, [given(dtype, (2, 3, 5))], [result("float32")], table())
    x = given("float16", (2, 17), -100, 100)
    cases.add("float16", "float32", [x], [result("float32")], table())
    for dtype in INTEGER:
        cases.add("2x9", dtype, [given(dtype, (2, 9), -300, 300)], [result("float32")], table())


@operator("CAST")
def cast(cases):
    from graph import TYPES

    for dtype in ALL:
        for other in ALL + ["float16"]:
            low, high = (-100, 100) if dtype == "float32" and other in ["int8", "int16", "int32", "int64"] else (0, 100)
            if other == "float32":
                low, high = -30000, 30000
            x = given(dtype, (2, 3, 7), low, high, scale=0)
            if dtype == "float32" and other != "bool":
                draw = x.fill
                x.fill = lambda rng, draw=draw: np.round(draw(rng) * 8) / 8
            table = options("Cast", inDataType=TYPES[dtype], outDataType=TYPES[other])
            cases.add(f"to {other}", dtype, [x], [result(other, 0)], table)
    values = np.float32([0.0, -0.0, 0.5, 0.99, -0.99, 1.5, -1.5, 2.5, 1e-30, 2147483000.0, -2147483000.0])
    cases.add("fractions to int32", "float32", [given("float32", values.shape, values=values)], [result("int32")],
              options("Cast", inDataType=TYPES["float32"], outDataType=TYPES["int32"]))
    values = np.array([2**31 - 1, -(2**31), 2**24 + 1, 256, 257, -1, 65536, 128], np.int64)
    for dtype in ["int32", "int64"]:
        for other in ["float32", "int8", "uint8", "int16", "int32", "int64", "bool"]:
            x = given(dtype, values.shape, values=values)
            cases.add(f"large values to {other}", dtype, [x], [result(other, 0)],
                      options("Cast", inDataType=TYPES[dtype], outDataType=TYPES[other]))
