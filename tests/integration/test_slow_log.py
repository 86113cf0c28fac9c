"""test_slow_log.py - requests that took long: in the slow log, in the journal, with what their clients said of themselves."""

import os
import re
import time
import unittest

import numpy as np

import harness
import http_case

DIM, COUNT = 64, 60000
TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'


class SlowLog(harness.Case):

    def setUp(self):
        """A daemon to which a millisecond is long, and a table through which an exact search takes several."""
        super().setUp()
        self.daemon = self.start_daemon('--slow-threshold', '1ms', '--workers', '1')
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.client.call('release.create', release='r')
        for table, entity in (('ir', 'item'), ('ur', 'user')):
            self.client.call('table.create', release='r', table=table, entity=entity, kind=table, dim=DIM)
        self.client.load('r', 'ir', np.arange(COUNT, dtype='<u8'), np.ones((COUNT, DIM), '<f4'))
        self.client.load('r', 'ur', np.arange(3, dtype='<u8'), np.ones((3, DIM), '<f4'))
        self.client.seal('r')
        self.client.call('slowlog', reset=True)

    def lines(self, *words):
        """Lines of the journal, which come behind the answer."""
        limit = time.monotonic() + harness.CALL_SECONDS
        found = []
        while not found:
            self.assertLess(time.monotonic(), limit, self.daemon.log())
            found = [line for line in self.daemon.log().splitlines() if all(word in line for word in words)]
        return found

    def search(self, client=None, **more):
        """A search that is slow, and its entry."""
        client = client or self.client
        for _ in range(100):        # one that the machine runs in under a millisecond is no failure
            client.call('retrieve', **{'from': {'table': 'ur', 'keys': [1, 2]}, 'in': 'ir', 'k': 1000, **more})
            entries = [each for each in self.client.call('slowlog', n=256)['entries'] if each['method'] == 'retrieve']
            if entries:
                return entries[0]
        self.fail('no search was slow')

    def test_an_entry_says_what_and_who(self):
        self.client.call('hello', client='ranker "eu"\nevent=stopped')
        entry = self.search(trace=TRACE)
        self.assertEqual((entry['release'], entry['tables'], entry['table_count'], entry['keys']), ('r', 'ur,ir', 2, 2))
        self.assertEqual((entry['trace'], entry['code'], entry['peer']), (TRACE, 'OK', 'uid:%d' % os.getuid()))
        self.assertEqual(entry['client'], 'ranker \\x22eu\\x22\\x0aevent=stopped')
        self.assertGreaterEqual(entry['us'], 1000)
        self.assertGreaterEqual(entry['us'], entry['queued_us'] + entry['work_us'])
        self.assertGreater(entry['bytes_out'], 1000 * 12)
        self.assertLess(abs(entry['time_ms'] - harness.now_ms()), 60000)
        lines = self.lines('event=request_slow', 'method=retrieve')
        self.assertIn('trace="%s"' % TRACE, lines[0])
        self.assertIn('client="ranker \\x22eu\\x22\\x0aevent=stopped"', lines[0])
        self.assertFalse([line for line in self.daemon.log().splitlines() if line.startswith('event=stopped')])

    def test_counts_go_on_over_a_reset(self):
        self.search()
        before = self.client.call('slowlog', reset=True)
        self.assertTrue(before['entries'])
        self.assertEqual(before['threshold_ms'], 1)
        after = self.client.call('slowlog')
        self.assertGreaterEqual(after['count'], before['count'])
        self.assertTrue(all(each['id'] > before['count'] for each in after['entries']))
        stats = self.client.call('stats')['slow']
        self.assertGreaterEqual(stats['count'], after['count'])
        self.assertGreaterEqual(stats['us'], after['us'])
        for wrong in (0, 257):
            with self.fails('BAD_REQUEST', 'n: %d' % wrong, '1..256'):
                self.client.call('slowlog', n=wrong)

    @unittest.skipUnless(http_case.is_built(), 'built without a port for HTTP')
    def test_metrics_have_the_count_and_the_time_alone(self):
        daemon = self.start_daemon('--slow-threshold', '1ms', '--http', 'unix:' + self.path('http'), name='watched')
        with daemon.client() as client:
            for i in range(20):
                client.call('release.create', release='r%d' % i, trace=TRACE)      # a transaction of the catalog each
        text = http_case.ask(http_case.address_of(daemon), '/metrics')[2]
        samples = http_case.samples_of(text)
        with daemon.client() as client:
            after = client.call('slowlog')
        self.assertGreater(after['count'], 0)
        self.assertLessEqual(samples['repstore_slow_requests_total'][''], after['count'])
        self.assertLessEqual(samples['repstore_slow_requests_seconds_total'][''], after['us'] / 1e6)
        self.assertEqual(samples['repstore_slow_requests_total'][''] > 0, samples['repstore_slow_requests_seconds_total'][''] > 0)
        self.assertNotIn(TRACE, text)

    def test_no_key_and_no_row_is_kept(self):
        secret = 0x5ec2e7
        self.client.call('put', release='live', table='ur', keys=[secret], rows=np.full(DIM, 7, '<f4').tobytes())
        self.search(**{'from': {'table': 'ur', 'keys': [secret]}})
        shown = repr(self.client.call('slowlog', n=256)) + self.daemon.log()
        for word in (str(secret), '%x' % secret):
            self.assertNotIn(word, shown)

    def test_a_write_that_waits_for_the_disk_has_its_names(self):
        """Its message is gone by then, so what is said comes from its beginning."""
        rows = np.ones((5000, DIM), '<f4')
        for _ in range(100):
            self.client.call('put', trace=TRACE, release='live', table='ur', keys=np.arange(5000, dtype='<u8').tobytes(),
                             rows=rows.tobytes())
            entries = [each for each in self.client.call('slowlog', n=256)['entries'] if each['method'] == 'put']
            if entries:
                break
        entry = entries[0]
        self.assertEqual((entry['release'], entry['tables'], entry['keys'], entry['trace']), ('r', 'ur', 5000, TRACE))
        self.assertGreater(entry['bytes_in'], rows.nbytes)

    def test_a_failure_of_the_daemon_is_told_with_its_trace(self):
        self.client.call('release.create', release='next')
        self.client.call('table.create', release='next', table='t', entity='item', kind='ir', dim=1)
        self.client.call('load', release='next', table='t', load='l', chunk=0, keys=[1], rows=bytes(4))
        self.client.call('load.end', release='next', table='t', load='l', chunks=1, rows=1)
        self.client.close()
        self.daemon.stop()
        folder = os.path.join(self.daemon.data, 'releases')
        for path, _, names in os.walk(folder):
            for name in names:
                if 'spill' in name or name.endswith('.load'):
                    os.remove(os.path.join(path, name))
        self.daemon.start()
        self.client = self.daemon.client()
        with self.fails('CORRUPT'):
            self.client.call('release.seal', release='next', trace=TRACE)
        lines = self.lines('event=request_failed')
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], 'method=release.seal code=CORRUPT .*trace="%s" untold=0' % TRACE)

    def test_the_command_shows_it(self):
        self.client.call('hello', client='ranker')
        self.search(trace=TRACE)
        shown = self.daemon.command('slowlog', '-n', 256)
        line = next(line for line in shown.splitlines() if 'retrieve' in line)
        self.assertIn('r/ur,ir', line)
        self.assertIn('ranker', line)
        self.assertIn(TRACE, line)
        self.daemon.command('slowlog', '--reset')
        self.assertNotIn(TRACE, self.daemon.command('slowlog'))
        entries = self.client.call('slowlog', n=256)['entries']
        self.assertFalse([each for each in entries if each.get('client', '').startswith('repstore') and each['method'] == 'hello'])

    def test_latency_is_told_span_by_span(self):
        shown = self.daemon.command('latency', '-n', 2, '-i', '0.1', '--history')
        self.assertEqual(len(shown.splitlines()), 2)
        for line in shown.splitlines():
            figures = [float(each) for each in re.search(
                r'min +([0-9.]+)  avg +([0-9.]+)  p50 +([0-9.]+)  p99 +([0-9.]+)  max +([0-9.]+) us$', line).groups()]
            least, mean, median, high, most = figures
            self.assertTrue(0 < least <= median <= high <= most and least <= mean <= most, line)


if __name__ == '__main__':
    harness.main()
