"""test_reload.py - settings that are read anew at SIGHUP, and settings that are only looked at."""

import fcntl
import os
import re
import signal
import subprocess
import termios
import time

import numpy as np

import harness
import http_case

KEYS = np.arange(1000, dtype='<u8')
ROWS = np.arange(4000, dtype='<f4').reshape(1000, 4)


class Reload(harness.Case):
    def start(self, text, *args, **options):
        self.daemon = self.start_daemon('--workers', '1', *self.config(text), *args, **options)

    def reload(self, text, fails=False):
        """Writes the settings, sends SIGHUP, waits until they were read; returns the lines of the journal since."""
        with open(self.path('conf'), 'w') as file:
            file.write(text)
        name = 'reloads_failed' if fails else 'reloads'
        with self.daemon.client() as client:
            before = client.call('stats')['config'][name]
            told = len(self.daemon.log())
            self.daemon.process.send_signal(signal.SIGHUP)
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('stats')['config'][name] == before:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.001)
        return self.daemon.log()[told:]

    def fill(self):
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=4)
            client.load('r', 't', KEYS, ROWS)
            client.seal('r')

    def test_roles_hold_from_the_next_request_on(self):
        tcp = 'tcp:127.0.0.1:%d' % harness.free_port()
        self.start('[access]\nread = tcp:loopback\n', listen=[tcp])
        with harness.Client(tcp) as client:
            client.call('release.list')
            log = self.reload('[access]\nread = user:1\n')
            with self.fails('DENIED', "release.list wants the role 'read'; tcp:loopback has 'none'"):
                client.call('release.list')
            self.assertIn('level=info event=audit result=OK peer=settings method=reload role=read entry=tcp:loopback change=removed', log)
            self.assertIn('level=info event=audit result=OK peer=settings method=reload role=read entry=user:1 change=added', log)
            self.assertIn('level=info event=config_changed setting=access.read\n', log)
            log = self.reload('[access]\nadmin = tcp:loopback\n')
            client.call('merge')
            self.assertIn('level=info event=config_changed setting=access.admin\n', log)
            log = self.reload('[access]\nadmin = tcp:loopback\n')
            self.assertEqual([each for each in re.findall(r'event=(\S+)', log) if each != 'request_slow'], ['config_loaded'])

    def test_a_file_with_a_mistake_changes_nothing(self):
        self.start('[access]\nread = user:1\n[net]\nrequest_keys = 100000\n')
        for text, why in (('[access]\nread = user:2\n[net]\nrequest_keys = 7\n', ":4: request_keys: '7' is no number from 1000 to "),
                          ('[net]\n\nworkres = 2\n', ":3: unknown setting 'workres' in section 'net'"),
                          ('[access]\nread = user:no-such-user\n', ":2: read: 'user:no-such-user': there is no user"),
                          ('[access\n', ':1: neither [section] nor key = value')):
            log = self.reload(text, fails=True)
            self.assertIn('level=error event=config_refused error="%s%s' % (self.path('conf'), why), log)
            self.assertNotIn('event=config_changed', log)
            with self.daemon.client() as client:
                figures = client.call('stats')['config']
                self.assertEqual((figures['reloads'], figures['last_reload_successful']), (0, False))
                self.assertEqual(client.wait(client.send('access.check', {'as': 'user:1', 'method': 'fetch'}))['allowed'], True)
                self.assertEqual(client.wait(client.send('access.check', {'as': 'user:2', 'method': 'fetch'}))['allowed'], False)
        os.remove(self.path('conf'))
        self.daemon.process.send_signal(signal.SIGHUP)
        log = self.reload('[access]\nread = user:2\n')
        with self.daemon.client() as client:
            figures = client.call('stats')['config']
            self.assertTrue(figures['last_reload_successful'])
            self.assertLess(abs(figures['last_reload_success_ms'] - harness.now_ms()), 60000 * harness.PATIENCE)

    def test_limits_change_and_what_cannot_is_named(self):
        self.start('')
        self.fill()
        log = self.reload('[net]\nmax_connections = 4\nkept_connections = 0\nrequest_keys = 1000\nrequest_memory = 300M\nreply_memory = 200M\n'
                          'workers = 2\nslow_threshold = 7ms\nlisten = unix:/nowhere/s\n[store]\ndata = /elsewhere\ndisk_reserve = 1M\n'
                          '[log]\nmerge_rate = 5M\ndurability = periodic\nmemtable_rows = 2000\n')
        changed = set(re.findall(r'level=info event=config_changed setting=(\S+)', log))
        kept = set(re.findall(r'level=warning event=config_kept setting=(\S+)', log))
        # The command line says where the data is, how many workers there are, and where to listen.
        self.assertEqual(kept, {'log.durability'})
        self.assertEqual(changed, {'net.max_connections', 'net.kept_connections', 'net.request_keys', 'net.request_memory', 'net.reply_memory', 'net.slow_threshold',
                                   'store.disk_reserve', 'log.merge_rate', 'log.memtable_rows'})
        with self.daemon.client() as client:
            self.assertEqual(client.call('stats')['slow']['threshold_ms'], 7)
            memory = client.call('stats')['memory']
            self.assertEqual((memory['requests_limit'], memory['replies_limit']), (300 << 20, 200 << 20))
            self.assertEqual(client.call('stats')['write']['durability'], 'sync')
            with self.fails('TOO_LARGE', 'request_keys'):
                client.call('fetch', parts=[{'table': 't', 'keys': [1] * 1001}])
            others = [self.daemon.client() for _ in range(4)]
            for other in others[:3]:
                other.call('ping')
            self.assertTrue(others[3].is_closed())
            for other in others:
                other.close()
            for i in range(8):      # more than memtable_rows: the merges of the new bound make room
                keys = np.arange(i * 1000, (i + 1) * 1000, dtype='<u8')
                client.call('put', release='live', table='t', keys=keys.tobytes(), rows=ROWS.tobytes(), timeout_ms=60000)
        self.reload('')
        with self.daemon.client() as client:
            client.call('fetch', parts=[{'table': 't', 'keys': [1] * 1001}])

    def write(self, text):
        """At once, since settings may be read at this moment."""
        with open(self.path('next'), 'w') as file:
            file.write(text)
        os.replace(self.path('next'), self.path('conf'))

    def test_a_peer_may_ask_for_it_and_is_told(self):
        self.start('')
        self.assertEqual(self.daemon.command_json('reload'), [{'config': self.path('conf'), 'changed': [], 'kept': []}])
        self.write('[net]\nslow_threshold = 7ms\npool = 3\n[access]\nread = user:1\n')
        self.assertEqual(self.daemon.command('reload'), 'net.slow_threshold: changed\naccess.read: changed\n'
                         'net.pool: differs; a restart takes it over\nthe settings hold: %s\n' % self.path('conf'))
        with self.daemon.client() as client:
            self.assertEqual(client.call('stats')['slow']['threshold_ms'], 7)   # it was in force when the command ended
            self.write('[net]\nslow_threshold = 9ms\nin_flight = 0\n')
            with self.fails('BAD_REQUEST', 'reload: nothing has changed: %s:3: in_flight: ' % self.path('conf')):
                client.call('reload')
            stats = client.call('stats')
            self.assertEqual((stats['slow']['threshold_ms'], stats['config']['reloads_failed'], stats['config']['last_reload_successful']), (7, 1, False))
        self.assertIn('in_flight', self.daemon.command('reload', fails=1))
        log = self.daemon.log()
        self.assertIn('event=audit result=OK peer=settings method=reload role=read entry=user:1 change=added', log)
        self.assertRegex(log, r'event=audit result=OK peer=uid:\d+ method=reload ')
        self.assertRegex(log, r'event=audit result=BAD_REQUEST peer=uid:\d+ method=reload ')

    def test_many_ask_at_once(self):
        """Beside SIGHUP, while the file changes: each is told of a reading that began after it asked."""
        self.start('[net]\nin_flight = 1\n')
        clients = [self.daemon.client() for _ in range(3)]
        for value in range(2, 42):
            self.write('[net]\nin_flight = %d\n' % value)
            sent = [client.send('reload') for client in clients]
            self.daemon.process.send_signal(signal.SIGHUP)
            said = [client.wait(number) for client, number in zip(clients, sent)]
            self.assertTrue(all(each['changed'] in ([], ['net.in_flight']) and each['kept'] == [] for each in said))
        for client in clients:
            client.close()
        self.assertEqual(self.daemon.log().count('event=config_changed setting=net.in_flight'), 40)

    def test_who_waits_for_settings_that_do_not_come_is_told_of_the_stop(self):
        self.start('')
        os.remove(self.path('conf'))
        os.mkfifo(self.path('conf'))            # opening it waits for a writer
        with self.daemon.client() as client:
            asked = client.send('reload')
            with self.daemon.client() as other:
                with self.fails('TIMEOUT'):
                    other.call('reload', timeout_ms=1)
            self.daemon.process.send_signal(signal.SIGTERM)
            with self.fails('BUSY', 'the daemon is stopping'):
                client.wait(asked)
        self.assertEqual(self.daemon.process.wait(harness.STOP_SECONDS), 0)

    def test_few_wait_for_settings_that_do_not_come(self):
        """Others are told at once, and what an operator looks at is answered."""
        self.start('')
        os.remove(self.path('conf'))
        os.mkfifo(self.path('conf'))
        clients = [self.daemon.client() for _ in range(4)]
        sent = [client.send('reload') for client in clients[:3]]
        text = ''
        while 'others' not in text:     # until those before have come as far
            try:
                clients[3].call('reload', timeout_ms=200)
            except harness.Failed as failed:
                text = failed.text
                self.assertIn(failed.code, ('TIMEOUT', 'BUSY'))
        self.assertIn('3 others wait for it already', text)
        clients[3].call('stats')
        self.daemon.process.send_signal(signal.SIGTERM)
        for client, number in zip(clients, sent):
            with self.fails('BUSY', 'the daemon is stopping'):
                client.wait(number)
        for client in clients:
            client.close()
        self.assertEqual(self.daemon.process.wait(harness.STOP_SECONDS), 0)

    def test_a_metric_says_whether_the_file_holds(self):
        self.start('', '--http', 'unix:' + self.path('http'))

        def metrics():
            return http_case.samples_of(http_case.ask('unix:' + self.path('http'), '/metrics')[2])

        self.assertEqual(metrics()['repstore_config_last_reload_successful'], {'': 1})
        self.reload('[x]\n[net\n', fails=True)
        said = metrics()
        self.assertEqual(said['repstore_config_last_reload_successful'], {'': 0})
        self.assertLess(abs(said['repstore_config_last_reload_success_timestamp_seconds'][''] - time.time()), 100 * harness.PATIENCE)
        self.assertEqual(said['repstore_auth_failures_total']['transport="unix",reason="role"'], 0)

    def test_requests_go_on_while_settings_are_read(self):
        self.start('')
        self.fill()
        with self.daemon.client() as client:
            for i in range(200):
                self.daemon.process.send_signal(signal.SIGHUP)
                self.assertEqual(client.fetch('t', [i])['rows'], ROWS[i].tobytes())
                client.call('put', release='live', table='t', keys=[i], rows=ROWS[i].tobytes())
            self.assertGreater(client.call('stats')['config']['reloads'], 0)

    def test_a_terminal_that_is_hung_up_takes_nothing_along(self):
        """The daemon runs in a terminal, as its foreground job; the terminal is closed while requests are under way."""
        master, slave = os.openpty()
        self.daemon = daemon = self.make_daemon('--workers', '1')

        def enter():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            os.dup2(slave, 0)
            os.dup2(slave, 1)
            os.dup2(slave, 2)
            os.close(master)

        daemon.before_exec = enter
        daemon.start()
        os.close(slave)
        self.fill()
        with daemon.client() as client:
            waiting = [client.send('put', dict(release='live', table='t', keys=[i], rows=ROWS[i + 1].tobytes())) for i in range(50)]
            self.assertIn(b'event=listening', os.read(master, 4096))
            os.close(master)
            for msgid in waiting:
                client.wait(msgid)
            limit = time.monotonic() + harness.CALL_SECONDS
            while client.call('stats')['config']['reloads'] == 0:
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.001)
            for i in range(50):
                self.assertEqual(client.fetch('t', [i])['rows'], ROWS[i + 1].tobytes())

    def check(self, text, *args):
        with open(self.path('conf'), 'w') as file:
            file.write(text)
        done = subprocess.run([harness.program('repstored'), '--check-config', '--config', self.path('conf'), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_a_stop_does_not_wait_for_settings_that_do_not_come(self):
        self.start('[net]\nstop_grace = 1s\n')
        os.unlink(self.path('conf'))
        os.mkfifo(self.path('conf'))    # whoever opens it waits for somebody who writes
        self.daemon.process.send_signal(signal.SIGHUP)
        tasks = '/proc/%d/task' % self.daemon.process.pid
        limit = time.monotonic() + harness.CALL_SECONDS
        while not any('wait_for_partner' in self.waits_in(os.path.join(tasks, task)) for task in os.listdir(tasks)):
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)
        self.daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(30), 0)
        self.daemon.process = None
        self.assertIn('reason=work_left_unfinished', self.daemon.log())

    def waits_in(self, task):
        """The function of the kernel in which a thread waits."""
        try:
            with open(os.path.join(task, 'wchan')) as file:
                return file.read()
        except OSError:
            return ''

    def test_settings_are_looked_at(self):
        name = self.path('conf')
        self.assertEqual(self.check('[access]\nread = user:daemon\n'), (0, 'the settings are fine: %s\n' % name, ''))
        self.assertEqual(self.check('[log]\ndurability = never\n'),
                         (1, '', "repstored: %s:2: durability: 'never' given, sync or periodic allowed\n" % name))
        status, _, says = self.check('[net]\nlisten = tcp:10.0.0.1:7\n')
        self.assertEqual(status, 1)
        self.assertTrue(says.startswith("repstored: %s: listen 'tcp:10.0.0.1:7': " % name), says)
        self.assertEqual(self.check('[http]\nlisten = tcp:127.0.0.1:7\n')[0], 0)
        for wrong in ('tcp:10.0.0.1:7', 'tls:127.0.0.1:7', 'nothing:7'):
            self.assertEqual(self.check('[http]\nlisten = %s\n' % wrong)[0], 1, wrong)
        self.assertEqual(self.check('', '--workers', '0')[0], 2)
        backups = self.path('backups')
        os.makedirs(os.path.join(self.path('data'), 'log'))
        for folder, says in ((backups, 'No such file'), (name, 'Not a directory'), (self.path('data'), 'lies in the data folder'),
                             (os.path.join(self.path('data'), 'log/'), 'lies in the data folder')):
            done = self.check('[store]\nbackup_folder = %s\n' % folder, '--data', self.path('data'))
            self.assertEqual(done[:2], (1, ''), done)
            self.assertIn("backup_folder '%s': " % folder.rstrip('/'), done[2])
            self.assertIn(says, done[2])
        os.rmdir(os.path.join(self.path('data'), 'log'))
        os.rmdir(self.path('data'))
        os.makedirs(backups)
        self.assertEqual(self.check('[store]\nbackup_folder = %s/\n' % backups)[0], 0)
        self.assertFalse(os.path.exists(self.path('data')))


if __name__ == '__main__':
    harness.main()
