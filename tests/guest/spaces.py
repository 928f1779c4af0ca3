#!/usr/bin/env python3
"""Every check of guest/spaces holds, and both engines say the same.         usage: spaces.py PLEX86 GUEST [lockstep]

lockstep: instead of one after the other, side by side, compared after every block.
"""
import re
import subprocess
import sys

PARTS = ["tables", "linear", "spaces"]


def console(plex86, guest, engine, *options):
    done = subprocess.run([plex86, "run", "-no-reboot", "-nographic", "-m", "128", "--engine", engine, *options, "--flat",
                           "0x100000", guest], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=500, check=False)
    text = done.stdout.decode(errors="replace")
    print(f"--- {engine}\n{text}")
    parts = re.findall(r"^ok (\w+): checks [0-9a-f]{8}$", text, re.M)
    if parts != PARTS or not re.search(r"^PASSED$", text, re.M) or done.returncode != 0:
        print(f"parts that passed: {', '.join(parts)}; status {done.returncode}")
        return None
    return text


def main():
    if sys.argv[3:] == ["lockstep"]:
        text = console(*sys.argv[1:4], "--clock", "instructions")
        if text is None or not re.search(r"^lock-step: \d{6,} blocks, \d+ instructions compared, 0 differences", text, re.M):
            sys.exit("a check failed, or there were differences")
        return
    emulated, scanned = (console(*sys.argv[1:3], engine) for engine in ("emulate", "scan"))
    if emulated is None or emulated != scanned:
        sys.exit("a check failed, or the engines differ")


if __name__ == "__main__":
    main()
