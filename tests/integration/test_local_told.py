"""test_local_told.py - a daemon counts the readers of its folder that tell it, and these read whether or not it is there."""

import os
import signal
import socket
import time

import harness
import http_case
import local_way
from harness import Failed


class Told(harness.Case):
    def setUp(self):
        super().setUp()
        self.daemon = self.start_daemon()
        self.client = self.daemon.client()
        self.addCleanup(lambda: self.client.close())
        self.client.call('release.create', release='r')
        self.client.call('table.create', release='r', table='t', entity='user', kind='ur', dim=2)
        self.client.load('r', 't', [1], harness.np.ones((1, 2), '<f4'))
        self.client.seal('r')
        self.client.call('release.publish', release='r')

    def open(self, address=None):
        reader = local_way.Reader(self.daemon.data, 'tell=' + (address or self.daemon.address))
        self.addCleanup(reader.close)
        return reader

    def told(self):
        return self.client.call('stats')['connections']['local_readers']

    def await_told(self, count):
        limit = time.monotonic() + harness.CALL_SECONDS
        while self.told() != count:
            self.assertLess(time.monotonic(), limit, 'told of %d' % self.told())
            time.sleep(0.01)

    def reads(self, reader):
        self.assertEqual(reader.call('local.fetch', table='t', key=1)['found'], 1)

    def test_those_that_are_open_are_counted(self):
        self.assertIn('local', self.client.call('hello')['features'])
        silent = local_way.Reader(self.daemon.data)
        self.addCleanup(silent.close)
        self.assertEqual(self.told(), 0)
        readers = [self.open() for _ in range(3)]
        self.await_told(3)
        readers[0].close()
        self.await_told(2)
        os.kill(readers[1].process.pid, signal.SIGKILL)
        readers[1].process.communicate()
        readers[1].socket.close()
        self.await_told(1)
        self.reads(readers[2])

    def test_a_daemon_that_comes_back_is_told_again(self):
        reader = self.open()
        self.await_told(1)
        self.client.close()
        self.daemon.kill()
        self.reads(reader)
        self.daemon.start()
        self.client = self.daemon.client()
        self.await_told(1)
        self.reads(reader)

    def test_one_that_is_not_there_is_nothing_to_a_reader(self):
        """Not there, not a daemon, and one that says nothing."""
        reader = self.open(self.path('none'))
        self.reads(reader)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path('mute'))
            listener.listen()
            mute = self.open(self.path('mute'))
            self.reads(mute)
            mute.close()
        self.assertEqual(self.told(), 0)
        with self.assertRaisesRegex(local_way.Refused, 'BAD_REQUEST: rep_local_options: address .*nowhere'):
            self.open('tcp:nowhere')

    def test_what_hello_takes(self):
        with self.daemon.client() as other:
            other.call('hello', local=True, client='one')
            self.assertEqual(self.told(), 1)
            other.call('hello')     # what is left out stays
            other.call('hello', local=True)
            self.assertEqual(self.told(), 1)
            with self.assertRaisesRegex(Failed, 'local'):
                other.call('hello', local=7)
            with self.assertRaises(Failed):
                other.call('hello', local=False, other=1)
            self.assertEqual(self.told(), 1)
            other.call('hello', local=False)
            self.assertEqual(self.told(), 0)
            other.call('hello', local=True)
        self.await_told(0)


class Metric(http_case.HttpCase):
    def test_it_is_a_metric(self):
        self.start_http()
        self.assertEqual(self.metrics()['repstore_local_readers'], {'': 0})
        self.client.call('hello', local=True)
        self.assertEqual(self.metrics()['repstore_local_readers'], {'': 1})


if __name__ == '__main__':
    harness.main()
