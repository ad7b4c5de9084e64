#!/usr/bin/env python3
"""`make bench-pushers`: how many rows a second each pusher delivers to its real server, next to the best that the server's own
tool, or a bare loop on its library, does with the same rows in the same run.

usage: pushers.py [NAME…]

test/servers/bench_NAME.py gives `bench(total)`: a list of (what, rows/s of the pusher, by what else, rows/s of that).
"""
import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "test/servers"), str(ROOT / "test/lib")]

TOTAL = int(os.environ.get("BENCH_ROWS") or 100_000)


def main(wanted):
    names = sorted(p.stem.removeprefix("bench_") for p in (ROOT / "test/servers").glob("bench_*.py"))
    print(f"{'pusher':10} {'what':10} {'rows/s':>9}   {'beside it':34} {'rows/s':>9} {'ratio':>6}", flush=True)
    for name in wanted or names:
        for what, mine, tool, theirs in importlib.import_module(f"bench_{name}").bench(TOTAL):
            print(f"{name:10} {what:10} {mine:9.0f}   {tool:34} {theirs:9.0f} {100 * mine / theirs:5.0f}%", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
