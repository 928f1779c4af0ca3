#!/usr/bin/env python3
"""kill -9 at any moment while a guest writes: what it was told is on the disk is there, and the image is sound.

usage: kills.py PLEX86 RECORDS TIMES. Half of them with raw images, half with qcow2; the disk of one run is the next one's.
"""
import os
import random
import subprocess
import sys
import tempfile

import records

PLEX86, GUEST, TIMES = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = random.Random(int.from_bytes(os.urandom(4), "little"))


def one(disk, fmt):
    """Killed after some announcement, or somewhere behind it. Returns what the guest said."""
    p = subprocess.Popen([PLEX86, "run", "-m", "16", "-nographic", "-drive", f"file={disk},format={fmt}", "--flat", "0x100000", GUEST],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text, after = b"", rng.randrange(1, 400)
    while text.count(b"\n") < after:
        more = os.read(p.stdout.fileno(), 4096)
        assert more, text
        text += more
    for _ in range(rng.randrange(0, 20000)):        # and not only when it has just spoken
        pass
    p.kill()
    while more := os.read(p.stdout.fileno(), 65536):
        text += more
    p.wait()
    text = text[:text.rfind(b"\n") + 1].decode()
    assert "no disk" not in text and "\ne " not in text, text
    return text


def main():
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for fmt in ("raw", "qcow2"):
            disk = os.path.join(folder, "disk." + fmt)
            for i in range(TIMES // 2):
                if i % 10 == 0:         # a fresh one: qcow2's clusters are given out as they are written
                    records.make_disk(disk, fmt, 0x7FFFFFFF, PLEX86)
                text = one(disk, fmt)
                wrong = records.problems(disk, fmt, text, PLEX86)
                assert not wrong, f"{fmt}, kill {i}: {wrong}"
                total += len(records.said_written(text)[0])
    print(f"{TIMES // 2 * 2} kills, {total} records written, all of them there")


if __name__ == "__main__":
    main()
