"""Kills a daemon, its host, or both, at random and at chosen moments, under load, over and over; then compares what the
clients were told with what the `file` pusher wrote (judge.py).

A cycle counts only if requests were unanswered and acknowledged rows were not in the file when the kill came. The moment
of a kill is looked up from outside, from what the threads were doing in the kernel (tool/killer.c)."""
import os
import random
import signal
import subprocess
import time
from collections import Counter

from gateway import BUILD, Gateway, children, stat_of, wait_until
from judge import Judge

MOMENTS = ["write", "sync", "push", "between"]
CONNECTIONS, KEYED, ROWS, THINK_US = 32, 12, 8, 12000


class Crash(Gateway):
    """One data folder through all of its crashes."""

    def __init__(self, seed, env=None, who=("daemon", "host", "both"), moments=MOMENTS, **more):
        self.random = random.Random(seed)
        self.who, self.moments = who, moments
        self.kills, self.targets, self.counted, self.tried = Counter(), Counter(), 0, 0
        self.loader = None
        super().__init__({"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_HTTP_MAX_BODY": "64KiB",
                          "PLUGIN_FILE_RETRY_MAX": "200ms", **(env or {})},
                         start=False, **more)
        self.judge = Judge(self.work / "client.log", self.out / "rows.ndjson")
        self.port_file = self.work / "port"

    def __exit__(self, kind, *rest):
        if self.loader:
            self.loader.kill()
            self.loader.wait()
        super().__exit__(kind, *rest)

    # --- load

    def start_load(self):
        self.loader = subprocess.Popen([BUILD / "crash/loader", "127.0.0.1", self.port_file, self.judge.log,
                                        *map(str, (CONNECTIONS, ROWS, KEYED, THINK_US))])

    def start(self, *arguments, **more):
        super().start(*arguments, **more)
        scratch = self.work / ".port"
        scratch.write_text(self.address.rsplit(":", 1)[1])
        os.rename(scratch, self.port_file)

    def look(self):
        self.judge.read_file()  # first: what is in the file was acknowledged or not, the log is the later one
        self.judge.read_log()

    # --- one cycle

    def wait_flow(self):
        """Rows are acknowledged and reach the file."""
        self.look()
        acks, at = len(self.judge.acked), self.judge.file_at

        def flows():
            assert self.process.poll() is None, "the daemon ended by itself: " + "\n".join(self.lines[-20:])
            assert self.loader.poll() is None, "the loader ended"
            self.look()
            return len(self.judge.acked) > acks + 10 and self.judge.file_at > at
        wait_until(flows, 30, lambda: f"rows to flow: {len(self.judge.acked) - acks} answers, "
                   f"{self.judge.file_at - at} bytes; " + "\n".join(self.lines[-20:]))

    def folders(self):
        journal = next(iter(sorted(self.data.rglob("*.seg")))).parent
        return [str(p.resolve()) for p in (journal, self.out, self.data)]

    def kill(self):
        """Kills at the moment whose turn it is; (whom, what was hit, when in ns)."""
        whom = self.who[self.tried % len(self.who)]
        when = "any" if self.tried % 3 == 0 else self.random.choice(self.moments)
        hosts = wait_until(lambda: children(self.process.pid), what="a host")
        began = {pid: stat_of(pid)[2] for pid in hosts if stat_of(pid)}
        self.seen.update(began)
        done = subprocess.run([BUILD / "crash/killer", whom, when, str(self.random.randrange(150000)), "300",
                               *self.folders(), str(self.process.pid), *map(str, hosts)],
                              capture_output=True, text=True, check=True)
        moment, ns = done.stdout.split()
        if whom == "daemon" or whom == "both":
            self.process.wait(30)
            for reader in self.readers:
                reader.join(10)
        wait_until(lambda: not any(self.runs(p, t) for p, t in began.items()), 20, "the host to end")
        return whom, moment, int(ns)

    def runs(self, pid, began):
        stat = stat_of(pid)
        return stat is not None and stat[2] == began and stat[0] not in "ZX"

    def cycle(self):
        self.wait_flow()
        whom, moment, ns = self.kill()
        self.tried += 1
        self.look()
        if self.judge.unanswered(ns) > 0 and self.judge.unsettled(ns) > 0:
            self.counted += 1
            self.kills[moment] += 1
            self.targets[whom] += 1
        if self.process.poll() is not None:
            self.start()

    def cycles(self, count):
        """Until so many have counted."""
        if self.process is None:
            self.start()
            self.start_load()
        goal, most = self.counted + count, self.tried + 4 * count + 20
        while self.counted < goal:
            assert self.tried < most, f"only {self.counted} of {self.tried} kills met rows on their way"
            self.cycle()

    # --- the end

    def settle(self, seconds=60):
        """Ends the load, lets everything be delivered; the verdict."""
        self.loader.send_signal(signal.SIGTERM)
        self.loader.wait(60)
        self.loader = None
        end = time.monotonic() + seconds
        self.look()
        while self.judge.missing() > 0 and time.monotonic() < end:
            time.sleep(0.05)
            self.look()
        return self.judge.verdict()

    def summary(self):
        moments = ", ".join(f"{m} {self.kills[m]}" for m in [*MOMENTS, "other"])
        targets = ", ".join(f"{w} {n}" for w, n in sorted(self.targets.items()))
        names = {"write": "journal write", "sync": "journal sync", "push": "push", "between": "between push and cursor"}
        for short, long in names.items():
            moments = moments.replace(short + " ", long + " ")
        rows = sum(len(n) for n in self.judge.lines.values())
        return (f"{self.counted} kills that count of {self.tried} ({targets}); in {moments}; "
                f"{len(self.judge.acked)} row sets acknowledged, {rows} rows in the file")
