"""test_deadline.py - changes that take long end when their time is over and when their peer leaves, and then
nothing has changed.

A seal of ROWS rows takes tenths of a second, a merge at merge_rate seconds; what is asked is told 30 to 50 ms.
"""

import os
import time

import numpy as np

import harness

ROWS = 600000
DIM = 64


class Deadline(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(*self.config('[log]\nmerge_rate = 16M\n'))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM)
        rows = np.ones((ROWS, DIM), '<f4')
        self.client.load('r', 't', np.arange(ROWS), rows, chunk_rows=50000)

    def await_true(self, is_so):
        limit = time.monotonic() + harness.CALL_SECONDS
        while not is_so():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.005)

    def show(self):
        return self.client.call('release.show', release='r')

    def expect_open(self):
        self.assertEqual(self.show()['state'], 'open')
        files = [name for name in self.daemon.files() if os.path.basename(name).startswith('base-')]
        self.assertEqual(files, [])

    def test_a_seal_ends_in_its_time(self):
        with self.fails('TIMEOUT', 'not done in timeout_ms, 30,'):
            self.client.call('release.seal', release='r', timeout_ms=30)
        self.expect_open()
        self.client.load('r', 't', np.arange(1), np.ones((1, DIM), '<f4'), load='more')
        self.assertEqual(self.client.call('release.seal', release='r', timeout_ms=600000)['rows'], ROWS)

    def test_a_seal_ends_when_its_peer_leaves(self):
        other = self.daemon.client()
        other.send('release.seal', {'release': 'r'})
        self.await_true(lambda: 'sealing' in self.show())
        other.close()
        self.await_true(lambda: 'sealing' not in self.show())
        self.expect_open()
        self.client.seal('r')

    def test_a_merge_goes_on_when_nobody_waits(self):
        self.client.seal('r')
        self.client.call('put', release='r', table='t', keys=harness.packed([1]),
                         rows=np.zeros((1, DIM), '<f4').tobytes())
        with self.fails('TIMEOUT', 'timeout_ms, 50,'):
            self.client.call('merge', timeout_ms=50, full=True)
        self.await_true(lambda: self.client.call('stats')['write']['merges'] == 1)
        self.assertEqual(self.client.call('stats')['write']['memtable_rows'], 0)
        self.assertEqual(self.client.call('merge')['tables'], 0)


if __name__ == '__main__':
    harness.main()
