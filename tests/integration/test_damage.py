"""test_damage.py - damaged files: CORRUPT, or refused at start with a reason; never absent, never a wrong
row, never a crash.

REPSTORE_FLIPS: how many single damages of base files (200). REPSTORE_SEED: the same ones again.
"""

import os
import shutil
import signal
import struct
import subprocess
import time

import numpy as np

import harness
from harness import Failed

FLIPS = int(os.environ.get('REPSTORE_FLIPS', '200'))
TABLES = 10
ROWS = 1500
DIM = 16
ZERO, CORRUPT = 0, 4


def rows_of_table(i):
    return (np.arange(ROWS * DIM, dtype='<f4') + i * 0.25).reshape(ROWS, DIM)


def keys_of_table(i):
    return np.arange(ROWS, dtype='<u8') * 11 + i


def flip(path, random):
    """Changes one bit and returns a line that says which."""
    size = os.path.getsize(path)
    at = int(random.integers(0, size))
    bit = int(random.integers(0, 8))
    with open(path, 'r+b') as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))
    return 'bit %d of byte %d of %d' % (bit, at, size)


def cut(path, random):
    size = os.path.getsize(path)
    at = int(random.integers(0, size))
    os.truncate(path, at)
    return 'cut at %d of %d' % (at, size)


def blank(path, random):
    size = os.path.getsize(path)
    at = int(random.integers(0, size // 4096)) * 4096
    with open(path, 'r+b') as file:
        file.seek(at)
        if file.read(4096) == bytes(4096):
            return None
        file.seek(at)
        file.write(bytes(4096))
    return 'zeros at %d of %d' % (at, size)


def remove(path, _):
    os.unlink(path)
    return 'removed'


def grow(path, _):
    with open(path, 'ab') as file:
        file.write(bytes(4096))
    return '4096 bytes more'


class Damage(harness.Case):
    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.daemon = self.make_daemon('--workers', '1')

    def keep(self):
        """What each round starts from."""
        self.pristine = self.path('pristine')
        shutil.copytree(self.daemon.data, self.pristine)

    def put_back(self):
        shutil.rmtree(self.daemon.data)
        shutil.copytree(self.pristine, self.daemon.data)

    def make_tables(self):
        """One release of TABLES tables, each one file."""
        self.daemon.start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for i in range(TABLES):
                client.call('table.create', release='r', table='t%d' % i, entity='item', kind='ir',
                            dim=DIM)
                client.load('r', 't%d' % i, keys_of_table(i), rows_of_table(i))
            client.seal('r')
        self.daemon.stop()
        self.keep()
        self.expected = [rows_of_table(i).tobytes() for i in range(TABLES)]

    def base_files(self):
        return [path for path in self.daemon.files() if '/base-' in path]

    def ends_with_a_reason(self, *words):
        """The daemon must end by itself, not by a signal, and say these words."""
        before = len(self.daemon.log()) if os.path.exists(self.daemon.log_path) else 0
        self.daemon.launch()
        status = self.daemon.wait()
        self.daemon.process = None
        said = self.daemon.log()[before:]
        self.assertGreater(status, 0, said)
        for word in words:
            self.assertIn(word, said)
        return said

    # ---- base files ----

    def check_table(self, client, i, what):
        """True: whole. False: a page is damaged, perhaps one that no key needs, and every call that meets it says so."""
        table = 't%d' % i
        keys = keys_of_table(i).tobytes()
        part = client.fetch(table, keys, why=True)
        why = np.frombuffer(part['why'], np.uint8)
        self.assertTrue(np.isin(why, (ZERO, CORRUPT)).all(), (table, what, np.unique(why)))
        expected = np.frombuffer(self.expected[i], '<f4').reshape(ROWS, DIM).copy()
        expected[why == CORRUPT] = 0
        self.assertEqual(part['rows'], expected.tobytes(), (table, what))
        if (why == ZERO).all():
            self.assertEqual(client.fetch(table, keys)['rows'], self.expected[i])
            try:
                client.call('scan', table=table, limit=65536)   # reads and checks all pages
                return True
            except Failed as failed:
                self.assertEqual(failed.code, 'CORRUPT')
        else:
            with self.fails('CORRUPT', 'parts[0]'):
                client.fetch(table, keys)
            with self.fails('CORRUPT'):
                client.call('scan', table=table, limit=65536)
        self.assertGreater(client.call('table.show', table=table)['damaged'], 0)
        return False

    def damage_and_look(self, damages):
        """Damages up to TABLES files, starts, looks at every table, stops."""
        self.put_back()
        told = {}
        for path, damage in zip(self.base_files(), damages):
            what = damage(os.path.join(self.daemon.data, path), self.random)
            if what is not None:
                told[int(path.split('base-')[1].split('-')[0])] = what
        self.daemon.start()
        with self.daemon.client() as client:
            numbers = {i: self.numbers[i] for i in range(TABLES)}
            whole = {i: self.check_table(client, i, told.get(numbers[i])) for i in range(TABLES)}
            for i in range(TABLES):
                self.assertEqual(whole[i], numbers[i] not in told, told.get(numbers[i]))
            figures = client.call('stats')['store']
            self.assertEqual(figures['segments_damaged'], len(told))
            if told:
                # A part that has a damaged key fails the whole request, unless it asks why.
                parts = [{'table': 't%d' % i, 'keys': keys_of_table(i).tobytes()}
                         for i in range(TABLES)]
                if any(CORRUPT in client.fetch(why=True, **part)['why'] for part in parts):
                    with self.fails('CORRUPT'):
                        client.call('fetch', parts=parts)
                client.call('fetch', parts=[dict(part, why=True) for part in parts])
        self.daemon.stop()
        return len(told)

    def find_numbers(self):
        """Numbers of the tables, in the order of their making."""
        numbers = sorted(int(path.split('base-')[1].split('-')[0]) for path in self.base_files())
        self.assertEqual(len(numbers), TABLES)
        self.numbers = numbers

    def test_base_files(self):
        self.make_tables()
        self.find_numbers()
        done = self.damage_and_look([])
        self.assertEqual(done, 0)
        while done < FLIPS:
            done += self.damage_and_look([flip] * (TABLES - 1))
        self.damage_and_look([cut] * TABLES)
        self.damage_and_look([remove, grow, blank, cut, cut, blank, blank])
        print('%d bits' % done, flush=True)

    def test_files_of_other_tables(self):
        """Each file is whole, but not the one that belongs there."""
        self.make_tables()
        self.find_numbers()
        self.put_back()
        files = [os.path.join(self.daemon.data, path) for path in self.base_files()]
        shutil.copyfile(files[0], files[1])
        self.daemon.start()
        with self.daemon.client() as client:
            whole = [self.check_table(client, i, 'swapped') for i in range(TABLES)]
        self.assertEqual(whole.count(False), 1)

    def test_a_file_is_cut_under_the_daemon(self):
        """Pages that are mapped go away: SIGBUS is an answer, too."""
        self.make_tables()
        self.find_numbers()
        self.daemon.start()
        with self.daemon.client() as client:
            self.assertTrue(self.check_table(client, 0, None))
            for path in self.base_files():
                os.truncate(os.path.join(self.daemon.data, path), 4096)
            for i in range(TABLES):
                part = client.fetch('t%d' % i, keys_of_table(i).tobytes(), why=True)
                why = np.frombuffer(part['why'], np.uint8)
                self.assertTrue((why == CORRUPT).all(), np.unique(why))
                self.assertEqual(part['rows'], bytes(len(self.expected[i])))
            self.assertEqual(client.call('ping'), {})

    def test_one_segment_of_many(self):
        """Of a table with several segments only the damaged one's keys are lost."""
        rows, dim = 90000, 256
        keys = np.arange(rows, dtype='<u8')
        values = np.repeat(np.arange(rows, dtype='<f4'), dim).reshape(rows, dim)
        self.daemon.start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='user', kind='ur', dim=dim)
            client.load('r', 't', keys, values, chunk_rows=15000)
            client.seal('r')
            segments = client.call('table.show', table='t')['segments']
        self.assertGreater(segments, 1)
        self.daemon.stop()
        written = 0
        for base in self.base_files():
            with open(os.path.join(self.daemon.data, base), 'r+b') as file:
                row = file.read().find(values[777].tobytes())
                if row >= 0:
                    damaged = base
                    file.seek(row)
                    written += file.write(struct.pack('<f', -1))
        self.assertEqual(written, 4)
        self.daemon.start()
        with self.daemon.client() as client:
            lost = 0
            for start in range(0, rows, 30000):
                some = slice(start, start + 30000)
                part = client.fetch('t', keys[some].tobytes(), why=True)
                why = np.frombuffer(part['why'], np.uint8)
                got = np.frombuffer(part['rows'], '<f4').reshape(-1, dim)
                self.assertTrue(np.isin(why, (ZERO, CORRUPT)).all())
                self.assertTrue((got[why == ZERO] == values[some][why == ZERO]).all())
                self.assertFalse(got[why == CORRUPT].any())
                lost += int((why == CORRUPT).sum())
                if start == 0:
                    self.assertEqual(why[777], CORRUPT)
            self.assertTrue(0 < lost < rows, lost)
            self.assertLess(lost, 1.5 * rows / segments)
            self.assertEqual(client.call('table.show', table='t')['damaged'], 1)
            self.wait_for_log('event=damage segments=1 table=t file=%s\n' % damaged)
            print('%d of %d rows lost with one of %d segments' % (lost, rows, segments), flush=True)

    def wait_for_log(self, text):
        limit = time.monotonic() + harness.START_SECONDS
        while text not in self.daemon.log():
            self.assertLess(time.monotonic(), limit, text)
            time.sleep(0.02)

    # ---- catalog.mdb, current ----

    def start_or_reason(self, what):
        """Starts on damaged files: True, and all that it answers is right, or it has said why not."""
        before = len(self.daemon.log())
        self.daemon.launch()
        limit = time.monotonic() + harness.START_SECONDS
        while self.daemon.process.poll() is None:
            try:
                client = self.daemon.client()
                break
            except OSError:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.005)
        else:
            status = self.daemon.wait()
            self.daemon.process = None
            said = self.daemon.log()[before:].strip()
            self.assertGreater(status, 0, '%s: %s' % (what, said))
            self.assertNotEqual(said, '', what)
            return False
        with client:
            releases = client.call('release.list')['releases']
            self.assertEqual([(release['release'], release['state'], release['tables'])
                              for release in releases], [('r', 'live', TABLES)], what)
            for i in range(TABLES):
                part = client.fetch('t%d' % i, keys_of_table(i).tobytes(), why=True)
                why = np.frombuffer(part['why'], np.uint8)
                self.assertTrue(np.isin(why, (ZERO, CORRUPT)).all(), (what, np.unique(why)))
                if (why == ZERO).all():
                    self.assertEqual(part['rows'], self.expected[i], what)
        self.daemon.stop()
        return True

    def test_catalog(self):
        self.make_tables()
        ends = {True: 0, False: 0}
        for i in range(max(40, FLIPS // 5)):
            self.put_back()
            damage = (flip, flip, flip, flip, cut, blank)[i % 6]
            what = damage(os.path.join(self.daemon.data, 'catalog.mdb'), self.random)
            if what is not None:
                with self.subTest(what):
                    ends[self.start_or_reason('catalog.mdb, ' + what)] += 1
        print('%d started, %d refused' % (ends[True], ends[False]), flush=True)

    def test_catalog_is_missing(self):
        """Everything else must not become a leftover."""
        self.make_tables()
        os.unlink(os.path.join(self.daemon.data, 'catalog.mdb'))
        files = self.base_files()
        self.ends_with_a_reason('catalog')
        self.assertEqual(self.base_files(), files)
        with open(os.path.join(self.daemon.data, 'catalog.mdb'), 'wb') as file:
            file.write(b'not LMDB at all' * 1000)
        self.ends_with_a_reason('catalog')
        self.assertEqual(self.base_files(), files)

    def test_current_is_written_again(self):
        self.make_tables()
        path = os.path.join(self.daemon.data, 'current')
        with open(path, 'rb') as file:
            good = file.read()
        for number in range(30):
            self.put_back()
            (flip, cut, remove)[number % 3](path, self.random)
            self.daemon.start()
            with self.daemon.client() as client:
                self.assertEqual(client.fetch('t0', keys_of_table(0).tobytes())['rows'], self.expected[0])
            self.daemon.stop()
            with open(path, 'rb') as file:
                self.assertEqual(file.read(), good)

    def test_a_catalog_of_another_version_is_refused_by_its_number(self):
        self.make_tables()
        path = os.path.join(self.daemon.data, 'catalog.mdb')
        dump = subprocess.run(['mdb_dump', '-n', path], check=True, stdout=subprocess.PIPE).stdout
        lines = dump.decode().split('\n')
        at = lines.index(' 76')     # the key 'v'
        self.assertEqual(lines[at + 1], ' 05000000')
        # Of a later build, and of the last one before keys were hashed under a seed.
        for version, said in ((' 63000000', '99'), (' 04000000', '4')):
            lines[at + 1] = version
            os.unlink(path)
            subprocess.run(['mdb_load', '-n', path], check=True, input='\n'.join(lines).encode())
            self.ends_with_a_reason('format version ' + said, 'this build knows 5')

    def test_a_newer_current_is_refused_by_its_version(self):
        self.make_tables()
        path = os.path.join(self.daemon.data, 'current')
        with open(path, 'r+b') as file:
            file.seek(8)
            self.assertEqual(struct.unpack('<2I', file.read(8)), (5, 5))
            file.seek(8)
            file.write(struct.pack('<2I', 99, 98))
        said = self.ends_with_a_reason('current', '99', '98')
        self.assertIn('version', said)

    # ---- loads ----

    def test_spilled_loads(self):
        """A load whose file is damaged is not sealed as if it were whole."""
        self.daemon.start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM)
            client.load('r', 't', keys_of_table(0), rows_of_table(0), chunk_rows=200)
        self.daemon.stop()
        self.keep()
        spill = [path for path in self.daemon.files() if '/spill-' in path]
        self.assertEqual(len(spill), 1)
        ends = {}
        for number in range(max(30, FLIPS // 6)):
            self.put_back()
            damage = (flip, flip, flip, cut)[number % 4]
            what = damage(os.path.join(self.daemon.data, spill[0]), self.random)
            with self.subTest(what):
                self.daemon.start()
                end = self.seal_damaged(what)
                ends[end] = ends.get(end, 0) + 1
            self.daemon.stop()
        print(ends, flush=True)

    def seal_damaged(self, what):
        """How it ends: the daemon refuses to seal, or tells where the load stands, or all is there."""
        with self.daemon.client() as client:
            loads = client.call('release.show', release='r')['loads']
            if loads and not loads[0]['ended']:
                self.assertLess(loads[0]['rows'], ROWS + 1)
                return 'goes on'
            try:
                client.seal('r')
            except Failed as failed:
                self.assertIn(failed.code, ('CORRUPT', 'CONFLICT'), what)
                return failed.code
            part = client.fetch('t', keys_of_table(0).tobytes())
            self.assertEqual(part['rows'], rows_of_table(0).tobytes(), what)
            return 'sealed'

    # ---- folder ----

    def test_a_second_daemon_is_refused(self):
        self.daemon.start()
        second = self.make_daemon(name='second')
        second.data = self.daemon.data
        second.launch()
        status = second.wait()
        second.process = None
        self.assertGreater(status, 0)
        self.assertIn(str(self.daemon.process.pid), second.log())
        self.assertIn(self.daemon.data, second.log())
        with self.daemon.client() as client:
            self.assertEqual(client.call('ping'), {})
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon.process = None
        second.start()

    def test_folders_that_cannot_be(self):
        with open(self.path('file'), 'w'):
            pass
        for path in (self.path('file'), self.path('no/such/parent'), '/proc/nowhere'):
            daemon = self.make_daemon(name='x%d' % len(self.daemons))
            daemon.data = path
            daemon.launch()
            status = daemon.wait()
            daemon.process = None
            self.assertGreater(status, 0)
            self.assertIn(path, daemon.log())


if __name__ == '__main__':
    harness.main()
