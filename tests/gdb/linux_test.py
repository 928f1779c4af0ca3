#!/usr/bin/env python3
"""Debian's kernel under gdb, with its symbols: from -S to a shell.

usage: linux_test.py PLEX86 ENGINE. Debian's System.map is empty in the kernel's package; the kernel itself tells its symbols
(/proc/kallsyms), and tools/map2elf makes of them what gdb reads. Needs the guests that tools/guests fetches, else skipped.
"""
import os
import re
import subprocess
import sys
import tempfile

from rsp import Machine, gdb     # which finds the harness, too
from harness import INITRD, KERNEL, LIMIT_S, ROOT, connect, need_all

PROMPT = b"/root # "


class Console:
    """The guest's serial port, at a socket."""

    def __init__(self, path):
        self.sock = connect(path)
        self.sock.settimeout(4 * LIMIT_S)
        self.text = b""

    def wait(self, what):
        while what not in self.text:
            data = self.sock.recv(65536)
            assert data, self.text[-1000:]
            self.text += data

    def rest(self):
        while data := self.sock.recv(65536):
            self.text += data
        return self.text

    def type(self, text):
        self.sock.sendall(text.encode())


def machine(plex86, folder, engine, wait):
    path = os.path.join(folder, "console-" + engine + str(wait))
    m = Machine(plex86, "--engine", engine, "-m", "128", "-nographic", "-serial", f"unix:{path},server=on,wait=off", "-no-reboot",
                "-kernel", KERNEL, "-initrd", INITRD, "-append", "console=ttyS0 nokaslr quiet", wait=wait)
    return m, Console(path)


def kernel_symbols(plex86, folder):
    m, console = machine(plex86, folder, "scan", False)
    console.wait(PROMPT)
    console.type("grep -v '\\[' /proc/kallsyms; poweroff\n")
    text = console.rest().decode(errors="replace")
    m.close()
    lines = re.findall(r"^([0-9a-f]{8} \w \S+)\r?$", text, re.M)
    assert len(lines) > 10000, text[-1000:]
    with open(os.path.join(folder, "System.map"), "w") as f:
        f.write("\n".join(lines) + "\n")
    elf = os.path.join(folder, "kernel.elf")
    subprocess.run([os.path.join(ROOT, "tools/map2elf"), f.name, elf], check=True)
    return elf


def debug(plex86, folder, engine, elf):
    m, console = machine(plex86, folder, engine, True)
    text = gdb(f"""
        target remote {m.listening()}
        break start_kernel
        continue
        printf "at %d\\n", $eip == (unsigned)&start_kernel
        info registers cr0
        delete
        break run_init_process
        continue
        printf "runs %s\\n", (char *)$eax
        info symbol *(unsigned *)$esp
        printf "paging %d ring %d\\n", ($cr0 >> 31) & 1, $cs & 3
        x/2i $pc
        delete
        finish
        tbreak __ia32_sys_newuname
        continue
        printf "called %d\\n", $eip == (unsigned)&__ia32_sys_newuname
        backtrace 1
        monitor info mem
        monitor info irq
        monitor x/2i $pc
        watch -l *(int *)($esp - 4)
        continue
        printf "watched %d\\n", $cs & 3
        detach""", elf)
    print(text)
    for want in ("at 1", "PG ", "runs /init", "kernel_init + ", "paging 1 ring 0", "<run_init_process+", "called 1", "in __ia32_sys_newuname",
                 "Hardware watchpoint", "Old value", " urw\n", " -rw\n", "IRQ statistics for isa-i8259:\n 1: ", "watched 0"):
        assert want in text, want
    assert "Cannot" not in text and "Error" not in text
    console.wait(PROMPT)
    console.type("echo al''ive; poweroff\n")
    assert b"alive" in console.rest()
    assert m.proc.wait(LIMIT_S) == 0
    m.close()


def main():
    need_all(KERNEL, INITRD)
    plex86 = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        elf = kernel_symbols(plex86, folder)
        debug(plex86, folder, sys.argv[2], elf)
    print("1 session")
    return 0


if __name__ == "__main__":
    sys.exit(main())
