#!/usr/bin/env python3
"""How much slower a machine is beside one that attacks: alone, beside, alone, ... in turn, by the median.

usage: neighbour.py PLEX86 ATTACK [ROUNDS]

Needs two processors that nobody else uses; it asserts nothing. The measured machine runs a fixed number of instructions.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

PLEX86, ATTACK = sys.argv[1:3]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
# 1: mov ecx, 100,000,000; 2: add eax, ecx; xor [esp], eax; dec ecx; jnz; then power off.
WORK = bytes.fromhex("b900e1f505" "01c8" "310424" "49" "75f8" "66ba0406" "66b80020" "66ef" "f4ebfd")


def command(program, *args):
    return [PLEX86, "run", "-nographic", "-no-reboot", "-m", "128", *args, "--flat", "0x100000", program]


def measured(work):
    begin = time.monotonic()
    subprocess.run(command(work), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


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
    a, b = statistics.median(alone), statistics.median(beside)
    print(f"alone {a:.2f} s, beside an attacker {b:.2f} s: {b / a:.2f} times ({ROUNDS} rounds, {os.cpu_count()} processors)")


if __name__ == "__main__":
    main()
