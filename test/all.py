#!/usr/bin/env python3
"""`make test`: builds, runs every group of tests one after the other, ends with 'N passed, N failed'.

A group is a goal of the Makefile that leaves 'PASSED FAILED' in BUILD/results/GROUP. A group that fails without saying
how many, or that takes longer than it may, counts as one failure. Logs of all groups stay in BUILD/results/GROUP.log;
what failed is named again at the end, in lines `FAILED WHAT - REASON (GROUP)`.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

# name, goals, folder of its build below BUILD, results it writes there, the longest it may take (minutes)
GROUPS = [
    ("build", ["all", "test-build"], ".", [], 15),
    ("unit", ["unit"], ".", ["unit"], 20),
    ("sim", ["sim"], ".", ["sim"], 20),
    ("lint", ["lint"], ".", ["lint"], 15),
    ("flow", ["flow"], ".", ["flow"], 20),
    ("hostile", ["hostile"], ".", ["hostile"], 15),
    ("record", ["record"], ".", ["record"], 10),
    ("crash", ["crash", "CRASH_SCALE=small"], ".", ["crash"], 25),
    ("cost", ["cost"], ".", ["cost"], 10),
    ("fuzz", ["fuzz"], ".", ["fuzz"], 20),
    ("asan", ["asan"], "asan", ["unit", "flow", "torture"], 30),
    ("tsan", ["tsan"], "tsan", ["unit", "flow"], 30),
    ("servers", ["servers"], ".", ["servers"], 40),
    ("page", ["page"], ".", ["page"], 15),
    ("fresh", ["fresh"], ".", ["fresh"], 25),
]


def run_group(goals, options, minutes, log):
    """Prints and keeps what it says; False when it failed or was ended."""
    p = subprocess.Popen(["make", "--no-print-directory", "-k", *options, *goals], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
    late = threading.Timer(minutes * 60, os.killpg, (p.pid, signal.SIGKILL))
    late.start()
    with open(log, "wb") as f:
        for line in p.stdout:
            f.write(line)
            f.flush()
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
    status = p.wait()
    late.cancel()
    if status < 0:
        print(f"ended after {minutes} minutes", flush=True)
    return status == 0


def named(log):
    """What the group said failed: the lines of pytest's summary, and those of tally.py."""
    return re.findall(r"^(?:FAILED|ERROR) (?:test|plugins)/.*", log.read_text(errors="replace"), re.M)


def counts_of(files):
    passed = failed = 0
    for f in files:
        if f.exists():
            p, q = f.read_text().split()
            passed, failed = passed + int(p), failed + int(q)
    return passed, failed


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", default="build")
    ap.add_argument("--jobs", default="2")
    ap.add_argument("--only", action="append")
    a = ap.parse_args()
    results = Path(a.build) / "results"
    results.mkdir(parents=True, exist_ok=True)
    lines, failures, passed, failed, began = [], [], 0, 0, time.monotonic()
    for name, goals, below, writes, minutes in GROUPS:
        if a.only and name not in a.only + ["build"]:
            continue
        print(f"--- {name}", flush=True)
        mine = [results.parent / below / "results" / g for g in writes]
        for f in mine:
            f.unlink(missing_ok=True)
        start = time.monotonic()
        parallel = [f"-j{a.jobs}"] if name == "build" else []
        good = run_group(goals, [f"BUILD={a.build}", f"JOBS={a.jobs}", *parallel], minutes, results / f"{name}.log")
        p, q = counts_of(mine)
        what = [f"{line} ({name})" for line in named(results / f"{name}.log")]
        if not good and q == 0:
            q = 1
        if not good and not what:
            what = [f"FAILED {name} - it named nothing: see {results / name}.log"]
        failures += what
        passed, failed = passed + p, failed + q
        lines.append(f"{name:8} {p:6} passed {q:4} failed {time.monotonic() - start:7.0f} s")
    print("\n" + "\n".join(lines + failures))
    print(f"in {(time.monotonic() - began) / 60:.1f} minutes")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
