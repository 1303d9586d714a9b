"""Operators of two or three operands that broadcast."""

import numpy as np

from graph import ACTIVATIONS, constant, given, options, result
from operators import ALL, FLOAT, INTEGER, QUANTISED, REAL, operator, shape_text

SHAPES = [
    ((2, 3, 4, 5), (2, 3, 4, 5)), ((33,), (33,)), ((1,), (1,)), ((2, 3, 4, 5), (5,)), ((7,), (3, 7)), ((2, 3, 4, 5), (1,)),
    ((), (3, 5)), ((2, 3, 4, 8), (2, 1, 1, 8)), ((1, 1, 1, 9), (1, 3, 4, 9)), ((2, 3, 4, 1), (2, 3, 4, 6)), ((4, 1, 6), (1, 3, 1)),
    ((3, 4), (2, 1, 4)), ((2, 1, 3, 2, 4), (2, 2, 3, 1, 4)), ((1, 2, 3, 2, 2, 3), (1, 2, 1, 2, 2, 1)),
]
# Scales of operands and result; the last two are far apart.
SCALES = [(0.031, 0.047, 0.043), (0.05, 0.05, 0.05), (0.02, 0.11, 0.19), (1.0, 0.9, 0.01), (0.002, 0.25, 0.3)]
FUSED = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div"}
PLAIN = {"MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum", "POW": "Pow", "SQUARED_DIFFERENCE": "SquaredDifference",
         "FLOOR_DIV": "FloorDiv", "FLOOR_MOD": "FloorMod"}
COMPARISONS = {"EQUAL": "Equal", "NOT_EQUAL": "NotEqual", "LESS": "Less", "LESS_EQUAL": "LessEqual", "GREATER": "Greater",
               "GREATER_EQUAL": "GreaterEqual"}
LOGICAL = {"LOGICAL_AND": "LogicalAnd", "LOGICAL_OR": "LogicalOr"}
# No subnormals: XNNPACK leaves it to the processor whether they count as 0.
EXTREMES = np.float32([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, 1.1754944e-38, 1e-30, 2.5, -7.75])


def pair(operator, dtype, a, b, scales=None, zeros=(3, -20)):
    """Two operands, in ranges where the operator means something."""
    one, two = (None, None) if scales is None or dtype not in QUANTISED else scales[:2]
    centre = {"int8": 0, "uint8": 128}.get(dtype)
    zero = (lambda z: None) if centre is None else (lambda z: centre + z)
    if dtype == "int16" and scales is not None:
        one, two = one / 256, two / 256
    low, high = (0.1, 4.0) if operator == "POW" and dtype == "float32" else (-6, 6)
    if operator == "POW" and dtype != "float32":
        low, high = 0, 5
    if operator in ["FLOOR_DIV", "FLOOR_MOD"]:
        # Plain integers, also those of 8 and 16 bits.
        return given(dtype, a, -40, 40, 0), given(dtype, b, -7, 7, 0, nonzero=True)
    if operator == "DIV":
        low = 0.5 if dtype == "float32" else -7
        return given(dtype, a, -40, 40, one, zero(zeros[0])), given(dtype, b, low, 7, two, zero(zeros[1]), nonzero=True)
    x, y = given(dtype, a, low, high, one, zero(zeros[0])), given(dtype, b, low, high, two, zero(zeros[1]))
    return x, y


def outcome(operator, dtype, x, y, scales, zero=-9):
    if dtype not in QUANTISED:
        return result(dtype)
    if operator in ["MAXIMUM", "MINIMUM"]:
        return result(dtype, x.scale, x.zero)
    if operator in ["FLOOR_DIV", "FLOOR_MOD"]:
        return result(dtype, 0)
    scale = scales[2] / (256 if dtype == "int16" else 1) * (2.5 if operator in ["MUL", "SQUARED_DIFFERENCE"] else 1)
    return result(dtype, scale, {"int8": zero, "uint8": 128 + zero, "int16": 0}[dtype])


def binary(cases, kind):
    operator = cases.operator
    same_scale = operator in ["MAXIMUM", "MINIMUM"]
    fused = operator in FUSED
    table = lambda activation="none": options(kind, fusedActivationFunction=ACTIVATIONS[activation]) if fused else options(kind)
    for dtype in REAL + INTEGER + ["bool"]:
        scales = (0.04, 0.04, 0.04) if same_scale else SCALES[0]
        zeros = (3, 3) if same_scale else (3, -20)
        for a, b in SHAPES:
            x, y = pair(operator, dtype, a, b, scales, zeros)
            cases.add(f"{shape_text(a)} and {shape_text(b)}", dtype, [x, y], [outcome(operator, dtype, x, y, scales)], table())
            if dtype == "bool":
                break
        if dtype == "bool":
            continue
        for a, b, at in [((1, 4, 4, 9), (9,), 1), ((2, 10), (2, 10), 0), ((1, 3, 3, 8), (), 1), ((1, 8), (1, 3, 3, 8), 0)]:
            x, y = pair(operator, dtype, a, b, scales, zeros)
            (x, y)[at].constant = True
            name = f"{shape_text(a)} and {shape_text(b)}, operand {at} constant"
            cases.add(name, dtype, [x, y], [outcome(operator, dtype, x, y, scales)], table())
        for activation in ["relu", "relu6", "relu_n1_to_1"] if fused else []:
            x, y = pair(operator, dtype, (2, 3, 4, 5), (2, 3, 4, 5), scales)
            cases.add(f"activation {activation}", dtype, [x, y], [outcome(operator, dtype, x, y, scales)], table(activation))
        plain = same_scale or operator in ["FLOOR_DIV", "FLOOR_MOD"]
        if dtype in QUANTISED and not plain:
            for i, other in enumerate(SCALES[1:]):
                x, y = pair(operator, dtype, (60,), (60,), other)
                cases.add(f"scales {other}", dtype, [x, y], [outcome(operator, dtype, x, y, other)], table())
        if dtype in QUANTISED[:2] and operator not in ["FLOOR_DIV", "FLOOR_MOD"]:
            for text, zeros in [("lowest", (-128, -128)), ("highest", (127, 127)), ("opposite", (-128, 127))]:
                x, y = pair(operator, dtype, (60,), (60,), scales, zeros)
                if not same_scale or text != "opposite":
                    cases.add(f"{text} zero points", dtype, [x, y], [outcome(operator, dtype, x, y, scales, zeros[1])], table())
    x = np.repeat(EXTREMES, len(EXTREMES))
    if operator not in ["FLOOR_DIV", "FLOOR_MOD"]:
        y = np.tile(EXTREMES, len(EXTREMES))
        cases.add("infinities, zeros and extremes", "float32",
                  [given("float32", x.shape, values=x), given("float32", y.shape, values=y)], [result("float32")], table())
    if operator in ["FLOOR_DIV", "FLOOR_MOD"]:
        for dtype in ["float32", "int32", "int64", "int16", "int8"]:
            x, y = np.meshgrid(np.arange(-9, 10), [-4, -3, -1, 1, 2, 5])
            x, y = (given(dtype, x.shape, scale=0, values=v) for v in (x, y))
            out = result(dtype, 0)
            cases.add("both signs", dtype, [x, y], [out], table())
    if operator == "POW":
        x, y = np.meshgrid([-3.0, -1.0, 0.5, 2.0, 9.0, 0.0], [0.0, 1.0, 2.0, 3.0, -2.0])
        x, y = (given("float32", x.shape, values=v) for v in (x, y))
        cases.add("whole exponents", "float32", [x, y], [result("float32")], table())


@operator(*FUSED, *PLAIN)
def binary_cases(cases):
    binary(cases, {**FUSED, **PLAIN}[cases.operator])


@operator(*COMPARISONS)
def comparisons(cases):
    table = lambda: options(COMPARISONS[cases.operator])
    for dtype in ALL:
        for i, (a, b) in enumerate(SHAPES):
            scales = SCALES[0] if i % 2 else (0.04, 0.04, 0.04)
            x, y = pair(cases.operator, dtype, a, b, scales, (3, 3) if i % 2 == 0 else (3, -20))
            cases.add(f"{shape_text(a)} and {shape_text(b)}", dtype, [x, y], [result("bool")], table())
        x, y = pair(cases.operator, dtype, (1, 4, 4, 3), (), (0.04, 0.04), (3, 3))
        y.constant = True
        cases.add("with a constant", dtype, [x, y], [result("bool")], table())
    values = np.append(EXTREMES, np.float32(np.nan))
    x, y = (v.astype(np.float32).ravel() for v in np.meshgrid(values, values))
    x, y = given("float32", x.shape, values=x), given("float32", y.shape, values=y)
    cases.add("infinities, zeros and NaN", "float32", [x, y], [result("bool")], table())


@operator(*LOGICAL)
def logical(cases):
    for dtype in ALL:
        for a, b in SHAPES if dtype == "bool" else SHAPES[:1]:
            x, y = given(dtype, a), given(dtype, b)
            cases.add(f"{shape_text(a)} and {shape_text(b)}", dtype, [x, y], [result("bool")], options(LOGICAL[cases.operator]))


@operator("LOGICAL_NOT")
def logical_not(cases):
    for dtype in ALL:
        for shape in [(2, 3, 5), (33,), ()] if dtype == "bool" else [(2, 3)]:
            cases.add(shape_text(shape), dtype, [given(dtype, shape)], [result("bool")], options("LogicalNot"))


@operator("SELECT")
def select(cases):
    for dtype in ALL:
        for condition, shape in [((2, 3, 4), (2, 3, 4)), ((3,), (3, 5)), ((2,), (2, 2, 3, 4)), ((), (3, 4)), ((33,), (33,))]:
            x, y = given(dtype, shape), given(dtype, shape)
            cases.add(f"{shape_text(condition)} over {shape_text(shape)}", dtype, [given("bool", condition), x, y], [result(dtype)],
                      options("Select"))


@operator("SELECT_V2")
def select_v2(cases):
    shapes = [((2, 3, 4), (2, 3, 4), (2, 3, 4)), ((3, 1), (3, 4), (4,)), ((), (2, 3), (2, 3)), ((2, 3, 4), (), (2, 3, 4)),
              ((4,), (2, 3, 4), (1, 3, 1)), ((1, 3, 1, 5), (2, 1, 4, 5), (5,)), ((2, 1, 2, 1, 3), (1, 2, 2, 2, 3), (3,))]
    for dtype in ALL:
        for condition, a, b in shapes:
            name = f"{shape_text(condition)}, {shape_text(a)}, {shape_text(b)}"
            inputs = [given("bool", condition), given(dtype, a), given(dtype, b)]
            cases.add(name, dtype, inputs, [result(dtype)], options("SelectV2"))


@operator("PRELU")
def prelu(cases):
    shapes = [((1, 4, 5, 6), (1, 1, 6)), ((2, 3, 3, 9), (9,)), ((1, 4, 5, 6), (4, 5, 6)), ((1, 3, 4, 1), (1, 1, 1)),
              ((2, 3, 4, 5), (1, 4, 1)), ((1, 2, 2, 33), (1, 1, 33)), ((3, 7), (7,)), ((2, 5, 8), (8,)), ((1, 4, 5, 6), (1, 1, 1, 6))]
    for dtype in REAL:
        for x_shape, shape in shapes:
            x = given(dtype, x_shape)
            quantised = dtype in QUANTISED
            draw = lambda rng, s=shape: rng.integers(-100, 120, s) if quantised else rng.uniform(-0.5, 1.2, s)
            if dtype == "uint8":
                draw = lambda rng, s=shape: rng.integers(20, 250, s)
            # 16-bit inputs have slopes of 8 bits.
            alpha = constant(draw, "int8" if dtype == "int16" else dtype, shape, 0.009 if quantised else None,
                             {"int8": -3, "uint8": 124}.get(dtype, 0))
            out = result(dtype, 0.047 if dtype != "int16" else 2**-12, {"int8": 4, "uint8": 133}.get(dtype, 0))
            cases.add(f"{shape_text(x_shape)} alpha {shape_text(shape)}", dtype, [x, alpha], [out])
        if dtype in QUANTISED[:2]:
            x = given(dtype, (256,), values=np.arange(256) + np.iinfo(dtype).min)
            alpha = constant([77], dtype, (1,), 0.004, 10)
            cases.add("all values", dtype, [x, alpha], [result(dtype, 0.05, x.zero)])
    x, alpha = given("float32", (1, 4, 4, 8)), given("float32", (1, 1, 8), -1, 1)
    cases.add("alpha as input", "float32", [x, alpha], [result("float32")])


@operator("ATAN2")
def atan2(cases):
    for dtype in ALL:
        for shape in [(2, 3, 5), (33,), (1, 4, 4, 8)] if dtype == "float32" else [(2, 3)]:
            cases.add(shape_text(shape), dtype, [given(dtype, shape), given(dtype, shape)], [result(dtype)], options("ATan2"))
    ends = np.float32([0.0, -0.0, 1.0, -1.0, 1e-30, -1e30, np.inf, -np.inf])
    y, x = (given("float32", (64,), values=v.ravel()) for v in np.meshgrid(ends, ends))
    cases.add("zeros and infinities", "float32", [y, x], [result("float32")], options("ATan2"))
