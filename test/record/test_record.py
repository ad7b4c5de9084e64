"""2xx means on disk, seen by a recorder in the table of system calls: no 202 leaves before the fdatasync that covers it
has ended. Two seeded bugs (no sync at all, answers before the sync) must be found by the same check."""
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gateway import BUILD, Gateway, row, rows, wait_until

sys.path.insert(0, str(Path(__file__).parent))
from check_record import judge, lines_of  # noqa: E402


def under_load(g, answers):
    """Many connections until so many were answered."""
    port, log = g.work / "port", g.work / "client.log"
    port.write_text(g.address.rsplit(":", 1)[1])
    before = log.read_bytes().count(b"\nA ") if log.exists() else 0
    loader = subprocess.Popen([BUILD / "crash/loader", "127.0.0.1", port, log, "16", "8", "4", "2000"])
    try:
        wait_until(lambda: log.exists() and log.read_bytes().count(b"\nA ") >= before + answers, 60)
    finally:
        loader.send_signal(signal.SIGTERM)
        loader.wait(30)


LEAST_ALONE, LEAST_ON_THE_LOOP = 30, 21


def alone(g, path, on_loop):
    """Row sets one by one on an idle daemon. on_loop: until the loop itself has synced enough of them. It does so where
    syncs were quick of late, nobody else commits and the row set before was as alone: one sync in which the thread lost
    its processor counts for some thirty, and the commit thread may be late in laying its work down. So it is tried until
    it was so, however long this machine lets the daemon wait."""
    for n in range(LEAST_ALONE):
        g.take(row(f"alone-{n}"))

    def enough():
        g.take(row("alone-again"))
        return on_the_loop([path]) >= LEAST_ON_THE_LOOP

    if on_loop:
        wait_until(enough, 120, "requests that were synced by the thread that answered them")


def record(program, more=(), data=None):
    """What the judge says of a program under load. data: where it keeps its own, if not beside the rest."""
    with Gateway({"HEADGATE_JOURNAL_SEGMENT": "1MiB", "HEADGATE_HTTP_MAX_BODY": "64KiB"}, data=data,
                 program=BUILD / "mutant" / program / "headgate", clean=False, start=False) as g:
        paths = [g.work / "record"]
        g.start({"TEST_RECORD": str(paths[0])})
        alone(g, paths[0], "loop" in more)
        g.post_ndjson([rows(f"lines-{n}", 3) for n in range(20)])
        under_load(g, 1500)
        if "kill" in more:
            g.kill9()
            paths.append(g.work / "record-after-the-kill")  # the last line of the one before may be cut short
            g.start({"TEST_RECORD": str(paths[1])})
            g.take(row("after-the-kill"))
            under_load(g, 500)
        g.stop(check=False)
        return judge(paths)


def on_the_loop(paths):
    """How many syncs of segments were made by a thread that also answers."""
    lines = [line.split(" ", 6) for line in lines_of(paths)]
    answering = {x[3] for x in lines if x[0] == "answer"}
    segments = {x[5] for x in lines if x[0] in ("open", "rename") and x[6].endswith(".seg")}
    return sum(x[0] == "sync" and x[3] in answering and x[5] in segments for x in lines)


def test_no_answer_before_its_sync(capsys):
    answers, syncs, faults = record("recorder", ["kill"])
    with capsys.disabled():
        print(f"\n{answers} row sets answered with 202, {syncs} syncs of segments, {len(faults)} answered too early")
    assert not faults, faults[:10]
    assert answers > 2000 and syncs > 30


@pytest.fixture
def memory():
    """A folder in memory: there a sync is quick on any machine, so a lone request is synced by the loop itself."""
    path = Path(tempfile.mkdtemp(prefix="headgate-record-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def test_no_answer_before_its_sync_on_the_loop(memory):
    answers, syncs, faults = record("recorder", ["kill", "loop"], memory / "data")
    assert not faults, faults[:10]
    assert answers > 2000 and syncs > 30


@pytest.mark.parametrize("program", ["sync_nothing", "sync_later"])
def test_a_seeded_bug_on_the_loop_is_caught(program, memory):
    answers, _, faults = record(program, data=memory / "data")
    assert answers > 500 and len(faults) > answers / 10, f"{len(faults)} of {answers}"


@pytest.mark.parametrize("program", ["sync_nothing", "sync_later"])
def test_a_seeded_bug_is_caught(program):
    answers, _, faults = record(program)
    assert answers > 500 and len(faults) > answers / 10, f"{len(faults)} of {answers}"
