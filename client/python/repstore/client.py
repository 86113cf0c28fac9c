"""client.py - a client of repstored: fetch, put, observe, retrieve, score, scan."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Collection, Optional, Sequence

import numpy as np

from ._repstore import ffi, lib
from .errors import BadRequest, Exists, NotFound, TooLarge, Unsupported, check
from .release import Release
from .rows import (Batch, Fetched, Given, Retrieved, Rows, Scored, Shape, Written, bits_from, copied, dtype_number,
                   keys_from, listed, record_from, whole)

METRICS = {'inner_product': lib.REP_INNER_PRODUCT, 'cosine': lib.REP_COSINE, 'l2': lib.REP_L2,
           'tanimoto': lib.REP_TANIMOTO, 'dice': lib.REP_DICE, 'hamming': lib.REP_HAMMING}
_COLUMNS = {'times': ('<i8', 'int64_t *'), 'tags': ('<u8', 'uint64_t *'), 'scales': ('<f4', 'float *'),
            'weights': ('<f4', 'float *'), 'why': ('u1', 'uint8_t *')}
WANTS = tuple(_COLUMNS)
MISSING = ('zero', 'nan', 'raise')
CONNECT_MS = 5000
TRIES = 4       # of a fetch whose tables change their shape at each publish


@dataclass
class Part:
    """The keys of one table, and what is wanted of their rows."""

    table: str
    keys: Any
    dtype: Optional[str] = None
    through: Sequence[str] = ()
    max_age: Optional[float] = None
    raw: bool = False
    want: Collection[str] = ()
    out: Optional[np.ndarray] = None


class _Connection:
    """A rep_client, and the error of its last call."""

    def __init__(self, address, timeout_ms):
        given = Given()
        options = ffi.new('struct rep_options *')
        options.address = given.text(None if address is None else os.fspath(address))
        options.connect_timeout_ms = min(timeout_ms or CONNECT_MS, CONNECT_MS)
        out = ffi.new('rep_client **')
        self.pid = os.getpid()
        self.error = ffi.new('struct rep_error *')
        check(lib.rep_connect(options, out, self.error), self.error)
        self.client = ffi.gc(out[0], lib.rep_close)
        self.timeout_ms = None
        self.limit(timeout_ms)

    def limit(self, timeout_ms):
        if timeout_ms != self.timeout_ms:
            lib.rep_set_timeout(self.client, timeout_ms)
            self.timeout_ms = timeout_ms


def _ms(seconds):
    """A time-out in ms as the library takes it: 0 is none."""
    if seconds is None:
        return 0
    if not 0 < seconds <= 4e6:
        raise BadRequest('timeout: %r given, seconds above 0, up to 4e6, or None for none allowed' % (seconds,))
    return max(1, int(seconds * 1000))


def _age_ms(seconds):
    if not 0 <= seconds < 2 ** 53:
        raise BadRequest('max_age: %r given, seconds of 0 or more allowed' % (seconds,))
    return int(seconds * 1000)


_NOT_GIVEN = object()


class Client:
    """A client of the daemon at `address` ($REPSTORE, else /run/repstore/repstore.sock).

    Threads may share it: each has a connection of its own, made when it is first needed, and so has a process after a
    fork. `timeout` is of each call, in seconds; None waits without end.

    >>> c = Client()
    >>> got = c.fetch({'ur': [1], 'ir': [1, 2, 3]})
    >>> got['ir'].rows.shape
    (3, 64)
    """

    def __init__(self, address: Optional[str] = None, *, timeout: Optional[float] = 30.0):
        self._address = address
        self._timeout_ms = _ms(timeout)
        self._local = threading.local()
        self._shapes = {}
        self._connect(_NOT_GIVEN)

    # ---- the connection of this thread ----

    def _connect(self, timeout):
        connection = getattr(self._local, 'connection', None)
        timeout_ms = self._timeout_ms if timeout is _NOT_GIVEN else _ms(timeout)
        if connection is None or connection.pid != os.getpid():
            connection = self._local.connection = _Connection(self._address, timeout_ms)
        connection.limit(timeout_ms)
        return connection

    def _new_connection(self):
        """Of a load, which lets nothing else come between."""
        return _Connection(self._address, self._timeout_ms)

    def __reduce__(self):
        return _client_of, (self._address, self._timeout_ms)

    def _spec(self, release, table):
        out = ffi.new('struct rep_table *')
        given = Given()
        self._call(lib.rep_table_show, given.text(release), given.text(table), out)
        return ffi.new('struct rep_table_spec *', out.spec)     # out.spec alone would not keep `out`

    def _check_views(self, release, table, rows):
        """Views that stand in the wrong order would be stored, since only their bytes are sent."""
        if getattr(rows, 'ndim', 2) != 3:
            return
        spec = self._spec(release, table)
        width = (spec.dim + 7) // 8 if spec.dtype == lib.REP_BIT else spec.dim
        if rows.shape[1:] != (spec.views, width):
            raise BadRequest("rows: of the shape %s, (n, %d, %d) allowed for table '%s'" % (
                rows.shape, spec.views, width, table))

    def _call(self, function, *args, timeout=_NOT_GIVEN):
        connection = self._connect(timeout)
        check(function(connection.client, *args, connection.error), connection.error)

    def close(self):
        """Closes the connection of this thread; the next call opens another."""
        connection = getattr(self._local, 'connection', None)
        if connection is not None and connection.pid == os.getpid():
            ffi.release(connection.client)
        self._local.connection = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def ping(self):
        """Asks whether the daemon answers."""
        self._call(lib.rep_ping)

    # ---- fetch ----

    def fetch(self, parts, *, release: Optional[str] = None, dtype=None, through: Sequence[str] = (), max_age=None,
              want: Collection[str] = (), out: Optional[Mapping] = None, missing: str = 'zero',
              timeout=_NOT_GIVEN) -> Fetched:
        """Rows of several tables, of one snapshot of one release (None: the live one).

        parts: {table: keys}, with dtype, through, max_age and want for each; or a sequence of Part.
        out: {table: array} to fetch into. missing: rows that are not found stay 'zero', become 'nan', or 'raise'.
        """
        if missing == 'default':
            raise Unsupported("missing='default': the daemon has no default rows yet")
        if missing not in MISSING:
            raise BadRequest("missing: '%s' given, one of %s allowed" % (missing, ', '.join(MISSING)))
        if out and not (isinstance(parts, Mapping) and set(out) <= set(parts)):
            raise BadRequest('out: %s given, tables that are asked allowed' % ', '.join(map(str, out)))
        if isinstance(parts, Mapping):
            parts = [Part(table, keys, dtype, through, max_age, False, want, (out or {}).get(table))
                     for table, keys in parts.items()]
        elif dtype is not None or through or max_age is not None or want or out:
            raise BadRequest('dtype, through, max_age, want and out stand in each Part')
        given, parts = Given(), list(parts)
        asked = given.keep(ffi.new('struct rep_part[]', len(parts)))
        for struct, part in zip(asked, parts):
            self._ask(given, struct, part)
        fetched = ffi.new('struct rep_fetched *')
        fetches = [None] * len(parts)
        for attempt in range(TRIES):
            for i, part in enumerate(parts):
                fetches[i] = _room(given, asked[i], part, self._shapes.get(_shape_key(release, part)), attempt > 0)
            try:
                self._call(lib.rep_fetch, given.text(release), asked, len(parts), fetched, timeout=timeout)
                fits = True
            except TooLarge:
                if not any(struct.stride for struct in asked):
                    raise       # of the daemon
                fits = False
            for i, part in enumerate(parts):
                shape = Shape(asked[i].row_dtype, asked[i].dim, asked[i].views, asked[i].stride)
                fits = fits and fetches[i] is not None and fetches[i]['shape'] == shape
                self._shapes[_shape_key(release, part)] = shape
            if fits:
                break
        else:
            raise TooLarge('the rows changed their shape at each of %d tries' % TRIES)
        return _result(fetched, asked, parts, fetches, missing)

    def _ask(self, given, struct, part):
        if isinstance(part.want, str):
            raise BadRequest('want: %r given, a collection of %s allowed' % (part.want, ', '.join(WANTS)))
        if part.want and set(part.want) - set(WANTS):
            unknown = set(part.want) - set(WANTS)
            raise BadRequest('want: %s given, of %s allowed' % (', '.join(sorted(unknown)), ', '.join(WANTS)))
        struct.table = given.text(part.table)
        given.keys(struct.keys, part.keys, "keys of '%s'" % part.table)
        struct.dtype = dtype_number(part.dtype)
        struct.raw = part.raw
        if part.max_age is not None:
            struct.has_max_age, struct.max_age_ms = True, _age_ms(part.max_age)
        if part.through:
            struct.through, struct.through_count = given.texts(part.through, 'through'), len(part.through)

    # ---- writes ----

    def _rows(self, given, struct, keys, rows, *, dtype=None, times=None, tags=None, scales=None, weights=None,
              allow_nonfinite=False, if_newer=False, any_time=False):
        count = given.keys(struct.keys, keys)
        struct.rows, struct.rows_bytes, struct.dtype, _, _ = given.matrix(rows, count, dtype)
        struct.times = given.times(times, count, any_time)
        struct.tags = given.column(tags, count, 'uint64_t *', 'tags')
        struct.scales = given.column(scales, count, 'float *', 'scales')
        struct.weights = given.column(weights, count, 'float *', 'weights')
        struct.allow_nonfinite, struct.if_newer, struct.any_time = allow_nonfinite, if_newer, any_time

    def put(self, table: str, keys, rows, *, release: Optional[str] = None, timeout=_NOT_GIVEN, **columns) -> Written:
        """Writes rows over those of the same keys; durable when it returns.

        columns: dtype ('bf16' of uint16), times (ms or datetime64), tags, scales, weights, if_newer, any_time,
        allow_nonfinite.
        """
        given, struct = Given(), ffi.new('struct rep_rows *')
        self._check_views(release, table, rows)
        self._rows(given, struct, keys, rows, **columns)
        return self._written(lib.rep_put, given.text(release), given.text(table), struct, timeout=timeout)

    def put_parts(self, parts: Mapping, *, release: Optional[str] = None, timeout=_NOT_GIVEN) -> Written:
        """Writes rows of several tables, {table: dict(keys=..., rows=...)}, all or none."""
        given = Given()
        asked = given.keep(ffi.new('struct rep_put_part[]', len(parts)))
        for struct, (table, columns) in zip(asked, parts.items()):
            rows = given.keep(ffi.new('struct rep_rows *'))
            self._check_views(release, table, columns.get('rows'))
            self._rows(given, rows, **columns)
            struct.table, struct.rows = given.text(table), rows
        return self._written(lib.rep_put_parts, given.text(release), asked, len(parts), timeout=timeout)

    def delete(self, table: str, keys, *, release: Optional[str] = None, timeout=_NOT_GIVEN) -> Written:
        """Deletes the rows of keys; a key without a row is passed over."""
        given, struct = Given(), ffi.new('struct rep_keys *')
        given.keys(struct, keys)
        return self._written(lib.rep_delete, given.text(release), given.text(table), struct[0], timeout=timeout)

    def observe(self, layer: str, *, rows, times, users=None, items=None, scales=None, dtype=None, source=None,
                position=None, first=False, any_time=False, release: Optional[str] = None,
                timeout=_NOT_GIVEN) -> Written:
        """Adds samples of a layer to the rows of their users and items. With a source each counts once: `position` is
        the number of the first one, `.next` of what is returned that of the next."""
        if (source is None) != (position is None):
            raise BadRequest('source and position go together')
        if users is None and items is None:
            raise BadRequest('users, items: neither given')
        if getattr(rows, 'ndim', 2) != 2:
            raise BadRequest('rows: of the shape %s, (n, views x dim) allowed' % (rows.shape,))
        given, struct = Given(), ffi.new('struct rep_samples *')
        count = [given.keys(each, keys, name) for each, keys, name in (
            (struct.users, users, 'users'), (struct.items, items, 'items')) if keys is not None][0]
        struct.layer, struct.count = given.text(layer), count
        struct.rows, struct.rows_bytes, struct.dtype, _, _ = given.matrix(rows, count, dtype)
        struct.times = given.times(times, count, any_time)
        struct.scales = given.column(scales, count, 'float *', 'scales')
        struct.source, struct.position = given.text(source), whole('position', position or 0)
        struct.first, struct.any_time = first, any_time
        return self._written(lib.rep_observe, given.text(release), struct, timeout=timeout)

    def _written(self, function, *args, timeout):
        out = ffi.new('struct rep_written *')
        self._call(function, *args, out, timeout=timeout)
        return Written(ffi.string(out.release).decode(), out.sequence, out.count, out.next)

    # ---- retrieve and score ----

    def _query(self, given, query, in_, release, from_, vectors, dtype, scales, through, weights, max_age):
        if (from_ is None) == (vectors is None):
            raise BadRequest('from_, vectors: one of them')
        if from_ is not None:
            table, keys = from_
            query.table = given.text(table)
            given.keys(query.keys, keys, 'from_')
        else:
            array = vectors if hasattr(vectors, '__array__') else np.asarray(vectors, '<f4')
            array = np.asarray(array)
            count = len(array) if array.ndim > 1 else 1
            query.rows, query.rows_bytes, query.dtype, query.dim, query.views = given.matrix(
                array.reshape(1, -1) if array.ndim == 1 else array, count, dtype, 'vectors')
            if query.dtype == lib.REP_BIT:
                dim = self._spec(release, in_).dim
                query.dim = dim if (dim + 7) // 8 == query.dim else 8 * query.dim
            query.keys.type, query.keys.count = lib.REP_KEY_U64, count
            query.scales = given.column(scales, count, 'float *', 'scales')
        if max_age is not None:
            query.has_max_age, query.max_age_ms = True, _age_ms(max_age)
        if through:
            query.through, query.through_count = given.texts(through, 'through'), len(through)
        if weights is not None:
            query.weights = given.column(weights, len(weights), 'float *', 'weights')
            query.weights_count = len(weights)

    def retrieve(self, in_: str, *, from_=None, vectors=None, k=100, metric='inner_product', approximate=1.0,
                 through=(), weights=None, dtype=None, scales=None, max_age=None, allow=None, deny=None, tags_any=None,
                 tags_all=None, tags_none=None, min_score=None, with_: Sequence[str] = (),
                 release: Optional[str] = None, timeout=_NOT_GIVEN) -> Retrieved:
        """The best k items of table `in_` for each query: rows of a table, from_=(table, keys), or vectors, which name
        their release. What is None filters nothing; zero is a value."""
        given, asked = Given(), ffi.new('struct rep_retrieval *')
        self._query(given, asked.query, in_, release, from_, vectors, dtype, scales, through, weights, max_age)
        asked.__setattr__('in', given.text(in_))
        if not 0 < approximate <= 1:
            raise BadRequest('approximate: %r given, above 0 and up to 1 allowed' % (approximate,))
        asked.k, asked.metric, asked.approximate = whole('k', k, 1), _metric(metric), 0 if approximate == 1 else approximate
        if min_score is not None:
            asked.has_min_score, asked.min_score = True, min_score
        for name, keys in (('allow', allow), ('deny', deny)):
            if keys is not None:
                struct = given.keep(ffi.new('struct rep_keys *'))
                given.keys(struct, keys, name)
                setattr(asked, name, struct)
        if tags_any is not None:
            asked.has_tags_any, asked.tags_any = True, whole('tags_any', tags_any)
        asked.tags_all, asked.tags_none = whole('tags_all', tags_all or 0), whole('tags_none', tags_none or 0)
        if with_:
            asked.__setattr__('with', given.texts(with_, 'with_'))
            asked.with_count = len(with_)
        out = ffi.gc(ffi.new('struct rep_retrieved *'), lib.rep_retrieved_free)
        self._call(lib.rep_retrieve, given.text(release), asked, out, timeout=timeout)
        return _retrieved(out)

    def score(self, in_: str, keys, *, from_=None, vectors=None, metric='inner_product', through=(), weights=None,
              dtype=None, scales=None, max_age=None, release: Optional[str] = None, timeout=_NOT_GIVEN) -> Scored:
        """Scores of named items for each query: [queries, items]; 0 for items that are not found."""
        given, asked = Given(), ffi.new('struct rep_scoring *')
        self._query(given, asked.query, in_, release, from_, vectors, dtype, scales, through, weights, max_age)
        asked.__setattr__('in', given.text(in_))
        asked.metric = _metric(metric)
        count = given.keys(asked.keys, keys)
        scores = np.zeros((asked.query.keys.count, count), '<f4')
        bits = np.zeros((count + 7) // 8, 'u1')
        asked.scores = given.array(scores, 'float *', writable=True)
        asked.found = given.array(bits, 'uint8_t *', writable=True)
        out = ffi.new('struct rep_fetched *')
        self._call(lib.rep_score, given.text(release), asked, out, timeout=timeout)
        return Scored(scores, bits_from(bits, count), ffi.string(out.release).decode(), out.sequence)

    # ---- scan ----

    def scan(self, table: str, *, release: Optional[str] = None, dtype=None, raw=False, batch=0):
        """All rows of a table, in batches of about `batch` rows (0: the daemon chooses); of the release on which it
        began, also when another becomes live."""
        given, scan = Given(), ffi.gc(ffi.new('struct rep_scan *'), lib.rep_scan_free)
        scan.raw = raw
        release, table, number = given.text(release), given.text(table), dtype_number(dtype)
        while True:
            self._call(lib.rep_scan_next, release, table, number, batch, scan)
            n = scan.keys.count
            shape = Shape(scan.dtype, scan.dim, scan.views, scan.stride)
            if n:
                yield Batch(keys_from(scan.keys), copied(scan.rows, shape.numpy, shape.of(n)),
                            copied(scan.times, '<i8', n), copied(scan.tags, '<u8', n), copied(scan.scales, '<f4', n),
                            copied(scan.weights, '<f4', n), ffi.string(scan.release).decode())
            if not scan.more:
                return

    # ---- releases ----

    def new_release(self, release: str, *, model: Optional[str] = None, checkpoint: Optional[str] = None,
                    exist_ok: bool = False) -> Release:
        """Begins a release; `with` leaves it open when the block raises, so that an interrupted load can go on. exist_ok:
        goes on with one that is there and still open."""
        given = Given()
        try:
            self._call(lib.rep_release_create, given.text(release), given.text(model), given.text(checkpoint))
        except Exists:
            if not exist_ok or Release(self, release).show().state != 'open':
                raise
        return Release(self, release)

    def release(self, release: str) -> Release:
        """A release that is there."""
        return Release(self, release)

    def releases(self):
        """What `release list` says, one Record each."""
        return self._list(lib.rep_release_list, 'struct rep_release *')

    def tables(self, release: Optional[str] = None):
        """The tables of a release, one Record each."""
        return self._list(lib.rep_table_list, 'struct rep_table *', Given().text(release))

    def positions(self, release: Optional[str] = None):
        """How far each source is counted, one Record each."""
        return self._list(lib.rep_positions, 'struct rep_position *', Given().text(release))

    def _list(self, function, ctype, *args):
        out, count = ffi.new(ctype + '*'), ffi.new('size_t *')
        self._call(function, *args, out, count)
        try:
            return [record_from(out[0][i]) for i in range(count[0])]
        finally:
            lib.free(out[0])

    def rollback(self) -> str:
        """Makes the release live again that was live before; returns which."""
        now = ffi.new('char[72]')
        self._call(lib.rep_release_rollback, now)
        return ffi.string(now).decode()

    def merge(self):
        """Merges what was written into base files, and waits for it."""
        self._call(lib.rep_merge, ffi.NULL)

    # ---- any method ----

    def call(self, method: str, params: Optional[Mapping] = None, *, timeout=_NOT_GIVEN):
        """Any method of the protocol, by the package msgpack."""
        import msgpack
        given = Given()
        packed = msgpack.packb(dict(params or {}), use_bin_type=True)
        out, size = ffi.new('void **'), ffi.new('size_t *')
        self._call(lib.rep_call, given.text(method), packed, len(packed), out, size, timeout=timeout)
        try:
            return msgpack.unpackb(ffi.buffer(out[0], size[0])[:], raw=False, strict_map_key=False)
        finally:
            lib.free(out[0])

    def stats(self) -> dict:
        """The counters of the daemon."""
        return self.call('stats')


def _metric(name):
    if name not in METRICS:
        raise BadRequest("metric: '%s' given, one of %s allowed" % (name, ', '.join(METRICS)))
    return METRICS[name]


def _shape_key(release, part):
    return (release, part.table, part.dtype, part.raw, tuple(part.through))


def _client_of(address, timeout_ms):
    return Client(address, timeout=timeout_ms / 1000 if timeout_ms else None)


def _room(given, struct, part, shape, is_sure):
    """Gives a part its arrays. None: nobody knows yet how wide the rows are, so they are not taken."""
    struct.stride = 0
    struct.rows, struct.rows_bytes = ffi.NULL, 0
    if shape is None:
        return None
    count = struct.keys.count
    rows = part.out
    if rows is None:
        rows = np.empty(shape.of(count), shape.numpy)
    elif not isinstance(rows, np.ndarray) or rows.shape != shape.of(count) or rows.dtype != shape.numpy or not (
            rows.flags.c_contiguous and rows.flags.writeable):
        if not is_sure:
            return None         # the shape may be that of a release before
        raise BadRequest("out of '%s': %s of %s given, writable C-contiguous %s of %s allowed" % (
            part.table, getattr(rows, 'shape', type(rows).__name__), getattr(rows, 'dtype', 'no array'), shape.of(count),
            shape.numpy.name))
    arrays = {'shape': shape, 'rows': rows, 'found': np.empty((count + 7) // 8, 'u1')}
    struct.rows, struct.rows_bytes = given.array(rows, 'void *', writable=True), rows.nbytes
    struct.found = given.array(arrays['found'], 'uint8_t *', writable=True)
    for name in (*part.want, *(('scales',) if shape.dtype == lib.REP_I8 else ())):
        dtype, ctype = _COLUMNS[name]
        arrays[name] = np.zeros(count, dtype)
        setattr(struct, name, given.array(arrays[name], ctype, writable=True))
    return arrays


def _result(fetched, asked, parts, fetches, missing):
    results = []
    for struct, part, arrays in zip(asked, parts, fetches):
        found = bits_from(arrays['found'], struct.keys.count)
        if missing != 'zero' and not found.all():
            lost = np.flatnonzero(~found)
            if missing == 'raise':
                raise NotFound("table '%s': %d keys of %d have no row, the first are %s" % (
                    part.table, len(lost), len(found), ', '.join(str(listed(part.keys)[i]) for i in lost[:5])))
            if arrays['rows'].dtype.kind != 'f':
                raise BadRequest("missing='nan': rows of %s have none" % arrays['shape'].name)
            arrays['rows'][lost] = np.nan
        results.append(Rows(arrays['rows'], found, ffi.string(struct.resolved).decode(), arrays['shape'].name,
                            *(arrays.get(name) for name in WANTS)))
    return Fetched(ffi.string(fetched.release).decode(), fetched.sequence, [part.table for part in parts], results)


def _retrieved(out):
    queries = [out.parts[i] for i in range(out.count)]
    k = max((part.n for part in queries), default=0)
    bytes_keys = any(part.n and part.keys.type == lib.REP_KEY_BYTES for part in queries)
    keys = np.empty((len(queries), k), object) if bytes_keys else np.zeros((len(queries), k), '<u8')
    scores = np.full((len(queries), k), -np.inf, '<f4')
    n = np.array([part.n for part in queries], 'i8')
    with_ = {}
    for i, part in enumerate(queries):
        if part.n == 0:
            continue
        keys[i, :part.n] = keys_from(part.keys)
        scores[i, :part.n] = copied(part.scores, '<f4', part.n)
        for j in range(part.with_count):
            _add_company(with_, getattr(part, 'with')[j], i, part.n, (len(queries), k))
    text = lambda array: ffi.string(array).decode()
    return Retrieved(keys, scores, n, text(out.release), out.sequence, out.exact, out.by_rows, out.compared, with_)


def _add_company(with_, company, i, n, counts):
    """Rows that came along with the items of query i."""
    name = ffi.string(company.table).decode()
    shape = Shape(company.dtype, company.dim, company.views, company.stride)
    if name not in with_:
        with_[name] = Rows(np.zeros(shape.of(*counts), shape.numpy), np.zeros(counts, bool), name, shape.name,
                           scales=np.zeros(counts, '<f4') if company.scales != ffi.NULL else None)
    rows = with_[name]
    rows.rows[i, :n] = copied(company.rows, shape.numpy, shape.of(n))
    rows.found[i, :n] = bits_from(copied(company.found, 'u1', (n + 7) // 8), n)
    if rows.scales is not None:
        rows.scales[i, :n] = copied(company.scales, '<f4', n)
