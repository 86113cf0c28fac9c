"""test_closings.py - whom the daemon keeps out or closes: each reason is counted, in `stats` and in the metrics."""

import contextlib
import os
import resource
import socket
import time

import harness
import http_case
from harness import Closed, Failed
from test_access import connect_as

STRANGER, READER = 3005, 3006
REFUSED = ('max_connections', 'user_connections', 'no_role', 'handshakes', 'no_descriptors', 'no_memory')
CLOSED = ('idle', 'request_half_sent', 'replies_unread', 'message_refused', 'no_memory')


class Closings(http_case.HttpCase):
    def start(self, settings, *args, before_exec=None):
        """A daemon whose own user keeps a connection to it, and waits until nobody else is there."""
        self.daemon = self.make_daemon('--http', 'tcp:127.0.0.1:0', *self.config(settings), *args)
        self.daemon.before_exec = before_exec
        self.daemon.start()
        self.address = http_case.address_of(self.daemon)
        self.own = self.daemon.client()
        self.addCleanup(self.own.close)
        self.await_true(lambda: self.connections()['open'] == 1)

    def connections(self):
        return self.own.call('stats')['connections']

    def is_kept_out(self, connect):
        try:
            with connect() as client:
                client.call('ping')
            return False
        except (Closed, ConnectionError):
            return True

    def expect(self, counts, names, of_stats, metric):
        """Until the figures are these, and those of the other reasons 0."""
        wanted = {name: counts.get(name, 0) for name in names}
        self.await_true(lambda: self.connections()[of_stats] == wanted)
        self.assertEqual(self.metrics()['repstore_' + metric],
                         {'reason="%s"' % name: count for name, count in wanted.items()})

    def expect_refused(self, **counts):
        self.expect(counts, REFUSED, 'refused_by', 'connections_refused_total')
        self.assertEqual(self.connections()['refused'], sum(counts.values()))
        for reason in counts:
            self.assertIn('event=connection_refused reason=%s ' % reason, self.daemon.log())

    def expect_closed(self, **counts):
        self.expect(counts, CLOSED, 'closed', 'connections_closed_total')

    # ---- who is kept out ----

    def test_more_than_may_connect(self):
        self.start('[net]\nmax_connections = 4\n')
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(self.daemon.client()).call('ping')
            for _ in range(2):
                self.assertTrue(self.is_kept_out(self.daemon.client))
            self.expect_refused(max_connections=2)

    def test_more_than_a_user_may_have(self):
        if os.geteuid() != 0:
            self.skipTest('only root can be several users')
        os.chmod(self.scratch, 0o755)
        self.start('[net]\nuser_connections = 2\n[access]\nread = user:%d\n' % READER)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(connect_as(self.daemon.address, READER)).call('ping')
            self.assertTrue(self.is_kept_out(lambda: connect_as(self.daemon.address, READER)))
            self.expect_refused(user_connections=1)

    def test_more_than_users_without_a_role_may_have(self):
        if os.geteuid() != 0:
            self.skipTest('only root can be several users')
        os.chmod(self.scratch, 0o755)
        self.start('[net]\nmax_connections = 256\n')
        with contextlib.ExitStack() as stack:
            for _ in range(64):
                stack.enter_context(connect_as(self.daemon.address, STRANGER)).call('ping')
            self.assertTrue(self.is_kept_out(lambda: connect_as(self.daemon.address, STRANGER)))
            self.expect_refused(no_role=1)

    def test_more_than_there_are_descriptors_for(self):
        """The daemon goes on with those that are there, and takes others once there are descriptors."""
        self.start('', '--pool', '1', '--search-threads', '1', '--workers', '1',
                   before_exec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120)))
        with contextlib.ExitStack() as stack:
            path = self.daemon.address.partition(':')[2]
            held = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(120)]
            for each in held:
                each.connect(path)
            self.await_true(lambda: self.connections()['refused_by']['no_descriptors'] > 20)
            self.assertEqual(self.own.call('ping'), {})
            self.assertIn('event=connection_refused reason=no_descriptors ', self.daemon.log())
        self.await_true(lambda: self.connections()['open'] == 1)
        with self.daemon.client() as client:
            self.assertEqual(client.call('ping'), {})
        refused = self.connections()['refused_by']['no_descriptors']
        self.expect_refused(no_descriptors=refused)

    # ---- who is closed ----

    def test_one_that_asks_nothing(self):
        self.start('[net]\nidle_timeout = 1s\n')
        with self.daemon.client() as idle:
            idle.socket.settimeout(0.2)
            limit = time.monotonic() + harness.CALL_SECONDS
            while True:     # the own one is kept by what it asks
                self.assertLess(time.monotonic(), limit)
                self.own.call('ping')
                try:
                    self.assertEqual(idle.socket.recv(1), b'')
                    break
                except TimeoutError:
                    pass
            self.expect_closed(idle=1)

    def test_one_whose_request_stays_half_sent(self):
        self.start('[net]\nrequest_timeout = 500ms\n')
        with self.daemon.client() as slow:
            slow.send_bytes(harness.request(1, 'ping', [])[:4])
            self.assertTrue(slow.is_closed())
            self.expect_closed(request_half_sent=1)
        self.assertIn('event=connection_closed reason=request_half_sent ', self.daemon.log())

    def test_one_that_does_not_read_what_others_need(self):
        self.start('[net]\nrequest_timeout = 1s\nreply_memory = 96M\nkept_memory = 0\n')
        self.client = self.own
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=2048)
        self.client.load('r', 't', http_case.KEYS[:1], http_case.np.ones((1, 2048), '<f4'))
        self.client.seal('r')
        fetch = {'parts': [{'table': 't', 'keys': bytes(8 * 6400)}]}     # 50 MiB
        with self.daemon.client() as deaf:
            deaf.send('fetch', fetch)
            self.await_true(lambda: self.connections()['closed']['replies_unread'] == 1)
            self.expect_closed(replies_unread=1)
        self.assertIn('event=connection_closed reason=replies_unread ', self.daemon.log())

    def test_one_without_a_role_that_sends_much(self):
        if os.geteuid() != 0:
            self.skipTest('only root can be several users')
        os.chmod(self.scratch, 0o755)
        self.start('')
        with connect_as(self.daemon.address, STRANGER) as stranger:
            with self.assertRaises((Closed, Failed, OSError)):
                stranger.call('put', rows=bytes(1 << 20))
            self.assertTrue(stranger.is_closed())
            self.expect_closed(message_refused=1)

    def test_one_that_sends_no_messages(self):
        self.start('')
        with self.daemon.client() as strange:
            strange.send_bytes(b'GET / HTTP/1.1\r\n\r\n')
            self.assertTrue(strange.is_closed())
            self.expect_closed(message_refused=1)


if __name__ == '__main__':
    harness.main()
