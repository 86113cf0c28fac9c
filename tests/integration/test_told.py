"""test_told.py - what a person is told who is wrong in a common way: the remedy is in the line."""

import contextlib
import json
import os
import pty
import re
import subprocess
import time

import numpy as np

import harness


def client_of(daemon, method, **params):
    with daemon.client() as client:
        return client.call(method, **params)


class Told(harness.Case):
    def setUp(self):
        """A live release `r` with a row of each table, and an open one, `o`."""
        super().setUp()
        self.daemon = self.start_daemon()
        for release in 'ro':
            self.daemon.command('release', 'create', release)
            for table in (['u', '--entity', 'user', '--kind', 'ur'], ['i', '--entity', 'item', '--kind', 'ir', '--tags'],
                          ['k', '--entity', 'item', '--kind', 'ir', '--key', 'bytes']):
                self.daemon.command('table', 'create', release + '/' + table[0], '--dim', 2, *table[1:])
        self.daemon.command('release', 'seal', 'r')
        self.daemon.command('release', 'publish', 'r')
        self.daemon.command('put', 'u', 1, 1, 2)
        self.daemon.command('put', 'i', 1, 1, 2)

    def told(self, words, *args, fails=2):
        said = self.daemon.command(*args, fails=fails)
        for each in [words] if isinstance(words, str) else words:
            self.assertIn(each, said)

    def command(self, *args, address=None, variable=None, **options):
        environment = {name: value for name, value in os.environ.items() if name != 'REPSTORE'}
        if variable is not None:
            environment['REPSTORE'] = variable
        return subprocess.run([harness.program('repstore'), *(['-s', address] if address else []), *args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              timeout=harness.CALL_SECONDS, **options)

    def test_no_daemon(self):
        none = self.path('none')
        for options, where in ((dict(address=none), '-s says so'), (dict(variable=none), '$REPSTORE says so')):
            done = self.command('ping', **options)
            self.assertEqual(done.returncode, 1)
            self.assertIn('is the daemon, repstored, running there? (%s)' % where, done.stderr.decode())

    def test_a_table_is_named_in_one_way(self):
        """RELEASE/TABLE, or TABLE with --release; alone it is that of the live release."""
        dumped = self.path('d.jsonl')
        for name in (['r/u'], ['u', '--release', 'r'], ['r/u', '--release', 'r'], ['live/u'], ['u']):
            table, *options = name
            for args in (['fetch', table, 1], ['put', table, 1, 1, 2], ['delete', table, 9], ['table', 'show', table],
                         ['table', 'stats', table], ['dump', table, dumped], ['import', table, dumped],
                         ['retrieve', '--from', 'u/1', '--in', table.replace('u', 'i')],
                         ['bench', 'fetch', '--table', table, '--rows', 1, '--requests', 1],
                         ['score', '--from', table + '/1', '--in', table.replace('u', 'i'), 1]):
                self.daemon.command(*args, *options)
            self.told("release 'r', but --release says 'o'", 'fetch', 'r/u', 1, '--release', 'o')
        self.daemon.command('table', 'create', 'c', '--release', 'o', '--entity', 'user', '--kind', 'ur', '--dim', 2)
        self.daemon.command('table', 'list', '--release', 'o')
        self.told('RELEASE/TABLE', 'table', 'create', 'c', '--entity', 'user', '--kind', 'ur', '--dim', 2)
        self.told('not a table', 'fetch', 'r/', 1)

    def test_a_layer_may_be_said_twice(self):
        self.daemon.command('table', 'create', 'o/c@m', '--layer', 'm', '--entity', 'user', '--kind', 'cr', '--dim', 2)
        self.told("is of layer 'm', but --layer says 'x'", 'table', 'create', 'o/d@m', '--layer', 'x', '--entity', 'user',
                  '--kind', 'cr', '--dim', 2)

    def test_arguments(self):
        for args, words in ((['fetch', 'u', '-1'], '0 to 2^64 - 1'), (['fetch', 'u', str(2 ** 64)], '0 to 2^64 - 1'),
                            (['retrieve', '-k', '-1'], "repstore: -k: '-1'"),
                            (['retrieve', '--from', 'u/1', '--in', 'i', '--approximate', '0'], 'above 0'),
                            (['fecth', 'u', '1'], "did you mean 'fetch'?"),
                            (['release', 'publsh', 'r'], "did you mean 'publish'?"),
                            (['fetch', 'u', '1', '--relase', 'r'], "did you mean '--release'?"),
                            (['fetch', 'u', '1', '--dtipe=f32'], "did you mean '--dtype'?"),
                            (['help', 'imprt'], "did you mean 'import'?")):
            self.told(words, *args)
        self.assertNotIn('did you mean', self.daemon.command('xyzzy', fails=2))

    def test_a_number_that_the_table_does_not_hold(self):
        self.daemon.command('release', 'create', 'h')
        self.daemon.command('table', 'create', 'h/t', '--entity', 'user', '--kind', 'ur', '--dim', 2, '--dtype', 'f16')
        self.daemon.command('release', 'seal', 'h')
        said = self.daemon.command('put', 'h/t', 1, 1, '-7e4', fails=1)
        self.assertIn('column 1 is -70000, more than f16 rows of the table hold (BAD', said)

    def test_help_and_version(self):
        for args in (['-h'], ['--help'], ['help']):
            self.assertIn('Exit status', self.daemon.command(*args))
        for args in (['fetch', '-h'], ['fetch', '--help'], ['help', 'fetch']):
            self.assertIn('usage: repstore fetch', self.daemon.command(*args))
        self.assertEqual(self.daemon.command('-V'), self.daemon.command('--version'))
        self.assertIn('repstore 0', self.daemon.command('-V'))

    def test_the_daemon_says_what_it_speaks_and_writes(self):
        said = subprocess.run([harness.program('repstored'), '--version'], stdout=subprocess.PIPE, text=True, check=True).stdout
        lines = dict(line.split(' ', 1) for line in said.splitlines())
        with self.daemon.client() as client:
            hello = client.call('hello', client='test')
        self.assertEqual((lines['repstored'], int(lines['protocol'])), (hello['version'], hello['protocol']))
        formats = dict(each.split(' ') for each in lines['formats'].split(', '))
        self.assertEqual(set(formats), {'catalog', 'current', 'log', 'frame', 'segment', 'spill', 'index', 'manifest', 'visible'})
        with open(os.path.join(harness.ROOT, 'schema', 'DISK.md'), encoding='utf-8') as file:
            page = dict(re.findall(r'^\| `(\w+)_VERSION` \| (\d+) \|', file.read(), re.M))
        for name, version in formats.items():
            self.assertEqual(page['REDO' if name == 'log' else name.upper()], version, name)
        self.assertRegex(lines['build'], r'\w+ [\d.]+, \w+, sanitizers \w+, http (yes|no)')

    def test_help_fits_and_the_man_page_names_every_option(self):
        with open(os.path.join(os.path.dirname(__file__), '..', '..', 'tools', 'repstore.1')) as file:
            page = file.read().replace('\\-', '-')
        commands = re.findall(r'^  ([a-z]+) ', self.daemon.command('help'), re.M)
        self.assertGreater(len(commands), 15)
        for command in commands:
            said = self.daemon.command('help', command)
            for line in (said + self.daemon.command(command, '--wrong-option', fails=2)).splitlines():
                self.assertLessEqual(len(line), 80, line)
            self.assertRegex(page, r'(?m)^\.(TP\n\.)?BI? .*\b%s\b' % command)
            for option in set(re.findall(r'--[a-z][a-z-]+|(?<=\[)-[a-z]', said)):
                self.assertRegex(page, r'%s(?![a-z-])' % option)

    def words(self, *given):
        return self.daemon.command('help', '--words', *given).split()

    def test_the_man_page_and_the_help_name_every_option_that_is_read(self):
        """The options come from the tables by which they are read."""
        with open(os.path.join(os.path.dirname(__file__), '..', '..', 'tools', 'repstore.1')) as file:
            page = file.read().replace('\\-', '-')
        commands = self.words()
        for command in commands:
            said = self.daemon.command('help', command) + self.daemon.command('help')
            listed = self.words(command)
            verbs = [word for word in listed if not word.startswith('-')]
            for option in [word for verb in verbs for word in self.words(command, verb)] or listed:
                if option != '--help':
                    self.assertRegex(page, r'%s(?![a-z-])' % option, command)
                    self.assertRegex(said, r'%s(?![a-z-])' % option, command)
        self.assertIn('seal', self.words('release'))
        self.assertIn('--ttl', self.words('table', 'create'))
        self.assertNotIn('--ttl', self.words('table', 'list'))

    def test_tables_are_shown_in_80_columns(self):
        self.daemon.command('release', 'create', 'l')
        for table in (['cr_user', '--entity', 'user', '--kind', 'cr', '--layer', 'mlp2', '--decay', 'half_life=30d'],
                      ['ir', '--entity', 'item', '--kind', 'ir', '--index', 'balls', '--tags'],
                      ['two', '--entity', 'user', '--kind', 'ur', '--views', 2],
                      ['ur', '--entity', 'user', '--kind', 'ur', '--ttl', '7d', '--key', 'bytes'],
                      ['plain', '--entity', 'user', '--kind', 'ur']):
            self.daemon.command('table', 'create', 'l/' + table[0], '--dim', 64, *table[1:])
        said = self.daemon.command('table', 'list', 'l')
        for line in said.splitlines():
            self.assertLessEqual(len(line), 80)
        for words in ('cr_user@mlp2  user cr', '2 x 64', 'none yet', 'half_life=30d', '7d 0h', 'bytes'):
            self.assertIn(words, said)
        self.assertEqual(said.count('plain'), 1)        # it has nothing beside the usual
        self.daemon.command('put', 'u', 5, 1, 1)
        self.assertRegex(self.daemon.command('release', 'show', 'r'), r'table u .* 2 pending')

    def test_lists_fold_when_names_are_long(self):
        """A name is shown whole, so that it can be typed; what does not fit beside it stands below it."""
        long, layer = 'r' * 64, 'l' * 30
        self.daemon.command('release', 'create', long, '--model', 'two towers', '--checkpoint', 'step 100')
        for entity in ('user', 'item'):
            self.daemon.command('table', 'create', '%s/%s' % (long, entity * 6), '--entity', entity, '--kind', 'cr', '--layer',
                                layer, '--dim', 64, '--decay', 'events=0.99,half_life=30d')
        self.daemon.command('release', 'seal', long)
        with self.daemon.client() as client:
            client.call('observe', release=long, layer=layer, users=[1], items=[2], rows=bytes(256), source='s' * 64, position=0,
                        times=np.full(1, harness.now_ms(), '<i8').tobytes())
        for args, names in ((['release', 'list'], [long, 'two towers', 'step 100']), (['release', 'show', long], [long]),
                            (['table', 'list', long], ['user' * 6 + '@' + layer]), (['positions', long], ['s' * 64]),
                            (['layer', 'list', '--release', long], [layer]), (['tensor', 'list', '--release', long], [])):
            said = self.daemon.command(*args)
            for line in said.splitlines():
                self.assertLessEqual(len(line), 80, said)
            for name in names:
                self.assertIn(name, said)
        self.daemon.command('release', 'drop', '--release', long)

    def test_a_table_tells_its_index(self):
        self.daemon.command('release', 'create', 'x')
        for table, rows, index in (('few', 10, 'balls'), ('many', 20000, 'balls'), ('none', 10, 'none')):
            self.daemon.command('table', 'create', 'x/' + table, '--entity', 'item', '--kind', 'ir', '--dim', 16, '--index', index)
            np.save(self.path('k.npy'), np.arange(rows, dtype='u8'))
            np.save(self.path('r.npy'), np.random.default_rng(1).standard_normal((rows, 16), 'f4'))
            self.daemon.command('import', 'x/' + table, '--keys', self.path('k.npy'), '--rows', self.path('r.npy'))
        self.assertEqual({each['index_state'] for each in client_of(self.daemon, 'table.list', release='x')['tables']},
                         {'waiting', 'none'})
        self.daemon.command('release', 'seal', 'x')
        seen = []
        end = time.monotonic() + harness.CALL_SECONDS
        with self.daemon.client() as client:
            while seen[-1:] != ['ready']:
                self.assertLess(time.monotonic(), end)
                seen += [client.call('table.show', release='x', table='many')['index_state']]
        self.assertIn('building', seen)
        self.assertLessEqual(set(seen), {'waiting', 'building', 'ready'})
        said = self.daemon.command('table', 'list', 'x')
        self.assertRegex(said, r'few .* few rows\n')
        self.assertRegex(said, r'many .* MiB +[0-9.]+ [KM]iB\n')
        self.assertRegex(said, r'none .* -\n')

    def test_a_seal_shows_how_far_it_is(self):
        """On a terminal there is a bar after a fifth of a second: the rows are doubled until a seal takes as long."""
        rows = 500000
        seen = {}
        said = b''
        while b'seal [' not in said:
            self.assertLess(rows, 1 << 23)
            release = 'p%d' % rows
            self.daemon.command('release', 'create', release)
            self.daemon.command('table', 'create', release + '/t', '--entity', 'user', '--kind', 'ur', '--dim', 16)
            np.save(self.path('k.npy'), np.arange(rows, dtype='u8'))
            np.save(self.path('r.npy'), np.ones((rows, 16), 'f4'))
            self.daemon.command('import', release + '/t', '--keys', self.path('k.npy'), '--rows', self.path('r.npy'))
            leader, follower = pty.openpty()
            process = subprocess.Popen([harness.program('repstore'), '-s', self.daemon.address, 'release', 'seal', release],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower)
            os.close(follower)
            with self.daemon.client() as client:
                while process.poll() is None:
                    sealing = client.call('release.show', release=release).get('sealing')
                    seen.update({sealing['done']: sealing['rows']} if sealing else {})
            with contextlib.suppress(OSError):     # all was read, and the other end is closed
                while True:
                    said += os.read(leader, 65536)
            os.close(leader)
            self.assertEqual(process.returncode, 0)
            self.assertNotIn('sealing', client_of(self.daemon, 'release.show', release=release))
            rows *= 2
        self.assertTrue(seen)
        self.assertTrue(all(done <= total for done, total in seen.items()))
        self.assertIn(b'rows/s', said)
        self.assertTrue(said.endswith(b'\r\x1b[K'), said)

    def test_completion_of_bash(self):
        script = os.path.join(os.path.dirname(__file__), '..', '..', 'tools', 'completion.bash')
        program = harness.program('repstore')
        for line, expected in ((['tab'], ['table']), (['-s', 'x', 'release', 'pub'], ['publish']),
                               (['table', 'create', 'r/t', '--inde'], ['--index']), (['fetch', 'u', '1', '--max'], ['--max-age'])):
            done = subprocess.run(['bash', '-c', 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _repstore; '
                                   'printf "%s\\n" "${COMPREPLY[@]}"', script, program, *line], stdout=subprocess.PIPE,
                                  timeout=harness.CALL_SECONDS, check=True)
            self.assertEqual(done.stdout.decode().split(), expected)

    def test_errors_are_json_when_told(self):
        for args, error in ((['fetch', 'none', '1'], 'NOT_FOUND'), (['fetch'], 'USAGE'), (['fecth'], 'USAGE'),
                            (['fetch', 'u', b'\xff'], 'USAGE'), (['fetch', 'u', '1', '--nothing'], 'USAGE')):
            for place in (0, len(args)):
                done = self.command(*args[:place], '--json', *args[place:], address=self.daemon.address)
                said, = done.stderr.splitlines()
                self.assertEqual(json.loads(said)['error'], error)

    def test_keys_that_are_shown_can_be_typed(self):
        for key, shown in (('Zoë', 'Zoë'), ('a b', 'a b'), ('hex:0a', 'hex:0a'), ('hex:ff00', 'hex:ff00'),
                           ('hex:6865783a3061', 'hex:6865783a3061'), ('hex:c285', 'hex:c285'), ('hex:6162', 'ab')):
            self.daemon.command('put', 'k', key, 1, 2)
            rows = self.daemon.command('fetch', 'k', key).splitlines()
            self.assertEqual(rows[-1].split('  ')[0], shown)
            self.assertIn('1 of 1 found', self.daemon.command('fetch', 'k', shown))
            self.assertIn(shown, self.daemon.command('score', '--from', 'u/1', '--in', 'k', key))

    def test_a_reader_that_leaves(self):
        with open(self.path('x.jsonl'), 'w') as file:
            file.write(''.join('{"key":%d,"vector":[1,2]}\n' % i for i in range(50000)))
        self.daemon.command('import', 'live/u', self.path('x.jsonl'))
        for args in ('dump live/u --format jsonl -', '--json fetch u ' + ' '.join(map(str, range(4000)))):
            done = subprocess.run(['bash', '-c', '"$0" -s "$1" %s | head -n 1; exit ${PIPESTATUS[0]}' % args,
                                   harness.program('repstore'), self.daemon.address], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS)
            self.assertEqual(done.stderr, b'')
            self.assertEqual(len(done.stdout.splitlines()), 1)
            self.assertEqual(done.returncode, 128 + 13)     # SIGPIPE


if __name__ == '__main__':
    harness.main()
