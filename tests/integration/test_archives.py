"""test_archives.py - files that hold a whole table, or all tensors of a module: npz as NumPy writes and reads it, and
safetensors, written here by the letter of its specification. What comes from strangers is refused at once, by the
array that is wrong with it."""

import io
import json
import os
import resource
import signal
import struct
import subprocess
import time
import zipfile
import zlib

import numpy as np

import harness

# What the command may take, with its libraries, to read a file of any size.
MEMORY_BYTES = 96 << 20
NAMES = {'f4': 'F32', 'f2': 'F16', 'f8': 'F64', 'i1': 'I8', 'i2': 'I16', 'i4': 'I32', 'i8': 'I64', 'u1': 'U8', 'u2': 'U16',
         'u4': 'U32', 'u8': 'U64', 'b1': 'BOOL'}


def save_tensors(path, tensors, metadata=None, pad=True, **dtypes):
    """A safetensors file. dtypes: the names of dtypes that NumPy has not."""
    header, data = {}, b''
    if metadata is not None:
        header['__metadata__'] = metadata
    for name, array in tensors.items():
        array = np.asarray(array, order='C')
        dtype = dtypes.get(name) or NAMES['%s%d' % (array.dtype.kind, array.dtype.itemsize)]
        header[name] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    if pad:
        text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + data)
    return path


def load_tensors(path):
    """(name -> (dtype, array), file checked) of a safetensors file."""
    with open(path, 'rb') as file:
        data = file.read()
    size, = struct.unpack('<Q', data[:8])
    header = json.loads(data[8:8 + size])
    body = data[8 + size:]
    kinds = {name: np.dtype(kind) for kind, name in NAMES.items()}
    kinds['BF16'] = np.dtype('u2')
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
        first, last = entry['data_offsets']
        assert first == end, name
        dtype = kinds[entry['dtype']]
        assert first % dtype.itemsize == 0, name
        tensors[name] = (entry['dtype'], np.frombuffer(body[first:last], dtype).reshape(entry['shape']))
        end = last
    assert end == len(body) and size % 8 == 0
    return tensors


class Archives(harness.Case):
    def setUp(self):
        """A daemon with an open release."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.command = self.daemon.command
        self.command('release', 'create', 'r')

    def table(self, name, *options, dim=4):
        self.command('table', 'create', 'r/' + name, '--entity', 'item', '--kind', 'ir', '--dim', dim, *options)

    def publish(self):
        self.command('release', 'seal', 'r')
        self.command('release', 'publish', 'r')

    def refused(self, told, *args, status=1):
        before = self.daemon.command_json('release', 'show', 'r')[0]['loads']
        said = self.command(*args, fails=status)
        for words in [told] if isinstance(told, str) else told:
            self.assertIn(words, said)
        self.assertEqual(self.daemon.command_json('release', 'show', 'r')[0]['loads'], before)


class Npz(Archives):
    def test_round_trips(self):
        """Every dtype, keys of both types, tags, views, as many rows as make several chunks."""
        random = np.random.default_rng(3)
        count = 5000
        times = np.arange(count, dtype='<i8') + 1700000000000
        tags = random.integers(0, 2 ** 63, count, 'u8')
        for dtype in harness.DTYPES:
            for key in ('u64', 'bytes'):
                name = dtype + key
                self.table(name, '--dtype', dtype, '--views', 3, '--key', key, '--tags', dim=16)
                keys = random.permutation(count).astype('u8')
                keys = keys if key == 'u64' else np.char.add('item-', keys.astype('U')).astype('S9')
                rows = random.standard_normal((count, 3, 16)).astype('<f4')
                if dtype == 'bit':
                    rows = random.integers(0, 256, (count, 3, 2), 'u1')
                elif dtype == 'bf16':
                    rows = harness.bf16_of(rows)
                elif dtype == 'i8':
                    rows = random.integers(-128, 128, rows.shape, 'i1')
                else:
                    rows = rows.astype(harness.DTYPES[dtype])
                arrays = {'keys': keys, 'rows': rows, 'times': times, 'tags': tags}
                if dtype == 'i8':
                    arrays['scales'] = random.random(count, 'f4')
                save = np.savez if key == 'u64' else np.savez_compressed
                save(self.path(name + '.npz'), **arrays)
                self.assertIn('5000 rows', self.command('import', 'r/' + name, self.path(name + '.npz')))
                np.save(self.path(name + '.order.npy'), keys)
                self.path(name)
        self.publish()
        for dtype in harness.DTYPES:
            for key in ('u64', 'bytes'):
                name = dtype + key
                given = np.load(self.path(name + '.npz'))
                self.command('dump', 'live/' + name, self.path('out.npz'), '--order', self.path(name + '.order.npy'))
                got = np.load(self.path('out.npz'))
                self.assertEqual(sorted(got.files), sorted(given.files))
                for column in given.files:
                    self.assertEqual(got[column].dtype, given[column].dtype, (name, column))
                    self.assertTrue(np.array_equal(got[column], given[column]), (name, column))
                self.assertIsNone(zipfile.ZipFile(self.path('out.npz')).testzip())
                # And as safetensors, and from there into the table again.
                self.command('dump', 'live/' + name, self.path('out.safetensors'), '--sort', 'key')
                tensors = load_tensors(self.path('out.safetensors'))
                order = np.argsort(given['keys'])
                self.assertEqual(tensors['rows'][0], {'f32': 'F32', 'f16': 'F16', 'bf16': 'BF16', 'i8': 'I8',
                                                      'bit': 'U8'}[dtype])
                for column in given.files:
                    expected = given[column][order]
                    if column == 'keys' and key == 'bytes':
                        expected = expected.view('u1').reshape(count, -1)
                    self.assertTrue(np.array_equal(tensors[column][1], expected), (name, column))
                said = self.command('import', 'live/' + name, self.path('out.safetensors'))
                self.assertIn('5000 rows put', said)

    def test_what_numpy_saves(self):
        self.table('t')
        self.table('b', '--key', 'bytes')
        keys, rows = np.arange(3), np.ones((3, 4), '<f4')
        strings = np.array([b'a', b'bb', b'c'])
        for save in (np.savez, np.savez_compressed):
            for table, arrays in (('t', {'keys': keys, 'rows': rows}), ('t', {'rows': rows, 'keys': keys.astype('i1')}),
                                  ('t', {'keys': keys, 'rows': rows.reshape(3, 1, 4)}), ('b', {'keys': strings, 'rows': rows}),
                                  ('t', {'keys': keys[:0], 'rows': rows[:0]}),
                                  ('t', {'keys': keys, 'rows': rows.astype('f2'), 'times': keys + 1700000000000})):
                save(self.path('x.npz'), **arrays)
                self.command('import', 'r/' + table, self.path('x.npz'))
                self.command('import', 'r/' + table, '--format', 'npz', self.path('x.npz'))
            for told, arrays in (
                    ('ascontiguousarray', {'keys': keys, 'rows': np.asfortranarray(np.zeros((3, 4), '<f4'))}),
                    ('big-endian', {'keys': keys, 'rows': rows.astype('>f4')}),
                    ('big-endian', {'keys': keys.astype('>u8'), 'rows': rows}),
                    ('pickles', {'keys': np.array([1, 2, None], object), 'rows': rows}),
                    ('pickles', {'keys': keys, 'rows': np.array([[1] * 4, [2] * 4, [None] * 4], object)}),
                    ('each field', {'keys': keys, 'rows': np.zeros(3, [('a', '<f4')])}),
                    ("astype('u8')", {'keys': strings, 'rows': rows}),
                    ("astype('f4')", {'keys': keys, 'rows': rows.astype('f8')}),
                    ('[3, 5] given', {'keys': keys, 'rows': np.ones((3, 5), '<f4')}),
                    ("3 rows, but '", {'keys': keys[:2], 'rows': rows}),
                    ('key 2 is -3', {'keys': np.array([1, 2, -3]), 'rows': rows}),
                    ('--time-unit s', {'keys': keys, 'rows': rows, 'times': np.full(3, 1700000000)}),
                    ('row 1, column 0', {'keys': keys, 'rows': np.array([[1] * 4, [np.nan] * 4, [2] * 4], 'f4')}),
                    ('no tags', {'keys': keys, 'rows': rows, 'tags': keys.astype('u8')}),
                    ('no column', {'keys': keys, 'rows': rows, 'time': keys}),
                    ("'arr_0.npy' is no column", {'arr_0': rows}),
                    ("no array 'keys'", {'rows': rows})):
                save(self.path('x.npz'), **arrays)
                self.refused([told, 'x.npz'], 'import', 'r/t', self.path('x.npz'))
        np.savez(self.path('x.npz'), keys=keys, rows=np.zeros((3, 5), 'f4'))
        self.refused("x.npz: rows'", 'import', 'r/t', self.path('x.npz'))
        self.refused('alone, as FILE.npz', 'import', 'r/t', '--keys', self.path('x.npz'), '--rows', self.path('x.npz'))
        self.refused('from a file', 'import', 'r/t', '--format', 'npz', '-', status=2)
        self.refused('either', 'import', 'r/t', '--keys', 'k.npy', '--rows', 'r.npy', 'x.npz', status=2)
        with zipfile.ZipFile(self.path('x.npz'), 'w', zipfile.ZIP_BZIP2) as archive:
            archive.writestr('keys.npy', b'1' * 1000)
        self.refused(['method 12', 'savez_compressed'], 'import', 'r/t', self.path('x.npz'))
        np.save(self.path('y.npy'), rows)
        os.rename(self.path('y.npy'), self.path('y.npz'))
        self.refused('not an npz file, but an npy file', 'import', 'r/t', self.path('y.npz'))

    def test_what_pytorch_saves(self):
        """torch.save makes a zip archive, too, of pickles: it is refused by its first member, unread."""
        self.table('t')
        with zipfile.ZipFile(self.path('model.npz'), 'w') as archive:
            archive.writestr('model/data.pkl', b'\x80\2cos\nsystem\n(U\4trueR.')
            archive.writestr('model/data/0', bytes(48))
        self.refused("'model/data.pkl' is no column", 'import', 'r/t', self.path('model.npz'))
        os.rename(self.path('model.npz'), self.path('model.pt'))
        self.refused('pickles are programs', 'import', 'r/t', self.path('model.pt'), status=2)
        self.refused('holds pickles', 'import', 'r/t', '--keys', self.path('model.pt'), '--rows', self.path('model.pt'))

    def test_a_dump_of_another_dtype(self):
        self.table('t', '--dtype', 'i8')
        rows = np.array([[1, 2, 3, -127]], 'f4')
        np.savez(self.path('x.npz'), keys=[7], rows=rows)
        self.command('import', 'r/t', self.path('x.npz'))
        self.publish()
        for options, dtype, columns in (([], 'i1', ['keys', 'rows', 'scales', 'times']),
                                        (['--dtype', 'f32'], '<f4', ['keys', 'rows', 'times'])):
            self.command('dump', 'live/t', self.path('o.npz'), *options)
            got = np.load(self.path('o.npz'))
            self.assertEqual((got['rows'].dtype, sorted(got.files)), (np.dtype(dtype), columns))
            scale = got['scales'][0] if not options else 1
            self.assertTrue(np.allclose(got['rows'] * scale, rows, atol=.01))

    def test_a_table_of_sums(self):
        """What --raw dumps is imported back: the sums with their weights."""
        self.command('table', 'create', 'r/cr', '--entity', 'user', '--kind', 'cr', '--layer', 'm', '--dim', 4,
                     '--decay', 'half_life=30d')
        keys, rows = np.arange(9), np.arange(36, dtype='f4').reshape(9, 4)
        np.savez(self.path('x.npz'), keys=keys, rows=rows, weights=np.arange(1, 10, dtype='f4'),
                 times=np.full(9, 1700000000000))
        self.command('import', 'r/cr@m', self.path('x.npz'))
        self.publish()
        for name in ('o.npz', 'o.safetensors'):
            self.command('dump', 'live/cr@m', self.path(name), '--raw', '--sort', 'key')
        got = np.load(self.path('o.npz'))
        tensors = load_tensors(self.path('o.safetensors'))
        for column in ('rows', 'weights', 'keys', 'times'):
            self.assertTrue(np.array_equal(got[column], np.load(self.path('x.npz'))[column]), column)
            self.assertTrue(np.array_equal(tensors[column][1], got[column]), column)

    def test_the_same_command_goes_on(self):
        """A load of a compressed file is known by its content, as that of an npy file is."""
        self.table('t')
        np.savez_compressed(self.path('a.npz'), keys=np.arange(100), rows=np.ones((100, 4), 'f4'))
        np.savez(self.path('b.npz'), keys=np.arange(100), rows=np.ones((100, 4), 'f4'))
        first = self.daemon.command_json('import', 'r/t', self.path('a.npz'))[0]
        second = self.daemon.command_json('import', 'r/t', self.path('b.npz'))[0]
        self.assertEqual((second['load'], second['chunks_skipped']), (first['load'], 1))

    def test_bombs(self):
        """A small file that inflates to much is refused at once, and takes no memory while it is found out."""
        self.table('t')
        zeros = zlib.compressobj(9, wbits=-15)
        zeros = zeros.compress(bytes(1 << 20)) + zeros.flush(zlib.Z_FULL_FLUSH)
        for rows, told in ((1 << 27, 'inflate to 2147'), (3, 'it inflates to more than the 176 bytes')):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {'descr': '<f4', 'fortran_order': False, 'shape': (rows, 4)})
            header = header.getvalue()
            first = zlib.compressobj(9, wbits=-15)
            packed = first.compress(header) + first.flush(zlib.Z_FULL_FLUSH) + zeros * 2048 + b'\3\0'
            np.savez(self.path('x.npz'), keys=np.arange(3))
            self.append(self.path('x.npz'), b'rows.npy', packed, len(header) + rows * 16)
            self.assertLess(os.path.getsize(self.path('x.npz')), 4 << 20)
            status, said = self.bounded('import', 'r/t', self.path('x.npz'))
            self.assertEqual(status, 1)
            self.assertIn(told, said)

    def append(self, path, name, packed, size):
        """Adds a deflated member to an archive of one member."""
        with open(path, 'rb') as file:
            data = file.read()
        end = data.rindex(b'PK\5\6')
        directory_len, at = struct.unpack('<II', data[end + 12:end + 20])
        directory = data[at:at + directory_len]
        facts = struct.pack('<HHHHIIIHH', 0, 8, 0, 33, 0, len(packed), size, len(name), 0)
        header = b'PK\3\4' + struct.pack('<H', 20) + facts + name
        directory += b'PK\1\2' + struct.pack('<HH', 20, 20) + facts + struct.pack('<HHHII', 0, 0, 0, 0, at) + name
        body = data[:at] + header + packed
        with open(path, 'wb') as file:
            file.write(body + directory + b'PK\5\6' + struct.pack('<HHHHIIH', 0, 0, 2, 2, len(directory), len(body), 0))

    def bounded(self, *args):
        """Runs the command with little memory. (exit status, what was said)."""
        def limit():
            if not harness.SANITIZED:       # which reserve terabytes of addresses
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

        done = subprocess.run([harness.program('repstore'), '-s', self.daemon.address, *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS, preexec_fn=limit)
        return done.returncode, done.stderr.decode()

    def test_a_large_compressed_file_takes_little_memory(self):
        self.table('t', dim=64)
        count = 1 << 19
        np.savez_compressed(self.path('x.npz'), keys=np.arange(count), rows=np.tile(np.arange(64, dtype='f4'), (count, 1)))
        self.assertGreater(count * 64 * 4, MEMORY_BYTES)
        self.assertEqual(self.bounded('import', 'r/t', self.path('x.npz')), (0, ''))
        self.publish()
        self.assertIn('found', self.command('fetch', 't', count - 1))


class Cut(Archives):
    """A file that is cut while it is read is called so, whatever it looks like then."""

    def setUp(self):
        super().setUp()
        self.table('t')
        self.keys = np.arange(3000000)
        self.rows = np.ones((3000000, 4), '<f4')

    def cut(self, name):
        process = subprocess.Popen([harness.program('repstore'), '-s', self.daemon.address, 'import', 'r/t', self.path(name)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + harness.CALL_SECONDS
        while not self.daemon.command_json('release', 'show', 'r')[0]['loads']:
            self.assertLess(time.monotonic(), end)
            time.sleep(.02)
        process.send_signal(signal.SIGSTOP)
        os.truncate(self.path(name), 4096)
        process.send_signal(signal.SIGCONT)
        said = process.communicate(timeout=harness.CALL_SECONDS)[1].decode()
        self.assertEqual(process.returncode, 1, said)
        self.assertIn('cut while it was read', said)
        self.assertEqual(self.daemon.command_json('release', 'show', 'r')[0]['loads'], [])

    def test_npz(self):
        np.savez(self.path('x.npz'), keys=self.keys, rows=self.rows)
        self.cut('x.npz')

    def test_compressed_npz(self):
        rows = np.random.default_rng(1).integers(0, 1 << 24, self.rows.shape).astype('f4')
        np.savez_compressed(self.path('x.npz'), keys=self.keys, rows=rows)
        self.cut('x.npz')

    def test_safetensors(self):
        save_tensors(self.path('x.safetensors'), {'keys': self.keys, 'rows': self.rows})
        self.cut('x.safetensors')


class Tables(Archives):
    """Tables in safetensors files."""

    def test_what_programs_save(self):
        self.table('t')
        self.table('b', '--key', 'bytes')
        self.table('g', '--tags')
        self.table('h', '--dtype', 'bf16')
        keys, rows = np.arange(3), np.arange(12, dtype='<f4').reshape(3, 4)
        strings = np.array([b'a', b'bb', b'ccc']).view('u1').reshape(3, 3)
        path = self.path('x.safetensors')
        for table, tensors, dtypes in (
                ('t', {'keys': keys, 'rows': rows}, {}), ('t', {'rows': rows, 'keys': keys.astype('i4')}, {}),
                ('t', {'keys': keys[:0], 'rows': rows[:0]}, {}), ('b', {'keys': strings, 'rows': rows}, {}),
                ('g', {'keys': keys, 'rows': rows, 'tags': keys, 'times': keys + 1700000000000}, {}),
                ('g', {'keys': keys, 'rows': rows, 'tags': keys.astype('u8')}, {}),
                ('h', {'keys': keys, 'rows': harness.bf16_of(rows)}, {'rows': 'BF16'}),
                ('t', {'keys': keys, 'rows': rows.astype('i1'), 'scales': np.ones(3, 'f4')}, {})):
            for pad in (True, False):
                save_tensors(path, tensors, {'format': 'pt'} if pad else None, pad, **dtypes)
                self.command('import', 'r/' + table, path)
        self.publish()
        shown = self.daemon.command_json('fetch', 'h', 0, 2)
        self.assertEqual([one['vector'] for one in shown], [rows[0].tolist(), rows[2].tolist()])
        self.assertEqual(self.daemon.command_json('fetch', 'b', 'ccc')[0]['vector'], rows[2].tolist())

    def test_what_is_refused(self):
        self.table('t')
        self.table('b', '--key', 'bytes')
        keys, rows = np.arange(3), np.ones((3, 4), '<f4')
        path = self.path('x.safetensors')
        for told, tensors, dtypes in (
                ("no tensor 'keys'", {'rows': rows}, {}), ("no tensor 'rows'", {'keys': keys}, {}),
                ("'weight' is no column", {'weight': rows}, {}),
                ('f8 rows are sums', {'keys': keys, 'rows': rows.astype('f8')}, {}),
                ('dtype: U16 given', {'keys': keys, 'rows': rows.astype('u2')}, {}),
                ('dtype: F32 given, this column is integers', {'keys': keys.astype('f4'), 'rows': rows}, {}),
                ('dtype: I32 given, this column is I64', {'keys': keys, 'rows': rows, 'times': keys.astype('i4')}, {}),
                ('key 0 is -1', {'keys': keys - 1, 'rows': rows}, {}),
                ('[3, 5] given', {'keys': keys, 'rows': np.ones((3, 5), 'f4')}, {}),
                ('F8_E4M3 given', {'keys': keys, 'rows': rows.astype('u1')}, {'rows': 'F8_E4M3'}),
                ('scales', {'keys': keys, 'rows': rows.astype('i1')}, {})):
            save_tensors(path, tensors, **dtypes)
            self.refused([told, 'x.safetensors'], 'import', 'r/t', path)
        save_tensors(path, {'keys': keys, 'rows': rows})
        self.refused('U8 [n, width]', 'import', 'r/b', path)
        save_tensors(path, {'keys': np.ones((1, 2 << 20), 'u1'), 'rows': rows[:1]})
        self.refused('keys of 2097152 bytes given, at most 65536 allowed', 'import', 'r/b', path)
        for data, told in ((b'', 'not a safetensors file'), (b'\x10' + bytes(7) + b'{', 'it is cut'),
                           (struct.pack('<Q', 1 << 40) + b'{}', 'at most 100000000'), (b'\x80\4\x95' + b'x' * 30, 'a pickle')):
            with open(path, 'wb') as file:
                file.write(data)
            self.refused(told, 'import', 'r/t', path)

    def test_arguments(self):
        self.table('t')
        self.publish()
        for args, told in ((['x.npz', '--keys', 'k.npy'], '--rows'), (['-', '--format', 'npz'], 'into a file'),
                           (['x.msgpack', '--sort', 'key'], 'npz and safetensors'), (['x.zip'], '--format npz, safetensors')):
            fails = 1 if told == 'into a file' else 2
            self.assertIn(told, self.command('dump', 'live/t', *args, fails=fails))


class Tensors(Archives):
    """All tensors of a file into a release, and back."""

    def test_an_adapter(self):
        random = np.random.default_rng(5)
        brain = harness.bf16_of(random.standard_normal((4, 8)).astype('<f4'))
        tensors = {'brain': brain, 'scalar': np.array(3.5, 'f4'), 'b.bias': np.ones(1, 'f4')}
        for kind in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'):
            tensors['of.' + kind] = (random.standard_normal((3, 2, 5)) * 50).astype(kind)
        path = save_tensors(self.path('a.safetensors'), tensors, {'format': 'pt'}, brain='BF16')
        self.assertIn('14 tensors put into r', self.command('tensor', 'import', 'r', path))
        listed, = self.daemon.command_json('tensor', 'list', 'r')
        self.assertEqual({one['tensor']: one['dtype'] for one in listed['tensors']}['brain'], 'bf16')
        self.assertIn('14 tensors of r', self.command('tensor', 'dump', 'r', self.path('b.safetensors')))
        got = load_tensors(self.path('b.safetensors'))
        self.assertEqual(sorted(got), sorted(tensors))
        self.assertEqual(got['brain'][0], 'BF16')
        for name, array in tensors.items():
            self.assertEqual(got[name][1].dtype, array.dtype, name)
            self.assertTrue(np.array_equal(got[name][1], array), name)
        self.command('tensor', 'import', 'r', self.path('b.safetensors'))
        with open(self.path('c.safetensors'), 'wb') as file:
            subprocess.run([harness.program('repstore'), '-s', self.daemon.address, 'tensor', 'dump', 'r', '-', 'b.bias',
                            'scalar'], stdout=file, check=True)
        self.assertEqual(sorted(load_tensors(self.path('c.safetensors'))), ['b.bias', 'scalar'])
        self.assertIn("'x' is not in release", self.command('tensor', 'dump', 'r', self.path('no.safetensors'), 'x', fails=1))
        self.assertFalse(os.path.exists(self.path('no.safetensors')))

    def test_names(self):
        prefix = 'base_model.model.transformer.layers.0.attention.'
        path = save_tensors(self.path('a.safetensors'), {prefix + 'query.lora_A.weight': np.ones((2, 3), 'f4'),
                                                         prefix + 'query.lora_B.weight': np.ones((3, 2), 'f4')})
        self.assertIn('--strip PREFIX', self.command('tensor', 'import', 'r', path, fails=1))
        done, = self.daemon.command_json('tensor', 'import', 'r', path, '--strip', prefix)
        self.assertEqual((done['tensors'], done['bytes'], done['requests']), (2, 48, 1))
        self.command('tensor', 'import', 'r', path, '--strip', prefix + 'query.', prefix + 'query.lora_A.weight')
        listed, = self.daemon.command_json('tensor', 'list', 'r')
        self.assertEqual([one['tensor'] for one in listed['tensors']],
                         ['lora_A.weight', 'query.lora_A.weight', 'query.lora_B.weight'])
        self.assertIn("no tensor 'w'", self.command('tensor', 'import', 'r', path, 'w', fails=1))
        save_tensors(path, {'x.w': np.ones(1, 'f4'), 'w': np.ones(1, 'f4')})
        self.assertIn("two tensors are 'w'", self.command('tensor', 'import', 'r', path, '--strip', 'x.', fails=1))

    def test_nothing_is_put_of_a_file_that_is_wrong(self):
        fine = {'a': np.ones(3, 'f4')}
        for told, tensors, dtypes in (('BOOL given', {'z': np.ones(2, bool)}, {}), ('F8_E5M2 given', {'z': np.ones(2, 'u1')},
                                                                                   {'z': 'F8_E5M2'}),
                                      ('1 to 67108864 bytes', {'z': np.zeros((0, 3), 'f4')}, {}),
                                      ('1 to 67108864 bytes', {'z': np.zeros((64 << 18) + 1, 'f4')}, {}),
                                      ("'z z' given", {'z z': np.ones(2, 'f4')}, {}), ("dtype: \"F4\"", {'z': np.ones(2, 'f4')}, {'z': 'F4'})):
            path = save_tensors(self.path('a.safetensors'), {**fine, **tensors}, **dtypes)
            said = self.command('tensor', 'import', 'r', path, fails=1)
            self.assertIn(told, said)
            self.assertIn('a.safetensors', said)
        path = save_tensors(self.path('a.safetensors'), {})
        self.assertIn('no tensors', self.command('tensor', 'import', 'r', path, fails=1))
        self.assertEqual(self.daemon.command_json('tensor', 'list', 'r')[0]['tensors'], [])

    def test_more_than_one_request_holds(self):
        many = {'t%d' % i: np.full(3, i, 'f4') for i in range(130)}
        path = save_tensors(self.path('a.safetensors'), many)
        done, = self.daemon.command_json('tensor', 'import', 'r', path)
        self.assertEqual((done['tensors'], done['requests']), (130, 3))
        large = {'t%d' % i: np.full(5 << 20, i, 'f4') for i in range(4)}
        save_tensors(path, large)
        done, = self.daemon.command_json('tensor', 'import', 'r', path)
        self.assertEqual((done['bytes'], done['requests']), (80 << 20, 2))
        self.assertIn('in 2 steps', self.command('tensor', 'import', 'r', path))
        save_tensors(path, {'t%d' % i: np.ones(1, 'f4') for i in range(1025)})
        self.assertIn('more than 1024', self.command('tensor', 'import', 'r', path, fails=1))

    def test_layers_of_a_file(self):
        """A module's weights go straight from its file into a fetch."""
        self.table('t')
        rows = np.random.default_rng(2).standard_normal((5, 4)).astype('<f4')
        np.savez(self.path('t.npz'), keys=np.arange(5), rows=rows)
        self.command('import', 'r/t', self.path('t.npz'))
        self.publish()
        weight = np.random.default_rng(3).standard_normal((2, 4)).astype('<f4')
        path = save_tensors(self.path('m.safetensors'), {'w.weight': weight, 'w.bias': np.ones(2, 'f4')})
        done, = self.daemon.command_json('tensor', 'import', 'live', path)
        self.assertEqual(done['release'], 'r')
        got = self.daemon.command_json('fetch', 't', 3, '--through', 'w')[0]['vector']
        self.assertTrue(np.allclose(got, weight @ rows[3] + 1, atol=1e-5))


if __name__ == '__main__':
    harness.main()
