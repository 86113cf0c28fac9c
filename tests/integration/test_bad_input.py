"""test_bad_input.py - what is wrong is refused by name, and changes nothing."""

import re
import struct
import time

import msgpack
import numpy as np

import harness
from harness import Closed, Failed

ROW = np.ones((1, 4), '<f4').tobytes()
BYTES_MAX = harness.MESSAGE_BYTES
ELEMENTS_MAX = 1 << 20
DEPTH_MAX = 16


class BadInput(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        call = self.client.call
        call('release.create', release='live-one', model='m')
        call('table.create', release='live-one', table='t', entity='user', kind='ur', dim=4)
        call('table.create', release='live-one', table='b', entity='item', kind='ir', dim=4,
             key='bytes', dtype='f16')
        call('table.create', release='live-one', table='bits', entity='item', kind='ir', dim=4,
             dtype='bit')
        self.client.load('live-one', 't', [1, 2, 3], np.arange(12, dtype='<f4').reshape(3, 4))
        self.client.load('live-one', 'b', [b'one'], np.ones((1, 4), '<f2'))
        self.client.seal('live-one')
        call('release.create', release='open-one')
        call('table.create', release='open-one', table='t', entity='user', kind='ur', dim=4)
        call('table.create', release='open-one', table='b', entity='user', kind='ur', dim=4,
             key='bytes')
        call('table.create', release='open-one', table='i', entity='user', kind='ur', dim=4,
             dtype='i8', tags=True)
        for entity in ('user', 'item'):
            call('table.create', release='open-one', table='cr_%s@m' % entity, entity=entity, kind='cr', dim=4)
        call('load', release='open-one', table='t', load='l', chunk=0, keys=[7], rows=ROW)
        self.wait_for_janitor()
        self.before = self.state()

    def wait_for_janitor(self):
        """What was loaded into the sealed release is removed a moment later."""
        limit = time.monotonic() + 20
        while any(path.startswith('releases/1/spill-') for path in self.daemon.files()):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.005)

    def tearDown(self):
        self.assertEqual(self.state(), self.before)
        super().tearDown()

    def state(self):
        """All that a wrong request must leave as it is."""
        with self.daemon.client() as client:
            return (client.call('release.list'), client.call('release.show', release='open-one'),
                    client.call('release.show', release='live-one'),
                    client.fetch('t', [1, 2, 3, 4]), client.fetch('b', [b'one']),
                    self.daemon.files())

    def refused(self, code, words, method, **params):
        with self.fails(code, *words):
            self.client.call(method, **params)

    def load_refused(self, code, words, **params):
        whole = dict(release='open-one', table='t', load='l', chunk=1, keys=[8], rows=ROW)
        whole.update(params)
        self.refused(code, words, 'load', **{k: v for k, v in whole.items() if v is not None})

    def fetch_refused(self, code, words, release=None, **part):
        whole = dict(table='t', keys=[1])
        whole.update(part)
        params = {'parts': [{'table': 't', 'keys': [1]},
                            {k: v for k, v in whole.items() if v is not None}]}
        if release is not None:
            params['release'] = release
        self.refused(code, words, 'fetch', **params)

    # ---- arguments ----

    def test_unknown_things_are_named(self):
        self.fetch_refused('NOT_FOUND', ['nope'], release='nope')
        self.fetch_refused('NOT_FOUND', ['parts[1].table', 'nope'], table='nope')
        self.fetch_refused('BAD_REQUEST', ['parts[1].dtype', 'f64'], dtype='f64')
        self.fetch_refused('BAD_REQUEST', ['parts[1].tabel', 'table'], tabel='t')
        self.refused('BAD_REQUEST', ['relase', 'release'], 'fetch', relase='r', parts=[])
        self.refused('BAD_REQUEST', ['anything'], 'ping', anything=1)
        self.refused('NOT_FOUND', ['nope'], 'release.show', release='nope')
        self.refused('NOT_FOUND', ['nope'], 'release.publish', release='nope')
        self.refused('NOT_FOUND', ['nope'], 'release.seal', release='nope')
        self.refused('NOT_FOUND', ['nope'], 'release.drop', release='nope')
        self.refused('NOT_FOUND', ['nope'], 'table.list', release='nope')
        self.refused('NOT_FOUND', ['nope'], 'table.show', table='nope')
        self.refused('NOT_FOUND', ['nope'], 'scan', table='nope')
        self.load_refused('NOT_FOUND', ['nope'], release='nope')
        self.load_refused('NOT_FOUND', ['nope'], table='nope')
        self.refused('NOT_FOUND', ['nope'], 'load.end', release='open-one', table='t', load='nope',
                     chunks=1, rows=1)
        self.refused('NOT_FOUND', ['nope'], 'load.abort', release='open-one', table='t',
                     load='nope')
        self.refused('NOT_FOUND', [], 'release.rollback')
        for method, params in (('fetch', dict(parts=[{'table': 't', 'keys': [1]}])),
                               ('scan', dict(table='t'))):
            self.refused('NOT_SEALED', ['open-one'], method, release='open-one', **params)
        self.refused('NOT_SEALED', ['open-one'], 'release.publish', release='open-one')

    def test_an_unknown_method_is_answered(self):
        for method in ('nope', '', 'fetc', 'fetchh', 'FETCH', 'load.', 'x' * 64, 'x' * 65,
                       'x' * 100000, 'a\nb\0c', b'\xff\xfe'):
            with self.assertRaises(Failed) as caught:
                self.client.call(method)
            self.assertIn(caught.exception.code, ('UNSUPPORTED', 'BAD_REQUEST'))
            self.assertNotRegex(caught.exception.text, r'[\x00-\x1f]')
        self.assertEqual(self.client.call('ping'), {})

    def test_rows_must_fit_the_table(self):
        self.load_refused('BAD_REQUEST', ['rows', '12', '16'], rows=bytes(12))
        self.load_refused('BAD_REQUEST', ['rows', '32', '16'], rows=bytes(32))
        self.load_refused('BAD_REQUEST', ['rows', '16', '32'], keys=[1, 2])
        self.load_refused('BAD_REQUEST', ['rows', '16', '0'], keys=[])
        self.load_refused('BAD_REQUEST', ['rows', '16', '8'], dtype='f16')
        self.load_refused('BAD_REQUEST', ['rows', 'missing'], rows=None)
        self.load_refused('BAD_REQUEST', ['keys', 'missing'], keys=None)
        self.load_refused('BAD_REQUEST', ['times', '7', '8'], times=bytes(7))
        self.load_refused('BAD_REQUEST', ['tags'], tags=bytes(8))
        self.load_refused('BAD_REQUEST', ['scales'], scales=bytes(4))
        self.load_refused('BAD_REQUEST', ['scales'], table='i', rows=bytes(4), dtype='i8', chunk=0)
        self.load_refused('BAD_REQUEST', ['scales', '8', '4'], table='i', rows=bytes(4), dtype='i8',
                          scales=bytes(8), chunk=0)
        self.load_refused('BAD_REQUEST', ['tags', '4', '8'], table='i', rows=bytes(4), tags=bytes(4),
                          scales=bytes(4), chunk=0)
        self.load_refused('BAD_REQUEST', ['times'], times=struct.pack('<q', -1))
        self.load_refused('BAD_REQUEST', ['times'], times=struct.pack('<q', 1 << 62))
        self.fetch_refused('BAD_REQUEST', ['parts[1].dtype', 'f32', 'bit'], dtype='bit')
        self.fetch_refused('BAD_REQUEST', ['parts[1].tags'], tags=True)

    def test_values_must_be_finite(self):
        for value in (np.nan, np.inf, -np.inf):
            for at in range(4):
                row = np.ones(4, '<f4')
                row[at] = value
                self.load_refused('BAD_REQUEST', ['allow_nonfinite'], rows=row.tobytes())
                self.load_refused('BAD_REQUEST', ['allow_nonfinite'], dtype='f16',
                                  rows=row.astype('<f2').tobytes())
        for value in (np.nan, np.inf):
            self.load_refused('BAD_REQUEST', ['scales'], table='i', rows=bytes(4), chunk=0,
                              scales=struct.pack('<f', value))

    def test_keys_must_be_keys(self):
        for table in ('t', 'b'):
            expected = 'u64' if table == 't' else 'bytes'
            wrong = [[1, 'x'], [None], [1.5], [-1], [[1]], [True], bytes(7)] if table == 't' else \
                    [[b'x', 1], [None], [b''], [b'x' * 256], [''], b'\0', b'\5abc', b'\1a\0']
            for keys in wrong:
                self.fetch_refused('BAD_REQUEST', ['parts[1].keys'], table=table, keys=keys)
                self.load_refused('BAD_REQUEST', ['keys'], table=table, keys=keys,
                                  chunk=1 if table == 't' else 0)
            for keys in ('text', 5, None, {}, 1.0, True):
                with self.fails('BAD_REQUEST', 'keys'):
                    self.client.call('fetch', parts=[{'table': table, 'keys': keys}])
            other = [b'x'] if table == 't' else [1]
            self.fetch_refused('BAD_REQUEST', ['parts[1].keys', expected], table=table, keys=other)
        self.fetch_refused('BAD_REQUEST', ['keys'], table='t', keys=bytes(8 * 10 + 1))
        self.fetch_refused('TOO_LARGE', ['keys'], keys=bytes(8 * (ELEMENTS_MAX + 1)))

    def test_names_must_be_names(self):
        create = self.client.call
        wrong = ['', '.', '..', '.hidden', '-r', '_r', 'a/b', '../etc', 'a b', 'a\0b', 'a\n', 'x' * 65,
                 '\u00e9', 'a:b', 'a\\b', 'a*']
        for name in wrong:
            with self.fails('BAD_REQUEST', 'release'):
                create('release.create', release=name)
            with self.fails('BAD_REQUEST', 'table'):
                create('table.create', release='open-one', table=name, entity='user', kind='ur', dim=1)
            with self.fails('BAD_REQUEST', 'table'):
                create('table.create', release='open-one', table='t@' + name, entity='user',
                       kind='ur', dim=1)
            self.load_refused('BAD_REQUEST', ['load'], load=name)
            self.fetch_refused('BAD_REQUEST', ['parts[1].table'], table=name)
            self.fetch_refused('BAD_REQUEST', ['release'], release=name)
        self.refused('BAD_REQUEST', ['live'], 'release.create', release='live')
        for table in ('a@b@c', '@b', 'a@'):
            self.fetch_refused('BAD_REQUEST', ['parts[1].table'], table=table)
        self.refused('BAD_REQUEST', ['model'], 'release.create', release='x', model='m' * 256)
        self.refused('BAD_REQUEST', ['model'], 'release.create', release='x', model='a\nb')
        for text in (b'caf\xe9', b'\xff\xfe', b'\xed\xa0\x80', b'\xc0\x80'):
            for name in ('model', 'checkpoint'):
                self.refused('BAD_REQUEST', [name, 'UTF-8'], 'release.create', release='x', **{name: text})
        self.refused('EXISTS', ['live-one'], 'release.create', release='live-one')
        self.refused('EXISTS', ['t'], 'table.create', release='open-one', table='t', entity='user',
                     kind='ur', dim=4)

    def test_a_table_must_be_possible(self):
        good = dict(release='open-one', table='new', entity='user', kind='ur', dim=4)
        for name, values in (
                ('dim', [0, 65537, -1, 'x', 1.5, 1 << 63]), ('views', [0, 1025, -1]),
                ('dtype', ['f64', '', 'F32', 1]), ('key', ['u32', 1]), ('ttl_ms', [-1, 1 << 60]),
                ('tags', [1, 'yes']), ('entity', ['users', 'item', 1]), ('kind', ['cr', 'ir', 1])):
            for value in values:
                with self.fails('BAD_REQUEST', name if name != 'kind' else ''):
                    self.client.call('table.create', **dict(good, **{name: value}))
        self.refused('BAD_REQUEST', ['bytes'], 'table.create', **dict(good, dim=65536, views=1024))
        for name in ('table', 'entity', 'kind', 'dim'):
            params = dict(good)
            del params[name]
            self.refused('BAD_REQUEST', [name], 'table.create', **params)
        self.refused('SEALED', ['live-one'], 'table.create', **dict(good, release='live-one'))

    def test_loads_go_one_after_the_other(self):
        self.load_refused('GAP', ['1'], chunk=2)
        self.load_refused('GAP', ['0'], load='new', chunk=1)
        self.load_refused('SEALED', ['live-one'], release='live-one')
        self.load_refused('SEALED', ['live-one'], release='live')
        again = self.client.call('load', release='open-one', table='t', load='l', chunk=0, keys=[7],
                                 rows=ROW)
        self.assertEqual(again, {'next_chunk': 1, 'rows': 1})
        for chunks, rows in ((0, 1), (2, 1), (1, 0), (1, 2)):
            self.refused('CONFLICT', ['1'], 'load.end', release='open-one', table='t', load='l',
                         chunks=chunks, rows=rows)
        self.refused('CONFLICT', ['l'], 'release.seal', release='open-one')
        self.refused('CONFLICT', ['live-one'], 'release.drop', release='live-one')

    def test_limits_of_a_fetch(self):
        part = {'table': 't', 'keys': [1]}
        self.assertEqual(len(self.client.call('fetch', parts=[part] * 64)['parts']), 64)
        self.refused('TOO_LARGE', ['65', '64'], 'fetch', parts=[part] * 65)
        self.refused('BAD_REQUEST', ['parts'], 'fetch', parts=[])
        self.refused('BAD_REQUEST', ['parts'], 'fetch')
        self.refused('BAD_REQUEST', ['parts'], 'fetch', parts={})
        self.refused('BAD_REQUEST', ['parts[0]'], 'fetch', parts=[1])
        many = bytes(8 * ELEMENTS_MAX)
        got = self.client.fetch('t', many, dtype='f32')
        self.assertEqual(got['n'], ELEMENTS_MAX)
        self.assertEqual(got['rows'], bytes(16 * ELEMENTS_MAX))
        big = {'table': 't', 'keys': many}
        self.refused('TOO_LARGE', [str(BYTES_MAX)], 'fetch', parts=[big] * 5)
        for limit in (0, 65537, 1 << 40):
            self.refused('BAD_REQUEST', ['limit'], 'scan', table='t', limit=limit)
        # A cursor that was not given out goes on somewhere.
        for cursor in (1, 1 << 63, (1 << 64) - 1):
            self.assertLessEqual(self.client.call('scan', table='t', cursor=cursor)['n'], 4096)
        for shard in (0, '0/2', [], [1], [0, 1, 2], ['0', '2'], [0, 2.5], [-1, 2], {}, [None, 1]):
            self.refused('BAD_REQUEST', ['shard', '[i, n]'], 'scan', table='t', shard=shard)
        for shard in ([0, 0], [2, 2], [0, 1025], [1 << 63, 2], [0, (1 << 64) - 1]):
            self.refused('BAD_REQUEST', ['shard', str(shard), '1..1024'], 'scan', table='t', shard=shard)

    def described(self):
        """{method: [parameter, ...]} from PROTOCOL.md."""
        with open(harness.PROTOCOL) as page:
            text = page.read()
        methods = {}
        for name, params in re.findall(r'\n### (\S+)\n`\{(.*?)\}` ->', text, re.S):
            params = re.sub(r'\{.*?\}', '{}', re.sub(r'\(.*?\)', '', params), flags=re.S)
            params = re.sub(r'\[.*?\]', '[]', params, flags=re.S)
            methods[name] = re.findall(r'(?:^|,)\s*(\w+)(?=\??)', params)
        self.assertGreaterEqual(len(methods), 19)
        return methods

    def test_every_parameter_of_every_method_has_its_type(self):
        good = {
            'release': 'open-one', 'table': 't', 'load': 'l', 'chunk': 1, 'keys': [8], 'rows': ROW,
            'chunks': 1, 'parts': [{'table': 't', 'keys': [1]}], 'entity': 'user', 'kind': 'ur',
            'dim': 4, 'cursor': 0, 'limit': 1, 'client': 'c', 'model': 'm', 'checkpoint': 'c',
            'dtype': 'f32', 'views': 1, 'key': 'u64', 'ttl_ms': 0, 'tags': False, 'layer': 'm',
            'users': [1], 'items': [2], 'times': bytes(8), 'source': 's', 'position': 0, 'tensor': 'w', 'shape': [4], 'data': ROW,
            'in': 't', 'from': {'table': 't', 'keys': [1]}, 'as': 'user:1', 'method': 'fetch', 'dir': 'd',
        }
        strings = {'release', 'table', 'load', 'client', 'model', 'checkpoint', 'dtype', 'entity', 'kind',
                   'key', 'layer', 'source', 'read', 'tensor', 'in', 'metric', 'as', 'method', 'dir', 'trace'}
        key_lists = ('keys', 'users', 'items', 'allow', 'deny')
        numbers = {'chunk', 'chunks', 'dim', 'views', 'ttl_ms', 'cursor', 'limit', 'half_life_ms', 'history', 'position', 'k',
                   'min_score', 'tags_any', 'tags_all', 'tags_none', 'timeout_ms', 'n'}
        fine = {'min_score': (-1, 1.5)}
        for method, names in self.described().items():
            for name in names:
                wrong = [-1, 1.5, {}, msgpack.ExtType(1, b'x')]
                wrong += [] if name in strings or name in key_lists + ('rows', 'scales', 'times', 'history_times', 'counts',
                                                       'weights', 'tags') else ['text', b'bytes']
                wrong += [] if name in numbers else [7]
                wrong += [] if name in key_lists + ('parts', 'shape', 'with') else [[]]
                wrong += [] if name in ('tags', 'allow_nonfinite', 'any_time', 'first', 'if_newer', 'raw', 'copy', 'reset', 'full', 'dry_run', 'local') else [True]
                if method in ('load', 'put') and name == 'tags':
                    wrong.append(True)
                if (method, name) in (('load.end', 'rows'), ('verify', 'keys')):
                    wrong.remove(7)     # a number there, and a list elsewhere
                if method not in ('load', 'load.end', 'put') and name == 'tags':
                    wrong += ['text', b'bytes']
                for value in wrong:
                    if value in fine.get(name, ()):
                        continue
                    params = {other: good[other] for other in names if other in good}
                    if method in ('load', 'put'):
                        params.pop('tags', None)
                    if method == 'load.end':
                        params['rows'] = 1
                    if method in ('scan', 'retrieve', 'score'):
                        params['release'] = 'live-one'
                    if method == 'put':
                        params = {'release': 'open-one'} if name == 'parts' else {
                            other: given for other, given in params.items() if other != 'parts'}
                    params[name] = value
                    with self.assertRaises(Failed, msg='%s %s=%r' % (method, name, value)) as caught:
                        self.client.wait(self.client.send(method, params))
                    self.assertEqual(caught.exception.code, 'BAD_REQUEST',
                                     '%s %s=%r: %s' % (method, name, value, caught.exception))
                    self.assertIn(name, caught.exception.text)
            with self.fails('BAD_REQUEST', 'surprise'):
                self.client.call(method, surprise=1)

    # ---- envelopes ----

    def test_params_are_one_map_or_nothing(self):
        self.assertEqual(self.client.wait(self.client.send('ping')), {})
        for params in ([1], ['x'], [[1]], [True], [{}, {}], [[], []], {}, None, 'x', 7):
            msgid = self.client.next_id
            self.client.next_id += 1
            self.client.send_bytes(harness.request(msgid, 'ping', params))
            with self.fails('BAD_REQUEST', 'params'):
                self.client.wait(msgid)
        for name in (1, None, 1.5, ('a',)):
            msgid = self.client.next_id
            self.client.next_id += 1
            self.client.send_bytes(harness.request(msgid, 'ping', [{name: 1}]))
            with self.fails('BAD_REQUEST'):
                self.client.wait(msgid)

    def test_method_names_may_be_bin(self):
        self.assertEqual(self.client.call(b'ping'), {})
        self.assertEqual(self.client.call(b'table.show', table='t')['table'], 't')
        self.assertEqual(self.client.call(b'table.show', **{'table': b't'})['table'], 't')

    def test_msgids_may_be_anything(self):
        for msgid in (0, 0xffffffff, 5, 5):
            self.client.send_bytes(harness.request(msgid, 'ping', []))
            self.assertEqual(self.client.receive(), (msgid, None, {}))

    def test_notifications_are_not_answered(self):
        self.client.notify('ping')
        self.client.notify('nope')
        self.client.notify('fetch', {'parts': 1})
        self.client.notify('release.create', {'release': 'a/b'})
        self.client.notify('table.show', {'table': 't'})
        self.client.send_bytes(msgpack.packb([2, 'ping', 7]))
        msgid = self.client.send('ping')
        self.assertEqual(self.client.receive(), (msgid, None, {}))

    def test_a_notification_does_its_work(self):
        self.client.notify('load.abort', {'release': 'open-one', 'table': 't', 'load': 'l'})
        self.client.notify('load', {'release': 'open-one', 'table': 't', 'load': 'l', 'chunk': 0,
                                    'keys': [7], 'rows': ROW})
        # In order with what follows on the same connection.
        again = self.client.call('load', release='open-one', table='t', load='l', chunk=0, keys=[7],
                                 rows=ROW)
        self.assertEqual(again, {'next_chunk': 1, 'rows': 1})

    def closes(self, data, wait_for_answers=True):
        with self.daemon.client() as client:
            try:
                client.send_bytes(data)
                self.assertTrue(client.is_closed() if wait_for_answers else True)
            except Closed:
                pass
        self.assertEqual(self.client.call('ping'), {})

    def test_what_is_no_envelope_closes(self):
        for message in (1, 'x', None, {}, [], [0], [3, 1, 'ping', []], [0, -1, 'ping', []],
                        [0, 'x', 'ping', []], [1, 1, None, {}], ['0', 1, 'ping', []],
                        [0, 1 << 32, 'ping', []]):
            self.closes(msgpack.packb(message))
        self.closes(b'\xc1')

    def test_an_envelope_with_a_msgid_is_answered(self):
        for message in ([0, 9], [0, 9, 'ping'], [0, 9, 'ping', [], 1], [0, 9, 7, []], [0, 9, None, []],
                        [0, 9, [], []], [0, 9, 'ping', 7]):
            self.client.send_bytes(msgpack.packb(message))
            with self.fails('BAD_REQUEST'):
                self.client.wait(9)

    def test_headers_that_claim_much_cost_nothing(self):
        before = self.daemon.memory_bytes()
        for head in (b'\xdd', b'\xdf', b'\xdb', b'\xc6', b'\xc9'):
            for inside in (b'', b'\x94\x00\x01\xa4ping', b'\x94\x00\x01', b'\x91'):
                self.closes(inside + head + b'\xff\xff\xff\xff')
        self.closes(b'\x94\x00\x01\xa5fetch\x91\x81\xa5parts\xdd\x00\x10\x00\x00' + b'\x90' * 10,
                    wait_for_answers=False)
        self.assertLess(self.daemon.memory_bytes() - before, 64 << 20)

    def test_depth_is_bounded(self):
        self.closes(b'\x91' * 100000)
        self.closes(b'\x81' * 100000)
        self.closes(b'\x94\x00\x01\xa4ping' + b'\x91' * 1000)
        # The envelope and params are two levels.
        deepest = {'table': [[]]}
        for _ in range(DEPTH_MAX - 5):
            deepest = {'table': [deepest['table']]}
        with self.fails('BAD_REQUEST', 'table'):
            self.client.call('table.show', **deepest)

    def test_elements_are_bounded(self):
        self.closes(b'\x94\x00\x01\xa4ping\x91\x81\xa1x\xdd' + struct.pack('>I', ELEMENTS_MAX) +
                    b'\x00' * ELEMENTS_MAX)

    def exact(self, size):
        """A request of exactly `size` bytes."""
        def message(keys_bytes):
            return harness.request(1, 'fetch', [{'parts': [{'table': 't', 'keys': bytes(keys_bytes)}]}])
        data = message(size - len(message(1 << 20)) + (1 << 20))
        self.assertEqual(len(data), size)
        return data

    def test_the_largest_message_and_one_byte_more(self):
        with self.daemon.client() as client:
            client.send_bytes(self.exact(BYTES_MAX))
            with self.fails('BAD_REQUEST', 'keys'):
                client.wait(1)
            self.assertEqual(client.call('ping'), {})
        self.closes(self.exact(BYTES_MAX + 1))

    def test_half_a_request_is_forgotten_with_its_connection(self):
        whole = harness.request(1, 'load', [dict(release='open-one', table='t', load='l', chunk=1,
                                                 keys=[9], rows=ROW)])
        for cut in range(1, len(whole)):
            with self.daemon.client() as client:
                client.send_bytes(whole[:cut])
        self.assertEqual(self.client.call('ping'), {})

    def test_one_byte_at_a_time(self):
        with self.daemon.client() as client:
            for byte in harness.request(9, 'fetch', [{'parts': [{'table': 't', 'keys': [1]}]}]):
                client.send_bytes(bytes([byte]))
            self.assertEqual(client.wait(9)['parts'][0]['found'], b'\1')

    def test_garbage_streams(self):
        random = harness.random_state()
        good = harness.request(1, 'fetch', [{'parts': [{'table': 't', 'keys': [1, 2]}]}])
        for i in range(400):
            if i % 4 == 0:
                data = random.bytes(int(random.integers(1, 4096)))
            else:
                data = bytearray(good * 3)
                for at in random.integers(0, len(data), int(random.integers(1, 4))):
                    data[at] = random.integers(0, 256)
                data = bytes(data)
            with self.daemon.client() as client:
                try:
                    client.send_bytes(data)
                    client.socket.shutdown(1)
                    client.is_closed()
                except (Closed, OSError):
                    pass
        self.assertTrue(self.daemon.is_running())
        self.assertEqual(self.client.call('ping'), {})


if __name__ == '__main__':
    harness.main()
