"""test_loop.py - whatever one connection asks, the others of its loop are answered soon.

Each case sends requests that take long, or look as if they would, to a daemon of one loop, and pings beside them. What
it requires is the longest turn of the loop by its CPU time, which hardly depends on what else the machine does: the
harness compares it with TURN_MS when the daemon stops.
"""

import contextlib
import threading
import time

import numpy as np

import harness

DIM = 8
KEYS_MAX = 1 << 20
IDLE_SECONDS = 1


class Pings:
    """Pings all the time over a connection of its own."""

    def __init__(self, daemon):
        self.client = daemon.client()
        self.done = threading.Event()
        self.count = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.is_set():
            self.client.call('ping')
            self.count += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.client.close()


class LoopTest(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '1')
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def make_tables(self, *tables, rows=100):
        """tables: (name, options); each has the keys 0 to rows - 1."""
        self.client.call('release.create', release='r')
        for name, options in tables:
            dim = options.get('dim', DIM)
            self.client.call('table.create', **dict(
                dict(release='r', table=name, entity='item', kind='ir', dim=dim), **options))
            keys = np.arange(rows, dtype='<u8')
            if options.get('key') == 'bytes':
                keys = [b'%d' % key for key in range(rows)]
            self.client.load('r', name, keys, np.ones((rows, dim), '<f4'))
        self.client.seal('r')

    def asked(self, count=1, **params):
        """The params of a retrieve or score for vectors of zeros: all scores are equal then."""
        return dict(dict({'release': 'r', 'in': 'ir', 'from': {'dim': DIM, 'rows': bytes(4 * DIM * count)}}), **params)

    def test_long_lists_of_keys(self):
        self.make_tables(('ir', {}), ('named', {'key': 'bytes'}))
        random = np.random.default_rng(1)
        many = random.integers(0, 1 << 63, KEYS_MAX, dtype=np.uint64).tobytes()
        named = harness.packed([b'%015d' % key for key in range(300000)])
        listed = list(range(16000))     # as many elements as a loop parses
        with Pings(self.daemon) as pings:
            for _ in range(3):
                for keys in (many, listed):
                    for name in ('allow', 'deny'):
                        self.client.call('retrieve', **self.asked(**{name: keys}))
                    self.client.call('score', **self.asked(keys=keys))
                    self.client.fetch('ir', keys)
                for name in ('allow', 'deny'):
                    self.client.call('retrieve', **self.asked(**{'in': 'named', name: named}))
                self.client.call('score', **self.asked(**{'in': 'named', 'keys': named}))
                self.client.fetch('named', named)
        self.assertGreater(pings.count, 0)

    def test_queries_that_go_through_stored_layers(self):
        dim = 1024
        self.make_tables(('ir', {'dim': dim}), rows=10)
        self.client.call('tensor.put', release='r', tensor='w.weight', dtype='f32', shape=[dim, dim],
                         data=np.zeros((dim, dim), '<f4').tobytes())
        asked = self.asked(**{'from': {'table': 'ir', 'keys': [0] * 256}, 'through': ['w'] * 16})
        with Pings(self.daemon) as pings:
            for _ in range(2):
                self.client.call('retrieve', **asked)
                self.client.call('score', **dict(asked, keys=[1]))
        self.assertGreater(pings.count, 0)

    def test_hits_and_what_comes_with_them(self):
        names = ['w%d' % i for i in range(8)]
        self.make_tables(('ir', {}), *((name, {}) for name in names), rows=400)
        with Pings(self.daemon) as pings:
            for _ in range(4):
                self.client.call('retrieve', **self.asked(256, **{'k': 400, 'with': names}))
                self.client.call('retrieve', **self.asked(256, k=400))
                self.client.call('retrieve', **self.asked(8, **{'k': 100, 'with': names}))
        self.assertGreater(pings.count, 0)

    def test_searches_whose_scores_are_all_equal(self):
        self.make_tables(('ir', {'index': 'none'}), rows=20000)
        with Pings(self.daemon) as pings:
            for count, k in ((1, 10000), (1, 1000), (4, 100), (64, 100)):
                for _ in range(4):
                    self.client.call('retrieve', **self.asked(count, k=k))
        self.assertGreater(pings.count, 0)

    def test_lists_of_much(self):
        """Each list is at its longest, or near it."""
        self.client.call('release.create', release='r')
        for i in range(32):
            self.client.call('release.create', release='r%d' % i)
        for i in range(200):
            self.client.call('table.create', release='r', table='cr_user@layer%d' % i, entity='user', kind='cr',
                             dim=2)
        tensors = [{'tensor': 'a.module.of.some.layers.%d' % i, 'dtype': 'f32', 'shape': [1], 'data': bytes(4)}
                   for i in range(1024)]
        for i in range(0, 1024, 64):
            self.client.call('tensor.put', release='r', tensors=tensors[i:i + 64])
        with Pings(self.daemon) as pings:
            for _ in range(10):
                self.client.call('release.list')
                self.assertEqual(len(self.client.call('table.list', release='r')['tables']), 200)
                self.assertEqual(len(self.client.call('layer.list', release='r')['layers']), 200)
                self.assertEqual(len(self.client.call('tensor.list', release='r')['tensors']), 1024)
                self.client.call('release.show', release='r')
        self.assertGreater(pings.count, 0)

    def test_requests_of_the_wrong_form(self):
        """To say what is wrong takes no longer."""
        self.make_tables(('ir', {}))
        wide = {'name%d' % i: i for i in range(8000)}
        with Pings(self.daemon) as pings:
            for params in ({'parts': [wide] * 2}, {'parts': [{}] * 16000}, wide,
                           {'parts': [{'table': 'ir', 'keys': [[]] * 16000}]},
                           {'parts': [{'table': 'ir', 'keys': ['x' * 255] * 16000}]}):
                for method in ('fetch', 'retrieve', 'score', 'table.show', 'hello'):
                    with contextlib.suppress(harness.Failed):
                        self.client.call(method, **params)
        self.assertGreater(pings.count, 0)


class SpinTest(harness.Case):
    """A daemon that may look for requests before it sleeps."""

    def test_it_answers_all_and_takes_no_processor_while_nobody_asks(self):
        daemon = self.start_daemon(*self.config('[net]\nspin_us = 10000\n'))
        with daemon.client() as client, Pings(daemon) as pings:
            for _ in range(1000):
                client.call('ping')
            self.assertGreater(pings.count, 0)
        time.sleep(0.2)     # the last looks end in vain
        before = daemon.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        self.assertLess(daemon.cpu_seconds() - before, IDLE_SECONDS / 4)


if __name__ == '__main__':
    harness.main()
