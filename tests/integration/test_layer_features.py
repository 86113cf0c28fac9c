"""test_layer_features.py - training sets: each row is what a script that replays the samples computes, and
nothing of a sample's own time or of what comes later is in it."""

import json
import os
import subprocess
import unittest

import numpy as np

import harness
from harness import MOVIELENS

DAY_MS = 86400 * 1000
AGE_NONE, AGE_LATE = -1, -2


def read_of(total, weight, reading):
    if reading == 'sum':
        return total
    if reading == 'mean':
        return total / weight
    return (total - total.mean()) / np.sqrt(total.var() + 1e-5)


def replay(keys, times, vectors, events=0.99, half_life=0, reading='layer_norm', begin=None, end=None):
    """(rows, weights, ages) of each sample, in the order given: samples by time, those of one time all read
    before one of them is added; f64. begin: states {key: (S, W, time)} that keys begin with; end: a dict for those
    that they end with."""
    states = dict(begin or {})
    begun = {key: state[2] for key, state in states.items()}
    count, dim = vectors.shape
    rows, weights = np.zeros((count, dim)), np.zeros(count)
    ages = np.full(count, AGE_NONE, 'i8')
    order = np.argsort(times, kind='stable')
    first = 0
    while first < count:
        now = times[order[first]]
        last = first
        while last < count and times[order[last]] == now:
            last += 1
        for k in order[first:last]:
            if keys[k] not in states:
                continue
            total, weight, at = states[keys[k]]
            if begun.get(keys[k], now - 1) >= now:
                ages[k] = AGE_LATE
                continue
            rows[k], weights[k], ages[k] = read_of(total, weight, reading), weight, now - at
        for k in order[first:last]:
            if ages[k] == AGE_LATE:
                continue
            if keys[k] not in states:
                states[keys[k]] = (vectors[k].astype('f8'), 1.0, now)
                continue
            total, weight, at = states[keys[k]]
            keep = events * (2.0 ** (-float(now - at) / half_life) if half_life else 1.0)
            states[keys[k]] = (keep * total + vectors[k], keep * weight + 1, now)
        first = last
    if end is not None:
        end.update(states)
    return rows, weights, ages


def made(count=4000, dim=6, users=60, items=90, seed=1):
    """A stream in which a sample in five is late, and times come several times."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, users, count), random.integers(0, items, count)
    times = np.sort(random.integers(0, count // 3, count)).astype('i8') * 60000
    late = random.random(count) < 0.2
    times[late] -= random.integers(0, 3600, late.sum()) * 1000
    return user.astype('u8'), item.astype('u8'), np.maximum(times, 0), \
        random.standard_normal((count, dim)).astype('f4')


class Case(harness.Case):
    saved = 0

    def save(self, name, array):
        self.saved += 1
        path = self.path('%s-%d.npy' % (name, self.saved))
        np.save(path, array)
        return path

    address = '/nonexistent/socket'

    def run_command(self, *args, status=0):
        done = subprocess.run([harness.program('repstore'), 'layer', 'features'] + [str(arg) for arg in args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS,
                              env=dict(os.environ, REPSTORE=self.address))
        says = done.stderr.decode()
        self.assertEqual(done.returncode, status, says)
        return says if status else done.stdout.decode()

    def arguments(self, users, items, times, **layers):
        args = ['--any-time']
        for name, array in (('users', users), ('items', items), ('times', times)):
            args += ['--' + name, array if isinstance(array, str) else self.save(name, array)]
        for name, array in layers.items():
            args += ['--layer', '%s=%s' % (name, array if isinstance(array, str) else self.save('cr-' + name, array))]
        return args

    def features(self, *args):
        """(what it says, the arrays)."""
        out = self.path('features.npz')
        said = json.loads(self.run_command(*args, '--json', '-o', out))
        self.assertEqual([name for name in os.listdir(os.path.dirname(out)) if 'partial' in name], [])
        with np.load(out) as file:
            return said, {name: file[name] for name in file.files}

    def assert_table(self, arrays, table, expected, msg=None):
        rows, weights, ages = expected
        self.assertEqual(arrays[table].dtype, np.dtype('f4'))
        np.testing.assert_array_equal(arrays[table + '.age'], ages, err_msg=str(msg))
        np.testing.assert_allclose(arrays[table + '.weight'], weights, rtol=1e-9, err_msg=str(msg))
        largest = np.abs(rows).max()
        np.testing.assert_allclose(arrays[table], rows, rtol=0, atol=1e-6 * largest, err_msg=str(msg))


class Replay(Case):
    def test_movielens_is_what_a_script_computes(self):
        files = [os.path.join(MOVIELENS, 'cr_%s.npy' % name) for name in ('user', 'item', 'time')]
        layers = {name: os.path.join(MOVIELENS, 'cr_%s.npy' % name) for name in ('fm', 'mlp2')}
        users, items, times = (np.load(path) for path in files)
        said, arrays = self.features(*self.arguments(*files, **layers), '--time-unit', 's',
                                     '--decay', 'events=0.99,half_life=30d')
        self.assertEqual(sorted(arrays), sorted(
            ['users', 'items', 'times'] + ['cr_%s@%s%s' % (side, layer, part) for side in ('user', 'item')
                                           for layer in layers for part in ('', '.weight', '.age', '.entity')]))
        self.assertEqual((arrays['cr_user@fm.entity'][0], arrays['cr_item@fm.entity'][0]), (b'user', b'item'))
        np.testing.assert_array_equal(arrays['users'], users)
        np.testing.assert_array_equal(arrays['items'], items)
        np.testing.assert_array_equal(arrays['times'], times * 1000)
        for name, path in layers.items():
            for side, keys in (('user', users), ('item', items)):
                table = 'cr_%s@%s' % (side, name)
                expected = replay(keys, times * 1000, np.load(path).astype('f4'), half_life=30 * DAY_MS)
                self.assert_table(arrays, table, expected, table)
                row = next(row for row in said['tables'] if row['table'] == table)
                self.assertEqual(row['there'], int((expected[2] >= 0).sum()))
                self.assertEqual(row['none_before'], int((expected[2] == AGE_NONE).sum()))
        self.assertEqual((said['samples'], said['users'], said['items']),
                         (len(users), len(np.unique(users)), len(np.unique(items))))

    def test_late_samples_every_decay_and_reading(self):
        users, items, times, vectors = made()
        other = made(seed=2, dim=3)[3].astype('f2')
        columns = self.arguments(users, items, times, x=vectors, y=other)
        for decay, options in (('events=0.9', {'events': 0.9}),
                               ('half_life=2h', {'events': 1, 'half_life': 2 * 3600000}),
                               ('events=0.99,half_life=1d', {'half_life': DAY_MS})):
            for reading in ('sum', 'mean', 'layer_norm'):
                said, arrays = self.features(*columns, '--decay', decay, '--read', reading)
                self.assertFalse(said['in_order'])
                for layer, rows in (('x', vectors), ('y', other.astype('f4'))):
                    for side, keys in (('user', users), ('item', items)):
                        self.assert_table(arrays, 'cr_%s@%s' % (side, layer),
                                          replay(keys, times, rows, reading=reading, **options),
                                          (decay, reading, layer, side))

    def test_little_memory_gives_the_same(self):
        """The keys are done in parts, each with the samples read once more."""
        users, items, times, vectors = made(count=30000, dim=64, users=20000, items=20)
        columns = self.arguments(users, items, times, x=vectors)
        said, arrays = self.features(*columns)
        self.assertEqual(said['passes'], 2)
        again, parts = self.features(*columns, '--memory', 1)
        self.assertGreater(again['passes'], 4)
        self.assertLessEqual(again['memory_bytes'], 1 << 20)
        self.assertEqual(again['tables'], said['tables'])
        self.assertEqual((again['users'], again['items']), (said['users'], said['items']))
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, parts[name], err_msg=name)

    def test_archives_and_types(self):
        users, items, times, vectors = made()
        vectors = vectors.astype('f2')
        said, arrays = self.features(*self.arguments(users, items, times, x=vectors.astype('f4')))
        path = self.path('samples.npz')
        for save in (np.savez, np.savez_compressed):
            save(path, users=users.astype('i4'), items=items.astype('u2'), times=times, x=vectors,
                 labels=np.ones(len(users)))
            _, again = self.features('--any-time', '--samples', path, '--layer', 'x')
            for name, array in arrays.items():
                np.testing.assert_array_equal(array, again[name], err_msg=name)
        names = np.array([b'user-%d' % user for user in users])
        _, again = self.features(*self.arguments(names, items, times, x=vectors))
        np.testing.assert_array_equal(again['users'], names)
        np.testing.assert_array_equal(again['cr_user@x'], arrays['cr_user@x'])


class Lines(Case):
    """The same samples as JSON lines: the same training set, to the last bit."""

    def write(self, users, items, times, name='samples.jsonl', **layers):
        path = self.path(name)
        with open(path, 'w') as file:
            for k in range(len(users)):
                row = {'item': items[k], 'user': users[k], 'time': int(times[k]), 'label': k % 2, 'nested': {'user': [1]},
                       **{layer: [float(element) for element in rows[k]] for layer, rows in layers.items()}}
                file.write(json.dumps(row) + '\n' * (1 + k % 3))
        return path

    def test_they_are_the_arrays(self):
        users, items, times, vectors = made()
        other = made(seed=2, dim=3)[3]
        _, arrays = self.features(*self.arguments(users, items, times, x=vectors, y=other))
        path = self.write(users.tolist(), items.tolist(), times, x=vectors, y=other)
        said, again = self.features('--any-time', '--samples', path, '--layer', 'y', '--layer', 'x')
        self.assertEqual(said['samples'], len(users))
        self.assertEqual(sorted(again), sorted(arrays))
        for name, array in arrays.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)
        seconds = self.write(users.tolist(), items.tolist(), times // 1000 + 1600000000, x=vectors)
        _, again = self.features('--samples', seconds, '--layer', 'x', '--time-unit', 's')
        np.testing.assert_array_equal(again['times'], (times // 1000 + 1600000000) * 1000)

    def test_keys_that_are_strings(self):
        users, items, times, vectors = made()
        names = ['user-%d' % user if user else '\u00fcser' for user in users]
        path = self.write(names, items.tolist(), times, x=vectors)
        _, arrays = self.features(*self.arguments(np.array([name.encode() for name in names]), items, times, x=vectors))
        _, again = self.features('--any-time', '--samples', path, '--layer', 'x')
        self.assertEqual(again['users'].dtype, arrays['users'].dtype)
        for name, array in arrays.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)

    def test_they_come_through_a_pipe(self):
        users, items, times, vectors = made(count=500)
        path = self.write(users.tolist(), items.tolist(), times, x=vectors)
        _, arrays = self.features('--any-time', '--samples', path, '--layer', 'x')
        with open(path, 'rb') as file:
            subprocess.run([harness.program('repstore'), 'layer', 'features', '--any-time', '--samples', '-', '--layer', 'x',
                            '-o', self.path('piped.npz')], input=file.read(), check=True, stdout=subprocess.DEVNULL)
        with np.load(self.path('piped.npz')) as piped:
            for name, array in arrays.items():
                np.testing.assert_array_equal(piped[name], array, err_msg=name)

    @unittest.skipIf(harness.SANITIZED, 'the memory of the sanitizer would count')
    def test_memory_does_not_grow_with_the_samples(self):
        """The vectors alone would be more than the command may have."""
        users, items, times, vectors = made(count=40000, dim=64)
        self.assertGreater(vectors.nbytes, 8192 << 10)
        path = self.write(users.tolist(), items.tolist(), times, x=vectors)
        done = subprocess.run(['sh', '-c', 'ulimit -d 8192; exec "$@"', 'sh', harness.program('repstore'), 'layer', 'features',
                               '--any-time', '--samples', path, '--layer', 'x', '-o', self.path('x.npz')],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b''))

    def test_what_is_wrong_is_named(self):
        good = '{"user": 1, "item": 2, "time": 1700000000000, "x": [1, 2]}\n'
        out = self.path('out.npz')
        for lines, says in (
                ('', 'no samples'), ('\n \n', 'no samples'),
                (good + '{"user": 1}', ':2: item: nothing given'),
                (good.replace('"time": 1700000000000, ', ''), ':1: time: nothing given'),
                (good + good.replace('[1, 2]', '[1]'), ':2: x: 1 elements given, 2 allowed, as in the first'),
                (good.replace('[1, 2]', '[]'), 'x: 0 elements given, 1 to'),
                (good.replace('[1, 2]', '3'), 'x: 3 given, an array allowed'),
                (good.replace('[1, 2]', '[1, "a"]'), 'x: element 1, "a", is not a number'),
                (good.replace('[1, 2]', '[1, 1e60]'), 'x: element 1, 1e60, is not a number that f32 holds'),
                (good.replace('[1, 2]', '[1, NaN]'), 'sample 0, element 1 is NaN or infinite'),
                (good.replace('"x"', '"y"'), 'x: nothing given'),
                (good.replace('"user": 1', '"user": -1'), 'user: -1 given, an integer of 0'),
                (good.replace('"user": 1', '"user": ""'), 'user: "" given'),
                (good.replace('"user": 1', '"user": "%s"' % ('a' * 256)), 'a string of 1 to 255 bytes'),
                (good.replace('"user": 1', '"user": "a\\u0000"'), 'without a NUL'),
                (good + good.replace('"item": 2', '"item": "b"'), ':2: item: "b" given, but that of the first sample is an integer'),
                (good.replace('"user": 1', '"user": 1, "user": 1'), "a member is given twice: 'user'"),
                (good.replace('1700000000000', '1.5'), 'time: 1.5 given'), (good.replace('1700000000000', '1'), '--any-time'),
                ('[%s]' % good.strip(), "jq -c '.[]'"), (good + '{', ':2: not JSON'), ('\x93NUMPY' + 'x' * 40, 'no JSON lines, but')):
            path = self.path('wrong.jsonl')
            with open(path, 'w', encoding='latin-1') as file:
                file.write(lines)
            said = self.run_command('--samples', path, '--layer', 'x', '-o', out, status=1)
            self.assertIn(says, said, lines)
        with open(path, 'w') as file:
            file.write(good)
        self.assertIn('the NAME of an array', self.run_command('--samples', path, '--layer', 'x=a.npy', '-o', out, status=1))
        self.assertIn('/nonexistent/x.npz', self.run_command('--samples', path, '--layer', 'x', '-o', '/nonexistent/x.npz', status=1))
        self.assertIn('which the samples are read from', self.run_command('--samples', path, '--layer', 'x', '-o', path, status=1))
        self.assertEqual([name for name in os.listdir(self.path('')) if 'out.npz' in name], [])


class FromRelease(Case):
    """A stream whose first half a daemon has aggregated, in a table of items and two of users that fade unlike."""

    DECAYS = {'cr_user@x': {'events': 0.9, 'half_life': DAY_MS}, 'cr_user_hour@x': {'events': 1, 'half_life': 3600000},
              'cr_item@x': {'events': 0.99}}

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.address = self.daemon.address
        users, items, times, self.vectors = made(users=300, items=400)
        order = np.argsort(times, kind='stable')
        self.users, self.items, self.times, self.vectors = users[order], items[order], times[order], self.vectors[order]
        self.half = int(np.flatnonzero(self.times > self.times[2000])[0])
        self.make('r')

    def make(self, release, names=False):
        with self.daemon.client() as client:
            client.call('release.create', release=release)
            for table, decay in self.DECAYS.items():
                entity = 'user' if 'user' in table else 'item'
                client.call('table.create', release=release, table=table, entity=entity, kind='cr', dim=6, read='mean',
                            key='bytes' if names and entity == 'user' else 'u64', decay_events=decay['events'],
                            **({'half_life_ms': decay['half_life']} if 'half_life' in decay else {}))
            client.call('table.create', release=release, table='last_items@x', entity='user', kind='cr', dim=6, history=3,
                        key='bytes' if names else 'u64')     # which sums nothing up
            client.seal(release)
            part = slice(0, self.half)
            client.call('observe', release=release, layer='x', items=self.items[part].tobytes(), dtype='f32',
                        users=harness.packed([b'u%d' % user for user in self.users[part]] if names else self.users[part]),
                        times=self.times[part].tobytes(), rows=self.vectors[part].tobytes())

    def later(self, *args, first=None, users=None):
        part = slice(self.half if first is None else first, None)
        return self.arguments((self.users if users is None else users)[part], self.items[part], self.times[part],
                              x=self.vectors[part]) + ['--from', *(args or ['live'])]

    def test_states_go_on_in_every_table_of_the_layer(self):
        said, arrays = self.features(*self.later())
        self.assertEqual({row['table'] for row in said['tables']}, set(self.DECAYS))
        for table, decay in self.DECAYS.items():
            keys = self.users if 'user' in table else self.items
            whole = replay(keys, self.times, self.vectors, reading='mean', **decay)
            self.assert_table(arrays, table, [column[self.half:] for column in whole], table)
            row = next(row for row in said['tables'] if row['table'] == table)
            self.assertGreater(row['there'], 10 * row['none_before'])

    def test_keys_that_are_strings(self):
        self.make('s', names=True)
        names = np.array([b'u%d' % user for user in self.users])
        _, arrays = self.features(*self.later('s', users=names))
        whole = replay(self.users, self.times, self.vectors, reading='mean', **self.DECAYS['cr_user@x'])
        self.assert_table(arrays, 'cr_user@x', [column[self.half:] for column in whole])

    def test_states_that_may_hold_the_samples_are_refused_or_left_out(self):
        first = self.half - 500
        said = self.run_command(*self.later(first=first), '-o', self.path('x.npz'), status=1)
        self.assertRegex(said, r'\d+ rows would be read from states that are not older.*--skip-late.*CONFLICT')
        said, arrays = self.features(*self.later('live', '--skip-late', first=first))
        for table, decay in self.DECAYS.items():
            keys, begin = self.users if 'user' in table else self.items, {}
            replay(keys[:self.half], self.times[:self.half], self.vectors[:self.half], end=begin, **decay)
            expected = replay(keys[first:], self.times[first:], self.vectors[first:], reading='mean', begin=begin, **decay)
            self.assert_table(arrays, table, expected, table)
            row = next(row for row in said['tables'] if row['table'] == table)
            self.assertEqual(row['left_out'], int((expected[2] == AGE_LATE).sum()))
            self.assertGreater(row['left_out'], 0)

    def test_what_does_not_fit_is_named(self):
        out = ['-o', self.path('out.npz')]
        other = self.arguments(self.users, self.items, self.times, y=self.vectors)
        wide = self.arguments(self.users, self.items, self.times, x=np.ones((len(self.users), 7), 'f4'))
        names = self.later(users=np.array([b'u%d' % user for user in self.users]))
        for args, status, says in (([*other, '--from', 'live'], 1, "no table of release 'r' aggregates layer 'y'"),
                                   ([*wide, '--from', 'live'], 1, 'vectors of --layer x have 7 elements'),
                                   (names, 1, 'are integers, but'), (self.later('none'), 1, "'none'"),
                                   ([*self.later(), '--decay', 'events=1'], 2, "are those of the release's tables"),
                                   ([*other, '--skip-late'], 2, '--skip-late comes with --from')):
            self.assertIn(says, self.run_command(*args, *out, status=status), args)


class Leaks(Case):
    def test_nothing_of_its_own_time_or_later_is_read(self):
        users, items, times, vectors = made()
        _, arrays = self.features(*self.arguments(users, items, times, x=vectors))
        middle = np.sort(times)[len(times) // 2]
        changed = vectors.copy()
        changed[times >= middle] = 100
        _, again = self.features(*self.arguments(users, items, times, x=changed))
        before = times <= middle
        for name in [name for name in arrays if not name.endswith('.entity')]:
            np.testing.assert_array_equal(arrays[name][before], again[name][before], err_msg=name)
        self.assertFalse((arrays['cr_user@x'] == again['cr_user@x']).all())


class Refused(Case):
    def test_what_is_wrong_is_named(self):
        users, items, times, vectors = made(count=100)
        good = self.arguments(users, items, times, x=vectors)
        out = ['-o', self.path('out.npz')]
        wrong = vectors.copy()
        wrong[7, 2] = np.nan
        for args, status, says in (
                ([*good], 2, '-o FILE.npz'),
                ([*good, '-o', ''], 2, "-o: '' given"),
                ([*good[:-2], *out], 2, 'one --layer or more'),
                ([*good, '--layer', 'x=' + good[-1][2:], *out], 2, "'x' given twice"),
                ([*good, '--layer', '_=' + good[-1][2:], *out], 2, '--layer'),
                ([*good, '--samples', 'x.npz', *out], 2, '--samples alone'),
                ([*good, '--memory', 0, *out], 2, '1 or more'),
                ([*good, '-o', '-'], 1, 'not to standard output'),
                ([*good, '-o', '/nonexistent/x.npz'], 1, '/nonexistent/x.npz'),
                ([*self.arguments(users, items[:-1], times, x=vectors), *out], 1, '[99] given, [100]'),
                ([*self.arguments(users, items, times.astype('f8'), x=vectors), *out], 1, 'times are integers'),
                ([*self.arguments(users, items, times, x=wrong), *out], 1, 'sample 7, element 2'),
                ([*self.arguments(users.astype('i8') - 99, items, times, x=vectors), *out], 1, 'is negative'),
                ([*self.arguments(users, items, times, x=vectors[:, 0]), *out], 1, '[100, dim]')):
            self.assertIn(says, self.run_command(*args, status=status), args)
        self.assertFalse([name for name in os.listdir(self.path('')) if 'out.npz' in name])

    def test_the_samples_are_not_written_over(self):
        users, items, times, vectors = made(count=100)
        archive = self.path('day.npz')
        np.savez(archive, users=users, items=items, times=times, x=vectors)
        args = self.arguments(users, items, times, x=vectors)
        for args, file in ((['--any-time', '--samples', archive, '--layer', 'x'], archive), (args, args[2]),
                           (args, args[-1][2:])):
            with open(file, 'rb') as opened:
                before = opened.read()
            self.assertIn("'%s' given, which the samples are read from" % file,
                          self.run_command(*args, '-o', file, status=1))
            with open(file, 'rb') as opened:
                self.assertEqual(opened.read(), before)

    def test_times_that_cannot_be_meant(self):
        users, items, times, vectors = made(count=100)
        args = self.arguments(users, items, times, x=vectors)[1:]
        self.assertIn('--any-time', self.run_command(*args, '-o', self.path('out.npz'), status=1))


if __name__ == '__main__':
    harness.main()
