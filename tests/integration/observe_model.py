"""observe_model.py - aggregated cross representations in NumPy, by the formulas of PROTOCOL.md.

Each step is rounded as the daemon does it, so sums are compared bit for bit.
"""

import decimal
import fractions

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


def nearest(numerator_of_128):
    """2^(n / 128), the nearest f64."""
    with decimal.localcontext() as context:
        context.prec = 60
        return float(fractions.Fraction((decimal.Decimal(2).ln() * numerator_of_128 / 128).exp()))


POWERS = np.array([nearest(n) for n in range(128)])
LN2_STEP = float.fromhex('0x1.62e42fefa39efp-8')
ROUNDER = 1.5 * 2.0 ** 52


def fading(y):
    """2^y for y <= 0, in the steps of the daemon's own."""
    y = np.asarray(y, '<f8')
    scaled = np.maximum(y, -1000) * 128
    whole = (scaled + ROUNDER) - ROUNDER
    r = (scaled - whole) * LN2_STEP
    series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120)))))
    n = whole.astype('<i8')
    return np.where(y < -1000, 0.0, np.ldexp(POWERS[n & 127] * series, n >> 7))


class Arithmetic:
    """How a table's `state` rounds."""

    def __init__(self, state):
        self.is_wide = state == 'f32x2'
        self.dtype = '<f8' if self.is_wide else '<f4'
        self.number = np.float64 if self.is_wide else np.float32

    def kept(self, sums):
        """A sum as it is kept: in f32x2 its upper 49 bits, in two f32."""
        if not self.is_wide:
            return sums
        scaled = sums * 17
        sums = scaled - (scaled - sums)
        high = sums.astype('<f4').astype('<f8')
        return high + (sums - high).astype('<f4').astype('<f8')

    def faded(self, milliseconds, half_life_ms):
        milliseconds = np.asarray(milliseconds, '<f8')
        if half_life_ms == 0:
            return np.ones(milliseconds.shape, self.dtype)
        return fading(-milliseconds / float(half_life_ms)).astype(self.dtype)


class Aggregate:
    """The table of one side: key -> [S, W, last]."""

    def __init__(self, events=1, half_life_ms=0, state='f32x2'):
        self.arithmetic = Arithmetic(state)
        self.number = self.arithmetic.number
        self.events = self.number(events)
        self.half_life_ms = half_life_ms
        self.rows = {}

    def faded(self, milliseconds):
        return self.number(self.arithmetic.faded(milliseconds, self.half_life_ms))

    def add(self, key, time, sample):
        sample = np.asarray(sample, '<f4').astype(self.number)
        if key not in self.rows:
            self.rows[key] = [sample.copy(), self.number(1), time]
            return
        sums, weight, last = self.rows[key]
        if time >= last:
            keep = self.number(self.events * self.faded(time - last))
            take = self.number(1)
            last = time
        else:
            keep = self.events
            take = self.faded(last - time)
        self.rows[key] = [self.arithmetic.kept(keep * sums + take * sample), self.number(keep * weight + take), last]

    def add_all(self, keys, times, samples):
        for key, time, sample in zip(keys.tolist(), times.tolist(), samples):
            self.add(key, time, sample)

    def states(self, keys):
        """(S, W, last) of keys, all of which are there; S and W in f64."""
        rows = [self.rows[key] for key in keys]
        return (np.array([row[0] for row in rows], '<f8'), np.array([row[1] for row in rows], '<f8'),
                np.array([row[2] for row in rows], '<i8'))


class Aggregates:
    """The same for long streams: one sample of each key at a time, of all keys together."""

    def __init__(self, events=1, half_life_ms=0, dim=64, state='f32x2'):
        self.arithmetic = Arithmetic(state)
        self.number = self.arithmetic.number
        self.events = self.number(events)
        self.half_life_ms = half_life_ms
        self.places = {}    # key -> its row in what follows
        self.sums = np.zeros((0, dim), self.number)
        self.weights = np.zeros(0, self.number)   # 0: no sample yet
        self.lasts = np.zeros(0, '<i8')

    def places_of(self, keys):
        """The row of each of these keys, each of which comes once."""
        keys = keys.tolist()
        for key in keys:
            self.places.setdefault(key, len(self.places))
        missing = len(self.places) - len(self.sums)
        if missing > 0:
            missing += len(self.places)     # and some to come
            self.sums = np.concatenate([self.sums, np.zeros((missing, self.sums.shape[1]), self.number)])
            self.weights = np.concatenate([self.weights, np.zeros(missing, self.number)])
            self.lasts = np.concatenate([self.lasts, np.zeros(missing, '<i8')])
        return np.array([self.places[key] for key in keys], np.int64)

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
            self.add_one_each(places[some], times[some], samples[some].astype('<f4').astype(self.number))

    def add_one_each(self, places, times, samples):
        weights, lasts = self.weights[places], self.lasts[places]
        is_new = weights == 0
        is_late = ~is_new & (times < lasts)
        faded = self.arithmetic.faded(np.abs(times - lasts) * ~is_new, self.half_life_ms)
        keep = np.where(is_late, self.events, self.events * faded)
        take = np.where(is_late, faded, self.number(1))
        sums = self.arithmetic.kept(keep[:, None] * self.sums[places] + take[:, None] * samples)
        self.sums[places] = np.where(is_new[:, None], samples, sums)
        self.weights[places] = np.where(is_new, self.number(1), keep * weights + take)
        self.lasts[places] = np.where(is_late, lasts, times)

    def states(self, keys):
        places = [self.places[key] for key in keys]
        return self.sums[places].astype('<f8'), self.weights[places].astype('<f8'), self.lasts[places]


def reading(name, sums, weights):
    """What a fetch gives, in f64."""
    sums = sums.astype('f8')
    if name == 'mean':
        return sums / weights.astype('f8')[:, None]
    if name == 'layer_norm':
        centred = sums - sums.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred ** 2).mean(axis=1, keepdims=True) + 1e-5)
    return sums
