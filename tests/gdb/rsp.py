"""gdb's remote serial protocol, spoken by a test; and a plex86 to speak it to."""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import LIMIT_S, connect, wait_listening  # noqa: E402


class Rsp:
    """One connection. say() gives a packet and returns the answer."""

    def __init__(self, address):
        self.sock = connect(address)
        self.rest = b''
        self.acks = True

    def byte(self):
        if not self.rest:
            self.rest = self.sock.recv(65536)
            if not self.rest:
                raise EOFError('the connection ended')
        c, self.rest = self.rest[:1], self.rest[1:]
        return c

    def packet(self):
        while self.byte() != b'$':
            pass
        text = b''
        while (c := self.byte()) != b'#':
            text += c
        total = int(self.byte() + self.byte(), 16)
        assert total == sum(text) & 0xFF, text
        if self.acks:
            self.sock.sendall(b'+')
        return text.decode('latin-1')

    def send(self, text):
        if isinstance(text, str):
            text = text.encode('latin-1')
        self.sock.sendall(b'$' + text + b'#%02x' % (sum(text) & 0xFF))

    def say(self, text):
        self.send(text)
        return self.packet()

    def no_acks(self):
        assert self.say('QStartNoAckMode') == 'OK'
        self.acks = False

    def monitor(self, command):
        """A monitor command: what it said."""
        self.send('qRcmd,' + command.encode().hex())
        said = ''
        while (answer := self.packet()) != 'OK':
            assert answer[0] == 'O', answer
            said += bytes.fromhex(answer[1:]).decode()
        return said

    def register(self, n):
        return int.from_bytes(bytes.fromhex(self.say('p%x' % n)), 'little')

    def memory(self, at, n):
        return bytes.fromhex(self.say('m%x,%x' % (at, n)))

    def word(self, at):
        return int.from_bytes(self.memory(at, 4), 'little')

    def close(self):
        self.sock.close()


class Machine:
    """plex86 with -gdb at a socket of its own; ends with the test."""

    def __init__(self, plex86, *args, wait=True):
        self.dir = tempfile.TemporaryDirectory()
        self.socket = os.path.join(self.dir.name, 'gdb')
        self.output = os.path.join(self.dir.name, 'output')
        with open(self.output, 'wb') as out:
            self.proc = subprocess.Popen([plex86, 'run', '-gdb', 'unix:' + self.socket, *(['-S'] if wait else []), *args],
                                         stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def listening(self):
        """The socket's path, once there is somebody: gdb makes one attempt."""
        wait_listening(self.socket, self.proc)
        return self.socket

    def text(self):
        with open(self.output, errors='replace') as f:
            return f.read()

    def wait_text(self, text):
        end = time.monotonic() + LIMIT_S
        while text not in self.text():
            assert time.monotonic() < end and self.proc.poll() is None, self.text()
            time.sleep(0.05)

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.dir.cleanup()


def gdb(script, *args):
    """Debian's gdb over a script: what it printed."""
    p = subprocess.run(['gdb', '-nx', '-batch', '-ex', 'set confirm off', '-ex', 'set pagination off', '-ex', 'set width 0',
                        '-ex', 'set remotetimeout 120', *args] + [w for line in script.strip().splitlines() for w in ('-ex', line.strip())],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)
    return p.stdout + p.stderr
