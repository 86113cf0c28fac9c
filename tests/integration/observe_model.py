"""observe_model.py - aggregated cross representations in NumPy, by the formulas of PROTOCOL.md.

Each step is rounded to f32 as the daemon does it, so sums are compared bit for bit.
"""

import numpy as np

import harness

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS


def movielens(layer):
    """(users, items, times in ms, CR(u,i) in f16) of the samples at a layer, in the order of time."""
    def load(name):
        return np.load('%s/%s.npy' % (harness.MOVIELENS, name))
    return (load('cr_user').astype('<u8'), load('cr_item').astype('<u8'), load('cr_time').astype('<i8') * 1000,
            load('cr_' + layer).astype('<f2'))


class Aggregate:
    """The table of one side: key -> [S, W, last]."""

    def __init__(self, events=1, half_life_ms=0):
        self.events = np.float32(events)
        self.half_life_ms = half_life_ms
        self.rows = {}

    def faded(self, milliseconds):
        if self.half_life_ms == 0:
            return np.float32(1)
        return np.float32(np.exp2(-float(milliseconds) / float(self.half_life_ms)))

    def add(self, key, time, sample):
        sample = np.asarray(sample, '<f4')
        if key not in self.rows:
            self.rows[key] = [sample.copy(), np.float32(1), time]
            return
        sums, weight, last = self.rows[key]
        if time >= last:
            keep = np.float32(self.events * self.faded(time - last))
            take = np.float32(1)
            last = time
        else:
            keep = self.events
            take = self.faded(last - time)
        self.rows[key] = [keep * sums + take * sample, np.float32(keep * weight + take), last]

    def add_all(self, keys, times, samples):
        for key, time, sample in zip(keys.tolist(), times.tolist(), samples):
            self.add(key, time, sample)

    def states(self, keys):
        """(S, W, last) of keys, all of which are there."""
        rows = [self.rows[key] for key in keys]
        return (np.array([row[0] for row in rows], '<f4'), np.array([row[1] for row in rows], '<f4'),
                np.array([row[2] for row in rows], '<i8'))


def reading(name, sums, weights):
    """What a fetch gives, in f64."""
    sums = sums.astype('f8')
    if name == 'mean':
        return sums / weights.astype('f8')[:, None]
    if name == 'layer_norm':
        centred = sums - sums.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return sums
