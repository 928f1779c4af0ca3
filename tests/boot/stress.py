#!/usr/bin/env python3
"""The same shell script, run by the same BusyBox in the guest and on the host, prints the same.

usage: stress.py PLEX86 KERNEL [OPTION OF PLEX86...]      KERNEL: 686 or 686-pae
"""
import difflib
import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import monitors

SCRIPT = Path(__file__).resolve().parent / "stress.sh"


def on_host(directory):
    """What the script prints here: BusyBox is a static 32-bit program, which an x86-64 Linux runs."""
    busybox = monitors.GUESTS / "busybox"
    applets = Path(directory) / "bin"
    applets.mkdir()
    try:
        names = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    except OSError as why:
        monitors.skip(f"this host does not run {busybox}: {why}")
    for name in names:
        (applets / name).symlink_to(busybox)
    environment = {"PATH": str(applets), "HOME": "/", "TMPDIR": str(directory)}
    return subprocess.run([applets / "sh", SCRIPT], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False).stdout


def in_guest(plex86, kernel, directory, extra):
    root = Path(directory) / "root"
    root.mkdir()
    (root / "stress").write_bytes(SCRIPT.read_bytes())
    (root / "stress").chmod(0o755)
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], cwd=root, input=b"stress\n",
                             stdout=subprocess.PIPE, check=True).stdout
    _, initramfs = monitors.guest_files(kernel)
    both = Path(directory) / "initramfs"
    both.write_bytes(initramfs.read_bytes() + gzip.compress(archive))
    command = monitors.command(plex86, kernel, "console=ttyS0 quiet job=/stress", extra=extra)
    command[command.index("-initrd") + 1] = str(both)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=1700, check=False)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    if done.returncode != 0 or "# numbers\n" not in text:
        sys.exit(f"plex86 ended with status {done.returncode}:\n{text[-2000:]}")
    return text[text.index("# numbers\n"):].partition("# end\n")[0] + "# end\n"


def main():
    plex86, kernel, *extra = sys.argv[1:]
    monitors.guest_files(kernel)
    with tempfile.TemporaryDirectory() as directory:
        want = on_host(directory)
        got = in_guest(plex86, kernel, directory, extra)
    diff = list(difflib.unified_diff(want.splitlines(), got.splitlines(), "host", "guest", lineterm=""))
    if diff or not want.endswith("# end\n"):
        sys.exit("\n".join(diff) or f"the script did not reach its end on the host:\n{want}")
    print(f"{len(want.splitlines())} lines equal")


if __name__ == "__main__":
    main()
