#!/usr/bin/env python3
"""Kills the monitor while a guest writes: what the guest had synced must be there, and the file system sound.

power_loss.py PLEX86: TAP. Debian's kernel (tools/guests) mounts ext4 on an IDE disk and writes file after
file, each followed by sync; it is killed with SIGKILL after one of them. Then e2fsck replays the
journal as after a power loss, must find nothing else, and each file that was reported must be whole.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import KERNEL, Failed, initramfs, modules, sh  # noqa: E402

PLEX86 = os.path.abspath(sys.argv[1])
MODULES = ("crct10dif_common crc-t10dif crc64 crc64-rocksoft t10-pi scsi_common scsi_mod libata ata_piix sd_mod "
           "crc32c_generic crc16 mbcache jbd2 ext4").split()
SCRIPT = """#!/bin/sh
cd /mods
for m in %s; do insmod $m.ko; done
while ! [ -b /dev/sda ]; do sleep 1; done
mkdir -p /mnt
mount -t ext4 /dev/sda /mnt || echo MOUNT FAILED
n=0
while :; do
	n=$((n + 1))
	i=0
	while [ $i -lt 3000 ]; do echo "file $n line $i"; i=$((i + 1)); done >/mnt/f$n
	mv /mnt/f$n /mnt/done$n
	sync
	echo "synced $n."
	echo "torn $n" >/mnt/torn$n
done
"""


def run_and_kill(image, initrd, after):
    """Returns the number of the last file that the guest said was synced."""
    p = subprocess.Popen([PLEX86, "run", "-m", "128", "-kernel", KERNEL,
                          "-initrd", initrd, "-append", "console=ttyS0 quiet job=/mods/go", "-hda", image],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = b""
    while b"synced %d." % after not in text:
        more = os.read(p.stdout.fileno(), 4096)
        if not more or b"FAILED" in text:
            p.kill()
            raise Failed("the guest ended: %r" % text[-600:])
        text += more
    p.kill()
    text += p.communicate()[0]
    return max(int(n) for n in re.findall(rb"synced (\d+)\.", text))


def check_disk(raw, last):
    sh("e2fsck", "-p", raw, ok=(0, 1))          # replays the journal
    sh("e2fsck", "-f", "-n", raw)               # then there is nothing left to mend
    for n in range(1, last + 1):
        want = "".join("file %d line %d\n" % (n, i) for i in range(3000)).encode()
        got = subprocess.run(["debugfs", "-R", "cat /done%d" % n, raw], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL).stdout
        if got != want:
            raise Failed("file %d of %d, which was synced, has %d bytes, not %d" % (n, last, len(got), len(want)))


def attempt(folder, kind, after):
    raw, image, initrd = (os.path.join(folder, n) for n in ("disk.raw", "disk." + kind, "initrd"))
    with open(raw, "wb") as f:
        f.truncate(64 << 20)
    sh("mkfs.ext4", "-q", "-F", raw)
    if kind == "qcow2":
        sh(PLEX86, "image", "convert", "-O", "qcow2", raw, image)
    last = run_and_kill(image, initrd, after)
    if kind == "qcow2":
        if subprocess.run(["sh", "-c", "command -v qemu-img"], stdout=subprocess.DEVNULL).returncode == 0:
            sh("qemu-img", "check", image, ok=(0, 3))   # 3: clusters nobody uses, no more
        sh(PLEX86, "image", "convert", image, raw)
    check_disk(raw, last)


def main():
    if not os.path.exists(KERNEL):
        print("1..0 # SKIP no guest kernel (tools/guests fetches it)")
        return
    plan = [(kind, after) for after in (1, 3, 5) for kind in ("raw", "qcow2")]
    print("1..%d" % len(plan))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="plex86-power-") as folder:
        initramfs(os.path.join(folder, "initrd"), {"mods/go": (SCRIPT % " ".join(MODULES)).encode(), **modules(MODULES)})
        for i, (kind, after) in enumerate(plan):
            try:
                attempt(folder, kind, after)
                word = "ok"
            except AssertionError as e:
                failed += 1
                word = "not ok"
                print("# " + str(e).replace("\n", "\n# "))
            print("%s %d - %s disk killed after file %d keeps what was synced" % (word, i + 1, kind, after))
            sys.stdout.flush()
    sys.exit(failed != 0)


main()
