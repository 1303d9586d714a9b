"""Pooling, normalisation across channels, resizing: operators on pictures without weights."""

from graph import ACTIVATIONS, SAME, VALID, constant, given, options, result
from operators import ALL, QUANTISED, REAL, operator, shape_text

WINDOWS = [
    ((1, 6, 6, 8), (2, 2), (2, 2), VALID), ((1, 7, 5, 3), (2, 2), (2, 2), SAME), ((2, 5, 6, 9), (3, 3), (1, 1), SAME),
    ((1, 9, 8, 4), (3, 3), (2, 2), SAME), ((1, 9, 8, 5), (3, 3), (2, 2), VALID), ((1, 7, 7, 17), (7, 7), (1, 1), VALID),
    ((2, 4, 3, 33), (4, 3), (4, 3), VALID), ((1, 6, 7, 1), (3, 2), (1, 2), SAME), ((1, 5, 5, 2), (1, 1), (2, 2), VALID),
    ((1, 5, 5, 2), (1, 1), (1, 1), SAME), ((1, 3, 3, 6), (5, 5), (1, 1), SAME), ((1, 8, 4, 3), (8, 1), (1, 1), VALID),
    ((1, 10, 10, 4), (2, 2), (3, 3), VALID), ((1, 14, 14, 2), (13, 13), (1, 1), SAME),
]


@operator("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
def pool(cases):
    def one(name, dtype, shape, filter, stride, padding, activation="none", x=None, out=None):
        table = options("Pool2D", padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=filter[0], filterWidth=filter[1],
                        fusedActivationFunction=ACTIVATIONS[activation])
        cases.add(name, dtype, [x or given(dtype, shape)], [out or result(dtype)], table)

    for dtype in REAL + ["int32"]:
        for window in WINDOWS:
            shape, filter, stride, padding = window
            text = f"{shape_text(shape)} filter {shape_text(filter)} stride {shape_text(stride)}"
            one(f"{text} {'VALID' if padding == VALID else 'SAME'}", dtype, *window)
        for activation in ["relu", "relu6", "relu_n1_to_1"]:
            one(f"activation {activation}", dtype, *WINDOWS[2], activation)
        if dtype in QUANTISED[:2]:
            for text, zero in [("lowest", -128), ("highest", 127)]:
                zero += 128 if dtype == "uint8" else 0
                one(f"{text} zero point", dtype, *WINDOWS[2], x=given(dtype, WINDOWS[2][0], zero=zero), out=result(dtype, None, zero))
            if cases.operator == "AVERAGE_POOL_2D":
                one("result of another scale", dtype, *WINDOWS[2], out=result(dtype, 0.04))


@operator("L2_NORMALIZATION")
def l2_normalization(cases):
    fixed = {"int8": (1 / 128, 0), "uint8": (1 / 128, 128), "int16": (1 / 32768, 0)}
    for dtype in REAL:
        for shape in [(1, 8), (3, 33), (2, 3, 4, 5), (1, 1), (12,), (2, 128)]:
            x, y = given(dtype, shape), result(dtype, *fixed.get(dtype, (None, None)))
            cases.add(shape_text(shape), dtype, [x], [y], options("L2Norm"))
    for dtype in ["float32", "int8"]:
        zero = given(dtype, (2, 6), values=[[0 if dtype == "float32" else -7] * 6] * 2)
        cases.add("zeros", dtype, [zero], [result(dtype, *fixed.get(dtype, (None, None)))], options("L2Norm"))


@operator("LOCAL_RESPONSE_NORMALIZATION")
def local_response_normalization(cases):
    for dtype in REAL:
        for shape, radius, bias, alpha, beta in [((1, 3, 3, 8), 2, 1.0, 1.0, 0.5), ((2, 2, 3, 17), 5, 2.0, 0.0002, 0.75),
                                                 ((1, 2, 2, 5), 0, 1.0, 0.3, 1.0), ((1, 2, 2, 4), 20, 0.5, 0.1, 0.5)]:
            table = options("LocalResponseNormalization", radius=radius, bias=bias, alpha=alpha, beta=beta)
            cases.add(f"{shape_text(shape)} radius {radius} bias {bias} alpha {alpha} beta {beta}", dtype, [given(dtype, shape)],
                      [result(dtype)], table)
            if dtype != "float32":
                break


SIZES = [
    ((1, 3, 4, 2), (6, 8)), ((1, 5, 5, 3), (3, 2)), ((2, 4, 3, 5), (7, 5)), ((1, 1, 1, 4), (3, 3)), ((1, 6, 6, 1), (6, 6)),
    ((1, 4, 4, 9), (1, 1)), ((1, 8, 8, 3), (4, 4)), ((1, 2, 3, 17), (5, 9)), ((1, 7, 9, 2), (15, 17)),
]


@operator("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
def resize(cases):
    kind = "ResizeBilinear" if cases.operator == "RESIZE_BILINEAR" else "ResizeNearestNeighbor"
    for dtype in REAL + ["int32"]:
        for shape, size in SIZES:
            for text, align, half in [("", False, False), (" align_corners", True, False), (" half_pixel_centers", False, True)]:
                table = options(kind, alignCorners=align, halfPixelCenters=half)
                name = f"{shape_text(shape)} to {shape_text(size)}{text}"
                cases.add(name, dtype, [given(dtype, shape), constant(size)], [result(dtype)], table)
                if kind == "ResizeBilinear" and dtype in QUANTISED[:2]:
                    # The built-in kernel's.
                    cases.add(f"{name}, open", dtype, [given(dtype, shape), constant(size)], [result(dtype, open=True)], table)


@operator("SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
def depth_and_space(cases):
    to_depth = cases.operator == "SPACE_TO_DEPTH"
    shapes = ([((1, 4, 6, 3), 2), ((2, 6, 3, 1), 3), ((1, 8, 4, 5), 4), ((1, 2, 2, 16), 2)] if to_depth
              else [((1, 2, 3, 12), 2), ((2, 2, 1, 9), 3), ((1, 2, 1, 80), 4), ((1, 3, 3, 4), 2)])
    for dtype in ALL:
        for shape, block in shapes:
            table = options("SpaceToDepth" if to_depth else "DepthToSpace", blockSize=block)
            cases.add(f"{shape_text(shape)} block {block}", dtype, [given(dtype, shape)], [result(dtype)], table)


@operator("SPACE_TO_BATCH_ND")
def space_to_batch(cases):
    for dtype in ALL:
        for shape, block, pads in [
            ((1, 4, 4, 3), (2, 2), ((0, 0), (0, 0))), ((2, 5, 6, 1), (2, 3), ((1, 0), (0, 0))), ((1, 7, 7, 4), (2, 2), ((2, 3), (1, 2))),
            ((1, 6, 5), (3,), ((0, 0),)), ((2, 3, 4), (2,), ((1, 2),)), ((1, 4, 4, 2), (1, 1), ((0, 0), (0, 0))),
        ]:
            cases.add(f"{shape_text(shape)} block {shape_text(block)} paddings {pads}", dtype,
                      [given(dtype, shape), constant(block), constant(pads)], [result(dtype)], options("SpaceToBatchND"))


@operator("BATCH_TO_SPACE_ND")
def batch_to_space(cases):
    for dtype in ALL:
        for shape, block, crops in [
            ((4, 2, 2, 3), (2, 2), ((0, 0), (0, 0))), ((12, 3, 2, 1), (2, 3), ((1, 0), (0, 0))), ((4, 4, 4, 4), (2, 2), ((2, 3), (1, 2))),
            ((3, 2, 5), (3,), ((0, 0),)), ((4, 3, 4), (2,), ((1, 2),)),
        ]:
            cases.add(f"{shape_text(shape)} block {shape_text(block)} crops {crops}", dtype,
                      [given(dtype, shape), constant(block), constant(crops)], [result(dtype)], options("BatchToSpaceND"))
