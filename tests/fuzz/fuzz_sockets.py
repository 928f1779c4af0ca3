#!/usr/bin/env python3
"""Random and damaged bytes into every socket of a running machine: it lives, answers, and stays as large as it was.

usage: fuzz_sockets.py PLEX86 GUEST CORPUS COUNT [SEED]

CORPUS has a folder each: qmp, monitor, vnc, web, websocket. A case is one of its files, damaged, or a few joined, or plain
random bytes, sent to a connection of its own. Commands that end the machine are not sent.
"""
import os
import random
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Qmp, connect, free_port  # noqa: E402

PLEX86, GUEST, CORPUS, COUNT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3], int(sys.argv[4])
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else int.from_bytes(os.urandom(4), "little")
KINDS = ["qmp", "monitor", "vnc", "web", "websocket"]
GROWTH_MIB = 64
rng = random.Random(SEED)


def seeds(kind):
    folder = os.path.join(CORPUS, kind)
    return [open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))]


def damaged(data):
    data = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5, 20])):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(5)
        if what == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif what == 1:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif what == 2:
            del data[at:at + rng.randrange(1, 9)]
        elif what == 3:
            data[at:at] = data[:rng.randrange(len(data) + 1)]
        else:
            data[at:at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"[[[[[[", b"{\"a\":", b"999999999999999999999"])
    return bytes(data)


def case(kind, corpus):
    what = rng.randrange(10)
    if what == 0:
        return rng.randbytes(rng.randrange(1, 2000))
    if what == 1:
        return damaged(b"".join(rng.choice(corpus) for _ in range(5)))
    return damaged(rng.choice(corpus))


def ends_it(data):
    return re.search(rb"quit|system_powerdown|gdbserver|(^|\n)[ \t]*q[ \t\r]*(\n|$)", data) is not None


def talk(address, data):
    """Send it in one to three pieces, listen a little, hang up."""
    with connect(address) as s:
        s.settimeout(0.02)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3)))
        for a, b in zip([0, *cuts], [*cuts, len(data)]):
            try:
                s.sendall(data[a:b])
                if rng.randrange(3) == 0:
                    s.recv(65536)
            except (TimeoutError, OSError):
                pass


def status(path, proc):
    """The machine's answer to query-status at its control socket."""
    q = Qmp(path, proc)
    with q.sock:
        q.answer("cont")
        return q.cmd("query-status")["status"]


def resident_mib(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) // 256


def main():
    print(f"seed {SEED}")
    corpus = {kind: seeds(kind) for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        web, vnc = free_port(100), free_port()     # the web display has two, a hundred apart
        qmp, monitor = os.path.join(folder, "qmp"), os.path.join(folder, "monitor")
        with open(os.path.join(folder, "said"), "w+") as said:
            p = subprocess.Popen([PLEX86, "run", "-m", "16", "-serial", "null", "-vga", "std", "-qmp", f"unix:{qmp},server=on,wait=off",
                                  "-monitor", f"unix:{monitor},server=on,wait=off", "-vnc", f"127.0.0.1:{vnc - 5900}",
                                  *(["-display", f"web,port={web}"] if os.path.exists("/usr/share/novnc/vnc_lite.html") else []),
                                  "--flat", "0x100000", GUEST], cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            address = {"qmp": qmp, "monitor": monitor, "vnc": ("127.0.0.1", vnc), "web": ("127.0.0.1", web), "websocket": ("127.0.0.1", web + 100)}
            kinds = [k for k in KINDS if os.path.exists("/usr/share/novnc/vnc_lite.html") or not k.startswith("web")]
            try:
                status(qmp, p)
                before, sent = None, 0
                for n in range(COUNT):
                    kind = kinds[n % len(kinds)]
                    data = case(kind, corpus[kind])
                    if ends_it(data):
                        continue
                    try:
                        talk(address[kind], data)
                    except OSError as e:
                        raise AssertionError(f"case {n}, {kind}, {data!r}: {e}") from e
                    assert p.poll() is None, f"case {n}, {kind}, {data!r}: ended with {p.returncode}"
                    sent += 1
                    if n == COUNT // 4:
                        before = resident_mib(p.pid)
                assert status(qmp, p) == "running"
                after = resident_mib(p.pid)
                assert after <= before + GROWTH_MIB, (before, after)
            except BaseException:
                said.seek(0)
                print(said.read())
                raise
            finally:
                p.kill()
                p.wait()
        print(f"{sent} cases; {before} MiB resident after a quarter, {after} at the end")


if __name__ == "__main__":
    main()
