"""The files that the tests read: tests/conformance/cases/<OPERATOR>.bin.

`ACHC`, the format's number (1, one byte), then a zlib stream of, little-endian:

    u32 cases, and for each
        text name, text type (the column of the table)
        blob model (.tflite)
        u8 inputs, and for each: blob elements, in the order of the model's inputs
        answer of XNNPACK and built-in kernels, answer of the reference kernels
    answer: u8 kind
        0: refused, text reason
        1: u8 results, and for each: u8 type (TensorType), u8 rank, u32 dimensions, blob elements
        2: the same as the answer before
    text: u16 length, UTF-8; blob: u32 length, bytes
"""

import struct
import zlib

import numpy as np

from graph import TYPES

MAGIC = b"ACHC\x01"


def text(value):
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def blob(data):
    return struct.pack("<I", len(data)) + data


def little_endian(values):
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def answer(values):
    if isinstance(values, str):
        return b"\x00" + text(values)
    parts = [struct.pack("<BB", 1, len(values))]
    for array in values:
        head = struct.pack("<BB", TYPES[array.dtype.name], array.ndim)
        parts.append(head + struct.pack(f"<{array.ndim}I", *array.shape) + blob(little_endian(array)))
    return b"".join(parts)


def case(name, dtype, model, inputs, default, reference):
    parts = [text(name), text(dtype), blob(model), struct.pack("<B", len(inputs))]
    parts += [blob(little_endian(values)) for values in inputs]
    first, second = answer(default), answer(reference)
    return b"".join([*parts, first, b"\x02" if first == second else second])


def pack(cases):
    """The bytes of a file with these cases, each as `case` made it."""
    return MAGIC + zlib.compress(struct.pack("<I", len(cases)) + b"".join(cases), 9)
