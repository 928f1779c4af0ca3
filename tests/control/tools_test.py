#!/usr/bin/env python3
"""Command lines of tools that start QEMU: makefiles of hobby systems, kernel CI, test harnesses, image builders.

tools_test.py PLEX86: what has a meaning here means what it means there, what asks for nothing is accepted, the rest
is named in one line. Machines boot a sector of ours, which ends them with a status that tells who was booted.
"""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import BIOS, LIMIT_S, MachineCase, Qmp, connect, free_port, need_all, receive  # noqa: E402

PLEX86 = os.path.abspath(sys.argv.pop(1))
EXIT = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
UUID = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'
GUESTS = os.path.join(os.path.dirname(PLEX86), 'guest')


def sector(code, signature=b'\x55\xaa'):
    """mov al, code; out 0xf4, al; hlt: the machine ends with code * 2 + 1."""
    return (bytes([0xB0, code, 0xE6, 0xF4, 0xF4]).ljust(510, b'\0') + signature).ljust(1 << 20, b'\0')


class Tools(MachineCase):
    def setUp(self):
        super().setUp()
        self.file('a.img', sector(1))
        self.file('b.img', sector(2))

    def file(self, name, data):
        with open(self.path(name), 'wb') as f:
            f.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()

    def run_it(self, *args, **kw):
        return subprocess.run([PLEX86, *args], env=self.env, cwd=self.dir.name, stdin=kw.pop('stdin', subprocess.DEVNULL),
                              capture_output=True, timeout=LIMIT_S, **kw)

    def start(self, *args, **kw):
        kw = {'stdin': subprocess.DEVNULL, 'stderr': subprocess.PIPE, **kw}
        p = subprocess.Popen([PLEX86, *args], env=self.env, cwd=self.dir.name, **kw)
        self.procs.append(p)
        return p

    def status(self, want, *args):
        r = self.run_it(*args, *EXIT)
        self.assertEqual((r.returncode, r.stderr), (want * 2 + 1, b''), args)

    def wait_for(self, fn):
        end = time.monotonic() + LIMIT_S
        while True:
            try:
                got = fn()
                if got:
                    return got
            except OSError:
                pass
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_command_lines_of_tools_start_a_machine(self):
        for line in [
            '-M pc -cpu qemu32,-sse2,check=off -m 64M -nographic -no-reboot -drive file=a.img,format=raw,index=0,media=disk',
            '-machine pc-i440fx-7.2,accel=kvm:tcg,usb=off,dump-guest-core=off,vmport=off -m size=131072k -smp 1,maxcpus=1,sockets=1,cores=1 '
            '-display none -vga std -hda a.img -serial mon:stdio -net none',
            '-accel kvm -accel tcg,thread=single -no-user-config -nodefaults -rtc base=utc,driftfix=slew -no-hpet -boot strict=on '
            '-global PIIX4_PM.disable_s3=1 -global kvm-pit.lost_tick_policy=delay -msg timestamp=on -overcommit mem-lock=off '
            '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny '
            '-chardev socket,id=mon,path=m.sock,server=on,wait=off -mon chardev=mon,id=monitor,mode=control '
            '-blockdev driver=file,filename=a.img,node-name=f0,auto-read-only=on,discard=unmap '
            '-blockdev node-name=d0,read-only=off,driver=raw,file=f0 -device ide-hd,bus=ide.0,drive=d0,id=ide0-0-0,bootindex=1,write-cache=on',
            '-drive file=a.img,format=raw,if=none,id=disk,cache=unsafe,aio=threads -device driver=ide-hd,drive=disk -k en-us -monitor null',
            '-fda a.img -cpu pentium3 -boot order=a,menu=off -audiodev none,id=snd0 -parallel none -serial null',
            '-boot order=dc,menu=on,splash-time=1,once=c -hda a.img -no-acpi -nographic -monitor none -serial none -no-fd-bootchk',
            '-icount shift=4,sleep=off -hda a.img -display none -serial file:ser.log -D trace -d int,cpu_reset,guest_errors,unimp',
            '-hda a.img -display none -qmp tcp:127.0.0.1:0,server,nowait -monitor unix:mon.sock,server,nowait -action panic=exit-failure',
            f'-uuid {UUID} -smbios type=0,vendor=Me -smbios type=1,manufacturer=Acme,serial=ds=nocloud -smbios type=11,value=io.x:y -hda a.img -display none',
            '-fw_cfg name=opt/x,string=hello -fw_cfg opt/y,file=a.img -name guest=g,debug-threads=on -snapshot -hda file:a.img -nographic',
        ]:
            self.status(1, *line.split())

    def test_what_is_not_here_is_named_in_one_line(self):
        for option, word in [
            (['-enable-kvm'], 'software'), (['-accel', 'kvm'], 'kvm'), (['-usb'], 'USB'), (['-device', 'usb-tablet'], 'usb-tablet'),
            (['-netdev', 'user,id=n'], 'no card'), (['-net', 'tap'], 'user'), (['-nic', 'bridge'], 'user'), (['-soundhw', 'ac97'], 'sound'),
            (['-vga', 'cirrus'], 'cirrus'), (['-cpu', 'core2duo'], 'core2duo'), (['-cpu', 'max,+avx2'], '+avx2'), (['-display', 'gtk'], 'gtk'), (['-loadvm', 'x'], 'saved'), (['-watchdog', 'i6300esb'], 'watchdog'),
            (['-object', 'rng-random,id=r'], '-object'), (['-pflash', 'x'], '-pflash'), (['-hda', 'fat:.'], 'mformat'), (['-hda', 'nbd:localhost:1'], 'nbd'),
            (['-k', 'de'], 'US keyboard'), (['-M', 'q35'], 'q35'), (['-smp', '2'], 'one processor'), (['-drive', 'file=a.img,if=virtio'], 'virtio'),
            (['-incoming', 'defer'], 'saved'), (['-global', 'e1000.x=1'], 'e1000'), (['-uuid', 'x'], 'hexadecimal'), (['-smbios', 'type=9,slot=1'], 'slot'),
            (['-machine', 'pc,nvdimm=on'], 'nvdimm'), (['-icount', 'auto'], 'shift'), (['-monitor', 'file:x', '-hda', 'a.img'], 'monitor'),
            (['-serial', 'vc'], 'vc'), (['-spice', 'port=1'], '-spice'), (['-fsdev', 'local'], '-fsdev'), (['-readconfig', 'none.cfg'], 'No such file'),
            (['-daemonize', '-nographic', '-hda', 'a.img'], 'daemonize'), (['-sandbox', 'maybe'], 'maybe'), (['-m', '64,slots=2'], 'later'),
            (['-device', 'e1000,netdev=n'], 'no -netdev'), (['-device', 'rtl8139'], 'network card'), (['-device', 'sb16'], 'sound card'), (['-device', 'virtio-blk-pci,drive=d'], 'IDE disks'),
            (['-device', 'nothing'], '-device help'), (['-machine', 'pcspk-audiodev=a'], 'speaker'),
        ]:
            r = self.run_it(*option, *([] if '-hda' in option else ['-hda', 'a.img']))
            self.assertEqual(r.returncode, 1, option)
            self.assertEqual((r.stderr.count(b'\n'), r.stdout), (1, b''), option)
            self.assertIn(word, r.stderr.decode(), option)

    def test_helps_list_what_there_is(self):
        for option, word in [('-machine', 'pc'), ('-M', 'pc'), ('-cpu', 'qemu32'), ('-device', 'ide-hd'), ('-accel', 'tcg'), ('-vga', 'std'),
                             ('-display', 'vnc'), ('-chardev', 'socket'), ('-d', 'cpu_reset')]:
            r = self.run_it(option, 'help')
            self.assertEqual((r.returncode, r.stderr), (0, b''), option)
            self.assertIn(word, r.stdout.decode())

    def test_bootindex_says_which_drive_is_booted(self):
        drives = ['-display', 'none', '-drive', 'file=a.img,if=none,id=a,format=raw', '-drive', 'file=b.img,if=none,id=b,format=raw']
        self.status(1, *drives, '-device', 'ide-hd,drive=a,bootindex=1', '-device', 'ide-hd,drive=b,bootindex=2')
        self.status(2, *drives, '-device', 'ide-hd,drive=a,bootindex=3', '-device', 'ide-hd,drive=b,bootindex=2')
        self.status(2, *drives, '-device', 'ide-hd,drive=a', '-device', 'floppy,drive=b,bootindex=0')
        self.status(1, *drives, '-device', 'ide-hd,drive=a,bus=ide.1,unit=1,bootindex=5', '-device', 'ide-hd,drive=b')

    def test_a_floppy_without_a_signature_is_started_only_if_the_user_says_so(self):
        self.file('c.img', sector(3, b'\0\0'))
        self.status(1, '-display', 'none', '-fda', 'c.img', '-hda', 'a.img', '-boot', 'ac')
        self.status(3, '-display', 'none', '-fda', 'c.img', '-hda', 'a.img', '-boot', 'ac', '-no-fd-bootchk')

    def test_options_come_from_a_file(self):
        self.file('m.cfg', b'# made by a tool\n[machine]\n  type = "pc"\n  accel = "tcg"\n\n[memory]\n  size = "32"\n\n[drive "d0"]\n  file = "b.img"\n'
                  b'  format = "raw"\n  if = "none"\n[device "disk"]\n  driver = "ide-hd"\n  drive = "d0"\n  bus = "ide.1"\n[device]\n  iobase = "0xf4"\n'
                  b'  driver = "isa-debug-exit"\n  iosize = "4"\n[chardev "c"]\n  backend = "file"\n  path = "out"\n[global]\n  driver = "isa-debugcon"\n'
                  b'  property = "iobase"\n  value = "0x402"\n')
        r = self.run_it('-readconfig', 'm.cfg', '-display', 'none', '-debugcon', 'chardev:c')
        self.assertEqual((r.returncode, r.stderr), (5, b''))
        self.assertIn(b'Booting from Hard Disk', self.read('out'))
        self.file('bad.cfg', b'[drive "d0"]\n  file = b.img\n')
        r = self.run_it('-readconfig', 'bad.cfg')
        self.assertEqual(r.returncode, 1)
        self.assertIn(b"'bad.cfg', line 2", r.stderr)

    def test_daemonize_returns_when_the_machine_runs_and_says_what_keeps_it_from_running(self):
        self.file('hang.img', b'\xeb\xfe'.ljust(510, b'\0') + b'\x55\xaa' + bytes(1 << 20))
        r = self.run_it('-daemonize', '-hda', 'hang.img', '-display', 'none', '-qmp', 'unix:q.sock,server,nowait', '-pidfile', 'pid')
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, b'', b''))     # its ends are closed too, or this would hang
        with open(self.path('pid')) as f:
            pid = int(f.read())
        q = Qmp(self.path('q.sock'))                # at once: it listens before the caller goes on
        self.assertEqual(q.cmd('query-status')['status'], 'running')
        self.assertEqual(os.getsid(pid), pid)
        self.assertEqual({os.readlink(f'/proc/{pid}/fd/{i}') for i in range(3)} if os.access(f'/proc/{pid}/fd', os.R_OK) else {'/dev/null'},
                         {'/dev/null'})
        q.cmd('quit')
        self.wait_for(lambda: not os.path.exists(self.path('pid')))
        r = self.run_it('-daemonize', '-hda', 'missing.img', '-display', 'none')
        self.assertEqual(r.returncode, 1)
        self.assertIn(b'No such file', r.stderr)

    def test_uuid_reaches_the_firmware_and_the_guests_memory(self):
        self.file('hang.img', b'\xeb\xfe'.ljust(510, b'\0') + b'\x55\xaa' + bytes(1 << 20))
        p = self.start('-hda', 'hang.img', '-display', 'none', '-uuid', UUID, '-smbios', 'type=1,serial=No 7,product=A box', '-serial', 'null',
                       '-debugcon', 'file:log', '-global', 'isa-debugcon.iobase=0x402', '-qmp', 'unix:q.sock,server=on,wait=off')
        self.wait_for(lambda: b'Booting from Hard Disk' in self.read('log'))
        self.assertIn(b'Machine UUID ' + UUID.encode(), self.read('log'))
        q = Qmp(self.path('q.sock'))
        q.monitor('pmemsave 0xf0000 0x10000 mem')
        mem = self.read('mem')
        at = mem.index(b'_SM_')
        self.assertEqual((at % 16, sum(mem[at:at + mem[at + 5]]) & 255, mem[at + 16:at + 21]), (0, 0, b'_DMI_'))
        tables = mem[int.from_bytes(mem[at + 24:at + 28], 'little') & 0xFFFF:]
        self.assertIn(b'No 7\0', tables)
        self.assertIn(b'A box\0', tables)
        self.assertIn(bytes.fromhex('ae4f1df8ec7dd011a76500a0c91e6bf6'), tables)     # the first three fields low byte first
        q.cmd('quit')
        self.assertEqual(p.wait(LIMIT_S), 0)

    # --- ends of serial ports and monitors

    def connect(self, port):
        s = connect(('127.0.0.1', port))
        self.addCleanup(s.close)
        return s

    def hello(self, *args, **kw):
        return self.start('run', '--flat', '0x100000', os.path.join(GUESTS, 'hello.bin'), '-nodefaults', *args, **kw)

    def test_a_serial_port_speaks_telnet(self):
        port = free_port()
        p = self.hello('-serial', f'telnet:127.0.0.1:{port},server')
        said = receive(self.connect(port))
        self.assertEqual(p.wait(LIMIT_S), 0)
        self.assertEqual(said[:12], bytes([255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0]))
        self.assertIn(b'ello', said)

    def test_the_monitor_is_at_a_telnet_tcp_or_unix_socket(self):
        one, two = free_port(), free_port()
        self.start('-hda', 'a.img', '-S', '-display', 'none', '-monitor', f'telnet:127.0.0.1:{one},server,nowait', '-monitor', f'tcp::{two},server,nowait',
                   '-monitor', 'unix:m.sock,server,nowait')
        s = self.connect(one)
        s.sendall(bytes([255, 251, 31, 255, 253, 3]) + b'info status\r\n')
        self.assertIn(b'VM status', receive(s, b'status:'))
        s = self.connect(two)
        s.sendall(b'info status\n')
        receive(s, b'VM status')
        with connect(self.path('m.sock')) as u:
            u.sendall(b'info status\n')
            receive(u, b'VM status')

    def test_mon_stdio_has_the_monitor_behind_an_escape_key(self):
        self.file('hang.img', b'\xeb\xfe'.ljust(510, b'\0') + b'\x55\xaa' + bytes(1 << 20))
        for args in [['-serial', 'mon:stdio'],
                     ['-chardev', 'stdio,id=c0,mux=on,signal=off', '-serial', 'chardev:c0', '-mon', 'chardev=c0,mode=readline']]:
            p = self.start('-hda', 'hang.img', '-display', 'none', *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            out, err = p.communicate(b'\x01cinfo statuz\x7fs\ninfo name\rquit\n', LIMIT_S)
            self.assertEqual((p.returncode, err), (0, b''))
            self.assertIn(b'VM status: running', out)

    def test_a_serial_port_is_at_named_pipes(self):
        os.mkfifo(self.path('p.in'))
        os.mkfifo(self.path('p.out'))
        fd = os.open(self.path('p.out'), os.O_RDWR)
        p = self.hello('-serial', 'pipe:p')
        self.assertEqual(p.wait(LIMIT_S), 0)
        self.assertIn(b'ello', os.read(fd, 4096))
        os.close(fd)

    def test_a_rom_runs_without_a_drive(self):
        # mov al, 21h; out 0f4h, al; at the reset vector: jmp f000:0000
        rom = self.file('rom', (bytes.fromhex('b021e6f4f4').ljust(0xFFF0, b'\0') + bytes.fromhex('ea000000f0')).ljust(0x10000, b'\0'))
        for engine in ['scan', 'emulate']:
            self.assertEqual(self.run_it('-bios', rom, '-display', 'none', '--engine', engine, *EXIT).returncode, 0x43)

    def test_a_serial_port_that_is_not_wanted_is_not_there(self):
        # mov dx, 3fdh; in al, dx; out 0f4h, al: FFh where there is no port
        probe = self.file('probe', bytes.fromhex('bafd03ecbaf400ee') + b'\xf4' * 8)
        for args, want in [(['-serial', 'none'], 0xFF), (['-serial', 'null'], 0x60)]:
            r = self.run_it('run', '--flat', '0x1000', '--mode', 'real', probe, *args, *EXIT)
            self.assertEqual(r.returncode, (want * 2 + 1) & 255)


if __name__ == '__main__':
    need_all(BIOS)
    unittest.main(warnings='ignore')
