"""test_times.py - one rule for the times of rows and samples, however they come in."""

import numpy as np

import harness

HOUR_MS = 3600 * 1000
LAST_MS = 16725225600000        # the first moment of the year 2500
ROW = np.ones(2, '<f4').tobytes()


def column(time_ms):
    return np.array([time_ms], '<i8').tobytes()


class Times(harness.Case):
    def setUp(self):
        """A live release with a table of items and a layer, and an open one."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        for release in ('r', 'open'):
            self.client.call('release.create', release=release)
            self.client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=2)
            self.client.call('table.create', release=release, table='cr_item@m', entity='item', kind='cr', dim=2)
        self.client.seal('r')
        self.chunk = 0

    def load(self, time_ms, **more):
        self.client.call('load', release='open', table='t', load='l', chunk=self.chunk, keys=[1], rows=ROW,
                         times=column(time_ms), **more)
        self.chunk += 1

    def put(self, time_ms, **more):
        return self.client.call('put', release='live', table='t', keys=[1], rows=ROW, times=column(time_ms), **more)

    def put_parts(self, time_ms, **more):
        self.client.call('put', release='live', parts=[
            dict(table='t', keys=[2], rows=ROW),
            dict(table='t', keys=[1], rows=ROW, times=column(time_ms), **more)])

    def observe(self, time_ms, **more):
        self.client.call('observe', release='live', layer='m', items=[1], rows=ROW, times=column(time_ms), **more)

    def test_one_rule_for_all(self):
        for way in (self.load, self.put, self.put_parts, self.observe):
            now = harness.now_ms()
            for allowed in (0, 1, now, now + HOUR_MS - 60000):
                way(allowed)
                way(allowed, any_time=True)
                way(allowed, any_time=False)
            for refused in (-1, now + HOUR_MS + 60000, now * 1000, LAST_MS):
                with self.fails('BAD_REQUEST', 'times: ', ' 0 has %d, 0..' % refused, 'an hour ahead', 'any_time'):
                    way(refused)
            way(LAST_MS, any_time=True)
            for refused in (-1, LAST_MS + 1, (1 << 63) - 1):
                with self.fails('BAD_REQUEST', 'times: ', ' 0 has %d, 0..%d allowed' % (refused, LAST_MS)):
                    way(refused, any_time=True)
        with self.fails('BAD_REQUEST', 'parts[1].times: row 0'):
            self.put_parts(LAST_MS)

    def test_no_row_is_the_newest_for_ever_by_mistake(self):
        with self.fails('BAD_REQUEST', 'times'):
            self.put(LAST_MS)
        self.assertEqual(self.put(harness.now_ms(), if_newer=True)['applied'], 1)
        self.assertEqual(self.put(harness.now_ms() + 1000, if_newer=True)['applied'], 1)

    def test_the_command_means_what_it_is_told(self):
        late = str(harness.now_ms() + 2 * HOUR_MS)
        self.daemon.command('put', 't', '7', '1', '2', '--time', late, fails=2)
        self.daemon.command('put', 't', '7', '1', '2', '--time', late, '--any-time')
        self.assertEqual(self.daemon.command_json('fetch', 't', '7')[0]['time'], int(late))


if __name__ == '__main__':
    harness.main()
