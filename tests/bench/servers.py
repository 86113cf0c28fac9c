"""servers.py - starts repstored, Redis and memcached for benchmarks: each on a Unix socket in a
scratch folder, ended by its process id. The services of the system are left alone.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

POLICY = '/usr/sbin/policy-rc.d'
START_SECONDS = 20
RUN_SECONDS = 1800
LOAD_RATE = 10000  # rows a second at least
STOP_SECONDS = 60
SAMPLE_SECONDS = 0.005


def end_cleanly():
    """Makes SIGTERM an exception, so that servers end and scratch folders go."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended'))


def count_of(text):
    """1000, 10k, 4M."""
    scale = {'k': 1000, 'M': 1000000}.get(text[-1:], 1)
    value = int(text[:-1] if scale > 1 else text) * scale
    if value <= 0:
        raise argparse.ArgumentTypeError('a number above 0')
    return value


def counts_of(text):
    return [count_of(item) for item in text.split(',')]


def listed(numbers):
    """1,64,4096"""
    return ','.join(str(number) for number in numbers)


def require(build, *names):
    """Ends unless the build folder has the programs."""
    for name in names:
        if not os.path.exists(os.path.join(build, name)):
            sys.exit("no '%s' in '%s': ninja -C %s" % (name, build, build))


def installed(package):
    done = subprocess.run(['dpkg-query', '-W', '-f', '${db:Status-Status}', package], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout == 'installed'


def install(*packages):
    """Gets the packages; a policy that says no keeps apt from starting their services."""
    missing = [name for name in packages if shutil.which(name) is None and not installed(name)]
    if not missing:
        return
    ours = not os.path.exists(POLICY)
    if ours:
        with open(POLICY, 'w', encoding='ascii') as file:
            file.write('#!/bin/sh\nexit 101\n')
        os.chmod(POLICY, 0o755)
    try:
        subprocess.run(['apt-get', 'install', '-y', '--no-install-recommends', *missing],
                       check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'))
    finally:
        if ours:
            os.unlink(POLICY)


def parser_of(text):
    """A parser whose help is a script's first comment: a title, the usage, and the rest."""
    title, usage, rest = text.split('\n\n', 2)
    return argparse.ArgumentParser(usage=usage.strip(), description=title + '\n\n' + rest,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def print_table(head, lines):
    """A Markdown table: the first column to the left, the others to the right."""
    print('| %s |' % ' | '.join(head))
    print('|:---|' + '---:|' * (len(head) - 1))
    for line in lines:
        print('| %s |' % ' | '.join(line))
    print(flush=True)


def grouped(value):
    return format(int(round(value)), ',')


def verdict(value, goal, above):
    """A measured figure beside what is wanted of it."""
    met = value >= goal if above else value <= goal
    return '%s %g: %s' % ('>=' if above else '<=', goal, 'met' if met else 'missed')


def print_machine(load_before):
    print('%d CPUs; load averages before %.1f, after %.1f' % (
        os.cpu_count(), load_before, os.getloadavg()[0]))


def cpus_of(pin):
    """(CPUs of the client, of the servers) for --pin; None: any."""
    first, *more = sorted(os.sched_getaffinity(0))
    return {'free': (None, None),
            'same': ({first}, {first}),
            'apart': ({first}, set(more[:1]) or {first})}[pin]


def environment_of(cpus):
    """Tells the bare servers of bench_peers where to run."""
    return dict(os.environ, BENCH_SERVER_CPU=str(min(cpus))) if cpus else dict(os.environ)


def on_cpus(cpus):
    return (lambda: os.sched_setaffinity(0, cpus)) if cpus else None


class Scratch:
    """A folder that goes when the benchmark ends."""

    def __init__(self, parent):
        self.path = tempfile.mkdtemp(prefix='repstore-bench-', dir=parent)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """A process that listens on a Unix socket."""

    def __init__(self, command, path, cpus=None):
        self.path = path
        self.log = open(path + '.log', 'wb')
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, preexec_fn=on_cpus(cpus))
        end = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                sys.exit("'%s' did not start: %s" % (command[0], self.read_log()))
            time.sleep(0.0005)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def answers(self):
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(self.path)
            return True
        except OSError:
            return False
        finally:
            probe.close()

    def read_log(self):
        with open(self.path + '.log', encoding='utf-8', errors='replace') as file:
            return file.read()[-2000:]


def start_repstored(build, folder, cpus=None, settings=()):
    path = os.path.join(folder, 'repstored.sock')
    return Server([os.path.join(build, 'daemon', 'repstored'), '--data',
                   os.path.join(folder, 'data'), '--listen', 'unix:' + path, *settings], path, cpus)


def write_settings(folder, log):
    """A file of settings of the section `log`; its path."""
    path = os.path.join(folder, 'settings')
    with open(path, 'w', encoding='ascii') as file:
        file.write('[log]\n' + ''.join('%s = %s\n' % item for item in log.items()))
    return path


def load(build, server, rows, *more):
    """Loads a running, empty repstored; a dict of what was measured."""
    return run([os.path.join(build, 'tests/bench/bench_peers'), 'load', 'unix:' + server.path,
                str(rows), *more], seconds=max(RUN_SECONDS, rows // LOAD_RATE))


def start_redis(folder, cpus=None, settings=('--appendonly', 'no')):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, 'redis.sock')
    return Server(['redis-server', '--port', '0', '--unixsocket', path, '--save', '',
                   '--dir', folder, *settings], path, cpus)


def start_floor(build, folder, cpus=None):
    path = os.path.join(folder, 'floor.sock')
    return Server([os.path.join(build, 'tests/bench/bench_floor'), path, folder], path, cpus)


def start_memcached(folder, rows, cpus=None):
    path = os.path.join(folder, 'memcached.sock')
    # -R: a batch of gets is not cut into turns of 20, which would slow memcached down.
    command = ['memcached', '-s', path, '-t', '2', '-m', str(128 + rows * 512 // 2**20),
               '-R', '5000']
    if os.geteuid() == 0:
        command += ['-u', 'root']
    return Server(command, path, cpus)


class Sampler:
    """The most anonymous memory of a process, and the most bytes of its spill files and of its base files."""

    def __init__(self, pid, data):
        self.status = '/proc/%d/status' % pid
        self.data = data
        self.anon_bytes = 0
        self.spill_bytes = 0
        self.base_bytes = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def run(self):
        rounds = 0
        while not self.done.wait(SAMPLE_SECONDS):
            with open(self.status, encoding='ascii') as file:
                for line in file:
                    if line.startswith('RssAnon:'):
                        self.anon_bytes = max(self.anon_bytes, int(line.split()[1]) * 1024)
            if rounds % 10 == 0:
                self.spill_bytes = max(self.spill_bytes, bytes_of(self.data, 'spill'))
                self.base_bytes = max(self.base_bytes, bytes_of(self.data, 'base'))
            rounds += 1


def bytes_of(folder, prefix=''):
    """Bytes on disk of the files below a folder whose names begin so."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(prefix):
                try:
                    total += os.stat(os.path.join(parent, name)).st_blocks * 512
                except FileNotFoundError:
                    pass
    return total


def run(command, cpus=None, environment=None, seconds=RUN_SECONDS):
    """Runs a program that prints `name value unit` lines; a dict of them."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                              env=environment, preexec_fn=on_cpus(cpus), timeout=seconds)
    except subprocess.TimeoutExpired:
        sys.exit("'%s' took more than %d seconds" % (' '.join(command[:2]), seconds))
    if done.returncode != 0:
        sys.exit("'%s' exited with %d" % (' '.join(command[:2]), done.returncode))
    values = {}
    for line in done.stdout.splitlines():
        name, value, _ = line.split(' ', 2)
        values[name] = float(value)
    return values
