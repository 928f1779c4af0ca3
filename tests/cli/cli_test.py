#!/usr/bin/env python3
"""Drives build/plex86 as a user would: bad input, our flat guests, terminal, signals.

cli_test.py PLEX86 GUEST_DIR ENGINE [PATTERN]: TAP on stdout. Nothing is timed: a test waits for what must
come; the limit below is only for what never comes.
"""
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import termios
import struct

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from harness import Failed, Skip, check, check_in, run_tests, set_size, test  # noqa: E402

PLEX86, GUESTS, ENGINE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3]
LIMIT_S = 200


def command(*args):
    """The engine under test for whatever runs a guest; the instruction clock is the emulator's alone."""
    if ("--flat" in args or "-kernel" in args) and "--clock" not in args and "--engine" not in args:
        args = (*args, "--engine", ENGINE)
    return [PLEX86, *args]


def run(*args, stdin=subprocess.DEVNULL, data=None, **kw):
    """plex86 with these arguments: (status, stdout, stderr)."""
    kw = dict(kw)
    if data is not None:
        kw["input"] = data
    else:
        kw["stdin"] = stdin
    r = subprocess.run(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S, **kw)
    return r.returncode, r.stdout.decode("latin-1"), r.stderr.decode("latin-1")


def guest(name):
    return os.path.join(GUESTS, name + ".bin")


def flat(name, *args, **kw):
    return run("run", "--flat", "0x100000", *args, guest(name), **kw)


def one_line_error(status, text, *args, **kw):
    code, out, err = run(*args, **kw)
    check(code, status)
    check(out, "")
    check(err.count("\n"), 1)
    if not err.startswith("plex86: "):
        raise Failed("not a line of ours: %r" % err)
    check_in(text, err)


def temp(data):
    f = tempfile.NamedTemporaryFile(prefix="plex86-test-")
    f.write(data)
    f.flush()
    return f


def bzimage(body=65536, init_size=0x100000, protocol=0x20F, xloadflags=0):
    """The smallest file that passes as a bzImage; its code is HLT."""
    k = bytearray(1024) + b"\xF4" * body
    k[0x1F1] = 1
    struct.pack_into("<I", k, 0x1F4, body // 16)
    struct.pack_into("<H", k, 0x1FE, 0xAA55)
    k[0x200:0x206] = b"\xEB\x66HdrS"
    struct.pack_into("<H", k, 0x206, protocol)
    k[0x211] = 1
    struct.pack_into("<III", k, 0x22C, 0x37FFFFFF, 0x1000, 0)
    struct.pack_into("<HI", k, 0x236, xloadflags, 255)
    struct.pack_into("<QI", k, 0x258, 0x400000, init_size)
    return bytes(k)


# --- bad input: one clear line, status 1

@test
def both_engines_run_a_program():
    for engine in "scan", "emulate":
        code, out, err = flat("hello", "--engine", engine)
        check((code, out), (0, "hello from ring 0\n"))


@test
def missing_kernel():
    one_line_error(1, "No such file", "run", "-kernel", "/nonexistent/vmlinuz")


@test
def image_that_is_not_there_or_is_nothing_to_boot_is_not_called_a_kernel():
    one_line_error(1, "image '/nonexistent/disk.img': No such file", "run", "/nonexistent/disk.img")
    with temp(b"hello\n" * 100) as f:
        one_line_error(1, "neither a kernel nor a bootable disk", "run", f.name)


@test
def directory_as_kernel():
    one_line_error(1, "Is a directory", "run", "-kernel", "/")


@test
def empty_kernel():
    one_line_error(1, "empty", "run", "-kernel", "/dev/null")


@test
def truncated_bzimage():
    with temp(bzimage()[:-8192]) as f:
        one_line_error(1, "truncated", "run", "-kernel", f.name)


@test
def something_that_is_no_kernel():
    with temp(b"hello\n" * 100) as f:
        one_line_error(1, "not a kernel", "run", "-kernel", f.name)


@test
def kernel_64_bit_only():
    with temp(bzimage(xloadflags=3)) as f:
        one_line_error(1, "64-bit", "run", "-kernel", f.name)


@test
def kernel_too_old():
    with temp(bzimage(protocol=0x201)) as f:
        one_line_error(1, "too old", "run", "-kernel", f.name)


@test
def kernel_that_needs_more_memory():
    with temp(bzimage(init_size=64 << 20)) as f:
        one_line_error(1, "needs at least", "run", "-m", "32", "-kernel", f.name)


@test
def initrd_larger_than_memory():
    with temp(bzimage()) as k, temp(b"") as i:
        i.truncate(40 << 20)
        one_line_error(1, "do not fit", "run", "-m", "32", "-kernel", k.name, "-initrd", i.name)


@test
def unreadable_kernel():
    as_nobody = (lambda: os.setuid(65534)) if os.geteuid() == 0 else None	# root reads everything
    with temp(bzimage()) as f:
        os.chmod(f.name, 0)
        try:
            one_line_error(1, "Permission denied", "run", "-kernel", f.name, preexec_fn=as_nobody)
        except PermissionError:
            raise Skip("the build folder is closed to ordinary users")


@test
def memory_of_0():
    one_line_error(1, "at least", "run", "-m", "0", "-kernel", "k")


@test
def memory_of_100_tib():
    one_line_error(1, "at most", "run", "-m", "100T", "-kernel", "k")


@test
def unknown_option_names_the_nearest():
    one_line_error(1, "did you mean '-kernel'?", "run", "--kernle", "k")


@test
def instruction_clock_with_an_engine_that_does_not_count():
    one_line_error(1, "--engine emulate", "--clock", "instructions", "--engine", "scan", "--flat", "0x1000", "f")


@test
def nothing_to_boot():
    one_line_error(1, "nothing to boot", "run")


@test
def flat_program_beyond_memory():
    one_line_error(1, "do not fit", "run", "-m", "1", "--flat", "0x100000", guest("hello"))


@test
def trace_item_that_is_unknown():
    one_line_error(1, "unknown item", "run", "-d", "everything", "--flat", "0x100000", guest("hello"))
    for items, said in (("int:300", "vectors are 0 to 255"), ("io:0x3f8-0x3f0", "ports are 0 to 0xffff"), ("hlt:1", "int and io only")):
        one_line_error(1, said, "run", "-d", items, "--flat", "0x100000", guest("hello"))


@test
def serial_file_that_cannot_be_made():
    one_line_error(1, "No such file", "run", "-serial", "file:/nonexistent/log", "--flat", "0x100000", guest("hello"))


# --- about itself

@test
def help_lists_every_option_and_fits_a_terminal():
    code, out, err = run("--help")
    check((code, err), (0, ""))
    for option in ("-kernel", "--memory", "-serial", "--clock", "-no-reboot", "Exit status"):
        check_in(option, out)
    check([line for line in out.split("\n") if len(line) > 100], [])


@test
def every_command_has_help_and_says_in_one_line_how_it_was_misused():
    for name in ("ps", "stat", "profile", "top", "stop", "screenshot", "screentext", "sendkey", "monitor", "image", "doctor"):
        code, out, err = run(name, "--help")
        check((code, err), (0, ""))
        check_in("plex86 " + name, out)
    for words in (["ps", "x"], ["stat"], ["profile"], ["stop"], ["screenshot", "x"], ["screentext"], ["sendkey", "x"], ["monitor", "x"],
                  ["top", "--sort", "x"], ["image"], ["image", "frob"], ["image", "create", "a.img"], ["image", "create", "-q", "a.img"],
                  ["image", "info"], ["image", "convert", "a"], ["image", "convert", "-O"]):
        one_line_error(1, "(plex86 %s --help)" % words[0], *words)


@test
def a_socket_that_cannot_be_one_is_said_with_its_option():
    for option in ("-gdb", "-qmp", "-monitor"):
        one_line_error(1, option + " 'x': it is unix:PATH", option, "x")


@test
def version():
    code, out, err = run("--version")
    check((code, err), (0, ""))
    if not re.fullmatch(r"plex86 \d+\.\d+\.\d+\n", out):
        raise Failed(out)


@test
def doctor_says_what_the_host_offers():
    code, out, err = run("doctor")
    check((code, err), (0, ""))
    for fact in ("FSGSBASE", "vm.max_map_count", "vm.mmap_min_addr", "32-bit code segments"):
        check_in(fact, out)


# --- guests and how they end

@test
def hello_prints_and_powers_off():
    check(flat("hello"), (0, "hello from ring 0\n", ""))


@test
def run_may_be_left_out():
    check(run("--flat", "0x100000", guest("hello")), (0, "hello from ring 0\n", ""))


@test
def real_mode_boot_sector():
    check(run("--flat", "0x7c00", "--mode", "real", guest("boot_sector")), (0, "hello from real mode\n", ""))


@test
def multiboot_kernel_with_modules():
    with temp(b"first module") as a, temp(b"second") as b:
        code, out, err = run("-kernel", guest("multiboot"), "-append", "a=1 b", "-m", "64",
                             "-initrd", "%s x,%s" % (a.name, b.name))
        check((code, err), (0, ""))
        lines = out.split("\n")
        check(lines[0], "2badb002")
        check(lines[1], "command line: %s a=1 b" % guest("multiboot"))
        check(lines[2:5], ["modules: 00000002", "first module", "second"])
        check(lines[5], "KiB above 1 MiB: 0000fb80")	# 63 MiB less the tables' 128 KiB


@test
def triple_fault_without_reboot_ends_with_status_3_and_a_report():
    code, out, err = flat("triple_fault", "-no-reboot")
    check((code, out), (3, ""))
    check(err.split("\n")[0], "plex86: triple fault")
    check_in("Current instruction:\n 0008.00100007  0F0B                     ud2\n", err)
    check_in("\nBehind it:\n 0008.00100009  ", err)
    check_in("\nStack at 0010.", err)
    check_in("exception v=06 e=0000", err)


@test
def dead_halt_ends_with_status_4():
    code, out, err = flat("dead_halt")
    check(code, 4)
    check_in("for good", err)


@test
def debug_exit_gives_its_status():
    check(flat("debug_exit", "-device", "isa-debug-exit,iobase=0xf4,iosize=4")[0], 21 * 2 + 1)


@test
def every_way_to_reset_loads_the_image_again():
    check(flat("resets"), (0, "".join("start 5eed%04x\n" % n for n in range(1, 6)), ""))


@test
def no_reboot_ends_at_the_first_reset():
    check(flat("resets", "-no-reboot"), (0, "start 5eed0001\n", ""))


@test
def instruction_clock_repeats_itself_to_the_byte():
    first = flat("timer", "--clock", "instructions")
    check(first[0], 0)
    check(first[1].count("\n"), 20)
    check(flat("timer", "--clock", "instructions"), first)


@test
def systems_find_their_floppy_drives():
    with temp(b"") as disk:
        disk.truncate(1474560)
        with_disk = flat("fdc", "-fda", disk.name)
    check(with_disk, (0, "reset 00 80 [c0 00 ][c1 00 ][c2 00 ][c3 00 ][80 ]\nversion [90 ]\nspecify []80 \n"
                      "change 80 [][20 00 ]00 [][20 02 ]00 \nabsent [69 ][][71 00 ]\nboth [][][20 00 ][71 00 ][80 ]\n"
                      "id [00 00 00 00 00 01 02 ]\nid-absent [41 01 00 00 00 01 02 ]\n", ""))


@test
def timer_goes_on_when_the_guest_is_awake_after_hlt():
    for _ in range(5):		# the first tick must come when it sleeps already
        check(flat("wakes"), (0, "awake\n", ""))


@test
def a_guest_that_rests_has_all_its_ticks():
    for options in ((), ("--idle-slack", "50"), ("--engine", "emulate"), ("--clock", "instructions")):
        check(flat("rest", *options), (0, "all ticks came\n", ""))


@test
def delays_take_their_time_and_no_clock_goes_back():
    for options in ((), ("--engine", "emulate"), ("--clock", "instructions")):
        begun = time.monotonic()
        check(flat("delays", *options), (0, "delays were made\n", ""))
        if "--clock" not in options and time.monotonic() - begun < 0.248:	# 2 ms: LEAD_MAX_NS
            raise Failed("a quarter of a second of delays was over too soon")


@test
def idle_slack_is_a_number_of_milliseconds():
    for wrong in ("51", "-1", "x", ""):
        code, out, err = flat("hello", "--idle-slack", wrong)
        check((code, out, "it is 0 to 50 milliseconds" in err), (1, "", True))
    check(flat("hello", "--idle-slack", "0")[0], flat("hello")[0])


@test
def hpet_is_there_if_it_is_asked_for_and_takes_the_timers_place():
    check(flat("hpet", "-machine", "hpet=on"), (0, "8086a201 ticks\n", ""))
    check(flat("hpet", "-machine", "hpet=on", "--clock", "instructions"), (0, "8086a201 ticks\n", ""))
    check(flat("hpet"), (0, "ffffffff none\n", ""))


@test
def host_clock_ticks_in_hlt():
    code, out, err = flat("timer")
    check((code, err), (0, ""))
    # Where the host is late, any number of ticks may come before the guest looks again.
    check(int(out.split("\n")[-2].split()[0], 16) >= 20, True)


@test
def interrupts_and_page_faults_at_any_instant_change_no_result():
    check(flat("stress"), (0, "every round was right\n", ""))


# --- the seeds' demonstrations: they are the scanner's

def stops_at(line, name, *args, status=6):
    code, out, err = flat(name, *args, "--engine", "scan")
    check(code, status)
    check_in("Current instruction:\n " + line + "\n", err)


@test
def virtualized_nop_stops_with_the_report_of_the_seed():
    stops_at("0008.00100002  90                       nop", "nop", "--virtualize", "nop")


@test
def virtualize_matches_operands_too():
    stops_at("0008.00100003  F4                       hlt", "nop", "--virtualize", "mov %cr0", "--virtualize", "hlt")
    check(flat("nop", "--virtualize", "mov %cr0", "--engine", "scan")[0], 4)


@test
def virtualize_of_no_instruction():
    one_line_error(1, "no such instruction", "run", "--virtualize", "frob", "--flat", "0x100000", guest("nop"))


@test
def virtualize_list_names_every_instruction():
    code, out, err = run("run", "--virtualize-list")
    check(code, 0)
    check_in("popf", out)
    check_in("silent", out)


@test
def protect_code_stops_at_a_read_of_the_own_page():
    stops_at("0008.00100008  8B18                     movl    (%eax), %ebx", "read_code", "--protect-code")


@test
def protect_code_stops_at_a_write_to_the_own_page():
    stops_at("0008.00100008  8918                     movl    %ebx, (%eax)", "write_code", "--protect-code")


@test
def protect_code_lets_the_next_page_through():
    stops_at("0008.00100011  F4                       hlt", "next_page", "--protect-code", status=4)


@test
def without_protect_code_a_program_reads_its_own_bytes():
    code, out, err = flat("read_code", "--engine", "scan")
    check(code, 4)
    check_in("EBX=F4188B58", err)


@test
def trace_of_instructions_and_ports_goes_to_a_file():
    with temp(b"") as f:
        check(flat("hello", "-d", "in_asm,io", "-D", f.name), (0, "hello from ring 0\n", ""))
        text = open(f.name).read()
        check_in(" 0 0008:00100000 asm 56                     push    %esi\n", text)
        check_in("out port=03f8 size=1 val=68\n", text)
        check_in("out port=0604 size=2 val=2000\n", text)


@test
def trace_filter_leaves_out_other_addresses():
    with temp(b"") as f:
        check(flat("hello", "-d", "exec", "-dfilter", "0x100000+1", "-D", f.name)[0], 0)
        check(open(f.name).read()[12:], " 0 0008:00100000 exec\n")


# --- console

@test
def serial_output_to_a_file():
    with temp(b"") as f:
        check(flat("hello", "-serial", "file:" + f.name), (0, "", ""))
        check(open(f.name).read(), "hello from ring 0\n")


@test
def input_from_a_pipe_reaches_the_guest_whole():
    data = bytes(range(1, 112)) * 50 + b"q"
    code, out, err = flat("echo", data=data)
    check((code, err), (0, ""))
    check(out.encode("latin-1"), b"ready\n" + data)


@test
def input_from_a_file_reaches_the_guest():
    with temp(b"from a file q") as f:
        check(flat("echo", stdin=open(f.name, "rb"))[:2], (0, "ready\nfrom a file q"))


@test
def closed_stdin_is_said_and_is_no_reason_not_to_run():
    r = subprocess.run(["sh", "-c", 'exec "$0" --flat 0x100000 "$1" <&-', PLEX86, guest("hello")],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S)
    check((r.returncode, r.stdout), (0, b"hello from ring 0\n"))
    check(r.stderr, b"plex86: standard input is closed: the guest's console gets no input\n")


@test
def slow_reader_gets_all_of_the_output():
    p = subprocess.Popen(command("--flat", "0x100000", guest("flood")), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE)
    got = b""
    while True:
        piece = os.read(p.stdout.fileno(), 777)
        if not piece:
            break
        got += piece
    check(p.wait(LIMIT_S), 0)
    check(len(got), 4096 * 64)
    check(got[:64], b"a" * 63 + b"\n" if got[:1] == b"a" else got[:1] * 63 + b"\n")


@test
def reader_that_goes_away_does_not_end_the_guest():
    r = subprocess.run(["sh", "-c", '"$0" --flat 0x100000 "$1" | head -c 100 >/dev/null', PLEX86, guest("flood")],
                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=LIMIT_S)
    check((r.returncode, r.stderr), (0, b""))


def wait_for(fd, text):
    got = b""
    while text not in got:
        piece = os.read(fd, 4096)
        if not piece:
            raise Failed("end of output before %r: %r" % (text, got))
        got += piece
    return got


def signal_ends(name, sig, status):
    p = subprocess.Popen(command("--flat", "0x100000", guest(name)), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(p.stdout.fileno(), b"\n")
    p.send_signal(sig)
    err = p.stderr.read().decode()
    check(p.wait(LIMIT_S), status)
    check(err.count("\n"), 1)
    check_in("plex86: ended by signal %d" % sig, err)


@test
def sigterm_ends_an_idle_guest_with_status_143():
    signal_ends("idle", signal.SIGTERM, 143)


@test
def sigterm_ends_a_busy_guest():
    signal_ends("spin", signal.SIGTERM, 143)


@test
def sigterm_ends_a_run_by_the_instruction_clock_that_waits_for_its_reader():
    p = subprocess.Popen(command("--clock", "instructions", "--flat", "0x100000", guest("flood")),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.read(p.stdout.fileno(), 1)
    p.send_signal(signal.SIGTERM)
    p.stderr.read()
    check(p.wait(LIMIT_S), 143)


@test
def sigint_and_sighup_end_with_their_status():
    signal_ends("idle", signal.SIGINT, 130)
    signal_ends("idle", signal.SIGHUP, 129)


@test
def sigterm_ends_although_nobody_reads_the_output():
    p = subprocess.Popen(command("--flat", "0x100000", guest("flood")), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.read(p.stdout.fileno(), 1)
    p.send_signal(signal.SIGTERM)
    p.stderr.read()
    check(p.wait(LIMIT_S), 143)


class Terminal:
    """plex86 on a pseudo terminal of its own."""

    def __init__(self, name, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.p = subprocess.Popen(command("--flat", "0x100000", *args, guest(name)), stdin=self.slave,
                                  stdout=self.slave, stderr=self.slave)

    def send(self, data):
        os.write(self.master, data)

    def wait_for(self, text):
        return wait_for(self.master, text)

    def ends_with(self, status):
        check(self.p.wait(LIMIT_S), status)
        check(termios.tcgetattr(self.slave), self.before)
        os.close(self.master)
        os.close(self.slave)


@test
def ctrl_a_x_quits_an_idle_guest_and_the_terminal_is_as_before():
    t = Terminal("idle")
    t.wait_for(b"idle\r\n")
    check(termios.tcgetattr(t.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG), 0)
    t.send(b"\x01x")
    t.ends_with(0)


@test
def ctrl_a_x_quits_a_guest_that_never_reads():
    t = Terminal("spin")
    t.wait_for(b"spinning\r\n")
    t.send(b"y" * 3000)
    t.send(b"y" * 3000 + b"\x01x")
    t.ends_with(0)


@test
def ctrl_a_h_helps_and_ctrl_a_twice_is_the_guests():
    t = Terminal("echo")
    t.wait_for(b"ready\r\n")
    t.send(b"\x01h")
    t.wait_for(b"end the virtual machine")
    t.send(b"\x01\x01")
    t.wait_for(b"\x01")
    t.send(b"\x03")			# Ctrl-C is the guest's
    t.wait_for(b"\x03")
    t.send(b"q")
    t.ends_with(0)


@test
def terminal_is_restored_after_sigterm():
    t = Terminal("idle")
    t.wait_for(b"idle\r\n")
    t.p.send_signal(signal.SIGTERM)
    t.ends_with(143)


@test
def terminal_is_restored_after_a_crash_of_the_monitor():
    t = Terminal("idle")
    t.wait_for(b"idle\r\n")
    t.p.send_signal(signal.SIGSEGV)
    t.wait_for(b"internal error")
    t.ends_with(-signal.SIGSEGV)


@test
def job_control_gives_the_terminal_back_and_takes_it_again():
    t = Terminal("echo")
    t.wait_for(b"ready\r\n")
    t.p.send_signal(signal.SIGTSTP)
    check(os.WIFSTOPPED(os.waitpid(t.p.pid, os.WUNTRACED)[1]), True)
    check(termios.tcgetattr(t.slave), t.before)
    t.p.send_signal(signal.SIGCONT)
    while termios.tcgetattr(t.slave)[3] & termios.ICANON:
        time.sleep(0.01)
    t.send(b"\x03q")			# raw again: Ctrl-C is a byte
    t.wait_for(b"\x03q")
    t.ends_with(0)


@test
def terminal_resize_disturbs_nothing():
    t = Terminal("echo")
    t.wait_for(b"ready\r\n")
    set_size(t.slave, 50, 132)
    t.p.send_signal(signal.SIGWINCH)
    t.send(b"zq")
    t.wait_for(b"zq")
    t.ends_with(0)


@test
def serial_port_on_a_pseudo_terminal():
    p = subprocess.Popen(command("--flat", "0x100000", "-serial", "pty", guest("echo")), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    path = re.search(rb"/dev/\S+", p.stderr.readline()).group(0)
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    wait_for(fd, b"ready\n")
    os.write(fd, b"abc")
    wait_for(fd, b"abc")
    os.write(fd, b"q")
    check(p.wait(LIMIT_S), 0)
    os.close(fd)
    p.stderr.close()
    p.stdout.close()


# --- cost

@test
def untouched_memory_costs_nothing():
    p = subprocess.Popen(command("-m", "3G", "--flat", "0x100000", guest("idle")), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_for(p.stdout.fileno(), b"idle\n")
    rss = int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % p.pid).read()).group(1))
    p.terminate()
    p.wait(LIMIT_S)
    if rss > 48 * 1024:
        raise Failed("%d KiB resident" % rss)


run_tests(*sys.argv[4:])
