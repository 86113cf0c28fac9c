"""test_served.py - the log of served rows: what is in it, what it may take, and that no fetch waits for it."""

import glob
import json
import os
import re
import stat
import subprocess
import time

import numpy as np

import harness
import http_case

DIM, COUNT = 8, 2000
KEYS = np.arange(COUNT, dtype='<u8')
ROWS = np.random.RandomState(1).rand(COUNT, DIM).astype('<f4')
CODES, SCALES = np.rint(ROWS * 100).astype('i1'), np.full(COUNT, 0.01, '<f4')
NAMES = [b'user-%d' % i for i in range(50)]


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.folder = self.path('served')
        os.mkdir(self.folder)
        self.file = os.path.join(self.folder, 'log')

    def start(self, *args, rows=True, rate='1', **options):
        """A daemon whose log is in a folder of its own, with a live release."""
        self.config('[served]\nrows = %s\nsize = 8M\n%s' % ('on' if rows else 'off', options.pop('more', '')))
        self.daemon = self.start_daemon('--served-file', self.file, '--served-rate', rate, *args, **options)
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            for table, dtype in (('t', 'f32'), ('i', 'i8')):
                client.call('table.create', release='r', table=table, entity='item', kind='ir', dim=DIM, dtype=dtype)
                client.load('r', table, KEYS, ROWS if dtype == 'f32' else CODES, **({} if dtype == 'f32' else {'scales': SCALES}))
            client.call('table.create', release='r', table='s', entity='user', kind='ur', dim=DIM, key='bytes')
            client.load('r', 's', NAMES, ROWS[:len(NAMES)])
            client.seal('r')

    def config(self, text):
        with open(self.path('conf'), 'w') as file:
            file.write(text)

    def start_daemon(self, *args, **options):
        return super().start_daemon('--config', self.path('conf'), *args, **options)

    def figures(self):
        with self.daemon.client() as client:
            return client.call('stats')['served']

    def wait_for(self, what, *args):
        limit = time.monotonic() + harness.CALL_SECONDS
        while not what(*args):
            self.assertLess(time.monotonic(), limit, self.daemon.log())
            time.sleep(0.01)

    def files(self):
        found = glob.glob(self.file + '.*')
        return sorted(found, key=lambda path: int(path.rsplit('.', 1)[1]))

    def dump(self, *files, fails=None):
        said = self.daemon.command('served', *(files or self.files()), fails=fails)
        return [json.loads(line) for line in (said if isinstance(said, str) else said.decode()).splitlines()]

    def records(self, count):
        self.wait_for(lambda: self.figures()['written'] >= count)
        return self.dump()


class WhatIsInIt(Case):
    def test_a_fetch_is_there_as_it_was_answered(self):
        self.start()
        with self.daemon.client() as client:
            client.call('hello', client='ranker "eu"')
            before = harness.now_ms()
            reply = client.call('fetch', parts=[{'table': 's', 'keys': [b'user-7', b'nobody']},
                                                {'table': 't', 'keys': [1, 2, COUNT], 'dtype': 'f16'},
                                                {'table': 'i', 'keys': [3]}])
            client.call('fetch', parts=[{'table': 't', 'keys': []}])      # of nobody
        (record,) = self.records(1)
        self.assertEqual((record['release'], record['sequence'], record['client']), ('r', reply['sequence'], 'ranker \\x22eu\\x22'))
        self.assertTrue(before <= record['time'] <= harness.now_ms())
        s, t, i = record['parts']
        self.assertEqual((s['table'], s['keys'], s['found'], s['dtype']), ('s', ['user-7', 'nobody'], [True, False], 'f32'))
        np.testing.assert_array_equal(np.float32(s['rows'][0]), ROWS[7])
        self.assertIsNone(s['rows'][1])
        self.assertEqual((t['keys'], t['found'], t['dtype']), ([1, 2, COUNT], [True, True, False], 'f16'))
        np.testing.assert_array_equal(np.float16(t['rows'][:2]), ROWS[1:3].astype('f2'))
        codes = np.frombuffer(reply['parts'][2]['rows'], 'i1') * np.frombuffer(reply['parts'][2]['scales'], '<f4')
        np.testing.assert_allclose(np.float32(i['rows'][0]), codes, rtol=1e-6)

    def test_rows_are_left_out_unless_asked_for(self):
        self.start(rows=False)
        with self.daemon.client() as client:
            client.fetch('t', [1])
        (record,) = self.records(1)
        self.assertNotIn('rows', record['parts'][0])
        self.assertEqual(record['parts'][0]['found'], [True])

    def test_a_share_of_keys_is_in_as_a_whole(self):
        self.start(rate='0.25')
        with self.daemon.client() as client:
            for _ in range(3):
                for key in range(400):
                    client.fetch('t', [key, 1999])
        seen = self.figures()
        self.wait_for(lambda: self.figures()['written'] == seen['written'])
        times = {}
        for record in self.dump():
            key = record['parts'][0]['keys'][0]
            times[key] = times.get(key, 0) + 1
        self.assertEqual(set(times.values()), {3})
        self.assertTrue(60 < len(times) < 140, len(times))     # of 400, 100 are expected, 9 the deviation
        self.assertEqual(self.figures()['rate_ppm'], 250000)

    def test_large_fetches_run_elsewhere_and_are_in_too(self):
        self.start('--workers', '1')
        keys = np.arange(20000, dtype='<u8') % COUNT
        with self.daemon.client() as client:
            client.call('hello', client='batch')
            client.fetch('t', keys.tolist())
        (record,) = self.records(1)
        self.assertEqual(record['client'], 'batch')
        self.assertEqual(record['parts'][0]['keys'], keys.tolist())


class Bounds(Case):
    def test_the_oldest_file_makes_room(self):
        self.start(more='write_rate = 1G\n')
        with self.daemon.client() as client:
            for i in range(400):        # 20 MiB
                client.fetch('t', KEYS[i % 10:i % 10 + 1500].tolist())
                self.wait_for(lambda: sum(self.figures()[each] for each in ('written', 'dropped')) == i + 1)
        said = self.figures()
        self.assertEqual((said['dropped'], said['failed'], said['written']), (0, 0, 400))
        sizes = [os.path.getsize(path) for path in self.files()]
        self.assertLessEqual(sum(sizes), 8 << 20)
        self.assertGreater(sum(sizes), 6 << 20)
        self.assertLessEqual(max(sizes), 1 << 20)
        self.assertEqual((said['files'], said['file_bytes']), (len(sizes), sum(sizes)))
        self.assertGreater(said['bytes'], 16 << 20)
        records = self.dump()
        self.assertLess(len(records), 400)
        self.assertEqual(records[-1]['parts'][0]['keys'][0], 399 % 10)
        # Another start goes on in another file.
        last = self.files()[-1]
        before = os.path.getsize(last)
        self.daemon.restart()
        with self.daemon.client() as client:
            client.fetch('t', [1])
        self.wait_for(lambda: self.figures()['written'] == 1)
        self.assertEqual(os.path.getsize(last), before)
        self.assertEqual(int(self.files()[-1].rsplit('.', 1)[1]), int(last.rsplit('.', 1)[1]) + 1)
        self.assertEqual(stat.S_IMODE(os.stat(self.files()[-1]).st_mode) & ~0o640, 0)

    def test_a_file_that_was_removed_is_written_no_more(self):
        self.start()
        with self.daemon.client() as client:
            client.fetch('t', KEYS[:3].tobytes())
            self.records(1)
            os.unlink(self.files()[0])
            client.fetch('t', KEYS[3:5].tobytes())
            self.wait_for(lambda: self.figures()['written'] >= 2)
            self.assertEqual(len(self.files()), 1)
            self.assertEqual(len(self.dump()), 1)

    def test_what_comes_too_fast_is_dropped(self):
        self.start('--http', 'unix:' + self.path('http'), more='write_rate = 100K\n')
        with self.daemon.client() as client:
            for _ in range(100):
                client.fetch('t', KEYS[:1500].tolist())        # 50 KiB
            said = client.call('stats')['served']
        self.assertGreater(said['dropped'], 50)
        self.assertEqual(said['failed'], 0)
        self.wait_for(lambda: sum(self.figures()[each] for each in ('written', 'dropped')) == 100)
        self.assertGreaterEqual(self.figures()['written'], 1)
        rows = http_case.samples_of(http_case.ask(http_case.address_of(self.daemon), '/metrics')[2])['repstore_served_rows_total']
        self.assertEqual(rows, {'result="%s"' % each: 1500 * self.figures()[each] for each in ('written', 'dropped', 'failed')})

    def test_a_full_disk_is_told_once_and_fetches_go_on(self):
        disk = self.make_disk(2 << 20)
        os.chmod(disk, 0o700)
        self.file = os.path.join(disk, 'log')
        self.start(more='write_rate = 1G\n')
        with self.daemon.client() as client:
            for _ in range(200):        # all as large: a small one might find room where these do not
                self.assertEqual(client.fetch('t', KEYS[:1500].tolist())['rows'], ROWS[:1500].tobytes())
            self.wait_for(lambda: client.call('stats')['served']['failed'] > 10)
        self.assertEqual(len(re.findall('event=served_failed code=DISK_FULL', self.daemon.log())), 1)
        self.assertNotIn('event=served_resumed', self.daemon.log())
        whole = self.dump()
        self.assertGreater(len(whole), 10)
        for path in self.files()[:-1]:
            os.remove(path)

        def goes_on():
            with self.daemon.client() as client:
                client.fetch('t', [5])
            return 'event=served_resumed' in self.daemon.log()
        self.wait_for(goes_on)
        self.dump(self.files()[-1])

    def test_metrics_and_a_reload(self):
        self.start('--http', 'unix:' + self.path('http'))
        address = http_case.address_of(self.daemon)

        def metric(name):
            return http_case.samples_of(http_case.ask(address, '/metrics')[2])['repstore_served_' + name]
        with self.daemon.client() as client:
            for i in range(10):
                client.fetch('t', [i, i + 1, 10 ** 9])
            self.wait_for(lambda: metric('fetches_total')['result="written"'] == 10)
            self.assertEqual(metric('fetches_total')['result="dropped"'], 0)
            self.assertEqual(metric('rows_total'), {'result="written"': 30, 'result="dropped"': 0, 'result="failed"': 0})
            self.assertEqual(metric('file_bytes')[''], os.path.getsize(self.files()[0]))
            self.assertEqual(metric('file_limit_bytes')[''], 8 << 20)
            self.assertGreater(metric('bytes_total')[''], 10 * DIM * 4)
        self.config('[served]\nrows = off\nsize = 16M\n')
        self.daemon.process.send_signal(1)
        self.wait_for(lambda: 'event=config_loaded' in self.daemon.log())
        self.assertEqual((self.figures()['rows'], self.figures()['file_bytes_limit']), (False, 16 << 20))


class Damage(Case):
    def test_a_cut_file_is_read_up_to_there_and_a_damaged_one_told(self):
        self.start()
        with self.daemon.client() as client:
            for i in range(20):
                client.fetch('t', [i])
        whole = self.records(20)
        self.daemon.stop()
        (path,) = self.files()
        with open(path, 'rb') as file:
            data = file.read()
        for cut in (len(data) - 1, len(data) - 50, 33):
            with open(path, 'wb') as file:
                file.write(data[:cut])
            self.assertEqual(self.dump(), whole[:len(self.dump())])
            self.assertLess(len(self.dump()), 20)
        random = harness.random_state()
        for _ in range(20):
            at = int(random.integers(32, len(data)))
            with open(path, 'wb') as file:
                file.write(data[:at] + bytes([data[at] ^ 1 << int(random.integers(8))]) + data[at + 1:])
            done = self.daemon_free_dump(path)
            read = [json.loads(line) for line in done.stdout.decode().splitlines()]
            self.assertEqual(read, whole[:len(read)])
            self.assertLess(len(read), 20)
            self.assertRegex(done.stderr.decode(), 'is damaged at byte|ends in a part of a fetch')
        with open(path, 'wb') as file:
            file.write(b'x' + data[1:])
        done = self.daemon_free_dump(path)
        self.assertEqual((done.returncode, done.stdout), (1, b''))
        self.assertIn(b'no file of served rows', done.stderr)

    def daemon_free_dump(self, path):
        return subprocess.run([harness.program('repstore'), 'served', path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=harness.CALL_SECONDS)


class Places(Case):
    def test_foolish_places_are_refused(self):
        open_to_all = self.path('open')
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o777)
        self.config('')
        data = self.path('data')
        os.makedirs(os.path.join(data, 'releases'))
        os.symlink(data, self.path('link'))
        for file, why in (('served/log', 'a whole path is allowed'), ('/nonexistent/log', "folder '/nonexistent'"),
                          (os.path.join(open_to_all, 'log'), 'everybody may write'),
                          (os.path.join(data, 'log'), 'holds what the daemon needs'),
                          (os.path.join(data, 'releases', 'log'), 'holds what the daemon needs'),
                          (os.path.join(self.path('link'), 'log'), 'holds what the daemon needs'),
                          (self.folder + '/', 'a whole path is allowed'), (self.folder + '/.log', 'a whole path is allowed')):
            daemon = self.make_daemon('--config', self.path('conf'), '--served-file', file, '--data', data)
            with self.assertRaises(Exception):
                daemon.start()
            self.assertIn(why, daemon.log(), file)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_others_have_put_there_stays(self):
        target = self.path('target')
        with open(target, 'w') as file:
            file.write('precious')
        os.symlink(target, self.file + '.1')
        with open(self.file + '.x', 'w') as file:
            file.write('not ours')
        self.start()
        with self.daemon.client() as client:
            for i in range(10):
                client.fetch('t', [i])
            self.wait_for(lambda: sum(self.figures()[each] for each in ('written', 'failed')) == 10)
        with open(target) as file:
            self.assertEqual(file.read(), 'precious')
        self.assertTrue(os.path.islink(self.file + '.1'))

    def test_two_daemons_do_not_share_a_folder(self):
        self.start()
        other = self.make_daemon('--config', self.path('conf'), '--served-file', self.file, name='other')
        with self.assertRaises(Exception):
            other.start()
        self.assertIn('another daemon writes', other.log())


if __name__ == '__main__':
    harness.main()
