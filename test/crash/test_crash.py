"""SIGKILL of the daemon, its host, or both, under load: every acknowledged row is in the file exactly once. And the
other way round: three seeded bugs are each caught by the same harness."""
import pytest
from counts import SEED, count
from crash import MOMENTS, Crash
from gateway import BUILD

CYCLES = count("CRASH_CYCLES", 300, 10000)


# contract: file.crash
def test_every_acknowledged_row_once(capsys):
    with Crash(SEED) as c:
        c.cycles(CYCLES)
        verdict = c.settle()
        with capsys.disabled():
            print(f"\nseed {SEED}: {c.summary()}")
        assert not verdict, verdict
        if CYCLES >= 100:
            assert all(c.kills[m] > 0 for m in MOMENTS), c.kills


# name, what is replaced, kills that bring it out, faults of which one must be seen
MUTANTS = [
    ("cursor_first", "daemon", ["push"], {"lost", "half"}),
    ("half_set", "plugin", ["push", "between"], {"half", "lost"}),
    ("repeat", "plugin", ["between"], {"repeated"}),
]


@pytest.mark.parametrize("name,kind,moments,expected", MUTANTS, ids=[m[0] for m in MUTANTS])
def test_a_seeded_bug_is_caught(name, kind, moments, expected):
    more = {"program": BUILD / "mutant" / name / "headgate"} if kind == "daemon" else \
           {"bundled": False, "plugins": [BUILD / "mutant/plugins" / name / "file.so"]}
    verdict = {}
    for turn in range(5):
        with Crash(SEED + turn, moments=moments, who=("both", "host"), clean=False, **more) as c:
            c.cycles(15)
            verdict = c.settle(seconds=6)
            c.process.kill()
        if set(verdict) & expected:
            return
    pytest.fail(f"{name} was not caught: {verdict}")
