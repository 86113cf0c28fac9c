"""release.py - fills a release from arrays: create tables, load, seal, publish, drop."""

import hashlib

from ._repstore import ffi, lib
from .errors import BadRequest, Exists, check
from .rows import Given, dtype_number, listed, record_from, whole

CHUNK_BYTES = 4 << 20
UINT32_MAX = 2 ** 32 - 1
_ENTITIES = {'user': lib.REP_USER, 'item': lib.REP_ITEM}
_KINDS = {'ur': lib.REP_UR, 'ir': lib.REP_IR, 'cr': lib.REP_CR}
_KEYS = {'u64': lib.REP_KEY_U64, 'bytes': lib.REP_KEY_BYTES}
_INDEXES = {None: lib.REP_INDEX_NONE, 'balls': lib.REP_INDEX_BALLS}
_READS = {None: 0, 'sum': lib.REP_SUM, 'mean': lib.REP_MEAN, 'layer_norm': lib.REP_LAYER_NORM}


def _one_of(name, value, choices):
    if value not in choices:
        raise BadRequest('%s: %r given, one of %s allowed' % (name, value, ', '.join(map(repr, choices))))
    return choices[value]


def _are_alike(asked, there):
    """Whether a table is what was asked for; what was left out may be anything."""
    return all(getattr(asked, name) in (getattr(there, name), 0) for name in (
        'entity', 'kind', 'dtype', 'key_type', 'dim', 'views', 'ttl_ms', 'tags', 'index', 'decay_events', 'half_life_ms',
        'reading'))


def _digest(chunk, chunks):
    """What a load is known by: the bytes of all of its chunks, and how it is cut."""
    digest = hashlib.blake2b(digest_size=8)
    for part in chunks:
        _, struct = made = chunk(part)
        count = struct.keys.count
        for pointer, size in ((struct.keys.data, struct.keys.bytes), (struct.rows, struct.rows_bytes),
                              (struct.times, 8 * count), (struct.tags, 8 * count), (struct.scales, 4 * count),
                              (struct.weights, 4 * count)):
            digest.update(b'%d,' % size if pointer != ffi.NULL else b'-')
            if pointer != ffi.NULL and size:
                digest.update(ffi.buffer(ffi.cast('char *', pointer), size))
        digest.update(b'%d' % struct.dtype)
        del made
    return digest.hexdigest()


class Release:
    """A release, by its id. As a context manager it leaves the release as it is, also when the block raises."""

    def __init__(self, client, release):
        self._client, self.id = client, release

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __repr__(self):
        return 'Release(%r)' % self.id

    def _call(self, function, *args):
        self._client._call(function, Given().text(self.id), *args)

    def show(self):
        """What `release show` says, as a Record."""
        out = ffi.new('struct rep_release *')
        self._call(lib.rep_release_show, out)
        return record_from(out[0])

    def create_table(self, name, *, entity, kind, dim, dtype='f32', key='u64', views=1, ttl=None, tags=False,
                     index=None, decay_events=0.0, half_life=None, read=None, exist_ok=False):
        """A table; `ttl` and `half_life` are seconds. Of kind 'cr' its name is table@layer. exist_ok: one that is there
        and is alike will do."""
        spec, given = ffi.new('struct rep_table_spec *'), Given()
        given.text(name)
        if len(name.encode()) >= ffi.sizeof(spec.name):
            raise BadRequest("table: '%s' has %d bytes, at most %d allowed" % (
                name, len(name.encode()), ffi.sizeof(spec.name) - 1))
        spec.name = name.encode()
        spec.entity, spec.kind = _one_of('entity', entity, _ENTITIES), _one_of('kind', kind, _KINDS)
        spec.dtype, spec.key_type = dtype_number(dtype), _one_of('key', key, _KEYS)
        spec.dim, spec.views, spec.tags = whole('dim', dim, 1, UINT32_MAX), whole('views', views, 1, UINT32_MAX), tags
        spec.ttl_ms = 0 if ttl is None else whole('ttl', int(ttl * 1000), 1)
        spec.index, spec.reading = _one_of('index', index, _INDEXES), _one_of('read', read, _READS)
        spec.decay_events = decay_events
        spec.half_life_ms = 0 if half_life is None else whole('half_life', int(half_life * 1000), 1)
        try:
            self._call(lib.rep_table_create, spec)
        except Exists:
            if not exist_ok or not _are_alike(spec, self._client._spec(self.id, name)):
                raise
        return self

    def load(self, table, keys, rows, *, times=None, tags=None, scales=None, weights=None, dtype=None, name='load',
             any_time=False, allow_nonfinite=False, chunk_bytes=CHUNK_BYTES):
        """Loads the rows of a table, durable when it returns; a table takes several loads. The same call after an
        interruption goes on where the daemon stands: it is known by its rows, which are read once for that, so a load of
        other rows is another one. Returns how many rows the load has."""
        keys, count = listed(keys), len(keys)
        columns = dict(times=times, tags=tags, scales=scales, weights=weights)
        for column, values in (('rows', rows), *columns.items()):
            if values is not None and len(values) != count:
                raise BadRequest('%s: %d given for %d keys' % (column, len(values), count))
        if count == 0:
            return 0
        self._client._check_views(self.id, table, rows)
        row_bytes = Given().matrix(rows[:1], 1, dtype)[1]
        step = max(1, whole('chunk_bytes', chunk_bytes, 1) // max(1, row_bytes))
        chunks = [slice(first, first + step) for first in range(0, count, step)]

        def chunk(part):
            lent, struct = Given(), ffi.new('struct rep_rows *')
            self._client._rows(lent, struct, keys[part], rows[part], dtype=dtype, any_time=any_time,
                               allow_nonfinite=allow_nonfinite, **{
                                   column: None if values is None else values[part] for column, values in columns.items()})
            return lent, struct

        given, out, next_chunk, held = Given(), ffi.new('rep_load **'), ffi.new('uint64_t *'), ffi.new('uint64_t *')
        name = given.text('%s-%s' % (name, _digest(chunk, chunks)))
        connection = self._client._new_connection()
        try:
            check(lib.rep_load_begin(connection.client, given.text(self.id), given.text(table), name, out, next_chunk,
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
        return held[0]

    def loads(self):
        """The loads of an open release, as the protocol says them; needs the package msgpack."""
        return self._client.call('release.show', {'release': self.id}).get('loads', [])

    def forget(self, table, name):
        """Drops what a load has sent, by the name that `loads` says."""
        given, out = Given(), ffi.new('rep_load **')
        connection = self._client._new_connection()
        try:
            check(lib.rep_load_begin(connection.client, given.text(self.id), given.text(table), given.text(name), out,
                                     ffi.NULL, connection.error), connection.error)
            check(lib.rep_load_abort(out[0], connection.error), connection.error)
        finally:
            ffi.release(connection.client)

    def seal(self):
        """Builds the files that reads use; as long as it takes."""
        self._call(lib.rep_release_seal)
        return self

    def publish(self):
        """Makes it the live release."""
        self._call(lib.rep_release_publish)
        return self

    def drop(self):
        """Drops it and its files."""
        self._call(lib.rep_release_drop)
