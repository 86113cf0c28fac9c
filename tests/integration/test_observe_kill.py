"""test_observe_kill.py - kill -9 of the daemon and of its sources: every sample counts exactly once.

Two processes send samples, a source of its own each, to two layers of the live release. They ask for the
positions whenever they connect, keep several batches under way, send again what was counted, and are killed,
as is the daemon. Meanwhile releases are made, caught up, published, rolled back and dropped, so the next
sample is often another one than a source thinks; and merges go on. Every second kill of the daemon is in the
middle of one.

After each kill of the daemon, and at the end, all states of all releases (sums, weights, times, and the histories of
users that the same samples make) must be bit for bit what the samples before the positions make in NumPy; no position may be below one that was
acknowledged. At the end a second daemon, which nobody kills, gets the same samples in other batches and must
dump the same.

REPSTORE_ROUNDS: how many kills (16; 6 under the sanitizers).
REPSTORE_SEED: the same batches again; the moments are the clock's.
"""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import unittest

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import Closed, Failed  # noqa: E402
from history_model import Histories  # noqa: E402
from observe_source import LAYERS, SOURCES, Shared, Stream, number_of, positions_of, send_samples  # noqa: E402
from observe_model import Aggregate, Aggregates, DAY_MS, movielens  # noqa: E402

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '6' if harness.SANITIZED else '16'))
DECAYS = {'fm': {'events': 0.99, 'half_life_ms': DAY_MS}, 'mlp2': {'events': 0.95}}
HISTORY = 500       # samples of the past that a new release begins with
DIM = 64
PLACES = 6          # vectors that the history of a user has
# Merges begin by themselves too, at a quarter of the rows, and writers wait now and then.
SETTINGS = '[log]\nlog_size = 128M\nmemtable_memory = 128M\nmemtable_rows = 8000\n'


def newest_of(releases):
    return max(releases, key=number_of)


def states_of(client):
    return {each['release']: each['state'] for each in client.call('release.list')['releases']}


# ---- what it must be ----

class Model:
    """One release: where each source began in each layer, how far it is, and the states up to there."""

    def __init__(self, starts):
        self.starts = starts    # {(source, layer): position}
        self.ends = dict(starts)
        self.tables = {(entity, layer): Aggregates(**DECAYS[layer]) for entity in ('user', 'item') for layer in LAYERS}
        self.histories = {layer: Histories(PLACES) for layer in LAYERS}

    def advance(self, streams, source, layer, end):
        at = (source, layer)
        assert end >= self.ends[at], (at, end, self.ends[at])
        users, items, times, rows = streams[source].samples(layer, self.ends[at], end)
        self.tables['user', layer].add_all(users, times, rows)
        self.tables['item', layer].add_all(items, times, rows)
        self.histories[layer].add_all(users, times, rows)
        self.ends[at] = end

    def states(self, entity, layer):
        """(keys, S, W, last) in the order of keys."""
        table = self.tables[entity, layer]
        keys = sorted(table.places)
        return (keys,) + table.states(keys)


def in_order(entity, layer, keys, *columns):
    """The same of what a daemon has told."""
    if entity == 'item' and layer != 'fm':
        keys = [int(key[5:]) for key in keys]
    order = np.argsort(np.array(keys, np.int64), kind='stable')
    return ([keys[at] for at in order],) + tuple(column[order] for column in columns)


def scanned(client, release, entity, layer):
    keys, rows, weights, times = [], [], [], []
    for reply in client.walk('cr_%s@%s' % (entity, layer), release=release, raw=True, dtype='f64', limit=65536):
        keys += harness.unpacked_as('bytes' if entity == 'item' and layer != 'fm' else 'u64', reply['keys'])
        rows.append(np.frombuffer(reply['rows'], '<f8').reshape(-1, DIM))
        weights.append(np.frombuffer(reply['weights'], '<f8'))
        times.append(np.frombuffer(reply['times'], '<i8'))
    return in_order(entity, layer, keys, np.concatenate(rows), np.concatenate(weights), np.concatenate(times))


class ObserveKill(harness.Case):
    def setUp(self):
        super().setUp()
        self.random = harness.random_state()
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload(['numpy', 'msgpack'])
        self.streams = [Stream(source) for source in range(SOURCES)]
        self.shared = [Shared(self.context) for _ in range(SOURCES)]
        self.running = [None] * SOURCES
        self.models = {}        # release -> Model
        self.dropped = set()    # perhaps: it was asked for
        self.is_merging = threading.Event()     # a merge was asked for and not answered
        self.kills = dict.fromkeys(('kills of the daemon', 'left files of a merge', 'kills of a source'), 0)
        self.done = dict.fromkeys(('merges', 'made', 'published', 'rolled back', 'dropped', 'checks'), 0)
        self.addCleanup(self.end_sources)

    def end_sources(self):
        for source in self.running:
            if source is not None and source.is_alive():
                source.kill()
                source.join()

    # ---- releases come and go ----

    def make_release(self, client, release):
        """Goes on from wherever a kill has left it, until it can be published."""
        if release not in self.models:
            ends = [model.ends for name, model in self.models.items() if name not in self.dropped]
            self.models[release] = Model({
                (source, layer): max([source * 7] + [positions[source, layer] - HISTORY for positions in ends])
                for source in range(SOURCES) for layer in LAYERS})
        listed = states_of(client)
        if release not in listed:
            client.call('release.create', release=release)
        if listed.get(release, 'open') == 'open':
            there = [each['table'] for each in client.call('release.show', release=release)['table_list']]
            for layer in LAYERS:
                for entity in ('user', 'item'):
                    table = 'cr_%s@%s' % (entity, layer)
                    decay = {'decay_' + name if name == 'events' else name: value
                             for name, value in DECAYS[layer].items()}
                    if table not in there:
                        client.call('table.create', release=release, table=table, entity=entity, kind='cr', dim=DIM,
                                    key='bytes' if entity == 'item' and layer != 'fm' else 'u64', **decay)
                if 'last_user@' + layer not in there:
                    client.call('table.create', release=release, table='last_user@' + layer, entity='user', kind='cr',
                                dim=DIM, dtype='f16' if layer == 'fm' else 'f32', history=PLACES)
            client.call('release.seal', release=release)
        for (source, layer), start in self.models[release].starts.items():
            _, following = positions_of(client, release, source)
            first = following.get(layer, start)
            for end in (first + 20, first + 300):
                client.call('observe', first=True, **self.streams[source].params(release, layer, first, end, 'f32'))
        self.done['made'] += 1

    def manage(self, client, random):
        """One change of the releases."""
        listed = states_of(client)
        ready = [release for release, state in listed.items() if state != 'open' and
                 len(client.call('positions', release=release)['positions']) == SOURCES * len(LAYERS)]
        newest = newest_of(self.models)
        wish = random.random()
        if newest not in ready:
            self.make_release(client, newest)
        elif wish < 0.15 or len(self.models) < 2:
            self.make_release(client, 'r%d' % (number_of(newest) + 1))
        elif wish < 0.35 and self.done['published'] > 0:
            try:
                client.call('release.rollback')
                self.done['rolled back'] += 1
            except Failed as failed:
                self.assertEqual(failed.code, 'NOT_FOUND')
        else:
            client.call('release.publish', release=ready[random.integers(len(ready))])
            self.done['published'] += 1
        idle = [release for release in listed if listed[release] == 'sealed' and release != newest]
        if len(listed) > 3 and idle:
            listed = states_of(client)
            oldest = min(idle, key=number_of)
            if listed[oldest] == 'sealed':
                self.dropped.add(oldest)
                client.call('release.drop', release=oldest)
                self.done['dropped'] += 1

    def manage_on(self, client, random):
        try:
            while not self.quiet.is_set():
                self.manage(client, random)
                time.sleep(random.uniform(0, 0.15))
        except Closed:
            pass

    def merge_on(self, client, random):
        try:
            while not self.quiet.is_set():
                self.is_merging.set()
                client.call('merge')
                self.is_merging.clear()
                self.done['merges'] += 1
                self.assertEqual(client.call('stats')['write']['merges_failed'], 0, self.daemon.log()[-1500:])
                time.sleep(random.uniform(0, 0.05))
        except Closed:
            pass

    # ---- kills ----

    def start_feeder(self, source):
        process = self.context.Process(target=send_samples, daemon=True, args=(
            self.daemon.address, source, self.shared[source], int(self.random.integers(1 << 60))))
        process.start()
        self.running[source] = process

    def kill_feeder(self, source):
        self.assertTrue(self.running[source].is_alive(), 'a source ended by itself')
        self.running[source].kill()
        self.running[source].join()
        self.kills['kills of a source'] += 1
        self.start_feeder(source)

    def start_crowd(self):
        self.quiet = threading.Event()
        self.is_merging.clear()
        self.crowd = harness.Crowd()
        self.clients = [self.daemon.client() for _ in range(2)]
        for work, client in zip((self.merge_on, self.manage_on), self.clients):
            self.crowd.start(work, client, np.random.default_rng(self.random.integers(1 << 60)))

    def end_crowd(self):
        try:
            self.crowd.join()
        finally:
            for client in self.clients:
                client.close()

    def hold(self, value):
        for shared in self.shared:
            shared.hold.value = value

    def kill_daemon(self):
        if self.kills['kills of the daemon'] % 2 == 1:
            self.is_merging.wait(harness.CALL_SECONDS)
            time.sleep(float(self.random.uniform(0, 0.03)) * harness.PATIENCE)
        self.assertTrue(self.daemon.is_running(), self.daemon.log())
        self.hold(True)
        self.kills['kills of the daemon'] += 1
        self.daemon.kill()
        self.end_crowd()
        left = self.base_files()
        self.daemon.start()
        self.kills['left files of a merge'] += not left <= self.base_files()
        self.check_all(self.daemon)
        self.start_crowd()
        self.hold(False)

    def base_files(self):
        return {path for path in self.daemon.files() if '/base-' in path and not path.endswith('-lock')}

    def check_all(self, daemon):
        """All that is there is what the samples make, and what was acknowledged is there."""
        self.done['checks'] += 1
        with daemon.client() as client:
            listed = states_of(client)
            self.assertLessEqual(set(self.models) - self.dropped, set(listed) | {newest_of(self.models)})
            for release in list(self.models):
                if release not in listed:
                    if release in self.dropped:
                        del self.models[release]
                elif listed[release] != 'open':
                    self.check_release(client, release)

    def check_release(self, client, release):
        model = self.models[release]
        for source in range(SOURCES):
            _, following = positions_of(client, release, source)
            for layer in LAYERS:
                acked = self.shared[source].acked[number_of(release) * len(LAYERS) + LAYERS.index(layer)]
                self.assertGreaterEqual(following.get(layer, 0), acked, 'an acknowledged sample is gone')
                if layer in following:
                    model.advance(self.streams, source, layer, following[layer])
        for entity, layer in model.tables:
            for got, expected in zip(scanned(client, release, entity, layer), model.states(entity, layer)):
                np.testing.assert_array_equal(got, expected, 'cr_%s@%s of %s' % (entity, layer, release))
        self.check_histories(client, release)

    def check_histories(self, client, release):
        for layer, model in self.models[release].histories.items():
            seen = 0
            for reply in client.walk('last_user@' + layer, release=release, limit=65536):
                keys = np.frombuffer(reply['keys'], '<u8')
                dtype = harness.DTYPES[reply['dtype']]
                _, rows, counts, times, newest = model.arrays(keys, DIM, dtype)
                for got, expected in ((np.frombuffer(reply['counts'], '<u4'), counts),
                                      (np.frombuffer(reply['history_times'], '<i8'), times.reshape(-1)),
                                      (np.frombuffer(reply['times'], '<i8'), newest),
                                      (np.frombuffer(reply['rows'], dtype), rows.reshape(-1))):
                    np.testing.assert_array_equal(got, expected, 'last_user@%s of %s' % (layer, release))
                seen += len(keys)
            self.assertEqual(seen, len(model.rows))

    # ---- the end ----

    def dumped(self, daemon, release):
        """All states, as the command writes them: {table: columns in the order of keys}."""
        states = {}
        for entity, layer in self.models[release].tables:
            paths = {name: os.path.join(daemon.folder, name + '.npy') for name in ('keys', 'rows', 'times', 'weights')}
            daemon.command('dump', '%s/cr_%s@%s' % (release, entity, layer), '--raw',
                           *(word for name, path in paths.items() for word in ('--' + name, path)))
            columns = {name: np.load(path) for name, path in paths.items()}
            states[entity, layer] = in_order(entity, layer, columns['keys'].tolist(), columns['rows'],
                                             columns['weights'], columns['times'])
        return states

    def feed_calmly(self, client, release):
        """The same samples, nobody is killed, and the batches are others."""
        self.make_release(client, release)
        for (source, layer), end in self.models[release].ends.items():
            first = positions_of(client, release, source)[1][layer]
            while first < end:
                upto = min(end, first + int(self.random.integers(1, 8000)))
                answer = client.call('observe', **self.streams[source].params(release, layer, first, upto, 'f16'))
                self.assertEqual(answer['applied'], upto - first)
                first = upto

    def compare_with_a_calm_run(self):
        calm = self.start_daemon(name='calm')
        for release in self.models:
            with calm.client() as client:
                self.feed_calmly(client, release)
                self.check_histories(client, release)
            ours, its = self.dumped(self.daemon, release), self.dumped(calm, release)
            for (entity, layer), state in its.items():
                expected = self.models[release].states(entity, layer)
                for got, same, one in zip(ours[entity, layer], state, expected):
                    np.testing.assert_array_equal(got, same)
                    np.testing.assert_array_equal(got, one)

    def say(self):
        print(', '.join('%d %s' % (count, name) for counts in (self.kills, self.done)
                        for name, count in counts.items()), flush=True)
        for source, shared in enumerate(self.shared):
            print('p%d: %s' % (source, ', '.join('%d %s' % (count, name) for name, count in zip(
                Shared.COUNTS, shared.counts))), flush=True)
        print({release: {'p%d@%s' % at: '%d..%d' % (model.starts[at], end) for at, end in model.ends.items()}
               for release, model in self.models.items()}, flush=True)

    def test_every_sample_counts_once(self):
        self.daemon = self.start_daemon('--workers', '2', *self.config(SETTINGS))
        with self.daemon.client() as client:
            self.make_release(client, 'r0')
            client.call('release.publish', release='r0')
        for source in range(SOURCES):
            self.start_feeder(source)
        self.start_crowd()
        for number in range(ROUNDS):
            time.sleep(float(self.random.uniform(0.05, 0.6)) * harness.PATIENCE)
            victim = (number + 1) % 2 if number < 4 else int(self.random.integers(3))
            if victim > 0:
                self.kill_feeder(int(self.random.integers(SOURCES)))
                time.sleep(float(self.random.uniform(0, 0.01)))
            if victim != 1:
                self.kill_daemon()
        time.sleep(0.5 * harness.PATIENCE)
        self.quiet.set()
        self.end_crowd()
        for shared, source in zip(self.shared, self.running):
            shared.stop.value = True
            source.join(harness.CALL_SECONDS)
            self.assertEqual(source.exitcode, 0)
        with self.daemon.client() as client:
            self.make_release(client, newest_of(self.models))
            client.call('merge')
        self.check_all(self.daemon)
        self.daemon.restart()
        self.check_all(self.daemon)
        self.say()
        self.assertTrue(all(model.ends[at] > start for model in self.models.values()
                            for at, start in model.starts.items()))
        self.assertTrue(all(shared.counts[Shared.COUNTS.index('again')] > 0 for shared in self.shared))
        self.compare_with_a_calm_run()

    # ---- the command ----

    def test_the_command_goes_on_where_it_was_killed(self):
        """Its source makes it right to send all again, as an operator does after a failure."""
        self.daemon = self.start_daemon(*self.config(SETTINGS))
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for entity in ('user', 'item'):
                client.call('table.create', release='r', table='cr_%s@fm' % entity, entity=entity, kind='cr', dim=DIM,
                            decay_events=0.99)
            client.seal('r')
        cut = []
        lap = 0     # each has a source of its own
        for number in range(ROUNDS * 2):
            process = subprocess.Popen(self.observe_command(lap), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            if number % 4 < 2:
                time.sleep(float(self.random.uniform(0, 0.08)) * harness.PATIENCE)
            else:
                self.await_more(cut[-1], process)   # in the middle, however fast the machine is
            if number % 2 == 0:
                process.kill()
            else:
                self.daemon.kill()
            status = process.wait()
            self.assertIn(status, (0, 1, -9))
            lap += status == 0
            if number % 2 == 1:
                self.daemon.start()
            with self.daemon.client() as client:
                client.call('merge')
                cut.append(self.count(client))
        print('counted after each kill:', cut, flush=True)
        self.assertEqual(cut, sorted(cut))
        self.assertTrue(any(each % 10000 > 0 for each in cut))
        subprocess.run(self.observe_command(lap), check=True, stdout=subprocess.DEVNULL)
        self.check_laps(lap + 1)

    def count(self, client):
        return sum(each['next'] for each in client.call('positions', release='r')['positions'])

    def await_more(self, before, process):
        """Until more than so many samples are counted, or the process has ended."""
        with self.daemon.client() as client:
            while self.count(client) <= before and process.poll() is None:
                time.sleep(0.001)

    def observe_command(self, lap):
        names = {'users': 'cr_user', 'items': 'cr_item', 'times': 'cr_time', 'rows': 'cr_fm'}
        return [harness.program('repstore'), '-s', self.daemon.address, 'observe', 'fm', '--time-unit', 's',
                '--source', 'ml%d' % lap, '--batch', '10'] + [
                    word for option, name in names.items()
                    for word in ('--' + option, '%s/%s.npy' % (harness.MOVIELENS, name))]

    def check_laps(self, laps):
        users, items, times, rows = movielens('fm')
        with self.daemon.client() as client:
            for entity, keys in (('user', users), ('item', items)):
                model = Aggregates(events=0.99)
                for _ in range(laps):
                    model.add_all(keys, times, rows)
                expected = sorted(model.places)
                got_keys, *states = scanned(client, 'r', entity, 'fm')
                self.assertEqual(got_keys, expected)
                for got, one in zip(states, model.states(expected)):
                    np.testing.assert_array_equal(got, one)


class TheModel(unittest.TestCase):
    def test_it_is_the_plain_one(self):
        for decay in DECAYS.values():
            plain, quick = Aggregate(**decay), Aggregates(**decay)
            stream = Stream(1)
            for first, end in ((0, 1), (1, 700), (700, 3000), (9000, 12000)):
                users, _, times, rows = stream.samples('mlp2', first, end)
                plain.add_all(users, times, rows)
                quick.add_all(users, times, rows)
            keys = sorted(plain.rows)
            self.assertEqual(keys, sorted(quick.places))
            for one, other in zip(plain.states(keys), quick.states(keys)):
                np.testing.assert_array_equal(one, other)


if __name__ == '__main__':
    harness.main()
