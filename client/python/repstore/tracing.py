"""tracing.py - what calls belong to: the daemon keeps it with a request that was slow, or that failed by its fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ._repstore import ffi
from .arguments import text
from .errors import BadRequest

TRACE_BYTES = 55

# Of this thread or task, as the library takes it.
current: ContextVar[Any] = ContextVar('repstore_trace', default=ffi.NULL)


@contextmanager
def trace(traceparent: str) -> Iterator[None]:
    """Says of all calls within the block what they belong to, in this thread or task.

    Parameters
    ----------
    traceparent : str
        As W3C Trace Context has it; at most 55 bytes. `repstore slowlog` shows it.

    Examples
    --------
    >>> with repstore.trace('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'):
    ...     got = c.fetch({'ur': [7]})
    """
    encoded = text('traceparent', traceparent)
    if len(encoded) > TRACE_BYTES:
        raise BadRequest('traceparent: %d bytes given, at most %d allowed' % (len(encoded), TRACE_BYTES))
    token = current.set(ffi.new('char[]', encoded))
    try:
        yield
    finally:
        current.reset(token)
