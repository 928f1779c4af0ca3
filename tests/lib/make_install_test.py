#!/usr/bin/env python3
"""`make install` as its user types it: the program runs, pkg-config finds the library, man finds the pages.

usage: make_install_test.py SOURCES GUESTS      builds in a folder of its own. docs/embedding.md's shortest program is what is compiled.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import check, check_in, need, path, run_tests, sh, test  # noqa: E402

SOURCES, GUESTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
scratch = tempfile.TemporaryDirectory(prefix="plex86-make-")


def installed(prefix, *more):
    """The names of what was installed, all below the scratch folder."""
    out = sh("make", "-s", "install", "BUILD=" + os.path.join(scratch.name, "build"), "PREFIX=" + prefix, *more, cwd=SOURCES, stdin=subprocess.DEVNULL)
    top = "".join(m[len("DESTDIR="):] for m in more) + prefix
    check(out.decode().splitlines()[-1], "installed below " + top)
    return {os.path.relpath(os.path.join(folder, f), top) for folder, _, files in os.walk(top) for f in files}


def pc_of(prefix):
    return next(os.path.join(folder, "plex86.pc") for folder, _, files in os.walk(prefix) if "plex86.pc" in files)


FILES = {"bin/plex86", "include/plex86.h", "share/man/man1/plex86.1", "share/man/man3/plex86.3"}


@test
def a_prefix_of_ones_own_has_a_program_that_runs_a_library_that_is_found_and_pages_that_are_shown():
    prefix = path("usr")
    check(FILES - installed(prefix), set())
    check_in("plex86 0.", sh(prefix + "/bin/plex86", "--version").decode())
    check(sh(prefix + "/bin/plex86", "--flat", "0x100000", os.path.join(GUESTS, "hello.bin"), stdin=subprocess.DEVNULL), b"hello from ring 0\n")
    with open(os.path.join(SOURCES, "docs/embedding.md"), encoding="utf-8") as f:
        program = re.search(r"```c\n(#include <plex86.h>.*?)```", f.read(), re.S)[1]
    with open(path("prog.c"), "w", encoding="utf-8") as f:
        f.write(program)
    libs = os.path.dirname(os.path.dirname(pc_of(prefix)))
    env = dict(os.environ, PKG_CONFIG_PATH=libs + "/pkgconfig", LD_LIBRARY_PATH=libs)
    sh("sh", "-c", "cc prog.c $(pkg-config --cflags --libs plex86)", cwd=path(), env=env)
    check(sh("./a.out", cwd=path(), env=env), b"the guest halted, eax = 42\n")


@test
def the_pages_are_shown_without_a_warning():
    need("man")
    prefix = path("usr")
    installed(prefix)
    for section in "13":
        shown = subprocess.run(["man", "-M", prefix + "/share/man", "--warnings", section, "plex86"], stdin=subprocess.DEVNULL, capture_output=True,
                               text=True, env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="100"), check=False)
        check((shown.returncode, shown.stderr), (0, ""))
        check_in("PLEX86(%s)" % section, shown.stdout)


@test
def with_destdir_all_lies_below_it_and_says_that_it_lies_below_the_prefix():
    stage = path("stage")
    check(FILES - installed("/usr", "DESTDIR=" + stage), set())
    check(os.listdir(stage), ["usr"])
    with open(pc_of(stage), encoding="utf-8") as f:
        check_in("prefix=/usr\n", f.read())


with scratch:
    run_tests()
