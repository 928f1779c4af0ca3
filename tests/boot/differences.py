"""What may differ between the boot logs of the same kernel under plex86 and under QEMU, and why.

Each entry is (what, pattern, why). A DROP entry takes a whole line out of both logs, a MASK entry
replaces what its groups matched by `#`. Run as a program it prints the table for docs/guests.md.
"""
import re

DROP, MASK = "line left out", "part left out"

TIMES = "times differ from run to run"

DIFFERENCES = [
    (MASK, r"^(\[ *\d+\.\d+\]) ", TIMES),
]

_compiled = [(what, re.compile(pattern), why) for what, pattern, why in DIFFERENCES]


def _mask(match):
    text, at = match.group(0), match.start(0)
    for index in range(match.re.groups, 0, -1):
        start, end = match.span(index)
        if start >= 0:
            text = text[:start - at] + "#" + text[end - at:]
    return text


def normalize(log):
    """The lines of a log that must be equal."""
    lines = []
    for line in log.replace("\r", "").splitlines():
        line = line.rstrip()
        dropped = False
        for what, pattern, _ in _compiled:
            if what is DROP:
                dropped = dropped or bool(pattern.search(line))
            else:
                line = pattern.sub(_mask, line)
        if line and not dropped:
            lines.append(line)
    return lines


def markdown():
    rows = ["| in the log | what | why |", "|---|---|---|"]
    for what, pattern, why in DIFFERENCES:
        rows.append("| `%s` | %s | %s |" % (pattern.replace("|", "\\|"), what, why))
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())
