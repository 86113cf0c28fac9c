"""arguments.py - whether an argument is what a call takes; else BadRequest says which it is, what was given, what is allowed."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .errors import BadRequest

UINT32_MAX = 2 ** 32 - 1
_SHOWN_CHARACTERS = 100


def shown(value: Any) -> str:
    """What was given, short enough for a line."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS - 3] + '...'


def whole(name: str, value: Any, least: int = 0, most: int = 2 ** 64 - 1) -> int:
    """An integer within bounds."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise BadRequest('%s: %s given, an integer allowed' % (name, shown(value))) from None
    if not least <= number <= most:
        raise BadRequest('%s: %d given, %d to %d allowed' % (name, number, least, most))
    return number


def real(name: str, value: Any) -> float:
    """A number. A text of one is none."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise BadRequest('%s: %s given, a number allowed' % (name, shown(value)))


def flag(name: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    raise BadRequest('%s: %s given, True or False allowed' % (name, shown(value)))


def encoded(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise BadRequest('%s: %s given, text without surrogates allowed' % (name, shown(value))) from None


def text(name: str, value: Any) -> bytes:
    """A name, as the library takes it."""
    if not isinstance(value, str):
        raise BadRequest('%s: %s given, a str allowed' % (name, shown(value)))
    out = encoded(name, value)
    if b'\0' in out:
        raise BadRequest('%s: %s given, text without NUL allowed' % (name, shown(value)))
    return out


def one_of(name: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    """What a word stands for."""
    if value is None or isinstance(value, str):
        if value in choices:
            return choices[value]
    raise BadRequest('%s: %s given, one of %s allowed' % (name, shown(value), ', '.join(map(repr, choices))))


def is_given(value: Any) -> bool:
    """Neither None nor an empty collection, which an option is unless it is given."""
    return value is not None and not (isinstance(value, (tuple, list, set, frozenset, dict)) and not value)


def mapping(name: str, value: Any, allowed: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise BadRequest('%s: %s given, %s allowed' % (name, shown(value), allowed))
    return value


def tupled(name: str, values: Any) -> tuple[Any, ...]:
    """Names as what a dictionary can look up."""
    if isinstance(values, tuple):
        return values
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, 'ndim', 1) == 0:
        raise BadRequest('%s: %s given, a collection of names allowed' % (name, shown(values)))
    return tuple(values)


def refuse_masked(name: str, value: Any) -> None:
    """NumPy gives what is behind a mask without a word, and that was masked since it is no value."""
    if isinstance(value, np.ma.MaskedArray) and np.any(value.mask):
        raise BadRequest('%s: a masked array given; .filled() says what is behind the mask' % name)


def array(name: str, value: Any, dtype: str | None = None) -> np.ndarray[Any, Any]:
    """Whatever NumPy takes for an array."""
    refuse_masked(name, value)
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError, OverflowError):
        raise BadRequest('%s: %s given, an array or lists of numbers of one length allowed' % (name, shown(value))) from None
