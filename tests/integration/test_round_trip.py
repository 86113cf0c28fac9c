"""test_round_trip.py - what was loaded is what is fetched, scanned and dumped, to the byte."""

import os
import time

import numpy as np

import harness
from harness import (DTYPES, MOVIELENS, as_f32, bits, by_key, from_f32, i8_of, rows_of,
                     sample_rows)

HOUR_MS = 3600 * 1000


def movielens(name):
    return os.path.join(MOVIELENS, name + '.npy')


class MovieLens(harness.Case):
    """URs and IRs of a trained model, through the command and back."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.ur_keys = np.load(movielens('user_keys'))
        self.ir_keys = np.load(movielens('item_keys'))
        self.ur = np.load(movielens('ur'))
        self.ir = np.load(movielens('ir'))

    def create(self, release):
        command = self.daemon.command
        command('release', 'create', release, '--model', 'three-tower', '--checkpoint', '7')
        for table, entity in (('ur', 'user'), ('ir', 'item')):
            command('table', 'create', '%s/%s' % (release, table), '--entity', entity, '--kind',
                    table, '--dim', 64, '--dtype', 'f16')

    def import_npy(self, release='r1'):
        self.create(release)
        for table, keys in (('ur', 'user_keys'), ('ir', 'item_keys')):
            self.daemon.command('import', '%s/%s' % (release, table), '--keys', movielens(keys),
                                '--rows', movielens(table))
        self.daemon.command('release', 'seal', release)
        self.daemon.command('release', 'publish', release)

    def dump_npy(self, table):
        names = {name: self.path('dump-%s.npy' % name) for name in ('keys', 'rows', 'times')}
        self.daemon.command('dump', table, '--keys', names['keys'], '--rows', names['rows'],
                            '--times', names['times'])
        return by_key(*(np.load(names[name]) for name in ('keys', 'rows', 'times')))

    def test_npy(self):
        before = harness.now_ms()
        self.import_npy()
        with self.daemon.client() as client:
            answer = client.call('fetch', parts=[
                {'table': 'ur', 'keys': harness.packed(self.ur_keys), 'times': True},
                {'table': 'ir', 'keys': harness.packed(self.ir_keys), 'why': True}])
        self.assertEqual(answer['release'], 'r1')
        ur, ir = answer['parts']
        self.assertEqual((ur['n'], ur['dim'], ur['views'], ur['dtype'], ur['stride']),
                         (len(self.ur_keys), 64, 1, 'f16', 128))
        self.assertEqual(ur['rows'], self.ur.tobytes())
        self.assertEqual(ir['rows'], self.ir.tobytes())
        self.assertTrue(bits(ur['found'], ur['n']).all())
        self.assertEqual(ir['why'], bytes(ir['n']))
        times = np.frombuffer(ur['times'], '<i8')
        self.assertTrue((times >= before).all() and (times <= harness.now_ms()).all())

        for table, keys, rows in (('ur', self.ur_keys, self.ur), ('ir', self.ir_keys, self.ir)):
            for source in ('live/', 'r1/'):
                dumped = self.dump_npy(source + table)
                expected = by_key(keys, rows)
                self.assertEqual(dumped[0].dtype, np.dtype('<u8'))
                self.assertEqual(dumped[1].dtype, np.dtype('<f2'))
                self.assertEqual(dumped[0].tobytes(), expected[0].tobytes())
                self.assertEqual(dumped[1].tobytes(), expected[1].tobytes())

    def test_a_dump_in_the_order_of_its_source_is_its_source(self):
        self.import_npy()
        out = {name: self.path('ordered-%s.npy' % name) for name in ('keys', 'rows')}
        self.daemon.command('dump', 'live/ur', '--keys', out['keys'], '--rows', out['rows'],
                            '--order', movielens('user_keys'))
        for name, source in (('keys', 'user_keys'), ('rows', 'ur')):
            with open(out[name], 'rb') as dumped, open(movielens(source), 'rb') as original:
                self.assertEqual(dumped.read(), original.read())

    def test_fetch_by_the_command(self):
        self.import_npy()
        some = [int(key) for key in self.ur_keys[:3]]
        documents = self.daemon.command_json('fetch', 'ur', *some, 10 ** 18)
        self.assertEqual([int(document['key']) for document in documents], some + [10 ** 18])
        self.assertEqual([document['why'] for document in documents], ['found'] * 3 + ['absent'])
        for row, document in zip(self.ur, documents[:3]):
            self.assertEqual(np.array(document['vector'], '<f2').tobytes(), row.tobytes())
        text = self.daemon.command('fetch', 'ur', some[0], '--full', '--release', 'r1')
        shown = np.array(text.splitlines()[-1].split()[-64:], dtype='f8')
        self.assertTrue(np.allclose(shown, self.ur[0].astype('f8'), rtol=1e-5, atol=1e-7))

    def again(self, suffix):
        """Dumps to one file, imports that into another release, and compares the two."""
        self.import_npy()
        first = {table: self.path('first-%s.%s' % (table, suffix)) for table in ('ur', 'ir')}
        for table, name in first.items():
            self.daemon.command('dump', 'r1/' + table, name)
        self.create('r2')
        for table, name in first.items():
            self.daemon.command('import', 'r2/' + table, name)
        self.daemon.command('release', 'seal', 'r2')
        self.daemon.command('release', 'publish', 'r2')
        for table in first:
            shown = []
            for release in ('r1', 'live'):
                name = self.path('%s-%s.jsonl' % (table, release))
                self.daemon.command('dump', '%s/%s' % (release, table), name)
                with open(name, 'rb') as file:
                    shown.append(sorted(file))  # each release has an order of its own
            self.assertTrue(shown[0] == shown[1], table)
        with self.daemon.client() as client:
            for table, keys, rows in (('ur', self.ur_keys, self.ur), ('ir', self.ir_keys, self.ir)):
                old = client.fetch(table, harness.packed(keys), release='r1', times=True)
                new = client.fetch(table, harness.packed(keys), release='r2', times=True)
                self.assertEqual(new['rows'], rows.tobytes())
                self.assertEqual(new['times'], old['times'])

    def test_msgpack(self):
        self.again('msgpack')

    def test_jsonl(self):
        self.again('jsonl')

    def test_all_survives_a_restart(self):
        self.import_npy()
        self.daemon.restart()
        with self.daemon.client() as client:
            part = client.fetch('ur', harness.packed(self.ur_keys))
            self.assertEqual(part['rows'], self.ur.tobytes())
            release = client.call('release.show', release='live')
            self.assertEqual((release['release'], release['model'], release['checkpoint'],
                              release['state']), ('r1', 'three-tower', '7', 'live'))


class Raw(harness.Case):
    """Any MessagePack-RPC client can do all of it."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')

    def table(self, table, dim, entity='user', kind='ur', **options):
        self.client.call('table.create', release='r', table=table, entity=entity, kind=kind,
                         dim=dim, **options)

    def test_every_dtype_comes_back_as_it_was_sent(self):
        keys = np.arange(1000, dtype='<u8') * 7919
        for dtype in DTYPES:
            for dim, views in ((1, 1), (13, 1), (64, 1), (13, 3)):
                table = '%s-%d-%d' % (dtype, dim, views)
                self.table(table, dim, views=views, dtype=dtype)
                rows, scales = sample_rows(dtype, 1000, dim, views)
                columns = {} if scales is None else {'scales': scales}
                self.client.load('r', table, keys, rows, chunk_rows=300, **columns)
        self.client.seal('r')
        missing = np.array([5], dtype='<u8')
        for dtype in DTYPES:
            for dim, views in ((1, 1), (13, 1), (64, 1), (13, 3)):
                rows, scales = sample_rows(dtype, 1000, dim, views)
                part = self.client.fetch('%s-%d-%d' % (dtype, dim, views),
                                         harness.packed(np.concatenate([keys, missing])))
                stride = rows.shape[1] * rows.itemsize
                self.assertEqual((part['dim'], part['views'], part['dtype'], part['stride']),
                                 (dim, views, dtype, stride))
                self.assertEqual(part['rows'], rows.tobytes() + bytes(stride))
                self.assertEqual(list(np.flatnonzero(~bits(part['found'], 1001))), [1000])
                self.assertEqual('scales' in part, dtype == 'i8')
                if dtype == 'i8':
                    self.assertEqual(part['scales'], scales.astype('<f4').tobytes() + bytes(4))

    def test_keys_in_every_form(self):
        self.table('n', 2)
        self.table('b', 2, key='bytes')
        numbers = [0, 1, 127, 128, 65536, (1 << 63), (1 << 64) - 1]
        names = [b'a', b'\0', b'a\0', bytes(range(255)), 'Zo\u00eb'.encode(), b'x' * 255, b'a' * 254]
        rows = np.arange(14, dtype='<f4').reshape(7, 2)
        self.client.load('r', 'n', numbers, rows)
        self.client.load('r', 'b', names, rows)
        self.client.seal('r')
        texts = ['a', b'\0', b'a\0', bytes(range(255)), 'Zo\u00eb', b'x' * 255, b'a' * 254]
        for table, forms in (('n', (numbers, harness.packed(numbers))),
                             ('b', (names, texts, harness.packed(names)))):
            for form in forms:
                part = self.client.fetch(table, form)
                self.assertEqual(part['rows'], rows.tobytes())
                self.assertTrue(bits(part['found'], 7).all())
        self.assertEqual(self.client.fetch('b', [b'b', b'a', b'a\0\0'])['found'], b'\2')
        self.assertEqual(self.client.fetch('n', [])['rows'], b'')
        self.assertEqual(self.client.fetch('b', b'')['n'], 0)

    def test_keys_may_come_twice(self):
        self.table('n', 1)
        self.client.load('r', 'n', [1, 2, 1], np.array([[1], [2], [3]], '<f4'))
        self.client.seal('r')
        self.assertEqual(self.client.call('table.show', table='n')['rows'], 2)
        part = self.client.fetch('n', [1, 9, 1, 2])
        self.assertEqual(part['rows'], np.array([3, 0, 3, 2], '<f4').tobytes())
        self.assertEqual(part['found'], bytes([0b1101]))

    def test_the_last_load_wins(self):
        self.table('n', 1)
        for i, load in enumerate(('a', 'b', 'c')):
            self.client.load('r', 'n', [1, 2 + i], np.array([[i], [i]], '<f4'), load=load)
        self.client.seal('r')
        part = self.client.fetch('n', [1, 2, 3, 4])
        self.assertEqual(part['rows'], np.array([2, 0, 1, 2], '<f4').tobytes())

    def test_an_empty_table_has_nothing(self):
        self.table('n', 3)
        self.client.seal('r')
        self.assertEqual(self.client.fetch('n', [1, 2])['found'], b'\0')
        self.assertEqual(self.client.call('scan', table='n')['n'], 0)

    def test_times_tags_and_ages(self):
        now = harness.now_ms()
        self.table('t', 1, ttl_ms=2 * HOUR_MS, tags=True, entity='item', kind='ir')
        times = np.array([now, now - HOUR_MS, now - 3 * HOUR_MS, now + HOUR_MS], '<i8')
        tags = np.array([1, 1 << 63, 5, 0], '<u8')
        rows = np.arange(1, 5, dtype='<f4').reshape(4, 1)
        self.client.load('r', 't', [1, 2, 3, 4], rows, times=times, tags=tags)
        self.client.seal('r')

        part = self.client.fetch('t', [1, 2, 3, 4, 5], times=True, tags=True, why=True)
        self.assertEqual(part['why'], bytes([0, 0, 2, 0, 1]))
        self.assertEqual(part['found'], bytes([0b01011]))
        alive = np.array([1, 1, 0, 1, 0])
        self.assertEqual(part['rows'], (np.append(rows, 0) * alive).astype('<f4').tobytes())
        self.assertEqual(part['times'], (np.append(times, 0) * alive).tobytes())
        self.assertEqual(part['tags'],
                         (np.append(tags, 0).astype('<u8') * alive.astype('<u8')).tobytes())

        part = self.client.fetch('t', [1, 2, 3, 4, 5], max_age_ms=HOUR_MS // 2, why=True)
        self.assertEqual(part['why'], bytes([0, 3, 2, 0, 1]))
        self.assertEqual(part['found'], bytes([0b01001]))
        self.assertEqual(self.client.fetch('t', [2], max_age_ms=2 * HOUR_MS)['found'], b'\1')
        figures = self.client.call('stats')['fetch']
        self.assertEqual((figures['rows'], figures['found'], figures['absent'],
                          figures['expired'], figures['too_old']), (11, 6, 2, 2, 1))

    def test_rows_expire_while_the_daemon_runs(self):
        self.table('t', 1, ttl_ms=1500)
        expires = harness.now_ms() + 1000 * harness.PATIENCE
        self.client.load('r', 't', [1], np.ones((1, 1), '<f4'), times=np.array([expires - 1500], '<i8'))
        self.client.seal('r')
        found = self.client.fetch('t', [1])['found']
        if harness.now_ms() < expires:      # else sealing took longer than the row lives
            self.assertEqual(found, b'\1')
        limit = time.monotonic() + 20
        while self.client.fetch('t', [1])['found'] == b'\1':
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)
        part = self.client.fetch('t', [1], why=True)
        self.assertEqual((part['why'], part['rows']), (b'\2', bytes(4)))
        self.assertEqual(self.client.call('scan', table='t')['n'], 0)

    def test_rows_without_times_get_the_clock_of_the_first_chunk(self):
        self.table('t', 1)
        before = harness.now_ms()
        self.client.load('r', 't', [1, 2], np.ones((2, 1), '<f4'), chunk_rows=1)
        after = harness.now_ms()
        self.client.seal('r')
        times = np.frombuffer(self.client.fetch('t', [1, 2], times=True)['times'], '<i8')
        self.assertEqual(times[0], times[1])
        self.assertTrue(before <= times[0] <= after)

    def test_conversions_are_numpys(self):
        keys = np.arange(512, dtype='<u8')
        dim = 19
        for stored in DTYPES:
            self.table(stored, dim, dtype=stored)
            rows, scales = sample_rows(stored, 512, dim)
            columns = {} if scales is None else {'scales': scales}
            self.client.load('r', stored, keys, rows, **columns)
        self.client.seal('r')
        for stored in DTYPES:
            rows, scales = sample_rows(stored, 512, dim)
            values = as_f32(stored, rows, scales, dim)
            for asked in ('f32', 'f16', 'bf16', 'i8'):
                if asked == stored:
                    continue
                part = self.client.fetch(stored, harness.packed(keys), dtype=asked)
                expected, expected_scales = from_f32(asked, values)
                got = rows_of(part['rows'], DTYPES[asked], 512)
                wrong = np.flatnonzero((got != expected).any(axis=1) &
                                       ~(np.isnan(got.astype('f8')).any(axis=1)))
                self.assertEqual(part['rows'], expected.tobytes(),
                                 '%s to %s, rows %s' % (stored, asked, wrong[:5]))
                if asked == 'i8':
                    self.assertEqual(part['scales'], expected_scales.tobytes())
            if stored != 'bit':
                with self.fails('BAD_REQUEST', 'parts[0].dtype', 'bit'):
                    self.client.fetch(stored, [1], dtype='bit')

    def test_loads_convert_too(self):
        keys = np.arange(64, dtype='<u8')
        values, _ = sample_rows('f32', 64, 8)
        values[1] = 1
        for stored in ('f16', 'bf16', 'i8'):
            self.table(stored, 8, dtype=stored)
            self.client.load('r', stored, keys, values, dtype='f32')
        self.table('from-i8', 8)
        codes, scales = sample_rows('i8', 64, 8)
        self.client.load('r', 'from-i8', keys, codes, dtype='i8', scales=scales)
        self.client.seal('r')
        for stored in ('f16', 'bf16', 'i8'):
            expected, expected_scales = from_f32(stored, values)
            part = self.client.fetch(stored, harness.packed(keys))
            self.assertEqual(part['rows'], expected.tobytes(), stored)
            if stored == 'i8':
                self.assertEqual(part['scales'], expected_scales.tobytes())
        part = self.client.fetch('from-i8', harness.packed(keys))
        self.assertEqual(part['rows'], as_f32('i8', codes, scales, 8).tobytes())

    def test_nonfinite_values_when_asked_for(self):
        self.table('f', 4)
        rows = np.array([[np.nan, np.inf, -np.inf, -0.0]], '<f4')
        self.client.load('r', 'f', [1], rows, allow_nonfinite=True)
        self.client.seal('r')
        self.assertEqual(self.client.fetch('f', [1])['rows'], rows.tobytes())
        half = np.frombuffer(self.client.fetch('f', [1], dtype='f16')['rows'], '<f2')
        self.assertTrue(np.isnan(half[0]) and half[1] == np.inf and half[2] == -np.inf)

    def test_one_request_brings_many_tables(self):
        tables = ['t%02d' % i for i in range(64)]
        for i, table in enumerate(tables):
            self.table(table, 1 + i, dtype='f16')
            self.client.load('r', table, [i, i + 1], np.full((2, 1 + i), i, '<f2'))
        self.client.seal('r')
        parts = self.client.call('fetch', parts=[
            {'table': table, 'keys': [i, 1000, i + 1]} for i, table in enumerate(tables)])['parts']
        for i, part in enumerate(parts):
            row = np.full(1 + i, i, '<f2').tobytes()
            self.assertEqual(part['table'], tables[i])
            self.assertEqual(part['rows'], row + bytes(len(row)) + row)
            self.assertEqual(part['found'], b'\5')

    def scan(self, table, **options):
        """All replies of a walk that hold rows."""
        return [reply for reply in self.client.walk(table, **options) if reply['n'] > 0]

    def test_a_scan_brings_each_row_once(self):
        count = 20000
        keys = np.random.default_rng(3).permutation(np.arange(count, dtype='<u8') * 31 + 5)
        rows = np.random.default_rng(4).standard_normal((count, 8)).astype('<f2')
        times = np.arange(count, dtype='<i8')
        tags = keys * np.uint64(3)
        self.table('n', 8, dtype='f16', tags=True)
        self.table('b', 8, dtype='i8', key='bytes')
        names = [b'key-%d' % key for key in keys]
        codes, scales = i8_of(rows.astype('<f4'))
        self.client.load('r', 'n', keys, rows, chunk_rows=7000, times=times, tags=tags)
        self.client.load('r', 'b', names, codes, scales=scales)
        self.client.seal('r')
        expected = by_key(keys, rows, times, tags)
        for limit in (None, 1000, 65536):
            replies = self.scan('n', **({} if limit is None else {'limit': limit}))
            if limit == 1000:
                self.assertGreaterEqual(len(replies), 10)
                self.assertTrue(all(reply['n'] < 2000 for reply in replies))
            got = by_key(*(np.concatenate(column) for column in zip(*(
                (np.frombuffer(reply['keys'], '<u8'), rows_of(reply['rows'], '<f2', reply['n']),
                 np.frombuffer(reply['times'], '<i8'), np.frombuffer(reply['tags'], '<u8'))
                for reply in replies))))
            for got_column, expected_column in zip(got, expected):
                self.assertEqual(got_column.tobytes(), expected_column.tobytes())

        got = {}
        for reply in self.scan('b', limit=3000):
            for key, row, scale in zip(harness.unpacked(reply['keys']),
                                       rows_of(reply['rows'], 'i1', reply['n']),
                                       np.frombuffer(reply['scales'], '<f4')):
                self.assertNotIn(key, got)
                got[key] = (row.tobytes(), scale)
        self.assertEqual(got, {name: (codes[i].tobytes(), scales[i])
                               for i, name in enumerate(names)})

        reply = self.client.call('scan', table='n', dtype='f32', limit=10)
        for key, row in zip(np.frombuffer(reply['keys'], '<u8'), rows_of(reply['rows'], '<f4', reply['n'])):
            self.assertEqual(row.astype('<f2').tobytes(), rows[np.flatnonzero(keys == key)[0]].tobytes())

    def test_a_large_fetch_equals_small_ones(self):
        count = 100000
        keys = np.random.default_rng(8).integers(0, 1 << 63, count, dtype='<u8')
        rows = np.random.default_rng(9).standard_normal((count, 16)).astype('<f4')
        self.table('n', 16)
        self.client.load('r', 'n', keys, rows, chunk_rows=30000)
        self.client.seal('r')
        self.assertEqual(self.client.fetch('n', harness.packed(keys))['rows'], rows.tobytes())
        for start in (0, 4096, 99000):
            some = slice(start, start + 4096)
            part = self.client.fetch('n', harness.packed(keys[some]))
            self.assertEqual(part['rows'], rows[some].tobytes())


class Npy(harness.Case):
    """The command's formats, for every dtype, key type and column."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')

    def round_trip(self, table, keys, rows, create=(), **columns):
        names = {}
        for name, column in dict(keys=keys, rows=rows, **columns).items():
            names[name] = self.path('%s-%s.npy' % (table, name))
            np.save(names[name], column)
        arguments = [word for name, path in names.items() for word in ('--' + name, path)]
        self.daemon.command('table', 'create', 'r/' + table, '--entity', 'user', '--kind', 'ur',
                            *create)
        self.daemon.command('import', 'r/' + table, *arguments)
        return names

    def dumped(self, table, names):
        out = {name: self.path('dumped-%s-%s.npy' % (table, name)) for name in names}
        self.daemon.command('dump', 'r/' + table,
                            *[word for name, path in out.items() for word in ('--' + name, path)])
        return {name: np.load(path) for name, path in out.items()}

    def test_every_dtype_and_column(self):
        count, dim = 500, 24
        keys = np.arange(count, dtype='<u8') * 3 + 1
        times = np.arange(count, dtype='<i8') + 1600000000000
        tags = keys << np.uint64(40)
        given = {}
        for dtype in DTYPES:
            rows, scales = sample_rows(dtype, count, dim)
            columns = {'times': times, 'tags': tags}
            if scales is not None:
                columns['scales'] = scales
            given[dtype] = dict(keys=keys, rows=rows, **columns)
            self.round_trip(dtype, keys, rows, ('--dim', dim, '--dtype', dtype, '--tags'), **columns)
        names = np.array([b'user-%d' % i for i in range(count)])
        rows, _ = sample_rows('f32', count, dim)
        given['bytes'] = dict(keys=names, rows=rows)
        self.round_trip('bytes', names, rows, ('--dim', dim, '--key', 'bytes'))
        rows, _ = sample_rows('f16', count, 8, 3)
        given['views'] = dict(keys=keys, rows=rows)
        self.round_trip('views', keys, rows, ('--dim', 8, '--views', 3, '--dtype', 'f16'))
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        for table, columns in given.items():
            got = self.dumped(table, columns)
            order = np.argsort(got['keys'], kind='stable')
            expected_order = np.argsort(columns['keys'], kind='stable')
            for name, column in columns.items():
                self.assertEqual(got[name].dtype, column.dtype, (table, name))
                self.assertEqual(got[name][order].tobytes(), column[expected_order].tobytes(),
                                 (table, name))


if __name__ == '__main__':
    harness.main()
