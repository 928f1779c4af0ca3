#!/usr/bin/env python3
"""A Debian kernel boots, runs a shell job and powers off where there is little room.

usage: pressure.py PLEX86 KERNEL OPTION...      the options say what there is little of
"""
import re
import sys

import monitors


def main():
    plex86, kernel, *options = sys.argv[1:]
    log, _ = monitors.boot_to_power_off(plex86, kernel, options, 1700)
    for bad in (r"BUG:", r"Oops", r"segfault", r"Call Trace"):
        if re.search(bad, log):
            sys.exit(f"the guest's log has {bad}:\n{log[-4000:]}")


if __name__ == "__main__":
    main()
