"""How the boot tests start a guest, under plex86 or under Debian's QEMU."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import GUESTS, INITRD, need_all  # noqa: E402

APPEND = "console=ttyS0 job=/etc/report"        # boots, runs a shell job and powers off


def command(monitor, kernel, append, memory_mib=256, extra=(), initrd=INITRD):
    """The command line; monitor is `qemu` or the path of plex86. Without the guest (no network) the test is skipped."""
    image = os.path.join(GUESTS, f"linux-{kernel}/vmlinuz")
    need_all(image, INITRD)
    same = ["-m", str(memory_mib), "-kernel", image, "-initrd", initrd, "-append", append, "-no-reboot"]
    if monitor != "qemu":
        return [monitor, "run", *same, "-nographic", *extra]
    need_all("qemu-system-i386")
    # The same PC as far as QEMU has it: no network card, no screen, no HPET.
    return ["qemu-system-i386", "-accel", "tcg", "-machine", "pc,hpet=off", "-cpu", "qemu32,+nx", "-nodefaults",
            "-display", "none", "-serial", "stdio", *same]


def boot(monitor, kernel, extra=(), append=APPEND, initrd=INITRD, limit_s=1500):
    """From power-on until it ends: the console log, what the monitor said, the status."""
    done = subprocess.run(command(monitor, kernel, append, extra=extra, initrd=initrd), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit_s, check=False)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode


def boot_to_power_off(plex86, kernel, extra=(), limit_s=1500):
    """The same, which must end as a power-off does: the console log, and what the monitor said."""
    log, errors, status = boot(plex86, kernel, extra, limit_s=limit_s)
    print(errors)
    if status != 0 or not re.search(r"reboot: Power down", log):
        sys.exit(f"plex86 ended with status {status}, not 0 as a power-off does:\n{log[-2000:]}\n{errors}")
    return log, errors
