"""What several tests share."""
import os
import subprocess

import pytest
from gateway import BUILD, ROOT


@pytest.fixture(scope="session")
def sdk(tmp_path_factory):
    """A prefix with everything installed: the environment in which a plugin is built against it, and its headgate."""
    root = tmp_path_factory.mktemp("sdk")
    done = subprocess.run(["make", "-s", "--no-print-directory", f"BUILD={BUILD}", "install", f"DESTDIR={root}"], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    prefix = root / "usr/local"
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return {**env, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig"), "PKG_CONFIG": "pkg-config --define-prefix"}, prefix
