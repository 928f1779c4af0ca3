"""guest/disk/records, its disk, and what must be true of the disk whatever happened to the host."""
import re
import shutil
import struct
import subprocess

SECTORS = 4096
SLOTS = 2048


def make_disk(path, fmt, records, plex86):
    """Empty but for the number of records to be written."""
    raw = path + ".raw" if fmt != "raw" else path
    with open(raw, "wb") as f:
        f.truncate(SECTORS * 512)
        f.seek(3000 * 512)
        f.write(struct.pack("<I", records))
    if fmt != "raw":
        subprocess.run([plex86, "image", "convert", "-f", "raw", "-O", fmt, raw, path], check=True, capture_output=True)


def said_written(text):
    """Numbers that the guest announced as being on the disk for good, and those it was refused."""
    return ([int(n, 16) for n in re.findall(r"^w ([0-9a-f]{8})$", text, re.M)],
            [int(n, 16) for n in re.findall(r"^e ([0-9a-f]{8})$", text, re.M)])


def problems(path, fmt, text, plex86):
    """What is wrong with the disk, as text; "" if nothing is."""
    written, _ = said_written(text)
    raw = path
    if fmt != "raw":
        if shutil.which("qemu-img"):
            # Leaked clusters cost room, nothing else: status 3.
            check = subprocess.run(["qemu-img", "check", "-f", fmt, path], capture_output=True, text=True, check=False)
            if check.returncode not in (0, 3):
                return f"qemu-img check: {check.stdout}{check.stderr}"
        raw = path + ".out"
        done = subprocess.run([plex86, "image", "convert", "-f", fmt, "-O", "raw", path, raw], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"cannot be read: {done.stderr}"
    with open(raw, "rb") as f:
        data = f.read()
    last = {n * 37 % SLOTS: n for n in written}
    newest = max(written, default=0)
    for slot, n in last.items():
        words = struct.unpack("<128I", data[slot * 512:slot * 512 + 512])
        # The record, whole; or a later one that was under way and may be there in part.
        if any(w != n and w <= newest for w in words):
            return f"record {n} in sector {slot} is lost: {set(words)}"
    return ""
