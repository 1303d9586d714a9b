"""Writes tests/fixtures/pictures: one small picture of each kind that decoders treat differently.

    venv/bin/python scripts/preprocess/pictures.py     (the environment of make.py)

Each is 16 x 12 pixels of a seeded gradient with some noise, so that a wrong channel, bit depth,
orientation, profile or transparency shows. Beside them are networks that give the picture back, or
that normalize by themselves.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

OUT = Path(__file__).resolve().parents[2] / "tests/fixtures/pictures"
W, H = 16, 12

rng = np.random.default_rng(20)
y, x = np.mgrid[0:H, 0:W]
base = np.stack([x * 16, y * 20, 255 - x * 8 - y * 8], -1) + rng.integers(-12, 13, (H, W, 3))
RGB = np.clip(base, 0, 255).astype(np.uint8)
GRAY = np.asarray(Image.fromarray(RGB).convert("L"))
ALPHA = np.clip((x + y) * 12 - 20, 0, 255).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
# The low bytes differ, so that dropping them and rounding them differ.
WIDE = RGB.astype(np.uint16) * 256 + rng.integers(0, 256, (H, W, 3)).astype(np.uint16)
WIDE_ALPHA = ALPHA.astype(np.uint16) * 256 + rng.integers(0, 256, (H, W)).astype(np.uint16)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(pixels, bits, kind, extra=()):
    """A PNG of any color type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA."""
    rows = pixels.reshape(H, -1)
    raw = rows.astype(">u2" if bits == 16 else np.uint8)
    data = b"".join(b"\0" + row.tobytes() for row in raw)
    head = struct.pack(">IIBBBBB", W, H, bits, kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", head), *(chunk(*one) for one in extra), chunk(b"IDAT", zlib.compress(data, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def profile(kind, columns, gamma):
    """A minimal ICC 2.4 profile: a matrix (columns of XYZ at D50) and one gamma for all curves."""
    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = [(b"desc", text + bytes(-len(text) % 4)), (b"wtpt", xyz((0.9642, 1.0, 0.82491)))]
    if kind == b"GRAY":
        tags.append((b"kTRC", curve))
    else:
        tags += [(name, xyz(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns)]
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, data, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, body in tags:
        table += struct.pack(">4sII", name, offset + len(data), len(body))
        data += body
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"\0\0\0\0", 0x02400000, b"mntr", kind, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.82491)))
    return head + bytes(128 - len(head)) + body


# The primaries of Display P3 at D50, with a plain gamma.
P3 = profile(b"RGB ", ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)), 2.2)
DARK_GRAY = profile(b"GRAY", (), 1.4)


def icc(data):
    return b"iCCP", b"test\0\0" + zlib.compress(data, 9)


def saved(picture, form, **options):
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def files():
    rgb, rgba, gray = Image.fromarray(RGB), Image.fromarray(RGBA), Image.fromarray(GRAY)
    yield "rgb.png", png(RGB, 8, 2)
    yield "rgb16.png", png(WIDE, 16, 2)
    yield "rgba.png", png(RGBA, 8, 6)
    yield "rgba16.png", png(np.dstack([WIDE, WIDE_ALPHA]), 16, 6)
    yield "gray.png", png(GRAY, 8, 0)
    yield "gray16.png", png(WIDE[..., 0], 16, 0)
    yield "gray_alpha.png", png(np.dstack([GRAY, ALPHA]), 8, 4)
    yield "gray_alpha16.png", png(np.dstack([WIDE[..., 0], WIDE_ALPHA]), 16, 4)
    quantized = rgb.quantize(32)
    colors = bytes(quantized.getpalette()[: 3 * 32])
    yield "palette.png", png(np.asarray(quantized), 8, 3, [(b"PLTE", colors)])
    yield "palette_alpha.png", png(np.asarray(quantized), 8, 3, [(b"PLTE", colors), (b"tRNS", bytes(range(0, 256, 16)))])
    key = struct.pack(">3H", *map(int, RGB[3, 4]))
    yield "rgb_key.png", png(RGB, 8, 2, [(b"tRNS", key)])
    yield "p3.png", png(RGB, 8, 2, [icc(P3)])
    yield "p3_16.png", png(WIDE, 16, 2, [icc(P3)])
    yield "p3_alpha.png", png(RGBA, 8, 6, [icc(P3)])
    yield "p3_palette.png", png(np.asarray(quantized), 8, 3, [icc(P3), (b"PLTE", colors)])
    yield "gray_icc.png", png(GRAY, 8, 0, [icc(DARK_GRAY)])
    yield "damaged_icc.png", png(RGB, 8, 2, [icc(P3[:100])])
    gamma = struct.pack(">I", 100000)
    srgb_primaries = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    yield "gamma.png", png(RGB, 8, 2, [(b"gAMA", gamma)])
    yield "gamma_primaries.png", png(RGB, 8, 2, [(b"gAMA", gamma), (b"cHRM", srgb_primaries)])
    yield "lossless.webp", saved(rgb, "WEBP", lossless=True)
    yield "lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "lossy.webp", saved(rgb, "WEBP", quality=90)
    yield "p3.webp", saved(rgb, "WEBP", lossless=True, icc_profile=P3)
    yield "plain.gif", saved(quantized, "GIF")
    yield "transparent.gif", saved(quantized, "GIF", transparency=5)
    yield "plain.bmp", saved(rgb, "BMP")
    yield "palette.bmp", saved(quantized, "BMP")
    yield "gray.bmp", saved(gray, "BMP")
    yield "plain.jpg", saved(rgb, "JPEG", quality=95, subsampling=0)
    yield "subsampled.jpg", saved(rgb, "JPEG", quality=95, subsampling=2)
    yield "progressive.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, progressive=True)
    yield "gray.jpg", saved(gray, "JPEG", quality=95)
    yield "p3.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, icc_profile=P3)
    yield "cmyk.jpg", saved(rgb.convert("CMYK"), "JPEG", quality=95)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        yield f"exif{orientation}.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x112] = 6
    yield "exif6.webp", saved(rgb, "WEBP", lossless=True, exif=exif)
    yield "exif6.png", saved(rgb, "PNG", exif=exif)
    # A drawing whose colors are all one: black where it is seen.
    stroke = np.zeros((H, W, 4), np.uint8)
    stroke[2:10, 7:9, 3] = 255
    yield "stroke.png", png(stroke, 8, 6)


def network(nodes, constants, output):
    """An ONNX file of one picture, [1, 3, 12, 16]."""
    shapes = {"echo": [1, 3, H, W], "scores": [1, 3]}
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, [result], **attributes) for kind, inputs, result, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, H, W])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shapes[output])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def scores(nodes, constants):
    """softmax(4 * mean color) of what the nodes make of the input."""
    tail = [
        ("GlobalAveragePool", ["x"], "mean", {}),
        ("Flatten", ["mean"], "flat", {}),
        ("Gemm", ["flat", "weights"], "logits", {}),
        ("Softmax", ["logits"], "scores", {}),
    ]
    return network([*nodes, *tail], {**constants, "weights": 4 * np.eye(3)}, "scores")


def networks():
    yield "echo.onnx", network([("Mul", ["input", "one"], "echo", {})], {"one": 1}, "echo")
    rescaled = [("Mul", ["input", "scale"], "x", {})]
    yield "rescales.onnx", scores(rescaled, {"scale": 1 / 255})
    standard = [("Sub", ["input", "mean3"], "y", {}), ("Div", ["y", "std3"], "x", {})]
    mean, std = np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1)), np.reshape([0.229, 0.224, 0.225], (1, 3, 1, 1))
    yield "standardizes.onnx", scores(standard, {"mean3": mean, "std3": std})


OUT.mkdir(parents=True, exist_ok=True)
for name, data in (*files(), *networks()):
    (OUT / name).write_bytes(data)
