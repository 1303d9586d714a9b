"""Models as TensorFlow's converter writes them: what it adds, fuses and leaves out is part of what users have.

Each counts among the cases of the operator that it is named after, whatever else the converter puts around it.
"""

import os

import numpy as np

from graph import Case, given

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def random(*shape, seed=1, low=-0.6, high=0.6):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def functions(tf):
    """operator: (function, shapes of its inputs)"""
    image = (1, 8, 9, 3)
    batch_norm = lambda x: x * random(8, seed=2, low=0.5, high=1.5) + random(8, seed=3)
    return {
        "CONV_2D": (lambda x: tf.nn.relu6(batch_norm(tf.nn.conv2d(x, random(3, 3, 3, 8), 2, "SAME"))), [image]),
        "DEPTHWISE_CONV_2D": (
            lambda x: tf.nn.relu(tf.nn.depthwise_conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), random(3, 3, 3, 2), [1, 2, 2, 1], "VALID") + random(6)),
            [image]),
        "FULLY_CONNECTED": (lambda x: tf.nn.relu(tf.matmul(tf.reshape(x, [-1, 48]), random(48, 7)) + random(7)), [(2, 4, 4, 3)]),
        "TRANSPOSE_CONV": (lambda x: tf.nn.conv2d_transpose(x, random(3, 3, 5, 3), [1, 16, 18, 5], 2, "SAME") + random(5), [image]),
        "BATCH_MATMUL": (lambda q, k: tf.matmul(q, k, transpose_b=True), [(2, 5, 8), (2, 6, 8)]),
        "ADD": (lambda x, y: tf.nn.relu(x + y), [image, image]),
        "SUB": (lambda x: 1.0 - x, [image]),
        "MUL": (lambda x, y: x * tf.sigmoid(y), [image, (1, 1, 1, 3)]),
        "DIV": (lambda x: x / random(3, low=0.5, high=2), [image]),
        "MAXIMUM": (lambda x: tf.maximum(x, 0.25), [image]),
        "MEAN": (lambda x: tf.reduce_mean(x, [1, 2]), [image]),
        "AVERAGE_POOL_2D": (lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), [image]),
        "MAX_POOL_2D": (lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), [image]),
        "RESIZE_BILINEAR": (lambda x: tf.image.resize(x, [5, 14]), [image]),
        "RESIZE_NEAREST_NEIGHBOR": (lambda x: tf.image.resize(x, [16, 18], "nearest"), [image]),
        "SOFTMAX": (lambda x: tf.nn.softmax(x), [(2, 11)]),
        "LOG_SOFTMAX": (lambda x: tf.nn.log_softmax(x), [(2, 11)]),
        "LOGISTIC": (lambda x: tf.sigmoid(x), [image]),
        "HARD_SWISH": (lambda x: x * tf.nn.relu6(x + 3.0) * (1 / 6), [image]),
        "GELU": (lambda x: tf.nn.gelu(x, approximate=True), [image]),
        "TANH": (lambda x: tf.tanh(x), [image]),
        "ELU": (lambda x: tf.nn.elu(x), [image]),
        "LEAKY_RELU": (lambda x: tf.nn.leaky_relu(x, 0.1), [image]),
        "L2_NORMALIZATION": (lambda x: tf.math.l2_normalize(x, axis=-1), [(2, 12)]),
        "LOCAL_RESPONSE_NORMALIZATION": (lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 0.01, 0.75), [image]),
        "SQUARED_DIFFERENCE": (lambda x: tf.reduce_mean(tf.math.squared_difference(x, tf.reduce_mean(x, -1, keepdims=True)), -1), [(2, 9)]),
        "STRIDED_SLICE": (lambda x: x[:, 1::2, -3:, 0], [image]),
        "SLICE": (lambda x: tf.slice(x, [0, 1, 2, 0], [1, 4, -1, 2]), [image]),
        "SPLIT": (lambda x: tf.split(x, 3, axis=-1), [image]),
        "SPLIT_V": (lambda x: tf.split(x, [2, 4, 3], axis=2), [image]),
        "CONCATENATION": (lambda x, y: tf.concat([x, y], -1), [image, (1, 8, 9, 2)]),
        "PACK": (lambda x, y: tf.stack([x, y], axis=1), [(2, 5), (2, 5)]),
        "UNPACK": (lambda x: tf.unstack(x, axis=1), [(2, 3, 4)]),
        "TRANSPOSE": (lambda x: tf.transpose(x, [0, 3, 1, 2]), [image]),
        "RESHAPE": (lambda x: tf.reshape(x, [1, -1, 3]), [image]),
        "SQUEEZE": (lambda x: tf.squeeze(x, [1, 2]), [(1, 1, 1, 7)]),
        "EXPAND_DIMS": (lambda x: tf.expand_dims(x, 1), [(2, 5)]),
        "PAD": (lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]), [image]),
        "PADV2": (lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]], constant_values=-1.0), [image]),
        "MIRROR_PAD": (lambda x: tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT"), [image]),
        "TILE": (lambda x: tf.tile(x, [1, 2, 1, 2]), [image]),
        "GATHER": (lambda x: tf.gather(x, [2, 0, 1], axis=3), [image]),
        "BROADCAST_TO": (lambda x: tf.broadcast_to(x, [1, 4, 5, 3]), [(1, 1, 1, 3)]),
        "SPACE_TO_DEPTH": (lambda x: tf.nn.space_to_depth(x, 2), [(1, 4, 6, 3)]),
        "DEPTH_TO_SPACE": (lambda x: tf.nn.depth_to_space(x, 2), [(1, 2, 3, 8)]),
        "SPACE_TO_BATCH_ND": (lambda x: tf.nn.conv2d(x, random(3, 3, 3, 4), 1, "SAME", dilations=2), [image]),
        "ARG_MAX": (lambda x: tf.argmax(x, axis=-1, output_type=tf.int32), [image]),
        "TOPK_V2": (lambda x: tf.math.top_k(x, 3), [(2, 9)]),
        "REDUCE_MAX": (lambda x: tf.reduce_max(x, [1, 2]), [image]),
        "SUM": (lambda x: tf.reduce_sum(x, 3), [image]),
        "CUMSUM": (lambda x: tf.cumsum(x, 1), [(2, 7)]),
        "SELECT_V2": (lambda x, y: tf.where(x > y, x, y * 2.0), [image, image]),
        "CAST": (lambda x: tf.cast(tf.cast(x * 9.0, tf.int32), tf.float32), [image]),
        "FILL": (lambda x: x + tf.fill([1, 1, 1, 3], 0.5), [image]),
        "EXP": (lambda x: tf.exp(x), [image]),
        "SQRT": (lambda x: tf.sqrt(tf.abs(x)), [image]),
        "RSQRT": (lambda x: tf.math.rsqrt(tf.abs(x) + 0.5), [image]),
        "POW": (lambda x: tf.pow(tf.abs(x) + 0.1, 1.7), [image]),
        "PRELU": (lambda x: tf.nn.relu(x) - random(3, low=0, high=0.5) * tf.nn.relu(-x), [image]),
    }


def convert(tf, function, shapes, quantise):
    """The bytes of the model."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    holder = tf.Module()
    holder.function = tf.function(function, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([holder.function.get_concrete_function()], holder)
    if quantise:
        samples = [[random(*shape, seed=i, low=-2, high=3) for shape in shapes] for i in range(8)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter(samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def add(cases):
    """Adds what the converter makes of this operator, in float and, where it can, in int8."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    if cases.operator not in functions(tf):
        return
    function, shapes = functions(tf)[cases.operator]
    for dtype in ["float32", "int8"]:
        try:
            model = convert(tf, function, shapes, dtype == "int8")
        except Exception as error:  # the converter's own, of several kinds
            print(f"  {cases.operator} {dtype}: the converter refuses it: {str(error).splitlines()[0][:100]}")
            continue
        inputs = [given(dtype, shape, -2, 3) for shape in shapes]
        cases.cases.append(Case("as TensorFlow's converter writes it", dtype, [], raw=model, inputs=inputs))
