#!/usr/bin/env python3
"""The network card and its user-mode network: iPXE boots over it; who looks at it, and what becomes of it.

usage: network.py PLEX86 GUESTS [PATTERN]     GUESTS: the folder of our own guests
"""
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import BIOS, LIMIT_S, Qmp, Skip, check, check_in, need, run_tests, test  # noqa: E402

PLEX86, GUESTS = (os.path.abspath(p) for p in sys.argv[1:3])
ROM = "/usr/lib/ipxe/qemu/pxe-e1000.rom"
SCRIPT = "#!ipxe\n%skernel multiboot.bin one two\nmodule note\nboot\n"


def guest(name):
    return os.path.join(GUESTS, name + ".bin")


def until(condition):
    end = time.monotonic() + LIMIT_S
    while not (got := condition()):
        if time.monotonic() > end:
            raise AssertionError("it does not come about")
        time.sleep(0.05)
    return got


def boot(folder, *options, script="", network=""):
    """Over the network, from a folder that TFTP serves: what the serial port said, and the process."""
    need(BIOS, ROM)
    with open(os.path.join(folder, "boot.ipxe"), "w", encoding="ascii") as f:
        f.write(SCRIPT % script)
    with open(os.path.join(folder, "note"), "w", encoding="ascii") as f:
        f.write("hello from the module\n")
    with open(guest("multiboot"), "rb") as f, open(os.path.join(folder, "multiboot.bin"), "wb") as to:
        to.write(f.read())
    r = subprocess.run([PLEX86, "run", "-m", "64", "-vga", "none", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
                        "-nic", f"user,tftp={folder},bootfile=boot.ipxe{network}", *options],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    return r.stdout, r


def booted(out, r):
    check((r.returncode, r.stderr), (0, ""))
    check_in("command line: tftp://10.0.2.2/multiboot.bin one two", out)
    check_in("hello from the module", out)


@contextlib.contextmanager
def running(*options):
    """An idle machine, and its control socket."""
    with tempfile.TemporaryDirectory() as folder:
        sock = os.path.join(folder, "qmp")
        p = subprocess.Popen([PLEX86, "run", "-m", "16", "-nographic", "-qmp", f"unix:{sock},server=on,wait=off", *options, "--flat", "0x100000",
                              guest("idle")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            yield Qmp(sock, p), p
        finally:
            p.kill()
            p.communicate()


@contextlib.contextmanager
def web_server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


@test
def a_kernel_and_a_module_are_booted_over_the_network_and_frames_are_metered():
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "meters")
        booted(*boot(folder, "--meter-log", log))
        with open(log, encoding="utf-8") as f:
            vm = json.loads(f.readlines()[-1])["vm"]
    frames, size = vm["network_frames"]["net0"], vm["network_bytes"]["net0"]
    assert frames["receive"] > 8 and frames["send"] > 8, frames
    assert size["receive"] > os.path.getsize(guest("multiboot")) and size["send"] > 60 * frames["send"] // 2, size
    check(vm["network_frames_lost"]["net0"], {"receive": 0, "send": 0})


@test
def the_emulator_boots_over_the_network_too():
    with tempfile.TemporaryDirectory() as folder:
        booted(*boot(folder, "--engine", "emulate", "-boot", "n"))


@test
def a_machine_that_is_reset_boots_over_the_network_again():
    need(BIOS, ROM)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "again.ipxe"), "w", encoding="ascii") as f:
            f.write("#!ipxe\nreboot\n")
        p = subprocess.Popen([PLEX86, "run", "-m", "64", "-vga", "none", "-display", "none", "-serial", "stdio", "-monitor", "none", "-bios", BIOS,
                              "-nic", f"user,tftp={folder},bootfile=again.ipxe"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, errors="replace")
        watchdog = threading.Timer(LIMIT_S, p.kill)
        watchdog.start()
        times = 0
        for line in p.stdout:
            times += "again.ipxe... ok" in line
            if times == 3:
                break
        p.kill()
        watchdog.cancel()
        check((times, p.communicate()[1]), (3, ""))


@test
def namespaces_are_the_monitors_and_not_the_networks():
    if subprocess.run(["unshare", "-r", "true"], capture_output=True, check=False).returncode != 0:
        raise Skip("this host gives no user namespaces")
    with tempfile.TemporaryDirectory() as folder:
        booted(*boot(folder, "--sandbox=strict,namespaces=on"))


@test
def a_restricted_guest_does_not_reach_the_host_and_another_does():
    with web_server() as port:
        script = f"dhcp\nimgfetch --timeout 5000 http://10.0.2.2:{port}/x && echo reached the host || echo did not reach it\nimgfree\n"
        for network, words in [("", "reached the host"), (",restrict=on", "did not reach it")]:
            with tempfile.TemporaryDirectory() as folder:
                out, r = boot(folder, script=script, network=network)
                booted(out, r)
                check_in("\n" + words, out.replace("\r", ""))


@test
def the_monitor_shows_the_card_and_what_it_is_on():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    with running("-netdev", f"user,id=lan,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "e1000,netdev=lan,mac=52:54:00:0a:0b:0c") as (qmp, _):
        text = qmp.monitor("info network")
        check_in("lan: model=e1000, macaddr=52:54:00:0a:0b:0c, link down", text)       # no driver has asked for the link
        check_in(f"tcp 127.0.0.1:{port} -> guest:22", text)
        text = qmp.monitor("info pci")
        check_in("PCI device 8086:100e", text)
        check_in("BAR0: memory at 0xfeb80000", text)


@test
def the_cable_can_be_pulled_and_put_in_again():
    with running("-nic", "user,id=lan") as (qmp, _):
        def set_link(**args):
            return qmp.raw(json.dumps({"execute": "set_link", "arguments": args}))

        check(set_link(name="lan", up=False), {"return": {}})
        check_in("cable out", qmp.monitor("info network"))
        check(qmp.monitor("set_link lan on"), "")
        assert "cable out" not in qmp.monitor("info network")
        check_in("no network card 'other'", qmp.monitor("set_link other on"))
        check_in("no network card 'other'", set_link(name="other", up=True)["error"]["desc"])
        check_in("up", set_link(name="lan")["error"]["desc"])


@test
def without_an_option_there_is_no_card_and_no_process():
    with running() as (qmp, p):
        check(qmp.monitor("info network"), "")
        assert "8086:100e" not in qmp.monitor("info pci")
        with open(f"/proc/{p.pid}/task/{p.pid}/children", encoding="ascii") as f:
            names = [open(f"/proc/{pid}/comm", encoding="ascii").read().strip() for pid in f.read().split()]
        assert "plex86-net" not in names, names


@test
def the_end_of_the_networks_process_is_the_cables_and_the_machine_goes_on():
    with running("-nic", "user") as (qmp, p):
        pid = int(re.search(r"process (\d+)", qmp.monitor("info network"))[1])
        os.kill(pid, signal.SIGKILL)
        until(lambda: "process has ended" in qmp.monitor("info network"))
        check(qmp.cmd("query-status")["status"], "running")
        until(lambda: not os.path.exists(f"/proc/{pid}"))       # nor does it stay as a zombie
        p.kill()
        check(p.stderr.read(), "plex86: the network's process has ended: the card's cable is out\n")


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().split(")")[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@test
def the_networks_process_ends_with_its_machine():
    with running("-nic", "user") as (qmp, p):
        pid = int(re.search(r"process (\d+)", qmp.monitor("info network"))[1])
        p.kill()
        p.wait()
        until(lambda: has_ended(pid))


@test
def a_networks_process_that_hangs_neither_holds_the_machine_up_nor_outlives_it():
    with running("-nic", "user") as (qmp, p):
        pid = int(re.search(r"process (\d+)", qmp.monitor("info network"))[1])
        os.kill(pid, signal.SIGSTOP)
        check(qmp.cmd("query-status")["status"], "running")
        qmp.cmd("quit")
        check(p.wait(LIMIT_S), 0)
        until(lambda: has_ended(pid))


@test
def the_monitor_gets_no_system_call_for_it():
    def calls(*options):
        with running(*options) as (qmp, _):
            line = re.search(r"^system calls: [0-9].*", qmp.monitor("info sandbox"), re.M)
            if line is None:
                raise Skip("without seccomp here, or built with a sanitizer")
            return line[0]
    check(calls("-nic", "user"), calls())


@test
def a_port_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        r = subprocess.run([PLEX86, "run", "-nographic", "-nic", f"user,hostfwd=tcp:127.0.0.1:{port}-:22", "--flat", "0x100000", guest("hello")],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    check((r.returncode, r.stdout), (1, ""))
    check(r.stderr, f"plex86: hostfwd: cannot listen on TCP port {port} of 127.0.0.1: Address already in use\n")


if __name__ == "__main__":
    sys.exit(run_tests(sys.argv[3] if len(sys.argv) > 3 else "*"))
