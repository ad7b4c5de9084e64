"""What it costs intake that people look on: 100 open pages, 100 taps and 10 scrapes a second, against nobody; the CPU time
of the daemon a row, loads of both kinds in turn. Their work does not grow with the load, so what they cost in a second is
told as well."""
import subprocess
import sys

import bodies
import process
from bench import CLIENT, HERE, middle
from table import Line

WATCHERS = [100, 100, 10]  # pages, taps, scrapes a second


class Watchers:
    def __init__(self, g):
        self.process = subprocess.Popen([sys.executable, HERE / "watchers.py", g.admin_address, *map(str, WATCHERS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=process.pin(CLIENT))
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        self.process.stdin.close()
        said = self.process.stdout.read()
        assert self.process.wait(30) == 0
        return [int(n) for n in said.split()]


def watched(b, g, *load):
    watchers = Watchers(g)
    found = b.load(g, *load)
    answers, events = watchers.end()
    assert answers > 0 and events > 0
    return found


def measure(b):
    g = b.steady()
    for connections, rows, most in ((16, 100, 1.10), (1, 100, None)):
        load = (bodies.batch(rows), connections, rows)
        found = b.interleave({"alone": lambda: b.load(g, *load), "watched": lambda: watched(b, g, *load)})
        pairs = list(zip(found["alone"], found["watched"]))
        ratios = [(w.own / w.rows) / (a.own / a.rows) for a, w in pairs]
        rate = middle(a.rate * rows for a, _ in pairs)
        cost = middle(a.own / a.rows * 1e6 for a, _ in pairs)
        more = middle((w.own - a.own * w.rows / a.rows) / w.seconds * 1e3 for a, w in pairs)
        yield Line(f"CPU a row with 100 pages, 100 taps, 10 scrapes a second; {connections} connections of {rows} rows",
                   ratios, most=most, note=f"{rate:,.0f} rows/s alone, {cost:.2f} us a row; they cost {more:.0f} ms a second")
