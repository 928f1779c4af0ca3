#!/usr/bin/env python3
"""How much slower a machine is beside one that attacks: alone, beside, alone, ... in turn, by the median.

usage: neighbour.py PLEX86 ATTACK [ROUNDS]

The measured machine runs a fixed number of instructions. Its time by the clock says what it needs if two processors are free; its
processor time says what the neighbour takes from it by way of caches, memory and the kernel, however busy the host is. It asserts nothing.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

PLEX86, ATTACK = sys.argv[1:3]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
# mov ecx, 100,000,000; 1: a random eax; add it to a dword of 8 MiB: what caches are for; dec ecx; jnz 1; then power off.
WORK = bytes.fromhex("b900e1f505" "69c00d661900" "055ff36e3c" "89c2" "c1ea09" "81e2fcff7f00" "018200008000" "49" "75e1" "66ba0406"
                     "66b80020" "66ef" "f4ebfd")


def command(program, *args):
    return [PLEX86, "run", "-nographic", "-no-reboot", "-m", "128", *args, "--flat", "0x100000", program]


def measured(work):
    """Seconds by the clock, and of processor time."""
    begin = time.monotonic()
    p = subprocess.Popen(command(work), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 0
    return time.monotonic() - begin, used.ru_utime + used.ru_stime


def main():
    alone, beside = [], []
    with tempfile.TemporaryDirectory() as folder:
        work, disk = os.path.join(folder, "work.bin"), os.path.join(folder, "disk.img")
        with open(work, "wb") as f:
            f.write(WORK)
        with open(disk, "wb") as f:
            f.truncate(1 << 20)
        for _ in range(ROUNDS):
            alone.append(measured(work))
            attacker = subprocess.Popen(command(ATTACK, "-drive", f"file={disk},format=raw"), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                beside.append(measured(work))
            finally:
                attacker.kill()
                attacker.wait()
    for what, i in (("by the clock", 0), ("processor time", 1)):
        a, b = (statistics.median(t[i] for t in times) for times in (alone, beside))
        print(f"{what}: alone {a:.2f} s, beside an attacker {b:.2f} s: {b / a:.2f} times ({ROUNDS} rounds, {os.cpu_count()} processors, "
              f"load {os.getloadavg()[0]:.1f})")


if __name__ == "__main__":
    main()
