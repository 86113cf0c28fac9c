"""sandbox.py - what the shipped unit does to the daemon, done without systemd.

Sandbox() reads systemd/repstored.service.in; its `enter` is called in the new process before it becomes the
daemon. The filters of system calls are made by libseccomp, which systemd itself makes them by, from the groups
that `systemd-analyze syscall-filter` lists. What only root may do (an empty set of capabilities, a file system
that is read-only but for the daemon's folders) is left out for others.
"""

import ctypes
import errno
import os
import resource
import subprocess

import harness

UNIT = os.path.join(harness.ROOT, 'systemd', 'repstored.service.in')
# seccomp.h
ALLOW = 0x7fff0000
KILL = 0x80000000
NE, EQ, GT, MASKED = 1, 4, 6, 7
# linux/capability.h, linux/prctl.h, linux/mount.h, bits/mman.h, sched.h, sys/stat.h
CAP_LAST = 63
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 1
MS_PRIVATE_ALL = 1 << 18 | 1 << 14
MS_BIND = 1 << 12
SYS_MOUNT_SETATTR = 442
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000
NAMESPACES = 0x7e020080
RLIMIT_NICE = 13
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
SUID_SGID = (0o4000, 0o2000)
FAMILIES = {'AF_UNIX': 1, 'AF_INET': 2, 'AF_INET6': 10}


class Missing(Exception):
    """A program or library of systemd is not here."""


class Compare(ctypes.Structure):
    _fields_ = [('arg', ctypes.c_uint), ('op', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


class MountAttributes(ctypes.Structure):
    _fields_ = [('set', ctypes.c_uint64), ('clear', ctypes.c_uint64), ('propagation', ctypes.c_uint64),
                ('userns', ctypes.c_uint64)]


def refuse(number):
    return 0x00050000 | number


LISTS = ('RestrictAddressFamilies', 'IPAddressAllow', 'IPAddressDeny')


def read_unit(*drop_ins):
    """The settings of [Service]: name -> list of values. drop_ins: names of files beside the unit that change it."""
    settings = {}
    for path in (UNIT, *(os.path.join(os.path.dirname(UNIT), name + '.conf') for name in drop_ins)):
        section = None
        with open(path) as unit:
            for line in unit:
                line = line.strip()
                if line.startswith('['):
                    section = line
                elif '=' in line and line[0] not in '#;' and section == '[Service]':
                    name, _, value = line.partition('=')
                    if name in LISTS and value == '':
                        settings.pop(name, None)
                    else:
                        settings.setdefault(name, []).append(value)
    return settings


def groups():
    """What systemd's groups of system calls hold."""
    try:
        text = subprocess.run(['systemd-analyze', '--no-pager', 'syscall-filter'], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout.decode()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Missing('systemd-analyze: %s' % error) from None
    found = {}
    group = None
    for line in text.splitlines():
        if line.startswith('@'):
            group = found.setdefault(line.strip(), [])
        elif not line.startswith(' '):
            group = None
        elif group is not None and not line.strip().startswith('#'):
            group.append(line.strip())
    return found


def expand(names, known):
    calls = set()
    for name in names:
        if name.startswith('@'):
            calls |= expand(known[name], known)
        else:
            calls.add(name)
    return calls


def allowed_calls(filters):
    """What SystemCallFilter= lets pass: each line adds, or with ~ takes away, in this order."""
    known = groups()
    allowed = set()
    for line in filters:
        calls = expand(line.lstrip('~').split(), known)
        allowed = allowed - calls if line.startswith('~') else allowed | calls
    return allowed


class Sandbox:
    def __init__(self, folder, settings=None, unlisted=None):
        """folder: what the daemon may write to. unlisted: what becomes of a call that the filter lacks."""
        self.folder = folder
        self.settings = settings or read_unit()
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.seccomp = ctypes.CDLL('libseccomp.so.2')
        except OSError as error:
            raise Missing(str(error)) from None
        self.seccomp.seccomp_init.restype = ctypes.c_void_p
        for name in ('seccomp_rule_add_array', 'seccomp_load'):
            getattr(self.seccomp, name).argtypes = None
        if unlisted is None:
            unlisted = refuse(getattr(errno, self.one('SystemCallErrorNumber')))
        self.allowed = allowed_calls(self.settings['SystemCallFilter'])
        self.filters = [self.filter_calls(unlisted), self.filter_arguments()]

    def one(self, name):
        values = self.settings[name]
        assert len(values) == 1, (name, values)
        return values[0]

    def says_yes(self, name):
        return self.settings.get(name) == ['yes']

    # ---- filters ----

    def begin(self, action):
        context = self.seccomp.seccomp_init(ctypes.c_uint32(action))
        assert context
        return ctypes.c_void_p(context)

    def rule(self, context, action, call, *compares):
        number = self.seccomp.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return      # of another processor, or newer than the library
        array = (Compare * max(len(compares), 1))(*[Compare(*compare) for compare in compares])
        failed = self.seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action), ctypes.c_int(number),
                                                     ctypes.c_uint(len(compares)), array)
        assert failed == 0, (call, failed)

    def filter_calls(self, unlisted):
        context = self.begin(unlisted)
        for call in sorted(self.allowed):
            self.rule(context, ALLOW, call)
        return context

    def filter_arguments(self):
        """What the other settings refuse by the arguments of calls."""
        context = self.begin(ALLOW)
        no = refuse(errno.EPERM)
        if self.says_yes('MemoryDenyWriteExecute'):
            both = PROT_WRITE | PROT_EXEC
            self.rule(context, no, 'mmap', (2, MASKED, both, both))
            for call in ('mprotect', 'pkey_mprotect'):
                self.rule(context, no, call, (2, MASKED, PROT_EXEC, PROT_EXEC))
            self.rule(context, no, 'shmat', (2, MASKED, SHM_EXEC, SHM_EXEC))
        families = [FAMILIES[name] for name in self.one('RestrictAddressFamilies').split()]
        for family in set(range(max(families))) - set(families):
            self.rule(context, refuse(errno.EAFNOSUPPORT), 'socket', (0, EQ, family, 0))
        self.rule(context, refuse(errno.EAFNOSUPPORT), 'socket', (0, GT, max(families), 0))
        if self.says_yes('RestrictNamespaces'):
            for bit in range(32):
                if NAMESPACES >> bit & 1:
                    for call in ('clone', 'unshare'):
                        self.rule(context, no, call, (0, MASKED, 1 << bit, 1 << bit))
            self.rule(context, no, 'setns')
            self.rule(context, refuse(errno.ENOSYS), 'clone3')
        if self.says_yes('RestrictRealtime'):
            for policy in (1, 2, 6):
                self.rule(context, no, 'sched_setscheduler', (1, EQ, policy, 0))
        if self.says_yes('RestrictSUIDSGID'):
            for bit in SUID_SGID:
                for call, at in (('chmod', 1), ('fchmod', 1), ('fchmodat', 2), ('mkdir', 1), ('mkdirat', 2),
                                 ('mknod', 1), ('mknodat', 2), ('creat', 1)):
                    self.rule(context, no, call, (at, MASKED, bit, bit))
                for call, at in (('open', 1), ('openat', 2)):
                    self.rule(context, no, call, (at, MASKED, os.O_CREAT, os.O_CREAT),
                              (at + 1, MASKED, bit, bit))
            self.rule(context, refuse(errno.ENOSYS), 'openat2')
        return context

    # ---- the new process ----

    def must(self, result, what):
        if result != 0:
            raise OSError(ctypes.get_errno(), what)

    def make_read_only(self):
        """ProtectSystem=strict: all but /dev, /proc, /sys and the daemon's folders."""
        self.must(self.libc.unshare(CLONE_NEWNS), 'unshare')
        self.must(self.libc.mount(None, b'/', None, MS_PRIVATE_ALL, None), 'mount private')
        folder = self.folder.encode()
        self.must(self.libc.mount(folder, folder, None, MS_BIND, None), 'mount the folder')
        writable = MountAttributes(clear=MOUNT_ATTR_RDONLY)
        for path, flags, attributes in ((b'/', AT_RECURSIVE, MountAttributes(set=MOUNT_ATTR_RDONLY)),
                                        (b'/dev', AT_RECURSIVE, writable), (b'/proc', 0, writable),
                                        (b'/sys', 0, writable), (folder, 0, writable)):
            self.must(self.libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path, flags, ctypes.byref(attributes),
                                        ctypes.sizeof(attributes)), 'mount_setattr')
        if self.settings.get('ProcSubset') == ['pid']:
            self.must(self.libc.mount(b'proc', b'/proc', b'proc', 0, b'subset=pid'), 'mount /proc')

    def drop_capabilities(self):
        for capability in range(CAP_LAST + 1):
            self.libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    def enter(self):
        files = int(self.one('LimitNOFILE'))
        nice = 20 - int(self.one('LimitNICE'))
        is_root = os.geteuid() == 0
        if is_root and self.one('ProtectSystem') == 'strict':
            self.make_read_only()
        if is_root and self.says_yes('PrivateNetwork'):
            self.must(self.libc.unshare(CLONE_NEWNET), 'unshare the network')
        for limit, wanted in ((resource.RLIMIT_NOFILE, files), (RLIMIT_NICE, nice)):
            _, most = resource.getrlimit(limit)
            wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
            resource.setrlimit(limit, (wanted, wanted))
        os.umask(int(self.one('UMask'), 8))
        if is_root and self.one('CapabilityBoundingSet') == '':
            self.drop_capabilities()
        self.must(self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'no new privileges')
        for context in reversed(self.filters):
            self.must(self.seccomp.seccomp_load(context), 'seccomp')
