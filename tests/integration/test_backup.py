"""test_backup.py - a backup is what the store was at one moment, and a daemon starts on a copy of it.

REPSTORE_ROUNDS: how many backups are taken under writes, merges and publishes (6), half of them while the daemon is killed.
REPSTORE_SEED: the same requests again; the moments are the clock's.
"""

import os
import shutil
import threading
import time

import numpy as np

import harness
import http_case
from harness import Closed

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '3' if harness.SANITIZED else '6'))
KEYS = np.arange(3000, dtype='<u8')
DIM = 8


def rows_of(version, keys=KEYS):
    """Rows that say whose they are, and which version."""
    rows = np.full((len(keys), DIM), version, '<f4')
    rows[:, 0] = keys
    return rows


class Folder(harness.Case):
    """A daemon with a folder for backups, and a live release."""

    def setUp(self):
        super().setUp()
        self.backups = self.path('backups')
        os.makedirs(self.backups)
        self.daemon = self.make_daemon('--backup-folder', self.backups, '--workers', '2')

    def begin(self, client, release='r', index='none'):
        client.call('release.create', release=release)
        client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=DIM, index=index)
        client.load(release, 't', KEYS, rows_of(0))
        client.seal(release)

    def file_of(self, begins):
        """The one file of release 1 whose name begins so, by its path below the data folder."""
        found, = [name for name in self.daemon.files() if name.startswith('releases/1/' + begins)]
        return found

    def restored(self, name, number=0):
        """A daemon on a copy of a backup."""
        daemon = self.make_daemon('--workers', '1', name='restored-%s-%d' % (name, number))
        shutil.copytree(os.path.join(self.backups, name), daemon.data)
        return daemon.start()

    def inodes(self, name):
        """Path of each file of a backup: its inode."""
        top = os.path.join(self.backups, name)
        found = {}
        for folder, _, names in os.walk(top):
            for each in names:
                path = os.path.join(folder, each)
                found[os.path.relpath(path, top)] = os.stat(path).st_ino
        return found


class Backup(Folder):
    def test_a_backup_is_restored(self):
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
            client.call('tensor.put', release='live', tensor='w', dtype='f32', shape=[2], data=b'12345678')
            put = client.call('put', release='live', table='t', keys=KEYS[:10].tobytes(), rows=rows_of(1)[:10].tobytes())
            client.call('release.create', release='open')
            client.call('table.create', release='open', table='t', entity='item', kind='ir', dim=DIM)
            client.call('load', release='open', table='t', load='l', chunk=0, keys=KEYS.tobytes(), rows=rows_of(2).tobytes())
            made = client.call('backup', dir='first')
            self.assertEqual(made['sequence'], put['sequence'])
            self.assertEqual(made['bytes'], made['written'] + made['linked'] + made['kept'])
            figures = client.call('stats')['backup']
            self.assertEqual(figures['made'], 1)
            self.assertEqual(figures['last_bytes'], made['bytes'])
            self.assertFalse(figures['running'])
            client.call('put', release='live', table='t', keys=KEYS[:10].tobytes(), rows=rows_of(9)[:10].tobytes())
        restored = self.restored('first')
        self.assertNotIn('manifest', restored.files())
        with restored.client() as client:
            part = client.fetch('t', KEYS.tobytes())
            expected = rows_of(0)
            expected[:10] = rows_of(1)[:10]
            self.assertEqual(part['rows'], expected.tobytes())
            self.assertEqual(client.call('tensor.get', release='live', tensor='w')['data'], b'12345678')
            answer = client.call('load', release='open', table='t', load='l', chunk=1, keys=KEYS[:1].tobytes(),
                                 rows=rows_of(3)[:1].tobytes())
            self.assertEqual(answer['next_chunk'], 2)
            client.call('load.end', release='open', table='t', load='l', chunks=2, rows=len(KEYS) + 1)
            client.seal('open')
            self.assertEqual(client.fetch('t', KEYS[1:].tobytes())['rows'], rows_of(2)[1:].tobytes())

    def test_a_second_backup_writes_what_changed(self):
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
            first = client.call('backup', dir='b')
            base = self.file_of('base-1-')
            inodes = self.inodes('b')
            own = os.stat(os.path.join(self.daemon.data, base))
            self.assertEqual((inodes[base], first['linked']), (own.st_ino, own.st_size))
            again = client.call('backup', dir='b')
            self.assertEqual((again['linked'], again['files']), (0, first['files']))
            self.assertLess(again['written'], 1 << 20)      # catalog and current
            self.assertEqual(self.inodes('b')[base], inodes[base])
            # A merge makes new files, and the old ones go from the backup, too.
            client.call('put', release='live', table='t', keys=KEYS[:1].tobytes(), rows=rows_of(1)[:1].tobytes())
            client.call('merge')
            client.call('backup', dir='b')
            self.assertNotIn(base, self.inodes('b'))
            self.assertIn(self.file_of('base-1-'), self.inodes('b'))
            # A copy shares nothing, also where there were links before.
            copied = client.call('backup', dir='b', copy=True)
            self.assertEqual((copied['linked'], copied['kept']), (0, copied['bytes'] - copied['written']))
            own = {os.stat(os.path.join(self.daemon.data, name)).st_ino for name in self.daemon.files()}
            self.assertFalse(own & set(self.inodes('b').values()))
            kept = client.call('backup', dir='b', copy=True)
            self.assertGreater(kept['kept'], 0)
            self.assertEqual(kept['linked'], 0)
        with self.restored('b').client() as client:
            self.assertEqual(client.fetch('t', KEYS[:1].tobytes())['rows'], rows_of(1)[:1].tobytes())

    def test_what_is_refused(self):
        outside = self.path('outside')
        os.makedirs(os.path.join(outside, 'deep'))
        for name in ('file', 'deep/file'):
            with open(os.path.join(outside, name), 'w') as file:
                file.write('untouched')
        for name in ('foreign', 'used', 'tree'):
            os.makedirs(os.path.join(self.backups, name))
        os.symlink(outside, os.path.join(self.backups, 'link'))
        os.symlink(os.path.join(outside, 'new'), os.path.join(self.backups, 'dangling'))
        os.symlink(os.path.join(outside, 'deep'), os.path.join(self.backups, 'tree', 'releases'))
        for name in ('foreign/letter', 'used/lock', 'file'):
            with open(os.path.join(self.backups, name), 'w') as file:
                file.write('untouched')
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
            for given in ('', '.', '..', '../outside', 'a/../../outside', 'a//b', '/etc', self.backups + 'x/a',
                          self.backups, self.backups + '/../outside', 'a\0b', 'x' * 256):
                with self.fails('BAD_REQUEST', 'dir', 'backup_folder'):
                    client.call('backup', dir=given)
            for given in ('link', 'link/deep', 'dangling', 'tree'):
                with self.fails('IO', 'symbolic link'):
                    client.call('backup', dir=given)
            with self.fails('IO'):
                client.call('backup', dir='file')
            with self.fails('NOT_FOUND'):
                client.call('backup', dir='none/below')
            with self.fails('CONFLICT', "'letter'"):
                client.call('backup', dir='foreign')
            with self.fails('CONFLICT', 'a daemon has worked'):
                client.call('backup', dir='used')
            self.assertEqual(client.call('stats')['backup']['made'], 0)
            # By its whole path, too, and with the slash that a shell appends.
            client.call('backup', dir=os.path.join(self.backups, 'whole') + '/')
            self.assertIn('manifest', self.inodes('whole'))
            # A link where a file of the backup belongs.
            path = os.path.join(self.backups, 'whole', self.file_of('base-1-'))
            os.rename(path, path + 'x')
            os.symlink(os.path.join(outside, 'file'), path)
            with self.fails('IO', 'symbolic link'):
                client.call('backup', dir='whole')
        for name in ('file', 'deep/file'):
            with open(os.path.join(outside, name)) as file:
                self.assertEqual(file.read(), 'untouched')
        self.assertEqual(sorted(os.listdir(outside)), ['deep', 'file'])
        self.assertEqual(os.listdir(os.path.join(outside, 'deep')), ['file'])

    def test_a_backup_into_the_data_folder(self):
        for number, folder in enumerate((self.scratch, os.path.join(self.daemon.data, 'releases'), self.daemon.data)):
            self.daemon.args = ['--backup-folder', folder]
            self.daemon.start()
            before = self.daemon.files()
            with self.daemon.client() as client:
                for name in ('data', 'data/log', 'data/new') if number == 0 else ('new', '1'):
                    with self.fails('CONFLICT', 'data folder'):
                        client.call('backup', dir=name)
            self.assertEqual(self.daemon.files(), before)
            self.daemon.stop()
        self.daemon.args = []
        self.daemon.start()
        with self.daemon.client() as client, self.fails('UNSUPPORTED', 'backup_folder'):
            client.call('backup', dir='new')

    def test_a_full_disk(self):
        disk = self.make_disk(8 << 20)
        self.daemon.args = ['--backup-folder', disk]
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
            ballast = harness.fill_disk(disk, 128 << 10)
            with self.fails('DISK_FULL'):
                client.call('backup', dir='b')
            self.assertEqual(client.call('stats')['backup']['failed'], 1)
            self.assertFalse(os.path.exists(os.path.join(disk, 'b', 'manifest')))
            client.call('put', release='live', table='t', keys=KEYS[:1].tobytes(), rows=rows_of(1)[:1].tobytes())
            os.remove(ballast)
            made = client.call('backup', dir='b')
            self.assertEqual(made['linked'], 0)     # another file system
            self.backups = disk
            with self.restored('b').client() as restored:
                self.assertEqual(restored.fetch('t', KEYS[:1].tobytes())['rows'], rows_of(1)[:1].tobytes())

    def test_metrics_say_when_the_last_good_one_was_made(self):
        if not http_case.is_built():
            self.skipTest('built without libmicrohttpd')
        self.daemon.args += ['--http', 'tcp:127.0.0.1:0']
        self.daemon.start()

        def metrics():
            text = http_case.ask(http_case.address_of(self.daemon), '/metrics')[2]
            return {name: values for name, values in http_case.samples_of(text).items() if 'backup' in name}
        last = {'repstore_backup_last_' + name: {'': 0} for name in
                ('success_timestamp_seconds', 'duration_seconds', 'bytes', 'written_bytes')}
        self.assertEqual(metrics(), {'repstore_backups_total': {'result="ok"': 0, 'result="failed"': 0}, **last})
        with self.daemon.client() as client:
            self.begin(client)
            before = int(time.time())
            made = client.call('backup', dir='b')
            self.assertEqual(client.call('stats')['write']['bytes_by_cause']['backup'], made['written'])
            os.rename(self.backups, self.backups + '-away')     # as a disk that is not mounted
            with self.fails('NOT_FOUND', self.backups):
                client.call('backup', dir='b')
            with self.fails('BAD_REQUEST'):
                client.call('backup', dir='..')                 # is none
        found = metrics()
        self.assertEqual(found['repstore_backups_total'], {'result="ok"': 1, 'result="failed"': 1})
        self.assertEqual(found['repstore_backup_last_bytes'][''], made['bytes'])
        self.assertEqual(found['repstore_backup_last_written_bytes'][''], made['written'])
        self.assertGreater(found['repstore_backup_last_duration_seconds'][''], 0)
        self.assertGreater(found['repstore_backup_last_success_timestamp_seconds'][''], before)
        os.rename(self.backups + '-away', self.backups)
        self.daemon.stop()
        self.daemon.args = ['--http', 'tcp:127.0.0.1:0']
        self.daemon.start()
        self.assertEqual(set(metrics()), {'repstore_backups_total'})     # there are to be none

    def test_a_folder_that_is_not_there_at_the_start(self):
        """Its disk comes later. The daemon serves, and says what is wrong."""
        os.rmdir(self.backups)
        self.daemon.start()
        self.assertIn("level=warning event=backup_folder_unusable error=\"backup_folder '%s': " % self.backups, self.daemon.log())
        with self.daemon.client() as client:
            self.begin(client)
            with self.fails('NOT_FOUND', self.backups):
                client.call('backup', dir='b')
            os.makedirs(self.backups)
            client.call('backup', dir='b')

    def test_damage_replaces_nothing(self):
        """A file that was damaged since the last backup gets into none, and the good one stays."""
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
            client.call('backup', dir='b', copy=True)
        base = self.file_of('base-1-')
        flip(os.path.join(self.daemon.data, base), 20000)
        self.daemon.restart()
        with self.daemon.client() as client:
            again = client.call('backup', dir='b', copy=True)
            self.assertGreater(again['kept'], 0)
            with self.fails('CORRUPT', base, 'segment 0'):
                client.call('backup', dir='new')
            self.assertNotIn(base, self.inodes('new'))
            self.assertNotIn('manifest', self.inodes('new'))
        with self.restored('b').client() as client:
            self.assertEqual(client.fetch('t', KEYS.tobytes())['rows'], rows_of(0).tobytes())

    def test_the_command(self):
        self.daemon.start()
        with self.daemon.client() as client:
            self.begin(client)
        self.assertIn('backed up up to write', self.daemon.command('backup', 'b', '--copy'))
        made, = self.daemon.command_json('backup', 'b')
        self.assertGreater(made['files'], 3)
        self.assertIn('BAD_REQUEST', self.daemon.command('backup', '../b', fails=1))
        self.daemon.command('backup', fails=2)

    def test_an_index_is_part_of_it(self):
        """And the restored daemon does not build it again."""
        keys = np.arange(6000, dtype='<u8')
        rows = np.random.default_rng(1).standard_normal((len(keys), DIM)).astype('<f4')
        self.daemon.start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM, index='balls')
            client.load('r', 't', keys, rows)
            client.seal('r')
            self.wait_for_index(client)
            client.call('backup', dir='b')
        index = self.file_of('index-1-')
        self.assertNotEqual(self.inodes('b')[index], os.stat(os.path.join(self.daemon.data, index)).st_ino)
        for folder, names_it in ((self.daemon.data, True), (os.path.join(self.backups, 'b'), False)):
            with open(os.path.join(folder, 'current'), 'rb') as file:
                self.assertEqual(os.path.basename(index).encode() in file.read(), names_it)
        with self.restored('b').client() as client:
            self.wait_for_index(client)
            self.assertEqual(client.call('stats')['index']['builds'], 0)

    def wait_for_index(self, client):
        limit = time.monotonic() + harness.CALL_SECONDS
        while client.call('table.show', release='r', table='t')['index_state'] != 'ready':
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)


def flip(path, offset):
    """One bit of a file."""
    with open(path, 'r+b') as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))


class Stream:
    """One connection that puts rows and observes samples. Each request that was applied is a frame of the log, so
    the request of a sequence is known, acknowledged or not."""

    def __init__(self, random):
        self.random = random
        self.requests = []      # all that were sent, in order: (keys, version) of a put, (users, samples) of samples
        self.first = None       # sequence of the first
        self.stop = threading.Event()

    def next_request(self):
        number = len(self.requests) + 1
        keys = self.random.choice(len(KEYS), int(self.random.integers(1, 60)), replace=False)
        return ('put' if self.random.random() < 0.6 else 'observe', keys, number)

    def params(self, request, position):
        kind, keys, number = request
        if kind == 'put':
            return dict(release='r', table='t', keys=KEYS[keys].tobytes(), rows=rows_of(number, KEYS[keys]).tobytes())
        return dict(release='r', layer='l', users=KEYS[keys].tobytes(), source='s', position=position,
                    rows=np.full((len(keys), DIM), number % 8, '<f4').tobytes(),
                    times=np.full(len(keys), 1700000000000, '<i8').tobytes())

    def run(self, client):
        waiting = []
        position = sum(len(keys) for kind, keys, _ in self.requests if kind == 'observe')
        try:
            while not self.stop.is_set() or waiting:
                if len(waiting) < 8 and not self.stop.is_set():
                    request = self.next_request()
                    params = self.params(request, position)
                    position += len(request[1]) if request[0] == 'observe' else 0
                    self.requests.append(request)
                    waiting.append(client.send(request[0], params))
                    continue
                answer = client.wait(waiting.pop(0))
                at = len(self.requests) - len(waiting) - 1      # its number, from 0 on
                self.first = self.first or answer['sequence'] - at
                assert answer['sequence'] == self.first + at, (answer, at)
        except Closed:
            pass

    def state(self, sequence):
        """What the tables hold at a sequence: versions by key, sums by user, the position."""
        versions = np.zeros(len(KEYS), '<f4')
        sums = np.zeros(len(KEYS), '<f4')
        position = 0
        for kind, keys, number in self.requests[:max(sequence - self.first + 1, 0)] if self.first else ():
            if kind == 'put':
                versions[keys] = number
            else:
                sums[keys] += number % 8
                position += len(keys)
        return versions, sums, position


class BackupKill(Folder):
    """Backups under puts, samples, merges and publishes; in half of the rounds the daemon is killed."""

    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.daemon.args += self.config('[log]\nmerge_rate = 16M\n')
        self.stream = Stream(self.random)
        self.interrupted = 0

    def background(self, method, **params):
        """Calls until the daemon ends, or the round."""
        with self.daemon.client() as client:
            try:
                while not self.stream.stop.is_set():
                    client.call(method, **(params if method != 'release.publish' else
                                           {'release': ('r', 'r2')[int(time.monotonic() * 100) % 2]}))
                    time.sleep(0.002)
            except Closed:
                pass

    def back_up(self, name):
        with self.daemon.client() as client:
            try:
                client.call('backup', dir=name)
            except Closed:
                pass

    def round(self, number):
        name = 'b%d' % (number % 3)
        self.stream.stop.clear()
        crowd = harness.Crowd()
        clients = [self.daemon.client()]
        crowd.start(self.stream.run, clients[0])
        crowd.start(self.background, 'merge')
        crowd.start(self.background, 'release.publish')
        time.sleep(float(self.random.random()) * 0.05)
        backup = harness.Crowd()
        backup.start(self.back_up, name)
        if number % 2 == 1:
            time.sleep(float(self.random.random()) * 0.06)
            self.daemon.kill()
        backup.join()
        self.stream.stop.set()
        crowd.join()
        clients[0].close()
        if number % 2 == 1:
            self.daemon.start()
        self.settle()
        if not os.path.exists(os.path.join(self.backups, name, 'manifest')):
            self.interrupted += 1
            self.back_up(name)
        self.check(name, number)

    def settle(self):
        """Only what reached the log goes on."""
        with self.daemon.client() as client:
            sequence = client.call('stats')['write']['sequence']
        if self.stream.first is None and self.stream.requests:
            self.stream.first = sequence - len(self.stream.requests) + 1
        if self.stream.first is not None:
            del self.stream.requests[sequence - self.stream.first + 1:]

    def check(self, name, number):
        with open(os.path.join(self.backups, name, 'manifest')) as file:
            sequence = int(file.read().split('\n')[2].split()[1])
        versions, sums, position = self.stream.state(sequence)
        restored = self.restored(name, number)
        with restored.client() as client:
            self.assertEqual(client.call('stats')['write']['sequence'], sequence)
            part = client.fetch('t', KEYS.tobytes(), release='r')
            self.assertTrue(np.array_equal(harness.rows_of(part['rows'], '<f4', len(KEYS))[:, 1], versions))
            part = client.fetch('c@l', KEYS.tobytes(), release='r', raw=True)
            self.assertTrue(np.array_equal(harness.rows_of(part['rows'], '<f4', len(KEYS))[:, 1], sums))
            positions = client.call('positions', release='r')['positions']
            self.assertEqual([each['next'] for each in positions], [position] if position else [])
            self.assertEqual(client.call('stats')['store']['segments_damaged'], 0)
        restored.stop()
        shutil.rmtree(restored.folder)
        self.daemons.remove(restored)

    def test_rounds(self):
        self.daemon.start()
        with self.daemon.client() as client:
            for release in ('r2', 'r'):
                client.call('release.create', release=release)
                client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=DIM)
                client.call('table.create', release=release, table='c@l', entity='user', kind='cr', dim=DIM,
                            decay_events=1.0, read='sum')
                client.load(release, 't', KEYS, rows_of(0))
                client.seal(release)
        for number in range(ROUNDS):
            self.round(number)
        print('%d backups, %d of them interrupted, %d requests' % (
            ROUNDS, self.interrupted, len(self.stream.requests)), flush=True)


if __name__ == '__main__':
    harness.main()
