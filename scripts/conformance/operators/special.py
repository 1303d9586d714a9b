"""Sparse weights and the detection head."""

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from flatbuffers import flexbuffers

from graph import SAME, Op, Tensor, constant, given, options, result
from operators import operator
from operators.convolution import conv_options, dense_options


def sparse(dense, block=None):
    """A dense matrix as the schema stores a sparse one: the first dimension dense, the second compressed; `block` columns together.

    Returns the kept elements and the parameters.
    """
    rows, columns = dense.shape
    width = block or 1
    tiles = dense.reshape(rows, columns // width, width)
    kept = [[j for j in range(tiles.shape[1]) if np.any(tiles[i, j])] for i in range(rows)]
    values = np.array([tiles[i, j] for i in range(rows) for j in kept[i]], dense.dtype).ravel()
    parameters = tfl.SparsityParametersT()
    parameters.traversalOrder = [0, 1] + ([2] if block else [])
    parameters.blockMap = [1] if block else []
    first, second = tfl.DimensionMetadataT(), tfl.DimensionMetadataT()
    first.format, first.denseSize = tfl.DimensionType.DENSE, rows
    second.format = tfl.DimensionType.SPARSE_CSR
    second.arraySegmentsType = second.arrayIndicesType = tfl.SparseIndexVector.Int32Vector
    second.arraySegments, second.arrayIndices = tfl.Int32VectorT(), tfl.Int32VectorT()
    second.arraySegments.values = np.cumsum([0] + [len(row) for row in kept]).tolist()
    second.arrayIndices.values = [j for row in kept for j in row]
    parameters.dimMetadata = [first, second]
    if block:
        third = tfl.DimensionMetadataT()
        third.format, third.denseSize = tfl.DimensionType.DENSE, block
        parameters.dimMetadata.append(third)
    return values, parameters


def sparse_constant(seed, dtype, shape, block=None, scale=None):
    rng = np.random.default_rng(seed)
    dense = rng.integers(-100, 100, shape) if dtype == "int8" else rng.uniform(-1, 1, shape)
    mask = rng.random((shape[0], shape[1] // (block or 1))) < 0.6
    dense = np.where(np.repeat(mask, block or 1, axis=1), 0, dense).astype(dtype)
    values, parameters = sparse(dense, block)
    return Tensor(dtype, shape, scale, fill=lambda _: values, constant=True, sparsity=parameters)


@operator("DENSIFY")
def densify(cases):
    for dtype, scale in [("float32", None), ("int8", np.float32(0.01))]:
        for seed, (shape, block) in enumerate([((6, 8), None), ((5, 16), 4), ((3, 7), None)]):
            weights = sparse_constant(seed, dtype, shape, block, scale)
            dense = Tensor(dtype, shape, scale)
            x = given(dtype, (2, shape[1]))
            y = result(dtype, 0.2, 5)
            ops = [Op("DENSIFY", [weights], [dense], options("Densify")), Op("FULLY_CONNECTED", [x, dense, None], [y], dense_options())]
            cases.graph(f"{shape[0]}x{shape[1]}{f' blocks of {block}' if block else ''}", dtype, ops)


def detection(cases, name, dtype, boxes, classes, regular=False, per_class=3, most=4, score=0.3, overlap=0.5, background=1):
    """Boxes around anchors, with scores of which several pass the threshold."""
    custom = flexbuffers.Builder()
    with custom.Map():
        for key, value in [("detections_per_class", per_class), ("max_classes_per_detection", 1), ("max_detections", most), ("num_classes", classes)]:
            custom.Key(key)
            custom.Int(value)
        for key, value in [("h_scale", 5.0), ("w_scale", 5.0), ("x_scale", 10.0), ("y_scale", 10.0), ("nms_iou_threshold", overlap),
                           ("nms_score_threshold", score)]:
            custom.Key(key)
            custom.Float(value)
        custom.Key("use_regular_nms")
        custom.Bool(regular)
    rng = np.random.default_rng(boxes * 100 + classes)
    centres = rng.uniform(0.2, 0.8, (boxes, 2))
    anchors = np.concatenate([centres, rng.uniform(0.1, 0.4, (boxes, 2))], axis=1).astype(np.float32)
    if dtype == "float32":
        inputs = [given("float32", (1, boxes, 4), -3, 3), given("float32", (1, boxes, classes + background), 0, 1),
                  constant(anchors, "float32")]
    else:
        low = np.iinfo(dtype).min
        inputs = [given(dtype, (1, boxes, 4), scale=0.03, zero=low + 128), given(dtype, (1, boxes, classes + background), scale=1 / 256, zero=low),
                  constant(np.round(anchors * 200) + low, dtype, None, 1 / 200, low)]
    outputs = [result("float32", name=f"TFLite_Detection_PostProcess{i or ''}".replace("s1", "s:1").replace("s2", "s:2").replace("s3", "s:3"))
               for i in range(4)]
    cases.add(name, dtype, inputs, outputs, custom_options=bytes(custom.Finish()))
    cases.cases[-1].settle = counted


def counted(results):
    """Zeros in the places behind the last detection, which hold what the memory held before."""
    *rows, count = (np.array(result) for result in results)
    for row in rows:
        row[:, int(count[0]) :] = 0
    return [*rows, count]


@operator("TFLite_Detection_PostProcess")
def detection_cases(cases):
    for dtype in ["float32", "uint8", "int8"]:
        detection(cases, "6 boxes, 2 classes", dtype, 6, 2)
        detection(cases, "20 boxes, 5 classes", dtype, 20, 5, most=10)
        detection(cases, "20 boxes, 5 classes, regular", dtype, 20, 5, regular=True, most=10, per_class=5)
        detection(cases, "12 boxes, 1 class, no background", dtype, 12, 1, background=0, most=5)
        detection(cases, "nothing above the threshold", dtype, 6, 2, score=1.5)
