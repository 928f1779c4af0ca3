#!/usr/bin/env python3
"""Each call of the host fails once while a machine with a network starts, and while it boots over that: no crash, a clear line.

usage: faults_network.py PLEX86_FAULTS GUESTS [--long]

PLEX86_FAULTS is the program linked with tests/guard/faults.c, whose count goes on in the processes it makes: the n-th call fails in each.
"""
import errno
import os
import subprocess
import sys
import tempfile

import faults_calls

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BIOS, LIMIT_S, need_all  # noqa: E402

FAULTS, GUESTS = (os.path.abspath(p) for p in sys.argv[1:3])
LONG = "--long" in sys.argv
WHILE_IT_RUNS = ("send", "recv", "recvmsg", "poll", "epoll_ctl", "epoll_wait", "calloc")


def run(folder, call, n, error, *command):
    """One fault: the console, what the monitor said, and whether it happened in a process that could say so."""
    log = os.path.join(folder, "log")
    open(log, "wb").close()
    r = subprocess.run([FAULTS, "run", "-no-reboot", *command], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors="replace", timeout=LIMIT_S, check=False,
                       env={**os.environ, "PLEX86_FAULT": f"{call}:{n}:{error}", "PLEX86_FAULT_LOG": log})
    where = f"{call}, call {n}: status {r.returncode}, said {r.stdout[-300:]!r}, {r.stderr!r}"
    assert r.returncode in (0, 1, 2), where
    assert "internal error" not in r.stderr and "Assertion" not in r.stderr, where
    assert r.returncode == 0 or "plex86: " in r.stderr, where
    return r, os.path.getsize(log) > 0, where


def starts(folder, call, error):
    """Up to five of its calls while the machine starts, and says hello."""
    for n in range(1, 64 if LONG else 6):
        r, happened, where = run(folder, call, n, error, "-m", "16", "-nographic", "-nic", "user", "--flat", "0x100000", f"{GUESTS}/hello.bin")
        assert r.returncode != 0 or "hello" in r.stdout or call == "write", where         # the console has failed, then
        if not happened and r.returncode == 0 and not r.stderr:
            return n - 1
    return n


def boots(folder, call, n):
    """It loads a kernel over the network; or it says that the cable is out, or that it did not start."""
    r, _, where = run(folder, call, n, faults_calls.CALLS.get(call, errno.EIO), "-m", "64", "-vga", "none", "-display", "none", "-serial", "stdio",
                      "-monitor", "none", "-boot", "n,reboot-timeout=1000", "-bios", BIOS, "-nic", f"user,tftp={folder},bootfile=boot.ipxe")
    assert "KiB above 1 MiB" in r.stdout or r.stderr or "reboot" in r.stdout.lower(), where


def main():
    rom = "/usr/lib/ipxe/qemu/pxe-e1000.rom"
    need_all(BIOS, rom)
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/boot.ipxe", "w", encoding="ascii") as f:
            f.write("#!ipxe\nkernel multiboot.bin\nboot\n")
        with open(f"{GUESTS}/multiboot.bin", "rb") as f, open(f"{folder}/multiboot.bin", "wb") as to:
            to.write(f.read())
        for call, error in faults_calls.CALLS.items():
            total += starts(folder, call, error)
        print(f"{total} faults while it starts", flush=True)
        for call in WHILE_IT_RUNS:
            for n in (1, 2, 3, 5, 9, 17, 33, 65) if LONG else (3, 17):
                boots(folder, call, n)
                total += 1
        print(f"{total} faults injected")


if __name__ == "__main__":
    main()
