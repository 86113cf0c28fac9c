"""observe_source.py - numbered samples without end, and a process that sends them and may be killed."""

import collections
import ctypes
import time

import numpy as np

import harness
from harness import Closed, Failed
from observe_model import DAY_MS, movielens

SOURCES = 2
LAYERS = ('fm', 'mlp2')
IN_FLIGHT = 8
SIZES = (1, 1, 2, 7, 30, 120)
OVERLAP = 150       # samples that are sent again
RELEASES = 4096     # numbers of releases, at most


def item_key(layer, number):
    """Items of one of the layers have byte strings as keys."""
    return number if layer == 'fm' else b'item-%d' % number


class Stream:
    """The samples of a source, numbered from 0 on: MovieLens' again and again, some of them late."""

    def __init__(self, source):
        self.users, self.items, self.times, rows = movielens('fm')
        self.rows = {'fm': rows, 'mlp2': movielens('mlp2')[3]}
        self.times = self.times - self.times[0]
        self.length = self.times[-1] + DAY_MS
        self.source = source
        count = len(self.users)
        # Sources have keys of their own, or the order among them would show.
        self.order = np.argsort(np.arange(count) + np.random.default_rng(source).uniform(0, 50, count))

    def samples(self, layer, first, end):
        """(users, items, times, rows) of samples first..end."""
        positions = np.arange(first, end)
        laps, at = positions // len(self.order), self.order[positions % len(self.order)]
        others = (laps % 2 * SOURCES + self.source) << 20
        return (self.users[at] + others.astype('<u8'), self.items[at] + others.astype('<u8'),
                self.times[at] + laps % 30 * self.length, self.rows[layer][at])

    def params(self, release, layer, first, end, dtype):
        users, items, times, rows = self.samples(layer, first, end)
        items = harness.packed(items if layer == 'fm' else [item_key(layer, item) for item in items.tolist()])
        return dict(release=release, layer=layer, users=harness.packed(users), items=items, dtype=dtype,
                    times=times.astype('<i8').tobytes(), rows=rows.astype(harness.DTYPES[dtype]).tobytes(),
                    source='p%d' % self.source, position=first)


def positions_of(client, release, source):
    """What is counted of a source in a release: {layer: next}."""
    told = client.call('positions', release=release)
    return told['release'], {each['layer']: each['next'] for each in told['positions']
                             if each['source'] == 'p%d' % source}


def number_of(release):
    return int(release[1:])


# ---- a process that is one source ----

class Shared:
    """What the test and one source have in common; no lock, which a killed one could hold."""
    COUNTS = ('batches', 'samples', 'again', 'gaps', 'connections')

    def __init__(self, context):
        self.hold = context.Value(ctypes.c_bool, False, lock=False)     # the daemon is away
        self.stop = context.Value(ctypes.c_bool, False, lock=False)
        self.acked = context.Array(ctypes.c_uint64, RELEASES * len(LAYERS), lock=False)
        self.counts = context.Array(ctypes.c_uint64, len(self.COUNTS), lock=False)

    def count(self, name, number=1):
        self.counts[self.COUNTS.index(name)] += number

    def note(self, release, layer, position):
        at = number_of(release) * len(LAYERS) + LAYERS.index(layer)
        self.acked[at] = max(self.acked[at], position)


class Source:
    def __init__(self, source, shared, seed):
        self.stream = Stream(source)
        self.shared = shared
        self.random = np.random.default_rng(seed)
        self.next = {}
        self.waiting = collections.deque()

    def ask(self, client):
        _, self.next = positions_of(client, 'live', self.stream.source)
        assert sorted(self.next) == sorted(LAYERS), self.next

    def send(self, client):
        layer = LAYERS[self.random.integers(len(LAYERS))]
        first = self.next[layer]
        if self.random.random() < 0.15:
            first -= min(first, int(self.random.integers(1, OVERLAP)))
        end = first + SIZES[self.random.integers(len(SIZES))]
        dtype = ('f16', 'f32')[self.random.integers(2)]
        msgid = client.send('observe', self.stream.params('live', layer, first, end, dtype))
        self.waiting.append((msgid, layer, first, end))
        self.next[layer] = max(self.next[layer], end)

    def take(self, client):
        """The answer to the oldest batch; False: it has to be sent again."""
        msgid, layer, first, end = self.waiting.popleft()
        try:
            answer = client.wait(msgid)
        except Failed as failed:
            if failed.code not in ('GAP', 'BUSY'):
                raise
            self.shared.count('gaps', failed.code == 'GAP')
            return False
        assert answer['next'] >= end and answer['applied'] <= end - first, (answer, first, end)
        assert answer['applied'] == 0 or answer['next'] == end, (answer, first, end)
        self.shared.note(answer['release'], layer, answer['next'])
        self.shared.count('batches')
        self.shared.count('samples', answer['applied'])
        self.shared.count('again', end - first - answer['applied'])
        self.next[layer] = max(self.next[layer], answer['next'])    # of a release that is further on
        return True

    def run(self, client):
        self.waiting.clear()
        self.ask(client)
        while not self.shared.stop.value or self.waiting:
            while len(self.waiting) < IN_FLIGHT and not self.shared.stop.value:
                self.send(client)
            if not self.take(client):
                while self.waiting:
                    self.take(client)
                self.ask(client)
            time.sleep(float(self.random.uniform(0, 0.002)))


def send_samples(address, number, shared, seed):
    source = Source(number, shared, seed)
    while not shared.stop.value:
        if shared.hold.value:
            time.sleep(0.002)
            continue
        try:
            with harness.Client(address) as client:
                shared.count('connections')
                source.run(client)
        except (Closed, FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.002)
