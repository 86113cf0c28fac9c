"""test_recall.py - the recall that is asked for is met: a small and seeded part of tests/bench/recall.

What is asked stands there: tables of several kinds, with and without a table of users, filters at random and
along a direction, every metric, k of 1 to 1,000, and 0.9 to 0.999. So do rows that were written since the index was built.
"""

import importlib.machinery
import importlib.util
import os
import types

import numpy as np

import harness

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'bench', 'recall')
ROWS = 6000     # of fewer than 5,000 there is no index
SETTINGS = 12 if not harness.SANITIZED else 2
KINDS = (('clusters', 'yes'), ('movielens', 'no'), ('towers', 'no')) if not harness.SANITIZED else (('movielens', 'no'),)


def bench():
    """The benchmark as a module; its name has no ending."""
    loader = importlib.machinery.SourceFileLoader('bench_recall', BENCH)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader('bench_recall', loader))
    loader.exec_module(module)
    return module


class Recall(harness.Case):
    def setUp(self):
        super().setUp()
        self.bench = bench()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def table(self, kind, users, seed=1, **more):
        options = types.SimpleNamespace(rows=ROWS, queries=200, movielens=harness.MOVIELENS, dims=(16, 32, 64))
        return self.bench.Table(self.client, np.random.default_rng(seed), '%s-%s' % (kind, users), kind, users, options,
                                **more)

    def check(self, table, metric, k, asked, mask):
        """The upper end of the interval that was measured reaches what was asked."""
        shares, exact = table.shares(k, metric, asked, mask)
        _, _, high = self.bench.interval(shares)
        self.assertGreaterEqual(1 if exact == 1 else high, asked, (table.name, metric, k, asked, mask))
        return exact

    def test_it_is_met(self):
        for kind, users in KINDS:
            table = self.table(kind, users)
            random = np.random.default_rng(2)
            for _ in range(SETTINGS):
                self.check(*self.bench.draw(random, [table]))

    def test_under_a_filter(self):
        """A tag that a half, a tenth or a hundredth of the rows has, and one that those furthest along a direction have."""
        table = self.table('clusters', 'yes')
        exact = [self.check(table, metric, 10, 0.95, mask) for metric in self.bench.METRICS
                 for mask in list(table.filters)[:8]]
        self.assertLess(min(exact), 1)      # some of these were searched approximately

    def test_beside_what_was_written(self):
        """Nearly as many rows as the base has, half of them of its keys, with a filter and without."""
        table = self.table('clusters', 'yes', written=0.9)
        exact = [self.check(table, metric, 10, 0.95, mask) for metric in self.bench.METRICS
                 for mask in [None] + list(table.filters)[:2]]
        self.assertLess(min(exact), 1)

    def test_users_who_are_put_later_calibrate(self):
        """Also after a restart, and after a merge of items, which keeps the users in mind."""
        table = self.table('movielens', 'late')     # it waits until an answer says that users have calibrated
        self.check(table, 'inner_product', 10, 0.95, None)
        self.client.close()
        self.daemon.stop()
        self.daemon.start()
        table.client = self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        table.wait(lambda: table.is_by('users'))
        self.client.call('put', release=table.release, table='items', keys=[1], rows=table.queries[:1].tobytes())
        self.client.call('merge')
        table.wait(lambda: table.is_by('users'))
        self.check(table, 'inner_product', 10, 0.95, None)

    def test_answers_say_what_the_index_was_calibrated_by(self):
        for users, expected in (('yes', 'users'), ('no', 'rows')):
            table = self.table('movielens', users)
            answer, = table.ask(100, 'cosine', 0.5, None, table.queries[:1])
            self.assertFalse(answer['exact'])
            self.assertEqual(answer['calibrated'], expected)
            answer, = table.ask(100, 'cosine', 1.0, None, table.queries[:1])
            self.assertNotIn('calibrated', answer)
            beyond, = table.ask(5000, 'cosine', 0.5, None, table.queries[:1])
            self.assertTrue(beyond['exact'])


if __name__ == '__main__':
    harness.main()
