#!/usr/bin/env python3
"""A Debian kernel boots, runs a shell job and powers off with every block of scanned code proven harmless.

usage: verified.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
"""
import re
import sys

import monitors

def main():
    plex86, kernel, *extra = sys.argv[1:]
    _, errors = monitors.boot_to_power_off(plex86, kernel, ["--engine", "scan", "--verify-code", *extra])
    totals = re.search(r"verify-code: (\d+) blocks, (\d+) violations", errors)
    if not totals or int(totals[1]) < 10000 or int(totals[2]) != 0:
        sys.exit("not every block of the boot was checked, or one was found wrong")


if __name__ == "__main__":
    main()
