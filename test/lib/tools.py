"""Tools from PyPI for tests, each in a virtual environment of its own that is kept for the next run."""
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

PREFIX = Path(os.environ.get("TEST_SERVERS_DIR") or Path.home() / ".cache/headgate-servers")


def venv(package, version):
    """The `bin` folder of an environment with just this; made when it is not there. Without a network the test is
    skipped, but not in CI."""
    home = PREFIX / f"{package}-{version}"
    PREFIX.mkdir(parents=True, exist_ok=True)
    with open(PREFIX / f".{package}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may want it at once
        if not (home / ".made").exists():
            done = subprocess.run(["/usr/bin/python3", "-m", "venv", home], capture_output=True, text=True)
            if done.returncode == 0:
                done = subprocess.run([home / "bin/pip", "install", "-q", f"{package}=={version}"], capture_output=True, text=True)
            if done.returncode != 0:
                assert not os.environ.get("CI"), done.stderr
                pytest.skip(f"{package} cannot be installed: {done.stderr[-200:]}")
            (home / ".made").touch()
    return home / "bin"
