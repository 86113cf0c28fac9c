"""test_long_reader.py - merges and writes wait neither for a search that runs for long nor for an index.

The search compares bits for minutes unless its peer leaves; `stats` says that it still runs, so no clock is
asked.
"""

import time

import numpy as np

import harness

ROWS = 100000
QUERIES = 256
DIM = 64
WRITTEN = 1000
ROWS_MAX = 4000         # of the memtables: four writes fill them


class LongReader(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(*self.config('[log]\nmemtable_rows = %d\n' % ROWS_MAX))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='bits', entity='item', kind='ir', dim=DIM, dtype='bit')
        self.client.call('table.create', release='r', table='ur', entity='user', kind='ur', dim=4)
        rows = np.random.default_rng(1).integers(0, 256, (ROWS, DIM // 8), 'u1')
        self.client.load('r', 'bits', np.arange(ROWS), rows, dtype='bit')
        self.client.seal('r')

    def await_stats(self, is_so):
        limit = time.monotonic() + harness.CALL_SECONDS
        while not is_so(self.client.call('stats')):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.005)

    def search(self):
        """A connection with a search that has begun."""
        other = self.daemon.client()
        self.addCleanup(other.close)
        rows = np.random.default_rng(2).integers(0, 256, (4 * QUERIES, DIM // 8), 'u1')
        other.send('retrieve', {
            'release': 'r', 'from': {'dim': DIM, 'views': 4, 'dtype': 'bit', 'rows': rows.tobytes()}, 'in': 'bits',
            'metric': 'hamming', 'k': 2000, 'timeout_ms': 600000})
        self.await_stats(lambda stats: stats['store']['readers_pinned'] == 1)
        return other

    def put(self, number):
        keys = np.arange(number * WRITTEN, (number + 1) * WRITTEN)
        rows = np.full((WRITTEN, 4), number, '<f4')
        self.client.call('put', release='r', table='ur', keys=harness.packed(keys), rows=rows.tobytes())

    def check_still_running(self):
        self.assertEqual(self.client.call('stats')['store']['readers_pinned'], 1, 'the search has ended too soon')

    def test_merges_pass(self):
        other = self.search()
        merges = self.client.call('stats')['write']['merges']
        for number in range(3):
            self.put(number)
            self.client.call('merge')
            stats = self.client.call('stats')
            self.assertEqual(stats['write']['memtable_rows'], 0)
            self.assertGreater(stats['write']['merges'], merges + number)
        # It began when nothing was written, so it holds no memory of rows that were.
        self.assertEqual(stats['write']['memtable_pinned'], 0)
        self.check_still_running()
        other.close()
        self.await_stats(lambda stats: stats['store']['readers_pinned'] == 0)
        self.await_stats(lambda stats: stats['store']['files_waiting'] == 0)

    def test_writes_pass(self):
        """More is written than the memtables may hold, again and again; the search holds what it found."""
        self.put(0)
        other = self.search()
        for number in range(10 * ROWS_MAX // WRITTEN):
            self.put(number)
        self.client.call('merge')
        stats = self.client.call('stats')
        self.assertGreaterEqual(stats['write']['merges'], 10)
        self.assertGreater(stats['write']['memtable_pinned'], 0)
        self.check_still_running()
        other.close()
        self.await_stats(lambda stats: stats['write']['memtable_pinned'] == 0)


class Collapsed(harness.Case):
    """Rows that are all the same, as those of a model that has collapsed."""

    def test_writes_pass(self):
        daemon = self.start_daemon(*self.config('[log]\nmemtable_rows = %d\n' % ROWS_MAX))
        client = daemon.client()
        self.addCleanup(client.close)
        client.call('release.create', release='r')
        client.call('table.create', release='r', table='ir', entity='item', kind='ir', dim=16, index='balls')
        client.call('table.create', release='r', table='ur', entity='user', kind='ur', dim=4)
        one = np.arange(1, 17, dtype='<f4')
        client.load('r', 'ir', np.arange(20000), np.tile(one, (20000, 1)))
        client.seal('r')
        self.await_index(client)
        client.call('put', release='r', table='ir', keys=[0], rows=one.tobytes())
        other = daemon.client()
        self.addCleanup(other.close)
        asked = other.send('merge')
        self.await_merge(client)
        for number in range(10 * ROWS_MAX // WRITTEN):
            keys = np.arange(number * WRITTEN, (number + 1) * WRITTEN)
            client.call('put', release='r', table='ur', keys=harness.packed(keys),
                        rows=np.ones((WRITTEN, 4), '<f4').tobytes())
        other.wait(asked)
        client.call('merge')
        stats = client.call('stats')
        self.assertGreaterEqual(stats['write']['merges'], 10)
        self.assertEqual(stats['write']['memtable_rows'], 0)
        self.await_index(client)
        query = {'dim': 16, 'dtype': 'f32', 'rows': one.tobytes()}
        answer = client.call('retrieve', release='r', k=5, **{'from': query, 'in': 'ir'})
        self.assertEqual(answer['parts'][0]['keys'], harness.packed([0, 1, 2, 3, 4]))
        self.assertTrue(answer['exact'])

    def await_merge(self, client):
        """Until the merge has ended, or has written its files and had time to begin something else: later it
        would see that writers need it, and leave an index alone."""
        limit = time.monotonic() + harness.CALL_SECONDS
        passed = 0
        while passed < 500:
            write = client.call('stats')['write']
            if write['merges'] > 0:
                return
            passed += write['bytes_by_cause']['merge'] > 0
            self.assertLess(time.monotonic(), limit)

    def await_index(self, client):
        limit = time.monotonic() + harness.CALL_SECONDS
        while client.call('table.show', table='ir')['index_bytes'] == 0:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.005)


if __name__ == '__main__':
    harness.main()
