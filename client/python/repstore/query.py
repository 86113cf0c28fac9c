"""query.py - fetches: what is asked of each table, the C structs of that, and queries that are asked again.

A plan is the C structs of a fetch. It stays with the connection, so a fetch of the same tables with the same options fills
in keys and memory alone. Whoever uses a plan takes it out meanwhile: a signal handler that fetches too gets another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

from ._repstore import ffi, lib
from .arguments import flag, is_given, one_of, real, shown, text, tupled
from .errors import BadRequest, NotFound
from .pool import Pool
from .rows import Array, Fetched, Given, Keys, Rows, Shape, bits_from, dtype_number, listed

if TYPE_CHECKING:
    from .client import Client

DType = Literal['f32', 'f16', 'bf16', 'i8', 'bit', 'f64']
Want = Literal['times', 'tags', 'scales', 'weights', 'why', 'history_times']
Missing = Literal['zero', 'default', 'nan', 'raise']

# In the order of the fields of Rows. The counts of histories come without being wanted.
_COLUMNS = {'times': ('<i8', 'int64_t *', 'times'), 'tags': ('<u8', 'uint64_t *', 'tags'),
            'scales': ('<f4', 'float *', 'scales'), 'weights': ('<f8', 'double *', 'weights'),
            'why': ('u1', 'uint8_t *', 'why'), 'history_times': ('<i8', 'int64_t *', 'history_times'),
            'counts': ('<u4', 'uint32_t *', 'history_counts')}
WANTS = tuple(name for name in _COLUMNS if name != 'counts')
MISSING = {name: name for name in ('zero', 'default', 'nan', 'raise')}
TRIES = 4           # of a fetch whose tables change their shape at each publish
PLANS_MAX = 64      # that a connection keeps
UINT64_MAX = 2 ** 64 - 1
_U64 = np.dtype('<u8')


class _NotGiven:
    """A time-out that was left out is the client's; None is without end."""

    def __repr__(self) -> str:
        return "the client's"


NOT_GIVEN: Any = _NotGiven()


@dataclass
class Part:
    """The keys of one table, and what is wanted of their rows.

    Parameters
    ----------
    table : str
        Its name; 'cr_user' is that of the layer that is chosen.
    keys : array_like
        Integers from 0 to 2^64 - 1, or bytes and str. Left out in `Client.prepare`.
    dtype : str, optional
        'f32', 'f16', 'bf16', 'i8' or 'bit'; as stored unless told.
    through : sequence of str, optional
        Stored layers that the daemon sends the rows through.
    max_age : float, optional
        Seconds; older rows are not found.
    raw : bool, optional
        Of an aggregating table: the sums, whatever its spec reads.
    want : collection of str, optional
        'times', 'tags', 'scales', 'weights', 'why', 'history_times'.
    out : ndarray, optional
        Where the rows go.

    Examples
    --------
    >>> got = c.fetch([repstore.Part('ir', [1]), repstore.Part('ir', [2], dtype='f16')])
    >>> got[1].rows.dtype
    dtype('float16')
    """

    table: str
    keys: Keys = ()
    dtype: DType | None = None
    through: Sequence[str] = ()
    max_age: float | None = None
    raw: bool = False
    want: Collection[Want] = ()
    out: Array | None = None


class Spec(NamedTuple):
    """What a plan is known by, of one part."""

    table: str
    dtype: Optional[str] = None
    through: Any = ()
    max_age: Optional[float] = None
    raw: bool = False
    want: Any = ()


Key = tuple[Optional[str], tuple[tuple[Any, ...], ...]]      # the release, and a Spec of each part or its plain tuple
Shapes = dict[tuple[Any, ...], Shape]
Lent = tuple[Array, Any]        # an array to fetch into, and the pointer to its memory


def spec_of(part: Part) -> Spec:
    return Spec(part.table, part.dtype, tupled('through', part.through), part.max_age, part.raw,
                tupled('want', part.want))


def lag_of(ms: int) -> float:
    """Seconds; infinity where nobody knows."""
    return ms / 1000 if ms < UINT64_MAX else math.inf


def check_missing(missing: str) -> None:
    if type(missing) is not str or missing not in MISSING:
        one_of('missing', missing, MISSING)


def check_spec(spec: Spec) -> None:
    """Before a plan is known by it, which takes what can be looked up."""
    text('table', spec.table)
    dtype_number(spec.dtype)
    for name in spec.through:
        text('through', name)
    if spec.max_age is not None:
        age_ms(spec.max_age)
    flag('raw', spec.raw)
    for name in spec.want:
        if not isinstance(name, str) or name not in WANTS:
            raise BadRequest('want: %s given, of %s allowed' % (shown(name), ', '.join(WANTS)))


def age_ms(seconds: float) -> int:
    """An age as the library takes it."""
    if not 0 <= real('max_age', seconds) < 2 ** 53:
        raise BadRequest('max_age: %r given, seconds of 0 or more, below 2^53, allowed' % (seconds,))
    return int(seconds * 1000)


def lend(out: Any, table: str) -> Lent:
    """An array to fetch into. Its shape and dtype are compared with the rows of each answer."""
    if not isinstance(out, np.ndarray) or not (out.flags.c_contiguous and out.flags.writeable):
        raise BadRequest("out of '%s': %s given, a writable C-contiguous array allowed" % (
            table, 'another one' if isinstance(out, np.ndarray) else type(out).__name__))
    return out, ffi.from_buffer('char[]', out, require_writable=True)


class _PlanPart:
    """One table of a plan: its struct, and the memory that is lent to it during a call."""

    def __init__(self, given: Given, struct: Any, spec: Spec, shape: Shape | None) -> None:
        self.spec, self.struct, self.keys = spec, struct, struct.keys
        struct.table = given.text('table', spec.table)
        struct.dtype, struct.raw = dtype_number(spec.dtype), spec.raw
        if spec.max_age is not None:
            struct.has_max_age, struct.max_age_ms = True, age_ms(spec.max_age)
        if spec.through:
            struct.through, struct.through_count = given.texts('through', spec.through), len(spec.through)
        self.count = -1
        self.asked: Any = None              # the keys, as they were given
        self.lent: Any = None               # what holds them for the library
        self.rows: Array | None = None
        self.columns: dict[str, Array] = {}
        self._make_bits(1024)
        self.set_shape(shape)

    def set_shape(self, shape: Shape | None) -> None:
        """None: nobody knows yet how wide the rows are, so they are not taken."""
        self.shape = shape
        if shape is not None:
            self.each = shape.of()
            self.numpy = shape.numpy
            self.wanted = (*self.spec.want, *(('scales',) if shape.dtype == lib.REP_I8 else ()),
                           *(('counts',) if shape.history else ()))

    def _make_bits(self, count: int) -> None:
        self.bits = np.empty((count + 7) // 8, np.uint8)
        self.bits_lent = ffi.from_buffer('uint8_t *', self.bits, require_writable=True)
        self.struct.found = self.bits_lent

    def ask(self, keys: Any) -> None:
        self.asked, struct = keys, self.keys
        if type(keys) is np.ndarray and keys.dtype is _U64 and keys.ndim == 1 and keys.flags.c_contiguous:
            self.lent = ffi.from_buffer('void *', keys)
            count = len(keys)
            struct.type, struct.count, struct.data, struct.bytes = lib.REP_KEY_U64, count, self.lent, 8 * count
        else:
            self.lent = Given()
            name = "keys of '%s'" % self.spec.table
            self.asked = listed(keys, name)         # an iterator gives them once
            count = self.lent.keys(struct, self.asked, name)
        self.count = count
        if count > 8 * len(self.bits):
            self._make_bits(count)

    def make_room(self, pool: Pool, out: Lent | None, is_sure: bool) -> None:
        """Memory for the rows and columns; none for rows whose shape is not known."""
        struct, shape = self.struct, self.shape
        struct.stride = 0
        self.rows = None
        if shape is not None:
            of = (self.count, *self.each)
            if out is None:
                size = self.count * shape.stride
                self.rows, struct.rows = pool.array(of, self.numpy, size)
                struct.rows_bytes = size
            elif out[0].shape == of and out[0].dtype == self.numpy:
                self.rows, struct.rows = out
                struct.rows_bytes = out[0].nbytes
            elif is_sure:       # else the shape may be that of a release before
                raise BadRequest("out of '%s': %s of %s given, writable C-contiguous %s of %s allowed" % (
                    self.spec.table, out[0].shape, out[0].dtype, of, self.numpy.name))
        if self.rows is None:
            struct.rows, struct.rows_bytes = ffi.NULL, 0
        elif self.wanted:
            self._make_columns()

    def _make_columns(self) -> None:
        assert self.shape is not None
        self.struct.history = self.shape.history
        for name in self.wanted:
            dtype, ctype, field = _COLUMNS[name]
            of = (self.count, self.shape.history) if name == 'history_times' else (self.count,)
            column: Array = np.empty(of, dtype)
            self.columns[name] = column
            setattr(self.struct, field, ffi.from_buffer(ctype, column, require_writable=True))

    def fits(self) -> bool:
        """Whether the rows are as they were expected; learns how they are."""
        struct = self.struct
        shape = self.shape
        if (shape is not None and struct.stride == shape.stride and struct.dim == shape.dim and
                struct.row_dtype == shape.dtype and struct.views == shape.views and
                struct.history == shape.history):
            return self.rows is not None
        self.set_shape(Shape(struct.row_dtype, struct.dim, struct.views, struct.stride, struct.history))
        return False

    def result(self, missing: str) -> Rows:
        struct, shape, rows = self.struct, self.shape, self.rows
        assert shape is not None and rows is not None
        found: npt.NDArray[np.bool_]
        if struct.found_count == self.count:
            found = np.empty(self.count, np.bool_)
            found.fill(True)        # a quarter of what it takes to unpack the bits
        else:
            found = bits_from(self.bits, self.count)
            if missing not in ('zero', 'default'):
                self._miss(found, rows, missing, shape.name)
        table = ffi.string(struct.resolved).decode()
        if not self.wanted:
            return Rows(rows, found, table, shape.name)
        return Rows(rows, found, table, shape.name, *(self.columns.get(name) for name in _COLUMNS))

    def _miss(self, found: Array, rows: Array, missing: str, dtype: str) -> None:
        lost = np.flatnonzero(~found)
        if missing == 'raise':
            raise NotFound("table '%s': %d keys of %d have no row, the first are %s" % (
                self.spec.table, len(lost), len(found), ', '.join(str(self.asked[i]) for i in lost[:5])))
        if rows.dtype.kind != 'f':
            raise BadRequest("missing='nan': rows of %s have none" % dtype)
        rows[lost] = np.nan

    def end(self) -> None:
        """Holds nothing of the call any more."""
        self.asked = self.lent = self.rows = None
        if self.columns:
            for name in self.columns:
                setattr(self.struct, _COLUMNS[name][2], ffi.NULL)
            self.columns = {}


class Plan:
    """The C structs of a fetch: of one thread, for one call at a time. `shapes` is what the client knows of tables."""

    def __init__(self, key: Key, shapes: Shapes) -> None:
        release, specs = key[0], [Spec._make(each) for each in key[1]]
        for spec in specs:
            check_spec(spec)
        self._given = Given()
        self._shapes = shapes
        self.release = self._given.release(release)
        self.count = len(specs)
        self.asked = ffi.new('struct rep_part[]', self.count)
        self.fetched = ffi.new('struct rep_fetched *')
        self._places = [(release, spec.table, spec.dtype, spec.raw, spec.through) for spec in specs]
        self.parts = [_PlanPart(self._given, self.asked[i], spec, shapes.get(self._places[i]))
                      for i, spec in enumerate(specs)]

    def ask(self, keys: Collection[Any], missing: str) -> None:
        """Lends the keys of each part."""
        number = lib.REP_MISSING_DEFAULT if missing == 'default' else lib.REP_MISSING_ZERO
        for part, each in zip(self.parts, keys):
            part.struct.missing = number
            part.ask(each)

    def make_room(self, pool: Pool, outs: Sequence[Lent | None] | None, is_sure: bool) -> None:
        """Before each try: memory for what comes. `is_sure`: the shapes were just learnt."""
        for i, part in enumerate(self.parts):
            part.make_room(pool, None if outs is None else outs[i], is_sure)

    def knows_shapes(self) -> bool:
        """After TooLarge: whether an answer came whose rows did not fit, which says how they are."""
        return any(part.struct.stride for part in self.parts)

    def fits(self) -> bool:
        """After an answer: whether all rows are there. Else make room and try again."""
        fits = True
        for place, part in zip(self._places, self.parts):
            if not part.fits():
                fits = False
                if part.shape is not None:
                    self._shapes[place] = part.shape
        return fits

    def result(self, names: Sequence[str], missing: str) -> Fetched:
        return Fetched(ffi.string(self.fetched.release).decode(), self.fetched.sequence, names,
                       [part.result(missing) for part in self.parts], lag_of(self.fetched.lag_ms))

    def end(self) -> None:
        for part in self.parts:
            part.end()


class Query:
    """A fetch that is asked again and again, from `Client.prepare`.

    Its names are checked and its C structs made once. Threads may share it, unless it has arrays of its own (`out`).

    Examples
    --------
    >>> query = c.prepare({'user': 'ur', 'items': 'ir'}, dtype='f32')
    >>> got = query(user=[7], items=[1, 2, 3])
    >>> got['items'].rows.shape
    (3, 64)
    """

    def __init__(self, client: Client, parts: Mapping[str, str | Part], release: str | None, missing: Missing,
                 out: Mapping[str, Array] | None) -> None:
        self._client, self._missing = client, missing
        self._names = tuple(parts)
        wanted = [part if isinstance(part, Part) else Part(part) for part in parts.values()]
        self._key: Key = (release, tuple(map(spec_of, wanted)))
        outs = {} if out is None else out
        arrays = [outs.get(name, part.out) for name, part in zip(self._names, wanted)]
        self._outs = None if not any(each is not None for each in arrays) else [
            None if each is None else lend(each, name) for name, each in zip(self._names, arrays)]
        Plan(self._key, {})     # raises what is wrong with the names and options

    def __call__(self, *, timeout: float | None = NOT_GIVEN, **keys: Keys) -> Fetched:
        """Fetches rows of these keys.

        Parameters
        ----------
        timeout : float, optional
            Seconds of this call; the client's unless told. So no part may be named `timeout`.
        **keys : array_like
            Of each part, by its name.

        Returns
        -------
        Fetched
            By the names of the parts.
        """
        try:
            if len(keys) != len(self._names):
                raise KeyError
            asked = [keys[name] for name in self._names]
        except KeyError:
            raise BadRequest('keys of %s given, of %s allowed' % (
                ', '.join(map(repr, keys)) or 'nothing', ', '.join(map(repr, self._names)))) from None
        return self._client._fetch(self._key, self._names, asked, self._outs, self._missing, timeout)

    def __repr__(self) -> str:
        return 'Query(%s)' % ', '.join('%s=%s' % (name, spec[0]) for name, spec in zip(self._names, self._key[1]))


def named(parts: Mapping[str, str | Part] | Sequence[str], options: dict[str, Any]) -> dict[str, Union[str, Part]]:
    """The parts of a query by their names, each with the options of all."""
    names = list(parts) if isinstance(parts, Mapping) else tupled('parts', parts)
    if not all(isinstance(name, str) for name in names):
        raise BadRequest('parts: %s given, {name: table} or a sequence of tables allowed' % shown(parts))
    by_name: Mapping[str, str | Part] = parts if isinstance(parts, Mapping) else {name: name for name in names}
    if 'timeout' in by_name:
        raise BadRequest("parts: 'timeout' is the name of an option of the query")
    given = {name: value for name, value in options.items() if is_given(value)}
    for name, part in by_name.items():
        if isinstance(part, Part) and given:
            raise BadRequest("%s stand in the Part of '%s'" % (', '.join(given), name))
    return {name: part if isinstance(part, Part) else Part(part, **given) for name, part in by_name.items()}
