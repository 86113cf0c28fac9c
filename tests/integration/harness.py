"""harness.py - starts the real daemon on a scratch folder and talks to it.

The programs come from the environment: REPSTORED, REPSTORE, FAULTS, LOCAL_PEER (meson sets them), or are looked for in
the build folder REPSTORE_BUILD (build/gcc unless told). REPSTORE_KEEP=1 keeps the scratch folders.
REPSTORE_SEED decides what tests choose at random, and REPSTORE_SHARE=3 runs a third of the cases.

Every test that ends has stopped its daemons by SIGTERM, and each must have exited with 0: a leak or a
forgotten handle of any test fails it (under the sanitizers, too).
"""

import contextlib
import errno
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import msgpack
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOVIELENS = os.path.join(ROOT, 'tests', 'data', 'movielens')
PROTOCOL = os.path.join(ROOT, 'schema', 'PROTOCOL.md')

# A sanitized daemon is several times slower and larger.
SANITIZED = os.environ.get('REPSTORE_SANITIZE', 'none') not in ('', 'none')
PATIENCE = 6 if SANITIZED else 1
START_SECONDS = 20 * PATIENCE
STOP_SECONDS = 30 * PATIENCE
CALL_SECONDS = 60 * PATIENCE
MESSAGE_BYTES = 65 << 20
# The CPU time of one turn of a loop, while its other connections wait: what may take over a millisecond leaves
# the loop. Much more than that, so that cold caches of a busy machine fail nothing. Where a host takes the processor
# of a virtual machine away, that counts as CPU time of whoever ran; so a case is wrong when it is long twice.
TURN_MS = 20
DTYPES = {'f32': '<f4', 'f16': '<f2', 'bf16': '<u2', 'i8': 'i1', 'bit': 'u1'}


FOLDERS = {'repstored': 'daemon', 'repstore': 'tools', 'faults': 'tests/integration', 'local_peer': 'tests/integration'}


def program(name):
    path = os.environ.get(name.upper())
    if path is None:
        build = os.environ.get('REPSTORE_BUILD', os.path.join(ROOT, 'build', 'gcc'))
        path = os.path.join(build, FOLDERS[name], name + ('.so' if name == 'faults' else ''))
    if not os.path.exists(path):
        sys.exit("no '%s': set %s, or REPSTORE_BUILD" % (path, name.upper()))
    return path


class Failed(Exception):
    """The daemon answered a call with an error."""

    def __init__(self, error):
        super().__init__(error)
        code, _, text = error.partition(': ')
        self.code = code
        self.text = text


class Closed(Exception):
    """The daemon closed the connection."""


class Client:
    """A MessagePack-RPC client that knows nothing of ours: requests out, answers in."""

    def __init__(self, address, timeout=CALL_SECONDS, receive_buffer=None, tls=None):
        """tls: the ssl.SSLContext for an address tls:HOST:PORT."""
        kind, _, rest = address.partition(':')
        if kind == 'unix':
            self.socket = socket.socket(socket.AF_UNIX)
            where = rest
        else:
            host, _, port = rest.rpartition(':')
            family = socket.AF_INET6 if host.startswith('[') else socket.AF_INET
            self.socket = socket.socket(family)
            where = (host.strip('[]'), int(port))
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(where)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=where[0])
        except BaseException:
            self.socket.close()
            raise
        self.unpacker = msgpack.Unpacker(raw=False, max_buffer_size=2 * MESSAGE_BYTES)
        self.next_id = 0
        self.answers = {}

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            raise Closed() from error

    def send(self, method, params=None):
        """Sends a request and returns its msgid. `params` is the map, or None: none at all."""
        msgid = self.next_id
        self.next_id += 1
        self.send_bytes(request(msgid, method, [] if params is None else [params]))
        return msgid

    def notify(self, method, params=None):
        self.send_bytes(msgpack.packb([2, method, [] if params is None else [params]]))

    def receive_message(self):
        """The next message of the daemon, whatever it is."""
        while True:
            try:
                return self.unpacker.unpack()
            except msgpack.OutOfData:
                pass
            try:
                data = self.socket.recv(1 << 20)
            except (ConnectionResetError, ssl.SSLEOFError) as error:
                raise Closed() from error
            if not data:
                raise Closed()
            self.unpacker.feed(data)

    def receive(self):
        """The next answer: (msgid, error, result)."""
        kind, msgid, error, result = self.receive_message()
        assert kind == 1, kind
        return msgid, error, result

    def wait(self, msgid):
        """The result of a request, in whatever order the answers come."""
        while msgid not in self.answers:
            got, error, result = self.receive()
            self.answers[got] = (error, result)
        error, result = self.answers.pop(msgid)
        if error is not None:
            assert result is None, result
            raise Failed(error)
        return result

    def call(self, method, **params):
        return self.wait(self.send(method, params))

    def fetch(self, table, keys, **options):
        """One part; returns it."""
        release = {'release': options.pop('release')} if 'release' in options else {}
        part = dict(table=table, keys=keys, **options)
        return self.call('fetch', parts=[part], **release)['parts'][0]

    def walk(self, table, **options):
        """The replies of a scan from its beginning to its end; checks that they end and agree."""
        for _ in range(100000):
            reply = self.call('scan', table=table, **options)
            assert len(reply['rows']) == reply['n'] * reply['stride'], reply['n']
            assert len(reply['times']) == reply['n'] * 8, reply['n']
            yield reply
            if 'cursor' not in reply:
                return
            options['cursor'] = reply['cursor']
        raise AssertionError('a scan without an end')

    def is_closed(self):
        """Waits until the daemon closes; answers that still come are passed over."""
        with contextlib.suppress(Closed):
            while True:
                self.receive_message()
        return True

    # What many tests do.

    def load(self, release, table, keys, rows, load='load', chunk_rows=None, **columns):
        """A whole load; keys: packed bytes, or a NumPy array of u64, or a list of bytes."""
        count = len(keys) if not isinstance(keys, bytes) else len(keys) // 8
        step = chunk_rows or max(count, 1)
        chunks = 0
        allow = {name: columns.pop(name) for name in ('dtype', 'allow_nonfinite', 'any_time')
                 if name in columns}
        assert not isinstance(keys, bytes) or step >= count
        for start in range(0, max(count, 1), step):
            part = slice(start, start + step)
            params = dict(release=release, table=table, load=load, chunk=chunks,
                          keys=packed(keys if isinstance(keys, bytes) else keys[part]),
                          rows=np.ascontiguousarray(rows[part]).tobytes(), **allow)
            for name, column in columns.items():
                params[name] = np.ascontiguousarray(column[part]).tobytes()
            answer = self.call('load', **params)
            chunks += 1
            assert answer['next_chunk'] == chunks, answer
        return self.call('load.end', release=release, table=table, load=load, chunks=chunks,
                         rows=count)

    def seal(self, release, publish=True):
        self.call('release.seal', release=release)
        if publish:
            self.call('release.publish', release=release)


def request(msgid, method, params):
    return msgpack.packb([0, msgid, method, params], use_bin_type=True)


def packed(keys):
    """Keys as the wire packs them."""
    if isinstance(keys, bytes):
        return keys
    if isinstance(keys, np.ndarray):
        return keys.astype('<u8').tobytes()
    if keys and isinstance(keys[0], int):
        return np.array(keys, dtype='<u8').tobytes()
    return b''.join(bytes([len(key)]) + key for key in keys)


def unpacked(data):
    """The byte strings of packed keys."""
    keys = []
    at = 0
    while at < len(data):
        keys.append(data[at + 1:at + 1 + data[at]])
        at += 1 + data[at]
    return keys


def unpacked_as(key_type, data):
    """Packed keys of a table as a list of int or of bytes."""
    return np.frombuffer(data, '<u8').tolist() if key_type == 'u64' else unpacked(data)


def bits(data, count):
    """`found` as an array of bool."""
    return np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder='little').astype(bool)


def now_ms():
    return int(time.time() * 1000)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def bf16_of(values):
    """Rounds f32 to bf16, to nearest, ties to even (no NaN)."""
    u32 = np.ascontiguousarray(values, dtype='<f4').view('<u4').astype(np.uint64)
    return ((u32 + 0x7fff + ((u32 >> 16) & 1)) >> 16).astype('<u2')


def f32_of_bf16(values):
    return (np.ascontiguousarray(values, dtype='<u2').astype('<u4') << 16).view('<f4')


def sample_rows(dtype, count, dim, views=1, seed=1):
    """(rows, scales or None) of a dtype, with values at its edges."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((count, dim * views)).astype('<f4')
    values[0] = 0
    edge = min(4, dim)
    if dtype == 'f32':
        values[1, :edge] = np.array([3.4e38, -1e-45, -0.0, 1.17549435e-38], '<f4')[:edge]
        return values, None
    if dtype == 'f16':
        rows = values.astype('<f2')
        rows[1, :edge] = np.array([65504, -6e-8, -0.0, 6.1e-5], '<f2')[:edge]
        return rows, None
    if dtype == 'bf16':
        return bf16_of(values), None
    if dtype == 'i8':
        rows = random.integers(-127, 128, (count, dim * views), dtype=np.int8)
        return rows, random.random(count, dtype='f4') + np.float32(0.01)
    ones = random.integers(0, 2, (count, views, dim), dtype=np.uint8)
    return np.packbits(ones, axis=2).reshape(count, -1), None


def as_f32(dtype, rows, scales, dim, views=1):
    """What each dtype means."""
    if dtype == 'bit':
        packed = rows.reshape(len(rows), views, -1)
        return np.unpackbits(packed, axis=2, count=dim).reshape(len(rows), -1).astype('<f4')
    if dtype == 'bf16':
        return f32_of_bf16(rows)
    if dtype == 'i8':
        return rows.astype('<f4') * scales[:, None].astype('<f4')
    return rows.astype('<f4')


def i8_of(values):
    """As the page says: scale = max|x| / 127, below 2^121; rounded to nearest, ties to even."""
    scales = np.minimum(np.abs(values).max(axis=1) / np.float32(127), np.nextafter(np.float32(2 ** 121), np.float32(0)))
    scales = scales.astype('<f4')
    with np.errstate(divide='ignore', invalid='ignore'):
        codes = np.rint(values / scales[:, None])
    codes[scales == 0] = 0
    return np.clip(codes, -127, 127).astype('i1'), scales


def from_f32(dtype, values):
    """(rows, scales or None) as NumPy converts them."""
    if dtype == 'f16':
        with np.errstate(over='ignore'):
            return values.astype('<f2'), None
    if dtype == 'bf16':
        return bf16_of(values), None
    if dtype == 'i8':
        return i8_of(values)
    return values.astype('<f4'), None


def by_key(keys, *columns):
    order = np.argsort(keys, kind='stable')
    return tuple(column[order] for column in (keys,) + columns)


# So long readers that ask without an end pause between two requests: without it some of them leave other processes
# next to nothing, for seconds.
PAUSE_SECONDS = 0.0005


def wait_for_fetches(client, count):
    """Until others have fetched so many times."""
    limit = time.monotonic() + CALL_SECONDS
    end = client.call('stats')['requests']['fetch']['count'] + count
    while client.call('stats')['requests']['fetch']['count'] < end:
        assert time.monotonic() < limit, 'nobody fetches'
        time.sleep(PAUSE_SECONDS)


class Daemon:
    """One repstored on `folder`, which outlives it."""

    def __init__(self, folder, *args, listen=(), environment=None):
        self.file_bytes = None      # no file may grow beyond: as if the disk were full
        self.folder = folder
        self.data = os.path.join(folder, 'data')
        self.address = 'unix:' + os.path.join(folder, 's')
        self.log_path = os.path.join(folder, 'log')
        self.listen = list(listen)
        self.args = list(args)
        self.environment = environment or {}
        self.before_exec = None     # called in the new process
        self.process = None
        self.launched = 0.0
        self.start_seconds = 0.0    # of the last start, up to its first answer
        self.turn_ms = TURN_MS      # None: its turns may be longer; the test says why
        self.long_turns_ms = []     # of each time that it ran and had a longer one

    def launch(self):
        """Starts it and returns at once."""
        command = [program('repstored'), '--data', self.data]
        for address in [self.address] + self.listen:
            command += ['--listen', address]
        environment = dict(os.environ, **self.environment)
        environment.pop('NOTIFY_SOCKET', None)
        environment.pop('LISTEN_FDS', None)
        self.launched = time.monotonic()
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(command + self.args, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment,
                                            preexec_fn=self.limit_files if self.file_bytes
                                            else self.before_exec)
        return self

    def limit_files(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_bytes, most))

    def limit_running(self, file_bytes):
        """Changes the limit of the daemon that runs, which was started with one."""
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes, most))

    def start(self):
        """Starts it and waits until it answers."""
        self.launch()
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.client(timeout=START_SECONDS) as client:
                    client.call('ping')
                self.start_seconds = time.monotonic() - self.launched
                return self
            except (FileNotFoundError, ConnectionRefusedError, Closed):
                pass
            if self.process.poll() is not None:
                status = self.process.returncode
                self.process = None
                raise AssertionError('repstored ended with %d:\n%s' % (status, self.log()))
            if time.monotonic() > limit:
                raise AssertionError('repstored does not answer:\n' + self.log())
            time.sleep(0.005)

    def client(self, **options):
        return Client(self.address, **options)

    def listening(self, kind):
        """The address of that kind, "tls" or "tcp", with the port that the system chose."""
        return re.findall(r'event=listening address=(%s:\S+)' % kind, self.log())[-1]

    def log(self):
        with open(self.log_path, errors='replace') as log:
            return log.read()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds=STOP_SECONDS):
        """The exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError('repstored does not end:\n' + self.log()) from None

    def longest_turn_ms(self):
        """The longest turn of any of its loops since its start, by the CPU time of the loop; None: it does not
        answer."""
        try:
            with self.client(timeout=10) as client:
                return max(client.call('stats')['loops']['longest_turn_us']) / 1000
        except (OSError, Closed, Failed):
            return None

    def stop(self):
        """Ends it by SIGTERM; it must exit with 0."""
        if self.process is None:
            return
        try:
            longest = self.longest_turn_ms()
        finally:
            self.process.send_signal(signal.SIGTERM)    # does nothing where it has ended already
            status = self.wait()
            self.process = None
        if status != 0:
            raise AssertionError('repstored exited with %d:\n%s' % (status, self.log()))
        if not SANITIZED and None not in (longest, self.turn_ms) and longest >= self.turn_ms:
            self.long_turns_ms.append(longest)

    def kill(self):
        """Ends it by SIGKILL."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def hold(self):
        """Stops it, and waits until it has: its threads stop one by one, and one may still answer."""
        os.kill(self.process.pid, signal.SIGSTOP)
        tasks = '/proc/%d/task' % self.process.pid
        while not all(self.state_of(os.path.join(tasks, task)) == 'T' for task in os.listdir(tasks)):
            time.sleep(0.001)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    @staticmethod
    def state_of(task):
        with open(os.path.join(task, 'stat'), encoding='ascii') as file:
            return file.read().rpartition(')')[2].split()[0]

    def cpu_seconds(self):
        """What it has taken of the processors."""
        with open('/proc/%d/stat' % self.process.pid, encoding='ascii') as file:
            fields = file.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory_bytes(self, name='VmRSS'):
        with open('/proc/%d/status' % self.process.pid) as status:
            return int(re.search(name + r':\s+(\d+) kB', status.read()).group(1)) * 1024

    def command(self, *args, fails=None, data=None, timeout=CALL_SECONDS):
        """Runs `repstore` against it and returns what it printed; `fails`: the exit status it
        must have instead of 0, and then what it said is returned."""
        done = subprocess.run([program('repstore'), '-s', self.address] + [str(arg) for arg in args],
                              input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout)
        expected = 0 if fails is None else fails
        if done.returncode != expected:
            raise AssertionError('repstore %s exited with %d:\n%s%s' % (
                ' '.join(str(arg) for arg in args), done.returncode,
                done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace')))
        return (done.stdout if fails is None else done.stderr).decode()

    def command_json(self, *args, **options):
        """The documents that `repstore --json` printed, one a line."""
        return [json.loads(line) for line in self.command('--json', *args, **options).splitlines()]

    def files(self):
        """Paths of all files of the data folder, without it."""
        found = []
        for folder, _, names in os.walk(self.data):
            found += [os.path.relpath(os.path.join(folder, name), self.data) for name in names]
        return sorted(found)


class Case(unittest.TestCase):
    """A test with a scratch folder of its own and any number of daemons. No turn of a loop of theirs may be long,
    whatever is asked: a test in which one was is run again, and then fails where one is long again."""

    def run(self, result=None):
        self.is_second_run = False
        self.long_turns = []
        result = super().run(result)
        if self.long_turns:
            print('%s: %s; once more' % (self.id(), ', '.join(self.long_turns)), file=sys.stderr)
            self.is_second_run = True
            result = super().run(result)
        return result

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix='repstore-')
        self.daemons = []
        if not os.environ.get('REPSTORE_KEEP'):
            self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.addCleanup(self.stop_daemons)

    def stop_daemons(self):
        wrong = []
        for daemon in self.daemons:
            try:
                daemon.stop()
            except AssertionError as error:
                wrong.append(str(error))
        self.long_turns = [
            'a turn of a loop took %.1f ms of CPU time, less than %d is allowed' % (longest, daemon.turn_ms)
            for daemon in self.daemons for longest in daemon.long_turns_ms]
        if self.is_second_run:
            wrong += self.long_turns
        if wrong:
            raise AssertionError('\n'.join(wrong))

    def make_daemon(self, *args, name='', **options):
        folder = os.path.join(self.scratch, name) if name else self.scratch
        os.makedirs(folder, exist_ok=True)
        daemon = Daemon(folder, *args, **options)
        self.daemons.append(daemon)
        return daemon

    def start_daemon(self, *args, **options):
        return self.make_daemon(*args, **options).start()

    def path(self, name):
        return os.path.join(self.scratch, name)

    def config(self, text):
        """The arguments that make a daemon read `text` as its settings."""
        with open(self.path('conf'), 'w') as file:
            file.write(text)
        return ['--config', self.path('conf')]

    def make_disk(self, size):
        """A small file system of its own, in memory."""
        folder = self.path('disk')
        os.makedirs(folder)
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%d' % size, 'tmpfs', folder],
                              stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            self.skipTest('no small disk: ' + done.stderr.decode(errors='replace').splitlines()[0])
        self.addCleanup(subprocess.run, ['umount', folder], check=True)
        self.addCleanup(self.stop_daemons)
        return folder

    @contextlib.contextmanager
    def fails(self, code, *words):
        """The call inside must be answered with this code and a text with these words."""
        try:
            yield
        except Failed as failed:
            self.assertEqual(failed.code, code, failed)
            for word in words:
                self.assertIn(word, failed.text)
            return
        self.fail('no %s' % code)


class Faults:
    """What the system fails a daemon that is started with `environment`, from `begin` to `end`: faults.c says which."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        os.chmod(folder, 0o755)     # the daemon may be somebody else's

    def environment(self):
        options = os.environ.get('ASAN_OPTIONS', '')
        return {'LD_PRELOAD': program('faults'), 'REPSTORE_FAULTS': self.folder,
                'ASAN_OPTIONS': (options + ':' if options else '') + 'verify_asan_link_order=0'}

    def begin(self, name, text=''):
        path = os.path.join(self.folder, name)
        with open(path + '.new', 'w') as file:
            file.write(str(text))
        os.rename(path + '.new', path)

    def end(self, name):
        os.unlink(os.path.join(self.folder, name))


class Crowd:
    """Threads of a test; join passes on what went wrong in one of them."""

    def __init__(self):
        self.threads = []
        self.wrong = []

    def start(self, function, *args):
        thread = threading.Thread(target=self.run, args=(function, args))
        self.threads.append(thread)
        thread.start()

    def run(self, function, args):
        try:
            function(*args)
        except BaseException as error:
            self.wrong.append(error)

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.wrong:
            raise self.wrong[0]


def fill_disk(folder, leave):
    """Takes all but `leave` bytes of it; returns the path of what to remove for having them back."""
    path = os.path.join(folder, 'ballast')
    with open(path, 'ab') as file:
        while True:
            about = os.statvfs(folder)
            size = about.f_bavail * about.f_frsize - leave
            if size <= 0:
                return path
            try:
                os.posix_fallocate(file.fileno(), file.tell(), size)
                return path
            except OSError as error:
                if error.errno != errno.ENOSPC:     # else the daemon has just taken some of it
                    raise


def rows_of(data, dtype, count):
    """The matrix of a bin."""
    values = np.frombuffer(data, dtype)
    return values.reshape(count, len(values) // max(count, 1))


def random_state(seed=None):
    """A generator whose seed is printed, so that a failure can be repeated (REPSTORE_SEED)."""
    if seed is None:
        seed = int(os.environ.get('REPSTORE_SEED', struct.unpack('<I', os.urandom(4))[0]))
    print('seed %d' % seed, flush=True)
    return np.random.default_rng(seed)


class Share(unittest.TestLoader):
    """Loads one of REPSTORE_SHARE cases of the file, every one unless told. REPSTORE_SEED says which: as many
    seeds in a row as there are shares take all cases. A case that is named is always loaded."""

    def loadTestsFromModule(self, module, *args, **options):
        cases = []
        waiting = [super().loadTestsFromModule(module, *args, **options)]
        while waiting:
            for each in waiting.pop():
                (waiting if isinstance(each, unittest.TestSuite) else cases).append(each)
        cases.sort(key=lambda case: case.id())
        share = 1 if self.testNamePatterns else min(int(os.environ.get('REPSTORE_SHARE', 1)), len(cases))
        seed = int(os.environ.get('REPSTORE_SEED', 1))
        if share > 1:
            print('%d of %d cases: share %d, seed %d' % (len(cases[seed % share::share]), len(cases), share, seed),
                  file=sys.stderr, flush=True)
        return self.suiteClass(cases[seed % share::share] if share > 1 else cases)


def main():
    unittest.main(verbosity=2, testLoader=Share())
