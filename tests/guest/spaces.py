#!/usr/bin/env python3
"""Every check of guest/spaces holds, and both engines say the same.         usage: spaces.py PLEX86 GUEST"""
import re
import subprocess
import sys

PARTS = ["tables", "linear", "spaces"]


def console(plex86, guest, engine):
    done = subprocess.run([plex86, "run", "-no-reboot", "-nographic", "-m", "128", "--engine", engine, "--flat", "0x100000",
                           guest], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100,
                          check=False)
    text = done.stdout.decode(errors="replace")
    print(f"--- {engine}\n{text}")
    parts = re.findall(r"^ok (\w+): checks [0-9a-f]{8}$", text, re.M)
    if parts != PARTS or not text.endswith("PASSED\n") or done.returncode != 0:
        print(f"parts that passed: {', '.join(parts)}; status {done.returncode}")
        return None
    return text


def main():
    emulated, scanned = (console(*sys.argv[1:3], engine) for engine in ("emulate", "scan"))
    if emulated is None or emulated != scanned:
        sys.exit("a check failed, or the engines differ")


if __name__ == "__main__":
    main()
