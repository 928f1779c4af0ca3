#!/usr/bin/env python3
"""Every option and command that plex86 --help names stands in the man page, and none besides.

usage: man_test.py PLEX86 MAN_PAGE
"""
import re
import subprocess
import sys


def words(text):
    return set(re.findall(r"(?<![\w-])--?([A-Za-z][a-z0-9-]*)", text))


def main():
    help_text = subprocess.run([sys.argv[1], "--help"], capture_output=True, text=True, check=True).stdout
    with open(sys.argv[2], encoding="utf-8") as page:
        source = page.read().replace("\\-", "-")
    options = {name for line in help_text.splitlines() if re.match(r"  -", line)
               for name in words(re.match(r"  (-\S+?(?:, -\S+)?)(?: |$)", line)[1])}
    section = source[source.index(".SH OPTIONS"):source.index(".SH COMMANDS")]
    tags = {name for line in re.findall(r"^\.TP\n(.*)", section, re.M) for name in words(line)}
    listed = [name for line in re.findall(r"^\.TP\n(.*)", section, re.M) for name in words(line)]
    twice = sorted({name for name in listed if listed.count(name) > 1})
    commands = set(re.findall(r"\b(?:image|doctor|ps|stat|top|profile|stop|screenshot|screentext|sendkey|monitor)\b", help_text.split("\n\n")[0]))
    synopsis = source[source.index(".SH SYNOPSIS"):source.index(".SH DESCRIPTION")]
    unnamed = sorted(c for c in commands if not re.search(r"\b%s\b" % c, synopsis))
    for name in twice:
        print(f"the man page has -{name} twice")
    for name in unnamed:
        print(f"the man page's synopsis does not have the command {name}")
    for name in sorted(options - tags):
        print(f"the man page does not have -{name}")
    for name in sorted(tags - options):
        print(f"--help does not have -{name}")
    print(f"{len(options)} options")
    return 0 if options == tags and len(options) > 20 and len(commands) == 11 and not twice and not unnamed else 1


if __name__ == "__main__":
    sys.exit(main())
