"""local.py - the embedded reader: a client that reads a daemon's data folder in this process."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any, Literal

from ._repstore import lib as _library
from .arguments import UINT32_MAX, flag, one_of, real, shown, whole
from .client import Client, Connection, where_of
from .errors import BadRequest, check
from .query import NOT_GIVEN, UINT64_MAX
from .rows import Given

try:
    from ._local import ffi, lib
except ImportError as error:
    raise ImportError('repstore.Local needs librepstore-local, which the wheel has not: %s' % error) from error

Follow = Literal['writes', 'releases']
_FOLLOW = {'writes': lib.REP_FOLLOW_WRITES, 'releases': lib.REP_FOLLOW_RELEASES}


def _ms(name: str, seconds: float) -> int:
    """A time as the library takes it."""
    if not 0 <= real(name, seconds) <= 4e6:
        raise BadRequest('%s: %r given, seconds from 0 to 4e6 allowed' % (name, seconds))
    return int(seconds * 1000)


_FIGURES = ('sequence', 'is_alive', 'is_full', 'frames', 'log_bytes', 'rows', 'memory_bytes', 'images', 'snapshots', 'replays',
            'retries')
_RESULTS = ('found', 'absent', 'expired', 'too_old', 'corrupt', 'defaulted')


def _results(of: Any) -> dict[str, int]:
    return {name: getattr(of, name) for name in _RESULTS}


def _requests(of: Any) -> dict[str, Any]:
    return {'count': of.calls, 'errors': of.errors, 'seconds': of.ns / 1e9, 'times': list(of.times)}


def _by_name(kind: str, function: Any, reader: Any, read: Callable[[Any], Any]) -> dict[str, Any]:
    """What a function of a reader hands back, an array of structs with a name."""
    out, count, error = ffi.new('struct %s **' % kind), ffi.new('size_t *'), ffi.new('struct rep_error *')
    check(function(reader, out, count, error), error)
    try:
        return {ffi.string(out[0][i].name).decode(): read(out[0][i]) for i in range(count[0])}
    finally:
        _library.free(out[0])


class Local(Client):
    """A client that reads a daemon's data folder itself: no socket, no hop, whether or not the daemon runs.

    It has the calls of `Client` that read, with the same results; the others raise `Unsupported`. It follows what the
    daemon publishes, rolls back and writes. Threads may share it, and a process after a fork goes on by itself.

    Parameters
    ----------
    folder : str or path
        The daemon's `data`. This process must be allowed to read it, and needs nothing else. Open only those of an owner
        whom you trust.
    follow : {'writes', 'releases'}, optional
        Whether it follows each write, or only what is merged, which takes less memory and is as old as the last merge.
    memory_max : int, optional
        Bytes of rows that wait for a merge, and of images of them, which are made while searches need them; 1 GiB unless told.
    max_lag : float, optional
        Seconds: calls whose rows may be older raise `Busy`.
    open_timeout : float or None, optional
        Seconds until all is read that is visible by now.
    timeout : float or None, optional
        Seconds of each call, as in `Client`. Ctrl-C ends a call that takes long, and the opening, too.
    handle_sigbus : bool, optional
        Whether a file that is cut while it is read raises `Corrupt`, by a handler of that signal in this process; else it ends
        the process.
    address : str or path, optional
        Of the daemon: it is told that this process reads its folder, and counts it. Whether or not it is there, and after a fork in
        the child, reading goes on.

    Examples
    --------
    >>> with repstore.Local(folder) as local:
    ...     got = local.fetch({'ur': [7], 'ir': [1, 2, 3]})
    >>> got['ir'].rows.shape, got.lag < 10
    ((3, 64), True)
    """

    def __init__(self, folder: str | os.PathLike[str], *, follow: Follow = 'writes', memory_max: int | None = None,
                 max_lag: float | None = None, open_timeout: float | None = 30.0, timeout: float | None = 30.0,
                 handle_sigbus: bool = False, address: str | os.PathLike[str] | None = None) -> None:
        try:
            name = os.fspath(folder)
        except TypeError:
            raise BadRequest('folder: %s given, a str or a path allowed' % shown(folder)) from None
        self._given = Given()
        self._options = ffi.new('struct rep_local_options *')
        self._options.folder = self._given.text('folder', name)
        self._begin(where_of(name, (), 0, timeout, None, None))
        where = where_of(address, (), 0, timeout, None, None)       # checked
        self._options.address = self._given.text_if_given('address', None if address is None else os.fspath(where.address))
        self._asked = (folder, follow, memory_max, max_lag, open_timeout, timeout, handle_sigbus, address)
        self._options.follow = one_of('follow', follow, _FOLLOW)
        self._options.memory_max = 0 if memory_max is None else whole('memory_max', memory_max, 1)
        self._options.open_timeout_ms = UINT32_MAX if open_timeout is None else max(1, _ms('open_timeout', open_timeout))
        if max_lag is not None:
            self._options.has_max_lag, self._options.max_lag_ms = True, _ms('max_lag', max_lag)
        self._options.interrupted = _library.repstore_interrupted
        self._options.handle_sigbus = flag('handle_sigbus', handle_sigbus)
        self._opening, self._pid = threading.Lock(), os.getpid()
        self._reader: Any = None
        self._connect(NOT_GIVEN)

    def _open(self, timeout_ms: int) -> Connection:
        if self._pid != os.getpid():        # after a fork: a thread that is not here may hold it
            self._opening, self._pid = threading.Lock(), os.getpid()
        with self._opening:
            if self._reader is None:
                out, error = ffi.new('rep_local **'), ffi.new('struct rep_error *')
                check(lib.rep_open_local(self._options, out, error), error)
                self._reader = ffi.gc(out[0], lib.rep_close_local)
            reader = self._reader
        return Connection(lambda out, error: int(lib.rep_local_client(reader, out, error)), timeout_ms)

    def _see(self, sequence: int, timeout: float | None) -> None:
        lib.rep_set_min_sequence(self._connect(timeout).client, sequence)

    def stats(self) -> dict[str, Any]:
        """What this reader has done in this process since the folder was opened: no daemon is asked.

        Returns
        -------
        dict
            As struct rep_local_stats of repstore_local.h, with `lag` in seconds (inf: nobody knows); `fetch` and `keys`, the keys of
            fetches by result, all and by table; and `requests` by method: how many, the errors of these, `seconds` that all took,
            and `times`: how many took at most 1 us, more than that and at most 2, 5, 10 and so on up to 1 s, and longer.

        Examples
        --------
        >>> local = repstore.Local(folder)
        >>> _ = local.fetch({'ir': [1, 2, 3]})
        >>> stats = local.stats()
        >>> stats['requests']['fetch']['errors'], stats['keys']['ir']['absent']
        (0, 0)
        """
        reader, told = self._reader, ffi.new('struct rep_local_stats *')
        while reader is None:       # it was closed, perhaps by another thread
            super().close()
            self._connect(NOT_GIVEN)
            reader = self._reader
        lib.rep_local_stats(reader, told)
        found = {name: getattr(told, name) for name in _FIGURES}
        found['lag'] = math.inf if told.lag_ms == UINT64_MAX else told.lag_ms / 1000
        found['fetch'] = _results(told)
        found['requests'] = _by_name('rep_local_method', lib.rep_local_methods, reader, _requests)
        found['keys'] = _by_name('rep_local_table', lib.rep_local_tables, reader, _results)
        return found

    def close(self) -> None:
        """Closes the folder; the next call opens it anew. What other threads have of it stays until they close, or end."""
        super().close()
        with self._opening:
            self._reader = None

    def __reduce__(self) -> Any:
        return _local_of, self._asked


def _local_of(folder: Any, follow: Follow, memory_max: int | None, max_lag: float | None, open_timeout: float | None,
              timeout: float | None, handle_sigbus: bool, address: str | os.PathLike[str] | None) -> Local:
    return Local(folder, follow=follow, memory_max=memory_max, max_lag=max_lag, open_timeout=open_timeout, timeout=timeout,
                 handle_sigbus=handle_sigbus, address=address)
