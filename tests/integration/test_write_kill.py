"""test_write_kill.py - kill -9 and power loss under puts, deletes and merges: what was acknowledged is there.

Eight connections write keys of their own, in two tables of different kinds; many requests write both. Each
request has a version, and each element of its rows is that version, so that half a row is known. What a
connection wrote is always what a prefix of its requests makes: at least those that were acknowledged, or
seen by a fetch, at most those that were sent, none of them half, in no table less than in the other. A ninth
connection asks for merges, a tenth fetches and checks the same while all goes on, and one more only looks how
far reads are, often enough to see what is shown too early. Every second kill is in the middle of a merge.

After a kill, the machine's memory still has what the daemon wrote. A power loss is made from it: the end of
the last file of the log, as far as nobody was told that it is durable, is cut or has a page of zeros.

REPSTORE_ROUNDS: how many kills (10; 4 under the sanitizers). REPSTORE_ROWS, REPSTORE_LOG_BYTES: of the start that is measured.
REPSTORE_SEED: the same requests again; the moments are the clock's.
"""

import os
import shutil
import struct
import threading
import time

import numpy as np

import harness
from harness import Closed

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '4' if harness.SANITIZED else '10'))
ROWS = int(os.environ.get('REPSTORE_ROWS', '100000'))
LOG_BYTES = int(os.environ.get('REPSTORE_LOG_BYTES', str(30 << 20)))
WRITERS = 8
IN_FLIGHT = 12
KEYS = 401              # of a writer in each table; a prime, so that every step walks through all
SIZES = (1, 1, 2, 3, 5, 16, 40)     # most keys are written seldom, or what was lost would soon be hidden
DIM = 24
STILL = 20000           # rows that nobody writes
VERSIONS = 1 << 20      # a f32 holds them exactly, with the writer's number
ABSENT = -1
PAGE = 4096
# Merges begin by themselves too, at a quarter of the rows, and writers wait now and then.
SETTINGS = '[log]\nlog_size = 128M\nmemtable_memory = 128M\nmemtable_rows = 8000\n'


def packed_keys(writer, table, indices):
    numbers = writer * KEYS + np.asarray(indices)
    if table == 'a':
        return harness.packed(numbers.astype('<u8'))
    return harness.packed([b'key-%d' % number for number in numbers])


def rows_of_version(writer, indices, version):
    """Element 0 says whose row it is, all others the version."""
    rows = np.full((len(indices), DIM), version, dtype='<f4')
    rows[:, 0] = writer * KEYS + np.asarray(indices)
    return rows


class Request:
    """One put (version > 0) or delete (version ABSENT) of keys in one table or both."""

    def __init__(self, parts, version):
        self.parts = parts      # {table: indices}
        self.version = version
        self.sequence = None    # once acknowledged
        self.count = 0          # rows that it changed, as the answer says

    def apply(self, state):
        for table, indices in self.parts.items():
            state[table][indices] = self.version

    def part(self, writer, table):
        indices = self.parts[table]
        part = {'table': table, 'keys': packed_keys(writer, table, indices)}
        if self.version != ABSENT:
            part['rows'] = rows_of_version(writer, indices, self.version).tobytes()
            part['times'] = np.full(len(indices), self.version, '<i8').tobytes()
            if table == 'b':
                part['tags'] = np.full(len(indices), self.version, '<u8').tobytes()
        return part

    def params(self, writer):
        if len(self.parts) == 1:
            table, = self.parts
            return {'release': 'live', **self.part(writer, table)}
        return {'release': 'live', 'parts': [self.part(writer, table) for table in self.parts]}


def copy_of(state):
    return {table: versions.copy() for table, versions in state.items()}


class Writer:
    """A connection that writes, and what its keys must be."""

    def __init__(self, number, random):
        self.number = number
        self.random = random
        self.lock = threading.Lock()
        self.requests = []      # of this round, in order
        self.acked = 0          # how many of them were acknowledged
        self.seen = 0           # how many of them a fetch has seen
        self.state = {table: np.zeros(KEYS, np.int64) for table in 'ab'}    # by those that were
        self.made = 0
        self.acks = 0

    def make(self):
        self.made += 1
        version = (self.made % VERSIONS) * WRITERS + self.number + 1
        tables = ('a', 'b', 'ab', 'ab')[self.random.integers(0, 4)]
        if self.random.random() < 0.25:
            version, tables = ABSENT, tables[0]
        parts = {}
        for table in tables:
            count = SIZES[self.random.integers(0, len(SIZES))] if self.random.random() < 0.98 else KEYS
            start, step = self.random.integers(1, KEYS, 2)
            parts[table] = (start + np.arange(count) * step) % KEYS
        return Request(parts, version)

    def run(self, client):
        waiting = []
        try:
            while True:
                while len(waiting) < IN_FLIGHT:
                    request = self.make()
                    with self.lock:
                        self.requests.append(request)
                    method = 'delete' if request.version == ABSENT else 'put'
                    waiting.append((client.send(method, request.params(self.number)), request))
                msgid, request = waiting.pop(0)
                self.take(request, client.wait(msgid))
        except Closed:
            pass

    def take(self, request, answer):
        if request.version == ABSENT:
            request.count = answer['deleted']
            (table, indices), = request.parts.items()
            there = np.count_nonzero(self.state[table][indices] != ABSENT)
            assert request.count == there, (request.count, there)
        else:
            request.count = answer['applied']
            written = sum(len(indices) for indices in request.parts.values())
            assert request.count == written, (request.count, written)
        with self.lock:
            assert self.requests[self.acked] is request
            request.sequence = answer['sequence']
            request.apply(self.state)
            self.acked += 1
            self.acks += 1

    def now(self):
        """What it must be at least: (state, requests acknowledged)."""
        with self.lock:
            return copy_of(self.state), self.acked

    def settle(self, state):
        """A new round begins from `state`."""
        self.state = state
        self.requests = []
        self.acked = self.seen = 0

    def agrees(self, request, sequence, seen):
        """Whether what an answer says of its sequence fits that it was seen, or was not."""
        if request.sequence is None or request.count == 0:
            return True
        return (request.sequence <= sequence) == seen

    def prefix(self, state, acked, observed, sequence):
        """How many requests make `observed`, of those from `acked` on; or None."""
        with self.lock:
            requests = self.requests[acked:]
        for done in range(len(requests) + 1):
            if done > 0:
                requests[done - 1].apply(state)
            if all(np.array_equal(state[table], observed[table]) for table in 'ab') and all(
                    self.agrees(request, sequence, i < done)
                    for i, request in enumerate(requests)):
                return acked + done
        return None

    def explain(self, state, acked, observed):
        lines = ['writer %d: nothing that it sent makes these rows; %d acknowledged, %d sent' % (
            self.number, acked, len(self.requests))]
        for table in 'ab':
            wrong = np.flatnonzero(state[table] != observed[table])
            lines += ['  %s[%d]: %d, with all that was sent %d' % (
                table, i, observed[table][i], state[table][i]) for i in wrong[:5]]
        return '\n'.join(lines)


def versions_of(writer, table, part):
    """The versions of all keys of a writer; each row must be whole."""
    found = harness.bits(part['found'], KEYS)
    rows = harness.rows_of(part['rows'], '<f4', KEYS)
    versions = rows[:, 1].astype(np.int64)
    whole = np.where(found[:, None], rows_of_version(writer, np.arange(KEYS), 0), 0)
    whole[:, 1:] = versions[:, None]
    assert np.array_equal(rows, whole), 'half a row'
    assert not versions[~found].any(), 'a row that was not found'
    assert np.array_equal(np.frombuffer(part['times'], '<i8'), versions), 'the time of another row'
    if table == 'b':
        tags = np.frombuffer(part['tags'], '<u8').astype(np.int64)
        assert np.array_equal(tags, versions), 'the tags of another row'
    return np.where(found, versions, ABSENT)


def frames_of(log):
    """(offset, end, sequence, first) of each whole frame, as daemon/store/log/frame.h describes them."""
    at = 64
    while at + 56 <= len(log) and log[at:at + 4] == b'rfrm':
        size, = struct.unpack_from('<I', log, at + 4)
        sequence, first = struct.unpack_from('<QQ', log, at + 16)
        if at + size > len(log):
            return
        yield at, at + size, sequence, first
        at += size


class WriteKill(harness.Case):
    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.asks = [[packed_keys(writer, table, np.arange(KEYS)) for table in 'ab']
                     for writer in range(WRITERS)]
        self.writers = [Writer(i, np.random.default_rng(self.random.integers(1 << 60)))
                        for i in range(WRITERS)]
        self.still_keys = (np.arange(STILL) + (1 << 40)).astype('<u8')
        self.still_rows = np.repeat(np.arange(STILL, dtype='<f4'), DIM).reshape(-1, DIM)
        self.start_seconds = []
        self.sequence = 0   # that a fetch has seen
        self.merges = 0
        self.is_merging = threading.Event()     # a merge was asked for and not answered
        self.kills = [0, 0]     # all, and those that left files of a merge
        self.fetches = 0
        self.kept = 0       # requests that were not acknowledged, and are there
        self.lost = 0       # and are not

    def begin(self):
        self.daemon = self.start_daemon('--workers', '2', *self.config(SETTINGS))
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='a', entity='user', kind='ur', dim=DIM)
            client.call('table.create', release='r', table='b', entity='item', kind='ir', dim=DIM,
                        key='bytes', tags=True)
            all_keys = np.arange(WRITERS * KEYS)
            rows = np.concatenate([rows_of_version(i, np.arange(KEYS), 0) for i in range(WRITERS)])
            client.load('r', 'a', np.concatenate([all_keys.astype('<u8'), self.still_keys]),
                        np.concatenate([rows, self.still_rows]),
                        times=np.zeros(len(all_keys) + STILL, '<i8'))
            client.load('r', 'b', [b'key-%d' % i for i in all_keys], rows,
                        times=np.zeros(len(all_keys), '<i8'), tags=np.zeros(len(all_keys), '<u8'))
            client.seal('r')

    # ---- what runs until the kill ----

    def ask(self, client, writers):
        """All keys of these writers, of one snapshot: their versions, and its sequence."""
        parts = [{'table': table, 'keys': self.asks[writer.number][i], 'times': True, 'tags': table == 'b'}
                 for writer in writers for i, table in enumerate('ab')]
        answer = client.call('fetch', parts=parts)
        found = iter(answer['parts'])
        observed = [{table: versions_of(writer.number, table, next(found)) for table in 'ab'}
                    for writer in writers]
        return observed, answer['sequence']

    def check(self, writer, least, observed, sequence):
        state, acked = least
        done = writer.prefix(state, acked, observed, sequence)
        self.assertIsNotNone(done, done or writer.explain(state, acked, observed))
        return done

    def fetch_on(self, client, random):
        try:
            while True:
                writers = [self.writers[i] for i in random.choice(WRITERS, 2, replace=False)]
                least = [writer.now() for writer in writers]
                observed, sequence = self.ask(client, writers)
                for writer, *one in zip(writers, least, observed):
                    writer.seen = max(writer.seen, self.check(writer, *one, sequence))
                self.sequence = max(self.sequence, sequence)
                self.fetches += 1
                time.sleep(0.002)
        except Closed:
            pass

    def merge_on(self, client, random):
        merges = 0
        try:
            while True:
                self.is_merging.set()
                client.call('merge')
                self.is_merging.clear()
                figures = client.call('stats')['write']
                self.assertEqual(figures['merges_failed'], 0)
                merges = figures['merges']
                time.sleep(random.uniform(0, 0.05))
        except Closed:
            self.merges += merges

    def watch_on(self, client):
        """What a fetch says that it sees is on the disk."""
        try:
            while True:
                answer = client.call('fetch', parts=[{'table': 'a', 'keys': [0]}])
                self.assertGreaterEqual(answer['sequence'], self.watched)
                self.watched = answer['sequence']
                time.sleep(0.0002)
        except Closed:
            pass

    def wait_for_the_moment(self):
        time.sleep(float(self.random.uniform(0.01, 0.6)) * harness.PATIENCE)
        if self.kills[0] % 2 == 1:
            self.is_merging.wait(harness.CALL_SECONDS)
            time.sleep(float(self.random.uniform(0, 0.03)) * harness.PATIENCE)

    def run_until_killed(self):
        crowd = harness.Crowd()
        clients = [self.daemon.client() for _ in range(WRITERS + 3)]
        others = [np.random.default_rng(self.random.integers(1 << 60)) for _ in range(2)]
        self.is_merging.clear()
        self.watched = 0
        crowd.start(self.merge_on, clients[0], others[0])
        crowd.start(self.fetch_on, clients[1], others[1])
        crowd.start(self.watch_on, clients[2])
        for writer, client in zip(self.writers, clients[3:]):
            crowd.start(writer.run, client)
        self.wait_for_the_moment()
        self.assertTrue(self.daemon.is_running(), self.daemon.log())
        self.kills[0] += 1
        self.daemon.kill()
        try:
            crowd.join()
        finally:
            for client in clients:
                client.close()
        self.sequence = max(self.sequence, self.watched)

    # ---- after it ----

    def check_all(self, client):
        """Each writer's rows are those of a prefix; returns (states, lengths of them, sequence)."""
        observed, sequence = self.ask(client, self.writers)
        done = [self.check(writer, writer.now(), rows, sequence)
                for writer, rows in zip(self.writers, observed)]
        part = client.fetch('a', self.still_keys.tobytes())
        self.assertEqual(part['rows'], self.still_rows.tobytes())
        return observed, done, sequence

    def restart(self):
        """Starts it again and takes what is there as what the next round begins with."""
        left = self.base_files()
        self.daemon.start()
        self.start_seconds.append(self.daemon.start_seconds)
        self.kills[1] += not left <= self.base_files()
        with self.daemon.client() as client:
            observed, done, sequence = self.check_all(client)
        self.assertGreaterEqual(sequence, self.sequence, 'a fetch saw what is not there any more')
        for writer, state, count in zip(self.writers, observed, done):
            self.assertGreaterEqual(count, writer.seen, 'a fetch saw what is not there any more')
            self.kept += count - writer.acked
            self.lost += len(writer.requests) - count
            writer.settle(state)

    def base_files(self):
        return {path for path in self.daemon.files() if '/base-' in path and not path.endswith('-lock')}

    def check_files(self):
        """No base file is there that the catalog does not know; what was left over goes at start."""
        limit = time.monotonic() + 20
        while True:
            with self.daemon.client() as client:
                known = sum(table['bytes'] for table in client.call('table.list')['tables'])
            there = sum(os.path.getsize(os.path.join(self.daemon.data, path))
                        for path in self.base_files())
            if known == there:
                return
            self.assertLess(time.monotonic(), limit, (known, there, self.daemon.files()))
            time.sleep(0.02)

    def say(self):
        print('%d kills, %d of them left files of a merge, %d merges, %d writes acknowledged, %d fetches; not acknowledged: %d there, %d not; '
              'start %.3f s at most, %.3f s in the middle' % (
                  *self.kills, self.merges, sum(writer.acks for writer in self.writers), self.fetches, self.kept,
                  self.lost, max(self.start_seconds), np.median(self.start_seconds)), flush=True)

    def test_rounds(self):
        self.begin()
        for _ in range(ROUNDS):
            self.run_until_killed()
            self.restart()
        with self.daemon.client() as client:
            client.call('merge')
            self.check_all(client)
        self.check_files()
        self.daemon.restart()
        with self.daemon.client() as client:
            self.check_all(client)
        self.say()
        self.assertTrue(ROUNDS < 8 or self.kills[1] > 0)

    # ---- power loss ----

    def last_log(self, folder):
        numbers = [int(name[:-4]) for name in os.listdir(os.path.join(folder, 'log')) if name.endswith('.log')]
        return os.path.join(folder, 'log', '%d.log' % max(numbers))

    def tail_of(self, frames):
        """Where the frames begin that nobody was told of, and that were perhaps not synced."""
        told = max([self.sequence] + [request.sequence for writer in self.writers
                                      for request in writer.requests if request.sequence is not None])
        at = [offset for offset, _, sequence, _ in frames if sequence > told and sequence >= frames[-1][3]]
        return at[0] if at else None

    def damage(self, log, tail):
        """Returns the file as a power loss leaves it."""
        at = int(self.random.integers(tail, len(log)))
        if self.random.random() < 0.5:
            return log[:at]
        page = at // PAGE * PAGE
        start, end = max(page, tail), min(page + PAGE, len(log))
        return log[:start] + bytes(end - start) + log[end:]

    def lose_power(self, daemon, log, frames, tail):
        """Starts on the damaged log: all before the damage is there, and nothing behind it."""
        damaged = self.damage(log, tail)
        with open(self.last_log(daemon.data), 'wb') as file:
            file.write(damaged)
        same = len(os.path.commonprefix([log, damaged]))
        before = [sequence for _, end, sequence, _ in frames if end <= same]
        expected = before[-1] if before else frames[0][2] - 1
        if daemon is self.daemon:
            self.restart()
            return
        daemon.start()
        with daemon.client() as client:
            _, _, sequence = self.check_all(client)
            self.assertEqual(sequence, expected)
            self.assertEqual(client.call('put', **Request({'a': np.arange(3)}, 1).params(0))['sequence'],
                             expected + 1)
        daemon.stop()

    def test_power_loss(self):
        self.begin()
        losses = 0
        while losses < 2 * ROUNDS and self.kills[0] < 2 * ROUNDS:
            self.run_until_killed()
            with open(self.last_log(self.daemon.data), 'rb') as file:
                log = file.read()
            frames = list(frames_of(log))
            tail = self.tail_of(frames) if frames else None
            if tail is None:
                self.restart()
                continue
            for _ in range(3):
                copy = self.make_daemon('--workers', '2', *self.config(SETTINGS), name='copy')
                shutil.copytree(self.daemon.data, copy.data)
                self.lose_power(copy, log, frames, tail)
                shutil.rmtree(copy.folder)
                self.daemons.remove(copy)
            self.lose_power(self.daemon, log, frames, tail)
            losses += 4
        self.assertGreater(losses, 0)
        print('%d power losses' % losses, flush=True)
        self.say()

    # ---- how long a start takes ----

    def test_start(self):
        """A log that is as full as it may be (a merge begins at a quarter of log_size) is replayed."""
        dim, rows_a_put = 96, 512
        settings = '[log]\nlog_size = %d\nmemtable_memory = %d\nmemtable_rows = 100000000\n' % (
            max(128 << 20, LOG_BYTES * 9 // 2), max(128 << 20, LOG_BYTES * 8))
        daemon = self.daemon = self.start_daemon(*self.config(settings))
        version = np.zeros(2 * ROWS, np.float32)     # by key; half of what is put is new
        with daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='user', kind='ur', dim=dim)
            client.load('r', 't', np.arange(ROWS, dtype='<u8'), np.zeros((ROWS, dim), '<f4'),
                        chunk_rows=50000)
            client.seal('r')
            waiting = []
            written = 0
            while written < LOG_BYTES or waiting:
                if written < LOG_BYTES and len(waiting) < IN_FLIGHT:
                    start = int(self.random.integers(0, 2 * ROWS))
                    keys = (start + np.arange(rows_a_put) * 7) % (2 * ROWS)
                    version[keys] += 1
                    rows = np.repeat(version[keys], dim)
                    waiting.append(client.send('put', dict(release='live', table='t', rows=rows.tobytes(),
                                                           keys=keys.astype('<u8').tobytes())))
                    written += rows_a_put * (4 * dim + 16)
                    continue
                self.assertEqual(client.wait(waiting.pop(0))['applied'], rows_a_put)
            figures = client.call('stats')['write']
            self.assertEqual(figures['merges'], 0)
        daemon.kill()
        daemon.start()
        keys = self.random.integers(0, 2 * ROWS, 1000)
        with daemon.client() as client:
            self.check_versions(client, keys, version, dim)
            seconds = time.monotonic() - daemon.launched
            self.assertEqual(client.call('stats')['write']['log_bytes'], figures['log_bytes'])
            for start in range(0, 2 * ROWS, 50000):
                self.check_versions(client, np.arange(start, min(start + 50000, 2 * ROWS)), version, dim)
        print('%d rows, %d bytes of log, %d rows of it in memory: first right answer after %.3f s' % (
            ROWS, figures['log_bytes'], figures['memtable_rows'], seconds), flush=True)

    def check_versions(self, client, keys, version, dim):
        part = client.fetch('t', keys.astype('<u8').tobytes())
        expected = np.repeat(version[keys], dim).reshape(-1, dim)
        self.assertTrue(np.array_equal(harness.rows_of(part['rows'], '<f4', len(keys)), expected))
        there = (keys < ROWS) | (version[keys] > 0)
        self.assertTrue(np.array_equal(harness.bits(part['found'], len(keys)), there))


if __name__ == '__main__':
    harness.main()
