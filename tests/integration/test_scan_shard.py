"""test_scan_shard.py - readers that take a shard each read the table once, together."""

import threading

import numpy as np

import harness
from harness import Crowd, rows_of

COUNT = 30000
DIM = 4
KEYS = np.arange(COUNT, dtype='<u8') * 7 + 1
ROWS = np.arange(COUNT * DIM, dtype='<f4').reshape(COUNT, DIM)
NAMES = [b'name-%d' % key for key in KEYS[:3000]]


class ScanShard(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')
        for name, key in (('t', 'u64'), ('names', 'bytes'), ('empty', 'u64')):
            self.client.call('table.create', release='r', table=name, entity='item', kind='ir', dim=DIM, key=key)
        self.client.load('r', 't', KEYS, ROWS, chunk_rows=7000)
        self.client.load('r', 'names', NAMES, ROWS[:len(NAMES)])
        self.client.seal('r')

    def shard(self, table, shard, client=None, **options):
        """{key: row} of one shard; a key that comes twice fails."""
        got = {}
        for reply in (client or self.client).walk(table, shard=shard, **options):
            keys = harness.unpacked_as('bytes' if table == 'names' else 'u64', reply['keys'])
            for key, row in zip(keys, rows_of(reply['rows'], '<f4', reply['n'])):
                self.assertNotIn(key, got)
                got[key] = row.tobytes()
        return got

    def together(self, table, count, **options):
        """All shards; a key that is in two of them fails."""
        got = {}
        for i in range(count):
            part = self.shard(table, [i, count], **options)
            self.assertFalse(got.keys() & part.keys())
            got.update(part)
        return got

    def test_each_row_is_in_one_shard(self):
        expected = {int(key): row.tobytes() for key, row in zip(KEYS, ROWS)}
        for count in (1, 2, 3, 7, 64):
            self.assertEqual(self.together('t', count, limit=1000), expected)
        self.assertEqual(self.together('t', 1024), expected)
        names = {name: row.tobytes() for name, row in zip(NAMES, ROWS)}
        self.assertEqual(self.together('names', 5, limit=100), names)
        self.assertEqual(self.together('empty', 3), {})
        self.assertEqual(list(self.client.walk('t', shard=None, limit=65536))[0]['n'], COUNT)

    def test_shards_are_about_equally_large(self):
        sizes = [len(self.shard('t', [i, 8])) for i in range(8)]
        expected = COUNT / 8
        for size in sizes:
            self.assertLess(abs(size - expected), 8 * np.sqrt(expected))

    def test_shards_stay_over_merges_and_restarts(self):
        before = [set(self.shard('t', [i, 3])) for i in range(3)]
        new = np.arange(1 << 40, (1 << 40) + 900, dtype='<u8')
        self.client.call('put', release='r', table='t', keys=harness.packed(new),
                         rows=np.ones((len(new), DIM), '<f4').tobytes())
        self.client.call('delete', release='r', table='t', keys=harness.packed(KEYS[:50]))
        gone = {int(key) for key in KEYS[:50]}
        # In the memtable, then in base files, then after a restart.
        waiting = [set(self.shard('t', [i, 3], limit=177)) for i in range(3)]
        self.client.call('merge')
        merged = [set(self.shard('t', [i, 3], limit=177)) for i in range(3)]
        self.daemon.restart()
        with self.daemon.client() as client:
            restarted = [set(self.shard('t', [i, 3], client)) for i in range(3)]
        self.assertEqual(waiting, merged)
        self.assertEqual(waiting, restarted)
        self.assertEqual(set().union(*waiting), {int(key) for key in KEYS} - gone | {int(key) for key in new})
        for old, now in zip(before, waiting):
            self.assertEqual(old - gone, now & old)

    def test_readers_at_once_read_it_once_while_others_write(self):
        """Rows that nobody writes come once, in one shard; those that are written come at most once."""
        count = 4
        done = threading.Event()
        written = np.arange(1 << 41, (1 << 41) + 5000, dtype='<u8')

        def write():
            with self.daemon.client() as client:
                number = 0
                while not done.is_set():
                    some = written[number % 10::10]
                    if number % 3 == 2:
                        client.call('delete', release='r', table='t', keys=harness.packed(some))
                    else:
                        client.call('put', release='r', table='t', keys=harness.packed(some),
                                    rows=np.ones((len(some), DIM), '<f4').tobytes())
                    if number % 20 == 19:
                        client.call('merge')
                    number += 1

        parts = [None] * count

        def read(i):
            with self.daemon.client() as client:
                parts[i] = self.shard('t', [i, count], client, limit=300)

        writers = Crowd()
        writers.start(write)
        try:
            readers = Crowd()
            for i in range(count):
                readers.start(read, i)
            readers.join()
        finally:
            done.set()
            writers.join()
        stay = {int(key): row.tobytes() for key, row in zip(KEYS, ROWS)}
        got = {}
        for part in parts:
            self.assertFalse(got.keys() & part.keys())
            got.update(part)
        self.assertEqual({key: row for key, row in got.items() if key in stay}, stay)
        self.assertLessEqual(got.keys() - stay.keys(), {int(key) for key in written})

    def test_a_cursor_of_another_shard_is_refused(self):
        first = self.client.call('scan', table='t', shard=[0, 2], limit=10)
        with self.fails('BAD_REQUEST', 'cursor', str(first['cursor']), '[1, 2]'):
            self.client.call('scan', table='t', shard=[1, 2], cursor=first['cursor'])
        # It leads into the first half of it, too.
        self.assertGreater(self.client.call('scan', table='t', shard=[0, 3], cursor=first['cursor'])['n'], 0)
        self.assertGreater(self.client.call('scan', table='t', cursor=first['cursor'])['n'], 0)

    def test_the_daemon_says_that_it_has_shards(self):
        self.assertIn('scan.shard', self.client.call('hello')['features'])

    def test_dumps_of_all_shards_are_the_table(self):
        got = {}
        for i in range(3):
            keys, rows = self.path('k%d.npy' % i), self.path('r%d.npy' % i)
            self.daemon.command('dump', 'r/t', '--keys', keys, '--rows', rows, '--shard', '%d/3' % i)
            part = {int(key): row.tobytes() for key, row in zip(np.load(keys), np.load(rows))}
            self.assertFalse(got.keys() & part.keys())
            got.update(part)
        self.assertEqual(got, {int(key): row.tobytes() for key, row in zip(KEYS, ROWS)})
        lines = []
        for i in range(2):
            path = self.path('n%d.jsonl' % i)
            (report,) = self.daemon.command_json('dump', 'r/names', path, '--shard', '%d/2' % i)
            with open(path) as file:
                part = file.readlines()
            self.assertEqual(report['rows'], len(part))
            lines += part
        self.assertEqual(len(set(lines)), len(NAMES))

    def test_the_command_names_a_wrong_shard(self):
        for shard in ('1', '2/2', '-1/2', 'a/b', '0/0'):
            text = self.daemon.command('dump', 'r/t', '--format', 'jsonl', '-', '--shard', shard, fails=2)
            self.assertIn(shard, text)
            self.assertIn('I/N', text)
        text = self.daemon.command('dump', 'r/t', '--format', 'jsonl', '-', '--shard', '0/1025', fails=1)
        self.assertIn('1..1024', text)
        text = self.daemon.command('dump', 'r/t', '--rows', self.path('r.npy'), '--order', self.path('k.npy'),
                                   '--shard', '0/2', fails=2)
        self.assertIn('--order', text)


if __name__ == '__main__':
    harness.main()
