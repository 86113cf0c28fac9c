"""test_import.py - what `repstore import` takes for what: each input is taken with its values, or is refused by what it
is, with the row of the file and the option of the command, and leaves nothing in the way of a seal."""

import os
import time

import numpy as np

import harness


class Import(harness.Case):
    def setUp(self):
        """A daemon with an open release."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')

    def table(self, name, *options, dim=2):
        self.daemon.command('table', 'create', 'r/' + name, '--entity', 'item', '--kind', 'ir', '--dim', dim, *options)

    def npy(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def arrays(self, table, *more, rows=None, keys=None):
        rows = np.ones((3, 2), '<f4') if rows is None else rows
        keys = np.arange(len(rows)) if keys is None else keys
        return ['import', 'r/' + table, '--keys', self.npy('k.npy', keys), '--rows', self.npy('x.npy', rows), *more]

    def lines(self, table, data, *more, **options):
        return self.daemon.command('import', 'r/' + table, '--format', 'jsonl', '-', *more, data=data, **options)


class Times(Import):
    def setUp(self):
        super().setUp()
        self.table('t', '--ttl', '7d')
        self.now = int(time.time())

    def times(self, name, value, *more, dtype='<i8', **options):
        path = self.npy(name, np.full(3, value, dtype))
        return self.daemon.command(*self.arrays('t'), '--times', path, *more, **options)

    def test_a_time_in_another_unit_is_noticed(self):
        for value, unit in ((self.now, 's'), (self.now * 10 ** 6, 'us'), (self.now * 10 ** 9, 'ns')):
            said = self.times('when.npy', value, fails=1)
            for words in ('when.npy', 'row 0', str(value), '--time-unit %s' % unit):
                self.assertIn(words, said)
            self.assertEqual(self.times('when.npy', value, '--time-unit', unit)[:6], '3 rows')

    def test_all_units_give_the_same_milliseconds(self):
        self.times('when.npy', self.now * 10 ** 6, '--time-unit', 'us')
        self.lines('t', b'{"key": 7, "vector": [1, 2], "time": %d}\n' % self.now, '--time-unit', 's')
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        self.daemon.command('put', 't', 8, 1, 2, '--time', self.now, '--time-unit', 's')
        shown = self.daemon.command_json('fetch', 't', 0, 7, 8)
        self.assertEqual([each['time'] for each in shown], [self.now * 1000] * 3)

    def test_an_odd_time_must_be_meant(self):
        for value in (1000, (self.now + 7200) * 1000):
            self.assertIn('--any-time', self.times('when.npy', value, fails=1))
            self.times('when.npy', value, '--any-time')
            said = self.lines('t', b'{"key": 7, "vector": [1, 2], "time": %d}\n' % value, fails=1)
            self.assertIn('--any-time', said)
        self.assertIn('--time-unit', self.daemon.command(
            'import', 'r/t', self.path('t.msgpack'), '--time-unit', 's', fails=2))


if __name__ == '__main__':
    harness.main()
