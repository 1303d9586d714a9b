"""Answers of ONNX Runtime without saturated sums, and the proof that nothing else differs.

    python3 exact.py record MODELS   writes tests/fixtures/onnx/exact/<model>/<picture>.npy
    python3 exact.py prove MODELS    emulates the QOperator model with and without saturation

MODELS is the folder with `models/`, `inputs/` and `expected/expected.json`. Needs onnxruntime, numpy and
Pillow.

On x86-64 without an 8-bit dot product (VNNI) ONNX Runtime multiplies uint8 activations by int8 weights with
VPMADDUBSW, whose sums of two products saturate at 16 bits: a known loss of accuracy. Recorded answers may
come from such a machine. `record` therefore insists on VNNI, and `prove` shows for each picture that the
same network in plain integer arithmetic gives the answers of a machine with VNNI, and with saturated pairs
those that were recorded: equal to the bit in both cases.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image

QDQ, QOPERATOR = "mobilenet_v1_0.25_224_qdq_s8pc.onnx", "squeezenet1_1_qoperator.onnx"
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "tests/fixtures/onnx/exact"


def pictures(models, name):
    """Name and input of each recorded run, with its recorded answer."""
    runs = json.loads((models / "expected/expected.json").read_text())[name]
    for picture, run in runs.items():
        x = np.asarray(Image.open(models / run["input"])).astype(np.float32)
        if run["prep"] == "pm1":
            x = (x - np.float32(127.5)) / np.float32(127.5)
        else:
            x = x[..., ::-1] - np.array([104, 117, 123], np.float32)
        recorded = np.load(models / "expected" / name / run["outputs"]["ort"][0]["file"])
        yield picture, np.ascontiguousarray(x.transpose(2, 0, 1)[None]), recorded


def record(models):
    import onnxruntime

    flags = pathlib.Path("/proc/cpuinfo").read_text()
    if not any(flag in flags for flag in ("avx512_vnni", "avx_vnni")):
        sys.exit("this processor has no 8-bit dot product: ONNX Runtime would saturate")
    for name in (QDQ, QOPERATOR):
        session = onnxruntime.InferenceSession(models / "models" / name, providers=["CPUExecutionProvider"])
        (FIXTURES / name).mkdir(parents=True, exist_ok=True)
        for picture, x, recorded in pictures(models, name):
            (y,) = session.run(None, {session.get_inputs()[0].name: x})
            np.save(FIXTURES / name / f"{picture}.npy", y)
            print(name, picture, f"{np.abs(y - recorded).max():.6f} from the recorded answer")


def columns(x, zero_point, kernel, stride, pads):
    """Patches `[pixels, kernel height * kernel width * channels]`, and the output's height and width."""
    channels, height, width = x.shape
    top, left, bottom, right = pads
    padded = np.full((channels, height + top + bottom, width + left + right), zero_point, x.dtype)
    padded[:, top : top + height, left : left + width] = x
    out_h = (padded.shape[1] - kernel[0]) // stride[0] + 1
    out_w = (padded.shape[2] - kernel[1]) // stride[1] + 1
    parts = [
        padded[:, i : i + out_h * stride[0] : stride[0], j : j + out_w * stride[1] : stride[1]]
        .reshape(channels, -1)
        .T
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return np.concatenate(parts, 1), out_h, out_w


def product(a, b, saturate):
    """uint8 `[m, k]` times int8 `[k, n]`; pairs of products at 16 bits, as VPMADDUBSW has them."""
    total = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)  # exact below 2^53
    if saturate:
        odd = a.shape[1] % 2
        a = np.pad(a.astype(np.int32), ((0, 0), (0, odd)))
        b = np.pad(b.astype(np.int32), ((0, odd), (0, 0)))
        for k in range(0, a.shape[1], 2):
            pair = a[:, k : k + 1] * b[k] + a[:, k + 1 : k + 2] * b[k + 1]
            total -= pair - np.clip(pair, -(2**15), 2**15 - 1)
    return total


def byte(x):
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def emulate(graph, x, saturate):
    """The network of QLinear operators in NumPy, in ONNX Runtime's arithmetic."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values[graph.input[0].name] = x
    for node in graph.node:
        i = [values[name] for name in node.input]
        a = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        match node.op_type:
            case "QuantizeLinear":
                y = byte(np.rint(i[0] / i[1]) + i[2])
            case "DequantizeLinear":
                y = (i[0].astype(np.int32) - int(i[2])).astype(np.float32) * i[1]
            case "QLinearConv":
                x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias = i
                assert w.dtype == np.int8 and not w_zero.any() and a.get("group", 1) == 1
                patches, out_h, out_w = columns(x[0], x_zero, w.shape[2:], a["strides"], a["pads"])
                flat = w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0])
                total = product(patches, flat, saturate) - int(x_zero) * flat.astype(np.int64).sum(0) + bias
                scale = (x_scale * w_scale / y_scale).astype(np.float32)
                y = byte(np.rint(total.astype(np.float32) * scale) + int(y_zero))
                y = y.T.reshape(1, -1, out_h, out_w)
            case "MaxPool":
                assert not any(a.get("pads", [])) and not a.get("ceil_mode")
                patches, out_h, out_w = columns(i[0][0], 0, a["kernel_shape"], a["strides"], [0] * 4)
                channels = i[0].shape[1]
                y = patches.reshape(len(patches), -1, channels).max(1).T.reshape(1, channels, out_h, out_w)
            case "QLinearConcat":
                y_scale, y_zero = i[:2]
                table = [
                    byte(np.rint((np.arange(256) - float(zero)).astype(np.float32) * scale / y_scale) + int(y_zero))
                    for scale, zero in zip(i[3::3], i[4::3])
                ]
                y = np.concatenate([table[at][part] for at, part in enumerate(i[2::3])], 1)
            case "QLinearGlobalAveragePool":
                x, x_scale, x_zero, y_scale, y_zero = i
                pixels = x.shape[2] * x.shape[3]
                total = x.astype(np.int64).sum((2, 3), keepdims=True) - pixels * int(x_zero)
                scale = np.float32(x_scale / (y_scale * np.float32(pixels)))
                y = byte(np.rint(total.astype(np.float32) * scale) + int(y_zero))
            case "Flatten":
                y = i[0].reshape(1, -1)
            case "QLinearSoftmax":
                x, x_scale, _, y_scale, y_zero = i
                e = np.exp((x.astype(np.float64) - x.max()) * float(x_scale))
                y = byte(np.rint(e / e.sum() / y_scale) + int(y_zero))
            case other:
                sys.exit(f"{other} is not emulated")
        values[node.output[0]] = y
    return values[graph.output[0].name]


def prove(models):
    graph = onnx.load(models / "models" / QOPERATOR).graph
    for picture, x, recorded in pictures(models, QOPERATOR):
        exact = np.load(FIXTURES / QOPERATOR / f"{picture}.npy")
        plain, saturated = (emulate(graph, x, saturate) for saturate in (False, True))
        print(
            f"{picture}: plain sums are {np.abs(plain - exact).max() * 256:.0f} steps from the exact answer,"
            f" saturated ones {np.abs(saturated - recorded).max() * 256:.0f} from the recorded one"
            f" (the two answers: {np.abs(exact - recorded).max() * 256:.0f})"
        )


if __name__ == "__main__":
    commands = {"record": record, "prove": prove}
    if len(sys.argv) != 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](pathlib.Path(sys.argv[2]))
