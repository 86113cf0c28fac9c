"""test_write_semantics.py - what put, delete and merge mean, for every kind of table.

A model in Python is told the same as the daemon; fetch, scan and dump must agree with it while rows wait
for a merge, after one, and after a restart. REPSTORE_GROW (100000 unless told) is how many rows a table
grows by that was sealed empty; from 2000000 on it must have come to several segments.
"""

import os
import struct
import threading
import time

import msgpack
import numpy as np

import harness
from harness import DTYPES, Failed, bits, packed, sample_rows

GROW = int(os.environ.get('REPSTORE_GROW', 100000))
MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DIM = 13
LOADED = 200            # keys that every table of the model is sealed with
UNIVERSE = 400          # keys that are written, deleted and asked for


def key_of(key_type, i):
    """The i-th key: numbers over all of u64; byte strings of 1 to 255 bytes, some with NULs."""
    if key_type == 'u64':
        return (i * 0x9e3779b97f4a7c15) % (1 << 64)
    name = b'k\0%d' % i
    return name + b'.' * ((i * 7) % (256 - len(name)))


class Table:
    """A table and the model of it: what each key holds."""

    def __init__(self, dtype, key, tags):
        self.name = '%s-%s%s' % (dtype, key, '-tags' if tags else '')
        self.dtype = dtype
        self.key = key
        self.tags = tags
        self.views = 2 if tags else 1
        self.ttl_ms = HOUR_MS if (key == 'bytes') != tags else 0
        self.keys = [key_of(key, i) for i in range(UNIVERSE)]
        self.rows = {}          # key -> (row, scale, time, tags); those that expired stay

    def create(self, client, release):
        client.call('table.create', release=release, table=self.name, entity='user', kind='ur',
                    dim=DIM, views=self.views, dtype=self.dtype, key=self.key, tags=self.tags,
                    ttl_ms=self.ttl_ms)

    def is_there(self, key, now):
        return key in self.rows and not (self.ttl_ms and now - self.rows[key][2] >= self.ttl_ms)

    def alive(self):
        now = harness.now_ms()
        return {key: row for key, row in self.rows.items() if self.is_there(key, now)}

    def sample(self, count, seed):
        rows, scales = sample_rows(self.dtype, max(count, 2), DIM, self.views, seed)
        return rows[:count], None if scales is None else scales[:count].astype('<f4')

    def columns(self, numbers, rows, scales, times=None, tags=None):
        """The arguments of load and put."""
        columns = {'keys': packed([self.keys[i] for i in numbers]) if len(numbers) else b'',
                   'rows': np.ascontiguousarray(rows).tobytes()}
        for name, column, dtype in (('scales', scales, '<f4'), ('times', times, '<i8'),
                                    ('tags', tags, '<u8')):
            if column is not None:
                columns[name] = np.asarray(column).astype(dtype).tobytes()
        return columns

    def apply(self, numbers, rows, scales, times, tags, if_newer=False):
        """Tells the model of a put; returns how many rows were applied."""
        now = harness.now_ms()
        applied = 0
        for at, number in enumerate(numbers):
            key = self.keys[number]
            if if_newer and self.is_there(key, now) and times[at] <= self.rows[key][2]:
                continue
            self.rows[key] = (rows[at].tobytes(), None if scales is None else float(scales[at]),
                              int(times[at]),
                              None if not self.tags else 0 if tags is None else int(tags[at]))
            applied += 1
        return applied

    def forget(self, numbers):
        """Tells the model of a delete; returns how many were there."""
        now = harness.now_ms()
        deleted = 0
        for number in numbers:
            if self.is_there(self.keys[number], now):
                del self.rows[self.keys[number]]
                deleted += 1
        return deleted


class Writes(harness.Case):
    """A daemon, a client, and how to see all that a table holds."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())

    def restart(self):
        self.client.close()
        self.daemon.restart()
        self.client = self.daemon.client()

    def sequence(self):
        return self.client.call('stats')['write']['sequence']

    def create(self, release, *tables, seal=True, publish=True, **options):
        """A release with tables of f32 of one element, and u64 keys unless told."""
        self.client.call('release.create', release=release)
        for table in tables:
            self.client.call('table.create', release=release, table=table, entity='user', kind='ur',
                             **{'dim': 1, **options})
        if seal:
            self.client.seal(release, publish=publish)

    def put(self, release, table, keys, values, **options):
        return self.client.call('put', release=release, table=table, keys=keys,
                                rows=np.asarray(values, '<f4').tobytes(), **options)

    def part(self, table, keys, values, **columns):
        return dict(table=table, keys=keys, rows=np.asarray(values, '<f4').tobytes(), **columns)

    def values(self, table, keys, **options):
        """What tables of one element hold: a float of each key, None where it was not found."""
        part = self.client.fetch(table, list(keys), **options)
        rows = np.frombuffer(part['rows'], '<f4').tolist()
        return [row if found else None
                for row, found in zip(rows, bits(part['found'], part['n']))]

    def rows_of_replies(self, replies, key_type):
        """{key: (row, scale, time, tags)}; no key comes twice."""
        rows = {}
        for reply in replies:
            count = reply['n']
            keys = harness.unpacked_as(key_type, reply['keys'])
            self.assertEqual(len(keys), count)
            stride = len(reply['rows']) // max(count, 1)
            scales = np.frombuffer(reply['scales'], '<f4').tolist() if 'scales' in reply else None
            times = np.frombuffer(reply['times'], '<i8').tolist()
            tags = np.frombuffer(reply['tags'], '<u8').tolist() if 'tags' in reply else None
            for i, key in enumerate(keys):
                self.assertNotIn(key, rows)
                rows[key] = (reply['rows'][i * stride:(i + 1) * stride],
                             scales[i] if scales else None, times[i], tags[i] if tags else None)
        return rows

    def dumped(self, place, key_type):
        """The same of a dump."""
        path = self.path('dump.msgpack')
        self.daemon.command('dump', place, path)
        with open(path, 'rb') as file:
            maps = list(msgpack.Unpacker(file, raw=False, max_buffer_size=harness.MESSAGE_BYTES))
        rows = self.rows_of_replies(maps[1:-1], key_type)
        self.assertEqual(maps[-1], {'rows': len(rows)})
        return rows

    def scanned(self, table, key_type='u64', **options):
        return self.rows_of_replies(self.client.walk(table, **options), key_type)


class EveryTable(Writes):
    """All dtypes, both key types, with and without tags, and half of them with a ttl."""

    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.tables = [Table(dtype, key, tags) for dtype in DTYPES for key in ('u64', 'bytes')
                       for tags in (False, True)]
        self.client.call('release.create', release='r')
        now = harness.now_ms()
        for table in self.tables:
            table.create(self.client, 'r')
            given = self.given(table, range(LOADED), now - 40 * MINUTE_MS)
            if table.ttl_ms:
                given[3][:20] = now - np.repeat([90, 180], 10) * MINUTE_MS
            table.apply(*given)
            self.client.call('load', release='r', table=table.name, load='l', chunk=0,
                             **table.columns(*given))
            self.client.call('load.end', release='r', table=table.name, load='l', chunks=1,
                             rows=LOADED)
        self.client.seal('r')
        self.last = self.sequence()

    def given(self, table, numbers, time_ms):
        """[numbers, rows, scales, times, tags], the times from 10 minutes before to 10 after."""
        rows, scales = table.sample(len(numbers), int(self.random.integers(1 << 30)))
        times = time_ms + self.random.integers(-10, 11, len(numbers)) * MINUTE_MS
        tags = self.random.integers(0, 1 << 64, len(numbers), dtype='<u8') if table.tags else None
        return [numbers, rows, scales, times, tags]

    def written(self, answer, count, name='applied'):
        """Checks the answer of a write; what changes nothing has no sequence of its own."""
        self.last += 1 if count > 0 else 0
        self.assertEqual(answer, {'release': 'r', 'sequence': self.last, name: count})

    def put_given(self, table, numbers, time_ms, if_newer=False):
        given = self.given(table, numbers, time_ms)
        count = table.apply(*given, if_newer=if_newer)
        flag = {'if_newer': True} if if_newer else {}
        self.written(self.client.call('put', release='live', table=table.name,
                                      **table.columns(*given), **flag), count)
        return count

    def put_without_times(self, table, numbers):
        """They get the request's clock; what they got is told the model."""
        rows, scales = table.sample(len(numbers), int(self.random.integers(1 << 30)))
        before = harness.now_ms()
        answer = self.client.call('put', release='r', table=table.name,
                                  **table.columns(numbers, rows, scales))
        after = harness.now_ms()
        keys = packed([table.keys[i] for i in numbers])
        times = np.frombuffer(self.client.fetch(table.name, keys, times=True)['times'], '<i8')
        self.assertEqual(len(set(times.tolist())), 1)
        self.assertTrue(before <= times[0] <= after, (before, times[0], after))
        self.written(answer, table.apply(numbers, rows, scales, times, None))

    def put_floats(self, table, numbers):
        """Rows of another dtype are converted as loads are."""
        values, _ = sample_rows('f32', len(numbers), DIM, table.views)
        values[1] = 1
        rows, scales = harness.from_f32(table.dtype, values)
        times = np.full(len(numbers), harness.now_ms(), '<i8')
        self.written(self.client.call('put', release='r', table=table.name, dtype='f32',
                                      **table.columns(numbers, values, None, times)),
                     table.apply(numbers, rows, scales, times, None))

    def delete(self, table, numbers):
        self.written(self.client.call('delete', release='live', table=table.name,
                                      keys=[table.keys[i] for i in numbers]),
                     table.forget(numbers), 'deleted')

    def write(self, table):
        """One round of writes of every kind."""
        now = harness.now_ms()
        some = self.random.permutation(UNIVERSE).tolist()
        self.put_given(table, some[:90], now)
        self.put_given(table, some[80:90] + some[85:95] + some[80:82], now)
        self.put_without_times(table, some[95:100] + some[98:100])
        self.delete(table, some[60:130] + some[60:70])
        # Deleted rows are not there; others are where their time is not above: some of each.
        counts = [self.put_given(table, some[60:70], now - 40 * MINUTE_MS, True),
                  self.put_given(table, some[:50] + some[40:60], now, True),
                  self.put_given(table, range(0, LOADED), now - 40 * MINUTE_MS, True)]
        self.assertEqual(counts[0], 10)
        self.assertTrue(0 < counts[1] < 70 and 0 < counts[2] < LOADED, counts)
        if table.ttl_ms:
            self.put_given(table, some[130:140], now - 90 * MINUTE_MS)
            self.put_given(table, some[140:150], now - 180 * MINUTE_MS)
            self.assertEqual(self.put_given(table, some[145:150], now - 240 * MINUTE_MS, True), 5)
            self.delete(table, some[130:150])
        if table.dtype != 'bit':
            self.put_floats(table, some[150:170])
        self.put_given(table, [], now)
        self.delete(table, [])

    def check_fetch(self, table):
        now = harness.now_ms()
        missing = key_of(table.key, UNIVERSE)
        part = self.client.fetch(table.name, packed(table.keys + [missing]), times=True, why=True,
                                 **({'tags': True} if table.tags else {}))
        reply = dict(part, keys=packed(table.keys + [missing]))
        rows = self.rows_of_replies([reply], table.key)
        nothing = (bytes(part['stride']), 0 if table.dtype == 'i8' else None, 0,
                   0 if table.tags else None)
        found = bits(part['found'], part['n'])
        for at, key in enumerate(table.keys + [missing]):
            is_there = table.is_there(key, now)
            self.assertEqual(rows[key], table.rows[key] if is_there else nothing, (table.name, at))
            self.assertEqual(found[at], is_there)
            # One that expired over an hour ago is forgotten by the next merge.
            age = now - table.rows[key][2] if key in table.rows else 0
            self.assertIn(part['why'][at], (0,) if is_there else (1,) if key not in table.rows else
                          (2,) if age < table.ttl_ms + HOUR_MS else (1, 2), (table.name, at))

    def check(self, stage):
        """Fetch, scan and dump have what the model has."""
        for table in self.tables:
            with self.subTest(stage=stage, table=table.name):
                self.check_fetch(table)
                alive = table.alive()
                self.assertEqual(self.scanned(table.name, table.key), alive)
                self.assertEqual(self.scanned(table.name, table.key, limit=37), alive)
                self.assertEqual(self.dumped('live/' + table.name, table.key), alive)
        self.assertEqual(self.sequence(), self.last)

    def merge(self):
        answer = self.client.call('merge')
        self.assertEqual(answer['tables'], len(self.tables))
        for table in self.client.call('table.list')['tables']:
            self.assertEqual(table['pending'], 0)

    def test_a_model_agrees(self):
        self.check('sealed')
        for table in self.tables:
            self.write(table)
        self.assertTrue(all(table['pending'] for table in self.client.call('table.list')['tables']))
        self.check('written')
        self.merge()
        self.check('merged')
        self.restart()
        self.check('started')
        for table in self.tables:
            self.write(table)
        self.restart()
        self.check('replayed')
        for table in self.tables:
            self.write(table)
        self.check('written again')
        self.merge()
        self.check('merged again')


class Releases(Writes):
    def test_an_open_release_takes_no_writes(self):
        self.create('open', 't', seal=False)
        self.create('r', 't')
        part = self.part('t', [1], [1])
        for params in (part, {'parts': [part]}, {'parts': [part, part], 'if_newer': True}):
            with self.fails('NOT_SEALED', 'open'):
                self.client.call('put', release='open', **params)
        with self.fails('NOT_SEALED', 'open'):
            self.client.call('delete', release='open', table='t', keys=[1])
        self.assertEqual(self.sequence(), 0)
        self.client.seal('open', publish=False)
        self.assertEqual(self.put('open', 't', [1], [1])['applied'], 1)
        self.assertEqual(self.values('t', [1], release='open'), [1])
        self.assertEqual(self.values('t', [1]), [None])

    def test_nothing_is_live(self):
        self.create('r', 't', publish=False)
        with self.fails('NOT_FOUND', 'live'):
            self.put('live', 't', [1], [1])
        with self.fails('NOT_FOUND', 'live'):
            self.client.call('delete', release='live', table='t', keys=[1])
        self.assertEqual(self.put('r', 't', [1], [1]), {'release': 'r', 'sequence': 1, 'applied': 1})

    def test_writes_to_a_release_that_is_not_live(self):
        for release in ('old', 'new'):
            self.create(release, 't', 't@layer', publish=release == 'new')
        self.assertEqual(self.put('old', 't', [1, 2], [1, 1])['release'], 'old')
        self.assertEqual(self.put('live', 't', [1, 3], [2, 2])['release'], 'new')
        answer = self.client.call('put', release='old', parts=[self.part('t', [4], [1]),
                                                               self.part('t@layer', [4], [3])])
        self.assertEqual(answer, {'release': 'old', 'sequence': 3, 'applied': 2})
        answer = self.client.call('delete', release='old', table='t', keys=[2, 3])
        self.assertEqual(answer, {'release': 'old', 'sequence': 4, 'deleted': 1})

        def check():
            for keys, old, new in (([1, 2, 3, 4], [1, None, None, 1], [2, None, 2, None]),):
                self.assertEqual(self.values('t', keys, release='old'), old)
                self.assertEqual(self.values('t', keys, release='new'), new)
            self.assertEqual(self.values('t@layer', [4], release='old'), [3])
            self.assertEqual(self.values('t@layer', [4], release='new'), [None])
            self.assertEqual(set(self.dumped('old/t', 'u64')), {1, 4})
            self.assertEqual(set(self.dumped('new/t', 'u64')), {1, 3})
        check()
        self.restart()
        check()
        self.assertEqual(self.client.call('merge')['tables'], 3)
        check()
        self.restart()
        check()
        self.assertEqual(self.values('t', [1]), [2])
        self.client.call('release.publish', release='old')
        self.assertEqual(self.values('t', [1]), [1])
        self.assertEqual(self.put('live', 't', [1], [5])['release'], 'old')
        self.assertEqual(self.client.call('release.rollback')['release'], 'new')
        self.assertEqual(self.values('t', [1]), [2])
        self.assertEqual(self.values('t', [1], release='old'), [5])

    def test_a_release_is_dropped_with_its_pending_writes(self):
        self.create('gone', 't', publish=False)
        self.create('r', 't')
        for value in range(20):
            self.put('gone', 't', np.arange(500, dtype='<u8').tobytes(), np.full(500, value))
            self.put('r', 't', [value], [value])
        self.client.call('release.drop', release='gone')
        with self.fails('NOT_FOUND', 'gone'):
            self.put('gone', 't', [1], [1])
        # One of the same name is another one.
        self.create('gone', 't', publish=False)
        self.put('gone', 't', [3], [33])
        for step in ('dropped', 'started', 'merged', 'started again'):
            with self.subTest(step):
                if step.startswith('started'):
                    self.restart()
                if step == 'merged':
                    self.assertEqual(self.client.call('merge')['rows'], 21)
                    write = self.client.call('stats')['write']
                    self.assertEqual((write['memtable_rows'], write['pending_bytes']), (0, 0))
                self.assertEqual(self.values('t', range(21)), [*range(20), None])
                self.assertEqual(set(self.scanned('t', release='gone')), {3})
                self.assertEqual(self.values('t', [3, 4], release='gone'), [33, None])
                self.assertEqual(self.sequence(), 41)
        self.client.call('release.drop', release='gone')
        self.restart()
        self.assertEqual(self.put('r', 't', [1], [1])['sequence'], 42)


class Deltas(Writes):
    def expect(self, count, values):
        """Rows are their keys, but for those in `values`; None: there is none."""
        got = {}
        for first in range(0, count, 20000):
            keys = range(first, min(first + 20000, count))
            part = self.client.fetch('t', list(keys))
            rows = np.frombuffer(part['rows'], '<f4').reshape(part['n'], -1)[:, 0]
            got.update(zip(keys, (row if found else None for row, found in zip(rows.tolist(), bits(part['found'], part['n'])))))
        expected = {key: values.get(key, key) for key in range(count)}
        self.assertEqual(got, expected)
        scanned = {key: struct.unpack_from('<f', row[0])[0] for key, row in self.scanned('t').items()}
        self.assertEqual(scanned, {key: value for key, value in expected.items() if value is not None})

    def test_what_changes_of_a_large_table_lies_above_it(self):
        """Above 32 MiB a merge writes what changed, until a full one is asked for."""
        dim, count = 256, 40000
        self.create('r', 't', dim=dim)
        for first in range(0, count, 4000):
            keys = np.arange(first, first + 4000, dtype='<u8')
            self.put('r', 't', keys.tobytes(), np.repeat(keys.astype('<f4')[:, None], dim, axis=1))
        self.client.call('merge')
        table = self.client.call('table.show', table='t')
        self.assertEqual((table['rows'], table['deltas']), (count, 0))
        self.assertGreater(table['bytes'], 32 << 20)
        values = {}
        for number in (1, 2, 3):
            keys = np.arange(number * 100, number * 100 + 150, dtype='<u8')
            self.put('r', 't', keys.tobytes(), np.full((150, dim), -number))
            self.client.call('delete', release='r', table='t', keys=keys[:20].tobytes())
            values.update({key: -number for key in keys.tolist()})
            values.update({key: None for key in keys[:20].tolist()})
            merged = self.client.call('merge')
            self.assertEqual((merged['tables'], merged['rows']), (1, 150))
            self.assertLess(merged['bytes'], 1 << 20)
            self.expect(count, values)
        table = self.client.call('table.show', table='t')
        self.assertTrue(0 < table['resident_bytes'] <= table['bytes'], table)
        self.restart()
        self.expect(count, values)
        table = self.client.call('table.show', table='t')
        self.assertEqual((table['deltas'], table['delta_rows'], table['delta_deleted']), (3, 390, 60))
        there = sum(values.get(key, key) is not None for key in range(count))
        self.assertEqual((table['rows'], table['rows_exact']), (there, True))
        levels = table['levels']
        self.assertEqual([level['number'] for level in levels], [0, 1, 2, 3])
        self.assertEqual(sum(level['rows'] - level.get('hides', 0) for level in levels), there)
        for level in levels:
            self.assertTrue(0 < level['checked_bytes'] <= level['segment_bytes'] < level['bytes'], level)
        text = self.daemon.command('table', 'show', 'live/t')
        self.assertRegex(text, r'(?s)\nrows +%d\n.*LEVEL +FILES +ROWS.*\nbase .*\ndelta 1 .*\ndelta 2 .*\ndelta 3 ' % there)
        self.assertNotIn('at most', self.daemon.command('table', 'list'))
        store = self.client.call('stats')['store']
        self.assertEqual((store['deltas'], store['delta_bytes']), (3, table['delta_bytes']))
        self.assertEqual(self.client.call('verify')['damaged'], 0)
        self.daemon.command('merge', '--full')
        table = self.client.call('table.show', table='t')
        self.assertEqual((table['deltas'], table['rows'], len(table['levels'])), (0, there, 1))
        self.expect(count, values)


class Growth(Writes):
    def test_a_table_grows_by_puts_alone(self):
        dim, step = 8, 5000
        self.create('r', 't', dim=dim)
        self.assertEqual(self.client.call('table.show', table='t')['rows'], 0)

        def block(start, add=0):
            numbers = np.arange(start, min(start + step, GROW), dtype='<u8')
            rows = np.repeat(numbers.astype('<f4')[:, None] + np.float32(add), dim, axis=1)
            return (numbers * np.uint64(0x9e3779b97f4a7c15)).tobytes(), rows.tobytes()

        merges = 0
        sent = {}
        for start in range(0, GROW, step):
            keys, rows = block(start)
            sent[self.client.send('put', {'release': 'live', 'table': 't', 'keys': keys,
                                          'rows': rows})] = start
            if len(sent) >= 8 or start + step >= GROW:
                self.wait_for_puts(sent, block)
            if start // (GROW // 4 or 1) > merges:
                merges += 1
                self.client.call('merge')
        self.check_growth(block, step)
        self.assertGreater(merges, 1)
        self.client.call('merge')
        shown = self.client.call('table.show', table='t')
        print('%d rows in %d segments' % (shown['rows'], shown['segments']), flush=True)
        self.assertEqual((shown['rows'], shown['pending'], shown['damaged']), (GROW, 0, 0))
        if GROW >= 2000000:
            self.assertGreater(shown['segments'], 1)
        self.check_growth(block, step)
        # Over all segments: some change, some go.
        keys, rows = block(0, 1)
        self.client.call('put', release='r', table='t', keys=keys, rows=rows)
        self.assertEqual(self.client.call('delete', release='r', table='t',
                                          keys=block(GROW - step)[0])['deleted'], step)
        for _ in range(2):
            self.assertEqual(self.client.fetch('t', keys)['rows'], rows)
            self.assertEqual(bits(self.client.fetch('t', block(GROW - step)[0])['found'], step).sum(),
                             0)
            self.restart()
            self.client.call('merge')
            self.assertEqual(self.client.call('table.show', table='t')['rows'], GROW - step)
        self.assertEqual(sum(reply['n'] for reply in self.client.walk('t', limit=65536)),
                         GROW - step)

    def wait_for_puts(self, sent, block):
        """Waits for all; one that came while merges did not keep up is put again."""
        while sent:
            msgid, start = sent.popitem()
            try:
                self.client.wait(msgid)
            except Failed as failed:
                self.assertEqual(failed.code, 'BUSY', failed)
                time.sleep(0.05)
                keys, rows = block(start)
                sent[self.client.send('put', {'release': 'live', 'table': 't', 'keys': keys,
                                              'rows': rows})] = start

    def check_growth(self, block, step):
        for start in range(0, GROW, step):
            keys, rows = block(start)
            part = self.client.fetch('t', keys)
            self.assertTrue(bits(part['found'], part['n']).all())
            self.assertEqual(part['rows'], rows)
        counted = set()
        count = 0
        for reply in self.client.walk('t', limit=65536):
            keys = np.frombuffer(reply['keys'], '<u8')
            counted.update(keys.tolist())
            count += len(keys)
        self.assertEqual((count, len(counted)), (GROW, GROW))


class Commands(Writes):
    """import into what is sealed, and dumps of what is written meanwhile."""

    def test_import_into_a_live_release(self):
        count, dim = 4000, 24
        random = np.random.default_rng(5)
        keys = np.arange(count, dtype='<u8') * np.uint64(0x9e3779b97f4a7c15)
        tables = {}
        self.client.call('release.create', release='r')
        for dtype in DTYPES:
            rows, scales = sample_rows(dtype, count, dim)
            tables[dtype] = dict(keys=keys, rows=rows,
                                 times=random.integers(1, 1 << 40, count, dtype='<i8'),
                                 tags=random.integers(0, 1 << 63, count, dtype='<u8'),
                                 **({} if scales is None else {'scales': scales.astype('<f4')}))
            for suffix in ('', '-msgpack', '-jsonl'):
                self.client.call('table.create', release='r', table=dtype + suffix, entity='user',
                                 kind='ur', dim=dim, dtype=dtype, tags=True)
            # Part of it is there already, with other rows.
            self.client.load('r', dtype, keys[:1000], np.zeros_like(rows[:1000]),
                             **{name: column[:1000] for name, column in tables[dtype].items()
                                if name in ('scales', 'times', 'tags')})
        self.client.seal('r')
        last = 0
        for dtype, columns in tables.items():
            args = []
            for name, column in columns.items():
                path = self.path(name + '.npy')
                np.save(path, column)
                args += ['--' + name, path]
            (said,) = self.daemon.command_json('import', 'live/' + dtype, '--any-time', *args)
            self.assertEqual((said['release'], said['rows']), ('r', count))
            self.assertEqual(said['sequence'], last + said['puts'])
            last = said['sequence']
            for suffix, place in (('-msgpack', 'live/'), ('-jsonl', 'r/')):
                path = self.path('dump.' + suffix[1:])
                self.daemon.command('dump', 'live/' + dtype, path)
                (said,) = self.daemon.command_json('import', place + dtype + suffix, '--any-time', path)
                self.assertEqual(said['rows'], count)
                last = said['sequence']
        self.assertEqual(self.sequence(), last)
        for step in ('written', 'merged', 'started'):
            if step == 'merged':
                self.client.call('merge')
            if step == 'started':
                self.restart()
            self.check_imported(tables, step)

    def check_imported(self, tables, step):
        for dtype, columns in tables.items():
            for suffix in ('', '-msgpack', '-jsonl'):
                part = self.client.fetch(dtype + suffix, packed(columns['keys']), times=True,
                                         tags=True)
                self.assertTrue(bits(part['found'], part['n']).all(), (step, dtype, suffix))
                for name in ('rows', 'times', 'tags', 'scales'):
                    if name in columns:
                        self.assertEqual(part[name], columns[name].tobytes(),
                                         (step, dtype + suffix, name))

    def test_a_large_dump_is_imported_into_a_live_release(self):
        """A dump comes in the order of hashes."""
        count = 30000
        self.create('r', 't')
        self.create('s', 't', publish=False)
        for start in range(0, count, 5000):
            keys = np.arange(start, start + 5000, dtype='<u8')
            self.put('r', 't', keys.tobytes(), keys)
        self.daemon.command('dump', 'r/t', self.path('d.msgpack'))
        self.daemon.command('import', 's/t', self.path('d.msgpack'))
        self.assertEqual(self.scanned('t', release='s'), self.scanned('t', release='r'))

    def test_import_of_many_arrays(self):
        count = 200000
        self.create('r', 't', dim=4)
        keys = np.arange(count, dtype='<u8')
        rows = np.arange(count * 4, dtype='<f4').reshape(-1, 4)
        np.save(self.path('k.npy'), keys)
        np.save(self.path('r.npy'), rows)
        (said,) = self.daemon.command_json('import', 'live/t', '--keys', self.path('k.npy'),
                                           '--rows', self.path('r.npy'))
        self.assertEqual((said['rows'], said['sequence']), (count, said['puts']))
        self.assertGreater(said['puts'], 2)
        for _ in range(2):
            self.assertEqual(self.client.fetch('t', packed(keys))['rows'], rows.tobytes())
            self.client.call('merge')

    def test_import_of_byte_keys_and_lines(self):
        self.create('r', 'b', key='bytes', dim=2)
        names = np.array([b'user-%d' % i for i in range(5000)])
        rows = np.arange(10000, dtype='<f4').reshape(5000, 2)
        np.save(self.path('k.npy'), names)
        np.save(self.path('r.npy'), rows)
        self.daemon.command('import', 'live/b', '--keys', self.path('k.npy'), '--rows',
                            self.path('r.npy'))
        self.daemon.command('import', 'r/b', '--format', 'jsonl', '-', data=b''.join(
            b'{"key": "user-%d", "vector": [7, %d]}\n' % (i, i) for i in range(4000, 6000)))
        rows = np.vstack([rows[:4000], [[7, i] for i in range(4000, 6000)]]).astype('<f4')
        part = self.client.fetch('b', [b'user-%d' % i for i in range(6000)])
        self.assertEqual(part['rows'], rows.tobytes())
        said = self.daemon.command('import', 'live/b', '--format', 'jsonl', '-', fails=1,
                                   data=b'{"key": "x", "vector": [1, 2, 3]}\n')
        self.assertIn('vector', said)
        self.assertEqual(self.values('b', ['x']), [None])

    def test_put_and_delete_by_the_command(self):
        self.create('r', 't', dim=2)
        (said,) = self.daemon.command_json('put', 't', 7, '-0.5', 2, '--time', 1000, '--any-time')
        self.assertEqual(said, {'release': 'r', 'sequence': 1, 'applied': 1})
        (said,) = self.daemon.command_json('put', 't', 7, 1, 1, '--time', 999, '--any-time', '--if-newer')
        self.assertEqual(said['applied'], 0)
        (shown,) = self.daemon.command_json('fetch', 't', 7)
        self.assertEqual((shown['vector'], shown['time']), ([-0.5, 2], 1000))
        (said,) = self.daemon.command_json('delete', 't', 7, 8)
        self.assertEqual(said, {'release': 'r', 'sequence': 2, 'deleted': 1})
        (shown,) = self.daemon.command_json('fetch', 't', 7)
        self.assertEqual(shown['why'], 'absent')
        (said,) = self.daemon.command_json('merge')
        self.assertEqual((said['tables'], said['rows']), (1, 0))

    def test_a_dump_while_rows_are_put(self):
        """What was there throughout is in it once; what comes and goes, at most once."""
        dim, stay, churn, least = 64, 40000, 10000, 4
        self.create('r', 't', dim=dim)
        keys = np.arange(stay + churn, dtype='<u8') * np.uint64(0x9e3779b97f4a7c15)
        for start in range(0, stay, 10000):
            some = slice(start, start + 10000)
            self.client.call('put', release='r', table='t', keys=keys[some].tobytes(),
                             rows=np.zeros((10000, dim), '<f4').tobytes())
        self.client.call('merge')
        stop = threading.Event()
        puts = []
        writer = threading.Thread(target=self.churn, args=(keys, stay, dim, stop, puts))
        merges = []
        merger = threading.Thread(target=self.merge_often, args=(stop, merges))
        writer.start()
        merger.start()
        dumps = 0
        try:
            limit = time.monotonic() + harness.CALL_SECONDS
            while (dumps < least or len(puts) < 50 or len(merges) < 2) and time.monotonic() < limit:
                before = len(puts)
                self.check_dump(keys, stay, dumps % 2 == 0)
                self.check_walk(keys, stay)
                self.assertTrue(writer.is_alive() and merger.is_alive(), (puts[-1:], merges[-1:]))
                dumps += len(puts) > before
        finally:
            stop.set()
            writer.join()
            merger.join()
        print('%d dumps while %d puts and %d merges' % (dumps, len(puts), len(merges)), flush=True)
        self.assertEqual([thing for thing in puts + merges if isinstance(thing, Exception)], [])
        self.assertTrue(dumps >= least and len(puts) >= 50 and len(merges) >= 2)

    def churn(self, keys, stay, dim, stop, puts):
        """A thread: puts rows over those that stay; others come and go."""
        random = np.random.default_rng(1)
        try:
            with self.daemon.client() as client:
                while not stop.is_set():
                    some = random.choice(keys, 2000, replace=False)
                    value = len(puts) % 1000 + 1
                    client.call('put', release='r', table='t', keys=some.tobytes(),
                                rows=np.full((len(some), dim), value, '<f4').tobytes())
                    client.call('delete', release='r', table='t',
                                keys=random.choice(keys[stay:], 1000, replace=False).tobytes())
                    puts.append(value)
        except Exception as error:  # noqa: the thread's failure is the test's
            puts.append(error)

    def merge_often(self, stop, merges):
        try:
            with self.daemon.client() as client:
                while not stop.is_set():
                    merges.append(client.call('merge')['rows'])
                    time.sleep(0.05)
        except Exception as error:  # noqa: the thread's failure is the test's
            merges.append(error)

    def check_keys(self, got, keys, stay):
        values, counts = np.unique(got, return_counts=True)
        self.assertEqual(values[counts > 1].tolist(), [])
        self.assertEqual(np.setdiff1d(keys[:stay], values).tolist(), [])
        self.assertEqual(np.setdiff1d(values, keys).tolist(), [])

    def check_dump(self, keys, stay, by_key):
        paths = [self.path(name) for name in ('dk.npy', 'dr.npy')]
        self.daemon.command('dump', 'live/t', '--keys', paths[0], '--rows', paths[1],
                            *(['--sort', 'key'] if by_key else []))
        got, rows = np.load(paths[0]), np.load(paths[1])
        self.assertEqual(len(got), len(rows))
        self.check_keys(got, keys, stay)
        self.assertTrue((rows == rows[:, :1]).all())
        self.assertTrue(not by_key or (np.diff(got.astype('f8')) >= 0).all())

    def check_walk(self, keys, stay):
        """The same in small steps."""
        got = [np.frombuffer(reply['keys'], '<u8')
               for reply in self.client.walk('t', limit=700)]
        self.assertGreater(len(got), 40)
        self.check_keys(np.concatenate(got), keys, stay)


class Parts(Writes):
    def setUp(self):
        super().setUp()
        self.client.call('release.create', release='r')
        for table, options in (('a', {}), ('b', {'dim': 2, 'dtype': 'f16'}), ('n', {'key': 'bytes'}),
                               ('ttl', {'ttl_ms': HOUR_MS, 'tags': True})):
            self.client.call('table.create', release='r', table=table, entity='user', kind='ur',
                             **{'dim': 1, **options})
        self.client.load('r', 'a', [1, 2], np.array([[1], [2]], '<f4'),
                         times=np.array([100, 100], '<i8'))
        self.client.seal('r')

    def put_parts(self, *parts, **options):
        return self.client.call('put', release='live', parts=list(parts), **options)

    def test_several_tables(self):
        answer = self.put_parts(
            self.part('a', [1, 3], [10, 30]),
            dict(table='b', keys=[1], rows=np.array([1, 2], '<f2').tobytes()),
            dict(self.part('b', [2], [[3, 4]]), dtype='f32'),
            self.part('n', [b'k', 'l'], [7, 8]),
            self.part('ttl', [1], [9], tags=struct.pack('<Q', 5)))
        self.assertEqual(answer, {'release': 'r', 'sequence': 1, 'applied': 7})
        for step in ('written', 'replayed', 'merged', 'started'):
            with self.subTest(step):
                if step in ('replayed', 'started'):
                    self.restart()
                if step == 'merged':
                    self.assertEqual(self.client.call('merge')['tables'], 4)
                self.assertEqual(self.values('a', [1, 2, 3]), [10, 2, 30])
                self.assertEqual(self.client.fetch('b', [1, 2])['rows'],
                                 np.array([1, 2, 3, 4], '<f2').tobytes())
                self.assertEqual(self.values('n', [b'k', b'l']), [7, 8])
                part = self.client.fetch('ttl', [1], tags=True)
                self.assertEqual(part['tags'], struct.pack('<Q', 5))

    def test_the_same_table_twice(self):
        answer = self.put_parts(self.part('a', [1, 5], [11, 50]), self.part('n', [b'x'], [1]),
                                self.part('a', [1, 6], [12, 60]))
        self.assertEqual((answer['sequence'], answer['applied']), (1, 5))
        for step in range(3):
            self.assertEqual(self.values('a', [1, 2, 5, 6]), [12, 2, 50, 60])
            if step == 0:
                self.restart()
            self.client.call('merge')

    def test_if_newer_is_for_all(self):
        def times(*given):
            return np.array(given, '<i8').tobytes()
        # The second part of a table is compared with what the first has put.
        answer = self.put_parts(
            self.part('a', [1, 2, 3], [5, 5, 5], times=times(99, 101, 1)),
            self.part('n', [b'x', b'x'], [1, 2], times=times(5, 5)),
            self.part('a', [2, 3], [6, 6], times=times(101, 2)), if_newer=True)
        self.assertEqual((answer['sequence'], answer['applied']), (1, 4))
        self.assertEqual(self.values('a', [1, 2, 3]), [1, 5, 6])
        self.assertEqual(self.values('n', [b'x']), [1])
        answer = self.put_parts(self.part('a', [1], [9], times=times(1)),
                                self.part('n', [b'x'], [9], times=times(5)), if_newer=True)
        self.assertEqual((answer['sequence'], answer['applied']), (1, 0))
        self.restart()
        self.assertEqual(self.values('a', [1, 2, 3]), [1, 5, 6])
        with self.fails('BAD_REQUEST', 'parts[0]', 'if_newer'):
            self.put_parts(dict(self.part('a', [1], [1]), if_newer=True))

    def test_a_refused_part_undoes_the_others(self):
        self.put_parts(self.part('a', [1, 9], [100, 900]), self.part('n', [b'x'], [1]))
        sequence = self.sequence()
        before = [self.scanned('a'), self.scanned('n', 'bytes')]
        good = self.part('a', [1, 4], [-1, -1])
        for words, bad in ((('parts[1].rows', '3', '4'), dict(table='n', keys=[b'x'], rows=bytes(3))),
                           (('parts[1].rows', 'finite'), self.part('n', [b'x'], [np.nan])),
                           (('parts[1].table',), self.part('nope', [1], [1])),
                           (('parts[1].keys',), self.part('n', [1], [1])),
                           (('parts[1].times',), self.part('n', [b'x'], [1],
                                                           times=struct.pack('<q', -1)))):
            with self.assertRaises(Failed) as caught:
                self.put_parts(good, bad)
            for word in words:
                self.assertIn(word, caught.exception.text)
            self.assertEqual(self.sequence(), sequence)
            self.assertEqual([self.scanned('a'), self.scanned('n', 'bytes')], before)
        self.restart()
        self.assertEqual([self.scanned('a'), self.scanned('n', 'bytes')], before)

    def test_the_most_parts(self):
        parts = [self.part('a', [i, 1000], [i, i]) for i in range(64)]
        self.assertEqual(self.put_parts(*parts)['applied'], 128)
        self.assertEqual(self.values('a', [0, 63, 1000]), [0, 63, 63])
        with self.fails('TOO_LARGE', 'parts', '65', '64'):
            self.put_parts(*parts, parts[0])


class Stats(Writes):
    def figures(self):
        stats = self.client.call('stats')
        return stats['write'], stats['store'], stats['requests']

    def test_what_happened_is_counted(self):
        dim = 16
        self.create('r', 't', 'u', dim=dim)
        write, store, _ = self.figures()
        self.assertEqual((write['sequence'], write['memtable_rows'], write['merges'],
                          write['merges_failed'], store['rows']), (0, 0, 0, 0, 0))
        rows = np.ones((1000, dim), '<f4')
        keys = np.arange(1000, dtype='<u8').tobytes()
        for table in ('t', 'u'):
            self.put('live', table, keys, rows)
        self.client.call('delete', release='live', table='t', keys=list(range(100)) + [5000])
        for _ in range(3):
            with self.fails('BAD_REQUEST'):
                self.put('live', 't', [1], [1])
        now, _, requests = self.figures()
        self.assertEqual(now['sequence'], 3)
        counted = [(requests[method]['count'], requests[method]['errors']) for method in ('put', 'delete')]
        self.assertEqual(counted, [(5, 3), (1, 0)])
        logged = now['bytes_by_cause']['log'] - write['bytes_by_cause']['log']
        given = 2 * 1000 * (8 + 4 * dim) + 100 * 8
        self.assertTrue(given < logged < 2 * given, (given, logged))
        self.assertGreaterEqual(now['pending_bytes'], given)
        self.assertGreaterEqual(now['log_bytes'], now['pending_bytes'])
        self.assertTrue(2000 <= now['memtable_rows'] <= 2100, now['memtable_rows'])
        self.assertGreater(now['memtable_bytes'], 2000 * 4 * dim)
        self.assertGreater(now['commits'], write['commits'])
        self.assertGreater(now['syncs'], write['syncs'])
        self.assertGreaterEqual(now['sync_us_max'] * now['syncs'], now['sync_us'])
        self.assertEqual(now['bytes_by_cause']['merge'], 0)
        self.assertEqual(self.pending(), {'t': 1000, 'u': 1000})

        answer = self.client.call('merge')
        self.assertEqual((answer['tables'], answer['rows']), (2, 1900))
        merged, store, _ = self.figures()
        self.assertEqual((merged['merges'], merged['merges_failed'], merged['merge_running']),
                         (1, 0, False))
        self.assertEqual((merged['memtable_rows'], merged['pending_bytes'], store['rows']),
                         (0, 0, 1900))
        self.assertEqual(self.pending(), {'t': 0, 'u': 0})
        written = merged['bytes_by_cause']['merge']
        self.assertTrue(1900 * (16 + 4 * dim) < written <= answer['bytes'], (written, answer))
        steps = merged['merge_steps']
        self.assertEqual((steps['base']['count'], steps['base']['bytes']), (2, written))
        self.assertTrue(all(step['count'] == 0 for name, step in steps.items() if name != 'base'), steps)
        self.assertEqual(store['bytes'], answer['bytes'])
        self.assertEqual(merged['bytes_by_cause']['log'], now['bytes_by_cause']['log'])

        # Only what was written is written anew; nothing, when nothing was.
        self.put('live', 'u', [1], rows[:1])
        self.assertEqual(self.pending(), {'t': 0, 'u': 1})
        answer = self.client.call('merge')
        self.assertEqual((answer['tables'], answer['rows']), (1, 1000))
        answer = self.client.call('merge')
        self.assertEqual((answer['tables'], answer['rows'], answer['bytes']), (0, 0, 0))
        again, store, requests = self.figures()
        self.assertEqual((requests['merge']['count'], requests['merge']['errors']), (3, 0))
        self.assertEqual((again['sequence'], store['rows'], store['segments_damaged']), (4, 1900, 0))
        self.assertGreater(again['bytes_by_cause']['merge'], written)
        self.restart()
        fresh, store, _ = self.figures()
        self.assertEqual((fresh['sequence'], fresh['memtable_rows'], store['rows'],
                          fresh['durability'], fresh['read_only']), (4, 0, 1900, 'sync', False))

    def pending(self):
        return {table['table']: table['pending']
                for table in self.client.call('table.list')['tables']}


class BadWrites(Writes):
    """What is broken is refused by name, and changes nothing."""

    def setUp(self):
        super().setUp()
        self.client.call('release.create', release='r')
        for table, options in (('t', {}), ('n', {'key': 'bytes'}), ('i', {'dtype': 'i8', 'tags': True}),
                               ('bits', {'dtype': 'bit'})):
            self.client.call('table.create', release='r', table=table, entity='user', kind='ur',
                             **{'dim': 4, **options})
        self.client.load('r', 't', [1, 2, 3], np.arange(12, dtype='<f4').reshape(3, 4))
        self.client.seal('r')
        self.put('r', 't', [3, 4], np.ones((2, 4)))
        self.put('r', 'n', [b'a'], np.ones((1, 4)))
        self.client.call('put', release='r', table='bits', keys=[1], rows=b'\xf0')
        self.before = self.state()

    def state(self):
        return (self.sequence(), self.scanned('t'), self.scanned('n', 'bytes'), self.scanned('i'),
                self.scanned('bits'), self.client.call('table.list'),
                self.client.call('stats')['write']['bytes_by_cause'])

    # (code, how the text begins, other words, changes to a good put of one row of t)
    ROW = bytes(16)
    PUTS = (
        ('BAD_REQUEST', 'release: missing', [], dict(release=None)),
        ('NOT_FOUND', 'release', ['nope'], dict(release='nope')),
        ('BAD_REQUEST', 'release', ['a/b'], dict(release='a/b')),
        ('BAD_REQUEST', 'table: missing', [], dict(table=None)),
        ('NOT_FOUND', 'table', ['nope'], dict(table='nope')),
        ('BAD_REQUEST', 'table', ['str'], dict(table=7)),
        ('BAD_REQUEST', 'keys: missing', [], dict(keys=None)),
        ('BAD_REQUEST', 'keys', ['bin or array'], dict(keys=7)),
        ('BAD_REQUEST', 'keys', ['12'], dict(keys=bytes(12))),
        ('BAD_REQUEST', 'keys[0]', ['str'], dict(keys=['one'])),
        ('BAD_REQUEST', 'keys[0]', ['uint'], dict(keys=[-1])),
        ('BAD_REQUEST', 'keys[0]', ['uint'], dict(table='n')),
        ('BAD_REQUEST', 'keys[0]', ['0 bytes'], dict(table='n', keys=[b''])),
        ('BAD_REQUEST', 'keys[0]', ['256'], dict(table='n', keys=[b'x' * 256])),
        ('BAD_REQUEST', 'keys', [], dict(table='n', keys=b'\x05ab')),
        ('BAD_REQUEST', 'rows: missing', [], dict(rows=None)),
        ('BAD_REQUEST', 'rows', ['15', '16'], dict(rows=bytes(15))),
        ('BAD_REQUEST', 'rows', ['16', '32'], dict(keys=[1, 2])),
        ('BAD_REQUEST', 'rows', ['array', 'bin'], dict(rows=[0.0] * 4)),
        ('BAD_REQUEST', 'rows', ['finite', 'key 8'], dict(rows=struct.pack('<4f', 1, 2, np.inf, 4))),
        ('BAD_REQUEST', 'dtype', ['f64'], dict(dtype='f64')),
        ('BAD_REQUEST', 'dtype', ['f32', 'bit'], dict(table='bits', dtype='f32')),
        ('BAD_REQUEST', 'scales: missing', [], dict(table='i', rows=bytes(4))),
        ('BAD_REQUEST', 'scales', ['8', '4'], dict(table='i', rows=bytes(4), scales=bytes(8))),
        ('BAD_REQUEST', 'scales', ['finite'], dict(table='i', rows=bytes(4),
                                                   scales=struct.pack('<f', np.nan))),
        ('BAD_REQUEST', 'scales', ['f32'], dict(scales=bytes(4))),
        ('BAD_REQUEST', 'times', ['7', '8'], dict(times=bytes(7))),
        ('BAD_REQUEST', 'times', ['-1'], dict(times=struct.pack('<q', -1))),
        ('BAD_REQUEST', 'times', [], dict(times=struct.pack('<q', 1 << 60))),
        ('BAD_REQUEST', 'tags', ["'t'"], dict(tags=bytes(8))),
        ('BAD_REQUEST', 'tags', ['9', '8'], dict(table='i', rows=bytes(4), scales=bytes(4),
                                                 tags=bytes(9))),
        ('BAD_REQUEST', 'allow_nonfinite', ['bool'], dict(allow_nonfinite=1)),
        ('BAD_REQUEST', 'tabel', ['no such parameter'], dict(tabel='t')),
    )

    def refused(self, code, begins, words, method, params):
        with self.subTest(method=method, begins=begins, words=words):
            with self.assertRaises(Failed) as caught:
                self.client.call(method, **params)
            failed = caught.exception
            self.assertEqual(failed.code, code, failed)
            self.assertTrue(failed.text.startswith(begins), failed)
            for word in words:
                self.assertIn(word, failed.text)

    def changed(self, changes):
        whole = dict(release='r', table='t', keys=[8], rows=self.ROW)
        whole.update(changes)
        return {name: value for name, value in whole.items() if value is not None}

    def tearDown(self):
        self.assertEqual(self.state(), self.before)
        self.restart()
        self.assertEqual(self.state()[:5], self.before[:5])
        super().tearDown()

    def test_puts(self):
        for code, begins, words, changes in self.PUTS:
            self.refused(code, begins, words, 'put', self.changed(changes))
        self.refused('BAD_REQUEST', 'if_newer', ['bool'], 'put', self.changed(dict(if_newer='yes')))

    def test_parts(self):
        """The same as the second part, behind one that is good."""
        good = dict(table='t', keys=[1, 77], rows=bytes(32))
        for code, begins, words, changes in self.PUTS:
            if 'release' not in changes:
                part = self.changed(changes)
                del part['release']
                self.refused(code, 'parts[1].' + begins, words, 'put',
                             dict(release='r', parts=[good, part]))
        for code, begins, words, params in (
                ('BAD_REQUEST', 'parts', ['0 given'], dict(parts=[])),
                ('BAD_REQUEST', 'parts', ['array'], dict(parts={'table': 't'})),
                ('BAD_REQUEST', 'parts[1]', ['map'], dict(parts=[good, 7])),
                ('BAD_REQUEST', 'parts[0].table: missing', [], dict(parts=[{}])),
                ('BAD_REQUEST', 'table', ['parts'], dict(table='t', parts=[good])),
                ('BAD_REQUEST', 'keys', ['parts'], dict(keys=[1], parts=[good])),
                ('BAD_REQUEST', 'allow_nonfinite', ['parts'], dict(allow_nonfinite=True,
                                                                   parts=[good])),
                ('BAD_REQUEST', 'parts[1].release', [], dict(parts=[good, dict(good, release='r')])),
                ('TOO_LARGE', 'parts', ['65'], dict(parts=[good] * 65)),
                ('NOT_FOUND', 'release', ['nope'], dict(release='nope', parts=[good]))):
            self.refused(code, begins, words, 'put', {'release': 'r', **params})

    def test_deletes(self):
        for code, begins, words, changes in (
                ('BAD_REQUEST', 'release: missing', [], dict(release=None)),
                ('NOT_FOUND', 'release', ['nope'], dict(release='nope')),
                ('BAD_REQUEST', 'table: missing', [], dict(table=None)),
                ('NOT_FOUND', 'table', ['nope'], dict(table='nope')),
                ('BAD_REQUEST', 'keys: missing', [], dict(keys=None)),
                ('BAD_REQUEST', 'keys', ['bin or array'], dict(keys=7)),
                ('BAD_REQUEST', 'keys', ['9'], dict(keys=bytes(9))),
                ('BAD_REQUEST', 'keys[1]', ['uint'], dict(keys=[1, None])),
                ('BAD_REQUEST', 'keys[1]', ['str'], dict(table='n', keys=[b'a', 1])),
                ('BAD_REQUEST', 'rows', ['no such parameter'], dict(rows=self.ROW)),
                ('BAD_REQUEST', 'parts', ['no such parameter'], dict(parts=[]))):
            self.refused(code, begins, words, 'delete',
                         self.changed({'keys': [1], 'rows': None, **changes}))
        self.refused('BAD_REQUEST', 'now', ['no such parameter'], 'merge', dict(now=True))


if __name__ == '__main__':
    harness.main()
