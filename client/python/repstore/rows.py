"""rows.py - between NumPy and the library: keys, rows, columns, and what calls return.

Rows are fetched straight into arrays that NumPy has made: writable, aligned, C-contiguous, without another copy.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

from ._repstore import ffi, lib
from .errors import BadRequest

YEAR_1990_MS = 631152000000
DTYPES = {'f32': lib.REP_F32, 'f16': lib.REP_F16, 'bf16': lib.REP_BF16, 'i8': lib.REP_I8, 'bit': lib.REP_BIT}
_NUMPY = {lib.REP_F32: np.dtype('<f4'), lib.REP_F16: np.dtype('<f2'), lib.REP_BF16: np.dtype('<u2'),
          lib.REP_I8: np.dtype('i1'), lib.REP_BIT: np.dtype('u1')}
_NAMES = {number: name for name, number in DTYPES.items()}
_OF_NUMPY = {'float32': 'f32', 'float16': 'f16', 'int8': 'i8', 'uint8': 'bit'}


def dtype_number(name):
    """REP_F32 of 'f32'; None: as stored."""
    if name is None:
        return lib.REP_DTYPE_TABLE
    if name not in DTYPES:
        raise BadRequest("dtype: '%s' given, one of %s allowed" % (name, ', '.join(DTYPES)))
    return DTYPES[name]


class Given:
    """What a call lends to the library: C structs point to it, so it lives as long as the call."""

    def __init__(self):
        self.kept = []

    def text(self, value):
        if value is None:
            return ffi.NULL
        if not isinstance(value, str):
            raise BadRequest('a name is a str, %r given' % (value,))
        if '\0' in value:
            raise BadRequest('a name has no NUL, %r given' % (value,))
        return self.keep(ffi.new('char[]', value.encode()))

    def texts(self, values, name):
        if isinstance(values, (str, bytes)):
            raise BadRequest('%s: %r given, a sequence of names allowed' % (name, values))
        return self.keep(ffi.new('char *[]', [self.text(value) for value in values]))

    def keep(self, value):
        self.kept.append(value)
        return value

    def array(self, array, ctype, writable=False):
        return self.keep(ffi.from_buffer(ctype, array, require_writable=writable))

    def keys(self, out, keys, name='keys'):
        """Fills a struct rep_keys; returns how many they are."""
        keys = listed(keys, name)
        if _are_bytes(keys):
            packed = b''.join(_packed(key, name) for key in _bytes_of(keys, name))
            out.type, out.count, out.bytes = lib.REP_KEY_BYTES, len(keys), len(packed)
            out.data = self.keep(ffi.from_buffer('void *', packed))
            return len(keys)
        array = _numbers(keys, name)
        out.type, out.count, out.bytes = lib.REP_KEY_U64, len(array), array.nbytes
        out.data = self.array(array, 'void *')
        return len(array)

    def column(self, values, count, ctype, name):
        """One number a row; None stays NULL."""
        if values is None:
            return ffi.NULL
        array = np.asarray(values)
        if array.shape != (count,):
            raise BadRequest('%s: of the shape %s, (%d,) allowed' % (name, array.shape, count))
        if array.size and array.dtype.kind not in 'iu' + ('f' if ctype == 'float *' else ''):
            raise BadRequest("%s: %s given, %s allowed" % (
                name, array.dtype.name, 'numbers' if ctype == 'float *' else 'integers'))
        if ctype == 'uint64_t *' and array.size and array.dtype.kind == 'i' and array.min() < 0:
            raise BadRequest('%s: %d given, none below 0 allowed' % (name, array.min()))
        return self.array(np.ascontiguousarray(array, {'float *': '<f4', 'uint64_t *': '<u8', 'int64_t *': '<i8'}[ctype]),
                          ctype)

    def times(self, values, count, any_time):
        """Unix ms, or datetime64. Times before 1990 look like those of another unit, so they need to be meant."""
        if values is None:
            return ffi.NULL
        array = np.asarray(values)
        if array.dtype.kind == 'M':
            if np.isnat(array).any():
                raise BadRequest('times: NaT given')
            array = array.astype('datetime64[ms]').astype('<i8')
        if array.size and array.dtype.kind not in 'iu':
            raise BadRequest("times: %s given; integers of Unix ms, or datetime64, allowed: (seconds * 1000).astype('i8')?" %
                             array.dtype.name)
        if array.size and not any_time and (array.min() < YEAR_1990_MS or array.max() > 2 ** 62):
            raise BadRequest('times: %d given; Unix ms from 1990 on allowed without any_time=True; are these seconds?' %
                             (array.min() if array.min() < YEAR_1990_MS else array.max()))
        return self.column(array, count, 'int64_t *', 'times')

    def matrix(self, rows, count, dtype, name='rows'):
        """Rows to be sent: (pointer, bytes, number of the dtype, dim, views)."""
        if not hasattr(rows, '__array__') and not hasattr(rows, '__array_interface__'):
            rows = np.asarray(rows, '<f4')              # lists of numbers
        if np.ma.is_masked(rows):
            raise BadRequest('%s: a masked array given; .filled() says what is behind the mask' % name)
        array = np.asarray(rows)
        if array.dtype.kind == 'b':
            raise BadRequest('%s: bool given; bits are packed: np.packbits(rows, axis=-1)' % name)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
        known = 'bf16' if dtype == 'bf16' and array.dtype == np.uint16 else _OF_NUMPY.get(array.dtype.name)
        if known is None or (dtype is not None and dtype != known):
            raise BadRequest("%s: of NumPy's %s given; float32, float16, int8 (with scales), uint8 (bits, packed) and, "
                             "with dtype='bf16', uint16 allowed: .astype('f4')?" % (name, array.dtype.name))
        if array.ndim not in (2, 3) or len(array) != count:
            raise BadRequest('%s: of the shape %s, (%d, dim) or (%d, views, dim) allowed' % (
                name, array.shape, count, count))
        return (self.array(array, 'void *'), array.nbytes, DTYPES[known], array.shape[-1],
                array.shape[1] if array.ndim == 3 else 1)


def _are_bytes(keys):
    if isinstance(keys, np.ndarray) and keys.dtype.kind != 'O':
        return keys.dtype.kind in 'SUV'
    return len(keys) > 0 and isinstance(keys[0], (bytes, bytearray, str))


def listed(keys, name='keys'):
    """Keys as an array or a list, whatever sequence, set or iterator they are."""
    if isinstance(keys, np.ndarray) and keys.ndim == 1:
        return keys
    if isinstance(keys, (bytes, str)) or not hasattr(keys, '__iter__') or getattr(keys, 'ndim', 1) != 1:
        raise BadRequest('%s: %s given, a sequence of keys allowed' % (
            name, '%d dimensions' % keys.ndim if hasattr(keys, 'ndim') else repr(keys)))
    if hasattr(keys, '__array__'):
        return np.asarray(keys)
    return keys if isinstance(keys, (list, tuple, range)) else list(keys)


def _bytes_of(keys, name):
    """Byte keys one by one. NumPy takes zeros at the end of an S element for padding, so where the lengths differ nobody
    can tell what they are."""
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'V':
        return [key.tobytes() for key in keys]
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'S' and len(set(map(len, keys.tolist()))) > 1:
        raise BadRequest('%s: NumPy drops zeros at the end of %s; a list of bytes, or V%d, allowed' % (
            name, keys.dtype, keys.dtype.itemsize))
    return keys.tolist() if isinstance(keys, np.ndarray) else keys


def _packed(key, name):
    if not isinstance(key, (bytes, bytearray, str)):
        raise BadRequest('%s: %r among byte keys, bytes and str allowed' % (name, key))
    key = key.encode() if isinstance(key, str) else bytes(key)
    if not 1 <= len(key) <= 255:
        raise BadRequest('%s: a key of %d bytes, 1 to 255 allowed' % (name, len(key)))
    return bytes((len(key),)) + key


def whole(name, value, least=0, most=2 ** 64 - 1):
    """An integer within bounds."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise BadRequest('%s: %r given, an integer allowed' % (name, value)) from None
    if not least <= number <= most:
        raise BadRequest('%s: %d given, %d to %d allowed' % (name, number, least, most))
    return number


def _numbers(keys, name):
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'u':
        return np.ascontiguousarray(keys, '<u8')
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'i':
        if keys.size and keys.min() < 0:
            raise BadRequest('%s: %d given, none below 0 allowed' % (name, keys.min()))
        return np.ascontiguousarray(keys, '<u8')
    if isinstance(keys, np.ndarray) and keys.dtype.kind != 'O' and keys.size:
        raise BadRequest('%s: %s given, integers or bytes allowed' % (name, keys.dtype.name))
    return np.fromiter((whole(name, key) for key in keys), '<u8', len(keys))


def keys_from(keys):
    """A struct rep_keys of an answer as an array of its own: uint64, or bytes as objects."""
    data = ffi.buffer(keys.data, keys.bytes)[:]
    if keys.type == lib.REP_KEY_U64:
        return np.frombuffer(data, '<u8').copy()
    out, at = np.empty(keys.count, object), 0
    for i in range(keys.count):
        out[i] = data[at + 1:at + 1 + data[at]]
        at += 1 + data[at]
    return out


def bits_from(data, count):
    return np.unpackbits(data, count=count, bitorder='little').astype(bool)


class Shape(NamedTuple):
    """Of the rows of one table: as they are fetched."""

    dtype: int
    dim: int
    views: int
    stride: int

    @property
    def numpy(self):
        return _NUMPY[self.dtype]

    @property
    def name(self):
        return _NAMES[self.dtype]

    def of(self, *counts):
        """The shape of an array of so many rows: [n, dim], or [n, views, dim]; bits stay packed."""
        if self.dtype == lib.REP_BIT:
            return (*counts, self.stride)
        return (*counts, self.dim) if self.views == 1 else (*counts, self.views, self.dim)


def copied(pointer, dtype, shape):
    """What the library owns, as an array of its own; None of NULL."""
    if pointer == ffi.NULL:
        return None
    out = np.empty(shape, dtype)
    if out.nbytes:
        ffi.memmove(ffi.from_buffer('char[]', out, require_writable=True), pointer, out.nbytes)
    return out


# ---- what calls return ----

@dataclass(eq=False)
class Rows:
    """Rows of one table, in the order of the keys that were asked. A row that was not found is zero."""

    rows: np.ndarray
    found: np.ndarray
    table: str
    dtype: str
    times: Optional[np.ndarray] = None
    tags: Optional[np.ndarray] = None
    scales: Optional[np.ndarray] = None
    weights: Optional[np.ndarray] = None
    why: Optional[np.ndarray] = None

    def __array__(self, dtype=None):
        return self.rows if dtype is None else self.rows.astype(dtype)

    def __len__(self):
        return len(self.rows)

    def __dlpack__(self, **options):
        return self.rows.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.rows.__dlpack_device__()

    def torch(self):
        """A tensor on the same memory; of bf16 it is a bfloat16 one."""
        import torch
        if self.dtype == 'bf16':
            return torch.from_numpy(self.rows.view('<i2')).view(torch.bfloat16)
        return torch.from_numpy(self.rows)


class Fetched(Mapping):
    """Rows by table, or by their place in what was asked; all of one snapshot of one release."""

    def __init__(self, release, sequence, names, parts):
        self.release, self.sequence = release, sequence
        self._parts = parts
        self._at = dict(zip(names, parts))
        self._twice = {name for name in names if names.count(name) > 1}

    def __getitem__(self, key):
        if not isinstance(key, str):
            return self._parts[operator.index(key)]
        if key in self._twice:
            raise BadRequest("'%s' was asked twice: its rows are found by their place, got[0]" % key)
        return self._at[key]

    def __iter__(self):
        return iter(self._at)

    def __len__(self):
        return len(self._at)

    def __repr__(self):
        return 'Fetched(release=%r, sequence=%d, %s)' % (self.release, self.sequence, ', '.join(
            '%s: %s %s' % (name, part.dtype, part.rows.shape) for name, part in self._at.items()))


@dataclass
class Written:
    release: str
    sequence: int
    count: int
    next: int


@dataclass(eq=False)
class Retrieved:
    """The best items of each query. Row i has n[i] of them; what is behind is key 0, or None, and score -inf."""

    keys: np.ndarray
    scores: np.ndarray
    n: np.ndarray
    release: str
    sequence: int
    exact: bool
    by_rows: bool
    compared: int
    with_: Dict[str, Rows] = field(default_factory=dict)


@dataclass(eq=False)
class Scored:
    scores: np.ndarray
    found: np.ndarray
    release: str
    sequence: int


@dataclass(eq=False)
class Batch:
    """Some rows of a scan."""

    keys: np.ndarray
    rows: np.ndarray
    times: Optional[np.ndarray]
    tags: Optional[np.ndarray]
    scales: Optional[np.ndarray]
    weights: Optional[np.ndarray]
    release: str


@dataclass
class Record:
    """What the daemon says of a release, a table or a source, by name."""

    values: Dict[str, Any]

    def __getattr__(self, name):
        try:
            return self.__dict__['values'][name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self):
        return 'Record(%s)' % ', '.join('%s=%r' % each for each in self.values.items())


_WORDS = {'entity': {lib.REP_USER: 'user', lib.REP_ITEM: 'item'},
          'kind': {lib.REP_UR: 'ur', lib.REP_IR: 'ir', lib.REP_CR: 'cr'},
          'key_type': {lib.REP_KEY_U64: 'u64', lib.REP_KEY_BYTES: 'bytes'},
          'reading': {lib.REP_SUM: 'sum', lib.REP_MEAN: 'mean', lib.REP_LAYER_NORM: 'layer_norm'},
          'index': {lib.REP_INDEX_BALLS: 'balls'}, 'dtype': _NAMES}


def record_from(struct):
    """A struct of numbers and texts of the library, in the words of create_table."""
    values = {}
    for name, kind in ffi.typeof(struct).fields:
        if name == 'reserved':
            continue
        value = getattr(struct, name)
        if kind.type.kind == 'struct':
            values.update(record_from(value).values)
        elif kind.type.kind == 'array':
            values[name] = ffi.string(value).decode(errors='replace')
        else:
            values[name] = _WORDS[name].get(value) if name in _WORDS else value
    return Record(values)
