#!/usr/bin/env python3
"""Each video mode's picture, pixel by pixel, beside QEMU's of the same boot sector.

usage: pictures_test.py PLEX86 GUEST_DIR [MODE...]. Skipped without qemu-system-i386 or SeaBIOS.
Colours are compared as the DAC has them, 6 bits each: the two bits below are each monitor's own choice.
"""
import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, Qmp, need_all  # noqa: E402

PLEX86, GUESTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LIMIT_S = 300
QEMU_LIMIT_S = 120


def wait_drawn(path, proc):
    """The firmware writes to the same port, a character at a time: no fewer bytes than these would do."""
    end = time.monotonic() + LIMIT_S
    while True:
        with open(path, 'rb') as f:
            if b'drawn.\0' in f.read():
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


@contextlib.contextmanager
def drawn(dir, name, argv, port_e9):
    """A function that returns the screen, of a machine whose program has said that all is drawn."""
    qmp, ppm = os.path.join(dir, name + '.qmp'), os.path.join(dir, name + '.ppm')
    open(port_e9, 'wb').close()
    p = subprocess.Popen([*argv, '-qmp', f'unix:{qmp},server=on,wait=off'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        q = Qmp(qmp, p)
        wait_drawn(port_e9, p)

        def picture():
            q.cmd('screendump', filename=ppm)
            return read_ppm(ppm)
        yield picture
        q.cmd('quit')
        p.wait(LIMIT_S)
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
    need_all('qemu-system-i386', BIOS)
    failed = 0
    modes = sys.argv[3:] or sorted(os.path.basename(p)[4:-4] for p in glob.glob(os.path.join(GUESTS, 'vga_*.img')))
    for mode in modes:
        image = os.path.join(GUESTS, f'vga_{mode}.img')
        with tempfile.TemporaryDirectory() as dir:
            disk, port_e9 = os.path.join(dir, 'disk.img'), os.path.join(dir, 'port_e9')
            shutil.copy(image, disk)
            os.truncate(disk, 1 << 20)
            ours = {}
            for engine in ['scan', 'emulate']:
                with drawn(dir, 'plex86-' + engine, [PLEX86, 'run', '--engine', engine, '-display', 'none', '-serial', 'null', '-m',
                                                     '16', '-debugcon', f'file:{port_e9}', '-drive', f'file={disk},format=raw'], port_e9) as picture:
                    ours[engine] = picture()
            with drawn(dir, 'qemu', ['qemu-system-i386', '-display', 'none', '-m', '16', '-accel', 'tcg', '-debugcon',
                                     f'file:{port_e9}', '-drive', f'file={disk},format=raw'], port_e9) as picture:
                # QEMU makes a picture from what it has redrawn, which may be late: it gets time to agree.
                end = time.monotonic() + QEMU_LIMIT_S
                want = picture()
                while any(differences(p, want) for p in ours.values()) and time.monotonic() < end:
                    time.sleep(0.2)
                    want = picture()
            for engine, got in ours.items():
                why = differences(got, want)
                print(f'{"not ok" if why else "ok"} - {mode} by {engine}, {want[0]} x {want[1]}{": " + why if why else ""}', flush=True)
                failed += why is not None
                if why and os.environ.get('KEEP'):
                    shutil.copy(os.path.join(dir, 'qemu.ppm'), os.environ['KEEP'])
                    shutil.copy(os.path.join(dir, f'plex86-{engine}.ppm'), os.environ['KEEP'])
    sys.exit(failed != 0)


main()
