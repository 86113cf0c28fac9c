"""test_protocol.py - each method answers what schema/PROTOCOL.md says: these names, of these types.

The page's descriptions are parsed: `{name: type, name?: type, ...}`, `[type...]`, "word" | "word", and the
maps that it names (release, table).
"""

import os
import re

import numpy as np

import harness

TYPES = {
    'str': lambda value: isinstance(value, str),
    'uint': lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    'int': lambda value: isinstance(value, int) and not isinstance(value, bool),
    'bool': lambda value: isinstance(value, bool),
    'bin': lambda value: isinstance(value, bytes),
}
TOKEN = re.compile(r'\s*(\.\.\.|"[^"]*"|\w+|[{}\[\]:?,|])')


class Parser:
    """Makes checks of descriptions: functions of (value, path) that return mistakes."""

    def __init__(self, text, named):
        # Notes in brackets, and the size of a bin, which need not agree here.
        text = re.sub(r'\([^)]*\)', '', text)
        text = re.sub(r'\bbin (?:f32|f64|i64|u64|u32|u8)\[n(?:, history)?\]', 'bin', text)
        self.tokens = TOKEN.findall(text)
        self.named = named

    def peek(self):
        return self.tokens[0] if self.tokens else None

    def take(self, expected=None):
        token = self.tokens.pop(0)
        assert expected in (None, token), (expected, token, self.tokens)
        return token

    def value(self):
        token = self.peek()
        if token == '{':
            return self.map()
        if token == '[':
            return self.array()
        if token.startswith('"'):
            words = [self.take()]
            while self.peek() == '|':
                self.take()
                words.append(self.take())
            allowed = [word.strip('"') for word in words]
            return lambda value, path: [] if value in allowed else ['%s: %r' % (path, value)]
        self.take()
        if token.isdigit():
            return lambda value, path: [] if value == int(token) else ['%s: %r' % (path, value)]
        if token in TYPES:
            return lambda value, path: [] if TYPES[token](value) else ['%s: %r' % (path, value)]
        named = self.named      # a definition may come after its first use
        return lambda value, path: named[token](value, path)

    def array(self):
        self.take('[')
        item = self.value()
        if self.peek() == '...':
            self.take()
        self.take(']')

        def check(value, path):
            if not isinstance(value, list):
                return ['%s: %r' % (path, value)]
            return [mistake for i, one in enumerate(value)
                    for mistake in item(one, '%s[%d]' % (path, i))]
        return check

    def map(self):
        self.take('{')
        required, optional, all_of = {}, {}, None
        included = []
        while self.peek() != '}':
            if self.peek() == '...':
                self.take()
                included.append(self.take())
            else:
                name = self.take()
                into = required
                if self.peek() == '?':
                    self.take()
                    into = optional
                into[name] = None
                if self.peek() == ':':
                    self.take()
                    into[name] = self.value()
                if self.peek() == '...':
                    self.take()
                    all_of = into.pop(name)
            if self.peek() == ',':
                self.take()
        self.take('}')
        named = self.named

        def check(value, path):
            if not isinstance(value, dict):
                return ['%s: %r' % (path, value)]
            if all_of is not None:
                return [mistake for name, one in value.items()
                        for mistake in all_of(one, path + '.' + name)]
            must, may = dict(required), dict(optional)
            for name in included:
                must.update(named[name].required)
                may.update(named[name].optional)
            mistakes = ['%s.%s: missing' % (path, name) for name in must if name not in value]
            for name, one in value.items():
                if name not in must and name not in may:
                    mistakes.append('%s.%s: not on the page' % (path, name))
                    continue
                check_one = must.get(name, may.get(name)) or unsaid
                mistakes += check_one(one, path + '.' + name)
            return mistakes
        check.required = required
        check.optional = optional
        return check


def unsaid(value, path):
    """Names without a type: the page says what they are in words."""
    return [] if value is not None else ['%s: nil' % path]


def read_page():
    """{method: check}"""
    with open(harness.PROTOCOL) as file:
        text = file.read()
    chapter = text[text.index('\n## Methods'):text.index('\n## Codes')]
    named = {}
    methods = {}
    for section in chapter.split('\n### ')[1:]:
        method, _, body = section.partition('\n')
        for name, description in re.findall(r'(?:with|where) (\w+) = `(\{.*?\})`', body, re.S):
            named[name] = Parser(description, named).value()
        result = re.match(r'`.*?`\s*->\s*(?:`(.*?)`|(\w+), and (.*?)\n\n)', body + '\n\n', re.S)
        assert result, body
        if result.group(1):
            methods[method] = Parser(result.group(1), named).value()
        else:   # "release, and `name: ...` as in ..., and while open `name: ...`"
            more = [more.replace(':', '?:', 1) for more in re.findall(r'`(\w+: .*?)`', result.group(3))]
            methods[method] = Parser('{...%s, %s}' % (result.group(2), ', '.join(more)), named).value()
    return methods


class Protocol(harness.Case):
    def setUp(self):
        super().setUp()
        self.methods = read_page()
        self.called = set()
        os.makedirs(self.path('backups'))
        self.daemon = self.start_daemon('--backup-folder', self.path('backups'))
        self.client = self.daemon.client()
        self.addCleanup(self.client.close)

    def call(self, method, **params):
        result = self.client.call(method, **params)
        self.assertEqual(self.methods[method](result, method), [])
        self.called.add(method)
        return result

    def load(self, table, keys, rows, **columns):
        self.call('load', release='r1', table=table, load='l', chunk=0, keys=harness.packed(keys),
                  rows=rows.tobytes(), **columns)
        self.call('load.end', release='r1', table=table, load='l', chunks=1, rows=len(keys))

    def check_fetched(self, part):
        n, stride = part['n'], part['stride']
        sizes = {'found': (n + 7) // 8, 'rows': n * stride, 'scales': 4 * n, 'times': 8 * n, 'tags': 8 * n,
                 'why': n}
        for name, size in sizes.items():
            if name in part:
                self.assertEqual(len(part[name]), size, name)
        names = list(part)
        self.assertEqual(names, [name for name in ('table', 'n', 'dim', 'views', 'dtype', 'stride', *sizes)
                                 if name in part])

    def test_every_method(self):
        for method in ('hello', 'ping', 'whoami', 'info', 'stats', 'slowlog', 'reload', 'release.list'):
            self.call(method)
        checked = self.client.wait(self.client.send('access.check', {'as': 'user:0', 'method': 'put'}))
        self.assertEqual(self.methods['access.check'](checked, 'access.check'), [])
        self.called.add('access.check')
        self.call('hello', client='test')
        self.call('release.create', release='r1', model='m', checkpoint='c')
        self.call('table.create', release='r1', table='plain', entity='user', kind='ur', dim=3)
        self.call('table.create', release='r1', table='i8@mlp2', entity='item', kind='ir', dim=3, views=2,
                  dtype='i8', key='bytes', ttl_ms=3600000, tags=True)
        for entity in ('user', 'item'):
            self.call('table.create', release='r1', table='cr_%s@fm' % entity, entity=entity, kind='cr', dim=2)
        self.call('table.create', release='r1', table='last', entity='user', kind='ur', dim=2, history=3)
        self.call('release.show', release='r1')
        self.load('plain', [1, 2, 3], np.ones((3, 3), '<f4'))
        self.load('i8@mlp2', [b'a', b'bc'], np.ones((2, 6), 'i1'), scales=np.ones(2, '<f4').tobytes(),
                  tags=np.ones(2, '<u8').tobytes(),
                  times=np.full(2, harness.now_ms(), '<i8').tobytes())
        self.call('load', release='r1', table='plain', load='other', chunk=0, keys=[9], rows=bytes(12))
        self.assertEqual(len(self.call('release.show', release='r1')['loads']), 3)
        self.call('load.abort', release='r1', table='plain', load='other')
        self.call('table.list', release='r1')
        self.call('release.list')
        self.assertNotIn('sealed_ms', self.call('release.show', release='r1'))
        self.call('release.seal', release='r1')
        self.call('release.seal', release='r1')
        shown = self.call('release.show', release='r1')
        self.assertNotIn('loads', shown)
        self.assertNotIn('published_ms', shown)
        self.call('release.publish', release='r1')
        self.call('release.create', release='r2')
        self.call('release.seal', release='r2')
        self.assertEqual(self.call('release.publish', release='r2')['previous'], 'r1')
        self.call('release.rollback')
        self.call('release.drop', release='r2')
        self.call('release.show')
        self.call('table.list')
        self.call('table.show', table='plain')
        self.call('table.show', release='r1', table='i8@mlp2')
        every = {'times': True, 'why': True, 'max_age_ms': 1 << 40}
        for part in self.call('fetch', parts=[
                {'table': 'plain', 'keys': [1, 2, 9]}, {'table': 'plain', 'keys': [3], **every},
                {'table': 'i8@mlp2', 'keys': ['a', 'x'], 'tags': True, **every},
                {'table': 'i8@mlp2', 'keys': [b'bc'], 'dtype': 'f16'}])['parts']:
            self.check_fetched(part)
        rows = np.full((2, 3), 7, '<f4')
        written = self.call('put', release='live', table='plain', keys=harness.packed([3, 4]), rows=rows.tobytes())
        self.assertEqual((written['release'], written['applied']), ('r1', 2))
        self.call('put', release='r1', table='i8@mlp2', keys=['a'], dtype='f32', rows=bytes(24), if_newer=True,
                  times=np.full(1, harness.now_ms(), '<i8').tobytes(), tags=bytes(8), allow_nonfinite=True)
        self.assertEqual(self.call('delete', release='live', table='plain', keys=[1, 99])['deleted'], 1)
        fetched = self.call('fetch', parts=[{'table': 'plain', 'keys': [1, 2, 3, 4], 'why': True}])
        self.assertEqual(fetched['parts'][0]['why'], b'\x01\x00\x00\x00')
        self.assertEqual(fetched['parts'][0]['rows'][24:], rows.tobytes())
        self.assertGreaterEqual(fetched['sequence'], written['sequence'])
        self.assertEqual(self.call('table.show', table='plain')['pending'], 3)
        self.assertEqual(self.call('merge')['tables'], 2)
        self.call('backup', dir='b', copy=True)
        self.call('verify', keys=3)
        self.call('release.export', release='live', dir='e')
        self.call('release.adopt', dir='e', release='adopted')
        self.call('release.drop', release='adopted')
        self.assertEqual(self.call('table.show', table='plain')['pending'], 0)
        merged = self.call('fetch', parts=[{'table': 'plain', 'keys': [1, 2, 3, 4], 'why': True}])
        self.assertEqual(merged['parts'], fetched['parts'])
        self.call('observe', release='live', layer='fm', users=[1, 1], items=[2, 3], rows=bytes(16), source='s', position=5,
                  first=True, times=np.full(2, harness.now_ms(), '<i8').tobytes())
        self.assertEqual(self.call('positions')['positions'][0]['next'], 7)
        self.assertEqual(self.call('append', release='live', table='last', keys=[1, 2], rows=bytes(16), dtype='f32',
                                   source='t', position=0, times=bytes(16))['next'], 2)
        part = self.call('fetch', parts=[{'table': 'last', 'keys': [1], 'history_times': True}])['parts'][0]
        self.assertEqual((part['history'], part['counts'], part['history_times']), (3, b'\x01\0\0\0', bytes(24)))
        self.call('scan', table='last')
        self.assertEqual(self.call('positions.forget', release='live', source='s')['forgotten'], 1)
        self.assertEqual(self.call('positions.forget', release='r1', oldest=3, layer='fm')['forgotten'], 0)
        self.call('layer.list')
        self.call('layer.choose', release='live', layer='fm')
        self.call('fetch', parts=[{'table': 'cr_user', 'keys': [1], 'raw': True, 'weights': True}])
        self.call('scan', table='cr_user', raw=True)
        weight = np.arange(6, dtype='<f4').reshape(2, 3)
        self.call('tensor.put', release='live', tensor='head.weight', dtype='f32', shape=[2, 3],
                  data=weight.tobytes())
        self.call('tensor.put', release='r1', tensor='scalar', dtype='u8', shape=[], data=b'\x07')
        self.call('tensor.put', release='r1', tensors=[dict(tensor='pair.%d' % i, dtype='u8', shape=[1], data=b'x') for i in range(2)])
        for i in range(2):
            self.call('tensor.delete', release='r1', tensor='pair.%d' % i)
        self.assertEqual(self.call('tensor.get', tensor='head.weight')['data'], weight.tobytes())
        self.assertEqual(len(self.call('tensor.list')['tensors']), 2)
        through = self.call('fetch', parts=[{'table': 'plain', 'keys': [1, 99], 'why': True, 'through': ['head', 'relu']}])
        self.check_fetched(through['parts'][0])
        self.assertEqual((through['parts'][0]['dim'], through['parts'][0]['views']), (2, 1))
        self.call('retrieve', **{'in': 'plain', 'k': 2, 'with': ['plain'], 'from': {'table': 'plain', 'keys': [3, 4]}})
        self.call('retrieve', release='r1', **{'in': 'i8@mlp2', 'with': ['i8@mlp2'], 'from': {
            'dim': 3, 'rows': np.ones(3, '<f4').tobytes()}})
        self.call('score', release='r1', **{'in': 'plain', 'keys': [3, 99], 'from': {
            'dim': 3, 'rows': np.ones(3, '<f4').tobytes()}})
        self.call('tensor.delete', release='live', tensor='scalar')
        self.assertEqual(self.call('tensor.list', release='r1')['tensors'][0]['shape'], [2, 3])
        self.call('scan', table='plain')
        self.call('scan', table='plain', limit=1)
        self.call('scan', table='i8@mlp2', release='live')
        self.assertEqual(self.call('repair', table='plain', release='live', dry_run=True)['ranges'], [])
        self.call('merge', tables=['plain'], release='live', full=True)
        self.call('stats')
        self.call('info')
        self.call('release.list')
        self.assertEqual(self.called, set(self.methods))

    def test_codes(self):
        """The page lists the codes that there are."""
        with open(harness.PROTOCOL) as page:
            text = page.read()
        table = text[text.index('\n## Codes'):]
        listed = set(re.findall(r'[A-Z_]{2,}', ' '.join(re.findall(r'\n\| ([A-Z_, ]+) \|', table))))
        with open(os.path.join(harness.ROOT, 'schema', 'status.h')) as header:
            codes = set(re.findall(r'\tSTATUS_(\w+) = \d+', header.read()))
        self.assertEqual(listed, codes - {'OK', 'AGAIN'})


if __name__ == '__main__':
    harness.main()
