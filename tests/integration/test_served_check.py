"""test_served_check.py - skew between what serving saw and what training computes, or what a release held: found where
it is, by table and hour, and not found where it is not."""

import ctypes
import glob
import json
import os
import struct
import subprocess
import time

import msgpack
import numpy as np

import harness
import test_layer_features
from test_layer_features import made

HOUR_MS = 3600 * 1000
START_MS = 1700000000000 // HOUR_MS * HOUR_MS


def checksum(data):
    """XXH3-64, of the library that the daemon uses."""
    function = ctypes.CDLL('libxxhash.so.0').XXH3_64bits
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return function(data, len(data))


def served_file(path, records):
    """A file of served rows, by schema/DISK.md."""
    head = b'repsserv' + struct.pack('<IIq', 1, 0, START_MS)
    with open(path, 'wb') as file:
        file.write(head + struct.pack('<Q', checksum(head)))
        for record in records:
            body = msgpack.packb(record, use_bin_type=True)
            file.write(struct.pack('<IIQ', len(body), 0, checksum(body)) + body)
    return path


def part(table, key, found, row, **more):
    return {'table': table, 'key': 'u64', 'keys': struct.pack('<Q', key), 'found': bytes([found]), 'dtype': 'f32',
            'dim': len(row), 'views': 1, 'raw': False, 'through': False, 'rows': row.astype('<f4').tobytes(), **more}


class Case(test_layer_features.Case):
    def check(self, *args, status):
        said = self.command('served', 'check', '--json', *args, status=status)
        return json.loads(said)

    def first_of(self, path, count):
        """The first fetches of a file."""
        with open(path, 'rb') as file:
            data = file.read()
        at = 32
        for _ in range(count):
            size, _, _ = struct.unpack_from('<IIQ', data, at)
            yield msgpack.unpackb(data[at + 16:at + 16 + size], raw=False)
            at += 16 + size

    def command(self, *args, status):
        done = subprocess.run([harness.program('repstore')] + [str(arg) for arg in args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS)
        self.assertEqual(done.returncode, status, done.stderr.decode() + done.stdout.decode())
        return (done.stdout or done.stderr).decode()


class Planted(Case):
    """Fetches that saw just what training computes, of six hours, two layers and four tables."""

    def setUp(self):
        super().setUp()
        self.users, self.items, times, x = made(count=3000)
        y = made(seed=2, dim=3)[3][:3000]
        self.times = START_MS + (times - times.min()) * (6 * HOUR_MS - 1) // (times.max() - times.min())
        _, self.arrays = self.features(*self.arguments(self.users, self.items, self.times, x=x, y=y))
        self.path_of_features = self.path('features.npz')
        self.tables = ['cr_user@x', 'cr_item@x', 'cr_user@y', 'cr_item@y']

    def records(self, change=lambda table, hour, k, each: each, **more):
        for k in np.argsort(self.times, kind='stable'):
            parts = []
            for table in self.tables:
                key = int((self.users if 'user' in table else self.items)[k])
                each = part(table, key, int(self.arrays[table + '.age'][k] >= 0), self.arrays[table][k])
                each.update(more)
                each = change(table, (int(self.times[k]) - START_MS) // HOUR_MS, k, each)
                parts += [] if each is None else [each]
            yield {'time': int(self.times[k]), 'release': 'r', 'sequence': int(k), 'client': '', 'parts': parts}

    def write(self, *args, **options):
        return served_file(self.path('served.1'), self.records(*args, **options))

    def test_no_skew_where_there_is_none(self):
        said = self.check(self.write(), '--features', self.path_of_features, status=0)
        self.assertEqual((said['fetches'], said['hours_with_skew']), (3000, 0))
        for table in said['tables']:
            there = int((self.arrays[table['table'] + '.age'] >= 0).sum())
            self.assertEqual((table['compared'], table['differ'], table['skew']), (there, 0, 0))
            self.assertEqual(table['found_on_none'], 3000 - there)
            self.assertEqual((table['difference_max'], table['unknown']), (0, 0))
            self.assertEqual([hour['hour_ms'] for hour in table['hours']], [START_MS + i * HOUR_MS for i in range(6)])
        self.assertIn('no skew', self.command('served', 'check', self.path('served.1'), '--features',
                                              self.path_of_features, status=0))

    def test_the_skew_of_one_table_and_one_hour_is_named(self):
        random = np.random.default_rng(3)
        wrong = random.random(3000) < 0.3
        sizes = []

        def change(table, hour, k, each):
            if (table, hour) == ('cr_item@x', 4) and wrong[k] and each['found'] != b'\0':
                row = np.frombuffer(each['rows'], '<f4').copy()
                row[k % len(row)] += np.float32(0.5)
                sizes.append(0.5)
                return dict(each, rows=row.tobytes())
            return each
        path = self.write(change)
        said = self.check(path, '--features', self.path_of_features, status=1)
        found = [(table['table'], hour['hour_ms'], hour['differ']) for table in said['tables'] for hour in table['hours']
                 if hour['skew'] > 0]
        self.assertEqual(found, [('cr_item@x', START_MS + 4 * HOUR_MS, len(sizes))])
        self.assertEqual(said['hours_with_skew'], 1)
        hour = said['tables'][1]['hours'][4]
        self.assertAlmostEqual(hour['difference_max'], 0.5, delta=1e-6)
        self.assertAlmostEqual(hour['difference_mean'], 0.5 * len(sizes) / hour['compared'], delta=1e-6)
        self.assertAlmostEqual(hour['skew'], len(sizes) / hour['compared'], delta=1e-9)
        text = self.command('served', 'check', path, '--features', self.path_of_features, status=1)
        when = time.strftime('%Y-%m-%d %H', time.gmtime(START_MS // 1000 + 4 * 3600))
        self.assertRegex(text.split('skew, more than')[1], r'cr_item@x\s+' + when)
        self.assertNotIn('cr_user@y', text.split('skew, more than')[1])
        self.check(path, '--features', self.path_of_features, '--allow', '0.5', status=0)
        self.check(path, '--features', self.path_of_features, '--tolerance', '10', status=0)

    def test_what_one_side_lacks_is_counted(self):
        def change(table, hour, k, each):
            if (table, hour) == ('cr_user@y', 2):
                return dict(each, found=b'\0')
            if (table, hour) == ('cr_item@y', 0):
                return dict(each, found=b'\1')
            return each
        said = self.check(self.write(change), '--features', self.path_of_features, status=1)
        user, item = said['tables'][2]['hours'][2], said['tables'][3]['hours'][0]
        ages = {table: self.arrays[table + '.age'] for table in self.tables}
        hours = (self.times - START_MS) // HOUR_MS
        self.assertEqual(user['missing_served'], int(((ages['cr_user@y'] >= 0) & (hours == 2)).sum()))
        self.assertEqual(item['missing_training'], int(((ages['cr_item@y'] < 0) & (hours == 0)).sum()))
        self.assertEqual((user['skew'], said['hours_with_skew']), (1, 2))

    def test_dtypes_and_rows_that_were_not_logged(self):
        def half(table, hour, k, each):
            row = np.frombuffer(each['rows'], '<f4')
            return dict(each, dtype='f16', rows=row.astype('<f2').tobytes())

        def codes(table, hour, k, each):
            row = np.frombuffer(each['rows'], '<f4')
            scale = np.float32(max(np.abs(row).max(), 1e-9) / 127)
            return dict(each, dtype='i8', rows=np.rint(row / scale).astype('i1').tobytes(), scales=scale.tobytes())

        def none(table, hour, k, each):
            each.pop('rows')
            return each

        def sums(table, hour, k, each):
            return dict(each, raw=True)
        for change, compared in ((half, True), (codes, True), (none, False), (sums, False)):
            said = self.check(self.write(change), '--features', self.path_of_features, status=0)
            self.assertEqual(said['tables'][0]['compared'] > 0, compared)
            self.assertEqual(said['other'] > 0, change is sums)
            self.assertEqual(said['tables'][0]['found_on_both'] > 0, change is none)
        self.check(self.write(half), '--features', self.path_of_features, '--tolerance', '1e-6', status=1)

    def test_a_time_between_two_samples_is_that_of_the_later_one(self):
        """A fetch that came a moment before its sample saw the same."""
        order = np.argsort(self.times, kind='stable')
        gaps = {int(self.times[k]): int(self.times[k]) - (int(self.times[j]) if j is not None else 0)
                for j, k in zip([None] + list(order[:-1]), order) if j is None or self.times[j] != self.times[k]}

        def earlier():
            for record in self.records():
                yield dict(record, time=record['time'] - gaps[record['time']] // 2)
        path = served_file(self.path('served.1'), earlier())
        self.check(path, '--features', self.path_of_features, status=0)

        def late():
            for record in self.records():
                yield dict(record, time=START_MS + 7 * HOUR_MS)
        said = self.check(served_file(self.path('served.1'), late()), '--features', self.path_of_features, status=0)
        self.assertEqual(said['tables'][0]['unknown'], 3000)
        self.assertIn('nothing was compared: ', self.command('served', 'check', self.path('served.1'), '--features',
                                                             self.path_of_features, status=0))

    def test_what_is_no_such_file_is_refused(self):
        path = self.write()
        np.savez(self.path('other.npz'), users=self.users)
        for args, status, says in (([path], 2, '--features'), (['--features', self.path_of_features], 2, 'one FILE'),
                                   ([path, '--features', path], 1, 'not an npz file'),
                                   ([path, '--features', self.path('other.npz')], 1, 'layer features'),
                                   ([self.path_of_features, '--features', self.path_of_features], 1, 'no file of served rows'),
                                   ([path, '--features', self.path_of_features, '--allow', 2], 2, '--allow')):
            self.assertIn(says, self.command('served', 'check', *args, status=status), args)
        said = self.check(path, '--features', self.path_of_features, '--release', 'another', status=0)
        self.assertEqual(said['fetches'], 0)


class Dumped(Case):
    """Two releases with the same keys and other rows, of which each was live while fetches were logged."""

    KEYS = np.arange(1, 301, dtype='<u8')
    TABLES = {'ir': ('item', 'u64', 'f32', 1), 'ur': ('user', 'bytes', 'f16', 2), 'ir8': ('item', 'u64', 'i8', 1)}

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('served'))
        with open(self.path('conf'), 'w') as file:
            file.write('[served]\nrows = on\nrate = 1\nfile = %s\n' % self.path('served/log'))
        self.daemon = self.start_daemon('--config', self.path('conf'))
        for release in ('r1', 'r2'):
            self.make(release)
            self.fetch_all()
        limit = time.monotonic() + harness.CALL_SECONDS
        with self.daemon.client() as client:
            while client.call('stats')['served']['written'] < 60:
                self.assertLess(time.monotonic(), limit)
        (self.log,) = glob.glob(self.path('served/log.*'))

    def keys(self, key, numbers):
        return harness.packed(numbers if key == 'u64' else [b'k%d' % number for number in numbers])

    def make(self, release):
        random = np.random.default_rng(release == 'r1')
        with self.daemon.client() as client:
            client.call('release.create', release=release)
            for table, (entity, key, dtype, views) in self.TABLES.items():
                client.call('table.create', release=release, table=table, entity=entity, kind=table[:2], key=key, dtype=dtype,
                            dim=4, views=views)
            client.seal(release)
            for table, (_, key, dtype, views) in self.TABLES.items():
                rows = random.standard_normal((len(self.KEYS), 4 * views)).astype('<f4')
                client.call('put', release=release, table=table, keys=self.keys(key, self.KEYS), dtype='f32', rows=rows.tobytes())
            client.call('release.publish', release=release)

    def fetch_all(self):
        """Each key once, and 30 that are not there; in the dtype of the table or in another."""
        with self.daemon.client() as client:
            for number in range(30):
                keys = np.arange(1 + number * 11, 12 + number * 11, dtype='<u8')
                client.call('fetch', parts=[{'table': table, 'keys': self.keys(key, keys), 'dtype': ('f32', 'f16')[number % 2]}
                                            for table, (_, key, _, _) in self.TABLES.items()])

    def dumps(self, release):
        args = []
        for table in self.TABLES:
            path = self.path('%s-%s.npz' % (release, table))
            self.daemon.command('dump', '%s/%s' % (release, table), path)
            args += ['--dump', '%s=%s' % (table, path)]
        return args

    def test_what_was_served_is_what_the_release_held(self):
        for release in ('r1', 'r2'):
            said = self.check(self.log, '--release', release, *self.dumps(release), status=0)
            self.assertEqual((said['fetches'], said['rows'], said['other'], said['hours_with_skew']), (30, 900, 0, 0))
            for table in said['tables']:
                self.assertEqual((table['compared'], table['differ'], table['found_on_none']), (300, 0, 30))
                self.assertEqual((table['unknown'], table['missing_dump'], table['missing_served']), (0, 0, 0))
        said = self.check(self.log, '--release', 'r2', *self.dumps('r1'), status=1)
        self.assertEqual([table['differ'] for table in said['tables']], [300, 300, 300])

    def test_a_planted_skew_is_named(self):
        dumps = self.dumps('r1')
        records = list(self.first_of(self.log, 30))
        part = records[7]['parts'][1]
        rows = np.frombuffer(part['rows'], '<f2').copy()
        rows[3] += np.float16(0.5)
        part['rows'] = rows.tobytes()
        records[9]['parts'][0]['found'] = bytes(len(records[9]['parts'][0]['found']))
        path = served_file(self.path('planted.1'), records)
        said = self.check(path, '--release', 'r1', *dumps, status=1)
        ir, ur, ir8 = said['tables']
        self.assertEqual((ur['differ'], ur['compared'], ur['missing_served']), (1, 300, 0))
        self.assertAlmostEqual(ur['difference_max'], 0.5, delta=1e-3)
        self.assertAlmostEqual(ur['skew'], 1 / 300, delta=1e-9)
        self.assertEqual((ir['missing_served'], ir['differ'], ir['compared']), (11, 0, 289))
        self.assertEqual(ir8['skew'], 0)
        text = self.command('served', 'check', path, '--release', 'r1', *dumps, status=1)
        self.assertRegex(text, r"^30 fetches against 900 rows of 'r1'")
        self.assertRegex(text.split('skew, more than')[1], r'ur\s+20')
        self.assertNotIn('ir8', text.split('skew, more than')[1])

    def test_what_was_written_since_is_not_known(self):
        time.sleep(0.002)
        with self.daemon.client() as client:
            client.call('put', release='r1', table='ir', keys=self.KEYS[:20].tobytes(), dtype='f32', rows=bytes(20 * 16))
            client.call('delete', release='r1', table='ir', keys=self.KEYS[30:35].tobytes())
        said = self.check(self.log, '--release', 'r1', *self.dumps('r1'), status=1)
        ir = said['tables'][0]
        self.assertEqual((ir['unknown'], ir['differ'], ir['missing_dump'], ir['compared']), (20, 0, 5, 275))

    def test_what_cannot_be_compared_is_refused(self):
        dumps = self.dumps('r1')
        path = dumps[1].split('=')[1]
        short = self.path('short.npz')
        with np.load(path) as arrays:
            np.savez(short, keys=arrays['keys'], rows=arrays['rows'])
        packed = self.path('packed.npz')
        with np.load(path) as arrays:
            np.savez_compressed(packed, **arrays)
        for args, status, says in ((dumps, 2, '--release says'), ([*dumps, '--features', path], 2, '--features or --dump'),
                                   (['--release', 'r1', '--dump', path], 1, 'TABLE=FILE.npz'),
                                   (['--release', 'r1', '--dump', 'ir='], 1, 'TABLE=FILE.npz'),
                                   (['--release', 'r1', *dumps, *dumps[:2]], 1, "table 'ir' given twice"),
                                   (['--release', 'r1', '--dump', 'ir=' + short], 1, 'no times'),
                                   (['--release', 'r1', '--dump', 'ir=' + packed], 1, 'compressed'),
                                   (['--release', 'r1', '--dump', 'ir=' + self.log], 1, self.log)):
            self.assertIn(says, self.command('served', 'check', self.log, *args, status=status), args)
        said = self.check(self.log, '--release', 'r1', '--dump', 'ur=' + path, status=0)      # keys of another type
        self.assertEqual(said['other'], 3 * 330)


class WholeWay(Case):
    """A daemon that is asked before each sample, and then told of it."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('served'))
        with open(self.path('conf'), 'w') as file:
            file.write('[served]\nrows = on\nrate = 1\nfile = %s\n' % self.path('served/log'))
        self.daemon = self.start_daemon('--config', self.path('conf'))
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for entity in ('user', 'item'):
                client.call('table.create', release='r', table='cr_%s@x' % entity, entity=entity, kind='cr', dim=6,
                            decay_events=0.9, half_life_ms=60000)
            client.seal('r')

    def test_serving_and_training_agree_until_one_is_changed(self):
        users, items, _, vectors = made(count=120, users=5, items=9)
        times, plant = [], 80
        with self.daemon.client() as client:
            for k in range(len(users)):
                while times and harness.now_ms() <= times[-1]:
                    pass        # a fetch in the millisecond of a sample may have seen it
                if k == plant:  # somebody mends a row by hand
                    client.call('put', release='live', table='cr_item@x', keys=[int(items[k])], times=struct.pack('<q', times[-1]),
                                rows=np.ones(6, '<f4').tobytes())
                client.call('fetch', parts=[{'table': 'cr_user@x', 'keys': [int(users[k])]}, {'table': 'cr_item@x', 'keys': [int(items[k])]}])
                times.append(harness.now_ms())
                client.call('observe', release='live', layer='x', users=struct.pack('<Q', users[k]), items=struct.pack('<Q', items[k]),
                            dtype='f32', times=struct.pack('<q', times[-1]), rows=vectors[k].tobytes())
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('stats')['served']['written'] < len(users):
                self.assertLess(time.monotonic(), limit)
        self.features(*self.arguments(users, items, np.array(times), x=vectors), '--decay', 'events=0.9,half_life=1m')
        (path,) = glob.glob(self.path('served/log.*'))
        said = self.check(path, '--features', self.path('features.npz'), status=1)
        user, item = said['tables']
        self.assertEqual((user['skew'], user['compared'] + user['found_on_none']), (0, len(users)))
        touched = int((items[plant:] == items[plant]).sum())
        self.assertEqual(item['differ'] + item['missing_training'], touched)
        before = served_file(self.path('before.1'), self.first_of(path, plant))
        self.check(before, '--features', self.path('features.npz'), status=0)

if __name__ == '__main__':
    harness.main()
