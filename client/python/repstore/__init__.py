"""repstore - the representations of a model, from NumPy and into NumPy.

client/python/README.md has an hour with it. The verbs are those of the command and of the wire.
"""

from typing import TYPE_CHECKING, Any

from . import errors
from ._repstore import ffi as _ffi, lib as _lib
from .aio import AsyncClient
from .client import Client, Tls
from .errors import (BadRequest, Busy, Closed, Conflict, Corrupt, Denied, DiskFull, Exists, Gap, IOFailed, NotFound,
                     NotSealed, OutOfMemory, Protocol, ReadOnly, RepstoreError, Sealed, TimedOut, TooLarge, Unsupported)
from .query import Part, Query
from .release import Release
from .rows import Batch, Fetched, Record, Retrieved, Rows, Scored, Written
from .tensors import Tensor
from .tracing import trace

if TYPE_CHECKING:
    from .local import Local as Local

__version__: str = _ffi.string(_lib.rep_version()).decode()
__all__ = ['AsyncClient', 'BadRequest', 'Batch', 'Busy', 'Client', 'Closed', 'Conflict', 'Corrupt', 'Denied', 'DiskFull', 'Exists',
           'Fetched', 'Gap', 'IOFailed', 'NotFound', 'NotSealed', 'OutOfMemory', 'Part', 'Protocol', 'Query', 'ReadOnly',
           'Record', 'Release', 'RepstoreError', 'Retrieved', 'Rows', 'Scored', 'Sealed', 'Tensor', 'TimedOut', 'Tls', 'TooLarge',
           'Unsupported', 'Written', 'errors', 'trace']


def __getattr__(name: str) -> Any:
    """`Local` is imported when it is asked for: it needs LMDB, which a client of a daemon does not."""
    if name == 'Local':
        from .local import Local
        return Local
    raise AttributeError("module 'repstore' has no attribute %r" % name)
