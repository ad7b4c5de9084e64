"""What the checks share: the C files of the repository, and their text without comments and strings."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = ["base", "conf", "rows", "journal", "delivery", "host", "supervise", "http", "access", "api", "cli"]
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def files(*folders, kinds=("c", "h", "def")):
    return sorted(p for f in folders for k in kinds for p in (ROOT / f).rglob(f"*.{k}"))


def blanked(text, strings=True):
    """Same lines and columns, comments (and strings) blanked out."""
    def blank(m):
        s = m[0]
        if s[0] in "\"'" and not strings:
            return s
        return re.sub(r"[^\n]", " ", s)
    return TOKEN.sub(blank, text)


def name(path):
    return str(path.relative_to(ROOT))


def report(faults):
    """Exit status for what was found."""
    for fault in faults:
        print(fault)
    return 1 if faults else 0
