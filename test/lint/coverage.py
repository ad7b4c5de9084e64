#!/usr/bin/env python3
"""Line coverage of core after the unit tests, the flow tests and the simulator, by layer. Fails below 90 % of core, or
95 % of journal, rows, delivery or http.

usage: coverage.py BUILD     (a build with --coverage whose tests have run)
"""
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from source import ROOT

LEAST = {"journal": 95, "rows": 95, "delivery": 95, "http": 95}
WHOLE = 90


def lines_of(build):
    """{file: {line: times}} of core."""
    found = defaultdict(lambda: defaultdict(int))
    for notes in sorted(Path(build).rglob("core/**/*.gcno")):  # with its .gcda, if it was ever run
        done = subprocess.run(["gcov", "--json-format", "--stdout", notes], cwd=ROOT, capture_output=True, check=True)
        for document in done.stdout.splitlines():
            for f in json.loads(document)["files"]:
                if f["file"].startswith("core/"):
                    for line in f["lines"]:
                        found[f["file"]][line["line_number"]] += line["count"]
    return found


def percent(pairs):
    hit, all_ = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    return 100.0 * hit / all_ if all_ else 0.0


def main():
    layers, worst = defaultdict(list), []
    for name, lines in sorted(lines_of(sys.argv[1]).items()):
        pair = (sum(1 for n in lines.values() if n), len(lines))
        layers[name.split("/")[1]].append(pair)
        worst.append((pair[1] - pair[0], name, percent([pair])))
    for missed, name, share in sorted(worst, reverse=True)[:25]:
        print(f"{name}: {share:.1f} %, {missed} lines not reached")
    failed = False
    for layer, pairs in layers.items():
        least = LEAST.get(layer, 0)
        low = percent(pairs) < least
        failed |= low
        print(f"{layer:10} {percent(pairs):5.1f} %{f'  below {least} %' if low else ''}")
    whole = percent([p for pairs in layers.values() for p in pairs])
    print(f"core       {whole:5.1f} %{f'  below {WHOLE} %' if whole < WHOLE else ''}")
    return 1 if failed or whole < WHOLE else 0


if __name__ == "__main__":
    sys.exit(main())
