#!/usr/bin/env python3
"""The control sockets of a running machine: QMP, the monitor, and plex86's own commands.

usage: control_test.py PLEX86. Boots SeaBIOS without a disk; needs Debian's seabios package (else: skipped).
"""
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, LIMIT_S, MachineCase, Qmp, connect, free_port, need_all, on_terminal, receive  # noqa: E402

PLEX86 = os.path.abspath(sys.argv.pop(1))


class Machine(MachineCase):
    def setUp(self):
        super().setUp()
        self.qmp_path = self.path('qmp')

    def start(self, *args):
        image = self.path('blank.img')
        with open(image, 'wb') as f:
            f.truncate(1 << 20)
        p = subprocess.Popen([PLEX86, 'run', '-name', 'box', '-serial', 'null', '-m', '16', '-hda', image,
                              '-qmp', f'unix:{self.qmp_path},server=on,wait=off', *args],
                             stdin=subprocess.DEVNULL, env=self.env)
        self.procs.append(p)
        q = Qmp(self.qmp_path, p)
        self.assertIn('QMP', q.greeting)
        return p, q

    def plex86(self, *args):
        return self.tool(PLEX86, *args)

    def wait_text(self, q, text):
        end = time.monotonic() + LIMIT_S
        while True:
            screen = q.cmd('x-screentext')
            if text in screen:
                return screen
            self.assertLess(time.monotonic(), end, screen)
            time.sleep(0.1)

    def test_commands_answer_under_their_qmp_names(self):
        _, q = self.start('-S')
        self.assertEqual(q.cmd('query-status')['status'], 'prelaunch')
        self.assertEqual(q.cmd('query-name'), {'name': 'box'})
        names = {c['name'] for c in q.cmd('query-commands')}
        self.assertLessEqual({'stop', 'cont', 'system_reset', 'system_powerdown', 'quit', 'send-key', 'screendump',
                              'human-monitor-command', 'query-block', 'eject', 'blockdev-change-medium'}, names)
        self.assertEqual(q.answer('nothing')['error']['class'], 'CommandNotFound')
        self.assertEqual(q.raw('{"execute":}\n')['error']['desc'], 'Invalid JSON syntax')
        self.assertEqual(q.raw('{"execute":"query-status","id":[7]}')['id'], [7])
        self.assertIn('error', q.answer('send-key', keys=[{'type': 'qcode', 'data': 'no such key'}]))
        for request, says in (('{"execute":"stop","arguments":{"now":1}}', "Parameter 'now' is unexpected"),
                              ('{"execute":"stop","at":1}', "QMP input member 'at' is unexpected"),
                              ('{"execute":"stop","arguments":[]}', "'arguments' must be an object"),
                              ('{"execute":7}', "'execute' must be a string"),
                              # Names that are cut for the answer, within a character.
                              ('{"execute":"stop","%s":1}' % ('a' * 59 + '\u00e9'), "QMP input member 'aaa"),
                              ('{"execute":"stop","arguments":{"%s":1}}' % ('a' * 59 + '\u00e9'), "Parameter 'aaa")):
            self.assertIn(says, q.raw(request)['error']['desc'])
        drive = q.cmd('query-block')[0]
        self.assertEqual((drive['device'], drive['inserted']['image']['virtual-size']), ('ide0-hd0', 1 << 20))

    def test_a_machine_started_with_S_runs_only_after_cont_and_tells_of_it(self):
        _, q = self.start('-S')
        eip = q.monitor('info registers')
        self.assertIn('EIP=0000FFF0', eip)
        q.cmd('cont')
        q.wait_event('RESUME')
        self.wait_text(q, 'SeaBIOS')
        q.cmd('stop')
        q.wait_event('STOP')
        first = q.monitor('info registers')
        self.assertEqual(first, q.monitor('info registers'))
        q.cmd('system_reset')
        q.cmd('cont')
        q.wait_event('RESET')

    def test_quit_ends_plex86_after_a_shutdown_event(self):
        p, q = self.start()
        self.assertEqual(q.answer('quit'), {'return': {}})
        self.assertEqual(q.wait_event('SHUTDOWN'), {'guest': False, 'reason': 'host-qmp-quit'})
        self.assertEqual(p.wait(LIMIT_S), 0)
        self.assertFalse(os.path.exists(self.qmp_path))

    def test_the_shutdown_event_says_when_it_was_the_user_at_the_terminal(self):
        with open(self.path('spin'), 'wb') as f:
            f.write(b'\xeb\xfe' * 8)
        pid, master, slave = on_terminal([PLEX86, 'run', '--flat', '0x1000', self.path('spin'), '-serial', 'stdio',
                                          '-qmp', f'unix:{self.qmp_path},server=on,wait=off'], **self.env)
        try:
            q = Qmp(self.qmp_path)
            os.write(master, b'\x01x')
            self.assertEqual(q.wait_event('SHUTDOWN'), {'guest': False, 'reason': 'host-ui'})
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            pid = 0
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(master)
            os.close(slave)

    def multiboot_kernel(self):
        """Waits for a tick of the timer, writes "A" to the text screen's first place, pushes, then CLI, HLT."""
        at, flags, magic = 0x100000, 1 << 16, 0x1BADB002
        header = struct.pack('<8I', magic, flags, -(magic + flags) & 0xFFFFFFFF, at, at, 0, 0, at + 32)
        with open(self.path('kernel'), 'wb') as f:
            f.write(header + bytes.fromhex('e420a80174fa' '66c70500800b004107' '50' 'faf4'))    # [Multiboot: address fields]
        return self.path('kernel')

    def test_a_multiboot_kernel_has_a_screen_which_stays_when_it_halts_for_good(self):
        p, q = self.start('-display', 'none', '-kernel', self.multiboot_kernel())
        self.wait_text(q, 'A')
        while 'EIP=00100032' not in q.monitor('info registers'):
            time.sleep(0.05)
        pic, pci = q.monitor('info pic'), q.monitor('info pci')        # as a BIOS leaves them
        self.assertIn('imr=b8 isr=00 hprio=0 irq_base=08', pic)
        self.assertIn('memory at 0xfd000000', pci)
        q.cmd('screendump', filename=self.path('shot.ppm'))
        self.assertGreater(os.path.getsize(self.path('shot.ppm')), 720 * 400 * 3)
        self.assertEqual(q.cmd('query-status')['status'], 'running')
        q.cmd('system_reset')
        q.wait_event('RESET')
        self.wait_text(q, 'A')
        self.assertIsNone(p.poll())
        q.cmd('quit')
        self.assertEqual(p.wait(LIMIT_S), 0)

    def test_a_kernel_has_a_graphics_card_if_it_is_multiboot_or_a_display_is_spoken_of(self):
        card = 'vga: PCI device 1234:1111'
        linux = self.path('flat')
        with open(linux, 'wb') as f:
            f.write(b'\xfa\xf4')
        for args, has in ((['-kernel', self.multiboot_kernel()], True), (['-kernel', self.multiboot_kernel(), '-nographic'], True),
                          (['-kernel', self.multiboot_kernel(), '-vga', 'none'], False),
                          (['-kernel', self.multiboot_kernel(), '-nodefaults'], False),
                          (['--flat', '0x100000', linux], False)):
            p, q = self.start('-S', *args)
            self.assertEqual(card in q.monitor('info pci'), has, args)
            q.cmd('quit')
            p.wait(LIMIT_S)

    def test_a_name_or_file_that_is_no_utf8_is_shown_with_question_marks(self):
        image = os.path.join(os.fsencode(self.path('')), b'caf\xe9.img')
        with open(image, 'wb') as f:
            f.truncate(1 << 20)
        log = self.path('log')
        _, q = self.start('-S', '-name', b'box\xe9', '-hdb', image, '--meter-log', log)
        self.assertEqual(q.cmd('query-name'), {'name': 'box?'})
        self.assertTrue(q.cmd('query-block')[1]['inserted']['image']['filename'].endswith('/caf?.img'))
        self.assertIn('/caf?.img', q.cmd('human-monitor-command', **{'command-line': 'info block'}))
        q.cmd('quit')
        self.procs[-1].wait(LIMIT_S)
        with open(log) as f:
            self.assertEqual(json.loads(f.readlines()[-1])['name'], 'box?')

    def test_trays_move_with_events_and_the_drives_say_what_is_in_them(self):
        with open(self.path('cd.iso'), 'wb') as f:
            f.truncate(1 << 20)
        _, q = self.start('-cdrom', self.path('cd.iso'))
        cd = [d for d in q.cmd('query-block') if d['device'] == 'ide1-cd0'][0]
        self.assertEqual((cd['tray_open'], cd['io-status'], cd['inserted']['ro']), (False, 'ok', True))
        q.cmd('eject', device='ide1-cd0')
        q.wait_event('DEVICE_TRAY_MOVED')
        cd = [d for d in q.cmd('query-block') if d['device'] == 'ide1-cd0'][0]
        self.assertTrue(cd['tray_open'])
        self.assertNotIn('inserted', cd)
        q.events.clear()
        q.cmd('blockdev-change-medium', device='ide1-cd0', filename=self.path('cd.iso'))
        q.wait_event('DEVICE_TRAY_MOVED')
        q.events.clear()
        q.cmd('blockdev-open-tray', device='ide1-cd0')
        q.wait_event('DEVICE_TRAY_MOVED')
        q.events.clear()
        q.cmd('blockdev-close-tray', device='ide1-cd0')
        q.wait_event('DEVICE_TRAY_MOVED')
        self.assertIn('tray', q.answer('blockdev-open-tray', device='ide0-hd0')['error']['desc'])
        stats = q.cmd('query-blockstats')[0]
        self.assertEqual(stats['device'], 'ide0-hd0')

    def test_machine_that_powered_off_stays_and_can_be_reset_with_no_shutdown(self):
        with open(self.path('off'), 'wb') as f:     # out dx, ax: soft off at PM1a control
            f.write(bytes.fromhex('ba0406b80020ef') + b'\xf4' * 9)
        p = subprocess.Popen([PLEX86, 'run', '-no-shutdown', '-serial', 'null', '--flat', '0x1000', '--mode', 'real', self.path('off'), '-qmp',
                              f'unix:{self.qmp_path},server=on,wait=off', '-S'], stdin=subprocess.DEVNULL, env=self.env)
        self.procs.append(p)
        q = Qmp(self.qmp_path, p)
        for _ in range(2):
            q.events.clear()
            q.cmd('cont')
            q.wait_event('SHUTDOWN')
            self.assertEqual(q.cmd('query-status')['status'], 'shutdown')
            q.cmd('system_reset')
            q.wait_event('RESET')
        q.cmd('quit')
        self.assertEqual(p.wait(LIMIT_S), 0)

    def test_keys_reach_the_firmware(self):
        _, q = self.start('-boot', 'menu=on,splash-time=60000')
        self.wait_text(q, 'ESC')
        q.monitor('sendkey esc')
        self.wait_text(q, 'Select boot device')

    def test_vnc_shows_the_screen_and_is_for_this_host_unless_there_is_a_password(self):
        port = free_port()
        with open(self.path('other.img'), 'wb') as f:
            f.truncate(1 << 20)
        refused = self.plex86('run', '-serial', 'null', '-vnc', f'0.0.0.0:{port - 5900}', self.path('other.img'))
        self.assertEqual(refused.returncode, 1)
        self.assertIn('password-file', refused.stderr)
        _, q = self.start('-vnc', f':{port - 5900}')
        self.wait_text(q, 'SeaBIOS')
        with socket.create_connection(('127.0.0.1', port), LIMIT_S) as s:
            f = s.makefile('rb')
            self.assertEqual(f.read(12)[:4], b'RFB ')
            s.sendall(b'RFB 003.008\n')
            self.assertIn(1, f.read(f.read(1)[0]))                   # security: none
            s.sendall(b'\x01')
            self.assertEqual(f.read(4), bytes(4))
            s.sendall(b'\x01')
            width, height = struct.unpack('>HH', f.read(4))
            f.read(16)
            self.assertIn(b'box', f.read(struct.unpack('>I', f.read(4))[0]))
            self.assertEqual((width, height), (720, 400))
            s.sendall(struct.pack('>BBHi', 2, 0, 1, 0))              # encodings: raw
            lit = 0
            while lit < 200:                                         # whole pictures until the text is there
                s.sendall(struct.pack('>BBHHHH', 3, 0, 0, 0, width, height))
                kind, _, rects = struct.unpack('>BBH', f.read(4))
                self.assertEqual(kind, 0)
                for _ in range(rects):
                    _, _, w, h, encoding = struct.unpack('>HHHHi', f.read(12))
                    self.assertEqual(encoding, 0)
                    data = f.read(4 * w * h)
                    lit += sum(1 for i in range(0, len(data), 4) if data[i:i + 3] != bytes(3))
                time.sleep(0.05)
            s.sendall(struct.pack('>BBHH', 5, 1, 10, 10) + struct.pack('>BBHH', 5, 0, 20, 15))
            s.sendall(struct.pack('>BBHI', 4, 1, 0, 0xFF0D) + struct.pack('>BBHI', 4, 0, 0, 0xFF0D))
            self.assertEqual(q.cmd('query-status')['status'], 'running')

    def test_a_serial_port_at_a_socket_chardev_keeps_a_log(self):
        serial, log = self.path('serial'), self.path('serial.log')
        guest = os.path.join(os.path.dirname(PLEX86), 'guest', 'hello.bin')
        p = subprocess.Popen([PLEX86, 'run', '--flat', '0x100000', guest, '-nodefaults', '-serial', 'chardev:tty0',
                              '-chardev', f'socket,id=tty0,path={serial},server=on,wait=on,logfile={log}'],
                             stdin=subprocess.DEVNULL, env=self.env)
        self.procs.append(p)
        s = connect(serial, p)
        said = receive(s)
        s.close()
        self.assertEqual(p.wait(LIMIT_S), 0)
        self.assertIn(b'ello', said)
        with open(log, 'rb') as f:
            self.assertEqual(f.read(), said)

    def test_screendump_writes_png_and_ppm_of_the_same_size(self):
        _, q = self.start()
        self.wait_text(q, 'SeaBIOS')
        png, ppm = self.path('a.png'), self.path('a.ppm')
        self.assertEqual(q.answer('screendump', filename=png, format='png'), {'return': {}})
        self.assertEqual(q.answer('screendump', filename=ppm), {'return': {}})
        with open(png, 'rb') as f:
            head = f.read(24)
        self.assertEqual(head[:8], b'\x89PNG\r\n\x1a\n')
        with open(ppm, 'rb') as f:
            self.assertEqual(f.readline() + f.readline(), b'P6\n%d %d\n' % struct.unpack('>II', head[16:24]))
        self.assertIn('error', q.answer('screendump', filename='/nonexistent/x'))

    def test_a_floppy_that_is_put_in_later_is_write_protected_in_the_sandbox(self):
        for name in 'one.img', 'two.img':
            with open(self.path(name), 'wb') as f:
                f.truncate(1474560)
        for args, note in ([], True), (['--sandbox=off'], False):
            p, q = self.start('-fda', self.path('one.img'), *args)
            if note:
                self.confined(q)
            said = q.monitor('change floppy0 %s' % self.path('two.img'))
            self.assertEqual('write-protected' in said, note)
            self.assertEqual(q.cmd('query-block')[-1]['inserted']['ro'], note)
            self.assertEqual(q.monitor('change floppy0 %s raw read-only' % self.path('one.img')), '')
            self.assertTrue(q.cmd('query-block')[-1]['inserted']['ro'])
            self.assertIn('mode is', q.monitor('change floppy0 %s raw never' % self.path('two.img')))
            if note:
                self.assertIn('Permission', q.monitor('change floppy0 %s raw read-write' % self.path('two.img')))
            q.cmd('quit')
            p.wait(LIMIT_S)

    def test_screendump_takes_the_place_of_a_picture_or_an_empty_file_and_of_nothing_else(self):
        q = None
        for i in range(2):                      # those of an earlier run are not this one's
            p, q = self.start()
            for name in 'old.ppm', 'old.png':
                self.assertEqual(q.cmd('screendump', filename=self.path(name), format=name[-3:]), {})
            if i == 0:
                q.cmd('quit')
                p.wait(LIMIT_S)
        with tempfile.NamedTemporaryFile(dir=self.dir.name) as f:
            self.assertEqual(q.cmd('screendump', filename=f.name), {})
            self.assertEqual(f.read(3), b'P6\n')
        self.confined(q)
        for name, data in ('Makefile', b'all:\n'), ('photo.png', b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(100)):
            with open(self.path(name), 'wb') as f:
                f.write(data)
            self.assertIn('no screendump', q.answer('screendump', filename=self.path(name), format='png')['error']['desc'])
            with open(self.path(name), 'rb') as f:
                self.assertEqual(f.read(), data)

    def test_monitor_commands_show_memory_and_devices(self):
        _, q = self.start()
        self.wait_text(q, 'SeaBIOS')

        hmp = q.monitor
        self.assertIn(' 0xea 0x5b 0xe0 0x00 0xf0', hmp('xp/5xb 0xffff0'))
        self.assertIn('1234:1111', hmp('info pci'))
        self.assertIn('ide0-hd0', hmp('info block'))
        self.assertIn('unknown command', hmp('frobnicate'))
        dump = self.path('mem')
        self.assertEqual(hmp(f'pmemsave 0xffff0 16 {dump}'), '')
        with open(dump, 'rb') as f:
            self.assertEqual(f.read()[:1], b'\xea')
        self.assertIn('memory ends at 4 GiB', hmp(f'pmemsave 0xfffffff0 17 {dump}'))

    def confined(self, q):
        """What the machine says of its sandbox; without one (a build with a sanitizer has none) the rest is skipped."""
        said = q.monitor('info sandbox')
        if 'sandbox: off' in said:
            self.skipTest(said)
        return said

    def test_the_running_monitor_is_confined_in_every_thread(self):
        p, q = self.start('-vnc', 'none')
        self.wait_text(q, 'No bootable device')     # the disk's thread has worked by then
        said = self.confined(q)
        threads = os.listdir(f'/proc/{p.pid}/task')
        self.assertGreaterEqual(len(threads), 3)
        for t in threads:
            with open(f'/proc/{p.pid}/task/{t}/status') as f:
                status = dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)
            self.assertEqual((status['Seccomp'], status['NoNewPrivs']), ('2', '1'), t)
        self.assertRegex(said, r'system calls: \d\d allowed')
        self.assertIn('capabilities: none; dumpable: no', said)

    def test_plex86_finds_named_machines(self):
        p, q = self.start()
        self.wait_text(q, 'No bootable device')     # the keyboard is set up by then
        self.assertRegex(self.plex86('ps').stdout, r'box +%d +running' % p.pid)
        self.assertIn('SeaBIOS', self.plex86('screentext', 'box').stdout)
        self.assertEqual(self.plex86('screenshot', 'box', 'shot.png').returncode, 0)
        self.assertGreater(os.path.getsize(self.path('shot.png')), 500)
        with tempfile.TemporaryDirectory() as elsewhere:    # where the confined monitor itself may not write
            self.assertEqual(self.plex86('screenshot', 'box', elsewhere + '/shot.ppm').returncode, 0)
            self.assertGreater(os.path.getsize(elsewhere + '/shot.ppm'), 500)
            if 'sandbox: off' not in q.monitor('info sandbox'):
                self.assertIn('Permission denied', q.answer('screendump', filename=elsewhere + '/own.png')['error']['desc'])
        self.assertEqual(self.plex86('screenshot', 'box', '/nonexistent/shot.png').returncode, 1)
        self.assertEqual(self.plex86('sendkey', 'box', 'ctrl-alt-delete').returncode, 0)
        q.wait_event('RESET')
        self.assertEqual(self.plex86('sendkey', 'box', 'hyper-x').returncode, 1)
        self.assertEqual(self.plex86('stop', '--now', 'box').returncode, 0)
        self.assertEqual(p.poll(), 0)               # gone by then, with all that it does last
        self.assertIn('No named machine', self.plex86('ps').stdout)
        self.assertEqual(self.plex86('stop', 'box').returncode, 1)


if __name__ == '__main__':
    need_all(BIOS)
    unittest.main(warnings='ignore')
