"""The sums at the end of `make test` are true: what fails, dies or is skipped is counted."""
import subprocess
import sys

from gateway import ROOT


def tally(tmp_path, kind, *arguments):
    done = subprocess.run([sys.executable, ROOT / "test/lib/tally.py", kind, tmp_path / "result", *map(str, arguments)],
                          capture_output=True, text=True)
    return done.returncode, tuple(map(int, (tmp_path / "result").read_text().split()))


def program(tmp_path, name, text):
    path = tmp_path / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


# contract: make.test
def test_failures_are_counted(tmp_path):
    (tmp_path / "test_x.py").write_text("import pytest\ndef test_a(): pass\ndef test_b(): assert 0\n"
                                        "@pytest.mark.skip\ndef test_c(): pass\n"
                                        "def test_d(): pytest.skip('not here: no right to do it')\n")
    assert tally(tmp_path, "pytest", tmp_path / "test_x.py") == (1, (1, 2))
    good = program(tmp_path, "good", "echo '[       OK ] one'; echo '[       OK ] two'")
    bad = program(tmp_path, "bad", "echo '[       OK ] one'; echo '[  FAILED  ] two'; exit 1")
    dies = program(tmp_path, "dies", "echo '[       OK ] one'; kill -SEGV $$")
    leaks = program(tmp_path, "leaks", "echo '[       OK ] one'; echo 'ERROR: LeakSanitizer: detected'")
    empty = program(tmp_path, "empty", "exit 0")
    assert tally(tmp_path, "unit", good) == (0, (2, 0))
    assert tally(tmp_path, "unit", good, bad, dies, leaks, empty) == (1, (5, 4))
