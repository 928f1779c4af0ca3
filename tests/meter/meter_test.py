#!/usr/bin/env python3
"""Meters of running machines: what they say, to whom, and whether it adds up.

usage: meter_test.py PLEX86 GUESTS METERING.MD      GUESTS: the folder of our flat guest programs
"""
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import MachineCase, connect, free_port, on_terminal, receive  # noqa: E402

PLEX86, GUESTS, DOCUMENT = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
DEADLINE = 240


NAME, LABEL = '[a-zA-Z_:][a-zA-Z0-9_:]*', r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\n]|\\\\[\\\\"n])*"'


def parse(text):
    """[(name, type, help, [(sample's name, {label: value}, value)])]: the grammar of "Exposition formats", strictly."""
    families = []
    assert text.endswith('\n')
    for line in text[:-1].split('\n'):
        if (m := re.fullmatch(f'# HELP ({NAME}) (.+)', line)):
            assert m[1] not in [f[0] for f in families], line
            families.append((m[1], None, m[2], []))
        elif (m := re.fullmatch(f'# TYPE ({NAME}) (counter|gauge)', line)):
            name, kind, text, samples = families.pop()
            assert (name, kind, samples) == (m[1], None, []), line
            families.append((name, m[2], text, []))
        else:
            m = re.fullmatch(r'(%s)\{(%s(?:,%s)*)\} (\d+(?:\.\d+)?)' % (NAME, LABEL, LABEL), line)
            assert m and m[1] == families[-1][0] and families[-1][1], line
            labels = dict(part.split('=', 1) for part in re.findall(LABEL, m[2]))
            families[-1][3].append((m[1], {k: v[1:-1] for k, v in labels.items()}, float(m[3])))
    return families


class Machine(MachineCase):
    def guest(self, name, *options):
        return [PLEX86, 'run', '--flat', '0x100000', os.path.join(GUESTS, name + '.bin'), '-nographic', '-m', '16', *options]

    def start(self, command):
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env)
        self.procs.append(p)
        return p

    def plex86(self, *args):
        return self.tool(PLEX86, *args)

    def until(self, what, of=None):
        end = time.monotonic() + DEADLINE
        while True:
            value = what()
            if value:
                return value
            self.assertLess(time.monotonic(), end, 'nothing came')
            if of:
                self.assertIsNone(of.poll(), 'the machine ended')
            time.sleep(0.02)

    def stat(self, name):
        done = self.plex86('stat', '--json', name)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def up(self, guest, *options, name='box'):
        p = self.start(self.guest(guest, '-name', name, *options))
        self.until(lambda: self.stat(name), p)
        return p

    def records(self, name):
        try:
            with open(self.path(name), encoding='utf-8') as f:
                return [json.loads(line) for line in f.read().splitlines()]
        except FileNotFoundError:
            return []

    def final(self, guest, *options):
        log = self.path('final')
        if os.path.exists(log):
            os.unlink(log)
        done = subprocess.run(self.guest(guest, '--meter-log', log, *options), stdin=subprocess.DEVNULL, capture_output=True,
                              env=self.env, timeout=DEADLINE, check=False)
        record = self.records('final')[-1]
        self.assertEqual(record['record'], 'final', done.stderr)
        return record, done


class Values(Machine):
    def test_instruction_counts_of_a_known_program_are_exact(self):
        with open(os.path.join(GUESTS, 'count.bin'), 'rb') as f:
            program = f.read()
        at = program.index(b'COUNT = ') + 8
        known = int.from_bytes(program[at:at + 8], 'little')
        self.assertGreater(known, 700000)
        for options in (['--engine', 'emulate'], ['--clock', 'instructions'], ['--meter-instructions'],
                        ['--meter-instructions', '--verify-code']):
            record, done = self.final('count', *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(record['vcpus'][0]['instructions'], known, options)

    def test_instructions_are_counted_exactly_while_signals_interrupt_them(self):
        p = self.start(self.guest('count', '--meter-instructions', '--meter-log', self.path('kicked'), '-S', '-name', 'box'))
        self.until(lambda: self.stat('box'), p)
        self.assertEqual(self.plex86('monitor', 'box', 'cont').returncode, 0)
        while p.poll() is None:                 # each question is a kick
            self.stat('box')
        with open(os.path.join(GUESTS, 'count.bin'), 'rb') as f:
            known = f.read().split(b'COUNT = ')[1][:8]
        self.assertEqual(self.records('kicked')[-1]['vcpus'][0]['instructions'], int.from_bytes(known, 'little'))

    def test_scanned_instructions_are_not_said_to_be_counted_where_they_are_not(self):
        record, _ = self.final('count')
        self.assertNotIn('instructions', record['vcpus'][0])
        self.assertGreater(record['vcpus'][0]['blocks_scanned'], 20)

    def test_times_add_up_to_the_wall_clock(self):
        for guest, options in (('spin', ()), ('idle', ()), ('spin', ('--engine', 'emulate')), ('spin', ('-S',))):
            p = self.up(guest, *options)
            before = time.monotonic()
            first = self.stat('box')
            middle = time.monotonic()
            time.sleep(1)                       # an interval to measure, nothing is waited for
            late = time.monotonic()
            second = self.stat('box')
            after = time.monotonic()
            passed = second['vm']['uptime_seconds'] - first['vm']['uptime_seconds']
            self.assertGreaterEqual(passed, (late - middle) * 0.99)
            self.assertLessEqual(passed, (after - before) * 1.01)
            causes = [s['vcpus'][0]['time_seconds'] for s in (first, second)]
            for s, c in zip((first, second), causes):
                self.assertAlmostEqual(sum(c.values()), s['vm']['uptime_seconds'], delta=0.01 * s['vm']['uptime_seconds'])
            for cause in causes[0]:
                self.assertGreaterEqual(causes[1][cause], causes[0][cause], cause)
            grew = max(causes[0], key=lambda c: causes[1][c] - causes[0][c])
            self.assertEqual(grew, 'paused' if '-S' in options else 'emulate' if options else {'spin': 'ring0', 'idle': 'idle'}[guest])
            p.kill()
            p.wait()

    def test_a_halt_counts_once_however_often_the_machine_is_looked_at_while_it_is_asleep(self):
        for options in ((), ('--engine', 'emulate')):
            p = self.up('idle', *options)
            self.until(lambda: self.stat('box')['vcpus'][0]['halts'], p)
            for _ in range(5):                  # each question wakes its thread
                self.assertEqual(self.stat('box')['vcpus'][0]['halts'], 1, options)
            p.kill()
            p.wait()

    def test_rings_exceptions_interrupts_and_window_faults_are_told_apart(self):
        record, done = self.final('stress')
        self.assertEqual(done.returncode, 0, done.stderr)
        vcpu = record['vcpus'][0]
        self.assertGreater(vcpu['exceptions']['14'], 64)
        self.assertGreater(vcpu['interrupts']['32'], 10)
        self.assertGreater(vcpu['software_interrupts']['128'], 0)
        self.assertGreater(vcpu['address_space_switches'], 0)
        self.assertGreaterEqual(vcpu['address_space_loads'], vcpu['address_space_switches'])
        self.assertGreater(vcpu['window_faults']['mapped'], 0)
        for cause in ('ring3', 'ring0', 'emulate', 'scan', 'window'):
            self.assertGreater(vcpu['time_seconds'][cause], 0, cause)
        self.assertGreater(record['vm']['port_accesses']['pic']['write'], 10)
        self.assertGreater(record['vm']['memory_bytes']['touched'], 64 * 4096)

    def test_a_port_access_is_counted_at_its_device(self):
        record, _ = self.final('count')
        ports = record['vm']['port_accesses']
        self.assertEqual(ports['post']['write'], 2000 * 1500)
        self.assertEqual(ports['acpi'], {'write': 1})
        self.assertEqual(ports['pic'], {'write': 2})

    def test_disk_operations_and_bytes_are_counted_by_drive(self):
        image = self.path('disk.img')
        with open(image, 'wb') as f:
            f.write(b'\xEB\xFE' + b'\0' * 508 + b'\x55\xAA' + b'\0' * (1 << 20))    # jumps to itself
        p = self.start([PLEX86, 'run', '-name', 'box', '-m', '16', '-hda', image, '-display', 'none', '-serial', 'null'])
        self.until(lambda: (self.stat('box') or {'vm': {'disk_bytes': {'ide0-hd0': {'read': 0}}}})
                   ['vm']['disk_bytes']['ide0-hd0']['read'] >= 512, p)
        drive = self.stat('box')['vm']
        self.assertGreaterEqual(drive['disk_operations']['ide0-hd0']['read'], 1)
        self.assertEqual(drive['disk_bytes']['ide0-hd0']['read'] % 512, 0)
        self.assertEqual(drive['disk_bytes']['ide0-hd0']['write'], 0)
        self.assertEqual(drive['disk_errors']['ide0-hd0'], 0)
        memory = drive['memory_bytes']
        self.assertEqual(memory['configured'], 16 << 20)
        self.assertGreater(memory['touched'], 1 << 16)
        self.assertLessEqual(memory['resident'], memory['touched'])


class Commands(Machine):
    def test_stat_prints_text(self):
        self.up('spin')
        done = self.plex86('stat', 'box')
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'(?m)^box, process \d+$')
        self.assertRegex(done.stdout, r'(?m)^time ring0 +\d+\.\d{3} s +\d+\.\d\d %$')

    def test_stat_of_no_machine_says_so(self):
        done = self.plex86('stat', 'nobody')
        self.assertEqual(done.returncode, 1)
        self.assertIn("no running machine is called 'nobody'", done.stderr)
        self.assertEqual(self.plex86('stat', '--jason', 'nobody').returncode, 1)

    def test_the_document_lists_the_meters_that_there_are(self):
        with open(DOCUMENT, encoding='utf-8') as f:
            self.assertIn(self.plex86('stat', '--list').stdout, f.read())


    def test_top_shows_what_each_machine_does_and_sorts(self):
        self.up('spin', name='busy')
        self.up('idle', name='lazy')

        def top(*options):
            done = self.plex86('top', '--batch', *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.splitlines()

        def sorted_by_ring0():                  # a busy host may take most of an interval away, and be late to answer
            lines = top('--count', '2', '--delay', '0.5', '--sort', 'ring0')
            self.assertEqual(lines[3], lines[0])
            if any('does not answer' in line for line in lines):
                return False
            second = [dict(zip(lines[0].split(), line.split())) for line in lines[4:]]
            return [row['NAME'] for row in second] == ['busy', 'lazy'] and float(second[0]['%R0']) > 90 and float(second[1]['%IDLE']) > 50
        self.until(sorted_by_ring0)
        self.until(lambda: [line.split()[0] for line in top('--count', '1', '--sort', 'idle')[1:]] == ['lazy', 'busy'])

    def test_top_on_a_terminal_obeys_keys(self):
        self.up('spin', name='busy')
        self.up('idle', name='lazy')
        pid, fd, slave = on_terminal([PLEX86, 'top', '--delay', '0.3'], 24, 140, XDG_RUNTIME_DIR=self.dir.name, TERM='xterm')
        os.close(slave)
        said = b''

        def shown(what):
            nonlocal said
            end = time.monotonic() + DEADLINE
            while what not in said:
                self.assertLess(time.monotonic(), end, f'{what} did not come')
                if select.select([fd], [], [], 1)[0]:
                    said += os.read(fd, 65536)
            said = said[said.index(what):]
        shown(b'busy')                          # from here on curses writes what changed
        os.write(fd, b'n')
        shown(b'name.')
        os.write(fd, b'R')
        shown(b'reversed')
        os.write(fd, b'q')
        end = time.monotonic() + DEADLINE
        while (ended := os.waitpid(pid, os.WNOHANG))[0] == 0:
            self.assertLess(time.monotonic(), end)
            if select.select([fd], [], [], 0.1)[0]:
                try:
                    os.read(fd, 65536)
                except OSError:                 # its end is closed
                    pass
        os.close(fd)
        self.assertEqual(ended[1], 0)

    def test_a_machine_that_hangs_does_not_stop_top(self):
        p = self.up('spin', name='stuck')
        self.up('idle', name='lazy')
        p.send_signal(signal.SIGSTOP)

        def shows_the_other():                  # which on a busy host may be late for once, too
            shown = self.plex86('top', '--batch', '--count', '1').stdout
            self.assertRegex(shown, r'(?m)^stuck +does not answer$')
            return re.search(r'(?m)^lazy +[\d.]+ ', shown)
        try:
            self.until(shows_the_other)
        finally:
            p.send_signal(signal.SIGCONT)


class Profile(Machine):
    ELF = os.path.join(GUESTS, 'hot.elf')

    def samples(self, folded):
        with open(folded, encoding='utf-8') as f:
            return {stack: int(n) for stack, n in (line.rsplit(' ', 1) for line in f.read().splitlines())}

    def test_a_profile_names_the_function_that_takes_the_time_and_who_called_it(self):
        for options in ((), ('--engine', 'emulate')):
            p = self.up('hot', *options)
            folded, svg = self.path('folded'), self.path('flame.svg')
            done = self.plex86('profile', 'box', '--seconds', '2', '--symbols', self.ELF, '--folded', folded, '--svg', svg)
            self.assertEqual(done.returncode, 0, done.stderr)
            counted = int(re.match(r'box: (\d+) samples in 2 s', done.stdout)[1])
            self.assertGreater(counted, 10)
            stacks = self.samples(folded)
            self.assertEqual(sum(stacks.values()), counted)
            hot = 'ring0;_start;work;hot_loop' + (';[emulate]' if options else '')
            self.assertEqual(max(stacks, key=stacks.get), hot)
            self.assertGreater(stacks[hot], counted / 2)
            self.assertLessEqual({s.split(';')[0] for s in stacks}, {'ring0'})
            first = re.search(r'(?m)^ +([\d.]+) % +(\d+) +(\w+) +(\w+)$', done.stdout)
            self.assertEqual((first[3], first[4], int(first[2])), ('emulate' if options else 'ring0', 'hot_loop', stacks[hot]))
            root = xml.etree.ElementTree.parse(svg).getroot()
            space = '{http://www.w3.org/2000/svg}'
            titles = [t.text for t in root.iter(space + 'title')]
            self.assertIn(f'all: {counted} samples, 100.00 %', titles)
            self.assertTrue(any(t.startswith('hot_loop: ') for t in titles), titles)
            widths = [float(r.get('width')) for g in root.iter(space + 'g') for r in g.iter(space + 'rect')]
            self.assertEqual(max(widths), 1180)
            p.kill()
            p.wait()

    def test_symbols_of_a_system_map_serve_as_well(self):
        names = subprocess.run(['nm', self.ELF], capture_output=True, text=True, check=True).stdout
        with open(self.path('System.map'), 'w', encoding='utf-8') as f:
            f.write(names)
        self.up('hot')
        done = self.plex86('profile', 'box', '--seconds', '1', '--symbols', self.path('System.map'))
        self.assertIn(' hot_loop\n', done.stdout)

    def test_an_idle_machine_is_seen_idle(self):
        self.up('idle')
        done = self.plex86('profile', 'box', '--seconds', '1')
        self.assertRegex(done.stdout, r'(?m)^ +[\d.]+ %  idle$')

    def test_bad_symbols_and_options_are_refused(self):
        self.up('idle')
        with open(self.path('text'), 'w', encoding='utf-8') as f:
            f.write('nothing\n')
        for options, said in ((('--symbols', self.path('text')), 'no function is named in it'),
                              (('--symbols', self.path('none')), 'No such file'),
                              (('--symbols', PLEX86), 'no 32-bit ELF'),
                              (('--rate', '100000'), '1 to 2000 samples'),
                              (('--seconds', 'x'), 'not a time')):
            done = self.plex86('profile', 'box', *options)
            self.assertEqual(done.returncode, 1, options)
            self.assertIn(said, done.stderr)

    def test_two_profiles_at_once_are_refused_and_one_that_is_left_ends(self):
        self.up('hot')
        first = subprocess.Popen([PLEX86, 'profile', 'box', '--seconds', '600', '--rate', '2000'], stdout=subprocess.DEVNULL,
                                 env=self.env)
        try:
            # asks for what it will not get: it must not be the first itself
            self.until(lambda: 'being taken already' in self.plex86('profile', 'box', '--rate', '100000').stderr, first)
        finally:
            first.kill()
            first.wait()
        self.until(lambda: self.plex86('profile', 'box', '--seconds', '0.01').returncode == 0)


class Metrics(Machine):
    def scrape(self, port, path='/metrics', method='GET'):
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=DEADLINE)
        c.request(method, path)
        answer = c.getresponse()
        body = answer.read().decode()
        c.close()
        return answer, body

    def test_a_scrape_is_sound_and_its_counters_never_fall(self):
        port = free_port()
        self.up('idle', '--metrics', f':{port}')
        last = {}
        for _ in range(3):
            answer, body = self.scrape(port)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.getheader('Content-Type').startswith('text/plain; version=0.0.4'))
            seen = set()
            for name, kind, text, samples in parse(body):
                self.assertRegex(name, '^plex86_[a-z0-9_]+$')
                self.assertTrue(text.endswith('.'))
                self.assertEqual(name.endswith('_total'), kind == 'counter', name)
                self.assertTrue(samples)
                for _, labels, value in samples:
                    self.assertEqual(labels['vm'], 'box')
                    key = (name, tuple(sorted(labels.items())))
                    self.assertNotIn(key, seen)
                    seen.add(key)
                    if kind == 'counter':
                        self.assertGreaterEqual(value, last.get(key, 0))
                        last[key] = value
            self.assertIn(('plex86_time_seconds_total', (('cause', 'ring0'), ('vcpu', '0'), ('vm', 'box'))), seen)
            time.sleep(0.25)                    # older than an answer that is given twice

    def test_only_meters_are_served(self):
        port = free_port()
        self.up('spin', '--metrics', f'127.0.0.1:{port}')
        self.assertEqual(self.scrape(port, '/../etc/passwd')[0].status, 404)
        self.assertEqual(self.scrape(port, '/metrics', 'POST')[0].status, 405)
        answer, body = self.scrape(port, '/', 'HEAD')
        self.assertEqual((answer.status, body), (200, ''))

    def test_the_thread_that_answers_is_confined_further_than_the_process(self):
        port = free_port()
        p = self.up('spin', '--metrics', f':{port}')
        self.assertEqual(self.scrape(port)[0].status, 200)
        for t in os.listdir(f'/proc/{p.pid}/task'):
            with open(f'/proc/{p.pid}/task/{t}/status') as f:
                status = dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)
            if 'Seccomp_filters' not in status or status['Seccomp'] == '0':
                self.skipTest('no seccomp here, or a kernel that does not count filters')
            self.assertEqual(status['Seccomp_filters'], '1' if int(t) == p.pid else '2', status['Name'])

    def test_hostile_scrapers_do_not_keep_others_out(self):
        port = free_port()
        p = self.up('spin', '--metrics', f':{port}')
        idle = []
        for i in range(40):                     # five times the places there are
            s = socket.create_connection(('127.0.0.1', port))
            s.settimeout(DEADLINE)
            s.sendall(b'GET /metrics HTTP/1.1\r\n' if i % 2 else b'G')
            idle.append(s)
        self.assertEqual(self.scrape(port)[0].status, 200)
        big = socket.create_connection(('127.0.0.1', port))
        big.settimeout(DEADLINE)
        try:
            big.sendall(b'GET /metrics HTTP/1.1\r\nX: ' + b'x' * 100000)
            self.assertRegex(big.recv(100), b'^HTTP/1.1 431 |^$')
        except (BrokenPipeError, ConnectionResetError):     # it did not read all of it
            pass
        zero = socket.create_connection(('127.0.0.1', port))
        zero.settimeout(DEADLINE)
        zero.sendall(b'\0\0\r\n\r\n')
        self.assertRegex(zero.recv(100), b'^HTTP/1.1 400 ')
        zero.close()
        big.close()
        for s in idle:                          # and all of them are dropped in the end
            try:
                self.assertEqual(s.recv(1), b'')
            except ConnectionResetError:
                pass
            s.close()
        self.assertIsNone(p.poll())
        self.assertEqual(self.scrape(port)[0].status, 200)

    def test_a_socket_in_a_folder_serves_too_and_goes_with_the_machine(self):
        path = self.path('metrics')
        p = self.up('spin', '--metrics', f'unix:{path}')
        with connect(path) as s:
            s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
            text = receive(s)
        self.assertIn(b'plex86_uptime_seconds{vm="box"} ', text)
        p.send_signal(signal.SIGTERM)
        p.wait(DEADLINE)
        self.assertFalse(os.path.exists(path))

    def test_a_bad_address_is_refused(self):
        for bad in ('9100', ':0', 'unix:', 'here:there'):
            done = subprocess.run(self.guest('spin', '--metrics', bad), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  env=self.env, timeout=DEADLINE, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"--metrics '{bad}'", done.stderr)


class Log(Machine):
    def check(self, records):
        for a, b in zip(records, records[1:]):
            self.assertGreaterEqual(b['vm']['uptime_seconds'], a['vm']['uptime_seconds'])
            self.assertGreaterEqual(b['time'], a['time'] - 1)
            self.assertEqual(b['sequence'], a['sequence'] + 1)
            for cause, value in a['vcpus'][0]['time_seconds'].items():
                self.assertGreaterEqual(b['vcpus'][0]['time_seconds'][cause], value)

    def test_a_killed_monitor_leaves_all_records_but_the_last_interval(self):
        log = self.path('log')
        p = self.start(self.guest('spin', '--meter-log', log, '--meter-interval', '0.1'))
        def lines():
            with open(log, 'rb') as f:
                return f.read().count(b'\n')
        self.until(lambda: os.path.exists(log) and lines() >= 5, p)
        p.send_signal(signal.SIGSTOP)           # a kill in the middle of a write may tear the record, and this is not about that one
        os.waitpid(p.pid, os.WUNTRACED)
        p.kill()
        p.wait()
        with open(log, 'rb') as f:
            self.assertTrue(f.read().endswith(b'}\n'))
        records = self.records('log')
        self.assertEqual([r['record'] for r in records], ['start'] + ['interval'] * (len(records) - 1))
        self.check(records)

    def test_the_last_record_says_why_the_machine_ended(self):
        record, done = self.final('debug_exit', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4')
        self.assertEqual(done.returncode, 43)
        self.assertEqual(record['exit_status'], 43)
        self.assertIn('isa-debug-exit', record['reason'])
        records = self.records('final')
        self.check(records)

    def test_a_log_is_added_to_also_behind_a_torn_line(self):
        log = self.path('final.torn')
        with open(log, 'w', encoding='utf-8') as f:
            f.write('{"record":"interval","na')
        subprocess.run(self.guest('hello', '--meter-log', log), stdin=subprocess.DEVNULL, capture_output=True, env=self.env,
                       timeout=DEADLINE, check=False)
        with open(log, encoding='utf-8') as f:
            lines = f.read().splitlines()
        self.assertEqual(lines[0], '{"record":"interval","na')
        self.assertEqual(json.loads(lines[-1])['record'], 'final')

    def test_a_full_disk_is_said_once_and_does_not_end_the_machine(self):
        p = self.start(self.guest('spin', '-name', 'box', '--meter-log', '/dev/full', '--meter-interval', '0.1'))
        self.until(lambda: (self.stat('box') or {'vm': {'uptime_seconds': 0}})['vm']['uptime_seconds'] > 1, p)
        p.send_signal(signal.SIGTERM)
        said = p.communicate(timeout=DEADLINE)[1].decode()
        self.assertEqual(len(re.findall('the meter log cannot be written', said)), 1, said)

    def test_a_log_that_cannot_be_opened_is_refused(self):
        done = subprocess.run(self.guest('spin', '--meter-log', self.path('no/where')), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=self.env, timeout=DEADLINE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('--meter-log', done.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
