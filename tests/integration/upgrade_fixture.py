"""upgrade_fixture.py - fills a daemon of version 0.1, and asks one of any version for all that it holds.

As a program it makes the fixture of test_upgrade.py, tests/data/upgrade: the data folder of a repstored 0.1 that was
killed, and what it had answered before. That is done once, with a repstored of 0.1:

  REPSTORED=PATH-OF-0.1 python3 tests/integration/upgrade_fixture.py

Nothing of what is asked depends on when it is asked: rows expire in 2109, or have since 2011.
"""

import base64
import json
import lzma
import os
import shutil
import sys
import tarfile
import tempfile

import numpy as np

import harness
from harness import packed

FOLDER = os.path.join(harness.ROOT, 'tests', 'data', 'upgrade')
DATA = os.path.join(FOLDER, 'data-0.1.tar.xz')
ANSWERS = os.path.join(FOLDER, 'answers-0.1.json.xz')
TTL_MS = 10 * 365 * 86400 * 1000
TIME_MS = 4100000000000
EXPIRED_MS = 1000000000000
COUNT = 40      # rows of a table that are loaded

# name: (key, dim, what else table.create is told)
TABLES = {
    'ur_f32': ('u64', 8, {'entity': 'user', 'kind': 'ur', 'tags': True, 'index': 'balls'}),
    'ir_f16': ('bytes', 8, {'entity': 'item', 'kind': 'ir', 'dtype': 'f16', 'index': 'balls'}),
    'ir_bf16': ('u64', 4, {'entity': 'item', 'kind': 'ir', 'dtype': 'bf16', 'views': 2}),
    'ir_i8': ('bytes', 6, {'entity': 'item', 'kind': 'ir', 'dtype': 'i8', 'ttl_ms': TTL_MS, 'tags': True}),
    'ur_bit': ('u64', 12, {'entity': 'user', 'kind': 'ur', 'dtype': 'bit', 'views': 2}),
    'cr_user@mlp': ('u64', 8, {'entity': 'user', 'kind': 'cr', 'half_life_ms': 86400000, 'read': 'layer_norm'}),
    'cr_item@mlp': ('bytes', 8, {'entity': 'item', 'kind': 'cr', 'decay_events': 0.9, 'read': 'mean'}),
    'cr_other@fm': ('u64', 3, {'entity': 'user', 'kind': 'cr', 'decay_events': 0.5, 'read': 'sum'}),
    'empty': ('u64', 2, {'entity': 'user', 'kind': 'ur'}),
}
LATER = ('segments', 'bytes', 'tensor_bytes', 'damaged')    # these say how it is stored, and not what


def keys_of(table, first, count):
    numbers = range(first, first + count)
    return list(numbers) if TABLES[table][0] == 'u64' else [b'key-%d' % n * (1 + n % 3) for n in numbers]


def columns(table, count, seed):
    """What a load, or a put, is given beside the keys."""
    _, dim, about = TABLES[table]
    dtype = about.get('dtype', 'f32')
    rows, scales = harness.sample_rows(dtype, count, dim, about.get('views', 1), seed=seed)
    if about['kind'] == 'cr':
        rows = np.random.default_rng(seed).standard_normal((count, dim)).astype('<f4')
    times = TIME_MS + 1000 * np.arange(count, dtype='<i8')
    if 'ttl_ms' in about:
        times[::5] = EXPIRED_MS
    found = {'rows': rows, 'times': times}
    if scales is not None:
        found['scales'] = scales
    if about.get('tags'):
        found['tags'] = np.arange(count, dtype='<u8') << np.uint64(seed)
    return found


def put(client, release, table, first, count, seed):
    sent = {name: np.ascontiguousarray(column).tobytes() for name, column in columns(table, count, seed).items()}
    client.call('put', release=release, table=table, keys=packed(keys_of(table, first, count)), any_time=True, **sent)


def observe(client, release, position, count, seed):
    random = np.random.default_rng(seed)
    client.call('observe', release=release, layer='mlp', users=packed([int(n) for n in random.integers(0, 50, count)]),
                items=packed([b'key-%d' % n for n in random.integers(0, 50, count)]), source='clicks', position=position, any_time=True,
                times=(TIME_MS + 60000 * np.arange(count, dtype='<i8')).tobytes(),
                rows=random.standard_normal((count, 8)).astype('<f4').tobytes())


def chunk(client, number):
    """One of the chunks of the load that is under way."""
    sent = {name: np.ascontiguousarray(column).tobytes()
            for name, column in columns('ur_f32', 10, seed=20 + number).items()}
    client.call('load', release='three', table='ur_f32', load='part', chunk=number,
                keys=packed(keys_of('ur_f32', 10 * number, 10)), any_time=True, **sent)


def make_release(client, release, seed):
    client.call('release.create', release=release, model='model of ' + release, checkpoint='step %d' % seed)
    for number, (table, (key, dim, about)) in enumerate(TABLES.items()):
        client.call('table.create', release=release, table=table, key=key, dim=dim, **about)
        if table != 'empty' and release != 'three':
            client.load(release, table, keys_of(table, 0, COUNT), any_time=True, **columns(table, COUNT, seed + number))
    for number, dtype in enumerate(('f4', 'f8', 'u1')):
        client.call('tensor.put', release=release, tensor='t%d.weight' % number, dtype={'f4': 'f32', 'f8': 'f64', 'u1': 'u8'}[dtype],
                    shape=[2, 3], data=np.arange(seed, seed + 6).astype('<' + dtype).tobytes())


def fill(client):
    """Two sealed releases, of which the second is live, and an open one; some writes are merged, others wait."""
    for seed, release in enumerate(('one', 'two')):
        make_release(client, release, 2 + seed)
        client.seal(release)
    for table in TABLES:
        put(client, 'two', table, 30, 15, seed=7)
        client.call('delete', release='two', table=table, keys=packed(keys_of(table, 0, 3)))
    observe(client, 'two', 0, 60, seed=8)
    client.call('merge')
    for table in TABLES:
        put(client, 'two', table, 35, 15, seed=9)
        client.call('delete', release='two', table=table, keys=packed(keys_of(table, 4, 3)))
        put(client, 'one', table, 5, 3, seed=10)
    observe(client, 'two', 60, 30, seed=11)
    observe(client, 'one', 0, 20, seed=12)
    client.call('observe', release='two', layer='fm', users=packed([1, 2, 1]), source='other', position=0, any_time=True,
                times=np.full(3, TIME_MS, '<i8').tobytes(), rows=np.ones((3, 3), '<f4').tobytes())
    client.call('positions.forget', release='two', source='other')
    make_release(client, 'three', 4)
    client.load('three', 'ir_f16', keys_of('ir_f16', 0, COUNT), load='whole', any_time=True, **columns('ir_f16', COUNT, 13))
    client.call('layer.choose', release='two', layer='fm')
    chunk(client, 0)
    chunk(client, 1)


def finish(client):
    """Goes on with the load that is under way, whose last chunk comes again, and seals."""
    chunk(client, 1)
    chunk(client, 2)
    client.call('load.end', release='three', table='ur_f32', load='part', chunks=3, rows=30)
    client.seal('three')
    return answers(client, ('three',))


# ---- what is asked ----

def plain(value, key=''):
    """As JSON; weights, which are f32 or f64, as numbers."""
    if isinstance(value, dict):
        return {name: plain(inner, name) for name, inner in value.items()
                if name not in LATER and not name.startswith('index_') and not name.endswith('_ms')}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def rows_plain(reply):
    weights = reply.pop('weights', None)
    if weights is not None:
        reply['weights'] = np.frombuffer(weights, '<f4' if len(weights) == 4 * reply['n'] else '<f8').tolist()
    return plain(reply)


def table_answers(client, release, table):
    cr = TABLES[table][2]['kind'] == 'cr'
    keys = packed(keys_of(table, 0, COUNT + 20))
    states = {'raw': True, 'weights': True} if cr else {}
    wish = [{}, states] if cr else [{}]
    found = {'show': plain(client.call('table.show', release=release, table=table)),
             'scan': [rows_plain(reply) for reply in client.walk(table, release=release, **({'raw': True} if cr else {}))]}
    found['fetch'] = [rows_plain(client.fetch(table, keys, release=release, why=True, times=True,
                                              tags=TABLES[table][2].get('tags', False), **more)) for more in wish]
    return found


def shown(client, release):
    """A release; its loads are listed in no order."""
    reply = plain(client.call('release.show', release=release))
    reply['loads'] = sorted(reply.get('loads', []), key=lambda load: (load['table'], load['load']))
    return reply


def answers(client, releases=('one', 'two')):
    """All that a daemon says of these releases."""
    found = {'releases': plain(client.call('release.list'))}
    for release in releases:
        about = {table: table_answers(client, release, table) for table in TABLES}
        about['show'] = shown(client, release)
        about['layers'] = plain(client.call('layer.list', release=release))
        about['positions'] = plain(client.call('positions', release=release))
        about['tensors'] = plain(client.call('tensor.list', release=release))
        about['tensor'] = [plain(client.call('tensor.get', release=release, tensor='t%d.weight' % n)) for n in range(3)]
        about['retrieve'] = plain(client.call('retrieve', release=release, k=10, **{
            'from': {'table': 'ur_f32', 'keys': [11, 12, 13]}, 'in': 'ir_f16'}))
        found[release] = about
    if releases == ('one', 'two'):
        found['three'] = {'show': shown(client, 'three')}
    return found


def main():
    scratch = tempfile.mkdtemp(prefix='repstore-')
    daemon = harness.Daemon(scratch)
    daemon.start()
    found = {}
    with daemon.client() as client:
        found['version'] = client.call('info')['version']
        fill(client)
        found['answers'] = answers(client)
    daemon.kill()
    os.makedirs(FOLDER, exist_ok=True)
    with tarfile.open(DATA, 'w:xz', preset=9) as archive:
        archive.add(daemon.data, 'data')
    daemon.start()
    with daemon.client() as client:
        found['finished'] = finish(client)
    daemon.stop()
    with lzma.open(ANSWERS, 'wt', encoding='ascii') as file:
        json.dump(found, file, indent=1, sort_keys=True)
    shutil.rmtree(scratch)
    return 0


if __name__ == '__main__':
    sys.exit(main())
