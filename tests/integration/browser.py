"""browser.py - a headless Chromium, driven by chromedriver: just as much as the tests of the status page need."""

import base64
import json
import shutil
import subprocess
import urllib.request

import harness


def missing():
    """What a machine lacks for it; None: nothing."""
    return next((name for name in ('chromium', 'chromedriver') if shutil.which(name) is None), None)


class Browser:
    def __init__(self, folder):
        self.driver = subprocess.Popen(['chromedriver', '--port=0'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       text=True, cwd=folder)
        self.session = None
        for line in self.driver.stdout:
            if 'on port ' in line:
                self.base = 'http://127.0.0.1:%d' % int(line.split('on port ')[1].rstrip('.\n'))
                if not self.base.endswith(':0'):
                    break
        arguments = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-extensions',
                     '--disable-background-networking', '--no-first-run', '--user-data-dir=' + folder]
        made = self.call('POST', '/session', {'capabilities': {'alwaysMatch': {
            'goog:chromeOptions': {'args': arguments, 'binary': shutil.which('chromium')},
            'goog:loggingPrefs': {'browser': 'ALL'}}}})
        self.session = made['sessionId']

    def call(self, method, path, body=None):
        path = path if self.session is None else '/session/%s%s' % (self.session, path)
        request = urllib.request.Request(self.base + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=harness.CALL_SECONDS) as reply:
            return json.load(reply)['value']

    def open(self, url):
        self.call('POST', '/url', {'url': url})

    def run(self, script, *arguments):
        """What a script of the page returns."""
        return self.call('POST', '/execute/sync', {'script': script, 'args': list(arguments)})

    def command(self, name, **parameters):
        """A command of the Chrome DevTools Protocol."""
        return self.call('POST', '/goog/cdp/execute', {'cmd': name, 'params': parameters})

    def show(self, width, height, scheme='light'):
        """The size of the view, and whether the system is light or dark."""
        self.command('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.command('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])

    def click(self, selector):
        found = self.call('POST', '/element', {'using': 'css selector', 'value': selector})
        self.call('POST', '/element/%s/click' % next(iter(found.values())), {})

    def console(self):
        """What the page has complained of since the last call."""
        return [entry['message'] for entry in self.call('POST', '/se/log', {'type': 'browser'})]

    def picture(self, path):
        """A PNG of the whole page."""
        size = self.command('Page.getLayoutMetrics')['cssContentSize']
        taken = self.command('Page.captureScreenshot', captureBeyondViewport=True,
                             clip=dict(x=0, y=0, width=size['width'], height=size['height'], scale=1))
        with open(path, 'wb') as file:
            file.write(base64.b64decode(taken['data']))

    def close(self):
        if self.session is not None:
            self.call('DELETE', '')
        self.driver.terminate()
        self.driver.wait(harness.STOP_SECONDS)
        self.driver.stdout.close()
