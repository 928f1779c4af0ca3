"""What the tests written in Python share: TAP, a machine's sockets and terminal, guests, small archives.

A test adds the folder above its own to sys.path and imports this. Every wait is for a condition, with a limit that
only a machine that hangs reaches.
"""
import fcntl
import fnmatch
import glob
import json
import os
import pty
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

LIMIT_S = 300
SKIPPED = 77        # meson's status of a test that could not run
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
GUESTS = os.environ.get("PLEX86_GUESTS", os.path.join(ROOT, ".cache", "guests"))
KERNEL, INITRD = os.path.join(GUESTS, "linux-686/vmlinuz"), os.path.join(GUESTS, "initramfs.cpio.gz")
BIOS = "/usr/share/seabios/bios-256k.bin"


class Failed(AssertionError):
    pass


class Skip(Exception):
    pass


def need(*names):
    """Programs and files that a test cannot do without."""
    for n in names:
        if not (os.path.exists(n) if "/" in n else shutil.which(n)):
            raise Skip(n + " is not here" + (": tools/guests fetches it" if n.startswith(GUESTS) else ""))


def skip(why):
    """Ends a program that is one test."""
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def need_all(*names):
    """need(), for a program that is one test."""
    try:
        need(*names)
    except Skip as why:
        skip(why)


def check(got, want):
    if got != want:
        raise Failed("got %r, want %r" % (got, want))


def check_in(needle, hay):
    if needle not in hay:
        raise Failed("%r is not in %r" % (needle, hay[-1500:]))


def sh(*args, ok=(0,), **kw):
    """A program of the host's that must end well: what it said."""
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    if r.returncode not in ok:
        raise Failed("%s: status %d: %s" % (" ".join(args), r.returncode, r.stdout.decode("latin-1")[-1500:]))
    return r.stdout


# --- functions that are tests, in TAP

_tests = []
_folder = None


def test(fn):
    _tests.append(fn)
    return fn


def path(*names):
    """In the folder of the test that runs; without names the folder itself."""
    return os.path.join(_folder, *names)


def run_tests(pattern="*"):
    """TAP on standard output; ends the program."""
    global _folder
    chosen = [t for t in _tests if fnmatch.fnmatch(t.__name__, pattern)]
    failed = 0
    print("1..%d" % len(chosen))
    for i, t in enumerate(chosen):
        name, word, text = t.__name__.replace("_", " "), "ok", ""
        with tempfile.TemporaryDirectory(prefix="plex86-test-") as _folder:
            try:
                t()
            except Skip as why:
                text = " # SKIP " + str(why)
            except Exception as e:      # whatever it is, the tests behind it run
                failed += 1
                word = "not ok"
                print("# %s: %s" % (type(e).__name__, str(e)[:4000].replace("\n", "\n# ")))
        print("%s %d - %s%s" % (word, i + 1, name, text))
        sys.stdout.flush()
    sys.exit(failed != 0)


class MachineCase(unittest.TestCase):
    """Tests with a folder each, which is where named machines are looked for; processes in .procs end with the test."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.dir.name)
        self.procs = []

    def tearDown(self):
        for p in self.procs:
            if p.poll() is None:
                p.kill()
            p.wait()
            if p.stderr:
                p.stderr.close()
        self.dir.cleanup()

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def tool(self, plex86, *args):
        return subprocess.run([plex86, *args], env=self.env, cwd=self.dir.name, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT_S, check=False)


# --- sockets

_kept = []


def free_port(*beside):
    """A TCP port where nobody listens, nor so far beside it. It stays free until the test's machine takes it: a name in the host's
    abstract name space keeps other tests away as long as this one lives, and the kernel gives out only higher ports by itself."""
    while True:
        port = random.randrange(10000, 32000)
        try:
            for p in port, *(port + b for b in beside):
                _kept.append(socket.socket(socket.AF_UNIX))
                _kept[-1].bind("\0plex86-test-port-%d" % p)
                with socket.socket() as probe:
                    probe.bind(("", p))
            return port
        except OSError:
            continue


def wait_listening(path, proc):
    """Until the process listens at the socket, for a client that makes one attempt. A connection of ours would be one too many."""
    end = time.monotonic() + LIMIT_S
    while True:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as f:
            for line in f:
                entry = line.split(maxsplit=7)
                if len(entry) == 8 and entry[7].rstrip("\n") == path and entry[3] == "00010000":    # it accepts
                    return
        if proc.poll() is not None:
            raise Failed("the machine ended with status %d before it listened" % proc.returncode)
        if time.monotonic() > end:
            raise Failed("nobody listens at %s" % path)
        time.sleep(0.02)


def connect(address, proc=None, limit=LIMIT_S):
    """A connection to the file or (host, port), as soon as somebody listens there. proc: who shall."""
    end = time.monotonic() + limit
    while True:
        s = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
        s.settimeout(limit)
        try:
            s.connect(address)
            return s
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError) as e:   # not yet, or its queue is full
            s.close()
            if proc is not None and proc.poll() is not None:
                raise Failed("the machine ended with status %d before it listened" % proc.returncode) from e
            if time.monotonic() > end:
                raise Failed("nobody listens at %s" % (address,)) from e
            time.sleep(0.02)


def receive(s, until=None):
    """What comes from the socket, up to the text, or all until its other end is closed."""
    said = b""
    while until is None or until not in said:
        data = s.recv(65536)
        if not data:
            if until is None:
                break
            raise Failed("the connection ended before %r: %r" % (until, said[-1500:]))
        said += data
    return said


class Qmp:
    """A control socket. What comes while an answer is waited for is kept in .events."""

    def __init__(self, address, proc=None, limit=LIMIT_S, about=lambda: ""):
        self.sock, self.events, self.about = connect(address, proc, limit), [], about
        self.file = self.sock.makefile("r")     # only for reading: a file for both drops what it read ahead
        self.greeting = self._read()
        check(self.cmd("qmp_capabilities"), {})

    def _read(self):
        try:
            line = self.file.readline()
        except ConnectionError:
            line = ""
        if not line:
            raise Failed("the machine ended: " + self.about())
        return json.loads(line)

    def raw(self, text):
        """The answer to a line of text."""
        try:
            self.sock.sendall(text.encode())
        except OSError:
            pass                                # it has ended: the answer says so
        while "event" in (msg := self._read()):
            self.events.append(msg)
        return msg

    def answer(self, name, **args):
        return self.raw(json.dumps({"execute": name, "arguments": args}))

    def cmd(self, name, **args):
        """What the command returns, which must not be an error."""
        msg = self.answer(name, **args)
        if "error" in msg:
            raise Failed("%s: %s" % (name, msg["error"]["desc"]))
        return msg["return"]

    def monitor(self, line):
        return self.cmd("human-monitor-command", **{"command-line": line})

    def wait_event(self, name):
        """The first event of that name that was not waited for yet: its data."""
        while True:
            for msg in self.events:
                if msg["event"] == name:
                    self.events.remove(msg)
                    return msg.get("data", {})
            self.events.append(self._read())


# --- a terminal

def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def on_terminal(command, rows=24, columns=80, **environment):
    """Starts the command on a terminal of its own, which controls it: (process id, our end, its end)."""
    master, slave = pty.openpty()
    set_size(slave, rows, columns)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.execvpe(command[0], command, {**os.environ, **environment})
    return pid, master, slave


# --- archives

def cpio(files):
    """An initramfs archive (newc) of name -> (mode, bytes), to be put behind another one."""
    out = b""
    for ino, (name, (mode, data)) in enumerate(list(files.items()) + [("TRAILER!!!", (0, b""))]):
        head = [ino + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        entry = b"070701" + b"".join(b"%08X" % h for h in head) + name.encode() + b"\0"
        entry += b"\0" * (-len(entry) % 4) + data
        out += entry + b"\0" * (-len(entry) % 4)
    return out


def modules(names):
    """Modules of Debian's 686 kernel, as far as they are not built in: files for initramfs()."""
    files = {}
    for m in names:
        for found in glob.glob(os.path.join(GUESTS, "linux-686/lib/modules/*/kernel/**/%s.ko" % m), recursive=True):
            with open(found, "rb") as f:
                files["mods/%s.ko" % m] = f.read()
    return files


def initramfs(target, files, base=INITRD):
    """Our initramfs with these files (name -> bytes, all executable) and their folders besides."""
    more = {}
    for name, data in files.items():
        folder = os.path.dirname(name)
        if folder:
            more[folder] = (0o040755, b"")
        more[name] = (0o100755, data)
    with open(base, "rb") as f:
        data = f.read()
    with open(target, "wb") as f:
        f.write(data + b"\0" * (-len(data) % 4) + cpio(more))
    return target
