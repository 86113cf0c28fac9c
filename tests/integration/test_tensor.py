"""test_tensor.py - tensors of a release, and fetches through chains of them, against NumPy.

REPSTORE_ROUNDS: how many times the daemon is killed during a put (20). REPSTORE_FLIPS: how many files
are damaged (200).
"""

import os
import threading
import time

import numpy as np

import harness
import test_damage
from harness import Closed, Failed

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '20'))
BYTES_MAX = 64 << 20
DTYPES = {'f16': '<f2', 'f32': '<f4', 'f64': '<f8', 'bf16': '<u2', 'i8': 'i1', 'i16': '<i2',
          'i32': '<i4', 'i64': '<i8', 'u8': 'u1', 'u16': '<u2', 'u32': '<u4', 'u64': '<u8'}
ROWS = 1000
DIM = 48


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


class Tensor(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def restart(self):
        """Stops the daemon, if it still runs, and starts it; the client is a new one."""
        self.client.close()
        self.daemon.stop()
        self.daemon.start()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def put(self, name, array, release='live', dtype=None, client=None):
        dtype = dtype or {'f4': 'f32', 'f8': 'f64', 'f2': 'f16', 'u1': 'u8'}[array.dtype.str[1:]]
        return (client or self.client).call('tensor.put', release=release, tensor=name, dtype=dtype,
                                            shape=list(array.shape),
                                            data=np.ascontiguousarray(array).tobytes())

    def get(self, name, **params):
        got = self.client.call('tensor.get', tensor=name, **params)
        return np.frombuffer(got['data'], DTYPES[got['dtype']]).reshape(got['shape'])

    def make_release(self, release, seed=1, dtype='f32', views=1, publish=True):
        self.client.call('release.create', release=release)
        self.client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=DIM // views,
                         views=views, dtype=dtype)
        rows, scales = harness.sample_rows(dtype, ROWS, DIM // views, views, seed)
        rows[:2] = rows[2:4]    # no edges: they overflow a sum
        columns = {} if scales is None else {'scales': scales}
        self.client.load(release, 't', np.arange(ROWS, dtype='<u8'), rows, **columns)
        self.client.seal(release, publish)
        return harness.as_f32(dtype, rows, scales, DIM // views, views)

    def through(self, keys, chain, **options):
        part = self.client.fetch('t', np.array(keys, '<u8').tobytes(), through=chain, **options)
        return part, harness.rows_of(part['rows'], harness.DTYPES[part['dtype']], part['n'])

    # ---- tensors ----

    def test_every_dtype_and_shape_comes_back(self):
        random = np.random.default_rng(1)
        self.client.call('release.create', release='r')
        arrays = {}
        for dtype, numpy_dtype in DTYPES.items():
            for shape in ((), (1,), (3, 5), (2, 1, 3, 1, 2, 1, 2, 1), (257, 129)):
                size = int(np.prod(shape)) * np.dtype(numpy_dtype).itemsize
                # Any bits, NaN too.
                array = np.frombuffer(random.bytes(size), numpy_dtype).reshape(shape)
                arrays['%s-%d' % (dtype, len(shape))] = (dtype, array)
        for name, (dtype, array) in arrays.items():
            self.assertEqual(self.put(name, array, 'r', dtype)['bytes'], array.nbytes)
        for again in range(2):
            listed = self.client.call('tensor.list', release='r')['tensors']
            self.assertEqual([one['tensor'] for one in listed], sorted(arrays))
            for one in listed:
                dtype, array = arrays[one['tensor']]
                self.assertEqual((one['dtype'], one['shape'], one['bytes']),
                                 (dtype, list(array.shape), array.nbytes))
                got = self.get(one['tensor'], release='r')
                self.assertEqual(got.tobytes(), array.tobytes())
            shown = self.client.call('release.show', release='r')
            self.assertEqual(shown['tensors'], len(arrays))
            self.assertEqual(shown['tensor_bytes'], sum(array.nbytes for _, array in arrays.values()))
            self.assertEqual(self.client.call('stats')['store']['tensors'], len(arrays))
            self.restart()

    def test_the_largest_and_one_byte_more(self):
        self.make_release('r')
        largest = np.random.default_rng(1).integers(0, 256, BYTES_MAX, np.uint8)
        started = time.monotonic()
        self.assertEqual(self.put('largest', largest)['bytes'], BYTES_MAX)
        between = time.monotonic()
        self.assertEqual(self.get('largest').tobytes(), largest.tobytes())
        print('64 MiB: put in %.2f s, got in %.2f s' % (between - started, time.monotonic() - between),
              flush=True)
        with self.fails('TOO_LARGE', 'shape', str(BYTES_MAX)):
            self.client.call('tensor.put', release='r', tensor='more', dtype='u8', shape=[BYTES_MAX + 1],
                             data=bytes(BYTES_MAX + 1))
        with self.fails('TOO_LARGE', '[4097, 4096]', 'f32', str(BYTES_MAX)):
            self.client.call('tensor.put', release='r', tensor='more', dtype='f32', shape=[4097, 4096],
                             data=b'')
        self.assertEqual(len(self.client.call('tensor.list')['tensors']), 1)
        # While others move the largest to and fro, a fetch goes on.
        crowd = harness.Crowd()
        stop = threading.Event()

        def move():
            with self.daemon.client() as client:
                while not stop.is_set():
                    self.put('largest', largest, client=client)
                    client.call('tensor.get', tensor='largest')

        crowd.start(move)
        longest = 0
        for i in range(200):
            began = time.monotonic()
            self.assertEqual(self.client.fetch('t', [i])['found'], b'\1')
            longest = max(longest, time.monotonic() - began)
        stop.set()
        crowd.join()
        print('longest fetch meanwhile: %.1f ms' % (longest * 1e3), flush=True)

    def test_bad_tensors_change_nothing(self):
        self.client.call('release.create', release='r')
        self.put('w', np.ones((2, 3), '<f4'), 'r')
        good = dict(release='r', tensor='w', dtype='f32', shape=[2, 2], data=bytes(16))
        for code, words, change in (
                ('BAD_REQUEST', ['data', '15', '16', '[2, 2]', 'f32'], {'data': bytes(15)}),
                ('BAD_REQUEST', ['data', '17', '16'], {'data': bytes(17)}),
                ('BAD_REQUEST', ['shape[1]', '0'], {'shape': [2, 0], 'data': b''}),
                ('BAD_REQUEST', ['shape[0]', '-2'], {'shape': [-2, 2]}),
                ('BAD_REQUEST', ['shape', '9', '8'], {'shape': [1] * 9, 'data': bytes(4)}),
                ('BAD_REQUEST', ['dtype', 'f128', 'f64'], {'dtype': 'f128'}),
                ('BAD_REQUEST', ['tensor', 'a/b'], {'tensor': 'a/b'}),
                ('TOO_LARGE', ['shape[0]', str(1 << 63)], {'shape': [1 << 63, 1 << 63]}),
                ('NOT_FOUND', ['nope'], {'release': 'nope'}),
                ('NOT_FOUND', ['live'], {'release': 'live'})):
            with self.fails(code, *words):
                self.client.call('tensor.put', **dict(good, **change))
        self.assertEqual(self.get('w', release='r').tolist(), [[1, 1, 1]] * 2)
        for method in ('tensor.get', 'tensor.delete'):
            with self.fails('NOT_FOUND', 'nope', "'r'"):
                self.client.call(method, release='r', tensor='nope')
        self.assertEqual([name for name in self.daemon.files() if 'tensor' in name],
                         ['releases/1/tensor-1.mdb'])

    def test_tensors_are_published_and_rolled_back_with_their_release(self):
        self.make_release('a')
        self.put('w', np.zeros(3, '<f4'))
        self.make_release('b')
        with self.fails('NOT_FOUND', 'w'):
            self.get('w')
        self.put('w', np.ones(4, '<f4'))    # after it went live
        self.assertEqual(self.get('w').tolist(), [1] * 4)
        self.assertEqual(self.get('w', release='a').tolist(), [0] * 3)
        self.client.call('release.rollback')
        self.assertEqual(self.get('w').tolist(), [0] * 3)
        self.client.call('release.drop', release='b')
        self.restart()
        self.assertEqual(self.get('w').tolist(), [0] * 3)
        self.assertEqual(self.client.call('stats')['store']['tensor_bytes'], 12)

    def test_kill_during_a_put(self):
        """What was acknowledged is there, whole; what was not is there whole or not at all."""
        random = harness.random_state()
        self.client.call('release.create', release='r')
        self.client.close()
        acked = sent = 0
        for _ in range(ROUNDS):
            size = int(random.integers(1, 4 << 20))

            def feed():
                nonlocal acked, sent
                try:
                    with self.daemon.client() as client:
                        while True:
                            sent += 1
                            self.put('w', np.full(size, sent % 251, np.uint8), 'r', client=client)
                            acked = sent
                except (Closed, ConnectionError):
                    pass

            crowd = harness.Crowd()
            crowd.start(feed)
            time.sleep(float(random.random()) * 0.1)
            self.daemon.kill()
            crowd.join()
            self.daemon.start()
            self.client = self.daemon.client()
            if acked > 0:
                got = self.get('w', release='r')
                self.assertIn(int(got[0]), (acked % 251, sent % 251))
                self.assertTrue((got == got[0]).all())
                acked = sent if int(got[0]) == sent % 251 else acked    # seen is as good
            named = [name for name in self.daemon.files() if 'tensor' in name]
            self.assertEqual(len(named), len(self.client.call('tensor.list', release='r')['tensors']))
            self.client.close()
        print('%d rounds, %d puts' % (ROUNDS, sent), flush=True)

    # ---- chains ----

    def layers(self, *shapes, dtype='<f4', bias=True, seed=3):
        random = np.random.default_rng(seed)
        made = []
        for i, (out, width) in enumerate(shapes):
            weight = (random.standard_normal((out, width)) / np.sqrt(width)).astype(dtype)
            vector = random.standard_normal(out).astype(dtype)
            self.put('l.%d.weight' % i, weight)
            if bias:
                self.put('l.%d.bias' % i, vector)
            made.append((weight.astype('f8'), vector.astype('f8') if bias else 0))
        return made

    def close(self, got, expected, tolerance=1e-5):
        self.assertEqual(got.shape, expected.shape)
        scale = np.abs(expected).max(axis=1, keepdims=True) + 1e-6
        self.assertLess((np.abs(got - expected) / scale).max(), tolerance)

    def test_chains_agree_with_numpy(self):
        for dtype, views in (('f32', 1), ('f16', 2), ('i8', 3), ('bit', 2), ('bf16', 1)):
            rows = self.make_release('%s-%d' % (dtype, views), 1, dtype, views).astype('f8')
            (w0, b0), (w1, b1), (g, gb) = self.layers((32, DIM), (10, 32), (32, 32))
            hidden = silu(rows @ w0.T + b0)
            gated = hidden * sigmoid(hidden @ g.T + gb)
            keys = np.arange(ROWS)
            for chain, expected in ((['l.0'], rows @ w0.T + b0),
                                    (['relu'], np.maximum(rows, 0)), (['tanh'], np.tanh(rows)),
                                    (['sigmoid'], sigmoid(rows)),
                                    (['l.0', 'silu'], hidden),
                                    (['l.0', 'silu', 'gate:l.2'], gated),
                                    (['l.0', 'silu', 'gate:l.2', 'l.1'], gated @ w1.T + b1)):
                part, got = self.through(keys, chain)
                self.assertEqual((part['dim'], part['views'], part['dtype']), (expected.shape[1], 1, 'f32'))
                self.close(got, expected)
                # A row has the same bits whatever is beside it.
                for some in (keys[:1], keys[17:30], keys[::-1]):
                    self.assertEqual(self.through(some, chain)[1].tobytes(), got[some].tobytes())

    def test_weights_of_other_dtypes(self):
        rows = self.make_release('r').astype('f8')
        for dtype in ('<f2', '<f8', '<f4'):
            (w, b), = self.layers((10, DIM), dtype=dtype)
            self.close(self.through(range(ROWS), ['l.0'])[1], rows @ w.T + b)
        w = harness.bf16_of(np.random.default_rng(5).standard_normal((7, DIM)).astype('<f4'))
        self.put('b.weight', w, dtype='bf16')
        self.close(self.through(range(ROWS), ['b'])[1], rows @ harness.f32_of_bf16(w).astype('f8').T)
        self.put('i.weight', np.ones((3, DIM), np.uint8), dtype='i8')
        with self.fails('BAD_REQUEST', "parts[0].through[0]: tensor 'i.weight' holds i8"):
            self.through([1], ['i'])

    def test_rows_that_are_missing_and_other_columns(self):
        rows = self.make_release('r').astype('f8')
        (w, b), = self.layers((10, DIM))
        expected = rows @ w.T + b
        part, got = self.through([5, ROWS + 1, 7], ['l.0'], why=True, times=True)
        self.assertEqual((part['found'], part['why']), (b'\x05', b'\0\1\0'))
        self.assertEqual(got[1].tolist(), [0] * 10)
        self.assertEqual(np.frombuffer(part['times'], '<i8')[1], 0)
        self.close(got[[0, 2]], expected[[5, 7]])
        for dtype, tolerance in (('f16', 1e-3), ('bf16', 1e-2), ('i8', 1e-2)):
            part, got = self.through(range(ROWS), ['l.0'], dtype=dtype)
            scales = np.frombuffer(part['scales'], '<f4') if dtype == 'i8' else None
            self.assertEqual(part['dtype'], dtype)
            self.close(harness.as_f32(dtype, got, scales, 10), expected, tolerance)
        # Written rows go through too, before and after a merge.
        one = np.arange(DIM, dtype='<f4')
        self.client.call('put', release='live', table='t', keys=[ROWS + 1], rows=one.tobytes())
        fresh = self.through([ROWS + 1], ['l.0'])[1]
        self.close(fresh, (one @ w.T + b)[None])
        self.client.call('merge')
        self.assertEqual(self.through([ROWS + 1], ['l.0'])[1].tobytes(), fresh.tobytes())
        # A tensor that is replaced is used at once.
        self.put('l.0.bias', np.zeros(10, '<f4'))
        self.close(self.through(range(ROWS), ['l.0'])[1], rows @ w.T)
        self.client.call('tensor.delete', release='live', tensor='l.0.bias')
        self.close(self.through(range(ROWS), ['l.0'])[1], rows @ w.T)

    def test_byte_keys_and_many_rows(self):
        count = 5003
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=8, key='bytes')
        keys = [b'key %d' % i for i in range(count)]
        rows = np.random.default_rng(2).standard_normal((count, 8)).astype('<f4')
        self.client.load('r', 't', keys, rows)
        self.client.seal('r')
        (w, b), = self.layers((3, 8))
        part = self.client.fetch('t', harness.packed(keys + [b'absent']), through=['l.0'])
        found = harness.bits(part['found'], count + 1)
        self.assertTrue(found[:-1].all() and not found[-1])
        got = harness.rows_of(part['rows'], '<f4', count + 1)
        self.close(got[:-1], rows.astype('f8') @ w.T + b)
        self.assertEqual(got[-1].tolist(), [0, 0, 0])

    def test_wrong_chains_are_refused_before_any_row_is_read(self):
        self.make_release('r')
        self.layers((32, DIM), (10, 64))
        counted = self.client.call('stats')['fetch']['rows']
        for code, words, chain in (
                ('BAD_REQUEST', ["parts[0].through[2]: 'l.1' has weight [10, 64], rows have 32 values there"],
                 ['l.0', 'relu', 'l.1']),
                ('NOT_FOUND', ["parts[0].through[1]: tensor: 'nope.weight' is not in release 'r'"],
                 ['relu', 'nope']),
                ('BAD_REQUEST', ["gate 'l.0' has weight [32, 48], [48, 48] expected"], ['gate:l.0']),
                ('BAD_REQUEST', ['through: 0 given, 1..16'], []),
                ('BAD_REQUEST', ['through: 17 given, 1..16'], ['relu'] * 17),
                ('BAD_REQUEST', ['through[0]', 'uint'], [7]),
                ('BAD_REQUEST', ['through: str given, array'], 'relu'),
                ('BAD_REQUEST', ['through: map given'], {}),
                ('BAD_REQUEST', ['through[0]', "''"], ['']),
                ('BAD_REQUEST', ['through[0]'], ['x' * 60])):
            with self.fails(code, *words):
                self.through([1], chain)
        with self.fails('BAD_REQUEST', 'dtype', 'bit'):
            self.through([1], ['relu'], dtype='bit')
        self.put('l.1.bias', np.zeros(3, '<f4'))
        self.put('l.1.weight', np.zeros((10, DIM), '<f4'))
        with self.fails('BAD_REQUEST', 'bias [3], [10] expected'):
            self.through([1], ['l.1'])
        self.put('huge.weight', np.zeros((65536, DIM), '<f4'))
        with self.fails('TOO_LARGE', 'the reply would have'):
            self.through(np.arange(500), ['huge'])
        with self.fails('TOO_LARGE', 'ms for stored layers'):
            self.through(np.arange(20000), ['huge'])
        self.assertEqual(self.client.call('stats')['fetch']['rows'], counted)

    def test_a_damaged_tensor_fails_only_those_who_use_it(self):
        self.make_release('r')
        self.layers((10, DIM), (10, 10))
        self.client.close()
        self.daemon.stop()
        name = [name for name in self.daemon.files() if name.endswith('tensor-1.mdb')][0]
        path = os.path.join(self.daemon.data, name)
        with open(path, 'r+b') as file:
            file.seek(os.path.getsize(path) - 4096)
            file.write(b'damage')
        self.restart()
        with self.fails('CORRUPT', 'parts[0].through[0]', 'l.0.weight'):
            self.through([1], ['l.0'])
        with self.fails('CORRUPT', 'l.0.weight'):
            self.get('l.0.weight')
        self.assertEqual(self.client.fetch('t', [1])['found'], b'\1')
        self.assertEqual(self.get('l.1.weight').shape, (10, 10))
        self.layers((10, DIM))
        self.assertEqual(self.through([1], ['l.0'])[0]['found'], b'\1')

    def test_random_damage(self):
        """A tensor whose file was changed anywhere is CORRUPT or whole, and nothing else is concerned."""
        random = harness.random_state()
        self.make_release('r')
        arrays = [random.integers(0, 256, int(size), np.uint8) for size in random.integers(1, 20000, 40)]
        done = corrupt = 0
        while done < test_damage.FLIPS:
            for i, array in enumerate(arrays):
                self.put('w%d' % i, array)
            self.client.close()
            self.daemon.stop()
            whats = {}
            for name in self.daemon.files():
                if 'tensor-' in name and random.random() < 0.8:
                    damage = (test_damage.flip, test_damage.blank, test_damage.cut,
                              test_damage.grow, test_damage.remove)[int(random.choice(5, p=[.6, .1, .1, .1, .1]))]
                    whats[name] = damage(os.path.join(self.daemon.data, name), random)
            self.restart()
            for i, array in enumerate(arrays):
                try:
                    self.assertEqual(self.get('w%d' % i).tobytes(), array.tobytes())
                except Failed as failed:
                    self.assertEqual(failed.code, 'CORRUPT')
                    self.assertIn("'w%d'" % i, failed.text)
                    corrupt += 1
            self.assertEqual(self.client.fetch('t', [1])['found'], b'\1')
            done += len(whats)
        print('%d damages, %d of them seen' % (done, corrupt), flush=True)
        self.assertGreater(corrupt, done // 2)

    def test_fetches_see_whole_layers(self):
        """Weights and rows change meanwhile: a row is always through one of the tensors that there were."""
        self.make_release('r')
        random = np.random.default_rng(9)
        keys = np.arange(100, dtype='<u8')
        stored = harness.rows_of(self.client.fetch('t', keys.tobytes())['rows'], '<f4', 100)
        weights = [random.standard_normal((64, DIM)).astype('<f4') for _ in range(2)]
        self.put('w.weight', weights[0])
        right = []
        for weight in weights:
            self.put('w.weight', weight)
            right.append(self.through(keys, ['w'])[1].tobytes())
        self.close(np.frombuffer(right[0], '<f4').reshape(100, 64), stored.astype('f8') @ weights[0].astype('f8').T)
        stop = threading.Event()
        crowd = harness.Crowd()

        def change():
            with self.daemon.client() as client:
                for i in range(20):
                    self.put('w.weight', weights[i % 2], client=client)
            stop.set()

        def read():
            with self.daemon.client() as client:
                while not stop.is_set():
                    part = client.fetch('t', keys.tobytes(), through=['w'])
                    assert part['rows'] in right

        crowd.start(read)
        crowd.start(read)
        crowd.start(change)
        crowd.join()

    def test_a_module_is_replaced_together(self):
        """Weight and bias change in one put: no fetch sees the one without the other, and no restart."""
        self.make_release('r')
        keys = np.arange(100, dtype='<u8')
        random = np.random.default_rng(9)
        modules = [[('w.weight', random.standard_normal((8, DIM)).astype('<f4')),
                    ('w.bias', random.standard_normal(8).astype('<f4'))] for _ in range(2)]

        def put(module, client):
            return client.call('tensor.put', release='live', tensors=[
                dict(tensor=name, dtype='f32', shape=list(array.shape), data=array.tobytes()) for name, array in module])

        right = []
        for module in modules:
            self.assertEqual(put(module, self.client), {'release': 'r', 'tensors': 2, 'bytes': 8 * 4 * (DIM + 1)})
            right.append(self.client.fetch('t', keys.tobytes(), through=['w'])['rows'])
        self.assertNotEqual(*right)
        stop = threading.Event()
        crowd = harness.Crowd()

        def change():
            with self.daemon.client() as client:
                for i in range(20):
                    put(modules[i % 2], client)
            stop.set()

        def read():
            with self.daemon.client() as client:
                while not stop.is_set():
                    assert client.fetch('t', keys.tobytes(), through=['w'])['rows'] in right

        crowd.start(read)
        crowd.start(change)
        crowd.join()
        for i in range(5):
            def change_until_killed():
                try:
                    with self.daemon.client() as client:
                        while True:
                            put(modules[i % 2], client)
                            put(modules[1 - i % 2], client)
                except (Closed, ConnectionError):
                    pass
            crowd = harness.Crowd()
            crowd.start(change_until_killed)
            time.sleep(0.02 * (i + 1))
            self.daemon.kill()
            crowd.join()
            self.daemon.start()
            with self.daemon.client() as client:
                self.assertIn(client.fetch('t', keys.tobytes(), through=['w'])['rows'], right)

    # ---- the command ----

    def test_the_command(self):
        rows = self.make_release('r').astype('f8')
        command = self.daemon.command
        random = np.random.default_rng(4)
        for descr in ('<f2', '<f4', '<f8', 'i1', '<i2', '<i4', '<i8', 'u1', '<u2', '<u4', '<u8'):
            for shape in ((), (5,), (2, 3, 1, 1, 2, 1, 1, 2)):
                array = (random.standard_normal(shape) * 50).astype(descr)
                np.save(self.path('in.npy'), array)
                command('tensor', 'put', 'live', 'x', self.path('in.npy'))
                command('tensor', 'get', 'r', 'x', self.path('out.npy'))
                with open(self.path('in.npy'), 'rb') as one, open(self.path('out.npy'), 'rb') as other:
                    self.assertEqual(one.read(), other.read(), (descr, shape))
        brain = harness.bf16_of(random.standard_normal((4, 2)).astype('<f4'))
        np.save(self.path('in.npy'), brain)
        command('tensor', 'put', 'live', 'brain', self.path('in.npy'), '--dtype', 'bf16')
        command('tensor', 'get', 'live', 'brain', self.path('out.npy'))
        self.assertEqual(np.load(self.path('out.npy')).tolist(), brain.tolist())
        listed, = self.daemon.command_json('tensor', 'list')
        self.assertEqual([(one['tensor'], one['dtype']) for one in listed['tensors']],
                         [('brain', 'bf16'), ('x', 'u64')])
        self.assertIn('[4, 2]', command('tensor', 'list', 'r'))
        self.assertIn('2 tensors', command('release', 'show'))
        self.assertIn('deleted', command('tensor', 'delete', 'live', 'x'))
        self.assertIn('NOT_FOUND', command('tensor', 'get', 'live', 'x', self.path('no.npy'), fails=1))
        self.assertFalse(os.path.exists(self.path('no.npy')))
        for array, word in ((np.asfortranarray(np.ones((2, 3))), 'fortran_order'), (np.array([True]), 'b1'),
                            (np.array([b'x']), 'S1'), (np.ones(2, '>f4'), 'big-endian')):
            np.save(self.path('in.npy'), array)
            self.assertIn(word, command('tensor', 'put', 'live', 'x', self.path('in.npy'), fails=1))
        np.save(self.path('in.npy'), np.ones((2, 3), '<f4'))
        self.assertIn('bf16', command('tensor', 'put', 'live', 'x', self.path('in.npy'), '--dtype', 'bf16', fails=1))
        self.assertIn('usage', command('tensor', 'put', 'live', 'x', fails=2))
        weight = random.standard_normal((3, DIM)).astype('<f4')
        np.save(self.path('in.npy'), weight)
        command('tensor', 'put', 'live', 'w.weight', self.path('in.npy'))
        got = self.daemon.command_json('fetch', 't', 5, 6, 99999, '--through', 'w,relu')
        expected = np.maximum(rows[5:7] @ weight.astype('f8').T, 0)
        self.close(np.array([one['vector'] for one in got[:2]]), expected)
        self.assertEqual(got[2]['why'], 'absent')
        self.assertIn('1 x 3 f16', command('fetch', 't', 5, '--through', 'w', '--dtype', 'f16'))
        self.assertIn('rows have 3 values', command('fetch', 't', 5, '--through', 'w,w', fails=1))
        self.assertIn('16', command('fetch', 't', 5, '--through', ','.join(['relu'] * 17), fails=2))
        self.assertIn('step 2 is empty', command('fetch', 't', 5, '--through', 'w,', fails=2))


if __name__ == '__main__':
    harness.main()
