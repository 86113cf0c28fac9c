"""test_tls.py - peers at TLS: who is let in, who is not, and that nobody else notices.

The peers here are Python's; test_tls_client.py has those of the library.
"""

import contextlib
import datetime
import os
import re
import shutil
import signal
import socket
import ssl
import tempfile
import time
import unittest

import numpy as np

import certificates
import harness
import http_case
from certificates import Authority
from harness import Closed

ROWS = 2000
DIM = 64
MIB = 1 << 20
KEYS = np.arange(ROWS, dtype='<u8')
VALUES = np.arange(ROWS * DIM, dtype='<f4').reshape(ROWS, DIM)
REASONS = ('not_tls', 'version', 'no_certificate', 'authority', 'expired', 'revoked', 'list', 'certificate',
           'handshake', 'timeout', 'displaced')


def context_of(authority, certificate=None, most=ssl.TLSVersion.TLSv1_3):
    """A client's: it trusts the authority, and shows the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = most
    context.load_verify_locations(authority.path)
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


class Slow:
    """A peer that has the TLS in its own hands, and sends what it makes in any pieces."""

    def __init__(self, address, context):
        host, _, port = address.partition(':')[2].rpartition(':')
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.socket = socket.create_connection((host, int(port)), timeout=harness.CALL_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, piece):
        data = self.outgoing.read()
        for start in range(0, len(data), piece):
            self.socket.sendall(data[start:start + piece])

    def until_done(self, step, piece):
        while True:
            try:
                result = step()
                self.send(piece)
                return result
            except ssl.SSLWantReadError:
                self.send(piece)
                data = self.socket.recv(1 << 16)
                if not data:
                    raise Closed() from None
                self.incoming.write(data)


class TlsCase(harness.Case):
    @classmethod
    def setUpClass(cls):
        if not certificates.is_built():
            raise unittest.SkipTest('built without OpenSSL')
        cls.made = tempfile.mkdtemp(prefix='repstore-')
        cls.addClassCleanup(shutil.rmtree, cls.made, ignore_errors=True)
        cls.authority = Authority(cls.made)
        cls.server = cls.authority.issue('daemon', 'DNS:localhost,IP:127.0.0.1,IP:::1', extra='extendedKeyUsage=serverAuth')
        cls.peer = cls.authority.issue('ranker-1', 'URI:spiffe://ads/ranker,DNS:ranker.example')

    def tls_args(self, crl=None):
        args = ['--tls-certificate', self.server[0], '--tls-key', self.server[1], '--tls-authority',
                self.authority.path]
        return args + (['--tls-crl', crl] if crl else [])

    def start(self, *args, settings='', crl=None, listen=('tls:127.0.0.1:0',)):
        config = self.config(settings) if settings else []
        roles = () if '--read' in args else ('--admin', 'cert:CN=ranker-*')
        self.daemon = self.start_daemon(*config, *self.tls_args(crl), *roles, *args, listen=listen)
        self.address = self.daemon.listening('tls')
        return self.daemon

    def fill(self):
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM)
            client.load('r', 't', KEYS, VALUES)
            client.seal('r')

    def client(self, certificate=None, **options):
        return harness.Client(self.address, tls=context_of(self.authority, certificate or self.peer), **options)

    def figures(self):
        with self.daemon.client() as client:
            return client.call('stats')['tls']

    def wait_for(self, reason, count):
        """Until so many were refused for the reason."""
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.figures()['auth_failures'][reason] < count:
            self.assertLess(time.monotonic(), limit, self.figures())
            time.sleep(0.002)
        self.assertEqual(self.figures()['auth_failures'][reason], count)


class Served(TlsCase):
    def test_a_peer_gets_what_a_plain_one_gets(self):
        self.start(listen=('tls:127.0.0.1:0', 'tls:[::1]:0', 'tcp:127.0.0.1:0'))
        self.fill()
        with self.daemon.client() as plain, self.client() as client:
            self.assertEqual(client.socket.version(), 'TLSv1.3')
            keys = KEYS[:500].tobytes()
            for _ in range(3):
                self.assertEqual(client.fetch('t', keys)['rows'], VALUES[:500].tobytes())
            count = 50 * MIB // (DIM * 4)
            more = np.arange(10 ** 6, 10 ** 6 + count, dtype='<u8')
            rows = np.arange(count * DIM, dtype='<f4')
            written = client.call('put', release='live', table='t', keys=more.tobytes(), rows=rows.tobytes())
            for peer in (client, plain):
                part = peer.fetch('t', more.tobytes())
                self.assertEqual(part['rows'], rows.tobytes())
            self.assertGreater(written['sequence'], 0)
            pipeline = [client.send('fetch', {'parts': [{'table': 't', 'keys': keys}]}) for _ in range(300)]
            for msgid in pipeline:
                self.assertEqual(client.wait(msgid)['parts'][0]['rows'], VALUES[:500].tobytes())
            tls = self.figures()
            self.assertEqual(sum(tls['auth_failures'].values()), 0)
            self.assertEqual(set(tls['auth_failures']), set(REASONS))
            self.assertEqual(tls['handshakes'], 0)
            self.assertEqual(tls['crl_next_update_ms'], 0)
            left = tls['certificate_not_after_ms'] / 1000 - time.time()
            self.assertTrue(29 * 86400 < left < 31 * 86400, left)

    def test_bytes_may_come_one_by_one_and_records_too(self):
        self.start()
        self.fill()
        request = harness.request(0, 'fetch', [{'parts': [{'table': 't', 'keys': KEYS[:3].tobytes()}]}])
        with Slow(self.address, context_of(self.authority, self.peer)) as peer:
            peer.until_done(peer.tls.do_handshake, 1)
            for at in range(len(request)):
                peer.tls.write(request[at:at + 1])      # a record each
            peer.send(1)                                # a byte each
            answer = b''
            while VALUES[:3].tobytes() not in answer:
                answer += peer.until_done(lambda: peer.tls.read(4096), 1)
            many = harness.request(1, 'ping', [{}]) * 5000
            for at in range(0, len(many), 2):
                peer.tls.write(many[at:at + 2])
            peer.send(1 << 20)                          # records of two bytes, as many at once as there is room for
            answer = b''
            while len(answer) < 5000 * len(harness.msgpack.packb([1, 1, None, {}])):
                answer += peer.until_done(lambda: peer.tls.read(1 << 16), 1)

    def test_a_peer_that_sends_no_more_gets_its_answers(self):
        self.start()
        self.fill()
        with Slow(self.address, context_of(self.authority, self.peer)) as peer:
            peer.until_done(peer.tls.do_handshake, 1 << 20)
            request = harness.request(0, 'fetch', [{'parts': [{'table': 't', 'keys': KEYS.tobytes()}]}])
            peer.tls.write(request)
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.tls.unwrap()       # says that nothing more comes
            peer.send(1 << 20)
            data = b''
            while more := peer.socket.recv(1 << 20):
                data += more            # sealed: its keys are gone from this side
            self.assertGreater(len(data), VALUES.nbytes)

    def test_a_peer_that_does_not_read_takes_no_more_memory_than_its_share(self):
        self.start('--reply-memory', '128M')
        dim, count = 4096, 40 * MIB // (4096 * 4)      # small requests: they are sent before an answer is read
        with self.daemon.client() as plain:
            plain.call('release.create', release='r')
            plain.call('table.create', release='r', table='wide', entity='item', kind='ir', dim=dim)
            plain.load('r', 'wide', KEYS[:1], np.zeros((1, dim), '<f4'))
            plain.seal('r')
            more = np.arange(10 ** 6, 10 ** 6 + count, dtype='<u8')
            plain.call('put', release='live', table='wide', keys=more.tobytes(), rows=bytes(40 * MIB))
            before = self.daemon.memory_bytes()
            with self.client() as client:
                asked = [client.send('fetch', {'parts': [{'table': 'wide', 'keys': more.tobytes()}]}) for _ in range(20)]
                limit = time.monotonic() + harness.CALL_SECONDS
                while plain.call('stats')['memory']['replies'] == 0:
                    self.assertLess(time.monotonic(), limit)
                for _ in range(50):
                    plain.fetch('wide', KEYS[:1].tobytes())
                # All twenty would take 800 MiB; ThreadSanitizer has some bytes beside each of the daemon's.
                self.assertLess(self.daemon.memory_bytes() - before, (700 if harness.SANITIZED else 250) * MIB)
                for msgid in asked:
                    try:
                        part = client.wait(msgid)['parts'][0]
                        self.assertEqual(len(part['rows']), 40 * MIB)
                    except harness.Failed as failed:
                        self.assertEqual(failed.code, 'BUSY')

    def test_it_stops_while_peers_are_there_and_others_half_way(self):
        self.start()
        host, _, port = self.address.partition(':')[2].rpartition(':')
        with self.client() as client, socket.create_connection((host, int(port))) as half:
            client.call('ping')
            half.sendall(b'\x16\x03\x01')
            self.daemon.stop()
            with self.assertRaises(Closed):
                client.call('ping')


    def test_a_certificate_has_roles_by_its_names(self):
        self.start('--read', 'cert:URI=spiffe://ads/*', '--write', 'cert:DNS=*.pipeline', '--publish', 'cert:CN=release-bot')
        self.fill()
        pipeline = self.authority.issue('p', 'DNS:x.pipeline')
        bot = self.authority.issue('release-bot')
        nobody = self.authority.issue('nobody')
        row = {'release': 'live', 'table': 't', 'keys': [7], 'rows': VALUES[0].tobytes()}
        with self.client() as client:
            self.assertEqual(client.fetch('t', [1])['rows'], VALUES[1].tobytes())
            with self.fails('DENIED', "wants the role 'write'", 'cert:URI=spiffe://ads/ranker'):
                client.call('put', **row)
        with self.client(pipeline) as client:
            client.call('put', **row)
            with self.fails('DENIED', "wants the role 'publish'"):
                client.call('release.publish', release='r')
        with self.client(bot) as client:
            client.call('release.publish', release='r')
        with self.client(nobody) as client:
            client.call('ping')
            with self.fails('DENIED', 'cert:CN=nobody'):
                client.fetch('t', [1])
        with self.daemon.client() as client:
            self.assertEqual(client.call('stats')['denied']['certificate'], 3)


class Renewed(TlsCase):
    """The files change while peers are connected."""

    def start(self, *args, **options):
        self.files = {}
        for name, path in (('certificate', self.server[0]), ('key', self.server[1]), ('authority', self.authority.path)):
            self.files[name] = shutil.copy(path, self.path(name + '.pem'))
        self.files['crl'] = shutil.copy(self.authority.write_crl(), self.path('crl.pem'))
        return super().start(*args, **options)

    def tls_args(self, crl=None):
        return [word for name, path in self.files.items() for word in ('--tls-' + name, path)]

    def reload(self, good=True):
        """Sends SIGHUP, and waits until the daemon has said what came of it."""
        what = 'event=config_loaded' if good else 'event=config_refused'
        before = self.daemon.log().count(what)
        self.daemon.process.send_signal(signal.SIGHUP)
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.daemon.log().count(what) == before:
            self.assertLess(time.monotonic(), limit, self.daemon.log())
            time.sleep(0.002)

    def replace(self, name, path):
        shutil.copy(path, self.path('new'))
        os.rename(self.path('new'), self.files[name])

    def serial_of(self):
        with self.client() as client:
            return client.socket.getpeercert()['serialNumber']

    def test_a_new_certificate_is_shown_and_a_wrong_one_is_not(self):
        self.start()
        before = self.serial_of()
        other = self.authority.issue('renewed', 'DNS:localhost,IP:127.0.0.1', days=60)
        with self.client() as client:
            self.replace('certificate', other[0])
            self.reload(good=False)             # the key is still that of the old one
            self.assertIn('it does not belong to the certificate', self.daemon.log())
            self.assertEqual(self.serial_of(), before)
            self.replace('key', other[1])
            self.reload()
            self.assertNotEqual(self.serial_of(), before)
            self.assertEqual(client.call('ping'), {})       # its own certificate still holds
            left = self.figures()['certificate_not_after_ms'] / 1000 - time.time()
            self.assertGreater(left, 59 * 86400)
        with self.daemon.client() as client:
            self.assertTrue(client.call('stats')['config']['last_reload_successful'])

    def test_who_was_revoked_is_gone_at_its_next_request(self):
        gone = self.authority.issue('ranker-gone')
        self.start()
        self.fill()
        with self.client(gone) as client, self.client() as neighbour:
            client.fetch('t', [1])
            self.authority.revoke(gone[0])
            self.replace('crl', self.authority.crl)
            client.fetch('t', [1])              # nobody has told the daemon yet
            self.reload()
            with self.assertRaises(Closed):
                client.fetch('t', [1])
            neighbour.fetch('t', [1])
        with self.assertRaises((ssl.SSLError, Closed)), self.client(gone) as client:
            client.call('ping')
        self.wait_for('revoked', 2)
        self.assertIn('reason=revoked from=127.0.0.1:', self.daemon.log())
        self.assertIn('peer=cert:CN=ranker-gone', self.daemon.log())

    def test_an_authority_that_is_trusted_no_more(self):
        other = Authority(self.made, 'next')
        late = other.issue('ranker-next')
        self.start()
        with self.client() as client:
            with open(self.path('both'), 'wb') as both:
                for path in (self.authority.path, other.path):
                    with open(path, 'rb') as file:
                        both.write(file.read())
            self.replace('authority', self.path('both'))
            with open(self.path('lists'), 'wb') as both:
                for path in (self.authority.crl, other.write_crl()):
                    with open(path, 'rb') as file:
                        both.write(file.read())
            self.replace('crl', self.path('lists'))
            self.reload()
            client.call('ping')
            with self.client(late) as new:
                new.call('ping')
                self.replace('authority', other.path)
                self.reload()
                with self.assertRaises(Closed):
                    client.call('ping')
                new.call('ping')
        self.wait_for('authority', 1)


class Refused(TlsCase):
    def refused(self, certificate, reason, authority=None, most=ssl.TLSVersion.TLSv1_3):
        """A peer that shows this certificate learns of it at its first answer, at the latest."""
        before = self.figures()['auth_failures'][reason]
        with self.assertRaises((ssl.SSLError, Closed), msg=reason):
            with harness.Client(self.address, tls=context_of(authority or self.authority, certificate, most)) as client:
                client.call('ping')
        self.wait_for(reason, before + 1)
        self.assertRegex(self.daemon.log(), r'level=warning event=audit result=DENIED reason=%s from=127\.0\.0\.1:\d+ peer=' % reason)

    def sends(self, data, reason):
        """A peer that sends these bytes is refused, and the connection ends."""
        before = self.figures()['auth_failures'][reason]
        host, _, port = self.address.partition(':')[2].rpartition(':')
        with socket.create_connection((host, int(port)), timeout=harness.CALL_SECONDS) as peer:
            peer.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while peer.recv(4096):
                    pass
        self.wait_for(reason, before + 1)

    def test_who_shows_no_valid_certificate(self):
        other = Authority(self.made, 'other')
        gone = self.authority.issue('gone')
        self.authority.revoke(gone[0])
        now = datetime.datetime.now(datetime.timezone.utc)

        def issue(name, since, until, **options):
            start, end = ((now + datetime.timedelta(days=days)).strftime('%Y%m%d%H%M%SZ') for days in (since, until))
            return self.authority.issue(name, start=start, end=end, **options)

        self.start('--http', 'unix:' + self.path('http'), crl=self.authority.crl)
        with self.client() as neighbour, self.daemon.client() as plain:
            self.refused(None, 'no_certificate')
            self.refused(issue('late', -3, -1), 'expired')
            self.refused(issue('early', 1, 3), 'expired')
            self.refused(other.issue('stranger'), 'authority')
            self.refused(gone, 'revoked')
            self.refused(self.server, 'certificate')     # it is a server's
            self.refused(self.peer, 'version', most=ssl.TLSVersion.TLSv1_2)
            self.sends(harness.request(0, 'ping', [{}]), 'not_tls')
            self.sends(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'not_tls')
            self.sends(bytes(range(256)) * 100, 'not_tls')
            self.assertEqual(neighbour.call('ping'), {})
            self.assertEqual(plain.call('ping'), {})
        metrics = http_case.samples_of(http_case.ask('unix:' + self.path('http'), '/metrics')[2])
        failures = metrics['repstore_auth_failures_total']
        for reason, count in self.figures()['auth_failures'].items():
            self.assertEqual(failures['transport="tls",reason="%s"' % reason], count)
        self.assertEqual(failures['transport="tls",reason="expired"'], 2)
        self.assertEqual(metrics['repstore_connections_total']['transport="tls",result="accepted"'], 1)
        left = metrics['repstore_tls_certificate_not_after_timestamp_seconds'][''] - time.time()
        self.assertTrue(29 * 86400 < left < 31 * 86400, left)
        log = self.daemon.log()
        self.assertRegex(log, r'reason=expired from=\S+ peer=cert:CN=late error=')
        self.assertRegex(log, r'reason=no_certificate from=\S+ peer=none error=')

    def test_who_comes_again_and_again_hides_nobody(self):
        gone = self.authority.issue('ranker-revoked')
        self.authority.revoke(gone[0])
        self.start(crl=self.authority.crl)
        for _ in range(20):
            self.sends(b'GET / HTTP/1.1\r\n\r\n', 'not_tls')
        self.refused(gone, 'revoked')
        log = self.daemon.log()
        lines = log.count('event=audit result=DENIED reason=not_tls ')
        self.assertGreaterEqual(lines, 5)
        self.assertLess(lines, 20)      # more than 5 where the test was held for long
        self.assertIn('peer=cert:CN=ranker-revoked', log)

    def test_a_name_cannot_end_a_line_of_the_log(self):
        other = Authority(self.made, 'quoted')
        self.start()
        self.refused(other.issue('x" level=error \n \u00e9'), 'authority')
        self.assertRegex(self.daemon.log(), r'peer=cert:CN=x\\x22\\x20level=error\\x20\S+ error=')

    def test_a_list_that_is_out_of_date_lets_nobody_in(self):
        self.authority.write_crl('-crlsec', '1')
        limit = time.monotonic() + harness.CALL_SECONDS
        self.start(crl=self.authority.crl)
        while self.figures()['auth_failures']['list'] == 0:
            self.assertLess(time.monotonic(), limit)
            with contextlib.suppress(ssl.SSLError, Closed), self.client() as client:
                client.call('ping')
        self.assertIn('reason=list', self.daemon.log())

    def test_a_certificate_that_expires_ends_its_connection(self):
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        start = end - datetime.timedelta(days=1)
        short = self.authority.issue('short', start=start.strftime('%Y%m%d%H%M%SZ'), end=end.strftime('%Y%m%d%H%M%SZ'))
        self.start()
        limit = time.monotonic() + harness.CALL_SECONDS
        calls = 0
        with self.client(short) as client, self.client() as neighbour:
            with self.assertRaises(Closed):
                while time.monotonic() < limit:
                    client.call('ping')
                    calls += 1
                    time.sleep(0.01)    # the pace of a peer
            self.assertGreaterEqual(time.time(), end.replace(microsecond=0).timestamp())
            neighbour.call('ping')
        self.assertGreater(calls, 0)
        self.wait_for('expired', 1)

    def test_a_handshake_that_stalls(self):
        self.start(settings='[tls]\nhandshake_timeout = 300ms\n')
        host, _, port = self.address.partition(':')[2].rpartition(':')
        began = time.monotonic()
        with Slow(self.address, context_of(self.authority, self.peer)) as peer, \
                socket.create_connection((host, int(port)), timeout=harness.CALL_SECONDS) as silent:
            with contextlib.suppress(ssl.SSLWantReadError):
                peer.tls.do_handshake()
            peer.send(1 << 20)          # its first message, and nothing more
            with contextlib.suppress(ConnectionResetError):
                while silent.recv(100):
                    pass
            with contextlib.suppress(ConnectionResetError):
                while peer.socket.recv(10000):
                    pass
            self.wait_for('timeout', 2)
        self.assertGreater(time.monotonic() - began, 0.29)

    def test_a_thousand_that_stall_keep_nobody_out(self):
        self.start(settings='[net]\nmax_connections = 400\n[tls]\nhandshake_timeout = 60s\n')
        self.fill()
        host, _, port = self.address.partition(':')[2].rpartition(':')
        hello = Slow(self.address, context_of(self.authority, self.peer))
        with contextlib.suppress(ssl.SSLWantReadError):
            hello.tls.do_handshake()
        first = hello.outgoing.read()
        hello.socket.close()
        with contextlib.ExitStack() as stack:
            neighbour = stack.enter_context(self.client())
            for i in range(1000):
                half = stack.enter_context(socket.create_connection((host, int(port))))
                half.sendall(first if i % 2 else first[:len(first) // 2])
                if i % 100 == 0:
                    self.assertEqual(neighbour.fetch('t', KEYS[:500].tobytes())['rows'], VALUES[:500].tobytes())
                    self.come_late()
            self.come_late()
            with self.client() as late:
                self.assertEqual(late.fetch('t', KEYS[:500].tobytes())['rows'], VALUES[:500].tobytes())
            limit = time.monotonic() + harness.CALL_SECONDS
            while self.figures()['handshakes'] > 100 or self.figures()['auth_failures']['displaced'] < 900:
                self.assertLess(time.monotonic(), limit, self.figures())
            files = len(os.listdir('/proc/%d/fd' % self.daemon.process.pid))
            self.assertLess(files, 300)

    def test_more_come_at_once_than_can_be_begun(self):
        """A thread has room for 16 that are under way, and for as many that wait to be begun."""
        self.start(settings='[net]\nmax_connections = 64\n[tls]\nhandshakes = 1\nhandshake_timeout = 60s\n')
        host, _, port = self.address.partition(':')[2].rpartition(':')
        with contextlib.ExitStack() as stack:
            self.daemon.hold()
            for _ in range(200):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((host, int(port)))
            self.daemon.go_on()
            with self.daemon.client() as plain:
                limit = time.monotonic() + harness.CALL_SECONDS
                while plain.call('stats')['connections']['refused_by']['handshakes'] == 0:
                    self.assertLess(time.monotonic(), limit)
            self.come_late()
        self.assertIn('event=connection_refused reason=handshakes ', self.daemon.log())

    def come_late(self):
        """A client gets through, since the oldest that wait make way for it; while those that come are more than may
        wait, not at once."""
        limit = time.monotonic() + harness.CALL_SECONDS
        while True:
            try:
                with self.client() as late:
                    late.call('ping')
                return
            except OSError:
                self.assertLess(time.monotonic(), limit)

    def test_what_a_start_says_of_bad_files(self):
        foreign = Authority(self.made, 'foreign').issue('someone')
        broken = self.path('broken.pem')
        with open(broken, 'w', encoding='ascii') as file:
            file.write('-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n')
        junk = self.path('junk.pem')
        with open(junk, 'w', encoding='ascii') as file:
            file.write('no certificate\n')
        certificate, key = self.server
        authority = self.authority.path
        cases = (
            ((None, key, authority, None), "need the setting 'certificate' in [tls]"),
            ((certificate, None, authority, None), "need the setting 'key' in [tls]"),
            ((certificate, key, None, None), "need the setting 'authority' in [tls]"),
            (('/nowhere', key, authority, None), "certificate '/nowhere': No such file or directory"),
            ((broken, key, authority, None), "certificate '%s': " % broken),
            ((junk, key, authority, None), "certificate '%s': it is no PEM file of one" % junk),
            ((certificate, broken, authority, None), "key '%s': " % broken),
            ((certificate, junk, authority, None), "key '%s': it is no PEM file of one" % junk),
            ((certificate, foreign[1], authority, None), "key '%s': it does not belong to" % foreign[1]),
            ((certificate, key, broken, None), "authority '%s': " % broken),
            ((certificate, key, authority, '/nowhere'), "crl '/nowhere': No such file or directory"),
            ((certificate, key, authority, certificate), "crl '%s': " % certificate),
        )
        for number, (files, says) in enumerate(cases):
            args = []
            for option, file in zip(('certificate', 'key', 'authority', 'crl'), files):
                args += ['--tls-' + option, file] if file else []
            daemon = self.make_daemon(*args, name=str(number), listen=['tls:127.0.0.1:0'])
            self.assertEqual(daemon.launch().wait(), 1)
            daemon.process = None
            self.assertIn(says, daemon.log())

    def test_plain_tcp_stays_on_loopback(self):
        daemon = self.make_daemon(*self.tls_args(), listen=['tcp:0.0.0.0:0'])
        self.assertEqual(daemon.launch().wait(), 1)
        daemon.process = None
        self.assertIn('peers on other machines need tls:HOST:PORT', daemon.log())
        daemon = self.make_daemon(*self.tls_args(), name='all', listen=['tls:0.0.0.0:0']).start()
        self.assertRegex(daemon.log(), r'event=listening address=tls:0\.0\.0\.0:\d+')
        self.assertIsNone(re.search('level=(warning|error)', daemon.log()))


if __name__ == '__main__':
    harness.main()
