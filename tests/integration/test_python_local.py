"""test_python_local.py - the calls of the Python package that read: a Client and a Local give the same."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any

import numpy as np

import harness
from python_case import BUILT, COUNT, DIM, HAS_LOCAL, PythonCase, repstore

ITEMS, ITEM_DIM = 150000, 128
RAGGED: Any = [b'name-%d' % i for i in range(COUNT)]


def plain(value: Any) -> Any:
    """What was read, as what can be compared bit for bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tolist() if value.dtype == object else value.tobytes()
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if type(value).__module__.startswith('repstore'):
        return plain({name: each for name, each in vars(value).items() if name != 'lag'})
    return value


@unittest.skipUnless(HAS_LOCAL, 'a wheel has no reader')
class Both(PythonCase):
    """The same call of both, and one result."""

    local: Any

    def setUp(self) -> None:
        super().setUp()
        random = harness.random_state(11)
        self.rows = random.standard_normal((COUNT, DIM)).astype('f4')
        codes, scales = harness.sample_rows('i8', COUNT, DIM)
        with self.client.new_release('r') as release:
            release.create_table('items', entity='item', kind='ir', dim=DIM, tags=True, index='balls')
            release.create_table('users', entity='user', kind='ur', dim=DIM, default='mean')
            release.create_table('codes', entity='item', kind='ir', dim=DIM, dtype='i8')
            release.create_table('names', entity='item', kind='ir', dim=DIM, dtype='f16', key='bytes')
            release.create_table('seen', entity='user', kind='ur', dim=DIM, history=3)
            release.create_table('cr_user@l', entity='user', kind='cr', dim=DIM, half_life=86400, read='mean')
            release.load('items', np.arange(COUNT), self.rows, tags=np.arange(COUNT) % 4)
            release.load('users', np.arange(COUNT), self.rows[::-1].copy())
            release.load('codes', np.arange(COUNT), codes, scales=scales)
            release.load('names', RAGGED, self.rows.astype('f2'))
            release.seal().publish()
        self.client.put_tensor('a.weight', np.eye(5, DIM, dtype='f4'))
        when = harness.now_ms() - np.arange(60)[::-1]
        self.client.append('seen', np.arange(60) % 20, self.rows[:60], times=when)
        self.client.observe('l', users=np.arange(60) % 20, rows=self.rows[:60], times=when)
        self.client.put('items', [5, COUNT + 5], self.rows[:2], tags=[7, 1])
        self.client.delete('items', [6])
        self.client.merge()
        self.local = repstore.Local(self.daemon.data)
        self.addCleanup(self.local.close)

    def same(self, call: Callable[[Any], Any]) -> Any:
        mine, theirs = (call(each) for each in (self.local, self.client))
        self.assertEqual(plain(mine), plain(theirs))
        return mine

    def test_fetches(self) -> None:
        keys = np.arange(0, COUNT + 30, 7)
        for table in ('items', 'users', 'codes', 'names', 'seen', 'cr_user'):
            asked: Any = keys if table != 'names' else [b'name-%d' % each for each in keys]
            want = ['times', 'why'] + (['history_times'] if table == 'seen' else [])
            for dtype in (None, 'f32', 'f16'):
                got = self.same(lambda client: client.fetch({table: asked}, dtype=dtype, want=want))
                self.assertFalse(math.isinf(got.lag))
        self.same(lambda client: client.fetch({'items': keys}, want=['tags'], max_age=3600))
        self.same(lambda client: client.fetch({'items': keys, 'users': keys}))
        self.same(lambda client: client.fetch({'users': keys}, missing='default', want=['why']))
        self.same(lambda client: client.fetch({'items': keys}, through=['a', 'relu']))
        self.same(lambda client: client.fetch([repstore.Part('cr_user', keys, raw=True, want=['weights'])]))
        self.same(lambda client: client.prepare({'one': 'items'}, dtype='f16')(one=keys))

    def test_rows_are_not_copied(self) -> None:
        mine = np.zeros((COUNT, DIM), 'f4')
        self.assertIs(self.local.fetch({'users': np.arange(COUNT)}, out={'users': mine})['users'].rows, mine)
        self.assertTrue(np.array_equal(mine, self.rows[::-1]))

    def test_searches_and_scans(self) -> None:
        for options in ({}, dict(approximate=0.9), dict(metric='cosine', min_score=0.1), dict(deny=range(100)),
                        dict(tags_any=2), dict(tags_any=0), dict(allow=[]), dict(with_=['codes']), dict(k=1000)):
            self.same(lambda client: client.retrieve('items', from_=('users', [1, 2]), **options))
        self.same(lambda client: client.retrieve('items', vectors=self.rows[:2], release='r', k=5))
        self.same(lambda client: client.score('items', range(COUNT + 9), from_=('users', [3])))
        for shard in (None, (0, 2), (1, 2)):
            self.same(lambda client: list(client.scan('items', shard=shard, batch=50)))
        self.same(lambda client: list(client.scan('names', dtype='f32')))
        self.same(lambda client: client.tensor('a.weight'))

    def test_errors(self) -> None:
        for call in (lambda client: client.fetch({'none': [1]}), lambda client: client.fetch({'items': [1]}, release='none'),
                     lambda client: client.fetch({'items': [b'x']}), lambda client: client.retrieve('items', from_=('users', [99999])),
                     lambda client: client.tensor('none'), lambda client: list(client.scan('none'))):
            said = []
            for client in (self.local, self.client):
                with self.assertRaises(repstore.RepstoreError) as raised:
                    call(client)
                said.append((type(raised.exception), str(raised.exception)))
            self.assertEqual(said[0], said[1])
        for call in (lambda client: client.put('items', [1], self.rows[:1]), lambda client: client.delete('items', [1]),
                     lambda client: client.positions(), lambda client: client.merge(),
                     lambda client: client.new_release('x')):
            with self.assertRaises(repstore.Unsupported):
                call(self.local)

    def test_a_write_is_seen_by_who_waits_for_it(self) -> None:
        for i in range(50):
            written = self.client.put('users', [1], np.full((1, DIM), i, 'f4'))
            got = self.local.fetch({'users': [1]}, min_sequence=written.sequence)
            self.assertEqual(got['users'].rows[0, 0], i)
            self.assertGreaterEqual(got.sequence, written.sequence)
        with self.assertRaises(repstore.TimedOut):
            self.local.fetch({'users': [1]}, min_sequence=written.sequence + 1, timeout=0.05)
        with self.assertRaisesRegex(repstore.BadRequest, 'min_sequence'):
            self.client.fetch({'users': [1]}, min_sequence=-1)

    def test_threads_and_a_fork(self) -> None:
        wrong: list[Any] = []

        def read() -> None:
            for i in range(300):
                if not np.array_equal(self.local.fetch({'users': [i % COUNT]})['users'].rows[0], self.rows[::-1][i % COUNT]):
                    wrong.append(i)
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        child = os.fork()
        if child == 0:
            read()
            os._exit(1 if wrong else 0)
        read()
        for thread in threads:
            thread.join()
        self.assertEqual((os.waitpid(child, 0)[1], wrong), (0, []))

    def test_it_is_pickled_and_closed(self) -> None:
        with pickle.loads(pickle.dumps(self.local)) as again:
            self.assertEqual(again.fetch({'items': [1]}).release, 'r')
        self.assertEqual(again.fetch({'items': [1]}).release, 'r')      # it opens anew
        again.close()

    def test_it_counts_what_it_does(self) -> None:
        before = self.local.stats()
        self.assertEqual((before['requests'].get('fetch'), before['keys']), (None, {}))
        self.local.fetch({'items': []})         # the first of a table asks for its rows' shape
        self.local.fetch({'users': []})
        asked = self.local.stats()['requests']['fetch']['count']
        self.local.fetch({'items': [1, 2, COUNT + 99], 'users': [1]})
        self.local.fetch({'users': [COUNT + 99]}, missing='default')
        with self.assertRaises(repstore.NotFound):
            self.local.fetch({'none': [1]})
        list(self.local.scan('items'))
        self.local.retrieve('items', from_=('users', [1]))
        found = self.local.stats()
        self.assertEqual({name: (each['count'], each['errors']) for name, each in found['requests'].items()
                          if name in ('fetch', 'scan', 'retrieve')}, {'fetch': (asked + 3, 1), 'scan': (1, 0), 'retrieve': (1, 0)})
        for each in found['requests'].values():
            self.assertEqual((sum(each['times']), len(each['times'])), (each['count'], 20))
            self.assertGreater(each['seconds'], 0)
        none = dict.fromkeys(('found', 'absent', 'expired', 'too_old', 'corrupt', 'defaulted'), 0)
        self.assertEqual(found['keys'], {'items': dict(none, found=2, absent=1), 'users': dict(none, found=1, defaulted=1)})
        self.assertEqual(found['fetch'], dict(none, found=3, absent=1, defaulted=1))
        self.assertTrue(found['is_alive'])
        self.assertGreaterEqual(found['sequence'], before['sequence'])

    def test_a_daemon_is_told_of_it(self) -> None:
        with repstore.Local(self.daemon.data, address=self.daemon.address) as told:
            self.assertEqual(told.fetch({'items': [1]}).release, 'r')
            limit = time.monotonic() + harness.CALL_SECONDS
            while self.client.stats()['connections']['local_readers'] != 1:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.01)

    def test_arguments(self) -> None:
        data = self.daemon.data
        cases: Any = (('folder', dict(folder=7)), ('folder', dict(folder=None)), ('follow', dict(folder=data, follow='x')),
                      ('memory_max', dict(folder=data, memory_max=0)), ('max_lag', dict(folder=data, max_lag=-1)),
                      ('open_timeout', dict(folder=data, open_timeout=-1)), ('timeout', dict(folder=data, timeout=0)), ('address', dict(folder=data, address=7)),
                      ('address', dict(folder=data, address='tcp:nowhere')))
        for name, options in cases:
            with self.assertRaisesRegex(repstore.BadRequest, name):
                repstore.Local(**options)
        with self.assertRaises(repstore.NotFound):
            repstore.Local(self.path('none'))

    def test_who_uses_a_client_alone_loads_no_lmdb(self) -> None:
        program = 'import repstore; repstore.Client(%r).ping(); assert "lmdb" not in open("/proc/self/maps").read()'
        subprocess.run([sys.executable, '-c', program % self.daemon.address], check=True, env=dict(os.environ, PYTHONPATH=BUILT))


@unittest.skipUnless(HAS_LOCAL, 'a wheel has no reader')
class Interrupted(PythonCase):
    """A signal whose handler raises, in the middle of a call."""

    def setUp(self) -> None:
        super().setUp()
        self.rows = harness.random_state(11).standard_normal((ITEMS, ITEM_DIM)).astype('f4')
        with self.client.new_release('r') as release:
            release.create_table('items', entity='item', kind='ir', dim=ITEM_DIM)
            release.load('items', np.arange(ITEMS), self.rows)
            release.seal().publish()
        self.local = repstore.Local(self.daemon.data, timeout=None)
        self.addCleanup(self.local.close)
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)

    def errors(self, method: str) -> int:
        return int(self.local.stats()['requests'].get(method, {'errors': 0})['errors'])

    def goes_on(self) -> None:
        self.assertTrue(np.array_equal(self.local.fetch({'items': [3]})['items'].rows, self.rows[3:4]))

    def test_a_call_that_waits(self) -> None:
        while self.errors('fetch') == 0:        # the signal may also come before the call itself
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with self.assertRaises(KeyboardInterrupt):
                self.local.fetch({'items': [1]}, min_sequence=2 ** 40)
        with self.assertRaises(repstore.TimedOut):      # what was raised once is not raised again
            self.local.fetch({'items': [1]}, min_sequence=2 ** 40, timeout=0.05)
        self.local.fetch({'items': [1]}, min_sequence=0)
        self.goes_on()

    def test_an_opening(self) -> None:
        """It asks at its beginning, and what a handler of signals raises on the way there ends it."""
        asked = []

        class Pressed(threading.Event):
            def is_set(self) -> bool:
                asked.append(1)
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            repstore.errors.until(Pressed(), repstore.Local, self.daemon.data)
        self.assertEqual(len(asked), 1)
        with repstore.Local(self.daemon.data) as local:
            self.assertTrue(np.array_equal(local.fetch({'items': [3]})['items'].rows, self.rows[3:4]))
        self.goes_on()

    def test_a_search_of_a_large_table(self) -> None:
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.errors('retrieve') == 0:     # the signal may also come beside the call itself
            self.assertLess(time.monotonic(), limit)
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                self.local.retrieve('items', vectors=self.rows[:256], release='r', k=100)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass
        self.goes_on()
        found = self.local.retrieve('items', vectors=self.rows[:1], release='r', k=1, metric='cosine')
        self.assertEqual(found.keys[0].tolist(), [0])

    def test_a_scan_goes_on_with_another(self) -> None:
        """Between two batches Python raises by itself."""
        with self.assertRaises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            while True:
                sum(len(batch.keys) for batch in self.local.scan('items'))
        self.assertEqual(sum(len(batch.keys) for batch in self.local.scan('items')), ITEMS)
        self.goes_on()


if __name__ == '__main__':
    harness.main()
