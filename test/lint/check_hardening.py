#!/usr/bin/env python3
"""The built programs and plugins are hardened: position independent, relocations read-only and bound at start, stack
protector and checked libc calls, no executable stack; plugins may be loaded by dlopen. No library is linked for nothing."""
import os
import re
import subprocess
import sys

from source import ROOT, report

BUILD = ROOT / os.environ.get("BUILD", "build")


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


def faults_of(path):
    head, segments, dynamic, symbols = (readelf(o, path) for o in ("-h", "-l", "-d", "-s"))
    plugin = path.suffix == ".so"
    if not re.search(r"Type:\s+DYN", head):
        yield "is not position independent"
    if not plugin and "PIE" not in dynamic:
        yield "is no PIE"
    if "GNU_RELRO" not in segments:
        yield "has no RELRO"
    if not re.search(r"FLAGS.*\bNOW\b|BIND_NOW", dynamic):
        yield "binds late"
    stack = re.search(r"GNU_STACK\s.*?(R\S*)\s+0x", segments)
    if not stack or "E" in stack[1]:
        yield "has an executable stack"
    if "__stack_chk_fail" not in symbols:
        yield "has no stack protector"
    if not plugin and not re.search(r"_chk\b", symbols.replace("__stack_chk_fail", "")):
        yield "has no checked libc calls"
    if plugin and "NODLOPEN" in dynamic:
        yield "cannot be loaded by dlopen"
    if plugin and exported(symbols) != {"hg_plugin"}:
        yield f"exports more or less than hg_plugin: {sorted(exported(symbols))}"
    if re.search(r"R(UN)?PATH", dynamic):
        yield "has a run path"


def exported(symbols):
    """Of .dynsym only."""
    table = symbols.split("Symbol table '.symtab'")[0]
    found = re.findall(r"(?:FUNC|OBJECT)\s+GLOBAL\s+DEFAULT\s+\d+ (\w+)", table)
    return set(found)


def idle_libraries():
    """What the Makefile links the daemon to, and the linker found no use for. libc holds the three itself by now."""
    linked = re.search(r"^DAEMON_LIBS := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    needed = readelf("-d", BUILD / "headgate")
    return [lib for lib in linked if lib not in ("-lm", "-ldl", "-lpthread") and f"[lib{lib[2:]}.so" not in needed]


def main():
    paths = [BUILD / "headgate", BUILD / "headgate-host", *sorted((BUILD / "plugins").glob("*.so"))]
    faults = [f"{p.relative_to(ROOT) if p.is_relative_to(ROOT) else p} {why}" for p in paths for why in faults_of(p)]
    faults += [f"Makefile links the daemon to {lib}, which it does not use" for lib in idle_libraries()]
    if len(paths) < 3:
        faults.append("no plugin was built")
    return report(faults)


if __name__ == "__main__":
    sys.exit(main())
