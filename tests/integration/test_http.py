"""test_http.py - metrics and health over HTTP: what is answered, and to whom."""

import contextlib
import os
import resource
import shutil
import socket
import threading
import time
import unittest

import numpy as np

import harness
import http_case
from http_case import ask, promtool


def libraries_of(daemon):
    """The names of the libraries that a daemon has mapped, without their versions."""
    with open('/proc/%d/maps' % daemon.process.pid, encoding='ascii') as file:
        return {os.path.basename(line.split()[-1]).split('.so')[0] for line in file if '.so' in line}


class Libraries(http_case.HttpCase):
    def test_a_daemon_without_the_port_does_not_wait_for_what_the_port_needs(self):
        daemon = self.start_daemon()
        without = libraries_of(daemon)
        daemon.stop()
        self.assertIn('liblmdb', without)
        self.assertEqual({'libmicrohttpd', 'libgnutls', 'libsystemd', 'libgcrypt'} & without, set())
        self.assertIn('libmicrohttpd', libraries_of(self.start_daemon('--http', 'tcp:127.0.0.1:0')))


class Metrics(http_case.HttpCase):
    def setUp(self):
        super().setUp()
        self.start_http()

    @unittest.skipUnless(shutil.which('promtool'), 'promtool is of the package prometheus')
    def test_promtool_finds_no_fault(self):
        self.make_live()
        self.use_everything()
        _, headers, text = ask(self.address, '/metrics')
        done = promtool('check', 'metrics', text=text)
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        self.assertEqual(headers['Content-Type'], 'text/plain; version=0.0.4; charset=utf-8')

    def test_each_metric_says_what_was_done(self):
        self.make_live()
        self.use_everything()
        calls = 'repstore_request_duration_seconds_count'
        # The time of a request is counted just after its reply was sent.
        self.await_true(lambda: self.metrics()[calls]['method="fetch"'] == 2)
        found = self.metrics()

        def value(name, labels=''):
            return found['repstore_' + name][labels]
        self.assertEqual(value('requests_total', 'method="retrieve",code="OK"'), 1)
        self.assertEqual(value('requests_total', 'method="fetch",code="OK"'), 1)
        self.assertEqual(value('requests_total', 'method="fetch",code="BAD_REQUEST"'), 1)
        self.assertEqual(value('request_duration_seconds_count', 'method="fetch"'), 2)
        self.assertEqual(value('request_duration_seconds_bucket', 'method="fetch",le="+Inf"'), 2)
        self.assertEqual(value('keys_total', 'table="ir",result="found"'), 2)
        self.assertEqual(value('keys_total', 'table="ir",result="absent"'), 1)
        self.assertEqual(value('fetch_keys_sum'), 3)
        self.assertEqual(value('retrieve_compared_rows_count'), 1)
        self.assertEqual(value('rows_written_total', 'table="ur",op="put"'), 1)
        self.assertEqual(value('rows_written_total', 'table="ur",op="delete"'), 1)
        self.assertEqual(value('rows_written_total', 'table="ur",op="load"'), len(http_case.KEYS))
        self.assertEqual(value('rows_written_total', 'table="cr_user@mlp",op="observe"'), 1)
        self.assertEqual(value('samples_total', 'layer="mlp",result="counted"'), 1)
        self.assertEqual(value('samples_total', 'layer="mlp",result="repeated"'), 1)
        self.assertEqual(value('table_rows', 'table="ur"'), len(http_case.KEYS) - 1)
        self.assertGreater(value('publishes_total', 'result="ok"'), 0)
        self.assertEqual(value('seals_total', 'result="ok"'), 1)
        self.assertEqual(value('merges_total', 'result="ok"'), 1)
        self.assertEqual(value('merge_duration_seconds_count'), 1)
        self.assertEqual(value('merge_step_bytes_total', 'step="base"'), value('disk_written_bytes_total', 'cause="merge"'))
        self.assertGreater(value('merge_steps_total', 'step="base"'), 0)
        self.assertEqual(value('merge_steps_total', 'step="delta"'), 0)
        self.assertEqual(value('table_rows_exact', 'table="ur"'), 1)
        self.assertEqual(value('release_live_number'), 1)
        self.assertGreater(value('sync_duration_seconds_count'), 0)
        self.assertGreater(value('commit_group_requests_sum'), 2)
        self.assertGreater(value('data_free_bytes'), 0)
        self.assertEqual(value('connections', 'transport="unix"'), 1)
        self.assertEqual(value('read_only'), 0)
        self.assertEqual((value('verifications_total'), value('verification_last_timestamp_seconds'), value('verification_last_damaged')), (0, 0, 0))
        self.assertEqual(
            value('release_info', 'release="r1",number="1",model="m \\"1\\"\\\\",checkpoint="<c>",state="live"'), 1)
        for name in ('cpu_seconds_total', 'open_fds', 'max_fds', 'virtual_memory_bytes', 'virtual_memory_max_bytes',
                     'resident_memory_bytes', 'start_time_seconds'):
            self.assertIn('process_' + name, found)

    def test_a_write_makes_a_table_fresh(self):
        """And a restart keeps that, as long as the log has the write."""
        self.make_live()
        name, labels = 'repstore_table_last_write_timestamp_seconds', 'table="ir"'
        sealed = self.metrics()[name][labels]
        self.client.call('put', release='live', table='ir', keys=[1], rows=http_case.ROWS[:1].tobytes())
        written = self.metrics()[name][labels]
        self.assertGreater(written, sealed)
        self.client.close()
        self.daemon.restart()
        self.address = http_case.address_of(self.daemon)
        self.assertEqual(self.metrics()[name][labels], written)

    def test_it_is_answered_with_ten_thousand_descriptors_open(self):
        """select() would die at 1024."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        count = min(10000, most - 500)
        if count < 1500:
            self.skipTest('no more than %d descriptors' % most)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.client.close()
        self.daemon.stop()
        self.start_http('--max-connections', '20000')
        self.daemon.turn_ms = None      # all of them leave at once
        sockets = []
        self.addCleanup(lambda: [each.close() for each in sockets])
        for _ in range(count):
            sockets.append(socket.socket(socket.AF_UNIX))
            sockets[-1].connect(self.daemon.address.partition(':')[2])
        labels = 'transport="unix"'
        self.await_true(lambda: self.metrics()['repstore_connections'][labels] == count + 1)
        self.assertGreater(self.metrics()['process_open_fds'][''], count)

    def test_reads_of_figures_and_requests_do_not_disturb_each_other(self):
        self.make_live()
        over = threading.Event()
        failures = []

        def scrape():
            while not over.is_set():
                code, _, text = ask(self.address, '/metrics')
                if code != 200 or 'repstore_read_only 0' not in text:
                    failures.append(text)
        threads = [threading.Thread(target=scrape) for _ in range(3)]
        for thread in threads:
            thread.start()
        for round_ in range(20):
            self.client.fetch('ir', [1, 2, 3])
            self.client.call('put', release='live', table='ir', keys=[round_], rows=http_case.ROWS[:1].tobytes())
            self.client.call('merge')
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.metrics()['repstore_keys_total']['table="ir",result="found"'], 60)


class Health(http_case.HttpCase):
    def test_ready_when_a_release_is_live(self):
        self.start_http()
        code, _, text = ask(self.address, '/readyz')
        self.assertEqual((code, text.splitlines()[-1]), (503, '[-]live no release is live; publish one'))
        self.assertEqual(ask(self.address, '/healthz')[0], 200)
        self.assertEqual(ask(self.address, '/livez')[0], 200)
        self.make_live()
        self.await_ready()
        self.assertEqual(ask(self.address, '/readyz')[2],
                         '[+]loops ok\n[+]serving ok\n[+]live ok\n[+]segments ok\n[+]resident ok\n')

    def test_a_daemon_that_drains_says_so(self):
        """A search of minutes keeps it from ending, until its peer leaves."""
        self.start_http(*self.config('[net]\nstop_grace = 100s\n'))
        rows = np.random.default_rng(1).integers(0, 256, (100000, 8), 'u1')
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='bits', entity='item', kind='ir', dim=64, dtype='bit')
        self.client.load('r', 'bits', np.arange(len(rows)), rows, dtype='bit')
        self.client.seal('r')
        self.client.call('release.publish', release='r')
        self.await_ready()
        with self.daemon.client() as other:
            other.send('retrieve', {
                'release': 'r', 'from': {'dim': 64, 'views': 4, 'dtype': 'bit', 'rows': rows[:1024].tobytes()},
                'in': 'bits', 'metric': 'hamming', 'k': 2000, 'timeout_ms': 600000})
            self.await_true(lambda: self.metrics()['repstore_pinned_readers'][''] == 1)
            self.daemon.process.terminate()
            self.await_true(lambda: '[-]serving the daemon stops' in ask(self.address, '/readyz')[2])
            self.assertEqual(ask(self.address, '/readyz')[0], 503)
            self.assertEqual(ask(self.address, '/healthz')[0], 200)
            self.assertEqual(ask(self.address, '/metrics')[0], 200)
        self.assertEqual(self.daemon.process.wait(harness.STOP_SECONDS), 0)

    def test_damage_degrades_and_does_not_take_it_out(self):
        self.start_http()
        self.make_live()
        self.await_ready()
        self.client.close()
        self.daemon.stop()
        path = next(os.path.join(folder, name) for folder, _, names in os.walk(self.daemon.data)
                    for name in names if name.startswith('base-'))
        with open(path, 'r+b') as file:
            file.seek(os.path.getsize(path) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        self.daemon.start()
        self.address = http_case.address_of(self.daemon)
        self.await_true(lambda: 'degraded: segments that are damaged: 1' in ask(self.address, '/readyz')[2])
        self.await_ready()


class Door(http_case.HttpCase):
    def test_what_is_no_get_or_not_there(self):
        self.start_http()
        self.assertEqual(ask(self.address, '/nothing')[0], 404)
        self.assertEqual(ask(self.address, '/metrics/x')[0], 404)
        for method, body in (('POST', b'x' * 100000), ('PUT', b'x'), ('DELETE', None), ('OPTIONS', None)):
            code, headers, _ = ask(self.address, '/metrics', method, body=body)
            self.assertEqual((code, headers['Allow']), (405, 'GET, HEAD'))
        code, headers, body = ask(self.address, '/metrics', 'HEAD')
        self.assertEqual((code, body), (200, ''))
        self.assertGreater(int(headers['Content-Length']), 1000)

    def test_a_host_of_somewhere_else_is_refused(self):
        """A page whose name was led to this machine must not read what is here."""
        self.start_http()
        for host in ('evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'localhost:1x', '', '10.0.0.1'):
            self.assertEqual(ask(self.address, '/metrics', headers={'Host': host})[0], 403, host)
        for host in ('localhost', 'LOCALHOST:9477', '127.0.0.1:9477', '[::1]:80'):
            self.assertEqual(ask(self.address, '/metrics', headers={'Host': host})[0], 200, host)

    def test_on_a_unix_socket_the_mode_says_who_may_read(self):
        path = self.path('http')
        daemon = self.start_daemon(*self.config('[http]\nlisten = unix:%s\nsocket_mode = 0600\n' % path))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(ask('unix:' + path, '/metrics')[0], 200)
        daemon.stop()
        self.assertFalse(os.path.exists(path))

    def test_there_is_no_port_until_it_is_set(self):
        daemon = self.start_daemon()
        self.assertNotIn('http=', daemon.log())

    def test_beyond_loopback_only_where_metrics_are_exposed(self):
        with self.assertRaisesRegex(AssertionError, 'loopback alone is allowed, unless .http. expose is metrics'):
            self.start_daemon('--http', 'tcp:0.0.0.0:0')
        self.daemon = self.start_daemon(*self.config('[http]\nlisten = tcp:0.0.0.0:0\nexpose = metrics\n'))
        address = http_case.address_of(self.daemon)
        self.assertEqual(ask(address, '/metrics', headers={'Host': 'ranker-7:9477'})[0], 200)
        self.assertEqual(ask(address, '/readyz')[0], 404)
        self.assertEqual(ask(address, '/healthz')[0], 404)

    def test_clients_that_drip_hold_up_nobody_for_long(self):
        """A byte now and then is never silence."""
        self.start_http()
        host, port = self.address.split(':')[1:]
        held = [socket.create_connection((host, int(port))) for _ in range(128)]
        done = threading.Event()

        def drip():
            while not done.wait(0.5):
                for each in held:
                    with contextlib.suppress(OSError):
                        each.send(b'G')
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            begin = time.monotonic()
            self.assertEqual(ask(self.address, '/healthz')[0], 200)
            self.assertGreater(time.monotonic() - begin, 5)     # else they held up nobody
        finally:
            done.set()
            thread.join()
            for each in held:
                each.close()

    def test_clients_that_stall_hold_up_nobody_for_long(self):
        """As many as may be connected, and more: the others wait until these are closed."""
        self.start_http()
        host, port = self.address.split(':')[1:]
        stalled = [socket.create_connection((host, int(port))) for _ in range(20)]
        self.addCleanup(lambda: [each.close() for each in stalled])
        for each in stalled:
            each.sendall(b'GET /metrics HTTP/1.1\r\nHost: loc')
        self.assertEqual(ask(self.address, '/metrics')[0], 200)
        stalled += [socket.create_connection((host, int(port))) for _ in range(130)]
        self.assertEqual(ask(self.address, '/metrics')[0], 200)
        self.assertEqual(stalled[0].recv(1000), b'')


if __name__ == '__main__':
    harness.main()
