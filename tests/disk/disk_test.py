#!/usr/bin/env python3
"""Boots our own boot sector through SeaBIOS from every kind of drive and image.

disk_test.py PLEX86 DISK_BOOT_BIN [PATTERN]: TAP on stdout. Where QEMU is installed it boots the same image,
and must say the same.
"""
import os
import shutil
import struct
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), *at) for at in (("..",), ("..", "pc"))]
import machine  # noqa: E402
from harness import Failed, Skip, check, check_in, path, run_tests, test  # noqa: E402

PLEX86, PROGRAM = os.path.abspath(sys.argv[1]), open(sys.argv[2], "rb").read()
LIMIT_S = 300
EXIT = ["-serial", "null", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]


def run(*args):
    r = subprocess.run([PLEX86, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=LIMIT_S)
    return r.returncode, r.stdout.decode("latin-1"), r.stderr.decode("latin-1")


def image(name, size, data=PROGRAM):
    with open(path(name), "wb") as f:
        f.write(data)
        f.truncate(size)
    return path(name)


def boots(*args):
    """The program's lines, having ended well."""
    status, out, err = run("run", *args, *EXIT)
    if status != 1:
        raise AssertionError("status %d, output %r, errors %r" % (status, out, err))
    lines = out.replace("\r", "").splitlines()
    check(lines[-1], "done")
    return lines


def same_as_qemu(lines, *args):
    qemu = shutil.which("qemu-system-i386")
    if not qemu:
        return
    r = subprocess.run([qemu, "-display", "none", "-vga", "none", "-net", "none",
                        "-monitor", "none", "-snapshot", *args, *EXIT], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=LIMIT_S)
    theirs = r.stdout.decode("latin-1").replace("\r", "").splitlines()
    check(lines, theirs[-len(lines):])


def last_sector(name):
    with open(path(name), "rb") as f:
        f.seek(-512, os.SEEK_END)
        return f.read()


WRITTEN = b"\xEF\xBE" * 256


@test
def floppies_of_every_size_boot_and_are_written_to_their_last_sector():
    for kib in (360, 1200, 1440, 2880):
        name = "floppy%d.img" % kib
        image(name, kib * 1024)
        lines = boots("-fda", path(name))
        check(lines[0], "disk_boot from drive 0000 ")
        check(last_sector(name), WRITTEN)
        if kib == 1440:                         # the others QEMU puts into a drive of another kind
            same_as_qemu(lines, "-fda", path(name))


@test
def floppy_of_720k_in_a_drive_for_more_has_no_sector_18():
    status, out, err = run("run", "-fda", image("floppy720.img", 720 * 1024), *EXIT)
    check_in("first sector ok", out)
    check_in("last sector failed", out)         # the firmware reports the drive's geometry
    check(status, 3)


@test
def boot_sector_alone_is_a_floppy():
    status, out, err = run("run", image("alone.img", 2048), *EXIT)
    check_in("disk_boot from drive 0000", out)
    check_in("first sector ok", out)
    check_in("last sector failed", out)        # the file ends before the disk does
    check(status, 3)


@test
def raw_disk_boots_and_is_written_to():
    image("disk.img", 10 << 20)
    lines = boots("-hda", path("disk.img"))
    check(lines[0], "disk_boot from drive 0080 ")
    same_as_qemu(lines, "-hda", path("disk.img"))
    # Geometry 18/16/63 as seen through CHS ends before the disk does.
    with open(path("disk.img"), "rb") as f:
        check(WRITTEN in f.read(), True)


@test
def large_disk_is_reached_through_translation():
    image("large.img", 20 << 30)
    lines = boots("-hda", path("large.img"))
    same_as_qemu(lines, "-hda", path("large.img"))


@test
def qcow2_disk_boots_and_is_sound_afterwards():
    image("plain.img", 10 << 20)
    check(run("image", "convert", "-O", "qcow2", path("plain.img"), path("disk.qcow2"))[0], 0)
    check(boots("-drive", "file=%s,format=qcow2" % path("disk.qcow2"))[0], "disk_boot from drive 0080 ")
    if shutil.which("qemu-img"):
        check(subprocess.run(["qemu-img", "check", "-q", path("disk.qcow2")]).returncode, 0)


@test
def qcow2_over_a_base_leaves_the_base_alone():
    before = open(image("base.img", 10 << 20), "rb").read()
    check(run("image", "create", "-b", "base.img", path("over.qcow2"))[0], 0)
    boots(path("over.qcow2"))
    check(open(path("base.img"), "rb").read() == before, True)


@test
def snapshot_run_changes_nothing():
    before = open(image("snap.img", 10 << 20), "rb").read()
    boots("-hda", path("snap.img"), "-snapshot")
    check(open(path("snap.img"), "rb").read() == before, True)


@test
def read_only_disk_refuses_the_write():
    image("ro.img", 10 << 20)
    status, out, err = run("run", "-drive", "file=%s,format=raw,readonly=on" % path("ro.img"), *EXIT)
    check_in("last sector failed", out)


def iso(name):
    """A CD with nothing but what El Torito wants."""
    sectors = [bytes(2048) for _ in range(16)]
    pvd = bytearray(2048)
    pvd[0:7] = b"\x01CD001\x01"
    struct.pack_into("<I", pvd, 80, 24)
    struct.pack_into(">I", pvd, 84, 24)
    boot = bytearray(2048)
    boot[0:7] = b"\x00CD001\x01"
    boot[7:30] = b"EL TORITO SPECIFICATION"
    struct.pack_into("<I", boot, 71, 19)
    end = bytearray(2048)
    end[0:7] = b"\xFFCD001\x01"
    catalog = bytearray(2048)
    catalog[0] = 1
    catalog[30:32] = b"\x55\xAA"
    struct.pack_into("<H", catalog, 28, (-sum(struct.unpack("<16H", catalog[0:32]))) & 0xFFFF)
    catalog[32] = 0x88                          # bootable, no emulation
    struct.pack_into("<H", catalog, 38, 4)      # four sectors of 512 bytes
    struct.pack_into("<I", catalog, 40, 20)
    sectors += [pvd, boot, end, catalog, PROGRAM]
    return image(name, 24 * 2048, b"".join(bytes(s) for s in sectors))


@test
def cd_boots_by_el_torito():
    iso("cd.iso")
    lines = boots("-cdrom", path("cd.iso"))
    check(lines[0].startswith("disk_boot from drive 00E"), True)
    check(lines[1], "volume CD001")
    same_as_qemu(lines, "-cdrom", path("cd.iso"))


@test
def image_without_an_option_goes_where_such_a_file_belongs():
    check(boots(image("guess1.img", 1440 * 1024))[0], "disk_boot from drive 0000 ")
    check(boots(image("guess2.img", 5 << 20))[0], "disk_boot from drive 0080 ")
    check(boots(iso("guess3.iso"))[1], "volume CD001")
    # GRUB in the sectors behind a disk's first has a Multiboot header, as kernels have.
    header = struct.pack("<III", 0x1BADB002, 0, (-0x1BADB002) & 0xFFFFFFFF)
    check(boots(image("guess4.img", 5 << 20, PROGRAM.ljust(4096, b"\0") + header))[0], "disk_boot from drive 0080 ")


@test
def boot_order_is_the_users():
    drives = ["-fda", image("order.fd", 1440 * 1024), "-hda", image("order.hd", 10 << 20),
              "-cdrom", iso("order.iso")]
    check(boots(*drives)[0], "disk_boot from drive 0080 ")
    check(boots(*drives, "-boot", "a")[0], "disk_boot from drive 0000 ")
    check(boots(*drives, "-boot", "order=dc")[1], "volume CD001")


@test
def run_by_the_instruction_clock_is_the_same_every_time():
    image("same.img", 10 << 20)
    traces = []
    for i in range(2):
        status, out, err = run("run", "-hda", path("same.img"), "-snapshot", "--clock", "instructions",
                               "-d", "int,io", "-D", path("trace%d" % i), *EXIT)
        check(status, 1)
        traces.append(open(path("trace%d" % i), "rb").read())
    check(len(traces[0]) > 1000, True)
    check(traces[0] == traces[1], True)


@test
def unbootable_disk_is_said_by_the_firmware_and_the_machine_goes_on():
    image("blank.img", 10 << 20, b"")
    p = subprocess.Popen([PLEX86, "run", "-hda", path("blank.img"), "-debugcon", "file:/dev/stderr", "-global", "isa-debugcon.iobase=0x402", "-serial", "null"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text = b""
    while b"No bootable device" not in text:
        byte = p.stderr.read(1)
        if not byte:
            raise AssertionError("it ended: %r" % text[-300:])
        text += byte
    check(p.poll(), None)
    p.terminate()
    p.communicate()
    check(p.returncode, 128 + 15)


def refused(text, *args):
    status, out, err = run("run", *args)
    check(status, 1)
    check(err.count("\n"), 1)
    check_in(text, err)


@test
def image_in_use_is_refused():
    image("used.img", 10 << 20, b"")
    p = subprocess.Popen([PLEX86, "run", "-hda", path("used.img"), "-debugcon", "file:/dev/stderr", "-global", "isa-debugcon.iobase=0x402", "-serial", "null"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stderr.read(1)                            # it runs: the image is open
    try:
        refused("used.img: is in use", "-hda", path("used.img"))
    finally:
        p.terminate()
        p.communicate()
    boots("-hda", image("used.img", 10 << 20))


@test
def bad_images_are_refused_in_one_line():
    refused("No such file", "-hda", path("missing.img"))
    refused("directory", "-cdrom", path())
    refused("is empty", "-hda", image("empty.img", 0, b""))
    refused("larger than any floppy", "-fda", image("large.img", 2949121, b""))
    refused("raw and qcow2", "-drive", "file=x,format=vmdk")
    refused("that drive is taken", "-hda", "a", "-hda", "b")
    refused("unknown", "-drive", "file=x,colour=red")
    refused("-boot", "-boot", "x", "-hda", "a")
    refused("menu=on or menu=off", "-boot", "menu=o", "-hda", "a")
    check(run("image", "create", path("cut.qcow2"), "10M")[0], 0)
    os.truncate(path("cut.qcow2"), 100000)
    refused("cut off", "-hda", path("cut.qcow2"))
    check(run("image", "create", path("lost.img"), "1M")[0], 0)
    check(run("image", "create", "-b", "lost.img", path("orphan.qcow2"))[0], 0)
    os.unlink(path("lost.img"))
    refused("backing file", "-hda", path("orphan.qcow2"))
    refused("firmware", "-bios", path("missing.bin"), "-hda", image("b.img", 10 << 20))


# A file system of 1 MiB that is full but for some pages, with a disk image on it; it is freed when the file $go comes.
FULL_DISK = r"""
small=$1 out=$2 go=$3 image=$4 size=$5; shift 5
mount -t tmpfs -o size=1m none "$small" || exit 77
cp "$image" "$small/disk.img" && truncate -s "$size" "$small/disk.img"
dd if=/dev/zero of="$small/rest" bs=4k 2>/dev/null
"$@" & pid=$!
while kill -0 $pid 2>/dev/null && [ ! -e "$go" ]; do sleep 0.2; done
rm "$small/rest"
wait $pid; status=$?
cp "$small/disk.img" "$out"
exit $status
"""


def on_full_disk(*command, qcow2=False):
    os.mkdir(path("small"))
    start = image("boot.bin", len(PROGRAM))
    if qcow2:
        image("plain.img", 10 << 20)
        start = path("boot.qcow2")
        check(run("image", "convert", "-O", "qcow2", path("plain.img"), start)[0], 0)
    return ["unshare", "-r", "-m", "sh", "-c", FULL_DISK, "sh", path("small"), path("out.img"), path("go"), start,
            "+0" if qcow2 else "10M", *command]


def own_name_space():
    if subprocess.run(["unshare", "-r", "-m", "mount", "-t", "tmpfs", "none", path()], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("this host has no user name spaces")


@test
def full_host_disk_is_an_error_that_the_guest_sees_if_the_user_wants_it_so():
    own_name_space()
    drive = "file=%s,format=raw,werror=report" % path("small/disk.img")
    r = subprocess.run(on_full_disk(PLEX86, "run", "-drive", drive, *EXIT), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=LIMIT_S)
    check_in(b"first sector ok", r.stdout)
    check_in(b"last sector failed", r.stdout)
    check(r.returncode, 3)


def full_host_disk(qcow2):
    """The machine stops at a write, and goes on where it was when there is room."""
    own_name_space()
    with open(path("start"), "w") as f:
        f.write("#!/bin/sh\nexec %s \"$@\"\n" % " ".join("'%s'" % w for w in on_full_disk(PLEX86, qcow2=qcow2)))
    os.chmod(path("start"), 0o755)
    with machine.Machine(path("start"), "-drive", "file=%s,format=%s" % (path("small/disk.img"), "qcow2" if qcow2 else "raw"), *EXIT[4:]) as m:
        told = m.wait_event("BLOCK_IO_ERROR")
        check((told["device"], told["operation"], told["action"], told["nospace"]), ("ide0-hd0", "write", "stop", True))
        m.wait_event("STOP")
        check(m.cmd("query-status"), {"running": False, "singlestep": False, "status": "io-error"})
        check(m.cmd("query-block")[0]["io-status"], "nospace")
        check_in("No space left", m.said())
        m.cmd("cont")                           # there is none yet
        m.wait_event("BLOCK_IO_ERROR")
        open(path("go"), "w").close()
        while m.proc.poll() is None:            # until the file that was in the way is away
            try:
                m.cmd("cont")
            except Failed:
                break
            time.sleep(0.1)
        check(m.wait_end(), 1)
    with open(path("out.img"), "rb") as f:
        check(WRITTEN in f.read(), True)
    if qcow2 and shutil.which("qemu-img"):
        check(subprocess.run(["qemu-img", "check", "-q", path("out.img")], stdout=subprocess.DEVNULL).returncode in (0, 3), True)


@test
def full_host_disk_stops_the_machine_which_goes_on_where_it_was_when_there_is_room():
    full_host_disk(False)


@test
def full_host_disk_stops_the_machine_in_a_write_to_a_qcow2_image_too():
    full_host_disk(True)


run_tests(*sys.argv[3:])
