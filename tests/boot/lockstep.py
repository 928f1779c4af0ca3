#!/usr/bin/env python3
"""A Debian kernel boots in lock-step: emulator and scanned code agree after every block.

usage: lockstep.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
"""
import re
import subprocess
import sys

import monitors

APPEND = "console=ttyS0 job=/etc/report"


def main():
    plex86, kernel, *extra = sys.argv[1:]
    options = ["--engine", "lockstep", "--clock", "instructions", *extra]
    done = subprocess.run(monitors.command(plex86, kernel, APPEND, extra=options), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=5000, check=False)
    log, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    print(errors)
    if done.returncode != 0 or not re.search(r"reboot: Power down", log):
        sys.exit(f"plex86 ended with status {done.returncode}, not 0 as a power-off does:\n{log[-2000:]}\n{errors}")
    totals = re.search(r"lock-step: (\d+) blocks, (\d+) instructions compared, (\d+) differences", errors)
    if not totals or int(totals[1]) < 1000000 or int(totals[3]) != 0:
        sys.exit("the boot was not compared, or there were differences")


if __name__ == "__main__":
    main()
