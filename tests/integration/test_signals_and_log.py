"""test_signals_and_log.py - which signals end the daemon, and what its log says when all is well."""

import signal
import time

import numpy as np

import harness

KEYS = np.arange(6000, dtype='<u8')
ROWS = np.random.default_rng(1).standard_normal((6000, 8)).astype('<f4')


class SignalsAndLog(harness.Case):
    def setUp(self):
        """A live release with an index, and an open one with a tensor and a load under way."""
        super().setUp()
        self.daemon = self.start_daemon()
        with self.daemon.client() as client:
            client.call('release.create', release='l')
            client.call('table.create', release='l', table='t', entity='item', kind='ir', dim=8, index='balls')
            client.load('l', 't', KEYS, ROWS)
            client.seal('l')
            client.call('release.create', release='o')
            client.call('table.create', release='o', table='t', entity='item', kind='ir', dim=8)
            client.call('load', release='o', table='t', load='half', chunk=0, keys=[1], rows=ROWS[0].tobytes())
            client.call('tensor.put', release='o', tensor='w', dtype='f32', shape=[8], data=ROWS[1].tobytes())
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('table.show', release='l', table='t')['index_bytes'] == 0:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.01)

    def test_other_signals_change_nothing(self):
        with self.daemon.client() as client:
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                self.daemon.process.send_signal(number)
                self.assertEqual(client.call('ping'), {})
            self.assertEqual(client.fetch('t', [1])['rows'], ROWS[1].tobytes())
        self.assertNotIn('event=stopping', self.daemon.log())

    def test_a_clean_start_warns_of_nothing(self):
        self.daemon.restart()
        self.assertEqual([line for line in self.daemon.log().splitlines() if 'level=info' not in line], [])
        self.assertIn('event=index_built', self.daemon.log())
        with self.daemon.client() as client:
            self.assertEqual(client.call('tensor.get', release='o', tensor='w')['data'], ROWS[1].tobytes())
            self.assertEqual(client.call('release.show', release='o')['loads'][0]['rows'], 1)

    def test_a_file_of_nobody_is_warned_of(self):
        self.daemon.stop()
        with open(self.daemon.data + '/releases/2/spill-99-x', 'wb'):
            pass
        self.daemon.start()
        self.assertIn('level=warning event=unknown_file release=o file=spill-99-x', self.daemon.log())


if __name__ == '__main__':
    harness.main()
