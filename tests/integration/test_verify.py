"""test_verify.py - a flipped bit anywhere is found, and told by file, table, segment and keys.

REPSTORE_FLIPS: how many bits of each file of a backup are flipped, one at a time (6).
"""

import os
import re
import shutil
import subprocess
import threading

import numpy as np

import harness
import http_case

FLIPS = int(os.environ.get('REPSTORE_FLIPS', '6'))
CORRUPT = 4     # a `why`
KEYS = np.arange(6000, dtype='<u8')
NAMES = [b'key-%d' % i for i in range(500)]
DIM = 8


def flip(path, bit):
    """One bit of a file, counted through all of it."""
    with open(path, 'r+b') as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


class Verify(harness.Case):
    def setUp(self):
        """A store with a file of each kind: rows, an index, tensors, writes in the log, a load."""
        super().setUp()
        self.random = harness.random_state()
        os.makedirs(self.path('backups'))
        self.daemon = self.start_daemon('--backup-folder', self.path('backups'), '--workers', '1',
                                        *(['--http', 'unix:' + self.path('http')] if http_case.is_built() else []))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        rows = self.random.standard_normal((len(KEYS), DIM)).astype('<f4')
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM, index='balls')
        self.client.call('table.create', release='r', table='b', entity='user', kind='ur', dim=DIM, key='bytes')
        self.client.load('r', 't', KEYS, rows)
        self.client.load('r', 'b', NAMES, rows[:len(NAMES)])
        self.client.call('tensor.put', release='r', tensor='w', dtype='f32', shape=[2000], data=bytes(8000))
        self.client.seal('r')
        while self.client.call('table.show', release='r', table='t')['index_state'] != 'ready':
            threading.Event().wait(0.01)
        for i in range(5):
            self.client.call('put', release='r', table='t', keys=KEYS[i:i + 1].tobytes(), rows=rows[:1].tobytes())
        self.client.call('release.create', release='open')
        self.client.call('table.create', release='open', table='t', entity='item', kind='ir', dim=DIM)
        self.client.call('load', release='open', table='t', load='l', chunk=0, keys=KEYS.tobytes(), rows=rows.tobytes())

    def verify(self, folder, damaged):
        """What repstored --verify prints."""
        done = subprocess.run([harness.program('repstored'), '--verify', folder], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS, check=False)
        text = done.stdout.decode() + done.stderr.decode()
        self.assertEqual(done.returncode, 1 if damaged else 0, text)
        return text

    def stop(self):
        self.client.close()
        self.daemon.stop()

    def backup(self):
        self.client.call('backup', dir='b', copy=True)
        self.stop()
        return self.path('backups/b')

    def each_flipped_bit(self, folder):
        """Flips bits of each file, and takes each away. Returns the names of the files."""
        self.assertIn(' 0 damaged', self.verify(folder, False))
        names = []
        for at, _, files in os.walk(folder):
            names += [os.path.relpath(os.path.join(at, name), folder) for name in files]
        for name in sorted(names):
            path = os.path.join(folder, name)
            for bit in self.random.integers(0, os.path.getsize(path) * 8, FLIPS).tolist():
                flip(path, bit)
                told = self.verify(folder, True)
                self.assertRegex(told, '(?m)^%s: ' % re.escape(name), (name, bit))
                flip(path, bit)
            os.rename(path, path + '.away')
            if name != 'manifest':
                self.assertRegex(self.verify(folder, True), '(?m)^%s: ' % re.escape(name))
            os.rename(path + '.away', path)
        self.assertIn(' 0 damaged', self.verify(folder, False))
        return names

    def test_every_flipped_bit_of_a_backup(self):
        names = self.each_flipped_bit(self.backup())
        self.assertEqual(len([name for name in names if '.mdb' in name or '.idx' in name]), 5)

    def test_every_flipped_bit_of_an_exported_release(self):
        """It has no catalog and no log: its manifest and `current` say what is in it, and damage has its keys."""
        self.client.call('release.export', release='r', dir='r', copy=True)
        self.stop()
        folder = self.path('backups/r')
        names = self.each_flipped_bit(folder)
        base, = [name for name in names if name.startswith('releases/1/base-1-')]
        self.assertEqual(len(names), 5, names)      # two base files, a tensor, current, manifest
        path = os.path.join(folder, base)
        flip(path, os.path.getsize(path) * 4)       # in the middle, where the rows are
        told = self.verify(folder, True)
        for words in (base + ": 't' of release 'r': segment 0 of 6000 rows: ", '  keys: '):
            self.assertIn(words, told)
        # Its manifest says what the folder is; where that is damaged, the catalog that is not there does.
        flip(os.path.join(folder, 'manifest'), 100)
        told = self.verify(folder, True)
        self.assertIn('manifest: ', told)
        self.assertIn(base + ": 't' of release 'r': ", told)
        self.assertNotIn('catalog', told)

    def file_of(self, begins):
        found, = [name for name in self.daemon.files() if re.match(begins, name)]
        return found

    def segment_of(self, name):
        """Where the one segment of a base file begins."""
        with open(os.path.join(self.daemon.data, name), 'rb') as file:
            return file.read().index(b'repstseg')

    def test_a_folder_without_a_manifest(self):
        """What is checksummed is found there too; the text says what it is."""
        self.stop()
        data = self.daemon.data
        self.assertIn(' 0 damaged', self.verify(data, False))
        # Tables are numbered in the order in which they were created.
        t, b = (self.file_of('releases/1/base-%d-' % number) for number in (1, 2))
        index = self.file_of('releases/1/index')
        for name, offset, words in (
                (b, self.segment_of(b) + 20000, ("'b' of release 'r'", 'segment 0 of 500 rows', "keys: 'key-")),
                (t, self.segment_of(t) + 100000, ("'t' of release 'r'", 'segment 0 of 6000 rows', 'keys: ')),
                (t, 100, ("'t' of release 'r'", 'outside its segments')),
                (self.file_of('releases/1/tensor'), 9000, ("'w' of release 'r'", 'tensor')),
                (index, 100, ("'t' of release 'r'", 'index')),
                (index, 5000, ("'t' of release 'r'", 'index')),
                ('current', 30, ('checksum',)),
                ('log/1.log', 100, ('log',)),
                (self.file_of('releases/2/spill'), 1000, ('frame',))):
            path = os.path.join(data, name)
            flip(path, offset * 8)
            told = self.verify(data, True)
            for word in (name + ': ',) + words:
                self.assertIn(word, told)
            flip(path, offset * 8)
        shutil.move(os.path.join(data, 'catalog.mdb'), self.path('catalog'))
        self.assertIn('catalog.mdb: it is not there', self.verify(data, True))
        shutil.move(self.path('catalog'), os.path.join(data, 'catalog.mdb'))
        before = {name: os.stat(os.path.join(data, name)).st_mtime_ns for name in self.daemon.files()}
        self.assertIn(' 0 damaged', self.verify(data, False))
        self.assertEqual({name: os.stat(os.path.join(data, name)).st_mtime_ns for name in self.daemon.files()}, before)

    def test_where_it_cannot(self):
        self.assertIn('a daemon works in it', self.verify(self.daemon.data, True))
        self.assertIn('No such file', self.verify(self.path('none'), True))
        os.symlink(self.daemon.data, self.path('link'))
        self.assertIn('symbolic link', self.verify(self.path('link'), True))
        os.makedirs(self.path('empty'))
        self.assertIn('catalog.mdb: it is not there', self.verify(self.path('empty'), True))
        self.assertEqual(os.listdir(self.path('empty')), [])

    def test_a_live_daemon(self):
        sound = self.client.call('verify')
        self.assertEqual((sound['damaged'], sound['damage']), (0, []))
        self.assertIn(' 0 damaged', self.daemon.command('verify'))
        name = self.file_of('releases/1/base-1-')
        other = self.file_of('releases/1/base-2-')
        path = os.path.join(self.daemon.data, name)
        flip(path, os.path.getsize(path) * 4)       # in the middle, where the rows are
        found = self.client.call('verify', keys=7)
        self.assertEqual(found['damaged'], 1)
        damage, = found['damage']
        self.assertEqual((damage['file'], damage['release'], damage['table'], damage['segment'], damage['rows']),
                         (name, 'r', 't', 0, len(KEYS)))
        self.assertEqual((damage['keys_known'], len(damage['keys'])), (len(KEYS), 7))
        self.assertTrue(all(key in KEYS for key in damage['keys']))
        figures = self.client.call('stats')
        self.assertEqual((figures['verify']['last_damaged'], figures['verify']['running']), (1, False))
        if http_case.is_built():
            said = http_case.samples_of(http_case.ask('unix:' + self.path('http'), '/metrics')[2])
            self.assertEqual((said['repstore_verifications_total'], said['repstore_verification_last_damaged']), ({'': 3}, {'': 1}))
            self.assertEqual(said['repstore_verification_last_timestamp_seconds'], {'': figures['verify']['last_ms'] / 1000})
        # What is damaged in memory too is not served from then on; all else is.
        with self.fails('CORRUPT'):
            self.client.fetch('t', KEYS.tobytes())
        why = self.client.fetch('t', KEYS.tobytes(), why=True)['why']
        self.assertIn(why.count(CORRUPT), range(1, 4096 // (4 * DIM) + 1))   # of its page
        self.assertEqual(why.count(0), len(KEYS) - why.count(CORRUPT))
        self.assertTrue(harness.bits(self.client.fetch('b', harness.packed(NAMES))['found'], len(NAMES)).all())
        told = self.daemon_says()
        self.assertIn(name, told)
        self.assertNotIn(other, told)
        self.assertIn("'t' of release 'r': segment 0 of 6000 rows", told)

    def daemon_says(self):
        done = subprocess.run([harness.program('repstore'), '-s', self.daemon.address, 'verify'],
                              stdout=subprocess.PIPE, timeout=harness.CALL_SECONDS, check=False)
        self.assertEqual(done.returncode, 1)
        return done.stdout.decode()

    def test_damaged_keys_are_not_told(self):
        """A key whose bytes were changed is none that was put."""
        self.stop()
        path = os.path.join(self.daemon.data, self.file_of('releases/1/base-1-'))
        with open(path, 'rb') as file:
            data = file.read()
        at = self.segment_of(self.file_of('releases/1/base-1-'))
        columns = {int.from_bytes(data[at + 64 + 32 * i:at + 68 + 32 * i], 'little'):
                   int.from_bytes(data[at + 72 + 32 * i:at + 80 + 32 * i], 'little') for i in range(4)}
        flip(path, (at + columns[2] + 8 * 1000 + 4) * 8)    # the key of row 1000 becomes one over 2^32
        self.daemon.start()
        with self.daemon.client() as client:
            damage, = client.call('verify', keys=10000)['damage']
        self.assertGreaterEqual(damage['keys_known'], len(KEYS) - 2)
        self.assertLess(damage['keys_known'], len(KEYS))
        self.assertTrue(all(key < len(KEYS) for key in damage['keys']))

    def test_it_is_bounded_and_can_be_left(self):
        """It reads no faster than merge_rate, is seen while it runs, and ends when its peer leaves."""
        self.stop()
        self.daemon.args += self.config('[log]\nmerge_rate = 1M\n')
        self.daemon.start()
        with self.daemon.client() as client:
            client.call('release.create', release='big')
            client.call('table.create', release='big', table='t', entity='item', kind='ir', dim=256)
            client.load('big', 't', KEYS, np.zeros((len(KEYS), 256), '<f4'))
            client.seal('big')
            with self.daemon.client() as other:
                other.send('verify')
                while not 0 < client.call('stats')['verify']['done'] < client.call('stats')['verify']['bytes']:
                    threading.Event().wait(0.01)
                self.assertTrue(client.call('stats')['verify']['running'])
                client.call('put', release='big', table='t', keys=KEYS[:1].tobytes(), rows=bytes(1024))
            while client.call('stats')['verify']['running']:
                threading.Event().wait(0.01)
            self.assertEqual(client.call('stats')['verify']['made'], 0)


if __name__ == '__main__':
    harness.main()
