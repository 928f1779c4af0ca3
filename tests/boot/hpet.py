#!/usr/bin/env python3
"""Linux with high precision event timers: it finds them in the ACPI tables, counts with them, and is woken by them.

usage: hpet.py PLEX86     The kernel's own check of clocksources is the judge: it says so when one is wrong.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import GUESTS, INITRD, KERNEL, LIMIT_S, initramfs, need_all  # noqa: E402

JOB = b"""#!/bin/sh
cd /sys/devices/system/clocksource/clocksource0
echo clocksource $(cat current_clocksource) of $(cat available_clocksource)
a=$(date +%s)
sleep 3
echo slept $(($(date +%s) - a))
grep '^Clock Event Device' /proc/timer_list
grep timer /proc/interrupts
dmesg | grep -i hpet
dmesg | grep -i unstable
"""


def boot(plex86, initrd, *args, append=""):
    r = subprocess.run([plex86, "run", "-m", "256", "-kernel", KERNEL, "-initrd", initrd, "-nographic", "-no-reboot", *args,
                        "-append", "console=ttyS0 job=/etc/hpet " + append], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, errors="replace", timeout=6 * LIMIT_S)
    if r.returncode != 0:
        sys.exit(f"status {r.returncode}: {r.stdout[-1500:]}{r.stderr[-1500:]}")
    return r.stdout


def main():
    need_all(KERNEL, INITRD)
    initrd = initramfs(os.path.join(GUESTS, "hpet.%d" % os.getpid()), {"etc/hpet": JOB})
    failed = 0
    try:
        on = boot(sys.argv[1], initrd, "-machine", "hpet=on", append="clocksource=hpet noapic nolapic")
        off = boot(sys.argv[1], initrd)
    finally:
        os.unlink(initrd)
    slept = re.search(r"^slept (\d+)", on, re.M)
    for what, ok in [("the table leads to it", "HPET id: 0x8086a201 base: 0xfed00000" in on),
                     ("it is the clocksource", re.search(r"^clocksource hpet of", on, re.M)),
                     ("it is the timer that wakes", re.search(r"^ +0: +\d\d+ .*timer", on, re.M) and "Clock Event Device: hpet" in on),
                     ("time passes", slept and int(slept[1]) >= 3),
                     ("and is never found wrong", "Marking clocksource 'hpet' as unstable" not in on),
                     ("without it there is none", "hpet" not in re.search(r"^clocksource .*", off, re.M)[0])]:
        print("ok  " if ok else "FAIL", what)
        failed += not ok
    if failed:
        print(on[-3000:])
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
