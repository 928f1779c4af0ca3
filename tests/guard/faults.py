#!/usr/bin/env python3
"""Each call of the host fails once, at each of its times: no crash, nothing lost that the guest was told is written.

usage: faults.py PLEX86_FAULTS PLEX86 RECORDS [--long]

PLEX86_FAULTS is the program linked with tests/guard/faults.c. It boots a guest that writes and flushes records to a
qcow2 disk, with sockets for control, meters and gdb that are used, and a log of meters. Ends in a success, or in one clear line and a status.
"""
import errno
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import records
from faults_calls import CALLS

FAULTS, PLEX86, GUEST = (os.path.abspath(p) for p in sys.argv[1:4])
LONG = "--long" in sys.argv
RECORDS = 24


def asked(path, *texts):
    """Says them to a socket and hears an answer to each; a connection that does not come about or breaks is none of ours."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(2)
        try:
            s.connect(path)
            for text in texts:
                s.sendall(text)
                s.recv(65536)
        except OSError:
            return False
    return True


def use(folder, p):
    """The machine's user: asks for its meters, looks with a debugger, and has it go on until it does (its end is its guest's)."""
    qmp, cont = f"{folder}/qmp", (b"", b'{"execute":"qmp_capabilities"}', b'{"execute":"query-status"}', b'{"execute":"cont"}')
    while p.poll() is None and not os.path.exists(qmp):
        time.sleep(0.01)
    asked(f"{folder}/metrics", b"GET /metrics HTTP/1.0\r\n\r\n")
    asked(f"{folder}/gdb", b"$g#67", b"$D#44")
    while p.poll() is None:
        asked(qmp, *cont)
        time.sleep(0.05)


def one(folder, call, n, error):
    """True if there was an n-th call."""
    disk, log = os.path.join(folder, "disk.qcow2"), os.path.join(folder, "log")
    for path in (disk, log):
        if os.path.exists(path):
            os.remove(path)
    records.make_disk(disk, "qcow2", RECORDS, PLEX86)
    p = subprocess.Popen([FAULTS, "run", "-no-reboot", "-m", "16", "-serial", "stdio", "-vga", "std", "-qmp",
                          f"unix:{folder}/qmp,server=on,wait=off", "-vnc", "none", "--metrics", f"unix:{folder}/metrics",
                          "--meter-log", os.path.join(folder, "meters"), "-gdb", f"unix:{folder}/gdb", "-S",
                          "-drive", f"file={disk},format=qcow2,werror=report", "--flat", "0x100000", GUEST], cwd=folder,
                         env={**os.environ, "PLEX86_FAULT": f"{call}:{n}:{error}", "PLEX86_FAULT_LOG": log},
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    user = threading.Thread(target=use, args=(folder, p))
    user.start()
    try:
        stdout, stderr = p.communicate(timeout=300)
    finally:
        p.kill()
        user.join()
    where = f"{call}, call {n}: status {p.returncode}, said {stdout!r}, {stderr!r}"
    written, refused = records.said_written(stdout)
    happened = os.path.getsize(log) > 0
    assert p.returncode in (0, 1, 2), where
    assert "internal error" not in stderr and "Assertion" not in stderr, where
    wrong = records.problems(disk, "qcow2", stdout, PLEX86)
    assert not wrong, f"{where}\n{wrong}"
    if p.returncode == 0 and not happened:
        assert written == list(range(1, RECORDS + 1)) and not refused and not stderr, where
    if p.returncode != 0:
        assert happened and "plex86: " in stderr, where
    if refused:
        assert call in ("pread64", "pwrite64", "fdatasync", "ftruncate64", "malloc", "calloc", "realloc"), where
    return happened


def quiet(folder, n):
    """The same of write() for a machine that says nothing: few calls, so that those that end its threads are among the first."""
    disk, log = os.path.join(folder, "quiet.qcow2"), os.path.join(folder, "quiet.log")
    if os.path.exists(log):
        os.remove(log)
    records.make_disk(disk, "qcow2", RECORDS, PLEX86)
    p = subprocess.run([FAULTS, "run", "-no-reboot", "-m", "16", "-serial", "null", "-vnc", "none", "--metrics", f"unix:{folder}/metrics",
                        "--meter-log", os.path.join(folder, "meters"), "-drive", f"file={disk},format=qcow2", "--flat", "0x100000", GUEST],
                       cwd=folder, env={**os.environ, "PLEX86_FAULT": f"write:{n}:{errno.EIO}", "PLEX86_FAULT_LOG": log},
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    assert p.returncode == 0 and "internal error" not in p.stderr and "Assertion" not in p.stderr, (n, p)
    return os.path.getsize(log) > 0


def main():
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        n = 1
        while quiet(folder, n):
            n += 1
        assert n > 4, n                 # the start's record, the end's, and the wake-ups
        total += n - 1
        print(f"write, quiet: calls 1 to {n}", flush=True)
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
