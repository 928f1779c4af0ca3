#!/usr/bin/env python3
"""Each video mode's picture, pixel by pixel, beside QEMU's of the same boot sector.

usage: pictures_test.py PLEX86 GUEST_DIR [MODE...]. Skipped without qemu-system-i386 or SeaBIOS.
Colours are compared as the DAC has them, 6 bits each: the two bits below are each monitor's own choice.
"""
import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PLEX86, GUESTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LIMIT_S = 120


class Qmp:
    def __init__(self, path, proc):
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(path)
                break
            except OSError:
                if proc.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.sock.settimeout(LIMIT_S)
        self.file = self.sock.makefile('r')
        self.file.readline()
        self.cmd('qmp_capabilities')

    def cmd(self, name, **args):
        self.sock.sendall(json.dumps({'execute': name, 'arguments': args}).encode())
        while True:
            msg = json.loads(self.file.readline())
            if 'event' not in msg:
                return msg['return']


def wait_done(path, proc):
    end = time.monotonic() + LIMIT_S
    while True:
        with open(path, 'rb') as f:
            if f.read().endswith(b'D'):
                return
        assert proc.poll() is None, 'ended'
        assert time.monotonic() < end, 'the guest did not finish'
        time.sleep(0.05)


def read_ppm(path):
    with open(path, 'rb') as f:
        assert f.readline() == b'P6\n'
        width, height = map(int, f.readline().split())
        f.readline()
        return width, height, f.read()


def picture(dir, name, argv, done):
    """The screen when the program has said that it is done."""
    qmp = os.path.join(dir, name + '.qmp')
    with open(done, 'wb') as err:
        p = subprocess.Popen([*argv, '-qmp', f'unix:{qmp},server=on,wait=off'], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=err if name.startswith('plex86') else None)
    try:
        q = Qmp(qmp, p)
        wait_done(done, p)
        if not name.startswith('plex86'):
            time.sleep(0.3)         # QEMU makes its picture from what it redrew last
        ppm = os.path.join(dir, name + '.ppm')
        q.cmd('screendump', filename=ppm)
        q.cmd('quit')
        p.wait(LIMIT_S)
        return read_ppm(ppm)
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


def differences(a, b):
    if a[:2] != b[:2]:
        return f'{a[0]} x {a[1]} instead of {b[0]} x {b[1]}'
    bad = [i for i in range(len(b[2])) if a[2][i] >> 2 != b[2][i] >> 2]
    if not bad:
        return None
    at = bad[0] // 3
    return (f'{len(bad)} values differ, the first at ({at % a[0]}, {at // a[0]}): '
            f'{a[2][at * 3:at * 3 + 3].hex()} instead of {b[2][at * 3:at * 3 + 3].hex()}')


def main():
    if not shutil.which('qemu-system-i386') or not os.path.exists('/usr/share/seabios/bios-256k.bin'):
        sys.exit(77)
    failed = 0
    modes = sys.argv[3:] or sorted(os.path.basename(p)[4:-4] for p in glob.glob(os.path.join(GUESTS, 'vga_*.img')))
    for mode in modes:
        image = os.path.join(GUESTS, f'vga_{mode}.img')
        with tempfile.TemporaryDirectory() as dir:
            disk, done = os.path.join(dir, 'disk.img'), os.path.join(dir, 'done')
            shutil.copy(image, disk)
            os.truncate(disk, 1 << 20)
            want = picture(dir, 'qemu', ['qemu-system-i386', '-display', 'none', '-m', '16', '-accel', 'tcg', '-debugcon', f'file:{done}',
                                         '-drive', f'file={disk},format=raw'], done)
            for engine in ['scan', 'emulate']:
                got = picture(dir, 'plex86-' + engine, [PLEX86, 'run', '--engine', engine, '-display', 'none', '-serial', 'null', '-m',
                                              '16', '-debugcon', '-drive', f'file={disk},format=raw'], done)
                why = differences(got, want)
                print(f'{"not ok" if why else "ok"} - {mode} by {engine}, {want[0]} x {want[1]}{": " + why if why else ""}', flush=True)
                failed += why is not None
                if why and os.environ.get('KEEP'):
                    shutil.copy(os.path.join(dir, 'qemu.ppm'), os.environ['KEEP'])
                    shutil.copy(os.path.join(dir, f'plex86-{engine}.ppm'), os.environ['KEEP'])
    sys.exit(failed != 0)


main()
