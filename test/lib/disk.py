"""A disk of its own for a test: an ext4 image on a loop device, whose power can be cut."""
import contextlib
import fcntl
import os
import struct
import subprocess

import pytest

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2


def run(*words, check=True):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    if check and done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.returncode == 0


def need_mounts(folder):
    """Skips the test, with the reason, where no loop device may be mounted."""
    try:
        with Disk(folder / "probe", megabytes=8):
            pass
    except OSError as e:
        pytest.skip(f"not here: no loop device can be mounted ({e})")


class Disk:
    """`with Disk(folder) as d:` d.path is the mounted file system. `image`: where its image lies, below `folder` unless
    it is given."""

    def __init__(self, folder, megabytes=64, image=None, options="noatime"):
        self.folder, self.options = folder, options
        folder.mkdir(parents=True, exist_ok=True)
        self.image, self.path = image or folder / "image", folder / "disk"
        self.path.mkdir(exist_ok=True)
        self.mounted = False
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)

    def __enter__(self):
        self.mount()
        return self

    def __exit__(self, *_):
        self.unmount(lazy=True)

    def mount(self):
        run("mount", "-o", f"loop,{self.options}", self.image, self.path)
        self.mounted = True

    def unmount(self, lazy=False):
        if self.mounted and (run("umount", self.path, check=not lazy) or run("umount", "-l", self.path)):
            self.mounted = False

    def cut(self):
        """The power goes: what is not on the medium by now will never be, and every call fails."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("=I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def fill(self, spare=0):
        """A file that takes all the room there is but `spare` bytes; remove it to give it back."""
        ballast = self.path / "ballast"
        with open(ballast, "ab", buffering=0) as f, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        f.write(bytes(size))
            os.fsync(f.fileno())
        os.truncate(ballast, ballast.stat().st_size - spare)
        return ballast


class Tmpfs:
    """A file system in memory that can be made larger or smaller."""

    def __init__(self, path, megabytes):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.megabytes = megabytes

    def __enter__(self):
        run("mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "none", self.path)
        return self

    def __exit__(self, *_):
        run("umount", "-l", self.path, check=False)

    def resize(self, megabytes):
        run("mount", "-o", f"remount,size={megabytes}m", self.path)
