"""test_limit_settings.py - each limit that an operator sets: what a peer gets beyond it, and that others notice nothing."""

import contextlib
import os
import time

import numpy as np

import harness
import http_case
from harness import Closed
from test_access import connect_as

STRANGER, OTHER = 3005, 3006
MIB = 1 << 20
DIM = 64


class LimitSettings(harness.Case):
    def start(self, text, rows=1000):
        self.daemon = self.make_daemon(*self.config(text), name='at-%d' % rows).start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for table, entity, kind in (('ir', 'item', 'ir'), ('ur', 'user', 'ur')):
                client.call('table.create', release='r', table=table, entity=entity, kind=kind, dim=DIM)
                keys = np.arange(rows, dtype='<u8')
                client.load('r', table, keys, np.ones((rows, DIM), '<f4'))
            client.seal('r')

    def test_connections_of_a_user(self):
        if os.geteuid() != 0:
            self.skipTest('only root can be several users')
        os.chmod(self.scratch, 0o755)
        self.start('[net]\nuser_connections = 3\nmax_connections = 20\nkept_connections = 2\n')
        with contextlib.ExitStack() as stack:
            for uid in (STRANGER, OTHER):
                for _ in range(3):
                    self.assertEqual(stack.enter_context(connect_as(self.daemon.address, uid)).call('ping'), {})
                with self.assertRaises((Closed, ConnectionError)):
                    stack.enter_context(connect_as(self.daemon.address, uid)).call('ping')
            own = [stack.enter_context(self.daemon.client()) for _ in range(6)]     # the daemon's own user is not counted
            for client in own:
                self.assertEqual(client.call('ping'), {})
            self.assertEqual(own[0].call('stats')['connections']['refused'], 2)
        self.assertIn('reason=user_connections', self.daemon.log())

    def test_keys_of_a_request(self):
        self.start('[net]\nrequest_keys = 1000\n')
        keys = np.arange(1001, dtype='<u8')
        few, half, many = keys[:1000].tobytes(), keys[:501].tobytes(), keys.tobytes()
        rows = np.ones((1001, DIM), '<f4').tobytes()
        vectors = {'dim': DIM, 'rows': np.ones(DIM, '<f4').tobytes()}
        told = ('1001', '1000', 'request_keys')
        with self.daemon.client() as client:
            part = {'table': 'ir', 'keys': few}
            self.assertEqual(client.call('fetch', parts=[part])['parts'][0]['n'], 1000)
            with self.fails('TOO_LARGE', *told):
                client.call('fetch', parts=[{'table': 'ir', 'keys': many}])
            with self.fails('TOO_LARGE', '1002', 'request_keys'):
                client.call('fetch', parts=[{'table': 'ir', 'keys': half}, {'table': 'ur', 'keys': half}])
            with self.fails('TOO_LARGE', *told):
                client.call('put', release='r', table='ir', keys=many, rows=rows)
            with self.fails('TOO_LARGE', *told):
                client.call('delete', release='r', table='ir', keys=many)
            with self.fails('TOO_LARGE', *told):
                client.call('score', **{'release': 'r', 'in': 'ir', 'keys': many, 'from': vectors})
            with self.fails('TOO_LARGE', '1002'):
                client.call('retrieve', **{'release': 'r', 'in': 'ir', 'allow': half, 'deny': half, 'from': vectors})
            client.call('release.create', release='next')
            client.call('table.create', release='next', table='ir', entity='item', kind='ir', dim=DIM)
            with self.fails('TOO_LARGE', *told):
                client.call('load', release='next', table='ir', load='l', chunk=0, keys=many, rows=rows)
            put = client.call('put', release='r', table='ir', keys=few, rows=rows[:1000 * 4 * DIM])
            self.assertEqual(put['applied'], 1000)

    def test_work_of_a_request(self):
        """A million keys take more than ten milliseconds, by any estimate; a thousand do not."""
        self.start('[net]\nrequest_work = 10ms\n')
        few, many = ([{'table': 'ir', 'keys': np.arange(count, dtype='<u8').tobytes()}] for count in (1000, 1000000))
        with self.daemon.client() as client:
            self.assertEqual(client.call('fetch', parts=few)['parts'][0]['n'], 1000)
            with self.fails('TOO_LARGE', 'ms of a thread', 'at most 10 allowed (request_work)'):
                client.call('fetch', parts=many)
            self.config('[net]\nrequest_work = 20s\n')
            self.assertEqual(client.call('reload')['changed'], ['net.request_work'])
            with self.fails('TOO_LARGE', 'the reply'):           # which is more than 64 MiB of rows
                client.call('fetch', parts=many)
            self.assertEqual(client.call('fetch', parts=few)['parts'][0]['n'], 1000)

    def test_limits_are_told_as_they_hold(self):
        """In stats and in the metrics, and after a reload again."""
        told = dict(max_connections=('50', 50), kept_connections=('3', 3), user_connections=('7', 7), in_flight=('9', 9), search_waiting=('11', 11),
                    request_keys=('2000', 2000), connection_reply_memory=('64K', 65536), least_rate=('1K', 1024), request_work=('2s', 2000),
                    queue_time=('70ms', 70), request_timeout=('8s', 8000), idle_timeout=('90s', 90000), stop_grace=('4s', 4000))
        text = '%s[store]\ndisk_reserve = %%s\n[net]\n%s\n' % (
            '[http]\nlisten = unix:%s\n' % self.path('http') if http_case.is_built() else '',
            '\n'.join('%s = %s' % (name, given) for name, (given, _) in told.items()))
        self.start(text % '3M')

        def metrics():
            found = http_case.samples_of(http_case.ask('unix:' + self.path('http'), '/metrics')[2])
            return {labels.split('"')[1]: value * (1000 if unit == 'seconds' else 1) for unit in ('number', 'bytes', 'seconds')
                    for labels, value in found['repstore_limit_' + unit].items()}
        with self.daemon.client() as client:
            self.assertEqual(client.call('stats')['limits'], {name: value for name, (_, value) in told.items()})
            if http_case.is_built():
                self.assertEqual(metrics(), dict(client.call('stats')['limits'], disk_reserve=3 * MIB))
            self.config(text % '5M' + 'in_flight = 10\n')
            self.assertEqual(client.call('reload')['changed'], ['store.disk_reserve', 'net.in_flight'])
            stats = client.call('stats')
            self.assertEqual((stats['limits']['in_flight'], stats['store']['disk_reserve']), (10, 5 * MIB))
            if http_case.is_built():
                self.assertEqual(metrics(), dict(stats['limits'], disk_reserve=5 * MIB))

    def test_a_connection_that_asks_nothing(self):
        self.start('[net]\nidle_timeout = 1s\n')
        with self.daemon.client() as idle, self.daemon.client() as busy:
            began = time.monotonic()
            while not self.is_closed(idle):
                self.assertEqual(busy.call('ping'), {})
                self.assertLess(time.monotonic() - began, harness.CALL_SECONDS)
                time.sleep(0.05)
            self.assertGreater(time.monotonic() - began, 0.9)
            self.assertEqual(busy.call('ping'), {})

    def is_closed(self, client):
        client.socket.setblocking(False)
        try:
            return client.socket.recv(1) == b''
        except BlockingIOError:
            return False

    def scanned_unread(self, setting, rows):
        """How many of 60 scans are run whose answers, of a megabyte each, nobody reads."""
        self.start('[net]\n%s\n' % setting, rows)
        with self.daemon.client() as client, self.daemon.client() as watch:
            for _ in range(60):
                client.send('scan', {'table': 'ir', 'limit': rows})
            last, since = -1, time.monotonic()
            while last < 60 and time.monotonic() - since < 1:
                count = watch.call('stats')['requests']['scan']['count']
                if count != last:
                    last, since = count, time.monotonic()
            for _ in range(60):
                self.assertIsNone(client.receive()[1])      # once it reads, it has them all
        self.daemon.stop()
        return last

    def test_replies_of_a_connection(self):
        few = self.scanned_unread('connection_reply_memory = 4K\nin_flight = 1', 4096)
        many = self.scanned_unread('connection_reply_memory = 200M\nin_flight = 64', 4097)
        self.assertLess(few, 30)
        self.assertEqual(many, 60)

    def test_a_reserve_of_the_disk(self):
        disk = self.make_disk(160 * MIB)
        self.daemon = self.make_daemon('--data', os.path.join(disk, 'data'), *self.config('[store]\ndisk_reserve = 40M\n')).start()
        keys = np.arange(100, dtype='<u8')
        rows = np.ones((100, DIM), '<f4')
        with self.daemon.client() as client:
            for release in ('r', 'next'):
                client.call('release.create', release=release)
                client.call('table.create', release=release, table='ur', entity='user', kind='ur', dim=DIM)
                client.load(release, 'ur', keys, rows)
            client.seal('r')
            put = dict(release='r', table='ur', keys=keys.tobytes(), rows=rows.tobytes())
            ballast = harness.fill_disk(disk, 30 * MIB)
            self.wait_for(lambda: self.refusal(client, 'release.seal', release='next'), 'disk_reserve')
            with self.fails('DISK_FULL', 'disk_reserve', str(40 * MIB)):
                client.call('load', release='next', table='ur', load='more', chunk=0, keys=keys.tobytes(), rows=rows.tobytes())
            with self.fails('DISK_FULL', 'disk_reserve'):
                client.call('tensor.put', release='next', tensor='w', dtype='f32', shape=[1], data=b'1234')
            self.assertEqual(client.call('put', **put)['applied'], 100)    # writes go on for longer
            harness.fill_disk(disk, 10 * MIB)
            self.wait_for(lambda: self.refusal(client, 'put', **put), str(20 * MIB))
            with self.fails('DISK_FULL', 'disk_reserve'):
                client.call('delete', release='r', table='ur', keys=keys.tobytes())
            self.assertEqual(client.fetch('ur', keys.tobytes())['rows'], rows.tobytes())
            os.unlink(ballast)
            self.wait_for(lambda: self.refusal(client, 'put', **put), '')
            client.seal('next')

    def test_how_long_a_read_may_queue(self):
        self.start('[net]\nqueue_time = 50ms\nsearch_threads = 1\n')
        bits = np.random.default_rng(1).integers(0, 256, (20000, 8), 'u1')
        with self.daemon.client() as client, self.daemon.client() as other:
            client.call('release.create', release='b')
            client.call('table.create', release='b', table='bits', entity='item', kind='ir', dim=64, dtype='bit')
            client.load('b', 'bits', np.arange(len(bits)), bits, dtype='bit')
            client.seal('b', publish=False)
            search = {'release': 'b', 'from': {'dim': 64, 'views': 4, 'dtype': 'bit', 'rows': bits[:1024].tobytes()},
                      'in': 'bits', 'metric': 'hamming', 'k': 2000}
            first, second = [client.send('retrieve', search) for _ in range(2)]
            with self.fails('BUSY', 'queue_time'):
                client.wait(second)
            self.assertEqual(other.call('put', release='r', table='ur', keys=[1], rows=bytes(4 * DIM))['applied'], 1)
            self.assertEqual(len(client.wait(first)['parts']), 256)

    def waits_of_writes(self, setting, count, each, bound):
        """Puts of `each` rows, more than may wait for a merge: all are taken, and what waits has its bound."""
        self.start('[log]\nmerge_rate = 1M\n%s\n[net]\nrequest_keys = 1000000\n' % setting, rows=10000)
        figure = 'memtable_rows' if 'rows' in setting else 'pending_bytes'
        rows = np.ones((each, DIM), '<f4').tobytes()
        most = 0
        with self.daemon.client() as client:
            for number in range(count):
                keys = (10 ** 6 + number * (1000 if 'rows' in setting else 0) + np.arange(each, dtype='<u8')).tobytes()
                self.assertEqual(client.call('put', release='r', table='ur', keys=keys, rows=rows)['applied'], each)
                most = max(most, client.call('stats')['write'][figure])
            self.assertGreater(client.call('stats')['write']['merges'], 1)
            self.assertEqual(client.fetch('ur', keys)['rows'], rows)
        self.daemon.stop()
        self.assertLessEqual(most, bound)

    def test_rows_that_wait_for_a_merge(self):
        self.waits_of_writes('memtable_rows = 1000', 30, 900, 1900)

    def test_log_that_waits_for_a_merge(self):
        self.waits_of_writes('log_size = 128M', 8, 150000, (128 + 40) * MIB)

    def refusal(self, client, method, **params):
        try:
            client.call(method, **params)
        except harness.Failed as failed:
            return failed.text
        return ''

    def wait_for(self, ask, word):
        """Until the answer has the word; '' waits for no refusal. The daemon looks at the disk now and then."""
        limit = time.monotonic() + harness.CALL_SECONDS
        while True:
            text = ask()
            if (word in text) if word else not text:
                return
            self.assertLess(time.monotonic(), limit, text)
            time.sleep(0.02)


if __name__ == '__main__':
    harness.main()
