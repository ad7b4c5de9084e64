"""The simulator: SIM_RUNS seeds from SIM_SEED on, none of which may fail; and bugs put in on purpose, each of which must
be found. A seed that fails can be run again alone: `build/sim --seed N --runs 1 --trace`."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SIM = ROOT / os.environ.get("HEADGATE_BUILD", "build") / "sim"
RUNS = int(os.environ.get("SIM_RUNS") or 10000)
SEED = int(os.environ.get("SIM_SEED") or 1)
JOBS = os.environ.get("JOBS") or "2"
BUGS = re.findall(r'BUG\((?!NONE)\w+, "([\w-]+)"\)', (ROOT / "test/sim/bug.def").read_text())


def sim(runs, seed, *more, seconds=600):
    """(runs that failed, what it said)"""
    done = subprocess.run([SIM, "--runs", str(runs), "--seed", str(seed), "--jobs", JOBS, *more], capture_output=True,
                          text=True, timeout=seconds, check=False)
    last = re.search(r"^sim: (\d+) runs from seed \d+, (\d+) failed$", done.stdout, re.M)
    assert last and int(last[1]) == runs, done.stdout[-2000:] + done.stderr[-2000:]
    return int(last[2]), done.stdout


def test_no_seed_fails():
    failed, text = sim(RUNS, SEED, seconds=max(900, RUNS // 10))
    print(text, end="")
    assert failed == 0, text


def test_a_plan_of_waiting_rows_comes_whole_or_not_at_all():
    """A rare one: a row of a batch that is repeated could not be read for a moment, and the batch fell apart."""
    failed, text = sim(1, 8015423)
    assert failed == 0, text


def test_a_set_is_sent_again_with_all_its_rows():
    """A rare one: one row was about to become a dead letter when its set was sent again, and was aside twice."""
    failed, text = sim(1, 7006110)
    assert failed == 0, text


def test_a_segment_that_was_given_up_does_not_come_again():
    """A rare one: its first write was said to have failed, its file could not be removed, its rows were sent again."""
    failed, text = sim(1, 6148, "--only", "puller")
    assert failed == 0, text


def test_a_seed_is_the_same_run_each_time():
    for seed in range(1, 20):
        runs = {sim(1, seed, "--trace")[1] for _ in range(2)}
        assert len(runs) == 1 and len(runs.pop()) > 1000


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(bug):
    failed, text = sim(4000, 1, "--bug", bug, "--first")
    assert failed > 0, f"{bug} was not noticed"
    seed = re.search(r"^seed (\d+): ", text, re.M)[1]
    again, _ = sim(1, seed, "--bug", bug)
    assert again == 1, f"seed {seed} does not fail again"
    assert sim(1, seed)[0] == 0, f"seed {seed} fails without the bug"
