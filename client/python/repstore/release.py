"""release.py - fills a release from arrays: create tables, load, seal, publish, drop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._repstore import ffi, lib
from .arguments import UINT32_MAX, array, flag, one_of, real, shown, text, whole
from .errors import BadRequest, Exists, check
from .query import DType
from .rows import Given, Keys, Record, dtype_number, listed, numpy_of, of_torch, record_from
from .tensors import Tensor

if TYPE_CHECKING:
    from .client import Client

CHUNK_BYTES = 4 << 20
MS_MAX = 2 ** 62
_ENTITIES = {'user': lib.REP_USER, 'item': lib.REP_ITEM}
_KINDS = {'ur': lib.REP_UR, 'ir': lib.REP_IR, 'cr': lib.REP_CR}
_KEYS = {'u64': lib.REP_KEY_U64, 'bytes': lib.REP_KEY_BYTES}
_INDEXES = {None: lib.REP_INDEX_NONE, 'balls': lib.REP_INDEX_BALLS}
_DEFAULTS = {None: lib.REP_DEFAULT_NONE, 'zeros': lib.REP_DEFAULT_ZEROS, 'mean': lib.REP_DEFAULT_MEAN}
_STATES = {None: 0, 'f32': lib.REP_STATE_F32, 'f32x2': lib.REP_STATE_F32X2}
_READS = {None: 0, 'sum': lib.REP_SUM, 'mean': lib.REP_MEAN, 'layer_norm': lib.REP_LAYER_NORM}


def _ms(name: str, seconds: float | None) -> int:
    """A span of time as the library takes it; 0 is none."""
    if seconds is None:
        return 0
    if not 0.001 <= real(name, seconds) <= MS_MAX / 1000:
        raise BadRequest('%s: %r given, seconds from 0.001 to %g allowed' % (name, seconds, MS_MAX / 1000))
    return int(seconds * 1000)


def _default_row(row: Any, dtype: DType) -> Any:
    """[1, values], in the table's dtype: numbers are taken into it, an array has it already."""
    row, _ = of_torch(row, None)
    wanted = numpy_of(dtype)
    is_array = hasattr(row, '__array__')
    values = array('default', row, None if is_array or wanted.kind != 'f' else wanted.str)
    if not is_array and wanted.kind != 'f' and values.dtype.kind in 'iu' and values.size:
        limits = np.iinfo(wanted)
        if values.min() < limits.min or values.max() > limits.max:
            raise BadRequest('default: %d to %d given, %d to %d allowed in a table of %s' % (
                values.min(), values.max(), limits.min, limits.max, dtype))
        values = values.astype(wanted)
    if values.dtype != wanted:
        raise BadRequest("default: of NumPy's %s given, %s allowed in a table of %s" % (values.dtype.name, wanted.name, dtype))
    return values.reshape(1, -1)


def _are_alike(asked: Any, there: Any) -> bool:
    """Whether a table is what was asked for; what was left out may be anything."""
    return all(getattr(asked, name) in (getattr(there, name), 0) for name in (
        'entity', 'kind', 'dtype', 'key_type', 'dim', 'views', 'ttl_ms', 'tags', 'index', 'decay_events', 'half_life_ms',
        'reading', 'state', 'default_kind', 'history'))


def _digest(chunk: Callable[[slice], tuple[Given, Any]], chunks: Sequence[slice]) -> str:
    """What a load is known by: the bytes of all of its chunks, and how it is cut."""
    digest = hashlib.blake2b(digest_size=8)
    for part in chunks:
        _, struct = made = chunk(part)
        count = struct.keys.count
        for pointer, size in ((struct.keys.data, struct.keys.bytes), (struct.rows, struct.rows_bytes),
                              (struct.times, 8 * count), (struct.tags, 8 * count), (struct.scales, 4 * count),
                              (struct.weights, 8 * count),
                              *(((struct.history_counts, 4 * count), (struct.history_times, 8 * count * struct.history))
                                if struct.history else ())):
            digest.update(b'%d,' % size if pointer != ffi.NULL else b'-')
            if pointer != ffi.NULL and size:
                digest.update(ffi.buffer(ffi.cast('char *', pointer), size))
        digest.update(b'%d' % struct.dtype)
        del made
    return digest.hexdigest()


class Release:
    """A release, by its id: filled from arrays, sealed, published. As a context manager it leaves the release as it is, also
    when the block raises.

    Examples
    --------
    >>> release = c.release('ckpt-1')
    >>> release.show().state
    'live'
    """

    def __init__(self, client: Client, release: str) -> None:
        text('release', release)
        self._client, self.id = client, release

    def __enter__(self) -> Release:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __repr__(self) -> str:
        return 'Release(%r)' % self.id

    def _call(self, function: Any, *args: Any) -> None:
        self._client._call(function, Given().text('release', self.id), *args)

    def show(self) -> Record:
        """What `release show` says.

        Returns
        -------
        Record
            id, model, checkpoint, state ('open', 'sealed', 'live'), tables, rows, bytes and so on.
        """
        out = ffi.new('struct rep_release *')
        self._call(lib.rep_release_show, out)
        return record_from(out[0])

    # ---- tables ----

    def create_table(self, name: str, *, entity: Literal['user', 'item'], kind: Literal['ur', 'ir', 'cr'], dim: int,
                     dtype: DType = 'f32', key: Literal['u64', 'bytes'] = 'u64', views: int = 1,
                     ttl: float | None = None, tags: bool = False, index: Literal['balls'] | None = None,
                     decay_events: float = 0.0, half_life: float | None = None,
                     read: Literal['sum', 'mean', 'layer_norm'] | None = None,
                     state: Literal['f32', 'f32x2'] | None = None, default: Any = None,
                     default_scale: float | None = None, history: int | None = None,
                     exist_ok: bool = False) -> Release:
        """Creates a table.

        Parameters
        ----------
        name : str
            Its name; of kind 'cr' it is table@layer.
        entity : {'user', 'item'}
            Whose rows they are.
        kind : {'ur', 'ir', 'cr'}
            What they are; 'cr' is kept from samples.
        dim : int
            Values of a row, or of each of its views.
        dtype : str, optional
            'f32', 'f16', 'bf16', 'i8' or 'bit'.
        key : {'u64', 'bytes'}, optional
            The type of its keys.
        views : int, optional
            Vectors of a row.
        ttl : float, optional
            Seconds after which a row expires.
        tags : bool, optional
            Whether rows have 64 bits of tags.
        index : {'balls'}, optional
            For `retrieve` with a recall below 1.
        decay_events, half_life : float, optional
            Of kind 'cr': each sample multiplies the sum by it; seconds that halve it.
        read : {'sum', 'mean', 'layer_norm'}, optional
            Of kind 'cr': what a fetch gives.
        state : {'f32', 'f32x2'}, optional
            Of kind 'cr': how it keeps its sums. 'f32x2', which it is unless told, in two f32 each, for keys of any number of
            samples; 'f32' in half the memory, for up to some 100,000 that count at a time.
        default : 'zeros', 'mean' or array_like, optional
            What a fetch with missing='default' gives for a key without a row: zeros, the mean of the rows that were sealed,
            or this row, of the table's dtype.
        default_scale : float, optional
            Of a `default` row of i8, which needs it.
        history : int, optional
            Of kinds 'ur' and 'cr': a row is the newest so many vectors of its key, oldest first (`Client.append`), and of
            kind 'cr' no sum.
        exist_ok : bool, optional
            One that is there and is alike will do.

        Returns
        -------
        Release
            Itself.
        """
        spec, given = ffi.new('struct rep_table_spec *'), Given()
        encoded = text('name', name)
        if len(encoded) >= ffi.sizeof(spec.name):
            raise BadRequest("name: '%s' has %d bytes, at most %d allowed" % (name, len(encoded), ffi.sizeof(spec.name) - 1))
        spec.name = encoded
        spec.entity, spec.kind = one_of('entity', entity, _ENTITIES), one_of('kind', kind, _KINDS)
        spec.dtype, spec.key_type = dtype_number(dtype), one_of('key', key, _KEYS)
        spec.dim, spec.views, spec.tags = whole('dim', dim, 1, UINT32_MAX), whole('views', views, 1, UINT32_MAX), flag('tags', tags)
        spec.ttl_ms = _ms('ttl', ttl)
        spec.index, spec.reading = one_of('index', index, _INDEXES), one_of('read', read, _READS)
        spec.state = one_of('state', state, _STATES)
        spec.decay_events, spec.half_life_ms = real('decay_events', decay_events), _ms('half_life', half_life)
        spec.history = 0 if history is None else whole('history', history, 1, UINT32_MAX)
        has_row = default is not None and not isinstance(default, str)
        if (default_scale is not None) != (has_row and dtype == 'i8'):
            raise BadRequest('default_scale: %s given; a default row of i8 needs one, nothing else has one' % (default_scale,))
        if not has_row:
            spec.default_kind = one_of('default', default, _DEFAULTS)
        else:
            spec.default_kind, spec.default_scale = lib.REP_DEFAULT_ROW, default_scale or 0
            spec.default_row, spec.default_row_bytes, _, _, _ = given.matrix(
                _default_row(default, dtype), 1, dtype, 'default')
        try:
            self._call(lib.rep_table_create, spec)
        except Exists:
            if not flag('exist_ok', exist_ok) or not _are_alike(spec, self._client._spec(self.id, name)):
                raise
        return self

    def tables(self) -> list[Record]:
        """Its tables, as `Client.tables` says them.

        Returns
        -------
        list of Record
        """
        return self._client.tables(self.id)

    def table(self, table: str) -> Record:
        """One of its tables.

        Parameters
        ----------
        table : str
            Its name.

        Returns
        -------
        Record
        """
        return self._client.table(table, release=self.id)

    # ---- loads ----

    def load(self, table: str, keys: Keys, rows: Any, *, times: Any = None, tags: Any = None, scales: Any = None,
             weights: Any = None, counts: Any = None, history_times: Any = None, dtype: DType | None = None,
             name: str = 'load', any_time: bool = False, allow_nonfinite: bool = False, chunk_bytes: int = CHUNK_BYTES) -> int:
        """Loads the rows of a table, durable when it returns; a table takes several loads.

        The same call after an interruption goes on where the daemon stands: it is known by its rows, which are read once
        for that, so a load of other rows is another one.

        Parameters
        ----------
        table : str
            Of this release, which is open.
        keys : array_like
            As in `Client.put`.
        rows : array_like
            As in `Client.put`; anything with a length whose slices are arrays, such as a memory map, will do.
        times, tags, scales, weights, counts, history_times, dtype
            As in `Client.put`.
        name : str, optional
            The beginning of the load's name.
        any_time, allow_nonfinite : bool, optional
            As in `Client.put`.
        chunk_bytes : int, optional
            Bytes of rows that are sent at once.

        Returns
        -------
        int
            How many rows the load has.
        """
        all_keys = listed(keys)
        count = len(all_keys)
        columns: dict[str, Any] = dict(times=times, tags=tags, scales=scales, weights=weights, counts=counts,
                                       history_times=history_times)
        for column, values in (('rows', rows), *columns.items()):
            if values is None and column != 'rows':
                continue
            if not hasattr(type(values), '__len__') or isinstance(values, Mapping) or getattr(values, 'ndim', 1) == 0:
                raise BadRequest('%s: %s given, one for each key allowed' % (column, shown(values)))
            if len(values) != count:
                raise BadRequest('%s: %d given for %d keys' % (column, len(values), count))
        if count == 0:
            return 0
        self._client._check_views(self.id, table, rows)
        row_bytes = Given().matrix(rows[:1], 1, dtype)[1]
        step = max(1, whole('chunk_bytes', chunk_bytes, 1) // max(1, row_bytes))
        chunks = [slice(first, first + step) for first in range(0, count, step)]

        def chunk(part: slice) -> tuple[Given, Any]:
            lent, struct = Given(), ffi.new('struct rep_rows *')
            these: dict[str, Any] = {name: values[part] for name, values in columns.items() if values is not None}
            self._client._rows(lent, struct, all_keys[part], rows[part], dtype=dtype, any_time=any_time,
                               allow_nonfinite=allow_nonfinite, **these)
            return lent, struct

        given, out, next_chunk, held = Given(), ffi.new('rep_load **'), ffi.new('uint64_t *'), ffi.new('uint64_t *')
        load = given.text('name', '%s-%s' % (name, _digest(chunk, chunks)))
        connection = self._client._new_connection()
        try:
            check(lib.rep_load_begin(connection.client, given.text('release', self.id), given.text('table', table), load, out, next_chunk,
                                     connection.error), connection.error)
            try:
                for part in chunks[next_chunk[0]:]:
                    lent, struct = chunk(part)
                    check(lib.rep_load_chunk(out[0], struct, connection.error), connection.error)
            except BaseException:
                lib.rep_load_leave(out[0])
                raise
            check(lib.rep_load_end(out[0], held, connection.error), connection.error)
        finally:
            ffi.release(connection.client)
        return int(held[0])

    def loads(self) -> list[dict[str, Any]]:
        """The loads of an open release, as the protocol says them. Needs the package msgpack.

        Returns
        -------
        list of dict
        """
        loads: list[dict[str, Any]] = self._client.call('release.show', {'release': self.id}).get('loads', [])
        return loads

    def forget(self, table: str, name: str) -> None:
        """Drops what a load has sent.

        Parameters
        ----------
        table : str
            The table that was loaded.
        name : str
            The load, as `loads` says it.
        """
        given, out = Given(), ffi.new('rep_load **')
        connection = self._client._new_connection()
        try:
            check(lib.rep_load_begin(connection.client, given.text('release', self.id), given.text('table', table), given.text('name', name), out,
                                     ffi.NULL, connection.error), connection.error)
            check(lib.rep_load_abort(out[0], connection.error), connection.error)
        finally:
            ffi.release(connection.client)

    # ---- tensors ----

    def put_tensor(self, name: str, value: Any, *, dtype: str | None = None) -> Release:
        """Puts a tensor, over one of the same name.

        Parameters
        ----------
        name, value, dtype
            As in `Client.put_tensor`.

        Returns
        -------
        Release
            Itself.
        """
        self._client.put_tensor(name, value, dtype=dtype, release=self.id)
        return self

    def tensor(self, name: str) -> Tensor:
        """One of its tensors.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Tensor
        """
        return self._client.tensor(name, release=self.id)

    def tensors(self) -> list[Record]:
        """Its tensors, as `Client.tensors` says them.

        Returns
        -------
        list of Record
        """
        return self._client.tensors(self.id)

    def delete_tensor(self, name: str) -> None:
        """Deletes a tensor.

        Parameters
        ----------
        name : str
            Its name.
        """
        self._client.delete_tensor(name, release=self.id)

    # ---- seal, publish, drop ----

    def seal(self) -> Release:
        """Builds the files that reads use; as long as it takes.

        Returns
        -------
        Release
            Itself.
        """
        self._call(lib.rep_release_seal)
        return self

    def publish(self) -> Release:
        """Makes it the live release.

        Returns
        -------
        Release
            Itself.
        """
        self._call(lib.rep_release_publish)
        return self

    def drop(self) -> None:
        """Drops it and its files."""
        self._call(lib.rep_release_drop)
