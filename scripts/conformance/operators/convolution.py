"""Operators with weights."""

import numpy as np

from graph import ACTIVATIONS, SAME, VALID, Op, Tensor, constant, given, options, result
from operators import FLOAT, QUANTISED, REAL, operator, shape_text

# (input, kernel, stride, dilation, padding)
WINDOWS = [
    ((1, 5, 5, 8), (1, 1), (1, 1), (1, 1), SAME),
    ((2, 3, 4, 3), (1, 1), (1, 1), (1, 1), VALID),
    ((1, 6, 5, 4), (1, 1), (2, 2), (1, 1), VALID),
    ((1, 7, 6, 5), (3, 3), (1, 1), (1, 1), SAME),
    ((1, 7, 6, 9), (3, 3), (1, 1), (1, 1), VALID),
    ((1, 8, 8, 3), (3, 3), (2, 2), (1, 1), SAME),
    ((1, 9, 7, 3), (3, 3), (2, 2), (1, 1), SAME),
    ((2, 9, 9, 2), (3, 3), (2, 2), (1, 1), VALID),
    ((1, 7, 9, 4), (3, 3), (2, 1), (1, 1), SAME),
    ((1, 9, 7, 4), (3, 2), (1, 3), (1, 1), VALID),
    ((1, 9, 9, 3), (5, 5), (1, 1), (1, 1), SAME),
    ((1, 8, 10, 1), (5, 5), (2, 2), (1, 1), SAME),
    ((1, 4, 9, 6), (1, 7), (1, 1), (1, 1), SAME),
    ((1, 9, 4, 6), (7, 1), (1, 1), (1, 1), SAME),
    ((1, 9, 9, 4), (3, 3), (1, 1), (2, 2), SAME),
    ((1, 11, 9, 3), (3, 3), (1, 1), (3, 2), VALID),
    ((1, 10, 10, 2), (3, 3), (2, 2), (2, 2), SAME),
    ((1, 4, 4, 17), (4, 4), (1, 1), (1, 1), VALID),
    ((1, 2, 3, 5), (5, 5), (1, 1), (1, 1), SAME),
    ((1, 1, 1, 33), (3, 3), (1, 1), (1, 1), SAME),
    ((1, 4, 4, 4), (2, 2), (2, 2), (1, 1), VALID),
    ((1, 5, 6, 4), (4, 4), (3, 3), (1, 1), SAME),
]


def window_name(shape, kernel, stride, dilation, padding):
    name = f"{shape_text(shape)} kernel {shape_text(kernel)}"
    name += f" stride {shape_text(stride)}" if stride != (1, 1) else ""
    name += f" dilation {shape_text(dilation)}" if dilation != (1, 1) else ""
    return f"{name} {'VALID' if padding == VALID else 'SAME'}"


def ends(limit):
    """Signed 8-bit weights in -limit..=limit, with both ends among them."""
    return lambda shape: lambda rng: np.where(
        rng.random(shape) < 0.06, rng.choice([-limit, limit], shape), rng.integers(-limit, limit + 1, shape)
    )


def weighted(dtype, x, shape, axis, channels, depth, per_channel=True, bias=True, out=None, spread=1.0, fill=None,
             open=False, bias_scale=True, weight_zero=None):
    """Weights, bias and result of an operator with `depth` products a sum, for an input `x`.

    The result's scale holds most sums, so that a few saturate; `spread` widens it. uint8 weights have a zero point
    and one scale; int16 activations have int8 weights and an int64 bias. A result that is `open` and a bias without
    scale leave the operator to the built-in kernels.
    """
    if dtype == "float32":
        weights = constant(lambda rng: rng.uniform(-1, 1, shape), "float32", shape)
        extra = [constant(lambda rng: rng.uniform(-2, 2, channels), "float32", (channels,))] if bias else []
        return [x, weights, *extra], result("float32")
    if dtype == "uint8":
        scale, zero, kind = 0.013, 119, "uint8"
        fill = fill or (lambda shape: lambda rng: rng.integers(0, 256, shape))
    else:
        kind, zero = "int8", 0
        fill = fill or ends(127)
        scale = np.linspace(0.004, 0.021, channels, dtype=np.float32) if per_channel else np.float32(0.011)
    zero = zero if weight_zero is None else weight_zero
    weights = constant(fill(shape), kind, shape, scale, zero, axis if np.ndim(scale) else 0)
    deviation = np.sqrt(depth) * 74 * float(np.mean(scale)) * x.scale * (74 if dtype != "int16" else 18900)
    out_scale = np.float32(spread * 2.2 * deviation / (128 if dtype != "int16" else 32768))
    out = out if out is not None else {"int8": -11, "uint8": 140, "int16": 0}[dtype]
    y = result(dtype, out_scale, out, open=open)
    bias_kind = "int64" if dtype == "int16" else "int32"
    scales = (np.asarray(scale, np.float32) * np.float32(x.scale)).astype(np.float32)
    largest = max(int(deviation / float(np.mean(scales))), 2)
    draw = lambda rng: rng.integers(-largest, largest, channels)
    extra = [constant(draw, bias_kind, (channels,), scales if bias_scale else None)] if bias else []
    return [x, weights, *extra], y


def conv_options(stride, dilation, padding, activation="none"):
    return options(
        "Conv2D", padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], fusedActivationFunction=ACTIVATIONS[activation],
    )


def conv_2d(cases, name, dtype, shape, kernel, out_c, stride=(1, 1), dilation=(1, 1), padding=SAME, activation="none",
            groups=1, x=None, **more):
    x = x or given(dtype, shape)
    group = shape[3] // groups
    depth = kernel[0] * kernel[1] * group
    inputs, y = weighted(dtype, x, (out_c, *kernel, group), 0, out_c, depth, **more)
    cases.add(name, dtype, inputs, [y], conv_options(stride, dilation, padding, activation))


@operator("CONV_2D")
def conv_2d_cases(cases):
    for dtype in REAL:
        for i, (shape, *window) in enumerate(WINDOWS):
            out_c = [8, 5, 17, 1, 11, 16][i % 6]
            name = f"{window_name(shape, *window)} to {out_c}"
            conv_2d(cases, name, dtype, shape, window[0], out_c, *window[1:])
        for channels in [1, 2, 3, 7, 16, 31, 64]:
            conv_2d(cases, f"pointwise {channels} channels", dtype, (1, 3, 3, channels), (1, 1), 9)
        for activation in ["relu", "relu6", "relu_n1_to_1"]:
            conv_2d(cases, f"activation {activation}", dtype, (1, 6, 6, 4), (3, 3), 6, activation=activation)
        conv_2d(cases, "batch 3", dtype, (3, 5, 4, 6), (3, 3), 7)
        conv_2d(cases, "2 groups", dtype, (1, 6, 6, 8), (3, 3), 6, groups=2)
        conv_2d(cases, "groups of 1", dtype, (1, 6, 6, 4), (3, 3), 4, groups=4)
        conv_2d(cases, "groups of 1, 3 each", dtype, (1, 6, 6, 4), (3, 3), 12, groups=4)
        conv_2d(cases, "3 groups stride 2", dtype, (2, 7, 6, 12), (3, 3), 9, (2, 2), groups=3, padding=VALID)
        conv_2d(cases, "deep", dtype, (1, 3, 3, 128), (3, 3), 8, padding=VALID)
    for dtype in QUANTISED:
        limits = np.iinfo(dtype)
        if dtype == "int8":
            conv_2d(cases, "one scale for the weights", dtype, (1, 6, 6, 5), (3, 3), 7, per_channel=False)
        for text, zero in [("lowest", limits.min), ("highest", limits.max)]:
            if dtype == "int16":
                break
            x = given(dtype, (1, 6, 5, 4), zero=zero)
            conv_2d(cases, f"{text} zero points", dtype, (1, 6, 5, 4), (3, 3), 6, x=x, out=zero)
        for text, value in [("lowest", limits.min), ("highest", limits.max)]:
            shape = (1, 4, 4, 32)
            x = given(dtype, shape, values=np.full(shape, value))
            low, high = (0, 255) if dtype == "uint8" else (-127, 127)
            fill = lambda shape, low=low, high=high: lambda rng: np.where(np.arange(shape[0])[:, None, None, None] % 2, low, high) + np.zeros(shape)
            conv_2d(cases, f"{text} input, weights at their ends", dtype, shape, (3, 3), 8, x=x, fill=fill, spread=12)
        for text, spread in [("coarse", 40.0), ("fine", 0.02)]:
            conv_2d(cases, f"{text} result", dtype, (1, 6, 6, 8), (3, 3), 8, spread=spread)
    half_weights(cases, (6, 3, 3, 4), given("float32", (1, 6, 5, 4)), 6, conv_options((1, 1), (1, 1), SAME, "relu"))
    for shape, kernel in [((1, 6, 6, 5), (3, 3)), ((2, 4, 5, 16), (1, 1))]:
        hybrid(cases, f"kernel {shape_text(kernel)}", (9, *kernel, shape[3]), 0, 9, given("float32", shape),
               conv_options((1, 1), (1, 1), SAME))
    hybrid_conv_2d(cases)
    for dtype in QUANTISED[:2]:
        builtin_conv_2d(cases, dtype)


def hybrid_conv_2d(cases):
    """What shares a grid, and which kernel computes it."""
    for shape, kernel, stride, dilation, padding, groups in [
        ((2, 5, 6, 8), (1, 1), (1, 1), (1, 1), VALID, 1), ((2, 5, 6, 8), (1, 1), (2, 2), (1, 1), SAME, 1),
        ((1, 5, 6, 8), (1, 1), (2, 2), (1, 1), VALID, 1), ((2, 5, 6, 8), (1, 1), (2, 1), (1, 1), VALID, 1),
        ((1, 5, 6, 8), (1, 1), (1, 3), (1, 1), SAME, 1), ((2, 5, 6, 8), (1, 1), (1, 1), (2, 3), SAME, 1),
        ((2, 5, 6, 8), (1, 1), (1, 1), (1, 1), SAME, 2), ((2, 5, 6, 8), (3, 3), (1, 1), (1, 1), SAME, 1),
        ((2, 5, 6, 8), (3, 3), (2, 2), (1, 1), VALID, 1), ((2, 5, 6, 8), (3, 3), (1, 1), (2, 2), SAME, 1),
        ((1, 7, 6, 8), (3, 2), (1, 2), (2, 1), VALID, 1), ((2, 5, 6, 8), (3, 3), (1, 1), (1, 1), SAME, 2),
        ((2, 5, 6, 8), (3, 3), (2, 2), (1, 1), SAME, 8), ((2, 1, 1, 8), (1, 1), (1, 1), (1, 1), SAME, 1),
        ((2, 1, 1, 8), (1, 1), (2, 2), (1, 1), SAME, 1), ((2, 3, 4, 1), (1, 1), (1, 1), (1, 1), SAME, 1),
        ((2, 3, 3, 8), (3, 3), (1, 1), (1, 1), VALID, 1),
    ]:
        for per_channel in [True, False]:
            for open in [False, True]:
                if open and groups > 1 and not per_channel:
                    continue  # the built-in kernel refuses them
                text = window_name(shape, kernel, stride, dilation, padding) + (f" {groups} groups" if groups > 1 else "")
                text += ("" if per_channel else ", one scale") + (", open" if open else "")
                hybrid(cases, text, (8, *kernel, shape[3] // groups), 0, 8, uneven(shape),
                       conv_options(stride, dilation, padding), per_channel, open)
    for kernel in [(1, 1), (3, 3)]:
        hybrid(cases, f"uint8 weights of old converters, kernel {shape_text(kernel)}", (6, *kernel, 8), 0, 6,
               uneven((2, 5, 6, 8)), conv_options((1, 1), (1, 1), SAME), False, kind="uint8")


def builtin_conv_2d(cases, dtype):
    """What the file leaves to the built-in kernel, with few products a sum: so that many results are halves."""
    for shape, kernel, out_c, stride, dilation, padding in [
        ((1, 12, 12, 4), (1, 1), 8, (1, 1), (1, 1), SAME), ((2, 9, 9, 3), (3, 3), 9, (2, 2), (1, 1), SAME),
        ((1, 10, 9, 2), (2, 2), 16, (1, 1), (1, 1), VALID), ((1, 9, 9, 5), (3, 3), 3, (1, 1), (2, 2), SAME),
        ((1, 6, 6, 33), (1, 1), 21, (1, 1), (1, 1), SAME), ((1, 16, 16, 1), (1, 1), 7, (1, 1), (1, 1), SAME),
    ]:
        text = f"open, {window_name(shape, kernel, stride, dilation, padding)} to {out_c}"
        conv_2d(cases, text, dtype, shape, kernel, out_c, stride, dilation, padding, open=True)
    few = (dtype, (1, 12, 12, 2), (1, 1), 8)
    for activation in ["relu", "relu6", "relu_n1_to_1"]:
        conv_2d(cases, f"open, activation {activation}", *few, activation=activation, open=True)
    conv_2d(cases, "open, 2 groups", dtype, (1, 12, 12, 4), (1, 1), 8, groups=2, open=True)
    conv_2d(cases, "open, one scale for the weights", *few, per_channel=False, open=True)
    conv_2d(cases, "a bias without scale", *few, bias_scale=False)
    for text, spread in [("coarse", 40.0), ("fine", 0.02), ("very fine", 0.004)]:
        conv_2d(cases, f"open, {text} result", *few, spread=spread, open=True)
    for text, zero in [("lowest", np.iinfo(dtype).min), ("highest", np.iinfo(dtype).max)]:
        conv_2d(cases, f"open, {text} zero points", *few, x=given(dtype, few[1], zero=zero), out=zero, open=True)
    # The second reads what is open, and states what it writes.
    x = given(dtype, (1, 12, 12, 4))
    table = conv_options((1, 1), (1, 1), SAME)
    inputs, inner = weighted(dtype, x, (6, 1, 1, 4), 0, 6, 4, open=True)
    more, y = weighted(dtype, inner, (8, 1, 1, 6), 0, 8, 6)
    cases.graph("reads what is open", dtype, [Op("CONV_2D", inputs, [inner], table), Op("CONV_2D", more, [y], table)])


def half_weights(cases, shape, x, channels, table):
    """float16 weights as the converter stores them: behind a DEQUANTIZE."""
    halves = [constant(lambda rng: rng.uniform(-1, 1, shape), "float16", shape),
              constant(lambda rng: rng.uniform(-1, 1, channels), "float16", (channels,))]
    wide = [Tensor("float32"), Tensor("float32")]
    ops = [Op("DEQUANTIZE", [h], [w], options("Dequantize")) for h, w in zip(halves, wide)]
    cases.graph("float16 weights", "float32", [*ops, Op(cases.operator, [x, *wide], [result("float32")], table)])


def hybrid(cases, name, shape, axis, channels, x, table, per_channel=True, open=False, kind="int8"):
    """Dynamic-range quantisation: float activations, int8 weights; those of old converters have the bytes of int8 and
    the type uint8."""
    scale = np.linspace(0.004, 0.009, channels, dtype=np.float32) if per_channel else np.float32(0.007)
    fill = ends(127)(shape)
    if kind == "uint8":
        fill = lambda rng: ends(127)(shape)(rng).astype(np.int8).view(np.uint8)
    weights = constant(fill, kind, shape, scale, 0, axis if per_channel else 0)
    bias = constant(lambda rng: rng.uniform(-1, 1, channels), "float32", (channels,))
    cases.add(name, "hybrid", [x, weights, bias], [result("float32", open=open)], table)


def uneven(shape):
    """Floats whose pixels or rows differ much in size, so that it shows what shares a grid."""
    def fill(rng):
        return rng.normal(size=shape) * np.exp(rng.normal(size=(*shape[:-1], 1)) * 1.5)
    return Tensor("float32", shape, fill=fill)


def depthwise_options(stride, dilation, padding, multiplier, activation="none"):
    return options(
        "DepthwiseConv2D", padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
        dilationWFactor=dilation[1], depthMultiplier=multiplier, fusedActivationFunction=ACTIVATIONS[activation],
    )


def depthwise(cases, name, dtype, shape, kernel, multiplier=1, stride=(1, 1), dilation=(1, 1), padding=SAME,
              activation="none", x=None, **more):
    x = x or given(dtype, shape)
    out_c = shape[3] * multiplier
    inputs, y = weighted(dtype, x, (1, *kernel, out_c), 3, out_c, kernel[0] * kernel[1], **more)
    cases.add(name, dtype, inputs, [y], depthwise_options(stride, dilation, padding, multiplier, activation))


@operator("DEPTHWISE_CONV_2D")
def depthwise_cases(cases):
    for dtype in REAL:
        for i, (shape, *window) in enumerate(WINDOWS):
            multiplier = [1, 1, 2, 1, 1, 3][i % 6]
            name = f"{window_name(shape, *window)} multiplier {multiplier}"
            depthwise(cases, name, dtype, shape, window[0], multiplier, *window[1:])
        for channels in [1, 2, 7, 8, 9, 16, 24, 33]:
            depthwise(cases, f"{channels} channels", dtype, (1, 5, 5, channels), (3, 3))
            depthwise(cases, f"{channels} channels stride 2", dtype, (1, 6, 5, channels), (3, 3), 1, (2, 2))
        for activation in ["relu", "relu6", "relu_n1_to_1"]:
            depthwise(cases, f"activation {activation}", dtype, (1, 6, 6, 8), (3, 3), activation=activation)
        depthwise(cases, "no bias", dtype, (1, 6, 6, 8), (3, 3), bias=False)
        depthwise(cases, "batch 3", dtype, (3, 5, 4, 8), (3, 3))
        depthwise(cases, "multiplier 8 of 1 channel", dtype, (1, 6, 6, 1), (3, 3), 8)
        depthwise(cases, "multiplier 5", dtype, (1, 6, 6, 3), (3, 3), 5, (2, 2), padding=VALID)
        depthwise(cases, "dilated multiplier 2", dtype, (1, 9, 8, 4), (3, 3), 2, dilation=(2, 2))
    for dtype in QUANTISED:
        limits = np.iinfo(dtype)
        if dtype == "int8":
            depthwise(cases, "one scale for the weights", dtype, (1, 6, 6, 8), (3, 3), per_channel=False)
        for text, zero in [("lowest", limits.min), ("highest", limits.max)]:
            if dtype != "int16":
                x = given(dtype, (1, 6, 5, 8), zero=zero)
                depthwise(cases, f"{text} zero points", dtype, (1, 6, 5, 8), (3, 3), x=x, out=zero)
        for text, spread in [("coarse", 40.0), ("fine", 0.02)]:
            depthwise(cases, f"{text} result", dtype, (1, 6, 6, 8), (3, 3), spread=spread)
    half_weights(cases, (1, 3, 3, 4), given("float32", (1, 6, 5, 4)), 4, depthwise_options((1, 1), (1, 1), SAME, 1))
    hybrid(cases, "kernel 3x3", (1, 3, 3, 8), 3, 8, given("float32", (1, 6, 6, 8)),
           depthwise_options((1, 1), (1, 1), SAME, 1))
    for kernel, multiplier, stride, dilation, padding in [
        ((3, 3), 1, (1, 1), (1, 1), SAME), ((3, 3), 2, (2, 2), (1, 1), VALID), ((1, 1), 1, (1, 1), (1, 1), SAME),
        ((1, 1), 1, (2, 2), (1, 1), SAME), ((5, 5), 1, (1, 1), (1, 1), SAME), ((3, 3), 1, (1, 1), (2, 2), SAME),
    ]:
        for open in [False, True]:
            shape = (2, 6, 7, 8)
            text = window_name(shape, kernel, stride, dilation, padding) + f" multiplier {multiplier}"
            hybrid(cases, text + (", open" if open else ""), (1, *kernel, 8 * multiplier), 3, 8 * multiplier, uneven(shape),
                   depthwise_options(stride, dilation, padding, multiplier), open=open)
    for dtype in QUANTISED[:2]:
        builtin_depthwise(cases, dtype)


def builtin_depthwise(cases, dtype):
    """What the file leaves to the built-in kernel."""
    for shape, kernel, multiplier, stride, dilation, padding in [
        ((1, 12, 12, 8), (1, 1), 1, (1, 1), (1, 1), SAME), ((1, 12, 11, 9), (2, 1), 1, (1, 1), (1, 1), VALID),
        ((2, 9, 9, 8), (3, 3), 1, (1, 1), (1, 1), SAME), ((1, 11, 9, 17), (3, 3), 1, (2, 2), (1, 1), SAME),
        ((1, 9, 9, 8), (5, 5), 1, (1, 1), (1, 1), SAME), ((1, 9, 9, 8), (3, 3), 1, (1, 1), (2, 2), VALID),
        ((1, 9, 9, 4), (3, 3), 2, (1, 1), (1, 1), SAME), ((1, 9, 9, 1), (3, 3), 6, (2, 2), (1, 1), SAME),
    ]:
        text = f"open, {window_name(shape, kernel, stride, dilation, padding)} multiplier {multiplier}"
        depthwise(cases, text, dtype, shape, kernel, multiplier, stride, dilation, padding, open=True)
    few = (dtype, (1, 12, 12, 8), (1, 1))
    for activation in ["relu", "relu6"]:
        depthwise(cases, f"open, activation {activation}", *few, activation=activation, open=True)
    depthwise(cases, "a bias without scale", *few, bias_scale=False)
    for text, spread in [("coarse", 40.0), ("fine", 0.02)]:
        depthwise(cases, f"open, {text} result", *few, spread=spread, open=True)


def dense_options(activation="none", keep=False):
    return options("FullyConnected", fusedActivationFunction=ACTIVATIONS[activation], keepNumDims=keep)


def dense(cases, name, dtype, shape, out_c, activation="none", keep=False, x=None, depth=None, **more):
    x = x or given(dtype, shape)
    depth = depth or shape[-1]
    inputs, y = weighted(dtype, x, (out_c, depth), 0, out_c, depth, **more)
    inputs += [None] * (3 - len(inputs))
    cases.add(name, dtype, inputs, [y], dense_options(activation, keep))


@operator("FULLY_CONNECTED")
def dense_cases(cases):
    for dtype in REAL:
        one = {"per_channel": False}
        for batch, depth, out_c in [(1, 1, 1), (1, 7, 3), (1, 8, 8), (2, 16, 5), (3, 33, 17), (5, 12, 9), (1, 65, 32)]:
            dense(cases, f"{batch}x{depth} to {out_c}", dtype, (batch, depth), out_c, **one)
        for activation in ["relu", "relu6", "relu_n1_to_1"]:
            dense(cases, f"activation {activation}", dtype, (2, 12), 7, activation, **one)
        dense(cases, "no bias", dtype, (2, 12), 7, bias=False, **one)
        dense(cases, "flattens 2x3x4", dtype, (2, 3, 4), 7, depth=4, **one)
        dense(cases, "flattens 2x2x2x6 into rows of 24", dtype, (2, 2, 2, 6), 7, depth=24, **one)
        dense(cases, "keep_num_dims 2x3x4", dtype, (2, 3, 4), 7, keep=True, **one)
        dense(cases, "keep_num_dims 1x2x3x5", dtype, (1, 2, 3, 5), 4, keep=True, **one)
        dense(cases, "rank 1", dtype, (6,), 4, depth=6, **one)
    for dtype in ["int8", "int16"]:
        dense(cases, "a scale for each output", dtype, (3, 20), 11)
    for dtype in QUANTISED:
        limits = np.iinfo(dtype)
        for text, zero in [("lowest", limits.min), ("highest", limits.max)]:
            if dtype != "int16":
                x = given(dtype, (2, 12), zero=zero)
                dense(cases, f"{text} zero points", dtype, (2, 12), 6, x=x, out=zero, per_channel=False)
        for text, spread in [("coarse", 40.0), ("fine", 0.02)]:
            dense(cases, f"{text} result", dtype, (2, 24), 8, spread=spread, per_channel=False)
    for dtype in FLOAT + ["int8"]:
        # Weights that are computed: both operands come from outside.
        x, w = given(dtype, (3, 8)), given(dtype, (5, 8), scale=0.01, zero=0)
        cases.add("weights as input", dtype, [x, w, None], [result(dtype, 0.1, 3)], dense_options())
    half_weights(cases, (6, 12), given("float32", (2, 12)), 6, dense_options("relu"))
    hybrid(cases, "one scale", (9, 16), 0, 9, given("float32", (3, 16)), dense_options(), per_channel=False)
    hybrid(cases, "a scale for each output", (9, 16), 0, 9, given("float32", (3, 16)), dense_options())
    for shape, keep in [((5, 16), False), ((2, 3, 16), True), ((2, 3, 16), False)]:
        for per_channel in [True, False]:
            for open in [False, True]:
                text = f"rows of {shape_text(shape)}" + (", keep_num_dims" if keep else "")
                text += ("" if per_channel else ", one scale") + (", open" if open else "")
                hybrid(cases, text, (9, 16), 0, 9, uneven(shape), dense_options(keep=keep), per_channel, open)
    hybrid(cases, "uint8 weights of old converters", (9, 16), 0, 9, uneven((5, 16)), dense_options(), False, kind="uint8")
    for dtype in QUANTISED[:2]:
        for rows in [1, 40]:
            shape = (rows, 4)
            dense(cases, f"a bias without scale, {rows} rows", dtype, shape, 9, bias_scale=False, per_channel=False)
            dense(cases, f"open, {rows} rows", dtype, shape, 9, open=True, per_channel=False)
        dense(cases, "very fine result, a bias without scale", dtype, (40, 4), 9, bias_scale=False, per_channel=False, spread=0.004)
    dense(cases, "weights with a zero point", "int8", (40, 4), 9, weight_zero=5, per_channel=False)
    dense(cases, "a scale for each output, a bias without scale", "int8", (40, 4), 9, bias_scale=False)


def transpose_options(stride, padding, activation="none"):
    return options("TransposeConv", padding=padding, strideH=stride[0], strideW=stride[1],
                   fusedActivationFunction=ACTIVATIONS[activation])


# (input, kernel, out_c, stride, padding, output height and width)
TRANSPOSED = [
    ((1, 3, 4, 5), (2, 2), 6, (2, 2), VALID, (6, 8)),
    ((1, 3, 4, 5), (3, 3), 6, (2, 2), SAME, (6, 8)),
    ((1, 3, 4, 5), (3, 3), 6, (2, 2), SAME, (5, 7)),
    ((1, 4, 3, 8), (3, 3), 4, (2, 2), VALID, (9, 7)),
    ((1, 4, 3, 3), (3, 3), 8, (1, 1), SAME, (4, 3)),
    ((1, 4, 3, 3), (3, 3), 1, (1, 1), VALID, (6, 5)),
    ((2, 3, 3, 4), (4, 4), 3, (2, 2), SAME, (6, 6)),
    ((1, 3, 2, 1), (4, 4), 9, (3, 2), VALID, (10, 6)),
    ((1, 2, 3, 7), (2, 3), 5, (3, 3), SAME, (6, 9)),
    ((1, 5, 5, 16), (1, 1), 8, (1, 1), VALID, (5, 5)),
    ((1, 2, 2, 3), (2, 2), 2, (3, 3), VALID, (5, 5)),
]


@operator("TRANSPOSE_CONV")
def transpose_conv(cases):
    def one(name, dtype, shape, kernel, out_c, stride, padding, size, activation="none", **more):
        x = given(dtype, shape)
        depth = max(shape[3] * kernel[0] * kernel[1] // (stride[0] * stride[1]), 1)
        (x, weights, *bias), y = weighted(dtype, x, (out_c, *kernel, shape[3]), 0, out_c, depth, **more)
        target = constant([shape[0], *size, out_c])
        inputs = [target, weights, x, *bias]
        cases.add(name, dtype, inputs, [y], transpose_options(stride, padding, activation))

    for dtype in REAL:
        for shape, kernel, out_c, stride, padding, size in TRANSPOSED:
            text = f"{shape_text(shape)} kernel {shape_text(kernel)} stride {shape_text(stride)}"
            text += f" {'VALID' if padding == VALID else 'SAME'} to {shape_text(size)}x{out_c}"
            one(text, dtype, shape, kernel, out_c, stride, padding, size)
        first = TRANSPOSED[1]
        one("no bias", dtype, *first, bias=False)
        for activation in ["relu", "relu6"]:
            one(f"activation {activation}", dtype, *first, activation)
        if dtype == "int8":
            one("one scale for the weights", dtype, *first, per_channel=False)
    hybrid_inputs = given("float32", (1, 3, 4, 5))
    weights = constant(ends(127)((6, 3, 3, 5)), "int8", (6, 3, 3, 5), np.float32(0.007))
    cases.add("kernel 3x3", "hybrid", [constant([1, 6, 8, 6]), weights, hybrid_inputs], [result("float32")],
              transpose_options((2, 2), SAME))
    for per_channel in [True, False]:
        scale = np.linspace(0.004, 0.009, 6, dtype=np.float32) if per_channel else np.float32(0.007)
        weights = constant(ends(127)((6, 3, 3, 5)), "int8", (6, 3, 3, 5), scale)
        cases.add(f"2 pictures, {'a scale for each output' if per_channel else 'one scale'}", "hybrid",
                  [constant([2, 6, 8, 6]), weights, uneven((2, 3, 4, 5))], [result("float32")], transpose_options((2, 2), SAME))
    for dtype in QUANTISED[:2]:
        for shape, kernel, out_c, stride, padding, size in [*TRANSPOSED[:2], ((1, 9, 9, 1), (1, 1), 8, (1, 1), VALID, (9, 9))]:
            text = f"open, {shape_text(shape)} kernel {shape_text(kernel)} stride {shape_text(stride)}"
            one(text, dtype, shape, kernel, out_c, stride, padding, size, open=True)
        few = (dtype, (1, 9, 9, 1), (1, 1), 8, (1, 1), VALID, (9, 9))
        one("open, no bias", *few, bias=False, open=True)
        one("open, activation relu6", *few, "relu6", open=True)
        one("a bias without scale", *few, bias_scale=False)


@operator("Convolution2DTransposeBias")
def convolution_2d_transpose_bias(cases):
    """MediaPipe's custom operator: TRANSPOSE_CONV with a bias. Its options are the C struct TfLiteTransposeConvParams."""
    for shape, kernel, out_c, stride, padding, _ in TRANSPOSED:
        x = given("float32", shape)
        inputs, y = weighted("float32", x, (out_c, *kernel, shape[3]), 0, out_c, 1)
        side = lambda i: shape[1 + i] * stride[i] if padding == SAME else (shape[1 + i] - 1) * stride[i] + kernel[i]
        target = constant([shape[0], side(0), side(1), out_c])
        # kTfLitePaddingSame is 1, kTfLitePaddingValid 2.
        custom = np.array([1 if padding == SAME else 2, stride[1], stride[0]], "<i4").tobytes()
        answered = [Op("TRANSPOSE_CONV", [target, inputs[1], x, inputs[2]], [y], transpose_options(stride, padding))]
        text = f"{shape_text(shape)} kernel {shape_text(kernel)} stride {shape_text(stride)} to {out_c}"
        text += " VALID" if padding == VALID else " SAME"
        if any(case.name == text for case in cases.cases):
            continue
        op = Op("Convolution2DTransposeBias", inputs, [y], custom_options=custom)
        cases.graph(text, "float32", [op], answered)


@operator("BATCH_MATMUL")
def batch_matmul(cases):
    shapes = [
        ((3, 4), (4, 5), 0, 0), ((2, 3, 4), (2, 4, 5), 0, 0), ((1, 3, 7), (2, 7, 2), 0, 0), ((2, 3, 3, 8), (2, 1, 8, 9), 0, 0),
        ((2, 4, 3), (2, 4, 5), 1, 0), ((2, 3, 4), (2, 5, 4), 0, 1), ((2, 4, 3), (2, 5, 4), 1, 1), ((2, 5, 6), (6, 3), 0, 0),
        ((1, 1, 33), (1, 33, 1), 0, 0), ((4, 9, 16), (4, 16, 17), 0, 0),
    ]
    for dtype in REAL + ["int32"]:
        for constant_y in [False, True]:
            for a, b, adj_x, adj_y in shapes if not constant_y else shapes[1:6]:
                depth = a[-2] if adj_x else a[-1]
                x = given(dtype, a, scale=0.03, zero=None if dtype != "int16" else 0)
                y = given(dtype, b, scale=0.02, zero=5 if dtype == "int8" else None)
                y.constant = constant_y
                scale = np.float32(2.2 * np.sqrt(depth) * 74 * 74 * 0.03 * 0.02 / 128 * (1 if dtype != "int16" else 256 * 1.0))
                text = f"{shape_text(a)} by {shape_text(b)}" + (" adj_x" if adj_x else "") + (" adj_y" if adj_y else "")
                table = options("BatchMatMul", adjX=bool(adj_x), adjY=bool(adj_y))
                text += ", the second constant" if constant_y else ""
                cases.add(text, dtype, [x, y], [result(dtype, scale)], table)
    x, y = given("float32", (2, 3, 8)), constant(ends(127)((8, 5)), "int8", (8, 5), np.float32(0.01))
    cases.add("3x8 by 8x5", "hybrid", [x, y], [result("float32")], options("BatchMatMul"))
    for a, b, adj_x, adj_y in shapes[1:8]:
        for per_channel in [True, False]:
            columns, axis = (b[-2], len(b) - 2) if adj_y else (b[-1], len(b) - 1)
            scale = np.linspace(0.004, 0.009, columns, dtype=np.float32) if per_channel else np.float32(0.007)
            y = constant(ends(127)(b), "int8", b, scale, 0, axis if per_channel else 0)
            text = f"{shape_text(a)} by {shape_text(b)}" + (" adj_x" if adj_x else "") + (" adj_y" if adj_y else "")
            table = options("BatchMatMul", adjX=bool(adj_x), adjY=bool(adj_y))
            cases.add(text + ("" if per_channel else ", one scale"), "hybrid", [uneven(a), y], [result("float32")], table)
    # XNNPACK takes the product where the second operand has no zero point.
    for constant_y in [False, True]:
        for a, b, adj_x, adj_y in [((2, 20, 3), (2, 3, 9), 0, 0), ((2, 20, 3), (2, 9, 3), 0, 1), ((1, 3, 20), (1, 3, 9), 1, 0)]:
            x, y = given("int8", a, scale=0.03), given("int8", b, scale=0.02, zero=0)
            y.constant = constant_y
            text = f"no zero point, {shape_text(a)} by {shape_text(b)}" + (" adj_x" if adj_x else "") + (" adj_y" if adj_y else "")
            table = options("BatchMatMul", adjX=bool(adj_x), adjY=bool(adj_y))
            scale = np.float32(2.2 * np.sqrt(3) * 74 * 74 * 0.03 * 0.02 / 128)
            cases.add(text + (", the second constant" if constant_y else ""), "int8", [x, y], [result("int8", scale)], table)
    for zero in [0, 5]:
        x, y, inner = given("int8", (2, 20, 3), scale=0.03), given("int8", (2, 3, 9), scale=0.02, zero=zero), result("int8", 0.03, open=True)
        table, scale = options("BatchMatMul"), np.float32(2.2 * np.sqrt(3) * 74 * 74 * 0.03 * 0.02 / 128)
        ops = [Op("NEG", [x], [inner]), Op("BATCH_MATMUL", [inner, y], [result("int8", scale)], table)]
        cases.graph(f"reads what is open, zero point {zero}", "int8", ops)
