"""tensors.py - small named arrays of a release: projections, adapters, the weights of a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._repstore import ffi, lib
from .arguments import array as array_given, one_of, text as text_given
from .errors import BadRequest
from .rows import Array, Given, Record, array_of, copied, of_torch, to_torch

if TYPE_CHECKING:
    import torch as real_torch

    from .client import Client

_NUMPY = {'f32': '<f4', 'f16': '<f2', 'bf16': '<u2', 'f64': '<f8', 'i8': 'i1', 'i16': '<i2', 'i32': '<i4', 'i64': '<i8',
          'u8': 'u1', 'u16': '<u2', 'u32': '<u4', 'u64': '<u8'}
_NUMBERS = {name: getattr(lib, 'REP_TENSOR_' + name.upper()) for name in _NUMPY}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_OF_NUMPY = {np.dtype(numpy): name for name, numpy in _NUMPY.items() if name != 'bf16'}


@dataclass(eq=False)
class Tensor:
    """A tensor of a release.

    Attributes
    ----------
    array : ndarray
        Its values; of bf16, which NumPy lacks, as uint16.
    dtype : str
        'f32', 'f16', 'bf16', 'f64', or 'i8' to 'u64'.
    name : str
        Its name: 'adapter.weight'.

    Examples
    --------
    >>> weight = c.tensor('adapter.weight')
    >>> np.asarray(weight).shape, weight.dtype
    ((32, 64), 'f32')
    """

    array: Array
    dtype: str
    name: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return array_of(self.array, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def torch(self) -> real_torch.Tensor:
        """A tensor of torch on the same memory; of bf16 it is a bfloat16 one."""
        return to_torch(self.array, self.dtype)


def _values(value: Any, dtype: str | None) -> tuple[Array, str]:
    """What is put, and as what."""
    if isinstance(value, Tensor):
        value, dtype = value.array, dtype or value.dtype
    value, dtype = of_torch(value, dtype)
    if dtype is not None:
        one_of('dtype', dtype, _NUMBERS)
    array = array_given('value', value, None if hasattr(value, '__array__') else '<f4')
    array = np.asarray(array, array.dtype.newbyteorder('<'), order='C')
    known = 'bf16' if dtype == 'bf16' and array.dtype == np.uint16 else _OF_NUMPY.get(array.dtype)
    if known is None or dtype not in (None, known):
        raise BadRequest("tensor: of NumPy's %s given%s; float, integers and, with dtype='bf16', uint16 allowed" % (
            array.dtype.name, '' if dtype is None else ' as %r' % dtype))
    if array.ndim > lib.REP_TENSOR_DIMS:
        raise BadRequest('tensor: %d dimensions given, up to %d allowed' % (array.ndim, lib.REP_TENSOR_DIMS))
    return array, known


def put_tensor(client: Client, release: str | None, name: str, value: Any, dtype: str | None) -> None:
    array, known = _values(value, dtype)
    given, struct = Given(), ffi.new('struct rep_tensor *')
    encoded = text_given('name', name)
    if len(encoded) >= ffi.sizeof(struct.name):
        raise BadRequest("name: '%s' has %d bytes, at most %d allowed" % (name, len(encoded), ffi.sizeof(struct.name) - 1))
    struct.name, struct.dtype, struct.dims = encoded, _NUMBERS[known], array.ndim
    for i, size in enumerate(array.shape):
        struct.shape[i] = size
    client._call(lib.rep_tensor_put, given.release(release), struct, given.array(array, 'void *'), array.nbytes)


def get_tensor(client: Client, release: str | None, name: str) -> Tensor:
    given, struct, data = Given(), ffi.new('struct rep_tensor *'), ffi.new('void **')
    client._call(lib.rep_tensor_get, given.release(release), given.text('name', name), struct, data)
    dtype = _NAMES[struct.dtype]
    try:
        return Tensor(copied(data[0], _NUMPY[dtype], tuple(struct.shape[0:struct.dims])), dtype,
                      ffi.string(struct.name).decode())
    finally:
        lib.free(data[0])


def list_tensors(client: Client, release: str | None) -> list[Record]:
    given, out, count = Given(), ffi.new('struct rep_tensor **'), ffi.new('size_t *')
    client._call(lib.rep_tensor_list, given.release(release), out, count)
    try:
        return [Record(dict(name=ffi.string(each.name).decode(), dtype=_NAMES[each.dtype],
                            shape=tuple(each.shape[0:each.dims]), bytes=each.bytes))
                for each in (out[0][i] for i in range(count[0]))]
    finally:
        lib.free(out[0])
