#!/usr/bin/env python3
"""A debugger at a running guest: Debian's gdb with a script, and the remote protocol packet by packet.

usage: gdb_test.py PLEX86 GUESTS ENGINE. Sockets are files in a folder of each test's own.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from rsp import Machine, Rsp, gdb     # which finds the harness, too
from harness import LIMIT_S, connect, free_port, receive

PLEX86, GUESTS, ENGINE = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
del sys.argv[1:]
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EIP, EFLAGS, CS, SS = range(12)
FTAG, MXCSR, CS_BASE, CR0 = 26, 40, 41, 53


def symbols():
    """Names of debuggee.elf, by address."""
    found = {}
    with open(os.path.join(GUESTS, 'debuggee.elf'), 'rb') as f:
        elf = f.read()
    header = int.from_bytes(elf[32:36], 'little')
    size, count = (int.from_bytes(elf[at:at + 2], 'little') for at in (46, 48))
    section = [[int.from_bytes(elf[header + i * size + w:header + i * size + w + 4], 'little') for w in range(0, 40, 4)]
               for i in range(count)]
    table = next(s for s in section if s[1] == 2)
    names = section[table[6]][4]
    for at in range(table[4], table[4] + table[5], 16):
        name = names + int.from_bytes(elf[at:at + 4], 'little')
        found[elf[name:elf.index(b'\0', name)].decode()] = int.from_bytes(elf[at + 4:at + 8], 'little')
    return found


SYM = symbols()


class Guest(unittest.TestCase):
    def start(self, *args, guest='debuggee', load='0x100000', wait=True, mode='protected'):
        m = Machine(PLEX86, '--engine', ENGINE, *args, '--flat', load, '--mode', mode, os.path.join(GUESTS, guest + '.bin'), wait=wait)
        self.addCleanup(m.close)
        return m

    def attach(self, m):
        r = Rsp(m.socket)
        self.addCleanup(r.close)
        r.no_acks()
        return r

    def assert_ends_well(self, m):
        self.assertEqual(m.proc.wait(LIMIT_S), 0, m.text())
        self.assertTrue(m.text().startswith('s.'), m.text())


@unittest.skipUnless(shutil.which('gdb'), 'needs gdb')
class Scripts(Guest):
    def run_gdb(self, m, script):
        return gdb('target remote %s\n%s' % (m.listening(), script), os.path.join(GUESTS, 'debuggee.elf'))

    def test_breakpoints_registers_and_memory(self):
        m = self.start()
        text = self.run_gdb(m, '''
            break work
            continue
            printf "1: %x %d %d\\n", $eax, $ecx, $eip == (int)&work
            continue
            printf "2: %d %d\\n", *(int*)&counter, $ecx
            delete
            hbreak copied
            continue
            printf "3: %s %d\\n", (char*)&target, *(int*)&counter
            info registers cs ss eflags cr0 cr4 efer cs_base cs_limit fctrl ftag mxcsr
            printf "st %.3f %.1f xmm %.1f\\n", $st1, $st0, $xmm3.v4_float[2]
            x/2i $pc
            backtrace 1
            set var *(int*)&total = 40
            set $xmm3.v4_int32[0] = 7
            set $st0 = 2.5
            printf "4: %d %d %.1f\\n", *(int*)&total, $xmm3.v4_int32[0], $st0
            delete
            break done
            continue
            printf "5: %d %d %d\\n", *(int*)&total, *(int*)&faults, *(int*)&traps
            detach''')
        for want in ['1: 11223344 3 1', '2: 1 2', '3: debugger', 'cs             0x8', 'cr0            0x11                [ PE ET ]',
                     'cr4            0x210               [ PSE OSFXSR ]', 'cs_limit       0xffffffff', 'fctrl          0x37f',
                     'mxcsr          0x1f80', 'st 3.142 1.0 xmm 3.5', 'ud2', 'int3', '4: 40 7 2.5', '5: 44 2 2']:
            self.assertIn(want, text)
        self.assert_ends_well(m)

    def test_watchpoints_stop_behind_the_instruction_that_touched(self):
        m = self.start()
        text = self.run_gdb(m, '''
            watch *(int*)&faults
            continue
            printf "1: %d %x\\n", *(int*)&faults, $eip == (int)&ud_handler + 10
            rwatch *(char*)&source
            delete 1
            continue
            printf "2: %d %d\\n", $ecx, $eip == (int)&copy + 16
            delete
            awatch *(int*)&rounds
            continue
            printf "3: %d\\n", *(int*)&rounds
            delete
            break done
            continue
            delete
            continue''')
        self.assertIn('Old value = 0\nNew value = 1', text)
        self.assertIn('1: 1 1', text)
        self.assertIn('2: 7 1', text)
        self.assertIn('3: 2', text)
        self.assertIn('exited normally', text)
        self.assert_ends_well(m)

    def test_steps_are_single_instructions(self):
        m = self.start()
        text = self.run_gdb(m, '''
            break work
            continue
            stepi
            printf "1: %x %d\\n", $eip - (int)&work, *(int*)&counter
            finish
            printf "2: %d\\n", *(int*)&counter
            delete
            hbreak *&copy
            continue
            delete
            stepi 5
            printf "3: %d %d\\n", $ecx, $eip == (int)&copied
            stepi 7
            printf "4: %d %d\\n", $ecx, $eip == (int)&copied
            stepi
            printf "5: %d\\n", $eip == (int)&ud_handler
            monitor info status
            set $eip = (int)&done
            continue''')
        for want in ['1: 6 1', '2: 1', '3: 7 0', '4: 0 1', '5: 1', 'VM status: paused', 'exited normally']:
            self.assertIn(want, text)

    def test_linear_addresses_go_through_the_guests_page_tables(self):
        m = self.start()
        text = self.run_gdb(m, '''
            break mapped
            continue
            info registers cr0 cr3
            x/wx 0xC0000000+(int)&twin
            x/wx 0xD0000000
            set var *(int*)(0xC0000000+(int)&twin) = 0x1234
            stepi
            printf "eax %x\\n", $eax
            hbreak *(0xC0000000 + (int)&putc)
            kill''')
        self.assertIn('[ PE ET PG ]', text)
        self.assertIn('0x00007e57', text)
        self.assertIn('Cannot access memory at address 0xd0000000', text)
        self.assertIn('eax 1234', text)
        self.assertEqual(m.proc.wait(LIMIT_S), 0)

    def test_code_that_gdb_writes_is_the_code_that_runs(self):
        m = self.start()
        text = self.run_gdb(m, '''
            break work
            continue
            continue
            delete
            set var *(char*)((int)&work + 0) = 0xc3
            break copy
            continue
            printf "counter %d\\n", *(int*)&counter
            kill''')
        self.assertIn('counter 1', text)

    def test_real_mode_code_is_found_at_linear_addresses(self):
        m = self.start(guest='debuggee16', load='0x20000', mode='real')
        text = gdb('''
            set architecture i8086
            target remote %s
            printf "1: %%x %%x\\n", $pc, $cs
            x/i $pc
            break *0x20010
            continue
            printf "2: %%x %%x %%x\\n", $pc, $cs, $ax
            stepi
            printf "3: %%x\\n", $pc
            watch *(short*)0x20100
            continue
            printf "4: %%x\\n", *(short*)0x20100
            delete
            continue''' % m.listening())
        for want in ['1: 20000 2000', 'mov    $0x1234,%ax', '2: 20010 2000 1234', '3: 20013', '4: 1234', 'exited normally']:
            self.assertIn(want, text)


class Packets(Guest):
    def test_what_is_not_known_is_answered_with_nothing(self):
        r = self.attach(self.start())
        self.assertEqual([r.say(p) for p in ('vMustReplyEmpty', 'qNothing', 'Qnothing', '~', 'Z7,0,1')], [''] * 5)
        self.assertIn('PacketSize=', r.say('qSupported:swbreak+;xmlRegisters=i386'))
        self.assertEqual(r.say('vCont?'), 'vCont;c;C;s;S')
        self.assertEqual((r.say('qfThreadInfo'), r.say('qsThreadInfo'), r.say('qAttached'), r.say('Hg0')), ('m01', 'l', '1', 'OK'))
        self.assertEqual([r.say(p)[:1] for p in ('m', 'm1', 'M0,1', 'pffff', 'P0=1', 'Z0,zz', 'vCont;x', 'X1,2')], ['E'] * 8)

    def test_the_description_comes_in_pieces_and_is_xml(self):
        import xml.etree.ElementTree as tree
        r = self.attach(self.start())
        text = ''
        while True:
            piece = r.say('qXfer:features:read:target.xml:%x,100' % len(text))
            text += piece[1:]
            if piece[0] == 'l':
                break
        self.assertEqual(r.say('qXfer:features:read:other.xml:0,100'), 'E00')
        regs = tree.fromstring(text.split('dtd">')[1]).findall('.//reg')
        self.assertEqual([int(g.get('regnum')) for g in regs], list(range(len(regs))))
        self.assertEqual(sum(int(g.get('bitsize')) for g in regs) // 4, len(r.say('g')))
        names = [g.get('name') for g in regs]
        self.assertEqual((names[CS], names[FTAG], names[MXCSR], names[CS_BASE], names[CR0]), ('cs', 'ftag', 'mxcsr', 'cs_base', 'cr0'))

    def test_all_registers_are_read_and_written_at_once(self):
        r = self.attach(self.start())
        all_of = bytearray.fromhex(r.say('g'))
        all_of[0:4] = b'\x78\x56\x34\x12'
        self.assertEqual(r.say('G' + all_of.hex()), 'OK')
        self.assertEqual(r.register(EAX), 0x12345678)
        self.assertEqual(r.say('g'), all_of.hex())
        self.assertEqual(r.say('P%x=ffffff00' % MXCSR), 'E14')          # reserved bits
        self.assertEqual(r.say('P%x=00000080' % CR0), 'E14')            # PG without PE
        self.assertEqual(r.say('P%x=28000000' % SS), 'E14')             # beyond the table
        self.assertEqual(r.register(SS), 0x10)

    def test_a_write_that_is_refused_leaves_the_guests_cr2_alone(self):
        r = self.attach(self.start())
        r.say('Z0,%x,1' % SYM['mapped'])
        self.assertEqual(r.say('c')[:3], 'T05')
        self.assertEqual(r.say('P%x=00003000' % (CR0 + 2)), 'OK')       # CR3: nothing is mapped, the descriptors neither
        self.assertEqual(r.say('P%x=bc0a0000' % (CR0 + 1)), 'OK')
        self.assertEqual(r.say('P%x=10000000' % SS), 'E14')
        self.assertEqual(r.register(CR0 + 1), 0xABC)

    def test_memory_that_is_not_there_is_an_error(self):
        r = self.attach(self.start())
        self.assertEqual(r.say('mfff00000,4'), 'E14')
        self.assertEqual(r.say('Mfff00000,1:00'), 'E14')
        self.assertEqual(r.say('mfee00000,4'), 'E14')                   # a device: reading could change it
        self.assertEqual(r.memory(0x7FFFFF0, 32), bytes(16))            # up to the end of RAM
        self.assertEqual(r.say('X200000,4:}\x03}\x04\x00a'), 'OK')      # '#' and '$', escaped
        self.assertEqual(r.memory(0x200000, 4), b'#$\0a')
        self.assertEqual(r.say('M200000,2:beef'), 'OK')
        self.assertEqual(r.memory(0x200000, 2), b'\xbe\xef')

    def test_damaged_packets_are_asked_for_again_and_answers_given_again(self):
        r = Rsp(self.start().socket)
        self.addCleanup(r.close)
        r.sock.sendall(b'$qC#00')
        self.assertEqual(r.byte(), b'-')
        r.sock.sendall(b'$qC#b4')
        self.assertEqual(r.byte(), b'+')
        self.assertEqual(r.packet(), 'QC01')
        r.sock.sendall(b'-')
        self.assertEqual(r.packet(), 'QC01')

    def test_the_guest_sees_no_breakpoint(self):
        r = self.attach(self.start())
        r.say('Z0,%x,1' % SYM['work'])
        self.assertEqual(r.say('c')[:3], 'T05')
        self.assertEqual(r.memory(SYM['work'], 2), b'\xff\x05')
        self.assertEqual(r.register(EIP), SYM['work'])
        self.assertEqual(r.say('c')[:3], 'T05')                         # still there: it is for gdb to step over it
        self.assertEqual(r.register(ECX), 3)
        self.assertEqual(r.say('z0,%x,1' % SYM['work']), 'OK')
        self.assertEqual(r.say('c'), 'W00')

    def test_stops_say_what_they_were(self):
        r = self.attach(self.start())
        r.say('qSupported:swbreak+;hwbreak+')
        self.assertEqual(r.say('?'), 'T02thread:01;')
        r.say('Z0,%x,1' % SYM['work'])
        r.say('Z1,%x,1' % SYM['again'])
        self.assertEqual(r.say('vCont;c'), 'T05thread:01;hwbreak:;')
        r.say('z1,%x,1' % SYM['again'])
        self.assertEqual(r.say('vCont;c'), 'T05thread:01;swbreak:;')
        r.say('z0,%x,1' % SYM['work'])
        r.say('Z2,%x,4' % SYM['target'])
        self.assertEqual(r.say('vCont;c:1'), 'T05thread:01;watch:%x;' % SYM['target'])
        self.assertEqual(r.register(ECX), 7)                            # one element of REP MOVSB
        r.say('z2,%x,4' % SYM['target'])
        r.say('Z3,%x,1' % (SYM['source'] + 5))
        self.assertEqual(r.say('vCont;c'), 'T05thread:01;rwatch:%x;' % (SYM['source'] + 5))
        self.assertEqual(r.register(ECX), 2)
        r.say('z3,%x,1' % (SYM['source'] + 5))
        r.say('Z4,%x,4' % SYM['twin'])
        r.say('Z2,%x,4' % (0xC0000000 + SYM['twin']))
        self.assertEqual(r.say('vCont;c'), 'T05thread:01;watch:%x;' % (0xC0000000 + SYM['twin']))   # linear, not physical
        self.assertEqual(r.say('vCont;s'), 'T05thread:01;')
        r.say('z2,%x,4' % (0xC0000000 + SYM['twin']))
        self.assertEqual(r.say('c'), 'W00')

    def test_scanned_code_stops_at_breakpoints_that_come_later(self):
        m = self.start(guest='spin', wait=False)
        r = self.attach(m)
        for _ in range(3):
            r.send('c')
            m.wait_text('spinning')
            r.sock.sendall(b'\x03')
            self.assertEqual(r.packet(), 'T02thread:01;')
        while r.memory(r.register(EIP), 2) != b'\xeb\xfe':              # JMP to itself
            r.say('s')
        eip = r.register(EIP)
        r.say('Z0,%x,1' % eip)
        r.say('s')
        self.assertEqual(r.say('c')[:3], 'T05')
        self.assertEqual(r.register(EIP), eip)

    def test_interrupts_wait_while_stepping_unless_gdb_wants_them(self):
        m = self.start(guest='timer')
        r = self.attach(m)
        self.assertEqual(r.say('qqemu.sstepbits'), 'ENABLE=1,NOIRQ=2,NOTIMER=4')
        self.assertEqual(r.say('qqemu.sstep'), '7')
        while r.memory(r.register(EIP), 1) != b'\xf4':                  # to the HLT behind STI
            self.assertEqual(r.say('s'), 'T05thread:01;')
        self.assertEqual(r.say('s'), 'T05thread:01;')                   # asleep; no timer ends it
        hlt = r.register(EIP)
        self.assertEqual((r.say('s'), r.register(EIP)), ('T05thread:01;', hlt))
        r.say('Z0,%x,1' % hlt)
        self.assertEqual(r.say('c')[:3], 'T05')                         # the timer has: behind the handler
        r.say('z0,%x,1' % hlt)
        self.assertEqual(r.say('c'), 'W00')
        self.assertEqual(m.proc.wait(LIMIT_S), 0)
        self.assertIn('\n', m.text())

    def test_a_debugger_that_goes_away_leaves_the_machine_running(self):
        m = self.start()
        r = self.attach(m)
        r.say('Z0,%x,1' % SYM['copy'])
        self.assertEqual(r.say('c')[:3], 'T05')
        r.close()
        self.assert_ends_well(m)

    def test_a_machine_that_was_stopped_before_stays_stopped(self):
        m = self.start()
        r = self.attach(m)
        r.say('g')
        r.close()
        r = self.attach(m)
        self.assertIn('paused', r.monitor('info status'))
        self.assertEqual(r.register(EIP), 0x100000)
        self.assertEqual(r.say('D'), 'OK')
        self.assert_ends_well(m)

    def test_kill_ends_plex86(self):
        m = self.start(guest='spin', wait=False)
        r = self.attach(m)
        r.send('k')
        self.assertEqual(m.proc.wait(LIMIT_S), 0)

    def test_a_reset_is_seen_at_once(self):
        m = self.start()
        r = self.attach(m)
        r.say('Z0,%x,1' % SYM['work'])
        r.say('c')
        r.monitor('system_reset')
        self.assertEqual(r.register(EIP), 0x100000)
        self.assertEqual(r.say('c')[:3], 'T05')                         # its breakpoints are as they were
        self.assertEqual(r.register(EIP), SYM['work'])

    def test_the_monitor_opens_and_closes_the_debuggers_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            control, other = os.path.join(folder, 'control'), os.path.join(folder, 'gdb')
            m = self.start('--sandbox', 'off', '-monitor', 'unix:%s,server=on,wait=off' % control)
            r = self.attach(m)
            self.assertIn('Error', r.monitor('gdbserver unix:' + other))        # not over its own connection
            with connect(control) as s:
                s.sendall(b'gdbserver unix:%s\n' % other.encode())
                with self.assertRaises((EOFError, ConnectionResetError)):
                    r.packet()
                r = Rsp(other)
                self.addCleanup(r.close)
                self.assertIn('EIP=', r.monitor('info registers'))
                self.assertFalse(os.path.exists(m.socket))
                s.sendall(b'gdbserver nonsense\ngdbserver none\n')
                with self.assertRaises((EOFError, ConnectionResetError)):
                    r.packet()
                self.assertIn(b'Error', receive(s, b'Disabled'))
                self.assertFalse(os.path.exists(other))

    def test_a_confined_machine_gets_its_debuggers_socket_from_who_asks(self):
        with tempfile.TemporaryDirectory() as folder:
            control, other = os.path.join(folder, 'control'), os.path.join(folder, 'gdb')
            m = self.start('-qmp', 'unix:%s,server=on,wait=off' % control)
            r = self.attach(m)

            def tool(*args):
                return subprocess.run([PLEX86, 'monitor', control, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      timeout=LIMIT_S, check=False)
            if 'sandbox: on' in tool('info', 'sandbox').stdout:
                with connect(control) as s:     # it makes none itself
                    s.sendall(b'{"execute":"qmp_capabilities"}{"execute":"human-monitor-command","arguments":{"command-line":'
                              b'"gdbserver tcp::1234"}}')
                    receive(s, b'plex86 monitor NAME gdbserver')
            done = tool('gdbserver', 'unix:' + other)
            self.assertEqual((done.returncode, done.stdout), (0, "Waiting for gdb connection on device 'unix:%s'\n" % other), done.stderr)
            with self.assertRaises((EOFError, ConnectionResetError)):
                r.packet()
            r = Rsp(other)
            self.addCleanup(r.close)
            self.assertEqual(r.register(EIP), 0x100000)
            self.assertEqual(tool('gdbserver', 'none').stdout.strip(), 'Disabled gdbserver')
            with self.assertRaises((EOFError, ConnectionResetError)):
                r.packet()
            done = tool('gdbserver', 'unix:/nonexistent/gdb')
            self.assertEqual(done.returncode, 1)
            self.assertIn('No such file', done.stderr)
            done = tool('gdbserver', 'nonsense')
            self.assertEqual(done.returncode, 1)
            self.assertIn("'nonsense'", done.stderr)

    def test_lockstep_has_no_debugger_and_says_so(self):
        done = subprocess.run([PLEX86, 'run', '--engine', 'lockstep', '-gdb', 'tcp::0', '--flat', '0x100000',
                               os.path.join(GUESTS, 'spin.bin')], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('the debugger needs --engine scan or emulate: lockstep carries every block out twice', done.stderr)

    def test_the_monitor_shows_tables_instructions_and_controllers(self):
        r = self.attach(self.start())
        self.assertEqual(r.monitor('info tlb'), 'PG disabled\n')
        r.say('Z0,%x,1' % SYM['mapped'])
        self.assertEqual(r.say('c')[:3], 'T05')
        self.assertEqual(r.monitor('info tlb'), '%016x: %016x --P-A---W\n%016x: %016x --P-----W\n' % (0, 0, 0xC0000000, 0))
        self.assertEqual(r.monitor('info mem'), ''.join('%016x-%016x 0000000000400000 -rw\n' % (at, at + 0x400000)
                                                        for at in (0, 0xC0000000)))
        code = r.monitor('x/3i $pc')
        self.assertRegex(code, r'^0x%08x:  A1\w+ +movl +0xC\w+, %%eax\n' % SYM['mapped'])
        self.assertEqual(code.count('\n'), 3)
        self.assertEqual(r.monitor('xp/3i %#x' % SYM['mapped']), code)
        self.assertEqual(int(r.monitor('x/wx $esp+4').split()[1], 16), r.word(r.register(ESP) + 4))
        self.assertIn('Error', r.monitor('x/i $nonsense'))
        self.assertIn('Cannot access', r.monitor('x/i 0xd0000000'))
        self.assertRegex(r.monitor('info pic'), r'pic0: irr=00 imr=ff isr=00 hprio=0 irq_base=00 rr_sel=0 elcr=00 fnm=0\n')
        self.assertIn('SPIV    0x000000ff APIC disabled', r.monitor('info lapic'))
        self.assertIn('IRQ statistics for isa-i8259', r.monitor('info irq'))

    def test_the_monitor_turns_the_trace_on_and_off(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        m = self.start('--sandbox', 'on,path=' + folder.name)
        r = self.attach(m)
        path = os.path.join(folder.name, 'trace')
        r.monitor('logfile ' + path)
        self.assertIn('Error', r.monitor('log nothing'))
        self.assertIn('in_asm', r.monitor('log help'))
        r.monitor('log exec,int')
        r.say('s')
        r.monitor('log none')
        r.say('s')
        r.monitor('log int')
        r.say('c')
        m.proc.wait(LIMIT_S)
        with open(path) as f:
            lines = [line[12:].strip() for line in f]
        self.assertEqual(lines[0], '0 0008:00100000 exec')
        self.assertEqual([line.split()[2] for line in lines[1:]], ['exception', 'int'] * 2)

    def test_tcp_is_for_this_host(self):
        port = free_port()
        m = self.start('-gdb', 'tcp::%d' % port)                        # the last one counts
        r = Rsp(('127.0.0.1', port))
        self.addCleanup(r.close)
        self.assertEqual(r.register(EIP), 0x100000)
        with connect(('127.0.0.1', port)) as second:                    # one at a time
            self.assertEqual(second.recv(1), b'')
        m.proc.send_signal(signal.SIGTERM)
        m.proc.wait(LIMIT_S)


if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(__file__))
    unittest.main(argv=[sys.argv[0], '-v'])
