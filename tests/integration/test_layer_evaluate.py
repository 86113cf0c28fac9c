"""test_layer_evaluate.py - which layer ranks best: the command's figures against NumPy, and what may not
leak into them. A daemon is asked by --from only."""

import json
import os
import subprocess

import numpy as np

import harness
from harness import MOVIELENS

COLUMNS = ('users', 'items', 'times', 'labels')
DAY_MS = 86400 * 1000


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.logaddexp(0, z)


def auc_of(scores, labels):
    """Every pair, ties counted half; None without both classes."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    if not len(positive) or not len(negative):
        return None
    order = np.sort(negative)
    right = np.searchsorted(order, positive, 'left') + np.searchsorted(order, positive, 'right')
    return right.sum() / 2 / (len(positive) * len(negative))


def gauc_of(scores, labels, users):
    """(GAUC, users, samples)."""
    total, count, samples = 0, 0, 0
    for user in np.unique(users):
        mine = users == user
        auc = auc_of(scores[mine], labels[mine])
        if auc is not None:
            total += auc * mine.sum()
            count += 1
            samples += mine.sum()
    return total / samples if samples else None, count, int(samples)


def figures_of(scores, labels, users, batch=256, alpha=0.5, weight=1.0):
    """What the command says of scores, from the definitions."""
    losses = np.where(labels == 1, softplus(-scores), softplus(scores))
    weights = np.where(labels == 1, weight, 1)
    pairs, slopes, batches = [], np.zeros(len(scores)), 0
    for first in range(0, len(scores), batch):
        z, y = scores[first:first + batch], labels[first:first + batch]
        batches += 1
        if 0 < y.sum() < len(y):
            off = z[y == 1][:, None] - z[y == 0][None, :]
            pairs.append(softplus(-off).mean())
            slopes[first:first + batch][y == 0] = sigmoid(-off).sum(0) / off.size * len(y)
    gauc, gauc_users, gauc_samples = gauc_of(scores, labels, users)
    negative = labels == 0
    pair = np.mean(pairs) if pairs else None
    weighted = (weights * losses).mean()
    bce_slope, pair_slope = sigmoid(scores[negative]).mean(), slopes[negative].mean()
    return {'auc': auc_of(scores, labels), 'gauc': gauc, 'gauc_users': gauc_users,
            'gauc_samples': gauc_samples, 'log_loss': losses.mean(), 'weighted_log_loss': weighted,
            'pair_loss': pair, 'batches': batches, 'pair_batches': len(pairs),
            'combined_loss': pair and alpha * weighted + (1 - alpha) * pair,
            'bce': bce_slope, 'pair': pair_slope,
            'combined': alpha * bce_slope + (1 - alpha) * pair_slope}


def read_of(state, reading):
    total, weight, _ = state
    if reading == 'sum':
        return total
    if reading == 'mean':
        return total / weight
    wide = total.astype('f8')
    return ((wide - wide.mean()) / np.sqrt(wide.var() + 1e-5)).astype('f4')


def history_of(users, items, times, vectors, events=0.99, half_life=0, reading='layer_norm'):
    """CR(u) and CR(i) before each sample, and which were there; times do not fall."""
    states = ({}, {})
    reads = np.zeros((2, len(users), vectors.shape[1]), 'f4')
    there = np.zeros((2, len(users)), bool)
    for now in np.unique(times):
        at = np.flatnonzero(times == now)
        for k in at:
            for side, key in enumerate((users[k], items[k])):
                if key in states[side]:
                    reads[side, k] = read_of(states[side][key], reading)
                    there[side, k] = True
        for k in at:
            for side, key in enumerate((users[k], items[k])):
                if key not in states[side]:
                    states[side][key] = (vectors[k], np.float32(1), now)
                    continue
                total, weight, last = states[side][key]
                keep = np.float32(events)
                if half_life:
                    keep *= np.float32(2.0 ** (-float(now - last) / half_life))
                states[side][key] = (keep * total + vectors[k], keep * weight + np.float32(1), now)
    return reads, there


def features_of(reads, there, cut):
    """Standardised as the help says."""
    wide = reads.astype('f8')
    parts = [(wide[0], there[0]), (wide[1], there[1]), (wide[0] * wide[1], there[0] & there[1])]
    parts += [((~flag).astype('f8')[:, None], np.ones(len(flag), bool)) for flag in there]
    columns = []
    for values, flag in parts:
        seen = values[:cut][flag[:cut]]
        mean = seen.mean(0) if len(seen) else np.zeros(values.shape[1])
        deviation = seen.std(0) if len(seen) else np.zeros(values.shape[1])
        scale = np.where(deviation > 1e-9 * np.abs(mean), 1, 0) / np.where(deviation > 0, deviation, 1)
        columns.append(np.where(flag[:, None], (values - mean) * scale, 0))
    return np.hstack(columns)


def least_loss(features, labels, l2):
    """The weights (and bias) of the least mean BCE + l2 / 2 |w|^2, by Newton's method."""
    x = np.hstack([features, np.ones((len(features), 1))])
    ridge = np.full(x.shape[1], l2)
    ridge[-1] = 0
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ w)
        gradient = x.T @ (p - labels) / len(x) + ridge * w
        curve = (x * (p * (1 - p))[:, None]).T @ x / len(x) + np.diag(ridge + 1e-12)
        step = np.linalg.solve(curve, gradient)
        w -= step
        if np.abs(step).max() < 1e-12:
            break
    return w


class Case(harness.Case):
    def save(self, name, array):
        path = self.path(name + '.npy')
        np.save(path, array)
        return path

    def run_command(self, *args, status=0):
        done = subprocess.run([harness.program('repstore'), 'layer', 'evaluate']
                              + [str(arg) for arg in args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS,
                              env=dict(os.environ, REPSTORE='/nonexistent/socket'))
        says = done.stderr.decode()
        self.assertEqual(done.returncode, status, says)
        return says if status else done.stdout.decode()

    def arguments(self, columns, layers):
        args = ['--any-time']   # made-up times begin at 0
        for name, array in zip(COLUMNS, columns):
            args += ['--' + name, array if isinstance(array, str) else self.save(name, array)]
        for name, array in layers.items():
            args += ['--layer', '%s=%s' % (
                name, array if isinstance(array, str) else self.save('cr-' + name, array))]
        return args

    def evaluate(self, columns, layers, *args):
        """(the document, the scores [n, layers])."""
        scores = self.path('scores.npy')
        said = json.loads(self.run_command(*self.arguments(columns, layers), '--json', '--scores',
                                           scores, *args))
        return said, np.load(scores)

    def assert_figures(self, said, expected):
        said = dict(said, **said['gradient_on_negatives'])
        for name, value in expected.items():
            if isinstance(value, float):
                self.assertAlmostEqual(said[name], value, delta=1e-10, msg=name)
            else:
                self.assertEqual(said[name], value, name)


def made(count=3000, dim=4, users=50, items=80, seed=1):
    """Samples in which some items are liked, and one user in two likes the others; vectors tell of
    that with noise. Times come one to five times."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, users, count), random.integers(0, items, count)
    liked = (user + item) % 2
    labels = (random.random(count) < np.where(liked, 0.6, 0.1)).astype('u1')
    vectors = random.standard_normal((count, dim)).astype('f4')
    vectors[:, 0] += 2 * (user % 2) - 1
    vectors[:, 1] += 2 * (item % 2) - 1
    times = np.sort(random.integers(0, count // 3, count)).astype('i8') * 3600000
    return (user.astype('u8'), item.astype('u8'), times, labels), vectors


def cut_of(times, share=0.5):
    cut = int(share * len(times))
    while cut and times[cut] == times[cut - 1]:
        cut -= 1
    return cut


class MovieLens(Case):
    """The samples of a trained model, two layers."""

    def setUp(self):
        super().setUp()
        self.files = [os.path.join(MOVIELENS, 'cr_%s.npy' % name)
                      for name in ('user', 'item', 'time', 'label')]
        self.layers = {name: os.path.join(MOVIELENS, 'cr_%s.npy' % name) for name in ('fm', 'mlp2')}
        self.users, self.items, self.times, self.labels = (np.load(path) for path in self.files)

    def test_figures_are_those_of_numpy(self):
        for args, options in (
                ([], {}),
                (['--loss', 'pair', '--batch', 100], {'batch': 100}),
                (['--loss', 'both', '--alpha', 0.25, '--positive-weight', 3, '--train', 0.7],
                 {'alpha': 0.25, 'weight': 3.0})):
            said, scores = self.evaluate(self.files, self.layers, '--time-unit', 's', *args)
            cut = said['fitted']['samples']
            self.assertEqual(cut, cut_of(self.times, said['settings']['train']))
            self.assertEqual(said['evaluated']['positives'], int(self.labels[cut:].sum()))
            self.assertEqual(said['evaluated']['users'], len(np.unique(self.users[cut:])))
            self.assertEqual(said['fitted']['first_ms'], int(self.times[0]) * 1000)
            self.assertEqual(scores.shape, (len(self.times) - cut, 2))
            for i, layer in enumerate(said['layers']):
                self.assertEqual(layer['layer'], list(self.layers)[i])
                self.assert_figures(layer, figures_of(scores[:, i], self.labels[cut:],
                                                      self.users[cut:], **options))
                low, high = layer['auc_interval']
                self.assertTrue(0.5 < low < layer['auc'] < high < 1, layer)
            self.assertEqual(said['best']['layer'], 'mlp2')
            self.assertEqual(said['best']['next'], 'fm')
            self.assertGreater(said['best']['auc_difference_interval'][0], 0)
            self.assertEqual(said['constant']['auc'], 0.5)

    def test_scores_are_those_of_the_least_loss(self):
        """Fitted long enough, the probe is what another method finds on features made by NumPy."""
        said, scores = self.evaluate(self.files, self.layers, '--time-unit', 's', '--epochs', 200,
                                     '--l2', 0.1)
        cut = said['fitted']['samples']
        for i, name in enumerate(self.layers):
            vectors = np.load(self.layers[name]).astype('f4')
            reads, there = history_of(self.users, self.items, self.times, vectors)
            both = there[0] & there[1]
            self.assertEqual(said['layers'][i]['both_crs_fitted'], int(both[:cut].sum()))
            self.assertEqual(said['layers'][i]['both_crs_evaluated'], int(both[cut:].sum()))
            features = features_of(reads, there, cut)
            w = least_loss(features[:cut], self.labels[:cut], 0.1)
            expected = features[cut:] @ w[:-1] + w[-1]
            self.assertLess(np.abs(scores[:, i] - expected).mean(), 0.02)
            self.assertAlmostEqual(auc_of(scores[:, i], self.labels[cut:]),
                                   auc_of(expected, self.labels[cut:]), delta=0.002)

    def test_a_person_can_decide(self):
        said = self.run_command(*self.arguments(self.files, self.layers), '--time-unit', 's')
        lines = said.splitlines()
        self.assertRegex(said, r'(?m)^mlp2 +64 +78\.\d% +0\.7\d+ +0\.\d+-0\.\d+ +0\.6\d+ +46$')
        self.assertLess(said.index('\nmlp2'), said.index('\nfm'))
        self.assertRegex(lines[-1], r'^best by AUC: mlp2, 0\.7\d+; its interval \w.* fm, .*chance$')
        self.assertEqual(said, self.run_command(*self.arguments(self.files, self.layers),
                                                '--time-unit', 's'))

    def test_rare_positives(self):
        """With few positives BCE's gradient on negatives is small, and the pair loss's is not."""
        random = np.random.default_rng(3)
        keep = (self.labels == 0) | (random.random(len(self.labels)) < 0.02)
        columns = [column[keep] for column in (self.users, self.items, self.times, self.labels)]
        layers = {'mlp2': np.load(self.layers['mlp2'])[keep]}
        for loss in ('bce', 'both'):
            said, scores = self.evaluate(columns, layers, '--time-unit', 's', '--batch', 64,
                                         '--loss', loss)
            cut = said['fitted']['samples']
            figures = said['layers'][0]
            self.assert_figures(figures, figures_of(scores[:, 0], columns[3][cut:],
                                                    columns[0][cut:], batch=64))
            self.assertLess(figures['pair_batches'], figures['batches'])
            gradients = figures['gradient_on_negatives']
            self.assertLess(gradients['bce'], 0.2)
            self.assertGreater(gradients['pair'], gradients['bce'])


class Features(Case):
    def test_every_decay_and_reading(self):
        columns, vectors = made()
        users, items, times, labels = columns
        cut = cut_of(times)
        for decay, options in (('events=0.9', {'events': 0.9}),
                               ('half_life=7d', {'events': 1, 'half_life': 7 * DAY_MS}),
                               ('events=0.99,half_life=1d', {'half_life': DAY_MS})):
            for reading in ('sum', 'mean', 'layer_norm'):
                _, scores = self.evaluate(columns, {'x': vectors}, '--decay', decay, '--read',
                                          reading, '--epochs', 300, '--batch', 2000,
                                          '--rate', 0.05)
                reads, there = history_of(users, items, times, vectors, reading=reading, **options)
                features = features_of(reads, there, cut)
                w = least_loss(features[:cut], labels[:cut], 0.01)
                expected = features[cut:] @ w[:-1] + w[-1]
                self.assertLess(np.abs(scores[:, 0] - expected).max(), 1e-3, (decay, reading))

    def test_the_order_of_the_files_does_not_matter(self):
        (users, items, times, labels), vectors = made()
        _, sorted_scores = self.evaluate((users, items, times, labels), {'x': vectors})
        mixed = np.random.default_rng(2).permutation(len(times))
        back = mixed[np.argsort(times[mixed], kind='stable')]
        said, scores = self.evaluate([column[back] for column in (users, items, times, labels)],
                                     {'x': vectors[back]})
        said_mixed, scores_mixed = self.evaluate(
            [column[mixed] for column in (users, items, times, labels)], {'x': vectors[mixed]})
        self.assertTrue((scores == scores_mixed).all())
        self.assertEqual(said, said_mixed)
        self.assertEqual(sorted_scores.shape, scores.shape)

    def test_keys_and_dtypes(self):
        (users, items, times, labels), vectors = made()
        vectors = harness.f32_of_bf16(harness.bf16_of(vectors)).astype('f2').astype('f4')
        said, scores = self.evaluate((users, items, times, labels), {'x': vectors})
        others = ([b'u%d' % user for user in users], items.astype('i4'), times.astype('u8'),
                  labels.astype(bool))
        for layer in (vectors, vectors.astype('f2')):
            again, again_scores = self.evaluate([np.array(column) for column in others],
                                                {'x': layer})
            self.assertTrue((scores == again_scores).all())
            self.assertEqual(again['layers'][0]['auc'], said['layers'][0]['auc'])
        bf16 = harness.bf16_of(vectors)
        _, from_bf16 = self.evaluate((users, items, times, labels), {'x': bf16})
        _, from_f32 = self.evaluate((users, items, times, labels), {'x': harness.f32_of_bf16(bf16)})
        self.assertTrue((from_bf16 == from_f32).all())


class Leaks(Case):
    def test_nothing_after_a_time_changes_what_is_before(self):
        columns, vectors = made()
        _, scores = self.evaluate(columns, {'x': vectors})
        times = columns[2]
        cut = cut_of(times)
        random = np.random.default_rng(5)
        for share in (0.6, 0.8):
            later = np.flatnonzero(times > times[int(share * len(times))])
            mixed = random.permutation(later)
            changed = [column.copy() for column in columns]
            for i in (0, 1, 3):
                changed[i][later] = changed[i][mixed]
            other = vectors.copy()
            other[later] = 100 * vectors[random.permutation(later)]
            _, again = self.evaluate(changed, {'x': other})
            before = later[0] - cut
            self.assertTrue((scores[:before] == again[:before]).all())
            self.assertFalse((scores[before:] == again[before:]).all())

    def test_the_label_in_its_own_vector_is_not_seen(self):
        count = 2000
        random = np.random.default_rng(7)
        labels = random.integers(0, 2, count).astype('u1')
        vectors = np.stack([20.0 * labels - 10, random.standard_normal(count)], 1).astype('f4')
        own = np.arange(count, dtype='u8')
        said, _ = self.evaluate((own, own, own.astype('i8'), labels), {'x': vectors})
        self.assertEqual(said['layers'][0]['auc'], 0.5)
        self.assertEqual(said['layers'][0]['both_crs_evaluated'], 0)
        # Users and items that come again, with labels that know nothing of one another.
        users, items = random.integers(0, 30, (2, count)).astype('u8')
        said, _ = self.evaluate((users, items, own.astype('i8'), labels), {'x': vectors},
                                '--read', 'mean')
        low, high = said['layers'][0]['auc_interval']
        self.assertTrue(low - 0.02 < 0.5 < high + 0.02, said['layers'][0])

    def test_the_same_instant_is_not_seen(self):
        """All samples of a user are at one time, and share a label that their vectors show."""
        groups = 500
        labels = np.repeat(np.random.default_rng(9).integers(0, 2, groups), 4).astype('u1')
        users = np.repeat(np.arange(groups), 4).astype('u8')
        vectors = np.stack([20.0 * labels - 10, np.ones(4 * groups)], 1).astype('f4')
        columns = (users, users, users.astype('i8'), labels)
        said, _ = self.evaluate(columns, {'x': vectors})
        self.assertEqual(said['layers'][0]['auc'], 0.5)
        said, _ = self.evaluate((users, users, np.arange(4 * groups), labels), {'x': vectors},
                                '--read', 'mean')
        self.assertGreater(said['layers'][0]['auc'], 0.8)


class FromRelease(Case):
    """Samples that go on from what a daemon has aggregated."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        names = ('user', 'item', 'time', 'label', 'mlp2')
        self.users, self.items, self.times, self.labels, vectors = (
            np.load(os.path.join(MOVIELENS, 'cr_%s.npy' % name)) for name in names)
        self.vectors = vectors.astype('f4')
        self.half = 4000
        self.make('r', self.users[:self.half], self.items[:self.half])

    def make(self, release, users, items, key='u64'):
        """A release with the first samples in it."""
        with self.daemon.client() as client:
            client.call('release.create', release=release)
            for entity in ('user', 'item'):
                client.call('table.create', release=release, table='cr_%s@mlp2' % entity,
                            entity=entity, kind='cr', dim=64, key=key, decay_events=0.99,
                            half_life_ms=30 * DAY_MS)
            client.seal(release)
            client.call('observe', release=release, layer='mlp2', users=harness.packed(users),
                        items=harness.packed(items), dtype='f32',
                        times=(self.times[:self.half] * 1000).astype('<i8').tobytes(),
                        rows=self.vectors[:self.half].tobytes())

    def later(self, *args, first=None, status=0, users=None, items=None, vectors=None):
        part = slice(self.half if first is None else first, None)
        columns = (self.users[part] if users is None else users,
                   self.items[part] if items is None else items,
                   self.times[part] * 1000, self.labels[part])
        layers = {'mlp2': self.vectors[part] if vectors is None else vectors}
        options = ['-s', self.daemon.address, '--decay', 'events=0.99,half_life=30d', *args]
        if status:
            return self.run_command(*self.arguments(columns, layers), *options, status=status)
        return self.evaluate(columns, layers, *options)

    def test_states_go_on(self):
        said, scores = self.later('--from', 'live', '--l2', 0.1, '--epochs', 200)
        reads, there = history_of(self.users, self.items, self.times * 1000, self.vectors,
                                  half_life=30 * DAY_MS)
        reads, there = reads[:, self.half:], there[:, self.half:]
        cut = said['fitted']['samples']
        both = there[0] & there[1]
        self.assertEqual(said['settings']['from'], 'r')
        self.assertEqual(said['layers'][0]['both_crs_fitted'], int(both[:cut].sum()))
        self.assertEqual(said['layers'][0]['both_crs_evaluated'], int(both[cut:].sum()))
        features = features_of(reads, there, cut)
        w = least_loss(features[:cut], self.labels[self.half:self.half + cut], 0.1)
        expected = features[cut:] @ w[:-1] + w[-1]
        self.assertLess(np.abs(scores[:, 0] - expected).mean(), 0.03)
        without, _ = self.later('--l2', 0.1)
        self.assertIsNone(without['settings']['from'])
        self.assertLess(without['layers'][0]['both_crs_fitted'], int(both[:cut].sum()))

    def test_keys_may_be_strings(self):
        names = [[b'%d' % key for key in column] for column in (self.users, self.items)]
        self.make('s', *(column[:self.half] for column in names), key='bytes')
        _, scores = self.later('--from', 'r')
        users, items = (np.array(column[self.half:]) for column in names)
        _, again = self.later('--from', 's', users=users, items=items)
        self.assertTrue((scores == again).all())
        self.assertIn("keys of table 'cr_user@mlp2' are byte strings, but --users has integers",
                      self.later('--from', 's', status=1))

    def test_states_that_hold_the_samples_are_refused(self):
        first = self.half - 100
        late = len(np.unique(self.users[first:self.half]))
        says = self.later('--from', 'r', first=first, status=1)
        self.assertIn("%d rows of the samples' users in table 'cr_user@mlp2'" % late, says)
        self.assertIn('(CONFLICT)', says)

    def test_other_tables_are_refused(self):
        says = self.later('--from', 'r', '--decay', 'events=0.9', status=1)
        self.assertIn("table 'cr_user@mlp2' has decay events=0.99", says)
        self.assertIn("is 1 x 64, but vectors of --layer mlp2 have 32", self.later(
            '--from', 'r', status=1, vectors=self.vectors[self.half:, :32]))
        self.assertIn("'nope'", self.later('--from', 'nope', status=1))
        args = self.arguments((self.users[4000:], self.items[4000:], self.times[4000:],
                               self.labels[4000:]), {'fm': self.vectors[4000:]})
        self.assertIn("'cr_user@fm'", self.run_command(
            *args, '-s', self.daemon.address, '--from', 'r', '--time-unit', 's', status=1))


class Wrong(Case):
    def setUp(self):
        super().setUp()
        self.columns, self.vectors = made(400)

    def refused(self, words, *args, status=1, layer=None, **changed):
        columns = [changed.get(name, column) for name, column in zip(COLUMNS, self.columns)]
        layers = {'x': self.vectors if layer is None else layer}
        says = self.run_command(*self.arguments(columns, layers), *args, status=status)
        for word in words:
            self.assertIn(word, says)

    def test_files(self):
        users, items, times, labels = self.columns
        nan = self.vectors.copy()
        nan[17, 2] = np.nan
        two = labels.copy()
        two[3] = 2
        self.refused(['--items', 'u8 [399] given', '[400]'], items=items[1:])
        self.refused(['--labels', 'u1 [399] given', '[400]'], labels=labels[1:])
        self.refused(['--layer x', 'f4 [399, 4] given', '[400, dim]'], layer=self.vectors[1:])
        self.refused(['--layer x', 'sample 17, element 2', 'NaN'], layer=nan)
        self.refused(['--layer x', 'f8 [400, 4] given', 'bf16'], layer=self.vectors.astype('f8'))
        self.refused(['--labels', 'sample 3 has 2', '0 or 1 allowed'], labels=two)
        self.refused(['--labels', 'f4 [400] given', 'integers'], labels=labels.astype('f4'))
        self.refused(['--times', 'row 0 is -1', 'not Unix milliseconds'], times=times - 1)
        self.refused(['--users', 'negative'], users=users.astype('i8') - 1)
        self.refused(['--labels', 'training part', 'all 1', 'both 0 and 1'],
                     labels=np.where(np.arange(400) < 200, 1, labels).astype('u1'))
        self.refused(['--labels', 'evaluation part', 'all 0', 'both 0 and 1'],
                     labels=np.where(np.arange(400) < 200, labels, 0).astype('u1'))
        self.refused(['--train', '0.5 of 400', 'first time'], times=np.zeros(400, 'i8'))
        self.refused(['no-such-file'], users='/nonexistent/no-such-file')
        self.assertFalse(os.path.exists(self.path('scores.npy')))

    def test_times_of_another_unit_are_noticed(self):
        users, items, times, labels = self.columns
        seconds = times // 1000 + 1700000000
        says = self.run_command(*self.arguments((users, items, seconds, labels), {'x': self.vectors})[1:], status=1)
        self.assertIn('in seconds it is 2023-', says)
        self.assertIn('--time-unit s', says)
        said = [self.evaluate((users, items, seconds * factor, labels), {'x': self.vectors}, '--time-unit', unit)
                for unit, factor in (('s', 1), ('ms', 1000), ('us', 10 ** 6), ('ns', 10 ** 9))]
        for _, scores in said[1:]:
            np.testing.assert_array_equal(scores, said[0][1])

    def test_arguments(self):
        for words, args in (
                (['--train', '1 given', 'above 0 and below 1'], ['--train', 1]),
                (['--train', '0 given'], ['--train', 0]),
                (['--train', "'half'"], ['--train', 'half']),
                (['--train', "'nan'"], ['--train', 'nan']),
                (['--alpha', '1.5 given', '0 to 1'], ['--alpha', 1.5]),
                (['--positive-weight', '0 given', 'above 0'], ['--positive-weight', 0]),
                (['--l2', '-1 given', '0 or above'], ['--l2', -1]),
                (['--rate', '0 given', 'above 0'], ['--rate', 0]),
                (['--batch', '0 given', '1 to 65536'], ['--batch', 0]),
                (['--epochs', '0 given', '1 to 100000'], ['--epochs', 0]),
                (['--loss', "'hinge'", 'bce, pair or both'], ['--loss', 'hinge']),
                (['--read', "'max'", 'sum, mean or layer_norm'], ['--read', 'max']),
                (['--decay', "'events=2'", 'at most 1'], ['--decay', 'events=2']),
                (['--decay', "'fast'", 'half_life=TIME'], ['--decay', 'fast']),
                (['--time-unit', "'h'", 'ms, s, us or ns'], ['--time-unit', 'h']),
                (['--layer', "'x' given twice"], ['--layer', 'x=y.npy']),
                (['--layer', "'mlp' given", 'NAME=FILE.npy'], ['--layer', 'mlp']),
                (["unknown option '--layers'"], ['--layers', 'x=y.npy']),
                (["'more': not expected"], ['more'])):
            self.refused(words, *args, status=2)
        self.assertIn('--labels', self.run_command('--users', 'u.npy', status=2))
        self.refused(['--layer', "'a/b'"], '--layer', 'a/b=y.npy')
        says = self.run_command(*self.arguments(self.columns, {'x': self.vectors}), '--json',
                                '--layer', 'y=/nonexistent/y.npy', status=1)
        self.assertEqual(json.loads(says)['error'], 'NOT_FOUND')

    def test_what_has_no_figure_is_null(self):
        users, items, times, labels = self.columns
        one = np.zeros_like(users)
        said, _ = self.evaluate((one, items, times, labels), {'x': self.vectors, 'y': self.vectors},
                                '--batch', 1)
        for layer in said['layers']:
            self.assertIsNone(layer['auc_interval'])
            self.assertIsNone(layer['pair_loss'])
            self.assertEqual(layer['pair_batches'], 0)
        self.assertIsNone(said['best']['intervals_overlap'])
        self.assertEqual(said['best']['layer'], 'x')
        text = self.run_command(*self.arguments((one, items, times, labels), {'x': self.vectors}),
                                '--bootstrap', 0)
        self.assertIn('no other layer', text.splitlines()[-1])


if __name__ == '__main__':
    harness.main()
