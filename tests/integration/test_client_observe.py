"""test_client_observe.py - the C library against the daemon: samples, positions, layers, sums and weights.

The library is called as a program would, through its header's structs; not under a sanitizer, which must be
there before Python is.
"""

import ctypes
import os
import sys
import unittest

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from observe_model import Aggregates, movielens  # noqa: E402

F32, F16, F64, U64 = 1, 2, 6, 1     # of enum rep_dtype, enum rep_key_type
OK, NOT_FOUND, GAP = 0, 2, 9
IN_FLIGHT = 32


class Error(ctypes.Structure):
    _fields_ = [('status', ctypes.c_int), ('text', ctypes.c_char * 480)]


class Options(ctypes.Structure):
    _fields_ = [('address', ctypes.c_char_p), ('connect_timeout_ms', ctypes.c_uint),
                ('timeout_ms', ctypes.c_uint), ('no_reconnect', ctypes.c_bool), ('reserved', ctypes.c_uint64 * 16)]


class Keys(ctypes.Structure):
    _fields_ = [('type', ctypes.c_int), ('count', ctypes.c_uint32), ('data', ctypes.c_void_p),
                ('bytes', ctypes.c_size_t)]


class Samples(ctypes.Structure):
    _fields_ = [('layer', ctypes.c_char_p), ('count', ctypes.c_uint32), ('users', Keys), ('items', Keys),
                ('times', ctypes.c_void_p), ('dtype', ctypes.c_int), ('any_time', ctypes.c_bool), ('rows', ctypes.c_void_p),
                ('rows_bytes', ctypes.c_size_t), ('scales', ctypes.c_void_p), ('source', ctypes.c_char_p),
                ('position', ctypes.c_uint64), ('first', ctypes.c_bool), ('reserved', ctypes.c_uint64 * 8)]


class Written(ctypes.Structure):
    _fields_ = [('release', ctypes.c_char * 72), ('sequence', ctypes.c_uint64), ('count', ctypes.c_uint64),
                ('next', ctypes.c_uint64), ('reserved', ctypes.c_uint64 * 8)]


class Position(ctypes.Structure):
    _fields_ = [('layer', ctypes.c_char * 72), ('source', ctypes.c_char * 72), ('next', ctypes.c_uint64),
                ('durable', ctypes.c_uint64), ('counted_ms', ctypes.c_int64),
                ('reserved', ctypes.c_uint64 * 8)]


class Part(ctypes.Structure):
    _fields_ = [('table', ctypes.c_char_p), ('keys', Keys), ('dtype', ctypes.c_int), ('raw', ctypes.c_bool), ('has_max_age', ctypes.c_bool),
                ('max_age_ms', ctypes.c_uint64), ('through', ctypes.c_void_p), ('through_count', ctypes.c_size_t),
                ('rows', ctypes.c_void_p), ('rows_bytes', ctypes.c_size_t), ('found', ctypes.c_void_p),
                ('scales', ctypes.c_void_p), ('times', ctypes.c_void_p), ('tags', ctypes.c_void_p),
                ('weights', ctypes.c_void_p), ('why', ctypes.c_void_p), ('stride', ctypes.c_size_t),
                ('dim', ctypes.c_uint32), ('views', ctypes.c_uint32), ('row_dtype', ctypes.c_int),
                ('found_count', ctypes.c_uint32), ('resolved', ctypes.c_char * 136), ('reserved', ctypes.c_uint64 * 8)]


def keys_of(array):
    return Keys(U64, len(array), array.ctypes.data, array.nbytes)


@unittest.skipIf(harness.SANITIZED, 'the library of a sanitized build cannot be loaded into Python')
class ClientObserve(harness.Case):
    def setUp(self):
        super().setUp()
        build = os.environ.get('REPSTORE_BUILD', os.path.join(harness.ROOT, 'build', 'gcc'))
        self.library = ctypes.CDLL(os.environ.get('LIBREPSTORE') or os.path.join(build, 'client', 'librepstore.so'))
        self.error = Error()
        self.daemon = self.start_daemon()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for layer in ('fm', 'mlp2'):
                for entity in ('user', 'item'):
                    client.call('table.create', release='r', table='cr_%s@%s' % (entity, layer), entity=entity,
                                kind='cr', dim=64, decay_events=0.99, read='mean')
            client.seal('r')
        self.client = ctypes.c_void_p()
        options = Options(self.daemon.address.encode(), 0, 0, False)
        self.call('rep_connect', ctypes.byref(options), ctypes.byref(self.client))
        self.addCleanup(self.library.rep_close, self.client)

    def call(self, name, *args, fails=OK):
        status = getattr(self.library, name)(*args, ctypes.byref(self.error))
        self.assertEqual(status, fails, self.error.text)

    def samples(self, of, at, count, **changed):
        """Some of a layer's samples, and what they point to."""
        users, items, times, rows = (np.ascontiguousarray(column[at:at + count]) for column in movielens(of))
        kept = (users, items, times, rows)
        given = dict(layer=of.encode(), count=len(users), users=keys_of(users), items=keys_of(items),
                     times=times.ctypes.data, dtype=F16, rows=rows.ctypes.data, rows_bytes=rows.nbytes,
                     source=b's', position=at)
        return Samples(**dict(given, **changed)), kept

    def positions(self, release=None):
        found, count = ctypes.POINTER(Position)(), ctypes.c_size_t()
        self.call('rep_positions', self.client, release, ctypes.byref(found), ctypes.byref(count))
        positions = {(found[i].layer, found[i].source): found[i].next for i in range(count.value)}
        ctypes.CDLL(None).free(found)
        return positions

    def fetch(self, table, keys, raw):
        count = len(keys)
        rows, weights = np.zeros((count, 64), '<f8' if raw else '<f4'), np.zeros(count, '<f8')
        times, found = np.zeros(count, '<i8'), np.zeros((count + 7) // 8, np.uint8)
        part = Part(table=table.encode(), keys=keys_of(keys), dtype=F64 if raw else F32, raw=raw, rows=rows.ctypes.data,
                    rows_bytes=rows.nbytes, found=found.ctypes.data, times=times.ctypes.data,
                    weights=weights.ctypes.data)
        self.call('rep_fetch', self.client, None, ctypes.byref(part), ctypes.c_size_t(1), None)
        self.assertEqual(part.found_count, count)
        return part.resolved.decode(), rows, weights, times

    def test_a_pipelined_stream_is_that_of_numpy(self):
        random = harness.random_state()
        for layer in ('fm', 'mlp2'):
            first, waiting, written = 0, 0, Written()
            while first < 10000 or waiting > 0:
                if first < 10000 and waiting < IN_FLIGHT:
                    again = min(first, int(random.integers(0, 30)))
                    count = int(random.integers(0, 300)) + again
                    samples, _kept = self.samples(layer, first - again, count)
                    self.call('rep_observe_send', self.client, b'r', ctypes.byref(samples))
                    first = max(first, first - again + samples.count)
                    waiting += 1
                else:
                    self.call('rep_write_receive', self.client, ctypes.byref(written))
                    self.assertEqual(written.release, b'r')
                    waiting -= 1
            self.assertEqual(written.next, 10000)
        self.assertEqual(self.positions(), {(b'fm', b's'): 10000, (b'mlp2', b's'): 10000})
        self.assertEqual(self.positions(b'r'), self.positions())
        for layer in ('mlp2', 'fm', 'mlp2'):
            self.call('rep_layer_choose', self.client, None, layer.encode())
            for name, keys in zip(('cr_user', 'cr_item'), movielens(layer)):
                model = Aggregates(events=0.99)
                model.add_all(keys, movielens(layer)[2], movielens(layer)[3])
                keys = np.array(sorted(model.places), '<u8')
                sums, weights, lasts = model.states(keys.tolist())
                means = (sums.astype('<f4') / weights[:, None]).astype('<f4')
                for raw, expected in ((True, sums), (False, means)):
                    resolved, rows, got_weights, times = self.fetch(name, keys, raw)
                    self.assertEqual(resolved, '%s@%s' % (name, layer))
                    np.testing.assert_array_equal(rows, expected)
                    np.testing.assert_array_equal(got_weights, weights)
                    np.testing.assert_array_equal(times, lasts)

    def test_refusals_are_told(self):
        written = Written()
        samples, _kept = self.samples('fm', 0, 100)
        self.call('rep_observe', self.client, None, ctypes.byref(samples), ctypes.byref(written))
        self.assertEqual((written.release, written.count, written.next), (b'r', 100, 100))
        self.call('rep_observe', self.client, None, ctypes.byref(samples), ctypes.byref(written))
        self.assertEqual((written.count, written.next), (0, 100))
        leaping, _kept = self.samples('fm', 101, 10)
        self.call('rep_observe', self.client, None, ctypes.byref(leaping), None, fails=GAP)
        self.assertIn(b'100', self.error.text)
        elsewhere, _kept = self.samples('fm', 7, 5, source=b'e')
        self.call('rep_observe', self.client, None, ctypes.byref(elsewhere), None, fails=GAP)
        self.assertIn(b'say first', self.error.text)
        elsewhere, _kept = self.samples('fm', 7, 5, source=b'e', first=True)
        self.call('rep_observe', self.client, None, ctypes.byref(elsewhere), ctypes.byref(written))
        self.assertEqual((written.count, written.next), (5, 12))
        empty, _kept = self.samples('fm', 100, 0)
        self.call('rep_observe', self.client, None, ctypes.byref(empty), ctypes.byref(written))
        self.assertEqual((written.count, written.next), (0, 100))
        unknown, _kept = self.samples('fm', 0, 5, layer=b'dcn')
        self.call('rep_observe', self.client, None, ctypes.byref(unknown), None, fails=NOT_FOUND)
        self.assertIn(b"'dcn'", self.error.text)
        self.call('rep_layer_choose', self.client, None, b'dcn', fails=NOT_FOUND)
        unnumbered, _kept = self.samples('fm', 0, 5, source=None)
        self.call('rep_observe', self.client, None, ctypes.byref(unnumbered), ctypes.byref(written))
        self.assertEqual((written.count, written.next), (5, 0))
        self.assertEqual(self.positions(), {(b'fm', b's'): 100, (b'fm', b'e'): 12})


if __name__ == '__main__':
    harness.main()
