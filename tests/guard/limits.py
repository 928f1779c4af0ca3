#!/usr/bin/env python3
"""Limits of the host, from nearly nothing upwards: a machine runs, or one line says what it lacks; the image is sound.

usage: limits.py PLEX86 RECORDS

For each resource the least that is tried is refused and the most is enough, else the limit was none. Descriptors, address space,
processes, queued signals, the size of files; file systems that are full are tests/disk's, memory that goes away no_memory.py's.
"""
import os
import resource
import subprocess
import sys
import tempfile

import records

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Qmp  # noqa: E402

PLEX86, GUEST = (os.path.abspath(p) for p in sys.argv[1:3])
MIB = 1 << 20
NOBODY = 65534
COUNT = 24


def start(folder, disk, limits, fmt="qcow2", *options):
    uid = NOBODY if os.geteuid() == 0 and resource.RLIMIT_NPROC in limits else None

    def lower():
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        for what, value in limits.items():
            hard = resource.getrlimit(what)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(what, (value, value))
    return subprocess.Popen([PLEX86, "run", "-no-reboot", "-m", "16", "-nographic", "-drive", f"file={disk},format={fmt},werror=report",
                             *options, "--flat", "0x100000", GUEST], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, cwd=folder, preexec_fn=lower)


def make(folder, count, fmt="qcow2"):
    disk = os.path.join(folder, "disk")
    records.make_disk(disk, fmt, count, PLEX86)
    os.chmod(folder, 0o777)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o666)
    return disk


def runs(what, value):
    """Does it, with so much? Or it was told why not, in a line."""
    with tempfile.TemporaryDirectory() as folder:
        disk = make(folder, COUNT)
        p = start(folder, disk, {what: value})
        out, err = p.communicate(timeout=300)
        where = f"limit {what} at {value}: status {p.returncode}, {err!r}"
        if p.returncode == 127 and "shared libraries" in err:       # it was not even loaded
            return False
        assert p.returncode in (0, 1), where
        wrong = records.problems(disk, "qcow2", out, PLEX86)
        assert not wrong, f"{where}\n{wrong}"
        if p.returncode == 1:
            assert err.startswith("plex86: ") and err.count("\n") == 1, where
            return False
        written, refused = records.said_written(out)
        assert written == list(range(1, COUNT + 1)) and not refused and not err, where
        return True


def tried(name, what, values):
    got = [runs(what, v) for v in values]
    print(name, dict(zip(values, got)), flush=True)
    assert not got[0] and got[-1], name


def file_too_large(fmt):
    """The limit comes while it runs, before its file is as long: SIGXFSZ would end it. What did not fit the guest was refused, the rest is there."""
    with tempfile.TemporaryDirectory() as folder:
        disk = make(folder, 3000, fmt)
        qmp = os.path.join(folder, "qmp")
        p = start(folder, disk, {}, fmt, "-S", "-qmp", f"unix:{qmp},server=on,wait=off")
        machine = Qmp(qmp, p)
        limit = os.path.getsize(disk) + 6 * 65536 if fmt == "qcow2" else 300 * 512       # of 16 clusters
        resource.prlimit(p.pid, resource.RLIMIT_FSIZE, (limit, limit))
        machine.cmd("cont")
        out = p.stdout.read()
        err = p.stderr.read()
        p.wait(300)
        written, refused = records.said_written(out)
        print("size of files,", fmt, len(written), "written", len(refused), "refused", flush=True)
        assert p.returncode == 0 and out.endswith("done\n"), (p.returncode, err)
        assert len(written) >= 18 and refused and len(written) + len(refused) == 3000, (len(written), len(refused))
        wrong = records.problems(disk, fmt, out, PLEX86)
        assert not wrong, wrong


def main():
    tried("address space", resource.RLIMIT_AS, [8 * MIB, 24 * MIB, 64 * MIB, 128 * MIB, 200 * MIB, 400 * MIB, 4000 * MIB])
    tried("descriptors", resource.RLIMIT_NOFILE, [3, 4, 5, 6, 8, 10, 16, 64])
    tried("queued signals", resource.RLIMIT_SIGPENDING, [0, 1, 100000])
    if os.geteuid() == 0 and os.access("/proc/1", os.R_OK):         # nobody's processes are few, so that the count is ours
        tried("processes", resource.RLIMIT_NPROC, [0, 1, 2, 3, 100000])
    file_too_large("qcow2")
    file_too_large("raw")


if __name__ == "__main__":
    main()
