"""test_score_range.py - scores of vectors whose products leave f32: large, tiny and mixed ones are found and scored right.

The reference is NumPy in f64, which holds every product of f32 values.
"""

import sys
import time

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402

COUNT, DIM, USERS = 5200, 24, 4  # of fewer than 5,000 rows there is no index
FLT_MAX = float(np.finfo('f4').max)


def some_of_every_size(random, count, dim):
    """Vectors of lengths from all over f32, some of mixed elements, and some zeros."""
    exponents = random.integers(-149, 127, (count, 1))
    exponents = np.where(random.random((count, 1)) < 0.4, random.integers(-3, 3, (count, 1)), exponents)
    exponents = np.where(random.random((count, 1)) < 0.1, random.integers(-149, 127, (count, dim)), exponents)
    rows = np.ldexp(random.uniform(1, 2, (count, dim)) * random.choice([-1, 1], (count, dim)), exponents)
    rows[random.random(count) < 0.05] = 0
    return rows.astype('<f4')


def alike(metric, query, rows):
    """[n] the metric, and [n] how large an error may be for each unit of a relative one."""
    query, rows = query.astype('f8'), rows.astype('f8')
    if metric == 'l2':
        apart = ((rows - query) ** 2).sum(axis=-1)
        return -apart, apart
    products = (rows * query).sum(axis=-1)
    if metric == 'inner_product':
        return products, np.abs(rows * query).sum(axis=-1)
    with np.errstate(divide='ignore', invalid='ignore'):
        cosines = products / np.linalg.norm(query) / np.linalg.norm(rows, axis=-1)
    return np.where(np.isfinite(cosines), cosines, 0), np.ones(len(rows))


class Range(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon(*self.config(''))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.random = np.random.default_rng(3)
        self.keys = np.arange(COUNT, dtype='<u8')
        self.client.call('release.create', release='r1')

    def table(self, name, rows, scales=None, dim=DIM, entity='item', kind='ir', **options):
        self.client.call('table.create', release='r1', table=name, entity=entity, kind=kind, dim=dim, **options)
        columns = {} if scales is None else {'scales': scales}
        self.client.load('r1', name, self.keys[:len(rows)], rows, **columns)

    def wait_for_index(self, table):
        end = time.monotonic() + harness.CALL_SECONDS
        while not self.client.call('table.show', release='r1', table=table)['index_bytes']:
            self.assertLess(time.monotonic(), end, self.daemon.log())
            time.sleep(0.01)

    def is_right(self, got, expected, error):
        self.assertTrue(np.isfinite(got).all(), got)
        low, high = (np.clip(expected + sign * error, -FLT_MAX, FLT_MAX) for sign in (-1, 1))
        wrong = np.flatnonzero((got < low) | (got > high))
        self.assertEqual(wrong.size, 0, (wrong[:5], got[wrong[:5]], expected[wrong[:5]]))

    def check(self, table, queries, expected, **options):
        """`expected(query)`: scores of all rows and the error that each may have. All rows are found, in order; so by
        `score`; and those of a search for fewer by an index are the same."""
        asked = {'in': table, 'release': 'r1', 'from': {
            'dim': queries.shape[-1], 'views': queries.shape[1] if queries.ndim == 3 else 1, 'rows': queries.tobytes()}}
        got = self.client.call('retrieve', k=COUNT, **asked, **options)
        scored = self.client.call('score', keys=harness.packed(self.keys), **asked, **options)
        best = self.client.call('retrieve', k=50, **asked, **options)
        for query, part, by_key, top in zip(queries, got['parts'], scored['parts'], best['parts']):
            keys, scores = np.frombuffer(part['keys'], '<u8'), np.frombuffer(part['scores'], '<f4')
            self.assertEqual(sorted(keys.tolist()), self.keys.tolist())
            of_keys = np.frombuffer(by_key['scores'], '<f4')
            np.testing.assert_array_equal(of_keys[keys], scores)
            np.testing.assert_array_equal(np.lexsort((keys, -scores.astype('f8'))), np.arange(COUNT))
            self.is_right(of_keys, *expected(query))
            np.testing.assert_array_equal(np.frombuffer(top['keys'], '<u8'), keys[:50])
            np.testing.assert_array_equal(np.frombuffer(top['scores'], '<f4'), scores[:50])

    def test_of_every_dtype_with_and_without_an_index(self):
        rows = some_of_every_size(self.random, COUNT, DIM)
        queries = some_of_every_size(self.random, USERS, DIM)
        codes = self.random.integers(-127, 128, (COUNT, DIM)).astype('i1')
        scales = np.ldexp(self.random.uniform(1, 2, COUNT), self.random.integers(-149, 120, COUNT)).astype('<f4')
        held = {}
        for index in ('none', 'balls'):
            self.table('f32_' + index, rows, dtype='f32', index=index)
            self.table('bf16_' + index, harness.bf16_of(rows), dtype='bf16', index=index)
            self.table('i8_' + index, codes, scales, dtype='i8', index=index)
            held['f32_' + index] = rows
            held['bf16_' + index] = harness.f32_of_bf16(harness.bf16_of(rows)).reshape(rows.shape)
            held['i8_' + index] = codes.astype('f4') * scales[:, None]
        self.client.seal('r1')
        for table, rows in held.items():
            if table.endswith('balls'):
                self.wait_for_index(table)
            for metric in ('inner_product', 'cosine', 'l2'):
                def expected(query, metric=metric, rows=rows):
                    scores, size = alike(metric, query, rows)
                    return scores, size * 2.0 ** -19 + 2.0 ** -148
                with self.subTest(table=table, metric=metric):
                    self.check(table, queries, expected, metric=metric)

    def test_of_several_views_with_weights(self):
        rows = some_of_every_size(self.random, COUNT * 3, DIM).reshape(COUNT, -1)
        queries = some_of_every_size(self.random, USERS * 2, DIM).reshape(USERS, 2, DIM)
        self.table('items', rows, views=3)
        self.client.seal('r1')
        for weights in ([1, -2], [1e30, 1e-30]):
            for metric in ('inner_product', 'cosine', 'l2'):
                def expected(query, metric=metric, weights=weights):
                    scores, error = np.zeros(COUNT), np.full(COUNT, 2.0 ** -148)
                    for weight, part in zip(np.array(weights, 'f4').astype('f8'), query):
                        found, size = alike(metric, part, rows.reshape(-1, DIM))
                        scores += weight * found.reshape(COUNT, 3).max(axis=1)
                        error += abs(weight) * size.reshape(COUNT, 3).max(axis=1) * 2.0 ** -19
                    return scores, error
                with self.subTest(metric=metric, weights=weights):
                    self.check('items', queries, expected, metric=metric, weights=weights)

    def test_through_a_layer_whose_values_leave_f32(self):
        weight = np.ldexp(self.random.uniform(1, 2, (DIM, DIM)), 60).astype('<f4')
        rows = some_of_every_size(self.random, COUNT, DIM)
        queries = np.ldexp(self.random.uniform(1, 2, (USERS, DIM)), 62).astype('<f4')
        self.table('items', rows)
        self.client.call('tensor.put', release='r1', tensor='m.weight', dtype='f32', shape=[DIM, DIM],
                         data=weight.tobytes())
        self.client.seal('r1')

        def expected(query):
            through = np.clip(weight.astype('f8') @ query.astype('f8'), -FLT_MAX, FLT_MAX).astype('f4')
            scores, size = alike('inner_product', through, rows)
            return scores, size * 2.0 ** -18 + 2.0 ** -148
        self.check('items', queries, expected, through=['m'])


if __name__ == '__main__':
    harness.main()
