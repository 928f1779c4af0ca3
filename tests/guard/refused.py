#!/usr/bin/env python3
"""On a host that refuses seccomp filters: one clear line and on, or with strict no start.

usage: refused.py NO_SECCOMP PLEX86 GUEST
"""
import subprocess
import sys

NO_SECCOMP, PLEX86, GUEST = sys.argv[1:4]


def run(*options):
    done = subprocess.run([NO_SECCOMP, PLEX86, "run", "-nographic", *options, "--flat", "0x100000", GUEST],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode == 77:
        sys.exit(77)
    return done.returncode, done.stdout, done.stderr


status, out, err = run()
assert (status, out) == (0, "hello from ring 0\n"), (status, out, err)
assert err.count("\n") == 1 and "this host refuses seccomp filters (Invalid argument)" in err, err
assert run("--sandbox=off") == (0, "hello from ring 0\n", "")
status, out, err = run("--sandbox=strict")
assert (status, out) == (1, "") and err.startswith("plex86: --sandbox strict: this host refuses seccomp filters"), (status, out, err)
assert err.count("\n") == 1, err
