"""test_status_page.py - the status page in a headless Chromium, and /api/state, which it reads.

REPSTORE_PICTURES=FOLDER keeps what the page looks like.
"""

import json
import os
import re
import time
import unittest

import browser
import harness
import http_case
from http_case import ask

EVIL = '<img src=x onerror="document.title=1">'

# What schema/PROTOCOL.md promises of /api/state.
STATE = {'version', 'now_ms', 'started_ms', 'interval_ms', 'ready', 'checks', 'live', 'rollback', 'releases', 'tables',
         'connections', 'write', 'process', 'series', 'events'}
RELEASE = {'release', 'number', 'state', 'model', 'checkpoint', 'layer', 'created_ms', 'sealed_ms', 'published_ms',
           'tables', 'rows', 'rows_exact', 'bytes'}
TABLE = {'table', 'rows', 'rows_exact', 'bytes', 'resident', 'deltas', 'delta_bytes', 'pending', 'written_ms', 'segments', 'damaged',
         'index', 'index_bytes', 'levels', 'keys'}
LEVEL = {'number', 'files', 'rows', 'deleted', 'bytes', 'resident', 'checked', 'damaged', 'index_bytes'}
SERIES = {'end_ms', 'requests', 'errors', 'fetch_p50_us', 'fetch_p99_us', 'fetch_p999_us', 'put_p99_us', 'sync_p99_us',
          'keys', 'hit_share', 'rows_written', 'queued', 'pending_share', 'processors'}


class StateCase(http_case.HttpCase):
    def setUp(self):
        super().setUp()
        self.start_http()
        self.make_live()

    def state(self):
        code, headers, text = ask(self.address, '/api/state')
        self.assertEqual((code, headers['Content-Type']), (200, 'application/json'))
        return json.loads(text)


class State(StateCase):
    def test_it_has_what_the_protocol_says(self):
        self.use_everything()
        state = self.state()
        self.assertEqual(set(state), STATE)
        self.assertEqual({frozenset(each) for each in state['releases']}, {frozenset(RELEASE)})
        self.assertEqual({frozenset(each) for each in state['tables']}, {frozenset(TABLE)})
        self.assertEqual({frozenset(level) for each in state['tables'] for level in each['levels']}, {frozenset(LEVEL)})
        self.assertEqual(set(state['series']), SERIES)
        self.assertEqual(state['live'], 'r1')
        self.assertEqual(state['releases'][0]['model'], 'm "1"\\')
        ir = next(each for each in state['tables'] if each['table'] == 'ir')
        self.assertEqual([(level['number'], level['rows']) for level in ir['levels']], [(0, ir['rows'])])
        self.assertEqual((ir['rows'], ir['keys']['found'], ir['keys']['absent']), (len(http_case.KEYS), 2, 1))
        self.assertEqual(state['events'][0]['text'].split()[0], 'event=started')
        with open(harness.PROTOCOL) as page:
            section = page.read().split('## /api/state')[1]
        for name in STATE | RELEASE | TABLE | LEVEL | SERIES:
            self.assertRegex(section, r'\b%s\b' % name)

    def test_it_can_be_switched_off(self):
        self.client.close()
        self.daemon.stop()
        self.start_http(*self.config('[http]\npage = off\n'))
        for path in ('/', '/api/state'):
            self.assertEqual(ask(self.address, path)[0], 404)
        self.assertEqual(ask(self.address, '/metrics')[0], 200)

    def test_the_policy_allows_this_page_and_nothing_else(self):
        _, headers, page = ask(self.address, '/')
        policy = headers['Content-Security-Policy']
        self.assertRegex(policy, "^default-src 'none'; connect-src 'self'; img-src data:; script-src 'sha256-[^']+'; "
                                 "style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$")
        self.assertEqual(re.findall(r'\sstyle="|\son\w+="|(?:src|href)="(?:https?:)?//', page), [])
        self.assertNotIn('innerHTML', page)


@unittest.skipIf(browser.missing(), 'no %s' % browser.missing())
@unittest.skipIf(harness.SANITIZED, 'the browser would wait')
class Page(StateCase):
    def setUp(self):
        super().setUp()
        self.client.call('release.create', release='r2', model=EVIL, checkpoint="'\"</script>")
        self.use_everything()
        os.makedirs(self.path('browser'))
        self.browser = browser.Browser(self.path('browser'))
        self.addCleanup(self.browser.close)
        self.url = 'http://' + self.address.partition(':')[2] + '/'

    def await_page(self, script, wanted):
        """Waits until a script of the page returns what is wanted."""
        limit = time.monotonic() + harness.CALL_SECONDS
        while (found := self.browser.run(script)) != wanted:
            self.assertLess(time.monotonic(), limit, (found, wanted))
            time.sleep(0.02)

    def text_of(self, selector):
        return self.browser.run('return document.querySelector(arguments[0]).textContent', selector)

    def test_it_shows_what_there_is_and_complains_of_nothing(self):
        self.browser.open(self.url)
        self.await_page('return document.title', 'r1 · repstore')
        self.await_page('return document.querySelectorAll("#tables tbody tr").length', 4)
        self.assertEqual(self.browser.run('return document.querySelectorAll(".plot svg line.grid").length') % 3, 0)
        self.assertIn(EVIL, self.text_of('#releases'))
        self.assertEqual(self.browser.run('return document.querySelectorAll("img, td script").length'), 0)
        self.assertIn('event=started', self.text_of('#events'))
        self.assertEqual(self.browser.console(), [])

    def check_point(self, state):
        series = state['series']
        self.assertEqual({len(values) for name, values in series.items() if name != 'end_ms'}, {1})
        self.assertGreater(series['requests'][0], 0)
        self.assertGreater(series['fetch_p50_us'][0], 0)
        self.assertAlmostEqual(series['hit_share'][0], 2 / 3, 3)
        self.assertLess(abs(series['end_ms'] - state['now_ms']), 9000)

    def test_a_click_through_it(self):
        self.browser.open(self.url)
        self.await_page('return document.title', 'r1 · repstore')
        self.await_true(lambda: self.state()['series']['requests'])        # a point comes every ten seconds
        self.check_point(self.state())
        self.await_page('return document.querySelectorAll(".plot path.a[d^=M]").length > 0', True)
        self.browser.click('button[data-points="30"]')
        self.assertEqual(self.browser.run('return document.querySelector("[data-points=\'30\']").ariaPressed'), 'true')
        self.browser.command('Browser.grantPermissions', permissions=['clipboardReadWrite', 'clipboardSanitizedWrite'])
        self.browser.click('button[data-copy="tables"]')
        self.await_page('return document.querySelector("[data-copy=tables]").textContent', 'Copied')
        shown = self.browser.run(
            'const svg = document.querySelector(".plot svg"), box = svg.getBoundingClientRect();'
            'svg.dispatchEvent(new PointerEvent("pointermove", {clientX: box.right - 5, clientY: box.top + 50}));'
            'return [svg.querySelectorAll("line.cursor").length, document.querySelector(".plot .when").textContent.length]')
        self.assertEqual(shown, [1, 8])
        self.assertEqual(self.browser.console(), [])

    def test_it_is_readable_on_a_telephone_and_on_a_wall(self):
        """Nothing is wider than the view; wide tables scroll in their place."""
        pictures = os.environ.get('REPSTORE_PICTURES')
        for width in (400, 1600):
            for scheme in ('light', 'dark'):
                self.browser.show(width, 900, scheme)
                self.browser.open(self.url)
                self.await_page('return document.title', 'r1 · repstore')
                self.await_page('return document.querySelectorAll(".plot svg text").length > 18', True)
                self.assertLessEqual(self.browser.run('return document.documentElement.scrollWidth'), width)
                light = self.browser.run('return getComputedStyle(document.body).backgroundColor')
                self.assertEqual(light == 'rgb(245, 246, 248)', scheme == 'light')
                if pictures:
                    self.browser.picture(os.path.join(pictures, '%d-%s.png' % (width, scheme)))
        self.assertEqual(self.browser.console(), [])

    def test_a_daemon_that_is_gone_is_told(self):
        self.browser.open(self.url)
        self.await_page('return document.title', 'r1 · repstore')
        self.client.close()
        self.daemon.stop()
        self.browser.run('refresh()')
        self.await_page('return document.querySelector("#ready").textContent', 'no answer')
        self.assertIn('does not answer', self.text_of('#notice'))


if __name__ == '__main__':
    harness.main()
