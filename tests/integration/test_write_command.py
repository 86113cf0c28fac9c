"""test_write_command.py - put, delete, merge and imports into a live release by the command, against
a daemon that is not there: what goes over the wire, and what a person is told of the answers."""

import json
import os
import socket
import struct
import subprocess
import threading

import msgpack
import numpy as np

import harness

TABLES = {
    'ur': {'dim': 3, 'dtype': 'f16', 'key': 'u64'},
    'two': {'dim': 2, 'views': 2, 'dtype': 'i8', 'key': 'bytes', 'tags': True},
    'bits': {'dim': 10, 'views': 2, 'dtype': 'bit', 'key': 'u64'},
}


class FakeDaemon:
    """Answers hello and shows its tables; notes writes, and answers them from a queue of errors."""

    def __init__(self, folder, state='live'):
        self.address = 'unix:' + os.path.join(folder, 'fake')
        self.state = state
        self.calls = []         # (method, params) of writes
        self.errors = []        # for the next writes: a string, or None
        self.live = 'ckpt-3'
        self.next_live = None   # is published as soon as somebody has asked what is live
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.address[len('unix:'):])
        self.listener.listen(4)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.talk(connection)

    def talk(self, connection):
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=harness.MESSAGE_BYTES)
        while data := connection.recv(1 << 20):
            unpacker.feed(data)
            for _, msgid, method, params in unpacker:
                params = params[0] if params else {}
                try:
                    answer = [1, msgid, None, self.answer(method, params)]
                except harness.Failed as failed:
                    answer = [1, msgid, str(failed), None]
                try:
                    connection.sendall(msgpack.packb(answer))
                except OSError:
                    return

    def answer(self, method, params):
        if method == 'hello':
            return {'server': 'repstored', 'protocol': 1}
        release = params.get('release', 'live')
        if release == 'live':
            release, self.live = self.live, self.next_live or self.live
        if method == 'release.show':
            return {'release': release, 'number': 1, 'model': '', 'checkpoint': '',
                    'state': self.state, 'created_ms': 1, 'tables': 3, 'rows': 0, 'bytes': 0}
        if method == 'table.show':
            return {'release': release, **self.table(params['table'])}
        if method == 'table.list':
            return {'release': release, 'tables': [self.table(name) for name in TABLES]}
        params.pop('timeout_ms', None)      # that of the command, less a part
        self.calls.append((method, params))
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise harness.Failed(error)
        if method == 'merge':
            return {'tables': 2, 'rows': 1000, 'bytes': 1536, 'elapsed_ms': 1500}
        shape = {'n': 1, 'dim': 3, 'views': 1, 'dtype': 'f16', 'stride': 6}
        columns = {'rows': b'\0' * 6, 'times': b'\1' * 8}
        if method == 'scan':
            return {'release': release, 'sequence': 41, 'keys': b'\7' * 8, **shape, **columns}
        if method == 'fetch':
            return {'release': release, 'sequence': 41, 'parts': [
                {'table': 'ur', 'found': b'\1', 'why': b'\0', **shape, **columns}]}
        count = {'put': 'applied', 'delete': 'deleted'}[method]
        return {'release': release, 'sequence': 41 + len(self.calls), count: 1}

    def table(self, name):
        if name not in TABLES:
            raise harness.Failed("NOT_FOUND: table: '%s' is not in release 'ckpt-3'" % name)
        return {'table': name, 'entity': 'user', 'kind': 'ur', 'views': 1, 'ttl_ms': 0,
                'tags': False, 'rows': 10, 'bytes': 20, 'segments': 1, 'damaged': 0,
                'pending': 7, **TABLES[name]}


class Commands(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = FakeDaemon(self.scratch)
        self.addCleanup(self.daemon.stop)

    def run_command(self, *args, status=0, data=None):
        """What the command prints, or says when it fails."""
        done = subprocess.run([harness.program('repstore'), '-s', self.daemon.address, *args],
                              input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=harness.CALL_SECONDS)
        says = done.stderr.decode()
        self.assertEqual(done.returncode, status, says)
        return says if status else done.stdout.decode()

    def one_call(self):
        (call,) = self.daemon.calls
        self.daemon.calls.clear()
        return call


class Put(Commands):
    def test_negative_numbers_are_no_options(self):
        self.assertEqual(self.run_command('put', 'ur', '7', '-0.5', '-.25', '1e-3'),
                         'put into ckpt-3/ur, sequence 42\n')
        method, params = self.one_call()
        self.assertEqual(method, 'put')
        self.assertEqual(params, {'release': 'ckpt-3', 'table': 'ur', 'dtype': 'f32',
                                  'keys': struct.pack('<Q', 7),
                                  'rows': np.array([-.5, -.25, 1e-3], '<f4').tobytes()})

    def test_options_stand_anywhere(self):
        options = ['--release', 'ckpt-2', '--time=12', '--any-time', '--tags', '0xff', '--if-newer', '--json']
        for at in range(3):
            row = ['two', 'hex:00ff', '1', '-2', '3', '-4']
            row[at:at] = options
            said = json.loads(self.run_command('put', *row))
            self.assertEqual(said, {'release': 'ckpt-2', 'sequence': 42, 'applied': 1})
            _, params = self.one_call()
            self.assertEqual(params, {'release': 'ckpt-2', 'table': 'two', 'dtype': 'f32',
                                      'keys': b'\x02\x00\xff', 'any_time': True, 'if_newer': True,
                                      'times': struct.pack('<q', 12),
                                      'tags': struct.pack('<Q', 255),
                                      'rows': np.array([1, -2, 3, -4], '<f4').tobytes()})

    def test_a_key_may_look_like_an_option(self):
        self.run_command('put', '--if-newer', '--', 'two', '--if-newer', '1', '-2', '3', '-4')
        self.assertEqual(self.one_call()[1]['keys'], b'\x0a--if-newer')

    def test_bits_are_packed(self):
        views = ['1000000001', '0110000000']
        self.run_command('put', 'bits', '7', *''.join(views))
        _, params = self.one_call()
        self.assertEqual(params['dtype'], 'bit')
        self.assertEqual(params['rows'], b'\x80\x40\x60\x00')

    def test_what_is_wrong_is_named(self):
        for args, words in (
                (['ur', '7', '1', '2'], '2 values given, 3 needed'),
                (['ur', '7', '1', '2', '3', '4'], '4 values given, 3 needed'),
                (['two', 'k', '1'], 'is 2 x 2'),
                (['ur', '7', '1', '2', 'nan'], "'nan': not an element"),
                (['ur', '7', '1', '2', '1e39'], "'1e39': not an element"),
                (['ur', '7', '1', '2', '0x3'], "'0x3': not an element"),
                (['ur', '-7', '1', '2', '3'], "'-7': keys of this table are integers"),
                (['bits', '7', *['1'] * 19, '2'], "'2': elements of 'bits' are 0 or 1"),
                (['ur', '7', '1', '2', '3', '--time', '-5'], "--time: '-5'"),
                (['ur', '7', '1', '2', '3', '--time', '1700000000'], '--time-unit s'),
                (['ur', '7', '1', '2', '3', '--time', '1', '--time-unit', 'h'], 'ms, s, us or ns'),
                (['ur', '7', '1', '2', '3', '--time', str(1 << 60)], '--time'),
                (['ur', '7', '1', '2', '3', '--tags', '0xg'], "--tags: '0xg'"),
                (['ur', '7', '1', '2', '3', '--newer'], "unknown option '--newer'"),
                (['ur', '7'], 'a table, a key and its values')):
            self.assertIn(words, self.run_command('put', *args, status=2))
        self.assertIn("'nope'", self.run_command('put', 'nope', '7', '1', status=1))
        self.assertEqual(self.daemon.calls, [])

    def test_a_refusal_is_said(self):
        self.daemon.errors = ["NOT_SEALED: release 'o' is open"]
        self.assertIn("release 'o' is open (NOT_SEALED)",
                      self.run_command('put', 'ur', '7', '1', '2', '3', status=1))


class PublishInBetween(Commands):
    """The release whose table was looked at is the one that is written, or read."""

    def setUp(self):
        super().setUp()
        self.daemon.next_live = 'ckpt-4'

    def test_put(self):
        self.assertEqual(self.run_command('put', 'ur', '7', '1', '2', '3'),
                         'put into ckpt-3/ur, sequence 42\n')
        self.assertEqual(self.one_call()[1]['release'], 'ckpt-3')

    def test_delete(self):
        self.assertEqual(self.run_command('delete', 'ur', '7'),
                         '1 of 1 keys deleted from ckpt-3/ur, sequence 42\n')
        self.assertEqual(self.one_call()[1]['release'], 'ckpt-3')

    def test_import(self):
        lines = b'{"key": 7, "vector": [1, 2, 3]}\n'
        self.run_command('import', 'live/ur', '--format', 'jsonl', '-', data=lines)
        self.assertEqual(self.one_call()[1]['release'], 'ckpt-3')


    def test_dump(self):
        said = json.loads(self.run_command('--json', 'dump', 'live/ur', '--keys', self.path('k.npy'),
                                           '--rows', self.path('r.npy')))
        self.assertEqual((said['release'], said['rows']), ('ckpt-3', 1))
        self.assertEqual(self.one_call()[1]['release'], 'ckpt-3')

    def test_fetch(self):
        self.assertIn('ckpt-3', self.run_command('fetch', 'ur', '7'))
        self.assertEqual(self.one_call()[1]['release'], 'ckpt-3')


class DeleteAndMerge(Commands):
    def test_delete(self):
        self.assertEqual(self.run_command('delete', 'ur', '7', '8'),
                         '1 of 2 keys deleted from ckpt-3/ur, sequence 42\n')
        self.assertEqual(self.one_call(), ('delete', {'release': 'ckpt-3', 'table': 'ur',
                                                      'keys': struct.pack('<QQ', 7, 8)}))
        said = json.loads(self.run_command('--json', 'delete', 'two', 'a', '--release', 'r'))
        self.assertEqual(said, {'release': 'r', 'sequence': 42, 'deleted': 1})
        self.assertEqual(self.one_call()[1], {'release': 'r', 'table': 'two', 'keys': b'\x01a'})
        self.run_command('delete', 'ur', status=2)

    def test_merge(self):
        self.assertEqual(self.run_command('merge'),
                         'merged: 2 tables, 1000 rows, 1.5 KiB, in 1.5 s\n')
        self.assertEqual(json.loads(self.run_command('merge', '--json'))['rows'], 1000)
        self.run_command('merge', '--full')
        self.assertEqual(self.daemon.calls, [('merge', {})] * 2 + [('merge', {'full': True})])
        self.daemon.calls.clear()
        self.run_command('merge', 'ur', 'two')
        self.run_command('merge', 'r2/ur', 'r2/two', '--full')
        self.run_command('merge', 'ur', '--release', 'r2')
        self.run_command('merge', '--release', 'r2')
        self.assertEqual(self.daemon.calls, [
            ('merge', {'release': 'live', 'tables': ['ur', 'two']}),
            ('merge', {'full': True, 'release': 'r2', 'tables': ['ur', 'two']}),
            ('merge', {'release': 'r2', 'tables': ['ur']}),
            ('merge', {'release': 'r2'})])
        self.assertIn('one release at a time', self.run_command('merge', 'r2/ur', 'two', status=2))
        self.assertIn('--release says', self.run_command('merge', 'r2/ur', '--release', 'r3', status=2))

    def test_pending_rows_are_shown(self):
        head, *lines = self.run_command('table', 'list').split('\n\n')[0].splitlines()
        self.assertEqual([line[:head.index('PENDING') + 7].split()[-1] for line in lines], ['7', '7', '7'])
        self.assertRegex(self.run_command('table', 'show', 'live/ur'), r'(?m)^pending +7$')


class Import(Commands):
    ROWS = 200000

    def write_arrays(self):
        """Keys and rows in files, and the arguments that name them."""
        keys = np.arange(self.ROWS, dtype='<u8')
        rows = np.arange(self.ROWS * 3, dtype='<f4').reshape(-1, 3) / 64     # f16 holds them
        np.save(self.path('k.npy'), keys)
        np.save(self.path('r.npy'), rows)
        return keys, rows, ['--keys', self.path('k.npy'), '--rows', self.path('r.npy')]

    def assert_put(self, keys, rows):
        """What came last under each key is its row."""
        stored = np.zeros_like(rows)
        for method, params in self.daemon.calls:
            self.assertEqual((method, params['release'], params['table']), ('put', 'ckpt-3', 'ur'))
            self.assertLessEqual(len(params['rows']), 1 << 20)
            at = np.frombuffer(params['keys'], '<u8').astype(np.int64)
            self.assertLessEqual(len(at), 65536)
            stored[at] = np.frombuffer(params['rows'], '<f4').reshape(-1, 3)
        np.testing.assert_array_equal(stored, rows)

    def test_rows_are_put_into_what_was_live(self):
        keys, rows, arrays = self.write_arrays()
        for state in ('live', 'sealed'):
            self.daemon.state = state
            self.daemon.calls.clear()
            place = 'live/ur' if state == 'live' else 'ckpt-3/ur'
            said = json.loads(self.run_command('--json', 'import', place, *arrays))
            self.assertEqual((said['release'], said['table'], said['rows'], said['puts']),
                             ('ckpt-3', 'ur', self.ROWS, len(self.daemon.calls)))
            self.assertEqual(said['sequence'], 41 + said['puts'])
            self.assert_put(keys, rows)
        self.assertRegex(self.run_command('import', 'live/ur', *arrays),
                         r'^200000 rows put into ckpt-3/ur in ')

    def test_a_busy_daemon_is_waited_for(self):
        keys, rows, arrays = self.write_arrays()
        self.daemon.errors = [None, 'BUSY: later', None, 'BUSY: later', 'BUSY: later']
        self.run_command('import', 'live/ur', *arrays)
        self.assertEqual(self.daemon.errors, [])
        self.assert_put(keys, rows)

    def test_an_error_says_how_far_it_came(self):
        _, _, arrays = self.write_arrays()
        self.daemon.errors = [None, 'DISK_FULL: no room']
        said = self.run_command('import', 'live/ur', *arrays, status=1)
        self.assertIn('no room; 65536 rows were acknowledged (DISK_FULL)', said)
        self.assertIn('the same command again is safe', said)

    def test_only_newer_rows_are_put_when_told(self):
        _, _, arrays = self.write_arrays()
        said = json.loads(self.run_command('--json', 'import', 'live/ur', *arrays, '--if-newer'))
        self.assertEqual((said['rows'], said['applied']), (self.ROWS, len(self.daemon.calls)))
        self.assertTrue(all(params['if_newer'] for _, params in self.daemon.calls))
        self.assertIn('200000 rows put into ckpt-3/ur, %d of them newer' % len(self.daemon.calls),
                      self.run_command('import', 'live/ur', *arrays, '--if-newer'))
        self.daemon.state = 'open'
        self.assertIn("--if-newer is for releases that are sealed",
                      self.run_command('import', 'ckpt-3/ur', *arrays, '--if-newer', status=2))

    def test_what_would_be_refused_again_is_not_advised(self):
        _, _, arrays = self.write_arrays()
        self.daemon.errors = ['BAD_REQUEST: tags: given']
        self.assertNotIn('again', self.run_command('import', 'live/ur', *arrays, status=1))

    def test_a_stream_is_put_until_its_wrong_line(self):
        lines = b'{"key": 7, "vector": [1, 2, 3]}\n' * 70000
        said = self.run_command('import', 'live/ur', '--format', 'jsonl', '-', data=lines + b'no\n',
                                status=1)
        self.assertIn('70001', said)
        self.assertIn('65536 rows were acknowledged (BAD_REQUEST)', said)
        self.assertNotIn('again', said)
        self.daemon.calls.clear()
        self.run_command('import', 'live/ur', '--format', 'jsonl', '-', data=lines)
        self.assertEqual(sum(len(params['keys']) for _, params in self.daemon.calls), 8 * 70000)
        self.daemon.calls.clear()
        self.assertIn('0 rows put', self.run_command('import', 'live/ur', '--format', 'jsonl', '-',
                                                     data=b''))
        self.assertEqual(self.daemon.calls, [])

    def test_loads_are_for_open_releases(self):
        _, _, arrays = self.write_arrays()
        for args in (['--load', 'l', *arrays], ['--forget', 'l']):
            said = self.run_command('import', 'live/ur', *args, status=2)
            self.assertIn("'ckpt-3' is live; --load and --forget are for open releases", said)
        self.assertEqual(self.daemon.calls, [])


if __name__ == '__main__':
    harness.main()
