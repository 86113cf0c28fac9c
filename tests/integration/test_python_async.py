"""test_python_async.py - the Python package under asyncio, and calls that a signal interrupts."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from python_case import COUNT, DIM, PythonCase, repstore  # noqa: E402

CALLS = 1000
# What of a Client is not awaited: its connection, and what is made for a caller who waits.
OTHERS = {'close', 'prepare', 'release', 'scan'}


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + harness.CALL_SECONDS
    while not condition():
        assert time.monotonic() < limit, 'it does not come'
        time.sleep(0.01)


def no_thread_is_left() -> bool:
    """Of those of AsyncClients."""
    return not any(each.name.startswith('repstore') for each in threading.enumerate())


class Async(PythonCase):

    def run_async(self, body: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
        """Runs body(client) in an event loop of its own."""
        async def run() -> Any:
            async with repstore.AsyncClient(self.daemon.address, **options) as client:
                return await asyncio.wait_for(body(client), harness.CALL_SECONDS)
        return asyncio.run(run())

    def test_it_has_the_calls_of_a_client_with_their_signatures(self) -> None:
        names = {name for name in dir(repstore.Client) if not name.startswith('_')} - OTHERS
        for name in names:
            awaited = getattr(repstore.AsyncClient, name)
            self.assertTrue(inspect.iscoroutinefunction(awaited), name)
            self.assertEqual(inspect.signature(awaited), inspect.signature(getattr(repstore.Client, name)), name)

    def test_reads_and_writes_are_those_of_a_client(self) -> None:
        rows = self.make(tags=True)

        async def body(client: Any) -> None:
            got = await client.fetch({'t': [1, 2, 10 ** 9]}, want=['times', 'tags', 'why'])
            same = self.client.fetch({'t': [1, 2, 10 ** 9]}, want=['times', 'tags', 'why'])
            for name in ('rows', 'found', 'times', 'tags', 'why'):
                np.testing.assert_array_equal(getattr(got['t'], name), getattr(same['t'], name))
            self.assertEqual((await client.put('t', [7], np.ones((1, DIM), 'f4'))).count, 1)
            np.testing.assert_array_equal((await client.fetch({'t': [7]}))['t'].rows[0], np.ones(DIM, 'f4'))
            self.assertEqual((await client.put_parts({'t': dict(keys=[8, 9], rows=rows[:2])})).count, 2)
            self.assertEqual((await client.delete('t', [8])).count, 1)
            best = await client.retrieve('t', vectors=rows[:2], k=5, release='r')
            also = self.client.retrieve('t', vectors=rows[:2], k=5, release='r')
            np.testing.assert_array_equal(best.keys, also.keys)
            np.testing.assert_array_equal(best.scores, also.scores)
            scored = await client.score('t', best.keys[0], vectors=rows[:1], release='r')
            np.testing.assert_allclose(scored.scores[0], best.scores[0], rtol=1e-5)
            self.assertEqual([each.id for each in await client.releases()], ['r'])
            self.assertIn('connections', await client.stats())
            self.assertGreater(await client.ping(), 0)
            self.assertIn('admin', (await client.whoami()).roles)
            with self.assertRaises(repstore.NotFound):
                await client.fetch({'t': [10 ** 9]}, missing='raise')
            with self.assertRaises(repstore.BadRequest):
                await client.fetch({'t': [-1]})
            with self.assertRaises(repstore.NotFound):
                await client.put('nothing', [1], rows[:1])
        self.run_async(body)

    def test_what_depends_on_a_table_is_made_beside_the_loop(self) -> None:
        """Views, whose order is checked, and bits, whose dims their bytes do not tell."""
        with self.client.new_release('r') as release:
            release.create_table('v', entity='item', kind='ir', dim=4, views=2)
            release.create_table('b', entity='item', kind='ir', dim=12, dtype='bit')
            release.seal().publish()

        async def body(client: Any) -> None:
            views = np.arange(8, dtype='f4').reshape(1, 2, 4)
            await client.put('v', [1], views)
            np.testing.assert_array_equal((await client.fetch({'v': [1]}))['v'].rows, views)
            with self.assertRaises(repstore.BadRequest):
                await client.put('v', [1], views.reshape(1, 4, 2))
            bits = np.packbits(np.ones((1, 12), 'u1'), axis=-1)
            await client.put('b', [5], bits)
            best = await client.retrieve('b', vectors=bits, metric='hamming', k=1, release='r')
            self.assertEqual((best.keys[0, 0], best.scores[0, 0]), (5, 0))
        self.run_async(body)

    def test_a_thousand_are_under_way_and_some_are_cancelled(self) -> None:
        rows = self.make()
        chance = random.Random(int(harness.random_state(5).integers(1 << 30)))

        async def ask(client: Any, number: int) -> int:
            keys = np.random.default_rng(number).integers(0, COUNT, 1 + number % 50)
            got = await client.fetch({'t': keys})
            np.testing.assert_array_equal(got['t'].rows, rows[keys])
            return number

        async def body(client: Any) -> None:
            await ask(client, 0)
            tasks = [asyncio.ensure_future(ask(client, number)) for number in range(CALLS)]
            await asyncio.sleep(0)
            given_up = set(chance.sample(range(CALLS), CALLS // 3))
            for number in given_up:
                tasks[number].cancel()
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for number, result in enumerate(ended):
                if isinstance(result, BaseException):
                    self.assertIsInstance(result, asyncio.CancelledError)
                    self.assertIn(number, given_up)
                else:
                    self.assertEqual(result, number)
            self.assertEqual(await ask(client, 1), 1)
            counters = client.counters()
            self.assertEqual((counters['under_way'], counters['losses']), (0, 0))
        self.run_async(body)

    def test_a_call_has_its_time(self) -> None:
        self.make()

        async def body(client: Any) -> None:
            await client.fetch({'t': [1]})
            self.daemon.hold()
            try:
                with self.assertRaises(repstore.TimedOut):
                    await client.fetch({'t': [1]}, timeout=0.05)
                with self.assertRaises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.fetch({'t': [1]})
            finally:
                self.daemon.go_on()
            np.testing.assert_array_equal((await client.fetch({'t': [1]}))['t'].found, [True])
            self.assertEqual(client.counters()['losses'], 0)
            for wrong in (0, -1, float('nan')):
                with self.assertRaises(repstore.BadRequest):
                    await client.fetch({'t': [1]}, timeout=wrong)
        self.run_async(body)

    def test_reads_outlive_a_restart(self) -> None:
        rows = self.make()

        async def body(client: Any) -> None:
            await client.fetch({'t': [1]})
            restarted = asyncio.get_running_loop().run_in_executor(None, self.daemon.restart)
            while not restarted.done():
                got = await client.fetch({'t': [3]})
                np.testing.assert_array_equal(got['t'].rows[0], rows[3])
            await restarted
            await client.fetch({'t': [1]})
            self.assertGreater(client.counters()['losses'], 0)
        self.run_async(body)

    def test_a_second_daemon_answers_when_the_first_stalls(self) -> None:
        self.make()
        second = self.start_daemon(name='second')
        with repstore.Client(second.address) as other, other.new_release('r') as release:
            release.create_table('t', entity='item', kind='ir', dim=DIM)
            release.load('t', [1], np.ones((1, DIM), 'f4'))
            release.seal().publish()

        async def body(client: Any) -> None:
            for _ in range(200):
                await client.fetch({'t': [1]})
            won = client.counters()['hedges_won']       # a busy machine stalls by itself
            self.daemon.hold()
            try:
                got = await client.fetch({'t': [1]})
            finally:
                self.daemon.go_on()
            np.testing.assert_array_equal(got['t'].rows[0], np.ones(DIM))
            self.assertEqual(client.counters()['hedges_won'], won + 1)
        self.run_async(body, hedge=second.address)

    def test_a_client_is_of_one_loop_and_ends_its_calls(self) -> None:
        self.make()
        client = repstore.AsyncClient(self.daemon.address)

        async def ask() -> None:
            await client.fetch({'t': [1]})

        async def close_meanwhile() -> None:
            await client.fetch({'t': [1]})
            self.daemon.hold()
            try:
                task = asyncio.ensure_future(client.fetch({'t': [1]}))
                await asyncio.sleep(0.01)
                client.close()
                with self.assertRaises(repstore.Closed):
                    await task
            finally:
                self.daemon.go_on()
        asyncio.run(ask())
        with self.assertRaises(repstore.BadRequest):
            asyncio.run(ask())
        client.close()
        asyncio.run(close_meanwhile())

    def test_what_a_thread_asks_is_given_up_too(self) -> None:
        """Without an end to its time: only giving it up ends it."""
        self.make()

        async def body(client: Any) -> None:
            await client.stats()
            self.daemon.hold()
            try:
                for give_up in ('cancel', 'time', 'close'):
                    task = asyncio.ensure_future(client.stats())
                    await asyncio.sleep(0.05)
                    if give_up == 'cancel':
                        task.cancel()
                        with self.assertRaises(asyncio.CancelledError):
                            await task
                    elif give_up == 'time':
                        with self.assertRaises(asyncio.TimeoutError):
                            await asyncio.wait_for(task, 0.05)
                    else:
                        client.close()
                        with self.assertRaises(repstore.Closed):
                            await task
                wait_for(no_thread_is_left)
            finally:
                self.daemon.go_on()
            self.assertIn('connections', await client.stats())
        self.run_async(body, timeout=None)

    def test_one_that_is_dropped_says_so_and_is_closed(self) -> None:
        self.make()

        def are_open() -> int:
            return int(self.client.stats()['connections']['open'])

        async def drop() -> None:
            before = are_open()
            client = repstore.AsyncClient(self.daemon.address)
            await asyncio.gather(client.fetch({'t': [1]}), client.stats(), client.tables())
            self.assertGreater(are_open(), before + 1)
            with self.assertWarnsRegex(ResourceWarning, 'unclosed AsyncClient of unix:'):
                del client
                gc.collect()
            await asyncio.sleep(0)
            wait_for(lambda: are_open() == before)
            again = repstore.AsyncClient(self.daemon.address)       # where the other had its descriptor
            await again.fetch({'t': [1]})
            again.close()
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                del again
                gc.collect()
        asyncio.run(drop())

    def test_nobody_listens(self) -> None:
        async def body() -> None:
            async with repstore.AsyncClient(self.path('nobody'), timeout=0.2) as client:
                with self.assertRaises((repstore.IOFailed, repstore.TimedOut)):
                    await client.fetch({'t': [1]})
        asyncio.run(body())
        with self.assertRaises(repstore.BadRequest):
            repstore.AsyncClient(hedge_share=0)


class Interrupted(PythonCase):
    """Ctrl-C in a call that waits."""

    def interrupt(self, function: Callable[[], Any]) -> None:
        """Sends the signal once the daemon has the request; the call has to end by it."""
        def send() -> None:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=send).start()
        with self.assertRaises(KeyboardInterrupt):
            function()

    def test_a_fetch_and_a_seal_end_by_it_and_the_client_goes_on(self) -> None:
        self.make()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.daemon.hold()
        try:
            self.interrupt(lambda: self.client.fetch({'t': [1]}, timeout=None))
        finally:
            self.daemon.go_on()
        self.assertEqual(self.client.fetch({'t': [1]})['t'].found.tolist(), [True])
        release = self.client.new_release('next')
        release.create_table('t', entity='item', kind='ir', dim=DIM)
        self.daemon.hold()
        try:
            self.interrupt(release.seal)
        finally:
            self.daemon.go_on()
        self.assertEqual({each.id for each in self.client.releases()}, {'r', 'next'})

    def test_what_a_thread_of_asyncio_asks_ends_by_it(self) -> None:
        async def ask() -> None:
            async with repstore.AsyncClient(self.daemon.address, timeout=None) as client:
                await client.stats()
                self.daemon.hold()
                await client.stats()
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        try:
            self.interrupt(lambda: asyncio.run(ask()))
            wait_for(no_thread_is_left)
        finally:
            self.daemon.go_on()

    def test_a_handler_that_raises_nothing_interrupts_nothing(self) -> None:
        self.make()
        heard: list[int] = []
        before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.daemon.hold()
        me = threading.get_ident()

        def wake() -> None:
            time.sleep(0.1)
            signal.pthread_kill(me, signal.SIGUSR1)
            time.sleep(0.1)
            self.daemon.go_on()
        threading.Thread(target=wake).start()
        self.assertEqual(self.client.fetch({'t': [1]})['t'].found.tolist(), [True])
        self.assertEqual(heard, [signal.SIGUSR1])


if __name__ == '__main__':
    harness.main()
