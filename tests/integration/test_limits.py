"""test_limits.py - memory, connections and time are bounded, and one peer does not starve another."""

import contextlib
import multiprocessing
import os
import signal
import socket
import struct
import threading
import time

import numpy as np

import harness
from harness import Closed, Failed

ROWS = 100000
DIM = 64
MEBIBYTE = 1 << 20


def pour(address, message):
    """A process: sends without end and reads what comes, as fast as it can."""
    with harness.Client(address) as client:
        def send():
            while True:
                client.send_bytes(message)

        threading.Thread(target=send, daemon=True).start()
        buffer = bytearray(MEBIBYTE)
        while client.socket.recv_into(buffer):
            pass


class Limits(harness.Case):
    def start(self, *args, **options):
        # Meson has malloc fill what is freed, which for these sizes takes longer than a turn may.
        self.daemon = self.make_daemon(*args, environment={'MALLOC_PERTURB_': '0'}, **options).start()
        return self.daemon

    def fill(self, rows=ROWS, dim=DIM):
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='item', kind='ir', dim=dim)
            client.load('r', 't', np.arange(rows, dtype='<u8'),
                        np.arange(rows, dtype='<f4').repeat(dim).reshape(rows, dim),
                        chunk_rows=50000)
            client.seal('r')
            # Checked and in memory: what follows measures nothing else.
            client.fetch('t', np.arange(rows, dtype='<u8')[:1000].tobytes())

    def wait_for_connections(self, client, count):
        """Until only so many are open: a close is not seen at once."""
        limit = time.monotonic() + 60
        while client.call('stats')['connections']['open'] != count:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)

    # ---- memory ----

    def flood(self, client, message, seconds=1):
        """Sends without reading until the daemon takes no more; returns what it took."""
        client.socket.setblocking(False)
        sent = 0
        limit = time.monotonic() + seconds
        last = time.monotonic()
        at = 0
        while time.monotonic() < limit and time.monotonic() - last < 0.1:
            try:
                count = client.socket.send(message[at:])
            except BlockingIOError:
                time.sleep(0.005)
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            at = (at + count) % len(message)
            sent += count
            last = time.monotonic()
        return sent

    def test_peers_that_never_read(self):
        self.start('--workers', '1', '--reply-memory', '128M', '--request-memory', '128M')
        self.fill()
        with self.daemon.client() as good:
            before = self.daemon.memory_bytes()
            keys = np.arange(50000, dtype='<u8').tobytes()
            large = harness.request(1, 'fetch', [{'parts': [{'table': 't', 'keys': keys}]}])
            small = harness.request(2, 'fetch', [{'parts': [{'table': 't', 'keys': keys[:8000]}]}])
            most = before
            greedy = []
            for message in [large, small] * (2 if harness.SANITIZED else 10):
                greedy.append(self.daemon.client())
                self.flood(greedy[-1], message)
                most = max(most, self.daemon.memory_bytes())
                self.assertEqual(good.fetch('t', [5])['found'], b'\1')
            figures = good.call('stats')['memory']
            print('%d peers that do not read: %d MiB more; %s' % (
                len(greedy), (most - before) // MEBIBYTE, figures), flush=True)
            self.assertLessEqual(figures['requests'], figures['requests_limit'])
            self.assertLessEqual(figures['replies'], figures['replies_limit'] + 64 * MEBIBYTE)
            if not harness.SANITIZED:
                bound = figures['requests_limit'] + figures['replies_limit'] + 128 * MEBIBYTE
                self.assertLess(most - before, bound)
            for client in greedy:
                client.close()
            self.wait_for_connections(good, 1)
            self.assertEqual(good.call('stats')['memory']['replies'], 0)

    def test_memory_comes_back(self):
        """A thousand requests of every size leave the process as large as a few did."""
        self.start('--workers', '1')
        self.fill()
        keys = np.arange(ROWS, dtype='<u8')
        with self.daemon.client() as client:
            sizes = []
            for turn in range(4):
                for count in (1, 100, 4096, 5000, 50000) * 8:
                    client.fetch('t', keys[:count].tobytes())
                sizes.append(self.daemon.memory_bytes())
        print('MiB after each turn: %s' % [size // MEBIBYTE for size in sizes], flush=True)
        if not harness.SANITIZED:
            self.assertLess(sizes[-1] - sizes[0], 64 * MEBIBYTE)

    def test_what_is_announced_takes_no_memory(self):
        """Heads of four requests that say 64 MiB, and a byte of each: others are served as before."""
        self.start()
        self.fill(1000, 4)
        head = harness.request(7, 'put', [{'rows': bytes(1 << 16)}])[:-(1 << 16) - 5]
        head += struct.pack('>BI', 0xc6, 64 * MEBIBYTE)
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                announcer = stack.enter_context(self.daemon.client())
                announcer.send_bytes(head)
                self.assertEqual(announcer.socket.send(b'x'), 1)
            with self.daemon.client() as client:
                figures = client.call('stats')['memory']
                self.assertLess(figures['requests'], MEBIBYTE)
                self.assertEqual(figures['waiting'], 0)
                client.call('put', release='live', table='t', keys=[7],
                            rows=np.ones(4, '<f4').tobytes())
                self.assertEqual(client.fetch('t', [7])['rows'], np.ones(4, '<f4').tobytes())

    def test_large_requests_are_bounded_together(self):
        """Many half-sent large requests wait for memory, and all are answered in the end."""
        self.start('--workers', '2')
        self.fill(1000, 4)
        size = (12 if harness.SANITIZED else 48) * MEBIBYTE
        body = harness.request(7, 'fetch', [{'parts': [{'table': 't', 'keys': bytes(size)}]}])
        before = self.daemon.memory_bytes()
        clients = [self.daemon.client() for _ in range(8)]
        answers = []

        def send(client):
            try:
                client.send_bytes(body)
                client.wait(7)
            except (Failed, Closed) as error:
                answers.append(str(error))

        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        most = before
        while any(thread.is_alive() for thread in threads):
            most = max(most, self.daemon.memory_bytes())
            time.sleep(0.01)
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
        print('8 requests of %d MiB: %d MiB more; %s' %
              (size // MEBIBYTE, (most - before) // MEBIBYTE, set(answers)), flush=True)
        self.assertEqual(len(answers), 8)
        for answer in answers:
            self.assertRegex(answer, '^(TOO_LARGE|BUSY)')
        with self.daemon.client() as client:
            limit = client.call('stats')['memory']['requests_limit']
        if not harness.SANITIZED:
            self.assertLess(most - before, limit + 128 * MEBIBYTE)

    # ---- fairness ----

    def requests(self, client, method='fetch'):
        """How many the daemon has answered since it started."""
        return client.call('stats')['requests'].get(method, {'count': 0})['count']

    def wait_for_requests(self, client, method, count):
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.requests(client, method) < count:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.01)

    def test_large_fetches_do_not_starve_small_ones(self):
        """A fetch of one key overtakes one of 100,000 that the daemon has read before: that one has a thread."""
        self.start('--workers', '1')
        self.fill()
        keys = np.random.default_rng(1).integers(0, ROWS, 100000, dtype='<u8').tobytes()
        message = harness.request(1, 'fetch', [{'parts': [{'table': 't', 'keys': keys}]}])
        overtook = 0
        with self.daemon.client() as heavy, self.daemon.client() as client:
            for _ in range(20):
                before = client.call('stats')
                heavy.send_bytes(message)
                limit = time.monotonic() + harness.CALL_SECONDS
                while client.call('stats')['bytes']['in'] < before['bytes']['in'] + len(message):
                    self.assertLess(time.monotonic(), limit)
                self.assertEqual(client.fetch('t', struct.pack('<Q', 5))['found'], b'\1')
                overtook += self.requests(client) == before['requests']['fetch']['count'] + 1
                self.assertIsNone(heavy.receive()[1])
        print('%d of 20 were overtaken' % overtook, flush=True)
        # None would be if they were gathered on the loop. We may come too late ourselves, but not always.
        self.assertGreaterEqual(overtook, 5)

    def test_small_requests_that_cost_much_keep_nobody_waiting(self):
        """64 fetches of a few KB, each through 16 layers: others find a thread meanwhile."""
        dim = 64 if harness.SANITIZED else 512
        self.start('--pool', '1')
        self.fill(1000, dim)
        with self.daemon.client() as client, self.daemon.client() as hog:
            client.call('tensor.put', release='r', tensor='w.weight', dtype='f32', shape=[dim, dim],
                        data=np.eye(dim, dtype='<f4').tobytes())
            parts = [{'table': 't', 'keys': bytes(8 * 512), 'through': ['w'] * 16}]
            for _ in range(64):
                hog.send('fetch', {'parts': parts})
            hog.receive()
            waiting = client.call('stats')['queues']['pool']
            self.assertGreater(waiting, 32)
            # In the pool too.
            self.assertEqual(client.call('scan', table='t', limit=10)['n'], 10)
            self.assertEqual(client.call('release.show')['release'], 'r')
            self.assertGreater(client.call('stats')['queues']['pool'], waiting - 32)

    def test_requests_end_in_their_time(self):
        """Two reads take seconds: one runs, one waits. Both are told, and writes go on."""
        dim = 64 if harness.SANITIZED else 512
        self.start('--pool', '1')
        self.fill(1000, dim)
        with self.daemon.client() as client:
            self.assertIn('timeout_ms', client.call('hello')['features'])
            client.call('tensor.put', release='r', tensor='w.weight', dtype='f32', shape=[dim, dim],
                        data=np.eye(dim, dtype='<f4').tobytes())
            parts = [{'table': 't', 'keys': bytes(8 * 4096), 'through': ['w'] * 16}]
            first = client.send('fetch', {'parts': parts, 'timeout_ms': 30})
            second = client.send('fetch', {'timeout_ms': 1, 'parts': parts})
            with self.assertRaises(Failed) as told:
                client.wait(second)
            self.assertRegex(str(told.exception), '^TIMEOUT: ')
            with self.assertRaises(Failed) as told:
                client.wait(first)
            self.assertRegex(str(told.exception), '^TIMEOUT: not done in timeout_ms, 30, of which it waited')
            self.assertEqual(client.call('put', release='live', table='t', keys=[7], timeout_ms=60000,
                                         rows=np.ones(dim, '<f4').tobytes())['applied'], 1)
            for wrong in (0, 86400001, 'x', -1):
                with self.fails('BAD_REQUEST', 'timeout_ms'):
                    client.call('ping', timeout_ms=wrong)
            with self.fails('BAD_REQUEST', 'timeout_ms', '600000'):
                client.call('score', **{'from': {'table': 't', 'keys': [1]}, 'in': 't', 'keys': [1],
                                        'timeout_ms': 600001})

    def test_a_pipeliner_does_not_starve_others(self):
        """A connection has its turn, and then the others of the loop have theirs."""
        self.start('--workers', '1')
        self.fill(20000, 64)
        # Few bytes that cost much: a thousand of them come with one read.
        message = harness.request(1, 'retrieve', [{'in': 't', 'k': 1, 'from': {'table': 't', 'keys': [1]}}])
        # A process, so that our work does not delay it.
        process = multiprocessing.get_context('spawn').Process(
            target=pour, daemon=True, args=(self.daemon.address, message * 5000))
        process.start()
        others = []     # how many of its requests were answered during each of ours, which takes two trips
        try:
            with self.daemon.client() as client:
                self.wait_for_requests(client, 'retrieve', 100)
                limit = time.monotonic() + harness.CALL_SECONDS
                while len(others) < 100 or sum(others) < 100:
                    self.assertLess(time.monotonic(), limit)
                    before = self.requests(client, 'retrieve')
                    self.assertEqual(client.fetch('t', struct.pack('<Q', 5))['found'], b'\1')
                    others.append(self.requests(client, 'retrieve') - before)
        finally:
            process.kill()
            process.join()
        print('others that were served beside a fetch of one key: %.2f in the mean, %d in the median, %d at most' % (
            np.mean(others), np.median(others), max(others)), flush=True)
        # A turn is 200 us, a few of them.
        self.assertLess(np.median(others), 100)

    # ---- connections ----

    def test_connections_are_counted(self):
        self.start('--max-connections', '20')
        clients = [self.daemon.client()]
        self.wait_for_connections(clients[0], 1)
        clients += [self.daemon.client() for _ in range(19)]
        for client in clients:
            self.assertEqual(client.call('ping'), {})
        for _ in range(3):
            try:
                with self.daemon.client() as more:
                    more.call('ping')
                self.fail('connection 21 is served')
            except Failed as failed:
                self.assertEqual(failed.code, 'BUSY')
            except (Closed, ConnectionRefusedError):
                pass
        figures = clients[0].call('stats')['connections']
        self.assertEqual((figures['open'], figures['refused']), (20, 3))
        clients.pop().close()
        limit = time.monotonic() + 20
        while True:
            try:
                with self.daemon.client() as again:
                    self.assertEqual(again.call('ping'), {})
                break
            except (Closed, Failed):
                self.assertLess(time.monotonic(), limit)
                time.sleep(0.01)
        for client in clients:
            client.close()

    def test_connections_are_kept_for_the_daemons_user(self):
        """Peers at TCP are nobody, and whoever may connect to the socket here is the daemon's user."""
        tcp = 'tcp:127.0.0.1:%d' % harness.free_port()
        with open(self.path('config'), 'w') as file:
            file.write(self.setting('kept_connections', '8'))
        self.start('--max-connections', '20', '--config', self.path('config'), listen=[tcp])
        with contextlib.ExitStack() as stack:
            own = stack.enter_context(self.daemon.client())
            self.wait_for_connections(own, 1)
            for _ in range(11):
                self.assertEqual(stack.enter_context(harness.Client(tcp)).call('ping'), {})
            with self.assertRaises((Closed, ConnectionError)):
                stack.enter_context(harness.Client(tcp)).call('ping')
            for _ in range(8):
                self.assertEqual(stack.enter_context(self.daemon.client()).call('ping'), {})
            with self.assertRaises((Closed, ConnectionError)):
                stack.enter_context(self.daemon.client()).call('ping')
            self.assertEqual(own.call('stats')['connections']['open'], 20)

    def test_many_connections(self):
        self.start('--max-connections', '1000')
        before = self.daemon.memory_bytes()
        clients = [self.daemon.client() for _ in range(900)]
        for client in clients:
            client.send('ping')
        for client in clients:
            self.assertEqual(client.receive()[1:], (None, {}))
        more = self.daemon.memory_bytes() - before
        print('900 idle connections: %.1f KiB each' % (more / 900 / 1024), flush=True)
        self.wait_for_connections(clients[0], 900)
        for client in clients:
            client.close()
        with self.daemon.client() as client:
            self.wait_for_connections(client, 1)

    def test_connections_that_come_and_go(self):
        self.start()
        ping = harness.request(1, 'ping', [])
        for i in range(500):
            with self.daemon.client() as client:
                client.send_bytes(ping * (i % 50) + ping[:i % len(ping)])
        with self.daemon.client() as client:
            self.assertEqual(client.call('ping'), {})

    def test_half_a_request_times_out(self):
        config = self.path('config')
        with open(config, 'w') as file:
            file.write(self.setting('request_timeout', '1s'))
        self.start('--config', config)
        with self.daemon.client() as slow, self.daemon.client() as idle:
            slow.send_bytes(harness.request(1, 'ping', [])[:4])
            started = time.monotonic()
            self.assertTrue(slow.is_closed())
            self.assertTrue(0.5 < time.monotonic() - started < 15 * harness.PATIENCE)
            # One that has sent nothing may wait.
            self.assertEqual(idle.call('ping'), {})

    def setting(self, name, value):
        return '[net]\n%s = %s\n' % (name, value)

    # ---- pipelining ----

    def test_more_requests_than_may_be_in_flight(self):
        """Inline and pooled ones mixed, all sent before the first answer is read."""
        self.start('--workers', '1')
        self.fill()
        keys = np.arange(6000, dtype='<u8')
        with self.daemon.client() as client:
            sent = {}
            writer = []
            for i in range(1000):
                count = 5000 if i % 7 == 0 else 1 + i % 40
                writer.append(harness.request(i, 'fetch', [
                    {'parts': [{'table': 't', 'keys': keys[i:i + count].tobytes()}]}]))
                sent[i] = keys[i:i + count]
            thread = threading.Thread(target=client.send_bytes, args=(b''.join(writer),))
            thread.start()
            for _ in range(1000):
                msgid, error, result = client.receive()
                self.assertIsNone(error)
                part = result['parts'][0]
                expected = sent.pop(msgid)
                self.assertEqual(part['n'], len(expected))
                got = np.frombuffer(part['rows'], '<f4').reshape(-1, DIM)
                self.assertTrue((got == expected.astype('<f4')[:, None]).all())
            thread.join()
            self.assertEqual(sent, {})

    def test_a_client_that_leaves_with_answers_unread(self):
        self.start('--workers', '1')
        self.fill()
        message = memoryview(3 * harness.request(1, 'fetch', [
            {'parts': [{'table': 't', 'keys': np.arange(50000, dtype='<u8').tobytes()}]}]))
        with self.daemon.client() as watcher:
            for _ in range(10):
                served, sent = self.requests(watcher), 0
                limit = time.monotonic() + harness.CALL_SECONDS
                with self.daemon.client() as client:
                    client.socket.setblocking(False)
                    # Once answers wait unread the daemon reads no more, so this may not all be taken.
                    while self.requests(watcher) == served:
                        self.assertLess(time.monotonic(), limit)
                        with contextlib.suppress(BlockingIOError):
                            sent += client.socket.send(message[sent:])
            self.wait_for_connections(watcher, 1)

    def test_answers_after_the_client_has_shut_its_side(self):
        self.start()
        self.fill(6000, 4)
        keys = np.arange(5000, dtype='<u8').tobytes()
        with self.daemon.client() as client:
            for i in range(20):
                client.send('fetch', {'parts': [{'table': 't', 'keys': keys}]})
            client.socket.shutdown(socket.SHUT_WR)
            for i in range(20):
                self.assertIsNone(client.receive()[1])
            self.assertTrue(client.is_closed())

    # ---- end ----

    def test_sigterm_under_load(self):
        self.start('--workers', '2')
        self.fill()
        stop = threading.Event()
        mistakes = []

        def work(seed):
            random = np.random.default_rng(seed)
            try:
                with self.daemon.client() as client:
                    while not stop.is_set():
                        count = int(random.choice([1, 50, 20000]))
                        for _ in range(3):
                            client.send('fetch', {'parts': [{'table': 't', 'keys': random.integers(
                                0, ROWS, count, dtype='<u8').tobytes()}]})
                        for _ in range(3):
                            error = client.receive()[1]
                            if error is not None and not error.startswith('CLOSED'):
                                mistakes.append(error)
            except (Closed, OSError):
                pass

        threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(6)]
        for thread in threads:
            thread.start()
        with self.daemon.client() as client:
            self.wait_for_requests(client, 'fetch', self.requests(client) + 100)
        started = time.monotonic()
        self.daemon.stop()
        print('stopped in %.0f ms' % ((time.monotonic() - started) * 1e3), flush=True)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(mistakes, [])
        self.assertFalse(os.path.exists(self.daemon.address[len('unix:'):]))

    def test_sigterm_while_a_release_is_loaded(self):
        self.start()
        with self.daemon.client() as client:
            client.call('release.create', release='r')
            client.call('table.create', release='r', table='t', entity='user', kind='ur', dim=64)
            rows = np.ones((4000, 64), '<f4').tobytes()
            acked = -1
            for chunk in range(200):
                try:
                    client.send('load', {'release': 'r', 'table': 't', 'load': 'l', 'chunk': chunk,
                                         'keys': np.arange(chunk * 4000, chunk * 4000 + 4000,
                                                           dtype='<u8').tobytes(), 'rows': rows})
                    if chunk >= 8:
                        _, error, result = client.receive()
                        if error is None:
                            acked = max(acked, result['next_chunk'])
                except Closed:
                    break
                if chunk == 100:
                    self.daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.daemon.wait(), 0)     # a second signal would not wait
        self.daemon.start()
        with self.daemon.client() as client:
            load = client.call('release.show', release='r')['loads'][0]
            self.assertGreaterEqual(load['next_chunk'], acked)
            self.assertEqual(load['rows'], load['next_chunk'] * 4000)

    def test_sigint_too(self):
        self.start()
        self.daemon.process.send_signal(signal.SIGINT)
        self.assertEqual(self.daemon.wait(), 0)
        self.daemon.process = None

    # ---- addresses ----

    def test_tcp_on_the_loopback(self):
        port = harness.free_port()
        self.start('--read', 'tcp:loopback', listen=['tcp:127.0.0.1:%d' % port])
        self.fill(6000, 16)
        with harness.Client('tcp:127.0.0.1:%d' % port) as client:
            self.assertEqual(client.call('hello')['server'], 'repstored')
            keys = np.arange(6000, dtype='<u8')
            part = client.fetch('t', keys.tobytes())
            self.assertEqual(part['rows'], keys.astype('<f4').repeat(16).tobytes())
            self.assertIn('tcp:127.0.0.1:%d' % port, client.call('info')['listen'])
        self.daemon.address, unix = 'tcp:127.0.0.1:%d' % port, self.daemon.address
        self.daemon.command('ping')
        self.daemon.address = unix

    def refused_to_listen(self, address, *words):
        daemon = self.make_daemon(name='x%d' % len(self.daemons), listen=[address])
        daemon.launch()
        status = daemon.wait()
        daemon.process = None
        said = daemon.log()
        self.assertGreater(status, 0, said)
        for word in words:
            self.assertIn(word, said)

    def test_what_cannot_be_listened_on_is_named(self):
        for address in ('tcp:0.0.0.0:7411', 'tcp:192.0.2.1:7411', 'tcp:[::]:7411'):
            self.refused_to_listen(address, address[len('tcp:'):].rpartition(':')[0].strip('[]'))
        self.refused_to_listen('tcp:127.0.0.1:notaport', 'notaport')
        self.refused_to_listen('tcp:127.0.0.1:70000', '70000')
        self.refused_to_listen('unix:' + self.path('x' * 120), 'x' * 20)
        self.refused_to_listen('udp:127.0.0.1:1', 'udp')

    def test_a_socket_that_was_left_behind_is_taken_over(self):
        self.start()
        self.daemon.kill()
        self.assertTrue(os.path.exists(self.daemon.address[len('unix:'):]))
        self.daemon.start()

    def test_a_socket_in_use_is_not_taken(self):
        self.start()
        second = self.make_daemon(name='second')
        second.address = self.daemon.address
        second.launch()
        self.assertGreater(second.wait(), 0)
        second.process = None
        with self.daemon.client() as client:
            self.assertEqual(client.call('ping'), {})


if __name__ == '__main__':
    harness.main()
