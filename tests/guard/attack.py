#!/usr/bin/env python3
"""Guests that mean harm: every attack ends as the architecture says, and the host gives no more than it should.

usage: attack.py PLEX86 ENGINE ATTACK RECURSION CR3_HOLE [OPTION...]

While guest/attack runs, the process's memory (Pss: pages of the guest that are mapped twice count once), threads,
descriptors and mappings are read from /proc. The limits are docs/security.md's.
"""
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

PLEX86, ENGINE, ATTACK, RECURSION, CR3_HOLE = sys.argv[1:6]
OPTIONS = sys.argv[6:]
PARTS = ["middle", "borders", "stores", "rewrite", "selfmap", "million", "recursion", "blocks", "floppy", "floods", "control", "chips"]
LEAST = {"middle": 19200, "stores": 150000, "floppy": 180, "control": 500000, "chips": 1000, "rewrite": 90000, "selfmap": 300000, "million": 1 << 20}
RAM_MIB, OVERHEAD_MIB, THREADS, DESCRIPTORS = 128, 256, 8, 32
LIMIT_S = 900


def readable(pid):
    return os.access(f"/proc/{pid}/smaps_rollup", os.R_OK)


def sample(pid, most):
    """What the process has now, into the most it ever had."""
    try:
        with open(f"/proc/{pid}/status") as f:
            now = {"threads": int(re.search(r"^Threads:\s*(\d+)", f.read(), re.M).group(1))}
        now["descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/maps") as f:
            maps = f.readlines()
        now["mappings"] = len(maps)
        now["writable and executable"] = sum(" rwx" in line for line in maps)
        with open(f"/proc/{pid}/smaps_rollup") as f:
            now["memory_kib"] = int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1))
    except (OSError, AttributeError):
        return                          # it has just ended
    for name, value in now.items():
        most[name] = max(most.get(name, 0), value)


def attacked(folder):
    disk, most = os.path.join(folder, "disk.img"), {}
    floppy = os.path.join(folder, "floppy.img")
    for path, sectors in ((disk, 2048), (floppy, 2880)):
        with open(path, "wb") as f:     # sector n, run as code, returns n
            for n in range(sectors):
                f.write((b"\xB8" + struct.pack("<I", n) + b"\xC3").ljust(512, b"\xCC"))
    # A confined process shows itself to root only.
    sandbox = [] if os.geteuid() == 0 else ["--sandbox=off"]
    with open(os.path.join(folder, "said"), "w+") as said:
        p = subprocess.Popen([PLEX86, "run", "-no-reboot", "-nographic", "-m", str(RAM_MIB), "--engine", ENGINE, *OPTIONS, *sandbox,
                              "-vga", "std", "-drive", f"file={disk},format=raw", "-drive", f"if=floppy,file={floppy},format=raw", "--flat", "0x100000", ATTACK], stdin=subprocess.DEVNULL,
                             stdout=said, stderr=subprocess.STDOUT)
        end = time.monotonic() + LIMIT_S
        try:
            while p.poll() is None and time.monotonic() < end:
                sample(p.pid, most)
                time.sleep(0.05)
        finally:
            p.kill()
        status = p.wait()
        said.seek(0)
        return status, said.read(), most


def ends_in_triple_fault(guest):
    done = subprocess.run([PLEX86, "run", "-no-reboot", "-nographic", "--engine", ENGINE, *OPTIONS, "--flat", "0x100000", guest],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 3 and "plex86: triple fault\n" in done.stderr, (guest, done)


def main():
    for guest in (RECURSION, CR3_HOLE):
        ends_in_triple_fault(guest)
    with tempfile.TemporaryDirectory() as folder:
        status, said, most = attacked(folder)
    print(said)
    parts = dict(re.findall(r"^ok (\w+): checks ([0-9a-f]{8})$", said, re.M))
    assert list(parts) == PARTS and re.search(r"PASSED\n(verify-code: \d+ blocks, 0 violations.*\n)?$", said) and status == 0, (list(parts), status)
    for name, least in LEAST.items():
        assert int(parts[name], 16) >= least, name
    print(most)
    with open("/proc/sys/vm/max_map_count") as f:
        mappings = int(f.read())
    assert most["memory_kib"] <= (RAM_MIB + OVERHEAD_MIB) * 1024, most
    assert most["writable and executable"] == 0, most
    assert most["threads"] <= THREADS and most["descriptors"] <= DESCRIPTORS and most["mappings"] < mappings * 3 // 4, most


if __name__ == "__main__":
    main()
