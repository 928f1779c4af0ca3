#!/usr/bin/env python3
"""Every check of guest/system holds.         usage: system.py PLEX86 ARGUMENT...

The same binary runs elsewhere, to see what another processor makes of it:
qemu-system-i386 -serial stdio -display none -kernel build/guest/system.bin
(TCG fails some: it has no alignment checks, no GD, and leaves out limit checks.)
"""
import re
import subprocess
import sys

PARTS = ["segments", "gates", "tasks", "paging", "debug", "vm86", "events", "rules"]


def main():
    done = subprocess.run([sys.argv[1], "run", "-no-reboot", "-nographic", *sys.argv[2:]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    console = done.stdout.decode(errors="replace")
    print(console)
    parts = re.findall(r"^ok (\w+): checks ([0-9a-f]{8})$", console, re.M)
    if [name for name, _ in parts] != PARTS or not re.search(r"^PASSED$", console, re.M) or done.returncode != 0:
        sys.exit(f"parts that passed: {', '.join(name for name, _ in parts)}; status {done.returncode}")
    if "lockstep" in sys.argv and not re.search(r"^lock-step: \d{5,} blocks, \d+ instructions compared, 0 differences", console, re.M):
        sys.exit("the run was not compared, or there were differences")
    print(f"{sum(int(checks, 16) for _, checks in parts)} checks")


if __name__ == "__main__":
    main()
