"""Models of one operator each behind a 1x1 convolution, with ONNX Runtime's answers.

    python3 operators.py    writes tests/fixtures/onnx/operators.json

Needs onnx, onnxruntime and numpy. Each model takes the same picture `[1, 4, 6, 7]` and ends in a Flatten, so
that its result is in ONNX's order whatever the operator's layout is.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FILE = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx/operators.json"
RANDOM = np.random.default_rng(7)
node = helper.make_node


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def integers(*values):
    return np.array(values, np.int64)


def one(operator, *constants, opset=17, **attributes):
    """`y = operator(x, constants...)`; a None is an operand that is left out."""
    names = ["" if value is None else f"k{at}" for at, value in enumerate(constants)]
    known = {f"k{at}": value for at, value in enumerate(constants) if value is not None}
    return opset, [node(operator, ["x", *names], ["y"], "tested", **attributes)], known


def resize(sizes=None, scales=None, opset=17, **attributes):
    scales = None if scales is None else np.array(scales, np.float32)
    sizes = None if sizes is None else integers(*sizes)
    if sizes is None:
        return one("Resize", None, scales, opset=opset, **attributes)
    return one("Resize", None, None, sizes, opset=opset, **attributes)


def chain(*nodes, opset=17, **constants):
    return opset, list(nodes), constants


def graph_of(outputs, *nodes, inputs=(), **constants):
    """A graph within a node. Inputs are pairs of a name and a type, or of a shape, too."""
    value = helper.make_tensor_value_info
    return helper.make_graph(
        list(nodes), "inside", [value(name, kind, shape) for name, kind, shape in inputs],
        [value(name, TensorProto.FLOAT if kind is None else kind, None) for name, kind in outputs],
        [numpy_helper.from_array(np.asarray(constant), key) for key, constant in constants.items()])


def on_channels(count, then, otherwise):
    """What PyTorch's exporter makes of a squeeze: a branch on a dimension of x."""
    return [
        node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "one"], ["channels"]),
        node("Equal", ["channels", count], ["is_one"]),
        node("If", ["is_one"], ["y"], "branch", then_branch=then, else_branch=otherwise),
    ]


def loop(outputs, body, *carried, count="rounds", condition="", opset=17, after=(), **constants):
    return chain(node("Loop", [count, condition, *carried], outputs, "loop", body=body), *after, opset=opset, **constants)


DOUBLE = graph_of([("d", None)], node("Add", ["x", "x"], ["d"]))
SQUARE = graph_of([("d", None)], node("Mul", ["x", "x"], ["s"]), node("Mul", ["s", "k"], ["d"]), k=np.float32(0.5))
GOES_ON = node("Identity", ["go"], ["goes"])
COUNTED = [("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, None)]
# v becomes v * (i + 1) + x; the body reads x from around it.
SUMS = [node("Cast", ["i"], ["f"], to=TensorProto.FLOAT), node("Add", ["f", "unit"], ["g"]),
        node("Mul", ["v", "g"], ["p"]), node("Add", ["p", "x"], ["next"])]

CASES = {
    "average pool": one("AveragePool", kernel_shape=[3, 3], strides=[2, 2]),
    "average pool, pads": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    "average pool, pads count": one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
    "average pool, ceil": one("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "max pool, pads": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max pool, ceil": one("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max pool, same lower": one("MaxPool", kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_LOWER"),
    "global max pool": one("GlobalMaxPool"),
    "conv, uneven pads": one("Conv", normal(5, 4, 3, 3), normal(5), pads=[0, 1, 2, 1], strides=[2, 1]),
    "conv, dilation": one("Conv", normal(5, 4, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2]),
    "conv, groups": one("Conv", normal(6, 2, 3, 3), normal(6), group=2),
    "conv, depthwise": one("Conv", normal(8, 1, 3, 3), normal(8), group=4, auto_pad="SAME_UPPER"),
    "transposed conv": one("ConvTranspose", normal(4, 5, 3, 3), normal(5), strides=[2, 2]),
    "transposed conv, pads": one(
        "ConvTranspose", normal(4, 5, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    ),
    "batch norm": one("BatchNormalization", normal(4), normal(4), normal(4), normal(4) ** 2 + 0.5),
    "instance norm": one("InstanceNormalization", normal(4), normal(4)),
    "layer norm": one("LayerNormalization", normal(6, 7), normal(6, 7), axis=2),
    "resize nearest, twice": resize(scales=[1, 1, 2, 2], mode="nearest", coordinate_transformation_mode="asymmetric",
                                    nearest_mode="floor"),
    "resize linear, half pixel": resize(scales=[1, 1, 2, 2], mode="linear"),
    "resize linear, corners": resize(sizes=[1, 4, 9, 11], mode="linear", coordinate_transformation_mode="align_corners"),
    "resize linear, pytorch": resize(sizes=[1, 4, 12, 14], mode="linear",
                                     coordinate_transformation_mode="pytorch_half_pixel"),
    "pad, constant": one("Pad", integers(0, 0, 1, 2, 0, 0, 3, 1), np.float32(1.5)),
    "pad, reflect": one("Pad", integers(0, 0, 1, 2, 0, 0, 3, 1), mode="reflect"),
    "pad, channels": one("Pad", integers(0, 1, 0, 0, 0, 2, 0, 0)),
    "slice": one("Slice", integers(1, 1), integers(5, -1), integers(2, 3)),
    "slice, steps": one("Slice", integers(0, 1), integers(4, 7), integers(1, 3), integers(2, 3)),
    "slice, reversed": one("Slice", integers(-1), integers(-100), integers(3), integers(-1)),
    "gather": one("Gather", integers(2, 0, 2), axis=1),
    "gather, one": one("Gather", np.int64(-1), axis=2),
    "transpose": one("Transpose", perm=[0, 3, 1, 2]),
    "reshape": one("Reshape", integers(0, 2, 2, -1)),
    "expand": one("Expand", integers(2, 4, 6, 7)),
    "tile": one("Tile", integers(1, 2, 1, 3)),
    "reduce mean": one("ReduceMean", axes=[2, 3], keepdims=0),
    "reduce mean, channels": one("ReduceMean", axes=[1]),
    "reduce sum": one("ReduceSum", integers(-1), keepdims=0),
    "reduce max": one("ReduceMax", axes=[1, 2], keepdims=0),
    "reduce l2": one("ReduceL2", axes=[1]),
    "arg max": chain(node("ArgMax", ["x"], ["a"], axis=1, keepdims=0), node("Cast", ["a"], ["y"], to=1)),
    "softmax, channels": one("Softmax", axis=1),
    "softmax, old": one("Softmax", axis=1, opset=11),
    "log softmax": one("LogSoftmax", axis=3),
    "clip": one("Clip", np.float32(-0.5), np.float32(0.7)),
    "clip, old": one("Clip", opset=10, min=0.0, max=6.0),
    "leaky relu": one("LeakyRelu", alpha=0.2),
    "prelu": one("PRelu", normal(4, 1, 1)),
    "elu": one("Elu"),
    "hard sigmoid": one("HardSigmoid", alpha=0.3, beta=0.4),
    "hard swish": one("HardSwish"),
    "gelu": one("Gelu", opset=20),
    "mish": chain(node("Softplus", ["x"], ["s"]), node("Tanh", ["s"], ["t"]), node("Mul", ["x", "t"], ["y"])),
    "add, channels": one("Add", normal(4, 1, 1)),
    "mul, columns": one("Mul", normal(7)),
    "sub, rows": one("Sub", normal(6, 1)),
    "div, number": one("Div", np.float32(3)),
    "pow": chain(node("Abs", ["x"], ["a"]), node("Pow", ["a", "k"], ["y"]), k=np.float32(1.5)),
    "where": chain(node("Greater", ["x", "k"], ["c"]), node("Where", ["c", "x", "k"], ["y"]), k=np.float32(0.1)),
    "concat": chain(node("Relu", ["x"], ["r"]), node("Concat", ["r", "x", "k"], ["y"], axis=1), k=normal(1, 2, 6, 7)),
    "split": chain(node("Split", ["x", "k"], ["a", "b"], axis=1), node("Mul", ["b", "b"], ["c"]),
                   node("Concat", ["c", "a"], ["y"], axis=1), k=integers(1, 3)),
    "depth to space": one("DepthToSpace", blocksize=2),
    "depth to space, crd": one("DepthToSpace", blocksize=2, mode="CRD"),
    "space to depth": chain(node("Slice", ["x", "b", "e", "a"], ["s"]), node("SpaceToDepth", ["s"], ["y"], blocksize=2),
                            b=integers(0), e=integers(6), a=integers(3)),
    "channel shuffle": chain(node("Reshape", ["x", "k"], ["a"]), node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
                             node("Reshape", ["b", "m"], ["y"]), k=integers(1, 2, 2, 6, 7), m=integers(1, 4, 6, 7)),
    "matmul": one("MatMul", normal(7, 5)),
    "matmul, computed": chain(node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]), node("MatMul", ["x", "t"], ["y"])),
    "gemm": chain(node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "w", "b"], ["y"], alpha=0.5, beta=2.0),
                  w=normal(168, 5), b=normal(5)),
    "lrn": one("LRN", size=3, alpha=0.1, beta=0.7, bias=1.5),
    "resize linear, scales that do not divide": resize(scales=[1, 1, 0.6, 0.6], mode="linear"),
    "resize linear, asymmetric, 1.3": resize(scales=[1, 1, 1.3, 1.7], mode="linear",
                                             coordinate_transformation_mode="asymmetric"),
    "resize cubic": resize(scales=[1, 1, 1.5, 0.8], mode="cubic"),
    "resize cubic, outside excluded": resize(sizes=[1, 4, 9, 5], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
    "resize nearest, ceil": resize(scales=[1, 1, 0.7, 1.4], mode="nearest", nearest_mode="ceil"),
    "resize nearest, prefer ceil": resize(sizes=[1, 4, 10, 4], mode="nearest", nearest_mode="round_prefer_ceil"),
    "resize by the smaller ratio": resize(sizes=[9, 20], mode="linear", opset=18, axes=[2, 3],
                                          keep_aspect_ratio_policy="not_larger"),
    "upsample, old": one("Upsample", np.array([1, 1, 2, 3], np.float32), opset=9, mode="nearest"),
    "max pool, dilated": one("MaxPool", kernel_shape=[2, 3], dilations=[2, 2], pads=[1, 0, 1, 2], strides=[1, 2]),
    "average pool, dilated": one("AveragePool", kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 1, 1], opset=19),
    "average pool, dilated, pads count": one("AveragePool", kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 1, 1],
                                             count_include_pad=1, strides=[2, 2], opset=19),
    "lp pool": one("LpPool", kernel_shape=[2, 3], p=3, strides=[2, 1]),
    "transposed conv, groups": one("ConvTranspose", normal(4, 3, 3, 3), normal(6), group=2, strides=[2, 1],
                                   pads=[1, 0, 0, 2], output_padding=[1, 0]),
    "transposed conv, dilated": one("ConvTranspose", normal(4, 2, 2, 3), dilations=[2, 1], strides=[1, 3]),
    "transposed conv, same": one("ConvTranspose", normal(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    "conv of three dimensions": chain(
        node("Reshape", ["x", "k"], ["v"]), node("Conv", ["v", "w", "b"], ["y"], strides=[1, 2, 1], pads=[1, 1, 1, 0, 1, 1],
                                                 group=2),
        k=integers(1, 2, 2, 6, 7), w=normal(4, 1, 2, 3, 3), b=normal(4)),
    "pad, edge": one("Pad", integers(0, 0, 1, 2, 0, 0, 3, 1), mode="edge"),
    "pad, wrap": one("Pad", integers(0, 0, 1, 2, 0, 1, 3, 1), mode="wrap", opset=19),
    "pad, negative": one("Pad", integers(0, -1, 1, -2, 0, 0, -1, 1)),
    "slice, back and partly": one("Slice", integers(5), integers(0), integers(3), integers(-2)),
    "shifted windows' mask": chain(
        node("ScatterND", ["zeros", "places", "ones"], ["scattered"]), node("Mul", ["scattered", "low"], ["mask"]),
        node("Add", ["x", "mask"], ["y"]), zeros=np.zeros((6, 7), np.float32), low=np.float32(-100),
        places=integers(0, 1, 3, 3, 5, 6).reshape(3, 2), ones=np.ones(3, np.float32)),
    "scattered elements, added": one("ScatterElements", integers(0, 1, 1, 2, 0, 0).reshape(1, 1, 2, 3),
                                     normal(1, 1, 2, 3), axis=3, reduction="add", opset=18),
    "position table": chain(
        node("GatherND", ["table", "places"], ["bias"]), node("Add", ["x", "bias"], ["y"]),
        table=normal(4, 9), places=np.stack(np.meshgrid(range(4), range(6), indexing="ij"), -1).astype(np.int64)
        .reshape(4, 6, 1, 2)),
    "padding of an odd size, clipped": chain(
        node("Shape", ["x"], ["s"]), node("Slice", ["s", "two", "four"], ["sides"]),
        node("Sub", ["eight", "sides"], ["missing"]), node("Cast", ["missing"], ["real"], to=1),
        node("Clip", ["real", "none"], ["wanted"]), node("Cast", ["wanted"], ["whole"], to=7),
        node("Concat", ["zeros", "zeros", "zeros", "whole"], ["pads"], axis=0), node("Pad", ["x", "pads"], ["y"]),
        two=integers(2), four=integers(4), eight=integers(8, 5), none=np.float32(0), zeros=integers(0, 0)),
    "standardised weights": chain(
        node("Reshape", ["w", "flat"], ["rows"]),
        node("BatchNormalization", ["rows", "gain", "none", "none", "one"], ["plain", "m", "v"], training_mode=1),
        node("Reshape", ["plain", "shape"], ["weights"]), node("Conv", ["x", "weights"], ["y"]),
        w=normal(5, 4, 3, 3), flat=integers(1, 5, -1), shape=integers(5, 4, 3, 3), gain=normal(5),
        none=np.zeros(5, np.float32), one=np.ones(5, np.float32)),
    "identity matrix": chain(node("EyeLike", ["k"], ["e"], dtype=1, k=1), node("MatMul", ["x", "e"], ["y"]),
                             k=np.zeros((7, 7), np.int64)),
    "einsum, batches": chain(node("Einsum", ["x", "k"], ["y"], equation="bchw,bcdw->bchd"), k=normal(1, 4, 5, 7)),
    "einsum, one row": chain(node("Einsum", ["x", "k"], ["y"], equation="bchw,ckw->bchk"), k=normal(4, 3, 7)),
    "einsum, sums": one("Einsum", equation="b...w->w..."),
    "nine dimensions": chain(
        node("Reshape", ["x", "k"], ["a"]), node("Transpose", ["a"], ["b"], perm=[0, 1, 6, 3, 4, 5, 2, 7, 8]),
        node("Reshape", ["b", "m"], ["y"]), k=integers(1, 1, 2, 2, 1, 2, 3, 1, 7), m=integers(1, 6, 4, 7)),
    "gather, negative at run time": chain(
        node("ArgMax", ["x"], ["a"], axis=1, keepdims=0), node("Sub", ["a", "four"], ["i"]),
        node("Gather", ["table", "i"], ["y"]), four=np.int64(4), table=normal(4)),
    "gather elements, computed": chain(
        node("ArgMin", ["x"], ["a"], axis=3), node("Sub", ["a", "seven"], ["i"]),
        node("GatherElements", ["x", "i"], ["y"], axis=3), seven=np.int64(7)),
    "rms norm": chain(node("RMSNormalization", ["x", "k"], ["y"], axis=-1), k=normal(7), opset=23),
    "layer norm, its statistics": chain(
        node("LayerNormalization", ["x", "k"], ["n", "m", "d"], axis=2), node("Mul", ["m", "d"], ["s"]),
        node("Add", ["n", "s"], ["y"]), k=normal(6, 7)),
    "grid sample": chain(node("Tanh", ["k"], ["g"]), node("GridSample", ["x", "g"], ["y"]), k=normal(1, 5, 4, 2)),
    "lstm": chain(node("Squeeze", ["x", "zero"], ["s"]), node("Transpose", ["s"], ["t"], perm=[0, 1, 2]),
                  node("LSTM", ["t", "w", "r", "b"], ["y"], hidden_size=3, direction="bidirectional"),
                  zero=integers(0), w=normal(2, 12, 7), r=normal(2, 12, 3), b=normal(2, 24)),
    "gru": chain(node("Squeeze", ["x", "zero"], ["s"]), node("GRU", ["s", "w", "r", "b"], ["y"], hidden_size=3,
                                                             linear_before_reset=1),
                 zero=integers(0), w=normal(1, 9, 7), r=normal(1, 9, 3), b=normal(1, 18)),
    "top k, least": chain(node("TopK", ["x", "k"], ["y", "i"], axis=3, largest=0), k=integers(3)),
    "hard max": one("Hardmax", axis=1),
    "functions": chain(
        node("Tanh", ["x"], ["t"]), node("Asin", ["t"], ["a"]), node("Atan", ["x"], ["b"]), node("Erf", ["x"], ["c"]),
        node("Sinh", ["x"], ["d"]), node("Asinh", ["x"], ["e"]), node("Atanh", ["t"], ["f"]), node("Celu", ["x"], ["g"]),
        node("Concat", ["a", "b", "c", "d", "e", "f", "g"], ["y"], axis=1)),
    "branch on a shape, then": chain(*on_channels("four", DOUBLE, SQUARE), one=np.int64(1), four=np.int64(4)),
    "branch on a shape, else": chain(*on_channels("five", DOUBLE, SQUARE), one=np.int64(1), five=np.int64(5)),
    "branch on a constant, names twice": chain(
        node("If", ["yes"], ["d"], "branch 1", then_branch=SQUARE, else_branch=DOUBLE),
        node("If", ["no"], ["e"], "branch 2", then_branch=DOUBLE, else_branch=SQUARE),
        node("Add", ["d", "e"], ["y"]), yes=np.bool_(True), no=np.bool_(False)),
    "branch within a branch": chain(
        *on_channels("four", graph_of(
            [("z", None)], node("Neg", ["x"], ["n"]), node("Shape", ["n"], ["sizes"]),
            node("Gather", ["sizes", "one"], ["w"]), node("Less", ["w", "five"], ["small"]),
            node("If", ["small"], ["z"], then_branch=graph_of([("b", None)], node("Abs", ["n"], ["b"])),
                 else_branch=graph_of([("b", None)], node("Identity", ["n"], ["b"])))), DOUBLE),
        one=np.int64(1), four=np.int64(4), five=np.int64(5)),
    "loop of three rounds": loop(
        ["y"], graph_of([("goes", TensorProto.BOOL), ("next", None)], *SUMS, GOES_ON, inputs=COUNTED), "x",
        rounds=np.int64(3), unit=np.float32(1)),
    "loop that does not run": loop(
        ["y"], graph_of([("goes", TensorProto.BOOL), ("next", None)], *SUMS, GOES_ON, inputs=COUNTED), "x",
        rounds=np.int64(0), unit=np.float32(1)),
    "loop with a constant condition": loop(
        ["y"], graph_of([("on", TensorProto.BOOL), ("next", None)], *SUMS, inputs=COUNTED, on=np.bool_(True)), "x",
        condition="yes", rounds=np.int64(2), unit=np.float32(1), yes=np.bool_(True)),
    "loop that joins": loop(
        ["last", "all"], graph_of([("goes", TensorProto.BOOL), ("next", None), ("p", None)], *SUMS, GOES_ON, inputs=COUNTED),
        "x", rounds=np.int64(3), unit=np.float32(1), after=[
            node("Squeeze", ["all", "one"], ["joined"]), node("Concat", ["joined", "last"], ["y"], axis=0)], one=integers(1)),
    "loop that joins, opset 12": loop(
        ["last", "all"], graph_of([("goes", TensorProto.BOOL), ("next", None), ("p", None)], *SUMS, GOES_ON, inputs=COUNTED),
        "x", rounds=np.int64(2), unit=np.float32(1), opset=12, after=[
            node("Squeeze", ["all"], ["joined"], axes=[1]), node("Add", ["joined", "last"], ["y"])]),
    "branch within a loop": loop(
        ["y"], graph_of(
            [("goes", TensorProto.BOOL), ("next", None)], node("Greater", ["i", "zero"], ["later"]),
            node("If", ["later"], ["next"], then_branch=graph_of([("b", None)], node("Add", ["v", "x"], ["b"])),
                 else_branch=graph_of([("b", None)], node("Sub", ["v", "unit"], ["b"]))), GOES_ON, inputs=COUNTED),
        "x", rounds=np.int64(3), unit=np.float32(1), zero=np.int64(0)),
    "flatten 2": one("Flatten", axis=2),
    "squeeze": chain(node("ReduceMax", ["x"], ["r"], axes=[2]), node("Squeeze", ["r", "k"], ["s"]),
                     node("Unsqueeze", ["s", "k"], ["y"]), k=integers(2)),
}


def main():
    first = normal(4, 4, 1, 1)
    x = normal(1, 4, 6, 7)
    cases = []
    for name, (opset, nodes, constants) in CASES.items():
        graph = helper.make_graph(
            [node("Conv", ["input", "first"], ["x"], "first"), *nodes, node("Flatten", ["y"], ["output"], "flat")],
            "tested",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 4, 6, 7])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(value), key) for key, value in {"first": first, **constants}.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 22 else 10)
        file = model.SerializeToString()
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"input": x})
        cases.append({"name": name, "model": file.hex(), "output": [float(f"{v:.7g}") for v in y.ravel().tolist()]})
    document = {"input": x.ravel().tolist(), "cases": cases}
    FILE.write_text(json.dumps(document, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
