"""test_sandbox.py - the daemon under the filter and the settings of the unit that is shipped."""

import ctypes
import os
import re
import ssl
import time

import numpy as np

import certificates
import harness
import http_case
import sandbox

ROWS = 6000
DIM = 32
KEYS = np.arange(ROWS, dtype='<u8')
VALUES = np.random.default_rng(2).standard_normal((ROWS, DIM)).astype('<f4')
AGGREGATE = dict(dim=DIM, decay_events=0.99)
MADV_PAGEOUT = 21
GENTLE_NICE = 15     # of the merger
SYS_PIDFD_OPEN = 434
SYS_PROCESS_MADVISE = 440


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]


def wait_for(condition, what):
    limit = time.monotonic() + harness.CALL_SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError('never: ' + what)
        time.sleep(0.01)


def ranges_of(pid, name):
    with open('/proc/%d/maps' % pid) as maps:
        for line in maps:
            if name in line:
                yield [int(end, 16) for end in line.split()[0].split('-')]


def resident_bytes(pid, name):
    found = 0
    inside = False
    with open('/proc/%d/smaps' % pid) as maps:
        for line in maps:
            if re.match('[0-9a-f]+-[0-9a-f]+ ', line):
                inside = name in line
            elif inside and line.startswith('Rss:'):
                found += int(line.split()[1]) * 1024
    return found


def niceness(pid):
    """Of each thread."""
    found = []
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/stat' % (pid, thread)) as stat:
            found.append(int(stat.read().rpartition(')')[2].split()[16]))
    return found


def all_segments(client, what):
    store = client.call('stats')['store']
    return store[what] == store['segments']


def loop_faults(pid):
    """How often the loops waited for a page from the disk. They and the main thread have no name of their own."""
    faults = 0
    for thread in os.listdir('/proc/%d/task' % pid):
        with open('/proc/%d/task/%s/stat' % (pid, thread)) as stat:
            text = stat.read()
        if text[text.index('(') + 1:text.rindex(')')] == 'repstored':
            faults += int(text[text.rindex(')') + 2:].split()[9])
    return faults


class UnderTheUnit(harness.Case):
    def setUp(self):
        super().setUp()
        if harness.SANITIZED:
            self.skipTest('sanitizers make calls of their own')

    def start_under(self, *args, unlisted=None, settings=None, listen=('tcp:127.0.0.1:0',)):
        os.makedirs(self.path('backups'), exist_ok=True)
        daemon = self.make_daemon('--workers', '1', '--backup-folder', self.path('backups'), *args, listen=listen)
        try:
            unit = sandbox.Sandbox(self.scratch, settings=settings, unlisted=unlisted)
        except sandbox.Missing as missing:
            self.skipTest(str(missing))
        daemon.before_exec = unit.enter
        return daemon.start()

    def load(self, client, release, rows=VALUES, **options):
        client.call('release.create', release=release)
        client.call('table.create', release=release, table='ir', entity='item', kind='ir', dim=DIM, **options)
        for entity in ('user', 'item'):
            client.call('table.create', release=release, table='cr_%s@mix' % entity, entity=entity, kind='cr',
                        **AGGREGATE)
        client.load(release, 'ir', np.arange(len(rows), dtype='<u8'), rows)
        client.call('tensor.put', release=release, tensor='w', dtype='f32', shape=[DIM], data=VALUES[0].tobytes())

    def session(self, daemon):
        """Each kind of work that the daemon has."""
        with daemon.client() as client:
            self.load(client, 'a', index='balls')
            client.seal('a')
            wait_for(lambda: client.call('table.show', release='a', table='ir')['index_bytes'] > 0, 'an index')
            self.assertEqual(client.fetch('ir', [7])['rows'], VALUES[7].tobytes())
            found = client.call('retrieve', **{'from': dict(table='ir', keys=[7]), 'in': 'ir', 'metric': 'cosine'})
            self.assertEqual(np.frombuffer(found['parts'][0]['keys'], '<u8')[0], 7)
            client.call('put', release='a', table='ir', keys=[7], rows=VALUES[8].tobytes())
            client.call('delete', release='a', table='ir', keys=[9])
            client.call('observe', release='a', layer='mix', users=[1], items=[2],
                        times=np.array([harness.now_ms()], '<i8').tobytes(), rows=VALUES[3].tobytes(),
                        source='s', position=0)
            self.assertGreater(client.call('merge')['rows'], 0)
            self.assertEqual(client.fetch('ir', [7])['rows'], VALUES[8].tobytes())
            sum(reply['n'] for reply in client.walk('ir'))
            client.call('stats')
            listening = client.call('info')['listen']
            for address in (text for text in listening if text.startswith('tcp:')):
                with harness.Client(address) as other:
                    other.call('ping')
            client.call('tensor.get', release='a', tensor='w')
            for copy in (False, True):
                client.call('backup', dir='b', copy=copy)
            client.call('release.export', release='a', dir='e')
            client.call('release.adopt', dir='e', release='adopted')
            wait_for(lambda: client.call('table.show', release='adopted', table='ir')['index_bytes'] > 0, 'its index')
            client.call('release.drop', release='adopted')
            self.assertEqual(client.call('verify')['damaged'], 0)
            self.load(client, 'b')
            client.call('release.seal', release='b')
            client.call('release.publish', release='b')
            client.call('release.rollback')
            client.call('release.drop', release='b')
            wait_for(lambda: not os.path.exists(daemon.data + '/releases/3'), 'the release is gone')
        daemon.restart()
        with daemon.client() as client:
            self.assertEqual(client.fetch('ir', [7, 9])['rows'][:4 * DIM], VALUES[8].tobytes())

    def test_a_session_is_as_without(self):
        daemon = self.start_under()
        self.session(daemon)
        self.assertNotIn('level=warning', daemon.log())
        self.assertNotIn('level=error', daemon.log())

    def test_no_call_is_refused(self):
        """A call that the filter lacks ends the daemon here, also one whose failure is not looked at."""
        self.session(self.start_under(unlisted=sandbox.KILL))

    def test_metrics_and_the_page_come_under_the_filter(self):
        if not http_case.is_built():
            self.skipTest('built without libmicrohttpd')
        daemon = self.start_under('--http', 'tcp:127.0.0.1:0', unlisted=sandbox.KILL)
        self.session(daemon)
        address = http_case.address_of(daemon)
        for path in ('/', '/api/state', '/readyz', '/healthz'):
            # A daemon that was stopped for seconds is not ready before its loops have turned again.
            wait_for(lambda: http_case.ask(address, path)[0] == 200, path)
        found = http_case.samples_of(http_case.ask(address, '/metrics')[2])
        for name in ('process_open_fds', 'process_resident_memory_bytes', 'repstore_data_free_bytes'):
            self.assertGreater(found[name][''], 0)

    def test_tls_works_under_the_filter(self):
        if not certificates.is_built():
            self.skipTest('built without OpenSSL')
        authority = certificates.Authority(self.scratch)
        mine, peer = authority.issue('daemon', 'IP:127.0.0.1'), authority.issue('peer')
        for path in (*mine, authority.path):
            os.chmod(path, 0o644)       # the unit's user reads them
        daemon = self.start_under('--tls-certificate', mine[0], '--tls-key', mine[1], '--tls-authority', authority.path,
                                  unlisted=sandbox.KILL, listen=('tls:127.0.0.1:0',))
        context = ssl.create_default_context(cafile=authority.path)
        context.load_cert_chain(*peer)
        with harness.Client(daemon.listening('tls'), tls=context) as client:
            self.assertEqual(client.call('ping'), {})

    def test_without_a_network(self):
        settings = sandbox.read_unit('unix-only')
        daemon = self.start_under(settings=settings, listen=())
        self.session(daemon)
        self.assertNotIn('level=warning', daemon.log())
        daemon.stop()
        with self.assertRaises(AssertionError) as caught:
            self.start_under(settings=settings).stop()
        self.assertIn('Address family not supported', str(caught.exception))

    def test_merges_stay_gentle(self):
        """@resources has setpriority, and the unit gives it back."""
        self.assertIn('setpriority', sandbox.allowed_calls(sandbox.read_unit()['SystemCallFilter']))
        self.assertNotIn('sched_setaffinity', sandbox.allowed_calls(sandbox.read_unit()['SystemCallFilter']))
        daemon = self.start_under(*self.config('[log]\nmerge_rate = 1M\n'))
        with daemon.client() as client, daemon.client() as other:
            self.load(client, 'a', rows=np.ones((60000, DIM), '<f4'))
            client.seal('a')
            client.call('put', release='a', table='ir', keys=[7], rows=VALUES[8].tobytes())
            msgid = other.send('merge', {})
            wait_for(lambda: GENTLE_NICE in niceness(daemon.process.pid), 'a thread that is gentle')
            other.wait(msgid)

    def test_nothing_else_can_be_written(self):
        if os.geteuid() != 0:
            self.skipTest('only root can make folders read-only')
        daemon = self.start_under()
        with open('/proc/%d/status' % daemon.process.pid) as file:
            status = dict(line.split(':\t', 1) for line in file.read().splitlines() if ':\t' in line)
        self.assertEqual(int(status['CapEff'], 16), 0)
        self.assertEqual(status['NoNewPrivs'].strip(), '1')
        self.assertEqual(status['Umask'].strip(), '0027')
        self.assertEqual(int(status['Seccomp_filters']), 2)
        with open('/proc/%d/mountinfo' % daemon.process.pid) as mounts:
            for line in mounts:
                if line.split()[4] == '/':
                    self.assertIn('ro', line.split()[5].split(','))

    # ---- pages that the system took ----

    def evict(self, daemon):
        """Takes the pages of the base files out of memory; skips the test where that cannot be."""
        pid = daemon.process.pid
        libc = ctypes.CDLL(None, use_errno=True)
        handle = libc.syscall(SYS_PIDFD_OPEN, pid, 0)
        self.addCleanup(os.close, handle)
        for start, end in ranges_of(pid, 'base-'):
            piece = Iovec(start, end - start)
            libc.syscall(SYS_PROCESS_MADVISE, handle, ctypes.byref(piece), 1, MADV_PAGEOUT, 0)
        for name in daemon.files():
            if 'base-' in name:
                with open(os.path.join(daemon.data, name), 'rb') as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if resident_bytes(pid, 'base-') > 1 << 20:
            self.skipTest('pages cannot be taken out of memory here')

    def start_large(self, **options):
        daemon = self.start_under(**options)
        self.rows = np.random.default_rng(5).standard_normal((100000, DIM)).astype('<f4')
        with daemon.client() as client:
            self.load(client, 'a', rows=self.rows)
            client.seal('a')
            wait_for(lambda: all_segments(client, 'segments_checked'), 'all is checked')
        return daemon

    def fetch_evicted(self, daemon):
        keys = np.random.default_rng(6).integers(0, len(self.rows), 2000).astype('<u8')
        with daemon.client() as client:
            client.call('ping')
            before = loop_faults(daemon.process.pid)
            got = client.fetch('ir', harness.packed(keys))['rows']
            self.assertEqual(got, self.rows[keys].tobytes())
            return loop_faults(daemon.process.pid) - before

    def test_pages_that_were_taken_are_not_read_on_a_loop(self):
        daemon = self.start_large()
        self.evict(daemon)
        with daemon.client() as client:
            wait_for(lambda: all_segments(client, 'segments_away'), 'the janitor has looked')
            before = client.call('stats')
        self.assertEqual(self.fetch_evicted(daemon), 0)
        with daemon.client() as client:
            after = client.call('stats')
        count = [sum(stats['waits'][lane]['times']) for stats in (before, after) for lane in ('cold', 'pool')]
        self.assertEqual((count[2] - count[0], count[3] - count[1]), (1, 0))
        self.assertGreater(after['store']['cold_reads'], before['store']['cold_reads'])
        self.assertGreater(after['store']['cold_read_us'], before['store']['cold_read_us'])

    def test_a_refused_call_is_said_once(self):
        settings = sandbox.read_unit()
        settings['SystemCallFilter'] = [value for value in settings['SystemCallFilter'] if value != 'mincore']
        self.assertNotIn('mincore', sandbox.allowed_calls(settings['SystemCallFilter']))
        daemon = self.start_large(settings=settings)
        daemon.turn_ms = None           # the loop itself reads what was taken, page by page
        wait_for(lambda: 'event=call_refused' in daemon.log(), 'it is said')
        self.evict(daemon)
        self.assertGreater(self.fetch_evicted(daemon), 0)       # what the unit is to prevent
        daemon.restart()
        wait_for(lambda: daemon.log().count('event=call_refused') == 2, 'it is said once a start')
        self.assertRegex(daemon.log(), 'level=warning event=call_refused call=mincore error="Operation not permitted"'
                                       '.*remedy="SystemCallFilter=mincore')


if __name__ == '__main__':
    harness.main()
