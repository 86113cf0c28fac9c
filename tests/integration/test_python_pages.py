"""test_python_pages.py - what the Python package says of itself: its README and the examples of its docstrings run, and each
docstring names the parameters that there are."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import harness
from python_case import HAS_LOCAL, PythonCase, repstore
from test_python_torch import HAS_TORCH

MODULES = ('aio', 'client', 'errors', 'query', 'release', 'rows', 'tensors') + (('local',) if HAS_LOCAL else ())


def public(module: Any) -> Iterator[tuple[str, Any]]:
    """The classes and functions of a module that users see, and the methods of the classes."""
    for name, each in vars(module).items():
        if name.startswith('_') or getattr(each, '__module__', None) != module.__name__ or name not in (*repstore.__all__, 'Local'):
            continue
        yield name, each
        for method, function in vars(each).items():
            if inspect.isfunction(function) and (not method.startswith('_') or method == '__call__'):
                yield '%s.%s' % (name, method), function


def described(text: str) -> list[str]:
    """The parameters that a docstring names, in its order."""
    found = re.search(r'Parameters\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+\n|\Z)', inspect.cleandoc(text), re.S)
    heads = re.findall(r'^(\S.*?)(?: : .*)?$', found[1], re.M) if found else []
    return [name for head in heads for name in head.split(', ')]


class Pages(PythonCase):

    def setUp(self) -> None:
        super().setUp()
        os.environ['REPSTORE'] = self.daemon.address
        self.addCleanup(os.environ.pop, 'REPSTORE')

    def test_the_readme_runs(self) -> None:
        with open(os.path.join(harness.ROOT, 'client', 'python', 'README.md'), encoding='utf-8') as file:
            blocks = re.findall(r'^```python(| torch| local)\n(.*?)^```', file.read(), re.M | re.S)
        self.assertGreater(len(blocks), 4)
        names: dict[str, Any] = {}
        for needs, block in blocks:
            if {'': True, ' torch': HAS_TORCH, ' local': HAS_LOCAL}[needs]:
                exec(compile(block, 'README.md', 'exec'), names)
        names['c'].close()

    def test_the_examples_of_docstrings_run(self) -> None:
        """Each alone, with a release like the README's, a client `c` and numpy as `np`."""
        random = harness.random_state(2)
        with self.client.new_release('ckpt-1') as release:
            release.create_table('ur', entity='user', kind='ur', dim=64)
            release.create_table('ir', entity='item', kind='ir', dim=64)
            release.create_table('cr_user@mlp2', entity='user', kind='cr', dim=32, read='mean')
            release.create_table('seen', entity='user', kind='ur', dim=2, history=4)
            release.load('ur', np.arange(100), random.standard_normal((100, 64)).astype('f4'))
            release.load('ir', np.arange(1000), random.standard_normal((1000, 64)).astype('f4'))
            release.put_tensor('adapter.weight', np.ones((32, 64), 'f4'))
            release.seal().publish()
        self.client.observe('mlp2', rows=np.ones((2, 32), 'f4'), times=[harness.now_ms()] * 2, users=[1, 2], source='clicks',
                            position=0)
        parser, runner, count = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner(), 0
        for name in MODULES + (('torch',) if HAS_TORCH else ()):
            module = importlib.import_module('repstore.' + name)
            for case in parser.find(module, name, globs={'c': self.client, 'folder': self.daemon.data, 'np': np, 'repstore': repstore}):
                self.client.put('ur', [7], np.ones((1, 64), 'f4'))
                runner.run(case, out=sys.stderr.write)
                count += len(case.examples) > 0
        self.assertEqual(runner.failures, 0)
        self.assertGreaterEqual(count, 25)

    def test_docstrings_name_the_parameters_that_there_are(self) -> None:
        count = 0
        for module in MODULES:
            for name, each in public(importlib.import_module('repstore.' + module)):
                with self.subTest(name):
                    self.assertTrue(each.__doc__, 'no docstring')
                    count += 1
                    if inspect.isclass(each) and 'Parameters\n' not in str(each.__doc__):
                        continue    # users do not make one
                    parameters = [('**' if parameter.kind is parameter.VAR_KEYWORD else '') + parameter.name
                                  for parameter in inspect.signature(each).parameters.values() if parameter.name != 'self']
                    self.assertEqual(described(each.__doc__), parameters)
        self.assertGreater(count, 60)


if __name__ == '__main__':
    harness.main()
