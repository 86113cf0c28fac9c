"""history_model.py - the newest vectors of each key, in the order of their times, as a list."""

from __future__ import annotations

from typing import Any

import numpy as np


class Histories:
    """The last `places` samples of each key: by time, those of one time in the order in which they came."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.rows: dict[int, list[tuple[int, Any]]] = {}      # of each key [(time, vector)...], oldest first

    def add(self, key: int, time: int, vector: Any) -> None:
        row = self.rows.setdefault(int(key), [])
        row.append((int(time), np.array(vector)))
        row.sort(key=lambda each: each[0])      # a stable sort
        del row[:-self.places]

    def add_all(self, keys: Any, times: Any, rows: Any) -> None:
        for key, time, row in zip(keys, times, rows):
            self.add(key, time, row)

    def delete(self, keys: Any) -> None:
        for key in keys:
            self.rows.pop(int(key), None)

    def expire(self, now_ms: int, ttl_ms: int) -> None:
        """A row goes as a whole, when its newest vector is too old."""
        for key in [key for key, row in self.rows.items() if row[-1][0] + ttl_ms < now_ms]:
            del self.rows[key]

    def arrays(self, keys: Any, dim: int, dtype: str = '<f4') -> tuple[list[bool], Any, Any, Any, Any]:
        """What a fetch of these keys gives: found, rows, counts, times of the places, time of the row."""
        found = [int(key) in self.rows for key in keys]
        rows = np.zeros((len(keys), self.places, dim), dtype)
        counts = np.zeros(len(keys), '<u4')
        times = np.zeros((len(keys), self.places), '<i8')
        for i, key in enumerate(keys):
            row = self.rows.get(int(key), [])
            counts[i] = len(row)
            for place, (time, vector) in enumerate(row):
                rows[i, place] = vector
                times[i, place] = time
        return found, rows, counts, times, times.max(axis=1)
