"""torch.py - the rows of a table as a data set of PyTorch. It is imported by its name: the package needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from .client import Client
from .query import DType
from .rows import Batch


class Rows(IterableDataset):  # type: ignore[misc]
    """All rows of a table, in batches, for a DataLoader with `batch_size=None`.

    The client is opened where rows are read, so in the worker: nothing of the parent's connection is used there. With
    several workers each reads a part of the table of its own, so that all together yield each row once.

    Parameters
    ----------
    table : str
        Its name.
    address : str, optional
        As in `repstore.Client`.
    release : str, optional
        The live one unless told. Name it where a publish may come meanwhile: each worker asks by itself.
    dtype : str, optional
        As in `Client.scan`: 'f32' lets the daemon convert.
    batch : int, optional
        About so many rows at once; 0: the daemon chooses.
    timeout : float or None, optional
        As in `repstore.Client`.

    Examples
    --------
    >>> import repstore.torch
    >>> from torch.utils.data import DataLoader
    >>> rows = repstore.torch.Rows('ir', release='ckpt-1', dtype='f32')
    >>> sum(len(each['keys']) for each in DataLoader(rows, batch_size=None))
    1000
    """

    def __init__(self, table: str, *, address: str | None = None, release: str | None = None, dtype: DType | None = None,
                 batch: int = 0, timeout: float | None = 30.0) -> None:
        super().__init__()
        self._client = dict(address=address, timeout=timeout)
        self._scan = dict(table=table, release=release, dtype=dtype, batch=batch)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches: `keys` (int64 of the same bits, or a list of bytes), `rows`, and `times`, `tags`, `scales`, `weights`
        where the table has them."""
        worker = get_worker_info()
        number, count = (0, 1) if worker is None else (worker.id, worker.num_workers)
        with Client(**self._client) as client:  # type: ignore[arg-type]
            shard = None if count == 1 else (number, count)
            for batch in client.scan(**self._scan, shard=shard):  # type: ignore[arg-type]
                yield _tensors(batch)


def _tensors(batch: Batch) -> dict[str, Any]:
    """A batch as tensors; int64 has the bits of what torch has no type for."""
    out: dict[str, Any] = {}
    for name in ('keys', 'rows', 'times', 'tags', 'scales', 'weights'):
        column = getattr(batch, name)
        if column is None:
            continue
        if column.dtype == object:
            out[name] = column.tolist()
        elif name == 'rows' and batch.dtype == 'bf16':
            out[name] = torch.from_numpy(column.view('<i2')).view(torch.bfloat16)
        else:
            out[name] = torch.from_numpy(column.view('<i8') if column.dtype == np.uint64 else column)
    return out
