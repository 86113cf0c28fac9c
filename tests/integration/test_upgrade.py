"""test_upgrade.py - a data folder of version 0.1 is brought to today's formats, and nothing of it is lost.

The folder was made by a repstored 0.1, and so were the answers that today's daemon must give (upgrade_fixture.py).
"""

import json
import lzma
import os
import resource
import shutil
import signal
import subprocess
import tarfile
import unittest

import harness
import upgrade_fixture

# At so many moments of an upgrade it is killed, spread over all that it has, and at each around the switch.
MOMENTS = int(os.environ.get('REPSTORE_MOMENTS', 12))
# Of LMDB: where the entries of a page end.
PAGE_BYTES = 4096
PAGE_LOWER = 12


def agrees(old, new, at=''):
    """Where an answer is another one than before; what a newer daemon says in addition is none of it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for name in old for line in agrees(old[name], new.get(name), at + '.' + name)]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, one in enumerate(old) for line in agrees(one, new[i], '%s[%d]' % (at, i))]
    return [] if old == new else ['%s: %.200r, before %.200r' % (at, new, old)]


class Upgrade(harness.Case):
    @classmethod
    def setUpClass(cls):
        with lzma.open(upgrade_fixture.ANSWERS, 'rt', encoding='ascii') as file:
            cls.before = json.load(file)

    def setUp(self):
        super().setUp()
        self.daemon = self.make_daemon()
        self.unpack()

    def unpack(self):
        with tarfile.open(upgrade_fixture.DATA) as archive:
            for member in archive.getmembers():
                member.uid, member.gid = os.geteuid(), os.getegid()
                member.uname = member.gname = ''
                archive.extract(member, self.daemon.folder)

    def run_upgrade(self, folder=None, **options):
        return subprocess.run([harness.program('repstored'), '--upgrade', folder or self.daemon.data], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS, universal_newlines=True, check=False, **options)

    def upgrade(self):
        done = self.run_upgrade()
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, *words, folder=None, **options):
        """The upgrade fails with these words, and changes nothing."""
        before = self.contents()
        done = self.run_upgrade(folder, **options)
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.contents(), before)

    def contents(self):
        found = {}
        for name in self.daemon.files():
            if name != 'lock':
                with open(os.path.join(self.daemon.data, name), 'rb') as file:
                    found[name] = file.read()
        return found

    def check_answers(self):
        with self.daemon.client() as client:
            now = upgrade_fixture.answers(client)
        wrong = agrees(self.before['answers'], json.loads(json.dumps(now)))
        self.assertEqual(wrong, [], '%d answers differ' % len(wrong))

    def check_all(self):
        self.daemon.start()
        self.check_answers()
        self.daemon.restart()
        self.check_answers()
        with self.daemon.client() as client:
            now = upgrade_fixture.finish(client)
            wrong = agrees(self.before['finished'], json.loads(json.dumps(now)))
            self.assertEqual(wrong, [], '%d answers differ' % len(wrong))
            client.call('merge')    # old rows and new ones into files of today
            self.check_rows(client)

    def check_rows(self, client):
        for release in ('one', 'two'):
            for table in upgrade_fixture.TABLES:
                now = json.loads(json.dumps(upgrade_fixture.table_answers(client, release, table)))
                before = self.before['answers'][release][table]
                wrong = agrees(before['fetch'], now['fetch']) + agrees(before['scan'], now['scan'])
                # A merge removes what has expired: it is absent then.
                self.assertEqual([line for line in wrong if '.why:' not in line], [], table)

    def test_all_answers_stay(self):
        self.assertIn('upgraded: 3 releases, 27 tables', self.upgrade())
        verified = subprocess.run([harness.program('repstored'), '--verify', self.daemon.data], check=False,
                                  stdout=subprocess.PIPE, timeout=harness.CALL_SECONDS, universal_newlines=True)
        self.assertEqual(verified.returncode, 0, verified.stdout)
        named = self.contents()
        self.check_all()
        self.assertNotIn('event=damage', self.daemon.log())
        self.assertFalse([name for name in named if name.endswith('.new')])

    def test_a_folder_of_today_is_left_alone(self):
        self.upgrade()
        before = self.contents()
        self.assertIn('already', self.upgrade())
        self.assertEqual(self.contents(), before)
        self.check_all()

    def test_a_start_names_the_command(self):
        before = self.contents()
        with self.assertRaisesRegex(AssertionError, 'repstored --upgrade'):
            self.daemon.start()
        self.assertEqual(self.contents(), before)

    # ---- what is refused ----

    def write(self, name, offset, data):
        with open(os.path.join(self.daemon.data, name), 'r+b') as file:
            file.seek(offset)
            file.write(data)

    def test_a_folder_of_a_daemon_that_works(self):
        self.upgrade()
        self.daemon.start()
        done = self.run_upgrade()
        self.assertEqual(done.returncode, 1)
        self.assertIn('in use by another daemon', done.stderr)

    def test_a_folder_that_is_none(self):
        before = self.contents()
        for folder, word in ((self.daemon.folder, 'no data folder'), (os.path.join(self.daemon.folder, 'not-there'), 'no data folder')):
            self.refused(word, folder=folder)
        self.assertFalse(os.path.exists(os.path.join(self.daemon.folder, 'not-there')))
        self.write('catalog.mdb', 0, b'\xff' * 8192)
        self.refused('catalog')
        self.assertEqual(set(self.contents()), set(before))

    def test_a_damaged_catalog_is_told(self):
        """Whatever LMDB does with a page, the upgrade ends with a message, and by no signal."""
        for kind in ('0.1', 'today'):
            before = self.contents()['catalog.mdb']
            said = ''
            for page in range(2, len(before) // PAGE_BYTES):
                with self.subTest(kind=kind, page=page):
                    self.write('catalog.mdb', page * PAGE_BYTES + PAGE_LOWER, b'\x10\0')   # it has no entry
                    done = self.run_upgrade()
                    self.assertIn(done.returncode, (0, 1), done.stderr)
                    if done.returncode == 0 and kind == '0.1':  # nothing was on that page
                        shutil.rmtree(self.daemon.data)
                        self.unpack()
                    elif done.returncode == 1:
                        self.assertIn('catalog', done.stderr)
                        said += done.stderr
                    self.write('catalog.mdb', 0, before)
            self.assertIn('ended by signal', said, 'no page of %s ends who reads it' % kind)
            self.upgrade()
        self.check_all()

    def test_a_damaged_segment_is_named(self):
        damaged = next(name for name in sorted(self.contents()) if 'base-' in name)
        self.write(damaged, self.contents()[damaged].index(b'repstseg') + 500, b'\x55\xaa\x55')
        self.refused(os.path.basename(damaged), 'segment 0', 'it is damaged', 'nothing was changed')

    def test_a_damaged_log_is_named(self):
        self.write(next(name for name in sorted(self.contents()) if name.startswith('log/')), 8, b'\xff')
        self.refused('log')

    def test_a_file_that_is_gone_is_named(self):
        gone = next(name for name in sorted(self.contents()) if 'base-' in name)
        os.unlink(os.path.join(self.daemon.data, gone))
        self.refused(os.path.basename(gone))

    def test_a_full_disk_changes_nothing(self):
        for kib in (4, 64, 300):
            def limit(kib=kib):
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, kib << 10))
            limited = self.run_upgrade(preexec_fn=limit)
            if limited.returncode == 0:
                break
            self.refused('repstored:', preexec_fn=limit)
        else:
            self.upgrade()
        self.check_all()

    # ---- an end at any moment ----

    def ended(self, moment):
        """Whether an upgrade of a new folder is killed at that call."""
        shutil.rmtree(self.daemon.data)
        self.unpack()
        self.faults.begin('end', moment)
        done = self.run_upgrade(env=dict(os.environ, **self.faults.environment()))
        self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
        return done.returncode != 0

    def test_an_upgrade_that_was_killed_goes_on(self):
        self.faults = harness.Faults(os.path.join(self.scratch, 'faults'))
        low, high = 1, 4096     # killed at `low`, not at `high`
        self.assertTrue(self.ended(low))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.ended(middle) else (low, middle)
        step = max(1, low // MOMENTS)
        said = set()
        for moment in sorted(set(range(1, low + 1, step)) | {low}):
            with self.subTest(moment=moment):
                self.assertTrue(self.ended(moment))
                said.add('already' if 'already' in self.upgrade() else 'upgraded')
                self.daemon.start()
                self.check_answers()
                self.daemon.stop()
        self.assertEqual(said, {'already', 'upgraded'})


if __name__ == '__main__':
    unittest.main()
