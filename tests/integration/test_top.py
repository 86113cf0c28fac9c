"""test_top.py - repstore top: its figures, its screen, and the terminal that it leaves behind."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import numpy as np

import harness

DIM, COUNT = 8, 100
ENTER, LEAVE = b'\x1b[?1049h', b'\x1b[?1049l'


class Screen:
    """The command on a terminal of its own."""

    def __init__(self, address, *args, rows=40, columns=120):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.shown = b''
        self.process = subprocess.Popen([harness.program('repstore'), '-s', address, 'top', *args], stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            self.shown += os.read(self.master, 65536)

    def wait_for(self, *words):
        limit = time.monotonic() + harness.CALL_SECONDS
        while not all(word in self.shown for word in words):
            assert time.monotonic() < limit, self.shown
            self.read()

    def ended(self):
        status = self.process.wait(harness.CALL_SECONDS)
        self.read()
        return status

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Top(harness.Case):

    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon('--slow-threshold', '1ms')
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.client.call('release.create', release='ckpt-1')
        self.client.call('table.create', release='ckpt-1', table='ir', entity='item', kind='ir', dim=DIM)
        self.client.load('ckpt-1', 'ir', np.arange(COUNT, dtype='<u8'), np.ones((COUNT, DIM), '<f4'))
        self.client.seal('ckpt-1')

    @contextlib.contextmanager
    def screen(self, *args, **options):
        screen = Screen(self.daemon.address, *args, **options)
        try:
            yield screen
        finally:
            screen.close()

    @contextlib.contextmanager
    def fetches(self):
        """Of ten keys, three of which are not there, until the block ends."""
        over = threading.Event()

        def fetch():
            with self.daemon.client() as client:
                while not over.is_set():
                    client.fetch('ir', [*range(7), 1000, 1001, 1002])
        crowd = harness.Crowd()
        crowd.start(fetch)
        try:
            yield
        finally:
            over.set()
            crowd.join()

    def assert_left(self, screen):
        """The screen, the cursor and the keyboard are as they were."""
        self.assertEqual(screen.shown.count(ENTER), screen.shown.count(LEAVE))
        self.assertGreater(screen.shown.rfind(LEAVE), screen.shown.rfind(ENTER))
        self.assertGreater(screen.shown.rfind(b'\x1b[?25h'), screen.shown.rfind(b'\x1b[?25l'))
        self.assertEqual(termios.tcgetattr(screen.slave), screen.before)

    def test_the_figures_are_those_of_the_time_between_two_looks(self):
        with self.fetches():
            figures = json.loads(self.daemon.command('--json', 'top', '--once', '-i', '0.5'))
        fetch, table = figures['methods']['fetch'], figures['tables']['ir']
        self.assertGreater(fetch['per_second'], 10)
        self.assertTrue(0 < fetch['p50_us'] <= fetch['p99_us'] <= fetch['p999_us'], fetch)
        self.assertAlmostEqual(table['found_share'], 0.7, places=2)
        self.assertAlmostEqual(table['keys_per_second'], 10 * fetch['per_second'], delta=0.1 * table['keys_per_second'])
        self.assertIsNone(figures['methods']['load']['p50_us'])     # there was none in that time
        self.assertEqual([each['release'] for each in figures['releases']], ['ckpt-1'])
        self.assertEqual((figures['live'], figures['read_only']), ('ckpt-1', False))
        self.assertIn('write', figures['queues'])

    def test_once_is_text_without_an_escape(self):
        with self.fetches():
            shown = self.daemon.command('top', '--once', '-i', '0.3')
        self.assertNotIn('\x1b', shown)
        fetch = next(line for line in shown.splitlines() if line.startswith('fetch '))
        self.assertGreater(float(fetch.split()[1]), 10)
        self.assertIn('70.', next(line for line in shown.splitlines() if line.startswith('ir ')))
        self.assertRegex(shown, 'ckpt-1 +live +100 ')

    def test_it_is_ended_by_a_key_or_by_a_signal_and_leaves_the_terminal(self):
        for how, status in (('q', 0), (signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP),
                            (signal.SIGSEGV, -signal.SIGSEGV), (signal.SIGQUIT, -signal.SIGQUIT)):
            with self.subTest(how=how), self.screen('-i', '0.1') as screen:
                screen.wait_for(ENTER, b'ckpt-1', b'METHOD')
                self.assertNotEqual(termios.tcgetattr(screen.slave), screen.before)
                if how == 'q':
                    os.write(screen.master, b'q')
                else:
                    screen.process.send_signal(how)
                self.assertEqual(screen.ended(), status)
                self.assert_left(screen)

    def test_ctrl_c_of_the_terminal_ends_it(self):
        with self.screen('-i', '3600') as screen:
            screen.wait_for(b'METHOD')
            os.write(screen.master, b'\x03')
            self.assertEqual(screen.ended(), 0)
            self.assert_left(screen)

    def test_a_window_of_another_size_is_filled_anew(self):
        with self.screen('-i', '3600', rows=40, columns=200) as screen:
            screen.wait_for(b'RELEASE', b'ckpt-1', b'SLOWEST')
            screen.shown = b''
            screen.resize(3, 20)
            screen.process.send_signal(signal.SIGWINCH)
            screen.wait_for(b'repstore top')
            screen.read()
            lines = screen.shown.split(b'\x1b[H')[-1].split(b'\n')
            self.assertEqual(len(lines), 3, lines)
            for line in lines:
                self.assertLessEqual(len(line.replace(b'\x1b[K', b'').strip(b'\r')), 20)
            os.write(screen.master, b'q')
            self.assertEqual(screen.ended(), 0)

    def test_a_stop_gives_the_screen_back_until_it_goes_on(self):
        with self.screen('-i', '3600') as screen:
            screen.wait_for(b'METHOD')
            screen.process.send_signal(signal.SIGTSTP)
            os.waitid(os.P_PID, screen.process.pid, os.WSTOPPED | os.WNOWAIT)
            screen.read()
            self.assert_left(screen)
            screen.shown = b''
            screen.process.send_signal(signal.SIGCONT)
            screen.wait_for(ENTER, b'METHOD')
            os.write(screen.master, b'q')
            self.assertEqual(screen.ended(), 0)

    def test_a_restart_of_the_daemon_does_not_end_it(self):
        with self.screen('-i', '0.1') as screen:
            screen.wait_for(b'METHOD')
            self.daemon.stop()
            screen.shown = b''
            screen.wait_for(b'it asks again')
            self.daemon.start()
            screen.shown = b''
            screen.wait_for(b'METHOD')
            os.write(screen.master, b'q')
            self.assertEqual(screen.ended(), 0)
            screen.shown = ENTER + screen.shown
            self.assert_left(screen)

    def test_what_clients_chose_does_not_reach_the_terminal(self):
        """The slowest requests are shown with the name of their client: here an escape, and a line of its own."""
        with self.daemon.client() as client, self.screen('-i', '0.1') as screen:
            client.call('hello', client='\x1b[2J\nevil')
            limit = time.monotonic() + harness.CALL_SECONDS
            while b'\\x1b[2J' not in screen.shown:
                client.call('put', release='live', table='ir', keys=list(range(2000)), rows=bytes(2000 * 4 * DIM))
                screen.read()
                self.assertLess(time.monotonic(), limit, screen.shown)
            self.assertIn(b'\\x1b[2J\\x0aevil', screen.shown)
            os.write(screen.master, b'q')
            screen.ended()
            self.assertEqual(screen.shown.count(b'\x1b[2J'), 1)        # that of the command itself

    def test_wrong_options_are_told(self):
        for args, said in ((['-i', '0'], '-i: 0'), (['-i', 'x'], '-i'), (['now'], "'now'")):
            shown = self.daemon.command('top', *args, fails=2)
            self.assertIn(said, shown)


if __name__ == '__main__':
    harness.main()
