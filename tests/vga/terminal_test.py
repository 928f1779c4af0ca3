#!/usr/bin/env python3
"""-display curses on a pseudo terminal: the screen is drawn, keys reach the guest, Ctrl-A x ends it.

usage: terminal_test.py PLEX86. Skipped without SeaBIOS.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time

PLEX86 = os.path.abspath(sys.argv[1])
LIMIT_S = 60


class Screen:
    """As much of a terminal as it takes to see which characters came: cursor moves become line breaks."""

    def __init__(self, fd):
        self.fd, self.raw = fd, b''

    def text(self):
        return re.sub(rb'\x1b\[[0-9;]*[Hdf]', b'\n', self.raw)

    def wait(self, pattern, poke=None):
        end = time.monotonic() + LIMIT_S
        while not re.search(pattern, re.sub(rb'\x1b(\[[0-9;?]*[A-Za-z]|\([AB0])', b'', self.text())):
            assert time.monotonic() < end, f'{pattern} not seen in {self.raw[-2000:]}'
            if select.select([self.fd], [], [], 0.3)[0]:
                self.raw += os.read(self.fd, 65536)
            elif poke:
                os.write(self.fd, poke)

    def rest(self):
        try:
            while data := os.read(self.fd, 65536):
                self.raw += data
        except OSError:         # the other end is closed
            pass


def main():
    if not os.path.exists('/usr/share/seabios/bios-256k.bin'):
        sys.exit(77)
    with tempfile.TemporaryDirectory() as dir:
        disk = os.path.join(dir, 'blank.img')
        with open(disk, 'wb') as f:
            f.truncate(1 << 20)
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM='xterm-256color', LC_ALL='C.UTF-8')
            os.execv(PLEX86, ['plex86', 'run', '-m', '16', '-boot', 'menu=on', disk])
        try:
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 25, 80, 0, 0))
            screen = Screen(fd)
            screen.wait(rb'SeaBIOS')
            screen.wait(rb'Select boot device', poke=b'\x1b')
            print('ok - a drive booted from a terminal is shown there, and keys reach the guest')
            screen.raw = b''
            os.write(fd, b'\x01h')
            screen.wait(rb'end the virtual machine')
            os.write(fd, b'\x01x')
            screen.rest()
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            pid = 0
            assert screen.raw.endswith(b'\x1b>') or b'\x1b[?1049l' in screen.raw, screen.raw[-200:]
            print('ok - Ctrl-A x ends the machine and gives the terminal back')
        finally:
            if pid:
                os.kill(pid, 9)
                os.waitpid(pid, 0)


main()
