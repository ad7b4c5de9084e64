"""Plugins that crash, hang, scribble, pour, lie and spy, in every way that a C program can, next to the `file` pusher.
Each time: the daemon and the other pusher are untouched; exactly the rows that alone crash are dead letters; what the
plugin itself breaks waits, and once it is mended every row arrives."""
import os
import random
import signal

import pytest
from counts import SEED, count
from gateway import Gateway, row, wait_until, whole_lines

CRASHES = count("PLUGIN_CRASHES", 200, 10000)
KILLS = count("HOST_KILLS", 20, 1000)
NEIGHBOUR = "neighbour"  # a suspect is held until one passes, and all others may have passed before it was one


class Hostile(Gateway):
    """Mode and match of the chaos pusher stand in the settings file, so that they can be mended at run time."""

    def __init__(self, mode, match=None, plugin="chaos", **options):
        self.options = {"retry_min": "10ms", "retry_max": "50ms", "timeout": "400ms", **options}
        super().__init__(plugins=[plugin], start=False, later=("chaos",), ini=self.text(mode, match))
        self.start()

    def got_path(self, plugin="chaos"):
        """In a folder of its own: what a plugin writes it may also look at."""
        (self.work / "own").mkdir(exist_ok=True)
        return self.work / "own" / f"{plugin}.got"

    def text(self, mode, match=None):
        lines = [f"{k} = {v}" for k, v in {"mode": mode, "match": match, **self.options}.items() if v is not None]
        return "\n".join(["[plugin chaos]", *lines, ""])

    def mend(self):
        self.config.write_text(self.text("good"))
        done = self.cli("reload")
        assert done.returncode == 0, done.stderr
        if self.pusher("chaos")["state"] == "broken":
            self.cli("resume", "chaos")

    def got(self):
        return {line.split(" ")[3] for line in whole_lines(self.got_path()) if line.count(" ") >= 5}

    def wait_got(self, uuids, timeout=60):
        wait_until(lambda: uuids <= self.got(), timeout,
                   lambda: f"{sorted(uuids - self.got())[:5]} of {len(uuids)}; {self.pusher('chaos')}; "
                   + "\n".join(self.lines[-10:]))

    def untouched(self, rows):
        """The daemon lives, and the other pusher has every row once and was never started again."""
        found = self.wait_rows(rows, where=lambda r: r["uuid"] != NEIGHBOUR)
        assert len(found) == len({r["id"] for r in found}) == rows
        assert self.process.poll() is None and self.pusher("file")["restarts"] == 0


def post(g, count, bad=()):
    """So many rows of a uuid each; those that are numbered in `bad` are the ones meant."""
    for n in range(count):
        g.take(row(f"u{n}", {"n": n, **({"bad": 1} if n in bad else {})}))
    return {f"u{n}" for n in range(count) if n not in bad}, {f"u{n}" for n in bad}


CRASHING = ["segv", "abort", "overflow", "thread", "exits"]


@pytest.mark.parametrize("mode", CRASHING)
def test_exactly_the_guilty_rows_are_dead(mode, capsys):
    guilty = max(CRASHES // len(CRASHING) // 3, 1)  # a row is dead when it has crashed three hosts
    chance = random.Random(SEED)
    with Hostile(mode, "bad") as g:
        # Not next to each other: what crashes with its neighbour, too, is a plugin that crashes on everything.
        wanted, bad = post(g, guilty * 4, {4 * n + chance.randrange(3) for n in range(guilty)})
        g.wait_got(wanted, 30 + guilty)
        wait_until(lambda: len(g.dead("?limit=1000")) >= guilty or (g.take(row(NEIGHBOUR)) and False), 30 + guilty,
                   lambda: f"{len(g.dead())} of {guilty}; {g.pusher('chaos')}")
        assert {d["uuid"] for d in g.dead("?limit=1000")} == bad
        crashes = g.pusher("chaos")["restarts"]
        g.untouched(guilty * 4)
        with capsys.disabled():
            print(f"\n{mode}: {crashes} crashes, {guilty} dead letters of {guilty * 4} rows")
        assert crashes >= guilty * 3
        g.mend()
        assert g.cli("dead", "retry", "--all").returncode == 0
        g.wait_got(wanted | bad)


@pytest.mark.parametrize("mode", ["segv", "startsegv", "opensegv", "openbad", "openodd", "reject", "exits", "trample"])
def test_a_broken_plugin_stops_and_comes_back(mode):
    with Hostile(mode, reject_breaker=10) as g:
        wanted, _ = post(g, 30)
        g.wait_state("chaos", "broken", timeout=60)
        refused = 10 if mode == "reject" else 0  # REJECT_BREAKER
        dead = wait_until(lambda: len(d := g.dead("?limit=1000")) >= refused and [d])
        assert len(dead[0]) == refused, dead
        g.untouched(30)
        g.mend()
        if refused:
            assert g.cli("dead", "retry", "--all").returncode == 0
        g.wait_got(wanted)
        wait_until(lambda: not g.dead())


def test_a_file_that_crashes_when_it_is_loaded():
    with Hostile("good", plugin="loadcrash") as g:
        wait_until(lambda: any("crashes when it is loaded" in line for line in g.lines))
        post(g, 5)
        g.untouched(5)
        os.unlink(g.own_plugins / "loadcrash.so")
        g.add_plugin("chaos")
        wait_until(lambda: g.cli("reload").returncode == 0 and g.pusher("chaos").get("state") == "running", 15)
        g.take(row("after"))
        g.wait_got({"after"})


LINGERING = ["spin", "hang", "blocked", "kills", "scribble", "shuts", "late", "forgets", "twice", "wild", "pours",
             "flood", "odd", "zero"]


@pytest.mark.parametrize("mode", LINGERING)
def test_what_is_no_evidence_kills_no_row(mode):
    """A push that hangs, a host that is killed, talks nonsense, closes its pipes, judges late, twice or nothing."""
    everything = mode in ("pours", "flood", "odd", "zero")
    with Hostile(mode, None if everything else "bad") as g:
        wanted, bad = post(g, 12, () if everything else (4,))
        g.untouched(12)
        if not everything:
            g.wait_got(wanted)
        dead = {d["uuid"] for d in g.dead()}
        assert dead <= (bad if mode == "shuts" else set()), dead  # it ends its own process: that is a crash
        g.mend()
        if dead:
            g.cli("dead", "retry", "--all")
        g.wait_got(wanted | bad)
        wait_until(lambda: not g.dead())


def test_a_leak_is_ended_and_no_row_dies():
    with Hostile("leak", memory_max="40MiB", batch_rows=1) as g:
        wanted, _ = post(g, 150)
        g.wait_got(wanted, 120)
        assert not g.dead()
        g.untouched(150)


def test_hosts_are_killed_from_outside():
    """At any moment, with any signal that ends a process."""
    chance = random.Random(SEED)
    with Hostile("slow", delay="2ms", batch_rows=2, memory_max="40MiB") as g:
        wanted, n = set(), 0
        for k in range(KILLS):
            for _ in range(10):
                g.take(row(f"u{n}", {"n": n}))
                wanted.add(f"u{n}")
                n += 1
            pid = g.host("chaos")
            try:
                os.kill(pid, chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL)))
            except ProcessLookupError:
                continue
        g.wait_got(wanted, 30 + KILLS)
        assert not g.dead()
        g.untouched(n)


def test_a_spy_sees_nothing():
    """Confined: not the settings file, not another process's environment or memory, not the journal for writing."""
    with Hostile("spy", "bad") as g:
        if not g.wait_state("chaos", "running")["confined"]:
            pytest.skip("not here: this kernel cannot confine")
        g.take(row("first", {"row": 0}))
        g.wait_rows(1)
        segment = next(iter(sorted(g.data.rglob("*.seg"))))
        pid = g.process.pid
        other = g.host("file")
        targets = [f"r:{g.config}", f"w:{g.config}", f"r:/proc/{pid}/environ", f"w:/proc/{pid}/mem",
                   f"r:/proc/{other}/environ", f"r:{segment}", f"w:{segment}", f"w:{g.data}/journal/lock",
                   f"w:{g.out}/rows.ndjson", f"r:{g.data}/pushers/file/cursor", f"w:{g.data}/pushers/file/cursor",
                   "r:/etc/shadow", "w:/etc/passwd"]
        for target in targets:
            g.options["list"] = target  # (a line of the settings file has its length)
            g.config.write_text(g.text("spy", "bad"))
            assert g.cli("reload").returncode == 0
            g.take(row("spy", {"bad": 1}))
            told = wait_until(lambda: [line for line in whole_lines(g.got_path()) if f"spy {target} " in line],
                              20, lambda: g.got_path().read_text() + "\n".join(g.lines[-10:]))
            assert not told[0].endswith(" open"), told
