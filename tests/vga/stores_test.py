#!/usr/bin/env python3
"""What a store to the screen costs where video memory is linear: nothing but itself; and only what changed is drawn.

usage: stores_test.py PLEX86 GUESTS     Programs of guest/vga/rounds.S; counted by the machine's own meters.
"""
import os
import shutil
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, LIMIT_S, MachineCase, Qmp, connect, free_port, need_all  # noqa: E402

PLEX86, GUESTS = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))


class Stores(MachineCase):
    def start(self, program, *args):
        image = self.path(program)
        shutil.copy(os.path.join(GUESTS, f'rounds_{program}.img'), image)
        os.truncate(image, 1 << 20)
        p = subprocess.Popen([PLEX86, 'run', '-m', '16', '-serial', 'null', '-vga', 'std', '-drive', f'file={image},format=raw',
                              '-qmp', f'unix:{self.path("qmp")},server=on,wait=off', *args], stdin=subprocess.DEVNULL, env=self.env)
        self.procs.append(p)
        return Qmp(self.path('qmp'), p)

    def rounds(self, q, at_least):
        """How many rounds the program has made, once they are that many."""
        end = time.monotonic() + LIMIT_S
        while True:
            n = int(q.monitor('xp/1xw 0x500').split()[-1], 16)
            # Before the program runs the firmware's own data is there.
            if at_least <= n < 1 << 24 and 'protected' in q.monitor('info registers'):
                return n
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def cost(self, program, engine, rounds):
        """(rounds, accesses to the card's memory that came to it, instructions emulated, host faults) between two looks."""
        q = self.start(program, '--engine', engine, '-display', 'none')
        seen = []
        n = self.rounds(q, 20)
        for _ in range(2):
            q.monitor('stop')
            n = self.rounds(q, n)
            m = q.cmd('x-query-meters')
            cpu = m['vcpus'][0]
            seen.append((n, total(m['vm']['mmio_accesses'].get('vga')), total(cpu.get('instructions_emulated')), total(cpu.get('window_faults'))))
            q.monitor('cont')
            n = self.rounds(q, n + rounds)
        q.cmd('quit')
        self.procs[-1].wait(LIMIT_S)
        return [b - a for a, b in zip(*seen)]

    def test_a_store_to_a_linear_screen_is_a_store(self):
        for program, stores in ('linear', 1024 * 768), ('13h', 16000):
            rounds, mmio, emulated, faults = self.cost(program, 'scan', 100)
            self.assertGreaterEqual(rounds, 100)
            self.assertEqual(mmio, 0, program)
            # The user's looks, the timer: some, but not one in a hundred rounds' stores.
            self.assertLess(emulated + faults, rounds * stores // 10000, program)

    def test_the_emulator_has_no_device_in_between_either(self):
        rounds, mmio, _, _ = self.cost('13h', 'emulate', 20)
        self.assertGreaterEqual(rounds, 20)
        self.assertEqual(mmio, 0)

    def test_only_what_changed_is_drawn_again(self):
        port = free_port()
        q = self.start('spot', '-vnc', f':{port - 5900}')
        self.rounds(q, 20)
        s = connect(('127.0.0.1', port))
        f = s.makefile('rb')
        self.assertEqual(f.read(4), b'RFB ')
        f.read(8)
        s.sendall(b'RFB 003.008\n')
        f.read(f.read(1)[0])
        s.sendall(b'\x01')
        self.assertEqual(f.read(4), bytes(4))
        s.sendall(b'\x01')
        width, height = struct.unpack('>HH', f.read(4))
        f.read(16)
        f.read(struct.unpack('>I', f.read(4))[0])
        s.sendall(struct.pack('>BBHi', 2, 0, 1, 0))                  # encodings: raw

        def update(incremental):
            s.sendall(struct.pack('>BBHHHH', 3, incremental, 0, 0, width, height))
            kind, _, rects = struct.unpack('>BBH', f.read(4))
            self.assertEqual(kind, 0)
            area = 0
            for _ in range(rects):
                x, y, w, h, encoding = struct.unpack('>HHHHi', f.read(12))
                self.assertEqual(encoding, 0)
                f.read(4 * w * h)
                area += w * h
                spot = x <= 128 + 15 and x + w > 128 and y <= 300 < y + h
            return area, rects == 1 and spot
        self.assertEqual((width, height), (1024, 768))
        self.assertEqual(update(0)[0], width * height)
        while not update(1)[1]:                                      # what was under way when we came
            pass
        for _ in range(10):                                          # one rectangle, about the spot of 16 pixels
            area, spot = update(1)
            self.assertTrue(spot)
            self.assertLessEqual(area, 64 * 64)
        s.close()


def total(meter):
    """A meter, or the sum of its samples; what has not been counted yet is left out there."""
    return sum(map(total, meter.values())) if isinstance(meter, dict) else meter or 0


if __name__ == '__main__':
    need_all(BIOS)
    unittest.main(warnings='ignore')
