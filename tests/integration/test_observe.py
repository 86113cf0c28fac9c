"""test_observe.py - samples in, aggregated cross representations out, as NumPy computes them.

The samples are MovieLens': 10,000 of 64 elements, at two layers of a model.
"""

import sys

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from observe_model import Aggregate, DAY_MS, HOUR_MS, movielens, reading  # noqa: E402

# name of the decay: what the table is told, what the model is told
DECAYS = {
    'events': ({'decay_events': 0.99, 'read': 'layer_norm'}, {'events': 0.99}),
    'half_life': ({'half_life_ms': 7 * DAY_MS, 'read': 'mean'}, {'half_life_ms': 7 * DAY_MS}),
    'both': ({'decay_events': 0.9, 'half_life_ms': DAY_MS, 'read': 'sum'},
             {'events': 0.9, 'half_life_ms': DAY_MS}),
}


class Observe(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def make(self, release, decay, layers=('fm', 'mlp2'), **options):
        self.client.call('release.create', release=release)
        for layer in layers:
            for entity in ('user', 'item'):
                self.client.call('table.create', release=release, table='cr_%s@%s' % (entity, layer),
                                 entity=entity, kind='cr', dim=64, **decay, **options)
        self.client.seal(release)

    def observe(self, release, layer, users, items, times, rows, **options):
        return self.client.call('observe', release=release, layer=layer, users=harness.packed(users),
                                items=harness.packed(items), times=times.astype('<i8').tobytes(),
                                dtype='f16' if rows.dtype == np.float16 else 'f32', rows=rows.tobytes(), **options)

    def observe_all(self, release, layer, samples, batch, **options):
        users, items, times, rows = samples
        for at in range(0, len(users), batch):
            piece = slice(at, at + batch)
            got = self.observe(release, layer, users[piece], items[piece], times[piece], rows[piece], **options)
            self.assertEqual(got['applied'], len(users[piece]))

    def fetched(self, table, keys, **options):
        dtype = 'f64' if options.get('raw') else 'f32'
        part = self.client.fetch(table, harness.packed(keys), dtype=dtype, times=True, weights=True, **options)
        rows = np.frombuffer(part['rows'], '<f8' if dtype == 'f64' else '<f4').reshape(len(keys), -1)
        return (rows, np.frombuffer(part['weights'], '<f8'), np.frombuffer(part['times'], '<i8'),
                harness.bits(part['found'], len(keys)), part)

    def check(self, table, model, read, release=None):
        """Sums, weights and times bit for bit; what is read within 1e-5 of the row's largest value."""
        keys = sorted(model.rows)
        sums, weights, lasts = model.states(keys)
        options = {} if release is None else {'release': release}
        got, got_weights, got_times, found, _ = self.fetched(table, np.array(keys, '<u8'), raw=True, **options)
        self.assertTrue(all(found))
        np.testing.assert_array_equal(got, sums)
        np.testing.assert_array_equal(got_weights, weights)
        np.testing.assert_array_equal(got_times, lasts)
        rows, _, _, _, _ = self.fetched(table, np.array(keys, '<u8'), **options)
        expected = reading(read, sums, weights)
        largest = np.abs(expected).max(axis=1, keepdims=True) + 1e-12
        self.assertLess((np.abs(rows - expected) / largest).max(), 1e-5)

    def models(self, samples, decay):
        users, items, times, rows = samples
        by_user = Aggregate(**DECAYS[decay][1])
        by_item = Aggregate(**DECAYS[decay][1])
        by_user.add_all(users, times, rows)
        by_item.add_all(items, times, rows)
        return by_user, by_item

    def test_a_batch_that_is_too_much_for_its_tables_changes_nothing(self):
        """64,500 samples of 1 KiB are 63 MiB; in four tables of ever different keys over four times that."""
        self.client.call('release.create', release='r')
        for name in ('a', 'b', 'c', 'd'):
            self.client.call('table.create', release='r', table=name + '@l', entity='user', kind='cr', dim=256,
                             state='f32')
        self.client.seal('r')
        keys = np.arange(64500, dtype='<u8')
        times = np.full(len(keys), 1000)
        rows = np.ones((len(keys), 256), '<f4')
        with self.assertRaisesRegex(harness.Failed, '^TOO_LARGE: rows: .* in one write'):
            self.observe('r', 'l', keys, keys, times, rows, source='s', position=0)
        self.assertEqual(self.client.call('positions')['positions'], [])
        self.assertEqual(self.client.call('stats')['write']['memtable_rows'], 0)
        got = self.observe('r', 'l', keys[:60000], keys[:60000], times[:60000], rows[:60000], source='s', position=0)
        self.assertEqual((got['applied'], got['next']), (60000, 60000))
        got = self.observe('r', 'l', keys % 10, keys, times, rows)
        self.assertEqual(got['applied'], 64500)

    def test_samples_that_are_too_much_for_the_log_change_nothing(self):
        """1,030 samples of i8 are within a message; as f32, of one key, they are over 256 MiB of log."""
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='a@l', entity='user', kind='cr', dim=65536)
        self.client.seal('r')
        count = 1030
        with self.assertRaisesRegex(harness.Failed, '^TOO_LARGE: rows: 27.* bytes as f32 samples, at most 268435456'):
            self.client.call('observe', release='r', layer='l', users=harness.packed(np.ones(count, '<u8')), dtype='i8',
                             scales=np.ones(count, '<f4').tobytes(), times=np.full(count, 1000, '<i8').tobytes(),
                             rows=bytes(count * 65536))
        self.assertEqual(self.client.call('stats')['write']['memtable_rows'], 0)

    def test_a_weight_must_be_a_number_of_the_state(self):
        self.client.call('release.create', release='r')
        for state in ('f32', 'f32x2'):
            self.client.call('table.create', release='r', table=state + '@l', entity='user', kind='cr', dim=1, state=state)
        self.client.seal('r')
        for weight in (1e300, 1e-300):
            put = dict(release='r', keys=[1], rows=b'\0\0\0\0', weights=np.array([weight], '<f8').tobytes())
            self.client.call('put', table='f32x2@l', **put)
            with self.fails('BAD_REQUEST', '%g' % weight, 'above 0 and finite in f32'):
                self.client.call('put', table='f32@l', **put)

    def test_sums_are_those_of_the_formulas_however_the_stream_is_cut(self):
        for decay, (told, _) in DECAYS.items():
            models = {layer: self.models(movielens(layer), decay) for layer in ('fm', 'mlp2')}
            for batch in (1, 7, 1000, 10000):
                release = '%s-%d' % (decay.replace('_', '-'), batch)
                self.make(release, told)
                for layer in ('fm', 'mlp2'):
                    samples = movielens(layer)
                    if batch == 1:  # each is a sync: the first ones do
                        samples = tuple(column[:1500] for column in samples)
                        by_user, by_item = self.models(samples, decay)
                    else:
                        by_user, by_item = models[layer]
                    self.observe_all(release, layer, samples, batch)
                    self.check('cr_user@' + layer, by_user, told['read'], release)
                    self.check('cr_item@' + layer, by_item, told['read'], release)

    def test_with_a_half_life_alone_the_order_does_not_matter(self):
        told, _ = DECAYS['half_life']
        samples = movielens('fm')
        self.make('r', told)
        order = np.random.default_rng(1).permutation(len(samples[0]))
        self.observe_all('r', 'fm', tuple(column[order] for column in samples), 1000)
        by_user, by_item = self.models(samples, 'half_life')
        for table, model in (('cr_user', by_user), ('cr_item', by_item)):
            keys = sorted(model.rows)
            sums, weights, lasts = model.states(keys)
            rows, got_weights, times, _, _ = self.fetched(table, np.array(keys, '<u8'))
            np.testing.assert_array_equal(times, lasts)
            np.testing.assert_allclose(got_weights, weights, rtol=1e-5)
            expected = reading('mean', sums, weights)
            largest = np.abs(expected).max(axis=1, keepdims=True) + 1e-12
            self.assertLess((np.abs(rows - expected) / largest).max(), 1e-5)

    def test_states_outlive_merges_restarts_dumps_and_kills(self):
        told, _ = DECAYS['both']
        users, items, times, rows = movielens('mlp2')
        by_user, by_item = self.models((users, items, times, rows), 'both')
        self.make('r', told)
        for at in range(0, 10000, 2000):
            piece = slice(at, at + 2000)
            self.observe('r', 'mlp2', users[piece], items[piece], times[piece], rows[piece], source='s', position=at)
            if at == 2000:
                self.client.call('merge')
            elif at == 4000:
                self.client.close()
                self.daemon.kill()
                self.daemon.start()
                self.client = self.daemon.client()
                self.addCleanup(self.client.close)
            elif at == 6000:
                self.client.call('merge')
                self.client.call('release.publish', release='r')
        self.check('cr_user@mlp2', by_user, 'sum')
        self.check('cr_item@mlp2', by_item, 'sum')
        self.client.call('merge')
        self.check('cr_user@mlp2', by_user, 'sum')
        position, = self.client.call('positions')['positions']
        self.assertEqual((position['layer'], position['source'], position['next']), ('mlp2', 's', 10000))
        # The states themselves into another release, by load and by put.
        reply = self.client.call('scan', table='cr_user@mlp2', limit=65536, raw=True, dtype='f64')
        columns = {name: reply[name] for name in ('keys', 'dtype', 'rows', 'times', 'weights')}
        self.client.call('release.create', release='copy')
        for name in ('loaded', 'put'):
            self.client.call('table.create', release='copy', table=name + '@mlp2', entity='user', kind='cr',
                             dim=64, **told)
        self.client.call('load', release='copy', table='loaded@mlp2', load='l', chunk=0, **columns)
        self.client.call('load.end', release='copy', table='loaded@mlp2', load='l', chunks=1, rows=reply['n'])
        self.client.call('release.seal', release='copy')
        self.client.call('put', release='copy', table='put@mlp2', **columns)
        for name in ('loaded', 'put'):
            self.check(name + '@mlp2', by_user, 'sum', 'copy')
        # A table of one side alone takes samples without the other.
        self.client.call('observe', release='copy', layer='mlp2', users=[7], times=times[-1:].tobytes(),
                         rows=np.ones(64, '<f4').tobytes())

    def test_positions_count_each_sample_once(self):
        told, _ = DECAYS['events']
        users, items, times, rows = movielens('fm')
        self.make('r', told)

        def send(at, count, position, source='p0', layer='fm', **options):
            piece = slice(at, at + count)
            return self.observe('r', layer, users[piece], items[piece], times[piece], rows[piece], source=source,
                                position=position, **options)

        with self.fails('GAP', "source 'p0'", "release 'r'", 'begin at 0, or say first'):
            send(0, 100, 1000)
        self.assertEqual(self.client.call('positions', release='r')['positions'], [])
        send(0, 0, 1000, first=True)
        self.assertEqual(send(0, 100, 1000, first=True), dict(send(0, 100, 1000, first=True), applied=100, sequence=1))
        self.assertEqual(send(0, 100, 1000)['applied'], 0)
        self.assertEqual(send(50, 100, 1050)['applied'], 50)
        self.assertEqual(send(20, 10, 1020), {'release': 'r', 'sequence': 2, 'applied': 0, 'next': 1150})
        with self.fails('GAP', '1151', '1150', 'p0', 'fm'):
            send(151, 10, 1151)
        with self.fails('BAD_REQUEST', 'position', '18446744073709551615'):
            send(0, 2, (1 << 64) - 1, source='p9', first=True)
        self.assertEqual(send(0, 10, 0, source='p1')['applied'], 10)
        self.assertEqual(send(0, 10, 5, layer='mlp2', first=True)['next'], 15)
        expected = [{'layer': 'fm', 'source': 'p0', 'next': 1150}, {'layer': 'fm', 'source': 'p1', 'next': 10},
                    {'layer': 'mlp2', 'source': 'p0', 'next': 15}]
        def positions():
            told = self.client.call('positions', release='r')['positions']
            for each in told:
                self.assertLess(abs(each.pop('counted_ms') - harness.now_ms()), 600000)
                self.assertEqual(each.pop('durable'), each['next'])
            return told

        self.assertEqual(positions(), expected)
        model = Aggregate(events=0.99)
        model.add_all(users[:150], times[:150], rows[:150])
        model.add_all(users[:10], times[:10], rows[:10])
        self.check('cr_user@fm', model, 'layer_norm', 'r')
        for change in (lambda: self.client.call('merge'), lambda: self.client.call('release.publish', release='r'),
                       lambda: None):
            change()
            self.client.close()
            self.daemon.kill()
            self.daemon.start()
            self.client = self.daemon.client()
            self.addCleanup(self.client.close)
            self.assertEqual(positions(), expected)
            self.assertEqual(send(140, 10, 1140)['applied'], 0)
        self.check('cr_user@fm', model, 'layer_norm', 'r')

    def test_positions_say_what_is_on_the_disk(self):
        """With syncs that come once a day nothing is durable but what a merge has synced, or a stop."""
        daemon = self.make_daemon(*self.config('[log]\ndurability = periodic\nsync_interval = 10m\n'), name='periodic')
        self.client = daemon.start().client()
        self.addCleanup(self.client.close)
        told, _ = DECAYS['events']
        self.make('r', told, layers=('fm',))
        users, items, times, rows = movielens('fm')

        def send(source, first, end):
            piece = slice(first, end)
            self.observe('r', 'fm', users[piece], items[piece], times[piece], rows[piece], source=source, position=first)

        def positions():
            return {each['source']: (each['next'], each.get('durable')) for each in
                    self.client.call('positions', release='r')['positions']}

        send('p0', 0, 10)
        self.assertEqual(positions(), {'p0': (10, None)})
        self.client.call('merge')
        self.assertEqual(positions(), {'p0': (10, 10)})
        send('p0', 10, 30)
        send('p1', 0, 5)
        self.assertEqual(positions(), {'p0': (30, 10), 'p1': (5, None)})
        self.client.call('positions.forget', release='r', source='p0')
        self.assertEqual(positions(), {'p1': (5, None)})
        self.client.close()
        daemon.restart()
        self.client = daemon.client()
        self.addCleanup(self.client.close)
        self.assertEqual(positions(), {'p1': (5, 5)})

    def test_a_name_without_a_layer_means_the_chosen_one(self):
        told, _ = DECAYS['events']
        self.make('r', told)
        self.client.call('release.publish', release='r')
        one, two = np.ones((1, 64), '<f4'), np.full((1, 64), 2, '<f4')
        now = np.array([harness.now_ms()])
        key = np.array([5], '<u8')
        self.observe('live', 'fm', key, key, now, one)
        self.observe('live', 'mlp2', key, key, now, two)
        for layer, value in (('fm', 1), ('mlp2', 2), ('fm', 1)):
            chosen = self.client.call('layer.choose', release='live', layer=layer)
            self.assertEqual(chosen['layer'], layer)
            for table in ('cr_user', 'cr_item'):
                rows, _, _, _, part = self.fetched(table, key, raw=True)
                self.assertEqual(part['table'], '%s@%s' % (table, layer))
                self.assertEqual(rows[0, 0], value)
            layers = self.client.call('layer.list')['layers']
            self.assertEqual({each['layer']: each['chosen'] for each in layers},
                             {'fm': layer == 'fm', 'mlp2': layer == 'mlp2'})
            self.assertEqual(layers[0]['tables'], ['cr_item@fm', 'cr_user@fm'])
        self.client.call('layer.choose', release='r', layer='mlp2')
        self.client.close()
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.assertEqual(self.client.fetch('cr_user', [5])['table'], 'cr_user@mlp2')
        with self.fails('NOT_FOUND', "'dcn'"):
            self.client.call('layer.choose', release='r', layer='dcn')

    def test_an_expired_row_begins_anew(self):
        self.make('r', {'decay_events': 1, 'read': 'sum'}, ttl_ms=HOUR_MS)
        now = harness.now_ms()
        key = np.array([5], '<u8')
        one = np.ones((1, 64), '<f4')
        self.observe('r', 'fm', key, key, np.array([now - HOUR_MS - 60000]), one)
        self.assertEqual(self.fetched('cr_user', key, release='r')[3], [False])
        self.observe('r', 'fm', key, key, np.array([now]), one)
        rows, weights, times, found, _ = self.fetched('cr_user', key, release='r')
        self.assertEqual((found[0], rows[0, 0], weights[0], times[0]), (True, 1, 1, now))
        self.observe('r', 'fm', key, key, np.array([now]), one)
        self.assertEqual(self.fetched('cr_user', key, release='r')[1][0], 2)
        self.client.call('delete', release='r', table='cr_user', keys=[5])
        self.observe('r', 'fm', key, key, np.array([now]), one)
        self.assertEqual(self.fetched('cr_user', key, release='r')[1][0], 1)
        self.assertEqual(self.fetched('cr_item', key, release='r')[1][0], 3)

    def test_a_wrong_batch_changes_nothing(self):
        told, _ = DECAYS['events']
        self.make('r', told)
        keys = np.array([1, 2], '<u8')
        rows = np.ones((2, 64), '<f4')
        now = harness.now_ms()
        times = np.array([now, now], '<i8')
        good = dict(release='r', layer='fm', users=harness.packed(keys), items=harness.packed(keys),
                    times=times.tobytes(), rows=rows.tobytes())
        self.assertEqual(self.client.call('observe', **good)['applied'], 2)
        before = self.fetched('cr_user', keys, raw=True, release='r')
        spoilt = rows.copy()
        spoilt[1, 3] = np.nan
        for words, code, change in (
                (['rows', 'sample 1', 'element 3'], 'BAD_REQUEST', {'rows': spoilt.tobytes()}),
                (['times', 'sample 1', 'hour'], 'BAD_REQUEST',
                 {'times': np.array([now, now + 2 * HOUR_MS]).tobytes()}),
                (['times', 'sample 0', '-1'], 'BAD_REQUEST', {'times': np.array([-1, now]).tobytes()}),
                (['rows', '256', 'dim 64'], 'BAD_REQUEST', {'rows': rows[:, :32].tobytes()}),
                (['users', '1', '2'], 'BAD_REQUEST', {'users': harness.packed(keys[:1])}),
                (['items', '3', '2'], 'BAD_REQUEST', {'items': [1, 2, 3]}),
                (['users'], 'BAD_REQUEST', {'users': ['a', 'b']}),
                (['times', '7'], 'BAD_REQUEST', {'times': bytes(7)}),
                (['dtype'], 'BAD_REQUEST', {'dtype': 'f64'}),
                (['rows', 'bit'], 'BAD_REQUEST', {'dtype': 'bit'}),
                (['scales'], 'BAD_REQUEST', {'dtype': 'i8', 'rows': bytes(128)}),
                (["'dcn'"], 'NOT_FOUND', {'layer': 'dcn'}),
                (["'nope'"], 'NOT_FOUND', {'release': 'nope'}),
                (['source'], 'BAD_REQUEST', {'position': 0}),
                (['position'], 'BAD_REQUEST', {'source': 's'}),
                (['source'], 'BAD_REQUEST', {'source': 'a b', 'position': 0})):
            with self.fails(code, *words):
                self.client.call('observe', **dict(good, **change))
        for name in ('users', 'items'):
            params = dict(good)
            del params[name]
            with self.fails('BAD_REQUEST', name):
                self.client.call('observe', **params)
        self.client.call('release.create', release='open')
        self.client.call('table.create', release='open', table='cr_user@fm', entity='user', kind='cr', dim=64)
        with self.fails('NOT_SEALED', 'open'):
            self.client.call('observe', **dict(good, release='open'))
        with self.fails('BAD_REQUEST', 'dim', '32', '64', 'fm'):
            self.client.call('table.create', release='open', table='cr_item@fm', entity='item', kind='cr', dim=32)
        with self.fails('BAD_REQUEST', 'key', 'bytes', 'u64'):
            self.client.call('table.create', release='open', table='more@fm', entity='user', kind='cr', dim=64,
                             key='bytes')
        with self.fails('BAD_REQUEST', 'weights'):
            self.client.call('put', release='r', table='cr_user@fm', keys=[1], rows=rows[:1].tobytes(),
                             weights=np.array([0], '<f8').tobytes())
        after = self.fetched('cr_user', keys, raw=True, release='r')
        np.testing.assert_array_equal(before[0], after[0])
        np.testing.assert_array_equal(before[1], after[1])
        empty = dict(good, users=b'', items=b'', times=b'', rows=b'')
        self.assertEqual(self.client.call('observe', **empty)['applied'], 0)

    def test_sums_that_leave_f32_are_refused(self):
        told, _ = DECAYS['events']
        self.make('r', told)
        keys = np.array([1, 2, 3], '<u8')
        times = np.full(3, harness.now_ms())
        rows = np.ones((3, 64), '<f4')
        rows[1, 5] = 3e38
        self.observe('r', 'fm', keys, keys + 10, times, rows, source='s', position=0)
        before = self.fetched('cr_user@fm', keys, raw=True)
        with self.fails('BAD_REQUEST', 'rows', 'key 2', 'element 5', "'cr_user@fm'"):
            self.observe('r', 'fm', keys, keys + 20, times, rows, source='s', position=3)
        with self.fails('BAD_REQUEST', 'rows', 'key 12', 'element 5', "'cr_item@fm'"):
            self.observe('r', 'fm', keys + 20, keys + 10, times, rows, source='s', position=3)
        after = self.fetched('cr_user@fm', keys, raw=True)
        np.testing.assert_array_equal(before[0], after[0])
        self.assertEqual(self.client.call('positions')['positions'][0]['next'], 3)
        self.client.call('delete', release='r', table='cr_user@fm', keys=[2])
        got = self.observe('r', 'fm', keys, keys + 20, times, rows, source='s', position=3)
        self.assertEqual(got['applied'], 3)

    def test_keys_may_be_byte_strings(self):
        self.client.call('release.create', release='r')
        for entity in ('user', 'item'):
            self.client.call('table.create', release='r', table='cr_%s@fm' % entity, entity=entity, kind='cr',
                             dim=2, key='bytes', read='sum', decay_events=1)
        self.client.seal('r')
        rows = np.arange(8, dtype='<f4').reshape(4, 2)
        times = np.full(4, harness.now_ms(), '<i8')
        for position, applied in ((0, 4), (2, 2), (6, 4)):
            got = self.client.call('observe', release='r', layer='fm', users=['a', 'bb', 'a', 'ccc'],
                                   items=[b'x', b'x', b'y', b'x'], times=times.tobytes(), rows=rows.tobytes(),
                                   source='s', position=position)
            self.assertEqual(got['applied'], applied)
        part = self.client.fetch('cr_user', ['a', 'bb', 'ccc', 'd'], weights=True)
        self.assertEqual(np.frombuffer(part['weights'], '<f8').tolist(), [5, 2, 3, 0])


if __name__ == '__main__':
    harness.main()
