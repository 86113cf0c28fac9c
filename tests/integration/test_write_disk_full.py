"""test_write_disk_full.py - no room, no sync, no memory: what writes are told, and what stays.

A full disk is a small file system in memory (where one may be mounted), or a limit on the size of files. A
disk that does not sync is faults.c, preloaded into the daemon.
"""

import contextlib
import os
import threading
import time

import numpy as np

import harness
from harness import Failed

DIM = 64
ROW_BYTES = 4 * DIM
SPARE = 8 << 20                 # less than any merge of a quarter of memtable_memory writes
IN_FLIGHT = 8
WRITERS = 4
MIB = 1 << 20


class Table:
    """A table of the live release, and the version that each of its keys must have."""

    def __init__(self, case, count, name='t'):
        self.case = case
        self.name = name
        self.versions = np.zeros(count, np.float32)
        self.last = 0

    def create(self, client):
        client.call('table.create', release='r', table=self.name, entity='user', kind='ur', dim=DIM)
        count = len(self.versions)
        client.load('r', self.name, np.arange(count, dtype='<u8'), np.zeros((count, DIM), '<f4'),
                    chunk_rows=50000)

    def send(self, client, keys):
        """A put of a new version; returns what `wait` needs."""
        self.last += 1
        version = np.float32(self.last)
        rows = np.full(len(keys) * DIM, version, '<f4')
        return client.send('put', dict(release='live', table=self.name, rows=rows.tobytes(),
                                       keys=keys.astype('<u8').tobytes())), keys, version

    def wait(self, client, sent):
        """What was acknowledged is expected from now on, and what failed never."""
        msgid, keys, version = sent
        self.case.assertEqual(client.wait(msgid)['applied'], len(keys))
        self.versions[keys] = version

    def put(self, client, keys):
        self.wait(client, self.send(client, keys))

    def check(self, client, unknown=None):
        """Every row; those of `unknown`, (keys, version), may have this version, then all of them."""
        count = len(self.versions)
        for start in range(0, count, 50000):
            keys = np.arange(start, min(start + 50000, count))
            part = client.fetch(self.name, keys.astype('<u8').tobytes())
            self.case.assertTrue(harness.bits(part['found'], len(keys)).all())
            rows = harness.rows_of(part['rows'], '<f4', len(keys))
            self.case.assertTrue((rows == rows[:, :1]).all(), 'half a row')
            if start == 0 and unknown and rows[unknown[0][0], 0] == unknown[1]:
                self.versions[unknown[0]] = unknown[1]
            wrong = np.flatnonzero(rows[:, 0] != self.versions[keys])
            self.case.assertEqual([(keys[i], rows[i, 0], self.versions[keys[i]]) for i in wrong[:5]], [])


class WriteDiskFull(harness.Case):
    def make(self, count, *args, disk=None, limit=None, environment=None):
        """A daemon with tables 't' and 'small'."""
        # What is tested here is a disk that is full to its last byte.
        self.daemon = self.make_daemon('--workers', '2', '--disk-reserve', '0', *args, environment=environment)
        self.daemon.file_bytes = limit
        if disk:
            self.daemon.data = os.path.join(disk, 'data')
        self.daemon.start()
        self.table = Table(self, count)
        self.small = Table(self, 20000, 'small')
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            self.small.create(client)
            self.table.create(client)
            client.seal('r')
        self.daemon.restart()   # else what the loads took of the disk comes back later

    def figures(self):
        with self.daemon.client() as client:
            return client.call('stats')['write']

    def wait_for_second_table(self, before):
        """Until a merge has written one table and begun the next."""
        limit = time.monotonic() + 20 * harness.PATIENCE
        begun = set()
        while len(begun) < 2:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.001)
            new = set(self.daemon.files()) - before
            begun = {path.split('-')[1] for path in new if '/base-' in path}    # base-TABLE-NUMBER.mdb

    def check(self, unknown=None):
        with self.daemon.client() as client:
            self.table.check(client, unknown)

    # ---- no room for the log ----

    def write_until_full(self, rows=64, most=4000):
        """Each connection writes keys of its own until one of its puts is DISK_FULL."""
        def write(client, table, keys):
            waiting = []
            full = False
            for _ in range(most):
                while not full and len(waiting) < IN_FLIGHT:
                    waiting.append(table.send(client, keys[np.arange(rows) * 7 % len(keys)]))
                    keys = np.roll(keys, rows)
                if not waiting:
                    return
                try:
                    table.wait(client, waiting.pop(0))
                except Failed as failed:
                    self.assertEqual(failed.code, 'DISK_FULL', failed)
                    full = True
            self.fail('%d puts, and the disk is not full' % most)

        def read(client):
            while not done:
                part = client.fetch('t', np.arange(500, dtype='<u8').tobytes())
                read_rows = harness.rows_of(part['rows'], '<f4', 500)
                self.assertTrue((read_rows == read_rows[:, :1]).all(), 'half a row')

        done = []
        writers, reader = harness.Crowd(), harness.Crowd()
        parts = np.array_split(np.arange(len(self.table.versions)), WRITERS)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.daemon.client()) for _ in range(WRITERS + 1)]
            reader.start(read, clients[0])
            for client, keys in zip(clients[1:], parts):
                writers.start(write, client, self.table, keys)
            try:
                writers.join()
            finally:
                done.append(True)
                reader.join()

    def check_full(self, large):
        """Again and again: writes are told why not, and all that was acknowledged is read."""
        for _ in range(3):
            with self.daemon.client() as client:
                for _ in range(5):
                    with self.fails('DISK_FULL'):
                        self.table.put(client, np.arange(large))
                sent = [self.table.send(client, np.arange(large)) for _ in range(5)]
                for one in sent:
                    with self.fails('DISK_FULL'):
                        self.table.wait(client, one)
                self.table.check(client)
        self.assertFalse(self.figures()['read_only'])

    def check_writes(self):
        with self.daemon.client() as client:
            for start in range(0, 1000, 100):
                self.table.put(client, np.arange(start, start + 100))
            with self.assertRaises(Failed):
                client.call('put', release='live', table='absent', keys=[], rows=b'')
            client.call('delete', release='live', table='t', keys=[0, 1])
            found = harness.bits(client.fetch('t', [0, 1, 2])['found'], 3)
            self.assertEqual(found.tolist(), [False, False, True])
            self.table.put(client, np.arange(2))
            self.table.check(client)

    def check_restart(self):
        self.daemon.kill()
        self.daemon.start()
        self.check()
        self.daemon.restart()
        self.check()

    def test_a_full_disk(self):
        disk = self.make_disk(48 * MIB)
        self.make(4000, disk=disk)
        for leave in (5 * MIB, 2 * MIB):
            ballast = harness.fill_disk(disk, leave)
            self.write_until_full()
            self.check_full(large=4000)
            os.unlink(ballast)
            self.check_writes()
        self.check_restart()

    def test_a_start_on_a_full_disk(self):
        disk = self.make_disk(48 * MIB)
        self.make(4000, disk=disk)
        ballast = harness.fill_disk(disk, MIB)
        self.write_until_full()
        harness.fill_disk(disk, 0)
        self.check()
        self.daemon.kill()
        self.daemon.start()
        self.check_full(large=4000)
        os.unlink(ballast)
        self.check_writes()
        self.check_restart()

    def test_a_limit_of_files(self):
        """A merge begins a new file of the log; so does writing when the limit is gone."""
        self.make(4000, limit=64 * MIB)
        self.daemon.limit_running(3 * MIB)
        self.write_until_full()
        self.check_full(large=4000)
        with self.daemon.client() as client:
            client.call('merge')
        self.check_writes()
        self.write_until_full()
        self.check_full(large=4000)
        self.daemon.limit_running(64 * MIB)
        self.check_writes()
        self.check_restart()

    # ---- no room for a merge ----

    def test_a_merge(self):
        disk = self.make_disk(128 * MIB)
        self.make(80000, disk=disk)
        ballast = harness.fill_disk(disk, 10 * MIB)
        files = self.daemon.files()
        with self.daemon.client() as client:
            for i in range(1, 4):
                self.table.put(client, np.arange(i, 80000, 997))
                with self.fails('DISK_FULL', "'t'"):
                    client.call('merge')
                self.assertEqual(self.figures()['merges_failed'], i)
                self.table.check(client)
            kept = [path for path in self.daemon.files() if not path.startswith('log')]
            self.assertEqual(kept, [path for path in files if not path.startswith('log')])
            os.unlink(ballast)
            self.assertEqual(client.call('merge')['tables'], 1)
            self.table.check(client)
            figures = self.figures()
            self.assertEqual((figures['memtable_rows'], figures['log_files']), (0, 1))
        self.check_writes()
        self.check_restart()

    def test_a_disk_that_fills_during_a_merge(self):
        """The table that is written has had its room; the next one has none, and keeps its rows."""
        disk = self.make_disk(128 * MIB)
        self.make(80000, *self.config('[log]\nmerge_rate = 16M\n'), disk=disk)
        with self.daemon.client() as client, self.daemon.client() as other:
            self.table.put(client, np.arange(0, 80000, 3))
            self.small.put(client, np.arange(0, 20000, 3))
            # Room for 'small', which takes 5 MiB, and not for 't', which takes 20.
            harness.fill_disk(disk, 12 * MIB)
            before = set(self.daemon.files())
            merge = client.send('merge')
            self.wait_for_second_table(before)
            ballast = harness.fill_disk(disk, 0)
            with self.fails('DISK_FULL'):
                self.table.put(other, np.arange(80000))
            self.table.check(other)
            with self.fails('DISK_FULL', "'t'"):
                client.wait(merge)
            self.table.check(other)
            self.small.check(other)
            pending = {table['table']: table['pending'] for table in other.call('table.list')['tables']}
            self.assertEqual(pending['small'], 0)
            self.assertGreaterEqual(pending['t'], len(range(0, 80000, 3)))
            os.unlink(ballast)
            self.table.put(client, np.arange(0, 80000, 5))
            self.assertEqual(client.call('merge')['tables'], 1)
            self.assertEqual(self.figures()['memtable_rows'], 0)
            self.table.check(other)
            self.small.check(other)
        self.check_writes()
        self.check_restart()

    # ---- a disk that does not sync ----

    def make_failing(self, *args):
        """A daemon whose log is not synced while the fault `sync` is there."""
        faults = harness.Faults(self.path('faults'))
        self.make(4000, *args, environment=faults.environment())
        return faults

    def check_read_only(self):
        with self.daemon.client() as client:
            for _ in range(3):
                with self.fails('READ_ONLY', 'restart'):
                    self.table.put(client, np.arange(10))
                with self.fails('READ_ONLY', 'restart'):
                    client.call('delete', release='live', table='t', keys=[5])
                with self.fails('READ_ONLY'):
                    client.call('merge')
                self.table.check(client)
        self.assertTrue(self.figures()['read_only'])
        self.assertIn('event=read_only', self.daemon.log())

    def restart_well(self):
        self.daemon.environment = {}
        self.daemon.restart()

    def test_a_sync_that_fails(self):
        faults = self.make_failing()
        with self.daemon.client() as client:
            self.table.put(client, np.arange(1000))
            faults.begin('sync')
            sent = self.table.send(client, np.arange(500, 1500))
            with self.fails('READ_ONLY', 'is not known before', 'restart'):
                self.table.wait(client, sent)
        self.check_read_only()
        faults.end('sync')      # the next sync would say that all is well
        self.check_read_only()
        self.restart_well()
        self.check(unknown=sent[1:])
        self.check_writes()
        self.check_restart()

    def test_a_sync_that_fails_under_many_writes(self):
        """Of each connection nothing is there that was sent after something that is not."""
        faults = self.make_failing()
        keys = [np.arange(i * 500, (i + 1) * 500) for i in range(WRITERS)]
        unsure = [[] for _ in range(WRITERS)]   # versions that were sent and not acknowledged
        acked = threading.Semaphore(0)          # as many times as a put was

        def write(i, client):
            waiting = []
            for _ in range(2000):
                while not unsure[i] and len(waiting) < IN_FLIGHT:
                    waiting.append(self.table.send(client, keys[i]))
                if not waiting:
                    return
                sent = waiting.pop(0)
                try:
                    self.table.wait(client, sent)
                    self.assertEqual(unsure[i], [], 'acknowledged after a failure')
                    acked.release()
                except Failed as failed:
                    self.assertEqual(failed.code, 'READ_ONLY', failed)
                    unsure[i].append(sent[2])

        crowd = harness.Crowd()
        with contextlib.ExitStack() as stack:
            for i in range(WRITERS):
                crowd.start(write, i, stack.enter_context(self.daemon.client()))
            for _ in range(WRITERS * IN_FLIGHT * 2):
                self.assertTrue(acked.acquire(timeout=harness.CALL_SECONDS))
            faults.begin('sync')
            crowd.join()
        self.assertTrue(all(unsure))
        self.check_read_only()
        self.restart_well()
        with self.daemon.client() as client:
            part = client.fetch('t', np.arange(4000, dtype='<u8').tobytes())
            rows = harness.rows_of(part['rows'], '<f4', 4000)
            for i in range(WRITERS):
                version = rows[keys[i][0], 0]
                self.assertIn(version, [self.table.versions[keys[i][0]]] + unsure[i])
                self.table.versions[keys[i]] = version
        self.check()
        self.check_writes()
        self.check_restart()

    def test_a_late_sync_that_fails(self):
        """With durability periodic a write is acknowledged before, and read until the restart."""
        faults = self.make_failing('--durability', 'periodic')
        with self.daemon.client() as client:
            faults.begin('sync')
            limit = time.monotonic() + 20 * harness.PATIENCE
            while not self.figures()['read_only']:
                with contextlib.suppress(Failed):
                    self.table.put(client, np.arange(100))
                time.sleep(0.01)
                self.assertLess(time.monotonic(), limit)
        self.check_read_only()
        self.restart_well()
        self.check()
        self.check_writes()

    def test_a_new_file_that_cannot_be_synced(self):
        """Nothing is in doubt then: the merge fails, and writes go on in the old file."""
        faults = self.make_failing()
        with self.daemon.client() as client:
            self.table.put(client, np.arange(1000))
            faults.begin('sync')
            with self.fails('IO', 'log'):
                client.call('merge')
            faults.end('sync')
            self.table.put(client, np.arange(500, 1500))
            self.assertEqual(self.figures()['log_files'], 1)
            client.call('merge')
        self.check_writes()
        self.restart_well()
        self.check()
        self.check_restart()

    # ---- no memory ----

    def pour(self, client, seconds, may_be_full=False, rows=1000):
        """Puts for so long; returns (acknowledged, BUSY, the longest that one took)."""
        acked = busy = 0
        longest = 0.0
        limit = time.monotonic() + seconds
        at = 0
        while time.monotonic() < limit and busy < 3:
            keys = (at + np.arange(rows)) % len(self.table.versions)
            at += rows
            began = time.monotonic()
            try:
                self.table.put(client, keys)
                acked += 1
            except Failed as failed:
                if failed.code != 'DISK_FULL' or not may_be_full:
                    self.assertEqual(failed.code, 'BUSY', failed)
                    self.assertIn('wait for a merge', failed.text)
                    busy += 1
            longest = max(longest, time.monotonic() - began)
        return acked, busy, longest

    def test_merges_that_are_slow(self):
        """Writers wait for a merge, which hurries then: memory has a bound, and so has the wait."""
        self.make(150000, *self.config('[log]\nmerge_rate = 1M\nmemtable_memory = 128M\n'))
        with self.daemon.client() as client:
            acked, busy, longest = self.pour(client, 2)
            self.table.check(client)
            figures = self.figures()
            self.assertLess(figures['memtable_bytes'], 160 * MIB)
            self.assertLess(longest, 8 * harness.PATIENCE)
            self.assertGreater(acked, 0)
            print('%d puts, %d BUSY, the longest %.3f s, %d merges' % (acked, busy, longest, figures['merges']))

    @contextlib.contextmanager
    def room_for_the_log(self, ballast):
        """The log has room, and nothing else: what a merge may write is SPARE bytes, however far the log is."""
        over = threading.Event()
        size = os.stat(ballast).st_size
        folder = os.path.join(self.daemon.data, 'log')

        def log_bytes():
            return sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in os.listdir(folder))

        def follow(begun):
            while not over.wait(0.01):
                os.truncate(ballast, max(size - log_bytes() + begun, 0))
        crowd = harness.Crowd()
        crowd.start(follow, log_bytes())
        try:
            yield
        finally:
            over.set()
            crowd.join()

    def test_merges_that_fail(self):
        """Nothing makes room: BUSY after a while, and writes pass as soon as a merge has."""
        disk = self.make_disk(1 << 30)
        self.make(500000, *self.config('[log]\nmerge_rate = 1M\nmemtable_memory = 128M\nlog_size = 1G\n'),
                  disk=disk)
        ballast = harness.fill_disk(disk, SPARE)
        with self.daemon.client() as client:
            with self.room_for_the_log(ballast):
                acked, busy, longest = self.pour(client, 60 * harness.PATIENCE, may_be_full=True)
            self.assertEqual(busy, 3)
            self.assertLess(longest, 8 * harness.PATIENCE)
            began = time.monotonic()
            with self.fails('BUSY'):
                self.table.put(client, np.arange(1))
            self.assertLess(time.monotonic() - began, 8 * harness.PATIENCE)
            self.table.check(client)
            with self.fails('DISK_FULL'):
                client.call('merge')
            os.unlink(ballast)
            client.call('merge')
            self.table.put(client, np.arange(1000))
            self.table.check(client)
            print('%d puts, then BUSY; the longest %.3f s' % (acked, longest))
        self.check_restart()


if __name__ == '__main__':
    harness.main()
