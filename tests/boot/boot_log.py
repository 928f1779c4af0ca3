#!/usr/bin/env python3
"""The boot log of a Debian kernel under plex86 is QEMU's, but for the differences that are listed.

usage: boot_log.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
Same kernel, initramfs and command line; differences.py has what may differ, and why.
"""
import difflib
import re
import sys

import differences
import monitors

def boot_qemu(kernel):
    """QEMU's log. On a busy host its timer comes too late for the kernel's check of it: then another try."""
    for _ in range(4):
        log, _, _ = monitors.boot("qemu", kernel)
        if "8254 timer not connected" not in log:
            break
    return log


def ends_of(lines):
    return "\n".join(lines[-15:])


def main():
    plex86, kernel, *extra = sys.argv[1:]
    want = boot_qemu(kernel)
    got, errors, status = monitors.boot(plex86, kernel, extra)
    print(f"{kernel}: {len(want.splitlines())} lines under QEMU, {len(got.splitlines())} under plex86")
    if status != 0:
        sys.exit(f"plex86 ended with status {status}, not 0 as a power-off does:\n{ends_of(got.splitlines())}\n{errors}")
    for what in (r"^Linux .* i686 GNU/Linux", r"^Mem: +\d+", r"reboot: Power down"):
        if not re.search(what, got, re.M):
            sys.exit(f"plex86: no line like {what!r}; the log ends:\n{ends_of(got.splitlines())}")
    want, got = differences.normalize(want), differences.normalize(got)
    diff = list(difflib.unified_diff(want, got, "qemu", "plex86", lineterm="", n=0))
    if diff:
        print("\n".join(diff))
        sys.exit("the logs differ in lines that differences.py does not list")
    print(f"{len(want)} lines equal after the listed differences")


if __name__ == "__main__":
    main()
