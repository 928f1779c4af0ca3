#!/usr/bin/env python3
"""Boot after boot of Linux comes to the same.

usage: repeats.py PLEX86 [KERNEL [RUNS [OPTION OF PLEX86...]]]

By the instruction clock (--clock instructions, the default here) the console output is the same to the byte.
By the host's clock (--clock host among the options) it is the same but for times and what hangs on them,
and the last run ends with no more memory than the first.
"""
import os
import re
import subprocess
import sys
import tempfile

import monitors

VARYING = re.compile(r"^\[ *[0-9.]+\]|[0-9]+\.[0-9]+|\b[0-9]{4,}\b|BogoMIPS|lpj=|clocksource|tsc:|sched_clock|random:", re.M)
# how fast the machine is, and what a timer came before: these lines are there or not, and where
TIMED = re.compile(r"clocksource|tsc|sched_clock|random|BogoMIPS|lpj|[Rr]efined|hrtimer|rcu|raid6|xor:|input:|Freeing|Memory:|PM-Timer|real|user|sys")


def stable(log):
    """The lines that do not hang on time, without their time stamps, in order of text."""
    lines = (re.sub(r"^\[ *[0-9.]+\] ", "", line).strip() for line in log.decode(errors="replace").splitlines())
    return sorted(VARYING.sub("N", line) for line in lines if not TIMED.search(line))


def run(command):
    """Status, console output, largest resident size in KiB."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return child.returncode, out.read(), usage.ru_maxrss


def first_difference(a, b):
    return next((pair for pair in zip(a, b) if pair[0] != pair[1]), ("the number of lines", f"{len(a)} and {len(b)}"))


def main():
    plex86, kernel, count, *options = sys.argv[1:] + ["686", "2"][len(sys.argv) - 2:]
    by_host = "host" in options
    if not by_host:
        options += ["--clock", "instructions"]
    command = monitors.command(plex86, kernel, monitors.APPEND, extra=options)
    sizes, first = [], None
    for i in range(int(count)):
        status, log, kib = run(command)
        if status != 0 or b"reboot: Power down" not in log:
            sys.exit(f"run {i}: status {status}, the log ends: {log[-2000:]!r}")
        lines = stable(log) if by_host else log.splitlines()
        first = first or lines
        if lines != first:
            sys.exit(f"run {i} differs from the first, first in %r and %r" % first_difference(first, lines))
        sizes.append(kib)
    print(f"{count} boots, {len(first)} lines of console output the same; resident at most {min(sizes)} to {max(sizes)} KiB")
    if max(sizes) > min(sizes) * 1.25:
        sys.exit("the resident sizes differ by more than a quarter")


if __name__ == "__main__":
    main()
