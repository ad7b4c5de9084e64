"""What the measures share: servers pinned to core 0, the load generator (and this program) to core 1, rounds that
alternate between whatever is compared, so that what else the machine does hits all of it alike."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(ROOT / "test/lib"))

import peers  # noqa: E402
import process  # noqa: E402
from gateway import BUILD, Gateway, wait_until  # noqa: E402

SERVERS, CLIENT = 0, 1  # cores
STEADY = 1 << 30        # journal.keep_bytes as it is by default: beyond it segments recycle


class Daemon(Gateway):
    """A gateway on the servers' core, with default settings but those given."""

    def __init__(self, env=None, **more):
        super().__init__({"HEADGATE_JOURNAL_SEGMENT": None, **(env or {})}, **{"file": False, **more})

    def command(self):
        return ["taskset", "-c", str(SERVERS), *super().command()]

    @property
    def pid(self):
        return self.process.pid

    @property
    def url(self):
        scheme = "https" if "HEADGATE_TLS_CERTIFICATE" in self.env else "http"
        return f"{scheme}://{self.address}/v1/rows"

    def lag(self):
        """Rows that are not delivered yet, of the pusher that is furthest behind."""
        return max((v for k, v in self.metrics().items() if k.startswith("headgate_lag_rows{")), default=0)

    def wait_for_all(self, except_for, timeout=600):
        """All pushers but one to have delivered everything."""
        wait_until(lambda: all(v == 0 for k, v in self.metrics().items()
                               if k.startswith("headgate_lag_rows{") and except_for not in k), timeout)

    def wait_delivered(self, timeout=600):
        wait_until(lambda: self.lag() == 0, timeout, "all rows to be delivered")


class Load:
    """What one run of wrk found."""

    def __init__(self, said, rows, cpu, own, waited, began, ended):
        self.requests, self.seconds = said["requests"], said["seconds"]
        self.p50, self.p99 = said["p50_us"] / 1e6, said["p99_us"] / 1e6
        self.rate = self.requests / self.seconds
        self.rows = self.requests * rows
        self.cpu, self.own, self.waited = cpu, own, waited  # seconds: with its children; the server's alone; for a core
        self.began, self.ended = began, ended
        if said["refused"]:
            raise RuntimeError(f"the server did not take the load: {said}")


class Bench:
    def __init__(self, quick=False, venv=None, say=print):
        self.quick, self.venv, self.say = quick, venv, say
        self.rounds, self.seconds = (3, 1) if quick else (7, 3)
        self.work = Path(tempfile.mkdtemp(prefix="headgate-bench-"))
        self.stack, self.kept, self.starved = contextlib.ExitStack(), {}, []
        os.sched_setaffinity(0, {CLIENT})

    def close(self):
        self.stack.close()
        shutil.rmtree(self.work, ignore_errors=True)

    # --- servers; each is started once and stands idle while others are measured

    def keep(self, name, make):
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def gateway(self, env=None, **more):
        """`with b.gateway({…}) as g:`"""
        return Daemon({"PLUGIN_NULL_ENABLED": "yes", **(env or {})}, **more)

    def steady(self, name="default", env=None, beyond=STEADY, **more):
        """A daemon with the `null` pusher that has come so far that its segments recycle. `beyond`: what it keeps."""
        def make():
            g = self.stack.enter_context(self.gateway(env, **more))
            self.age(g, beyond)
            return g
        return self.keep(f"gateway {name}", make)

    def age(self, g, beyond=STEADY):
        import bodies
        body, sent = bodies.batch(100), 0
        while sent < beyond * 1.3:
            sent += self.load(g, body, 16, 100, seconds=2).requests * len(body)
        g.wait_delivered()

    def nginx(self):
        return self.keep("nginx", lambda: self.until_end(peers.nginx(self.work, SERVERS)))

    def fastapi(self):
        return self.keep("fastapi", lambda: self.until_end(peers.fastapi(self.work, SERVERS, self.venv)))

    def until_end(self, peer):
        self.stack.callback(peer.stop)
        return peer

    # --- loads

    def body_file(self, body):
        path = self.work / f"body-{hash(body) & 0xFFFFFFFFFFFF:x}"
        if not path.exists():
            path.write_bytes(body)
        return path

    def load(self, server, body, connections, rows=1, seconds=None, **env):
        """Post one body over so many connections for a while; once more where the disk stood still all that time."""
        for _ in range(10):
            load = self.load_once(server, body, connections, rows, seconds or self.seconds, env)
            if load.requests > 0:
                return load
        raise RuntimeError("the server answers nothing")

    def load_once(self, server, body, connections, rows, seconds, env):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency", "-s",
                   str(HERE.parent / "post.lua"), server.url]
        pids = process.family(server.pid)
        before, alone, waited, began = process.cpu(pids), process.cpu([server.pid]), process.waited(pids), time.monotonic()
        done = subprocess.run(command, env={**os.environ, "BODY": str(self.body_file(body)), **env}, capture_output=True,
                              text=True, check=False)
        found = re.search(r"^RESULT (\{.*\})$", done.stdout, re.M)
        if not found:
            raise RuntimeError(f"wrk said: {done.stdout} {done.stderr}")
        ended = time.monotonic()
        load = Load(json.loads(found[1]), rows, process.cpu(pids) - before, process.cpu([server.pid]) - alone,
                    process.waited(pids) - waited, began, ended)
        self.starved.append(load.waited / (ended - began))
        return load

    def interleave(self, tasks, rounds=None):
        """{name: [what the task returned, one a round]}; each round begins with another of them."""
        names, found = list(tasks), {name: [] for name in tasks}
        for n in range(rounds or self.rounds):
            turn = n % len(names)
            for name in names[turn:] + names[:turn]:
                found[name].append(tasks[name]())
        return found

    def against(self, peer, gateway, body, connections, rows, peer_seconds=None):
        """Loads of both in turn: (ratios of rows a second, ratios of CPU time a row (theirs over ours), note)."""
        found = self.interleave({
            "peer": lambda: self.load(peer, body, connections, rows, peer_seconds),
            "ours": lambda: self.load(gateway, body, connections, rows)})
        ours, theirs = found["ours"], found["peer"]
        time_ratio = [a.rate / b.rate for a, b in zip(ours, theirs)]
        cpu_ratio = [(b.cpu / b.requests) / (a.cpu / a.requests) for a, b in zip(ours, theirs)]
        note = (f"{middle(a.rate * rows for a in ours):,.0f} of {middle(b.rate * rows for b in theirs):,.0f} rows/s; "
                f"{middle(a.cpu / a.rows * 1e6 for a in ours):.2f} and {middle(b.cpu / b.rows * 1e6 for b in theirs):.2f} us of CPU a row")
        return time_ratio, cpu_ratio, note

    def tool(self, name, *arguments):
        """A C program of test/bench/tool, on the servers' core; what it prints."""
        done = subprocess.run(["taskset", "-c", str(SERVERS), str(BUILD / "bench" / name), *map(str, arguments)],
                              capture_output=True, text=True, check=True)
        return done.stdout

    def syncs(self, seconds=None):
        """Bare fdatasyncs a second, on the file system that the daemons use."""
        return float(self.tool("sync_loop", self.work, seconds or self.seconds))


def middle(values):
    return sorted(values)[len(values) // 2] if isinstance(values, list) else middle(list(values))
