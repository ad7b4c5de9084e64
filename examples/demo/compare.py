#!/usr/bin/env python3
"""usage: compare.py POSTED FILE IDS: are the data objects of POSTED in the `file` pusher's FILE, each once, in order, byte
for byte, and does every acknowledged id of IDS stand there?"""
import sys


def main(posted, written, ids):
    want = [line.strip() for line in open(posted, "rb").read().split(b"\n") if line.strip()]
    lines = [line for line in open(written, "rb").read().split(b"\n") if line]
    have = [line[line.index(b',"data":') + len(b',"data":'):-1] for line in lines]
    row_ids = [line[len(b'{"id":"'):line.index(b'","uuid"')] for line in lines]
    sets = {row_id.rsplit(b"-", 1)[0] for row_id in row_ids}
    told = open(ids, "rb").read().split()
    faults = {
        "rows lost": len(set(want) - set(have)),
        "row ids that stand twice": len(row_ids) - len(set(row_ids)),
        "rows more than posted": max(len(have) - len(want), 0),
        "acknowledged row sets that are not there": len(set(told) - sets),
        "row sets that nobody was told of": len(sets - set(told)),
        "rows in another place": sum(1 for a, b in zip(want, have) if a != b),
    }
    print(f"   {len(want)} rows posted, {len(have)} in the file")
    for text, count in faults.items():
        print(f"   {count} {text}")
    return 1 if any(faults.values()) or len(have) != len(want) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
