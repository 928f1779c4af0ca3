#!/usr/bin/env python3
"""Boot loaders from Debian's packages, through SeaBIOS, on the serial console.

boot_loaders.py PLEX86 [PATTERN]: TAP. GRUB from a disk, a CD and its rescue floppy, ISOLINUX, iPXE, U-Boot; those that boot
something boot Debian's kernel (tools/guests). What is not installed is skipped.
"""
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import INITRD, KERNEL, check_in, need, path, run_tests, sh, test  # noqa: E402

PLEX86 = os.path.abspath(sys.argv[1])
GRUB = "/usr/lib/grub/i386-pc"
ISOLINUX = ("/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios/ldlinux.c32")
RESCUE_FLOPPY, IPXE = "/usr/lib/grub-rescue/grub-rescue-floppy.img", "/usr/lib/ipxe/ipxe.iso"
U_BOOT = "/usr/lib/u-boot/qemu-x86/u-boot.rom"
LIMIT_S = 900
REPORT = "console=ttyS0 job=/etc/report quiet"


def plain(text):
    """Without the cursor's moves: where the guest is late the firmware's serial console puts them inside words, some behind a CR."""
    return re.sub(rb"\r*\x1b(\[\??[0-9;]*[A-Za-z]|c)", b"", text)


def boots_linux(*args, banner):
    try:
        r = subprocess.run([PLEX86, "run", "-m", "128", "-vga", "none", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as e:
        raise AssertionError("it goes on and on: %r" % (e.stdout or b"")[-1500:])
    text = plain(r.stdout).decode("latin-1")
    check_in(banner, text)
    check_in("Linux", text)
    check_in("Power down", text)
    if r.returncode != 0:
        raise AssertionError("status %d: %r" % (r.returncode, r.stderr[-600:]))


def talk(args, *steps):
    """Wait for each text on the console, then type the answer."""
    p = subprocess.Popen([PLEX86, "run", "-m", "64", "-vga", "none", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    text, seen = b"", 0
    end = time.monotonic() + LIMIT_S
    try:
        for wait, answer in steps:
            while wait not in plain(text)[seen:]:
                if not select.select([p.stdout], [], [], max(0, end - time.monotonic()))[0]:
                    raise AssertionError("%r does not come: %r" % (wait, text[-600:]))
                more = os.read(p.stdout.fileno(), 4096)
                if not more:
                    raise AssertionError("it ended: %r, %r" % (text[-600:], p.stderr.read()[-300:]))
                text += more
            seen = plain(text).index(wait, seen) + len(wait)
            p.stdin.write(answer)
            p.stdin.flush()
    finally:
        p.kill()
        p.communicate()


def grub_config():
    return ("serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\nset timeout=1\n"
            "menuentry 'Debian' {\n linux /boot/vmlinuz %s panic=-1\n initrd /boot/initrd\n}\n" % REPORT)


def grub_tree(top):
    os.makedirs(os.path.join(top, "boot/grub"))
    shutil.copy(KERNEL, os.path.join(top, "boot/vmlinuz"))
    shutil.copy(INITRD, os.path.join(top, "boot/initrd"))
    with open(os.path.join(top, "boot/grub/grub.cfg"), "w") as f:
        f.write(grub_config())


def grub_disk():
    """MBR, GRUB in the gap behind it, one ext2 partition from sector 2048 on."""
    need(GRUB + "/boot.img", "grub-mkimage", "mkfs.ext2", KERNEL)
    grub_tree(path("tree"))
    with open(path("part"), "wb") as f:
        f.truncate(40 << 20)
    sh("mkfs.ext2", "-q", "-F", "-d", path("tree"), path("part"))
    sh("grub-mkimage", "-O", "i386-pc", "-o", path("core.img"), "-p", "(hd0,msdos1)/boot/grub", "biosdisk",
       "part_msdos", "ext2", "serial", "terminal", "linux", "normal", "configfile")
    boot, core = open(GRUB + "/boot.img", "rb").read(), open(path("core.img"), "rb").read()
    part = open(path("part"), "rb").read()
    mbr = bytearray(boot[:440] + bytes(70) + b"\x55\xAA")   # GRUB's code for floppies lies where the table goes
    mbr[446:462] = struct.pack("<B3sB3sII", 0x80, b"\xFE\xFF\xFF", 0x83, b"\xFE\xFF\xFF", 2048, len(part) // 512)
    with open(path("grub.img"), "wb") as f:
        f.write(bytes(mbr) + core)
        f.seek(2048 * 512)
        f.write(part)
    return path("grub.img")


@test
def grub_boots_linux_from_a_disk():
    boots_linux("-hda", grub_disk(), banner="GNU GRUB")


@test
def grub_boots_linux_from_a_qcow2_disk_under_the_emulator():
    sh(PLEX86, "image", "convert", grub_disk(), path("grub.qcow2"))
    boots_linux("--engine", "emulate", "-hda", path("grub.qcow2"), "-snapshot", banner="GNU GRUB")


@test
def grub_boots_linux_from_a_cd():
    need("grub-mkrescue", "xorriso", "mformat", KERNEL)
    grub_tree(path("tree"))
    sh("grub-mkrescue", "-o", path("grub.iso"), path("tree"))
    boots_linux("-cdrom", path("grub.iso"), banner="GNU GRUB")


@test
def isolinux_boots_linux_from_a_cd():
    need("xorriso", *ISOLINUX, KERNEL)
    os.makedirs(path("tree/isolinux"))
    for f in ISOLINUX:
        shutil.copy(f, path("tree/isolinux"))
    shutil.copy(KERNEL, path("tree/vmlinuz"))
    shutil.copy(INITRD, path("tree/initrd"))
    with open(path("tree/isolinux/isolinux.cfg"), "w") as f:
        f.write("serial 0 115200\ndefault x\nprompt 1\ntimeout 10\nlabel x\n kernel /vmlinuz\n append initrd=/initrd %s\n"
                % REPORT)
    sh("xorriso", "-as", "mkisofs", "-quiet", "-o", path("iso.iso"), "-b", "isolinux/isolinux.bin", "-c",
       "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", path("tree"))
    boots_linux("-cdrom", path("iso.iso"), banner="ISOLINUX")


@test
def grub_rescue_floppy_lists_its_drives_and_reboots():
    need(RESCUE_FLOPPY)
    shutil.copy(RESCUE_FLOPPY, path("rescue.img"))
    with open(path("disk.img"), "wb") as f:
        f.truncate(8 << 20)
    talk(["-fda", path("rescue.img"), "-hda", path("disk.img"), "-boot", "a"],
         (b"GNU GRUB", b"c"), (b"grub>", b"ls\r"), (b"(hd0)", b""), (b"(fd0)", b""), (b"grub>", b"reboot\r"),
         (b"SeaBIOS", b""), (b"GNU GRUB", b""))


@test
def ipxe_looks_for_a_network_card():
    need(IPXE)
    talk(["-cdrom", IPXE], (b"iPXE", b""), (b"No more network devices", b""))


@test
def u_boot_instead_of_a_bios():
    need(U_BOOT)
    talk(["-bios", U_BOOT], (b"Hit any key", b"\r"), (b"=>", b"pci\r"), (b"0x7113", b""), (b"=>", b"reset\r"), (b"U-Boot 20", b""))


run_tests(*sys.argv[2:])
