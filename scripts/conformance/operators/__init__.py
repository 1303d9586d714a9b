"""The grid: one function for each operator, which adds its cases."""

from graph import Case, Op

REGISTERED = {}

FLOAT = ["float32"]
QUANTISED = ["int8", "uint8", "int16"]
REAL = FLOAT + QUANTISED
INTEGER = ["int32", "int64"]
ALL = REAL + INTEGER + ["bool"]


def operator(*names):
    """Registers a function that adds the cases of the operators `names`, one at a time."""

    def register(function):
        for name in names:
            assert name not in REGISTERED, name
            REGISTERED[name] = function
        return function

    return register


class Cases:
    """The cases of one operator."""

    def __init__(self, name):
        self.operator, self.cases = name, []

    def add(self, name, dtype, inputs, outputs, options=None, custom_options=None, version=1):
        """A model of this operator alone. `dtype` is the column of the table that the case counts in."""
        self.graph(name, dtype, [Op(self.operator, inputs, outputs, options, custom_options, version)])

    def graph(self, name, dtype, ops, answered_by=None):
        """A model of several operators; `answered_by` is what TensorFlow Lite answers in its place."""
        assert all((c.name, c.dtype) != (name, dtype) for c in self.cases), f"{self.operator} {dtype} {name} is there"
        self.cases.append(Case(name, dtype, ops, answered_by))


def shape_text(shape):
    return "x".join(map(str, shape)) or "scalar"


def load():
    """All operators: name to function."""
    from operators import convolution, elementwise, movement, pooling, reduction, special, unary  # noqa: F401

    return REGISTERED
