#!/usr/bin/env python3
"""Each call of the host fails once, at each of its times: no crash, nothing lost that the guest was told is written.

usage: faults.py PLEX86_FAULTS PLEX86 RECORDS [--long]

PLEX86_FAULTS is the program linked with tests/guard/faults.c. It boots a guest that writes and flushes records to a
qcow2 disk, with a control socket and a VNC screen open. Ends in a success, or in one clear line and a status.
"""
import errno
import os
import subprocess
import sys
import tempfile

import records

FAULTS, PLEX86, GUEST = (os.path.abspath(p) for p in sys.argv[1:4])
LONG = "--long" in sys.argv
RECORDS = 24
CALLS = {
    "mmap64": errno.ENOMEM, "mprotect": errno.ENOMEM, "memfd_create": errno.EMFILE, "ftruncate64": errno.ENOSPC,
    "malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "realloc": errno.ENOMEM, "strdup": errno.ENOMEM, "read": errno.EIO,
    "write": errno.EIO, "pread64": errno.EIO, "pwrite64": errno.EIO, "fdatasync": errno.EIO, "socket": errno.EMFILE,
    "socketpair": errno.EMFILE, "bind": errno.EACCES, "listen": errno.EADDRINUSE, "accept4": errno.EMFILE,
    "pthread_create": errno.EAGAIN, "timer_create": errno.EAGAIN, "epoll_create1": errno.EMFILE, "epoll_ctl": errno.ENOSPC,
    "eventfd": errno.EMFILE, "fork": errno.EAGAIN, "open64": errno.EMFILE,
}


def one(folder, call, n, error):
    """True if there was an n-th call."""
    disk, log = os.path.join(folder, "disk.qcow2"), os.path.join(folder, "log")
    for path in (disk, log):
        if os.path.exists(path):
            os.remove(path)
    records.make_disk(disk, "qcow2", RECORDS, PLEX86)
    done = subprocess.run([FAULTS, "run", "-no-reboot", "-m", "16", "-serial", "stdio", "-vga", "std", "-qmp",
                           f"unix:{folder}/qmp,server=on,wait=off", "-vnc", "127.0.0.1:0" if call == "never" else "none",
                           "-drive", f"file={disk},format=qcow2,werror=report", "--flat", "0x100000", GUEST], cwd=folder,
                          env={**os.environ, "PLEX86_FAULT": f"{call}:{n}:{error}", "PLEX86_FAULT_LOG": log},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    where = f"{call}, call {n}: status {done.returncode}, said {done.stdout!r}, {done.stderr!r}"
    written, refused = records.said_written(done.stdout)
    happened = os.path.getsize(log) > 0
    assert done.returncode in (0, 1, 2), where
    assert "internal error" not in done.stderr and "Assertion" not in done.stderr, where
    wrong = records.problems(disk, "qcow2", done.stdout, PLEX86)
    assert not wrong, f"{where}\n{wrong}"
    if done.returncode == 0 and not happened:
        assert written == list(range(1, RECORDS + 1)) and not refused and not done.stderr, where
    if done.returncode != 0:
        assert happened and "plex86: " in done.stderr, where
    if refused:
        assert call in ("pread64", "pwrite64", "fdatasync", "ftruncate64", "malloc", "calloc", "realloc"), where
    return happened


def main():
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for call, error in CALLS.items():
            n, step = 1, 1
            while one(folder, call, n, error):
                total += 1
                if not LONG and n >= 5:
                    break
                if n >= 64:             # the same place again and again: a sample
                    step = n // 8
                n += step
            print(f"{call}: calls 1 to {n}", flush=True)
    print(f"{total} faults injected")


if __name__ == "__main__":
    main()
