"""test_python_arguments.py - every argument of every public call of the Python package, given what it does not take.

What is refused is refused by name: the exception is the package's own, and says which argument, what was given, what is
allowed. What passes, passes; whether that is right is asked elsewhere.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import harness
from python_case import DIM, PythonCase, repstore

WRONG: tuple[Any, ...] = (
    5, -1, 2 ** 40, 2 ** 70, 1.5, float('nan'), float('inf'), '', 'x', 'x\0', 'x' * 300, '\ud800', b'x', None, True, object(),
    dict, [], [5], ['x', None], [[]], [[1, 2], [3]], (), ('x',), ('x', 5), (1, 2, 3), (2 ** 40, 2 ** 41), {}, {'x': 5}, {5: [1]},
    {'x': {'y': 5}}, {'x', 'y'}, np.zeros(0), np.ones((1, 1)), np.array(['x', 'y']), np.array(5), np.array([1, None], object),
    np.float32(1.5), np.int64(-3), range(3))
# What stands in a text for an argument: that of a thing that is not there says what it is.
ALSO = {'user': ('t',), 'copy': ('backup_folder',), 'parts': ('table', 'keys'), 'in_': ('table', "'in'"), 'from_': ('table', 'from', 'key'), 'through': ('layer', 'tensor'),
        'name': ('table', 'tensor', 'load'), 'key': ('key_type',), 'release': ('live', 'backup_folder'), 'with_': ('table', 'with'),
        'vectors': ('from', 'release', 'table'), 'value': ('tensor', 'shape'), 'k': ('items',), 'address': ('unix', 'tcp'),
        'others': ('unix', 'tcp'), 'users': ('keys', 'key', 'rows'), 'items': ('keys', 'key'), 'source': ('position',),
        'position': ('source',), 'layer': ('source',), 'oldest': ('source',), 'default': ('default_scale',), 'method': ('method',), 'half_life': ('half_life',),
        'kind': ('table',), 'table': ('rows_bytes',), 'params': ('no such parameter',), 'keys': ('key', 'rows'), 'entity': ('table',), 'tables': ('table',)}


class Arguments(PythonCase):

    def setUp(self) -> None:
        """A live release with rows, tags, a layer and a tensor, and an open one."""
        super().setUp()
        with self.client.new_release('r') as release:
            release.create_table('t', entity='item', kind='ir', dim=DIM, tags=True)
            release.create_table('cu@l', entity='user', kind='cr', dim=DIM).create_table('ci@l', entity='item', kind='cr', dim=DIM)
            release.create_table('h', entity='user', kind='ur', dim=DIM, history=2)
            release.load('t', range(20), np.ones((20, DIM), 'f4'))
            release.seal().publish()
        self.client.observe('l', rows=np.ones((1, DIM), 'f4'), times=[harness.now_ms()], users=[1], items=[1], source='s',
                            position=0)
        self.client.put_tensor('a', np.eye(DIM, dtype='f4'))
        self.client.new_release('open').create_table('t', entity='item', kind='ir', dim=DIM)
        self.count = 0

    def calls(self, release: Any) -> dict[str, dict[str, Any]]:
        """Arguments that each public call takes, of a client or of a release."""
        self.count += 1
        row, when, name = np.ones((1, DIM), 'f4'), [harness.now_ms()], 'n%d' % self.count
        keys = {'keys': [1], 'rows': row}
        if release is not None:
            return {'create_table': dict(name=name, entity='item', kind='ir', dim=4), 'table': dict(table='t'),
                    'load': dict(table='t', name=name, **keys), 'forget': dict(table='t', name=name),
                    'put_tensor': dict(name='a', value=row), 'tensor': dict(name='a'), 'delete_tensor': dict(name='a')}
        return {'fetch': dict(parts={'t': [1]}), 'prepare': dict(parts=['t']), 'put': dict(table='t', **keys),
                'put_parts': dict(parts={'t': keys}), 'delete': dict(table='t', keys=[1]),
                'observe': dict(layer='l', rows=row, times=when, users=[1], items=[1], source=name, position=0),
                'append': dict(table='h', times=when, source=name, position=0, **keys),
                'retrieve': dict(in_='t', from_=('t', [1])), 'score': dict(in_='t', keys=[1], from_=('t', [1])),
                'scan': dict(table='t'), 'new_release': dict(release=name), 'release': dict(release='r'), 'tables': {},
                'table': dict(table='t'), 'default_row': dict(table='t'), 'put_tensor': dict(name='a', value=row), 'tensor': dict(name='a'), 'tensors': {},
                'delete_tensor': dict(name='a'), 'layers': {}, 'choose_layer': dict(layer='l'), 'positions': {},
                'forget_positions': dict(source='s'), 'call': dict(method='ping'), 'backup': dict(folder=name),
                'export_release': dict(folder=name), 'adopt_release': dict(folder=name), 'merge': dict(tables=['t']), 'repair': dict(table='t')}

    def refuse(self, what: str, name: str, wrong: Any, call: Callable[[], Any]) -> None:
        self.count += 1
        try:
            call()
        except repstore.RepstoreError as error:
            words = (name, name.rstrip('_'), *ALSO.get(name, ()))
            self.assertTrue(any(word in str(error) for word in words), '%s(%s=%r): %s' % (what, name, wrong, error))
        except Exception as error:
            self.fail('%s(%s=%r): %s: %s' % (what, name, wrong, type(error).__name__, error))

    def test_a_wrong_one_is_named(self) -> None:
        of_release = self.client.release('open')
        for on, release in ((self.client, None), (of_release, of_release)):
            known = self.calls(release)
            for what in dir(on):
                function = getattr(on, what)
                if what.startswith('_') or not callable(function) or not inspect.signature(function).parameters:
                    continue
                self.assertIn(what, known, 'a call that this test does not know')
                for name in inspect.signature(function).parameters:
                    for wrong in WRONG:
                        with self.subTest(what=what, name=name, wrong=repr(wrong)):
                            self.refuse(what, name, wrong, lambda: self.used(function(**{**self.calls(release)[what], name: wrong})))
        self.assertTrue(self.client.fetch({'t': [15]})['t'].found[0])

    def test_a_client_is_made_of_arguments_that_are_right(self) -> None:
        for kind in (repstore.Client, repstore.AsyncClient):
            for name in inspect.signature(kind).parameters:
                for wrong in WRONG:
                    if name == 'address' and isinstance(wrong, (str, type(None))):
                        continue        # another daemon
                    with self.subTest(kind=kind.__name__, name=name, wrong=repr(wrong)):
                        self.refuse(kind.__name__, name, wrong, lambda: kind(**{'address': self.daemon.address, name: wrong}))

    def test_a_query_and_a_part_name_theirs(self) -> None:
        query: Any = self.client.prepare({'user': 't'})
        for wrong in WRONG:
            with self.subTest(wrong=repr(wrong)):
                self.refuse('query', 'user', wrong, lambda: query(user=wrong))
                self.refuse('query', 'timeout', wrong, lambda: query(user=[1], timeout=wrong))
            for name in inspect.signature(repstore.Part).parameters:
                with self.subTest(name=name, wrong=repr(wrong)):
                    part: Any = repstore.Part(**{'table': 't', 'keys': [1], name: wrong})
                    self.refuse('fetch', name, wrong, lambda: self.client.fetch([part]))

    def test_the_calls_of_asyncio_say_the_same(self) -> None:
        async def ask() -> None:
            async with repstore.AsyncClient(self.daemon.address) as client:
                for name, value in (('k', 2 ** 40), ('timeout', 'x'), ('from_', 5), ('release', 5), ('through', 5)):
                    wrong: Any = {'in_': 't', 'from_': ('t', [1]), name: value}
                    with self.assertRaisesRegex(repstore.BadRequest, name):
                        await client.retrieve(**wrong)
                    self.assertTrue((await client.fetch({'t': [1]}))['t'].found[0])
        asyncio.run(ask())

    def test_the_library_takes_no_name_that_is_NULL(self) -> None:
        """The package refuses None before; a program in C hears it from the daemon, or the library."""
        from repstore._repstore import ffi, lib
        null = ffi.NULL
        keys = ffi.new('uint64_t[]', [1])
        rows = ffi.new('struct rep_rows *', {'keys': (lib.REP_KEY_U64, 1, keys, 8), 'rows': keys, 'rows_bytes': 8})
        parts = ffi.new('struct rep_part[]', [{'keys': rows.keys}])
        out, load = ffi.new('void **'), ffi.new('rep_load **')
        spec = ffi.new('struct rep_table_spec *', {'name': b'n', 'entity': lib.REP_ITEM, 'kind': lib.REP_IR, 'dim': 1})
        tensor = ffi.new('struct rep_tensor *', {'name': b'n', 'dtype': lib.REP_TENSOR_U8})
        samples = ffi.new('struct rep_samples *', {'count': 1, 'users': rows.keys, 'times': ffi.cast('int64_t *', keys),
                                                   'rows': keys, 'rows_bytes': 8, 'dtype': lib.REP_F32})
        asked = ffi.new('struct rep_retrieval *', {'k': 1})
        asked.query.keys = rows.keys
        scan = ffi.gc(ffi.new('struct rep_scan *'), lib.rep_scan_free)
        before = self.client.stats()['connections']['accepted']
        for name, function, arguments in (
                ('release', lib.rep_release_create, (null, null, null)), ('release', lib.rep_release_seal, (null,)),
                ('release', lib.rep_release_drop, (null,)), ('release', lib.rep_release_publish, (null,)),
                ('release', lib.rep_table_create, (null, spec)), ('table', lib.rep_table_show, (null, null, ffi.new('struct rep_table *'))),
                ('tensor', lib.rep_tensor_get, (null, null, tensor, out)), ('tensor', lib.rep_tensor_delete, (null, null)),
                ('table', lib.rep_fetch, (null, parts, 1, null)), ('table', lib.rep_put, (null, null, rows, null)),
                ('table', lib.rep_delete, (null, null, rows.keys, null)), ('layer', lib.rep_observe, (null, samples, null)),
                ('layer', lib.rep_layer_choose, (null, null)), ('table', lib.rep_scan_next, (null, null, 0, 0, scan)),
                ('in', lib.rep_retrieve, (null, asked, ffi.new('struct rep_retrieved *'))),
                ('dir', lib.rep_backup, (null, False, null)), ('dir', lib.rep_release_export, (null, null, False, null)),
                ('dir', lib.rep_release_adopt, (null, null, null)),
                ('load', lib.rep_load_begin, (b'open', b't', null, load, null)), ('method', lib.rep_call, (null, null, 0, out, ffi.new('size_t *')))):
            connection = self.client._connect(None)
            arguments = tuple(self.text(ffi, each) for each in arguments)
            status = function(connection.client, *arguments, connection.error)
            said = ffi.string(connection.error.text).decode()
            self.assertEqual((status, name in said), (lib.REP_BAD_REQUEST, True), said)
        self.assertEqual(self.client.stats()['connections']['accepted'], before)        # none was lost

    def text(self, ffi: Any, value: Any) -> Any:
        return ffi.new('char[]', value) if isinstance(value, bytes) else value

    def used(self, result: Any) -> None:
        """What is made for a caller who waits says what is wrong when it is used."""
        if inspect.isgenerator(result):
            for _ in result:
                pass
        elif isinstance(result, repstore.Release):
            result.show()


if __name__ == '__main__':
    harness.main()
