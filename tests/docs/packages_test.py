#!/usr/bin/env python3
"""Every package that tools/packages.txt has the Makefile install stands in docs/dependencies.md, with what for.

usage: packages_test.py PACKAGES DOCUMENT
"""
import re
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        packages = {line.split()[1] for line in lines if line.strip() and not line.startswith("#")}
    with open(sys.argv[2], encoding="utf-8") as document:
        named = set(re.findall(r"`([a-z0-9][a-z0-9.+-]+)`", document.read()))
    for name in sorted(packages - named):
        print(f"{sys.argv[2]} does not name {name}")
    return 1 if packages - named or not packages else 0


if __name__ == "__main__":
    sys.exit(main())
