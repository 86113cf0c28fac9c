"""test_observe_command.py - repstore observe, positions and layer, as a person or a script uses them."""

import os
import signal
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402
from observe_model import Aggregate, movielens  # noqa: E402


class ObserveCommand(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.run_command = self.daemon.command
        self.run_command('release', 'create', 'r')
        for layer in ('fm', 'mlp2'):
            for entity in ('user', 'item'):
                self.run_command('table', 'create', 'r/cr_' + entity, '--layer', layer, '--entity', entity, '--kind',
                                 'cr', '--dim', '64', '--decay', 'events=0.99', '--read', 'sum')
        self.run_command('release', 'seal', 'r')
        self.run_command('release', 'publish', 'r')

    def movielens(self, layer, **changed):
        names = {'users': 'cr_user', 'items': 'cr_item', 'times': 'cr_time', 'rows': 'cr_' + layer}
        paths = {option: '%s/%s.npy' % (harness.MOVIELENS, name) for option, name in names.items()}
        paths.update(changed)
        options = [layer, '--time-unit', 's']
        for option, path in paths.items():
            if path is not None:
                options += ['--' + option, path]
        return options

    def test_movielens_is_counted_once(self):
        said = self.run_command('observe', *self.movielens('fm'), '--source', 'ml')
        self.assertIn('10000 samples of layer fm into r', said)
        said = self.run_command('observe', *self.movielens('fm'), '--source', 'ml', '--batch', '777')
        self.assertIn('0 samples of layer fm into r', said)
        self.assertIn('10000 more were counted before', said)
        told, = self.daemon.command_json('observe', *self.movielens('mlp2'))
        self.assertEqual((told['samples'], told['applied'], told['batches'], told['layer']), (10000, 10000, 3, 'mlp2'))
        self.assertIn('ml      10000', self.run_command('positions'))
        position, = self.daemon.command_json('positions', 'r')[0]['positions']
        self.assertLess(abs(position.pop('counted_ms') - harness.now_ms()), 60000)
        self.assertEqual(position, {'layer': 'fm', 'source': 'ml', 'next': 10000, 'durable': 10000})
        self.assertEqual(self.run_command('positions', '--release', 'r'), self.run_command('positions', 'r'))
        for layer in ('fm', 'mlp2'):
            users, items, times, rows = movielens(layer)
            by_item = Aggregate(events=0.99)
            by_item.add_all(items, times, rows)
            keys = sorted(by_item.rows)
            with self.daemon.client() as client:
                part = client.fetch('cr_item@' + layer, harness.packed(np.array(keys, '<u8')))
            sums, _, _ = by_item.states(keys)
            np.testing.assert_array_equal(np.frombuffer(part['rows'], '<f4').reshape(sums.shape), sums.astype('<f4'))

    def test_who_interrupts_it_is_told_how_to_go_on(self):
        for layer, options, told in (('fm', ['--source', 'ml'], 'the same command again counts each sample once'),
                                     ('mlp2', [], 'would count those once more; with --source NAME')):
            process = subprocess.Popen([harness.program('repstore'), '-s', self.daemon.address, 'observe',
                                        *self.movielens(layer), '--batch', '1', *options], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            with self.daemon.client() as client:
                began = client.call('stats')['write']['sequence']
                while client.call('stats')['write']['sequence'] < began + 20:
                    self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=harness.CALL_SECONDS)
            self.assertRegex(said.decode(), 'interrupted; [0-9]+ samples were acknowledged')
            self.assertIn(told, said.decode())
        self.assertIn('more were counted before', self.run_command('observe', *self.movielens('fm'), '--source', 'ml'))

    def test_sources_are_forgotten(self):
        for source in ('a', 'b', 'c'):
            for layer in ('fm', 'mlp2'):
                self.run_command('observe', *self.movielens(layer), '--source', source)
        self.assertEqual(self.run_command('positions', '--forget', 'b'), '2 positions of release r forgotten\n')
        self.assertIn("source: 'b' is not counted in release 'r'", self.run_command('positions', '--forget', 'b', fails=1))
        self.assertEqual(self.run_command('positions', 'r', '--forget', 'a', '--layer', 'fm'),
                         '1 positions of release r forgotten\n')
        self.assertEqual(self.run_command('positions', '--forget-oldest', '1'), '1 positions of release r forgotten\n')
        self.daemon.restart()
        told = self.daemon.command_json('positions')[0]['positions']
        self.assertEqual([(each['layer'], each['source']) for each in told], [('fm', 'c'), ('mlp2', 'c')])
        # Forgotten is unknown: it begins at 0 again, and its samples count once more.
        self.assertIn('10000 samples', self.run_command('observe', *self.movielens('fm'), '--source', 'a'))
        for options in (['--forget', 'a', '--forget-oldest', '1'], ['--layer', 'fm'], ['r', 'x'], ['r', '--release', 's'],
                        ['--forget-oldest', 'all']):
            self.run_command('positions', *options, fails=2)

    def test_a_layer_is_chosen(self):
        said = self.run_command('layer', 'list')
        self.assertRegex(said, r'fm +yes +64 +1 +cr_item@fm cr_user@fm')
        self.assertRegex(said, r'mlp2 +no ')
        said = self.run_command('layer', 'choose', 'mlp2')
        self.assertIn('layer mlp2 of r is served; before it was fm', said)
        layers = self.daemon.command_json('layer', 'list', 'r')[0]['layers']
        self.assertEqual([each['chosen'] for each in layers], [False, True])
        with self.daemon.client() as client:
            self.assertEqual(client.fetch('cr_user', [1])['table'], 'cr_user@mlp2')
        self.run_command('layer', 'choose', 'dcn', fails=1)
        self.run_command('layer', 'choose', fails=2)
        self.run_command('layer', 'sing', fails=2)

    def test_states_are_dumped_and_imported(self):
        self.run_command('observe', *self.movielens('fm'))
        files = {name: self.path(name + '.npy') for name in ('keys', 'rows', 'times', 'weights')}
        npy = [word for name, path in files.items() for word in ('--' + name, path)]
        self.run_command('dump', 'r/cr_user@fm', '--raw', *npy)
        for suffix in ('msgpack', 'jsonl'):
            self.run_command('dump', 'r/cr_user@fm', '--raw', self.path('raw.' + suffix))
        self.run_command('dump', 'r/cr_user@fm', self.path('read.msgpack'))
        self.run_command('release', 'create', 'copy')
        for name in ('a', 'b', 'c', 'd', 'e', 'f'):
            self.run_command('table', 'create', 'copy/' + name, '--layer', 'fm', '--entity', 'user', '--kind', 'cr',
                             '--dim', '64', '--decay', 'events=0.99', '--read', 'sum')
        self.run_command('table', 'create', 'copy/ur', '--entity', 'user', '--kind', 'ur', '--dim', '64')
        sources = {'a': npy, 'b': [self.path('raw.msgpack')], 'c': [self.path('raw.jsonl')]}
        for name, source in sources.items():
            self.run_command('import', 'copy/%s@fm' % name, *source)
        self.run_command('release', 'seal', 'copy')
        for name, source in zip('def', sources.values()):
            self.run_command('import', 'copy/%s@fm' % name, *source)
        keys = np.load(files['keys'])
        with self.daemon.client() as client:
            parts = [client.call('fetch', release=release, parts=[
                {'table': table, 'keys': harness.packed(keys), 'raw': True, 'dtype': 'f64', 'weights': True,
                 'times': True}])['parts'][0]
                for release, table in [('r', 'cr_user@fm')] + [('copy', name + '@fm') for name in 'abcdef']]
        for part in parts[1:]:
            self.assertEqual({name: part[name] for name in ('found', 'rows', 'weights', 'times')},
                             {name: parts[0][name] for name in ('found', 'rows', 'weights', 'times')})
        self.assertGreater(np.load(files['weights']).min(), 0)
        np.save(files['weights'], np.zeros(len(keys)))
        self.assertIn('weight of row 0', self.run_command('import', 'copy/a@fm', *npy, fails=1))
        self.assertIn('dump --raw', self.run_command('import', 'copy/a@fm', self.path('read.msgpack'), fails=1))
        self.assertIn('kind cr', self.run_command('import', 'copy/ur', self.path('raw.msgpack'), fails=1))
        self.assertIn('kind cr', self.run_command('import', 'copy/ur', self.path('raw.jsonl'), fails=1))
        self.assertIn('kind cr', self.run_command('dump', 'copy/ur', '--raw', self.path('x.msgpack'), fails=1))
        for dtype in ('f32', 'f64'):
            self.assertIn('--dtype %s: given with --raw' % dtype,
                          self.run_command('dump', 'copy/a@fm', '--raw', '--dtype', dtype, self.path('x.msgpack'), fails=1))
        self.assertIn('--raw', self.run_command('dump', 'copy/a@fm', *npy, fails=1))

    def test_sums_and_weights_are_fetched(self):
        self.run_command('release', 'create', 's')
        self.run_command('table', 'create', 's/cr_user', '--layer', 'fm', '--entity', 'user', '--kind', 'cr', '--dim',
                         '64', '--decay', 'events=0.5', '--read', 'mean', '--tags')
        self.run_command('table', 'create', 's/ur', '--entity', 'user', '--kind', 'ur', '--dim', '4')
        self.run_command('release', 'seal', 's')
        self.run_command('observe', *self.movielens('fm'), '--release', 's')
        users, _, times, rows = movielens('fm')
        model = Aggregate(events=0.5)
        model.add_all(users, times, rows)
        keys = sorted(model.rows)[:3]
        sums, weights, lasts = model.states(keys)
        fetch = ['fetch', 'cr_user', *keys, 5 << 40, '--release', 's']
        for raw, expected in ((True, sums), (False, (sums.astype('<f4') / weights[:, None]).astype('<f4'))):
            told = self.daemon.command_json(*fetch, '--weights', *(['--raw'] if raw else []))
            self.assertEqual([each['key'] for each in told], keys + [5 << 40])
            self.assertEqual([each['why'] for each in told], ['found'] * 3 + ['absent'])
            self.assertEqual([set(each) for each in told[2:]],
                             [{'key', 'why', 'vector', 'time', 'tags', 'weight'}, {'key', 'why'}])
            np.testing.assert_array_equal(np.array([each['vector'] for each in told[:3]], expected.dtype), expected)
            np.testing.assert_array_equal(np.array([each['weight'] for each in told[:3]]), weights)
            self.assertEqual([each['time'] for each in told[:3]], lasts.tolist())
        self.assertNotIn('weight', self.daemon.command_json(*fetch, '--raw')[0])
        head, names, first, *_, absent = self.run_command(*fetch, '--raw', '--weights', '--full').splitlines()
        self.assertIn('release s, cr_user@fm, sequence', head)
        self.assertEqual(names.split(), ['KEY', 'WHY', 'TIME', 'TAGS', 'WEIGHT', 'SUM'])
        self.assertEqual(first.split()[5], '%g' % weights[0])
        self.assertEqual(first.split()[6:], ['%.6g' % value for value in sums[0]])
        self.assertEqual(absent.split()[1:], ['absent', '-', '-', '-'])
        head, names, *_ = self.run_command('fetch', 'cr_user@fm', keys[0], '--release', 's').splitlines()
        self.assertIn('release s, sequence', head)
        self.assertEqual(names.split(), ['KEY', 'WHY', 'TIME', 'TAGS', 'VECTOR'])
        for option in ('--raw', '--weights'):
            self.assertIn('kind cr', self.run_command('fetch', 'ur', '1', '--release', 's', option, fails=1))

    def test_sums_go_through_layers(self):
        """Of a chain, raw is what enters it."""
        np.save(self.path('w.npy'), np.eye(2, 64, dtype='<f4'))
        self.run_command('tensor', 'put', 'r', 'two.weight', self.path('w.npy'))
        self.run_command('observe', *self.movielens('fm'))
        users, _, times, rows = movielens('fm')
        model = Aggregate(events=0.99)
        model.add_all(users, times, rows)
        key = sorted(model.rows)[0]
        sums, weights, _ = model.states([key])
        told, = self.daemon.command_json('fetch', 'cr_user', key, '--raw', '--weights', '--through', 'two')
        np.testing.assert_array_equal(np.array(told['vector'], '<f4'), sums[0, :2].astype('<f4'))
        self.assertEqual(told['weight'], weights[0])

    def test_decay_and_reading_are_shown(self):
        self.run_command('release', 'create', 'd')
        wanted = {'a': ('events=0.99', 'mean'), 'b': ('events=0.5,half_life=7d', 'sum'), 'c': ('half_life=90m', 'sum'),
                  'd': ('events=1', 'layer_norm'), 'e': ('half_life=1500ms', 'mean'), 'f': (None, None)}
        for layer, (decay, reading) in wanted.items():
            options = ['--decay', decay, '--read', reading] if decay else []
            self.run_command('table', 'create', 'd/cr_item', '--layer', layer, '--entity', 'item', '--kind', 'cr',
                             '--dim', '8', *options)
        self.run_command('table', 'create', 'd/ir', '--entity', 'item', '--kind', 'ir', '--dim', '8')
        said = self.run_command('table', 'list', 'd').split('\n\n')[1]
        names, *lines = (line.split() for line in said.splitlines())
        shown = {line[0]: (line[names.index('DECAY')], line[names.index('READ')]) for line in lines}
        expected = {'cr_item@' + layer: each for layer, each in wanted.items() if each[0]}
        self.assertEqual(shown, dict(expected, **{'cr_item@f': ('events=0.99', 'layer_norm')}))
        # What is listed can be given again, and makes the same table.
        self.run_command('release', 'create', 'again')
        for table, (decay, reading) in shown.items():
            self.run_command('table', 'create', 'again/' + table, '--entity', 'item', '--kind', 'cr', '--dim', '8',
                             '--decay', decay, '--read', reading)
            one, other = (self.daemon.command_json('table', 'show', '%s/%s' % (release, table))[0]
                          for release in ('d', 'again'))
            self.assertEqual({**one, 'release': ''}, {**other, 'release': ''})
        said = self.run_command('table', 'show', 'd/cr_item@b')
        self.assertRegex(said, r'decay_events +0\.5\n')
        self.assertRegex(said, r'half_life_ms +604800000\n')
        self.assertRegex(said, r'read +sum\n')
        self.assertNotIn('decay', self.run_command('table', 'show', 'd/ir'))

    def test_what_is_wrong_is_named_and_nothing_is_sent(self):
        short = self.path('short.npy')
        np.save(short, np.arange(5, dtype='<u8'))
        floats = self.path('floats.npy')
        np.save(floats, np.zeros(10000, '<f8'))
        spoilt = self.path('spoilt.npy')
        rows = np.load('%s/cr_fm.npy' % harness.MOVIELENS)
        rows[9999, 63] = np.inf
        np.save(spoilt, rows)
        for status, word, options in (
                (1, 'short.npy', self.movielens('fm', users=short)),
                (1, 'short.npy', self.movielens('fm', items=short)),
                (1, 'floats.npy', self.movielens('fm', times=floats)),
                (1, 'spoilt.npy', self.movielens('fm', rows=spoilt)),
                (1, 'row 9999', self.movielens('fm', rows=spoilt)),
                (1, 'none.npy', self.movielens('fm', rows='none.npy')),
                (1, 'ur.npy', self.movielens('fm', rows='%s/ur.npy' % harness.MOVIELENS)),
                (1, 'dcn', ['dcn'] + self.movielens('fm')[1:]),
                (1, 'nope', self.movielens('fm') + ['--release', 'nope']),
                (2, '--users', self.movielens('fm', users=None)),
                (2, '--items', self.movielens('fm', items=None)),
                (2, '--rows', self.movielens('fm', rows=None)),
                (2, '--position', self.movielens('fm') + ['--position', '5']),
                (2, '--source', self.movielens('fm') + ['--first']),
                (2, '--batch', self.movielens('fm') + ['--batch', '0']),
                (2, '--time-unit', self.movielens('fm') + ['--time-unit', 'h'])):
            self.assertIn(word, self.run_command('observe', *options, fails=status), options)
        at_100 = [*self.movielens('fm'), '--source', 's', '--position', '100']
        said = self.run_command('observe', *at_100, fails=1)
        self.assertIn("position: 100 given, nothing of source 's' is counted in layer 'fm' of release 'r' yet", said)
        self.assertIn('--first', said)
        self.assertNotIn('again', said)
        self.run_command('observe', *at_100, '--first')
        said = self.run_command('observe', *self.movielens('fm'), '--source', 's', '--position', '20000', fails=1)
        self.assertIn('GAP', said)
        self.assertIn('10100', said)
        self.assertNotIn('again', said)
        with self.daemon.client() as client:
            self.assertEqual(client.call('stats')['write']['sequence'], 3)
        self.assertTrue(os.path.exists(short))


if __name__ == '__main__':
    harness.main()
