"""Tests import the harness by its plain name; a test that hangs is ended with the stacks of all threads."""
import faulthandler
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

LONGEST = {"flow": 600, "hostile": 600, "servers": 1800}  # seconds; no test there takes nearly so long


@pytest.fixture(autouse=True)
def guard(request):
    faulthandler.dump_traceback_later(LONGEST.get(request.path.parent.name, 2400), exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
