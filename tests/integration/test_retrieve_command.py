"""test_retrieve_command.py - `repstore retrieve` and `score` as a person and a script see them."""

import json
import subprocess
import sys
import time

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from search_model import METRICS, best  # noqa: E402


class RetrieveCommand(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)
        self.user_keys = np.load(harness.MOVIELENS + '/user_keys.npy').astype('<u8')
        self.item_keys = np.load(harness.MOVIELENS + '/item_keys.npy').astype('<u8')
        self.urs = np.load(harness.MOVIELENS + '/ur.npy').astype('<f4')
        self.irs = np.load(harness.MOVIELENS + '/ir.npy').astype('<f4')
        self.run_command('release', 'create', 'r1')
        self.run_command('table', 'create', 'r1/ur', '--entity', 'user', '--kind', 'ur', '--dim', '64')
        self.run_command('table', 'create', 'r1/ir', '--entity', 'item', '--kind', 'ir', '--dim', '64', '--tags',
                         '--index', 'balls')
        self.tags = (self.item_keys % 7).astype('<u8')
        self.client.load('r1', 'ur', self.user_keys, self.urs)
        self.client.load('r1', 'ir', self.item_keys, self.irs, tags=self.tags)
        self.client.seal('r1')
        self.user = int(self.user_keys[5])
        self.scores = METRICS['inner_product'](self.irs, self.urs[5])

    def run_command(self, *args, status=0):
        done = subprocess.run([harness.program('repstore'), '-s', self.daemon.address, *map(str, args)],
                              capture_output=True, text=True, timeout=harness.CALL_SECONDS)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return done.stdout if status == 0 else done.stderr

    def retrieve(self, *args):
        return [json.loads(line) for line in self.run_command(
            'retrieve', '--json', '--from', 'ur/%d' % self.user, '--in', 'ir', *args).splitlines()]

    def test_the_best_items_as_lines_of_json(self):
        keys, scores = best(self.item_keys, self.scores, 100)
        hits = self.retrieve()
        self.assertEqual([hit['key'] for hit in hits], keys.tolist())
        self.assertEqual([hit['rank'] for hit in hits], list(range(1, 101)))
        np.testing.assert_array_equal(np.array([hit['score'] for hit in hits], '<f4'), scores)
        self.assertEqual([hit['key'] for hit in self.retrieve('-k', 7)], keys[:7].tolist())
        self.assertEqual([hit['key'] for hit in self.retrieve('--k', 7, '--release', 'r1')], keys[:7].tolist())
        self.assertEqual(len(self.retrieve('--min-score', scores[30])), 31)
        cosine, _ = best(self.item_keys, METRICS['cosine'](self.irs, self.urs[5]), 3)
        self.assertEqual([hit['key'] for hit in self.retrieve('-k', 3, '--metric', 'cosine')], cosine.tolist())

    def test_filters(self):
        for args, passes in ((('--where', '0x5'), self.tags & 5 == 5), (('--any', 3), self.tags & 3 != 0),
                             (('--none', 4), self.tags & 4 == 0)):
            keys, _ = best(self.item_keys[passes], self.scores[passes], 20)
            self.assertEqual([hit['key'] for hit in self.retrieve('-k', 20, *args)], keys.tolist())

    def test_a_person_reads_a_table(self):
        text = self.run_command('retrieve', '--from', 'ur/%d' % self.user, '--in', 'ir', '-k', 3)
        lines = text.splitlines()
        self.assertRegex(lines[0], r'^--release r1, sequence \d+, ur in ir by inner_product, exact, \d+ rows looked at of 9066, ')
        self.assertEqual(lines[1].split(), ['RANK', 'KEY', 'SCORE'])
        keys, _ = best(self.item_keys, self.scores, 3)
        self.assertEqual([line.split()[1] for line in lines[2:]], [str(key) for key in keys])

    def test_scores_of_named_items(self):
        some = [int(key) for key in self.item_keys[:3]]
        lines = self.run_command('score', '--json', '--from', 'ur/%d' % self.user, '--in', 'ir', *some, 1 << 50).splitlines()
        got = [json.loads(line) for line in lines]
        self.assertEqual([each['key'] for each in got], some + [1 << 50])
        np.testing.assert_array_equal(np.array([each['score'] for each in got[:3]], '<f4'), self.scores[:3])
        self.assertIsNone(got[3]['score'])
        text = self.run_command('score', '--from', 'ur/%d' % self.user, '--in', 'ir', some[0], 1 << 50)
        self.assertEqual(text.splitlines()[3].split(), [str(1 << 50), '-'])

    def wait_for_index(self):
        end = time.monotonic() + harness.CALL_SECONDS
        while not self.client.call('table.show', release='r1', table='ir')['index_bytes']:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_bench_measures_recall(self):
        self.wait_for_index()
        for args, connections in (([], [1, 2]), (['--approximate', '0.9', '--connections', '2'], [2])):
            got = json.loads(self.run_command('bench', 'retrieve', '--json', '--seconds', '1', '-k', '10', *args))
            self.assertEqual(got['rows'], len(self.item_keys))
            self.assertGreater(got['index_bytes'], 0)
            self.assertGreater(got['index_build_s'], 0)
            self.assertGreater(got['recall'], 0.8)
            self.assertLessEqual(got['recall'], 1)
            self.assertEqual([run['connections'] for run in got['runs']], connections)
            for run in got['runs']:
                self.assertGreater(run['requests'], 0)
                self.assertTrue(args or run['exact'] == 1)
            self.assertTrue(args or got['recall'] == 1)

    def test_bench_under_a_filter(self):
        self.wait_for_index()
        args = ('bench', 'retrieve', '--json', '--seconds', '1', '--connections', '1', '-k', '10', '--approximate', '0.9')
        recalls = [json.loads(self.run_command(*args, *more))['recall']
                   for more in ((), ('--any', '1'), ('--where', '0x6'), ('--none', '6'))]
        self.assertTrue(all(0.85 < recall <= 1 for recall in recalls), recalls)
        # No tag has this bit: an answer of nothing is all that there is, and nothing is missed.
        none = json.loads(self.run_command(*args, '--where', '8'))
        self.assertEqual((none['recall'], none['runs'][0]['exact']), (1, 1))
        self.assertIn('--any', self.run_command(*args, '--any', 'x', status=2))

    def test_bench_as_a_person_reads_it(self):
        self.wait_for_index()
        text = self.run_command('bench', 'retrieve', '--seconds', '1').splitlines()
        self.assertRegex(text[0], r'^9066 rows, an index of [0-9.]+ MB that was built in [0-9.]+ s$')
        self.assertEqual([line.split(':')[0] for line in text if ':' in line], ['1 connection', '2 connections'])
        for wrong in ('0', '1025'):
            self.run_command('bench', 'retrieve', '--connections', wrong, status=2)
        self.assertIn('NOT_FOUND', self.run_command('bench', 'retrieve', '--in', 'nope', status=1))

    def test_what_is_wrong_is_said(self):
        good = ['--from', 'ur/%d' % self.user, '--in', 'ir']
        for args in ([], ['--in', 'ir'], ['--from', 'ur', '--in', 'ir'], ['--from', 'ur/', '--in', 'ir'],
                     ['--from', 'ur/x', '--in', 'ir'], good + ['-k', '0'], good + ['-k', '10001'], good + ['7'],
                     good + ['--metric', 'dot'], good + ['--approximate', '2'], good + ['--min-score', 'x'], good + ['-k']):
            self.run_command('retrieve', *args, status=2)
        self.run_command('score', *good, status=2)
        self.assertIn('NOT_FOUND', self.run_command('retrieve', '--from', 'ur/999999999', '--in', 'ir', status=1))
        self.assertIn('NOT_FOUND', self.run_command('retrieve', *good[:3], 'nope', status=1))
        self.assertIn('BAD_REQUEST', self.run_command('retrieve', *good, '--metric', 'hamming', status=1))
        self.assertIn('NOT_FOUND', self.run_command('retrieve', *good, '--through', 'nope', status=1))
        for command, keys in (('retrieve', []), ('score', ['7'])):
            for steps in ('', ',', 'a,,b', 'a,'):
                self.assertIn('is empty', self.run_command(command, *good, '--through', steps, *keys, status=2))


if __name__ == '__main__':
    harness.main()
