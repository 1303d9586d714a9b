"""Single operators through TensorFlow Lite, written down as cases. See `litert_cases.py`."""

import zlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers

TYPES = {
    "float32": tfl.TensorType.FLOAT32,
    "int8": tfl.TensorType.INT8,
    "uint8": tfl.TensorType.UINT8,
    "int16": tfl.TensorType.INT16,
    "int32": tfl.TensorType.INT32,
    "int64": tfl.TensorType.INT64,
    "bool": tfl.TensorType.BOOL,
}
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
RANDOM = np.random.default_rng(1)


class Tensor:
    """A tensor of a case; `constant` ones are stored in the model."""

    def __init__(self, shape, dtype, scale=None, zero=None, values=None, constant=False, axis=0):
        self.shape, self.dtype, self.scale, self.zero = tuple(shape), dtype, scale, zero
        self.constant, self.axis = constant, axis
        self.values = None if values is None else np.asarray(values, dtype).reshape(self.shape)

    def line(self, mark, values):
        shape = "x".join(map(str, self.shape)) or "-"
        quantisation = ""
        if self.scale is not None:
            scales = np.atleast_1d(np.asarray(self.scale, np.float32)).view(np.uint32)
            quantisation = " " + ",".join(f"{s:08x}" for s in scales) + f" {self.zero}"
        data = np.ascontiguousarray(values).astype(np.dtype(self.dtype).newbyteorder("<"))
        return f"{mark} {self.dtype} {shape}{quantisation} {data.tobytes().hex() or '-'}"


def real(shape, low=-4.0, high=4.0):
    return Tensor(shape, "float32", values=RANDOM.uniform(low, high, shape))


def quantised(shape, dtype, scale, zero, values=None, **more):
    limits = np.iinfo(dtype)
    if values is None:
        values = RANDOM.integers(limits.min, limits.max + 1, shape)
    return Tensor(shape, dtype, np.float32(scale), zero, values, **more)


def constant(values, dtype="int32"):
    values = np.asarray(values, dtype)
    return Tensor(values.shape, dtype, values=values, constant=True)


def model(code, options, inputs, outputs, version):
    """The bytes of a model of one operator."""
    result, graph, operator = tfl.ModelT(), tfl.SubGraphT(), tfl.OperatorT()
    result.version, result.buffers, result.description = 3, [tfl.BufferT()], ""
    operator_code = tfl.OperatorCodeT()
    operator_code.builtinCode, operator_code.version = code, version
    operator_code.deprecatedBuiltinCode = min(code, 127)
    result.operatorCodes, result.subgraphs = [operator_code], [graph]
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [], [], [], [operator]
    operator.inputs, operator.outputs = [], []
    if isinstance(options, dict):
        operator_code.customCode = options["code"]
        packed = flexbuffers.Dumps(options["attributes"])
        operator.customOptions = np.frombuffer(packed, np.uint8)
    elif options is not None:
        operator.builtinOptions = options
        name = type(options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(tfl.BuiltinOptions, name)
    for tensor in inputs + outputs:
        entry = tfl.TensorT()
        entry.shape, entry.type = list(tensor.shape), TYPES[tensor.dtype]
        entry.name, entry.buffer = str(len(graph.tensors)), 0
        if tensor.scale is not None:
            entry.quantization = tfl.QuantizationParametersT()
            entry.quantization.scale = np.atleast_1d(np.asarray(tensor.scale, np.float32))
            zeros = np.full(entry.quantization.scale.shape, tensor.zero, np.int64)
            entry.quantization.zeroPoint = zeros
            entry.quantization.quantizedDimension = tensor.axis
        if tensor.constant:
            buffer = tfl.BufferT()
            buffer.data = np.frombuffer(tensor.values.tobytes(), np.uint8)
            entry.buffer = len(result.buffers)
            result.buffers.append(buffer)
        index = len(graph.tensors)
        graph.tensors.append(entry)
        is_input = index < len(inputs)
        (operator.inputs if is_input else operator.outputs).append(index)
        if not is_input:
            graph.outputs.append(index)
        elif not tensor.constant:
            graph.inputs.append(index)
    builder = flatbuffers.Builder(1024)
    builder.Finish(result.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def options_of(name, **fields):
    result = getattr(tfl, name + "OptionsT")()
    for field, value in fields.items():
        setattr(result, field, value)
    return result


class Cases:
    """The cases of one file."""

    def __init__(self, folder, name):
        self.path, self.lines = folder / f"{name}.txt", []
        # The same numbers whichever files are written before.
        fresh = np.random.default_rng(zlib.crc32(name.encode()))
        RANDOM.bit_generator.state = fresh.bit_generator.state

    def add(self, operator, options, inputs, outputs, version=1, **keys):
        code = getattr(tfl.BuiltinOperator, operator)
        interpreter = Interpreter(
            model_content=model(code, options, inputs, outputs, version), num_threads=1
        )
        interpreter.allocate_tensors()
        fed = [tensor for tensor in inputs if not tensor.constant]
        for detail, tensor in zip(interpreter.get_input_details(), fed):
            interpreter.set_tensor(detail["index"], tensor.values)
        interpreter.invoke()
        keys = "".join(f" {key}={value}" for key, value in keys.items())
        self.lines.append(operator.lower() + keys)
        self.lines += [tensor.line("<", tensor.values) for tensor in inputs]
        for detail, tensor in zip(interpreter.get_output_details(), outputs):
            values = interpreter.get_tensor(detail["index"])
            tensor.shape = values.shape
            self.lines.append(tensor.line(">", values))

    def write(self):
        self.path.write_text("\n".join(self.lines) + "\n")
        print(self.path, len(self.lines), "lines", self.path.stat().st_size, "bytes")
