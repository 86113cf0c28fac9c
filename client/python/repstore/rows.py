"""rows.py - between NumPy and the library: keys, rows, columns, and what calls return.

Rows are fetched straight into arrays that NumPy has made: writable, aligned, C-contiguous, without another copy.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from ._repstore import ffi, lib
from .arguments import array as array_given, encoded, flag, one_of, refuse_masked, shown, text as text_given, whole
from .errors import BadRequest

if TYPE_CHECKING:
    import torch as real_torch

Array = npt.NDArray[Any]
Keys = Union[Array, Iterable[int], Iterable[Union[bytes, str]]]

YEAR_1990_MS = 631152000000
DTYPES = {'f32': lib.REP_F32, 'f16': lib.REP_F16, 'bf16': lib.REP_BF16, 'i8': lib.REP_I8, 'bit': lib.REP_BIT,
          'f64': lib.REP_F64}
_NUMPY: dict[int, np.dtype[Any]] = {
    lib.REP_F32: np.dtype('<f4'), lib.REP_F16: np.dtype('<f2'), lib.REP_BF16: np.dtype('<u2'),
    lib.REP_I8: np.dtype('i1'), lib.REP_BIT: np.dtype('u1'), lib.REP_F64: np.dtype('<f8')}
_NAMES = {number: name for name, number in DTYPES.items()}
_I8 = np.dtype('<i8')
# Arrays that are rows of a dtype only if it is said: else they would be a mistake more often than not.
_NEEDS_WORD = {'bf16': 'uint16', 'f64': 'float64'}
_FLOATS = {'float *': '<f4', 'double *': '<f8'}
_OF_NUMPY = {'float32': 'f32', 'float16': 'f16', 'int8': 'i8', 'uint8': 'bit'}


def dtype_number(name: str | None) -> int:
    """REP_F32 of 'f32'; None: as stored."""
    return int(lib.REP_DTYPE_TABLE if name is None else one_of('dtype', name, DTYPES))


def numpy_of(dtype: str) -> np.dtype[Any]:
    """What NumPy holds rows of 'f32' in."""
    return _NUMPY[dtype_number(dtype)]


class Given:
    """What a call lends to the library: C structs point to it, so it lives as long as the call."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def text(self, name: str, value: str) -> Any:
        return self.keep(ffi.new('char[]', text_given(name, value)))

    def text_if_given(self, name: str, value: str | None) -> Any:
        return ffi.NULL if value is None else self.text(name, value)

    def release(self, value: str | None) -> Any:
        return self.text_if_given('release', value)

    def texts(self, name: str, values: tuple[str, ...]) -> Any:
        return self.keep(ffi.new('char *[]', [self.text(name, value) for value in values]))

    def keep(self, value: Any) -> Any:
        self.kept.append(value)
        return value

    def array(self, array: Array, ctype: str, writable: bool = False) -> Any:
        return self.keep(ffi.from_buffer(ctype, array, require_writable=writable))

    def keys(self, out: Any, keys: Keys, name: str = 'keys') -> int:
        """Fills a struct rep_keys; returns how many they are."""
        all_keys = listed(keys, name)
        if _are_bytes(all_keys):
            packed = b''.join(_packed(key, name) for key in _bytes_of(all_keys, name))
            out.type, out.count, out.bytes = lib.REP_KEY_BYTES, len(all_keys), len(packed)
            out.data = self.keep(ffi.from_buffer('void *', packed))
            return len(all_keys)
        array = _numbers(all_keys, name)
        out.type, out.count, out.bytes = lib.REP_KEY_U64, len(array), array.nbytes
        out.data = self.array(array, 'void *')
        return len(array)

    def column(self, values: Any, count: int, ctype: str, name: str) -> Any:
        """One number a row; None stays NULL."""
        if values is None:
            return ffi.NULL
        array = array_given(name, values)
        if array.shape != (count,):
            raise BadRequest('%s: of the shape %s, (%d,) allowed' % (name, array.shape, count))
        if array.size and array.dtype.kind not in 'iu' + ('f' if ctype in _FLOATS else ''):
            raise BadRequest("%s: %s given, %s allowed" % (
                name, array.dtype.name, 'numbers' if ctype in _FLOATS else 'integers'))
        if ctype == 'uint64_t *' and array.size and array.dtype.kind == 'i' and array.min() < 0:
            raise BadRequest('%s: %d given, none below 0 allowed' % (name, array.min()))
        return self.array(np.ascontiguousarray(array, _FLOATS.get(ctype) or {'uint64_t *': '<u8', 'int64_t *': '<i8'}[ctype]),
                          ctype)

    def times(self, values: Any, count: int, any_time: bool) -> Any:
        """Unix ms, or datetime64. Times before 1990 look like those of another unit, so they need to be meant."""
        if values is None:
            return ffi.NULL
        return self.column(times_of(values, 'times', any_time), count, 'int64_t *', 'times')

    def history(self, struct: Any, counts: Any, times: Any, count: int, any_time: bool) -> None:
        """Fills what a struct rep_rows has of histories: [count] counts, and [count, places] times."""
        if counts is None or times is None:
            raise BadRequest('counts and history_times go together')
        taken, all_times = array_given('counts', counts), array_given('history_times', times)
        if taken.shape != (count,) or (taken.size and taken.dtype.kind not in 'iu'):
            raise BadRequest('counts: %s of the shape %s given, (%d,) integers allowed' % (
                taken.dtype.name, taken.shape, count))
        if all_times.ndim != 2 or len(all_times) != count or all_times.shape[1] == 0:
            raise BadRequest('history_times: of the shape %s, (%d, places) allowed' % (all_times.shape, count))
        places = all_times.shape[1]
        if taken.size and (taken.min() < 1 or taken.max() > places):
            raise BadRequest('counts: %d given, 1 to %d allowed: as many places as history_times has' % (
                taken.min() if taken.min() < 1 else taken.max(), places))
        mask = np.arange(places) < taken[:, None]
        milliseconds: Array = np.zeros((count, places), '<i8')
        milliseconds[mask] = times_of(all_times[mask], 'history_times', any_time)
        struct.history = places
        struct.history_counts = self.array(np.ascontiguousarray(taken, '<u4'), 'uint32_t *')
        struct.history_times = self.array(milliseconds, 'int64_t *')

    def samples(self, out: Any, count: int, rows: Any, dtype: str | None, times: Any, any_time: bool, scales: Any) -> None:
        """Fills the columns of samples, or of vectors that are appended."""
        out.rows, out.rows_bytes, out.dtype, _, _ = self.matrix(rows, count, dtype)
        out.times = self.times(times, count, any_time)
        out.scales = self.column(scales, count, 'float *', 'scales')
        out.any_time = flag('any_time', any_time)

    def source(self, out: Any, source: str | None, position: int | None, first: bool) -> None:
        """Fills who numbers them, and from where on."""
        if (source is None) != (position is None):
            raise BadRequest('source and position go together')
        out.source = self.text_if_given('source', source)
        out.position = 0 if position is None else whole('position', position)
        out.first = flag('first', first)

    def matrix(self, rows: Any, count: int, dtype: str | None, name: str = 'rows') -> tuple[Any, int, int, int, int]:
        """Rows to be sent: (pointer, bytes, number of the dtype, dim, views)."""
        rows, dtype = of_torch(rows, dtype)
        if not hasattr(rows, '__array__') and not hasattr(rows, '__array_interface__'):
            rows = array_given(name, rows, '<f8' if dtype == 'f64' else '<f4')       # lists of numbers
        array = array_given(name, rows)
        dtype_number(dtype)
        if array.dtype.kind == 'b':
            raise BadRequest('%s: bool given; bits are packed: np.packbits(rows, axis=-1)' % name)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder('<'))
        known = _OF_NUMPY.get(array.dtype.name)
        if dtype is not None and _NEEDS_WORD.get(dtype) == array.dtype.name:
            known = dtype
        if known is None or (dtype is not None and dtype != known):
            raise BadRequest("%s: of NumPy's %s given; float32, float16, int8 (with scales), uint8 (bits, packed) and, "
                             "with dtype='bf16', uint16, or with dtype='f64', for sums, float64 allowed: .astype('f4')?" % (name, array.dtype.name))
        if array.ndim not in (2, 3) or len(array) != count:
            raise BadRequest('%s: of the shape %s, (%d, dim) or (%d, views, dim) allowed' % (
                name, array.shape, count, count))
        return (self.array(array, 'void *'), array.nbytes, DTYPES[known], array.shape[-1],
                array.shape[1] if array.ndim == 3 else 1)


def times_of(values: Any, name: str, any_time: bool) -> Array:
    """Unix ms, or datetime64, as integers."""
    array = array_given(name, values)
    if array.dtype.kind == 'M':
        if np.isnat(array).any():
            raise BadRequest('%s: NaT given' % name)
        array = array.astype('datetime64[ms]').astype('<i8')
    if array.size and array.dtype.kind not in 'iu':
        raise BadRequest("%s: %s given; integers of Unix ms, or datetime64, allowed: (seconds * 1000).astype('i8')?" % (
            name, array.dtype.name))
    if not flag('any_time', any_time) and array.size and (array.min() < YEAR_1990_MS or array.max() > 2 ** 62):
        raise BadRequest('%s: %d given; Unix ms from 1990 on allowed without any_time=True; are these seconds?' % (
            name, array.min() if array.min() < YEAR_1990_MS else array.max()))
    return array


def _are_bytes(keys: Any) -> bool:
    if isinstance(keys, np.ndarray) and keys.dtype.kind != 'O':
        return keys.dtype.kind in 'SUV'
    return len(keys) > 0 and isinstance(keys[0], (bytes, bytearray, str))


def listed(keys: Any, name: str = 'keys') -> Any:
    """Keys as an array or a list, whatever sequence, set or iterator they are."""
    refuse_masked(name, keys)
    if isinstance(keys, np.ndarray) and keys.ndim == 1:
        return keys
    if isinstance(keys, (bytes, str)) or not isinstance(keys, Iterable) or getattr(keys, 'ndim', 1) != 1:
        raise BadRequest('%s: %s given, a sequence of keys allowed' % (
            name, '%d dimensions' % keys.ndim if hasattr(keys, 'ndim') else shown(keys)))
    if hasattr(keys, '__array__'):
        return np.asarray(keys)
    return keys if isinstance(keys, (list, tuple, range)) else list(keys)


def _bytes_of(keys: Any, name: str) -> Any:
    """Byte keys one by one. NumPy takes zeros at the end of an S element for padding, so where the lengths differ nobody
    can tell what they are."""
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'V':
        return [key.tobytes() for key in keys]
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'S' and len(set(map(len, keys.tolist()))) > 1:
        raise BadRequest('%s: NumPy drops zeros at the end of %s; a list of bytes, or V%d, allowed' % (
            name, keys.dtype, keys.dtype.itemsize))
    return keys.tolist() if isinstance(keys, np.ndarray) else keys


def _packed(key: Any, name: str) -> bytes:
    if not isinstance(key, (bytes, bytearray, str)):
        raise BadRequest('%s: %s among byte keys, bytes and str allowed' % (name, shown(key)))
    key = encoded(name, key) if isinstance(key, str) else bytes(key)
    if not 1 <= len(key) <= 255:
        raise BadRequest('%s: a key of %d bytes, 1 to 255 allowed' % (name, len(key)))
    return bytes((len(key),)) + key


def _numbers(keys: Any, name: str) -> Array:
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'u':
        return np.ascontiguousarray(keys, '<u8')
    if isinstance(keys, np.ndarray) and keys.dtype.kind == 'i':
        if keys.size and (least := np.minimum.reduce(keys)) < 0:     # .min() takes as long again
            raise BadRequest('%s: %d given, none below 0 allowed' % (name, least))
        if keys.dtype == _I8 and keys.flags.c_contiguous:
            return keys         # the same bits
        return np.ascontiguousarray(keys, '<u8')
    if isinstance(keys, np.ndarray) and keys.dtype.kind != 'O' and keys.size:
        raise BadRequest('%s: %s given, integers or bytes allowed' % (name, keys.dtype.name))
    return np.fromiter((whole(name, key) for key in keys), '<u8', len(keys))


def keys_from(keys: Any) -> Array:
    """A struct rep_keys of an answer as an array of its own: uint64, or bytes as objects."""
    data = ffi.buffer(keys.data, keys.bytes)[:]
    if keys.type == lib.REP_KEY_U64:
        return np.frombuffer(data, '<u8').copy()
    out: Array = np.empty(keys.count, object)
    at = 0
    for i in range(keys.count):
        out[i] = data[at + 1:at + 1 + data[at]]
        at += 1 + data[at]
    return out


def bits_from(data: Array, count: int) -> npt.NDArray[np.bool_]:
    """One bool a bit, the lowest of a byte first."""
    return np.unpackbits(data, count=count, bitorder='little').view(np.bool_)


class Shape(NamedTuple):
    """Of the rows of one table: as they are fetched."""

    dtype: int
    dim: int
    views: int
    stride: int
    history: int = 0        # places of a row, which the views are those of; 0: it has none

    @property
    def numpy(self) -> np.dtype[Any]:
        return _NUMPY[self.dtype]

    @property
    def name(self) -> str:
        return _NAMES[self.dtype]

    def of(self, *counts: int) -> tuple[int, ...]:
        """The shape of an array of so many rows: [n, dim], or [n, views, dim]; of histories [n, history, dim], or
        [n, history, views, dim]. Bits stay packed."""
        if self.dtype == lib.REP_BIT:
            return (*counts, self.stride)
        if self.history:
            each = self.views // self.history
            return (*counts, self.history, self.dim) if each == 1 else (*counts, self.history, each, self.dim)
        return (*counts, self.dim) if self.views == 1 else (*counts, self.views, self.dim)


def copied(pointer: Any, dtype: Any, shape: Any) -> Array:
    """What the library owns, as an array of its own."""
    out: Array = np.empty(shape, dtype)
    if out.nbytes:
        ffi.memmove(ffi.from_buffer('char[]', out, require_writable=True), pointer, out.nbytes)
    return out


def copied_if_there(pointer: Any, dtype: Any, shape: Any) -> Array | None:
    """The same; None of NULL."""
    return None if pointer == ffi.NULL else copied(pointer, dtype, shape)


def of_torch(value: Any, dtype: str | None) -> tuple[Any, str | None]:
    """A tensor of torch as an array, on the same memory where it is the processor's; of bfloat16, which NumPy lacks, as
    uint16. Anything else as it is."""
    torch = sys.modules.get('torch')
    if torch is None or not isinstance(value, torch.Tensor):
        return value, dtype
    value = value.detach().cpu()
    if value.dtype == torch.bfloat16:
        return value.contiguous().view(torch.int16).numpy().view('<u2'), dtype or 'bf16'
    return value.numpy(), dtype


def to_torch(array: Array, dtype: str) -> real_torch.Tensor:
    """A tensor on the memory of an array; of 'bf16' a bfloat16 one."""
    import torch
    if dtype == 'bf16':
        return torch.from_numpy(array.view('<i2')).view(torch.bfloat16)
    return torch.from_numpy(array)


# ---- what calls return ----

@dataclass(eq=False)
class Rows:
    """Rows of one table, in the order of the keys that were asked.

    Attributes
    ----------
    rows : ndarray
        [n, dim], or [n, views, dim]; of a table with a history [n, history, dim], the oldest vector of a row first. Bits
        are packed. Writable and C-contiguous. A row that was not found is zero.
    found : ndarray of bool
        Which keys have a row.
    table : str
        Which table it was: 'cr_user@mlp2' for 'cr_user'.
    dtype : str
        'f32', 'f16', 'bf16' (uint16), 'i8' (with `scales`) or 'bit'.
    times, tags, scales, weights, why : ndarray, optional
        What was wanted besides: Unix ms; 64 bits; of i8; of an aggregating table; 0 found, 1 absent, 2 expired,
        3 too old, 4 corrupt.
    history_times : ndarray, optional
        [n, history], if it was wanted: Unix ms, 0 of places that are not taken.
    counts : ndarray, optional
        Of a table with a history: how many places of each row are taken, the first ones. The others are zero, so that
        ``numpy.arange(history) < counts[:, None]`` is the mask of a sequence model.

    Examples
    --------
    >>> r = c.fetch({'ir': [1, 2]}, want=['times'])['ir']
    >>> np.asarray(r).shape, r.found.tolist(), r.times.dtype
    ((2, 64), [True, True], dtype('int64'))
    """

    rows: Array
    found: npt.NDArray[np.bool_]
    table: str
    dtype: str
    times: Array | None = None
    tags: Array | None = None
    scales: Array | None = None
    weights: Array | None = None
    why: Array | None = None
    history_times: Array | None = None
    counts: Array | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return array_of(self.rows, dtype, copy)

    def __len__(self) -> int:
        return len(self.rows)

    def __dlpack__(self, **options: Any) -> Any:
        return self.rows.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.rows.__dlpack_device__()

    def torch(self) -> real_torch.Tensor:
        """A tensor on the same memory; of bf16 it is a bfloat16 one."""
        return to_torch(self.rows, self.dtype)


def array_of(array: Array, dtype: Any, copy: bool | None) -> Array:
    """What `__array__` answers; NumPy 2 asks with `copy`."""
    if dtype is None or np.dtype(dtype) == array.dtype:
        return array.copy() if copy else array
    if copy is False:
        raise ValueError('%s cannot be %s without a copy' % (array.dtype, np.dtype(dtype)))
    return array.astype(dtype)


class Fetched(Mapping[str, Rows]):
    """Rows by table, or by their place in what was asked; all of one snapshot of one release.

    Attributes
    ----------
    release : str
        The release that it was.
    sequence : int
        Each write up to it is seen, and none above.
    lag : float
        Each write that was acknowledged so many seconds ago is seen. 0 of a daemon; of a `Local` infinity where nobody knows.
    """

    def __init__(self, release: str, sequence: int, names: Sequence[str], parts: list[Rows], lag: float) -> None:
        self.release, self.sequence, self.lag = release, sequence, lag
        self._names, self._parts = names, parts
        self._at = dict(zip(names, parts))

    def __getitem__(self, key: str | int) -> Rows:
        if not isinstance(key, str):
            return self._parts[operator.index(key)]
        if len(self._at) < len(self._names) and self._names.count(key) > 1:
            raise BadRequest("'%s' was asked twice: its rows are found by their place, got[0]" % key)
        return self._at[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)

    def __repr__(self) -> str:
        return 'Fetched(release=%r, sequence=%d, %s)' % (self.release, self.sequence, ', '.join(
            '%s: %s %s' % (name, part.dtype, part.rows.shape) for name, part in self._at.items()))


@dataclass
class Written:
    """What a write did.

    Attributes
    ----------
    release : str
        The release that was written.
    sequence : int
        Of the write: a fetch whose sequence is not below it sees it.
    count : int
        Rows written or deleted, or samples counted.
    next : int
        The position of the source's next sample; 0 without a source.
    """

    release: str
    sequence: int
    count: int
    next: int


@dataclass(eq=False)
class Retrieved:
    """The best items of each query. Row i has n[i] of them; what is behind is key 0, or None, and score -inf.

    Attributes
    ----------
    keys, scores : ndarray
        [queries, k], best first.
    n : ndarray
        How many items each query has.
    release, sequence
        As of a fetch.
    exact : bool
        These are the best for certain.
    by_rows : bool
        Not exact, and the index was calibrated by items, for want of users.
    compared : int
        How many rows were looked at.
    with_ : dict of Rows
        Rows of other tables under the items' keys, [queries, k, dim].
    defaulted : ndarray of bool
        Which queries were the default row of their table.
    """

    keys: Array
    scores: Array
    n: Array
    release: str
    sequence: int
    exact: bool
    by_rows: bool
    compared: int
    with_: dict[str, Rows] = field(default_factory=dict)
    defaulted: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


@dataclass(eq=False)
class Scored:
    """Scores of named items.

    Attributes
    ----------
    scores : ndarray
        [queries, items]; 0 for items that were not found.
    found : ndarray of bool
        Which items have a row.
    release, sequence
        As of a fetch.
    defaulted : ndarray of bool
        Which queries were the default row of their table.
    """

    scores: Array
    found: npt.NDArray[np.bool_]
    release: str
    sequence: int
    defaulted: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))


@dataclass(eq=False)
class Batch:
    """Some rows of a scan; keys are uint64, or an object array of bytes.

    Attributes
    ----------
    keys, rows, times, tags, scales, weights : ndarray
        As of `Rows`; None where the table has none.
    release : str
        The release on which the scan began.
    dtype : str
        Of the rows.
    counts, history_times : ndarray
        As of `Rows`, of a table with a history; else None.
    """

    keys: Array
    rows: Array
    times: Array | None
    tags: Array | None
    scales: Array | None
    weights: Array | None
    release: str
    dtype: str
    counts: Array | None = None
    history_times: Array | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return array_of(self.rows, dtype, copy)

    def __len__(self) -> int:
        return len(self.rows)

    def __dlpack__(self, **options: Any) -> Any:
        return self.rows.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.rows.__dlpack_device__()

    def torch(self) -> real_torch.Tensor:
        """A tensor on the same memory; of bf16 it is a bfloat16 one."""
        return to_torch(self.rows, self.dtype)


@dataclass
class Record:
    """What the daemon says of a release, a table, a layer or a source, by name.

    Examples
    --------
    >>> c.table('ir').dim
    64
    """

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__['values'][name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return 'Record(%s)' % ', '.join('%s=%r' % each for each in self.values.items())


_WORDS = {'entity': {lib.REP_USER: 'user', lib.REP_ITEM: 'item'},
          'kind': {lib.REP_UR: 'ur', lib.REP_IR: 'ir', lib.REP_CR: 'cr'},
          'key_type': {lib.REP_KEY_U64: 'u64', lib.REP_KEY_BYTES: 'bytes'},
          'reading': {lib.REP_SUM: 'sum', lib.REP_MEAN: 'mean', lib.REP_LAYER_NORM: 'layer_norm'},
          'index': {lib.REP_INDEX_BALLS: 'balls'}, 'dtype': _NAMES,
          'default': {lib.REP_DEFAULT_ZEROS: 'zeros', lib.REP_DEFAULT_MEAN: 'mean', lib.REP_DEFAULT_ROW: 'row'}}
# What goes in alone, or is called something else here.
_HIDDEN = {'reserved', 'default_row', 'default_row_bytes', 'default_scale'}


def record_from(struct: Any) -> Record:
    """A struct of numbers and texts of the library, in the words of create_table."""
    values: dict[str, Any] = {}
    for name, kind in ffi.typeof(struct).fields:
        if name in _HIDDEN:
            continue
        value = getattr(struct, name)
        name = 'default' if name == 'default_kind' else name
        if kind.type.kind == 'struct':
            values.update(record_from(value).values)
        elif kind.type.kind == 'array':
            values[name] = ffi.string(value).decode(errors='replace')
        else:
            values[name] = _WORDS[name].get(value) if name in _WORDS else value
    return Record(values)
