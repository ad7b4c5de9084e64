#!/usr/bin/env python3
"""A file of core includes its own folder and those above it in the design's list; libraries are named only where they
belong; the SDK includes nothing of core, plugins only the SDK and plugins/common. One thing is common to the command line
and to pullers, the reader of CSV: it stands in plugins/common."""
import re
import sys

from source import LAYERS, ROOT, blanked, files, name, report

# header prefix: where it may be named
LIBRARIES = {
    "uv.h": ["core/http", "core/supervise", "core/api", "core/cli"],
    "jansson.h": ["core/access", "core/api", "core/cli", "sdk/headgate_jansson.h", "plugins"],
    "curl/": ["core/access", "core/api", "core/cli", "plugins"],
    "sqlite3.h": ["plugins"],
    "postgresql/": ["plugins"],
    "mariadb/": ["plugins"],
    "dlfcn.h": ["core/host", "core/cli", "sdk"],
    "ini.h": ["core/conf"],
}
# of plugins/common, for core/cli too
SHARED = ("common/camel.h", "common/csvcell.h", "common/csvread.h", "common/csvtable.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def layer_fault(path, target):
    """Of a quoted include in core."""
    own = path.relative_to(ROOT / "core").parts[0]
    folder = target.split("/")[0]
    if own == "cli" and target in SHARED:
        return None
    if folder not in LAYERS:
        return None if target == "headgate.h" else "is named from core/, as \"layer/file.h\""
    if LAYERS.index(folder) > LAYERS.index(own):
        return f"core/{own} stands above core/{folder}"
    return None


def plugin_fault(path, target):
    if target in ("headgate.h", "headgate_jansson.h") or target.startswith("common/"):
        return None
    if (path.parent / target).is_file() or (ROOT / "plugins" / target).is_file():
        return None
    return "a plugin sees the SDK and plugins/common only"


def fault_of(path, quote, target):
    place = name(path)
    for library, where in LIBRARIES.items():
        if target.startswith(library) and not any(place == w or place.startswith(w + "/") for w in where):
            return "belongs to " + ", ".join(where)
    if quote == "<":
        return None
    if place.startswith("core/"):
        return layer_fault(path, target)
    if place.startswith("sdk/"):
        return None if (path.parent / target).is_file() or target == "headgate.h" else "the SDK includes nothing of core"
    return plugin_fault(path, target)


def main():
    faults = []
    for path in files("core", "sdk", "plugins"):
        if path.name.startswith("test_"):
            continue
        text = blanked(path.read_text(), strings=False)
        for m in INCLUDE.finditer(text):
            why = fault_of(path, m[1], m[2])
            if why:
                faults.append(f"{name(path)}:{text.count(chr(10), 0, m.start()) + 1}: {m[2]}: {why}")
    return report(faults)


if __name__ == "__main__":
    sys.exit(main())
