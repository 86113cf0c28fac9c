"""test_repair.py - a table whose file was damaged on the disk, repaired by the command while the daemon serves."""

import os
import re

import numpy as np

import harness

FOUND, ABSENT, CORRUPT = 0, 1, 4    # of `why`
KEYS = np.arange(6000, dtype='<u8')
DIM = 8
PAGE_ROWS = 4096 // (4 * DIM)


class Repair(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.rows = harness.random_state().standard_normal((len(KEYS), DIM)).astype('<f4')
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=DIM)
            client.load('r', 't', KEYS, self.rows)
            client.seal('r')

    def damage(self):
        """Flips a byte of two rows of the one base file, whose name it returns."""
        self.daemon.stop()
        name, = [name for name in self.daemon.files() if re.match('releases/1/base-1-', name)]
        with open(os.path.join(self.daemon.data, name), 'r+b') as file:
            content = file.read()
            for row in (self.rows[7], self.rows[3000]):
                at = content.index(row.tobytes())
                file.seek(at)
                file.write(bytes([content[at] ^ 1]))
        self.daemon.start()
        return name

    def why(self):
        """Of each key; what is found is as it was loaded."""
        with self.daemon.client() as client:
            reply = client.fetch('t', KEYS.tobytes(), why=True)
        rows = np.frombuffer(reply['rows'], '<f4').reshape(len(KEYS), DIM)
        why = np.frombuffer(reply['why'], 'u1')
        np.testing.assert_array_equal(rows[why == FOUND], self.rows[why == FOUND])
        return why

    def test_lost_keys_are_absent_and_the_table_goes_on(self):
        self.assertIn('nothing is damaged', self.daemon.command('repair', 't'))
        name = self.damage()
        before = self.why()
        corrupt = int((before == CORRUPT).sum())
        self.assertIn(corrupt, range(2, 2 * PAGE_ROWS + 3))
        self.assertIn('(CORRUPT)', self.daemon.command('put', 't', '5', *['1'] * DIM, fails=1))

        would, = self.daemon.command_json('repair', 't', '--dry-run')
        np.testing.assert_array_equal(self.why(), before)
        only, = would['ranges']
        self.assertEqual(only['files'], [name])
        self.assertEqual((only['first'], only['last']), ('0' * 16, 'f' * 16))
        # A row at the edge of a page is on two.
        self.assertEqual((only['kept'], only['lost']), (len(KEYS) - corrupt, corrupt))
        self.assertEqual((only['given_up'], only['unreadable'], only['partial']), (0, 0, 0))
        told = self.daemon.command('repair', 'r/t')
        self.assertIn('hashes %s to %s: %d rows kept, %d lost\n' % ('0' * 16, 'f' * 16, only['kept'], corrupt), told)
        self.assertIn('  damaged: %s\n' % name, told)
        self.assertIn("'t' of release 'r': 1 range repaired, in ", told)
        self.assertRegex(self.daemon.log(), 'event=repaired release=1 table="t" .* kept=%d .* lost=%d ' % (
            only['kept'], corrupt))
        self.assertRegex(self.daemon.log(), 'event=audit result=OK .*method=repair ')

        for _ in range(2):
            after = self.why()
            np.testing.assert_array_equal(after == ABSENT, before == CORRUPT)
            self.assertEqual(int((after == FOUND).sum()), len(KEYS) - corrupt)
            self.daemon.kill()
            self.daemon.start()
        self.assertNotIn(name, self.daemon.files())
        self.assertIn('nothing is damaged', self.daemon.command('repair', 't'))
        lost = str(int(KEYS[before == CORRUPT][0]))
        self.daemon.command('put', 't', lost, *['1'] * DIM)
        self.daemon.command('merge', 't', '--full')
        self.assertEqual(self.daemon.command_json('table', 'show', 't')[0]['rows'], len(KEYS) - corrupt + 1)

    def test_what_is_asked_wrongly(self):
        unknown = "'u' is not in release 'r', which has 't'"
        self.assertIn(unknown, self.daemon.command('repair', 'u', fails=1))
        self.assertIn(unknown, self.daemon.command('merge', 't', 'u', fails=1))
        self.assertIn('one TABLE', self.daemon.command('repair', fails=2))
        self.assertIn("'x'", self.daemon.command('repair', 'x/t', fails=1))
        with self.daemon.client() as client, self.fails('BAD_REQUEST', 'tables', 'element 1'):
            client.call('merge', tables=['t', 7])


if __name__ == '__main__':
    harness.main()
