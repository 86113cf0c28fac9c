"""http_case.py - a daemon with its port for HTTP, and what tests ask of it."""

import http.client
import re
import socket
import subprocess
import time

import numpy as np

import harness

KEYS = np.arange(5000, dtype='<u8')
ROWS = np.random.RandomState(1).rand(5000, 8).astype('<f4')


class Port(http.client.HTTPConnection):
    """A connection to unix:PATH or tcp:HOST:PORT."""

    def __init__(self, address):
        kind, _, rest = address.partition(':')
        self.path = rest if kind == 'unix' else None
        super().__init__('localhost' if self.path else rest, timeout=harness.CALL_SECONDS)

    def connect(self):
        if self.path is None:
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.path)


def address_of(daemon):
    """Where the port is, as the journal says: the last line counts, since a restart may have another."""
    return re.findall(r'event=listening http=(\S+)', daemon.log())[-1]


def ask(address, path, method='GET', headers=None, body=None):
    """The answer to one request: code, headers, body."""
    port = Port(address)
    try:
        port.request(method, path, body=body, headers=headers or {})
        reply = port.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    finally:
        port.close()


def samples_of(text):
    """{name: {labels: value}} of an exposition; labels as they stand there."""
    found = {}
    for line in text.splitlines():
        if not line.startswith('#'):
            name, labels, value = re.fullmatch(r'(\w+)(?:\{(.*)\})? (\S+)', line).groups()
            found.setdefault(name, {})[labels or ''] = float(value)
    return found


def is_built():
    """Whether the daemon has a port for HTTP: it may be built without libmicrohttpd."""
    return 'http yes' in subprocess.run([harness.program('repstored'), '--version'], stdout=subprocess.PIPE, text=True,
                                        check=True).stdout


class HttpCase(harness.Case):
    def setUp(self):
        super().setUp()
        if not is_built():
            self.skipTest('built without libmicrohttpd')

    def start_http(self, *args, **options):
        """A daemon that listens for HTTP on loopback."""
        self.daemon = self.start_daemon('--http', 'tcp:127.0.0.1:0', *args, **options)
        self.address = address_of(self.daemon)
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def make_live(self, release='r1', tags=False):
        """A live release with tables of each kind, and an index."""
        call = self.client.call
        call('release.create', release=release, model='m "1"\\', checkpoint='<c>')
        call('table.create', release=release, table='ur', entity='user', kind='ur', dim=8)
        call('table.create', release=release, table='ir', entity='item', kind='ir', dim=8, index='balls')
        call('table.create', release=release, table='cr_user@mlp', entity='user', kind='cr', dim=8)
        call('table.create', release=release, table='cr_item@mlp', entity='item', kind='cr', dim=8)
        for table in ('ur', 'ir'):
            self.client.load(release, table, KEYS, ROWS)
        self.client.seal(release)
        call('release.publish', release=release)

    def use_everything(self):
        """Calls of which each metric has something to tell."""
        now = np.array([int(time.time() * 1000)], dtype='<i8').tobytes()
        call = self.client.call
        self.client.fetch('ir', [1, 2, 10**9])
        call('retrieve', **{'from': {'table': 'ur', 'keys': [1]}, 'in': 'ir', 'k': 10})
        call('put', release='live', table='ur', keys=[1], rows=ROWS[:1].tobytes())
        call('delete', release='live', table='ur', keys=[2])
        for _ in range(2):
            call('observe', release='live', layer='mlp', users=[1], items=[2], rows=ROWS[:1].tobytes(),
                 times=now, source='log', position=0)
        call('merge')
        with self.assertRaises(harness.Failed):
            call('fetch', parts=[])

    def metrics(self):
        code, _, text = ask(self.address, '/metrics')
        self.assertEqual(code, 200, text)
        return samples_of(text)

    def await_true(self, is_so):
        limit = time.monotonic() + harness.CALL_SECONDS
        while not is_so():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)

    def await_ready(self):
        self.await_true(lambda: ask(self.address, '/readyz')[0] == 200)


def promtool(*words, text=None):
    return subprocess.run(['promtool', *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
