"""test_default_row.py - the row that a key without one gets, when a fetch asks for it."""

import os

import numpy as np

import harness
from harness import bf16_of, bits, f32_of_bf16, i8_of

DIM = 6
COUNT = 5000
KEYS = np.arange(1, COUNT + 1, dtype='<u8')
ROWS = np.random.default_rng(11).standard_normal((COUNT, DIM)).astype('<f4') * 3
ABSENT = 10 ** 9
DTYPES = ('f32', 'f16', 'bf16', 'i8')
GIVEN = np.array([1, -2, 0.5, 3, -0.25, 8], '<f4')


def as_f32(dtype, data, scales=None):
    """The values of one or more rows of a reply."""
    if dtype == 'i8':
        return np.frombuffer(data, 'i1').astype('<f4').reshape(-1, DIM) * np.frombuffer(scales, '<f4')[:, None]
    if dtype == 'bf16':
        return f32_of_bf16(np.frombuffer(data, '<u2')).reshape(-1, DIM)
    return np.frombuffer(data, '<f4' if dtype == 'f32' else '<f2').astype('<f4').reshape(-1, DIM)


def given_as(dtype, values):
    """(bytes, scale) of a row."""
    if dtype == 'i8':
        codes, scales = i8_of(values[None])
        return codes.tobytes(), float(scales[0])
    if dtype == 'bf16':
        return bf16_of(values).tobytes(), None
    return values.astype('<f4' if dtype == 'f32' else '<f2').tobytes(), None


class DefaultRow(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--workers', '2')
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.client.call('release.create', release='r')

    def create(self, name, kind='ir', entity='item', dim=DIM, **more):
        self.client.call('table.create', release='r', table=name, entity=entity, kind=kind, dim=dim, **more)

    def create_all(self):
        """A table of each dtype and default, with rows; `plain` has no default."""
        for dtype in DTYPES:
            for default in ('zeros', 'mean', 'row'):
                more = {}
                if default == 'row':
                    more['default_row'], scale = given_as(dtype, GIVEN)
                    if scale is not None:
                        more['default_scale'] = scale
                name = '%s-%s' % (dtype, default)
                self.create(name, dtype=dtype, default=default, ttl_ms=3600 * 1000, **more)
                self.client.load('r', name, KEYS, ROWS, dtype='f32')
        self.create('plain')
        self.client.load('r', 'plain', KEYS, ROWS)
        self.client.seal('r')

    def expected(self, name):
        """The default row in f32, as the table has it."""
        dtype, default = name.split('-')
        if default == 'zeros':
            return np.zeros(DIM, '<f4')
        if default == 'row':
            data, scale = given_as(dtype, GIVEN)
            return as_f32(dtype, data, np.array([scale or 0], '<f4').tobytes())[0]
        part = self.client.fetch(name, harness.packed(KEYS), dtype='f32')
        return np.frombuffer(part['rows'], '<f4').reshape(-1, DIM).astype('f8').mean(axis=0).astype('<f4')

    def defaulted(self, name, **options):
        """The default row, through a fetch of a key that is there and two that are not."""
        part = self.client.fetch(name, [ABSENT, 7, ABSENT + 1], missing='default', why=True, times=True, **options)
        self.assertEqual(list(part['why']), [5, 0, 5])
        self.assertEqual(bits(part['found'], 3).tolist(), [False, True, False])
        times = np.frombuffer(part['times'], '<i8')
        self.assertEqual(times[[0, 2]].tolist(), [0, 0])
        self.assertGreater(times[1], 0)
        rows = as_f32(part['dtype'], part['rows'], part.get('scales'))
        np.testing.assert_array_equal(rows[0], rows[2])
        return rows[0]

    def test_each_kind_in_each_dtype(self):
        self.create_all()
        for dtype in DTYPES:
            for default in ('zeros', 'mean', 'row'):
                name = '%s-%s' % (dtype, default)
                expected = self.expected(name)
                got = self.defaulted(name, dtype='f32')
                if default == 'mean':
                    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
                else:
                    np.testing.assert_array_equal(got, expected)
                for other in DTYPES:
                    values, scale = given_as(other, got)
                    np.testing.assert_array_equal(
                        self.defaulted(name, dtype=other),
                        as_f32(other, values, np.array([scale or 0], '<f4').tobytes())[0])
                shown = self.client.call('table.show', table=name)
                self.assertEqual(shown['default'], default)
                if default == 'row':
                    self.assertEqual((shown['default_row'], shown['default_scale']),
                                     (given_as(dtype, GIVEN)[0], np.float32(given_as(dtype, GIVEN)[1] or 0)))
                elif default == 'mean':
                    self.assertEqual(shown['default_row'], got.tobytes())
                else:
                    self.assertNotIn('default_row', shown)
        listed = {table['table']: table.get('default') for table in self.client.call('table.list')['tables']}
        self.assertEqual(listed['f32-mean'], 'mean')
        self.assertEqual(listed['plain'], None)

    def test_nothing_changes_for_who_does_not_ask(self):
        self.create_all()
        for missing in (None, 'zero'):
            part = self.client.fetch('f32-row', [ABSENT, 7], why=True, missing=missing)
            self.assertEqual(list(part['why']), [1, 0])
            self.assertEqual(part['rows'], bytes(4 * DIM) + ROWS[6].tobytes())
        self.assertEqual(self.client.fetch('f32-row', [ABSENT])['rows'], bytes(4 * DIM))
        figures = self.client.call('stats')['fetch']
        self.assertEqual((figures['rows'], figures['found'], figures['absent'], figures['defaulted']), (5, 2, 3, 0))
        self.defaulted('f32-row')
        figures = self.client.call('stats')['fetch']
        self.assertEqual((figures['rows'], figures['found'], figures['absent'], figures['defaulted']), (8, 3, 3, 2))

    def test_parts_ask_each_for_itself(self):
        self.create_all()
        parts = self.client.call('fetch', parts=[
            {'table': 'f32-row', 'keys': [ABSENT], 'why': True, 'missing': 'default'},
            {'table': 'f32-row', 'keys': [ABSENT], 'why': True},
            {'table': 'plain', 'keys': [ABSENT], 'why': True}])['parts']
        self.assertEqual([part['why'] for part in parts], [b'\5', b'\1', b'\1'])
        self.assertEqual([part['rows'] for part in parts], [GIVEN.tobytes(), bytes(4 * DIM), bytes(4 * DIM)])
        with self.fails('BAD_REQUEST', 'parts[1].missing', "'plain'"):
            self.client.call('fetch', parts=[{'table': 'f32-row', 'keys': [1], 'missing': 'default'},
                                             {'table': 'plain', 'keys': [1], 'missing': 'default'}])

    def test_old_and_deleted_rows_are_missing(self):
        self.create_all()
        self.client.call('put', release='live', table='f32-row', keys=[3], rows=bytes(4 * DIM),
                         times=np.array([harness.now_ms() - 7200 * 1000], '<i8').tobytes())
        self.client.call('delete', release='live', table='f32-row', keys=[4])
        for _ in range(2):
            part = self.client.fetch('f32-row', [3, 4, 5], why=True, missing='default')
            self.assertEqual(list(part['why']), [5, 5, 0])
            self.assertEqual(part['rows'], GIVEN.tobytes() * 2 + ROWS[4].tobytes())
            self.client.call('merge')
        part = self.client.fetch('f32-row', [5], why=True, missing='default', max_age_ms=0)
        self.assertEqual((part['why'], part['rows']), (b'\5', GIVEN.tobytes()))

    def test_a_mean_stays_that_of_the_seal(self):
        self.create_all()
        before = {name: self.defaulted(name) for name in ('f32-mean', 'f16-mean', 'i8-mean')}
        self.client.call('put', release='live', table='f32-mean', keys=harness.packed(KEYS[1000:]),
                         rows=np.full((COUNT - 1000, DIM), 1000, '<f4').tobytes())
        for step in range(3):
            for name, row in before.items():
                np.testing.assert_array_equal(self.defaulted(name), row)
            if step == 0:
                self.client.call('merge')
            elif step == 1:
                self.client.close()
                self.daemon.restart()
                self.client = self.daemon.client()

    def test_a_mean_of_each_release_is_its_own(self):
        for release, value in (('a', 2), ('b', 5)):
            self.client.call('release.create', release=release)
            self.client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=1, default='mean')
            self.client.load(release, 't', KEYS[:100], np.full((100, 1), value, '<f4'))
            self.client.seal(release)
        self.assertEqual(self.client.fetch('t', [ABSENT], missing='default')['rows'], np.float32(5).tobytes())
        self.client.call('release.rollback')
        self.assertEqual(self.client.fetch('t', [ABSENT], missing='default')['rows'], np.float32(2).tobytes())

    def test_rows_that_are_not_finite_are_not_in_a_mean(self):
        self.create('t', default='mean')
        self.create('none', default='mean')
        self.create('empty', default='mean')
        rows = ROWS[:100].copy()
        rows[3, 0], rows[40, 5], rows[41, 2] = np.nan, np.inf, -np.inf
        self.client.load('r', 't', KEYS[:100], rows, allow_nonfinite=True)
        self.client.load('r', 'none', KEYS[:1], np.full((1, DIM), np.nan, '<f4'), allow_nonfinite=True)
        shown = self.client.call('table.show', release='r', table='t')
        self.assertNotIn('default_row', shown)      # not before the seal
        self.client.seal('r')
        finite = rows[np.isfinite(rows).all(axis=1)]
        self.assertEqual(len(finite), 97)
        got = np.frombuffer(self.client.fetch('t', [ABSENT], missing='default')['rows'], '<f4')
        np.testing.assert_allclose(got, finite.astype('f8').mean(axis=0), rtol=1e-6, atol=1e-7)
        for table in ('none', 'empty'):
            part = self.client.fetch(table, [ABSENT], missing='default', why=True)
            self.assertEqual((part['why'], part['rows']), (b'\5', bytes(4 * DIM)))

    def test_of_a_key_given_twice_the_last_row_is_in_the_mean(self):
        self.create('t', default='mean', dim=1)
        self.client.load('r', 't', np.array([1, 2, 1], '<u8'), np.array([[100], [2], [4]], '<f4'))
        self.client.seal('r')
        self.assertEqual(self.client.fetch('t', [9], missing='default')['rows'], np.float32(3).tobytes())

    def test_views_and_bits(self):
        row = np.packbits(np.array([[1, 0, 1, 0, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0, 0, 0, 0]], 'u1'), axis=1)
        self.create('bits', dim=9, views=2, dtype='bit', default='row', default_row=row.tobytes())
        self.create('zeros', dim=9, dtype='bit', default='zeros')
        self.create('views', dim=2, views=3, default='mean')
        rows = np.arange(12, dtype='<f4').reshape(2, 6)
        self.client.load('r', 'views', KEYS[:2], rows)
        self.client.seal('r')
        self.assertEqual(self.client.fetch('bits', [1], missing='default')['rows'], row.tobytes())
        part = self.client.fetch('bits', [1], missing='default', dtype='f32')
        np.testing.assert_array_equal(np.frombuffer(part['rows'], '<f4').reshape(2, 9),
                                      np.unpackbits(row, axis=1)[:, :9].astype('<f4'))
        part = self.client.fetch('zeros', [1], missing='default', why=True)
        self.assertEqual((part['why'], part['rows']), (b'\5', bytes(2)))
        part = self.client.fetch('views', [ABSENT], missing='default')
        self.assertEqual(part['rows'], rows.mean(axis=0).tobytes())

    def test_a_default_row_goes_through_layers(self):
        self.create('t', default='row', default_row=GIVEN.tobytes())
        self.create('z', default='zeros')
        self.client.load('r', 't', KEYS[:10], ROWS[:10])
        self.client.load('r', 'z', KEYS[:10], ROWS[:10])
        weight = np.random.default_rng(5).standard_normal((3, DIM)).astype('<f4')
        bias = np.array([1, 2, 3], '<f4')
        for name, values in (('l.weight', weight), ('l.bias', bias)):
            self.client.call('tensor.put', release='r', tensor=name, dtype='f32', shape=list(values.shape),
                             data=values.tobytes())
        self.client.seal('r')
        self.client.call('put', release='live', table='t', keys=[ABSENT + 7], rows=GIVEN.tobytes())
        for why in (False, True):
            part = self.client.fetch('t', [ABSENT, 3, ABSENT + 7, ABSENT + 1], through=['l', 'relu'], missing='default',
                                     why=why)
            rows = np.frombuffer(part['rows'], '<f4').reshape(4, 3)
            self.assertEqual(rows[0].tobytes(), rows[2].tobytes())      # as any other row of these values
            self.assertEqual(rows[0].tobytes(), rows[3].tobytes())
            np.testing.assert_allclose(rows[0], np.maximum(weight @ GIVEN + bias, 0), rtol=1e-5)
            self.assertEqual(bits(part['found'], 4).tolist(), [False, True, True, False])
        # Zeros have a bias behind the layer; what is not asked for stays zero there.
        part = self.client.fetch('z', [ABSENT], through=['l'], missing='default')
        self.assertEqual(part['rows'], bias.tobytes())
        self.assertEqual(self.client.fetch('z', [ABSENT], through=['l'])['rows'], bytes(12))

    def test_a_query_may_be_the_default_row(self):
        """Of retrieve and score: through layers, too old, of kind cr, and what is refused."""
        self.create('t', default='row', default_row=GIVEN.tobytes())
        self.create('plain')
        self.create('cr@m', kind='cr', entity='user', default='row', default_row=GIVEN.tobytes())
        for table in ('t', 'plain'):
            self.client.load('r', table, KEYS, ROWS)
        weight = np.random.default_rng(5).standard_normal((DIM, DIM)).astype('<f4')
        self.client.call('tensor.put', release='r', tensor='l.weight', dtype='f32', shape=[DIM, DIM], data=weight.tobytes())
        self.client.seal('r')
        old = {'table': 't', 'keys': [3, ABSENT], 'max_age_ms': 0, 'missing': 'default'}
        for start, through, query in (({'table': 't', 'keys': [ABSENT, 3], 'missing': 'default'}, [], GIVEN), (old, [], GIVEN),
                                      (old, ['l'], weight @ GIVEN), ({'table': 'cr', 'keys': [ABSENT], 'missing': 'default'}, [], GIVEN)):
            at = start['keys'].index(ABSENT)
            more = {'through': through} if through else {}
            scored = self.client.call('score', **{'from': start, 'in': 'plain', 'keys': KEYS.tolist(), **more})
            np.testing.assert_allclose(np.frombuffer(scored['parts'][at]['scores'], '<f4'), ROWS @ query, rtol=1e-3, atol=1e-4)
            found = self.client.call('retrieve', **{'from': start, 'in': 'plain', 'k': 3, **more})
            self.assertEqual(np.frombuffer(found['parts'][at]['keys'], '<u8')[0], KEYS[np.argmax(ROWS @ query)])
            expected = [key == ABSENT or 'max_age_ms' in start for key in start['keys']]
            for answer in (scored, found):
                self.assertEqual(bits(answer['defaulted'], len(expected)).tolist(), expected)
        answer = self.client.call('retrieve', **{'from': {'table': 't', 'keys': [3], 'missing': 'refuse'}, 'in': 'plain'})
        self.assertNotIn('defaulted', answer)
        for start, words in (({'table': 'plain', 'keys': [3], 'missing': 'default'}, ('from.missing', "'plain'", 'without a default row')),
                             ({'table': 't', 'keys': [3], 'missing': 'zero'}, ('from.missing', "'zero' given", 'refuse, default')),
                             ({'dim': DIM, 'rows': GIVEN.tobytes(), 'missing': 'default'}, ('from.missing', 'without from.table'))):
            with self.fails('BAD_REQUEST', *words):
                self.client.call('retrieve', **{'from': start, 'in': 'plain', 'release': 'r'})
        said = self.daemon.command('retrieve', '--from', 't/%d' % ABSENT, '--in', 'plain', '--missing', 'default', '-k', 1)
        self.assertIn('the default row of t in plain', said)
        said = self.daemon.command('score', '--from', 't/%d' % ABSENT, '--in', 'plain', '--missing', 'default', int(KEYS[0]))
        self.assertIn('the default row asks', said)

    def test_aggregating_tables(self):
        self.create('cr@m', kind='cr', default='row', default_row=GIVEN.tobytes())
        self.create('cz@m', kind='cr', entity='user', default='zeros')
        with self.fails('BAD_REQUEST', 'default', 'kind cr', 'zeros or row'):
            self.create('cm@m', kind='cr', default='mean')
        self.client.call('release.seal', release='r')
        self.client.call('release.publish', release='r')
        self.client.call('observe', release='live', layer='m', items=[1], users=[1], rows=ROWS[0].tobytes(),
                         times=np.array([harness.now_ms()], '<i8').tobytes())
        part = self.client.fetch('cr', [ABSENT, 1], missing='default', why=True, weights=True, dtype='f32')
        self.assertEqual(list(part['why']), [5, 0])
        self.assertEqual(part['rows'][:4 * DIM], GIVEN.tobytes())
        self.assertEqual(np.frombuffer(part['weights'], '<f8').tolist(), [0, 1])
        self.assertEqual(self.client.fetch('cr', [ABSENT], missing='default', dtype='f16')['rows'],
                         GIVEN.astype('<f2').tobytes())
        self.assertEqual(self.client.fetch('cz', [ABSENT], missing='default', why=True)['why'], b'\5')
        with self.fails('BAD_REQUEST', 'missing', 'raw', "'cr@m'"):
            self.client.fetch('cr', [1], missing='default', raw=True)

    def test_damage_is_told_and_not_filled_in(self):
        self.client.call('tensor.put', release='r', tensor='l.weight', dtype='f32', shape=[1, DIM],
                         data=np.ones(DIM, '<f4').tobytes())
        self.client.call('tensor.put', release='r', tensor='l.bias', dtype='f32', shape=[1],
                         data=np.ones(1, '<f4').tobytes())
        self.create_all()
        self.client.close()
        self.daemon.stop()
        folder = os.path.join(self.daemon.data, 'releases')
        release = os.path.join(folder, os.listdir(folder)[0])
        for name in os.listdir(release):
            if name.startswith('base-'):
                with open(os.path.join(release, name), 'r+b') as file:
                    file.seek(6000)
                    file.write(b'\xff' * 64)
        self.daemon.start()
        self.client = self.daemon.client()
        part = self.client.fetch('f32-row', [ABSENT, 7], why=True, missing='default')
        self.assertEqual((list(part['why']), part['rows']), ([4, 4], bytes(2 * 4 * DIM)))
        part = self.client.fetch('f32-row', [ABSENT, 7], why=True, missing='default', through=['l'])
        self.assertEqual((list(part['why']), part['rows']), ([4, 4], bytes(8)))
        for through in (None, ['l']):
            with self.fails('CORRUPT', 'parts[0]'):
                self.client.fetch('f32-row', [ABSENT], missing='default', through=through)

    def test_hostile_specs(self):
        good = dict(release='r', table='t', entity='item', kind='ir', dim=DIM)
        row = GIVEN.tobytes()
        wrong = [
            (dict(default='median'), ['default', "'median'", 'none, zeros, mean, row']),
            (dict(default=7), ['default', 'uint given']),
            (dict(default=''), ['default', "''"]),
            (dict(default='row'), ['default_row', 'nothing given']),
            (dict(default='row', default_row=row[:-1]), ['default_row', '23 bytes given', '24 allowed']),
            (dict(default='row', default_row=b''), ['default_row', '0 bytes given']),
            (dict(default='row', default_row=row * 2), ['default_row', '48 bytes given']),
            (dict(default='row', default_row=[1.0] * DIM), ['default_row', 'array given']),
            (dict(default='row', default_row=row, default_scale=2.0), ['default_scale', 'i8 only']),
            (dict(default='row', default_row=row, default_scale='x'), ['default_scale', 'str given']),
            (dict(default='row', default_row=np.full(DIM, np.nan, '<f4').tobytes()), ['element 0 is not finite']),
            (dict(default='row', dtype='i8', default_row=bytes(DIM)), ['default_scale', 'nothing given']),
            (dict(default='row', dtype='i8', default_row=bytes(DIM), default_scale=float('inf')), ['default_scale']),
            (dict(default='row', dtype='i8', default_row=bytes(DIM), default_scale=1e40), ['default_scale']),
            (dict(default_row=row), ['default_row', "not for 'none'"]),
            (dict(default='zeros', default_row=row), ['default_row', "not for 'zeros'"]),
            (dict(default='mean', default_row=row), ['default_row', "not for 'mean'"]),
            (dict(default='mean', default_scale=1.0), ['default_scale']),
            (dict(default='mean', dtype='bit'), ['default', 'bit']),
            (dict(default='mean', dim=16385), ['default', '65540', '65536']),
            (dict(default='row', dim=65536, default_row=bytes(4 * 65536)), ['default', '65536 allowed']),
        ]
        for more, words in wrong:
            with self.fails('BAD_REQUEST', *words):
                self.client.call('table.create', **{**good, **more})
        self.assertEqual(self.client.call('table.list', release='r')['tables'], [])
        self.client.call('table.create', **good, default='none', default_row=None, default_scale=None)
        self.create('z', default='zeros')
        self.client.call('release.seal', release='r')
        for missing in ('nan', 7, True, ['default'], 'DEFAULT', '', 'default\0'):
            with self.fails('BAD_REQUEST', 'parts[0].missing'):
                self.client.call('fetch', release='r', parts=[{'table': 'z', 'keys': [1], 'missing': missing}])

    def test_an_open_release_has_its_row_after_a_restart(self):
        self.create('t', dtype='i8', default='row', default_row=bytes(range(DIM)), default_scale=0.125)
        self.client.close()
        self.daemon.restart()
        self.client = self.daemon.client()
        self.client.load('r', 't', KEYS[:10], ROWS[:10], dtype='f32')
        self.client.seal('r')
        part = self.client.fetch('t', [ABSENT], missing='default')
        self.assertEqual((part['rows'], part['scales']), (bytes(range(DIM)), np.float32(0.125).tobytes()))

    def test_the_daemon_says_that_it_has_default_rows(self):
        self.assertIn('default_row', self.client.call('hello')['features'])


class Command(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')
        self.keys, self.rows = self.path('keys.npy'), self.path('rows.npy')
        np.save(self.keys, KEYS[:50])
        np.save(self.rows, ROWS[:50])

    def create(self, name, *more, fails=None):
        return self.daemon.command('table', 'create', 'r/' + name, '--entity', 'item', '--kind', 'ir', '--dim', DIM,
                                   *more, fails=fails)

    def test_each_way_to_say_it(self):
        npy, half, brain = self.path('d.npy'), self.path('h.npy'), self.path('b.npy')
        np.save(npy, GIVEN)
        np.save(half, GIVEN.astype('<f2').reshape(1, DIM))
        np.save(brain, bf16_of(GIVEN))
        values = '1,-2,0.5,3,-0.25,8e0'
        tables = {'file': ['--default', npy], 'half': ['--dtype', 'bf16', '--default', half],
                  'brain': ['--default', brain], 'values': ['--default', values],
                  'f16': ['--default', values, '--dtype', 'f16'], 'i8': ['--default', npy, '--dtype', 'i8']}
        for name, more in tables.items():
            self.create(name, *more)
        self.create('zeros', '--default', 'zeros')
        self.create('mean', '--default', 'mean')
        self.create('none', '--default', 'none')
        for name in (*tables, 'zeros', 'mean', 'none'):
            self.daemon.command('import', 'r/' + name, '--keys', self.keys, '--rows', self.rows)
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        expected = {name: GIVEN for name in tables}
        expected.update(zeros=np.zeros(DIM), mean=ROWS[:50].astype('f8').mean(axis=0))
        for name, row in expected.items():
            (absent, found) = self.daemon.command_json('fetch', name, ABSENT, 5, '--missing', 'default', '--dtype', 'f32')
            self.assertEqual((absent['why'], found['why']), ('defaulted', 'found'))
            np.testing.assert_allclose(absent['vector'], row, rtol=1e-5, atol=0.07 if name == 'i8' else 1e-6)
            self.assertNotIn('time', absent)
        (plain,) = self.daemon.command_json('fetch', 'mean', ABSENT)
        self.assertEqual(plain['why'], 'absent')
        self.assertNotIn('vector', plain)
        text = self.daemon.command('fetch', 'values', ABSENT, '--missing', 'default', '--full')
        self.assertIn('0 of 1 found', text)
        self.assertIn('defaulted', text)
        self.assertIn('-0.25 8', text)
        self.assertIn('defaulted', self.daemon.command('fetch', 'i8', ABSENT, '--missing', 'default'))
        self.assertIn('none', self.daemon.command('fetch', 'none', ABSENT, '--missing', 'default', fails=1))
        shown = self.daemon.command('table', 'show', 'r/mean')
        self.assertRegex(shown, r'default +mean')
        self.assertRegex(shown, r'default_row +24 bytes')
        (shown,) = self.daemon.command_json('table', 'show', 'r/values')
        self.assertEqual(shown['default'], 'row')
        listed = self.daemon.command('table', 'list', 'r')
        self.assertRegex(listed, r'mean .* mean\n')
        self.assertNotRegex(listed, r'\nnone .* none\n')

    def test_bits(self):
        npy = self.path('bits.npy')
        np.save(npy, np.packbits(np.array([1, 0, 1, 1, 0, 0, 0, 0, 1], 'u1')))
        for name, default in (('file', npy), ('values', '1,0,1,1,0,0,0,0,1')):
            self.daemon.command('table', 'create', 'r/' + name, '--entity', 'item', '--kind', 'ir', '--dim', 9,
                                '--dtype', 'bit', '--default', default)
        self.daemon.command('release', 'seal', 'r')
        for name in ('file', 'values'):
            (row,) = self.daemon.command_json('fetch', 'r/' + name, 1, '--missing', 'default')
            self.assertEqual(row['vector'], [1, 0, 1, 1, 0, 0, 0, 0, 1])

    def test_what_is_wrong_is_named(self):
        npy, text = self.path('wrong.npy'), self.path('text.npy')
        np.save(npy, np.zeros(DIM + 1, '<f4'))
        with open(text, 'w') as file:
            file.write('1 2 3')
        for default, status, word in (
                ('median', 2, 'median'), ('1,2,3', 2, '6 finite numbers'), ('1,2,3,4,5,6,7', 2, '6 finite'),
                ('1,2,3,4,5,', 2, '6 finite'), ('1,2,3,4,5,nan', 2, '6 finite'), ('1,2,3,4,5,1e39', 2, '6 finite'),
                (npy, 1, 'f4 [7]'), (text, 1, text), (self.path('no.npy'), 1, 'no.npy')):
            self.assertIn(word, self.create('t', '--default', default, fails=status))
        self.assertIn('too large for f16', self.create('t', '--dtype', 'f16', '--default', '1,2,3,4,5,1e6', fails=1))
        self.assertIn('bit', self.create('t', '--dtype', 'bit', '--default', 'mean', fails=1))
        self.assertIn('bits, 0 or 1', self.create('t', '--dtype', 'bit', '--default', '1,0,1,0,1,2', fails=2))
        wide = self.daemon.command('table', 'create', 'r/w', '--entity', 'item', '--kind', 'ir', '--dim', 65536,
                                   '--default', npy, fails=1)
        self.assertIn('65536 bytes', wide)
        nan = self.path('nan.npy')
        np.save(nan, np.full(DIM, np.nan, '<f4'))
        self.assertIn('element 0 is not finite', self.create('t', '--default', nan, fails=1))
        self.create('zeros', '--default', 'zeros')
        self.daemon.command('release', 'seal', 'r')
        self.assertIn('zero or default', self.daemon.command('fetch', 'r/zeros', 1, '--missing', 'nan', fails=2))


if __name__ == '__main__':
    harness.main()
