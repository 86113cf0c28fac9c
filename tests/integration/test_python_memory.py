"""test_python_memory.py - whose memory rows are in: the library fills the array that is handed out, and no array that
somebody still sees is filled again. Prepared queries, and nothing that grows."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

import harness
from python_case import COUNT, DIM, PythonCase, repstore

WIDE, MANY = 64, 1500       # 384 KB of rows: above what the allocator keeps itself


class Wide(PythonCase):

    def setUp(self) -> None:
        super().setUp()
        self.rows = np.arange(MANY * WIDE, dtype='f4').reshape(MANY, WIDE)
        with self.client.new_release('r') as release:
            release.create_table('t', entity='item', kind='ir', dim=WIDE)
            release.create_table('u', entity='user', kind='ur', dim=WIDE, dtype='f16')
            release.load('t', np.arange(MANY), self.rows)
            release.load('u', np.arange(MANY), (self.rows / MANY).astype('f2'))
            release.seal().publish()

    def fetch(self, first: int = 0, count: int = 1000) -> Any:
        return self.client.fetch({'t': np.arange(first, first + count)})['t'].rows


class Pointers(Wide):

    def test_the_library_fills_the_array_that_is_handed_out(self) -> None:
        """The pointer that rep_fetch is given is that of the array: nothing is copied behind it."""
        given: list[int] = []
        module: Any = repstore.client
        ffi, lib = module.ffi, module.lib

        class Seen:
            def __getattr__(self, name: str) -> Any:
                function = getattr(lib, name)

                def call(client: Any, release: Any, parts: Any, *args: Any) -> Any:
                    given.append(int(ffi.cast('uintptr_t', parts[0].rows)))
                    return function(client, release, parts, *args)

                return call if name == 'rep_fetch' else function

        module.lib = Seen()
        try:
            got = [self.fetch(count=count) for count in (1000, 1000, 1)]
            mine = np.empty((5, WIDE), 'f4')
            self.client.fetch({'t': range(5)}, out={'t': mine})
            query = self.client.prepare(['t'], out={'t': mine})
            query(t=range(5))
        finally:
            module.lib = lib
        self.assertEqual(given[0], 0)           # nobody knew yet how wide they are
        self.assertEqual(given[1:], [rows.ctypes.data for rows in got] + [mine.ctypes.data] * 2)
        for rows in got:
            self.assertTrue(rows.flags.writeable and rows.flags.c_contiguous and rows.flags.aligned)
            self.assertTrue(np.array_equal(rows, self.rows[:len(rows)]))

    def test_tensors_and_capsules_show_the_same_memory(self) -> None:
        got = self.client.fetch({'t': range(1000)})['t']
        for view in (np.asarray(got), np.from_dlpack(got), np.array(got, copy=False)):
            self.assertEqual(view.ctypes.data, got.rows.ctypes.data)
        self.assertEqual(np.asarray(got, 'f8').dtype, np.dtype('f8'))


class Reuse(Wide):

    def test_memory_that_nobody_holds_is_used_again(self) -> None:
        self.fetch()
        where = {self.fetch(first).ctypes.data for first in range(20)}
        self.assertEqual(len(where), 1)
        # So is that of one whose rows are fewer, or of another dtype, where the size is nearly the same.
        self.assertEqual({self.fetch(count=count).ctypes.data for count in (990, 1000, 960)}, where)

    def test_what_somebody_sees_is_never_written(self) -> None:
        """Each way to hold the memory of a result, without holding the result."""
        holders: list[Callable[[Any], Any]] = [
            lambda rows: rows, lambda rows: rows[7], lambda rows: rows[1:, 3], lambda rows: rows.T[::2],
            lambda rows: rows.reshape(-1), lambda rows: rows.view('u4'), lambda rows: rows.base,
            lambda rows: memoryview(rows), lambda rows: memoryview(rows)[3:], lambda rows: rows.flat,
            lambda rows: np.from_dlpack(rows), lambda rows: rows.ctypes, lambda rows: iter(rows),
            lambda rows: np.broadcast_to(rows, (2, *rows.shape)), lambda rows: np.lib.stride_tricks.as_strided(rows),
            lambda rows: np.frombuffer(rows, 'u1'), lambda rows: [rows[0]], lambda rows: np.ma.array(rows, copy=False),
            lambda rows: rows.__array_interface__ and rows.diagonal()]
        self.fetch()
        for i, hold in enumerate(holders):
            rows = self.fetch(i)
            where = rows.ctypes.data
            held = hold(rows)
            del rows
            for first in range(5):
                self.assertNotEqual(self.fetch(first).ctypes.data, where, i)
            del held
            gc.collect()
            self.assertIn(where, [each.ctypes.data for each in [self.fetch() for _ in range(16)]], i)

    def test_an_array_that_its_holder_changes_harms_nobody(self) -> None:
        rows = self.fetch()
        rows.flags.writeable = False
        rows.shape = (rows.size,)
        del rows
        again = self.fetch(3)
        self.assertTrue(again.flags.writeable and np.array_equal(again, self.rows[3:1003]))

    def test_the_client_holds_nothing_of_a_call(self) -> None:
        keys = np.arange(1000)
        rows = self.client.fetch({'t': keys}, want=['times'])['t']
        of_keys, of_times = weakref.ref(keys), weakref.ref(rows.times)
        del keys, rows
        self.assertIsNone(of_keys())
        self.assertIsNone(of_times())

    def test_many_results_held_at_random(self) -> None:
        """Several sizes and threads; each checks in the end that what it kept is what it got."""
        crowd = harness.Crowd()
        random = harness.random_state(5)

        def keep(seed: int) -> None:
            random = np.random.default_rng(seed)
            kept: list[Any] = []
            for _ in range(400):
                count = int(random.choice([200, 400, 1000, 1100]))
                first = int(random.integers(0, MANY - count))
                got = self.client.fetch({'t': np.arange(first, first + count), 'u': [1]})
                view = got['t'].rows[5:] if random.random() < 0.5 else got['t'].rows
                kept.append((first + count - len(view), view))
                if len(kept) > 12:
                    first, view = kept.pop(int(random.integers(0, len(kept))))
                    assert np.array_equal(view, self.rows[first:first + len(view)])
            for first, view in kept:
                assert np.array_equal(view, self.rows[first:first + len(view)])
            self.client.close()

        for seed in random.integers(0, 2 ** 32, 4):
            crowd.start(keep, int(seed))
        crowd.join()

    def test_a_thread_that_keeps_what_another_one_fetched(self) -> None:
        passed: list[Any] = []
        ready, wrong = threading.Semaphore(0), []

        def check() -> None:
            for i in range(300):
                if not ready.acquire(timeout=harness.CALL_SECONDS):
                    wrong.append('nothing came')
                    return
                first, rows = passed.pop(0)
                if not np.array_equal(rows, self.rows[first:first + 1000]):
                    wrong.append(str(i))
                del rows

        thread = threading.Thread(target=check)
        thread.start()
        for i in range(300):
            passed.append((i, self.fetch(i)))
            ready.release()
        thread.join()
        self.assertEqual(wrong, [])

    def on_alarm(self, handler: Callable[[], None], seconds: float) -> None:
        """Runs it at an alarm, once; it may set the next."""
        before = signal.signal(signal.SIGALRM, lambda *_: handler())
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def test_a_signal_handler_may_fetch_too(self) -> None:
        """It runs between the steps of the fetch that it interrupts, or while that waits, with the same tables."""
        seen: list[bool] = []

        def fetch_too() -> None:
            seen.append(np.array_equal(self.fetch(400, 900), self.rows[400:1300]))
            signal.setitimer(signal.ITIMER_REAL, 0.002)

        self.on_alarm(fetch_too, 0.002)
        for i in range(500):
            self.assertTrue(np.array_equal(self.fetch(i), self.rows[i:i + 1000]))
        while not seen:
            signal.pause()
        self.assertTrue(all(seen))

    def test_a_signal_handler_may_fetch_and_close_while_a_call_waits(self) -> None:
        self.fetch()
        seen: list[Any] = []

        def go_on() -> None:
            self.daemon.go_on()
            seen.append(self.fetch(9))
            self.client.close()

        self.daemon.hold()
        self.addCleanup(os.kill, self.daemon.process.pid, signal.SIGCONT)
        os.waitpid(self.daemon.process.pid, os.WUNTRACED)       # until it stands
        self.on_alarm(go_on, 0.1)
        self.assertTrue(np.array_equal(self.fetch(3), self.rows[3:1003]))
        self.assertTrue(np.array_equal(seen[0], self.rows[9:1009]))
        self.assertTrue(np.array_equal(self.fetch(5), self.rows[5:1005]))


class Prepared(Wide):

    def test_a_query_takes_keys_by_the_names_of_its_parts(self) -> None:
        query = self.client.prepare({'user': 'u', 'items': 't', 'others': repstore.Part('t', want=['times'])})
        for first in range(3):
            got: Any = query(user=[first], items=np.arange(first, 900), others=[2])
            self.assertEqual(list(got), ['user', 'items', 'others'])
            self.assertTrue(np.array_equal(got['items'].rows, self.rows[first:900]))
            self.assertEqual((got['items'].table, got['others'].times.shape, got['items'].times), ('t', (1,), None))
            self.assertEqual(got['user'].rows.dtype, np.dtype('f2'))
        self.assertEqual(self.client.prepare(['t'], dtype='f16')(t=[1, MANY])['t'].found.tolist(), [True, False])
        self.assertEqual(repr(query), 'Query(user=u, items=t, others=t)')

    def test_a_query_with_arrays_of_its_own(self) -> None:
        mine = np.empty((3, WIDE), 'f4')
        query = self.client.prepare({'items': 't', 'user': 'u'}, out={'items': mine})
        for first in (0, 7):
            self.assertIs(query(items=range(first, first + 3), user=[1])['items'].rows, mine)
            self.assertTrue(np.array_equal(mine, self.rows[first:first + 3]))
        with self.assertRaisesRegex(repstore.BadRequest, "out of 't'"):
            query(items=[1], user=[1])

    def test_wrong_names_are_told(self) -> None:
        client: Any = self.client
        query = client.prepare({'items': 't'})
        for words, call in (
                ("'item' given, of 'items'", lambda: query(item=[1])),
                ("nothing given, of 'items'", lambda: query()),
                ("'timeout' is the name", lambda: client.prepare(['timeout'])),
                ('parts', lambda: client.prepare('t')),
                ('dtype stand in the Part', lambda: client.prepare({'t': repstore.Part('t')}, dtype='f32')),
                ('want', lambda: client.prepare(['t'], want=['time'])),
                ('dtype', lambda: client.prepare(['t'], dtype='f8')),
                ('missing', lambda: client.prepare(['t'], missing='none')),
                ('out: u given, of t', lambda: client.prepare(['t'], out={'u': np.empty(1)})),
                ('out of', lambda: client.prepare(['t'], out={'t': [1]})),
                ('through', lambda: client.prepare(['t'], through='relu')),
                ('keys of', lambda: query(items=[-1])),
                ('timeout', lambda: query(items=[1], timeout=0))):
            with self.assertRaisesRegex(repstore.BadRequest, words):
                call()
        with self.assertRaises(repstore.NotFound):
            client.prepare(['no'])(no=[1])

    def test_threads_share_a_query(self) -> None:
        query = self.client.prepare(['t'])
        crowd = harness.Crowd()

        def ask(seed: int) -> None:
            random = np.random.default_rng(seed)
            for _ in range(200):
                keys = random.integers(0, MANY, 700)
                assert np.array_equal(query(t=keys)['t'].rows, self.rows[keys])
            self.client.close()

        for seed in range(10):
            crowd.start(ask, seed)
        crowd.join()

    def test_a_query_goes_on_after_a_publish_of_another_shape(self) -> None:
        query = self.client.prepare(['t'])
        query(t=[1])
        with self.client.new_release('s') as release:
            release.create_table('t', entity='item', kind='ir', dim=3, dtype='i8')
            release.load('t', [1], np.array([[1, 2, 3]], 'i1'), scales=np.ones(1, 'f4'))
            release.seal().publish()
        got: Any = query(t=[1])
        self.assertEqual((got.release, got['t'].rows.tolist(), got['t'].scales.tolist()), ('s', [[1, 2, 3]], [1]))


class Growth(PythonCase):

    def test_nothing_grows_over_100000_calls(self) -> None:
        self.make()
        keys = np.arange(COUNT, dtype='u8')
        query = self.client.prepare(['t'], want=['times'])

        def resident() -> int:
            with open('/proc/self/statm') as file:
                return int(file.read().split()[1]) * 4096

        def calls(count: int) -> None:
            for i in range(count // 5):
                self.client.fetch({'t': keys[:20 + i % 200]}, want=['times'], max_age=1e6 + i)    # many plans
                self.client.fetch({'t': [1, 2]})
                self.client.fetch({'t': keys[:3]}, release='r')
                query(t=keys)
                try:
                    self.client.fetch({'t': [1, COUNT]}, missing='raise')
                except repstore.NotFound:
                    pass

        calls(5000)
        gc.collect()
        before, objects = resident(), len(gc.get_objects())
        calls(100000)
        gc.collect()
        self.assertLess(len(gc.get_objects()) - objects, 500)
        self.assertLess(resident() - before, 2 << 20)       # a row kept of each call would be 9.6 MB

    def test_a_client_that_was_closed_leaves_nothing(self) -> None:
        self.make()
        sizes = []
        for _ in range(3):
            for _ in range(20):
                with repstore.Client(self.daemon.address) as client:
                    client.fetch({'t': np.arange(COUNT)})
                    pickle.loads(pickle.dumps(client)).close()
            gc.collect()
            sizes.append(sum(isinstance(each, repstore.pool.Pool) for each in gc.get_objects()))
        self.assertEqual(sizes, [sizes[0]] * 3)


if __name__ == '__main__':
    harness.main()
