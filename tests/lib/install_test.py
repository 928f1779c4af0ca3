#!/usr/bin/env python3
"""What `make install` gives to programs that embed the library: the examples are compiled against it, by pkg-config, as
C, as C++ and statically; and Python uses it through ctypes."""
import ctypes
import os
import re
import subprocess
import sys
import tempfile

build, source, guests = sys.argv[1:4]
failures = 0


def check(ok, what, detail=''):
    global failures
    failures += not ok
    print(('ok   ' if ok else 'FAIL ') + what + ('' if ok else ': ' + str(detail)), flush=True)


def run(*args, **kw):
    p = subprocess.run(args, capture_output=True, text=True, timeout=120, **kw)
    if p.returncode < 0:
        check(False, ' '.join(args), 'signal %d' % -p.returncode)
    return p


top = tempfile.TemporaryDirectory(prefix='plex86-install-')
root = top.name
env = dict(os.environ, DESTDIR=root)
p = run('meson', 'install', '-C', build, '--no-rebuild', '--quiet', env=env)
check(p.returncode == 0, 'the library installs', p.stdout + p.stderr)
pc = [os.path.join(d, f) for d, _, files in os.walk(root) for f in files if f == 'plex86.pc']
check(len(pc) == 1, 'there is one plex86.pc', pc)
prefix = re.search(r'^prefix=(.*)$', open(pc[0]).read(), re.M).group(1)
libs = os.path.dirname(os.path.dirname(pc[0]))
env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc[0]), LD_LIBRARY_PATH=libs)


if '__asan_' in run('nm', '-D', os.path.join(libs, 'libplex86.so')).stdout:
    print('a library with sanitizers cannot be linked with by others: skipped')
    sys.exit(77)


def flags(*which):
    p = run('pkg-config', '--define-variable=prefix=' + root + prefix, *which, 'plex86', env=env)
    check(p.returncode == 0, 'pkg-config ' + ' '.join(which), p.stderr)
    return p.stdout.split()


warnings = ['-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-O1', '-pedantic']


def compile_and_run(what, cc, file, link, *args):
    out = os.path.join(root, 'program')
    p = run(cc, *warnings, os.path.join(source, 'examples', file), '-o', out, *flags('--cflags'), *link)
    check(p.returncode == 0, what + ' compiles', p.stderr)
    return run(out, *args, env=env).stdout if p.returncode == 0 else ''


hello = os.path.join(guests, 'hello.bin')
text = compile_and_run('flat.c', 'gcc', 'flat.c', flags('--libs'), hello)
check(text == 'hello from ring 0\n', 'flat.c runs a program', text)
text = compile_and_run('trace.c', 'gcc', 'trace.c', flags('--libs'), hello, '5')
check(len(re.findall(r'^0010\w{4}  ', text, re.M)) == 5, 'trace.c shows five instructions', text)
text = compile_and_run('fuzz.c', 'gcc', 'fuzz.c', flags('--libs'), '2000')
found = re.search(r'(\d+) of 2000 inputs', text)
check(found and 0 < int(found.group(1)) < 2000, 'fuzz.c finds the overflow, and only that', text)
text = compile_and_run('flat.cc', 'g++', 'flat.cc', flags('--libs'), hello)
check(text == 'hello from ring 0\n', 'flat.cc, which is C++, runs a program', text)
static = [os.path.join(libs, 'libplex86.a')] + [f for f in flags('--libs', '--static') if f != '-lplex86']
text = compile_and_run('flat.c with the static library', 'gcc', 'flat.c', static, hello)
check(text == 'hello from ring 0\n', 'the static library runs a program', text)

ended = 'every run ended as it was told\n'
for sanitizer in ([], ['-fsanitize=thread']):
    out, what = os.path.join(root, 'program'), ' '.join(['a program'] + sanitizer)
    p = run('gcc', *warnings, *sanitizer, os.path.join(source, 'tests/lib/kicked.c'), '-o', out, *flags('--cflags', '--libs'), '-pthread')
    check(p.returncode == 0, what + ' compiles', p.stderr)
    for engine in ([], ['emulate']):
        p = run(out, *engine, env=env)
        if sanitizer and 'unexpected memory mapping' in p.stderr:
            print('skip ' + what + ': the host places memory where this ThreadSanitizer cannot have it')
            continue
        check((p.returncode, p.stdout) == (0, ended), ' '.join([what, *engine]) + ' ends its machines by time and by kicks', p.stdout + p.stderr)

for what, args in (('libplex86.so', ['-D']), ('libplex86.a', ['-g'])):
    p = run('nm', '--defined-only', *args, os.path.join(libs, what))
    names = re.findall(r'^[0-9a-f]+ [A-Z] (\S+)$', p.stdout, re.M)
    check(len(names) > 30, what + ' defines the interface', p.stderr)
    others = [n for n in names if not n.startswith('plex86_')]
    check(not others, what + ' defines nothing else', others[:10])

declared = set(re.findall(r'\b(plex86_\w+)(?<!_fn)(?<!_sized_)\(', re.sub(r'/\*.*?\*/', '', open(os.path.join(source, 'include/plex86.h')).read(), flags=re.S)))
exported = set(re.findall(r' T (plex86_\w+)$', run('nm', '-D', os.path.join(libs, 'libplex86.so')).stdout, re.M))
check(declared == exported, 'what the header declares is what there is', declared ^ exported)
page = open(os.path.join(source, 'man/plex86.3')).read() + open(os.path.join(source, 'docs/embedding.md')).read()
missing = [n for n in exported if n not in page]
check(not missing, 'the documents name every function', missing)

# --- Python ---


class Stop(ctypes.Structure):
    _fields_ = [('size', ctypes.c_uint32), ('reason', ctypes.c_uint32), ('eip', ctypes.c_uint32), ('linear', ctypes.c_uint32),
                ('vector', ctypes.c_uint32), ('error_code', ctypes.c_uint32), ('address', ctypes.c_uint64),
                ('instructions', ctypes.c_uint64), ('text', ctypes.c_char * 128)]


lib = ctypes.CDLL(os.path.join(libs, 'libplex86.so'))
PORT_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
written = []
callback = PORT_WRITE(lambda arg, machine, port, size, value: written.append((port, size, value)) or 0)
machine, stop, eax = ctypes.c_void_p(), Stop(ctypes.sizeof(Stop)), ctypes.c_uint32()
check(lib.plex86_create(ctypes.byref(machine), None, None, ctypes.c_size_t(0)) == 0, 'Python makes a machine')
lib.plex86_map(machine, ctypes.c_uint64(0), ctypes.c_uint64(0x100000), 0, None)
code = bytes([0xB8, 6, 0, 0, 0, 0x6B, 0xC0, 7, 0xE7, 0x10, 0xF4])		# mov $6, %eax; imul $7, %eax; out %eax, $16; hlt
lib.plex86_write(machine, ctypes.c_uint64(0x1000), code, ctypes.c_size_t(len(code)))
lib.plex86_set(machine, 8, 0x1000)
lib.plex86_on_port(machine, 16, 16, None, callback, None)
check(lib.plex86_run(machine, ctypes.c_uint64(0), ctypes.c_uint64(0), ctypes.byref(stop)) == 3, 'Python runs it to its halt', stop.text)
lib.plex86_get(machine, 0, ctypes.byref(eax))
check(eax.value == 42 and written == [(16, 4, 42)], 'Python sees the register and the port', (eax.value, written))
lib.plex86_destroy(machine)
sys.exit(failures != 0)
