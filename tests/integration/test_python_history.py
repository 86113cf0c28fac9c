"""test_python_history.py - histories through the Python package, which calls the C library: waiting, and under asyncio."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from history_model import Histories  # noqa: E402
from python_case import PythonCase, repstore  # noqa: E402

DIM, PLACES, COUNT = 6, 4, 400
KEYS = np.arange(30, dtype='u8')
BASE_MS = 1_700_000_000_000


class History(PythonCase):

    def make_history(self, release: str = 'r', places: int = PLACES, **options: Any) -> Histories:
        with self.client.new_release(release) as new:
            new.create_table('last', entity='user', kind='ur', dim=DIM, history=places, **options)
            new.create_table('last', entity='user', kind='ur', dim=DIM, history=places, exist_ok=True, **options)
            with self.assertRaises(repstore.Exists):
                new.create_table('last', entity='user', kind='ur', dim=DIM, history=places + 1, exist_ok=True, **options)
            with self.assertRaisesRegex(repstore.BadRequest, 'a table with a history has none'):
                new.create_table('sums@l', entity='user', kind='cr', dim=DIM, history=places, read='mean')
            new.create_table('plain', entity='user', kind='ur', dim=DIM)
            new.seal().publish()
        return Histories(places)

    def vectors(self) -> tuple[Any, Any, Any]:
        random = harness.random_state()
        return (random.choice(KEYS, COUNT), BASE_MS + np.arange(COUNT) // 4 + random.integers(0, 40, COUNT),
                random.standard_normal((COUNT, DIM)).astype('f4'))

    def check(self, got: Any, model: Histories, keys: Any = KEYS) -> None:
        found, rows, counts, times, newest = model.arrays(keys, DIM)
        self.assertEqual(got.rows.shape, (len(keys), model.places, DIM))
        np.testing.assert_array_equal(got.found, found)
        np.testing.assert_array_equal(got.rows, rows)
        np.testing.assert_array_equal(got.counts, counts)
        if got.history_times is not None:
            np.testing.assert_array_equal(got.history_times, times)
        if got.times is not None:
            np.testing.assert_array_equal(got.times, newest)

    def test_appended_vectors_are_fetched_in_their_order(self) -> None:
        model = self.make_history()
        keys, times, rows = self.vectors()
        written = self.client.append('last', keys, rows, times=times, source='s', position=0)
        self.assertEqual((written.count, written.next), (COUNT, COUNT))
        self.assertEqual(self.client.append('last', keys, rows, times=times, source='s', position=0).count, 0)
        model.add_all(keys, times, rows)
        self.check(self.client.fetch({'last': KEYS})['last'], model)
        got = self.client.fetch({'last': KEYS}, want=['times', 'history_times'])['last']
        self.check(got, model)
        self.assertIsNot(got.rows.base, got)
        self.assertTrue(got.rows.flags.c_contiguous and got.rows.flags.writeable)
        self.assertEqual(self.client.table('last').history, PLACES)
        # beside other tables, prepared, and into an array of the caller's
        both = self.client.fetch({'last': KEYS[:3], 'plain': [1]})
        self.check(both['last'], model, KEYS[:3])
        self.assertIsNone(both['plain'].counts)
        query = self.client.prepare({'mine': repstore.Part('last', want=['history_times'])})
        for some in (KEYS[:5], KEYS[3:11]):
            self.check(query(mine=some)['mine'], model, some)
        room = np.empty((len(KEYS), PLACES, DIM), 'f4')
        got = self.client.fetch({'last': KEYS}, out={'last': room})['last']
        self.assertIs(got.rows, room)
        self.check(got, model)
        with self.assertRaisesRegex(repstore.BadRequest, "history_times: table 'plain' has no histories"):
            self.client.fetch({'plain': [1]}, want=['history_times'])['plain']

    def test_a_release_with_other_places_is_noticed(self) -> None:
        self.make_history()
        keys, times, rows = self.vectors()
        self.client.append('last', keys, rows, times=times)
        self.client.fetch({'last': KEYS}, want=['history_times'])['last']
        for places in (PLACES + 3, PLACES - 2, 1):
            model = self.make_history('r%d' % places, places)
            self.client.append('last', keys, rows, times=times)
            model.add_all(keys, times, rows)
            self.check(self.client.fetch({'last': KEYS}, want=['history_times'])['last'], model)

    def test_a_scan_brings_all_of_them(self) -> None:
        model = self.make_history()
        keys, times, rows = self.vectors()
        self.client.append('last', keys, rows, times=times)
        model.add_all(keys, times, rows)
        seen = 0
        for batch in self.client.scan('last', batch=7):
            _, expected, counts, places_ms, newest = model.arrays(batch.keys, DIM)
            np.testing.assert_array_equal(batch.rows, expected)
            for column, wanted in ((batch.counts, counts), (batch.history_times, places_ms), (batch.times, newest)):
                assert column is not None
                np.testing.assert_array_equal(column, wanted)
            seen += len(batch)
        self.assertEqual(seen, len(model.rows))

    def test_items_are_found_by_the_vectors_of_a_history(self) -> None:
        model = self.make_history()
        keys, times, rows = self.vectors()
        self.client.append('last', keys, rows, times=times)
        model.add_all(keys, times, rows)
        self.client.put('plain', KEYS, rows[:len(KEYS)])
        for half_life in (None, 0.02):
            row = model.rows[3]
            weights = [1.0 if half_life is None else 2 ** (-(row[-1][0] - time) / (1000 * half_life)) for time, _ in row]
            expected = sum(weight * (rows[:len(KEYS)].astype('f8') @ vector) for weight, (_, vector) in zip(weights, row))
            found = self.client.retrieve('plain', from_=('last', [3]), k=5, history_half_life=half_life)
            np.testing.assert_array_equal(found.keys[0], np.argsort(-expected)[:5])
            scored = self.client.score('plain', KEYS, from_=('last', [3]), history_half_life=half_life)
            np.testing.assert_allclose(scored.scores[0], expected, atol=1e-4)
        with self.assertRaisesRegex(repstore.BadRequest, 'history_half_life'):
            self.client.retrieve('plain', vectors=rows[:1], release='r', history_half_life=1)

    def test_whole_histories_are_loaded_and_put(self) -> None:
        model = Histories(PLACES)
        model.add_all(*self.vectors())
        keys = np.array(sorted(model.rows), 'u8')
        _, rows, counts, times, _ = model.arrays(keys, DIM)
        with self.client.new_release('r') as new:
            new.create_table('last', entity='user', kind='ur', dim=DIM, history=PLACES)
            new.create_table('viewed', entity='user', kind='ur', dim=DIM // 2, views=2, history=PLACES)
            for _ in range(2):      # known by its content
                self.assertEqual(new.load('last', keys, rows, counts=counts, history_times=times, chunk_bytes=1000), len(keys))
            self.assertEqual(len(new.loads()), 1)
            new.seal().publish()
        self.check(self.client.fetch({'last': KEYS})['last'], model)
        model.add_all(*self.vectors())
        _, rows, counts, times, _ = model.arrays(keys, DIM)
        self.client.put('last', keys, rows, counts=counts, history_times=times.astype('M8[ms]'))
        self.check(self.client.fetch({'last': KEYS})['last'], model)
        viewed = rows.reshape(len(keys), PLACES, 2, DIM // 2)
        self.client.put('viewed', keys, viewed, counts=counts, history_times=times)
        got = self.client.fetch({'viewed': keys}, want=['history_times'])['viewed']
        np.testing.assert_array_equal(got.rows, viewed)
        for wrong in ({'counts': None}, {'history_times': None}, {'counts': counts + PLACES}, {'counts': counts * 0},
                      {'history_times': times[:, 0]}, {'history_times': times // 1000}, {'counts': counts[1:]},
                      {'history_times': times[:, :-1], 'counts': np.minimum(counts, PLACES - 1)}, {'rows': rows[:, :-1]},
                      {'rows': rows.reshape(len(keys), DIM, PLACES)}):
            with self.assertRaises(repstore.BadRequest, msg=str(list(wrong))):
                self.client.put('last', keys, **{'rows': rows, 'counts': counts, 'history_times': times, **wrong})
        self.check(self.client.fetch({'last': KEYS})['last'], model)

    def test_the_same_under_asyncio(self) -> None:
        model = self.make_history(dtype='f32')
        keys, times, rows = self.vectors()
        model.add_all(keys, times, rows)

        async def body() -> None:
            async with repstore.AsyncClient(self.daemon.address) as client:
                written = await client.append('last', keys, rows, times=times, source='s', position=0)
                self.assertEqual((written.count, written.next), (COUNT, COUNT))
                self.check((await client.fetch({'last': KEYS}, want=['history_times', 'times']))['last'], model)
                with self.assertRaisesRegex(repstore.BadRequest, "table: 'plain' has no histories to append to"):
                    await client.append('plain', keys, rows, times=times)

        asyncio.run(body())

    def test_wrong_arguments_are_said_before_anything_is_sent(self) -> None:
        self.make_history()
        keys, times, rows = self.vectors()
        for arguments in ({'keys': keys[:-1]}, {'times': times[:-1]}, {'times': times // 1000}, {'source': 's'},
                          {'position': 3}, {'rows': rows.astype('f8')}):
            with self.assertRaises(repstore.BadRequest, msg=str(arguments)):
                self.client.append('last', **{'keys': keys, 'rows': rows, 'times': times, **arguments})
        self.assertFalse(self.client.fetch({'last': KEYS})['last'].found.any())


if __name__ == '__main__':
    harness.main()
