#!/usr/bin/env python3
"""Analysers that take too long for `make lint`: gcc's -fanalyzer, and clang-tidy with the clang analyzer's checks, which are
scan-build's. Of every file of the product; fails at any finding. cppcheck is part of lint.

usage: analyze.py [--jobs N] [--only gcc|clang] CORE_FLAGS PLUGIN_FLAGS [FILE…]

Of gcc's, malloc-leak is left out: gcc 12 loses what a structure owns by an array, a list or an out-parameter, and told of
53 leaks that are none. The leak sanitizer looks for them in `make asan`. What clang's gets wrong in one place is
suppressed there, with the reason.
"""
import argparse
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from source import ROOT

GCC = ["gcc", "-O1", "-fanalyzer", "-Wno-analyzer-malloc-leak", "-c", "-o", "/dev/null"]


def files():
    for folder in ("core", "plugins", "sdk"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            name = str(path.relative_to(ROOT))
            if "/test_" not in name and not name.startswith("sdk/new/"):
                yield name


def findings(text):
    return [line for line in text.splitlines() if " warning: " in line or " error: " in line]


def look(tool, name, flags):
    command = [*GCC, *flags, name] if tool == "gcc" else ["clang-tidy", "--quiet", name, "--", *flags]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = findings(done.stdout)
    if done.returncode != 0 and not found:
        found = [f"{name}: {tool} ended with {done.returncode}: {done.stdout.strip()[-300:]}"]
    for line in found:
        print(line, flush=True)
    return len(found)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--only", choices=["gcc", "clang"])
    ap.add_argument("core", type=shlex.split)
    ap.add_argument("plugin", type=shlex.split)
    ap.add_argument("files", nargs="*")
    a = ap.parse_args()
    todo = [(tool, name, a.core if name.startswith("core/") else a.plugin) for name in a.files or files()
            for tool in ([a.only] if a.only else ["gcc", "clang"])]
    with ThreadPoolExecutor(a.jobs) as pool:
        count = sum(pool.map(lambda one: look(*one), todo))
    print(f"analyze: {len(todo)} looks at files, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
