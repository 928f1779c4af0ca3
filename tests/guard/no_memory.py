#!/usr/bin/env python3
"""The host has no page left when the guest touches one: a clear line and status 2.       usage: no_memory.py PLEX86 ENGINE ECHO

The kernel says so by SIGBUS, as it does for a file that is shorter than its mapping: here the file behind guest memory is cut.
"""
import os
import subprocess
import sys

PLEX86, ENGINE, ECHO = sys.argv[1:4]

# A confined process shows its descriptors to root only.
sandbox = [] if os.geteuid() == 0 else ["--sandbox=off"]
p = subprocess.Popen([PLEX86, "run", "-nographic", "--engine", ENGINE, *sandbox, "--flat", "0x100000", ECHO], stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
assert p.stdout.readline() == b"ready\n"
fds = f"/proc/{p.pid}/fd"
memory = [fd for fd in os.listdir(fds) if os.readlink(f"{fds}/{fd}").startswith("/memfd:plex86-guest")]
assert len(memory) == 1, memory
os.truncate(f"{fds}/{memory[0]}", 0)
_, err = p.communicate(b"abc", timeout=250)
err = err.decode()
assert p.returncode == 2 and err.startswith("plex86: the host has no memory left for the guest") and err.count("\n") == 1, (p.returncode, err)
