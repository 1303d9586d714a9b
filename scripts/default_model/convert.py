"""Keras model to int8 `.tflite` bytes: TensorFlow's converter, then plain tensor names and aligned buffers."""

import re

import flatbuffers
import numpy as np

IDENTIFIER = b"TFL3"
ALIGNMENT_BYTES = 16  # what schema.fbs asks of Buffer.data


def quantise(model, pictures):
    """Converts with int8 weights and activations, uint8 input and output.

    Convolutions have a scale per output channel. The one fully connected layer keeps a single scale: runtimes
    learnt to read more than one there only late, and it costs no accuracy here.
    `pictures`: iterable of float32 [1, 224, 224, 3]; sets the activations' ranges.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    converter.representative_dataset = lambda: ([picture] for picture in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return converter.convert()


def read(data):
    """The schema's object form of a `.tflite` file."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def tidy(model, description):
    """Names tensors after their layers, drops the converter's own notes, sets the description."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    graph.name = b"main"
    model.description = description.encode()
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        output = graph.tensors[operator.outputs[0]]
        if code in (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D, BuiltinOperator.FULLY_CONNECTED):
            weights, bias = (graph.tensors[i] for i in operator.inputs[1:])
            layer = re.match(rb"[^/]+/(.+?)_\d+/", weights.name).group(1)
            if code == BuiltinOperator.FULLY_CONNECTED:
                layer = b"logits"
            weights.name, bias.name, output.name = layer + b"/weights", layer + b"/bias", layer
        elif code in (BuiltinOperator.ADD, BuiltinOperator.MEAN):
            output.name = re.match(rb"[^/]+/(.+?)_\d+/", output.name).group(1)
            if code == BuiltinOperator.MEAN:
                graph.tensors[operator.inputs[1]].name = output.name + b"/axes"
        elif code == BuiltinOperator.SOFTMAX:
            output.name = b"probability_int8"
        elif code == BuiltinOperator.QUANTIZE and operator.inputs[0] == graph.inputs[0]:
            output.name = b"image_int8"
        elif code != BuiltinOperator.QUANTIZE:
            raise ValueError(f"unexpected operator {code}")
    graph.tensors[graph.inputs[0]].name = b"image"
    graph.tensors[graph.outputs[0]].name = b"probability"
    names = [tensor.name for tensor in graph.tensors]
    if len(set(names)) != len(names):
        raise ValueError("tensor names are not unique")
    model.signatureDefs[0].outputs[0].name = b"probability"
    # CONVERSION_METADATA names the converter's build; min_runtime_version stays.
    dropped = [entry for entry in model.metadata if entry.name == b"CONVERSION_METADATA"]
    model.metadata = [entry for entry in model.metadata if entry not in dropped]
    for entry in dropped:
        model.buffers[entry.buffer].data = None
    return model


def add_buffer(model, name, data):
    """Adds a `Model.metadata` entry that holds `data`."""
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT

    buffer, entry = BufferT(), MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata.append(entry)


def pack(model):
    """The bytes of `model`, every buffer at a multiple of 16 as the schema's force_align asks.

    The generated `BufferT.Pack` ignores force_align, so the buffers' vectors are written here.
    """
    from ai_edge_litert import schema_py_generated as schema

    class AlignedBuffer(schema.BufferT):
        def Pack(self, builder):
            data = None if self.data is None else np.asarray(self.data, np.uint8).tobytes()
            if data:
                builder.StartVector(1, len(data), ALIGNMENT_BYTES)
                builder.head -= len(data)
                builder.Bytes[builder.head : builder.head + len(data)] = data
                vector = builder.EndVector()
            schema.BufferStart(builder)
            if data:
                schema.BufferAddData(builder, vector)
            return schema.BufferEnd(builder)

    for buffer in model.buffers:
        buffer.__class__ = AlignedBuffer
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    data = bytes(builder.Output())
    _check_alignment(data)
    return data


def _check_alignment(data):
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAs(data, 0)
    base = np.frombuffer(data, np.uint8).ctypes.data
    for index in range(root.BuffersLength()):
        if root.Buffers(index).DataLength():
            offset = root.Buffers(index).DataAsNumpy().ctypes.data - base
            if offset % ALIGNMENT_BYTES:
                raise ValueError(f"buffer {index} begins at {offset:#x}")
