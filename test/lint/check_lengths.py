#!/usr/bin/env python3
"""Tells which files and functions outgrow the style's proportions (600 and 60 lines). Fails only where one is beyond
all measure: 900 and 120."""
import re
import sys

from source import blanked, files, name

FILE, FUNCTION = (600, 900), (60, 120)
HEAD = re.compile(r"^(?!typedef|struct|enum|union|extern|#)[A-Za-z_][^;={}]*\b(\w+)\([^;{}]*\)\n\{\n", re.M)


def functions(text):
    for m in HEAD.finditer(text):
        end = text.find("\n}", m.end())
        yield m[1], text.count("\n", 0, m.start()) + 1, text.count("\n", m.end(), end)


def main():
    worst = 0
    for path in files("core", "plugins", "sdk", kinds=("c", "h")):
        text = blanked(path.read_text())
        lines = text.count("\n")
        if lines > FILE[0]:
            print(f"{name(path)}: {lines} lines")
            worst |= lines > FILE[1]
        for function, line, length in functions(text):
            if length > FUNCTION[0]:
                print(f"{name(path)}:{line}: {function}: {length} lines")
                worst |= length > FUNCTION[1]
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
