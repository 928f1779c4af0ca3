#!/usr/bin/env python3
"""The same shell script, run by the same BusyBox in the guest and on the host, prints the same.

usage: stress.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
"""
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

import monitors     # which finds the harness, too
from harness import GUESTS, INITRD, initramfs, need_all, skip

SCRIPT = Path(__file__).resolve().parent / "stress.sh"


def on_host(directory):
    """What the script prints here: BusyBox is a static 32-bit program, which an x86-64 Linux runs."""
    busybox = Path(GUESTS) / "busybox"
    applets = Path(directory) / "bin"
    applets.mkdir()
    try:
        names = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    except OSError as why:
        skip(f"this host does not run {busybox}: {why}")
    for name in names:
        (applets / name).symlink_to(busybox)
    environment = {"PATH": str(applets), "HOME": "/", "TMPDIR": str(directory)}
    return subprocess.run([applets / "sh", SCRIPT], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False).stdout


def in_guest(plex86, kernel, directory, extra):
    initrd = initramfs(Path(directory) / "initramfs", {"stress": SCRIPT.read_bytes()})
    console, errors, status = monitors.boot(plex86, kernel, extra, "console=ttyS0 quiet job=/stress", str(initrd), 1700)
    text = console.replace("\r", "")
    if status != 0 or "# numbers\n" not in text:
        sys.exit(f"plex86 ended with status {status}:\n{text[-2000:]}\n{errors}")
    return text[text.index("# numbers\n"):].partition("# end\n")[0] + "# end\n"


def main():
    plex86, kernel, *extra = sys.argv[1:]
    need_all(INITRD)
    with tempfile.TemporaryDirectory() as directory:
        want = on_host(directory)
        got = in_guest(plex86, kernel, directory, extra)
    diff = list(difflib.unified_diff(want.splitlines(), got.splitlines(), "host", "guest", lineterm=""))
    if diff or not want.endswith("# end\n"):
        sys.exit("\n".join(diff) or f"the script did not reach its end on the host:\n{want}")
    print(f"{len(want.splitlines())} lines equal")


if __name__ == "__main__":
    main()
