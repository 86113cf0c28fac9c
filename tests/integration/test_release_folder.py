"""test_release_folder.py - one release is exported as a folder and adopted by another daemon.

REPSTORE_SEED: which bytes of a folder are damaged.
"""

import os
import shutil
import threading

import numpy as np

import harness
from harness import Failed

KEYS = np.arange(3000, dtype='<u8')
NAMES = [b'key-%d' % i for i in range(200)]
DIM = 8


def rows_of(version, count=len(KEYS)):
    rows = np.full((count, DIM), version, '<f4')
    rows[:, 0] = np.arange(count)
    return rows


class ReleaseFolder(harness.Case):
    def setUp(self):
        """Two daemons, which share a folder for what is moved; the first has a release of each kind of table."""
        super().setUp()
        self.random = harness.random_state()
        self.folder = self.path('moved')
        os.makedirs(self.folder)
        self.first, self.second = (
            self.start_daemon('--backup-folder', self.folder, '--workers', '1', name=name) for name in ('1', '2'))
        self.client = self.first.client()
        self.other = self.second.client()
        self.addCleanup(self.client.close)
        self.addCleanup(self.other.close)
        call = self.client.call
        for release in ('before', 'r'):
            call('release.create', release=release, model='m', checkpoint='c')
            call('table.create', release=release, table='t', entity='item', kind='ir', dim=DIM, tags=True, default='mean')
            call('table.create', release=release, table='b', entity='user', kind='ur', dim=DIM, key='bytes', dtype='i8')
            call('table.create', release=release, table='none', entity='user', kind='ur', dim=DIM)
            call('table.create', release=release, table='c@l', entity='user', kind='cr', dim=DIM, decay_events=1.0, read='sum')
            self.client.load(release, 't', KEYS, rows_of(0), tags=KEYS)
            self.client.load(release, 'b', NAMES, np.ones((len(NAMES), DIM), 'i1'), scales=np.ones(len(NAMES), '<f4'), dtype='i8')
            self.client.seal(release)
        call('tensor.put', release='r', tensor='w', dtype='f32', shape=[2], data=b'12345678')
        call('put', release='r', table='t', keys=KEYS[:10].tobytes(), rows=rows_of(1)[:10].tobytes(), tags=KEYS[:10].tobytes())
        self.observe(self.client, 0)

    def observe(self, client, position, release='r'):
        return client.call('observe', release=release, layer='l', users=KEYS[:2].tobytes(), source='s', position=position,
                           rows=np.ones((2, DIM), '<f4').tobytes(), times=np.full(2, harness.now_ms(), '<i8').tobytes())

    def everything(self, client, release):
        """All rows, tensors and positions of a release."""
        walked = {}
        for table in ('t', 'b', 'none', 'c@l'):
            walked[table] = [(reply['keys'], reply['rows'], reply['times'], reply.get('tags'), reply.get('scales'))
                             for reply in client.walk(table, release=release, **({'raw': True} if table == 'c@l' else {}))]
        positions = [(each['layer'], each['source'], each['next'])
                     for each in client.call('positions', release=release)['positions']]
        tensor = client.call('tensor.get', release=release, tensor='w')['data']
        default = client.fetch('t', [10 ** 9], release=release, missing='default')['rows']
        return walked, positions, tensor, default

    def test_a_release_moves(self):
        exported = self.client.call('release.export', release='live', dir='m')
        self.assertEqual(exported['release'], 'r')
        self.assertGreater(exported['linked'], 0)
        expected = self.everything(self.client, 'r')
        self.assertEqual(expected[1], [('l', 's', 2)])
        adopted = self.other.call('release.adopt', dir='m')
        self.assertEqual((adopted['release'], adopted['tables'], adopted['rows']), ('r', 4, len(KEYS) + len(NAMES) + 2))
        self.assertEqual(self.everything(self.other, 'r'), expected)
        shown = self.other.call('release.show', release='r')
        self.assertEqual((shown['state'], shown['model'], shown['number']), ('sealed', 'm', adopted['number']))
        self.assertEqual(self.other.call('verify')['damaged'], 0)
        # It is a release like any other: it takes writes, which a restart finds, and merges.
        self.other.call('release.publish', release='r')
        self.other.call('put', release='live', table='t', keys=KEYS[5:6].tobytes(), rows=rows_of(7)[5:6].tobytes(),
                        tags=KEYS[5:6].tobytes())
        self.assertEqual(self.observe(self.other, 0)['applied'], 0)     # these were counted
        self.assertEqual(self.observe(self.other, 2)['next'], 4)
        self.other.call('tensor.put', release='r', tensor='x', dtype='f32', shape=[1], data=b'1234')
        for merge in (False, True):
            self.second.restart()
            with self.second.client() as client:
                self.assertEqual(client.fetch('t', KEYS[:7].tobytes())['rows'],
                                 np.concatenate([rows_of(1)[:5], rows_of(7)[5:6], rows_of(1)[6:7]]).tobytes())
                self.assertEqual(client.call('positions', release='r')['positions'][0]['next'], 4)
                if not merge:
                    client.call('merge')
        # The first one has kept its own, and the folder can be adopted there under another name.
        self.assertEqual(self.everything(self.client, 'r'), expected)
        self.client.call('release.adopt', dir='m', release='copy')
        self.assertEqual(self.everything(self.client, 'copy'), expected)
        number = self.client.call('release.show', release='copy')['number']
        self.client.call('release.drop', release='copy')
        while os.path.exists(os.path.join(self.first.data, 'releases', str(number))):
            threading.Event().wait(0.01)

    def test_what_is_refused(self):
        self.client.call('release.create', release='open')
        with self.fails('NOT_SEALED'):
            self.client.call('release.export', release='open', dir='m')
        with self.fails('NOT_FOUND', "'none'"):
            self.client.call('release.export', release='none', dir='m')
        with self.fails('BAD_REQUEST'):
            self.client.call('release.export', release='r', dir='../m')
        with self.fails('NOT_FOUND'):
            self.other.call('release.adopt', dir='m')
        self.client.call('release.export', release='r', dir='m', copy=True)
        self.client.call('backup', dir='whole')
        with self.fails('CONFLICT', 'whole store'):
            self.other.call('release.adopt', dir='whole')
        with self.fails('BAD_REQUEST'):
            self.other.call('release.adopt', dir='m', release='live')
        self.other.call('release.adopt', dir='m')
        before = self.second.files()
        for call in (lambda: self.other.call('release.adopt', dir='m'),
                     lambda: self.client.call('release.adopt', dir='m', release='before')):
            with self.fails('EXISTS'):
                call()
        # Links, in place of the folder and of a file in it.
        os.symlink(os.path.join(self.folder, 'm'), os.path.join(self.folder, 'link'))
        with self.fails('IO', 'symbolic link'):
            self.other.call('release.adopt', dir='link', release='x')
        path, = [path for path in self.paths('m') if 'base-1-' in path]
        os.rename(path, self.path('away'))
        os.symlink(self.path('away'), path)
        with self.fails('IO', 'symbolic link'):
            self.other.call('release.adopt', dir='m', release='x')
        os.remove(path)
        with self.fails('CORRUPT', 'base-1-'):
            self.other.call('release.adopt', dir='m', release='x')
        self.assertEqual(self.second.files(), before)
        self.assertEqual([each['release'] for each in self.other.call('release.list')['releases']], ['r'])

    def paths(self, name):
        found = []
        for folder, _, names in os.walk(os.path.join(self.folder, name)):
            found += [os.path.join(folder, each) for each in names]
        return sorted(found)

    def test_damage_is_not_adopted(self):
        """A flipped bit in the rows, the record or the manifest: refused, and nothing of it stays."""
        self.client.call('release.export', release='r', dir='m', copy=True)
        before = self.second.files()
        for path in self.paths('m'):
            size = os.path.getsize(path)
            with open(path, 'rb') as file:
                data = file.read()
            # Of base files and tensors only what is in segments is taken; the rest is made anew.
            places = [data.index(b'repstseg') + 64] if 'base-' in path else \
                [data.index(b'12345678')] if 'tensor-' in path else self.random.integers(0, size, 5).tolist()
            for place in places:
                damaged = bytearray(data)
                damaged[place] ^= 1 << int(self.random.integers(0, 8))
                with open(path, 'wb') as file:
                    file.write(damaged)
                with self.assertRaises(Failed) as failed:
                    self.other.call('release.adopt', dir='m')
                self.assertIn(failed.exception.code, ('CORRUPT', 'UNSUPPORTED'), path)
            with open(path, 'wb') as file:
                file.write(data)
        self.assertEqual(self.second.files(), before)
        self.other.call('release.adopt', dir='m')

    def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(self):
        for name in ('current', 'manifest'):
            self.client.call('release.export', release='live', dir='p-' + name)
            path = os.path.join(self.folder, 'p-' + name, name)
            os.unlink(path)
            os.mkfifo(path)
            with self.fails('IO', 'no file'):
                self.other.call('release.adopt', dir='p-' + name, release='x')
        self.client.call('release.export', release='live', dir='after')     # the lane goes on

    def test_a_file_that_changes_meanwhile(self):
        """Somebody writes to a file while it is adopted: what is taken is what was exported, or nothing is."""
        expected = self.everything(self.client, 'r')
        self.client.call('release.export', release='r', dir='m', copy=True)
        path, = [path for path in self.paths('m') if 'base-1-' in path]
        with open(path, 'rb') as file:
            data = file.read()
        at = data.index(b'repstseg') + 60000
        stop = threading.Event()

        def scribble():
            with open(path, 'r+b', buffering=0) as file:
                while not stop.is_set():
                    for byte in (data[at] ^ 1, data[at]):
                        os.pwrite(file.fileno(), bytes([byte]), at)

        crowd = harness.Crowd()
        crowd.start(scribble)
        outcomes = {'adopted': 0, 'refused': 0}
        for i in range(20):
            try:
                self.other.call('release.adopt', dir='m', release='r%d' % i)
            except Failed as failed:
                self.assertEqual(failed.code, 'CORRUPT')
                outcomes['refused'] += 1
                continue
            outcomes['adopted'] += 1
            self.assertEqual(self.everything(self.other, 'r%d' % i), expected)
            self.other.call('release.drop', release='r%d' % i)
        stop.set()
        crowd.join()
        print(outcomes, flush=True)

    def test_killed_and_full(self):
        """After a kill in the middle nothing is left, and a full disk leaves room again."""
        self.other.close()
        self.second.args += self.config('[log]\nmerge_rate = 1M\n')
        self.client.call('release.create', release='big')
        self.client.call('table.create', release='big', table='t', entity='item', kind='ir', dim=256)
        self.client.load('big', 't', KEYS, np.zeros((len(KEYS), 256), '<f4'))
        self.client.seal('big', publish=False)
        self.client.call('release.export', release='big', dir='m')
        self.second.restart()
        with self.second.client() as client:
            client.send('release.adopt', dict(dir='m'))
            while not any('releases/1/base' in name for name in self.second.files()):
                threading.Event().wait(0.01)
        self.second.kill()
        self.second.start()
        self.assertFalse([name for name in self.second.files() if name.startswith('releases')])
        self.second.stop()
        disk = self.make_disk(16 << 20)
        self.second.args = ['--backup-folder', self.folder, '--disk-reserve', '0']
        self.second.data = os.path.join(disk, 'data')
        self.second.start()
        with self.second.client() as client:
            ballast = harness.fill_disk(disk, 1 << 20)
            with self.fails('DISK_FULL'):
                client.call('release.adopt', dir='m')
            self.assertFalse([name for name in self.second.files() if name.startswith('releases')])
            os.remove(ballast)
            self.assertEqual(client.call('release.adopt', dir='m')['rows'], len(KEYS))

    def test_an_export_under_writes(self):
        """What was acknowledged before it is in it, and positions agree with sums whatever comes meanwhile."""
        stop = threading.Event()
        counted = [2]

        def write():
            with self.first.client() as client:
                while not stop.is_set():
                    counted[0] = self.observe(client, counted[0])['next']

        crowd = harness.Crowd()
        crowd.start(write)
        for i in range(5):
            least = counted[0]
            self.client.call('release.export', release='r', dir='m%d' % i)
            self.other.call('release.adopt', dir='m%d' % i, release='r%d' % i)
            position, = self.other.call('positions', release='r%d' % i)['positions']
            rows = self.other.fetch('c@l', KEYS[:2].tobytes(), release='r%d' % i, raw=True)['rows']
            sums = harness.rows_of(rows, '<f4', 2)[:, 0]
            self.assertGreaterEqual(position['next'], least)
            self.assertEqual(sums.sum(), position['next'])
        stop.set()
        crowd.join()

    def test_the_command(self):
        self.assertIn('exported r: ', self.first.command('release', 'export', 'live', 'm'))
        self.assertIn('adopted r as number 1: 4 tables', self.second.command('release', 'adopt', 'm'))
        adopted, = self.second.command_json('release', 'adopt', 'm', '--as', 'again')
        self.assertEqual(adopted['release'], 'again')
        self.assertIn('EXISTS', self.second.command('release', 'adopt', 'm', fails=1))
        self.first.command('release', 'export', 'r', fails=2)
        self.second.command('release', 'adopt', fails=2)
        shutil.rmtree(os.path.join(self.folder, 'm'))


if __name__ == '__main__':
    harness.main()
