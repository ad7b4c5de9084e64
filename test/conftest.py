"""Tests import the harness by its plain name; a test that hangs is ended with the stacks of all threads."""
import faulthandler
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

LONGEST = 600  # seconds; no flow test takes nearly so long


@pytest.fixture(autouse=True)
def guard():
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
