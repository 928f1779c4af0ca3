#!/usr/bin/env python3
"""How fast disk and screen are for a guest: plex86 beside QEMU TCG, one after the other in the same run.

usage: devices.py PLEX86 [ROUNDS]. Debian's kernel (tools/guests) reads a raw IDE disk from its first byte by dd, in
blocks of 1 MiB, from the host's cache; a program (screen.c) fills the graphics card's linear frame buffer.
The checksum of what was read is compared with the host's. Figures are MB/s of guest time, the median of the rounds.
"""
import hashlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
from harness import KERNEL, ROOT, initramfs, modules  # noqa: E402

PLEX86 = os.path.abspath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
MODULES = "crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi scsi_common scsi_mod libata ata_piix sd_mod".split()
MIB = 128
SCRIPT = """#!/bin/sh
now() { cut -d" " -f1 /proc/uptime; }
cd /mods
for m in %s; do insmod $m.ko; done
while ! [ -b /dev/sda ]; do sleep 1; done
echo "sum $(dd if=/dev/sda bs=1M count=%d 2>/dev/null | md5sum)"
card=/sys/bus/pci/devices/0000:00:02.0
echo 1 >$card/enable
at=$(head -n 1 $card/resource | cut -d" " -f1)
for i in %s; do
	echo 3 >/proc/sys/vm/drop_caches
	begin=$(now)
	dd if=/dev/sda of=/dev/null bs=1M count=%d 2>/dev/null
	echo "disk $begin $(now)"
	./screen $at 8 8
done
""" % (" ".join(MODULES), MIB, " ".join(map(str, range(ROUNDS))), MIB)


def screen_program(folder):
    program = os.path.join(folder, "screen")
    subprocess.run(["gcc", "-m32", "-static", "-O2", "-o", program, os.path.join(ROOT, "bench/screen.c")], check=True)
    with open(program, "rb") as f:
        return f.read()


def run(command, folder):
    command += ["-m", "256", "-vga", "std", "-display", "none", "-kernel", KERNEL, "-initrd",
                os.path.join(folder, "initrd"), "-append", "console=ttyS0 quiet job=/mods/go iomem=relaxed", "-serial", "stdio",
                "-drive", "format=raw,file=" + os.path.join(folder, "disk"), "-no-reboot"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
    text = done.stdout.decode("latin-1").replace("\r", "")
    disk = [MIB * 1.048576 / (float(e) - float(b)) for b, e in re.findall(r"disk ([\d.]+) ([\d.]+)", text)]
    stores, stosd = ([float(v) for v in re.findall(w + r" ([\d.]+)", text)] for w in ("stores", "stosd"))
    if not len(disk) == len(stores) == len(stosd) == ROUNDS:
        sys.exit("%s: %s" % (command[0], text[-2000:]))
    return text, *map(statistics.median, (disk, stores, stosd))


def main():
    with tempfile.TemporaryDirectory(prefix="plex86-speed-") as folder:
        initramfs(os.path.join(folder, "initrd"), {"mods/screen": screen_program(folder), "mods/go": SCRIPT.encode(), **modules(MODULES)})
        data = random.Random(1).randbytes(MIB << 20)
        with open(os.path.join(folder, "disk"), "wb") as f:
            f.write(data)
        want = hashlib.md5(data).hexdigest()
        for name, command in (("QEMU TCG", [shutil.which("qemu-system-i386") or "", "-accel", "tcg", "-net", "none"]), ("plex86", [PLEX86, "run"])):
            if not command[0]:
                continue
            text, disk, stores, stosd = run(command, folder)
            if want not in text:
                sys.exit("%s: what was read is not what is on the disk: %s" % (name, text[-600:]))
            print("%-10s disk %7.1f MB/s   frame buffer: stores %7.1f MB/s, REP STOSD %7.1f MB/s" % (name, disk, stores, stosd))


if __name__ == "__main__":
    main()
