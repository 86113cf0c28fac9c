"""backend.py - builds a wheel of the package, with the library in it: pip wheel client/python

meson-python wants pyproject.toml beside the meson.build of the project. That one is at the top of the tree, so it is given a
folder of links to what the build reads, in which both lie side by side. There is no source archive: a clone is one.
"""

import contextlib
import os
import tempfile

import mesonpy

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OF_ROOT = ('LICENSE', 'client', 'meson.build', 'meson_options.txt', 'schema', 'tls')
OF_PACKAGE = ('README.md', 'pyproject.toml')


@contextlib.contextmanager
def _staged():
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix='repstore-wheel-') as stage:
        for folder, names in ((ROOT, OF_ROOT), (HERE, OF_PACKAGE)):
            for name in names:
                os.symlink(os.path.join(folder, name), os.path.join(stage, name))
        os.chdir(stage)
        try:
            yield
        finally:
            os.chdir(before)


def get_requires_for_build_wheel(config_settings=None):
    return []       # nothing is linked that would have to be patched


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    target = os.path.abspath(wheel_directory)
    with _staged():
        return mesonpy.build_wheel(target, config_settings)


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit('repstore: a source archive is not built; build the wheel from a clone: pip wheel client/python')
