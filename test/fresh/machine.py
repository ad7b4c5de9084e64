"""A minimal Debian 12 root, made once with debootstrap and kept as a tar: what `make run` and the image are tried on.

Needs root (or sudo without a password), the distribution's mirror, and what etc/install-deps.sh installs for tests."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from gateway import ROOT

CACHE = Path(os.environ.get("HEADGATE_TEST_CACHE") or Path.home() / ".cache/headgate")
RELEASE, MAX_AGE_DAYS = "bookworm", 14
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


def run(*command, seconds=600, check=True, **more):
    """Output of a command; its text is in the failure."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True, timeout=seconds, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


def root(*command, **more):
    return run(*AS_ROOT, *command, **more)


def mirror():
    """Where apt here gets this release from; that is a mirror which can be reached."""
    for line in run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", check=False).splitlines():
        uri, _, release = line.partition(" ")
        if release == RELEASE and uri.startswith("http"):
            return uri
    return "http://deb.debian.org/debian"


def base_tar():
    """The minimal root as a tar."""
    tar = CACHE / f"{RELEASE}-minbase.tar"
    if tar.exists() and time.time() - tar.stat().st_mtime < MAX_AGE_DAYS * 86400:
        return tar
    CACHE.mkdir(parents=True, exist_ok=True)
    with scratch() as work:
        rootfs = work / "rootfs"
        root("debootstrap", "--variant=minbase", RELEASE, rootfs, mirror(), seconds=900)
        root("sh", "-c", f"rm -rf {rootfs}/var/cache/apt/archives/*.deb {rootfs}/var/lib/apt/lists/*")
        root("tar", "-C", rootfs, "--numeric-owner", "-cf", work / "base.tar", ".", seconds=300)
        root("chmod", "644", work / "base.tar")
        part = tar.with_suffix(".part")
        shutil.copyfile(work / "base.tar", part)
        os.rename(part, tar)
    return tar


@contextlib.contextmanager
def scratch():
    """A folder that may hold files of root."""
    work = Path(tempfile.mkdtemp(prefix="headgate-fresh-", dir="/var/tmp"))
    try:
        yield work
    finally:
        root("rm", "-rf", "--one-file-system", work, check=False)


def unpack(rootfs):
    """The minimal root with this machine's way to the network."""
    rootfs.mkdir()
    root("tar", "-C", rootfs, "--numeric-owner", "-xf", base_tar())
    give_network(rootfs)


def give_network(rootfs):
    """Names and package sources as they are here, so that a mirror or proxy that is needed is used."""
    root("cp", "-L", "/etc/resolv.conf", rootfs / "etc/resolv.conf")
    root("sh", "-c", f"cp /etc/apt/apt.conf.d/*proxy* {rootfs}/etc/apt/apt.conf.d/ 2>/dev/null || true")
    sources = f"deb {mirror()} {RELEASE} main\n"
    run(*AS_ROOT, "sh", "-c", f"printf '%s' '{sources}' >{rootfs}/etc/apt/sources.list")


def clone_of_head(target):
    """A bare clone of what is committed here."""
    with tempfile.TemporaryDirectory() as home:
        Path(home, ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        run("git", "clone", "-q", "--bare", "--depth", "1", f"file://{ROOT}", Path(home) / "clone",
            env={**os.environ, "HOME": home})
        root("cp", "-r", Path(home) / "clone", target)
        root("chown", "-R", "0:0", target)


def inside(rootfs, command, env=None):
    """The command line that runs a shell command in the root, with a /proc and process numbers of its own. The end of
    the outer process ends everything in it."""
    settings = [f"{k}={v}" for k, v in {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
                                        **(env or {})}.items()]
    return [*AS_ROOT, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
            f"mount -t proc proc {rootfs}/proc && mount --rbind /dev {rootfs}/dev && "
            f"exec chroot {rootfs} env -i {' '.join(settings)} sh -c '{command}'"]
