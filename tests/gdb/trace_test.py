#!/usr/bin/env python3
"""-d: the trace is the same whichever engine runs the guest.

usage: trace_test.py PLEX86 GUESTS
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

PLEX86, GUESTS = os.path.abspath(sys.argv[1]), sys.argv[2]
del sys.argv[1:]
LINE = re.compile(r' *(\d+|-) ([0-3]) ([0-9a-f]{4}):([0-9a-f]{8}) (asm|exec|cpu|fpu|exception|interrupt|int|nmi|in|out|hlt|reset|cr0|cr3|'
                  r'cr4|invlpg)( .*)?$')


def symbol(name):
    text = subprocess.run(['nm', os.path.join(GUESTS, 'debuggee.elf')], capture_output=True, text=True, check=True).stdout
    return int(re.search(r'^(\S+) \S %s$' % name, text, re.M)[1], 16)


class Trace(unittest.TestCase):
    def trace(self, guest, *args, status=0):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'trace')
            p = subprocess.run([PLEX86, 'run', '--flat', '0x100000', os.path.join(GUESTS, guest + '.bin'), '-serial', 'null',
                                '-no-reboot', '-D', path, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
            self.assertEqual(p.returncode, status, p.stderr)
            with open(path) as f:
                lines = f.read().splitlines()
        for line in lines:
            self.assertRegex(line, LINE)
        return lines

    def same(self, guest, *args, least, status=0):
        """Both engines, by the instruction clock: every line, with its count."""
        first, second = (self.trace(guest, '--clock', 'instructions', '--engine', engine, *args, status=status)
                         for engine in ('emulate', 'lockstep'))
        self.assertGreaterEqual(len(first), least)
        self.assertEqual(first, second)
        return first

    def without_counts(self, guest, *args, least):
        """The default engine counts no instructions; all else is the same."""
        first, second = ([line[12:] for line in self.trace(guest, '--engine', engine, *args)] for engine in ('emulate', 'scan'))
        self.assertGreaterEqual(len(first), least)
        self.assertEqual(first, second)
        return first

    def test_events_are_the_same_by_the_instruction_clock(self):
        lines = self.same('timer', '-d', 'int,io,hlt', least=500)
        self.assertEqual(sum('interrupt v=20' in line for line in lines), 20)
        self.same('debuggee', '-d', 'int,io,mmu,hlt,cpu_reset', least=15)
        lines = self.same('triple_fault', '-d', 'int,cpu_reset', least=4, status=3)
        self.assertTrue(lines[-1].endswith(' reset'), lines[-1])

    def test_instructions_are_the_same_by_the_instruction_clock(self):
        first, last = symbol('work'), symbol('rewritten')
        self.same('debuggee', '-d', 'in_asm,cpu,fpu,int', '-dfilter', '%#x..%#x' % (first, last), least=60)
        self.same('timer', '-d', 'exec,int', least=5000)

    def test_scanned_code_is_traced_like_emulated_code(self):
        putc = symbol('putc')                   # how long it waits for the port depends on the host's time
        lines = self.without_counts('debuggee', '-d', 'in_asm,cpu,fpu,int,mmu', '-dfilter', '0x100000..%#x' % (putc - 1), least=300)
        self.assertTrue(any(' exception v=06 e=0000' in line for line in lines))
        self.assertEqual(sum('movsb' in line for line in lines), 2)     # once each, however many elements
        self.assertTrue(any(' int v=03' in line for line in lines))
        self.assertTrue(any(re.search(r' cr3 val=[0-9a-f]{8}$', line) for line in lines))
        self.without_counts('debuggee', '-d', 'int,mmu,io:0x604', least=10)

    def test_only_traced_code_is_stepped(self):
        lines = self.without_counts('debuggee', '-d', 'in_asm', '-dfilter', '%#x+1,%#x..%#x' % (symbol('work'), symbol('patch'),
                                    symbol('patch') + 9), least=8)
        self.assertEqual({line.split()[1][5:] for line in lines}, {'%08x' % (symbol('work')), '%08x' % symbol('patch')})

    def test_privilege_levels_and_vectors_are_filtered(self):
        lines = self.trace('system', '-d', 'int:0x80+6-14', '-dcpl', '3')
        self.assertGreater(len(lines), 0)
        for line in lines:
            self.assertEqual(LINE.match(line)[2], '3')
            self.assertIn(int(re.search(r'v=(\w\w)', line)[1], 16), [0x80, *range(6, 15)])


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v'])
