"""One script, run from its beginning for each fault: start, 200 requests over four connections (which fill more than one
segment), stop, start, some more, everything delivered, stop. Whatever the fault does to it, the script goes on: a daemon
that has ended is started again. Then the client's log and the file are compared (judge.py)."""
import contextlib
import http.client
import itertools
import json
import threading
import time

from faults import install
from gateway import SLOW, Gateway, connection, wait_until
from judge import Judge

CONNECTIONS, REQUESTS, AFTERWARDS = 4, 200, 12
numbers = itertools.count()


class Script(Gateway):
    def __init__(self, env=None, requests=REQUESTS, **more):
        super().__init__({"HEADGATE_JOURNAL_SEGMENT": "64KiB", "HEADGATE_HTTP_MAX_BODY": "16KiB",
                          "HEADGATE_JOURNAL_MIN_FREE": "0", "HEADGATE_JOURNAL_KEEP_BYTES": "128KiB",
                          "PLUGIN_FILE_RETRY_MIN": "20ms", "PLUGIN_FILE_RETRY_MAX": "100ms", **(env or {})},
                         start=False, **more)
        self.name, self.requests = f"s{next(numbers)}", requests
        self.judge = Judge(self.work / "client.log", self.out / "rows.ndjson")
        self.lock, self.sent = threading.Lock(), 0
        self.statuses, self.exits = [], []
        self.stayed = True  # no daemon that had become ready ended before it was told to

    def start(self, *arguments, **more):
        """On unix sockets: where it listens is known, whatever becomes of its log."""
        sockets = {"rows": self.work / "rows", "admin": self.work / "admin"}
        for name, variable in (("rows", "HTTP"), ("admin", "ADMIN")):
            self.env[f"HEADGATE_{variable}_LISTEN"] = f"unix:{sockets[name]}"
        super().start(*arguments, **more)
        self.addresses = {name: f"unix:{path}" for name, path in sockets.items()}

    # --- the client

    def note(self, kind, *words):
        with self.lock, open(self.judge.log, "a") as f:
            f.write(f"{kind} {time.monotonic_ns()} {' '.join(map(str, words))}\n")

    def next_set(self):
        with self.lock:
            self.sent += 1
            number = self.sent
        count = 1 + number % 4
        body = {"uuid": f"{self.name}-{number}",
                "rows": [{"index": i, "data": {"row": i, "of": count, "pad": "p" * (number * 37 % 400)}}
                         for i in range(count)]}
        return body["uuid"], count, json.dumps(body), number % 2 == 0

    def client(self, share):
        """Sends its share of row sets; every second one has a key and is sent again until it is answered."""
        c = None
        for _ in range(share):
            uuid, count, body, keyed = self.next_set()
            headers = {"Content-Type": "application/json", **({"Idempotency-Key": uuid} if keyed else {})}
            self.note("S", uuid, count)
            for _ in range(100):
                try:
                    c = c or connection(self.address)
                    c.request("POST", "/v1/rows", body, headers)
                    answer = c.getresponse()
                    text, status = answer.read(), answer.status
                except (OSError, KeyError, http.client.HTTPException):
                    c = None
                    self.note("U", uuid)
                    if self.process.poll() is not None or not keyed:
                        break
                    status = 0
                if status == 202:
                    self.note("A", uuid, json.loads(text)["id"])
                elif status:
                    self.note("R", uuid, status)
                    self.statuses.append(status)
                if status == 202 or 400 <= status < 500 or not keyed:
                    break
                time.sleep(0.02)  # the client's own pace
            if self.process.poll() is not None:
                break
        if c:
            c.close()

    def post_all(self, count):
        clients = [threading.Thread(target=self.client, args=(count // CONNECTIONS,)) for _ in range(CONNECTIONS)]
        for c in clients:
            c.start()
        for c in clients:
            c.join()

    # --- the daemon's lives

    def begin(self, tries=20):
        """Until a daemon listens and is ready; each that ends before is noted and followed by another."""
        for _ in range(tries):
            self.start(wait=False)
            if wait_until(lambda: self.process.poll() is not None or self.is_ready(), 40,
                          lambda: "a start; " + "\n".join(self.lines[-20:])) and self.process.poll() is None:
                return
            self.over()
        raise AssertionError("it does not start: " + "\n".join(self.lines[-20:]))

    def is_ready(self):
        with contextlib.suppress(OSError, KeyError, http.client.HTTPException):
            return self.get("/readyz").status == 200
        return False

    def over(self):
        self.exits.append(self.ended())

    def finish(self):
        """SIGTERM, if there is someone to hear it."""
        self.hosts()
        if self.process.poll() is None:
            self.process.terminate()
        else:
            self.stayed = False
        self.over()

    def play(self):
        self.begin()
        self.post_all(self.requests)
        self.finish()
        self.begin()
        self.post_all(AFTERWARDS)

    def look(self):
        self.judge.read_file()
        self.judge.read_log()
        return self.judge.missing() == 0

    def close(self, seconds=12):
        """Everything delivered and a clean end; the verdict."""
        if self.process.poll() is not None:
            self.stayed = False
            self.over()
            self.begin()
        end = time.monotonic() + seconds * SLOW
        while not self.look() and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.01)
        if self.process.poll() is not None:
            return self.close(seconds)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.process.poll() is not None or self.pusher("file")["lag"]["rows"] == 0, seconds)
        dead = len(self.dead())
        self.finish()
        self.look()
        verdict = self.judge.verdict()
        return {**verdict, "dead": dead} if dead else verdict


class Faulty(Script):
    """The script on a daemon and a host that suffer what their pages say."""

    def __init__(self, env=None, **more):
        super().__init__(env, **more)
        program, self.daemon_page, self.host_page = install(self.work / "bin")
        self.program = str(program)
