#!/usr/bin/env python3
"""plex86 without meters (-Dmeters=false): it builds, runs guests, says what it lacks, and nothing is left in it.

usage: without.py SOURCES GUESTS      GUESTS: the folder of our flat guest programs
"""
import os
import re
import subprocess
import sys
import tempfile


def run(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)


def must(done, what):
    if done.returncode != 0:
        sys.exit(f"{what}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def main():
    sources, guests = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        build = os.path.join(folder, "build")
        must(run("meson", "setup", "-Dmeters=false", build, sources), "meson setup")
        must(run("ninja", "-j2", "-C", build, "plex86", "tests/test-scan", "tests/test-dev-bus", "tests/test-meter"), "ninja")
        plex86 = os.path.join(build, "plex86")
        for test in ("scan", "dev-bus", "meter"):
            must(run(os.path.join(build, "tests", "test-" + test)), test)
        env = dict(os.environ, XDG_RUNTIME_DIR=folder)
        for engine in ("scan", "emulate"):
            for guest in ("hello", "count", "stress", "timer"):
                must(run(plex86, "run", "--engine", engine, "--flat", "0x100000", os.path.join(guests, guest + ".bin"), "-nographic",
                         "-m", "16", env=env, timeout=300), f"{guest}, {engine}")
        flat = [plex86, "run", "--flat", "0x100000", os.path.join(guests, "hello.bin"), "-nographic"]
        for options in (["--metrics", ":9100"], ["--meter-log", os.path.join(folder, "log")], ["--meter-instructions"]):
            done = run(*flat, *options, env=env)
            if done.returncode != 1 or "built without meters" not in done.stderr:
                sys.exit(f"{options}: status {done.returncode}, {done.stderr}")
        # What counts is in struct meters: the names its code would have are not there.
        names = must(run("nm", plex86), "nm")
        left = re.findall(r"(?m)^\S+ [tTdDbB] (meter_(?:start|switch|times|ring_look|span_\w+|device_\w+))$", names)
        if left:
            sys.exit(f"left in the program: {left}")
        if "meter_table" not in names:
            sys.exit("this is not how names are looked for")
    print("built without meters")


if __name__ == "__main__":
    main()
