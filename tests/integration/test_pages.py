"""test_pages.py - every command line of the pages does what the page says.

A block that is fenced as ```sh is run: the blocks of a page from top to bottom, in one shell that ends at
the first failure, beside a daemon of its own ($REPSTORE). Its folder looks like the root of the project. A block
fenced as ```sh example is not run. Any other block says what else it is: c, text, python.
"""

import os
import re
import signal
import subprocess

import harness

PORT = '7071'
PAGE_SECONDS = 60 * harness.PATIENCE
SKIPPED = ('.git', '.github')
COMMANDS = ('bash', 'console', 'shell', 'zsh')  # another name of sh would not be run


def pages():
    found = []
    for folder, names, files in os.walk(harness.ROOT):
        names[:] = [name for name in names if name not in SKIPPED and not name.startswith('build')]
        found += [os.path.relpath(os.path.join(folder, name), harness.ROOT) for name in files if name.endswith('.md')]
    return sorted(found)


class Page:
    def __init__(self, path):
        self.path = path
        self.wrong = []     # blocks that do not say what they are
        self.lines = []     # what is to be run, each where it stands in the page
        with open(os.path.join(harness.ROOT, path)) as file:
            self.read(file.read().splitlines())

    def read(self, lines):
        fence = kind = None
        after_blank, in_list = True, False
        for number, line in enumerate(lines, 1):
            mark = re.match(r' {0,3}(`{3,}|~{3,})\s*(.*)', line)
            self.lines.append(line if fence and kind == 'sh' else '')
            if fence is None and mark:
                fence, kind = mark.groups()
                if not kind or kind.split()[0] in COMMANDS or (kind.startswith('sh ') and kind != 'sh example'):
                    self.wrong.append("%s:%d: the block says '%s', not sh, sh example or another language" % (
                        self.path, number, kind))
            elif fence is not None:
                if mark and mark.group(1).startswith(fence) and not mark.group(2):
                    fence = kind = None
                    self.lines[-1] = ''
            elif line.strip():
                if re.match(r' {4}|\t', line):
                    if after_blank and not in_list:
                        self.wrong.append('%s:%d: a block without a fence' % (self.path, number))
                elif not line.startswith(' '):
                    in_list = re.match(r'([-*+]|\d+[.)])\s', line) is not None
            after_blank = not line.strip()
        if fence is not None:
            self.wrong.append('%s: a block without an end' % self.path)


class Pages(harness.Case):
    def test_every_block_says_what_it_is(self):
        found = [Page(path) for path in pages()]
        self.assertGreater(len(found), 1)
        self.assertEqual([wrong for page in found for wrong in page.wrong], [])

    def make_root(self):
        """A folder that has all that the root of the project has, but a `build` of its own."""
        folder = self.path('root')
        os.makedirs(os.path.join(folder, 'build'))
        for name in os.listdir(harness.ROOT):
            if name not in SKIPPED and not name.startswith('build'):
                os.symlink(os.path.join(harness.ROOT, name), os.path.join(folder, name))
        return folder

    def run_page(self, path):
        page = Page(path)
        self.assertEqual(page.wrong, [], 'nothing of it was run')
        daemon = self.start_daemon()
        script = self.path('script')
        with open(script, 'w') as file:
            # Another may have the port that the page shows.
            file.write('\n'.join(page.lines).replace(PORT, str(harness.free_port())) + '\n')
        folders = [os.path.dirname(os.path.abspath(harness.program(name))) for name in ('repstored', 'repstore')]
        environment = dict(os.environ, REPSTORE=daemon.address, PATH=os.pathsep.join(folders + [os.environ['PATH']]))
        with open(self.path('said'), 'w+') as said:
            process = subprocess.Popen(['sh', '-eux', script], cwd=self.make_root(), env=environment,
                                       stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
            try:
                status = process.wait(PAGE_SECONDS)
            except subprocess.TimeoutExpired:
                status = 'no end'
            try:
                os.killpg(process.pid, signal.SIGKILL)
                left = True
            except ProcessLookupError:
                left = False
            process.wait()
            said.seek(0)
            text = said.read()
        self.assertEqual(status, 0, "%s: the last command, marked by a +, of:\n%s" % (path, text[-4000:]))
        self.assertFalse(left, '%s leaves a process behind' % path)

    @classmethod
    def add(cls, path):
        name = 'test_the_commands_of_' + re.sub(r'\W', '_', path)
        setattr(cls, name, lambda self: self.run_page(path))


for each in pages():
    if any(Page(each).lines):
        Pages.add(each)

if __name__ == '__main__':
    harness.main()
