"""What happens to the disk itself: its power is cut, its medium takes no more, it is full, it can only be read. Those
that need a loop device of their own are skipped, and say so, where none may be mounted."""
import contextlib
import errno
import json
import os
import random
import time

import pytest
from counts import SEED, count
from crash import Crash
from disk import Disk, Tmpfs, need_mounts
from faults import DISK, install
from gateway import Gateway, command, row, wait_until

CUTS = count("POWER_CUTS", 50, 5000)
WRITEBACKS = count("WRITEBACKS", 5, 200)
FULL_DISKS = count("FULL_DISKS", 2, 20)


# --- power


class Power(Crash):
    """The crash harness with data and output on a disk whose power is cut under load. What was seen in the output
    before a cut counts for nothing: it is read once, at the end."""

    def __init__(self, disk, seed):
        super().__init__(seed, {"PLUGIN_FILE_PATH": str(disk.path / "out/rows.ndjson"),
                                "HEADGATE_JOURNAL_MIN_FREE": "0"}, data=disk.path / "data")
        self.disk, self.out = disk, disk.path / "out"
        self.hits = 0

    def look(self):
        self.judge.read_log()

    def cut(self):
        seen = len(self.judge.acked)
        wait_until(lambda: self.look() or len(self.judge.acked) > seen + 5, 30, "rows to be acknowledged")
        time.sleep(self.random.random() * 0.08)  # the moment is chance
        self.hosts()
        moment = time.monotonic_ns()
        self.disk.cut()
        self.kill9(hosts=True)
        self.look()
        self.hits += self.judge.unanswered(moment) > 0
        self.disk.unmount()
        self.disk.mount()
        self.start()

    def settle(self, seconds=60):
        self.judge.output = self.out / "rows.ndjson"
        self.loader.terminate()
        self.loader.wait(60)
        self.loader = None
        self.look()
        wait_until(lambda: self.pusher("file")["lag"]["rows"] == 0, seconds)
        self.judge.read_file()
        return self.judge.verdict()


def test_power_cuts(tmp_path, capsys):
    need_mounts(tmp_path)
    with Disk(tmp_path / "d", 256) as disk, Power(disk, SEED) as g:
        g.start()
        g.start_load()
        for n in range(CUTS):
            g.cut()
            damages = g.metrics()["headgate_journal_damages"]
            assert damages == 0, f"after cut {n + 1}: {damages} damaged ranges, " + "\n".join(g.lines[-20:])
        verdict = g.settle()
        g.stop()
        with capsys.disabled():
            print(f"\nseed {SEED}: {CUTS} power cuts, {g.hits} with requests on their way; {len(g.judge.acked)} row sets "
                  f"acknowledged")
        assert not verdict, verdict
        assert g.hits > CUTS / 2


# --- a medium that takes no more


def ids_on_medium(data):
    done = command("journal", "dump", "--rows", data)
    return {json.loads(line)["id"][:-6] for line in done.stdout.splitlines() if line.startswith("{")}


def test_write_back_errors(tmp_path, capsys):
    """The image lies in a tmpfs that is too small for it: writes go into the page cache, and the sync fails. Nothing of
    that tail is answered with 202 or delivered, before and after a restart that still sees it in the cache."""
    need_mounts(tmp_path)
    failed = 0
    for n in range(WRITEBACKS):
        folder = tmp_path / f"w{n}"
        with Tmpfs(folder / "small", 24) as small, \
                Disk(folder, 200, image=small.path / "image") as disk, \
                Gateway({"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_HTTP_MAX_BODY": "256KiB",
                         "HEADGATE_JOURNAL_MIN_FREE": "0", "HEADGATE_JOURNAL_MAX_BYTES": "150MiB"},
                        data=disk.path / "data", clean=False) as g:
            chance = random.Random(SEED + n)
            taken, refused = set(), 0
            for k in range(4000):
                answer = g.post(row(f"w{n}-{k}", {"row": 0, "of": 1, "pad": "x" * chance.randrange(100000)}, index=0))
                if answer.status == 202:
                    taken.add(answer["id"])
                else:
                    assert answer.status == 503 and answer.headers["retry-after"], answer
                    refused += 1
                if refused > 3:
                    break
            assert refused > 3, "the medium never failed"
            failed += "disk" in "".join(g.lines)
            g.kill9(hosts=True)
            g.start(wait=False)  # the page cache still shows the tail; it may take rows or end with 74
            wait_until(lambda: g.process.poll() is not None or "admin" in g.addresses, 30)
            if g.process.poll() is None:
                wait_until(lambda: g.process.poll() is not None or not taken - delivered(g), 20,
                           lambda: f"{len(taken - delivered(g))} of {len(taken)} rows are missing")
                with contextlib.suppress(ProcessLookupError):
                    g.kill9(hosts=True)
            seen = delivered(g)
            disk.unmount()
            small.resize(400)
            disk.mount()
            medium = ids_on_medium(disk.path / "data")
            assert not {i for i in seen if i not in medium}, "delivered, and not on the medium"
            g.restart()
            wait_until(lambda: not taken - delivered(g), 20, lambda: f"{len(taken - delivered(g))} rows are lost")
            assert len(g.file_rows()) == len(delivered(g)), "rows came twice"
    with capsys.disabled():
        print(f"\nseed {SEED}: {WRITEBACKS} media that took no more, {failed} of them seen as a failed write or sync")


def delivered(g):
    return {r["id"][:-6] for r in g.file_rows()}


# --- a full disk, and one that can only be read


def outage(data, min_free="0", **more):
    """A gateway with 20 rows and one bad one that wait for a paused pusher, which will refuse the bad one."""
    g = Gateway({"HEADGATE_JOURNAL_SEGMENT": "64KiB", "HEADGATE_HTTP_MAX_BODY": "32KiB", "HEADGATE_JOURNAL_MIN_FREE": min_free,
                 "PLUGIN_CHAOS_MODE": "reject", "PLUGIN_CHAOS_MATCH": "bad", "PLUGIN_CHAOS_RETRY_MAX": "200ms"},
                plugins=["chaos"], data=data, start=False, **more)
    g.start()
    g.wait_state("chaos", "running")
    assert g.admin("POST", "/v1/pushers/chaos/pause").status == 200
    for k in range(20):
        g.take(row(f"waits-{k}", {"row": k}))
    g.take(row("bad", {"bad": 1}))
    g.wait_rows(21)
    return g


def is_refused(g):
    answer = g.post(row("too-much", {"pad": "x" * 20000}))
    return answer.status == 503 and answer


def work_goes_on(g):
    """While no rows are taken: what waits is delivered, and the row that is refused becomes a dead letter."""
    answer = wait_until(lambda: is_refused(g), 30, "a refusal")
    assert int(answer.headers["retry-after"]) > 0
    wait_until(lambda: is_refused(g) and g.get("/readyz").status == 503, 10, "readiness to tell")
    assert g.admin("POST", "/v1/pushers/chaos/resume").status == 200
    wait_until(lambda: "waits-19" in g.got_path().read_text(), 15, lambda: g.pusher("chaos"))


def comes_back(g):
    began = time.monotonic()
    wait_until(lambda: g.post(row("again", {"row": 0})).status == 202, 5, lambda: "\n".join(g.lines[-20:]))
    wait_until(lambda: g.get("/readyz").status == 200, 5, "readiness")
    spent = time.monotonic() - began
    wait_until(lambda: len(g.dead()) == 1, 10, lambda: g.dead())
    wait_until(lambda: all(g.pusher(p)["lag"]["rows"] == 0 for p in ("file", "chaos")), 10, lambda: g.pushers())
    found = [r["uuid"] for r in g.file_rows()]
    assert len(found) == len(set(found) - {"too-much", "again"}) + found.count("too-much") + found.count("again")
    return spent


@pytest.mark.parametrize("spare", [2 << 20, 0], ids=["min-free", "to-the-last-block"])
def test_a_full_disk_and_back(tmp_path, capsys, spare):
    """With journal.min_free there is room for a dead letter; without any room it waits for some."""
    need_mounts(tmp_path)
    slowest = 0.0
    with Disk(tmp_path / "d", 48) as disk:
        for n in range(FULL_DISKS):
            with outage(disk.path / f"data{n}", min_free="8MiB" if spare else "0") as g:
                ballast = disk.fill(spare)
                work_goes_on(g)
                if spare:
                    wait_until(lambda: len(g.dead()) == 1, 10, lambda: g.dead())
                os.unlink(ballast)
                slowest = max(slowest, comes_back(g))
    with capsys.disabled():
        print(f"\n{FULL_DISKS} full disks; rows were taken again {slowest:.2f} s after there was room at the latest")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO], ids=["read-only", "gone"])
def test_readiness_tells_without_a_row(tmp_path, number):
    """A gateway that nobody sends rows to, whose disk fails: being asked for readiness is enough to find out."""
    program, page, _ = install(tmp_path / "bin")
    with Gateway(program=program) as g:
        page.arm(DISK, 1, number, 1 << 60)
        told = wait_until(lambda: (a := g.get("/readyz")).status == 503 and a, 20, "readiness to tell")
        assert "disk error" in told.json()["detail"] and "takes nothing" in told.json()["detail"], told
        g.wait_event("disk.error")
        assert g.get("/livez").status == 200 and not g.pusher("file")["dead"]
        page.disarm()
        wait_until(lambda: g.get("/readyz").status == 200, 20, "readiness to come back")
        g.wait_event("disk.good")
        g.take(row("u"))
        g.wait_rows(1)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EDQUOT, errno.EIO], ids=["read-only", "quota", "gone"])
def test_a_disk_that_takes_nothing_for_a_while(tmp_path, capsys, number):
    """Each call of the daemon's that changes a file fails, until it is over. (A mounted file system cannot be made
    read-only under open files, so the calls are made to fail.)"""
    for n in range(FULL_DISKS):
        program, page, _ = install(tmp_path / f"bin{n}")
        with outage(tmp_path / f"data{n}", program=program) as g:
            page.arm(DISK, 1, number, 1 << 60)
            work_goes_on(g)
            page.disarm()
            spent = comes_back(g)
            with capsys.disabled():
                print(f"\n{errno.errorcode[number]}: rows were taken again after {spent:.2f} s")
