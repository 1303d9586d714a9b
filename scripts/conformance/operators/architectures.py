"""Networks in small: the patterns of architectures that go wrong where a single operator does not show it.

Each counts among the cases of the operator that it is about.
"""

import numpy as np

from graph import ACTIVATIONS, SAME, Op, constant, given, options, result
from operators.convolution import conv_options, dense_options, depthwise_options, ends, weighted


def float_conv(x, channels, out_c, kernel, stride=1, activation="relu", kind="int8"):
    """A CONV_2D of floats whose weights have 8 bits, or 16."""
    shape = (out_c, kernel, kernel, channels)
    bias = constant(lambda rng: rng.uniform(-0.3, 0.3, out_c), "float32", (out_c,))
    y, ops = result("float32"), []
    if kind == "int8":
        scale = np.linspace(0.002, 0.004, out_c, dtype=np.float32)
        weights = constant(ends(127)(shape), "int8", shape, scale)
    else:
        half = constant(lambda rng: rng.uniform(-0.4, 0.4, shape), "float16", shape)
        weights = result("float32")
        ops.append(Op("DEQUANTIZE", [half], [weights], options("Dequantize")))
    ops.append(Op("CONV_2D", [x, weights, bias], [y], conv_options((stride, stride), (1, 1), SAME, activation)))
    return y, ops


def resnet_block(kind):
    """A bottleneck that halves the picture: the shortcut is a pointwise convolution with a stride of 2."""
    x = given("float32", (2, 9, 8, 6), -2, 3)
    shortcut, ops = float_conv(x, 6, 16, 1, 2, "none", kind)
    y = x
    for channels, out_c, kernel, stride, activation in [(6, 4, 1, 1, "relu"), (4, 4, 3, 2, "relu"), (4, 16, 1, 1, "none")]:
        y, more = float_conv(y, channels, out_c, kernel, stride, activation, kind)
        ops += more
    total = result("float32")
    ops.append(Op("ADD", [y, shortcut], [total], options("Add", fusedActivationFunction=ACTIVATIONS["relu"])))
    return ops


def quantised_network(dtype, open):
    """Convolution, depthwise, pointwise, pool, FULLY_CONNECTED: as converters for accelerators write it, the shapes of
    inner tensors are left out where it is `open`."""
    x = given(dtype, (1, 14, 14, 3))
    ops = []
    for kind, channels, out_c, kernel in [("CONV_2D", 3, 8, 3), ("DEPTHWISE_CONV_2D", 8, 8, 3), ("CONV_2D", 8, 12, 1)]:
        is_depthwise = kind == "DEPTHWISE_CONV_2D"
        shape = (1, kernel, kernel, out_c) if is_depthwise else (out_c, kernel, kernel, channels)
        depth = kernel * kernel * (1 if is_depthwise else channels)
        axis = 3 if is_depthwise else 0
        inputs, y = weighted(dtype, x, shape, axis, out_c, depth, per_channel=dtype == "int8", open=open)
        stride = (2, 2) if kernel == 3 and not is_depthwise else (1, 1)
        table = (depthwise_options(stride, (1, 1), SAME, 1, "relu6") if is_depthwise
                 else conv_options(stride, (1, 1), SAME, "relu6"))
        ops.append(Op(kind, inputs, [y], table))
        x = y
    pooled = result(dtype, x.scale, x.zero, open=open)
    table = options("Pool2D", padding=1, strideH=1, strideW=1, filterHeight=7, filterWidth=7)
    ops.append(Op("AVERAGE_POOL_2D", [x], [pooled], table))
    flat = result(dtype, x.scale, x.zero, open=open)
    ops.append(Op("RESHAPE", [pooled, constant([1, 12])], [flat], options("Reshape", newShape=[1, 12])))
    inputs, logits = weighted(dtype, flat, (5, 12), 0, 5, 12, per_channel=False)
    ops.append(Op("FULLY_CONNECTED", inputs, [logits], dense_options()))
    return ops


def wide_classifier():
    """16-bit activations, 8-bit weights: a convolution, a mean, FULLY_CONNECTED and the SOFTMAX."""
    x = given("int16", (1, 8, 8, 3))
    inputs, features = weighted("int16", x, (6, 3, 3, 3), 0, 6, 27)
    ops = [Op("CONV_2D", inputs, [features], conv_options((2, 2), (1, 1), SAME, "relu"))]
    pooled = result("int16", features.scale, 0)
    ops.append(Op("MEAN", [features, constant([1, 2])], [pooled], options("Reducer")))
    inputs, logits = weighted("int16", pooled, (5, 6), 0, 5, 6, per_channel=False, spread=0.05)
    ops.append(Op("FULLY_CONNECTED", inputs, [logits], dense_options()))
    ops.append(Op("SOFTMAX", [logits], [result("int16", 1 / 32768, 0)], options("Softmax", beta=1.0)))
    return ops


def add(cases):
    """The networks that are about this operator."""
    if cases.operator == "CONV_2D":
        cases.graph("a ResNet's block", "hybrid", resnet_block("int8"))
        cases.graph("a ResNet's block of float16", "float32", resnet_block("float16"))
        for dtype in ["int8", "uint8"]:
            cases.graph("a network", dtype, quantised_network(dtype, False))
            cases.graph("a network without inner shapes", dtype, quantised_network(dtype, True))
    if cases.operator == "SOFTMAX":
        cases.graph("a classifier", "int16", wide_classifier())
