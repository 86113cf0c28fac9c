"""test_write_snapshot.py - a fetch of two tables never sees a put of both by half.

One process puts numbers, each into all keys of two tables by one put, in two releases; another asks for
merges over and over; the live release changes back and forth; readers fetch both tables at once. Every
reply must hold one number, of the release that it names, and numbers must not go back.
"""

import multiprocessing
import os
import time

import numpy as np

import harness

SECONDS = float(os.environ.get('REPSTORE_SECONDS', '5'))
SECONDS_MAX = SECONDS + 50  # on a disk that is slow to sync
READERS = 2
ROWS = 20000    # of each table
KEYS = 60       # that change, of each table
DIM = 8
RELEASES = ('even', 'odd')
TABLES = ('ur', 'ir')
AT_LEAST = {'puts': 50, 'merges': 3, 'publishes': 20, 'fetches': 200}


def changing_keys(table):
    """Spread over the table, and others in each."""
    return np.arange(TABLES.index(table), ROWS, ROWS // KEYS, dtype='<u8')[:KEYS]


def values_of(number, release):
    return np.full((KEYS, DIM), number * 2 + RELEASES.index(release), '<f4')


def put(client, number, release):
    parts = [{'table': table, 'keys': changing_keys(table).tobytes(),
              'rows': values_of(number, release).tobytes()} for table in TABLES]
    return client.call('put', release=release, parts=parts)


class Job:
    """What the processes share: done counts puts, merges, publishes and fetches."""

    def __init__(self, context, address):
        self.address = address
        self.stop = context.Event()
        self.mistakes = context.Queue()
        self.done = {what: context.Value('Q', 0) for what in AT_LEAST}

    def count(self, what, by=1):
        with self.done[what].get_lock():
            self.done[what].value += by

    def counts(self):
        return {what: value.value for what, value in self.done.items()}

    def is_enough(self):
        return all(count >= AT_LEAST[what] for what, count in self.counts().items())


def run(target, job):
    """A process: what it dies of is a mistake too."""
    try:
        job.mistakes.put(target(job))
    except (harness.Failed, harness.Closed, OSError) as error:
        job.mistakes.put(['%s: %s' % (target.__name__, error)])


def write(job):
    number = 0
    mistakes = []
    sequence = 0
    with harness.Client(job.address) as client:
        while not job.stop.is_set():
            number += 1
            for release in RELEASES:
                answer = put(client, number, release)
                if answer['applied'] != 2 * KEYS or answer['sequence'] <= sequence:
                    mistakes.append('%s after sequence %d' % (answer, sequence))
                sequence = answer['sequence']
                job.count('puts')
    return mistakes


def merge(job):
    with harness.Client(job.address) as client:
        while not job.stop.is_set():
            job.count('merges', client.call('merge')['tables'] > 0)
    return []


def mistake_in(answer, last):
    """What is wrong with a reply, or None; `last`: the last number seen of each release."""
    release = answer['release']
    values = np.concatenate([np.frombuffer(part['rows'], '<f4') for part in answer['parts']])
    number = values[0]
    if not (values == number).all():
        return 'numbers %s in one reply' % np.unique(values)
    if number != 0 and number % 2 != RELEASES.index(release):
        return 'number %d in a reply of %s' % (number, release)
    if number < last[release]:
        return 'number %d after %d' % (number, last[release])
    last[release] = number
    return None


def read(job):
    count = 0
    mistakes = []
    last = dict.fromkeys(RELEASES, 0)
    parts = [{'table': table, 'keys': changing_keys(table).tobytes()} for table in TABLES]
    with harness.Client(job.address) as client:
        while not job.stop.is_set() and len(mistakes) < 5:
            # Sometimes of a release that is named: then numbers follow closely.
            which = {} if count % 2 == 0 else {'release': RELEASES[count // 2 % 2]}
            mistake = mistake_in(client.call('fetch', parts=parts, **which), last)
            if mistake:
                mistakes.append(mistake)
            count += 1
            job.count('fetches')
    return mistakes


class Snapshots(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        with self.daemon.client() as client:
            for release in RELEASES:
                client.call('release.create', release=release)
                for table in TABLES:
                    client.call('table.create', release=release, table=table,
                                entity='user' if table == 'ur' else 'item', kind=table, dim=DIM)
                    client.load(release, table, np.arange(ROWS, dtype='<u8'),
                                np.zeros((ROWS, DIM), '<f4'))
                client.seal(release, publish=True)

    def publish_until_enough(self, job):
        """Back and forth."""
        started = time.monotonic()
        seconds = 0
        with self.daemon.client() as client:
            while seconds < SECONDS or (seconds < SECONDS_MAX and not job.is_enough()):
                client.call('release.publish', release=RELEASES[job.counts()['publishes'] % 2])
                job.count('publishes')
                time.sleep(0.02)
                seconds = time.monotonic() - started

    def test_a_put_of_two_tables_is_seen_whole(self):
        context = multiprocessing.get_context('spawn')
        job = Job(context, self.daemon.address)
        processes = [context.Process(target=run, args=(target, job), daemon=True)
                     for target in [write, merge] + [read] * READERS]
        for process in processes:
            process.start()
        self.publish_until_enough(job)
        job.stop.set()
        mistakes = [job.mistakes.get(timeout=harness.CALL_SECONDS) for _ in processes]
        for process in processes:
            process.join(harness.CALL_SECONDS)
        print(job.counts(), flush=True)
        self.assertEqual(sum(mistakes, []), [])
        self.assertTrue(job.is_enough(), AT_LEAST)
        self.daemon.restart()
        with self.daemon.client() as client:
            for release in RELEASES:
                last = dict.fromkeys(RELEASES, 0)
                parts = [{'table': table, 'keys': changing_keys(table).tobytes()} for table in TABLES]
                answer = client.call('fetch', release=release, parts=parts)
                self.assertIsNone(mistake_in(answer, last))
                self.assertEqual(last[release] // 2, job.counts()['puts'] // 2)


if __name__ == '__main__':
    harness.main()
