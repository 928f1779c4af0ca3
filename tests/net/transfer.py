#!/usr/bin/env python3
"""Linux's e1000 driver on the network card: DHCP, ping, and TCP both ways, out through the user-mode network and in through hostfwd.

usage: transfer.py MONITOR ENGINE [MIB]      MONITOR: plex86, or qemu for its own card beside it

Traffic stays on the host's loopback. What is received is compared by checksum; speeds are printed, and judged by nobody.
"""
import fcntl
import hashlib
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import GUESTS, INITRD, KERNEL, LIMIT_S, initramfs, need_all, skip  # noqa: E402

MONITOR, ENGINE = sys.argv[1:3]
MIB = int(sys.argv[3]) if len(sys.argv) > 3 else 4
ISOLATED = "PLEX86_ISOLATED"
NAMES = "nslookup somewhere.test 10.0.2.3"
LEASE = b"""#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
echo lease $ip/$mask router $router dns $dns
"""
JOB = """#!/bin/sh
speed() { read -r up _ </proc/uptime; echo "$1 $up"; }
insmod /e1000.ko
ip link set lo up
ip link set eth0 up
cat /sys/class/net/eth0/address
udhcpc -i eth0 -n -q -t 20 -s /etc/lease >/tmp/dhcp 2>&1 || cat /tmp/dhcp
grep lease /tmp/dhcp
ping -c 3 10.0.2.2 | grep received
%(names)s
speed begin
nc 10.0.2.2 %(give)d </dev/null >/tmp/data
speed down
md5sum /tmp/data
nc 10.0.2.2 %(take)d </tmp/data
speed up
nc -l -p 7000 >/tmp/data </dev/null
md5sum /tmp/data
nc -l -p 7001 </tmp/data
speed forwarded
grep eth0 /proc/interrupts
cat /sys/class/net/eth0/statistics/*_errors | sort | uniq -c
dmesg | grep -i -e 'eth0' -e 'e1000'
"""


def isolate():
    """In a network of its own, with a name server of ours, if the host gives such: questions for names go to the host's server."""
    if ISOLATED in os.environ or MONITOR == "qemu":
        return
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write("nameserver 127.0.0.1\n")
        conf.flush()
        bind = f"mount --bind {conf.name} /etc/resolv.conf"
        alone = ["unshare", "-rnm", "sh", "-c"]
        if subprocess.run([*alone, bind], capture_output=True, check=False).returncode != 0:
            return
        sys.exit(subprocess.run([*alone, bind + ' && exec "$@"', "sh", sys.executable, *sys.argv], env={**os.environ, ISOLATED: "1"},
                                check=False).returncode)


def serve_names():
    """A name server that knows one answer: 10.1.2.3.       [RFC 1035]"""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve():
        while True:
            question, who = server.recvfrom(512)
            is_address = question[-4:] == b"\0\1\0\1"
            server.sendto(question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_address else b"\0\0") + b"\0\0\0\0" + question[12:] +
                          (b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3" if is_address else b""), who)
    threading.Thread(target=serve, daemon=True).start()


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 1))        # SIOCSIFFLAGS, IFF_UP


def card_driver():
    for folder, _, files in os.walk(os.path.join(GUESTS, "linux-686", "lib")):
        if "e1000.ko" in files:
            with open(os.path.join(folder, "e1000.ko"), "rb") as f:
                return f.read()
    return skip("the guest's kernel has no module e1000")


class Host:
    """Servers on the host's loopback, and the client of the forwarded ports."""

    def __init__(self, data):
        self.data, self.got, self.errors = data, {}, []
        self.servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.ports = [s.getsockname()[1] for s in self.servers]
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.give, self.take)]
        for t in self.threads:
            t.start()

    def give(self):
        with self.servers[0].accept()[0] as s:
            s.sendall(self.data)

    def take(self):
        with self.servers[1].accept()[0] as s:
            self.got["taken"] = read_all(s)

    def forwarded(self, ports):
        """Connects when the guest listens: a connection through hostfwd that the guest refuses ends at once."""
        try:
            self.until_it_listens(ports[0], lambda s: (s.sendall(self.data), s.shutdown(socket.SHUT_WR), s.recv(1)))
            self.got["forwarded"] = self.until_it_listens(ports[1], read_all)
        except OSError as e:
            self.errors.append(str(e))

    @staticmethod
    def until_it_listens(port, use):
        for _ in range(int(LIMIT_S) * 10):
            try:
                with socket.create_connection(("127.0.0.1", port)) as s:
                    result = use(s)
                    if result:
                        return result
            except (ConnectionError, OSError):
                pass
            threading.Event().wait(0.2)
        raise OSError(f"nobody listens behind port {port}")


def read_all(s):
    parts = []
    while part := s.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def free_ports(n):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def main():
    need_all(KERNEL, INITRD)
    isolate()
    if ISOLATED in os.environ:
        loopback_up()
        serve_names()
    driver = card_driver()
    data = os.urandom(1 << 20) * MIB
    host = Host(data)
    ports = free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        job = (JOB % {"give": host.ports[0], "take": host.ports[1], "names": NAMES if ISOLATED in os.environ else ""}).encode()
        initrd = initramfs(os.path.join(folder, "initrd"), {"etc/net": job, "etc/lease": LEASE, "e1000.ko": driver})
        forward = "".join(f",hostfwd=tcp:127.0.0.1:{port}-:{7000 + i}" for i, port in enumerate(ports))
        same = ["-m", "256", "-kernel", KERNEL, "-initrd", initrd, "-no-reboot", "-append", "console=ttyS0 quiet job=/etc/net",
                "-netdev", "user,id=n0" + forward, "-device", "e1000,netdev=n0,mac=52:54:00:ab:cd:ef"]
        if MONITOR == "qemu":
            need_all("qemu-system-i386")
            command = ["qemu-system-i386", "-accel", "tcg", "-nodefaults", "-display", "none", "-serial", "stdio", *same]
        else:
            command = [MONITOR, "run", "--engine", ENGINE, "-nographic", *same]
        client = threading.Thread(target=host.forwarded, args=(ports,), daemon=True)
        client.start()
        r = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=20 * LIMIT_S,
                           check=False)
        for t in (client, *host.threads):
            t.join(10)
    sys.exit(judge(r, host, hashlib.md5(data).hexdigest()))


def judge(r, host, digest):
    out = r.stdout
    times = {name: float(at) for name, at in re.findall(r"^(begin|down|up) ([\d.]+)", out, re.M)}
    failed = 0
    for what, ok in [("the machine ends as a power-off does", r.returncode == 0),
                     ("the card has the address that was asked for", "52:54:00:ab:cd:ef" in out),
                     ("DHCP gives the guest its address", re.search(r"lease 10\.0\.2\.15/24 router 10\.0\.2\.2 dns 10\.0\.2\.3", out)),
                     ("the host answers a ping", re.search(r"3 packets transmitted, 3 packets received", out)),
                     ("a question for a name is answered by the host's server", ISOLATED not in os.environ or "10.1.2.3" in out),
                     ("what the host sends arrives, and what a forwarded port brings", len(re.findall(digest, out)) == 2),
                     ("what the guest sends arrives", host.got.get("taken") == host.data),
                     ("what the guest sends through a forwarded port arrives", host.got.get("forwarded") == host.data),
                     ("the card counts no error", re.search(r"^ +(\d+) 0$", out, re.M) and not re.search(r"^ +\d+ [1-9]\d*$", out, re.M)),
                     ("it speaks gigabit", "NIC Link is Up 1000 Mbps Full Duplex" in out)]:
        print("ok  " if ok else "FAIL", what)
        failed += not ok
    if {"begin", "down", "up"} <= times.keys():
        print(f"{MIB} MiB in {times['down'] - times['begin']:.2f} s to the guest, {times['up'] - times['down']:.2f} s from it")
    if failed:
        print(out[-4000:], r.stderr[-1500:], host.errors)
    return failed != 0


if __name__ == "__main__":
    main()
