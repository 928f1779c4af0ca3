#!/usr/bin/env python3
"""A Debian kernel boots, runs a shell job and powers off where there is little room.

usage: pressure.py PLEX86 KERNEL OPTION...      the options say what there is little of
"""
import re
import subprocess
import sys

import monitors


def main():
    plex86, kernel, *options = sys.argv[1:]
    command = monitors.command(plex86, kernel, "console=ttyS0 job=/etc/report", extra=options)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=1700,
                          check=False)
    log = done.stdout.decode(errors="replace")
    print(done.stderr.decode(errors="replace"))
    if done.returncode != 0 or not re.search(r"reboot: Power down", log):
        sys.exit(f"plex86 ended with status {done.returncode}, not 0 as a power-off does:\n{log[-2000:]}")
    for bad in (r"BUG:", r"Oops", r"segfault", r"Call Trace"):
        if re.search(bad, log):
            sys.exit(f"the guest's log has {bad}:\n{log[-4000:]}")


if __name__ == "__main__":
    main()
