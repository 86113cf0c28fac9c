"""local_way.py - the embedded reader as a client of the tests: the same requests as to a daemon, without one."""

import socket
import subprocess

import harness

OPENED_SECONDS = 60 * harness.PATIENCE


class Refused(Exception):
    """The folder was not opened."""


class Reader(harness.Client):
    """Asks a reader of `folder`, which is a process of its own (local_peer.c), as harness.Client asks a daemon."""

    def __init__(self, folder, *options, before_exec=None, timeout=harness.CALL_SECONDS):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(timeout)
        with theirs:
            self.process = subprocess.Popen([harness.program('local_peer'), folder, *options], stdin=theirs, stdout=theirs,
                                            stderr=subprocess.PIPE, preexec_fn=before_exec)
        self.unpacker = harness.msgpack.Unpacker(raw=False, max_buffer_size=2 * harness.MESSAGE_BYTES)
        self.next_id = 0
        self.answers = {}
        try:
            self.call('ping')
        except harness.Closed:
            said = self.end()
            raise Refused(said) from None

    def end(self):
        """Waits for its end; returns what it said."""
        self.socket.close()
        said = self.process.communicate(timeout=OPENED_SECONDS)[1].decode(errors='replace').strip()
        if self.process.returncode not in (0, 3):
            raise AssertionError('local_peer exited with %d: %s' % (self.process.returncode, said))
        return said

    def close(self):
        """It must end without a leak, and without a word."""
        if self.process.returncode is None:
            said = self.end()
            if said:
                raise AssertionError('local_peer: ' + said)
