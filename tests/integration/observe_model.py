"""observe_model.py - aggregated cross representations in NumPy, by the formulas of PROTOCOL.md.

Each step is rounded to f32 as the daemon does it, so sums are compared bit for bit.
"""

import math

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


class Aggregates:
    """The same for long streams: one sample of each key at a time, of all keys together."""

    def __init__(self, events=1, half_life_ms=0, dim=64):
        self.events = np.float32(events)
        self.half_life_ms = half_life_ms
        self.places = {}    # key -> its row in what follows
        self.sums = np.zeros((0, dim), '<f4')
        self.weights = np.zeros(0, '<f4')   # 0: no sample yet
        self.lasts = np.zeros(0, '<i8')

    def places_of(self, keys):
        """The row of each of these keys, each of which comes once."""
        keys = keys.tolist()
        for key in keys:
            self.places.setdefault(key, len(self.places))
        missing = len(self.places) - len(self.sums)
        if missing > 0:
            missing += len(self.places)     # and some to come
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]), '<f4')])
            self.weights = np.concatenate([self.weights, np.zeros(missing, '<f4')])
            self.lasts = np.concatenate([self.lasts, np.zeros(missing, '<i8')])
        return np.array([self.places[key] for key in keys], np.int64)

    def faded(self, milliseconds):
        if self.half_life_ms == 0:
            return np.ones(len(milliseconds), '<f4')
        return np.array([math.exp2(-each / self.half_life_ms) for each in milliseconds.tolist()], '<f4')

    def add_all(self, keys, times, samples):
        if len(keys) == 0:
            return
        unique, inverse = np.unique(keys, return_inverse=True)
        places = self.places_of(unique)[inverse]
        by_place = np.argsort(places, kind='stable')
        begins = np.flatnonzero(np.diff(places[by_place], prepend=-1))
        lengths = np.diff(begins, append=len(keys))
        nth = np.arange(len(keys)) - np.repeat(begins, lengths)
        by_nth = by_place[np.argsort(nth, kind='stable')]
        for some in np.split(by_nth, np.cumsum(np.bincount(nth))[:-1]):
            self.add_one_each(places[some], times[some], samples[some].astype('<f4'))

    def add_one_each(self, places, times, samples):
        weights, lasts = self.weights[places], self.lasts[places]
        is_new = weights == 0
        is_late = ~is_new & (times < lasts)
        faded = self.faded(np.abs(times - lasts) * ~is_new)
        keep = np.where(is_late, self.events, self.events * faded)
        take = np.where(is_late, faded, np.float32(1))
        sums = keep[:, None] * self.sums[places] + take[:, None] * samples
        self.sums[places] = np.where(is_new[:, None], samples, sums)
        self.weights[places] = np.where(is_new, np.float32(1), keep * weights + take)
        self.lasts[places] = np.where(is_late, lasts, times)

    def states(self, keys):
        places = [self.places[key] for key in keys]
        return self.sums[places], self.weights[places], self.lasts[places]


def reading(name, sums, weights):
    """What a fetch gives, in f64."""
    sums = sums.astype('f8')
    if name == 'mean':
        return sums / weights.astype('f8')[:, None]
    if name == 'layer_norm':
        centred = sums - sums.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return sums
