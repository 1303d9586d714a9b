"""Operators that join elements along dimensions."""

import numpy as np

from graph import TYPES, constant, given, options, result
from operators import ALL, INTEGER, QUANTISED, REAL, operator, shape_text

SHAPES = [
    ((1, 7, 7, 9), (1, 2)), ((2, 3, 4, 5), (1, 2)), ((2, 3, 4, 5), (3,)), ((2, 3, 4, 5), (0,)), ((2, 3, 4, 5), (1, 3)),
    ((2, 3, 4, 5), (0, -2)), ((3, 4, 5), (2,)), ((3, 4, 5), (1,)), ((6, 5), (0, 1)), ((33,), (0,)), ((2, 3, 2, 2, 3), (1, 4)),
    ((1, 3, 1, 5), (0, 2)), ((2, 3, 4, 5), (0, 1, 2, 3)), ((1, 2, 2, 64), (1, 2)), ((2, 3, 4, 5), (2, 2, -2)),
]


@operator("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
def reduce(cases):
    operator = cases.operator
    keeps = operator in ["REDUCE_MAX", "REDUCE_MIN"]
    logical = operator in ["REDUCE_ANY", "REDUCE_ALL"]
    for dtype in ALL if logical else ALL[:-1]:
        for i, (shape, axes) in enumerate(SHAPES if not logical or dtype == "bool" else SHAPES[:1]):
            for keep in [False, True] if i % 3 == 1 else [i % 3 == 2]:
                count = int(np.prod([shape[a] for a in set(a % len(shape) for a in axes)]))
                low, high = (-1.5, 1.5) if operator == "REDUCE_PROD" and dtype == "float32" else (-6, 6)
                x = given(dtype, shape, low, high)
                if dtype in QUANTISED and not keeps:
                    grow = {"SUM": np.sqrt(count), "MEAN": max(1 / np.sqrt(count), 0.2), "REDUCE_PROD": 1.0}.get(operator, 1.0)
                    y = result(dtype, np.float32(x.scale * 1.1 * grow), x.zero + (9 if dtype != "int16" else 0))
                else:
                    y = result(dtype)
                name = f"{shape_text(shape)} axes {','.join(map(str, axes))}{' keep_dims' if keep else ''}"
                cases.add(name, dtype, [x, constant(axes)], [y], options("Reducer", keepDims=keep))
        if logical and dtype != "bool":
            continue
        if dtype in QUANTISED and operator != "REDUCE_PROD":
            cases.add("scale kept", dtype, [given(dtype, (1, 5, 5, 8)), constant((1, 2))], [result(dtype)], options("Reducer"))
        cases.add("no axis", dtype, [given(dtype, (2, 3)), constant(np.zeros(0, np.int32))], [result(dtype)], options("Reducer"))
        cases.add("axis as a scalar", dtype, [given(dtype, (2, 3, 4)), constant(np.int32(1))], [result(dtype)], options("Reducer"))


@operator("ARG_MAX", "ARG_MIN")
def arg(cases):
    kind = "ArgMax" if cases.operator == "ARG_MAX" else "ArgMin"
    for dtype in ALL:
        for i, (shape, axis) in enumerate([((1, 10), 1), ((2, 3, 4, 5), 3), ((2, 3, 4, 5), -1), ((2, 3, 4, 5), 1), ((7,), 0), ((3, 4), 0),
                                           ((1, 4, 4, 21), 3)]):
            out = "int64" if i % 2 else "int32"
            table = options(kind, outputType=TYPES[out])
            cases.add(f"{shape_text(shape)} axis {axis} to {out}", dtype, [given(dtype, shape), constant(np.int32(axis))],
                      [result(out)], table)
        ties = np.tile([3, 5, 5, 1, 1, 5], 3).reshape(3, 6)
        cases.add("ties", dtype, [given(dtype, ties.shape, values=ties), constant(np.int32(1))], [result("int32")],
                  options(kind, outputType=TYPES["int32"]))


@operator("CUMSUM")
def cumsum(cases):
    for dtype in REAL + INTEGER:
        for shape, axis in [((7,), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((3, 4), 0)]:
            for exclusive, reverse in [(False, False), (True, False), (False, True), (True, True)]:
                name = f"{shape_text(shape)} axis {axis}{' exclusive' if exclusive else ''}{' reverse' if reverse else ''}"
                cases.add(name, dtype, [given(dtype, shape), constant(np.int32(axis))], [result(dtype)],
                          options("Cumsum", exclusive=exclusive, reverse=reverse))


@operator("TOPK_V2")
def topk(cases):
    for dtype in ALL:
        for shape, k in [((10,), 3), ((3, 7), 1), ((2, 3, 5), 5), ((1, 33), 10), ((4, 6), 2)]:
            cases.add(f"{shape_text(shape)} k {k}", dtype, [given(dtype, shape), constant(np.int32(k))],
                      [result(dtype), result("int32")], options("TopKV2"))
        ties = [[2, 5, 5, 2, 5, 1]] if dtype != "bool" else [[0, 1, 1, 0, 1, 1]]
        cases.add("ties", dtype, [given(dtype, (1, 6), values=ties), constant(np.int32(4))], [result(dtype), result("int32")],
                  options("TopKV2"))
