"""Real servers for the tests: how each is installed, started on a free loopback port with data in a folder of its own,
killed, started again on the same port and data, and stopped. One module for each server, server_NAME.py, has a class
derived from `Server`; `install NAME…` installs them beforehand. Standard library only.

Where a server comes from is said by its `packages` (apt: the set `servers` of etc/install-deps.sh, which installs all of
them at once and starts none) or by a method `fetch(folder)` of its class (Maven, Go, PyPI: into a folder below
TEST_SERVERS_DIR, once; a stamp file that names the version says that it is whole).

A server dies with the test: it gets SIGKILL when the thread that started it ends. As root it runs as `user`.
"""
import contextlib
import fcntl
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

from gateway import ROOT, SLOW, children, stat_of, wait_until  # noqa: E402

HERE = Path(__file__).resolve().parent
# Root's own folder cannot be entered by the users that the servers run as.
CACHE = Path(os.environ.get("TEST_SERVERS_DIR") or
             ("/var/cache/headgate-servers" if os.geteuid() == 0 else Path.home() / ".cache/headgate-servers"))
GO_VERSION = "1.24.4"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port, timeout=1.0):
    """Somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout):
        return True
    return False


def run(command, **more):
    """Runs it to its end; what it said goes into the failure."""
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout.decode('utf-8', 'replace')[-4000:]}")
    return done.stdout.decode("utf-8", "replace")


def offspring(pid):
    """(pid, start time) of the process and of all below it, from the top."""
    stat = stat_of(pid)
    found = [(pid, stat[2])] if stat else []
    for child in children(pid):
        found += offspring(child)
    return found


# --- installing


def install_packages():
    run([ROOT / "etc/install-deps.sh", "servers"])


def maven(folder, artifact, version, packaging="jar"):
    """`group:artifact` in that version as a file in the folder; its path. Through Maven's own client."""
    group, name = artifact.split(":")
    run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={group}:{name}:{version}:{packaging}",
         f"-DoutputDirectory={folder}", "-Dmdep.useBaseVersion=true"])
    return Path(folder) / f"{name}-{version}.{packaging}"


def maven_tree(folder, *artifacts):
    """Artifacts (`group:name:version`) with all that they need at run time, as jars in the folder."""
    wanted = "".join("<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
                     .format(*a.split(":")) for a in artifacts)
    pom = Path(folder) / "pom.xml"
    pom.write_text('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
                   f"<groupId>test</groupId><artifactId>servers</artifactId><version>1</version><dependencies>{wanted}"
                   "</dependencies></project>\n")
    run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={folder}",
         "-DincludeScope=runtime"])


def go_program():
    """A Go that fetches by itself the version that a module asks for, as it does since 1.21. The distribution's may be
    older: it can still fetch a newer one, which is a module like any other."""
    env = {**os.environ, "GOFLAGS": "-mod=mod"}
    version = run(["go", "env", "GOVERSION"], env=env).strip().removeprefix("go").split(".")
    if [int(v) for v in version[:2]] >= [1, 21]:
        return "go"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    told = run(["go", "mod", "download", "-json", f"golang.org/toolchain@v0.0.1-go{GO_VERSION}.linux-{machine}"], env=env)
    program = Path(json.loads(told)["Dir"]) / "bin/go"
    for path in [program, *program.parent.parent.glob("pkg/tool/*/*")]:  # modules carry no permission to run
        os.chmod(path, 0o555)
    return program


def go_install(folder, module):
    """The program of `module@version` in the folder, built by Go."""
    run(["nice", go_program(), "install", "-ldflags", "-s -w", module],
        env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"})


def python_install(folder, *packages):
    """A virtual environment with these packages; its programs are in folder/bin."""
    run(["/usr/bin/python3", "-m", "venv", folder])
    run([Path(folder) / "bin/pip", "install", "-q", *packages])


def certificate(folder, name="IP:127.0.0.1"):
    """(certificate, key): files in PEM, made for that name and signed by itself, so that it is also what a client trusts."""
    cert, key = Path(folder) / "server.crt", Path(folder) / "server.key"
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=headgate-test", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", cert])
    return cert, key


def client_certificate(folder, cert, key):
    """(certificate, key): one that the server's own has signed."""
    mine, secret, wish = (Path(folder) / f"client.{end}" for end in ("crt", "key", "csr"))
    run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
         "/CN=headgate-client", "-keyout", secret, "-out", wish])
    run(["openssl", "x509", "-req", "-in", wish, "-CA", cert, "-CAkey", key, "-set_serial", "2", "-days", "2", "-out", mine])
    return mine, secret


# --- a server


class Server:
    """`with Postgres() as server:` — running, with `port`, and `dir` for its data, its log and its settings.

    A class gives `name`, `version`, either `packages = True` or `fetch()`, and `command()`, `ready()`; if it needs them
    also `prepare()` (the first data, once, after the folder is there) and `first()` (once, when it runs: users, databases).
    """

    name = version = None
    packages = False           # it is among the packages of etc/install-deps.sh
    user = "nobody"            # who it runs as when the tests run as root
    start_seconds = 60         # the longest that it may take until it is ready
    stop_signal = signal.SIGTERM
    lasting = False            # True: it outlives who started it
    mutual = False             # True, with TLS: only clients come in whose certificate the server's own has signed
    halts = False              # True: standing.py halts it for `down`, because it takes long to start

    def __init__(self, tls=None):
        """tls: it speaks TLS, with a certificate of its own for that name (`IP:127.0.0.1`, `DNS:elsewhere`): `cert`."""
        type(self).install()
        self.tls, self.cert, self.key = tls, None, None
        self.dir = Path(tempfile.mkdtemp(prefix=f"headgate-{self.name}-"))
        self.log = self.dir / "log"
        self.process = None
        self.give(self.dir)

    def __enter__(self):
        try:
            self.new_ports()
            if self.tls:
                self.cert, self.key = certificate(self.dir, self.tls)
                self.give(self.cert)
                self.give(self.key)
                os.chmod(self.key, 0o600)
            self.prepare()
            self.start(tries=3)
            self.first()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    # What a class brings with it.

    @classmethod
    def fetch(cls, folder):
        """Puts the server into the folder."""
        raise NotImplementedError

    def new_ports(self):
        self.port = free_port()

    def prepare(self):
        pass

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": str(self.dir),
                "TMPDIR": str(self.dir)}

    def ready(self):
        return answers(self.port)

    def first(self):
        pass

    # For standing.py.

    def stand(self):
        """It is to stay up between commands: what is other then."""

    def different_rows(self):
        """How many rows it has that are not the same row."""
        raise NotImplementedError

    # Installing.

    @classmethod
    def home(cls):
        return CACHE / f"{cls.name}-{cls.version}"

    @classmethod
    def install(cls):
        """Does nothing when it is there. Tests that run at the same time wait for the one that installs."""
        if cls.packages:
            return install_packages()
        stamp = CACHE / f".stamp-{cls.name}-{cls.version}"
        if stamp.exists():
            return None
        CACHE.mkdir(parents=True, exist_ok=True)
        with open(CACHE / f".lock-{cls.name}", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not stamp.exists():
                shutil.rmtree(cls.home(), ignore_errors=True)
                cls.home().mkdir()
                cls.fetch(cls.home())
                stamp.touch()
        return None

    # Running.

    def give(self, path):
        """Makes a path the user's. (A server's folder can be entered by all: sockets are reached through it.)"""
        os.chmod(path, 0o755 if Path(path).is_dir() else 0o644)
        if os.geteuid() == 0:
            shutil.chown(path, self.user)

    def as_user(self, command):
        who = [f"--reuid={self.user}", f"--regid={self.user if self.user != 'nobody' else 'nogroup'}",
               "--clear-groups"] if os.geteuid() == 0 else []
        death = [] if self.lasting else ["--pdeathsig=KILL"]
        return ["setpriv", *who, *death, *map(str, command)] if who or death else [str(c) for c in command]

    def run_as_user(self, command):
        return run(self.as_user(command), env=self.environment(), cwd=self.dir)

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.as_user(self.command()), env=self.environment(), cwd=self.dir,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def start(self, tries=1):
        """Starts it and waits until it is ready. More tries: with other ports, should somebody have taken them."""
        self.spawn()

        def up():
            if self.process.poll() is not None:
                return "ended"
            return self.ready() and "ready"

        if wait_until(up, self.start_seconds, lambda: f"{self.name} to be ready:\n{self.tail()}") == "ended":
            if tries == 1:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")
            self.new_ports()
            return self.start(tries - 1)
        return self

    def tail(self):
        return self.log.read_text("utf-8", "replace")[-3000:] if self.log.exists() else ""

    def stop(self):
        """Asks it to stop and waits."""
        if self.process and self.process.poll() is None:
            below = offspring(self.process.pid)
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(30 * SLOW)
            except subprocess.TimeoutExpired:
                self.kill()
            # A session of some servers (OpenSSH's) outlives the listener for as long as its client holds it.
            self.signal(below, signal.SIGTERM)
            self.gone(below)

    def kill(self):
        """kill -9 for it and all its processes."""
        if self.process:
            below = offspring(self.process.pid) if self.process.poll() is None else []
            self.signal(below, signal.SIGKILL)
            self.process.wait()
            self.gone(below)

    @staticmethod
    def left(processes):
        return [p for p, began in processes if (stat := stat_of(p)) and stat[2] == began and stat[0] not in "ZX"]

    def signal(self, processes, number):
        for pid in self.left(processes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def gone(self, processes):
        wait_until(lambda: not self.left(processes), 30, f"the end of {self.name}")

    def restart(self, kill=False):
        """Stops (or kills) it and starts it again on the same port and data."""
        self.kill() if kill else self.stop()
        return self.start()


# --- all of them


def names():
    return sorted(p.stem.removeprefix("server_") for p in HERE.glob("server_*.py"))


def server(name):
    """The class of a server by its name."""
    module = importlib.import_module(f"server_{name}")
    return next(c for c in vars(module).values()
                if isinstance(c, type) and issubclass(c, Server) and c.__module__ == module.__name__ and c.name == name)
