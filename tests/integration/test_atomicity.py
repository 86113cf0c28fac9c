"""test_atomicity.py - no reply mixes releases while they are published and rolled back.

Several processes fetch a user's UR and items' IRs in one request, and scan, while the live release changes
back and forth; each row tells its release.
"""

import multiprocessing
import time

import numpy as np

import harness

CHANGES = 100
READERS = 3
USERS = 5000
ITEMS = 20000
DIM = 8
RELEASES = ('even', 'odd')


def read(address, stop, out, seed):
    """Fetches until told to stop; puts (replies by release, seconds, mistakes)."""
    random = np.random.default_rng(seed)
    counts = dict.fromkeys(RELEASES, 0)
    mistakes = []
    seconds = []
    sequence = 0
    with harness.Client(address) as client:
        while not stop.is_set() and len(mistakes) < 5:
            large = random.integers(0, 10) == 0
            users = random.integers(0, USERS, 2)
            items = random.integers(0, ITEMS, 6000 if large else 60)
            started = time.monotonic()
            answer = client.call('fetch', parts=[
                {'table': 'ur', 'keys': users.astype('<u8').tobytes()},
                {'table': 'ir', 'keys': items.astype('<u8').tobytes()}])
            seconds.append(time.monotonic() - started)
            expected = float(RELEASES.index(answer['release']) + 1)
            for part in answer['parts']:
                values = np.frombuffer(part['rows'], '<f4')
                if not (values == expected).all():
                    mistakes.append('%s of %s: %s' % (part['table'], answer['release'],
                                                      np.unique(values)))
            if answer['sequence'] < sequence:
                mistakes.append('sequence %d after %d' % (answer['sequence'], sequence))
            sequence = answer['sequence']
            counts[answer['release']] += 1
            time.sleep(harness.PAUSE_SECONDS)
    out.put((counts, seconds, mistakes))


def print_histogram(seconds):
    edges = [0] + [50e-6 * 2 ** i for i in range(14)] + [float('inf')]
    counts, _ = np.histogram(seconds, edges)
    for low, high, count in zip(edges, edges[1:], counts):
        if count:
            print('%10.3f .. %-10.3f ms %8d' % (low * 1e3, high * 1e3, count))
    p50, p99 = np.percentile(seconds, (50, 99))
    print('fetch p50 %.0f us, p99 %.0f us, worst %.0f us' % (p50 * 1e6, p99 * 1e6,
                                                             max(seconds) * 1e6), flush=True)


class Atomicity(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        with self.daemon.client() as client:
            for value, release in enumerate(RELEASES, 1):
                client.call('release.create', release=release)
                for table, entity, count in (('ur', 'user', USERS), ('ir', 'item', ITEMS)):
                    client.call('table.create', release=release, table=table, entity=entity,
                                kind=table, dim=DIM)
                    client.load(release, table, np.arange(count, dtype='<u8'),
                                np.full((count, DIM), value, '<f4'))
                client.seal(release, publish=release == RELEASES[0])

    def change(self, client, number):
        """Publishes the other one, or goes back, and sees it at once."""
        if number % 2 == 0:
            answer = client.call('release.publish', release=RELEASES[1])
            self.assertEqual(answer, {'release': RELEASES[1], 'previous': RELEASES[0]})
        else:
            answer = client.call('release.rollback')
            self.assertEqual(answer, {'release': RELEASES[0], 'previous': RELEASES[1]})
        part = client.call('fetch', parts=[{'table': 'ur', 'keys': [1]}])
        self.assertEqual(part['release'], answer['release'])

    def test_fetches_see_one_release(self):
        context = multiprocessing.get_context('spawn')
        stop = context.Event()
        out = context.Queue()
        readers = [context.Process(target=read, args=(self.daemon.address, stop, out, seed), daemon=True)
                   for seed in range(READERS)]
        for reader in readers:
            reader.start()
        with self.daemon.client() as client:
            limit = time.monotonic() + 60
            while client.call('stats')['connections']['open'] < READERS + 1:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.02)
            for number in range(CHANGES):
                self.change(client, number)
                harness.wait_for_fetches(client, 10 * READERS)
        stop.set()
        results = [out.get(timeout=harness.CALL_SECONDS) for _ in readers]
        for reader in readers:
            reader.join(harness.CALL_SECONDS)
        seconds = np.concatenate([result[1] for result in results])
        print_histogram(seconds)
        total = {release: sum(result[0][release] for result in results) for release in RELEASES}
        print(total, flush=True)
        self.assertEqual([mistake for result in results for mistake in result[2]], [])
        self.assertTrue(all(count > 0 for count in total.values()), total)

    def test_a_walk_may_name_its_release(self):
        with self.daemon.client() as client, self.daemon.client() as other:
            for release, value in zip(RELEASES, (1, 2)):
                cursor = {}
                rows = 0
                for number in range(1000):
                    answer = client.call('scan', release=release, table='ir', limit=1000, **cursor)
                    self.assertEqual(answer['release'], release)
                    self.assertTrue((np.frombuffer(answer['rows'], '<f4') == value).all())
                    rows += answer['n']
                    self.change(other, number)
                    if 'cursor' not in answer:
                        break
                    cursor = {'cursor': answer['cursor']}
                self.assertEqual(rows, ITEMS)
                if number % 2 == 0:
                    self.change(other, 1)

    def test_history(self):
        """Rollbacks go back one after the other, and publishing the live one changes nothing."""
        with self.daemon.client() as client:
            client.call('release.publish', release='even')
            with self.fails('NOT_FOUND'):
                client.call('release.rollback')
            client.call('release.publish', release='odd')
            client.call('release.publish', release='even')
            self.daemon.restart()
        with self.daemon.client() as client:
            self.assertEqual(client.call('release.rollback'), {'release': 'odd', 'previous': 'even'})
            self.assertEqual(client.call('release.rollback'), {'release': 'even', 'previous': 'odd'})
            with self.fails('NOT_FOUND'):
                client.call('release.rollback')
            client.call('release.drop', release='odd')
            with self.fails('NOT_FOUND', 'odd'):
                client.fetch('ur', [1], release='odd')
            self.assertEqual(client.fetch('ur', [1])['found'], b'\1')


if __name__ == '__main__':
    harness.main()
