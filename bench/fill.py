#!/usr/bin/env python3
"""How fast a real-mode program fills a VGA's screen: plex86 beside QEMU TCG, in turns.

usage: fill.py PLEX86 PROGRAM [ROUNDS]      PROGRAM: build/bench/guest/fill.bin. Figures are millions of pixels for each
second of the monitor's CPU time, all threads, so that a busy host does not decide; the median of the rounds.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command):
    """{kind: pixels a CPU second}. A line begins when its kind does, and ends with it."""
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    got, line, begin = {}, b"", 0.0
    while (byte := p.stdout.read(1)):
        if byte == b" " and b" " not in line and not begin:
            begin = cpu_seconds(p.pid)
        if byte != b"\n":
            line += byte
            continue
        words = line.split()
        if len(words) == 4:
            got[words[0].decode()] = int(words[1]) * int(words[2]) / (cpu_seconds(p.pid) - begin)
        line, begin = b"", 0.0
    if p.wait() != 1 or not got:
        sys.exit(f"{command[0]}: status {p.returncode}")
    return got


def main():
    plex86, program = sys.argv[1:3]
    disk = tempfile.NamedTemporaryFile()        # its geometry is of a disk with cylinders
    with open(program, "rb") as f:
        disk.write(f.read())
    disk.truncate(1 << 20)
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    drive = ["-m", "16", "-display", "none", "-vga", "std", "-serial", "stdio", "-drive", f"file={disk.name},format=raw,snapshot=on", *EXIT]
    commands = {"plex86": [plex86, "run", "--sandbox=off", *drive]}     # or its threads' times could not be read
    if shutil.which("qemu-system-i386"):
        commands["QEMU TCG"] = ["qemu-system-i386", "-accel", "tcg", "-net", "none", *drive]
    results = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            results[name].append(run(command))
    print("%-30s" % "million pixels a CPU second", *("%10s" % n for n in commands))
    for kind in results["plex86"][0]:
        print("%-30s" % kind, *("%10.1f" % (statistics.median(r[kind] for r in results[n]) / 1e6) for n in commands))


if __name__ == "__main__":
    main()
