#!/usr/bin/env python3
"""No two objects of core define the same global symbol: an archive would silently give whichever comes first."""
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from source import ROOT, report

BUILD = ROOT / os.environ.get("BUILD", "build")


def main():
    found = defaultdict(set)
    paths = [p for p in sorted((BUILD / "core").rglob("*.o")) if (ROOT / p.relative_to(BUILD).with_suffix(".c")).exists()]
    text = subprocess.run(["nm", "-A", "-g", "--defined-only", *paths], capture_output=True, text=True, check=True).stdout
    for m in re.finditer(r"^(\S+\.o):\S* [A-TVX-Z] (\w+)$", text, re.M):
        found[m[2]].add(str(Path(m[1]).relative_to(BUILD)))
    faults = [f"{symbol} is defined in {', '.join(sorted(where))}" for symbol, where in sorted(found.items())
              if len(where) > 1 and symbol not in ("main",)]
    return report(faults)


if __name__ == "__main__":
    sys.exit(main())
