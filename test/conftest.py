"""Tests import the harness by its plain name; a test that hangs is ended with the stacks of all threads."""
import faulthandler
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

LONGEST = {"flow": 600, "hostile": 600, "servers": 1800}  # seconds; no test there takes nearly so long
FULL = os.environ.get("HEADGATE_CRASH_SCALE") == "full"


@pytest.fixture(autouse=True)
def guard(request):
    seconds = LONGEST.get(request.path.parent.name, 2400) * (30 if FULL else 1)
    faulthandler.dump_traceback_later(seconds, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
