"""test_retrieve.py - the best items for a user as NumPy finds them, and what a search refuses.

The users and items are MovieLens': 671 URs and 9,066 IRs of 64 elements.
"""

import os
import sys
import threading
import time

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
import search_model  # noqa: E402
from search_model import BIT_METRICS, METRICS, best  # noqa: E402

K = 100
# Less under the sanitizers, which look at what is done and not at how often.
ITEMS_SEEN = 9066 if not harness.SANITIZED else 1200
USERS_SEEN = 671 if not harness.SANITIZED else 20
SOME_USERS = 7 if not harness.SANITIZED else 2
DTYPES = ('f32', 'f16', 'bf16', 'i8') if not harness.SANITIZED else ('f32', 'i8')


def movielens(name):
    return np.load('%s/%s.npy' % (harness.MOVIELENS, name))


def keys_and_scores(part):
    return np.frombuffer(part['keys'], '<u8'), np.frombuffer(part['scores'], '<f4')


class Items:
    """What the table of items holds, as f32."""

    def __init__(self, keys, rows, tags=None):
        self.rows = {int(key): row for key, row in zip(keys, rows)}
        self.tags = {int(key): int(tag) for key, tag in zip(keys, tags)} if tags is not None else {}

    def columns(self, passes=lambda key: True):
        keys = np.array([key for key in self.rows if passes(key)], '<u8')
        return keys, np.array([self.rows[int(key)] for key in keys], 'f4').reshape(len(keys), -1)


class Search(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(*self.config(self.settings))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.user_keys, self.urs = movielens('user_keys').astype('<u8'), movielens('ur').astype('<f4')
        self.item_keys = movielens('item_keys').astype('<u8')[:self.items_seen]
        self.irs = movielens('ir').astype('<f4')[:self.items_seen]

    index = 'none'
    items_seen = ITEMS_SEEN
    dtypes = DTYPES
    settings = ''

    def wait_for_index(self, release, tables):
        """The indexes are built in the background; searches are right before, too."""
        end = time.monotonic() + harness.CALL_SECONDS
        for table in tables:
            while not self.client.call('table.show', release=release, table=table)['index_bytes']:
                self.assertLess(time.monotonic(), end, self.daemon.log())
                time.sleep(0.01)

    def make(self, release, dtypes=('f32',), tags=False, publish=True):
        """Tables ur and ir_DTYPE; returns what each of the latter holds."""
        self.client.call('release.create', release=release)
        self.client.call('table.create', release=release, table='ur', entity='user', kind='ur', dim=64)
        self.client.load(release, 'ur', self.user_keys, self.urs)
        held = {}
        for dtype in dtypes:
            table = 'ir_' + dtype
            self.client.call('table.create', release=release, table=table, entity='item', kind='ir', dim=64,
                             dtype=dtype, tags=tags, index=self.index)
            rows, scales = harness.from_f32(dtype, self.irs)
            columns = {} if scales is None else {'scales': scales}
            masks = np.random.default_rng(3).integers(0, 16, len(rows)).astype('<u8')
            if tags:
                columns['tags'] = masks
            self.client.load(release, table, self.item_keys, rows, **columns)
            held[table] = Items(self.item_keys, harness.as_f32(dtype, rows, scales, 64), masks if tags else None)
        self.client.seal(release, publish=publish)
        if self.index != 'none':
            self.wait_for_index(release, held)
        return held

    def retrieve(self, table, users, **options):
        return self.client.call('retrieve', **{'in': table}, **{
            'from': {'table': 'ur', 'keys': harness.packed(np.asarray(users, '<u8'))}, 'k': K, **options})

    def check(self, table, items, users, metric='inner_product', urs=None, passes=lambda key: True, k=K, **options):
        """All users' answers, a hundred users a request."""
        keys, rows = items.columns(passes)
        urs = self.urs if urs is None else urs
        for at in range(0, len(users), 100):
            some = users[at:at + 100]
            got = self.retrieve(table, self.user_keys[some], metric=metric, k=k, **options)
            self.assertTrue(got['exact'])
            self.assertEqual(got['in'], table)
            self.assertEqual(len(got['parts']), len(some))
            for user, part in zip(some, got['parts']):
                expected, scores = best(keys, METRICS[metric](rows, urs[user]), k)
                found, found_scores = keys_and_scores(part)
                np.testing.assert_array_equal(found_scores, scores)
                np.testing.assert_array_equal(found, expected)
        return got

    def some_users(self, count=SOME_USERS):
        return np.random.default_rng(1).choice(len(self.user_keys), count, replace=False)


class Exact(Search):
    def test_every_user_gets_the_best_by_inner_product(self):
        held = self.make('r1')
        got = self.check('ir_f32', held['ir_f32'], np.arange(USERS_SEEN))
        self.assertEqual((got['release'], got['from'], got['metric']), ('r1', 'ur', 'inner_product'))
        self.assertTrue(0 < got['compared'] <= len(self.item_keys) * 100)

    def test_of_every_dtype_and_metric(self):
        held = self.make('r1', dtypes=self.dtypes)
        for table, items in held.items():
            for metric in METRICS:
                with self.subTest(table=table, metric=metric):
                    self.check(table, items, self.some_users(), metric)

    def test_after_deletions_and_replacements_and_after_a_merge(self):
        held = self.make('r1', dtypes=self.dtypes)
        random = np.random.default_rng(5)
        order = random.permutation(len(self.item_keys))
        gone, changed = order[:len(order) // 5], order[len(order) // 5:len(order) * 3 // 10]
        for table, items in held.items():
            dtype = table[3:]
            rows, scales = harness.from_f32(dtype, random.standard_normal((len(changed), 64)).astype('<f4'))
            columns = {} if scales is None else {'scales': scales.tobytes()}
            self.client.call('put', release='live', table=table, keys=harness.packed(self.item_keys[changed]),
                             rows=rows.tobytes(), **columns)
            self.client.call('delete', release='live', table=table, keys=harness.packed(self.item_keys[gone]))
            for key in self.item_keys[gone]:
                del items.rows[int(key)]
            for key, row in zip(self.item_keys[changed], harness.as_f32(dtype, rows, scales, 64)):
                items.rows[int(key)] = row
        for when in ('before', 'after'):
            for table, items in held.items():
                for metric in METRICS:
                    with self.subTest(table=table, metric=metric, when=when):
                        self.check(table, items, self.some_users(), metric)
            self.client.call('merge')
            if self.index != 'none' and when == 'before':
                self.wait_for_index('r1', held)

    def test_with_filters(self):
        held = self.make('r1', tags=True)
        items = held['ir_f32']
        users = self.some_users(2 * SOME_USERS)
        random = np.random.default_rng(9)
        denied = random.choice(self.item_keys, len(self.item_keys) // 3, replace=False)
        allowed = np.concatenate([random.choice(self.item_keys, 500, replace=False),
                                  np.array([1 << 60, 1 << 61], '<u8')])
        masks = [({'tags_any': 3}, lambda tag: tag & 3 != 0), ({'tags_all': 5}, lambda tag: tag & 5 == 5),
                 ({'tags_none': 8}, lambda tag: tag & 8 == 0),
                 ({'tags_any': 6, 'tags_all': 1, 'tags_none': 8}, lambda tag: tag & 6 and tag & 9 == 1)]
        for asked, passes in masks:
            self.check('ir_f32', items, users, passes=lambda key: passes(items.tags[key]), **asked)
        no, yes = set(denied.tolist()), set(allowed.tolist())
        self.check('ir_f32', items, users, passes=lambda key: key not in no, deny=harness.packed(denied))
        self.check('ir_f32', items, users, passes=lambda key: key in yes, allow=harness.packed(allowed))
        twice = np.concatenate([allowed, allowed])
        self.check('ir_f32', items, users, passes=lambda key: key in yes and key not in no and items.tags[key] & 1,
                   allow=twice.tolist(), deny=denied.tolist(), tags_all=1)
        got = self.retrieve('ir_f32', self.user_keys[users], allow=b'')
        self.assertTrue(all(part['n'] == 0 for part in got['parts']))

    def test_from_a_score_on(self):
        items = self.make('r1')['ir_f32']
        keys, rows = items.columns()
        for user in self.some_users():
            _, scores = best(keys, METRICS['inner_product'](rows, self.urs[user]), 1000)
            for least in (scores[0], scores[57], np.float32(1e30)):
                found, found_scores = keys_and_scores(self.retrieve(
                    'ir_f32', [self.user_keys[user]], min_score=float(least), k=1000)['parts'][0])
                self.assertEqual(len(found), (scores >= least).sum())
                np.testing.assert_array_equal(found_scores, scores[:len(found)])

    def test_through_a_projection(self):
        items = self.make('r1', publish=False)['ir_f32']
        random = np.random.default_rng(2)
        weight, bias = random.standard_normal((64, 64)).astype('<f4'), random.standard_normal(64).astype('<f4')
        for name, array in (('scenario.weight', weight), ('scenario.bias', bias)):
            self.client.call('tensor.put', release='r1', tensor=name, dtype='f32', shape=list(array.shape),
                             data=array.tobytes())
        self.client.call('release.publish', release='r1')
        urs = np.array([np.array([search_model.products(row[None, :], ur)[0] for row in weight]) + bias
                        for ur in self.urs[:20]], 'f4')
        self.check('ir_f32', items, np.arange(20), urs=urs, through=['scenario'])

    def test_all_items_and_more(self):
        items = self.make('r1')['ir_f32']
        self.check('ir_f32', items, self.some_users(3), k=10000)
        self.check('ir_f32', items, self.some_users(3), k=1)

    def test_rows_that_come_along(self):
        self.make('r1', dtypes=('f32', 'i8'))
        keys, _ = keys_and_scores(part := self.retrieve('ir_f32', [self.user_keys[0]], **{
            'with': ['ir_i8', 'ir_f32']})['parts'][0])
        for with_part in part['with']:
            got = self.client.fetch(with_part['table'], harness.packed(keys))
            for name in ('rows', 'found', 'n', 'dim', 'views', 'dtype', 'stride'):
                self.assertEqual(with_part[name], got[name])
        self.assertEqual(part['with'][0]['table'], 'ir_i8')
        self.assertEqual(len(part['with'][0]['scales']), 4 * K)

    def test_a_vector_that_was_sent(self):
        held = self.make('r1')
        keys, rows = held['ir_f32'].columns()
        for dtype in ('f32', 'f16', 'i8'):
            sent, scales = harness.from_f32(dtype, self.urs[:3])
            means = harness.as_f32(dtype, sent, scales, 64)
            columns = {} if scales is None else {'scales': scales.tobytes()}
            got = self.client.call('retrieve', release='r1', **{'in': 'ir_f32'}, **{
                'from': {'dim': 64, 'dtype': dtype, 'rows': sent.tobytes(), **columns}})
            self.assertNotIn('from', got)
            for mean, part in zip(means, got['parts']):
                expected, _ = best(keys, METRICS['inner_product'](rows, mean), K)
                np.testing.assert_array_equal(keys_and_scores(part)[0], expected)

    def test_scores_of_named_items(self):
        held = self.make('r1', dtypes=('f32', 'i8'))
        random = np.random.default_rng(4)
        keys = np.concatenate([random.choice(self.item_keys, 700), np.array([1 << 60], '<u8')])
        for table, items in held.items():
            for metric, scores in METRICS.items():
                got = self.client.call('score', **{'in': table}, metric=metric, keys=harness.packed(keys), **{
                    'from': {'table': 'ur', 'keys': harness.packed(self.user_keys[:2])}})
                self.assertEqual(harness.bits(got['found'], len(keys)).tolist(), [True] * 700 + [False])
                rows = np.array([items.rows[int(key)] for key in keys[:-1]], 'f4')
                for user in range(2):
                    found = np.frombuffer(got['parts'][user]['scores'], '<f4')
                    np.testing.assert_array_equal(found[:-1], scores(rows, self.urs[user]))
                    self.assertEqual(found[-1], 0)

    def test_expired_rows_are_not_found(self):
        now = harness.now_ms()
        self.client.call('release.create', release='r1')
        self.client.call('table.create', release='r1', table='ir', entity='item', kind='ir', dim=2, ttl_ms=3600000)
        keys = np.arange(100, dtype='<u8')
        times = np.where(keys % 3 == 0, now - 7200000, now).astype('<i8')
        self.client.load('r1', 'ir', keys, np.ones((100, 2), '<f4'), times=times)
        self.client.seal('r1')
        self.client.call('put', release='live', table='ir', keys=harness.packed([200, 201]),
                         rows=np.ones((2, 2), '<f4').tobytes(), times=np.array([now, now - 7200000]).astype('<i8').tobytes())
        got = self.client.call('retrieve', release='r1', **{'in': 'ir', 'k': 1000, 'from': {
            'dim': 2, 'rows': np.ones(2, '<f4').tobytes()}})
        found, _ = keys_and_scores(got['parts'][0])
        self.assertEqual(found.tolist(), [int(key) for key in keys if key % 3] + [200])


class ByBalls(Exact):
    """The same, by an index."""

    index = 'balls'
    items_seen = max(ITEMS_SEEN, 7000)  # of fewer than 5,000 there is none, and a fifth is deleted
    dtypes = DTYPES if not harness.SANITIZED else ('i8',)  # an index of 7,000 takes 10 s there

    def test_it_compares_few_rows_and_says_so(self):
        self.make('r1')
        got = self.retrieve('ir_f32', [self.user_keys[0]], k=10, metric='cosine', approximate=0.5)
        self.assertLess(got['compared'], len(self.item_keys) // 2)
        self.assertFalse(got['exact'])

    def test_recall_is_what_was_asked_for(self):
        items = self.make('r1')['ir_f32']
        keys, rows = items.columns()
        for recall in (0.5, 0.9, 0.99):
            hits = 0
            for user in self.some_users(50):
                expected, _ = best(keys, METRICS['inner_product'](rows, self.urs[user]), K)
                got = self.retrieve('ir_f32', [self.user_keys[user]], approximate=recall)
                hits += len(np.intersect1d(expected, keys_and_scores(got['parts'][0])[0]))
            self.assertGreater(hits / 50 / K, recall - 0.05)

    def test_it_is_there_after_a_restart_and_renewed_when_damaged(self):
        items = self.make('r1')['ir_f32']
        folder = os.path.join(self.daemon.data, 'releases', '1')
        names = [name for name in os.listdir(folder) if name.startswith('index-')]
        self.assertEqual(len(names), 1)
        path = os.path.join(folder, names[0])
        before = os.stat(path)
        for damage in (None, 'flip', 'cut', 'other', 'gone') if not harness.SANITIZED else (None, 'flip'):
            self.client.close()
            self.daemon.stop()
            if damage == 'flip':
                with open(path, 'r+b') as file:
                    file.seek(before.st_size // 2)
                    byte = file.read(1)
                    file.seek(before.st_size // 2)
                    file.write(bytes([byte[0] ^ 0x10]))
            elif damage == 'cut':
                os.truncate(path, before.st_size // 3)
            elif damage == 'other':
                with open(path, 'wb') as file:
                    file.write(b'x' * 100000)
            elif damage == 'gone':
                os.unlink(path)
            self.daemon.start()
            self.client = self.daemon.client()
            self.addCleanup(self.client.close)
            self.check('ir_f32', items, self.some_users(3))
            self.wait_for_index('r1', ['ir_f32'])
            self.check('ir_f32', items, self.some_users(3))
            self.assertEqual(os.stat(path).st_mtime_ns == before.st_mtime_ns, damage is None)
            before = os.stat(path)

    def index_bytes(self):
        return self.client.call('table.show', release='r1', table='ir_f32')['index_bytes']

    def test_builds_are_counted_with_what_they_write(self):
        def figures(builds=0):
            """Once so many builds are counted, which is a moment after their index is there: those, the failed ones, bytes."""
            end = time.monotonic() + harness.CALL_SECONDS
            while (stats := self.client.call('stats'))['index']['builds'] < builds or stats['index']['running']:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            return stats['index']['builds'], stats['index']['failed'], stats['write']['bytes_by_cause']['index']

        self.assertEqual(figures(), (0, 0, 0))
        self.make('r1')
        first = self.index_bytes()
        self.assertEqual(figures(1), (1, 0, first))
        self.client.call('put', release='live', table='ir_f32', keys=[1], rows=bytes(256))
        self.client.call('merge')
        self.wait_for_index('r1', ['ir_f32'])
        self.assertEqual(figures(2), (2, 0, first + self.index_bytes()))

    def test_the_file_goes_with_its_table(self):
        self.make('r1')
        folder = os.path.join(self.daemon.data, 'releases')
        first = os.listdir(os.path.join(folder, '1'))
        self.client.call('put', release='live', table='ir_f32', keys=[1], rows=bytes(256))
        self.client.call('merge')
        self.wait_for_index('r1', ['ir_f32'])
        end = time.monotonic() + harness.CALL_SECONDS
        while len([name for name in os.listdir(os.path.join(folder, '1')) if name.startswith('index-')]) != 1:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        self.assertNotEqual(first, os.listdir(os.path.join(folder, '1')))
        self.client.call('release.create', release='r2')
        self.client.seal('r2')
        self.client.call('release.drop', release='r1')
        while os.path.exists(os.path.join(folder, '1')):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_the_spec_must_fit(self):
        self.client.call('release.create', release='r1')
        for change in ({'dtype': 'bit'}, {'views': 2}, {'index': 'codes'}, {'index': 1}):
            with self.assertRaises(harness.Failed) as caught:
                self.client.call('table.create', **{**dict(release='r1', table='ir', entity='item', kind='ir', dim=64,
                                                           index='balls'), **change})
            self.assertEqual(caught.exception.code, 'BAD_REQUEST')
            self.assertIn('index', caught.exception.text)


if harness.SANITIZED:
    # Each builds an index, which takes long there, and goes through it like those that are left.
    for test in ('every_user_gets_the_best_by_inner_product', 'of_every_dtype_and_metric', 'from_a_score_on',
                 'through_a_projection', 'all_items_and_more', 'rows_that_come_along', 'a_vector_that_was_sent',
                 'scores_of_named_items', 'it_compares_few_rows_and_says_so', 'recall_is_what_was_asked_for'):
        setattr(ByBalls, 'test_' + test, None)


class Kinds(Search):
    """Views, bits, byte keys, aggregated rows."""

    def table(self, name, dtype='f32', dim=8, views=1, **options):
        self.client.call('table.create', release='r1', table=name, entity=options.pop('entity', 'item'),
                         kind=options.pop('kind', 'ir'), dim=dim, views=views, dtype=dtype, **options)

    def test_several_views_meet_late(self):
        random = np.random.default_rng(6)
        rows = random.standard_normal((300, 5, 12)).astype('<f4')
        users = random.standard_normal((4, 3, 12)).astype('<f4')
        keys = np.arange(300, dtype='<u8')
        self.client.call('release.create', release='r1')
        self.table('items', dim=12, views=5)
        self.table('users', dim=12, views=3, entity='user', kind='ur')
        self.client.load('r1', 'items', keys, rows.reshape(300, -1))
        self.client.load('r1', 'users', keys[:4], users.reshape(4, -1))
        self.client.seal('r1')
        weights = np.array([0.5, -2, 1], '<f4')
        for metric, function in METRICS.items():
            for given in (None, weights.tolist(), weights.tobytes()):
                got = self.client.call('retrieve', **{'in': 'items', 'k': 50, 'metric': metric}, **{
                    'from': {'table': 'users', 'keys': [0, 1, 2, 3]}, **({} if given is None else {'weights': given})})
                for user, part in zip(users, got['parts']):
                    scores = np.zeros(300, 'f4')
                    for i in range(3):
                        alike = function(rows.reshape(-1, 12), user[i]).reshape(300, 5).max(axis=1)
                        scores += (np.float32(1) if given is None else weights[i]) * alike
                    expected, expected_scores = best(keys, scores, 50)
                    found, found_scores = keys_and_scores(part)
                    np.testing.assert_array_equal(found_scores, expected_scores)
                    np.testing.assert_array_equal(found, expected)

    def test_bits(self):
        random = np.random.default_rng(7)
        for dim in (5, 64, 167, 2048):
            ones = (random.random((400, dim)) < 0.1).astype(np.uint8)
            ones[3] = 0
            packed = np.packbits(ones, axis=1)
            if dim % 8:
                packed[:, -1] |= 1      # what fills up a last byte is nobody's bit
            release = 'r%d' % dim
            self.client.call('release.create', release=release)
            self.client.call('table.create', release=release, table='fp', entity='item', kind='ir', dim=dim, dtype='bit')
            keys = np.arange(400, dtype='<u8')
            self.client.load(release, 'fp', keys, packed)
            self.client.seal(release)
            rows = ones.astype('f4')
            for metric, function in list(BIT_METRICS.items()) + [('inner_product', METRICS['inner_product'])]:
                got = self.client.call('retrieve', **{'in': 'fp', 'k': 60, 'metric': metric}, **{
                    'from': {'table': 'fp', 'keys': [0, 3, 77]}})
                for user, part in zip((0, 3, 77), got['parts']):
                    expected, expected_scores = best(keys, function(rows, rows[user]).astype('f4'), 60)
                    found, found_scores = keys_and_scores(part)
                    np.testing.assert_array_equal(found_scores, expected_scores)
                    np.testing.assert_array_equal(found, expected)

    def test_ties_of_byte_keys_are_by_their_bytes(self):
        self.client.call('release.create', release='r1')
        self.table('ir', key='bytes', dim=2)
        keys = [b'b', b'a', b'ab', b'\xff', b'\x00', b'abc', b'B']
        self.client.load('r1', 'ir', keys[:5], np.ones((5, 2), '<f4'))
        self.client.seal('r1')
        self.client.call('put', release='live', table='ir', keys=harness.packed(keys[5:]),
                         rows=np.ones((2, 2), '<f4').tobytes())
        for k in (1, 3, 7):
            got = self.client.call('retrieve', **{'in': 'ir', 'k': k, 'from': {'table': 'ir', 'keys': [b'a']}})
            self.assertEqual(harness.unpacked(got['parts'][0]['keys']), sorted(keys)[:k])

    def test_aggregated_rows_are_searched_as_they_are_read(self):
        self.client.call('release.create', release='r1')
        for side in ('user', 'item'):
            self.table('cr_%s@mlp2' % side, entity=side, kind='cr', dim=16, half_life_ms=1000000, read='layer_norm')
        self.client.seal('r1')
        random = np.random.default_rng(8)
        users, items = random.integers(0, 20, 500).astype('<u8'), random.integers(0, 100, 500).astype('<u8')
        self.client.call('observe', release='live', layer='mlp2', users=users.tobytes(), items=items.tobytes(),
                         times=np.full(500, harness.now_ms(), '<i8').tobytes(),
                         rows=random.standard_normal((500, 16)).astype('<f4').tobytes())
        keys = np.unique(items)
        for when in ('before', 'after'):
            rows = np.frombuffer(self.client.fetch('cr_item', harness.packed(keys))['rows'], '<f4').reshape(-1, 16)
            ur = np.frombuffer(self.client.fetch('cr_user', [int(users[0])])['rows'], '<f4')
            got = self.client.call('retrieve', **{'in': 'cr_item', 'k': 30, 'from': {
                'table': 'cr_user', 'keys': [int(users[0])]}})
            self.assertEqual((got['from'], got['in']), ('cr_user@mlp2', 'cr_item@mlp2'))
            expected, scores = best(keys, METRICS['inner_product'](rows, ur), 30)
            np.testing.assert_array_equal(keys_and_scores(got['parts'][0])[0], expected)
            np.testing.assert_array_equal(keys_and_scores(got['parts'][0])[1], scores)
            self.client.call('merge')


class Fresh(Search):
    def test_what_was_acknowledged_is_found_and_what_was_deleted_is_not(self):
        """A writer puts and deletes the best item there is, while others write and merges run."""
        self.make('r1')
        stop = threading.Event()
        best_row = (self.urs[0] * 100).astype('<f4').tobytes()

        def disturb(seed):
            random = np.random.default_rng(seed)
            with self.daemon.client() as client:
                while not stop.is_set():
                    keys = random.choice(self.item_keys, 50)
                    client.call('put', release='live', table='ir_f32', keys=harness.packed(keys),
                                rows=random.standard_normal((50, 64)).astype('<f4').tobytes())
                    client.call('delete', release='live', table='ir_f32', keys=harness.packed(keys[:10]))

        def merge():
            with self.daemon.client() as client:
                while not stop.is_set():
                    client.call('merge')

        threads = [threading.Thread(target=disturb, args=(1,)), threading.Thread(target=merge)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + 3
            rounds = 0
            while time.monotonic() < end or rounds < 20:
                key = (1 << 40) + rounds % 5
                self.client.call('put', release='live', table='ir_f32', keys=[key], rows=best_row)
                found, _ = keys_and_scores(self.retrieve('ir_f32', [self.user_keys[0]], k=3)['parts'][0])
                self.assertEqual(found[0], key)
                self.client.call('delete', release='live', table='ir_f32', keys=[key])
                found, _ = keys_and_scores(self.retrieve('ir_f32', [self.user_keys[0]], k=3)['parts'][0])
                self.assertNotIn(key, found)
                rounds += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()


class Crowded(Search):
    """One thread for searches, and four that may wait for it, two of one connection."""

    items_seen = 9066  # fewer are gone through on the loop
    settings = '[net]\nsearch_threads = 1\nsearch_waiting = 4\n'

    def test_what_may_not_wait_is_busy_and_all_others_are_answered(self):
        keys, rows = self.make('r1')['ir_f32'].columns()
        users = self.some_users(256)
        expected = [best(keys, METRICS['inner_product'](rows, self.urs[user]), 5) for user in users]
        asked = {'in': 'ir_f32', 'k': 5, 'from': {'table': 'ur', 'keys': harness.packed(self.user_keys[users])}}
        busy, right, waiting = 0, 0, set()
        end = time.monotonic() + 60
        while not (busy and right and 2 in waiting):
            self.assertLess(time.monotonic(), end, 'no search had to wait')
            with self.daemon.client() as client:
                sent = [client.send('retrieve', asked) for _ in range(20)]
                waiting.add(client.call('stats')['queues']['search'])
                for msgid in sent:
                    try:
                        got = client.wait(msgid)
                    except harness.Failed as failed:
                        self.assertEqual(failed.code, 'BUSY', failed)
                        busy += 1
                        continue
                    right += 1
                    for part, (best_keys, scores) in zip(got['parts'], expected, strict=True):
                        np.testing.assert_array_equal(keys_and_scores(part)[0], best_keys)
                        np.testing.assert_array_equal(keys_and_scores(part)[1], scores)
        self.assertLessEqual(max(waiting), 2)
        stats = self.client.call('stats')
        counted = stats['requests']['retrieve']
        self.assertEqual((counted['count'], counted['errors']), (busy + right, busy))
        self.assertEqual(stats['queues']['search'], 0)


class Refused(Search):
    def refuses(self, code, text, method='retrieve', **params):
        with self.assertRaises(harness.Failed) as caught:
            self.client.call(method, **params)
        self.assertEqual(caught.exception.code, code, caught.exception)
        self.assertIn(text, caught.exception.text)

    def test_bad_input_is_named(self):
        self.make('r1')
        good = {'in': 'ir_f32', 'from': {'table': 'ur', 'keys': [int(self.user_keys[0])]}}
        vector = {'dim': 64, 'rows': self.urs[0].tobytes()}
        self.client.call('retrieve', **good)
        for code, text, change in (
                ('BAD_REQUEST', 'k: 0 given, 1..10000 allowed', {'k': 0}),
                ('BAD_REQUEST', 'k: 10001 given, 1..10000 allowed', {'k': 10001}),
                ('BAD_REQUEST', "metric: 'dot' given, inner_product", {'metric': 'dot'}),
                ('BAD_REQUEST', "metric: hamming given, which compares bits, but table 'ir_f32' holds f32",
                 {'metric': 'hamming'}),
                ('NOT_FOUND', "in: table: 'nope' is not in release", {'in': 'nope'}),
                ('BAD_REQUEST', 'in: ', {'in': 'a b'}),
                ('NOT_FOUND', "from.table: table: 'nope' is not", {'from': {'table': 'nope', 'keys': [1]}}),
                ('NOT_FOUND', "from: table 'ur' has no row of key 999999: there is none",
                 {'from': {'table': 'ur', 'keys': [999999]}}),
                ('BAD_REQUEST', 'keys: 0 queries given, 1..256 allowed', {'from': {'table': 'ur', 'keys': []}}),
                ('TOO_LARGE', 'keys: 257 queries given', {'from': {'table': 'ur', 'keys': [1] * 257}}),
                ('BAD_REQUEST', 'release: missing', {'from': vector}),
                ('BAD_REQUEST', 'release: missing', {'from': vector, 'release': 'live'}),
                ('NOT_FOUND', "release: 'other' does not exist", {'from': vector, 'release': 'other'}),
                ('BAD_REQUEST', "from: [1, 32] a query, but table 'ir_f32' holds [1, 64]",
                 {'release': 'r1', 'from': {'dim': 32, 'rows': bytes(128)}}),
                ('BAD_REQUEST', 'from.rows: 100 bytes given, a multiple of 256 expected',
                 {'release': 'r1', 'from': {'dim': 64, 'rows': bytes(100)}}),
                ('BAD_REQUEST', 'from.rows: query 0 is not finite',
                 {'release': 'r1', 'from': {'dim': 64, 'rows': np.full(64, np.nan, '<f4').tobytes()}}),
                ('BAD_REQUEST', 'from.scales: missing', {'release': 'r1', 'from': {
                    'dim': 64, 'dtype': 'i8', 'rows': bytes(64)}}),
                ('BAD_REQUEST', 'from.dim: given beside from.table', {'from': {'table': 'ur', 'keys': [1], 'dim': 3}}),
                ('BAD_REQUEST', 'from.keys: given without from.table', {'from': {'keys': [1]}}),
                ('NOT_FOUND', 'through[0]: ', {'through': ['nope']}),
                ('BAD_REQUEST', 'weights: 2 given', {'weights': [1, 2]}),
                ('BAD_REQUEST', "tags_all: table 'ir_f32' has no tags", {'tags_all': 1}),
                ('BAD_REQUEST', 'allow: keys[0]: str given', {'allow': ['x']}),
                ('BAD_REQUEST', 'approximate: 1.5 given', {'approximate': 1.5}),
                ('BAD_REQUEST', 'min_score: str given', {'min_score': 'x'}),
                ('BAD_REQUEST', 'timeout_ms: 0 given', {'timeout_ms': 0}),
                ('NOT_FOUND', "with[0]: table: 'nope' is not", {'with': ['nope']}),
                ('BAD_REQUEST', 'nope', {'nope': 1})):
            with self.subTest(change=change):
                self.refuses(code, text, **{**good, **change})
        self.refuses('TOO_LARGE', 'k: 10000 items for each of 200 queries', **{
            **good, 'k': 10000, 'from': {'table': 'ur', 'keys': harness.packed(self.user_keys[:200])}})
        self.refuses('BAD_REQUEST', 'keys: missing', 'score', **good)
        shape = np.zeros((10, 64), '<f4')
        self.client.call('release.create', release='r2')
        self.refuses('NOT_SEALED', "release 'r2' is open", **{**good, 'release': 'r2'})
        self.client.call('tensor.put', release='r2', tensor='thin.weight', dtype='f32', shape=[10, 64], data=shape.tobytes())
        for table, rows in (('ur', self.urs), ('ir_f32', self.irs)):
            self.client.call('table.create', release='r2', table=table, entity='user', kind='ur', dim=64)
            self.client.load('r2', table, np.arange(len(rows)), rows)
        self.client.seal('r2')
        self.refuses('BAD_REQUEST', "through: [1, 10] a query, but table 'ir_f32' holds [1, 64]", **{
            'in': 'ir_f32', 'from': {'table': 'ur', 'keys': [1]}, 'through': ['thin']})

    def test_a_search_that_is_late_ends(self):
        count = 300000 // (10 if harness.SANITIZED else 1)
        self.client.call('release.create', release='r1')
        self.client.call('table.create', release='r1', table='ir', entity='item', kind='ir', dim=64)
        rows = np.random.default_rng(1).standard_normal((count, 64)).astype('<f4')
        self.client.load('r1', 'ir', np.arange(count), rows, chunk_rows=50000)
        self.client.seal('r1')
        many = {'in': 'ir', 'k': 10, 'from': {'table': 'ir', 'keys': list(range(256))}}
        self.refuses('TIMEOUT', 'not done in timeout_ms, 50,', **many, timeout_ms=50)
        # One that nobody waits for any more does not hold up the next: this took seconds otherwise.
        for _ in range(8):
            with self.daemon.client() as other:
                other.send('retrieve', many)
        self.client.call('retrieve', **{**many, 'from': {'table': 'ir', 'keys': [1]}})


if __name__ == '__main__':
    harness.main()
