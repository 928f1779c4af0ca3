#!/usr/bin/env python3
"""A guest that is never done with its exceptions: the monitor still answers, keeps time and ends when it is told to.

usage: storm.py PLEX86 ENGINE DEBUG_STORM
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

PLEX86, ENGINE, STORM = sys.argv[1:4]
LIMIT_S = 250


def monitor(path, *command):
    return subprocess.run([PLEX86, "monitor", path, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S,
                          check=True).stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        control = os.path.join(folder, "qmp")
        p = subprocess.Popen([PLEX86, "run", "-nographic", "--engine", ENGINE, "-qmp", f"unix:{control},server=on,wait=off", "--flat", "0x20000",
                              "--mode", "real", STORM], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            assert p.stdout.read(1) == b"!"
            end = time.monotonic() + LIMIT_S
            seen = set()
            while len(seen) < 3 and time.monotonic() < end:     # its stack moves: it is at it, not stuck
                text = monitor(control, "info", "registers")
                seen.add(text[text.index("ESP="):][:12])
            assert len(seen) == 3, text
            p.send_signal(signal.SIGTERM)
            assert p.wait(LIMIT_S) == 128 + signal.SIGTERM
        finally:
            p.kill()
            p.wait()


if __name__ == "__main__":
    main()
