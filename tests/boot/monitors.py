"""How the boot tests start a guest, under plex86 or under Debian's QEMU."""
import os
import shutil
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
GUESTS = Path(os.environ.get("PLEX86_GUESTS", TOP / ".cache/guests"))
SKIPPED = 77        # meson's status of a test that could not run


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def guest_files(kernel):
    """Paths of kernel and initramfs; without them (no network) the test is skipped."""
    files = GUESTS / f"linux-{kernel}/vmlinuz", GUESTS / "initramfs.cpio.gz"
    for path in files:
        if not path.exists():
            skip(f"{path} is missing: tools/guests fetches it")
    return files


def command(monitor, kernel, append, memory_mib=256, extra=()):
    """The command line; monitor is `qemu` or the path of plex86."""
    image, initrd = guest_files(kernel)
    same = ["-m", str(memory_mib), "-kernel", str(image), "-initrd", str(initrd), "-append", append, "-no-reboot"]
    if monitor != "qemu":
        return [monitor, "run", *same, "-nographic", *extra]
    if not shutil.which("qemu-system-i386"):
        skip("there is no qemu-system-i386 to compare with")
    # The same PC as far as QEMU has it: no network card, no screen, no HPET.
    return ["qemu-system-i386", "-accel", "tcg", "-machine", "pc,hpet=off", "-cpu", "qemu32,+nx", "-nodefaults",
            "-display", "none", "-serial", "stdio", *same]
