"""pool.py - memory of results that is used again, once nobody holds it.

The allocator gives a block of 128 KB back to the system when it is freed, and the next fetch takes 32 new pages, which the
system clears and maps one by one: that costs as much as the rest of a fetch. So the blocks of a connection's results are
kept, and a block becomes the memory of another result once this pool alone refers to it.

An array that is handed out refers to its block, and so does each view of it, each tensor, memoryview and DLPack capsule on
its memory: NumPy makes the owner of the memory the `base` of all of them. What somebody can still see is never written.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._repstore import ffi

Array = npt.NDArray[Any]

LEAST_BYTES = 32 << 10      # below, the allocator keeps the pages itself
MOST_BYTES = 16 << 20       # of all blocks that a pool keeps
CLASS_BLOCKS = 16           # of one size that a pool keeps


class _Block(NamedTuple):
    memory: Array
    pointer: Any


def _block_of(size: int) -> _Block:
    memory = np.empty(size, np.uint8)
    return _Block(memory, ffi.from_buffer('char[]', memory, require_writable=True))


def _holders(block: _Block) -> int:
    """How many refer to the memory of a block, in a count that begins somewhere: _ALONE is nobody but the block."""
    return sys.getrefcount(block.memory)


_ALONE = _holders(_block_of(64))
# Without its global lock Python counts references of several threads apart, so a count says nothing.
_is_counted = bool(getattr(sys, '_is_gil_enabled', lambda: True)()) and sys.implementation.name == 'cpython'


def _class_of(size: int) -> int:
    """The size of the block for so many bytes: at most a quarter above it."""
    step = 1 << (size.bit_length() - 3)
    return (size + step - 1) // step * step


class Pool:
    """The blocks of one connection, so of one thread. The newest block that nobody holds is used first: it is in the
    processor's caches."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[_Block]] = {}
        self._bytes = 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> tuple[Array, Any]:
        """An array of `size` bytes that nobody else sees, not cleared, and the pointer to its memory."""
        if size < LEAST_BYTES or size > MOST_BYTES or not _is_counted:
            array = np.empty(shape, dtype)
            return array, ffi.from_buffer('char[]', array, require_writable=True)
        size = _class_of(size)
        for block in reversed(self._blocks.get(size, ())):
            array = np.ndarray(shape, dtype, block.memory)
            if _holders(block) == _ALONE + 1:       # this array, and not one of a signal handler in between
                return array, block.pointer
        block = self._new(size)
        return np.ndarray(shape, dtype, block.memory), block.pointer

    def _new(self, size: int) -> _Block:
        block = _block_of(size)
        if self._bytes + size > MOST_BYTES:
            self._blocks, self._bytes = {}, 0       # sizes that are asked for no more
        blocks = self._blocks.setdefault(size, [])
        if len(blocks) == CLASS_BLOCKS:
            blocks.pop(0)       # somebody keeps it
            self._bytes -= size
        blocks.append(block)
        self._bytes += size
        return block
