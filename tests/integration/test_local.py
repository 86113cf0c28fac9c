"""test_local.py - the embedded reader shows what the daemon shows, bit for bit, and refuses what it must not open.

The same requests go both ways, over the socket and to a reader in a process of its own, and each answer is compared with the
other: rows, columns, scores, and the words of errors.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
import unittest

import numpy as np

import harness
import local_way
from harness import Failed

COUNT, DIM = 300, 12
ITEMS, ITEM_DIM = 6000, 16
PLACES = 4
HOUR_MS = 3600_000
STRANGER = 54321    # a user and a group that nobody has


def said(client, method, params):
    """What a client is answered: the result, or the error."""
    try:
        return client.call(method, **params)
    except Failed as failed:
        return '%s: %s' % (failed.code, failed.text)


def as_stranger():
    os.setgroups([])
    os.setgid(STRANGER)
    os.setuid(STRANGER)


class LocalCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.now_ms = harness.now_ms()
        os.makedirs(self.path('backups'))
        self.daemon = self.start_daemon('--backup-folder', self.path('backups'))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.readers = []
        self.addCleanup(self.end_readers)

    def end_readers(self):
        for reader in self.readers:
            reader.close()

    def open(self, folder=None, *options, **others):
        """A reader, which stays until the end of the test."""
        reader = local_way.Reader(folder or self.daemon.data, *options, **others)
        self.readers.append(reader)
        return reader

    @contextlib.contextmanager
    def not_opened(self, code, *words):
        with self.assertRaises(local_way.Refused) as refused:
            yield
        text = str(refused.exception)
        self.assertTrue(text.startswith(code + ': '), text)
        for word in words:
            self.assertIn(word, text)

    # ---- what there is to read ----

    def keys_of(self, table, numbers):
        """Packed keys, of the table's type."""
        if table.endswith('_bytes'):
            return harness.packed([b'key-%d' % number for number in numbers])
        return harness.packed([int(number) for number in numbers])

    def times(self, count):
        """Half of an hour ago, half of ten days ago."""
        return np.where(np.arange(count) % 2 == 0, self.now_ms - HOUR_MS, self.now_ms - 240 * HOUR_MS).astype('<i8')

    def create(self, release, table, **spec):
        self.client.call('table.create', release=release, table=table, **spec)

    def load(self, release, table, dtype, count=COUNT, dim=DIM, views=1, **columns):
        rows, scales = harness.sample_rows(dtype, count, dim, views)
        if scales is not None:
            columns['scales'] = scales
        numbers = range(count)
        keys = [b'key-%d' % each for each in numbers] if table.endswith('_bytes') else list(numbers)
        self.client.load(release, table, keys, rows, times=self.times(count), **columns)
        return rows

    def fill(self, release='r', seed=1):
        """A live release with a table of each kind."""
        self.client.call('release.create', release=release, model='m', checkpoint='c%d' % seed)
        for dtype in harness.DTYPES:
            for key in ('u64', 'bytes'):
                self.create(release, '%s_%s' % (dtype, key), entity='item', kind='ir', dim=DIM, dtype=dtype, key=key)
                self.load(release, '%s_%s' % (dtype, key), dtype)
        self.create(release, 'views', entity='item', kind='ir', dim=DIM, dtype='f32', views=3)
        self.load(release, 'views', 'f32', views=3)
        self.create(release, 'tagged', entity='item', kind='ir', dim=ITEM_DIM, dtype='f32', tags=True)
        self.load(release, 'tagged', 'f32', dim=ITEM_DIM, tags=(np.arange(COUNT) % 8).astype('<u8'))
        self.create(release, 'short', entity='user', kind='ur', dim=ITEM_DIM, dtype='f16', ttl_ms=24 * HOUR_MS, default='mean')
        self.load(release, 'short', 'f16', dim=ITEM_DIM)
        self.create(release, 'items', entity='item', kind='ir', dim=ITEM_DIM, dtype='f32', index='balls')
        self.load(release, 'items', 'f32', count=ITEMS, dim=ITEM_DIM)
        self.create(release, 'empty', entity='item', kind='ir', dim=ITEM_DIM, dtype='f32')
        for entity in ('user', 'item'):
            self.create(release, 'cr_%s@l' % entity, entity=entity, kind='cr', dim=DIM, decay_events=0.5, read='mean')
        self.create(release, 'seen', entity='user', kind='ur', dim=DIM, dtype='f32', history=PLACES)
        weight = self.random.standard_normal((5, ITEM_DIM)).astype('<f4')
        for name, shape, data in (('a.weight', [5, ITEM_DIM], weight), ('a.bias', [5], weight[:, 0].copy())):
            self.client.call('tensor.put', release=release, tensor=name, dtype='f32', shape=shape, data=data.tobytes())
        self.client.seal(release)
        self.await_index(release)

    def await_index(self, release):
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.client.call('table.show', release=release, table='items')['index_state'] != 'ready':
            self.assertLess(time.monotonic(), limit, 'no index')
            time.sleep(0.01)

    def write(self, release='live', at=0):
        """Some of each kind of write: rows over others and new ones, deletions, samples, vectors of histories."""
        numbers = np.arange(at, at + 40)
        for dtype in harness.DTYPES:
            for key in ('u64', 'bytes'):
                table = '%s_%s' % (dtype, key)
                rows, scales = harness.sample_rows(dtype, 40, DIM, seed=at + 7)
                extra = {} if scales is None else {'scales': scales.tobytes()}
                self.client.call('put', release=release, parts=[dict(
                    table=table, keys=self.keys_of(table, numbers * 20), rows=rows.tobytes(),
                    times=(self.now_ms - numbers).astype('<i8').tobytes(), **extra)])
                self.client.call('delete', release=release, table=table, keys=self.keys_of(table, numbers[:9] * 7 + 1))
        rows = self.random.standard_normal((40, ITEM_DIM)).astype('<f4')
        for table in ('tagged', 'items', 'empty'):
            tags = {'tags': (numbers % 16).astype('<u8').tobytes()} if table == 'tagged' else {}
            self.client.call('put', release=release, parts=[dict(
                table=table, keys=harness.packed((numbers * 11).tolist()), rows=rows.tobytes(), **tags)])
        samples = self.random.standard_normal((200, DIM)).astype('<f4')
        who = self.random.integers(0, 30, 200).astype('<u8')
        when = (self.now_ms - 1000 + np.arange(200)).astype('<i8')
        self.client.call('observe', release=release, layer='l', users=who.tobytes(), items=who[::-1].tobytes(),
                         times=when.tobytes(), rows=samples.tobytes())
        self.client.call('append', release=release, table='seen', keys=who.tobytes(), times=when.tobytes(),
                         rows=samples.tobytes())

    def await_sequence(self, reader):
        """Until the reader shows all that was written."""
        reader.call('local.wait', sequence=self.client.call('stats')['write']['sequence'])

    # ---- what is read ----

    def fetches(self):
        numbers = self.random.integers(0, COUNT + 60, 70)
        for dtype in harness.DTYPES:
            for key in ('u64', 'bytes'):
                table = '%s_%s' % (dtype, key)
                for asked in (None, 'f32', 'f16', 'bf16', 'i8'):
                    if dtype != 'bit' or asked is None:
                        part = dict(table=table, keys=self.keys_of(table, numbers), times=True, tags=True, why=True)
                        yield [dict(part, dtype=asked) if asked else part]
        keys = self.keys_of('u64', numbers)
        yield [dict(table=table, keys=keys, times=True) for table in ('views', 'tagged', 'short', 'items', 'f32_u64', 'f32_u64')]
        yield [dict(table='tagged', keys=keys, tags=True), dict(table='items', keys=b'')]
        for age in (0, 24 * HOUR_MS, 2 ** 50):
            yield [dict(table='f32_u64', keys=keys, max_age_ms=age, why=True)]
        for missing in ('zero', 'default'):
            yield [dict(table='short', keys=keys, missing=missing, why=True)]
        yield [dict(table='items', keys=keys, through=['a', 'relu'])]
        yield [dict(table='short', keys=keys, through=['a', 'tanh'], dtype='f16', missing='default')]
        for raw in (False, True):
            yield [dict(table='cr_user', keys=keys, raw=raw, weights=True, times=True),
                   dict(table='cr_item@l', keys=keys, raw=raw, weights=True, **({'dtype': 'f64'} if raw else {}))]
        yield [dict(table='seen', keys=keys, history_times=True, times=True)]

    def searches(self):
        vectors = self.random.standard_normal((3, ITEM_DIM)).astype('<f4')
        asked = [
            dict(k=10), dict(k=10, metric='cosine'), dict(k=10, metric='l2'),
            dict(k=10, allow=harness.packed(list(range(0, 900, 3)))), dict(k=10, deny=harness.packed(list(range(500)))),
            dict(k=10, allow=b''), dict(k=10000, min_score=2.0), dict(k=5, with_=['tagged', 'f16_u64']), dict(k=10, through=['a'])]
        users = dict(table='short', keys=harness.packed([0, 2, 4]))
        for each in asked:
            params = {'with' if name == 'with_' else name: value for name, value in each.items()}
            yield 'retrieve', dict(params, **{'in': 'items', 'from': users})
        for tags in (dict(tags_any=1), dict(tags_all=3), dict(tags_none=5), dict(tags_any=0)):
            yield 'retrieve', dict(tags, k=20, **{'in': 'tagged', 'from': users})
        yield 'retrieve', {'in': 'items', 'from': dict(users, keys=harness.packed([1, 999999]), missing='default'), 'k': 7}
        yield 'retrieve', {'in': 'items', 'release': 'r', 'k': 9,
                           'from': dict(dim=ITEM_DIM, rows=vectors.tobytes())}
        yield 'retrieve', {'in': 'seen', 'k': 9, 'from': dict(table='f32_u64', keys=harness.packed([2, 4]))}
        for metric in ('tanimoto', 'dice', 'hamming'):
            yield 'retrieve', {'in': 'bit_u64', 'metric': metric, 'k': 9, 'from': dict(table='bit_u64', keys=harness.packed([2, 4]))}
        for table in ('items', 'tagged', 'empty'):
            yield 'score', {'in': table, 'from': users, 'keys': harness.packed(list(range(0, 2 * COUNT, 7)))}

    def approximations(self):
        """What is found, and how much is looked at for it, depends on the images of rows that were written, which the daemon makes
        when it has time: so these are the same of rows that were loaded."""
        users = dict(table='short', keys=harness.packed([0, 2, 4]))
        for options in (dict(k=10, approximate=0.9), dict(k=50, approximate=0.99, metric='cosine'),
                        dict(k=20, approximate=0.5, deny=harness.packed(list(range(500))))):
            yield 'retrieve', dict(options, **{'in': 'items', 'from': users})

    def refused(self):
        key = harness.packed([1])
        yield 'fetch', dict(parts=[dict(table='none', keys=key)])
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=key)], release='none')
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=b'123')])
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=key, dtype='f8')])
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=key, missing='default')])
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=key, through=['none'])])
        yield 'fetch', dict(parts=[dict(table='f32_u64', keys=key, other=1)])
        yield 'fetch', dict(parts=[])
        yield 'retrieve', {'in': 'items', 'from': dict(table='short', keys=harness.packed([999999]))}
        yield 'retrieve', {'in': 'f32_u64', 'from': dict(table='short', keys=key)}
        yield 'retrieve', {'in': 'items', 'from': dict(table='short', keys=key), 'k': 10001}
        yield 'retrieve', {'in': 'items', 'from': dict(table='short', keys=key), 'metric': 'other'}
        yield 'score', {'in': 'none', 'from': dict(table='short', keys=key), 'keys': key}
        yield 'scan', dict(table='none')
        yield 'scan', dict(table='f32_u64', shard=[2, 2])
        yield 'tensor.get', dict(tensor='none')
        yield 'release.show', dict(release='none')
        yield 'table.show', dict(table='none')
        yield 'no.such.method', {}

    def reads(self):
        """Each kind of reading, as (method, params)."""
        for parts in self.fetches():
            yield 'fetch', dict(parts=parts)
        yield from self.searches()
        yield from self.refused()
        for name in ('a.weight', 'a.bias'):
            yield 'tensor.get', dict(tensor=name)
        yield 'tensor.list', {}

    def walks(self, client, **options):
        """All replies of scans of each table, and of its shards."""
        found = []
        for table in ('f32_u64', 'i8_bytes', 'bit_u64', 'views', 'tagged', 'short', 'items', 'empty', 'cr_user@l', 'seen'):
            for shard in ((0, 1), (0, 3), (2, 3)):
                try:
                    for reply in client.walk(table, shard=list(shard), limit=500, **options):
                        found.append((table, shard, reply))
                except Failed as failed:
                    found.append((table, shard, str(failed)))
        found += [('raw', reply) for reply in client.walk('cr_item@l', raw=True, dtype='f64', **options)]
        return found

    def answers(self, client):
        self.random = np.random.default_rng(6)      # the same keys each time
        found = [(method, params, said(client, method, params)) for method, params in self.reads()]
        for _, _, answer in found:
            if isinstance(answer, dict):
                answer.pop('compared', None)
        return found + self.walks(client)

    def check(self, reader, theirs=None):
        """The reader answers as the daemon does, or as it did."""
        theirs = self.answers(self.client) if theirs is None else theirs
        mine = self.answers(reader)
        self.assertEqual(len(mine), len(theirs))
        for one, other in zip(mine, theirs):
            self.assertEqual(one, other)
        return theirs


class Reads(LocalCase):
    def test_a_release_as_it_was_loaded(self):
        self.fill()
        reader = self.open()
        self.check(reader)
        for method, params in self.approximations():
            theirs = said(self.client, method, params)
            self.assertEqual(said(reader, method, params), theirs)
            self.assertIs(theirs['exact'], False)

    def test_rows_that_were_merged(self):
        self.fill()
        for at in (0, 100):
            self.write(at=at)
            self.client.call('merge')
        self.check(self.open())

    def test_deltas(self):
        self.client.call('release.create', release='r')
        dim, keys = 256, np.arange(40000, dtype='<u8')      # above what a merge writes anew as a whole
        self.create('r', 't', entity='item', kind='ir', dim=dim, dtype='f32')
        self.client.load('r', 't', keys, np.repeat(keys.astype('<f4')[:, None], dim, axis=1), chunk_rows=8000)
        self.client.seal('r')
        reader = self.open()
        for number in (1, 2, 3):
            some = keys[number * 100:number * 100 + 150]
            self.client.call('put', release='r', parts=[dict(table='t', keys=some.tobytes(),
                                                             rows=np.full((150, dim), -number, '<f4').tobytes())])
            self.client.call('delete', release='r', table='t', keys=some[:20].tobytes())
            self.client.call('merge')
        self.assertEqual(self.client.call('table.show', table='t')['deltas'], 3)
        self.await_sequence(reader)
        for each in (reader, self.open()):
            asked = dict(parts=[dict(table='t', keys=keys[:700].tobytes(), times=True, why=True)])
            self.assertEqual(said(each, 'fetch', asked), said(self.client, 'fetch', asked))
            self.assertEqual(list(each.walk('t')), list(self.client.walk('t')))
            query = {'in': 't', 'from': dict(table='t', keys=keys[5:6].tobytes()), 'k': 300}
            self.assertEqual(said(each, 'retrieve', query), said(self.client, 'retrieve', query))

    def test_rows_that_are_in_the_log(self):
        self.fill()
        self.write()
        self.client.call('merge')
        self.write(at=100)
        reader = self.open()
        self.check(reader)

    def test_a_release_by_its_name_and_what_there_is(self):
        self.fill('one')
        self.fill('two', seed=2)
        reader = self.open()
        for release in ('one', 'two'):
            for parts in self.fetches():
                params = dict(parts=parts, release=release)
                self.assertEqual(said(reader, 'fetch', params), said(self.client, 'fetch', params))
        for method, params in (('release.list', {}), ('release.show', {}), ('release.show', {'release': 'one'}), ('table.list', {}),
                               ('table.list', {'release': 'one'}), ('table.show', {'table': 'short'}),
                               ('layer.list', {}), ('tensor.list', {'release': 'one'})):
            mine, theirs = (self.without_figures(said(each, method, params)) for each in (reader, self.client))
            self.assertEqual(mine, theirs, method)

    def without_figures(self, answer):
        """Without what each process counts for itself: how much of a table is in memory, or checked, and what an indexer does."""
        if isinstance(answer, dict):
            return {name: self.without_figures(value) for name, value in answer.items()
                    if name not in ('resident_bytes', 'checked_bytes', 'index_build_ms')}
        return [self.without_figures(each) for each in answer] if isinstance(answer, list) else answer

    def test_what_is_not_a_reading_is_refused_by_its_name(self):
        self.fill()
        reader = self.open()
        key = harness.packed([1])
        for method, params in (
                ('put', dict(release='r', parts=[dict(table='f32_u64', keys=key, rows=bytes(4 * DIM))])),
                ('delete', dict(release='r', table='f32_u64', keys=key)), ('release.create', dict(release='x')),
                ('release.publish', dict(release='r')), ('release.drop', dict(release='r')), ('merge', {}), ('positions', {}),
                ('stats', {}), ('backup', dict(dir='x')), ('verify', {}), ('slowlog', {}), ('reload', {}), ('tensor.delete', dict(tensor='a.bias')),
                ('layer.choose', dict(release='r', layer='l'))):
            with self.fails('UNSUPPORTED', method):
                reader.call(method, **params)
        self.assertEqual(len(reader.call('tensor.list')['tensors']), 2)


class Follows(LocalCase):
    """One reader, and a daemon that goes on."""

    def small(self, release, value):
        self.client.call('release.create', release=release)
        self.create(release, 't', entity='item', kind='ir', dim=DIM, dtype='f32')
        self.client.load(release, 't', list(range(COUNT)), np.full((COUNT, DIM), value, '<f4'))
        self.client.seal(release)

    def await_answer(self, reader):
        """Until the reader shows what the daemon shows."""
        asked = dict(parts=[dict(table='t', keys=harness.packed(list(range(COUNT))), times=True, why=True)])
        theirs = said(self.client, 'fetch', asked)
        limit = time.monotonic() + harness.CALL_SECONDS
        while said(reader, 'fetch', asked) != theirs:
            self.assertLess(time.monotonic(), limit, 'the reader does not follow')
            time.sleep(harness.PAUSE_SECONDS)
        return theirs

    def put(self, value):
        keys = self.random.choice(COUNT, 20, replace=False).astype('<u8')
        self.client.call('put', release='live', parts=[dict(table='t', keys=keys.tobytes(),
                                                            rows=np.full((20, DIM), value, '<f4').tobytes())])

    def test_publishes_rollbacks_merges_and_new_starts(self):
        self.small('one', 1)
        reader = self.open()
        self.assertEqual(self.await_answer(reader)['release'], 'one')
        for number in range(5):
            self.put(10 + number)
            self.await_answer(reader)
            self.small('next-%d' % number, number)
            self.assertEqual(self.await_answer(reader)['release'], 'next-%d' % number)
            self.put(20 + number)
            self.client.call('release.rollback')
            self.await_answer(reader)
            self.put(30 + number)
            self.client.call('merge')
            self.put(40 + number)
            self.await_answer(reader)
            self.client.call('release.drop', release='next-%d' % number)
            end = self.daemon.kill if number % 2 else self.daemon.stop
            end()
            self.assertTrue(reader.fetch('t', harness.packed([1]))['found'])    # what it has stays
            self.daemon.start()
            self.client = self.daemon.client()
            self.addCleanup(self.client.close)
            self.await_answer(reader)

    def test_a_write_is_seen_by_who_waits_for_it_and_how_old_it_is_is_told(self):
        self.small('one', 1)
        reader = self.open()
        for value in range(100):
            written = self.client.call('put', release='live', parts=[dict(
                table='t', keys=harness.packed([7]), rows=np.full((1, DIM), value, '<f4').tobytes())])
            reader.call('local.wait', sequence=written['sequence'])
            part = reader.fetch('t', harness.packed([7]))
            self.assertEqual(np.frombuffer(part['rows'], '<f4')[0], value)
        self.assertLess(reader.call('local.fetch', table='t', key=7)['lag_ms'], 2 ** 32)
        reader.call('local.wait', sequence=written['sequence'] + 1)
        with self.fails('TIMEOUT'):
            reader.call('fetch', parts=[dict(table='t', keys=harness.packed([7]))], timeout_ms=50)
        reader.call('local.wait', sequence=0)
        self.daemon.stop()
        shutil.copytree(self.daemon.data, self.path('copy'))
        os.unlink(self.path('copy/visible'))
        self.assertEqual(self.open(self.path('copy')).call('local.fetch', table='t', key=7)['lag_ms'], 2 ** 64 - 1)
        with self.not_opened('UNSUPPORTED', 'max_lag_ms', 'visible'):
            self.open(self.path('copy'), 'lag=1')
        strict, asked = self.open(None, 'lag=1'), dict(parts=[dict(table='t', keys=harness.packed([7]))])
        limit = time.monotonic() + harness.CALL_SECONDS
        while 'BUSY: reader is ' not in str(said(strict, 'fetch', asked)):      # the page is of a moment ago at first
            self.assertLess(time.monotonic(), limit)
            time.sleep(harness.PAUSE_SECONDS)

    def test_only_what_is_merged(self):
        self.small('one', 1)
        reader = self.open(None, 'releases')
        before = reader.fetch('t', harness.packed(list(range(COUNT))))
        self.put(5)
        self.assertEqual(reader.fetch('t', harness.packed(list(range(COUNT)))), before)
        self.client.call('merge')
        limit = time.monotonic() + harness.CALL_SECONDS
        theirs = self.client.fetch('t', harness.packed(list(range(COUNT))))
        while reader.fetch('t', harness.packed(list(range(COUNT)))) != theirs:
            self.assertLess(time.monotonic(), limit, 'the reader does not follow')
            time.sleep(harness.PAUSE_SECONDS)


class Folders(LocalCase):
    """Where the files are, and whose."""

    def setUp(self):
        super().setUp()
        self.fill()
        self.write()
        self.client.call('merge')

    def test_a_folder_whose_daemon_has_ended(self):
        self.write(at=100)
        before = self.answers(self.client)
        open_reader = self.open()
        self.check(open_reader, before)
        self.daemon.stop()
        self.check(open_reader, before)
        self.check(self.open(), before)
        self.daemon.start()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.check(self.open(), before)

    def test_a_folder_whose_daemon_was_killed(self):
        self.write(at=100)
        before = self.answers(self.client)
        self.daemon.kill()
        self.check(self.open(), before)

    def test_a_copy_and_a_backup(self):
        self.write(at=100)
        before = self.answers(self.client)
        self.client.call('backup', dir='b')
        self.check(self.open(self.path('backups/b')), before)
        self.daemon.stop()
        shutil.copytree(self.daemon.data, self.path('copy'))
        os.unlink(self.path('copy/visible'))
        self.check(self.open(self.path('copy')), before)

    def test_nothing_is_made_or_changed_in_it(self):
        def state():
            return [(name, os.stat(path).st_size, os.stat(path).st_mtime_ns, os.stat(path).st_ino)
                    for name in self.daemon.files() for path in [os.path.join(self.daemon.data, name)]]
        self.daemon.stop()
        before = state()
        self.answers(self.open())
        self.assertEqual(state(), before)

    def test_a_folder_that_is_mounted_for_reading_alone(self):
        before = self.answers(self.client)
        target = self.path('mounted')
        os.makedirs(target)
        done = subprocess.run(
            ['sh', '-c', 'mount --bind "$1" "$2" && mount -o remount,ro,bind "$2"', 'sh', self.daemon.data, target],
            check=False, stderr=subprocess.PIPE)
        if done.returncode != 0:
            self.skipTest('no mount: ' + done.stderr.decode(errors='replace').splitlines()[0])
        self.addCleanup(subprocess.run, ['umount', target], check=True)
        self.addCleanup(self.end_readers)
        with self.assertRaises(OSError):
            open(os.path.join(target, 'x'), 'w')    # it is
        self.check(self.open(target), before)
        self.write(at=100)
        self.check(self.open(target))

    @unittest.skipIf(os.getuid() != 0, 'it takes root to be somebody else')
    def test_another_user_sees_it_by_its_group_alone(self):
        before = self.answers(self.client)
        os.chmod(self.scratch, 0o755)
        with self.not_opened('IO', self.daemon.data, 'Permission denied'):
            self.open(before_exec=as_stranger)
        self.daemon.stop()
        for folder, names, files in os.walk(self.daemon.data):
            for path in [folder] + [os.path.join(folder, name) for name in files]:
                os.chown(path, -1, STRANGER)
        self.check(self.open(before_exec=as_stranger), before)

    def test_what_is_no_data_folder(self):
        os.makedirs(self.path('bare'))
        with open(self.path('file'), 'w') as file:
            file.write('x')
        with self.not_opened('NOT_FOUND', self.path('none')):
            self.open(self.path('none'))
        with self.not_opened('NOT_FOUND', self.path('bare')):
            self.open(self.path('bare'))
        with self.assertRaises(local_way.Refused):
            self.open(self.path('file'))

    @unittest.skipIf(os.getuid() != 0, 'it takes root to give files away')
    def test_a_folder_that_strangers_may_change(self):
        self.daemon.stop()
        data = self.daemon.data
        base = self.largest('base-')
        os.chmod(data, 0o757)
        with self.not_opened('IO', data, 'chmod go-w'):
            self.open()
        os.chmod(data, 0o750)
        current = os.path.join(data, 'current')
        with self.of_a_stranger(current), self.not_opened('IO', current, 'owner'):
            self.open()
        with self.elsewhere(current), self.not_opened('IO', current, 'symbolic link'):
            self.open()
        for wrong in (self.of_a_stranger, self.elsewhere):      # of one table alone: no row of it is believed
            with wrong(os.path.join(data, base)):
                reader = self.open()
                with self.fails('CORRUPT', "'items'"):
                    reader.fetch('items', harness.packed([1]))
                self.assertEqual(reader.fetch('f32_u64', harness.packed([3]))['found'], b'\1')

    @contextlib.contextmanager
    def of_a_stranger(self, path):
        os.chown(path, STRANGER, -1)
        yield
        os.chown(path, 0, -1)

    @contextlib.contextmanager
    def elsewhere(self, path):
        os.rename(path, self.path('elsewhere'))
        os.symlink(self.path('elsewhere'), path)
        yield
        os.unlink(path)
        os.rename(self.path('elsewhere'), path)

    def test_damage_is_found_and_never_shown(self):
        self.daemon.stop()
        base = self.largest('base-')
        sound = self.path('sound')
        shutil.copytree(self.daemon.data, sound)
        size = self.size_of(base)
        self.flip(base, size // 2)
        self.daemon.start()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        with self.fails('CORRUPT', "'items'"):
            list(self.client.walk('items'))
        self.check(self.open())     # the keys of that page are CORRUPT for both
        self.daemon.stop()
        os.truncate(os.path.join(self.daemon.data, base), size // 2)
        reader = self.open()
        with self.fails('CORRUPT', "'items'"):
            reader.fetch('items', harness.packed([1]))
        self.assertEqual(reader.fetch('f32_u64', harness.packed([3]))['found'], b'\1')
        shutil.copy(os.path.join(sound, base), os.path.join(self.daemon.data, base))
        for at in (0, 40, self.size_of('current') - 1):
            self.flip('current', at)
            with self.assertRaises(local_way.Refused):
                self.open()
            self.flip('current', at)
        self.open()

    def largest(self, beginning):
        return max((name for name in self.daemon.files() if os.path.basename(name).startswith(beginning)), key=self.size_of)

    def size_of(self, name):
        return os.stat(os.path.join(self.daemon.data, name)).st_size

    def flip(self, name, at):
        with open(os.path.join(self.daemon.data, name), 'r+b') as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0x20]))


class Command(LocalCase):
    """`repstore --local DIR`."""

    READS = (('fetch', 'f32_u64', '1', '3', '999'), ('--json', 'fetch', 'i8_bytes', 'key-3', '--dtype', 'f32'),
             ('--json', 'fetch', 'cr_user', '1', '--weights'), ('fetch', 'short', '999999', '--missing', 'default', '--full'),
             ('retrieve', '--from', 'short/2', '--in', 'items', '-k', '5'),
             ('score', '--from', 'short/2', '--in', 'items', '1', '2', '999999'),
             ('release', 'list'), ('--json', 'release', 'list'), ('tensor', 'list'), ('dump', 'tagged', '-', '--format', 'jsonl'),
             ('dump', 'cr_item', '-', '--format', 'jsonl', '--raw'))

    def command(self, *args, fails=0):
        done = subprocess.run([harness.program('repstore'), '--local', self.daemon.data, *args], check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS)
        self.assertEqual(done.returncode, fails, done.stderr.decode(errors='replace'))
        return (done.stderr if fails else done.stdout).decode()

    @staticmethod
    def timeless(text):
        """Without how long it took, and at how many rows it looked for that."""
        return re.sub(r'[\d.]+ ms|[\d,]+ compared|"compared":\d+', '', text)

    def test_it_prints_what_it_prints_of_a_daemon(self):
        self.fill()
        self.write()
        self.client.call('merge')
        self.write(at=100)
        theirs = [self.timeless(self.daemon.command(*args)) for args in self.READS]
        for stop in (lambda: None, self.daemon.stop):
            stop()
            for args, printed in zip(self.READS, theirs):
                self.assertEqual(self.timeless(self.command(*args)), printed, args)
        self.assertIn('items', self.command('table', 'show', 'items'))
        self.assertIn('items', self.command('table', 'stats', 'items'))
        self.assertIn('f32_u64', self.command('release', 'show'))
        self.assertEqual(self.command('-s', self.daemon.address, 'release', 'list'), self.command('release', 'list'))

    def test_what_needs_a_daemon_says_so(self):
        self.fill()
        for args in (('put', 'items', '1', *['1'] * ITEM_DIM), ('merge',), ('stats',), ('positions',), ('release', 'rollback')):
            said = self.command(*args, fails=1)
            self.assertIn('UNSUPPORTED', said)
            self.assertIn('connect to the daemon', said)
        self.assertIn("did you mean 'items'?", self.command('fetch', 'itemz', '1', fails=1))
        self.assertIn('address', self.command('-s', 'tcp:nowhere', 'release', 'list', fails=1))
        done = subprocess.run([harness.program('repstore'), '--local', self.path('none'), 'release', 'list'], check=False,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn('NOT_FOUND', done.stderr.decode())


if __name__ == '__main__':
    harness.main()
