"""test_table_stats.py - `repstore table stats` against NumPy: every figure, for tables of a trained
model and for those that a person should be warned of."""

import os

import numpy as np

import harness
import observe_model
from harness import MOVIELENS, as_f32, sample_rows

HOUR_MS = 3600 * 1000
SAMPLE_DEFAULT = 4096
MASK = (1 << 64) - 1


def movielens(name):
    return np.load(os.path.join(MOVIELENS, name + '.npy'))


def mix(z):
    z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
    return z ^ (z >> 31)


def reservoir(count, capacity, seed):
    """Which of `count` items algorithm R keeps, drawing by SplitMix64."""
    kept = list(range(min(count, capacity)))
    state = seed
    for i in range(capacity, count):
        state = (state + 0x9e3779b97f4a7c15) & MASK
        at = mix(state) % (i + 1)
        if at < capacity:
            kept[at] = i
    return kept


def distribution(values):
    """Nearest ranks: the smallest value that p percent of all do not exceed."""
    if len(values) == 0:
        return None
    ordered = np.sort(values)

    def rank(p):
        return ordered[(len(ordered) * p + 99) // 100 - 1]

    return {'min': ordered[0], 'p1': rank(1), 'p50': rank(50), 'p99': rank(99), 'max': ordered[-1],
            'mean': values.mean(), 'percentile_rows': len(values)}


def spectrum(matrix):
    """(singular values, information abundance, dims for 99 % of the energy)."""
    values = np.linalg.svd(matrix.astype('f8'), compute_uv=False)
    energy = np.cumsum(values ** 2)
    if energy[-1] == 0:
        return values, None, 0
    return values, values.sum() / values[0], int(np.searchsorted(energy, .99 * energy[-1]) + 1)


def cross_covariance(a, b):
    a = a.astype('f8') - a.mean(axis=0, dtype='f8')
    b = b.astype('f8') - b.mean(axis=0, dtype='f8')
    return np.abs(a.T @ b / (len(a) - 1)).mean()


class Stats(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def make(self, release, tables, publish=True):
        """A sealed release; tables: name -> (rows, options of its create and load)."""
        self.client.call('release.create', release=release)
        for name, (rows, options) in tables.items():
            load = {key: options[key] for key in ('times', 'scales', 'allow_nonfinite', 'any_time')
                    if key in options}
            spec = {key: options[key] for key in ('dim', 'views', 'dtype', 'ttl_ms')
                    if key in options}
            self.client.call('table.create', release=release, table=name, entity='user', kind='ur',
                             **{'dim': rows.shape[-1], **spec})
            if len(rows) > 0:
                keys = np.arange(len(rows), dtype='<u8') + 100
                self.client.load(release, name, keys, rows, **load)
        self.client.seal(release, publish=publish)

    def scanned(self, table, width):
        """(rows in f32, times) in the order of a scan."""
        rows = [np.empty((0, width), '<f4')]
        times = [np.empty(0, '<i8')]
        for reply in self.client.walk(table, dtype='f32'):
            rows.append(np.frombuffer(reply['rows'], '<f4').reshape(-1, width))
            times.append(np.frombuffer(reply['times'], '<i8'))
        return np.concatenate(rows), np.concatenate(times)

    def stats(self, place, *args):
        return self.daemon.command_json('table', 'stats', place, *args)[0]

    def assert_near(self, got, expected, scale=None):
        self.assertEqual(got is None, expected is None, (got, expected))
        if expected is not None:
            scale = np.max(np.abs(expected), initial=0) if scale is None else scale
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * scale + 1e-300)

    def assert_distribution(self, got, values):
        expected = distribution(values)
        self.assertEqual(got is None, expected is None)
        if expected is not None:
            self.assertEqual(got.keys(), expected.keys())
            for name, value in expected.items():
                self.assert_near(got[name], value, np.abs(values).max())

    def check_rows(self, said, rows, times):
        finite = np.isfinite(rows).all(axis=1)
        self.assertEqual(said['rows'], len(rows))
        self.assertEqual(said['zero'], int((rows == 0).all(axis=1).sum()))
        self.assertEqual(said['nonfinite'], int((~finite).sum()))
        self.assertEqual(said['future'], int((times > said['now_ms']).sum()))
        self.assert_distribution(said['norm'],
                                 np.linalg.norm(rows[finite].astype('f8'), axis=1))
        self.assert_distribution(said['age_ms'], (said['now_ms'] - times).astype('f8'))

    def check_views(self, said, sample, views):
        split = sample.reshape(len(sample), views, -1)
        if views == 1:
            self.assertEqual(said['each_view'], [])
            self.assertIsNone(said['pairs'])
            return
        for view, each in enumerate(said['each_view']):
            _, abundance, rank = spectrum(split[:, view])
            self.assertEqual((each['view'], each['effective_rank']), (view, rank))
            self.assert_near(each['information_abundance'], abundance)
        if len(sample) < 2:
            self.assertIsNone(said['pairs'])
            self.assertIsNone(said['pairs_mean'])
            return
        pairs = [(a, b) for a in range(views) for b in range(a + 1, views)]
        self.assertEqual([(pair['first'], pair['second']) for pair in said['pairs']], pairs)
        expected = [cross_covariance(split[:, a], split[:, b]) for a, b in pairs]
        scale = np.abs(sample.astype('f8')).max() ** 2
        self.assert_near([pair['mean_abs_covariance'] for pair in said['pairs']], expected, scale)
        self.assert_near(said['pairs_mean'], np.mean(expected), scale)

    def check_sample(self, said, rows, views, asked, seed):
        finite = rows[np.isfinite(rows).all(axis=1)]
        sample = finite[reservoir(len(finite), asked, seed)]
        self.assertEqual((said['rows'], said['rows_asked'], said['seed']),
                         (len(sample), asked, seed))
        if len(sample) == 0:
            self.assertEqual(said['singular_values'], [])
            self.assertIsNone(said['information_abundance'])
            self.assertIsNone(said['constant_dims'])
            self.assertIsNone(said['mean_abs_mean'])
            self.assertEqual(said['effective_rank'], 0)
            return
        values, abundance, rank = spectrum(sample)
        self.assertEqual(len(said['singular_values']), min(sample.shape))
        self.assert_near(said['singular_values'], values)
        self.assert_near(said['information_abundance'], abundance)
        self.assertEqual(said['effective_rank'], rank)
        constant = np.flatnonzero((sample == sample[0]).all(axis=0)).tolist()
        self.assertEqual(said['constant_dims'], constant if len(sample) > 1 else None)
        self.assert_near(said['mean_abs_mean'], np.abs(sample.mean(axis=0, dtype='f8')).mean(),
                         np.abs(sample).max())
        self.check_views(said, sample, views)

    def check(self, table, width, views=1, sample=None, seed=0):
        """Compares all that is said of a table of the live release; returns it."""
        args = [] if sample is None else ['--sample', sample]
        said = self.stats('live/' + table, *args, *(['--seed', seed] if seed else []))
        rows, times = self.scanned(table, width)
        self.assertEqual((said['table'], said['dim'] * said['views'], said['views']),
                         (table, width, views))
        self.check_rows(said, rows, times)
        self.check_sample(said['sample'], rows, views, sample or SAMPLE_DEFAULT, seed)
        return said


class Healthy(Stats):
    def test_tables_of_a_trained_model(self):
        tables = {'ur': movielens('ur'), 'ir': movielens('ir'), 'cr': movielens('cr_mlp2')}
        self.make('r1', {name: (rows, {'dtype': 'f16'}) for name, rows in tables.items()})
        for name, rows in tables.items():
            said = self.check(name, 64)
            self.assertEqual((said['release'], said['dtype'], said['rows'], said['expired']),
                             ('r1', 'f16', len(rows), 0))
            self.check(name, 64, sample=500, seed=9)
            self.check(name, 64, sample=10 * len(rows), seed=MASK)
        # What the scan gave is what was imported.
        said = self.stats('r1/ur')
        self.assert_near(said['sample']['singular_values'], spectrum(tables['ur'])[0])
        self.assertEqual(said['zero'], int((tables['ur'] == 0).all(axis=1).sum()))

    def test_views(self):
        random = np.random.default_rng(5)
        views = random.standard_normal((6000, 3, 20)).astype('<f4')
        views[:, 1] *= 0.1
        views[:, 2] = views[:, 0] + 0.5 * views[:, 2]     # repeats the first
        views[:, 1, 7] = 3
        self.make('r1', {'v': (views.reshape(6000, 60), {'dim': 20, 'views': 3})})
        said = self.check('v', 60, views=3)
        pairs = {(pair['first'], pair['second']): pair['mean_abs_covariance']
                 for pair in said['sample']['pairs']}
        self.assertGreater(pairs[0, 2], 2 * pairs[0, 1])
        self.assertEqual(said['sample']['constant_dims'], [27])
        self.check('v', 60, views=3, sample=1)
        self.check('v', 60, views=3, sample=2)
        self.check('v', 60, views=3, sample=37, seed=1)

    def test_every_dtype(self):
        tables = {}
        for dtype in ('f32', 'f16', 'bf16', 'i8', 'bit'):
            rows, scales = sample_rows(dtype, 700, 13, 2)
            options = {'dim': 13, 'views': 2, 'dtype': dtype}
            if scales is not None:
                options['scales'] = scales
            tables['t' + dtype] = (rows, options)
        self.make('r1', tables)
        for name, (rows, options) in tables.items():
            said = self.check(name, 26, views=2)
            meant = as_f32(options['dtype'], rows, options.get('scales'), 13, 2)
            self.assert_near(said['norm']['mean'],
                             np.linalg.norm(meant.astype('f8'), axis=1).mean())
            self.check(name, 26, views=2, sample=11, seed=4)

    def test_rows_wider_than_the_sample(self):
        rows = np.random.default_rng(1).standard_normal((50, 3000)).astype('<f4')
        self.make('r1', {'wide': (rows, {})})
        self.check('wide', 3000, sample=20)
        self.assertEqual(self.stats('live/wide')['sample']['rows'], 50)

    def test_a_seed_decides(self):
        self.make('r1', {'ir': (movielens('ir'), {'dtype': 'f16'})})
        one, again, other = (self.stats('live/ir', '--seed', seed)['sample'] for seed in (1, 1, 2))
        self.assertEqual(one, again)
        self.assertNotEqual(one['singular_values'], other['singular_values'])

    def test_rows_that_are_written_count(self):
        self.make('r1', {'t': (np.ones((10, 4), '<f4'), {})})
        self.client.call('put', release='live', table='t', keys=harness.packed([100, 7]),
                         rows=np.full((2, 4), 5, '<f4').tobytes())
        said = self.check('t', 4)
        self.assertEqual((said['rows'], said['norm']['max']), (11, 10))
        self.assertEqual(said['expired'], 0)


class Aggregated(Stats):
    """Tables of kind cr: the figures are of what a fetch reads, not of the sums."""

    def observe(self, readings, views=2):
        """Layers of these readings, all of MovieLens' samples; returns the states of users and items."""
        users, items, times, rows = observe_model.movielens('mlp2')
        self.client.call('release.create', release='r')
        for reading in readings:
            for entity in ('user', 'item'):
                self.client.call('table.create', release='r', table='cr_%s@%s' % (entity, reading), entity=entity,
                                 kind='cr', dim=64 // views, views=views, read=reading, decay_events=0.9)
        self.client.seal('r')
        for reading in readings:
            self.client.call('observe', release='r', layer=reading, users=harness.packed(users), dtype='f16',
                             items=harness.packed(items), times=times.astype('<i8').tobytes(), rows=rows.tobytes())
        states = []
        for keys in (users, items):
            model = observe_model.Aggregates(events=0.9)
            model.add_all(keys, times, rows)
            states.append(model.states(list(model.places)))
        return states

    def check_reading(self, entity, reading, state):
        sums, weights, lasts = state
        said = self.check('cr_%s@%s' % (entity, reading), 64, views=2)
        meant = observe_model.reading(reading, sums, weights)
        norms = np.linalg.norm(meant, axis=1)
        for name, value in (('min', norms.min()), ('max', norms.max()), ('mean', norms.mean())):
            self.assertLess(abs(said['norm'][name] - value), 1e-5 * norms.max(), name)
        self.assertEqual(said['rows'], len(sums))
        self.assertEqual(said['age_ms']['min'], said['now_ms'] - lasts.max())
        return said

    def test_what_is_read(self):
        readings = ('sum', 'mean', 'layer_norm')
        states = self.observe(readings)
        for merged in (False, True):
            for reading in readings:
                for entity, state in zip(('user', 'item'), states):
                    self.check_reading(entity, reading, state)
            self.client.call('merge')
        self.check('cr_item@mean', 64, views=2, sample=300, seed=3)
        shown = self.daemon.command('table', 'stats', 'r/cr_item@layer_norm')
        self.assertIn('r/cr_item@layer_norm: 2 x 32 f32', shown)
        self.assertIn('information abundance', shown)

    def test_the_chosen_layer_is_named(self):
        states = self.observe(('sum', 'mean'))
        for layer in ('mean', 'sum'):
            self.client.call('layer.choose', release='r', layer=layer)
            said = self.stats('live/cr_user')
            self.assertEqual(said['table'], 'cr_user@' + layer)
            norms = np.linalg.norm(observe_model.reading(layer, *states[0][:2]), axis=1)
            self.assertLess(abs(said['norm']['max'] - norms.max()), 1e-5 * norms.max())
            self.assertIn('r/cr_user@' + layer, self.daemon.command('table', 'stats', 'live/cr_user'))


class Suspect(Stats):
    def test_an_empty_table(self):
        self.make('r1', {'e': (np.empty((0, 8), '<f4'), {'views': 2, 'dim': 4})})
        said = self.check('e', 8, views=2)
        self.assertEqual(said['rows'], 0)
        self.assertIn('rows', self.daemon.command('table', 'stats', 'live/e'))

    def test_one_row(self):
        self.make('r1', {'one': (np.array([[3, 4, 0, 12]], '<f4'), {'views': 2, 'dim': 2})})
        said = self.check('one', 4, views=2)
        self.assertEqual(said['norm']['p50'], 13)
        self.assertEqual(said['sample']['singular_values'], [13])
        self.daemon.command('table', 'stats', 'live/one')

    def test_zeros(self):
        self.make('r1', {'z': (np.zeros((30, 6), '<f4'), {'views': 3, 'dim': 2})})
        said = self.check('z', 6, views=3)
        self.assertEqual(said['zero'], 30)
        self.assertIsNone(said['sample']['information_abundance'])
        self.assertIn('none', self.daemon.command('table', 'stats', 'live/z'))

    def test_collapse(self):
        random = np.random.default_rng(2)
        line = random.standard_normal((500, 1)) * random.standard_normal(32)
        plane = random.standard_normal((500, 2)) @ random.standard_normal((2, 32))
        self.make('r1', {'line': (line.astype('<f4'), {}), 'plane': (plane.astype('<f4'), {})})
        self.assertEqual(self.check('line', 32)['sample']['effective_rank'], 1)
        self.assertEqual(self.check('plane', 32)['sample']['effective_rank'], 2)

    def test_rows_that_are_not_finite(self):
        rows = np.random.default_rng(3).standard_normal((900, 8)).astype('<f4')
        rows[::7, 3] = np.nan
        rows[5::11, 7] = np.inf
        rows[6::13, 0] = -np.inf
        none = np.full((3, 8), np.nan, '<f4')
        self.make('r1', {'n': (rows, {'allow_nonfinite': True, 'views': 2, 'dim': 4}),
                         'none': (none, {'allow_nonfinite': True})})
        self.check('n', 8, views=2)
        self.check('n', 8, views=2, sample=50)
        said = self.check('none', 8)
        self.assertEqual((said['nonfinite'], said['norm']), (3, None))
        self.daemon.command('table', 'stats', 'live/none')

    def test_times(self):
        now = harness.now_ms()
        ages = np.arange(100) * HOUR_MS                       # 0 to 99 hours
        ages[:3] = -5 * HOUR_MS                               # of the future
        times = (now - ages).astype('<i8')
        rows = np.ones((100, 4), '<f4')
        # An age of exactly the ttl could be on either side.
        self.make('r1', {'t': (rows, {'times': times, 'any_time': True, 'ttl_ms': 48 * HOUR_MS + HOUR_MS // 2}),
                         'all': (rows, {'times': times, 'any_time': True})})
        said = self.check('t', 4)
        self.assertEqual((said['rows'], said['expired'], said['future']), (49, 51, 3))
        said = self.check('all', 4)
        self.assertEqual((said['rows'], said['expired'], said['future']), (100, 0, 3))
        self.assertAlmostEqual(said['age_ms']['max'], 99 * HOUR_MS, delta=HOUR_MS / 2)
        text = self.daemon.command('table', 'stats', 'live/all')
        self.assertIn('4d 3h', text)
        self.assertIn('in 4h 59m', text)
        # What waits in the log hides how many are stored.
        self.client.call('put', release='live', table='t', keys=harness.packed([1]),
                         rows=rows[:1].tobytes())
        self.assertIsNone(self.stats('live/t')['expired'])
        self.assertIn('pending', self.daemon.command('table', 'stats', 'live/t'))
        self.client.call('merge')
        said = self.check('t', 4)
        self.assertEqual(said['rows'], 50)
        self.assertIsNotNone(said['expired'])


class Arguments(Stats):
    def setUp(self):
        super().setUp()
        rows = np.random.default_rng(4).standard_normal((40, 64)).astype('<f4')
        wide = np.zeros((3, 65536), '<f4')
        self.make('r1', {'t': (rows, {'views': 32, 'dim': 2}), 'wide': (wide, {})})

    def refused(self, *args, status=1):
        return self.daemon.command('table', 'stats', *args, fails=status)

    def test_what_is_wrong_is_named(self):
        self.assertIn("'urs' is not in release 'r1'", self.refused('r1/urs'))
        self.assertIn("'r9' does not exist", self.refused('r9/t'))
        self.assertIn('RELEASE/TABLE', self.refused('t/', status=2))
        self.assertIn('RELEASE/TABLE', self.refused(status=2))
        self.assertIn('RELEASE/TABLE', self.refused('r1/t', 'r1/wide', status=2))
        self.assertIn('--sample: 0 given', self.refused('r1/t', '--sample', '0', status=2))
        self.assertIn('--sample', self.refused('r1/t', '--sample', 'all', status=2))
        self.assertIn('--seed', self.refused('r1/t', '--seed', '-1', status=2))

    def test_memory_is_bounded(self):
        for table, most in (('t', (1 << 30) // (64 * 12)), ('wide', (1 << 30) // (65536 * 12))):
            says = self.refused('r1/' + table, '--sample', most + 1)
            self.assertIn('at most %d' % most, says)
            self.assertIn('TOO_LARGE', says)
            self.stats('r1/' + table, '--sample', most)
        said = self.stats('r1/wide')
        self.assertLess(said['sample']['rows_asked'], SAMPLE_DEFAULT)

    def test_an_open_release_has_no_rows_to_look_at(self):
        self.client.call('release.create', release='r2')
        self.client.call('table.create', release='r2', table='t', entity='user', kind='ur', dim=2)
        self.assertIn('NOT_SEALED', self.refused('r2/t'))

    def test_damage_is_said(self):
        path, = (path for path in self.daemon.files() if os.path.basename(path).startswith('base-')
                 and os.path.getsize(os.path.join(self.daemon.data, path)) < 1 << 19)
        self.daemon.stop()
        with open(os.path.join(self.daemon.data, path), 'r+b') as file:
            file.seek(-9000, os.SEEK_END)
            file.write(b'damage')
        self.daemon.start()
        self.assertIn('CORRUPT', self.refused('r1/t'))

    def test_a_person_reads(self):
        text = self.daemon.command('table', 'stats', 'live/t', '--seed', '3')
        for words in ('r1/t: 32 x 2 f32', 'zero rows', 'in a sample of 40 rows (seed 3), 64 dims',
                      'singular values', 'information abundance', '99 %', 'MEAN |COVARIANCE|',
                      'mean of 496', 'and 16 more'):
            self.assertIn(words, text)
        self.assertIn('table stats', self.daemon.command('help', 'table'))


if __name__ == '__main__':
    harness.main()
