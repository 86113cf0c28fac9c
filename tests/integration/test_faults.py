"""test_faults.py - what the system refuses the daemon: threads, descriptors, memory, reads; and its folder is taken away.

It says so, goes on with what it can, loses nothing that it has acknowledged, and is whole again once the system is.
Full disks, failed syncs and damage are test_write_disk_full.py's, test_disk_full.py's and test_damage.py's.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import numpy as np

import certificates
import harness
import http_case
from harness import Closed, Failed

# A user of its own for each process of tests, so that nobody else's threads count.
USER = 100000 + os.getpid() % 50000
KEYS = np.arange(2000, dtype='<u8')
DIM = 64
VALUES = np.arange(len(KEYS) * DIM, dtype='<f4').reshape(len(KEYS), DIM)
MIB = 1 << 20


class FaultCase(harness.Case):
    def fill(self, client, release='r', publish=True, **options):
        client.call('release.create', release=release)
        client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=DIM, **options)
        client.load(release, 't', KEYS, VALUES)
        client.seal(release, publish)

    def put(self, client, key, value):
        return client.call('put', release='live', table='t', keys=[key], rows=np.full(DIM, value, '<f4').tobytes())

    def expect(self, client, key, value):
        self.assertEqual(client.fetch('t', [key])['rows'], np.full(DIM, value, '<f4').tobytes())

    def await_log(self, text):
        limit = time.monotonic() + harness.CALL_SECONDS
        while text not in self.daemon.log():
            self.assertLess(time.monotonic(), limit, self.daemon.log())
            time.sleep(0.005)

    def reload(self, client, figure):
        """Asks for the settings to be read anew, until that is counted."""
        before = client.call('stats')['config'][figure]
        self.daemon.process.send_signal(signal.SIGHUP)
        limit = time.monotonic() + harness.CALL_SECONDS
        while client.call('stats')['config'][figure] == before:
            self.assertLess(time.monotonic(), limit, self.daemon.log())
            time.sleep(0.005)


@unittest.skipIf(os.geteuid() != 0, 'only root can start the daemon as somebody whose threads are limited')
@unittest.skipIf(harness.SANITIZED, 'sanitizers have threads of their own')
class Threads(FaultCase):
    """The system allows a user so many threads."""

    def setUp(self):
        super().setUp()
        os.chmod(self.scratch, 0o755)
        os.chown(self.scratch, USER, USER)
        self.threads = None
        listen = []
        args = ['--workers', '2', '--backup-folder', self.path('backups')]
        os.makedirs(self.path('backups'))
        os.chown(self.path('backups'), USER, USER)
        if http_case.is_built():
            args += ['--http', 'tcp:127.0.0.1:0']
        if certificates.is_built():
            made = tempfile.mkdtemp(prefix='repstore-', dir=self.scratch)
            authority = certificates.Authority(made)
            certificate, key = authority.issue('daemon', 'IP:127.0.0.1')
            for folder, _, names in os.walk(made):
                for path in [folder] + [os.path.join(folder, name) for name in names]:
                    os.chown(path, USER, USER)
            args += ['--tls-certificate', certificate, '--tls-key', key, '--tls-authority', authority.path]
            listen = ['tls:127.0.0.1:0']
        self.daemon = self.make_daemon(*args, *self.config('[net]\nidle_timeout = 0\n'), listen=listen)
        self.daemon.before_exec = self.become

    def become(self):
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        if self.threads is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (self.threads, 4096))

    def count(self):
        return len(os.listdir('/proc/%d/task' % self.daemon.process.pid))

    def allow(self, threads):
        # By the user itself: to change limits of somebody else takes a right that root may lack in a container.
        subprocess.run(['prlimit', '--pid', str(self.daemon.process.pid), '--nproc=%d:4096' % threads], user=USER, group=USER,
                       check=True)

    def test_a_start(self):
        """Whichever thread is refused, the start ends with a line that says so, and with the folder as it was."""
        self.daemon.start()
        needed = self.count()
        with self.daemon.client() as client:
            self.fill(client)
        self.daemon.stop()
        files = self.daemon.files()
        for threads in [*range(1, 13), *range(13, needed, 9), needed - 1]:
            self.threads = threads
            before = len(self.daemon.log())
            self.daemon.launch()
            status = self.daemon.wait()
            self.daemon.process = None
            said = self.daemon.log()[before:]
            self.assertEqual(status, 1, (threads, said))
            self.assertRegex(said, 'event=start_failed error=".*start the (thread|process).*Resource temporarily unavailable; raise TasksMax', threads)
            self.assertEqual([name for name in self.daemon.files() if name not in files], [])
        self.threads = needed
        self.daemon.start()
        with self.daemon.client() as client:
            self.assertEqual(client.fetch('t', KEYS.tobytes())['rows'], VALUES.tobytes())

    def test_a_daemon_that_runs(self):
        """It has the threads that it serves with. What would take one more goes without, or says that it cannot."""
        self.daemon.start()
        rows, dim = 90000, 256      # several segments, which two threads seal
        keys = np.arange(rows, dtype='<u8')
        values = np.repeat(keys.astype('<f4'), dim).reshape(rows, dim)
        with self.daemon.client() as client:
            self.fill(client, index='balls')
            client.call('release.create', release='big')
            client.call('table.create', release='big', table='b', entity='user', kind='ur', dim=dim, index='balls')
            client.load('big', 'b', keys, values, chunk_rows=15000)
            self.allow(1)
            self.put(client, 1, 7.0)
            self.expect(client, 1, 7.0)
            client.call('merge')
            client.seal('big', publish=False)
            self.assertEqual(client.fetch('b', keys[::9].tobytes(), release='big')['rows'], values[::9].tobytes())
            self.await_log("event=index_failed release=2 table=b reason=\"start the thread 'alarm'")
            found = client.call('retrieve', **{'release': 'big', 'from': dict(table='b', keys=[7]), 'in': 'b', 'k': 1})
            self.assertEqual(found['parts'][0]['n'], 1)     # without the index, which is tried again after a minute
            self.reload(client, 'reloads_failed')
            self.assertRegex(self.daemon.log(), 'event=config_refused error=".*thread.*Resource temporarily unavailable')
            client.call('backup', dir='b')
            with self.fails('NO_MEMORY', 'process', 'TasksMax'):
                client.call('verify')
            if http_case.is_built():
                self.assertEqual(http_case.ask(http_case.address_of(self.daemon), '/metrics')[0], 200)
            if self.daemon.listen:
                host, _, port = self.daemon.listening('tls').partition(':')[2].rpartition(':')
                with socket.create_connection((host, int(port))) as stranger:
                    stranger.sendall(b'no TLS at all\n')
                    stranger.settimeout(harness.CALL_SECONDS)
                    stranger.recv(100)
                self.assertEqual(client.call('stats')['tls']['auth_failures']['not_tls'], 1)
            self.allow(1000)
            self.reload(client, 'reloads')
            self.assertEqual(client.call('verify')['damaged'], 0)
            self.expect(client, 1, 7.0)


class Descriptors(FaultCase):
    """A process may have so many."""

    def start(self, files):
        self.daemon = self.make_daemon('--workers', '1', '--pool', '1', '--search-threads', '1')
        self.daemon.before_exec = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        return self.daemon.start()

    def test_none_are_left(self):
        """Who is connected is served, writes are durable; what opens a file says why it cannot, and can later."""
        self.start(100)
        rows = np.ones((len(KEYS), DIM), '<f4')
        with self.daemon.client() as client, contextlib.ExitStack() as stack:
            self.fill(client)
            client.call('release.create', release='next')
            client.call('table.create', release='next', table='t', entity='item', kind='ir', dim=DIM)
            client.load('next', 't', KEYS, rows)
            path = self.daemon.address.partition(':')[2]
            for _ in range(100):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('stats')['connections']['refused_by']['no_descriptors'] == 0:
                self.assertLess(time.monotonic(), limit)
            for value in range(20):
                self.put(client, 1, float(value))
            self.expect(client, 1, 19.0)
            self.assertEqual(client.fetch('t', KEYS[2:].tobytes())['rows'], VALUES[2:].tobytes())
            for method, params in (('merge', {}), ('release.seal', {'release': 'next'}), ('verify', {}),
                                   ('tensor.put', dict(release='r', tensor='w', dtype='f32', shape=[1], data=b'1234'))):
                with self.fails('NO_MEMORY', 'LimitNOFILE'):
                    client.call(method, **params)
            self.assertEqual(client.call('release.show', release='next')['state'], 'open')
            stack.close()
            while client.call('stats')['connections']['open'] > 1:
                self.assertLess(time.monotonic(), limit)
            client.call('merge')
            client.seal('next')
            self.assertEqual(client.fetch('t', KEYS.tobytes())['rows'], rows.tobytes())
            self.assertEqual(client.call('verify')['damaged'], 0)
        self.daemon.kill()
        self.daemon.start()
        with self.daemon.client() as client:
            self.assertEqual(client.fetch('t', [1], release='r')['rows'], np.full(DIM, 19, '<f4').tobytes())

    def test_not_even_the_spare_one(self):
        """Who waits to be accepted waits, and keeps no processor busy meanwhile."""
        self.start(100)
        with self.daemon.client() as client:
            client.call('ping')
            files = len(os.listdir('/proc/%d/fd' % self.daemon.process.pid))
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (files // 2, 100))
            with self.daemon.client() as late:
                late.send('ping')
                self.await_log('event=connection_refused reason=no_descriptors')
                before, begin = self.daemon.cpu_seconds(), client.call('stats')['uptime_ms']
                limit = time.monotonic() + harness.CALL_SECONDS
                while client.call('stats')['uptime_ms'] < begin + 1000:
                    self.assertLess(time.monotonic(), limit)
                    time.sleep(0.05)
                self.assertLess(self.daemon.cpu_seconds() - before, 0.5)
                resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (100, 100))
                self.assertEqual(late.receive()[1:], (None, {}))
            with self.daemon.client() as again:
                self.assertEqual(again.call('ping'), {})


class Memory(FaultCase):
    """The system refuses the process more memory than it has."""

    @unittest.skipIf(harness.SANITIZED, 'sanitizers take terabytes of addresses')
    def test_none_is_left(self):
        self.daemon = self.make_daemon('--workers', '1')
        self.daemon.start()
        count = 60000
        keys = np.arange(10 ** 6, 10 ** 6 + count, dtype='<u8')
        rows = np.ones((count, DIM), '<f4')
        with self.daemon.client() as client:
            self.fill(client)
            client.call('release.create', release='next')
            client.call('table.create', release='next', table='t', entity='item', kind='ir', dim=DIM)
            client.load('next', 't', keys, rows)
            self.put(client, 1, 7.0)
            room = self.daemon.memory_bytes('VmSize') + 4 * MIB
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
            self.expect(client, 1, 7.0)
            refused = set()
            for method, params in (
                    ('fetch', {'parts': [{'table': 't', 'keys': bytes(8 * count)}]}),
                    ('put', dict(release='live', table='t', keys=keys.tobytes(), rows=rows.tobytes())),
                    ('release.seal', {'release': 'next'})):
                with self.daemon.client() as other:
                    try:
                        other.call(method, **params)
                    except Failed as failed:
                        self.assertIn(failed.code, ('NO_MEMORY', 'BUSY', 'IO'), failed)
                        refused.add(method)
                    except Closed:      # not even for the answer
                        refused.add(method)
            print('refused: %s' % refused, flush=True)
            self.assertTrue(refused)
            self.put(client, 2, 8.0)
            self.expect(client, 2, 8.0)
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for _ in range(2):
                self.expect(client, 1, 7.0)
                self.expect(client, 2, 8.0)
                client.call('put', release='live', table='t', keys=keys.tobytes(), rows=rows.tobytes())
                self.assertEqual(client.fetch('t', keys.tobytes())['rows'], rows.tobytes())
            client.seal('next', publish=False)
            self.assertEqual(client.fetch('t', keys.tobytes(), release='next')['rows'], rows.tobytes())
            self.assertEqual(client.call('verify')['damaged'], 0)


class Reads(FaultCase):
    """The disk cannot read some files: EIO. A map that cannot be read is SIGBUS, in test_damage.py."""

    def setUp(self):
        super().setUp()
        self.faults = harness.Faults(self.path('faults'))
        os.makedirs(self.path('backups'))
        self.daemon = self.make_daemon('--backup-folder', self.path('backups'), environment=self.faults.environment())
        self.daemon.start()
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.fill(self.client)
        self.put(self.client, 1, 7.0)
        self.client.call('release.create', release='next')
        self.client.call('table.create', release='next', table='t', entity='item', kind='ir', dim=DIM)
        self.client.load('next', 't', KEYS, VALUES, chunk_rows=500)

    def test_while_it_runs(self):
        call = self.client.call
        self.faults.begin('read', '/releases/')
        self.expect(self.client, 1, 7.0)
        with self.fails('IO', 'Input/output error'):
            call('release.seal', release='next')
        with self.fails('IO', 'releases/2/spill-1-load'):
            call('backup', dir='b')
        self.assertEqual({each['file'] for each in call('verify')['damage']}, {'releases/1/base-1-0.mdb', 'releases/2/spill-1-load'})
        with self.fails('IO', 'Input/output error'):
            call('merge')
        self.put(self.client, 2, 8.0)
        self.faults.begin('read', '/log/')
        with self.fails('IO', 'log/1.log'):
            call('backup', dir='b')
        self.put(self.client, 3, 9.0)
        self.assertEqual(call('stats')['backup']['failed'], 2)
        self.faults.end('read')
        call('merge')
        self.client.seal('next', publish=False)
        self.assertEqual(self.client.fetch('t', KEYS.tobytes(), release='next')['rows'], VALUES.tobytes())
        self.assertEqual(call('verify')['damaged'], 0)
        call('backup', dir='b')
        self.check_values()

    def check_values(self):
        for key, value in ((1, 7.0), (2, 8.0), (3, 9.0)):
            self.expect(self.client, key, value)

    def test_at_a_start(self):
        self.put(self.client, 2, 8.0)
        self.put(self.client, 3, 9.0)
        self.client.close()
        self.daemon.kill()
        for file, says in (('/log/', 'log: '), ('catalog.mdb', 'catalog: ')):
            self.faults.begin('read', file)
            before = len(self.daemon.log())
            self.assertEqual(self.daemon.launch().wait(), 1)
            self.daemon.process = None
            self.assertRegex(self.daemon.log()[before:], 'event=start_failed error="%s.*Input/output error' % says)
        self.faults.begin('read', '/releases/1/')
        self.daemon.start()         # without one table it serves the others
        self.client = self.daemon.client()
        with self.fails('CORRUPT', "table 't'"):
            self.client.fetch('t', [100])
        self.check_values()         # they are in the log
        self.assertEqual(self.client.call('stats')['write']['read_only'], False)
        self.assertIn('event=damage', self.daemon.log())
        self.client.close()
        self.daemon.stop()
        self.faults.end('read')
        self.daemon.start()
        self.client = self.daemon.client()
        self.check_values()


class Folder(FaultCase):
    """Somebody moves or removes what the daemon works in."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '1')
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.fill(self.client)
        self.put(self.client, 1, 7.0)

    def test_it_is_moved_away(self):
        """The daemon goes on in it: it has the folder open."""
        os.rename(self.daemon.data, self.daemon.data + '-away')
        self.await_log("event=folder_gone folder='%s'" % self.daemon.data)
        self.put(self.client, 2, 8.0)
        self.client.call('merge')
        self.put(self.client, 3, 9.0)
        os.rename(self.daemon.data + '-away', self.daemon.data)
        self.client.close()
        self.daemon.kill()
        self.daemon.start()
        self.client = self.daemon.client()
        for key, value in ((1, 7.0), (2, 8.0), (3, 9.0)):
            self.expect(self.client, key, value)

    def check_read_only(self):
        with self.fails('READ_ONLY', 'removed', 'restart'):
            self.put(self.client, 2, 8.0)
        with self.fails('READ_ONLY', 'removed', 'restart'):
            self.put(self.client, 2, 8.0)
        self.assertTrue(self.client.call('stats')['write']['read_only'])
        self.await_log('event=read_only reason="somebody has removed')
        self.expect(self.client, 1, 7.0)

    def test_it_is_removed(self):
        """What was mapped is still served. Nothing more is acknowledged, since a restart would find none of it."""
        shutil.rmtree(self.daemon.data)
        self.check_read_only()
        self.await_log('event=folder_gone')
        with self.assertRaises(Failed):
            self.client.call('release.create', release='next')

    def test_the_log_is_removed(self):
        shutil.rmtree(os.path.join(self.daemon.data, 'log'))
        self.check_read_only()
        self.client.close()
        self.daemon.stop()
        self.assertEqual(self.daemon.launch().wait(), 1)
        self.daemon.process = None
        self.assertRegex(self.daemon.log(), 'event=start_failed error="log: .* is missing; acknowledged writes are in it')

    def test_a_release_is_removed(self):
        """Its rows stay in the maps, and its writes in the log; it cannot be merged. Others are as before."""
        shutil.rmtree(os.path.join(self.daemon.data, 'releases', '1'))
        self.put(self.client, 2, 8.0)
        self.expect(self.client, 2, 8.0)
        with self.fails('IO', 'releases/1'):
            self.client.call('merge')
        self.await_log('event=request_failed method=merge')
        self.assertEqual({each['file'] for each in self.client.call('verify')['damage']}, {'releases/1/base-1-0.mdb'})
        self.fill(self.client, 'next', publish=True)
        self.put(self.client, 3, 9.0)
        self.client.close()
        self.daemon.kill()
        self.daemon.start()
        self.client = self.daemon.client()
        self.expect(self.client, 3, 9.0)


if __name__ == '__main__':
    harness.main()
