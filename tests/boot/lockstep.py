#!/usr/bin/env python3
"""A Debian kernel boots in lock-step: emulator and scanned code agree after every block.

usage: lockstep.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
"""
import re
import sys

import monitors

def main():
    plex86, kernel, *extra = sys.argv[1:]
    _, errors = monitors.boot_to_power_off(plex86, kernel, ["--engine", "lockstep", "--clock", "instructions", *extra], 5000)
    totals = re.search(r"lock-step: (\d+) blocks, (\d+) instructions compared, (\d+) differences", errors)
    if not totals or int(totals[1]) < 1000000 or int(totals[3]) != 0:
        sys.exit("the boot was not compared, or there were differences")


if __name__ == "__main__":
    main()
