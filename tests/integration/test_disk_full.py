"""test_disk_full.py - no room: DISK_FULL, nothing is kept of the request, and what was there stays.

A limit on the size of files stands for a full disk.
"""

import numpy as np

import harness
from harness import Failed

LIMIT_BYTES = 6 << 20
CHUNK_ROWS = 4000
CHUNKS = 12
DIM = 64


def keys(chunk):
    return np.arange(chunk * CHUNK_ROWS, (chunk + 1) * CHUNK_ROWS, dtype='<u8')


def rows(chunk):
    return np.repeat(keys(chunk).astype('<f4'), DIM).reshape(-1, DIM)


class DiskFull(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon()

    def start(self, full):
        self.daemon.stop()
        self.daemon.file_bytes = LIMIT_BYTES if full else None
        self.daemon.start()

    def create(self, release):
        with self.daemon.client() as client:
            client.call('release.create', release=release)
            client.call('table.create', release=release, table='t', entity='user', kind='ur', dim=DIM)

    def load_chunk(self, client, chunk, release='r'):
        return client.call('load', release=release, table='t', load='l', chunk=chunk,
                           keys=keys(chunk).tobytes(), rows=rows(chunk).tobytes())

    def load_rest(self, release='r'):
        with self.daemon.client() as client:
            load = client.call('release.show', release=release)['loads']
            for chunk in range(load[0]['next_chunk'] if load else 0, CHUNKS):
                self.load_chunk(client, chunk, release)
            client.call('load.end', release=release, table='t', load='l', chunks=CHUNKS,
                        rows=CHUNKS * CHUNK_ROWS)

    def check_rows(self, release='live'):
        with self.daemon.client() as client:
            for chunk in range(CHUNKS):
                part = client.fetch('t', keys(chunk).tobytes(), release=release)
                self.assertEqual(part['rows'], rows(chunk).tobytes())

    def test_a_load(self):
        self.start(full=True)
        self.create('r')
        acked = 0
        with self.daemon.client() as client:
            with self.fails('DISK_FULL'):
                for acked in range(CHUNKS):
                    self.assertEqual(self.load_chunk(client, acked)['next_chunk'], acked + 1)
            self.assertGreater(acked, 2)
            for _ in range(3):
                with self.fails('DISK_FULL'):
                    self.load_chunk(client, acked)
                load = client.call('release.show', release='r')['loads'][0]
                self.assertEqual((load['next_chunk'], load['rows']), (acked, acked * CHUNK_ROWS))
            # Pipelined ones fail together, and those behind are told where to go on.
            for msgid in [client.send('load', dict(
                    release='r', table='t', load='l', chunk=acked + i, keys=keys(acked + i).tobytes(),
                    rows=rows(acked + i).tobytes())) for i in range(3)]:
                with self.assertRaises(Failed) as caught:
                    client.wait(msgid)
                self.assertIn(caught.exception.code, ('DISK_FULL', 'GAP'))
            load = client.call('release.show', release='r')['loads'][0]
            self.assertEqual(load['next_chunk'], acked)
        self.start(full=False)
        with self.daemon.client() as client:
            self.assertEqual(client.call('release.show', release='r')['loads'][0]['next_chunk'], acked)
        self.load_rest()
        with self.daemon.client() as client:
            client.seal('r')
        self.check_rows()

    def test_a_seal(self):
        self.start(full=False)
        self.create('before')
        self.load_rest('before')
        with self.daemon.client() as client:
            client.seal('before')
        self.create('r')
        self.load_rest()
        self.start(full=True)
        files = self.daemon.files()
        with self.daemon.client() as client:
            for _ in range(2):
                with self.fails('DISK_FULL'):
                    client.call('release.seal', release='r')
                self.assertEqual(client.call('release.show', release='r')['state'], 'open')
                self.assertEqual(self.daemon.files(), files)
            with self.fails('NOT_SEALED'):
                client.call('release.publish', release='r')
        self.check_rows('live')
        self.start(full=False)
        with self.daemon.client() as client:
            client.seal('r')
        self.check_rows('r')

    def names(self, client):
        return [release['release'] for release in client.call('release.list')['releases']]

    def test_the_catalog(self):
        """What it cannot write has not happened, and it says so; with room it goes on."""
        self.daemon.file_bytes = 256 << 10
        self.daemon.start()
        with self.daemon.client() as client:
            with self.fails('DISK_FULL'):
                for i in range(2000):
                    client.call('release.create', release='r%d' % i, model='m' * 255)
            releases = self.names(client)
            self.assertEqual(len(releases), i)
            # Even a drop needs a page or two.
            try:
                client.call('release.drop', release='r0')
                releases.remove('r0')
            except Failed as failed:
                self.assertEqual(failed.code, 'DISK_FULL')
            self.assertEqual(self.names(client), releases)
        self.daemon.file_bytes = None
        self.daemon.restart()
        with self.daemon.client() as client:
            self.assertEqual(self.names(client), releases)
            client.call('release.create', release='more')
            client.call('release.drop', release='r1')


if __name__ == '__main__':
    harness.main()
