#!/usr/bin/env python3
"""Linux under a mixed load for a long time: work like a compiler's, forks, code that changes itself, timers.

usage: soak.py PLEX86 BENCH_GUEST SECONDS [KERNEL [OPTION OF PLEX86...]]

Nothing may fault in the guest, no result may differ between rounds, the guest's clock must go with the host's,
and the monitor's own memory must not grow once it is warm.
"""
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import monitors     # which finds the harness, too
from harness import initramfs

# Each runs over and over beside the others; all print what they found.
LOADS = {
    "compile": "lz sha256 quicksort interpreter bignum small_file map_file shell_loop",
    "forks": "fork_exit fork_exec pipe_ping_pong page_fault getppid sigusr1 sigsegv",
    "jit": "jit_patch jit_data jit_emit nbody_x87 matmul_sse2 mix",
}
BAD = re.compile(r"segfault|Oops|BUG:|Call Trace|general protection|soft lockup|rcu.*stall|Out of memory|marked unstable|"
                 r"trap invalid opcode|bench-guest: ")
SLACK_S = 15        # the host's own lateness in reading what the guest says
GROWTH_KIB = 24 << 10


def job():
    lines = ["#!/bin/sh"]
    for name, workloads in LOADS.items():
        lines.append(f"mkdir -p /tmp/{name}")
        lines.append(f"while :; do /soak/bench-guest -t 100 -d /tmp/{name} -b /bin/busybox {workloads} | sed 's/^/@{name} /'; done &")
    lines.append("while :; do sleep 0.01; done &")
    lines.append("while :; do read up idle </proc/uptime; echo @up $up $(date +%s); sleep 5; done")
    return "\n".join(lines) + "\n"


def private_kib(pid):
    """Memory that is the monitor's own; the guest's and the code cache are shared mappings."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


class Soak:
    def __init__(self, command):
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.bad, self.clock, self.rounds, self.tail, self.sums = [], [], {}, [], {}

    def look(self, line):
        self.tail = self.tail[-40:] + [line]
        if BAD.search(line):
            self.bad.append(line)
        up = re.match(r"@up ([0-9.]+) (\d+)", line)
        if up:
            self.clock.append((time.monotonic(), float(up[1]), int(up[2])))
        result = re.match(r"@\w+ (\w+) .*checksum=(\w+)", line)
        if result and self.sums.setdefault(result[1], result[2]) != result[2]:
            self.bad.append(f"{line} (it was {self.sums[result[1]]} before)")
        done = re.match(r"@(\w+) @done", line)
        if done:
            self.rounds[done[1]] = self.rounds.get(done[1], 0) + 1

    def read(self):
        for raw in self.child.stdout:
            self.look(raw.decode(errors="replace").rstrip())

    def run(self, seconds):
        reader = threading.Thread(target=self.read, daemon=True)
        reader.start()
        sizes, begin = [], time.monotonic()
        while time.monotonic() - begin < seconds and not self.bad and self.child.poll() is None:
            time.sleep(5)
            if len(self.clock) > 1 and self.child.poll() is None:
                sizes.append(private_kib(self.child.pid))
        alive = self.child.poll() is None
        self.child.kill()
        reader.join()
        return alive, sizes


def main():
    plex86, bench_guest, seconds, *rest = sys.argv[1:]
    kernel, options = (rest or ["686"])[0], rest[1:]
    with tempfile.TemporaryDirectory() as name:
        initrd = initramfs(Path(name) / "initrd", {"soak/bench-guest": Path(bench_guest).read_bytes(), "soak/job": job().encode()})
        command = monitors.command(plex86, kernel, "console=ttyS0 job=/soak/job", extra=options, initrd=str(initrd))
        soak = Soak(command)
        alive, sizes = soak.run(int(seconds))
    log = "\n".join(soak.tail)
    if soak.bad or not alive:
        sys.exit(f"after {len(sizes) * 5} s: {soak.bad[:5] or 'plex86 has ended'}; the log ends:\n{log}")
    if len(soak.clock) < 3 or set(soak.rounds) != set(LOADS):
        sys.exit(f"too little was done: {soak.rounds}, {len(soak.clock)} looks at the clock; the log ends:\n{log}")
    (h0, u0, d0), (h1, u1, d1) = soak.clock[0], soak.clock[-1]
    host, drift = h1 - h0, max(abs((u1 - u0) - (h1 - h0)), abs((d1 - d0) - (h1 - h0)))
    third = len(sizes) // 3
    growth = max(sizes[2 * third:]) - max(sizes[third:2 * third] or sizes)
    print(f"{host:.0f} s: rounds {soak.rounds}, {len(soak.sums)} programs with the same results every time; the guest's clock is off by {drift:.1f} s; "
          f"the monitor's own memory {sizes[0]} to {max(sizes)} KiB, {growth:+d} KiB in the last third")
    if drift > SLACK_S + host * 0.01:
        sys.exit("the guest's clock does not go with the host's")
    if growth > GROWTH_KIB:
        sys.exit("the monitor's memory grows")


if __name__ == "__main__":
    main()
