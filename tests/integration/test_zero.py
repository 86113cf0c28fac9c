"""test_zero.py - zero and an empty list are conditions like others: what none meets is not found."""

import numpy as np

import harness

COUNT = 20
KEYS = np.arange(COUNT, dtype='<u8')
ROWS = np.stack([np.ones(COUNT, '<f4'), np.arange(COUNT, dtype='<f4')], axis=1)
TAGS = KEYS % 4
TIMES = np.full(COUNT, 1700000000000, '<i8')    # in November of 2023


class Zero(harness.Case):
    def setUp(self):
        """A live release of a table of users and one of items with tags, whose rows are old."""
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='q', entity='user', kind='ur', dim=2)
        self.client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=2, tags=True)
        self.client.load('r', 'q', KEYS, ROWS, times=TIMES)
        self.client.load('r', 't', KEYS, ROWS, times=TIMES, tags=TAGS)
        self.client.seal('r')

    def found(self, **more):
        """How many items a search finds."""
        return self.client.call('retrieve', **dict({'from': {'table': 'q', 'keys': [1]}, 'in': 't', 'k': 100}, **more))[
            'parts'][0]['n']

    def test_an_empty_choice_finds_nothing(self):
        for more, expected in (
                ({}, COUNT), ({'allow': []}, 0), ({'allow': b''}, 0), ({'deny': []}, COUNT),
                ({'tags_any': 0}, 0), ({'tags_any': 0, 'tags_none': 1}, 0), ({'tags_any': 0, 'tags_all': 1}, 0),
                ({'tags_any': 0, 'allow': [1, 2]}, 0), ({'tags_any': 1}, COUNT // 2),
                ({'tags_all': 0}, COUNT), ({'tags_none': 0}, COUNT), ({'tags_any': None}, COUNT)):
            self.assertEqual(self.found(**more), expected, more)
        # Also among rows that no merge has in base files yet.
        self.client.call('put', release='live', table='t', keys=[99], rows=ROWS[0].tobytes(), tags=bytes(8))
        self.assertEqual(self.found(tags_any=0), 0)
        self.assertEqual(self.found(tags_all=0), COUNT + 1)
        with self.fails('BAD_REQUEST', 'tags_any', 'no tags'):
            self.found(**{'in': 'q', 'tags_any': 0})

    def test_no_row_of_the_past_is_of_age_zero(self):
        for age, expected in ((None, b'\0'), (0, b'\3'), (1, b'\3'), (1 << 62, b'\0')):
            why = self.client.fetch('t', [1], max_age_ms=age, why=True)['why']
            self.assertEqual(why, expected, age)
        with self.fails('NOT_FOUND', 'older'):
            self.found(**{'from': {'table': 'q', 'keys': [1], 'max_age_ms': 0}})
        with self.fails('NOT_FOUND', 'older'):
            self.client.call('score', keys=[1], **{'in': 't', 'from': {'table': 'q', 'keys': [1], 'max_age_ms': 0}})
        self.assertEqual(self.found(**{'from': {'table': 'q', 'keys': [1], 'max_age_ms': 1 << 62}}), COUNT)
        self.client.call('put', release='live', table='t', keys=[1], rows=ROWS[0].tobytes(),
                         times=np.array([harness.now_ms() + 600000], '<i8').tobytes())
        self.assertEqual(self.client.fetch('t', [1], max_age_ms=0)['found'], b'\1')

    def test_the_command_too(self):
        def lines(*arguments):
            return len([line for line in self.daemon.command('--json', 'retrieve', '--from', 'q/1', '--in', 't', '-k', '100',
                                                             *arguments).splitlines() if 'rank' in line])
        for arguments, expected in (((), COUNT), (('--any', '0x0'), 0), (('--any', '0'), 0), (('--any', '1'), COUNT // 2),
                                    (('--where', '0'), COUNT), (('--none', '0'), COUNT)):
            self.assertEqual(lines(*arguments), expected, arguments)
        for age in ('0', '0s'):
            self.assertIn('too old', self.daemon.command('fetch', 't', '1', '--max-age', age))
        self.assertIn('too old', self.daemon.command('fetch', 't', '1', '--max-age', '1d'))
        self.assertNotIn('too old', self.daemon.command('fetch', 't', '1', '--max-age', '36500d'))
        self.assertNotIn('too old', self.daemon.command('fetch', 't', '1'))


if __name__ == '__main__':
    harness.main()
