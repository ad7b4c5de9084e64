"""Tools for tests that are not installed: from PyPI, each in a virtual environment of its own, or taken out of a Debian
package; both are kept for the next run."""
import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PREFIX = Path(os.environ.get("TEST_SERVERS_DIR") or Path.home() / ".cache/headgate-servers")


@contextlib.contextmanager
def alone(name):
    """Several workers may want it at once."""
    PREFIX.mkdir(parents=True, exist_ok=True)
    with open(PREFIX / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def missing(what, why):
    assert not os.environ.get("CI"), f"{what}: {why}"
    pytest.skip(f"not here: {what} cannot be had: {why[-200:]}")


def debian(package, path):
    """A program of a package that is not to be installed (it would start a server): what is in PATH, else unpacked from the
    package, as its libraries are those of the system. Without a network the test is skipped, but not in CI."""
    name = os.path.basename(path)
    there = shutil.which(name) or PREFIX / "debian" / package / path
    with alone(package):
        if not os.access(there, os.X_OK):
            why = unpack(package, PREFIX / "debian")
            if why:
                missing(f"{name} (Debian: {package})", why)
    return there


def unpack(package, folder):
    """What went wrong, or nothing."""
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / f"{package}.new", ignore_errors=True)
    fetch = ["apt-get", "-qq", "download", package]
    done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:  # the lists may be missing or old
        become = ["sudo", "-n"] if os.geteuid() != 0 and shutil.which("sudo") else []
        subprocess.run([*become, "apt-get", "-qq", "update"], capture_output=True)
        done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True)
    found = sorted(folder.glob(f"{package}_*.deb"))
    if done.returncode == 0 and found:
        done = subprocess.run(["dpkg-deb", "-x", found[-1], folder / f"{package}.new"], capture_output=True, text=True)
    if done.returncode == 0 and found:
        shutil.rmtree(folder / package, ignore_errors=True)
        (folder / f"{package}.new").rename(folder / package)
    for file in found:
        file.unlink()
    return done.stderr if done.returncode != 0 else "" if found else "nothing was fetched"


def venv(package, version):
    """The `bin` folder of an environment with just this; made when it is not there. Without a network the test is
    skipped, but not in CI."""
    home = PREFIX / f"{package}-{version}"
    with alone(package):
        if not (home / ".made").exists():
            done = subprocess.run(["/usr/bin/python3", "-m", "venv", home], capture_output=True, text=True)
            if done.returncode == 0:
                done = subprocess.run([home / "bin/pip", "install", "-q", f"{package}=={version}"], capture_output=True, text=True)
            if done.returncode != 0:
                missing(package, done.stderr)
            (home / ".made").touch()
    return home / "bin"
