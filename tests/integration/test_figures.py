"""test_figures.py - what the daemon counts: times and codes of each method, keys of each table, waits."""

import numpy as np

import harness

KEYS = np.arange(100, dtype='<u8')
ROWS = np.arange(400, dtype='<f4').reshape(100, 4)


class Figures(harness.Case):
    def setUp(self):
        """A live release of two tables."""
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.make('r1')
        self.client.call('release.publish', release='r1')

    def make(self, release):
        self.client.call('release.create', release=release)
        for table in ('ir', 'ur'):
            self.client.call('table.create', release=release, table=table, entity='item', kind='ir', dim=4)
            self.client.load(release, table, KEYS, ROWS)
        self.client.seal(release)

    def stats(self):
        return self.client.call('stats')

    def test_times_of_a_method_add_up_to_its_calls(self):
        for _ in range(50):
            self.client.fetch('ir', [1])
        with self.assertRaises(harness.Failed):
            self.client.fetch('missing', [1])
        requests = self.stats()['requests']
        self.assertEqual(requests['fetch']['count'], 51)
        self.assertEqual(requests['fetch']['errors'], 1)
        self.assertEqual(sum(requests['fetch']['times']), 51)
        self.assertGreater(requests['fetch']['us'], 0)
        self.assertLessEqual(len(requests['fetch']['times']), 20)
        self.assertEqual(requests['retrieve'], {'count': 0, 'errors': 0})
        for name, figures in requests.items():
            self.assertEqual(sum(figures.get('times', [])), figures['count'], name)

    def test_a_pipeline_is_counted_whole(self):
        """Its replies are sent together, and each of its requests has a time."""
        before = self.stats()['requests']['ping']['count']
        ids = [self.client.send('ping') for _ in range(600)]
        for msgid in ids:
            self.client.wait(msgid)
        figures = self.stats()['requests']['ping']
        self.assertEqual(figures['count'], before + 600)
        self.assertEqual(sum(figures['times']), before + 600)

    def test_keys_are_counted_by_their_table(self):
        self.client.fetch('ir', [1, 2, 3, 1000])
        self.client.fetch('ur', [1, 2000, 2001])
        self.client.call('fetch', parts=[{'table': 'ir', 'keys': [4]}, {'table': 'ur', 'keys': [5, 3000]}])
        keys = self.stats()['keys']
        self.assertEqual(keys['ir'], dict(found=4, absent=1, expired=0, too_old=0, corrupt=0, defaulted=0))
        self.assertEqual(keys['ur'], dict(found=2, absent=3, expired=0, too_old=0, corrupt=0, defaulted=0))
        self.assertEqual(self.stats()['fetch']['rows'], 10)

    def test_counts_of_a_table_go_on_over_releases(self):
        """Its name is what clients ask for; so neither publish, rollback nor merge begins anew."""
        self.client.fetch('ir', [1, 2])
        self.make('r2')
        self.client.call('release.publish', release='r2')
        self.client.fetch('ir', [1, 1000])
        self.client.call('put', release='live', table='ir', keys=[1], rows=ROWS[:1].tobytes())
        self.client.call('merge')
        self.client.fetch('ir', [1])
        self.assertEqual(self.stats()['keys']['ir']['found'], 4)
        self.client.call('release.rollback')
        self.client.call('release.drop', release='r2')
        self.client.fetch('ir', [1])
        self.assertEqual(self.stats()['keys']['ir']['found'], 5)
        self.assertEqual(self.stats()['keys']['ir']['absent'], 1)

    def test_waits_of_a_queue_are_counted(self):
        before = sum(self.stats()['waits']['write']['times'])
        for key in range(7):
            self.client.call('put', release='live', table='ir', keys=[key], rows=ROWS[:1].tobytes())
        self.assertEqual(sum(self.stats()['waits']['write']['times']), before + 7)


if __name__ == '__main__':
    harness.main()
