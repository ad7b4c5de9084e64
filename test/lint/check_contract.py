#!/usr/bin/env python3
"""Tells which names of test/contract.def no test claims, and which claims name nothing. Exits 1 if there are any."""
import re
import sys

from source import ROOT, name, report

FOLDERS = ["test/flow", "test/fresh", "test/crash", "test/hostile"]
CLAIM = re.compile(r"#\s*contract:\s*(.*)")


def listed():
    names = {}
    for line in (ROOT / "test/contract.def").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key, text = line.split(None, 1)
            names[key] = text
    return names


def main():
    names, claimed, faults = listed(), set(), []
    for path in sorted(p for f in FOLDERS for p in (ROOT / f).rglob("test_*.py")):
        for n, line in enumerate(path.read_text().splitlines(), 1):
            m = CLAIM.search(line)
            for word in m[1].split() if m else []:
                claimed.add(word)
                if word not in names:
                    faults.append(f"{name(path)}:{n}: {word} is not in test/contract.def")
    faults += [f"no test claims {key}: {text}" for key, text in names.items() if key not in claimed]
    status = report(faults)
    print(f"{len(names)} rows and options, {len(set(names) - claimed)} without a test")
    return status


if __name__ == "__main__":
    sys.exit(main())
