"""aio.py - the client for asyncio: the same calls, awaited, over one connection that the event loop polls."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from ._repstore import ffi, lib
from .arguments import real, text
from .client import Asked, Client, Tls, ms, options_of, where_of
from .errors import BadRequest, Closed, TooLarge, check, until
from .pool import Pool
from .query import NOT_GIVEN, TRIES, Key, Lent, Plan, Shapes
from .rows import Fetched, Given
from .tracing import current as current_trace

P = ParamSpec('P')
R = TypeVar('R')
T = TypeVar('T')
THREADS = 8         # of a client, for what is asked now and then


class _Pair(NamedTuple):
    """How a call of the library begins and ends without waiting."""

    begin: Any
    end: Any
    names_asked: bool       # its end takes what was asked, too


_PAIRS = {
    lib.rep_put: _Pair(lib.rep_async_put, lib.rep_async_written, False),
    lib.rep_put_parts: _Pair(lib.rep_async_put_parts, lib.rep_async_written, False),
    lib.rep_delete: _Pair(lib.rep_async_delete, lib.rep_async_written, False),
    lib.rep_observe: _Pair(lib.rep_async_observe, lib.rep_async_written, False),
    lib.rep_append: _Pair(lib.rep_async_append, lib.rep_async_written, False),
    lib.rep_retrieve: _Pair(lib.rep_async_retrieve, lib.rep_async_retrieved, True),
    lib.rep_score: _Pair(lib.rep_async_score, lib.rep_async_scored, True),
}
_Step = Callable[['AsyncClient'], Awaitable[Any]]


class _AsksDaemon(Exception):
    """What is asked depends on a table of the daemon, so it is made elsewhere than on the loop."""


class _Asking(Client):
    """A Client that makes what is asked, and leaves to others to ask it: each call returns a _Step."""

    on_loop = True

    def _do(self, asked: Asked[T], timeout: float | None) -> Any:
        return lambda client: client._perform(asked, timeout)

    def _fetch(self, *args: Any) -> Any:
        return lambda client: client._fetch(*args)

    def _table(self, release: str | None, table: str) -> Any:
        if self.on_loop:
            raise _AsksDaemon
        return super()._table(release, table)


class _AskingAside(_Asking):
    on_loop = False


def _awaited(method: Callable[Concatenate[Client, P], R]) -> Callable[Concatenate[AsyncClient, P], Awaitable[R]]:
    """The method of a Client, awaited on the connection of the loop."""
    @functools.wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> R:
        step: Any
        try:
            step = method(self._asking, *args, **options)
        except _AsksDaemon:
            step = await self._in_thread(method, self._asking_aside, *args, **options)
        result: R = await step(self)
        return result
    return call


def _aside(method: Callable[Concatenate[Client, P], R]) -> Callable[Concatenate[AsyncClient, P], Awaitable[R]]:
    """The method of a Client, in a thread: what is asked now and then, and may take long."""
    @functools.wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> R:
        result: R = await self._in_thread(method, self._client, *args, **options)
        return result
    return call


def _step_of(client: weakref.ref[AsyncClient]) -> None:
    """The loop does not hold a client that nobody else does."""
    alive = client()
    if alive is not None:
        alive._step()


def _leave(loop: asyncio.AbstractEventLoop, connection: Any) -> None:
    loop.remove_reader(lib.rep_async_fd(connection))
    ffi.release(connection)


class AsyncClient:
    """A client for asyncio. Its calls are those of Client, awaited; all are under way on one connection.

    It belongs to the event loop that runs when it is first used. A call that is cancelled is given up; a write may be done
    all the same. What is asked now and then (releases, tables, tensors, positions, stats, merge) goes through threads of the
    client, each with a connection of its own; given up, it ends within a second. A client that is dropped without `close` is
    closed with a ResourceWarning. What a Client has besides, `scan`, `prepare` and the calls of a Release, waits: use a Client
    for it, in a thread.

    Parameters
    ----------
    address : str, optional
        'unix:PATH', 'tls:HOST:PORT', 'tcp:HOST:PORT' or a path; $REPSTORE, else /run/repstore/repstore.sock, unless told.
    timeout : float, optional
        Seconds of each call; None is without end.
    others : sequence of str, optional
        Other addresses that serve the same, tried in turn.
    hedge : str, optional
        The address of a second daemon that serves the same: it is asked too when a read waits longer than 95 of 100 did,
        and the first answer counts.
    hedge_share : float, optional
        At most this part of all reads is asked twice.
    tls : Tls, optional
        The files for addresses of 'tls:'.
    name : str, optional
        What the daemon shows the client as; the program's name unless told.

    Examples
    --------
    >>> async def rank(users):
    ...     async with repstore.AsyncClient() as client:
    ...         return await asyncio.gather(*[client.fetch({'ur': [user], 'ir': [1, 2, 3]}) for user in users])
    >>> import asyncio
    >>> [got['ir'].rows.shape for got in asyncio.run(rank([1, 2]))]
    [(3, 64), (3, 64)]
    """

    _async: Any = None
    _threads: ThreadPoolExecutor | None = None

    def __init__(self, address: str | os.PathLike[str] | None = None, *, timeout: float | None = 30.0,
                 others: Sequence[str] = (), hedge: str | None = None, hedge_share: float = 0.05,
                 tls: Tls | None = None, name: str | None = None) -> None:
        if not 0 < real('hedge_share', hedge_share) <= 1:
            raise BadRequest('hedge_share: %r given, above 0 and up to 1 allowed' % (hedge_share,))
        if hedge is not None:
            text('hedge', hedge)
        self._where = where_of(address, others, 0, timeout, tls, name)
        self._hedge, self._hedge_share = hedge, hedge_share
        self._client = Client._unconnected(self._where)
        self._asking = _Asking._unconnected(self._where)
        self._asking_aside = _AskingAside._unconnected(self._where)
        self._shapes: Shapes = {}
        self._pool = Pool()
        self._error = ffi.new('struct rep_error *')
        self._number = ffi.new('uint64_t *')
        self._trace: Any = ffi.NULL
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = self._pid = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._in_threads: set[threading.Event] = set()

    # ---- the connection, and the loop that polls it ----

    def _open(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._async is not None:
            self._check_process()
            if self._loop is not loop:
                raise BadRequest('this AsyncClient belongs to another event loop')
            return self._async
        given, out = Given(), ffi.new('rep_async **')
        options = options_of(self._where, given, self._where.timeout_ms)
        more = ffi.new('struct rep_async_options *')
        more.hedge, more.hedge_share = given.text_if_given('hedge', self._hedge), self._hedge_share
        check(lib.rep_async_open(options, more, out, self._error), self._error)
        self._async, self._trace = ffi.gc(out[0], lib.rep_async_close), ffi.NULL
        self._loop, self._thread, self._pid = loop, threading.get_ident(), os.getpid()
        loop.add_reader(lib.rep_async_fd(self._async), _step_of, weakref.ref(self))
        return self._async

    def _check_process(self) -> None:
        if self._pid not in (0, os.getpid()):
            raise BadRequest('this AsyncClient belongs to the process before a fork')

    def _step(self) -> None:
        lib.rep_async_step(self._async)
        while lib.rep_async_next(self._async, self._number):
            ticket = self._number[0]
            future = self._waiting.pop(ticket, None)
            if future is None or future.done():
                lib.rep_async_cancel(self._async, ticket)
            else:
                future.set_result(None)

    def _check_open(self, connection: Any) -> None:
        """After a wait: a ticket is of one connection."""
        if self._async is not connection:
            raise Closed('the client was closed')

    async def _call(self, begin: Any, *args: Any, timeout: float | None) -> int:
        """Begins a call and waits until it has ended; returns its ticket."""
        connection = self._open()
        lib.rep_async_set_timeout(connection, self._where.timeout_ms if timeout is NOT_GIVEN else ms(timeout))
        if self._trace is not current_trace.get():
            self._trace = current_trace.get()
            check(lib.rep_async_set_trace(connection, self._trace, self._error), self._error)
        check(begin(connection, *args, self._number, self._error), self._error)
        ticket: int = self._number[0]
        assert self._loop is not None
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[ticket] = future
        try:
            await future
        except asyncio.CancelledError:
            if self._async is connection:
                self._waiting.pop(ticket, None)
                lib.rep_async_cancel(connection, ticket)
            raise
        self._check_open(connection)
        return ticket

    async def _perform(self, asked: Asked[T], timeout: float | None) -> T:
        pair = _PAIRS[asked.function]
        ticket = await self._call(pair.begin, *asked.args, timeout=timeout)
        again = asked.args[-1:] if pair.names_asked else ()
        check(pair.end(self._async, ticket, *again, asked.out, self._error), self._error)
        return asked.finish()

    async def _fetch(self, key: Key, names: Sequence[str], keys: Sequence[Any], outs: Sequence[Lent | None] | None,
                     missing: str, timeout: float | None) -> Fetched:
        plan = Plan(key, self._shapes)
        plan.ask(keys, missing)
        for attempt in range(TRIES):
            plan.make_room(self._pool, outs, attempt > 0)
            try:
                ticket = await self._call(lib.rep_async_fetch, plan.release, plan.asked, plan.count, timeout=timeout)
                check(lib.rep_async_fetched(self._async, ticket, plan.asked, plan.count, plan.fetched, self._error),
                      self._error)
            except TooLarge:
                if not plan.knows_shapes():
                    raise       # of the daemon
                lib.rep_async_cancel(self._async, ticket)
                plan.fits()
                continue
            if plan.fits():
                return plan.result(names, missing)
        raise TooLarge('the rows changed their shape at each of %d tries' % TRIES)

    async def _in_thread(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        self._check_process()
        if self._threads is None:
            self._threads, self._pid = ThreadPoolExecutor(THREADS, 'repstore'), os.getpid()
        given_up = threading.Event()
        self._in_threads.add(given_up)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, functools.partial(contextvars.copy_context().run, until, given_up, function, *args, **options))
        finally:
            given_up.set()
            self._in_threads.discard(given_up)

    def close(self) -> None:
        """Closes the connections; calls that are under way raise Closed."""
        for given_up in list(self._in_threads):
            given_up.set()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)        # each closes its connection when its call has ended
        connection, self._async = self._async, None
        loop, self._loop = self._loop, None
        if connection is not None:
            if self._pid != os.getpid() or loop is None or loop.is_closed():
                ffi.release(connection)
            elif self._thread == threading.get_ident():
                _leave(loop, connection)
            else:       # dropped elsewhere than on the loop
                loop.call_soon_threadsafe(_leave, loop, connection)
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Closed('the client was closed'))

    def __del__(self) -> None:
        if self._async is None and self._threads is None:
            return
        if self._pid == os.getpid():
            warnings.warn('unclosed AsyncClient of %s' % (self._where.address or 'the address that is the default'),
                          ResourceWarning, source=self, stacklevel=2)
        self.close()

    async def __aenter__(self) -> AsyncClient:
        self._open()
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()

    def counters(self) -> dict[str, int]:
        """What the connection has done so far.

        Returns
        -------
        dict
            calls, under_way, late (answers to calls that were given up), losses (of the connection), hedges, hedges_won.
        """
        out = ffi.new('struct rep_async_counters *')
        if self._async is not None:
            lib.rep_async_count(self._async, out)
        return {name: getattr(out, name) for name, _ in ffi.typeof('struct rep_async_counters').fields if name != 'reserved'}

    # ---- calls on the connection of the loop ----

    fetch = _awaited(Client.fetch)
    put = _awaited(Client.put)
    put_parts = _awaited(Client.put_parts)
    delete = _awaited(Client.delete)
    observe = _awaited(Client.observe)
    append = _awaited(Client.append)
    retrieve = _awaited(Client.retrieve)
    score = _awaited(Client.score)

    # ---- calls through a thread ----

    ping = _aside(Client.ping)
    whoami = _aside(Client.whoami)
    new_release = _aside(Client.new_release)
    releases = _aside(Client.releases)
    tables = _aside(Client.tables)
    table = _aside(Client.table)
    default_row = _aside(Client.default_row)
    rollback = _aside(Client.rollback)
    merge = _aside(Client.merge)
    repair = _aside(Client.repair)
    backup = _aside(Client.backup)
    export_release = _aside(Client.export_release)
    adopt_release = _aside(Client.adopt_release)
    put_tensor = _aside(Client.put_tensor)
    tensor = _aside(Client.tensor)
    tensors = _aside(Client.tensors)
    delete_tensor = _aside(Client.delete_tensor)
    layers = _aside(Client.layers)
    choose_layer = _aside(Client.choose_layer)
    positions = _aside(Client.positions)
    forget_positions = _aside(Client.forget_positions)
    call = _aside(Client.call)
    stats = _aside(Client.stats)
    info = _aside(Client.info)
