"""Small `.tflite` models written straight from the schema's own Python classes."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, Callable

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

TYPES = {
    "float32": tfl.TensorType.FLOAT32,
    "float16": tfl.TensorType.FLOAT16,
    "int8": tfl.TensorType.INT8,
    "uint8": tfl.TensorType.UINT8,
    "int16": tfl.TensorType.INT16,
    "int32": tfl.TensorType.INT32,
    "int64": tfl.TensorType.INT64,
    "bool": tfl.TensorType.BOOL,
}
ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
SAME, VALID = 0, 1
# Scale and zero point of a quantised tensor for which a case names none: nothing is symmetric by chance.
QUANTISATION = {"int8": (0.05, -7), "uint8": (0.05, 121), "int16": (2**-12, 0)}

Fill = Callable[[np.random.Generator], np.ndarray]


@dataclass(eq=False)
class Tensor:
    """A tensor of a case. `fill` draws the elements of inputs and constants; results have none."""

    dtype: str
    shape: tuple[int, ...] = ()
    scale: Any = None
    zero: int = 0
    axis: int = 0
    fill: Fill | None = None
    constant: bool = False
    name: str = ""
    sparsity: Any = None
    # Whether the file leaves out the shape.
    open: bool = False
    values: np.ndarray | None = None

    def draw(self, rng):
        if self.fill is not None:
            self.values = np.asarray(self.fill(rng)).astype(self.dtype)
            if self.sparsity is None:
                self.values = self.values.reshape(self.shape)


def elements(dtype, shape, scale, low, high):
    """How elements are drawn: all of an 8-bit or 16-bit type, with its ends; other types from `low..=high`."""

    def fill(rng):
        count = int(np.prod(shape, dtype=np.int64))
        if dtype == "bool":
            return rng.integers(0, 2, count)
        if np.issubdtype(np.dtype(dtype), np.floating):
            values = rng.uniform(low, high, count).astype(np.float32)
            picks, ends = rng.random(count) < 0.06, [low, high, 0.0, -0.0 if low < 0 else 0.0]
            return np.where(picks, rng.choice(np.float32(ends), count), values)
        limits = np.iinfo(dtype)
        if scale is not None:
            ends = [limits.min, limits.max]
            values = rng.integers(limits.min, limits.max + 1, count)
        else:
            ends = [max(int(low), limits.min), min(int(high), limits.max)]
            values = rng.integers(ends[0], ends[1] + 1, count)
        return np.where(rng.random(count) < 0.06, rng.choice(ends, count), values)

    return fill


def given(dtype, shape, low=-6.0, high=6.0, scale=None, zero=None, values=None, nonzero=False):
    """An input of the model: `low..=high` bounds what is not quantised; `scale=0` leaves an 8-bit or 16-bit tensor plain;
    `nonzero` keeps real zeros out."""
    scale, zero = quantisation(dtype, scale, zero)
    fill = elements(dtype, shape, scale, low, high) if values is None else (lambda _: np.asarray(values))
    if nonzero:
        draw = fill
        fill = lambda rng: (lambda drawn: np.where(drawn == zero, zero + 1 if zero < 100 else zero - 1, drawn))(draw(rng))
    return Tensor(dtype, tuple(shape), scale, zero, fill=fill)


def result(dtype, scale=None, zero=None, name="", open=False):
    """A result; its shape is what TensorFlow Lite computes, and left out of the file where it is `open`."""
    scale, zero = quantisation(dtype, scale, zero)
    return Tensor(dtype, (), scale, zero, name=name, open=open)


def constant(values, dtype="int32", shape=None, scale=None, zero=0, axis=0):
    """A constant with these elements, or those that `values(rng)` draws."""
    if callable(values):
        return Tensor(dtype, tuple(shape), scale, zero, axis, fill=values, constant=True)
    values = np.asarray(values, dtype)
    shape = values.shape if shape is None else tuple(shape)
    return Tensor(dtype, shape, scale, zero, axis, fill=lambda _: values, constant=True)


def quantisation(dtype, scale, zero):
    """Scale and zero point, by default those of the type; none for types that have none, or where `scale` is 0."""
    if dtype not in QUANTISATION or (np.ndim(scale) == 0 and scale == 0):
        return None, 0
    default_scale, default_zero = QUANTISATION[dtype]
    return default_scale if scale is None else scale, default_zero if zero is None else zero


def options(kind, **fields):
    """The options table `kind`, with the fields named as in the schema's Python classes."""
    table = getattr(tfl, kind + "OptionsT")()
    for name, value in fields.items():
        if not hasattr(table, name):
            raise AttributeError(f"{kind}Options has no {name}")
        setattr(table, name, value)
    return table


@dataclass
class Op:
    """One operator of a model; `code` is its name in the schema, or a custom operator's."""

    code: str
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    options: Any = None
    custom_options: bytes | None = None
    version: int = 1


@dataclass
class Case:
    """A model of one operator, or of the few that only make sense together."""

    name: str
    dtype: str
    ops: list[Op]
    # The model that TensorFlow Lite answers, where it does not know the operator itself.
    answered_by: list[Op] | None = None
    # The file, where it is not made of `ops`.
    raw: bytes | None = None
    # Makes of the results what is defined of them.
    settle: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)

    def prepare(self, operator):
        """Draws all elements, from a seed that is the case's own: adding a case changes no other."""
        rng = np.random.default_rng(zlib.crc32(f"{operator}/{self.dtype}/{self.name}".encode()))
        made = [tensor for op in self.ops for tensor in op.outputs]
        for tensor in self.inputs + self.tensors(self.ops) + self.tensors(self.answered_by or []):
            if tensor.values is None:
                tensor.draw(rng)
        if self.raw is not None:
            return
        read = [tensor for op in self.ops for tensor in op.inputs]
        is_input = lambda t: t not in made and not t.constant
        self.inputs = [tensor for tensor in self.tensors(self.ops) if is_input(tensor)]
        self.outputs = [tensor for tensor in made if tensor not in read]

    @staticmethod
    def tensors(ops):
        """Each tensor of some operators once, in order."""
        found = {id(t): t for op in ops for t in op.inputs + op.outputs if t is not None}
        return list(found.values())

    def model(self, answered=False):
        """The bytes of the model."""
        if self.raw is not None:
            return self.raw
        ops = self.answered_by if answered and self.answered_by else self.ops
        return model(ops, self.tensors(ops), self.inputs, self.outputs)


def model(ops, tensors, inputs, outputs):
    """The bytes of a model of these operators."""
    built, graph = tfl.ModelT(), tfl.SubGraphT()
    built.version, built.description, built.subgraphs = 3, "", [graph]
    built.buffers, built.operatorCodes = [tfl.BufferT()], []
    index = {id(tensor): i for i, tensor in enumerate(tensors)}
    graph.tensors = [tensor_table(tensor, i, built) for i, tensor in enumerate(tensors)]
    graph.inputs = [index[id(tensor)] for tensor in inputs]
    graph.outputs = [index[id(tensor)] for tensor in outputs]
    graph.operators = []
    for op in ops:
        table = tfl.OperatorT()
        table.opcodeIndex = len(built.operatorCodes)
        table.inputs = [-1 if tensor is None else index[id(tensor)] for tensor in op.inputs]
        table.outputs = [index[id(tensor)] for tensor in op.outputs]
        if op.options is not None:
            table.builtinOptions = op.options
            table.builtinOptionsType = getattr(tfl.BuiltinOptions, type(op.options).__name__.removesuffix("T"))
        if op.custom_options is not None:
            table.customOptions = np.frombuffer(op.custom_options, np.uint8)
        code = tfl.OperatorCodeT()
        code.builtinCode = getattr(tfl.BuiltinOperator, op.code, tfl.BuiltinOperator.CUSTOM)
        if code.builtinCode == tfl.BuiltinOperator.CUSTOM:
            code.customCode = op.code
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = op.version
        built.operatorCodes.append(code)
        graph.operators.append(table)
    builder = flatbuffers.Builder(1024)
    builder.Finish(built.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor_table(tensor, index, built):
    table = tfl.TensorT()
    table.shape, table.type, table.buffer = list(tensor.shape), TYPES[tensor.dtype], 0
    table.name = tensor.name or f"t{index}"
    table.hasRank = not tensor.open
    if tensor.open:
        table.shape = []
    if tensor.scale is not None:
        scales = np.atleast_1d(np.asarray(tensor.scale, np.float32))
        table.quantization = tfl.QuantizationParametersT()
        table.quantization.scale = scales
        table.quantization.zeroPoint = np.full(scales.shape, tensor.zero, np.int64)
        table.quantization.quantizedDimension = tensor.axis
    if tensor.sparsity is not None:
        table.sparsity = tensor.sparsity
    if tensor.constant:
        buffer = tfl.BufferT()
        data = tensor.values.astype(tensor.values.dtype.newbyteorder("<")).tobytes()
        buffer.data = np.frombuffer(data, np.uint8)
        table.buffer = len(built.buffers)
        built.buffers.append(buffer)
    return table
