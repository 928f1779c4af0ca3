"""A running machine, for tests: its screen as text, keys typed at it, its serial port, its control socket.

Every wait is for a condition, with a limit that only a machine that hangs reaches.
"""
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Failed, Qmp  # noqa: E402

LIMIT_S = int(os.environ.get("PLEX86_TEST_LIMIT", "1800"))

# Characters to key combinations of a keyboard with the layout of the United States.
NAMED = {" ": "spc", "\n": "ret", "-": "minus", "=": "equal", "/": "slash", ".": "dot", ",": "comma", ";": "semicolon",
         "'": "apostrophe", "[": "bracket_left", "]": "bracket_right", "\\": "backslash", "`": "grave_accent"}
SHIFTED = dict(zip('!@#$%^&*()_+:"<>?{}|~', ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "minus", "equal", "semicolon",
               "apostrophe", "comma", "dot", "slash", "bracket_left", "bracket_right", "backslash", "grave_accent"]))


class Machine:
    """plex86 run ARGS, or with program= another monitor that takes the same options."""

    def __init__(self, program, *args, kind="plex86"):
        self.dir = tempfile.TemporaryDirectory(prefix="plex86-machine-")
        self.serial, self.held = b"", threading.Condition()
        qmp = os.path.join(self.dir.name, "qmp")
        command = [program] + (["run"] if kind == "plex86" else []) + ["-display", "none", "-serial", "stdio", "-qmp",
                                                                    "unix:%s,server=on,wait=off" % qmp, *args]
        self.errors = open(os.path.join(self.dir.name, "errors"), "w+b")
        self.begin = time.monotonic()
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        self.reader = threading.Thread(target=self._read_serial, daemon=True)
        self.reader.start()
        try:
            self.qmp = Qmp(qmp, self.proc, LIMIT_S, self._about)
        except (OSError, Failed):
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.reader.join(10)
        self.errors.close()
        self.dir.cleanup()

    def said(self):
        self.errors.flush()
        with open(self.errors.name, "rb") as f:
            return f.read().decode("latin-1")[-1500:]

    def _read_serial(self):
        while True:
            more = os.read(self.proc.stdout.fileno(), 65536)
            with self.held:
                self.serial += more
                self.held.notify_all()
            if not more:
                return

    def _about(self):
        return "%s; %s" % (self.said(), self.serial[-800:].decode("latin-1"))

    def cmd(self, name, **args):
        return self.qmp.cmd(name, **args)

    def wait_event(self, name):
        return self.qmp.wait_event(name)

    def monitor(self, line):
        return self.qmp.monitor(line)

    # --- screen and keyboard ---

    def screen(self):
        return self.cmd("x-screentext")

    def wait_screen(self, *texts, limit=LIMIT_S, fails=()):
        """Until one of the texts is on the screen; the screen then. texts may be functions of the screen."""
        end = time.monotonic() + limit
        while True:
            now = self.screen()
            for t in texts:
                if t(now) if callable(t) else t in now:
                    return now
            for t in fails:
                if t in now:
                    raise Failed("%r is on the screen:\n%s" % (t, now))
            if time.monotonic() > end:
                raise Failed("%r is not on the screen:\n%s\nserial: %r" % (texts, now, self.serial[-500:]))
            time.sleep(0.2)

    def keys(self, *combinations):
        """One after the other: "ctrl-alt-delete", "down"."""
        for k in combinations:
            self.cmd("send-key", keys=[{"type": "qcode", "data": key} for key in k.split("-")], **{"hold-time": 40})
            time.sleep(0.1)

    def type(self, text):
        for ch in text:
            if ch in SHIFTED:
                self.keys("shift-" + SHIFTED[ch])
            elif ch.isupper():
                self.keys("shift-" + ch.lower())
            else:
                self.keys(NAMED.get(ch, ch))

    # --- serial port ---

    def send(self, text):
        self.proc.stdin.write(text.encode())
        self.proc.stdin.flush()

    def wait_serial(self, text, since=0, limit=LIMIT_S):
        """Until the text has come, behind byte number since; where it ends."""
        want, end = text.encode(), time.monotonic() + limit
        with self.held:
            while want not in self.serial[since:]:
                if not self.held.wait(0.5) and (not self.reader.is_alive() or time.monotonic() > end):
                    raise Failed("%r did not come: %s ... %s" % (text, self.serial[since:][-1500:].decode("latin-1"), self.said()))
            return self.serial.index(want, since) + len(want)

    def ask(self, line, prompt, since):
        """Type a line at a shell's prompt; what it answers."""
        self.send(line + "\n")
        at = self.wait_serial("\n", since)
        end = self.wait_serial(prompt, at)
        return self.serial[at:end - len(prompt)].decode("latin-1").replace("\r", ""), end

    def wait_end(self, limit=LIMIT_S):
        try:
            return self.proc.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed("the machine goes on: %r" % self.serial[-800:])
