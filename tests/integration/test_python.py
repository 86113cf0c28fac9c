"""test_python.py - the Python package, with a real daemon: what it reads is what the tests' own client reads."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from typing import Any

import numpy as np

import harness
from python_case import COUNT, DIM, PythonCase, repstore

DTYPES = ('f32', 'f16', 'bf16', 'i8', 'bit')


class Rows(PythonCase):

    def test_every_dtype_and_both_types_of_keys(self) -> None:
        client: Any = self.client       # names of dtypes that are made here
        keys: Any
        with client.new_release('r') as release:
            for dtype in DTYPES:
                for key in ('u64', 'bytes'):
                    for views in (1, 3):
                        rows, scales = harness.sample_rows(dtype, COUNT, DIM, views)
                        if views > 1 and dtype != 'bit':
                            rows = rows.reshape(COUNT, views, DIM)
                        name = '%s_%s_%d' % (dtype, key, views)
                        keys = np.arange(COUNT) if key == 'u64' else [b'%d' % i for i in range(COUNT)]
                        release.create_table(name, entity='item', kind='ir', dim=DIM, dtype=dtype, key=key, views=views)
                        release.load(name, keys, rows.reshape(COUNT, -1) if views > 1 and dtype == 'bit' else rows,
                                     scales=scales, dtype='bf16' if dtype == 'bf16' else None, chunk_bytes=1000)
            release.seal().publish()
        random = harness.random_state(4)
        for table in client.tables():
            numbers = random.integers(0, COUNT + 30, 50)
            keys = numbers if table.name.split('_')[1] == 'u64' else ['%d' % number for number in numbers]
            for dtype in (None, 'f32', table.name.split('_')[0]):
                mine = client.fetch({table.name: keys}, dtype=dtype, want=['times', 'why'])[table.name]
                theirs = self.oracle.fetch(table.name, [key.encode() for key in keys] if isinstance(keys, list)
                                           else keys.tolist(), times=True, why=True, **({'dtype': dtype} if dtype else {}))
                self.assertEqual(mine.rows.tobytes(), theirs['rows'], (table.name, dtype))
                self.assertEqual(mine.found.tolist(), harness.bits(theirs['found'], 50).tolist())
                self.assertEqual(mine.times.tobytes(), theirs['times'])
                self.assertEqual(mine.why.tobytes(), theirs['why'])
                self.assertEqual(None if mine.scales is None else mine.scales.tobytes(), theirs.get('scales'))
                self.assertEqual(mine.rows.ndim, 3 if table.views > 1 and mine.dtype != 'bit' else 2)

    def test_rows_are_not_copied(self) -> None:
        rows = self.make()
        got = self.client.fetch({'t': np.arange(COUNT)})['t'].rows
        self.assertTrue(got.flags.writeable and got.flags.c_contiguous and got.flags.aligned)
        self.assertTrue(np.array_equal(got, rows))
        mine = np.zeros((COUNT, DIM), 'f4')
        self.assertIs(self.client.fetch({'t': np.arange(COUNT)}, out={'t': mine})['t'].rows, mine)
        self.assertTrue(np.array_equal(mine, rows))
        for wrong in (np.zeros((COUNT, DIM), 'f2'), np.zeros((COUNT, DIM + 1), 'f4'), np.zeros((DIM, COUNT), 'f4').T):
            with self.assertRaisesRegex(repstore.BadRequest, "out of 't'"):
                self.client.fetch({'t': np.arange(COUNT)}, out={'t': wrong})

    def test_keys_of_every_layout(self) -> None:
        rows = self.make()
        want = list(range(0, 40, 2))
        every: Any = np.arange(40)
        for keys in (want, tuple(want), range(0, 40, 2), iter(want), every[::2], every[::2].astype('u8'), every.astype('u8')[::2],
                     every[::2].astype('>u8'), every[::2].astype('>i8'), every[::2].astype('i2'), every[::2].astype('u1'),
                     every[::2].astype(object), np.asfortranarray(np.stack([every, every], 1))[::2, 0], map(int, want)):
            self.assertTrue(np.array_equal(self.client.fetch({'t': keys})['t'].rows, rows[want]), repr(keys))

    def test_a_table_that_is_wider_or_narrower_after_a_publish(self) -> None:
        self.make()
        self.client.fetch({'t': [1]})
        for release, dim in (('wider', 2 * DIM), ('narrower', 5)):
            with self.client.new_release(release) as each:
                each.create_table('t', entity='item', kind='ir', dim=dim, dtype='f16')
                each.load('t', [1], np.full((1, dim), 3, 'f2'))
                each.seal().publish()
            mine = np.empty((1, dim), 'f2')
            got = self.client.fetch({'t': [1]}, out={'t': mine})
            self.assertEqual((got.release, mine.tolist()), (release, [[3] * dim]))
            self.assertEqual(self.client.fetch({'t': [1]})['t'].rows.shape, (1, dim))
        with self.client.new_release('other') as each:
            each.create_table('t', entity='item', kind='ir', dim=5, dtype='bf16')       # as wide as before
            each.load('t', [1], np.full((1, 5), 0x4040, 'u2'), dtype='bf16')
            each.seal().publish()
        other = self.client.fetch({'t': [1]})['t']
        self.assertEqual((other.dtype, other.rows.dtype, other.rows.tolist()), ('bf16', np.dtype('u2'), [[0x4040] * 5]))

    def test_what_is_missing(self) -> None:
        self.make()
        got = self.client.fetch({'t': [1, COUNT]})['t']
        self.assertEqual((got.found.tolist(), got.rows[1].tolist()), ([True, False], [0] * DIM))
        self.assertTrue(np.isnan(self.client.fetch({'t': [1, COUNT]}, missing='nan')['t'].rows[1]).all())
        with self.assertRaisesRegex(KeyError, 'the first are %d' % COUNT):
            self.client.fetch({'t': [1, COUNT]}, missing='raise')
        with self.assertRaisesRegex(KeyError, 'the first are %d' % COUNT):
            self.client.fetch({'t': iter([1, COUNT])}, missing='raise')
        self.assertEqual(self.client.fetch({'t': []})['t'].rows.shape, (0, DIM))

    def test_a_scan_has_every_row(self) -> None:
        rows = self.make()
        batches = list(self.client.scan('t', batch=70))
        self.assertGreater(len(batches), 3)
        keys = np.concatenate([batch.keys for batch in batches])
        self.assertEqual(sorted(keys.tolist()), list(range(COUNT)))
        self.assertTrue(np.array_equal(np.concatenate([batch.rows for batch in batches]), rows[keys.astype(int)]))

    def test_the_parts_of_a_scan_have_every_row_once(self) -> None:
        self.make()
        for count in (1, 2, 7):
            keys = [int(key) for i in range(count) for batch in self.client.scan('t', shard=(i, count), batch=20)
                    for key in batch.keys]
            self.assertEqual(sorted(keys), list(range(COUNT)))
        for wrong in ((1, 1), (2, 2), (-1, 2), (0, 0)):
            with self.assertRaisesRegex(repstore.BadRequest, 'shard'):
                next(self.client.scan('t', shard=wrong))

    def test_times_are_numbers_or_datetimes(self) -> None:
        self.make()
        when = np.array(['2024-01-01', '2024-01-02'], 'M8[D]')
        self.client.put('t', [1, 2], np.ones((2, DIM), 'f4'), times=when)
        times: Any = self.client.fetch({'t': [1, 2]}, want=['times'])['t'].times
        self.assertEqual(times.astype('M8[ms]').tolist(), when.astype('M8[ms]').tolist())
        self.assertFalse(self.client.fetch({'t': [1]}, max_age=3600)['t'].found[0])


class Searches(PythonCase):

    def test_the_best_items_and_the_scores_of_named_ones(self) -> None:
        rows = self.make()
        queries = rows[:3]
        got = self.client.retrieve('t', vectors=queries, release='r', k=5, with_=['t'])
        scores = queries @ rows.T
        best = np.argsort(-scores, kind='stable', axis=1)[:, :5]
        self.assertEqual(got.keys.tolist(), best.tolist())
        self.assertTrue(got.exact)
        self.assertTrue(np.allclose(got.scores, np.take_along_axis(scores, best, 1), rtol=1e-5))
        self.assertTrue(np.array_equal(got.with_['t'].rows, rows[best]))
        named = self.client.score('t', [4, COUNT, 9], from_=('t', [0, 1]))
        self.assertEqual(named.found.tolist(), [True, False, True])
        self.assertTrue(np.allclose(named.scores, scores[:2][:, [4, 5, 9]] * [1, 0, 1], rtol=1e-5, atol=1e-6))
        few = self.client.retrieve('t', from_=('t', [0, 1]), allow=[7], k=5)
        self.assertEqual((few.n.tolist(), few.keys.tolist()), ([1, 1], [[7], [7]]))

    def test_bits_whose_dim_does_not_fill_bytes(self) -> None:
        with self.client.new_release('r') as release:
            release.create_table('b', entity='item', kind='ir', dim=12, dtype='bit')
            release.load('b', [1, 2], np.array([[255, 240], [0, 0]], 'u1'))
            release.seal().publish()
        got = self.client.retrieve('b', vectors=np.array([255, 240], 'u1'), metric='hamming', release='r')
        self.assertEqual((got.keys.tolist(), got.scores.tolist()), ([[1, 2]], [[0, -12]]))

    def test_zero_is_a_value(self) -> None:
        self.make(tags=True)
        self.assertEqual(self.client.retrieve('t', from_=('t', [0]), tags_any=0).n.tolist(), [0])
        self.assertEqual(self.client.retrieve('t', from_=('t', [0]), allow=[]).n.tolist(), [0])
        self.assertFalse(self.client.fetch({'t': [0]}, max_age=0)['t'].found[0])
        self.assertEqual(self.client.retrieve('t', from_=('t', [0]), k=7).n.tolist(), [7])


class Writes(PythonCase):

    def test_samples_count_once(self) -> None:
        with self.client.new_release('r') as release:
            release.create_table('cu@l', entity='user', kind='cr', dim=2, decay_events=1, read='sum')
            release.seal().publish()
        sent: dict[str, Any] = dict(rows=np.ones((3, 2), 'f4'), times=[harness.now_ms()] * 3, users=[1, 1, 2], source='s')
        self.assertEqual(self.client.observe('l', position=0, **sent).next, 3)
        self.assertEqual(self.client.observe('l', position=0, **sent).count, 0)
        self.assertEqual(self.client.fetch({'cu': [1, 2]})['cu'].rows.tolist(), [[2, 2], [1, 1]])
        with self.assertRaises(repstore.Gap):
            self.client.observe('l', position=9, **sent)
        self.assertEqual([(each.source, each.next) for each in self.client.positions()], [('s', 3)])

    def test_parts_are_written_together_and_keys_deleted(self) -> None:
        self.make()
        self.client.put_parts({'t': dict(keys=[1, 2], rows=np.zeros((2, DIM), 'f4'))})
        self.assertEqual(self.client.delete('t', [1, 999]).count, 1)
        self.assertEqual(self.client.fetch({'t': [1, 2]})['t'].found.tolist(), [False, True])
        self.client.merge()
        self.assertEqual(self.client.stats()['write']['memtable_rows'], 0)

    def test_tables_are_merged_alone_and_repaired(self) -> None:
        self.make()
        self.client.put_parts({'t': dict(keys=[1, 2], rows=np.zeros((2, DIM), 'f4'))})
        self.assertEqual(self.client.merge(['t'], full=True).tables, 1)
        self.assertEqual(self.client.merge(release='live').tables, 0)
        with self.assertRaises(repstore.NotFound):
            self.client.merge(['none'])
        with self.assertRaises(repstore.BadRequest):
            self.client.merge(full=True)
        self.assertEqual(self.client.repair('t').ranges, 0)
        self.assertEqual(self.client.repair('t', dry_run=True).lost, 0)
        with self.assertRaises(repstore.NotFound):
            self.client.repair('none')

    def test_a_load_goes_on_where_it_stopped(self) -> None:
        """Rows that are read as they are needed, and a user who interrupts: the same call again is enough."""
        rows = np.arange(COUNT * DIM, dtype='f4').reshape(COUNT, DIM)

        class Lazy:
            reads = 0

            def __len__(self) -> int:
                return COUNT

            def __getitem__(self, part: slice) -> Any:
                self.reads += 1
                if self.reads == 1 + 30 + 12:       # one row for its type, each chunk to know them, then it sends
                    raise KeyboardInterrupt
                return rows[part]

        def fill(given: Any) -> int:
            release = self.client.new_release('r', exist_ok=True)
            release.create_table('t', entity='item', kind='ir', dim=DIM, exist_ok=True)
            return release.load('t', np.arange(COUNT), given, chunk_bytes=10 * DIM * 4)

        with self.assertRaises(KeyboardInterrupt):
            fill(Lazy())
        self.assertEqual(self.oracle.call('release.show', release='r')['loads'][0]['next_chunk'], 11)
        before = self.client.stats()['requests']['load']['count']
        self.assertEqual(fill(rows), COUNT)
        self.assertEqual(self.client.stats()['requests']['load']['count'] - before, 30 - 11)
        release = self.client.release('r').seal().publish()
        self.assertTrue(np.array_equal(self.client.fetch({'t': np.arange(COUNT)})['t'].rows, rows))
        self.assertEqual([each.id for each in self.client.releases()], ['r'])
        self.assertEqual(release.show().rows, COUNT)
        with self.assertRaisesRegex(repstore.Exists, 'is live; take another name'):
            self.client.new_release('r', exist_ok=True)
        self.client.new_release('next').seal()
        with self.assertRaisesRegex(repstore.Exists, 'is sealed; publish it, or drop it and load again'):
            self.client.new_release('next', exist_ok=True)

    def test_a_table_takes_several_loads(self) -> None:
        release = self.client.new_release('r').create_table('t', entity='item', kind='ir', dim=DIM)
        rows = np.ones((4, DIM), 'f4')
        self.assertEqual(release.load('t', [1, 2, 3, 4], rows), 4)
        self.assertEqual(release.load('t', [5, 6, 7, 8], 2 * rows), 4)
        self.assertEqual(release.load('t', [9, 10], rows[:2], chunk_bytes=1), 2)
        self.assertEqual(release.load('t', [], rows[:0]), 0)
        with self.assertRaises(repstore.Exists):
            release.create_table('t', entity='item', kind='ir', dim=DIM)
        with self.assertRaises(repstore.Exists):
            release.create_table('t', entity='item', kind='ir', dim=DIM + 1, exist_ok=True)
        part = release.loads()[0]['load']
        release.forget('t', part)
        release.seal().publish()
        self.assertEqual(self.client.fetch({'t': range(1, 12)})['t'].found.sum(), 6)

    def test_rows_of_another_byte_order_are_stored_as_they_are_meant(self) -> None:
        self.make()
        for dtype in ('>f4', '>f2', '<f2'):
            self.client.put('t', [1], np.full((1, DIM), 1.5, dtype))
            self.assertEqual(self.client.fetch({'t': [1]})['t'].rows[0, 0], 1.5)
        self.client.put('t', np.array([3], '>u8'), np.full((1, DIM), 4, 'f4'), times=np.array([harness.now_ms()], '>i8'))
        self.assertEqual(self.client.fetch({'t': [3]})['t'].rows[0, 0], 4)

    def test_byte_keys_are_exact_or_refused(self) -> None:
        with self.client.new_release('r') as release:
            release.create_table('b', entity='item', kind='ir', dim=1, key='bytes')
            release.seal().publish()
        row = np.ones((2, 1), 'f4')
        exact = np.array([b'k\0', b'\0\0'], 'V2')
        self.client.put('b', exact, row)
        self.assertEqual(self.client.fetch({'b': [b'k\0', b'\0\0', b'k']})['b'].found.tolist(), [True, True, False])
        self.client.put('b', {'x', 'y'}, row)
        self.assertTrue(self.client.fetch({'b': np.array(['x', 'y'])})['b'].found.all())
        wrong: Any
        for wrong in (np.array([b'k', b'kk\0'], 'S5'), ['a', 3], ['a', None], np.array([['p'], ['q']]), ['', 'a']):
            with self.assertRaises(repstore.BadRequest):
                self.client.put('b', wrong, row)

    def test_byte_keys_are_no_keys_of_a_table_of_integers(self) -> None:
        """Two of 7 bytes are packed into as many bytes as two integers."""
        names, row = ['user-01', 'user-02'], np.array([[1], [2]], 'f4')
        when = [harness.now_ms()] * 2
        with self.client.new_release('r') as release:
            key: Any
            for table, key in (('i', 'u64'), ('b', 'bytes')):
                release.create_table(table, entity='item', kind='ir', dim=1, key=key)
                release.create_table('c%s@l%s' % (table, table), entity='item', kind='cr', dim=1, key=key)
                release.create_table('h' + table, entity='user', kind='ur', dim=1, key=key, history=2)
            with self.assertRaises(repstore.BadRequest):
                release.load('i', names, row)
            release.load('i', [1, 2], row)
            release.load('b', names, row)
            release.seal().publish()
        client = self.client

        def calls(table: str, known: Any) -> list[Any]:
            return [lambda: client.fetch({table: names})[table].rows, lambda: client.score(table, names, from_=(table, known)).scores,
                    lambda: client.retrieve(table, from_=(table, names), k=1).scores,
                    lambda: client.retrieve(table, from_=(table, known), allow=names).keys.size,
                    lambda: client.retrieve(table, from_=(table, known), deny=names).n,
                    lambda: client.put(table, names, row).count, lambda: client.put_parts({table: {'keys': names, 'rows': row}}).count,
                    lambda: client.observe('l' + table, items=names, rows=row, times=when).count,
                    lambda: client.append('h' + table, names, row, times=when).count, lambda: client.delete(table, names).count]
        for call in calls('i', [1]):
            with self.assertRaisesRegex(repstore.BadRequest, "keys are u64"):
                call()
        self.assertEqual(sorted(key for batch in client.scan('i') for key in batch.keys.tolist()), [1, 2])
        got = [call() for call in calls('b', names[:1])]
        self.assertEqual([np.asarray(each).tolist() for each in got], [
            [[1], [2]], [[1, 2]], [[2], [4]], 2, [0], 2, 2, 2, 2, 2])
        many = ['%07d' % i for i in range(600000)]        # more than are written one by one
        self.assertFalse(client.fetch({'b': many})['b'].found.any())
        self.assertFalse(client.fetch([repstore.Part('b', many[:262144])] * 4)[3].found.any())


class Errors(PythonCase):

    def test_each_is_the_built_in_one_that_it_means(self) -> None:
        self.make()
        row = np.ones((1, DIM), 'f4')
        kind: Any
        for kind, code, call in (
                (KeyError, 'NOT_FOUND', lambda: self.client.fetch({'no': [1]})),
                (KeyError, 'NOT_FOUND', lambda: self.client.put('no', [1], row)),
                (ValueError, 'BAD_REQUEST', lambda: self.client.put('t', [1], np.ones((1, DIM + 1), 'f4'))),
                (repstore.Exists, 'EXISTS', lambda: self.client.new_release('r')),
                (repstore.Sealed, 'SEALED', lambda: self.client.release('r').load('t', [1], row)),
                (repstore.Conflict, 'CONFLICT', lambda: self.client.release('r').drop()),
                (KeyError, 'NOT_FOUND', lambda: self.client.rollback()),
                (repstore.Unsupported, 'UNSUPPORTED', lambda: self.client.call('no.such'))):
            with self.assertRaises(kind) as told:
                call()
            self.assertEqual(told.exception.code, code)
            self.assertTrue(told.exception.outcome_known)
        self.daemon.stop()
        with self.assertRaises(OSError) as told:
            self.client.put('t', [1], row)
        self.assertIsInstance(told.exception, repstore.RepstoreError)

    def test_wrong_arguments_are_named_before_anything_is_sent(self) -> None:
        self.make()
        client: Any = self.client
        part: Any = repstore.Part
        before = self.client.stats()['requests'].get('put', {'count': 0})['count']
        row = np.ones((1, DIM), 'f4')
        for words, call in (
                ('keys', lambda: client.put('t', [-1], row)),
                ('keys', lambda: client.fetch({'t': np.array([3, -2])})),
                ('keys', lambda: client.fetch({'t': np.array([-2], 'i1')})),
                ('keys', lambda: client.put('t', [1.5], row)),
                ('keys', lambda: client.put('t', np.array([1.9], object), row)),
                ('keys', lambda: client.put('t', [True], row)),
                ('keys', lambda: client.fetch({'t': 7})),
                ('keys', lambda: client.fetch([part('t', None)])),
                ('parts', lambda: client.fetch(['t'])),
                ('dtype: stands in each Part', lambda: client.fetch([repstore.Part('t', [1])], dtype='f32')),
                ('through', lambda: client.fetch({'t': [1]}, through='relu')),
                ('seconds', lambda: client.put('t', [1], row, times=[1795945505.5])),
                ('seconds', lambda: client.put('t', [1], row, times=[1795945505])),
                ('NaT', lambda: client.put('t', [1], row, times=np.array(['NaT'], 'M8[ms]'))),
                ('packbits', lambda: client.put('t', [1], row > 0)),
                ('rows: a masked', lambda: client.put('t', [1], np.ma.array(row, mask=row > 0))),
                ('keys: a masked', lambda: client.put('t', np.ma.array([1], mask=[True]), row)),
                ('times: a masked', lambda: client.put('t', [1], row, times=np.ma.array([1795945505000], mask=[True]))),
                ('rows: of the shape', lambda: client.put('t', [1], row.reshape(1, 2, DIM // 2))),
                ('k: 0', lambda: client.retrieve('t', from_=('t', [1]), k=0)),
                ('approximate', lambda: client.retrieve('t', from_=('t', [1]), approximate=0)),
                ('tags_any', lambda: client.retrieve('t', from_=('t', [1]), tags_any=-1)),
                ('want', lambda: client.fetch({'t': [1]}, want='times')),
                ('out: T', lambda: client.fetch({'t': [1]}, out={'T': row})),
                ("out of 't'", lambda: client.fetch({'t': [1]}, out={'t': [0] * DIM})),
                ('keys', lambda: client.put('t', [2 ** 64], row)),
                ('keys', lambda: client.put('t', 'abc', row)),
                ('keys', lambda: client.put('t', [b''], row)),
                ('rows: of the shape', lambda: client.put('t', [1, 2], row)),
                ("float64.*astype", lambda: client.put('t', [1], row.astype('f8'))),
                ('times', lambda: client.put('t', [1], row, times=[1, 2])),
                ('tags: -1', lambda: client.put('t', [1], row, tags=[-1])),
                ('dtype', lambda: client.fetch({'t': [1]}, dtype='f8')),
                ('want', lambda: client.fetch({'t': [1]}, want=['time'])),
                ('missing', lambda: client.fetch({'t': [1]}, missing='none')),
                ('metric', lambda: client.retrieve('t', from_=('t', [1]), metric='dot')),
                ('from_, vectors', lambda: client.retrieve('t')),
                ('source and position', lambda: client.observe('l', rows=row, times=[1], users=[1], source='s')),
                ('NUL', lambda: client.fetch({'t\0': [1]})),
                ('timeout', lambda: client.fetch({'t': [1]}, timeout=0))):
            with self.assertRaisesRegex(repstore.BadRequest, words):
                call()
        self.assertEqual(self.client.stats()['requests'].get('put', {'count': 0})['count'], before)

    def test_a_time_out_is_of_each_call(self) -> None:
        self.make()
        query: dict[str, Any] = dict(vectors=np.ones((256, DIM), 'f4'), release='r', k=COUNT)
        with self.assertRaises(TimeoutError):
            for _ in range(10000):
                self.client.retrieve('t', timeout=0.001, **query)
        self.assertEqual(len(self.client.retrieve('t', **query).n), 256)


class Sharing(PythonCase):

    def test_threads_share_a_client(self) -> None:
        rows = self.make()
        crowd = harness.Crowd()

        def read(seed: int) -> None:
            random = np.random.default_rng(seed)
            for _ in range(1000):
                keys = random.integers(0, COUNT, 20)
                assert np.array_equal(self.client.fetch({'t': keys})['t'].rows, rows[keys])
            self.client.close()

        for seed in range(10):
            crowd.start(read, seed)
        crowd.join()

    def test_parent_and_child_go_on_after_a_fork(self) -> None:
        rows = self.make()
        query = self.client.prepare(['t'])
        query(t=[1])
        context = multiprocessing.get_context('fork')
        out = context.Queue()
        child = context.Process(target=lambda: out.put([
            query(t=[i])['t'].rows.tolist() for i in range(50)]))
        child.start()
        mine = [query(t=[i])['t'].rows.tolist() for i in range(50)]
        theirs = out.get(timeout=harness.CALL_SECONDS)
        child.join()
        self.assertEqual(mine, [[row.tolist()] for row in rows[:50]])
        self.assertEqual(theirs, mine)

    def test_a_client_can_be_sent_to_another_process(self) -> None:
        rows = self.make()
        with multiprocessing.get_context('fork').Pool(1) as pool:
            got = pool.apply(repstore.Client.fetch, (self.client, {'t': [1]}))
        self.assertTrue(np.array_equal(got['t'].rows, rows[1:2]))

    def test_another_address_is_tried(self) -> None:
        rows = self.make()
        for address, others in (('unix:%s/no' % self.scratch, [self.daemon.address]), (self.daemon.address, ['tcp:no:1'])):
            with repstore.Client(address, others=others, spin_us=50) as client:
                self.assertTrue(np.array_equal(client.fetch({'t': [1]})['t'].rows, rows[1:2]))
                self.assertEqual(pickle.loads(pickle.dumps(client))._where, client._where)
        with self.assertRaises(OSError):
            repstore.Client('unix:%s/no' % self.scratch, others=['unix:%s/nor' % self.scratch])
        wrong: Any = repstore.Client
        for words, options in (('others', dict(others='tcp:a:1')), ('spin_us', dict(spin_us=-1)), ('spin', dict(spin_us=10 ** 6)),
                               ('others: 7', dict(others=[7]))):
            with self.assertRaisesRegex(repstore.BadRequest, words):
                wrong(self.daemon.address, **options)

    def test_a_daemon_that_does_not_answer(self) -> None:
        """The time-out is of the whole call, also where it has to connect again."""
        self.make()
        self.daemon.hold()
        try:
            for _ in range(2):
                began = time.monotonic()
                with self.assertRaises(OSError):
                    self.client.put('t', [1], np.ones((1, DIM), 'f4'), timeout=0.2)
                self.assertLess(time.monotonic() - began, 4)
        finally:
            self.daemon.go_on()


if __name__ == '__main__':
    harness.main()
