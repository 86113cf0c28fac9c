"""test_history.py - tables that keep the newest vectors of a key in the order of their times."""

import os
import sys

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from harness import Failed  # noqa: E402
from history_model import Histories  # noqa: E402
from observe_model import Aggregate  # noqa: E402

DIM = 8
PLACES = 5
BASE_MS = 1_700_000_000_000
KEYS = np.arange(40, dtype='<u8')
DTYPES = {'f32': '<f4', 'f16': '<f2'}


class HistoryCase(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.random = harness.random_state()

    def samples(self, count, late_ms=50):
        """Users, items, times and vectors; many times are equal, and some samples are late."""
        random = self.random
        return (random.choice(KEYS, count), random.choice(KEYS[:10], count),
                (BASE_MS + np.arange(count) // 3 + random.integers(0, late_ms, count)).astype('<i8'),
                random.standard_normal((count, DIM)).astype('<f2').astype('<f4'))

    def observe(self, release, samples, **options):
        users, items, times, rows = samples
        return self.client.call('observe', release=release, layer='l', users=users.tobytes(), items=items.tobytes(),
                                times=times.tobytes(), rows=rows.tobytes(), **options)

    def check(self, table, model, stored='f32', keys=KEYS, **options):
        """All of a table, bit for bit."""
        part = self.client.fetch(table, keys.tobytes(), times=True, history_times=True, **options)
        dtype = options.get('dtype', stored)
        found, rows, counts, times, newest = model.arrays(keys, DIM, DTYPES[dtype])
        self.assertEqual((part['n'], part['dim'], part['views'], part['history'], part['dtype']),
                         (len(keys), DIM, model.places, model.places, dtype))
        self.assertEqual(list(harness.bits(part['found'], len(keys))), found)
        np.testing.assert_array_equal(np.frombuffer(part['counts'], '<u4'), counts)
        np.testing.assert_array_equal(np.frombuffer(part['history_times'], '<i8').reshape(times.shape), times)
        np.testing.assert_array_equal(np.frombuffer(part['times'], '<i8'), newest)
        np.testing.assert_array_equal(np.frombuffer(part['rows'], DTYPES[dtype]).reshape(rows.shape), rows)


class OfALayer(HistoryCase):
    """Histories beside sums of the same samples."""

    def make(self, release='r', **options):
        self.client.call('release.create', release=release)
        for name, entity, dtype in (('last_user', 'user', 'f32'), ('last_item', 'item', 'f16')):
            self.client.call('table.create', release=release, table=name + '@l', entity=entity, kind='cr', dim=DIM,
                             dtype=dtype, history=PLACES, **options)
        self.client.call('table.create', release=release, table='cr_user@l', entity='user', kind='cr', dim=DIM,
                         decay_events=0.5, read='sum')
        self.client.seal(release)
        return Histories(PLACES), Histories(PLACES)

    def test_they_are_the_newest_samples_however_the_stream_is_cut(self):
        samples = self.samples(2000)
        users, items, times, rows = samples
        for batch in (7, 500, 2000):
            release = 'r%d' % batch
            by_user, by_item = self.make(release)
            for at in range(0, len(users), batch):
                piece = tuple(column[at:at + batch] for column in samples)
                got = self.observe(release, piece, source='s', position=at)
                self.assertEqual(got['applied'], len(piece[0]))
                if at == batch:     # sent again: each counts once
                    self.assertEqual(self.observe(release, piece, source='s', position=at)['applied'], 0)
                if batch == 500:
                    self.client.call('merge')
            by_user.add_all(users, times, rows)
            by_item.add_all(items, times, rows)
            for _ in range(2):
                self.check('last_user@l', by_user, release=release)
                self.check('last_item@l', by_item, 'f16', release=release)
                self.client.call('merge')
            sums = Aggregate(events=0.5)
            sums.add_all(users, times, rows)
            part = self.client.fetch('cr_user@l', KEYS.tobytes(), release=release)
            np.testing.assert_array_equal(np.frombuffer(part['rows'], '<f4').reshape(-1, DIM), sums.states(KEYS)[0].astype('<f4'))

    def test_a_restart_and_a_rollback_leave_them_as_they_were(self):
        by_user, by_item = self.make('r')
        samples = self.samples(300)
        self.observe('r', samples)
        by_user.add_all(samples[0], samples[2], samples[3])
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.check('last_user@l', by_user)
        self.make('next')       # published: its histories begin anew
        self.check('last_user@l', Histories(PLACES))
        self.observe('live', samples)
        self.client.call('release.rollback')
        self.check('last_user@l', by_user)
        more = self.samples(100)
        self.observe('live', more)
        by_user.add_all(more[0], more[2], more[3])
        self.check('last_user@l', by_user)

    def test_a_deleted_one_and_an_expired_one_begin_anew(self):
        ttl_ms = 3600_000
        self.make(ttl_ms=ttl_ms)
        by_user = Histories(PLACES)
        now_ms = harness.now_ms()
        old = np.array([now_ms - ttl_ms - 60_000] * 10 + [now_ms - 1000] * 10, '<i8')
        users = np.concatenate([KEYS[:10], KEYS[5:15]])
        rows = self.samples(20)[3]
        self.observe('r', (users, users, old, rows))
        by_user.add_all(users[:10], old[:10], rows[:10])
        by_user.expire(now_ms, ttl_ms)      # what had expired when it came: what follows finds nothing
        by_user.add_all(users[10:], old[10:], rows[10:])
        self.assertEqual(len(by_user.rows), 10)
        self.check('last_user@l', by_user)
        self.client.call('delete', release='r', table='last_user@l', keys=KEYS[8:12].tobytes())
        by_user.delete(KEYS[8:12])
        self.check('last_user@l', by_user)
        late = np.full(len(KEYS), now_ms - 2000, '<i8')     # also to those that are gone
        rows = self.samples(len(KEYS))[3]
        self.observe('r', (KEYS, KEYS, late, rows))
        by_user.add_all(KEYS, late, rows)
        self.check('last_user@l', by_user)
        self.client.call('merge')
        self.check('last_user@l', by_user)

    def test_other_dtypes_are_converted_and_what_has_no_meaning_is_refused(self):
        by_user, _ = self.make()
        samples = self.samples(200)
        self.observe('r', samples)
        by_user.add_all(samples[0], samples[2], samples[3])
        self.check('last_user@l', by_user, dtype='f16')
        part = self.client.fetch('last_user@l', KEYS[:3].tobytes(), dtype='i8')
        _, rows, _, _, _ = by_user.arrays(KEYS[:3], DIM)
        codes = np.frombuffer(part['rows'], 'i1').reshape(rows.shape).astype('<f4')
        scales = np.frombuffer(part['scales'], '<f4')[:, None, None]
        np.testing.assert_allclose(codes * scales, rows, atol=float(scales.max()) / 2 + 1e-6)
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: parts.0..weights: table 'last_user@l' is of kind cr with a "):
            self.client.fetch('last_user@l', [1], weights=True)
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: parts.0..history_times: table 'cr_user@l' has no histories"):
            self.client.fetch('cr_user@l', [1], history_times=True)
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: parts.0..through: given, but table 'last_user@l' has hist"):
            self.client.fetch('last_user@l', [1], through=['relu'])
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: with: table 'last_user@l' has histories"):
            self.client.call('retrieve', **{'from': {'table': 'cr_user', 'keys': [1]}, 'in': 'cr_user',
                                            'with': ['last_user']})
        with self.assertRaisesRegex(Failed, "NOT_FOUND: with.0.: table: 'lost' is not in release 'r'"):
            self.client.call('retrieve', **{'from': {'table': 'cr_user', 'keys': [1]}, 'in': 'cr_user', 'with': ['lost']})
        rows = samples[3].copy()
        rows[150, 3] = 1e6      # inf in f16
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: rows: a sample of key .* in table 'last_item@l' is too larg"):
            self.observe('r', samples[:3] + (rows,), source='s', position=0)
        self.check('last_user@l', by_user)      # nothing has changed, in no table
        self.assertEqual(self.client.call('positions')['positions'], [])

    def test_a_spec_that_makes_no_sense_is_refused_by_name(self):
        self.client.call('release.create', release='r')
        good = {'release': 'r', 'table': 't', 'entity': 'user', 'kind': 'ur', 'dim': 4, 'history': 3}
        for wrong, text in (({'history': 0}, 'history: 0 given, 1..1024 allowed'),
                            ({'history': 1025}, 'history: 1025 given'),
                            ({'history': 600, 'views': 2}, 'history: 600 places of 2 views given, up to 1024'),
                            ({'history': 'many'}, 'history: str given'),
                            ({'history': 1024, 'dim': 4096}, 'dim: 4096 of 1024 views given, a row of'),
                            ({'dtype': 'i8'}, 'dtype: i8 given, f32, f16 or bf16 allowed with a history'),
                            ({'dtype': 'bit'}, 'dtype: bit given'),
                            ({'kind': 'ir', 'entity': 'item'}, 'history: given, allowed for kinds ur and cr'),
                            ({'index': 'balls'}, "index: 'balls' given, 'none' allowed with a history"),
                            ({'default': 'zeros'}, "default: 'zeros' given, none allowed with a history"),
                            ({'kind': 'cr'}, "table: 't' given, name@layer allowed"),
                            ({'kind': 'cr', 'table': 't@l', 'read': 'mean'}, 'read: given, allowed for kind cr only'),
                            ({'half_life_ms': 5}, 'half_life_ms: given, allowed for kind cr only')):
            with self.fails('BAD_REQUEST', text):
                self.client.call('table.create', **{**good, **wrong})
        self.client.call('table.create', **good)
        shown = self.client.call('table.show', release='r', table='t')
        self.assertEqual((shown['history'], shown['views'], shown['dtype']), (3, 1, 'f32'))
        self.assertNotIn('decay_events', shown)

    def test_the_command_makes_them_and_shows_them(self):
        run = self.daemon.command
        run('release', 'create', 'r')
        run('table', 'create', 'r/seen', '--entity', 'user', '--kind', 'cr', '--layer', 'l', '--dim', '2',
            '--history', '3')
        run('release', 'seal', 'r')
        run('release', 'publish', 'r')
        for i in range(4):
            self.client.call('observe', release='r', layer='l', users=[7], times=(1000 + i).to_bytes(8, 'little'),
                             rows=np.array([i, 0.5], '<f4').tobytes())
        self.client.call('observe', release='r', layer='l', users=[8], times=(5).to_bytes(8, 'little'),
                         rows=np.array([9, 9], '<f4').tobytes())
        lines = run('fetch', 'seen', '7', '8', '9').splitlines()
        self.assertIn('3 x 2 f32, 2 of 3 found', lines[0])
        self.assertEqual(lines[1].split(), ['KEY', 'WHY', 'TIME', 'COUNT', 'VECTOR'])
        self.assertEqual(lines[2].split()[-7:], ['3', '1', '0.5', '2', '0.5', '3', '0.5'])
        self.assertEqual(lines[3].split()[-3:], ['1', '9', '9'])
        self.assertEqual(lines[4].split(), ['9', 'absent', '-', '0'])
        shown = self.daemon.command_json('fetch', 'seen', '7', '8')
        self.assertEqual(shown[0]['vector'], [[1, 0.5], [2, 0.5], [3, 0.5]])
        self.assertEqual(shown[0]['history_times'], [1001, 1002, 1003])
        self.assertEqual((shown[1]['vector'], shown[1]['history_times'], shown[1]['time']), ([[9, 9]], [5], 5))
        self.assertIn('last 3', run('table', 'list'))
        self.assertIn('history', run('table', 'show', 'seen'))
        run('fetch', 'seen', '7', '--weights', fails=1)


class Append(HistoryCase):
    """Histories that are fed alone."""

    def make(self, release='r', name='last', **options):
        self.client.call('release.create', release=release)
        self.client.call('table.create', release=release, table=name, entity='user', kind='ur', dim=DIM, dtype='f16',
                         history=PLACES, **options)
        self.client.seal(release)
        return Histories(PLACES)

    def append(self, keys, times, rows, table='last', **options):
        return self.client.call('append', release='live', table=table, keys=np.asarray(keys, '<u8').tobytes(),
                                times=np.asarray(times, '<i8').tobytes(), rows=rows.tobytes(), **options)

    def positions(self):
        return [(each['layer'], each['source'], each['next']) for each in self.client.call('positions')['positions']]

    def test_each_vector_counts_once_by_source_and_position(self):
        model = self.make()
        keys, _, times, rows = self.samples(1000)
        for at in range(0, 1000, 90):
            piece = slice(at, at + 90)
            sent = (keys[piece], times[piece], rows[piece])
            got = self.append(*sent, source='feed', position=at)
            self.assertEqual((got['applied'], got['next']), (len(sent[0]), min(at + 90, 1000)))
        got = self.append(keys[900:], times[900:], rows[900:], source='feed', position=900)     # all again
        self.assertEqual((got['applied'], got['next']), (0, 1000))
        model.add_all(keys, times, rows)
        self.check('last', model, 'f16')
        more = self.samples(100)        # half of it was counted: it is sent as it was
        both = [np.concatenate([old[950:], new]) for old, new in zip((keys, times, rows), (more[0], more[2], more[3]))]
        self.assertEqual(self.append(*both, source='feed', position=950)['applied'], 100)
        model.add_all(more[0], more[2], more[3])
        self.check('last', model, 'f16')
        with self.assertRaisesRegex(Failed, "GAP: position: 2000 given, source 'feed' is counted up to 1100 in table 'l"):
            self.append(keys, times, rows, source='feed', position=2000)
        with self.assertRaisesRegex(Failed, "GAP: position: 5 given, nothing of source 'other' is counted in table 'las"):
            self.append(keys, times, rows, source='other', position=5)
        self.assertEqual(self.positions(), [('last', 'feed', 1100)])
        for _ in range(2):      # from the log, then from the catalog
            self.daemon.restart()
            self.client = self.daemon.client()
            self.addCleanup(self.client.close)
            self.check('last', model, 'f16')
            self.assertEqual(self.append(*both, source='feed', position=950)['applied'], 0)
            self.client.call('merge')
        got = self.client.call('positions.forget', release='live', layer='last', source='feed')
        self.assertEqual((got['forgotten'], self.positions()), (1, []))
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.assertEqual(self.positions(), [])
        self.assertEqual(self.append(keys[:1], times[:1], rows[:1])['applied'], 1)      # without a source it counts again

    def test_a_table_of_a_layer_takes_both_and_a_position_is_kept_of_its_whole_name(self):
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='last@l', entity='item', kind='cr', dim=DIM, history=PLACES)
        self.client.call('table.create', release='r', table='cr@l', entity='item', kind='cr', dim=DIM, read='sum')
        self.client.seal('r')
        model = Histories(PLACES)
        samples = self.samples(50)
        _, items, times, rows = samples
        self.observe('r', samples, source='s', position=0)
        self.append(items, times, rows, source='s', position=0)     # by the name of the chosen layer
        self.assertEqual(self.positions(), [('l', 's', 50), ('last@l', 's', 50)])
        model.add_all(items, times, rows)
        model.add_all(items, times, rows)
        self.check('last', model)
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('merge')
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.assertEqual(self.positions(), [('l', 's', 50), ('last@l', 's', 50)])
        self.client.call('positions.forget', release='live', layer='last@l', source='s')
        self.assertEqual(self.positions(), [('l', 's', 50)])
        with self.assertRaisesRegex(Failed, "BAD_REQUEST: table: 'cr@l' has no histories to append to .observe is for"):
            self.append(items, times, rows, table='cr')

    def test_what_is_wrong_is_said_by_name_and_changes_nothing(self):
        model = self.make()
        keys, _, times, rows = self.samples(20)
        self.append(keys, times, rows)
        model.add_all(keys, times, rows)
        bad = rows.copy()
        bad[7, 2] = np.nan
        for text, call in (
                ('keys: 19 given, 20 allowed: as many as times', lambda: self.append(keys[:19], times, rows)),
                ('rows: 608 bytes given, 640 expected', lambda: self.append(keys, times, rows[:19])),
                ('rows: sample 7, element 2 is not finite', lambda: self.append(keys, times, bad)),
                ("times: sample 0 has", lambda: self.append(keys, times + 10 ** 12, rows)),
                ('source: missing', lambda: self.append(keys, times, rows, position=1)),
                ('position: missing', lambda: self.append(keys, times, rows, source='s')),
                ('layer: no such parameter', lambda: self.append(keys, times, rows, layer='l'))):
            with self.fails('BAD_REQUEST', text):
                call()
        with self.fails('NOT_FOUND', "table: 'lost' is not in release 'r'"):
            self.append(keys, times, rows, table='lost')
        with self.fails('BAD_REQUEST', 'keys[0]: str given'):
            self.client.call('append', release='r', table='last', keys=['a'], times=bytes(8), rows=bytes(32))
        self.check('last', model, 'f16')
        self.assertEqual(self.positions(), [])
        self.client.call('release.create', release='next')
        with self.fails('NOT_SEALED'):
            self.client.call('table.create', release='next', table='last', entity='user', kind='ur', dim=DIM, history=2)
            self.client.call('append', release='next', table='last', keys=[1], times=bytes(8), rows=bytes(32))

    def test_no_table_with_a_history_is_called_as_a_layer(self):
        self.client.call('release.create', release='r')
        of = {'release': 'r', 'entity': 'user', 'dim': 2}
        self.client.call('table.create', table='a@x', kind='cr', **of)
        self.client.call('table.create', table='y', kind='ur', history=2, **of)
        with self.fails('BAD_REQUEST', "table: 'x' given, beside 'a@x'"):
            self.client.call('table.create', table='x', kind='ur', history=2, **of)
        with self.fails('BAD_REQUEST', "table: 'b@y' given, beside 'y'"):
            self.client.call('table.create', table='b@y', kind='cr', **of)
        with self.fails('BAD_REQUEST', 'up to 64 bytes allowed, since positions are kept of it'):
            self.client.call('table.create', table='n' * 40 + '@' + 'l' * 40, kind='ur', history=2, **of)
        self.client.call('table.create', table='x', kind='ur', **of)

    def test_the_command_sends_files_and_sends_them_again(self):
        model = self.make()
        keys, _, times, rows = self.samples(500)
        for name, array in (('keys', keys), ('times', times), ('rows', rows)):
            np.save(self.path(name + '.npy'), array)
        files = ['--keys', self.path('keys.npy'), '--times', self.path('times.npy'), '--rows', self.path('rows.npy')]
        said = self.daemon.command('append', 'last', *files, '--source', 'file', '--batch', '64')
        self.assertRegex(said, '^500 vectors into table last of r in ')
        said = self.daemon.command('append', 'r/last', *files, '--source', 'file')
        self.assertIn('0 vectors into table last of r', said)
        self.assertIn('500 more were counted before', said)
        model.add_all(keys, times, rows)
        self.check('last', model, 'f16')
        self.assertRegex(self.daemon.command('positions'), r'last +file +500')
        self.assertEqual(self.daemon.command_json('append', 'last', *files)[0]['table'], 'last')
        self.assertIn('--keys is needed', self.daemon.command('append', 'last', *files[2:], fails=2))
        self.client.call('release.create', release='plain')
        self.client.call('table.create', release='plain', table='last', entity='user', kind='ur', dim=DIM)
        self.client.seal('plain')
        self.assertIn("has no histories; `repstore put` is for it", self.daemon.command('append', 'last', *files, fails=1))


class Whole(HistoryCase):
    """Histories that are put, loaded, dumped and imported as whole rows."""

    def make(self, release='r', dtype='f16', seal=True, **options):
        self.client.call('release.create', release=release)
        self.client.call('table.create', release=release, table='last', entity='user', kind='ur', dim=DIM, dtype=dtype,
                         history=PLACES, **options)
        if seal:
            self.client.seal(release)

    def model(self, count=300):
        """Histories of some keys: some full, some not."""
        model = Histories(PLACES)
        keys, _, times, rows = self.samples(count)
        model.add_all(keys, times, rows)
        return model

    def columns(self, model, keys):
        _, rows, counts, times, _ = model.arrays(keys, DIM)
        return {'keys': keys.tobytes(), 'rows': rows.tobytes(), 'dtype': 'f32', 'counts': counts.tobytes(),
                'history_times': times.tobytes()}

    def keys_of(self, model):
        return np.array(sorted(model.rows), '<u8')

    def test_a_put_replaces_and_append_goes_on_from_there(self):
        self.make()
        model = self.model()
        keys = self.keys_of(model)
        self.assertEqual(self.client.call('put', release='r', table='last', **self.columns(model, keys))['applied'], len(keys))
        self.check('last', model, 'f16')
        more, _, times, rows = self.samples(100)
        self.client.call('append', release='r', table='last', keys=more.tobytes(), times=times.tobytes(), rows=rows.tobytes())
        model.add_all(more, times, rows)
        self.check('last', model, 'f16')
        old = self.model(50)        # its rows are older by now, for most keys
        newer = {key: row for key, row in old.rows.items() if key not in model.rows or row[-1][0] > model.rows[key][-1][0]}
        got = self.client.call('put', release='r', table='last', if_newer=True, **self.columns(old, self.keys_of(old)))
        self.assertEqual(got['applied'], len(newer))
        model.rows.update(newer)
        self.check('last', model, 'f16')
        self.client.call('merge')
        self.check('last', model, 'f16')

    def test_what_is_no_history_is_refused_by_name(self):
        self.make(dtype='f16')
        model = self.model(200)
        keys = self.keys_of(model)
        good = self.columns(model, keys)
        _, rows, counts, times, newest = model.arrays(keys, DIM)
        n = len(keys)
        none, many, fallen, late, big = counts.copy(), counts.copy(), times.copy(), times.copy(), rows.copy()
        none[3] = 0
        many[4] = PLACES + 1
        full = int(np.flatnonzero(counts == PLACES)[0])
        fallen[full, 2] = fallen[full, 1] - 1
        late[full, PLACES - 1] = harness.now_ms() + 7200_000
        big[full, 2, 1] = 1e6
        for text, wrong in (('counts: row 3 has 0, 1..5 allowed', {'counts': none.tobytes()}),
                            ('counts: row 4 has 6, 1..5 allowed', {'counts': many.tobytes()}),
                            ('history_times: row %d, place 2 is older than the one before' % full,
                             {'history_times': fallen.tobytes()}),
                            ('row %d: history_times: place %d' % (full, PLACES - 1), {'history_times': late.tobytes()}),
                            ('counts: missing, a row of table', {'counts': None}),
                            ('history_times: missing, a row of table', {'history_times': None}),
                            ('history_times: ', {'history_times': times[:, :-1].tobytes()}),
                            ('counts: ', {'counts': counts[:-1].tobytes()}),
                            ('times: given, a row of table', {'times': newest.tobytes()}),
                            ('rows: row %d ' % full, {'rows': big.tobytes()}),
                            ('weights: given', {'weights': np.ones(n, '<f8').tobytes()}),
                            ('rows: ', {'rows': rows[:, 0].tobytes()})):
            with self.fails('BAD_REQUEST', text):
                self.client.call('put', release='r', table='last', **{**good, **wrong})
        self.check('last', Histories(PLACES), 'f16')
        self.client.call('release.create', release='s')
        self.client.call('table.create', release='s', table='plain', entity='user', kind='ur', dim=DIM)
        self.client.seal('s')
        with self.fails('BAD_REQUEST', "counts: given, table 'plain' has no histories"):
            self.client.call('put', release='s', table='plain', keys=[1], rows=bytes(4 * DIM), counts=bytes(4))

    def test_a_load_brings_them_into_a_release_with_those_of_i8_and_bf16(self):
        model = self.model()
        keys = self.keys_of(model)
        self.make(seal=False, dtype='f32')
        half = len(keys) // 2
        for chunk, some in enumerate((keys[:half], keys[half:])):
            for _ in range(2):      # the same chunk again counts once; another is noticed
                self.client.call('load', release='r', table='last', load='l', chunk=chunk, **self.columns(model, some))
        other = self.columns(model, keys[half:])
        _, _, counts, times, _ = model.arrays(keys[half:], DIM)
        times[:, 0] -= 1
        with self.fails('CONFLICT'):
            self.client.call('load', release='r', table='last', load='l', chunk=1,
                             **{**other, 'history_times': times.tobytes()})
        self.client.call('load.end', release='r', table='last', load='l', chunks=2, rows=len(keys))
        self.client.seal('r')
        self.check('last', model)
        self.daemon.restart()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.check('last', model)
        for dtype in ('bf16', 'i8'):
            part = self.client.fetch('last', keys.tobytes(), dtype=dtype)
            _, rows, counts, times, _ = model.arrays(keys, DIM)
            codes = np.frombuffer(part['rows'], {'bf16': '<u2', 'i8': 'i1'}[dtype]).reshape(len(keys), -1)
            scales = np.frombuffer(part['scales'], '<f4') if dtype == 'i8' else None
            as_read = harness.as_f32(dtype, codes, scales, DIM, PLACES).reshape(rows.shape)
            columns = {'keys': keys.tobytes(), 'rows': part['rows'], 'dtype': dtype, 'counts': counts.tobytes(),
                       'history_times': times.tobytes(), 'scales': part.get('scales')}
            self.client.call('put', release='r', table='last', **columns)
            back = self.client.fetch('last', keys.tobytes())
            np.testing.assert_array_equal(np.frombuffer(back['rows'], '<f4').reshape(rows.shape), as_read)

    def test_dumps_are_imported_bit_for_bit(self):
        """Through each format, into an open release and into one that is live."""
        model = self.model()
        keys = self.keys_of(model)
        self.make(dtype='f16')
        self.client.call('put', release='r', table='last', **self.columns(model, keys))
        run = self.daemon.command
        npy = ['--keys', self.path('k.npy'), '--rows', self.path('r.npy'), '--counts', self.path('c.npy'),
               '--history-times', self.path('h.npy')]
        forms = {'npy': npy}
        run('dump', 'r/last', *npy, '--sort', 'key')
        _, rows, counts, times, _ = model.arrays(keys, DIM, '<f2')
        for name, expected in (('k', keys), ('r', rows), ('c', counts), ('h', times)):
            np.testing.assert_array_equal(np.load(self.path(name + '.npy')), expected)
        for form in ('npz', 'safetensors', 'msgpack', 'jsonl'):
            forms[form] = [self.path('d.' + form)]
            run('dump', 'r/last', *forms[form])
        with np.load(self.path('d.npz')) as archive:
            self.assertEqual(sorted(archive), ['counts', 'history_times', 'keys', 'rows'])
        for form, files in forms.items():
            loaded = 'l-' + form
            self.make(loaded, seal=False, dtype='f16')
            self.assertIn('%d rows' % len(keys), run('import', loaded + '/last', *files))
            run('release', 'seal', loaded)
            self.check('last', model, 'f16', release=loaded)
            self.make('p-' + form, dtype='f16')
            run('import', 'live/last', *files)
            run('import', 'live/last', *files, '--if-newer')
            self.check('last', model, 'f16')
        self.client.call('release.create', release='wide')
        self.client.call('table.create', release='wide', table='last', entity='user', kind='ur', dim=DIM, history=PLACES + 1)
        self.client.call('table.create', release='wide', table='flat', entity='user', kind='ur', dim=DIM, views=PLACES)
        for form, files in forms.items():
            if form != 'jsonl':     # whose lines have as many vectors as there are
                run('import', 'wide/last', *files, fails=1)
            run('import', 'wide/flat', *files, fails=1)
        self.assertIn('come with counts', run('import', 'live/last', *npy[:4], fails=1))
        self.assertIn('import takes back without it', run('dump', 'r/last', self.path('x.npz'), '--raw', fails=1))

    def test_an_exported_release_has_them(self):
        model = self.model()
        os.mkdir(self.path('backups'))
        daemon = self.start_daemon('--backup-folder', self.path('backups'), name='b')
        with daemon.client() as client:
            self.client = client
            self.make()
            client.call('put', release='r', table='last', **self.columns(model, self.keys_of(model)))
            client.call('append', release='r', table='last', keys=[3], times=np.array([BASE_MS + 10 ** 6], '<i8').tobytes(),
                        rows=np.ones(DIM, '<f4').tobytes(), source='s', position=0)
            model.add(3, BASE_MS + 10 ** 6, np.ones(DIM))
            client.call('release.export', release='r', dir='e')
            client.call('release.adopt', dir='e', release='adopted')
            self.check('last', model, 'f16', release='adopted')
            client.call('release.publish', release='adopted')
            self.assertEqual([(each['layer'], each['next']) for each in client.call('positions')['positions']], [('last', 1)])


class Compared(HistoryCase):
    """Histories that ask, and that are found: by their vectors, each with a weight by its age."""

    HALF_LIFE_MS = 40

    def setUp(self):
        super().setUp()
        self.client.call('release.create', release='r')
        for name, entity, kind, options in (('last', 'user', 'ur', {'history': PLACES}), ('seen@l', 'item', 'cr', {'history': 3}),
                                            ('ir', 'item', 'ir', {})):
            self.client.call('table.create', release='r', table=name, entity=entity, kind=kind, dim=DIM, **options)
        self.items = self.random.standard_normal((60, DIM)).astype('<f4')
        self.client.load('r', 'ir', np.arange(60, dtype='<u8'), self.items)
        self.client.seal('r')
        self.asking, self.found = Histories(PLACES), Histories(3)
        for model, table, count in ((self.asking, 'last', 90), (self.found, 'seen', 120)):
            keys, _, times, rows = self.samples(count)
            self.client.call('append', release='live', table=table, keys=keys.tobytes(), times=times.tobytes(),
                             rows=rows.tobytes())
            model.add_all(keys, times, rows)
            if table == 'seen':     # half of them are in base files
                self.client.call('merge')
                keys, _, times, rows = self.samples(30)
                self.client.call('append', release='live', table=table, keys=keys.tobytes(), times=times.tobytes(),
                                 rows=rows.tobytes())
                model.add_all(keys, times, rows)
        self.keys = np.array(sorted(self.asking.rows), '<u8')[:12]

    def scores(self, half_life_ms, items):
        """In f64: the sum over a user's vectors of their weights times the best of an item's vectors."""
        out = np.zeros((len(self.keys), len(items)))
        for i, key in enumerate(self.keys):
            row = self.asking.rows[int(key)]
            for time, vector in row:
                weight = 2.0 ** (-(row[-1][0] - time) / half_life_ms) if half_life_ms else 1.0
                out[i] += weight * np.array([max(np.dot(vector.astype('f8'), each.astype('f8')) for each in item)
                                             for item in items])
        return out

    def ask(self, half_life_ms, **options):
        from_ = {'table': 'last', 'keys': self.keys.tobytes()}
        if half_life_ms:
            from_['history_half_life_ms'] = half_life_ms
        return self.client.call(options.pop('method'), **{'from': from_, **options})

    def test_scores_are_those_of_numpy(self):
        found_keys = np.array(sorted(self.found.rows), '<u8')
        found = [[vector for _, vector in self.found.rows[int(key)]] for key in found_keys]
        plain_keys = np.arange(60, dtype='<u8')
        for half_life_ms in (0, 1, self.HALF_LIFE_MS, 10 ** 9):
            for table, keys, items in (('ir', plain_keys, [[each] for each in self.items]), ('seen', found_keys, found)):
                expected = self.scores(half_life_ms, items)
                scale = np.abs(expected).max()
                got = self.ask(half_life_ms, method='score', keys=keys.tobytes(), **{'in': table})
                self.assertTrue(all(harness.bits(got['found'], len(keys))))
                scores = np.array([np.frombuffer(part['scores'], '<f4') for part in got['parts']])
                np.testing.assert_allclose(scores, expected, atol=scale * 3e-6)
                got = self.ask(half_life_ms, method='retrieve', k=7, **{'in': table})
                self.assertTrue(got['exact'])
                for i, part in enumerate(got['parts']):
                    best = np.frombuffer(part['keys'], '<u8')
                    order = np.argsort(-expected[i], kind='stable')[:7]
                    np.testing.assert_array_equal(best, keys[order])
                    at = np.searchsorted(keys, best)
                    np.testing.assert_array_equal(np.frombuffer(part['scores'], '<f4'), scores[i][at])
                got = self.ask(half_life_ms, method='retrieve', k=3, allow=keys[:20].tobytes(), **{'in': table})
                for i, part in enumerate(got['parts']):
                    order = np.argsort(-expected[i][:20], kind='stable')[:3]
                    np.testing.assert_array_equal(np.frombuffer(part['keys'], '<u8'), keys[order])

    def test_the_command_and_the_library_ask_with_an_age(self):
        key, = self.keys[:1]
        expected = self.scores(self.HALF_LIFE_MS, [[each] for each in self.items])[0]
        shown = self.daemon.command_json('retrieve', '--from', 'last/%d' % key, '--in', 'ir', '-k', '4', '--history-half-life',
                                         '%dms' % self.HALF_LIFE_MS)
        self.assertEqual([each['key'] for each in shown], list(np.argsort(-expected, kind='stable')[:4]))
        scores = self.daemon.command_json('score', '--from', 'last/%d' % key, '--in', 'ir', '3', '--history-half-life',
                                          '%dms' % self.HALF_LIFE_MS)
        self.assertAlmostEqual(scores[0]['score'], expected[3], places=3)

    def test_empty_places_are_not_scored(self):
        """A vector of zeros would be better than one that points away."""
        key = np.array([1], '<u8')
        for table in ('last', 'seen'):
            self.client.call('delete', release='live', table=table, keys=key.tobytes())
            self.client.call('append', release='live', table=table, keys=key.tobytes(),
                             times=np.array([BASE_MS], '<i8').tobytes(),
                             rows=(np.ones(DIM, '<f4') * (1 if table == 'last' else -1)).tobytes())
        for metric, expected in (('inner_product', -DIM), ('cosine', -1), ('l2', -4 * DIM)):
            got = self.client.call('score', **{'from': {'table': 'last', 'keys': [1]}, 'in': 'seen', 'keys': [1], 'metric': metric})
            self.assertAlmostEqual(np.frombuffer(got['parts'][0]['scores'], '<f4')[0], expected, places=5)
            got = self.client.call('retrieve', **{'from': {'table': 'last', 'keys': [1]}, 'in': 'seen', 'metric': metric, 'k': 1000})
            keys = list(np.frombuffer(got['parts'][0]['keys'], '<u8'))
            self.assertAlmostEqual(np.frombuffer(got['parts'][0]['scores'], '<f4')[keys.index(1)], expected, places=5)

    def test_what_has_no_meaning_is_refused(self):
        for text, from_, options in (
                ('from.history_half_life_ms: given, but only rows', {'table': 'ir', 'keys': [1], 'history_half_life_ms': 5}, {}),
                ('from.history_half_life_ms: 0 given', {'table': 'last', 'keys': [1], 'history_half_life_ms': 0}, {}),
                ("weights: given, but table 'last' has histories", {'table': 'last', 'keys': [int(self.keys[0])]},
                 {'weights': [1.0] * PLACES}),
                ("through: given, but table 'last' has histories", {'table': 'last', 'keys': [1]}, {'through': ['relu']})):
            with self.fails('BAD_REQUEST', text):
                self.client.call('retrieve', **{'from': from_, 'in': 'ir', **options})
        with self.fails('BAD_REQUEST', 'history_half_life_ms'):
            self.client.call('retrieve', release='r', **{'in': 'ir', 'from': {'dim': DIM, 'rows': bytes(4 * DIM),
                                                                              'history_half_life_ms': 4}})


if __name__ == '__main__':
    harness.main()
