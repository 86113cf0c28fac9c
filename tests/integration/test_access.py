"""test_access.py - who may do what: every method as each role, over real sockets, as real users."""

import ctypes
import os
import re
import unittest

import numpy as np

import harness
from harness import Closed, Failed

ROLES = ('none', 'read', 'write', 'publish', 'admin')
CONTAINED = {'none': {'none'}, 'read': {'none', 'read'}, 'write': {'none', 'read', 'write'},
             'publish': {'none', 'read', 'publish'}, 'admin': set(ROLES)}
READER, WRITER, PUBLISHER, OPERATOR, STRANGER, UNMAPPED = 3001, 3002, 3003, 3004, 3005, 65534
GROUP, OTHER_GROUP = 4001, 4002
SETTINGS = """
[access]
read = user:%d group:%d
write = user:%d
publish = user:%d
admin = user:%d
""" % (READER, GROUP, WRITER, PUBLISHER, OPERATOR)
USERS = {'none': STRANGER, 'read': READER, 'write': WRITER, 'publish': PUBLISHER, 'admin': OPERATOR}
CLONE_NEWUSER = 0x10000000
KEYS = np.arange(100, dtype='<u8')
ROWS = np.arange(400, dtype='<f4').reshape(100, 4)


def connect_as(address, uid, gid=OTHER_GROUP, groups=()):
    """A connection of another user: the kernel notes who connects."""
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return harness.Client(address)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([0])


def wanted_roles():
    """Method -> the role that schema/PROTOCOL.md says."""
    with open(harness.PROTOCOL) as page:
        table = page.read().partition('\n## Roles\n')[2].partition('\n## ')[0]
    wanted = {}
    for role in ROLES:
        row = re.search(r'^\| %s \|.*$' % role, table, re.MULTILINE).group(0)
        wanted.update({method: role for method in re.findall(r'`([a-z._]+)`', row)})
    return wanted


class Access(harness.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root can be several users')
        os.chmod(self.scratch, 0o755)

    def start(self, settings=SETTINGS, **options):
        self.daemon = self.start_daemon('--workers', '1', *self.config(settings), **options)

    def as_user(self, uid, **options):
        client = connect_as(self.daemon.address, uid, **options)
        self.addCleanup(client.close)
        return client

    def denied(self, client, method, wants, has, **params):
        with self.fails('DENIED', "%s wants the role '%s'; " % (method, wants), " has '%s'" % has):
            client.call(method, **params)

    def count_denied(self, kind='unix'):
        with self.daemon.client() as client:
            return client.call('stats')['denied'][kind]

    def test_every_method_as_each_role(self):
        self.start()
        wanted = wanted_roles()
        with self.daemon.client() as client:
            self.assertEqual(sorted(client.call('stats')['requests']), sorted(wanted))
        denials = 0
        for role, uid in USERS.items():
            client = self.as_user(uid)
            has = ' '.join(name for name in ROLES[1:] if name in CONTAINED[role]) or 'none'
            for method, wants in wanted.items():
                with self.subTest(role=role, method=method):
                    if wants not in CONTAINED[role]:
                        self.denied(client, method, wants, has)
                        denials += 1
                        continue
                    try:
                        client.call(method)
                    except Failed as failed:
                        self.assertNotEqual(failed.code, 'DENIED', failed)
        self.assertEqual(self.count_denied(), denials)

    def test_a_pipeline_fills_a_release_and_another_makes_it_live(self):
        self.start()
        writer = self.as_user(WRITER)
        publisher = self.as_user(PUBLISHER)
        for release in ('a', 'b'):
            writer.call('release.create', release=release)
            writer.call('table.create', release=release, table='t', entity='item', kind='ir', dim=4)
            writer.load(release, 't', KEYS, ROWS)
            writer.call('release.seal', release=release)
            self.denied(writer, 'release.publish', 'publish', 'read write', release=release)
            publisher.call('release.publish', release=release)
        writer.call('put', release='live', table='t', keys=[7], rows=ROWS[8].tobytes())
        self.denied(publisher, 'put', 'write', 'read publish', release='live', table='t', keys=[7],
                    rows=ROWS[9].tobytes())
        self.assertEqual(self.as_user(READER).fetch('t', [7])['rows'], ROWS[8].tobytes())
        for client, has in ((writer, 'read write'), (publisher, 'read publish')):
            self.denied(client, 'release.drop', 'admin', has, release='a')
        self.assertEqual(publisher.call('release.rollback')['release'], 'a')
        operator = self.as_user(OPERATOR)
        operator.call('release.drop', release='b')
        self.assertEqual([each['release'] for each in operator.call('release.list')['releases']], ['a'])

    def test_groups_count_whether_they_are_first_or_not(self):
        self.start()
        many = list(range(5000, 5200))      # more than the daemon asks for at first
        for options, may in ((dict(gid=GROUP), True), (dict(groups=[GROUP]), True), (dict(groups=many + [GROUP]), True),
                             (dict(groups=many), False), (dict(gid=0), False), (dict(groups=[0]), False)):
            with self.subTest(**options):
                client = self.as_user(STRANGER, **options)
                if may:
                    client.call('release.list')
                    self.denied(client, 'merge', 'admin', 'read')
                else:
                    self.denied(client, 'release.list', 'read', 'none')

    def test_the_user_65534_is_nobody(self):
        self.start()
        for options in (dict(), dict(gid=GROUP), dict(groups=[GROUP])):
            self.denied(self.as_user(UNMAPPED, **options), 'release.list', 'read', 'none')
        self.assertEqual(self.count_denied(), 3)
        for who in ('user:nobody', 'user:65534', 'group:nogroup'):
            daemon = self.make_daemon('--read', who, name='x').launch()
            self.assertEqual(daemon.wait(), 2)
            daemon.process = None
            self.assertIn("--read: '%s': this number is that of everybody whom the kernel cannot name" % who, daemon.log())

    def test_a_user_of_another_namespace_is_nobody(self):
        def enter():
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
                os._exit(77)
            for name, text in (('setgroups', 'deny'), ('uid_map', '0 0 1'), ('gid_map', '0 0 1')):
                with open('/proc/self/' + name, 'w') as file:
                    file.write(text)
        self.daemon = self.make_daemon('--read', 'user:%d group:%d' % (STRANGER, GROUP))
        self.daemon.before_exec = enter
        try:
            self.daemon.start()
        except AssertionError:
            self.skipTest('no user namespaces')
        with self.daemon.client() as client:
            client.call('merge')       # root is mapped
        with self.fails('DENIED', "release.list wants the role 'read'; uid:65534 has 'none'"):
            self.as_user(STRANGER, gid=GROUP, groups=[GROUP]).call('release.list')

    def test_everybody_may_ask_who_he_is(self):
        self.start(SETTINGS + 'read = tcp:loopback\nwrite = user:%d\n' % PUBLISHER,
                   listen=['tcp:127.0.0.1:%d' % (port := harness.free_port())])
        for uid, options, roles, by in (
                (STRANGER, dict(groups=[5001]), [], []),
                (READER, dict(groups=[GROUP]), ['read'], ['read = user:%d' % READER, 'read = group:%d' % GROUP]),
                (PUBLISHER, {}, ['read', 'write', 'publish'], ['publish = user:%d' % PUBLISHER, 'write = user:%d' % PUBLISHER]),
                (0, {}, ['read', 'write', 'publish', 'admin'], ['admin: root, or the user whom the daemon runs as'])):
            client = self.as_user(uid, **options)
            said = client.call('whoami')
            self.assertEqual((said['peer'], said['uid'], said['gid'], said['groups']),
                             ('uid:%d' % uid, uid, OTHER_GROUP, options.get('groups', [])))
            self.assertEqual((said['roles'], sorted(said['by'])), (roles, sorted(by)))
            self.assertEqual(client.call('hello')['roles'], roles)
        with harness.Client('tcp:127.0.0.1:%d' % port) as client:
            self.assertEqual(client.call('whoami'), dict(peer='tcp:loopback', roles=['read'], by=['read = tcp:loopback']))
        self.assertIn('roles:  read write publish admin\nby:     admin: root, or the user whom the daemon runs as\n',
                      self.daemon.command('whoami'))

    def test_an_admin_asks_for_others(self):
        self.start(SETTINGS + 'write = user:daemon cert:URI=spiffe://ads/*\nread = group:daemon\n')
        self.assertEqual(self.daemon.command('access', 'check', '--as', 'user:daemon', 'put', 'live/ur'),
                         'allowed: put wants the role write\npeer:   uid:1\ngroups: 1 1\nroles:  read write\n'
                         'by:     write = user:daemon\nby:     read = group:daemon\n')
        self.assertEqual(self.daemon.command('access', 'check', '--as', 'user:daemon', 'release.drop', fails=1), '')
        said, = self.daemon.command_json('access', 'check', '--as', 'cert:URI=spiffe://ads/x', 'put')
        self.assertEqual((said['allowed'], said['roles'], said['names']), (True, ['read', 'write'], ['cert:URI=spiffe://ads/x']))
        with self.daemon.client() as client:
            def ask(who, method):
                return client.wait(client.send('access.check', {'as': who, 'method': method}))

            self.assertEqual(ask('tcp:loopback', 'ping')['allowed'], True)
            self.assertEqual(ask('tcp:loopback', 'fetch')['allowed'], False)
            self.assertEqual(ask('user:%d' % READER, 'fetch')['by'], ['read = user:%d' % READER])
            self.assertEqual(ask('user:65534', 'fetch')['roles'], [])
            for who, method, words in (
                    ('bob', 'put', ("'bob'", 'user:NAME, cert:KIND=NAME or tcp:loopback is allowed')),
                    ('user:no-such-user', 'put', ("there is no user 'no-such-user'",)),
                    ('group:daemon', 'put', ('user:NAME',)), ('cert:CN=', 'put', ('empty',)),
                    ('user:0', 'pit', ("there is no method 'pit'",)), ('x' * 300, 'put', ('at most 255 bytes',))):
                with self.fails('BAD_REQUEST', *words):
                    ask(who, method)
        self.denied(self.as_user(WRITER), 'access.check', 'admin', 'read write')

    def audit(self):
        """The lines event=audit of the journal: level, and the rest."""
        return re.findall(r'^level=(\w+) event=audit (.*)$', self.daemon.log(), re.MULTILINE)

    def test_what_an_operator_asks_is_told(self):
        self.start()
        with self.daemon.client() as client:
            for release in ('a', 'b'):
                client.call('release.create', release=release)
                client.call('table.create', release=release, table='t', entity='item', kind='ir', dim=4)
                client.load(release, 't', KEYS, ROWS)
                client.seal(release)
            client.call('put', release='live', table='t', keys=[7], rows=ROWS[8].tobytes())
            client.call('release.rollback')
            with self.fails('CONFLICT'):
                client.call('release.drop', release='a')
            client.call('release.drop', release='b')
            with self.fails('BAD_REQUEST'):
                client.call('release.drop', release='x y"\n')
            client.call('slowlog')                      # a look: nothing is told
            client.call('slowlog', n=5, reset=True)
            client.wait(client.send('access.check', {'as': 'user:%d' % READER, 'method': 'fetch'}))
            with self.fails('BAD_REQUEST'):
                client.wait(client.send('access.check', {'as': 'bob x=', 'method': 'put'}))
        publisher = self.as_user(PUBLISHER)
        publisher.call('release.publish', release='a')
        self.denied(publisher, 'release.drop', 'admin', 'read publish', release='a')
        self.denied(publisher, 'put', 'write', 'read publish', release='a', table='t', keys=[7], rows=ROWS[8].tobytes())

        def done(method, release, result='OK', peer=0):
            return ('info', 'result=%s peer=uid:%d method=%s release=%s' % (result, peer, method, release))

        said = [done(method, release) for release in ('a', 'b')
                for method in ('release.create', 'table.create', 'release.seal', 'release.publish')]
        said += [done('release.rollback', 'a'), done('release.drop', 'a', 'CONFLICT'), done('release.drop', 'b'),
                 done('release.drop', r'x\x20y\x22\x0a', 'BAD_REQUEST'),
                 ('info', 'result=OK peer=uid:0 method=slowlog reset=yes'),
                 ('info', 'result=OK peer=uid:0 method=access.check as=user:%d' % READER),
                 ('info', r'result=BAD_REQUEST peer=uid:0 method=access.check as=bob\x20x='), done('release.publish', 'a', peer=PUBLISHER)]
        said += [('warning', 'result=DENIED peer=uid:%d method=%s release=a wants=%s has="read publish"' % (
            PUBLISHER, method, wants)) for method, wants in (('release.drop', 'admin'), ('put', 'write'))]
        self.assertEqual(self.audit(), said)

    def test_nobody_fills_the_journal_or_hides_the_others(self):
        self.start()
        client = self.as_user(STRANGER)
        for _ in range(100):
            with self.fails('DENIED'):
                client.call('release.list')
        with self.fails('DENIED'):
            self.as_user(READER).call('merge')
        told = [line for _, line in self.audit()]
        lines = sum('peer=uid:%d ' % STRANGER in line for line in told)
        self.assertGreaterEqual(lines, 10)
        self.assertLess(lines, 50)      # more than 10 where the test was held for long
        self.assertEqual(sum('peer=uid:%d ' % READER in line for line in told), 1)
        self.assertEqual(self.count_denied(), 101)

    def test_who_has_no_role_leaves_places_to_others(self):
        self.start(SETTINGS + '[net]\nmax_connections = 400\n')
        held = [connect_as(self.daemon.address, STRANGER) for _ in range(110)]
        served = 0
        for client in held:
            try:
                client.call('ping')
                served += 1
            except (Closed, ConnectionError):
                pass
        self.assertEqual(served, 100)       # a quarter
        self.assertIn('reason=no_role', self.daemon.log())
        more = [connect_as(self.daemon.address, READER) for _ in range(150)]
        for client in more:
            self.assertEqual(client.call('release.list')['releases'], [])
        for client in held + more:
            client.close()

    def test_tcp_has_no_role_unless_it_is_given(self):
        for settings, has in (('', 'none'), ('[access]\nread = tcp:loopback\n', 'read'),
                              ('[access]\nadmin = tcp:loopback\n', 'read write publish admin')):
            port = harness.free_port()
            address = 'tcp:127.0.0.1:%d' % port
            self.start(settings, listen=[address])
            with harness.Client(address) as client:
                for method, wants in wanted_roles().items():
                    with self.subTest(has=has, method=method):
                        if wants not in has.split() + ['none']:
                            with self.fails('DENIED', 'tcp:loopback has'):
                                client.call(method)
                        elif wants in ('none', 'read', 'admin'):
                            try:
                                client.call(method)
                            except Failed as failed:
                                self.assertNotEqual(failed.code, 'DENIED', failed)
            self.assertEqual(self.count_denied('tcp') > 0, 'admin' not in has)
            self.daemon.stop()

    def test_a_stranger_sends_nothing_long(self):
        self.start()
        client = self.as_user(STRANGER)
        with self.assertRaises((Closed, Failed, OSError)):
            client.call('put', rows=b'x' * (1 << 20))
        self.assertTrue(client.is_closed())
        self.as_user(READER).call('release.list')

    def test_the_command_says_which_role_is_missing(self):
        self.start(listen=['tcp:127.0.0.1:%d' % (port := harness.free_port())])
        self.daemon.command('release', 'list')
        self.daemon.address, unix = 'tcp:127.0.0.1:%d' % port, self.daemon.address
        self.assertEqual(self.daemon.command('release', 'list', fails=1),
                         "repstore: release.list wants the role 'read'; tcp:loopback has 'none'; "
                         '`repstore whoami` shows your roles; the operator gives them in [access] of the settings of repstored (DENIED)\n')
        self.daemon.address = unix


if __name__ == '__main__':
    harness.main()
