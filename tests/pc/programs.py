#!/usr/bin/env python3
"""Programs that run without a system, and kernels, on the screen: what they show, and that keys reach them.

programs.py PLEX86 [PATTERN]: TAP. From Debian's packages; what is not installed is skipped.
"""
import os
import re
import shutil
import sys

from machine import Machine     # which finds the harness, too
from harness import BIOS, GUESTS, INITRD, KERNEL, Failed, check_in, need, path, run_tests, sh, test

PLEX86 = os.path.abspath(sys.argv[1])
MEMTEST, MEMTEST_CD = "/boot/memtest86+ia32.bin", "/usr/lib/memtest86+/memtest86+ia32.iso"
INVADERS = "/boot/invaders.exec"
RESCUE_FLOPPY, RESCUE_CD = "/usr/lib/grub-rescue/grub-rescue-floppy.img", "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
SYSLINUX = "/usr/lib/syslinux"


@test
def linux_given_by_kernel_has_its_console_on_the_vga_text_screen():
    need(KERNEL, INITRD, BIOS)
    with Machine(PLEX86, "-vga", "std", "-m", "128", "-kernel", KERNEL, "-initrd", INITRD, "-append", "console=tty0 quiet") as m:
        m.wait_screen("root #")
        m.type("dmesg | grep Console:\n")
        check_in("Console: colour VGA+ 80x25", m.wait_screen("Console: colour"))
        m.type("poweroff -f\n")
        if m.wait_end() != 0:
            raise Failed("status %d" % m.proc.returncode)


@test
def memtest_finds_no_error_in_its_first_pass_of_8_mib():
    need(MEMTEST)
    with Machine(PLEX86, "-vga", "std", "-m", "8", "-kernel", MEMTEST) as m:
        m.wait_screen("Memory  :    7MB")
        now = m.wait_screen("Pass:  1", fails=["Errors: 1"])
        check_in("Errors: 0", now)


@test
def memtest_from_its_cd_tests_512_mib_until_its_sixth_test():
    need(MEMTEST_CD, BIOS)
    with Machine(PLEX86, "-m", "512", "-cdrom", MEMTEST_CD) as m:
        m.wait_screen("GNU GRUB", "Memtest86+")
        if "GNU GRUB" in m.screen():
            m.keys("ret")
        m.wait_screen("Memory  :  512MB")
        check_in("Errors: 0", m.wait_screen("Test #6", fails=["Errors: 1"]))
        m.keys("f1")                            # its configuration
        m.wait_screen("Settings")
        m.keys("f10")


@test
def grub_invaders_move_and_the_ship_answers_keys():
    need(INVADERS)
    ship = lambda now: max((row.find("/ \\") for row in now.split("\n")[-4:]), default=-1)  # noqa: E731
    with Machine(PLEX86, "-vga", "std", "-m", "32", "-kernel", INVADERS) as m:
        m.wait_screen("-*-")
        m.keys("spc")
        before = m.wait_screen(lambda now: ship(now) >= 0)
        m.wait_screen(lambda now: now.split("\n")[:12] != before.split("\n")[:12])
        m.keys("left", "left", "left")
        now = m.wait_screen(lambda now: 0 <= ship(now) < ship(before))
        m.keys("right", "right", "right", "right", "right", "right")
        m.wait_screen(lambda later: ship(later) > ship(now))


def linux_disk():
    """A partitioned disk without a boot loader; its ext2 partition has Debian's kernel and our initramfs."""
    need(KERNEL, INITRD, "mkfs.ext2", "sfdisk")
    os.makedirs(path("tree/boot"))
    shutil.copy(KERNEL, path("tree/boot/vmlinuz"))
    shutil.copy(INITRD, path("tree/boot/initrd"))
    part, disk = path("part"), path("disk.img")
    for name, size in ((part, 40), (disk, 42)):
        with open(name, "wb") as f:
            f.truncate(size << 20)
    sh("mkfs.ext2", "-q", "-F", "-d", path("tree"), part)
    sh("sfdisk", "-q", disk, input=b"label: dos\nstart=2048, type=83\n")
    with open(disk, "r+b") as f:
        f.seek(1 << 20)
        f.write(open(part, "rb").read())
    return disk


def rescue(*drive):
    """GRUB's menu answers arrow keys; its prompt lists the disk's partition and boots the kernel that is there."""
    with Machine(PLEX86, "-m", "128", "-hda", linux_disk(), *drive) as m:
        m.wait_screen("GNU GRUB")
        first = m.wait_screen(lambda now: re.search(r"│\*", now))
        m.keys("down")
        m.wait_screen(lambda now: "│*GNU (aka" in now and "│*GNU/Linux" not in now)
        m.keys("up")
        check_in("│*GNU/Linux", first)
        m.wait_screen("│*GNU/Linux")
        m.keys("c")
        m.wait_screen("grub>")
        m.type("ls\n")
        m.wait_screen("(hd0,msdos1)")
        m.type("ls (hd0,msdos1)/boot\n")
        m.wait_screen("vmlinuz")
        m.type("linux (hd0,msdos1)/boot/vmlinuz console=tty0 console=ttyS0 job=/etc/report quiet\n")
        m.wait_screen(lambda now: now.rstrip().endswith("grub>"))
        m.type("initrd (hd0,msdos1)/boot/initrd\n")
        m.wait_screen(lambda now: now.rstrip().endswith("grub>"))
        m.type("boot\n")
        m.wait_serial("Power down")
        if m.wait_end() != 0:
            raise Failed("status %d" % m.proc.returncode)


@test
def grub_rescue_cd_answers_arrow_keys_and_boots_linux_from_a_disk():
    need(RESCUE_CD, BIOS)
    rescue("-cdrom", RESCUE_CD, "-boot", "d")


@test
def grub_rescue_floppy_answers_arrow_keys_and_boots_linux_from_a_disk():
    need(RESCUE_FLOPPY, BIOS)
    floppy = path("rescue.img")
    shutil.copy(RESCUE_FLOPPY, floppy)
    rescue("-fda", floppy, "-boot", "a")


def isolinux_cd(config, *files):
    need("xorriso", "/usr/lib/ISOLINUX/isolinux.bin", SYSLINUX + "/modules/bios/ldlinux.c32")
    os.makedirs(path("cd"))
    for f in ("/usr/lib/ISOLINUX/isolinux.bin", SYSLINUX + "/modules/bios/ldlinux.c32", *files):
        shutil.copy(f, path("cd"))
    with open(path("cd/isolinux.cfg"), "w") as f:
        f.write(config)
    iso = path("cd.iso")
    sh("xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot",
       "-boot-load-size", "4", "-boot-info-table", path("cd"))
    return iso


@test
def isolinux_starts_hdt_which_names_the_processor_and_the_disk():
    modules = [SYSLINUX + "/modules/bios/%s.c32" % m for m in ("hdt", "libcom32", "libutil", "libgpl", "libmenu")]
    need(BIOS, *modules)
    disk = path("disk.img")
    with open(disk, "wb") as f:
        f.truncate(64 << 20)
    with Machine(PLEX86, "-m", "64", "-boot", "d", "-hda", disk, "-cdrom",
                 isolinux_cd("prompt 1\ntimeout 0\n", *modules)) as m:
        m.wait_screen("boot:")
        m.type("hdt.c32 nomenu\n")
        m.wait_screen("hdt>")
        m.type("show cpu\n")
        m.wait_screen("Manufacturer : Intel")
        m.type("show pci\n")
        m.wait_screen("8086", "Intel")
        m.type("show disk\n")
        m.wait_screen("0x80")


@test
def memdisk_boots_a_floppy_that_grub_finds_in_memory():
    need(BIOS, RESCUE_FLOPPY, SYSLINUX + "/memdisk")
    config = "default x\nprompt 0\nlabel x\n kernel memdisk\n append initrd=grub-rescue-floppy.img floppy\n"
    with Machine(PLEX86, "-m", "64", "-boot", "d", "-cdrom",
                 isolinux_cd(config, SYSLINUX + "/memdisk", RESCUE_FLOPPY)) as m:
        m.wait_screen("GNU GRUB")
        m.keys("c")
        m.wait_screen("grub>")
        m.type("ls\n")
        m.wait_screen("(fd0)")


@test
def syslinux_on_a_floppy_reaches_its_prompt_and_starts_a_kernel():
    need("syslinux", "mformat", "mcopy", MEMTEST, BIOS)
    floppy = path("syslinux.img")
    with open(floppy, "wb") as f:
        f.truncate(1440 * 1024)
    sh("mformat", "-i", floppy, "-f", "1440", "::")
    sh("syslinux", "--install", floppy)
    sh("mcopy", "-i", floppy, MEMTEST, "::memtest")
    with open(path("syslinux.cfg"), "w") as f:
        f.write("prompt 1\ntimeout 0\n")
    sh("mcopy", "-i", floppy, path("syslinux.cfg"), "::")
    with Machine(PLEX86, "-m", "32", "-fda", floppy) as m:
        m.wait_screen("boot:")
        m.type("memtest\n")
        m.wait_screen("Memtest86+")


@test
def ipxe_reaches_its_command_line():
    need("/usr/lib/ipxe/ipxe.iso", BIOS)
    with Machine(PLEX86, "-m", "64", "-cdrom", "/usr/lib/ipxe/ipxe.iso") as m:
        m.wait_screen("Press Ctrl-B", "Ctrl-B")
        m.keys("ctrl-b")
        m.wait_screen("iPXE>")
        m.type("show version\n")
        m.wait_screen("builtin/version")


@test
def debian_installer_shows_its_menu_on_the_screen_and_answers_keys():
    kernel, initrd = (os.path.join(GUESTS, "installer", n) for n in ("linux", "initrd.gz"))
    need(kernel, initrd, BIOS)
    with Machine(PLEX86, "-vga", "std", "-m", "512", "-kernel", kernel, "-initrd", initrd, "-append", "nomodeset quiet") as m:
        m.wait_screen("Select a language")
        m.wait_screen("English")
        m.keys("ret")
        m.wait_screen("Select your location")
        m.wait_screen("United States")
        m.type("ire")                           # a list goes to what is typed
        m.keys("ret")
        m.wait_screen("keyboard")


@test
def debian_installer_shows_its_menu_on_the_serial_port_and_answers_keys():
    kernel, initrd = (os.path.join(GUESTS, "installer", n) for n in ("linux", "initrd.gz"))
    need(kernel, initrd)
    with Machine(PLEX86, "-m", "512", "-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 quiet") as m:
        at = m.wait_serial("language")
        at = m.wait_serial("<Go Back>", at)
        m.send("\r")
        at = m.wait_serial("location", at)
        m.wait_serial("<Go Back>", at)


run_tests(*sys.argv[2:])
