"""python_case.py - what the tests of the Python package share: the package of the build, a daemon, and a client of it.

They are skipped where the package was not built: without its modules, and under sanitizers.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import unittest
from typing import Any

import numpy as np

import harness

# Empty: this build has none.
BUILT = os.environ.get('REPSTORE_PYTHON', os.path.join(
    os.environ.get('REPSTORE_BUILD', os.path.join(harness.ROOT, 'build', 'gcc')), 'client', 'python'))
if BUILT and os.path.isdir(os.path.join(BUILT, 'repstore')):
    sys.path.insert(0, BUILT)
    import repstore
else:
    repstore = None  # type: ignore[assignment]

HAS_LOCAL = repstore is not None and importlib.util.find_spec('repstore._local') is not None
__all__ = ['BUILT', 'COUNT', 'DIM', 'HAS_LOCAL', 'PythonCase', 'repstore']
COUNT, DIM = 300, 24


@unittest.skipIf(repstore is None, 'the package is not built')
class PythonCase(harness.Case):
    """A daemon, a client of the package, and the tests' own client beside it."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.start_daemon()
        self.oracle = self.daemon.client()
        self.addCleanup(self.oracle.close)
        self.client = repstore.Client(self.daemon.address)
        self.addCleanup(self.client.close)

    def make(self, **options: Any) -> Any:
        """A live release with a table `t` of COUNT rows; returns the rows."""
        rows = harness.random_state(3).standard_normal((COUNT, DIM)).astype('f4')
        with self.client.new_release('r') as release:
            release.create_table('t', entity='item', kind='ir', dim=DIM, **options)
            release.load('t', np.arange(COUNT), rows)
            release.seal().publish()
        return rows
