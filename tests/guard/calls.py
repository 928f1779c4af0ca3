#!/usr/bin/env python3
"""Every call of the host that the program makes and that can fail can be made to fail by the rig (faults.c).

usage: calls.py PLEX86 WRAPPED...

What the program imports is either wrapped, or named here with the reason why not. A new call has to be put in one place
or the other.
"""
import re
import subprocess
import sys

PLEX86, WRAPPED = sys.argv[1], set(sys.argv[2:])
REASONS = {
    "computes, or formats into memory that is there": r"""bcmp|mem(chr|cmp|cpy|mem|move|rchr|set)|str(casecmp|chr|cmp|cpy|cspn|error|len|ncmp|ncpy|nlen|rchr|signal|spn|str
        |tod|tok_r|tol|toll|toul|toull|ncasecmp)|strptime|v?snprintf|sprintf|crc32|__isoc99_sscanf|qsort(_r)?|_?_ctype_\w+|__ctype_b_loc|inet_pton|inet_ntop|gai_strerror
        |cfmakeraw|localtime_r|timegm|sig(add|del|empty|fill)set|nl_langinfo|alphasort64""",
    "cannot fail with arguments that are right": r"""close|free|freeaddrinfo|clock_gettime|gettimeofday|time|nanosleep|get(pid|euid|egid|env|auxval)|umask|sysinfo|mincore
        |sigaction|signal|sigprocmask|pthread_(sigmask|mutex_\w+|cond_\w+|join|timedjoin_np)|timer_delete|setsid|tzset|isatty|shutdown|mallopt|__libc_current_sigrtmin""",
    "is the end, or the way out": r"abort|_exit|exit|raise|__assert_fail|_?_?(sig)?setjmp|_setjmp|longjmp",
    "is stdio on a stream that is open, whose error is asked for at the end or does not matter": r"""f(close|error|flush|gets|printf|putc|puts|write|seek|tell|read)|__getdelim|__isoc99_fscanf
        |d?printf|puts|rewind|std(in|out|err)|putchar|getline""",
    "is a library's, which has its own way to say so": r"(json|png|rfb|Zydis|ZSTD|inflate|seccomp|slirp)_?\w*|asprintf",
    "is the terminal display's library": r"""COLORS|COLOR_PAIRS|COLS|LINES|stdscr|attro(ff|n)|cbreak|clear|curs_set|delscreen|endwin|erase|get_wch|has_colors|init_pair|key(name|pad)|move|mvadd\w+
        |mvprintw|newterm|no(echo|nl)|nonl|printw|raw|w?refresh|resizeterm|set(cchar|_escdelay)|start_color|w?timeout|wattr_o\w+|w(erase|getch|move)|setlocale""",
    "is tried by the sandbox, which says what it got and goes on": r"unshare|chdir|chroot|access|waitpid|syscall",
    "belongs to commands beside a running machine": r"getopt\w*|opt(arg|err|ind|opt)|scandir64|opendir|readdir64|closedir|lockf|flock|rename",
    "is the linker's": r"__cxa_\w+|__gmon_start__|__libc_start_main|__tls_get_addr|__errno_location|_ITM_\w+|dlsym|__stack_chk_fail|environ",
}


def main():
    text = subprocess.run(["nm", "-D", "--undefined-only", PLEX86], capture_output=True, text=True, check=True).stdout
    calls = {re.sub("@.*", "", line.split()[-1]) for line in text.splitlines() if line.strip()}
    assert len(calls) > 100, text
    known = re.compile("|".join(re.sub(r"\s+", "", names) for names in REASONS.values()))
    missing = sorted(c for c in calls - WRAPPED if not known.fullmatch(c))
    assert not missing, f"neither wrapped (tests/guard/meson.build, faults.c) nor known to need none (calls.py): {' '.join(missing)}"
    print(f"{len(calls & WRAPPED)} calls can be made to fail, {len(calls - WRAPPED)} are no such calls")


if __name__ == "__main__":
    main()
