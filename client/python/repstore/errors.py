"""errors.py - one exception a code of the protocol; each is also the built-in exception that it means."""

from ._repstore import ffi, lib

_AFTER_WHICH_UNKNOWN = ('TIMEOUT', 'CLOSED', 'PROTOCOL')


class RepstoreError(Exception):
    """What the daemon or the library refused: `code` is stable, `text` is for a person."""

    code = 'INTERNAL'
    retryable = False

    def __init__(self, text, code=None):
        super().__init__(text)
        self.text = text
        self.code = code or self.code

    def __str__(self):
        return '%s: %s' % (self.code, self.text)

    @property
    def outcome_known(self):
        """False: it is not known whether a write was done. To put the same rows again is safe; samples only with their
        source and position."""
        return self.code not in _AFTER_WHICH_UNKNOWN


class BadRequest(RepstoreError, ValueError):
    code = 'BAD_REQUEST'


class TooLarge(RepstoreError, ValueError):
    code = 'TOO_LARGE'


class NotFound(RepstoreError, KeyError):
    code = 'NOT_FOUND'


class Denied(RepstoreError, PermissionError):
    code = 'DENIED'


class Gap(RepstoreError):
    code = 'GAP'


class Busy(RepstoreError):
    code = 'BUSY'
    retryable = True


class DiskFull(RepstoreError, OSError):
    code = 'DISK_FULL'


class TimedOut(RepstoreError, TimeoutError):
    code = 'TIMEOUT'


class Closed(RepstoreError, ConnectionError):
    code = 'CLOSED'


class OutOfMemory(RepstoreError, MemoryError):
    code = 'NO_MEMORY'


class IOFailed(RepstoreError, OSError):
    code = 'IO'


class Exists(RepstoreError):
    code = 'EXISTS'


class Conflict(RepstoreError):
    code = 'CONFLICT'


class NotSealed(RepstoreError):
    code = 'NOT_SEALED'


class Sealed(RepstoreError):
    code = 'SEALED'


class Corrupt(RepstoreError):
    code = 'CORRUPT'


class ReadOnly(RepstoreError):
    code = 'READ_ONLY'


class Unsupported(RepstoreError):
    code = 'UNSUPPORTED'


class Protocol(RepstoreError):
    code = 'PROTOCOL'


_CLASSES = {each.code: each for each in RepstoreError.__subclasses__()}


def check(status, error):
    """Raises what a function of the library has answered; `error` is a struct rep_error *."""
    if status != lib.REP_OK:
        code = ffi.string(lib.rep_status_name(status)).decode()
        raise _CLASSES.get(code, RepstoreError)(ffi.string(error.text).decode(errors='replace'), code)
