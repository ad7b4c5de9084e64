#!/usr/bin/env python3
"""Runs one group of tests and writes 'PASSED FAILED' to a file, for the sum at the end of `make test`.

usage: tally.py unit RESULT [--jobs N] PROGRAM…      programs on cmocka
       tally.py fuzz RESULT [--jobs N] PROGRAM…      libFuzzer targets, each for FUZZ_SECONDS
       tally.py afl RESULT [--jobs N] PROGRAM…       the same targets, built by AFL++
       tally.py lint RESULT FOLDER                   every executable FOLDER/check_*
       tally.py pytest RESULT ARGUMENT…              pytest; a skipped test counts as failed, unless its reason begins
                                                     with `not here: `, which is what a right or a kernel lacks

Exits 1 when anything failed. A program that dies or hangs counts as one failure beside the tests it reported. Whatever
failed is named once more at the end, in the shape of pytest's summary: `FAILED test/unit/test_NOUN.c::NAME - REASON`.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM_SECONDS = 900
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
CASE = re.compile(r"^\[ RUN      \] (\w+)\n(.*?)(?=^\[ RUN      \]|^\[==========\]|\Z)", re.M | re.S)
NOISE = re.compile(r"^ERROR: |\[  (ERROR| LINE)   \] --- |: error: Failure!$")
REASON_CHARACTERS = 200
failures = []  # lines to end with


def run(command, seconds, **more):
    """(status, output, seconds); status None: it hung."""
    began = time.monotonic()
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              timeout=seconds, **more)
        return done.returncode, done.stdout.decode("utf-8", "replace"), time.monotonic() - began
    except subprocess.TimeoutExpired as e:
        return None, (e.stdout or b"").decode("utf-8", "replace"), time.monotonic() - began
    except OSError as e:
        return 127, str(e), 0.0


def fail(what, reason):
    failures.append(f"FAILED {what} - {reason[:REASON_CHARACTERS]}")


def source(program):
    """build/test/unit/test_x -> test/unit/test_x.c"""
    return re.search(r"((test|plugins)/[^/]+/)?[^/]+$", program)[0] + ".c"


def name_cmocka(program, status, text):
    """What failed of a program that did not pass."""
    end = "it hung" if status is None else f"status {status}"
    named = False
    for name, said in CASE.findall(text):
        if re.search(r"^\[( {7}OK|  SKIPPED)", said, re.M):
            continue
        lines = [NOISE.sub("", line) for line in said.splitlines() if "[  FAILED  ]" not in line]
        reason = ", ".join(line for line in lines[:2] if line)
        fail(f"{source(program)}::{name}", reason if "[  FAILED  ]" in said else f"{end}: {reason}".removesuffix(": "))
        named = True
    if not named:
        report = SANITIZER.search(text)
        fail(source(program), text[report.start():].splitlines()[0] if report else end)


def cmocka(program):
    status, text, seconds = run([program], PROGRAM_SECONDS)
    passed = len(re.findall(r"^\[       OK \]", text, re.M))
    failed = len(set(re.findall(r"^\[  FAILED  \] ([A-Za-z_]\w*)", text, re.M)))
    skipped = len(set(re.findall(r"^\[  SKIPPED {1,2}\] ([A-Za-z_]\w*)", text, re.M)))
    if not os.environ.get("SANITIZE"):  # a sanitizer cannot stand a malloc that fails; the plain build runs them all
        failed += skipped
    if (status != 0 or passed + skipped == 0 or SANITIZER.search(text)) and failed == 0:
        failed = 1
    print(f"{'ok  ' if failed == 0 else 'FAIL'} {os.path.basename(program)}: {passed} passed, {failed} failed "
          f"({seconds:.1f} s)", flush=True)
    if failed:
        tail = "" if status == 0 else "(it hung)\n" if status is None else f"(status {status})\n"
        lines = [line for line in text.splitlines() if not re.match(r"\[( RUN      |       OK )\]", line)]
        print("\n".join(lines[-120:]) + "\n" + tail, flush=True)
        name_cmocka(program, status, text)
    return passed, failed


def fuzzed(program):
    """(name, seconds, folders of seeds, folder for the inputs that made it fail)"""
    name = os.path.basename(program)
    seconds = int(os.environ.get("FUZZ_SECONDS") or (60 if os.environ.get("CI") else 10))
    seeds = [f for f in (ROOT / "test/fuzz/corpus" / n for n in (name, name.removeprefix("fuzz_"))) if f.is_dir()]
    if not seeds:
        print(f"FAIL {name}: no seeds in test/fuzz/corpus/{name}", flush=True)
        fail(source(program), "no seeds")
    found = ROOT / "build" / "fuzz-found" / name
    found.mkdir(parents=True, exist_ok=True)
    return name, seconds, seeds, found


def scratch():
    """A folder in memory, for what a target writes: gone afterwards, also when the target crashed."""
    return tempfile.TemporaryDirectory(prefix="hg-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def fuzz(program):
    name, seconds, seeds, found = fuzzed(program)
    if not seeds:
        return 0, 1
    with tempfile.TemporaryDirectory(prefix="hg-fuzz-") as work, scratch() as own:
        status, text, _ = run([program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
                               "-print_final_stats=1", f"-artifact_prefix={found}/", work, *map(str, seeds)],
                              seconds + 120, env={**os.environ, "TMPDIR": own})
    runs = re.search(r"stat::number_of_executed_units: (\d+)", text)
    count = int(runs[1]) if runs else 0
    good = status == 0 and count > 0
    print(f"{'ok  ' if good else 'FAIL'} {name}: {count} inputs in {seconds} s", flush=True)
    if not good:
        print("\n".join(text.splitlines()[-60:]), flush=True)
        what = ["it hung" if status is None else f"status {status} after {count} inputs"]
        what += [line[0][-90:] for line in re.finditer(r"^.*(internal fault|runtime error|SUMMARY).*$", text, re.M)][:1]
        what += re.findall(r"^Base64: \S{1,80}$", text, re.M)[:1]  # what brings it back, where that is short
        fail(source(program), ", ".join(what))
    return (1, 0) if good else (0, 1)


def afl(program):
    name, seconds, seeds, found = fuzzed(program)
    if not seeds:
        return 0, 1
    quiet = dict.fromkeys(("AFL_NO_UI", "AFL_SKIP_CPUFREQ", "AFL_NO_AFFINITY", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES"), "1")
    with tempfile.TemporaryDirectory(prefix="hg-afl-") as work, scratch() as own:
        status, text, _ = run(["afl-fuzz", "-i", str(seeds[0]), "-o", work, "-V", str(seconds), "-m", "none", "-t", "10000",
                               "--", program], seconds + 300, env={**os.environ, **quiet, "TMPDIR": own})
        stats = Path(work) / "default/fuzzer_stats"
        told = dict(re.findall(r"^(\w+) +: (.*)$", stats.read_text(), re.M)) if stats.exists() else {}
        for kind in ("crashes", "hangs"):
            for bad in Path(work).glob(f"default/{kind}/id*"):
                shutil.copy(bad, found / f"afl-{kind}-{bad.name.split(',')[0].replace(':', '-')}")
    count, crashes, hangs = (int(told.get(key) or 0) for key in ("execs_done", "saved_crashes", "saved_hangs"))
    good = status == 0 and count > 0 and crashes == hangs == 0
    print(f"{'ok  ' if good else 'FAIL'} {name}: {count} inputs in {seconds} s by AFL++, {told.get('bitmap_cvg')} covered, "
          f"{crashes} crashes, {hangs} hangs", flush=True)
    if not good:
        print("\n".join(text.splitlines()[-30:]), flush=True)
        fail(source(program), f"status {status}, {crashes} crashes, {hangs} hangs by AFL++")
    return (1, 0) if good else (0, 1)


def check(path):
    status, text, seconds = run([str(path)], PROGRAM_SECONDS, cwd=ROOT)
    print(f"{'ok  ' if status == 0 else 'FAIL'} {path.name} ({seconds:.1f} s)", flush=True)
    if text.strip():
        print(text.rstrip(), flush=True)
    if status != 0:
        fail(path.relative_to(ROOT), (text.strip().splitlines() or [f"status {status}"])[0])
    return (1, 0) if status == 0 else (0, 1)


def in_parallel(each, programs):
    jobs = 2
    if "--jobs" in programs:
        at = programs.index("--jobs")
        jobs = int(programs[at + 1])
        programs = programs[:at] + programs[at + 2:]
    with ThreadPoolExecutor(jobs) as pool:
        counts = list(pool.map(each, programs))
    return sum(p for p, _ in counts), sum(f for _, f in counts)


def lint(folder):
    paths = sorted(p for p in (ROOT / folder).glob("check_*") if os.access(p, os.X_OK) and p.is_file())
    counts = [check(p) for p in paths]
    return sum(p for p, _ in counts), sum(f for _, f in counts)


def pytest(arguments):
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        status = subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider",
                                 f"--junitxml={report.name}", *arguments], cwd=ROOT).returncode
        try:
            suites = xml.parse(report.name).getroot().iter("testsuite")
            total = bad = 0
            for s in suites:
                total += int(s.get("tests", 0))
                bad += int(s.get("failures", 0)) + int(s.get("errors", 0)) + int(s.get("skipped", 0))
                reasons = [skip.get("message", "") for skip in s.iter("skipped")]
                excused = [reason for reason in reasons if reason.startswith("not here: ")]
                total, bad = total - len(excused), bad - len(excused)
                for reason in excused:
                    print(f"skipped, {reason}", flush=True)
        except xml.ParseError:
            total, bad = 0, 1
    if bad == 0 and status != 0:
        bad = 1
    return max(total - bad, 0), bad


def main():
    kind, result, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    if kind == "unit":
        passed, failed = in_parallel(cmocka, rest)
    elif kind == "fuzz":
        passed, failed = in_parallel(fuzz, rest)
    elif kind == "afl":
        passed, failed = in_parallel(afl, rest)
    elif kind == "lint":
        passed, failed = lint(rest[0])
    else:
        passed, failed = pytest(rest)
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(f"{passed} {failed}\n")
    for line in failures:
        print(line)
    print(f"{result.name}: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
