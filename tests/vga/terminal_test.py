#!/usr/bin/env python3
"""-display curses on a pseudo terminal: the screen is drawn, keys reach the guest, Ctrl-A x ends it.

usage: terminal_test.py PLEX86. Skipped without SeaBIOS.
"""
import os
import select
import sys
import tempfile
import time

import terminal
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, need_all, on_terminal, set_size  # noqa: E402

PLEX86 = os.path.abspath(sys.argv[1])
LIMIT_S = 240


class Screen:
    """What a person sees. Text is looked for on the screen: curses may send any part of a line before another."""

    def __init__(self, argv, rows, columns):
        self.terminal = terminal.Terminal(rows, columns)
        self.tail = b''
        self.pid, self.fd, slave = on_terminal(argv, rows, columns, TERM='xterm-256color', LC_ALL='C.UTF-8')
        os.close(slave)

    def read(self):
        try:
            data = os.read(self.fd, 65536)
        except OSError:         # the other end is closed
            data = b''
        self.tail = (self.tail + data)[-100:]
        self.terminal.feed(data)
        return data

    def wait(self, condition, poke=None):
        end = time.monotonic() + LIMIT_S
        while not condition(self.terminal.text()):
            assert time.monotonic() < end, 'this is all that is seen:\n' + self.terminal.text()
            if select.select([self.fd], [], [], 0.5)[0]:
                assert self.read(), 'it ended; this was seen:\n' + self.terminal.text()
            elif poke:
                os.write(self.fd, poke)

    def resize(self, rows, columns):
        self.terminal.resize(rows, columns)
        set_size(self.fd, rows, columns)

    def end(self):
        while self.read():
            pass
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self):
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)


def main():
    need_all(BIOS)
    with tempfile.TemporaryDirectory() as dir:
        disk = os.path.join(dir, 'blank.img')
        with open(disk, 'wb') as f:
            f.truncate(1 << 20)
        screen = Screen([PLEX86, 'run', '-m', '16', '-boot', 'menu=on,splash-time=60000', disk], 25, 80)
        try:
            screen.wait(lambda text: text.startswith('SeaBIOS (version'))
            screen.wait(lambda text: 'Select boot device' in text, poke=b'\x1b')
            print('ok - a drive booted from a terminal is shown there, and keys reach the guest')
            screen.resize(30, 100)
            screen.wait(lambda text: text.startswith('SeaBIOS (version') and 'Select boot device' in text)
            screen.resize(25, 80)
            screen.wait(lambda text: text.startswith('SeaBIOS (version') and 'Select boot device' in text)
            print('ok - all is drawn anew when the terminal is resized')
            os.write(screen.fd, b'\x01h')
            screen.wait(lambda text: 'end the virtual machine' in text)
            os.write(screen.fd, b'\x01x')
            assert screen.end() == 0
            assert screen.tail.endswith(b'\x1b>') or b'\x1b[?1049l' in screen.tail, screen.tail
            print('ok - Ctrl-A x ends the machine and gives the terminal back')
        finally:
            screen.kill()


main()
