"""What intake costs, in instructions: they are the same on a busy machine and on an idle one, so they can be a gate where
times cannot. A whole daemon runs under callgrind and takes fixed bodies over one connection; what is counted is
everything it does in user mode between the first byte and the last answer, on all threads.

A bound is what was counted when it was written plus about 15 %, for other compilers and for what timers add. When a
change is worth more than that, the bound moves in the same commit, and the commit says why.
"""
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gateway import BUILD, ROOT, Gateway

sys.path.insert(0, str(ROOT / "test/bench/lib"))
import bodies  # noqa: E402

REPEATS = 40  # of each body


class Counted(Gateway):
    """A gateway under callgrind."""

    def __init__(self):
        super().__init__({"PLUGIN_NULL_ENABLED": "yes"}, file=False, start=False)
        self.counts, self.dumps = self.work / "callgrind", 0
        self.start()

    def command(self):
        return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.counts}", *super().command()]

    def control(self, what):
        subprocess.run(["callgrind_control", what, str(self.process.pid)], capture_output=True, check=True)

    def count(self, action):
        """What the daemon did meanwhile: (instructions, {function: instructions with all that it called})."""
        self.control("-z")
        action()
        self.control("-d")
        self.dumps += 1
        dump = Path(f"{self.counts}.{self.dumps}")
        said = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(dump)], capture_output=True,
                              text=True, check=True).stdout
        functions = {m[2]: int(m[1].replace(",", "")) for m in re.finditer(r"^ *([\d,]+) .*?:(\w+) \[", said, re.M)}
        return int(re.search(r"^summary: (\d+)", dump.read_text(), re.M)[1]), functions


@pytest.fixture(scope="module")
def counted():
    with Counted() as g:
        yield g


def poster(g, body, status, content_type="application/json"):
    """A function that posts the body REPEATS times; it was posted before, so that all memory is there."""
    wire = g.wire()
    head = f"POST /v1/rows HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"

    def post():
        for _ in range(REPEATS):
            wire.send(head.encode() + body)
            answer = wire.answer()
            assert answer.status == status, answer

    post()
    return post


def cost(g, body, status=202, **more):
    total, functions = g.count(poster(g, body, status, **more))
    return total / REPEATS, functions.get("scan_body", 0) / REPEATS


@pytest.mark.parametrize("rows, keys, row_bound, scan_bound", [
    (100, 10, 2320, 1920),
    (1000, 10, 2180, 1920),
    (1, 10, 31500, 4200),
    (100, 100, 16200, 14100),
])
def test_a_row(counted, capsys, rows, keys, row_bound, scan_bound):
    total, scan = cost(counted, bodies.single(keys) if rows == 1 else bodies.batch(rows, keys))
    with capsys.disabled():
        print(f"\n{rows} rows of {keys} keys: {total / rows:.0f} instructions a row, {scan / rows:.0f} of them in the scanner")
    assert scan > 0, "callgrind did not see the scanner"
    assert total / rows <= row_bound
    assert scan / rows <= scan_bound


def test_lines(counted, capsys):
    names = iter(f"plate-{n}" for n in range(100))
    total, _ = cost(counted, bodies.lines(100, names), content_type="application/x-ndjson")
    with capsys.disabled():
        print(f"\n100 row sets of one row as NDJSON: {total / 100:.0f} instructions a row set")
    assert total / 100 <= 7250


@pytest.mark.parametrize("fault", [b'"data":1', b'"Data":{}'], ids=["value", "key"])
def test_a_refused_body(counted, capsys, fault):
    """At most 1.2 of an accepted one, and nothing is written."""
    body = bodies.batch(100)
    accepted, _ = cost(counted, body)
    cut = body.rindex(b'"data":')
    bad = body[:cut] + fault + b"}]}"
    synced = counted.metrics()["headgate_fsync_seconds_count"]
    position = sorted((p.name, p.stat().st_mtime_ns) for p in (counted.data).rglob("*.seg"))
    refused, _ = cost(counted, bad, 422)
    with capsys.disabled():
        print(f"\nrefused ({fault.decode()}): {refused / accepted:.2f} of an accepted body")
    assert refused <= 1.2 * accepted
    assert counted.metrics()["headgate_fsync_seconds_count"] == synced
    assert sorted((p.name, p.stat().st_mtime_ns) for p in (counted.data).rglob("*.seg")) == position
