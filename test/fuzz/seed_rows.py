#!/usr/bin/env python3
"""Write the seed corpus of fuzz_rows: the bodies of test/fixture/rows/cases.txt, and some for the other rules.

usage: seed_rows.py        writes test/fuzz/corpus/rows, one small file a seed, named by its content
"""
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "test/fuzz/corpus/rows"
USUAL, FLAT, ANY, LINES, SINGLE, BATCH = 0, 2, 4, 8, 0x14, 0x24

MORE = [
    (LINES, b'{"uuid":"a","row":{"data":{"k":1}}}\r\n\n{"uuid":"b","rows":[{"data":{}},{"index":1,"data":{"k":[]}}]}\n'),
    (LINES | 1, b'{"uuid":"a","rows":[]}\n{"uuid":"b","rows":[{"data":{}}]}\n{"uuid":"c","rows":[]}\n'),
    (FLAT, b'{"uuid":"a","row":{"data":{"k":[[1]],"l":[[[{"x":[1e400]}]]]}}}'),
    (ANY, b'{"uuid":"a","rows":[{"data":{"":1,"a b":2}},{"data":{"":1,"a b":2}},{"data":{"a b":1,"a b":2}}]}'),
    (SINGLE, b'{"uuid":"a","row":{"data":{"Any key":1}},"rows":[]}'),
    (BATCH, b'{"uuid":"a","rows":[{"index":0,"data":{"Any key":1}}]}'),
    (USUAL, b'{"uuid":"a","tags":{"site":"x","run_2":"\\u00e9"},"rows":[{"data":{"a":1,"b":"x","c":null}},'
            b'{"data":{"a":2,"c":true}},{"data":{"c":-0.5e-3,"b":"\\ud834\\udd1e","a":[{},{"x":{"y":[]}}]}}],"extra":{"a":1}}'),
    (USUAL, b'{"uuid":"a","row":{"data":{' + b",".join(b'"k%d":%d' % (i, i) for i in range(70)) + b',"k\\u0033":0}}}'),
    (USUAL, b'{"uuid":"a","row":{"data":{"k":179769313486231580793728971405303415079934132710037.0e258}}}'),
]


def bodies():
    text, at = (ROOT / "test/fixture/rows/cases.txt").read_bytes(), 0
    while at < len(text):
        end = text.index(b"\n", at)
        length = int(text[at:end].split()[3])
        yield text[end + 1:end + 1 + length]
        at = end + length + 2


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for choice, body in [(USUAL, b) for b in bodies() if len(b) <= 1200] + MORE:
        seed = bytes([choice]) + body
        (OUT / hashlib.sha1(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
