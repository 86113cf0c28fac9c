"""test_examples.py - the programs of client/examples are built as their users build them, and say what is true."""

import os
import subprocess
import sys
import unittest

import numpy as np

sys.dont_write_bytecode = True
import harness  # noqa: E402

EXAMPLES = os.path.join(harness.ROOT, 'client', 'examples')
INCLUDE = os.path.join(harness.ROOT, 'client', 'include')
BUILD = os.environ.get('REPSTORE_BUILD', os.path.join(harness.ROOT, 'build', 'gcc'))
WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-O1']
USERS, ITEMS, DIM = 10000, 100, 16
ABSENT = 10 ** 9


@unittest.skipIf(harness.SANITIZED, 'a program without a sanitizer cannot load the library of a sanitized build')
class Examples(harness.Case):
    def setUp(self):
        super().setUp()
        self.library = os.path.dirname(os.environ.get('LIBREPSTORE') or os.path.join(BUILD, 'client', 'librepstore.so'))
        self.daemon = self.start_daemon()
        random = np.random.default_rng(1)
        self.rows = {name: random.standard_normal((count, DIM), 'f4') for name, count in (('ur', USERS), ('ir', ITEMS))}
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for name, entity in (('ur', 'user'), ('ir', 'item')):
                client.call('table.create', release='r', table=name, entity=entity, kind=name, dim=DIM)
                client.load('r', name, np.arange(len(self.rows[name]), dtype='<u8'), self.rows[name])
            client.seal('r')

    def build(self, compiler, source, *libraries, names=()):
        program = self.path(source.partition('.')[0])
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', *libraries], stdout=subprocess.PIPE, check=True,
                               text=True).stdout.split() if libraries else []
        folders = [each for folder in (self.library, os.path.join(self.library, 'local'))
                   for each in ('-L', folder, '-Wl,-rpath,' + folder)]
        subprocess.run([*compiler, *WARNINGS, '-I', INCLUDE, os.path.join(EXAMPLES, source), '-o', program,
                        *folders, *names, '-lrepstore', *flags], check=True)
        return program

    def run_program(self, *command, status=0):
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                             timeout=harness.CALL_SECONDS)
        self.assertEqual(ran.returncode, status, ran.stderr)
        return ran

    def test_candidates_are_ranked_in_cpp(self):
        program = self.build(['c++', '-std=c++17'], 'rank.cc')
        ran = self.run_program(program, self.daemon.address, 'ur', 'ir', str(USERS))
        self.assertEqual(ran.stderr, '%d under way at once\n' % USERS)
        lines = [line.split('\t') for line in ran.stdout.splitlines()]
        best = (self.rows['ur'] @ self.rows['ir'].T).argmax(axis=1)
        self.assertEqual(sorted(int(user) for user, _, _ in lines), list(range(USERS)))
        right = sum(int(item) == best[int(user)] for user, item, _ in lines)
        self.assertGreater(right, USERS - 5)    # sums in another order may tie
        ran = self.run_program(program, self.daemon.address, 'ur', 'nothing', '3', status=1)
        self.assertIn('nothing', ran.stderr)

    def test_rows_are_fetched_in_libuv(self):
        program = self.build(['cc', '-std=gnu11'], 'uv_fetch.c', 'libuv')
        ran = self.run_program(program, self.daemon.address, 'ur', '7', str(ABSENT), '8')
        self.assertEqual(sorted(ran.stdout.splitlines()),
                         ['%d\tabsent\tdim %d' % (ABSENT, DIM), '7\tfound\tdim %d' % DIM, '8\tfound\tdim %d' % DIM])
        ran = self.run_program(program, 'unix:' + self.path('nobody'), 'ur', '7', status=1)
        self.assertIn('No such file or directory', ran.stderr)

    def test_rows_are_read_in_the_process(self):
        program = self.build(['cc', '-std=gnu11', '-pthread'], 'local_fetch.c', names=['-lrepstore-local'])
        self.daemon.stop()
        ran = self.run_program(program, self.daemon.data, 'ur', '7', str(ABSENT), '8')
        self.assertEqual(ran.stdout.splitlines(),
                         ['7\tfound\tdim %d' % DIM, '%d\tabsent\tdim %d' % (ABSENT, DIM), '8\tfound\tdim %d' % DIM])
        ran = self.run_program(program, self.path('none'), 'ur', '7', status=1)
        self.assertIn('No such file or directory', ran.stderr)


if __name__ == '__main__':
    harness.main()
