"""errors.py - one exception a code of the protocol; each is also the built-in exception that it means."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Optional

from ._repstore import ffi, lib

_AFTER_WHICH_UNKNOWN = ('TIMEOUT', 'CLOSED', 'PROTOCOL')


class RepstoreError(Exception):
    """What the daemon or the library refused.

    Attributes
    ----------
    code : str
        The code of the protocol, which is stable: 'NOT_FOUND'.
    text : str
        Which argument, what was given, what is allowed; for a person.
    retryable : bool
        Whether the same call may pass later.

    Examples
    --------
    >>> try:
    ...     c.fetch({'no_such_table': [1]})
    ... except KeyError as error:
    ...     print(error.code)
    NOT_FOUND
    """

    code = 'INTERNAL'
    retryable = False

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code or self.code

    def __str__(self) -> str:
        return '%s: %s' % (self.code, self.text)

    @property
    def outcome_known(self) -> bool:
        """False: it is not known whether a write was done. To put the same rows again is safe; samples only with their
        source and position."""
        return self.code not in _AFTER_WHICH_UNKNOWN


class BadRequest(RepstoreError, ValueError):
    """An argument is wrong."""

    code = 'BAD_REQUEST'


class TooLarge(RepstoreError, ValueError):
    """Over a limit."""

    code = 'TOO_LARGE'


class NotFound(RepstoreError, KeyError):
    """No such release, table, tensor, load or key."""

    code = 'NOT_FOUND'


class Denied(RepstoreError, PermissionError):
    """Not allowed to this peer."""

    code = 'DENIED'


class Gap(RepstoreError):
    """Samples, or chunks of a load, before these are missing."""

    code = 'GAP'

    @property
    def expected(self) -> int | None:
        """The position, or the chunk, that comes next. None: the source is not known yet, so it begins at 0, or where
        `first` says."""
        found = re.search(r'counted up to (\d+) in layer|(\d+) expected', self.text)
        return int(found[1] or found[2]) if found else None


class Busy(RepstoreError):
    """A bound is reached now; the same request may pass later."""

    code = 'BUSY'
    retryable = True


class DiskFull(RepstoreError, OSError):
    """No room on the disk; nothing was kept of the request."""

    code = 'DISK_FULL'


class TimedOut(RepstoreError, TimeoutError):
    """Not done in time."""

    code = 'TIMEOUT'


class Closed(RepstoreError, ConnectionError):
    """The connection was lost."""

    code = 'CLOSED'


class OutOfMemory(RepstoreError, MemoryError):
    """An allocation was refused."""

    code = 'NO_MEMORY'


class IOFailed(RepstoreError, OSError):
    """The system said no."""

    code = 'IO'


class Exists(RepstoreError):
    """The name is taken."""

    code = 'EXISTS'


class Conflict(RepstoreError):
    """Not while things are as they are."""

    code = 'CONFLICT'


class NotSealed(RepstoreError):
    """It needs a sealed release."""

    code = 'NOT_SEALED'


class Sealed(RepstoreError):
    """It needs an open release."""

    code = 'SEALED'


class Corrupt(RepstoreError):
    """Stored bytes are damaged."""

    code = 'CORRUPT'


class ReadOnly(RepstoreError):
    """Writes have stopped until the daemon is started again."""

    code = 'READ_ONLY'


class Unsupported(RepstoreError):
    """A format, version or method that this daemon does not know."""

    code = 'UNSUPPORTED'


class Protocol(RepstoreError):
    """The peer does not speak the protocol."""

    code = 'PROTOCOL'


class _Interruptions(threading.local):
    """Of each thread: what a signal handler has raised while a call waited, and what tells its calls to give up."""

    error: Optional[BaseException] = None
    given_up: Optional[threading.Event] = None


_interruptions = _Interruptions()


def _keep(kind: Any, error: Any, traceback: Any) -> None:
    _interruptions.error = error


# A call that waits asks this at each signal. To run it is what lets Python run the handlers of signals: Ctrl-C raises
# KeyboardInterrupt on the way into it, and the call ends. Beside signals it is asked twice a second.
@ffi.def_extern(error=True, onerror=_keep)  # type: ignore[misc]
def repstore_interrupted(context: Any) -> bool:
    given_up = _interruptions.given_up
    return given_up is not None and given_up.is_set()


def until(given_up: threading.Event, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Calls a function whose waits end, with Closed, soon after `given_up` is set."""
    _interruptions.given_up = given_up
    try:
        return function(*args, **options)
    finally:
        _interruptions.given_up = None


_CLASSES = {each.code: each for each in RepstoreError.__subclasses__()}


def check(status: int, error: Any) -> None:
    """Raises what a function of the library has answered; `error` is a struct rep_error *."""
    if status != lib.REP_OK:
        interruption, _interruptions.error = _interruptions.error, None
        if interruption is not None:
            raise interruption
        code = ffi.string(lib.rep_status_name(status)).decode()
        raise _CLASSES.get(code, RepstoreError)(ffi.string(error.text).decode(errors='replace'), code)
