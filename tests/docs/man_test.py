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
    for name in sorted(options - tags):
        print(f"the man page does not have -{name}")
    for name in sorted(tags - options):
        print(f"--help does not have -{name}")
    print(f"{len(options)} options")
    return 0 if options == tags and len(options) > 20 else 1


if __name__ == "__main__":
    sys.exit(main())
