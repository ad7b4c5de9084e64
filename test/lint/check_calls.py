#!/usr/bin/env python3
"""Calls that have a safer or a bounded sister, and words that say something is not finished."""
import re
import sys

from source import blanked, files, name, report

CALLS = "strcpy strcat sprintf vsprintf gets strtok atoi atol atof system popen alloca rand srand signal tmpnam mktemp"
WAITS = "sleep usleep nanosleep"  # the product waits for events
# A file may name a call when its reason is written here.
ALLOWED = {}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bplaceholder\b", re.I)
MACHINE = re.compile(r"(?<![\w.])/(work|root)/")


def called(names, text):
    for m in re.finditer(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\(", text):
        yield m[1], text.count("\n", 0, m.start()) + 1


def main():
    faults = []
    for path in files("core", "sdk", "plugins", "examples"):
        text = blanked(path.read_text())
        for call, line in called(CALLS + " " + WAITS, text):
            if call not in ALLOWED.get(name(path), ()):
                faults.append(f"{name(path)}:{line}: {call}() is not used here")
    for path in files("core", "sdk", "plugins", "examples", "test", "etc", "docs",
                      kinds=("c", "h", "def", "md", "ini", "yaml", "sh")):
        for n, line in enumerate(path.read_text().splitlines(), 1):
            if UNFINISHED.search(line):
                faults.append(f"{name(path)}:{n}: something is not finished: {line.strip()[:80]}")
            if MACHINE.search(line):
                faults.append(f"{name(path)}:{n}: a path of one machine: {line.strip()[:80]}")
    return report(faults)


if __name__ == "__main__":
    sys.exit(main())
