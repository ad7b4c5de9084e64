"""Gigabytes that no pusher has read: intake, memory, start, catching up."""
import time

import bodies
import process
from table import Line

ROOM = {"HEADGATE_JOURNAL_MAX_BYTES": "40GiB", "HEADGATE_JOURNAL_MIN_FREE": "1GiB"}


def fill(b, g, target):
    """Posts until so many bytes are unread."""
    body = bodies.batch(1000)
    while (have := g.metrics()["headgate_lag_bytes{pusher=\"null\"}"]) < target:
        b.load(g, body, 16, 1000, seconds=max(1, min(5, round((target - have) / 2e8))))


def restart(g):
    """Seconds from the start of the process until it takes rows."""
    assert g.term() == 0
    began = time.monotonic()
    g.start(ready=False)
    return time.monotonic() - began


def measure(b):
    body = bodies.batch(100)
    with b.gateway(ROOM) as empty, b.gateway(ROOM) as g:
        assert g.admin("POST", "/v1/pushers/null/pause").status == 200
        b.load(g, bodies.batch(1000), 16, 1000, seconds=1)  # buffers for as large bodies as will come
        memory = process.status(g.pid, "VmRSS")
        for gigabytes in (1,) if b.quick else (1, 10):
            fill(b, g, gigabytes * 1e9)
            grown = process.status(g.pid, "VmRSS") - memory
            rate, cpu, note = b.against(empty, g, body, 16, 100)
            yield Line(f"{gigabytes} GB unread: intake of that of an empty one", rate, 0.8, note=note)
            yield Line(f"{gigabytes} GB unread: the same by CPU time", cpu, 0.8,
                       curve=("GB unread: intake of that of an empty one, by CPU time", gigabytes))
            yield Line(f"{gigabytes} GB unread: memory, MB for each GB", [grown / gigabytes], most=1,
                       curve=("GB unread: memory, MB for each GB", gigabytes))
            yield Line(f"{gigabytes} GB unread: seconds from start to listening",
                       [restart(g) for _ in range(min(3, b.rounds))], most=2, note=f"an empty one: {restart(empty):.2f} s")
        host = g.host("null")
        lag = g.lag()
        before, waited = process.scheduled(host)
        assert g.admin("POST", "/v1/pushers/null/resume").status == 200
        began = time.monotonic()
        g.wait_delivered()
        took = time.monotonic() - began
        ran = process.scheduled(host)[0] - before
        yield Line("catching up, million rows/s a core (host's CPU time)", [lag / ran / 1e6], least=1,
                   note=f"{lag / took / 1e6:.2f} by the clock, {lag:,.0f} rows")
