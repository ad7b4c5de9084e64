#!/usr/bin/env python3
"""The plugin ABI does not move: every size, offset and constant of sdk/headgate.h is what sdk/abi.txt says, and whatever
a released header says (sdk/released) still holds, under a new number when there is more of it. No padding is left that
could not be used later. The header is fit for strict users: C99 and C++17 without a warning,
nothing that only a macro or an inline function can call, below 500 lines.

`make abi` (this with --write) writes sdk/abi.txt after a change that is meant."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from source import ROOT, report

HEADER, GOLDEN, RELEASED = ROOT / "sdk/headgate.h", ROOT / "sdk/abi.txt", ROOT / "sdk/released"
CC, CXX = os.environ.get("CC", "gcc"), os.environ.get("CXX", "g++")
LINES = 500
STRICT = {
    "c99": [CC, "-x", "c", "-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes",
            "-Wmissing-prototypes", "-Wcast-qual", "-Wc++-compat", "-Wundef", "-Werror"],
    "c11": [CC, "-x", "c", "-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Wc++-compat", "-Werror"],
    "c++17": [CXX, "-x", "c++", "-std=c++17", "-pedantic-errors", "-Wall", "-Wextra", "-Wold-style-cast", "-Wuseless-cast",
              "-Wzero-as-null-pointer-constant", "-Wundef", "-Werror"],
}


def plain(text):
    """Without comments."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def members(body):
    for declaration in body.split(";"):
        if not declaration.strip():
            continue
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", declaration)
        if pointer:
            yield pointer[1]
        else:
            yield from (re.search(r"(\w+)\s*(?:\[[^]]*\])?\s*$", part)[1] for part in declaration.split(","))


def program(text):
    """A C program that prints the ABI of this header."""
    text = plain(text)
    lines = ["#include \"headgate.h\"", "#include <stdio.h>", "int main(void)", "{"]
    for m in re.finditer(r"^#define (HG_ABI_\w+) ", text, re.M):
        lines.append(f'printf("{m[1]} %lld\\n", (long long){m[1]});')
    for m in re.finditer(r"\benum\s*\w*\s*\{(.*?)\}", text, re.S):
        for name in re.findall(r"\b(HG_\w+)\b(?=\s*(?:=|,|$))", m[1].strip()):
            lines.append(f'printf("{name} %lld\\n", (long long){name});')
    for m in re.finditer(r"\bstruct\s+(\w+)\s*\{(.*?)^\};", text, re.S | re.M):
        lines.append(f'printf("struct {m[1]} %zu\\n", sizeof(struct {m[1]}));')
        for name in members(m[2]):
            lines.append(f'printf("struct {m[1]}.{name} %zu %zu\\n", offsetof(struct {m[1]}, {name}), '
                         f'sizeof(((struct {m[1]} *)0)->{name}));')
    return "\n".join(lines + ["return 0;", "}", ""])


def abi_of(text):
    """Lines `NAME VALUE`, `struct NAME SIZE`, `struct NAME.MEMBER OFFSET SIZE`."""
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "headgate.h").write_text(text)
        (Path(work) / "abi.c").write_text(program(text))
        subprocess.run([CC, "-I", work, Path(work) / "abi.c", "-o", Path(work) / "abi"], check=True)
        return subprocess.run([Path(work) / "abi"], check=True, capture_output=True, text=True).stdout.splitlines()


def moved(before, now):
    """What of a released ABI does not hold any more. A struct may have grown, the minor may have risen."""
    values = dict(line.rsplit(" ", 1) for line in now)
    faults = []
    for line in before:
        if line in now:
            continue
        name, value = line.rsplit(" ", 1)
        grown = (re.fullmatch(r"struct \w+", name) or name == "HG_ABI_MINOR") and int(values.get(name, -1)) > int(value)
        if not grown:
            faults.append(line)
    return faults


def unnumbered(before, now):
    """What is new or another under a number that is released already: a host of that number would not have it."""
    numbers = [line for line in before if line.startswith("HG_ABI_M")]
    return [line for line in now if line not in before] if all(line in now for line in numbers) else []


def holes(now):
    """Members with padding before them, and structs with padding at their end: what is nobody's cannot be checked, and so
    never be given a meaning."""
    found = []
    for text in re.split(r"^struct (?=\w+ )", "\n".join(now), flags=re.M)[1:]:
        (name, size), *members = (line.removeprefix("struct ").rsplit(" ", 2 if n else 1) for n, line in
                                  enumerate(text.strip().splitlines()))
        end = 0
        for member, at, length in [*members, (f"the end of {name}", size, 0)]:
            found += [member] if int(at) != end else []
            end = int(at) + int(length)
    return found


def differences(golden, now):
    faults = [f"sdk/abi.txt has \"{line}\", the header has not" for line in golden if line not in now]
    faults += [f"the header has \"{line}\", sdk/abi.txt has not" for line in now if line not in golden]
    return faults or ([] if golden == now else ["sdk/abi.txt has another order than the header"])


def fitness(path):
    text, faults = path.read_text(), []
    if text.count("\n") >= LINES:
        faults.append(f"{path.name} has {text.count(chr(10))} lines; less than {LINES} are meant")
    faults += [f"{path.name}: {m} can be called by C and C++ only" for m in
               re.findall(r"^#define \w+\(.*|^.*\binline\b.*", plain(text), re.M)]
    for name, command in STRICT.items():
        done = subprocess.run([*command, "-fsyntax-only", "-I", path.parent, "-"], input=f'#include "{path.name}"\n',
                              capture_output=True, text=True)
        if done.returncode:
            faults.append(f"{path.name} as {name}: {done.stderr}")
    return faults


def main():
    now = abi_of(HEADER.read_text())
    if "--write" in sys.argv:
        GOLDEN.write_text("\n".join(now) + "\n")
    faults = differences(GOLDEN.read_text().splitlines(), now)
    faults += [f"{HEADER.name} has padding before {place}: let it be `reserved`" for place in holes(now)]
    for path in sorted(RELEASED.glob("headgate-*.h")):
        before = abi_of(path.read_text())
        faults += [f"{path.name} had \"{line}\"" for line in moved(before, now)]
        faults += [f"{path.name} had no \"{line}\": it needs a new minor" for line in unnumbered(before, now)]
        faults += fitness(path)
    return report(faults + fitness(HEADER))


if __name__ == "__main__":
    sys.exit(main())
