#!/usr/bin/env python3
"""A person at the guest's console: what is typed on a terminal reaches the shell and comes back.

usage: shell.py PLEX86 [KERNEL]       The last line counts the checks.
"""
import hashlib
import os
import re
import select
import signal
import sys
import termios
import time

import monitors     # which finds the harness, too
from harness import on_terminal, set_size

PROMPT = "/root # "


class Terminal:
    """A guest on a terminal of its own; what it prints is kept in .text."""

    def __init__(self, command):
        self.text, self.at = "", 0
        self.pid, self.master, self.slave = on_terminal(command)
        self.before = termios.tcgetattr(self.slave)

    def pump(self, wait_s):
        if not select.select([self.master], [], [], wait_s)[0]:
            return False
        data = os.read(self.master, 65536)
        self.text += data.decode(errors="replace").replace("\r", "")
        return True

    def type(self, text):
        os.write(self.master, text.encode())

    def wait(self, pattern, limit_s=900):
        """The match of pattern in what came since the last call. The limit is for a guest that hangs."""
        end = time.monotonic() + limit_s
        while True:
            match = re.compile(pattern, re.M).search(self.text, self.at)
            if match:
                self.at = match.end()
                return match
            if time.monotonic() > end or not (self.pump(1) or self.alive()):
                tail = self.text[-1500:]
                raise AssertionError(f"waited for {pattern!r}; the console ends:\n{tail}")

    def alive(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.status = os.waitstatus_to_exitcode(status)
            self.pid = 0
        return not pid

    def run(self, command):
        """What the command printed. The end mark is spelled apart, so that its echo does not match."""
        self.type(command + "; echo __'end'__$?\n")
        start = self.at
        match = self.wait(r"^__end__(\d+)\n")
        out = self.text[start:match.start()].split("__'end'__$?\n", 1)[-1]
        self.wait(re.escape(PROMPT))
        return out.strip("\n"), int(match[1])

    def finish(self):
        """Exit status of the monitor."""
        while self.pid and self.alive():
            self.pump(0.2)
        while self.pump(0):
            pass
        return self.status

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


def check_dd_and_checksums(t):
    out, status = t.run("dd if=/dev/zero bs=1024 count=300 2>/dev/null | sha256sum")
    assert status == 0 and out.split()[0] == hashlib.sha256(bytes(300 * 1024)).hexdigest(), out


def check_gzip_gives_back_what_it_packed(t):
    out, _ = t.run("dd if=/dev/urandom of=/tmp/r bs=1024 count=200 2>/dev/null; cat /bin/busybox >>/tmp/r;"
                   " gzip -c /tmp/r >/tmp/r.gz; gunzip -c /tmp/r.gz | cmp - /tmp/r && echo same")
    assert out == "same", out


def check_pipes(t):
    out, _ = t.run("seq 1 1000 | grep 7 | sort -rn | tee /tmp/t | wc -l; head -n 1 /tmp/t")
    assert out.split() == ["271", "997"], out


def check_background_jobs(t):
    out, _ = t.run("sleep 5 & jobs; wait; echo waited $?")
    assert re.search(r"\[1\].*Running.*sleep 5", out) and "waited 0" in out, out


def check_ctrl_c_ends_the_foreground_program(t):
    t.type("echo in; sleep 100000\n")
    t.wait(r"^in$")
    t.wait("")
    time.sleep(0.3)     # not needed for the outcome: lets sleep begin, so that it is what is interrupted
    t.type("\x03")
    t.wait(re.escape(PROMPT))
    out, _ = t.run("echo alive")
    assert out == "alive", out


def check_special_bytes_pass(t):
    out, _ = t.run("printf '\\033[1mbold\\033[0m \\303\\244' | od -An -tx1")
    assert out.split() == "1b 5b 31 6d 62 6f 6c 64 1b 5b 30 6d 20 c3 a4".split(), out


def clock(t):
    """Guest time and the host times between which it was read."""
    before = time.monotonic()
    t.type("echo now'='$(date +%s) $(cut -d' ' -f1 /proc/uptime)\n")
    match = t.wait(r"^now=(\d+) ([\d.]+)\n")   # the whole line: a piece of it would match $ too
    return int(match[1]), float(match[2]), before, time.monotonic()


def advance(t, host_s):
    """Waits about host_s; asserts that the guest's clocks went as far, to 1% and what the reading blurs."""
    date0, up0, sent0, got0 = clock(t)
    time.sleep(host_s)
    date1, up1, sent1, got1 = clock(t)
    least, most = (sent1 - got0) * 0.99, (got1 - sent0) * 1.01
    assert least - 0.02 <= up1 - up0 <= most + 0.02, f"uptime went {up1 - up0:.2f} s in {least:.2f} to {most:.2f} s"
    assert least - 1 <= date1 - date0 <= most + 1, f"date went {date1 - date0} s in {least:.2f} to {most:.2f} s"
    t.wait(re.escape(PROMPT))


def check_clock_keeps_the_hosts_rate_when_idle(t):
    advance(t, 20)


def check_clock_keeps_the_hosts_rate_under_load(t):
    t.run("while :; do :; done & :")
    advance(t, 20)
    t.run("kill $!")


def check_resizing_the_terminal_disturbs_nothing(t):
    set_size(t.slave, 50, 132)
    out, _ = t.run("echo still here")
    assert out == "still here", out


def check_ctrl_a_h_shows_help_and_goes_on(t):
    start = len(t.text)
    t.type("\x01h")
    t.wait(r"(?i)ctrl-a")
    out, _ = t.run("echo on")
    assert out.endswith("on"), t.text[start:]


def check_poweroff_ends_with_status_0(t):
    t.type("poweroff\n")
    t.wait("reboot: Power down")
    assert t.finish() == 0, t.status


def check_terminal_is_as_before(t):
    assert termios.tcgetattr(t.slave) == t.before, "terminal settings changed"


def check_ctrl_a_x_ends_with_status_0(t):
    t.wait(re.escape(PROMPT))
    t.type("\x01x")
    assert t.finish() == 0, t.status


def check_sigterm_restores_the_terminal(t):
    t.wait("Linux version")
    os.kill(t.pid, signal.SIGTERM)
    assert t.finish() == 128 + signal.SIGTERM, t.status


SESSIONS = [
    ("console=ttyS0 quiet", [
        check_dd_and_checksums, check_gzip_gives_back_what_it_packed, check_pipes, check_background_jobs,
        check_special_bytes_pass, check_ctrl_c_ends_the_foreground_program,
        check_resizing_the_terminal_disturbs_nothing, check_ctrl_a_h_shows_help_and_goes_on,
        check_clock_keeps_the_hosts_rate_when_idle, check_clock_keeps_the_hosts_rate_under_load,
        check_poweroff_ends_with_status_0, check_terminal_is_as_before]),
    ("console=ttyS0 quiet", [
        check_clock_keeps_the_hosts_rate_when_idle, check_clock_keeps_the_hosts_rate_under_load,
        check_poweroff_ends_with_status_0], "--engine", "emulate"),
    ("console=ttyS0 quiet", [check_ctrl_a_x_ends_with_status_0, check_terminal_is_as_before]),
    ("console=ttyS0", [check_sigterm_restores_the_terminal, check_terminal_is_as_before]),
]


def main():
    plex86, kernel = sys.argv[1], (sys.argv[2:] + ["686"])[0]
    passed = failed = 0
    for append, checks, *extra in SESSIONS:
        terminal = Terminal(monitors.command(plex86, kernel, append, extra=extra))
        try:
            if len(checks) > 2:
                terminal.wait(re.escape(PROMPT))
                terminal.type("stty cols 1000\n")      # long command lines are then echoed in one piece
                terminal.wait(re.escape(PROMPT))
            for check in checks:
                name = check.__name__.removeprefix("check_").replace("_", " ")
                try:
                    check(terminal)
                    passed += 1
                    print(f"ok: {name}", flush=True)
                except AssertionError as why:
                    failed += 1
                    print(f"FAILED: {name}: {why}", flush=True)
                    if terminal.pid == 0:
                        break
        except AssertionError as why:
            failed += len(checks)
            print(f"FAILED: no shell: {why}", flush=True)
        finally:
            terminal.kill()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
