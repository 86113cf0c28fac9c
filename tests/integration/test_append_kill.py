"""test_append_kill.py - kill -9 of the daemon while sources append to histories: every vector counts exactly once.

Sources number their vectors, append them to two tables of the live release, keep several batches under way, and send
again what was counted. Now and then one of them goes away without reading its answers and asks for its positions
anew, as a process does that was killed. Merges go on, and every second kill of the daemon is in the middle of one.

After each kill, and at the end, all rows of both tables (vectors, times, how many there are) must be bit for bit what
the vectors before the positions make, and no position may be below one that was acknowledged. At the end a second
daemon, which nobody kills, gets the same vectors in other batches and must have the same rows.

REPSTORE_ROUNDS: how many kills (10; 4 under the sanitizers).
REPSTORE_SEED: the same batches again; the moments are the clock's.
"""

import collections
import os
import sys
import threading
import time

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import Closed, Failed  # noqa: E402
from history_model import Histories  # noqa: E402

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '4' if harness.SANITIZED else '10'))
SOURCES = 2
IN_FLIGHT = 6
SIZES = (1, 2, 9, 40, 200)
OVERLAP = 150       # vectors that are sent again
KEYS = 900          # of each source
BEGIN_MS = 1700000000000
# name: (key type, dtype, views, dim, places)
TABLES = {'last': ('u64', 'f32', 1, 8, 5), 'seen': ('bytes', 'f16', 2, 3, 3)}
# Merges begin by themselves, too.
SETTINGS = '[log]\nlog_size = 128M\nmemtable_memory = 128M\nmemtable_rows = 3000\n'


def vectors_of(source, table, first, end):
    """(numbers of keys, times, rows) of vectors first..end: some come late, and times come several times."""
    numbers = np.arange(first, end, dtype=np.uint64)
    mixed = (numbers * np.uint64(SOURCES) + np.uint64(source) + np.uint64(1)) * np.uint64(0x9e3779b97f4a7c15)
    mixed ^= mixed >> np.uint64(29)
    times = BEGIN_MS + (numbers // np.uint64(3)).astype('<i8') * 1000
    times -= np.where(mixed % np.uint64(5) == 0, (mixed >> np.uint64(32)) % np.uint64(2000000), 0).astype('<i8')
    _, dtype, views, dim, _ = TABLES[table]
    elements = np.arange(views * dim, dtype=np.uint64)
    rows = ((mixed[:, None] >> elements) % np.uint64(2048)).astype('<f4') - 1024
    return (mixed >> np.uint64(8)) % np.uint64(KEYS), times, rows.astype(harness.DTYPES[dtype])


def keys_of(source, table, numbers):
    keys = numbers + np.uint64(source * KEYS)   # sources have keys of their own, or the order among them would show
    return harness.packed(keys if TABLES[table][0] == 'u64' else [b'key-%d' % key for key in keys.tolist()])


def append(client, source, table, first, end, send):
    numbers, times, rows = vectors_of(source, table, first, end)
    return send('append', dict(release='live', table=table, keys=keys_of(source, table, numbers), times=times.tobytes(),
                               dtype=TABLES[table][1], rows=rows.tobytes(), source='s%d' % source, position=first))


class Source:
    """One that sends until it is told to stop; what it was told is counted stands in `acked`."""

    def __init__(self, number, seed):
        self.number = number
        self.random = np.random.default_rng(seed)
        self.acked = dict.fromkeys(TABLES, 0)
        self.again = 0
        self.gone = 0

    def run(self, address, stop):
        while not stop.is_set():
            try:
                with harness.Client(address) as client:
                    self.converse(client, stop)
            except (Closed, FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.002)

    def converse(self, client, stop):
        """Sends and reads answers; returns in the middle of it, now and then."""
        following = dict.fromkeys(TABLES, 0)
        following.update({each['layer']: each['next'] for each in client.call('positions')['positions']
                          if each['source'] == 's%d' % self.number})
        waiting = collections.deque()
        while not stop.is_set() or waiting:
            if self.random.random() < 0.002:
                self.gone += 1
                return
            if len(waiting) < IN_FLIGHT and not stop.is_set():
                table = list(TABLES)[self.random.integers(len(TABLES))]
                first = following[table]
                if self.random.random() < 0.15:
                    first -= min(first, int(self.random.integers(1, OVERLAP)))
                end = first + SIZES[self.random.integers(len(SIZES))]
                waiting.append((append(client, self.number, table, first, end, client.send), table, first, end))
                following[table] = max(following[table], end)
                continue
            msgid, table, first, end = waiting.popleft()
            try:
                answer = client.wait(msgid)
            except Failed as failed:
                if failed.code not in ('BUSY', 'GAP'):      # the latter of what follows a batch that was refused
                    raise
                return
            assert answer['next'] >= end and answer['applied'] <= end - first, (answer, first, end)
            self.again += end - first - answer['applied']
            self.acked[table] = max(self.acked[table], answer['next'])
            time.sleep(float(self.random.uniform(0, 0.002)))


class AppendKill(harness.Case):
    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.sources = [Source(number, int(self.random.integers(1 << 60))) for number in range(SOURCES)]
        self.models = {table: Histories(TABLES[table][4]) for table in TABLES}
        self.ends = {(source, table): 0 for source in range(SOURCES) for table in TABLES}
        self.is_merging = threading.Event()
        self.merges = 0

    def make(self, daemon):
        with daemon.client() as client:
            client.call('release.create', release='r')
            for table, (key, dtype, views, dim, places) in TABLES.items():
                client.call('table.create', release='r', table=table, entity='user', kind='ur', key=key, dtype=dtype,
                            views=views, dim=dim, history=places)
            client.seal('r')

    def merge_on(self, stop):
        try:
            with self.daemon.client() as client:
                while not stop.is_set():
                    self.is_merging.set()
                    client.call('merge')
                    self.is_merging.clear()
                    self.merges += 1
                    time.sleep(0.02)
        except Closed:
            pass

    def start_crowd(self):
        self.stop = threading.Event()
        self.is_merging.clear()
        self.crowd = harness.Crowd()
        self.crowd.start(self.merge_on, self.stop)
        for source in self.sources:
            self.crowd.start(source.run, self.daemon.address, self.stop)

    def rows_of(self, daemon, table):
        """{key: (vectors, count, times, time of the row)}, as bytes."""
        rows = {}
        key, dtype, views, dim, places = TABLES[table]
        width = views * dim * np.dtype(harness.DTYPES[dtype]).itemsize
        with daemon.client() as client:
            for reply in client.walk(table, limit=65536):
                counts = np.frombuffer(reply['counts'], '<u4').tolist()
                for i, each in enumerate(harness.unpacked_as(key, reply['keys'])):
                    rows[each] = (reply['rows'][i * reply['stride']:][:places * width], counts[i],
                                  reply['history_times'][i * places * 8:][:places * 8], reply['times'][i * 8:][:8])
        return rows

    def check(self, daemon):
        """All that is there is what the vectors make, and what was acknowledged is there."""
        with daemon.client() as client:
            listed = client.call('positions')['positions']
        for each in listed:
            at = (int(each['source'][1:]), each['layer'])
            self.assertGreaterEqual(each['next'], self.ends[at])
            numbers, times, rows = vectors_of(*at, self.ends[at], each['next'])
            self.models[at[1]].add_all(numbers + np.uint64(at[0] * KEYS), times, rows)
            self.ends[at] = each['next']
        for source in self.sources:
            for table, acked in source.acked.items():
                self.assertGreaterEqual(self.ends[source.number, table], acked, 'an acknowledged vector is gone')
        for table, model in self.models.items():
            self.compare(self.rows_of(daemon, table), table, model)

    def compare(self, got, table, model):
        keys = sorted(model.rows)
        key, dtype, views, dim, _ = TABLES[table]
        _, rows, counts, times, newest = model.arrays(keys, views * dim, harness.DTYPES[dtype])
        self.assertEqual(len(got), len(keys))
        for i, each in enumerate(keys):
            self.assertEqual(got[each if key == 'u64' else b'key-%d' % each],
                             (rows[i].tobytes(), counts[i], times[i].tobytes(), newest[i].tobytes()), (table, each))

    def compare_with_a_calm_run(self):
        calm = self.start_daemon(name='calm')
        self.make(calm)
        with calm.client() as client:
            for (source, table), end in self.ends.items():
                first = 0
                while first < end:
                    upto = min(end, first + int(self.random.integers(1, 5000)))
                    answer = append(client, source, table, first, upto, lambda method, params: client.call(method, **params))
                    self.assertEqual((answer['applied'], answer['next']), (upto - first, upto))
                    first = upto
        for table in TABLES:
            self.assertEqual(self.rows_of(calm, table), self.rows_of(self.daemon, table))

    def test_every_vector_counts_once(self):
        self.daemon = self.start_daemon('--workers', '2', *self.config(SETTINGS))
        self.make(self.daemon)
        left = 0
        for number in range(ROUNDS):
            self.start_crowd()
            time.sleep(float(self.random.uniform(0.1, 0.8)) * harness.PATIENCE)
            if number % 2 == 1:
                self.is_merging.wait(harness.CALL_SECONDS)
                time.sleep(float(self.random.uniform(0, 0.03)) * harness.PATIENCE)
            self.stop_and_kill()
            files = self.base_files()
            self.daemon.start()
            left += not files <= self.base_files()
            self.check(self.daemon)
        self.start_crowd()
        time.sleep(0.5 * harness.PATIENCE)
        self.stop.set()
        self.crowd.join()
        self.check(self.daemon)
        self.daemon.restart()
        self.check(self.daemon)
        print('%d kills, %d left files of a merge; %d merges; %s vectors; %s again; %s left' % (
            ROUNDS, left, self.merges, list(self.ends.values()), [source.again for source in self.sources],
            [source.gone for source in self.sources]), flush=True)
        self.assertTrue(all(end > KEYS for end in self.ends.values()))
        self.assertTrue(all(source.again > 0 for source in self.sources))
        self.compare_with_a_calm_run()

    def stop_and_kill(self):
        """The sources do not know of it: they find out by their connections."""
        self.assertTrue(self.daemon.is_running(), self.daemon.log())
        self.daemon.kill()
        self.stop.set()
        self.crowd.join()

    def base_files(self):
        return {path for path in self.daemon.files() if '/base-' in path and not path.endswith('-lock')}


if __name__ == '__main__':
    harness.main()
