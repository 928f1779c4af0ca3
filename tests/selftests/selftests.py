#!/usr/bin/env python3
"""Linux's own x86 selftests end without a failure in the guest.

usage: selftests.py MONITOR [OPTION OF PLEX86...]      MONITOR: the path of plex86, or qemu
LDT and GDT entries, 16-bit stacks, sigreturn, #DB after MOV SS, the I/O bitmap, NT, single-step over
system calls, what may fault on the way into the kernel. `tools/guests selftests` fetches and builds them.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "boot"))
import monitors  # noqa: E402

PROGRAMS = 23


def main():
    monitor, *extra = sys.argv[1:]
    programs = monitors.GUESTS / "selftests.cpio.gz"
    if not programs.exists():
        monitors.skip(f"{programs} is missing: tools/guests selftests makes it")
    command = monitors.command(monitor, "686", "console=ttyS0 loglevel=0 job=/selftests/run", extra=extra)
    at = command.index("-initrd") + 1
    with tempfile.NamedTemporaryFile() as initrd:
        initrd.write(Path(command[at]).read_bytes() + programs.read_bytes())
        initrd.flush()
        command[at] = initrd.name
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=1500, check=False)
    console = done.stdout.decode(errors="replace")
    results = re.findall(r"selftest: (\w+) status (\d+) ok (\d+) fail (\d+)", console, re.M)
    for name, status, ok, fail in results:
        print(f"{name}: status {status}, {ok} OK, {fail} FAIL")
    bad = [name for name, status, _, fail in results if status != "0" or fail != "0"]
    if bad or len(results) != PROGRAMS or done.returncode != 0:
        print("\n".join(console.splitlines()[-40:]))
        sys.exit(f"{len(results)} of {PROGRAMS} programs ran, failures in: {', '.join(bad) or 'none'}; "
                 f"status {done.returncode}")
    print(f"{PROGRAMS} of {PROGRAMS} programs passed, {sum(int(r[2]) for r in results)} checks")


if __name__ == "__main__":
    main()
