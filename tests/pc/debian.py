#!/usr/bin/env python3
"""Debian 12 for i386 on a disk with GRUB, from power-on to power-off.

debian.py PLEX86 [PATTERN]: TAP. The disk is made by `tools/guests debian`; without it the tests are skipped. The last
one prints how long QEMU TCG and plex86 take from power-on to the login prompt, one after the other in the same run.
"""
import os
import shutil
import subprocess
import sys
import time

from machine import Machine     # which finds the harness, too
from harness import BIOS, GUESTS, Failed, check_in, need, path, run_tests, sh, test

PLEX86 = os.path.abspath(sys.argv[1])
DISK = os.path.join(GUESTS, "debian.img")
PROMPT = "root@debian:~# "
# CDROM_LOCKDOOR with 0, then CDROMEJECT, on a drive opened with O_NONBLOCK (linux/cdrom.h).
EJECT = "perl -e 'sysopen(F, \"/dev/sr0\", 04000) && ioctl(F, 0x5329, 0) && ioctl(F, 0x5309, 0) || die $!'"


def overlay(name="disk.qcow2"):
    sh(PLEX86, "image", "create", "-b", DISK, path(name))
    return path(name)


def check(asked, want):
    answer, at = asked
    check_in(want, answer)
    return at


def log_in(m):
    at = m.wait_serial("debian login: ")
    m.send("root\n")
    at = m.wait_serial("Password: ", at)
    m.send("plex86\n")
    at = m.wait_serial(PROMPT, at)
    return check(m.ask("systemctl is-system-running --wait", PROMPT, at), "running")


def file_system_is_sound(image):
    raw = path("raw.img")
    sh(PLEX86, "image", "convert", "-O", "raw", image, raw)
    part = path("part")
    with open(raw, "rb") as f, open(part, "wb") as out:
        f.seek(1 << 20)
        shutil.copyfileobj(f, out, 1 << 20)
    sh("e2fsck", "-f", "-n", part)              # ends with 0 only if nothing is to be mended
    return part


@test
def debian_boots_logs_in_installs_a_package_and_powers_off():
    need(DISK, BIOS, "e2fsck", "debugfs")
    disk = overlay()
    with Machine(PLEX86, "-m", "512", "-hda", disk) as m:
        m.wait_screen("GNU GRUB")
        m.wait_screen("debian login:")           # tty1, on the screen
        at = log_in(m)                          # and ttyS0
        at = check(m.ask("dpkg -i /root/hello.deb", PROMPT, at), "Setting up hello")
        at = check(m.ask("dpkg -l hello | grep -c ^ii", PROMPT, at), "1")
        at = check(m.ask("hello", PROMPT, at), "Hello, world!")
        at = check(m.ask("dpkg --audit && echo all is well", PROMPT, at), "all is well")
        at = check(m.ask("mount | grep ' / '", PROMPT, at), "type ext4")
        m.type("root\n")                        # on the screen, too
        m.wait_screen("Password:")
        m.type("plex86\n")
        m.wait_screen("root@debian")
        m.type("hello\n")
        m.wait_screen("Hello, world!")
        m.send("poweroff\n")
        if m.wait_end() != 0:
            raise Failed("status %d: %s" % (m.proc.returncode, m.said()))
    part = file_system_is_sound(disk)
    listed = subprocess.run(["debugfs", "-R", "stat /usr/bin/hello", part], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if b"Type: regular" not in listed.stdout:
        raise Failed("the package's program is not on the disk: %r" % listed.stdout)


@test
def debian_shuts_down_when_its_power_button_is_pressed():
    need(DISK, BIOS, "e2fsck")
    disk = overlay()
    with Machine(PLEX86, "-m", "256", "-hda", disk) as m:
        log_in(m)
        m.cmd("system_powerdown")
        if m.wait_end() != 0:
            raise Failed("status %d: %s" % (m.proc.returncode, m.said()))
    file_system_is_sound(disk)


@test
def debian_ejects_a_cd_and_sees_the_next_one():
    need(DISK, BIOS)
    discs = []
    for letter in b"AB":
        discs.append(path(chr(letter) + ".iso"))
        with open(discs[-1], "wb") as f:
            f.write(bytes([letter]) * 65536)
    with Machine(PLEX86, "-m", "256", "-hda", overlay(), "-cdrom", discs[0]) as m:
        at = log_in(m)
        at = check(m.ask("modprobe sr_mod; udevadm settle; head -c 4 /dev/sr0; echo", PROMPT, at), "AAAA")
        # As eject(1) does: udev keeps the tray locked while a disc is in it, so it is unlocked first.
        at = check(m.ask(EJECT + "; echo status $?", PROMPT, at), "status 0")
        if not m.wait_event("DEVICE_TRAY_MOVED")["tray-open"]:
            raise Failed("the tray was shut, not opened")
        m.cmd("blockdev-change-medium", device="ide1-cd0", filename=discs[1])
        check(m.ask("head -c 4 /dev/sr0; echo", PROMPT, at), "BBBB")


@test
def debian_reboots_and_comes_up_again():
    need(DISK, BIOS)
    with Machine(PLEX86, "-m", "256", "-hda", overlay()) as m:
        log_in(m)
        before = len(m.serial)
        m.send("reboot\n")
        m.wait_event("RESET")
        m.wait_serial("debian login: ", before)


def boot_time(kind, program, *options):
    with Machine(program, "-m", "512", "-hda", overlay(kind + ".qcow2"), *options, kind=kind) as m:
        m.wait_serial("debian login: ")
        return time.monotonic() - m.begin


@test
def debian_boot_time_beside_that_of_qemu_tcg():
    need(DISK, BIOS, "qemu-system-i386")
    qemu = boot_time("qemu", "qemu-system-i386", "-accel", "tcg", "-vga", "std", "-net", "none")
    ours = boot_time("plex86", PLEX86)
    print("# from power-on to the login prompt: plex86 %.1f s, QEMU TCG %.1f s (%.2f times)" % (ours, qemu, ours / qemu))


run_tests(*sys.argv[2:])
