#!/usr/bin/env python3
"""Does each fuzz target find what it is for?

A planted bug is one place of the product written wrong. Its file is copied and changed, compiled, and linked before the
library, which then leaves its own out; the repository's source is not touched. From its kept seeds alone the target must
find the bug, and the input that it found must be harmless to the true program. libFuzzer's own seed is given, so that a
run is the same each time; RUNS is many times what each bug needs.

usage: find_bugs.py --build BUILD [--jobs N] [--only WORD] [--seed N] RESULT
environment: COMPILE, LINK and LIBS, as the Makefile has them for the targets.
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = 2000000
SECONDS = 300  # a guard: then it was not found

# target, word, file, what stands there, what is put there
BUGS = [
    ("access", "token-blank", "core/access/bearer.c", "token_char(value.ptr[end])",
     "(token_char(value.ptr[end]) || value.ptr[end] == ' ')"),
    ("csv", "quote-lost", "plugins/common/csvread.c", "c->state = CSVREAD_QUOTED;\n        return text_add(c, byte);",
     "c->state = CSVREAD_QUOTED;\n        return NULL;"),
    ("csv", "cut-record", "plugins/common/csvread.c", "*used = i + 1;", "*used = len;"),
    ("csv", "not-utf8", "plugins/common/csvcell.c", "if (bad < cell.len) {", "if (bad + 1 < cell.len) {"),
    ("every", "either-day", "core/conf/every.c", "day && weekday : day || weekday", "day && weekday : day && weekday"),
    ("host", "verdict-cut", "core/supervise/told.c", "row.reason > HG_REASON_MAX || left - sizeof row < row.reason",
     "row.reason > HG_REASON_MAX"),
    ("http_chunk", "size-wraps", "core/http/chunk.c", "if (c->digits == DIGITS_MAX)", "if (c->digits == DIGITS_MAX + 1)"),
    ("http_chunk", "last-byte", "core/http/chunk.c", "if (c->left == 0)\n        c->state", "if (c->left <= 1)\n        c->state"),
    ("http_head", "behind-cr", "core/http/head.c", "if (h->at + 1 == len)", "if (h->at == len)"),
    ("http_head", "two-lengths", "core/http/framing.c", "if (g.has_transfer && h->has_length)",
     "if (g.has_transfer && h->has_length && h->body_length > 3)"),
    ("journal", "span-outside", "core/journal/record.c",
     "s.offset > r->data.len || s.length > r->data.len - s.offset", "s.offset > r->data.len"),
    ("journal", "record-outside", "core/journal/reader.c", "if (head.length > limit - at)", "if (head.length / 2 > limit - at)"),
    ("journal", "set-of-nobody", "core/journal/index_sets_file.c", "if (set.client >= f->clients)",
     "if (set.client / 1000 >= f->clients)"),
    ("request", "plus-stays", "core/http/query.c", "plus && c == '+'", "plus && c == '+' && i > 0"),
    ("rows", "too-deep", "core/rows/nest.c", "if (n->open == n->limit)", "if (n->open == n->limit + 9)"),
    ("settings", "comment", "core/conf/inifile.c", "if (has_inline_comment(line)) {", "if (has_inline_comment(key)) {"),
    ("settings", "long-line", "core/conf/inifile.c", "line.len > INIFILE_LINE_MAX", "line.len > INIFILE_LINE_MAX + 2"),
    ("setup", "last-byte", "core/host/fields.c", "count >= f->left.len || ", "count > f->left.len || "),
    ("state", "lanes", "core/delivery/cursor.c", "c->lane_count == 0 || c->lane_count > CURSOR_LANES",
     "c->lane_count == 0"),
    ("state", "state-long", "core/delivery/cursor.c", "b->bad || c->state_len > CURSOR_STATE", "b->bad"),
    ("state", "other-slot", "core/delivery/cursor.c", "*sequence % 2 == number && ", ""),
    ("state", "no-outcome", "core/delivery/settle.c", " || in[28] >= OUTCOME_COUNT", ""),
    ("wire_daemon", "beyond", "core/delivery/taken.c", "end.position > h->limit ||", "end.position / 2 > h->limit ||"),
    ("wire_daemon", "state-long", "core/delivery/judge.c", "done->has_state && done->state.len > CURSOR_STATE",
     "done->has_state && done->state.len > CURSOR_STATE * 2"),
    ("wire_host", "lists-short", "core/host/inlet.c", "if (l->len != expected)", "if (l->len > expected)"),
    ("wire_host", "two-descriptors", "core/host/inlet.c", "l->fd_count != 1", "l->fd_count < 1"),
    ("wire_host", "no-lane", "core/host/inlet.c", "l->head.lane >= h->worker_count", "l->head.lane > h->worker_count"),
]


def run(command, seconds, **more):
    """(status, what it said); None: it took too long."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              timeout=seconds, cwd=ROOT, **more)
        return done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        return None, (e.stdout or b"").decode("utf-8", "replace")


def plant(bug, build, work):
    """The target with the bug in it; or None and why not."""
    target, _, name, true, wrong = bug
    text = (ROOT / name).read_text()
    if text.count(true) != 1:
        return None, f"`{true}` stands {text.count(true)} times in {name}"
    source, program = work / Path(name).name, work / target
    source.write_text(text.replace(true, wrong))
    common = build / "test/fuzz"
    steps = ([*shlex.split(os.environ["COMPILE"]), "-Wno-error", "-c", str(source), "-o", f"{source}.o"],
             [*shlex.split(os.environ["LINK"]), f"{source}.o", str(common / f"fuzz_{target}.o"), str(build / "libcore.a"),
              str(build / "libplugin.a"), "-o", str(program), *shlex.split(os.environ["LIBS"])])
    for step in steps:
        status, said = run(step, 300)
        if status != 0:
            return None, said
    return program, ""


def seeds_of(target):
    corpus = ROOT / "test/fuzz/corpus"
    return [str(f) for f in (corpus / f"fuzz_{target}", corpus / target) if f.is_dir()]


def hunt(bug, build, seed, work):
    """What is wrong, '' when it was found; and how many inputs that took."""
    program, why = plant(bug, build, work)
    if program is None:
        return f"cannot be planted: {why}", 0
    (work / "new").mkdir()
    env = {**os.environ, "TMPDIR": str(work)}
    found = work / "found"
    status, said = run([str(program), f"-runs={RUNS}", f"-max_total_time={SECONDS}", f"-seed={seed}", "-timeout=10",
                        "-rss_limit_mb=2048", f"-exact_artifact_path={found}", str(work / "new"), *seeds_of(bug[0])],
                       SECONDS + 120, env=env)
    count = max(map(int, re.findall(r"^#(\d+)\t", said, re.M)), default=0)
    if status in (0, None) or not found.exists():
        return f"not found, status {status} after {count} inputs\n{said[-2000:]}", count
    status, said = run([str(build / f"test/fuzz/fuzz_{bug[0]}"), str(found)], 120, env=env)
    return ("" if status == 0 else f"what was found fails in the true program, too\n{said[-2000:]}"), count


def prove(bug, build, seed):
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hg-fuzz-bug-") as work:
        why, count = hunt(bug, build, seed, Path(work))
    print(f"{'FAIL' if why else 'ok  '} fuzz_{bug[0]} finds `{bug[1]}`: about {count} inputs "
          f"({time.monotonic() - began:.1f} s) {why}".rstrip(), flush=True)
    return why


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, required=True)
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--only", default="")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("result", type=Path)
    a = ap.parse_args()
    bugs = [bug for bug in BUGS if a.only in f"{bug[0]} {bug[1]}"]
    with ThreadPoolExecutor(a.jobs) as pool:
        whys = list(pool.map(lambda bug: prove(bug, a.build, a.seed), bugs))
    failed = sum(why != "" for why in whys)
    a.result.parent.mkdir(parents=True, exist_ok=True)
    a.result.write_text(f"{len(bugs) - failed} {failed}\n")
    for bug, why in zip(bugs, whys):
        if why:
            print(f"FAILED test/fuzz/fuzz_{bug[0]}.c::{bug[1]} - {why.splitlines()[0][:200]}")
    print(f"{a.result.name}: {len(bugs) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
