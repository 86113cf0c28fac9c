"""test_mistakes.py - what a newcomer does wrong, each with what is said: the remedy is in the line.

client/GUIDE.md shows the same list, with the whole lines: a line that changes must change there, too.
"""

import gzip
import os
import re
import subprocess

import numpy as np

import harness

PAGE = os.path.join(os.path.dirname(__file__), '..', '..', 'client', 'GUIDE.md')

# What is typed behind `repstore`, the exit status, and words that must be in the line: the remedy is among them.
MISTAKES = [
    ('-s none ping', 1, ['is the daemon, repstored, running there? (-s says so)']),
    ('-s 127.0.0.1:7070 ping', 1, ['tcp:127.0.0.1:7070']),
    ('fetc ur 1', 2, ["did you mean 'fetch'?"]),
    ('fetch ur 1 --relase ckpt-3', 2, ["did you mean '--release'?"]),
    ('fetch urs 1', 1, ["did you mean 'ur'?", '`repstore table list ckpt-3`', 'RELEASE/TABLE']),
    ('fetch ckpt3/ur 1', 1, ["did you mean 'ckpt-3'?", '`repstore release list`']),
    ('fetch ur', 2, ['a table and keys, such as `fetch ur 1 2`']),
    ('fetch ur -1', 2, ['0 to 2^64 - 1']),
    ('fetch ur 1 --max-age 30', 2, ['30s', '7d']),
    ('put ur 1 0.5,1', 2, ['1 values given, 2 needed, apart by spaces']),
    ('put ur 1 1 1e39', 2, ['that f32 holds']),
    ('put ur 1 1 2 --time 1700000000', 2, ['--time-unit s']),
    ('put ckpt-4/ur 1 1 2', 1, ['`repstore import ckpt-4/TABLE`', '`repstore release seal ckpt-4`']),
    ('import ckpt-4/ur rows.npy', 2, ['--rows X.npy, with --keys K.npy']),
    ('import ckpt-4/ur vectors.npz', 1, ["'user.npy'", 'np.savez(FILE, keys=..., rows=...)']),
    ('import ckpt-4/ur data.parquet', 2, ["np.savez('rows.npz'"]),
    ('import ckpt-4/ur data.csv', 2, ['np.loadtxt']),
    ('import ckpt-4/ur model.safetensors', 1, ["'proj.weight'", '`repstore tensor import`']),
    ('import ckpt-4/ur model.pt', 2, ['r.float().cpu().numpy()']),
    ('import ckpt-4/ur rows.jsonl.gz', 2, ['zcat FILE | repstore import']),
    ('import ckpt-4/ur list.json', 2, ["jq -c '.[]'"]),
    ('import ckpt-4/ur id.jsonl', 1, ["'id'", 'key (or key_hex), vector']),
    ('import ckpt-4/ur --keys keys.npy --rows wide.npy', 1, ['[3, 5] given', '[n, 2]']),
    ('import ckpt-4/ur --keys keys.npy --rows short.npy', 1, ['2 rows', '3 keys']),
    ('import ckpt-4/ur --keys keys.npy --rows f64.npy', 1, ["x.astype('f4')"]),
    ('import ckpt-4/ur --keys words.npy --rows rows.npy', 1, ["x.astype('S')"]),
    ('import ckpt-4/ur --keys keys.npy --rows nan.npy', 1, ['row 1, column 0', '--allow-nonfinite takes it']),
    ('import ckpt-4/ur --keys keys.npy --rows rows.npy --times seconds.npy', 1, ['row 0', '--time-unit s']),
    ('import ckpt-4/ur --forget monday', 1, ['`repstore release show ckpt-4`']),
    ('table create ur2 --entity user --kind ur --dim 2', 2, ['RELEASE/TABLE']),
    ('table create ckpt-3/ur2 --entity user --kind ur --dim 2', 1, ['`repstore release create ID`']),
    ('table create ckpt-4/cr_user --entity user --kind cr --dim 2', 1, ['--layer NAME']),
    ('table create ckpt-4/ur2 --entity user --kind ur --dim 2 --dtype float32', 1, ['f32, f16, bf16, i8, bit']),
    ('release create ckpt-3', 1, ['is live', 'another name']),
    ('release create ckpt-6', 1, ['`repstore release publish ckpt-6`', '`repstore release drop ckpt-6`']),
    ('release create ckpt-4', 1, ['`repstore import ckpt-4/TABLE`']),
    ('release create "my model"', 1, ["letters, digits, '.', '_' and '-'"]),
    ('release seal ckpt-5', 1, ['`repstore import RELEASE/ur --forget sunday` drops it']),
    ('release publish ckpt-4', 1, ['`repstore release seal ckpt-4`']),
    ('release drop ckpt-3', 1, ['publish another or roll back first']),
    ('release rollback', 1, ['`repstore release publish ID`']),
    ('retrieve --from ur --in ir', 2, ['TABLE/KEY']),
    ('retrieve --from ur/1 --in ir --approximate 95', 2, ['above 0, up to 1']),
    ('retrieve --from ur/1 --in ir --metric cos', 2, ['cosine']),
    ('retrieve --from ur/1 --in wide', 1, ['--through']),
    ('observe mlp --users keys.npy --items keys.npy --times times.npy --rows rows.npy', 1, ['`repstore layer list ckpt-3`']),
    ('observe mlp2 --users keys.npy --items keys.npy --times times.npy --rows rows.npy --source log-0 --position 100', 1,
     ['begin at 0', '--first']),
    ('positions --forget click', 1, ["did you mean 'clicks'?", '`repstore positions ckpt-3`']),
    ('dump ur', 2, ['.npz, .safetensors, .msgpack or .jsonl', '--keys K.npy and --rows R.npy']),
    ('--timeout 5 ping', 2, ['500ms, 30s']),
]


class Mistakes(harness.Case):
    def setUp(self):
        """ckpt-3 is live; ckpt-4 is open; the load `sunday` of ckpt-5, which is open too, has not ended; ckpt-6 is sealed."""
        super().setUp()
        self.daemon = self.start_daemon()
        call = self.daemon.command
        call('release', 'create', 'ckpt-3')
        for table, entity, kind, dim in (('ur', 'user', 'ur', 2), ('ir', 'item', 'ir', 2), ('wide', 'item', 'ir', 3)):
            call('table', 'create', 'ckpt-3/' + table, '--entity', entity, '--kind', kind, '--dim', dim)
        for entity in ('user', 'item'):
            call('table', 'create', 'ckpt-3/cr_' + entity, '--entity', entity, '--kind', 'cr', '--layer', 'mlp2', '--dim', 2)
        call('release', 'seal', 'ckpt-3')
        call('release', 'publish', 'ckpt-3')
        call('put', 'ur', 1, 1, 2)
        for release in ('ckpt-4', 'ckpt-5'):
            call('release', 'create', release)
            call('table', 'create', release + '/ur', '--entity', 'user', '--kind', 'ur', '--dim', 2)
        with self.daemon.client() as client:
            client.call('load', release='ckpt-5', table='ur', load='sunday', chunk=0, keys=[1], rows=bytes(8))
        call('release', 'create', 'ckpt-6')
        call('release', 'seal', 'ckpt-6')
        self.make_files()
        samples = [word for name in ('users', 'items', 'times', 'rows') for word in
                   ('--' + name, self.path({'users': 'keys', 'items': 'keys'}.get(name, name) + '.npy'))]
        call('observe', 'mlp2', *samples, '--source', 'clicks')

    def make_files(self):
        rows = np.ones((3, 2), 'f4')
        nan = rows.copy()
        nan[1, 0] = np.nan
        for name, array in (('keys', np.arange(3, dtype='u8')), ('rows', rows), ('wide', np.ones((3, 5), 'f4')), ('nan', nan),
                            ('short', rows[:2]), ('f64', rows.astype('f8')), ('words', np.array(['a', 'b', 'c'])),
                            ('seconds', np.full(3, 1700000000, 'i8')), ('times', np.full(3, 1700000000000, 'i8'))):
            np.save(self.path(name + '.npy'), array)
        np.savez(self.path('vectors.npz'), user=np.arange(3), vector=rows)
        header = b'{"proj.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
        with open(self.path('model.safetensors'), 'wb') as file:
            file.write(len(header).to_bytes(8, 'little') + header + bytes(8))
        line = '{"key": 1, "vector": [1, 2]}'
        with gzip.open(self.path('rows.jsonl.gz'), 'wt') as file:
            file.write(line)
        for name, text in (('id.jsonl', line.replace('key', 'id')), ('list.json', '[%s]' % line), ('data.parquet', 'x'),
                           ('data.csv', '1,1,2'), ('model.pt', 'x')):
            with open(self.path(name), 'w') as file:
                file.write(text + '\n')

    def told(self, typed):
        """(exit status, the line that is said)."""
        done = subprocess.run(['sh', '-c', '"$PROGRAM" ' + typed], cwd=self.scratch, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=harness.CALL_SECONDS,
                              env=dict(os.environ, PROGRAM=harness.program('repstore'), REPSTORE=self.daemon.address))
        self.assertEqual(done.stdout, b'', typed)
        return done.returncode, done.stderr.decode().splitlines()[0]

    def test_each_has_its_remedy(self):
        self.assertGreaterEqual(len(MISTAKES), 30)
        for typed, status, words in MISTAKES:
            with self.subTest(typed):
                code, said = self.told(typed)
                self.assertEqual(code, status, said)
                self.assertTrue(said.startswith('repstore: '), said)
                for word in words:
                    self.assertIn(word, said)

    def test_the_page_shows_them(self):
        with open(PAGE) as file:
            shown = re.findall(r'^\| `+ ?repstore (.*?) ?`+ \| `+ ?(.*?) ?`+ \|$', file.read(), re.M)
        self.assertEqual([typed for typed, _ in shown], [typed for typed, _, _ in MISTAKES])
        for typed, line in shown:
            with self.subTest(typed):
                _, said = self.told(typed)
                self.assertEqual('repstore: ' + line.replace('\\|', '|'), said)


if __name__ == '__main__':
    harness.main()
