"""test_layer_choose.py - choosing a layer is one step, for users and items together, and lasts.

Several processes fetch users' and items' aggregated rows in one request, without naming a layer, while
another connection chooses now one layer, now the other, and publishes and rolls back between two releases
that have choices of their own. Each row tells its release, its layer and its entity.
"""

import multiprocessing
import sys
import time

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402

CHANGES = 150
READERS = 3
USERS = 3000
ITEMS = 12000
DIM = 8
RELEASES = ('even', 'odd')
LAYERS = ('fm', 'mlp2')


def value_of(release, layer, entity):
    return 1 + RELEASES.index(release) * 4 + LAYERS.index(layer) * 2 + ('user', 'item').index(entity)


def mistake_of(answer):
    """What does not fit in a reply of a part of users and one of items, or None."""
    tables = [part['table'].split('@') for part in answer['parts']]
    if [name for name, _ in tables] != ['cr_user', 'cr_item'] or tables[0][1] != tables[1][1]:
        return 'resolved as %s' % [part['table'] for part in answer['parts']]
    layer = tables[0][1]
    for part, entity in zip(answer['parts'], ('user', 'item')):
        values = np.frombuffer(part['rows'], '<f4')
        if not (values == value_of(answer['release'], layer, entity)).all():
            return '%s of %s: %s' % (part['table'], answer['release'], np.unique(values))
        if not (np.frombuffer(part['weights'], '<f8') == value_of(answer['release'], layer, entity)).all():
            return 'weights of %s of %s' % (part['table'], answer['release'])
    return None


def fetch(client, users, items):
    return client.call('fetch', parts=[
        {'table': 'cr_' + entity, 'keys': keys.astype('<u8').tobytes(), 'weights': True}
        for entity, keys in (('user', users), ('item', items))])


def read(address, stop, out, seed):
    """Fetches until told to stop; puts (replies by release and layer, mistakes)."""
    random = np.random.default_rng(seed)
    counts = {}
    mistakes = []
    with harness.Client(address) as client:
        while not stop.is_set() and len(mistakes) < 5:
            large = random.integers(0, 10) == 0     # gathered in the pool
            answer = fetch(client, random.integers(0, USERS, 3), random.integers(0, ITEMS, 6000 if large else 60))
            mistake = mistake_of(answer)
            if mistake is not None:
                mistakes.append(mistake)
            served = '%s %s' % (answer['release'], answer['parts'][0]['table'])
            counts[served] = counts.get(served, 0) + 1
            time.sleep(harness.PAUSE_SECONDS)
    out.put((counts, mistakes))


class LayerChoose(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        self.chosen = {}    # release -> layer
        with self.daemon.client() as client:
            for release in RELEASES:
                self.make(client, release)
        self.live = RELEASES[0]

    def make(self, client, release):
        client.call('release.create', release=release)
        for layer in LAYERS:
            for entity, count in (('user', USERS), ('item', ITEMS)):
                table = 'cr_%s@%s' % (entity, layer)
                client.call('table.create', release=release, table=table, entity=entity, kind='cr', dim=DIM,
                            read='sum', decay_events=0.5)
                value = value_of(release, layer, entity)
                client.load(release, table, np.arange(count, dtype='<u8'), np.full((count, DIM), value, '<f4'),
                            weights=np.full(count, value, '<f8'))
        client.seal(release, publish=release == RELEASES[0])
        self.chosen[release] = LAYERS[0]    # the first one that it got

    def change(self, client, number):
        """Chooses another layer of one of the releases, or makes the other release live."""
        if number % 5 == 4:
            method = 'release.publish' if self.live == RELEASES[0] else 'release.rollback'
            self.live = RELEASES[1 - RELEASES.index(self.live)]
            self.assertEqual(client.call(method, **({'release': self.live} if method.endswith('publish') else {}))
                             ['release'], self.live)
            return
        release = RELEASES[number % 3 == 2]
        layer = LAYERS[1 - LAYERS.index(self.chosen[release])]
        named = 'live' if release == self.live and number % 2 == 0 else release
        self.assertEqual(client.call('layer.choose', release=named, layer=layer),
                         {'release': release, 'layer': layer, 'previous': self.chosen[release]})
        self.chosen[release] = layer

    def check(self, client):
        """What is chosen is served, by every way to it."""
        answer = fetch(client, np.arange(3), np.arange(5))
        self.assertIsNone(mistake_of(answer))
        self.assertEqual((answer['release'], answer['parts'][0]['table']),
                         (self.live, 'cr_user@' + self.chosen[self.live]))
        for release, layer in self.chosen.items():
            for entity in ('user', 'item'):
                value = value_of(release, layer, entity)
                self.assertEqual(client.fetch('cr_' + entity, [7], release=release)['table'],
                                 'cr_%s@%s' % (entity, layer))
                reply = client.call('scan', release=release, table='cr_' + entity, limit=10)
                self.assertTrue((np.frombuffer(reply['rows'], '<f4') == value).all())
                self.assertEqual(client.call('table.show', release=release, table='cr_' + entity)['table'],
                                 'cr_%s@%s' % (entity, layer))
            self.assertEqual({each['layer']: each['chosen'] for each in
                              client.call('layer.list', release=release)['layers']},
                             {each: each == layer for each in LAYERS})

    def test_fetches_see_one_layer(self):
        context = multiprocessing.get_context('spawn')
        stop = context.Event()
        out = context.Queue()
        readers = [context.Process(target=read, args=(self.daemon.address, stop, out, seed), daemon=True)
                   for seed in range(READERS)]
        for reader in readers:
            reader.start()
        others = [self.daemon.client() for _ in range(2)]   # opened before: of both loops
        for client in others:
            self.addCleanup(client.close)
        with self.daemon.client() as client:
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('stats')['connections']['open'] < READERS + 3:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.02)
            for number in range(CHANGES):
                self.change(client, number)
                for each in [client] + others:
                    self.check(each)
                harness.wait_for_fetches(client, READERS)
        stop.set()
        results = [out.get(timeout=harness.CALL_SECONDS) for _ in readers]
        for reader in readers:
            reader.join(harness.CALL_SECONDS)
        total = {}
        for counts, _ in results:
            for served, count in counts.items():
                total[served] = total.get(served, 0) + count
        print(total, flush=True)
        self.assertEqual([mistake for _, mistakes in results for mistake in mistakes], [])
        self.assertEqual(len(total), len(RELEASES) * len(LAYERS))

    def test_a_choice_lasts(self):
        """Over kill -9, restarts, merges, writes and choices of the other release."""
        for number in range(12):
            with self.daemon.client() as client:
                self.change(client, number)
                self.check(client)
                if number % 3 == 1:
                    client.call('put', release=self.live, table='cr_user', keys=[USERS + number],
                                rows=np.full(DIM, value_of(self.live, self.chosen[self.live], 'user'), '<f4').tobytes())
                    client.call('merge')
                    self.check(client)
            if number % 2 == 0:
                self.daemon.kill()
                self.daemon.start()
            else:
                self.daemon.restart()
            with self.daemon.client() as client:
                self.check(client)

    def test_what_cannot_be_chosen_changes_nothing(self):
        with self.daemon.client() as client:
            self.change(client, 0)
            client.call('release.create', release='open')
            with self.fails('NOT_FOUND', 'fm', 'open'):
                client.call('layer.choose', release='open', layer='fm')
            with self.fails('NOT_FOUND', "'dcn'"):
                client.call('layer.choose', release='live', layer='dcn')
            with self.fails('NOT_FOUND', "'nope'"):
                client.call('layer.choose', release='nope', layer='fm')
            with self.fails('BAD_REQUEST', 'layer'):
                client.call('layer.choose', release='live', layer='a b')
            with self.fails('BAD_REQUEST', 'layer'):
                client.call('layer.choose', release='live')
            with self.fails('NOT_FOUND', 'cr_user@dcn'):
                client.fetch('cr_user@dcn', [1])
            with self.fails('NOT_FOUND', 'cr_other'):
                client.fetch('cr_other', [1])
            self.check(client)

    def test_the_very_name_comes_first(self):
        """A table that is named so without a layer hides those of layers."""
        with self.daemon.client() as client:
            client.call('release.create', release='both')
            client.call('table.create', release='both', table='cr_user', entity='user', kind='ur', dim=2)
            for layer in LAYERS:
                client.call('table.create', release='both', table='cr_user@' + layer, entity='user', kind='cr', dim=DIM)
            client.seal('both', publish=False)
            client.call('layer.choose', release='both', layer=LAYERS[1])
            self.assertEqual(client.fetch('cr_user', [1], release='both')['table'], 'cr_user')
            self.assertEqual(client.fetch('cr_user@fm', [1], release='both')['table'], 'cr_user@fm')


if __name__ == '__main__':
    harness.main()
