#!/usr/bin/env python3
"""Each test that docs/security.md names for an invariant exists.       usage: security_test.py SECURITY_MD BUILD_DIR"""
import fnmatch
import json
import re
import subprocess
import sys

text = open(sys.argv[1]).read()
tests = {t["name"] for t in json.loads(subprocess.run(["meson", "introspect", "--tests", sys.argv[2]], check=True, capture_output=True).stdout)}
table = text[text.index("| invariant"):text.index("\n\n", text.index("| invariant"))]
named = [n for row in table.splitlines()[2:] for n in re.findall(r"`([a-z0-9*-]+)`", row.split("|")[2]) if n != "now" and n != "mmap"]
missing = [n for n in named if not fnmatch.filter(tests, n)]
if missing or len(named) < 20:
    sys.exit(f"no such tests: {missing} ({len(named)} named)")
