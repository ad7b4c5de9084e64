#!/usr/bin/env python3
"""Judges what test/hook/recorder.c wrote: for every row set that was answered with 202, a successful fdatasync (or fsync)
of its segment ended before the answer was written, and had begun after every byte of its record had been written. The
segment's name was durable too: its folder was synced between its creation or renaming and the answer.

usage: check_record.py RECORD…     one for each life of the daemon, in order; prints the counts, exits 1 when an answer came too early
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

SEGMENT = re.compile(r"([0-9a-f]{16})\.seg$")


class Life:
    """A file for as long as it has one segment's name."""

    def __init__(self, base, folder, named, since):
        self.base, self.folder, self.named = base, folder, named
        self.since = since  # writes from then on are of this life


class File:
    def __init__(self):
        self.path, self.lives = None, []
        self.writes = []  # (ended, from, to)
        self.syncs = []   # (began, ended, result)
        self.since = 0

    def name(self, when, path):
        if self.path and SEGMENT.search(self.path) and self.path != path:
            self.since = when  # what was written for the segment before is void
        m = SEGMENT.search(path)
        if m and (not self.lives or self.path != path):
            self.lives.append(Life(int(m[1], 16), str(Path(path).parent), when, self.since))
        self.path = path


def lines_of(paths):
    """Whole lines; the last one of a life that was killed, or goes on, may be half there."""
    return [line for path in paths for line in Path(path).read_text().split("\n")[:-1]]


def read(paths):
    files, answers = defaultdict(File), []
    for line in lines_of(paths):
        kind, began, ended, _, result, *rest = line.split(" ", 6)
        began, ended, result = int(began), int(ended), int(result)
        if kind == "answer":
            batch, position, length = rest[0], *map(int, rest[1].split())
            answers.append((began, batch, position, length))
        elif kind in ("open", "rename"):
            files[rest[0]].name(ended, rest[1])
        elif kind == "sync":
            files[rest[0]].syncs.append((began, ended, result))
        elif kind == "write" and result > 0:
            at = int(rest[1].split()[0])
            files[rest[0]].writes.append((ended, at, at + result))
    return files, answers


def covered(writes, start, end):
    """The extent is wholly inside the union of these."""
    at = start
    for a, b in sorted(writes):
        if a > at:
            break
        at = max(at, b)
    return at >= end


def segment_of(segments, position, when):
    """The file that has the name of the segment with this position at that time."""
    best = None
    for base, life, file in segments:
        if base <= position and life.named <= when and (best is None or (base, life.named) >= (best[0].base, best[0].named)):
            best = (life, file)
    return best


def fault_of(answer, segments, folders):
    when, batch, position, length = answer
    found = segment_of(segments, position, when)
    if found is None or length == 0:
        return "its record was not found in any segment"
    life, file = found
    start, end = position - life.base, position - life.base + length
    good = [began for began, ended, result in file.syncs if result == 0 and ended <= when]
    if not good:
        return "no sync of its segment had ended"
    newest = max(good)
    mine = [(ended, a, b) for ended, a, b in file.writes if life.since <= ended <= when and a < end and b > start]
    if not covered([(a, b) for _, a, b in mine], start, end) or max(ended for ended, _, _ in mine) > newest:
        return "no sync that ended before it had begun after its bytes were written"
    if any(result != 0 and life.named <= ended <= when for _, ended, result in file.syncs):
        return "a sync of its segment had failed"
    if not any(began >= life.named and ended <= when and result == 0 for began, ended, result in folders[life.folder]):
        return "the folder was not synced after its segment was named"
    return None


def judge(paths):
    """(answers, syncs, [faults])"""
    files, answers = read(paths)
    folders = defaultdict(list)
    for f in files.values():
        if f.path:
            folders[f.path.rstrip("/")] += f.syncs
    segments = sorted(((life.base, life, f) for f in files.values() for life in f.lives), key=lambda s: s[0])
    faults = []
    for answer in answers:
        why = fault_of(answer, segments, folders)
        if why:
            faults.append(f"{answer[1]}: {why}")
    syncs = sum(len(f.syncs) for _, _, f in segments)
    return len(answers), syncs, faults


def main():
    answers, syncs, faults = judge(sys.argv[1:])
    for fault in faults[:20]:
        print(fault)
    print(f"{answers} row sets answered with 202, {syncs} syncs of segments, {len(faults)} answered too early")
    return 1 if faults or answers == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
