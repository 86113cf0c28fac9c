"""test_python_release.py - what a release has besides rows, from Python: tables, tensors, layers, positions."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import numpy as np

import harness
from python_case import COUNT, DIM, PythonCase, repstore

TENSORS = ('f4', 'f2', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8')


class Tensors(PythonCase):

    def setUp(self) -> None:
        super().setUp()
        self.rows = self.make()

    def test_every_dtype_and_shape_comes_back(self) -> None:
        random = harness.random_state(1)
        for dtype in TENSORS:
            for shape in ((), (3,), (2, 3), (1, 2, 1, 2, 1, 2, 1, 2)):
                value = (random.random(shape) * 100).astype(dtype)
                self.client.put_tensor('x', value)
                got = self.client.tensor('x')
                self.assertEqual((got.array.dtype, got.array.shape, got.name), (value.dtype, shape, 'x'))
                self.assertEqual(got.array.tobytes(), value.tobytes())
                self.assertEqual(got.dtype, self.oracle.call('tensor.get', tensor='x')['dtype'])
        half = np.arange(6, dtype='u2').reshape(2, 3)
        self.client.put_tensor('b', half, dtype='bf16')
        self.assertEqual(self.client.tensor('b').dtype, 'bf16')
        self.client.put_tensor('copy', self.client.tensor('b'))
        self.assertEqual([(each.name, each.dtype, each.shape) for each in self.client.tensors()],
                         [('b', 'bf16', (2, 3)), ('copy', 'bf16', (2, 3)), ('x', 'u64', (1, 2, 1, 2, 1, 2, 1, 2))])
        for name, value in (('swapped', np.arange(4, dtype='>i4')), ('list', [1.5, 2]), ('turned', half.T)):
            self.client.put_tensor(name, value)
            self.assertTrue(np.array_equal(self.client.tensor(name).array, value))
        self.client.delete_tensor('x')
        with self.assertRaises(KeyError):
            self.client.tensor('x')

    def test_rows_go_through_stored_layers(self) -> None:
        weight, bias = np.ones((2, DIM), 'f4'), np.array([0, -1000], 'f4')
        self.client.put_tensor('a.weight', weight)
        self.client.put_tensor('a.bias', bias)
        got = self.client.fetch({'t': [1, 2]}, through=['a', 'relu'])['t'].rows
        self.assertTrue(np.allclose(got, np.maximum(self.rows[1:3] @ weight.T + bias, 0), atol=1e-4))
        best = self.client.retrieve('t', from_=('t', [1]), through=['relu'], k=1)
        self.assertEqual(best.n.tolist(), [1])

    def test_those_of_a_release_that_is_not_live(self) -> None:
        release = self.client.new_release('s').put_tensor('x', np.float32(3))
        self.assertEqual((release.tensor('x').array.tolist(), len(release.tensors()), len(self.client.tensors())), (3, 1, 0))
        release.delete_tensor('x')
        self.assertEqual(release.tensors(), [])

    def test_what_is_no_tensor(self) -> None:
        client: Any = self.client
        for words, call in (
                ('bool', lambda: client.put_tensor('x', np.ones(3, bool))),
                ("float32 given as 'f16'", lambda: client.put_tensor('x', np.ones(3, 'f4'), dtype='f16')),
                ('9 dimensions', lambda: client.put_tensor('x', np.ones((1,) * 9))),
                ('100 bytes', lambda: client.put_tensor('x' * 100, np.ones(1))),
                ('name', lambda: client.put_tensor(7, np.ones(1)))):
            with self.assertRaisesRegex(repstore.BadRequest, words):
                call()


class Descriptions(PythonCase):

    def test_tables_say_how_they_were_created(self) -> None:
        with self.client.new_release('r', model='m', checkpoint='c') as release:
            release.create_table('a', entity='item', kind='ir', dim=DIM, dtype='f16', tags=True, ttl=3600, index='balls')
            release.create_table('b', entity='user', kind='ur', dim=4, views=2, key='bytes')
            release.create_table('c@l', entity='user', kind='cr', dim=2, half_life=86400, read='mean')
            release.load('a', np.arange(COUNT), np.ones((COUNT, DIM), 'f2'))
            self.assertEqual([each.name for each in release.tables()], ['a', 'b', 'c@l'])
            a, b, c = release.table('a'), release.table('b'), release.table('c@l')
            release.seal().publish()
        self.assertEqual((a.entity, a.kind, a.dtype, a.key_type, a.dim, a.tags, a.ttl_ms, a.index),
                         ('item', 'ir', 'f16', 'u64', DIM, True, 3600000, 'balls'))
        self.assertEqual((b.views, b.key_type, b.index), (2, 'bytes', None))
        self.assertEqual((c.reading, c.half_life_ms, c.decay_events), ('mean', 86400000, 1))
        self.assertEqual((self.client.table('a').rows, self.client.table('a', release='r').rows), (COUNT, COUNT))
        shown = self.client.release('r').show()
        self.assertEqual((shown.model, shown.checkpoint, shown.state), ('m', 'c', 'live'))
        with self.assertRaises(KeyError):
            self.client.table('no')
        with self.assertRaises(AttributeError):
            a.no_such_name

    def test_drop_and_rollback(self) -> None:
        for name in ('r', 's'):
            with self.client.new_release(name) as release:
                release.create_table('t', entity='item', kind='ir', dim=1).seal().publish()
        self.assertEqual(self.client.rollback(), 'r')
        self.client.release('s').drop()
        self.assertEqual([(each.id, each.state) for each in self.client.releases()], [('r', 'live')])

    def test_what_the_daemon_is_and_does(self) -> None:
        self.make()
        self.assertEqual(self.client.info()['pid'], self.daemon.process.pid)
        self.assertEqual(self.client.stats()['store']['live'], 'r')
        self.assertGreater(self.client.ping(), 0)
        who = self.client.whoami()
        self.assertEqual(who.peer, 'uid:%d' % os.geteuid())
        self.assertEqual(who.roles, ('read', 'write', 'publish', 'admin'))
        self.client.put('t', [1], np.ones((1, DIM), 'f4'))
        self.assertEqual(self.client.merge().tables, 1)
        self.assertEqual(self.client.fetch({'t': [1]}).release, 'r')


    def test_a_backup(self) -> None:
        self.make()
        with self.assertRaises(repstore.Unsupported):
            self.client.backup('b')
        os.makedirs(self.path('backups'))
        self.client.close()
        self.oracle.close()
        self.daemon.args += ['--backup-folder', self.path('backups')]
        self.daemon.restart()
        with repstore.Client(self.daemon.address) as client:
            made = client.backup('b', copy=True)
            self.assertEqual((made.linked, made.bytes), (0, made.written))
            self.assertGreater(client.backup('b', copy=True).kept, 0)
        self.assertIn('manifest', os.listdir(self.path('backups/b')))

    def test_a_release_is_exported_and_adopted(self) -> None:
        self.make()
        os.makedirs(self.path('backups'))
        self.client.close()
        self.oracle.close()
        self.daemon.args += ['--backup-folder', self.path('backups')]
        self.daemon.restart()
        with repstore.Client(self.daemon.address) as client:
            live = client.fetch({'t': [1]}).release
            exported = client.export_release('e', copy=True)
            self.assertEqual((exported.release, exported.linked, exported.bytes), (live, 0, exported.written))
            self.assertGreater(client.export_release('e', release=live, copy=True).kept, 0)
            with self.assertRaises(repstore.Exists):
                client.adopt_release('e')
            adopted = client.adopt_release('e', release='again')
            self.assertEqual(adopted.release, 'again')
            shown = {each.id: each for each in client.releases()}
            self.assertEqual((shown['again'].number, shown['again'].state), (adopted.number, 'sealed'))
            self.assertEqual((adopted.tables, adopted.rows), (shown[live].tables, shown[live].rows))
            keys = [1, 2, 3]
            np.testing.assert_array_equal(client.fetch({'t': keys}, release='again')['t'].rows, client.fetch({'t': keys})['t'].rows)

            async def ask() -> None:
                async with repstore.AsyncClient(self.daemon.address) as other:
                    self.assertEqual((await other.export_release('f', release='again')).release, 'again')
                    self.assertEqual((await other.adopt_release('f', release='third')).release, 'third')
            asyncio.run(ask())


class Layers(PythonCase):

    def setUp(self) -> None:
        super().setUp()
        with self.client.new_release('r') as release:
            for layer in ('a', 'b'):
                release.create_table('cu@' + layer, entity='user', kind='cr', dim=2, read='sum')
            release.create_table('ci@b', entity='item', kind='cr', dim=2, key='bytes')
            release.seal().publish()

    def observe(self, layer: str, source: str, position: int, count: int = 2) -> Any:
        return self.client.observe(layer, rows=np.ones((count, 2), 'f4'), times=[harness.now_ms()] * count, users=[1] * count,
                                   items=['k'] * count, source=source, position=position)

    def test_a_layer_is_chosen(self) -> None:
        self.assertEqual(sorted((each.layer, each.chosen, each.user_key, each.item_key, each.tables) for each in
                                self.client.layers()), [('a', True, 'u64', None, ['cu@a']),
                                                        ('b', False, 'u64', 'bytes', ['ci@b', 'cu@b'])])
        self.assertEqual(self.client.fetch({'cu': [1]})['cu'].table, 'cu@a')
        self.client.choose_layer('b')
        self.assertEqual(self.client.fetch({'cu': [1]})['cu'].table, 'cu@b')
        self.client.choose_layer('a', release='r')
        self.assertEqual({each.layer: each.chosen for each in self.client.layers('r')}, {'a': True, 'b': False})
        with self.assertRaises(KeyError):
            self.client.choose_layer('c')

    def test_positions_and_what_a_gap_expects(self) -> None:
        with self.assertRaises(repstore.Gap) as told:
            self.observe('a', 's', 4)
        self.assertIsNone(told.exception.expected)
        self.observe('a', 's', 0)
        with self.assertRaises(repstore.Gap) as told:
            self.observe('a', 's', 7)
        self.assertEqual(told.exception.expected, 2)
        for source in ('t', 'u'):
            self.observe('b', source, 0)
        self.observe('b', 's', 0, 3)
        self.assertEqual(sorted((each.layer, each.source, each.next) for each in self.client.positions()),
                         [('a', 's', 2), ('b', 's', 3), ('b', 't', 2), ('b', 'u', 2)])
        self.assertEqual(self.client.forget_positions('s', layer='a'), 1)
        self.assertEqual(self.client.forget_positions('s', release='r'), 1)
        self.assertEqual(sorted(each.source for each in self.client.positions('r')), ['t', 'u'])
        self.assertEqual(self.client.forget_positions(oldest=1), 1)     # either: they may have come in one millisecond
        self.assertEqual(len(self.client.positions()), 1)
        with self.assertRaises(KeyError):
            self.client.forget_positions('s')
        client: Any = self.client
        for wrong in ({}, dict(source='s', oldest=1), dict(oldest=0)):
            with self.assertRaises(repstore.BadRequest):
                client.forget_positions(**wrong)


class Defaults(PythonCase):

    def test_a_key_without_a_row_gets_what_its_table_says(self) -> None:
        rows = np.arange(8, dtype='f4').reshape(2, 4)
        given = np.array([9, 8, 7, 6], 'f4')
        with self.client.new_release('r') as release:
            for name, default in (('zeros', 'zeros'), ('mean', 'mean'), ('given', given), ('none', None)):
                release.create_table(name, entity='item', kind='ir', dim=4, default=default)
                release.load(name, [1, 2], rows)
            release.create_table('i8', entity='item', kind='ir', dim=4, dtype='i8', default=np.arange(4, dtype='i1'),
                                 default_scale=0.5)
            release.seal().publish()
        got = self.client.fetch({name: [1, 3] for name in ('zeros', 'mean', 'given')}, missing='default', want=['why'])
        for name, expected in (('zeros', np.zeros(4)), ('mean', rows.mean(axis=0)), ('given', given)):
            np.testing.assert_array_equal(got[name].rows, [rows[0], expected])
            self.assertEqual(got[name].found.tolist(), [True, False])
            why = got[name].why
            assert why is not None
            self.assertEqual(why.tolist(), [0, 5])
        np.testing.assert_array_equal(
            self.client.fetch({'i8': [3]}, dtype='f32', missing='default')['i8'].rows, [[0, 0.5, 1, 1.5]])
        np.testing.assert_array_equal(self.client.fetch({'given': [3]})['given'].rows, np.zeros((1, 4)))
        with self.assertRaises(repstore.BadRequest):
            self.client.fetch({'none': [1]}, missing='default')
        self.assertEqual({each.name: each.default for each in self.client.tables()},
                         {'zeros': 'zeros', 'mean': 'mean', 'given': 'row', 'none': None, 'i8': 'row'})
        draft: Any = self.client.new_release('draft')
        wrongs: tuple[dict[str, Any], ...] = (
            dict(default='median'), dict(default=np.ones(3, 'f4')), dict(default=np.ones(4, 'f2')),
            dict(default='mean', dtype='bit'), dict(default=np.ones(4, 'i1'), dtype='i8'), dict(default_scale=2.0))
        for wrong in wrongs:
            with self.assertRaises(repstore.BadRequest):
                draft.create_table('t', entity='item', kind='ir', **{'dim': 4, **wrong})

    def test_a_query_without_a_row_asks_with_the_default_row(self) -> None:
        items = np.eye(4, dtype='f4')
        with self.client.new_release('r') as release:
            create: Any = release.create_table
            for dtype in ('f32', 'f16', 'i8'):
                create('u_' + dtype, entity='user', kind='ur', dim=4, dtype=dtype, default=[0, 0, 3, 1],
                                     default_scale=0.5 if dtype == 'i8' else None)
            release.create_table('mean', entity='user', kind='ur', dim=4, default='mean')
            release.create_table('none', entity='user', kind='ur', dim=4)
            release.create_table('zeros', entity='user', kind='ur', dim=4, default='zeros')
            release.create_table('i', entity='item', kind='ir', dim=4)
            release.load('mean', [1, 2], items[[0, 1]] * 2)
            release.load('u_f32', [1], items[:1])
            release.load('i', range(4), items)
            self.assertIsNone(self.client.default_row('mean', release='r'))
            release.seal().publish()
        got = self.client.retrieve('i', from_=('u_f32', [1, 7, 8]), k=2, missing='default')
        self.assertEqual((got.keys.tolist(), got.defaulted.tolist()), ([[0, 1], [2, 3], [2, 3]], [False, True, True]))
        self.assertEqual(self.client.retrieve('i', from_=('u_f32', [1])).defaulted.tolist(), [False])
        expected: Any
        for table, expected in (('u_f32', [0, 0, 3, 1]), ('u_f16', [0, 0, 3, 1]), ('u_i8', [0, 0, 1.5, 0.5]), ('mean', [1, 1, 0, 0]),
                                ('zeros', [0, 0, 0, 0])):
            scored = self.client.score('i', range(4), from_=(table, [9]), missing='default')
            self.assertEqual((scored.scores.tolist(), scored.defaulted.tolist()), ([expected], [True]))
            row: Any = self.client.default_row(table)
            np.testing.assert_array_equal(row.rows[0] * (1 if row.scales is None else row.scales[0]), expected)
            self.assertEqual(row.dtype, table[2:] if table.startswith('u_') else 'f32')
        self.assertIsNone(self.client.default_row('none'))
        with self.assertRaisesRegex(repstore.NotFound, 'no row of key 7'):
            self.client.retrieve('i', from_=('u_f32', [7]))
        retrieve: Any = self.client.retrieve
        with self.assertRaisesRegex(repstore.BadRequest, "'none' was created without a default row"):
            retrieve('i', from_=('none', [7]), missing='default')
        with self.assertRaisesRegex(repstore.BadRequest, 'from_'):
            retrieve('i', vectors=items, release='r', missing='default')
        with self.assertRaisesRegex(repstore.BadRequest, "'zero' given, one of 'raise', 'default'"):
            retrieve('i', from_=('u_f32', [7]), missing='zero')

    def test_a_default_row_is_of_the_table_s_dtype(self) -> None:
        draft: Any = self.client.new_release('draft')
        for given, dtype, said in ((np.ones(4, 'f4'), 'f16', 'default: of NumPy.s float32 given, float16 allowed in a table of f16'),
                                   (np.ones(4, 'f8'), 'f32', 'float64 given, float32 allowed'),
                                   (np.ones(4, 'f4'), 'bf16', 'float32 given, uint16 allowed'),
                                   ([300, 0, 0, 0], 'i8', 'default: 0 to 300 given, -128 to 127 allowed')):
            with self.assertRaisesRegex(repstore.BadRequest, said):
                draft.create_table('t', entity='item', kind='ir', dim=4, dtype=dtype, default=given,
                                   default_scale=1.0 if dtype == 'i8' else None)
        draft.create_table('f16', entity='item', kind='ir', dim=2, dtype='f16', default=[0.5, 2])      # numbers have none
        draft.create_table('i8', entity='item', kind='ir', dim=2, dtype='i8', default=[-3, 3], default_scale=0.5)
        draft.seal().publish()
        got = self.client.fetch({'f16': [1], 'i8': [1]}, dtype='f32', missing='default')
        self.assertEqual((got['f16'].rows.tolist(), got['i8'].rows.tolist()), ([[0.5, 2]], [[-1.5, 1.5]]))


if __name__ == '__main__':
    harness.main()
