"""test_clock.py - the wall clock is set by an hour, forward and back, while the daemon runs.

Rows live by the wall clock, since their times are given by others. What waits, waits by a clock that nobody sets.
"""

import os
import time

import numpy as np

import harness
import http_case
from http_case import ask

HOUR_MS = 3600 * 1000
TTL_MS = HOUR_MS // 2
DIM = 4
KEYS = np.arange(100, dtype='<u8')
FOUND, EXPIRED = 0, 2
SETTINGS = '''[net]
idle_timeout = 120s
request_timeout = 120s
queue_time = 60s
stop_grace = 20s
'''


def row(value):
    return np.full(DIM, value, '<f4').tobytes()


class Clock(http_case.HttpCase):
    def setUp(self):
        """A live release: rows with a time to live, samples, and a table to search in."""
        super().setUp()
        self.backups = self.path('backups')
        os.makedirs(self.backups)
        self.faults = harness.Faults(self.path('faults'))
        self.shift_ms = 0
        self.start_http(*self.config(SETTINGS), '--search-threads', '1', '--backup-folder', self.backups, environment=self.faults.environment())
        call = self.client.call
        call('release.create', release='r')
        call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM, ttl_ms=TTL_MS)
        call('table.create', release='r', table='cr_user@m', entity='user', kind='cr', dim=DIM, half_life_ms=HOUR_MS, read='sum')
        call('table.create', release='r', table='bits', entity='item', kind='ir', dim=64, dtype='bit')
        self.bits = np.random.default_rng(1).integers(0, 256, (12000, 8), 'u1')
        self.client.load('r', 'bits', np.arange(len(self.bits)), self.bits, dtype='bit')
        self.client.load('r', 't', KEYS, np.ones((len(KEYS), DIM), '<f4'))
        self.client.seal('r')
        self.await_ready()

    def set_clock(self, hours):
        self.shift_ms = hours * HOUR_MS
        self.faults.begin('clock', self.shift_ms)

    def now_ms(self):
        return harness.now_ms() + self.shift_ms

    def put(self, key, value, **more):
        self.client.call('put', release='live', table='t', keys=[key], rows=row(value), **more)

    def observe(self, value, time_ms):
        self.client.call('observe', release='live', layer='m', users=[1], rows=row(value),
                         times=np.array([time_ms], '<i8').tobytes())

    def why_of(self, key):
        return self.client.fetch('t', [key], why=True)['why'][0]

    def let_ticks_pass(self):
        """Each second the loops look who has waited too long."""
        begin = self.client.call('stats')['uptime_ms']
        self.assertLess(begin, 100000)
        self.await_true(lambda: self.client.call('stats')['uptime_ms'] > begin + 2100)
        self.assertEqual(ask(self.address, '/healthz')[0], 200)
        self.assertEqual(ask(self.address, '/readyz')[0], 200)

    def merge(self):
        self.client.call('merge')

    def test_what_waits_waits_on(self):
        """Connections that ask nothing, half a request, searches with a time limit that run and that queue, and a stop."""
        ping = harness.request(7, 'ping', [])
        search = {'release': 'r', 'from': {'dim': 64, 'views': 4, 'dtype': 'bit', 'rows': self.bits[:1024].tobytes()},
                  'in': 'bits', 'metric': 'hamming', 'k': 2000, 'timeout_ms': 600000}
        with self.daemon.client() as idle, self.daemon.client() as half, self.daemon.client() as searcher:
            idle.call('ping')
            half.send_bytes(ping[:4])
            for hours in (1, 0, -1):
                searches = [searcher.send('retrieve', search) for _ in range(2)]
                self.await_true(lambda: self.client.call('stats')['queues']['search'] == 1)
                self.set_clock(hours)
                for msgid in searches:
                    searcher.wait(msgid)
                self.let_ticks_pass()
                self.assertEqual(idle.call('ping'), {})
            half.send_bytes(ping[4:])
            self.assertEqual(half.receive(), (7, None, {}))
            self.assertEqual(set(self.client.call('stats')['connections']['closed'].values()), {0})
            times = [entry['us'] for entry in self.client.call('slowlog')['entries']]
            self.assertTrue(times and 0 < min(times) and max(times) < 100e6, times)
            last = searcher.send('retrieve', search)
            self.await_true(lambda: self.metrics()['repstore_pinned_readers'][''] == 1)
            self.client.close()
            self.daemon.process.terminate()     # the grace of a stop lasts, too
            self.await_true(lambda: '[-]serving' in ask(self.address, '/readyz')[2])
            self.set_clock(1)
            searcher.wait(last)
        self.assertEqual(self.daemon.wait(), 0)
        self.daemon.process = None
        self.assertNotIn('work_left_unfinished', self.daemon.log())

    def test_rows_and_samples(self):
        now = self.now_ms()
        self.put(1, 2.0)
        self.observe(1.0, now)
        for _ in range(2):
            self.set_clock(1)
            self.assertEqual([self.why_of(key) for key in (1, 2)], [EXPIRED, EXPIRED])
            self.put(3, 3.0)
            self.observe(4.0, now + HOUR_MS)
            self.assertEqual(self.why_of(3), FOUND)
            self.merge()        # what has expired by a clock that has jumped stays
            self.assertIn('event=clock_jumped', self.daemon.log())
            made = self.client.call('backup', dir='b')
            self.assertGreater(made['files'], 0)
            self.assertGreater(self.client.call('stats')['backup']['last_ms'], now + HOUR_MS)
            self.set_clock(0)
            self.assertEqual([self.why_of(key) for key in (1, 2, 3)], [FOUND] * 3)
            self.assertEqual(self.client.fetch('t', [1, 3])['rows'], row(2.0) + row(3.0))
            self.put(3, 5.0)    # the newest write counts, though the row that was there is of later
            self.assertEqual(self.client.fetch('t', [3])['rows'], row(5.0))
            self.observe(2.0, now)
            self.merge()
        # Twice 1 and 4, and 2 at the time of 1: what has the half-life lost a half, in whatever order it came.
        part = self.client.fetch('cr_user@m', [1], raw=True, weights=True, times=True)
        self.assertEqual(np.frombuffer(part['times'], '<i8')[0], now + HOUR_MS)
        np.testing.assert_allclose(np.frombuffer(part['rows'], '<f4'), (1 + 2 + 2) * 0.5 + 2 * 4, rtol=1e-5)
        np.testing.assert_allclose(np.frombuffer(part['weights'], '<f8'), 3 * 0.5 + 2, rtol=1e-5)
        with self.fails('BAD_REQUEST', 'times', 'an hour ahead'):
            self.observe(1.0, now + 2 * HOUR_MS)
        with self.fails('BAD_REQUEST', 'times', 'an hour ahead'):
            self.put(4, 1.0, times=np.array([now + 2 * HOUR_MS], '<i8').tobytes())

    def test_a_restart_by_a_clock_that_was_set_back(self):
        """Its log has frames of later than now."""
        self.set_clock(1)
        now = self.now_ms()
        self.put(1, 2.0)
        self.observe(1.0, now)
        self.set_clock(0)
        for _ in range(2):
            self.client.close()
            self.daemon.kill()
            self.daemon.start()
            self.client = self.daemon.client()
            self.address = http_case.address_of(self.daemon)
            self.assertEqual(self.client.fetch('t', [1])['rows'], row(2.0))
            self.assertEqual(self.client.fetch('cr_user@m', [1], raw=True)['rows'], row(1.0))
            self.assertEqual([self.why_of(key) for key in (1, 2)], [FOUND, FOUND])
            self.put(2, 3.0)
            self.merge()
            self.assertEqual(self.client.fetch('t', [1, 2])['rows'], row(2.0) + row(3.0))
            started = self.metrics()['process_start_time_seconds']['']
            self.assertLess(abs(started - time.time()), 100)
        self.client.close()


if __name__ == '__main__':
    harness.main()
