"""test_kill.py - kill -9 at random moments: what was acknowledged is there, the rest goes on.

A program of steps (create, load two tables, seal, publish, drop the release before) runs again and
again, release after release; each round kills the daemon in the middle of a step of its choice. After
each restart the daemon must stand between the last step that was acknowledged and the last that was sent,
its folder must hold what belongs there and nothing else, and the program goes on from there.

REPSTORE_ROUNDS: how many rounds (20). REPSTORE_SEED: the same moments again, as far as a clock allows.
"""

import os
import threading
import time

import numpy as np

import harness
from harness import Closed

ROUNDS = int(os.environ.get('REPSTORE_ROUNDS', '20'))
TABLES = ('ur', 'ir')
CHUNKS = 24
CHUNK_ROWS = 1500
ROWS = CHUNKS * CHUNK_ROWS
DIM = 24
IN_FLIGHT = 16
KEYS = {'ur': np.arange(ROWS, dtype='<u8') * 13, 'ir': np.arange(ROWS, dtype='<u8') * 7 + (1 << 40)}


def rows_of_release(number, table):
    """Every row tells its key, its table and its release."""
    start = KEYS[table][:, None].astype('<f4') % 4096 + number * 8192
    return (start + np.arange(DIM, dtype='<f4')[None, :] / 32 + (TABLES.index(table) * 0.5)).astype('<f4')


def program(number):
    """The steps of one release: (kind, table, chunk)."""
    steps = [('create', None, None)] + [('table', table, None) for table in TABLES]
    for table in TABLES:
        steps += [('chunk', table, chunk) for chunk in range(CHUNKS)]
        steps.append(('end', table, None))
    steps += [('seal', None, None), ('publish', None, None)]
    return steps + ([('drop', None, None)] if number > 1 else [])


class Kill(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon('--workers', '2')
        self.random = harness.random_state()
        self.number = 1     # of the release that is being made
        self.acked = 0      # steps of its program
        self.sent = 0
        self.took = {}      # seconds a step of each kind takes
        self.kills = {}     # kind: how many
        self.rows = {}

    def name(self, number):
        return 'r%d' % number

    def params(self, step):
        kind, table, chunk = step
        release = self.name(self.number)
        if kind == 'create':
            return 'release.create', {'release': release, 'checkpoint': str(self.number)}
        if kind == 'table':
            return 'table.create', {'release': release, 'table': table, 'dim': DIM, 'kind': table,
                                    'entity': 'user' if table == 'ur' else 'item'}
        if kind == 'chunk':
            rows = self.expected(self.number, table)
            part = slice(chunk * CHUNK_ROWS, (chunk + 1) * CHUNK_ROWS)
            return 'load', {'release': release, 'table': table, 'load': 'l', 'chunk': chunk,
                            'keys': KEYS[table][part].tobytes(), 'rows': rows[part].tobytes()}
        if kind == 'end':
            return 'load.end', {'release': release, 'table': table, 'load': 'l', 'chunks': CHUNKS,
                                'rows': ROWS}
        if kind == 'drop':
            release = self.name(self.number - 1)
        return 'release.' + kind, {'release': release}

    def expected(self, number, table):
        if (number, table) not in self.rows:
            self.rows = {key: rows for key, rows in self.rows.items() if key[0] >= number - 1}
            self.rows[(number, table)] = rows_of_release(number, table)
        return self.rows[(number, table)]

    # ---- where does the daemon stand? ----

    def position(self, client):
        """How many steps of the program the daemon has done."""
        releases = {release['release']: release for release in client.call('release.list')['releases']}
        mine = releases.pop(self.name(self.number), None)
        before = releases.pop(self.name(self.number - 1), None)
        self.assertEqual(releases, {})
        if mine is None:
            self.assertTrue(before is not None or self.number == 1)
            return 0
        self.assertEqual(mine['checkpoint'], str(self.number))
        if mine['state'] != 'open':
            steps = len(program(self.number)) - (1 if self.number > 1 else 0)
            self.assertEqual(mine['rows'], ROWS * len(TABLES))
            if mine['state'] == 'sealed':
                return steps - 1
            return steps + (1 if self.number > 1 and before is None else 0)
        shown = client.call('release.show', release=self.name(self.number))
        tables = [table['table'] for table in shown['table_list']]
        loads = {load['table']: load for load in shown['loads']}
        self.assertEqual(len(loads), len(shown['loads']))
        position = 1 + len(tables)
        for table in TABLES:
            load = loads.get(table)
            if load is not None:
                self.assertEqual(load['rows'], load['next_chunk'] * CHUNK_ROWS)
                position += load['next_chunk'] + (1 if load['ended'] else 0)
        return position

    def check_rows(self, client):
        """The live release answers, all of it, and right."""
        answers = client.call('release.list')['releases']
        live = [release for release in answers if release['state'] == 'live']
        if not live:
            self.assertEqual(self.number, 1)
            return
        number = int(live[0]['checkpoint'])
        parts = client.call('fetch', parts=[{'table': table, 'keys': KEYS[table].tobytes()}
                                            for table in TABLES])['parts']
        for table, part in zip(TABLES, parts):
            self.assertEqual(part['rows'], self.expected(number, table).tobytes(), table)

    def check_files(self, client):
        """Nothing lies about that no release needs; what is dropped goes within a moment."""
        limit = time.monotonic() + 20
        while True:
            wrong = self.wrong_files(client)
            if not wrong:
                return
            self.assertLess(time.monotonic(), limit, wrong)
            time.sleep(0.02)

    def wrong_files(self, client):
        allowed = {'lock', 'catalog.mdb', 'catalog.mdb-lock', 'current', 'visible', 'log/1.log'}
        spills = 0
        for release in client.call('release.list')['releases']:
            shown = client.call('release.show', release=release['release'])
            folder = 'releases/%d/' % release['number']
            spills += len(shown.get('loads', []))
            for path in self.daemon.files():
                kind = path[len(folder):].split('-')[0] if path.startswith(folder) else ''
                if kind == ('spill' if release['state'] == 'open' else 'base'):
                    allowed.add(path)
        files = self.daemon.files()
        wrong = [path for path in files if path not in allowed]
        if len([path for path in files if '/spill-' in path]) != spills:
            wrong.append('%d spills for %d loads' % (len(files), spills))
        return wrong

    # ---- rounds ----

    def run_until_closed(self, client, victim):
        """Goes on with the program; arms the kill when a step of kind `victim` is sent."""
        armed = False
        waiting = []    # (msgid, step, when sent)
        while True:
            steps = program(self.number)
            while self.sent < len(steps) and len(waiting) < IN_FLIGHT:
                step = steps[self.sent]
                if waiting and not step[0] == waiting[-1][1][0] == 'chunk':
                    break   # only chunks of one load may be under way together
                if waiting and step[1] != waiting[-1][1][1]:
                    break
                method, params = self.params(step)
                self.sent += 1
                waiting.append((None, step, time.monotonic()))
                if step[0] == victim and not armed:
                    armed = True
                    self.arm(victim)
                waiting[-1] = (client.send(method, params), step, waiting[-1][2])
            if not waiting:
                self.number += 1
                self.acked = self.sent = 0
                continue
            msgid, step, sent = waiting.pop(0)
            result = client.wait(msgid)
            if step[0] == 'chunk':
                self.assertGreater(result['next_chunk'], step[2])
            seconds = time.monotonic() - sent
            self.took[step[0]] = 0.7 * self.took.get(step[0], seconds) + 0.3 * seconds
            self.acked += 1

    def arm(self, victim):
        process = self.daemon.process
        seconds = float(self.random.uniform(0, 1.3 * self.took.get(victim, 0.01)))
        if seconds < 0.0003:
            process.kill()
        else:
            threading.Timer(seconds, process.kill).start()

    def after_start(self):
        with self.daemon.client() as client:
            at = self.position(client)
            self.assertLessEqual(self.acked, at, 'an acknowledged step is gone')
            self.assertLessEqual(at, self.sent, 'a step was done that nobody asked for')
            steps = program(self.number)
            if at < self.sent:
                kind = steps[at][0]
                self.kills[kind] = self.kills.get(kind, 0) + 1
            self.acked = self.sent = at
            self.check_rows(client)
            self.check_files(client)

    def test_rounds(self):
        kinds = ['chunk', 'seal', 'publish', 'drop', 'chunk', 'end', 'seal', 'create', 'table']
        self.daemon.start()
        # One whole release first, so that each kind of step has been timed.
        with self.daemon.client() as client:
            while self.number < 3:
                method, params = self.params(program(self.number)[self.sent])
                started = time.monotonic()
                client.call(method, **params)
                self.took[program(self.number)[self.sent][0]] = time.monotonic() - started
                self.sent += 1
                self.acked += 1
                if self.sent == len(program(self.number)):
                    self.number += 1
                    self.acked = self.sent = 0
        for number in range(ROUNDS):
            with self.daemon.client() as client:
                with self.assertRaises(Closed):
                    self.run_until_closed(client, kinds[number % len(kinds)])
            self.daemon.process.wait()
            self.daemon.process = None
            self.daemon.start()
            self.after_start()
        print('%d rounds, cut off in: %s' % (ROUNDS, dict(sorted(self.kills.items()))), flush=True)

    def test_twice_killed_at_start(self):
        """A start that is killed leaves nothing that the next one minds."""
        self.daemon.start()
        with self.daemon.client() as client:
            for step in program(1):
                method, params = self.params(step)
                client.call(method, **params)
        self.sent = self.acked = len(program(1))
        for _ in range(max(5, ROUNDS // 4)):
            self.daemon.kill()
            self.daemon.launch()
            time.sleep(float(self.random.uniform(0, 0.03)))
        self.daemon.kill()
        self.daemon.start()
        self.after_start()


if __name__ == '__main__':
    harness.main()
