#!/usr/bin/env python3
"""By the instruction clock a whole Linux boot is the same every time, to the byte.

usage: repeats.py PLEX86 [KERNEL]
"""
import subprocess
import sys

import monitors


def main():
    plex86, kernel = sys.argv[1], (sys.argv[2:] + ["686"])[0]
    command = monitors.command(plex86, kernel, "console=ttyS0 job=/etc/report", extra=("--clock", "instructions"))
    runs = [subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=800, check=False)
            for _ in range(2)]
    if runs[0].returncode != 0 or b"reboot: Power down" not in runs[0].stdout:
        sys.exit(f"status {runs[0].returncode}, the log ends: {runs[0].stdout[-500:]!r}")
    if runs[0].stdout != runs[1].stdout or runs[0].returncode != runs[1].returncode:
        pairs = zip(runs[0].stdout.splitlines(), runs[1].stdout.splitlines())
        sys.exit("the runs differ, first in %r and %r" % next((p for p in pairs if p[0] != p[1]), ("the length", "")))
    print(f"{len(runs[0].stdout)} bytes of console output, the same twice")


if __name__ == "__main__":
    main()
