"""test_python_torch.py - the Python package beside PyTorch. It is skipped where torch is not installed."""

from __future__ import annotations

import importlib.util
import unittest
from typing import Any

import numpy as np

import harness
from python_case import COUNT, DIM, PythonCase, repstore

HAS_TORCH = importlib.util.find_spec('torch') is not None
if HAS_TORCH:
    import torch
    if repstore is not None:
        import repstore.torch


@unittest.skipUnless(HAS_TORCH, 'torch is not installed')
class Torch(PythonCase):

    def test_tensors_show_the_memory_of_the_rows(self) -> None:
        rows = self.make()
        got = self.client.fetch({'t': np.arange(COUNT)})['t']
        tensor = got.torch()
        self.assertEqual(tensor.data_ptr(), got.rows.ctypes.data)
        self.assertEqual(torch.from_dlpack(got).data_ptr(), got.rows.ctypes.data)
        self.assertTrue(torch.equal(tensor, torch.from_numpy(rows)))
        tensor[0, 0] = 7
        self.assertEqual(got.rows[0, 0], 7)
        half = self.client.fetch({'t': [1]}, dtype='bf16')['t'].torch()
        self.assertTrue(torch.equal(half, torch.from_numpy(rows[1:2]).to(torch.bfloat16)))

    def test_a_tensor_keeps_its_memory(self) -> None:
        """While it lives no fetch writes there; afterwards the next does."""
        self.make()
        keys = np.arange(2000) % COUNT
        for of in (lambda got: got.torch(), torch.from_dlpack, lambda got: got.torch()[5:, ::3].detach(),
                   lambda got: torch.utils.dlpack.to_dlpack(got.torch())):
            got = self.client.fetch({'t': keys})['t']
            where, held = got.rows.ctypes.data, of(got)
            del got
            for _ in range(3):
                self.assertNotEqual(self.client.fetch({'t': keys})['t'].rows.ctypes.data, where)
            del held
            self.assertIn(where, [each['t'].rows.ctypes.data for each in [
                self.client.fetch({'t': keys}) for _ in range(8)]])

    def test_tensors_are_keys_rows_and_stored_layers(self) -> None:
        values = torch.randn(4, DIM)
        with self.client.new_release('r') as release:
            release.create_table('t', entity='item', kind='ir', dim=DIM)
            release.create_table('h', entity='item', kind='ir', dim=DIM, dtype='bf16')
            release.load('t', torch.arange(4), values)
            release.load('h', torch.arange(4), torch.nn.Parameter(values.to(torch.bfloat16)))
            module = torch.nn.Linear(DIM, 3)
            for name, value in module.state_dict().items():
                release.put_tensor('adapter.' + name, value)
            release.put_tensor('half', values.to(torch.bfloat16))
            release.seal().publish()
        got = self.client.fetch({'t': torch.tensor([3, 0])})['t'].torch()
        self.assertTrue(torch.equal(got, values[[3, 0]]))
        self.assertTrue(torch.equal(self.client.fetch({'h': [2]})['h'].torch()[0], values[2].to(torch.bfloat16)))
        through = self.client.fetch({'t': range(4)}, through=['adapter'])['t'].torch()
        self.assertTrue(torch.allclose(through, module(values).detach(), atol=1e-5))
        self.assertTrue(torch.equal(self.client.tensor('half').torch(), values.to(torch.bfloat16)))
        self.assertEqual(self.client.retrieve('t', vectors=values[2], release='r', metric='l2', k=1).keys.tolist(), [[2]])

    def test_the_workers_of_a_loader_read_each_row_once(self) -> None:
        rows = self.make()
        for workers in (0, 1, 2):
            data = repstore.torch.Rows('t', address=self.daemon.address, release='r', batch=50)
            keys: list[int] = []
            for each in torch.utils.data.DataLoader(data, batch_size=None, num_workers=workers):
                self.assertTrue(torch.equal(each['rows'], torch.from_numpy(rows[each['keys'].numpy()])))
                self.assertEqual(each['times'].shape, each['keys'].shape)
                keys += each['keys'].tolist()
            self.assertEqual(sorted(keys), list(range(COUNT)))

    def test_workers_share_byte_keys_and_keys_with_a_stride(self) -> None:
        rows = np.ones((COUNT, 1), 'f2')
        with self.client.new_release('r') as release:
            release.create_table('b', entity='item', kind='ir', dim=1, dtype='f16', key='bytes')
            release.create_table('s', entity='item', kind='ir', dim=1, dtype='f16')
            release.load('b', ['%d' % i for i in range(COUNT)], rows)
            release.load('s', np.arange(COUNT, dtype='u8') << np.uint64(40), rows)
            release.seal().publish()
        for table in ('b', 's'):
            counts: list[Any] = []
            data = repstore.torch.Rows(table, address=self.daemon.address, dtype='f32')
            for each in torch.utils.data.DataLoader(data, batch_size=None, num_workers=2):
                self.assertEqual(each['rows'].dtype, torch.float32)
                counts.append(len(each['keys']))
            self.assertEqual(sum(counts), COUNT)
            self.assertGreater(min(counts), COUNT // 4)

    def test_nothing_is_opened_before_rows_are_read(self) -> None:
        data = repstore.torch.Rows('t', address='unix:%s/no' % self.scratch)
        with self.assertRaises(OSError):
            next(iter(data))


if __name__ == '__main__':
    harness.main()
