#!/usr/bin/env python3
"""Linux's own x86 selftests end without a failure in the guest.

usage: selftests.py MONITOR [OPTION OF PLEX86...]      MONITOR: the path of plex86, or qemu
LDT and GDT entries, 16-bit stacks, sigreturn, #DB after MOV SS, the I/O bitmap, NT, single-step over
system calls, what may fault on the way into the kernel. `tools/guests selftests` fetches and builds them.
"""
import os
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "boot"))
import monitors  # noqa: E402
from harness import GUESTS, INITRD, need_all  # noqa: E402

PROGRAMS = 23


def main():
    monitor, *extra = sys.argv[1:]
    programs = os.path.join(GUESTS, "selftests.cpio.gz")
    need_all(programs, INITRD)
    with tempfile.NamedTemporaryFile() as initrd:
        initrd.write(Path(INITRD).read_bytes() + Path(programs).read_bytes())
        initrd.flush()
        console, _, code = monitors.boot(monitor, "686", extra, "console=ttyS0 loglevel=0 job=/selftests/run", initrd.name)
    results = re.findall(r"selftest: (\w+) status (\d+) ok (\d+) fail (\d+)", console, re.M)
    for name, status, ok, fail in results:
        print(f"{name}: status {status}, {ok} OK, {fail} FAIL")
    bad = [name for name, status, _, fail in results if status != "0" or fail != "0"]
    if bad or len(results) != PROGRAMS or code != 0:
        print("\n".join(console.splitlines()[-40:]))
        sys.exit(f"{len(results)} of {PROGRAMS} programs ran, failures in: {', '.join(bad) or 'none'}; "
                 f"status {code}")
    print(f"{PROGRAMS} of {PROGRAMS} programs passed, {sum(int(r[2]) for r in results)} checks")


if __name__ == "__main__":
    main()
