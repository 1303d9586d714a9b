"""Operators that move elements and compute none."""

import numpy as np

from graph import TYPES, constant, given, options, result
from operators import ALL, INTEGER, QUANTISED, operator, shape_text


def shapes_only(cases, dtype, name, inputs, table, outputs=1, version=1):
    """A case whose results have the operand's type, scale and zero point."""
    cases.add(name, dtype, inputs, [result(dtype) for _ in range(outputs)], table, version=version)


PADDINGS = [((2, 3, 4, 5), ((0, 1), (2, 0), (1, 1), (0, 3))), ((1, 4, 4, 3), ((0, 0), (1, 1), (2, 2), (0, 0))),
            ((1, 4, 4, 3), ((0, 0), (0, 1), (0, 1), (0, 0))), ((3, 4), ((1, 2), (0, 3))), ((7,), ((2, 3),)),
            ((2, 2, 3, 2, 2), ((1, 0), (0, 1), (0, 0), (2, 0), (0, 1))), ((1, 2, 2, 3), ((0, 0),) * 4)]


@operator("PAD", "PADV2")
def pad(cases):
    v2 = cases.operator == "PADV2"
    for dtype in ALL:
        for i, (shape, pads) in enumerate(PADDINGS):
            index = "int64" if i == 1 else "int32"
            inputs = [given(dtype, shape), constant(pads, index)]
            if v2:
                value = {"float32": -1.5, "int8": 33, "uint8": 200, "int16": -300, "bool": True}.get(dtype, -4)
                inputs.append(constant(np.asarray(value, dtype), dtype, (), inputs[0].scale, inputs[0].zero))
            shapes_only(cases, dtype, f"{shape_text(shape)} by {pads}", inputs, options("PadV2" if v2 else "Pad"))


@operator("MIRROR_PAD")
def mirror_pad(cases):
    for dtype in ALL:
        for mode, text in [(0, "REFLECT"), (1, "SYMMETRIC")]:
            for shape, pads in [((1, 4, 5, 2), ((0, 0), (1, 2), (3, 1), (0, 0))), ((5,), ((2, 3),)), ((3, 4), ((2, 0), (0, 3))),
                                ((2, 3, 3, 3), ((1, 1), (1, 0), (2, 2), (1, 2)))]:
                shapes_only(cases, dtype, f"{shape_text(shape)} by {pads} {text}", [given(dtype, shape), constant(pads)],
                            options("MirrorPad", mode=mode))


@operator("RESHAPE")
def reshape(cases):
    for dtype in ALL:
        for shape, target in [((2, 3, 4), (4, 6)), ((1, 1, 1, 33), (1, 33)), ((2, 3, 4, 5), (-1, 5)), ((24,), (2, 3, 4)), ((1,), ()),
                              ((), (1, 1)), ((2, 6), (2, -1, 3))]:
            text = f"{shape_text(shape)} to {target}"
            shapes_only(cases, dtype, text, [given(dtype, shape), constant(np.array(target, np.int32))], options("Reshape"))
            if target:
                shapes_only(cases, dtype, text + " by attribute", [given(dtype, shape)], options("Reshape", newShape=list(target)))


@operator("SQUEEZE")
def squeeze(cases):
    for dtype in ALL:
        for shape, dims in [((1, 3, 1, 5), []), ((1, 3, 1, 5), [0]), ((1, 3, 1, 5), [2]), ((1, 3, 1, 5), [-2, 0]), ((1, 1, 1, 7), [1, 2]),
                            ((1, 1), [])]:
            shapes_only(cases, dtype, f"{shape_text(shape)} dimensions {dims}", [given(dtype, shape)], options("Squeeze", squeezeDims=dims))


@operator("EXPAND_DIMS")
def expand_dims(cases):
    for dtype in ALL:
        for shape, axis in [((3, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), -4), ((), 0)]:
            shapes_only(cases, dtype, f"{shape_text(shape)} axis {axis}", [given(dtype, shape), constant(np.int32(axis))],
                        options("ExpandDims"))


@operator("CONCATENATION")
def concatenation(cases):
    for dtype in ALL:
        for shapes, axis in [
            ([(1, 4, 4, 3), (1, 4, 4, 5)], 3), ([(1, 4, 4, 3), (1, 4, 4, 5)], -1), ([(2, 3), (4, 3), (1, 3)], 0),
            ([(2, 2, 3), (2, 1, 3), (2, 4, 3), (2, 1, 3), (2, 2, 3)], 1), ([(5,), (7,)], 0), ([(2, 3, 4, 5)], 2),
            ([(1, 2, 3, 2, 2), (1, 2, 1, 2, 2)], 2), ([(1, 1, 33), (1, 1, 1)], 2),
        ]:
            text = f"{' and '.join(map(shape_text, shapes))} axis {axis}"
            shapes_only(cases, dtype, text, [given(dtype, shape) for shape in shapes], options("Concatenation", axis=axis))
        if dtype == "uint8":
            scales = [(0.05, 3), (0.08, -20), (0.02, 60)]
            inputs = [given(dtype, (1, 40), scale=s, zero=z + 128) for s, z in scales]
            cases.add("other scales than the result's", dtype, inputs, [result(dtype, 0.05, 131)], options("Concatenation", axis=1))
        x = given(dtype, (2, 3))
        cases.add("an operand twice", dtype, [x, x], [result(dtype)], options("Concatenation", axis=0))
        shapes_only(cases, dtype, "with a constant", [given(dtype, (1, 4)), constant(np.ones((1, 3)), dtype, None, x.scale, x.zero)],
                    options("Concatenation", axis=1))


@operator("TRANSPOSE")
def transpose(cases):
    for dtype in ALL:
        for shape, order in [((3, 4), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((2, 3, 4), (0, 2, 1)), ((1, 3, 4, 5), (0, 3, 1, 2)),
                             ((1, 5, 3, 4), (0, 2, 3, 1)), ((2, 3, 4, 5), (3, 2, 1, 0)), ((2, 3, 4, 5), (0, 1, 2, 3)), ((7,), (0,)),
                             ((2, 3, 2, 2, 3), (4, 1, 0, 3, 2)), ((1, 2, 3, 2, 2, 3), (0, 3, 1, 4, 5, 2))]:
            shapes_only(cases, dtype, f"{shape_text(shape)} by {order}", [given(dtype, shape), constant(order)], options("Transpose"))


@operator("SPLIT")
def split(cases):
    for dtype in ALL:
        for shape, axis, parts in [((2, 6), 1, 3), ((1, 4, 4, 8), 3, 2), ((1, 4, 4, 8), -1, 4), ((4, 3), 0, 2), ((2, 4, 3, 2), 1, 4), ((5,), 0, 1)]:
            shapes_only(cases, dtype, f"{shape_text(shape)} axis {axis} in {parts}", [constant(np.int32(axis)), given(dtype, shape)],
                        options("Split", numSplits=parts), parts)


@operator("SPLIT_V")
def split_v(cases):
    for dtype in ALL:
        for shape, axis, sizes in [((2, 6), 1, (1, 3, 2)), ((1, 4, 4, 8), 3, (5, 3)), ((1, 4, 4, 8), -1, (2, -1)), ((7,), 0, (7,)), ((5, 2), 0, (4, 1))]:
            inputs = [given(dtype, shape), constant(sizes), constant(np.int32(axis))]
            shapes_only(cases, dtype, f"{shape_text(shape)} axis {axis} in {sizes}", inputs, options("SplitV", numSplits=len(sizes)), len(sizes))


@operator("SLICE")
def slice_cases(cases):
    for dtype in ALL:
        for i, (shape, begin, size) in enumerate([((5, 6), (1, 2), (3, 2)), ((1, 4, 4, 3), (0, 1, 0, 0), (1, 2, 4, 3)),
                                                  ((2, 3, 4, 5), (1, 0, 2, 1), (1, -1, 2, -1)), ((9,), (3,), (4,)), ((2, 3), (0, 0), (-1, -1)),
                                                  ((2, 3, 2, 2, 4), (0, 1, 0, 1, 2), (2, 2, 1, 1, 2))]):
            index = "int64" if i == 1 else "int32"
            shapes_only(cases, dtype, f"{shape_text(shape)} from {begin} size {size}",
                        [given(dtype, shape), constant(begin, index), constant(size, index)], options("Slice"))


@operator("STRIDED_SLICE")
def strided_slice(cases):
    grid = [
        ((5, 6), (1, 1), (4, 6), (2, 1), {}), ((5, 6), (-1, 0), (-5, 6), (-2, 3), {}), ((1, 5, 6, 3), (0, 0, 0, 0), (1, 5, 6, 3), (1, 2, 2, 1), {}),
        ((5, 6), (1, 2), (3, 4), (1, 1), {"beginMask": 1}), ((5, 6), (1, 2), (3, 4), (1, 1), {"endMask": 2}),
        ((5, 6), (2, 0), (3, 6), (1, 1), {"shrinkAxisMask": 1}), ((5, 6), (-2, 1), (0, 2), (1, 1), {"shrinkAxisMask": 3}),
        ((2, 3, 4, 5), (0, 1), (0, 3), (1, 1), {"ellipsisMask": 1}), ((2, 3, 4), (0, 0, 1), (0, 2, 3), (1, 1, 1), {"newAxisMask": 1}),
        ((2, 3, 4), (1, 0, 0), (2, 0, 2), (1, 1, 1), {"ellipsisMask": 2, "shrinkAxisMask": 1}), ((9,), (7,), (0,), (-3,), {}),
        ((9,), (0,), (0,), (-1,), {"beginMask": 1, "endMask": 1}), ((4, 3), (0, 0), (100, 100), (1, 1), {}),
        ((4, 3), (-100, 1), (2, 3), (1, 1), {}), ((2, 3, 4, 5), (0, 0, 0), (2, 2, 2), (1, 1, 1), {}), ((4,), (1,), (3,), (1,), {"offset": True}),
        ((2, 2, 3, 2, 4), (0, 0, 1, 0, 0), (2, 2, 3, 2, 4), (1, 1, 1, 1, 2), {}), ((4, 3), (2, 0), (2, 3), (1, 1), {}),
    ]
    for dtype in ALL:
        for shape, begin, end, stride, masks in grid:
            text = f"{shape_text(shape)} {begin} {end} {stride}" + "".join(f" {key} {value}" for key, value in masks.items())
            shapes_only(cases, dtype, text, [given(dtype, shape), constant(begin), constant(end), constant(stride)],
                        options("StridedSlice", **masks))


@operator("PACK")
def pack(cases):
    for dtype in ALL:
        for shape, count, axis in [((3, 4), 2, 0), ((3, 4), 3, 1), ((3, 4), 2, 2), ((3, 4), 2, -1), ((), 4, 0), ((5,), 1, 0), ((1, 2, 2, 3), 2, 1)]:
            shapes_only(cases, dtype, f"{count} of {shape_text(shape)} axis {axis}", [given(dtype, shape) for _ in range(count)],
                        options("Pack", valuesCount=count, axis=axis))


@operator("UNPACK")
def unpack(cases):
    for dtype in ALL:
        for shape, axis in [((3, 4), 0), ((3, 4), 1), ((2, 3, 4), -2), ((4,), 0), ((1, 2, 2, 3), 1)]:
            shapes_only(cases, dtype, f"{shape_text(shape)} axis {axis}", [given(dtype, shape)], options("Unpack", num=shape[axis], axis=axis),
                        shape[axis])


@operator("GATHER")
def gather(cases):
    grid = [((5, 3), (2, 0, 4), 0, 0), ((2, 6), ((1, 5), (0, 0)), 1, 0), ((2, 3, 4), (1,), -1, 0), ((7,), 3, 0, 0), ((4, 2, 3), (3, 3, 1), 0, 0),
            ((2, 4, 3), ((1, 3), (0, 2)), 1, 1), ((2, 3, 4), ((1, 0), (2, 3)), 2, 1)]
    for dtype in ALL:
        for i, (shape, indices, axis, batch) in enumerate(grid):
            index = "int64" if i == 0 else "int32"
            text = f"{shape_text(shape)} at {indices} axis {axis}" + (f" batch_dims {batch}" if batch else "")
            shapes_only(cases, dtype, text, [given(dtype, shape), constant(indices, index)], options("Gather", axis=axis, batchDims=batch))
        x = given("int32", (4,), 0, 5)
        cases.add("indices as input", dtype, [given(dtype, (6, 2)), x], [result(dtype)], options("Gather"))


@operator("GATHER_ND")
def gather_nd(cases):
    grid = [((4, 3), ((2,), (0,))), ((4, 3), ((2, 1), (0, 2), (3, 0))), ((2, 3, 4), (((1, 2), (0, 0)), ((0, 1), (1, 1)))), ((2, 3, 4), ((1, 2, 3),)),
            ((5,), ((4,), (1,)))]
    for dtype in ALL:
        for i, (shape, indices) in enumerate(grid):
            shapes_only(cases, dtype, f"{shape_text(shape)} at {indices}", [given(dtype, shape), constant(indices, "int64" if i == 1 else "int32")],
                        options("GatherNd"))


@operator("BROADCAST_TO")
def broadcast_to(cases):
    for dtype in ALL:
        for i, (shape, target) in enumerate([((3,), (2, 3)), ((1, 4), (3, 4)), ((2, 1, 3), (2, 4, 3)), ((), (2, 2)), ((1,), (5,)),
                                             ((1, 1, 1, 4), (2, 3, 2, 4)), ((2, 1, 3, 1, 2), (2, 2, 3, 2, 2))]):
            shapes_only(cases, dtype, f"{shape_text(shape)} to {shape_text(target)}",
                        [given(dtype, shape), constant(target, "int64" if i == 1 else "int32")], options("BroadcastTo"), version=2)


@operator("TILE")
def tile(cases):
    for dtype in ALL:
        for i, (shape, times) in enumerate([((3,), (2,)), ((2, 3), (1, 3)), ((2, 3), (2, 2)), ((1, 2, 2, 3), (1, 2, 3, 1)), ((2, 1, 2), (1, 1, 1)),
                                            ((2, 2, 1, 2, 3), (1, 2, 2, 1, 2))]):
            shapes_only(cases, dtype, f"{shape_text(shape)} times {shape_text(times)}",
                        [given(dtype, shape), constant(times, "int64" if i == 1 else "int32")], options("Tile"))


@operator("SHAPE")
def shape_cases(cases):
    for dtype in ALL:
        for shape in [(2, 3, 4, 5), (7,)]:
            for out in INTEGER:
                cases.add(f"{shape_text(shape)} to {out}", dtype, [given(dtype, shape)], [result(out)], options("Shape", outType=TYPES[out]))


@operator("RANK")
def rank_cases(cases):
    for dtype in ALL:
        for shape in [(2, 3, 4, 5), (7,), ()]:
            cases.add(shape_text(shape), dtype, [given(dtype, shape)], [result("int32")], options("Rank"))


@operator("FILL")
def fill(cases):
    for dtype in ALL:
        for i, shape in enumerate([(2, 3), (7,), (1, 2, 2, 3)]):
            index = "int64" if i == 0 else "int32"
            cases.add(f"a constant shape {shape_text(shape)}", dtype, [constant(shape, index), given(dtype, ())], [result(dtype)], options("Fill"))


@operator("REVERSE_V2")
def reverse(cases):
    for dtype in ALL:
        for shape, axes in [((5,), (0,)), ((2, 3, 4), (1,)), ((1, 3, 4, 2), (2,)), ((2, 3, 4), (-1,)), ((1, 3, 4, 2), (1, 2))]:
            shapes_only(cases, dtype, f"{shape_text(shape)} axes {axes}", [given(dtype, shape), constant(axes)], options("ReverseV2"))


@operator("ONE_HOT")
def one_hot(cases):
    for dtype in ALL:
        for shape, depth, axis in [((3,), 4, -1), ((2, 3), 5, -1), ((2, 3), 2, 0), ((2, 3), 3, 1)]:
            on, off = (True, False) if dtype == "bool" else (3, 1)
            scale, zero = (0.05, 0) if dtype in QUANTISED else (None, 0)
            value = lambda v: constant(np.asarray(v, dtype), dtype, (), scale, zero)
            inputs = [given("int32", shape, -1, depth), constant(np.int32(depth)), value(on), value(off)]
            cases.add(f"{shape_text(shape)} depth {depth} axis {axis}", dtype, inputs, [result(dtype, scale, zero)], options("OneHot", axis=axis))
