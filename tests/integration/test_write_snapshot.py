"""test_write_snapshot.py - no reply holds a part of a write, during merges and publishes.

One process writes groups of rows, each group in one put, over one connection: the n-th write carries the
number n in all its rows, gets the sequence n, and its release and group follow from n. So a reply's
sequence says which number each group has in it, and that is what is required, of both tables of the reply
and of the release it names. Meanwhile one connection merges, and one publishes and rolls back.

REPSTORE_SECONDS (4 unless told) is how long it runs, and longer until the least of each was seen.
"""

import collections
import ctypes
import multiprocessing
import os
import queue
import threading
import time

import numpy as np

import harness

SECONDS = float(os.environ.get('REPSTORE_SECONDS', 4))
LIMIT_SECONDS = 20 * SECONDS + 60
READERS = 2
IN_FLIGHT = 16
RELEASES = ('even', 'odd')
LARGE_EVERY = 40        # each so many fetches one is too large for the loop
LARGE_KEYS = 5000

# Table a: u64 keys, narrow rows. Table b: byte strings, rows so wide that it has several segments.
DIMS = {'a': 8, 'b': 256}
FILL = {'a': 20000, 'b': 44000}
KEYS_FROM = 1 << 40     # of the groups; the others are 0, 1, 2...

LEAST = {'fetches': 200, 'large': 5, 'puts': 400, 'deletes': 5, 'merges': 4, 'publishes': 20}
if harness.SANITIZED:
    LEAST = {'fetches': 50, 'large': 2, 'puts': 100, 'deletes': 2, 'merges': 2, 'publishes': 6}

Group = collections.namedtuple('Group', 'a b loaded kind')


def make_groups():
    """Which keys are written together: pairs, many of both tables, and 100 of one."""
    sizes = [(1, 1)] * 16 + [(3, 5), (40, 40), (100, 0), (0, 100), (100, 100)]
    groups = []
    start = KEYS_FROM
    for number, (a, b) in enumerate(sizes):
        groups.append(Group(np.arange(start, start + a), np.arange(start, start + b),
                            loaded=number % 2 == 0, kind='put'))
        start += 100
    # This one is deleted by every second write to it; that one goes to whatever is live.
    groups.append(Group(np.arange(start, start + 100), np.arange(0), loaded=False, kind='delete'))
    groups.append(Group(np.arange(start + 100, start + 103), np.arange(start, start + 3),
                        loaded=False, kind='live'))
    return groups


GROUPS = make_groups()
CYCLE = 2 * len(GROUPS)


def target(n):
    """(release, group, whether it deletes) of the n-th write; release -1: the live one."""
    turn, step = divmod(n - 1, CYCLE)
    group = step // 2
    kind = GROUPS[group].kind
    return (-1 if kind == 'live' else step % 2, group, kind == 'delete' and turn % 2 == 1)


def last_write(release, group, sequence):
    """(the number that a group has at a sequence, 0 before its first; whether it is deleted)."""
    first = 2 * group + release + 1
    if sequence < first:
        return 0, False
    n = first + (sequence - first) // CYCLE * CYCLE
    return n, target(n)[2]


def wire_keys(table, keys):
    return harness.packed(np.asarray(keys, dtype='<u8') if table == 'a' else
                          [b'key-%d' % key for key in keys])


def rows_of(table, count, release, n):
    """Rows that tell their release and number."""
    rows = np.full((count, DIMS[table]), n, '<f4')
    rows[:, 0] = release + 1
    return rows


def write_params(n):
    release, number, deletes = target(n)
    group = GROUPS[number]
    where = {'release': 'live' if release < 0 else RELEASES[release]}
    if deletes:
        return 'delete', dict(where, table='a', keys=wire_keys('a', group.a))
    parts = [{'table': table, 'keys': wire_keys(table, keys),
              'rows': rows_of(table, len(keys), release, n).tobytes()}
             for table, keys in (('a', group.a), ('b', group.b)) if len(keys)]
    return 'put', dict(where, parts=parts) if len(parts) > 1 else dict(where, **parts[0])


def write(address, stop, written, out):
    """Writes until told to stop; puts (puts, deletes, mistakes)."""
    counts = {'put': 0, 'delete': 0}
    mistakes = []
    waiting = collections.deque()
    n = 0
    with harness.Client(address) as client:
        while (waiting or not stop.is_set()) and not mistakes:
            if not stop.is_set() and len(waiting) < IN_FLIGHT:
                n += 1
                method, params = write_params(n)
                waiting.append((n, method, client.send(method, params)))
                continue
            number, method, msgid = waiting.popleft()
            answer = client.wait(msgid)
            release, group, _ = target(number)
            rows = len(GROUPS[group].a) + len(GROUPS[group].b)
            got = (answer['sequence'], answer['applied' if method == 'put' else 'deleted'])
            if got != (number, rows) or (release >= 0 and answer['release'] != RELEASES[release]):
                mistakes.append('%s %d of %d rows: %s' % (method, number, rows, answer))
            counts[method] += 1
            written.value = number
    out.put((counts['put'], counts['delete'], mistakes))


class Reader:
    """Fetches all groups of both tables in one request, and says what is wrong with the reply."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.keys = {'a': np.concatenate([group.a for group in GROUPS]),
                     'b': np.concatenate([group.b for group in GROUPS])}
        self.packed = {table: wire_keys(table, keys) for table, keys in self.keys.items()}
        self.sequence = 0
        self.mistakes = []

    def wrong(self, *words):
        self.mistakes.append(' '.join(str(word) for word in words))

    def fetch(self, client, large):
        fill = {table: self.random.integers(0, FILL[table], LARGE_KEYS if large else 3)
                for table in DIMS}
        answer = client.call('fetch', parts=[
            {'table': table, 'keys': self.packed[table] + wire_keys(table, fill[table])}
            for table in DIMS])
        release = RELEASES.index(answer['release'])
        rows = {}
        found = {}
        for part in answer['parts']:
            table = part['table']
            count = len(self.keys[table])
            rows[table] = harness.rows_of(part['rows'], '<f4', part['n'])
            found[table] = harness.bits(part['found'], part['n'])
            rest = rows[table][count:]
            if not (found[table][count:].all() and (rest[:, 0] == release + 1).all()
                    and (rest[:, 1:] == 0).all()):
                self.wrong(answer['release'], table, 'beside the groups:', np.unique(rest))
        self.check(release, answer['sequence'], rows, found)
        return answer['sequence']

    def check(self, release, sequence, rows, found):
        at = dict.fromkeys(DIMS, 0)
        for number, group in enumerate(GROUPS):
            values = []
            present = []
            for table, keys in (('a', group.a), ('b', group.b)):
                some = slice(at[table], at[table] + len(keys))
                at[table] = some.stop
                present.append(found[table][some])
                codes = rows[table][some, :1]
                values.append(np.concatenate([rows[table][some, 1:2], rows[table][some, -1:]],
                                             axis=1))
                if len(keys) and not (rows[table][some, 1:] == rows[table][some, 1:2]).all():
                    self.wrong('torn rows of', table, 'group', number)
                if group.kind != 'live' and not np.isin(codes, (0, release + 1)).all():
                    self.wrong('rows of another release than', release, np.unique(codes))
            self.check_group(release, number, sequence, np.unique(np.concatenate(values)),
                             np.unique(np.concatenate(present)))

    def check_group(self, release, number, sequence, values, present):
        group = GROUPS[number]
        if len(values) != 1 or len(present) != 1:
            self.wrong('group', number, 'of', RELEASES[release], 'at', sequence, 'has', values,
                       present)
            return
        if group.kind == 'live':
            if values[0] > sequence:
                self.wrong('group', number, 'at', sequence, 'has', values)
            return
        n, deleted = last_write(release, number, sequence)
        expected = (0 if deleted else n, not deleted and (n > 0 or group.loaded))
        if (values[0], present[0]) != expected:
            self.wrong('group', number, 'of', RELEASES[release], 'at', sequence, 'has', values,
                       present, 'and should have', expected)


def read(address, stop, written, out, progress, seed):
    """Fetches until told to stop; puts (fetches, large ones, replies by release, mistakes)."""
    reader = Reader(seed)
    counts = [0, 0]
    sequences = set()
    with harness.Client(address) as client:
        while not stop.is_set() and not reader.mistakes:
            large = counts[0] % LARGE_EVERY == LARGE_EVERY - 1
            before = written.value
            sequence = reader.fetch(client, large)
            if sequence < max(before, reader.sequence):
                reader.wrong('sequence', sequence, 'after', reader.sequence, 'and', before,
                             'acknowledged')
            reader.sequence = sequence
            sequences.add(sequence)
            counts[0] += 1
            counts[1] += large
            progress[seed] = counts[0]
    out.put((counts[0], counts[1], len(sequences), reader.mistakes))


class WriteSnapshot(harness.Case):
    def setUp(self):
        super().setUp()
        config = self.path('conf')
        with open(config, 'w') as file:
            file.write('[log]\nmerge_rate = 4G\n')
        self.daemon = self.start_daemon('--config', config, '--workers', '2',
                                        '--durability', os.environ.get('REPSTORE_DURABILITY', 'sync'))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        for release in range(len(RELEASES)):
            self.load(release)

    def load(self, release):
        name = RELEASES[release]
        self.client.call('release.create', release=name)
        for table, key in (('a', 'u64'), ('b', 'bytes')):
            self.client.call('table.create', release=name, table=table, entity='user', kind='ur',
                             dim=DIMS[table], key=key)
            keys = np.concatenate([np.arange(FILL[table])] +
                                  [getattr(group, table) for group in GROUPS if group.loaded])
            keys = keys.astype('<u8') if table == 'a' else [b'key-%d' % key for key in keys]
            self.client.load(name, table, keys, rows_of(table, len(keys), release, 0),
                             chunk_rows=10000)
        self.client.seal(name, publish=release == 0)
        shown = self.client.call('table.show', release=name, table='b')
        self.assertGreater(shown['segments'], 1)

    def merge(self, stop, merged):
        """A thread: merges without end."""
        try:
            with self.daemon.client() as client:
                while not stop.is_set():
                    answer = client.call('merge')
                    if answer['tables'] > 0:
                        merged.append(answer['rows'])
        except Exception as error:  # noqa: the thread's failure is the test's
            merged.append(error)

    def publish(self, number):
        """Publishes the other one, or goes back, and sees it at once."""
        if number % 2 == 0:
            self.client.call('release.publish', release=RELEASES[1])
        else:
            self.client.call('release.rollback')
        answer = self.client.call('fetch', parts=[{'table': 'a', 'keys': [1]}])
        self.assertEqual(answer['release'], RELEASES[1 - number % 2])
        return number + 1

    def test_a_reply_holds_writes_whole(self):
        context = multiprocessing.get_context('spawn')
        stop = context.Event()
        written = context.Value(ctypes.c_uint64, lock=False)
        progress = context.Array(ctypes.c_uint64, READERS, lock=False)
        writer_out, reader_out = context.Queue(), context.Queue()
        processes = [context.Process(target=write, daemon=True,
                                     args=(self.daemon.address, stop, written, writer_out))]
        processes += [context.Process(target=read, daemon=True,
                                      args=(self.daemon.address, stop, written, reader_out,
                                            progress, seed)) for seed in range(READERS)]
        merged = []
        merger = threading.Thread(target=self.merge, args=(stop, merged))
        for process in processes:
            process.start()
        while written.value == 0 and all(process.is_alive() for process in processes):
            time.sleep(0.01)
        started = time.monotonic()
        merger.start()
        published = 0

        def is_enough():
            return (time.monotonic() - started >= SECONDS and len(merged) >= LEAST['merges'] and
                    published >= LEAST['publishes'] and
                    written.value >= CYCLE * 4 + LEAST['puts'] + LEAST['deletes'] and
                    min(progress) >= max(LEAST['fetches'], LARGE_EVERY * LEAST['large']))

        try:
            while (not is_enough() and time.monotonic() - started < LIMIT_SECONDS and
                   merger.is_alive() and all(process.is_alive() for process in processes)):
                published = self.publish(published)
                time.sleep(0.02)
        finally:
            stop.set()
            merger.join(harness.CALL_SECONDS)
        try:
            puts, deletes, mistakes = writer_out.get(timeout=harness.CALL_SECONDS)
            results = [reader_out.get(timeout=harness.CALL_SECONDS) for _ in range(READERS)]
        except queue.Empty:
            self.fail('a process ended without a word')
        for process in processes:
            process.join(harness.CALL_SECONDS)
        self.assertEqual([thing for thing in merged if not isinstance(thing, int)], [])
        counts = {'fetches': sum(result[0] for result in results),
                  'large': sum(result[1] for result in results), 'puts': puts, 'deletes': deletes,
                  'merges': len(merged), 'publishes': published}
        seconds = time.monotonic() - started
        print(', '.join('%d %s' % (count, name) for name, count in counts.items()) +
              '; %d sequences seen, %d rows merged, %.1f s' % (
                  sum(result[2] for result in results), sum(merged), seconds), flush=True)
        self.assertEqual(mistakes + [mistake for result in results for mistake in result[3]], [])
        for name, least in LEAST.items():
            self.assertGreaterEqual(counts[name], least, name)
        self.check_the_end(written.value)

    def check_the_end(self, sequence):
        """Nothing was lost: the same after a merge, and after a restart."""
        reader = Reader(0)
        for step in ('written', 'merged', 'started again'):
            if step == 'merged':
                self.client.call('merge')
            if step == 'started again':
                self.client.close()
                self.daemon.restart()
                self.client = self.daemon.client()
                self.addCleanup(self.client.close)
            for release in RELEASES:
                self.client.call('release.publish', release=release)
                self.assertEqual(reader.fetch(self.client, True), sequence, step)
                self.assertEqual(reader.mistakes, [], step)


if __name__ == '__main__':
    harness.main()
