"""test_import.py - what `repstore import` takes for what: each input is taken with its values, or is refused by what it
is, with the row of the file and the option of the command, and leaves nothing in the way of a seal."""

import gzip
import os
import signal
import subprocess
import time

import numpy as np

import harness


class Import(harness.Case):
    def setUp(self):
        """A daemon with an open release."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')

    def table(self, name, *options, dim=2):
        self.daemon.command('table', 'create', 'r/' + name, '--entity', 'item', '--kind', 'ir', '--dim', dim, *options)

    def npy(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def arrays(self, table, *more, rows=None, keys=None):
        rows = np.ones((3, 2), '<f4') if rows is None else rows
        keys = np.arange(len(rows)) if keys is None else keys
        return ['import', 'r/' + table, '--keys', self.npy('k.npy', keys), '--rows', self.npy('x.npy', rows), *more]

    def lines(self, table, data, *more, **options):
        return self.daemon.command('import', 'r/' + table, '--format', 'jsonl', '-', *more, data=data, **options)


class Times(Import):
    def setUp(self):
        super().setUp()
        self.table('t', '--ttl', '7d')
        self.now = int(time.time())

    def times(self, name, value, *more, dtype='<i8', **options):
        path = self.npy(name, np.full(3, value, dtype))
        return self.daemon.command(*self.arrays('t'), '--times', path, *more, **options)

    def test_a_time_in_another_unit_is_noticed(self):
        for value, unit in ((self.now, 's'), (self.now * 10 ** 6, 'us'), (self.now * 10 ** 9, 'ns')):
            said = self.times('when.npy', value, fails=1)
            for words in ('when.npy', 'row 0', str(value), '--time-unit %s' % unit):
                self.assertIn(words, said)
            self.assertEqual(self.times('when.npy', value, '--time-unit', unit)[:6], '3 rows')

    def test_all_units_give_the_same_milliseconds(self):
        self.times('when.npy', self.now * 10 ** 6, '--time-unit', 'us')
        self.lines('t', b'{"key": 7, "vector": [1, 2], "time": %d}\n' % self.now, '--time-unit', 's')
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        self.daemon.command('put', 't', 8, 1, 2, '--time', self.now, '--time-unit', 's')
        shown = self.daemon.command_json('fetch', 't', 0, 7, 8)
        self.assertEqual([each['time'] for each in shown], [self.now * 1000] * 3)

    def test_an_odd_time_must_be_meant(self):
        for value in (1000, (self.now + 7200) * 1000):
            self.assertIn('--any-time', self.times('when.npy', value, fails=1))
            self.times('when.npy', value, '--any-time')
            said = self.lines('t', b'{"key": 7, "vector": [1, 2], "time": %d}\n' % value, fails=1)
            self.assertIn('--any-time', said)
        self.assertIn('--time-unit', self.daemon.command(
            'import', 'r/t', self.path('t.msgpack'), '--time-unit', 's', fails=2))


class Refused(Import):
    """What is wrong far behind in a file of several chunks is told by its row, and nothing of the load stays."""

    COUNT = 150000
    AT = 149990

    def nothing_stays(self):
        self.assertEqual(self.daemon.command_json('release', 'show', 'r')[0]['loads'], [])

    def wrong(self, told, *args, **options):
        said = self.daemon.command(*args, fails=1, **options)
        for words in ('row %d' % self.AT,) + told:
            self.assertIn(words, said)
        self.assertNotIn('allow_nonfinite', said)       # an option of the wire
        self.nothing_stays()

    def test_a_number_that_the_table_does_not_hold(self):
        for dtype, value in (('f16', 70000), ('bf16', 3.4e38)):
            self.table(dtype, '--dtype', dtype)
            rows = np.ones((self.COUNT, 2), '<f4')
            rows[self.AT] = [1, value]
            self.wrong(('column 1', 'x.npy', dtype), *self.arrays(dtype, rows=rows))
        self.table('i8')
        scales = np.ones(self.COUNT, '<f4')
        scales[self.AT] = 3e38
        self.wrong(('the scale', '2^121'), *self.arrays('i8', rows=np.full((self.COUNT, 2), 100, 'i1')),
                   '--scales', self.npy('s.npy', scales))
        lines = [b'{"key":%d,"vector":[1,2]}\n' % i for i in range(self.COUNT)]
        lines[self.AT] = b'{"key":1,"vector":[70000,2]}\n'
        self.wrong(('column 0', 'f16'), 'import', 'r/f16', '--format', 'jsonl', '-', data=b''.join(lines))
        self.daemon.command('release', 'seal', 'r')

    def test_lines_that_are_none(self):
        self.table('t')
        lines = b''.join(b'{"key":%d,"vector":[1,2]}\n' % i for i in range(self.COUNT))
        for last in (b'{"key":1,"vector":[1,2,3]}', b'{"key":1', b'{"key":1,"vector":[1,2],"time":1e3}'):
            said = self.lines('t', lines + last + b'\n', fails=1)
            self.assertIn(':%d: ' % (self.COUNT + 1), said)
            self.nothing_stays()


class Kinds(Import):
    """Files as people have them are taken, or refused by what they are and what to do about it."""

    ROW = b'{"key":1,"vector":[1,2]}\n'

    def test_text(self):
        self.table('t')
        for data in (b'\xef\xbb\xbf' + self.ROW, self.ROW.replace(b'\n', b'\r\n'), self.ROW.strip(),
                     b'\n\n' + self.ROW + b'\n \n'):
            self.assertIn('1 rows', self.lines('t', data))
        for data, told in ((self.ROW.decode().encode('utf-16'), 'iconv'), (gzip.compress(self.ROW), 'zcat'),
                           (b'[' + self.ROW + b',' + self.ROW + b']', "jq -c '.[]'"), (b'[{"key":1}]', "jq -c '.[]'"),
                           (b'{\n"key": 1,\n"vector": [1, 2]}\n', 'jq -c .'),
                           (b'{"key":1,"vector":[NaN,Infinity]}', '--allow-nonfinite'),
                           (b'\x93NUMPY\1\0aaaaaaaa', '--rows'), (b'PAR1aaaaaaaaaaaa', 'np.savez'),
                           (b'\x40' + b'\0' * 7 + b'{"a":{"d', 'safetensors')):
            self.assertIn(told, self.lines('t', data, fails=1))
        for more in ([], ['--allow-nonfinite']):
            self.assertIn('1e39', self.lines('t', b'{"key":1,"vector":[1e39,2]}', *more, fails=1))

    def test_names(self):
        for name, told in (('x.jsonl.gz', 'zcat'), ('x.parquet', 'np.savez'), ('m.pt', 'torch.save'), ('x.csv', 'np.loadtxt'), ('x.npy', '--keys'), ('x.what', '.jsonl')):
            said = self.daemon.command('import', 'r/t', self.path(name), fails=2)
            self.assertIn(told, said)
            self.assertIn('.jsonl are read', said)

    def test_arrays(self):
        self.table('n')
        self.table('b', '--key', 'bytes')
        for table, name, array, told in (
                ('b', 'keys', np.array(['a', 'bb', 'c']), "astype('S')"),
                ('b', 'keys', np.array(['a', 'bb', None], object), "astype('S')"),
                ('b', 'keys', np.arange(3), "astype('S')"),
                ('n', 'keys', np.array([b'a', b'b', b'c']), "astype('u8')"),
                ('n', 'keys', np.array(['2026-11-01'] * 3, 'datetime64[D]'), "astype('i8')"),
                ('n', 'keys', np.array([1, 2, -3]), 'key 2 is -3'),
                ('n', 'keys', np.array([1, 2, -3], 'i1'), 'key 2 is -3'),
                ('n', 'rows', np.zeros((3, 2)), "astype('f4')"),
                ('n', 'rows', np.zeros((3, 2), 'V2'), "view('u2')"),
                ('n', 'rows', np.zeros((3, 2), '>f4'), 'newbyteorder'),
                ('n', 'rows', np.asfortranarray(np.zeros((3, 2), '<f4')), 'ascontiguousarray'),
                ('n', 'rows', np.zeros(3, [('id', '<i8'), ('x', '<f4')]), 'each field')):
            keys = np.array([b'a', b'b', b'c']) if table == 'b' else np.arange(3)
            self.assertIn(told, self.daemon.command(*self.arrays(table, **{'keys': keys, name: array}), fails=1))
        np.savez(self.path('z.npz'), rows=np.zeros((3, 2), '<f4'))
        said = self.daemon.command('import', 'r/n', '--keys', self.npy('k.npy', np.arange(3)), '--rows',
                                   self.path('z.npz'), fails=1)
        self.assertIn('np.savez', said)


class Loads(Import):
    def setUp(self):
        super().setUp()
        self.table('t')

    def test_a_file_is_known_by_its_content(self):
        """A mended file of the same path, size and time is another one; a copy is the same."""
        def rows(name, value):
            path = self.npy(name, np.full((100, 2), value, '<f4'))
            os.utime(path, (1, 1))
            return self.daemon.command_json('import', 'r/t', '--keys', keys, '--rows', path)[0]

        keys = self.npy('k.npy', np.arange(100))
        first = rows('x.npy', 1)
        copy = rows('y.npy', 1)
        self.assertEqual((copy['load'], copy['chunks_skipped']), (first['load'], 1))
        second = rows('x.npy', 2)
        self.assertNotEqual(second['load'], first['load'])
        self.assertEqual(second['chunks_skipped'], 0)
        for name, text in (('a.jsonl', b'[3,4]'), ('a.jsonl', b'[5,6]')):
            with open(self.path(name), 'wb') as file:
                file.write(b'{"key":1,"vector":%s}\n' % text)
            os.utime(self.path(name), (1, 1))
            self.assertEqual(self.daemon.command_json('import', 'r/t', self.path(name))[0]['chunks_skipped'], 0)
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        shown = self.daemon.command_json('fetch', 't', 0, 1)
        self.assertEqual([each['vector'] for each in shown], [[2, 2], [5, 6]])

    def test_forgetting_what_is_not_there(self):
        said = self.daemon.command('import', 'r/t', '--forget', 'import-typo', fails=1)
        self.assertIn("has no load 'import-typo'", said)
        self.assertIn('NOT_FOUND', said)

    def start(self, *args):
        return subprocess.Popen([harness.program('repstore'), '-s', self.daemon.address, 'import', 'r/t', *args],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_for_chunk(self):
        end = time.monotonic() + harness.CALL_SECONDS
        while not self.daemon.command_json('release', 'show', 'r')[0]['loads']:
            self.assertLess(time.monotonic(), end)
            time.sleep(.02)

    def test_interrupted(self):
        """Ctrl-C drops what came from a pipe, keeps what can be gone on with, and says so."""
        lines = b''.join(b'{"key":%d,"vector":[1,2]}\n' % i for i in range(70000))
        for options, told in (([], 'nothing of it is kept'), (['--load', 'mine'], '--forget mine')):
            process = self.start('--format', 'jsonl', '-', *options)
            process.stdin.write(lines)
            process.stdin.flush()
            self.wait_for_chunk()
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=harness.CALL_SECONDS)[1].decode()
            self.assertEqual(process.returncode, -signal.SIGINT)
            self.assertIn('interrupted', said)
            self.assertIn(told, said)
        self.assertIn('import r/t --forget mine', self.daemon.command('release', 'seal', 'r', fails=1))
        self.daemon.command('import', 'r/t', '--forget', 'mine')
        self.daemon.command('release', 'seal', 'r')

    def test_a_file_that_is_cut_while_it_is_read(self):
        path = self.path('x.jsonl')
        with open(path, 'wb') as file:
            file.write(b'{"key":1,"vector":[1,2]}\n' * 400000)
        self.cut(path, 26, path)

    def test_arrays_that_are_cut_while_they_are_read(self):
        """They are mapped: without care a page that is gone would end the command, or would be zeros."""
        keys = self.npy('k.npy', np.arange(3000000))
        path = self.npy('x.npy', np.ones((3000000, 2), '<f4'))
        self.cut(path, 4096, '--keys', keys, '--rows', path)

    def cut(self, path, size, *args):
        process = self.start(*args)
        self.wait_for_chunk()
        os.truncate(path, size)
        said = process.communicate(timeout=harness.CALL_SECONDS)[1].decode()
        self.assertEqual(process.returncode, 1)
        self.assertIn('cut while it was read', said)
        self.assertEqual(self.daemon.command_json('release', 'show', 'r')[0]['loads'], [])

    def test_a_pipe_that_pauses(self):
        """Its rows are in effect within a second, while the pipe stays open in the middle of a line."""
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        self.daemon.command('release', 'create', 'o')
        self.daemon.command('table', 'create', 'o/t', '--entity', 'item', '--kind', 'ir', '--dim', '2')

        def is_put(n):
            return self.daemon.command_json('fetch', 't', n)[0]['why'] == 'found'

        def is_loaded(n):
            return [load['rows'] for load in self.daemon.command_json('release', 'show', 'o')[0]['loads']] == [n]

        for place, shown in (('live/t', is_put), ('o/t', is_loaded)):
            process = subprocess.Popen([harness.program('repstore'), '-s', self.daemon.address, 'import', place,
                                        '--format', 'jsonl', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            process.stdin.write(b'{"key"')
            for n in (1, 2, 3):
                process.stdin.write(b':%d,"vector":[1,2]}\n{"key"' % n)
                process.stdin.flush()
                end = time.monotonic() + harness.CALL_SECONDS
                while not shown(n):
                    self.assertLess(time.monotonic(), end)
                    time.sleep(.05)
            process.stdin.write(b':4,"vector":[1,2]}\n')
            process.stdin.close()
            self.assertEqual(process.wait(harness.CALL_SECONDS), 0)
            process.stdout.close()


if __name__ == '__main__':
    harness.main()
