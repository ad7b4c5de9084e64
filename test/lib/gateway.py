"""A whole headgate daemon for tests: started on a data folder of its own with ephemeral ports, asked over HTTP and by
its commands, killed, started again, and looked at from outside. Standard library only.

Tests wait for events: `wait_until` looks until something is so, and its timeout is a guard that fails the test. Every
gateway ends with the checks of `stop`: exit status 0, no process left behind, nothing on stderr that says a fault of
ours or of memory was found.
"""
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = (ROOT / os.environ.get("HEADGATE_BUILD", "build")).resolve()
SLOW = float(os.environ.get("HEADGATE_TEST_SLOW") or (5 if BUILD.name in ("asan", "tsan", "coverage") else 1))
FAULT = re.compile(r"internal fault|Sanitizer|runtime error:|CHECK\(")
PLAIN = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": "/nonexistent",
         **{k: os.environ[k] for k in ("TSAN_OPTIONS",) if k in os.environ}}
CLIENT_VERBS = {"status", "receipt", "dead", "replay", "pause", "resume", "reload", "drain", "probe", "refusals", "config",
                "send", "rowsets", "audit", "export", "doctor", "expedite", "tap", "mark", "purge"}


def wait_until(predicate, timeout=15.0, what=None):
    """The first true value of predicate(). AssertionError when there was none in time."""
    end, pause = time.monotonic() + timeout * SLOW, 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout * SLOW:.0f} s in vain: {what() if callable(what) else what or predicate}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def whole_lines(path):
    """The lines of a file that another process may be writing at this moment: one without its end is not there yet."""
    return path.read_text().split("\n")[:-1] if path.exists() else []


def dump(document):
    return document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()


def row(uuid, data=None, **more):
    return {"uuid": uuid, "row": {"data": data if data is not None else {"keyOne": 1}, **more}}


def rows(uuid, count, **data):
    return {"uuid": uuid, "rows": [{"index": n, "data": {"n": n, **data}} for n in range(count)]}


CHAOS = {"chaos", "stable", "whole", "manual"}


class Response:
    """One HTTP answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]

    def __getitem__(self, key):
        return self.json()[key]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection(address, timeout=30, tls=None):
    """tls: an ssl.SSLContext, or None for plain HTTP."""
    if address.startswith("unix:"):
        return UnixConnection(address[5:], timeout * SLOW)
    host, port = address.rsplit(":", 1)
    if tls:
        return http.client.HTTPSConnection(host.strip("[]"), int(port), timeout=timeout * SLOW, context=tls)
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout * SLOW)


def ask(address, method, path, body=None, headers=None, timeout=30, tls=None):
    """One request on a connection of its own."""
    c = connection(address, timeout, tls)
    try:
        c.request(method, path, body=body, headers=headers or {})
        answer = c.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        c.close()


class Wire:
    """A raw connection: bytes out, answers in."""

    def __init__(self, address, timeout=15):
        if address.startswith("unix:"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(address[5:])
        else:
            host, port = address.rsplit(":", 1)
            self.sock = socket.create_connection((host.strip("[]"), int(port)))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(timeout * SLOW)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def more(self):
        """Reads once; False at the end of the stream."""
        try:
            got = self.sock.recv(65536)
        except ConnectionError:
            got = b""
        self.data += got
        return bool(got)

    def answer(self):
        """The next answer as (status, headers, body); None when the peer closed before it."""
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                return None
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        first, *fields = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}
        length = int(headers.get("content-length", 0))
        status = int(first.split()[1])
        while len(self.data) < length and status >= 200:
            if not self.more():
                break
        body, self.data = (self.data[:length], self.data[length:]) if status >= 200 else (b"", self.data)
        return Response(status, headers, body)

    def closed(self):
        """Waits for the peer to close; False when it sends something instead."""
        while self.more():
            if self.data:
                return False
        return not self.data

    def quiet(self, seconds):
        """Nothing comes for so long."""
        return not self.data and not select.select([self.sock], [], [], seconds)[0]


def stat_of(pid):
    """(state, parent, start time) of a process; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return fields[0], int(fields[1]), fields[19]


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(int(entry))
            if stat and stat[1] == pid:
                found.append(int(entry))
    return found


class Gateway:
    """`with Gateway(env) as g:` — a running daemon.

    env: settings over the tests' own (HEADGATE_…, PLUGIN_…); None as a value takes one away. plugins: folders or files
    beside the built plugins; later: chaos fixtures that the test will add itself. file: the `file` pusher is on. start: False leaves the start to the test.
    """

    def __init__(self, env=None, plugins=(), file=True, flags=(), ini="", program=None, bundled=True, start=True,
                 clean=True, data=None, later=()):
        self.work = Path(tempfile.mkdtemp(prefix="headgate-test-"))
        self.data = Path(data) if data else self.work / "data"
        self.out = self.work / "out"
        self.out.mkdir()
        self.program = str(program or BUILD / "headgate")
        self.config = self.work / "headgate.ini"
        self.config.write_text(ini)
        self.flags, self.clean = list(flags), clean
        self.env = {
            "HEADGATE_HTTP_LISTEN": "127.0.0.1:0",
            "HEADGATE_ADMIN_LISTEN": "127.0.0.1:0",
            "HEADGATE_LOG_FORMAT": "json",
            "HEADGATE_JOURNAL_SEGMENT": "4MiB",
        }
        if file:
            self.env["PLUGIN_FILE_PATH"] = str(self.out / "rows.ndjson")
        if os.environ.get("COUNT_LINES"):  # a confined host could not write its counts
            self.env["PLUGIN_FILE_CONFINE"] = "no"
        self.env.update(env or {})
        self.plugins = [BUILD / "plugins"] if bundled else []
        self.own_plugins = self.work / "plugins"
        self.own_plugins.mkdir(mode=0o755)
        for p in plugins:
            self.add_plugin(p)
        for p in {*plugins, *later} & CHAOS:  # the fixture that does what it is told: a file for what it delivered
            self.env.setdefault(f"PLUGIN_{p.upper()}_FILE", str(self.got_path(p)))
        self.plugins.append(self.own_plugins)
        self.process, self.tls = None, None  # tls: an ssl.SSLContext, where its listeners encrypt
        self.seen = {}  # every process of ours that was ever seen: pid -> start time
        self.lines, self.events, self.news = [], [], threading.Condition()
        self.addresses = {}
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop(check=kind is None)
        finally:
            if kind is not None:
                print("--- log of the daemon\n" + "\n".join(self.lines[-80:]))
            shutil.rmtree(self.work, ignore_errors=True)

    # --- processes

    def got_path(self, plugin="chaos"):
        """Where the chaos fixture (or a variant of it) writes what it delivered."""
        return self.work / f"{plugin}.got"

    def add_plugin(self, source, name=None, age=5):
        """A copy in the gateway's own plugins folder, renamed in, `age` seconds old. A name: of test/fixture/plugins."""
        source = BUILD / "fixture" / f"{source}.so" if isinstance(source, str) and "/" not in source else Path(source)
        target = self.own_plugins / (name or source.name)
        scratch = self.work / f".{target.name}"
        shutil.copyfile(source, scratch)
        os.chmod(scratch, 0o755)
        os.utime(scratch, (time.time() - age,) * 2)
        os.rename(scratch, target)
        return target

    def environment(self, env=None):
        merged = {**PLAIN, **self.env, **(env or {})}
        return {k: str(v) for k, v in merged.items() if v is not None}

    def command(self):
        return [self.program, "run", "--config", str(self.config), "--data", str(self.data),
                "--plugins", ":".join(map(str, self.plugins)), *self.flags]

    def start(self, env=None, ready=True, wait=True):
        """Starts the daemon (again). ready: wait until it takes rows; wait: at least until it listens."""
        self.env.update(env or {})
        self.addresses, self.mark = {}, len(self.events)
        self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                        cwd=self.work)
        self.remember(self.process.pid)
        self.readers = [threading.Thread(target=self.read_log, args=(stream,), daemon=True)
                        for stream in (self.process.stdout, self.process.stderr)]
        for reader in self.readers:
            reader.start()
        if wait:
            self.wait_listening()
        if wait and ready:
            wait_until(self.ready, 30, lambda: "readiness; " + "\n".join(self.lines[-20:]))
        return self

    def wait_listening(self):
        def there():
            assert self.process.poll() is None, "the daemon ended: " + "\n".join(self.lines[-20:])
            return {"rows", "admin"} <= set(self.addresses)
        wait_until(there, 30, lambda: "listening; " + "\n".join(self.lines[-20:]))

    def ready(self):
        assert self.process.poll() is None, "the daemon ended: " + "\n".join(self.lines[-20:])
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def read_log(self, stream):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                event = json.loads(line)
                event = event if isinstance(event, dict) else {}
            except ValueError:
                event = {}
            with self.news:
                self.lines.append(line)
                self.events.append(event)
                if event.get("event") == "listen" and "listener" in event:  # a line made without memory lacks fields
                    self.addresses.setdefault(event["listener"], event["address"])
                self.news.notify_all()
        stream.close()

    def wait_event(self, name, timeout=15, since=None, **fields):
        """The first log event of this start (or since a place in `events`) with that name and those fields."""
        def found():
            for event in self.events[self.mark if since is None else since:]:
                if event.get("event") == name and all(event.get(k) == v for k, v in fields.items()):
                    return event
            return None
        return wait_until(found, timeout, lambda: f"log event {name} {fields}; " + "\n".join(self.lines[-20:]))

    def remember(self, pid):
        stat = stat_of(pid)
        if stat:
            self.seen[pid] = stat[2]

    def hosts(self):
        """Processes of plugins, by instance (the log says which; without it by pid)."""
        found = children(self.process.pid)
        for pid in found:
            self.remember(pid)
        return found

    def host(self, name):
        """The process of one plugin, once it runs."""
        def running():
            pid = self.pusher(name).get("pid")
            if pid:
                self.remember(pid)
            return pid
        return wait_until(running, what=f"a process of {name}")

    def left(self):
        """Processes of this gateway that still run."""
        return [pid for pid, began in self.seen.items()
                if (stat := stat_of(pid)) and stat[2] == began and stat[0] not in "ZX"]

    def kill9(self, hosts=False):
        """SIGKILL for the daemon (and for the hosts before it)."""
        pids = self.hosts()
        for pid in pids if hosts else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.ended()

    def ended(self, timeout=30):
        """Waits for the daemon's end and for that of its hosts; its exit status."""
        try:
            status = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the daemon did not end: " + "\n".join(self.lines[-30:])) from None
        for reader in self.readers:
            reader.join(10)
        wait_until(lambda: not self.left(), 10, lambda: f"processes left behind: {self.left()}")
        return status

    def term(self, timeout=40):
        """SIGTERM; the exit status."""
        self.hosts()
        self.process.send_signal(signal.SIGTERM)
        return self.ended(timeout)

    def signal(self, number):
        self.process.send_signal(number)

    def restart(self, env=None, **more):
        """On the same data folder: ends what runs (SIGTERM) and starts again."""
        if self.process and self.process.poll() is None:
            assert self.term() == 0
        return self.start(env, **more)

    def stop(self, check=True):
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                status = self.term()
            except AssertionError:
                if check:
                    raise
                status = 0
            if check and self.clean:
                assert status == 0, f"ended with {status}: " + "\n".join(self.lines[-30:])
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        if check and self.clean:
            faults = [line for line in self.lines if FAULT.search(line)]
            assert not faults, "\n".join(faults[:20])

    # --- HTTP

    @property
    def address(self):
        return self.addresses["rows"]

    @property
    def admin_address(self):
        return self.addresses["admin"]

    def post(self, document, path="/v1/rows", headers=None, content_type="application/json", timeout=30):
        fields = {"Content-Type": content_type} if content_type else {}
        return ask(self.address, "POST", path, dump(document), {**fields, **(headers or {})}, timeout, self.tls)

    def post_ndjson(self, documents, **more):
        body = b"".join(dump(d) + b"\n" for d in documents)
        return self.post(body, content_type="application/x-ndjson", **more)

    def take(self, document, **more):
        """Posts what must be taken; the answer's document."""
        answer = self.post(document, **more)
        assert answer.status in (200, 202), answer
        return answer.json()

    def get(self, path, listener="admin", **more):
        return ask(self.addresses[listener], "GET", path, **{"tls": self.tls, **more})

    def admin(self, method, path, document=None, **more):
        body = None if document is None else dump(document)
        return ask(self.admin_address, method, path, body, {"Content-Type": "application/json"} if body else {},
                   **{"tls": self.tls, **more})

    def wire(self, listener="rows", **more):
        return Wire(self.addresses[listener], **more)

    def pushers(self):
        """By name, as GET /v1/pushers says."""
        answer = self.get("/v1/pushers")
        assert answer.status == 200, answer
        found = answer.json()
        return {p["name"]: p for p in (found["pushers"] if isinstance(found, dict) else found)}

    def pusher(self, name):
        return self.pushers().get(name, {})

    def wait_state(self, name, *states, timeout=15):
        return wait_until(lambda: self.pusher(name).get("state") in states and self.pusher(name), timeout,
                          lambda: f"{name} to be {states}: {self.pusher(name)}")

    def receipt(self, batch):
        return self.get(f"/v1/batches/{batch}")

    def wait_outcome(self, batch, outcome="delivered", timeout=20):
        """Until the receipt of a row set says so."""
        return wait_until(lambda: (r := self.receipt(batch)).status == 200 and r["outcome"] == outcome and r.json(),
                          timeout, lambda: f"{outcome}: {self.receipt(batch)}")

    def metrics(self):
        """{'name{labels}': value}"""
        found = {}
        for line in self.get("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                key, value = line.split(" # ")[0].rsplit(" ", 1)
                found[key] = float(value)
        return found

    def dead(self, query=""):
        answer = self.get("/v1/dead-letters" + query)
        assert answer.status == 200, answer
        found = answer.json()
        return next((v for v in found.values() if isinstance(v, list)), []) if isinstance(found, dict) else found

    # --- what was written

    def file_rows(self, path=None):
        """Rows of all files below out/ (or of one), oldest file first, as documents. Half lines are left out."""
        found = []
        for p in [Path(path)] if path else sorted(self.out.rglob("*"), key=age):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                for line in p.read_bytes().split(b"\n")[:-1]:
                    found.append(json.loads(line))
        return found

    def wait_rows(self, count, timeout=20, where=None):
        """Until at least so many rows are in the files (those that `where` takes)."""
        def there():
            found = [r for r in self.file_rows() if where is None or where(r)]
            return found if len(found) >= count else None
        return wait_until(there, timeout, lambda: f"{count} rows in the file: {len(self.file_rows())}; "
                          + "\n".join(self.lines[-20:]))

    # --- commands

    def cli(self, *arguments, stdin=None, env=None, admin=True, timeout=60):
        """`headgate …`, of a client verb with this daemon's --admin. A CompletedProcess with text."""
        more = []
        if admin and arguments and (arguments[0] in CLIENT_VERBS or arguments[:2] == ("plugin", "forget")):
            more = ["--admin", self.admin_address]
        return command(*arguments, *more, stdin=stdin, env=env, timeout=timeout, cwd=self.work, program=self.program)


def age(path):
    """To sort by. A file that was given another name since it was listed comes last, and is read no more."""
    try:
        return path.stat().st_mtime_ns, path.name
    except FileNotFoundError:
        return float("inf"), path.name


def command(*arguments, stdin=None, env=None, timeout=60, cwd=None, program=None):
    data = None if stdin is None else stdin if isinstance(stdin, bytes) else stdin.encode()
    done = subprocess.run([str(program or BUILD / "headgate"), *map(str, arguments)], input=data, cwd=cwd,
                          stdin=subprocess.DEVNULL if data is None else None, capture_output=True,
                          env={**PLAIN, **(env or {})}, timeout=timeout * SLOW)
    done.stdout, done.stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert not FAULT.search(done.stderr), done.stderr
    return done
