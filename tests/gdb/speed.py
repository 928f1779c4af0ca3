#!/usr/bin/env python3
"""How fast a guest is under the debugger: the figures of docs/debugging.md. No test.

usage: speed.py PLEX86 [ENGINE]      Boots Debian's kernel to a shell each time; needs the guests that tools/guests fetches.
"""
import os
import subprocess
import sys
import tempfile
import time

from linux_test import PROMPT, kernel_symbols, machine
from rsp import Rsp


def address(elf, name):
    text = subprocess.run(["nm", elf], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in text.splitlines() if line.endswith(" " + name))


def boot(plex86, engine, prepare):
    with tempfile.TemporaryDirectory() as folder:
        m, console = machine(plex86, folder, engine, True)
        r = Rsp(m.socket)
        r.no_acks()
        prepare(r)
        begin = time.monotonic()
        r.send("c")
        console.wait(PROMPT)
        took = time.monotonic() - begin
        m.close()
        return took


def point(kind, at, length):
    return lambda r: r.say("Z%u,%x,%u" % (kind, at, length))


def main():
    plex86, engine = os.path.abspath(sys.argv[1]), (sys.argv[2:] or ["scan"])[0]
    with tempfile.TemporaryDirectory() as folder:
        elf = kernel_symbols(plex86, folder)
        hot = address(elf, "kmem_cache_alloc")
        print("boot to a shell, %s engine, seconds:" % engine)
        print("  no breakpoint                                %6.1f" % boot(plex86, engine, lambda r: None))
        print("  one in a page that is never run              %6.1f" % boot(plex86, engine, point(0, 0xCFFFF000, 1)))
        print("  one beside kmem_cache_alloc, never reached   %6.1f" % boot(plex86, engine, point(0, hot - 1, 1)))
        print("  a watchpoint on memory that is never touched %6.1f" % boot(plex86, engine, point(2, 0xFFF00000, 4)))
        m, _ = machine(plex86, folder, engine, True)
        r = Rsp(m.socket)
        r.no_acks()
        begin, steps = time.monotonic(), 5000
        for _ in range(steps):
            r.say("s")
        print("single steps a second: %.0f" % (steps / (time.monotonic() - begin)))
        r.say("Z0,%x,1" % address(elf, "start_kernel"))
        r.say("c")
        r.say("z0,%x,1" % address(elf, "start_kernel"))
        r.say("Z0,%x,1" % hot)
        begin, stops = time.monotonic(), 1000
        for _ in range(stops):
            r.say("c")
            r.say("s")
        print("breakpoints stopped at and stepped over, a second: %.0f" % (stops / (time.monotonic() - begin)))
        m.close()


if __name__ == "__main__":
    main()
