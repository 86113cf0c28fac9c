"""test_sockets.py - sockets that a service manager holds: what each is taken for, and that a restart loses nobody."""

import os
import socket
import ssl
import subprocess
import threading
import time
import unittest

import certificates
import harness
from http_case import ask, is_built

# The process that gets the sockets is told its own number.
EXEC = 'LISTEN_PID=$$ exec "$@"'


@unittest.skipUnless(is_built(), 'built without libmicrohttpd')
class Sockets(harness.Case):
    def setUp(self):
        """Two sockets that listen, and belong to nobody yet."""
        super().setUp()
        self.rpc = socket.socket(socket.AF_UNIX)
        self.rpc.bind(self.path('rpc'))
        self.http = socket.create_server(('127.0.0.1', 0), backlog=128)
        self.rpc.listen(128)
        self.addCleanup(self.rpc.close)
        self.addCleanup(self.http.close)
        self.rpc_address = 'unix:' + self.path('rpc')
        self.http_address = 'tcp:127.0.0.1:%d' % self.http.getsockname()[1]
        self.process = None
        self.addCleanup(self.end)

    def start(self, passed, *args):
        """passed: names and sockets, which become descriptors from 3 on; a name of None: no names are said."""
        copies = [os.dup(each.fileno()) for _, each in passed]      # none of them is where another goes

        def place():
            for number, copy in enumerate(copies):
                os.dup2(copy, 100 + number)
            for number in range(len(copies)):
                os.dup2(100 + number, 3 + number)
        environment = dict(os.environ, LISTEN_FDS=str(len(passed)))
        if passed[0][0] is not None:
            environment['LISTEN_FDNAMES'] = ':'.join(name for name, _ in passed)
        environment.pop('NOTIFY_SOCKET', None)
        with open(self.path('log'), 'ab') as log:
            self.process = subprocess.Popen(
                ['/bin/sh', '-c', EXEC, 'sh', harness.program('repstored'), '--data', self.path('data'), *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, preexec_fn=place,
                pass_fds=range(3, 3 + len(passed)))
        for copy in copies:
            os.close(copy)

    def end(self):
        if self.process is not None:
            self.process.terminate()
            self.assertEqual(self.process.wait(harness.STOP_SECONDS), 0)
        self.process = None

    def log(self):
        with open(self.path('log')) as log:
            return log.read()

    def expect_refused(self, *words):
        self.assertEqual(self.process.wait(harness.START_SECONDS), 1)
        self.process = None
        for word in words:
            self.assertIn(word, self.log())

    def ping(self, address):
        with harness.Client(address) as client:
            client.call('ping')

    def test_each_is_taken_for_its_name(self):
        other = self.path('other')
        self.start([('http', self.http), ('rpc', self.rpc)], '--listen', 'unix:' + other, '--http', 'unix:' + other)
        self.ping(self.rpc_address)
        self.assertEqual(ask(self.http_address, '/healthz')[0], 200)
        self.assertFalse(os.path.exists(other))

    def test_one_for_http_leaves_the_addresses_of_the_settings(self):
        self.start([('http', self.http)], '--listen', 'unix:' + self.path('s'))
        self.assertEqual(ask(self.http_address, '/healthz')[0], 200)
        self.ping('unix:' + self.path('s'))

    def test_without_names_all_are_for_requests(self):
        self.start([(None, self.rpc)])
        self.ping(self.rpc_address)

    def test_a_name_that_is_not_known_is_refused(self):
        self.start([('rpc', self.rpc), ('metrics', self.http)])
        self.expect_refused("'metrics'", 'rpc, tls, and one http, are known', 'FileDescriptorName=')

    def test_a_second_one_for_http_is_refused(self):
        self.start([('http', self.rpc), ('http', self.http)])
        self.expect_refused("'http'", 'one http')

    @unittest.skipUnless(certificates.is_built(), 'built without OpenSSL')
    def test_tls_is_spoken_where_the_name_says_so(self):
        """Also beyond loopback, where a socket for plain requests is refused; and nowhere without certificates."""
        os.makedirs(self.path('made'))
        authority = certificates.Authority(self.path('made'))
        server = authority.issue('daemon', 'DNS:localhost,IP:127.0.0.1')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.path)
        context.load_cert_chain(*authority.issue('ranker'))
        files = ['--tls-certificate', server[0], '--tls-key', server[1], '--tls-authority', authority.path]
        roles = ['--read', 'cert:CN=ranker']
        everywhere = socket.create_server(('0.0.0.0', 0), backlog=128)
        self.addCleanup(everywhere.close)
        port = everywhere.getsockname()[1]
        self.start([('rpc', self.rpc), ('tls', everywhere)], *files, *roles, '--listen', 'unix:' + self.path('other'))
        self.ping(self.rpc_address)
        with harness.Client('tls:127.0.0.1:%d' % port, tls=context) as client:
            self.assertEqual(client.call('whoami')['peer'], 'cert:CN=ranker')
            self.assertEqual(sorted(client.call('info')['listen']), ['tls:0.0.0.0:%d' % port, self.rpc_address])
        with self.assertRaises(harness.Closed):
            self.ping('tcp:127.0.0.1:%d' % port)
        self.assertIn('event=audit result=DENIED reason=not_tls from=127.0.0.1:', self.log())
        self.end()
        for passed, args, words in (
                ([('rpc', everywhere)], files, ('plain TCP listens on loopback alone',)),
                ([('tls', everywhere)], (), ("need the setting 'certificate' in [tls]",)),
                ([('tls', self.rpc)], files, ('is named tls', 'TLS is spoken over TCP'))):
            self.start(passed, *args)
            self.expect_refused(*words)

    def test_a_restart_loses_no_connection_attempt(self):
        """Nobody is refused while no daemon is there; who was accepted just before the end asks again."""
        over = threading.Event()
        failures = []
        done = {'rpc': 0, 'http': 0}

        def connect(kind, once):
            while not over.is_set():
                try:
                    once()
                    done[kind] += 1
                except (harness.Closed, ConnectionResetError, BrokenPipeError):
                    pass        # it was accepted, and then the daemon stopped
                except OSError as error:
                    failures.append((kind, repr(error)))
                    return

        def ask_health():
            code = ask(self.http_address, '/healthz')[0]
            if code != 200:
                failures.append(code)
        threads = [threading.Thread(target=connect, args=('rpc', lambda: self.ping(self.rpc_address))),
                   threading.Thread(target=connect, args=('http', ask_health))]
        both = [('rpc', self.rpc), ('http', self.http)]
        self.start(both)
        for thread in threads:
            thread.start()
        limit = time.monotonic() + harness.CALL_SECONDS
        for _ in range(5):
            before = dict(done)
            while any(done[kind] < before[kind] + 20 for kind in done) and not failures:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.002)
            self.end()
            self.start(both)
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


if __name__ == '__main__':
    harness.main()
