"""test_command.py - what a careless operator does with the programs: closed files, odd places for
a dump, numbers that are none. Each is refused by name, and nothing is lost."""

import os
import subprocess
import time

import numpy as np

import harness
from harness import Case


def run(daemon, *args, closed=(), data=None):
    """Runs `repstore` with some of its standard files closed: (status, stderr)."""

    def close():
        for fd in closed:
            os.close(fd)

    done = subprocess.run([harness.program('repstore'), '-s', daemon.address, *args], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=close,
                          timeout=harness.CALL_SECONDS)
    return done.returncode, done.stderr.decode()


class ClosedFiles(Case):
    """A file or a socket that got the number of a closed one would be read or written for it."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')
        self.daemon.command('table', 'create', 'r/t', '--entity', 'item', '--kind', 'ir',
                            '--dim', '2')

    def test_standard_output(self):
        for command in (['ping'], ['release', 'list'], ['--json', 'stats']):
            status, says = run(self.daemon, *command, closed=[1])
            self.assertEqual(status, 1, command)
            self.assertIn('Bad file descriptor', says)
        stats = self.daemon.command_json('stats')[0]
        self.assertEqual({name: each['errors'] for name, each in stats['requests'].items()
                          if each['errors']}, {})

    def test_standard_input(self):
        status, says = run(self.daemon, 'import', 'r/t', '--format', 'jsonl', '-', closed=[0])
        self.assertEqual(status, 1)
        self.assertIn('Bad file descriptor', says)

    def test_a_dump_holds_rows_alone(self):
        row = b'{"key": 1, "vector": [1, 2], "time": 1700000000007}\n'
        run(self.daemon, 'import', 'r/t', '--format', 'jsonl', '-', data=row)
        self.daemon.command('release', 'seal', 'r')
        place = self.path('t.jsonl')
        run(self.daemon, 'dump', 'r/t', place, closed=[0, 1, 2])
        with open(place, 'rb') as file:
            self.assertEqual(file.read(), row)

    def wait_until_it_answers(self, process, address):
        while process.poll() is None:
            try:
                with harness.Client(address) as client:
                    client.call('ping')
                return
            except (FileNotFoundError, ConnectionRefusedError, harness.Closed):
                time.sleep(0.005)
        self.fail('repstored ended with %d' % process.returncode)

    def test_the_daemon_logs_into_no_other_file(self):
        data = self.path('other')
        address = 'unix:' + self.path('o')

        def close():
            for fd in range(3):
                os.close(fd)

        process = subprocess.Popen([harness.program('repstored'), '--data', data, '--listen',
                                    address], preexec_fn=close)
        try:
            self.wait_until_it_answers(process, address)
            for fd in range(3):
                self.assertEqual(os.readlink('/proc/%d/fd/%d' % (process.pid, fd)), '/dev/null')
        finally:
            process.terminate()
            self.assertEqual(process.wait(harness.STOP_SECONDS), 0)


class Places(Case):
    def test_a_dump_replaces_only_files(self):
        daemon = self.start_daemon()
        daemon.command('release', 'create', 'r')
        daemon.command('table', 'create', 'r/t', '--entity', 'item', '--kind', 'ir', '--dim', '2')
        daemon.command('release', 'seal', 'r')
        pipe = self.path('pipe.jsonl')
        folder = self.path('folder.jsonl')
        os.mkfifo(pipe)
        os.mkdir(folder)
        for place in (pipe, folder):
            says = daemon.command('dump', 'r/t', place, fails=1)
            self.assertIn("'%s': not a regular file" % place, says)
            self.assertFalse(os.path.isfile(place))
        says = daemon.command('dump', 'r/t', '--keys', pipe, '--rows', self.path('r.npy'), fails=1)
        self.assertIn("'%s': not a regular file" % pipe, says)
        self.assertFalse(os.path.exists(self.path('r.npy')))


class Arguments(Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.daemon.command('release', 'create', 'r')

    def create(self, *args, **options):
        return self.daemon.command('table', 'create', 'r/t', '--entity', 'item', '--kind', 'ir',
                                   *args, **options)

    def test_numbers_that_are_none(self):
        self.assertIn('dim: 0 given, 1..65536 allowed', self.create('--dim', '0', fails=1))
        self.assertIn('views: 0 given', self.create('--dim', '2', '--views', '0', fails=1))
        self.assertIn("--dim: '18446744073709551616' is not a number below 2^64",
                      self.create('--dim', '18446744073709551616', fails=2))
        self.assertIn('--dim', self.create(fails=2))

    def test_arrays_that_do_not_fit_are_shown(self):
        self.create('--dim', '2')
        keys = np.arange(4, dtype='<u8')
        rows = np.zeros((4, 2), '<f4')
        arrays = {'keys': keys, 'rows': rows, 'square': keys.reshape(2, 2),
                  'reals': keys.astype('<f8'), 'wide': np.zeros((4, 3), '<f4')}
        for name, array in arrays.items():
            np.save(self.path(name + '.npy'), array)
        for keys, rows, says in (('square', 'rows', 'shape: [2, 2] given'),
                                 ('reals', 'rows', 'descr: f8 given'),
                                 ('keys', 'wide', 'shape: [4, 3] given'),
                                 ('keys', 'reals', 'descr: f8 given')):
            told = self.daemon.command('import', 'r/t', '--keys', self.path(keys + '.npy'),
                                       '--rows', self.path(rows + '.npy'), fails=1)
            self.assertIn(says, told)
        told = self.daemon.command('import', 'r/t', '--keys', self.path('keys.npy'), '--rows',
                                   self.path('rows.npy'), '--times', self.path('square.npy'),
                                   fails=1)
        self.assertIn('descr: u8 given, this column is i8', told)


if __name__ == '__main__':
    harness.main()
