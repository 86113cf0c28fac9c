"""test_other_encoders.py - requests as the encoders of other languages write them.

MessagePack leaves open in which type a value is written. Encoders from before bin was there write bytes as str;
those of JavaScript write integers beyond 2^32 as float; those of languages with one type for arrays and maps
write an empty map as an empty array; and many write nil for what is not given.
"""

import msgpack
import numpy as np

import harness

WIDE = 298080447363             # an id beyond 32 bits
ROW = np.array([1, 2], '<f4').tobytes()


def old(value):
    """As an encoder writes it that has no bin."""
    return msgpack.packb(value, use_bin_type=False)


def floats(value):
    """Every integer as a float."""
    if isinstance(value, list):
        return [floats(one) for one in value]
    if isinstance(value, dict):
        return {name: floats(one) for name, one in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class OtherEncoders(harness.Case):
    def setUp(self):
        """A live release with a table of each type of keys."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=2, tags=True)
        self.client.call('table.create', release='r', table='b', entity='item', kind='ir', dim=2, key='bytes')
        for entity in ('user', 'item'):
            self.client.call('table.create', release='r', table='cr_%s@m' % entity, entity=entity, kind='cr', dim=2)
        self.client.seal('r')

    def ask(self, data):
        """Sends one message and returns its result."""
        self.client.send_bytes(data)
        return self.client.wait(msgpack.unpackb(data, raw=True, strict_map_key=False)[1])

    def found(self, **part):
        return self.client.call('fetch', parts=[part])['parts'][0]['found']

    def test_bytes_as_str(self):
        now = np.array([harness.now_ms()], '<i8').tobytes()
        for msgid, (method, params) in enumerate((
                ('put', dict(release='live', table='t', keys=[1], rows=ROW, times=now, tags=bytes(8))),
                ('put', dict(release='live', table='t', keys=np.array([2], '<u8').tobytes(), rows=ROW)),
                ('put', dict(release='live', parts=[dict(table='b', keys=b'\1a', rows=ROW)])),
                ('observe', dict(release='live', layer='m', users=[1], items=[1], rows=ROW, times=now)),
                ('tensor.put', dict(release='live', tensor='w', dtype='f32', shape=[2], data=ROW)))):
            self.ask(old([0, msgid, method, [params]]))
        self.assertEqual(self.found(table='t', keys=[1, 2]), b'\3')
        self.assertEqual(self.found(table='b', keys=['a']), b'\1')
        self.assertEqual(self.found(table='cr_user', keys=[1]), b'\1')
        self.assertEqual(self.client.call('tensor.get', tensor='w')['data'], ROW)
        whole = dict(release='r', **{'in': 't', 'weights': np.ones(1, '<f4').tobytes(), 'from': dict(dim=2, rows=ROW)})
        self.assertEqual(self.ask(old([0, 9, 'retrieve', [whole]]))['parts'][0]['n'], 2)

    def test_whole_floats(self):
        def call(msgid, method, **params):
            return self.ask(msgpack.packb([0.0, float(msgid), method, [floats(params)]]))
        self.assertEqual(call(1, 'put', release='live', table='t', keys=[WIDE], rows=ROW)['applied'], 1)
        part = call(2, 'fetch', parts=[dict(table='t', keys=[WIDE], max_age_ms=3600000)])['parts'][0]
        self.assertEqual((part['found'], part['rows']), (b'\1', ROW))
        query = {'in': 't', 'k': 5, 'tags_none': 1, 'from': {'table': 't', 'keys': [WIDE]}}
        self.assertEqual(call(3, 'retrieve', **query)['parts'][0]['n'], 1)
        call(4, 'release.create', release='o')
        call(5, 'table.create', release='o', table='t', entity='item', kind='ir', dim=2, ttl_ms=1000)
        self.assertEqual(call(6, 'load', release='o', table='t', load='l', chunk=0, keys=[1], rows=ROW)['next_chunk'], 1)
        call(7, 'load.end', release='o', table='t', load='l', chunks=1, rows=1)
        call(8, 'tensor.put', release='o', tensor='w', dtype='f32', shape=[1, 2], data=ROW)
        self.assertEqual(self.client.call('table.show', release='o', table='t')['ttl_ms'], 1000)
        for wrong in (1.5, -1.0, 2.0 ** 53, 2.0 ** 53 + 2, -2.0 ** 53, 2.0 ** 64, float('nan'), float('inf')):
            with self.fails('BAD_REQUEST', 'keys[0]', 'float'):
                self.client.fetch('t', [wrong])
            with self.fails('BAD_REQUEST', 'max_age_ms', 'float'):
                self.client.fetch('t', [1], max_age_ms=wrong)

    def test_nil_is_not_given(self):
        self.client.call('put', release='live', table='t', keys=[1], rows=ROW, dtype=None, scales=None, times=None,
                         tags=None, weights=None, allow_nonfinite=None, if_newer=None, parts=None)
        part = self.client.call('fetch', release=None, parts=[dict(
            table='t', keys=[1], dtype=None, through=None, times=None, tags=None, why=None, max_age_ms=None,
            raw=None, weights=None)])['parts'][0]
        self.assertEqual((part['found'], 'times' in part), (b'\1', False))
        found = self.client.call('retrieve', **{'from': dict(table='t', keys=[1], max_age_ms=None, rows=None),
                                                'in': 't', 'k': None, 'metric': None, 'allow': None, 'deny': None,
                                                'tags_any': None, 'with': None, 'weights': None, 'timeout_ms': None})
        self.assertEqual(found['parts'][0]['n'], 1)
        self.client.call('release.create', release='n', model=None, checkpoint=None)
        self.client.call('observe', release='live', layer='m', users=[1], items=[1], rows=ROW, source=None,
                         position=None, times=np.array([harness.now_ms()], '<i8').tobytes())
        with self.fails('BAD_REQUEST', 'rows', 'missing'):
            self.client.call('put', release='live', table='t', keys=[1], rows=None)
        with self.fails('BAD_REQUEST', 'parts[0].table', 'missing'):
            self.client.call('fetch', parts=[dict(table=None, keys=[1])])

    def test_an_empty_array_is_an_empty_map(self):
        for params in ([], [[]], [{}], [None]):
            self.assertEqual(self.ask(msgpack.packb([0, 1, 'ping', params])), {})
            self.assertIn('releases', self.ask(msgpack.packb([0, 2, 'release.list', params])))
            with self.fails('BAD_REQUEST', 'parts', 'missing'):
                self.ask(msgpack.packb([0, 3, 'fetch', params]))
        with self.fails('BAD_REQUEST', 'parts[0].table', 'missing'):
            self.client.call('fetch', parts=[[]])
        with self.fails('BAD_REQUEST', 'params', 'array'):
            self.ask(msgpack.packb([0, 4, 'ping', [[1]]]))

    def test_a_name_given_twice_is_refused(self):
        def twice(method, first, name, value, other, inside=None):
            """The request with `name` twice: in its params, or in the map that `inside` wraps."""
            pairs = list(first.items()) + [(name, value), (name, other)]
            packed = bytes([0x80 | len(pairs)]) + b''.join(msgpack.packb(k) + msgpack.packb(v) for k, v in pairs)
            if inside is not None:
                packed = inside(packed)
            return self.ask(b'\x94\x00\x07' + msgpack.packb(method) + b'\x91' + packed)
        put = dict(release='live', table='t')
        for name, value, other in (('rows', ROW, ROW), ('rows', ROW, None), ('dtype', None, None)):
            with self.fails('BAD_REQUEST', name + ': given twice'):
                twice('put', dict(put, keys=[1]), name, value, other)
        with self.fails('BAD_REQUEST', 'release: given twice'):
            twice('release.drop', {}, 'release', 'nope', 'r')
        with self.fails('BAD_REQUEST', 'parts[0].keys: given twice'):
            twice('fetch', dict(table='t'), 'keys', [1], [2], lambda part: b'\x81' + msgpack.packb('parts') + b'\x91' + part)
        with self.fails('BAD_REQUEST', 'from.keys: given twice'):
            twice('retrieve', dict(table='t'), 'keys', [1], [2],
                  lambda query: b'\x82' + msgpack.packb('in') + msgpack.packb('t') + msgpack.packb('from') + query)
        self.assertEqual(self.found(table='t', keys=[1]), b'\0')
        self.assertEqual(self.client.call('release.show', release='r')['state'], 'live')


if __name__ == '__main__':
    harness.main()
