"""Reads a legacy (pre-1.6, not zipped) PyTorch checkpoint without PyTorch.

The file is five pickles (magic number, protocol version, system info, the object, the sorted storage keys)
and then, for every key, the storage's raw bytes behind a little-endian int64 element count. A pickle can
call any function that it names, so only the four globals below are answered; every other one is refused.
"""

import collections
import io
import pickle
import struct

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


class _Storage:
    """The elements of one storage; filled in after the object pickle has been read."""

    def __init__(self, dtype, count):
        self.dtype = np.dtype(dtype)
        self.count = count
        self.data = None


class _Tensor:
    """A strided view of a storage."""

    def __init__(self, storage, offset, shape, stride):
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def numpy(self):
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride))
        if self.offset < 0 or min(self.stride, default=0) < 0 or last >= self.storage.count:
            raise ValueError("tensor reaches outside its storage")
        strides = [s * self.storage.dtype.itemsize for s in self.stride]
        view = np.lib.stride_tricks.as_strided(self.storage.data[self.offset :], self.shape, strides)
        return np.array(view)


def _rebuild_tensor_v2(storage, offset, shape, stride, _requires_grad, _hooks):
    return _Tensor(storage, offset, shape, stride)


_FLOAT, _LONG = "<f4", "<i8"
_GLOBALS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch", "FloatStorage"): _FLOAT,
    ("torch", "LongStorage"): _LONG,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"global {module}.{name} is not allowed") from None

    def persistent_load(self, pid):
        kind, dtype, key, _location, count, view = pid
        if kind != "storage" or dtype not in (_FLOAT, _LONG) or view is not None:
            raise pickle.UnpicklingError(f"persistent id {pid!r} is not a plain storage")
        return self.storages.setdefault(key, _Storage(dtype, count))


def read_state_dict(data):
    """Returns {name: numpy array} of a legacy checkpoint whose object is a state dict.

    `data`: the file's bytes. Raises `pickle.UnpicklingError` or `ValueError` when the file is anything else.
    """
    file = io.BytesIO(data)
    if _Unpickler(file).load() != MAGIC:
        raise ValueError("not a legacy PyTorch checkpoint")
    if _Unpickler(file).load() != PROTOCOL:
        raise ValueError("unknown checkpoint protocol")
    if not _Unpickler(file).load()["little_endian"]:
        raise ValueError("big-endian checkpoint")
    unpickler = _Unpickler(file)
    state = unpickler.load()
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        raw = file.read(storage.count * storage.dtype.itemsize)
        if count != storage.count or len(raw) != storage.count * storage.dtype.itemsize:
            raise ValueError(f"storage {key} is cut short")
        storage.data = np.frombuffer(raw, storage.dtype)
    if file.read(1):
        raise ValueError("bytes after the last storage")
    return {name: tensor.numpy() for name, tensor in state.items()}
