"""test_tls_client.py - the command, and clients of the Python package, at TLS."""

import asyncio
import os
import subprocess
import threading
import unittest

import numpy as np

import harness
from certificates import Authority
from python_case import repstore
from test_tls import DIM, KEYS, MIB, VALUES, TlsCase


class Command(TlsCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.fill()

    def options(self, **changed):
        """What the command is given."""
        files = dict(authority=self.authority.path, certificate=self.peer[0], key=self.peer[1], **changed)
        return [word for name, file in files.items() for word in ('--tls-' + name.replace('_', '-'), file)]

    def run_command(self, *args, fails=None, environment=None, address=None):
        done = subprocess.run([harness.program('repstore'), '-s', address or self.address, *args], capture_output=True,
                              text=True, env=dict(os.environ, **(environment or {})), timeout=harness.CALL_SECONDS, check=False)
        self.assertEqual(done.returncode, fails or 0, done.stderr)
        return done.stdout if fails is None else done.stderr

    def test_the_command(self):
        self.assertIn('live', self.run_command('info', *self.options()) + self.run_command('release', 'list', *self.options()))
        self.assertIn('64', self.run_command(*self.options(), 'fetch', 't', '1'))
        environment = {'REPSTORE_TLS_AUTHORITY': self.authority.path, 'REPSTORE_TLS_CERTIFICATE': self.peer[0],
                       'REPSTORE_TLS_KEY': self.peer[1]}
        self.run_command('ping', environment=environment)
        without = {name: '' for name in environment}
        said = self.run_command('ping', fails=1, environment=without)
        self.assertIn('no tls_authority is given, nor is $REPSTORE_TLS_AUTHORITY (BAD_REQUEST)', said)
        without['REPSTORE_TLS_AUTHORITY'] = self.authority.path
        self.assertIn('no tls_certificate is given', self.run_command('ping', fails=1, environment=without))
        self.assertIn("certificate '/nowhere': No such file", self.run_command(
            'ping', '--tls-certificate', '/nowhere', fails=1, environment=environment))
        # By another name the certificate is another's, unless the name is given.
        port = self.address.rpartition(':')[2]
        self.run_command('ping', environment=environment, address='tls:localhost:' + port)
        said = self.run_command('ping', environment=environment, address='tls:127.0.0.2:' + port, fails=1)
        self.assertIn('refused', said)     # nobody listens there
        said = self.run_command('ping', '--tls-server-name', 'other.example', fails=1, environment=environment)
        self.assertIn('hostname mismatch (DENIED)', said)
        self.assertIn('the certificate of the other side', said)
        said = self.run_command('ping', '--tls-server-name', '10.0.0.1', fails=1, environment=environment)
        self.assertIn('IP address mismatch (DENIED)', said)
        self.run_command('ping', '--tls-server-name', '127.0.0.1', environment=environment)
        # A daemon without TLS is none that could be believed.
        plain = self.make_daemon(name='plain', listen=['tcp:127.0.0.1:0']).start()
        said = self.run_command('ping', '--timeout', '2s', fails=1, environment=environment,
                                address='tls:' + plain.listening('tcp').partition(':')[2])
        self.assertRegex(said, 'tls:127.0.0.1:.*(closed the connection|wrong version|TLS)')


@unittest.skipIf(repstore is None, 'the package is not built')
class Package(TlsCase):
    def setUp(self):
        super().setUp()
        self.start()
        self.fill()
        self.tls = repstore.Tls(authority=self.authority.path, certificate=self.peer[0], key=self.peer[1])

    def test_a_certificate_that_is_not_valid(self):
        other = Authority(self.made, 'other')
        strange = other.issue('stranger')
        for certificate, authority, says in (
                (strange, self.authority, 'the other side refused: the certificate is of an authority that it does not trust'),
                (self.peer, other, 'the certificate of the other side: ')):
            tls = repstore.Tls(authority=authority.path, certificate=certificate[0], key=certificate[1])
            with self.assertRaisesRegex(repstore.Denied, says):
                repstore.Client(self.address, tls=tls)

    def test_what_a_client_gets(self):
        with repstore.Client(self.address, tls=self.tls) as client:
            for _ in range(3):
                np.testing.assert_array_equal(client.fetch({'t': KEYS[:500]})['t'].rows, VALUES[:500])
            count = 50 * MIB // (DIM * 4)
            keys = np.arange(10 ** 6, 10 ** 6 + count, dtype='<u8')
            rows = np.random.default_rng(1).random((count, DIM), dtype='f4')
            client.put('t', keys, rows)
            np.testing.assert_array_equal(client.fetch({'t': keys})['t'].rows, rows)
            found = sum(batch.keys.size for batch in client.scan('t'))
            self.assertEqual(found, count + len(KEYS))
        with self.daemon.client() as plain:
            self.assertEqual(plain.fetch('t', keys[:10].tobytes())['rows'], rows[:10].tobytes())

    def test_threads_and_a_restart(self):
        address = 'tls:127.0.0.1:%d' % harness.free_port()
        self.daemon.stop()
        self.start(listen=(address,))
        client = repstore.Client(self.address, tls=self.tls)
        client.fetch({'t': KEYS[:10]})

        def fetch():
            for at in range(100):
                np.testing.assert_array_equal(client.fetch({'t': KEYS[at:at + 500]})['t'].rows, VALUES[at:at + 500])

        crowd = harness.Crowd()
        for _ in range(4):
            crowd.start(fetch)
        crowd.join()
        self.daemon.restart()
        client.put('t', KEYS[:1], VALUES[:1] + 1)     # the connection has ended, which is seen before it is sent
        np.testing.assert_array_equal(client.fetch({'t': KEYS[:1]})['t'].rows, VALUES[:1] + 1)
        self.assertEqual(threading.active_count(), 1)

    def test_an_event_loop(self):
        async def ask():
            async with repstore.AsyncClient(self.address, tls=self.tls) as client:
                got = await asyncio.gather(*[client.fetch({'t': KEYS[at:at + 500]}) for at in range(200)])
                for at, each in enumerate(got):
                    np.testing.assert_array_equal(each['t'].rows, VALUES[at:at + 500])
                count = 20 * MIB // (DIM * 4)
                keys = np.arange(10 ** 6, 10 ** 6 + count, dtype='<u8')
                rows = np.random.default_rng(1).random((count, DIM), dtype='f4')
                await asyncio.gather(*[client.put('t', keys[i::4], rows[i::4]) for i in range(4)])
                got = await asyncio.gather(*[client.fetch({'t': keys}) for _ in range(3)])
                for each in got:
                    np.testing.assert_array_equal(each['t'].rows, rows)
                self.daemon.hold()
                waiting = asyncio.ensure_future(client.fetch({'t': KEYS[:10]}))
                await asyncio.sleep(0)
                self.daemon.go_on()
                np.testing.assert_array_equal((await waiting)['t'].rows, VALUES[:10])

        asyncio.run(ask())

    def test_an_event_loop_of_a_stranger(self):
        stranger = Authority(self.made, 'strange').issue('x')
        tls = repstore.Tls(authority=self.authority.path, certificate=stranger[0], key=stranger[1])

        async def ask():
            async with repstore.AsyncClient(self.address, timeout=2, tls=tls) as client:
                await client.fetch({'t': KEYS[:10]})

        with self.assertRaisesRegex(repstore.RepstoreError, 'does not trust'):
            asyncio.run(ask())

    def test_what_is_no_tls_is_named(self):
        for wrong, says in (({'authority': 'x'}, 'tls: .* a repstore.Tls allowed'),
                            (repstore.Tls(key=7), r'tls\.key: 7 given, a str or a path allowed')):
            with self.assertRaisesRegex(repstore.BadRequest, says):
                repstore.Client(self.address, tls=wrong)


if __name__ == '__main__':
    harness.main()
