"""client.py - a client of repstored: fetch, put, observe, append, retrieve, score, scan."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Optional, TypeVar

import numpy as np

from ._repstore import ffi, lib
from .arguments import UINT32_MAX, array, flag, is_given, mapping, one_of, real, shown, text, tupled, whole
from .errors import BadRequest, Exists, TooLarge, check
from .pool import Pool
from .query import (NOT_GIVEN, PLANS_MAX, TRIES, DType, Key, Lent, Missing, Part, Plan, Query, Shapes, Want, age_ms,
                    check_missing, lend, named, spec_of)
from .release import Release
from .rows import (Array, Batch, Fetched, Given, Keys, Record, Retrieved, Rows, Scored, Shape, Written, bits_from, copied,
                   copied_if_there, dtype_number, keys_from, of_torch, record_from)
from .tensors import Tensor, get_tensor, list_tensors, put_tensor
from .tracing import current as current_trace

Metric = Literal['inner_product', 'cosine', 'l2', 'tanimoto', 'dice', 'hamming']
METRICS = {'inner_product': lib.REP_INNER_PRODUCT, 'cosine': lib.REP_COSINE, 'l2': lib.REP_L2,
           'tanimoto': lib.REP_TANIMOTO, 'dice': lib.REP_DICE, 'hamming': lib.REP_HAMMING}
QUERY_MISSING = {'raise': lib.REP_MISSING_ZERO, 'default': lib.REP_MISSING_DEFAULT}
CONNECT_MS = 5000
K_MAX = 10000
NAME_BYTES = 63
BATCH_MAX = UINT32_MAX


T = TypeVar('T')
C = TypeVar('C', bound='Client')


@dataclass
class Asked(Generic[T]):
    """A call that is ready: function(client, *args, out, error), what its structs point to, and what it returns."""

    function: Any
    args: tuple[Any, ...]
    out: Any
    given: Given
    finish: Callable[[], T]


class Tls(NamedTuple):
    """What a client shows at 'tls:HOST:PORT', and whom it trusts: paths of PEM files, read at each connect.

    What is None is taken from $REPSTORE_TLS_AUTHORITY, _CERTIFICATE, _KEY and _SERVER_NAME.

    Parameters
    ----------
    authority : str or path, optional
        Who signs the daemon's certificate.
    certificate, key : str or path, optional
        The client's own certificate, and behind it those between it and its authority; and its private key.
    server_name : str, optional
        The name or address in the daemon's certificate; HOST unless told.

    Examples
    --------
    >>> repstore.Tls(authority='/etc/repstore/authority.pem').key is None
    True
    """

    authority: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str | None = None


class Where(NamedTuple):
    """Where a client connects to, and how."""

    address: Any
    others: tuple[str, ...]
    spin_us: int
    timeout_ms: int
    tls: Tls
    name: Optional[str]


def _tls_of(tls: Any) -> Tls:
    if tls is None:
        return Tls()
    if not isinstance(tls, Tls):
        raise BadRequest('tls: %s given, a repstore.Tls allowed' % shown(tls))
    for name, value in zip(tls._fields, tls):
        try:
            text('tls.' + name, '' if value is None else os.fspath(value))
        except TypeError:
            raise BadRequest('tls.%s: %s given, a str or a path allowed' % (name, shown(value))) from None
    return tls


def where_of(address: Any, others: Sequence[str], spin_us: int, timeout: float | None, tls: Tls | None,
             name: str | None) -> Where:
    if name is not None and len(text('name', name)) > NAME_BYTES:
        raise BadRequest('name: %d bytes given, at most %d allowed' % (len(text('name', name)), NAME_BYTES))
    if address is not None:
        try:
            text('address', os.fspath(address))
        except TypeError:
            raise BadRequest('address: %s given, a str or a path allowed' % shown(address)) from None
    return Where(address, tupled('others', others), whole('spin_us', spin_us, 0, UINT32_MAX), ms(timeout), _tls_of(tls),
                 name)


def options_of(where: Where, given: Given, timeout_ms: int) -> Any:
    """The struct rep_options of it, as long as `given` lives."""
    options = ffi.new('struct rep_options *')
    options.address = given.text_if_given('address', None if where.address is None else os.fspath(where.address))
    if where.others:
        options.others, options.others_count = given.texts('others', where.others), len(where.others)
    options.spin_us, options.client = where.spin_us, given.text_if_given('name', where.name)
    for name, value in zip(Tls._fields, where.tls):
        setattr(options, 'tls_' + name, given.text_if_given('tls.' + name, None if value is None else os.fspath(value)))
    options.interrupted = lib.repstore_interrupted
    options.connect_timeout_ms = min(timeout_ms or CONNECT_MS, CONNECT_MS)
    options.timeout_ms = timeout_ms
    return options


class Connection:
    """A rep_client, the error of its last call, and what is used again: the plans of fetches, and memory of results.

    connect(out, error) makes the client.
    """

    def __init__(self, connect: Callable[[Any, Any], int], timeout_ms: int) -> None:
        out = ffi.new('rep_client **')
        self.pid = os.getpid()
        self.error = ffi.new('struct rep_error *')
        self.plans: dict[Key, Plan] = {}
        self.pool = Pool()
        self.is_busy = False                        # within a call, and so are the signal handlers that run in it
        self.inner: Optional[Connection] = None     # that of such handlers
        check(connect(out, self.error), self.error)
        self.client = ffi.gc(out[0], lib.rep_close)
        self.timeout_ms: Optional[int] = None
        self.limit(timeout_ms)
        self.trace: Any = ffi.NULL
        self.belong()

    def belong(self) -> None:
        """Says what later calls belong to."""
        self.trace = current_trace.get()
        check(lib.rep_set_trace(self.client, self.trace, self.error), self.error)

    def limit(self, timeout_ms: int) -> None:
        lib.rep_set_timeout(self.client, timeout_ms)
        self.timeout_ms = timeout_ms

    def call(self, function: Any, *args: Any) -> None:
        self.is_busy = True
        try:
            check(function(self.client, *args, self.error), self.error)
        finally:
            self.is_busy = False

    def take_plan(self, key: Key, shapes: Shapes) -> Plan:
        """Of this caller alone, until it gives it back."""
        try:
            plan = self.plans.pop(key, None)
        except TypeError:
            plan = None     # what cannot be looked up is an argument that is wrong: a new plan says which
        return Plan(key, shapes) if plan is None else plan

    def give_back(self, key: Key, plan: Plan) -> None:
        plan.end()
        if len(self.plans) >= PLANS_MAX:
            self.plans.clear()
        self.plans[key] = plan


def ms(seconds: float | None) -> int:
    """A time-out in ms as the library takes it: 0 is none."""
    if seconds is None:
        return 0
    if not 0 < real('timeout', seconds) <= 4e6:
        raise BadRequest('timeout: %r given, seconds above 0, up to 4e6, or None for none allowed' % (seconds,))
    return max(1, int(seconds * 1000))


class Client:
    """A client of the daemon.

    Threads may share it: each has a connection of its own, made when it is first needed, and so has a process after a
    fork. A call does not hold Python's lock while it waits.

    Parameters
    ----------
    address : str or path, optional
        'unix:PATH', 'tls:HOST:PORT', 'tcp:HOST:PORT' or a path; $REPSTORE unless told, else /run/repstore/repstore.sock.
    timeout : float or None, optional
        Seconds of each call, counted anew for each; None waits without end.
    others : sequence of str, optional
        Addresses that serve the same releases, tried in turn where the one before cannot be connected.
    spin_us : int, optional
        How many microseconds a call looks for its answer before it sleeps, for who has a processor to spend.
    tls : Tls, optional
        The files for addresses of 'tls:'.
    name : str, optional
        What the daemon shows the client as, at most 63 bytes; the program's name unless told.

    Examples
    --------
    >>> import repstore
    >>> with repstore.Client() as c:
    ...     got = c.fetch({'ur': [1], 'ir': [1, 2, 3]})
    >>> got['ir'].rows.shape
    (3, 64)
    """

    def __init__(self, address: str | os.PathLike[str] | None = None, *, timeout: float | None = 30.0,
                 others: Sequence[str] = (), spin_us: int = 0, tls: Tls | None = None, name: str | None = None) -> None:
        self._begin(where_of(address, others, spin_us, timeout, tls, name))
        self._connect(NOT_GIVEN)

    def _begin(self, where: Where) -> None:
        self._where = where
        self._local = threading.local()
        self._shapes: Shapes = {}

    @classmethod
    def _unconnected(cls: type[C], where: Where) -> C:
        """One that connects when it is first asked."""
        client = cls.__new__(cls)
        client._begin(where)
        return client

    # ---- the connection of this thread ----

    def _open(self, timeout_ms: int) -> Connection:
        given = Given()
        options = options_of(self._where, given, timeout_ms)
        return Connection(lambda out, error: int(lib.rep_connect(options, out, error)), timeout_ms)

    def _connect(self, timeout: float | None) -> Connection:
        connection: Connection | None = getattr(self._local, 'connection', None)
        timeout_ms = self._where.timeout_ms if timeout is NOT_GIVEN else ms(timeout)
        if connection is None or connection.pid != os.getpid():
            connection = self._local.connection = self._open(timeout_ms)
        while connection.is_busy:       # a signal handler calls, in the middle of a call of its own thread
            if connection.inner is None:
                connection.inner = self._open(timeout_ms)
            connection = connection.inner
        if connection.timeout_ms != timeout_ms:
            connection.limit(timeout_ms)
        if connection.trace is not current_trace.get():
            connection.belong()
        return connection

    def _new_connection(self) -> Connection:
        """Of a load, which lets nothing else come between."""
        return self._open(self._where.timeout_ms)

    def _see(self, sequence: int, timeout: float | None) -> None:
        """Lets what is read next see that write. A daemon shows each write that it has answered."""

    def __reduce__(self) -> Any:
        return _client_of, tuple(self._where)

    def _spec(self, release: str | None, table: str) -> Any:
        out = self._table(release, table)
        return ffi.new('struct rep_table_spec *', out.spec)     # out.spec alone would not keep `out`

    def _table(self, release: str | None, table: str) -> Any:
        out, given = ffi.new('struct rep_table *'), Given()
        self._call(lib.rep_table_show, given.release(release), given.text('table', table), out)
        return out

    def _check_views(self, release: str | None, table: str, rows: Any) -> None:
        """Views that stand in the wrong order would be stored, since only their bytes are sent."""
        if getattr(rows, 'ndim', 2) < 3:
            return
        spec = self._spec(release, table)
        width = (spec.dim + 7) // 8 if spec.dtype == lib.REP_BIT else spec.dim
        each = (spec.views, width) if not spec.history else (
            (spec.history, width) if spec.views == 1 else (spec.history, spec.views, width))
        if tuple(rows.shape[1:]) != each:
            raise BadRequest("rows: of the shape %s, (n, %s) allowed for table '%s'" % (
                tuple(rows.shape), ', '.join(map(str, each)), table))

    def _call(self, function: Any, *args: Any, timeout: float | None = NOT_GIVEN) -> None:
        self._connect(timeout).call(function, *args)

    def close(self) -> None:
        """Closes the connection of this thread; the next call opens another."""
        self._local.connection = None       # it goes now, or when the call has ended in which a signal handler closes it

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def ping(self) -> float:
        """Asks whether the daemon answers.

        Returns
        -------
        float
            Seconds until it did.
        """
        began = time.perf_counter()
        self._call(lib.rep_ping)
        return time.perf_counter() - began

    def whoami(self) -> Record:
        """Asks who this client is to the daemon, and what it may do.

        Returns
        -------
        Record
            peer ('uid:1001', 'tcp:loopback', ...), and roles: a tuple of 'read', 'write', 'publish', 'admin', empty
            where the operator has given none. What takes another role raises `Denied`.
        """
        out = ffi.new('struct rep_identity *')
        self._call(lib.rep_whoami, out)
        named = (('read', lib.REP_ROLE_READ), ('write', lib.REP_ROLE_WRITE), ('publish', lib.REP_ROLE_PUBLISH),
                 ('admin', lib.REP_ROLE_ADMIN))
        return Record({'peer': ffi.string(out.peer).decode(),
                       'roles': tuple(name for name, bit in named if out.roles & bit)})

    # ---- fetch ----

    def fetch(self, parts: Mapping[str, Keys] | Sequence[Part], *, release: str | None = None, dtype: DType | None = None,
              through: Sequence[str] = (), max_age: float | None = None, want: Collection[Want] = (),
              out: Mapping[str, Array] | None = None, missing: Missing = 'zero', min_sequence: int | None = None,
              timeout: float | None = NOT_GIVEN) -> Fetched:
        """Rows of several tables, of one snapshot of one release.

        Parameters
        ----------
        parts : mapping of str to array_like, or sequence of Part
            {table: keys}, with the options below for each; or Parts, which have their own. Keys are integers from 0 to
            2^64 - 1, or bytes and str.
        release : str, optional
            The live one unless told.
        dtype : str, optional
            'f32', 'f16', 'bf16', 'i8' or 'bit'; as stored unless told.
        through : sequence of str, optional
            Stored layers that the daemon sends the rows through, one after the other.
        max_age : float, optional
            Seconds; older rows are not found.
        want : collection of str, optional
            'times', 'tags', 'scales', 'weights', 'why': columns besides the rows.
        out : mapping of str to ndarray, optional
            Arrays to fetch into, by table: writable, C-contiguous, of the shape and dtype of the rows.
        missing : {'zero', 'default', 'nan', 'raise'}, optional
            What rows are that are not found. 'default' is the default row of the table's spec; 'raise' is NotFound with the
            first keys.
        min_sequence : int, optional
            `Written.sequence` of a write that the rows shall have. A daemon shows it anyway; a `Local` waits until it has
            it, and later reads of this thread see it, too.
        timeout : float, optional
            Seconds of this call; the client's unless told, None without end.

        Returns
        -------
        Fetched
            Rows by table, or by their place in what was asked.

        Examples
        --------
        >>> got = c.fetch({'ur': [7], 'ir': [1, 50, 999999]}, dtype='f32')
        >>> scores = got['ir'].rows @ got['ur'].rows[0]
        >>> scores.shape, got['ir'].found.tolist()
        ((3,), [True, True, False])
        """
        check_missing(missing)
        if min_sequence is not None:
            self._see(whole('min_sequence', min_sequence), timeout)
        if type(parts) is dict or isinstance(parts, Mapping):
            names, keys = list(parts), list(parts.values())
            steps, columns = tupled('through', through), tupled('want', want)
            outs: Optional[list[Optional[Lent]]] = None
            if out is not None:
                if not set(mapping('out', out, '{table: array}')) <= set(names):
                    raise BadRequest('out: %s given, tables that are asked allowed' % ', '.join(map(str, out)))
                outs = [lend(out[name], name) if out.get(name) is not None else None for name in names]
            specs = tuple([(name, dtype, steps, max_age, False, columns) for name in names])     # as Spec has them
            return self._fetch((release, specs), names, keys, outs, missing, timeout)
        asked: list[Any] = list(parts) if isinstance(parts, Iterable) and getattr(parts, 'ndim', 1) != 0 else [parts]
        if not all(isinstance(part, Part) for part in asked):
            raise BadRequest('parts: %s given, {table: keys} or a sequence of Part allowed' % shown(parts))
        for name, value in (('dtype', dtype), ('through', through), ('max_age', max_age), ('want', want), ('out', out)):
            if is_given(value):
                raise BadRequest('%s: stands in each Part' % name)
        return self._fetch((release, tuple(map(spec_of, asked))), [part.table for part in asked],
                           [part.keys for part in asked],
                           [None if part.out is None else lend(part.out, part.table) for part in asked], missing, timeout)

    def _fetch(self, key: Key, names: Sequence[str], keys: Sequence[Any], outs: Sequence[Lent | None] | None,
               missing: Missing, timeout: float | None) -> Fetched:
        connection = self._connect(timeout)
        plan = connection.take_plan(key, self._shapes)
        try:
            plan.ask(keys, missing)
            for attempt in range(TRIES):
                plan.make_room(connection.pool, outs, attempt > 0)
                try:
                    connection.call(lib.rep_fetch, plan.release, plan.asked, plan.count, plan.fetched)
                except TooLarge:
                    if not plan.knows_shapes():
                        raise       # of the daemon
                    plan.fits()
                    continue
                if plan.fits():
                    return plan.result(names, missing)
            raise TooLarge('the rows changed their shape at each of %d tries' % TRIES)
        finally:
            connection.give_back(key, plan)

    def prepare(self, parts: Mapping[str, str | Part] | Sequence[str], *, release: str | None = None,
                dtype: DType | None = None, through: Sequence[str] = (), max_age: float | None = None,
                want: Collection[Want] = (), out: Mapping[str, Array] | None = None,
                missing: Missing = 'zero') -> Query:
        """A fetch that is asked again and again with other keys.

        Parameters
        ----------
        parts : mapping of str to str or Part, or sequence of str
            {name: table}, and the query takes keys by these names; or tables, which are their own names. A Part, without
            keys, has options of its own.
        release, dtype, through, max_age, want
            As in `fetch`.
        out : mapping of str to ndarray, optional
            By name: each call fetches into the same arrays, so the query is of one thread.
        missing
            As in `fetch`.

        Returns
        -------
        Query
            To be called with keys by name.

        Examples
        --------
        >>> query = c.prepare({'user': 'ur', 'items': 'ir'}, dtype='f32')
        >>> got = query(user=[7], items=[1, 50])
        >>> (got['items'].rows @ got['user'].rows[0]).shape
        (2,)
        """
        check_missing(missing)
        by_name = named(parts, dict(dtype=dtype, through=through, max_age=max_age, want=want))
        if out is not None and not set(mapping('out', out, '{name: array}')) <= set(by_name):
            raise BadRequest('out: %s given, of %s allowed' % (', '.join(map(str, out)), ', '.join(by_name)))
        return Query(self, by_name, release, missing, out)

    # ---- writes ----

    def _rows(self, given: Given, struct: Any, keys: Keys, rows: Any, *, dtype: DType | None = None, times: Any = None,
              tags: Any = None, scales: Any = None, weights: Any = None, allow_nonfinite: bool = False,
              if_newer: bool = False, any_time: bool = False, counts: Any = None, history_times: Any = None) -> None:
        count = given.keys(struct.keys, keys)
        if counts is not None or history_times is not None:
            given.history(struct, counts, history_times, count, any_time)
            if getattr(rows, 'ndim', 0) == 4:
                rows = rows.reshape(rows.shape[0], -1, rows.shape[3])
        struct.rows, struct.rows_bytes, struct.dtype, _, _ = given.matrix(rows, count, dtype)
        struct.times = given.times(times, count, any_time)
        struct.tags = given.column(tags, count, 'uint64_t *', 'tags')
        struct.scales = given.column(scales, count, 'float *', 'scales')
        struct.weights = given.column(weights, count, 'double *', 'weights')
        struct.allow_nonfinite = flag('allow_nonfinite', allow_nonfinite)
        struct.if_newer, struct.any_time = flag('if_newer', if_newer), flag('any_time', any_time)

    def put(self, table: str, keys: Keys, rows: Any, *, release: str | None = None, dtype: DType | None = None,
            times: Any = None, tags: Any = None, scales: Any = None, weights: Any = None, counts: Any = None,
            history_times: Any = None, if_newer: bool = False, any_time: bool = False, allow_nonfinite: bool = False,
            timeout: float | None = NOT_GIVEN) -> Written:
        """Writes rows over those of the same keys; durable when it returns.

        Parameters
        ----------
        table : str
            Of a sealed or live release.
        keys : array_like
            Integers from 0 to 2^64 - 1, or bytes and str.
        rows : array_like
            [n, dim], or [n, views, dim]: float32, float16, int8 with `scales`, packed bits as uint8; a tensor of torch.
        release : str, optional
            The live one unless told.
        dtype : str, optional
            'bf16', of uint16; the others are known by the dtype of the array.
        times : array_like, optional
            Unix ms, or datetime64; the daemon's clock unless told.
        tags : array_like, optional
            64 bits of each row.
        scales, weights : array_like, optional
            Of i8; of an aggregating table, whose rows are sums.
        counts, history_times : array_like, optional
            Of a table with a history, whose rows are [n, history, dim] and have no `times`: how many places of each row are
            taken, and [n, history] times, the oldest first. A row replaces the history of its key; `append` adds to it.
        if_newer : bool, optional
            Writes only over an older row, or where there is none.
        any_time, allow_nonfinite : bool, optional
            Takes times before 1990 or ahead of the clock; NaN and infinity.
        timeout : float, optional
            As in `fetch`.

        Returns
        -------
        Written

        Examples
        --------
        >>> c.put('ur', [7], np.ones((1, 64), 'f4')).count
        1
        """
        given, struct = Given(), ffi.new('struct rep_rows *')
        self._check_views(release, table, rows)
        self._rows(given, struct, keys, rows, dtype=dtype, times=times, tags=tags, scales=scales, weights=weights,
                   counts=counts, history_times=history_times, if_newer=if_newer, any_time=any_time,
                   allow_nonfinite=allow_nonfinite)
        return self._written(given, lib.rep_put, given.release(release), given.text('table', table), struct, timeout=timeout)

    def put_parts(self, parts: Mapping[str, Mapping[str, Any]], *, release: str | None = None,
                  timeout: float | None = NOT_GIVEN) -> Written:
        """Writes rows of several tables, all or none.

        Parameters
        ----------
        parts : mapping of str to mapping
            {table: dict(keys=..., rows=...)}, with the columns and options of `put`; `if_newer` is the same in all.
        release, timeout
            As in `put`.

        Returns
        -------
        Written

        Examples
        --------
        >>> row = np.ones((1, 64), 'f4')
        >>> c.put_parts({'ur': dict(keys=[7], rows=row), 'ir': dict(keys=[1], rows=row)}).count
        2
        """
        given = Given()
        asked = given.keep(ffi.new('struct rep_put_part[]', len(mapping('parts', parts, '{table: dict(keys=, rows=)}'))))
        for table, columns in parts.items():        # before any keys are taken, which an iterator gives once
            _check_columns(table, columns)
            self._check_views(release, table, columns['rows'])
        for struct, (table, columns) in zip(asked, parts.items()):
            rows = given.keep(ffi.new('struct rep_rows *'))
            self._rows(given, rows, **columns)
            struct.table, struct.rows = given.text('table', table), rows
        return self._written(given, lib.rep_put_parts, given.release(release), asked, len(parts), timeout=timeout)

    def delete(self, table: str, keys: Keys, *, release: str | None = None,
               timeout: float | None = NOT_GIVEN) -> Written:
        """Deletes the rows of keys; a key without a row is passed over.

        Parameters
        ----------
        table, keys, release, timeout
            As in `put`.

        Returns
        -------
        Written

        Examples
        --------
        >>> c.delete('ur', [7, 999999]).count
        1
        """
        given, struct = Given(), ffi.new('struct rep_keys *')
        given.keys(struct, keys)
        return self._written(given, lib.rep_delete, given.release(release), given.text('table', table), struct[0], timeout=timeout)

    def observe(self, layer: str, *, rows: Any, times: Any, users: Keys | None = None, items: Keys | None = None,
                scales: Any = None, dtype: DType | None = None, source: str | None = None, position: int | None = None,
                first: bool = False, any_time: bool = False, release: str | None = None,
                timeout: float | None = NOT_GIVEN) -> Written:
        """Adds samples of a layer to the rows of their users and items.

        Parameters
        ----------
        layer : str
            All its tables take the samples, in one durable write.
        rows : array_like
            [n, views x dim], in the order in which they count.
        times : array_like
            Of each sample: Unix ms, or datetime64.
        users, items : array_like, optional
            Of each sample; one of them at least.
        scales, dtype
            As in `put`.
        source : str, optional
            Numbers its samples, so that each counts once.
        position : int, optional
            The number of the first sample; goes with `source`. `.next` of what is returned is that of the next.
        first : bool, optional
            A source that is not known yet may begin at `position`, else at 0.
        any_time, release, timeout
            As in `put`.

        Returns
        -------
        Written

        Examples
        --------
        >>> sent = dict(rows=np.ones((2, 32), 'f4'), times=np.array(['2026-01-01', '2026-01-02'], 'M8[ms]'))
        >>> c.observe('mlp2', users=[1, 2], source='clicks', position=0, **sent).next
        2
        """
        if users is None and items is None:
            raise BadRequest('users, items: neither given')
        if getattr(rows, 'ndim', 2) != 2:
            raise BadRequest('rows: of the shape %s, (n, views x dim) allowed' % (tuple(rows.shape),))
        given, struct = Given(), ffi.new('struct rep_samples *')
        given.source(struct, source, position, first)
        count = [given.keys(each, keys, name) for each, keys, name in (
            (struct.users, users, 'users'), (struct.items, items, 'items')) if keys is not None][0]
        struct.layer, struct.count = given.text('layer', layer), count
        given.samples(struct, count, rows, dtype, times, any_time, scales)
        return self._written(given, lib.rep_observe, given.release(release), struct, timeout=timeout)

    def append(self, table: str, keys: Keys, rows: Any, *, times: Any, scales: Any = None, dtype: DType | None = None,
               source: str | None = None, position: int | None = None, first: bool = False, any_time: bool = False,
               release: str | None = None, timeout: float | None = NOT_GIVEN) -> Written:
        """Adds vectors to the histories of their keys: each finds its place by its time among the newest of its key.

        Parameters
        ----------
        table : str
            One with a history.
        keys : array_like
            Of each vector; a key may come several times.
        rows : array_like
            [n, dim], or [n, views, dim]: one place each.
        times : array_like
            Of each vector: Unix ms, or datetime64.
        scales, dtype
            As in `put`.
        source, position, first
            As in `observe`; the position is kept of the table.
        any_time, release, timeout
            As in `put`.

        Returns
        -------
        Written

        Examples
        --------
        >>> days = np.array(['2026-01-02', '2026-01-01', '2026-01-03'], 'M8[ms]')
        >>> c.append('seen', [7, 7, 7], np.float32([[2, 2], [1, 1], [3, 3]]), times=days, source='views', position=0).next
        3
        >>> got = c.fetch({'seen': [7, 8]})['seen']
        >>> got.rows.shape, got.rows[0, :, 0].tolist(), got.counts.tolist()
        ((2, 4, 2), [1.0, 2.0, 3.0, 0.0], [3, 0])
        """
        given, struct = Given(), ffi.new('struct rep_vectors *')
        given.source(struct, source, position, first)
        count = given.keys(struct.keys, keys)
        struct.table = given.text('table', table)
        given.samples(struct, count, rows, dtype, times, any_time, scales)
        return self._written(given, lib.rep_append, given.release(release), struct, timeout=timeout)

    def _written(self, given: Given, function: Any, *args: Any, timeout: float | None) -> Written:
        out = ffi.new('struct rep_written *')
        return self._do(Asked(function, args, out, given, lambda: Written(
            ffi.string(out.release).decode(), out.sequence, out.count, out.next)), timeout)

    def _do(self, asked: Asked[T], timeout: float | None) -> T:
        self._call(asked.function, *asked.args, asked.out, timeout=timeout)
        return asked.finish()

    # ---- retrieve and score ----

    def _query(self, given: Given, query: Any, in_: str, release: str | None, from_: tuple[str, Keys] | None, vectors: Any,
               dtype: DType | None, scales: Any, through: Sequence[str], weights: Any, max_age: float | None,
               missing: str, history_half_life: float | None) -> None:
        if (from_ is None) == (vectors is None):
            raise BadRequest('from_, vectors: one of them')
        query.missing = one_of('missing', missing, QUERY_MISSING)
        if query.missing and from_ is None:
            raise BadRequest("missing: 'default' given, it goes with from_")
        if from_ is not None:
            if not isinstance(from_, (tuple, list)) or len(from_) != 2:
                raise BadRequest('from_: %s given, (table, keys) allowed' % shown(from_))
            table, keys = from_
            query.table = given.text('from_', table)
            given.keys(query.keys, keys, 'from_')
        else:
            vectors, known = of_torch(vectors, dtype)
            given_as = array('vectors', vectors, None if hasattr(vectors, '__array__') else '<f4')
            count = len(given_as) if given_as.ndim > 1 else 1
            query.rows, query.rows_bytes, query.dtype, query.dim, query.views = given.matrix(
                given_as.reshape(1, -1) if given_as.ndim == 1 else given_as, count, known, 'vectors')
            if query.dtype == lib.REP_BIT:
                dim = self._spec(release, in_).dim
                query.dim = dim if (dim + 7) // 8 == query.dim else 8 * query.dim
            query.keys.type, query.keys.count = lib.REP_KEY_U64, count
            query.scales = given.column(scales, count, 'float *', 'scales')
        if max_age is not None:
            query.has_max_age, query.max_age_ms = True, age_ms(max_age)
        if history_half_life is not None:
            if from_ is None or not 0.001 <= real('history_half_life', history_half_life) < 2 ** 53:
                raise BadRequest('history_half_life: %r given, seconds of 0.001 or more allowed, with from_' % (history_half_life,))
            query.history_half_life_ms = int(history_half_life * 1000)
        steps = tupled('through', through)
        if steps:
            query.through, query.through_count = given.texts('through', steps), len(steps)
        if weights is not None:
            of_views = array('weights', weights).reshape(-1)
            query.weights = given.column(of_views, len(of_views), 'float *', 'weights')
            query.weights_count = len(of_views)

    def retrieve(self, in_: str, *, from_: tuple[str, Keys] | None = None, vectors: Any = None, k: int = 100,
                 metric: Metric = 'inner_product', approximate: float = 1.0, through: Sequence[str] = (),
                 weights: Any = None, dtype: DType | None = None, scales: Any = None, max_age: float | None = None,
                 allow: Keys | None = None, deny: Keys | None = None, tags_any: int | None = None,
                 tags_all: int | None = None, tags_none: int | None = None, min_score: float | None = None,
                 with_: Sequence[str] = (), missing: Literal['raise', 'default'] = 'raise',
                 history_half_life: float | None = None, release: str | None = None,
                 timeout: float | None = NOT_GIVEN) -> Retrieved:
        """The best items for each query. What is None filters nothing; zero is a value.

        Parameters
        ----------
        in_ : str
            The table of items.
        from_ : tuple of str and array_like, optional
            (table, keys): the queries are its rows.
        vectors : array_like, optional
            The queries: [n, dim], [n, views, dim] or one vector. They name their `release`.
        k : int, optional
            Items of each query.
        metric : str, optional
            'inner_product', 'cosine', 'l2'; of bits 'tanimoto', 'dice', 'hamming'.
        approximate : float, optional
            The recall that suffices, where the table has an index; 1 is exact.
        through : sequence of str, optional
            Stored layers that each query goes through.
        weights : array_like, optional
            Of each view of a query.
        dtype, scales
            Of `vectors`, as in `put`.
        max_age : float, optional
            Seconds; older rows of `from_` are not found.
        allow, deny : array_like, optional
            Only these items; not these.
        tags_any, tags_all, tags_none : int, optional
            Bits of which an item's tags have one, all, none.
        min_score : float, optional
            Nothing below it.
        with_ : sequence of str, optional
            Tables whose rows under the items' keys come along.
        missing : {'raise', 'default'}, optional
            What a key of `from_` without a row does: it is NotFound, or the default row of its table asks.
        history_half_life : float, optional
            Of `from_` a table with a history: seconds after which a vector weighs half as much as the newest of its row.
        release, timeout
            As in `fetch`.

        Returns
        -------
        Retrieved

        Examples
        --------
        >>> best = c.retrieve('ir', from_=('ur', [1, 2]), k=10)
        >>> best.keys.shape, best.exact
        ((2, 10), True)
        """
        given, asked = Given(), ffi.new('struct rep_retrieval *')
        self._query(given, asked.query, in_, release, from_, vectors, dtype, scales, through, weights, max_age, missing,
                    history_half_life)
        asked.__setattr__('in', given.text('in_', in_))
        if not 0 < real('approximate', approximate) <= 1:
            raise BadRequest('approximate: %r given, above 0 and up to 1 allowed' % (approximate,))
        asked.k, asked.metric = whole('k', k, 1, K_MAX), one_of('metric', metric, METRICS)
        asked.approximate = 0 if approximate == 1 else approximate
        if min_score is not None:
            asked.has_min_score, asked.min_score = True, real('min_score', min_score)
        for name, keys in (('allow', allow), ('deny', deny)):
            if keys is not None:
                struct = given.keep(ffi.new('struct rep_keys *'))
                given.keys(struct, keys, name)
                setattr(asked, name, struct)
        if tags_any is not None:
            asked.has_tags_any, asked.tags_any = True, whole('tags_any', tags_any)
        asked.tags_all = 0 if tags_all is None else whole('tags_all', tags_all)
        asked.tags_none = 0 if tags_none is None else whole('tags_none', tags_none)
        company = tupled('with_', with_)
        if company:
            asked.__setattr__('with', given.texts('with_', company))
            asked.with_count = len(company)
        out = ffi.gc(ffi.new('struct rep_retrieved *'), lib.rep_retrieved_free)
        return self._do(Asked(lib.rep_retrieve, (given.release(release), asked), out, given, lambda: _retrieved(out)), timeout)

    def score(self, in_: str, keys: Keys, *, from_: tuple[str, Keys] | None = None, vectors: Any = None,
              metric: Metric = 'inner_product', through: Sequence[str] = (), weights: Any = None,
              dtype: DType | None = None, scales: Any = None, max_age: float | None = None,
              missing: Literal['raise', 'default'] = 'raise', history_half_life: float | None = None,
              release: str | None = None, timeout: float | None = NOT_GIVEN) -> Scored:
        """Scores of named items for each query; no row leaves the daemon.

        Parameters
        ----------
        in_ : str
            The table of items.
        keys : array_like
            The items.
        from_, vectors, metric, through, weights, dtype, scales, max_age, missing, history_half_life, release, timeout
            As in `retrieve`.

        Returns
        -------
        Scored

        Examples
        --------
        >>> c.score('ir', [1, 50], from_=('ur', [1])).scores.shape
        (1, 2)
        """
        given, asked = Given(), ffi.new('struct rep_scoring *')
        self._query(given, asked.query, in_, release, from_, vectors, dtype, scales, through, weights, max_age, missing,
                    history_half_life)
        asked.__setattr__('in', given.text('in_', in_))
        asked.metric = one_of('metric', metric, METRICS)
        count = given.keys(asked.keys, keys)
        scores = np.zeros((asked.query.keys.count, count), '<f4')
        bits = np.zeros((count + 7) // 8, 'u1')
        asked.scores = given.array(scores, 'float *', writable=True)
        asked.found = given.array(bits, 'uint8_t *', writable=True)
        queries = asked.query.keys.count
        defaulted = np.zeros((queries + 7) // 8, 'u1')
        asked.defaulted = given.array(defaulted, 'uint8_t *', writable=True)
        out = ffi.new('struct rep_fetched *')
        return self._do(Asked(lib.rep_score, (given.release(release), asked), out, given, lambda: Scored(
            scores, bits_from(bits, count), ffi.string(out.release).decode(), out.sequence,
            bits_from(defaulted, queries))), timeout)

    # ---- scan ----

    def scan(self, table: str, *, release: str | None = None, dtype: DType | None = None, raw: bool = False,
             batch: int = 0, shard: tuple[int, int] | None = None) -> Iterator[Batch]:
        """All rows of a table, of the release on which the walk began, also when another becomes live.

        Parameters
        ----------
        table : str
            Its name.
        release : str, optional
            The live one unless told.
        dtype : str, optional
            As in `fetch`.
        raw : bool, optional
            Of an aggregating table: the sums, with `weights`; with dtype='f64' in full, else rounded to f32.
        batch : int, optional
            About so many rows at once; 0: the daemon chooses.
        shard : tuple of int, optional
            (i, n): the i-th of n parts of the table, from 0, so that n readers take each row once. They name the `release`,
            since another may become live between their beginnings.

        Yields
        ------
        Batch
            In an order of the release's own, which is random and stays.

        Examples
        --------
        >>> sum(len(batch) for batch in c.scan('ir'))
        1000
        """
        given, scan = Given(), ffi.gc(ffi.new('struct rep_scan *'), lib.rep_scan_free)
        scan.raw = flag('raw', raw)
        if shard is not None:
            if not isinstance(shard, (tuple, list)) or len(shard) != 2:
                raise BadRequest('shard: %s given, (i, n) allowed' % shown(shard))
            scan.shards = whole('shard', shard[1], 1, UINT32_MAX)
            scan.shard = whole('shard', shard[0], 0, shard[1] - 1)
        of_release, of_table, number = given.release(release), given.text('table', table), dtype_number(dtype)
        limit = whole('batch', batch, 0, BATCH_MAX)
        while True:
            self._call(lib.rep_scan_next, of_release, of_table, number, limit, scan)
            n = scan.keys.count
            shape = Shape(scan.dtype, scan.dim, scan.views, scan.stride, scan.history)
            if n:
                yield Batch(keys_from(scan.keys), copied(scan.rows, shape.numpy, shape.of(n)),
                            copied_if_there(scan.times, '<i8', n), copied_if_there(scan.tags, '<u8', n),
                            copied_if_there(scan.scales, '<f4', n), copied_if_there(scan.weights, '<f8', n),
                            ffi.string(scan.release).decode(), shape.name,
                            copied_if_there(scan.history_counts, '<u4', n),
                            copied_if_there(scan.history_times, '<i8', (n, scan.history)))
            if not scan.more:
                return

    # ---- releases ----

    def new_release(self, release: str, *, model: str | None = None, checkpoint: str | None = None,
                    exist_ok: bool = False) -> Release:
        """Begins a release. `with` leaves it open when the block raises, so that an interrupted load can go on.

        Parameters
        ----------
        release : str
            Its id.
        model, checkpoint : str, optional
            What it was made of.
        exist_ok : bool, optional
            Goes on with one that is there and still open. One that is sealed is Exists: `c.release(release).publish()` ends
            what was interrupted, `.drop()` begins anew.

        Returns
        -------
        Release

        Examples
        --------
        >>> with c.new_release('ckpt-2', model='three-tower') as r:
        ...     n = r.create_table('ur', entity='user', kind='ur', dim=4).load('ur', [1, 2], np.ones((2, 4), 'f4'))
        ...     r.seal()
        Release('ckpt-2')
        >>> c.release('ckpt-2').drop()
        """
        given = Given()
        try:
            self._call(lib.rep_release_create, given.text('release', release), given.text_if_given('model', model),
                       given.text_if_given('checkpoint', checkpoint))
        except Exists:
            if not flag('exist_ok', exist_ok) or Release(self, release).show().state != 'open':
                raise
        return Release(self, release)

    def release(self, release: str) -> Release:
        """A release that is there.

        Parameters
        ----------
        release : str
            Its id.

        Returns
        -------
        Release
        """
        return Release(self, release)

    def releases(self) -> list[Record]:
        """All releases.

        Returns
        -------
        list of Record
            What `release list` says: id, model, checkpoint, state, rows and so on.

        Examples
        --------
        >>> [(each.id, each.state) for each in c.releases()]
        [('ckpt-1', 'live')]
        """
        return self._list(lib.rep_release_list, 'struct rep_release *')

    def tables(self, release: str | None = None) -> list[Record]:
        """The tables of a release.

        Parameters
        ----------
        release : str, optional
            The live one unless told.

        Returns
        -------
        list of Record
            In the words of `Release.create_table`; besides rows, bytes, pending and so on.

        Examples
        --------
        >>> [(each.name, each.rows) for each in c.tables()]
        [('cr_user@mlp2', 0), ('ir', 1000), ('seen', 0), ('ur', 100)]
        """
        return self._list(lib.rep_table_list, 'struct rep_table *', Given().release(release))

    def table(self, table: str, *, release: str | None = None) -> Record:
        """One table of a release.

        Parameters
        ----------
        table : str
            Its name.
        release : str, optional
            The live one unless told.

        Returns
        -------
        Record
            As of `tables`.
        """
        return record_from(self._table(release, table)[0])

    def default_row(self, table: str, *, release: str | None = None) -> Rows | None:
        """What a key without a row gets with missing='default'.

        Parameters
        ----------
        table : str
            Its name.
        release : str, optional
            The live one unless told.

        Returns
        -------
        Rows or None
            One row, in the table's dtype; a mean is float32, and is there from the seal on. None: the table has none, or has
            none yet.

        Examples
        --------
        >>> c.default_row('ir') is None
        True
        """
        given, out = Given(), ffi.new('struct rep_default_row *')
        shown = self._table(release, table)     # has the memory of its spec
        spec = shown.spec
        self._call(lib.rep_table_default, given.release(release), given.text('table', table), out)
        try:
            if out.row == ffi.NULL and out.kind != lib.REP_DEFAULT_ZEROS:
                return None
            dtype = out.dtype or spec.dtype
            each = lib.rep_row_bytes(dtype, spec.dim, spec.views)
            shape = Shape(dtype, spec.dim, spec.views, each)
            rows = copied(out.row, shape.numpy, shape.of(1)) if out.row != ffi.NULL else np.zeros(shape.of(1), shape.numpy)
            return Rows(rows, np.ones(1, bool), ffi.string(spec.name).decode(), shape.name,
                        scales=np.array([out.scale], '<f4') if dtype == lib.REP_I8 else None)
        finally:
            lib.free(out.row)

    def _list(self, function: Any, ctype: str, *args: Any) -> list[Record]:
        out, count = ffi.new(ctype + '*'), ffi.new('size_t *')
        self._call(function, *args, out, count)
        try:
            return [record_from(out[0][i]) for i in range(count[0])]
        finally:
            lib.free(out[0])

    def rollback(self) -> str:
        """Makes the release live again that was live before.

        Returns
        -------
        str
            Which it is.
        """
        now = ffi.new('char[72]')
        self._call(lib.rep_release_rollback, now)
        return str(ffi.string(now).decode())

    def merge(self, tables: Sequence[str] = (), *, release: str | None = None, full: bool = False) -> Record:
        """Merges what was written into base files, and waits for it; the daemon does the same by itself.

        Parameters
        ----------
        tables : sequence of str
            These alone. None, and no release: all tables of all releases.
        release : str, optional
            Whose they are; the live one by default. Without tables: all of it.
        full : bool
            Whether each table shall be one base, without deltas. Of named tables, or of a release.

        Returns
        -------
        Record
            How many tables, rows and bytes were written anew, and elapsed_ms.
        """
        names = tupled('tables', tables)
        out = ffi.new('struct rep_merged *')
        if not names and release is None and not flag('full', full):
            self._call(lib.rep_merge, out)
            return record_from(out[0])
        if not names and release is None:
            raise BadRequest('full: True given, allowed of tables, or of a release')
        given = Given()
        what = ffi.new('struct rep_merging *')
        what.release = given.release(release)
        what.tables = given.texts('tables', names)
        what.count = len(names)
        what.full = flag('full', full)
        self._call(lib.rep_merge_tables, what, out)
        return record_from(out[0])

    def repair(self, table: str, *, release: str | None = None, dry_run: bool = False) -> Record:
        """Writes the damaged ranges of a table anew, without what cannot be read.

        Parameters
        ----------
        table : str
            Its name.
        release : str, optional
            Whose it is; the live one by default.
        dry_run : bool
            Whether it only says what would be lost.

        Returns
        -------
        Record
            ranges (that are damaged; 0: nothing is), and of these together the rows that were kept, of these those that are
            partial (without time, tags or low parts), keys that were lost or given up, and rows whose key is unreadable; elapsed_ms.
        """
        out = ffi.new('struct rep_repaired *')
        given = Given()
        self._call(lib.rep_repair, given.release(release), given.text('table', table), flag('dry_run', dry_run), out)
        return record_from(out[0])

    def backup(self, folder: str, copy: bool = False) -> Record:
        """Copies the whole store, as of one moment, into a folder below the daemon's `backup_folder`.

        Parameters
        ----------
        folder : str
            Its path there. An earlier backup in it is brought up to date.
        copy : bool
            Whether no file shall be a link to one of the store.

        Returns
        -------
        Record
            sequence (of the last write that is in it), files, bytes, and of these those written, linked and kept; elapsed_ms.
        """
        out = ffi.new('struct rep_backup_made *')
        given = Given()
        self._call(lib.rep_backup, given.text('folder', folder), flag('copy', copy), out)
        return record_from(out[0])

    def export_release(self, folder: str, *, release: str | None = None, copy: bool = False) -> Record:
        """Copies one sealed release into a folder below the daemon's `backup_folder`, for another daemon to adopt.

        Parameters
        ----------
        folder : str
            Its path there.
        release : str, optional
            Which one; the live one unless told.
        copy : bool
            Whether no file shall be a link to one of the store.

        Returns
        -------
        Record
            release (which it was), files, bytes, and of these those written, linked and kept; elapsed_ms.
        """
        out = ffi.new('struct rep_exported *')
        given = Given()
        self._call(lib.rep_release_export, given.release(release), given.text('folder', folder), flag('copy', copy), out)
        return record_from(out[0])

    def adopt_release(self, folder: str, *, release: str | None = None) -> Record:
        """Takes an exported release as a sealed one of this daemon; `release(...).publish()` makes it live.

        Parameters
        ----------
        folder : str
            Its path below the daemon's `backup_folder`. Every byte is copied, and compared with its checksum.
        release : str, optional
            What it is called here; as it was called unless told.

        Returns
        -------
        Record
            release, number, tables, rows, bytes, elapsed_ms.
        """
        out = ffi.new('struct rep_adopted *')
        given = Given()
        self._call(lib.rep_release_adopt, given.text('folder', folder), given.release(release), out)
        return record_from(out[0])

    # ---- tensors ----

    def put_tensor(self, name: str, value: Any, *, dtype: str | None = None, release: str | None = None) -> None:
        """Puts a tensor into a release, over one of the same name; durable when it returns.

        Parameters
        ----------
        name : str
            Its name. `through=['adapter']` takes 'adapter.weight' [out, in] and 'adapter.bias' [out].
        value : array_like
            Of floats or integers, at most 64 MiB; a tensor of torch; a `Tensor`.
        dtype : str, optional
            'bf16', of uint16; the others are known by the dtype of the array.
        release : str, optional
            Open, sealed or live; the live one unless told.

        Examples
        --------
        >>> c.put_tensor('adapter.weight', np.eye(32, 64, dtype='f4'))
        >>> c.fetch({'ir': [1]}, through=['adapter', 'relu'])['ir'].rows.shape
        (1, 32)
        """
        put_tensor(self, release, name, value, dtype)

    def tensor(self, name: str, *, release: str | None = None) -> Tensor:
        """A tensor of a release.

        Parameters
        ----------
        name : str
            Its name.
        release : str, optional
            The live one unless told.

        Returns
        -------
        Tensor
            `.array` and `.torch()`.
        """
        return get_tensor(self, release, name)

    def tensors(self, release: str | None = None) -> list[Record]:
        """The tensors of a release.

        Parameters
        ----------
        release : str, optional
            The live one unless told.

        Returns
        -------
        list of Record
            name, dtype, shape and bytes.

        Examples
        --------
        >>> [(each.name, each.shape) for each in c.tensors()]
        [('adapter.weight', (32, 64))]
        """
        return list_tensors(self, release)

    def delete_tensor(self, name: str, *, release: str | None = None) -> None:
        """Deletes a tensor.

        Parameters
        ----------
        name : str
            Its name.
        release : str, optional
            The live one unless told.
        """
        given = Given()
        self._call(lib.rep_tensor_delete, given.release(release), given.text('name', name))

    # ---- layers and positions ----

    def layers(self, release: str | None = None) -> list[Record]:
        """The layers that tables of kind 'cr' are of. Needs the package msgpack.

        Parameters
        ----------
        release : str, optional
            The live one unless told.

        Returns
        -------
        list of Record
            layer, chosen, dim, views, user_key and item_key ('u64', 'bytes', or None), tables.

        Examples
        --------
        >>> [(each.layer, each.chosen, each.tables) for each in c.layers()]
        [('mlp2', True, ['cr_user@mlp2'])]
        """
        answer = self.call('layer.list', {} if release is None else {'release': release})
        return [Record({'user_key': None, 'item_key': None, **each}) for each in answer['layers']]

    def choose_layer(self, layer: str, *, release: str | None = None) -> None:
        """Makes a layer the one that a table's name without @layer means, for users and items at once.

        Parameters
        ----------
        layer : str
            Its name.
        release : str, optional
            The live one unless told.
        """
        given = Given()
        self._call(lib.rep_layer_choose, given.release(release), given.text('layer', layer))

    def positions(self, release: str | None = None) -> list[Record]:
        """How far each source is counted.

        Parameters
        ----------
        release : str, optional
            The live one unless told.

        Returns
        -------
        list of Record
            layer, source, next, durable and counted_ms.

        Examples
        --------
        >>> [(each.source, each.next) for each in c.positions() if each.layer == 'mlp2']
        [('clicks', 2)]
        """
        return self._list(lib.rep_positions, 'struct rep_position *', Given().release(release))

    def forget_positions(self, source: str | None = None, *, layer: str | None = None, oldest: int | None = None,
                         release: str | None = None) -> int:
        """Forgets sources that send no more; their sums stay. Needs the package msgpack.

        Parameters
        ----------
        source : str, optional
            In each layer, or in one. Should it send again, it is an unknown source.
        layer : str, optional
            Only in this one.
        oldest : int, optional
            Instead of a source: so many positions, those whose last batch came longest ago.
        release : str, optional
            The live one unless told.

        Returns
        -------
        int
            How many positions they were.
        """
        if (source is None) == (oldest is None):
            raise BadRequest('source, oldest: one of them')
        params = dict(release='live' if release is None else release, layer=layer, source=source,
                      oldest=None if oldest is None else whole('oldest', oldest, 1))
        for name in ('release', 'layer', 'source'):
            if params[name] is not None:
                text(name, params[name])
        answer = self.call('positions.forget', {name: value for name, value in params.items() if value is not None})
        return int(answer['forgotten'])

    # ---- any method ----

    def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = NOT_GIVEN) -> Any:
        """Any method of the protocol. Needs the package msgpack.

        Parameters
        ----------
        method : str
            Its name, such as 'table.show'.
        params : mapping, optional
            What schema/PROTOCOL.md says of it.
        timeout : float, optional
            As in `fetch`.

        Returns
        -------
        dict
            What the daemon answers.

        Examples
        --------
        >>> c.call('table.show', {'table': 'ir'})['dim']
        64
        """
        import msgpack
        given = Given()
        given_as = {} if params is None else dict(mapping('params', params, 'a mapping'))
        try:
            packed = msgpack.packb(given_as, use_bin_type=True)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadRequest('params: %s given, what MessagePack has allowed: %s' % (shown(params), error)) from None
        out, size = ffi.new('void **'), ffi.new('size_t *')
        self._call(lib.rep_call, given.text('method', method), packed, len(packed), out, size, timeout=timeout)
        try:
            return msgpack.unpackb(ffi.buffer(out[0], size[0])[:], raw=False, strict_map_key=False)
        finally:
            lib.free(out[0])

    def stats(self) -> dict[str, Any]:
        """The counters of the daemon. Needs the package msgpack.

        Returns
        -------
        dict
            As schema/PROTOCOL.md says.

        Examples
        --------
        >>> c.stats()['store']['live']
        'ckpt-1'
        """
        answer: dict[str, Any] = self.call('stats')
        return answer

    def info(self) -> dict[str, Any]:
        """What the daemon is: version, process id, folder, live release and so on. Needs the package msgpack.

        Returns
        -------
        dict
            As schema/PROTOCOL.md says.
        """
        answer: dict[str, Any] = self.call('info')
        return answer


_COLUMNS = ('keys', 'rows', 'dtype', 'times', 'tags', 'scales', 'weights', 'allow_nonfinite', 'if_newer', 'any_time')


def _check_columns(table: str, columns: Any) -> None:
    """Of a part of put_parts."""
    name = 'parts[%s]' % shown(table)
    mapping(name, columns, 'dict(keys=, rows=)')
    unknown = [each for each in columns if each not in _COLUMNS]
    if unknown:
        raise BadRequest('%s: %s given, of %s allowed' % (name, shown(unknown[0]), ', '.join(_COLUMNS)))
    if 'keys' not in columns or 'rows' not in columns:
        raise BadRequest('%s: %s given, keys and rows are needed' % (name, shown(list(columns))))


def _client_of(address: Any, others: tuple[str, ...], spin_us: int, timeout_ms: int, tls: Tls,
               name: str | None) -> Client:
    return Client(address, others=others, spin_us=spin_us, timeout=timeout_ms / 1000 if timeout_ms else None, tls=tls,
                  name=name)


def _retrieved(out: Any) -> Retrieved:
    queries = [out.parts[i] for i in range(out.count)]
    k = max((part.n for part in queries), default=0)
    bytes_keys = any(part.n and part.keys.type == lib.REP_KEY_BYTES for part in queries)
    keys: Array = np.empty((len(queries), k), object) if bytes_keys else np.zeros((len(queries), k), '<u8')
    scores = np.full((len(queries), k), -np.inf, '<f4')
    n = np.array([part.n for part in queries], 'i8')
    defaulted = np.array([part.is_defaulted for part in queries], bool)
    with_: dict[str, Rows] = {}
    for i, part in enumerate(queries):
        if part.n == 0:
            continue
        keys[i, :part.n] = keys_from(part.keys)
        scores[i, :part.n] = copied(part.scores, '<f4', part.n)
        for j in range(part.with_count):
            _add_company(with_, getattr(part, 'with')[j], i, part.n, (len(queries), k))
    return Retrieved(keys, scores, n, ffi.string(out.release).decode(), out.sequence, out.exact, out.by_rows, out.compared,
                     with_, defaulted)


def _add_company(with_: dict[str, Rows], company: Any, i: int, n: int, counts: tuple[int, int]) -> None:
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
