#!/usr/bin/env python3
"""The web display in a real browser: Debian's headless Chromium, steered through its debugging pipe.

usage: web_test.py PLEX86. Skipped without chromium, novnc or SeaBIOS.
The page must show what the machine shows, and a key pressed in the page must reach the guest.
"""
import base64
import http.client
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, need_all  # noqa: E402

PLEX86 = os.path.abspath(sys.argv[1])
LIMIT_S = 300
NOVNC = '/usr/share/novnc'


class Chromium:
    def __init__(self, dir):
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()

        def ends():         # Chromium reads commands from 3 and answers at 4
            a, b = os.dup2(to_r, 103), os.dup2(back_w, 104)
            os.dup2(a, 3)
            os.dup2(b, 4)
        self.proc = subprocess.Popen(['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                                      '--remote-debugging-pipe', f'--user-data-dir={dir}/profile', '--window-size=900,600'],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     preexec_fn=ends, close_fds=False)
        os.close(to_r)
        os.close(back_w)
        self.buf, self.n, self.session = b'', 0, None

    def cmd(self, method, **params):
        self.n += 1
        msg = {'id': self.n, 'method': method, 'params': params}
        if self.session:
            msg['sessionId'] = self.session
        os.write(self.to, json.dumps(msg).encode() + b'\0')
        end = time.monotonic() + LIMIT_S
        while True:
            while b'\0' in self.buf:
                text, self.buf = self.buf.split(b'\0', 1)
                answer = json.loads(text)
                if answer.get('id') == self.n:
                    assert 'error' not in answer, answer
                    return answer['result']
            assert select.select([self.back], [], [], max(0, end - time.monotonic()))[0], 'the browser does not answer'
            data = os.read(self.back, 65536)
            assert data, 'the browser ended'
            self.buf += data

    def open(self, url):
        target = self.cmd('Target.createTarget', url=url)['targetId']
        self.session = self.cmd('Target.attachToTarget', targetId=target, flatten=True)['sessionId']

    def eval(self, expression):
        return self.cmd('Runtime.evaluate', expression=expression, returnByValue=True)['result'].get('value')

    def key(self, key, code, number):
        for kind in ['keyDown', 'keyUp']:
            self.cmd('Input.dispatchKeyEvent', type=kind, key=key, code=code, windowsVirtualKeyCode=number)

    def close(self):
        self.proc.kill()
        self.proc.wait()


def wait(what, condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, 'not seen: ' + what
        time.sleep(0.1)


# How many of the canvas's pixels are lit, and its size.
CANVAS = '''(() => { const c = document.querySelector('canvas'); if (!c || !c.width) return null;
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
for (let i = 0; i < d.length; i += 4) if (d[i] | d[i + 1] | d[i + 2]) n++;
return {width: c.width, height: c.height, lit: n}; })()'''


def get(port, target, method='GET'):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=LIMIT_S)
    c.request(method, target)
    answer = c.getresponse()
    body = answer.read()
    c.close()
    return answer.status, body


def check_pages(port):
    """Beside clients that say nothing, or ask and do not read."""
    silent = [socket.create_connection(('127.0.0.1', port)) for _ in range(4)]
    for s in silent[:2]:
        s.sendall(b'GET /core/rfb.js HTTP/1.1\r\n\r\n')
    files = [os.path.relpath(os.path.join(at, name), NOVNC) for at, _, names in os.walk(NOVNC) for name in names]
    for name in files:
        with open(os.path.join(NOVNC, name), 'rb') as f:
            assert get(port, '/' + name) == (200, f.read()), name
    assert len(files) > 10, files
    for target, method, status in (('/', 'GET', 404), ('/core', 'GET', 404), ('/../../../etc/passwd', 'GET', 404), ('/vnc_lite.html', 'POST', 405),
                                   ('/' + 'a' * 9000, 'GET', 431), ('/vnc_lite.html', 'HEAD', 200)):
        got, body = get(port, target, method)
        assert got == status and (method != 'HEAD' or body == b''), (target, got)
    for s in silent:
        s.close()
    print('ok - every file of the page is served whole, and nothing else')


def main():
    need_all('chromium', f'{NOVNC}/vnc_lite.html', BIOS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as dir:
        env = dict(os.environ, XDG_RUNTIME_DIR=dir)
        disk = os.path.join(dir, 'blank.img')
        with open(disk, 'wb') as f:
            f.truncate(1 << 20)
        vm = subprocess.Popen([PLEX86, 'run', '-name', 'web', '-display', 'web', '-serial', 'null', '-m', '16', '-S', '-boot', 'menu=on,splash-time=60000', disk],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
        browser = None

        def tool(*args):
            return subprocess.run([PLEX86, *args], env=env, capture_output=True, text=True, timeout=LIMIT_S).stdout
        try:
            url = re.search(r'http://127\.0\.0\.1:\S+', vm.stderr.readline()).group(0)
            browser = Chromium(dir)
            browser.open(url)
            wait('a connection', lambda: 'Connected' in (browser.eval('document.body.innerText') or ''))
            tool('monitor', 'web', 'cont')
            wait('the text of the firmware', lambda: 'ESC' in tool('screentext', 'web'))
            wait('the same in the page', lambda: (browser.eval(CANVAS) or {}).get('lit', 0) > 500)
            size = browser.eval(CANVAS)
            assert (size['width'], size['height']) == (720, 400), size
            print('ok - the page shows the screen')
            for kind in ['mousePressed', 'mouseReleased']:      # the page takes keys once it has been clicked on
                browser.cmd('Input.dispatchMouseEvent', type=kind, x=450, y=300, button='left', clickCount=1)

            def escape_opens_menu():
                browser.key('Escape', 'Escape', 27)
                return 'Select boot device' in tool('screentext', 'web')
            wait('the boot menu', escape_opens_menu)
            print('ok - a key pressed in the page reaches the guest')
            check_pages(urllib.parse.urlsplit(url).port)
            if len(sys.argv) > 2:
                with open(sys.argv[2], 'wb') as f:
                    f.write(base64.b64decode(browser.cmd('Page.captureScreenshot')['data']))
            tool('stop', '--now', 'web')
            assert vm.wait(LIMIT_S) == 0, vm.stderr.read()
        finally:
            if browser:
                browser.close()
            if vm.poll() is None:
                vm.kill()
                vm.wait()


main()
